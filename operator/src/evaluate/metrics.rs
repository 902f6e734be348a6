//! Metrics of the evaluation: how late it is, and per app what it decided.

use crate::{metrics::Metrics, naming::AppKey};
use decide::Decision;
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Unit,
};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

/// Which app.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AppLabel {
    namespace: String,
    platform: String,
    app: String,
}

/// Which app, and what decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    namespace: String,
    platform: String,
    app: String,
    reason: String,
}

/// How a query ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct QueryLabel {
    outcome: &'static str,
}

/// The evaluation's metrics.
pub struct EvaluationMetrics {
    lateness: Histogram,
    duration: Histogram,
    queries: Family<QueryLabel, Counter>,
    floor: Family<AppLabel, Gauge<i64, AtomicI64>>,
    cap: Family<AppLabel, Gauge<i64, AtomicI64>>,
    desired: Family<AppLabel, Gauge<i64, AtomicI64>>,
    ready: Family<AppLabel, Gauge<i64, AtomicI64>>,
    evaluated: Family<AppLabel, Gauge<f64, AtomicU64>>,
    reason: Family<ReasonLabel, Gauge<i64, AtomicI64>>,
    reasons: Mutex<HashMap<AppKey, ReasonLabel>>,
}

impl Default for EvaluationMetrics {
    fn default() -> Self {
        let seconds = || Histogram::new([0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        Self {
            lateness: seconds(),
            duration: seconds(),
            queries: Family::default(),
            floor: Family::default(),
            cap: Family::default(),
            desired: Family::default(),
            ready: Family::default(),
            evaluated: Family::default(),
            reason: Family::default(),
            reasons: Mutex::default(),
        }
    }
}

impl EvaluationMetrics {
    /// The metrics, exposed with the operator's.
    pub fn registered(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|r| {
            let lateness = own.lateness.clone();
            r.register_with_unit("evaluation_lateness", "Begin of a tick after it was due", Unit::Seconds, lateness);
            r.register_with_unit("evaluation_duration", "Time of a tick", Unit::Seconds, own.duration.clone());
            r.register("prometheus_queries", "Queries by how they ended", own.queries.clone());
            r.register("app_floor", "Fewest pods, as written", own.floor.clone());
            r.register("app_cap", "Most pods, as written", own.cap.clone());
            r.register("app_pods_desired", "Pods wanted now", own.desired.clone());
            r.register("app_pods_ready", "Pods ready now", own.ready.clone());
            let evaluated = own.evaluated.clone();
            r.register_with_unit("app_evaluated_timestamp", "Unix time of the last decision", Unit::Seconds, evaluated);
            r.register("app_scaling_reason", "1 for what sets the floor now", own.reason.clone());
        });
        own
    }

    pub(super) fn late(&self, by: Duration) {
        self.lateness.observe(by.as_secs_f64());
    }

    pub(super) fn took(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    pub(super) fn query(&self, ok: bool) {
        self.queries.get_or_create(&QueryLabel { outcome: if ok { "ok" } else { "error" } }).inc();
    }

    pub(super) fn decided(&self, key: &AppKey, decision: &Decision, observed: u32, ready: u32) {
        let label = label(key);
        self.floor.get_or_create(&label).set(decision.write.floor.into());
        self.cap.get_or_create(&label).set(decision.write.cap.into());
        self.desired.get_or_create(&label).set(observed.into());
        self.ready.get_or_create(&label).set(ready.into());
        self.evaluated.get_or_create(&label).set(decision.at.as_millis() as f64 / 1000.0);
        let AppLabel { namespace, platform, app } = label;
        let reason = ReasonLabel { namespace, platform, app, reason: format!("{:?}", decision.reason) };
        let before = self.reasons.lock().insert(key.clone(), reason.clone());
        if let Some(before) = before.filter(|before| *before != reason) {
            self.reason.remove(&before);
        }
        self.reason.get_or_create(&reason).set(1);
    }

    pub(super) fn forget(&self, key: &AppKey) {
        let label = label(key);
        for family in [&self.floor, &self.cap, &self.desired, &self.ready] {
            family.remove(&label);
        }
        self.evaluated.remove(&label);
        if let Some(reason) = self.reasons.lock().remove(key) {
            self.reason.remove(&reason);
        }
    }
}

fn label(key: &AppKey) -> AppLabel {
    AppLabel { namespace: key.namespace.clone(), platform: key.platform.clone(), app: key.app.clone() }
}
