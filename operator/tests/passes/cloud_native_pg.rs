//! A database that CloudNativePG runs: what is made of it, what waits for it, and that no pass takes its data away.

use crate::world::*;
use serde_json::{Value, json};

const API: &str = "postgresql.cnpg.io/v1";
const CLUSTER: &str = "/apis/postgresql.cnpg.io/v1/namespaces/learning/clusters/story-main-pg";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-pg-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";
const STATEFUL_SET: &str = "/apis/apps/v1/namespaces/learning/statefulsets/story-main-pg";

fn wired(changes: &Value) -> Value {
    let mut spec = spec();
    let mut database = json!({ "volume": { "storage": "8Gi" }, "readReplicas": 1 });
    for (field, value) in changes.as_object().unwrap() {
        database[field] = value.clone();
    }
    spec["databases"] = json!([{ "name": "main", "cloudNativePG": database }]);
    spec["apps"][0]["uses"] = json!({ "databases": [{ "name": "main" }] });
    spec
}

fn secret(name: &str, values: &Value) -> Value {
    let encoded = |text: &Value| {
        serde_json::to_value(k8s_openapi::ByteString(text.as_str().unwrap().as_bytes().to_vec())).unwrap()
    };
    let data: serde_json::Map<String, Value> =
        values.as_object().unwrap().iter().map(|(key, value)| (key.clone(), encoded(value))).collect();
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "learning" }, "data": data })
}

/// What CloudNativePG does: the Secrets, and a status that says all is well.
fn run(world: &World) {
    let at = |name: &str| format!("/api/v1/namespaces/learning/secrets/{name}");
    let login = json!({ "username": "app", "password": "hunter2", "dbname": "app" });
    world.api.put(&at("story-main-pg-app"), secret("story-main-pg-app", &login));
    let authority = json!({ "ca.crt": "-----BEGIN CERTIFICATE-----" });
    world.api.put(&at("story-main-pg-ca"), secret("story-main-pg-ca", &authority));
    world.api.edit(CLUSTER, |cluster| {
        cluster["status"] = json!({
            "phase": "Cluster in healthy state", "instances": 2, "readyInstances": 2, "systemID": "739",
            "currentPrimary": "story-main-pg-1", "targetPrimary": "story-main-pg-1",
            "instancesStatus": { "healthy": ["story-main-pg-1", "story-main-pg-2"] },
        });
    });
}

fn variable(world: &World, name: &str) -> String {
    let secret = world.api.get(CONNECTIONS).unwrap();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(secret["data"][name].clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

#[tokio::test]
async fn without_the_api_a_condition_says_so_and_nothing_takes_its_place() {
    let world = World::new(wired(&json!({})));
    world.api.install(API, false);
    let operator = world.operator().await;
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("NotFound")), "{condition}");
    assert!(condition["message"].as_str().unwrap().contains(API), "{condition}");
    for path in [RECORD, STATEFUL_SET, CONNECTIONS, DEPLOYMENT] {
        assert_eq!(world.api.get(path), None, "{path}");
    }

    world.api.install(API, true);
    operator.capabilities.discover(&operator.client).await;
    world.settle(&operator).await;
    assert!(world.api.get(CLUSTER).is_some());
    assert_eq!(world.condition("DatabaseReady")["reason"], "Progressing");
    assert_eq!(world.api.get(DEPLOYMENT), None, "its pods could not start");
}

#[tokio::test]
async fn apps_get_what_cloud_native_pg_made_and_then_no_pass_writes() {
    let world = World::new(wired(&json!({})));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let cluster = world.api.get(CLUSTER).unwrap();
    assert_eq!(cluster["metadata"]["ownerReferences"], Value::Null, "it outlives the platform");
    assert_eq!(world.api.get(RECORD).unwrap()["data"], json!({ "RUNNER": "cloudNativePG" }));
    run(&world);
    world.settle(&operator).await;
    assert_eq!(world.condition("DatabaseReady")["status"], "True", "{}", world.condition("DatabaseReady"));
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
    let url = variable(&world, "DATABASE_URL");
    assert!(
        url.starts_with("postgresql://app:hunter2@story-main-pg-rw.learning.svc:5432/app?sslmode=verify-full"),
        "{url}"
    );
    assert!(variable(&world, "READ_REPLICA_URL").contains("story-main-pg-ro.learning.svc"));
    assert!(variable(&world, "DB_CA_CERTIFICATE").contains("BEGIN CERTIFICATE"));
    let record = json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739" });
    assert_eq!(world.api.get(RECORD).unwrap()["data"], record);

    world.api.writes();
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
}

#[tokio::test]
async fn what_others_set_on_the_cluster_stays() {
    let world = World::new(wired(&json!({})));
    let operator = world.operator().await;
    world.settle(&operator).await;
    run(&world);
    world.api.edit(CLUSTER, |cluster| {
        cluster["spec"]["postgresql"]["parameters"]["archive_mode"] = json!("on");
        cluster["spec"]["plugins"] = json!([{ "name": "barman-cloud.cloudnative-pg.io" }]);
        cluster["spec"]["enableSuperuserAccess"] = json!(true);
    });
    world.settle(&operator).await;
    let spec = &world.api.get(CLUSTER).unwrap()["spec"];
    assert_eq!(spec["postgresql"]["parameters"]["archive_mode"], "on");
    assert_eq!(spec["plugins"][0]["name"], "barman-cloud.cloudnative-pg.io");
    assert_eq!(spec["enableSuperuserAccess"], false, "what is meant comes back");
}

#[tokio::test]
async fn another_provider_waits_and_no_pass_removes_a_cluster() {
    let world = World::new(wired(&json!({ "deletionPolicy": "Delete" })));
    let operator = world.operator().await;
    world.settle(&operator).await;
    run(&world);
    world.settle(&operator).await;
    assert_eq!(world.api.get(CLUSTER).unwrap()["metadata"]["ownerReferences"][0]["uid"], "uid-1", "it goes with it");
    let before = (variable(&world, "DATABASE_URL"), world.api.get(DEPLOYMENT).unwrap()["spec"]["template"].clone());

    let mut swapped = wired(&json!({}));
    swapped["databases"] = json!([{ "name": "main", "inCluster": { "volume": { "storage": "8Gi" } } }]);
    world.ask(swapped.clone(), json!({}));
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!(condition["reason"], "DataWouldBeLeftBehind", "{condition}");
    let after = (variable(&world, "DATABASE_URL"), world.api.get(DEPLOYMENT).unwrap()["spec"]["template"].clone());
    assert_eq!(after, before, "the app stays on its Secret");
    assert_eq!(world.api.get(STATEFUL_SET), None);

    swapped["abandonData"] = json!(["main"]);
    world.ask(swapped, json!({}));
    world.settle(&operator).await;
    assert!(world.api.get(STATEFUL_SET).is_some(), "{}", world.condition("DatabaseReady"));
    assert!(world.api.get(CLUSTER).is_some(), "CloudNativePG would delete the volumes with it");
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_not_replaced_by_an_empty_one() {
    let world = World::new(wired(&json!({})));
    let operator = world.operator().await;
    world.settle(&operator).await;
    run(&world);
    world.settle(&operator).await;
    let before = (variable(&world, "DATABASE_URL"), world.api.get(DEPLOYMENT).unwrap()["spec"].clone());
    world.api.remove(CLUSTER);
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!(condition["reason"], "DataMissing", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("739"), "{condition}");
    assert_eq!(world.api.get(CLUSTER), None);
    let after = (variable(&world, "DATABASE_URL"), world.api.get(DEPLOYMENT).unwrap()["spec"].clone());
    assert_eq!(after, before, "the app stays as it is");

    world.api.remove(RECORD);
    world.settle(&operator).await;
    assert!(world.api.get(CLUSTER).is_some(), "the word of the user");
}

#[tokio::test]
async fn somebody_elses_cluster_is_not_taken_over() {
    let world = World::new(wired(&json!({})));
    let foreign = json!({ "apiVersion": API, "kind": "Cluster", "spec": { "instances": 3 },
        "metadata": { "name": "story-main-pg", "namespace": "learning" } });
    world.api.put(CLUSTER, foreign.clone());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.condition("DatabaseReady")["reason"], "NameConflict", "{}", world.condition("DatabaseReady"));
    assert_eq!(world.api.get(CLUSTER).unwrap()["spec"], foreign["spec"]);
}
