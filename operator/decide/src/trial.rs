//! Pods that were added while latency is over its budget, and whether they helped.

use serde::Serialize;

use crate::policy::Policy;
use crate::signal::Signal;
use crate::tick::Tick;
use crate::time::{Duration, Time};

/// What was true before pods were added.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    latency: f64,
    /// Completed requests, in pods' worth of the plan.
    goodput: f64,
    ready: u32,
    /// Since when more pods are Ready than then.
    added_at: Option<Time>,
}

/// What is true at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) latency: f64,
    /// As [`Trial::goodput`].
    pub(crate) goodput: f64,
    pub(crate) ready: u32,
    /// No pod is missing.
    pub(crate) settled: bool,
}

impl Trial {
    /// Begins with what is true before any pod is added.
    pub(crate) fn begin(now: Moment) -> Self {
        Self { latency: now.latency, goodput: now.goodput, ready: now.ready, added_at: None }
    }

    /// Whether pods that were added helped, once they have been Ready for as long as a rate needs to show it; `None` until
    /// then.
    pub(crate) fn judge(&mut self, tick: &Tick<'_>, now: Moment) -> Option<bool> {
        if now.ready <= self.ready {
            // Nothing was added yet: compare with the last moment before.
            *self = Self::begin(now);
            return None;
        }
        let added_at = *self.added_at.get_or_insert(tick.now);
        if !now.settled || tick.now.since(added_at) < settle(tick.policy) {
            return None;
        }
        let tunables = &tick.policy.tunables;
        let fell = now.latency <= self.latency * (1.0 - tunables.helped_latency);
        let added = f64::from(now.ready - self.ready);
        let rose = now.goodput - self.goodput >= tunables.helped_goodput * added;
        Some(fell || rose)
    }
}

/// Demand in pods' worth of the plan, by the signal that shows most.
pub(crate) fn in_pods(signals: &[Signal<'_>]) -> f64 {
    signals.iter().map(Signal::in_pods).fold(0.0, f64::max)
}

/// How long added pods must have been Ready before they are judged.
fn settle(policy: &Policy) -> Duration {
    policy.tunables.settle.max(policy.longest_range)
}
