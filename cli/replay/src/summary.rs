//! What a replay comes to.

use crate::{number::Plain, run::Step};
use decide::{Decision, Duration, StageName, Why};
use serde::Serialize;

/// Totals of a replay. Each step counts for the time until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Wanted pods times hours.
    pub pod_hours: Plain,
    /// The greatest count of wanted pods.
    pub peak_pods: u32,
    /// Time in which the offered rate was above what the Ready pods carry: `perPod` each, or the limit of the closed loop.
    /// Time without a known rate does not count.
    pub under_capacity_seconds: Plain,
    /// Steps at which the wanted count rose.
    pub scale_ups: u32,
    /// Steps at which the wanted count fell.
    pub scale_downs: u32,
    /// Steps at which less than the floor was asked for, and the quality of the data forbade to lower it: a signal
    /// without a trusted value, latency over budget, a rollout, a collapse, too short a history. The behavior's own
    /// window and speed do not count.
    pub blocked_downs: u32,
}

impl Summary {
    /// The names of the figures, as printed.
    pub const FIELDS: [&str; 6] =
        ["podHours", "peakPods", "underCapacitySeconds", "scaleUps", "scaleDowns", "blockedDowns"];

    /// Their values, in the order of [`Self::FIELDS`].
    pub fn values(&self) -> [f64; 6] {
        [
            self.pod_hours.0,
            f64::from(self.peak_pods),
            self.under_capacity_seconds.0,
            f64::from(self.scale_ups),
            f64::from(self.scale_downs),
            f64::from(self.blocked_downs),
        ]
    }
}

/// Totals while they grow; whole milliseconds, so that no rounding depends on their order.
pub(crate) struct Counts {
    before: u32,
    pod_millis: u64,
    peak: u32,
    under_capacity: u64,
    ups: u32,
    downs: u32,
    blocked: u32,
}

impl Counts {
    pub(crate) fn new(start_pods: u32) -> Self {
        Self { before: start_pods, pod_millis: 0, peak: 0, under_capacity: 0, ups: 0, downs: 0, blocked: 0 }
    }

    pub(crate) fn add(&mut self, step: &Step, lasts: Duration, capacity: Option<f64>) {
        let lasts = lasts.as_millis();
        self.pod_millis = self.pod_millis.saturating_add(lasts.saturating_mul(u64::from(step.pods)));
        self.peak = self.peak.max(step.pods);
        if let (Some(rate), Some(per_pod)) = (step.rate, capacity)
            && rate > per_pod * f64::from(step.ready)
        {
            self.under_capacity += lasts;
        }
        self.ups += u32::from(step.pods > self.before);
        self.downs += u32::from(step.pods < self.before);
        self.blocked += u32::from(blocked(&step.decision));
        self.before = step.pods;
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            pod_hours: Plain(self.pod_millis as f64 / 3_600_000.0),
            peak_pods: self.peak,
            under_capacity_seconds: Plain(self.under_capacity as f64 / 1000.0),
            scale_ups: self.ups,
            scale_downs: self.downs,
            blocked_downs: self.blocked,
        }
    }
}

fn blocked(decision: &Decision) -> bool {
    decision.stages.iter().any(|stage| match stage.name {
        StageName::Hold => stage.after > stage.before,
        StageName::Stabilise => stage.after > stage.before && !matches!(stage.why, Why::DownWindow { .. }),
        _ => false,
    })
}
