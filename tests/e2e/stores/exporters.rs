//! Exporters that are added to servers which run: what they tell of them, and with which rights.

use super::*;
use learningplatform_tests::harness::get;

const REDIS_EXPORTER: &str = "docker.io/learningplatform/redis-exporter:dev";
const NO_IMAGE: &str = "docker.io/learningplatform/none:dev";
const POSTGRES_EXPORTER: &str = "docker.io/learningplatform/postgres-exporter:dev";

fn with_exporter(image: &str) -> Value {
    let resources = json!({"requests": {"cpu": "1m", "memory": "8Mi"}});
    json!({"exporter": {"image": image, "discovery": "Annotations", "resources": resources}})
}

/// Waits until the exporters of these pods say this of their servers.
async fn exported(ns: &TestNamespace, pods: &[&str], port: u16, line: &str) {
    for pod in pods {
        let look = || async {
            let pod = ns.api::<Pod>().get_opt(pod).await.expect("an answer")?;
            let exports = |container: &k8s_openapi::api::core::v1::Container| container.name == "exporter";
            pod.spec?.containers.iter().find(|container| exports(container))?;
            let address = pod.status?.pod_ip?;
            get(&format!("{address}:{port}"), "/metrics").await
        };
        let says = |answer: &Option<(u16, String)>| {
            answer.as_ref().is_some_and(|(status, body)| *status == 200 && body.lines().any(|found| found == line))
        };
        eventually(&format!("{pod}: {line}"), MADE, look, says).await;
    }
}

/// Waits until the operator's metrics have these series of the namespace, whatever their values where none is named.
async fn told(ns: &TestNamespace, operator: &Operator, labels: &str, series: &[&str]) {
    let labels = labels.replace("NS", &ns.name);
    for name in series {
        let (name, value) = name.split_once(' ').unwrap_or((name, ""));
        let line = format!("learningplatform_operator_store_{name}{{{labels}}} {value}");
        let look = || operator.get("/metrics");
        let says =
            |text: &Option<String>| text.iter().flat_map(|text| text.lines()).any(|found| found.starts_with(&line));
        eventually(&line, MADE, look, says).await;
    }
}

/// An exporter that does not run takes its pod out of the Services: one replica's, which is told, and no more.
async fn only_one_is_lost(ns: &TestNamespace, operator: &Operator, tier: &str, primary: &str, spec: Value) {
    let pod = || async { ns.api::<Pod>().get(primary).await.expect("the primary") };
    let before = pod().await.metadata.uid;
    ns.apply("school", spec).await;
    let condition = format!("{}{}Ready", tier[..1].to_uppercase(), &tier[1..]);
    let said = |condition: &Option<(String, String, String)>| {
        condition.as_ref().is_some_and(|(status, reason, message)| {
            status == "False" && reason == "ImagePull" && message.contains("exporter")
        })
    };
    eventually("it says why", MADE, || ns.condition("school", &condition), said).await;
    let rounds = || async {
        let text = operator.get("/metrics").await?;
        let count = format!("learningplatform_operator_store_round_duration_seconds_count{{tier=\"{tier}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&count)?.parse::<u64>().ok())
    };
    let now = rounds().await.expect("rounds");
    eventually("more rounds", MADE, rounds, |count| count.is_some_and(|count| count > now + 5)).await;
    let after = pod().await;
    assert_eq!(after.metadata.uid, before, "the primary is not made anew");
    let conditions = after.status.and_then(|status| status.conditions).unwrap_or_default();
    assert!(
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        "{conditions:?}"
    );
}

#[tokio::test]
async fn of_a_cache_they_tell_without_reading_a_key() {
    let (ns, operator) = scene("cache-exporters").await;
    let single = json!({"mode": "Single", "replicasPerShard": 1});
    ns.apply("school", json!({"caches": [cache("logins", single.clone())]})).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };
    let mut primary = stores.redis("logins", "school-logins-s0-0").await;
    let _: () = redis::cmd("SET").arg("session:1").arg("alice").query_async(&mut primary).await.expect("a write");

    let spec = |image| json!({"caches": [cache("logins", merged(single.clone(), with_exporter(image)))]});
    only_one_is_lost(&ns, &operator, "cache", "school-logins-s0-0", spec(NO_IMAGE)).await;
    // It still leads: a write goes through.
    let _: () = redis::cmd("SET").arg("session:1").arg("alice").query_async(&mut primary).await.expect("a write");
    ns.apply("school", spec(REDIS_EXPORTER)).await;
    let pods = ["school-logins-s0-0", "school-logins-s0-1"];
    exported(&ns, &pods, 9121, "redis_up 1").await;
    exported(&ns, &pods, 9121, "redis_db_keys{db=\"db0\"} 1").await;
    ready(&ns, "school").await;

    let password = stores.secret("logins", "monitorPassword").await;
    for (pod, address) in stores.addresses("logins").await {
        let client = redis::Client::open(format!("redis://lp_monitor:{password}@{address}:6379")).expect("a URL");
        let mut monitor = client.get_multiplexed_async_connection().await.expect("a connection");
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut monitor).await.expect("figures");
        assert!(info.contains("redis_version"), "{pod}");
        for refused in [&["GET", "session:1"][..], &["KEYS", "*"], &["CONFIG", "GET", "masterauth"], &["ACL", "LIST"]] {
            let mut command = redis::cmd(refused[0]);
            let answer: redis::RedisResult<redis::Value> = command.arg(&refused[1..]).query_async(&mut monitor).await;
            let answer = answer.map_err(|error| error.code().map(str::to_owned));
            assert_eq!(answer, Err(Some("NOPERM".to_owned())), "{pod}: {refused:?}");
        }
    }
    assert!(!operator.logged().contains(&password));
    let shard = r#"namespace="NS",platform="school",tier="cache",store="logins",shard="0""#;
    told(
        &ns,
        &operator,
        shard,
        &["primary_up 1.0", "keys 1.0", "memory_bytes", "memory_max_bytes", "replica_lag_bytes"],
    )
    .await;
    let store = r#"namespace="NS",platform="school",tier="cache",store="logins",shard="""#;
    told(&ns, &operator, store, &["agreed 1.0", "evicts 0.0", "slots_to_move 0.0"]).await;
    ns.delete().await;
}

#[tokio::test]
async fn of_a_database_they_tell_without_being_its_superuser() {
    let (ns, operator) = scene("database-exporters").await;
    let replica = json!({"readReplicas": 1});
    ns.apply("school", json!({"databases": [database("main", replica.clone())]})).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };
    let primary = stores.postgres("main", "school-main-pg-0").await;
    primary
        .batch_execute("create table pupils (name text); insert into pupils values ('alice')")
        .await
        .expect("writes");
    drop(primary);

    let spec = |image| json!({"databases": [database("main", merged(replica.clone(), with_exporter(image)))]});
    only_one_is_lost(&ns, &operator, "database", "school-main-pg-0", spec(NO_IMAGE)).await;
    ns.apply("school", spec(POSTGRES_EXPORTER)).await;
    exported(&ns, &["school-main-pg-0", "school-main-pg-ro-0"], 9187, "pg_up 1").await;
    ready(&ns, "school").await;

    let primary = stores.postgres("main", "school-main-pg-0").await;
    let rows = primary.query_one("select count(*) from pupils where name = 'alice'", &[]).await.expect("a count");
    assert_eq!(rows.get::<_, i64>(0), 1, "the rows are there");
    let may = "select rolsuper or rolcreaterole or rolcreatedb or rolreplication or has_table_privilege(oid, 'pupils', 'select')
               from pg_roles where rolname = 'lp_monitor'";
    assert!(!primary.query_one(may, &[]).await.expect("the role").get::<_, bool>(0));
    assert!(!operator.logged().contains(&stores.secret("main", "monitorPassword").await));
    let shard = r#"namespace="NS",platform="school",tier="database",store="main",shard="0""#;
    let series =
        ["primary_up 1.0", "accepts_writes 1.0", "connections", "connections_max", "used_bytes", "volume_bytes"];
    told(&ns, &operator, shard, &series).await;
    told(&ns, &operator, shard, &["replica_lag_bytes", "replica_lag_seconds", "slot_kept_bytes"]).await;
    ns.delete().await;
}
