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

fn with_stores() -> LearningPlatform {
    let ready = |type_: &str, message: &str| json!([condition(type_, "True", "Succeeded", message, "09:00:00")]);
    let server = |pod: &str, role: &str, shard: Option<i32>, slots: Option<i32>, state: &str| json!({"pod": pod, "role": role, "shard": shard, "slots": slots, "state": state});
    let kept = "volumes and passwords stay when the resource is deleted, and are found again when it is applied again";
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning", "generation": 4},
        "spec": {
            "caches": [
                {"name": "cache", "inCluster": {"shards": 3}},
                {"name": "far", "external": {"address": "redis.example"}},
            ],
            "databases": [{"name": "main", "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 1}}],
        },
        "status": {
            "observedGeneration": 4,
            "conditions": ready("Ready", ""),
            "caches": [
                {"name": "cache", "address": "story-cache.learning.svc:6379", "conditions": ready("CacheReady", "2 shards of 1 primary and 1 replicas"),
                 "promise": "an acknowledged write survives a crash of its server; a failover loses what no replica had received",
                 "deletion": kept, "passwordsChanged": "2026-11-28T12:00:00Z", "rotation": "apps change over to the new password",
                 "certificateExpires": "2027-01-30T12:00:00Z",
                 "reshaping": {"keysBefore": 1200, "keysAfter": 1200},
                 "servers": [
                    server("story-cache-s0-1", "Primary", Some(0), Some(8192), "Serving"),
                    server("story-cache-s0-0", "Replica", Some(0), None, "Behind"),
                    server("story-cache-s10-0", "Primary", Some(10), Some(0), "Serving"),
                 ]},
                {"name": "far", "address": "redis.example:6379",
                 "conditions": ready("CacheReady", "redis.example:6379 is somebody else's: its address and credentials are known")},
            ],
            "databases": [
                {"name": "main", "address": "story-main-rw.learning.svc:5432", "deletion": "volumes and passwords are deleted with the resource",
                 "pooler": "1 of 2 pods ready at story-main-pooler.learning.svc:5432",
                 "certificateExpires": "2026-12-01T10:00:00Z",
                 "conditions": [condition("DatabaseReady", "False", "DataMissing", "the volume of story-main-pg-0 is empty", "11:50:00")],
                 "reshaping": {"keysBefore": 7},
                 "servers": [
                    server("story-main-pg-0", "Primary", None, None, "NotWriting"),
                    server("story-main-pg-ro-0", "Replica", None, None, "Streaming"),
                 ]},
            ],
        },
    }))
    .expect("a platform")
}

#[test]
fn stores_with_their_servers() {
    let views = views(&[with_stores()], now());
    insta::assert_snapshot!("stores", table(&views, &Style::PLAIN, now()));
    let narrow = table(&views, &Style { width: 60, ..Style::PLAIN }, now());
    assert!(narrow.lines().all(|l| l.chars().count() <= 60), "{narrow}");
    insta::assert_json_snapshot!("stores_json", views[0].items);
    assert_eq!(exit(&views), Exit::Good, "the platform is Ready");
}

#[test]
fn a_cdn_with_what_is_left_to_do_for_it() {
    let ready = |type_: &str, message: &str| json!([condition(type_, "True", "Succeeded", message, "09:00:00")]);
    let platform: LearningPlatform = serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning", "generation": 4},
        "spec": {"cdns": [
            {"name": "edge", "cloudFront": {"origins": [], "behaviors": []}},
            {"name": "new", "cloudFront": {"origins": [], "behaviors": []}},
        ]},
        "status": {
            "observedGeneration": 4, "conditions": ready("Ready", ""),
            "cdns": [{
                "name": "edge", "domainName": "d1.cloudfront.net", "enabled": true, "deployed": false,
                "certificate": "issued, valid until 2027-03-01",
                "conditions": ready("CdnReady", "E1 serves at d1.cloudfront.net; next: update E1"),
                "deletion": "Retain: deleting it leaves the distribution enabled and as it is",
                "bucketPolicies": [{"origin": "media", "statement": "{}"}],
                "warnings": ["behaviors[*]: /metrics leads to an app: put a behavior for the path before it"],
            }],
        },
    }))
    .expect("a platform");
    let text = table(&[view(&platform, now())], &Style { width: 200, ..Style::PLAIN }, now());
    let lines: Vec<&str> = text.lines().skip(1).map(str::trim).collect();
    assert_eq!(lines.len(), 7, "{text}");
    for line in [
        "E1 serves at d1.cloudfront.net; next: update E1",
        "TLS       certificate issued, valid until 2027-03-01",
        "deploying what AWS has accepted is on its way to the edges, which takes some minutes",
        "deletion  Retain: deleting it leaves the distribution enabled and as it is",
        "bucket    the policy of origin media's bucket needs: {}",
        "warning   behaviors[*]: /metrics leads to an app: put a behavior for the path before it",
        "not seen by the operator yet",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("address"), "it was said already: {text}");
}

#[test]
fn jobs_are_told_one_by_one_and_a_rollout_that_waits_with_its_app() {
    let mut platform = serde_json::to_value(some().remove(0)).unwrap();
    let job = |name: &str| json!({"name": name, "afterRollout": {}, "args": ["x"]});
    platform["spec"]["apps"][1]["jobs"] = json!([job("new"), job("good"), job("busy"), job("bad")]);
    let status = |name: &str, state: &str, at: &str| json!({"name": name, "state": state, "run": format!("good-worker-{name}-1"), "at": format!("2026-12-01T{at}Z")});
    platform["status"]["apps"][1]["jobs"] = json!([
        status("good", "Succeeded", "11:00:00"),
        status("busy", "Running", "11:59:00"),
        status("bad", "Failed", "11:58:00"),
    ]);
    let pending =
        condition("RolloutPending", "True", "Frozen", "the freeze exams holds a rollout until noon", "11:00:00");
    platform["status"]["apps"][0]["conditions"].as_array_mut().unwrap().push(pending);
    let text = table(&[view(&serde_json::from_value(platform).unwrap(), now())], &Style::PLAIN, now());
    insta::assert_snapshot!("jobs", text);
}
