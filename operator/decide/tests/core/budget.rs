//! Connections of databases: how they are shared, and how a cap follows its share.

use std::collections::BTreeMap;

use crate::common::*;
use learningplatform_decide::budget::*;
use learningplatform_decide::*;

/// An app of `min` to `max` pods of `per_pod` connections, without surge.
fn app(name: &str, min: u32, max: u32, per_pod: u32) -> Consumer {
    let (surge, terminating) = (Extra::NONE, Extra::NONE);
    Consumer { app: name.into(), min, max, surge, terminating, jobs: 0, per_pod, weight: 1, now: min }
}

fn weighing(weight: u32, app: Consumer) -> Consumer {
    Consumer { weight, ..app }
}

fn running(now: u32, app: Consumer) -> Consumer {
    Consumer { now, ..app }
}

pub fn endpoint(name: &str, limit: Limit, consumers: Vec<Consumer>) -> Endpoint {
    Endpoint { name: name.into(), limit, consumers }
}

pub fn budget(connections: u32) -> Limit {
    Limit { budget: Some(connections), ..Limit::default() }
}

fn seen(max_connections: Sample, reserved: u32) -> Limit {
    Limit { max_connections: Some(max_connections), reserved, ..Limit::default() }
}

pub fn shares(endpoints: &[Endpoint]) -> Shares {
    share(&Tunables::default(), START, &mut Known::default(), endpoints)
}

/// The caps of the apps `a`, `b` and so on; one that is not limited has the most of its spec.
fn caps(endpoints: &[Endpoint]) -> Vec<u32> {
    let shares = shares(endpoints);
    let mut most: BTreeMap<&Name, u32> = BTreeMap::new();
    for consumer in endpoints.iter().flat_map(|endpoint| &endpoint.consumers) {
        most.insert(&consumer.app, consumer.max);
    }
    most.iter().map(|(app, max)| shares.caps.get(*app).map_or(*max, |limit| limit.cap)).collect()
}

#[test]
fn what_is_left_above_the_minimums_is_shared_by_weight_and_rounded_down() {
    let table = [
        (200, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![10, 10], "all of it fits"),
        (199, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![9, 9], "one less each: 9.95 are 9"),
        (100, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![5, 5], "half"),
        (110, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![5, 5], "an odd pod is nobody's"),
        (100, vec![app("a", 1, 10, 10), app("b", 5, 10, 10)], vec![3, 7], "above each minimum"),
        (100, vec![weighing(3, app("a", 1, 10, 10)), app("b", 1, 10, 10)], vec![7, 3], "by weight"),
        (100, vec![weighing(0, app("a", 1, 10, 10)), app("b", 1, 10, 10)], vec![5, 5], "no weight counts as 1"),
        (150, vec![app("a", 1, 20, 10), app("b", 1, 3, 10)], vec![12, 3], "what one does not need is the others'"),
        (110, vec![app("a", 1, 20, 50), app("b", 1, 20, 5)], vec![1, 6], "shares are connections, not pods"),
        (40, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![2, 2], "the minimums alone"),
        (39, vec![app("a", 2, 10, 10), app("b", 2, 10, 10)], vec![2, 2], "even they are too much"),
        (0, vec![app("a", 2, 10, 10)], vec![2], "never below the minimum"),
        (35, vec![app("a", 0, 10, 10)], vec![3], "an app that may go to zero"),
        (5, vec![app("a", 0, 10, 10)], vec![1], "keeps one, with which it can answer"),
        (9, vec![app("a", 1, 7, 0)], vec![7], "an app without connections is not limited"),
        (10, vec![], vec![], "nobody"),
    ];
    for (limit, consumers, expected, why) in table {
        let found = caps(&[endpoint("main", budget(limit), consumers)]);
        assert_eq!(found, expected, "{limit} connections: {why}");
    }
}

#[test]
fn surge_and_terminating_pods_count_and_percentages_are_rounded_up() {
    use Extra::{Percent, Pods};
    // limit, surge, terminating -> pods of 10 connections
    let table = [
        (100, Pods(0), Pods(0), 10),
        (100, Pods(1), Pods(0), 9),
        (100, Pods(1), Pods(1), 8),
        // 8 pods and 2 of surge; 9 would take 3.
        (100, Percent(25), Pods(0), 8),
        (110, Percent(25), Pods(0), 8),
        (120, Percent(25), Pods(0), 9),
        (100, Percent(25), Percent(25), 6),
        (100, Percent(100), Percent(100), 3),
    ];
    for (limit, surge, terminating, pods) in table {
        let consumer = Consumer { surge, terminating, ..app("a", 1, 20, 10) };
        let found = caps(&[endpoint("main", budget(limit), vec![consumer])]);
        assert_eq!(found, [pods], "{limit} with {surge:?} and {terminating:?}");
    }
    // A job runs at any time, however many pods there are: (8 + 1 + 1) x 10.
    let working = Consumer { jobs: 1, surge: Pods(1), ..app("a", 1, 20, 10) };
    let of_jobs = shares(&[endpoint("main", budget(100), vec![working])]);
    assert_eq!(of_jobs.caps[&Name::from("a")].cap, 8);
    assert!(of_jobs.accounts[0].to_string().starts_with("main: a (20 + 2) x 10 = 220;"), "{}", of_jobs.accounts[0]);
    // At zero pods there is no rollout.
    let idle = running(0, Consumer { surge: Pods(1), ..app("a", 0, 4, 10) });
    let shares = shares(&[endpoint("main", budget(20), vec![idle])]);
    assert_eq!((shares.caps[&Name::from("a")].cap, shares.accounts[0].parts[0].now), (1, 0));
}

#[test]
fn an_app_gets_the_least_that_any_of_its_servers_allows() {
    let web = || app("a", 1, 20, 10);
    let two = [
        endpoint("main", budget(100), vec![web(), app("b", 1, 20, 10)]),
        endpoint("main replica 1", budget(60), vec![web()]),
        endpoint("reports", budget(1000), vec![app("b", 1, 20, 10)]),
    ];
    assert_eq!(caps(&two), [5, 5]);
    let shares = shares(&two);
    assert_eq!(&*shares.caps[&Name::from("a")].endpoint, "main");
    let fits: Vec<Fit> = shares.accounts.iter().map(Account::fit).collect();
    assert_eq!(fits, [Fit::Shared, Fit::Shared, Fit::Fits]);
    let one = [two[0].clone(), endpoint("main replica 1", budget(30), vec![web()])];
    assert_eq!(caps(&one), [3, 5]);
}

#[test]
fn a_limit_is_the_lesser_of_the_spec_and_of_what_the_server_says() {
    let apps = || vec![app("a", 1, 20, 10)];
    let value = |max: f64| Sample::value(max, Some(START));
    let table = [
        (budget(50), 5, "the spec alone"),
        (seen(value(103.0), 3), 10, "the server alone, less what it keeps"),
        (Limit { budget: Some(50), ..seen(value(103.0), 3) }, 5, "the spec is less"),
        (Limit { budget: Some(500), ..seen(value(103.0), 3) }, 10, "the server is less"),
        (seen(value(2.0), 3), 1, "it keeps all of it"),
        (Limit::default(), 20, "nobody says, and nobody is asked"),
    ];
    for (limit, cap, why) in table {
        assert_eq!(caps(&[endpoint("main", limit, apps())]), [cap], "{why}");
    }
}

#[test]
fn what_was_known_of_a_server_holds_until_something_else_is_known() {
    let tunables = Tunables::default();
    let mut known = Known::default();
    let at = |now: u64, sample: Sample, known: &mut Known| {
        let now = START.plus(secs(now));
        let endpoints = [endpoint("main", seen(sample, 3), vec![app("a", 1, 20, 10)])];
        share(&tunables, now, known, &endpoints).caps.get("a").map(|limit| (limit.cap, limit.known))
    };
    let value = |seconds: u64, max: f64| Sample::value(max, Some(START.plus(secs(seconds))));
    assert_eq!(at(0, Sample::NoData, &mut known), Some((20, false)), "never known: nothing may be raised");
    assert_eq!(at(5, value(5, 103.0), &mut known), Some((10, true)));
    let lost = [
        Sample::NoData,
        Sample::value(f64::NAN, None),
        Sample::error(SourceErrorKind::Connect, "refused"),
        value(5, 53.0),
        value(100, 53.0).doubted(Doubt::PartialResponse),
        value(100, 903.0).doubted(Doubt::PartialResponse),
    ];
    for sample in lost {
        assert_eq!(at(100, sample.clone(), &mut known), Some((10, true)), "{sample:?}");
    }
    assert_eq!(at(105, value(105, 53.0), &mut known), Some((5, true)), "lowered");
    assert_eq!(at(110, value(110, 1003.0), &mut known), None, "raised above the spec: no limit");
    // A server that is gone is forgotten, so that another one of its name starts anew.
    share(&tunables, START, &mut known, &[]);
    assert_eq!(known, Known::default());
}

#[test]
fn a_scrape_interval_of_its_own_tells_how_long_a_limit_is_fresh() {
    let mut known = Known::default();
    let tunables = Tunables::default();
    let sample = |interval| Sample::value(103.0, Some(START)).scraped_every(secs(interval));
    for (interval, age, fresh) in [(60, 180, true), (60, 181, false), (5, 15, true), (5, 16, false)] {
        let endpoints = [endpoint("main", seen(sample(interval), 3), vec![app("a", 1, 20, 10)])];
        let shares = share(&tunables, START.plus(secs(age)), &mut known, &endpoints);
        assert_eq!(shares.caps["a"].known, fresh, "{age} s after, scraped every {interval} s");
        known = Known::default();
    }
}

#[test]
fn one_server_that_is_not_known_keeps_what_the_others_allow_from_rising() {
    let web = || app("a", 1, 20, 10);
    for turned in [false, true] {
        let mut endpoints =
            vec![endpoint("main", budget(80), vec![web()]), endpoint("reports", seen(Sample::NoData, 3), vec![web()])];
        if turned {
            endpoints.reverse();
        }
        let limit = &shares(&endpoints).caps["a"];
        assert_eq!((limit.cap, limit.known, &*limit.endpoint), (8, false, "main"));
    }
}

#[test]
fn pods_above_their_share_keep_others_from_taking_it_before_they_are_gone() {
    // 20 pods in all. After a change of weights `a` has 5 more than its share of 10.
    let at = |a: u32, b: u32| {
        let apps = vec![running(a, app("a", 1, 20, 10)), running(b, app("b", 1, 20, 10))];
        caps(&[endpoint("main", budget(200), apps)])
    };
    assert_eq!(at(15, 5), [10, 5], "nothing is free yet");
    assert_eq!(at(13, 5), [10, 7], "what has gone is");
    assert_eq!(at(13, 8), [10, 8], "what it has it keeps");
    assert_eq!(at(10, 5), [10, 10]);
    assert_eq!(at(15, 15), [10, 10], "both are above it, and both fall");
    assert_eq!(at(25, 0), [10, 1], "the minimum is never taken");
}

#[test]
fn the_sum_is_spelt_out() {
    let web = Consumer { surge: Extra::Percent(25), terminating: Extra::Percent(25), ..app("web", 3, 20, 20) };
    let jobs = app("jobs", 2, 4, 5);
    let text = |limit: Limit| {
        let shares = shares(&[endpoint("main", limit, vec![web.clone(), jobs.clone()])]);
        let limit = shares.caps.get("web").map(ToString::to_string).unwrap_or_default();
        (shares.accounts[0].to_string(), limit)
    };
    let sum = "main: web (20 + 10) x 20 = 600 + jobs (4 + 0) x 5 = 20; together 620";
    assert_eq!(text(budget(700)), (format!("{sum} of 700"), String::new()));
    assert_eq!(
        text(budget(400)),
        (
            format!("{sum} of 400, so caps are lowered"),
            "main takes 400 connections, and its apps could open 620: the share of this app is enough for 12".into()
        )
    );
    assert_eq!(
        text(budget(100)),
        (
            format!("{sum} of 100, and the minimums alone are 110"),
            "main takes 100 connections, and its apps could open 620: even their minimums are more, so nothing grows"
                .into()
        )
    );
    assert_eq!(
        text(seen(Sample::NoData, 3)),
        (
            format!("{sum}, of a limit that is not known"),
            "how many connections main takes is not known; nothing grows beyond what was allowed before until the server says its limit"
                .into()
        )
    );
    let words: Vec<&str> =
        [Fit::Fits, Fit::Shared, Fit::BudgetExceededByMinimums, Fit::Unknown].map(Fit::as_str).to_vec();
    assert_eq!(words, ["Fits", "Shared", "BudgetExceededByMinimums", "Unknown"]);
}

/// What connections allow, as [`share`] gives it for one app.
fn limit(connections: u32, max: u32) -> Option<CapLimit> {
    shares(&[endpoint("main", budget(connections), vec![app("a", 3, max, 10)])]).caps.remove("a")
}

#[test]
fn a_lower_budget_lowers_the_cap_by_its_ramp_and_a_greater_one_raises_it_at_once() {
    let mut policy = rate_policy(3, 20);
    policy.behavior = story_behavior();
    let mut world = World::new(policy, 20);
    world.run(120, 2000.0);
    assert_eq!(world.tick(2000.0).cap, 20);
    world.tiers.cap_limit = limit(100, 20);
    let mut caps = Vec::new();
    for _ in 0..120 {
        let decision = world.tick(2000.0);
        assert!(decision.floor <= decision.cap);
        if caps.last().is_none_or(|(_, cap)| *cap != decision.cap) {
            caps.push((world.elapsed(), decision.cap));
        }
    }
    let steps: Vec<u32> = caps.iter().map(|(_, cap)| *cap).collect();
    assert_eq!(steps, [18, 16, 14, 12, 10], "a tenth of the count every minute");
    assert!(caps.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 55), "{caps:?}");
    let decision = world.tick(2000.0);
    assert_eq!((decision.floor, decision.reason), (10, Reason::Cap));
    assert_eq!(
        decision.sentence(),
        "main takes 100 connections, and its apps could open 200: the share of this app is enough for 10"
    );
    assert_eq!(decision.would_scale_if[0].raises_above, None, "no demand raises it further");
    world.tiers.cap_limit = limit(150, 20);
    assert_eq!(world.tick(2000.0).cap, 15);
    world.tiers.cap_limit = None;
    assert_eq!(world.tick(2000.0).cap, 20);
}

#[test]
fn on_the_way_down_the_explanation_says_so() {
    let mut world = World::new(rate_policy(3, 20), 20);
    world.run(120, 2000.0);
    world.tiers.cap_limit = limit(100, 20);
    assert_eq!(world.tick(2000.0).stages[7].why, Why::CapFalling { cap: 18 });
}

#[test]
fn minimums_that_are_too_much_are_kept_and_nothing_grows() {
    let mut world = World::new(eager_policy(3, 20), 3);
    world.tiers.cap_limit = limit(20, 20);
    let decision = world.tick(2000.0);
    assert_eq!((decision.floor, decision.cap), (3, 3));
    assert!(decision.sentence().ends_with("even their minimums are more, so nothing grows"), "{}", decision.sentence());
}

#[test]
fn no_plan_hold_or_fallback_makes_a_server_take_more() {
    let mut policy = eager_policy(3, 20);
    policy.fallback_replicas = Some(15);
    policy.schedules = vec![Schedule {
        name: "exam".into(),
        when: When::windows(vec![Window::exact(START, START.plus(secs(1000)))]),
        floor: Some(Bound::Replicas(18)),
        cap: Some(Bound::Replicas(12)),
        ramp: None,
    }];
    let mut world = World::new(policy, 3);
    world.input.holds = vec![ManualHold { floor: 19, until: START.plus(secs(1000)), reason: "demo".into(), by: None }];
    world.tiers.cap_limit = limit(70, 20);
    assert_eq!(world.tick(2000.0).cap, 7);
    // A plan's cap that is lower still wins.
    world.input.holds.clear();
    world.policy.schedules[0].floor = None;
    world.policy.schedules[0].cap = Some(Bound::Replicas(5));
    let decision = world.tick(2000.0);
    assert_eq!((decision.cap, decision.stages[7].why.clone()), (5, Why::ScheduleCap { name: "exam".into(), cap: 5 }));
}

#[test]
fn a_limit_that_is_not_known_neither_raises_nor_lowers_what_is_written() {
    let unknown = |budget: Option<u32>| {
        let limit = Limit { budget, ..seen(Sample::NoData, 3) };
        shares(&[endpoint("main", limit, vec![app("a", 3, 20, 10)])]).caps.remove("a")
    };
    // What a new process finds: the cap that was allowed before.
    let mut policy = eager_policy(3, 20);
    policy.max_replicas = 20;
    let mut world = World::new(policy.clone(), 8);
    world.state = State::adopt(&policy, START, Adopted { floor: Some(8), cap: Some(10), observed: 8 });
    world.tiers.cap_limit = unknown(None);
    for _ in 0..50 {
        let decision = world.tick(2000.0);
        assert_eq!((decision.cap, decision.floor), (10, 10));
    }
    assert!(world.tick(2000.0).sentence().contains("is not known"));
    world.tiers.cap_limit = unknown(Some(150));
    assert_eq!(world.tick(2000.0).cap, 10, "the spec's budget is no reason to raise");
    world.tiers.cap_limit = unknown(Some(60));
    assert_eq!(world.tick(2000.0).cap, 6, "but one to lower");
    world.tiers.cap_limit = limit(150, 20);
    assert_eq!(world.tick(2000.0).cap, 15, "known again");
    // An app that is new has what its spec says.
    let mut world = World::new(policy.clone(), 3);
    world.state = State::adopt(&policy, START, Adopted { floor: None, cap: None, observed: 3 });
    world.tiers.cap_limit = unknown(None);
    assert_eq!(world.tick(300.0).cap, 20);
}

#[test]
fn apps_that_share_a_server_never_open_more_than_it_takes_once_their_caps_have_fallen() {
    // Three apps of one database at full load; its budget is cut to half, and later given back to one by weight.
    let apps = |worlds: &[World], weight: u32| -> Vec<Consumer> {
        let consumer = |(index, world): (usize, &World)| {
            let app = app(["a", "b", "c"][index], 2, 20, 10);
            running(world.replicas.max(world.state.cap()), weighing(if index == 0 { weight } else { 1 }, app))
        };
        worlds.iter().enumerate().map(consumer).collect()
    };
    let mut worlds: Vec<World> = (0..3).map(|_| World::new(rate_policy(2, 20), 20)).collect();
    let (mut known, tunables) = (Known::default(), Tunables::default());
    let mut open_before = 600;
    for tick in 0..400 {
        let (budget_now, weight) = (if tick < 10 { 600 } else { 300 }, if tick < 200 { 1 } else { 6 });
        let endpoints = [endpoint("main", budget(budget_now), apps(&worlds, weight))];
        let shares = share(&tunables, worlds[0].now, &mut known, &endpoints);
        for (world, name) in worlds.iter_mut().zip(["a", "b", "c"]) {
            world.tiers.cap_limit = shares.caps.get(name).cloned();
            world.tick(2000.0);
        }
        let open: u32 = worlds.iter().map(|world| world.replicas.max(world.state.cap()) * 10).sum();
        assert!(open <= budget_now.max(open_before), "tick {tick}: {open} of {budget_now}, {open_before} before");
        assert!(tick < 100 || open <= budget_now, "tick {tick}: {open} of {budget_now}");
        open_before = open;
    }
    let pods: Vec<u32> = worlds.iter().map(|world| world.replicas).collect();
    assert_eq!(pods, [20, 5, 5], "the weight has moved what was free");
}
