//! Policies, access controls and functions: before the distribution, and after it.

use crate::{
    driver::{Operator, at, says},
    wishes::{self, ten_k, wish},
};
use learningplatform_aws::{
    Call as _, Kind,
    cloudfront::{CompanionKind, DeletionPolicy, Function, Policy},
};

fn names(operator: &Operator) -> Vec<String> {
    operator.cloudfront.kept_companions().into_iter().map(|(one, _)| one.name).collect()
}

#[tokio::test]
async fn they_are_made_first_changed_by_being_replaced_and_deleted_last() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let before = names(&operator);
    assert_eq!(before.len(), 7);
    for (one, config) in operator.cloudfront.kept_companions() {
        let whose = config.value("Comment").or(config.value("Description")).expect("it says whose it is");
        assert!(whose.starts_with("learningplatform.dev/") && one.name.starts_with("lp-story-edge-"), "{one:?}");
        assert!(one.name.len() <= 64 && one.live, "{one:?}");
    }
    let log = operator.cloudfront.log().len();
    operator.edit(|wish| {
        let Some(Policy::Own(cache)) = &mut wish.spec.behaviors[4].1.cache_policy else { panic!("its own") };
        cache.max_ttl = 100_000;
        wish.spec
            .functions
            .insert("closed".into(), Function { code: Function::closed().code + "\n", ..Function::closed() });
    });
    operator.synced().await;
    let sent: Vec<_> =
        operator.cloudfront.log()[log..].iter().map(|one| (one.call.operation(), one.refused.clone())).collect();
    let order = [
        "CreateFunction",
        "PublishFunction",
        "CreateCachePolicy",
        "UpdateDistribution",
        "DeleteCachePolicy",
        "DeleteFunction",
    ];
    assert_eq!(sent, order.map(|name| (name, None)));
    let after = names(&operator);
    assert_eq!(after.len(), before.len());
    assert_eq!(after.iter().filter(|name| before.contains(name)).count(), before.len() - 2);
    // The whole goes, and leaves nothing.
    operator.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
    operator.until(|step| step.finished).await;
    assert!(names(&operator).is_empty() && operator.cloudfront.ids().is_empty());
    assert!(operator.cloudfront.log().iter().all(|one| one.refused.is_none()), "none is deleted while it is used");
}

#[tokio::test]
async fn one_of_our_name_that_says_something_else_of_itself_is_left_alone() {
    let mut operator = Operator::new(wish(ten_k()));
    let step = operator.look().await;
    let theirs = step.plan.calls[2].call.resource().to_owned();
    operator.cloudfront.put_companion(CompanionKind::CachePolicy, &theirs, "mine");
    // Another one of ours, by its name alone.
    let unused = format!("{}-unused", operator.wish.owner.identity.cdn());
    operator.cloudfront.put_companion(CompanionKind::CachePolicy, &unused, "mine, too");
    let step = operator.until(|step| step.send.is_none()).await;
    assert!(says(&step, Kind::NameConflict).contains(&format!("CachePolicy {theirs} is somebody else's")), "{step:?}");
    assert!(operator.cloudfront.ids().is_empty(), "nothing is made of what is not ours");
    assert!(operator.cloudfront.log().iter().all(|one| one.call.resource() != theirs && one.call.resource() != unused));
}

#[tokio::test]
async fn those_of_another_platform_are_never_touched() {
    let mut one = Operator::new(wish(ten_k()));
    let mut other = one.beside(wish(ten_k()));
    other.wish.owner = wishes::owner("school", "uid-9");
    one.synced().await;
    other.synced().await;
    let theirs: Vec<_> =
        one.cloudfront.kept_companions().into_iter().filter(|(it, _)| it.name.contains("school")).collect();
    let distribution = |of: &Operator| of.memory().id.and_then(|id| of.cloudfront.get(&id)).expect("it is there");
    let their_distribution = distribution(&other);
    one.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
    one.until(|step| step.finished).await;
    assert_eq!(one.cloudfront.kept_companions(), theirs);
    assert_eq!(distribution(&other), their_distribution);
}

#[tokio::test]
async fn one_of_ours_that_is_not_wished_any_more_is_not_named_and_somebody_elses_in_its_place_stays() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let field =
        |operator: &Operator, behavior: &[&str], name: &str| at(&operator.only().config, &[behavior, &[name]].concat());
    let (video, closed) = (["CacheBehaviors", "PathPattern=video/*"], ["CacheBehaviors", "PathPattern=/metrics"]);
    operator.edit(|wish| {
        let [_, (_, closed), (_, video), (_, manifest), _] = &mut wish.spec.behaviors[..] else { panic!("five") };
        (closed.functions, video.browser_ttl, manifest.browser_ttl) = (None, None, None);
        wish.spec.default_behavior.as_mut().expect("set").response_headers_policy = None;
    });
    operator.synced().await;
    assert_eq!(field(&operator, &video, "ResponseHeadersPolicyId"), "-");
    assert_eq!(field(&operator, &closed, "FunctionAssociations"), "");
    assert_eq!(field(&operator, &["DefaultCacheBehavior"], "ResponseHeadersPolicyId"), "-");
    // The function is still that of the other path.
    assert_eq!(names(&operator).len(), 5);
    let (id, theirs) = (operator.only().id, "67f7725c-6f97-4210-82d7-5512b31e9d03");
    operator.cloudfront.meddle(&id, |config| {
        config.get_mut("DefaultCacheBehavior").expect("set").set("ResponseHeadersPolicyId", theirs);
    });
    operator.edit(|wish| wish.spec.comment = Some("another".into()));
    operator.synced().await;
    assert_eq!(field(&operator, &["DefaultCacheBehavior"], "ResponseHeadersPolicyId"), theirs);
}
