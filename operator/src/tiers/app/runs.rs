//! Runs of an app's jobs: what is seen of the Jobs that there are.

use super::{
    jobs::{HISTORY_LIMIT, JOB, PHASE, Phase},
    trouble::Trouble,
};
use crate::{
    kinds::{Belongs, Kind, belongs},
    naming::{COMPONENT, Owner},
    tiers::Children,
    validate::ValidApp,
};
use crds::status::{JobState, JobStatus, Reason};
use k8s_openapi::{api::batch::v1::Job, jiff::Timestamp};
use kube::{ResourceExt, core::DynamicObject};
use std::collections::BTreeMap;

/// How a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not ended.
    Running,
    /// It has ended well.
    Succeeded,
    /// It has failed, and is not tried again; why, in Kubernetes' words.
    Failed(String),
}

/// A Job that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Name of the Job.
    pub name: String,
    /// Name of the app.
    pub app: String,
    /// Name of the job in the spec.
    pub job: String,
    /// When it runs, as it was made.
    pub phase: String,
    /// Whether the operator made it, not a CronJob.
    pub ours: bool,
    /// How it is.
    pub state: State,
    /// Whether nothing of it runs, though it has not ended: no pod is there, or none that could start.
    pub idle: bool,
    /// What keeps its pod from running.
    pub trouble: Option<Trouble>,
    created: Option<Timestamp>,
    at: Option<Timestamp>,
}

impl Run {
    /// Whether it has ended.
    pub fn ended(&self) -> bool {
        self.state != State::Running
    }

    /// Whether it is one of this phase that has not ended.
    pub fn is_under_way(&self, phase: Phase) -> bool {
        self.ours && self.phase == phase.as_str() && !self.ended()
    }

    fn of(
        name: &str,
        object: &DynamicObject,
        owner: &Owner,
        troubles: &BTreeMap<String, Vec<Trouble>>,
    ) -> Option<Self> {
        let label = |label: &str| object.labels().get(label).cloned();
        let (app, job, phase) = (label(COMPONENT)?, label(JOB)?, label(PHASE)?);
        let typed: Job = serde_json::from_value(serde_json::to_value(object).ok()?).ok()?;
        let status = typed.status.unwrap_or_default();
        let condition = |type_: &str| {
            status.conditions.iter().flatten().find(|condition| condition.type_ == type_ && condition.status == "True")
        };
        let state = match (condition("Complete"), condition("Failed")) {
            (Some(_), _) => State::Succeeded,
            (None, Some(failed)) => {
                let reason = failed.reason.as_deref().unwrap_or("Failed");
                State::Failed(match failed.message.as_deref().unwrap_or_default() {
                    "" => reason.to_owned(),
                    message => format!("{reason}: {message}"),
                })
            }
            (None, None) => State::Running,
        };
        let end = condition("Complete").or(condition("Failed")).and_then(|c| c.last_transition_time.as_ref());
        let cannot_start = |trouble: &&Trouble| {
            matches!(trouble.reason, Reason::ImagePull | Reason::ContainerConfig | Reason::Unschedulable)
        };
        let trouble = troubles.get(name).and_then(|troubles| troubles.iter().find(cannot_start)).cloned();
        let none = |count: Option<i32>| count.unwrap_or(0) == 0;
        let waits = status.ready == Some(0) && trouble.is_some();
        let idle = state == State::Running && none(status.terminating) && (none(status.active) || waits);
        Some(Self {
            name: name.to_owned(),
            app,
            job,
            phase,
            ours: belongs(object, owner) == Belongs::Ours,
            trouble: trouble.filter(|_| state == State::Running),
            state,
            idle,
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
            at: end.or(status.start_time.as_ref()).map(|time| time.0),
        })
    }
}

/// Every Job of the platform, the newest first; `troubles` are of pods, by the name of their Job.
pub fn all(children: &Children, owner: &Owner, troubles: &BTreeMap<String, Vec<Trouble>>) -> Vec<Run> {
    let jobs = children.0.iter().filter(|(id, _)| id.kind == Kind::Job);
    let mut runs: Vec<Run> = jobs.filter_map(|(id, object)| Run::of(&id.name, object, owner, troubles)).collect();
    runs.sort_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
    runs
}

/// The ended runs that are kept: of each job of the spec the newest.
pub(super) fn history<'a>(app: &'a ValidApp, runs: &'a [Run]) -> impl Iterator<Item = &'a Run> {
    app.spec.jobs.iter().flat_map(|job| {
        let limit = usize::try_from(job.history_limit.unwrap_or(HISTORY_LIMIT)).unwrap_or(1).max(1);
        runs.iter().filter(|run| run.ours && run.app == app.key.app && run.job == job.name && run.ended()).take(limit)
    })
}

/// What the status says of the app's jobs.
pub(super) fn statuses(app: &ValidApp, runs: &[Run]) -> Vec<JobStatus> {
    let jobs = app.spec.jobs.iter().map(|job| {
        let run = runs.iter().find(|run| run.app == app.key.app && run.job == job.name);
        JobStatus {
            name: job.name.clone(),
            state: match run.map(|run| &run.state) {
                None => JobState::Waiting,
                Some(State::Running) => JobState::Running,
                Some(State::Succeeded) => JobState::Succeeded,
                Some(State::Failed(_)) => JobState::Failed,
            },
            run: run.map(|run| run.name.clone()),
            at: run.and_then(|run| run.at).map(|at| at.to_string()),
        }
    });
    jobs.collect()
}

/// What went wrong and stops nothing: of each such job of the spec the last run, in words.
pub(super) fn failures(app: &ValidApp, runs: &[Run]) -> Vec<String> {
    let last = app.spec.jobs.iter().filter(|job| job.before_rollout.is_none());
    let last = last.filter_map(|job| runs.iter().find(|run| run.app == app.key.app && run.job == job.name));
    let failed = last.filter_map(|run| match (&run.state, &run.trouble) {
        (State::Failed(why), _) => {
            Some(format!("the job {} failed last ({why}): see the logs of Job {}", run.job, run.name))
        }
        (State::Running, Some(trouble)) => Some(format!("the job {} cannot run: {}", run.job, trouble.message)),
        (State::Running, None) | (State::Succeeded, _) => None,
    });
    failed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(status: Value, troubles: &[Reason]) -> Run {
        let platform: crds::LearningPlatform = serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": { "name": "story", "namespace": "learning", "uid": "u" }, "spec": {},
        }))
        .unwrap();
        let owner = Owner::of(&platform);
        let object = serde_json::from_value(json!({
            "apiVersion": "batch/v1", "kind": "Job", "status": status,
            "metadata": {
                "name": "j", "labels": { COMPONENT: "web", JOB: "migrate", PHASE: "before-rollout" },
                "ownerReferences": [owner.reference()],
            },
        }))
        .unwrap();
        let trouble = |reason: &Reason| Trouble { reason: *reason, message: String::new() };
        let troubles = BTreeMap::from([("j".to_owned(), troubles.iter().map(trouble).collect())]);
        Run::of("j", &object, &owner, &troubles).unwrap()
    }

    #[test]
    fn a_run_is_idle_only_where_nothing_of_it_can_be_at_work() {
        let pull = [Reason::ImagePull];
        for (status, troubles, idle) in [
            (json!({}), &[][..], true),
            (json!({ "failed": 1 }), &[], true),
            (json!({ "active": 1 }), &[], false),
            (json!({ "active": 1, "ready": 0 }), &[], false),
            (json!({ "active": 1, "ready": 0 }), &pull, true),
            (json!({ "active": 1, "ready": 1 }), &pull, false),
            (json!({ "active": 1 }), &pull, false),
            (json!({ "active": 1, "ready": 0 }), &[Reason::CrashLoop], false),
            (json!({ "terminating": 1 }), &[], false),
            (json!({ "active": 1, "ready": 0, "terminating": 1 }), &pull, false),
            (json!({ "conditions": [{ "type": "Complete", "status": "True" }] }), &[], false),
        ] {
            assert_eq!(run(status.clone(), troubles).idle, idle, "{status} {troubles:?}");
        }
    }

    #[test]
    fn a_run_has_ended_when_the_job_says_so() {
        let with = |type_: &str, status: &str| {
            run(json!({ "conditions": [{ "type": type_, "status": status, "reason": "R", "message": "m" }] }), &[])
                .state
        };
        assert_eq!(with("Complete", "True"), State::Succeeded);
        assert_eq!(with("Failed", "True"), State::Failed("R: m".to_owned()));
        for under_way in [("Complete", "False"), ("FailureTarget", "True"), ("SuccessCriteriaMet", "True")] {
            assert_eq!(with(under_way.0, under_way.1), State::Running, "{under_way:?}");
        }
    }
}
