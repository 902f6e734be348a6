//! Our behaviours and origins in somebody else's distribution: everything else stays as it is, to the byte.

use crate::{
    driver::{Operator, has, patterns, says},
    wishes::{self, behavior, managed, ours, owner, theirs, wish},
};
use learningplatform_aws::{
    Call as _, Kind, Tags,
    cloudfront::{DeletionPolicy, Scope, Wish},
};

fn attached(operator: &Operator, wish: Wish) -> Wish {
    let distribution = operator.cloudfront.ids()[0].clone();
    Wish { scope: Scope::Attach { distribution }, ..wish }
}

fn made() -> Operator {
    let mut operator = Operator::new(wish(ours()));
    // So that bytes can be compared: what is read in another order is sent in that order.
    operator.cloudfront.keep_order(true);
    operator.cloudfront.put(theirs(), Tags::from([("team".to_owned(), "shop".to_owned())]));
    operator.wish = attached(&operator, wish(ours()));
    operator
}

/// What is not ours, as it is on the wire.
fn rest(operator: &Operator) -> String {
    crate::driver::rest(operator.only().config, &operator.wish)
}

#[tokio::test]
async fn what_is_not_ours_is_the_same_to_the_byte_over_creation_change_and_removal() {
    let mut operator = made();
    let (before, id, tags) =
        (operator.only().config.to_xml(), operator.only().id, operator.cloudfront.tags(&operator.only().id));
    let step = operator.synced().await;
    assert!(says(&step, Kind::Deletion).starts_with("Delete: deleting it takes our behaviors and origins out"));
    assert_eq!(step.view.domain_name, Some(operator.only().domain_name));
    assert_eq!(rest(&operator), before);
    assert_eq!(patterns(&operator.only().config), ["/shop/*", "/old/*", "/learn/*", "/learn/images/*"]);

    operator.edit(|wish| {
        wish.spec.behaviors.swap(0, 1);
        wish.spec.behaviors.push(("/learn/video/*".into(), behavior("web", wishes::read())));
        wish.spec.behaviors[2].1.cache_policy = managed("CachingOptimized");
        wish.spec.origins[0].domain = "new.example.com".into();
    });
    operator.synced().await;
    assert_eq!(rest(&operator), before);
    let order = ["/shop/*", "/old/*", "/learn/images/*", "/learn/*", "/learn/video/*"];
    assert_eq!(patterns(&operator.only().config), order);

    // Theirs may stand between ours; each keeps its place.
    operator.cloudfront.meddle(&id, |config| {
        let items = config.get_mut("CacheBehaviors").and_then(|list| list.get_mut("Items")).expect("set");
        items.children.rotate_left(1);
    });
    let before = rest(&operator);
    operator.edit(|wish| drop(wish.spec.behaviors.remove(0)));
    operator.edit(|wish| drop(wish.spec.origins.remove(1)));
    operator.synced().await;
    assert_eq!(rest(&operator), before);
    assert_eq!(patterns(&operator.only().config), ["/old/*", "/learn/*", "/learn/video/*", "/shop/*"]);
    assert!(operator.cloudfront.kept_companions().is_empty(), "nothing needs them any more");

    operator.edit(|wish| wish.deleted = true);
    assert!(operator.until(|step| step.finished).await.finished);
    assert_eq!(operator.only().config.to_xml(), before);
    assert_eq!((operator.cloudfront.tags(&id), operator.only().is_enabled()), (tags, true));
    let touched: Vec<&str> = operator.cloudfront.log().iter().map(|one| one.call.operation()).collect();
    assert!(!touched.contains(&"TagResource") && !touched.contains(&"DeleteDistribution"), "{touched:?}");
}

#[tokio::test]
async fn what_is_taken_out_is_known_without_being_remembered() {
    for policy in [None, Some(DeletionPolicy::Delete), Some(DeletionPolicy::Retain)] {
        let mut operator = made();
        let before = operator.only().config.to_xml();
        operator.synced().await;
        let attached = operator.only().config.to_xml();
        operator.memory = crate::driver::text(&Default::default());
        // Not even what was wished is known any more.
        operator.wish.spec.behaviors.pop();
        operator.edit(|wish| (wish.deleted, wish.deletion_policy) = (true, policy));
        operator.until(|step| step.finished).await;
        let kept = policy == Some(DeletionPolicy::Retain);
        assert_eq!(operator.only().config.to_xml(), if kept { attached } else { before });
        assert_eq!(operator.cloudfront.kept_companions().is_empty(), !kept);
    }
}

#[tokio::test]
async fn two_platforms_in_one_distribution_leave_each_other_alone() {
    let mut one = made();
    let before = one.only().config.to_xml();
    let mut spec = ours();
    for (path, _) in &mut spec.behaviors {
        *path = path.replace("learn", "teach");
    }
    spec.invalidate.clear();
    let mut other = one.beside(attached(&one, wish(spec)));
    other.wish.owner = owner("school", "uid-9");
    one.synced().await;
    let with_one = one.only().config.to_xml();
    other.synced().await;
    one.synced().await;
    one.edit(|wish| wish.spec.behaviors.swap(0, 1));
    one.synced().await;
    one.edit(|wish| wish.spec.behaviors.swap(0, 1));
    one.synced().await;
    other.edit(|wish| wish.deleted = true);
    other.until(|step| step.finished).await;
    assert_eq!(one.only().config.to_xml(), with_one);
    one.edit(|wish| wish.deleted = true);
    one.until(|step| step.finished).await;
    assert_eq!(one.only().config.to_xml(), before);
}

#[tokio::test]
async fn a_path_that_is_somebody_elses_is_not_taken_and_nothing_is_done() {
    for path in ["/shop/*", "shop/*"] {
        let mut operator = made();
        operator.wish.spec.behaviors[0].0 = path.into();
        operator.wish.spec.invalidate.clear();
        let before = operator.only();
        let step = operator.settle().await;
        assert!(says(&step, Kind::NameConflict).contains("/shop/*"), "{:?}", step.conditions);
        assert_eq!(operator.only(), before);
        assert!(operator.cloudfront.log().is_empty());
    }
}

#[tokio::test]
async fn nothing_is_attached_to_what_another_platform_owns_or_to_what_is_not_there() {
    let mut operator = made();
    let id = operator.only().id;
    operator.cloudfront.tag(&id, |tags| tags.extend(owner("school", "uid-9").tags()));
    let step = operator.settle().await;
    assert!(says(&step, Kind::NameConflict).contains("that of platform learning/school"), "{:?}", step.conditions);
    assert!(operator.cloudfront.log().is_empty());
    operator.cloudfront.vanish(&id);
    let step = operator.settle().await;
    assert!(has(&step, Kind::Missing) && !has(&step, Kind::Synced), "{:?}", step.conditions);
    // And what was attached to it needs no taking out.
    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
}

#[tokio::test]
async fn somebody_elses_edit_between_our_look_and_our_call_is_kept() {
    let mut operator = made();
    let id = operator.only().id;
    operator.cloudfront.meddle_before_write(&id, |config| config.set("Comment", "no CDN of ours"));
    operator.synced().await;
    operator.edit(|wish| wish.deleted = true);
    operator.cloudfront.meddle_before_write(&id, |config| config.set("HttpVersion", "http3"));
    operator.until(|step| step.finished).await;
    let config = operator.only().config;
    assert_eq!((config.value("Comment"), config.value("HttpVersion")), (Some("no CDN of ours"), Some("http3")));
    assert_eq!(patterns(&config), ["/shop/*", "/old/*"]);
}

#[tokio::test]
async fn a_path_that_somebody_elses_pattern_matches_before_is_told_and_takes_nothing_from_it() {
    let mut operator = made();
    operator.edit(|wish| wish.spec.behaviors[1].0 = "/shop/learn/*".into());
    let step = operator.synced().await;
    assert!(
        says(&step, Kind::Drift).starts_with("behaviors[/shop/learn/*] is never asked: /shop/*"),
        "{:?}",
        step.conditions
    );
    assert_eq!(patterns(&operator.only().config), ["/shop/*", "/old/*", "/learn/*", "/shop/learn/*"]);
    operator.cloudfront.meddle(&operator.only().id, |config| {
        let items = config.get_mut("CacheBehaviors").and_then(|list| list.get_mut("Items")).expect("set");
        items.children.rotate_right(1);
    });
    operator.edit(|wish| wish.spec.behaviors.swap(0, 1));
    assert!(!has(&operator.synced().await, Kind::Drift), "somebody has put it in front");
}
