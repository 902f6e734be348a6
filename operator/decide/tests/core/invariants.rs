//! What holds for any inputs, as property tests named after the invariants of the design.

use crate::common::chain::*;
use crate::common::script::*;
use crate::common::*;
use learningplatform_decide::tier_size::Proposal;
use learningplatform_decide::*;
use proptest::prelude::*;

/// `PROPTEST_CASES` sets how many lives are tried.
pub fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The pods that `demand` needs by `signal` with `k`, by other means than the core's.
fn need(signal: &Demand, demand: f64, k: f64) -> u32 {
    if demand <= signal.activation {
        return 0;
    }
    let per_pod = signal.per_pod * f64::from(signal.utilization_percent) / 100.0 * k;
    let mut pods = (demand / per_pod) as u32;
    while f64::from(pods) * per_pod < demand * (1.0 - 1e-9) {
        pods += 1;
    }
    pods
}

fn value(sample: &Sample) -> Option<f64> {
    match sample {
        Sample::Value(value) => Some(value.get()),
        _ => None,
    }
}

pub fn step_down(rules: &ScalingRules, base: impl Fn(Duration) -> u32) -> Option<u32> {
    let counts = rules.policies.iter().map(|policy| {
        let base = base(policy.period);
        match policy.kind {
            PolicyType::Pods => base.saturating_sub(policy.value),
            PolicyType::Percent => (f64::from(base) * (1.0 - f64::from(policy.value) / 100.0)) as u32,
        }
    });
    match rules.select {
        SelectPolicy::Max => counts.min(),
        SelectPolicy::Min => counts.max(),
        SelectPolicy::Disabled => None,
    }
}

fn step_up(rules: &ScalingRules, base: impl Fn(Duration) -> u32) -> Option<u32> {
    let counts = rules.policies.iter().map(|policy| {
        let base = base(policy.period);
        match policy.kind {
            PolicyType::Pods => base.saturating_add(policy.value),
            PolicyType::Percent => (f64::from(base.max(1)) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as u32,
        }
    });
    match rules.select {
        SelectPolicy::Max => counts.max(),
        SelectPolicy::Min => counts.min(),
        SelectPolicy::Disabled => None,
    }
}

/// The count in a log at a time; before the log begins, its first.
fn at(log: &[(Time, u32)], time: Time) -> u32 {
    log.iter().rev().find(|(when, _)| *when <= time).unwrap_or(&log[0]).1
}

proptest! {
    #![proptest_config(config())]

    /// INV-EXPLAIN, INV-GUARD, INV-PAUSE and the repeated tick of INV-TOTAL, at every tick of any life.
    #[test]
    fn inv_explain_guard_pause_and_repetition(script in script()) {
        script.live(|seen| check_decision(seen.policy, seen.before, seen.input, seen.tiers, seen.decision, seen.after));
    }

    #[test]
    fn inv_no_value_no_lower(script in script()) {
        let mut chains = Chains::default();
        script.live(|seen| {
            let kept = seen.decision.floor >= seen.before.floor().min(seen.decision.cap);
            for (signal, said) in seen.decision.signals.iter().zip(chains.see(&seen)) {
                assert!(said.full || kept, "{} lowered {} to {}", signal.name, seen.before.floor(), seen.decision.floor);
                let told = (signal.source, signal.value.zip(signal.raise_value), signal.state.is_full());
                assert_eq!(told, (said.source, said.value, said.full), "{}: {:?}", signal.name, signal.state);
            }
            let idle = seen.decision.signals.iter().zip(&seen.policy.demand).all(|(signal, demand)| {
                signal.state.is_full() && signal.raise_value.unwrap() <= demand.activation
            });
            if let Some(latency) = seen.decision.latency.as_ref().filter(|_| seen.phase.resolvable && !idle) {
                assert!(latency.state.is_full() || kept, "latency {:?} lowered", latency.state);
            }
        });
    }

    #[test]
    fn inv_max(mut script in script()) {
        script.policy.behavior = Behavior {
            up: eager().up,
            down: script.policy.behavior.down.clone(),
        };
        for phase in &mut script.phases {
            phase.rollout = Rollout::default();
            phase.max = 1_000_000;
            (phase.symptoms, phase.connections, phase.growing) = (None, None, None);
        }
        for schedule in &mut script.policy.schedules {
            schedule.cap = None;
        }
        let mut chains = Chains::default();
        script.live(|seen| {
            for (signal, said) in seen.policy.demand.iter().zip(chains.see(&seen)) {
                if let Some((_, demand)) = said.value {
                    let need = need(signal, demand, 1.0);
                    assert!(seen.decision.floor >= need, "{} needs {need}, the floor is {}", signal.name, seen.decision.floor);
                }
            }
        });
    }

    #[test]
    fn inv_monotone(mut script in script(), less in 0.0..1.0_f64, which in 0..2_usize, late in 0..300_usize) {
        // A collapse of demand is the one thing that a smaller demand may hold up: INV-COLLAPSE.
        script.policy.tunables.collapse_hold = Duration::ZERO;
        // The less a pod has just shown to carry, the more of them a planned demand needs.
        for schedule in script.policy.schedules.iter_mut().filter(|_| script.policy.latency.is_some()) {
            for bound in [&mut schedule.floor, &mut schedule.cap] {
                *bound = bound.filter(|bound| matches!(bound, Bound::Replicas(_)));
            }
        }
        let mut count = 0;
        script.live(|seen| {
            count += 1;
            if count % 17 != late % 17 || seen.policy.demand.len() <= which {
                return;
            }
            let mut smaller = seen.input.clone();
            for source in &mut smaller.demand[which].sources {
                for sample in [Some(&mut source.long), source.short.as_mut()].into_iter().flatten() {
                    if let Sample::Value(value) = sample {
                        let at = value.at();
                        let trust = value.trust();
                        *sample = Sample::value(value.get() * less, at);
                        if let Trust::RaiseOnly(doubt) = trust {
                            *sample = sample.clone().doubted(doubt);
                        }
                    }
                }
            }
            let (decision, _) = decide_with(seen.policy, seen.before, &smaller, seen.tiers);
            assert!(decision.floor <= seen.decision.floor, "less demand, {} instead of {}", decision.floor, seen.decision.floor);
        });
    }

    #[test]
    fn inv_latency_bound(script in script()) {
        let mut chains = Chains::default();
        script.live(|seen| {
            let k_min = seen.policy.tunables.k_min;
            let mut most = 0;
            for (signal, said) in seen.policy.demand.iter().zip(chains.see(&seen)) {
                let Some((long, raise)) = said.value else { continue };
                let margin = need(signal, long * 1.1, k_min).min(seen.before.floor());
                most = most.max(need(signal, raise, k_min)).max(margin);
            }
            let corrected = &seen.decision.stages[1];
            assert_eq!(corrected.name, StageName::Correct);
            assert!(corrected.after <= most, "{} above {most}", corrected.after);
            let k = seen.decision.latency.as_ref().map_or(1.0, |latency| latency.k);
            assert!((k_min..=1.0).contains(&k), "k is {k}");
        });
    }

    #[test]
    fn inv_raise_only(script in script()) {
        script.live(|seen| {
            let without = |policy: &Policy, input: &Input| decide_with(policy, seen.before, input, seen.tiers).0.floor;
            let mut bare = seen.policy.clone();
            bare.fallback_replicas = None;
            assert!(seen.decision.floor >= without(&bare, seen.input), "a fallback lowered");
            let mut bare = seen.policy.clone();
            bare.schedules.iter_mut().for_each(|schedule| schedule.floor = None);
            assert!(seen.decision.floor >= without(&bare, seen.input), "a planned floor lowered");
            let unheld = Input { holds: Vec::new(), ..seen.input.clone() };
            assert!(seen.decision.floor >= without(seen.policy, &unheld), "a manual hold lowered");
            for stage in &seen.decision.stages {
                assert!(stage.name != StageName::Hold || stage.after >= stage.before);
            }
        });
    }

    #[test]
    fn inv_no_flap(mut script in script(), value in 0.0..100.0_f64) {
        for schedule in &mut script.policy.schedules {
            schedule.cap = None;
        }
        for phase in &mut script.phases {
            phase.max = 40;
            phase.connections = None;
        }
        // Any life, and somewhere in it sources that come and go.
        let all = |mood: Mood| {
            let ranges = Ranges { long: mood.clone(), short: Some(mood) };
            Phase { interval: secs(5), demand: vec![vec![ranges; 2]; 2], ..script.phases[0].clone() }
        };
        let down = Phase { ticks: 20, ..all(Mood::Broken(Sample::NoData)) };
        let flapping = Phase { ticks: 60, ..all(Mood::Flapping(value)) };
        script.phases.splice(1..1, [down, flapping]);
        let (mut chains, mut in_fallback) = (Chains::default(), 0);
        script.live(|seen| {
            let said = chains.see(&seen);
            for (signal, said) in seen.decision.signals.iter().zip(&said) {
                let told = matches!(signal.failure, FailureState::Fallback | FailureState::Recovering);
                assert_eq!(told, said.down, "{} is told to be {:?}", signal.name, signal.failure);
            }
            if said.iter().any(|said| said.down) {
                in_fallback += 1;
                assert!(seen.decision.floor >= seen.before.floor(), "fell from {} to {}", seen.before.floor(), seen.decision.floor);
            }
        });
        prop_assert!(in_fallback > 0, "the outage was long enough for a fallback");
    }

    #[test]
    fn inv_ramp_and_cap_soft(script in script()) {
        let (mut floors, mut counts) = (Vec::new(), Vec::new());
        script.live(|seen| {
            let now = seen.input.now;
            let observed = seen.input.replicas.observed();
            if floors.is_empty() {
                floors.push((now, seen.before.floor()));
                counts.push((now, observed));
            }
            counts.push((now, observed));
            let (old, new, cap) = (seen.before.floor(), seen.decision.floor, seen.decision.cap);
            if new > old {
                let base = |period| at(&floors, now.minus(period)).max(at(&counts, now.minus(period)));
                let limit = step_up(&seen.policy.behavior.up, base).unwrap_or(0).max(observed);
                assert!(new <= limit.max(old), "up from {old} to {new}, at most {limit}");
            }
            if new < old && new < cap {
                let limit = step_down(&seen.policy.behavior.down, |period| at(&floors, now.minus(period))).unwrap_or(old);
                assert!(new >= limit, "down from {old} to {new}, at least {limit}");
            }
            let step = step_down(&seen.policy.behavior.down, |_| observed).unwrap_or(observed);
            let least = seen.before.cap().min(step);
            assert!(cap >= least, "cap {cap} below {least}: it was {}, {observed} pods run", seen.before.cap());
            assert!(cap >= seen.policy.min_replicas && new <= cap);
            floors.push((now, new));
        });
    }

    #[test]
    fn inv_restart(mut script in script(), restart in 0..4_usize, window in 1..200_u64) {
        script.policy.behavior.down.stabilization_window = secs(window);
        for phase in &mut script.phases {
            phase.max = 40;
            phase.connections = None;
        }
        script.policy.schedules.clear();
        // A silence that is longer than three intervals is as good as a restart.
        let silent = script.phases[restart % script.phases.len()].clone();
        script.phases.insert(0, Phase { ticks: 1, interval: secs(16), ..silent });
        let (mut since, mut last) = (START, None);
        script.live(|seen| {
            let now = seen.input.now;
            if last.is_some_and(|last| now.since(last) > secs(15)) {
                since = now;
            }
            last = Some(now);
            if now.since(since) < secs(window) {
                assert!(seen.decision.floor >= seen.before.floor(), "lowered {} after a loss", now.since(since));
            }
        });
    }

    #[test]
    fn inv_overload(mut script in script()) {
        script.policy.latency = Some(Latency::new("latency p95", 0.2));
        script.live(|seen| {
            let over = value(&seen.input.latency.as_ref().unwrap().sample).is_some_and(|value| value > 0.2);
            let latency = seen.decision.latency.as_ref().unwrap();
            let idle = seen.decision.signals.iter().zip(&seen.policy.demand).all(|(signal, demand)| {
                signal.state.is_full() && signal.raise_value.unwrap() <= demand.activation
            });
            let excused = seen.decision.bottleneck.is_some() || seen.decision.findings.iter().any(|finding| {
                matches!(finding, Finding::LatencyNotHelpedByPods { .. } | Finding::BudgetNotResolvable { .. })
            });
            if over && latency.state.is_full() && !idle && !excused {
                assert!(latency.over_budget);
                assert!(seen.decision.floor >= seen.before.floor().min(seen.decision.cap), "lowered while over budget");
            }
        });
    }

    #[test]
    fn inv_collapse(mut script in script(), hold in 1..600_u64) {
        script.policy.tunables.collapse_hold = secs(hold);
        let mut values: Vec<Vec<(Time, f64)>> = vec![Vec::new(); 2];
        let (mut held_until, mut last) = (None, None);
        script.live(|seen| {
            let now = seen.input.now;
            // A silence loses the memory of demand; INV-RESTART covers it.
            if last.is_some_and(|last| now.since(last) > secs(15)) {
                values.iter_mut().for_each(Vec::clear);
            }
            last = Some(now);
            for (index, (signal, demand)) in seen.decision.signals.iter().zip(&seen.policy.demand).enumerate() {
                let Some(value) = signal.value.filter(|_| signal.state.is_full()) else { continue };
                let fell = values[index].iter().any(|(time, known)| {
                    now.since(*time) <= secs(120) && value < known / 2.0 && *known > demand.activation
                });
                if fell {
                    held_until = Some(now.plus(secs(hold)));
                }
                values[index].push((now, value));
            }
            if held_until.is_some_and(|until| now < until) {
                let floor = seen.before.floor().min(seen.decision.cap);
                assert!(seen.decision.floor >= floor, "fell from {floor} to {}", seen.decision.floor);
            }
        });
    }

    #[test]
    fn inv_rollout(mut script in script()) {
        script.policy.latency = None;
        script.policy.fallback_replicas = None;
        script.policy.schedules.clear();
        // Before a rollout the highest demand of the window counts, so the checker remembers it.
        let window = script.policy.tunables.rollout_window;
        let mut values: Vec<Vec<(Time, f64)>> = vec![Vec::new(); 2];
        let mut before: Option<(Time, Vec<Option<f64>>)> = None;
        let mut last = None;
        script.live(|seen| {
            let now = seen.input.now;
            if last.is_some_and(|last| now.since(last) > secs(15)) {
                values.iter_mut().for_each(Vec::clear);
            }
            last = Some(now);
            if seen.input.rollout.under_way() {
                let (since, before) = before.get_or_insert_with(|| {
                    let most = |values: &Vec<(Time, f64)>| {
                        values.iter().filter(|(time, _)| now.since(*time) <= window).map(|(_, value)| *value).max_by(f64::total_cmp)
                    };
                    (now, values.iter().map(most).collect())
                });
                if !seen.input.rollout.stuck && now.since(*since) < secs(600) {
                    assert!(seen.decision.floor >= seen.before.floor().min(seen.decision.cap), "a rollout lowered");
                    let mut most = seen.before.floor();
                    for (index, signal) in seen.decision.signals.iter().enumerate() {
                        let Some(value) = signal.raise_value else { continue };
                        let counted = before[index].filter(|before| value <= before * 1.1).map_or(value, |before| value.min(before));
                        most = most.max(need(&seen.policy.demand[index], counted, 1.0));
                    }
                    let restrained = &seen.decision.stages[2];
                    assert!(restrained.after <= most, "{} above {most}", restrained.after);
                }
            } else {
                before = None;
            }
            for (index, signal) in seen.decision.signals.iter().enumerate() {
                if let Some(value) = signal.raise_value.filter(|_| signal.state.is_full()) {
                    values[index].push((now, value));
                }
            }
        });
    }

    #[test]
    fn inv_total(
        policy in policy(),
        // NaN and the infinities are numbers, too.
        numbers in prop::collection::vec(prop::num::f64::ANY, 24),
        times in prop::collection::vec(any::<i64>(), 8),
        counts in prop::collection::vec(any::<u32>(), 8),
    ) {
        // No panic for any number, time or count, not even for a policy that validation refuses.
        let mut policy = policy;
        policy.demand[0].per_pod = numbers[0];
        policy.demand[0].activation = numbers[1];
        policy.demand[0].constant = Some(numbers[2]);
        policy.latency = Some(Latency::new("latency p95", numbers[3]));
        let tunables = &mut policy.tunables;
        let constants = [
            &mut tunables.k_min, &mut tunables.k_step, &mut tunables.k_margin, &mut tunables.k_relax_below,
            &mut tunables.helped_latency, &mut tunables.helped_goodput, &mut tunables.ready_share, &mut tunables.full_share,
            &mut tunables.error_factor, &mut tunables.error_slack, &mut tunables.rollout_margin,
        ];
        constants.into_iter().zip(&numbers[12..]).for_each(|(constant, number)| *constant = *number);
        for schedule in &mut policy.schedules {
            (schedule.floor, schedule.cap) = (Some(Bound::Demand(numbers[7])), Some(Bound::Demand(numbers[8])));
        }
        policy.min_replicas = counts[0];
        policy.fallback_replicas = Some(counts[1]);
        policy.behavior.up.policies.push(ScalingPolicy::percent(counts[6], secs(15)));
        policy.behavior.down.policies.push(ScalingPolicy::percent(counts[7], secs(15)));
        let mut state = State::adopt(&policy, Time::from_millis(times[0]), Adopted { floor: None, cap: None, observed: counts[2] });
        for (index, time) in times.iter().enumerate() {
            let input = Input {
                now: Time::from_millis(*time),
                demand: vec![DemandInput::single(
                    Sample::value(numbers[index], Some(Time::from_millis(times[0]))),
                    Some(Sample::value(numbers[(index + 1) % 12], None)),
                )],
                latency: Some(LatencyInput { sample: Sample::value(numbers[(index + 2) % 12], None), resolvable: true, started: None }),
                error_share: Some(Sample::value(numbers[(index + 3) % 12], None)),
                replicas: Replicas { desired: counts[3], ready: counts[4], pending: 0, hpa_desired: Some(counts[5]) },
                hpa_metrics: vec![HpaMetric { name: "memory".into(), current: numbers[5], target: numbers[6] }],
                rollout: Rollout { active: index % 2 == 0, ..Rollout::default() },
                holds: vec![ManualHold { floor: counts[0], until: Time::from_millis(times[1]), reason: "".into(), by: None }],
            };
            let symptom = |index: usize, figure| Symptom {
                tier: "main".into(),
                figure,
                sample: Sample::value(numbers[index % 12], None),
                threshold: numbers[(index + 1) % 12],
            };
            let connections = budget::CapLimit {
                cap: counts[index],
                known: index % 2 == 0,
                endpoint: "main".into(),
                limit: Some(counts[6]),
                wanted: u64::MAX,
                exceeded: index % 3 == 0,
            };
            let tiers = Tiers {
                cap_limit: Some(connections),
                symptoms: vec![symptom(index, Figure::PrimaryCpu), symptom(index + 4, Figure::PoolWait)],
                growing: vec![Proposal {
                    tier: "main".into(),
                    kind: TierKind::Cache,
                    grows: true,
                    since: Time::from_millis(times[index % 2]),
                }],
            };
            let (decision, next) = decide_with(&policy, &state, &input, &tiers);
            // As text, in which NaN equals itself.
            let again = decide_with(&policy, &state, &input, &tiers);
            prop_assert_eq!(format!("{again:?}"), format!("{:?}", (&decision, &next)));
            prop_assert!(decision.floor <= decision.cap && decision.cap >= policy.min_replicas);
            for stage in &decision.stages {
                let _ = stage.why.to_string();
            }
            let _ = (decision.held_by.to_string(), decision.sentence());
            let _ = serde_json::to_string(&decision).unwrap();
            state = next;
        }
    }

    /// The part of INV-TOTAL on time: without schedules the same life at another time is the same life.
    #[test]
    fn inv_total_time_shift(mut script in script(), shift in -1_000_000_000_000_i64..1_000_000_000_000) {
        script.policy.schedules.clear();
        let shifted = |time: Time| Time::from_millis(time.as_millis() + shift);
        let sample = |sample: &Sample| match sample {
            Sample::Value(value) => {
                let moved = Sample::value(value.get(), value.at().map(shifted));
                match value.trust() {
                    Trust::Full => moved,
                    Trust::RaiseOnly(doubt) => moved.doubted(doubt),
                }
            }
            other => other.clone(),
        };
        let found = Adopted { floor: Some(script.pods), cap: Some(script.policy.max_replicas), observed: script.pods };
        let mut state = State::adopt(&script.policy, shifted(START), found);
        script.live(|seen| {
            let mut input = seen.input.clone();
            input.now = shifted(input.now);
            for reading in input.demand.iter_mut().flat_map(|demand| &mut demand.sources) {
                reading.long = sample(&reading.long);
                reading.short = reading.short.as_ref().map(sample);
                reading.started = reading.started.map(shifted);
            }
            let latency = input.latency.as_mut().unwrap();
            latency.sample = sample(&latency.sample);
            latency.started = latency.started.map(shifted);
            input.error_share = input.error_share.as_ref().map(sample);
            input.holds.iter_mut().for_each(|hold| hold.until = shifted(hold.until));
            let mut tiers = seen.tiers.clone();
            tiers.symptoms.iter_mut().for_each(|symptom| symptom.sample = sample(&symptom.sample));
            tiers.growing.iter_mut().for_each(|growing| growing.since = shifted(growing.since));
            let (decision, next) = decide_with(seen.policy, &state, &input, &tiers);
            assert_eq!((decision.floor, decision.cap, decision.reason), (seen.decision.floor, seen.decision.cap, seen.decision.reason));
            assert_eq!(decision.signals, seen.decision.signals);
            state = next;
        });
    }

    #[test]
    fn inv_quiet(pods in 1.0..15.0_f64, seed in 0..1000_usize, outage in prop::bool::ANY) {
        // Constant load with noise well inside the dead band, or an outage: nothing new to tell once settled.
        let mut policy = rate_policy(3, 20);
        policy.fallback_replicas = Some(6);
        policy.latency = Some(Latency::new("latency p95", 0.2));
        let mut world = World::new(policy, 3);
        let (mut published, mut news): (Option<Decision>, u32) = (None, 0);
        for tick in 0..480_usize {
            let noise = 1.0 - 0.04 * ((tick * 7 + seed) % 11) as f64 / 10.0;
            world.input.latency = Some(LatencyInput { sample: Sample::value(0.1 * noise, Some(world.now)), resolvable: true, started: None });
            let decision = if outage {
                world.input.demand = vec![failing(SourceErrorKind::Connect)];
                world.step()
            } else {
                world.tick(100.0 * pods * noise)
            };
            if tick >= 240 {
                news += u32::from(published.as_ref().is_none_or(|published| decision.differs_in_meaning(published)));
            }
            published = Some(decision);
        }
        prop_assert_eq!(news, 0);
    }

    /// `advance` is `decide` without the copy.
    #[test]
    fn in_place_is_the_same(script in script()) {
        script.live(|seen| {
            let mut state = seen.before.clone();
            assert_eq!(&advance_with(seen.policy, &mut state, seen.input, seen.tiers), seen.decision);
            assert_eq!(&state, seen.after);
            // And without tiers both are.
            let mut state = seen.before.clone();
            let decision = advance(seen.policy, &mut state, seen.input);
            assert_eq!((decision, state.clone()), decide(seen.policy, seen.before, seen.input));
            assert_eq!(state, decide_with(seen.policy, seen.before, seen.input, &Tiers::default()).1);
        });
    }
}
