//! Two hundred platforms with a distribution each, on one account: against the strict fake, on a clock that all of it runs by.

use super::{
    driver::{Double, Operator, has},
    wire::{Asked, Gate, Wire},
    wishes::{owner, set, seven_p, wish},
};
use aws::{Kind, Rate, acm::Certificate};
use aws_fake::{
    Clock, Fault,
    cloudfront::{Durations, FakeCloudFront},
};
use learningplatform_aws_edge::cloudfront::{Seat, Shared, Windows};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::sleep;

const PLATFORMS: usize = 200;
const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };

impl Double for Seat<Wire> {}

#[tokio::test(start_paused = true)]
async fn two_hundred_distributions_are_made_under_throttling_and_read_little_at_rest() {
    let clock = Clock::default();
    let fake = Arc::new(FakeCloudFront::new(clock.clone()));
    let (asked, gate) = (Asked::default(), Arc::new(Gate::new(RATE, clock.clone())));
    let wire = Wire { fake: fake.clone(), versions: true, asked: asked.clone(), gate: Some(gate.clone()) };
    let now = clock.clone();
    let shared = Shared::new(wire, Windows::default(), move || now.now());
    fake.hide_new(1);
    fake.set_durations(Durations { deploying: Duration::from_secs(120), invalidating: Duration::from_secs(60) });
    fake.faults(|faults| faults.fail_every(Some((8, Fault::Throttled))));

    let synced = Arc::new(Mutex::new(BTreeSet::new()));
    let tasks: Vec<_> = (0..PLATFORMS)
        .map(|number| {
            let mut wish = wish(seven_p());
            wish.owner = owner(&format!("p{number}"), "uid-1");
            let alias = format!("p{number}.education.example.com");
            wish.spec.aliases = Some(set(&[&alias]));
            let arn = &mut wish.spec.certificate.as_mut().expect("set").arn;
            arn.push_str(&number.to_string());
            let issued = Certificate { status: "ISSUED".into(), names: vec![alias], ..Certificate::default() };
            fake.set_certificate(arn, Ok(Some(issued)));
            let mut operator = Operator::at(Arc::new(shared.seat()), clock.clone(), wish);
            let (gate, synced) = (gate.clone(), synced.clone());
            tokio::spawn(async move {
                loop {
                    gate.show();
                    let (step, wait) = operator.round().await;
                    if step.is_some_and(|step| has(&step, Kind::Synced) && !has(&step, Kind::Deploying)) {
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
        assert!(gate.show() < Duration::from_secs(12 * 3600), "{} of them converge", synced.lock().len());
    }
    let converged = gate.show();
    assert_eq!((fake.ids().len(), fake.kept_companions().len()), (PLATFORMS, PLATFORMS));
    assert_eq!(fake.done("CreateDistributionWithTags").len(), PLATFORMS);
    let passed = gate.passed.lock().clone();
    for (at, when) in passed.iter().enumerate() {
        let most = RATE.burst + when.as_secs_f64() * RATE.per_second + 1e-6;
        assert!((at + 1) as f64 <= most, "request {at} at {when:?}");
    }

    // At rest: throttling has ended, and nobody has changed anything for a while.
    fake.faults(|faults| faults.fail_every(None));
    sleep(Duration::from_secs(900)).await;
    asked.lock().clear();
    // More than an hour, after which what is known is looked at again.
    let hours = 1.5;
    sleep(Duration::from_secs_f64(hours * 3600.0)).await;
    let rest = asked.lock().clone();
    let each = rest.values().sum::<usize>() as f64 / hours / PLATFORMS as f64;
    println!("converged in {converged:?} with {} requests; at rest {each:.2} an hour each: {rest:?}", passed.len());
    assert_eq!(rest.get("send"), None, "nothing is changed at rest");
    assert!((1.0..=12.0).contains(&each), "{each} requests per platform and hour");
    tasks.iter().for_each(|task| task.abort());
}
