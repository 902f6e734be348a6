//! Writing records at a modest rate, and reading them meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::figures::{Figures, Summary as FiguresSummary};
use super::file::Ledger;
use super::{Client, Store};
use crate::content::fresh_id;
use crate::stores::retry::{Counts, Patience};
use crate::stores::settings::Settings;

/// Longest time of one try. (P)
const EACH: Duration = Duration::from_secs(2);

/// What is in flight gets so long after the signal to stop, well within a pod's grace period. (P)
const STOP: Duration = Duration::from_secs(5);

/// How to write.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long.
    pub length: Duration,
    /// The file of acknowledged records.
    pub file: PathBuf,
    /// Records per second and store; as many are read.
    pub rate: f64,
    /// Connections per store that write, and as many that read.
    pub connections: usize,
    /// How long a client tries before an operation is an error.
    pub patience: Duration,
    /// The stores; those of them that are wired.
    pub stores: Vec<Store>,
}

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The name under which the records are kept.
    pub writer: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether a signal ended it early.
    pub interrupted: bool,
    /// By store.
    pub stores: Vec<StoreSummary>,
}

/// What was written to a store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreSummary {
    /// The store.
    pub store: Store,
    /// Records in the file.
    pub acknowledged: u64,
    /// Records that the store may have or not.
    pub unknown: u64,
    /// Tries after the first.
    pub retries: u64,
    /// The writes.
    pub writes: FiguresSummary,
    /// The reads.
    pub reads: FiguresSummary,
}

/// What the lanes of a store share.
struct Run {
    store: Store,
    writer: Arc<str>,
    patience: Patience,
    ledger: Arc<Mutex<Ledger>>,
    /// The last number that was given out.
    given: AtomicU64,
    /// The newest number that is acknowledged, 0 before there is one.
    newest: AtomicU64,
    writes: Mutex<Figures>,
    reads: Mutex<Figures>,
    counts: Counts,
}

/// Writes and reads until the time is over or `stop` is done.
///
/// # Errors
/// Where no store is wired, one does not answer at the beginning, or the file cannot be written.
pub async fn write(settings: &Settings, options: &Options, stop: impl Future<Output = ()>) -> anyhow::Result<Summary> {
    let ledger = Arc::new(Mutex::new(Ledger::open(&options.file)?));
    let writer: Arc<str> = format!("{:016x}", fresh_id()).into();
    let patience = Patience { within: options.patience, each: EACH };
    let (ending, ended) = watch::channel(false);
    let (mut runs, mut lanes) = (Vec::new(), JoinSet::new());
    for store in &options.stores {
        let run = Arc::new(Run {
            store: *store,
            writer: Arc::clone(&writer),
            patience,
            ledger: Arc::clone(&ledger),
            given: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            writes: Mutex::new(Figures::new(options.connections)),
            reads: Mutex::new(Figures::new(options.connections)),
            counts: Counts::default(),
        });
        let Some(clients) = clients(&run, settings, options.connections * 2)? else { continue };
        clients[0].prepare(patience).await.with_context(|| format!("asking {store}"))?;
        for (index, client) in clients.into_iter().enumerate() {
            let lane = Lane { run: Arc::clone(&run), client, number: index / 2, of: options.connections };
            let ticks = (lane.ticks(options.rate), ended.clone());
            lanes.spawn(async move { if index % 2 == 0 { lane.write(ticks).await } else { lane.read(ticks).await } });
        }
        runs.push(run);
    }
    if runs.is_empty() {
        bail!("no store is wired: set DATABASE_URL or REDIS_URL");
    }

    let begun = Instant::now();
    let mut failed = None;
    let interrupted = tokio::select! {
        () = tokio::time::sleep(options.length) => false,
        () = stop => true,
        // Lanes go on until they are told to end, unless they fail.
        Some(ended) = lanes.join_next() => {
            failed = Some(ended);
            true
        }
    };
    ending.send_replace(true);
    let grace = if interrupted { STOP } else { options.patience + EACH };
    // Who is still at it then is cut off; what it wanted counts as an error.
    drop(timeout(grace, async { while lanes.join_next().await.is_some() {} }).await);
    lanes.shutdown().await;
    if let Some(ended) = failed {
        ended.context("a lane ended")??;
    }
    let now = Instant::now();
    let stores = runs.into_iter().map(|run| run.summary(now)).collect();
    Ok(Summary { writer: writer.to_string(), seconds: (now - begun).as_secs_f64(), interrupted, stores })
}

/// Clients for so many lanes; none where the store is not wired. A database's lanes share one pool.
fn clients(run: &Run, settings: &Settings, lanes: usize) -> anyhow::Result<Option<Vec<Arc<Client>>>> {
    let client = || Client::new(run.store, settings, run.counts.clone());
    let Some(first) = client()?.map(Arc::new) else { return Ok(None) };
    let mut clients = vec![Arc::clone(&first)];
    while clients.len() < lanes {
        let next = match &*first {
            Client::Postgres(_) => Arc::clone(&first),
            Client::Redis(_) => client()?.map_or_else(|| Arc::clone(&first), Arc::new),
        };
        clients.push(next);
    }
    Ok(Some(clients))
}

impl Run {
    fn summary(&self, now: Instant) -> StoreSummary {
        let take = |figures: &Mutex<Figures>| std::mem::replace(&mut *figures.lock(), Figures::new(0)).summary(now);
        let (writes, reads) = (take(&self.writes), take(&self.reads));
        StoreSummary {
            store: self.store,
            acknowledged: writes.done,
            unknown: writes.errors,
            retries: self.counts.retries.get(),
            writes,
            reads,
        }
    }
}

type Ticks = (tokio::time::Interval, watch::Receiver<bool>);

/// Waits for the next turn; whether there is one.
async fn turn((ticks, ended): &mut Ticks) -> bool {
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => false,
        _ = ticks.tick() => true,
    }
}

struct Lane {
    run: Arc<Run>,
    client: Arc<Client>,
    number: usize,
    of: usize,
}

impl Lane {
    /// This lane's share of the rate, its turns between those of the others.
    fn ticks(&self, rate: f64) -> tokio::time::Interval {
        let period = Duration::from_secs_f64(self.of as f64 / rate);
        let offset = period.mul_f64(self.number as f64 / self.of as f64);
        let mut ticks = interval_at(Instant::now() + offset, period);
        // After a pause the turns that were missed are not caught up.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    async fn write(self, mut ticks: Ticks) -> anyhow::Result<()> {
        let run = &self.run;
        while turn(&mut ticks).await {
            let (number, begun) = (run.given.fetch_add(1, Ordering::Relaxed) + 1, Instant::now());
            run.writes.lock().begin(self.number, begun);
            match self.client.write(run.patience, &run.writer, number).await {
                Ok(()) => {
                    let took = begun.elapsed();
                    run.ledger.lock().append(run.store, &run.writer, number, took).context("writing the ledger")?;
                    run.newest.fetch_max(number, Ordering::Relaxed);
                    run.writes.lock().done(self.number, begun + took, took);
                }
                Err(e) => run.writes.lock().failed(e.to_string()),
            }
        }
        Ok(())
    }

    async fn read(self, mut ticks: Ticks) -> anyhow::Result<()> {
        let run = &self.run;
        while turn(&mut ticks).await {
            let newest = run.newest.load(Ordering::Relaxed);
            if newest == 0 {
                continue;
            }
            // Any of them: the newest are on servers that answer.
            let number = 1 + fresh_id().cast_unsigned() % newest;
            let begun = Instant::now();
            run.reads.lock().begin(self.number, begun);
            match self.client.read(run.patience, &run.writer, number).await {
                Ok(()) => run.reads.lock().done(self.number, Instant::now(), begun.elapsed()),
                Err(e) => run.reads.lock().failed(e.to_string()),
            }
        }
        Ok(())
    }
}
