//! The database's own parameter group.

use super::{
    super::{Call, Field, Instance, Memory, ParameterGroup, Resource, Wish},
    Round,
};
use crate::{Kind, Parameters, Planned, Standing, own_group};
use std::collections::{BTreeMap, BTreeSet};

/// Most parameters of one call, by AWS's service model.
const MOST_PARAMETERS: usize = 20;

/// Names of the groups to look at.
pub fn groups(wish: &Wish, memory: &Memory) -> BTreeSet<String> {
    let mut names = memory.groups.clone();
    if let Some(Parameters::Own { family, .. }) = &wish.spec.parameters {
        names.insert(own_group(&identifier(wish, memory), family));
    }
    names
}

fn identifier(wish: &Wish, memory: &Memory) -> String {
    memory.identifier.clone().unwrap_or_else(|| wish.owner.identity.instance())
}

/// Plans the group that is wished. What it answers keeps back the calls that name the group.
pub(super) fn plan(round: &mut Round<'_>, id: &str) -> Option<String> {
    let wish = round.wish;
    let Some(Parameters::Own { family, values }) = &wish.spec.parameters else { return None };
    let name = own_group(id, family);
    let Some(group) = round.seen.groups.get(&name) else {
        let tags = wish.owner.tags();
        round.add(Planned::new(Call::CreateParameterGroup { name: name.clone(), family: family.clone(), tags }));
        let hold = format!("parameter group {name} is not there yet");
        set(round, &name, values, &ParameterGroup::default(), Some(&hold));
        return Some(hold);
    };
    match wish.owner.standing_of(&group.tags, round.memory.identifier.is_some()) {
        Standing::Ours => {
            round.memory.groups.insert(name.clone());
            set(round, &name, values, group, None);
            None
        }
        Standing::Retained { .. } if wish.adopt => {
            let call = Call::Tag { resource: Resource::ParameterGroup, id: name.clone(), tags: wish.owner.tags() };
            round.add(Planned::new(call));
            Some(format!("parameter group {name} is not adopted yet"))
        }
        Standing::Retained { .. } => {
            round.tell(
                Kind::Retained,
                format!("parameter group {name} was a former platform's: set adopt: true to take it over"),
            );
            Some(format!("parameter group {name} is not ours"))
        }
        _ => {
            round.tell(
                Kind::NameConflict,
                format!("parameter group {name} is somebody else's: delete it, or name one in parameters"),
            );
            Some(format!("parameter group {name} is not ours"))
        }
    }
}

fn set(
    round: &mut Round<'_>,
    name: &str,
    values: &BTreeMap<String, String>,
    group: &ParameterGroup,
    hold: Option<&String>,
) {
    let at_reboot = |parameter: &String| group.at_reboot.contains(parameter);
    let wrong: Vec<_> = values
        .iter()
        .filter(|(parameter, value)| group.values.get(*parameter) != Some(value))
        .map(|(parameter, value)| (parameter.clone(), (value.clone(), at_reboot(parameter))))
        .collect();
    let stray: Vec<_> = group
        .values
        .keys()
        .filter(|parameter| !values.contains_key(*parameter))
        .map(|parameter| (parameter.clone(), at_reboot(parameter)))
        .collect();
    for values in wrong.chunks(MOST_PARAMETERS) {
        let values = values.iter().cloned().collect();
        round.add(Planned::new(Call::SetParameters { name: name.to_owned(), values }).hold(hold.cloned()));
    }
    for names in stray.chunks(MOST_PARAMETERS) {
        let names = names.iter().cloned().collect();
        round.add(Planned::new(Call::ResetParameters { name: name.to_owned(), names }));
    }
}

/// Plans the end of our own groups: of those that no instance uses any more, or of all while the database is deleted.
pub(super) fn clean(round: &mut Round<'_>, id: &str, hold: Option<&String>) {
    let seen = round.seen;
    let wished = round.wish.group(id).filter(|_| !round.wish.deleted);
    let names = groups(round.wish, &round.memory);
    for name in names.into_iter().filter(|name| Some(name) != wished.as_ref()) {
        match seen.groups.get(&name) {
            Some(group) if round.wish.owner.standing(&group.tags) == Standing::Ours => {
                // Until a change of it is approved the former group is used, which may be for long.
                if hold.is_some() || !seen.instances.iter().any(|instance| uses(instance, &name)) {
                    round.add(Planned::new(Call::DeleteParameterGroup { name }).hold(hold.cloned()));
                }
            }
            _ => {
                round.memory.groups.remove(&name);
            }
        }
    }
}

fn uses(instance: &Instance, name: &str) -> bool {
    [&instance.settings, &instance.pending].iter().any(|settings| settings.text(Field::ParameterGroup) == Some(name))
}
