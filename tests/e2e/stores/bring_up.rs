//! From nothing to a platform that serves, and then nothing more is written.

use super::*;
use learningplatform_tests::harness::{AuditLog, Need};
use redis::AsyncCommands;

#[tokio::test]
async fn a_cluster_and_a_database_with_replicas_are_made_and_serve() {
    let (ns, operator) = scene("bring-up").await;
    let uses = json!({"databases": [{"name": "main"}], "caches": [{"name": "cache"}]});
    ns.apply(
        "story",
        json!({
            "caches": [cache("cache", json!({}))],
            "databases": [database("main", json!({"readReplicas": 2}))],
            "apps": [app(uses)],
        }),
    )
    .await;
    let took = ready(&ns, "story").await;
    println!("Ready after {took:?}");
    let status = ns.platform("story").await.status.unwrap_or_default();
    let servers = |stores: &[crds::status::StoreStatus], role: &str| {
        stores.iter().flat_map(|s| &s.servers).filter(|s| s.role == role).count()
    };
    assert_eq!((servers(&status.caches, "Primary"), servers(&status.caches, "Replica")), (3, 3));
    assert_eq!((servers(&status.databases, "Primary"), servers(&status.databases, "Replica")), (1, 2));
    let slots: i32 = status.caches[0].servers.iter().filter_map(|s| s.slots).sum();
    assert_eq!(slots, 16384);

    let stores = Stores { ns: &ns, platform: "story" };
    let mut cluster = stores.cluster("cache").await;
    for n in 0..100 {
        let _: () = cluster.set(format!("key:{n}"), n).await.expect("a write");
    }
    let found: i32 = cluster.get("key:77").await.expect("a read");
    assert_eq!(found, 77);

    let primary = stores.postgres("main", "story-main-pg-0").await;
    primary
        .batch_execute("create table t (n int primary key); insert into t select generate_series(1, 1000)")
        .await
        .expect("writes");
    for replica in ["story-main-pg-ro-0", "story-main-pg-ro-1"] {
        let replica = stores.postgres("main", replica).await;
        let count = || async {
            replica.query_one("select count(*) from t", &[]).await.map(|row| row.get::<_, i64>(0)).unwrap_or(-1)
        };
        eventually("the rows are on the replica", MADE, count, |count| *count == 1000).await;
    }

    if Need::AuditLog.is_missing() {
        return;
    }
    let writes = || async {
        let audit = AuditLog::from_now();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let writes = audit.writes_of(&format!("system:serviceaccount:{}:operator", ns.name));
        writes.into_iter().filter(|write| !write.contains(" leases ")).collect::<Vec<_>>()
    };
    eventually("nothing more is written", MADE, writes, Vec::is_empty).await;
    drop(operator);
    ns.delete().await;
}
