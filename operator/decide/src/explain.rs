//! Sentences for people. Everything here is data until displayed, so that a tick that nobody looks at costs no text.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::decision::{Finding, HeldBy, MetricsAvailable, MetricsReason, SignalState, StageName};
use crate::policy::Name;
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
    /// Bound: the cap on its way down.
    CapFalling {
        /// Pods.
        cap: u32,
    },
}

/// A number with at most three digits after the point and no trailing zeros.
pub(crate) struct Num(pub(crate) f64);

impl fmt::Display for Num {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 1000.0).round() / 1000.0;
        // Rounding overflows for huge numbers and hides tiny ones: those are written as they are.
        if !rounded.is_finite() || (rounded == 0.0 && self.0 != 0.0) {
            return write!(f, "{:e}", self.0);
        }
        write!(f, "{rounded}")
    }
}

struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", Num((self.0 * 1000.0).round() / 10.0))
    }
}

struct Pods(u32);

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pod{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

impl Why {
    /// The word for it where it decided.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::NoDemandSignal | Self::NoValue | Self::Idle { .. } | Self::Demand { .. } => Reason::Demand,
            Self::CapacityAsPlanned | Self::CapacityCorrected { .. } => Reason::Latency,
            Self::NoRollout | Self::RolloutUnrestrained | Self::RolloutRestrained { .. } => Reason::Rollout,
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
            Self::WithinSpeed | Self::SpeedUp | Self::SpeedDown | Self::DirectionDisabled => Reason::Ramping,
            Self::WithinCap | Self::Maximum { .. } | Self::ScheduleCap { .. } | Self::CapFalling { .. } => Reason::Cap,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDemandSignal => f.write_str("no demand signal is configured"),
            Self::NoValue => f.write_str("no demand signal has a value"),
            Self::Idle { signal, value, unit } => write!(f, "{signal} {} {unit} is idle", Num(*value)),
            Self::Demand { signal, value, unit, per_pod, need, proposal } => {
                write!(f, "{signal} {} {unit} at {} per pod needs {}", Num(*value), Num(*per_pod), Pods(*need))?;
                if proposal != need { write!(f, "; with a margin for lowering, {}", Pods(*proposal)) } else { Ok(()) }
            }
            Self::CapacityAsPlanned => f.write_str("pods carry what is planned"),
            Self::CapacityCorrected { k, per_pod } => {
                write!(f, "latency shows that a pod carries {} of its plan: {} per pod", Percent(*k), Num(*per_pod))
            }
            Self::NoRollout => f.write_str("no rollout"),
            Self::RolloutUnrestrained => f.write_str("a rollout, which changes nothing"),
            Self::RolloutRestrained { before, unit } => {
                write!(f, "during the rollout demand counts as before it, {} {unit}", Num(*before))
            }
            Self::NothingHigher => f.write_str("no minimum, schedule, hold or fallback asks for more"),
            Self::Minimum { min } => write!(f, "minReplicas is {min}"),
            Self::Fallback { signal, replicas } => write!(f, "{signal} is in fallback, which holds {}", Pods(*replicas)),
            Self::Schedule { name, full } => write!(f, "schedule {name} plans {}", Pods(*full)),
            Self::ManualHold { until, reason, by } => {
                write!(f, "held by hand until {until}: {reason}")?;
                by.as_ref().map_or(Ok(()), |by| write!(f, " ({by})"))
            }
            Self::Free => f.write_str("nothing forbids lowering now"),
            Self::SignalNotFull { signal, state } => write!(f, "{signal} may not lower: {state}"),
            Self::OverBudget { value, budget } => {
                write!(f, "latency {} s is over its budget of {} s, so low demand proves nothing", Num(*value), Num(*budget))
            }
            Self::RolloutHolds => f.write_str("nothing is lowered during a rollout"),
            Self::Steady => f.write_str("steady"),
            Self::UpWindow { window } => write!(f, "the least that was asked for in the last {window}"),
            Self::DownWindow { window } => write!(f, "the most that was asked for in the last {window}"),
            Self::HistoryTooShort { until } => write!(f, "the history is too short to lower before {until}"),
            Self::TooFewValues { share, needed } => {
                write!(f, "only {} of the down window had trusted values; lowering needs {}", Percent(*share), Percent(*needed))
            }
            Self::TooFewReady { share, needed } => {
                write!(f, "only {} of the pods were Ready over the down window; lowering needs {}", Percent(*share), Percent(*needed))
            }
            Self::MoreErrors { share, usual } => {
                write!(f, "{} of the answers are errors, usually {}: an outage reads as idle", Percent(*share), Percent(*usual))
            }
            Self::Collapsed { signal, until } => {
                write!(f, "{signal} fell by more than half at once, which an outage looks like; held until {until}")
            }
            Self::WithinSpeed => f.write_str("within the behavior's speed"),
            Self::SpeedUp => f.write_str("behavior.scaleUp allows no more for now"),
            Self::SpeedDown => f.write_str("behavior.scaleDown allows no less for now"),
            Self::DirectionDisabled => f.write_str("behavior disables this direction"),
            Self::WithinCap => f.write_str("within the cap"),
            Self::Maximum { max } => write!(f, "maxReplicas is {max}"),
            Self::ScheduleCap { name, cap } => write!(f, "schedule {name} allows {}", Pods(*cap)),
            Self::CapFalling { cap } => write!(f, "the cap is on its way down at {}", Pods(*cap)),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "size",
            Self::Correct => "correct",
            Self::Restrain => "restrain",
            Self::Raise => "raise",
            Self::Hold => "hold",
            Self::Stabilise => "stabilise",
            Self::Ramp => "ramp",
            Self::Bound => "bound",
        })
    }
}

impl fmt::Display for SignalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("a trusted value"),
            Self::RaiseOnly(doubt) => write!(f, "a value that may only raise, because {doubt}"),
            Self::NoData => f.write_str("the query matches no series"),
            Self::SeriesNeverSeen => f.write_str("the query has matched no series for a long time; check the metric's name and labels"),
            Self::NotANumber(what) => write!(f, "the answer is {what}"),
            Self::Stale(age) => write!(f, "the newest sample is {age} old"),
            Self::Ambiguous(series, label) => {
                write!(f, "the query returns {series} series that differ in the label {label}; aggregate it away or match one value")
            }
            Self::Error(_, message) => write!(f, "the query failed: {message}"),
        }
    }
}

impl fmt::Display for MetricsAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.signal {
            Some((name, state)) => write!(f, "{name}: {state}")?,
            None => f.write_str("all required signals have values")?,
        }
        if let Some(replicas) = self.fallback {
            write!(f, "; the fallback of {} holds", Pods(replicas))?;
        }
        Ok(())
    }
}

impl fmt::Display for MetricsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatencyNotHelpedByPods { until } => {
                write!(f, "the last pods added for latency helped neither latency nor throughput; no more are added for it before {until}")
            }
            Self::BudgetNotResolvable { budget } => write!(
                f,
                "no histogram bucket lies within a factor of two of the budget {} s; add a bucket near it, and check that the metric is in seconds",
                Num(*budget)
            ),
            Self::RolloutStuck => f.write_str("the rollout makes no progress, so it no longer holds scaling back"),
            Self::ScheduleConflict { floor_by, floor, cap_by, cap } => {
                write!(f, "{floor_by} asks for at least {} while schedule {cap_by} allows {cap}; the floor wins", Pods(*floor))
            }
            Self::DemandCollapsed { signal, until } => {
                write!(f, "{signal} fell by more than half at once, which an outage looks like; the floor is held until {until}")
            }
        }
    }
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor { floor } => write!(f, "the floor holds {}", Pods(*floor)),
            Self::Cap { cap } => write!(f, "the cap holds {}", Pods(*cap)),
            Self::HpaMetric { name, current, target, observed, wants, floor } => write!(
                f,
                "the HPA's {name} metric holds {}: at {} of a target of {} it asks for {wants}, above the floor of {floor}",
                Pods(*observed),
                Num(*current),
                Num(*target)
            ),
            Self::Hpa { observed, floor } => {
                write!(f, "the HPA holds {}, above the floor of {floor}: by its own metrics or windows", Pods(*observed))
            }
        }
    }
}
