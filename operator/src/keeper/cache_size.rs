//! How many shards and replicas a cache has by its memory and its load. Its servers say both: no Prometheus is asked.

use super::{
    beside::{Beside, Moving},
    cache::Scaled,
    looks::Looks,
    waiting::Waiting,
};
use crate::{context::Context, evaluate::tiers};
use decide::{
    Duration, Figure, Sample, Symptom, Time, Tunables,
    cache_size::{self, Input, Policy, What},
    tier_size::{Asked, Operation},
};
use std::collections::BTreeMap;
use valkey::{Answer, Figures, Mode, Role, Sighting, Verdict, View, Wish};

/// The shortest time over which work is averaged (P).
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
    /// What it shares requests with. The databases get the load of what a smaller cache no longer holds.
    pub beside: Beside,
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
    work: BTreeMap<String, Looks<2>>,
    waiting: Waiting,
}

impl Memory {
    /// What the servers do, as far as they have been watched for long enough.
    pub fn rates(&mut self, now: Time, sightings: &[Sighting]) -> Rates {
        self.work.retain(|pod, _| sightings.iter().any(|sighting| sighting.pod.name == *pod));
        let of = |sighting: &Sighting| {
            let Answer::Node(node) = &sighting.answer else { return None };
            let looks = self.work.entry(sighting.pod.name.clone()).or_default();
            let counted = [node.work.cpu.as_secs_f64(), node.work.evicted as f64];
            let [cores, evictions] = looks.rates(now, counted, LEAST)?;
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

    /// Whether the cache should have another size than the wished one; and what such a change waits for.
    pub fn decide(
        &mut self,
        tunables: &Tunables,
        scaling: &Scaling,
        input: &Input,
    ) -> (Option<Scaled>, Option<String>) {
        let decision = cache_size::decide(tunables, &scaling.policy, &mut self.decided, input);
        let waits = decision.waits.as_ref().map(|(step, gate)| {
            let what = match step.what {
                What::Shards => "shards",
                What::Replicas => "replicas of each shard",
            };
            (step.to, what, &step.cause, gate)
        });
        let waits = self.waiting.tell(input.now, waits);
        let scaled = decision.step.map(|step| {
            let (shards, replicas) = match step.what {
                What::Shards => (step.to, input.replicas),
                What::Replicas => (input.shards, step.to),
            };
            Scaled { shards, replicas, at: input.now, why: step.cause.to_string() }
        });
        (scaled, waits)
    }
}

/// A size that is on its way, since when: more where the servers of the wished size are not all there, less where more are. The
/// spec's own smallest size is no reason for anybody to wait.
pub fn moving(
    scaling: &Scaling,
    wish: &Wish,
    (view, figures): (&View, &Figures),
    scaled: Option<&Scaled>,
) -> Option<Moving> {
    if let Some(scaled) = scaled.filter(|scaled| (scaled.shards, scaled.replicas) != (wish.shards, wish.replicas)) {
        let grows = scaled.shards > wish.shards || scaled.replicas > wish.replicas;
        return Some(Moving { grows, since: scaled.at });
    }
    let lacks = |shard: u32| {
        let empty = figures.shards.get(&shard).is_none_or(|shard| shard.slots == 0);
        let linked =
            view.shards.get(&shard).map_or(0, |shard| shard.replicas.values().filter(|linked| **linked).count());
        (wish.mode == Mode::Cluster && empty) || linked < wish.replicas as usize
    };
    let since = scaling.last_move?;
    let beyond = wish.shards > scaling.policy.shards.0 || wish.replicas > scaling.policy.replicas.0;
    let leaves = view.shards.keys().any(|shard| *shard >= wish.shards);
    match (beyond && (0..wish.shards).any(lacks), leaves) {
        (true, _) => Some(Moving { grows: true, since }),
        (false, true) => Some(Moving { grows: false, since }),
        (false, false) => None,
    }
}

/// What a decision looks at.
pub fn input(
    ctx: &Context,
    scaling: &Scaling,
    now: Time,
    wish: &Wish,
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
            .beside
            .databases
            .iter()
            .map(|(name, key)| {
                let sample = tiers::in_use(ctx.database_figures(key).as_deref());
                Symptom::new(name.as_str(), Figure::ConnectionWait, sample, tunables)
            })
            .collect(),
        beside: scaling.beside.moving(ctx, now),
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

    fn scaling() -> Scaling {
        let policy = Policy { shards: (3, 4), replicas: (1, 2), per_node: Some(0.6) };
        Scaling { policy, last_move: None, asked: None, beside: Beside::default() }
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
            beside: Vec::new(),
        }
    }

    #[test]
    fn memory_asks_for_a_shard_and_load_for_a_replica() {
        let decide = |input: &Input| Memory::default().decide(&Tunables::default(), &scaling(), input).0;
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

    #[test]
    fn a_size_that_load_asked_for_is_on_its_way_until_all_of_it_serves() {
        use valkey::{Password, Passwords, Rotation, Shard, ShardFigures};
        let wish = |shards, replicas| Wish {
            mode: Mode::Cluster,
            shards,
            replicas,
            passwords: Passwords { current: Password::new("x"), previous: None },
            formed: true,
            primary: None,
        };
        // Shards with slots and with one replica each that is linked, and those without.
        let seen = |complete: u32, empty: u32| {
            let replicas = |shard| BTreeMap::from([(format!("s{shard}-1"), shard < complete)]);
            let shard = |shard| (shard, Shard { replicas: replicas(shard), ..Shard::default() });
            let figures =
                |shard| (shard, ShardFigures { slots: u32::from(shard < complete), ..ShardFigures::default() });
            let view = View {
                verdict: Verdict::Ready,
                formed: true,
                agreed: true,
                shards: (0..complete + empty).map(shard).collect(),
                lead: None,
                primary: None,
                held: Default::default(),
                rejoin: Default::default(),
                removable: Default::default(),
                rotation: Rotation::Settled,
            };
            (view, Figures { shards: (0..complete + empty).map(figures).collect(), to_move: 0 })
        };
        let moved = Scaling { last_move: Some(at(7)), ..scaling() };
        let scaled = |shards, replicas| Some(Scaled { shards, replicas, at: at(9), why: String::new() });
        let table = [
            (wish(4, 1), seen(4, 0), None, None, "all is there"),
            (wish(4, 1), seen(3, 1), None, Some((true, 7)), "the fourth shard has no slots yet"),
            (wish(3, 2), seen(3, 0), None, Some((true, 7)), "each lacks a replica"),
            (wish(3, 1), seen(2, 1), None, None, "the spec's own smallest size"),
            (wish(3, 1), seen(4, 0), None, Some((false, 7)), "one leaves"),
            (wish(3, 1), seen(3, 0), scaled(4, 1), Some((true, 9)), "decided just now"),
            (wish(3, 2), seen(3, 0), scaled(3, 1), Some((false, 9)), "decided just now"),
        ];
        for (wish, (view, figures), scaled, expected, why) in table {
            let found = moving(&moved, &wish, (&view, &figures), scaled.as_ref());
            assert_eq!(found, expected.map(|(grows, since)| Moving { grows, since: at(since) }), "{why}");
        }
        let (view, figures) = seen(3, 1);
        assert_eq!(
            moving(&scaling(), &wish(4, 1), (&view, &figures), None),
            None,
            "never changed: it is lost, and comes back"
        );
    }
}
