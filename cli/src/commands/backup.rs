//! `lpctl backup`: takes a backup of a database in the cluster now, or shows those that there are.

pub(super) mod delegated;
mod snapshots;

use super::psql::item;
use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    output::{self, Format, age, pad},
};
use anyhow::{Context, anyhow, bail};
use clap_complete::engine::ArgValueCompleter;
use crds::{
    LearningPlatform,
    status::{BackupStatus, StoreStatus},
    tiers::database::Database,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{CronJob, Job},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
};
use operator::tiers::{
    app::jobs::JOB_NAME,
    database::in_cluster::{InCluster, backup::snapshots::wished},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Time between two looks at a Job (P).
const LOOK: Duration = Duration::from_secs(2);

/// Arguments of `backup`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl backup [OPTIONS] [PLATFORM] <DATABASE>",
    before_help = "Examples:
  lpctl backup main
  lpctl backup story main --list
  lpctl backup main --no-wait"
)]
pub struct Args {
    /// The database; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "DATABASE", add = ArgValueCompleter::new(complete::databases))]
    pub names: Vec<String>,

    /// Show the backups that there are, and take none
    #[arg(long, conflicts_with = "no_wait")]
    pub list: bool,

    /// Start it, and do not wait for its end
    #[arg(long)]
    pub no_wait: bool,

    /// How long to wait for its end, in seconds; it goes on without
    #[arg(long, value_name = "SECONDS", default_value_t = 21_600, conflicts_with = "no_wait")]
    pub timeout: u64,

    /// Form of the list
    #[arg(short, long, value_enum, default_value_t, requires = "list")]
    pub output: Format,
}

/// Runs the command.
///
/// # Errors
/// When no backup can be started, or it cannot be seen what became of it.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::Database, name).await?;
    if let Some(database) = by_cloud_native_pg(&platform, name) {
        return delegated::run(args, &cluster, &platform, database).await;
    }
    let (_, item) = with_backups(&platform, name)?;
    if args.list {
        let status = status(&platform, name).cloned().unwrap_or_default();
        output::emit(&output::formatted(args.output, &status, |status| table(status, Timestamp::now()))?)?;
        return Ok(Exit::Good);
    }
    if wished(&item).is_some() {
        return snapshots::run(args, &cluster, &platform, &item).await;
    }
    let namespace = platform.namespace().unwrap_or_default();
    let mut jobs = Vec::new();
    for server in &item.servers {
        jobs.push(start(&cluster, &namespace, &server.backup()).await?);
    }
    if args.no_wait {
        return Ok(Exit::Good);
    }
    let mut exit = Exit::Good;
    let end = Instant::now() + Duration::from_secs(args.timeout);
    for job in jobs {
        match wait(&cluster, &namespace, &job, end).await? {
            Ok(words) => output::emit(&format!("{}\n", done(&words)))?,
            Err(why) => {
                exit = Exit::Found;
                output::emit(&format!("failed: {why}\n  kubectl -n {namespace} logs job/{job}\n"))?;
            }
        }
    }
    Ok(exit)
}

/// A database of the spec that CloudNativePG runs.
pub(super) fn by_cloud_native_pg<'a>(platform: &'a LearningPlatform, name: &str) -> Option<&'a Database> {
    let mut databases = platform.spec.databases.iter();
    databases.find(|database| database.name == name && database.cloud_native_pg.is_some())
}

/// A database of the spec, and what is made for it.
///
/// # Errors
/// When no backups of it are taken, with what to do.
pub(super) fn with_backups<'a>(
    platform: &'a LearningPlatform,
    name: &str,
) -> anyhow::Result<(&'a Database, InCluster)> {
    let database = platform.spec.databases.iter().find(|database| database.name == name);
    let database = database.with_context(|| format!("there is no database {name}"))?;
    let Some(spec) = &database.in_cluster else {
        bail!("database {name} does not run in the cluster by the operator's own hand: back it up where it runs");
    };
    if spec.backup.is_none() {
        bail!("no backups of database {name} are asked for: set databases[{name}].inCluster.backup");
    }
    let item = InCluster::new(&platform.name_any(), &platform.namespace().unwrap_or_default(), database, spec);
    Ok((database, item))
}

/// What the operator says of the backups of a database.
pub(super) fn status<'a>(platform: &'a LearningPlatform, name: &str) -> Option<&'a BackupStatus> {
    let of = |store: &&StoreStatus| store.name == name;
    platform.status.as_ref()?.databases.iter().find(of)?.backup.as_ref()
}

fn table(status: &BackupStatus, now: Timestamp) -> String {
    let width = status.backups.iter().map(|backup| backup.name.len()).max().unwrap_or_default().max(16);
    let mut out = format!("{}  {}  {}  METHOD\n", pad("NAME", width), pad("AGE", 5), pad("SIZE", 10));
    for backup in &status.backups {
        let age = backup.ended.parse().map(|ended| age(ended, now)).unwrap_or_default();
        let (size, method) = (size(backup.bytes), backup.method.unwrap_or_default());
        out.push_str(&format!("{}  {}  {}  {method:?}\n", pad(&backup.name, width), pad(&age, 5), pad(&size, 10)));
    }
    if status.backups.is_empty() {
        out = "there is none yet\n".to_owned();
    }
    match (status.streaming, &status.log_lost) {
        (_, Some(lost)) => {
            out.push_str(&format!("log is missing, noticed at {lost}: take a backup with `lpctl backup`\n"))
        }
        (Some(true), None) => out.push_str("the log that follows is received as it is written\n"),
        (Some(false), None) => {
            out.push_str("the log that follows is not received now; the primary keeps it meanwhile\n")
        }
        (None, None) => {}
    }
    if let Some(bucket) = &status.bucket {
        out.push_str(&match (status.uploaded, &status.last_uploaded) {
            (Some(true), _) => format!("all of it is in {bucket}\n"),
            (_, Some(last)) => format!("{bucket} does not have all of it; it last had at {last}\n"),
            (_, None) => format!("{bucket} does not have all of it yet\n"),
        });
    }
    if let Some(next) = &status.next {
        out.push_str(&format!("the next one is due at {next}\n"));
    }
    out
}

/// A size for people: `3.6 MiB`.
pub(crate) fn size(bytes: i64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let mut number = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{number:.1} {unit}") }
}

/// Makes a Job as the CronJob would.
async fn start(cluster: &Cluster, namespace: &str, name: &str) -> anyhow::Result<String> {
    let cron_jobs: Api<CronJob> = Api::namespaced(cluster.client.clone(), namespace);
    let found =
        cron_jobs.get_opt(name).await.map_err(|e| cluster.explain(&format!("CronJob {name} cannot be read"), e))?;
    let cron_job = found.with_context(|| format!("CronJob {name} is not there yet: see `lpctl status`"))?;
    let template = cron_job.spec.clone().context("the CronJob has no spec")?.job_template;
    let mut annotations = template.metadata.as_ref().and_then(|meta| meta.annotations.clone()).unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".to_owned());
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "CronJob".to_owned(),
        name: name.to_owned(),
        uid: cron_job.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    let job = Job {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{}", Timestamp::now().as_second())),
            labels: template.metadata.and_then(|meta| meta.labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    };
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), namespace);
    let made = jobs.create(&PostParams::default(), &job).await;
    let made = made.map_err(|e| cluster.explain("the Job of the backup cannot be made", e))?.name_any();
    eprintln!("started Job {made}");
    Ok(made)
}

/// Waits for the end of a Job: what it said, or why it failed.
async fn wait(cluster: &Cluster, namespace: &str, name: &str, end: Instant) -> anyhow::Result<Result<String, String>> {
    let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), namespace);
    while Instant::now() < end {
        let job = jobs.get(name).await.map_err(|e| cluster.explain(&format!("Job {name} cannot be read"), e))?;
        let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
        let ended =
            conditions.iter().find(|c| c.status == "True" && ["Complete", "Failed"].contains(&c.type_.as_str()));
        if let Some(ended) = ended {
            let words = last_words(cluster, namespace, name).await?;
            if ended.type_ == "Complete" {
                return Ok(Ok(words.unwrap_or_default()));
            }
            return Ok(Err(words.or_else(|| ended.message.clone()).unwrap_or_default()));
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("Job {name} has not ended yet, and goes on: `lpctl backup --list` shows its backup when it is complete")
}

/// The termination message of the newest pod of a Job that left one.
async fn last_words(cluster: &Cluster, namespace: &str, job: &str) -> anyhow::Result<Option<String>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let list = pods.list(&ListParams::default().labels(&format!("{JOB_NAME}={job}"))).await;
    let mut pods = list.map_err(|e| cluster.explain("the pods of the Job cannot be read", e))?.items;
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let words = |pod: &Pod| {
        let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?.clone();
        container.state?.terminated?.message.filter(|words| !words.trim().is_empty())
    };
    Ok(pods.iter().rev().find_map(words).map(|words| words.trim().to_owned()))
}

fn done(words: &str) -> String {
    let report: Value = serde_json::from_str(words).unwrap_or_default();
    let last = &report["last"];
    match (last["name"].as_str(), last["bytes"].as_i64()) {
        (Some(name), Some(bytes)) => {
            let place = match report["uploaded"].as_bool() {
                Some(true) => ", and in the bucket",
                Some(false) => "; it is not in the bucket yet: `lpctl status` says how that stands",
                None => "",
            };
            format!("backup {name} is complete, {}{place}", size(bytes))
        }
        _ => "the backup is complete".to_owned(),
    }
}

/// The backups of a platform's databases by their names, for messages.
pub(super) fn names(status: &BackupStatus) -> BTreeMap<&str, &str> {
    status.backups.iter().map(|backup| (backup.name.as_str(), backup.ended.as_str())).collect()
}

/// That there is no such backup, with those that there are.
pub(super) fn no_such(name: &str, status: &BackupStatus) -> anyhow::Error {
    let there: Vec<&str> = names(status).into_keys().collect();
    anyhow!(
        "there is no backup {name}; there are {}",
        if there.is_empty() { "none".to_owned() } else { there.join(", ") }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{status::StoredBackup, tiers::backup::BackupMethod};

    #[test]
    fn backups_are_listed_with_their_age_and_size() {
        let now: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
        let one = |name: &str, ended: &str, bytes, method| StoredBackup {
            name: name.into(),
            ended: ended.into(),
            bytes,
            method,
        };
        let status = BackupStatus {
            claim: "data-story-main-backup-0".into(),
            streaming: Some(true),
            next: Some("2026-11-03T03:00:00Z".into()),
            backups: vec![
                one("20261102t030000z", "2026-11-02T03:00:00Z", 3_817_472, None),
                one("20261101t030000z", "2026-10-30T03:00:00Z", 900, Some(BackupMethod::Logical)),
            ],
            ..BackupStatus::default()
        };
        assert_eq!(
            table(&status, now),
            "NAME              AGE    SIZE        METHOD\n\
             20261102t030000z  2h     3.6 MiB     BaseBackup\n\
             20261101t030000z  3d     900 B       Logical\n\
             the log that follows is received as it is written\n\
             the next one is due at 2026-11-03T03:00:00Z\n"
        );
        let bucket = Some("s3://b/learning/story-main".to_owned());
        for (uploaded, last, words) in [
            (Some(true), None, "all of it is in s3://b/learning/story-main\n"),
            (
                Some(false),
                Some("2026-11-02T04:00:00Z"),
                "does not have all of it; it last had at 2026-11-02T04:00:00Z\n",
            ),
            (None, None, "does not have all of it yet\n"),
        ] {
            let last_uploaded = last.map(str::to_owned);
            let status = BackupStatus { bucket: bucket.clone(), uploaded, last_uploaded, ..status.clone() };
            assert!(table(&status, now).contains(words), "{}", table(&status, now));
        }
        assert_eq!(table(&BackupStatus::default(), now), "there is none yet\n");
        assert_eq!(
            no_such("x", &status).to_string(),
            "there is no backup x; there are 20261101t030000z, 20261102t030000z"
        );
    }

    #[test]
    fn what_a_run_says_is_told() {
        assert_eq!(done(r#"{"last": {"name": "b", "bytes": 2048}}"#), "backup b is complete, 2.0 KiB");
        let uploaded =
            |uploaded: bool| done(&format!(r#"{{"last": {{"name": "b", "bytes": 2}}, "uploaded": {uploaded}}}"#));
        assert_eq!(uploaded(true), "backup b is complete, 2 B, and in the bucket");
        assert!(uploaded(false).contains("not in the bucket yet"));
        assert_eq!(done("?"), "the backup is complete");
    }
}
