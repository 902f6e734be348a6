//! CloudFront, with what is refused and how long it takes.

mod check;
mod companions;
mod distributions;
mod fill;

use crate::{Clock, Fault, Faults};
use aws::{
    Call as _, Error, Tags, acm,
    cloudfront::{Call, CloudFront, Companion, CompanionKind, Distribution, Element, Listed},
};
pub use fill::{fill, shuffle};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// Until a configuration is everywhere.
    pub deploying: Duration,
    /// Until an invalidation is done.
    pub invalidating: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        Self { deploying: Duration::from_secs(300), invalidating: Duration::from_secs(60) }
    }
}

/// A distribution.
#[derive(Clone, Debug)]
struct Kept {
    seen: Distribution,
    tags: Tags,
    /// When its configuration is everywhere.
    until: Option<Timestamp>,
    /// How many more reads do not show it.
    hidden: u32,
}

/// A policy, an access control or a function.
#[derive(Clone, Debug)]
struct KeptCompanion {
    seen: Companion,
    config: Element,
    etag: String,
    hidden: u32,
}

/// An invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Id of the distribution.
    pub distribution: String,
    /// `CallerReference`.
    pub reference: String,
    /// What is forgotten.
    pub paths: BTreeSet<String>,
    until: Timestamp,
}

/// A call that was carried out, or refused.
#[derive(Clone, Debug)]
pub struct Logged {
    /// When.
    pub at: Timestamp,
    /// The call.
    pub call: Call,
    /// The code of the refusal.
    pub refused: Option<String>,
}

type Edit = Box<dyn FnOnce(&mut Element) + Send>;
type Companions = BTreeMap<(CompanionKind, String), KeptCompanion>;

#[derive(Default)]
pub(crate) struct World {
    distributions: BTreeMap<String, Kept>,
    /// Every `CallerReference` that cannot be used.
    references: BTreeSet<String>,
    /// Those of deleted distributions stay blocked.
    blocks: bool,
    companions: Companions,
    invalidations: Vec<Invalidation>,
    /// What ACM answers, by ARN; where nothing is said, that it may not be asked.
    certificates: BTreeMap<String, acm::Answer>,
    durations: Durations,
    hide: u32,
    next: u64,
    log: Vec<Logged>,
    faults: Faults,
    writes: u64,
    crash_after: Option<u64>,
    crashed: bool,
    stale: (BTreeMap<String, Kept>, Companions),
    reads: usize,
    /// Lists keep their order within a configuration.
    keeps_order: bool,
    /// Somebody else's edit just before our next call that changes something.
    edit: Option<(String, Edit)>,
}

/// CloudFront of one account.
pub struct FakeCloudFront {
    clock: Clock,
    world: Mutex<World>,
}

type Answer<T> = Result<T, (String, u16, String)>;

/// A refusal.
fn refuse<T>(code: impl Into<String>, message: impl Into<String>) -> Answer<T> {
    let code = code.into();
    let status = match &*code {
        _ if code.starts_with("NoSuch") => 404,
        "PreconditionFailed" => 412,
        _ if code.ends_with("InUse") || code.ends_with("AlreadyExists") || code == "DistributionNotDisabled" => 409,
        _ => 400,
    };
    Err((code, status, message.into()))
}

/// `If-Match`.
fn matches(given: &str, have: &str) -> Answer<()> {
    match given {
        "" => refuse("InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource."),
        given if given != have => {
            refuse("PreconditionFailed", "The request failed because it didn't meet the preconditions")
        }
        _ => Ok(()),
    }
}

impl FakeCloudFront {
    /// An empty account.
    pub fn new(clock: Clock) -> Self {
        Self { clock, world: Mutex::new(World::default()) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock();
        world.settle(self.clock.now());
        world
    }

    /// Sets how long things take.
    pub fn set_durations(&self, durations: Durations) {
        self.world().durations = durations;
    }

    /// What ACM answers about a certificate. Of others it says that it may not be asked.
    pub fn set_certificate(&self, arn: &str, answer: acm::Answer) {
        self.world().certificates.insert(arn.to_owned(), answer);
    }

    /// What is created from now on is not shown for so many reads.
    pub fn hide_new(&self, reads: u32) {
        self.world().hide = reads;
    }

    /// Whether the `CallerReference` of a deleted distribution stays blocked.
    pub fn block_references(&self, blocks: bool) {
        self.world().blocks = blocks;
    }

    /// Whether reads show the lists of a configuration in the order in which they were written; they do not by default.
    pub fn keep_order(&self, keeps: bool) {
        self.world().keeps_order = keeps;
    }

    /// Plans what goes wrong.
    pub fn faults(&self, plan: impl FnOnce(&mut Faults)) {
        plan(&mut self.world().faults);
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.world().faults.requests()
    }

    /// After so many calls that changed something, from 1, the caller is killed: see [`Self::take_crash`].
    pub fn crash_after(&self, writes: u64) {
        self.world().crash_after = Some(writes);
    }

    /// Whether the caller was killed, since it was last asked.
    pub fn take_crash(&self) -> bool {
        std::mem::take(&mut self.world().crashed)
    }

    /// How many calls changed something.
    pub fn writes(&self) -> u64 {
        self.world().writes
    }

    /// The calls that were meant to change something.
    pub fn log(&self) -> Vec<Logged> {
        self.world().log.clone()
    }

    /// Those of this operation that were carried out.
    pub fn done(&self, operation: &str) -> Vec<Call> {
        let world = self.world();
        let done = world.log.iter().filter(|logged| logged.refused.is_none() && logged.call.operation() == operation);
        done.map(|logged| logged.call.clone()).collect()
    }

    /// Ids of all distributions.
    pub fn ids(&self) -> Vec<String> {
        self.world().distributions.keys().cloned().collect()
    }

    /// A distribution, whether reads show it or not, in the order in which it was written.
    pub fn get(&self, id: &str) -> Option<Distribution> {
        self.world().distributions.get(id).map(|kept| kept.seen.clone())
    }

    /// The tags of a distribution.
    pub fn tags(&self, id: &str) -> Tags {
        self.world().distributions.get(id).map(|kept| kept.tags.clone()).unwrap_or_default()
    }

    /// Policies, access controls and functions, with their configurations.
    pub fn kept_companions(&self) -> Vec<(Companion, Element)> {
        self.world().companions.values().map(|kept| (kept.seen.clone(), kept.config.clone())).collect()
    }

    /// All invalidations.
    pub fn invalidations(&self) -> Vec<Invalidation> {
        self.world().invalidations.clone()
    }

    /// Changes a configuration behind everybody's back, as somebody at the console does: it has another version then.
    pub fn meddle(&self, id: &str, change: impl FnOnce(&mut Element)) {
        self.world().edit(id, change);
    }

    /// The same, after our next look and before the call that follows from it.
    pub fn meddle_before_write(&self, id: &str, change: impl FnOnce(&mut Element) + Send + 'static) {
        self.world().edit = Some((id.to_owned(), Box::new(change)));
    }

    /// Changes the tags of a distribution behind everybody's back.
    pub fn tag(&self, id: &str, change: impl FnOnce(&mut Tags)) {
        if let Some(kept) = self.world().distributions.get_mut(id) {
            change(&mut kept.tags);
        }
    }

    /// A distribution of somebody else's. What it answers is its id.
    pub fn put(&self, config: Element, tags: Tags) -> String {
        let mut world = self.world();
        world.references.insert(config.value("CallerReference").unwrap_or_default().to_owned());
        world.keep(config, tags, None, 0)
    }

    /// A policy of somebody else's.
    pub fn put_companion(&self, kind: CompanionKind, name: &str, comment: &str) {
        self.world().keep_companion(kind, name, comment, Element::default(), 0);
    }

    /// A distribution goes behind everybody's back.
    pub fn vanish(&self, id: &str) {
        self.world().distributions.remove(id);
    }

    /// Counts the request; what is carried out is so even where the answer is an error.
    fn answer<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut World, Option<Fault>, Timestamp) -> Answer<T>,
    ) -> Result<T, Error> {
        let now = self.clock.now();
        let mut world = self.world();
        let fault = world.faults.next();
        let coded = |(code, status, message): (String, u16, String)| Error {
            operation,
            code: Some(code),
            status: Some(status),
            message,
        };
        // What is in conflict here is the version of a configuration.
        if fault == Some(Fault::Conflict) {
            return Err(coded(("PreconditionFailed".into(), 412, "the configuration was changed".into())));
        }
        let error = fault.and_then(|fault| fault.error(operation));
        if let Some(error) = error.clone().filter(|_| fault.is_some_and(|fault| !fault.is_done())) {
            return Err(error);
        }
        let answer = act(&mut world, fault, now).map_err(coded);
        error.map_or(answer, Err)
    }
}

impl CloudFront for FakeCloudFront {
    async fn distributions(&self) -> Result<Vec<Listed>, Error> {
        self.answer("ListDistributions", |world, fault, _| {
            let of = if fault == Some(Fault::Stale) { world.stale.0.clone() } else { world.shown() };
            let listed = of.into_iter().map(|(id, kept)| Listed { id, tags: kept.tags }).collect();
            Ok(world.shuffled(listed))
        })
    }

    async fn distribution(&self, id: &str) -> Result<Option<Distribution>, Error> {
        self.answer("GetDistribution", |world, fault, _| {
            let of = if fault == Some(Fault::Stale) { world.stale.0.get(id) } else { world.distributions.get(id) };
            let shown = of.filter(|kept| kept.hidden == 0).map(|kept| kept.seen.clone());
            world.reads += 1;
            let by = if world.keeps_order { 0 } else { world.reads };
            Ok(shown.map(|mut seen| {
                shuffle(&mut seen.config, by);
                seen
            }))
        })
    }

    async fn companions(&self) -> Result<Vec<Companion>, Error> {
        self.answer("ListCachePolicies", |world, fault, _| {
            let of = if fault == Some(Fault::Stale) { world.stale.1.clone() } else { world.shown_companions() };
            let listed = of.into_values().map(|kept| kept.seen).collect();
            Ok(world.shuffled(listed))
        })
    }

    async fn version(&self, companion: &Companion) -> Result<Option<String>, Error> {
        self.answer("GetCachePolicy", |world, fault, _| {
            let of = if fault == Some(Fault::Stale) { &world.stale.1 } else { &world.companions };
            Ok(of.get(&(companion.kind, companion.name.clone())).map(|kept| kept.etag.clone()))
        })
    }

    async fn certificate(&self, arn: &str) -> acm::Answer {
        let denied = || Error {
            operation: "DescribeCertificate",
            code: Some("AccessDeniedException".to_owned()),
            status: Some(400),
            message: "not authorized to perform acm:DescribeCertificate".to_owned(),
        };
        let known = self.answer("DescribeCertificate", |world, _, _| Ok(world.certificates.get(arn).cloned()))?;
        known.unwrap_or_else(|| Err(denied()))
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        let result = self.answer(call.operation(), |world, _, now| {
            if let Some((id, edit)) = world.edit.take() {
                world.edit(&id, edit);
            }
            let before = (world.distributions.clone(), world.companions.clone());
            let answer = world.carry_out(call, now);
            let refused = answer.as_ref().err().map(|(code, ..)| code.clone());
            if refused.is_none() {
                world.stale = before;
                world.writes += 1;
            }
            world.log.push(Logged { at: now, call: call.clone(), refused });
            answer
        });
        let mut world = self.world();
        if world.crash_after == Some(world.writes) {
            (world.crash_after, world.crashed) = (None, true);
        }
        result
    }
}

impl World {
    fn carry_out(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        match call {
            Call::Create { reference, config, tags } => self.create(reference, config, tags, now),
            Call::Update { id, etag, config, .. } => self.update(id, etag, config, now),
            Call::Delete { id, etag } => self.delete(id, etag),
            Call::Tag { id, arn, tags } => self.set_tags(id, arn, tags),
            Call::Invalidate { id, reference, paths } => self.invalidate(id, reference, paths, now),
            Call::CreateCompanion { kind, name, config, code } => {
                self.create_companion(*kind, name, config, code.as_deref())
            }
            Call::Publish { name, etag } => self.publish(name, etag),
            Call::DeleteCompanion { kind, name, id, etag } => self.delete_companion(*kind, name, id, etag),
        }
    }

    /// Lets come what has its time.
    fn settle(&mut self, now: Timestamp) {
        for kept in self.distributions.values_mut().filter(|kept| kept.until.is_some_and(|until| until <= now)) {
            kept.until = None;
            kept.seen.status = "Deployed".into();
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn shuffled<T>(&mut self, mut list: Vec<T>) -> Vec<T> {
        self.reads += 1;
        let by = self.reads % list.len().max(1);
        list.rotate_left(by);
        if self.reads.is_multiple_of(2) {
            list.reverse();
        }
        list
    }
}
