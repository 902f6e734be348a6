//! A pause stops writing, in one direction or both, and nothing else.

use super::{PLATFORM, SOON, Scene, app, by_rate, never_falls, numbers, object, pending, soak, with};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::api::ListParams;
use learningplatform_tests::harness::{TestNamespace, eventually, holds_for};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

fn select_policies(hpa: &Value) -> (&str, &str) {
    let of = |direction: &str| hpa["behavior"][direction]["selectPolicy"].as_str().unwrap_or_default();
    (of("scaleUp"), of("scaleDown"))
}

/// Per app: the HPA's bounds and the Deployment's replicas.
async fn figures(ns: &TestNamespace) -> BTreeMap<String, (i32, i32, i32)> {
    let params = ListParams::default();
    let hpas = ns.api::<HorizontalPodAutoscaler>().list(&params).await.expect("HPAs");
    let deployments = ns.api::<Deployment>().list(&params).await.expect("Deployments");
    let replicas: BTreeMap<_, _> =
        deployments.items.into_iter().filter_map(|d| Some((d.metadata.name?, d.spec?.replicas.unwrap_or(1)))).collect();
    let figures = hpas.items.into_iter().filter_map(|hpa| {
        let (name, spec) = (hpa.metadata.name?, hpa.spec?);
        let replicas = *replicas.get(&name)?;
        Some((name, (spec.min_replicas.unwrap_or(1), spec.max_replicas, replicas)))
    });
    figures.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_many_stops_writing_and_ends_in_one_pass() {
    let (platforms, apps) = if soak() { (10, 50) } else { (2, 20) };
    let scene = Scene::start("pause-many").await;
    let names: Vec<String> = (0..platforms).map(|p| format!("p{p}")).collect();
    let app_names: Vec<String> = (0..apps).map(|a| format!("a{a}")).collect();
    let load = |pods: f64| {
        for platform in &names {
            for app in &app_names {
                scene.load.set(&scene.ns.name, &format!("{platform}-{app}"), pods * 100.0, 0.05);
            }
        }
    };
    let paused = |pause: Value| {
        let scaling = with(by_rate(1, 5), json!({"pause": pause}));
        scene.spec(&app_names.iter().map(|name| pending(name, scaling.clone())).collect::<Vec<_>>())
    };
    let all = |count: i32| {
        move |seen: &BTreeMap<String, (i32, i32, i32)>| {
            seen.len() == platforms * apps
                && seen.values().all(|(floor, _, replicas)| (*floor, *replicas) == (count, count))
        }
    };
    let patience = if soak() { SOON * 6 } else { SOON * 2 };
    load(0.5);
    for name in &names {
        scene.ns.apply(name, paused(Value::Null)).await;
    }
    eventually("all run one pod", patience, || figures(&scene.ns), all(1)).await;

    for name in &names {
        scene.ns.apply(name, paused(json!("All"))).await;
    }
    let disabled = || async {
        let hpas = scene.ns.api::<HorizontalPodAutoscaler>().list(&ListParams::default()).await.expect("HPAs").items;
        let paused = hpas.iter().filter(|hpa| {
            let spec = serde_json::to_value(&hpa.spec).expect("JSON");
            select_policies(&spec) == ("Disabled", "Disabled")
        });
        paused.count()
    };
    eventually("all are paused", patience, disabled, |count| *count == platforms * apps).await;
    load(2.5);
    // The recommendation is made and shown meanwhile, and nothing moves.
    let wanted = || async {
        let explained = scene.operator.explain(&scene.ns.name, &names[0], &app_names[0]).await.unwrap_or_default();
        (explained["decision"]["floor"].as_i64(), explained["floor"].as_i64())
    };
    eventually("the recommendation rises", SOON, wanted, |seen| *seen == (Some(3), Some(1))).await;
    let status = || async { scene.ns.app_condition(&names[0], &app_names[0], "AutoscalingReady").await };
    eventually("status says that it is paused", SOON, status, |c| c.as_ref().is_some_and(|c| c.1 == "Paused")).await;
    holds_for("nothing moves", Duration::from_secs(18), || figures(&scene.ns), all(1)).await;

    let resumed = Instant::now();
    for name in &names {
        scene.ns.apply(name, paused(Value::Null)).await;
    }
    let floors = |seen: &BTreeMap<String, (i32, i32, i32)>| seen.values().all(|(floor, ..)| *floor == 3);
    eventually("the floors are written", patience, || figures(&scene.ns), floors).await;
    // One pass, not the tens of minutes of a controller that waits for its next interval. The long form writes 500 HPAs.
    let took = resumed.elapsed();
    assert!(took <= Duration::from_secs(if soak() { 120 } else { 30 }), "{took:?}");
    eventually("all run three pods", patience, || figures(&scene.ns), all(3)).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_way_pause_blocks_one_way_and_leaves_no_trace() {
    let scene = Scene::start("pause-one").await;
    let web = |pause: Value| [app("web", with(by_rate(1, 8), json!({"pause": pause})))];
    scene.pods_worth("web", 2.5);
    scene.apply(&web(Value::Null)).await;
    let record = scene.record("web").await;
    record.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;
    let before = record.now().hpa["behavior"].clone();

    scene.apply(&web(json!("ScaleIn"))).await;
    record.until("scaling in is disabled", SOON, |seen| select_policies(&seen.hpa) == ("Max", "Disabled")).await;
    let paused = Instant::now();
    scene.pods_worth("web", 4.5);
    record.until("it still scales out", SOON, |seen| seen.settled_at(5)).await;
    scene.pods_worth("web", 0.5);
    let wanted = || async {
        let explained = scene.operator.explain(&scene.ns.name, PLATFORM, "web").await.unwrap_or_default();
        explained["decision"]["floor"].as_i64()
    };
    eventually("fewer are recommended", SOON, wanted, |floor| *floor == Some(1)).await;
    tokio::time::sleep(Duration::from_secs(18)).await;
    let (floors, replicas) = (numbers(&record.floors(paused)), record.replicas(paused));
    assert!(never_falls(&floors) && floors.last() == Some(&5), "nothing is scaled in: {floors:?}");
    assert!(never_falls(&replicas) && replicas.last() == Some(&5), "nothing is scaled in: {replicas:?}");

    scene.apply(&web(Value::Null)).await;
    record.until("it scales in", SOON, |seen| seen.settled_at(1)).await;
    assert_eq!(record.now().hpa["behavior"], before, "the behaviour is the one from before, exactly");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pause_is_both_one_way_pauses() {
    let scene = Scene::start("pause-both").await;
    let web = |pause: Value| [app("web", with(by_rate(1, 8), json!({"pause": pause})))];
    scene.pods_worth("web", 2.5);
    scene.apply(&web(Value::Null)).await;
    let record = scene.record("web").await;
    record.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;
    let start = Instant::now();
    // Whichever comes first, the latest word counts, and All is both.
    for (pause, policies) in [
        ("ScaleOut", ("Disabled", "Max")),
        ("All", ("Disabled", "Disabled")),
        ("ScaleIn", ("Max", "Disabled")),
        ("All", ("Disabled", "Disabled")),
    ] {
        scene.apply(&web(json!(pause))).await;
        record.until(pause, SOON, |seen| select_policies(&seen.hpa) == policies).await;
    }
    for pods in [4.5, 0.5] {
        scene.pods_worth("web", pods);
        let wanted = || async {
            let explained = scene.operator.explain(&scene.ns.name, PLATFORM, "web").await.unwrap_or_default();
            explained["decision"]["floor"].as_i64()
        };
        let floor = if pods > 1.0 { 5 } else { 1 };
        eventually("it is recommended", SOON, wanted, |seen| *seen == Some(floor)).await;
    }
    assert_eq!(numbers(&record.floors(start)), [3]);
    assert_eq!(record.replicas(start), [3]);
    assert_eq!(record.now().bounds.map(|b| b.0), Some(3), "{}", object("web"));
    scene.end().await;
}
