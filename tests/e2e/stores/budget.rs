//! What the connections of a database allow: what is slow because of them gets no more pods, and nobody has more pods than they
//! are enough for.

use super::{clients::Stores, *};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use learningplatform_tests::harness::{Load, Prometheus};

/// How long what has to stay is looked at: a breach, two looks of the keeper, and a few ticks more.
const STAYS: Duration = Duration::from_secs(25);

/// The floor, and what the condition of scaling says.
async fn scaling(ns: &TestNamespace) -> (Option<i32>, String, String) {
    let hpa = ns.api::<HorizontalPodAutoscaler>().get_opt("story-web").await.expect("an answer");
    let apps = ns.platform("story").await.status.unwrap_or_default().apps;
    let condition = apps.into_iter().flat_map(|app| app.conditions).find(|c| c.type_ == "AutoscalingReady");
    let (reason, message) = condition.map(|c| (c.reason, c.message)).unwrap_or_default();
    (hpa.and_then(|hpa| hpa.spec?.min_replicas), reason, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_connections_are_taken_stops_the_growth_of_a_latency_spike() {
    let ns = TestNamespace::create("store-budget").await;
    let load = Load::start_stamped().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    let flags = ["--evaluation-interval=1s", "--debounce=100ms", "--tunable=breach=5s", "--tunable=guard-retest=10s"];
    let operator = Operator::start(&ns, &[FLAGS, &flags].concat()).await;
    let mut web = app(json!({"databases": [{"name": "main", "pool": {"max": 1}}]}));
    web.as_object_mut().expect("an object").remove("replicas");
    web["autoscaling"] = json!({
        "minReplicas": 2, "maxReplicas": 6, "collapseHold": "0s",
        "requestRate": {"perPod": 100}, "latency": {"percentile": 95, "budget": "200ms"},
        "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0,
            "policies": [{"type": "Percent", "value": 1000, "periodSeconds": 1}]}},
    });
    // Pods' worth of 1.6, so that a latency over its budget asks for more than two.
    load.set(&ns.name, "story-web", 160.0, 0.05);
    ns.apply(
        "story",
        json!({
            "prometheus": {"url": prometheus.url, "scrapeInterval": "1s"},
            "databases": [database("main", json!({"parameters": {"max_connections": "40"}}))],
            "apps": [web],
        }),
    )
    .await;
    ready(&ns, "story").await;
    let look = || scaling(&ns);
    eventually("two pods are the floor", MADE, look, |(floor, reason, _)| *floor == Some(2) && reason == "Succeeded")
        .await;

    // 40 less the three that the superuser keeps; the operator has one to three of them.
    let stores = Stores { ns: &ns, platform: "story" };
    let mut sessions = Vec::new();
    for _ in 0..33 {
        sessions.push(stores.postgres("main", "story-main-pg-0").await);
    }
    // The keeper looks every five seconds, and twice makes it sure.
    tokio::time::sleep(Duration::from_secs(6)).await;
    load.set(&ns.name, "story-web", 160.0, 0.5);
    let told = eventually("the database is named", MADE, look, |(_, reason, _)| reason == "BottleneckElsewhere").await;
    assert!(told.2.contains("main is the bottleneck: the share of connections in use"), "{}", told.2);
    let since = Instant::now();
    while since.elapsed() < STAYS {
        let (floor, reason, message) = scaling(&ns).await;
        assert_eq!((floor, reason.as_str()), (Some(2), "BottleneckElsewhere"), "{message}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    let freed = Instant::now();
    drop(sessions);
    let (floor, reason, message) = eventually("the floor rises", MADE, look, |(floor, ..)| *floor > Some(2)).await;
    println!("the floor is {floor:?} {:?} after the sessions ended: {reason}: {message}", freed.elapsed());
    drop(operator);
    ns.delete().await;
}

/// Changes of the HPA's maximum from now on until it is `last`, and when each came.
async fn caps_until(ns: &TestNamespace, last: i32) -> Vec<(Duration, i32)> {
    let begun = Instant::now();
    let mut caps: Vec<(Duration, i32)> = Vec::new();
    while caps.last().is_none_or(|(_, cap)| *cap != last) {
        assert!(begun.elapsed() < MADE, "{caps:?}: {:?}", scaling(ns).await);
        let cap = ns.bounds("story-web").await.expect("an HPA").1;
        if caps.last().is_none_or(|(_, known)| *known != cap) {
            caps.push((begun.elapsed(), cap));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    caps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_fewer_connections_lowers_the_cap_by_its_ramp() {
    let ns = TestNamespace::create("store-cap").await;
    let load = Load::start_stamped().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    let operator = Operator::start(&ns, &[FLAGS, &["--evaluation-interval=1s", "--debounce=100ms"]].concat()).await;
    let mut web = app(json!({"databases": [{"name": "main", "pool": {"max": 4}}]}));
    web.as_object_mut().expect("an object").remove("replicas");
    // Faster than the ramp may be nothing: neither the window nor the HPA's own defaults.
    web["autoscaling"] = json!({
        "minReplicas": 1, "maxReplicas": 6, "requestRate": {"perPod": 100},
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 1000, "periodSeconds": 1}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 10}]},
        },
    });
    let spec = |most: &str, budget: Option<i32>| {
        let mut main = database("main", json!({"parameters": {"max_connections": most}}));
        main["connectionBudget"] = json!(budget);
        json!({
            "prometheus": {"url": prometheus.url, "scrapeInterval": "1s"}, "databases": [main], "apps": [web],
        })
    };
    load.set(&ns.name, "story-web", 580.0, 0.05);
    // 40 - 3 reserved - 3 for the operator - 1 - 1 are 32, and (6 + 1) x 4 are 28.
    ns.apply("story", spec("40", None)).await;
    ready(&ns, "story").await;
    let pods = || async { ns.replicas("story-web").await.map(|(_, ready)| ready) };
    eventually("six pods serve", MADE, pods, |ready| *ready == Some(6)).await;

    // A budget below what the spec itself allows is no matter of a ramp.
    let refused = ns.try_apply("story", spec("40", Some(27))).await.expect_err("27 of 28");
    assert!(refused.to_string().contains("connectionBudget: the apps"), "{refused}");

    // 28 - 8 are 20: (4 + 1) x 4.
    ns.apply("story", spec("28", None)).await;
    let caps = caps_until(&ns, 4).await;
    println!("the cap: {caps:?}");
    assert_eq!(caps.iter().map(|(_, cap)| *cap).collect::<Vec<_>>(), [6, 5, 4]);
    let between = caps[2].0 - caps[1].0;
    assert!(between > Duration::from_secs(9), "{between:?} between two steps");
    eventually("four pods are left", MADE, pods, |ready| *ready == Some(4)).await;
    let told = || async {
        let status = ns.platform("story").await.status.unwrap_or_default();
        status.apps.into_iter().find_map(|app| app.scaling).map(|scaling| (scaling.cap, scaling.reason))
    };
    let told = eventually("status says why", MADE, told, |told| told.as_ref().is_some_and(|(cap, _)| *cap == 4)).await;
    let reason = told.expect("a decision").1;
    assert!(reason.contains("main takes 20 connections, and its apps could open 28"), "{reason}");

    ns.apply("story", spec("40", None)).await;
    eventually("six pods serve again", MADE, pods, |ready| *ready == Some(6)).await;
    drop(operator);
    ns.delete().await;
}
