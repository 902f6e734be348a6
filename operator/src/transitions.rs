//! Events on transitions of conditions: when something turned good or bad, once.

use crate::context::Context;
use crds::{
    LearningPlatform,
    status::{AppStatus, ConditionType, JobState, LearningPlatformStatus, Reason, StoreStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;

/// An event worth publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether a human should look.
    pub warning: bool,
    /// The condition's reason.
    pub reason: String,
    /// The condition, and what it says.
    pub note: String,
    /// The condition's type.
    pub condition: String,
}

/// What changed between two statuses: conditions whose value or reason is another one, and runs of jobs that have failed. A
/// message alone is no transition.
pub fn transitions(before: &LearningPlatformStatus, after: &LearningPlatformStatus) -> Vec<Transition> {
    let mut found = Vec::new();
    for condition in &after.conditions {
        let platform_wide =
            [ConditionType::Ready, ConditionType::Stalled].iter().any(|t| t.as_str() == condition.type_);
        if platform_wide {
            found.extend(transition("", condition, &before.conditions));
        }
    }
    found.extend(stores(after).filter_map(|store| {
        let previous = stores(before).find(|previous| previous.name == store.name);
        rotation(store, previous.and_then(|previous| previous.rotation.as_deref()))
    }));
    let (earlier, later): (Vec<_>, Vec<_>) = (items(before).collect(), items(after).collect());
    for (name, conditions) in later {
        let previous = earlier.iter().find(|(n, _)| *n == name).map(|(_, conditions)| *conditions);
        for condition in conditions {
            found.extend(transition(&format!("{name}: "), condition, previous.unwrap_or_default()));
        }
    }
    for app in &after.apps {
        let previous = before.apps.iter().find(|previous| previous.name == app.name);
        found.extend(failed_jobs(previous, app));
    }
    found
}

/// The runs of jobs that have failed since, but for those of which the app's condition tells.
fn failed_jobs(before: Option<&AppStatus>, after: &AppStatus) -> Vec<Transition> {
    let known = before.map(|app| app.jobs.as_slice()).unwrap_or_default();
    let stops = after.conditions.iter().find(|condition| condition.reason == Reason::JobFailed.as_str());
    let mut found = Vec::new();
    for job in after.jobs.iter().filter(|job| job.state == JobState::Failed) {
        let run = job.run.as_deref().unwrap_or_default();
        let is_known = known.iter().any(|known| known.run == job.run && known.state == job.state);
        if !is_known && !stops.is_some_and(|condition| condition.message.contains(run)) {
            found.push(Transition {
                warning: true,
                reason: Reason::JobFailed.to_string(),
                note: format!("{}: the job {} failed: see the logs of Job {run}", after.name, job.name),
                condition: "Job".to_owned(),
            });
        }
    }
    found
}

fn stores(status: &LearningPlatformStatus) -> impl Iterator<Item = &StoreStatus> {
    status.caches.iter().chain(&status.databases)
}

/// The beginning and the end of a change of a store's password.
fn rotation(store: &StoreStatus, before: Option<&str>) -> Option<Transition> {
    let (reason, note) = match (before, &store.rotation) {
        (None, Some(told)) => ("PasswordChanging", told.clone()),
        (Some(_), None) => ("PasswordChanged", "the former password is no longer accepted".to_owned()),
        _ => return None,
    };
    let (reason, condition) = (reason.to_owned(), "RotatePassword".to_owned());
    Some(Transition { warning: false, reason, note: format!("{}: {note}", store.name), condition })
}

/// The items of all tiers, whose names are unique among them.
fn items(status: &LearningPlatformStatus) -> impl Iterator<Item = (&str, &[Condition])> {
    let stores = stores(status).map(|s| (s.name.as_str(), s.conditions.as_slice()));
    let cdns = status.cdns.iter().map(|cdn| (cdn.name.as_str(), cdn.conditions.as_slice()));
    status.apps.iter().map(|app| (app.name.as_str(), app.conditions.as_slice())).chain(stores).chain(cdns)
}

fn transition(prefix: &str, condition: &Condition, before: &[Condition]) -> Option<Transition> {
    let previous = before.iter().find(|c| c.type_ == condition.type_);
    if previous.is_some_and(|p| p.status == condition.status && p.reason == condition.reason) {
        return None;
    }
    let calm = [Reason::Progressing, Reason::Suspended, Reason::Settling, Reason::Paused, Reason::NotConfigured];
    let good = if condition.type_ == ConditionType::Stalled.as_str() { "False" } else { "True" };
    Some(Transition {
        warning: condition.status != good && !calm.iter().any(|r| r.as_str() == condition.reason),
        reason: condition.reason.clone(),
        note: format!("{prefix}{} is {}: {}", condition.type_, condition.status, condition.message),
        condition: condition.type_.clone(),
    })
}

/// Publishes what changed.
pub async fn publish(
    ctx: &Context,
    platform: &LearningPlatform,
    before: &LearningPlatformStatus,
    after: &LearningPlatformStatus,
) {
    let regarding = platform.object_ref(&());
    for Transition { warning, reason, note, condition } in transitions(before, after) {
        ctx.events.publish(&regarding, warning, &reason, &condition, &note).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conditions::{State, Verdict, render},
        status,
    };
    use crds::status::JobStatus;
    use k8s_openapi::jiff::Timestamp;

    fn with(state: State, reason: Reason, message: &str) -> LearningPlatformStatus {
        let conditions = |type_| render([Verdict::new(type_, state, reason, message)], &[], 1, Timestamp::UNIX_EPOCH);
        LearningPlatformStatus {
            conditions: conditions(ConditionType::Ready),
            apps: vec![AppStatus {
                name: "web".to_owned(),
                conditions: conditions(ConditionType::AppReady),
                ..AppStatus::default()
            }],
            ..LearningPlatformStatus::default()
        }
    }

    #[test]
    fn each_run_of_a_job_that_fails_is_told_once() {
        let with = |state: JobState, run: &str| {
            let mut status = with(State::True, Reason::Succeeded, "");
            let run = Some(run.to_owned());
            status.apps[0].jobs = vec![JobStatus { name: "warm".to_owned(), state, run, at: None }];
            status
        };
        let (runs, failed) = (with(JobState::Running, "a"), with(JobState::Failed, "a"));
        let told = transitions(&runs, &failed);
        assert!(told.len() == 1 && told[0].warning, "{told:?}");
        assert_eq!(told[0].note, "web: the job warm failed: see the logs of Job a");
        assert_eq!(transitions(&failed, &failed), []);
        assert_eq!(transitions(&failed, &with(JobState::Failed, "b")).len(), 1, "another run");
        assert_eq!(transitions(&failed, &with(JobState::Succeeded, "b")), []);
    }

    #[test]
    fn a_new_value_or_reason_is_a_transition_and_a_new_message_is_none() {
        let ready = with(State::True, Reason::Succeeded, "3 of 3");
        assert_eq!(transitions(&ready, &ready), []);
        assert_eq!(transitions(&ready, &with(State::True, Reason::Succeeded, "4 of 4")), []);
        let broken = transitions(&ready, &with(State::False, Reason::ImagePull, "no image"));
        assert_eq!(broken.len(), 2);
        assert!(broken.iter().all(|t| t.warning));
        assert_eq!(broken[1].note, "web: AppReady is False: no image");
        let healed = transitions(&with(State::False, Reason::ImagePull, "x"), &ready);
        assert!(healed.len() == 2 && healed.iter().all(|t| !t.warning));
        let rotating = |told: Option<&str>| {
            let rotation = told.map(str::to_owned);
            let cache = StoreStatus { name: "cache".to_owned(), rotation, ..StoreStatus::default() };
            LearningPlatformStatus { caches: vec![cache], ..ready.clone() }
        };
        let notes = |before: Option<&str>, after: Option<&str>| -> Vec<String> {
            transitions(&rotating(before), &rotating(after)).into_iter().map(|t| t.note).collect()
        };
        assert_eq!(notes(None, Some("spreading")), ["cache: spreading"]);
        assert_eq!(notes(Some("spreading"), Some("published")), [""; 0]);
        assert_eq!(notes(Some("published"), None), ["cache: the former password is no longer accepted"]);
        let starting = transitions(&LearningPlatformStatus::default(), &status::first(1, Timestamp::UNIX_EPOCH));
        assert!(starting.len() == 1 && !starting[0].warning, "progress is no warning");
    }
}
