//! Backups that are snapshots of the primary's volume: when one is due, what is made, seen and told of them, and which go. Pure.
//!
//! A snapshot of a volume is what a crash at that moment would leave on it. Data and log of a server are on one volume, so that it
//! can be recovered from as from a crash, without anything that the server would have to be told before or after.
//!
//! Each time at which one is due has one name, for good: a pass that is cut off or runs twice makes one snapshot. They belong to
//! nobody while their data are to outlive the platform, so that only what is said here ever deletes them.

use super::{
    super::{InCluster, SeenServer, Server, TIMELINE},
    cron, due_after, kept_of,
};
use crate::{
    capabilities::Served,
    conditions::{State, Verdict},
    kinds::Kind,
    tiers::{
        Children,
        store::{
            SHARD, made_for, pods,
            record::{Record, SYSTEM_IDENTIFIER},
            with,
        },
    },
};
use crds::{
    status::{BackupStatus, ConditionType, Reason, StoredBackup},
    tiers::backup::{Backup, BackupMethod},
};
use jiff::{Timestamp, ToSpan};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{ResourceExt, core::DynamicObject};
use serde_json::json;
use std::collections::BTreeMap;

type Built = Result<DynamicObject, serde_json::Error>;

/// Key of the record: since when snapshots are asked for. What was due before is nobody's wish.
pub const SINCE: &str = "SNAPSHOTS_SINCE";
/// Key of the record: the last time that was due and has its snapshot, also when somebody has deleted that since.
pub const LAST: &str = "SNAPSHOT_LAST";
/// Key of the record: the major version of the server.
const VERSION: &str = "SNAPSHOT_MAJOR";
/// Annotation of a snapshot: the time at which it was due; absent where it was asked for by hand.
pub const DUE: &str = "learningplatform.dev/due";
/// Annotation of a snapshot: the system identifier of its data.
pub const SYSTEM: &str = "learningplatform.dev/system-identifier";
/// Annotation of a snapshot: the major version of the server.
pub const MAJOR: &str = "learningplatform.dev/postgresql-major";
/// Annotation of a snapshot: the timeline that the database was on.
pub const OF_TIMELINE: &str = "learningplatform.dev/timeline";

/// Backups that the status lists.
const LISTED: usize = 30;
/// Snapshots that are not ready, from which on no further one is made (P): they would pile up where a driver never answers.
const UNREADY: usize = 3;
/// After which time nobody having taken note of a snapshot is told (P).
const UNHEARD_MINUTES: i64 = 5;
/// What there is to do where the API is missing.
const INSTALL: &str = "install the CSI snapshot definitions and their controller (kubernetes-csi/external-snapshotter), with a driver of the storage \
                       that takes snapshots, or set backup.method: BaseBackup";

/// A snapshot of a server's volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was asked for, by the API server's clock. Their order is by this alone.
    pub asked: Timestamp,
    /// The time at which it was due; None where it was asked for by hand.
    pub due: Option<Timestamp>,
    /// The moment that it shows, by the driver's clock.
    pub taken: Option<Timestamp>,
    /// Whether a volume can be made of it: only then is it a backup.
    pub ready: bool,
    /// Why it could not be taken, in the words of the driver or its controller.
    pub error: Option<String>,
    /// Bytes that a volume made of it needs.
    pub bytes: Option<u64>,
    /// Whether anybody has taken note of it.
    pub heard: bool,
    /// The system identifier of its data.
    pub system: Option<String>,
}

impl Snapshot {
    /// What a `VolumeSnapshot` says; None of one that has no time.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let status = &object.data["status"];
        let annotation = |name: &str| object.annotations().get(name).cloned();
        let size = status["restoreSize"].as_str().map(|size| Quantity(size.to_owned()));
        Some(Self {
            name: object.name_any(),
            asked: object.metadata.creation_timestamp.as_ref()?.0,
            due: annotation(DUE).and_then(|time| time.parse().ok()),
            taken: status["creationTime"].as_str().and_then(|time| time.parse().ok()),
            ready: status["readyToUse"] == true,
            error: status
                .get("error")
                .map(|error| error["message"].as_str().unwrap_or("no reason is given").to_owned()),
            bytes: size.and_then(|size| pods::bytes(&size)),
            heard: !status.is_null(),
            system: annotation(SYSTEM),
        })
    }

    fn stored(&self) -> StoredBackup {
        StoredBackup {
            name: self.name.clone(),
            method: Some(BackupMethod::VolumeSnapshot),
            ended: self.taken.unwrap_or(self.asked).to_string(),
            bytes: self.bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or_default(),
        }
    }
}

/// Whether the database is backed up by snapshots.
pub fn wished(database: &InCluster) -> Option<&Backup> {
    database.spec.backup.as_ref().filter(|backup| backup.method() == BackupMethod::VolumeSnapshot)
}

/// The live snapshots that were made for a server, of whatever data.
fn live<'a>(
    children: &'a Children,
    database: &'a InCluster,
    server: &'a Server,
) -> impl Iterator<Item = &'a DynamicObject> {
    let ours = |object: &&DynamicObject| {
        made_for(*object) == Some(&database.identity.id)
            && object.labels().get(SHARD) == Some(&server.shard.to_string())
            && object.metadata.deletion_timestamp.is_none()
    };
    children.0.iter().filter(|(id, _)| id.kind == Kind::VolumeSnapshot).map(|(_, object)| object).filter(ours)
}

/// The snapshots of a server's data, the newest first. Those of other data that once had its name are nobody's to count.
pub fn look(children: &Children, database: &InCluster, server: &Server, record: Option<&Record>) -> Vec<Snapshot> {
    let Some(system) = record.and_then(|record| record.get(SYSTEM_IDENTIFIER)) else { return Vec::new() };
    let all = live(children, database, server).filter_map(Snapshot::of);
    let mut found: Vec<_> = all.filter(|snapshot| snapshot.system.as_ref() == Some(system)).collect();
    found.sort_by(|a, b| (b.asked, &b.name).cmp(&(a.asked, &a.name)));
    found
}

/// Those that are to go, the oldest first, where `snapshots` are all, the newest first: of ready ones are `keep` to stay, and what is
/// older goes; one that failed was never a backup, and goes once a newer one is ready.
pub fn expired(snapshots: &[Snapshot], keep: usize) -> Vec<&Snapshot> {
    let mut newer = 0;
    let mut gone: Vec<_> = snapshots
        .iter()
        .filter(|snapshot| {
            let failed = !snapshot.ready && snapshot.error.is_some();
            let goes = newer >= keep || (failed && newer > 0);
            newer += usize::from(snapshot.ready);
            goes
        })
        .collect();
    gone.reverse();
    gone
}

/// The snapshots of a server that are to be deleted, the oldest first.
pub fn surplus<'a>(children: &'a Children, database: &'a InCluster, server: &'a Server) -> Vec<&'a DynamicObject> {
    let Some(spec) = wished(database) else { return Vec::new() };
    let record = crate::tiers::store::record::of(children, &server.object_name);
    let snapshots = look(children, database, server, record.as_ref());
    let gone = expired(&snapshots, kept_of(spec));
    gone.into_iter().filter_map(|snapshot| children.get(Kind::VolumeSnapshot, &snapshot.name)).collect()
}

/// What is known of them: since when they are asked for, up to when all that was due is there, and of which server they are.
pub fn keep(record: &mut Record, snapshots: &[Snapshot], major: Option<u32>, now: Timestamp) {
    if let Some(major) = major {
        record.insert(VERSION.to_owned(), major.to_string());
    }
    record.entry(SINCE.to_owned()).or_insert_with(|| super::seconds(now).to_string());
    let newest = snapshots.iter().filter_map(|snapshot| snapshot.due).max();
    if let Some(newest) = newest.filter(|newest| time(record, LAST).is_none_or(|last| last < *newest)) {
        record.insert(LAST.to_owned(), newest.to_string());
    }
}

/// Forgets what [`keep`] has noted.
pub fn forget(record: &mut Record) {
    record.retain(|key, _| ![SINCE, LAST, VERSION].contains(&key.as_str()));
}

fn time(record: &Record, key: &str) -> Option<Timestamp> {
    record.get(key)?.parse().ok()
}

/// The time that is due now: the last one that has passed without a snapshot. Those before it are not made up for.
pub fn due(spec: &Backup, record: &Record, snapshots: &[Snapshot], now: Timestamp) -> Option<Timestamp> {
    let since = time(record, SINCE)?;
    let from = time(record, LAST).map_or(since, |last| last.max(since));
    let unready = snapshots.iter().filter(|snapshot| !snapshot.ready).count();
    cron::last_due(from, now, due_after(&spec.schedule)).filter(|_| unready < UNREADY)
}

/// When the next one is due, of a database that is backed up so.
pub fn next(spec: &Backup, now: Timestamp) -> Option<Timestamp> {
    (spec.method() == BackupMethod::VolumeSnapshot).then(|| due_after(&spec.schedule)(now)).flatten()
}

/// The snapshots of a server: those that are there, as long as they are to stay, and the one that is due. That is taken only of a
/// primary that has answered, and is the one that is recorded: a snapshot of an empty volume, or of others' data, must not push out
/// any that is good.
pub fn objects(
    database: &InCluster,
    server: &Server,
    seen: &SeenServer,
    (children, record): (&Children, &Record),
    served: Served,
    now: Timestamp,
) -> Vec<Built> {
    if !served.volume_snapshot {
        return Vec::new();
    }
    let snapshots = look(children, database, server, Some(record));
    let goes: Vec<&str> = wished(database).map_or_else(Vec::new, |spec| {
        expired(&snapshots, kept_of(spec)).into_iter().map(|snapshot| snapshot.name.as_str()).collect()
    });
    let stay = live(children, database, server).filter(|object| !goes.contains(&object.name_any().as_str()));
    let mut built: Vec<Built> = stay.map(|object| again(database, server, object)).collect();
    let known = seen.view.as_ref().and_then(|view| view.record.as_ref());
    let has_volume = seen.claim.as_ref().is_some_and(|volume| !volume.is_empty());
    let spec = wished(database).filter(|_| known.is_some() && has_volume && !seen.promotion.is_under_way());
    if let Some(due) = spec.and_then(|spec| due(spec, record, &snapshots, now)) {
        built.push(object(database, server, record, due, Some(due)));
    }
    built
}

/// A snapshot that is called after a time: the one at which it was `due`, or of somebody's asking.
pub fn object(database: &InCluster, server: &Server, record: &Record, at: Timestamp, due: Option<Timestamp>) -> Built {
    let annotations = [
        (DUE, due.map(|due| due.to_string())),
        (SYSTEM, record.get(SYSTEM_IDENTIFIER).cloned()),
        (OF_TIMELINE, record.get(TIMELINE).cloned()),
        (MAJOR, record.get(VERSION).cloned()),
    ];
    let annotations: BTreeMap<_, _> =
        annotations.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let class = database.spec.backup.as_ref().and_then(|backup| backup.volume_snapshot_class.as_ref());
    Kind::VolumeSnapshot.object(&json!({
        "metadata": { "name": name(server, at), "labels": labels(database, server), "annotations": annotations },
        "spec": {
            "volumeSnapshotClassName": class,
            "source": { "persistentVolumeClaimName": server.primary_claim() },
        },
    }))
}

/// One that is there, as it is, but for what is to become of it with the platform.
fn again(database: &InCluster, server: &Server, live: &DynamicObject) -> Built {
    let ours: BTreeMap<_, _> = [DUE, SYSTEM, OF_TIMELINE, MAJOR]
        .into_iter()
        .filter_map(|name| Some((name, live.annotations().get(name)?)))
        .collect();
    Kind::VolumeSnapshot.object(&json!({
        "metadata": { "name": live.name_any(), "labels": labels(database, server), "annotations": ours },
        "spec": live.data["spec"],
    }))
}

fn name(server: &Server, at: Timestamp) -> String {
    format!("{}-{}", server.object_name, at.strftime("%Y%m%dt%H%M%Sz"))
}

fn labels(database: &InCluster, server: &Server) -> BTreeMap<String, String> {
    let policy = database.spec.deletion_policy.unwrap_or_default();
    with(database.identity.data_labels(policy), SHARD, server.shard)
}

/// The snapshots of a server, and how they are.
pub fn told(
    spec: &Backup,
    server: &Server,
    record: &Record,
    (served, snapshots): (bool, &[Snapshot]),
    now: Timestamp,
) -> (BackupStatus, Verdict) {
    let status = BackupStatus {
        method: Some(spec.method()),
        claim: server.primary_claim(),
        next: due_after(&spec.schedule)(now).map(|next| next.to_string()),
        backups: snapshots.iter().filter(|s| s.ready).take(LISTED).map(Snapshot::stored).collect(),
        ..BackupStatus::default()
    };
    let verdict = verdict(spec, &status, time(record, SINCE), (served, snapshots), now);
    (status, verdict)
}

fn verdict(
    spec: &Backup,
    status: &BackupStatus,
    since: Option<Timestamp>,
    (served, snapshots): (bool, &[Snapshot]),
    now: Timestamp,
) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::BackupReady, state, reason, message);
    if !served {
        let api = Kind::VolumeSnapshot.resource().api_version;
        let message = format!("no snapshots are taken: the cluster does not serve {api}: {INSTALL}");
        return says(State::False, Reason::NotFound, message);
    }
    let newest = snapshots.first().filter(|newest| !newest.ready);
    if let Some((newest, error)) = newest.and_then(|newest| Some((newest, newest.error.as_ref()?))) {
        let message = format!(
            "VolumeSnapshot {} could not be taken: {error}: see that its class is there, and is of the driver of the volume's storage \
             class",
            newest.name
        );
        return says(State::False, Reason::BackupFailed, message);
    }
    let unheard = |snapshot: &&Snapshot| {
        let told = snapshot.asked.checked_add(UNHEARD_MINUTES.minutes());
        !snapshot.heard && told.is_ok_and(|told| told < now)
    };
    if let Some(newest) = newest.filter(unheard) {
        let message = format!(
            "nobody has taken note of VolumeSnapshot {} since {}: see that the snapshot controller runs",
            newest.name, newest.asked
        );
        return says(State::False, Reason::BackupFailed, message);
    }
    let last = snapshots.iter().find(|snapshot| snapshot.ready);
    let due = due_after(&spec.schedule);
    if last.map(|last| last.asked).or(since).is_some_and(|since| cron::is_overdue(since, now, due)) {
        let last = status.backups.first().map_or("no snapshot has ever been ready".to_owned(), |last| {
            format!("the last snapshot that is ready, {}, was taken at {}", last.name, last.ended)
        });
        let why = newest.map_or_else(
            || "one is taken only of a primary that answers".to_owned(),
            |newest| format!("its driver has not finished {}", newest.name),
        );
        return says(State::False, Reason::BackupOverdue, format!("{last}: two intervals have passed, and {why}"));
    }
    match status.backups.first() {
        None => {
            let message = match newest {
                Some(newest) => format!("VolumeSnapshot {} is being taken", newest.name),
                None => "no backup has been taken yet: `lpctl backup` takes one now".to_owned(),
            };
            says(State::Unknown, Reason::Progressing, message)
        }
        Some(last) => {
            let kept = snapshots.iter().filter(|snapshot| snapshot.ready).count();
            let message = format!(
                "the last snapshot, {}, was taken at {}; {kept} are kept, in the storage system of the cluster: whether they outlive it, \
                 its driver decides",
                last.name, last.ended
            );
            says(State::True, Reason::BackupsNotOffCluster, message)
        }
    }
}

/// What becomes of the snapshots with the platform and with the namespace; None where there are none and none are asked for.
pub fn deletion(database: &InCluster, seen: &[SeenServer]) -> Option<&'static str> {
    use crds::tiers::in_cluster::DeletionPolicy::{Delete, Retain};
    let any = wished(database).is_some() || seen.iter().any(|server| !server.backup.snapshots.is_empty());
    any.then(|| match database.spec.deletion_policy.unwrap_or_default() {
        Delete => "its volume snapshots are deleted with it, too",
        Retain => {
            "its volume snapshots stay when the resource is deleted; deleting the namespace deletes them, but for what a class with \
             deletionPolicy: Retain leaves in the storage system"
        }
    })
}

/// A snapshot that the volume of a new primary is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Bytes that the volume needs at least.
    pub bytes: Option<u64>,
}

/// Sees to it that the claim which is there was made of the snapshot that is wished, `made_of` being what it was made of.
///
/// # Errors
/// That it was not, and how to mend it.
pub fn made_of(name: &str, claim: &str, made_of: Option<&str>) -> Result<(), String> {
    if made_of == Some(name) {
        return Ok(());
    }
    Err(format!(
        "it is to be made of VolumeSnapshot {name}, and the claim {claim} is there, which was not: nothing is restored over data; restore \
         into a database of another name, or delete the claim if nothing is on its volume"
    ))
}

/// The snapshot of this name to make a volume of; `found` is what the API server has, None where it does not serve the API.
///
/// # Errors
/// What is lacking, and how to mend it. An empty volume in its place would be taken for it.
pub fn source(name: &str, found: Option<Result<Option<DynamicObject>, String>>) -> Result<Source, String> {
    let snapshot = match found {
        None => {
            let api = Kind::VolumeSnapshot.resource().api_version;
            return Err(format!(
                "it is to be made of VolumeSnapshot {name}, and the cluster does not serve {api}: install the CSI snapshot definitions and \
                 their controller, with the driver that took it"
            ));
        }
        Some(Err(error)) => {
            return Err(format!("VolumeSnapshot {name}, which it is to be made of, cannot be read: {error}"));
        }
        Some(Ok(None)) => {
            return Err(format!(
                "it is to be made of VolumeSnapshot {name}, which does not exist in this namespace: correct restoreFrom.volumeSnapshot"
            ));
        }
        Some(Ok(Some(object))) => Snapshot::of(&object),
    };
    match snapshot {
        Some(Snapshot { ready: true, name, bytes, .. }) => Ok(Source { name, bytes }),
        other => {
            let why = other
                .and_then(|snapshot| snapshot.error)
                .unwrap_or_else(|| "its driver has not finished it".to_owned());
            Err(format!("it is to be made of VolumeSnapshot {name}, which is not ready: {why}"))
        }
    }
}

#[cfg(test)]
mod tests;
