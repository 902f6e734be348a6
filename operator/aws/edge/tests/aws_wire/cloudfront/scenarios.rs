//! The acceptance scenarios of a distribution that a server can serve, through the real SDK.

use super::{
    bench::{Bench, DEPLOYING, meddle},
    driver::{at, has, patterns, says, text},
    wishes::{SECRET, managed, seven_p, ten_k, wish},
};
use crate::proxy::Fault;
use aws::{
    Kind, Mode, TAGS, Tags,
    cloudfront::{Call, CloudFront, DeletionPolicy, Element, Memory},
};
use aws_fake::cloudfront::{fill, shuffle};
use aws_sdk_cloudfront::types::TagKeys;
use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

/// The same in one order, so that what differs is what it says.
fn sorted(element: &Element) -> String {
    let mut copy = element.clone();
    fn sort(element: &mut Element) {
        element.children.iter_mut().for_each(sort);
        if element.children.iter().all(|child| child.name != "CacheBehavior") {
            element.children.sort_by_key(Element::to_xml);
        }
    }
    sort(&mut copy);
    copy.to_xml()
}

/// An answer to `GetDistribution` as AWS gives it: defaults are filled in, and lists without an order are in another one each time.
fn filled_and_shuffled(answer: &str, by: usize) -> String {
    let mut document = Element::parse(answer).expect("it is XML");
    let config = document.get_mut("DistributionConfig").expect("set");
    fill(config);
    shuffle(config, by);
    document.to_xml()
}

#[tokio::test]
async fn scenario_33_a_distribution_is_made_as_it_is_wished_and_a_second_pass_changes_nothing() {
    for spec in [seven_p(), ten_k()] {
        let bench = Bench::new().await;
        bench.proxy.lasting(&DEPLOYING);
        let looks = AtomicUsize::new(0);
        bench.proxy.rewrite(move |operation, content| match operation {
            "GetDistribution" => filled_and_shuffled(&content, looks.fetch_add(1, SeqCst)),
            _ => content,
        });
        let mut operator = bench.operator(wish(spec));
        let step = operator.synced().await;
        let one = bench.only().await;
        assert_eq!(bench.tags().await, operator.wish.owner.tags());
        assert_eq!(one.reference(), operator.wish.owner.identity.caller_reference(0));
        let wished: Vec<String> = operator.wish.spec.behaviors.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(patterns(&one.config), wished);
        let origin = format!("Id={}", operator.wish.spec.origins[0].id);
        let header = ["Origins", &origin, "CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"];
        assert_eq!(at(&one.config, &header), SECRET);
        assert_eq!(step.view.domain_name, Some(one.domain_name));
        assert!(step.view.enabled && step.view.deployed);

        let (writes, etag) = (bench.proxy.writes(), one.etag);
        for _ in 0..10 {
            let step = operator.synced().await;
            operator.clock.advance(step.requeue);
        }
        assert_eq!((bench.proxy.writes(), bench.only().await.etag), (writes, etag));
        assert!(bench.writes_after(0).iter().all(|(_, done)| *done), "{:?}", bench.writes_after(0));
    }
}

#[tokio::test]
async fn scenario_32_swapped_behaviours_are_one_update_and_nothing_of_one_comes_to_the_other() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    let before = bench.only().await.config;
    operator.edit(|wish| wish.spec.behaviors.swap(1, 2));
    operator.synced().await;
    let after = bench.only().await.config;
    assert_eq!(bench.proxy.done("UpdateDistribution").len(), 1);
    assert_eq!(patterns(&after), ["/static/*", "/api/*", "/_next/static/*"]);
    for pattern in patterns(&before) {
        let of = |config: &Element| {
            let behaviors = config.get("CacheBehaviors").expect("set").items();
            sorted(behaviors.iter().find(|one| one.value("PathPattern") == Some(&pattern)).expect("set"))
        };
        assert_eq!(of(&before), of(&after), "{pattern}");
    }
}

#[tokio::test]
async fn scenario_34_an_edit_of_what_we_do_not_own_survives_our_update() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    let novelty = || Element::node("Novelty", vec![Element::text("Enabled", true), Element::text("Profile", "a<b&c")]);
    bench
        .meddle(|config| {
            config.set("HttpVersion", "http3");
            config.children.push(novelty());
            let behaviors = config.get_mut("CacheBehaviors").expect("set").get_mut("Items").expect("set");
            behaviors.children[2].set("RealtimeLogConfigArn", "arn:their-log");
            behaviors.children[2].children.push(novelty());
        })
        .await;
    operator.clock.advance(Duration::from_secs(60));
    assert!(has(&operator.synced().await, Kind::Synced), "it is nothing to us");
    let writes = bench.proxy.writes();
    operator.edit(|wish| wish.spec.comment = Some("ours".into()));
    operator.synced().await;
    assert_eq!(bench.proxy.writes(), writes + 1);
    let config = bench.only().await.config;
    let behavior = |name: &str| at(&config, &["CacheBehaviors", "PathPattern=/api/*", name]);
    assert_eq!(behavior("RealtimeLogConfigArn"), "arn:their-log");
    assert_eq!(["HttpVersion", "Comment"].map(|name| at(&config, &[name])), ["http3", "ours"]);
    // The SDK knows no such field, and its bytes are those that were read.
    let sent = bench.proxy.sent("UpdateDistribution").pop().expect("one was sent");
    assert_eq!(sent.body.matches(&novelty().to_xml()).count(), 2, "{}", sent.body);
    assert!(sent.body.starts_with("<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">"));
    assert_eq!(at(&config, &["Novelty", "Profile"]), "a<b&c");
}

#[tokio::test]
async fn scenario_34_an_edit_between_our_look_and_our_call_is_kept() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    let skipped = bench.writes_after(0).len();
    operator.edit(|wish| wish.spec.comment = Some("ours".into()));
    let truth = bench.truth.clone();
    bench.proxy.first("UpdateDistribution", || async move {
        meddle(&truth, |config| config.set("WebACLId", "arn:theirs")).await;
    });
    operator.synced().await;
    let config = bench.only().await.config;
    assert_eq!(["WebACLId", "Comment"].map(|name| at(&config, &[name])), ["arn:theirs", "ours"]);
    let update = |done| ("UpdateDistribution".to_owned(), done);
    assert_eq!(bench.writes_after(skipped), [update(false), update(true)]);
}

#[tokio::test]
async fn scenario_35_an_enabled_distribution_is_disabled_is_so_everywhere_and_is_deleted() {
    for restarts in [false, true] {
        let bench = Bench::new().await;
        bench.proxy.lasting(&DEPLOYING);
        let mut operator = bench.operator(wish(seven_p()));
        operator.edit(|wish| wish.deletion_policy = Some(DeletionPolicy::Delete));
        operator.synced().await;
        let skipped = bench.writes_after(0).len();
        let mut disabled = bench.only().await.config;
        disabled.set("Enabled", false);
        operator.edit(|wish| (wish.deleted, wish.spec.comment) = (true, Some("the last word".into())));
        let mut deploying = 0;
        while !bench.ids().await.is_empty() {
            if restarts {
                operator = bench.operator(operator.wish);
            }
            let (step, wait) = operator.round().await;
            let step = step.expect("nothing goes wrong");
            let waits = |hold: &String| hold.contains("not everywhere yet");
            deploying += u32::from(step.plan.calls.iter().any(|one| one.hold.as_ref().is_some_and(waits)));
            if !matches!(step.send, Some(Call::Delete { .. })) {
                assert_eq!(sorted(&bench.only().await.config), sorted(&disabled));
            }
            operator.clock.advance(wait);
            assert!(deploying < 20, "it never is");
        }
        assert!(deploying > 0, "it was on its way for a while");
        operator.until(|step| step.finished).await;
        let done = ["UpdateDistribution", "DeleteDistribution", "DeleteOriginAccessControl"];
        assert_eq!(bench.writes_after(skipped), done.map(|name| (name.to_owned(), true)), "each once, none too early");
        assert_eq!((bench.ids().await.len(), bench.companions().await), (0, 0));
    }
}

#[tokio::test]
async fn scenario_35_retain_leaves_it_enabled_and_untouched_and_it_goes_on_once_adopted() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(ten_k()));
    operator.synced().await;
    let (before, companions, writes) = (bench.only().await, bench.companions().await, bench.proxy.writes());
    operator.edit(|wish| wish.deleted = true);
    assert!(operator.round().await.0.expect("seen").finished, "the default");

    let mut again = bench.operator(wish(ten_k()));
    again.wish.owner.uid = "uid-2".into();
    let step = again.settle().await;
    assert!(says(&step, Kind::Retained).contains("set adopt: true"), "{:?}", step.conditions);
    assert_eq!((bench.only().await, bench.proxy.writes()), (before.clone(), writes), "before it is adopted");
    again.edit(|wish| wish.adopt = true);
    again.synced().await;
    assert_eq!((bench.only().await, bench.companions().await), (before, companions), "only its tags are written");
    assert_eq!(bench.tags().await, again.wish.owner.tags());
    assert_eq!(bench.writes_after(writes), [("TagResource".to_owned(), true)]);
}

#[tokio::test]
async fn scenario_36_a_distribution_that_was_created_before_a_crash_is_found_and_exactly_one_exists() {
    // Lists show it at once, or late: then the call is repeated, and its reference is the key.
    for hidden in [0, 3] {
        let bench = Bench::new().await;
        let mut operator = bench.operator(wish(seven_p()));
        operator.until(|step| matches!(step.send, Some(Call::Create { .. }))).await;
        bench.proxy.fail("ListDistributions", hidden, Fault::Stale);
        // The next one has nothing of what this one knew.
        let mut next = bench.operator(operator.wish);
        next.synced().await;
        assert_eq!(bench.proxy.done("CreateDistributionWithTags").len(), 1, "exactly one exists");
        assert_eq!(bench.tags().await, next.wish.owner.tags());
        assert_eq!(next.memory().counter, 0);
        let refused = bench.writes_after(0).iter().any(|(name, done)| name == "CreateDistributionWithTags" && !done);
        assert_eq!(refused, hidden > 0);
    }
}

#[tokio::test]
async fn scenario_36_a_reference_that_stays_blocked_after_a_deletion_is_counted_up_once() {
    let bench = Bench::new().await;
    bench.proxy.fail("CreateDistributionWithTags", 1, Fault::Code(409, "DistributionAlreadyExists"));
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    assert_eq!(operator.memory().counter, 1);
    assert_eq!(bench.only().await.reference(), operator.wish.owner.identity.caller_reference(1));
    let again = bench.operator(operator.wish.clone()).synced().await;
    assert!(again.send.is_none());
    assert_eq!(bench.proxy.done("CreateDistributionWithTags").len(), 1);
}

/// Somebody takes our tags off.
async fn untag(bench: &Bench) {
    let keys = TagKeys::builder().set_items(Some(TAGS.map(str::to_owned).into())).build();
    let arn = bench.only().await.arn;
    bench.client.untag_resource().resource(arn).tag_keys(keys).send().await.expect("it is untagged");
}

#[tokio::test]
async fn somebody_elses_distribution_under_our_reference_is_left_alone() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    let before = bench.only().await;
    untag(&bench).await;
    assert_eq!(bench.tags().await, Tags::new());
    let mut next = bench.operator(wish(seven_p()));
    next.wish.adopt = true;
    let step = next.until(|step| has(step, Kind::NameConflict)).await;
    assert!(says(&step, Kind::NameConflict).contains(&before.id), "{:?}", step.conditions);
    next.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, Some(DeletionPolicy::Delete)));
    next.until(|step| step.finished).await;
    assert_eq!(bench.only().await, before);
}

#[tokio::test]
async fn tags_that_were_taken_off_at_rest_keep_an_update_back() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    let step = operator.synced().await;
    // Its tags are looked at each hour, and it is looked at all the time.
    operator.clock.advance(step.requeue);
    let before = bench.only().await;
    untag(&bench).await;
    assert!(has(&operator.synced().await, Kind::Synced), "nobody has told");
    operator.edit(|wish| wish.spec.comment = Some("ours".into()));
    let step = operator.until(|step| has(step, Kind::NameConflict)).await;
    assert!(says(&step, Kind::NameConflict).contains(&before.id), "{:?}", step.conditions);
    assert_eq!(bench.only().await, before);
}

#[tokio::test]
async fn a_rollout_is_invalidated_once_though_its_answer_is_lost() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(ten_k()));
    operator.wish.rollouts.insert("web".into(), "1".into());
    operator.synced().await;
    assert_eq!(bench.invalidations().await, Vec::<Vec<String>>::new());
    bench.proxy.fail("CreateInvalidation", 1, Fault::Lost);
    operator.wish.rollouts.insert("web".into(), "2".into());
    operator.wish.rollouts.insert("api".into(), "7".into());
    operator.synced().await;
    assert_eq!(bench.proxy.done("CreateInvalidation").len(), 2, "the same once more");
    assert_eq!(bench.invalidations().await, [["/api/v1/*", "/courses/*"]]);
    operator.memory = text(&Memory { invalidated: operator.memory().invalidated, ..Memory::default() });
    operator.synced().await;
    assert_eq!(bench.invalidations().await.len(), 1);
}

#[tokio::test]
async fn policies_and_functions_come_before_the_distribution_and_go_after_it_has_ceased_to_name_them() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(ten_k()));
    operator.synced().await;
    let made: Vec<String> = bench.writes_after(0).into_iter().map(|(name, _)| name).collect();
    assert_eq!(made.last().map(String::as_str), Some("CreateDistributionWithTags"));
    let prefix = operator.wish.owner.identity.cdn();
    let all = bench.truth.companions().await.expect("it answers");
    assert_eq!(all.len(), 7);
    assert!(all.iter().all(|one| one.name.starts_with(&prefix) && one.live && !one.comment.is_empty()), "{all:?}");
    let function = all.iter().find(|one| one.id.contains(":function/")).expect("one is a function");
    let config = bench.only().await.config;
    let named = ["CacheBehaviors", "PathPattern=/metrics", "FunctionAssociations", "EventType=viewer-request"];
    assert_eq!(at(&config, &[named.as_slice(), &["FunctionARN"]].concat()), function.id);

    let skipped = made.len();
    operator.edit(|wish| {
        wish.spec.behaviors.drain(..2);
        wish.spec.functions.clear();
        wish.spec.behaviors[0].1.cache_policy = managed("CachingOptimized");
        wish.spec.behaviors[1].1.cache_policy = managed("CachingOptimized");
    });
    operator.synced().await;
    let after: Vec<String> = bench.writes_after(skipped).into_iter().map(|(name, _)| name).collect();
    assert_eq!(after, ["UpdateDistribution", "DeleteCachePolicy", "DeleteFunction"]);
    assert_eq!(bench.companions().await, 5);
}

#[tokio::test]
async fn a_plan_is_shown_and_nothing_is_sent() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(ten_k()));
    operator.wish.mode = Mode::Plan;
    let (step, _) = operator.round().await;
    let plan = step.expect("seen").plan;
    assert_eq!((plan.calls.len(), bench.proxy.writes()), (8, 0));
    assert!(bench.ids().await.is_empty());
}
