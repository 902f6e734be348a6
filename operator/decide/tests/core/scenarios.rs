//! The life of an app in the situations that the design must survive. Each test is one situation, told as a user would.

use crate::common::*;
use learningplatform_decide::*;

fn latency(world: &World, seconds: f64) -> Option<LatencyInput> {
    Some(LatencyInput { sample: Sample::value(seconds, Some(world.now)), resolvable: true, started: None })
}

fn with_latency(mut policy: Policy) -> Policy {
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy
}

/// Pods that complete 60 requests/s each, and clients that wait for answers.
fn closed_loop(world: &mut World, offered: f64, per_pod: f64) -> Decision {
    let done = offered.min(per_pod * f64::from(world.ready.max(1)));
    let over = done < offered;
    world.input.latency = latency(world, if over { 1.5 } else { 0.12 });
    world.tick(done)
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
        while world.state.floor() < 10 && world.elapsed() < from + 300 {
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
    for nothing in [Sample::value(f64::NAN, None), Sample::NoData, Sample::error(SourceErrorKind::Timeout, "no answer")]
    {
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
    assert_eq!(world.tick(5.0).write.scale, None, "there already");
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
    let mut world = World::new(policy.clone(), 0);
    world.replicas = 1;
    assert_eq!(world.tick(0.0).write.scale, None, "paused, though the floor is zero already");
    policy.pause = Pause::ScaleOut;
    let mut world = World::new(policy, 1);
    world.replicas = 0;
    assert_eq!(world.tick(300.0).write.scale, None, "paused");
    let mut world = World::new(eager_policy(1, 20), 1);
    assert_eq!(world.tick(0.0).write.scale, None, "one is the minimum");
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
    let wants =
        |wants| HeldBy::HpaMetric { name: "memory".into(), current: 0.0, target: 80.0, observed: 12, wants, floor: 3 };
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

#[test]
fn s38_an_outage_that_takes_the_figures_along_does_not_hide_the_collapse() {
    for silent in [0, 5, 30, 75, 150, 600] {
        let mut policy = rate_policy(3, 30);
        policy.tunables.collapse_hold = secs(900);
        let mut world = World::new(policy, 12);
        world.run(600, 1200.0);
        for _ in 0..silent / TICK {
            world.input.demand = vec![failing(SourceErrorKind::Connect)];
            world.step();
        }
        assert_eq!(world.run(900, 0.5).floor, 12, "after {silent} s without figures");
        assert!(world.run(900, 0.5).floor < 12, "it ends, after {silent} s without figures");
    }
}
