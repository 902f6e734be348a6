//! Jobs of an app: what they are made of.

use super::{
    pod::{pull_policy, seconds, some_list, some_map},
    pod_monitor,
};
use crate::{kinds::Kind, naming::labels, validate::ValidApp};
use aws_lc_rs::digest;
use crds::tiers::jobs::{AppJob, ConcurrencyPolicy};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{ResourceExt, core::DynamicObject};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Label: the name of the job that a Job, a CronJob or a pod is of.
pub const JOB: &str = "learningplatform.dev/job";
/// Label: when a Job runs; see [`Phase`].
pub const PHASE: &str = "learningplatform.dev/job-phase";
/// Label that Kubernetes gives to pods of Jobs: the Job's name.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// Annotation by which Kubernetes counts a Deployment's rollouts.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Kubernetes' own default, 6, tells of a failed migration only after ten minutes.
const BACKOFF_LIMIT: i32 = 3;
/// Kubernetes' own for runs that succeeded.
pub(super) const HISTORY_LIMIT: i32 = 3;
/// Hexadecimal digits of the hash in a Job's name: as many as fit beside names of 50 characters.
const HASH_BYTES: usize = 5;

/// When a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before each change of the pods.
    Before,
    /// Once after each rollout.
    After,
    /// By the clock.
    Schedule,
}

impl Phase {
    /// When a job of the spec runs; none where that does not say so.
    pub fn of(job: &AppJob) -> Option<Self> {
        match (&job.before_rollout, &job.after_rollout, &job.schedule) {
            (Some(_), None, None) => Some(Self::Before),
            (None, Some(_), None) => Some(Self::After),
            (None, None, Some(_)) => Some(Self::Schedule),
            _ => None,
        }
    }

    /// The value of the label [`PHASE`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before-rollout",
            Self::After => "after-rollout",
            Self::Schedule => "schedule",
        }
    }
}

/// What is wrong with the app's jobs that admission cannot know: the field, and the problem.
pub(crate) fn check(app: &ValidApp) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for job in &app.spec.jobs {
        let field = format!("jobs[{}]", job.name);
        if Phase::of(job).is_none() {
            problems.push((field.clone(), "set exactly one of beforeRollout, schedule and afterRollout".to_owned()));
        }
        let cron = job.schedule.as_ref().map(|schedule| schedule.cron.as_str()).unwrap_or_default();
        if let Some(range) = backwards(cron) {
            let problem = format!("the range {range} goes backwards: swap its ends, or write two ranges");
            problems.push((format!("{field}.schedule.cron"), problem));
        }
    }
    problems
}

/// A range of a cron expression whose end is before its start.
fn backwards(cron: &str) -> Option<&str> {
    const NAMES: [&[&str]; 2] = [
        &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
        &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    ];
    let place = |text: &str| -> Option<usize> {
        let named = || {
            NAMES.iter().enumerate().find_map(|(first, names)| {
                // Months are counted from 1, days from 0.
                names.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|at| at + 1 - first)
            })
        };
        text.parse().ok().or_else(named)
    };
    cron.split(' ').flat_map(|field| field.split(',')).map(|entry| entry.split('/').next().unwrap_or(entry)).find(
        |range| {
            range
                .split_once('-')
                .is_some_and(|(from, to)| place(from).zip(place(to)).is_some_and(|(from, to)| from > to))
        },
    )
}

/// The pod template of a Deployment.
pub(super) fn template(deployment: &DynamicObject) -> &Value {
    &deployment.data["spec"]["template"]
}

/// The word by which Kubernetes tells a Deployment's rollouts apart; none before the first.
pub(super) fn revision(live: Option<&DynamicObject>) -> &str {
    live.and_then(|live| live.annotations().get(REVISION)).map(String::as_str).unwrap_or_default()
}

/// The name of the Job that a job is for a rollout: of the app's pod `template`, from or at the Deployment's `revision`.
/// The same rollout has the same name in every pass; what is another Job, or another rollout, has another one.
pub(super) fn name(app: &ValidApp, job: &AppJob, template: &Value, revision: &str) -> String {
    // How many old runs are kept makes no other Job.
    let job = AppJob { history_limit: None, ..job.clone() };
    let rollout = json!({ "app": app.key.app, "job": job, "template": template, "revision": revision });
    let hash = digest::digest(&digest::SHA256, sorted(&rollout).to_string().as_bytes());
    let hash: String = hash.as_ref().iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{hash}", app.object_name, job.name)
}

/// The same value with its fields in order, whatever order this build of the JSON library keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The Job for a rollout.
pub(super) fn job(app: &ValidApp, job: &AppJob, template: &Value, revision: &str) -> Option<DynamicObject> {
    let phase = Phase::of(job)?;
    let object = Kind::Job.object(&json!({
        "metadata": { "name": name(app, job, template, revision), "labels": object_labels(app, job, phase) },
        "spec": spec(app, job, template),
    }));
    object.inspect_err(|error| tracing::error!(%error, app = %app.key, "a defect: a Job cannot be built")).ok()
}

/// The CronJobs, for pods of this template.
pub(super) fn cron_jobs<'a>(
    app: &'a ValidApp,
    template: &'a Value,
) -> impl Iterator<Item = Result<DynamicObject, serde_json::Error>> + 'a {
    app.spec.jobs.iter().filter(|job| Phase::of(job) == Some(Phase::Schedule)).filter_map(move |job| {
        let schedule = job.schedule.as_ref()?;
        let policy = match schedule.concurrency_policy {
            Some(ConcurrencyPolicy::Allow) => "Allow",
            Some(ConcurrencyPolicy::Replace) => "Replace",
            Some(ConcurrencyPolicy::Forbid) | None => "Forbid",
        };
        let history = job.history_limit.unwrap_or(HISTORY_LIMIT);
        Some(Kind::CronJob.object(&json!({
            "metadata": { "name": cron_job_name(app, job), "labels": object_labels(app, job, Phase::Schedule) },
            "spec": {
                "schedule": schedule.cron,
                // Left out, it would be that of the machine which Kubernetes' controllers run on.
                "timeZone": schedule.time_zone.as_deref().unwrap_or("Etc/UTC"),
                "concurrencyPolicy": policy,
                "startingDeadlineSeconds": schedule.starting_deadline.map(|d| seconds(d.into())),
                "suspend": schedule.suspend.unwrap_or(false),
                "successfulJobsHistoryLimit": history,
                "failedJobsHistoryLimit": history,
                "jobTemplate": {
                    "metadata": { "labels": object_labels(app, job, Phase::Schedule) },
                    "spec": spec(app, job, template),
                },
            },
        })))
    })
}

/// Name of the CronJob of a job.
pub(crate) fn cron_job_name(app: &ValidApp, job: &AppJob) -> String {
    format!("{}-{}", app.object_name, job.name)
}

fn object_labels(app: &ValidApp, job: &AppJob, phase: Phase) -> BTreeMap<String, String> {
    let mut all = labels(&app.key.platform, &app.key.app);
    all.extend([(JOB.to_owned(), job.name.clone()), (PHASE.to_owned(), phase.as_str().to_owned())]);
    all
}

fn spec(app: &ValidApp, job: &AppJob, template: &Value) -> Value {
    json!({
        "backoffLimit": job.backoff_limit.unwrap_or(BACKOFF_LIMIT),
        "activeDeadlineSeconds": job.active_deadline.map(|d| seconds(Duration::from(d))),
        // Two at once of one migration would be one too many.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": [{
            "action": "Ignore",
            "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }],
        }] },
        "template": pod(app, job, template),
    })
}

/// The pod template of a job: the app's, overlay included, without what is for serving, and without the labels by which the
/// app's pods are found.
fn pod(app: &ValidApp, job: &AppJob, template: &Value) -> Value {
    let mut pod = template.clone();
    let mut all = job.pod_labels.clone();
    // No app can be called so: names of apps have no dots.
    all.extend(labels(&app.key.platform, &component(&app.key.app, &job.name)));
    all.insert(JOB.to_owned(), job.name.clone());
    pod["metadata"]["labels"] = json!(all);
    let annotations: Map<String, Value> = pod["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let scraped = pod_monitor::annotations(app);
    let kept: Map<_, _> = annotations.into_iter().filter(|(name, _)| !scraped.contains_key(name)).collect();
    pod["metadata"]["annotations"] = if kept.is_empty() { Value::Null } else { Value::Object(kept) };
    if let Some(spec) = pod["spec"].as_object_mut() {
        for serving in ["topologySpreadConstraints", "readinessGates"] {
            spec.remove(serving);
        }
        if let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) {
            affinity.remove("podAntiAffinity");
            if affinity.is_empty() {
                spec.remove("affinity");
            }
        }
        spec.insert("restartPolicy".to_owned(), json!("Never"));
        if let Some(containers) = spec.get_mut("containers").and_then(Value::as_array_mut) {
            // A Job ends when all its containers have.
            containers.retain(|container| container["name"] == *app.key.app);
            containers.iter_mut().for_each(|container| adapt(app, job, container));
        }
    }
    pod
}

fn adapt(app: &ValidApp, job: &AppJob, container: &mut Value) {
    let Some(fields) = container.as_object_mut() else { return };
    for serving in ["ports", "readinessProbe", "livenessProbe", "startupProbe", "lifecycle"] {
        fields.remove(serving);
    }
    for (name, words) in [("command", &job.command), ("args", &job.args)] {
        fields.insert(name.to_owned(), json!(some_list(words.clone())));
    }
    if let Some(image) = &job.image {
        fields.insert("image".to_owned(), json!(image));
        fields.insert("imagePullPolicy".to_owned(), json!(pull_policy(app, image)));
    }
    if let Some(resources) = job.resources.clone() {
        let resources = ResourceRequirements {
            requests: some_map(resources.requests),
            limits: some_map(resources.limits),
            claims: None,
        };
        fields.insert("resources".to_owned(), json!(resources));
    }
    if !job.env.is_empty() {
        let mut env = fields.remove("env").and_then(|env| env.as_array().cloned()).unwrap_or_default();
        for variable in &job.env {
            let variable = json!(variable);
            match env.iter_mut().find(|present| present["name"] == variable["name"]) {
                Some(present) => *present = variable,
                None => env.push(variable),
            }
        }
        fields.insert("env".to_owned(), Value::Array(env));
    }
}

/// What the pods of a job carry in place of the app's name.
pub(super) fn component(app: &str, job: &str) -> String {
    format!("{app}.{job}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_goes_backwards_is_found() {
        for (cron, found) in [
            ("0 8-17 * * MON-FRI", None),
            ("0 17-8 * * *", Some("17-8")),
            ("0 0 * * FRI-mon", Some("FRI-mon")),
            ("0 0 1-2,9-5/2 * *", Some("9-5")),
            ("0 0 * NOV-feb *", Some("NOV-feb")),
            ("0 0 * 3-DEC 0-SAT", None),
            ("0 0 * * TUE-1", Some("TUE-1")),
            ("0 0 * JAN-1 SUN-0", None),
            ("@daily", None),
        ] {
            assert_eq!(backwards(cron), found, "{cron}");
        }
    }

    #[test]
    fn what_is_hashed_does_not_depend_on_the_order_of_fields() {
        let one: Value = serde_json::from_str(r#"{"a": [{"x": 1, "y": 2}], "b": 3}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": 3, "a": [{"y": 2, "x": 1}]}"#).unwrap();
        assert_eq!(sorted(&one).to_string(), sorted(&other).to_string());
    }
}
