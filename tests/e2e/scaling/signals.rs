//! The floor follows the rate: limits and windows, staircase, sustained and returning load.

use super::{PLATFORM, SOON, Scene, app, behavior, by_rate, never_falls, never_rises, numbers, soak, with};
use crds::status::PastDecision;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::{Duration, Instant};

/// From a change of the load to the floor on an idle machine: the range for raising, a scrape and an evaluation, 4 s in
/// all; the rest is for a busy one.
const REACTION: Duration = Duration::from_secs(20);
/// An HPA looks at its bounds every 15 s at the latest.
const HPA: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn no_cut_before_the_down_window_has_passed() {
    let window = Duration::from_secs(15);
    let scene = Scene::start("down-window").await;
    let web = with(by_rate(1, 8), json!({"behavior": behavior((0, "Percent", 1000, 1), (15, "Percent", 100, 1))}));
    // 4.9 pods' worth: it takes a second without load until fewer than 5 pods would do.
    scene.pods_worth("web", 4.9);
    scene.apply(&[app("web", web)]).await;
    let web = scene.record("web").await;
    web.until("5 pods are ready", SOON, |seen| seen.settled_at(5)).await;

    let gone = Instant::now();
    scene.pods_worth("web", 0.0);
    web.until("the floor falls", SOON, |seen| seen.floor() == Some(1)).await;
    web.until("the pods go", REACTION + HPA * 2, |seen| seen.settled_at(1)).await;
    let floors = web.floors(gone);
    let cut = floors.get(1).expect("the floor fell").0 - gone;
    // Polls that failed on a busy machine record nothing, and a fifth of the window may lack them.
    assert!(cut >= window.mul_f64(0.8), "the first cut came {cut:?} after the load went: {floors:?}");
    assert!(cut <= window + REACTION, "the first cut came {cut:?} after the load went: {floors:?}");
    assert!(never_rises(&numbers(&floors)), "{floors:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_floor_obeys_the_limit_for_scaling_up() {
    let scene = Scene::start("up-limit").await;
    let web = with(by_rate(1, 8), json!({"behavior": behavior((0, "Pods", 1, 10), (3, "Percent", 100, 1))}));
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", web)]).await;
    let web = scene.record("web").await;
    web.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;

    let spike = Instant::now();
    scene.pods_worth("web", 4.5);
    let second = web.until("the second pod is asked for", REACTION, |seen| seen.floor() == Some(2)).await;
    assert!(second - spike < REACTION);
    web.until("all pods are ready", SOON + HPA, |seen| seen.settled_at(5)).await;
    let floors = web.floors(spike);
    assert_eq!(numbers(&floors), [1, 2, 3, 4, 5], "one pod at a time");
    // By the operator's own clock it is ten seconds at least.
    let explained = scene.operator.explain(&scene.ns.name, PLATFORM, "web").await.expect("an explanation");
    let decided: Vec<PastDecision> = serde_json::from_value(explained["decisions"].clone()).expect("decisions");
    let at = |floor: i32| {
        let first = decided.iter().rev().find(|past| past.floor == floor);
        let first = first.unwrap_or_else(|| panic!("no decision for {floor}: {decided:#?}"));
        first.at.parse::<Timestamp>().expect("a time")
    };
    for floor in 3..=5 {
        let apart = at(floor).duration_since(at(floor - 1));
        assert!(apart >= SignedDuration::from_secs(10), "{apart:#} before {floor}: {decided:#?}");
    }
    for pair in floors[1..].windows(2) {
        // A write and a watch take their time, one step's a little more than the next one's.
        let apart = pair[1].0 - pair[0].0;
        assert!(apart >= Duration::from_secs(8), "{apart:?} between two steps: {floors:?}");
    }
    let replicas = web.replicas(spike);
    assert!(never_falls(&replicas) && replicas.iter().all(|count| *count <= 5), "{replicas:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staircase_of_load_is_climbed_without_losing_a_pod() {
    let scene = Scene::start("staircase").await;
    scene.pods_worth("web", 1.0);
    scene.apply(&[app("web", by_rate(1, 8))]).await;
    let web = scene.record("web").await;
    web.until("the first step is ready", SOON, |seen| seen.replicas.is_some_and(|n| n >= 1) && seen.ready >= 1).await;
    let mut since = Instant::now();
    for n in 2..=4 {
        scene.pods_worth("web", f64::from(n));
        web.until("the step is ready", SOON, |seen| seen.ready >= n && seen.replicas == seen.floor()).await;
        if soak() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let ready = web.ready(since);
        assert!(ready.iter().all(|count| *count >= n - 1), "step {n}: {ready:?}");
        since = Instant::now();
    }
    let end = web.now().replicas.expect("a Deployment");
    assert!((3..=5).contains(&end), "4 pods' worth ended at {end}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sustained_load_is_reached_and_held() {
    let scene = Scene::start("sustain").await;
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", by_rate(1, 12))]).await;
    let web = scene.record("web").await;
    web.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;
    let start = Instant::now();
    scene.pods_worth("web", 9.5);
    web.until("ten pods are ready", SOON, |seen| seen.settled_at(10)).await;
    // Longer than the ranges, the down window and a sync of the HPA together.
    tokio::time::sleep(Duration::from_secs(if soak() { 120 } else { 25 })).await;
    let (floors, replicas, ready) = (numbers(&web.floors(start)), web.replicas(start), web.ready(start));
    assert!(never_falls(&floors) && floors.last() == Some(&10), "floors {floors:?}");
    assert!(never_falls(&replicas) && replicas.last() == Some(&10), "replicas {replicas:?}");
    assert!(never_falls(&ready) && ready.last() == Some(&10), "ready {ready:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_burst_is_met_as_fast_as_the_first() {
    let scene = Scene::start("bursts").await;
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", by_rate(1, 8))]).await;
    let web = scene.record("web").await;
    web.until("it is idle", SOON, |seen| seen.settled_at(1)).await;
    let mut took = Vec::new();
    for _ in 0..2 {
        let burst = Instant::now();
        scene.pods_worth("web", 5.5);
        let met = web.until("the burst is met", SOON, |seen| seen.floor() == Some(6)).await;
        took.push(met - burst);
        web.until("its pods are ready", SOON, |seen| seen.settled_at(6)).await;
        scene.pods_worth("web", 0.5);
        web.until("it is quiet again", SOON, |seen| seen.settled_at(1)).await;
    }
    assert!(took.iter().all(|time| *time <= REACTION), "{took:?}");
    assert!(took[1] <= took[0] + Duration::from_secs(8), "the second took longer: {took:?}");
    scene.end().await;
}
