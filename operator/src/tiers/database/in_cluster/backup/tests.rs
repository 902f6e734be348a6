use super::*;
use crds::tiers::bucket::Bucket;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn due(after: Timestamp) -> Option<Timestamp> {
    Cron::parse("0 3 * * *")?.next(after, &TimeZone::UTC)
}

fn wished(backup: bool) -> InCluster {
    let mut item = json!({"name": "main", "inCluster": {"volume": {"storage": "1Gi"}}});
    if backup {
        item["inCluster"]["backup"] = json!({"schedule": {"cron": "0 3 * * *"}, "volume": {"storage": "2Gi"}});
    }
    let item: crds::tiers::database::Database = serde_json::from_value(item).expect("a database");
    InCluster::new("story", "learning", &item, item.in_cluster.as_ref().expect("in the cluster"))
}

fn logical() -> InCluster {
    let mut wish = wished(true);
    wish.spec.backup.as_mut().expect("a backup").method = Some(BackupMethod::Logical);
    wish
}

fn said(begun: &str, ended: &str) -> Seen {
    let words = json!({
        "last": {"name": "b", "begun": begun, "ended": ended, "bytes": 7, "start": "0/2000028"},
        "backups": [{"name": "b", "ended": ended, "bytes": 7}, {"name": "a", "ended": "2026-11-01T03:00:09Z", "bytes": 6}],
    });
    Seen { report: report(&words.to_string()), ..Seen::default() }
}

#[test]
fn what_a_run_has_said_is_kept_and_an_older_one_changes_nothing() {
    let (database, now) = (wished(true), at("2026-11-02T04:00:00.5Z"));
    let mut record = Record::new();
    keep(&database, &mut record, &said("2026-11-02T03:00:00Z", "2026-11-02T03:00:09Z"), (None, false), now);
    assert_eq!(kept(&record).iter().map(|backup| backup.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    let before = record.clone();
    keep(&database, &mut record, &said("2026-10-02T03:00:00Z", "2026-10-02T03:00:09Z"), (None, false), now);
    keep(&database, &mut record, &Seen::default(), (Some(ArchiveState::Streaming), false), now);
    assert_eq!(record, before);
    assert_eq!(report("BackupFailed: pg_basebackup: error"), None);
    keep(&wished(false), &mut record, &Seen::default(), (None, false), now);
    assert_eq!(record, Record::new());
}

#[test]
fn a_loss_of_log_is_recorded_once_and_made_up_for_by_a_backup_that_began_later() {
    let (database, now) = (wished(true), at("2026-11-02T04:00:00.5Z"));
    let mut record = Record::new();
    assert_eq!(archive(&database, Some(&record)), Archive::On);
    keep(&database, &mut record, &Seen::default(), (Some(ArchiveState::Lost), false), now);
    keep(&database, &mut record, &Seen::default(), (Some(ArchiveState::Lost), false), at("2026-11-02T05:00:00Z"));
    assert_eq!(record[LOG_LOST], "2026-11-02T04:00:00Z");
    assert_eq!(archive(&database, Some(&record)), Archive::Renewed);
    keep(&database, &mut record, &said("2026-11-02T03:59:00Z", "2026-11-02T04:10:00Z"), (None, false), now);
    assert!(record.contains_key(LOG_LOST), "it began before");
    keep(&database, &mut record, &said("2026-11-02T04:11:00Z", "2026-11-02T04:12:00Z"), (None, false), now);
    assert_eq!(archive(&database, Some(&record)), Archive::On);
    assert_eq!(archive(&wished(false), Some(&record)), Archive::Off);
    keep(&database, &mut record, &Seen::default(), (Some(ArchiveState::Streaming), true), now);
    assert!(record.contains_key(LOG_LOST), "the former primary's last log was not received");
}

#[test]
fn no_log_is_received_beside_dumps_and_none_is_missed() {
    let (database, now) = (logical(), at("2026-11-02T04:00:00Z"));
    let mut record = Record::from([(LOG_LOST.to_owned(), "2026-11-01T04:00:00Z".to_owned())]);
    assert_eq!(archive(&database, Some(&record)), Archive::Off, "its slot goes, and keeps no log");
    keep(&database, &mut record, &said("2026-11-02T03:00:00Z", "2026-11-02T03:00:09Z"), (None, true), now);
    assert!(!record.contains_key(LOG_LOST) && record.contains_key(BACKUPS), "{record:?}");
    let words = json!({
        "last": {"name": "b", "begun": "2026-11-02T03:00:00Z", "ended": "2026-11-02T03:00:09Z", "bytes": 7},
        "backups": [
            {"name": "b", "ended": "2026-11-02T03:00:09Z", "bytes": 7, "method": "Logical"},
            {"name": "a", "ended": "2026-11-01T03:00:09Z", "bytes": 6},
        ],
    });
    let methods: Vec<_> = report(&words.to_string()).expect("a report").backups.iter().map(|b| b.method).collect();
    assert_eq!(methods, [Some(BackupMethod::Logical), None]);
    let done = Seen { upload: Some(Upload::Done), ..Seen::default() };
    let status = BackupStatus {
        bucket: Some("s3://b/f".into()),
        backups: vec![StoredBackup { name: "b".into(), ended: "2026-11-02T03:00:09Z".into(), bytes: 7, method: None }],
        ..BackupStatus::default()
    };
    let message = |is_logical| verdict(&status, &done, is_logical, now, due).message;
    assert!(
        message(false).ends_with("with the log that follows") && !message(true).contains("log"),
        "{}",
        message(true)
    );
}

#[test]
fn the_pod_beside_dumps_brings_them_to_the_bucket_or_keeps_the_volume_where_it_is() {
    let containers = |database: &InCluster| -> Vec<String> {
        let built = objects::objects(database, &database.servers[0]).into_iter().next().expect("a set").expect("JSON");
        let names = built.data["spec"]["template"]["spec"]["containers"].as_array().expect("containers").clone();
        names.iter().map(|container| container["command"][1].as_str().expect("a script").to_owned()).collect()
    };
    let script = |name: &str| format!("/etc/learningplatform/postgres/{name}");
    let mut database = logical();
    assert_eq!(containers(&database), [script("hold.sh")]);
    let to_bucket = |database: &mut InCluster| {
        let bucket = Bucket { bucket: "b".into(), ..Bucket::default() };
        database.spec.backup.as_mut().expect("a backup").s3 = Some(bucket);
    };
    to_bucket(&mut database);
    assert_eq!(containers(&database), [script("upload.sh")]);
    let mut base = wished(true);
    to_bucket(&mut base);
    assert_eq!(containers(&base), [script("archive.sh"), script("upload.sh")]);
}

#[test]
fn the_condition_says_what_is_wrong_first() {
    let last = |ended: &str| StoredBackup { name: "b".into(), ended: ended.into(), bytes: 7, method: None };
    let now = at("2026-11-04T12:00:00Z");
    let trouble = Trouble { reason: Reason::Unschedulable, message: "no node".into() };
    let good = || BackupStatus { backups: vec![last("2026-11-04T03:00:09Z")], ..BackupStatus::default() };
    let failed = Some(("story-main-backup-1".to_owned(), "BackupFailed: x".to_owned()));
    let with_bucket = || BackupStatus { bucket: Some("s3://b/learning/story-main".into()), ..good() };
    let upload = |upload: Upload| Seen { upload: Some(upload), ..Seen::default() };
    let refused = Upload::Failed { last: Some("2026-11-04T03:00:00Z".into()), error: "AccessDenied".into() };
    let pulled = Trouble { reason: Reason::ImagePull, message: "container uploader: image x cannot be pulled".into() };
    for (status, seen, state, reason) in [
        (good(), Seen::default(), State::True, Reason::BackupsNotOffCluster),
        (good(), Seen { trouble: Some(trouble), ..Seen::default() }, State::False, Reason::BackupFailed),
        (good(), Seen { failed, ..Seen::default() }, State::False, Reason::BackupFailed),
        (with_bucket(), upload(Upload::Done), State::True, Reason::Succeeded),
        (with_bucket(), upload(Upload::UnderWay), State::Unknown, Reason::Progressing),
        (with_bucket(), Seen::default(), State::Unknown, Reason::Progressing),
        (with_bucket(), upload(refused), State::False, Reason::BackupFailed),
        (with_bucket(), Seen { trouble: Some(pulled), ..Seen::default() }, State::False, Reason::BackupFailed),
        (
            BackupStatus { log_lost: Some("2026-11-04T04:00:00Z".into()), ..good() },
            Seen::default(),
            State::False,
            Reason::BackupFailed,
        ),
        (BackupStatus::default(), Seen::default(), State::Unknown, Reason::Progressing),
        (
            BackupStatus::default(),
            Seen { since: Some(at("2026-11-01T00:00:00Z")), ..Seen::default() },
            State::False,
            Reason::BackupOverdue,
        ),
        // Two intervals and an hour.
        (
            BackupStatus { backups: vec![last("2026-11-03T02:59:00Z")], ..BackupStatus::default() },
            Seen::default(),
            State::False,
            Reason::BackupOverdue,
        ),
        (
            BackupStatus { backups: vec![last("2026-11-03T03:00:09Z")], ..BackupStatus::default() },
            Seen::default(),
            State::True,
            Reason::BackupsNotOffCluster,
        ),
    ] {
        let verdict = verdict(&status, &seen, false, now, due);
        assert_eq!((verdict.state, verdict.reason), (state, reason), "{status:?}: {}", verdict.message);
    }
}

#[test]
fn wishes_that_cannot_be_carried_out_are_refused() {
    let mut wish = wished(true);
    assert_eq!(check("p", &wish), []);
    wish.spec.backup.as_mut().expect("a backup").schedule.cron = "0 17-8 * * *".into();
    wish.spec.restore_from = Some(RestoreFrom {
        claim: Some("data-story-main-backup-0".into()),
        target_time: Some("2026-02-30T00:00:00Z".into()),
        ..RestoreFrom::default()
    });
    let fields: Vec<String> = check("p", &wish).into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["p.backup.schedule.cron", "p.restoreFrom.targetTime", "p.restoreFrom.claim"]);
    wish.spec.restore_from.as_mut().expect("a wish").target_time = Some("2026-11-02T09:00:00.25+01:00".into());
    let from = wish.spec.restore_from.as_ref().expect("a wish");
    assert_eq!(target_time(from).as_deref(), Some("2026-11-02T08:00:00.25Z"));

    // The folder that it is made of, and the one that its own backups would be brought to.
    let to =
        |prefix: Option<&str>| Bucket { bucket: "b".into(), prefix: prefix.map(str::to_owned), ..Bucket::default() };
    let mut wish = wished(true);
    wish.spec.restore_from = Some(RestoreFrom { s3: Some(to(Some("learning/story-main"))), ..RestoreFrom::default() });
    for (prefix, refused) in [(None, true), (Some("learning/story-main"), true), (Some("learning/again"), false)] {
        wish.spec.backup.as_mut().expect("a backup").s3 = Some(to(prefix));
        let fields: Vec<String> = check("p", &wish).into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, if refused { vec!["p.restoreFrom.s3.prefix"] } else { vec![] }, "{prefix:?}");
    }
}

#[test]
fn each_server_has_a_folder_of_its_own() {
    let folders = |shards: Option<i32>, prefix: Option<&str>| {
        let mut item = json!({"name": "main", "inCluster": {"volume": {"storage": "1Gi"}}});
        item["inCluster"]["shards"] = json!(shards);
        let item: crds::tiers::database::Database = serde_json::from_value(item).expect("a database");
        let wish = InCluster::new("story", "learning", &item, item.in_cluster.as_ref().expect("in the cluster"));
        let bucket = Bucket { bucket: "b".into(), prefix: prefix.map(str::to_owned), ..Bucket::default() };
        wish.servers.iter().map(|server| bucket::folder(&wish, server, &bucket)).collect::<Vec<_>>()
    };
    assert_eq!(folders(None, None), ["b/learning/story-main"]);
    assert_eq!(folders(None, Some("x/y")), ["b/x/y"]);
    assert_eq!(folders(Some(2), None), ["b/learning/story-main-0", "b/learning/story-main-1"]);
    assert_eq!(folders(Some(2), Some("x")), ["b/x/0", "b/x/1"]);
}

#[test]
fn a_pod_restores_only_as_long_as_there_are_no_data() {
    let mut wish = wished(false);
    wish.spec.restore_from =
        Some(RestoreFrom { claim: Some("data-story-old-backup-0".into()), ..RestoreFrom::default() });
    let paths = ("/volume", "/volume/data");
    let bare = || json!({"containers": [{"env": [], "volumeMounts": []}], "volumes": [], "affinity": {}});
    let mut pod = bare();
    objects::restore(&wish, &wish.servers[0], false, paths, &mut pod);
    let values: Vec<&str> = pod["containers"][0]["env"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|variable| variable["value"].as_str().expect("a text"))
        .collect();
    assert_eq!(values, ["/var/lib/learningplatform/backup", "latest", ""]);
    assert_eq!(pod["containers"][0]["volumeMounts"][0]["readOnly"], true);
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "data-story-old-backup-0");
    let near = &pod["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    let labels = &near["labelSelector"]["matchLabels"];
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], "story-old-backup-0");

    let mut pod = bare();
    objects::restore(&wish, &wish.servers[0], true, paths, &mut pod);
    assert_eq!(pod, bare());

    let bucket = Bucket { bucket: "b".into(), prefix: Some("x".into()), ..Bucket::default() };
    wish.spec.restore_from = Some(RestoreFrom { s3: Some(bucket), ..RestoreFrom::default() });
    objects::restore(&wish, &wish.servers[0], false, paths, &mut pod);
    assert_eq!(pod["containers"][0]["env"][0]["value"], "/volume/data.fetched");
    assert_eq!(pod["initContainers"][0]["env"][0]["value"], "lp:b/x");
    assert_eq!((&pod["volumes"], &pod["affinity"]), (&json!([]), &json!({})));
    let mut pod = bare();
    objects::restore(&wish, &wish.servers[0], true, paths, &mut pod);
    assert_eq!(pod, bare());
}
