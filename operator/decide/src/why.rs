//! Why a stage left the number it left, as data.

use std::sync::Arc;

use serde::Serialize;

use crate::bottleneck::Bottleneck;
use crate::budget::CapLimit;
use crate::decision::SignalState;
use crate::policy::Name;
use crate::tiers::TierKind;
use crate::time::{Duration, Time};

/// What set the floor, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// A demand signal.
    Demand,
    /// Latency over budget.
    Latency,
    /// A rollout kept demand from raising it further.
    Rollout,
    /// A tier that makes requests slow, so that more pods would not help.
    Bottleneck,
    /// A source that counts as down.
    Fallback,
    /// A schedule.
    Schedule,
    /// A person.
    ManualHold,
    /// The policy's minimum.
    Minimum,
    /// Something forbids lowering at this tick.
    Held,
    /// The windows.
    Stabilising,
    /// The behaviour's speed.
    Ramping,
    /// The cap.
    Cap,
}

/// Why a stage left the number it left.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Size: the policy names no demand signal.
    NoDemandSignal,
    /// Size: no signal has a value.
    NoValue,
    /// Size: every signal with a value is idle.
    Idle {
        /// The signal.
        signal: Name,
        /// Its value.
        value: f64,
        /// Its unit.
        unit: &'static str,
    },
    /// Size: the signal that asks for most.
    Demand {
        /// The signal.
        signal: Name,
        /// Its value.
        value: f64,
        /// Its unit.
        unit: &'static str,
        /// What a pod carries.
        per_pod: f64,
        /// Pods that this value needs.
        need: u32,
        /// Pods asked for.
        proposal: u32,
    },
    /// Correct: nothing to correct.
    CapacityAsPlanned,
    /// Correct: pods carry less than planned.
    CapacityCorrected {
        /// The factor.
        k: f64,
        /// What a pod carries with it.
        per_pod: f64,
    },
    /// Restrain: no rollout.
    NoRollout,
    /// Restrain: a rollout, and no more demand than before it.
    RolloutUnrestrained,
    /// Restrain: demand above the one before the rollout does not count yet.
    RolloutRestrained {
        /// Demand before the rollout.
        before: f64,
        /// Its unit.
        unit: &'static str,
    },
    /// Restrain: pods of this app would not help.
    Bottleneck(Bottleneck),
    /// Raise: nothing asks for more.
    NothingHigher,
    /// Raise: the policy's minimum.
    Minimum {
        /// Pods.
        min: u32,
    },
    /// Raise: a signal in fallback.
    Fallback {
        /// The signal.
        signal: Name,
        /// Pods held since it entered fallback.
        replicas: u32,
    },
    /// Raise: a schedule.
    Schedule {
        /// Its name.
        name: Name,
        /// Pods it asks for at full.
        full: u32,
    },
    /// Raise: a person.
    ManualHold {
        /// Until when.
        until: Time,
        /// The person's reason.
        reason: Arc<str>,
        /// Who.
        by: Option<Arc<str>>,
    },
    /// Hold: nothing forbids lowering.
    Free,
    /// Hold: a required signal has no value that may lower.
    SignalNotFull {
        /// The signal.
        signal: Name,
        /// Its state.
        state: SignalState,
    },
    /// Hold: latency over budget.
    OverBudget {
        /// The latency in seconds.
        value: f64,
        /// The budget in seconds.
        budget: f64,
    },
    /// Hold: a rollout.
    RolloutHolds,
    /// Stabilise: nothing to do.
    Steady,
    /// Stabilise: the least candidate of the up window.
    UpWindow {
        /// The window.
        window: Duration,
    },
    /// Stabilise: the greatest candidate of the down window.
    DownWindow {
        /// The window.
        window: Duration,
    },
    /// Stabilise: the history is shorter than the down window.
    HistoryTooShort {
        /// Until when.
        until: Time,
    },
    /// Stabilise: too little of the down window had trusted values.
    TooFewValues {
        /// The share that had.
        share: f64,
        /// The share that is needed.
        needed: f64,
    },
    /// Stabilise: too few pods were Ready, which makes low demand suspect.
    TooFewReady {
        /// The share that was Ready.
        share: f64,
        /// The share that is needed.
        needed: f64,
    },
    /// Stabilise: more errors than usual, which makes low demand suspect.
    MoreErrors {
        /// The share now.
        share: f64,
        /// The usual share.
        usual: f64,
    },
    /// Stabilise: demand collapsed.
    Collapsed {
        /// The signal.
        signal: Name,
        /// Until when.
        until: Time,
    },
    /// Ramp: within the behaviour's speed.
    WithinSpeed,
    /// Ramp: the behaviour allows no more for now.
    SpeedUp,
    /// Ramp: the behaviour allows no less for now.
    SpeedDown,
    /// Ramp: the behaviour disables this direction.
    DirectionDisabled,
    /// Ramp: a tier that the app leans on grows first.
    TierFirst {
        /// The tier.
        tier: Name,
        /// Its kind.
        kind: TierKind,
        /// Until then at most.
        until: Time,
    },
    /// Bound: within the cap.
    WithinCap,
    /// Bound: the policy's maximum.
    Maximum {
        /// Pods.
        max: u32,
    },
    /// Bound: a schedule's cap.
    ScheduleCap {
        /// Its name.
        name: Name,
        /// Pods.
        cap: u32,
    },
    /// Bound: what the connections of a database allow.
    Connections(CapLimit),
    /// Bound: the cap on its way down.
    CapFalling {
        /// Pods.
        cap: u32,
    },
}

impl Why {
    /// The word for it where it decided.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::NoDemandSignal | Self::NoValue | Self::Idle { .. } | Self::Demand { .. } => Reason::Demand,
            Self::CapacityAsPlanned | Self::CapacityCorrected { .. } => Reason::Latency,
            Self::NoRollout | Self::RolloutUnrestrained | Self::RolloutRestrained { .. } => Reason::Rollout,
            Self::Bottleneck(_) => Reason::Bottleneck,
            Self::NothingHigher | Self::Minimum { .. } => Reason::Minimum,
            Self::Fallback { .. } => Reason::Fallback,
            Self::Schedule { .. } => Reason::Schedule,
            Self::ManualHold { .. } => Reason::ManualHold,
            Self::Free | Self::SignalNotFull { .. } | Self::OverBudget { .. } | Self::RolloutHolds => Reason::Held,
            Self::Steady
            | Self::UpWindow { .. }
            | Self::DownWindow { .. }
            | Self::HistoryTooShort { .. }
            | Self::TooFewValues { .. }
            | Self::TooFewReady { .. }
            | Self::MoreErrors { .. }
            | Self::Collapsed { .. } => Reason::Stabilising,
            Self::WithinSpeed | Self::SpeedUp | Self::SpeedDown | Self::DirectionDisabled | Self::TierFirst { .. } => {
                Reason::Ramping
            }
            Self::WithinCap
            | Self::Maximum { .. }
            | Self::ScheduleCap { .. }
            | Self::Connections(_)
            | Self::CapFalling { .. } => Reason::Cap,
        }
    }
}
