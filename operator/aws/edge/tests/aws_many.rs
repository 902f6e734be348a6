//! Two hundred platforms on one account: against the strict fake, on a clock that all of it runs by.

extern crate aws as learningplatform_aws;

#[expect(dead_code, reason = "some of it is for the tests of one database")]
#[path = "../../tests/aws_rds/driver.rs"]
mod driver;

use aws::{
    Call as _, Error, Kind, Rate, Service, Spot,
    rds::{Call, Instance, ParameterGroup, Rds, Snapshot},
};
use aws_fake::{
    Clock, Fault,
    rds::{Durations, FakeRds},
};
use driver::{Double, Operator, has, owner, wish};
use learningplatform_aws_edge::{Limits, Seat, Shared, Windows};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

const PLATFORMS: usize = 200;
const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };
/// Most records of a page.
const PAGE: usize = 100;

/// The clock of the fake goes with that of the runtime, which goes on when all wait.
#[derive(Clone)]
struct Time {
    clock: Clock,
    start: Instant,
    shown: Arc<Mutex<Duration>>,
}

impl Time {
    fn new() -> Self {
        Self { clock: Clock::default(), start: Instant::now(), shown: Arc::default() }
    }

    fn show(&self) {
        let mut shown = self.shown.lock();
        let now = self.start.elapsed();
        self.clock.advance(now - *shown);
        *shown = now;
    }
}

/// Requests as they are on the wire: a look at all is of as many as there are pages, and one at a parameter group of three.
struct Wire {
    rds: Arc<FakeRds>,
    limits: Limits,
    time: Time,
    /// When each was sent, and whether it changes something.
    sent: Arc<Mutex<Vec<(Duration, bool)>>>,
}

impl Wire {
    async fn request(&self, changes: bool) {
        let spot = Spot { account: "own".into(), region: "eu-central-1".into(), service: Service::Rds };
        self.limits.wait(&spot, 1).await;
        self.time.show();
        self.sent.lock().push((self.time.start.elapsed(), changes));
    }

    async fn more_pages(&self, records: usize) {
        for _ in 1..records.div_ceil(PAGE) {
            self.request(false).await;
        }
    }
}

impl Rds for Wire {
    async fn instances(&self) -> Result<Vec<Instance>, Error> {
        self.request(false).await;
        let all = self.rds.instances().await?;
        self.more_pages(all.len()).await;
        Ok(all)
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.request(false).await;
        let all = self.rds.snapshots().await?;
        self.more_pages(all.len()).await;
        Ok(all)
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.request(false).await;
        let group = self.rds.parameter_group(name).await?;
        if group.is_some() {
            self.request(false).await;
            self.request(false).await;
        }
        Ok(group)
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.request(true).await;
        self.rds.send(call).await
    }
}

impl Double for Seat<Wire> {}

/// Most requests of any second.
fn busiest(sent: &[(Duration, bool)]) -> usize {
    let ends = |at: usize| sent[at..].partition_point(|(when, _)| *when < sent[at].0 + Duration::from_secs(1));
    (0..sent.len()).map(ends).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_platforms_converge_under_throttling_and_read_little_at_rest() {
    let time = Time::new();
    let rds = Arc::new(FakeRds::new(time.clock.clone()));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let wire = Wire { rds: rds.clone(), limits: Limits::new(RATE), time: time.clone(), sent: sent.clone() };
    let clock = time.clock.clone();
    let shared = Shared::new(wire, Windows::default(), move || clock.now());
    rds.hide_new(1);
    // Short, so that they have few looks before they are at rest.
    let seconds = Duration::from_secs;
    rds.set_durations(Durations {
        creating: seconds(60),
        modifying: seconds(30),
        backing_up: seconds(30),
        optimizing: seconds(30),
        deleting: seconds(60),
    });
    rds.faults(|faults| faults.fail_every(Some((8, Fault::Throttled))));

    let synced = Arc::new(Mutex::new(BTreeSet::new()));
    let tasks: Vec<_> = (0..PLATFORMS)
        .map(|number| {
            let mut wish = wish();
            wish.owner = owner(&format!("p{number}"), &format!("uid-{number}"));
            let mut operator = Operator::at(Arc::new(shared.seat()), time.clock.clone(), wish);
            let (time, synced) = (time.clone(), synced.clone());
            tokio::spawn(async move {
                loop {
                    time.show();
                    let (step, wait) = operator.round().await;
                    if step.is_some_and(|step| has(&step, Kind::Synced)) {
                        synced.lock().insert(number);
                    }
                    assert!(wait > Duration::ZERO, "a hot loop");
                    sleep(wait).await;
                }
            })
        })
        .collect();

    while synced.lock().len() < PLATFORMS {
        sleep(Duration::from_secs(60)).await;
        assert!(tasks.iter().all(|task| !task.is_finished()), "one of them has failed");
        assert!(time.start.elapsed() < Duration::from_secs(12 * 3600), "{} of them converge", synced.lock().len());
    }
    let converged = time.start.elapsed();
    assert_eq!(rds.ids().len(), PLATFORMS * 3);
    assert_eq!(rds.done("CreateDBInstance").len(), PLATFORMS);
    assert_eq!(rds.done("CreateDBInstanceReadReplica").len(), PLATFORMS * 2);
    let requests = sent.lock().clone();
    for (at, (when, _)) in requests.iter().enumerate() {
        let most = RATE.burst + when.as_secs_f64() * RATE.per_second + 1e-6;
        assert!((at + 1) as f64 <= most, "request {at} at {when:?}");
    }
    assert!(busiest(&requests) as f64 <= RATE.burst + RATE.per_second, "{} in a second", busiest(&requests));

    // At rest: throttling has ended, and each has looked once more.
    rds.faults(|faults| faults.fail_every(None));
    sleep(Duration::from_secs(900)).await;
    let before = sent.lock().len();
    // More than an hour, after which parameter groups are looked at again.
    let hours = 1.5;
    sleep(Duration::from_secs_f64(hours * 3600.0)).await;
    let rest = sent.lock()[before..].to_vec();
    assert!(rest.iter().all(|(_, changes)| !changes), "nothing is changed at rest");
    let each = rest.len() as f64 / hours / PLATFORMS as f64;
    println!(
        "converged in {converged:?} with {} requests; at rest {each:.2} requests per platform and hour",
        requests.len()
    );
    assert!(each <= 12.0, "{each} requests per platform and hour");
    assert!(each > 1.0, "{each}: they look");
    tasks.iter().for_each(|task| task.abort());
    assert!(rds.log().iter().all(|logged| logged.refused.is_none() || logged.call.operation() != "DeleteDBInstance"));
}

#[tokio::test(start_paused = true)]
async fn what_one_changes_it_sees_and_what_others_look_at_it_shares() {
    let time = Time::new();
    let rds = Arc::new(FakeRds::new(time.clock.clone()));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let wire = Wire { rds: rds.clone(), limits: Limits::new(RATE), time: time.clone(), sent: sent.clone() };
    let clock = time.clock.clone();
    let shared = Shared::new(wire, Windows::default(), move || clock.now());
    let (one, other) = (shared.seat(), shared.seat());
    let count = || sent.lock().len();

    // Who comes while it is looked takes what that look sees.
    let (seen, same) = tokio::join!(one.instances(), other.instances());
    assert_eq!((seen, same, count()), (Ok(vec![]), Ok(vec![]), 1));
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
