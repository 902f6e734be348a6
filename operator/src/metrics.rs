//! The operator's own metrics, and the guards that record passes and their steps.

use crate::{error::Error, tiers::store::StoreTier};
use aws_edge::End;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::{Duration, Instant},
};

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as wanted.
    Settled,
    /// It waits for something.
    Waiting,
    /// The spec is invalid.
    Invalid,
    /// The platform is suspended or being deleted.
    Skipped,
    /// It failed and is tried again.
    Failed,
    /// It was cut off: deadline or shutdown.
    Abandoned,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Waiting => "waiting",
            Self::Invalid => "invalid",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What of a keeper's round failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundFailure {
    /// Something that was to be done at the servers. The next round tries again.
    Act,
    /// It took too long, and was cut off.
    Deadline,
    /// It panicked; a defect.
    Panic,
}

impl RoundFailure {
    fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Deadline => "deadline",
            Self::Panic => "panic",
        }
    }
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    outcome: &'static str,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabel {
    step: &'static str,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabel {
    error: &'static str,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabel {
    kind: &'static str,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TierLabel {
    tier: &'static str,
}

/// The room, and what failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RoundFailureLabel {
    tier: &'static str,
    cause: &'static str,
}

/// Kind and what was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WriteLabel {
    kind: &'static str,
    verb: &'static str,
}

/// To which service of AWS, of whom, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AwsRequestLabel {
    service: &'static str,
    account: String,
    region: String,
    /// `2xx`, `4xx`, `5xx`; `none` without an answer, `unsent` where too many were before it.
    end: String,
}

/// To which service of AWS, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AwsLabel {
    service: &'static str,
    account: String,
    region: String,
}

/// A pass takes from a few milliseconds (settled) to its deadline.
fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

/// The operator's own metrics. Further modules add theirs through [`Metrics::register`].
pub struct Metrics {
    registry: parking_lot::Mutex<Registry>,
    passes: Family<OutcomeLabel, Counter>,
    pass_seconds: Histogram,
    step_seconds: Family<StepLabel, Histogram, fn() -> Histogram>,
    errors: Family<ErrorLabel, Counter>,
    writes: Family<WriteLabel, Counter>,
    watch_errors: Family<KindLabel, Counter>,
    round_seconds: Family<TierLabel, Histogram, fn() -> Histogram>,
    round_failures: Family<RoundFailureLabel, Counter>,
    aws_requests: Family<AwsRequestLabel, Counter>,
    aws_waited: Family<AwsLabel, Counter<f64, AtomicU64>>,
    leader: Gauge<i64, AtomicI64>,
    crd_missing: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: parking_lot::Mutex::new(Registry::with_prefix("learningplatform_operator")),
            passes: Family::default(),
            pass_seconds: seconds(),
            step_seconds: Family::new_with_constructor(seconds),
            errors: Family::default(),
            writes: Family::default(),
            watch_errors: Family::default(),
            round_seconds: Family::new_with_constructor(seconds),
            round_failures: Family::default(),
            aws_requests: Family::default(),
            aws_waited: Family::default(),
            leader: Gauge::default(),
            crd_missing: Gauge::default(),
        };
        metrics.register(|r| {
            r.register("passes", "Passes by how they ended", metrics.passes.clone());
            r.register_with_unit("pass_duration", "Time of a pass", Unit::Seconds, metrics.pass_seconds.clone());
            r.register_with_unit(
                "step_duration",
                "Time of a step of a pass",
                Unit::Seconds,
                metrics.step_seconds.clone(),
            );
            r.register("errors", "Errors of passes by kind", metrics.errors.clone());
            r.register("writes", "Writes to children by kind and verb", metrics.writes.clone());
            r.register("watch_errors", "Errors of watches by kind", metrics.watch_errors.clone());
            let rounds = metrics.round_seconds.clone();
            r.register_with_unit("store_round_duration", "Time of a look at a store", Unit::Seconds, rounds);
            let failures = metrics.round_failures.clone();
            r.register("store_round_failures", "What failed in looks at stores, by cause", failures);
            r.register("aws_requests", "Requests to AWS by how they ended", metrics.aws_requests.clone());
            let waited = metrics.aws_waited.clone();
            r.register_with_unit(
                "aws_request_wait",
                "Time that requests to AWS waited for their turn",
                Unit::Seconds,
                waited,
            );
            r.register("leader", "1 while this replica acts", metrics.leader.clone());
            r.register(
                "crd_missing",
                "1 while the CustomResourceDefinition is not served",
                metrics.crd_missing.clone(),
            );
        });
        metrics
    }
}

impl Metrics {
    /// Adds metrics of another module under the operator's prefix.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock());
    }

    /// The exposition, in OpenMetrics text.
    ///
    /// # Errors
    /// If a metric cannot be formatted; a defect.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }

    /// Begins a pass.
    pub fn pass(&self) -> PassGuard<'_> {
        PassGuard { metrics: self, began: Instant::now(), outcome: Outcome::Abandoned }
    }

    /// Begins a step; it ends when the guard is dropped.
    pub fn step(&self, step: &'static str) -> StepGuard<'_> {
        StepGuard { metrics: self, began: Instant::now(), step }
    }

    /// Counts a request to AWS.
    pub fn aws(&self, request: &aws_edge::Request<'_>) {
        let aws::Spot { account, region, service } = request.spot.clone();
        let end = match request.end {
            End::Answered(status) => format!("{}xx", status / 100),
            End::Unanswered => "none".to_owned(),
            End::Unsent => "unsent".to_owned(),
        };
        let service = service.as_str();
        let of = AwsLabel { service, account: account.clone(), region: region.clone() };
        self.aws_waited.get_or_create(&of).inc_by(request.waited.as_secs_f64());
        self.aws_requests.get_or_create(&AwsRequestLabel { service, account, region, end }).inc();
    }

    /// Counts an error.
    pub fn error(&self, error: &Error) {
        self.errors.get_or_create(&ErrorLabel { error: error.label() }).inc();
    }

    /// Counts a write.
    pub fn write(&self, kind: &'static str, verb: &'static str) {
        self.writes.get_or_create(&WriteLabel { kind, verb }).inc();
    }

    /// Counts an error of a watch.
    pub fn watch_error(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// Records a keeper's round, however it ended.
    pub fn round(&self, tier: StoreTier, took: Duration) {
        self.round_seconds.get_or_create(&TierLabel { tier: tier.as_str() }).observe(took.as_secs_f64());
    }

    /// Counts what failed in a round.
    pub fn round_failed(&self, tier: StoreTier, what: RoundFailure) {
        let label = RoundFailureLabel { tier: tier.as_str(), cause: what.as_str() };
        self.round_failures.get_or_create(&label).inc();
    }

    /// Whether this replica acts.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Whether this replica acts now.
    pub fn is_leader(&self) -> bool {
        self.leader.get() == 1
    }

    /// Whether the CRD is missing.
    pub fn crd_missing(&self, missing: bool) {
        self.crd_missing.set(i64::from(missing));
    }
}

/// Records a pass when it ends, however it ends.
#[must_use]
pub struct PassGuard<'a> {
    metrics: &'a Metrics,
    began: Instant,
    outcome: Outcome,
}

impl PassGuard<'_> {
    /// How it ended; without this it counts as abandoned.
    pub fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for PassGuard<'_> {
    fn drop(&mut self) {
        self.metrics.passes.get_or_create(&OutcomeLabel { outcome: self.outcome.as_str() }).inc();
        self.metrics.pass_seconds.observe(self.began.elapsed().as_secs_f64());
    }
}

/// Records a step when it ends.
#[must_use]
pub struct StepGuard<'a> {
    metrics: &'a Metrics,
    began: Instant,
    step: &'static str,
}

impl Drop for StepGuard<'_> {
    fn drop(&mut self) {
        let histogram = self.metrics.step_seconds.get_or_create(&StepLabel { step: self.step });
        histogram.observe(self.began.elapsed().as_secs_f64());
    }
}
