//! How many read replicas a database needs.

use crate::common::{START, script, secs};
use crate::tier_order::beside;
use learningplatform_decide::budget::Fit;
use learningplatform_decide::read_replicas::{self, Decision, Input, Memory, Policy, Replica};
use learningplatform_decide::tier_size::{Asked, Cause, Operation};
use learningplatform_decide::{Doubt, Figure, Sample, Time, Trust, Tunables};
use proptest::prelude::*;

fn at(seconds: u64) -> Time {
    START.plus(secs(seconds))
}

fn value(value: f64) -> Sample {
    Sample::value(value, None)
}

fn asked(figure: Figure) -> Option<Asked> {
    Some(Asked { app: "web".into(), figure })
}

/// `min` to `max` replicas of 100 queries/s each.
fn policy(min: u32, max: u32) -> Policy {
    Policy { min, max, per_replica: Some(100.0), sync: 0 }
}

fn replica(ordinal: u32, lag: Sample, load: Sample) -> Replica {
    Replica { ordinal, serving: true, lag, load }
}

/// `wanted` replicas that serve, each near and with this load; nothing speaks against any move.
fn input(wanted: u32, load: f64) -> Input {
    Input {
        now: START,
        wanted,
        replicas: (0..wanted).map(|ordinal| replica(ordinal, value(0.5), value(load))).collect(),
        under_way: None,
        connections: Fit::Fits,
        wal_senders: value(4.0),
        last_move: None,
        asked: None,
        beside: Vec::new(),
    }
}

fn decide(policy: &Policy, memory: &mut Memory, input: &Input) -> Decision {
    read_replicas::decide(&Tunables::default(), policy, memory, input)
}

fn once(policy: &Policy, input: &Input) -> Decision {
    decide(policy, &mut Memory::default(), input)
}

/// The same world, looked at every five seconds for so long; the last decision.
fn lasting(policy: &Policy, input: &Input, seconds: u64) -> Decision {
    let mut memory = Memory::default();
    let mut last = None;
    for second in (0..=seconds).step_by(5) {
        last = Some(decide(policy, &mut memory, &Input { now: at(second), ..input.clone() }));
    }
    last.unwrap()
}

fn step(decision: &Decision) -> Option<(u32, u32)> {
    decision.step.as_ref().map(|step| (step.from, step.to))
}

fn waits(decision: &Decision) -> String {
    decision.waits.as_ref().map(|(_, gate)| gate.to_string()).unwrap_or_default()
}

#[test]
fn load_asks_for_one_more_and_for_one_less_with_a_margin() {
    let table = [
        (2, 100.0, None, "just enough"),
        (2, 101.0, Some((2, 3)), "202 of 200"),
        (2, 400.0, Some((2, 3)), "one at a time, however much"),
        (4, 400.0, None, "the most there may be"),
        (3, 60.0, Some((3, 2)), "180 and a tenth are 198"),
        (3, 61.0, None, "183 and a tenth are 201"),
        (1, 1.0, None, "the fewest there may be"),
    ];
    for (wanted, load, expected, why) in table {
        assert_eq!(step(&lasting(&policy(1, 4), &input(wanted, load), 300)), expected, "{wanted} at {load}: {why}");
    }
    let fixed = Policy { per_replica: None, ..policy(1, 4) };
    assert_eq!(step(&lasting(&fixed, &input(2, 900.0), 600)), None, "load that decides nothing");
}

#[test]
fn less_must_be_enough_for_five_minutes_without_a_break() {
    let (policy, low, high) = (policy(1, 4), input(2, 10.0), input(2, 80.0));
    let decision = lasting(&policy, &low, 295);
    assert_eq!(step(&decision), None);
    assert_eq!(waits(&decision), "it must need less for longer: not before 2027-01-15T08:05:00Z");
    assert_eq!(step(&lasting(&policy, &low, 300)), Some((2, 1)));
    // One evaluation that needs them, one that does not know, a silence, a clock that was set back.
    let mut unknown = low.clone();
    unknown.replicas[0].load = Sample::NoData;
    let mut doubtful = low.clone();
    doubtful.replicas[0].load = value(10.0).doubted(Doubt::PartialResponse);
    let asking = Input { asked: asked(Figure::PrimaryCpu), ..low.clone() };
    for (broken, what) in [(&high, "high"), (&unknown, "unknown"), (&doubtful, "doubtful"), (&asking, "asked for")] {
        let mut memory = Memory::default();
        for second in (0..=520).step_by(5) {
            let seen = if second == 200 { broken } else { &low };
            let decision =
                decide(&policy, &mut memory, &Input { now: at(second), last_move: Some(START), ..seen.clone() });
            let expected = second >= 505;
            assert_eq!(step(&decision).is_some_and(|(from, to)| to < from), expected, "{what} at {second} s");
        }
    }
    for (silence, steps) in [(30, true), (31, false)] {
        let mut memory = Memory::default();
        for second in (0..600).step_by(silence) {
            let decision = decide(&policy, &mut memory, &Input { now: at(second as u64), ..low.clone() });
            assert_eq!(decision.step.is_some(), steps && second >= 300, "{second} s, every {silence} s");
        }
        decide(&policy, &mut memory, &Input { now: at(100), ..low.clone() });
        assert_eq!(decide(&policy, &mut memory, &Input { now: at(110), ..low.clone() }).step, None, "a clock set back");
    }
}

#[test]
fn what_is_known_already_is_reason_enough_to_grow_and_nothing_less_than_all_to_shrink() {
    let policy = policy(1, 4);
    let mut seen = input(2, 250.0);
    seen.replicas[1].load = Sample::NoData;
    assert_eq!(step(&once(&policy, &seen)), Some((2, 3)), "one of them carries too much by itself");
    seen.replicas[0].load = value(250.0).doubted(Doubt::PartialResponse);
    assert_eq!(step(&once(&policy, &seen)), Some((2, 3)), "doubtful, but it may raise");
    let mut seen = input(3, 1.0);
    seen.replicas[2].load = Sample::value(1.0, Some(START.minus(secs(1000))));
    assert_eq!(step(&lasting(&policy, &seen, 600)), None);
    let stale = Sample::value(250.0, Some(START.minus(secs(31))));
    let seen = Input { replicas: vec![replica(0, value(0.5), stale)], ..input(1, 0.0) };
    assert_eq!(once(&policy, &seen).step, None, "stale");
}

#[test]
fn moves_are_five_minutes_apart_unless_the_spec_asks_for_them() {
    let policy = policy(2, 4);
    let moved = |wanted, load, after: u64| Input { last_move: Some(START), now: at(after), ..input(wanted, load) };
    assert_eq!(
        waits(&once(&policy, &moved(2, 200.0, 299))),
        "the last move was a short while ago: not before 2027-01-15T08:05:00Z"
    );
    assert_eq!(step(&once(&policy, &moved(2, 200.0, 300))), Some((2, 3)));
    let below = once(&policy, &moved(1, 1.0, 5));
    assert_eq!(
        (step(&below), below.step.unwrap().cause.to_string()),
        (Some((1, 2)), "the spec asks for at least 2".into())
    );
    let above = once(&policy, &moved(5, 900.0, 5));
    assert_eq!((step(&above), above.step.unwrap().cause.to_string()), (Some((5, 4)), "the spec allows 4".into()));
    let none = Policy { min: 0, max: 0, per_replica: None, sync: 0 };
    assert_eq!(step(&once(&none, &input(1, 0.0))), Some((1, 0)));
    assert_eq!(step(&once(&none, &input(0, 0.0))), None);
}

#[test]
fn an_app_that_is_slow_for_the_primarys_sake_asks_for_a_replica() {
    let policy = policy(1, 3);
    let with = |figure, wanted| Input { asked: asked(figure), ..input(wanted, 10.0) };
    let decision = once(&policy, &with(Figure::PrimaryCpu, 2));
    assert_eq!(step(&decision), Some((2, 3)));
    assert_eq!(decision.step.unwrap().cause.to_string(), "web is slow because of it: the primary's cpu");
    assert_eq!(step(&once(&policy, &with(Figure::PrimaryCpu, 3))), None, "the most there may be");
    assert_eq!(step(&lasting(&policy, &with(Figure::PrimaryCpu, 3), 600)), None, "nor is one taken meanwhile");
    assert_eq!(step(&once(&policy, &with(Figure::LockWait, 2))), None, "locks are shared by any number of replicas");
    let fixed = Policy { per_replica: None, ..policy };
    assert_eq!(step(&once(&fixed, &with(Figure::PoolWait, 1))), Some((1, 2)));
}

#[test]
fn a_gate_that_is_closed_or_not_known_keeps_the_count_and_says_so() {
    type Break = fn(&mut Input);
    let grow: [(Break, &str); 9] = [
        (|input| input.under_way = Some(Operation::BaseBackup), "a base backup is under way"),
        (|input| input.under_way = Some(Operation::Failover), "a failover is under way"),
        (|input| drop(input.replicas.pop()), "1 of 2 replicas serve"),
        (|input| input.replicas[1].serving = false, "1 of 2 replicas serve"),
        (|input| input.replicas[1].ordinal = 2, "a node joins or leaves"),
        (
            |input| input.connections = Fit::BudgetExceededByMinimums,
            "the servers do not take the connections of the apps' fewest pods",
        ),
        (|input| input.connections = Fit::Unknown, "how many connections the servers take is not known"),
        (
            |input| input.wal_senders = value(1.0),
            "the primary has 1 WAL senders left of the 2 that a new replica takes",
        ),
        (|input| input.wal_senders = Sample::NoData, "how many WAL senders the primary has left is not known"),
    ];
    for (close, why) in grow {
        let mut seen = input(2, 300.0);
        close(&mut seen);
        let decision = once(&policy(1, 4), &seen);
        assert_eq!((step(&decision), waits(&decision).as_str()), (None, why));
        assert_eq!(decision.waits.unwrap().0.to, 3);
    }
    assert_eq!(step(&once(&policy(1, 4), &Input { connections: Fit::Shared, ..input(2, 300.0) })), Some((2, 3)));

    let shrink: [(Break, &str); 5] = [
        (|input| input.under_way = Some(Operation::Restart), "a node restarts"),
        (|input| input.replicas[0].lag = Sample::NoData, "how far replica 0 is behind is not known"),
        (
            |input| input.replicas[1].lag = value(1.0).doubted(Doubt::PartialResponse),
            "how far replica 1 is behind is not known",
        ),
        (|input| input.replicas[0].serving = false, "1 of 2 replicas serve"),
        (|input| input.replicas[0].ordinal = 3, "a node joins or leaves"),
    ];
    for (close, why) in shrink {
        let mut seen = input(3, 1.0);
        close(&mut seen);
        // By the spec, so that nothing but the gate speaks against it.
        let decision = once(&policy(1, 2), &seen);
        assert_eq!((step(&decision), waits(&decision).as_str()), (None, why));
    }
    // The one that goes may be as lost as it likes.
    let mut seen = input(3, 1.0);
    (seen.replicas[2].lag, seen.replicas[2].serving) = (Sample::NoData, false);
    assert_eq!(step(&once(&policy(1, 2), &seen)), Some((3, 2)));
    seen.replicas.pop();
    assert_eq!(step(&once(&policy(1, 2), &seen)), Some((3, 2)));
}

#[test]
fn as_many_as_commits_wait_for_and_one_more_stay() {
    for (sync, wanted, shrinks) in
        [(0, 1, true), (1, 2, false), (1, 3, true), (2, 3, false), (2, 4, true), (u32::MAX, 5, false)]
    {
        let policy = Policy { sync, ..policy(0, 0) };
        let decision = once(&policy, &input(wanted, 0.0));
        assert_eq!(step(&decision).is_some(), shrinks, "{wanted} with {sync}");
        let text = format!("commits wait for replicas: {} must stay", sync.saturating_add(1));
        assert_eq!(waits(&decision), if shrinks { String::new() } else { text });
    }
}

#[test]
fn the_same_evaluation_again_changes_nothing() {
    let (mut memory, seen) = (Memory::default(), input(2, 1.0));
    let first = decide(&policy(1, 4), &mut memory, &seen);
    let before = memory.clone();
    assert_eq!((decide(&policy(1, 4), &mut memory, &seen), memory), (first, before));
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        4 => (0.0..60.0_f64).prop_map(value),
        1 => (0.0..300.0_f64).prop_map(value),
        1 => (0.0..60.0_f64).prop_map(|lag| value(lag).doubted(Doubt::PartialResponse)),
        1 => Just(Sample::value(1.0, Some(START.minus(secs(1000))))),
        1 => script::broken(),
    ]
}

fn seen() -> impl Strategy<Value = Input> {
    let replicas = prop::collection::vec((prop::bool::weighted(0.8), sample(), sample()), 0..6);
    let under_way =
        prop::option::weighted(0.15, prop::sample::select(vec![Operation::BaseBackup, Operation::Failover]));
    let connections = prop::sample::select(vec![Fit::Fits, Fit::Fits, Fit::Shared, Fit::Unknown]);
    let moved = prop::option::weighted(0.2, 0..600_u64);
    (replicas, 0..2_u32, under_way, connections, sample(), moved, prop::bool::weighted(0.2), beside()).prop_map(
        |(replicas, gone, under_way, connections, wal_senders, moved, asks, beside)| Input {
            now: START,
            wanted: u32::try_from(replicas.len()).unwrap().saturating_sub(gone),
            replicas: replicas
                .into_iter()
                .enumerate()
                .map(|(index, (serving, lag, load))| Replica { serving, ..replica(index as u32, lag, load) })
                .collect(),
            under_way,
            connections,
            wal_senders,
            last_move: moved.map(|ago| START.minus(secs(ago))),
            asked: asked(Figure::PrimaryCpu).filter(|_| asks),
            beside,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// INV-NO-VALUE-NO-LOWER, and the gates of 2.13, for any life of five phases.
    #[test]
    fn inv_replicas(phases in prop::collection::vec((seen(), 1..90_u64), 1..6), min in 0..4_u32, more in 0..3_u32, sync in 0..3_u32) {
        let policy = Policy { min, max: min + more, per_replica: Some(50.0), sync };
        let (mut memory, mut now) = (Memory::default(), 0);
        for (phase, ticks) in phases {
            for _ in 0..ticks {
                now += 5;
                let seen = Input { now: at(now), ..phase.clone() };
                let decision = decide(&policy, &mut memory, &seen);
                let trusted = |sample: &Sample| match sample {
                    Sample::Value(value) => value.trust() == Trust::Full && value.at().is_none(),
                    _ => false,
                };
                let Some(step) = decision.step else { continue };
                prop_assert!(decision.waits.is_none() && step.from == seen.wanted && step.to.abs_diff(step.from) == 1);
                prop_assert_eq!(seen.under_way, None);
                prop_assert!(seen.replicas.iter().all(|replica| replica.ordinal < seen.wanted), "two moves at a time");
                let by_spec = matches!(step.cause, Cause::Minimum(_) | Cause::Maximum(_));
                prop_assert!(by_spec || seen.last_move.is_none_or(|moved| seen.now.since(moved) >= secs(300)));
                if step.to > step.from {
                    prop_assert!(step.to <= policy.max && trusted(&seen.wal_senders) && seen.connections != Fit::Unknown);
                } else {
                    prop_assert!(step.to >= policy.min && (sync == 0 || step.to > sync));
                    prop_assert!(by_spec || seen.beside.is_empty(), "what leans on it is not steady");
                    let stay = || seen.replicas.iter().filter(|replica| replica.ordinal < step.to);
                    prop_assert!(stay().all(|replica| trusted(&replica.lag)));
                    let serving = || seen.replicas.iter().filter(|replica| replica.serving);
                    prop_assert!(by_spec || serving().all(|replica| trusted(&replica.load)), "lowered by a value that is none");
                }
            }
        }
    }
}
