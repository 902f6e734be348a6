//! One task per server and credentials: it asks for all apps that read there, and decides on those whose demand is there.

use super::{Deps, app::AppEntry, plan::Part};
use crate::{
    naming::AppKey,
    prometheus::{
        PromApi, QueryError, SourceKey, Vector,
        batch::{self, Ask, Batch, Reply},
        query::Begun,
    },
};
use decide::{SourceError, SourceErrorKind, Time};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// Queries to one server at the same time (P).
const AT_ONCE: usize = 8;
/// How long a server may take to say when it started (P).
const START_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest time after which a counter of a pod has a rate: four scrapes of the seldomest interval. Each app's own range
/// is shorter.
pub(super) const BEGUN: decide::Duration = decide::Duration::from_mins(40);
/// How long changed apps are collected before they are evaluated out of turn (P).
const COLLECT: Duration = Duration::from_millis(50);

/// A server (none for apps that ask nobody) and the apps that read there.
pub(super) struct Group {
    pub(super) key: Option<Arc<SourceKey>>,
    pub(super) api: Option<Arc<dyn PromApi>>,
    members: Mutex<BTreeMap<AppKey, Arc<AppEntry>>>,
    urgent: Mutex<BTreeSet<AppKey>>,
    changed: Notify,
    queries: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

impl Group {
    pub(super) fn new(key: Option<Arc<SourceKey>>, api: Option<Arc<dyn PromApi>>, stop: CancellationToken) -> Self {
        Self {
            key,
            api,
            members: Mutex::default(),
            urgent: Mutex::default(),
            changed: Notify::new(),
            queries: Arc::new(Semaphore::new(AT_ONCE)),
            stop,
        }
    }

    /// Adds or replaces an app; it is evaluated at once.
    pub(super) fn insert(&self, entry: &Arc<AppEntry>) {
        self.members.lock().insert(entry.key.clone(), entry.clone());
        self.urgent.lock().insert(entry.key.clone());
        self.changed.notify_one();
    }

    /// Removes an app; whether none is left.
    pub(super) fn remove(&self, key: &AppKey) -> bool {
        let mut members = self.members.lock();
        members.remove(key);
        members.is_empty()
    }

    /// Ticks until stopped. Groups begin at different moments of the interval, so that servers and the operator do not
    /// see all of them at once.
    pub(super) async fn run(self: Arc<Self>, deps: Arc<Deps>) {
        let mut due = Instant::now() + self.phase(deps.interval);
        let glances = !deps.glance.is_zero() && deps.glance < deps.interval;
        let mut glance = Instant::now() + deps.glance;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep_until(glance), if glances && glance < due => {
                    // What is not answered when the next tick is due, that tick asks anyway.
                    let rising = tokio::time::timeout_at(due, self.glance(&deps)).await.unwrap_or_default();
                    if !rising.is_empty() {
                        drop(self.tick(&deps, self.some(rising)).await);
                    }
                    glance = Instant::now() + deps.glance;
                }
                () = sleep_until(due) => {
                    let began = Instant::now();
                    deps.metrics.late(began.saturating_duration_since(due));
                    // Decisions are carried out beside the next ticks: a slow API server delays only its own app.
                    drop(self.tick(&deps, self.members()).await);
                    deps.metrics.took(began.elapsed());
                    while due <= Instant::now() {
                        due += deps.interval;
                    }
                    glance = Instant::now() + deps.glance;
                }
                () = self.changed.notified() => {
                    tokio::time::sleep(COLLECT).await;
                    let urgent = std::mem::take(&mut *self.urgent.lock());
                    drop(self.tick(&deps, self.some(urgent)).await);
                }
            }
        }
    }

    pub(super) fn members(&self) -> Vec<Arc<AppEntry>> {
        self.members.lock().values().cloned().collect()
    }

    fn some(&self, keys: impl IntoIterator<Item = AppKey>) -> Vec<Arc<AppEntry>> {
        let members = self.members.lock();
        keys.into_iter().filter_map(|key| members.get(&key).cloned()).collect()
    }

    fn phase(&self, interval: Duration) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.key.hash(&mut hasher);
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(hasher.finish() % nanos)
    }

    /// Asks for `members` and decides on those that are this group's; the handles end when the decisions are carried out.
    pub(super) async fn tick(&self, deps: &Arc<Deps>, members: Vec<Arc<AppEntry>>) -> Vec<JoinHandle<()>> {
        let now = deps.now();
        let (Some(api), Some(_)) = (&self.api, &self.key) else {
            return members.iter().map(|entry| decide(deps, entry, now)).collect();
        };
        let mut round = Round::new(self.key.as_ref(), members, now, &deps.cluster.begun(now.minus(BEGUN)));
        let deadline = Instant::now() + deps.interval.mul_f64(0.9);
        let mut decisions = Vec::new();

        let started = async { timeout(START_TIMEOUT.min(deps.interval / 2), api.started()).await.ok().flatten() };
        let asks = std::mem::take(&mut round.asks);
        let mut running = self.send(api, batch::batches(&asks, batch::MOST), now);
        let mut waiting = Vec::new();
        let mut begun = None;
        tokio::pin!(started);
        while begun.is_none() || !running.is_empty() {
            tokio::select! {
                answer = &mut started, if begun.is_none() => {
                    begun = Some(answer);
                    round.started(answer);
                    decisions.extend(waiting.drain(..).map(|entry| decide(deps, &entry, now)));
                }
                Some((batch, answer)) = running.next() => {
                    deps.metrics.query(answer.is_ok());
                    match answer {
                        Err(error) if error.too_large && let Some(halves) = batch.clone().halves() => {
                            running.extend(self.send(api, halves, now));
                        }
                        answer => {
                            for entry in round.replies(batch.replies(answer)) {
                                if begun.is_some() { decisions.push(decide(deps, &entry, now)) } else { waiting.push(entry) }
                            }
                        }
                    }
                }
                () = sleep_until(deadline) => {
                    let late = SourceError::new(SourceErrorKind::Timeout, "no answer within the evaluation interval");
                    decisions.extend(round.give_up(&late).into_iter().chain(waiting.drain(..)).map(|entry| decide(deps, &entry, now)));
                    return decisions;
                }
            }
        }
        decisions.extend(self.second_round(deps, api, &mut round, deadline, now).await);
        decisions
    }

    /// Of apps without a value it is asked whether their series were ever seen; they are decided on after that.
    async fn second_round(
        &self,
        deps: &Arc<Deps>,
        api: &Arc<dyn PromApi>,
        round: &mut Round,
        deadline: Instant,
        now: Time,
    ) -> Vec<JoinHandle<()>> {
        let asks = round.ask_whether_seen();
        let mut running = self.send(api, batch::batches(&asks, batch::MOST), now);
        let ask_all = async {
            while let Some((batch, answer)) = running.next().await {
                deps.metrics.query(answer.is_ok());
                round.replies(batch.replies(answer));
            }
        };
        let _ = tokio::time::timeout_at(deadline, ask_all).await;
        std::mem::take(&mut round.unseen).into_iter().map(|entry| decide(deps, &round.members[entry], now)).collect()
    }

    pub(super) fn send(
        &self,
        api: &Arc<dyn PromApi>,
        batches: impl IntoIterator<Item = Batch>,
        now: Time,
    ) -> FuturesUnordered<BoxFuture<'static, (Batch, Result<Vector, QueryError>)>> {
        let one = |batch: Batch| -> BoxFuture<'static, _> {
            let (api, queries) = (api.clone(), self.queries.clone());
            Box::pin(async move {
                let _permit = queries.acquire_owned().await;
                let answer = api.query(&batch.expression(), now).await;
                (batch, answer)
            })
        };
        batches.into_iter().map(one).collect()
    }
}

fn decide(deps: &Arc<Deps>, entry: &Arc<AppEntry>, now: Time) -> JoinHandle<()> {
    let (entry, deps) = (entry.clone(), deps.clone());
    deps.tasks.clone().spawn(async move {
        let lost = deps.lost.clone();
        lost.run_until_cancelled(entry.step(deps, now)).await;
    })
}

/// Where the reply to an ask belongs.
#[derive(Clone, Copy)]
struct Origin {
    entry: usize,
    source: usize,
    part: Part,
}

/// One tick's asks and what is still open.
struct Round {
    key: Option<Arc<SourceKey>>,
    members: Vec<Arc<AppEntry>>,
    asks: Vec<Ask>,
    origins: Vec<Origin>,
    answered: Vec<bool>,
    /// Per member: asks without a reply.
    open: Vec<usize>,
    /// Members without a value, whose series may never have been seen.
    unseen: Vec<usize>,
    now: Time,
}

impl Round {
    fn new(
        key: Option<&Arc<SourceKey>>,
        members: Vec<Arc<AppEntry>>,
        now: Time,
        begun: &BTreeMap<AppKey, Vec<Begun>>,
    ) -> Self {
        let open = vec![0; members.len()];
        let mut round = Self {
            key: key.cloned(),
            members,
            asks: Vec::new(),
            origins: Vec::new(),
            answered: Vec::new(),
            open,
            unseen: Vec::new(),
            now,
        };
        for entry in 0..round.members.len() {
            let begun = begun.get(&round.members[entry].key).map_or(&[][..], Vec::as_slice);
            round.ask(entry, begun);
        }
        round
    }

    fn ask(&mut self, entry: usize, begun: &[Begun]) {
        let member = self.members[entry].clone();
        let mut readings = member.memory.readings.lock();
        readings.resize_with(member.plan.sources.len(), Default::default);
        for (source, plan) in member.plan.sources.iter().enumerate() {
            if plan.server.as_ref().ok() != self.key.as_ref() {
                continue;
            }
            let bounds =
                plan.bounds.iter().filter(|_| readings[source].wants_bounds(self.now)).map(|ask| (Part::Bounds, ask));
            let begun = plan.ask_begun(&member.key.namespace, begun, self.now).map(|ask| (Part::Begun, ask));
            let asks = plan.always.iter().map(|(part, ask)| (*part, ask)).chain(bounds);
            for (part, ask) in asks.map(|(part, ask)| (part, ask.clone())).chain(begun) {
                self.asks.push(ask);
                self.origins.push(Origin { entry, source, part });
                self.answered.push(false);
                self.open[entry] += 1;
            }
        }
    }

    /// Tells every reading of this server when it started.
    fn started(&self, started: Option<Time>) {
        for member in &self.members {
            let mut readings = member.memory.readings.lock();
            for (plan, readings) in member.plan.sources.iter().zip(readings.iter_mut()) {
                if plan.server.as_ref().ok() == self.key.as_ref() {
                    readings.started = started.or(readings.started);
                }
            }
        }
    }

    /// Files replies; returns the members of which all are in and that are this group's to decide on.
    fn replies(&mut self, replies: Vec<(usize, Reply)>) -> Vec<Arc<AppEntry>> {
        let mut complete = Vec::new();
        for (ask, reply) in replies {
            let Some(origin) = self.origins.get(ask).copied() else { continue };
            if std::mem::replace(&mut self.answered[ask], true) {
                continue;
            }
            self.file(origin, reply);
            self.open[origin.entry] -= 1;
            if self.open[origin.entry] == 0 {
                complete.push(origin.entry);
            }
        }
        complete.retain(|entry| self.is_ours(*entry));
        let (unseen, ready): (Vec<_>, Vec<_>) =
            complete.into_iter().partition(|entry| !self.wants_seen(*entry).is_empty());
        self.unseen.extend(unseen.into_iter().filter(|entry| !self.unseen.contains(entry)).collect::<Vec<_>>());
        ready.into_iter().map(|entry| self.members[entry].clone()).collect()
    }

    fn file(&self, origin: Origin, reply: Reply) {
        let mut readings = self.members[origin.entry].memory.readings.lock();
        let Some(readings) = readings.get_mut(origin.source) else { return };
        readings.learn(origin.part, &reply, self.now);
        match origin.part {
            Part::Seen | Part::Bounds => {}
            part => {
                if readings.at != Some(self.now) {
                    readings.at = Some(self.now);
                    readings.replies.clear();
                }
                readings.replies.insert(part, reply);
            }
        }
    }

    fn is_ours(&self, entry: usize) -> bool {
        self.members[entry].plan.owner() == self.key
    }

    /// Sources of a member of which it has to be asked whether their series were ever seen.
    fn wants_seen(&self, entry: usize) -> Vec<usize> {
        let member = &self.members[entry];
        let readings = member.memory.readings.lock();
        let sources = member.plan.sources.iter().enumerate().filter(|(source, plan)| {
            plan.seen.is_some()
                && !plan.absent_is_zero
                && plan.server.as_ref().ok() == self.key.as_ref()
                && readings.get(*source).is_some_and(|readings| readings.wants_seen(self.now))
        });
        sources.map(|(source, _)| source).collect()
    }

    fn ask_whether_seen(&mut self) -> Vec<Ask> {
        let (mut asks, mut origins) = (Vec::new(), Vec::new());
        for &entry in &self.unseen {
            for source in self.wants_seen(entry) {
                asks.extend(self.members[entry].plan.sources[source].seen.clone());
                origins.push(Origin { entry, source, part: Part::Seen });
                self.open[entry] += 1;
            }
        }
        self.answered = vec![false; origins.len()];
        self.origins = origins;
        asks
    }

    /// Counts everything open as unanswered; returns the members of this group that were waiting for it.
    fn give_up(&mut self, late: &SourceError) -> Vec<Arc<AppEntry>> {
        let open: Vec<usize> = (0..self.answered.len()).filter(|ask| !self.answered[*ask]).collect();
        let mut waiting = self.replies(open.into_iter().map(|ask| (ask, Err(late.clone()))).collect());
        waiting.extend(std::mem::take(&mut self.unseen).into_iter().map(|entry| self.members[entry].clone()));
        waiting
    }
}
