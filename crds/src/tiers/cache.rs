//! `spec.caches[]`: Redis and Valkey servers that apps use.

use super::{
    elasticache::ElastiCacheCache,
    endpoint::{LoginSecret, StoreTls},
    in_cluster::{DeletionPolicy, PasswordRotation, StoreExporter, StorePods, StoreVolume},
    server_tls::ServerTls,
};
use crate::{SecretKey, schema};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One cache. Exactly one provider says where it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.inCluster) ? 1 : 0) + (has(self.elastiCache) ? 1 : 0) + (has(self.external) ? 1 : 0) == 1").message(
    "caches[]: say where the cache runs: set exactly one of inCluster, elastiCache and external"
))]
#[x_kube(validation = Rule::new("!has(self.renamedFrom) || !has(self.external)").message(
    "caches[].renamedFrom speaks of data of the platform's own: set inCluster or elastiCache, or remove renamedFrom"
))]
pub struct Cache {
    /// Name of the cache, unique among the platform's apps, caches, databases and CDNs. Its data are bound to it: see
    /// `renamedFrom`.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// The name that the cache had when its data were made. Keep it as long as the cache lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub renamed_from: Option<String>,

    /// Servers in this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InClusterCache>,

    /// Servers at Amazon ElastiCache. It needs `spec.aws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elasti_cache: Option<ElastiCacheCache>,

    /// A server that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalCache>,
}

/// Redis or Valkey servers in this cluster. Replication is asynchronous: an acknowledged write can be lost when a primary
/// is, unless the client waits for a replica (`WAIT`).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.mode) || self.mode == 'Cluster' || !has(self.shards)").message(
    "inCluster.shards: a single endpoint has no shards: remove shards, or set mode: Cluster"
))]
#[x_kube(validation = Rule::new("(has(self.mode) ? self.mode : 'Cluster') == (has(oldSelf.mode) ? oldSelf.mode : 'Cluster')").message(
    "inCluster.mode cannot be changed, because keys would have to move between servers of two kinds: add a second cache and move them"
))]
#[x_kube(validation = Rule::new("!has(self.scaling) || has(self.scaling.maxShards) || has(self.scaling.maxReplicasPerShard)").message(
    "inCluster.scaling says nothing: set maxShards or maxReplicasPerShard"
))]
#[x_kube(validation = Rule::new("!has(self.scaling) || !has(self.scaling.maxShards) || (has(self.mode) ? self.mode : 'Cluster') == 'Cluster' && self.scaling.maxShards > (has(self.shards) ? self.shards : 3)").message(
    "inCluster.scaling.maxShards must be above shards, in mode Cluster: raise it, or remove it"
))]
#[x_kube(validation = Rule::new("!has(self.scaling) || !has(self.scaling.maxReplicasPerShard) || self.scaling.maxReplicasPerShard > (has(self.replicasPerShard) ? self.replicasPerShard : 1)").message(
    "inCluster.scaling.maxReplicasPerShard must be above replicasPerShard: raise it, or remove it"
))]
#[x_kube(validation = Rule::new("!has(self.minReplicasToWrite) || self.minReplicasToWrite <= (has(self.replicasPerShard) ? self.replicasPerShard : 1)").message(
    "inCluster.minReplicasToWrite must not be above replicasPerShard: no write would ever succeed"
))]
#[x_kube(validation = Rule::new("has(self.tls) == has(oldSelf.tls)").message(
    "inCluster.tls cannot be added or taken away, because the servers of a cache all talk to each other in one way: add a second cache and move the apps to it"
))]
#[x_kube(validation = Rule::new("!has(self.tls) || !has(self.tls.allowPlaintext)").message(
    "inCluster.tls.allowPlaintext is for databases: remove it, a cache with tls takes encrypted connections alone"
))]
pub struct InClusterCache {
    /// `Cluster`: shards behind cluster-aware clients. `Single`: one primary behind one address, for clients that are not
    /// cluster-aware, or use commands over keys of several shards. Default `Cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CacheMode>,

    /// Primaries that share the keys. Default 3. May be changed at any time: keys move while the cache serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3, max = 64))]
    pub shards: Option<i32>,

    /// Replicas of each primary. Default 1. With 0 the data of a shard are out of reach while its pod restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub replicas_per_shard: Option<i32>,

    /// Scales the cache between `shards` and `replicasPerShard` and the limits named here, one shard or replica at a time and at
    /// least five minutes apart. Without it both stay as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<CacheScaling>,

    /// Image of the server, Valkey or Redis from version 7.0. Default `docker.io/valkey/valkey:8.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// The pods.
    #[serde(flatten)]
    pub pods: StorePods,

    /// The volume of each pod. Default `{storage: 1Gi}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<StoreVolume>,

    /// Whether every write goes to the append-only file. Without it a restart goes back to the last snapshot. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_only: Option<bool>,

    /// When the append-only file is flushed to disk: `EverySecond` may lose the last second when a node fails, `Always`
    /// nothing, `No` what the system had not written. Default `EverySecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_fsync: Option<AppendFsync>,

    /// Most memory of the keys of one server. Default: 70 % of the memory limit; without a limit there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub max_memory: Option<Quantity>,

    /// What happens at `maxMemory`, in the server's words. Default `noeviction`: writes fail and no key is lost. For a pure
    /// cache `allkeys-lru` is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory_policy: Option<MaxMemoryPolicy>,

    /// Replicas that must be connected for a primary to accept writes. It bounds what an isolated primary can lose; no write
    /// succeeds while fewer are up. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub min_replicas_to_write: Option<i32>,

    /// Further settings of the server, by their names in its configuration file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,

    /// The password, in a Secret of yours. Default: one is made and kept in the Secret `<platform>-<cache>-auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKey>,

    /// Changes the password by itself, from time to time. By hand it is changed by the annotation
    /// `learningplatform.dev/rotate-passwords` of the resource. Not of a password in a Secret of yours: a
    /// change of that is taken over in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,

    /// Encryption. Off by default. It cannot be added or taken away later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,

    /// Exports figures of the servers to Prometheus. Off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<StoreExporter>,

    /// What becomes of the keys when the resource is deleted. Default `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// How far a cache may grow, and by what.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheScaling {
    /// Most shards. One comes when 85 % of the memory is used or over 100 keys are evicted per second, and goes when at most 70 %
    /// would be used without it. Default: `shards`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub max_shards: Option<i32>,

    /// Most replicas of each primary, for clients that read from them. One comes when the servers are busier than `cpuPercent`.
    /// Default: `replicasPerShard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub max_replicas_per_shard: Option<i32>,

    /// What a server is planned to use of the one core on which its commands run, in percent, on average over a minute.
    /// Default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 95))]
    pub cpu_percent: Option<i32>,
}

/// How the servers of a cache belong together.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum CacheMode {
    /// Shards.
    #[default]
    Cluster,
    /// One primary.
    Single,
}

/// When the append-only file is flushed.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum AppendFsync {
    /// Before a write is acknowledged.
    Always,
    /// Once a second.
    #[default]
    EverySecond,
    /// When the system likes.
    No,
}

/// What happens when the keys reach the limit.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaxMemoryPolicy {
    /// Writes fail.
    #[default]
    #[serde(rename = "noeviction")]
    NoEviction,
    /// The least recently used key goes.
    #[serde(rename = "allkeys-lru")]
    AllKeysLru,
    /// The least often used key goes.
    #[serde(rename = "allkeys-lfu")]
    AllKeysLfu,
    /// Any key goes.
    #[serde(rename = "allkeys-random")]
    AllKeysRandom,
    /// The least recently used key with a time to live goes.
    VolatileLru,
    /// The least often used key with a time to live goes.
    VolatileLfu,
    /// Any key with a time to live goes.
    VolatileRandom,
    /// The key that would expire first goes.
    VolatileTtl,
}

/// A Redis or Valkey server that somebody else runs: the operator hands its address and credentials to the apps that use
/// it, and changes nothing on it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCache {
    /// Host, or `host:port`; port 6379 by default. An IPv6 address is written in brackets.
    #[schemars(schema_with = "schema::address")]
    pub address: String,

    /// Its credentials. Without it the server asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<LoginSecret>,

    /// Set (`{}` is enough) where the server speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}
