use super::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, at: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": format!("2026-12-01T{at}Z"), "observedGeneration": 4})
}

fn platform(name: &str, ready: &Value, metrics: &Value, generation: i64) -> LearningPlatform {
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": name, "namespace": "learning", "generation": generation, "managedFields": [
            {"manager": "kubectl", "operation": "Apply", "time": "2026-12-01T11:59:56Z"},
            {"manager": "learningplatform/status", "operation": "Apply", "subresource": "status", "time": "2026-12-01T11:59:59Z"},
        ]},
        "spec": {"apps": [
            {"name": "web", "image": "registry.example/web:1.8.2", "port": 3000,
             "autoscaling": {"minReplicas": 3, "maxReplicas": 20, "requestRate": {"perPod": 100}}},
            {"name": "worker", "image": "registry.example/worker:2", "replicas": 2},
        ]},
        "status": {
            "observedGeneration": 4,
            "conditions": [ready],
            "summary": {"apps": "1/2", "pods": "5/6"},
            "apps": [
                {"name": "web", "image": "registry.example/web:1.8.2", "replicas": {"desired": 4, "ready": 4, "updated": 4},
                 "conditions": [condition("AppReady", "True", "Succeeded", "", "09:00:00"),
                    condition("AutoscalingReady", "True", "Succeeded", "", "09:00:00"), metrics],
                 "scaling": {"floor": 4, "cap": 20, "reason": "request rate 320 requests/s needs 4 pods",
                    "hold": {"floor": 4, "until": "2026-12-01T14:00:00Z", "reason": "exam", "by": "ann"}}},
                {"name": "worker", "replicas": {"desired": 2, "ready": 1, "updated": 2},
                 "conditions": [condition("AppReady", "False", "ImagePull", "the image worker:2 cannot be pulled: not found", "11:57:00")]},
            ],
        },
    }))
    .expect("a platform")
}

fn some() -> Vec<LearningPlatform> {
    let available = condition("MetricsAvailable", "True", "Succeeded", "request rate has a value", "09:00:00");
    let unseen = condition(
        "MetricsAvailable",
        "False",
        "SeriesNeverSeen",
        "request rate: no series has ever matched http_request_total",
        "11:50:00",
    );
    let not_ready =
        condition("Ready", "False", "ImagePull", "app worker: the image worker:2 cannot be pulled", "11:57:00");
    let ready = condition("Ready", "True", "Succeeded", "", "09:00:00");
    vec![
        platform("good", &ready, &available, 4),
        platform("stale", &ready, &unseen, 5),
        platform("bad", &not_ready, &available, 4),
    ]
}

#[test]
fn as_text() {
    insta::assert_snapshot!("table", table(&views(&some(), now()), &Style::PLAIN, now()));
    let narrow = Style { width: 50, unicode: true, color: false };
    let text = table(&views(&some()[..1], now()), &narrow, now());
    assert!(text.lines().all(|l| l.chars().count() <= 50), "{text}");
    insta::assert_snapshot!("narrow", text);
}

#[test]
fn as_json() {
    insta::assert_json_snapshot!("json", views(&some(), now()));
}

#[test]
fn the_worst_decides_the_exit() {
    let views = views(&some(), now());
    assert_eq!(views[0].name, "bad");
    assert_eq!(exit(&views), Exit::Found);
    assert_eq!(exit(&views[1..]), Exit::Good);
    let mut unseen = some().remove(0);
    unseen.status = None;
    assert_eq!(exit(&[view(&unseen, now())]), Exit::Unknown);
}

#[test]
fn a_platform_that_goes_says_so() {
    let mut going = some().remove(0);
    going.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time("2026-12-01T11:59:30Z".parse().unwrap()));
    let text = table(&[view(&going, now())], &Style::PLAIN, now());
    assert!(text.starts_with("learning/good  Deleting for 30s"), "{text}");
}
