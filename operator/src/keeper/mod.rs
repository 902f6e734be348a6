//! Keepers: a task for each store. It looks at the servers, decides, and acts on them, beside the passes, so
//! that no pass waits for a server. A pass gives it orders and reads its view; when the view changes, it wakes a pass.

pub mod aws;
pub mod beside;
pub mod cache;
mod cache_size;
pub mod cloudfront;
pub mod database;
pub mod elasticache;
pub mod elasticache_servers;
mod looks;
mod pods;
pub mod rds;
pub mod rds_servers;
pub mod read_replicas;
mod waiting;

use crate::{context::Context, metrics::RoundFailure, naming::PlatformKey, tiers::store::StoreTier};
use futures::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

/// The longest time of one round (P): a server that hangs must not keep its keeper from looking again.
const ROUND: Duration = Duration::from_secs(60);
/// How long a keeper waits after a round that failed as a whole.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long it is waited for that somebody else makes the wanted size (P). Who is slower may have taken it back, or never begun: then
/// it is decided again.
const MAKING: decide::Duration = decide::Duration::from_mins(60);

/// Which store a keeper keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreKey {
    /// The platform it belongs to.
    pub platform: PlatformKey,
    /// What its objects' names begin with.
    pub object_name: String,
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.platform.namespace, self.object_name)
    }
}

/// What a round came to.
pub struct Round<V, F> {
    /// What passes are told.
    pub view: V,
    /// What was seen in figures.
    pub figures: F,
    /// When to look again.
    pub next: Duration,
}

/// What the keepers of a kind of store do.
pub trait Keep: 'static {
    /// The room of its stores.
    const TIER: StoreTier;
    /// What a pass wants of the store.
    type Orders: Clone + PartialEq + Send + Sync + 'static;
    /// What the keeper has seen of it.
    type View: PartialEq + Send + Sync + 'static;
    /// What it has seen in figures. They differ at every look, so their change wakes nobody.
    type Figures: Send + Sync + 'static;
    /// What it remembers from look to look. Lost without harm.
    type Memory: Default + Send;

    /// Looks at the servers, decides, and acts. May be ended at any point.
    fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Self::Orders,
        before: Option<&Self::View>,
        memory: &mut Self::Memory,
    ) -> impl Future<Output = Round<Self::View, Self::Figures>> + Send;
}

/// The keepers of one kind of store.
pub struct Keepers<K: Keep> {
    running: Mutex<BTreeMap<StoreKey, Running<K>>>,
    wake: OnceLock<mpsc::Sender<PlatformKey>>,
}

/// What a keeper's task tells; None before its first look.
type Shared<T> = Arc<Mutex<Option<T>>>;

struct Running<K: Keep> {
    orders: watch::Sender<K::Orders>,
    answer: Shared<Answer<K>>,
    figures: Shared<Arc<K::Figures>>,
    task: AbortHandle,
}

/// What a round has seen, and on which orders.
struct Answer<K: Keep> {
    view: Arc<K::View>,
    orders: K::Orders,
}

impl<K: Keep> Default for Keepers<K> {
    fn default() -> Self {
        Self { running: Mutex::default(), wake: OnceLock::new() }
    }
}

impl<K: Keep> Drop for Running<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<K: Keep> Keepers<K> {
    /// From now on changed views wake passes.
    pub fn lead(&self, wake: mpsc::Sender<PlatformKey>) {
        let _ = self.wake.set(wake);
    }

    /// Ends all of them: this replica no longer leads.
    pub fn stop(&self) {
        self.running.lock().clear();
    }

    /// What the keeper of a store has seen last; None before its first look.
    pub fn view(&self, key: &StoreKey) -> Option<Arc<K::View>> {
        self.running
            .lock()
            .get(key)
            .and_then(|running| running.answer.lock().as_ref().map(|answer| Arc::clone(&answer.view)))
    }

    /// What the keeper of a store has seen last, and on which orders; None before its first look.
    pub fn answer(&self, key: &StoreKey) -> Option<(Arc<K::View>, K::Orders)> {
        let running = self.running.lock();
        let answer = running.get(key)?.answer.lock();
        answer.as_ref().map(|answer| (Arc::clone(&answer.view), answer.orders.clone()))
    }

    /// What the keeper of a store has seen last in figures; None before its first look.
    pub fn figures(&self, key: &StoreKey) -> Option<Arc<K::Figures>> {
        self.running.lock().get(key).and_then(|running| running.figures.lock().clone())
    }

    /// What `of` makes of each store that has been looked at: of its orders, and of what was seen last.
    pub fn each<T>(&self, of: impl Fn(&StoreKey, &K::Orders, &K::View, &K::Figures) -> T) -> Vec<T> {
        let one = |(key, keeper): (&StoreKey, &Running<K>)| {
            let figures = keeper.figures.lock().clone()?;
            let answer = keeper.answer.lock();
            let answer = answer.as_ref()?;
            Some(of(key, &answer.orders, &answer.view, &figures))
        };
        self.running.lock().iter().filter_map(one).collect()
    }

    /// Gives orders, and a keeper to a store that has none. Those of the platform that get no orders end. Returns the stores
    /// whose keeper has looked at the servers on these very orders.
    pub fn order(
        &self,
        ctx: &Context,
        platform: &PlatformKey,
        orders: Vec<(StoreKey, K::Orders)>,
    ) -> BTreeSet<StoreKey> {
        let mut running = self.running.lock();
        let kept: BTreeSet<&StoreKey> = orders.iter().map(|(key, _)| key).collect();
        running.retain(|key, _| key.platform != *platform || kept.contains(key));
        let mut answered = BTreeSet::new();
        for (key, orders) in orders {
            if let Some(keeper) = running.get(&key) {
                if keeper.answer.lock().as_ref().is_some_and(|answer| answer.orders == orders) {
                    answered.insert(key);
                }
                keeper.orders.send_if_modified(|before| {
                    let changed = *before != orders;
                    *before = orders;
                    changed
                });
                continue;
            }
            let (sender, receiver) = watch::channel(orders);
            let (answer, figures) = (Arc::default(), Arc::default());
            let wake = self.wake.get().cloned();
            let told = (Arc::clone(&answer), Arc::clone(&figures));
            let task = tokio::spawn(keep::<K>(ctx.clone(), key.clone(), receiver, told, wake));
            running.insert(key, Running { orders: sender, answer, figures, task: task.abort_handle() });
        }
        answered
    }

    /// Ends the keepers of a platform that is gone.
    pub fn remove(&self, platform: &PlatformKey) {
        self.running.lock().retain(|key, _| key.platform != *platform);
    }
}

async fn keep<K: Keep>(
    ctx: Context,
    key: StoreKey,
    mut orders: watch::Receiver<K::Orders>,
    (answer, figures): (Shared<Answer<K>>, Shared<Arc<K::Figures>>),
    wake: Option<mpsc::Sender<PlatformKey>>,
) {
    let mut memory = K::Memory::default();
    loop {
        let now = orders.borrow_and_update().clone();
        let before = answer.lock().as_ref().map(|answer| Arc::clone(&answer.view));
        let began = Instant::now();
        let round = AssertUnwindSafe(K::round(&ctx, &key, &now, before.as_deref(), &mut memory)).catch_unwind();
        let ended = tokio::time::timeout(ROUND, round).await;
        ctx.metrics.round(K::TIER, began.elapsed());
        let next = match ended {
            Ok(Ok(round)) => {
                *figures.lock() = Some(Arc::new(round.figures));
                let told = answer.lock().as_ref().is_some_and(|last| *last.view == round.view && last.orders == now);
                if !told {
                    *answer.lock() = Some(Answer { view: Arc::new(round.view), orders: now });
                    if let Some(wake) = &wake {
                        // The receiver is gone only when the process ends.
                        let _ = wake.send(key.platform.clone()).await;
                    }
                }
                round.next
            }
            Ok(Err(_)) => {
                ctx.metrics.round_failed(K::TIER, RoundFailure::Panic);
                tracing::error!(store = %key, "a defect: a round of the keeper panicked");
                AFTER_FAILURE
            }
            Err(_) => {
                ctx.metrics.round_failed(K::TIER, RoundFailure::Deadline);
                tracing::warn!(store = %key, limit = ?ROUND, "a round of the keeper took too long");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            changed = orders.changed() => if changed.is_err() { return },
        }
    }
}
