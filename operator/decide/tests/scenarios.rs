//! The life of an app in the situations that the design must survive. Each test is one situation, told as a user would.

mod common;

use common::*;
use learningplatform_decide::*;

fn latency(world: &World, seconds: f64) -> Option<LatencyInput> {
    Some(LatencyInput { sample: Sample::value(seconds, Some(world.now)), resolvable: true, started: None })
}

fn with_latency(mut policy: Policy) -> Policy {
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy
}

fn reason(decision: &Decision) -> MetricsReason {
    decision.metrics.as_ref().unwrap().reason
}

/// A source of `value`, or one that fails.
fn source(world: &World, value: Option<f64>) -> SourceReading {
    let long = value.map_or(Sample::error(SourceErrorKind::Connect, "connection refused"), |value| {
        Sample::value(value, Some(world.now))
    });
    SourceReading { long, short: None, started: None }
}

#[test]
fn the_peak_of_the_story_guide_asks_for_four() {
    let mut world = World::new(rate_policy(3, 20), 3);
    let decision = world.tick(320.0);
    assert_eq!(decision.floor, 4, "a plain HPA stays at 3, inside its tolerance");
    assert_eq!(decision.signals[0].proposal, Some(4));
    assert_eq!(decision.sentence(), "requestRate 320 requests/s at 100 per pod needs 4 pods");
    assert_eq!(decision.reason, Reason::Demand);
}

#[test]
fn utilization_lowers_what_a_pod_is_planned_to_carry() {
    for (utilization, floor) in [(100, 4), (80, 4), (79, 5), (50, 7)] {
        let mut policy = eager_policy(1, 20);
        policy.demand[0].utilization_percent = utilization;
        assert_eq!(World::new(policy, 1).tick(320.0).floor, floor, "at {utilization} %");
    }
}

#[test]
fn a_floor_falls_only_where_ten_percent_more_would_fit() {
    for (demand, floor) in [(500.0, 5), (400.0, 5), (363.7, 5), (363.6, 4), (300.0, 4), (272.7, 3), (0.0, 1)] {
        let mut world = World::new(eager_policy(1, 20), 5);
        world.tick(500.0);
        assert_eq!(world.run(10, demand).floor, floor, "{demand} requests/s on 5 pods");
    }
}

#[test]
fn a_raise_looks_at_the_greater_range_and_lowering_at_the_long_one() {
    let both = |long, short| DemandInput::single(long, Some(short));
    let table = [
        (300.0, 500.0, 5, "the short range sees the rise first"),
        (500.0, 300.0, 5, "the long range still sees the load"),
        (200.0, 290.0, 3, "between the two: no less than the short range needs"),
    ];
    for (long, short, floor, why) in table {
        let mut world = World::new(eager_policy(1, 20), 4);
        world.tick(400.0);
        world.input.demand = vec![both(Sample::value(long, Some(world.now)), Sample::value(short, Some(world.now)))];
        assert_eq!(world.step().floor, floor, "{why}");
    }
    // A short range without evidence takes nothing away, and counts as no failure.
    for short in [Sample::NoData, Sample::value(900.0, Some(START.minus(secs(46))))] {
        let mut world = World::new(eager_policy(1, 20), 4);
        world.input.demand = vec![both(Sample::value(300.0, Some(world.now)), short)];
        let decision = world.step();
        assert_eq!((decision.floor, decision.signals[0].state.is_full()), (4, true));
        assert_eq!(decision.signals[0].raise_value, Some(300.0));
    }
}

#[test]
fn s01_the_greatest_of_rate_and_latency_wins() {
    let mut policy = with_latency(eager_policy(1, 10));
    policy.longest_range = secs(10);
    let mut world = World::new(policy, 3);
    // Three pods complete 50 each and are over budget: latency halves what a pod is assumed to carry.
    for _ in 0..8 {
        world.input.latency = latency(&world, 0.5);
        world.tick(150.0);
    }
    assert_eq!(world.state.floor(), 3, "rate alone asks for 2, latency through k for 3");
    for _ in 0..12 {
        world.input.latency = latency(&world, 0.17);
        world.tick(90.0);
    }
    assert_eq!(world.state.floor(), 2, "rate alone asks for 1, latency still for 2");
    for _ in 0..24 {
        world.input.latency = latency(&world, 0.17);
        assert_eq!(world.tick(90.0).floor, 2);
    }
    for _ in 0..200 {
        world.input.latency = latency(&world, 0.1);
        world.tick(50.0);
    }
    assert_eq!(world.state.floor(), 1, "both have dropped");
}

#[test]
fn s02_nothing_is_cut_before_the_down_window_has_passed() {
    let mut policy = eager_policy(1, 20);
    policy.behavior.down.stabilization_window = secs(60);
    let mut world = World::new(policy, 10);
    world.run(120, 1000.0);
    let (seconds, floor) = world.until_change(300, 0.0).unwrap();
    assert_eq!((seconds, floor), (60, 1));
}

#[test]
fn s03_an_up_limit_holds_for_floors_too() {
    let mut policy = eager_policy(1, 20);
    policy.behavior.up.policies = vec![ScalingPolicy::pods(1, secs(60))];
    let mut world = World::new(policy, 1);
    world.run(60, 50.0);
    assert_eq!(world.until_change(300, 500.0), Some((0, 2)));
    assert_eq!(world.until_change(300, 500.0), Some((55, 3)), "60 s after the second");
    assert_eq!(world.tick(500.0).reason, Reason::Ramping);
}

#[test]
fn s04_a_staircase_of_demand_is_a_staircase_of_pods() {
    let mut world = World::new(rate_policy(1, 20), 1);
    world.start_time = secs(10);
    for steps in 2..=4_u32 {
        for _ in 0..12 {
            let decision = world.tick(100.0 * f64::from(steps));
            assert!(world.ready >= steps - 1, "{} Ready at {steps} pods' load", world.ready);
            assert!((steps - 1..=steps + 1).contains(&decision.floor));
        }
    }
}

#[test]
fn s05_s06_a_burst_is_reached_held_and_repeated_as_fast() {
    let mut world = World::new(rate_policy(1, 20), 1);
    world.run(300, 10.0);
    let reach = |world: &mut World| {
        let from = world.elapsed();
        while world.state.floor() < 10 {
            world.tick(1000.0);
        }
        world.elapsed() - from
    };
    let first = reach(&mut world);
    assert!(first <= 40, "{first} s");
    for _ in 0..24 {
        assert_eq!(world.tick(1000.0).floor, 10, "never dips");
    }
    for _ in 0..600 {
        world.tick(10.0);
    }
    assert_eq!(world.state.floor(), 1);
    assert!(reach(&mut world) <= first, "the second burst is no slower");
}

#[test]
fn s07_an_idle_app_shrinks_whatever_its_latency_says() {
    let mut policy = with_latency(eager_policy(1, 20));
    policy.demand[0].activation = 5.0;
    for nothing in [Sample::value(f64::NAN, None), Sample::NoData, Sample::error(SourceErrorKind::Timeout, "no answer")] {
        for (demand, floor) in [(4.0, 1), (5.0, 1), (6.0, 8)] {
            let mut world = World::new(policy.clone(), 8);
            for _ in 0..4 {
                world.input.latency = Some(LatencyInput { sample: nothing.clone(), resolvable: true, started: None });
                world.tick(demand);
            }
            assert_eq!(world.state.floor(), floor, "{demand} requests/s with {nothing:?}");
        }
    }
}

#[test]
fn s07_zero_is_left_as_soon_as_demand_is_above_activation() {
    let mut policy = eager_policy(0, 20);
    policy.demand[0].activation = 5.0;
    let mut world = World::new(policy, 1);
    world.tick(4.0);
    let decision = world.tick(5.0);
    assert_eq!((decision.floor, decision.write.scale), (0, Some(0)));
    world.replicas = 0;
    let decision = world.tick(6.0);
    assert_eq!((decision.floor, decision.write.scale), (1, Some(1)), "an HPA does not leave zero by itself");
}

#[test]
fn zero_is_only_entered_from_one_pod_and_only_with_a_demand_to_wake_it() {
    let mut world = World::new(eager_policy(0, 20), 3);
    world.hpa_wish = 3;
    assert_eq!(world.tick(0.0).write.scale, None, "the HPA still runs three");
    let mut policy = eager_policy(0, 20);
    policy.demand.clear();
    let mut world = World::new(policy, 1);
    let decision = world.step();
    assert_eq!((decision.floor, decision.write.scale), (0, None), "nothing could ever wake it");
    let mut policy = eager_policy(0, 20);
    policy.pause = Pause::ScaleIn;
    assert_eq!(World::new(policy.clone(), 1).tick(0.0).write.scale, None, "paused");
    policy.pause = Pause::ScaleOut;
    let mut world = World::new(policy, 1);
    world.replicas = 0;
    assert_eq!(world.tick(300.0).write.scale, None, "paused");
    let mut world = World::new(eager_policy(1, 20), 1);
    assert_eq!(world.tick(0.0).write.scale, None, "one is the minimum");
}

#[test]
fn s09_to_s13_no_kind_of_missing_answer_lowers_or_raises_and_each_has_its_reason() {
    use SourceErrorKind::*;
    let error = |kind| Sample::error(kind, "what went wrong");
    let table = [
        (Sample::NoData, MetricsReason::NoSeries),
        (Sample::SeriesNeverSeen, MetricsReason::SeriesNeverSeen),
        (Sample::value(f64::NAN, None), MetricsReason::NotANumber),
        (Sample::value(f64::INFINITY, None), MetricsReason::NotANumber),
        (Sample::value(f64::NEG_INFINITY, None), MetricsReason::NotANumber),
        (Sample::value(-1.0, None), MetricsReason::NotANumber),
        (Sample::value(100.0, Some(START.minus(secs(1000)))), MetricsReason::StaleSample),
        (Sample::Stale { age: secs(99) }, MetricsReason::StaleSample),
        (Sample::Ambiguous { series: 2, label: "pod".into() }, MetricsReason::AmbiguousResult),
        (error(Http(500)), MetricsReason::SourceUnavailable),
        (error(Http(503)), MetricsReason::SourceUnavailable),
        (error(Http(429)), MetricsReason::SourceUnavailable),
        (error(Http(408)), MetricsReason::SourceUnavailable),
        (error(Http(399)), MetricsReason::SourceUnavailable),
        (error(Http(401)), MetricsReason::SourceMisconfigured),
        (error(Http(400)), MetricsReason::SourceMisconfigured),
        (error(Http(499)), MetricsReason::SourceMisconfigured),
        (error(Connect), MetricsReason::SourceUnavailable),
        (error(Timeout), MetricsReason::SourceUnavailable),
        (error(RateLimited), MetricsReason::SourceUnavailable),
        (error(Parse), MetricsReason::SourceUnavailable),
        (error(Setup), MetricsReason::SourceMisconfigured),
        (error(Query), MetricsReason::SourceMisconfigured),
    ];
    for (sample, expected) in table {
        let mut policy = eager_policy(1, 20);
        policy.fallback_replicas = Some(12);
        let mut world = World::new(policy, 8);
        world.tick(800.0);
        let broken = DemandInput::single(sample.clone(), Some(Sample::value(2000.0, Some(START))));
        for tick in 0..13 {
            world.input.demand = vec![broken.clone()];
            let decision = world.step();
            let metrics = decision.metrics.as_ref().unwrap();
            assert_eq!((metrics.status, metrics.reason), (false, expected), "{sample:?}");
            assert_eq!(decision.signals[0].proposal, None);
            // The third failure is not enough: they must span a minute, which the thirteenth tick of 5 s does.
            let (floor, failure) = if tick < 12 { (8, FailureState::Failing) } else { (12, FailureState::Fallback) };
            assert_eq!((decision.floor, decision.signals[0].failure), (floor, failure), "tick {tick} of {sample:?}");
            assert_eq!(metrics.fallback, (tick == 12).then_some(12));
        }
    }
}

#[test]
fn s11_the_condition_names_the_label() {
    let mut world = World::new(rate_policy(1, 20), 8);
    world.input.demand = vec![DemandInput::single(Sample::Ambiguous { series: 3, label: "cluster".into() }, None)];
    let message = world.step().metrics.unwrap().to_string();
    assert_eq!(
        message,
        "requestRate: the query returns 3 series that differ in the label cluster; aggregate it away or match one value"
    );
}

#[test]
fn s12_fallback_begins_after_three_failures_in_a_minute_and_ends_after_three_values_and_the_grace() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(6);
    let mut world = World::new(policy, 3);
    world.run(60, 300.0);

    // Two failures in a minute are none.
    for demand in [None, Some(300.0), None, Some(300.0)] {
        world.input.demand = vec![DemandInput { sources: vec![source(&world, demand)] }];
        assert_eq!(world.step().floor, 3);
    }
    // An outage: 13 ticks span a minute.
    let outage = |world: &mut World| {
        world.input.demand = vec![failing(SourceErrorKind::Http(500))];
        world.step()
    };
    for _ in 0..12 {
        let decision = outage(&mut world);
        assert_eq!((decision.floor, decision.reason), (3, Reason::Held));
    }
    let decision = outage(&mut world);
    assert_eq!((decision.floor, decision.reason), (6, Reason::Fallback));
    assert_eq!(decision.sentence(), "requestRate is in fallback, which holds 6 pods");
    assert_eq!(
        decision.metrics.unwrap().to_string(),
        "requestRate: the query failed: the source does not answer; the fallback of 6 pods holds"
    );

    // One value and one failure: back to fallback, without a new latch at what now runs.
    world.hpa_wish = 15;
    let back = world.elapsed();
    assert_eq!(world.tick(300.0).signals[0].failure, FailureState::Recovering);
    assert_eq!(outage(&mut world).signals[0].failure, FailureState::Fallback);
    assert_eq!(outage(&mut world).floor, 6);

    // Values: they raise at once, and lower only when the grace of the longest range, 60 s, is over.
    world.hpa_wish = 0;
    assert_eq!(world.tick(700.0).floor, 7);
    while world.elapsed() < back + 60 {
        let decision = world.tick(270.0);
        assert_eq!((decision.floor, decision.signals[0].failure), (7, FailureState::Recovering));
        assert_eq!(reason(&decision), MetricsReason::Settling);
        assert!(decision.metrics.unwrap().status);
    }
    let decision = world.tick(270.0);
    assert_eq!((decision.floor, decision.signals[0].failure), (3, FailureState::Healthy));
    assert_eq!(reason(&decision), MetricsReason::Available);
}

#[test]
fn s12_leaving_fallback_needs_three_values_even_where_the_grace_is_short() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(6);
    (policy.scrape_interval, policy.longest_range) = (secs(1), secs(1));
    let mut world = World::new(policy, 3);
    for _ in 0..13 {
        world.input.demand = vec![failing(SourceErrorKind::Http(500))];
        world.step();
    }
    let floors: Vec<u32> = (0..4).map(|_| world.tick(270.0).floor).collect();
    assert_eq!(floors, [6, 6, 3, 3]);
}

#[test]
fn s13_a_source_that_never_answered_leads_to_fallback_too() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(6);
    let mut state = State::adopt(&policy, START, Adopted { floor: None, cap: None, observed: 1 });
    let mut floors = Vec::new();
    for tick in 0..13 {
        let input = Input {
            now: START.plus(secs(tick * TICK)),
            demand: vec![failing(SourceErrorKind::Connect)],
            replicas: Replicas { desired: 1, ready: 1, pending: 0, hpa_desired: None },
            ..Input::default()
        };
        floors.push(advance(&policy, &mut state, &input).floor);
    }
    assert_eq!(floors[..12], [1; 12]);
    assert_eq!(floors[12], 6);
}

#[test]
fn s15_fallback_keeps_what_the_hpa_runs_and_no_more_than_the_cap() {
    for (fallback, observed, floor) in [(5, 12, 12), (5, 3, 5), (15, 12, 15), (5, 30, 20)] {
        let mut policy = eager_policy(1, 20);
        policy.fallback_replicas = Some(fallback);
        let mut world = World::new(policy, 2);
        world.hpa_wish = observed;
        let mut last = None;
        for _ in 0..14 {
            world.replicas = observed;
            world.input.demand = vec![failing(SourceErrorKind::Connect)];
            last = Some(world.step().floor);
        }
        assert_eq!(last, Some(floor), "fallback {fallback}, {observed} pods");
    }
}

#[test]
fn s16_a_chain_of_sources_and_a_constant_that_may_not_lower() {
    let mut policy = eager_policy(1, 20);
    policy.demand[0].constant = Some(400.0);
    policy.behavior.down.stabilization_window = secs(30);
    let mut world = World::new(policy.clone(), 8);
    let chain = |world: &mut World, seconds: u64, primary, secondary| {
        let mut last = None;
        for _ in 0..seconds / TICK {
            world.input.demand = vec![DemandInput { sources: vec![source(world, primary), source(world, secondary)] }];
            last = Some(world.step());
        }
        let decision = last.unwrap();
        (decision.signals[0].proposal, decision.floor, decision.signals[0].source)
    };
    assert_eq!(chain(&mut world, 60, Some(800.0), Some(590.0)), (Some(8), 8, 0));
    // A failing primary is not left before it counts as down.
    assert_eq!(chain(&mut world, 55, None, Some(540.0)), (None, 8, 0));
    assert_eq!(chain(&mut world, 60, None, Some(540.0)), (Some(6), 6, 1), "the secondary may lower");
    assert_eq!(chain(&mut world, 120, None, None), (Some(4), 6, 2), "the constant may not");
    let decision = world.step();
    assert_eq!(reason(&decision), MetricsReason::SourceUnavailable, "a constant is no measurement");
    assert_eq!(decision.signals[0].failure, FailureState::Fallback);
    assert_eq!(chain(&mut world, 5, Some(800.0), None), (Some(8), 8, 0), "a raise needs no recovery");
    assert_eq!(chain(&mut world, 120, Some(800.0), Some(590.0)), (Some(8), 8, 0));

    // Both down from the start: the constant sizes.
    let mut world = World::new(policy, 1);
    assert_eq!(chain(&mut world, 120, None, None), (Some(4), 4, 2));
}

#[test]
fn s16_without_a_constant_the_chain_ends_in_fallback() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(9);
    let mut world = World::new(policy, 6);
    let mut states = Vec::new();
    for tick in 0..30 {
        let secondary = (tick < 13).then_some(600.0);
        world.input.demand = vec![DemandInput { sources: vec![source(&world, None), source(&world, secondary)] }];
        states.push(world.step());
    }
    assert_eq!((states[11].signals[0].source, states[11].floor), (0, 6));
    assert_eq!((states[12].signals[0].source, states[12].signals[0].failure), (1, FailureState::Healthy));
    assert_eq!(states[24].signals[0].failure, FailureState::Failing);
    assert_eq!((states[25].signals[0].failure, states[25].floor), (FailureState::Fallback, 9));
    // The secondary alone answers again.
    world.input.demand = vec![DemandInput { sources: vec![source(&world, None), source(&world, Some(600.0))] }];
    let decision = world.step();
    assert_eq!((decision.signals[0].failure, decision.signals[0].source), (FailureState::Recovering, 1));
}

#[test]
fn s17_one_invalid_signal_blocks_lowering_but_not_raising() {
    let mut policy = eager_policy(1, 20);
    policy.demand.push(Demand::concurrency(10.0));
    let mut world = World::new(policy, 5);
    let partial = |world: &mut World, rate| {
        world.input.demand = vec![demand(world, rate), failing(SourceErrorKind::Timeout)];
        world.step().floor
    };
    assert_eq!(partial(&mut world, 90.0), 5);
    assert_eq!(partial(&mut world, 700.0), 7);
    world.input.demand = vec![demand(&world, 90.0), demand(&world, 25.0)];
    assert_eq!(world.step().floor, 3, "both valid: the greater of 1 and 3");
    // Missing from the input is as good as no data.
    world.input.demand = vec![demand(&world, 90.0)];
    let decision = world.step();
    assert_eq!((decision.floor, reason(&decision)), (3, MetricsReason::NoSeries));
    world.input.demand.clear();
    assert_eq!(world.step().floor, 3);
}

#[test]
fn s18_a_value_older_than_three_scrapes_is_no_data() {
    for (age, full) in [(0, true), (45, true), (46, false), (1000, false)] {
        let mut world = World::new(eager_policy(1, 20), 5);
        world.input.demand = vec![DemandInput::single(Sample::value(90.0, Some(world.now.minus(secs(age)))), None)];
        let decision = world.step();
        assert_eq!(decision.signals[0].state.is_full(), full, "{age} s old");
        assert_eq!(decision.floor, if full { 1 } else { 5 });
        assert_eq!(decision.signals[0].age, Some(secs(age)));
    }
    // A source that names no freshness has no stale test.
    let mut world = World::new(eager_policy(1, 20), 5);
    world.input.demand = vec![DemandInput::single(Sample::value(90.0, None), None)];
    let decision = world.step();
    assert_eq!((decision.floor, decision.signals[0].age), (1, None));
}

#[test]
fn s19_after_a_restart_of_the_source_low_rates_lower_nothing_for_the_longest_range() {
    let mut world = World::new(eager_policy(1, 20), 8);
    let reading = |world: &mut World, value: f64, started: u64| {
        let sample = Sample::value(value, Some(world.now));
        let started = Some(START.plus(secs(started)));
        world.input.demand = vec![DemandInput { sources: vec![SourceReading { long: sample, short: None, started }] }];
        world.step()
    };
    reading(&mut world, 800.0, 0);
    reading(&mut world, 800.0, 0);
    let restart = world.elapsed();
    let decision = reading(&mut world, 50.0, 10);
    assert_eq!((decision.floor, reason(&decision)), (8, MetricsReason::Settling));
    assert_eq!(decision.signals[0].state, SignalState::RaiseOnly(Doubt::SourceRestarted));
    while world.elapsed() < restart + 60 {
        // The other replica of the source still shows its older start, and then the newer again: that is no restart.
        let started = if world.elapsed() % 10 == 0 { 0 } else { 10 };
        assert_eq!(reading(&mut world, 50.0, started).floor, 8, "at {} s", world.elapsed() - restart);
    }
    assert_eq!(reading(&mut world, 50.0, 10).floor, 1);
}

#[test]
fn s19_the_grace_is_two_scrapes_where_those_are_longer() {
    let mut policy = eager_policy(1, 20);
    (policy.longest_range, policy.scrape_interval) = (secs(20), secs(30));
    let mut world = World::new(policy, 8);
    let mut floors = Vec::new();
    for tick in 0..20_u64 {
        let sample = Sample::value(if tick == 0 { 800.0 } else { 50.0 }, Some(world.now));
        let started = Some(START.plus(secs(tick.min(1))));
        world.input.demand = vec![DemandInput { sources: vec![SourceReading { long: sample, short: None, started }] }];
        floors.push(world.step().floor);
    }
    assert_eq!(floors[..13], [8; 13], "60 s of grace");
    assert_eq!(floors[13], 1);
}

#[test]
fn a_partial_answer_raises_but_does_not_lower() {
    for (value, floor) in [(100.0, 5), (900.0, 9)] {
        let mut world = World::new(eager_policy(1, 20), 5);
        world.input.demand =
            vec![DemandInput::single(Sample::value(value, Some(world.now)).doubted(Doubt::PartialResponse), None)];
        let decision = world.step();
        assert_eq!((decision.floor, reason(&decision)), (floor, MetricsReason::Settling));
    }
}

#[test]
fn s21_a_pause_shows_the_recommendation_and_resumes_in_one_decision() {
    let mut policy = rate_policy(3, 20);
    policy.pause = Pause::All;
    let mut world = World::new(policy, 3);
    for _ in 0..60 {
        let decision = world.tick(1500.0);
        assert_eq!((decision.write.floor, decision.write.cap), (3, 20));
        assert!(decision.write.disable_scale_up && decision.write.disable_scale_down);
        assert!(decision.floor > 3, "the recommendation goes on");
        assert_eq!(decision.signals[0].proposal, Some(15));
    }
    world.policy.pause = Pause::None;
    let decision = world.tick(1500.0);
    assert_eq!(decision.write, Write { floor: 7, cap: 20, disable_scale_up: false, disable_scale_down: false, scale: None });
}

#[test]
fn s22_s23_one_way_pauses_stop_one_way_and_both_stop_both() {
    assert_eq!(Pause::of(true, true), Pause::All);
    assert_eq!(Pause::of(true, false), Pause::ScaleIn);
    assert_eq!(Pause::of(false, true), Pause::ScaleOut);
    assert_eq!(Pause::of(false, false), Pause::None);
    // (pause, demand, floor written, up disabled, down disabled)
    let table = [
        (Pause::None, 90.0, 1, false, false),
        (Pause::None, 900.0, 9, false, false),
        (Pause::ScaleIn, 90.0, 5, false, true),
        (Pause::ScaleIn, 900.0, 9, false, true),
        (Pause::ScaleOut, 90.0, 1, true, false),
        (Pause::ScaleOut, 900.0, 5, true, false),
        (Pause::All, 90.0, 5, true, true),
        (Pause::All, 900.0, 5, true, true),
    ];
    for (pause, demand, floor, up, down) in table {
        let mut policy = eager_policy(1, 20);
        policy.pause = pause;
        let mut world = World::new(policy, 5);
        let decision = world.tick(demand);
        let write = decision.write;
        assert_eq!((write.floor, write.disable_scale_up, write.disable_scale_down), (floor, up, down), "{pause:?} {demand}");
        assert_eq!(decision.floor, if demand > 500.0 { 9 } else { 1 }, "the recommendation is the same");
        assert_eq!(world.state.floor(), floor);
    }
}

#[test]
fn s24_a_new_leader_takes_over_what_it_finds_and_moves_nothing() {
    let policy = rate_policy(3, 20);
    // (HPA's minimum, count) -> floor
    let table = [(Some(8), 10, 8), (None, 10, 10), (None, 30, 20), (None, 0, 3), (Some(30), 10, 20)];
    for (floor, observed, adopted) in table {
        let state = State::adopt(&policy, START, Adopted { floor, cap: None, observed });
        assert_eq!(state.floor(), adopted, "{floor:?}, {observed} pods");
        assert_eq!(state.cap(), observed.max(20));
    }
    let mut world = World::new(policy, 10);
    for _ in 0..60 {
        assert_eq!(world.tick(0.0).floor, 10, "no lowering for one down window");
    }
    assert_eq!(world.tick(0.0).floor, 9);
}

#[test]
fn s24_the_first_cap_is_what_runs_and_then_sinks_by_steps() {
    let policy = rate_policy(3, 20);
    let mut state = State::adopt(&policy, START, Adopted { floor: None, cap: None, observed: 30 });
    let mut caps = Vec::new();
    for tick in 0..26_u64 {
        let now = START.plus(secs(tick * TICK));
        let observed = state.cap().min(30);
        let input = Input {
            now,
            demand: vec![DemandInput::single(Sample::value(2000.0, Some(now)), None)],
            replicas: Replicas { desired: observed, ready: observed, pending: 0, hpa_desired: None },
            ..Input::default()
        };
        caps.push(advance(&policy, &mut state, &input).cap);
    }
    let mut steps = caps.clone();
    steps.dedup();
    assert_eq!(steps, [30, 27, 24], "10 % a minute: {caps:?}");
    assert_eq!(caps[1..13], [27; 12], "60 s from the change of the count to the next step");
}

#[test]
fn s30_a_rollout_changes_nothing_at_idle_nor_under_load() {
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 380.0);
    world.input.rollout.active = true;
    for demand in [100.0, 380.0, 410.0, 418.0] {
        let decision = world.tick(demand);
        assert_eq!(decision.floor, 4, "{demand} requests/s during the rollout");
    }
    assert_eq!(world.tick(100.0).reason, Reason::Held);
    let decision = world.tick(410.0);
    assert_eq!(decision.reason, Reason::Rollout);
    assert_eq!(decision.sentence(), "during the rollout demand counts as before it, 380 requests/s");
    assert_eq!(world.tick(418.1).floor, 5, "more than a tenth above is real");
    world.input.rollout = Rollout::default();
    assert_eq!(world.tick(90.0).floor, 1, "the freeze ends with the rollout");
}

#[test]
fn s30_an_unobserved_change_freezes_too_and_a_stuck_rollout_does_not() {
    let rollout = |active, unobserved, stuck| Rollout { active, unobserved, stuck };
    let table = [
        (rollout(false, true, false), 4, false),
        (rollout(true, false, false), 4, false),
        (rollout(true, false, true), 1, true),
        (rollout(false, false, true), 1, false),
    ];
    for (rollout, floor, stuck) in table {
        let mut world = World::new(eager_policy(1, 20), 4);
        world.run(60, 380.0);
        world.input.rollout = rollout;
        let decision = world.tick(50.0);
        assert_eq!(decision.floor, floor, "{rollout:?}");
        assert_eq!(decision.findings.contains(&Finding::RolloutStuck), stuck, "{rollout:?}");
    }
}

#[test]
fn s30_a_rollout_without_end_freezes_for_its_deadline_only() {
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 380.0);
    world.input.rollout.active = true;
    for _ in 0..120 {
        assert_eq!(world.tick(50.0).floor, 4);
    }
    let decision = world.tick(50.0);
    assert_eq!((decision.floor, decision.findings.as_slice()), (1, &[Finding::RolloutStuck][..]));
}

#[test]
fn s30_the_demand_before_a_rollout_is_the_highest_of_five_minutes() {
    // 480 on 5 pods, then a quiet time on 3, then a rollout with 490: as before it while 480 is remembered, else grown.
    for (quiet, why) in [(300, true), (305, false)] {
        let mut world = World::new(eager_policy(1, 20), 5);
        world.run(60, 480.0);
        world.run(quiet - TICK, 240.0);
        assert_eq!(world.state.floor(), 3);
        world.input.rollout.active = true;
        let decision = world.tick(490.0);
        let restrained = matches!(decision.stages[2].why, Why::RolloutRestrained { .. });
        assert_eq!((restrained, decision.floor), (false, 5), "no need above the one of 480: {why}");
        let decision = world.tick(520.0);
        let restrained = matches!(decision.stages[2].why, Why::RolloutRestrained { .. });
        assert_eq!((restrained, decision.floor), if why { (true, 5) } else { (false, 6) }, "after {quiet} s");
    }
}

#[test]
fn s30_schedules_and_fallback_pass_a_rollout() {
    let mut policy = eager_policy(1, 20);
    policy.fallback_replicas = Some(9);
    policy.schedules = vec![Schedule {
        name: "exam".into(),
        when: When::windows(vec![Window::exact(START.plus(secs(100)), START.plus(secs(500)))]),
        floor: Some(Bound::Replicas(7)),
        cap: None,
        ramp: Some(Duration::ZERO),
    }];
    let mut world = World::new(policy, 4);
    world.input.rollout.active = true;
    assert_eq!(world.run(100, 380.0).floor, 4);
    assert_eq!(world.run(10, 380.0).floor, 7);
    for _ in 0..13 {
        world.input.demand = vec![failing(SourceErrorKind::Connect)];
        world.step();
    }
    assert_eq!(world.state.floor(), 9);
}

/// Pods that complete 60 requests/s each, and clients that wait for answers.
fn closed_loop(world: &mut World, offered: f64, per_pod: f64) -> Decision {
    let done = offered.min(per_pod * f64::from(world.ready.max(1)));
    let over = done < offered;
    world.input.latency = latency(world, if over { 1.5 } else { 0.12 });
    world.tick(done)
}

#[test]
fn s37_overloaded_pods_that_complete_little_are_not_taken_for_light_load() {
    let mut policy = with_latency(rate_policy(3, 20));
    policy.tunables.collapse_hold = Duration::ZERO;
    let mut world = World::new(policy, 3);
    (world.start_time, world.hpa_every) = (secs(15), 3);
    let mut seven_at = None;
    for _ in 0..60 {
        let before = world.state.floor();
        let decision = closed_loop(&mut world, 400.0, 60.0);
        let latency = decision.latency.as_ref().unwrap();
        assert!(!latency.over_budget || decision.floor >= before, "fell while over budget");
        if decision.floor >= 7 && seven_at.is_none() {
            seven_at = Some(world.elapsed());
        }
    }
    assert!(seven_at.is_some_and(|at| at <= 240), "7 pods after {seven_at:?} s");
    assert_eq!(world.state.floor(), 8, "enough for 400 requests/s, and no runaway");
    assert!(world.run(5, 400.0).findings.is_empty(), "the added pods helped");
}

#[test]
fn s38_a_gateway_outage_is_held_for_a_quarter_of_an_hour() {
    let mut world = World::new(rate_policy(3, 20), 12);
    world.run(600, 1150.0);
    let fell = world.elapsed();
    for _ in 0..120 {
        let decision = world.tick(0.0);
        assert_eq!(decision.floor, 12, "{} s after all traffic has gone", world.elapsed() - fell);
        assert!(decision.findings.iter().any(|finding| finding.reason() == "DemandCollapsed"));
    }
    assert_eq!(world.run(60, 1150.0).floor, 12, "the traffic is back, and so are its pods");

    // Without a return the floor falls after the hold: 15 min from the last sign of the fall, which shows for 2 min.
    let fell = world.elapsed();
    let (seconds, floor) = world.until_change(2000, 0.0).unwrap();
    assert_eq!((seconds, floor), (900 + 115, 10), "{fell}");
}

#[test]
fn s38_only_a_fall_of_more_than_half_within_two_minutes_is_a_collapse() {
    let table: [(&[f64], bool); 4] = [
        (&[1000.0, 490.0], true),
        (&[1000.0, 500.0], false),
        (&[1000.0, 800.0, 600.0, 490.0], true),
        (&[1.0, 0.4], true),
    ];
    for (demands, collapsed) in table {
        let mut policy = eager_policy(1, 20);
        policy.tunables.collapse_hold = secs(900);
        policy.behavior.down.stabilization_window = secs(5);
        let mut world = World::new(policy, 10);
        world.run(20, demands[0]);
        world.replicas = 10;
        world.state = State::adopt(&world.policy, world.now, Adopted { floor: Some(10), cap: None, observed: 10 });
        let mut last = world.tick(demands[0]);
        for demand in &demands[1..] {
            last = world.tick(*demand);
        }
        assert_eq!(!last.findings.is_empty(), collapsed, "{demands:?}");
        let floor = last.floor;
        assert_eq!(world.run(60, demands[demands.len() - 1]).floor == floor, collapsed, "{demands:?}");
    }
    // A fall over more than two minutes is an evening, not an outage.
    let mut policy = eager_policy(1, 20);
    policy.tunables.collapse_hold = secs(900);
    let mut world = World::new(policy, 10);
    for tick in 0..100 {
        let decision = world.tick(1000.0 * 0.975_f64.powi(tick));
        assert_eq!(decision.findings, [], "2.5 % per tick is 45 % in two minutes");
    }
    assert!(world.state.floor() <= 2);
}

#[test]
fn s39_the_explanation_names_the_metric_of_the_hpa_that_holds_the_count() {
    let metric = |name: &str, current, target| HpaMetric { name: name.into(), current, target };
    let mut world = World::new(eager_policy(3, 20), 12);
    world.hpa_wish = 12;
    world.input.hpa_metrics = vec![metric("cpu", 10.0, 70.0), metric("memory", 82.0, 80.0)];
    let decision = world.tick(0.0);
    assert_eq!(decision.write.floor, 3);
    assert_eq!(
        decision.held_by.to_string(),
        "the HPA's memory metric holds 12 pods: at 82 of a target of 80 it asks for 12, above the floor of 3"
    );
    // (memory, count, floor, cap) -> held by
    let wants = |wants| HeldBy::HpaMetric { name: "memory".into(), current: 0.0, target: 80.0, observed: 12, wants, floor: 3 };
    let table = [
        (60.0, 12, wants(9)),
        (72.0, 12, wants(12)),
        (71.9, 12, wants(11)),
        (87.9, 12, wants(12)),
        (89.0, 12, wants(14)),
        (20.0, 12, HeldBy::Hpa { observed: 12, floor: 3 }),
        (82.0, 3, HeldBy::Floor { floor: 3 }),
        (82.0, 2, HeldBy::Floor { floor: 3 }),
        (82.0, 20, HeldBy::Cap { cap: 20 }),
    ];
    for (memory, count, held_by) in table {
        let mut world = World::new(eager_policy(3, 20), count.max(3));
        world.replicas = count;
        world.input.hpa_metrics = vec![metric("cpu", 10.0, 70.0), metric("memory", memory, 80.0)];
        let mut seen = world.tick(0.0).held_by;
        if let HeldBy::HpaMetric { current, .. } = &mut seen {
            *current = 0.0;
        }
        assert_eq!(seen, held_by, "memory {memory}, {count} pods");
    }
}

#[test]
fn s40_a_manual_hold_holds_shows_its_reason_and_ends_by_itself() {
    let mut world = World::new(eager_policy(3, 40), 3);
    let until = START.plus(secs(60));
    let hold = |floor, until| ManualHold { floor, until, reason: "exam".into(), by: Some("ada".into()) };
    world.input.holds = vec![hold(30, until), hold(35, START), hold(10, until.plus(secs(60)))];
    for _ in 0..12 {
        let decision = world.tick(100.0);
        assert_eq!((decision.floor, decision.reason), (30, Reason::ManualHold));
        assert_eq!(decision.sentence(), "held by hand until 2027-01-15T08:01:00Z: exam (ada)");
    }
    assert_eq!(world.tick(100.0).floor, 10, "the longer one");
    assert_eq!(world.run(65, 100.0).floor, 3);
    world.input.holds = vec![hold(90, until.plus(secs(600)))];
    assert_eq!(world.tick(100.0).floor, 40, "never above the maximum");
}
