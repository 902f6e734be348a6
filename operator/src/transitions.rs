//! Events on transitions of conditions: when something turned good or bad, once.

use crate::context::Context;
use crds::{
    LearningPlatform,
    status::{ConditionType, LearningPlatformStatus, Reason},
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

/// What changed between two statuses: conditions whose value or reason is another one. A message alone is no transition.
pub fn transitions(before: &LearningPlatformStatus, after: &LearningPlatformStatus) -> Vec<Transition> {
    let mut found = Vec::new();
    for condition in &after.conditions {
        let platform_wide =
            [ConditionType::Ready, ConditionType::Stalled].iter().any(|t| t.as_str() == condition.type_);
        if platform_wide {
            found.extend(transition("", condition, &before.conditions));
        }
    }
    let (earlier, later): (Vec<_>, Vec<_>) = (items(before).collect(), items(after).collect());
    for (name, conditions) in later {
        let previous = earlier.iter().find(|(n, _)| *n == name).map(|(_, conditions)| *conditions);
        for condition in conditions {
            found.extend(transition(&format!("{name}: "), condition, previous.unwrap_or_default()));
        }
    }
    found
}

/// The items of all tiers, whose names are unique among them.
fn items(status: &LearningPlatformStatus) -> impl Iterator<Item = (&str, &[Condition])> {
    let stores = status.caches.iter().chain(&status.databases).map(|s| (s.name.as_str(), s.conditions.as_slice()));
    status.apps.iter().map(|app| (app.name.as_str(), app.conditions.as_slice())).chain(stores)
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
    use crds::status::AppStatus;
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
        let starting = transitions(&LearningPlatformStatus::default(), &status::first(1, Timestamp::UNIX_EPOCH));
        assert!(starting.len() == 1 && !starting[0].warning, "progress is no warning");
    }
}
