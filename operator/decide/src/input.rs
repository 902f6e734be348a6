//! What the world shows at one tick.

use std::sync::Arc;

use serde::Serialize;

use crate::policy::Name;
use crate::sample::Sample;
use crate::time::{Duration, Time};

/// Everything that one tick looks at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// The time of this tick. A tick not later than the one before adds nothing to any history.
    pub now: Time,
    /// One entry per signal of [`Policy::demand`](crate::Policy::demand), in its order. A missing entry counts as no data.
    pub demand: Vec<DemandInput>,
    /// The latency, where the policy has a budget; missing counts as no data.
    pub latency: Option<LatencyInput>,
    /// Share of answers that are 5xx, 0 to 1, where known. Anything but a value is ignored.
    pub error_share: Option<Sample>,
    /// The counts of pods.
    pub replicas: Replicas,
    /// What the HPA's own metrics read, to say which of them holds the count. Explanation only.
    pub hpa_metrics: Vec<HpaMetric>,
    /// The state of a rolling update.
    pub rollout: Rollout,
    /// Floors that a person set for a while. Expired ones are ignored.
    pub holds: Vec<ManualHold>,
}

/// Readings of one demand signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DemandInput {
    /// The primary source first, then the ones to fail over to. Empty counts as no data.
    pub sources: Vec<SourceReading>,
}

/// What one source says of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceReading {
    /// Over the long range: the only one that may lower.
    pub long: Sample,
    /// Over the short range, where asked for: raises sooner. Anything but a value is ignored.
    pub short: Option<Sample>,
    /// `process_start_time_seconds` of the source, where known. A change starts a grace in which values only raise.
    pub started: Option<Time>,
}

/// What the latency source says.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyInput {
    /// The percentile or mean, in seconds.
    pub sample: Sample,
    /// Whether the histogram can tell the budget from its neighbours; see [`resolves`](crate::Latency::resolves). True for a mean.
    pub resolvable: bool,
    /// As [`SourceReading::started`].
    pub started: Option<Time>,
}

/// Counts of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// `spec.replicas` of the Deployment.
    pub desired: u32,
    /// `status.readyReplicas` of the Deployment.
    pub ready: u32,
    /// Pods that cannot be scheduled or have not started.
    pub pending: u32,
    /// `status.desiredReplicas` of the HPA, if there is one that works.
    pub hpa_desired: Option<u32>,
}

/// One metric of the HPA itself, from its status.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HpaMetric {
    /// Its name, such as `memory`.
    pub name: Name,
    /// The current value, in the unit of `target` (percent for resources).
    pub current: f64,
    /// The target, such as 80 for 80 %.
    pub target: f64,
}

/// A rolling update. Plain scaling is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Pods of an older template exist (`updatedReplicas < replicas`).
    pub active: bool,
    /// A change of the template has not been observed by the Deployment's controller yet.
    pub unobserved: bool,
    /// The Deployment reports `ProgressDeadlineExceeded`.
    pub stuck: bool,
    /// Pods of the newest template: a rollout in which this rises makes progress.
    pub updated: u32,
    /// How long it may make no progress, where the Deployment says so; else the tunable `rollout_deadline`.
    pub deadline: Option<Duration>,
}

/// A floor that a person set, until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManualHold {
    /// At least this many pods, within the policy's maximum.
    pub floor: u32,
    /// The end, exclusive.
    pub until: Time,
    /// Why, in the person's words.
    pub reason: Arc<str>,
    /// Who, where known.
    pub by: Option<Arc<str>>,
}

impl DemandInput {
    /// A signal of one source that does not report its start time.
    pub fn single(long: Sample, short: Option<Sample>) -> Self {
        Self { sources: vec![SourceReading { long, short, started: None }] }
    }
}

impl Replicas {
    /// The count that is wanted now: the greater of the Deployment's and the HPA's.
    pub fn observed(&self) -> u32 {
        self.desired.max(self.hpa_desired.unwrap_or(0))
    }
}

impl Rollout {
    /// Whether a rollout is under way, stuck or not.
    pub fn under_way(&self) -> bool {
        self.active || self.unobserved
    }
}
