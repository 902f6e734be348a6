//! A model of the HorizontalPodAutoscaler: its bounds, its windows and its policies, as its controller applies them.
//!
//! What it does not model: several metrics, missing metrics, and the readiness delays of its cpu metric.

use std::collections::VecDeque;

use decide::{Behavior, Duration, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy, Time};

/// The tolerance of the HPA's own metric: no change while usage is this close to its target.
const TOLERANCE: f64 = 0.1;

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug)]
pub struct Hpa {
    min: u32,
    max: u32,
    behavior: Behavior,
    /// What the metric asked for, before the bounds: the HPA stabilises that, which is why it does not stabilise a
    /// lowered `minReplicas`.
    recommendations: VecDeque<(Time, u32)>,
    ups: VecDeque<(Time, u32)>,
    downs: VecDeque<(Time, u32)>,
}

impl Hpa {
    /// An HPA that has never acted.
    pub fn new(behavior: Behavior) -> Self {
        Self {
            min: 1,
            max: 1,
            behavior,
            recommendations: VecDeque::new(),
            ups: VecDeque::new(),
            downs: VecDeque::new(),
        }
    }

    /// What is written into it.
    pub fn write(&mut self, min: u32, max: u32, behavior: Behavior) {
        (self.min, self.max, self.behavior) = (min, max, behavior);
    }

    /// One synchronisation: the count that it sets, from the `current` one and what its metric asks for. At zero it is off.
    pub fn sync(&mut self, now: Time, current: u32, wish: u32) -> u32 {
        if current == 0 {
            return 0;
        }
        let count = if current > self.max {
            self.max
        } else if current < self.min {
            self.min
        } else {
            let stable = self.stabilised(now, current, wish);
            self.limited(now, current, stable)
        };
        self.remember(now, current, count);
        count
    }

    fn stabilised(&mut self, now: Time, current: u32, wish: u32) -> u32 {
        let (up, down) = (self.behavior.up.stabilization_window, self.behavior.down.stabilization_window);
        let oldest = now.minus(up.max(down));
        self.recommendations.retain(|(time, _)| *time > oldest);
        let within = |window: Duration| {
            let cutoff = now.minus(window);
            self.recommendations.iter().filter(move |(time, _)| *time > cutoff).map(|(_, count)| *count)
        };
        let least = within(up).fold(wish, u32::min);
        let most = within(down).fold(wish, u32::max);
        self.recommendations.push_back((now, wish));
        current.max(least).min(most)
    }

    fn limited(&self, now: Time, current: u32, wanted: u32) -> u32 {
        // What the count was when a period began, by the changes that were made since.
        let base = |period: Duration| {
            let since = |events: &VecDeque<(Time, u32)>| {
                let cutoff = now.minus(period);
                events.iter().filter(|(time, _)| *time > cutoff).map(|(_, change)| *change).sum::<u32>()
            };
            current.saturating_add(since(&self.downs)).saturating_sub(since(&self.ups))
        };
        if wanted > current {
            let limit = limit(&self.behavior.up, base, raised, true).unwrap_or(current).max(current);
            wanted.min(limit).min(self.max)
        } else {
            let limit = limit(&self.behavior.down, base, lowered, false).unwrap_or(current).min(current);
            wanted.max(limit).max(self.min)
        }
    }

    fn remember(&mut self, now: Time, from: u32, to: u32) {
        let periods = self.behavior.up.policies.iter().chain(&self.behavior.down.policies).map(|policy| policy.period);
        let oldest = now.minus(periods.max().unwrap_or_default());
        self.ups.retain(|(time, _)| *time > oldest);
        self.downs.retain(|(time, _)| *time > oldest);
        if to > from {
            self.ups.push_back((now, to - from));
        } else if to < from {
            self.downs.push_back((now, from - to));
        }
    }
}

/// The count that an `AverageValue` of `usage` over all pods asks for at `target` per pod; `current` within the tolerance.
pub fn average_value(usage: f64, target: f64, current: u32) -> u32 {
    let ratio = usage / (target * f64::from(current.max(1)));
    if (ratio - 1.0).abs() <= TOLERANCE {
        return current;
    }
    // `as` saturates. The HPA never asks for none.
    ((usage / target).ceil() as u32).max(1)
}

fn limit(
    rules: &ScalingRules,
    base: impl Fn(Duration) -> u32,
    step: fn(&ScalingPolicy, u32) -> u32,
    up: bool,
) -> Option<u32> {
    let counts = rules.policies.iter().map(|policy| step(policy, base(policy.period)));
    match (rules.select, up) {
        (SelectPolicy::Disabled, _) => None,
        (SelectPolicy::Max, true) | (SelectPolicy::Min, false) => counts.max(),
        (SelectPolicy::Max, false) | (SelectPolicy::Min, true) => counts.min(),
    }
}

fn raised(policy: &ScalingPolicy, base: u32) -> u32 {
    match policy.kind {
        PolicyType::Pods => base.saturating_add(policy.value),
        PolicyType::Percent => (f64::from(base) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as u32,
    }
}

fn lowered(policy: &ScalingPolicy, base: u32) -> u32 {
    match policy.kind {
        PolicyType::Pods => base.saturating_sub(policy.value),
        PolicyType::Percent => (f64::from(base) * (1.0 - f64::from(policy.value) / 100.0)) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hpa(min: u32, max: u32) -> Hpa {
        let mut hpa = Hpa::new(Behavior::default());
        hpa.write(min, max, Behavior::default());
        hpa
    }

    fn at(seconds: i64) -> Time {
        Time::from_secs(seconds)
    }

    #[test]
    fn bounds_come_first_and_know_no_speed() {
        let table = [(0, 5, 9, 0), (3, 12, 20, 12), (30, 12, 20, 20)];
        for (current, min, max, count) in table {
            assert_eq!(hpa(min, max).sync(at(0), current, 1), count, "{current} in {min}..{max}");
        }
    }

    #[test]
    fn a_lowered_minimum_is_not_stabilised_but_obeys_the_policies() {
        let mut hpa = hpa(20, 30);
        let mut count = 20;
        for sync in 0..8 {
            count = hpa.sync(at(sync * 15), count, 1);
        }
        assert_eq!(count, 20);
        hpa.write(5, 30, Behavior::default());
        let mut counts = Vec::new();
        for sync in 8..20 {
            count = hpa.sync(at(sync * 15), count, 1);
            counts.push(count);
        }
        assert_eq!(
            counts,
            [18, 18, 18, 18, 16, 16, 16, 16, 14, 14, 14, 14],
            "10 % a minute, and no five minutes first"
        );
    }

    #[test]
    fn the_metric_is_stabilised_downward_and_limited_upward() {
        let mut hpa = hpa(1, 100);
        assert_eq!(hpa.sync(at(0), 3, 50), 7, "four pods or double, in 15 s");
        assert_eq!(hpa.sync(at(15), 7, 50), 14);
        assert_eq!(hpa.sync(at(30), 14, 14), 14);
        assert_eq!(hpa.sync(at(45), 14, 2), 14, "five minutes remember 50");
        assert_eq!(hpa.sync(at(330), 14, 2), 12);
        let mut disabled = Behavior::default();
        disabled.down.select = SelectPolicy::Disabled;
        hpa.write(1, 100, disabled);
        assert_eq!(hpa.sync(at(700), 12, 2), 12, "paused");
    }

    #[test]
    fn an_average_has_a_tolerance() {
        let table = [
            (320.0, 100.0, 3, 3),
            (331.0, 100.0, 3, 4),
            (269.0, 100.0, 3, 3),
            (271.0, 100.0, 3, 3),
            (0.0, 100.0, 3, 1),
        ];
        for (usage, target, current, count) in table {
            assert_eq!(average_value(usage, target, current), count, "{usage} at {target} on {current}");
        }
    }
}
