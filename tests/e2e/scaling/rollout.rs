//! A rolling update is no demand.

use super::{PLATFORM, SOON, Scene, app, behavior, numbers};
use learningplatform_tests::harness::eventually;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_at_idle_moves_no_count() {
    let scene = Scene::start("rollout").await;
    let selector = format!("http_requests_total{{namespace=\"{}\"}}", scene.ns.name);
    let rate = format!("sum(rate({selector}[4s]))");
    let web = |health: &str| {
        let mut web = app(
            "web",
            json!({
                "minReplicas": 1, "maxReplicas": 12, "collapseHold": "0s",
                "requestRate": {"perPod": 100, "query": rate, "freshness": selector},
                "behavior": behavior((0, "Percent", 1000, 1), (3, "Percent", 100, 1)),
            }),
        );
        web["port"] = json!(3000);
        web["health"] = json!({"path": "/api/health"});
        web["draining"] = json!({"delay": "0s"});
        web["rollout"] = json!({"maxSurge": "25%"});
        let env = [("DRAIN_SECONDS", "0"), ("WARMUP_SECONDS", "0"), ("HEALTH", health)];
        web["env"] = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>();
        web
    };
    // 3.8 pods' worth; what probes and warm-up of a rollout add, 8 %, would need a fifth pod.
    scene.pods_worth("web", 3.8);
    scene.apply(&[web("ok")]).await;
    let record = scene.record("web").await;
    record.until("four pods are ready", SOON, |seen| seen.settled_at(4) && seen.updated == 4).await;

    let start = Instant::now();
    // The new pods never become ready, so the rollout lasts as long as is looked at it.
    scene.apply(&[web("fail")]).await;
    record.until("the rollout is under way", SOON, |seen| seen.updated == 1).await;
    scene.pods_worth("web", 4.1);
    let restrained = || async {
        let explained = scene.operator.explain(&scene.ns.name, PLATFORM, "web").await.unwrap_or_default();
        let stages = explained["decision"]["stages"].as_array().cloned().unwrap_or_default();
        let stage = stages.into_iter().find(|stage| stage["name"] == "restrain").unwrap_or_default();
        (stage["before"].as_i64(), stage["after"].as_i64())
    };
    eventually("the rollout restrains what demand asks for", SOON, restrained, |seen| *seen == (Some(5), Some(4)))
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    scene.pods_worth("web", 3.8);
    let now = || scene.prometheus.value(&rate);
    eventually("the load is the old one", SOON, now, |rate| rate.is_some_and(|rate| rate < 395.0)).await;

    scene.apply(&[web("ok")]).await;
    record.until("the rollout has ended", SOON, |seen| seen.updated == 4 && seen.settled_at(4)).await;
    let steady = || async { scene.ns.condition(PLATFORM, "Ready").await.map(|c| c.0) };
    eventually("the platform is Ready", SOON, steady, |state| state.as_deref() == Some("True")).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(numbers(&record.floors(start)), [4]);
    assert_eq!(record.replicas(start), [4]);
    scene.end().await;
}
