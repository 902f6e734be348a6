//! The replicas: how each is, who may be sent readers, and how many pods there may be.

use super::{Look, slots};
use crate::{
    model::{GateReason, Pod, Role, StaleReads},
    seen::{PrimarySeen, ReplicaSeen, WalSender, Write},
};
use std::time::Duration;

/// A replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaView {
    /// Its number.
    pub ordinal: u32,
    /// How it is.
    pub state: ReplicaState,
    /// Bytes of the primary's log that it has not replayed.
    pub lag_bytes: Option<u64>,
    /// Age of the newest commit that it shows.
    pub lag: Option<Duration>,
    /// Bytes of log that the primary keeps for it.
    pub kept: Option<u64>,
    /// It may be sent readers.
    pub routable: bool,
    /// Time that its sessions have spent on statements, since it began to count.
    pub busy: Option<Duration>,
}

/// How a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// It has no pod.
    Missing,
    /// Its pod is going.
    Leaving,
    /// Its server does not answer yet, or no more.
    Starting,
    /// It is being cloned.
    Cloning,
    /// It follows, too far behind.
    Late,
    /// It follows.
    Streaming,
    /// It answers and does not follow.
    Alone,
    /// What it needs of the log is gone: it is cloned anew.
    Lost,
    /// It holds what the primary lacks: the primary's volume was set back. It must not follow, for it would mix two
    /// histories without noticing, and acknowledge commits that it does not have.
    Ahead,
    /// Its start script refuses to start it.
    Refused(GateReason),
    /// It sorts text in another way than the primary: answers by its indexes would be wrong.
    Mixed,
    /// The server at its address is another database's, or no replica.
    Stranger,
}

/// All replicas that are wished, are there, or may still come.
pub(super) fn view(look: &Look<'_>) -> Vec<ReplicaView> {
    let pods = look.seen.pods.iter().filter_map(|pod| match pod.role {
        Role::Replica(ordinal) => Some(ordinal + 1),
        Role::Primary => None,
    });
    let end = pods.chain([look.wanted, look.seen.replicas]).max().unwrap_or_default();
    (0..end).map(|ordinal| one(look, ordinal)).collect()
}

fn one(look: &Look<'_>, ordinal: u32) -> ReplicaView {
    let pod = look.seen.pod(Role::Replica(ordinal));
    let answer = look.seen.answer(ordinal);
    let sender = look.primary.and_then(|primary| sender(look, primary, ordinal));
    let state = state(look, ordinal, pod, answer, sender);
    let routable = pod.is_some_and(|pod| routable(look, ordinal, pod, state));
    ReplicaView {
        ordinal,
        state,
        lag_bytes: sender.and_then(|sender| sender.lag),
        lag: answer.filter(|answer| answer.streaming).and_then(|answer| answer.lag),
        busy: answer.and_then(|answer| answer.busy),
        kept: look.primary.and_then(|primary| slots::of(primary, ordinal)).map(|slot| slot.kept),
        routable,
    }
}

/// The primary's sender to a replica, not one of a clone.
fn sender<'a>(look: &Look<'_>, primary: &'a PrimarySeen, ordinal: u32) -> Option<&'a WalSender> {
    let name = look.wish.replica(ordinal);
    primary.senders.iter().find(|sender| sender.name == name && sender.state == "streaming")
}

fn state(
    look: &Look<'_>,
    ordinal: u32,
    pod: Option<&Pod>,
    answer: Option<&ReplicaSeen>,
    sender: Option<&WalSender>,
) -> ReplicaState {
    let Some(pod) = pod else { return ReplicaState::Missing };
    if pod.terminating {
        return ReplicaState::Leaving;
    }
    if let Some(answer) = answer {
        let expected = look.primary.map(|primary| &primary.settings.system_identifier);
        let known = look.wish.record.as_ref().map(|record| &record.system_identifier).or(expected);
        if !answer.settings.in_recovery || known.is_some_and(|known| *known != answer.settings.system_identifier) {
            return ReplicaState::Stranger;
        }
        if !answer.settings.collations.is_empty() {
            return ReplicaState::Mixed;
        }
    }
    let more = |primary: &PrimarySeen| answer.and_then(|answer| answer.received).is_some_and(|at| at > primary.current);
    if look.primary.is_some_and(more) {
        return ReplicaState::Ahead;
    }
    if look.primary.is_some_and(|primary| slots::is_lost(look, primary, ordinal)) {
        return ReplicaState::Lost;
    }
    match (answer, sender) {
        (Some(answer), Some(_)) if answer.lag.is_some_and(|lag| lag > look.wish.max_lag) => ReplicaState::Late,
        (_, Some(_)) => ReplicaState::Streaming,
        // Nobody contradicts it.
        (Some(answer), None) if answer.streaming && look.primary.is_none() => ReplicaState::Streaming,
        (Some(_), None) => ReplicaState::Alone,
        (None, None) if look.primary.is_some_and(|primary| slots::is_connected(look, primary, ordinal)) => {
            ReplicaState::Cloning
        }
        (None, None) => pod.gate.as_ref().map_or(ReplicaState::Starting, |gate| ReplicaState::Refused(gate.reason)),
    }
}

/// Unknown lag neither admits a replica nor takes its readers away; a leaving one gets no more of them.
fn routable(look: &Look<'_>, ordinal: u32, pod: &Pod, state: ReplicaState) -> bool {
    if ordinal >= look.wish.replicas || !pod.ready {
        return false;
    }
    let routed = look.seen.routed.contains(&ordinal);
    let lag = look.seen.answer(ordinal).and_then(|answer| answer.lag);
    match (state, look.primary) {
        (ReplicaState::Streaming, Some(_)) => routed || lag.is_some_and(|lag| lag <= look.wish.max_lag),
        (ReplicaState::Streaming | ReplicaState::Alone | ReplicaState::Starting, None) => {
            routed && look.wish.stale_reads == StaleReads::Serve
        }
        _ => false,
    }
}

/// Whether a replica follows the primary, however far behind.
pub(crate) fn follows(state: ReplicaState) -> bool {
    matches!(state, ReplicaState::Streaming | ReplicaState::Late)
}

/// How many pods the StatefulSet may have now. It grows at once; it shrinks when no reader is sent to those that leave, those
/// that stay follow, and commits that were acknowledged with the help of the leaving are on enough of the staying.
pub(super) fn allowed(look: &Look<'_>, replicas: &[ReplicaView]) -> (u32, Option<Held>) {
    let (now, wanted) = (look.seen.replicas, look.wanted);
    if now <= wanted {
        return (wanted, None);
    }
    let held = |held| (now, Some(held));
    let Some(primary) = look.primary else { return held(Held::PrimarySilent) };
    if let Some(ordinal) = look.seen.routed.iter().find(|ordinal| **ordinal >= wanted) {
        return held(Held::Routed(*ordinal));
    }
    let staying = replicas.iter().filter(|replica| replica.ordinal < wanted);
    if let Some(replica) = staying.clone().find(|replica| !follows(replica.state)) {
        return held(Held::NotFollowing(replica.ordinal));
    }
    let force = super::durability::in_force(primary);
    let leaving = |name: &String| look.wish.ordinal(name).is_none_or(|ordinal| ordinal >= wanted);
    if force.waits_for > 0 && (force.foreign || force.names.iter().any(leaving)) {
        return held(Held::Synchronous);
    }
    let Write::Done(written) = primary.write else { return held(Held::NoWrite) };
    let flushed = |ordinal| {
        let sender = sender(look, primary, ordinal);
        sender.and_then(|sender| sender.flushed).is_some_and(|flushed| flushed >= written)
    };
    let caught_up = staying.filter(|replica| flushed(replica.ordinal)).count();
    if caught_up < force.waits_for as usize {
        return held(Held::Synchronous);
    }
    (wanted, None)
}

/// Why the StatefulSet keeps more pods than are wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The primary does not answer.
    PrimarySilent,
    /// Readers are still sent to this one.
    Routed(u32),
    /// This one is to stay, and does not follow.
    NotFollowing(u32),
    /// Commits still wait for one that leaves, or those that stay lack what it has.
    Synchronous,
    /// No write was acknowledged.
    NoWrite,
}

impl Held {
    /// One sentence.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::PrimarySilent => "the primary does not answer".to_owned(),
            Self::Routed(ordinal) => format!("readers are still sent to replica {ordinal}"),
            Self::NotFollowing(ordinal) => format!("replica {ordinal}, which stays, does not follow"),
            Self::Synchronous => "commits that were acknowledged are not on enough of those that stay".to_owned(),
            Self::NoWrite => "no write was acknowledged".to_owned(),
        }
    }
}
