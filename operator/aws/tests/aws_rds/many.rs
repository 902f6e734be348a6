//! Many platforms on one account.

use crate::driver::{Operator, has, owner, wish};
use aws_fake::Fault;
use jiff::Timestamp;
use learningplatform_aws::{Buckets, Kind, Rate, Service, Spot};
use std::time::Duration;

/// Tokens of a round: two reads of all, one of the parameter group, one call.
const ROUND: u32 = 4;

#[tokio::test]
async fn scenario_26_fifty_platforms_converge_under_throttling_and_below_the_bucket() {
    let first = Operator::new(wish());
    let clock = first.clock.clone();
    let start = clock.now();
    let mut all: Vec<(Timestamp, bool, Operator)> = (0..50)
        .map(|number| {
            let mut wish = wish();
            wish.owner = owner(&format!("p{number}"), &format!("uid-{number}"));
            wish.spec.replicas = 1;
            (start, false, first.beside(wish))
        })
        .collect();
    let rate = Rate { per_second: 10.0, burst: 20.0 };
    let mut buckets = Buckets::new(rate);
    let spot = Spot { account: "1".into(), region: "eu-central-1".into(), service: Service::Rds };
    // One of two fails; a round has three requests or four, so that every round is hit somewhere.
    first.rds.faults(|faults| faults.fail_every(Some((2, Fault::Throttled))));
    let mut rounds = 0u64;
    while all.iter().any(|(_, done, _)| !done) {
        let next = all.iter().map(|(at, ..)| *at).min().expect("fifty");
        if next > clock.now() {
            clock.advance(Duration::from_secs_f64(next.duration_since(clock.now()).as_secs_f64()));
        }
        let now = clock.now();
        assert!(now.duration_since(start).as_hours() < 24, "they do not converge");
        // Throttling ends after some hours, as it does; until then each gets on where it is let.
        if now.duration_since(start).as_hours() >= 2 {
            first.rds.faults(|faults| faults.fail_every(None));
        }
        let (at, done, operator) = all.iter_mut().min_by_key(|(at, ..)| *at).expect("fifty");
        let wait = match buckets.take(&spot, ROUND, now) {
            Err(wait) => wait,
            Ok(()) => {
                rounds += 1;
                let (step, wait) = operator.round().await;
                *done |= step.is_some_and(|step| has(&step, Kind::Synced));
                wait
            }
        };
        assert!(wait > Duration::ZERO, "a hot loop");
        *at = now.checked_add(wait).expect("a time");
        let elapsed = now.duration_since(start).as_secs_f64();
        let most = rate.burst + elapsed * rate.per_second;
        assert!(first.rds.requests() as f64 <= most, "{} requests in {elapsed} s", first.rds.requests());
    }
    assert_eq!(first.rds.ids().len(), 100);
    assert_eq!(first.rds.done("CreateDBInstance").len(), 50);
    assert!(rounds < 50 * 400, "{rounds} rounds");
}
