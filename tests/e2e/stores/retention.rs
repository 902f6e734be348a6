//! What becomes of data when the resource, or an item of it, goes.

use super::*;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::{ConfigMap, PersistentVolumeClaim},
};
use kube::api::{DeleteParams, ListParams};
use redis::AsyncCommands;

/// A platform with one small store of each kind and an app that uses both.
fn school(cache: Value, database: Value) -> Value {
    let names = [&database, &cache].map(|store| store["name"].clone());
    let uses = json!({"databases": [{"name": names[0]}], "caches": [{"name": names[1]}]});
    json!({"caches": [cache], "databases": [database], "apps": [app(uses)]})
}

fn logins(changes: Value) -> Value {
    cache("logins", merged(json!({"mode": "Single", "replicasPerShard": 0}), changes))
}

async fn claims(ns: &TestNamespace) -> Vec<String> {
    let claims = ns.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.expect("claims");
    claims.items.into_iter().filter_map(|claim| claim.metadata.name).collect()
}

async fn write(stores: &Stores<'_>) {
    let mut single = stores.redis("logins", "school-logins-s0-0").await;
    let _: () = single.set("session:1", "alice").await.expect("a write");
    let primary = stores.postgres("main", "school-main-pg-0").await;
    primary
        .batch_execute("create table pupils (name text); insert into pupils values ('alice')")
        .await
        .expect("writes");
}

async fn read(stores: &Stores<'_>) {
    let mut single = stores.redis("logins", "school-logins-s0-0").await;
    let found: Option<String> = single.get("session:1").await.expect("a read");
    assert_eq!(found.as_deref(), Some("alice"));
    let primary = stores.postgres("main", "school-main-pg-0").await;
    let name: String = primary.query_one("select name from pupils", &[]).await.expect("a row").get(0);
    assert_eq!(name, "alice");
}

async fn delete(ns: &TestNamespace) {
    let background = DeleteParams::background();
    ns.api::<crds::LearningPlatform>().delete("school", &background).await.expect("a deletion");
    let pods = || async { ns.api::<Pod>().list(&ListParams::default()).await.expect("pods").items.len() };
    eventually("the pods are gone", MADE, pods, |pods| *pods == 0).await;
}

#[tokio::test]
async fn a_deleted_platform_leaves_its_data_and_finds_them_again() {
    let (ns, _operator) = scene("retain").await;
    let spec = school(logins(json!({})), database("main", json!({})));
    ns.apply("school", spec.clone()).await;
    ready(&ns, "school").await;
    let status = ns.platform("school").await.status.expect("a status");
    for store in status.caches.iter().chain(&status.databases) {
        assert!(store.deletion.as_deref().is_some_and(|words| words.contains("stay")), "{store:?}");
    }
    let stores = Stores { ns: &ns, platform: "school" };
    write(&stores).await;
    let password = stores.secret("main", "password").await;
    delete(&ns).await;
    assert_eq!(claims(&ns).await, ["data-school-logins-s0-0", "data-school-main-pg-0"]);
    for secret in ["school-logins-auth", "school-main-auth"] {
        let secret = ns.api::<Secret>().get(secret).await.expect("the passwords stay");
        let labels = secret.metadata.labels.unwrap_or_default();
        assert_eq!(labels.get("learningplatform.dev/retained").map(String::as_str), Some("true"));
    }
    ns.apply("school", spec).await;
    ready(&ns, "school").await;
    read(&stores).await;
    assert_eq!(stores.secret("main", "password").await, password);
    ns.delete().await;
}

#[tokio::test]
async fn data_go_with_the_platform_where_that_was_asked_for() {
    let (ns, _operator) = scene("delete").await;
    let policy = json!({"deletionPolicy": "Delete"});
    ns.apply("school", school(logins(policy.clone()), database("main", policy))).await;
    ready(&ns, "school").await;
    let status = ns.platform("school").await.status.expect("a status");
    for store in status.caches.iter().chain(&status.databases) {
        assert!(store.deletion.as_deref().is_some_and(|words| words.contains("are deleted")), "{store:?}");
    }
    delete(&ns).await;
    eventually("the volumes are gone", MADE, || claims(&ns), Vec::is_empty).await;
    let left = || async {
        let secrets = ns.api::<Secret>().list(&ListParams::default()).await.expect("Secrets").items;
        let maps = ns.api::<ConfigMap>().list(&ListParams::default()).await.expect("ConfigMaps").items;
        let names = secrets.into_iter().map(|o| o.metadata).chain(maps.into_iter().map(|o| o.metadata));
        names.filter_map(|meta| meta.name).filter(|name| name.starts_with("school-")).collect::<Vec<_>>()
    };
    eventually("passwords and records are gone", MADE, left, Vec::is_empty).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_renamed_store_waits_until_it_is_said_what_is_meant() {
    let (ns, _operator) = scene("rename").await;
    let spec = school(logins(json!({})), database("main", json!({})));
    ns.apply("school", spec.clone()).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };
    write(&stores).await;
    let template = || async {
        ns.api::<Deployment>().get("school-web").await.expect("a Deployment").spec.expect("a spec").template
    };
    let before = template().await;

    let mut renamed = spec.clone();
    renamed["databases"][0]["name"] = json!("primary");
    renamed["apps"][0]["uses"]["databases"][0]["name"] = json!("primary");
    ns.apply("school", renamed.clone()).await;
    let condition = || ns.condition("school", "DatabaseReady");
    let waits = |condition: &Option<(String, String, String)>| {
        condition
            .as_ref()
            .is_some_and(|(_, reason, message)| reason == "DataWouldBeLeftBehind" && message.contains("renamedFrom"))
    };
    eventually("it waits and says why", MADE, condition, waits).await;
    let sets = || async {
        let sets = ns.api::<StatefulSet>().list(&ListParams::default()).await.expect("StatefulSets");
        sets.items.into_iter().filter_map(|set| set.metadata.name).collect::<Vec<_>>()
    };
    assert!(!sets().await.iter().any(|name| name.contains("primary")), "no empty store is made");
    assert_eq!(template().await, before, "the app stays on its Secret");
    read(&stores).await;

    renamed["databases"][0]["renamedFrom"] = json!("main");
    ns.apply("school", renamed).await;
    ready(&ns, "school").await;
    read(&stores).await;

    // Another provider under the same name is another store, too.
    let mut swapped = spec.clone();
    swapped["caches"] = json!([{"name": "logins", "external": {"address": "redis.example"}}]);
    ns.apply("school", swapped.clone()).await;
    let condition = || ns.condition("school", "CacheReady");
    let waits = |condition: &Option<(String, String, String)>| {
        condition.as_ref().is_some_and(|(_, reason, _)| reason == "DataWouldBeLeftBehind")
    };
    eventually("it waits", MADE, condition, waits).await;
    assert!(sets().await.iter().any(|name| name == "school-logins-s0"));
    swapped["abandonData"] = json!(["logins"]);
    ns.apply("school", swapped).await;
    eventually("the old servers go", MADE, sets, |sets| !sets.iter().any(|name| name == "school-logins-s0")).await;
    assert!(claims(&ns).await.iter().any(|claim| claim == "data-school-logins-s0-0"), "their volumes stay");
    ns.delete().await;
}
