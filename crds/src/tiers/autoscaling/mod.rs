//! `spec.apps[].autoscaling`: the bounds, the signals and the calendar of an app's scaling.

mod schedules;
mod signals;

pub use schedules::{Calendar, Expected, Schedule, Weekday, Weekly};
pub use signals::{AbsentMeans, Concurrency, Histogram, Latency, MeasuredAt, Preset, RequestRate, Source, Unit};

use crate::schema;
use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an app scales. The operator writes a floor (and a cap) into a HorizontalPodAutoscaler from `requestRate`,
/// `concurrency`, `latency`, `schedules` and `fallback`; the HPA itself keeps `cpu`, `memory`, `metrics` and `behavior`,
/// so that it goes on scaling while the operator or Prometheus is down. The larger wish wins.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas").message(
    "autoscaling: minReplicas must not be above maxReplicas: lower minReplicas or raise maxReplicas"
))]
#[x_kube(validation = Rule::new("has(self.cpu) || has(self.memory) || has(self.requestRate) || has(self.concurrency) || (has(self.metrics) && size(self.metrics) > 0) || (has(self.schedules) && size(self.schedules) > 0)").message(
    "autoscaling has nothing to scale on: set at least one of requestRate, concurrency, cpu, memory, metrics and schedules"
))]
#[x_kube(validation = Rule::new("self.minReplicas > 0 || (has(self.requestRate) && ((has(self.requestRate.measuredAt) && self.requestRate.measuredAt == 'Gateway') || (has(self.requestRate.preset) && self.requestRate.preset in ['IngressNginx', 'Traefik'])))").message(
    "autoscaling.minReplicas: 0 needs a requestRate that is still counted without any pod, which neither the app's own pods nor Envoy Gateway do: use the preset IngressNginx or Traefik, or a query with measuredAt: Gateway, or set minReplicas: 1"
))]
#[x_kube(validation = Rule::new("!has(self.latency) || has(self.requestRate)").message(
    "autoscaling.latency corrects what a pod is taken to carry, so it needs requestRate beside it: set requestRate.perPod"
))]
#[x_kube(validation = Rule::new("!has(self.fallback) || self.fallback.replicas <= self.maxReplicas").message(
    "autoscaling.fallback.replicas must not be above maxReplicas: lower it or raise maxReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.fallback) || has(self.requestRate) || has(self.concurrency)").message(
    "autoscaling.fallback acts when requestRate or concurrency cannot be read, and neither is set: set one, or remove fallback"
))]
#[x_kube(validation = Rule::new("!has(self.schedules) || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas <= self.maxReplicas)").message(
    "autoscaling.schedules[].minReplicas must not be above maxReplicas: lower it or raise maxReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.schedules) || self.schedules.all(s, !has(s.expected) || has(self.requestRate))").message(
    "autoscaling.schedules[].expected is turned into pods by requestRate.perPod, which is missing: set requestRate, or use minReplicas"
))]
pub struct Autoscaling {
    /// Fewest pods. 0 is accepted only with a request rate that is counted without any pod, too: by ingress-nginx, by
    /// Traefik (with its `allowEmptyServices`, the default since version 3), or by what a query with `measuredAt: Gateway`
    /// reads. Envoy Gateway answers for a route without endpoints itself and counts nothing.
    #[schemars(range(min = 0, max = 10000))]
    pub min_replicas: i32,

    /// Most pods.
    #[schemars(range(min = 1, max = 10000))]
    pub max_replicas: i32,

    /// Mean cpu of the pods, kept by the HPA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<ResourceTarget>,

    /// Mean memory of the pods, kept by the HPA. Memory rarely falls again, so it often holds the count up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ResourceTarget>,

    /// Requests per second, summed over the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<RequestRate>,

    /// A latency budget. It corrects, within bounds, what a pod is taken to carry; it never multiplies pods without
    /// end when they do not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,

    /// Requests in flight, summed over the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,

    /// Further metrics of the HPA, passed through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::metric_specs")]
    pub metrics: Vec<MetricSpec>,

    /// How fast the number of pods may change, the HPA's own type; the floor obeys it too. Where it is silent: up by
    /// the larger of 4 pods and 100 % in 15 s at once, down by at most 10 % (at least one pod) in 60 s after 300 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::behavior")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,

    /// Times with other bounds: lessons, exam weeks, holidays. A map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub schedules: Vec<Schedule>,

    /// What to run while demand cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,

    /// Stops actuation; sampling, decisions and status go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,

    /// How long the floor is held when demand falls by more than half within two minutes, because an outage in front
    /// of the app looks the same as no load. Default `15m`; `0s` switches it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('24h')").message("autoscaling.collapseHold must be at most 24h"))]
    pub collapse_hold: Option<Duration>,
}

/// A target of the HPA for cpu or memory.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.utilization) != has(self.averageValue)").message(
    "autoscaling.cpu and .memory: set exactly one of utilization (percent of the request) and averageValue"
))]
pub struct ResourceTarget {
    /// Percent of the pods' request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub utilization: Option<i32>,
    /// A mean per pod, such as `400m` or `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message(
        "autoscaling.cpu and .memory: averageValue must be above 0: write a quantity such as 400m or 1Gi"
    ))]
    pub average_value: Option<Quantity>,
}

/// What to run while demand cannot be read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Fewest pods while a demand signal without a `constant` has failed three times over at least a minute. It only ever
    /// raises.
    #[schemars(range(min = 0, max = 10000))]
    pub replicas: i32,
}

/// Which actuation stops. `All` wins over the one-way values.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Pause {
    /// Nothing scales in.
    ScaleIn,
    /// Nothing scales out.
    ScaleOut,
    /// Nothing scales.
    All,
}
