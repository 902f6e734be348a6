//! A primary whose volume is lost: by an explicit word, and with proof, its database goes on with a replica's data.

use super::{namespaces::everywhere, *};
use crds::status::{Promotion, PromotionState};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use learningplatform_tests::harness::kubectl;
use std::{
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

const PRIMARY: &str = "school-main-pg-0";
const CLAIM: &str = "data-school-main-pg-0";

/// The program beside the running test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a path of this test");
    let target = test.ancestors().find(|path| path.join("lpctl").is_file());
    target.expect("lpctl is built: run `cargo build --workspace`").join("lpctl")
}

async fn lpctl(ns: &TestNamespace, args: &[&str]) -> Output {
    let mut command = std::process::Command::new(binary());
    command.args(args).args(["-n", &ns.name]).env_remove("COLUMNS");
    tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("lpctl runs")
}

fn out(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn promotion(ns: &TestNamespace) -> Option<Promotion> {
    ns.platform("school").await.status?.databases.first()?.promotions.first().cloned()
}

fn school() -> Value {
    let main = database("main", json!({"readReplicas": 2, "durability": "Required"}));
    json!({"databases": [main], "apps": [app(json!({"databases": [{"name": "main"}]}))]})
}

/// A writer that counts the commits that were acknowledged, until its connection ends.
async fn writer(stores: &Stores<'_>) -> (Arc<AtomicI64>, tokio::task::JoinHandle<()>) {
    let client = stores.postgres("main", PRIMARY).await;
    client.batch_execute("create table ledger (id bigint primary key)").await.expect("a table");
    let acknowledged = Arc::new(AtomicI64::new(0));
    let count = acknowledged.clone();
    let task = tokio::spawn(async move {
        for id in 1_i64.. {
            if client.execute("insert into ledger values ($1)", &[&id]).await.is_err() {
                return;
            }
            count.store(id, Ordering::Relaxed);
        }
    });
    (acknowledged, task)
}

async fn rows(stores: &Stores<'_>, pod: &str) -> i64 {
    stores.postgres("main", pod).await.query_one("select count(*) from ledger", &[]).await.expect("a count").get(0)
}

async fn record(ns: &TestNamespace) -> std::collections::BTreeMap<String, String> {
    ns.api::<ConfigMap>().get("school-main-record").await.expect("a record").data.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_primary_goes_on_with_a_replicas_data() {
    let (home, ns) = (TestNamespace::create("promoter").await, TestNamespace::create("promote").await);
    let (_operator, ns_name) = (everywhere(&home, &ns).await, ns.name.clone());
    ns.apply("school", school()).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };

    // While the primary serves there is nothing to promote, whoever asks, and a word that came then never comes true.
    let refused = lpctl(&ns, &["promote", "main", "--yes"]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
    assert!(out(&refused).contains("nothing to promote"), "{}", out(&refused));
    let platforms = ns.api::<crds::LearningPlatform>();
    let asked = json!({"metadata": {"annotations": {crds::PROMOTE_ANNOTATION: "main=too-early"}}});
    platforms.patch("school", &PatchParams::default(), &Patch::Merge(&asked)).await.expect("an annotation");
    eventually(
        "the word is spent",
        MADE,
        || promotion(&ns),
        |promotion| promotion.as_ref().is_some_and(|promotion| promotion.state == PromotionState::Refused),
    )
    .await;

    // The primary is lost while somebody writes, and its volume is of no use any more.
    let (count, task) = writer(&stores).await;
    eventually("commits are acknowledged", MADE, || async { count.load(Ordering::Relaxed) }, |count| *count > 200)
        .await;
    let claim = ns.api::<PersistentVolumeClaim>().get(CLAIM).await.expect("a claim");
    let volume = claim.spec.and_then(|spec| spec.volume_name).expect("a volume");
    let spoil = "mv $PGDATA/global/pg_control $PGDATA/global/lost";
    kubectl(&["-n", &ns.name, "exec", PRIMARY, "-c", "server", "--", "/bin/sh", "-c", spoil]).await;
    ns.api::<Pod>().delete(PRIMARY, &DeleteParams::default().grace_period(1)).await.expect("a deletion");
    task.await.expect("a writer");
    let acknowledged = count.load(Ordering::Relaxed);
    let begun = Instant::now();
    let missing = |condition: &Option<(String, String, String)>| {
        condition.as_ref().is_some_and(|(status, reason, _)| status == "False" && reason == "DataMissing")
    };
    eventually("its data are missing", MADE, || ns.condition("school", "DatabaseReady"), missing).await;
    let possible = eventually(
        "what is possible is told",
        MADE,
        || promotion(&ns),
        |promotion| {
            promotion.as_ref().is_some_and(|promotion| promotion.message.contains("every acknowledged commit is on it"))
        },
    )
    .await
    .expect("a promotion");
    assert_eq!(
        (possible.state, possible.word),
        (PromotionState::Possible, None),
        "the word that came too early is spent"
    );

    // Without proof nothing is touched, and it is said how to give it.
    let maps = ns.api::<ConfigMap>();
    let node = record(&ns).await["NODE"].clone();
    let elsewhere = json!({"data": {"NODE": null}});
    maps.patch("school-main-record", &PatchParams::default(), &Patch::Merge(&elsewhere)).await.expect("a record");
    let unproven = lpctl(&ns, &["promote", "main", "--yes", "--timeout", "5"]).await;
    assert_eq!(unproven.status.code(), Some(1), "{}", out(&unproven));
    assert!(out(&unproven).contains("NeedsProof"), "{}", out(&unproven));
    let set = ns.api::<StatefulSet>().get("school-main-pg").await.expect("a StatefulSet");
    assert_eq!(set.spec.and_then(|spec| spec.replicas), Some(1));
    let back = json!({"data": {"NODE": node}});
    maps.patch("school-main-record", &PatchParams::default(), &Patch::Merge(&back)).await.expect("a record");

    let done = lpctl(&ns, &["promote", "main", "--yes", "--timeout", "240"]).await;
    println!("{}", out(&done));
    assert_eq!(done.status.code(), Some(0), "{}", out(&done));
    for words in ["ClaimInTheWay", "deleted the claim", "Copying", "Done"] {
        assert!(out(&done).contains(words), "{words}: {}", out(&done));
    }
    println!("promoted {:?} after the loss; {acknowledged} commits were acknowledged", begun.elapsed());
    let found = rows(&stores, PRIMARY).await;
    assert!(found >= acknowledged, "{found} of {acknowledged}");
    ready(&ns, "school").await;
    println!("all is ready {:?} after the loss", begun.elapsed());
    let primary = stores.postgres("main", PRIMARY).await;
    primary.batch_execute("insert into ledger values (-1)").await.expect("a write");
    for replica in ["school-main-pg-ro-0", "school-main-pg-ro-1"] {
        eventually("the replicas have it", MADE, || rows(&stores, replica), |count| *count == found + 1).await;
    }
    let after = record(&ns).await;
    assert_eq!(after["TIMELINE"], "2");
    assert!(!after.contains_key("PROMOTION") && after["PROMOTED_TOLD"].contains(&volume), "{after:?}");

    // The former volume is there, marked as what it is.
    let volumes: Api<PersistentVolume> = Api::all(ns.client.clone());
    let former = volumes.get(&volume).await.expect("the former volume");
    let policy = former.spec.and_then(|spec| spec.persistent_volume_reclaim_policy);
    assert_eq!(policy.as_deref(), Some("Retain"));
    assert!(former.metadata.labels.is_some_and(|labels| labels.contains_key("learningplatform.dev/former-claim")));
    ns.delete().await;
    let of_test = ListParams::default().labels(&format!("learningplatform.dev/namespace={}", ns_name));
    let goes = json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}});
    for left in volumes.list(&of_test).await.expect("volumes").items {
        let name = left.metadata.name.unwrap_or_default();
        volumes.patch(&name, &PatchParams::default(), &Patch::Merge(&goes)).await.expect("a volume");
    }
    namespaces::nowhere(home).await;
}
