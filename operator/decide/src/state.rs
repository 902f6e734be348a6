//! What earlier ticks left behind.

use serde::Serialize;

use crate::policy::Policy;
use crate::time::Time;

/// The memory of one app's decisions: bounded, opaque, and lost without harm. After a restart build it with
/// [`State::adopt`]: for one down window nothing is lowered then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    pub(crate) now: Time,
    pub(crate) floor: u32,
    pub(crate) cap: u32,
}

/// What a new process finds in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// `minReplicas` of the HPA, if it was written by this operator before.
    pub floor: Option<u32>,
    /// `maxReplicas` of that HPA.
    pub cap: Option<u32>,
    /// The count of pods that is wanted now; see [`Replicas::observed`](crate::Replicas::observed).
    pub observed: u32,
}

impl State {
    /// The state at a start, a change of leader, or the first sight of an app.
    pub fn adopt(policy: &Policy, now: Time, found: Adopted) -> Self {
        let floor = found.floor.unwrap_or(found.observed.min(policy.max_replicas));
        Self { now, floor, cap: found.cap.unwrap_or(policy.max_replicas).max(found.observed) }
    }

    /// The floor that was written last.
    pub fn floor(&self) -> u32 {
        self.floor
    }

    /// The cap that was written last.
    pub fn cap(&self) -> u32 {
        self.cap
    }
}
