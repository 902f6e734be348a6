//! Overloaded pods complete little, which looks like light load: latency tells.

use super::{ALONE, SOON, Scene, app, never_falls, numbers, soak};
use learningplatform_tests::harness::{Need, Traffic, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_in_a_closed_loop_is_grown_out_of() {
    if Need::PodRoute.is_missing() {
        return;
    }
    // 400 requests per second for pods that are planned for 100 and complete 60; a quarter of it in the short form.
    let scale = if soak() { 1 } else { 4 };
    let (per_pod, capacity, users) = (100 / scale, 60 / scale, 400 / scale);
    let flags = [ALONE, "--tunable=breach=3s", "--tunable=settle=8s"];
    let scene = Scene::with("overload", Some((3000, "/api/metrics")), &flags).await;
    let mut web = app(
        "web",
        json!({
            "minReplicas": 3, "maxReplicas": 12,
            "requestRate": {"perPod": per_pod},
            "latency": {"percentile": 95, "budget": "200ms"},
        }),
    );
    web["port"] = json!(3000);
    web["health"] = json!({"path": "/api/health"});
    web["draining"] = json!({"delay": "0s"});
    web["env"] = json!([
        {"name": "DRAIN_SECONDS", "value": "0"}, {"name": "WARMUP_SECONDS", "value": "0"},
        {"name": "CAPACITY_RPS", "value": capacity.to_string()},
    ]);
    scene.apply(&[web]).await;
    let web = scene.record("web").await;
    web.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;

    let start = Instant::now();
    let _traffic = Traffic::start(&scene.ns, "web", 3000, "/api/stories", users, Duration::from_secs(1));
    web.until("seven pods are ready", Duration::from_secs(240), |seen| seen.ready >= 7).await;
    let p95 = format!(
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{{namespace=\"{}\"}}[10s])))",
        scene.ns.name
    );
    eventually(
        "latency is back in its budget",
        SOON,
        || scene.prometheus.value(&p95),
        |p95| p95.is_some_and(|p| p < 0.2),
    )
    .await;
    let floors = numbers(&web.floors(start));
    assert!(never_falls(&floors), "the floor fell while over budget: {floors:?}");
    assert!(never_falls(&web.ready(start)), "{:?}", web.ready(start));
    scene.end().await;
}
