//! `apps[].jobs`: what runs to its end beside an app: before a rollout, after one, or by the clock.

use super::pod::Resources;
use crate::schema;
use k8s_openapi::api::core::v1::EnvVar;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One job of an app. Its pods are made from the app's: image, environment, connections, volumes, security and account are
/// the same, ports, probes and the labels by which the app's pods are found are not, so no request ever reaches them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.beforeRollout), has(self.schedule), has(self.afterRollout)].filter(x, x).size() == 1").message(
    "apps[].jobs[]: set exactly one of beforeRollout, schedule and afterRollout"
))]
#[x_kube(validation = Rule::new("has(self.command) || has(self.args) || has(self.image)").message(
    "apps[].jobs[] would start the app itself, which does not end: set command, args or image"
))]
pub struct AppJob {
    /// Name of the job, unique in the app. A Job of it is called `<platform>-<app>-<name>-<hash>`, a CronJob without the
    /// hash; the three names together may have 50 characters.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Set (`{}`) for a job that runs with the new version before each change of the pods, the first included: a
    /// migration. Several run one after another in their order. While one has not succeeded the old pods go on serving;
    /// one that failed stops the rollout (`AppReady`, reason `JobFailed`) until the app or the job is changed, or its Job
    /// is deleted, which tries again. One that runs is never stopped: a newer version waits for its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_rollout: Option<BeforeRollout>,

    /// For a job that runs by the clock: when. It is changed together with the app's pods. A suspended platform's
    /// schedules go on as they were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<JobSchedule>,

    /// Set (`{}`) for a job that runs once after each rollout, as soon as the app is ready on the new version, and again
    /// when the job itself is changed: the warming of a cache. Its failure is told and stops nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_rollout: Option<AfterRollout>,

    /// Image in place of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// Entry point in place of the image's own; the app's `command` does not count here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub command: Vec<String>,

    /// Arguments in place of the image's own; the app's `args` do not count here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,

    /// Environment variables beside the app's; one of the same name wins over the app's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,

    /// What its pod asks for and may use, in place of the app's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Labels of its pods, for network policies. The app's `podLabels` are not theirs: a Service of yours might select by
    /// them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,

    /// Further tries after a failed one, each after a longer wait (10 s, 20 s, 40 s and so on). A pod that a drained node
    /// takes along is no failed try. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub backoff_limit: Option<i32>,

    /// How long it may take, all tries together, before it is stopped and has failed. Default: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('168h')").message(
        "apps[].jobs[].activeDeadline must be between 1s and 168h"
    ))]
    pub active_deadline: Option<Duration>,

    /// Ended runs that are kept with their pods and logs, the newest; of a schedule so many that succeeded and so many
    /// that failed. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub history_limit: Option<i32>,
}

/// Before each change of the pods. There is nothing to choose.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BeforeRollout {}

/// Once after each rollout. There is nothing to choose.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AfterRollout {}

/// When a job runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct JobSchedule {
    /// Minute, hour, day of the month, month and day of the week (0 is Sunday), as cron writes them: `0 */6 * * *`; or one of
    /// `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`.
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", cron())).message(
        "apps[].jobs[].schedule.cron is no cron expression of five fields: write it as 0 */6 * * *"
    ))]
    pub cron: String,

    /// IANA name of the zone that the times are of: `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$"))]
    #[x_kube(validation = Rule::new("self != '' && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0").message(
        "apps[].jobs[].schedule.timeZone is not in the IANA database: write it as Europe/Berlin or UTC"
    ))]
    pub time_zone: Option<String>,

    /// What happens where a run is due while the last one has not ended. Default `Forbid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,

    /// How late a run may still start that could not start in time. Default: without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('168h')").message(
        "apps[].jobs[].schedule.startingDeadline must be between 10s and 168h"
    ))]
    pub starting_deadline: Option<Duration>,

    /// Whether no run starts for now. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What happens where a run is due while the last one has not ended.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Both run.
    Allow,
    /// The new one is left out.
    Forbid,
    /// The old one is stopped.
    Replace,
}

/// What Kubernetes takes for a cron expression: numbers within their bounds, names, ranges, lists and steps.
pub(super) fn cron() -> String {
    let list = |value: &str| {
        let entry = format!("([*?]|({value})(-({value}))?)(/[1-9][0-9]*)?");
        format!("{entry}(,{entry})*")
    };
    let fields = [
        list("[0-5]?[0-9]"),
        list("[01]?[0-9]|2[0-3]"),
        list("0?[1-9]|[12][0-9]|3[01]"),
        list("0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"),
        list("0?[0-6]|SUN|MON|TUE|WED|THU|FRI|SAT"),
    ];
    let named = "@(yearly|annually|monthly|weekly|daily|midnight|hourly)";
    format!("(?i)^({named}|{})$", fields.join(" +"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_expressions_are_those_that_kubernetes_takes() {
        let pattern = regex::Regex::new(&cron()).expect("a pattern");
        for good in [
            "0 */6 * * *",
            "30 2 1 * *",
            "*/15 8-17 * * MON-FRI",
            "0 0 1,15 jan,JUL ?",
            "5/20 * * * 0",
            "07 03 * * sun",
            "@daily",
            "0  0 * * *",
        ] {
            assert!(pattern.is_match(good), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * * 7",
            "*/0 * * * *",
            "TZ=UTC 0 0 * * *",
            "@every 1h",
            "@reboot",
            "0 0 * * MONDAY",
            "0 0 * * 1,",
            " 0 0 * * *",
        ] {
            assert!(!pattern.is_match(bad), "{bad}");
        }
    }
}
