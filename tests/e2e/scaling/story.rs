//! The story guide's HPA: what is written, and how its floor moves.

use super::{PLATFORM, SOON, Scene, app, behavior, by_rate, numbers, object, with};
use crds::LearningPlatform;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};
use std::{path::Path, time::Instant};

/// The example, in this namespace and without the parts that need a gateway, servers or AWS; its pods find no node.
fn story(scene: &Scene) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/story.yaml");
    let text = std::fs::read_to_string(file).expect("the example");
    let platform: LearningPlatform = lpctl::manifests::platforms(&text).expect("YAML").remove(0);
    let mut spec = serde_json::to_value(platform.spec).expect("JSON");
    spec["prometheus"] = json!({"url": scene.prometheus.url, "scrapeInterval": "1s"});
    let web = spec["apps"][0].as_object_mut().expect("an app");
    web.remove("exposure");
    web.remove("uses");
    web.insert("nodeSelector".to_owned(), json!({"learningplatform.dev/no-such-node": "true"}));
    for items in ["caches", "databases", "cdns"] {
        spec.as_object_mut().expect("an object").remove(items);
    }
    spec
}

#[tokio::test]
async fn the_story_guides_hpa_is_its_table() {
    let scene = Scene::start("story-table").await;
    scene.pods_worth("web", 0.5);
    scene.ns.apply(PLATFORM, story(&scene)).await;
    let web = scene.record("web").await;
    web.until("there is an HPA", SOON, |seen| seen.bounds.is_some()).await;
    let hpa = scene.ns.api::<HorizontalPodAutoscaler>().get(&object("web")).await.expect("an HPA");
    let utilization = |name: &str, percent: i32| {
        json!({"type": "Resource", "resource": {
            "name": name, "target": {"type": "Utilization", "averageUtilization": percent},
        }})
    };
    let rules = |window: i32, percent: i32, period: i32| {
        json!({"stabilizationWindowSeconds": window, "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": percent, "periodSeconds": period}]})
    };
    // Table of the guide: 3 to 20 pods; cpu 70 %, memory 80 %; up 100 % in 15 s after 60 s; down 10 % in 60 s after 300 s.
    // Its Pods metric, 100 requests per second, is the floor's.
    let table = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object("web")},
        "minReplicas": 3, "maxReplicas": 20,
        "metrics": [utilization("cpu", 70), utilization("memory", 80)],
        "behavior": {"scaleUp": rules(60, 100, 15), "scaleDown": rules(300, 10, 60)},
    });
    assert_eq!(serde_json::to_value(hpa.spec).expect("JSON"), table);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_guides_own_peak_three_pods_become_four() {
    let scene = Scene::start("story-peak").await;
    // 320 requests per second on 3 pods are within the tolerance of a plain HPA.
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", by_rate(3, 20))]).await;
    let web = scene.record("web").await;
    web.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;
    let peak = Instant::now();
    scene.pods_worth("web", 3.2);
    web.until("four pods are ready", SOON, |seen| seen.settled_at(4)).await;
    assert_eq!(numbers(&web.floors(peak)), [3, 4]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_trajectory_is_the_floors() {
    let scene = Scene::start("story-path").await;
    // The guide's behaviour with its seconds shortened: 60 s to 4 s, 15 s to 3 s, 300 s to 6 s, 60 s to 2 s. Requests in
    // flight are a gauge, so demand steps at once, as in the guide's table; at 1 s each they number as many as the rate.
    let path = with(
        by_rate(3, 20),
        json!({
            "requestRate": null, "concurrency": {"perPod": 100},
            "behavior": behavior((4, "Percent", 100, 3), (6, "Percent", 10, 2)),
        }),
    );
    let set = |pods: f64| scene.load.set(&scene.ns.name, &object("web"), pods * 100.0, 1.0);
    set(0.5);
    scene.apply(&[app("web", path)]).await;
    let web = scene.record("web").await;
    web.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;
    let up = Instant::now();
    set(19.5);
    web.until("the top is reached", SOON, |seen| seen.settled_at(20)).await;
    assert_eq!(numbers(&web.floors(up)), [3, 6, 12, 20]);

    let down = Instant::now();
    set(0.5);
    web.until("the bottom is reached", SOON * 2, |seen| seen.settled_at(3)).await;
    assert_eq!(numbers(&web.floors(down)), [20, 18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3]);
    scene.end().await;
}
