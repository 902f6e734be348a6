//! Two hundred platforms on one account: against the strict fakes, on a clock that all of it runs by.

extern crate aws as learningplatform_aws;

mod caches;
mod databases;
mod shared;

use aws::{Rate, Service, Spot};
use aws_fake::Clock;
use learningplatform_aws_edge::Limits;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

const PLATFORMS: usize = 200;
const RATE: Rate = Rate { per_second: 10.0, burst: 20.0 };

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

    /// The clock, for what shares looks.
    fn now(&self) -> impl Fn() -> jiff::Timestamp + Send + Sync + use<> {
        let clock = self.clock.clone();
        move || clock.now()
    }
}

/// When each request was sent, and whether it changes something.
type Sent = Arc<Mutex<Vec<(Duration, bool)>>>;

/// A fake whose requests are as many as they are on the wire: a look at all is of as many as there are pages.
struct Wire<S> {
    fake: Arc<S>,
    service: Service,
    limits: Limits,
    time: Time,
    sent: Sent,
    /// When the tags of each were asked for.
    tags: Mutex<BTreeMap<String, Duration>>,
}

impl<S> Wire<S> {
    fn new(fake: Arc<S>, service: Service, time: &Time, sent: &Sent) -> Self {
        let (time, sent) = (time.clone(), sent.clone());
        Self { fake, service, limits: Limits::new(RATE), time, sent, tags: Mutex::default() }
    }

    async fn request(&self, changes: bool) {
        let spot = Spot { account: "own".into(), region: "eu-central-1".into(), service: self.service };
        self.limits.wait(&spot, 1).await;
        self.time.show();
        self.sent.lock().push((self.time.start.elapsed(), changes));
    }

    /// The pages after the first.
    async fn more_pages(&self, records: usize, page: usize) {
        for _ in 1..records.div_ceil(page) {
            self.request(false).await;
        }
    }
}

/// A platform of a test.
trait Platform: Send + 'static {
    /// One round: whether all is done, and how long to wait.
    fn go(&mut self) -> impl Future<Output = (bool, Duration)> + Send;
}

/// All converge, below the bucket, and read little at rest.
async fn converge(
    time: &Time,
    sent: &Sent,
    platforms: Vec<impl Platform>,
    all_is_there: impl Fn(),
    throttling_ends: impl Fn(),
) {
    let count = platforms.len();
    let synced = Arc::new(Mutex::new(BTreeSet::new()));
    let tasks: Vec<_> = platforms
        .into_iter()
        .enumerate()
        .map(|(number, mut platform)| {
            let (time, synced) = (time.clone(), synced.clone());
            tokio::spawn(async move {
                loop {
                    time.show();
                    let (is_synced, wait) = platform.go().await;
                    if is_synced {
                        synced.lock().insert(number);
                    }
                    assert!(wait > Duration::ZERO, "a hot loop");
                    sleep(wait).await;
                }
            })
        })
        .collect();
    while synced.lock().len() < count {
        sleep(Duration::from_secs(60)).await;
        assert!(tasks.iter().all(|task| !task.is_finished()), "one of them has failed");
        assert!(time.start.elapsed() < Duration::from_secs(12 * 3600), "{} of them converge", synced.lock().len());
    }
    let converged = time.start.elapsed();
    all_is_there();
    let requests = sent.lock().clone();
    for (at, (when, _)) in requests.iter().enumerate() {
        let most = RATE.burst + when.as_secs_f64() * RATE.per_second + 1e-6;
        assert!((at + 1) as f64 <= most, "request {at} at {when:?}");
    }
    assert!(busiest(&requests) as f64 <= RATE.burst + RATE.per_second, "{} in a second", busiest(&requests));

    // At rest: throttling has ended, and nobody has changed anything for long.
    throttling_ends();
    sleep(Duration::from_secs(3600)).await;
    let before = sent.lock().len();
    // More than an hour, after which parameter groups are looked at again.
    let hours = 3.0;
    sleep(Duration::from_secs_f64(hours * 3600.0)).await;
    let rest = sent.lock()[before..].to_vec();
    assert!(rest.iter().all(|(_, changes)| !changes), "nothing is changed at rest");
    let each = rest.len() as f64 / hours / count as f64;
    println!(
        "converged in {converged:?} with {} requests; at rest {each:.2} requests per platform and hour",
        requests.len()
    );
    assert!(each <= 12.0, "{each} requests per platform and hour");
    assert!(each > 1.0, "{each}: they look");
    tasks.iter().for_each(|task| task.abort());
}

/// Most requests of any second.
fn busiest(sent: &[(Duration, bool)]) -> usize {
    let ends = |at: usize| sent[at..].partition_point(|(when, _)| *when < sent[at].0 + Duration::from_secs(1));
    (0..sent.len()).map(ends).max().unwrap_or(0)
}
