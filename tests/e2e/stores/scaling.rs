//! Read replicas come and go with the load on them, shards with the memory.

use super::*;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::ConfigMap,
};

/// Moves need not be five minutes apart in a test.
const HASTY: &[&str] = &["--leader-election=false", "--tunable=tier_spacing=10s"];

async fn replicas(ns: &TestNamespace) -> Option<i32> {
    let set = ns.api::<StatefulSet>().get_opt("school-main-pg-ro").await.expect("an answer")?;
    set.status.and_then(|status| status.ready_replicas)
}

async fn told(ns: &TestNamespace) -> String {
    let status = serde_json::to_value(ns.platform("school").await.status).expect("JSON");
    status.pointer("/databases/0/scaling").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_replica_comes_with_load_stays_over_a_restart_of_the_operator_and_goes_when_it_is_idle() {
    let ns = TestNamespace::create("replica-scaling").await;
    let operator = Operator::start(&ns, HASTY).await;
    let scaling = json!({
        "readReplicas": 1, "maxReadReplicas": 2, "readReplicaScaling": {"statementsPerReplica": 1},
        "parameters": {"max_connections": "50"},
    });
    let uses = app(json!({"databases": [{"name": "main", "pool": {"max": 2}}]}));
    ns.apply("school", json!({"databases": [database("main", scaling)], "apps": [uses]})).await;
    ready(&ns, "school").await;
    let generation = || async { ns.api::<Deployment>().get("school-web").await.expect("an app").metadata.generation };
    let before = generation().await;
    eventually("one replica serves", MADE, || replicas(&ns), |ready| *ready == Some(1)).await;
    assert_eq!(told(&ns).await, "");

    let stores = Stores { ns: &ns, platform: "school" };
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let reader = stores.postgres("main", "school-main-pg-ro-0").await;
        // A statement is counted when it has ended, and has touched a table.
        readers.spawn(async move {
            while reader.batch_execute("select pg_sleep(1) from pg_database limit 1").await.is_ok() {}
        });
    }
    eventually("a second replica serves", MADE, || replicas(&ns), |ready| *ready == Some(2)).await;
    let why =
        eventually("and the status says why", MADE, || told(&ns), |told| told.starts_with("2 read replicas")).await;
    assert!(why.contains("at 1 per node"), "{why}");

    drop(operator);
    let operator = Operator::start(&ns, &["--leader-election=false"]).await;
    let second = stores.addresses("main").await.remove("school-main-pg-ro-1");
    readers.shutdown().await;
    ready(&ns, "school").await;
    let record = ns.api::<ConfigMap>().get("school-main-record").await.expect("a record").data.unwrap_or_default();
    assert_eq!(record.get("REPLICAS").map(String::as_str), Some("2"), "{record:?}");
    eventually("both go on", MADE, || replicas(&ns), |ready| *ready == Some(2)).await;
    assert_eq!(stores.addresses("main").await.remove("school-main-pg-ro-1"), second, "the same pod");

    drop(operator);
    let _operator = Operator::start(&ns, HASTY).await;
    eventually("it goes", MADE, || replicas(&ns), |ready| *ready == Some(1)).await;
    ready(&ns, "school").await;
    assert_eq!(generation().await, before, "no app's pods were replaced");
    ns.delete().await;
}

/// Keys of about a kilobyte each.
async fn fill(stores: &Stores<'_>, keys: std::ops::Range<u32>) {
    let mut connection = stores.cluster("cache").await;
    let value = "v".repeat(1000);
    for key in keys {
        let write = redis::cmd("SET").arg(format!("k:{key}")).arg(&value).query_async::<()>(&mut connection).await;
        write.expect("a write");
    }
}

#[tokio::test]
async fn a_shard_comes_with_memory_and_goes_without_it() {
    let ns = TestNamespace::create("cache-scaling").await;
    let _operator = Operator::start(&ns, HASTY).await;
    let scaled = json!({"shards": 3, "replicasPerShard": 0, "maxMemory": "16Mi", "scaling": {"maxShards": 4}});
    ns.apply("school", json!({"caches": [cache("cache", scaled)]})).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };
    let slots = || async {
        let status = serde_json::to_value(ns.platform("school").await.status).expect("JSON");
        let servers = status.pointer("/caches/0/servers").and_then(Value::as_array).cloned().unwrap_or_default();
        let slots = servers.iter().filter_map(|server| server["slots"].as_u64()).collect::<Vec<_>>();
        (slots, status.pointer("/caches/0/scaling").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let keys = 34_000;
    fill(&stores, 0..keys).await;
    let grown = |(slots, why): &(Vec<u64>, String)| *slots == [4096; 4] && why.starts_with("4 shards");
    eventually("a fourth shard has its part of the slots", MADE, slots, grown).await;
    let mut connection = stores.cluster("cache").await;
    for key in 0..keys {
        let found: Option<String> =
            redis::cmd("GET").arg(format!("k:{key}")).query_async(&mut connection).await.expect("a read");
        assert!(found.is_some(), "k:{key}");
        if key > 100 {
            let _: () = redis::cmd("DEL").arg(format!("k:{key}")).query_async(&mut connection).await.expect("a delete");
        }
    }
    let shrunk = |(slots, _): &(Vec<u64>, String)| slots.len() == 3 && slots.iter().sum::<u64>() == 16_384;
    eventually("it goes again", MADE, slots, shrunk).await;
    ready(&ns, "school").await;
    let mut connection = stores.cluster("cache").await;
    for key in 0..=100 {
        let found: Option<String> =
            redis::cmd("GET").arg(format!("k:{key}")).query_async(&mut connection).await.expect("a read");
        assert!(found.is_some(), "k:{key}");
    }
    ns.delete().await;
}
