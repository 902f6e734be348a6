//! Our behaviours and origins in somebody else's distribution, over the wire: everything else stays as it is, to the byte, also what
//! the SDK has no type for.

use super::{
    bench::{Bench, DEPLOYING, meddle},
    driver::{Operator, patterns, rest, says},
    wishes::{self, behavior, managed, ours, theirs, wish},
};
use aws::{
    Kind, Tags,
    cloudfront::{Element, Scope, Wish},
};
use learningplatform_aws_edge::cloudfront::{SdkCloudFront, Seat};

/// An operator of what is attached to a distribution with things that neither we nor the SDK know.
async fn attached(bench: &Bench) -> Operator<Seat<SdkCloudFront>> {
    let distribution = bench.put(theirs(), Tags::from([("team".to_owned(), "shop".to_owned())])).await;
    bench.operator(Wish { scope: Scope::Attach { distribution }, ..wish(ours()) })
}

/// A life of what is attached: it comes, changes and goes.
pub async fn life(bench: &Bench, operator: &mut Operator<Seat<SdkCloudFront>>) {
    operator.synced().await;
    operator.edit(|wish| {
        wish.spec.behaviors.swap(0, 1);
        wish.spec.behaviors.push(("/learn/video/*".into(), behavior("web", wishes::read())));
        wish.spec.behaviors[2].1.cache_policy = managed("CachingOptimized");
        wish.spec.origins[0].domain = "new.example.com".into();
        wish.rollouts.insert("web".into(), "2".into());
    });
    operator.synced().await;
    let order = ["/shop/*", "/old/*", "/learn/images/*", "/learn/*", "/learn/video/*"];
    assert_eq!(patterns(&bench.only().await.config), order);
    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
}

#[tokio::test]
async fn what_is_not_ours_is_the_same_to_the_byte_over_creation_change_and_removal() {
    let bench = Bench::new().await;
    bench.proxy.lasting(&DEPLOYING);
    let mut operator = attached(&bench).await;
    let (before, tags) = (bench.only().await, bench.tags().await);
    let bytes = before.config.to_xml();
    assert!(bytes.contains("<Unheard><Of>it &amp; more</Of></Unheard>"), "{bytes}");
    life(&bench, &mut operator).await;

    let after = bench.only().await;
    assert_eq!(after.config.to_xml(), bytes);
    assert_eq!((after.is_enabled(), bench.tags().await), (true, tags));
    assert_eq!(bench.companions().await, 0);
    let sent = bench.proxy.sent("UpdateDistribution");
    assert_eq!(sent.len(), 3);
    let plain = |body: &str| body.replacen(" xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"", "", 1);
    for one in &sent {
        assert_eq!(rest(Element::parse(&one.body).expect("it is XML"), &operator.wish), bytes);
        assert_eq!(
            Element::parse(&one.body).expect("it is XML").to_xml(),
            plain(&one.body),
            "no byte is lost by reading"
        );
        assert_eq!(one.header("content-type"), Some("application/xml"));
    }
    assert_eq!(plain(&sent[2].body), bytes, "the last takes ours out, and nothing else");
    for forbidden in ["TagResource", "DeleteDistribution", "CreateDistributionWithTags"] {
        assert!(bench.proxy.sent(forbidden).is_empty(), "{forbidden}");
    }
}

#[tokio::test]
async fn somebody_elses_edit_between_our_look_and_our_call_is_kept() {
    let bench = Bench::new().await;
    let mut operator = attached(&bench).await;
    let edit = |value: &'static str| {
        let truth = bench.truth.clone();
        move || async move { meddle(&truth, |config| config.set("Comment", value)).await }
    };
    bench.proxy.first("UpdateDistribution", edit("one"));
    operator.synced().await;
    assert_eq!(bench.only().await.config.value("Comment"), Some("one"));
    bench.proxy.first("UpdateDistribution", edit("two"));
    operator.edit(|wish| wish.deleted = true);
    operator.until(|step| step.finished).await;
    let config = bench.only().await.config;
    assert_eq!(config.value("Comment"), Some("two"));
    assert_eq!(patterns(&config), ["/shop/*", "/old/*"]);
}

#[tokio::test]
async fn a_distribution_that_is_not_there_is_told() {
    let bench = Bench::new().await;
    let scope = Scope::Attach { distribution: "ENOBODY".into() };
    let mut operator = bench.operator(Wish { scope, ..wish(ours()) });
    let step = operator.settle().await;
    assert!(says(&step, Kind::Missing).contains("ENOBODY is not there"), "{:?}", step.conditions);
    assert_eq!(bench.proxy.writes(), 0);
}
