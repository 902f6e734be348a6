//! Databases in the hands of the real CloudNativePG.

mod backups;
#[cfg(feature = "bench")]
mod beside;
pub(super) mod operator;
mod plugin;

use super::*;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
    core::{ApiResource, DynamicObject},
};
use learningplatform_tests::harness::{AuditLog, Need, kubectl};

/// Data of Debian's PostgreSQL under the name of its major version, which CloudNativePG reads from the tag.
const POSTGRES: &str = "docker.io/learningplatform/data:15";
/// Becomes ready by a write and a read, each by the address that is meant for it, and with the authority verified.
const PROBE: &str = "psql \"$DATABASE_URL\" -qc 'insert into visits default values' && \
                     psql \"$READ_REPLICA_URL\" -qtAc 'select count(*) from visits'";
const MAIN: &str = "until psql \"$DATABASE_URL\" -qc 'create table if not exists visits (at timestamptz default now())'; \
                    do sleep 1; done; exec sleep infinity";

/// There is one set of CloudNativePG's definitions in a cluster.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn database(changes: Value) -> Value {
    let base = json!({
        "image": POSTGRES, "runAsUser": 999, "volume": {"storage": "256Mi"}, "readReplicas": 1,
        "resources": {"requests": {"cpu": "5m", "memory": "64Mi"}},
    });
    json!({"name": "main", "cloudNativePG": merged(base, changes)})
}

fn platform(changes: Value) -> Value {
    let app = json!({
        "name": "web", "image": IMAGE, "replicas": 1, "command": ["/bin/sh", "-c"], "args": [MAIN],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
        "draining": {"delay": "0s", "gracePeriod": "1s"},
        "health": {"readiness": {"exec": {"command": ["/bin/sh", "-c", PROBE]}, "periodSeconds": 2, "timeoutSeconds": 10}},
        "uses": {"databases": [{"name": "main"}]},
    });
    json!({"databases": [database(changes)], "apps": [app]})
}

fn clusters(ns: &TestNamespace) -> Api<DynamicObject> {
    let resource: ApiResource = ::operator::kinds::Kind::CloudNativePgCluster.resource();
    Api::namespaced_with(ns.client.clone(), &ns.name, &resource)
}

/// What the app's own client sees in its database.
async fn query(ns: &TestNamespace, platform: &str, variable: &str, sql: &str) -> String {
    let (deployment, script) = (format!("deploy/{platform}-web"), format!("psql \"${variable}\" -qtAc \"{sql}\""));
    let said = kubectl(&["-n", &ns.name, "exec", &deployment, "--", "/bin/sh", "-c", &script]).await;
    said.trim().to_owned()
}

async fn delete(ns: &TestNamespace, platform: &str) {
    let platforms = ns.api::<crds::LearningPlatform>();
    platforms.delete(platform, &DeleteParams::background()).await.expect("a deletion");
    let labels = format!("app.kubernetes.io/instance={platform},app.kubernetes.io/component=web");
    let pods =
        || async { ns.api::<Pod>().list(&ListParams::default().labels(&labels)).await.expect("pods").items.len() };
    eventually("the app is gone", MADE, pods, |pods| *pods == 0).await;
}

#[tokio::test]
async fn cloud_native_pg_keeps_what_a_platform_leaves_behind() {
    let _alone = ALONE.lock().await;
    let (ns, _operator) = scene("cnpg").await;
    let is_ours = !operator::is_somebody_elses(&ns).await;
    assert!(is_ours, "the cluster has a CloudNativePG of its own: its definitions are not the test's to remove");
    operator::remove(&ns).await;

    // Without the API the condition says so, and nothing takes its place.
    ns.apply("school", platform(json!({}))).await;
    let condition = || ns.condition("school", "DatabaseReady");
    let says = |found: &Option<(String, String, String)>, reason: &str, part: &str| {
        found.as_ref().is_some_and(|(_, why, message)| why == reason && message.contains(part))
    };
    eventually("it says what is missing", MADE, condition, |c| says(c, "NotFound", "postgresql.cnpg.io/v1")).await;

    let begun = Instant::now();
    operator::install(&ns).await;
    println!("CloudNativePG runs {:?} after its definitions came", begun.elapsed());
    println!("Ready {:?} after that", ready(&ns, "school").await);
    let status = ns.platform("school").await.status.expect("a status");
    let store = &status.databases[0];
    let roles: Vec<&str> = store.servers.iter().map(|server| server.role.as_str()).collect();
    assert_eq!(roles, ["Primary", "Replica"], "{store:?}");
    assert!(store.deletion.as_deref().is_some_and(|words| words.contains("stay")), "{store:?}");
    query(&ns, "school", "DATABASE_URL", "create table pupils as select 'alice' as name").await;
    let replica = || query(&ns, "school", "READ_REPLICA_URL", "select pg_is_in_recovery() from pupils");
    eventually("reads go to the replica", MADE, replica, |found| found == "t").await;

    if !Need::AuditLog.is_missing() {
        let writes = || async {
            let audit = AuditLog::from_now();
            tokio::time::sleep(Duration::from_secs(20)).await;
            let writes = audit.writes_of(&format!("system:serviceaccount:{}:operator", ns.name));
            writes.into_iter().filter(|write| !write.contains(" leases ")).collect::<Vec<_>>()
        };
        eventually("nothing more is written", MADE, writes, Vec::is_empty).await;
    }

    // The platform goes, the data stay, and are found again.
    let identity = |cluster: DynamicObject| (cluster.metadata.uid, cluster.data["status"]["systemID"].clone());
    let before = identity(clusters(&ns).get("school-main-pg").await.expect("a Cluster"));
    delete(&ns, "school").await;
    assert_eq!(identity(clusters(&ns).get("school-main-pg").await.expect("the Cluster stays")), before);
    ns.apply("school", platform(json!({}))).await;
    println!("Ready again after {:?}", ready(&ns, "school").await);
    assert_eq!(identity(clusters(&ns).get("school-main-pg").await.expect("the Cluster")), before);
    assert_eq!(query(&ns, "school", "DATABASE_URL", "select name from pupils").await, "alice");

    // Another provider under the same name would begin with nothing.
    let mut swapped = platform(json!({}));
    swapped["databases"] = json!([super::database("main", json!({}))]);
    ns.apply("school", swapped).await;
    eventually("it waits", MADE, condition, |c| says(c, "DataWouldBeLeftBehind", "main")).await;
    assert_eq!(query(&ns, "school", "DATABASE_URL", "select name from pupils").await, "alice", "the app goes on");
    delete(&ns, "school").await;

    // Gone with the resource only where that was asked for, and told before.
    let begun = Instant::now();
    ns.apply("drafts", platform(json!({"deletionPolicy": "Delete"}))).await;
    ready(&ns, "drafts").await;
    println!("apply to Ready: {:?}", begun.elapsed());
    let status = ns.platform("drafts").await.status.expect("a status");
    assert!(status.databases[0].deletion.as_deref().is_some_and(|words| words.contains("are deleted")), "{status:?}");
    delete(&ns, "drafts").await;
    let left = || async { clusters(&ns).get_opt("drafts-main-pg").await.expect("an answer").is_some() };
    eventually("the Cluster is gone", MADE, left, |left| !left).await;

    operator::remove(&ns).await;
    ns.delete().await;
}
