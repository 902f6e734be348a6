//! The calls that are made are those that the policy of IAM speaks of.

use super::{
    bench::Bench,
    driver::{wish, wish_of_users},
    faults::life,
};
use aws::{
    Mode, Tags,
    elasticache::{Call, ElastiCache, Field, Resource, Settings},
    iam::{self, Only},
};
use std::collections::BTreeSet;

fn granted(only: impl Fn(Only) -> bool) -> BTreeSet<String> {
    iam::ELASTICACHE.iter().filter(|grant| only(grant.only)).map(|grant| grant.call.to_owned()).collect()
}

#[tokio::test]
async fn the_calls_of_a_life_with_shards_that_come_and_go_are_those_of_the_policy() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish_of_users());
    life(&bench, &mut operator).await;
    // The server refuses it, and it is called all the same.
    let reshard = Call::Reshard { id: operator.id(), shards: 4, remove: BTreeSet::new() };
    operator.cache.send(&reshard).await.expect_err("the server does not know it");
    assert_eq!(bench.calls.of("ElastiCache"), granted(|_| true));
}

#[tokio::test]
async fn tags_are_set_on_every_kind_of_resource() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish_of_users());
    operator.synced().await;
    let id = operator.id();
    let user = bench.users().await[0].id.clone();
    let tags = Tags::from([("learningplatform.dev/note".to_owned(), "α = 1".to_owned())]);
    for (resource, id) in [
        (Resource::Group, id.clone()),
        (Resource::ParameterGroup, format!("{id}-valkey7")),
        (Resource::User, user),
        (Resource::UserGroup, id.clone()),
    ] {
        operator.cache.send(&Call::Tag { resource, id, tags: tags.clone() }).await.expect("it is there");
    }
    operator.wish.deleted = true;
    operator.settle().await;
    let name = format!("{id}-final-1");
    let call = Call::Tag { resource: Resource::Snapshot, id: name, tags: tags.clone() };
    operator.cache.send(&call).await.expect("it is there");
    assert_eq!(bench.snapshots().await[0].tags["learningplatform.dev/note"], "α = 1");
    // What was set is seen at once, though tags are remembered.
    let seen = operator.cache.snapshots().await.expect("it answers");
    assert_eq!(seen[0].tags["learningplatform.dev/note"], "α = 1");
}

#[tokio::test]
async fn who_observes_or_plans_only_reads() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish());
    operator.synced().await;
    for mode in [Mode::Observe, Mode::Plan] {
        let mut bystander = bench.operator(wish());
        bystander.wish.mode = mode;
        bystander.wish.spec.replicas = 2;
        let before = bench.proxy.writes();
        for _ in 0..5 {
            let (_, wait) = bystander.round().await;
            bystander.clock.advance(wait);
        }
        assert_eq!(bench.proxy.writes(), before);
    }
    let other = Bench::new().await;
    let mut bystander = other.operator(wish_of_users());
    bystander.wish.mode = Mode::Plan;
    bystander.round().await;
    let reading = granted(|only| only == Only::Reading);
    assert!(other.calls.of("ElastiCache").is_subset(&reading), "{:?}", other.calls);
}

#[tokio::test]
async fn what_a_request_has_no_place_for_is_refused_and_not_left_out() {
    let bench = Bench::new().await;
    let change = Settings::default().with(Field::Port, 6380);
    let call = Call::ModifyGroup { id: "a".into(), change, immediately: true };
    let error = bench.truth().send(&call).await.expect_err("it is refused");
    assert!(error.message.starts_with("the call takes no "), "{error}");
}
