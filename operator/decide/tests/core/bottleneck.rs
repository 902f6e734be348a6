//! Tiers beside an app that make its requests slow.

use crate::common::*;
use learningplatform_decide::*;

fn policy(min: u32, max: u32) -> Policy {
    let mut policy = eager_policy(min, max);
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy
}

fn cpu(sample: Sample) -> Symptom {
    Symptom::new("main", Figure::PrimaryCpu, sample, &Tunables::default())
}

/// A tick in which the database's primary uses `busy` of its cpu.
fn tick(world: &mut World, rate: f64, latency: f64, busy: f64) -> Decision {
    world.tiers.symptoms = vec![cpu(Sample::value(busy, Some(world.now)))];
    untold(world, rate, latency)
}

/// A tick with the symptoms of the one before.
fn untold(world: &mut World, rate: f64, latency: f64) -> Decision {
    let sample = Sample::value(latency, Some(world.now));
    world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
    world.tick(rate)
}

fn ticks(world: &mut World, count: usize, rate: f64, latency: f64, busy: f64) -> Decision {
    let mut last = tick(world, rate, latency, busy);
    for _ in 1..count {
        last = tick(world, rate, latency, busy);
    }
    last
}

fn k(decision: &Decision) -> f64 {
    decision.latency.as_ref().unwrap().k
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn restrained(decision: &Decision) -> &Stage {
    &decision.stages[2]
}

/// Demand in flight on pods of ten each, behind a database that completes 150 requests/s whatever the pods: what is
/// in flight grows with latency, and so does the number of pods that it asks for.
fn saturated(world: &mut World, latency: f64) -> Decision {
    let now = world.now;
    world.input.demand = vec![DemandInput::single(Sample::value(150.0 * latency, Some(now)), None)];
    let sample = Sample::value(latency, Some(now));
    world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
    world.step()
}

fn concurrency_world() -> World {
    let mut policy = policy(1, 40);
    policy.demand = vec![Demand::concurrency(10.0)];
    World::new(policy, 5)
}

#[test]
fn a_saturated_primary_stops_the_growth_of_a_spike_and_without_saturation_it_goes_on() {
    // 400 requests/s are offered to pods that complete 60 each of their 100; the database completes 170 or any number.
    for (database, floor, named) in [(170.0, 3, true), (100_000.0, 8, false)] {
        let mut policy = rate_policy(3, 20);
        policy.latency = Some(Latency::new("latency p95", 0.2));
        policy.tunables.collapse_hold = Duration::ZERO;
        let mut world = World::new(policy, 3);
        (world.start_time, world.hpa_every) = (secs(15), 3);
        for _ in 0..60 {
            let done = f64::min(60.0 * f64::from(world.ready.max(1)), database).min(400.0);
            let decision = tick(&mut world, done, if done < 400.0 { 1.5 } else { 0.12 }, done / database);
            assert_eq!(decision.bottleneck.is_some(), named && decision.at > START, "at {}", decision.at);
        }
        assert_eq!(world.state.floor(), floor, "a database that completes {database}");
    }
}

#[test]
fn the_finding_names_tier_figure_and_what_to_do_instead() {
    let mut world = World::new(policy(3, 20), 3);
    let decision = ticks(&mut world, 2, 150.0, 0.5, 0.97);
    let bottleneck = decision.bottleneck.unwrap();
    assert_eq!((bottleneck.reason(), bottleneck.tier().map(|tier| &**tier)), ("BottleneckElsewhere", Some("main")));
    assert_eq!(bottleneck.eased_by(), Some(TierKind::ReadReplicas));
    assert_eq!((bottleneck.until, bottleneck.stops_demand_until), (decision.at.plus(secs(600)), None));
    assert_eq!(
        bottleneck.to_string(),
        "main is the bottleneck: the primary's cpu, 97 %, is over 85 %, so latency adds no pods; read replicas could take load off it"
    );
    let json = serde_json::to_value(&bottleneck).unwrap();
    assert_eq!(
        json["shown"],
        serde_json::json!({"tier": "main", "figure": "primaryCpu", "value": 0.97, "threshold": 0.85})
    );
}

#[test]
fn every_figure_has_a_threshold_a_unit_and_perhaps_a_tier_that_eases_it() {
    use Figure::*;
    let tunables = Tunables::default();
    let table = [
        (PrimaryCpu, 0.85, "the primary's cpu, 200 %, is over 85 %", Some(TierKind::ReadReplicas)),
        (LockWait, 0.25, "the share of sessions that wait for a lock, 200 %, is over 25 %", None),
        (ConnectionWait, 0.9, "the share of connections in use, 200 %, is over 90 %", Some(TierKind::ReadReplicas)),
        (PoolWait, 0.05, "the wait for a connection, 2 s, is over 0.05 s", Some(TierKind::ReadReplicas)),
        (ReplicaLag, 10.0, "the lag, 2 s, is over 10 s", None),
        (CacheCpu, 0.85, "the cache's cpu, 200 %, is over 85 %", Some(TierKind::Cache)),
        (Evictions, 100.0, "the rate of evictions, 2 per second, is over 100", Some(TierKind::Cache)),
    ];
    for (figure, threshold, text, eased_by) in table {
        assert_eq!(figure.threshold(&tunables), threshold, "{figure:?}");
        let shown = Shown { tier: "main".into(), figure, value: 2.0, threshold };
        assert_eq!(shown.to_string(), format!("main is the bottleneck: {text}"));
        assert_eq!(figure.eased_by(), eased_by, "{figure:?}");
    }
    let kinds = [TierKind::ReadReplicas, TierKind::Cache, TierKind::App].map(|kind| kind.to_string());
    assert_eq!(kinds, ["read replicas", "the cache", "the app"]);
}

#[test]
fn latency_takes_a_step_only_while_the_evidence_of_every_tier_is_there_and_clear() {
    type Of = fn(Time) -> Sample;
    let table: [(Of, bool, &str); 9] = [
        (|now| Sample::value(0.5, Some(now)), true, "clear"),
        (|now| Sample::value(0.85, Some(now)), true, "at the threshold"),
        (|_| Sample::value(0.5, None), true, "of no known age"),
        (|now| Sample::value(0.5, Some(now.minus(secs(45)))), true, "just fresh"),
        (|now| Sample::value(0.5, Some(now.minus(secs(46)))), false, "stale"),
        (|now| Sample::value(0.5, Some(now)).doubted(Doubt::PartialResponse), false, "doubtful"),
        (|_| Sample::NoData, false, "missing"),
        (|_| Sample::value(f64::NAN, None), false, "no number"),
        (|_| Sample::error(SourceErrorKind::Timeout, "slow"), false, "failed"),
    ];
    for (sample, steps, what) in table {
        let mut world = World::new(policy(4, 20), 4);
        let mut last = None;
        for _ in 0..8 {
            let now = world.now;
            world.tiers.symptoms = vec![cpu(sample(now)), cpu(Sample::value(0.1, Some(now)))];
            last = Some(untold(&mut world, 300.0, 0.3));
        }
        let last = last.unwrap();
        assert_eq!(k(&last) < 1.0, steps, "{what}");
        if !steps {
            assert_eq!((last.floor, &last.bottleneck), (4, &None), "{what}: nothing shows a bottleneck");
            assert_eq!(untold(&mut world, 900.0, 0.3).floor, 9, "{what}: demand is never blocked by it");
        }
    }
}

#[test]
fn a_tier_must_be_over_its_threshold_for_two_readings_in_a_row() {
    let over = |at: u64| cpu(Sample::value(0.9, Some(START.plus(secs(at)))));
    // What the primary's cpu reads at each tick, and at which tick it is the bottleneck.
    let table: [(&[Symptom], Option<usize>, &str); 7] = [
        (&[over(0), over(5)], Some(1), "two"),
        (&[over(0), over(0), over(0)], None, "one reading seen thrice"),
        (&[over(0), over(0), over(10)], Some(2), "and then another"),
        (&[over(0), cpu(Sample::NoData), over(10)], None, "a missing one between them"),
        (&[over(0), cpu(Sample::value(0.85, None)), over(10)], None, "one at the threshold between them"),
        (&[over(0), cpu(Sample::NoData), over(10), over(15)], Some(3), "and then two"),
        (&[cpu(Sample::value(0.9, None)), cpu(Sample::value(0.9, None))], Some(1), "readings that say no time"),
    ];
    for (symptoms, named, what) in table {
        let mut world = World::new(policy(3, 20), 3);
        for (index, symptom) in symptoms.iter().enumerate() {
            world.tiers.symptoms = vec![symptom.clone()];
            let decision = untold(&mut world, 150.0, 0.3);
            assert_eq!(
                decision.bottleneck.is_some(),
                named.is_some_and(|named| named <= index),
                "{what}, tick {index}"
            );
        }
    }
}

#[test]
fn within_budget_or_without_traffic_no_tier_is_to_blame() {
    for (rate, latency) in [(150.0, 0.2), (0.0, 0.5)] {
        let mut world = World::new(policy(3, 20), 3);
        assert_eq!(ticks(&mut world, 10, rate, latency, 1.0).bottleneck, None, "{rate} at {latency} s");
    }
    // Nor with a latency that is not trusted.
    let mut world = World::new(policy(3, 20), 3);
    world.tiers.symptoms = vec![cpu(Sample::value(1.0, None))];
    for _ in 0..10 {
        let sample = Sample::value(0.5, Some(world.now)).doubted(Doubt::PartialResponse);
        world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
        assert_eq!(world.tick(150.0).bottleneck, None);
    }
    // Nor with a budget that cannot be told, which also forgets what was told before.
    let mut world = World::new(policy(3, 20), 3);
    assert!(ticks(&mut world, 2, 150.0, 0.5, 1.0).bottleneck.is_some());
    world.input.latency.as_mut().unwrap().resolvable = false;
    assert_eq!(world.tick(150.0).bottleneck, None);
    // And none that is not declared.
    assert!(ticks(&mut world, 2, 150.0, 0.5, 1.0).bottleneck.is_some());
    world.tiers.symptoms.clear();
    assert_eq!(untold(&mut world, 150.0, 0.5).bottleneck, None);
}

#[test]
fn of_several_the_one_furthest_over_is_named_until_it_is_looked_at_again() {
    let mut world = World::new(policy(3, 20), 3);
    let mut step = |main: f64, cache: f64| {
        let now = Some(world.now);
        let evictions = Symptom::new("cache", Figure::Evictions, Sample::value(cache, now), &Tunables::default());
        world.tiers.symptoms = vec![cpu(Sample::value(main, now)), evictions];
        let decision = untold(&mut world, 150.0, 0.5);
        decision.bottleneck.and_then(|bottleneck| bottleneck.tier().cloned()).map(|tier| tier.to_string())
    };
    assert_eq!(step(0.9, 150.0), None);
    assert_eq!(step(0.9, 150.0).as_deref(), Some("cache"), "half more than its threshold");
    for _ in 0..119 {
        assert_eq!(step(2.0, 150.0).as_deref(), Some("cache"));
    }
    assert_eq!(step(2.0, 150.0).as_deref(), Some("main"), "after ten minutes");
}

#[test]
fn a_bottleneck_is_looked_at_again_after_ten_minutes() {
    // The tier recovers after a minute, or it does not.
    for (busy, goes_on) in [(0.5, false), (0.97, true)] {
        let mut world = World::new(policy(4, 20), 4);
        let told = ticks(&mut world, 12, 300.0, 0.3, 0.97);
        let until = told.bottleneck.as_ref().unwrap().until;
        while world.now < until {
            let decision = tick(&mut world, 300.0, 0.3, busy);
            assert!(!decision.differs_in_meaning(&told), "a bottleneck that stays is no news");
            assert_eq!((decision.floor, k(&decision)), (4, 1.0), "no pods for latency meanwhile");
        }
        let decision = tick(&mut world, 300.0, 0.3, busy);
        assert_eq!(decision.bottleneck.is_some(), goes_on);
        assert_eq!(decision.differs_in_meaning(&told), !goes_on);
        assert_eq!(k(&decision) < 1.0, !goes_on, "then latency may add pods again");
        if let Some(bottleneck) = decision.bottleneck {
            assert_eq!(bottleneck.until, until.plus(secs(600)));
        }
    }
}

#[test]
fn what_a_clear_time_has_shown_adds_no_more_pods_while_a_tier_is_the_bottleneck() {
    let mut world = World::new(policy(4, 20), 4);
    let decision = ticks(&mut world, 7, 300.0, 0.3, 0.5);
    assert!(decision.floor == 5 && close(k(&decision), 0.6));
    ticks(&mut world, 2, 300.0, 0.3, 0.97);
    // 380 at 60 a pod are 7 pods, by the plan 4.
    let decision = tick(&mut world, 380.0, 0.3, 0.97);
    let stage = restrained(&decision);
    assert_eq!((stage.before, stage.after, decision.floor), (7, 5, 5));
    assert!(matches!(&stage.why, Why::Bottleneck(bottleneck) if bottleneck.stops_demand_until.is_none()));
    // What demand itself asks for is not held back by one test alone.
    let decision = tick(&mut world, 800.0, 0.3, 0.97);
    assert_eq!((restrained(&decision).before, decision.floor), (14, 8));
    assert_eq!(decision.reason, Reason::Bottleneck);
    assert!(decision.sentence().starts_with("main is the bottleneck"), "{}", decision.sentence());
}

#[test]
fn demand_is_stopped_only_while_both_tests_agree() {
    let mut world = concurrency_world();
    let mut latency = 0.3;
    let mut grow = |world: &mut World, busy: f64| {
        // The slower the database, the more is in flight: 1.5 pods more each tick.
        latency += 0.1;
        world.tiers.symptoms = vec![cpu(Sample::value(busy, Some(world.now)))];
        saturated(world, latency)
    };
    let mut stopped = None;
    let mut before = 5;
    for _ in 0..20 {
        let decision = grow(&mut world, 0.97);
        assert!(decision.floor >= before, "never lowered");
        before = decision.floor;
        if let Some(until) = decision.bottleneck.as_ref().and_then(|bottleneck| bottleneck.stops_demand_until) {
            stopped = Some((decision.clone(), until));
            break;
        }
        assert_eq!(restrained(&decision).before, restrained(&decision).after, "one test alone stops no demand");
    }
    // Pods were added from the first tick on, are Ready from the second, and are judged a minute after that.
    let (decision, until) = stopped.expect("pods that were added helped nothing");
    assert_eq!(decision.at, START.plus(secs(65)));
    assert_eq!(until, decision.at.plus(secs(600)));
    let floor = decision.floor;
    assert!(restrained(&decision).before > floor && decision.reason != Reason::Demand);
    assert_eq!(
        decision.bottleneck.unwrap().to_string(),
        format!(
            "main is the bottleneck: the primary's cpu, 97 %, is over 85 %, and the last pods added helped neither latency nor throughput: neither latency nor demand adds any before {until}, or until the tier recovers; read replicas could take load off it"
        )
    );
    let same = grow(&mut world, 0.97);
    assert_eq!(same.floor, floor);
    // What else raises passes: a hold, a schedule, a fallback, the minimum.
    world.policy.min_replicas = floor + 1;
    assert_eq!(grow(&mut world, 0.97).floor, floor + 1);

    // The tier recovers, says nothing, or says it doubtfully: demand is free at once.
    let after = world.state.clone();
    for (symptoms, what) in [
        (vec![cpu(Sample::value(0.5, None))], "recovered"),
        (vec![cpu(Sample::NoData)], "missing"),
        (vec![cpu(Sample::value(0.97, None).doubted(Doubt::PartialResponse))], "doubtful"),
        (Vec::new(), "not declared"),
    ] {
        world.state = after.clone();
        world.tiers.symptoms = symptoms;
        let decision = saturated(&mut world, 2.2);
        assert_eq!(decision.floor, 33, "{what}: {:?}", decision.stages);
    }
}

#[test]
fn pods_are_tried_again_ten_minutes_after_they_did_not_help() {
    let mut world = concurrency_world();
    let mut step = |latency: f64| {
        world.tiers.symptoms = vec![cpu(Sample::value(0.97, Some(world.now)))];
        saturated(&mut world, latency)
    };
    let mut latency = 0.3;
    let until = loop {
        latency += 0.1;
        if let Some(until) = step(latency).bottleneck.and_then(|bottleneck| bottleneck.stops_demand_until) {
            break until;
        }
        assert!(latency < 3.0, "never stopped");
    };
    let floor = loop {
        let decision = step(latency);
        let bottleneck = decision.bottleneck.as_ref().expect("both tests were met all the time");
        if decision.at >= until {
            assert_eq!(bottleneck.stops_demand_until, None);
            break decision.floor;
        }
        assert_eq!(bottleneck.stops_demand_until, Some(until));
    };
    assert_eq!(floor, (15.0 * latency).ceil() as u32, "what demand asks for");
}

#[test]
fn without_tiers_nothing_stops_what_is_in_flight() {
    let mut world = concurrency_world();
    let mut latency = 0.3;
    while latency < 2.5 {
        latency += 0.1;
        assert_eq!(saturated(&mut world, latency).bottleneck, None);
    }
    assert_eq!(world.state.floor(), 40, "the runaway that the guard is for");
}

#[test]
fn in_flight_requests_are_no_throughput_and_completed_ones_are() {
    // In flight and completed, before and after pods are added; whether that counts as help. The database is busy.
    let table = [
        (None, None, false, "more in flight at more latency"),
        (Some(300.0), Some(300.0), false, "no more completed"),
        (Some(300.0), Some(309.0), false, "less than a tenth of what was added"),
        (Some(300.0), Some(330.0), true, "enough completed"),
    ];
    for (before, after, helped, what) in table {
        let mut world = concurrency_world();
        if before.is_some() {
            world.policy.demand.push(Demand::request_rate(100.0));
        }
        let mut step = |in_flight: f64, latency: f64, rate: Option<f64>| {
            let now = Some(world.now);
            let single = |value| DemandInput::single(Sample::value(value, now), None);
            world.input.demand = [Some(in_flight), rate].into_iter().flatten().map(single).collect();
            world.tiers.symptoms = vec![cpu(Sample::value(0.97, now))];
            let sample = Sample::value(latency, now);
            world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
            world.step()
        };
        step(50.0, 0.5, before);
        step(60.0, 0.6, before);
        let mut last = step(60.0, 0.6, after);
        for _ in 0..12 {
            assert_eq!(last.bottleneck.as_ref().and_then(|known| known.stops_demand_until), None, "{what}: too early");
            last = step(60.0, 0.6, after);
        }
        let stops = last.bottleneck.unwrap().stops_demand_until;
        assert_eq!(stops.is_none(), helped, "{what}");
    }
}

#[test]
fn pods_that_did_not_help_are_told_even_where_no_tier_shows_why() {
    // Demand adds a pod that helps nothing; all tiers are clear.
    let mut world = World::new(policy(4, 20), 4);
    world.policy.tunables.breach = secs(100_000);
    ticks(&mut world, 2, 390.0, 0.3, 0.5);
    let decision = ticks(&mut world, 13, 401.0, 0.3, 0.5);
    assert_eq!(decision.floor, 5);
    assert_eq!(decision.bottleneck, None);
    let decision = tick(&mut world, 401.0, 0.3, 0.5);
    let bottleneck = decision.bottleneck.clone().unwrap();
    assert_eq!((bottleneck.tier(), bottleneck.eased_by(), bottleneck.stops_demand_until), (None, None, None));
    assert_eq!(
        bottleneck.to_string(),
        format!(
            "the last pods added helped neither latency nor throughput, and no tier shows why: latency adds none before {}",
            decision.at.plus(secs(600))
        )
    );
    assert_eq!(decision.findings, [], "it was no step of latency's");
    // Latency takes none now, and demand grows on.
    world.policy.tunables.breach = secs(0);
    let decision = ticks(&mut world, 4, 401.0, 0.3, 0.5);
    assert!(close(k(&decision), 1.0));
    assert_eq!(tick(&mut world, 801.0, 0.3, 0.5).floor, 9);
    // Nor does low demand look like overload: added pods have shown that they are not what latency lacks.
    let (state, now) = (world.state.clone(), world.now);
    assert_eq!(tick(&mut world, 90.0, 0.3, 0.5).floor, 4);
    (world.state, world.now, world.replicas) = (state, now, 9);
    // As soon as a tier shows why, it is named, and both tests agree.
    tick(&mut world, 801.0, 0.3, 0.97);
    let decision = tick(&mut world, 901.0, 0.3, 0.97);
    assert_eq!(decision.bottleneck.as_ref().and_then(|known| known.tier()).map(|tier| &**tier), Some("main"));
    assert_eq!(decision.floor, 9, "demand is stopped");
}

#[test]
fn a_step_of_latencys_own_that_did_not_help_is_one_of_the_tests() {
    let mut world = World::new(policy(4, 5), 4);
    ticks(&mut world, 7, 300.0, 0.3, 0.5);
    let decision = ticks(&mut world, 13, 300.0, 0.3, 0.5);
    assert_eq!(decision.findings[0].reason(), "LatencyNotHelpedByPods");
    world.policy.max_replicas = 20;
    tick(&mut world, 300.0, 0.3, 0.97);
    let decision = tick(&mut world, 700.0, 0.3, 0.97);
    assert!(decision.bottleneck.unwrap().stops_demand_until.is_some());
    assert_eq!(decision.floor, 4, "700 by the plan are 7");
}

#[test]
fn a_rollout_and_a_time_within_budget_end_the_comparison() {
    for (latency, rolling, judged) in [(0.3, false, true), (0.2, false, false), (0.3, true, false)] {
        let mut world = World::new(policy(4, 20), 4);
        world.policy.tunables.breach = secs(100_000);
        ticks(&mut world, 2, 390.0, 0.3, 0.5);
        ticks(&mut world, 7, 401.0, 0.3, 0.5);
        world.input.rollout.active = rolling;
        tick(&mut world, 401.0, latency, 0.5);
        world.input.rollout.active = false;
        let decision = ticks(&mut world, 14, 401.0, 0.3, 0.5);
        assert_eq!(decision.bottleneck.is_some(), judged, "{latency} s, rollout: {rolling}");
    }
}

#[test]
fn while_a_tier_shows_it_low_demand_is_believed_again() {
    // Over budget nothing is lowered; unless a tier is to blame.
    let mut world = World::new(policy(1, 20), 6);
    let decision = ticks(&mut world, 2, 590.0, 0.5, 0.97);
    assert_eq!(decision.floor, 6);
    let lower = |world: &World, symptoms: Vec<Symptom>, latency: f64| {
        let (state, now) = (world.state.clone(), world.now);
        let mut world = World::new(world.policy.clone(), 6);
        (world.state, world.now) = (state, now);
        world.tiers.symptoms = symptoms;
        let decision = untold(&mut world, 90.0, latency);
        (decision.floor, decision.stages[4].why.clone())
    };
    let held = Why::OverBudget { value: 0.5, budget: 0.2 };
    assert_eq!(lower(&world, vec![cpu(Sample::value(0.97, None))], 0.5), (1, Why::Free));
    assert_eq!(lower(&world, vec![cpu(Sample::value(0.5, None))], 0.5), (6, held.clone()), "it shows it no longer");
    assert_eq!(lower(&world, vec![cpu(Sample::NoData)], 0.5), (6, held), "it says nothing");
    assert_eq!(lower(&world, vec![cpu(Sample::NoData)], 0.1).0, 1, "within budget a missing tier holds nothing");
}

#[test]
fn a_silence_starts_readings_and_comparisons_anew() {
    let mut world = World::new(policy(4, 20), 4);
    tick(&mut world, 300.0, 0.3, 0.97);
    world.now = world.now.plus(secs(30));
    assert_eq!(tick(&mut world, 300.0, 0.3, 0.97).bottleneck, None);
    let until = tick(&mut world, 300.0, 0.3, 0.97).bottleneck.unwrap().until;
    world.now = world.now.plus(secs(30));
    assert_eq!(tick(&mut world, 300.0, 0.3, 0.5).bottleneck.unwrap().until, until, "what was found stays");
}

#[test]
fn two_symptoms_of_one_name_are_counted_each() {
    let mut world = World::new(policy(3, 20), 3);
    let mut step = |first: f64, second: f64| {
        let now = Some(world.now);
        world.tiers.symptoms = vec![cpu(Sample::value(first, now)), cpu(Sample::value(second, now))];
        untold(&mut world, 150.0, 0.5).bottleneck.is_some()
    };
    for _ in 0..4 {
        assert!(!step(0.97, 0.1), "never twice in a row");
        assert!(!step(0.1, 0.97));
    }
    assert!(step(0.1, 0.97));
}

#[test]
fn a_threshold_of_its_own_counts() {
    let mut world = World::new(policy(3, 20), 3);
    for threshold in [0.95, 0.93] {
        world.tiers.symptoms = vec![Symptom { threshold, ..cpu(Sample::value(0.94, None)) }];
        untold(&mut world, 150.0, 0.5);
        assert_eq!(untold(&mut world, 150.0, 0.5).bottleneck.is_some(), threshold < 0.94);
    }
}
