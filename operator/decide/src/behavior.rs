//! The HPA's `behavior`, with the defaults that apply where a spec is silent.

use serde::Serialize;

use crate::time::Duration;

/// How fast floor and cap may move: the effective `behavior` of the HPA, both directions filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Behavior {
    /// Rules for raising.
    pub up: ScalingRules,
    /// Rules for lowering.
    pub down: ScalingRules,
}

/// Rules of one direction; see `HPAScalingRules` of autoscaling/v2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScalingRules {
    /// How long candidates are remembered: raising takes the least of the window, lowering the greatest.
    pub stabilization_window: Duration,
    /// Which policy counts when several are given.
    pub select: SelectPolicy,
    /// The allowed changes; never empty in an effective behaviour.
    pub policies: Vec<ScalingPolicy>,
}

/// One allowed change per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScalingPolicy {
    /// Whether `value` counts pods or percent.
    pub kind: PolicyType,
    /// Pods, or percent of the count at the period's start.
    pub value: u32,
    /// The period.
    pub period: Duration,
}

/// The unit of a [`ScalingPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PolicyType {
    /// An absolute count.
    Pods,
    /// A share of the count at the period's start.
    Percent,
}

/// Which of several policies counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SelectPolicy {
    /// The one that allows the greatest change.
    Max,
    /// The one that allows the least change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One direction as the user wrote it: what is `None` or empty takes its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// `stabilizationWindowSeconds`.
    pub stabilization_window: Option<Duration>,
    /// `selectPolicy`.
    pub select: Option<SelectPolicy>,
    /// `policies`.
    pub policies: Vec<ScalingPolicy>,
}

impl Behavior {
    /// The effective behaviour: what the user wrote, and the defaults where that is silent.
    pub fn effective(up: Option<RuleSpec>, down: Option<RuleSpec>) -> Self {
        Self {
            up: ScalingRules::up_default().overridden(up.unwrap_or_default()),
            down: ScalingRules::down_default().overridden(down.unwrap_or_default()),
        }
    }
}

impl Default for Behavior {
    fn default() -> Self {
        Self::effective(None, None)
    }
}

impl ScalingRules {
    /// The HPA's default for raising: four pods or 100 % in 15 s, whichever is more, with no window.
    pub fn up_default() -> Self {
        Self {
            stabilization_window: Duration::ZERO,
            select: SelectPolicy::Max,
            policies: vec![
                ScalingPolicy::pods(4, Duration::from_secs(15)),
                ScalingPolicy::percent(100, Duration::from_secs(15)),
            ],
        }
    }

    /// The default for lowering: the HPA's window of 300 s, but 10 % in 60 s (P) instead of its 100 % in 15 s, because
    /// a floor that falls at once drops every pod that cpu alone does not ask for. The HPA truncates towards zero, so
    /// 10 % always allows at least one pod.
    pub fn down_default() -> Self {
        Self {
            stabilization_window: Duration::from_secs(300),
            select: SelectPolicy::Max,
            policies: vec![ScalingPolicy::percent(10, Duration::from_secs(60))],
        }
    }

    fn overridden(self, spec: RuleSpec) -> Self {
        Self {
            stabilization_window: spec.stabilization_window.unwrap_or(self.stabilization_window),
            select: spec.select.unwrap_or(self.select),
            policies: if spec.policies.is_empty() { self.policies } else { spec.policies },
        }
    }
}

impl ScalingPolicy {
    /// `value` pods in `period`.
    pub const fn pods(value: u32, period: Duration) -> Self {
        Self { kind: PolicyType::Pods, value, period }
    }

    /// `value` percent in `period`.
    pub const fn percent(value: u32, period: Duration) -> Self {
        Self { kind: PolicyType::Percent, value, period }
    }
}
