//! Pauses, new leaders, rollouts.

use crate::common::*;
use learningplatform_decide::*;

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
    assert_eq!(
        decision.write,
        Write { floor: 7, cap: 20, disable_scale_up: false, disable_scale_down: false, scale: None }
    );
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
        assert_eq!(
            (write.floor, write.disable_scale_up, write.disable_scale_down),
            (floor, up, down),
            "{pause:?} {demand}"
        );
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
fn s24_a_maximum_that_was_lowered_meanwhile_is_reached_by_steps() {
    let policy = rate_policy(3, 10);
    let mut state = State::adopt(&policy, START, Adopted { floor: Some(20), cap: Some(20), observed: 20 });
    assert_eq!((state.floor(), state.cap()), (20, 20));
    let input = |now| Input {
        now,
        demand: vec![DemandInput::single(Sample::value(2000.0, Some(now)), None)],
        replicas: Replicas { desired: 20, ready: 20, pending: 0, hpa_desired: None },
        ..Input::default()
    };
    let first = advance(&policy, &mut state, &input(START));
    assert_eq!((first.floor, first.cap), (20, 20), "the first cap is what runs");
    let second = advance(&policy, &mut state, &input(START.plus(secs(TICK))));
    assert_eq!((second.floor, second.cap), (18, 18));
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
    let rollout = |active, unobserved, stuck| Rollout { active, unobserved, stuck, ..Rollout::default() };
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

#[test]
fn s30_a_rollout_that_makes_progress_freezes_to_its_end() {
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 380.0);
    world.input.rollout.active = true;
    for minute in 0..30 {
        world.input.rollout.updated = minute;
        assert_eq!(world.run(60, 50.0).floor, 4, "minute {minute}");
    }
    let mut world = World::new(eager_policy(1, 20), 4);
    world.run(60, 380.0);
    world.input.rollout = Rollout { active: true, deadline: Some(secs(3600)), ..Rollout::default() };
    assert_eq!(world.run(3600, 50.0).floor, 4, "the Deployment's own deadline counts");
    assert_eq!(world.run(10, 50.0).findings, [Finding::RolloutStuck]);
}
