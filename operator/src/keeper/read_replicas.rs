//! How many read replicas a database has by its load. The replicas themselves say how busy they are: no Prometheus is asked.

use super::{
    beside::{Beside, Moving},
    looks::Looks,
    waiting::Waiting,
};
use decide::{
    Duration, Sample, Time, Tunables,
    budget::Fit,
    read_replicas::{self, Input, Policy, Replica},
    tier_size::{Asked, Operation, Proposal},
};
use postgres::{ReplicaState, ReplicaView, View};
use std::collections::BTreeMap;

/// The shortest time over which load is averaged (P): half of a span after a restart.
const LEAST: Duration = Duration::from_secs(30);

/// How the replicas of a server are scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// Fewest, most, and what one carries, in statements at the same time.
    pub policy: Policy,
    /// When their number was changed last.
    pub last_move: Option<Time>,
    /// Whether the servers take the connections of the apps.
    pub connections: Fit,
    /// An app that the primary makes slow.
    pub asked: Option<Asked>,
    /// What it shares requests with.
    pub beside: Beside,
}

/// A number of replicas that is wanted from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// How many.
    pub replicas: u32,
    /// Since when.
    pub at: Time,
    /// Why: a sentence.
    pub why: String,
}

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub struct Memory {
    decided: read_replicas::Memory,
    busy: BTreeMap<u32, Looks<1>>,
    waiting: Waiting,
}

impl Memory {
    /// Whether the replicas should be more or fewer than `wanted`, where those `beside` the database move so; and what such a
    /// change waits for.
    pub fn decide(
        &mut self,
        tunables: &Tunables,
        scaling: &Scaling,
        now: Time,
        (wanted, restarting): (u32, bool),
        view: &View,
        beside: Vec<Proposal>,
    ) -> (Option<Scaled>, Option<String>) {
        self.busy.retain(|ordinal, _| view.replicas.iter().any(|replica| replica.ordinal == *ordinal));
        let known = |figure: Option<f64>| figure.map_or(Sample::NoData, |value| Sample::value(value, Some(now)));
        let there = view.replicas.iter().filter(|replica| replica.state != ReplicaState::Missing);
        let replicas = there.map(|replica| Replica {
            ordinal: replica.ordinal,
            serving: replica.routable,
            lag: known(replica.lag.map(|lag| lag.as_secs_f64())),
            load: known(self.load(now, replica)),
        });
        let input = Input {
            now,
            wanted,
            replicas: replicas.collect(),
            under_way: under_way(restarting, view),
            connections: if view.connections.is_some() { scaling.connections } else { Fit::Unknown },
            wal_senders: known(view.senders_left.map(f64::from)),
            last_move: scaling.last_move,
            asked: scaling.asked.clone(),
            beside,
        };
        let decision = read_replicas::decide(tunables, &scaling.policy, &mut self.decided, &input);
        let waits = decision.waits.as_ref().map(|(step, gate)| (step.to, "read replicas", &step.cause, gate));
        let waits = self.waiting.tell(now, waits);
        let scaled = decision.step.map(|step| Scaled { replicas: step.to, at: now, why: step.cause.to_string() });
        (scaled, waits)
    }

    /// Statements that a replica ran at the same time, on average; None until it has been watched for long enough.
    fn load(&mut self, now: Time, replica: &ReplicaView) -> Option<f64> {
        let busy = replica.busy?.as_secs_f64();
        let [load] = self.busy.entry(replica.ordinal).or_default().rates(now, [busy], LEAST)?;
        Some(load)
    }
}

/// A replica that is on its way because of the load, since when. The spec's own fewest are no reason for apps to wait.
pub fn moving(scaling: &Scaling, wanted: u32, view: &View, scaled: Option<&Scaled>) -> Option<Moving> {
    let (to, since) = match scaled {
        Some(scaled) if scaled.replicas != wanted => (scaled.replicas, Some(scaled.at)),
        _ => (wanted, scaling.last_move),
    };
    let serving = view.replicas.iter().filter(|replica| replica.routable && replica.ordinal < to).count();
    let grows = to > scaling.policy.min && serving < to as usize;
    since.filter(|_| grows).map(|since| Moving { grows, since })
}

fn under_way(restarting: bool, view: &View) -> Option<Operation> {
    if !view.accepts_writes {
        return Some(Operation::Failover);
    }
    let cloning = view.replicas.iter().any(|replica| replica.state == ReplicaState::Cloning);
    if view.copying || cloning {
        return Some(Operation::BaseBackup);
    }
    restarting.then_some(Operation::Restart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::DurabilityNow;
    use std::time::Duration as Span;

    const START: i64 = 1_800_000_000;

    fn view(busy: &[Option<f64>]) -> View {
        let replica = |(ordinal, busy): (usize, &Option<f64>)| ReplicaView {
            ordinal: u32::try_from(ordinal).unwrap_or_default(),
            state: ReplicaState::Streaming,
            lag_bytes: Some(0),
            lag: Some(Span::ZERO),
            kept: Some(0),
            routable: true,
            busy: busy.map(Span::from_secs_f64),
        };
        View {
            record: None,
            primary_up: true,
            accepts_writes: true,
            major: Some(17),
            connections: Some((5, 97)),
            senders_left: Some(8),
            copying: false,
            bytes: None,
            certificate_ends: None,
            replicas: busy.iter().enumerate().map(replica).collect(),
            archive: None,
            replicas_allowed: 1,
            durability: DurabilityNow::Local { lag: None },
            logins: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    fn scaling(last_move: Option<i64>) -> Scaling {
        let policy = Policy { min: 1, max: 3, per_replica: Some(2.0), sync: 0 };
        let last_move = last_move.map(|second| Time::from_secs(START + second));
        Scaling { policy, last_move, connections: Fit::Fits, asked: None, beside: Beside::default() }
    }

    /// Looks every five seconds at replicas of which each runs `statements` at once; when it decides, and what.
    fn watch(
        memory: &mut Memory,
        scaling: &Scaling,
        span: std::ops::Range<i64>,
        replicas: u32,
        statements: f64,
    ) -> Option<(i64, u32)> {
        span.step_by(5).find_map(|second| {
            let busy = vec![Some(second as f64 * statements); replicas as usize];
            let now = Time::from_secs(START + second);
            let scaled =
                memory.decide(&Tunables::default(), scaling, now, (replicas, false), &view(&busy), Vec::new()).0?;
            assert_eq!(scaled.at, now);
            Some((second, scaled.replicas))
        })
    }

    #[test]
    fn statements_at_the_same_time_decide_once_they_were_watched_for_long_enough() {
        let table = [
            (1, 2.0, None, "just enough"),
            (1, 2.1, Some((30, 2)), "more than one carries"),
            (3, 9.0, None, "the most there may be"),
            (2, 0.5, Some((330, 1)), "one would do, for five minutes from the first figure on"),
            (1, 0.0, None, "the fewest there may be"),
        ];
        for (replicas, statements, expected, why) in table {
            let found = watch(&mut Memory::default(), &scaling(None), 0..600, replicas, statements);
            assert_eq!(found, expected, "{why}");
        }
        assert_eq!(watch(&mut Memory::default(), &scaling(Some(0)), 5..600, 1, 9.0), Some((300, 2)), "too soon before");
    }

    #[test]
    fn what_is_not_known_or_under_way_changes_nothing() {
        type Break = fn(&mut Scaling, &mut View) -> bool;
        let table: [(Break, &str); 6] = [
            (
                |_, view| {
                    view.replicas[0].busy = None;
                    false
                },
                "no figures",
            ),
            (
                |_, view| {
                    view.senders_left = None;
                    false
                },
                "no primary",
            ),
            (
                |_, view| {
                    view.copying = true;
                    false
                },
                "a base backup",
            ),
            (
                |_, view| {
                    view.replicas[0].routable = false;
                    false
                },
                "the last one does not serve yet",
            ),
            (
                |scaling, _| {
                    scaling.connections = Fit::BudgetExceededByMinimums;
                    false
                },
                "no connections for it",
            ),
            (|_, _| true, "a restart"),
        ];
        for (change, why) in table {
            let mut memory = Memory::default();
            for second in (0..120).step_by(5) {
                let (mut scaling, mut seen) = (scaling(None), view(&[Some(f64::from(second) * 9.0)]));
                let restarting = change(&mut scaling, &mut seen);
                let now = Time::from_secs(START + i64::from(second));
                let (scaled, _) =
                    memory.decide(&Tunables::default(), &scaling, now, (1, restarting), &seen, Vec::new());
                assert_eq!(scaled, None, "{why}");
            }
        }
    }

    #[test]
    fn a_server_that_counts_from_zero_again_is_watched_anew() {
        let mut memory = Memory::default();
        assert_eq!(watch(&mut memory, &scaling(None), 1000..1025, 1, 9.0), None);
        assert_eq!(watch(&mut memory, &scaling(None), 1025..1060, 1, 0.1), None, "what it counted before is no load");
        assert_eq!(watch(&mut memory, &scaling(None), 1060..1100, 1, 9.0).map(|(_, replicas)| replicas), Some(2));
    }

    #[test]
    fn an_app_that_waits_for_the_primary_asks_for_a_replica() {
        let asked = Some(Asked { app: "web".into(), figure: decide::Figure::ConnectionWait });
        let scaling = Scaling { asked, ..scaling(None) };
        let now = Time::from_secs(START);
        let scaled =
            Memory::default().decide(&Tunables::default(), &scaling, now, (1, false), &view(&[None]), Vec::new()).0;
        let why = "web is slow because of it: the share of connections in use".to_owned();
        assert_eq!(scaled, Some(Scaled { replicas: 2, at: now, why }));
    }

    #[test]
    fn a_replica_that_load_asked_for_is_on_its_way_until_it_serves() {
        let seen = |serving: usize| {
            let mut seen = view(&[None, None, None]);
            seen.replicas.iter_mut().skip(serving).for_each(|replica| replica.routable = false);
            seen
        };
        let moved = scaling(Some(7));
        let at = |second| Time::from_secs(START + second);
        let scaled = |replicas| Some(Scaled { replicas, at: at(9), why: String::new() });
        // wanted, serving, decided now, and since when it grows
        let table = [
            (2, 2, None, None, "all serve"),
            (2, 1, None, Some(7), "the second one is being made"),
            (1, 0, None, None, "the spec's own fewest"),
            (1, 1, scaled(2), Some(9), "decided just now"),
            (2, 2, scaled(1), None, "one less"),
        ];
        for (wanted, serving, scaled, since, why) in table {
            let found = moving(&moved, wanted, &seen(serving), scaled.as_ref());
            assert_eq!(found, since.map(|since| Moving { grows: true, since: at(since) }), "{why}");
        }
        assert_eq!(moving(&scaling(None), 2, &seen(1), None), None, "never changed: it is lost, and comes back");
    }
}
