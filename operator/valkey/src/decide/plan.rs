//! Which slots go where: evenly over the wished shards, with as few moves as can be.

use super::{
    Act, Move, Way,
    world::{Member, World},
};
use crate::{
    seen::{Memory, NodeId},
    slots::{SLOTS, Slots},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is still to move.
#[derive(Default)]
pub struct Plan {
    pub moves: Vec<Move>,
    /// Slots that are not where they shall be, those of moves that are held back included.
    pub left: u32,
    /// Pods whose slots cannot move, and why.
    pub held_back: BTreeMap<String, String>,
}

/// Of the data that arrive, free memory a server must have: its buffers and its own growth want room too. AWS asks for as much.
const ROOM: f64 = 1.5;

pub fn plan(world: &World<'_>) -> Plan {
    let primaries: Option<Vec<&Member<'_>>> = (0..world.wish.shards).map(|shard| world.primary(shard)).collect();
    let Some(primaries) = primaries else { return Plan::default() };
    let targets = targets(&primaries);
    let owners = world.members.iter().filter(|member| member.is_primary() && !member.owned().is_empty());
    let mut needs: Vec<(&Member<'_>, u32)> = Vec::new();
    let mut gives: Vec<(&Member<'_>, Slots)> = Vec::new();
    for primary in &primaries {
        let target = targets.get(&primary.cluster.id).copied().unwrap_or_default();
        needs.push((primary, target.saturating_sub(primary.owned().len())));
    }
    for owner in owners {
        let keeps = targets.get(&owner.cluster.id).copied().unwrap_or_default();
        let surplus = owner.owned().highest(owner.owned().len().saturating_sub(keeps));
        gives.push((owner, surplus));
    }
    let mut moves = Vec::new();
    for (from, mut surplus) in gives {
        for (to, need) in needs.iter_mut().filter(|(_, need)| *need > 0) {
            let slots = surplus.lowest(*need);
            if slots.is_empty() {
                break;
            }
            surplus = surplus.without(&slots);
            *need -= slots.len();
            moves.push((from, *to, slots));
        }
    }
    chosen(world, moves)
}

/// The wished number of slots of each primary: those that have most keep the odd ones.
fn targets(primaries: &[&Member<'_>]) -> BTreeMap<NodeId, u32> {
    let count = u32::try_from(primaries.len()).unwrap_or(u32::MAX).max(1);
    let (base, odd) = (u32::from(SLOTS) / count, u32::from(SLOTS) % count);
    let mut ranked: Vec<&&Member<'_>> = primaries.iter().collect();
    ranked.sort_by_key(|primary| (std::cmp::Reverse(primary.owned().len()), primary.pod.shard));
    let target = |i: usize| base + u32::from(i < odd as usize);
    ranked.iter().enumerate().map(|(i, primary)| (primary.cluster.id.clone(), target(i))).collect()
}

/// The moves for which there is room, those that failed last after the others.
fn chosen(world: &World<'_>, moves: Vec<(&Member<'_>, &Member<'_>, Slots)>) -> Plan {
    let mut plan = Plan { left: moves.iter().map(|(_, _, slots)| slots.len()).sum(), ..Plan::default() };
    let mut arriving: BTreeMap<&NodeId, f64> = BTreeMap::new();
    for (from, to, slots) in &moves {
        *arriving.entry(&to.cluster.id).or_default() += weight(from, slots);
    }
    let mut fit: Vec<Move> = Vec::new();
    for (from, to, slots) in moves {
        let weight = arriving.get(&to.cluster.id).copied().unwrap_or_default();
        if let Some(why) = no_room(&to.pod.name, &to.node.store.memory, weight) {
            plan.held_back.insert(from.name(), why);
            continue;
        }
        let way = if from.cluster.moves_slots && to.cluster.moves_slots { Way::Whole } else { Way::Keys };
        fit.push(Move { from: from.name(), to: to.name(), slots, way });
    }
    for one in &fit {
        if let Some(why) = failure(world, one) {
            plan.held_back.insert(one.from.clone(), why);
        }
    }
    fit.sort_by_key(|one| failure(world, one).is_some());
    plan.moves = fit;
    plan
}

/// Why a move between these two failed in the round before.
fn failure(world: &World<'_>, wanted: &Move) -> Option<String> {
    world.seen.failures.iter().find_map(|failure| match &failure.act {
        Act::Move(one) if (&one.from, &one.to) == (&wanted.from, &wanted.to) => Some(failure.error.to_string()),
        _ => None,
    })
}

/// Bytes that go with slots, taken to be as heavy as the others of their owner.
fn weight(from: &Member<'_>, slots: &Slots) -> f64 {
    let all = f64::from(from.owned().len().max(1));
    from.node.store.memory.data as f64 * f64::from(slots.len()) / all
}

fn no_room(pod: &str, memory: &Memory, arriving: f64) -> Option<String> {
    if memory.max == 0 || memory.evicts {
        return None;
    }
    let free = memory.max.saturating_sub(memory.used) as f64;
    let wanted = arriving * ROOM;
    let mib = |bytes: f64| bytes / 1024.0 / 1024.0;
    (wanted > free).then(|| {
        format!(
            "{pod} has {:.0} MiB free, and {:.0} MiB are wanted for what would arrive",
            mib(free),
            mib(wanted).ceil()
        )
    })
}

/// The moves that may go on at once. A node that takes slots gets a new epoch by it; were it a source as well, it would claim with
/// that epoch the slots that it has just handed away, and their new owner would drop them and their keys.
pub fn together(moves: Vec<Move>) -> Vec<Move> {
    let mut chosen: Vec<Move> = Vec::new();
    for one in moves {
        let clashes = chosen.iter().any(|other| other.from == one.from || other.from == one.to || other.to == one.from);
        if !clashes {
            chosen.push(one);
        }
    }
    chosen
}

/// What a move that was cut left open: to be gone on with, never back, for some keys may be there already.
pub fn open(world: &World<'_>) -> (Vec<Act>, Vec<Move>) {
    let mut close = Vec::new();
    let mut resumed: BTreeMap<(String, String), Slots> = BTreeMap::new();
    let markers = |member: &Member<'_>| {
        let open = member.cluster.migrating.iter().chain(&member.cluster.importing);
        open.map(|(slot, _)| *slot).collect::<Vec<_>>()
    };
    let slots: BTreeSet<u16> = world.members.iter().flat_map(markers).collect();
    for slot in slots {
        let Some(owner) = world.members.iter().find(|member| member.owned().contains(slot)) else { continue };
        if let Some(to) = destination(world, owner, slot) {
            resumed.entry((owner.name(), to.name())).or_default().insert(slot);
        } else {
            let holds = |member: &&Member<'_>| member.is_primary() && markers(member).contains(&slot);
            close.extend(world.members.iter().filter(holds).map(|member| Act::Close { pod: member.name(), slot }));
        }
    }
    let moves = resumed.into_iter().map(|((from, to), slots)| Move { from, to, slots, way: Way::Keys });
    (close, moves.collect())
}

/// Where an open slot was going: who its owner hands it to, or that node's successor, or who is taking it.
fn destination<'a, 'w>(world: &'w World<'a>, owner: &Member<'a>, slot: u16) -> Option<&'w Member<'a>> {
    let named = owner.cluster.migrating.iter().find(|(open, _)| *open == slot).and_then(|(_, id)| world.member(id));
    let successor = named.and_then(|member| world.primary(member.pod.shard));
    let taking = || {
        let takes = |member: &&Member<'a>| {
            member.is_primary() && member.cluster.importing.iter().any(|(open, _)| *open == slot)
        };
        world.members.iter().find(takes)
    };
    successor.or_else(taking).filter(|member| member.cluster.id != owner.cluster.id)
}

/// Whether a server moves slots by itself just now.
pub fn running(world: &World<'_>) -> bool {
    world.members.iter().any(|member| member.cluster.jobs.iter().any(crate::Job::running))
}
