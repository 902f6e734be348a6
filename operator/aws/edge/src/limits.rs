//! How fast AWS is called: every request on the wire takes a token, those that the SDK repeats by itself included.

use aws::{Bucket, Rate, Spot};
use aws_smithy_runtime_api::{
    client::{
        connector_metadata::ConnectorMetadata,
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::HttpRequest,
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    shared::IntoShared,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// How long a request waits for its token. AWS takes a signature for some minutes, and it is made before the wait.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A request that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request<'a> {
    /// To whom.
    pub spot: &'a Spot,
    /// How it ended.
    pub end: End,
    /// How long it waited for its token.
    pub waited: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer of this HTTP status.
    Answered(u16),
    /// Without one.
    Unanswered,
    /// It was not sent: too many were before it.
    Unsent,
}

/// Who is told of each request.
type Told = Box<dyn Fn(Request<'_>) + Send + Sync>;

/// The buckets of a process, shared by all its clients.
pub struct Limits {
    rate: Rate,
    start: Instant,
    buckets: Mutex<BTreeMap<Spot, Arc<tokio::sync::Mutex<Bucket>>>>,
    told: Told,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Limits {
    /// A bucket of this rate for every account, region and service.
    pub fn new(rate: Rate) -> Self {
        Self { rate, start: Instant::now(), buckets: Mutex::default(), told: Box::new(|_| {}) }
    }

    /// Tells of each request that has ended, those that the SDK repeats by itself included.
    pub fn telling(self, told: impl Fn(Request<'_>) + Send + Sync + 'static) -> Self {
        Self { told: Box::new(told), ..self }
    }

    /// Waits for so many tokens. Who came first is served first.
    pub async fn wait(&self, spot: &Spot, calls: u32) {
        let bucket = {
            let mut buckets = self.buckets.lock();
            let full = || Arc::new(tokio::sync::Mutex::new(Bucket::new(self.rate, self.now())));
            buckets.entry(spot.clone()).or_insert_with(full).clone()
        };
        // The lock of the bucket is the queue before it.
        let mut bucket = bucket.lock().await;
        while let Err(wait) = bucket.take(calls, self.now()) {
            sleep(wait).await;
        }
    }

    /// A time that no one sets back.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(self.start.elapsed()).unwrap_or(Timestamp::MAX)
    }
}

/// A client whose requests take their tokens first.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    pub client: SharedHttpClient,
    pub limits: Arc<Limits>,
    pub spot: Spot,
}

impl HttpClient for Limited {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        LimitedConnector { connector, limits: self.limits.clone(), spot: self.spot.clone() }.into_shared()
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.client.connector_metadata()
    }
}

#[derive(Clone, Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    limits: Arc<Limits>,
    spot: Spot,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let began = Instant::now();
            let turn = timeout(PATIENCE, this.limits.wait(&this.spot, 1)).await;
            let waited = began.elapsed();
            let tell = |end| (this.limits.told)(Request { spot: &this.spot, end, waited });
            if turn.is_err() {
                tell(End::Unsent);
                let words = format!("too many requests are queued for {:?}: none was sent", this.spot.service);
                return Err(ConnectorError::other(words.into(), None));
            }
            let answer = this.connector.call(request).await;
            tell(answer.as_ref().map_or(End::Unanswered, |answer| End::Answered(answer.status().as_u16())));
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::Service;

    fn spot(region: &str) -> Spot {
        Spot { account: "1".into(), region: region.into(), service: Service::Rds }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_served_in_their_order_and_no_faster_than_the_rate() {
        let limits = Arc::new(Limits::new(Rate { per_second: 2.0, burst: 3.0 }));
        let order = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now();
        let tasks = (0..9).map(|number| {
            let (limits, order) = (limits.clone(), order.clone());
            tokio::spawn(async move {
                limits.wait(&spot("eu-central-1"), 1).await;
                order.lock().push((number, start.elapsed()));
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("it ends");
        }
        let order = order.lock().clone();
        assert_eq!(order.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..9).collect::<Vec<_>>());
        for (at, (_, when)) in order.iter().enumerate() {
            // Three at once, then two a second; each wait is rounded up to the next millisecond.
            let earliest = (at as f64 - 2.0).max(0.0) / 2.0;
            assert!((earliest..earliest + 0.1).contains(&when.as_secs_f64()), "{at}: {when:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_regions_queue_is_not_anothers() {
        let limits = Limits::new(Rate { per_second: 0.01, burst: 1.0 });
        limits.wait(&spot("eu-central-1"), 1).await;
        assert!(timeout(Duration::from_secs(50), limits.wait(&spot("eu-central-1"), 1)).await.is_err());
        let start = Instant::now();
        limits.wait(&spot("eu-west-1"), 1).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
