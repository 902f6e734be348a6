//! How an app is reached: its Service, and its routes by Gateway API or Ingress.

use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The Service in front of the pods.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppService {
    /// How the Service is published. Default `ClusterIP`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ServiceType>,
    /// Annotations, for load balancers and meshes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Send a client's connections to one pod by its address. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_affinity: Option<bool>,
    /// Where traffic goes first, as Service `trafficDistribution` (`PreferClose`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub traffic_distribution: Option<String>,
}

/// How a Service is published.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster.
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// On a port of every node.
    NodePort,
    /// By a load balancer of the cloud.
    LoadBalancer,
}

/// How requests from outside reach the app. Both ways may stand side by side while moving from one to the other.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.gateway) || has(self.ingress)").message(
    "exposure: set gateway (Gateway API) or ingress"
))]
pub struct Exposure {
    /// By a Gateway API HTTPRoute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayRoute>,
    /// By an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressRoute>,
}

/// An HTTPRoute.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRoute {
    /// The Gateways (or listeners of them) that serve the route.
    #[schemars(length(min = 1, max = 32))]
    pub parent_refs: Vec<ParentRef>,
    /// Host names; none means every host of the listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), schema_with = "schema::hosts")]
    pub hosts: Vec<String>,
    /// What is sent to the app. Default: everything under `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub paths: Vec<RoutePath>,
    /// Annotations of the route, for what an implementation offers beyond the API.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A Gateway that serves a route.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace. Default: that of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// A listener of it. Default: all that admit the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// A path, and how its requests are treated.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.timeout) && has(self.webSocket) && self.webSocket)").message(
    "exposure paths: timeout would cut a long-lived WebSocket: remove timeout, or webSocket"
))]
pub struct RoutePath {
    /// The path.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/\\S*$"))]
    pub path: String,
    /// Whether `path` is the beginning of a path or the whole. Default `Prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_type: Option<PathMatch>,
    /// Name of the app's port that serves it. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub port: Option<String>,
    /// Longest time for a whole request. Default: the implementation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('24h')").message("exposure paths: timeout must be at most 24h"))]
    pub timeout: Option<Duration>,
    /// Long-lived WebSockets under this path: the request timeout is switched off for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_socket: Option<bool>,
    /// Keep a client on one pod by a cookie of this name, where the implementation offers it (Gateway API:
    /// `sessionPersistence` of the experimental channel).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub affinity_cookie: Option<String>,
}

/// How a path is compared.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum PathMatch {
    /// By its leading segments.
    Prefix,
    /// As a whole.
    Exact,
}

/// An Ingress.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct IngressRoute {
    /// The IngressClass. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Host names; none means every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), schema_with = "schema::hosts")]
    pub hosts: Vec<String>,
    /// What is sent to the app. Default: everything under `/`. Timeouts, WebSockets and affinity are annotations of the
    /// controller in use, given in `annotations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub paths: Vec<IngressPath>,
    /// Name of the TLS Secret for `hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret: Option<String>,
    /// Annotations, for the controller in use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A path of an Ingress.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressPath {
    /// The path.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/\\S*$"))]
    pub path: String,
    /// Whether `path` is the beginning of a path or the whole. Default `Prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_type: Option<PathMatch>,
    /// Name of the app's port that serves it. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub port: Option<String>,
}
