//! The calls that are made are those that the policy of IAM speaks of.

use crate::{
    bench::{Bench, served},
    faults::life,
};
use aws::{
    Mode, Tags,
    iam::{self, Only},
    rds::{Call, Field, Rds, Resource, Settings},
};
use std::collections::BTreeSet;

fn granted(only: impl Fn(Only) -> bool) -> BTreeSet<String> {
    iam::RDS.iter().filter(|grant| only(grant.only)).map(|grant| grant.call.to_owned()).collect()
}

#[tokio::test]
async fn the_calls_of_a_life_with_adoption_and_restoration_are_those_of_the_policy() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    life(&bench, &mut operator).await;
    // Tags are set on all three kinds of resources, each of which is looked up by its name.
    let mut next = bench.operator(served());
    next.wish.owner.uid = "uid-2".into();
    next.wish.adopt = true;
    next.until(|step| matches!(step.send, Some(Call::RestoreInstance { .. }))).await;
    let id = next.id();
    let group = format!("{id}-postgres16");
    for (resource, id) in [
        (Resource::Instance, id.clone()),
        (Resource::Snapshot, format!("{id}-final-1")),
        (Resource::ParameterGroup, group),
    ] {
        let tags = Tags::from([("learningplatform.dev/note".to_owned(), "α = 1".to_owned())]);
        next.rds.send(&Call::Tag { resource, id, tags: tags.clone() }).await.expect("it is there");
    }
    let snapshot = bench.snapshots().await[0].clone();
    assert_eq!(snapshot.tags["learningplatform.dev/note"], "α = 1");
    assert_eq!(bench.calls.of("RDS"), granted(|_| true));
}

#[tokio::test]
async fn who_observes_or_plans_only_reads() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(served());
    operator.synced().await;
    for mode in [Mode::Observe, Mode::Plan] {
        let mut bystander = bench.operator(served());
        bystander.wish.mode = mode;
        bystander.wish.spec.instance_class = "db.r6g.large".into();
        let before = bench.proxy.writes();
        for _ in 0..5 {
            let (_, wait) = bystander.round().await;
            bystander.clock.advance(wait);
        }
        assert_eq!(bench.proxy.writes(), before);
    }
    let other = Bench::new().await;
    let mut bystander = other.operator(served());
    bystander.wish.mode = Mode::Plan;
    bystander.round().await;
    assert!(other.calls.of("RDS").is_subset(&granted(|only| only == Only::Reading)), "{:?}", other.calls);
}

#[tokio::test]
async fn what_a_request_has_no_place_for_is_refused_and_not_left_out() {
    let bench = Bench::new().await;
    let tags = Tags::new();
    let set = |field| match field {
        Field::Retention => Settings::default().with(field, 7),
        _ => Settings::default().with(field, "sun:04:00-sun:04:30"),
    };
    for call in [
        Call::CreateReplica { id: "a".into(), source: "b".into(), settings: set(Field::Retention), tags: tags.clone() },
        Call::RestoreInstance { id: "a".into(), snapshot: "b".into(), settings: set(Field::MaintenanceWindow), tags },
    ] {
        let error = bench.truth.send(&call).await.expect_err("it is refused");
        assert!(error.message.starts_with("the call takes no "), "{error}");
    }
}
