//! `spec.databases[].cloudNativePG`: PostgreSQL that the operator CloudNativePG runs in this cluster.

use super::{
    cloud_native_pg_backup::{CloudNativePgBackup, CloudNativePgRestore},
    in_cluster::DeletionPolicy,
    in_cluster::StoreVolume,
    pod::Resources,
};
use crate::schema;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// PostgreSQL in this cluster, run by CloudNativePG: a primary and read replicas, one of which takes over by itself when the
/// primary fails. The operator makes a `Cluster` of `postgresql.cnpg.io/v1` and leaves the servers to CloudNativePG, which has
/// to be installed. Connections are encrypted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.durability) || self.durability == 'Local' || (has(self.readReplicas) && self.readReplicas >= (has(self.syncReplicas) ? self.syncReplicas : 1))").message(
    "cloudNativePG.durability: commits would wait for replicas that are not there: raise readReplicas, or lower syncReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.maxReadReplicas) || !has(self.readReplicas) || self.readReplicas <= self.maxReadReplicas").message(
    "cloudNativePG.readReplicas must not be above maxReadReplicas: raise maxReadReplicas"
))]
#[x_kube(validation = Rule::new("(has(self.database) ? self.database : 'app') == (has(oldSelf.database) ? oldSelf.database : 'app')").message(
    "cloudNativePG.database cannot be changed, because CloudNativePG makes it once: add a second database and move the rows"
))]
pub struct CloudNativePgDatabase {
    /// The volume of each pod, of the primary and of each replica.
    pub volume: StoreVolume,

    /// Read replicas; there is one pod more than that. Default 0. Between 1 and `maxReadReplicas` a change changes no app's
    /// pods; from 0 or to 0 it replaces them once, because reads then go to other addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub read_replicas: Option<i32>,

    /// Most read replicas that there may ever be: the apps get that many numbered addresses. Each leads to any of the
    /// replicas. A change replaces the apps' pods. Default: 3, or `readReplicas` where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub max_read_replicas: Option<i32>,

    /// Image of PostgreSQL that CloudNativePG can run; its tag begins with the major version. Name the distribution's
    /// release, too: another C library sorts texts differently, and indexes made with the old one are wrong then. Default
    /// `ghcr.io/cloudnative-pg/postgresql:17-standard-bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// Numeric user and group of the server process, who owns the volume. It cannot be changed once there are volumes.
    /// Default 26, as in CloudNativePG's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2147483647))]
    pub run_as_user: Option<i64>,

    /// What each pod asks for and may use. A change replaces the pods one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Name of the database, and of the role that owns it. Default `app`. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 48), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    pub database: Option<String>,

    /// Which commits survive. Default `Local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<FailoverDurability>,

    /// Replicas that must have a commit before it is acknowledged, where `durability` is `Required`. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub sync_replicas: Option<i32>,

    /// Further settings of the server, by their names in `postgresql.conf`. CloudNativePG keeps some of them for itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,

    /// Backups in a bucket. Taken away, no more are taken, and those that there are stay. Either replaces the pods one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<CloudNativePgBackup>,

    /// Makes the database of backups, instead of an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<CloudNativePgRestore>,

    /// What becomes of the rows when the resource is deleted. Default `Retain`: the `Cluster` stays and runs on, because
    /// CloudNativePG deletes the volumes with it. Backups stay in either case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// Which commits survive where a replica takes over by itself. All acknowledged ones survive a crash of the primary that
/// restarts on its volume.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum FailoverDurability {
    /// When a replica takes over: those that it had received.
    #[default]
    Local,
    /// When a replica takes over: all. Commits wait while too few replicas answer.
    Required,
}
