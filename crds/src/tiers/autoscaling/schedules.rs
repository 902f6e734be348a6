//! The calendar: times with other bounds.

use crate::{ConfigMapKey, schema};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time with other bounds. The bound is reached before the window opens, in steps over `ramp`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.start) || has(self.end), has(self.weekly), has(self.calendar)].filter(x, x).size() == 1").message(
    "autoscaling.schedules[]: set exactly one of start and end (once), weekly, and calendar"
))]
#[x_kube(validation = Rule::new("has(self.start) == has(self.end)").message(
    "autoscaling.schedules[]: a one-time window needs both start and end: set both"
))]
#[x_kube(validation = Rule::new("!has(self.start) || !has(self.end) || self.start + (size(self.start) == 16 ? ':00' : '') < self.end + (size(self.end) == 16 ? ':00' : '')").message(
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
    /// IANA name of the zone of the local times: `Europe/Berlin`. For a calendar: the zone of all-day events and of times
    /// without one. Default: the calendar's `X-WR-TIMEZONE`, else UTC. A local time that a clock change skips moves to the
    /// first moment after the gap; of one that comes twice, a floor takes the longer window and a cap the shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$"))]
    #[x_kube(validation = Rule::new("self != '' && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0").message(
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
    "autoscaling.schedules[].weekly: start and end are equal: change one of them; an end before the start means the next day, a whole day is 00:00 to 24:00"
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

/// Events of an iCalendar file. Zones have names of the IANA database or of Windows in it; in place of any other the
/// schedule's `timeZone` counts, and the status says so.
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
