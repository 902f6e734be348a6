//! Latency over budget as evidence about the capacity of a pod.
//!
//! A counter of completed requests is censored demand: overloaded pods complete little, which looks like light load. So
//! latency over budget lowers the factor `k` on what a pod is assumed to carry, within bounds, as a trial that is judged:
//! where added pods help neither latency nor throughput, the cause lies elsewhere and `k` goes back.

use serde::Serialize;

use crate::health::SourceHealth;
use crate::policy::{Latency, Policy};
use crate::signal::{LatencySignal, Signal};
use crate::tick::Tick;
use crate::time::{Duration, Time};

/// What is remembered of latency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LatencyMemory {
    pub(crate) health: SourceHealth,
    /// The factor on the capacity of a pod, from `k_min` to 1.
    k: f64,
    /// Over budget since, and last seen so.
    over: Option<(Time, Time)>,
    /// Time well under budget since the last step of `k` upward.
    calm: Duration,
    trial: Option<Trial>,
    /// Pods did not help: no new step until then.
    not_helped_until: Option<Time>,
}

/// What was true before pods were added.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Trial {
    latency: f64,
    /// Completed requests, in pods' worth of the plan.
    goodput: f64,
    ready: u32,
    /// Since when more pods are Ready than then.
    added_at: Option<Time>,
}

/// What latency means for the stages of this tick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) k: f64,
    /// Over budget, with a trusted value.
    pub(crate) over_budget: bool,
    /// Nothing is lowered for want of a trusted value.
    pub(crate) blind: bool,
    pub(crate) on_trial: bool,
    pub(crate) not_helped_until: Option<Time>,
}

impl Verdict {
    /// No budget, or one that cannot be judged.
    pub(crate) const NEUTRAL: Self =
        Self { k: 1.0, over_budget: false, blind: false, on_trial: false, not_helped_until: None };

    /// Nothing is lowered because latency is over budget, and pods may be what it lacks.
    pub(crate) fn overloaded(&self) -> bool {
        self.over_budget && self.not_helped_until.is_none()
    }
}

impl Default for LatencyMemory {
    fn default() -> Self {
        Self {
            health: SourceHealth::default(),
            k: 1.0,
            over: None,
            calm: Duration::ZERO,
            trial: None,
            not_helped_until: None,
        }
    }
}

impl LatencyMemory {
    /// Ticks were missed: what needs an unbroken time starts again. `k` stays, as the evidence for it does.
    pub(crate) fn lose_history(&mut self) {
        self.over = None;
        self.calm = Duration::ZERO;
        self.trial = None;
    }

    /// The budget is gone or cannot be judged.
    pub(crate) fn reset(&mut self) {
        *self = Self { health: std::mem::take(&mut self.health), ..Self::default() };
    }

    /// Counts the tick and judges it.
    pub(crate) fn judge(
        &mut self,
        tick: &Tick<'_>,
        budget: &Latency,
        latency: &LatencySignal,
        signals: &[Signal<'_>],
        frozen: bool,
    ) -> Verdict {
        // No traffic is no failure: an idle app has no latency.
        let idle = !signals.is_empty() && signals.iter().all(Signal::is_idle);
        let value = latency.value.filter(|_| latency.state.is_full());
        if tick.fresh {
            self.count(tick, budget, value, latency.stale_after, idle, frozen);
            if frozen {
                self.trial = None;
            } else if let Some(value) = value
                && !idle
                && !signals.is_empty()
                && signals.iter().all(|signal| signal.state.is_full())
            {
                let settled = tick.input.replicas.pending == 0 && tick.input.replicas.ready >= tick.floor.max(1);
                let goodput = goodput(signals);
                self.judge_trial(tick, value, goodput, settled);
                if settled && self.breached(tick) {
                    self.step_down(tick, value, goodput);
                }
            }
        }
        Verdict {
            k: self.k,
            over_budget: value.is_some_and(|value| value > budget.budget) && !idle,
            blind: value.is_none() && !idle,
            on_trial: self.trial.is_some(),
            not_helped_until: self.not_helped_until,
        }
    }

    /// Advances the clocks: over budget since, and calm since.
    fn count(
        &mut self,
        tick: &Tick<'_>,
        budget: &Latency,
        value: Option<f64>,
        silence: Duration,
        idle: bool,
        frozen: bool,
    ) {
        let tunables = &tick.policy.tunables;
        self.not_helped_until = self.not_helped_until.filter(|until| tick.now < *until);
        if idle {
            self.over = None;
            self.trial = None;
        }
        let calm = match value {
            _ if idle => true,
            Some(value) if value > budget.budget => {
                // A missed poll in between does not start the time anew, a longer silence does.
                let since = self.over.filter(|(_, last)| tick.now.since(*last) <= silence);
                self.over = Some((since.map_or(tick.now, |(since, _)| since), tick.now));
                self.calm = Duration::ZERO;
                false
            }
            Some(value) => {
                self.over = None;
                let calm = value < tunables.k_relax_below * budget.budget;
                if !calm {
                    self.calm = Duration::ZERO;
                }
                calm
            }
            None => false,
        };
        if !calm || frozen {
            return;
        }
        self.calm = self.calm.plus(tick.elapsed);
        if self.calm >= tunables.k_period {
            self.calm = Duration::ZERO;
            self.k = (self.k + tunables.k_step).min(1.0);
        }
    }

    fn breached(&self, tick: &Tick<'_>) -> bool {
        self.over.is_some_and(|(since, _)| tick.now.since(since) >= tick.policy.tunables.breach)
    }

    /// Judges pods that were added, once they have been Ready for as long as a rate needs to show it.
    fn judge_trial(&mut self, tick: &Tick<'_>, latency: f64, goodput: f64, settled: bool) {
        let Some(trial) = &mut self.trial else { return };
        let ready = tick.input.replicas.ready;
        if ready <= trial.ready {
            // Nothing was added yet: compare with the last moment before.
            *trial = Trial { latency, goodput, ready, added_at: None };
            return;
        }
        let added_at = *trial.added_at.get_or_insert(tick.now);
        if !settled || tick.now.since(added_at) < settle(tick.policy) {
            return;
        }
        let tunables = &tick.policy.tunables;
        let fell = latency <= trial.latency * (1.0 - tunables.helped_latency);
        let added = f64::from(ready - trial.ready);
        let rose = goodput - trial.goodput >= tunables.helped_goodput * added;
        if !(fell || rose) {
            self.k = 1.0;
            self.not_helped_until = Some(tick.now.plus(tunables.no_new_step));
        }
        self.trial = None;
    }

    /// A breach: a pod carries no more than it has just shown, less a margin.
    fn step_down(&mut self, tick: &Tick<'_>, latency: f64, goodput: f64) {
        if self.trial.is_some() || self.not_helped_until.is_some() {
            return;
        }
        let tunables = &tick.policy.tunables;
        let ready = tick.input.replicas.ready;
        let shown = tunables.k_margin * goodput / f64::from(ready);
        self.k = self.k.min(shown).max(tunables.k_min).min(1.0);
        if self.k < 1.0 {
            self.trial = Some(Trial { latency, goodput, ready, added_at: None });
        }
    }
}

/// Completed requests in pods' worth of the plan, by the signal that shows most.
fn goodput(signals: &[Signal<'_>]) -> f64 {
    let share = |signal: &Signal<'_>| signal.raise_value.map_or(0.0, |value| value / signal.demand.planned_per_pod());
    signals.iter().map(share).fold(0.0, f64::max)
}

/// How long added pods must have been Ready before they are judged.
fn settle(policy: &Policy) -> Duration {
    policy.tunables.settle.max(policy.longest_range)
}
