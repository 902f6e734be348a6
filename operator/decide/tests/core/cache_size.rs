//! How many shards and replicas a cache needs.

use crate::common::{START, script, secs};
use crate::tier_order::beside;
use learningplatform_decide::cache_size::{self, Decision, Input, Memory, Policy, What};
use learningplatform_decide::tier_size::{Asked, Cause, Operation, Proposal};
use learningplatform_decide::{Doubt, Figure, Sample, Symptom, TierKind, Time, Trust, Tunables};
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

const GIB: f64 = 1_073_741_824.0;

/// 1 to 6 shards with 0 to 2 replicas, of 1000 operations per second each.
fn policy() -> Policy {
    Policy { shards: (1, 6), replicas: (0, 2), per_node: Some(1000.0) }
}

/// `shards` of 1 GiB that use this share of it, with one replica each; nothing speaks against any move.
fn input(shards: u32, used: f64, load: f64) -> Input {
    Input {
        now: START,
        shards,
        replicas: 1,
        load: value(load),
        used: value(used * GIB * f64::from(shards)),
        max_memory: 1 << 30,
        evictions: value(0.0),
        links_up: Some(true),
        under_way: None,
        last_move: None,
        asked: None,
        primaries: vec![Symptom::new("main", Figure::PrimaryCpu, value(0.5), &Tunables::default())],
        beside: Vec::new(),
    }
}

fn decide(policy: &Policy, memory: &mut Memory, input: &Input) -> Decision {
    cache_size::decide(&Tunables::default(), policy, memory, input)
}

fn once(policy: &Policy, input: &Input) -> Decision {
    decide(policy, &mut Memory::default(), input)
}

fn lasting(policy: &Policy, input: &Input, seconds: u64) -> Decision {
    let mut memory = Memory::default();
    let mut last = None;
    for second in (0..=seconds).step_by(5) {
        last = Some(decide(policy, &mut memory, &Input { now: at(second), ..input.clone() }));
    }
    last.unwrap()
}

fn step(decision: &Decision) -> Option<(What, u32, u32)> {
    decision.step.as_ref().map(|step| (step.what, step.from, step.to))
}

fn waits(decision: &Decision) -> String {
    decision.waits.as_ref().map(|(_, gate)| gate.to_string()).unwrap_or_default()
}

#[test]
fn shards_follow_memory_and_evictions_and_replicas_the_load() {
    use What::{Replicas, Shards};
    let evicting = |rate| Input { evictions: value(rate), ..input(3, 0.8, 5500.0) };
    let table = [
        (input(3, 0.85, 5500.0), None, "full enough"),
        (input(3, 0.86, 5500.0), Some((Shards, 3, 4)), "too full"),
        (evicting(100.0), None, "few evictions"),
        (evicting(101.0), Some((Shards, 3, 4)), "many evictions"),
        (input(3, 0.8, 6001.0), Some((Replicas, 1, 2)), "7 nodes of 6"),
        (input(3, 0.9, 6001.0), Some((Shards, 3, 4)), "memory first: nothing may be lost"),
        (input(6, 0.9, 11_500.0), None, "the most shards"),
        (Input { replicas: 2, ..input(3, 0.8, 90_000.0) }, None, "the most replicas"),
        (input(3, 0.46, 5500.0), None, "two shards would use 69 %, but could not carry the load"),
        (input(3, 0.46, 3600.0), Some((Shards, 3, 2)), "they could"),
        (input(3, 0.47, 3600.0), None, "70.5 % afterwards"),
        (input(3, 0.8, 2700.0), Some((Replicas, 1, 0)), "2970 on 3 nodes"),
        (input(3, 0.8, 2800.0), None, "3080 on 3 nodes"),
        (input(1, 0.1, 1500.0), None, "the last shard stays"),
        (Input { max_memory: 0, ..input(3, 0.9, 5500.0) }, None, "memory without a limit is never full"),
    ];
    for (seen, expected, why) in table {
        assert_eq!(step(&lasting(&policy(), &seen, 300)), expected, "{why}");
    }
    let by_memory = Policy { per_node: None, ..policy() };
    assert_eq!(step(&lasting(&by_memory, &input(3, 0.8, 90_000.0), 300)), None, "load that decides nothing");
    assert_eq!(step(&lasting(&by_memory, &input(3, 0.3, 90_000.0), 300)), Some((Shards, 3, 2)));
    let cause = |seen: &Input| lasting(&policy(), seen, 300).step.unwrap().cause.to_string();
    assert_eq!(cause(&input(3, 0.9, 100.0)), "90 % of the memory is used");
    assert_eq!(cause(&evicting(150.0)), "150 keys are evicted per second");
    assert_eq!(cause(&input(3, 0.8, 6001.0)), "a load of 6001 at 1000 per node");
}

#[test]
fn the_specs_bounds_are_moved_to_at_once_and_one_at_a_time() {
    use What::{Replicas, Shards};
    let moved = |shards, replicas| Input { replicas, last_move: Some(START), ..input(shards, 0.3, 100.0) };
    let spec = Policy { shards: (3, 4), replicas: (1, 2), per_node: None };
    let table = [
        (moved(1, 0), Some((Shards, 1, 2)), "the spec asks for at least 3"),
        (moved(3, 0), Some((Replicas, 0, 1)), "the spec asks for at least 1"),
        (moved(6, 5), Some((Shards, 6, 5)), "the spec allows 4"),
        (moved(4, 5), Some((Replicas, 5, 4)), "the spec allows 2"),
    ];
    for (seen, expected, cause) in table {
        let decision = once(&spec, &seen);
        assert_eq!((step(&decision), decision.step.unwrap().cause.to_string().as_str()), (expected, cause));
    }
    // Bounds that cannot be are the fewest, and there is always a shard.
    assert_eq!(step(&once(&Policy { shards: (0, 0), ..spec }, &moved(1, 1))), None);
    // An app that asks does not keep the spec from being followed.
    let asking = Input { asked: asked(Figure::LockWait), ..moved(6, 2) };
    let spec = Policy { shards: (3, 4), replicas: (1, 2), per_node: None };
    assert_eq!(step(&once(&spec, &asking)), Some((Shards, 6, 5)));
}

#[test]
fn an_app_that_is_slow_for_the_caches_sake_asks_for_more_of_it() {
    use What::{Replicas, Shards};
    let with = |figure, shards, replicas| Input { replicas, asked: asked(figure), ..input(shards, 0.3, 100.0) };
    let table = [
        (with(Figure::Evictions, 3, 1), Some((Shards, 3, 4))),
        (with(Figure::Evictions, 6, 1), None),
        (with(Figure::CacheCpu, 3, 1), Some((Replicas, 1, 2))),
        (with(Figure::CacheCpu, 3, 2), Some((Shards, 3, 4))),
        (with(Figure::CacheCpu, 6, 2), None),
    ];
    for (seen, expected) in table {
        assert_eq!(step(&lasting(&policy(), &seen, 600)), expected, "{:?} at {} shards", seen.asked, seen.shards);
    }
    let other = with(Figure::PrimaryCpu, 3, 1);
    assert_eq!(step(&lasting(&policy(), &other, 600)), Some((Replicas, 1, 0)), "another tier's trouble");
}

#[test]
fn one_operation_at_a_time_and_the_next_when_every_replica_is_linked() {
    type Break = fn(&mut Input);
    let table: [(Break, &str); 4] = [
        (|input| input.under_way = Some(Operation::SlotMigration), "slots are moving"),
        (|input| input.under_way = Some(Operation::Failover), "a failover is under way"),
        (|input| input.links_up = Some(false), "not every replica is known to be linked to its primary"),
        (|input| input.links_up = None, "not every replica is known to be linked to its primary"),
    ];
    for (close, why) in table {
        for mut seen in [input(3, 0.9, 100.0), input(3, 0.3, 100.0), input(7, 0.3, 100.0)] {
            close(&mut seen);
            let decision = lasting(&policy(), &seen, 600);
            assert_eq!((step(&decision), waits(&decision).as_str()), (None, why));
        }
    }
    let moved = Input { last_move: Some(at(10)), now: at(20), ..input(3, 0.9, 100.0) };
    assert_eq!(waits(&once(&policy(), &moved)), "the last move was a short while ago: not before 2027-01-15T08:05:10Z");
}

#[test]
fn nothing_shrinks_by_a_figure_that_is_missing_or_onto_a_primary_that_is_busy() {
    let doubtful = || value(0.1).doubted(Doubt::PartialResponse);
    type Break = fn(&mut Input, Sample);
    let figures: [(Break, &str); 3] = [
        (|input, sample| input.used = sample, "used"),
        (|input, sample| input.evictions = sample, "evictions"),
        (|input, sample| input.load = sample, "load"),
    ];
    for (close, what) in figures {
        for sample in [Sample::NoData, doubtful(), Sample::value(f64::NAN, None)] {
            let mut seen = Input { replicas: 0, ..input(3, 0.3, 100.0) };
            close(&mut seen, sample);
            assert_eq!(lasting(&policy(), &seen, 600), Decision { step: None, waits: None }, "{what}");
        }
    }
    // By the spec, too, no shard goes whose keys may not fit.
    let spec = Policy { shards: (1, 2), ..policy() };
    for (used, why) in [
        (value(2.2 * GIB), "110 % of the memory would be used afterwards, and at most 70 % may be"),
        (Sample::NoData, "the memory used is not known"),
    ] {
        let decision = once(&spec, &Input { used, ..input(3, 0.3, 100.0) });
        assert_eq!((step(&decision), waits(&decision).as_str()), (None, why));
    }
    let primary = |sample| Symptom::new("main", Figure::PrimaryCpu, sample, &Tunables::default());
    for (sample, takes) in [(value(0.85), true), (value(0.86), false), (Sample::NoData, false), (doubtful(), false)] {
        let seen = Input { primaries: vec![primary(value(0.1)), primary(sample)], ..input(3, 0.3, 100.0) };
        let decision = lasting(&policy(), &seen, 300);
        assert_eq!(step(&decision).is_some(), takes);
        let why = "main would get the load, and is not known to be able to take it";
        assert_eq!(waits(&decision), if takes { "" } else { why });
        // The spec's own wish does not wait for that, and growth never does.
        assert!(once(&spec, &seen).step.is_some());
        assert!(once(&policy(), &Input { used: value(2.9 * GIB), ..seen }).step.is_some());
    }
    assert!(lasting(&policy(), &Input { primaries: vec![], ..input(3, 0.3, 100.0) }, 300).step.is_some());
}

#[test]
fn less_must_be_enough_for_five_minutes_of_each_kind() {
    let seen = input(3, 0.3, 100.0);
    let decision = lasting(&policy(), &seen, 295);
    assert_eq!(waits(&decision), "it must need less for longer: not before 2027-01-15T08:05:00Z");
    assert_eq!(step(&lasting(&policy(), &seen, 300)), Some((What::Replicas, 1, 0)), "replicas first");
    // The load was high until now, the memory was not: replicas wait, shards would not.
    let mut memory = Memory::default();
    for second in (0..=300).step_by(5) {
        decide(&policy(), &mut memory, &Input { now: at(second), replicas: 0, ..input(3, 0.3, 1500.0) });
    }
    let decision = decide(&policy(), &mut memory, &Input { now: at(305), replicas: 0, ..input(3, 0.3, 100.0) });
    assert_eq!(step(&decision), Some((What::Shards, 3, 2)));
    // The same evaluation again changes nothing.
    let before = memory.clone();
    decide(&policy(), &mut memory, &Input { now: at(305), replicas: 0, ..input(3, 0.9, 100.0) });
    assert_eq!(memory, before);
}

fn sample(most: f64) -> impl Strategy<Value = Sample> {
    prop_oneof![
        6 => (0.0..most).prop_map(value),
        1 => (0.0..most).prop_map(|number| value(number).doubted(Doubt::PartialResponse)),
        1 => script::broken(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// INV-NO-VALUE-NO-LOWER, and the gates of 2.14, whatever is seen.
    #[test]
    fn inv_cache(
        (shards, replicas) in (1..8_u32, 0..4_u32),
        (load, used, evictions, cpu) in (sample(9000.0), sample(8.0 * GIB), sample(200.0), sample(1.2)),
        links_up in prop::option::weighted(0.9, prop::bool::weighted(0.9)),
        moving in prop::bool::weighted(0.1),
        asks in prop::option::weighted(0.2, prop::sample::select(vec![Figure::CacheCpu, Figure::Evictions, Figure::LockWait])),
        beside in beside(),
    ) {
        let primaries = vec![Symptom::new("main", Figure::PrimaryCpu, cpu.clone(), &Tunables::default())];
        let seen = Input {
            shards,
            replicas,
            load: load.clone(),
            used: used.clone(),
            evictions: evictions.clone(),
            links_up,
            under_way: moving.then_some(Operation::SlotMigration),
            asked: asks.and_then(asked),
            primaries,
            beside: beside.clone(),
            ..input(1, 0.0, 0.0)
        };
        let decision = lasting(&policy(), &seen, 300);
        let Some(step) = &decision.step else { return Ok(()) };
        prop_assert!(decision.waits.is_none() && step.to.abs_diff(step.from) == 1);
        prop_assert!(!moving && links_up == Some(true));
        let (min, max) = if step.what == What::Shards { policy().shards } else { policy().replicas };
        let by_spec = matches!(step.cause, Cause::Minimum(_) | Cause::Maximum(_));
        prop_assert!(by_spec || (min..=max).contains(&step.to));
        let full = |sample: &Sample| match sample {
            Sample::Value(value) if value.trust() == Trust::Full => Some(value.get()),
            _ => None,
        };
        let (grows, now) = (step.to > step.from, at(300));
        let first = |other: &Proposal| match (grows, other.grows) {
            (true, grows) => grows && other.kind == TierKind::ReadReplicas && now.since(other.since) < secs(30),
            (false, grows) => grows || other.kind == TierKind::App,
        };
        prop_assert!(by_spec || !beside.iter().any(first), "out of turn: {beside:?}");
        if step.to < step.from {
            let after = |used: f64| used / (f64::from(shards - 1) * GIB) <= 0.7;
            prop_assert!(step.what == What::Replicas || full(&used).is_some_and(after));
            prop_assert!(by_spec || (full(&load).is_some() && full(&cpu).is_some_and(|cpu| cpu <= 0.85)));
            prop_assert!(by_spec || step.what == What::Replicas || full(&evictions).is_some());
        }
    }
}
