//! How fast floor and cap may move: the HPA's own rules, which it does not apply to its bounds.

use std::cmp::Ordering;

use serde::Serialize;

use crate::behavior::{Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy};
use crate::tick::Tick;
use crate::time::{Duration, Time};
use crate::why::Why;
use crate::window::Steps;

/// More steps than any climb within an app's bounds can sensibly take; a bound on work, not a rule.
const MAX_STEPS: u32 = 1000;

/// Floor and count over the longest period of the behaviour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Pace {
    floor: Steps,
    observed: Steps,
}

impl Pace {
    pub(crate) fn new(now: Time, floor: u32, observed: u32) -> Self {
        Self { floor: Steps::new(now, floor), observed: Steps::new(now, observed) }
    }

    pub(crate) fn observe(&mut self, tick: &Tick<'_>) {
        self.observed.set(tick.now, tick.observed);
        let cutoff = tick.now.minus(longest_period(&tick.policy.behavior));
        self.observed.expire(cutoff);
        self.floor.expire(cutoff);
    }

    /// The floor is `floor` from now on.
    pub(crate) fn wrote(&mut self, now: Time, floor: u32) {
        self.floor.set(now, floor);
    }

    /// Stage "ramp": toward the floor.
    pub(crate) fn ramp(&self, tick: &Tick<'_>, wanted: u32) -> (u32, Why) {
        let behavior = &tick.policy.behavior;
        let floor = tick.floor;
        let (limit, rules, too_fast) = match wanted.cmp(&floor) {
            Ordering::Equal => return (wanted, Why::WithinSpeed),
            Ordering::Greater => (self.highest_floor(tick).max(floor).min(wanted), &behavior.up, Why::SpeedUp),
            Ordering::Less => {
                let base = |period| self.floor.at(tick.now.minus(period));
                let limit = lowest(&behavior.down, base).unwrap_or(floor).min(floor);
                (limit.max(wanted), &behavior.down, Why::SpeedDown)
            }
        };
        if limit == wanted {
            return (wanted, Why::WithinSpeed);
        }
        (limit, if rules.select == SelectPolicy::Disabled { Why::DirectionDisabled } else { too_fast })
    }

    /// The highest floor that the behaviour allows now. The count that runs already costs nothing, so it is always allowed,
    /// and what ran at a period's start is a base as good as the floor then.
    fn highest_floor(&self, tick: &Tick<'_>) -> u32 {
        let base = |period| {
            let start = tick.now.minus(period);
            self.floor.at(start).max(self.observed.at(start))
        };
        highest(&tick.policy.behavior.up, base).unwrap_or(0).max(tick.observed)
    }

    /// The lowest cap that the behaviour allows now: a cap below the count cuts pods at once, so it sinks by steps of the
    /// count, as fast as a floor would.
    pub(crate) fn lowest_cap(&self, tick: &Tick<'_>) -> u32 {
        let base = |period| self.observed.at(tick.now.minus(period)).max(tick.observed);
        lowest(&tick.policy.behavior.down, base).unwrap_or(tick.observed)
    }
}

/// How long raising from `from` to `to` takes by `rules`, with ticks every `interval`; zero where they forbid raising.
pub(crate) fn climb(rules: &ScalingRules, from: u32, to: u32, interval: Duration) -> Duration {
    let by = |policy: &ScalingPolicy| {
        let (mut count, mut steps) = (from, 0);
        while count < to && steps < MAX_STEPS {
            count = raised(policy, count);
            steps += 1;
        }
        // The first step needs no waiting; every other waits for its period and the tick after it.
        policy.period.plus(interval).times(steps.max(1) - 1)
    };
    let times = rules.policies.iter().map(by);
    let slowest = match rules.select {
        SelectPolicy::Disabled => return Duration::ZERO,
        SelectPolicy::Max => times.min(),
        SelectPolicy::Min => times.max(),
    };
    slowest.unwrap_or_default().plus(rules.stabilization_window)
}

/// The greatest count that `rules` allow from what `base` says of the start of a period; `None` where they allow nothing.
fn highest(rules: &ScalingRules, base: impl Fn(Duration) -> u32) -> Option<u32> {
    let counts = rules.policies.iter().map(|policy| raised(policy, base(policy.period)));
    match rules.select {
        SelectPolicy::Disabled => None,
        SelectPolicy::Max => counts.max(),
        SelectPolicy::Min => counts.min(),
    }
}

/// The least count that `rules` allow; `None` where they allow nothing.
fn lowest(rules: &ScalingRules, base: impl Fn(Duration) -> u32) -> Option<u32> {
    let counts = rules.policies.iter().map(|policy| lowered(policy, base(policy.period)));
    match rules.select {
        SelectPolicy::Disabled => None,
        SelectPolicy::Max => counts.min(),
        SelectPolicy::Min => counts.max(),
    }
}

/// Up by one step, rounded up as the HPA does it. A share of nothing is nothing, so a share counts from one pod.
fn raised(policy: &ScalingPolicy, base: u32) -> u32 {
    match policy.kind {
        PolicyType::Pods => base.saturating_add(policy.value),
        PolicyType::Percent => (f64::from(base.max(1)) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as u32,
    }
}

/// Down by one step, truncated as the HPA does it.
fn lowered(policy: &ScalingPolicy, base: u32) -> u32 {
    match policy.kind {
        PolicyType::Pods => base.saturating_sub(policy.value),
        PolicyType::Percent => (f64::from(base) * (1.0 - f64::from(policy.value) / 100.0)) as u32,
    }
}

fn longest_period(behavior: &Behavior) -> Duration {
    let policies = behavior.up.policies.iter().chain(&behavior.down.policies);
    policies.map(|policy| policy.period).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn steps_round_as_the_hpa_rounds() {
        let up = [
            (ScalingPolicy::percent(100, MINUTE), 3, 6),
            (ScalingPolicy::percent(10, MINUTE), 3, 4),
            (ScalingPolicy::percent(10, MINUTE), 10, 11),
            // 50 * 1.1 is 55.00000000000001 in floats, and the HPA rounds that up, too.
            (ScalingPolicy::percent(10, MINUTE), 50, 56),
            (ScalingPolicy::percent(50, MINUTE), 4, 6),
            (ScalingPolicy::percent(100, MINUTE), 0, 2),
            (ScalingPolicy::pods(4, MINUTE), 0, 4),
            (ScalingPolicy::pods(u32::MAX, MINUTE), 5, u32::MAX),
            (ScalingPolicy::percent(u32::MAX, MINUTE), u32::MAX, u32::MAX),
        ];
        for (policy, base, count) in up {
            assert_eq!(raised(&policy, base), count, "{policy:?} from {base}");
        }
        let down = [
            (ScalingPolicy::percent(10, MINUTE), 20, 18),
            (ScalingPolicy::percent(10, MINUTE), 14, 12),
            (ScalingPolicy::percent(10, MINUTE), 10, 9),
            (ScalingPolicy::percent(10, MINUTE), 4, 3),
            (ScalingPolicy::percent(10, MINUTE), 1, 0),
            // 90 * 0.7 is 62.99999999999999 in floats, and the HPA truncates that, too.
            (ScalingPolicy::percent(30, MINUTE), 90, 62),
            (ScalingPolicy::percent(10, MINUTE), 0, 0),
            (ScalingPolicy::percent(100, MINUTE), 7, 0),
            (ScalingPolicy::percent(250, MINUTE), 7, 0),
            (ScalingPolicy::pods(4, MINUTE), 3, 0),
            (ScalingPolicy::pods(4, MINUTE), 9, 5),
        ];
        for (policy, base, count) in down {
            assert_eq!(lowered(&policy, base), count, "{policy:?} from {base}");
        }
    }

    #[test]
    fn a_climb_takes_its_periods_and_the_window() {
        let tick = Duration::from_secs(5);
        let rules = |select, policies: &[ScalingPolicy], window| ScalingRules {
            stabilization_window: Duration::from_secs(window),
            select,
            policies: policies.to_vec(),
        };
        let one_a_minute = ScalingPolicy::pods(1, MINUTE);
        let double = ScalingPolicy::percent(100, Duration::from_secs(15));
        let table = [
            (rules(SelectPolicy::Max, &[one_a_minute], 0), 3, 12, 8 * 65),
            (rules(SelectPolicy::Max, &[one_a_minute], 60), 3, 12, 8 * 65 + 60),
            (rules(SelectPolicy::Max, &[double], 0), 3, 12, 20),
            (rules(SelectPolicy::Max, &[one_a_minute, double], 0), 3, 12, 20),
            (rules(SelectPolicy::Min, &[one_a_minute, double], 0), 3, 12, 8 * 65),
            (rules(SelectPolicy::Disabled, &[one_a_minute], 60), 3, 12, 0),
            (rules(SelectPolicy::Max, &[one_a_minute], 0), 3, 4, 0),
            (rules(SelectPolicy::Max, &[one_a_minute], 30), 12, 3, 30),
            (rules(SelectPolicy::Max, &[], 30), 3, 12, 30),
            (rules(SelectPolicy::Max, &[ScalingPolicy::pods(0, MINUTE)], 0), 3, 12, 999 * 65),
        ];
        for (rules, from, to, seconds) in table {
            assert_eq!(climb(&rules, from, to, tick), Duration::from_secs(seconds), "{rules:?} from {from} to {to}");
        }
    }
}
