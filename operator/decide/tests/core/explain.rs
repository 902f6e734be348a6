//! What a decision tells people and programs.

use crate::common::*;
use learningplatform_decide::*;

#[test]
fn hints_are_where_the_floor_really_moves() {
    for (rate, utilization) in [(420.0, 100), (333.0, 80), (1234.0, 55)] {
        let mut policy = eager_policy(2, 40);
        policy.demand[0].utilization_percent = utilization;
        let mut world = World::new(policy, 2);
        let decision = world.tick(rate);
        let hint = &decision.would_scale_if[0];
        assert_eq!((&*hint.signal, hint.unit), ("requestRate", "requests/s"));
        let (up, down) = (hint.raises_above.unwrap(), hint.lowers_at.unwrap());
        let floor_at = |value: f64| {
            let mut world = World::new(world.policy.clone(), decision.floor);
            world.tick(value).floor
        };
        assert_eq!(floor_at(up), decision.floor, "{rate}");
        assert_eq!(floor_at(up * 1.0001), decision.floor + 1, "{rate}");
        assert_eq!(floor_at(down), decision.floor - 1, "{rate}");
        assert_eq!(floor_at(down * 1.0001), decision.floor, "{rate}");
    }
}

#[test]
fn hints_end_at_the_bounds() {
    let mut world = World::new(eager_policy(2, 4), 2);
    let hint = |decision: Decision| (decision.would_scale_if[0].raises_above, decision.would_scale_if[0].lowers_at);
    assert_eq!(hint(world.tick(100.0)), (Some(200.0), None), "at the minimum nothing lowers");
    assert_eq!(hint(world.tick(4000.0)), (None, Some(300.0 / 1.1)), "at the maximum nothing raises");
    let mut policy = eager_policy(0, 4);
    policy.demand[0].activation = 30.0;
    let mut world = World::new(policy, 1);
    assert_eq!(hint(world.tick(60.0)), (Some(100.0), Some(30.0)), "one pod goes at activation");
    assert_eq!(hint(world.tick(10.0)), (Some(30.0), None));
}

#[test]
fn steady_is_no_news_and_every_change_of_meaning_is() {
    let mut world = World::new(eager_policy(2, 20), 4);
    let base = world.tick(390.0);
    assert!(!world.tick(380.0).differs_in_meaning(&base), "values move all the time");
    let changed = |change: &dyn Fn(&mut Decision)| {
        let mut other = base.clone();
        change(&mut other);
        other.differs_in_meaning(&base)
    };
    assert!(!changed(&|decision| decision.at = START));
    assert!(!changed(&|decision| decision.reason = Reason::Held));
    assert!(changed(&|decision| decision.floor += 1));
    assert!(changed(&|decision| decision.cap += 1));
    assert!(changed(&|decision| decision.write.disable_scale_up = true));
    assert!(changed(&|decision| decision.metrics.as_mut().unwrap().status = false));
    assert!(changed(&|decision| decision.metrics.as_mut().unwrap().reason = MetricsReason::Settling));
    assert!(changed(&|decision| decision.metrics = None));
    assert!(changed(&|decision| decision.findings.push(Finding::RolloutStuck)));
    let slow = |decision: &mut Decision, tier: &str, until: Time| {
        let shown = Shown { tier: tier.into(), figure: Figure::PrimaryCpu, value: 1.0, threshold: 0.85 };
        let stops_demand_until = (until > START).then_some(until);
        decision.bottleneck = Some(Bottleneck { shown: Some(shown), until, stops_demand_until });
    };
    assert!(changed(&|decision| slow(decision, "main", START)));
    let (mut one, mut two, mut later) = (base.clone(), base.clone(), base.clone());
    slow(&mut one, "main", START);
    slow(&mut two, "cache", START);
    slow(&mut later, "main", START.plus(secs(600)));
    assert!(two.differs_in_meaning(&one), "another tier");
    assert!(!later.differs_in_meaning(&one), "the same one, looked at again");
    let failed = |kind, server: &str, message: &str| {
        let mut other = base.clone();
        let error = SourceError::new(kind, message).of(server.into());
        other.metrics.as_mut().unwrap().signal = Some(("requestRate".into(), SignalState::Error(error)));
        other
    };
    let setup = |message: &str| failed(SourceErrorKind::Setup, "http://one", message);
    assert!(setup("no Secret").differs_in_meaning(&setup("no key")), "another thing has to be mended");
    assert!(!setup("no Secret").differs_in_meaning(&setup("no Secret")));
    let server = |server: &str, message: &str| failed(SourceErrorKind::Connect, server, message);
    let known = server("http://one", "port 1");
    assert!(!server("http://one", "port 2").differs_in_meaning(&known), "a server's words are no news");
    assert!(server("http://two", "port 1").differs_in_meaning(&known), "another server fails");
    let stuck = |findings: Vec<Finding>| Decision { findings, ..base.clone() };
    assert!(
        stuck(vec![Finding::RolloutStuck])
            .differs_in_meaning(&stuck(vec![Finding::BudgetNotResolvable { budget: 1.0 }]))
    );
    let until = |seconds| stuck(vec![Finding::LatencyNotHelpedByPods { until: START.plus(secs(seconds)) }]);
    assert!(!until(1).differs_in_meaning(&until(2)), "an end that moves is no news");
}

#[test]
fn the_reason_is_the_last_stage_that_moved_the_number() {
    let mut policy = eager_policy(3, 20);
    policy.behavior.down.stabilization_window = secs(60);
    let mut world = World::new(policy.clone(), 5);
    assert_eq!(world.tick(800.0).reason, Reason::Demand);
    assert_eq!(world.tick(100.0).reason, Reason::Stabilising);
    world.run(60, 100.0);
    let decision = world.tick(100.0);
    assert_eq!((decision.reason, decision.sentence().as_str()), (Reason::Minimum, "minReplicas is 3"));
    policy.demand.clear();
    let mut world = World::new(policy, 3);
    let decision = world.step();
    assert_eq!((decision.reason, decision.metrics), (Reason::Minimum, None));
    // Nothing moved it: what the demand is.
    let mut world = World::new(eager_policy(3, 20), 3);
    assert_eq!(world.tick(290.0).sentence(), "requestRate 290 requests/s at 100 per pod needs 3 pods");
    assert_eq!(Reason::ManualHold.to_string(), "ManualHold");
}

fn stage(decision: &Decision, name: StageName) -> &Why {
    &decision.stages.iter().find(|stage| stage.name == name).unwrap().why
}

#[test]
fn a_stage_that_changes_nothing_says_so() {
    let mut policy = eager_policy(4, 20);
    policy.schedules = vec![Schedule {
        name: "exam".into(),
        when: When::windows(vec![Window::exact(START, START.plus(secs(1000)))]),
        floor: Some(Bound::Replicas(4)),
        cap: Some(Bound::Replicas(20)),
        ramp: None,
    }];
    let mut world = World::new(policy, 4);
    world.input.holds = vec![ManualHold { floor: 4, until: START.plus(secs(1000)), reason: "demo".into(), by: None }];
    let decision = world.tick(400.0);
    let whys: Vec<&Why> = decision.stages.iter().skip(1).map(|stage| &stage.why).collect();
    let nothing = [
        &Why::CapacityAsPlanned,
        &Why::NoRollout,
        &Why::NothingHigher,
        &Why::Free,
        &Why::Steady,
        &Why::WithinSpeed,
        &Why::WithinCap,
    ];
    assert_eq!(whys, nothing);
    // A cap at the maximum is the maximum.
    assert_eq!(world.tick(9000.0).sentence(), "maxReplicas is 20");
    // Windows that agree are steady, both ways.
    let mut world = World::new(eager_policy(1, 20), 4);
    assert_eq!(stage(&world.tick(600.0), StageName::Stabilise), &Why::Steady);
    assert_eq!(stage(&world.tick(90.0), StageName::Stabilise), &Why::Steady);
    // A fallback that holds what demand needs anyway is not the reason.
    let mut policy = eager_policy(1, 20);
    policy.demand.push(Demand::concurrency(10.0));
    let mut world = World::new(policy, 4);
    for _ in 0..14 {
        world.input.demand = vec![failing(SourceErrorKind::Connect), demand(&world, 40.0)];
        assert_eq!(stage(&world.step(), StageName::Raise), &Why::NothingHigher);
    }
}

#[test]
fn of_equals_the_first_is_named() {
    let mut policy = eager_policy(1, 20);
    policy.demand.push(Demand::concurrency(10.0));
    let plan = |name: &str| Schedule {
        name: name.into(),
        when: When::windows(vec![Window::exact(START, START.plus(secs(1000)))]),
        floor: Some(Bound::Replicas(7)),
        cap: Some(Bound::Replicas(9)),
        ramp: None,
    };
    policy.schedules = vec![plan("first"), plan("second")];
    let mut world = World::new(policy, 4);
    world.input.demand = vec![demand(&world, 350.0), demand(&world, 39.0)];
    let decision = world.step();
    assert!(matches!(stage(&decision, StageName::Size), Why::Demand { signal, .. } if &**signal == "requestRate"));
    assert_eq!(stage(&decision, StageName::Raise), &Why::Schedule { name: "first".into(), full: 7 });
    world.input.demand = vec![demand(&world, 3500.0), demand(&world, 390.0)];
    assert_eq!(stage(&world.step(), StageName::Bound), &Why::ScheduleCap { name: "first".into(), cap: 9 });

    // Both signals are restrained to the same count.
    let mut policy = eager_policy(1, 20);
    policy.demand.push(Demand::concurrency(10.0));
    let mut world = World::new(policy, 4);
    world.input.demand = vec![demand(&world, 380.0), demand(&world, 38.0)];
    world.step();
    world.input.rollout.active = true;
    world.input.demand = vec![demand(&world, 410.0), demand(&world, 41.0)];
    assert_eq!(
        stage(&world.step(), StageName::Restrain),
        &Why::RolloutRestrained { before: 380.0, unit: "requests/s" }
    );
    // One that has clearly grown is not held back by another that has not.
    world.input.demand = vec![demand(&world, 410.0), demand(&world, 55.0)];
    let decision = world.step();
    assert_eq!((stage(&decision, StageName::Restrain), decision.floor), (&Why::RolloutUnrestrained, 6));
}

#[test]
fn a_rollout_that_restrains_nothing_says_so() {
    // 250 before the rollout, and anything up to twice that counts as 250.
    for (floor, demand, restrained) in [(5, 410.0, false), (4, 410.0, true), (3, 250.0, false), (5, 350.0, false)] {
        let mut policy = eager_policy(floor, 20);
        policy.tunables.rollout_margin = 2.0;
        let mut world = World::new(policy, floor);
        world.tick(250.0);
        world.input.rollout.active = true;
        let decision = world.tick(demand);
        let seen = matches!(stage(&decision, StageName::Restrain), Why::RolloutRestrained { .. });
        assert_eq!(seen, restrained, "{demand} on a floor of {floor}");
    }
}

#[test]
fn a_direction_that_is_disabled_is_named() {
    for (select, up, down) in [
        (SelectPolicy::Disabled, Why::DirectionDisabled, Why::DirectionDisabled),
        (SelectPolicy::Max, Why::SpeedUp, Why::SpeedDown),
    ] {
        let mut policy = eager_policy(1, 20);
        for rules in [&mut policy.behavior.up, &mut policy.behavior.down] {
            (rules.select, rules.policies) = (select, vec![ScalingPolicy::pods(1, secs(60))]);
        }
        let mut world = World::new(policy.clone(), 5);
        assert_eq!(stage(&world.tick(900.0), StageName::Ramp), &up);
        let mut world = World::new(policy, 5);
        assert_eq!(stage(&world.tick(90.0), StageName::Ramp), &down);
    }
}

#[test]
fn metrics_name_the_first_required_signal_that_fails() {
    let mut policy = eager_policy(1, 20);
    policy.demand.push(Demand::concurrency(10.0));
    policy.latency = Some(Latency::new("latency p95", 0.2));
    let mut world = World::new(policy, 3);
    let now = world.now;
    let value = |trust: bool| {
        let sample = Sample::value(90.0, Some(now));
        DemandInput::single(if trust { sample } else { sample.doubted(Doubt::PartialResponse) }, None)
    };
    let broken = failing(SourceErrorKind::Query);
    let latency = |sample| Some(LatencyInput { sample, resolvable: true, started: None });
    let good = || Sample::value(0.1, Some(now));
    let table = [
        (vec![value(true), value(true)], good(), MetricsReason::Available, None),
        (vec![value(false), value(true)], good(), MetricsReason::Settling, Some("requestRate")),
        (vec![value(true), value(false)], Sample::NoData, MetricsReason::NoSeries, Some("latency p95")),
        (vec![value(false), broken.clone()], good(), MetricsReason::SourceMisconfigured, Some("concurrency")),
        (
            vec![broken, failing(SourceErrorKind::Timeout)],
            Sample::NoData,
            MetricsReason::SourceMisconfigured,
            Some("requestRate"),
        ),
    ];
    for (demand, sample, reason, name) in table {
        world.input.demand = demand;
        world.input.latency = latency(sample);
        world.now = now;
        let state = world.state.clone();
        let metrics = world.step().metrics.unwrap();
        world.state = state;
        assert_eq!((metrics.reason, metrics.signal.as_ref().map(|(name, _)| &**name)), (reason, name));
        assert_eq!(metrics.status, matches!(reason, MetricsReason::Available | MetricsReason::Settling));
        assert_eq!(metrics.reason.to_string(), metrics.reason.as_str());
    }
}

#[test]
fn every_word_of_a_condition_is_a_word_and_every_state_a_sentence() {
    use SignalState::*;
    let table = [
        (Full, "Available", "a trusted value"),
        (RaiseOnly(Doubt::Recovering), "Settling", "a value that may only raise, because its source is recovering"),
        (
            RaiseOnly(Doubt::SourceRestarted),
            "Settling",
            "a value that may only raise, because its source has restarted and its rates are filling up",
        ),
        (
            RaiseOnly(Doubt::PartialResponse),
            "Settling",
            "a value that may only raise, because its source answered in part only",
        ),
        (
            RaiseOnly(Doubt::Constant),
            "SourceUnavailable",
            "a value that may only raise, because it is a constant, not a measurement",
        ),
        (NoData, "NoSeries", "the query matches no series"),
        (
            SeriesNeverSeen,
            "SeriesNeverSeen",
            "the query has matched no series for a long time; check the metric's name and labels",
        ),
        (
            TooFewSamples(secs(60)),
            "NoSeries",
            "the series exists, but has fewer than two samples in 1m: if that lasts, set prometheus.scrapeInterval to the job's scrape_interval",
        ),
        (NotANumber(learningplatform_decide::NotANumber::Nan), "NotANumber", "the answer is NaN"),
        (NotANumber(learningplatform_decide::NotANumber::PositiveInfinity), "NotANumber", "the answer is +Inf"),
        (NotANumber(learningplatform_decide::NotANumber::NegativeInfinity), "NotANumber", "the answer is -Inf"),
        (NotANumber(learningplatform_decide::NotANumber::OutOfDomain), "NotANumber", "the answer is below zero"),
        (Stale(secs(61)), "StaleSample", "the newest sample is 1m1s old"),
        (
            Ambiguous(2, "pod".into()),
            "AmbiguousResult",
            "the query returns 2 series that differ in the label pod; aggregate it away or match one value",
        ),
        (
            Error(SourceError::new(SourceErrorKind::Setup, "no Secret")),
            "SourceMisconfigured",
            "the query failed: no Secret",
        ),
        (
            Error(SourceError::new(SourceErrorKind::Timeout, "slow").of("http://one".into())),
            "SourceUnavailable",
            "the query to http://one failed: slow",
        ),
    ];
    for (state, word, sentence) in table {
        assert_eq!((state.metrics_reason().as_str(), state.to_string().as_str()), (word, sentence));
    }
}

#[test]
fn every_why_is_a_sentence_with_its_numbers() {
    let name = || -> Name { "requestRate".into() };
    let until = Time::from_secs(0);
    let table = [
        (Why::NoDemandSignal, "no demand signal is configured"),
        (Why::NoValue, "no demand signal has a value"),
        (Why::Idle { signal: name(), value: 0.25, unit: "requests/s" }, "requestRate 0.25 requests/s is idle"),
        (
            Why::Demand { signal: name(), value: 320.123_456, unit: "requests/s", per_pod: 80.0, need: 5, proposal: 5 },
            "requestRate 320.123 requests/s at 80 per pod needs 5 pods",
        ),
        (
            Why::Demand { signal: name(), value: 1e-9, unit: "requests/s", per_pod: 80.0, need: 1, proposal: 2 },
            "requestRate 1e-9 requests/s at 80 per pod needs 1 pod; with a margin for lowering, 2 pods",
        ),
        (
            Why::Demand { signal: name(), value: 1.5e308, unit: "requests/s", per_pod: 1.0, need: 1, proposal: 1 },
            "requestRate 1.5e308 requests/s at 1 per pod needs 1 pod",
        ),
        (Why::CapacityAsPlanned, "pods carry what is planned"),
        (
            Why::CapacityCorrected { k: 0.5625, per_pod: 56.25 },
            "latency shows that a pod carries 56.3 % of its plan: 56.25 per pod",
        ),
        (Why::NoRollout, "no rollout"),
        (Why::RolloutUnrestrained, "a rollout, which changes nothing"),
        (
            Why::RolloutRestrained { before: 380.0, unit: "requests/s" },
            "during the rollout demand counts as before it, 380 requests/s",
        ),
        (Why::NothingHigher, "no minimum, schedule, hold or fallback asks for more"),
        (Why::Minimum { min: 3 }, "minReplicas is 3"),
        (Why::Fallback { signal: name(), replicas: 1 }, "requestRate is in fallback, which holds 1 pod"),
        (Why::Schedule { name: "exam".into(), full: 12 }, "schedule exam plans 12 pods"),
        (Why::ManualHold { until, reason: "demo".into(), by: None }, "held by hand until 1970-01-01T00:00:00Z: demo"),
        (
            Why::ManualHold { until, reason: "demo".into(), by: Some("ada".into()) },
            "held by hand until 1970-01-01T00:00:00Z: demo (ada)",
        ),
        (Why::Free, "nothing forbids lowering now"),
        (
            Why::SignalNotFull { signal: name(), state: SignalState::NoData },
            "requestRate may not lower: the query matches no series",
        ),
        (
            Why::OverBudget { value: 0.25, budget: 0.2 },
            "latency 0.25 s is over its budget of 0.2 s, so low demand proves nothing",
        ),
        (Why::RolloutHolds, "nothing is lowered during a rollout"),
        (Why::Steady, "steady"),
        (Why::UpWindow { window: secs(60) }, "the least that was asked for in the last 1m"),
        (Why::DownWindow { window: secs(300) }, "the most that was asked for in the last 5m"),
        (Why::HistoryTooShort { until }, "the history is too short to lower before 1970-01-01T00:00:00Z"),
        (
            Why::TooFewValues { share: 0.755, needed: 0.8 },
            "only 75.5 % of the down window had trusted values; lowering needs 80 %",
        ),
        (
            Why::TooFewReady { share: 0.5, needed: 0.9 },
            "only 50 % of the pods were Ready over the down window; lowering needs 90 %",
        ),
        (
            Why::MoreErrors { share: 0.2, usual: 0.01 },
            "20 % of the answers are errors, usually 1 %: an outage reads as idle",
        ),
        (
            Why::Collapsed { signal: name(), until },
            "requestRate fell by more than half at once, which an outage looks like; held until 1970-01-01T00:00:00Z",
        ),
        (Why::WithinSpeed, "within the behavior's speed"),
        (Why::SpeedUp, "behavior.scaleUp allows no more for now"),
        (Why::SpeedDown, "behavior.scaleDown allows no less for now"),
        (Why::DirectionDisabled, "behavior disables this direction"),
        (Why::WithinCap, "within the cap"),
        (Why::Maximum { max: 20 }, "maxReplicas is 20"),
        (Why::ScheduleCap { name: "night".into(), cap: 1 }, "schedule night allows 1 pod"),
        (Why::CapFalling { cap: 18 }, "the cap is on its way down at 18 pods"),
        (
            Why::Connections(budget::CapLimit {
                cap: 12,
                known: true,
                endpoint: "main".into(),
                limit: Some(497),
                wanted: 640,
                exceeded: false,
            }),
            "main takes 497 connections, and its apps could open 640: the share of this app is enough for 12",
        ),
        (
            Why::Bottleneck(Bottleneck {
                shown: Some(Shown { tier: "main".into(), figure: Figure::LockWait, value: 0.4, threshold: 0.25 }),
                until,
                stops_demand_until: None,
            }),
            "main is the bottleneck: the share of sessions that wait for a lock, 40 %, is over 25 %, so latency adds no pods",
        ),
    ];
    for (why, sentence) in table {
        assert_eq!(why.to_string(), sentence);
    }
}

#[test]
fn findings_and_holders_are_sentences_with_a_word() {
    let until = Time::from_secs(0);
    let table = [
        (
            Finding::LatencyNotHelpedByPods { until },
            "LatencyNotHelpedByPods",
            "the last pods added for latency helped neither latency nor throughput; no more are added for it before 1970-01-01T00:00:00Z",
        ),
        (
            Finding::BudgetNotResolvable { budget: 0.2 },
            "BudgetNotResolvable",
            "no histogram bucket lies within a factor of two of the budget 0.2 s; add a bucket near it, and check that the metric is in seconds",
        ),
        (Finding::RolloutStuck, "RolloutStuck", "the rollout makes no progress, so it no longer holds scaling back"),
        (
            Finding::ScheduleConflict { floor_by: "exam".into(), floor: 12, cap_by: "night".into(), cap: 5 },
            "ScheduleConflict",
            "exam asks for at least 12 pods while schedule night allows 5; the floor wins",
        ),
        (
            Finding::DemandCollapsed { signal: "requestRate".into(), until },
            "DemandCollapsed",
            "requestRate fell by more than half at once, which an outage looks like; the floor is held until 1970-01-01T00:00:00Z",
        ),
    ];
    for (finding, word, sentence) in table {
        assert_eq!((finding.reason(), finding.to_string().as_str()), (word, sentence));
    }
    assert_eq!(HeldBy::Floor { floor: 1 }.to_string(), "the floor holds 1 pod");
    assert_eq!(HeldBy::Cap { cap: 20 }.to_string(), "the cap holds 20 pods");
    assert_eq!(
        HeldBy::Hpa { observed: 9, floor: 3 }.to_string(),
        "the HPA holds 9 pods, above the floor of 3: by its own metrics or windows"
    );
    let names: Vec<String> = decision_with_everything().stages.iter().map(|stage| stage.name.to_string()).collect();
    assert_eq!(names, ["size", "correct", "restrain", "raise", "hold", "stabilise", "ramp", "bound"]);
}

fn decision_with_everything() -> Decision {
    let mut policy = eager_policy(3, 20);
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy.fallback_replicas = Some(6);
    let mut world = World::new(policy, 3);
    let sample = Sample::value(0.5, Some(world.now));
    world.input.latency = Some(LatencyInput { sample, resolvable: false, started: None });
    world.tick(320.0)
}

#[test]
fn a_decision_serializes_with_its_sentences() {
    let json = serde_json::to_value(decision_with_everything()).unwrap();
    assert_eq!(json["floor"], 4);
    assert_eq!(json["reason"], "Demand");
    assert_eq!(
        json["stages"][0],
        serde_json::json!({"name": "size", "before": 3, "after": 4, "why": "requestRate 320 requests/s at 100 per pod needs 4 pods"})
    );
    assert_eq!(
        json["signals"][0],
        serde_json::json!({
            "name": "requestRate", "unit": "requests/s", "state": "a trusted value", "value": 320.0, "raiseValue": 320.0,
            "age": 0, "proposal": 4, "k": 1.0, "perPod": 100.0, "failure": "Healthy", "source": 0
        })
    );
    assert_eq!(
        json["metrics"],
        serde_json::json!({"status": true, "reason": "Available", "message": "all required signals have values"})
    );
    assert_eq!(json["findings"][0]["reason"], "BudgetNotResolvable");
    assert_eq!(json["heldBy"], "the floor holds 4 pods");
    assert_eq!(json["wouldScaleIf"][0]["raisesAbove"], 400.0);
    assert_eq!(
        json["write"],
        serde_json::json!({"floor": 4, "cap": 20, "disableScaleUp": false, "disableScaleDown": false, "scale": null})
    );
    let state = World::new(rate_policy(1, 3), 1).state;
    assert_eq!(serde_json::to_value(state).unwrap()["floor"], 1);
}
