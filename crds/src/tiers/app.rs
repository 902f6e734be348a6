//! `spec.apps[]`: what runs, how it is rolled out and how it is reached.

use super::{
    autoscaling::Autoscaling,
    exposure::{AppService, Exposure},
    jobs::AppJob,
    pod::{Health, Metrics, Resources, Scratch, Security, ServiceAccount, Spread},
    uses::Uses,
};
use crate::schema;
use k8s_openapi::{
    api::core::v1::{EnvFromSource, EnvVar, Lifecycle, LocalObjectReference, Toleration},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One app: a Deployment, the Service in front of it, its routes and its scaling.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.replicas) && has(self.autoscaling))").message(
    "apps[]: replicas and autoscaling exclude each other: remove replicas, or remove autoscaling"
))]
#[x_kube(validation = Rule::new("!(has(self.port) && has(self.ports))").message(
    "apps[]: set port (one HTTP port) or ports (named ports), not both"
))]
#[x_kube(validation = Rule::new("!has(self.exposure) || has(self.port) || has(self.ports)").message(
    "apps[].exposure needs a port to send requests to: set apps[].port"
))]
#[x_kube(validation = Rule::new("!has(self.metrics) || has(self.metrics.port) || has(self.port) || has(self.ports)").message(
    "apps[].metrics needs a port: set apps[].metrics.port or apps[].port"
))]
#[x_kube(validation = Rule::new("!has(self.health) || !has(self.health.path) || has(self.port) || has(self.ports)").message(
    "apps[].health.path needs a port to ask: set apps[].port, or give full probes"
))]
#[x_kube(validation = Rule::new("!has(self.health) || !has(self.health.port) || (has(self.ports) ? self.ports.exists(p, p.name == self.health.port) : self.health.port == 'http')").message(
    "apps[].health.port is none of the app's ports (apps[].port is called http): name one of them, or add it to apps[].ports"
))]
#[x_kube(validation = Rule::new("!has(self.exposure) || !has(self.exposure.gateway) || !has(self.exposure.gateway.paths) || self.exposure.gateway.paths.all(x, !has(x.port) || (has(self.ports) ? self.ports.exists(p, p.name == x.port) : x.port == 'http'))").message(
    "apps[].exposure.gateway.paths[].port is none of the app's ports (apps[].port is called http): name one of them, or add it to apps[].ports"
))]
#[x_kube(validation = Rule::new("!has(self.exposure) || !has(self.exposure.ingress) || !has(self.exposure.ingress.paths) || self.exposure.ingress.paths.all(x, !has(x.port) || (has(self.ports) ? self.ports.exists(p, p.name == x.port) : x.port == 'http'))").message(
    "apps[].exposure.ingress.paths[].port is none of the app's ports (apps[].port is called http): name one of them, or add it to apps[].ports"
))]
#[x_kube(validation = Rule::new("!has(self.autoscaling) || !has(self.autoscaling.cpu) || !has(self.autoscaling.cpu.utilization) || (has(self.resources) && has(self.resources.requests) && 'cpu' in self.resources.requests)").message(
    "apps[].autoscaling.cpu.utilization is a share of the request, which is missing: set apps[].resources.requests.cpu"
))]
#[x_kube(validation = Rule::new("!has(self.autoscaling) || !has(self.autoscaling.memory) || !has(self.autoscaling.memory.utilization) || (has(self.resources) && has(self.resources.requests) && 'memory' in self.resources.requests)").message(
    "apps[].autoscaling.memory.utilization is a share of the request, which is missing: set apps[].resources.requests.memory"
))]
pub struct App {
    /// Name of the app, unique in the platform. Its objects are called `<platform>-<name>`.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Container image.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: String,

    /// When the node pulls the image. Default: Kubernetes' own (`Always` for `:latest`, else `IfNotPresent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,

    /// Secrets of this namespace that hold registry credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Entry point in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub command: Vec<String>,

    /// Arguments in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,

    /// The one HTTP port the app listens on; short for `ports: [{name: http, port: N}]`. An app without any port gets
    /// no Service (a queue worker, for instance).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// The ports the app listens on, a map by `name`; the first one is what routes, probes and metrics use unless they
    /// say otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[x_kube(validation = Rule::new("self.all(p, self.exists_one(q, q.port == p.port && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP')))").message(
        "ports[].port: two ports have the same number and protocol, and a container can listen on it only once: change one of them, or remove it"
    ))]
    #[x_kube(validation = Rule::new("self.all(p, self.exists_one(q, (has(q.servicePort) ? q.servicePort : q.port) == (has(p.servicePort) ? p.servicePort : p.port) && (has(q.protocol) ? q.protocol : 'TCP') == (has(p.protocol) ? p.protocol : 'TCP')))").message(
        "ports[].servicePort (default: port): two ports have the same number and protocol on the Service: set another servicePort"
    ))]
    pub ports: Vec<AppPort>,

    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// ConfigMaps and Secrets whose keys all become environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub env_from: Vec<EnvFromSource>,

    /// The caches and databases of this platform that the app is wired to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Uses>,

    /// What each pod asks for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// How to know that a pod is ready, alive and started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,

    /// A fixed number of pods. Without it and without `autoscaling`: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: Option<i32>,

    /// Scaling on load in place of a fixed number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// How a new version replaces the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,

    /// What runs to its end beside the app: before its rollouts, after them, or by the clock; a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub jobs: Vec<AppJob>,

    /// How a pod is taken out of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<Draining>,

    /// How many pods voluntary disruptions (node drains) may take at a time. Default: a PodDisruptionBudget with
    /// `maxUnavailable: 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudget>,

    /// How pods spread over nodes and zones. Default: preferably one per node, and evenly over zones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,

    /// The identity of the pods. Default: the namespace's default account, without a token mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,

    /// Users, groups and privileges. The defaults pass the `restricted` Pod Security Standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,

    /// Writable scratch directories (emptyDir volumes), a map by `name`; the root filesystem is read-only by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub scratch: Vec<Scratch>,

    /// The Service in front of the pods, where its defaults do not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<AppService>,

    /// How requests from outside the cluster reach the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,

    /// Where Prometheus finds the app's own metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,

    /// Further annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,

    /// Further labels of the pods; those the operator sets win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,

    /// An overlay on the generated pod template (`metadata`, `spec`), for what the fields above do not cover: merged as
    /// server-side apply merges, lists of named items by their key. The app's own container is called as the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub pod_template: Option<serde_json::Map<String, serde_json::Value>>,
}

/// When a node pulls an image.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ImagePullPolicy {
    /// At each pod start.
    Always,
    /// When the node lacks it.
    IfNotPresent,
    /// Never: the node must have it.
    Never,
}

/// A named port.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct AppPort {
    /// Name of the port, on the container and on the Service.
    #[schemars(length(min = 1, max = 15), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self.matches('[a-z]') && !self.contains('--')").message(
        "ports[].name must hold a letter and no two dashes in a row, as http or 8080-http: rename the port"
    ))]
    pub name: String,
    /// Number the container listens on.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Number on the Service. Default: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub service_port: Option<i32>,
    /// Transport protocol. Default `TCP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What is spoken on the port, as Service `appProtocol` (`http`, `kubernetes.io/h2c`, `kubernetes.io/ws`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub app_protocol: Option<String>,
}

/// Transport protocol of a port.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Protocol {
    /// TCP.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
}

/// How a new version replaces the old one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.maxUnavailable) && has(self.maxSurge)) || !(string(self.maxUnavailable) in ['0', '0%'] && string(self.maxSurge) in ['0', '0%'])").message(
    "rollout: maxUnavailable and maxSurge cannot both be 0, nothing could ever be replaced: raise one of them"
))]
#[x_kube(validation = Rule::new("!has(self.maxSurge) || has(self.maxUnavailable) || !(string(self.maxSurge) in ['0', '0%'])").message(
    "rollout.maxSurge 0 needs rollout.maxUnavailable above 0 (its default is 0): set maxUnavailable: 1"
))]
#[x_kube(validation = Rule::new("!has(self.minReady) || duration(self.minReady) < (has(self.progressDeadline) ? duration(self.progressDeadline) : duration('10m'))").message(
    "rollout.minReady must be shorter than rollout.progressDeadline (default 10m), or no rollout could ever finish in time"
))]
pub struct Rollout {
    /// Pods that may be missing during a rollout: a number or a percentage. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
    /// Pods that may exist above the wanted number during a rollout: a number or a percentage. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_surge: Option<IntOrString>,
    /// How long a rollout may make no progress before it counts as stuck. Default `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message(
        "rollout.progressDeadline must be between 1s and 24h"
    ))]
    pub progress_deadline: Option<Duration>,
    /// How long a new pod must have been ready before it counts as available. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('1h')").message(
        "rollout.minReady must be at most 1h"
    ))]
    pub min_ready: Option<Duration>,
    /// Old versions kept for a rollback. Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: Option<i32>,
}

/// How a pod is taken out of service.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.delay) && has(self.lifecycle) && has(self.lifecycle.preStop))").message(
    "draining: set delay or lifecycle.preStop, not both"
))]
#[x_kube(validation = Rule::new("!has(self.delay) || !has(self.gracePeriod) || duration(self.delay) < duration(self.gracePeriod)").message(
    "draining.delay counts against draining.gracePeriod: make gracePeriod longer than delay"
))]
#[x_kube(validation = Rule::new("!has(self.delay) || has(self.gracePeriod) || duration(self.delay) < duration('30s')").message(
    "draining.delay counts against draining.gracePeriod, whose default is 30s: set gracePeriod to more than delay"
))]
pub struct Draining {
    /// How long a pod keeps serving after it was told to stop, while routers learn that it leaves (the preStop
    /// hook's `sleep`). Default `5s` for an app with a port, none otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('1h')").message("draining.delay must be at most 1h"))]
    pub delay: Option<Duration>,
    /// Time from the order to stop until the pod is killed, the delay included. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')").message(
        "draining.gracePeriod must be between 1s and 24h"
    ))]
    pub grace_period: Option<Duration>,
    /// Container hooks in place of the delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
}

/// A PodDisruptionBudget.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.maxUnavailable), has(self.minAvailable), has(self.disabled) && self.disabled].filter(x, x).size() == 1").message(
    "disruptionBudget: set exactly one of maxUnavailable, minAvailable and disabled: true"
))]
pub struct DisruptionBudget {
    /// Pods that a disruption may take at a time: a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub max_unavailable: Option<IntOrString>,
    /// Pods that a disruption must leave: a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    pub min_available: Option<IntOrString>,
    /// No budget at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}
