//! Whose what is found is: after a crash, in another cluster, and where names collide.

use crate::{
    driver::{Operator, has, says, text},
    wishes::{owner, seven_p, ten_k, wish},
};
use learningplatform_aws::{
    Identity, Kind, Owner, TAGS, Tags,
    cloudfront::{Call, DeletionPolicy, Distribution, Memory},
};

/// Which call that changes something makes the distribution.
async fn creation() -> u64 {
    let mut operator = Operator::new(wish(seven_p()));
    operator.until(|step| matches!(step.send, Some(Call::Create { .. }))).await;
    operator.cloudfront.writes()
}

#[tokio::test]
async fn scenario_36_a_distribution_that_was_created_before_a_crash_is_found_and_exactly_one_exists() {
    let creation = creation().await;
    for forgets in [false, true] {
        for hidden in [0, 1, 5] {
            let mut operator = Operator::new(wish(seven_p()));
            operator.forgets = forgets;
            operator.cloudfront.hide_new(hidden);
            operator.cloudfront.crash_after(creation);
            operator.synced().await;
            assert_eq!(operator.kills, 1);
            assert_eq!(operator.cloudfront.done("CreateDistributionWithTags").len(), 1, "hidden for {hidden}");
            assert_eq!(operator.cloudfront.tags(&operator.only().id), operator.wish.owner.tags());
            assert_eq!(operator.memory().counter, 0);
            let exists =
                operator.cloudfront.log().iter().any(|one| one.refused.as_deref() == Some("DistributionAlreadyExists"));
            // Where reads show it late, or what was sent is forgotten, the call is repeated, and its reference is the key.
            assert_eq!(exists, hidden == 5 || (forgets && hidden > 0), "{forgets} {hidden}");
        }
    }
}

#[tokio::test]
async fn scenario_36_a_reference_that_stays_blocked_after_a_deletion_is_counted_up_once() {
    for blocks in [false, true] {
        let mut operator = Operator::new(wish(seven_p()));
        operator.cloudfront.block_references(blocks);
        operator.edit(|wish| wish.deletion_policy = Some(DeletionPolicy::Delete));
        operator.synced().await;
        let reference = operator.only().reference().to_owned();
        operator.edit(|wish| wish.deleted = true);
        operator.until(|step| step.finished).await;
        operator.memory = text(&Memory::default());
        operator.edit(|wish| (wish.deleted, wish.owner.uid) = (false, "uid-2".into()));
        operator.synced().await;
        assert_eq!(operator.memory().counter, u32::from(blocks));
        assert_eq!(operator.only().reference(), operator.wish.owner.identity.caller_reference(u32::from(blocks)));
        assert_eq!(operator.only().reference() == reference, !blocks);
        let refused = operator.cloudfront.log().iter().filter(|one| one.refused.is_some()).count();
        assert!(refused <= 4, "{refused}");
        // The counter is not needed to know it again.
        operator.memory = text(&Memory::default());
        operator.synced().await;
        assert_eq!(operator.cloudfront.done("CreateDistributionWithTags").len(), 2);
    }
}

#[tokio::test]
async fn one_that_was_made_under_our_reference_by_somebody_else_is_left_alone() {
    let mut nearly = owner("story", "uid-1").tags();
    nearly.insert(TAGS[2].into(), "another".into());
    let mut incomplete = owner("story", "uid-1").tags();
    incomplete.remove(TAGS[4]);
    for tags in [Tags::new(), nearly, incomplete] {
        let mut operator = Operator::new(wish(seven_p()));
        operator.synced().await;
        let before = operator.only();
        operator.cloudfront.tag(&before.id, |theirs| *theirs = tags.clone());
        operator.memory = text(&Memory::default());
        operator.wish.adopt = true;
        let step = operator.until(|step| has(step, Kind::NameConflict)).await;
        assert!(says(&step, Kind::NameConflict).contains(&before.id), "{:?}", step.conditions);
        // It stays so, and costs no more looks than another.
        operator.edit(|wish| wish.spec.comment = Some("mine".into()));
        for _ in 0..5 {
            let (step, wait) = operator.round().await;
            assert!(has(&step.expect("seen"), Kind::NameConflict));
            operator.clock.advance(wait);
        }
        assert_eq!((operator.only(), operator.cloudfront.tags(&before.id)), (before, tags));
        // Deleting the item does not, either.
        operator.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
        operator.until(|step| step.finished).await;
        assert_eq!(operator.cloudfront.ids().len(), 1);
    }
}

#[tokio::test]
async fn the_same_platform_in_another_cluster_finds_its_distribution_by_the_tags() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let before = operator.only();
    operator.memory = text(&Memory::default());
    let identity = Identity::new("green", "learning", "story", "edge").expect("legal");
    operator.edit(|wish| wish.owner = Owner { identity, uid: "uid-of-green".into() });
    let log = operator.cloudfront.log().len();
    let step = operator.settle().await;
    assert!(says(&step, Kind::Retained).contains("cluster blue"), "{:?}", step.conditions);
    assert_eq!(operator.cloudfront.log().len(), log);
    operator.edit(|wish| wish.adopt = true);
    operator.synced().await;
    assert_eq!(operator.only().domain_name, before.domain_name);
    assert_eq!(operator.only().reference(), before.reference());
    assert_eq!(operator.cloudfront.tags(&before.id), operator.wish.owner.tags());
    assert_eq!(operator.cloudfront.done("CreateDistributionWithTags").len(), 1);
}

#[tokio::test]
async fn a_copy_that_bears_our_tags_is_named_and_left_alone() {
    let mut operator = Operator::new(wish(seven_p()));
    // Its id stands before ours.
    let mut other = operator.beside(wish(seven_p()));
    other.wish.owner = owner("school", "uid-9");
    other.wish.spec.aliases = None;
    other.synced().await;
    let copy = operator.only().id;
    operator.synced().await;
    let ours = operator.memory().id.and_then(|id| operator.cloudfront.get(&id)).expect("it is there");
    assert!(copy < ours.id);
    operator.cloudfront.tag(&copy, |tags| *tags = operator.wish.owner.tags());
    let is = |operator: &Operator| -> Distribution { operator.cloudfront.get(&copy).expect("it is there") };
    let before = is(&operator);
    // Whatever is remembered.
    for forgets in [false, true] {
        if forgets {
            operator.memory = text(&Memory::default());
        }
        operator.edit(|wish| wish.spec.comment = Some(format!("mine {forgets}")));
        let step = operator.synced().await;
        assert!(says(&step, Kind::LeftAlone).contains(&copy), "{:?}", step.conditions);
        assert_eq!(step.view.id.as_ref(), Some(&ours.id));
        assert_eq!(is(&operator), before);
    }
}

#[tokio::test]
async fn one_that_vanished_is_told_and_made_again() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    operator.cloudfront.vanish(&operator.only().id);
    operator.cloudfront.block_references(true);
    let step = operator.until(|step| has(step, Kind::Missing)).await;
    assert!(says(&step, Kind::Missing).contains("another domain name"));
    operator.synced().await;
    assert_eq!(operator.only().reference(), operator.wish.owner.identity.caller_reference(1));
}

#[tokio::test]
async fn an_adopted_one_whose_tags_were_taken_off_is_told_and_no_other_is_made_beside_it() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    let id = operator.only().id;
    let identity = Identity::new("green", "learning", "story", "edge").expect("legal");
    operator.edit(|wish| (wish.owner, wish.adopt) = (Owner { identity, uid: "uid-of-green".into() }, true));
    operator.memory = text(&Memory::default());
    operator.synced().await;
    operator.cloudfront.tag(&id, Tags::clear);
    let (log, before) = (operator.cloudfront.log().len(), operator.only());
    let step = operator.settle().await;
    assert!(says(&step, Kind::NameConflict).contains(&id), "{:?}", step.conditions);
    assert_eq!((operator.cloudfront.log().len(), operator.only()), (log, before));
}
