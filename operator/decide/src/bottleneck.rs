//! A bottleneck outside of an app, as its decision tells it.

use std::fmt;

use serde::Serialize;

use crate::explain::{Num, Percent};
use crate::policy::Name;
use crate::tiers::{Figure, TierKind, Unit};
use crate::time::Time;

/// `BottleneckElsewhere`: latency is over budget, and more pods of this app would not help.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bottleneck {
    /// What showed it; none where only added pods have, by helping nothing.
    pub shown: Option<Shown>,
    /// Until then it is not looked at again, and no pods are added for latency.
    pub until: Time,
    /// Demand adds no pods either, until then at most: pods that were added have helped nothing, and a tier shows why now.
    pub stops_demand_until: Option<Time>,
}

/// A figure over its threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The tier.
    pub tier: Name,
    /// What of it.
    pub figure: Figure,
    /// Its value then.
    pub value: f64,
    /// The threshold.
    pub threshold: f64,
}

impl Bottleneck {
    /// The word for the condition.
    pub fn reason(&self) -> &'static str {
        "BottleneckElsewhere"
    }

    /// The tier, where one shows it.
    pub fn tier(&self) -> Option<&Name> {
        self.shown.as_ref().map(|shown| &shown.tier)
    }

    /// What is proposed instead of pods: the kind of tier that might help by growing.
    pub fn eased_by(&self) -> Option<TierKind> {
        self.shown.as_ref()?.figure.eased_by()
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.shown, self.stops_demand_until) {
            (Some(shown), None) => write!(f, "{shown}, so latency adds no pods")?,
            (Some(shown), Some(until)) => write!(
                f,
                "{shown}, and the last pods added helped neither latency nor throughput: neither latency nor demand adds any before {until}, or until the tier recovers"
            )?,
            (None, _) => write!(
                f,
                "the last pods added helped neither latency nor throughput, and no tier shows why: latency adds none before {}",
                self.until
            )?,
        }
        match self.eased_by() {
            Some(kind) => write!(f, "; {kind} could take load off it"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, figure, value, threshold } = self;
        write!(f, "{tier} is the bottleneck: {figure}, ")?;
        match figure.unit() {
            Unit::Share => write!(f, "{}, is over {}", Percent(*value), Percent(*threshold)),
            Unit::Seconds => write!(f, "{} s, is over {} s", Num(*value), Num(*threshold)),
            Unit::PerSecond => write!(f, "{} per second, is over {}", Num(*value), Num(*threshold)),
        }
    }
}
