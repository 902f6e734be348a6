//! Changes of settings: only what is set and differs from what there is with all that waits.

use super::{
    super::{Call, Field, Group, Settings},
    Round,
    size::drags,
};
use crate::{Allow, Kind, Parameters, Planned, When, major};

/// Failover and Multi-AZ that are to be off: before the replicas go that they need.
pub(super) fn off(round: &mut Round<'_>, group: &Group, gate: Option<&String>) {
    let change = changes(round, group).only(is_of_failover);
    let change: Settings = change.iter().filter(|(field, _)| change.flag(*field) == Some(false)).map(owned).collect();
    send(round, group, change, true, gate);
}

/// All others.
pub(super) fn rest(round: &mut Round<'_>, group: &Group, gate: Option<&String>, parameters: Option<&String>) {
    let wished = round.wish.group(&group.id);
    let (change, ahead) = wished.against(&group.effective());
    for words in ahead {
        round.tell(Kind::Drift, format!("{}: {words}", group.id));
    }
    for (field, value) in change.only(Field::is_fixed).iter() {
        let have = group.settings.get(field).map(ToString::to_string).unwrap_or_default();
        let words = format!("{}: {field:?} is {have}, not {value}: it is set at creation only", group.id);
        round.tell(Kind::Drift, words);
    }
    let upgrade = upgrade(&wished, group);
    let mut change = changes(round, group);
    if change.get(Field::Engine).is_some() && wished.get(Field::EngineVersion).is_none() {
        let words = "engineVersion: name one, because AWS changes the engine with its version only";
        return round.tell(Kind::Invalid, words);
    }
    if upgrade == Some(false) && matches!(round.wish.spec.parameters, Some(Parameters::Own { .. })) {
        // A group of the lower version's family does not fit.
        change = change.only(|field| field != Field::ParameterGroup);
    }
    let is_major = upgrade == Some(true);
    let of_version = |field: Field| field.is_of_version() || (is_major && field == Field::ParameterGroup);
    let on: Settings = change.iter().filter(|(field, _)| change.flag(*field) == Some(true)).map(owned).collect();
    let on = on.only(is_of_failover);
    // Without replicas there is nothing that takes over.
    let alone = !group.is_clustered() && group.shards.iter().any(|shard| shard.replicas() == 0);
    let hold = alone.then(|| "replicas come first".to_owned());
    send(round, group, on, true, hold.as_ref().or(gate));
    let others = change.only(|field| !of_version(field) && !is_of_failover(field) && field != Field::NodeType);
    let hold = others.get(Field::ParameterGroup).and(parameters).or(gate);
    send(round, group, others, false, hold);
    let version = change.only(of_version);
    if version.is_empty() {
        return;
    }
    let immediately = round.wish.when(Field::EngineVersion) == Some(When::Immediate);
    let hold = version.get(Field::ParameterGroup).and(parameters).or(gate).cloned();
    let when = if immediately { "now" } else { "in the maintenance window" };
    let call = Call::ModifyGroup { id: group.id.clone(), change: version, immediately };
    let planned = Planned::new(call).costs(format!("interrupts connections {when}")).hold(hold);
    let planned = match is_major {
        true => planned.consent(Allow::MajorUpgrade, "there is no way back from another engine or major version"),
        false => planned,
    };
    round.add(drags(round, group, planned, immediately));
}

fn owned((field, value): (Field, &crate::Value)) -> (Field, crate::Value) {
    (field, value.clone())
}

fn is_of_failover(field: Field) -> bool {
    matches!(field, Field::Failover | Field::MultiAz)
}

fn changes(round: &Round<'_>, group: &Group) -> Settings {
    round.wish.group(&group.id).against(&group.effective()).0.only(|field| !field.is_fixed())
}

fn send(round: &mut Round<'_>, group: &Group, change: Settings, immediately: bool, hold: Option<&String>) {
    if !change.is_empty() {
        let call = Call::ModifyGroup { id: group.id.clone(), change, immediately };
        let planned = Planned::new(call).hold(hold.cloned());
        round.add(drags(round, group, planned, immediately));
    }
}

/// Whether another engine or major version is wished that is higher, or lower, than what there is.
fn upgrade(wished: &Settings, group: &Group) -> Option<bool> {
    let key = |settings: &Settings| {
        let number = settings.text(Field::EngineVersion).and_then(|version| major(version).parse::<u32>().ok());
        settings.text(Field::Engine).map(str::to_owned).zip(number)
    };
    let have = key(&group.effective())?;
    let wish = key(wished)?;
    (wish != have).then_some(wish > have)
}
