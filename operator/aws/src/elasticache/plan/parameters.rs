//! The cache's own parameter group.

use super::{
    super::{Call, Field, Group, Memory, Resource, Wish},
    Round, identifier,
};
use crate::{Kind, Parameters, Planned, Standing, own_group};
use std::collections::{BTreeMap, BTreeSet};

/// Most parameters of one call, by AWS's service model.
const MOST_PARAMETERS: usize = 20;

/// Names of the groups to look at.
pub fn parameter_groups(wish: &Wish, memory: &Memory) -> BTreeSet<String> {
    let mut names = memory.parameter_groups.clone();
    if let Some(Parameters::Own { family, .. }) = &wish.spec.parameters {
        names.insert(own_group(&identifier(wish, memory), family));
    }
    names
}

/// Plans the group that is wished. What it answers keeps back the calls that name the group.
pub(super) fn plan(round: &mut Round<'_>, id: &str) -> Option<String> {
    let wish = round.wish;
    let Some(Parameters::Own { family, values }) = &wish.spec.parameters else { return None };
    let values = wish.spec.values(values);
    let name = own_group(id, family);
    let Some(group) = round.seen.parameter_groups.get(&name) else {
        let tags = wish.owner.tags();
        round.add(Planned::new(Call::CreateParameterGroup { name: name.clone(), family: family.clone(), tags }));
        let hold = format!("parameter group {name} is not there yet");
        set(round, &name, &values, &BTreeMap::new(), Some(&hold));
        return Some(hold);
    };
    match wish.owner.standing_of(&group.tags, round.memory.identifier.is_some()) {
        Standing::Ours => {
            round.memory.parameter_groups.insert(name.clone());
            let is_set = set(round, &name, &values, &group.values, None);
            // In cluster mode AWS refuses a group that does not say so.
            (!is_set).then(|| format!("parameter group {name} is not set yet"))
        }
        Standing::Retained { .. } if wish.adopt => {
            let call = Call::Tag { resource: Resource::ParameterGroup, id: name.clone(), tags: wish.owner.tags() };
            round.add(Planned::new(call));
            Some(format!("parameter group {name} is not adopted yet"))
        }
        Standing::Retained { .. } => {
            let words = format!("parameter group {name} was a former platform's: set adopt: true to take it over");
            round.tell(Kind::Retained, words);
            Some(format!("parameter group {name} is not ours"))
        }
        _ => {
            let words = format!("parameter group {name} is somebody else's: delete it, or name one in parameters");
            round.tell(Kind::NameConflict, words);
            Some(format!("parameter group {name} is not ours"))
        }
    }
}

/// Whether it is set already.
fn set(
    round: &mut Round<'_>,
    name: &str,
    values: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
    hold: Option<&String>,
) -> bool {
    let wrong: Vec<_> = values.iter().filter(|(parameter, value)| have.get(*parameter) != Some(value)).collect();
    let stray: Vec<_> = have.keys().filter(|parameter| !values.contains_key(*parameter)).collect();
    for values in wrong.chunks(MOST_PARAMETERS) {
        let values = values.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect();
        round.add(Planned::new(Call::SetParameters { name: name.to_owned(), values }).hold(hold.cloned()));
    }
    for names in stray.chunks(MOST_PARAMETERS) {
        let names = names.iter().map(|name| (*name).clone()).collect();
        round.add(Planned::new(Call::ResetParameters { name: name.to_owned(), names }));
    }
    wrong.is_empty()
}

/// Plans the end of our own groups: of those that no group uses any more, or of all while the cache is deleted.
pub(super) fn clean(round: &mut Round<'_>, id: &str, hold: Option<&String>) {
    let seen = round.seen;
    let wished = round.wish.parameter_group(id).filter(|_| !round.wish.deleted);
    let names = parameter_groups(round.wish, &round.memory);
    for name in names.into_iter().filter(|name| Some(name) != wished.as_ref()) {
        match seen.parameter_groups.get(&name) {
            Some(group) if round.wish.owner.standing(&group.tags) == Standing::Ours => {
                // Until a change of it is approved the former group is used, which may be for long.
                if hold.is_some() || !seen.groups.iter().any(|group| uses(group, &name)) {
                    round.add(Planned::new(Call::DeleteParameterGroup { name }).hold(hold.cloned()));
                }
            }
            _ => {
                round.memory.parameter_groups.remove(&name);
            }
        }
    }
}

fn uses(group: &Group, name: &str) -> bool {
    [&group.settings, &group.pending].iter().any(|settings| settings.text(Field::ParameterGroup) == Some(name))
}
