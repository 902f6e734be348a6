//! Backups by snapshots of volumes: where the API is missing, which of them stay, and databases that are made of them.

use crate::world::*;
use serde_json::{Value, json};

const API: &str = "snapshot.storage.k8s.io/v1";
const SNAPSHOTS: &str = "/apis/snapshot.storage.k8s.io/v1/namespaces/learning/volumesnapshots";
const CLAIM: &str = "/api/v1/namespaces/learning/persistentvolumeclaims/data-story-main-pg-0";
const SET: &str = "/apis/apps/v1/namespaces/learning/statefulsets/story-main-pg";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-record";

fn with_database(changes: Value) -> Value {
    let mut server = json!({ "volume": { "storage": "1Gi" } });
    for (field, value) in changes.as_object().unwrap() {
        server[field] = value.clone();
    }
    json!({ "databases": [{ "name": "main", "inCluster": server }] })
}

fn backed_up(policy: &str) -> Value {
    let backup = json!({ "method": "VolumeSnapshot", "schedule": { "cron": "0 0 1 1 *" }, "keep": 2 });
    with_database(json!({ "backup": backup, "deletionPolicy": policy }))
}

/// A platform whose database has served.
async fn served(spec: Value) -> World {
    let world = World::new(spec);
    let operator = world.operator().await;
    world.pass(&operator).await;
    world.api.edit(RECORD, |record| record["data"]["SYSTEM_IDENTIFIER"] = json!("739"));
    world
}

fn path(name: &str) -> String {
    format!("{SNAPSHOTS}/{name}")
}

/// A snapshot as `lpctl backup` makes it, and as its driver has finished it.
fn put(world: &World, day: u8, system: &str, status: Value) {
    let name = format!("story-main-{day}");
    let labels = json!({
        "app.kubernetes.io/managed-by": "learningplatform", "app.kubernetes.io/instance": "story",
        "app.kubernetes.io/component": "main", "learningplatform.dev/tier": "database", "learningplatform.dev/shard": "0",
    });
    let snapshot = json!({
        "apiVersion": API, "kind": "VolumeSnapshot",
        "metadata": {
            "name": name, "namespace": "learning", "creationTimestamp": format!("2026-11-{day:02}T03:00:00Z"), "labels": labels,
            "annotations": { "learningplatform.dev/system-identifier": system },
        },
        "spec": { "volumeSnapshotClassName": "fast", "source": { "persistentVolumeClaimName": "data-story-main-pg-0" } },
        "status": status,
    });
    world.api.put(&path(&name), snapshot);
}

fn ready() -> Value {
    json!({ "readyToUse": true, "restoreSize": "1Gi" })
}

fn database(world: &World) -> Value {
    world.api.get(PLATFORM).unwrap()["status"]["databases"][0].clone()
}

fn backup_condition(world: &World) -> Value {
    find(&database(world)["conditions"], "BackupReady")
}

/// A new process writes nothing, but for what it tells of servers that it has not looked at.
async fn nothing_is_written(world: &World) {
    world.api.writes();
    world.pass(&world.operator().await).await;
    let writes: Vec<_> = world.api.writes().into_iter().filter(|write| !write.path.ends_with("/status")).collect();
    assert_eq!(writes, [], "a second pass writes");
}

#[tokio::test]
async fn a_missing_api_is_told_and_holds_nothing_up() {
    let world = World::new(backed_up("Retain"));
    world.api.install(API, false);
    let operator = world.operator().await;
    world.settle(&operator).await;
    let condition = backup_condition(&world);
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("NotFound")), "{condition}");
    let message = condition["message"].as_str().unwrap();
    assert!(message.contains(API) && message.contains("external-snapshotter"), "{message}");
    assert!(world.api.get(SET).is_some(), "the database is made all the same");
    for path in ["batch/v1/namespaces/learning/cronjobs", "apps/v1/namespaces/learning/statefulsets"] {
        assert_eq!(
            world.api.get(&format!("/apis/{path}/story-main-backup")),
            None,
            "no receiver of the log, no base backups"
        );
    }

    world.api.install(API, true);
    operator.capabilities.discover(&operator.client).await;
    world.settle(&operator).await;
    assert_eq!(backup_condition(&world)["reason"], "Progressing", "{}", backup_condition(&world));
    nothing_is_written(&world).await;
}

#[tokio::test]
async fn as_many_are_kept_as_asked_for_and_they_outlive_the_platform_unless_that_is_to_take_them_along() {
    let world = served(backed_up("Retain")).await;
    for day in 1..=3 {
        put(&world, day, "739", ready());
    }
    put(&world, 4, "739", json!({ "readyToUse": false }));
    put(&world, 5, "1", ready());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.api.get(&path("story-main-1")), None, "the oldest of three goes");
    for day in 2..=5 {
        let kept = world.api.get(&path(&format!("story-main-{day}"))).unwrap();
        assert!(kept["metadata"]["ownerReferences"].is_null(), "{kept}");
    }
    let told = database(&world);
    assert!(told["deletion"].as_str().unwrap().contains("its volume snapshots stay"), "{told}");
    let names: Vec<&Value> =
        told["backup"]["backups"].as_array().unwrap().iter().map(|backup| &backup["name"]).collect();
    assert_eq!(names, ["story-main-3", "story-main-2"], "neither what is not ready nor what is of other data is one");
    nothing_is_written(&world).await;

    // Nobody asks for more of them: what there is stays, and goes with the platform once that is to take it along.
    world.ask(with_database(json!({ "deletionPolicy": "Delete" })), json!({}));
    world.settle(&world.operator().await).await;
    for day in 2..=4 {
        let kept = world.api.get(&path(&format!("story-main-{day}"))).unwrap();
        assert_eq!(kept["metadata"]["ownerReferences"][0]["uid"], "uid-1", "{kept}");
    }
    assert!(
        database(&world)["deletion"].as_str().unwrap().contains("snapshots are deleted with it"),
        "{}",
        database(&world)
    );
}

#[tokio::test]
async fn a_database_waits_for_its_snapshot_and_its_volume_is_made_of_it_once() {
    let restored = with_database(json!({ "restoreFrom": { "volumeSnapshot": "night" } }));
    let world = World::new(restored);
    let operator = world.operator().await;
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!(condition["reason"], "NotFound", "{condition}");
    assert!(
        condition["message"].as_str().unwrap().contains("VolumeSnapshot night, which does not exist"),
        "{condition}"
    );
    for nothing in [SET, CLAIM, RECORD] {
        assert_eq!(world.api.get(nothing), None, "an empty database would be taken for it");
    }

    let night = |status: Value| {
        json!({
            "apiVersion": API, "kind": "VolumeSnapshot", "status": status,
            "metadata": { "name": "night", "namespace": "learning", "creationTimestamp": "2026-11-02T03:00:00Z" },
        })
    };
    world.api.put(&path("night"), night(json!({ "readyToUse": false })));
    world.settle(&operator).await;
    assert!(world.condition("DatabaseReady")["message"].as_str().unwrap().contains("is not ready"));
    assert_eq!(world.api.get(CLAIM), None);

    world.api.put(&path("night"), night(json!({ "readyToUse": true, "restoreSize": "3Gi" })));
    world.settle(&operator).await;
    let claim = world.api.get(CLAIM).unwrap();
    let source = json!({ "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "night" });
    assert_eq!(claim["spec"]["dataSource"], source);
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], (3_u64 << 30).to_string(), "as large as it needs");
    let set = world.api.get(SET).unwrap();
    let template = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["metadata"]["labels"], template["metadata"]["labels"], "as the StatefulSet would make it");
    assert_eq!(claim["spec"]["accessModes"], template["spec"]["accessModes"]);
    assert_eq!(template["spec"]["dataSource"], Value::Null, "a later claim is not made of it");
    let variable = |set: &Value| {
        let all = set["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
        all.into_iter().find(|variable| variable["name"] == "LP_RESTORE_SNAPSHOT").map(|found| found["value"].clone())
    };
    assert_eq!(variable(&set), Some(json!("night")));
    nothing_is_written(&world).await;

    // Known data are never replaced, whatever becomes of the claim and of the snapshot.
    world.api.edit(RECORD, |record| record["data"]["SYSTEM_IDENTIFIER"] = json!("739"));
    world.api.remove(CLAIM);
    world.settle(&operator).await;
    assert_eq!(world.api.get(CLAIM), None);
    assert_eq!(variable(&world.api.get(SET).unwrap()), None);
}

#[tokio::test]
async fn a_claim_of_its_name_that_is_somebody_elses_is_not_written_over() {
    let world = World::new(with_database(json!({ "restoreFrom": { "volumeSnapshot": "night" } })));
    world.api.put(
        &path("night"),
        json!({
            "apiVersion": API, "kind": "VolumeSnapshot", "status": ready(),
            "metadata": { "name": "night", "namespace": "learning", "creationTimestamp": "2026-11-02T03:00:00Z" },
        }),
    );
    let theirs = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data-story-main-pg-0", "namespace": "learning" } });
    world.api.put(CLAIM, theirs);
    let before = world.api.get(CLAIM);
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.condition("DatabaseReady")["reason"], "NameConflict", "{}", world.condition("DatabaseReady"));
    assert_eq!(world.api.get(CLAIM), before);
    assert_eq!(world.api.get(SET), None);
}
