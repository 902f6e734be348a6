//! One look for many platforms. A list shows all distributions of an account with their versions, so that a distribution is read
//! again, and its tags are, when the list shows another version than before.

use super::{Source, Summary};
use aws::{
    Call as _, Error, TAGS, Tags, acm,
    cloudfront::{Call, CloudFront, Companion, Distribution, Listed},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};
use tokio::sync::Mutex;

/// How old a look may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of the list of distributions; and of those of policies, access controls and functions for who has changed something lately.
    /// It is less than the time for which the plan takes what is missing for created a moment ago, so that two looks with that
    /// time between them are two.
    pub listed: SignedDuration,
    /// Of the lists of policies, access controls and functions for who has not.
    pub companions: SignedDuration,
    /// Of a distribution and its tags, as long as the list shows the version that was read.
    pub known: SignedDuration,
    /// Of a certificate that is issued, or may not be asked for.
    pub certificates: SignedDuration,
    /// Of one that is waited for: a multiple of `listed`, so that who looks often sees it soon.
    pub unissued: SignedDuration,
}

impl Default for Windows {
    /// At rest 200 distributions with seven policies and the like each, looked at every 450 seconds, cost about 4 requests a
    /// platform and hour: 2 pages each 25 seconds and about 20 each 10 minutes among all, and for each distribution
    /// 2 requests an hour and one each three hours for its certificate. Should the list not tell versions, each look reads its distribution, and they cost below 12.
    fn default() -> Self {
        Self {
            listed: SignedDuration::from_secs(25),
            companions: SignedDuration::from_mins(10),
            known: SignedDuration::from_hours(1),
            certificates: SignedDuration::from_hours(3),
            unissued: SignedDuration::from_mins(5),
        }
    }
}

/// How long somebody's last change is a matter of lately: reads show it late, and others follow from it.
const LATELY: SignedDuration = SignedDuration::from_mins(5);
/// The code of our own for what was changed since it was looked at, as AWS has it: nothing was sent.
const STALE: &str = "PreconditionFailed";
/// The `Status` of a distribution that is everywhere.
const DEPLOYED: &str = "Deployed";

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

type Last<T> = Mutex<Option<Look<Vec<T>>>>;
/// Tags by id, with the summary that they belong to.
type Kept = BTreeMap<String, Look<(Summary, Tags)>>;

/// CloudFront of one account, with the last looks. Each platform's distribution has a [`Seat`] at it.
pub struct Shared<S> {
    source: S,
    windows: Windows,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Calls that changed something, or may have.
    ended: AtomicU64,
    /// The last of them for each distribution.
    changed: parking_lot::Mutex<BTreeMap<String, u64>>,
    // Each lock is held while it is looked, so that those who come meanwhile take what that look sees.
    summaries: Last<Summary>,
    companions: Last<Companion>,
    tags: Mutex<Kept>,
    read: parking_lot::Mutex<BTreeMap<String, Look<Distribution>>>,
    certificates: parking_lot::Mutex<BTreeMap<String, (Timestamp, acm::Answer)>>,
}

impl<S: Source> Shared<S> {
    /// Shares this one, by this clock.
    pub fn new(source: S, windows: Windows, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            source,
            windows,
            now: Box::new(now),
            ended: AtomicU64::new(0),
            changed: parking_lot::Mutex::default(),
            summaries: Mutex::default(),
            companions: Mutex::default(),
            tags: Mutex::default(),
            read: parking_lot::Mutex::default(),
            certificates: parking_lot::Mutex::default(),
        })
    }

    /// A seat for one distribution. What was changed before it was taken is seen from it.
    pub fn seat(self: &Arc<Self>) -> Seat<S> {
        let wrote = parking_lot::Mutex::new((self.ended.load(SeqCst), (self.now)()));
        Seat { shared: self.clone(), wrote }
    }

    /// The last call that was about this distribution.
    fn changed(&self, id: &str) -> u64 {
        self.changed.lock().get(id).copied().unwrap_or_default()
    }

    /// The tags of one that is listed. None where it is gone meanwhile.
    async fn tags(&self, kept: &mut Kept, one: &Summary) -> Result<Option<Tags>, Error> {
        let (now, after) = ((self.now)(), self.ended.load(SeqCst));
        if let Some(look) = kept.get(&one.id) {
            let (summary, tags) = &look.seen;
            // Reads may show late what it was made with.
            let is_whole = one.status == DEPLOYED || TAGS.iter().all(|key| tags.contains_key(*key));
            let window = if is_whole { self.windows.known } else { self.windows.listed };
            if summary == one && look.is_fresh(window, self.changed(&one.id), now) {
                return Ok(Some(tags.clone()));
            }
        }
        let tags = self.source.tags(&one.arn).await?;
        match &tags {
            Some(tags) => {
                kept.insert(one.id.clone(), Look { at: now, after, seen: (one.clone(), tags.clone()) });
            }
            None => drop(kept.remove(&one.id)),
        }
        Ok(tags)
    }

    /// What is known of distributions that are not listed any more is not kept.
    fn forget(&self, listed: &BTreeSet<&str>, tags: &mut Kept) {
        tags.retain(|id, _| listed.contains(id.as_str()));
        self.read.lock().retain(|id, _| listed.contains(id.as_str()));
        self.changed.lock().retain(|id, _| listed.contains(id.as_str()));
    }
}

/// What one distribution is looked at and changed through. It sees all that was changed through it; what others change it sees
/// within the windows.
pub struct Seat<S> {
    shared: Arc<Shared<S>>,
    /// The number of the last call through it, and when it ended.
    wrote: parking_lot::Mutex<(u64, Timestamp)>,
}

/// Notes the end of a call also where nobody waits for it any more.
struct Ended<'a, S> {
    seat: &'a Seat<S>,
    call: &'a Call,
}

impl<S> Drop for Ended<'_, S> {
    fn drop(&mut self) {
        let shared = &self.seat.shared;
        let number = shared.ended.fetch_add(1, SeqCst) + 1;
        *self.seat.wrote.lock() = (number, (shared.now)());
        if let Some(id) = about(self.call) {
            shared.changed.lock().insert(id.to_owned(), number);
        }
    }
}

/// The distribution that a call is about.
fn about(call: &Call) -> Option<&str> {
    match call {
        Call::Update { id, .. } | Call::Delete { id, .. } | Call::Tag { id, .. } | Call::Invalidate { id, .. } => {
            Some(id)
        }
        _ => None,
    }
}

impl<S: Source> Seat<S> {
    /// Whose a distribution is has to be known by a new look before it is changed. Its version is told to AWS, and its tags have
    /// none.
    async fn whose(&self, call: &Call) -> Result<(), Error> {
        let shared = &*self.shared;
        let Some(id) = about(call) else { return Ok(()) };
        let mut kept = shared.tags.lock().await;
        let (now, after) = ((shared.now)(), shared.ended.load(SeqCst));
        let is_old = |look: &&Look<(Summary, Tags)>| !look.is_fresh(shared.windows.listed, shared.changed(id), now);
        let Some((summary, before)) = kept.get(id).filter(is_old).map(|look| look.seen.clone()) else { return Ok(()) };
        let tags = shared.source.tags(&summary.arn).await?;
        let is_same = tags.as_ref() == Some(&before);
        match tags {
            Some(tags) => drop(kept.insert(id.to_owned(), Look { at: now, after, seen: (summary, tags) })),
            None => drop(kept.remove(id)),
        }
        let stale = || Error {
            operation: call.operation(),
            code: Some(STALE.to_owned()),
            status: None,
            message: format!("the tags of {id} were changed since they were looked at: nothing was sent"),
        };
        is_same.then_some(()).ok_or_else(stale)
    }

    /// The last look where it is fresh, else a new one.
    async fn listed<T: Clone>(
        &self,
        last: &Last<T>,
        window: SignedDuration,
        look: impl Future<Output = Result<Vec<T>, Error>>,
    ) -> Result<Vec<T>, Error> {
        let mut last = last.lock().await;
        let now = (self.shared.now)();
        let (wrote, _) = *self.wrote.lock();
        if let Some(last) = last.as_ref()
            && last.is_fresh(window, wrote, now)
        {
            return Ok(last.seen.clone());
        }
        let after = self.shared.ended.load(SeqCst);
        let seen = look.await?;
        *last = Some(Look { at: now, after, seen: seen.clone() });
        Ok(seen)
    }
}

impl<S: Source> CloudFront for Seat<S> {
    async fn distributions(&self) -> Result<Vec<Listed>, Error> {
        let shared = &*self.shared;
        let window = shared.windows.listed;
        let summaries = self.listed(&shared.summaries, window, shared.source.summaries()).await?;
        let mut kept = shared.tags.lock().await;
        let mut all = Vec::new();
        // One after the other: where one fails, the next look goes on from there.
        for one in &summaries {
            let tags = shared.tags(&mut kept, one).await?;
            all.extend(tags.map(|tags| Listed { id: one.id.clone(), tags }));
        }
        shared.forget(&summaries.iter().map(|one| one.id.as_str()).collect(), &mut kept);
        Ok(all)
    }

    async fn distribution(&self, id: &str) -> Result<Option<Distribution>, Error> {
        let shared = &*self.shared;
        let (now, after) = ((shared.now)(), shared.ended.load(SeqCst));
        let listed = shared.summaries.lock().await;
        let summary = listed.as_ref().and_then(|look| look.seen.iter().find(|one| one.id == id)).cloned();
        drop(listed);
        if let (Some(summary), Some(look)) = (summary, shared.read.lock().get(id))
            && summary.etag.as_ref() == Some(&look.seen.etag)
            && summary.status == look.seen.status
            && look.is_fresh(shared.windows.known, shared.changed(id), now)
        {
            return Ok(Some(look.seen.clone()));
        }
        let seen = shared.source.distribution(id).await?;
        if let Some(seen) = &seen {
            shared.read.lock().insert(id.to_owned(), Look { at: now, after, seen: seen.clone() });
        }
        Ok(seen)
    }

    async fn companions(&self) -> Result<Vec<Companion>, Error> {
        let shared = &*self.shared;
        let (_, at) = *self.wrote.lock();
        let lately = (shared.now)().duration_since(at) <= LATELY;
        let window = if lately { shared.windows.listed } else { shared.windows.companions };
        self.listed(&shared.companions, window, shared.source.companions()).await
    }

    async fn version(&self, companion: &Companion) -> Result<Option<String>, Error> {
        self.shared.source.version(companion).await
    }

    // Nobody waits for another's look: hardly ever do two distributions name the same certificate.
    async fn certificate(&self, arn: &str) -> acm::Answer {
        let (shared, now) = (&*self.shared, (self.shared.now)());
        let window = |answer: &acm::Answer| match acm::lasts(answer, now) {
            true => shared.windows.certificates,
            false => shared.windows.unissued,
        };
        let known = {
            let mut kept = shared.certificates.lock();
            // Those that nobody names any more are not kept.
            kept.retain(|_, (at, answer)| now.duration_since(*at) <= window(answer));
            kept.get(arn).map(|(_, answer)| answer.clone())
        };
        if let Some(known) = known {
            return known;
        }
        let answer = shared.source.certificate(arn).await;
        shared.certificates.lock().insert(arn.to_owned(), (now, answer.clone()));
        answer
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.whose(call).await?;
        let _ended = Ended { seat: self, call };
        self.shared.source.send(call).await
    }
}
