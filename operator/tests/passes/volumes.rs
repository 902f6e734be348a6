//! Volumes of stores: they outlive their namespace where the data shall stay, and the same platform in a namespace of the same
//! name goes on with them.

use crate::{api::Fault, world::*};
use learningplatform_operator::rbac;
use serde_json::{Value, json};

const VOLUME: &str = "/api/v1/persistentvolumes/pv-1";
const CLAIM: &str = "/api/v1/namespaces/learning/persistentvolumeclaims/data-story-main-pg-0";
const SET: &str = "/apis/apps/v1/namespaces/learning/statefulsets/story-main-pg";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-record";
const AUTH: &str = "/api/v1/namespaces/learning/secrets/story-main-auth";

fn with_database(changes: Value) -> Value {
    let mut server = json!({ "volume": { "storage": "1Gi" } });
    for (field, value) in changes.as_object().unwrap() {
        server[field] = value.clone();
    }
    json!({ "databases": [{ "name": "main", "inCluster": server }] })
}

/// A volume, bound to a claim of that uid.
fn volume(uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "pv-1" },
        "spec": {
            "persistentVolumeReclaimPolicy": "Delete", "accessModes": ["ReadWriteOncePod"], "capacity": { "storage": "1Gi" },
            "storageClassName": "fast", "volumeMode": "Filesystem",
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": "learning", "name": "data-story-main-pg-0", "uid": uid,
            },
        },
        "status": { "phase": "Bound" },
    })
}

/// What the StatefulSet's controller and a provisioner do.
fn provision(world: &World) {
    let labels = world.api.get(SET).unwrap()["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"].clone();
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": "data-story-main-pg-0", "namespace": "learning", "uid": "uid-claim", "labels": labels },
        "spec": { "volumeName": "pv-1", "resources": { "requests": { "storage": "1Gi" } } },
        "status": { "phase": "Bound" },
    });
    world.api.put(CLAIM, claim);
    world.api.put(VOLUME, volume("uid-claim"));
}

fn deletion(world: &World) -> String {
    let platform = world.api.get(PLATFORM).unwrap();
    platform["status"]["databases"][0]["deletion"].as_str().unwrap().to_owned()
}

/// A platform whose database has a volume and has served.
async fn served(changes: Value) -> World {
    let world = World::new(with_database(changes));
    let operator = world.operator().await;
    world.pass(&operator).await;
    provision(&world);
    world.api.edit(RECORD, |record| record["data"] = json!({ "SYSTEM_IDENTIFIER": "7", "TIMELINE": "1" }));
    world.settle(&operator).await;
    world
}

#[tokio::test]
async fn a_bound_volume_outlives_its_namespace_and_then_no_pass_writes() {
    let world = served(json!({})).await;
    let kept = world.api.get(VOLUME).unwrap();
    assert_eq!(kept["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    let metadata = &kept["metadata"];
    assert_eq!(metadata["labels"]["learningplatform.dev/claim"], "data-story-main-pg-0");
    assert_eq!(metadata["labels"]["learningplatform.dev/namespace"], "learning");
    assert_eq!(metadata["annotations"]["learningplatform.dev/reclaim-policy"], "Delete");
    let record = metadata["annotations"]["learningplatform.dev/record"].as_str().unwrap();
    assert_eq!(record, r#"{"SYSTEM_IDENTIFIER":"7","TIMELINE":"1"}"#);
    assert!(deletion(&world).contains("the volumes stay when the namespace is deleted, too"), "{}", deletion(&world));

    let operator = world.operator().await;
    world.settle(&operator).await;
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");

    world.ask(with_database(json!({ "deletionPolicy": "Delete" })), json!({}));
    world.settle(&world.operator().await).await;
    let mut after = world.api.get(VOLUME).unwrap();
    let fields = after["metadata"].as_object_mut().unwrap();
    fields.retain(|field, value| field == "name" || value.as_object().is_some_and(|map| !map.is_empty()));
    assert_eq!(after, volume("uid-claim"), "as its class has it");
    let rules = [rbac::rules(), rbac::cluster_rules()].concat();
    for (verb, resource) in world.api.requests().into_iter().filter(|(_, resource)| resource == "persistentvolumes") {
        let of = |rule: &&k8s_openapi::api::rbac::v1::PolicyRule| rule.resources == Some(vec![resource.clone()]);
        assert!(rules.iter().find(of).is_some_and(|rule| rule.verbs.contains(&verb)), "{verb} {resource}");
    }
}

#[tokio::test]
async fn without_the_right_it_is_said_that_the_data_go_and_nothing_else_suffers() {
    for denied in ["list", "patch"] {
        let world = World::new(with_database(json!({})));
        world.api.deny(denied, "persistentvolumes");
        let operator = world.operator().await;
        world.pass(&operator).await;
        provision(&world);
        world.settle(&operator).await;
        assert_eq!(world.api.get(VOLUME).unwrap()["spec"]["persistentVolumeReclaimPolicy"], "Delete");
        let told = deletion(&world);
        assert!(told.contains("deleting the namespace deletes the data, because the operator may not"), "{told}");
        assert_ne!(world.condition("Ready")["reason"], "PermissionDenied");
        world.api.allow_all();
        world.settle(&world.operator().await).await;
        assert_eq!(world.api.get(VOLUME).unwrap()["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    }
}

#[tokio::test]
async fn a_suspended_platform_changes_no_volume() {
    let world = World::new(with_database(json!({})));
    world.pass(&world.operator().await).await;
    provision(&world);
    world.ask(with_database(json!({})), json!({ "learningplatform.dev/suspend": "true" }));
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.get(VOLUME).unwrap()["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    assert!(deletion(&world).contains("suspended"), "{}", deletion(&world));
}

/// What is left of a namespace: the volume.
async fn left() -> Value {
    let mut left = served(json!({})).await.api.get(VOLUME).unwrap();
    left["status"]["phase"] = json!("Released");
    left
}

/// A new namespace of the same name.
fn renewed(left: Value) -> World {
    let world = World::new(with_database(json!({})));
    world.api.put(VOLUME, left);
    world
}

/// Whether all is as after a deletion of the resource alone.
fn goes_on(world: &World) {
    let claim = world.api.get(CLAIM).unwrap();
    assert_eq!((&claim["spec"]["volumeName"], &claim["spec"]["storageClassName"]), (&json!("pv-1"), &json!("fast")));
    let reference = &world.api.get(VOLUME).unwrap()["spec"]["claimRef"];
    assert_eq!((&reference["name"], reference.get("uid")), (&json!("data-story-main-pg-0"), None));
    let record = world.api.get(RECORD).unwrap()["data"].clone();
    assert_eq!(record, json!({ "SYSTEM_IDENTIFIER": "7", "TIMELINE": "1" }), "the start gate holds");
    assert!(world.api.get(AUTH).unwrap()["data"]["password"].is_string());
    assert_eq!(world.api.get(AUTH).unwrap()["data"]["retiredUsername"], json!("YXBwX2I="), "app_b");
    assert!(world.api.get(SET).is_some());
}

#[tokio::test]
async fn the_same_platform_in_a_namespace_of_the_same_name_goes_on() {
    let world = renewed(left().await);
    let operator = world.operator().await;
    world.settle(&operator).await;
    goes_on(&world);
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
}

#[tokio::test]
async fn it_goes_on_wherever_it_is_cut() {
    let left = left().await;
    for fault in [Fault::Before, Fault::AnswerLost, Fault::Conflict] {
        for nth in 0..12 {
            let world = renewed(left.clone());
            world.api.fail(nth, fault);
            // A new process after the cut.
            world.pass(&world.operator().await).await;
            world.settle(&world.operator().await).await;
            goes_on(&world);
        }
    }
}

#[tokio::test]
async fn where_it_is_not_clear_which_volume_is_meant_nothing_is_made() {
    let world = renewed(left().await);
    let mut other = world.api.get(VOLUME).unwrap();
    other["metadata"]["name"] = json!("pv-2");
    world.api.put(&VOLUME.replace("pv-1", "pv-2"), other);
    let operator = world.operator().await;
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("DataWouldBeLeftBehind")));
    assert!(condition["message"].as_str().unwrap().contains("pv-1 and pv-2"), "{condition}");
    for path in [SET, AUTH, RECORD, CLAIM] {
        assert!(world.api.get(path).is_none(), "{path}");
    }
    world.api.edit(&VOLUME.replace("pv-1", "pv-2"), |volume| {
        volume["metadata"]["labels"].as_object_mut().unwrap().remove("learningplatform.dev/claim");
    });
    world.settle(&operator).await;
    goes_on(&world);
}

#[tokio::test]
async fn a_renamed_store_waits_in_a_new_namespace_too() {
    let world = renewed(left().await);
    let mut spec = with_database(json!({}));
    spec["databases"][0]["name"] = json!("primary");
    world.ask(spec.clone(), json!({}));
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.condition("DatabaseReady")["reason"], "DataWouldBeLeftBehind");
    assert!(world.api.get(&SET.replace("main", "primary")).is_none(), "no empty store is made");
    spec["databases"][0]["renamedFrom"] = json!("main");
    world.ask(spec, json!({}));
    world.settle(&operator).await;
    goes_on(&world);
}
