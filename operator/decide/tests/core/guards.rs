//! What over a window makes low demand suspect, and what losing the history costs.

use crate::common::*;
use learningplatform_decide::*;

/// Eager but for a down window of 100 s.
fn policy() -> Policy {
    let mut policy = eager_policy(1, 20);
    policy.behavior.down.stabilization_window = secs(100);
    policy
}

/// A world whose windows are full of low demand, so that only a guard can hold the floor of 10.
fn low(policy: Policy, mut each: impl FnMut(usize, &mut World)) -> Decision {
    let mut world = World::new(policy, 10);
    let mut last = None;
    for tick in 0..22 {
        world.input.demand = vec![demand(&world, 90.0)];
        each(tick, &mut world);
        last = Some(world.step());
        if world.state.floor() < 10 {
            break;
        }
    }
    last.unwrap()
}

#[test]
fn the_windows_alone_lower_after_their_length() {
    let mut ticks = 0;
    let decision = low(policy(), |tick, _| ticks = tick);
    assert_eq!((ticks, decision.floor), (20, 1));
}

#[test]
fn the_history_after_a_start_is_named_with_its_end() {
    let mut world = World::new(policy(), 10);
    let decision = world.tick(90.0);
    assert_eq!(decision.reason, Reason::Stabilising);
    assert_eq!(decision.sentence(), format!("the history is too short to lower before {}", START.plus(secs(100))));
}

#[test]
fn lowering_needs_trusted_values_in_four_fifths_of_the_window() {
    // Failures in pairs, far enough apart to be no outage.
    for (bad, lowered) in [(0, true), (2, true), (4, true), (6, false)] {
        let decision = low(policy(), |tick, world| {
            if tick % 3 != 0 && tick / 3 < bad / 2 {
                world.input.demand = vec![failing(SourceErrorKind::Timeout)];
            }
        });
        assert_eq!(decision.floor == 1, lowered, "{bad} bad ticks of 20: {}", decision.sentence());
        if !lowered {
            assert_eq!(decision.sentence(), "only 75 % of the down window had trusted values; lowering needs 80 %");
        }
    }
}

#[test]
fn held_ticks_are_no_candidates() {
    // A doubtful peak holds its tick, and is forgotten: it is no candidate for the window.
    let decision = low(policy(), |tick, world| {
        if tick == 10 {
            let now = world.now;
            let sample = Sample::value(950.0, Some(now)).doubted(Doubt::PartialResponse);
            world.input.demand = vec![DemandInput::single(sample, None)];
        }
    });
    assert_eq!(decision.floor, 1);
    // A trusted one is a candidate like any other.
    let decision = low(policy(), |tick, world| {
        if tick == 10 {
            world.input.demand = vec![demand(world, 640.0)];
        }
    });
    assert_eq!((decision.floor, decision.sentence().as_str()), (8, "the most that was asked for in the last 1m40s"));
}

#[test]
fn lowering_needs_nine_tenths_of_the_pods_ready_over_the_window() {
    // (ticks of 20 with pods missing, pods missing of 10) -> lowered
    for (ticks, missing, lowered) in
        [(20, 0, true), (20, 1, true), (20, 2, false), (10, 2, true), (11, 2, false), (2, 10, true), (3, 10, false)]
    {
        let decision = low_ready(ticks, missing);
        assert_eq!(decision.floor == 1, lowered, "{missing} missing for {ticks} ticks: {}", decision.sentence());
        if ticks == 20 && missing == 2 {
            assert_eq!(
                decision.sentence(),
                "only 80 % of the pods were Ready over the down window; lowering needs 90 %"
            );
        }
    }
}

fn low_ready(ticks: u64, missing: u32) -> Decision {
    let policy = policy();
    let mut state = State::adopt(&policy, START, Adopted { floor: Some(10), cap: None, observed: 10 });
    let mut last = None;
    for tick in 0..=20 {
        let now = START.plus(secs(tick * TICK));
        let ready = if (1..=ticks).contains(&tick) { 10 - missing } else { 10 };
        let input = Input {
            now,
            demand: vec![DemandInput::single(Sample::value(90.0, Some(now)), None)],
            replicas: Replicas { desired: 10, ready, pending: 0, hpa_desired: None },
            ..Input::default()
        };
        last = Some(advance(&policy, &mut state, &input));
    }
    last.unwrap()
}

#[test]
fn more_pods_ready_than_desired_count_as_all() {
    let policy = policy();
    let mut state = State::adopt(&policy, START, Adopted { floor: Some(10), cap: None, observed: 10 });
    let mut last = None;
    for tick in 0..=20 {
        let now = START.plus(secs(tick * TICK));
        let (desired, ready) = if tick % 2 == 0 { (10, 7) } else { (10, 40) };
        let input = Input {
            now,
            demand: vec![DemandInput::single(Sample::value(90.0, Some(now)), None)],
            replicas: Replicas { desired, ready, pending: 0, hpa_desired: None },
            ..Input::default()
        };
        last = Some(advance(&policy, &mut state, &input));
    }
    assert_eq!(last.unwrap().sentence(), "only 85 % of the pods were Ready over the down window; lowering needs 90 %");
}

#[test]
fn more_errors_than_usual_hold_and_what_lasts_becomes_usual() {
    let share = |world: &World, share: f64| Some(Sample::value(share, Some(world.now)));
    let decision = low(policy(), |_, world| world.input.error_share = share(world, 0.3));
    assert_eq!(decision.floor, 10);
    let Why::MoreErrors { share: now, usual } = decision.stages[5].why else { panic!("{}", decision.sentence()) };
    assert_eq!(now, 0.3);
    assert!((usual - 0.3 * 105.0 / 3600.0).abs() < 2e-4, "an hour's average: {usual}");
    // One per cent is never more than usual, and anything but a trusted value is ignored.
    assert_eq!(low(policy(), |_, world| world.input.error_share = share(world, 0.01)).floor, 1);
    assert_eq!(low(policy(), |_, world| world.input.error_share = Some(Sample::value(f64::NAN, None))).floor, 1);
    let doubted = |_, world: &mut World| {
        world.input.error_share = share(world, 0.9).map(|sample| sample.doubted(Doubt::PartialResponse))
    };
    assert_eq!(low(policy(), doubted).floor, 1);
    // Usually three per cent: six and a bit are too many, less is not.
    for (errors, lowered) in [(0.069, true), (0.073, false)] {
        let mut policy = policy();
        policy.tunables.error_memory = Duration::ZERO;
        let decision = low(policy, |tick, world| {
            world.input.error_share = share(world, if tick < 20 { 0.03 } else { errors });
            world.policy.tunables.error_memory = secs(if tick < 20 { 0 } else { 1_000_000 });
        });
        assert_eq!(decision.floor == 1, lowered, "{errors}");
    }
}

#[test]
fn a_collapse_is_named_with_its_end() {
    let mut policy = policy();
    policy.tunables.collapse_hold = secs(900);
    let decision = low(policy, |tick, world| {
        if tick < 2 {
            world.input.demand = vec![demand(world, 180.1)];
        }
    });
    assert_eq!(decision.floor, 10);
    // The last sign of the fall is when the higher value leaves the two minutes.
    let until = START.plus(secs(105 + 900));
    assert_eq!(
        decision.sentence(),
        format!("requestRate fell by more than half at once, which an outage looks like; held until {until}")
    );
    assert_eq!(decision.findings, [Finding::DemandCollapsed { signal: "requestRate".into(), until }]);
}

#[test]
fn a_doubtful_peak_is_no_height_to_fall_from() {
    let mut policy = policy();
    policy.tunables.collapse_hold = secs(900);
    let mut world = World::new(policy, 10);
    let sample = Sample::value(1000.0, Some(world.now)).doubted(Doubt::PartialResponse);
    world.input.demand = vec![DemandInput::single(sample, None)];
    world.step();
    assert_eq!(world.tick(90.0).findings, []);
}

#[test]
fn what_is_usual_is_remembered_over_a_silence() {
    let mut world = World::new(policy(), 10);
    let tick = |world: &mut World| {
        world.input.error_share = Some(Sample::value(0.5, Some(world.now)));
        world.tick(90.0)
    };
    for _ in 0..720 {
        tick(&mut world);
    }
    world.now = world.now.plus(secs(60));
    for _ in 0..20 {
        let why = &tick(&mut world).stages[5].why;
        assert!(!matches!(why, Why::MoreErrors { .. }), "an hour of them made them usual: {why}");
    }
}

#[test]
fn exactly_as_many_errors_as_usual_are_not_more() {
    let mut policy = policy();
    (policy.tunables.error_factor, policy.tunables.error_slack) = (0.0, 0.25);
    let errors = |share| move |_: usize, world: &mut World| world.input.error_share = Some(Sample::value(share, None));
    assert_eq!(low(policy.clone(), errors(0.25)).floor, 1);
    assert_eq!(low(policy, errors(0.26)).floor, 10);
}

#[test]
fn a_steady_app_needs_little_memory() {
    let mut world = World::new(rate_policy(1, 20), 5);
    world.run(100, 480.0);
    let size = |world: &World| serde_json::to_string(&world.state).unwrap().len();
    let before = size(&world);
    world.run(3600, 480.0);
    assert!(size(&world) <= before + 10, "{before} grew to {}", size(&world));
    // Nor does an unsteady one grow without end: 300 s hold at most 60 ticks.
    let mut noisy = || {
        for tick in 0..720 {
            world.ready = 0;
            world.tick(480.0 - f64::from(tick % 71));
        }
        size(&world)
    };
    let first = noisy();
    assert!(first < 8000, "{first} bytes");
    assert_eq!(noisy(), first);
}

#[test]
fn at_the_minimum_a_collapse_is_no_news() {
    let mut policy = rate_policy(3, 20);
    policy.behavior = eager();
    let mut world = World::new(policy, 3);
    world.run(60, 200.0);
    assert_eq!(world.tick(1.0).findings, []);
    let mut policy = rate_policy(3, 20);
    policy.demand[0].activation = 300.0;
    policy.behavior = eager();
    policy.behavior.down.stabilization_window = secs(60);
    let mut world = World::new(policy, 9);
    world.run(5, 300.0);
    assert_eq!(world.tick(1.0).findings, [], "an idle app has nothing to lose");
}

#[test]
fn up_windows_take_the_least() {
    let mut policy = eager_policy(1, 20);
    policy.behavior.up.stabilization_window = secs(30);
    let mut world = World::new(policy, 2);
    world.run(60, 150.0);
    for tick in 0..6 {
        let decision = world.tick(if tick == 3 { 500.0 } else { 900.0 });
        assert_eq!(decision.floor, 2, "tick {tick}");
        assert_eq!(decision.stages[5].why, Why::UpWindow { window: secs(30) });
    }
    assert_eq!(world.tick(900.0).floor, 5, "the dip to 500 is in the window");
    world.run(10, 900.0);
    assert_eq!(world.tick(900.0).floor, 5);
    assert_eq!(world.tick(900.0).floor, 9);
}

#[test]
fn up_windows_begin_with_the_floor_that_was_adopted() {
    let mut policy = eager_policy(1, 20);
    policy.behavior.up.stabilization_window = secs(30);
    let mut world = World::new(policy, 2);
    let floors: Vec<u32> = (0..8).map(|_| world.tick(900.0).floor).collect();
    assert_eq!(floors, [2, 2, 2, 2, 2, 2, 2, 9]);
}

#[test]
fn a_silence_of_more_than_three_intervals_loses_the_history_and_less_does_not() {
    for (silence, lowered) in [(15, true), (16, false)] {
        let mut world = World::new(policy(), 10);
        world.run(100, 90.0);
        world.now = world.now.minus(secs(TICK)).plus(secs(silence));
        assert_eq!(world.tick(90.0).floor == 1, lowered, "{silence} s");
        if !lowered {
            let (seconds, floor) = world.until_change(300, 90.0).unwrap();
            assert_eq!((seconds, floor), (95, 1), "one whole window after the silence");
        }
    }
}

#[test]
fn demand_from_before_a_silence_is_no_peak_and_no_fall() {
    let mut policy = eager_policy(1, 20);
    policy.tunables.collapse_hold = secs(900);
    let mut world = World::new(policy, 10);
    world.run(60, 1000.0);
    world.now = world.now.plus(secs(30));
    assert_eq!(world.tick(90.0).findings, []);
    // Nor does a rollout compare with it.
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 380.0);
    world.now = world.now.plus(secs(30));
    world.input.rollout.active = true;
    assert_eq!(world.tick(410.0).floor, 5);
}

#[test]
fn a_fall_over_a_gap_counts_while_the_gap_is_shorter_than_the_hold() {
    let mut policy = eager_policy(1, 20);
    policy.tunables.collapse_hold = secs(300);
    for (gap, collapsed) in [(295, true), (300, false)] {
        let mut world = World::new(policy.clone(), 10);
        world.run(60, 1000.0);
        for _ in 1..gap / TICK {
            let doubtful = Sample::value(1000.0, Some(world.now)).doubted(Doubt::PartialResponse);
            world.input.demand = vec![DemandInput::single(doubtful, None)];
            world.step();
        }
        let findings = world.tick(90.0).findings;
        assert_eq!(findings.iter().any(|finding| finding.reason() == "DemandCollapsed"), collapsed, "{gap} s");
    }
}

#[test]
fn a_clock_that_is_set_back_loses_everything_but_floor_and_cap() {
    let mut world = World::new(policy(), 10);
    world.policy.max_replicas = 15;
    world.run(200, 950.0);
    assert_eq!((world.state.floor(), world.state.cap()), (10, 15));
    world.now = START.plus(secs(10_000));
    world.run(200, 950.0);
    let back = START.plus(secs(5000));
    world.now = back;
    let decision = world.tick(90.0);
    assert_eq!((decision.at, decision.floor, decision.cap), (back, 10, 15));
    assert_eq!(world.until_change(300, 90.0), Some((95, 1)));

    // A small step back, as of a clock that is being corrected, is a repeated tick.
    let mut world = World::new(policy(), 10);
    world.run(50, 950.0);
    let state = world.state.clone();
    let last = world.now.minus(secs(TICK));
    for back in [1, 15] {
        world.now = last.minus(secs(back));
        let decision = world.tick(950.0);
        assert_eq!(decision.at, last);
        assert_eq!(world.state, state);
    }
    world.now = last.minus(secs(16));
    assert_eq!(world.tick(950.0).at, last.minus(secs(16)));
}

#[test]
fn fallback_and_grace_clear_the_down_window_at_their_start() {
    let mut world = World::new(policy(), 10);
    world.run(200, 950.0);
    let restarted = |world: &mut World, started| {
        let sample = Sample::value(90.0, Some(world.now));
        world.input.demand =
            vec![DemandInput { sources: vec![SourceReading { long: sample, short: None, started: Some(started) }] }];
        world.step()
    };
    restarted(&mut world, START);
    let from = world.elapsed();
    restarted(&mut world, START.plus(secs(1)));
    while world.elapsed() < from + 100 {
        assert_eq!(restarted(&mut world, START.plus(secs(1))).floor, 10);
    }
    // The grace of 60 s left too few trusted ticks in the first 100 s; four fifths are full 40 s later.
    for _ in 0..20 {
        if restarted(&mut world, START.plus(secs(1))).floor < 10 {
            break;
        }
    }
    assert_eq!(world.elapsed() - from, 60 + 80 + 5 - 5, "counted from the restart");
}

#[test]
fn a_signal_that_stays_in_the_policy_keeps_its_memory() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(9);
    let mut world = World::new(policy, 3);
    for _ in 0..13 {
        world.input.demand = vec![failing(SourceErrorKind::Connect)];
        world.step();
    }
    // A second signal is put before it.
    world.policy.demand.insert(0, Demand::concurrency(10.0));
    world.input.demand = vec![demand(&world, 5.0), failing(SourceErrorKind::Connect)];
    let decision = world.step();
    assert_eq!(decision.signals[0].failure, FailureState::Healthy);
    assert_eq!(decision.signals[1].failure, FailureState::Fallback);
    // And the first is taken away again.
    world.policy.demand.remove(0);
    world.input.demand.remove(0);
    assert_eq!(world.step().signals[0].failure, FailureState::Fallback);
    // Another signal of another name begins afresh.
    world.policy.demand[0].name = "queue".into();
    assert_eq!(world.step().signals[0].failure, FailureState::Failing);
}

#[test]
fn a_seldom_failed_poll_does_not_keep_the_up_window_from_agreeing() {
    let mut policy = rate_policy(3, 20);
    policy.behavior = story_behavior();
    let mut world = World::new(policy, 3);
    world.run(60, 250.0);
    for tick in 0..60 {
        world.input.demand =
            if tick % 11 == 10 { vec![failing(SourceErrorKind::Timeout)] } else { vec![demand(&world, 2000.0)] };
        world.step();
    }
    assert_eq!(world.state.floor(), 20, "a failure every 55 s in an up window of 60 s");
}

#[test]
fn what_demand_asked_for_while_over_budget_is_a_candidate_of_the_down_window() {
    let mut policy = policy();
    policy.latency = Some(Latency::new("latency p95", 0.2));
    let mut world = World::new(policy, 6);
    let run = |world: &mut World, seconds: u64, rate: f64, latency: f64| {
        for _ in 0..seconds / TICK {
            world.input.latency =
                Some(LatencyInput { sample: Sample::value(latency, Some(world.now)), resolvable: true, started: None });
            world.tick(rate);
        }
    };
    run(&mut world, 200, 600.0, 0.1);
    assert_eq!(world.state.floor(), 6);
    run(&mut world, 15, 1000.0, 0.3);
    let high = world.state.floor();
    assert!(high >= 10, "{high}");
    run(&mut world, 80, 600.0, 0.1);
    assert_eq!(world.state.floor(), high, "the burst is remembered for the whole window");
    run(&mut world, 40, 600.0, 0.1);
    assert!(world.state.floor() < high, "and no longer");
}

#[test]
fn low_demand_from_before_a_restart_of_the_source_allows_no_lowering() {
    let mut policy = policy();
    policy.behavior.down.stabilization_window = secs(300);
    let mut world = World::new(policy, 10);
    let with = |world: &mut World, value, started| {
        let sample = Sample::value(value, Some(world.now));
        world.input.demand =
            vec![DemandInput { sources: vec![SourceReading { long: sample, short: None, started: Some(started) }] }];
        world.step().floor
    };
    for _ in 0..400 / TICK {
        with(&mut world, 950.0, START);
    }
    // Four fifths of the window are low and trusted, then the source restarts: its grace takes the last fifth.
    for _ in 0..240 / TICK {
        assert_eq!(with(&mut world, 90.0, START), 10);
    }
    let restart = world.elapsed();
    while world.elapsed() < restart + 300 {
        assert_eq!(with(&mut world, 90.0, START.plus(secs(1))), 10, "{} s after it", world.elapsed() - restart);
    }
    assert!(with(&mut world, 90.0, START.plus(secs(1))) < 10, "a whole window after it");
}

#[test]
fn missed_ticks_do_not_make_usual_errors_unusual() {
    let mut world = World::new(policy(), 10);
    let tick = |world: &mut World, rate| {
        world.input.error_share = Some(Sample::value(0.2, Some(world.now)));
        world.tick(rate).floor
    };
    for _ in 0..7200 / TICK {
        tick(&mut world, 950.0);
    }
    world.now = world.now.plus(secs(60));
    for _ in 0..=100 / TICK {
        tick(&mut world, 90.0);
    }
    assert!(world.state.floor() < 10, "a fifth of the answers fail as ever");
}
