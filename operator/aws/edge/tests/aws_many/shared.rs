//! What seats show of common looks.

use crate::{Sent, Time, Wire, databases::wish};
use aws::{
    Class, Service,
    rds::{Call, Rds},
};
use aws_fake::{Fault, rds::FakeRds};
use jiff::SignedDuration;
use learningplatform_aws_edge::{Windows, rds::Shared};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn what_one_changes_it_sees_and_what_others_look_at_it_shares() {
    let (time, sent) = (Time::new(), Sent::default());
    let rds = Arc::new(FakeRds::new(time.clock.clone()));
    let wire = Wire::new(rds.clone(), Service::Rds, &time, &sent);
    let shared = Shared::new(wire, Windows::default(), time.now());
    let (one, other) = (shared.seat(), shared.seat());
    let count = || sent.lock().len();

    // Who comes while it is looked takes what that look sees.
    let (seen, same) = tokio::join!(one.instances(), other.instances());
    assert_eq!((seen, same, count()), (Ok([].into()), Ok([].into()), 1));
    let group = |name: &str| Call::CreateParameterGroup {
        name: name.into(),
        family: "postgres16".into(),
        tags: wish().owner.tags(),
    };
    assert_eq!(one.parameter_group("a").await, Ok(None));
    one.send(&group("a")).await.expect("it is made");
    assert!(one.parameter_group("a").await.expect("it answers").is_some(), "what it changed it sees");
    assert!(one.parameter_group("a").await.expect("it answers").is_some());
    assert_eq!(count(), 1 + 1 + 1 + 3);
    // A call that fails may have been carried out.
    rds.faults(|faults| faults.fail_at(faults.requests(), Fault::Lost));
    one.send(&group("b")).await.expect_err("the answer is lost");
    assert!(one.parameter_group("b").await.expect("it answers").is_some());
    let before = count();
    other.instances().await.expect("it answers");
    assert_eq!(count(), before, "what others change is seen within the window");
    one.instances().await.expect("it answers");
    assert_eq!(count(), before + 1);
    other.instances().await.expect("it answers");
    assert_eq!(count(), before + 1, "a newer look serves all");
    sleep(Windows::default().listed.unsigned_abs() + Duration::from_secs(1)).await;
    time.show();
    other.instances().await.expect("it answers");
    assert_eq!(count(), before + 2);
    // A look that fails is nobody's.
    sleep(Duration::from_secs(60)).await;
    time.show();
    rds.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
    other.instances().await.expect_err("throttled");
    other.instances().await.expect("a new look");
    // A seat that is taken now sees what was changed before.
    one.send(&group("c")).await.expect("it is made");
    let before = count();
    shared.seat().instances().await.expect("it answers");
    assert_eq!(count(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn at_rest_looks_are_older_and_no_change_follows_from_such_a_look() {
    let (time, sent) = (Time::new(), Sent::default());
    let rds = Arc::new(FakeRds::new(time.clock.clone()));
    let wire = Wire::new(rds.clone(), Service::Rds, &time, &sent);
    let windows = Windows::default();
    let shared = Shared::new(wire, windows, time.now());
    let (one, other) = (shared.seat(), shared.seat());
    let count = || sent.lock().len();
    let pass = async |by: SignedDuration| {
        sleep(by.unsigned_abs()).await;
        time.show();
    };
    pass(windows.calm + SignedDuration::from_secs(1)).await;
    one.instances().await.expect("it answers");
    pass(windows.rest).await;
    let before = count();
    other.instances().await.expect("it answers");
    assert_eq!(count(), before, "those at rest share looks for longer");
    let call = Call::CreateParameterGroup { name: "a".into(), family: "postgres16".into(), tags: wish().owner.tags() };
    let error = other.send(&call).await.expect_err("it was seen long ago");
    assert_eq!((error.class(), count()), (Class::Stale, before), "{error}");
    // Whoever wants a change looks anew, and is at rest no more.
    other.instances().await.expect("it answers");
    other.send(&call).await.expect("it is made");
    assert_eq!(count(), before + 2);
    pass(windows.listed + SignedDuration::from_secs(1)).await;
    one.instances().await.expect("it answers");
    assert_eq!(count(), before + 2);
    other.instances().await.expect("it answers");
    assert_eq!(count(), before + 3);
}
