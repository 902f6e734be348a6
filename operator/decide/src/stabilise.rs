//! The windows: candidates as in the HPA, and what over a window makes low demand suspect.

use std::cmp::Reverse;
use std::collections::VecDeque;

use serde::Serialize;

use crate::sample::{Sample, Trust};
use crate::signal::Signal;
use crate::tick::Tick;
use crate::time::{Duration, Time};
use crate::why::Why;
use crate::window::WindowMax;

/// What is remembered over the windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct History {
    /// Since when candidates are remembered without a break that matters.
    since: Time,
    /// The least candidate of the up window.
    up: WindowMax<Reverse<u32>>,
    /// The greatest candidate of the down window.
    down: WindowMax<u32>,
    /// How good the ticks of the down window were, in runs of equals.
    quality: VecDeque<Run>,
    /// The usual share of errors.
    usual_errors: f64,
}

/// Ticks in a row of the same quality.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Run {
    from: Time,
    until: Time,
    full: bool,
    /// Pods that were Ready, per 1000 desired.
    ready: u32,
}

impl History {
    /// Nothing known but the floor.
    pub(crate) fn new(now: Time, floor: u32) -> Self {
        let mut up = WindowMax::new();
        up.push(now, Reverse(floor));
        Self { since: now, up, down: WindowMax::new(), quality: VecDeque::new(), usual_errors: 0.0 }
    }

    /// Ticks were missed: nothing is known but the floor.
    pub(crate) fn lose(&mut self, now: Time, floor: u32) {
        *self = Self { usual_errors: self.usual_errors, ..Self::new(now, floor) };
    }

    /// A source went down or came back: earlier candidates no longer allow to lower.
    pub(crate) fn clear_down(&mut self, now: Time) {
        self.since = now;
        self.down.clear();
        self.quality.clear();
    }

    /// Stage "stabilise": toward the floor. It moves only where the windows agree, and lowers only where nothing over the
    /// down window makes low demand suspect.
    pub(crate) fn stabilise(&mut self, tick: &Tick<'_>, signals: &[Signal<'_>], wanted: u32, held: bool) -> (u32, Why) {
        let (up_window, down_window) =
            (tick.policy.behavior.up.stabilization_window, tick.policy.behavior.down.stabilization_window);
        if tick.fresh {
            self.remember(tick, signals, wanted, held);
        }
        // The floor at a start stands for the candidates before it, which no window means none.
        let least = if up_window == Duration::ZERO { None } else { self.up.max() };
        let least = least.map_or(wanted, |Reverse(least)| least.min(wanted));
        let most = self.down.max().map_or(wanted, |most| most.max(wanted));
        if wanted >= tick.floor {
            let after = least.max(tick.floor);
            let why = if after < wanted { Why::UpWindow { window: up_window } } else { Why::Steady };
            return (after, why);
        }
        if let Some(why) = self.suspicion(tick, signals) {
            return (tick.floor, why);
        }
        let after = most.min(tick.floor);
        (after, if after > wanted { Why::DownWindow { window: down_window } } else { Why::Steady })
    }

    fn remember(&mut self, tick: &Tick<'_>, signals: &[Signal<'_>], wanted: u32, held: bool) {
        let behavior = &tick.policy.behavior;
        self.up.expire(tick.now.minus(behavior.up.stabilization_window));
        // Where no signal says anything, nothing speaks against raising either.
        if signals.is_empty() || signals.iter().any(|signal| signal.value.is_some()) {
            self.up.push(tick.now, Reverse(wanted));
        }

        let cutoff = tick.now.minus(behavior.down.stabilization_window);
        self.down.expire(cutoff);
        // What a held tick asks for beyond the floor was truly asked for.
        if !held || wanted > tick.floor {
            self.down.push(tick.now, wanted);
        }

        while self.quality.front().is_some_and(|run| run.until <= cutoff) {
            self.quality.pop_front();
        }
        let run =
            Run { from: tick.now.minus(tick.elapsed), until: tick.now, full: !held, ready: ready_per_mille(tick) };
        match self.quality.back_mut() {
            Some(last) if (last.full, last.ready, last.until) == (run.full, run.ready, run.from) => {
                last.until = run.until
            }
            _ => self.quality.push_back(run),
        }

        if let Some(share) = error_share(tick) {
            // An exponential average, by time instead of by tick; exact enough while ticks are short.
            let memory = tick.policy.tunables.error_memory.as_secs_f64();
            let weight = (tick.elapsed.as_secs_f64() / memory).min(1.0);
            self.usual_errors += weight * (share - self.usual_errors);
        }
    }

    /// Why low demand may be an outage, or not known well enough.
    fn suspicion(&self, tick: &Tick<'_>, signals: &[Signal<'_>]) -> Option<Why> {
        let tunables = &tick.policy.tunables;
        let window = tick.policy.behavior.down.stabilization_window;
        if tick.now.since(self.since) < window {
            return Some(Why::HistoryTooShort { until: self.since.plus(window) });
        }
        let collapse = signals.iter().find_map(|signal| Some((signal.demand.name.clone(), signal.collapsed_until?)));
        if let Some((signal, until)) = collapse {
            return Some(Why::Collapsed { signal, until });
        }
        if let Some(share) = error_share(tick)
            && share > self.usual_errors * tunables.error_factor + tunables.error_slack
        {
            return Some(Why::MoreErrors { share, usual: self.usual_errors });
        }
        let (full, ready) = self.shares(tick.now, window)?;
        if full < tunables.full_share {
            return Some(Why::TooFewValues { share: full, needed: tunables.full_share });
        }
        (ready < tunables.ready_share).then_some(Why::TooFewReady { share: ready, needed: tunables.ready_share })
    }

    /// The shares of the window that had trusted values, and of desired pods that were Ready over it.
    fn shares(&self, now: Time, window: Duration) -> Option<(f64, f64)> {
        let start = now.minus(window);
        let (mut known, mut full, mut ready) = (0_u64, 0_u64, 0_u64);
        for run in &self.quality {
            let length = run.until.since(run.from.max(start)).as_millis();
            known = known.saturating_add(length);
            full = full.saturating_add(if run.full { length } else { 0 });
            ready = ready.saturating_add(length.saturating_mul(u64::from(run.ready)));
        }
        if known == 0 {
            return None;
        }
        Some((full as f64 / window.as_millis() as f64, ready as f64 / 1000.0 / known as f64))
    }
}

fn ready_per_mille(tick: &Tick<'_>) -> u32 {
    let (ready, desired) = (u64::from(tick.input.replicas.ready), u64::from(tick.input.replicas.desired));
    if ready >= desired {
        return 1000;
    }
    u32::try_from(ready * 1000 / desired).unwrap_or(1000)
}

fn error_share(tick: &Tick<'_>) -> Option<f64> {
    match &tick.input.error_share {
        Some(Sample::Value(value)) if value.trust() == Trust::Full => Some(value.get()),
        _ => None,
    }
}
