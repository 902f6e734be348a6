//! Backups by the Barman Cloud plugin.

use super::*;
use crate::tiers::{Tier, database::Databases};
use backup::{PLUGIN, UNKNOWN_PLUGIN};
use jiff::Timestamp;

const NOW: &str = "2026-11-02T05:00:00Z";

fn wish() -> Value {
    json!({ "schedule": { "cron": "0 3 * * *" }, "retention": "30d", "s3": { "bucket": "school", "region": "eu-central-1" },
        "resources": { "limits": { "memory": "256Mi" } } })
}

fn origin() -> Value {
    json!({ "s3": { "bucket": "old", "prefix": "a/b", "endpoint": "http://s3:9000", "credentialsSecret": { "name": "s3" } },
        "cluster": "story-old-pg", "targetTime": "2026-11-02T09:00:00+01:00" })
}

fn backed_up() -> CloudNativePg {
    item(&json!({ "backup": wish() }))
}

fn look_at(item: &CloudNativePg, objects: &[DynamicObject], served: Served) -> Seen {
    look(&children(objects), item, &LeftBehind::default(), served)
}

fn named(kind: Kind, name: &str, fields: Value) -> DynamicObject {
    let mut object = fields;
    object["metadata"] = json!({
        "name": name, "namespace": "learning", "labels": live(&json!({})).metadata.labels,
        "creationTimestamp": "2026-11-01T12:00:00Z",
    });
    kind.object(&object).unwrap()
}

fn store(window: Value) -> DynamicObject {
    named(
        Kind::BarmanObjectStore,
        "story-main-pg",
        json!({ "status": { "serverRecoveryWindow": { "story-main-pg": window } } }),
    )
}

fn schedule() -> DynamicObject {
    named(Kind::CloudNativePgScheduledBackup, "story-main-pg", json!({}))
}

fn with_condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    let mut good = good();
    let condition = json!({ "type": type_, "status": status, "reason": reason, "message": message });
    good["conditions"].as_array_mut().unwrap().push(condition);
    good
}

#[test]
fn what_is_told_is_what_the_plugin_and_cloud_native_pg_say() {
    let none = || store(Value::Null);
    let last = |time: &str| {
        store(json!({ "lastSuccessfulBackupTime": time, "firstRecoverabilityPoint": "2026-10-03T03:00:00Z" }))
    };
    let recent = || last("2026-11-02T03:00:09Z");
    let failing = |message: &str| with_condition("ContinuousArchiving", "False", "ContinuousArchivingFailing", message);
    let without = Served { barman_cloud: false, ..Served::ALL };
    let mut unknown = good();
    unknown["phase"] = json!(UNKNOWN_PLUGIN);
    let failed_later = store(json!({
        "lastSuccessfulBackupTime": "2026-11-01T03:00:09Z", "lastFailedBackupTime": "2026-11-02T03:00:09Z",
    }));
    for (name, status, stored, served, state, reason, part) in [
        ("new", good(), none(), Served::ALL, State::Unknown, Reason::Progressing, "no backup has been taken yet"),
        ("good", good(), recent(), Served::ALL, State::True, Reason::Succeeded, "any time since 2026-10-03T03:00:00Z"),
        (
            "no API",
            good(),
            recent(),
            without,
            State::False,
            Reason::NotFound,
            "does not serve barmancloud.cnpg.io/v1: install",
        ),
        ("no plugin", unknown, recent(), Served::ALL, State::False, Reason::NotFound, "knows no plugin barman-cloud"),
        ("no archive", failing("no bucket"), recent(), Served::ALL, State::False, Reason::BackupFailed, "(no bucket)"),
        (
            "archive",
            with_condition("ContinuousArchiving", "True", "", ""),
            recent(),
            Served::ALL,
            State::True,
            Reason::Succeeded,
            "s3://school/learning/story-main-pg",
        ),
        (
            "failed",
            with_condition("LastBackupSucceeded", "False", "LastBackupFailed", "exit 4"),
            recent(),
            Served::ALL,
            State::False,
            Reason::BackupFailed,
            "failed (exit 4)",
        ),
        (
            "under way",
            with_condition("LastBackupSucceeded", "False", "BackupStarted", "New Backup starting up"),
            recent(),
            Served::ALL,
            State::True,
            Reason::Succeeded,
            "2026-11-02T03:00:09Z",
        ),
        (
            "failed since",
            good(),
            failed_later,
            Served::ALL,
            State::False,
            Reason::BackupFailed,
            "the last backup failed:",
        ),
        (
            "overdue",
            good(),
            last("2026-10-31T02:00:00Z"),
            Served::ALL,
            State::False,
            Reason::BackupOverdue,
            "complete at 2026-10-31T02:00:00Z: two intervals",
        ),
    ] {
        let item = backed_up();
        let seen = look_at(&item, &[live(&status), stored, schedule()], served);
        let (window, verdict) = backup::told(&item, &seen.backup, NOW.parse().unwrap()).unwrap();
        assert_eq!((verdict.state, verdict.reason), (state, reason), "{name}: {}", verdict.message);
        assert!(verdict.message.contains(part), "{name}: {}", verdict.message);
        assert_eq!(window.next.as_deref(), Some("2026-11-03T03:00:00Z"), "{name}");
    }
    let mut succeeded = with_condition("LastBackupSucceeded", "True", "LastBackupSucceeded", "");
    succeeded["conditions"][1]["lastTransitionTime"] = json!("2026-11-02T04:00:00Z");
    for stored in [none(), recent()] {
        let seen = look_at(&backed_up(), &[live(&succeeded), stored, schedule()], Served::ALL);
        let last = seen.backup.reported.last.map(|last| last.to_string());
        assert_eq!(last.as_deref(), Some("2026-11-02T04:00:00Z"), "before the plugin says so");
    }
    let never = |now: &str| {
        let seen = look_at(&backed_up(), &[live(&good()), none(), schedule()], Served::ALL);
        backup::told(&backed_up(), &seen.backup, now.parse().unwrap()).unwrap().1.reason
    };
    assert_eq!(never("2026-11-03T03:59:00Z"), Reason::Progressing);
    assert_eq!(never("2026-11-03T04:01:00Z"), Reason::BackupOverdue, "never one since it was asked for");
    assert!(backup::told(&item(&json!({})), &backup::Seen::default(), Timestamp::UNIX_EPOCH).is_none());
}

#[test]
fn a_cluster_names_the_plugin_only_once_its_api_is_there_and_goes_on_naming_it() {
    let without = Served { barman_cloud: false, ..Served::ALL };
    let mut naming = live(&good());
    naming.data["spec"]["plugins"] = json!([{ "name": PLUGIN }]);
    let made = |item: &CloudNativePg, objects: &[DynamicObject], served: Served| {
        let objects = objects::objects(item, &look_at(item, objects, served));
        let objects: Vec<DynamicObject> = objects.into_iter().map(Result::unwrap).collect();
        let cluster = objects.iter().find(|object| Kind::of(object) == Some(CloudNativePgCluster)).unwrap();
        let kinds: Vec<Kind> = objects.iter().filter_map(Kind::of).collect();
        (cluster.data["spec"]["plugins"].is_array(), kinds)
    };
    use Kind::{BarmanObjectStore, CloudNativePgCluster, CloudNativePgScheduledBackup, ConfigMap, NetworkPolicy};
    let plain = vec![CloudNativePgCluster, ConfigMap, NetworkPolicy];
    let all = vec![BarmanObjectStore, CloudNativePgCluster, ConfigMap, NetworkPolicy, CloudNativePgScheduledBackup];
    for (name, item, objects, served, expected) in [
        ("none wished", item(&json!({})), vec![], Served::ALL, (false, plain.clone())),
        ("no longer wished", item(&json!({})), vec![naming.clone()], Served::ALL, (false, plain.clone())),
        ("wished", backed_up(), vec![], Served::ALL, (true, all.clone())),
        ("wished of one that is there", backed_up(), vec![live(&good())], Served::ALL, (true, all.clone())),
        ("without the API", backed_up(), vec![live(&good())], without, (false, plain)),
        ("with the API gone", backed_up(), vec![naming], without, (true, all[1..].to_vec())),
    ] {
        assert_eq!(made(&item, &objects, served), expected, "{name}");
    }
}

#[test]
fn what_is_made_says_where_the_backups_go_and_when() {
    let wish = json!({ "backup": wish(), "restoreFrom": origin() });
    let made = objects::objects(&item(&wish), &look_at(&item(&wish), &[], Served::ALL));
    let made: Vec<DynamicObject> = made.into_iter().map(Result::unwrap).collect();
    let [own, from, cluster, .., schedule] = &made[..] else { panic!("{made:?}") };
    assert_eq!(
        own.data["spec"],
        json!({
            "retentionPolicy": "30d",
            "configuration": {
                "destinationPath": "s3://school/learning", "s3Credentials": { "inheritFromIAMRole": true },
                "wal": { "compression": "gzip" }, "data": { "compression": "gzip" },
            },
            "instanceSidecarConfiguration": {
                "env": [{ "name": "AWS_DEFAULT_REGION", "value": "eu-central-1" }],
                "resources": { "limits": { "memory": "256Mi" } },
            },
        })
    );
    assert_eq!(from.name_any(), "story-main-pg-origin");
    let configuration = &from.data["spec"]["configuration"];
    assert_eq!(
        (&configuration["destinationPath"], &configuration["endpointURL"]),
        (&json!("s3://old/a/b"), &json!("http://s3:9000"))
    );
    assert_eq!(
        configuration["s3Credentials"]["secretAccessKey"],
        json!({ "name": "s3", "key": "AWS_SECRET_ACCESS_KEY" })
    );
    assert_eq!(from.data["spec"]["instanceSidecarConfiguration"]["env"][0]["value"], "when_required");
    assert_eq!(
        cluster.data["spec"]["bootstrap"],
        json!({ "recovery": {
            "source": "origin", "database": "app", "owner": "app", "recoveryTarget": { "targetTime": "2026-11-02T08:00:00Z" },
        } })
    );
    let parameters = json!({ "barmanObjectName": "story-main-pg-origin", "serverName": "story-old-pg" });
    assert_eq!(
        cluster.data["spec"]["externalClusters"],
        json!([{ "name": "origin", "plugin": { "name": PLUGIN, "parameters": parameters } }])
    );
    let parameters = json!({ "barmanObjectName": "story-main-pg", "serverName": "story-main-pg" });
    assert_eq!(
        cluster.data["spec"]["plugins"],
        json!([{ "name": PLUGIN, "isWALArchiver": true, "parameters": parameters }])
    );
    assert_eq!(schedule.data["spec"]["schedule"], "0 0 3 * * *", "seconds first");
    for object in [own, from, cluster, schedule] {
        assert!(object.labels().contains_key(RETAINED), "the log of a Cluster that stays has to go somewhere");
    }
}

#[test]
fn nothing_is_restored_over_data_nor_an_empty_database_made_in_its_place() {
    let wish = item(&json!({ "restoreFrom": origin() }));
    let without = Served { barman_cloud: false, ..Served::ALL };
    let mut made_of_it = live(&good());
    made_of_it.data["spec"]["bootstrap"] = json!({ "recovery": { "source": "origin" } });
    let bootstrap = |objects: &[DynamicObject], served: Served| {
        let seen = look_at(&wish, objects, served);
        let objects = objects::objects(&wish, &seen);
        let cluster = objects.into_iter().map(Result::unwrap).find(|o| Kind::of(o) == Some(Kind::CloudNativePgCluster));
        let bootstrap = cluster.map(|cluster| cluster.data["spec"]["bootstrap"].clone());
        let how = bootstrap.map(|bootstrap| bootstrap.as_object().unwrap().keys().next().unwrap().clone());
        (how, seen.held.map(|(reason, _)| reason))
    };
    let recorded = recorded(&json!({ "RUNNER": "cloudNativePG", "SYSTEM_IDENTIFIER": "739" }));
    for (name, objects, served, expected) in [
        ("new", vec![], Served::ALL, (Some("recovery"), None)),
        ("new, without the plugin", vec![], without, (None, Some(Reason::NotFound))),
        ("made of it", vec![made_of_it.clone()], Served::ALL, (Some("recovery"), None)),
        ("with data", vec![live(&good())], Served::ALL, (Some("initdb"), None)),
        ("with data, without the plugin", vec![live(&good())], without, (Some("initdb"), None)),
        ("lost", vec![recorded], Served::ALL, (None, Some(Reason::DataMissing))),
    ] {
        let (how, held) = bootstrap(&objects, served);
        assert_eq!((how.as_deref(), held), expected, "{name}");
    }
}

#[test]
fn what_a_cluster_refers_to_goes_only_where_its_item_says_so() {
    let objects = [live(&good()), store(Value::Null), schedule()];
    let kept = |databases: Value, abandon: Value| {
        let lp = platform(&databases, &abandon).unwrap();
        let left = database::left_behind(&lp, &children(&objects));
        let mut seen = database::Observed { left, served: Served::ALL, ..database::Observed::default() };
        for item in &lp.databases {
            if let Provider::CloudNativePg(item) = &item.provider {
                seen.cloud_native_pg.insert(item.name.clone(), look_at(item, &objects, Served::ALL));
            }
        }
        Databases.kept(&lp, &seen, &children(&objects)).into_iter().map(|id| id.kind).collect::<BTreeSet<_>>()
    };
    let cluster = BTreeSet::from([Kind::CloudNativePgCluster]);
    let all = BTreeSet::from([Kind::CloudNativePgCluster, Kind::BarmanObjectStore, Kind::CloudNativePgScheduledBackup]);
    assert_eq!(kept(json!([spec(&json!({}))]), json!([])), cluster, "backups are no longer wished");
    assert_eq!(kept(json!([]), json!([])), all, "the item is gone by mistake");
    assert_eq!(kept(json!([]), json!(["main"])), all, "abandoned, the Cluster runs on");
}

#[test]
fn wishes_that_cannot_be_are_refused() {
    let refused = |changes: Value| platform(&json!([spec(&changes)]), &json!([])).unwrap_err().to_string();
    let mut backwards = wish();
    backwards["schedule"]["cron"] = json!("0 5-3 * * *");
    assert!(refused(json!({ "backup": backwards })).contains("cloudNativePG.backup.schedule.cron"));
    let mut same = origin();
    same["cluster"] = json!("story-main-pg");
    let into = |prefix: &str, endpoint: &str| {
        let mut wish = wish();
        wish["s3"] = json!({ "bucket": "old", "prefix": prefix, "endpoint": endpoint });
        json!({ "backup": wish, "restoreFrom": same })
    };
    assert!(refused(into("a/b", "http://s3:9000/")).contains("choose another prefix"));
    platform(&json!([spec(&into("a/c", "http://s3:9000"))]), &json!([])).unwrap();
    platform(&json!([spec(&into("a/b", "http://other:9000"))]), &json!([])).unwrap();
}
