//! What status said before this process began. A new operator is no news: what it has not decided yet, or has decided just
//! as the one before, stays as it was told, to the word. Pure.

use crate::{
    conditions::{State, Verdict},
    evaluate::ScalingView,
};
use crds::status::{AppStatus, ConditionType, Reason, Scaling};

/// Puts back what was `told` where nothing else is known: before the first decision, and after it while decisions mean the
/// same.
pub(super) fn keep(
    told: &AppStatus,
    view: Option<&ScalingView>,
    verdicts: &mut Vec<Verdict>,
    scaling: &mut Option<Scaling>,
) {
    let before = verdicts_of(told);
    match view {
        None => {
            // A failure is only known to last by trying again, which this process has not done yet.
            let lasting = |told: &&Verdict| told.type_ != ConditionType::AutoscalingReady || told.state == State::True;
            for verdict in verdicts {
                let told = before.iter().filter(lasting).find(|told| told.type_ == verdict.type_);
                *verdict = told.unwrap_or(verdict).clone();
            }
            scaling.clone_from(&told.scaling);
        }
        Some(view) => {
            if view.first && alike(verdicts, &before) && same_bounds(scaling.as_ref(), told.scaling.as_ref()) {
                *verdicts = before;
                scaling.clone_from(&told.scaling);
            }
        }
    }
}

fn verdicts_of(told: &AppStatus) -> Vec<Verdict> {
    let of = |type_: ConditionType| {
        let condition = told.conditions.iter().find(|condition| condition.type_ == type_.as_str())?;
        let state = [State::True, State::Unknown, State::False].into_iter().find(|s| s.as_str() == condition.status)?;
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == condition.reason)?;
        Some(Verdict::new(type_, state, *reason, condition.message.as_str()))
    };
    [ConditionType::AutoscalingReady, ConditionType::MetricsAvailable].into_iter().filter_map(of).collect()
}

/// Whether they differ in words alone. What has to be mended stands in the words.
fn alike(now: &[Verdict], before: &[Verdict]) -> bool {
    let meaning = |verdict: &Verdict| {
        let words = verdict.reason == Reason::SourceMisconfigured;
        (verdict.type_, verdict.state, verdict.reason, words.then(|| verdict.message.clone()))
    };
    now.iter().map(meaning).eq(before.iter().map(meaning))
}

fn same_bounds(now: Option<&Scaling>, before: Option<&Scaling>) -> bool {
    let bounds = |scaling: &Scaling| (scaling.floor, scaling.cap, scaling.hold.clone());
    now.map(bounds) == before.map(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::{
        apimachinery::pkg::apis::meta::v1::{Condition, Time},
        jiff::Timestamp,
    };

    fn told(status: &str, reason: &str) -> AppStatus {
        let condition = Condition {
            type_: "AutoscalingReady".into(),
            status: status.into(),
            reason: reason.into(),
            message: "between 2 and 4 pods".into(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: Some(1),
        };
        let scaling = Some(Scaling { floor: 2, cap: 4, reason: "as told".into(), ..Scaling::default() });
        AppStatus { name: "web".into(), conditions: vec![condition], scaling, ..AppStatus::default() }
    }

    #[test]
    fn before_the_first_decision_status_says_what_it_said() {
        let unknown =
            Verdict::new(ConditionType::AutoscalingReady, State::Unknown, Reason::Progressing, "no decision yet");
        let (mut verdicts, mut scaling) = (vec![unknown.clone()], None);
        keep(&told("True", "Succeeded"), None, &mut verdicts, &mut scaling);
        assert_eq!((verdicts[0].state, verdicts[0].message.as_str()), (State::True, "between 2 and 4 pods"));
        assert_eq!(scaling.map(|s| s.reason), Some("as told".to_owned()));

        let (mut verdicts, mut scaling) = (vec![unknown.clone()], None);
        keep(&AppStatus { name: "web".into(), ..AppStatus::default() }, None, &mut verdicts, &mut scaling);
        assert_eq!((verdicts, scaling), (vec![unknown.clone()], None), "an app of which nothing was said");

        let mut verdicts = vec![unknown.clone()];
        keep(&told("False", "ProviderError"), None, &mut verdicts, &mut None);
        assert_eq!(verdicts, [unknown], "a failure of the process before");
    }

    #[test]
    fn words_alone_are_alike_but_for_what_has_to_be_mended() {
        let verdict =
            |reason, message: &str| [Verdict::new(ConditionType::MetricsAvailable, State::False, reason, message)];
        assert!(alike(&verdict(Reason::NoSeries, "a"), &verdict(Reason::NoSeries, "b")));
        assert!(!alike(&verdict(Reason::NoSeries, "a"), &verdict(Reason::StaleSample, "a")));
        assert!(!alike(&verdict(Reason::SourceMisconfigured, "a"), &verdict(Reason::SourceMisconfigured, "b")));
        assert!(!alike(&verdict(Reason::NoSeries, "a"), &[]));
    }

    #[test]
    fn bounds_are_compared_and_not_their_reasons() {
        let scaling = |floor, reason: &str| Scaling { floor, cap: 4, reason: reason.into(), ..Scaling::default() };
        assert!(same_bounds(Some(&scaling(2, "a")), Some(&scaling(2, "b"))));
        assert!(!same_bounds(Some(&scaling(2, "a")), Some(&scaling(3, "a"))));
        assert!(!same_bounds(Some(&scaling(2, "a")), None));
    }
}
