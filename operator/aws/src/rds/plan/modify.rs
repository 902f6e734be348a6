//! Changes of an instance: only what is set and differs from what there is with all that waits.

use super::{
    super::{Call, Field, Instance, Parameters, Settings, State, When, major},
    Found, Round,
};
use crate::{Allow, Kind, Planned};

/// Plans the changes of a replica.
pub(super) fn replica(round: &mut Round<'_>, found: &Found<'_>, instance: &Instance, group: Option<&String>) {
    let wished = round.wish.replica(&found.id);
    let wished = match upgrade(&wished, instance) {
        // AWS upgrades the replicas with the primary.
        Some(true) => wished.only(|field| !matches!(field, Field::EngineVersion | Field::ParameterGroup)),
        _ => wished,
    };
    changes(round, found, instance, &wished, group);
}

/// Plans the changes of the primary.
pub(super) fn primary(round: &mut Round<'_>, found: &Found<'_>, instance: &Instance, group: Option<&String>) {
    changes(round, found, instance, &round.wish.primary(&found.id), group);
}

/// Whether a major version is wished that is higher, or lower, than what there is.
fn upgrade(wished: &Settings, instance: &Instance) -> Option<bool> {
    let number = |settings: &Settings| major(settings.text(Field::EngineVersion)?).parse::<u32>().ok();
    let (wish, have) = (number(wished)?, number(&instance.effective())?);
    (wish != have).then_some(wish > have)
}

fn changes(round: &mut Round<'_>, found: &Found<'_>, instance: &Instance, wished: &Settings, group: Option<&String>) {
    let wish = round.wish;
    if instance.state() == State::Deleting {
        return;
    }
    let (mut change, ahead) = wished.against(&instance.effective());
    for words in ahead {
        round.tell(Kind::Drift, format!("{}: {words}", instance.id));
    }
    let upgrade = upgrade(wished, instance);
    if upgrade == Some(false) && matches!(wish.spec.parameters, Some(Parameters::Own { .. })) {
        // A group of the lower version's family does not fit.
        change = change.only(|field| field != Field::ParameterGroup);
    }
    let is_major = upgrade == Some(true);
    let of_version = |field: Field| field == Field::EngineVersion || (is_major && field == Field::ParameterGroup);
    let at_once = |field: Field| wish.when(field) == Some(When::Immediate);
    // Each waits for something else, and none may keep back another. First what is applied at once, so that it finds
    // nothing that waits.
    for (part, immediately) in [
        (change.only(|field| at_once(field) && !of_version(field)), true),
        (change.only(|field| !at_once(field) && !of_version(field)), false),
        (change.only(of_version), at_once(Field::EngineVersion)),
    ] {
        if part.is_empty() {
            continue;
        }
        let names_group = part.get(Field::ParameterGroup).and(group).cloned();
        let hold = hold(found, instance, &part, immediately, is_major);
        let interrupts = part.iter().any(|(field, _)| field.interrupts());
        let major = is_major && part.get(Field::EngineVersion).is_some();
        let call = Call::ModifyInstance { id: instance.id.clone(), change: part, immediately, major };
        let mut planned = Planned::new(call).hold(names_group).hold(hold);
        if interrupts {
            let when = if immediately { "now" } else { "in the maintenance window" };
            planned = planned.costs(format!("interrupts connections {when}"));
        }
        // What waits by our own wish to have it at once is on its way already.
        let waits = instance.pending.only(|field| !at_once(field));
        if major {
            planned = planned.consent(Allow::MajorUpgrade, "there is no way back from another major version");
        } else if immediately && !waits.is_empty() {
            planned =
                planned.consent(Allow::ApplyPending, format!("it also applies what waits for the window: {waits}"));
        }
        round.add(planned);
    }
}

fn hold(found: &Found<'_>, instance: &Instance, part: &Settings, immediately: bool, is_major: bool) -> Option<String> {
    let is_primary = instance.id == found.id;
    let changeable = match instance.state() {
        State::Available => true,
        State::StorageFull => part.get(Field::Storage).is_some(),
        _ => false,
    };
    if !changeable {
        return Some(format!("{} is {}", instance.id, instance.status));
    }
    if is_primary && part.number(Field::Retention) == Some(0) && !found.replicas.is_empty() {
        return Some("replicas are made from backups: they go first".to_owned());
    }
    // A replica's version must not be lower than its source's.
    let behind = |one: &Instance| !part.only(|field| field == Field::EngineVersion).against(&one.settings).0.is_empty();
    if is_primary
        && !is_major
        && let Some((_, behind)) = found.our_replicas().find(|(_, one)| behind(one))
    {
        return Some(format!("{} gets the version first", behind.id));
    }
    let interrupts = immediately && part.iter().any(|(field, _)| field.interrupts());
    if interrupts { found.others_change(&instance.id) } else { None }
}
