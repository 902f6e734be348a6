//! The operator as its users run it: from its image, installed by its chart, with the chart's rights.

use super::*;
use k8s_openapi::api::{apps::v1::Deployment, rbac::v1::ClusterRole};
use learningplatform_tests::tools::tool;
use operator::kinds::Kind;
use std::collections::BTreeSet;
use std::{path::Path, process::Command};

/// Longer than Helm waits for anything here.
const HELM_WAITS: &str = "--timeout=3m";

/// Runs Helm on the release of the test; its namespace names the release, too, and whatever has no namespace.
async fn helm(system: &TestNamespace, verb: &str, arguments: &[String]) {
    let mut command = Command::new(tool("helm"));
    command.args([verb, &system.name]).args(arguments);
    command.args(["--namespace", &system.name, "--wait", HELM_WAITS]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("Helm runs");
    assert!(output.status.success(), "helm {verb}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The chart, with the image that the cluster has, for one namespace only: other tests have operators of their own.
fn chart(system: &TestNamespace, watched: &TestNamespace) -> Vec<String> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/operator");
    let settings = [
        format!("fullnameOverride={}", system.name),
        format!("watchNamespaces={{{}}}", watched.name),
        "image.registry=".to_owned(),
        "image.repository=learningplatform/operator".to_owned(),
        "image.tag=dev".to_owned(),
    ];
    let settings = settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]);
    std::iter::once(chart.display().to_string()).chain(settings).collect()
}

#[tokio::test]
async fn the_chart_installs_an_operator_that_makes_a_platform_ready() {
    let (system, school) = (TestNamespace::create("chart").await, TestNamespace::create("chart-school").await);
    helm(&system, "install", &chart(&system, &school)).await;
    let deployment = system.api::<Deployment>().get(&system.name).await.expect("the operator's Deployment");
    let conditions = deployment.status.and_then(|status| status.conditions).unwrap_or_default();
    assert!(conditions.iter().any(|c| c.type_ == "Available" && c.status == "True"), "{conditions:#?}");

    // With an object of every kind: a right that the chart forgets shows here.
    put_gateway(&school, "public").await;
    let web = json!({
        "replicas": null, "metrics": {"path": "/metrics"}, "uses": {"caches": [{"name": "cache"}]},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 2, "cpu": {"averageValue": "1"}},
        "jobs": [
            {"name": "migrate", "beforeRollout": {}, "args": ["--help"]},
            {"name": "report", "schedule": {"cron": "@yearly", "suspend": true}, "args": ["--help"]},
        ],
        "exposure": {
            "gateway": {"parentRefs": [{"name": "public"}], "hosts": ["school.example"]},
            "ingress": {"hosts": ["school.example"]},
        },
    });
    let logins = json!({
        "mode": "Single", "replicasPerShard": 0, "image": "docker.io/learningplatform/data:dev", "runAsUser": 100,
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}}, "volume": {"storage": "64Mi"}, "deletionPolicy": "Delete",
    });
    let caches = json!([
        {"name": "cache", "external": {"address": "redis.example", "secret": {"name": "redis"}}},
        {"name": "logins", "inCluster": logins},
    ]);
    put_secret(&school, "redis", "password", "hunter2").await;
    school.apply("school", json!({"apps": [with(app("web"), web)], "caches": caches})).await;
    ready(&school, "school").await;
    let made: BTreeSet<String> = children(&school).await.into_iter().filter_map(|o| Some(o.types?.kind)).collect();
    // CloudNativePG, cert-manager and snapshots of volumes have tests of their own.
    let others = [
        Kind::CloudNativePgCluster,
        Kind::CloudNativePgScheduledBackup,
        Kind::BarmanObjectStore,
        Kind::CertManagerCertificate,
        Kind::VolumeSnapshot,
    ];
    let kinds = Kind::ALL.into_iter().filter(|kind| !others.contains(kind)).map(|kind| kind.as_str().to_owned());
    assert_eq!(made, kinds.collect());
    let pods = system.api::<k8s_openapi::api::core::v1::Pod>().list(&Default::default()).await.expect("pods").items;
    let restarts = pods.iter().flat_map(|pod| pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()));
    assert_eq!(restarts.map(|container| container.restart_count).collect::<Vec<_>>(), [0], "one pod, started once");

    remove(&school, "learningplatform.dev/v1alpha1", "LearningPlatform", "school").await;
    eventually("the platform's objects are gone", SOON, || children(&school), Vec::is_empty).await;
    helm(&system, "uninstall", &[]).await;
    assert_eq!(system.replicas(&system.name).await, None, "the operator is gone");
    let roles = Api::<ClusterRole>::all(system.client.clone());
    assert!(roles.get_opt(&system.name).await.expect("an answer").is_none(), "its rights are gone");
    school.delete().await;
    system.delete().await;
}
