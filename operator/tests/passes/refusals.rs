//! What keeps a platform from being carried out is named, and heals.

use crate::world::*;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_missing_is_named_and_heals() {
    let world = World::new(spec());
    world.api.remove(SECRET);
    world.api.install("gateway.networking.k8s.io/v1", false);
    let operator = world.operator().await;
    assert_eq!(world.pass(&operator).await, Next::Soon);
    world.api.run_deployments();
    world.pass(&operator).await;
    let condition = world.app_condition("web", "AppReady");
    assert_eq!(condition["reason"], "NotFound", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("gateway.networking.k8s.io/v1"), "{condition}");

    world.api.install("gateway.networking.k8s.io/v1", true);
    operator.capabilities.discover(&operator.client).await;
    assert_eq!(world.pass(&operator).await, Next::Soon);
    assert!(world.api.get(ROUTE).is_some());
    let condition = world.app_condition("web", "AppReady");
    assert!(condition["message"].as_str().unwrap().contains("Secret db, named by env[URL]"), "{condition}");
    assert_eq!(world.condition("Ready")["reason"], "DependencyNotReady");
    assert_eq!(world.condition("Reconciling")["status"], "True");

    world.api.put(
        SECRET,
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "learning" } }),
    );
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_refusal_names_verb_and_resource_and_heals() {
    for (verb, plural) in [
        ("patch", "deployments"),
        ("patch", "services"),
        ("list", "deployments"),
        ("patch", "horizontalpodautoscalers"),
    ] {
        let world = World::new(spec());
        world.api.deny(verb, plural);
        let operator = world.operator().await;
        assert_eq!(world.pass(&operator).await, Next::Soon, "{verb} {plural}");
        let ready = world.condition("Ready");
        assert_eq!(ready["reason"], "PermissionDenied", "{ready}");
        let message = ready["message"].as_str().unwrap();
        assert!(message.contains(verb) && message.contains(plural), "{message}");
        world.api.allow_all();
        world.settle(&operator).await;
        assert!(world.is_ready(), "{verb} {plural}");
    }
}

#[tokio::test]
async fn an_invalid_spec_stalls_and_touches_nothing() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let children =
        |world: &World| world.api.dump().into_iter().filter(|(p, _)| p.contains("story-")).collect::<Vec<_>>();
    let before = children(&world);
    let mut bad = spec();
    bad["apps"][0]["health"]["port"] = json!("admin");
    world.ask(bad, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange, "nothing changes until the spec does");
    let stalled = world.condition("Stalled");
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("InvalidSpec")), "{stalled}");
    assert!(stalled["message"].as_str().unwrap().contains("spec.apps[web].health.port"), "{stalled}");
    assert_eq!(world.condition("Ready")["status"], "False");
    assert_eq!(children(&world), before);

    world.ask(json!({ "apps": "none" }), json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert_eq!(stalled["reason"], "InvalidSpec", "even what does not parse is answered");
    assert!(stalled["message"].as_str().unwrap().starts_with("spec.apps: "), "{stalled}");
    let mut bad = spec();
    bad["apps"][0]["rollout"] = json!({ "maxSurge": 3_000_000_000_i64 });
    world.ask(bad, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert!(stalled["message"].as_str().unwrap().starts_with("spec.apps[0].rollout.maxSurge: "), "{stalled}");

    world.ask(spec(), json!({}));
    world.settle(&operator).await;
    assert_eq!(world.condition("Stalled"), Value::Null);
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_name_that_what_is_made_at_aws_would_have_is_refused() {
    let at_aws = json!({ "name": "main", "elastiCache": { "engineVersion": "8", "nodeType": "cache.t4g.small" } });
    let in_cluster = |name: &str| json!({ "name": name, "inCluster": { "volume": { "storage": "1Gi" } } });
    for (account, database, told) in [
        (json!({ "region": "eu-central-1" }), "main-elasticache", "would be called like that of main-elasticache"),
        (Value::Null, "other", "set spec.aws"),
    ] {
        let world = World::new(json!({ "aws": account, "caches": [at_aws], "databases": [in_cluster(database)] }));
        let operator = world.operator().await;
        assert_eq!(world.pass(&operator).await, Next::OnChange);
        let stalled = world.condition("Stalled");
        let message = stalled["message"].as_str().unwrap();
        assert!(message.starts_with("spec.caches[main]") && message.contains(told), "{stalled}");
    }
}

#[tokio::test]
async fn an_overlay_nested_without_measure_is_answered_in_the_status() {
    let world = World::new(spec());
    let operator = world.operator().await;
    let mut deep = spec();
    deep["apps"][0]["podTemplate"] = (0..300).fold(json!({}), |inner, _| json!({ "spec": inner }));
    world.ask(deep, json!({}));
    assert_eq!(world.pass(&operator).await, Next::OnChange);
    let stalled = world.condition("Stalled");
    assert!(stalled["message"].as_str().unwrap().contains("spec.apps[web].podTemplate"), "{stalled}");
}

#[tokio::test]
async fn a_suspended_platform_is_observed_and_not_written() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut changed = spec();
    changed["apps"][0]["image"] = json!("registry.example/web:2");
    world.ask(changed.clone(), json!({ "learningplatform.dev/suspend": "true" }));
    world.api.writes();
    world.pass(&operator).await;
    let writes = world.api.writes();
    assert!(writes.iter().all(|w| w.path.ends_with("learningplatforms/story/status")), "{writes:?}");
    let ready = world.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("Suspended")), "{ready}");
    world.ask(changed, json!({}));
    world.settle(&operator).await;
    let live = world.api.get(DEPLOYMENT).unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/web:2");
}

#[tokio::test]
async fn a_resource_that_is_being_deleted_is_left_to_the_garbage_collector() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut platform = world.api.get(PLATFORM).unwrap();
    assert_eq!(platform["metadata"]["finalizers"], Value::Null);
    platform["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.api.put(PLATFORM, platform);
    world.api.remove(DEPLOYMENT);
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), []);
}
