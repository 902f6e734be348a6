//! Which pod may restart now, to come back with its newest template: replicas first, a primary only after it has handed over.

use super::{
    Act, roles,
    world::{Member, World},
};
use crate::{
    model::Pod,
    seen::{Answer, Sighting},
};

/// The next step of restarts.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// This pod may go.
    Restart(String),
    /// First this.
    First(Act),
    /// Not now.
    Wait(String),
    /// There is none to restart.
    Done,
}

/// A pod that serves nobody as it is: its old template may be the reason.
pub fn broken(seen: &crate::Seen) -> Option<String> {
    let serves_nobody = |sighting: &&Sighting| {
        let pod = &sighting.pod;
        pod.outdated
            && !pod.ready
            && !pod.terminating
            && matches!(sighting.answer, Answer::Unreachable(_) | Answer::Refused)
    };
    seen.sightings.iter().find(serves_nobody).map(|sighting| sighting.pod.name.clone())
}

/// A pod of the newest template that no Service leads to: whatever keeps it out of them would do the same to the next pod.
pub fn unready<'a>(mut pods: impl Iterator<Item = &'a Pod>) -> Option<Step> {
    let pod = pods.find(|pod| !pod.outdated && !pod.ready && !pod.terminating)?;
    Some(Step::Wait(format!("{} is not ready", pod.name)))
}

/// `quiet`: everything else is as wished, or is not touched by a restart.
pub fn step(world: &World<'_>, quiet: bool) -> Step {
    let outdated: Vec<&Member<'_>> =
        world.members.iter().filter(|member| member.pod.outdated && !world.leaving(member.pod)).collect();
    if outdated.is_empty() {
        return Step::Done;
    }
    if world.members.iter().any(|member| member.pod.terminating) || !world.complete() {
        return Step::Wait("a pod is not back yet".to_owned());
    }
    let primary = |member: &Member<'_>| world.primary(member.pod.shard);
    let leads = |member: &Member<'_>| primary(member).is_some_and(|primary| primary.cluster.id == member.cluster.id);
    let replicas: Vec<_> = outdated.iter().filter(|member| !leads(member) && !member.is_primary()).collect();
    let behind = replicas.iter().find(|member| primary(member).is_some_and(|primary| !member.in_step_with(primary)));
    if let (Some(member), true) = (behind, world.agreed()) {
        return Step::Restart(member.name());
    }
    if !quiet {
        return Step::Wait("the servers do not agree, or a replica is not in step".to_owned());
    }
    if let Some(member) = world.members.iter().find(|member| member.node.rewriting) {
        return Step::Wait(format!("{} is writing its data to its volume", member.pod.name));
    }
    if let Some(wait) = unready(world.members.iter().map(|member| member.pod)) {
        return wait;
    }
    if let Some(member) = replicas.first() {
        return Step::Restart(member.name());
    }
    let Some(leader) = outdated.first() else { return Step::Done };
    if let Some(heir) = roles::heir(world, leader).filter(|heir| !heir.pod.outdated) {
        return Step::First(Act::Failover { pod: heir.name(), takeover: false });
    }
    if world.wish.replicas == 0 {
        return Step::Restart(leader.name());
    }
    Step::Wait(format!("no replica of {} is in step with it", leader.pod.name))
}
