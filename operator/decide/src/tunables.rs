//! The project's defaults without outside authority, in one place, so that operators can set them and tests shorten them.

use serde::Serialize;

use crate::sample::Sample;
use crate::time::{Duration, Time};

/// Constants of the decision core. Every one is a default of this project (P), revised by measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tunables {
    /// Time between two ticks. Default 5 s.
    pub evaluation_interval: Duration,
    /// A silence of more than this many evaluation intervals loses the history. Default 3.
    pub gap_intervals: u32,
    /// A value is stale when older than this many scrape intervals. Default 3.
    pub stale_scrapes: u32,
    /// Query range for lowering, in scrape intervals. Default 4 (common guidance for `rate()`).
    pub long_range_scrapes: u32,
    /// Query range for raising, in scrape intervals. Default 2.
    pub short_range_scrapes: u32,
    /// A selector that matched nothing for this long was never seen. Default 1 h. Used by who asks the source.
    pub series_never_seen: Duration,

    /// Consecutive failures before fallback. Default 3.
    pub failure_threshold: u32,
    /// The time that these failures must span. Default 60 s.
    pub failure_span: Duration,
    /// Consecutive values before a failed source is healthy again. Default 3.
    pub recovery_values: u32,

    /// Dead band downward in percent: the floor falls only where this much more load would fit. Default 10, the HPA's tolerance.
    pub dead_band_percent: u32,

    /// Least share of `perPod` that the latency correction may assume. Default 0.5, so at most twice the pods.
    pub k_min: f64,
    /// How much the correction recovers per [`k_period`](Self::k_period). Default 0.05.
    pub k_step: f64,
    /// Default 60 s.
    pub k_period: Duration,
    /// Margin on what a pod has just shown it can complete. Default 0.8.
    pub k_margin: f64,
    /// The correction recovers while latency is below this share of the budget. Default 0.8.
    pub k_relax_below: f64,
    /// How long latency must be over budget to count. Default 30 s.
    pub breach: Duration,
    /// Time from added pods being Ready to the judgement on them; the longest query range counts if longer. Default 0.
    pub settle: Duration,
    /// Added pods helped if latency fell by this share. Default 0.05.
    pub helped_latency: f64,
    /// Or if completed requests rose by this share of the added capacity. Default 0.10.
    pub helped_goodput: f64,
    /// After pods that did not help, no latency step for this long. Default 10 min.
    pub no_new_step: Duration,

    /// After a collapse of demand the floor is held this long; zero switches it off. Default 15 min.
    pub collapse_hold: Duration,
    /// A collapse is a fall to less than half within this time. Default 2 min.
    pub collapse_window: Duration,
    /// Least share of desired pods that were Ready over the down window, for lowering. Default 0.90.
    pub ready_share: f64,
    /// Least share of the down window that had trusted values, for lowering. Default 0.80.
    pub full_share: f64,
    /// The 5xx share counts as higher than usual above `usual * this + error_slack`. Default 2.
    pub error_factor: f64,
    /// See [`error_factor`](Self::error_factor). Default 0.01.
    pub error_slack: f64,
    /// Time constant of what is usual. Default 1 h.
    pub error_memory: Duration,

    /// A tier is taken to be the bottleneck after so many readings in a row over its threshold. Default 2.
    pub guard_readings: u32,
    /// A bottleneck is looked at again after this time. Default 10 min.
    pub guard_retest: Duration,
    /// Threshold of [`Figure::PrimaryCpu`](crate::Figure::PrimaryCpu) and [`CacheCpu`](crate::Figure::CacheCpu). Default 0.85.
    pub guard_cpu: f64,
    /// Threshold of [`Figure::LockWait`](crate::Figure::LockWait). Default 0.25.
    pub guard_lock_wait: f64,
    /// Threshold of [`Figure::ConnectionWait`](crate::Figure::ConnectionWait). Default 0.90.
    pub guard_connection_wait: f64,
    /// Threshold of [`Figure::PoolWait`](crate::Figure::PoolWait). Default 50 ms.
    pub guard_pool_wait: Duration,
    /// Threshold of [`Figure::Evictions`](crate::Figure::Evictions), per second. Default 100.
    pub guard_evictions: f64,

    /// What a tier said counts for so long, or for [`stale_scrapes`](Self::stale_scrapes) of its source where that is known.
    /// Default 30 s.
    pub tier_stale: Duration,
    /// A read replica that is further behind is a bottleneck. Default 10 s.
    pub replica_lag: Duration,
    /// WAL senders of the primary that a new replica takes: a base backup streams its WAL over a second one. Default 2.
    pub replica_wal_senders: u32,
    /// Between two moves of one tier; and for so long it must have needed less before it shrinks. Default 5 min.
    pub tier_spacing: Duration,
    /// How long apps, at most, add no pods for load while a database or cache that they use grows. Default 30 s.
    pub tier_wait: Duration,
    /// A cache gets a shard above this share of its memory. Default 0.85.
    pub cache_full: f64,
    /// It loses one where at most this share would be used afterwards. Default 0.70.
    pub cache_full_after: f64,

    /// The demand before a rollout is the highest of this long. Default 5 min.
    pub rollout_window: Duration,
    /// During a rollout, demand above this multiple of the demand before it counts in full. Default 1.10.
    pub rollout_margin: f64,
    /// A rollout freezes nothing for longer than this. Default 600 s, Kubernetes' `progressDeadlineSeconds`.
    pub rollout_deadline: Duration,

    /// Length of a schedule's ramp where it names none. Default 10 min.
    pub schedule_ramp: Duration,
    /// Steps of that ramp. Default 10.
    pub schedule_steps: u32,
    /// A slow behaviour lets a schedule begin at most this much earlier. Default 6 h.
    pub schedule_lead_max: Duration,
}

impl Tunables {
    /// The number that a tier's sample stands for, if it may lower or stop anything.
    pub(crate) fn trusted(&self, sample: &Sample, now: Time) -> Option<f64> {
        sample.trusted(now, self.tier_stale_after(sample))
    }

    /// The number that a tier's sample stands for, if it may raise.
    pub(crate) fn fresh(&self, sample: &Sample, now: Time) -> Option<f64> {
        sample.fresh(now, self.tier_stale_after(sample)).map(|value| value.get())
    }

    fn tier_stale_after(&self, sample: &Sample) -> Duration {
        sample.scrape_interval().map_or(self.tier_stale, |interval| interval.times(self.stale_scrapes))
    }
}

impl Default for Tunables {
    fn default() -> Self {
        Self {
            evaluation_interval: Duration::from_secs(5),
            gap_intervals: 3,
            stale_scrapes: 3,
            long_range_scrapes: 4,
            short_range_scrapes: 2,
            series_never_seen: Duration::from_mins(60),
            failure_threshold: 3,
            failure_span: Duration::from_secs(60),
            recovery_values: 3,
            dead_band_percent: 10,
            k_min: 0.5,
            k_step: 0.05,
            k_period: Duration::from_secs(60),
            k_margin: 0.8,
            k_relax_below: 0.8,
            breach: Duration::from_secs(30),
            settle: Duration::ZERO,
            helped_latency: 0.05,
            helped_goodput: 0.10,
            no_new_step: Duration::from_mins(10),
            collapse_hold: Duration::from_mins(15),
            collapse_window: Duration::from_mins(2),
            ready_share: 0.90,
            full_share: 0.80,
            error_factor: 2.0,
            error_slack: 0.01,
            error_memory: Duration::from_mins(60),
            guard_readings: 2,
            guard_retest: Duration::from_mins(10),
            guard_cpu: 0.85,
            guard_lock_wait: 0.25,
            guard_connection_wait: 0.90,
            guard_pool_wait: Duration::from_millis(50),
            guard_evictions: 100.0,
            tier_stale: Duration::from_secs(30),
            replica_lag: Duration::from_secs(10),
            replica_wal_senders: 2,
            tier_spacing: Duration::from_mins(5),
            tier_wait: Duration::from_secs(30),
            cache_full: 0.85,
            cache_full_after: 0.70,
            rollout_window: Duration::from_mins(5),
            rollout_margin: 1.10,
            rollout_deadline: Duration::from_secs(600),
            schedule_ramp: Duration::from_mins(10),
            schedule_steps: 10,
            schedule_lead_max: Duration::from_mins(360),
        }
    }
}
