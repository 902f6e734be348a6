//! How many read replicas a database needs.
//!
//! One move at a time: a further replica, or one less. A gate that has no trusted value is closed: what it guards waits.

use serde::Serialize;

use crate::budget::Fit;
use crate::sample::Sample;
use crate::size::pods_for;
use crate::tier_size::{Asked, Cause, Gate, Low, Operation, Proposal, too_soon, turn};
use crate::tiers::TierKind;
use crate::time::Time;
use crate::tunables::Tunables;

/// What is asked for the replicas of one primary.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Fewest; a database that is made begins with these.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// What one is planned to carry, in the unit of [`Replica::load`]; none where load decides nothing.
    pub per_replica: Option<f64>,
    /// Replicas that commits wait for, at most; 0 where they wait for none.
    pub sync: u32,
}

/// What the world shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The time of this evaluation.
    pub now: Time,
    /// Replicas that are wanted now: what was decided last. Where there are more, the last one that went has not gone yet.
    pub wanted: u32,
    /// Those that are there.
    pub replicas: Vec<Replica>,
    /// What is done to the database.
    pub under_way: Option<Operation>,
    /// Whether a further replica would take the connections of the apps, as [`Account::fit`](crate::budget::Account::fit)
    /// says of it.
    pub connections: Fit,
    /// WAL senders and replication slots that the primary has left, the lesser of both.
    pub wal_senders: Sample,
    /// When a replica was last added or removed.
    pub last_move: Option<Time>,
    /// An app that the database makes slow, and that replicas may help: see [`Figure::eased_by`](crate::Figure::eased_by).
    pub asked: Option<Asked>,
    /// The apps that use the database, and their caches, as far as they grow or shrink.
    pub beside: Vec<Proposal>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Its ordinal in the StatefulSet.
    pub ordinal: u32,
    /// Reads are routed to it now.
    pub serving: bool,
    /// How far it is behind, in seconds; no data while it does not stream.
    pub lag: Sample,
    /// What it carries.
    pub load: Sample,
}

/// What earlier evaluations left behind. Lost without harm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    low: Low,
    now: Option<Time>,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The move to make now. One less is the highest ordinal: no reads are routed to it from then on; wait for its sessions to
    /// end, stop it, then drop its slot.
    pub step: Option<Move>,
    /// A move that is called for, and what it waits for.
    pub waits: Option<(Move, Gate)>,
}

/// One replica more or less.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Move {
    /// Replicas that are wanted now.
    pub from: u32,
    /// And afterwards.
    pub to: u32,
    /// Why.
    pub cause: Cause,
}

/// Decides one evaluation: pure, total, and the same for the same arguments.
pub fn decide(tunables: &Tunables, policy: &Policy, memory: &mut Memory, input: &Input) -> Decision {
    let fresh = memory.now != Some(input.now);
    memory.now = Some(input.now);
    let Some((cause, to)) = memory.cause(tunables, policy, input, fresh) else {
        return Decision { step: None, waits: None };
    };
    let by_spec = matches!(cause, Cause::Minimum(_) | Cause::Maximum(_));
    let gate = under_way(input).map(Gate::UnderWay).or_else(|| {
        let gate = if to > input.wanted { grow_gate } else { shrink_gate };
        gate(tunables, policy, input)
    });
    let patience = || {
        let low = (to < input.wanted).then(|| memory.low.until(tunables.tier_spacing, input.now)).flatten();
        too_soon(tunables, input.now, input.last_move)
            .or(low.map(|until| Gate::NotLowLongEnough { until }))
            .or_else(|| turn(tunables, input.now, TierKind::ReadReplicas, to > input.wanted, &input.beside))
    };
    let gate = gate.or_else(|| if by_spec { None } else { patience() });
    let step = Move { from: input.wanted, to, cause };
    match gate {
        None => Decision { step: Some(step), waits: None },
        Some(gate) => Decision { step: None, waits: Some((step, gate)) },
    }
}

impl Memory {
    /// What asks for another count, and the next count on the way to it.
    fn cause(&mut self, tunables: &Tunables, policy: &Policy, input: &Input, fresh: bool) -> Option<(Cause, u32)> {
        let (wanted, min, max) = (input.wanted, policy.min, policy.max.max(policy.min));
        let (more, less) = (wanted.saturating_add(1), wanted.saturating_sub(1));
        let serving = || input.replicas.iter().filter(|replica| replica.serving);
        // What is known already is a reason to grow; only what is known in full is one to shrink.
        let known: f64 = serving().filter_map(|replica| tunables.fresh(&replica.load, input.now)).sum();
        let loads: Option<Vec<f64>> = serving().map(|replica| tunables.trusted(&replica.load, input.now)).collect();
        let full: Option<f64> = loads.map(|loads| loads.iter().sum());
        let margin = 1.0 + f64::from(tunables.dead_band_percent) / 100.0;
        let low = policy.per_replica.zip(full).filter(|(per_node, load)| pods_for(load * margin, *per_node) < wanted);
        let asked = input.asked.as_ref().filter(|asked| asked.figure.eased_by() == Some(TierKind::ReadReplicas));
        if fresh {
            self.low.count(tunables, input.now, low.is_some() && asked.is_none());
        }
        if wanted < min {
            return Some((Cause::Minimum(min), more));
        }
        if wanted > max {
            return Some((Cause::Maximum(max), less));
        }
        if let Some(per_node) = policy.per_replica.filter(|per_node| pods_for(known, *per_node) > wanted) {
            return (wanted < max).then_some((Cause::Load { load: known, per_node }, more));
        }
        if let Some(asked) = asked {
            return (wanted < max).then(|| (Cause::Asked(asked.clone()), more));
        }
        let (per_node, load) = low?;
        (wanted > min).then_some((Cause::Load { load, per_node }, less))
    }
}

/// What is done to the database; a replica that goes is something.
fn under_way(input: &Input) -> Option<Operation> {
    let leaving = || input.replicas.iter().any(|replica| replica.ordinal >= input.wanted);
    input.under_way.or_else(|| leaving().then_some(Operation::Membership))
}

fn serving(input: &Input, below: u32) -> u32 {
    let serving = input.replicas.iter().filter(|replica| replica.serving && replica.ordinal < below);
    u32::try_from(serving.count()).unwrap_or(u32::MAX)
}

fn grow_gate(tunables: &Tunables, _: &Policy, input: &Input) -> Option<Gate> {
    let serving = serving(input, input.wanted);
    if serving < input.wanted {
        return Some(Gate::NotServing { serving, wanted: input.wanted });
    }
    if !matches!(input.connections, Fit::Fits | Fit::Shared) {
        return Some(Gate::Connections(input.connections));
    }
    let (free, needed) = (tunables.trusted(&input.wal_senders, input.now), tunables.replica_wal_senders);
    (!free.is_some_and(|free| free >= f64::from(needed))).then_some(Gate::WalSenders { free, needed })
}

fn shrink_gate(tunables: &Tunables, policy: &Policy, input: &Input) -> Option<Gate> {
    let left = input.wanted.saturating_sub(1);
    let least = if policy.sync == 0 { 0 } else { policy.sync.saturating_add(1) };
    if left < least {
        return Some(Gate::Sync { least });
    }
    // Those that stay must be there and near; the one that goes may be as lost as it likes.
    let serving = serving(input, left);
    if serving < left {
        return Some(Gate::NotServing { serving, wanted: left });
    }
    let unknown = |replica: &&Replica| replica.ordinal < left && tunables.trusted(&replica.lag, input.now).is_none();
    input.replicas.iter().find(unknown).map(|replica| Gate::LagUnknown { ordinal: replica.ordinal })
}
