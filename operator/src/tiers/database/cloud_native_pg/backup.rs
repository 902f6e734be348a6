//! Backups of a database that CloudNativePG runs, by its Barman Cloud plugin: what is made for them, seen of them, and told.
//!
//! CloudNativePG stops looking after a `Cluster` that names a plugin which it does not know. So a `Cluster` names it only once the
//! plugin's API is there; and it goes on naming it when the API cannot be found for a while, because its pods are replaced when
//! that changes.

use super::{CloudNativePg, Seen as Database};
use crate::{
    capabilities::Served,
    conditions::{State, Verdict},
    kinds::Kind,
    tiers::{
        Children,
        database::in_cluster::backup::cron::{self, Cron},
        store::pods,
    },
    validate::Problem,
};
use crds::{
    status::{BackupWindow, ConditionType, Reason},
    tiers::cloud_native_pg_backup::{BackupBucket, CloudNativePgBackup, CloudNativePgRestore},
};
use jiff::{Timestamp, tz::TimeZone};
use kube::core::DynamicObject;
use serde_json::{Value, json};

type Built = Result<DynamicObject, serde_json::Error>;

/// The plugin, as CloudNativePG calls it.
pub const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// The phase of a `Cluster` with a plugin that CloudNativePG does not know (`PhaseUnknownPlugin` in its `api/v1`).
pub const UNKNOWN_PLUGIN: &str = "Cluster cannot proceed to reconciliation due to an unknown plugin being required";
/// How the `Cluster` calls the one whose backups it is made of.
const ORIGIN: &str = "origin";
/// What there is to do where the plugin is missing.
const INSTALL: &str = "install CloudNativePG's Barman Cloud plugin (plugin-barman-cloud) beside its operator";

/// What a pass has seen of the backups of a database.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether the cluster serves the plugin's API.
    pub served: bool,
    /// Whether the `Cluster` names the plugin already.
    pub named: bool,
    /// Whether the `Cluster` is, or is to be, made of backups.
    pub restores: bool,
    /// What the plugin says of them, and CloudNativePG.
    pub reported: Reported,
}

/// What is told by the status of the `ObjectStore`, the `ScheduledBackup` and the `Cluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The earliest time that can be restored.
    pub restorable_since: Option<Timestamp>,
    /// When the last backup was complete.
    pub last: Option<Timestamp>,
    /// When one failed the last time.
    pub last_failed: Option<Timestamp>,
    /// Why the last one failed; None where it did not.
    pub failure: Option<String>,
    /// Whether the log is archived, or why not; None before its first file.
    pub archiving: Option<Result<(), String>>,
    /// Since when backups are asked for.
    pub since: Option<Timestamp>,
    /// Whether CloudNativePG knows no such plugin.
    pub unknown_plugin: bool,
}

/// What there is of the backups of a database. Pure.
pub fn look(children: &Children, database: &CloudNativePg, served: Served) -> Seen {
    let live = children.get(Kind::CloudNativePgCluster, &database.cluster);
    let recovers = |live: &DynamicObject| live.data.pointer("/spec/bootstrap/recovery").is_some();
    let mut plugins = live.and_then(|live| live.data["spec"]["plugins"].as_array()).into_iter().flatten();
    Seen {
        served: served.barman_cloud,
        named: plugins.any(|plugin| plugin["name"] == PLUGIN),
        restores: database.spec.restore_from.is_some() && live.is_none_or(recovers),
        reported: reported(children, database, live),
    }
}

fn reported(children: &Children, database: &CloudNativePg, live: Option<&DynamicObject>) -> Reported {
    let store = children.get(Kind::BarmanObjectStore, &database.cluster);
    let window = store.map(|store| &store.data["status"]["serverRecoveryWindow"][&database.cluster]);
    let time = |field: &str| window?[field].as_str()?.parse().ok();
    let conditions = live.and_then(|live| live.data["status"]["conditions"].as_array());
    let condition = |kind: &str| conditions?.iter().find(|condition| condition["type"] == kind);
    let words = |condition: &Value| condition["message"].as_str().unwrap_or_default().trim().to_owned();
    // Also false, for another reason, while one is being taken.
    let failed = condition("LastBackupSucceeded").filter(|condition| condition["reason"] == "LastBackupFailed");
    // The plugin writes its window once after a backup, and where that fails only half an hour later.
    let succeeded = condition("LastBackupSucceeded").filter(|condition| condition["status"] == "True");
    let succeeded = succeeded.and_then(|condition| condition["lastTransitionTime"].as_str()?.parse().ok());
    let archiving = condition("ContinuousArchiving").map(|condition| match condition["status"].as_str() {
        Some("False") => Err(words(condition)),
        _ => Ok(()),
    });
    let schedule = children.get(Kind::CloudNativePgScheduledBackup, &database.cluster);
    Reported {
        restorable_since: time("firstRecoverabilityPoint"),
        last: time("lastSuccessfulBackupTime").max(succeeded),
        last_failed: time("lastFailedBackupTime"),
        failure: failed.map(words),
        archiving,
        since: schedule.and_then(|schedule| Some(schedule.metadata.creation_timestamp.as_ref()?.0)),
        unknown_plugin: live.is_some_and(|live| live.data["status"]["phase"] == UNKNOWN_PLUGIN),
    }
}

/// Why a database that is to be made of backups cannot be: an empty one in its place would be taken for it.
pub fn hindrance(seen: &Seen) -> Option<(Reason, String)> {
    let missing = seen.restores && !seen.named && !seen.served;
    missing.then(|| {
        let api = Kind::BarmanObjectStore.resource().api_version;
        (Reason::NotFound, format!("it is to be made of backups, and the cluster does not serve {api}: {INSTALL}"))
    })
}

/// The backups, where they are asked for and the `Cluster` may name the plugin.
fn backup<'a>(database: &'a CloudNativePg, seen: &Seen) -> Option<&'a CloudNativePgBackup> {
    database.spec.backup.as_ref().filter(|_| seen.served || seen.named)
}

/// The backups that it is made of.
fn origin<'a>(database: &'a CloudNativePg, seen: &Seen) -> Option<&'a CloudNativePgRestore> {
    database.spec.restore_from.as_ref().filter(|_| seen.restores)
}

fn origin_store(database: &CloudNativePg) -> String {
    format!("{}-{ORIGIN}", database.cluster)
}

/// What the `Cluster` refers to: it comes before it.
pub fn stores(database: &CloudNativePg, seen: &Database) -> Vec<Built> {
    let seen = &seen.backup;
    // Where the API is gone there is nothing to write to, and what was written is still meant.
    let own = backup(database, seen).filter(|_| seen.served);
    let own = own.map(|spec| store(database, &database.cluster, &spec.s3, Some(spec)));
    let origin = origin(database, seen).filter(|_| seen.served);
    let origin = origin.map(|from| store(database, &origin_store(database), &from.s3, None));
    own.into_iter().chain(origin).collect()
}

fn store(database: &CloudNativePg, name: &str, bucket: &BackupBucket, spec: Option<&CloudNativePgBackup>) -> Built {
    let policy = database.spec.deletion_policy.unwrap_or_default();
    let resources = spec.and_then(|spec| spec.resources.as_ref());
    let credentials = match &bucket.credentials_secret {
        None => json!({ "inheritFromIAMRole": true }),
        Some(secret) => json!({
            "accessKeyId": {
                "name": secret.name, "key": secret.access_key_id(),
            },
            "secretAccessKey": {
                "name": secret.name, "key": secret.secret_access_key(),
            },
        }),
    };
    Kind::BarmanObjectStore.object(&json!({
        // As long as the Cluster stays its log has to go somewhere.
        "metadata": { "name": name, "labels": database.identity.data_labels(policy) },
        "spec": {
            "retentionPolicy": spec.and_then(|spec| spec.retention.as_deref()),
            "configuration": {
                "destinationPath": bucket.url(&database.namespace),
                "endpointURL": bucket.endpoint,
                "s3Credentials": credentials,
                "wal": { "compression": "gzip" },
                "data": { "compression": "gzip" },
            },
            "instanceSidecarConfiguration": { "env": environment(bucket), "resources": resources.map(pods::requirements) },
        },
    }))
}

/// The plugin's own field for the region reads it from a Secret. Servers other than AWS's often do not know the checksums that its
/// library sends by itself (the plugin's page on object stores).
fn environment(bucket: &BackupBucket) -> Value {
    let mut variables = Vec::new();
    if let Some(region) = &bucket.region {
        variables.push(json!({ "name": "AWS_DEFAULT_REGION", "value": region }));
    }
    if bucket.endpoint.is_some() {
        for name in ["AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"] {
            variables.push(json!({ "name": name, "value": "when_required" }));
        }
    }
    if variables.is_empty() { Value::Null } else { variables.into() }
}

/// When CloudNativePG backs it up: after it.
pub fn schedule(database: &CloudNativePg, seen: &Database) -> Option<Built> {
    let spec = backup(database, &seen.backup)?;
    let policy = database.spec.deletion_policy.unwrap_or_default();
    Some(Kind::CloudNativePgScheduledBackup.object(&json!({
        "metadata": { "name": database.cluster, "labels": database.identity.data_labels(policy) },
        "spec": {
            "cluster": { "name": database.cluster },
            "schedule": with_seconds(&spec.schedule.cron),
            "method": "plugin",
            "pluginConfiguration": { "name": PLUGIN },
            // One at once would come before the plugin is in the pods, and fail.
            "immediate": false,
            "suspend": false,
            // What tells of a backup goes when the backup does, by the plugin's hand.
            "backupOwnerReference": "none",
        },
    })))
}

/// As CloudNativePG reads it. Of five fields it takes the first for the seconds, without a word.
fn with_seconds(cron: &str) -> String {
    if cron.starts_with('@') { cron.to_lowercase() } else { format!("0 {cron}") }
}

/// `spec.plugins` of the `Cluster`.
pub fn plugins(database: &CloudNativePg, seen: &Seen) -> Value {
    let Some(_) = backup(database, seen) else { return Value::Null };
    json!([{ "name": PLUGIN, "isWALArchiver": true, "parameters": parameters(&database.cluster, &database.cluster) }])
}

fn parameters(store: &str, server: &str) -> Value {
    json!({ "barmanObjectName": store, "serverName": server })
}

/// `spec.externalClusters` of the `Cluster`.
pub fn external_clusters(database: &CloudNativePg, seen: &Seen) -> Value {
    let Some(from) = origin(database, seen) else { return Value::Null };
    let parameters = parameters(&origin_store(database), &from.cluster);
    json!([{ "name": ORIGIN, "plugin": { "name": PLUGIN, "parameters": parameters } }])
}

/// `spec.bootstrap` of the `Cluster`.
pub fn bootstrap(database: &CloudNativePg, seen: &Seen) -> Value {
    let name = database.database();
    match origin(database, seen) {
        None => json!({ "initdb": { "database": name, "owner": name, "dataChecksums": true } }),
        Some(from) => {
            let target = target_time(from).map(|time| json!({ "targetTime": time }));
            json!({ "recovery": { "source": ORIGIN, "database": name, "owner": name, "recoveryTarget": target } })
        }
    }
}

/// As of when a database is to be restored, in UTC.
fn target_time(from: &CloudNativePgRestore) -> Option<String> {
    Some(from.target_time.as_ref()?.parse::<Timestamp>().ok()?.to_string())
}

/// The backups of a database, and how they are; None where none are asked for.
pub fn told(database: &CloudNativePg, seen: &Seen, now: Timestamp) -> Option<(BackupWindow, Verdict)> {
    let spec = database.spec.backup.as_ref()?;
    let due = |after: Timestamp| Cron::parse(&spec.schedule.cron)?.next(after, &TimeZone::UTC);
    let Reported { archiving, restorable_since, last, .. } = &seen.reported;
    let window = BackupWindow {
        location: format!("{}/{}", spec.s3.url(&database.namespace), database.cluster),
        archiving: archiving.as_ref().map(Result::is_ok),
        restorable_since: restorable_since.map(|time| time.to_string()),
        last: last.map(|time| time.to_string()),
        next: due(now).map(|next| next.to_string()),
    };
    let verdict = verdict(database, seen, &window, now, due);
    Some((window, verdict))
}

fn verdict(
    database: &CloudNativePg,
    seen: &Seen,
    window: &BackupWindow,
    now: Timestamp,
    due: impl Fn(Timestamp) -> Option<Timestamp>,
) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::BackupReady, state, reason, message);
    let missing = |why: String| says(State::False, Reason::NotFound, format!("no backups are taken: {why}: {INSTALL}"));
    let (reported, cluster) = (&seen.reported, &database.cluster);
    if !seen.served {
        let api = Kind::BarmanObjectStore.resource().api_version;
        return missing(format!("the cluster does not serve {api}"));
    }
    if reported.unknown_plugin {
        let why =
            format!("CloudNativePG knows no plugin {PLUGIN}, and does not look after Cluster {cluster} without it");
        return missing(why);
    }
    if let Some(Err(why)) = &reported.archiving {
        let message = format!(
            "the log is not archived ({why}); the servers keep it meanwhile: look at the bucket, at its credentials, and at the logs \
             of container plugin-barman-cloud in the pod of the primary"
        );
        return says(State::False, Reason::BackupFailed, message);
    }
    let failed_last = reported.last_failed.is_some_and(|failed| reported.last.is_none_or(|last| last < failed));
    if let Some(why) = reported.failure.clone().or(failed_last.then(String::new)) {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let message = format!(
            "the last backup failed{why}: `kubectl describe backups.postgresql.cnpg.io -l cnpg.io/cluster={cluster}` says more"
        );
        return says(State::False, Reason::BackupFailed, message);
    }
    let since = reported.last.or(reported.since);
    if since.is_some_and(|since| cron::is_overdue(since, now, due)) {
        let last = window.last.as_ref().map_or("no backup has ever been complete".to_owned(), |last| {
            format!("the last backup was complete at {last}")
        });
        let message = format!("{last}: two intervals have passed; look at ScheduledBackup {cluster}");
        return says(State::False, Reason::BackupOverdue, message);
    }
    match &window.last {
        None => {
            let message = "no backup has been taken yet: `lpctl backup` takes one now";
            says(State::Unknown, Reason::Progressing, message.to_owned())
        }
        Some(last) => {
            let since = window
                .restorable_since
                .as_ref()
                .map(|since| format!("; it can be restored as of any time since {since}"));
            let message =
                format!("the last backup was complete at {last}, in {}{}", window.location, since.unwrap_or_default());
            says(State::True, Reason::Succeeded, message)
        }
    }
}

/// What is wrong with the wishes that admission cannot know.
pub fn check(path: &str, database: &CloudNativePg) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (backup, from) = (&database.spec.backup, &database.spec.restore_from);
    if backup.as_ref().is_some_and(|backup| Cron::parse(&backup.schedule.cron).is_none()) {
        let problem = "no cron expression of five fields, or a range that goes backwards: write it as 0 3 * * *";
        problems.push(Problem::new(format!("{path}.backup.schedule.cron"), problem));
    }
    let Some(from) = from else { return problems };
    if from.target_time.is_some() && target_time(from).is_none() {
        let problem = "no time with a zone: write it as 2026-11-02T08:00:00Z";
        problems.push(Problem::new(format!("{path}.restoreFrom.targetTime"), problem));
    }
    if from.cluster == database.cluster
        && backup.as_ref().is_some_and(|backup| backup.s3.is_same_folder(&from.s3, &database.namespace))
    {
        let problem = "what it is made of is there, and no second database may write beside it: choose another prefix for its own";
        problems.push(Problem::new(format!("{path}.backup.s3.prefix"), problem));
    }
    problems
}
