//! What holds of databases and caches beside an app for any inputs, as property tests.

use crate::budget::{budget, endpoint, shares};
use crate::common::script::*;
use crate::common::*;
use crate::invariants::{config, step_down};
use learningplatform_decide::budget::{Consumer, Endpoint, Extra, Fit, Limit};
use learningplatform_decide::*;
use proptest::prelude::*;

fn consumer(name: &'static str) -> impl Strategy<Value = Consumer> {
    let extra = || prop_oneof![(0..4_u32).prop_map(Extra::Pods), (0..120_u32).prop_map(Extra::Percent)];
    (0..6_u32, 0..40_u32, extra(), extra(), 0..3_u32, 0..60_u32, 0..5_u32, 0..50_u32).prop_map(
        move |(min, more, surge, terminating, jobs, per_pod, weight, now)| Consumer {
            app: name.into(),
            min,
            max: min + more,
            surge,
            terminating,
            jobs,
            per_pod,
            weight,
            now,
        },
    )
}

fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let consumers = || (consumer("a"), consumer("b"), consumer("c"), 0..8_u32);
    let one = (consumers(), 0..3000_u32).prop_map(|((a, b, c, which), limit)| {
        let consumers = [a, b, c].into_iter().enumerate().filter(|(index, _)| which & (1 << index) == 0);
        endpoint("", budget(limit), consumers.map(|(_, consumer)| consumer).collect())
    });
    prop::collection::vec(one, 1..4).prop_map(|mut endpoints| {
        for (index, endpoint) in endpoints.iter_mut().enumerate() {
            endpoint.name = format!("server {index}").into();
        }
        endpoints
    })
}

/// The connections of `pods`, by the words of the design.
fn cost(consumer: &Consumer, pods: u32) -> u64 {
    let extra = |extra: Extra| match extra {
        Extra::Pods(_) if pods == 0 => 0,
        Extra::Pods(extra) => extra,
        Extra::Percent(percent) => (f64::from(pods * percent) / 100.0).ceil() as u32,
    };
    u64::from(pods + extra(consumer.surge) + extra(consumer.terminating) + consumer.jobs) * u64::from(consumer.per_pod)
}

proptest! {
    #![proptest_config(config())]

    /// What 2.11 says of any life: evidence that is missing adds no pods for latency and blocks none for demand.
    #[test]
    fn inv_guard_of_tiers(script in script()) {
        let mut k = 1.0;
        script.live(|seen| {
            let now = seen.input.now;
            let trusted = |symptom: &Symptom| match &symptom.sample {
                Sample::Value(value) if value.trust() == Trust::Full => {
                    value.at().is_none_or(|at| now.since(at) <= secs(45)).then(|| value.get())
                }
                _ => None,
            };
            let values: Vec<(f64, Option<f64>)> =
                seen.tiers.symptoms.iter().map(|symptom| (symptom.threshold, trusted(symptom))).collect();
            let clear = values.iter().all(|(threshold, value)| value.is_some_and(|value| value <= *threshold));
            let shown = values.iter().any(|(threshold, value)| value.is_some_and(|value| value > *threshold));
            let bottleneck = seen.decision.bottleneck.as_ref();
            if let Some(latency) = &seen.decision.latency {
                assert!(latency.k >= k || (clear && bottleneck.is_none()), "a step of latency without clear evidence");
                k = latency.k;
            }
            let stopped = bottleneck.is_some_and(|bottleneck| bottleneck.stops_demand_until.is_some());
            assert!(!stopped || (shown && seen.decision.latency.as_ref().unwrap().over_budget), "demand is stopped for nothing");
            assert!(bottleneck.is_none() || (!values.is_empty() && seen.policy.latency.is_some()));
            // The stage takes nothing of what demand asks for by the plan, unless both tests agree or a rollout runs.
            let (sized, restrained) = (seen.decision.stages[0].after, &seen.decision.stages[2]);
            if !stopped && !seen.input.rollout.under_way() {
                assert!(restrained.after >= sized, "{} of {sized} that demand asks for", restrained.after);
            }
        });
    }

    /// INV-BUDGET and INV-CAP-SOFT for what connections allow.
    #[test]
    fn inv_budget(script in script()) {
        script.live(|seen| {
            let (decision, before) = (seen.decision, seen.before);
            let Some(limit) = &seen.tiers.cap_limit else { return };
            let allowed = if limit.known { limit.cap } else { limit.cap.min(before.cap()) }.max(seen.policy.min_replicas);
            let first = seen.input.now == START;
            assert!(decision.cap <= allowed || decision.cap <= before.cap() || first, "raised above what connections allow");
            assert!(decision.floor <= allowed.max(before.floor()), "the floor grows above it");
            if decision.cap > allowed && !first {
                // On its way, as fast as the behaviour lets it.
                let observed = seen.input.replicas.observed();
                let step = step_down(&seen.policy.behavior.down, |_| observed).unwrap_or(observed);
                assert!(decision.cap >= before.cap().min(step), "cap {} below {step} of {observed}", decision.cap);
            }
            if !limit.known {
                // Not knowing lowers nothing by itself: without it the cap would be no higher than it was, or is as it is.
                let without = Tiers { cap_limit: None, ..seen.tiers.clone() };
                let free = decide_with(seen.policy, before, seen.input, &without).0.cap;
                let by_share = limit.cap.max(seen.policy.min_replicas);
                assert!(decision.cap >= free.min(before.cap()).min(by_share), "{} for want of knowledge", decision.cap);
            }
        });
    }

    #[test]
    fn inv_budget_of_shares(endpoints in endpoints()) {
        let shares = shares(&endpoints);
        for (endpoint, account) in endpoints.iter().zip(&shares.accounts) {
            let cap = |consumer: &Consumer| {
                let limit = shares.caps.get(&consumer.app).map(|limit| limit.cap);
                limit.unwrap_or(u32::MAX).min(consumer.max.max(1))
            };
            let sum = |pods: &dyn Fn(&Consumer) -> u32| -> u64 {
                endpoint.consumers.iter().map(|consumer| cost(consumer, pods(consumer))).sum()
            };
            let least = |consumer: &Consumer| consumer.min.max(1);
            let (limit, minimums) = (u64::from(endpoint.limit.budget.unwrap()), sum(&least));
            prop_assert_eq!((account.minimums(), account.wanted()), (minimums, sum(&|c| c.max.max(1))));
            if minimums > limit {
                prop_assert_eq!(account.fit(), Fit::BudgetExceededByMinimums);
                for consumer in endpoint.consumers.iter().filter(|consumer| consumer.max > least(consumer)) {
                    prop_assert!(shares.caps[&consumer.app].cap <= least(consumer), "nothing grows");
                }
                continue;
            }
            prop_assert!(sum(&cap) <= limit, "{} above {limit}", sum(&cap));
            // Nothing is added into connections that others still use.
            let now = |consumer: &Consumer| consumer.now.max(least(consumer));
            let after = |consumer: &Consumer| cap(consumer).max(consumer.now);
            prop_assert!(sum(&after) <= limit.max(sum(&now)), "{} above {limit} and {}", sum(&after), sum(&now));
        }
        for consumer in endpoints.iter().flat_map(|endpoint| &endpoint.consumers) {
            if let Some(limit) = shares.caps.get(&consumer.app).filter(|_| endpoints.len() == 1) {
                prop_assert!((consumer.min.max(1)..=consumer.max.max(1)).contains(&limit.cap), "{limit:?}");
            }
        }
    }

    /// More connections never lower a cap, and what nobody changed stays.
    #[test]
    fn more_connections_are_never_less_pods(endpoints in endpoints(), more in 0..500_u32) {
        let mut settled = endpoints.clone();
        settled.iter_mut().flat_map(|endpoint| &mut endpoint.consumers).for_each(|consumer| consumer.now = 0);
        let caps = |endpoints: &[Endpoint]| shares(endpoints).caps;
        let before = caps(&settled);
        prop_assert_eq!(&before, &caps(&settled));
        for endpoint in &mut settled {
            endpoint.limit.budget = endpoint.limit.budget.map(|budget| budget + more);
        }
        let after = caps(&settled);
        for (app, limit) in &after {
            prop_assert!(before.get(app).is_some_and(|before| before.cap <= limit.cap), "{app}: {before:?}, {after:?}");
        }
    }

    /// No panic and no overflow, whatever the numbers.
    #[test]
    fn shares_are_total(numbers in prop::collection::vec(any::<u32>(), 14), value in prop::num::f64::ANY) {
        let consumer = |numbers: &[u32], name: &str| Consumer {
            app: name.into(),
            min: numbers[0],
            max: numbers[1],
            surge: Extra::Percent(numbers[2]),
            terminating: Extra::Pods(numbers[3]),
            jobs: numbers[5],
            per_pod: numbers[4],
            weight: numbers[5],
            now: numbers[6],
        };
        let limit = Limit { budget: Some(numbers[0]), max_connections: Some(Sample::value(value, None)), reserved: numbers[9] };
        let apps = vec![consumer(&numbers[..7], "a"), consumer(&numbers[7..], "b")];
        let shares = shares(&[endpoint("main", limit, apps)]);
        for (limit, account) in shares.caps.values().zip(&shares.accounts) {
            let _ = (limit.to_string(), account.to_string());
        }
        let _ = serde_json::to_string(&shares).unwrap();
    }
}
