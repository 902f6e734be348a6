//! Backups by snapshots of the volume, which the node's own provisioner takes of running servers, and databases made of them.

use super::{
    cloud_native_pg::operator::{apply, documents},
    *,
};
use crate::lpctl::{code, lpctl, out};
use k8s_openapi::{
    api::core::v1::{PersistentVolume, PersistentVolumeClaim},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
    core::DynamicObject,
};
use learningplatform_tests::harness::{Need, kubectl};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

/// Label of what this test has brought into the cluster.
const BROUGHT: &str = "learningplatform.dev/volume-snapshots-test";
/// The class, and the driver that the node's provisioner is.
const CLASS: &str = "folders";
const DRIVER: &str = "learningplatform.dev/host-path";

fn snapshots(ns: &TestNamespace) -> Api<DynamicObject> {
    let resource = ::operator::kinds::Kind::VolumeSnapshot.resource();
    Api::namespaced_with(ns.client.clone(), &ns.name, &resource)
}

async fn names(ns: &TestNamespace) -> Vec<String> {
    let all = snapshots(ns).list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
    all.into_iter().filter_map(|snapshot| snapshot.metadata.name).collect()
}

fn definitions(ns: &TestNamespace) -> Api<CustomResourceDefinition> {
    Api::all(ns.client.clone())
}

/// Removes what an earlier run has left in the cluster.
async fn remove(ns: &TestNamespace) {
    let (brought, background) = (ListParams::default().labels(BROUGHT), DeleteParams::background());
    definitions(ns).delete_collection(&background, &brought).await.expect("removed");
    let left = || async { definitions(ns).list(&brought).await.expect("definitions").items.len() };
    eventually("the definitions are gone", MADE, left, |left| *left == 0).await;
}

async fn install(ns: &TestNamespace) {
    for mut definition in documents("volume-snapshots") {
        definition["metadata"]["labels"][BROUGHT] = json!("true");
        apply(ns, &definition, false).await;
    }
    let established = || async {
        let all = definitions(ns).list(&ListParams::default().labels(BROUGHT)).await.expect("definitions").items;
        let conditions = all.into_iter().flat_map(|definition| definition.status.unwrap_or_default().conditions);
        conditions.flatten().filter(|condition| condition.type_ == "Established" && condition.status == "True").count()
    };
    eventually("the definitions are served", MADE, established, |served| *served == 3).await;
    let class = json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass", "driver": DRIVER, "deletionPolicy": "Delete",
        "metadata": {"name": CLASS},
    });
    apply(ns, &class, false).await;
}

fn backed_up(schedule: &str, changes: Value) -> Value {
    let backup =
        json!({"method": "VolumeSnapshot", "volumeSnapshotClass": CLASS, "schedule": {"cron": schedule}, "keep": 2});
    let base = json!({"readReplicas": 1, "backup": backup});
    json!({"databases": [database("main", merged(base, changes))]})
}

/// State, reason and message of the backups of a database.
async fn condition(ns: &TestNamespace, name: &str) -> (String, String, String) {
    let store = backups::told(ns, name).await;
    let found = store.conditions.into_iter().find(|condition| condition.type_ == "BackupReady");
    found.map(|c| (c.status, c.reason, c.message)).unwrap_or_default()
}

async fn says(ns: &TestNamespace, reason: &str, part: &str) {
    let look = || condition(ns, "main");
    eventually("it is told of the backups", MADE, look, |c| c.1 == reason && c.2.contains(part)).await;
}

/// A client that writes one row after the other and counts what was acknowledged, until it is told to stop.
struct Load {
    acknowledged: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    async fn begin(client: tokio_postgres::Client) -> Self {
        client.batch_execute("create table ledger (i bigint)").await.expect("a table");
        let (acknowledged, stop) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (acknowledged.clone(), stop.clone());
        let task = tokio::spawn(async move {
            for i in 1_i64.. {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                client.execute("insert into ledger values ($1)", &[&i]).await.expect("a write");
                count.store(i, Ordering::SeqCst);
            }
        });
        Self { acknowledged, stop, task }
    }

    async fn reach(&self, rows: i64) -> i64 {
        let look = || async { self.acknowledged.load(Ordering::SeqCst) };
        eventually("rows are written", MADE, look, |written| *written >= rows).await;
        self.acknowledged.load(Ordering::SeqCst)
    }

    async fn end(self) -> i64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("it ends");
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// How many rows there are, none missing between them.
async fn rows(client: &tokio_postgres::Client) -> i64 {
    let row = client.query_one("select count(*), coalesce(max(i), 0) from ledger", &[]).await.expect("rows");
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "none is missing between others");
    row.get(0)
}

/// Waits until a primary that was made of a snapshot has been restarted as one that goes on with its own data.
async fn let_go(ns: &TestNamespace, pod: &str) {
    let look = || async {
        let pod = ns.api::<Pod>().get_opt(pod).await.expect("an answer").unwrap_or_default();
        let containers = pod.spec.map(|spec| spec.containers).unwrap_or_default();
        let mut variables = containers.into_iter().flat_map(|container| container.env.unwrap_or_default());
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        ready && variables.all(|variable| variable.name != "LP_RESTORE_SNAPSHOT")
    };
    eventually("it goes on with its own data", MADE, look, |done| *done).await;
    ready(ns, "school").await;
}

async fn delete_platform(ns: &TestNamespace) {
    ns.api::<crds::LearningPlatform>().delete("school", &DeleteParams::background()).await.expect("a deletion");
    let pods = || async { ns.api::<Pod>().list(&ListParams::default()).await.expect("pods").items.len() };
    eventually("the pods are gone", MADE, pods, |pods| *pods == 0).await;
}

/// All that holds the data is lost: volumes, passwords, and what was known of them.
async fn lose_everything(ns: &TestNamespace) {
    let of = |kinds: &'static str| ["delete", kinds, "-l", "app.kubernetes.io/instance=school", "--wait"];
    let namespaced = ["-n", &ns.name];
    kubectl(&[&namespaced[..], &of("persistentvolumeclaims,configmaps,secrets")[..]].concat()).await;
    let volumes = Api::<PersistentVolume>::all(ns.client.clone());
    let own = ListParams::default().labels(&format!("learningplatform.dev/namespace={}", ns.name));
    volumes.delete_collection(&DeleteParams::default(), &own).await.expect("a deletion");
    let left = || async {
        let claims = ns.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.expect("claims").items.len();
        claims + volumes.list(&own).await.expect("volumes").items.len()
    };
    eventually("the volumes are gone", MADE, left, |left| *left == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_volume_is_made_again_of_a_snapshot_with_every_row_that_was_acknowledged_before() {
    if Need::VolumesThatGrow.is_missing() {
        return;
    }
    let (ns, _operator) = scene("snapshots").await;
    remove(&ns).await;

    // Without the API the database serves, and the condition says what is missing.
    ns.apply("school", backed_up("0 0 1 1 *", json!({}))).await;
    ready(&ns, "school").await;
    says(&ns, "NotFound", "does not serve snapshot.storage.k8s.io/v1").await;
    let refused = lpctl(&ns, &["backup", "main"]).await;
    assert!(code(&refused) != 0 && out(&refused).contains("install the CSI snapshot definitions"), "{}", out(&refused));
    install(&ns).await;
    says(&ns, "Progressing", "no backup has been taken yet").await;

    let stores = Stores { ns: &ns, platform: "school" };
    let load = Load::begin(stores.postgres("main", "school-main-pg-0").await).await;
    let before = load.reach(500).await;
    let begun = Instant::now();
    let taken = lpctl(&ns, &["backup", "main"]).await;
    assert!(code(&taken) == 0 && out(&taken).contains("is complete"), "{}", out(&taken));
    println!("lpctl backup: {:?}", begun.elapsed());
    let after = load.reach(before + 500).await;
    says(&ns, "BackupsNotOffCluster", "in the storage system of the cluster").await;
    let name = names(&ns).await.pop().expect("a snapshot");
    let listed = out(&lpctl(&ns, &["backup", "main", "--list"]).await);
    assert!(listed.contains(&name), "{listed}");
    let store = backups::told(&ns, "main").await;
    assert!(store.deletion.is_some_and(|words| words.contains("its volume snapshots stay")));

    // A second database beside the first, of the newest snapshot.
    let begun = Instant::now();
    let restored = lpctl(&ns, &["restore", "main", "--as", "copy", "--apply"]).await;
    assert!(code(&restored) == 0 && out(&restored).contains(&format!("volumeSnapshot: {name}")), "{}", out(&restored));
    ready(&ns, "school").await;
    println!("restored beside it and ready after {:?}", begun.elapsed());
    let_go(&ns, "school-copy-pg-0").await;
    let copied = rows(&stores.postgres("copy", "school-copy-pg-0").await).await;
    assert!(copied >= before && copied <= after, "{before} had been acknowledged, {copied} are there");
    assert_ne!(stores.secret("main", "password").await, stores.secret("copy", "password").await);
    let written = load.end().await;
    assert_eq!(rows(&stores.postgres("main", "school-main-pg-0").await).await, written, "the first goes on as it was");

    // The platform goes, and all volumes are lost. The snapshot is what is left.
    delete_platform(&ns).await;
    lose_everything(&ns).await;
    assert_eq!(names(&ns).await, [name.as_str()]);
    let begun = Instant::now();
    ns.apply("school", backed_up("* * * * *", json!({"restoreFrom": {"volumeSnapshot": name}}))).await;
    ready(&ns, "school").await;
    println!("made again of the snapshot and ready after {:?}", begun.elapsed());
    let_go(&ns, "school-main-pg-0").await;
    let primary = stores.postgres("main", "school-main-pg-0").await;
    let found = rows(&primary).await;
    assert!(found >= before && found <= after, "{before} had been acknowledged, {found} are there");
    primary.execute("insert into ledger values ($1)", &[&(found + 1)]).await.expect("a write");
    let replica = stores.postgres("main", "school-main-pg-ro-0").await;
    let replicated = || async { rows(&replica).await };
    eventually("its replica follows", MADE, replicated, |rows| *rows == found + 1).await;

    // The clock takes them, and no more are kept than were asked for: the first, of the same data, is the oldest.
    let kept = || async { names(&ns).await };
    eventually("the oldest has gone", MADE, kept, |names| names.len() == 2 && !names.contains(&name)).await;
    says(&ns, "BackupsNotOffCluster", "2 are kept").await;

    // They go with the platform only where that was asked for, and told before.
    ns.apply("school", backed_up("0 0 1 1 *", json!({"deletionPolicy": "Delete"}))).await;
    let told = || async { backups::told(&ns, "main").await.deletion.unwrap_or_default() };
    eventually("their end is told", MADE, told, |words| words.contains("snapshots are deleted with it")).await;
    let owned = || async {
        let all = snapshots(&ns).list(&ListParams::default()).await.expect("snapshots").items;
        all.iter().all(|snapshot| snapshot.metadata.owner_references.is_some())
    };
    eventually("they are the platform's", MADE, owned, |owned| *owned).await;
    delete_platform(&ns).await;
    eventually("they are gone", MADE, kept, Vec::is_empty).await;
    remove(&ns).await;
    ns.delete().await;
}
