//! The parts of an app that shape its pods.

use crate::schema;
use k8s_openapi::{
    api::core::v1::{Probe, SeccompProfile, TopologySpreadConstraint},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What each pod asks for and may use, in Kubernetes quantities.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)").message(
    "resources: a request must not be above its limit: raise the limit or lower the request"
))]
pub struct Resources {
    /// What the scheduler sets aside: `{cpu: 250m, memory: 512Mi}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: BTreeMap<String, Quantity>,
    /// What a pod may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

/// How to know that a pod is ready, alive and started. With a `path`, readiness asks it, liveness only opens the port
/// (a database that is down must not restart every pod), and startup opens the port for up to `startupTimeout`. Full
/// probes replace the one they name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.path) || has(self.readiness) || has(self.liveness) || has(self.startup)").message(
    "health: set path (short form) or at least one of readiness, liveness and startup"
))]
#[x_kube(validation = Rule::new("!has(self.port) || has(self.path)").message(
    "health.port says where health.path is asked: set path, or give the port in the full probe"
))]
pub struct Health {
    /// Path that answers 2xx or 3xx while the pod can serve, dependencies included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = "^/\\S*$"))]
    pub path: Option<String>,
    /// Name of the port that answers `path`. Default: the app's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub port: Option<String>,
    /// How long a pod may take to start before it is restarted. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('2h')").message(
        "health.startupTimeout must be between 1s and 2h"
    ))]
    pub startup_timeout: Option<Duration>,
    /// A full readiness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// A full liveness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// A full startup probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
}

/// How pods spread.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.disabled) && self.disabled && has(self.constraints))").message(
    "spread: disabled and constraints exclude each other: remove one of them"
))]
pub struct Spread {
    /// No spreading at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Constraints in place of the defaults; a constraint without a selector gets that of the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub constraints: Vec<TopologySpreadConstraint>,
}

/// The identity of the pods.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// Name of an existing ServiceAccount of this namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether its token is mounted, for apps that talk to the Kubernetes API. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_token: Option<bool>,
}

/// Users, groups and privileges of the pods. Defaults: a non-root user, no added capability, no privilege escalation,
/// the runtime's seccomp profile, a read-only root filesystem.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// Numeric user. Needed where the image names its user by a word, which `runAsNonRoot` cannot check. 0 turns
    /// `runAsNonRoot` off, which the `restricted` standard refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub run_as_user: Option<i64>,
    /// Numeric group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub run_as_group: Option<i64>,
    /// Group that owns mounted volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2147483647))]
    pub fs_group: Option<i64>,
    /// Whether the root filesystem is read-only. Default true; give `scratch` directories for what must be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_root_filesystem: Option<bool>,
    /// Capabilities added to none, such as `NET_BIND_SERVICE`, the only one that `restricted` allows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub add_capabilities: Vec<String>,
    /// Seccomp profile. Default: the runtime's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp_profile: Option<SeccompProfile>,
}

/// A writable scratch directory, gone with the pod.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scratch {
    /// Name of the volume.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Where it is mounted.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/[^:]*$"))]
    pub mount_path: String,
    /// Largest size; a pod that exceeds it is evicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub size_limit: Option<Quantity>,
    /// Keep it in memory, where it counts against the memory limit. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_memory: Option<bool>,
}

/// Where Prometheus finds the app's own metrics. Writes a PodMonitor where that API exists, else the usual
/// `prometheus.io/*` annotations on the pods.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// How Prometheus is told of the pods. Without it: by `PodMonitor` where the cluster has that API, else by
    /// `Annotations`. Pods that carry the annotations keep them when the API appears, because taking them away would
    /// restart the pods: a Prometheus that follows both ways then counts every request twice, so name one. A change may
    /// roll the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// Path of the exposition. Default `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = "^/\\S*$"))]
    pub path: Option<String>,
    /// Port number of the exposition. Default: the app's first port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Further labels of the PodMonitor, such as those a Prometheus selects monitors by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitor_labels: BTreeMap<String, String>,
    /// Scrape interval written into the PodMonitor, a Go duration. Default: that of the Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s')").message("metrics.interval must be at least 1s"))]
    pub interval: Option<Duration>,
}

/// How Prometheus is told of pods.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Discovery {
    /// By a PodMonitor of the Prometheus operator.
    PodMonitor,
    /// By the annotations `prometheus.io/scrape`, `path` and `port` of the pods.
    Annotations,
}
