//! Sentences for people. Everything here is data until displayed, so that a tick that nobody looks at costs no text.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decision::{Finding, HeldBy, MetricsAvailable, MetricsReason, SignalState, StageName};
use crate::sample::SourceError;
use crate::tiers::TierKind;
use crate::why::{Reason, Why};

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

/// A share of one in percent, with at most one digit after the point.
pub(crate) struct Percent(pub(crate) f64);

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
            Self::Bottleneck(bottleneck) => write!(f, "{bottleneck}"),
            Self::RolloutRestrained { before, unit } => {
                write!(f, "during the rollout demand counts as before it, {} {unit}", Num(*before))
            }
            Self::NothingHigher => f.write_str("no minimum, schedule, hold or fallback asks for more"),
            Self::Minimum { min } => write!(f, "minReplicas is {min}"),
            Self::Fallback { signal, replicas } => {
                write!(f, "{signal} is in fallback, which holds {}", Pods(*replicas))
            }
            Self::Schedule { name, full } => write!(f, "schedule {name} plans {}", Pods(*full)),
            Self::ManualHold { until, reason, by } => {
                write!(f, "held by hand until {until}: {reason}")?;
                by.as_ref().map_or(Ok(()), |by| write!(f, " ({by})"))
            }
            Self::Free => f.write_str("nothing forbids lowering now"),
            Self::SignalNotFull { signal, state } => write!(f, "{signal} may not lower: {state}"),
            Self::OverBudget { value, budget } => {
                write!(
                    f,
                    "latency {} s is over its budget of {} s, so low demand proves nothing",
                    Num(*value),
                    Num(*budget)
                )
            }
            Self::RolloutHolds => f.write_str("nothing is lowered during a rollout"),
            Self::Steady => f.write_str("steady"),
            Self::UpWindow { window } => write!(f, "the least that was asked for in the last {window}"),
            Self::DownWindow { window } => write!(f, "the most that was asked for in the last {window}"),
            Self::HistoryTooShort { until } => write!(f, "the history is too short to lower before {until}"),
            Self::TooFewValues { share, needed } => {
                write!(
                    f,
                    "only {} of the down window had trusted values; lowering needs {}",
                    Percent(*share),
                    Percent(*needed)
                )
            }
            Self::TooFewReady { share, needed } => {
                write!(
                    f,
                    "only {} of the pods were Ready over the down window; lowering needs {}",
                    Percent(*share),
                    Percent(*needed)
                )
            }
            Self::MoreErrors { share, usual } => {
                write!(
                    f,
                    "{} of the answers are errors, usually {}: an outage reads as idle",
                    Percent(*share),
                    Percent(*usual)
                )
            }
            Self::Collapsed { signal, until } => {
                write!(f, "{signal} fell by more than half at once, which an outage looks like; held until {until}")
            }
            Self::WithinSpeed => f.write_str("within the behavior's speed"),
            Self::SpeedUp => f.write_str("behavior.scaleUp allows no more for now"),
            Self::SpeedDown => f.write_str("behavior.scaleDown allows no less for now"),
            Self::DirectionDisabled => f.write_str("behavior disables this direction"),
            Self::TierFirst { tier, kind, until } => {
                let more = if *kind == TierKind::ReadReplicas { "a further read replica" } else { "more servers" };
                write!(f, "{tier} gets {more} first: no pods are added for load before it serves, or {until}")
            }
            Self::WithinCap => f.write_str("within the cap"),
            Self::Maximum { max } => write!(f, "maxReplicas is {max}"),
            Self::ScheduleCap { name, cap } => write!(f, "schedule {name} allows {}", Pods(*cap)),
            Self::Connections(limit) => write!(f, "{limit}"),
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
            Self::SeriesNeverSeen => {
                f.write_str("the query has matched no series for a long time; check the metric's name and labels")
            }
            Self::TooFewSamples(range) => write!(
                f,
                "the series exists, but has fewer than two samples in {range}: if that lasts, set prometheus.scrapeInterval to the job's scrape_interval"
            ),
            Self::NotANumber(what) => write!(f, "the answer is {what}"),
            Self::Stale(age) => write!(f, "the newest sample is {age} old"),
            Self::Ambiguous(series, label) => {
                write!(
                    f,
                    "the query returns {series} series that differ in the label {label}; aggregate it away or match one value"
                )
            }
            Self::Error(SourceError { server: Some(server), message, .. }) => {
                write!(f, "the query to {server} failed: {message}")
            }
            Self::Error(SourceError { server: None, message, .. }) => write!(f, "the query failed: {message}"),
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
                write!(
                    f,
                    "the last pods added for latency helped neither latency nor throughput; no more are added for it before {until}"
                )
            }
            Self::BudgetNotResolvable { budget } => write!(
                f,
                "no histogram bucket lies within a factor of two of the budget {} s; add a bucket near it, and check that the metric is in seconds",
                Num(*budget)
            ),
            Self::RolloutStuck => f.write_str("the rollout makes no progress, so it no longer holds scaling back"),
            Self::ScheduleConflict { floor_by, floor, cap_by, cap } => {
                write!(
                    f,
                    "{floor_by} asks for at least {} while schedule {cap_by} allows {cap}; the floor wins",
                    Pods(*floor)
                )
            }
            Self::DemandCollapsed { signal, until } => {
                write!(
                    f,
                    "{signal} fell by more than half at once, which an outage looks like; the floor is held until {until}"
                )
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
                write!(
                    f,
                    "the HPA holds {}, above the floor of {floor}: by its own metrics or windows",
                    Pods(*observed)
                )
            }
        }
    }
}
