//! What the operator reports: conditions by the kstatus conventions, the state of each app, why it has as many pods as
//! it has, and the inventory of what was applied.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Status of a platform; written by the operator alone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct LearningPlatformStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, and what it is made of. `Reconciling` and `Stalled` are present only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Counts for `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// The apps, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub apps: Vec<AppStatus>,
    /// The caches, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub caches: Vec<StoreStatus>,
    /// The databases, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub databases: Vec<StoreStatus>,
    /// What the operator has applied for this platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// Version of the time zone database that schedules are computed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone_database: Option<String>,
}

/// Counts for `kubectl get`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Ready apps of all apps: `2/3`.
    pub apps: String,
    /// Ready pods of wanted pods: `7/8`.
    pub pods: String,
}

/// State of one app.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Name of the app.
    pub name: String,
    /// The image that the pods run, or are on their way to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// `AppReady`, `AutoscalingReady`, `MetricsAvailable`; `RolloutPending` only while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Why the app has as many pods as it has; absent without autoscaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// The app's jobs, a map by `name`, each with its last run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub jobs: Vec<JobStatus>,
}

/// A job of an app.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Name of the job.
    pub name: String,
    /// How its last run is.
    pub state: JobState,
    /// Name of the Job that is its last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When that ended, or began if it has not ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// How the last run of a job is.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum JobState {
    /// There is none yet.
    #[default]
    Waiting,
    /// It has not ended.
    Running,
    /// It has ended well.
    Succeeded,
    /// It has failed, and is not tried again.
    Failed,
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

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
    /// How many read replicas the load on them asks for, since when and why; only where it decides.
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
    /// The keys of all shards before and after the last reshaping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reshaping: Option<Reshaping>,
    /// The servers in the cluster, by pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["pod".into()]))]
    pub servers: Vec<StoreServer>,
    /// `CacheReady` or `DatabaseReady`.
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
    /// Claim of the volume that they are on.
    pub claim: String,
    /// Whether the log is received as it is written; absent while nobody has looked.
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

/// Numbers of pods.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Wanted now.
    pub desired: i32,
    /// Of them ready.
    pub ready: i32,
    /// Of them on the newest template.
    pub updated: i32,
}

/// The last change of an app's bounds, and why. Live values come from the operator's read endpoint
/// (`lpctl explain`).
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Fewest pods now: the `minReplicas` of the HPA.
    pub floor: i32,
    /// Most pods now: the `maxReplicas` of the HPA.
    pub cap: i32,
    /// One sentence: what decides now.
    pub reason: String,
    /// The steps from the first wish to the floor, each with the number before and after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// The last ten changes of the bounds, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<PastDecision>,
    /// The manual hold in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// One step of a decision.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Name of the step.
    pub name: String,
    /// Pods before it.
    pub before: i32,
    /// Pods after it.
    pub after: i32,
    /// Why it moved the number, or left it.
    pub why: String,
}

/// A change of the bounds.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastDecision {
    /// When, RFC 3339.
    pub at: String,
    /// Fewest pods from then on.
    pub floor: i32,
    /// Most pods from then on.
    pub cap: i32,
    /// Why.
    pub reason: String,
}

/// A floor that somebody asked for by hand, until a time. The value of the hold annotation.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Fewest pods.
    pub floor: i32,
    /// When it ends by itself, RFC 3339.
    pub until: String,
    /// Why, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// What the operator has applied, in the form that `flux tree` reads.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The objects, sorted.
    pub entries: Vec<InventoryEntry>,
}

/// One applied object.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// API version.
    pub v: String,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item])* $variant),* }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word as it stands in the resource.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names! {
    /// Types of conditions.
    ConditionType {
        /// Everything asked for is there and serves.
        Ready,
        /// Work is under way; present only while true.
        Reconciling,
        /// No progress without a change of the spec; present only while true.
        Stalled,
        /// The pods of the apps are there and ready.
        AppReady,
        /// A change of an app's pods waits; present only while true. Never part of `Ready`.
        RolloutPending,
        /// The bounds of the apps are computed and written.
        AutoscalingReady,
        /// The caches can be used.
        CacheReady,
        /// The databases can be used.
        DatabaseReady,
        /// Backups of a database are taken as asked for. Never part of `Ready`.
        BackupReady,
        /// The signals that scaling reads have values. Never part of `Ready`.
        MetricsAvailable,
    }
}

names! {
    /// Reasons of conditions, one per cause.
    Reason {
        /// All is as asked for.
        Succeeded,
        /// Work is under way.
        Progressing,
        /// Something it needs is missing or not ready.
        DependencyNotReady,
        /// The user has suspended it.
        Suspended,
        /// The spec cannot be carried out as written.
        InvalidSpec,
        /// The API server or another service failed.
        ProviderError,
        /// The operator may not do what is needed.
        PermissionDenied,
        /// It is being deleted.
        Deleting,
        /// A Secret, ConfigMap, class or API that the spec names does not exist.
        NotFound,
        /// An object of this name belongs to somebody else.
        NameConflict,
        /// Another autoscaler already scales the Deployment.
        AutoscalerConflict,
        /// A field cannot be changed in place.
        ImmutableField,
        /// The API server refused an object.
        Rejected,
        /// The container image cannot be pulled.
        ImagePull,
        /// Containers stop again after their start.
        CrashLoop,
        /// The container's configuration cannot be carried out on the node, a non-numeric user for instance.
        ContainerConfig,
        /// The scheduler finds no node.
        Unschedulable,
        /// A quota or an admission policy keeps pods from being made.
        PodsRefused,
        /// A rollout made no progress within its deadline.
        RolloutStuck,
        /// A store that no item names any more has data, and nobody has said what is to become of them.
        DataWouldBeLeftBehind,
        /// A volume is empty where there were data.
        DataMissing,
        /// A volume holds the data of another database.
        WrongCluster,
        /// The primary's volume holds a replica's data.
        NotPrimary,
        /// The start script of a server refuses to start it.
        StartRefused,
        /// The server is too old, or lacks what is needed.
        Unsupported,
        /// Slots of a cache belong to servers that are gone.
        SlotsLost,
        /// A server holds data that do not belong to the store.
        Stranger,
        /// Nothing tells which of several servers leads.
        Ambiguous,
        /// The primary does not answer, which is no proof that it is gone.
        WaitingForOldPrimary,
        /// A promotion was asked for and needs a person.
        PromotionWaits,
        /// The servers accept none of the passwords.
        CredentialsRefused,
        /// Shards that shall go still hold keys.
        ScaleInBlocked,
        /// Slots shall move and cannot.
        MoveBlocked,
        /// The server answers, and acknowledges no write.
        WritesHang,
        /// The clients have taken all connections.
        ConnectionsExhausted,
        /// A volume is nearly full.
        DiskFilling,
        /// What a replica needs of the log is gone.
        ReplicaLost,
        /// A replica holds what the primary lacks.
        ReplicaAhead,
        /// A replica is too far behind.
        ReplicaLag,
        /// Servers sort texts in different ways.
        CollationMismatch,
        /// The server refuses its configuration.
        ConfigurationRefused,
        /// An extension is not in the image, or cannot be made.
        ExtensionMissing,
        /// A job failed that had to succeed first.
        JobFailed,
        /// Backups are in the cluster alone: what destroys its storage destroys them, too.
        BackupsNotOffCluster,
        /// The last backup failed, or the log is not received.
        BackupFailed,
        /// No backup was complete for longer than two intervals.
        BackupOverdue,
        /// A freeze holds the change.
        Frozen,
        /// Autoscaling is not configured.
        NotConfigured,
        /// Actuation is paused.
        Paused,
        /// A first value, or values after an outage: they may raise but not lower yet.
        Settling,
        /// The query succeeded without a series.
        NoSeries,
        /// The value is NaN, infinite or negative.
        NotANumber,
        /// The newest sample is too old.
        StaleSample,
        /// More than one series where one was expected.
        AmbiguousResult,
        /// The server cannot be reached or fails.
        SourceUnavailable,
        /// The server refuses the query or the credentials, or may not be named.
        SourceMisconfigured,
        /// The selector has never matched a series.
        SeriesNeverSeen,
        /// More pods did not lower the latency.
        LatencyNotHelpedByPods,
        /// Latency is over budget because of a cache or database, or whatever the cause, not for want of pods.
        BottleneckElsewhere,
        /// The apps that use a database could open more connections at their fewest pods than it accepts.
        BudgetExceededByMinimums,
        /// The histogram's buckets cannot tell the budget.
        BudgetNotResolvable,
        /// A schedule's floor is above another's cap.
        ScheduleConflict,
        /// Demand vanished suddenly; the floor is held.
        DemandCollapsed,
        /// A manual hold keeps the floor up.
        Held,
    }
}
