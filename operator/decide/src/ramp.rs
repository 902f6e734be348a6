//! How fast floor and cap may move: the HPA's own rules, which it does not apply to its bounds.

use std::cmp::Ordering;

use serde::Serialize;

use crate::behavior::{Behavior, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy};
use crate::tick::Tick;
use crate::time::{Duration, Time};
use crate::why::Why;
use crate::window::Steps;

/// More looks at the policies than any sensible climb takes; a bound on work, not a rule.
const MAX_LOOKS: u32 = 10_000;

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

    /// How much earlier than it is due `full` must be asked for, from now on, for the floor to be there in time. What the
    /// floor's last changes have used up of the policies is not there for the climb; that it was higher of late may be over
    /// when the climb begins.
    pub(crate) fn lead(&self, tick: &Tick<'_>, full: u32) -> Duration {
        lead(tick, self.floor.at_most(tick.floor), full)
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

/// [`Pace::lead`] of a floor that has long been `count`.
pub(crate) fn lead_from(tick: &Tick<'_>, count: u32, full: u32) -> Duration {
    lead(tick, Steps::new(tick.now, count), full)
}

fn lead(tick: &Tick<'_>, floor: Steps, full: u32) -> Duration {
    let (policy, tunables) = (tick.policy, &tick.policy.tunables);
    let to = full.min(policy.max_replicas);
    climb(&policy.behavior.up, floor, tick.now, to, tunables.evaluation_interval).min(tunables.schedule_lead_max)
}

/// How long raising `floor` to `to` takes at most by `rules`, asked for from `now` on, with ticks every `interval`; zero where
/// they forbid raising.
fn climb(rules: &ScalingRules, mut floor: Steps, now: Time, to: u32, interval: Duration) -> Duration {
    if rules.select == SelectPolicy::Disabled || floor.at(now) >= to {
        return Duration::ZERO;
    }
    let mut look = now.plus(rules.stabilization_window);
    let mut step = look;
    for _ in 0..MAX_LOOKS {
        let count = highest(rules, |period| floor.at(look.minus(period))).unwrap_or(0);
        floor.set(step, count.max(floor.at(step)));
        if count >= to {
            break;
        }
        // More is allowed once a change has left the period of a policy, and the tick that sees it comes after that.
        let after = |policy: &ScalingPolicy| Some(floor.next_change(look.minus(policy.period))?.plus(policy.period));
        let Some(next) = rules.policies.iter().filter_map(after).min() else { break };
        look = next;
        step = next.plus(interval);
    }
    step.since(now)
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
        let tenth = ScalingPolicy::percent(10, MINUTE);
        let four_in_half_an_hour = ScalingPolicy::pods(4, Duration::from_mins(30));
        let fifth = ScalingPolicy::percent(20, MINUTE);
        let two = ScalingPolicy::pods(2, MINUTE);
        let table = [
            (rules(SelectPolicy::Max, &[one_a_minute], 0), 3, 12, 8 * 65),
            (rules(SelectPolicy::Max, &[one_a_minute], 60), 3, 12, 8 * 65 + 60),
            (rules(SelectPolicy::Max, &[double], 0), 3, 12, 20),
            (rules(SelectPolicy::Max, &[one_a_minute, double], 0), 3, 12, 20),
            (rules(SelectPolicy::Min, &[one_a_minute, double], 0), 3, 12, 8 * 65),
            // 4, 5, 6, 8, 10, ... 20: the slower policy changes on the way.
            (rules(SelectPolicy::Min, &[fifth, two], 0), 3, 20, 9 * 65),
            // 7 by the one, 8, 9, 10, 11, 13, 15, 17, 19 and 21 by the other.
            (rules(SelectPolicy::Max, &[tenth, four_in_half_an_hour], 0), 3, 20, 9 * 65),
            (rules(SelectPolicy::Disabled, &[one_a_minute], 60), 3, 12, 0),
            (rules(SelectPolicy::Max, &[one_a_minute], 0), 3, 4, 0),
            (rules(SelectPolicy::Max, &[one_a_minute], 30), 12, 3, 0),
            (rules(SelectPolicy::Max, &[], 30), 3, 12, 30),
            (rules(SelectPolicy::Max, &[ScalingPolicy::pods(0, MINUTE)], 30), 3, 12, 30),
        ];
        for (rules, from, to, seconds) in table {
            let (now, floor) = (Time::from_secs(5000), Steps::new(Time::from_secs(0), from));
            let time = climb(&rules, floor, now, to, tick);
            assert_eq!(time, Duration::from_secs(seconds), "{rules:?} from {from} to {to}");
        }
    }

    #[test]
    fn what_was_climbed_of_late_is_used_up() {
        let minutes = |minutes: u64| Duration::from_mins(minutes);
        let rules = ScalingRules {
            stabilization_window: Duration::ZERO,
            select: SelectPolicy::Max,
            policies: vec![ScalingPolicy::pods(4, minutes(30))],
        };
        let mut floor = Steps::new(Time::from_secs(0), 3);
        floor.set(Time::from_secs(6000), 7);
        let after = |passed: Duration| {
            climb(&rules, floor.clone(), Time::from_secs(6000).plus(passed), 11, Duration::from_secs(5))
        };
        assert_eq!(after(Duration::ZERO), Duration::from_secs(1805));
        assert_eq!(after(minutes(20)), Duration::from_secs(605));
        assert_eq!(after(minutes(30)), Duration::ZERO);
    }
}
