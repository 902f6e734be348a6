//! A server that answers by a script, and a clock that tests advance.

use super::cluster::{Lab, Memory, Vault, tunables};
use decide::{SourceErrorKind, Time};
use futures::{FutureExt, future::BoxFuture};
use learningplatform_operator::{
    context::Settings,
    evaluate::Sources,
    prometheus::{PromApi, QueryError, Series, SourceKey, Vector},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Rates of the workloads of the namespace `lab`, by name, and faults.
#[derive(Default)]
pub struct Script {
    pub rates: Mutex<BTreeMap<String, f64>>,
    /// Requests per second of each pod that has just begun.
    pub begun: Mutex<Vec<f64>>,
    /// Every query.
    pub asked: Mutex<Vec<String>>,
    /// Queries about more workloads than this are too large.
    pub most: Mutex<Option<usize>>,
    /// Answers take this long.
    pub delay: Mutex<Duration>,
    /// Answers are partial.
    pub partial: Mutex<bool>,
    /// When the server's process started.
    pub started: Mutex<Time>,
    /// Why nothing connects, while nothing does.
    pub down: Mutex<Option<String>>,
}

impl Script {
    pub fn rate(&self, workload: &str, rate: f64) {
        self.rates.lock().unwrap().insert(workload.to_owned(), rate);
    }

    fn answer(&self, expression: &str, at: Time) -> Result<Vector, QueryError> {
        self.asked.lock().unwrap().push(expression.to_owned());
        if let Some(why) = &*self.down.lock().unwrap() {
            return Err(QueryError::new(SourceErrorKind::Connect, why));
        }
        if expression.contains("clamp_min(") {
            let begun = self.begun.lock().unwrap();
            let series =
                begun.iter().enumerate().map(|(pod, rate)| Series::new([("pod", pod.to_string().as_str())], *rate));
            return Ok(Vector { series: series.collect(), partial: false });
        }
        let rates = self.rates.lock().unwrap();
        let asked = rates
            .keys()
            .filter(|name| expression.contains(&format!("{name}|")) || expression.contains(&format!("{name})")))
            .count();
        if self.most.lock().unwrap().is_some_and(|most| asked > most) {
            return Err(QueryError::new(
                SourceErrorKind::Query,
                "query processing would load too many samples into memory",
            )
            .too_large());
        }
        let seconds = at.as_millis() as f64 / 1000.0;
        let value = |rate: f64| match expression {
            freshness if freshness.contains("timestamp(") => seconds - 1.0,
            errors if errors.contains("5..") => 0.0,
            _ => rate,
        };
        let series = rates
            .iter()
            .map(|(name, rate)| Series::new([("namespace", "lab"), ("workload", name.as_str())], value(*rate)));
        Ok(Vector { series: series.collect(), partial: *self.partial.lock().unwrap() })
    }
}

impl PromApi for Script {
    fn query<'a>(&'a self, expression: &'a str, at: Time) -> BoxFuture<'a, Result<Vector, QueryError>> {
        async move {
            let delay = *self.delay.lock().unwrap();
            tokio::time::sleep(delay).await;
            self.answer(expression, at)
        }
        .boxed()
    }

    fn started(&self) -> BoxFuture<'_, Option<Time>> {
        async { self.down.lock().unwrap().is_none().then_some(*self.started.lock().unwrap()) }.boxed()
    }
}

/// Servers by address.
pub type Scripts = BTreeMap<String, Arc<Script>>;

/// A lab on scripted servers and tokio's (paused) clock, with a tick each second.
pub fn lab(scripts: Scripts, cluster: Arc<Memory>) -> Lab {
    ticking(Duration::from_secs(1), scripts, cluster)
}

/// A lab with this interval between two ticks.
pub fn ticking(interval: Duration, scripts: Scripts, cluster: Arc<Memory>) -> Lab {
    let tunables = decide::Tunables { evaluation_interval: interval.into(), ..tunables() };
    let settings = Settings { evaluation_interval: interval, tunables, ..Settings::default() };
    let sources: Sources = Arc::new(move |key: &SourceKey| -> Arc<dyn PromApi> { scripts[&key.url].clone() });
    let (began, start) = (tokio::time::Instant::now(), Time::from_secs(1_800_000_000));
    let clock = Arc::new(move || start.plus(began.elapsed().into()));
    Lab::with(settings, Arc::new(Vault::default()), cluster, sources, clock)
}
