//! Who knows whom: nodes are introduced to each other, and those that are gone are forgotten by all at once.

use super::{Act, world::World};

/// Introductions that are missing. From one node that owns slots to all others first: gossip does the rest; where it does not
/// (one-sided gossip is a fact), every pair is introduced.
pub fn introduce(world: &World<'_>) -> Vec<Act> {
    let members = &world.members;
    let Some(seed) = members.iter().find(|member| !member.owned().is_empty()).or(members.first()) else {
        return Vec::new();
    };
    let act =
        |via: &super::world::Member<'_>, pod: &super::world::Member<'_>| Act::Meet { via: via.name(), pod: pod.name() };
    let others = || members.iter().filter(|member| member.cluster.id != seed.cluster.id);
    let meets: Vec<Act> =
        others().filter(|other| !seed.knows(other) || !other.knows(seed)).map(|other| act(seed, other)).collect();
    if !meets.is_empty() {
        return meets;
    }
    let pairs = others().flat_map(|one| others().map(move |other| (one, other)));
    let strange = pairs.filter(|(one, other)| one.cluster.id != other.cluster.id && !one.knows(other));
    strange.map(|(one, other)| act(one, other)).collect()
}

/// Nodes without a slot that are no pod's any more. Only when every wanted pod answered, for it might be one that does not.
pub fn forget(world: &World<'_>) -> Vec<Act> {
    if !world.complete() || !world.strangers.is_empty() {
        return Vec::new();
    }
    let silent_member = world.silent().any(|sighting| !world.leaving(&sighting.pod) && sighting.pod.gate.is_none());
    if silent_member {
        return Vec::new();
    }
    let followed = |id: &crate::NodeId| world.members.iter().any(|member| member.follows(id));
    let gone = world.ghosts().into_iter().filter(|id| world.slots_of(id).is_empty() && !followed(id));
    gone.map(|id| {
        let on = world.members.iter().filter(|member| member.cluster.peer(&id).is_some()).map(|member| member.name());
        Act::Forget { on: on.collect(), id }
    })
    .collect()
}

/// Leavers that have nothing left.
pub fn reset(world: &World<'_>) -> Vec<Act> {
    let mut acts = Vec::new();
    for shard in world.shards().into_iter().filter(|shard| *shard >= world.wish.shards) {
        let drained = |member: &super::world::Member<'_>| {
            world.slots_of(&member.cluster.id).is_empty()
                && member.node.store.keys == 0
                && open(world, member).is_none()
        };
        if world.agreed() && !shard_is_silent(world, shard) && world.of_shard(shard).all(drained) {
            acts.extend(world.of_shard(shard).map(|member| Act::Reset { pod: member.name() }));
        }
    }
    acts
}

/// A slot that somebody hands to a node, or that it hands to somebody.
fn open(world: &World<'_>, member: &super::world::Member<'_>) -> Option<u16> {
    let id = &member.cluster.id;
    let named = |open: &[(u16, crate::NodeId)]| open.iter().find(|(_, other)| other == id).map(|(slot, _)| *slot);
    let others =
        world.members.iter().find_map(|other| named(&other.cluster.importing).or(named(&other.cluster.migrating)));
    let own = member.cluster.importing.iter().chain(&member.cluster.migrating).map(|(slot, _)| *slot).next();
    own.or(others)
}

/// Whether a pod of the shard did not answer, so that nobody knows what it holds.
pub fn shard_is_silent(world: &World<'_>, shard: u32) -> bool {
    world.silent().any(|sighting| sighting.pod.shard == shard)
}
