//! A GitOps tool applies the resource again and again.

use super::{PLATFORM, SOON, Scene, app, by_rate, numbers, soak};
use crds::LearningPlatform;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use learningplatform_tests::harness::{eventually, kubectl};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Applies the platform on the server's side or the client's, in turn.
async fn apply(scene: &Scene, turn: usize, apps: &[Value]) {
    if turn.is_multiple_of(2) {
        scene.apply(apps).await;
        return;
    }
    let platform = json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": PLATFORM, "namespace": scene.ns.name}, "spec": scene.spec(apps),
    });
    let file = scene.ns.dir.path().join("platform.json");
    std::fs::write(&file, platform.to_string()).expect("a file");
    kubectl(&["apply", "-f", &file.to_string_lossy()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_again_and_again_moves_no_replica() {
    let (times, pause) = if soak() { (20, 30) } else { (10, 2) };
    let scene = Scene::start("gitops").await;
    let apps = [app("web", by_rate(1, 8))];
    scene.pods_worth("web", 3.5);
    scene.apply(&apps).await;
    let web = scene.record("web").await;
    web.until("four pods are ready", SOON, |seen| seen.settled_at(4)).await;
    let start = Instant::now();
    for turn in 0..times {
        apply(&scene, turn, &apps).await;
        tokio::time::sleep(Duration::from_secs(pause)).await;
    }
    assert_eq!(web.replicas(start), [4]);
    assert_eq!(numbers(&web.floors(start)), [4]);
    assert_eq!(web.ready(start), [4]);
    // It moves when the load does, with the next apply or without.
    scene.pods_worth("web", 4.5);
    web.until("five pods are ready", SOON, |seen| seen.settled_at(5)).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_outlives_applies_and_ends_by_itself() {
    let scene = Scene::start("hold").await;
    let apps = [app("web", by_rate(1, 8))];
    scene.pods_worth("web", 0.5);
    scene.apply(&apps).await;
    let web = scene.record("web").await;
    web.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;

    let start = Instant::now();
    let length = Duration::from_secs(40);
    let until = Timestamp::now() + SignedDuration::try_from(length).expect("a duration");
    // To the second, as people write it.
    let until = Timestamp::from_second(until.as_second()).expect("a time");
    let hold = json!({"floor": 4, "until": until.to_string(), "reason": "mock exam", "by": "ana"});
    let annotation = format!("{}web", crds::HOLD_ANNOTATION_PREFIX);
    let patch = json!({"metadata": {"annotations": {annotation: hold.to_string()}}});
    let platforms = scene.ns.api::<LearningPlatform>();
    let params = PatchParams { field_manager: Some("lpctl".to_owned()), ..PatchParams::default() };
    platforms.patch(PLATFORM, &params, &Patch::Merge(&patch)).await.expect("an annotation");
    web.until("the hold is written", SOON, |seen| seen.floor() == Some(4)).await;
    for turn in 0..6 {
        apply(&scene, turn, &apps).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let status = || async {
        let status = scene.ns.platform(PLATFORM).await.status.unwrap_or_default();
        status.apps.into_iter().find(|app| app.name == "web").and_then(|app| app.scaling)
    };
    let shown =
        eventually("status shows the hold", SOON, status, |s| s.as_ref().is_some_and(|s| s.hold.is_some())).await;
    let shown = serde_json::to_value(shown.expect("scaling").hold).expect("JSON");
    assert_eq!(shown, hold);
    let condition = scene.ns.app_condition(PLATFORM, "web", "AutoscalingReady").await.expect("a condition");
    assert!(
        condition.1 == "Held" && condition.2.contains("mock exam") && condition.2.contains(&until.to_string()),
        "{condition:?}"
    );
    web.until("the held pods are ready", SOON, |seen| seen.settled_at(4)).await;

    web.until("the hold ends", length + SOON, |seen| seen.settled_at(1)).await;
    eventually("status shows it no more", SOON, status, |s| s.as_ref().is_some_and(|s| s.hold.is_none())).await;
    let floors = web.floors(start);
    assert_eq!(numbers(&floors), [1, 4, 1]);
    let ended = floors[2].0 - start;
    assert!(ended >= length - Duration::from_secs(2), "it ended after {ended:?}");
    scene.end().await;
}
