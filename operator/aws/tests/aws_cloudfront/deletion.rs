//! The end of a distribution.

use crate::{
    driver::{Operator, has, says, text},
    wishes::{seven_p, ten_k, wish},
};
use learningplatform_aws::{
    Call as _, Kind, Mode,
    cloudfront::{Call, DeletionPolicy, Memory},
};
use std::time::Duration;

#[tokio::test]
async fn scenario_35_an_enabled_distribution_is_disabled_is_so_everywhere_and_is_deleted() {
    for restarts in [false, true] {
        let mut operator = Operator::new(wish(seven_p()));
        operator.edit(|wish| wish.deletion_policy = Some(DeletionPolicy::Delete));
        let step = operator.synced().await;
        assert!(
            says(&step, Kind::Deletion).starts_with("Delete: deleting it disables and deletes"),
            "before it is done"
        );
        let (id, config) = (operator.only().id, operator.only().config);
        // What is wished meanwhile is not brought there on the way out.
        operator.edit(|wish| (wish.deleted, wish.spec.comment) = (true, Some("the last word".into())));
        let plan: Vec<String> = operator.look().await.plan.calls.iter().map(|one| one.call.sentence()).collect();
        assert_eq!(plan[..2], [format!("change {id}: Enabled: true → false"), format!("delete {id}")]);
        let log = operator.cloudfront.log().len();
        let mut disabled = config;
        disabled.set("Enabled", false);
        for _ in 0..200 {
            if restarts {
                operator.memory = text(&Memory::default());
            }
            let (step, wait) = operator.round().await;
            if let Some(Call::Delete { .. }) = step.as_ref().and_then(|step| step.send.as_ref()) {
                break;
            }
            assert_eq!(crate::documents::sorted(&operator.only().config), crate::documents::sorted(&disabled));
            operator.clock.advance(wait);
        }
        let step = operator.until(|step| step.finished).await;
        assert!(step.plan.calls.is_empty());
        assert!(operator.cloudfront.ids().is_empty() && operator.cloudfront.kept_companions().is_empty());
        let sent: Vec<_> =
            operator.cloudfront.log()[log..].iter().map(|one| (one.call.operation(), one.refused.clone())).collect();
        let order = ["UpdateDistribution", "DeleteDistribution", "DeleteOriginAccessControl"];
        assert_eq!(sent, order.map(|name| (name, None)), "each once, and none too early");
    }
}

#[tokio::test]
async fn scenario_35_retain_leaves_it_enabled_and_untouched_and_it_goes_on_once_adopted() {
    let mut operator = Operator::new(wish(ten_k()));
    let step = operator.synced().await;
    assert!(says(&step, Kind::Deletion).starts_with("Retain: deleting it leaves the distribution enabled"));
    let (before, companions) = (operator.only(), operator.cloudfront.kept_companions());
    operator.edit(|wish| wish.deleted = true);
    assert!(operator.round().await.0.expect("seen").finished, "the default");
    assert_eq!((operator.only(), operator.cloudfront.kept_companions()), (before.clone(), companions.clone()));
    // The same platform applied again.
    operator.edit(|wish| (wish.deleted, wish.owner.uid) = (false, "uid-2".into()));
    operator.memory = text(&Memory::default());
    let log = operator.cloudfront.log().len();
    let step = operator.settle().await;
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    assert!(!has(&step, Kind::Synced) && step.plan.calls.is_empty() && step.view.domain_name.is_none());
    assert_eq!((operator.only(), operator.cloudfront.log().len()), (before.clone(), log));
    operator.edit(|wish| wish.adopt = true);
    operator.synced().await;
    assert_eq!(operator.only(), before, "only its tags are written");
    assert_eq!(operator.cloudfront.tags(&before.id), operator.wish.owner.tags());
    assert_eq!(operator.cloudfront.log().len(), log + 1);
    assert_eq!(operator.cloudfront.kept_companions(), companions);
}

#[tokio::test]
async fn what_is_retained_is_not_deleted_by_who_did_not_adopt_it() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let before = operator.only();
    operator.memory = text(&Memory::default());
    operator.edit(|wish| {
        wish.owner.uid = "uid-2".into();
        (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete));
    });
    assert!(operator.round().await.0.expect("seen").finished);
    assert_eq!(operator.only(), before);
}

#[tokio::test]
async fn nothing_is_deleted_in_observe_or_plan() {
    for mode in [Mode::Observe, Mode::Plan] {
        let mut operator = Operator::new(wish(ten_k()));
        operator.synced().await;
        let log = operator.cloudfront.log().len();
        operator.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
        operator.wish.mode = mode;
        for _ in 0..10 {
            let (step, wait) = operator.round().await;
            assert_eq!(step.expect("seen").finished, mode == Mode::Observe);
            operator.clock.advance(wait);
        }
        assert_eq!((operator.cloudfront.log().len(), operator.cloudfront.ids().len()), (log, 1));
    }
}

#[tokio::test]
async fn one_that_was_created_a_moment_ago_is_found_before_it_is_called_gone() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.cloudfront.hide_new(3);
    operator.until(|step| matches!(step.send, Some(Call::Create { .. }))).await;
    operator.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
    operator.clock.advance(Duration::from_secs(1));
    operator.until(|step| step.finished).await;
    assert!(operator.cloudfront.ids().is_empty() && operator.cloudfront.kept_companions().is_empty());
}
