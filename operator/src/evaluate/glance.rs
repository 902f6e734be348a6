//! Between two ticks: whether demand has risen so far that waiting for the next one would be felt.

use super::{
    Deps,
    app::AppEntry,
    group::{BEGUN, Group},
    plan::{Part, Role},
};
use crate::{
    naming::AppKey,
    prometheus::{
        SourceKey,
        batch::{self, Ask, Reply},
        query::Begun,
    },
};
use decide::{Pause, Time};
use futures::StreamExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Most apps at a time of which pods that have just begun are asked for out of turn: each takes a query of its own (P).
const MOST_MOVING: usize = 20;

impl Group {
    /// The apps whose demand now asks for more pods than their floor, and some of those whose demand has moved to pods that
    /// have just begun. Only default queries are asked here: many apps share one, and what an expression of the user's own
    /// costs is not known.
    pub(super) async fn glance(&self, deps: &Deps) -> BTreeSet<AppKey> {
        let (Some(api), Some(key)) = (&self.api, &self.key) else { return BTreeSet::new() };
        let (entries, asks): (Vec<_>, Vec<_>) = self
            .members()
            .into_iter()
            .filter(|entry| entry.may_rise(deps))
            .filter_map(|entry| entry.demand(key).map(|ask| (entry, ask)))
            .unzip();
        if entries.is_empty() {
            return BTreeSet::new();
        }
        let now = deps.now();
        let begun = deps.cluster.begun(now.minus(BEGUN));
        let mut running = self.send(api, batch::batches(&asks, batch::MOST), now);
        let moving = entries.iter().filter(|entry| entry.has_begun(&begun, now)).take(MOST_MOVING);
        let mut rising: BTreeSet<AppKey> = moving.map(|entry| entry.key.clone()).collect();
        while let Some((batch, answer)) = running.next().await {
            deps.metrics.query(answer.is_ok());
            let replies = batch.replies(answer);
            let risen = replies.iter().filter(|(ask, reply)| entries[*ask].rises(reply, deps));
            rising.extend(risen.map(|(ask, _)| entries[*ask].key.clone()));
        }
        rising
    }
}

impl AppEntry {
    /// Whether pods of it have begun so lately that their counters may have no rate yet.
    fn has_begun(&self, begun: &BTreeMap<AppKey, Vec<Begun>>, now: Time) -> bool {
        let Some(pods) = begun.get(&self.key) else { return false };
        self.plan.sources.iter().any(|source| !source.young(pods, now).is_empty())
    }

    fn may_rise(&self, deps: &Deps) -> bool {
        let floor = self.floor(deps);
        let paused = matches!(self.policy.pause, Pause::ScaleOut | Pause::All);
        !self.blocked && !paused && floor.is_some_and(|floor| floor < self.policy.max_replicas)
    }

    /// The floor of the last decision.
    fn floor(&self, deps: &Deps) -> Option<u32> {
        deps.scaling.get(&self.key).map(|view| view.live.floor)
    }

    /// The question for its first demand, if that is asked of this server together with others'.
    fn demand(&self, key: &Arc<SourceKey>) -> Option<Ask> {
        let source = self.plan.sources.iter().find(|source| source.role == Role::Demand(0))?;
        let (_, ask) = source.always.iter().find(|(part, _)| *part == Part::Short)?;
        (source.server.as_ref().ok() == Some(key) && matches!(ask, Ask::Workload(..))).then(|| ask.clone())
    }

    /// Whether the demand asks for more pods than the floor. The same demand does so once: what it does not raise in one
    /// tick, it will not in the next.
    fn rises(&self, reply: &Reply, deps: &Deps) -> bool {
        let (Ok(vector), Some(demand), Some(floor)) = (reply, self.policy.demand.first(), self.floor(deps)) else {
            return false;
        };
        let [one] = vector.series.as_slice() else { return false };
        let carried = demand.per_pod * f64::from(demand.utilization_percent) / 100.0 * f64::from(floor);
        let mut glanced = self.memory.glanced.lock();
        let news = *glanced != Some(one.value);
        *glanced = Some(one.value);
        news && one.value > carried
    }
}
