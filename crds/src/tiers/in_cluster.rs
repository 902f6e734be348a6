//! What the stores that run in the cluster have in common: their pods, their volumes, and what becomes of their data.

use super::pod::{Discovery, Resources};
use crate::schema;
use k8s_openapi::{
    api::core::v1::{LocalObjectReference, Toleration},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The pods of a store.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct StorePods {
    /// Secrets with the credentials of the image's registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// What each pod asks for and may use. A change replaces the pods one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Numeric user of the server process, who owns the volume. Default 999, as in the official images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2147483647))]
    pub run_as_user: Option<i64>,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
}

/// The volume of each pod of a store.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("quantity(string(self.storage)).compareTo(quantity(string(oldSelf.storage))) >= 0").message(
    "volume.storage must not be lowered: volumes do not shrink"
))]
#[x_kube(validation = Rule::new("(has(self.storageClass) ? self.storageClass : '') == (has(oldSelf.storageClass) ? oldSelf.storageClass : '')").message(
    "volume.storageClass cannot be changed, because data would have to move: add a second store and move them"
))]
pub struct StoreVolume {
    /// Size. It may be raised where the storage class lets volumes grow, and never lowered.
    #[schemars(schema_with = "schema::quantity")]
    pub storage: Quantity,

    /// Storage class. Default: the cluster's default class. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class: Option<String>,
}

/// How often the password of a store is changed by itself. Apps change over by one rollout each, and the former password is
/// accepted until that is done.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PasswordRotation {
    /// Time from one change to the next, a Go duration of at least `1h`.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1h')").message("passwordRotation.every must be at least 1h"))]
    pub every: Duration,
}

/// A container beside each server that tells Prometheus of it: `redis_exporter` on port 9121 of a cache's pods,
/// `postgres_exporter` on port 9187 of a database's. It logs in by a role of its own that reads no data. To add it, to
/// change it or to take it away replaces the pods once, one by one. A pod whose exporter does not run counts as not ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct StoreExporter {
    /// Image of the exporter. Default `docker.io/oliver006/redis_exporter:v1.92.1` for a cache, and
    /// `docker.io/prometheuscommunity/postgres-exporter:v0.20.1` for a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// What the container asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// How Prometheus is told of the pods. Without it: by `PodMonitor` where the cluster has that API when the exporter
    /// is added, else by `Annotations`. A change replaces the pods, one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,

    /// Further labels of the PodMonitor, such as those a Prometheus selects monitors by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitor_labels: BTreeMap<String, String>,
}

/// What becomes of a store's data when the resource is deleted.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum DeletionPolicy {
    /// Volumes and passwords stay. The same resource, applied again, finds them.
    #[default]
    Retain,
    /// Volumes and passwords are deleted with the resource.
    Delete,
}
