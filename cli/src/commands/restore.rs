//! `lpctl restore`: a database beside another one, made of its backups.

use super::{
    backup::{by_cloud_native_pg, delegated, no_such, status, with_backups},
    psql::item,
};
use crate::{
    args::Global,
    cluster::{Cluster, Item},
    complete,
    exit::Exit,
    output,
};
use anyhow::{Context, bail};
use clap_complete::engine::ArgValueCompleter;
use crds::{
    LearningPlatform,
    status::{BackupStatus, StoredBackup},
    tiers::{
        backup::{BackupMethod, RestoreFrom},
        bucket::Bucket,
        cloud_native_pg_backup::CloudNativePgRestore,
        database::Database,
    },
};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use operator::tiers::database::in_cluster::backup::{bucket, snapshots::wished};
use serde_json::json;

/// Arguments of `restore`.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "lpctl restore [OPTIONS] [PLATFORM] <DATABASE> --as <NEW>",
    before_help = "Examples:
  lpctl restore main --as main-before --at 2026-11-02T08:00:00Z
  lpctl restore story main --as copy --backup 20261102t030000z --apply
  lpctl restore main --as copy --from-s3"
)]
pub struct Args {
    /// The database whose backups are read; before it its platform, where several have such a one
    #[arg(required = true, num_args = 1..=2, value_name = "DATABASE", add = ArgValueCompleter::new(complete::databases))]
    pub names: Vec<String>,

    /// Name of the new database
    #[arg(long = "as", value_name = "NEW")]
    pub new: String,

    /// The backup to begin with. Default: the newest one, or the newest that was complete by --at
    #[arg(long, value_name = "NAME")]
    pub backup: Option<String>,

    /// As of when, which takes a base backup. Default: all that was received, or all of a logical backup. Snapshots of volumes are
    /// chosen by --backup
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,

    /// Take them from the bucket that they are brought to, not from the volume in the cluster
    #[arg(long)]
    pub from_s3: bool,

    /// Add the new database to the platform; without it, it is only printed
    #[arg(long)]
    pub apply: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is nothing to restore from, or the API server refuses.
pub async fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let (platform, name) = item(&args.names);
    let cluster = Cluster::connect(global).await?;
    let platform = cluster.platform_with(platform, Item::Database, name).await?;
    let new = restored(args, &platform, name, Timestamp::now())?;
    let as_of = args.at.map_or("with all that they have".to_owned(), |at| format!("as it was at {at}"));
    eprintln!(
        "Database {} will be made from the backups of {name}, {as_of}. {name} is only read and goes on as it is; no app is given the \
         new one until its `uses` says so. It gets passwords of its own.",
        args.new
    );
    output::emit(&output::yaml(&json!({ "spec": { "databases": [new] } }))?)?;
    if !args.apply {
        eprintln!("Nothing is written yet: add this item to the platform, or run the command again with --apply.");
        return Ok(Exit::Good);
    }
    let databases: Vec<&Database> = platform.spec.databases.iter().chain([&new]).collect();
    // A list is replaced as a whole: only where nobody has changed it meanwhile.
    let patch = json!({
        "metadata": { "resourceVersion": platform.resource_version() },
        "spec": { "databases": databases },
    });
    let params = PatchParams { field_manager: Some("lpctl".into()), ..PatchParams::default() };
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &platform.namespace().unwrap_or_default());
    let sent = api.patch(&platform.name_any(), &params, &Patch::Merge(&patch)).await;
    sent.map_err(|e| cluster.explain("the database cannot be added to the platform", e))?;
    eprintln!("Added. `lpctl status {}` shows how far it is.", platform.name_any());
    Ok(Exit::Good)
}

/// The new item: the other one, but for its name and where its rows come from.
fn restored(args: &Args, platform: &LearningPlatform, name: &str, now: Timestamp) -> anyhow::Result<Database> {
    if let Some(database) = by_cloud_native_pg(platform, name) {
        return restored_by_cloud_native_pg(args, platform, database, now);
    }
    let (database, item) = with_backups(platform, name)?;
    if platform.spec.databases.iter().any(|database| database.name == args.new) {
        bail!("there is a database {} already: choose another name, nothing is restored over data", args.new);
    }
    if item.servers.len() > 1 {
        bail!("database {name} has shards: write a database with restoreFrom for each of their claims");
    }
    let status = status(platform, name).context("the operator has not reported on backups yet: see `lpctl status`")?;
    check(args, status, now)?;
    let mut new = database.clone();
    new.name.clone_from(&args.new);
    new.renamed_from = None;
    if wished(&item).is_some() {
        let volume_snapshot = Some(snapshot(args, name, status)?);
        if let Some(spec) = &mut new.in_cluster {
            spec.restore_from = Some(RestoreFrom { volume_snapshot, ..RestoreFrom::default() });
        }
        return Ok(new);
    }
    let backup = item.spec.backup.as_ref();
    let s3 = match backup.and_then(|backup| backup.s3.as_ref()).zip(item.servers.first()).filter(|_| args.from_s3) {
        Some((bucket, server)) => {
            let folder = bucket::folder(&item, server, bucket);
            let prefix = folder.strip_prefix(&format!("{}/", bucket.bucket)).map(str::to_owned);
            Some(Bucket { prefix, ..bucket.clone() })
        }
        None if args.from_s3 => bail!("backups of database {name} are brought to no bucket: leave out --from-s3"),
        None => None,
    };
    if let Some(spec) = &mut new.in_cluster {
        // Two databases of one system must not bring their log to one folder.
        if let Some(prefix) = spec.backup.as_mut().and_then(|backup| backup.s3.as_mut()?.prefix.as_mut()) {
            *prefix = format!("{prefix}-{}", args.new);
        }
        spec.restore_from = Some(RestoreFrom {
            claim: s3.is_none().then(|| status.claim.clone()),
            s3,
            volume_snapshot: None,
            backup: args.backup.clone(),
            target_time: args.at.map(|at| at.to_string()),
        });
    }
    Ok(new)
}

/// The snapshot that is named, else the newest: each of them is one moment.
fn snapshot(args: &Args, name: &str, status: &BackupStatus) -> anyhow::Result<String> {
    if args.from_s3 {
        bail!("backups of database {name} are brought to no bucket: leave out --from-s3");
    }
    if args.at.is_some() {
        bail!(
            "backups of database {name} are snapshots, each of one moment: leave out --at, and choose one with --backup; `lpctl backup \
             {name} --list` shows them"
        );
    }
    let newest = status.backups.first().map(|backup| backup.name.clone());
    args.backup.clone().or(newest).context("no backup is complete yet: take one with `lpctl backup`")
}

/// The same of a database that CloudNativePG runs. The new one's backups are in a folder of its own, beside those of the other.
fn restored_by_cloud_native_pg(
    args: &Args,
    platform: &LearningPlatform,
    database: &Database,
    now: Timestamp,
) -> anyhow::Result<Database> {
    let item = delegated::with_backups(platform, database)?;
    if platform.spec.databases.iter().any(|database| database.name == args.new) {
        bail!("there is a database {} already: choose another name, nothing is restored over data", args.new);
    }
    if args.backup.is_some() {
        bail!("CloudNativePG chooses the backup to begin with: say --at, or neither");
    }
    let window = platform.status.as_ref().and_then(|status| status.databases.iter().find(|s| s.name == database.name));
    let since = window.and_then(|store| store.backup_window.as_ref());
    let since = since.and_then(|window| window.restorable_since.as_ref().or(window.last.as_ref()));
    let since = since.context("no backup is complete yet: take one with `lpctl backup`")?;
    if let Some(at) = args.at {
        if at > now {
            bail!("--at {at} is still to come");
        }
        if since.parse::<Timestamp>().is_ok_and(|since| at < since) {
            bail!("--at {at} is before {since}: there is no earlier backup to begin with");
        }
    }
    let mut new = database.clone();
    new.name.clone_from(&args.new);
    new.renamed_from = None;
    if let Some(spec) = &mut new.cloud_native_pg
        && let Some(backup) = &spec.backup
    {
        spec.restore_from = Some(CloudNativePgRestore {
            s3: backup.s3.clone(),
            cluster: item.cluster,
            target_time: args.at.map(|at| at.to_string()),
        });
    }
    Ok(new)
}

/// Refuses what could not come to anything.
fn check(args: &Args, status: &BackupStatus, now: Timestamp) -> anyhow::Result<()> {
    if status.backups.is_empty() {
        bail!("no backup is complete yet: take one with `lpctl backup`");
    }
    let named = args.backup.as_ref().map(|name| status.backups.iter().find(|backup| backup.name == *name).ok_or(name));
    let named = named.transpose().map_err(|name| no_such(name, status))?;
    let Some(at) = args.at else { return Ok(()) };
    if at > now {
        bail!("--at {at} is still to come");
    }
    let is_base = |backup: &&StoredBackup| backup.method != Some(BackupMethod::Logical);
    // The list names the newest alone: what is older than all of them may be there all the same, unless one is named.
    let Some(first) = named.or_else(|| status.backups.iter().rfind(is_base)).filter(is_base) else {
        bail!("no log leads from a logical backup to a time: leave out --at to have all of it");
    };
    if first.ended.parse::<Timestamp>().is_ok_and(|ended| at < ended) {
        bail!(
            "--at {at} is before backup {} was complete, at {}: there is no earlier one to begin with",
            first.name,
            first.ended
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform() -> LearningPlatform {
        serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": "story", "namespace": "learning"},
            "spec": {"databases": [
                {"name": "main", "renamedFrom": "old", "connectionBudget": 80, "inCluster": {
                    "volume": {"storage": "1Gi"}, "readReplicas": 2,
                    "backup": {"schedule": {"cron": "0 3 * * *"}, "volume": {"storage": "2Gi"}},
                }},
                {"name": "bare", "inCluster": {"volume": {"storage": "1Gi"}}},
                {"name": "shots", "inCluster": {
                    "volume": {"storage": "1Gi"}, "backup": {"method": "VolumeSnapshot", "schedule": {"cron": "0 3 * * *"}},
                }},
                {"name": "exams", "cloudNativePG": {
                    "volume": {"storage": "1Gi"},
                    "backup": {"schedule": {"cron": "0 3 * * *"}, "s3": {"bucket": "school", "prefix": "db"}},
                }},
            ]},
            "status": {"databases": [{"name": "exams", "backupWindow": {
                "location": "s3://school/db/story-exams-pg", "restorableSince": "2026-11-01T03:00:09Z",
            }}, {"name": "shots", "backup": {
                "claim": "data-story-shots-pg-0",
                "backups": [
                    {"name": "story-shots-2", "ended": "2026-11-02T03:00:09Z", "bytes": 7},
                    {"name": "story-shots-1", "ended": "2026-11-01T03:00:09Z", "bytes": 7},
                ],
            }}, {"name": "main", "backup": {
                "claim": "data-story-old-backup-0",
                "backups": [
                    {"name": "b", "ended": "2026-11-02T03:00:09Z", "bytes": 7}, {"name": "a", "ended": "2026-11-01T03:00:09Z", "bytes": 7},
                    {"name": "0", "ended": "2026-10-31T03:00:09Z", "bytes": 7, "method": "Logical"},
                ],
            }}]},
        }))
        .unwrap()
    }

    fn tried(name: &str, new: &str, backup: Option<&str>, at: Option<&str>) -> Result<Database, String> {
        let args = Args {
            names: vec![name.to_owned()],
            new: new.to_owned(),
            backup: backup.map(str::to_owned),
            at: at.map(|at| at.parse().unwrap()),
            from_s3: false,
            apply: false,
        };
        of(&args, name, &platform())
    }

    fn of(args: &Args, name: &str, platform: &LearningPlatform) -> Result<Database, String> {
        let now = "2026-11-02T12:00:00Z".parse().unwrap();
        restored(args, platform, name, now).map_err(|error| error.to_string())
    }

    #[test]
    fn the_new_item_is_the_old_one_under_another_name_made_of_its_backups() {
        let new = tried("main", "copy", None, Some("2026-11-02T09:00:00+01:00")).unwrap();
        let spec = new.in_cluster.unwrap();
        assert_eq!((new.name.as_str(), new.renamed_from, new.connection_budget), ("copy", None, Some(80)));
        assert_eq!(spec.read_replicas, Some(2));
        let from = spec.restore_from.unwrap();
        assert_eq!(
            (from.claim.as_deref(), from.target_time.as_deref()),
            (Some("data-story-old-backup-0"), Some("2026-11-02T08:00:00Z"))
        );
    }

    #[test]
    fn from_the_bucket_it_is_made_of_the_folder_of_the_old_one_and_brings_its_own_backups_elsewhere() {
        let tried = |bucket: Option<serde_json::Value>| {
            let mut platform = platform();
            let spec = platform.spec.databases[0].in_cluster.as_mut().unwrap().backup.as_mut().unwrap();
            spec.s3 = bucket.map(|bucket| serde_json::from_value(bucket).unwrap());
            let names = vec!["main".to_owned()];
            let args = Args { names, new: "copy".to_owned(), backup: None, at: None, from_s3: true, apply: false };
            of(&args, "main", &platform)
        };
        let secret = json!({"name": "s3"});
        for (prefix, folder, own) in [(None, "learning/story-old", None), (Some("x"), "x", Some("x-copy"))] {
            let mut bucket = json!({"bucket": "b", "endpoint": "http://minio:9000", "credentialsSecret": secret});
            bucket["prefix"] = json!(prefix);
            let spec = tried(Some(bucket)).unwrap().in_cluster.unwrap();
            let from = spec.restore_from.unwrap();
            assert_eq!((from.claim, from.s3.as_ref().unwrap().prefix.as_deref()), (None, Some(folder)));
            assert_eq!(from.s3.unwrap().credentials_secret.unwrap().name, "s3");
            assert_eq!(spec.backup.unwrap().s3.unwrap().prefix.as_deref(), own);
        }
        assert!(tried(None).unwrap_err().contains("brought to no bucket"));
    }

    #[test]
    fn of_snapshots_it_is_made_of_the_newest_or_the_one_that_is_named() {
        for (backup, made_of) in [(None, "story-shots-2"), (Some("story-shots-1"), "story-shots-1")] {
            let spec = tried("shots", "copy", backup, None).unwrap().in_cluster.unwrap();
            let from = RestoreFrom { volume_snapshot: Some(made_of.to_owned()), ..RestoreFrom::default() };
            assert_eq!(spec.restore_from, Some(from));
            assert!(spec.backup.is_some(), "it is backed up as the other is");
        }
    }

    #[test]
    fn a_database_of_cloud_native_pg_is_made_of_the_folder_of_the_other() {
        let new = tried("exams", "copy", None, Some("2026-11-02T09:00:00+01:00")).unwrap();
        let spec = new.cloud_native_pg.unwrap();
        let from = spec.restore_from.unwrap();
        assert_eq!((new.name.as_str(), from.cluster.as_str()), ("copy", "story-exams-pg"));
        assert_eq!(from.target_time.as_deref(), Some("2026-11-02T08:00:00Z"));
        assert_eq!(from.s3, spec.backup.unwrap().s3);
    }

    #[test]
    fn what_cannot_come_to_anything_is_refused() {
        for (name, new, backup, at, words) in [
            ("main", "bare", None, None, "there is a database bare already"),
            ("bare", "copy", None, None, "no backups of database bare are asked for"),
            ("main", "copy", Some("c"), None, "there is no backup c; there are 0, a, b"),
            ("main", "copy", Some("0"), Some("2026-11-02T02:00:00Z"), "leave out --at"),
            ("main", "copy", None, Some("2026-11-01T00:00:00Z"), "before backup a was complete"),
            ("main", "copy", Some("b"), Some("2026-11-02T02:00:00Z"), "before backup b was complete"),
            ("main", "copy", None, Some("2026-11-03T00:00:00Z"), "is still to come"),
            ("shots", "copy", Some("c"), None, "there is no backup c; there are story-shots-1, story-shots-2"),
            ("shots", "copy", None, Some("2026-11-02T08:00:00Z"), "choose one with --backup"),
            ("exams", "bare", None, None, "there is a database bare already"),
            ("exams", "copy", Some("b"), None, "CloudNativePG chooses"),
            ("exams", "copy", None, Some("2026-11-03T00:00:00Z"), "is still to come"),
            ("exams", "copy", None, Some("2026-11-01T00:00:00Z"), "no earlier backup to begin with"),
        ] {
            let error = tried(name, new, backup, at).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
