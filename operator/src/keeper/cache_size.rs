//! How many shards and replicas a cache has by its memory and its load. Its servers say both: no Prometheus is asked.

use super::{StoreKey, cache::Scaled};
use crate::{context::Context, evaluate::tiers};
use decide::{
    Duration, Figure, Sample, Symptom, Time, Tunables,
    cache_size::{self, Input, Policy, What},
    tier_size::{Asked, Operation},
};
use std::collections::{BTreeMap, VecDeque};
use valkey::{Answer, Figures, Role, Sighting, Verdict, Work};

/// The time over which work is averaged (P).
const SPAN: Duration = Duration::from_secs(60);
/// The shortest time over which it is (P).
const LEAST: Duration = Duration::from_secs(10);

/// How a cache is scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Fewest and most, and what one server carries, in cores.
    pub policy: Policy,
    /// When its size was changed last.
    pub last_move: Option<Time>,
    /// An app that it makes slow.
    pub asked: Option<Asked>,
    /// The databases that get the load of what a smaller cache no longer holds, by their names.
    pub behind: Vec<(String, StoreKey)>,
}

/// What its servers do, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Cores that all servers use together.
    pub cores: Option<f64>,
    /// Cores that the busiest one uses; 1 is all that there is for commands.
    pub busiest: Option<f64>,
    /// Keys that all primaries remove to make room.
    pub evictions: Option<f64>,
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub struct Memory {
    decided: cache_size::Memory,
    work: BTreeMap<String, VecDeque<(Time, Work)>>,
}

impl Memory {
    /// What the servers do, as far as they have been watched for long enough.
    pub fn rates(&mut self, now: Time, sightings: &[Sighting]) -> Rates {
        self.work.retain(|pod, _| sightings.iter().any(|sighting| sighting.pod.name == *pod));
        let of = |sighting: &Sighting| {
            let Answer::Node(node) = &sighting.answer else { return None };
            let (cores, evictions) = rate(self.work.entry(sighting.pod.name.clone()).or_default(), now, node.work)?;
            // A replica removes what its primary tells it to.
            Some((cores, if node.role == Role::Primary { evictions } else { 0.0 }))
        };
        let rates: Vec<Option<(f64, f64)>> = sightings.iter().map(of).collect();
        let sum = |of: fn(&(f64, f64)) -> f64| {
            // One that does not answer may do much.
            let all: Option<Vec<f64>> = rates.iter().map(|rate| rate.as_ref().map(of)).collect();
            all.filter(|all| !all.is_empty()).map(|all| all.iter().sum())
        };
        Rates {
            cores: sum(|(cores, _)| *cores),
            busiest: rates.iter().flatten().map(|(cores, _)| *cores).max_by(f64::total_cmp),
            evictions: sum(|(_, evictions)| *evictions),
        }
    }

    /// Whether the cache should have another size than the wished one.
    pub fn decide(&mut self, tunables: &Tunables, scaling: &Scaling, input: &Input) -> Option<Scaled> {
        let step = cache_size::decide(tunables, &scaling.policy, &mut self.decided, input).step?;
        let (shards, replicas) = match step.what {
            What::Shards => (step.to, input.replicas),
            What::Replicas => (input.shards, step.to),
        };
        Some(Scaled { shards, replicas, at: input.now, why: step.cause.to_string() })
    }
}

/// Cores used and keys evicted per second, over the last span; None until there are two looks that are far enough apart.
fn rate(looks: &mut VecDeque<(Time, Work)>, now: Time, work: Work) -> Option<(f64, f64)> {
    // A server that has started anew counts from zero; a clock that was set back measures nothing.
    if looks.back().is_some_and(|(at, before)| before.cpu > work.cpu || before.evicted > work.evicted || *at >= now) {
        looks.clear();
    }
    looks.push_back((now, work));
    // The last one that is a whole span old is kept.
    while looks.get(1).is_some_and(|(at, _)| now.since(*at) >= SPAN) {
        looks.pop_front();
    }
    let (since, before) = looks.front()?;
    let span = now.since(*since);
    let seconds = span.as_secs_f64();
    let evicted = (work.evicted - before.evicted) as f64 / seconds;
    (span >= LEAST).then(|| ((work.cpu - before.cpu).as_secs_f64() / seconds, evicted))
}

/// What a decision looks at.
pub fn input(
    ctx: &Context,
    scaling: &Scaling,
    now: Time,
    wish: &valkey::Wish,
    (verdict, figures, rates): (&Verdict, &Figures, Rates),
) -> Input {
    let known = |figure: Option<f64>| figure.map_or(Sample::NoData, |value| Sample::value(value, Some(now)));
    let complete = figures.shards.len() == wish.shards as usize;
    let used: u64 = figures.shards.values().map(|shard| shard.memory).sum();
    let tunables = &ctx.settings.tunables;
    Input {
        now,
        shards: wish.shards,
        replicas: wish.replicas,
        load: known(rates.cores),
        used: known(complete.then_some(used as f64)),
        max_memory: figures.shards.values().map(|shard| shard.memory_max).min().unwrap_or_default(),
        evictions: known(rates.evictions),
        links_up: matches!(verdict, Verdict::Ready).then_some(true),
        under_way: under_way(verdict),
        last_move: scaling.last_move,
        asked: scaling.asked.clone(),
        primaries: scaling
            .behind
            .iter()
            .map(|(name, key)| {
                let sample = tiers::in_use(ctx.databases.figures(key).as_deref());
                Symptom::new(name.as_str(), Figure::ConnectionWait, sample, tunables)
            })
            .collect(),
    }
}

fn under_way(verdict: &Verdict) -> Option<Operation> {
    match verdict {
        Verdict::Moving { .. } | Verdict::MoveBlocked { .. } | Verdict::ScaleInBlocked { .. } => {
            Some(Operation::SlotMigration)
        }
        Verdict::FailingOver { .. } | Verdict::WaitingForOldPrimary { .. } => Some(Operation::Failover),
        Verdict::Restarting { .. } => Some(Operation::Restart),
        Verdict::Forming | Verdict::Leaving => Some(Operation::Membership),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(second: i64) -> Time {
        Time::from_secs(START + second)
    }

    fn work(seconds: f64, evicted: u64) -> Work {
        Work { cpu: std::time::Duration::from_secs_f64(seconds), evicted }
    }

    #[test]
    fn work_is_averaged_over_a_minute_and_anew_after_a_restart() {
        let mut looks = VecDeque::new();
        assert_eq!(rate(&mut looks, at(0), work(100.0, 50)), None);
        assert_eq!(rate(&mut looks, at(8), work(104.0, 50)), None);
        assert_eq!(rate(&mut looks, at(10), work(105.0, 60)), Some((0.5, 1.0)));
        assert_eq!(rate(&mut looks, at(60), work(160.0, 350)), Some((1.0, 5.0)));
        // From the look at 8 s on.
        assert_eq!(rate(&mut looks, at(68), work(164.0, 350)), Some((1.0, 5.0)));
        assert_eq!(rate(&mut looks, at(70), work(1.0, 0)), None, "it counts from zero");
        assert_eq!(rate(&mut looks, at(90), work(2.0, 20)), Some((0.05, 1.0)));
        assert_eq!(rate(&mut looks, at(80), work(2.0, 20)), None, "a clock that was set back");
    }

    fn scaling() -> Scaling {
        let policy = Policy { shards: (3, 4), replicas: (1, 2), per_node: Some(0.6) };
        Scaling { policy, last_move: None, asked: None, behind: Vec::new() }
    }

    fn calm() -> Input {
        let value = |value| Sample::value(value, Some(at(0)));
        Input {
            now: at(0),
            shards: 3,
            replicas: 1,
            load: value(1.0),
            used: value(150.0),
            max_memory: 100,
            evictions: value(0.0),
            links_up: Some(true),
            under_way: None,
            last_move: None,
            asked: None,
            primaries: Vec::new(),
        }
    }

    #[test]
    fn memory_asks_for_a_shard_and_load_for_a_replica() {
        let decide = |input: &Input| Memory::default().decide(&Tunables::default(), &scaling(), input);
        let value = |value| Sample::value(value, Some(at(0)));
        assert_eq!(decide(&calm()), None);
        let full =
            decide(&Input { used: value(270.0), ..calm() }).map(|scaled| (scaled.shards, scaled.replicas, scaled.why));
        assert_eq!(full, Some((4, 1, "90 % of the memory is used".to_owned())));
        let busy = decide(&Input { load: value(4.0), ..calm() }).map(|scaled| (scaled.shards, scaled.replicas));
        assert_eq!(busy, Some((3, 2)));
        assert_eq!(
            decide(&Input { load: value(4.0), under_way: under_way(&Verdict::Moving { left: 9 }), ..calm() }),
            None
        );
    }
}
