//! Changed resources replace the pods one by one; a volume that comes up empty is never taken for a new store.

use super::*;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{DeleteParams, ListParams};
use redis::AsyncCommands;
use std::collections::BTreeSet;

async fn uids(ns: &TestNamespace) -> BTreeSet<String> {
    let stores = ListParams::default().labels("learningplatform.dev/tier");
    let pods = ns.api::<Pod>().list(&stores).await.expect("pods");
    pods.items.into_iter().filter_map(|pod| pod.metadata.uid).collect()
}

#[tokio::test]
async fn a_changed_resource_replaces_every_server_and_loses_nothing() {
    let (ns, _operator) = scene("restarts").await;
    let spec = |memory: &str| {
        let resources =
            json!({"resources": {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": memory}}});
        json!({
            "caches": [
                cache("cache", resources.clone()),
                cache("logins", merged(json!({"mode": "Single"}), resources.clone())),
            ],
            "databases": [database("main", merged(json!({"readReplicas": 1}), resources))],
        })
    };
    ns.apply("story", spec("256Mi")).await;
    ready(&ns, "story").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let mut cluster = stores.cluster("cache").await;
    for n in 0..300 {
        let _: () = cluster.set(format!("key:{n}"), n).await.expect("a write");
    }
    let mut single = stores.redis("logins", "story-logins-s0-0").await;
    let _: () = single.set("session", "alice").await.expect("a write");
    let primary = stores.postgres("main", "story-main-pg-0").await;
    primary.batch_execute("create table t as select generate_series(1, 500) n").await.expect("rows");
    let before = uids(&ns).await;
    assert_eq!(before.len(), 6 + 2 + 2);

    ns.apply("story", spec("320Mi")).await;
    let kept = || async { uids(&ns).await.intersection(&before).count() };
    eventually("every pod is replaced", MADE * 2, kept, |kept| *kept == 0).await;
    println!("all pods replaced, and ready {:?} later", ready(&ns, "story").await);
    let mut cluster = stores.cluster("cache").await;
    for n in 0..300 {
        let found: Option<i32> = cluster.get(format!("key:{n}")).await.expect("a read");
        assert_eq!(found, Some(n));
    }
    for pod in ["story-logins-s0-0", "story-logins-s0-1"] {
        let found: Option<String> = stores.redis("logins", pod).await.get("session").await.expect("a read");
        assert_eq!(found.as_deref(), Some("alice"), "{pod}");
    }
    let primary = stores.postgres("main", "story-main-pg-0").await;
    let rows: i64 = primary.query_one("select count(*) from t", &[]).await.expect("a count").get(0);
    assert_eq!(rows, 500);
    ns.delete().await;
}

/// Takes a pod's volume away, as a node does that is lost with its disks.
async fn lose(ns: &TestNamespace, pod: &str) {
    let foreground = DeleteParams::background();
    ns.api::<PersistentVolumeClaim>().delete(&format!("data-{pod}"), &foreground).await.expect("a claim");
    ns.api::<Pod>().delete(pod, &foreground).await.expect("a pod");
}

#[tokio::test]
async fn an_empty_volume_never_becomes_an_empty_store() {
    let (ns, _operator) = scene("empty").await;
    ns.apply(
        "story",
        json!({
            "caches": [cache("cache", json!({})), cache("logins", json!({"mode": "Single"}))],
            "databases": [database("main", json!({}))],
        }),
    )
    .await;
    ready(&ns, "story").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let mut cluster = stores.cluster("cache").await;
    for n in 0..300 {
        let _: () = cluster.set(format!("key:{n}"), n).await.expect("a write");
    }
    let status = ns.platform("story").await.status.expect("a status");
    let leads = |item: &str| {
        let store = status.caches.iter().find(|cache| cache.name == item).expect("the cache");
        store.servers.iter().find(|server| server.role == "Primary").expect("a primary").pod.clone()
    };
    let (of_cluster, of_single) = (leads("cache"), leads("logins"));
    let _: () = stores.redis("logins", &of_single).await.set("session", "alice").await.expect("a write");
    // What a replica has not received yet would be lost with the primary's volume.
    let copied = || async {
        let other = if of_single.ends_with('0') { "story-logins-s0-1" } else { "story-logins-s0-0" };
        stores.redis("logins", other).await.get::<_, Option<String>>("session").await.ok().flatten()
    };
    eventually("the replica has it", MADE, copied, Option::is_some).await;

    lose(&ns, &of_cluster).await;
    lose(&ns, &of_single).await;
    lose(&ns, "story-main-pg-0").await;
    let condition = || ns.condition("story", "DatabaseReady");
    let missing = |condition: &Option<(String, String, String)>| {
        condition.as_ref().is_some_and(|(status, reason, _)| status == "False" && reason == "DataMissing")
    };
    eventually("the database says that its data are missing", MADE, condition, missing).await;
    // The replicas have the keys: they lead now, and the lost ones come back as their replicas.
    let caches = || ns.condition("story", "CacheReady");
    let whole = |condition: &Option<(String, String, String)>| condition.as_ref().is_some_and(|c| c.0 == "True");
    eventually("the caches are whole again", MADE, caches, whole).await;
    let mut cluster = stores.cluster("cache").await;
    for n in 0..300 {
        let found: Option<i32> = cluster.get(format!("key:{n}")).await.expect("a read");
        assert_eq!(found, Some(n));
    }
    for pod in ["story-logins-s0-0", "story-logins-s0-1"] {
        let found: Option<String> = stores.redis("logins", pod).await.get("session").await.expect("a read");
        assert_eq!(found.as_deref(), Some("alice"), "{pod}");
    }
    ns.delete().await;
}
