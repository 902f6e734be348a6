//! The calls that are made are those that the policies of IAM speak of.

use super::{
    attach,
    bench::Bench,
    faults::{self, spec},
    wishes::{ours, theirs, wish},
};
use aws::{
    Mode, Tags,
    cloudfront::{Forwarded, Policy, Scope, Wish},
    iam::{self, Grant, Only},
};
use std::collections::BTreeSet;

fn granted(table: &[Grant], only: impl Fn(Only) -> bool) -> BTreeSet<String> {
    let all = table.iter().chain(iam::CLOUDFRONT_COMPANIONS);
    all.filter(|grant| only(grant.only)).map(|grant| grant.call.to_owned()).collect()
}

#[tokio::test]
async fn the_calls_of_a_life_with_adoption_are_those_of_the_policy() {
    let bench = Bench::new().await;
    faults::life(&bench, &mut bench.operator(wish(spec()))).await;
    assert_eq!(bench.calls.of("CloudFront"), granted(iam::CLOUDFRONT_OWN, |_| true));
}

#[tokio::test]
async fn the_calls_of_what_is_attached_are_those_of_its_policy() {
    let bench = Bench::new().await;
    let distribution = bench.put(theirs(), Tags::new()).await;
    let mut spec = ours();
    spec.behaviors[0].1.origin_request_policy = Some(Policy::Own(Forwarded::default()));
    attach::life(&bench, &mut bench.operator(Wish { scope: Scope::Attach { distribution }, ..wish(spec) })).await;
    let calls = bench.calls.of("CloudFront");
    let all = granted(iam::CLOUDFRONT_ATTACHED, |_| true);
    assert!(calls.is_subset(&all), "{calls:?}");
    // What is attached here has neither headers of answers nor functions.
    let not_asked = |call: &&String| call.contains("ResponseHeaders") || call.contains("Function");
    let left: Vec<&String> = all.difference(&calls).filter(|call| !not_asked(call)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn who_observes_or_plans_only_reads() {
    let bench = Bench::new().await;
    bench.operator(wish(spec())).synced().await;
    let writes = bench.proxy.writes();
    for mode in [Mode::Observe, Mode::Plan] {
        let mut bystander = bench.operator(wish(spec()));
        bystander.wish.mode = mode;
        bystander.wish.spec.functions.clear();
        bystander.wish.spec.behaviors.drain(..2);
        for _ in 0..5 {
            let (_, wait) = bystander.round().await;
            bystander.clock.advance(wait);
        }
        assert_eq!(bench.proxy.writes(), writes);
    }
    let other = Bench::new().await;
    let mut bystander = other.operator(wish(spec()));
    bystander.wish.mode = Mode::Plan;
    bystander.round().await;
    let reads = granted(iam::CLOUDFRONT_OWN, |only| only == Only::Reading);
    assert!(other.calls.of("CloudFront").is_subset(&reads), "{:?}", other.calls);
}
