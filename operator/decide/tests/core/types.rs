//! Policies, behaviours, times and samples by themselves.

use crate::common::*;
use learningplatform_decide::*;

#[test]
fn policies_that_cannot_work_name_field_and_remedy() {
    let base = || {
        let mut policy = rate_policy(3, 20);
        policy.latency = Some(Latency::new("latency p95", 0.2));
        policy
    };
    assert_eq!(base().validate(), Ok(()));
    type Break = fn(&mut Policy);
    let table: [(Break, &str); 17] = [
        (|policy| policy.min_replicas = 21, "maxReplicas: 20 is below minReplicas 21 or zero"),
        (|policy| (policy.min_replicas, policy.max_replicas) = (0, 0), "maxReplicas: 0 is below minReplicas 0 or zero"),
        (|policy| policy.demand[0].per_pod = 0.0, "requestRate.perPod: 0 is not above zero"),
        (|policy| policy.demand[0].per_pod = f64::INFINITY, "requestRate.perPod: inf is not above zero"),
        (|policy| policy.demand[0].utilization_percent = 0, "requestRate.utilization: 0 %"),
        (|policy| policy.demand[0].utilization_percent = 101, "requestRate.utilization: 101 %"),
        (|policy| policy.demand[0].activation = -1.0, "requestRate.activation:"),
        (|policy| policy.demand[0].activation = f64::NAN, "requestRate.activation:"),
        (|policy| policy.demand[0].constant = Some(-0.5), "requestRate.constant:"),
        (|policy| policy.latency.as_mut().unwrap().budget = 0.0, "latency.budget: 0 s is not a positive time"),
        (|policy| policy.latency.as_mut().unwrap().budget = f64::NAN, "latency.budget:"),
        (|policy| policy.behavior.up.policies.clear(), "behavior.scaleUp.policies:"),
        (|policy| policy.behavior.down.policies[0].value = 0, "behavior.scaleDown.policies:"),
        (|policy| policy.behavior.down.policies[0].period = Duration::ZERO, "behavior.scaleDown.policies:"),
        (
            |policy| (policy.demand.clear(), plan(policy, None, Some(5.0))).1,
            "schedules[exam]: an expected demand needs a demand signal",
        ),
        (
            |policy| (policy.demand.clear(), plan(policy, Some(5.0), None)).1,
            "schedules[exam]: an expected demand needs a demand signal",
        ),
        (|policy| policy.demand.push(Demand::concurrency(-1.0)), "concurrency.perPod: -1 is not above zero"),
    ];
    for (break_it, expected) in table {
        let mut policy = base();
        break_it(&mut policy);
        let error = policy.validate().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with(error.remedy) && !error.remedy.is_empty());
    }
    let fine: [Break; 6] = [
        (|policy| policy.min_replicas = 20),
        (|policy| policy.min_replicas = 0),
        (|policy| (policy.behavior.up.policies.clear(), policy.behavior.up.select = SelectPolicy::Disabled).1),
        (|policy| policy.demand[0].utilization_percent = 1),
        (|policy| policy.demand[0].constant = Some(0.0)),
        (|policy| plan(policy, Some(5.0), Some(500.0))),
    ];
    for (index, change) in fine.iter().enumerate() {
        let mut policy = base();
        change(&mut policy);
        assert_eq!(policy.validate(), Ok(()), "{index}");
    }
}

fn plan(policy: &mut Policy, floor: Option<f64>, cap: Option<f64>) {
    policy.schedules = vec![Schedule {
        name: "exam".into(),
        when: When::windows(vec![]),
        floor: floor.map(Bound::Demand),
        cap: cap.map(Bound::Demand),
        ramp: None,
    }];
}

#[test]
fn the_effective_behavior_is_the_specs_and_the_defaults_where_that_is_silent() {
    let default = Behavior::default();
    assert_eq!(default.up.policies, [ScalingPolicy::pods(4, secs(15)), ScalingPolicy::percent(100, secs(15))]);
    assert_eq!(default.down.policies, [ScalingPolicy::percent(10, secs(60))]);
    assert_eq!((default.up.stabilization_window, default.down.stabilization_window), (Duration::ZERO, secs(300)));
    let mine = vec![ScalingPolicy::pods(1, secs(30))];
    let spec = RuleSpec { stabilization_window: None, select: Some(SelectPolicy::Min), policies: mine.clone() };
    let behavior = Behavior::effective(None, Some(spec));
    assert_eq!(behavior.up, default.up);
    assert_eq!(
        behavior.down,
        ScalingRules { stabilization_window: secs(300), select: SelectPolicy::Min, policies: mine }
    );
    let spec = RuleSpec { stabilization_window: Some(secs(7)), ..RuleSpec::default() };
    let behavior = Behavior::effective(Some(spec), None);
    assert_eq!(behavior.up, ScalingRules { stabilization_window: secs(7), ..default.up });
}

#[test]
fn times_and_durations_saturate_and_print() {
    let (least, most) = (Time::from_millis(i64::MIN), Time::from_millis(i64::MAX));
    assert_eq!(most.plus(secs(1)), most);
    assert_eq!(least.minus(secs(1)), least);
    assert_eq!(most.since(least), Duration::from_millis(u64::MAX));
    assert_eq!(least.since(most), Duration::ZERO);
    assert_eq!(Time::from_secs(5).since(Time::from_secs(2)), secs(3));
    assert_eq!(Time::from_secs(5).minus(secs(2)), Time::from_millis(3000));
    assert_eq!(Time::from_secs_f64(1.5), Some(Time::from_millis(1500)));
    assert_eq!(Time::from_secs_f64(f64::NAN), None);
    assert_eq!(Time::from_secs_f64(f64::INFINITY), Some(most));
    assert_eq!(Time::from_secs_f64(-0.0015), Some(Time::from_millis(-2)));
    assert_eq!(Time::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
    assert_eq!(most.to_string(), "9223372036854775807 ms");
    let durations =
        [(0, "0s"), (250, "250ms"), (1000, "1s"), (90_000, "1m30s"), (7_200_000, "2h"), (3_661_001, "1h1m1s1ms")];
    for (millis, text) in durations {
        assert_eq!(Duration::from_millis(millis).to_string(), text);
    }
    assert_eq!(Duration::from_mins(2), secs(120));
    assert_eq!(secs(2).times(3).plus(secs(1)), secs(7));
    assert_eq!(secs(3).as_secs_f64(), 3.0);
    assert_eq!(Duration::from_secs(u64::MAX), Duration::from_millis(u64::MAX));
    assert_eq!(Duration::from(std::time::Duration::from_millis(1234)), Duration::from_millis(1234));
    assert_eq!(Duration::from(std::time::Duration::MAX), Duration::from_millis(u64::MAX));
}

#[test]
fn samples_take_only_finite_numbers_of_at_least_zero() {
    for value in [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE] {
        let Sample::Value(sample) = Sample::value(value, Some(START)) else { panic!("{value} is a value") };
        assert_eq!((sample.get(), sample.at(), sample.trust()), (value, Some(START), Trust::Full));
        assert!(sample.get().is_sign_positive());
    }
    for (value, expected) in [
        (f64::NAN, NotANumber::Nan),
        (f64::INFINITY, NotANumber::PositiveInfinity),
        (f64::NEG_INFINITY, NotANumber::NegativeInfinity),
        (-1e-300, NotANumber::OutOfDomain),
    ] {
        assert_eq!(Sample::value(value, None), Sample::NotANumber(expected));
    }
    assert_eq!(Sample::NoData.doubted(Doubt::Constant), Sample::NoData);
    let count = Replicas { desired: 3, ready: 1, pending: 0, hpa_desired: Some(7) };
    assert_eq!(count.observed(), 7);
    assert_eq!(Replicas { hpa_desired: None, ..count }.observed(), 3);
}
