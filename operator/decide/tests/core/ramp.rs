//! How fast floor and cap move, by tables.

use crate::common::*;
use learningplatform_decide::*;
use proptest::prelude::*;

#[test]
fn the_story_guides_floors() {
    let mut policy = rate_policy(3, 20);
    policy.behavior = story_behavior();
    policy.tunables.collapse_hold = Duration::ZERO;
    let mut world = World::new(policy, 3);
    world.run(600, 100.0);

    // Up: the window of 60 s first, then a doubling every 15 s.
    let mut floors = vec![world.until_change(300, 2000.0).unwrap()];
    for _ in 0..2 {
        floors.push(world.until_change(300, 2000.0).unwrap());
    }
    assert_eq!(
        floors,
        [(60, 6), (10, 12), (10, 20)],
        "a change is seen one tick later than 15 s because counting begins after it"
    );

    // Down: the window of 300 s first, then 10 % every 60 s.
    world.run(600, 2000.0);
    let mut floors = vec![world.until_change(900, 10.0).unwrap()];
    while world.state.floor() > 3 {
        floors.push(world.until_change(900, 10.0).unwrap());
    }
    let steps: Vec<u32> = floors.iter().map(|(_, floor)| *floor).collect();
    assert_eq!(steps, [18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(floors[0].0, 300);
    assert!(floors[1..].iter().all(|(seconds, _)| *seconds == 55), "{floors:?}");
}

/// A plan for `full` pods from `start` seconds after [`START`] on.
fn plan(full: u32, start: u64, ramp: u64) -> Schedule {
    Schedule {
        name: "exam".into(),
        when: When::windows(vec![Window::exact(START.plus(secs(start)), START.plus(secs(start + 600)))]),
        floor: Some(Bound::Replicas(full)),
        cap: None,
        ramp: Some(secs(ramp)),
    }
}

#[test]
fn several_policies_together_make_a_plan_begin_as_early_as_they_need() {
    use SelectPolicy::{Max, Min};
    let (pods, percent) =
        (|value, period| ScalingPolicy::pods(value, secs(period)), |v, period| ScalingPolicy::percent(v, secs(period)));
    let table = [
        (Min, [percent(20, 300), pods(2, 300)], 0),
        (Min, [percent(20, 60), pods(2, 60)], 0),
        (Min, [percent(50, 60), pods(2, 30)], 120),
        (Max, [percent(10, 60), pods(4, 1800)], 0),
        (Max, [percent(10, 300), pods(6, 1800)], 0),
        (Max, [percent(50, 300), pods(4, 600)], 30),
    ];
    for (select, policies, window) in table {
        let mut policy = rate_policy(3, 20);
        policy.behavior.up = ScalingRules { stabilization_window: secs(window), select, policies: policies.to_vec() };
        policy.schedules = vec![plan(20, 6000, 0)];
        let mut world = World::new(policy, 3);
        let mut met = None;
        while world.elapsed() <= 6000 {
            let at = world.elapsed();
            if world.tick(10.0).floor == 20 {
                met = met.or(Some(at));
            }
        }
        let early = 6000 - met.unwrap_or_else(|| panic!("{select:?} of {policies:?}: late"));
        assert!(early <= 60, "{select:?} of {policies:?}: {early} s early, which wastes pods");
    }
}

#[test]
fn a_plan_is_met_although_the_floor_fell_shortly_before() {
    // Five steps of five minutes lead to the plan, unless what the floor was before still counts.
    for fall in (3800..5800).step_by(50) {
        let mut policy = rate_policy(3, 20);
        policy.tunables.collapse_hold = Duration::ZERO;
        policy.behavior = eager();
        policy.behavior.up.policies = vec![ScalingPolicy::pods(4, secs(300))];
        policy.schedules = vec![plan(20, 6000, 0)];
        let mut world = World::new(policy, 3);
        // An HPA too slow to have followed the floor, so that there is no count that costs nothing.
        world.hpa_every = u64::MAX;
        let mut floor = world.tick(10.0).floor;
        while world.elapsed() <= 6000 {
            floor = world.tick(if world.elapsed() < fall { 2000.0 } else { 10.0 }).floor;
        }
        assert_eq!(floor, 20, "fell at {fall} s");
    }
}

fn scaling_policy() -> impl Strategy<Value = ScalingPolicy> {
    prop_oneof![
        (1..6_u32, 1..300_u64).prop_map(|(pods, period)| ScalingPolicy::pods(pods, secs(period))),
        (5..200_u32, 1..300_u64).prop_map(|(percent, period)| ScalingPolicy::percent(percent, secs(period))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inv_plan_is_met_at_its_start(
        select in prop::sample::select(vec![SelectPolicy::Max, SelectPolicy::Min]),
        policies in prop::collection::vec(scaling_policy(), 1..4),
        (up_window, down_window) in (0..300_u64, 0..120_u64),
        (min, full) in (1..5_u32, 2..20_u32),
        (start, ramp) in (7500..7600_u64, 0..900_u64),
        // What was asked for shortly before has used up some of the policies.
        demands in prop::collection::vec(0.0..2000.0_f64, 1..9),
        change in 20..900_u64,
    ) {
        let mut policy = rate_policy(min, 20);
        policy.tunables.collapse_hold = Duration::ZERO;
        policy.behavior.up = ScalingRules { stabilization_window: secs(up_window), select, policies };
        policy.behavior.down = ScalingRules {
            stabilization_window: secs(down_window),
            select: SelectPolicy::Max,
            policies: vec![ScalingPolicy::percent(100, secs(15))],
        };
        policy.schedules = vec![plan(full, start, ramp)];
        let mut floor = min;
        let mut state = State::adopt(&policy, START, Adopted { floor: Some(min), cap: Some(20), observed: min });
        // The last tick is the first that is not before the start.
        for second in (0..start + TICK).step_by(TICK as usize) {
            let now = START.plus(secs(second));
            let demand = demands[(second / change) as usize % demands.len()];
            let sample = Sample::value(demand, Some(now));
            let input = Input {
                now,
                demand: vec![DemandInput::single(sample.clone(), Some(sample))],
                replicas: Replicas { desired: floor, ready: floor, pending: 0, hpa_desired: Some(floor) },
                ..Input::default()
            };
            floor = advance(&policy, &mut state, &input).floor;
        }
        prop_assert!(floor >= full, "{floor} of {full} at the start");
    }
}
