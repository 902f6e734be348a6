//! Replicas, node type and shards. AWS works on each for minutes, and may take it back: then it is not tried again before the
//! spec changes.

use super::{
    super::{Call, Field, Group, Settings, Usage, settings::size_order},
    GRACE, Round,
};
use crate::{Allow, Call as _, Kind, Planned, When};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// Free memory of the shards that stay, in halves of what the others hold. AWS asks for half as much again as is moved.
const ROOM_HALVES: u64 = 3;

/// The shape of a group, in words.
pub(super) fn shape(group: &Group) -> String {
    let mut replicas: Vec<u32> = group.shards.iter().map(|shard| shard.replicas()).collect();
    replicas.sort_unstable();
    let node_type = group.settings.text(Field::NodeType).unwrap_or_default();
    format!("{} shards with {replicas:?} replicas of {node_type}", group.shards.len())
}

/// What became of the last change of size; what keeps back the next, while that is not known.
pub(super) fn last(round: &mut Round<'_>, group: &Group) -> Option<String> {
    for (what, (words, _)) in round.memory.rolled_back.clone() {
        round.tell(Kind::ResizeRolledBack, format!("{what}: AWS took it back. {words}"));
    }
    let mut resize = round.memory.resize.clone()?;
    let is_back = shape(group) == resize.from;
    let changes = group.unready().is_some() || group.pending.get(Field::NodeType).is_some();
    if !changes && !is_back {
        round.memory.resize = None;
        return None;
    }
    // A look may be old: only what looks so for a while has an end.
    resize.back_since = if changes { None } else { resize.back_since.or(Some(round.now)) };
    if resize.back_since.is_none_or(|since| round.now.duration_since(since) < GRACE) {
        resize.accepted |= changes && (group.status == "modifying" || group.resharding);
        let what = resize.what.clone();
        round.memory.resize = Some(resize);
        return Some(format!("{what}, first"));
    }
    round.memory.resize = None;
    if resize.accepted {
        let newest = round.seen.events.iter().filter(|event| event.at >= resize.at).max_by_key(|event| event.at);
        let words = newest.map_or("It tells no reason".to_owned(), |event| format!("It tells: {}", event.message));
        let told = format!("{}: AWS took it back. {words}", resize.what);
        round.memory.rolled_back.insert(resize.what, (words, round.wish.generation));
        round.tell(Kind::ResizeRolledBack, told);
    }
    None
}

/// Plans a change of size, unless AWS took it back.
fn add(round: &mut Round<'_>, planned: Planned<Call>, gate: Option<&String>) {
    if !round.memory.rolled_back.contains_key(&planned.call.sentence()) {
        round.add(planned.hold(gate.cloned()));
    }
}

/// Adds replicas, or removes them.
pub(super) fn replicas(round: &mut Round<'_>, group: &Group, gate: Option<&String>) {
    let (id, wished) = (group.id.clone(), round.wish.spec.replicas);
    let which = |is: Ordering| {
        let of: BTreeSet<String> = group
            .shards
            .iter()
            .filter(|shard| shard.replicas().cmp(&wished) == is)
            .map(|shard| shard.id.clone())
            .collect();
        // All of them need no names, which AWS takes in cluster mode only.
        let all = of.len() == group.shards.len();
        (!of.is_empty()).then(|| if all { BTreeSet::new() } else { of })
    };
    if let Some(shards) = which(Ordering::Less) {
        let of = if shards.is_empty() { group.shards.len() } else { shards.len() };
        let call = Call::IncreaseReplicas { id: id.clone(), replicas: wished, shards };
        add(round, Planned::new(call).costs(format!("more nodes in {of} shards")), gate);
    }
    if let Some(shards) = which(Ordering::Greater) {
        let failover = wished == 0 && !group.is_clustered() && group.effective().flag(Field::Failover) == Some(true);
        let hold = failover.then(|| "automatic failover goes off first".to_owned());
        add(round, Planned::new(Call::DecreaseReplicas { id, replicas: wished, shards }).hold(hold), gate);
    }
}

/// Changes the node type: before the shards where it may get bigger now, after them otherwise.
pub(super) fn node_type(round: &mut Round<'_>, group: &Group, gate: Option<&String>, is_before: bool) {
    let wished = round.wish.group(&group.id).only(|field| field == Field::NodeType);
    let (change, _) = wished.against(&group.effective());
    let Some(to) = change.text(Field::NodeType) else { return };
    let from = group.settings.text(Field::NodeType).unwrap_or_default();
    let immediately = round.wish.when(Field::NodeType) == Some(When::Immediate);
    let grows = size_order(to, from) != Some(Ordering::Less);
    if (grows && immediately) != is_before {
        return;
    }
    let when = if immediately { "now" } else { "in the maintenance window" };
    let call = Call::ModifyGroup { id: group.id.clone(), change, immediately };
    let planned = Planned::new(call).costs(format!("another price; interrupts connections {when}"));
    add(round, drags(round, group, planned, immediately), gate);
}

/// With the word that it needs where it applies what waits.
pub(super) fn drags(round: &Round<'_>, group: &Group, planned: Planned<Call>, immediately: bool) -> Planned<Call> {
    // What waits by our own wish to have it at once is on its way already.
    let waits: Settings = group.pending.only(|field| round.wish.when(field) != Some(When::Immediate));
    if immediately && !waits.is_empty() && planned.consent.is_none() {
        return planned.consent(Allow::ApplyPending, format!("it also applies what waits for the window: {waits}"));
    }
    planned
}

/// Adds shards, or removes those with the highest ids.
pub(super) fn shards(round: &mut Round<'_>, group: &Group, gate: Option<&String>) {
    let (have, wished) = (group.shard_count(), round.wish.spec.shards);
    if have == wished || !group.is_clustered() {
        return;
    }
    let mut ids: Vec<&String> = group.shards.iter().map(|shard| &shard.id).collect();
    ids.sort_unstable();
    let remove: BTreeSet<String> = ids.into_iter().skip(wished as usize).cloned().collect();
    let call = Call::Reshard { id: group.id.clone(), shards: wished, remove: remove.clone() };
    let planned = Planned::new(call);
    let planned = if remove.is_empty() {
        planned.costs(format!("{} more shards; keys move meanwhile", wished - have))
    } else {
        let planned = planned.costs("keys move meanwhile");
        match room(group, &remove, &round.seen.usage).filter(|_| gate.is_none()) {
            Some(why) => planned.consent(Allow::RemoveShardsUnchecked, why),
            None => planned,
        }
    };
    add(round, planned, gate);
}

/// Why the shards that stay may have no room for what the others hold.
fn room(group: &Group, remove: &BTreeSet<String>, usage: &BTreeMap<String, Usage>) -> Option<String> {
    let unseen = group.shards.iter().map(|shard| &shard.id).filter(|id| !usage.contains_key(*id)).min();
    if let Some(id) = unseen {
        return Some(format!("how full shard {id} is cannot be seen"));
    }
    let (mut free, mut leaves) = (0u64, 0u64);
    for (id, usage) in group.shards.iter().filter_map(|shard| usage.get_key_value(&shard.id)) {
        if remove.contains(id) {
            leaves = leaves.saturating_add(usage.used);
        } else {
            free = free.saturating_add(usage.most.saturating_sub(usage.used));
        }
    }
    let has_room = free.saturating_mul(2) >= leaves.saturating_mul(ROOM_HALVES);
    (!has_room).then(|| {
        format!("{leaves} bytes leave, and {free} are free in the shards that stay: AWS needs 1.5 times as much, or takes it back")
    })
}
