use super::*;
use crate::{keeper::database::DatabaseView, kinds::ObjectId, tiers::store::record};
use serde_json::{Value, json};
use std::sync::Arc;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn database(changes: Value) -> InCluster {
    let mut item = json!({"name": "main", "inCluster": {
        "volume": {"storage": "1Gi"},
        "backup": {"method": "VolumeSnapshot", "schedule": {"cron": "0 3 * * *"}, "keep": 2},
    }});
    for (field, value) in changes.as_object().expect("fields") {
        item["inCluster"][field] = value.clone();
    }
    let item: crds::tiers::database::Database = serde_json::from_value(item).expect("a database");
    InCluster::new("story", "learning", &item, item.in_cluster.as_ref().expect("in the cluster"))
}

fn known() -> Record {
    let words = [(SYSTEM_IDENTIFIER, "739"), (TIMELINE, "2"), (VERSION, "17"), (SINCE, "2026-11-01T00:00:00Z")];
    words.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// One that was asked for at an hour of the day.
fn snapshot(day: u8, status: &Value) -> Snapshot {
    let object = json!({
        "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "status": status,
        "metadata": {
            "name": format!("s-{day}"), "creationTimestamp": format!("2026-11-{day:02}T03:00:01Z"),
            "annotations": {DUE: format!("2026-11-{day:02}T03:00:00Z"), SYSTEM: "739"},
        },
    });
    Snapshot::of(&serde_json::from_value(object).expect("an object")).expect("a snapshot")
}

fn ready(day: u8) -> Snapshot {
    snapshot(
        day,
        &json!({"readyToUse": true, "restoreSize": "1Gi", "creationTime": format!("2026-11-{day:02}T03:00:02Z")}),
    )
}

fn failed(day: u8) -> Snapshot {
    snapshot(day, &json!({"readyToUse": false, "error": {"message": "no such class"}}))
}

fn pending(day: u8) -> Snapshot {
    snapshot(day, &json!({"readyToUse": false}))
}

#[test]
fn each_time_is_due_once_and_missed_ones_are_not_made_up_for() {
    let database = database(json!({}));
    let spec = wished(&database).expect("a wish");
    let last = |time: &str| Some((LAST.to_owned(), time.to_owned()));
    for (taken, snapshots, now, expected) in [
        (None, vec![], "2026-11-01T02:59:59Z", None),
        (None, vec![], "2026-11-01T03:00:00Z", Some("2026-11-01T03:00:00Z")),
        (None, vec![], "2026-11-01T12:00:00Z", Some("2026-11-01T03:00:00Z")),
        (last("2026-11-01T03:00:00Z"), vec![ready(1)], "2026-11-01T12:00:00Z", None),
        // Deleted by somebody it does not come back.
        (last("2026-11-01T03:00:00Z"), vec![], "2026-11-01T12:00:00Z", None),
        (last("2026-11-01T03:00:00Z"), vec![ready(1)], "2026-11-05T12:00:00Z", Some("2026-11-05T03:00:00Z")),
        (
            last("2026-11-02T03:00:00Z"),
            vec![failed(2), failed(1)],
            "2026-11-03T03:00:00Z",
            Some("2026-11-03T03:00:00Z"),
        ),
        (last("2026-11-03T03:00:00Z"), vec![failed(3), pending(2), failed(1)], "2026-11-04T03:00:00Z", None),
    ] {
        let mut record = known();
        record.extend(taken);
        assert_eq!(due(spec, &record, &snapshots, at(now)), expected.map(at), "{record:?} at {now}");
    }
    assert_eq!(due(spec, &Record::new(), &[], at("2026-11-01T12:00:00Z")), None, "nobody has asked for it before now");
    assert_eq!(next(spec, at("2026-11-01T12:00:00Z")), Some(at("2026-11-02T03:00:00Z")));
}

#[test]
fn what_is_known_begins_with_the_wish_and_follows_the_newest() {
    let mut record = Record::new();
    keep(&mut record, &[], Some(17), at("2026-11-01T00:00:00.7Z"));
    keep(&mut record, &[ready(2), ready(1)], None, at("2026-11-03T00:00:00Z"));
    keep(&mut record, &[ready(1)], None, at("2026-11-03T00:00:00Z"));
    let expected = [(LAST, "2026-11-02T03:00:00Z"), (SINCE, "2026-11-01T00:00:00Z"), (VERSION, "17")];
    assert_eq!(record.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        expected
    });
    forget(&mut record);
    assert_eq!(record, Record::new());
}

#[test]
fn only_what_newer_ready_ones_make_up_for_goes_the_oldest_first() {
    for (snapshots, keep, goes) in [
        (vec![ready(2), ready(1)], 2, vec![]),
        (vec![ready(4), ready(3), ready(2), ready(1)], 2, vec!["s-1", "s-2"]),
        // Those that are not ready count for none, and keep none from being kept.
        (vec![pending(4), failed(3), ready(2), ready(1)], 2, vec![]),
        (vec![failed(3), ready(2), ready(1)], 1, vec!["s-1"]),
        // What failed goes as soon as there is a newer one, what is under way only as a ready one would.
        (vec![ready(3), failed(2), pending(1)], 2, vec!["s-2"]),
        (vec![ready(4), ready(3), pending(2), failed(1)], 2, vec!["s-1", "s-2"]),
        (vec![failed(3), failed(2), failed(1)], 1, vec![]),
    ] {
        let found: Vec<&str> = expired(&snapshots, keep).iter().map(|snapshot| snapshot.name.as_str()).collect();
        assert_eq!(found, goes, "{snapshots:?}");
    }
}

fn children(objects: &[DynamicObject]) -> Children {
    Children(objects.iter().map(|object| (ObjectId::of(object).expect("a kind"), object.clone())).collect())
}

/// As the API server has it: with a time, and with what its driver says.
fn live(mut object: DynamicObject, time: &str, status: Value) -> DynamicObject {
    object.metadata.creation_timestamp = Some(serde_json::from_value(json!(time)).expect("a time"));
    object.data["status"] = status;
    object
}

fn seen() -> SeenServer {
    let record = postgres::Record { system_identifier: "739".into(), timeline: 2 };
    let view = DatabaseView { record: Some(record), major: Some(17), ..DatabaseView::default() };
    SeenServer { view: Some(Arc::new(view)), claim: Some("pvc-1".into()), ..SeenServer::default() }
}

#[test]
fn the_snapshot_of_a_time_says_whose_it_is_and_belongs_to_nobody() {
    let database = database(json!({"backup": {
        "method": "VolumeSnapshot", "schedule": {"cron": "0 3 * * *"}, "volumeSnapshotClass": "fast",
    }}));
    let server = &database.servers[0];
    let none = children(&[]);
    let made = |seen: &SeenServer, served: Served| {
        let now = at("2026-11-02T03:00:05Z");
        let built = objects(&database, server, seen, (&none, &known()), served, now);
        built
            .into_iter()
            .map(|object| serde_json::to_value(object.expect("an object")).expect("JSON"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        made(&seen(), Served::ALL),
        [json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {
                "name": "story-main-20261102t030000z",
                "labels": {
                    "app.kubernetes.io/name": "main", "app.kubernetes.io/instance": "story", "app.kubernetes.io/component": "main",
                    "app.kubernetes.io/part-of": "story", "app.kubernetes.io/managed-by": "learningplatform",
                    "learningplatform.dev/tier": "database", "learningplatform.dev/shard": "0", "learningplatform.dev/retained": "true",
                },
                "annotations": {
                    DUE: "2026-11-02T03:00:00Z", SYSTEM: "739", OF_TIMELINE: "2", MAJOR: "17",
                },
            },
            "spec": {"volumeSnapshotClassName": "fast", "source": {"persistentVolumeClaimName": "data-story-main-pg-0"}},
        })]
    );
    // Only of a primary that has answered, with a volume, and where there is such a thing.
    let silent = SeenServer { view: None, ..seen() };
    let stranger = SeenServer { view: Some(Arc::default()), ..seen() };
    let unbound = SeenServer { claim: Some(String::new()), ..seen() };
    let gone = SeenServer { claim: None, ..seen() };
    for seen in [silent, stranger, unbound, gone] {
        assert_eq!(made(&seen, Served::ALL), Vec::<Value>::new(), "{seen:?}");
    }
    assert_eq!(made(&seen(), Served { volume_snapshot: false, ..Served::ALL }), Vec::<Value>::new());
}

#[test]
fn those_that_are_there_follow_the_policy_and_only_the_databases_own_go() {
    let retained = database(json!({}));
    let server = &retained.servers[0];
    let record = known();
    let one = |day: u8, system: &str| {
        let mut record = record.clone();
        record.insert(SYSTEM_IDENTIFIER.to_owned(), system.to_owned());
        let due = at(&format!("2026-11-{day:02}T03:00:00Z"));
        let made = object(&retained, server, &record, due, Some(due)).expect("an object");
        let mut made = live(made, &format!("2026-11-{day:02}T03:00:01Z"), json!({"readyToUse": true}));
        made.data["spec"]["volumeSnapshotClassName"] = json!("filled-in");
        made
    };
    let mut going = one(4, "739");
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    let mut of_another_item = one(5, "739");
    of_another_item.labels_mut().insert("app.kubernetes.io/component".into(), "other".into());
    of_another_item.metadata.name = Some("other".into());
    let record_map = record::config_map(&retained.identity, "story-main", Default::default(), &record).expect("a map");
    let all = children(&[
        one(1, "739"),
        one(2, "1"),
        one(3, "739"),
        one(6, "739"),
        one(7, "739"),
        going,
        of_another_item,
        record_map,
    ]);
    let names = |objects: Vec<&DynamicObject>| objects.iter().map(|object| object.name_any()).collect::<Vec<_>>();
    assert_eq!(
        names(surplus(&all, &retained, server)),
        ["story-main-20261101t030000z", "story-main-20261103t030000z"],
        "two are kept; one of other data under the same name is not counted"
    );
    let unwished = database(json!({"backup": null, "deletionPolicy": "Delete"}));
    assert_eq!(
        names(surplus(&all, &unwished, server)),
        Vec::<String>::new(),
        "who stops asking for more keeps what there is"
    );

    let now = at("2026-11-07T12:00:00Z");
    let mut taken = record.clone();
    taken.insert(LAST.to_owned(), "2026-11-07T03:00:00Z".to_owned());
    for (database, retained, expected) in [(&retained, true, 3), (&unwished, false, 5)] {
        let built = objects(database, server, &seen(), (&all, &taken), Served::ALL, now);
        let built: Vec<DynamicObject> = built.into_iter().map(|object| object.expect("an object")).collect();
        assert_eq!(built.len(), expected, "{:?}", names(built.iter().collect()));
        for object in &built {
            assert_eq!(
                object.labels().contains_key("learningplatform.dev/retained"),
                retained,
                "it goes with the platform or not"
            );
            assert_eq!(object.data["spec"]["volumeSnapshotClassName"], "filled-in", "what was filled in stays");
            assert!(object.annotations().contains_key(SYSTEM) && object.data.get("status").is_none());
        }
    }
    assert!(deletion(&retained, &[]).is_some_and(|words| words.contains("stay")));
    assert_eq!(deletion(&unwished, &[]), None);
    let has = SeenServer { backup: super::super::Seen { snapshots: vec![ready(1)], ..Default::default() }, ..seen() };
    assert!(deletion(&unwished, &[has]).is_some_and(|words| words.contains("are deleted with it")));
}

#[test]
fn the_condition_says_what_is_wrong_first() {
    let database = database(json!({}));
    let spec = wished(&database).expect("a wish");
    let asked = |minute: u8, status: &Value| Snapshot {
        asked: at(&format!("2026-11-04T03:{minute:02}:00Z")),
        heard: !status.is_null(),
        ..snapshot(4, status)
    };
    for (served, snapshots, now, state, reason, words) in [
        (
            false,
            vec![ready(3)],
            "2026-11-03T12:00:00Z",
            State::False,
            Reason::NotFound,
            "install the CSI snapshot definitions",
        ),
        (true, vec![], "2026-11-01T12:00:00Z", State::Unknown, Reason::Progressing, "no backup has been taken yet"),
        (true, vec![pending(1)], "2026-11-01T12:00:00Z", State::Unknown, Reason::Progressing, "s-1 is being taken"),
        (true, vec![], "2026-11-02T04:00:01Z", State::False, Reason::BackupOverdue, "of a primary that answers"),
        (true, vec![failed(4), ready(3)], "2026-11-04T04:00:00Z", State::False, Reason::BackupFailed, "no such class"),
        (
            true,
            vec![asked(0, &Value::Null)],
            "2026-11-04T03:05:01Z",
            State::False,
            Reason::BackupFailed,
            "snapshot controller",
        ),
        (
            true,
            vec![asked(0, &Value::Null), ready(3)],
            "2026-11-04T03:05:00Z",
            State::True,
            Reason::BackupsNotOffCluster,
            "s-3",
        ),
        (
            true,
            vec![ready(4), failed(3)],
            "2026-11-04T04:00:00Z",
            State::True,
            Reason::BackupsNotOffCluster,
            "1 are kept",
        ),
        (
            true,
            vec![pending(4), ready(2)],
            "2026-11-04T04:00:02Z",
            State::False,
            Reason::BackupOverdue,
            "not finished s-4",
        ),
    ] {
        let (status, verdict) = told(spec, &database.servers[0], &known(), (served, &snapshots), at(now));
        assert_eq!((verdict.state, verdict.reason), (state, reason), "{snapshots:?}: {}", verdict.message);
        assert!(verdict.message.contains(words), "{}", verdict.message);
        assert_eq!(status.claim, "data-story-main-pg-0");
    }
    let (status, _) =
        told(spec, &database.servers[0], &known(), (true, &[pending(4), ready(3)]), at("2026-11-04T04:00:00Z"));
    let expected = StoredBackup {
        name: "s-3".into(),
        ended: "2026-11-03T03:00:02Z".into(),
        bytes: 1 << 30,
        method: Some(BackupMethod::VolumeSnapshot),
    };
    assert_eq!((status.backups, status.next.as_deref()), (vec![expected], Some("2026-11-05T03:00:00Z")));
}

#[test]
fn a_volume_is_made_only_of_a_snapshot_that_is_ready() {
    let object = |status: Value| -> DynamicObject {
        let metadata = json!({"name": "night", "creationTimestamp": "2026-11-04T03:00:00Z"});
        serde_json::from_value(json!({"metadata": metadata, "status": status})).expect("an object")
    };
    let found = |status: Value| source("night", Some(Ok(Some(object(status)))));
    let expected = Source { name: "night".into(), bytes: Some(3 << 30) };
    assert_eq!(found(json!({"readyToUse": true, "restoreSize": "3Gi"})), Ok(expected));
    for (found, words) in [
        (found(json!({"readyToUse": false})), "its driver has not finished it"),
        (found(json!({"readyToUse": false, "error": {"message": "quota"}})), "is not ready: quota"),
        (found(Value::Null), "its driver has not finished it"),
        (source("night", Some(Ok(None))), "does not exist in this namespace"),
        (source("night", Some(Err("no answer".to_owned()))), "cannot be read: no answer"),
        (source("night", None), "the cluster does not serve snapshot.storage.k8s.io/v1"),
    ] {
        let error = found.expect_err("a lack");
        assert!(error.contains(words) && error.contains("night"), "{error}");
    }
    assert_eq!(made_of("night", "data-story-main-pg-0", Some("night")), Ok(()));
    for other in [None, Some("morning")] {
        let error = made_of("night", "data-story-main-pg-0", other).expect_err("a lack");
        assert!(error.contains("the claim data-story-main-pg-0 is there"), "{error}");
    }
}
