//! Latency over budget as evidence about the capacity of a pod.

use crate::common::*;
use learningplatform_decide::*;

fn policy(min: u32, max: u32) -> Policy {
    let mut policy = eager_policy(min, max);
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy
}

fn tick(world: &mut World, rate: f64, latency: f64) -> Decision {
    let sample = Sample::value(latency, Some(world.now));
    world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
    world.tick(rate)
}

fn ticks(world: &mut World, count: usize, rate: f64, latency: f64) -> Decision {
    let mut last = tick(world, rate, latency);
    for _ in 1..count {
        last = tick(world, rate, latency);
    }
    last
}

fn k(decision: &Decision) -> f64 {
    decision.latency.as_ref().unwrap().k
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn a_breach_of_half_a_minute_lowers_what_a_pod_is_assumed_to_carry_to_what_it_has_shown() {
    // (rate on 4 pods of 100, utilization) -> k
    for (rate, utilization, expected) in [
        (300.0, 100, 0.6),
        (260.0, 100, 0.52),
        (250.0, 100, 0.5),
        (100.0, 100, 0.5),
        (300.0, 80, 0.75),
        (320.0, 80, 0.8),
    ] {
        let mut policy = policy(4, 20);
        policy.demand[0].utilization_percent = utilization;
        let mut world = World::new(policy, 4);
        assert!(close(k(&ticks(&mut world, 6, rate, 0.21)), 1.0), "25 s are no breach");
        let decision = tick(&mut world, rate, 0.21);
        assert!(close(k(&decision), expected), "{rate} at {utilization} %: {}", k(&decision));
        let per_pod = decision.signals[0].per_pod;
        assert!(close(per_pod, f64::from(utilization) * expected));
        if decision.floor > 4 {
            assert_eq!(decision.stages[1].why, Why::CapacityCorrected { k: k(&decision), per_pod });
        }
        let pods = (rate / (f64::from(utilization) * expected) - 1e-9).ceil() as u32;
        assert_eq!(decision.floor, pods.max(4));
        let raises = decision.would_scale_if[0].raises_above.expect("there is room");
        assert!(close(raises, f64::from(decision.floor) * per_pod), "{raises}");
        assert!(decision.latency.unwrap().on_trial);
    }
}

#[test]
fn a_load_that_pods_complete_as_planned_takes_no_correction() {
    // 4 pods that complete 125 each: demand asks for more by itself.
    let mut world = World::new(policy(4, 20), 4);
    world.policy.behavior.up.select = SelectPolicy::Disabled;
    let decision = ticks(&mut world, 12, 500.0, 0.5);
    assert!(close(k(&decision), 1.0));
    let latency = decision.latency.unwrap();
    assert!(!latency.on_trial && latency.over_budget);
}

#[test]
fn latency_at_the_budget_is_within_it() {
    let mut world = World::new(policy(1, 20), 4);
    let decision = ticks(&mut world, 20, 90.0, 0.2);
    assert_eq!((decision.floor, k(&decision)), (1, 1.0));
    assert!(!decision.latency.unwrap().over_budget);
}

#[test]
fn a_breach_is_broken_by_one_good_value() {
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 6, 300.0, 0.3);
    tick(&mut world, 300.0, 0.19);
    assert!(close(k(&ticks(&mut world, 6, 300.0, 0.3)), 1.0));
    assert!(k(&tick(&mut world, 300.0, 0.3)) < 1.0);
}

#[test]
fn a_missed_poll_does_not_start_the_breach_anew_and_a_long_silence_does() {
    // Two missed polls are within three scrapes, and no grace follows them.
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 4, 300.0, 0.3);
    for _ in 0..2 {
        world.input.latency.as_mut().unwrap().sample = Sample::NoData;
        assert!(close(k(&world.tick(300.0)), 1.0));
    }
    assert!(k(&tick(&mut world, 300.0, 0.3)) < 1.0, "35 s after the first");

    // With short scrapes the same silence is too long, whatever the other sources do.
    for own in [None, Some(secs(4))] {
        let mut world = World::new(policy(4, 20), 4);
        world.policy.scrape_interval = if own.is_some() { secs(60) } else { secs(4) };
        let over = |world: &mut World| {
            let sample = Sample::value(0.3, Some(world.now));
            let sample = own.map_or(sample.clone(), |interval| sample.scraped_every(interval));
            world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
            k(&world.tick(300.0))
        };
        assert!((0..4).all(|_| close(over(&mut world), 1.0)));
        for _ in 0..2 {
            world.input.latency.as_mut().unwrap().sample = Sample::NoData;
            world.tick(300.0);
        }
        assert!((0..6).all(|_| close(over(&mut world), 1.0)));
        assert!(over(&mut world) < 1.0);
    }
}

#[test]
fn no_step_is_taken_while_pods_are_missing_a_rollout_runs_or_a_value_is_not_trusted() {
    type Setup = fn(&mut World);
    let table: [(&str, Setup); 6] = [
        ("a pending pod", |world| world.input.replicas.pending = 1),
        ("fewer Ready than the floor", |world| world.input.replicas.ready = 3),
        ("a rollout", |world| world.input.rollout.active = true),
        ("a doubtful rate", |world| {
            let now = world.now;
            world.input.demand =
                vec![DemandInput::single(Sample::value(300.0, Some(now)).doubted(Doubt::PartialResponse), None)];
        }),
        ("a doubtful latency", |world| {
            let latency = world.input.latency.as_mut().unwrap();
            latency.sample = latency.sample.clone().doubted(Doubt::PartialResponse);
        }),
        ("nothing against it", |_| ()),
    ];
    for (what, setup) in table {
        let policy = policy(4, 20);
        let mut state = State::adopt(&policy, START, Adopted { floor: Some(4), cap: None, observed: 4 });
        let mut world = World::new(policy.clone(), 4);
        let mut last = 1.0;
        for count in 0..20 {
            world.now = START.plus(secs(count * TICK));
            let now = world.now;
            world.input = Input {
                now,
                demand: vec![demand(&world, 300.0)],
                latency: Some(LatencyInput { sample: Sample::value(0.3, Some(now)), resolvable: true, started: None }),
                replicas: Replicas { desired: 4, ready: 4, pending: 0, hpa_desired: None },
                ..Input::default()
            };
            setup(&mut world);
            last = k(&advance(&policy, &mut state, &world.input));
        }
        assert_eq!(last < 1.0, what == "nothing against it", "{what}");
    }
}

#[test]
fn pods_that_helped_latency_or_throughput_stay_and_others_go_again() {
    // (latency, rate) after the fifth pod, and whether it helped: 5 % less latency, or 10 % of a pod's worth more.
    let table = [
        (0.30, 300.0, false),
        (0.286, 300.0, false),
        (0.285, 300.0, true),
        (0.30, 309.0, false),
        (0.30, 310.0, true),
        (0.45, 310.0, true),
        (0.25, 200.0, true),
    ];
    for (latency, rate, helped) in table {
        let mut world = World::new(policy(4, 5), 4);
        let decision = ticks(&mut world, 7, 300.0, 0.3);
        assert_eq!(decision.floor, 5);
        // Ready from the next tick on; judged when they have been so for the longest range of 60 s.
        for _ in 0..12 {
            let decision = tick(&mut world, rate, latency);
            assert!(close(k(&decision), 0.6) && decision.latency.unwrap().on_trial, "not judged yet");
        }
        let decision = tick(&mut world, rate, latency);
        let finding = decision.findings.iter().find(|finding| finding.reason() == "LatencyNotHelpedByPods");
        assert_eq!(finding.is_none(), helped, "{latency} s, {rate} requests/s");
        assert_eq!(close(k(&decision), 1.0), !helped);
        if !helped {
            // The floor follows, though latency is still over budget, and no new step is taken for ten minutes.
            assert_eq!(decision.floor, 4);
            let until = decision.at.plus(secs(600));
            assert_eq!(finding, Some(&Finding::LatencyNotHelpedByPods { until }));
            for _ in 1..120 {
                let decision = tick(&mut world, 300.0, 0.3);
                assert!(close(k(&decision), 1.0) && !decision.findings.is_empty());
            }
            let decision = tick(&mut world, 300.0, 0.3);
            assert!(close(k(&decision), 0.6), "then it is tried again");
            assert!(decision.findings.is_empty());
        }
    }
}

#[test]
fn what_helped_is_measured_by_the_pods_that_were_added() {
    for (rate, helped) in [(310.0, false), (319.0, false), (320.0, true)] {
        let mut world = World::new(policy(4, 6), 4);
        world.hpa_wish = 6;
        world.policy.max_replicas = 5;
        ticks(&mut world, 1, 300.0, 0.3);
        world.replicas = 4;
        world.hpa_wish = 0;
        ticks(&mut world, 6, 300.0, 0.3);
        // Two pods are added: a tenth of both is asked for.
        world.policy.max_replicas = 6;
        world.replicas = 4;
        world.hpa_wish = 6;
        tick(&mut world, 300.0, 0.3);
        let decision = ticks(&mut world, 13, rate, 0.3);
        assert_eq!(world.ready, 6);
        assert_eq!(decision.findings.is_empty(), helped, "{rate}");
    }
}

#[test]
fn at_exactly_four_fifths_of_the_budget_nothing_recovers() {
    let mut policy = policy(4, 20);
    policy.latency = Some(Latency::new("latency p95", 0.25));
    let mut world = World::new(policy, 4);
    ticks(&mut world, 7, 300.0, 0.3);
    assert!(close(k(&ticks(&mut world, 60, 300.0, 0.25 * 0.8)), 0.6));
}

#[test]
fn a_budget_that_cannot_be_told_forgets_the_correction_but_not_the_sources_health() {
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 7, 300.0, 0.3);
    let with = |world: &mut World, sample: Sample, resolvable| {
        world.input.latency = Some(LatencyInput { sample, resolvable, started: None });
        world.tick(300.0)
    };
    assert!(close(k(&with(&mut world, Sample::value(0.3, None), false)), 1.0));
    assert!(close(k(&with(&mut world, Sample::value(0.3, None), true)), 1.0), "the breach begins anew");
    for _ in 0..13 {
        with(&mut world, Sample::NoData, false);
    }
    let latency = with(&mut world, Sample::value(0.1, None), true).latency.unwrap();
    assert_eq!(latency.state, SignalState::RaiseOnly(Doubt::Recovering));
}

#[test]
fn a_trial_counts_from_the_moment_that_pods_were_added() {
    let mut world = World::new(policy(4, 20), 4);
    world.start_time = secs(30);
    ticks(&mut world, 7, 300.0, 0.3);
    // While the fifth pod starts, latency doubles: that is what it is compared with.
    ticks(&mut world, 6, 300.0, 0.6);
    for _ in 0..12 {
        assert!(tick(&mut world, 300.0, 0.5).latency.unwrap().on_trial);
    }
    let decision = tick(&mut world, 300.0, 0.5);
    assert_eq!(decision.findings, [], "0.5 is less than 0.6, though more than 0.3");
    assert!(close(k(&decision), 0.5), "it helped, but not enough: the next trial follows");
    assert!(decision.latency.unwrap().on_trial);
}

#[test]
fn a_longer_settling_time_is_waited_for() {
    let mut world = World::new(policy(4, 20), 4);
    world.policy.tunables.settle = secs(90);
    ticks(&mut world, 7, 300.0, 0.3);
    for _ in 0..18 {
        assert!(tick(&mut world, 300.0, 0.3).findings.is_empty());
    }
    assert!(!tick(&mut world, 300.0, 0.3).findings.is_empty());
}

#[test]
fn capacity_recovers_by_a_twentieth_a_minute_while_latency_is_well_under_budget() {
    let start = |world: &mut World| {
        let decision = ticks(world, 7, 300.0, 0.3);
        assert!(close(k(&decision), 0.6));
    };
    // 0.16 is 80 % of the budget.
    for (latency, recovers) in [(0.159, true), (0.1601, false), (0.19, false), (0.2, false)] {
        let mut world = World::new(policy(4, 20), 4);
        start(&mut world);
        let mut values = Vec::new();
        for _ in 0..24 {
            values.push(k(&tick(&mut world, 300.0, latency)));
        }
        let expected = if recovers { [0.6, 0.65, 0.65, 0.7] } else { [0.6; 4] };
        for (value, expected) in [values[10], values[11], values[22], values[23]].iter().zip(expected) {
            assert!(close(*value, expected), "{latency} s: {values:?}");
        }
        let last = k(&ticks(&mut world, 200, 300.0, latency));
        assert!(close(last, if recovers { 1.0 } else { 0.6 }), "never above 1: {last}");
    }
    // A warm moment in between starts the minute anew; a missing value only stops it.
    let mut world = World::new(policy(4, 20), 4);
    start(&mut world);
    ticks(&mut world, 11, 300.0, 0.1);
    tick(&mut world, 300.0, 0.18);
    assert!(close(k(&ticks(&mut world, 11, 300.0, 0.1)), 0.6));
    world.input.latency.as_mut().unwrap().sample = Sample::NoData;
    assert!(close(k(&world.tick(300.0)), 0.6), "frozen");
    assert!(close(k(&tick(&mut world, 300.0, 0.1)), 0.65));
}

#[test]
fn capacity_is_frozen_during_a_rollout() {
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 7, 300.0, 0.3);
    world.input.rollout.active = true;
    let decision = ticks(&mut world, 60, 300.0, 0.1);
    assert!(close(k(&decision), 0.6));
    assert!(!decision.latency.unwrap().on_trial, "a trial across two templates proves nothing");
    world.input.rollout.active = false;
    assert!(close(k(&ticks(&mut world, 12, 300.0, 0.1)), 0.65));
}

#[test]
fn idle_time_relaxes_capacity_and_ends_a_breach() {
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 7, 300.0, 0.3);
    world.input.latency.as_mut().unwrap().sample = Sample::value(f64::NAN, None);
    let mut last = world.tick(0.0);
    for _ in 0..11 {
        last = world.tick(0.0);
    }
    assert!(close(k(&last), 0.65));
    let latency = last.latency.as_ref().unwrap();
    assert!(!latency.on_trial && !latency.over_budget);
    assert!(last.metrics.unwrap().status, "no traffic is not a failure");

    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 6, 300.0, 0.3);
    tick(&mut world, 0.0, 0.3);
    assert!(close(k(&ticks(&mut world, 6, 300.0, 0.3)), 1.0), "the breach begins anew");
}

#[test]
fn a_missing_latency_blocks_lowering_without_fallback() {
    let mut policy = policy(1, 20);
    policy.fallback_replicas = Some(12);
    let mut world = World::new(policy, 6);
    for _ in 0..40 {
        world.input.latency = None;
        let decision = world.tick(90.0);
        assert_eq!((decision.floor, decision.reason), (6, Reason::Held));
        let metrics = decision.metrics.unwrap();
        assert_eq!((metrics.status, metrics.reason, metrics.fallback), (false, MetricsReason::NoSeries, None));
        assert_eq!(metrics.to_string(), "latency p95: the query matches no series");
    }
    assert_eq!(world.tick(900.0).floor, 9, "raising goes on");
}

#[test]
fn latency_has_the_grace_of_its_source_too() {
    let mut world = World::new(policy(1, 20), 6);
    let restarted = |world: &mut World, started: u64| {
        let sample = Sample::value(0.1, Some(world.now));
        world.input.latency = Some(LatencyInput { sample, resolvable: true, started: Some(START.plus(secs(started))) });
        world.tick(90.0).floor
    };
    assert_eq!(restarted(&mut world, 0), 1);
    let mut world = World::new(policy(1, 20), 6);
    world.tick(600.0);
    assert_eq!(restarted(&mut world, 0), 1, "the first sight of a source is no restart");
    let mut world = World::new(policy(1, 20), 6);
    for tick in 0..14 {
        world.input.demand = vec![demand(&world, 600.0)];
        let value = if tick == 0 { 600.0 } else { 90.0 };
        let sample = Sample::value(0.1, Some(world.now));
        world.input.latency =
            Some(LatencyInput { sample, resolvable: true, started: Some(START.plus(secs(tick.min(1)))) });
        let floor = world.tick(value).floor;
        assert_eq!(floor, if tick < 13 { 6 } else { 1 }, "tick {tick}");
    }
}

#[test]
fn over_budget_nothing_is_lowered() {
    let mut world = World::new(policy(1, 20), 6);
    let decision = tick(&mut world, 90.0, 0.201);
    assert_eq!((decision.floor, decision.reason), (6, Reason::Held));
    assert_eq!(decision.sentence(), "latency 0.201 s is over its budget of 0.2 s, so low demand proves nothing");
    assert_eq!(tick(&mut world, 90.0, 0.2).floor, 1);
}

#[test]
fn a_budget_that_the_buckets_cannot_tell_corrects_and_blocks_nothing() {
    let mut world = World::new(policy(1, 20), 6);
    for _ in 0..20 {
        let sample = Sample::value(0.5, Some(world.now));
        world.input.latency = Some(LatencyInput { sample, resolvable: false, started: None });
        let decision = world.tick(90.0);
        assert_eq!((decision.floor, k(&decision)), (1, 1.0));
        assert_eq!(decision.findings, [Finding::BudgetNotResolvable { budget: 0.2 }]);
        assert!(decision.metrics.unwrap().status);
        assert!(!decision.latency.unwrap().over_budget);
    }
    let budget = Latency::new("latency p95", 0.2);
    for (bounds, resolves) in [
        (vec![0.1], true),
        (vec![0.4], true),
        (vec![0.2, 5.0], true),
        (vec![0.099, 0.401], false),
        (vec![0.5, 1.0, 5.0, 10.0, 25.0, f64::INFINITY], false),
        (vec![], false),
    ] {
        assert_eq!(budget.resolves(&bounds), resolves, "{bounds:?}");
    }
}

#[test]
fn with_several_signals_the_one_that_shows_most_counts() {
    let mut policy = policy(4, 40);
    policy.demand.push(Demand::concurrency(10.0));
    let mut world = World::new(policy, 4);
    let mut last = None;
    for _ in 0..7 {
        world.input.latency =
            Some(LatencyInput { sample: Sample::value(0.3, Some(world.now)), resolvable: true, started: None });
        world.input.demand = vec![demand(&world, 200.0), demand(&world, 36.0)];
        last = Some(world.step());
    }
    assert!(close(k(&last.unwrap()), 0.72), "36 of 40 in flight, less a fifth");
}

#[test]
fn a_budget_without_a_demand_signal_only_forbids_lowering() {
    let mut policy = policy(1, 20);
    policy.demand.clear();
    let mut world = World::new(policy, 6);
    let mut step = |seconds| {
        world.input.latency =
            Some(LatencyInput { sample: Sample::value(seconds, Some(world.now)), resolvable: true, started: None });
        world.step()
    };
    for _ in 0..10 {
        let decision = step(0.3);
        assert_eq!((decision.floor, k(&decision)), (6, 1.0), "nothing says what a pod completes");
    }
    assert_eq!(step(0.1).floor, 1);
}

#[test]
fn a_lost_history_keeps_the_capacity_and_starts_every_clock_anew() {
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 7, 300.0, 0.3);
    world.now = world.now.plus(secs(60));
    let decision = tick(&mut world, 300.0, 0.3);
    assert!(close(k(&decision), 0.6) && !decision.latency.unwrap().on_trial);
    // The same on the way: six ticks before the silence count for nothing after it.
    let mut world = World::new(policy(4, 20), 4);
    ticks(&mut world, 6, 300.0, 0.3);
    world.now = world.now.plus(secs(11));
    assert!(close(k(&ticks(&mut world, 6, 300.0, 0.3)), 1.0));
    assert!(k(&tick(&mut world, 300.0, 0.3)) < 1.0);
}
