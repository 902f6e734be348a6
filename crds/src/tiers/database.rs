//! `spec.databases[]`: PostgreSQL servers that apps use.

use super::{
    backup::{Backup, RestoreFrom},
    cloud_native_pg::CloudNativePgDatabase,
    endpoint::{LoginSecret, StoreTls},
    in_cluster::{DeletionPolicy, PasswordRotation, StoreExporter, StorePods, StoreVolume},
    pooler::Pooler,
    rds::RdsDatabase,
    server_tls::ServerTls,
};
use crate::schema;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One database. Exactly one provider says where it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.inCluster) ? 1 : 0) + (has(self.cloudNativePG) ? 1 : 0) + (has(self.rds) ? 1 : 0) + (has(self.external) ? 1 : 0) == 1").message(
    "databases[]: say where the database runs: set exactly one of inCluster, cloudNativePG, rds and external"
))]
#[x_kube(validation = Rule::new("!has(self.renamedFrom) || !has(self.external)").message(
    "databases[].renamedFrom speaks of data of the platform's own: set inCluster, cloudNativePG or rds, or remove renamedFrom"
))]
pub struct Database {
    /// Name of the database item, unique among the platform's apps, caches, databases and CDNs. Its data are bound to it: see
    /// `renamedFrom`.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// The name that the item had when its data were made. Keep it as long as the database lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub renamed_from: Option<String>,

    /// Most connections that the platform's apps, or its pooler in their place, may open to each server of it, together: the
    /// server's `max_connections` without what it keeps for itself. Each app that uses the database must then say its
    /// `pool.max`, and a platform whose apps could open more is refused: their most pods, those of `maxSurge`, and one of each of
    /// their jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connection_budget: Option<i32>,

    /// Servers in this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InClusterDatabase>,

    /// Servers in this cluster that CloudNativePG runs.
    #[serde(default, rename = "cloudNativePG", skip_serializing_if = "Option::is_none")]
    pub cloud_native_pg: Option<CloudNativePgDatabase>,

    /// Servers at Amazon RDS. It needs `spec.aws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds: Option<RdsDatabase>,

    /// A server that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

/// PostgreSQL in this cluster: one primary, and read replicas that follow it. There is no automatic failover: when the
/// primary's node is lost, its pod starts on another node as soon as its volume can be had there.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.durability) || self.durability == 'Local' || (has(self.readReplicas) && self.readReplicas >= (has(self.syncReplicas) ? self.syncReplicas : 1))").message(
    "inCluster.durability: commits would wait for replicas that are not there: raise readReplicas, or lower syncReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.maxReadReplicas) || !has(self.readReplicas) || self.readReplicas <= self.maxReadReplicas").message(
    "inCluster.readReplicas must not be above maxReadReplicas: raise maxReadReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.readReplicaScaling) || (has(self.maxReadReplicas) && self.maxReadReplicas > (has(self.readReplicas) ? self.readReplicas : 0))").message(
    "inCluster.readReplicaScaling scales between readReplicas and maxReadReplicas: set maxReadReplicas above readReplicas"
))]
#[x_kube(validation = Rule::new("!has(oldSelf.shards) ? !has(self.shards) : (has(self.shards) && self.shards == oldSelf.shards)").message(
    "inCluster.shards cannot be changed, because apps choose a shard by the number of shards: add a second database and move the rows"
))]
#[x_kube(validation = Rule::new("!has(oldSelf.tls) || has(self.tls)").message(
    "inCluster.tls cannot be taken away again, because apps verify the servers by then: set tls.allowPlaintext: true to let others in as well"
))]
#[x_kube(validation = Rule::new("!has(self.restoreFrom) || !has(self.shards)").message(
    "inCluster.restoreFrom restores one primary: remove shards, and restore each shard as a database of its own"
))]
pub struct InClusterDatabase {
    /// The volume of each pod, of the primary and of each replica.
    pub volume: StoreVolume,

    /// Read replicas; with `readReplicaScaling` the fewest. Default 0. May be changed at any time without a change of any
    /// app's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub read_replicas: Option<i32>,

    /// Most read replicas that there may ever be: the apps get that many numbered addresses, and those without a replica of
    /// their own lead to another one, or to the primary. A change replaces the apps' pods. Default: 3, or `readReplicas`
    /// where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub max_read_replicas: Option<i32>,

    /// Scales the read replicas between `readReplicas` and `maxReadReplicas`, one at a time and at least five minutes apart.
    /// Without it there are as many as `readReplicas` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_replica_scaling: Option<ReadReplicaScaling>,

    /// Independent primaries, each with its own replicas, for apps that spread tenants over them
    /// (`DATABASE_SHARD_<i>_URL`). Without it there is one. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 16))]
    pub shards: Option<i32>,

    /// Image of PostgreSQL, from version 15. Name the distribution's release, too, as `17-bookworm` does: another C library
    /// sorts texts differently, and indexes made with the old one are wrong then. Default
    /// `docker.io/library/postgres:17-bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// The pods.
    #[serde(flatten)]
    pub pods: StorePods,

    /// Name of the database, and of the role that owns it. Default `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 48), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    pub database: Option<String>,

    /// Which commits survive. Default `Local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,

    /// Replicas that must have a commit before it is acknowledged, where `durability` is not `Local`. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 15))]
    pub sync_replicas: Option<i32>,

    /// Further settings of the server, by their names in `postgresql.conf`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,

    /// Extensions of the database. One that is added later, and needs a superuser, is made at the primary's next restart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::extensions")]
    pub extensions: Vec<String>,

    /// Changes the password by itself, from time to time. By hand it is changed by the annotation
    /// `learningplatform.dev/rotate-passwords` of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,

    /// A pooler between the apps and the primary. None by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<Pooler>,

    /// Encryption. Off by default. It may be added to a database with data, with `allowPlaintext: true` until the apps have
    /// changed over: its servers are restarted one by one. It cannot be taken away again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,

    /// Exports figures of the servers to Prometheus. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<StoreExporter>,

    /// Backups: base backups with the log that follows them, or snapshots of the volume. None by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,

    /// Makes the database of a backup, as long as it has never had data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,

    /// What becomes of the rows when the resource is deleted, and of the backups. Default `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// When a database gets another read replica, and when it loses one. It also gets one while an app waits for its primary.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadReplicaScaling {
    /// Statements that one replica is planned to run at the same time, on average over a minute; as many as its cores is a
    /// good start.
    #[schemars(range(min = 1, max = 10_000))]
    pub statements_per_replica: i32,
}

/// Which commits survive. All acknowledged ones survive a crash of the primary whose volume is kept.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Durability {
    /// When the primary's volume is lost: those that a replica had received.
    #[default]
    Local,
    /// When the primary's volume is lost: all, unless the replica's node fails, too, before it has flushed them. Commits
    /// wait while too few replicas answer.
    RemoteWrite,
    /// When the primary's volume is lost: all. Commits wait while too few replicas answer.
    Required,
}

/// A PostgreSQL server that somebody else runs: the operator hands its addresses and credentials to the apps that use it,
/// and changes nothing on it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Host, or `host:port`, of the primary; port 5432 by default. An IPv6 address is written in brackets.
    #[schemars(schema_with = "schema::address")]
    pub address: String,

    /// Addresses of read replicas, in the order of the numbered variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::addresses")]
    pub replicas: Vec<String>,

    /// Name of the database on the server.
    #[schemars(length(min = 1, max = 63))]
    pub database: String,

    /// User name and password.
    pub secret: LoginSecret,

    /// Set (`{}` is enough) where the server speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}
