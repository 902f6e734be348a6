//! Restarts: one at a time, in the order that the servers' limits ask for.

use super::{
    Look,
    replicas::{ReplicaState, ReplicaView},
    slots,
};
use crate::{
    config::Limits,
    model::Role,
    seen::{ConfigSeen, PrimarySeen, Write},
};
use std::collections::BTreeMap;

/// A pod to delete, so that its StatefulSet makes it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Which.
    pub role: Role,
    /// Why, for an event.
    pub why: String,
}

/// What is decided about restarts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Restarts {
    /// The one for now.
    pub(super) restart: Option<Restart>,
    /// All that need one, and why.
    pub(super) pending: Vec<(Role, String)>,
    /// Why none is for now.
    pub(super) waits: Option<&'static str>,
}

/// The limits that the primary's next start shall have, where the files say otherwise. They are raised when every replica
/// that runs has them, and lowered at once: then the primary is restarted before the replicas.
pub(super) fn primary_limits(look: &Look<'_>, primary: &PrimarySeen) -> BTreeMap<&'static str, String> {
    let target = target(look, primary);
    let differs =
        target.iter().zip(primary.settings.config.limits.iter()).filter(|((_, target), (_, file))| target != file);
    differs.map(|((name, target), _)| (name, target.to_string())).collect()
}

fn target(look: &Look<'_>, primary: &PrimarySeen) -> Limits {
    let wished = look.rendered.limits;
    if wished == primary.settings.limits || replicas_cover(look, wished) {
        return wished;
    }
    wished.min(primary.settings.limits)
}

/// Whether every replica that has a pod runs with at least these limits. One that does not answer may not.
fn replicas_cover(look: &Look<'_>, limits: Limits) -> bool {
    look.seen.pods.iter().all(|pod| match pod.role {
        Role::Primary => true,
        Role::Replica(ordinal) => {
            look.seen.answer(ordinal).is_some_and(|replica| replica.settings.limits.covers(limits))
        }
    })
}

pub(super) fn decide(look: &Look<'_>, replicas: &[ReplicaView]) -> Restarts {
    let pending: Vec<(Role, String)> = pending(look, replicas);
    let Some((role, why)) = pending.first().cloned() else { return Restarts::default() };
    let restart = |role, why| Restarts { restart: Some(Restart { role, why }), pending: pending.clone(), waits: None };
    let waits = |reason| Restarts { restart: None, pending: pending.clone(), waits: Some(reason) };

    if look.seen.pods.iter().any(|pod| pod.terminating && is_wanted(look, pod.role)) {
        return waits("another pod is restarting");
    }
    // What is broken is replaced first, and takes nothing from anybody.
    if let Some((role, why)) = pending.iter().find(|(role, _)| is_broken(look, *role, replicas)) {
        return restart(*role, why.clone());
    }
    if configs(look).any(|config| !config.errors.is_empty()) {
        return waits("the servers would not start with this configuration");
    }
    if !look.wish.may_restart {
        return waits("restarts are not allowed now");
    }
    let Some(primary) = look.primary else { return waits("the primary does not answer") };
    if !matches!(primary.write, Write::Done(_)) {
        return waits("a write waits");
    }
    if let Some(pod) = look.seen.pod(Role::Primary)
        && !pod.ready
    {
        return waits("the primary is not ready");
    }
    // One disruption at a time, and none into a clone.
    let unsettled = |replica: &ReplicaView| {
        !encrypts(look) && !matches!(replica.state, ReplicaState::Streaming | ReplicaState::Mixed)
    };
    let wanted = replicas.iter().filter(|replica| replica.ordinal < look.wanted);
    if wanted.clone().any(|replica| unsettled(replica) && role != Role::Replica(replica.ordinal)) {
        return waits("a replica does not follow yet");
    }
    if wanted.clone().any(|replica| matches!(replica.state, ReplicaState::Cloning | ReplicaState::Starting)) {
        return waits("a replica is starting");
    }
    // It follows, and yet nothing leads to it: whatever keeps it from its Services would do the same to the next pod.
    if look.seen.pods.iter().any(|pod| pod.role != role && is_wanted(look, pod.role) && !pod.ready) {
        return waits("another pod is not ready");
    }
    restart(role, why)
}

fn is_wanted(look: &Look<'_>, role: Role) -> bool {
    match role {
        Role::Primary => true,
        Role::Replica(ordinal) => ordinal < look.wanted,
    }
}

/// A server that does not serve, where a restart clones it anew or gives it a newer template.
fn is_broken(look: &Look<'_>, role: Role, replicas: &[ReplicaView]) -> bool {
    let pod = look.seen.pod(role);
    let outdated = pod.is_some_and(|pod| pod.outdated);
    let idle = |state| matches!(state, ReplicaState::Alone | ReplicaState::Refused(_) | ReplicaState::Stranger);
    let replica = replicas.iter().find(|replica| Role::Replica(replica.ordinal) == role);
    (outdated && pod.is_some_and(|pod| pod.stuck))
        || replica.is_some_and(|replica| {
            needs_clone(look, replica)
                || replica.state == ReplicaState::Ahead
                || (outdated && look.primary.is_some() && idle(replica.state))
        })
}

/// A replica whose server runs with data that cannot be continued: its start script clones it anew. One whose server does
/// not answer is in its start script already.
fn needs_clone(look: &Look<'_>, replica: &ReplicaView) -> bool {
    let Some(primary) = look.primary else { return false };
    let answers = look.seen.answer(replica.ordinal).is_some_and(|answer| !answer.streaming);
    let timeline = look.seen.answer(replica.ordinal).map(|answer| answer.settings.timeline);
    let older = timeline.is_some_and(|timeline| timeline < primary.settings.timeline);
    // Its slot was replaced in an earlier round.
    let replaced =
        slots::of(primary, replica.ordinal).is_some_and(|slot| slot.status == crate::seen::WalStatus::Unused);
    replica.ordinal < look.wanted
        && answers
        && match replica.state {
            ReplicaState::Lost => true,
            // Its start script asks where the primary's timeline was forked off.
            ReplicaState::Alone => replaced || older,
            _ => false,
        }
}

fn configs<'a>(look: &'a Look<'_>) -> impl Iterator<Item = &'a ConfigSeen> {
    let replicas =
        look.seen.replica.values().filter_map(|answer| answer.as_ref().ok()).map(|replica| &replica.settings);
    look.primary.map(|primary| &primary.settings).into_iter().chain(replicas).map(|settings| &settings.config)
}

/// Who needs a restart, in the order of their turns: replicas first, unless the primary lowers a limit or
/// gets certificates.
fn pending(look: &Look<'_>, replicas: &[ReplicaView]) -> Vec<(Role, String)> {
    let primary = primary_needs(look).map(|why| (Role::Primary, why));
    let replicas: Vec<_> = replicas
        .iter()
        .filter(|replica| replica.ordinal < look.wanted)
        .filter_map(|replica| Some((Role::Replica(replica.ordinal), replica_needs(look, replica)?)))
        .collect();
    let lowers = look.primary.is_some_and(|primary| !target(look, primary).covers(primary.settings.limits));
    if lowers || encrypts(look) {
        primary.into_iter().chain(replicas).collect()
    } else {
        replicas.into_iter().chain(primary).collect()
    }
}

/// Whether the primary is to get certificates: before its replicas, for one that has them follows no primary without, while
/// one without follows any.
fn encrypts(look: &Look<'_>) -> bool {
    let plain = look.seen.pod(Role::Primary).is_some_and(|pod| pod.outdated && !pod.tls);
    plain && look.wish.server.tls.is_some()
}

fn settings_sentence<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| format!("changed settings that need a restart: {}", names.join(", ")))
}

fn differing(from: Limits, to: Limits) -> impl Iterator<Item = &'static str> {
    from.iter().zip(to.iter()).filter(|((_, from), (_, to))| from != to).map(|((name, _), _)| name)
}

const OUTDATED: &str = "the pod was made from an older template";

fn primary_needs(look: &Look<'_>) -> Option<String> {
    let outdated = look.seen.pod(Role::Primary).is_some_and(|pod| pod.outdated);
    if outdated {
        return Some(OUTDATED.to_owned());
    }
    let primary = look.primary?;
    let settings = &primary.settings;
    if settings.config.file.as_ref() != Some(&look.rendered.mark) {
        return None;
    }
    if let Some(why) = settings_sentence(settings.pending_restart.iter().map(String::as_str)) {
        return Some(why);
    }
    // Only once the files say what the next start shall have.
    let target = target(look, primary);
    if settings.config.limits == target
        && let Some(why) = settings_sentence(differing(settings.limits, target))
    {
        return Some(why);
    }
    setup_pending(look, primary).then(|| "the primary's pod has a setup to run".to_owned())
}

/// Whether the primary's pod has something to do that only it can: passwords of ours, or extensions that its image has.
pub(super) fn setup_pending(look: &Look<'_>, primary: &PrimarySeen) -> bool {
    let applied = primary.settings.config.setup.as_deref();
    let setup = &look.rendered.setup;
    let possible = missing_extensions(look, primary).any(|(_, extension)| primary.available.contains(extension));
    !setup.failed(applied) && (setup.lacks_base(applied) || (setup.lacks_extensions(applied) && possible))
}

/// Extensions that are wished and not there, each with its database.
pub(super) fn missing_extensions<'a>(
    look: &'a Look<'_>,
    primary: &'a PrimarySeen,
) -> impl Iterator<Item = (&'a str, &'a String)> {
    look.wish.databases.iter().flat_map(|database| {
        let there = primary.extensions.get(&database.name);
        let missing = database.extensions.iter().filter(move |name| there.is_some_and(|there| !there.contains(*name)));
        missing.map(|extension| (database.name.as_str(), extension))
    })
}

fn replica_needs(look: &Look<'_>, replica: &ReplicaView) -> Option<String> {
    if needs_clone(look, replica) {
        return Some("its data cannot be continued: its start script clones it anew".to_owned());
    }
    if replica.state == ReplicaState::Ahead {
        return Some("it holds what the primary lacks: its start script stops it from following".to_owned());
    }
    let pod = look.seen.pod(Role::Replica(replica.ordinal))?;
    if pod.outdated {
        return Some(OUTDATED.to_owned());
    }
    let settings = &look.seen.answer(replica.ordinal)?.settings;
    if settings.config.file.as_ref() != Some(&look.rendered.mark) {
        return None;
    }
    if let Some(why) = settings_sentence(settings.pending_restart.iter().map(String::as_str)) {
        return Some(why);
    }
    let wished = look.rendered.limits;
    let raised = settings_sentence(differing(settings.limits, wished).filter(|_| !settings.limits.covers(wished)));
    raised.or_else(|| {
        settings_sentence(differing(settings.limits, wished)).filter(|_| has_lowered(look, replica.ordinal))
    })
}

/// Whether the primary runs with the wished limits and this replica knows it: otherwise a restart would keep the higher ones.
fn has_lowered(look: &Look<'_>, ordinal: u32) -> bool {
    let Some(primary) = look.primary else { return false };
    let Write::Done(written) = primary.write else { return false };
    let replayed = look.seen.answer(ordinal).and_then(|replica| replica.replayed);
    look.rendered.limits.covers(primary.settings.limits) && replayed.is_some_and(|replayed| replayed >= written)
}
