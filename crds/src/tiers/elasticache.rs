//! `spec.caches[].elastiCache`: Valkey and Redis at Amazon ElastiCache.

use super::{
    aws::{AwsControl, AwsDeletionPolicy},
    cache::CacheScaling,
    in_cluster::PasswordRotation,
};
use crate::{SecretKey, schema};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Valkey or Redis at Amazon ElastiCache: a replication group of shards, each with replicas that AWS keeps. Only what is set here is
/// compared and changed; all else stays as AWS, or somebody else, has it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.clusterMode) || self.clusterMode || !has(self.shards) || self.shards == 1").message(
    "elastiCache.shards: without clusterMode there is one: remove shards, or clusterMode"
))]
#[x_kube(validation = Rule::new("!has(self.automaticFailover) || self.automaticFailover || has(self.clusterMode) && !self.clusterMode").message(
    "elastiCache.automaticFailover: AWS keeps it on in cluster mode: remove it, or set clusterMode to false"
))]
#[x_kube(validation = Rule::new("!(has(self.automaticFailover) && self.automaticFailover || has(self.multiAz) && self.multiAz) || !has(self.replicasPerShard) || self.replicasPerShard > 0").message(
    "elastiCache.replicasPerShard: automaticFailover and multiAz need a replica that takes over: set it to 1 or more"
))]
#[x_kube(validation = Rule::new("!has(self.scaling) || (has(self.scaling.maxShards) ? (!has(self.clusterMode) || self.clusterMode) && self.scaling.maxShards > (has(self.shards) ? self.shards : 1) : has(self.scaling.maxReplicasPerShard))").message(
    "elastiCache.scaling: set maxShards above shards, in clusterMode alone, or maxReplicasPerShard"
))]
#[x_kube(validation = Rule::new("!has(self.scaling) || !has(self.scaling.maxReplicasPerShard) || self.scaling.maxReplicasPerShard > (has(self.replicasPerShard) ? self.replicasPerShard : 1)").message(
    "elastiCache.scaling.maxReplicasPerShard must be above replicasPerShard: raise it, or remove it"
))]
#[x_kube(validation = Rule::new("!has(self.multiAz) || !self.multiAz || !has(self.automaticFailover) || self.automaticFailover").message(
    "elastiCache.multiAz needs automaticFailover: set that to true, or remove it"
))]
#[x_kube(validation = Rule::new("!has(self.parameters) || !has(self.parameterGroup)").message(
    "elastiCache.parameters go into a parameter group of the platform's own: remove parameterGroup, or parameters"
))]
#[x_kube(validation = Rule::new("!has(self.transitEncryption) || self.transitEncryption || !has(self.user) && !has(self.authToken) && !has(self.authorities) && !has(self.passwordRotation)").message(
    "elastiCache.transitEncryption: AWS takes tokens and users over TLS alone: remove user, authToken, authorities and passwordRotation, or transitEncryption"
))]
#[x_kube(validation = Rule::new("(has(self.clusterMode) ? self.clusterMode : true) == (has(oldSelf.clusterMode) ? oldSelf.clusterMode : true)").message(
    "elastiCache.clusterMode cannot be changed, because clients of one kind cannot talk to the other: add a second cache and move the apps to it"
))]
#[x_kube(validation = Rule::new("(has(self.transitEncryption) ? self.transitEncryption : true) == (has(oldSelf.transitEncryption) ? oldSelf.transitEncryption : true)").message(
    "elastiCache.transitEncryption cannot be changed, because clients of one kind cannot talk to the other: add a second cache and move the apps to it"
))]
#[x_kube(validation = Rule::new("has(self.user) == has(oldSelf.user)").message(
    "elastiCache.user cannot be added or taken away, because AWS takes either a token or users: add a second cache and move the apps to it"
))]
#[x_kube(validation = Rule::new("(has(self.engine) ? self.engine : 'valkey') == 'valkey' || (has(oldSelf.engine) ? oldSelf.engine : 'valkey') == 'redis'").message(
    "elastiCache.engine: redis can become valkey, and AWS never takes that back"
))]
pub struct ElastiCacheCache {
    /// What serves. Default `valkey`. From `redis` to `valkey` it may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ElastiCacheEngine>,

    /// Version of the engine, as AWS offers it: `8.0`, or its first part alone, `8`.
    #[schemars(length(min = 1, max = 16), regex(pattern = "^[6-9](\\.[0-9]+){0,2}$"))]
    pub engine_version: String,

    /// Type of each node, as `cache.t4g.medium`. A change interrupts the connections.
    #[schemars(length(min = 7, max = 60), regex(pattern = "^cache\\.[a-z0-9.-]+$"))]
    pub node_type: String,

    /// Whether keys are spread over shards, for clients that know of them. Default true. Without it there is one shard behind one
    /// address. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_mode: Option<bool>,

    /// Shards that share the keys. Default 1. May be changed at any time: keys move while the cache serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub shards: Option<i32>,

    /// Replicas of each shard. Default 1. With 0 the data of a shard are lost with its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 5))]
    pub replicas_per_shard: Option<i32>,

    /// Scales the cache from `shards` and `replicasPerShard` up to the limits named here. Without it both stay as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<CacheScaling>,

    /// Whether a replica takes over from a lost primary. Default: where there are replicas; with `clusterMode` always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic_failover: Option<bool>,

    /// Whether replicas are in other zones than their primary. Default: as AWS has it, which is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<bool>,

    /// Settings of the server, by their names at AWS, in a parameter group of the platform's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,

    /// Name of a parameter group that somebody else keeps. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub parameter_group: Option<String>,

    /// Name of the cache subnet group. Default: AWS's. Taken at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub subnet_group: Option<String>,

    /// Ids of the VPC's security groups; they decide who can connect. Default: AWS's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 4, max = 32), regex(pattern = "^sg-[0-9a-z]+$")))]
    pub security_groups: Vec<String>,

    /// Port. Default 6379. Taken at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1150, max = 65535))]
    pub port: Option<i32>,

    /// Whether clients connect by TLS. Default true. Without it they show no token either, because AWS takes tokens and users over TLS
    /// alone: then `securityGroups` decide who can connect. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transit_encryption: Option<bool>,

    /// Whether disks and snapshots are encrypted. Default true. Taken at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_rest_encryption: Option<bool>,

    /// Key that disks and snapshots are encrypted with, as ARN or id. Default: AWS's own. Taken at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub kms_key: Option<String>,

    /// The certificate authority of the servers, PEM. Default: those that the apps' images trust anyway, of which Amazon's are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<SecretKey>,

    /// The token that clients show, or the password of `user`, in a Secret of yours. Default: one is made and kept in the Secret
    /// `<platform>-<cache>-elasticache-auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<SecretKey>,

    /// Has the apps log in as a user with rights of its own, instead of showing a token. It cannot be added or taken away later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ElastiCacheUser>,

    /// Changes the token, or the password, by itself, from time to time. By hand it is changed by the annotation
    /// `learningplatform.dev/rotate-passwords` of the resource. Not of one in a Secret of yours: a change of that is taken over in
    /// the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,

    /// Days that AWS keeps its automatic snapshots; 0 turns them off. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 35))]
    pub snapshot_retention_days: Option<i32>,

    /// When AWS takes its snapshots, UTC, as `03:00-04:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"))]
    pub snapshot_window: Option<String>,

    /// When AWS may interrupt the servers, UTC, as `sun:04:00-sun:05:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = "^(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]$"
    ))]
    pub maintenance_window: Option<String>,

    /// Whether AWS takes minor versions by itself. Default: as AWS has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,

    /// Fields whose changes are applied at once, though by default they wait for the maintenance window. Shards and replicas never
    /// wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub apply_immediately: Vec<ElastiCacheField>,

    /// Makes the cache of a snapshot, as long as it has never had data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<ElastiCacheRestore>,

    /// What becomes of the keys when the resource is deleted. Default `Snapshot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<AwsDeletionPolicy>,

    /// How far the operator goes.
    #[serde(flatten)]
    pub control: AwsControl,
}

/// What serves.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ElastiCacheEngine {
    /// Valkey.
    #[default]
    Valkey,
    /// Redis OSS.
    Redis,
}

/// A user that the apps log in as.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElastiCacheUser {
    /// Its name.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,

    /// What it may do, in the server's words. Default `on ~* &* +@all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub access: Option<String>,
}

/// What a cache is made of.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElastiCacheRestore {
    /// Name of a snapshot.
    #[schemars(length(min = 1, max = 255))]
    pub snapshot: String,
}

/// A field whose changes wait for the maintenance window by default.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ElastiCacheField {
    /// What serves.
    Engine,
    /// Its version.
    EngineVersion,
    /// The nodes.
    NodeType,
}
