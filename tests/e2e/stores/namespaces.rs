//! What becomes of data when the namespace goes.

use super::*;
use k8s_openapi::api::{
    core::v1::{PersistentVolume, PersistentVolumeClaim},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use learningplatform_tests::harness::account;
use redis::AsyncCommands;
use std::collections::BTreeMap;

/// Keys of the cache in mode `Cluster`.
const KEYS: u32 = 300;

/// An operator whose account outlives the namespace that it watches, with the rights in the whole cluster.
pub(super) async fn everywhere(home: &TestNamespace, ns: &TestNamespace) -> Operator {
    let name = &home.name;
    let rules = [operator::rbac::rules(), operator::rbac::cluster_rules()].concat();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": name}],
    });
    let apply = PatchParams::apply("test").force();
    let roles = Api::<ClusterRole>::all(home.client.clone());
    roles.patch(name, &apply, &Patch::Apply(&role)).await.expect("a role");
    let bindings = Api::<ClusterRoleBinding>::all(home.client.clone());
    bindings.patch(name, &apply, &Patch::Apply(&binding)).await.expect("a binding");
    Operator::spawn(ns, &account(home).await, FLAGS)
}

pub(super) async fn nowhere(home: TestNamespace) {
    let (roles, bindings) =
        (Api::<ClusterRole>::all(home.client.clone()), Api::<ClusterRoleBinding>::all(home.client.clone()));
    let _ = bindings.delete(&home.name, &DeleteParams::default()).await;
    let _ = roles.delete(&home.name, &DeleteParams::default()).await;
    home.delete().await;
}

/// The volumes that a namespace's claims have, or had: phase and reclaim policy by claim.
async fn volumes(ns: &TestNamespace) -> BTreeMap<String, (String, String)> {
    let all = Api::<PersistentVolume>::all(ns.client.clone()).list(&ListParams::default()).await.expect("volumes");
    let of = |volume: PersistentVolume| {
        let spec = volume.spec?;
        let claim = spec.claim_ref.filter(|claim| claim.namespace.as_ref() == Some(&ns.name))?;
        Some((claim.name?, (volume.status?.phase?, spec.persistent_volume_reclaim_policy?)))
    };
    all.items.into_iter().filter_map(of).collect()
}

/// Names of the volumes by claim.
async fn bound(ns: &TestNamespace) -> BTreeMap<String, String> {
    let claims = ns.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.expect("claims");
    claims.items.into_iter().filter_map(|claim| Some((claim.metadata.name?, claim.spec?.volume_name?))).collect()
}

async fn deletion(ns: &TestNamespace) -> Vec<String> {
    let status = ns.platform("school").await.status.unwrap_or_default();
    status.caches.iter().chain(&status.databases).map(|store| store.deletion.clone().unwrap_or_default()).collect()
}

fn school(policy: &str) -> Value {
    let with = |changes: Value| merged(json!({"deletionPolicy": policy}), changes);
    json!({
        "caches": [
            cache("cache", with(json!({"shards": 3, "replicasPerShard": 0}))),
            cache("logins", with(json!({"mode": "Single", "replicasPerShard": 1}))),
        ],
        "databases": [database("main", with(json!({"readReplicas": 1})))],
        "apps": [app(json!({"databases": [{"name": "main"}], "caches": [{"name": "logins"}]}))],
    })
}

async fn write(stores: &Stores<'_>) {
    let mut cluster = stores.cluster("cache").await;
    for key in 0..KEYS {
        let _: () = cluster.set(format!("key:{key}"), key).await.expect("a write");
    }
    let mut single = stores.redis("logins", "school-logins-s0-0").await;
    let _: () = single.set("session:1", "alice").await.expect("a write");
    let primary = stores.postgres("main", "school-main-pg-0").await;
    let rows =
        "create table pupils (name text); insert into pupils select 'pupil ' || n from generate_series(1, 1000) n";
    primary.batch_execute(rows).await.expect("writes");
}

async fn read(stores: &Stores<'_>) {
    let mut cluster = stores.cluster("cache").await;
    for key in 0..KEYS {
        let found: Option<u32> = cluster.get(format!("key:{key}")).await.expect("a read");
        assert_eq!(found, Some(key));
    }
    let mut single = stores.redis("logins", "school-logins-s0-0").await;
    let found: Option<String> = single.get("session:1").await.expect("a read");
    assert_eq!(found.as_deref(), Some("alice"));
    let primary = stores.postgres("main", "school-main-pg-0").await;
    let rows: i64 = primary.query_one("select count(*) from pupils", &[]).await.expect("a row").get(0);
    assert_eq!(rows, 1000);
}

/// Whether a password opens the database.
async fn opens(stores: &Stores<'_>, password: &str) -> bool {
    let address = stores.addresses("main").await.remove("school-main-pg-0").expect("the pod's address");
    let mut config = tokio_postgres::Config::new();
    config.host(&address).user("app_a").password(password).dbname("app").connect_timeout(Duration::from_secs(5));
    config.connect(tokio_postgres::NoTls).await.is_ok()
}

#[tokio::test]
async fn a_deleted_namespace_leaves_the_data_and_one_of_its_name_finds_them_again() {
    let (home, ns) = (TestNamespace::create("home").await, TestNamespace::create("renewed").await);
    let _operator = everywhere(&home, &ns).await;
    ns.apply("school", school("Retain")).await;
    ready(&ns, "school").await;
    let stays = |told: &Vec<String>| {
        told.len() == 3
            && told.iter().all(|words| words.contains("the volumes stay when the namespace is deleted, too"))
    };
    eventually("the status says that the data stay", MADE, || deletion(&ns), stays).await;
    let stores = Stores { ns: &ns, platform: "school" };
    write(&stores).await;
    let former = stores.secret("main", "password").await;
    let before = bound(&ns).await;
    let copy = "data-school-main-pg-ro-0";
    let policies: BTreeMap<_, _> = volumes(&ns).await.into_iter().map(|(claim, (_, policy))| (claim, policy)).collect();
    assert_eq!(policies.len(), 7);
    for (claim, policy) in policies {
        assert_eq!(policy, if claim == copy { "Delete" } else { "Retain" }, "{claim}");
    }

    ns.renew().await;
    let left = |volumes: &BTreeMap<String, (String, String)>| {
        volumes.len() == 6 && volumes.values().all(|(phase, _)| phase == "Released")
    };
    eventually("the volumes are left, but for the copy's", MADE, || volumes(&ns), left).await;

    ns.apply("school", school("Retain")).await;
    let took = ready(&ns, "school").await;
    println!("ready again {took:?} after it was applied in the new namespace");
    read(&stores).await;
    let new = stores.secret("main", "password").await;
    assert_ne!(new, former);
    assert!(opens(&stores, &new).await && !opens(&stores, &former).await, "the former password opens nothing");
    let mut after = bound(&ns).await;
    after.remove(copy);
    assert!(after.iter().all(|(claim, volume)| before.get(claim) == Some(volume)), "{before:?} {after:?}");
    eventually("the status says it again", MADE, || deletion(&ns), stays).await;

    // With the other word the volumes go back to what their class says, the status says so, and they go.
    ns.apply("school", school("Delete")).await;
    let told =
        |told: &Vec<String>| told.iter().all(|words| words == "volumes and passwords are deleted with the resource");
    eventually("the status says that the data go", MADE, || deletion(&ns), told).await;
    let goes = |volumes: &BTreeMap<String, (String, String)>| volumes.values().all(|(_, policy)| policy == "Delete");
    eventually("the volumes are as their class has them", MADE, || volumes(&ns), goes).await;
    ns.renew().await;
    eventually("the volumes are gone", MADE, || volumes(&ns), BTreeMap::is_empty).await;
    ns.delete().await;
    nowhere(home).await;
}

#[tokio::test]
async fn without_the_right_to_volumes_the_status_says_what_goes_with_the_namespace() {
    let (ns, _operator) = scene("volumeless").await;
    let logins = cache("logins", json!({"mode": "Single", "replicasPerShard": 0}));
    ns.apply("school", json!({"caches": [logins]})).await;
    ready(&ns, "school").await;
    let told = |told: &Vec<String>| told.iter().all(|words| words.contains("deleting the namespace deletes the data"));
    eventually("the status says so", MADE, || deletion(&ns), told).await;
    ns.renew().await;
    eventually("the volume is gone", MADE, || volumes(&ns), BTreeMap::is_empty).await;
    ns.delete().await;
}
