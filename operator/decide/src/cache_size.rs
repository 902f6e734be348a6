//! How many shards and replicas a cache needs: shards by memory, replicas by load.
//!
//! One operation at a time, and the next only when every replica is linked again. A gate that has no trusted value is
//! closed: what it guards waits.

use serde::Serialize;

use crate::sample::Sample;
use crate::size::pods_for;
use crate::tier_size::{Asked, Cause, Gate, Low, Operation, Proposal, too_soon, turn};
use crate::tiers::{Figure, Symptom, TierKind};
use crate::time::Time;
use crate::tunables::Tunables;

/// What is asked for one cache. In mode `single` there is one shard, for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Fewest and most shards.
    pub shards: (u32, u32),
    /// Fewest and most replicas per shard.
    pub replicas: (u32, u32),
    /// What one node is planned to carry, in the unit of [`Input::load`]; none where load decides nothing.
    pub per_node: Option<f64>,
}

/// What the world shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The time of this evaluation.
    pub now: Time,
    /// Shards that are wanted now.
    pub shards: u32,
    /// Replicas per shard that are wanted now.
    pub replicas: u32,
    /// What all nodes carry together: operations per second, or cores used.
    pub load: Sample,
    /// Bytes that all primaries use together.
    pub used: Sample,
    /// `maxmemory` of one primary in bytes.
    pub max_memory: u64,
    /// Keys evicted per second by all primaries.
    pub evictions: Sample,
    /// Every replica is linked to its primary; none where that is not known.
    pub links_up: Option<bool>,
    /// What is done to the cache.
    pub under_way: Option<Operation>,
    /// When its size last changed.
    pub last_move: Option<Time>,
    /// An app that it makes slow, and that a greater cache may help: see [`Figure::eased_by`](crate::Figure::eased_by).
    pub asked: Option<Asked>,
    /// The primaries of the databases behind it: they get the load of what a smaller cache no longer holds.
    pub primaries: Vec<Symptom>,
    /// The apps that use it, and their databases, as far as they grow or shrink.
    pub beside: Vec<Proposal>,
}

/// What earlier evaluations left behind. Lost without harm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    shards: Low,
    replicas: Low,
    now: Option<Time>,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The move to make now.
    pub step: Option<Move>,
    /// A move that is called for, and what it waits for.
    pub waits: Option<(Move, Gate)>,
}

/// One shard more or less, or one replica of every shard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Move {
    /// What changes.
    pub what: What,
    /// How many are wanted now.
    pub from: u32,
    /// And afterwards.
    pub to: u32,
    /// Why.
    pub cause: Cause,
}

/// What of a cache changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum What {
    /// Its shards.
    Shards,
    /// The replicas of every shard.
    Replicas,
}

/// Decides one evaluation: pure, total, and the same for the same arguments.
pub fn decide(tunables: &Tunables, policy: &Policy, memory: &mut Memory, input: &Input) -> Decision {
    let figures = Figures::read(tunables, policy, input);
    if memory.now != Some(input.now) {
        memory.now = Some(input.now);
        let needs_no_more = asked(input).is_none();
        memory.shards.count(tunables, input.now, needs_no_more && figures.fewer_shards);
        memory.replicas.count(tunables, input.now, needs_no_more && figures.fewer_replicas.is_some());
    }
    let Some(step) = figures.cause(tunables, policy, input) else { return Decision { step: None, waits: None } };
    let by_spec = matches!(step.cause, Cause::Minimum(_) | Cause::Maximum(_));
    let shrinks = step.to < step.from;
    let low = if step.what == What::Shards { memory.shards } else { memory.replicas };
    let patience = || {
        let low = shrinks.then(|| low.until(tunables.tier_spacing, input.now)).flatten();
        too_soon(tunables, input.now, input.last_move)
            .or(low.map(|until| Gate::NotLowLongEnough { until }))
            .or_else(|| if shrinks { busy_primary(tunables, input) } else { None })
            .or_else(|| turn(tunables, input.now, TierKind::Cache, !shrinks, &input.beside))
    };
    let gate = gate(input)
        .or_else(|| if shrinks && step.what == What::Shards { figures.memory_gate(tunables) } else { None })
        .or_else(|| if by_spec { None } else { patience() });
    match gate {
        None => Decision { step: Some(step), waits: None },
        Some(gate) => Decision { step: None, waits: Some((step, gate)) },
    }
}

/// What the samples say.
struct Figures {
    /// The share of the memory that is used now, by a value that may be doubtful.
    used: Option<f64>,
    /// The share that one shard less would use, by a trusted value.
    after: Option<f64>,
    /// Evictions per second, where there are too many.
    evictions: Option<f64>,
    /// Nodes that the load needs.
    nodes: Option<(f64, u32)>,
    /// One shard less would do.
    fewer_shards: bool,
    /// One replica less per shard would do, with a margin, for this load.
    fewer_replicas: Option<f64>,
}

impl Figures {
    fn read(tunables: &Tunables, policy: &Policy, input: &Input) -> Self {
        let Input { now, shards, replicas, .. } = *input;
        let share = |used: f64, shards: u32| {
            let most = input.max_memory as f64 * f64::from(shards);
            (most > 0.0).then(|| used / most)
        };
        let nodes = |shards: u32, replicas: u32| u64::from(shards) * (u64::from(replicas) + 1);
        let (trusted, fresh) = (|sample| tunables.trusted(sample, now), |sample| tunables.fresh(sample, now));
        let margin = 1.0 + f64::from(tunables.dead_band_percent) / 100.0;
        let fits = |shards: u32, replicas: u32| match (policy.per_node, trusted(&input.load)) {
            (Some(per_node), Some(load)) => u64::from(pods_for(load * margin, per_node)) <= nodes(shards, replicas),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let after = trusted(&input.used).and_then(|used| share(used, shards.saturating_sub(1)));
        let quiet = trusted(&input.evictions).is_some_and(|evictions| evictions <= tunables.guard_evictions);
        Self {
            used: fresh(&input.used).and_then(|used| share(used, shards)),
            after,
            evictions: fresh(&input.evictions).filter(|evictions| *evictions > tunables.guard_evictions),
            nodes: policy.per_node.zip(fresh(&input.load)).map(|(per_node, load)| (load, pods_for(load, per_node))),
            fewer_shards: after.is_some_and(|after| after <= tunables.cache_full_after)
                && quiet
                && fits(shards.saturating_sub(1), replicas),
            fewer_replicas: trusted(&input.load)
                .filter(|_| policy.per_node.is_some() && fits(shards, replicas.saturating_sub(1))),
        }
    }

    /// What asks for another size, and the next one on the way to it.
    fn cause(&self, tunables: &Tunables, policy: &Policy, input: &Input) -> Option<Move> {
        let Input { shards, replicas, .. } = *input;
        let (min_shards, max_shards) = (policy.shards.0.max(1), policy.shards.1.max(policy.shards.0.max(1)));
        let (min_replicas, max_replicas) = (policy.replicas.0, policy.replicas.1.max(policy.replicas.0));
        let shard = |to, cause| Some(Move { what: What::Shards, from: shards, to, cause });
        let replica = |to, cause| Some(Move { what: What::Replicas, from: replicas, to, cause });
        let (more_shards, more_replicas) = (shards.saturating_add(1), replicas.saturating_add(1));

        if shards < min_shards {
            return shard(more_shards, Cause::Minimum(min_shards));
        }
        if replicas < min_replicas {
            return replica(more_replicas, Cause::Minimum(min_replicas));
        }
        if shards > max_shards {
            return shard(shards - 1, Cause::Maximum(max_shards));
        }
        if replicas > max_replicas {
            return replica(replicas - 1, Cause::Maximum(max_replicas));
        }
        if shards < max_shards {
            if let Some(used) = self.used.filter(|used| *used > tunables.cache_full) {
                return shard(more_shards, Cause::Memory { used });
            }
            if let Some(per_second) = self.evictions {
                return shard(more_shards, Cause::Evictions { per_second });
            }
        }
        let nodes = u64::from(shards) * (u64::from(replicas) + 1);
        if let (Some((load, needed)), Some(per_node)) = (self.nodes, policy.per_node)
            && u64::from(needed) > nodes
            && replicas < max_replicas
        {
            return replica(more_replicas, Cause::Load { load, per_node });
        }
        if let Some(asked) = asked(input) {
            let cause = Cause::Asked(asked.clone());
            return match asked.figure {
                Figure::Evictions if shards < max_shards => shard(more_shards, cause),
                Figure::CacheCpu if replicas < max_replicas => replica(more_replicas, cause),
                // Commands that write run on the primaries only.
                Figure::CacheCpu if shards < max_shards => shard(more_shards, cause),
                _ => None,
            };
        }
        if let (Some(load), Some(per_node)) = (self.fewer_replicas, policy.per_node)
            && replicas > min_replicas
        {
            return replica(replicas - 1, Cause::Load { load, per_node });
        }
        let used = self.used.filter(|_| self.fewer_shards && shards > min_shards)?;
        shard(shards - 1, Cause::Memory { used })
    }

    fn memory_gate(&self, tunables: &Tunables) -> Option<Gate> {
        let most = tunables.cache_full_after;
        match self.after {
            None => Some(Gate::Unknown("the memory used")),
            Some(after) if after <= most => None,
            Some(after) => Some(Gate::Memory { after, most }),
        }
    }
}

/// The app that it makes slow, and that a greater cache may help.
fn asked(input: &Input) -> Option<&Asked> {
    input.asked.as_ref().filter(|asked| asked.figure.eased_by() == Some(TierKind::Cache))
}

fn gate(input: &Input) -> Option<Gate> {
    match (input.under_way, input.links_up) {
        (Some(operation), _) => Some(Gate::UnderWay(operation)),
        (None, Some(true)) => None,
        (None, _) => Some(Gate::LinkDown),
    }
}

/// A database that is not known to be able to take more.
fn busy_primary(tunables: &Tunables, input: &Input) -> Option<Gate> {
    let can_take = |symptom: &&Symptom| {
        !tunables.trusted(&symptom.sample, input.now).is_some_and(|value| value <= symptom.threshold)
    };
    input.primaries.iter().find(can_take).map(|symptom| Gate::Primary { tier: symptom.tier.clone() })
}
