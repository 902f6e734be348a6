mod backups;

use super::*;
use crate::{
    conditions::{State, Verdict},
    context::Settings,
    kinds::ObjectId,
    naming::labels,
    tiers::{
        database::{self, Provider},
        store::{RETAINED, TIER},
    },
    validate::{ValidPlatform, validate},
};
use crds::LearningPlatform;
use kube::ResourceExt;
use serde_json::json;
use std::collections::BTreeSet;

fn platform(databases: &Value, abandon: &Value) -> crate::error::Result<ValidPlatform> {
    let resource: LearningPlatform = serde_json::from_value(json!({
        "metadata": { "name": "story", "namespace": "learning", "uid": "u" },
        "spec": { "databases": databases, "abandonData": abandon },
    }))
    .unwrap();
    validate(&resource, &Settings::default())
}

fn spec(changes: &Value) -> Value {
    let mut spec = json!({ "volume": { "storage": "8Gi" }, "readReplicas": 1 });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({ "name": "main", "cloudNativePG": spec })
}

fn item(changes: &Value) -> CloudNativePg {
    let lp = platform(&json!([spec(changes)]), &json!([])).unwrap();
    let Provider::CloudNativePg(item) = &lp.databases[0].provider else { panic!("another provider") };
    item.as_ref().clone()
}

/// A status as CloudNativePG 1.30 writes it of a good cluster of two.
fn good() -> Value {
    json!({
        "phase": "Cluster in healthy state", "instances": 2, "readyInstances": 2, "systemID": "739",
        "currentPrimary": "story-main-pg-1", "targetPrimary": "story-main-pg-1", "timelineID": 1,
        "conditions": [{ "type": "ConsistentSystemID", "status": "True", "reason": "Unique", "message": "" }],
        "instancesStatus": { "healthy": ["story-main-pg-1", "story-main-pg-2"] },
        "instancesReportedState": {
            "story-main-pg-1": { "isPrimary": true, "timeLineID": 1 },
            "story-main-pg-2": { "isPrimary": false, "timeLineID": 1 },
        },
    })
}

fn live(status: &Value) -> DynamicObject {
    let mut labels = labels("story", "main");
    labels.extend([(TIER.to_owned(), "database".to_owned()), (RETAINED.to_owned(), "true".to_owned())]);
    Kind::CloudNativePgCluster
        .object(&json!({
            "metadata": { "name": "story-main-pg", "namespace": "learning", "labels": labels },
            "spec": { "instances": 2 }, "status": status,
        }))
        .unwrap()
}

fn recorded(record: &Value) -> DynamicObject {
    let mut map = live(&json!({}));
    map.types = None;
    let labels = map.labels().clone();
    let map = json!({ "metadata": { "name": "story-main-pg-record", "labels": labels }, "data": record });
    Kind::ConfigMap.object(&map).unwrap()
}

fn children(objects: &[DynamicObject]) -> Children {
    Children(objects.iter().map(|object| (ObjectId::of(object).unwrap(), object.clone())).collect())
}

fn seen(objects: &[DynamicObject]) -> Seen {
    look(&children(objects), &item(&json!({})), &LeftBehind::default(), Served::ALL)
}

fn verdict(seen: &Seen) -> Verdict {
    let item = item(&json!({}));
    let bound = Ok(item.binding("app", "x", "app", Vec::new()));
    status::status(&item, seen, &bound).verdicts.remove(0)
}

fn kinds(item: &CloudNativePg, seen: &Seen) -> Vec<Kind> {
    objects::objects(item, seen).into_iter().map(|object| Kind::of(&object.unwrap()).unwrap()).collect()
}

fn cluster(item: &CloudNativePg, seen: &Seen) -> DynamicObject {
    objects::objects(item, seen).remove(0).unwrap()
}

#[test]
fn a_cluster_is_ready_only_when_all_of_it_agrees() {
    type Change = fn(&mut Value);
    type Expected = Option<(Reason, &'static str)>;
    let table: &[(&str, Change, Expected)] = &[
        ("good", |_| {}, None),
        ("new", |s| *s = Value::Null, Some((Reason::Progressing, "not taken it up yet"))),
        ("under way", |s| s["phase"] = json!("Creating a new replica"), Some((Reason::Progressing, "Creating a new"))),
        (
            "full",
            |s| {
                s["phase"] = json!("Not enough disk space");
                s["phaseReason"] = json!("story-main-pg-1");
            },
            Some((Reason::DiskFilling, "Not enough disk space (story-main-pg-1)")),
        ),
        (
            "healthy, it says",
            |s| s["readyInstances"] = json!(1),
            Some((Reason::Progressing, "1 of 2 servers are ready")),
        ),
        ("one too many", |s| s["instances"] = json!(3), Some((Reason::Progressing, "although"))),
        ("switching", |s| s["targetPrimary"] = json!("story-main-pg-2"), Some((Reason::Progressing, "is taking over"))),
        ("headless", |s| s["currentPrimary"] = Value::Null, Some((Reason::Progressing, "no primary"))),
        (
            "mixed",
            |s| s["conditions"][0]["status"] = json!("False"),
            Some((Reason::WrongCluster, "different databases")),
        ),
        (
            "astray",
            |s| s["instancesReportedState"]["story-main-pg-1"]["timeLineID"] = json!(2),
            Some((Reason::ReplicaLag, "story-main-pg-2 does not follow")),
        ),
    ];
    for (name, change, expected) in table {
        let mut status = good();
        change(&mut status);
        let verdict = verdict(&seen(&[live(&status)]));
        match expected {
            None => assert_eq!((verdict.state, verdict.reason), (State::True, Reason::Succeeded), "{name}"),
            Some((reason, part)) => {
                assert_eq!((verdict.state, verdict.reason), (State::False, *reason), "{name}: {}", verdict.message);
                assert!(verdict.message.contains(part), "{name}: {}", verdict.message);
            }
        }
    }
    assert!(verdict(&seen(&[live(&good())])).message.contains("as CloudNativePG says"), "whose word it is");
}

#[test]
fn no_empty_cluster_takes_the_place_of_one_with_data() {
    let of = |id: &str| recorded(&json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": id }));
    let mut going = live(&good());
    going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    for (name, objects, reason) in [
        ("gone", vec![of("739")], Some(Reason::DataMissing)),
        ("another", vec![of("740"), live(&good())], Some(Reason::WrongCluster)),
        ("going", vec![of("739"), going], Some(Reason::Deleting)),
        ("the same", vec![of("739"), live(&good())], None),
        ("not yet known", vec![of("739"), live(&Value::Null)], None),
        ("never made", vec![recorded(&json!({ "RUNNER": "cloudNativePG" }))], None),
        ("abandoned and deleted", vec![recorded(&json!({ "SYSTEM_IDENTIFIER": "739", "ABANDONED": "true" }))], None),
        (
            "abandoned and kept",
            vec![recorded(&json!({ "SYSTEM_IDENTIFIER": "739", "ABANDONED": "true" })), live(&good())],
            None,
        ),
        ("new", Vec::new(), None),
    ] {
        let seen = seen(&objects);
        assert_eq!(seen.held.as_ref().map(|(reason, _)| *reason), reason, "{name}");
        assert_eq!(kinds(&item(&json!({})), &seen).is_empty(), reason.is_some(), "{name}");
    }
    // Without the API nobody can tell: the missing API is what is told then.
    let without = Served { cloud_native_pg: false, ..Served::ALL };
    let seen = look(&children(&[of("739")]), &item(&json!({})), &LeftBehind::default(), without);
    assert_eq!(seen.held, None);
}

#[test]
fn the_record_keeps_whose_data_they_are() {
    let item = item(&json!({}));
    let record = |seen: &Seen| objects::objects(&item, seen).remove(1).unwrap().data["data"].clone();
    assert_eq!(record(&seen(&[])), json!({ "RUNNER": "cloudNativePG" }));
    let found = json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739" });
    assert_eq!(record(&seen(&[live(&good())])), found);
    assert_eq!(record(&seen(&[live(&good()), recorded(&json!({ "ABANDONED": "true" }))])), found);
}

#[test]
fn data_stay_in_the_hands_that_have_them() {
    let own = |id: &str| {
        let mut map = recorded(&json!({ "SYSTEM_IDENTIFIER": "1" }));
        map.metadata.name = Some(format!("story-{id}-record"));
        map
    };
    let delegated = || vec![live(&good()), recorded(&json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739" }))];
    let in_cluster = || json!([{ "name": "main", "inCluster": { "volume": { "storage": "1Gi" } } }]);
    let external =
        json!([{ "name": "main", "external": { "address": "pg", "database": "d", "secret": { "name": "s" } } }]);
    let renamed =
        json!([{ "name": "lessons", "renamedFrom": "main", "cloudNativePG": { "volume": { "storage": "1Gi" } } }]);
    let both = || delegated().into_iter().chain([own("main")]).collect::<Vec<_>>();
    // Objects, spec, abandoned: what waits, and whether the item main (or what became of it) must wait.
    for (name, objects, databases, abandon, waits, held) in [
        ("as it was", delegated(), json!([spec(&json!({}))]), json!([]), false, false),
        ("to our own", delegated(), in_cluster(), json!([]), true, true),
        ("from our own", vec![own("main")], json!([spec(&json!({}))]), json!([]), true, true),
        ("to somebody else's", delegated(), external, json!([]), true, true),
        ("gone", delegated(), json!([]), json!([]), true, true),
        ("renamed", delegated(), renamed, json!([]), false, false),
        ("abandoned", delegated(), in_cluster(), json!(["main"]), false, false),
        ("only the Cluster", vec![live(&good())], in_cluster(), json!([]), true, true),
        ("both", both(), json!([spec(&json!({}))]), json!([]), true, false),
        ("both, one abandoned", both(), json!([spec(&json!({}))]), json!(["main"]), false, false),
    ] {
        let lp = platform(&databases, &abandon).unwrap();
        let left = database::left_behind(&lp, &children(&objects));
        assert_eq!((!left.waiting.is_empty(), left.holds("main")), (waits, held), "{name}: {left:?}");
    }
}

#[test]
fn abandoning_marks_the_record_of_the_hands_that_lose() {
    let objects = [live(&good()), recorded(&json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739" }))];
    let marked = |named: bool| {
        let mut left = LeftBehind::default();
        let named = named.then(|| "main".to_owned()).into_iter().collect();
        let by = (objects::RUNNER, Some(Kind::CloudNativePgCluster));
        left.add(&children(&objects), by, &named, &BTreeSet::from(["main".to_owned()]));
        let plan = crate::tiers::store::left_behind::marked(&children(&objects), "story", &left, StoreTier::Database);
        plan.into_iter().map(|step| step.object.data["data"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(marked(true), Vec::<Value>::new());
    assert_eq!(marked(false), [json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739", "ABANDONED": "true" })]);
}

#[test]
fn a_cluster_says_what_was_meant_and_no_more() {
    let plain = cluster(&item(&json!({})), &Seen::default());
    assert_eq!(
        plain.data["spec"],
        json!({
            "instances": 2, "imageName": DEFAULT_IMAGE, "storage": { "size": "8Gi" },
            "bootstrap": { "initdb": { "database": "app", "owner": "app", "dataChecksums": true } },
            "enableSuperuserAccess": false, "postgresql": { "parameters": { "max_slot_wal_keep_size": "2048MB" } },
            "smartShutdownTimeout": 0, "primaryUpdateStrategy": "unsupervised", "enablePDB": true,
            "affinity": { "podAntiAffinityType": "preferred", "topologyKey": "topology.kubernetes.io/zone" },
        })
    );
    assert!(plain.labels().contains_key(RETAINED), "kept without an owner");
    let changes = json!({
        "readReplicas": 2, "durability": "Required", "syncReplicas": 2, "runAsUser": 101, "database": "lessons",
        "parameters": { "max_connections": "200" }, "deletionPolicy": "Delete", "image": "data:15",
    });
    let full = cluster(&item(&changes), &Seen::default());
    let synchronous = json!({ "method": "any", "number": 2, "dataDurability": "required", "failoverQuorum": true });
    assert_eq!(full.data["spec"]["postgresql"]["synchronous"], synchronous);
    assert_eq!(full.data["spec"]["postgresql"]["parameters"]["max_connections"], "200");
    assert_eq!((&full.data["spec"]["instances"], &full.data["spec"]["postgresUID"]), (&json!(3), &json!(101)));
    assert!(!full.labels().contains_key(RETAINED), "owned, so that it goes with the platform");
    let single = cluster(&item(&json!({ "readReplicas": 0 })), &Seen::default());
    assert_eq!(single.data["spec"]["enablePDB"], false, "the drain of its node would hang");
}

#[test]
fn the_number_of_servers_is_left_to_who_scales_them() {
    let mut scaled = live(&good());
    scaled.data["spec"]["instances"] = json!(3);
    let entry = |subresource: &str| {
        json!([{ "manager": "kube-controller-manager", "operation": "Update", "subresource": subresource,
            "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:instances": {} } } }])
    };
    scaled.metadata.managed_fields = serde_json::from_value(entry("scale")).unwrap();
    let seen_ = seen(&[scaled.clone()]);
    assert_eq!(seen_.scaled, Some(3));
    assert!(cluster(&item(&json!({})), &seen_).data["spec"].get("instances").is_none());
    scaled.metadata.managed_fields = serde_json::from_value(entry("")).unwrap();
    assert_eq!(seen(&[scaled]).scaled, None, "our own apply is no scaling");
}

#[test]
fn apps_read_from_replicas_where_there_are_any() {
    let hosts = |changes: Value| {
        let binding = placeholder(&item(&changes));
        let replicas: Vec<String> = binding.replicas.iter().map(ToString::to_string).collect();
        (binding.primary.to_string(), binding.reader.to_string(), replicas)
    };
    let [rw, ro] = ["rw", "ro"].map(|service| format!("story-main-pg-{service}.learning.svc:5432"));
    assert_eq!(hosts(json!({})), (rw.clone(), ro.clone(), vec![ro.clone(); 3]));
    assert_eq!(hosts(json!({ "readReplicas": 0 })), (rw.clone(), rw.clone(), vec![rw.clone(); 3]));
    assert_eq!(hosts(json!({ "readReplicas": 2, "maxReadReplicas": 5 })).2, vec![ro; 5]);
}

#[test]
fn what_apps_get_is_less_than_the_server_takes() {
    for (parameters, expected) in
        [(json!({}), 95), (json!({ "max_connections": "200" }), 195), (json!({ "Max_Connections": "4" }), 0)]
    {
        assert_eq!(item(&json!({ "parameters": parameters })).spec.accepted().of_apps(), expected);
    }
}

#[test]
fn names_that_would_be_taken_twice_are_refused() {
    let other = json!({ "name": "main-pg", "inCluster": { "volume": { "storage": "1Gi" } } });
    let error = platform(&json!([spec(&json!({})), other]), &json!([])).unwrap_err().to_string();
    assert!(error.contains("main-pg") && error.contains("rename"), "{error}");
    let error = platform(&json!([spec(&json!({ "parameters": { "fsync": "off" } }))]), &json!([])).unwrap_err();
    assert!(error.to_string().contains("cloudNativePG.parameters[fsync]"), "{error}");
}
