//! What is told of an item at AWS.

use crate::conditions::{State, Verdict};
use aws::{Call, Condition, Kind, Plan};
use crds::status::{AwsCall, ConditionType, Reason};

/// The calls of a plan.
pub fn calls<C: Call>(plan: &Plan<C>) -> Vec<AwsCall> {
    let call = |planned: &aws::Planned<C>| AwsCall {
        operation: planned.call.operation().to_owned(),
        call: planned.call.sentence(),
        costs: planned.costs.clone(),
        needs: planned.consent.as_ref().map(|consent| consent.why.clone()),
        waits: planned.hold.clone(),
    };
    plan.calls.iter().map(call).collect()
}

/// What keeps an item from being had, where one of the conditions does: the worst of them. An item that serves is not unready
/// because something about it cannot be changed.
pub fn hindrance(conditions: &[Condition], serves: bool) -> Option<(State, Reason, String)> {
    let reason = |kind: Kind| {
        Some(match kind {
            Kind::Invalid => Reason::InvalidSpec,
            Kind::NameConflict => Reason::NameConflict,
            Kind::Retained => Reason::Retained,
            Kind::Missing => Reason::DataMissing,
            Kind::Broken | Kind::Unavailable if !serves => Reason::ProviderError,
            Kind::NotUsable if !serves => Reason::DependencyNotReady,
            Kind::Refused if !serves => Reason::Rejected,
            Kind::NoCapacity if !serves => Reason::NoCapacity,
            Kind::PermissionDenied if !serves => Reason::PermissionDenied,
            Kind::NeedsConsent if !serves => Reason::NeedsConsent,
            _ => return None,
        })
    };
    let held = conditions.iter().filter(|condition| condition.holds);
    let mut found: Vec<_> = held.filter_map(|it| Some((it.kind, reason(it.kind)?, it.message.clone()))).collect();
    found.sort_by_key(|(kind, ..)| *kind);
    let (_, reason, message) = found.into_iter().next()?;
    // What AWS does not say is not known to be wrong.
    let state = if reason == Reason::ProviderError { State::Unknown } else { State::False };
    Some((state, reason, message))
}

/// What is told beside whether an item can be had.
pub fn notes(conditions: &[Condition]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for condition in conditions {
        let (type_, reason) = match condition.kind {
            Kind::Synced => {
                (ConditionType::Synced, if condition.holds { Reason::Succeeded } else { Reason::Progressing })
            }
            Kind::PendingMaintenance => (ConditionType::PendingMaintenance, Reason::PendingMaintenance),
            Kind::PendingReboot => (ConditionType::PendingReboot, Reason::PendingMaintenance),
            Kind::Drift | Kind::LeftAlone => (ConditionType::Drift, Reason::Drift),
            Kind::ResizeRolledBack => (ConditionType::Drift, Reason::ResizeRolledBack),
            Kind::NeedsConsent => (ConditionType::ConsentNeeded, Reason::NeedsConsent),
            Kind::Deploying => (ConditionType::Deploying, Reason::Progressing),
            Kind::NotUsable => (ConditionType::Synced, Reason::DependencyNotReady),
            Kind::Refused => (ConditionType::Synced, Reason::Rejected),
            Kind::NoCapacity => (ConditionType::Synced, Reason::NoCapacity),
            Kind::PermissionDenied => (ConditionType::Synced, Reason::PermissionDenied),
            Kind::Unavailable | Kind::Broken => (ConditionType::Synced, Reason::ProviderError),
            Kind::Invalid | Kind::NameConflict | Kind::Retained | Kind::Missing | Kind::Deletion => continue,
        };
        // Of `Synced` a reason says more than that it is not so.
        let refuted = type_ == ConditionType::Synced && (condition.kind != Kind::Synced || !condition.holds);
        let state = if refuted || !condition.holds { State::False } else { State::True };
        match verdicts.iter_mut().find(|verdict| verdict.type_ == type_) {
            Some(verdict) if type_ == ConditionType::Synced => {
                if condition.kind != Kind::Synced {
                    *verdict = Verdict::new(type_, state, reason, condition.message.clone());
                }
            }
            Some(verdict) => verdict.message = format!("{}; {}", verdict.message, condition.message),
            None => verdicts.push(Verdict::new(type_, state, reason, condition.message.clone())),
        }
    }
    verdicts
}

/// What becomes of the data when the item is deleted.
pub fn deletion(conditions: &[Condition]) -> Option<String> {
    conditions.iter().find(|condition| condition.kind == Kind::Deletion).map(|condition| condition.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_is_not_unready_because_a_change_is_refused() {
        let refused = [Condition::is_not(Kind::Synced, "to do"), Condition::is(Kind::Refused, "no such class")];
        assert_eq!(hindrance(&refused, true), None);
        assert_eq!(hindrance(&refused, false), Some((State::False, Reason::Rejected, "no such class".into())));
        let notes = notes(&refused);
        assert_eq!(notes, [Verdict::new(ConditionType::Synced, State::False, Reason::Rejected, "no such class")]);
        let retained = [Condition::is(Kind::Retained, "adopt it"), Condition::is(Kind::Unavailable, "throttled")];
        assert_eq!(hindrance(&retained, true), Some((State::False, Reason::Retained, "adopt it".into())));
    }
}
