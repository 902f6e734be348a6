//! What is reported of caches and databases.

use crate::tiers::backup::BackupMethod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a promotion is: that a database goes on with the data of its most advanced read replica.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// The shard, from 0; absent without shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<i32>,
    /// The word that asked for it; absent where nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// How far it is.
    pub state: PromotionState,
    /// What would be lost, is lacking, or was done.
    pub message: String,
}

/// How far a promotion is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum PromotionState {
    /// Nobody has asked for it.
    #[default]
    Possible,
    /// It is not done, and nothing was touched.
    Refused,
    /// It lacks the proof that the former primary takes no writes.
    NeedsProof,
    /// The former primary is stopped.
    Stopping,
    /// The claim of the former primary's volume has to be deleted.
    ClaimInTheWay,
    /// The most advanced replica is looked for.
    Electing,
    /// The data of the elected replica are copied.
    Copying,
    /// It is done.
    Done,
}

/// State of a cache or a database.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// Name of the item.
    pub name: String,
    /// Where it is reached: `host:port`; of a database the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What an acknowledged write survives, as it is now; of stores in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// What becomes of the data when the resource, or its namespace, is deleted; of stores in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// Since when the apps are given the present password, RFC 3339; of stores in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords_changed: Option<String>,
    /// How far a change of the password is; only while one is under way or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// Primaries that are lost, or were asked to be replaced, and how far that is; of databases in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promotion>,
    /// What size the load asks for, since when and why, and what another size waits for; only where the load decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<String>,
    /// How many pods of a database's pooler are ready, and where it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<String>,
    /// Until when the certificate is valid that the servers show, RFC 3339; of several the first to end. Only where a store in
    /// the cluster has `tls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<String>,
    /// The backups of a database; absent where none are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    /// The backups that CloudNativePG takes of a database; absent where none are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_window: Option<BackupWindow>,
    /// What is known of it at AWS, and what is to be done there; of stores at AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsStatus>,
    /// The keys of all shards before and after the last reshaping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshaping: Option<Reshaping>,
    /// The servers in the cluster, by pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["pod".into()]))]
    pub servers: Vec<StoreServer>,
    /// `CacheReady` or `DatabaseReady`; of stores at AWS also `Synced`, and what is present only while it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A server of a store in the cluster.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreServer {
    /// Its pod.
    pub pod: String,
    /// `Primary`, `Replica`, or `Unknown` while it does not answer.
    pub role: String,
    /// Its shard, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<i32>,
    /// Slots of a cache's shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<i32>,
    /// What it is doing: `Serving`, or what keeps it from that.
    pub state: String,
}

/// The backups of a database in the cluster; with shards of the one that is worst off.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// How they are taken; absent for base backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<BackupMethod>,
    /// Claim of the volume that they are on; that volume snapshots are of.
    pub claim: String,
    /// Folder of a bucket that they are brought to, as `s3://<bucket>/<folder>`; absent where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// Whether the bucket had all of them, and the log, five minutes ago or later; absent where nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<bool>,
    /// When the bucket last had all, RFC 3339, while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_uploaded: Option<String>,
    /// Whether the log is received as it is written; absent while nobody has looked, and where backups are logical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// Since when log is missing that was removed before it was received, RFC 3339: backups from before cannot be followed beyond
    /// that. Absent again once there is a newer backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lost: Option<String>,
    /// When the next one is due, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Those that are kept, the newest first; 30 at most are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub backups: Vec<StoredBackup>,
}

/// A backup that is complete.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredBackup {
    /// Its name.
    pub name: String,
    /// When it was complete, RFC 3339.
    pub ended: String,
    /// Its size.
    pub bytes: i64,
    /// What it is; absent for a base backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<BackupMethod>,
}

/// The backups of a database that CloudNativePG runs, as its Barman Cloud plugin tells of them.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupWindow {
    /// Where they are, with the name of the `Cluster` at its end.
    pub location: String,
    /// Whether the log that follows them is archived; absent before its first file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archiving: Option<bool>,
    /// The earliest time that the database can be restored as of, RFC 3339; absent before the first backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restorable_since: Option<String>,
    /// When the last one was complete, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// When the next one is due, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Keys that were counted before and after slots moved between shards.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reshaping {
    /// Keys of all shards before.
    pub keys_before: i64,
    /// Keys of all shards after; absent while slots move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_after: Option<i64>,
}

/// An item at AWS.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsStatus {
    /// Its identifier there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// Where it is; `global` at CloudFront.
    pub region: String,
    /// The calls that are to be made, in their order; with `mode: Observe` none are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan: Vec<AwsCall>,
    /// What `approve` has to say for the plan's calls that need a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
}

/// A call that is to be made.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCall {
    /// Its name at AWS.
    pub operation: String,
    /// What it does, in words.
    pub call: String,
    /// What it costs: money, an interruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs: Option<String>,
    /// What it destroys, or cannot be taken back, so that it needs your word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}
