//! How many shards and replicas a cache has by its memory and its load, whoever keeps its servers. They say both: no Prometheus is
//! asked.

use super::{
    MAKING,
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
use valkey::{Answer, Figures, Managed, Mode, Role, Said, Sighting, Verdict, View, Wish, Work};

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

/// The size that it is wanted to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How its servers belong together.
    pub mode: Mode,
    /// Shards.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
}

/// How its servers are.
#[derive(Clone, Debug)]
pub struct Servers {
    /// What each shard holds, by its number.
    pub figures: Figures,
    /// Whether these are all that it holds.
    pub is_whole: bool,
    /// Replicas in step of each shard that there is, also of one that leaves.
    pub linked: BTreeMap<u32, usize>,
    /// All servers answer and every replica is linked; None where that is not known.
    pub links_up: Option<bool>,
    /// What is done to them.
    pub under_way: Option<Operation>,
}

/// A server's work, as it says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Which server: unique.
    pub name: String,
    /// It takes writes.
    pub is_primary: bool,
    /// None where it does not answer, or does not count.
    pub work: Option<Work>,
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
    pub fn rates(&mut self, now: Time, workers: &[Worker]) -> Rates {
        self.work.retain(|name, _| workers.iter().any(|worker| worker.name == *name));
        let of = |worker: &Worker| {
            let work = worker.work?;
            let looks = self.work.entry(worker.name.clone()).or_default();
            let counted = [work.cpu.as_secs_f64(), work.evicted as f64];
            let [cores, evictions] = looks.rates(now, counted, LEAST)?;
            // A replica removes what its primary tells it to.
            Some((cores, if worker.is_primary { evictions } else { 0.0 }))
        };
        let rates: Vec<Option<(f64, f64)>> = workers.iter().map(of).collect();
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

impl From<&Wish> for Size {
    fn from(wish: &Wish) -> Self {
        Self { mode: wish.mode, shards: wish.shards, replicas: wish.replicas }
    }
}

impl Servers {
    /// Those in this cluster.
    pub fn of(view: &View, figures: &Figures, wanted: &Size) -> Self {
        let linked = view.shards.iter().map(|(number, shard)| {
            let linked = shard.replicas.values().filter(|linked| **linked).count();
            (*number, linked)
        });
        Self {
            figures: figures.clone(),
            is_whole: figures.shards.len() == wanted.shards as usize,
            linked: linked.collect(),
            links_up: matches!(view.verdict, Verdict::Ready).then_some(true),
            under_way: under_way(&view.verdict),
        }
    }

    /// Those that somebody else keeps, who was told of the wanted size at this time; None where it was always the same.
    pub fn of_managed(seen: &Managed, wanted: &Size, told: Option<Time>, now: Time) -> Self {
        let is_late = told.is_some_and(|at| now.since(at) >= MAKING);
        let (linked, figures, replicas) = (seen.linked(), seen.figures(), wanted.replicas as usize);
        let is_empty = seen.shards.iter().any(|shard| shard.slots.is_empty());
        let is_other = seen.shards.len() != wanted.shards as usize && !is_late;
        let has_more = seen.shards.iter().any(|shard| shard.replicas.len() > replicas) && !is_late;
        let under_way = match (is_other || is_empty, has_more) {
            (true, _) => Some(Operation::SlotMigration),
            (false, true) => Some(Operation::Membership),
            (false, false) => None,
        };
        let follow = |node: &valkey::ManagedNode| node.said.is_ok() && node.is_linked();
        let in_step = seen.shards.iter().all(|shard| shard.primary.said.is_ok() && shard.replicas.iter().all(follow));
        let enough = is_late || linked.values().all(|linked| *linked >= replicas);
        Self {
            is_whole: !seen.shards.is_empty() && figures.shards.len() == seen.shards.len() && !is_other,
            links_up: Some(!seen.shards.is_empty() && in_step && enough),
            figures,
            linked,
            under_way,
        }
    }
}

/// The work of servers in this cluster.
pub fn workers(sightings: &[Sighting]) -> Vec<Worker> {
    let worker = |sighting: &Sighting| {
        let node = match &sighting.answer {
            Answer::Node(node) => Some(node),
            Answer::Unreachable(_) | Answer::Refused | Answer::Loading => None,
        };
        Worker {
            name: sighting.pod.name.clone(),
            is_primary: node.is_some_and(|node| node.role == Role::Primary),
            work: node.map(|node| node.work),
        }
    };
    sightings.iter().map(worker).collect()
}

/// The work of servers that somebody else keeps.
pub fn managed_workers(seen: &Managed) -> Vec<Worker> {
    let worker = |node: &valkey::ManagedNode| {
        let said = node.said.as_ref().ok();
        let is_primary = said.is_some_and(|said: &Said| said.role == Role::Primary);
        Worker { name: node.name.clone(), is_primary, work: said.and_then(|said| said.work) }
    };
    seen.nodes().map(worker).collect()
}

/// A size that is on its way, since when: more where the servers of the wanted size are not all there, less where more are. The
/// spec's own smallest size is no reason for anybody to wait.
pub fn moving(scaling: &Scaling, wanted: &Size, servers: &Servers, scaled: Option<&Scaled>) -> Option<Moving> {
    if let Some(scaled) = scaled.filter(|scaled| (scaled.shards, scaled.replicas) != (wanted.shards, wanted.replicas)) {
        let grows = scaled.shards > wanted.shards || scaled.replicas > wanted.replicas;
        return Some(Moving { grows, since: scaled.at });
    }
    let lacks = |shard: u32| {
        let empty = servers.figures.shards.get(&shard).is_none_or(|shard| shard.slots == 0);
        let linked = servers.linked.get(&shard).copied().unwrap_or(0);
        (wanted.mode == Mode::Cluster && empty) || linked < wanted.replicas as usize
    };
    let since = scaling.last_move?;
    let beyond = wanted.shards > scaling.policy.shards.0 || wanted.replicas > scaling.policy.replicas.0;
    let leaves = servers.linked.keys().any(|shard| *shard >= wanted.shards);
    match (beyond && (0..wanted.shards).any(lacks), leaves) {
        (true, _) => Some(Moving { grows: true, since }),
        (false, true) => Some(Moving { grows: false, since }),
        (false, false) => None,
    }
}

/// What a decision looks at.
pub fn input(ctx: &Context, scaling: &Scaling, now: Time, wanted: &Size, (servers, rates): (&Servers, Rates)) -> Input {
    let figures = &servers.figures;
    let known = |figure: Option<f64>| figure.map_or(Sample::NoData, |value| Sample::value(value, Some(now)));
    let used: u64 = figures.shards.values().map(|shard| shard.memory).sum();
    let tunables = &ctx.settings.tunables;
    Input {
        now,
        shards: wanted.shards,
        replicas: wanted.replicas,
        load: known(rates.cores),
        used: known(servers.is_whole.then_some(used as f64)),
        max_memory: figures.shards.values().map(|shard| shard.memory_max).min().unwrap_or_default(),
        evictions: known(rates.evictions),
        links_up: servers.links_up,
        under_way: servers.under_way,
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
    fn servers_that_somebody_else_keeps_are_steady_once_all_of_the_wanted_size_answer_and_follow() {
        use valkey::{Error, ManagedNode, ManagedShard, Slots, Store};
        let node = |role| {
            let said = Said { role, store: Store::default(), work: None, offset: 0 };
            ManagedNode { name: "a".to_owned(), said: Ok(said) }
        };
        let replica = |link_up| node(Role::Replica { of: String::new(), link_up, syncing: false });
        let shard = |slots: (u16, u16), replicas: Vec<ManagedNode>| ManagedShard {
            slots: Slots::range(slots.0, slots.1),
            primary: node(Role::Primary),
            replicas,
        };
        let empty =
            || ManagedShard { slots: Slots::none(), primary: node(Role::Primary), replicas: vec![replica(true)] };
        let silent = || ManagedNode { name: "b".to_owned(), said: Err(Error::Refused { pod: "b".to_owned() }) };
        let of = |second: ManagedShard| Managed { shards: vec![shard((0, 8191), vec![replica(true)]), second] };
        let half = |replicas| shard((8192, 16383), replicas);
        let wanted = |shards, replicas| Size { mode: Mode::Cluster, shards, replicas };
        let table = [
            (of(half(vec![replica(true)])), wanted(2, 1), (true, true, None)),
            (of(half(vec![replica(false)])), wanted(2, 1), (true, false, None)),
            (of(half(vec![])), wanted(2, 1), (true, false, None)),
            (of(half(vec![silent()])), wanted(2, 0), (true, false, Some(Operation::Membership))),
            (of(half(vec![replica(true)])), wanted(2, 0), (true, true, Some(Operation::Membership))),
            (of(half(vec![replica(true)])), wanted(3, 1), (false, true, Some(Operation::SlotMigration))),
            (of(empty()), wanted(2, 1), (true, true, Some(Operation::SlotMigration))),
            (Managed::default(), wanted(2, 1), (false, false, Some(Operation::SlotMigration))),
        ];
        let told = |found: &Servers| (found.is_whole, found.links_up == Some(true), found.under_way);
        for (seen, wanted, expected) in table {
            for since in [None, Some(at(0))] {
                let found = Servers::of_managed(&seen, &wanted, since, at(3599));
                assert_eq!(told(&found), expected, "{seen:?} {wanted:?}");
            }
        }
        // What was told an hour ago, and is not there, is not waited for: it can be taken back.
        for (seen, wanted, expected) in [
            (of(half(vec![replica(true)])), wanted(3, 1), (true, true, None)),
            (of(half(vec![replica(true)])), wanted(2, 2), (true, true, None)),
            (of(half(vec![replica(true)])), wanted(2, 0), (true, true, None)),
            (of(half(vec![silent()])), wanted(3, 1), (true, false, None)),
            (of(empty()), wanted(2, 1), (true, true, Some(Operation::SlotMigration))),
            (Managed::default(), wanted(2, 1), (false, false, None)),
        ] {
            let found = Servers::of_managed(&seen, &wanted, Some(at(0)), at(3600));
            assert_eq!(told(&found), expected, "{seen:?} {wanted:?}");
        }
    }

    #[test]
    fn work_that_one_server_does_not_tell_is_not_known_of_all() {
        let worker = |name: &str, cpu: u64, is_primary| {
            let work = Work { cpu: std::time::Duration::from_secs(cpu), evicted: 10 * cpu };
            Worker { name: name.to_owned(), is_primary, work: Some(work) }
        };
        let mut memory = Memory::default();
        memory.rates(at(0), &[worker("a", 0, true), worker("b", 0, false)]);
        let rates = memory.rates(at(20), &[worker("a", 10, true), worker("b", 4, false)]);
        assert_eq!(rates, Rates { cores: Some(0.7), busiest: Some(0.5), evictions: Some(5.0) });
        let silent = Worker { work: None, ..worker("b", 0, false) };
        let rates = memory.rates(at(40), &[worker("a", 20, true), silent]);
        assert_eq!(rates, Rates { cores: None, busiest: Some(0.5), evictions: None });
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
            let found =
                moving(&moved, &Size::from(&wish), &Servers::of(&view, &figures, &Size::from(&wish)), scaled.as_ref());
            assert_eq!(found, expected.map(|(grows, since)| Moving { grows, since: at(since) }), "{why}");
        }
        let ((view, figures), size) = (seen(3, 1), Size::from(&wish(4, 1)));
        assert_eq!(
            moving(&scaling(), &size, &Servers::of(&view, &figures, &size), None),
            None,
            "never changed: it is lost, and comes back"
        );
    }
}
