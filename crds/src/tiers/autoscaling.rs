//! `spec.apps[].autoscaling`: the bounds, the signals and the calendar of an app's scaling.

use crate::{ConfigMapKey, schema};
use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
#[x_kube(validation = Rule::new("self.minReplicas > 0 || (has(self.requestRate) && ((has(self.requestRate.measuredAt) && self.requestRate.measuredAt == 'Gateway') || (has(self.requestRate.preset) && self.requestRate.preset in ['EnvoyGateway', 'IngressNginx', 'Traefik'])))").message(
    "autoscaling.minReplicas: 0 needs a requestRate that is not measured by the app's own pods, which would be silent at zero: use a gateway preset or measuredAt: Gateway, or set minReplicas: 1"
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
    /// Fewest pods. 0 is accepted only with a request rate that a gateway measures.
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
    pub average_value: Option<Quantity>,
}

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
}

/// Demand in requests in flight.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
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
}

/// A latency budget.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.percentile) != (has(self.mean) && self.mean)").message(
    "autoscaling.latency: set exactly one of percentile and mean: true"
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
    /// Where the figure comes from.
    #[serde(flatten)]
    pub source: Source,
}

/// Where a signal is read. With nothing set: the usual metric of the app's own pods
/// (`http_requests_total`, `http_request_duration_seconds`, `http_requests_in_flight`), found by namespace and pod name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.query) || !(has(self.preset) || has(self.metric) || has(self.labels) || has(self.histogram) || has(self.unit))").message(
    "autoscaling signals: query is a whole expression; remove preset, metric, labels, histogram and unit beside it"
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
        "autoscaling signals: label names are letters, digits and '_', not starting with a digit"
    ))]
    pub labels: BTreeMap<String, String>,
    /// Kind of the histogram behind a latency. Default `Classic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Unit of a latency metric. Default: the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
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

/// What to run while demand cannot be read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Fewest pods while a demand signal has failed three times over at least a minute. It only ever raises.
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

/// A time with other bounds. The bound is reached before the window opens, in steps over `ramp`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.start) || has(self.end), has(self.weekly), has(self.calendar)].filter(x, x).size() == 1").message(
    "autoscaling.schedules[]: set exactly one of start and end (once), weekly, and calendar"
))]
#[x_kube(validation = Rule::new("has(self.start) == has(self.end)").message(
    "autoscaling.schedules[]: a one-time window needs both start and end"
))]
#[x_kube(validation = Rule::new("!has(self.start) || !has(self.end) || self.start < self.end").message(
    "autoscaling.schedules[].end must be after start"
))]
#[x_kube(validation = Rule::new("has(self.minReplicas) || has(self.maxReplicas) || has(self.expected)").message(
    "autoscaling.schedules[] changes nothing: set minReplicas, maxReplicas or expected"
))]
#[x_kube(validation = Rule::new("has(self.timeZone) || has(self.calendar)").message(
    "autoscaling.schedules[].timeZone is missing: name the zone of the local times, such as Europe/Berlin"
))]
pub struct Schedule {
    /// Name of the schedule.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Begin of a one-time window, local time: `2026-12-07T07:30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 19), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"))]
    #[x_kube(validation = Rule::new("timestamp(self + (size(self) == 16 ? ':00Z' : 'Z')) > timestamp('1970-01-01T00:00:00Z')").message(
        "autoscaling.schedules[].start is no date and time: write it as 2026-12-07T07:30"
    ))]
    pub start: Option<String>,
    /// End of a one-time window (the first moment outside it), local time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 19), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$"))]
    #[x_kube(validation = Rule::new("timestamp(self + (size(self) == 16 ? ':00Z' : 'Z')) > timestamp('1970-01-01T00:00:00Z')").message(
        "autoscaling.schedules[].end is no date and time: write it as 2026-12-11T18:00"
    ))]
    pub end: Option<String>,
    /// A window that comes every week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Weekly>,
    /// Windows that are the events of an iCalendar file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Calendar>,
    /// IANA name of the zone of the local times: `Europe/Berlin`. For a calendar: the zone of times without one.
    /// A local time that a clock change skips moves to the first moment after the gap; of one that comes twice, a floor
    /// takes the longer window and a cap the shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^([A-Za-z_]+(/[A-Za-z0-9_+-]+)+|UTC)$"))]
    #[x_kube(validation = Rule::new("timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0").message(
        "autoscaling.schedules[].timeZone is not in the IANA database: write it as Europe/Berlin or UTC"
    ))]
    pub time_zone: Option<String>,
    /// Fewest pods inside the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub min_replicas: Option<i32>,
    /// Most pods inside the window. Where a floor of another schedule is above it, the floor wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_replicas: Option<i32>,
    /// Demand expected inside the window, turned into a floor by `requestRate.perPod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// Time over which the bound is reached before the window opens and left after it closes, in ten steps. Default
    /// `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) <= duration('24h')").message("autoscaling.schedules[].ramp must be at most 24h"))]
    pub ramp: Option<Duration>,
}

/// A window that comes every week.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.start != self.end").message(
    "autoscaling.schedules[].weekly: start and end are equal; an end before the start means the next day, a whole day is 00:00 to 24:00"
))]
#[x_kube(validation = Rule::new("!has(self.from) || !has(self.until) || self.from <= self.until").message(
    "autoscaling.schedules[].weekly: until must not be before from"
))]
pub struct Weekly {
    /// Days on which the window opens.
    #[schemars(length(min = 1, max = 7))]
    pub days: Vec<Weekday>,
    /// Local time at which it opens: `07:30`.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// Local time at which it closes, on the next day if not after `start`; `24:00` is the end of the day.
    #[schemars(length(max = 5), regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub end: String,
    /// First day, such as the first day of term. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    #[x_kube(validation = Rule::new("timestamp(self + 'T00:00:00Z') > timestamp('1970-01-01T00:00:00Z')").message(
        "autoscaling.schedules[].weekly.from is no date: write it as 2026-09-01"
    ))]
    pub from: Option<String>,
    /// Last day on which the window opens. Default: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    #[x_kube(validation = Rule::new("timestamp(self + 'T00:00:00Z') > timestamp('1970-01-01T00:00:00Z')").message(
        "autoscaling.schedules[].weekly.until is no date: write it as 2026-12-18"
    ))]
    pub until: Option<String>,
}

/// A day of the week.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[allow(missing_docs)]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Events of an iCalendar file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Calendar {
    /// The ConfigMap key that holds the file.
    pub config_map: ConfigMapKey,
    /// Only events whose summary contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub summary_contains: Option<String>,
}

/// Expected demand.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.requestsPerSecond) != has(self.students)").message(
    "autoscaling.schedules[].expected: set exactly one of requestsPerSecond and students"
))]
#[x_kube(validation = Rule::new("has(self.students) == has(self.requestsPerStudent)").message(
    "autoscaling.schedules[].expected: students and requestsPerStudent belong together: set both"
))]
pub struct Expected {
    /// Requests per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message(
        "autoscaling.schedules[].expected.requestsPerSecond must be above 0: write a quantity such as 100 or 500m"
    ))]
    pub requests_per_second: Option<Quantity>,
    /// Students at work at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000000))]
    pub students: Option<i64>,
    /// Requests per second of one student, such as `50m` for one in twenty seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantity")]
    #[x_kube(validation = Rule::new("quantity(string(self)).isGreaterThan(quantity('0'))").message(
        "autoscaling.schedules[].expected.requestsPerStudent must be above 0: write a quantity such as 100 or 500m"
    ))]
    pub requests_per_student: Option<Quantity>,
}
