//! The Kubernetes objects of a database that CloudNativePG runs.

use super::{CloudNativePg, DEFAULT_IMAGE, Seen, backup};
use crate::{
    kinds::Kind,
    tiers::{
        database::PORT,
        store::{
            pods,
            record::{self, SYSTEM_IDENTIFIER},
            uses_label,
        },
    },
};
use crds::tiers::cloud_native_pg::FailoverDurability;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeSet;

type Built = Result<DynamicObject, serde_json::Error>;

/// Label that CloudNativePG gives all pods of a `Cluster`, and to its Jobs' pods: the `Cluster`'s name.
const CLUSTER: &str = "cnpg.io/cluster";
/// The port of CloudNativePG's instance manager, which its operator asks.
const STATUS_PORT: u16 = 8000;
/// The port of CloudNativePG's own exporter.
const METRICS_PORT: u16 = 9187;
/// How the record says who runs the servers.
pub const RUNNER: &str = "cloudNativePG";
/// The part of the volume that the log of replicas that are gone may fill, as a divisor (A17 of the data tiers' design).
const KEPT_LOG: u64 = 4;

/// Everything of a database, in the order of application. The record comes after the `Cluster`: before that there are no data.
pub fn objects(database: &CloudNativePg, seen: &Seen) -> Vec<Built> {
    if seen.held.is_some() {
        return Vec::new();
    }
    let policy = database.spec.deletion_policy.unwrap_or_default();
    let mut objects = backup::stores(database, seen);
    objects.extend([
        cluster(database, seen),
        record::config_map(&database.identity, &database.cluster, policy, &record(seen)),
        network_policy(database),
    ]);
    objects.extend(backup::schedule(database, seen));
    objects
}

/// What is known of the data: what was known, and what the `Cluster` has said since.
fn record(seen: &Seen) -> record::Record {
    let mut known = seen.record.clone().unwrap_or_default();
    known.remove(record::ABANDONED);
    known.insert(record::RUNNER.to_owned(), RUNNER.to_owned());
    if let Some(found) = seen.reported.as_ref().and_then(|reported| reported.system_identifier.clone()) {
        known.entry(SYSTEM_IDENTIFIER.to_owned()).or_insert(found);
    }
    known
}

/// Only what is meant: everything else is CloudNativePG's, or whoever's set it.
fn cluster(database: &CloudNativePg, seen: &Seen) -> Built {
    let spec = &database.spec;
    let instances = seen.scaled.unwrap_or(database.replicas + 1);
    let policy = spec.deletion_policy.unwrap_or_default();
    Kind::CloudNativePgCluster.object(&json!({
        "metadata": { "name": database.cluster, "labels": database.identity.data_labels(policy) },
        "spec": {
            "instances": seen.scaled.is_none().then_some(instances),
            "imageName": spec.image.as_deref().unwrap_or(DEFAULT_IMAGE),
            "postgresUID": spec.run_as_user,
            "postgresGID": spec.run_as_user,
            "storage": { "size": spec.volume.storage, "storageClass": spec.volume.storage_class },
            "bootstrap": backup::bootstrap(database, &seen.backup),
            "externalClusters": backup::external_clusters(database, &seen.backup),
            "plugins": backup::plugins(database, &seen.backup),
            "enableSuperuserAccess": false,
            "postgresql": { "parameters": parameters(database), "synchronous": synchronous(database) },
            // An isolated primary would go on acknowledging to those who are connected for as long.
            "smartShutdownTimeout": 0,
            "primaryUpdateStrategy": "unsupervised",
            "affinity": { "podAntiAffinityType": "preferred", "topologyKey": "topology.kubernetes.io/zone" },
            "resources": spec.resources.as_ref().map(pods::requirements),
            // Of a single server it would block the drain of its node for ever.
            "enablePDB": instances > 1,
        },
    }))
}

fn parameters(database: &CloudNativePg) -> Value {
    let mut parameters = json!(database.spec.parameters);
    if let Some(bytes) = pods::bytes(&database.spec.volume.storage) {
        parameters["max_slot_wal_keep_size"] = format!("{}MB", (bytes / KEPT_LOG / (1 << 20)).max(1)).into();
    }
    parameters
}

fn synchronous(database: &CloudNativePg) -> Value {
    match database.spec.durability.unwrap_or_default() {
        FailoverDurability::Local => Value::Null,
        FailoverDurability::Required => json!({
            "method": "any", "number": database.spec.sync_replicas.unwrap_or(1), "dataDurability": "required",
            "failoverQuorum": true,
        }),
    }
}

/// Servers talk to each other, to the apps that use the database, and to CloudNativePG; whoever scrapes asks their exporter.
fn network_policy(database: &CloudNativePg) -> Built {
    let own = json!({ "podSelector": { "matchLabels": { CLUSTER: database.cluster } } });
    let runner = json!({
        "namespaceSelector": {}, "podSelector": { "matchLabels": { "app.kubernetes.io/name": "cloudnative-pg" } },
    });
    // Pods that were made before the item was renamed carry its former name.
    let names = BTreeSet::from([&database.name, &database.identity.id]);
    let user = |name: &String| json!({ "podSelector": { "matchLabels": { uses_label(name): "true" } } });
    let from: Vec<Value> = [own.clone(), runner.clone()].into_iter().chain(names.into_iter().map(user)).collect();
    let port = |port: u16| json!([{ "protocol": "TCP", "port": port }]);
    Kind::NetworkPolicy.object(&json!({
        "metadata": { "name": database.object_name, "labels": database.identity.labels() },
        "spec": {
            "podSelector": { "matchLabels": { CLUSTER: database.cluster } },
            "policyTypes": ["Ingress"],
            "ingress": [
                { "from": from, "ports": port(PORT) },
                { "from": [own, runner], "ports": port(STATUS_PORT) },
                { "ports": port(METRICS_PORT) },
            ],
        },
    }))
}
