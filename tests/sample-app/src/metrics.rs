//! The metrics of user requests and of the stores, in the OpenMetrics text format.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::config::MetricsMode;
use crate::stores::retry::Counts;

/// Content type of the exposition.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: close together around a budget of 200 ms, wide up to a full queue.
pub const BUCKETS: [f64; 16] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0];

/// Labels of counter and histogram.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Labels {
    /// HTTP method.
    pub method: &'static str,
    /// Route template such as `/api/stories/{id}`, so that ids make no series.
    pub path: &'static str,
    /// HTTP status code.
    pub status: u32,
}

/// The label of a store's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabel {
    store: &'static str,
}

/// All metrics of the app.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    duration: Family<Labels, Histogram>,
    in_flight: Gauge,
    store_retries: Family<StoreLabel, Counter>,
    store_errors: Family<StoreLabel, Counter>,
}

/// Counts a request as in flight until dropped, also where the client goes away.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers the metrics. The `known` label sets exist with 0 from the start: a series that first shows with
    /// 1 has no increase, so that `rate()` would miss the first request of every pod.
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = Labels>) -> Self {
        let mut registry = Registry::default();
        let requests = Family::<Labels, Counter>::default();
        let duration = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let in_flight = Gauge::default();
        registry.register(
            "http_requests",
            "Requests of users answered; probes and scrapes are not counted",
            requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from the request to its answer, waiting included",
            duration.clone(),
        );
        registry.register("http_requests_in_flight", "Requests of users that wait or are served", in_flight.clone());
        let (store_retries, store_errors) = (Family::default(), Family::default());
        registry.register(
            "store_retries",
            "Tries after the first to get an answer of a store; probes are not counted",
            store_retries.clone(),
        );
        registry.register(
            "store_errors",
            "Errors of a store that remained after the retries; probes are not counted",
            store_errors.clone(),
        );
        for labels in known {
            drop(requests.get_or_create(&labels));
            drop(duration.get_or_create(&labels));
        }
        Self { registry, requests, duration, in_flight, store_retries, store_errors }
    }

    /// The counters of a store, which exist with 0 from now on; without any store nothing of them is exposed.
    #[must_use]
    pub fn store(&self, store: &'static str) -> Counts {
        let label = StoreLabel { store };
        let (retries, errors) = (&self.store_retries, &self.store_errors);
        Counts { retries: retries.get_or_create_owned(&label), errors: errors.get_or_create_owned(&label) }
    }

    /// Counts a request as in flight.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// Counts an answer.
    pub fn answered(&self, labels: &Labels, took: Duration) {
        self.requests.get_or_create(labels).inc();
        self.duration.get_or_create(labels).observe(took.as_secs_f64());
    }

    /// The exposition in the given mode; `None` where the scrape shall fail.
    ///
    /// # Errors
    /// Where the encoder fails; the formatter never does so on a `String`.
    pub fn expose(&self, mode: MetricsMode) -> Result<Option<String>, fmt::Error> {
        let mut out = String::new();
        match mode {
            MetricsMode::Ok => text::encode(&mut out, &self.registry)?,
            MetricsMode::Nan => {
                text::encode(&mut out, &self.registry)?;
                out = out.lines().map(not_a_number).collect();
            }
            MetricsMode::Absent => text::encode_eof(&mut out)?,
            MetricsMode::Error => return Ok(None),
        }
        Ok(Some(out))
    }
}

fn not_a_number(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => format!("{series} NaN\n"),
        _ => format!("{line}\n"),
    }
}
