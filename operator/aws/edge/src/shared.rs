//! One look for many platforms. All resources of an account are in the same few pages, whoever asks, and most that ask change
//! nothing.

use aws::Error;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::sync::Mutex;

/// The code of our own for a change that was planned on an old look: nothing was sent. Its class is that of what has changed
/// since it was read.
const OLD_LOOK: &str = "PreconditionFailed";

/// How old a look may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of what is listed for all, as instances and snapshots, for a seat that is not at rest. It is less than the time for which
    /// the plan takes what is missing for created a moment ago, so that two looks with that time between them are two.
    pub listed: SignedDuration,
    /// Of the same, for a seat at rest. Nothing is changed by what such a look shows: see [`Seat`].
    pub rest: SignedDuration,
    /// How long after it was taken, and after the last change through it, a seat is at rest.
    pub calm: SignedDuration,
    /// Of what is asked for by name, and changed by nobody but us, if all is well: parameter groups.
    pub named: SignedDuration,
}

impl Windows {
    /// For those who look again after so long while something changes: what they see is not much older.
    pub fn looking_every(time: Duration) -> Self {
        let default = Self::default();
        let listed = SignedDuration::try_from(time.mul_f64(5.0 / 3.0)).unwrap_or(default.listed);
        Self { listed: listed.min(default.listed), ..default }
    }
}

impl Default for Windows {
    /// At rest 200 platforms are looked at every 450 seconds each. Of databases with two replicas there are 7 pages each 300
    /// seconds among all, and 3 requests each hour for each parameter group. Of caches with three shards, a replica of each and
    /// a week of snapshots there are 2 pages of groups, 12 of members and 28 of snapshots each 300 seconds among all, and tags
    /// have requests of their own: below 10 requests a platform and hour.
    fn default() -> Self {
        Self {
            listed: SignedDuration::from_secs(25),
            rest: SignedDuration::from_secs(300),
            calm: SignedDuration::from_mins(15),
            named: SignedDuration::from_hours(1),
        }
    }
}

/// A look, and how many calls that change something had ended when it began.
struct Look<T> {
    at: Timestamp,
    after: u64,
    seen: T,
}

impl<T> Look<T> {
    fn is_fresh(&self, window: SignedDuration, after: u64, now: Timestamp) -> bool {
        self.after >= after && now.duration_since(self.at) <= window
    }
}

/// The last look at a list. Its lock is held while it is looked, so that those who come meanwhile take what that look sees.
pub(crate) struct List<T>(Mutex<Option<Look<Arc<[T]>>>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The last looks at what is asked for by name.
pub(crate) struct Named<T>(Mutex<BTreeMap<String, Look<T>>>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A service of one account and region, with the last looks `L`. Each platform's database or cache has a [`Seat`] at it.
pub struct Shared<S, L> {
    pub(crate) service: S,
    pub(crate) looks: L,
    windows: Windows,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Calls that changed something, or may have.
    ended: AtomicU64,
}

impl<S, L: Default> Shared<S, L> {
    /// Shares this one, by this clock.
    pub fn new(service: S, windows: Windows, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { service, looks: L::default(), windows, now: Box::new(now), ended: AtomicU64::new(0) })
    }
}

impl<S, L> Shared<S, L> {
    /// A seat for one database or cache. What was changed before it was taken is seen from it.
    pub fn seat(self: &Arc<Self>) -> Seat<S, L> {
        let awake = parking_lot::Mutex::new((self.now)());
        let wrote = AtomicU64::new(self.ended.load(SeqCst));
        Seat { shared: self.clone(), wrote, awake, saw_old: AtomicBool::new(false) }
    }
}

/// What one database or cache is looked at and changed through. It sees all that was changed through it; what others change it
/// sees within the window. At rest its looks may be older: a change that follows from such a look is refused once, as stale, and
/// the looks after it are new.
pub struct Seat<S, L> {
    pub(crate) shared: Arc<Shared<S, L>>,
    wrote: AtomicU64,
    /// When it was last not at rest.
    awake: parking_lot::Mutex<Timestamp>,
    /// It was shown what only those at rest are.
    saw_old: AtomicBool,
}

/// Notes the end of a call also where nobody waits for it any more.
struct Ended<'a, S, L>(&'a Seat<S, L>);

impl<S, L> Drop for Ended<'_, S, L> {
    fn drop(&mut self) {
        self.0.wrote.store(self.0.shared.ended.fetch_add(1, SeqCst) + 1, SeqCst);
        self.0.wake();
    }
}

impl<S, L> Seat<S, L> {
    fn wake(&self) {
        *self.awake.lock() = (self.shared.now)();
    }

    /// The last look where it is fresh, else a new one.
    pub(crate) async fn listed<T>(
        &self,
        last: &List<T>,
        look: impl Future<Output = Result<Arc<[T]>, Error>>,
    ) -> Result<Arc<[T]>, Error> {
        let Shared { windows, now, ended, .. } = &*self.shared;
        let mut last = last.0.lock().await;
        let now = now();
        let rests = now.duration_since(*self.awake.lock()) > windows.calm;
        let wrote = self.wrote.load(SeqCst);
        if let Some(last) = last.as_ref()
            && last.is_fresh(if rests { windows.rest } else { windows.listed }, wrote, now)
        {
            if !last.is_fresh(windows.listed, wrote, now) {
                self.saw_old.store(true, SeqCst);
            }
            return Ok(last.seen.clone());
        }
        let after = ended.load(SeqCst);
        let seen = look.await?;
        *last = Some(Look { at: now, after, seen: seen.clone() });
        Ok(seen)
    }

    /// The last look at what has this name where it is fresh, else a new one. Each is one platform's, so that nobody waits
    /// here for the same look.
    pub(crate) async fn named<T: Clone>(
        &self,
        last: &Named<T>,
        name: &str,
        look: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Shared { windows, now, ended, .. } = &*self.shared;
        {
            let mut last = last.0.lock().await;
            last.retain(|_, look| look.is_fresh(windows.named, 0, now()));
            let is_fresh = |look: &&Look<T>| look.is_fresh(windows.named, self.wrote.load(SeqCst), now());
            if let Some(look) = last.get(name).filter(is_fresh) {
                return Ok(look.seen.clone());
            }
        }
        let (at, after) = (now(), ended.load(SeqCst));
        let seen = look.await?;
        last.0.lock().await.insert(name.to_owned(), Look { at, after, seen: seen.clone() });
        Ok(seen)
    }

    /// Carries out a call that changes something.
    pub(crate) async fn sent(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        if self.saw_old.swap(false, SeqCst) {
            self.wake();
            let message = "it follows from a look that is not new: it is looked again first".to_owned();
            return Err(Error { operation, code: Some(OLD_LOOK.to_owned()), status: None, message });
        }
        let _ended = Ended(self);
        call.await
    }
}
