//! Backups by snapshots of volumes: `VolumeSnapshot` objects, as the operator makes them.

use super::{Args, LOOK, size};
use crate::{cluster::Cluster, exit::Exit, output};
use anyhow::{Context, bail};
use crds::{LearningPlatform, status::StoreStatus};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt, api::PostParams, core::DynamicObject};
use operator::{
    kinds::Kind,
    tiers::{
        database::in_cluster::{
            InCluster, Server,
            backup::snapshots::{Snapshot, object},
        },
        store::record::{self, SYSTEM_IDENTIFIER},
    },
};
use std::time::{Duration, Instant};

/// Takes a snapshot of each of a database's primaries.
///
/// # Errors
/// When none can be taken, or it cannot be seen what became of it.
pub(super) async fn run(
    args: &Args,
    cluster: &Cluster,
    platform: &LearningPlatform,
    item: &InCluster,
) -> anyhow::Result<Exit> {
    if let Some(missing) = missing(platform, &item.name) {
        bail!("{missing}");
    }
    let kind = Kind::VolumeSnapshot;
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &item.namespace, &kind.resource());
    let mut names = Vec::new();
    for server in &item.servers {
        let wanted = wanted(cluster, item, server).await?;
        let made = api.create(&PostParams::default(), &wanted).await;
        let made = made.map_err(|e| cluster.explain("the VolumeSnapshot cannot be made", e))?.name_any();
        eprintln!("started {kind} {made}");
        names.push(made);
    }
    if args.no_wait {
        return Ok(Exit::Good);
    }
    let (mut exit, end) = (Exit::Good, Instant::now() + Duration::from_secs(args.timeout));
    for name in names {
        let told = loop {
            let found = api.get(&name).await;
            let found = found.map_err(|e| cluster.explain(&format!("{kind} {name} cannot be read"), e))?;
            match Snapshot::of(&found) {
                Some(snapshot) if snapshot.ready || snapshot.error.is_some() => break snapshot,
                _ if Instant::now() >= end => {
                    bail!("{kind} {name} is not ready yet, and goes on: `lpctl backup --list` shows it when it is")
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        };
        output::emit(&said(&told, &item.namespace))?;
        if !told.ready {
            exit = Exit::Found;
        }
    }
    Ok(exit)
}

/// A snapshot by hand. Only of data that are known: what it is of has to be told of it for good.
async fn wanted(cluster: &Cluster, item: &InCluster, server: &Server) -> anyhow::Result<DynamicObject> {
    let name = record::name(&server.object_name);
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &item.namespace);
    let found =
        maps.get_opt(&name).await.map_err(|e| cluster.explain(&format!("ConfigMap {name} cannot be read"), e))?;
    let record = found.and_then(|map| map.data).unwrap_or_default();
    if !record.contains_key(SYSTEM_IDENTIFIER) {
        bail!("database {} has never served: there is nothing to back up yet", item.name);
    }
    object(item, server, &record, Timestamp::now(), None).context("the VolumeSnapshot has no form")
}

/// That the cluster has no such API, in the operator's words.
fn missing(platform: &LearningPlatform, name: &str) -> Option<String> {
    let of = |store: &&StoreStatus| store.name == name;
    let store = platform.status.as_ref()?.databases.iter().find(of)?;
    let condition = store.conditions.iter().find(|c| c.type_ == "BackupReady" && c.reason == "NotFound");
    condition.map(|condition| condition.message.clone())
}

fn said(snapshot: &Snapshot, namespace: &str) -> String {
    let name = &snapshot.name;
    if snapshot.ready {
        let size =
            snapshot.bytes.and_then(|bytes| i64::try_from(bytes).ok()).map(|bytes| format!(", of {}", size(bytes)));
        return format!("backup {name} is complete{}\n", size.unwrap_or_default());
    }
    let why = snapshot.error.as_deref().unwrap_or_default();
    format!(
        "failed: {why}\n  its driver goes on trying: kubectl -n {namespace} describe volumesnapshots.snapshot.storage.k8s.io {name}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn snapshot(status: Value) -> Snapshot {
        let object = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {"name": "story-main-1", "creationTimestamp": "2026-11-02T03:00:00Z"}, "status": status,
        });
        Snapshot::of(&serde_json::from_value(object).unwrap()).unwrap()
    }

    #[test]
    fn what_became_of_it_is_told() {
        let ready = snapshot(json!({"readyToUse": true, "restoreSize": "20Gi"}));
        assert_eq!(said(&ready, "learning"), "backup story-main-1 is complete, of 20.0 GiB\n");
        let failed = snapshot(json!({"readyToUse": false, "error": {"message": "no such class"}}));
        let words = said(&failed, "learning");
        assert!(
            words.starts_with("failed: no such class\n") && words.contains("kubectl -n learning describe"),
            "{words}"
        );
    }

    #[test]
    fn a_missing_api_is_told_in_the_operators_words() {
        let platform = |reason: &str| -> LearningPlatform {
            serde_json::from_value(json!({
                "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
                "metadata": {"name": "story", "namespace": "learning"}, "spec": {},
                "status": {"databases": [{"name": "main", "conditions": [{
                    "type": "BackupReady", "status": "False", "reason": reason, "message": "no snapshots are taken: x",
                    "lastTransitionTime": "2026-11-02T05:00:00Z",
                }]}]},
            }))
            .unwrap()
        };
        assert_eq!(missing(&platform("NotFound"), "main").as_deref(), Some("no snapshots are taken: x"));
        assert_eq!(missing(&platform("BackupFailed"), "main"), None);
        assert_eq!(missing(&platform("NotFound"), "other"), None);
    }
}
