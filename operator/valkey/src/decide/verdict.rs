//! How a cluster is.

use super::{
    members, passwords,
    plan::Plan,
    restart::Step,
    world::{Member, World},
};
use crate::{
    seen::{Answer, Sighting},
    slots::Slots,
    view::{Figures, Rotation, Shard, ShardFigures, Verdict, View},
};
use std::collections::{BTreeMap, BTreeSet};

/// What the round decided so far.
pub struct Findings {
    pub plan: Plan,
    /// A slot is on its way.
    pub open: bool,
    pub restart: Step,
}

impl Default for Findings {
    fn default() -> Self {
        Self { plan: Plan::default(), open: false, restart: Step::Done }
    }
}

pub fn view(world: &World<'_>, findings: &Findings) -> (View, Figures) {
    let shards = world.shards().into_iter().chain(0..world.wish.shards).collect::<BTreeSet<_>>();
    let agreed = world.agreed();
    let rejoin = rejoin(world);
    let rotation = passwords::rotation(world.wish, world.seen);
    let removable = removable(world);
    let verdict = verdict(world, findings, &rejoin, &removable, rotation);
    let view = View {
        verdict,
        formed: world.wish.formed || (agreed && world.complete()),
        agreed,
        shards: shards.iter().map(|shard| (*shard, shard_view(world, *shard))).collect(),
        lead: None,
        primary: None,
        held: held(world),
        rejoin: rejoin.into_iter().collect(),
        removable,
        rotation,
    };
    let figures = shards.iter().filter_map(|shard| Some((*shard, shard_figures(world, *shard)?))).collect();
    (view, Figures { shards: figures, to_move: findings.plan.left })
}

fn followers<'a, 'w>(world: &'w World<'a>, primary: &'w Member<'a>) -> impl Iterator<Item = &'w Member<'a>> {
    world.of_shard(primary.pod.shard).filter(|member| member.cluster.id != primary.cluster.id)
}

fn shard_view(world: &World<'_>, shard: u32) -> Shard {
    let Some(primary) = world.primary(shard) else { return Shard::default() };
    let replicas: BTreeMap<String, bool> =
        followers(world, primary).map(|member| (member.name(), member.in_step_with(primary))).collect();
    let stay = followers(world, primary).filter(|member| world.wanted(member.pod));
    let in_step = stay.filter(|member| member.in_step_with(primary)).count();
    let may_shrink = world.wanted(primary.pod) && world.agreed() && in_step as u64 == u64::from(world.wish.replicas);
    Shard { primary: Some(primary.name()), replicas, may_shrink }
}

fn shard_figures(world: &World<'_>, shard: u32) -> Option<ShardFigures> {
    let primary = world.primary(shard)?;
    let behind = |member: &Member<'_>| primary.node.offset.saturating_sub(member.node.offset);
    Some(ShardFigures {
        slots: primary.owned().len(),
        keys: primary.node.store.keys,
        memory: primary.node.store.memory.used,
        memory_max: primary.node.store.memory.max,
        lag: followers(world, primary).map(behind).max(),
    })
}

/// Owners of slots, and their replicas in step.
fn held(world: &World<'_>) -> BTreeSet<String> {
    let holds = |member: &&Member<'_>| {
        let owner = world.primary(member.pod.shard).filter(|primary| !primary.owned().is_empty());
        owner.is_some_and(|primary| primary.cluster.id == member.cluster.id || member.in_step_with(primary))
    };
    world.members.iter().filter(holds).map(Member::name).collect()
}

/// Pods with missing data that others have: their shard's primary, or the members together all slots.
fn rejoin(world: &World<'_>) -> Vec<String> {
    let live = world.members.iter().fold(Slots::none(), |all, member| all.or(member.owned()));
    let owned = |shard: u32| world.primary(shard).is_some_and(|primary| !primary.owned().is_empty());
    let others_have = |pod: &&crate::Pod| owned(pod.shard) || live == Slots::all();
    world.gated().filter(others_have).map(|pod| pod.name.clone()).collect()
}

/// Shards that nobody needs, lists or hears of any more.
fn removable(world: &World<'_>) -> BTreeSet<u32> {
    let done = world.agreed() && world.complete() && world.ghosts().is_empty();
    let gone = |shard: &u32| {
        let fresh = world.answering.iter().filter(|member| member.pod.shard == *shard).all(Member::is_fresh);
        done && fresh && !members::shard_is_silent(world, *shard) && world.of_shard(*shard).next().is_none()
    };
    world.shards().into_iter().filter(|shard| *shard >= world.wish.shards).filter(gone).collect()
}

fn names<'a>(pods: impl Iterator<Item = &'a Sighting>) -> Vec<String> {
    pods.map(|sighting| sighting.pod.name.clone()).collect()
}

fn verdict(
    world: &World<'_>,
    findings: &Findings,
    rejoin: &[String],
    removable: &BTreeSet<u32>,
    rotation: Rotation,
) -> Verdict {
    lost(world, rejoin)
        .or_else(|| away(world))
        .or_else(|| unsettled(world))
        .or_else(|| changing(world, findings, removable))
        .unwrap_or(match rotation {
            Rotation::Settled => Verdict::Ready,
            Rotation::Spread | Rotation::Spreading => Verdict::Rotating,
        })
}

/// What only somebody from outside can mend.
fn lost(world: &World<'_>, rejoin: &[String]) -> Option<Verdict> {
    let has_heir = |shard: u32| world.of_shard(shard).any(|member| !member.is_primary());
    let missing = world.gated().filter(|pod| !rejoin.contains(&pod.name) && !has_heir(pod.shard));
    let pods: Vec<String> = missing.map(|pod| pod.name.clone()).collect();
    if !pods.is_empty() {
        return Some(Verdict::DataMissing { pods });
    }
    let orphaned = world.orphaned();
    let ghosts = world.ghosts();
    let heirs =
        world.members.iter().any(|member| member.myself.replica_of.as_ref().is_some_and(|id| ghosts.contains(id)));
    if !orphaned.is_empty() && !heirs {
        return Some(Verdict::SlotsLost { slots: orphaned.len() });
    }
    if let Some(stranger) = world.strangers.first() {
        return Some(Verdict::Stranger { pod: stranger.name() });
    }
    let free = Slots::all().without(&world.assigned());
    (world.wish.formed && world.complete() && !free.is_empty()).then(|| Verdict::SlotsLost { slots: free.len() })
}

/// Pods that are not there.
fn away(world: &World<'_>) -> Option<Verdict> {
    let silent = |with: fn(&Answer) -> bool| names(world.silent().filter(move |sighting| with(&sighting.answer)));
    let refused = silent(|answer| matches!(answer, Answer::Refused));
    if !refused.is_empty() {
        return Some(Verdict::Refused { pods: refused });
    }
    let formed = world.wish.formed || world.agreed() || world.members.iter().any(|member| member.node.store.keys > 0);
    if !formed {
        return Some(Verdict::Forming);
    }
    let electing =
        (0..world.wish.shards).find(|shard| world.primary(*shard).is_none() && world.of_shard(*shard).next().is_some());
    if let Some(shard) = electing {
        return Some(Verdict::FailingOver { to: format!("a replica of s{shard}") });
    }
    let here = |shard, ordinal| world.seen.sightings.iter().any(|s| s.pod.shard == shard && s.pod.ordinal == ordinal);
    let pods = (0..world.wish.shards).flat_map(|shard| (0..=world.wish.replicas).map(move |ordinal| (shard, ordinal)));
    let absent =
        pods.filter(|(shard, ordinal)| !here(*shard, *ordinal)).map(|(shard, ordinal)| format!("s{shard}-{ordinal}"));
    let silent_wanted =
        |sighting: &&Sighting| matches!(sighting.answer, Answer::Unreachable(_)) && world.wanted(&sighting.pod);
    let unreachable: Vec<String> = names(world.silent().filter(silent_wanted)).into_iter().chain(absent).collect();
    if !unreachable.is_empty() {
        return Some(Verdict::Unreachable { pods: unreachable });
    }
    let loading = silent(|answer| matches!(answer, Answer::Loading));
    (!loading.is_empty()).then_some(Verdict::Loading { pods: loading })
}

/// Servers that do not go together yet.
fn unsettled(world: &World<'_>) -> Option<Verdict> {
    if !world.agreed() || !world.acquainted() {
        return Some(Verdict::NotAgreed);
    }
    let behind: Vec<String> = world.out_of_step().into_iter().map(Member::name).collect();
    (!behind.is_empty()).then_some(Verdict::LinkDown { pods: behind })
}

/// What is being changed.
fn changing(world: &World<'_>, findings: &Findings, removable: &BTreeSet<u32>) -> Option<Verdict> {
    let outdated = names(world.seen.sightings.iter().filter(|s| s.pod.outdated && !world.leaving(&s.pod)));
    if !outdated.is_empty() {
        let waits = if let Step::Wait(why) = &findings.restart { Some(why.clone()) } else { None };
        return Some(Verdict::Restarting { pods: outdated, waits });
    }
    let leaving: Vec<u32> =
        world.shards().into_iter().filter(|shard| *shard >= world.wish.shards && !removable.contains(shard)).collect();
    if let Some((shards, why)) = blocked(world, findings, &leaving) {
        return Some(Verdict::ScaleInBlocked { shards, why });
    }
    if let Some(why) = findings.plan.held_back.values().next() {
        return Some(Verdict::MoveBlocked { why: why.clone() });
    }
    if findings.plan.left > 0 || findings.open {
        return Some(Verdict::Moving { left: findings.plan.left });
    }
    let surplus = world.seen.sightings.iter().any(|sighting| !world.wanted(&sighting.pod));
    surplus.then_some(Verdict::Leaving)
}

/// Shards that shall go and cannot.
fn blocked(world: &World<'_>, findings: &Findings, leaving: &[u32]) -> Option<(Vec<u32>, String)> {
    let why = |shard: u32| -> Option<String> {
        let silent = world.silent().find(|sighting| sighting.pod.shard == shard);
        if let Some(sighting) = silent {
            return Some(format!("{} does not answer", sighting.pod.name));
        }
        let held_back = |member: &Member<'_>| findings.plan.held_back.get(&member.pod.name).cloned();
        if let Some(why) = world.of_shard(shard).find_map(held_back) {
            return Some(why);
        }
        let keeps = world.of_shard(shard).find(|member| {
            let empty = member.owned().is_empty() && member.is_primary();
            empty && member.node.store.keys > 0 && findings.plan.left == 0
        })?;
        Some(format!("{} holds {} keys without a slot", keeps.pod.name, keeps.node.store.keys))
    };
    let stuck: Vec<(u32, String)> = leaving.iter().filter_map(|shard| Some((*shard, why(*shard)?))).collect();
    let first = stuck.first()?.1.clone();
    Some((stuck.into_iter().map(|(shard, _)| shard).collect(), first))
}
