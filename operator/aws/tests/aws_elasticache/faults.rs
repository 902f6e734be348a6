//! Every request fails once, in turn, by every kind of error, and the operator is killed after every call that changes something:
//! the same end, nothing made twice, nothing left over, nothing lost, and no client refused.

use crate::driver::{Operator, SECOND, has, short, wish, wish_of_users};
use aws_fake::Fault;
use learningplatform_aws::{
    Class, Kind, Parameters, Troubles, When,
    elasticache::{Auth, Field, Wish},
};

/// A whole life. What is checked on the way holds in every run.
async fn life(operator: &mut Operator) {
    operator.cache.hide_new(2);
    operator.cache.set_durations(short());
    operator.synced().await;
    everything_is_there(operator);

    // A change of many things: size, settings, parameters, and what clients show.
    operator.wish.generation += 1;
    if resizes(operator) {
        operator.wish.spec.replicas = 2;
        operator.wish.spec.shards = 4;
        operator.wish.spec.node_type = "cache.r7g.xlarge".into();
        operator.wish.spec.apply.insert(Field::NodeType, When::Immediate);
    }
    operator.wish.spec.auto_minor_upgrade = Some(false);
    if let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters {
        values.insert("timeout".into(), "60".into());
    }
    operator.rotate(SECOND);
    operator.synced().await;
    everything_is_there(operator);

    if resizes(operator) {
        operator.wish.generation += 1;
        (operator.wish.spec.shards, operator.wish.spec.replicas) = (2, 1);
        operator.synced().await;
        everything_is_there(operator);
    }

    operator.wish.generation += 1;
    operator.wish.deleted = true;
    operator.until(|step| step.finished).await;
    nothing_is_left(operator);
}

/// Its size is changed in one of the two lives: it does not depend on what clients show.
fn resizes(operator: &Operator) -> bool {
    matches!(operator.wish.spec.auth, Auth::Token(_))
}

fn everything_is_there(operator: &Operator) {
    let id = operator.id();
    let wish = &operator.wish.spec;
    assert_eq!(operator.cache.ids(), std::slice::from_ref(&id));
    assert_eq!(operator.cache.data(&id), Some(1), "it has the first data");
    let group = operator.cache.group(&id).expect("it is there");
    assert_eq!(group.tags, operator.wish.owner.tags());
    assert_eq!(group.unready(), None);
    assert_eq!(group.shards.len(), wish.shards as usize);
    assert!(group.shards.iter().all(|shard| shard.replicas() == wish.replicas), "{group:?}");
    assert_eq!(group.settings.text(Field::NodeType), Some(&*wish.node_type));
    assert!(group.pending.is_empty());
    for (name, credential) in wish.auth.credentials() {
        let wished = credential.wished.as_ref().expect("it is there").reveal();
        let taken = match &wish.auth {
            Auth::Users(_) => operator.cache.passwords(&learningplatform_aws::Identity::user(&id, name)),
            _ => operator.cache.tokens(&id),
        };
        assert_eq!(taken, [wished], "{name}");
        assert_eq!(operator.clients.published(name), Some(wished));
    }
    assert!(operator.cache.destroyed().is_empty());
}

fn nothing_is_left(operator: &Operator) {
    assert!(operator.cache.ids().is_empty(), "{:?}", operator.cache.ids());
    assert!(operator.cache.parameter_names().is_empty() && operator.cache.user_ids().is_empty());
    assert!(operator.cache.user_group(&operator.id()).is_none() && operator.cache.destroyed().is_empty());
    let snapshots = operator.cache.kept_snapshots();
    let [(snapshot, data)] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    assert_eq!((snapshot.status.as_str(), *data), ("available", 1));
    assert_eq!(snapshot.tags, operator.wish.owner.tags());
    // Once each.
    for (operation, count) in [
        ("CreateReplicationGroup", 1),
        ("IncreaseReplicaCount", usize::from(resizes(operator))),
        ("DecreaseReplicaCount", usize::from(resizes(operator))),
        ("ModifyReplicationGroupShardConfiguration", 2 * usize::from(resizes(operator))),
        ("DeleteReplicationGroup", 1),
        ("CreateUser", if resizes(operator) { 0 } else { 2 }),
    ] {
        assert_eq!(operator.cache.done(operation).len(), count, "{operation}");
    }
}

fn wishes() -> [fn() -> Wish; 2] {
    [wish, wish_of_users]
}

/// A life for each request of a life, with that one failing.
async fn fails_once(fault: Fault) {
    for wish in wishes() {
        let mut whole = Operator::new(wish());
        life(&mut whole).await;
        let requests = whole.cache.requests();
        assert!(requests > 100, "{requests}");
        let writes = whole.cache.writes();
        for request in 0..requests {
            let mut operator = Operator::new(wish());
            operator.cache.faults(|faults| faults.fail_at(request, fault));
            life(&mut operator).await;
            let (more, limit) = (operator.cache.writes(), writes + 2);
            assert!(more <= limit, "{fault:?} at {request}: {more} calls that change something, {writes} without");
        }
    }
}

#[tokio::test]
async fn every_request_is_throttled_once() {
    fails_once(Fault::Throttled).await;
}

#[tokio::test]
async fn every_request_gets_an_error_of_the_server_once() {
    fails_once(Fault::Server).await;
}

#[tokio::test]
async fn every_request_does_not_arrive_once() {
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
    for wish in wishes() {
        let mut whole = Operator::new(wish());
        life(&mut whole).await;
        for forgets in [false, true] {
            for write in 1..=whole.cache.writes() {
                let mut operator = Operator::new(wish());
                operator.forgets = forgets;
                operator.cache.crash_after(write);
                life(&mut operator).await;
                assert_eq!(operator.kills, 1, "after call {write}");
            }
        }
    }
}

#[tokio::test]
async fn killed_after_every_call_of_a_row() {
    for wish in wishes() {
        let mut operator = Operator::new(wish());
        let mut killed = 0;
        operator.cache.crash_after(1);
        // Each kill arms the next.
        for _ in 0..2000 {
            let (step, wait) = operator.round().await;
            if operator.kills > killed {
                killed = operator.kills;
                operator.cache.crash_after(operator.cache.writes() + 1);
            }
            if step.is_some_and(|step| has(&step, Kind::Synced)) {
                break;
            }
            operator.pass(wait);
        }
        everything_is_there(&operator);
        assert_eq!(u64::from(killed), operator.cache.writes());
        assert_eq!(operator.cache.done("CreateReplicationGroup").len(), 1);
    }
}

#[tokio::test]
async fn half_of_all_requests_fail() {
    for fault in [Fault::Throttled, Fault::Server, Fault::Unreachable, Fault::Conflict, Fault::Lost] {
        let mut operator = Operator::new(wish());
        operator.cache.faults(|faults| faults.fail_every(Some((2, fault))));
        for _ in 0..400 {
            let (_, wait) = operator.round().await;
            operator.pass(wait);
        }
        operator.cache.faults(|faults| faults.fail_every(None));
        operator.synced().await;
        everything_is_there(&operator);
    }
}

#[tokio::test]
async fn sustained_errors_are_told_and_do_not_heat() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.cache.faults(|faults| faults.fail_every(Some((1, Fault::Throttled))));
    let (start, requests) = (operator.clock.now(), operator.cache.requests());
    while operator.clock.now().duration_since(start).as_mins() < 60 {
        let (step, wait) = operator.round().await;
        assert!(step.is_none());
        operator.pass(wait);
    }
    let requests = operator.cache.requests() - requests;
    assert!(requests < 25, "{requests} in an hour");
    let told: Vec<_> = operator.memory().troubles.conditions().collect();
    assert!(told.len() == 1 && told[0].message.contains("Throttling: Rate exceeded"), "{told:?}");
}

#[tokio::test]
async fn a_good_look_ends_a_row_of_failed_ones() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let fail = |operator: &Operator| {
        operator.cache.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
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
