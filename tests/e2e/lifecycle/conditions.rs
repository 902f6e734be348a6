//! Conditions from the first moment on, as tools that follow kstatus read them.

use super::*;
use crds::LearningPlatform;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::{WatchStreamExt, watcher};
use std::sync::{Arc, Mutex};

/// Every version of the platforms that there was.
fn record(ns: &TestNamespace) -> (Arc<Mutex<Vec<LearningPlatform>>>, tokio::task::JoinSet<()>) {
    let versions: Arc<Mutex<Vec<LearningPlatform>>> = Arc::default();
    let (seen, api) = (versions.clone(), ns.api::<LearningPlatform>());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
        while let Ok(Some(platform)) = events.try_next().await {
            seen.lock().expect("no poisoned lock").push(platform);
        }
    });
    (versions, tasks)
}

fn condition<'a>(platform: &'a LearningPlatform, type_: &str) -> Option<&'a Condition> {
    platform.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == type_)
}

/// What kstatus demands of every single version: never a status that could be taken for finished too early.
fn is_sound(platform: &LearningPlatform) {
    let Some(status) = &platform.status else { return };
    if status.conditions.is_empty() {
        // The server's default before the first pass: no generation has been seen.
        assert_eq!(status.observed_generation, Some(-1));
        return;
    }
    let what = format!("{:#?}", status.conditions);
    let ready = condition(platform, "Ready").unwrap_or_else(|| panic!("no Ready: {what}"));
    assert!(status.observed_generation.is_some(), "observedGeneration: {what}");
    for condition in &status.conditions {
        // Of an invalid spec nothing is known of the apps: what is said of them still stands for the one before.
        let current = condition.observed_generation == status.observed_generation;
        let of_apps = !["Ready", "Reconciling", "Stalled"].contains(&condition.type_.as_str());
        assert!(current || (of_apps && condition.observed_generation < status.observed_generation), "{what}");
        assert!(!condition.reason.is_empty(), "{what}");
    }
    for abnormal in ["Reconciling", "Stalled"] {
        assert!(condition(platform, abnormal).is_none_or(|c| c.status == "True"), "{abnormal} only while true: {what}");
    }
    if ready.status == "True" {
        assert!(condition(platform, "Reconciling").is_none() && condition(platform, "Stalled").is_none(), "{what}");
    }
}

#[tokio::test]
async fn a_platform_is_never_taken_for_finished_too_early() {
    let (ns, _operator) = scene("kstatus").await;
    let (versions, _task) = record(&ns);
    ns.apply("school", json!({"apps": [app("web")]})).await;
    ready(&ns, "school").await;
    let changed = with(app("web"), json!({"podAnnotations": {"example.com/version": "2"}}));
    ns.apply("school", json!({"apps": [changed]})).await;
    ready(&ns, "school").await;

    let newest = ns.platform("school").await.metadata.resource_version;
    let recorded = || async {
        versions.lock().expect("no poisoned lock").last().and_then(|p| p.metadata.resource_version.clone())
    };
    eventually("the watch has seen it", SOON, recorded, |version| *version == newest).await;
    let versions = versions.lock().expect("no poisoned lock").clone();
    versions.iter().for_each(is_sound);
    let first = versions.iter().find(|p| condition(p, "Ready").is_some()).expect("a status");
    let ready = condition(first, "Ready").expect("Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", "Progressing"));
    assert!(condition(first, "Reconciling").is_some());
    // The rollout of the second spec shows: not Ready for the new generation before its pods are.
    let second: Vec<_> = versions
        .iter()
        .filter(|p| p.status.as_ref().is_some_and(|s| s.observed_generation == Some(2)))
        .filter_map(|p| condition(p, "Ready").map(|c| c.status.clone()))
        .collect();
    assert_eq!(second.first().map(String::as_str), Some("False"), "{second:?}");
    assert_eq!(second.last().map(String::as_str), Some("True"), "{second:?}");
    let turns = second.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(turns, 1, "it turns Ready once: {second:?}");
    ns.delete().await;
}

#[tokio::test]
async fn a_suspended_platform_is_compared_and_not_written() {
    let (ns, _operator) = scene("suspended").await;
    ns.apply("school", json!({"apps": [app("web")]})).await;
    ready(&ns, "school").await;
    annotate(&ns, "school", crds::SUSPEND_ANNOTATION, Some("true")).await;
    let reason = || async { ns.condition("school", "Ready").await.map(|(_, reason, _)| reason) };
    eventually("it says so", SOON, reason, |reason| reason.as_deref() == Some("Suspended")).await;
    let before = versions(&ns).await;
    ns.apply("school", json!({"apps": [with(app("web"), json!({"replicas": 0})), app("new")]})).await;
    let seen = || async { ns.platform("school").await.status.and_then(|s| s.observed_generation) };
    eventually("the change has been seen", SOON, seen, |generation| *generation == Some(2)).await;
    let (status, reason, _) = ns.condition("school", "Ready").await.expect("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Suspended"));
    remove(&ns, "v1", "Service", "school-web").await;
    let without: std::collections::BTreeMap<_, _> =
        before.into_iter().filter(|(name, _)| name != "Service school-web").collect();
    let now = || versions(&ns);
    learningplatform_tests::harness::holds_for("nothing is written", Duration::from_secs(15), now, |now| {
        *now == without
    })
    .await;

    annotate(&ns, "school", crds::SUSPEND_ANNOTATION, None).await;
    eventually(
        "the change is carried out",
        SOON,
        || versions(&ns),
        |now| now.contains_key("Service school-web") && now.contains_key("Deployment school-new"),
    )
    .await;
    ready(&ns, "school").await;
    assert_eq!(ns.replicas("school-web").await, Some((0, 0)));
    ns.delete().await;
}

#[tokio::test]
async fn an_invalid_spec_stalls_and_what_runs_goes_on() {
    let (ns, _operator) = scene("invalid").await;
    let (recorded, _task) = record(&ns);
    ns.apply("school", json!({"apps": [app("web")]})).await;
    ready(&ns, "school").await;
    let before = versions(&ns).await;
    // An overlay is free of any schema: only merged with the rest it shows that a container of its own has no image.
    let sidecar = json!({"spec": {"containers": [{"name": "sidecar"}]}});
    let invalid = with(app("web"), json!({"podTemplate": sidecar}));
    ns.apply("school", json!({"apps": [invalid]})).await;
    let stalled = || ns.condition("school", "Stalled");
    let (_, reason, message) = eventually("it stalls", SOON, stalled, Option::is_some).await.expect("Stalled");
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("spec.apps[web].podTemplate") && message.contains("without image"), "{message}");
    let (status, reason, _) = ns.condition("school", "Ready").await.expect("Ready");
    assert_eq!((status.as_str(), reason.as_str()), ("False", "InvalidSpec"));
    assert_eq!(ns.condition("school", "Reconciling").await, None);
    assert_eq!(versions(&ns).await, before, "what runs is left as it is");
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web")]})).await;
    ready(&ns, "school").await;
    assert!(gone.elapsed() <= HEALED);
    recorded.lock().expect("no poisoned lock").iter().for_each(is_sound);
    ns.delete().await;
}
