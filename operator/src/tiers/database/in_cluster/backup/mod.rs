//! Backups of a database in this cluster: what is seen of them, kept in its record, and told.

pub mod bucket;
pub(in crate::tiers::database) mod cron;
pub mod objects;
pub mod snapshots;
pub mod source;

use super::{InCluster, Server};
use crate::{
    conditions::{State, Verdict},
    context::Context,
    kinds::Kind,
    naming::{COMPONENT, INSTANCE},
    tiers::{
        Children,
        app::{jobs::JOB_NAME, trouble::Trouble},
        store::{SHARD, record, record::Record},
    },
    validate::{Problem, ValidPlatform},
};
use bucket::Upload;
use crds::{
    status::{BackupStatus, ConditionType, Reason, StoredBackup},
    tiers::backup::{Backup, BackupMethod, BackupSchedule, KEEP, RestoreFrom},
};
use cron::Cron;
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use objects::{ARCHIVE, BACKUP};
use postgres::{Archive, ArchiveState};
use serde::Deserialize;
use snapshots::Snapshot;
use std::sync::Arc;

/// Key of the record: the backups that are kept, as JSON, the newest first.
pub const BACKUPS: &str = "BACKUPS";
/// Key of the record: since when log is missing that no newer backup makes up for.
pub const LOG_LOST: &str = "BACKUP_LOG_LOST";

/// What a pass has seen of the backups of a primary.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What the last run that succeeded has said, of those whose pods are still there.
    pub report: Option<Report>,
    /// Why the newest run failed, where it did, and its name.
    pub failed: Option<(String, String)>,
    /// What keeps the receiver of the log from running.
    pub trouble: Option<Trouble>,
    /// How it stands with the bucket, where one is asked for.
    pub upload: Option<Upload>,
    /// Since when backups are asked for.
    pub since: Option<Timestamp>,
    /// Whether the cluster knows snapshots of volumes.
    pub snapshots_served: bool,
    /// Those of the server's data, the newest first.
    pub snapshots: Vec<Snapshot>,
}

/// The last words of a run that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    last: Last,
    backups: Vec<StoredBackup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Last {
    begun: String,
    ended: String,
}

/// Whether backups are dumps, which no log follows.
pub fn is_logical(database: &InCluster) -> bool {
    database.spec.backup.as_ref().is_some_and(|backup| backup.method() == BackupMethod::Logical)
}

/// What there is of the backups of a server; `trouble` is that of its receiver's pod.
pub fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    server: &Server,
    trouble: Option<Trouble>,
) -> Seen {
    let record = record::of(children, &server.object_name);
    let of_volume = Seen {
        snapshots_served: ctx.capabilities.now().volume_snapshot,
        snapshots: snapshots::look(children, database, server, record.as_ref()),
        ..Seen::default()
    };
    let Some(spec) = on_volume(database) else { return of_volume };
    let is = |role: &str, object: &dyn Fn(&str) -> Option<String>| {
        object(super::objects::ROLE).as_deref() == Some(role)
            && object(COMPONENT).as_ref() == Some(&database.identity.id)
            && object(SHARD) == Some(server.shard.to_string())
    };
    let all: Vec<Arc<Pod>> = ctx.stores.pods.state();
    let of = |role: &str| -> Vec<&Arc<Pod>> {
        let ours = |pod: &&Arc<Pod>| {
            pod.namespace().as_deref() == Some(&lp.key.namespace)
                && pod.labels().get(INSTANCE) == Some(&lp.key.name)
                && is(role, &|label| pod.labels().get(label).cloned())
        };
        all.iter().filter(ours).collect()
    };
    let pods = of(BACKUP);
    let report = pods.iter().filter_map(|pod| report(&last_words(pod)?)).max_by(|a, b| a.last.ended.cmp(&b.last.ended));
    let runs = children
        .0
        .iter()
        .filter(|(id, object)| id.kind == Kind::Job && is(BACKUP, &|label| object.labels().get(label).cloned()));
    let newest = runs.max_by_key(|(_, object)| object.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let failed = newest.and_then(|(id, _)| {
        let job: Job = children.typed(Kind::Job, &id.name)?;
        let conditions = job.status?.conditions?;
        let failed =
            conditions.into_iter().find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
        let of_job = pods.iter().filter(|pod| pod.labels().get(JOB_NAME) == Some(&id.name));
        let words = of_job.filter_map(|pod| last_words(pod)).find(|words| !words.is_empty());
        Some((id.name.clone(), words.or(failed.message).unwrap_or_default()))
    });
    let since = children
        .get(Kind::CronJob, &server.backup())
        .and_then(|cron_job| cron_job.metadata.creation_timestamp.as_ref());
    let upload = spec.s3.as_ref().and_then(|_| of(ARCHIVE).into_iter().find_map(|pod| bucket::upload_of(pod)));
    Seen { report, failed, trouble, upload, since: since.map(|time| time.0), ..of_volume }
}

/// The wish for backups that are kept on a volume of their own.
pub fn on_volume(database: &InCluster) -> Option<&Backup> {
    database.spec.backup.as_ref().filter(|backup| backup.method() != BackupMethod::VolumeSnapshot)
}

/// How many backups are kept.
fn kept_of(spec: &Backup) -> usize {
    usize::try_from(spec.keep.unwrap_or(KEEP)).unwrap_or(1)
}

/// The first time after another at which a backup is due.
fn due_after(schedule: &BackupSchedule) -> impl Fn(Timestamp) -> Option<Timestamp> {
    let zone = schedule.time_zone.as_deref().map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok());
    let cron = Cron::parse(&schedule.cron);
    move |after| cron.as_ref()?.next(after, zone.as_ref()?)
}

/// What the container of a run has left as its termination message.
fn last_words(pod: &Pod) -> Option<String> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    Some(container.state.as_ref()?.terminated.as_ref()?.message.as_deref()?.trim().to_owned())
}

fn report(words: &str) -> Option<Report> {
    serde_json::from_str(words).ok()
}

/// What is known of backups: what was known, and what has been seen since. A server that was `promoted` has no slot of the
/// receiver: between where it began and the receiver's new slot, log was never received.
pub fn keep(
    database: &InCluster,
    record: &mut Record,
    seen: &Seen,
    (archive, promoted): (Option<ArchiveState>, bool),
    now: Timestamp,
) {
    if on_volume(database).is_none() {
        record.retain(|key, _| ![BACKUPS, LOG_LOST].contains(&key.as_str()));
        return;
    }
    if is_logical(database) {
        record.remove(LOG_LOST);
    } else if promoted || archive == Some(ArchiveState::Lost) {
        record.entry(LOG_LOST.to_owned()).or_insert_with(|| seconds(now).to_string());
    }
    let Some(report) = &seen.report else { return };
    if kept(record).first().is_none_or(|newest| newest.ended < report.last.ended)
        && let Ok(backups) = serde_json::to_string(&report.backups)
    {
        record.insert(BACKUPS.to_owned(), backups);
    }
    // Both are UTC in whole seconds, so that texts sort as times do.
    if record.get(LOG_LOST).is_some_and(|lost| *lost < report.last.begun) {
        record.remove(LOG_LOST);
    }
}

fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn kept(record: &Record) -> Vec<StoredBackup> {
    record.get(BACKUPS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What the keeper is to do about the receiver's slot.
pub fn archive(database: &InCluster, record: Option<&Record>) -> Archive {
    if !database.spec.backup.as_ref().is_some_and(|backup| backup.method() == BackupMethod::BaseBackup) {
        return Archive::Off;
    }
    if record.is_some_and(|record| record.contains_key(LOG_LOST)) { Archive::Renewed } else { Archive::On }
}

/// The backups of a server, and how they are; None where none are asked for.
pub fn told(
    database: &InCluster,
    server: &Server,
    seen: &super::SeenServer,
    now: Timestamp,
) -> Option<(BackupStatus, Verdict)> {
    let spec = database.spec.backup.as_ref()?;
    let mut record = seen.record.clone().unwrap_or_default();
    if spec.method() == BackupMethod::VolumeSnapshot {
        let seen = &seen.backup;
        return Some(snapshots::told(spec, server, &record, (seen.snapshots_served, &seen.snapshots), now));
    }
    let archive = seen.view.as_ref().and_then(|view| view.archive);
    keep(database, &mut record, &seen.backup, (archive, false), now);
    let due = due_after(&spec.schedule);
    let status = BackupStatus {
        method: spec.method.filter(|method| *method != BackupMethod::BaseBackup),
        claim: server.backup_claim(),
        bucket: spec.s3.as_ref().map(|bucket| format!("s3://{}", bucket::folder(database, server, bucket))),
        uploaded: seen.backup.upload.as_ref().map(|upload| *upload == Upload::Done),
        last_uploaded: match &seen.backup.upload {
            Some(Upload::Failed { last, .. }) => last.clone(),
            _ => None,
        },
        streaming: archive.map(|archive| archive == ArchiveState::Streaming),
        log_lost: record.get(LOG_LOST).cloned(),
        next: due(now).map(|next| next.to_string()),
        backups: kept(&record),
    };
    let verdict = verdict(&status, &seen.backup, is_logical(database), now, due);
    Some((status, verdict))
}

fn verdict(
    status: &BackupStatus,
    seen: &Seen,
    is_logical: bool,
    now: Timestamp,
    due: impl Fn(Timestamp) -> Option<Timestamp>,
) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::BackupReady, state, reason, message);
    let failed = |message: String| says(State::False, Reason::BackupFailed, message);
    let place = status.bucket.as_deref().unwrap_or_default();
    if let Some(Upload::Failed { last, error }) = &seen.upload {
        let last =
            last.as_ref().map_or("has never had all of them".to_owned(), |last| format!("last had all at {last}"));
        return failed(format!("backups cannot be brought to {place}, which {last}: {error}"));
    }
    if let Some(trouble) = &seen.trouble {
        let of_bucket = trouble.message.starts_with(&format!("container {}", bucket::UPLOADER));
        let what = match (of_bucket, is_logical) {
            (true, _) => "backups are not brought to the bucket",
            (false, true) => "the pod that keeps the volume of the backups does not run",
            (false, false) => "the log is not received",
        };
        return failed(format!("{what}: {}", trouble.message));
    }
    if let Some((job, why)) = &seen.failed {
        return failed(format!("the last backup failed ({why}): see the logs of Job {job}"));
    }
    if let Some(lost) = &status.log_lost {
        return failed(format!(
            "log was lost before it was received, noticed at {lost}: nothing written since can be restored until the next backup is \
             complete; `lpctl backup` takes one now"
        ));
    }
    let last = status.backups.first();
    let since = last.and_then(|last| last.ended.parse().ok()).or(seen.since);
    if since.is_some_and(|since| cron::is_overdue(since, now, due)) {
        let last = last.map_or("no backup has ever been complete".to_owned(), |last| {
            format!("the last backup, {}, was complete at {}", last.name, last.ended)
        });
        return says(
            State::False,
            Reason::BackupOverdue,
            format!("{last}: two intervals have passed; look at its CronJob"),
        );
    }
    match last {
        None => says(
            State::Unknown,
            Reason::Progressing,
            "no backup has been taken yet: `lpctl backup` takes one now".to_owned(),
        ),
        Some(last) if status.bucket.is_some() => {
            let kept = format!("{}, was complete at {}; {} are kept", last.name, last.ended, status.backups.len());
            match seen.upload {
                Some(Upload::Done) => {
                    let log = if is_logical { "" } else { ", with the log that follows" };
                    let message = format!("the last backup, {kept}, here and in {place}{log}");
                    says(State::True, Reason::Succeeded, message)
                }
                _ => {
                    let message = format!("the last backup, {kept}; {place} does not have everything yet");
                    says(State::Unknown, Reason::Progressing, message)
                }
            }
        }
        Some(last) => says(
            State::True,
            Reason::BackupsNotOffCluster,
            format!(
                "the last backup, {}, was complete at {}; {} are kept, on a volume in this cluster alone",
                last.name,
                last.ended,
                status.backups.len()
            ),
        ),
    }
}

/// As of when a database is to be restored, in UTC.
fn target_time(from: &RestoreFrom) -> Option<String> {
    Some(from.target_time.as_ref()?.parse::<Timestamp>().ok()?.to_string())
}

/// What is wrong with the wishes that admission cannot know.
pub fn check(path: &str, database: &InCluster) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(backup) = &database.spec.backup
        && Cron::parse(&backup.schedule.cron).is_none()
    {
        let problem = "no cron expression of five fields, or a range that goes backwards: write it as 0 3 * * *";
        problems.push(Problem::new(format!("{path}.backup.schedule.cron"), problem));
    }
    if let Some(from) = &database.spec.restore_from {
        if from.target_time.is_some() && target_time(from).is_none() {
            let problem = "no time with a zone: write it as 2026-11-02T08:00:00Z";
            problems.push(Problem::new(format!("{path}.restoreFrom.targetTime"), problem));
        }
        if database.servers.iter().any(|server| from.claim.as_ref() == Some(&server.backup_claim())) {
            let problem = "the database's own backups: restore into a database of another name, or abandonData first";
            problems.push(Problem::new(format!("{path}.restoreFrom.claim"), problem));
        }
        let to = database.spec.backup.as_ref().and_then(|backup| backup.s3.as_ref());
        if let (Some(to), Some(from)) = (to, &from.s3) {
            let own =
                |server| to.endpoint == from.endpoint && bucket::folder(database, server, to) == bucket::source(from);
            if database.servers.iter().any(own) {
                let problem = "backup.s3 brings this database's backups to the same folder, where they would mix with those that it is made \
                               of: name another backup.s3.prefix";
                problems.push(Problem::new(format!("{path}.restoreFrom.s3.prefix"), problem));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
