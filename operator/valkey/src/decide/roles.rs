//! Who is primary of a shard and who follows it.

use super::{
    Act,
    world::{Member, World},
};
use crate::{
    seen::NodeId,
    slots::{SLOTS, Slots},
};
use std::collections::BTreeSet;

/// The slots that shard `shard` of `shards` begins with.
pub fn share(shard: u32, shards: u32) -> Slots {
    let bound = |shard: u32| shard * u32::from(SLOTS) / shards.max(1);
    (bound(shard)..bound(shard + 1)).filter_map(|slot| u16::try_from(slot).ok()).collect()
}

/// Epochs of the first primaries, before they meet: so none of them is another's equal.
pub fn epochs(world: &World<'_>) -> Vec<Act> {
    let births = (0..world.wish.shards).filter_map(|shard| Some((shard, world.primary(shard)?)));
    let unset = births.filter(|(_, primary)| primary.is_fresh() && primary.cluster.epoch == 0);
    unset.map(|(shard, primary)| Act::SetConfigEpoch { pod: primary.name(), epoch: u64::from(shard) + 1 }).collect()
}

/// First owners of slots that never had one. Only while no server holds a key: then nothing can be lost.
pub fn first_slots(world: &World<'_>) -> Vec<Act> {
    if world.wish.formed || !world.complete() || world.members.iter().any(|member| member.node.store.keys > 0) {
        return Vec::new();
    }
    let free = Slots::all().without(&world.assigned());
    let shares = (0..world.wish.shards).filter_map(|shard| {
        let slots = share(shard, world.wish.shards).and(&free);
        let primary = world.primary(shard)?;
        (!slots.is_empty()).then(|| Act::AddSlots { pod: primary.name(), slots })
    });
    shares.collect()
}

/// Replicas that do not follow their shard's primary, or hold to where it was. A primary that has keys is never made a replica.
pub fn follow(world: &World<'_>) -> Vec<Act> {
    let mut acts = Vec::new();
    for member in &world.members {
        let Some(primary) = world.primary(member.pod.shard) else { continue };
        let own = primary.cluster.id == member.cluster.id;
        let follows = member.follows(&primary.cluster.id);
        let settled = follows && (member.holds_to(primary) || cannot_be_told_again(member));
        let holds_data = member.is_primary() && (!member.owned().is_empty() || member.node.store.keys > 0);
        if !own && !settled && !holds_data && member.knows(primary) {
            acts.push(Act::Replicate { pod: member.name(), primary: primary.name() });
        }
    }
    acts
}

/// Valkey takes the order to follow whom a replica follows already for done (seen with 9.1).
fn cannot_be_told_again(member: &Member<'_>) -> bool {
    member.node.server.starts_with("valkey")
}

/// A replica that holds to an old address of its primary, and lets go of it by nothing but a restart.
pub fn stuck(world: &World<'_>) -> Option<String> {
    let stuck = |member: &&Member<'_>| {
        let primary = world.primary(member.pod.shard).filter(|primary| member.follows(&primary.cluster.id));
        primary.is_some_and(|primary| !member.holds_to(primary)) && cannot_be_told_again(member)
    };
    world.complete().then(|| world.members.iter().find(stuck)).flatten().map(Member::name)
}

/// A replica that must lead without the others' votes: its primary's data are proved missing, and so many other primaries are away
/// that no election can be won.
pub fn take_over(world: &World<'_>) -> Option<Act> {
    let peers = world.members.iter().flat_map(|member| &member.cluster.peers);
    let owners: BTreeSet<&NodeId> = peers.filter(|peer| !peer.slots.is_empty()).map(|peer| &peer.id).collect();
    let alive = world.members.iter().filter(|member| owners.contains(&member.cluster.id)).count();
    if alive * 2 > owners.len() {
        return None;
    }
    (0..world.wish.shards).find_map(|shard| {
        let mut silent = world.silent().filter(|sighting| sighting.pod.shard == shard).peekable();
        silent.peek()?;
        if !silent.all(|sighting| sighting.pod.gate.is_some()) {
            return None;
        }
        let lost = |member: &&Member<'_>| {
            let lost = |id: &NodeId| world.member(id).is_none() && !world.slots_of(id).is_empty();
            member.myself.replica_of.as_ref().is_some_and(lost)
        };
        let heir = world.of_shard(shard).filter(lost).max_by_key(|member| member.node.offset)?;
        Some(Act::Failover { pod: heir.name(), takeover: true })
    })
}

/// Primaries that lead but shall not, because their pod is about to go, each with a replica in step that stays.
pub fn step_down(world: &World<'_>) -> Vec<Act> {
    let shards = (0..world.wish.shards).filter_map(|shard| {
        let primary = world.primary(shard)?;
        (!world.wanted(primary.pod) || primary.pod.terminating).then(|| heir(world, primary)).flatten()
    });
    shards.map(|heir| Act::Failover { pod: heir.name(), takeover: false }).collect()
}

/// Who may lead in a primary's place: in step, stays, is ready and does not want a restart itself, where there is such a one.
pub fn heir<'a, 'w>(world: &'w World<'a>, primary: &Member<'a>) -> Option<&'w Member<'a>> {
    let fit = |member: &&Member<'a>| {
        world.wanted(member.pod) && !member.pod.terminating && member.knows(primary) && member.in_step_with(primary)
    };
    let mut fit: Vec<_> = world.of_shard(primary.pod.shard).filter(fit).collect();
    fit.sort_by_key(|member| (!member.pod.ready, member.pod.outdated, std::cmp::Reverse(member.node.offset)));
    fit.first().copied()
}
