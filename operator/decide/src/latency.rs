//! Latency over budget as evidence about the capacity of a pod.
//!
//! A counter of completed requests is censored demand: overloaded pods complete little, which looks like light load. So
//! latency over budget lowers the factor `k` on what a pod is assumed to carry, within bounds, as a trial that is judged:
//! where added pods help neither latency nor throughput, the cause lies elsewhere and `k` goes back.

use serde::Serialize;

use crate::guard::Guard;
use crate::health::SourceHealth;
use crate::policy::Latency;
use crate::signal::{LatencySignal, Signal};
use crate::tick::Tick;
use crate::time::{Duration, Time};
use crate::trial::{Moment, Trial, in_pods};

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

/// What latency says at one tick, before anything is concluded from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    /// The trusted value, in seconds.
    pub(crate) value: Option<f64>,
    /// There is nothing to serve, so latency means nothing.
    pub(crate) idle: bool,
    /// Over budget, with a trusted value.
    pub(crate) over_budget: bool,
    /// What pods that are added can be compared with: none while any figure is not trusted, or during a rollout.
    pub(crate) moment: Option<Moment>,
}

impl Look {
    pub(crate) fn at(
        tick: &Tick<'_>,
        budget: &Latency,
        latency: &LatencySignal,
        signals: &[Signal<'_>],
        frozen: bool,
    ) -> Self {
        // No traffic is no failure: an idle app has no latency.
        let idle = !signals.is_empty() && signals.iter().all(Signal::is_idle);
        let value = latency.value.filter(|_| latency.state.is_full());
        let replicas = tick.input.replicas;
        let comparable = !frozen && !idle && !signals.is_empty() && signals.iter().all(|signal| signal.state.is_full());
        let moment = value.filter(|_| comparable).map(|latency| Moment {
            latency,
            goodput: in_pods(signals),
            ready: replicas.ready,
            settled: replicas.pending == 0 && replicas.ready >= tick.floor.max(1),
        });
        Self { value, idle, over_budget: !idle && value.is_some_and(|value| value > budget.budget), moment }
    }
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
    /// A tier beside the app shows now that pods are not what latency lacks.
    pub(crate) elsewhere: bool,
}

impl Verdict {
    /// No budget, or one that cannot be judged.
    pub(crate) const NEUTRAL: Self =
        Self { k: 1.0, over_budget: false, blind: false, on_trial: false, not_helped_until: None, elsewhere: false };

    /// Nothing is lowered because latency is over budget, and pods may be what it lacks.
    pub(crate) fn overloaded(&self) -> bool {
        self.over_budget && self.not_helped_until.is_none() && !self.elsewhere
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

    /// Until then no pods are added for latency, because the last ones did not help.
    pub(crate) fn not_helped_until(&self) -> Option<Time> {
        self.not_helped_until
    }

    /// Counts the tick and judges it.
    pub(crate) fn judge(
        &mut self,
        tick: &Tick<'_>,
        budget: &Latency,
        latency: &LatencySignal,
        look: Look,
        frozen: bool,
        guard: &Guard,
    ) -> Verdict {
        let Look { value, idle, over_budget, moment } = look;
        if tick.fresh {
            self.count(tick, budget, value, latency.stale_after, idle, frozen);
            if frozen {
                self.trial = None;
            } else if let Some(moment) = moment {
                self.judge_trial(tick, moment);
                if moment.settled && !guard.stops_latency && self.breached(tick) {
                    self.step_down(tick, moment);
                }
            }
        }
        Verdict {
            k: self.k,
            over_budget,
            blind: value.is_none() && !idle,
            on_trial: self.trial.is_some(),
            not_helped_until: self.not_helped_until,
            elsewhere: guard.elsewhere,
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

    fn judge_trial(&mut self, tick: &Tick<'_>, now: Moment) {
        let Some(helped) = self.trial.as_mut().and_then(|trial| trial.judge(tick, now)) else { return };
        if !helped {
            self.k = 1.0;
            self.not_helped_until = Some(tick.now.plus(tick.policy.tunables.no_new_step));
        }
        self.trial = None;
    }

    /// A breach: a pod carries no more than it has just shown, less a margin.
    fn step_down(&mut self, tick: &Tick<'_>, now: Moment) {
        if self.trial.is_some() || self.not_helped_until.is_some() {
            return;
        }
        let tunables = &tick.policy.tunables;
        let shown = tunables.k_margin * now.goodput / f64::from(now.ready);
        self.k = self.k.min(shown).max(tunables.k_min).min(1.0);
        if self.k < 1.0 {
            self.trial = Some(Trial::begin(now));
        }
    }
}
