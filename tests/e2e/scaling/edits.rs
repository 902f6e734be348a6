//! Edits of a running app's scaling.

use super::{SOON, Scene, app, by_rate, numbers, with};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_one_update_and_moves_no_pod() {
    let scene = Scene::start("edit").await;
    // Metrics that never ask for more, so that the rate alone sizes the app.
    let cpu = |value: &str| json!({"cpu": {"averageValue": value}});
    let memory = json!({"memory": {"averageValue": "64Gi"}});
    scene.pods_worth("web", 2.5);
    let base = with(by_rate(1, 8), cpu("50"));
    scene.apply(&[app("web", base.clone())]).await;
    let web = scene.record("web").await;
    web.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;
    // The cap is the spec's as soon as the HPA has followed the floor.
    web.until("the bounds have settled", SOON, |seen| seen.bounds == Some((3, 8))).await;

    let names = |hpa: &Value| -> Vec<(String, String)> {
        let metrics = hpa["metrics"].as_array().cloned().unwrap_or_default();
        let of = |m: &Value| {
            let resource = &m["resource"];
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            (text(&resource["name"]), text(&resource["target"]["averageValue"]))
        };
        metrics.iter().map(of).collect()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = [
        ("another target", with(base.clone(), cpu("60")), vec![pair("cpu", "60")]),
        ("a metric more", with(with(base.clone(), cpu("60")), memory), vec![pair("cpu", "60"), pair("memory", "64Gi")]),
        ("a metric less", with(base.clone(), cpu("60")), vec![pair("cpu", "60")]),
    ];
    for (what, scaling, metrics) in edits {
        let edited = Instant::now();
        scene.apply(&[app("web", scaling)]).await;
        web.until(what, SOON, |seen| names(&seen.hpa) == metrics).await;
        // Passes, evaluations and a sync of the HPA follow.
        tokio::time::sleep(Duration::from_secs(16)).await;
        let specs = web.values(edited, |seen| Some(seen.hpa.clone()));
        assert_eq!(specs.len(), 2, "{what}: one update: {specs:#?}");
        assert_eq!(web.replicas(edited), [3], "{what}");
        assert_eq!(web.ready(edited), [3], "{what}");
    }
    // What sizes the app may move it, but from where it is.
    let edited = Instant::now();
    scene.apply(&[app("web", with(base, json!({"requestRate": {"perPod": 70}})))]).await;
    web.until("four pods are ready", SOON, |seen| seen.settled_at(4)).await;
    assert_eq!(numbers(&web.floors(edited)), [3, 4]);
    assert_eq!(web.replicas(edited), [3, 4]);
    scene.end().await;
}
