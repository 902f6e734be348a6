//! Whether a tier beside the app makes its requests slow: then more pods of it would not make them faster, and may make it
//! worse.
//!
//! Two tests. A tier shows it: one of its figures is over its threshold while latency is over budget. And pods that were added
//! while latency was over budget helped neither latency nor throughput. One of them ends growth for latency's sake; only
//! both together end growth for demand's sake, as long as both hold. Neither lowers anything.

use serde::Serialize;

use crate::bottleneck::{Bottleneck, Shown};
use crate::latency::Look;
use crate::policy::Name;
use crate::row::Row;
use crate::signal::Signal;
use crate::tick::Tick;
use crate::tiers::{Figure, Symptom};
use crate::time::Time;
use crate::trial::{Moment, Trial, in_pods};
use crate::why::Why;

/// What is remembered of the tiers beside an app.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct GuardMemory {
    watches: Vec<Watch>,
    /// Pods added for whatever reason while latency is over budget.
    trial: Option<Trial>,
    /// Such pods did not help: until then.
    failed_until: Option<Time>,
    /// What is told, until it is looked at again.
    told: Option<Told>,
}

/// One symptom over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Watch {
    tier: Name,
    figure: Figure,
    /// Readings over the threshold.
    over: Row,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Told {
    shown: Option<Shown>,
    until: Time,
}

/// What the guard says at one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Guard {
    /// Latency may add no pods.
    pub(crate) stops_latency: bool,
    /// A tier shows it at this very tick, or added pods did not help: low demand is not what overload looks like.
    pub(crate) elsewhere: bool,
    /// What is in force.
    pub(crate) bottleneck: Option<Bottleneck>,
}

impl GuardMemory {
    /// Ticks were missed: what needs an unbroken time starts again.
    pub(crate) fn lose_history(&mut self) {
        self.watches.clear();
        self.trial = None;
    }

    /// Counts the tick and says what follows. `not_helped` is the end of what a trial of latency's own has shown.
    pub(crate) fn observe(
        &mut self,
        tick: &Tick<'_>,
        look: &Look,
        signals: &[Signal<'_>],
        frozen: bool,
        not_helped: Option<Time>,
    ) -> Guard {
        let symptoms = &tick.tiers.symptoms;
        if symptoms.is_empty() {
            *self = Self::default();
            return Guard::default();
        }
        let values: Vec<Option<f64>> = symptoms
            .iter()
            .map(|symptom| symptom.sample.trusted(tick.now, tick.policy.stale_after(&symptom.sample)))
            .collect();
        if tick.fresh {
            self.watch(symptoms, &values);
            self.failed_until = self.failed_until.filter(|until| tick.now < *until);
            self.try_pods(tick, look, signals, frozen);
        }
        let shown = if look.over_budget { self.shown(tick, &values) } else { None };
        let failed = self.failed_until.max(not_helped.filter(|until| tick.now < *until));
        let holds = look.over_budget && (shown.is_some() || failed.is_some());
        if tick.fresh && self.told.as_ref().is_none_or(|told| told.until <= tick.now) {
            let until = tick.now.plus(tick.policy.tunables.guard_retest);
            self.told = holds.then(|| Told { shown: shown.clone(), until });
        }
        // What added pods have shown first becomes a name as soon as a tier shows it, too.
        if let (Some(told), Some(shown)) = (&mut self.told, &shown)
            && tick.fresh
            && told.shown.is_none()
        {
            told.shown = Some(shown.clone());
        }
        let under = |(symptom, value): (&Symptom, &Option<f64>)| value.is_some_and(|value| value <= symptom.threshold);
        let clear = symptoms.iter().zip(&values).all(under);
        let stops_demand_until = failed.filter(|_| shown.is_some());
        Guard {
            stops_latency: !clear || self.told.is_some(),
            elsewhere: shown.is_some() || self.failed_until.is_some(),
            bottleneck: self.told.clone().map(|told| Bottleneck {
                shown: told.shown,
                until: told.until,
                stops_demand_until,
            }),
        }
    }

    /// Counts readings over the threshold; one that is missing breaks the row.
    fn watch(&mut self, symptoms: &[Symptom], values: &[Option<f64>]) {
        let mut known = std::mem::take(&mut self.watches);
        self.watches.reserve(symptoms.len());
        for (symptom, value) in symptoms.iter().zip(values) {
            let same = |watch: &Watch| watch.tier == symptom.tier && watch.figure == symptom.figure;
            let mut watch = match known.iter().position(same) {
                // The order is kept, for two symptoms of one name.
                Some(index) => known.remove(index),
                None => Watch { tier: symptom.tier.clone(), figure: symptom.figure, over: Row::default() },
            };
            watch.over.count(value.is_some_and(|value| value > symptom.threshold), symptom.sample.at());
            self.watches.push(watch);
        }
    }

    /// The symptom that is furthest over its threshold, of those that have been over it often enough.
    fn shown(&self, tick: &Tick<'_>, values: &[Option<f64>]) -> Option<Shown> {
        let needed = tick.policy.tunables.guard_readings;
        let mut most: Option<(f64, Shown)> = None;
        for ((symptom, watch), value) in tick.tiers.symptoms.iter().zip(&self.watches).zip(values) {
            let Some(value) = value.filter(|value| watch.over.is(needed) && *value > symptom.threshold) else {
                continue;
            };
            let excess = value / symptom.threshold;
            if most.as_ref().is_none_or(|(known, _)| excess > *known) {
                let (tier, figure, threshold) = (symptom.tier.clone(), symptom.figure, symptom.threshold);
                most = Some((excess, Shown { tier, figure, value, threshold }));
            }
        }
        most.map(|(_, shown)| shown)
    }

    /// Judges pods that were added while latency is over budget.
    fn try_pods(&mut self, tick: &Tick<'_>, look: &Look, signals: &[Signal<'_>], frozen: bool) {
        if frozen || look.idle || (look.value.is_some() && !look.over_budget) {
            self.trial = None;
            return;
        }
        let Some(moment) = look.moment else { return };
        let moment = Moment { goodput: throughput(tick, signals, moment), ..moment };
        match &mut self.trial {
            None if moment.settled => self.trial = Some(Trial::begin(moment)),
            None => {}
            Some(trial) => {
                let Some(helped) = trial.judge(tick, moment) else { return };
                if !helped {
                    self.failed_until = Some(tick.now.plus(tick.policy.tunables.guard_retest));
                }
                self.trial = Some(Trial::begin(moment));
            }
        }
    }
}

impl Guard {
    /// The rest of stage "restrain": down, never below the floor. `sized` is what demand asks for by the plan.
    pub(crate) fn restrain(&self, tick: &Tick<'_>, sized: u32, (wanted, why): (u32, Why)) -> (u32, Why) {
        let Some(bottleneck) = &self.bottleneck else { return (wanted, why) };
        let most = if bottleneck.stops_demand_until.is_some() { 0 } else { sized };
        let limit = most.max(tick.floor);
        if limit < wanted { (limit, Why::Bottleneck(bottleneck.clone())) } else { (wanted, why) }
    }
}

/// Completed requests, in pods' worth of the plan. Requests in flight grow with latency by themselves: what they are
/// divided by it is what is completed.
fn throughput(tick: &Tick<'_>, signals: &[Signal<'_>], moment: Moment) -> f64 {
    let mut completed = signals.iter().filter(|signal| !signal.demand.in_flight).peekable();
    if completed.peek().is_some() {
        return completed.map(Signal::in_pods).fold(0.0, f64::max);
    }
    // A pod is planned to hold its requests for as long as the budget.
    let budget = tick.policy.latency.as_ref().map_or(moment.latency, |latency| latency.budget);
    in_pods(signals) * budget / moment.latency
}
