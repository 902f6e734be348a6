//! Caches and databases in the cluster: real servers in real pods, with real clients.

mod backups;
mod bring_up;
mod bucket;
mod budget;
mod cert_manager;
mod chaos;
mod clients;
mod cloud_native_pg;
mod exporters;
mod namespaces;
mod pooler;
mod promote;
mod reshape;
mod restarts;
mod retention;
mod rotation;
mod scaling;
mod secrecy;
mod snapshots;
mod tls;
mod volumes;

use clients::Stores;
use k8s_openapi::api::core::v1::{Pod, Secret};
use learningplatform_tests::harness::{Operator, SAMPLE_APP_IMAGE, TestNamespace, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a store may take to be made, on a busy machine: images are there, volumes are made, servers find each other.
const MADE: Duration = Duration::from_secs(240);
const FLAGS: &[&str] = &["--leader-election=false"];
/// The servers of Debian's packages.
const IMAGE: &str = "docker.io/learningplatform/data:dev";

/// What a server asks for in tests: next to nothing.
fn resources() -> Value {
    json!({"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}})
}

fn cache(name: &str, changes: Value) -> Value {
    let base = json!({
        "image": IMAGE, "runAsUser": 100, "resources": resources(), "volume": {"storage": "128Mi"},
    });
    json!({"name": name, "inCluster": merged(base, changes)})
}

fn database(name: &str, changes: Value) -> Value {
    let base = json!({
        "image": IMAGE, "runAsUser": 101, "resources": resources(), "volume": {"storage": "256Mi"},
    });
    json!({"name": name, "inCluster": merged(base, changes)})
}

fn merged(mut base: Value, changes: Value) -> Value {
    for (field, value) in changes.as_object().expect("an object") {
        base[field] = value.clone();
    }
    base
}

/// An app of one pod that uses stores.
fn app(uses: Value) -> Value {
    json!({
        "name": "web", "image": SAMPLE_APP_IMAGE, "port": 3000, "replicas": 1,
        "env": [{"name": "DRAIN_SECONDS", "value": "0"}],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
        "draining": {"delay": "0s", "gracePeriod": "1s"},
        "health": {"path": "/api/health"},
        "uses": uses,
    })
}

async fn scene(test: &str) -> (TestNamespace, Operator) {
    let ns = TestNamespace::create(test).await;
    let operator = Operator::start(&ns, FLAGS).await;
    (ns, operator)
}

/// Waits until the platform is ready as it is wished now, and how long that took.
async fn ready(ns: &TestNamespace, platform: &str) -> Duration {
    let begun = Instant::now();
    let look = || async {
        let found = ns.platform(platform).await;
        let generation = found.metadata.generation;
        let conditions = found.status.unwrap_or_default().conditions.into_iter();
        conditions
            .map(|c| (c.type_, c.status, c.reason, c.message, c.observed_generation == generation))
            .collect::<Vec<_>>()
    };
    eventually("the platform is ready", MADE, look, |conditions| {
        conditions.iter().any(|(type_, status, _, _, current)| type_ == "Ready" && status == "True" && *current)
    })
    .await;
    begun.elapsed()
}
