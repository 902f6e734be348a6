//! The keeper of a cache in the cluster.

pub use super::cache_size::{Rates, Scaling, Size};
use super::{
    Keep, Round, StoreKey,
    beside::Moving,
    cache_size::{self, Servers},
    pods,
};
use crate::{context::Context, metrics::RoundFailure, tiers::store::StoreTier};
use decide::Time;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use valkey::{Answer, Decision, Edge, Gate, Seen, Sighting, Trust, Verdict, View, Wish};

/// How long a server may take for an answer (P).
const PATIENCE: Duration = Duration::from_secs(2);
/// How long slots move before the servers are looked at again (P).
const MOVE_BUDGET: Duration = Duration::from_secs(2);
/// Time between two looks at a cache that is as wished (P): a failover is seen within it.
const SETTLED: Duration = Duration::from_secs(2);
/// Time between two looks while something is under way (P).
const WORKING: Duration = Duration::from_millis(500);

/// Keeps caches.
pub struct CacheKeeper;

/// What a pass wants of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    /// Name of the item.
    pub item: String,
    /// Identity of the store: the label of its pods.
    pub id: String,
    /// What is wished.
    pub wish: Wish,
    /// The newest revision of each StatefulSet.
    pub revisions: BTreeMap<String, String>,
    /// Whether keys are evicted at the memory limit: then it is normal that it is reached.
    pub evicts: bool,
    /// How it is scaled; None where its size is fixed.
    pub scaling: Option<Scaling>,
    /// Whom to trust where the servers speak TLS.
    pub trust: Option<Trust>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

/// What a keeper tells passes of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheView {
    /// How it is.
    pub store: View,
    /// Slots of each shard.
    pub slots: BTreeMap<u32, u32>,
    /// Keys of all shards before the last move of slots, and after it.
    pub reshaping: Option<(u64, Option<u64>)>,
    /// Until when the first certificate to end is valid of those that servers show, in seconds since 1970.
    pub certificate_ends: Option<i64>,
    /// Another size that is wanted from now on.
    pub scaled: Option<Scaled>,
    /// Another size that would be right, and what it waits for: a sentence.
    pub waits: Option<String>,
}

/// A size that is wanted from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// Shards.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
    /// Since when.
    pub at: Time,
    /// Why: a sentence.
    pub why: String,
}

/// What a keeper has seen in figures.
#[derive(Clone, Debug)]
pub struct Figures {
    /// When it began to look.
    pub at: Time,
    /// Of each shard.
    pub shown: valkey::Figures,
    /// What the servers do.
    pub rates: Rates,
    /// A size that is on its way.
    pub moving: Option<Moving>,
}

impl Keep for CacheKeeper {
    const TIER: StoreTier = StoreTier::Cache;

    type Orders = Orders;
    type View = CacheView;
    type Figures = Figures;
    type Memory = cache_size::Memory;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders,
        before: Option<&CacheView>,
        memory: &mut cache_size::Memory,
    ) -> Round<CacheView, Figures> {
        let found = pods::of(ctx, key, &orders.id, &orders.revisions);
        let listed: Vec<valkey::Pod> = found.iter().map(pod).collect();
        let edge = Edge::new(orders.wish.passwords.clone(), PATIENCE).trusting(orders.trust.clone());
        let at = Time::from(jiff::Timestamp::now());
        let mut seen = Seen { sightings: edge.observe(&listed).await, failures: Vec::new() };
        let mut decision = valkey::decide(&orders.wish, &seen);
        if orders.acts && !decision.acts.is_empty() {
            seen.failures = edge.carry_out(&decision.acts, &seen, MOVE_BUDGET).await;
            for failure in &seen.failures {
                ctx.metrics.round_failed(StoreTier::Cache, RoundFailure::Act);
                tracing::info!(store = %key, act = %failure.act, error = %failure.error, "an act at the servers failed");
            }
            // What failed is told of, with the sightings it failed on.
            if !seen.failures.is_empty() {
                decision.view = valkey::decide(&orders.wish, &seen).view;
            }
        }
        if orders.acts
            && let Some(name) = &decision.restart
            && let Some(found) = found.iter().find(|found| found.name == *name)
        {
            tracing::info!(store = %key, pod = %name, "restarting a pod of an older template");
            if let Err(error) = pods::restart(ctx, &found.pod).await {
                tracing::warn!(store = %key, pod = %name, %error, "a pod cannot be restarted");
            }
        }
        let next = if decision.view.verdict == Verdict::Ready { SETTLED } else { WORKING };
        let rates = memory.rates(at, &cache_size::workers(&seen.sightings));
        let wanted = Size::from(&orders.wish);
        let servers = Servers::of(&decision.view, &decision.figures, &wanted);
        let scaling = orders.scaling.as_ref().filter(|_| orders.acts);
        let (scaled, waits) = scaling.map_or((None, None), |scaling| {
            let input = cache_size::input(ctx, scaling, at, &wanted, (&servers, rates));
            memory.decide(&ctx.settings.tunables, scaling, &input)
        });
        let moving = scaling.and_then(|it| cache_size::moving(it, &wanted, &servers, scaled.as_ref()));
        let figures = Figures { at, shown: decision.figures.clone(), rates, moving };
        let view = CacheView { scaled, waits, ..view(decision, &seen.sightings, before) };
        Round { view, figures, next }
    }
}

fn pod(found: &pods::StorePod) -> valkey::Pod {
    valkey::Pod {
        name: found.name.clone(),
        shard: found.shard,
        ordinal: found.ordinal,
        address: found.address.map(|ip| SocketAddr::new(ip, crate::tiers::cache::PORT)),
        ready: found.ready,
        outdated: found.outdated,
        terminating: found.terminating,
        gone: found.never_started,
        gate: found.refused.as_deref().and_then(Gate::parse),
    }
}

/// What passes are told, with the keys before and after slots moved. While they move, keys are counted on both sides.
fn view(decision: Decision, sightings: &[Sighting], before: Option<&CacheView>) -> CacheView {
    let keys = decision.figures.keys();
    let moving = matches!(decision.view.verdict, Verdict::Moving { .. });
    let reshaping = match before.and_then(|before| before.reshaping) {
        None | Some((_, Some(_))) if moving => Some((keys, None)),
        Some((counted, None)) if decision.view.verdict == Verdict::Ready => Some((counted, Some(keys))),
        other => other,
    };
    let slots = decision.figures.shards.iter().map(|(shard, figures)| (*shard, figures.slots)).collect();
    let ends = sightings.iter().filter_map(|sighting| match &sighting.answer {
        Answer::Node(node) => node.certificate_ends,
        _ => None,
    });
    CacheView { store: decision.view, slots, reshaping, certificate_ends: ends.min(), scaled: None, waits: None }
}
