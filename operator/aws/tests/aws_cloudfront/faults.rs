//! Every request fails once, in turn, by every kind of error, and the operator is killed after every call that changes something:
//! the same end, nothing made twice, nothing left over, nothing lost.

use crate::{
    driver::{Operator, at, has, patterns},
    wishes::{self, SECRET, managed, ten_k, wish},
};
use aws_fake::{Fault, cloudfront::Durations};
use learningplatform_aws::{
    Call as _, Class, Kind, Tags, Troubles,
    cloudfront::{DeletionPolicy, Policy, Scope, Wish},
};
use std::time::Duration;

fn quick(operator: &Operator) {
    let seconds = Duration::from_secs;
    operator.cloudfront.set_durations(Durations { deploying: seconds(40), invalidating: seconds(20) });
    operator.cloudfront.hide_new(1);
}

/// A whole life. What is checked on the way holds in every run.
async fn life(operator: &mut Operator) {
    quick(operator);
    operator.edit(|wish| wish.deletion_policy = Some(DeletionPolicy::Delete));
    operator.synced().await;
    everything_is_there(operator, 7);

    // A change of many things: the order, a policy, the secret, an origin that goes; and a rollout meanwhile.
    operator.edit(|wish| {
        wish.spec.behaviors.swap(2, 4);
        wish.spec.behaviors[3].1.cache_policy = managed("CachingOptimized");
        wish.spec.behaviors.remove(2);
        wish.spec.origins.truncate(2);
        wish.rollouts.insert("web".into(), "2".into());
    });
    operator.synced().await;
    // The access control and the policies of thumbnails go.
    everything_is_there(operator, 4);
    assert_eq!(operator.cloudfront.invalidations().len(), 1);

    operator.edit(|wish| {
        (wish.spec.functions, wish.spec.enabled) = (Default::default(), Some(false));
        wish.spec.behaviors.drain(..2);
    });
    operator.synced().await;
    everything_is_there(operator, 3);

    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
    assert!(operator.cloudfront.ids().is_empty(), "{:?}", operator.cloudfront.ids());
    assert!(operator.cloudfront.kept_companions().is_empty());
}

fn everything_is_there(operator: &Operator, companions: usize) {
    let one = operator.only();
    let wished: Vec<&String> = operator.wish.spec.behaviors.iter().map(|(path, _)| path).collect();
    assert_eq!(patterns(&one.config).iter().collect::<Vec<_>>(), wished);
    assert_eq!(operator.cloudfront.tags(&one.id), operator.wish.owner.tags());
    assert_eq!(operator.cloudfront.kept_companions().len(), companions);
    assert_eq!(
        at(&one.config, &["Origins", "Id=web", "CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"]),
        SECRET
    );
    // What no version of ours knows is there to the end.
    assert_eq!(at(&one.config, &["Novelty", "Profile"]), "a<b&c");
    assert_eq!(at(&one.config, &["Origins", "Id=web", "Novelty", "Profile"]), "a<b&c");
    for (path, behavior) in &operator.wish.spec.behaviors {
        let has_policy =
            !at(&one.config, &["CacheBehaviors", &format!("PathPattern={path}"), "CachePolicyId"]).is_empty();
        assert_eq!(has_policy, behavior.cache_policy.is_some());
    }
    assert_eq!(operator.cloudfront.done("CreateDistributionWithTags").len(), 1);
}

/// How many requests a life has.
async fn requests() -> u64 {
    let mut operator = Operator::new(wish(ten_k()));
    life(&mut operator).await;
    operator.cloudfront.requests()
}

async fn fails_once(fault: Fault) {
    for request in 0..requests().await {
        let mut operator = Operator::new(wish(ten_k()));
        operator.cloudfront.faults(|faults| faults.fail_at(request, fault));
        life(&mut operator).await;
    }
}

#[tokio::test]
async fn every_request_is_throttled_once() {
    fails_once(Fault::Throttled).await;
}

#[tokio::test]
async fn every_request_fails_at_the_server_once() {
    fails_once(Fault::Server).await;
}

#[tokio::test]
async fn every_request_is_unreachable_once() {
    fails_once(Fault::Unreachable).await;
}

#[tokio::test]
async fn every_answer_is_lost_once() {
    fails_once(Fault::Lost).await;
}

#[tokio::test]
async fn every_request_meets_a_change_once() {
    fails_once(Fault::Conflict).await;
}

#[tokio::test]
async fn every_request_is_denied_once() {
    fails_once(Fault::Denied).await;
}

#[tokio::test]
async fn every_read_is_stale_once() {
    fails_once(Fault::Stale).await;
}

#[tokio::test]
async fn killed_after_every_call_that_changes_something() {
    let mut whole = Operator::new(wish(ten_k()));
    life(&mut whole).await;
    assert!(whole.cloudfront.writes() >= 15);
    for forgets in [false, true] {
        for write in 1..=whole.cloudfront.writes() {
            let mut operator = Operator::new(wish(ten_k()));
            operator.forgets = forgets;
            operator.cloudfront.crash_after(write);
            life(&mut operator).await;
            assert_eq!(operator.kills, 1, "after call {write}");
        }
    }
}

#[tokio::test]
async fn killed_after_every_call_of_a_row() {
    let mut operator = Operator::new(wish(ten_k()));
    quick(&operator);
    let mut killed = 0;
    operator.cloudfront.crash_after(1);
    // Each kill arms the next.
    for _ in 0..400 {
        let (step, wait) = operator.round().await;
        if operator.kills > killed {
            killed = operator.kills;
            operator.cloudfront.crash_after(operator.cloudfront.writes() + 1);
        }
        if step.is_some_and(|step| has(&step, Kind::Synced)) {
            break;
        }
        operator.clock.advance(wait);
    }
    everything_is_there(&operator, 7);
    assert_eq!(u64::from(killed), operator.cloudfront.writes());
    assert!(killed >= 9, "{killed}");
}

/// The life of what is attached to somebody else's distribution, which is the same after it.
async fn attached(operator: &mut Operator) {
    quick(operator);
    operator.cloudfront.keep_order(true);
    let theirs = wishes::seven_p();
    let mut owner = operator.beside(wish(theirs));
    owner.wish.owner = wishes::owner("school", "uid-9");
    // Made without the faults of this life, and not told to be anybody's.
    let step = owner.look().await;
    let config = step.plan.calls.iter().find_map(|one| match &one.call {
        learningplatform_aws::cloudfront::Call::Create { config, .. } => Some(config.clone()),
        _ => None,
    });
    let mut config = config.expect("it is planned");
    config.get_mut("Origins").and_then(|list| list.get_mut("Items")).expect("set").children[1]
        .remove("OriginAccessControlId");
    let distribution = operator.cloudfront.put(config, Tags::new());
    let before = operator.only().config.to_xml();
    let mut spec = ten_k();
    (spec.default_behavior, spec.invalidate) = (None, Default::default());
    for (path, _) in &mut spec.behaviors {
        *path = format!("learn/{}", path.trim_start_matches('/'));
    }
    operator.wish = Wish { scope: Scope::Attach { distribution }, ..wish(spec) };
    operator.synced().await;
    operator.edit(|wish| {
        wish.spec.behaviors.swap(0, 4);
        let Some(Policy::Own(cache)) = &mut wish.spec.behaviors[0].1.cache_policy else { panic!("its own") };
        cache.max_ttl += 1;
        wish.spec.behaviors.pop();
    });
    operator.synced().await;
    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
    assert_eq!(operator.only().config.to_xml(), before);
    assert!(operator.cloudfront.kept_companions().is_empty());
    assert!(operator.cloudfront.tags(&operator.only().id).is_empty());
}

#[tokio::test]
async fn what_is_attached_comes_and_goes_whole_whatever_fails() {
    let mut whole = Operator::new(wish(ten_k()));
    attached(&mut whole).await;
    let (requests, writes) = (whole.cloudfront.requests(), whole.cloudfront.writes());
    assert!(requests > 40 && writes >= 10, "{requests} {writes}");
    // The first three are those of the look before.
    for request in 3..requests {
        let fault = Fault::ALL[request as usize % Fault::ALL.len()];
        let mut operator = Operator::new(wish(ten_k()));
        operator.cloudfront.faults(|faults| faults.fail_at(request, fault));
        attached(&mut operator).await;
    }
    for forgets in [false, true] {
        for write in 1..=writes {
            let mut operator = Operator::new(wish(ten_k()));
            operator.forgets = forgets;
            operator.cloudfront.crash_after(write);
            attached(&mut operator).await;
            assert_eq!(operator.kills, 1, "after call {write}");
        }
    }
}

#[tokio::test]
async fn half_of_all_requests_fail() {
    for fault in [Fault::Throttled, Fault::Server, Fault::Unreachable, Fault::Conflict] {
        let mut operator = Operator::new(wish(ten_k()));
        quick(&operator);
        operator.cloudfront.faults(|faults| faults.fail_every(Some((2, fault))));
        for _ in 0..200 {
            let (_, wait) = operator.round().await;
            operator.clock.advance(wait);
        }
        operator.cloudfront.faults(|faults| faults.fail_every(None));
        operator.synced().await;
        everything_is_there(&operator, 7);
    }
}

#[tokio::test]
async fn sustained_errors_are_told_and_do_not_heat() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    operator.cloudfront.faults(|faults| faults.fail_every(Some((1, Fault::Throttled))));
    let (start, requests) = (operator.clock.now(), operator.cloudfront.requests());
    while operator.clock.now().duration_since(start).as_mins() < 60 {
        let (step, wait) = operator.round().await;
        assert!(step.is_none());
        operator.clock.advance(wait);
    }
    let requests = operator.cloudfront.requests() - requests;
    assert!(requests < 25, "{requests} in an hour");
    let told: Vec<_> = operator.memory().troubles.conditions().collect();
    assert!(told.len() == 1 && told[0].message.contains("Throttling: Rate exceeded"), "{told:?}");
}

#[tokio::test]
async fn what_is_refused_is_told_and_tried_again_with_another_wish_or_after_half_an_hour() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.wish.spec.default_behavior.as_mut().expect("set").cache_policy = Some(Policy::Id("nowhere".into()));
    let step = operator.until(|step| has(step, Kind::Refused)).await;
    let told = crate::driver::says(&step, Kind::Refused);
    assert!(told.contains("NoSuchCachePolicy: nowhere does not exist"), "{told}");
    let tries = |operator: &Operator| operator.cloudfront.log().iter().filter(|one| one.refused.is_some()).count();
    let start = operator.clock.now();
    while operator.clock.now().duration_since(start).as_mins() < 40 {
        let (_, wait) = operator.round().await;
        operator.clock.advance(wait);
    }
    assert_eq!(tries(&operator), 2, "nothing is refused for ever");
    operator.edit(|wish| wish.spec.default_behavior.as_mut().expect("set").cache_policy = managed("CachingDisabled"));
    let start = operator.clock.now();
    operator.synced().await;
    assert!(operator.clock.now().duration_since(start).as_mins() < 15, "a changed wish is tried at once");
    assert_eq!(tries(&operator), 2);
    let operations: Vec<&str> = operator.cloudfront.log().iter().map(|one| one.call.operation()).collect();
    assert!(!operations.contains(&"UpdateDistribution"), "{operations:?}");
}

#[tokio::test]
async fn a_good_look_ends_a_row_of_failed_ones() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let fail = |operator: &Operator| {
        operator.cloudfront.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
    };
    for times in [1, 2, 1, 3, 1, 4, 1] {
        for attempt in 1..=times {
            fail(&operator);
            let (step, wait) = operator.round().await;
            assert!(step.is_none() && wait == Class::Throttled.delay(attempt), "{wait:?} after {attempt} of {times}");
            operator.clock.advance(wait);
        }
        let step = operator.round().await.0.expect("it is seen");
        assert!(has(&step, Kind::Synced) && operator.memory().troubles == Troubles::default(), "{:?}", step.conditions);
        operator.clock.advance(step.requeue);
    }
}
