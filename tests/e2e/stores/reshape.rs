//! Shards and replicas come and go while clients write, and no app's pods are replaced for it.

use super::*;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::PersistentVolumeClaim,
};
use kube::api::ListParams;
use redis::AsyncCommands;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

async fn sets(ns: &TestNamespace) -> Vec<(String, i32)> {
    let sets = ns.api::<StatefulSet>().list(&ListParams::default()).await.expect("StatefulSets");
    let set = |set: StatefulSet| Some((set.metadata.name?, set.spec?.replicas?));
    sets.items.into_iter().filter_map(set).collect()
}

async fn template(ns: &TestNamespace) -> Value {
    let deployment = ns.api::<Deployment>().get("story-web").await.expect("a Deployment");
    serde_json::to_value(deployment.spec.expect("a spec").template).expect("JSON")
}

/// Writes numbered keys until it is told to stop; what was acknowledged, and the errors that remained.
async fn write(mut cluster: redis::cluster_async::ClusterConnection, stop: Arc<AtomicBool>) -> (u32, Vec<String>) {
    let (mut acknowledged, mut errors) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        match cluster.set::<_, _, ()>(format!("ledger:{acknowledged}"), acknowledged).await {
            Ok(()) => acknowledged += 1,
            Err(error) => errors.push(error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (acknowledged, errors)
}

#[tokio::test]
async fn shards_and_replicas_come_and_go_under_load() {
    let (ns, _operator) = scene("reshape").await;
    let spec = |shards: i32, replicas: i32| {
        let uses = json!({"databases": [{"name": "main"}], "caches": [{"name": "cache"}]});
        json!({
            "caches": [cache("cache", json!({"shards": shards, "replicasPerShard": 0}))],
            "databases": [database("main", json!({"readReplicas": replicas, "maxReadReplicas": 3}))],
            "apps": [app(uses)],
        })
    };
    ns.apply("story", spec(3, 2)).await;
    ready(&ns, "story").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let before = template(&ns).await;
    let primary = stores.postgres("main", "story-main-pg-0").await;
    primary.batch_execute("create table t as select generate_series(1, 500) n").await.expect("rows");

    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(stores.cluster("cache").await, stop.clone()));
    for (shards, replicas) in [(4, 3), (3, 1)] {
        ns.apply("story", spec(shards, replicas)).await;
        let wanted = shards as usize;
        let shape = || async {
            let sets = sets(&ns).await;
            let of_cache = sets.iter().filter(|(name, _)| name.starts_with("story-cache-s")).count();
            let replicas = sets.iter().find(|(name, _)| name == "story-main-pg-ro").map(|(_, replicas)| *replicas);
            (of_cache, replicas)
        };
        eventually("the StatefulSets are as wished", MADE, shape, |shape| *shape == (wanted, Some(replicas))).await;
        let took = ready(&ns, "story").await;
        println!("{shards} shards and {replicas} replicas, and ready {took:?} later");
        let slots = || async {
            let status = ns.platform("story").await.status.unwrap_or_default();
            status.caches[0].servers.iter().filter_map(|server| server.slots).filter(|slots| *slots > 0).count()
        };
        eventually("every shard has slots", MADE, slots, |shards| *shards == wanted).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, errors) = writer.await.expect("the writer ends");
    assert!(acknowledged > 500, "only {acknowledged} writes");
    assert!(errors.is_empty(), "{} errors, the first: {:?}", errors.len(), errors.first());
    let mut cluster = stores.cluster("cache").await;
    for n in 0..acknowledged {
        let found: Option<u32> = cluster.get(format!("ledger:{n}")).await.expect("a read");
        assert_eq!(found, Some(n), "lost of {acknowledged}");
    }
    println!("{acknowledged} acknowledged writes, all there");

    assert_eq!(template(&ns).await, before, "no app's pods are replaced");
    let slots: i64 = primary
        .query_one("select count(*) from pg_catalog.pg_stat_get_wal_senders()", &[])
        .await
        .map(|row| row.get(0))
        .expect("a count");
    assert_eq!(slots, 1, "one replica is left");
    let claims = || async {
        let claims = ns.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.expect("claims");
        let names = claims.items.into_iter().filter_map(|claim| claim.metadata.name);
        names.filter(|name| name.starts_with("data-story-main-pg-ro-")).collect::<Vec<_>>()
    };
    eventually("the volumes of replicas that left are gone", MADE, claims, |names| {
        *names == ["data-story-main-pg-ro-0"]
    })
    .await;
    ns.delete().await;
}
