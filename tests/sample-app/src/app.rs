//! The state that all requests share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::api;
use crate::config::{Config, HealthMode, MAX_HEAP_MIB, MetricsMode};
use crate::content;
use crate::metrics::Metrics;
use crate::pacer::{Admission, Pacer, service_time};
use crate::stores::Stores;
use crate::stores::retry::StoreError;
use crate::stores::settings::Settings as StoreSettings;

/// What a test may change while the app runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Requests per second that are completed at most.
    pub capacity_rps: f64,
    /// Latency added to every request.
    pub extra_latency: Duration,
    /// Processor time burnt per request.
    pub cpu_per_request: Duration,
    /// What `/api/health` answers.
    pub health: HealthMode,
    /// What `/api/metrics` answers.
    pub metrics: MetricsMode,
}

/// Why the app is ready or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Takes requests.
    Up,
    /// Before the end of the warm-up, or before the database's tables are there.
    Warming,
    /// After the signal to stop.
    Draining,
    /// A test wants it so.
    Failing,
}

/// How a request is to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Sleep, burn, answer.
    Serve {
        /// Time in the queue and in service.
        latency: Duration,
        /// Processor time to burn.
        cpu: Duration,
    },
    /// The queue is full; it has room again after this time.
    Refuse(Duration),
}

/// The state that all requests share.
#[derive(Debug)]
pub struct App {
    config: Config,
    started: Instant,
    draining: AtomicBool,
    sequence: AtomicU64,
    live: Mutex<(Settings, Pacer)>,
    heap: Mutex<Vec<Vec<u8>>>,
    metrics: Metrics,
    stores: Stores,
    uncounted: Stores,
    prepared: AtomicBool,
    instance: i64,
}

impl App {
    /// An app without stores. Starts the warm-up now; holds `config.heap_mib` of memory at once.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let settings = Settings {
            capacity_rps: config.capacity_rps,
            extra_latency: config.extra_latency_ms,
            cpu_per_request: config.cpu_ms_per_request,
            health: config.health,
            metrics: config.metrics,
        };
        let pacer = Pacer::new(config.capacity_rps, config.queue_limit);
        let heap = vec![block(config.heap_mib)];
        Self {
            config,
            started: Instant::now(),
            draining: AtomicBool::new(false),
            sequence: AtomicU64::new(0),
            live: Mutex::new((settings, pacer)),
            heap: Mutex::new(heap),
            metrics: Metrics::new(api::known_labels()),
            stores: Stores::default(),
            uncounted: Stores::default(),
            prepared: AtomicBool::new(true),
            instance: content::fresh_id(),
        }
    }

    /// Wires the stores of the settings. Where there is a database the app is ready only after [`Self::set_prepared`].
    ///
    /// # Errors
    /// Where a client cannot be made of its settings.
    pub fn with_stores(mut self, settings: &StoreSettings) -> Result<Self, StoreError> {
        self.stores = Stores::new(settings, |store| self.metrics.store(store))?;
        self.uncounted = self.stores.uncounted();
        self.prepared = AtomicBool::new(self.stores.database.is_none());
        Ok(self)
    }

    /// The stores that are wired.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The same stores for probes and preparations, which are not counted.
    #[must_use]
    pub fn uncounted(&self) -> &Stores {
        &self.uncounted
    }

    /// Says that the database's tables are there.
    pub fn set_prepared(&self) {
        self.prepared.store(true, Ordering::Relaxed);
    }

    /// A number that no other pod has.
    #[must_use]
    pub fn instance(&self) -> i64 {
        self.instance
    }

    /// The settings it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The metrics of user requests.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The settings as they are now.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.live.lock().0
    }

    /// Replaces the settings as a whole.
    pub fn set(&self, settings: Settings) {
        let mut live = self.live.lock();
        live.1.set_capacity(self.started.elapsed(), settings.capacity_rps);
        live.0 = settings;
    }

    /// Decides how a request that arrives now is served.
    #[must_use]
    pub fn admit(&self) -> Work {
        let mut live = self.live.lock();
        let (settings, pacer) = &mut *live;
        match pacer.admit(self.started.elapsed()) {
            Admission::Full(after) => Work::Refuse(after),
            Admission::Start(wait) => {
                let n = self.sequence.fetch_add(1, Ordering::Relaxed);
                let service = service_time(n, self.config.latency_ms, self.config.latency_jitter_ms);
                Work::Serve { latency: wait + service + settings.extra_latency, cpu: settings.cpu_per_request }
            }
        }
    }

    /// Time that a request that arrives now would take at least.
    #[must_use]
    pub fn expected_latency(&self) -> Duration {
        let live = self.live.lock();
        live.1.wait(self.started.elapsed()) + self.config.latency_ms + live.0.extra_latency
    }

    /// Not ready from now on.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the signal to stop came.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether the app takes requests, and why not.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if self.draining() {
            Readiness::Draining
        } else if self.settings().health == HealthMode::Fail {
            Readiness::Failing
        } else if self.started.elapsed() < self.config.warmup_seconds || !self.prepared.load(Ordering::Relaxed) {
            Readiness::Warming
        } else {
            Readiness::Up
        }
    }

    /// Memory held for tests, in MiB.
    #[must_use]
    pub fn heap_mib(&self) -> u32 {
        mib(&self.heap.lock())
    }

    /// Holds so much more memory for ever; gives the sum, or `None` where that would be too much.
    pub fn grow_heap(&self, more_mib: u32) -> Option<u32> {
        let mut heap = self.heap.lock();
        let sum = mib(&heap).checked_add(more_mib).filter(|sum| *sum <= MAX_HEAP_MIB)?;
        heap.push(block(more_mib));
        Some(sum)
    }
}

// Ones, for zeroed pages would not be resident.
fn block(mib: u32) -> Vec<u8> {
    vec![1; (mib as usize) << 20]
}

fn mib(heap: &[Vec<u8>]) -> u32 {
    let bytes: usize = heap.iter().map(Vec::len).sum();
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}
