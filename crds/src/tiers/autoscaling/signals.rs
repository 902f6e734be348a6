//! The signals: what is measured, by whom, and what a pod is to carry of it.

use crate::schema;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand in requests per second.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RequestRate {
    /// Requests per second that one pod is to carry: a target like the HPA's `AverageValue`. 320 requests per second
    /// at `perPod: 100` ask for 4 pods.
    #[schemars(schema_with = "schema::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message(
        "autoscaling.requestRate.perPod must be above 0: write a quantity such as 100 or 500m"
    ))]
    pub per_pod: Quantity,
    /// Percent of `perPod` to plan with, for headroom. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub utilization: Option<i32>,
    /// At or below this many requests per second the app counts as idle. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub activation: Option<Quantity>,
    /// Where the figure comes from.
    #[serde(flatten)]
    pub source: Source,
    /// Sources asked in this order while the one above gives no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub alternatives: Vec<Source>,
    /// Requests per second to assume while every source has failed three times over at least a minute. It may raise the
    /// floor, never lower it, and stands in for `fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub constant: Option<Quantity>,
}

/// Demand in requests in flight.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.preset) || has(self.metric) || has(self.query) || self.preset in ['App', 'EnvoyGateway']").message(
    "autoscaling.concurrency.preset: only App and EnvoyGateway export requests in flight per app: set metric (with labels) or query, or use one of them"
))]
#[x_kube(validation = Rule::new("!has(self.alternatives) || self.alternatives.all(s, !has(s.preset) || has(s.metric) || has(s.query) || s.preset in ['App', 'EnvoyGateway'])").message(
    "autoscaling.concurrency.alternatives[].preset: only App and EnvoyGateway export requests in flight per app: set metric (with labels) or query, or use one of them"
))]
pub struct Concurrency {
    /// Requests in flight that one pod is to carry.
    #[schemars(schema_with = "schema::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message(
        "autoscaling.concurrency.perPod must be above 0: write a quantity such as 100 or 500m"
    ))]
    pub per_pod: Quantity,
    /// Percent of `perPod` to plan with, for headroom. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub utilization: Option<i32>,
    /// At or below this many requests in flight the app counts as idle. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub activation: Option<Quantity>,
    /// Where the figure comes from.
    #[serde(flatten)]
    pub source: Source,
    /// Sources asked in this order while the one above gives no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub alternatives: Vec<Source>,
    /// Requests in flight to assume while every source has failed three times over at least a minute. It may raise the
    /// floor, never lower it, and stands in for `fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    pub constant: Option<Quantity>,
}

/// A latency budget.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.percentile) != (has(self.mean) && self.mean)").message(
    "autoscaling.latency: set exactly one of percentile and mean: true"
))]
#[x_kube(validation = Rule::new("!has(self.query) || !(has(self.histogram) || has(self.unit))").message(
    "autoscaling.latency: query is a whole expression that gives seconds; remove histogram and unit beside it"
))]
pub struct Latency {
    /// The statistic, as a percentile: 95 means that 95 of 100 requests are faster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub percentile: Option<i32>,
    /// The statistic is the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<bool>,
    /// What it should stay below, a Go duration: `200ms`.
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1ms') && duration(self) <= duration('1h')").message(
        "autoscaling.latency.budget must be between 1ms and 1h"
    ))]
    pub budget: Duration,
    /// Kind of the histogram behind it. Default `Classic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Unit of the metric. Default: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Where the figure comes from.
    #[serde(flatten)]
    pub source: Source,
}

/// Where a signal is read. With nothing set: the usual metric of the app's own pods
/// (`http_requests_total`, `http_request_duration_seconds`, `http_requests_in_flight`), found by namespace and pod name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.query) || !(has(self.preset) || has(self.metric) || has(self.labels))").message(
    "autoscaling signals: query is a whole expression; remove preset, metric and labels beside it"
))]
#[x_kube(validation = Rule::new("!has(self.freshness) || has(self.query)").message(
    "autoscaling signals: freshness names the raw series behind a query; remove it, or set query"
))]
pub struct Source {
    /// Name of a server in `spec.prometheus.servers`. Default: `spec.prometheus` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub server: Option<String>,
    /// Whose metric names are used. Default `App`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Name of the metric in place of the preset's: a counter for `requestRate`, a histogram without `_bucket` for
    /// `latency`, a gauge for `concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    pub metric: Option<String>,
    /// Label values that select this app's series, in place of those the preset uses: `{service: story-web}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::short_strings")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))").message(
        "autoscaling signals: labels: a name is letters, digits and '_', not starting with a digit: correct the name"
    ))]
    pub labels: BTreeMap<String, String>,
    /// A whole PromQL expression that gives one series: requests per second, seconds, or requests in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub query: Option<String>,
    /// The raw selector whose newest sample tells how fresh `query` is: `http_requests_total{job="web"}`. Without it
    /// a stale answer cannot be told, and status says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub freshness: Option<String>,
    /// What an empty answer means. `Zero` counts only while `up` shows live targets. Default `NoData`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_means: Option<AbsentMeans>,
    /// Who measures: the app's own pods, or something in front of them that still speaks when there are none. Default:
    /// the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_at: Option<MeasuredAt>,
}

/// Metric names and labels of a known exporter.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, JsonSchema)]
pub enum Preset {
    /// The app's own exposition, with the usual names.
    #[default]
    App,
    /// Envoy Gateway, by the HTTPRoute that the operator writes.
    EnvoyGateway,
    /// ingress-nginx, by namespace and Service.
    IngressNginx,
    /// Istio, by the destination workload.
    Istio,
    /// Linkerd, by namespace and Deployment.
    Linkerd,
    /// Traefik, by the Service that the operator writes.
    Traefik,
}

/// Kind of a Prometheus histogram.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum Histogram {
    /// Buckets with an `le` label.
    #[default]
    Classic,
    /// A native histogram.
    Native,
}

/// Unit of a latency metric.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// What an empty answer means.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum AbsentMeans {
    /// That nothing is known: the floor holds.
    #[default]
    NoData,
    /// That there is no load, while `up` shows live targets.
    Zero,
}

/// Who measures a signal.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum MeasuredAt {
    /// The app's own pods.
    Pods,
    /// A gateway, an ingress or a queue.
    Gateway,
}
