//! Planned floors and caps: windows, ramps, zones, clock changes.

use crate::common::*;
use learningplatform_decide::*;

fn time(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

fn floor(when: When, replicas: u32) -> Schedule {
    Schedule {
        name: "exam".into(),
        when,
        floor: Some(Bound::Replicas(replicas)),
        cap: None,
        ramp: Some(Duration::ZERO),
    }
}

/// Floor and cap at this time for an app that has stood at its minimum of 3, of at most 20.
fn bounds(schedules: &[Schedule], at: &str) -> (u32, u32) {
    let mut policy = eager_policy(3, 20);
    policy.schedules = schedules.to_vec();
    bounds_of(&policy, at)
}

fn bounds_of(policy: &Policy, at: &str) -> (u32, u32) {
    let decision = decision_of(policy, at);
    (decision.floor, decision.cap)
}

fn decision_of(policy: &Policy, at: &str) -> Decision {
    let now = time(at);
    let state = State::adopt(policy, now.minus(secs(5)), Adopted { floor: Some(3), cap: Some(20), observed: 3 });
    let input = Input {
        now,
        demand: vec![DemandInput::single(Sample::value(10.0, Some(now)), None)],
        replicas: Replicas { desired: 3, ready: 3, pending: 0, hpa_desired: Some(3) },
        ..Input::default()
    };
    let (decision, next) = decide(policy, &state, &input);
    check_decision(policy, &state, &input, &Tiers::default(), &decision, &next);
    decision
}

fn weekly(days: &[Weekday], start: &str, end: &str, zone: &str) -> When {
    When::weekly(days, start, end, zone, None, None).unwrap()
}

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

#[test]
fn a_one_time_window_is_half_open_and_in_its_own_zone() {
    let exam = floor(When::once("2026-12-07T07:30", "2026-12-11T18:00", "Europe/Berlin").unwrap(), 12);
    for (at, expected) in [
        ("2026-12-07T06:29:59.999Z", 3),
        ("2026-12-07T06:30:00Z", 12),
        ("2026-12-09T00:00:00Z", 12),
        ("2026-12-11T16:59:59.999Z", 12),
        ("2026-12-11T17:00:00Z", 3),
    ] {
        assert_eq!(bounds(std::slice::from_ref(&exam), at).0, expected, "{at}");
    }
}

#[test]
fn a_weekly_window_holds_on_its_days_only() {
    for (index, day) in WEEK.iter().enumerate() {
        let school = floor(weekly(&[*day], "08:00", "16:00", "Europe/Berlin"), 12);
        for date in 0..7 {
            // 2026-11-02 is a Monday; Berlin is one hour ahead of UTC then.
            let at = |clock: &str| format!("2026-11-{:02}T{clock}:00Z", 2 + date);
            let expected = if date == index { 12 } else { 3 };
            assert_eq!(bounds(std::slice::from_ref(&school), &at("07:00")).0, expected, "{day:?} on day {date}");
            assert_eq!(bounds(std::slice::from_ref(&school), &at("14:59")).0, expected, "{day:?} on day {date}");
            assert_eq!(bounds(std::slice::from_ref(&school), &at("06:59")).0, 3);
            assert_eq!(bounds(std::slice::from_ref(&school), &at("15:00")).0, 3);
        }
    }
}

#[test]
fn a_weekly_window_may_cross_midnight_and_is_bounded_by_dates() {
    let night = floor(weekly(&[Weekday::Friday], "22:00", "06:00", "UTC"), 12);
    for (at, expected) in [
        ("2026-11-06T21:59:00Z", 3),
        ("2026-11-06T22:00:00Z", 12),
        ("2026-11-07T05:59:00Z", 12),
        ("2026-11-07T06:00:00Z", 3),
        ("2026-11-06T05:00:00Z", 3),
    ] {
        assert_eq!(bounds(std::slice::from_ref(&night), at).0, expected, "{at}");
    }
    // An end equal to the start is a whole day.
    let day = floor(weekly(&[Weekday::Friday], "08:00", "08:00", "UTC"), 12);
    assert_eq!(bounds(std::slice::from_ref(&day), "2026-11-07T07:59:00Z").0, 12);
    assert_eq!(bounds(std::slice::from_ref(&day), "2026-11-07T08:00:00Z").0, 3);

    let term = When::weekly(&WEEK, "08:00", "16:00", "UTC", Some("2026-11-03"), Some("2026-11-04")).unwrap();
    for (day, expected) in [("02", 3), ("03", 12), ("04", 12), ("05", 3)] {
        assert_eq!(bounds(&[floor(term.clone(), 12)], &format!("2026-11-{day}T12:00:00Z")).0, expected, "day {day}");
    }
}

#[test]
fn overlapping_plans_give_the_greatest_floor_and_the_least_cap() {
    let plan = |name: &str, floor: Option<u32>, cap: Option<u32>| Schedule {
        name: name.into(),
        when: When::once("2026-11-02T08:00", "2026-11-02T16:00", "UTC").unwrap(),
        floor: floor.map(Bound::Replicas),
        cap: cap.map(Bound::Replicas),
        ramp: Some(Duration::ZERO),
    };
    let at = "2026-11-02T12:00:00Z";
    let mut plans = vec![plan("a", Some(6), Some(15)), plan("b", Some(9), Some(18)), plan("c", Some(7), Some(16))];
    assert_eq!(bounds(&plans, at), (9, 15));
    plans.reverse();
    assert_eq!(bounds(&plans, at), (9, 15), "whatever their order");
    assert_eq!(bounds(&plans, "2026-11-02T16:00:00Z"), (3, 20));
    assert_eq!(bounds(&plans, "2026-11-02T07:59:59Z"), (3, 20));

    // A planned floor above a planned cap wins, within the maximum, and says so.
    for (floor, cap, bound, conflict) in [(12, 8, 12, true), (8, 8, 8, false), (30, 8, 20, true), (6, 8, 8, false)] {
        let mut policy = eager_policy(3, 20);
        policy.schedules = vec![plan("up", Some(floor), None), plan("down", None, Some(cap))];
        let decision = decision_of(&policy, at);
        assert_eq!((decision.floor, decision.cap), (floor.min(20), bound), "floor {floor}, cap {cap}");
        let found = decision.findings.iter().find(|finding| finding.reason() == "ScheduleConflict");
        assert_eq!(found.is_some(), conflict, "floor {floor}, cap {cap}");
        if let Some(found) = found {
            let text =
                format!("up asks for at least {} pods while schedule down allows {cap}; the floor wins", floor.min(20));
            assert_eq!(found.to_string(), text);
        }
    }

    // A cap never goes below the minimum, and one at or above the maximum is none.
    for (cap, expected) in [(1, 3), (3, 3), (19, 19), (20, 20), (25, 20)] {
        assert_eq!(bounds(&[plan("cap", None, Some(cap))], at).1, expected, "cap {cap}");
    }
    // A hold by hand is as strong as a planned floor.
    let mut policy = eager_policy(3, 20);
    policy.schedules = vec![plan("night", None, Some(5))];
    let mut state = State::adopt(&policy, time(at), Adopted { floor: Some(3), cap: None, observed: 3 });
    let hold = ManualHold { floor: 9, until: time("2026-11-02T13:00:00Z"), reason: "demo".into(), by: None };
    let input = Input {
        now: time(at),
        demand: vec![DemandInput::single(Sample::value(10.0, None), None)],
        replicas: Replicas { desired: 3, ready: 3, pending: 0, hpa_desired: None },
        holds: vec![hold],
        ..Input::default()
    };
    let decision = advance(&policy, &mut state, &input);
    assert_eq!((decision.floor, decision.cap), (9, 9));
    assert_eq!(
        decision.findings[0].to_string(),
        "a manual hold asks for at least 9 pods while schedule night allows 5; the floor wins"
    );
}

#[test]
fn demand_is_bounded_by_a_planned_cap_and_says_so() {
    let mut policy = eager_policy(3, 20);
    policy.schedules = vec![Schedule {
        name: "night".into(),
        when: When::once("2026-11-02T08:00", "2026-11-02T16:00", "UTC").unwrap(),
        floor: None,
        cap: Some(Bound::Replicas(5)),
        ramp: None,
    }];
    let mut world = World::new(policy, 3);
    world.now = time("2026-11-02T08:00:00Z");
    world.state = State::adopt(&world.policy, world.now, Adopted { floor: Some(3), cap: Some(20), observed: 3 });
    let decision = world.tick(900.0);
    assert_eq!((decision.floor, decision.cap, decision.reason), (5, 5, Reason::Cap));
    assert_eq!(decision.sentence(), "schedule night allows 5 pods");
    world.policy.schedules.clear();
    world.policy.max_replicas = 7;
    let decision = world.tick(900.0);
    assert_eq!((decision.floor, decision.sentence().as_str()), (7, "maxReplicas is 7"), "a cap rises at once");
}

#[test]
fn a_lower_maximum_lowers_cap_and_floor_by_steps() {
    let mut policy = rate_policy(3, 20);
    policy.tunables.collapse_hold = Duration::ZERO;
    let mut world = World::new(policy, 20);
    world.run(60, 2000.0);
    world.policy.max_replicas = 10;
    let mut caps = Vec::new();
    for _ in 0..60 {
        let decision = world.tick(2000.0);
        assert_eq!(decision.floor, decision.cap);
        caps.push(decision.cap);
        if decision.cap > 10 {
            assert_eq!(decision.stages[7].why, Why::CapFalling { cap: decision.cap });
        }
    }
    caps.dedup();
    assert_eq!(caps, [18, 16, 14, 12, 10]);
    // A demand that grows while the cap sinks does not climb above where the cap goes.
    let mut world = World::new(rate_policy(3, 20), 5);
    world.hpa_wish = 20;
    world.run(60, 500.0);
    world.policy.max_replicas = 10;
    let decision = world.tick(1500.0);
    assert_eq!((decision.floor, decision.cap), (10, 18));
}

#[test]
fn expected_demand_is_converted_like_measured_demand() {
    let plan = |bound| {
        let mut schedule = floor(When::once("2026-11-02T08:00", "2026-11-02T16:00", "UTC").unwrap(), 0);
        schedule.floor = Some(bound);
        schedule
    };
    let at = "2026-11-02T12:00:00Z";
    for (demand, expected) in [(850.0, 9), (800.0, 8), (0.0, 3), (99_999.0, 20)] {
        assert_eq!(bounds(&[plan(Bound::Demand(demand))], at).0, expected, "{demand} requests/s expected");
    }
    let mut policy = eager_policy(3, 20);
    policy.demand[0].utilization_percent = 50;
    policy.schedules = vec![plan(Bound::Demand(450.0))];
    assert_eq!(bounds_of(&policy, at).0, 9);
    policy.demand.clear();
    assert_eq!(bounds_of(&policy, at).0, 3, "nothing converts it");

    // Pods that have shown to carry less carry less of it.
    let mut policy = eager_policy(4, 20);
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy.schedules = vec![Schedule {
        name: "exam".into(),
        when: When::windows(vec![Window::exact(START.plus(secs(40)), START.plus(secs(400)))]),
        floor: Some(Bound::Demand(600.0)),
        cap: None,
        ramp: Some(Duration::ZERO),
    }];
    let mut world = World::new(policy, 4);
    let mut last = None;
    for _ in 0..9 {
        let sample = Sample::value(0.3, Some(world.now));
        world.input.latency = Some(LatencyInput { sample, resolvable: true, started: None });
        last = Some(world.tick(300.0).floor);
    }
    assert_eq!(last, Some(10), "600 requests/s at 60 per pod");
}

#[test]
fn a_floor_ramps_in_before_its_start_and_out_after_its_end() {
    let mut exam = floor(When::once("2026-11-02T08:00", "2026-11-02T16:00", "UTC").unwrap(), 12);
    exam.ramp = Some(secs(60));
    let table = [
        ("07:58:59", 3),
        ("07:59:12", 3),  // two steps of ten: 3 pods
        ("07:59:17", 3),  // 2.4 up to 3
        ("07:59:18", 4),  // three steps: 3.6
        ("07:59:30", 6),  // half
        ("07:59:54", 11), // nine steps: 10.8
        ("08:00:00", 12),
        ("15:59:59", 12),
        ("16:00:00", 11),
        ("16:00:05", 11),
        ("16:00:06", 10), // eight steps: 9.6
        ("16:00:30", 5),  // four steps
        ("16:00:59", 3),
        ("16:01:00", 3),
    ];
    for (clock, expected) in table {
        assert_eq!(bounds(std::slice::from_ref(&exam), &format!("2026-11-02T{clock}Z")).0, expected, "{clock}");
    }
    // Without a ramp of its own it takes the default of ten minutes.
    exam.ramp = None;
    for (clock, expected) in [("07:50:00", 3), ("07:55:00", 6), ("07:59:59", 11), ("16:04:59", 7), ("16:05:00", 5)] {
        let expected = if clock == "16:04:59" { 6 } else { expected };
        assert_eq!(bounds(std::slice::from_ref(&exam), &format!("2026-11-02T{clock}Z")).0, expected, "{clock}");
    }
}

#[test]
fn a_slow_behavior_makes_a_plan_begin_earlier_so_that_it_is_met_in_time() {
    for (pods, period, window) in [(1, 60, 0), (1, 300, 0), (2, 120, 60), (4, 15, 30)] {
        let mut policy = rate_policy(3, 20);
        policy.behavior.up.policies = vec![ScalingPolicy::pods(pods, secs(period))];
        policy.behavior.up.stabilization_window = secs(window);
        let start = START.plus(secs(4000));
        policy.schedules = vec![Schedule {
            name: "exam".into(),
            when: When::windows(vec![Window::exact(start, start.plus(secs(600)))]),
            floor: Some(Bound::Replicas(12)),
            cap: None,
            ramp: Some(secs(60)),
        }];
        let mut world = World::new(policy, 3);
        let mut met = None;
        while world.now <= start {
            let at = world.now;
            if world.tick(10.0).floor == 12 && met.is_none() {
                met = Some(at);
            }
        }
        let early = start.since(met.expect("met at the start")).as_millis() / 1000;
        assert!(early <= 120, "{pods} pods per {period} s: met {early} s early, which wastes them");
    }
}

#[test]
fn the_lead_of_a_slow_behavior_has_an_end() {
    let mut policy = rate_policy(3, 20);
    policy.behavior.up.policies = vec![ScalingPolicy::pods(1, secs(1800))];
    policy.schedules = vec![floor(When::once("2026-11-02T08:00", "2026-11-02T16:00", "UTC").unwrap(), 19)];
    // Sixteen steps of half an hour are eight hours; six are granted.
    assert_eq!(bounds_of(&policy, "2026-11-02T01:59:59Z").0, 3);
    assert_eq!(bounds_of(&policy, "2026-11-02T02:00:00Z").0, 4);
}

#[test]
fn the_longest_ramp_and_lead_of_a_weekly_plan_reach_over_midnight() {
    let mut policy = eager_policy(3, 20);
    let mut early = floor(weekly(&[Weekday::Tuesday], "00:10", "23:50", "UTC"), 20);
    early.ramp = Some(secs(36 * 3600));
    policy.schedules = vec![early];
    // 2026-11-03 is a Tuesday: its ramps cover Monday and Wednesday, and the halves of the days beyond.
    for (at, expected) in [
        ("2026-11-01T12:00:00Z", 3),
        ("2026-11-02T06:20:00Z", 10),
        ("2026-11-03T12:00:00Z", 20),
        ("2026-11-04T17:50:00Z", 8),
        ("2026-11-05T12:00:00Z", 3),
    ] {
        assert_eq!(bounds_of(&policy, at).0, expected, "{at}");
    }
}

#[test]
fn a_missing_local_time_moves_to_the_first_instant_after_the_gap() {
    // Berlin skips 02:00 to 03:00 on 2026-03-29, at 01:00 UTC.
    for start in ["02:00", "02:15", "02:59", "03:00"] {
        let night = floor(weekly(&[Weekday::Sunday], start, "05:00", "Europe/Berlin"), 12);
        for (at, expected) in [
            ("2026-03-29T00:59:59Z", 3),
            ("2026-03-29T01:00:00Z", 12),
            ("2026-03-29T02:59:59Z", 12),
            ("2026-03-29T03:00:00Z", 3),
        ] {
            assert_eq!(bounds(std::slice::from_ref(&night), at).0, expected, "from {start} at {at}");
        }
    }
    let night = floor(weekly(&[Weekday::Sunday], "01:00", "02:30", "Europe/Berlin"), 12);
    for (at, expected) in [("2026-03-29T00:00:00Z", 12), ("2026-03-29T00:59:59Z", 12), ("2026-03-29T01:00:00Z", 3)] {
        assert_eq!(bounds(std::slice::from_ref(&night), at).0, expected, "an end in the gap, at {at}");
    }
    // Clocks jump by half an hour only on Lord Howe Island: 02:00 to 02:30 on 2026-10-04, at 15:30 UTC the day before.
    let island = floor(weekly(&[Weekday::Sunday], "02:10", "05:00", "Australia/Lord_Howe"), 12);
    for (at, expected) in [("2026-10-03T15:29:59Z", 3), ("2026-10-03T15:30:00Z", 12)] {
        assert_eq!(bounds(std::slice::from_ref(&island), at).0, expected, "{at}");
    }
}

#[test]
fn of_a_time_that_comes_twice_a_floor_takes_the_longest_and_a_cap_the_shortest() {
    // Berlin has 02:00 to 03:00 twice on 2026-10-25: from 00:00 and from 01:00 UTC.
    let both = |start: &str, end: &str| Schedule {
        name: "night".into(),
        when: weekly(&[Weekday::Sunday], start, end, "Europe/Berlin"),
        floor: Some(Bound::Replicas(5)),
        cap: Some(Bound::Replicas(8)),
        ramp: Some(Duration::ZERO),
    };
    let table = [
        ("02:30", "05:00", "2026-10-25T00:29:59Z", (3, 20)),
        ("02:30", "05:00", "2026-10-25T00:30:00Z", (5, 20)),
        ("02:30", "05:00", "2026-10-25T01:29:59Z", (5, 20)),
        ("02:30", "05:00", "2026-10-25T01:30:00Z", (5, 8)),
        ("02:30", "05:00", "2026-10-25T03:59:59Z", (5, 8)),
        ("02:30", "05:00", "2026-10-25T04:00:00Z", (3, 20)),
        ("01:00", "02:30", "2026-10-25T00:29:59Z", (5, 8)),
        ("01:00", "02:30", "2026-10-25T00:30:00Z", (5, 20)),
        ("01:00", "02:30", "2026-10-25T01:29:59Z", (5, 20)),
        ("01:00", "02:30", "2026-10-25T01:30:00Z", (3, 20)),
    ];
    for (start, end, at, expected) in table {
        assert_eq!(bounds(&[both(start, end)], at), expected, "{start} to {end} at {at}");
    }
}

#[test]
fn only_zones_of_the_database_are_taken() {
    let short = ["UTC", "GMT", "CET", "EST5EDT", "Japan", "GB"];
    for zone in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"].into_iter().chain(short) {
        assert!(time_zone(zone).is_ok(), "{zone}");
    }
    for zone in ["", "Local", "local", "+02:00", "Europe/Berlin2", "Mars/Phobos", "/etc/localtime"] {
        let error = When::once("2026-01-01T00:00", "2026-01-02T00:00", zone).unwrap_err();
        assert_eq!(error, ScheduleError::UnknownZone(zone.into()));
        assert!(error.to_string().contains("Europe/Berlin"), "names a remedy");
    }
}

#[test]
fn times_that_cannot_be_read_name_their_field_and_how_to_write_it() {
    let weekly = |start: &str, end: &str, from: Option<&str>, until: Option<&str>| {
        When::weekly(&WEEK, start, end, "UTC", from, until).unwrap_err().to_string()
    };
    let table = [
        (
            When::once("tomorrow", "2026-01-02T00:00", "UTC").unwrap_err().to_string(),
            "start \"tomorrow\" is not a local time; write it as 2026-12-07T07:30",
        ),
        (
            When::once("2026-01-02T00:00", "13:00", "UTC").unwrap_err().to_string(),
            "end \"13:00\" is not a local time; write it as 2026-12-07T07:30",
        ),
        (
            When::once("2026-01-02T00:00", "2026-01-02T00:00", "UTC").unwrap_err().to_string(),
            "end 2026-01-02T00:00 is not after start 2026-01-02T00:00",
        ),
        (weekly("25:00", "13:00", None, None), "start \"25:00\" is not a local time; write it as 07:30"),
        (weekly("12:00", "noon", None, None), "end \"noon\" is not a local time; write it as 07:30"),
        (weekly("12:00", "13:00", Some("today"), None), "from \"today\" is not a local time; write it as 2026-12-07"),
        (
            weekly("12:00", "13:00", None, Some("2026-13-01")),
            "until \"2026-13-01\" is not a local time; write it as 2026-12-07",
        ),
    ];
    for (error, text) in table {
        assert_eq!(error, text);
    }
}

#[test]
fn bounds_print_for_people() {
    assert_eq!(Bound::Replicas(12).to_string(), "12 pods");
    assert_eq!(Bound::Demand(850.5).to_string(), "the pods for 850.5");
}

#[test]
fn what_the_climb_to_a_plan_has_reached_stays_until_it_opens() {
    let rules = |window, pods, period| RuleSpec {
        stabilization_window: Some(secs(window)),
        select: None,
        policies: vec![ScalingPolicy::pods(pods, secs(period))],
    };
    for (up_window, down_window) in [(0, 0), (120, 0), (120, 15), (300, 30)] {
        let mut policy = rate_policy(1, 20);
        policy.tunables.collapse_hold = Duration::ZERO;
        policy.behavior = Behavior::effective(Some(rules(up_window, 1, 60)), Some(rules(down_window, 20, 15)));
        policy.schedules = vec![Schedule {
            name: "exam".into(),
            when: When::windows(vec![Window::exact(START.plus(secs(3600)), START.plus(secs(7200)))]),
            floor: Some(Bound::Replicas(12)),
            cap: None,
            ramp: None,
        }];
        let mut world = World::new(policy, 3);
        let mut reached = 0;
        while world.elapsed() < 7200 {
            let opens = world.elapsed() >= 3600;
            let floor = world.tick(200.0).floor;
            assert!(reached < 12 || floor == 12, "{up_window}, {down_window}: {floor} at {} s", world.elapsed());
            assert!(!opens || floor == 12, "{up_window}, {down_window}: {floor} while it is open");
            reached = reached.max(floor);
        }
    }
}
