//! Every request fails once, in turn, by every kind of error, and the operator is killed after every call that changes something:
//! the same end, nothing made twice, nothing left over, nothing lost.

use crate::driver::{Operator, has, wish};
use aws_fake::{Fault, rds::Durations};
use learningplatform_aws::{
    Call as _, Class, Kind, Password, Troubles,
    rds::{Field, Parameters, When},
};
use std::time::Duration;

/// A whole life. What is checked on the way holds in every run.
async fn life(operator: &mut Operator) {
    operator.rds.hide_new(2);
    // Short, so that a life has few looks, and longer than a look is old.
    let seconds = Duration::from_secs;
    operator.rds.set_durations(Durations {
        creating: seconds(40),
        modifying: seconds(20),
        backing_up: seconds(10),
        optimizing: seconds(20),
        deleting: seconds(40),
    });
    operator.synced().await;
    everything_is_there(operator, 2);

    // A change of many things: now, for the window, of parameters, of the password.
    operator.wish.generation += 1;
    operator.wish.spec.instance_class = "db.r6g.large".into();
    operator.wish.spec.apply.insert(Field::Class, When::Immediate);
    operator.wish.spec.storage = 40;
    operator.wish.spec.auto_minor_upgrade = Some(false);
    operator.wish.spec.password = Some(Password::new("another-horse-another-staple"));
    if let Some(Parameters::Own { values, .. }) = &mut operator.wish.spec.parameters {
        values.insert("work_mem".into(), "128MB".into());
    }
    operator.synced().await;
    everything_is_there(operator, 2);
    assert_eq!(operator.rds.password(&operator.id()).as_deref(), Some("another-horse-another-staple"));

    for replicas in [3, 1] {
        operator.wish.generation += 1;
        operator.wish.spec.replicas = replicas;
        operator.synced().await;
        everything_is_there(operator, replicas);
    }

    operator.wish.generation += 1;
    operator.wish.deleted = true;
    operator.until(|step| step.finished).await;
    nothing_is_left(operator);
}

fn everything_is_there(operator: &Operator, replicas: u32) {
    let id = operator.id();
    let mut ids = vec![id.clone()];
    ids.extend((0..replicas).map(|index| format!("{id}-r{index}")));
    assert_eq!(operator.rds.ids(), ids);
    let wish = &operator.wish.spec;
    for one in ids {
        assert_eq!(operator.rds.data(&one), Some(1), "{one} has the first data");
        let instance = operator.rds.instance(&one).expect("it is there");
        assert_eq!(instance.tags, operator.wish.owner.tags());
        assert_eq!(instance.settings.text(Field::Class), Some(&*wish.instance_class), "{one}");
        assert_eq!(instance.settings.number(Field::Storage), Some(wish.storage), "{one}");
        assert!(instance.pending.is_empty() && instance.status == "available", "{instance:?}");
    }
    assert!(operator.rds.promoted().is_empty(), "{:?}", operator.rds.promoted());
    assert!(operator.rds.destroyed().is_empty());
}

fn nothing_is_left(operator: &Operator) {
    assert!(operator.rds.ids().is_empty(), "{:?}", operator.rds.ids());
    assert!(operator.rds.group_names().is_empty());
    assert!(operator.rds.promoted().is_empty() && operator.rds.destroyed().is_empty());
    let snapshots = operator.rds.kept_snapshots();
    let [(snapshot, data)] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    assert_eq!((snapshot.status.as_str(), *data), ("available", 1));
    assert_eq!(snapshot.tags, operator.wish.owner.tags());
    // Made once each: the first data are the only ones, and r2 is the only replica that came later.
    assert_eq!(operator.rds.done("CreateDBInstance").len(), 1);
    assert_eq!(operator.rds.done("CreateDBInstanceReadReplica").len(), 3);
    assert_eq!(operator.rds.done("DeleteDBInstance").len(), 4);
}

/// A life for each request of a life, with that one failing.
async fn fails_once(fault: Fault) {
    let mut whole = Operator::new(wish());
    life(&mut whole).await;
    let requests = whole.rds.requests();
    assert!(requests > 100, "{requests}");
    let writes = whole.rds.writes();
    for request in 0..requests {
        let mut operator = Operator::new(wish());
        operator.rds.faults(|faults| faults.fail_at(request, fault));
        life(&mut operator).await;
        let (more, limit) = (operator.rds.writes(), writes + 2);
        assert!(more <= limit, "{fault:?} at {request}: {more} calls that change something, {writes} without");
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
    let mut whole = Operator::new(wish());
    life(&mut whole).await;
    for forgets in [false, true] {
        for write in 1..=whole.rds.writes() {
            let mut operator = Operator::new(wish());
            operator.forgets = forgets;
            operator.rds.crash_after(write);
            life(&mut operator).await;
            assert_eq!(operator.kills, 1, "after call {write}");
        }
    }
}

#[tokio::test]
async fn killed_after_every_call_of_a_row() {
    let mut operator = Operator::new(wish());
    let mut killed = 0;
    operator.rds.crash_after(1);
    // Each kill arms the next.
    for _ in 0..2000 {
        let (step, wait) = operator.round().await;
        if operator.kills > killed {
            killed = operator.kills;
            operator.rds.crash_after(operator.rds.writes() + 1);
        }
        if step.is_some_and(|step| has(&step, Kind::Synced)) {
            break;
        }
        operator.clock.advance(wait);
    }
    everything_is_there(&operator, 2);
    assert_eq!(u64::from(killed), operator.rds.writes());
    assert!(killed >= 5, "{killed}");
    assert!(operator.rds.done("CreateDBInstance").len() == 1);
}

#[tokio::test]
async fn half_of_all_requests_fail() {
    for fault in [Fault::Throttled, Fault::Server, Fault::Unreachable, Fault::Conflict] {
        let mut operator = Operator::new(wish());
        operator.rds.faults(|faults| faults.fail_every(Some((2, fault))));
        // Each look is of three requests, so that every other look fails at its first or its second.
        for _ in 0..400 {
            let (_, wait) = operator.round().await;
            operator.clock.advance(wait);
        }
        let ids = operator.rds.ids();
        operator.rds.faults(|faults| faults.fail_every(None));
        operator.synced().await;
        everything_is_there(&operator, 2);
        drop(ids);
    }
}

#[tokio::test]
async fn sustained_errors_are_told_and_do_not_heat() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    operator.rds.faults(|faults| faults.fail_every(Some((1, Fault::Throttled))));
    let (start, requests) = (operator.clock.now(), operator.rds.requests());
    while operator.clock.now().duration_since(start).as_mins() < 60 {
        let (step, wait) = operator.round().await;
        assert!(step.is_none());
        operator.clock.advance(wait);
    }
    let requests = operator.rds.requests() - requests;
    assert!(requests < 25, "{requests} in an hour");
    let told: Vec<_> = operator.memory().troubles.conditions().collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].message.contains("Throttling: Rate exceeded"), "{told:?}");
    let operations: Vec<&str> = operator.rds.log().iter().map(|logged| logged.call.operation()).collect();
    assert!(!operations.is_empty());
}

#[tokio::test]
async fn a_good_look_ends_a_row_of_failed_ones() {
    let mut operator = Operator::new(wish());
    operator.synced().await;
    let fail = |operator: &Operator| {
        operator.rds.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
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
