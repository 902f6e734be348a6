//! No data is never zero: every way of having no value, fallback, chains of sources, restarts of the source.

use crate::common::*;
use learningplatform_decide::*;

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
fn s09_to_s13_no_kind_of_missing_answer_lowers_or_raises_and_each_has_its_reason() {
    use SourceErrorKind::*;
    let error = |kind| Sample::error(kind, "what went wrong");
    let table = [
        (Sample::NoData, MetricsReason::NoSeries),
        (Sample::SeriesNeverSeen, MetricsReason::SeriesNeverSeen),
        (Sample::TooFewSamples { range: secs(60) }, MetricsReason::NoSeries),
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
    let told = decision.metrics.as_ref().unwrap().to_string();
    assert_eq!(told, "requestRate: the query failed: connection refused", "what the constant stands in for");
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
fn s18_every_sample_is_judged_by_the_interval_of_its_own_source() {
    // The slowest source scrapes once a minute, and so does a sample that tells nothing.
    let table = [
        (Some(15), 45, true),
        (Some(15), 46, false),
        (Some(60), 180, true),
        (Some(60), 181, false),
        (None, 180, true),
        (None, 181, false),
    ];
    let mut policy = eager_policy(1, 20);
    (policy.scrape_interval, policy.longest_range) = (secs(60), secs(240));
    policy.latency = Some(Latency::new("latency p95", 0.2));
    let first = |long, short, latency| {
        let mut world = World::new(policy.clone(), 5);
        world.input.demand = vec![DemandInput::single(long, Some(short))];
        world.input.latency = Some(LatencyInput { sample: latency, resolvable: true, started: None });
        world.step()
    };
    for (interval, age, fresh) in table {
        let new = |value| Sample::value(value, Some(START));
        let old = |value| {
            let sample = Sample::value(value, Some(START.minus(secs(age))));
            interval.map_or(sample.clone(), |interval| sample.scraped_every(secs(interval)))
        };
        let case = format!("{age} s old of {interval:?}");
        let decision = first(old(90.0), new(90.0), new(0.1));
        assert_eq!((decision.signals[0].state.is_full(), decision.floor), (fresh, if fresh { 1 } else { 5 }), "{case}");
        let decision = first(new(90.0), new(90.0), old(0.1));
        let latency = decision.latency.as_ref().unwrap();
        assert_eq!((latency.state.is_full(), decision.floor), (fresh, if fresh { 1 } else { 5 }), "{case}");
        let decision = first(new(90.0), old(900.0), new(0.1));
        assert_eq!(decision.signals[0].raise_value, Some(if fresh { 900.0 } else { 90.0 }), "{case}");
    }
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
        let started = if world.elapsed().is_multiple_of(10) { 0 } else { 10 };
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
fn a_value_at_a_tick_that_counts_for_nothing_does_not_end_a_fallback() {
    let mut world = World::new(eager_policy(1, 20), 8);
    for _ in 0..13 {
        world.input.demand = vec![failing(SourceErrorKind::Connect)];
        world.step();
    }
    // The same instant once more, now with an answer.
    world.now = world.now.minus(secs(TICK));
    let decision = world.tick(90.0);
    assert_eq!((decision.floor, decision.signals[0].failure), (8, FailureState::Fallback));
    assert_eq!(decision.signals[0].state, SignalState::RaiseOnly(Doubt::Recovering));
}

#[test]
fn of_several_doubts_that_of_the_source_is_told() {
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 300.0);
    for _ in 0..20 {
        world.input.demand = vec![DemandInput::single(Sample::NoData, None)];
        world.step();
    }
    let doubtful = Sample::value(300.0, Some(world.now)).doubted(Doubt::PartialResponse);
    world.input.demand = vec![DemandInput::single(doubtful, None)];
    assert_eq!(world.step().signals[0].state, SignalState::RaiseOnly(Doubt::Recovering));
}
