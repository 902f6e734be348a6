//! What the operator reports: conditions by the kstatus conventions, the state of each app, why it has as many pods as
//! it has, and the inventory of what was applied.

mod cdns;
mod stores;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use {cdns::*, stores::*};

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
    /// The CDNs, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub cdns: Vec<CdnStatus>,
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
        /// The CDNs serve. No app, cache or database waits for them.
        CdnReady,
        /// Backups of a database are taken as asked for. Never part of `Ready`.
        BackupReady,
        /// The signals that scaling reads have values. Never part of `Ready`.
        MetricsAvailable,
        /// Every field that is set was compared with AWS, and nothing is left to do; of items alone, and never part of `Ready`.
        Synced,
        /// A change waits for the maintenance window; present only while true, of items alone.
        PendingMaintenance,
        /// A parameter takes effect with the next reboot; present only while true, of items alone.
        PendingReboot,
        /// AWS has something that is not wished and is left so; present only while true, of items alone.
        Drift,
        /// A call needs the user's word; present only while true, of items alone.
        ConsentNeeded,
        /// What was accepted is not everywhere yet; present only while true, of items alone.
        Deploying,
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
        /// What a former platform of the same name left at AWS is there, and nobody has said that it is to be gone on with.
        Retained,
        /// AWS has not enough, or allows no more.
        NoCapacity,
        /// A call waits for the user's word.
        NeedsConsent,
        /// Something waits for the maintenance window, or for a reboot.
        PendingMaintenance,
        /// AWS has something that is not wished.
        Drift,
        /// AWS took a change of size back.
        ResizeRolledBack,
    }
}
