//! Backups of a database that CloudNativePG runs: `Backup` objects of its own, which it carries out.

use super::{Args, LOOK};
use crate::{
    cluster::Cluster,
    exit::Exit,
    output::{self, age, pad},
};
use anyhow::{Context, bail};
use crds::{
    LearningPlatform,
    status::{BackupWindow, StoreStatus},
    tiers::database::Database,
};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use operator::tiers::database::cloud_native_pg::{CloudNativePg, backup::PLUGIN};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Label that CloudNativePG gives a `Backup`: the `Cluster`'s name.
const CLUSTER: &str = "cnpg.io/cluster";

/// What the list shows of the backups of a database.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(flatten)]
    window: BackupWindow,
    backups: Vec<Listed>,
}

/// A `Backup`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    phase: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Listed {
    fn of(backup: &DynamicObject) -> Self {
        let status = &backup.data["status"];
        let text = |field: &str| status[field].as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let phase = text("phase").unwrap_or_else(|| "pending".to_owned());
        Self { name: backup.name_any(), phase, ended: text("stoppedAt"), error: text("error") }
    }
}

fn backups(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("postgresql.cnpg.io", "v1", "Backup");
    Api::namespaced_with(cluster.client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, "backups"))
}

/// Takes a backup, or lists those that there are.
///
/// # Errors
/// When none can be started, or it cannot be seen what became of it.
pub(super) async fn run(
    args: &Args,
    cluster: &Cluster,
    platform: &LearningPlatform,
    database: &Database,
) -> anyhow::Result<Exit> {
    let item = with_backups(platform, database)?;
    let (backups, name) = (backups(cluster, &item.namespace), &item.cluster);
    if args.list {
        let list = backups.list(&ListParams::default().labels(&format!("{CLUSTER}={name}"))).await;
        let mut list: Vec<_> = list.map_err(|e| cluster.explain("the Backups cannot be listed", e))?.items;
        list.sort_by_key(|backup| std::cmp::Reverse(backup.metadata.creation_timestamp.as_ref().map(|time| time.0)));
        let window = store(platform, &database.name).and_then(|store| store.backup_window.clone()).unwrap_or_default();
        let list = List { window, backups: list.iter().map(Listed::of).collect() };
        output::emit(&output::formatted(args.output, &list, |list| table(list, Timestamp::now()))?)?;
        return Ok(Exit::Good);
    }
    let backup = wanted(name, Timestamp::now())?;
    let made = backups.create(&PostParams::default(), &backup).await;
    let made = made.map_err(|e| cluster.explain("the Backup cannot be made", e))?.name_any();
    eprintln!("started Backup {made}");
    if args.no_wait {
        return Ok(Exit::Good);
    }
    let end = Instant::now() + Duration::from_secs(args.timeout);
    while Instant::now() < end {
        let found = backups.get(&made).await;
        let found = Listed::of(&found.map_err(|e| cluster.explain(&format!("Backup {made} cannot be read"), e))?);
        match found.phase.as_str() {
            "completed" => {
                output::emit(&format!("backup {made} is complete\n"))?;
                return Ok(Exit::Good);
            }
            phase @ ("failed" | "invalid backup definition") => {
                let why = found.error.unwrap_or_else(|| phase.to_owned());
                let how = format!("kubectl -n {} describe backups.postgresql.cnpg.io {made}", item.namespace);
                output::emit(&format!("failed: {why}\n  {how}\n"))?;
                return Ok(Exit::Found);
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
    bail!("Backup {made} has not ended yet, and goes on: `lpctl backup --list` shows it when it is complete")
}

/// What is made for a database.
///
/// # Errors
/// When no backups of it are taken, with what to do.
pub(in crate::commands) fn with_backups(
    platform: &LearningPlatform,
    database: &Database,
) -> anyhow::Result<CloudNativePg> {
    let name = &database.name;
    let spec = database.cloud_native_pg.as_ref().context("CloudNativePG does not run it")?;
    if spec.backup.is_none() {
        bail!("no backups of database {name} are asked for: set databases[{name}].cloudNativePG.backup");
    }
    let conditions = store(platform, name).map(|store| store.conditions.as_slice()).unwrap_or_default();
    if let Some(missing) = conditions.iter().find(|c| c.type_ == "BackupReady" && c.reason == "NotFound") {
        bail!("{}", missing.message);
    }
    let namespace = platform.namespace().unwrap_or_default();
    Ok(CloudNativePg::new(&platform.name_any(), &namespace, database, spec))
}

fn store<'a>(platform: &'a LearningPlatform, name: &str) -> Option<&'a StoreStatus> {
    platform.status.as_ref()?.databases.iter().find(|store| store.name == name)
}

/// A `Backup` as a `ScheduledBackup` makes it.
fn wanted(cluster: &str, now: Timestamp) -> anyhow::Result<DynamicObject> {
    let backup = json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup",
        "metadata": { "name": format!("{cluster}-{}", now.as_second()), "labels": { CLUSTER: cluster } },
        "spec": {
            "cluster": { "name": cluster }, "method": "plugin", "pluginConfiguration": { "name": PLUGIN },
        },
    });
    serde_json::from_value::<DynamicObject>(backup as Value).context("the Backup has no form")
}

fn table(list: &List, now: Timestamp) -> String {
    let width = list.backups.iter().map(|backup| backup.name.len()).max().unwrap_or_default().max(4);
    let mut out = format!("{}  {}  PHASE\n", pad("NAME", width), pad("AGE", 5));
    for Listed { name, phase, ended, error } in &list.backups {
        let age = ended.as_ref().and_then(|ended| Some(age(ended.parse().ok()?, now))).unwrap_or_default();
        let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        out.push_str(&format!("{}  {}  {phase}{error}\n", pad(name, width), pad(&age, 5)));
    }
    if list.backups.is_empty() {
        out = "there is none yet\n".to_owned();
    }
    let BackupWindow { location, archiving, restorable_since, next, .. } = &list.window;
    match archiving {
        Some(true) => out.push_str("the log that follows is archived\n"),
        Some(false) => out.push_str("the log that follows is not archived now; the servers keep it meanwhile\n"),
        None => {}
    }
    if let Some(since) = restorable_since {
        out.push_str(&format!("it can be restored as of any time since {since}, from {location}\n"));
    }
    if let Some(next) = next {
        out.push_str(&format!("the next one is due at {next}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(backup: Value, reason: &str) -> LearningPlatform {
        serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": "story", "namespace": "learning"},
            "spec": {"databases": [{"name": "main", "cloudNativePG": {"volume": {"storage": "1Gi"}, "backup": backup}}]},
            "status": {"databases": [{"name": "main", "conditions": [{
                "type": "BackupReady", "status": "False", "reason": reason, "message": "no backups are taken: x",
                "lastTransitionTime": "2026-11-02T05:00:00Z",
            }]}]},
        }))
        .unwrap()
    }

    #[test]
    fn it_is_said_why_none_can_be_taken() {
        let asked = || json!({"schedule": {"cron": "0 3 * * *"}, "s3": {"bucket": "school"}});
        for (backup, reason, expected) in [
            (asked(), "BackupOverdue", Ok("story-main-pg")),
            (asked(), "NotFound", Err("no backups are taken: x")),
            (Value::Null, "", Err("set databases[main].cloudNativePG.backup")),
        ] {
            let platform = platform(backup, reason);
            match (with_backups(&platform, &platform.spec.databases[0]), expected) {
                (Ok(item), Ok(cluster)) => assert_eq!(item.cluster, cluster),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, expected) => panic!("{:?} for {expected:?}", found.map(|item| item.cluster)),
            }
        }
    }

    #[test]
    fn they_are_listed_with_their_age_and_what_became_of_them() {
        let now: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
        let backup = |name: &str, status: Value| {
            let mut backup = wanted("story-main-pg", now).unwrap();
            backup.metadata.name = Some(name.to_owned());
            backup.data["status"] = status;
            Listed::of(&backup)
        };
        let window = BackupWindow {
            location: "s3://school/learning/story-main-pg".into(),
            archiving: Some(true),
            restorable_since: Some("2026-11-01T03:00:00Z".into()),
            next: Some("2026-11-03T03:00:00Z".into()),
            ..BackupWindow::default()
        };
        let list = List {
            window,
            backups: vec![
                backup("b-2", json!({"phase": "failed", "error": "no bucket"})),
                backup("b-1", json!({"phase": "completed", "stoppedAt": "2026-11-02T03:00:00Z"})),
                backup("b-0", Value::Null),
            ],
        };
        assert_eq!(
            table(&list, now),
            "NAME  AGE    PHASE\n\
             b-2          failed: no bucket\n\
             b-1   2h     completed\n\
             b-0          pending\n\
             the log that follows is archived\n\
             it can be restored as of any time since 2026-11-01T03:00:00Z, from s3://school/learning/story-main-pg\n\
             the next one is due at 2026-11-03T03:00:00Z\n"
        );
        let none = List { window: BackupWindow::default(), backups: Vec::new() };
        assert_eq!(table(&none, now), "there is none yet\n");
    }
}
