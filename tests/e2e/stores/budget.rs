//! A database whose connections are taken: what is slow because of it gets no more pods.

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
