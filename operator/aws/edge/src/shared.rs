//! One look for many platforms. All DB instances of an account are in the same few pages, whoever asks, and most that ask
//! change nothing.

use aws::{
    Error,
    rds::{Call, Instance, ParameterGroup, Rds, Snapshot},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use tokio::sync::Mutex;

/// How old a look may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of what is listed for all: instances and snapshots. It is less than the time for which the plan takes what is missing
    /// for created a moment ago, so that two looks with that time between them are two.
    pub listed: SignedDuration,
    /// Of what is asked for by name, and changed by nobody but us, if all is well: parameter groups.
    pub named: SignedDuration,
}

impl Default for Windows {
    /// At rest 200 databases with two replicas each, looked at every 450 seconds, cost below 10 requests a platform and hour:
    /// 7 pages each 25 seconds among all, and 3 requests each hour for each group.
    fn default() -> Self {
        Self { listed: SignedDuration::from_secs(25), named: SignedDuration::from_hours(1) }
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

/// RDS of one account and region, with the last looks. Each platform's database has a [`Seat`] at it.
pub struct Shared<R> {
    rds: R,
    windows: Windows,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Calls that changed something, or may have.
    ended: AtomicU64,
    // Each lock is held while it is looked, so that those who come meanwhile take what that look sees.
    instances: Mutex<Option<Look<Vec<Instance>>>>,
    snapshots: Mutex<Option<Look<Vec<Snapshot>>>>,
    groups: Mutex<BTreeMap<String, Look<Option<ParameterGroup>>>>,
}

impl<R: Rds> Shared<R> {
    /// Shares this one, by this clock.
    pub fn new(rds: R, windows: Windows, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            rds,
            windows,
            now: Box::new(now),
            ended: AtomicU64::new(0),
            instances: Mutex::default(),
            snapshots: Mutex::default(),
            groups: Mutex::default(),
        })
    }

    /// A seat for one database. What was changed before it was taken is seen from it.
    pub fn seat(self: &Arc<Self>) -> Seat<R> {
        Seat { shared: self.clone(), wrote: AtomicU64::new(self.ended.load(SeqCst)) }
    }
}

/// What one database is looked at and changed through. It sees all that was changed through it; what others change it sees
/// within the window.
pub struct Seat<R> {
    shared: Arc<Shared<R>>,
    wrote: AtomicU64,
}

/// Notes the end of a call also where nobody waits for it any more.
struct Ended<'a, R>(&'a Seat<R>);

impl<R> Drop for Ended<'_, R> {
    fn drop(&mut self) {
        self.0.wrote.store(self.0.shared.ended.fetch_add(1, SeqCst) + 1, SeqCst);
    }
}

impl<R: Rds> Seat<R> {
    /// The last look where it is fresh, else a new one.
    async fn listed<T: Clone>(
        &self,
        last: &Mutex<Option<Look<Vec<T>>>>,
        look: impl Future<Output = Result<Vec<T>, Error>>,
    ) -> Result<Vec<T>, Error> {
        let mut last = last.lock().await;
        let now = (self.shared.now)();
        if let Some(last) = last.as_ref()
            && last.is_fresh(self.shared.windows.listed, self.wrote.load(SeqCst), now)
        {
            return Ok(last.seen.clone());
        }
        let after = self.shared.ended.load(SeqCst);
        let seen = look.await?;
        *last = Some(Look { at: now, after, seen: seen.clone() });
        Ok(seen)
    }
}

impl<R: Rds> Rds for Seat<R> {
    async fn instances(&self) -> Result<Vec<Instance>, Error> {
        self.listed(&self.shared.instances, self.shared.rds.instances()).await
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.listed(&self.shared.snapshots, self.shared.rds.snapshots()).await
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        let Shared { rds, windows, now, ended, groups, .. } = &*self.shared;
        // A group is one database's, so that nobody waits here for the same look.
        {
            let mut groups = groups.lock().await;
            groups.retain(|_, look| look.is_fresh(windows.named, 0, now()));
            if let Some(look) =
                groups.get(name).filter(|look| look.is_fresh(windows.named, self.wrote.load(SeqCst), now()))
            {
                return Ok(look.seen.clone());
            }
        }
        let (at, after) = (now(), ended.load(SeqCst));
        let seen = rds.parameter_group(name).await?;
        groups.lock().await.insert(name.to_owned(), Look { at, after, seen: seen.clone() });
        Ok(seen)
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        let _ended = Ended(self);
        self.shared.rds.send(call).await
    }
}
