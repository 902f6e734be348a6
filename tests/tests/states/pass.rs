//! A pass over the platform of the fixtures: what it finds, and the status that the operator makes of that.

use crate::table::{Read, State};
use crds::{
    LearningPlatform,
    status::{
        ConditionType::{self, AutoscalingReady},
        LearningPlatformStatus, Reason,
    },
};
use decide::{MetricsReason, SignalState};
use k8s_openapi::jiff::Timestamp;
use operator::{
    conditions::{State as Truth, Verdict},
    context::Settings,
    error::Error,
    kinds::{Kind, ObjectId},
    references::Missing,
    status::{self, Findings},
    tiers::{
        Children, ItemStatus, Tier, TierStatus,
        app::{
            Apps, Observed, SeenApp,
            rollout::{Gate, Rollout},
            trouble,
        },
    },
    validate::{ValidPlatform, validate},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The time of every pass.
pub fn now() -> Timestamp {
    "2026-09-01T08:00:00Z".parse().expect("a time")
}

/// A platform that carries a status.
pub fn object(generation: i64, metadata: &Value, status: &LearningPlatformStatus) -> Value {
    let mut object = json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "school", "uid": "0", "generation": generation},
        "spec": {"prometheus": {"url": "http://prometheus.monitoring:9090"}, "apps": [{
            "name": "web", "image": "registry.example/web:1", "port": 3000,
            "autoscaling": {"minReplicas": 3, "maxReplicas": 20, "requestRate": {"perPod": 100}},
        }]},
        "status": status,
    });
    for (field, value) in metadata.as_object().into_iter().flatten() {
        object["metadata"][field] = value.clone();
    }
    object
}

/// What a pass over the platform finds.
pub struct Pass {
    pub generation: i64,
    pub annotations: Value,
    /// Status of the Deployment.
    pub deployment: Value,
    /// Status of a pod that is not ready.
    pub pod: Value,
    pub missing: Vec<Missing>,
    /// Whether the pods may change.
    pub gate: Gate,
    pub scaling: Verdict,
    pub metrics: Verdict,
    pub failure: Option<(ConditionType, Error)>,
    /// What a room of stores says.
    pub stores: Option<Verdict>,
    /// A change waits, because nothing may be written.
    pub pending: bool,
    /// What failed of no single app.
    pub error: Option<Error>,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            generation: 1,
            annotations: json!({}),
            deployment: pods(3, 3, "NewReplicaSetAvailable"),
            pod: Value::Null,
            missing: Vec::new(),
            gate: Gate::Open,
            scaling: Verdict::new(AutoscalingReady, Truth::True, Reason::Succeeded, BOUNDS),
            metrics: metrics(&SignalState::Full),
            failure: None,
            stores: None,
            pending: false,
            error: None,
        }
    }
}

/// What the app's bounds are said to be.
pub const BOUNDS: &str = "between 3 and 20 pods";

/// The status of a Deployment of which so many pods are ready, with the reason of its `Progressing`.
pub fn pods(wanted: i32, ready: i32, progress: &str) -> Value {
    let going = if progress == "ProgressDeadlineExceeded" { "False" } else { "True" };
    json!({
        "observedGeneration": 1, "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready,
        "conditions": [{"type": "Progressing", "status": going, "reason": progress}],
    })
}

impl Pass {
    /// The status that comes of it.
    pub fn status(self) -> LearningPlatformStatus {
        let metadata = json!({"annotations": self.annotations});
        let platform: LearningPlatform =
            serde_json::from_value(object(self.generation, &metadata, &LearningPlatformStatus::default()))
                .expect("a platform");
        let valid: ValidPlatform = validate(&platform, &Settings::default()).expect("a valid one");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "story-web", "generation": 1, "ownerReferences": [valid.owner.reference()]},
            "spec": {
                "replicas": self.deployment["replicas"], "selector": {},
                "template": {"spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]}},
            },
            "status": self.deployment,
        });
        let id = ObjectId { kind: Kind::Deployment, name: "story-web".to_owned() };
        let deployment = serde_json::from_value(deployment).expect("a Deployment");
        let children = Children(BTreeMap::from([(id.clone(), deployment)]));
        let pod = serde_json::from_value(json!({"metadata": {}, "status": self.pod})).expect("a pod");
        let web = || "web".to_owned();
        let seen = SeenApp {
            missing: self.missing,
            troubles: trouble::of(&pod).into_iter().collect(),
            rollout: Rollout { gate: self.gate, ..Rollout::default() },
            ..SeenApp::default()
        };
        let seen = Observed { apps: BTreeMap::from([(web(), seen)]), ..Observed::default() };
        let scaling = ItemStatus { verdicts: vec![self.scaling, self.metrics], ..ItemStatus::default() };
        let findings = Findings {
            rooms: vec![
                Apps::default().status(&valid, &seen, &children),
                TierStatus { items: BTreeMap::from([(web(), scaling)]), waiting: None },
                TierStatus { items: BTreeMap::new(), waiting: self.stores },
            ],
            failures: self.failure.into_iter().map(|failure| (web(), failure)).collect(),
            pending: self.pending.then(web).into_iter().collect(),
            errors: self.error.into_iter().collect(),
            children: &children,
            wanted: BTreeSet::from([id]),
        };
        let (status, _) = status::status(&valid, findings, now());
        // A newer database changes no state.
        LearningPlatformStatus { time_zone_database: None, ..status }
    }

    /// The platform after it, and what others are to make of it.
    pub fn state(self, name: &'static str, read: Read, says: &'static str, message: &'static str) -> State {
        let metadata = if self.annotations == json!({}) { json!({}) } else { json!({"annotations": self.annotations}) };
        let generation = self.generation;
        State { name, says, read, message, object: object(generation, &metadata, &self.status()) }
    }
}

/// The reason that the decision core calls so.
pub fn named(word: &str) -> Reason {
    *Reason::ALL.iter().find(|reason| reason.as_str() == word).expect(word)
}

/// What is said of the app's one signal.
pub fn metrics(signal: &SignalState) -> Verdict {
    let reason = signal.metrics_reason();
    let state = if reason.is_available() { Truth::True } else { Truth::False };
    let reason = if reason == MetricsReason::Available { Reason::Succeeded } else { named(reason.as_str()) };
    Verdict::new(ConditionType::MetricsAvailable, state, reason, format!("request rate: {signal}"))
}
