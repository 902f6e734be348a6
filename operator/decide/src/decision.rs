//! What one tick decided, and everything needed to explain it. Text is only made when asked for.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::bottleneck::Bottleneck;
use crate::policy::Name;
use crate::sample::{Doubt, NotANumber, SourceError};
use crate::time::{Duration, Time};
use crate::why::{Reason, Why};
use crate::write::Write;

/// The outcome of one tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The time of the tick.
    pub at: Time,
    /// The recommended least count of pods, whether paused or not.
    pub floor: u32,
    /// The recommended greatest count of pods, whether paused or not.
    pub cap: u32,
    /// What to write now: the recommendation, less what a pause suppresses.
    pub write: Write,
    /// What set the floor, as one word for status and metrics.
    pub reason: Reason,
    /// Every demand signal, in the policy's order.
    pub signals: Vec<SignalReport>,
    /// The latency, where the policy has a budget.
    pub latency: Option<LatencyReport>,
    /// The stages in order. Each begins with the number that the one before left; the last ends with `floor`.
    pub stages: Vec<Stage>,
    /// Whether the required signals have values; `None` where the policy names no signal.
    pub metrics: Option<MetricsAvailable>,
    /// Everything else that a person should know.
    pub findings: Vec<Finding>,
    /// A tier that makes requests slow, so that more pods would not help.
    pub bottleneck: Option<Bottleneck>,
    /// What holds the count of pods where it is.
    pub held_by: HeldBy,
    /// At which values the floor would move.
    pub would_scale_if: Vec<Hint>,
}

/// One demand signal at this tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignalReport {
    /// Its name in the policy.
    pub name: Name,
    /// Its unit.
    pub unit: &'static str,
    /// The state of the sample that counts.
    pub state: SignalState,
    /// The value over the long range, if any.
    pub value: Option<f64>,
    /// The value that raising looks at: the greater of both ranges.
    pub raise_value: Option<f64>,
    /// Age of the newest raw sample, where known.
    pub age: Option<Duration>,
    /// Pods that this signal asks for by itself, corrected by latency; `None` without a value.
    pub proposal: Option<u32>,
    /// The factor that latency puts on the capacity of a pod, from `k_min` to 1.
    pub k: f64,
    /// What a pod is planned to carry, `k` included.
    pub per_pod: f64,
    /// Where it stands between health and fallback.
    pub failure: FailureState,
    /// Which source answered: 0 is the primary; the number of sources stands for the constant.
    pub source: usize,
}

/// The latency at this tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LatencyReport {
    /// Its name in the policy.
    pub name: Name,
    /// The state of the sample.
    pub state: SignalState,
    /// The value in seconds, if any.
    pub value: Option<f64>,
    /// The budget in seconds.
    pub budget: f64,
    /// Age of the newest raw sample, where known.
    pub age: Option<Duration>,
    /// The factor on the capacity of a pod, from `k_min` to 1.
    pub k: f64,
    /// Over budget, with a trusted value.
    pub over_budget: bool,
    /// Added pods are on trial until they have settled.
    pub on_trial: bool,
}

/// The state of a signal's sample, without its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// A value that may raise and lower.
    Full,
    /// A value that may only raise.
    RaiseOnly(Doubt),
    /// No series matched.
    NoData,
    /// No series matched for long, either.
    SeriesNeverSeen,
    /// The series holds fewer than two samples in this range.
    TooFewSamples(Duration),
    /// Not a number.
    NotANumber(NotANumber),
    /// Too old.
    Stale(Duration),
    /// More than one series, differing in this label.
    Ambiguous(u32, Arc<str>),
    /// The query failed.
    Error(SourceError),
}

/// Where a signal stands between health and fallback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum FailureState {
    /// The source answers.
    #[default]
    Healthy,
    /// It has failed, but not yet often and long enough.
    Failing,
    /// It counts as down: the fallback holds.
    Fallback,
    /// It answers again, but not yet often and long enough: it may only raise.
    Recovering,
}

/// One stage of the decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Which.
    pub name: StageName,
    /// The number of pods that it got.
    pub before: u32,
    /// The number of pods that it left.
    pub after: u32,
    /// Why, as a sentence when displayed.
    pub why: Why,
}

/// The stages, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StageName {
    /// Demand to pods.
    Size,
    /// Latency over budget: pods carry less than planned.
    Correct,
    /// A rolling update must not look like demand.
    Restrain,
    /// Fallback, schedules, manual holds and the minimum.
    Raise,
    /// What forbids lowering at this tick.
    Hold,
    /// The windows, and what forbids lowering over them.
    Stabilise,
    /// The behaviour's speed.
    Ramp,
    /// The cap.
    Bound,
}

/// Whether the required signals have values: the condition `MetricsAvailable`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsAvailable {
    /// True where every required signal has a value.
    pub status: bool,
    /// Why, as one word.
    pub reason: MetricsReason,
    /// The signal that decided, with its state; none where all is well.
    pub signal: Option<(Name, SignalState)>,
    /// The fallback that holds meanwhile, if one does.
    pub fallback: Option<u32>,
}

/// Reasons of [`MetricsAvailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum MetricsReason {
    /// All required signals have values.
    Available,
    /// They have, but some may only raise for now.
    Settling,
    /// A query matched nothing.
    NoSeries,
    /// A selector matched nothing for long, either: most likely a misspelt name.
    SeriesNeverSeen,
    /// NaN, an infinity, or below zero.
    NotANumber,
    /// The newest raw sample is too old.
    StaleSample,
    /// More than one series.
    AmbiguousResult,
    /// The source does not answer.
    SourceUnavailable,
    /// The source cannot answer until someone changes something.
    SourceMisconfigured,
}

/// Something that a person should know, besides missing metrics.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The last pods added for latency changed nothing: the cause lies elsewhere.
    LatencyNotHelpedByPods {
        /// Until then no pods are added for latency.
        until: Time,
    },
    /// The histogram cannot tell the budget from its neighbours.
    BudgetNotResolvable {
        /// The budget in seconds.
        budget: f64,
    },
    /// A rollout makes no progress; it no longer freezes scaling.
    RolloutStuck,
    /// A planned floor lies above a planned cap; the floor wins.
    ScheduleConflict {
        /// Who sets the floor.
        floor_by: Name,
        /// The floor.
        floor: u32,
        /// Who sets the cap.
        cap_by: Name,
        /// The cap.
        cap: u32,
    },
    /// Demand fell by more than half at once, which an outage looks like; the floor is held.
    DemandCollapsed {
        /// The signal.
        signal: Name,
        /// Until then.
        until: Time,
    },
}

/// What holds the count of pods.
#[derive(Clone, Debug, PartialEq)]
pub enum HeldBy {
    /// The floor.
    Floor {
        /// Pods.
        floor: u32,
    },
    /// The cap.
    Cap {
        /// Pods.
        cap: u32,
    },
    /// A metric of the HPA asks for more than the floor.
    HpaMetric {
        /// Its name.
        name: Name,
        /// Its current value.
        current: f64,
        /// Its target.
        target: f64,
        /// Pods now.
        observed: u32,
        /// Pods it asks for.
        wants: u32,
        /// The floor.
        floor: u32,
    },
    /// The HPA keeps more than the floor, by its own windows or by metrics that are not known here.
    Hpa {
        /// Pods now.
        observed: u32,
        /// The floor.
        floor: u32,
    },
}

/// A value at which the floor would move.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hint {
    /// The signal.
    pub signal: Name,
    /// Its unit.
    pub unit: &'static str,
    /// Above this value the signal asks for more than the floor; `None` at the cap.
    pub raises_above: Option<f64>,
    /// At or below this value, for long enough, it asks for less; `None` at the minimum.
    pub lowers_at: Option<f64>,
}

impl SignalState {
    /// Whether it may lower.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }

    /// The reason that it gives to the condition.
    pub fn metrics_reason(&self) -> MetricsReason {
        match self {
            Self::Full => MetricsReason::Available,
            // A constant stands in for a source that does not answer.
            Self::RaiseOnly(Doubt::Constant) => MetricsReason::SourceUnavailable,
            Self::RaiseOnly(_) => MetricsReason::Settling,
            Self::NoData | Self::TooFewSamples(_) => MetricsReason::NoSeries,
            Self::SeriesNeverSeen => MetricsReason::SeriesNeverSeen,
            Self::NotANumber(_) => MetricsReason::NotANumber,
            Self::Stale(_) => MetricsReason::StaleSample,
            Self::Ambiguous(..) => MetricsReason::AmbiguousResult,
            Self::Error(error) if error.kind.is_misconfiguration() => MetricsReason::SourceMisconfigured,
            Self::Error(_) => MetricsReason::SourceUnavailable,
        }
    }
}

impl MetricsReason {
    /// The word for the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Settling => "Settling",
            Self::NoSeries => "NoSeries",
            Self::SeriesNeverSeen => "SeriesNeverSeen",
            Self::NotANumber => "NotANumber",
            Self::StaleSample => "StaleSample",
            Self::AmbiguousResult => "AmbiguousResult",
            Self::SourceUnavailable => "SourceUnavailable",
            Self::SourceMisconfigured => "SourceMisconfigured",
        }
    }

    /// Whether the condition is true.
    pub fn is_available(self) -> bool {
        matches!(self, Self::Available | Self::Settling)
    }
}

impl Finding {
    /// The word for the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::LatencyNotHelpedByPods { .. } => "LatencyNotHelpedByPods",
            Self::BudgetNotResolvable { .. } => "BudgetNotResolvable",
            Self::RolloutStuck => "RolloutStuck",
            Self::ScheduleConflict { .. } => "ScheduleConflict",
            Self::DemandCollapsed { .. } => "DemandCollapsed",
        }
    }
}

/// Serializes what has a word and a sentence as `{"reason": ..., "message": ...}`.
fn reason_and_message<S: Serializer>(
    serializer: S,
    status: Option<bool>,
    reason: &str,
    message: &dyn fmt::Display,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(None)?;
    if let Some(status) = status {
        map.serialize_entry("status", &status)?;
    }
    map.serialize_entry("reason", reason)?;
    map.serialize_entry("message", &message.to_string())?;
    map.end()
}

impl Serialize for MetricsAvailable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        reason_and_message(serializer, Some(self.status), self.reason.as_str(), self)
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        reason_and_message(serializer, None, self.reason(), self)
    }
}

impl Serialize for HeldBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SignalState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
