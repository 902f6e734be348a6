//! From the stages' results to what a decision tells.

use std::cmp::Ordering;

use crate::decision::{
    Decision, Finding, HeldBy, Hint, LatencyReport, MetricsAvailable, MetricsReason, SignalReport, SignalState, Stage,
    StageName,
};
use crate::latency::Verdict;
use crate::policy::{Latency, Name};
use crate::sample::SourceErrorKind;
use crate::signal::{LatencySignal, Signal};
use crate::size::proposal;
use crate::tick::Tick;
use crate::why::{Reason, Why};
use crate::write::Write;

/// The HPA changes nothing while a metric is this close to its target (its default tolerance).
const HPA_TOLERANCE: f64 = 0.1;

/// Gate: what is written of a recommendation.
pub(crate) fn write(tick: &Tick<'_>, floor: u32, cap: u32) -> Write {
    let pause = tick.policy.pause;
    let (mut write_floor, mut write_cap) = (floor, cap);
    if pause.stops_in() {
        (write_floor, write_cap) = (write_floor.max(tick.floor), write_cap.max(tick.cap));
    }
    if pause.stops_out() {
        (write_floor, write_cap) = (write_floor.min(tick.floor), write_cap.min(tick.cap));
    }
    let to_zero = tick.policy.min_replicas == 0 && !tick.policy.demand.is_empty() && tick.observed == 1 && floor == 0;
    let scale = if tick.observed == 0 && write_floor > 0 && !pause.stops_out() {
        Some(write_floor)
    } else if to_zero && write_floor == 0 && !pause.stops_in() {
        // Only from one pod: an HPA at its least of one gets there at the behaviour's speed.
        Some(0)
    } else {
        None
    };
    Write {
        floor: write_floor,
        cap: write_cap,
        disable_scale_up: pause.stops_out(),
        disable_scale_down: pause.stops_in(),
        scale,
    }
}

/// The word for the last stage that changed the number; demand where none did.
pub(crate) fn reason(stages: &[Stage]) -> Reason {
    stages.iter().rev().find(|stage| stage.before != stage.after).map_or(Reason::Demand, |stage| stage.why.reason())
}

/// Where each signal would move the floor.
pub(crate) fn hints(tick: &Tick<'_>, signals: &[Signal<'_>], k: f64, floor: u32, target: u32) -> Vec<Hint> {
    let margin = 1.0 + f64::from(tick.policy.tunables.dead_band_percent) / 100.0;
    signals
        .iter()
        .map(|signal| {
            let per_pod = signal.demand.planned_per_pod() * k;
            let raises_above = (floor < target).then(|| (f64::from(floor) * per_pod).max(signal.demand.activation));
            let lowers_at = (floor > tick.policy.min_replicas)
                .then(|| (f64::from(floor.saturating_sub(1)) * per_pod / margin).max(signal.demand.activation));
            Hint { signal: signal.demand.name.clone(), unit: signal.demand.unit, raises_above, lowers_at }
        })
        .collect()
}

/// The condition `MetricsAvailable`: the first required signal that has no value, else the first that may only raise.
pub(crate) fn metrics(
    signals: &[Signal<'_>],
    budget: Option<&Latency>,
    judged: Option<(&LatencySignal, &Verdict)>,
) -> Option<MetricsAvailable> {
    if signals.is_empty() && judged.is_none() {
        return None;
    }
    let demand =
        signals.iter().map(|signal| (&signal.demand.name, signal.stood_in_for.as_ref().unwrap_or(&signal.state)));
    let latency = judged
        .filter(|(_, verdict)| verdict.blind)
        .zip(budget)
        .map(|((latency, _), budget)| (&budget.name, &latency.state));
    let mut worst: Option<(&Name, &SignalState)> = None;
    for (name, state) in demand.chain(latency) {
        let reason = state.metrics_reason();
        let worse = match worst {
            None => reason != MetricsReason::Available,
            Some((_, known)) => known.metrics_reason().is_available() && !reason.is_available(),
        };
        if worse {
            worst = Some((name, state));
        }
    }
    let reason = worst.map_or(MetricsReason::Available, |(_, state)| state.metrics_reason());
    Some(MetricsAvailable {
        status: reason.is_available(),
        reason,
        signal: worst.map(|(name, state)| (name.clone(), state.clone())),
        fallback: signals.iter().filter_map(|signal| signal.fallback).max(),
    })
}

/// Everything else that a person should know.
pub(crate) fn findings(
    tick: &Tick<'_>,
    signals: &[Signal<'_>],
    verdict: &Verdict,
    resolvable: bool,
    frozen: bool,
    conflict: Option<Finding>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(verdict.not_helped_until.map(|until| Finding::LatencyNotHelpedByPods { until }));
    if let Some(latency) = tick.policy.latency.as_ref().filter(|_| !resolvable) {
        findings.push(Finding::BudgetNotResolvable { budget: latency.budget });
    }
    if tick.input.rollout.under_way() && !frozen {
        findings.push(Finding::RolloutStuck);
    }
    findings.extend(conflict);
    // At the minimum there is nothing that a collapse could hold.
    if tick.floor > tick.policy.min_replicas {
        findings.extend(signals.iter().find_map(|signal| {
            Some(Finding::DemandCollapsed { signal: signal.demand.name.clone(), until: signal.collapsed_until? })
        }));
    }
    findings
}

/// What holds the count of pods where it is.
pub(crate) fn held_by(tick: &Tick<'_>, write: &Write) -> HeldBy {
    let (observed, floor) = (tick.observed, write.floor);
    if observed <= floor {
        return HeldBy::Floor { floor };
    }
    if observed >= write.cap {
        return HeldBy::Cap { cap: write.cap };
    }
    let wishes = tick.input.hpa_metrics.iter().map(|metric| {
        let ratio = metric.current / metric.target;
        let close = (ratio - 1.0).abs() <= HPA_TOLERANCE;
        let wants = if close { observed } else { (ratio * f64::from(observed)).ceil() as u32 };
        (metric, wants)
    });
    match wishes.max_by_key(|(_, wants)| *wants) {
        Some((metric, wants)) if wants > floor => HeldBy::HpaMetric {
            name: metric.name.clone(),
            current: metric.current,
            target: metric.target,
            observed,
            wants,
            floor,
        },
        _ => HeldBy::Hpa { observed, floor },
    }
}

/// The latency as a decision tells it.
pub(crate) fn latency(
    budget: Option<&Latency>,
    signal: Option<LatencySignal>,
    verdict: &Verdict,
) -> Option<LatencyReport> {
    let (budget, signal) = budget.zip(signal)?;
    Some(LatencyReport {
        name: budget.name.clone(),
        state: signal.state,
        value: signal.value,
        budget: budget.budget,
        age: signal.age,
        k: verdict.k,
        over_budget: verdict.over_budget,
        on_trial: verdict.on_trial,
    })
}

/// The demand signals as a decision tells them.
pub(crate) fn signals(tick: &Tick<'_>, signals: Vec<Signal<'_>>, k: f64) -> Vec<SignalReport> {
    let report = |signal: Signal<'_>| SignalReport {
        name: signal.demand.name.clone(),
        unit: signal.demand.unit,
        proposal: proposal(tick, &signal, k).map(|proposal| proposal.pods),
        value: signal.value,
        raise_value: signal.raise_value,
        age: signal.age,
        k,
        per_pod: signal.demand.planned_per_pod() * k,
        failure: signal.failure,
        source: signal.source,
        state: signal.state,
    };
    signals.into_iter().map(report).collect()
}

impl MetricsAvailable {
    /// Which server fails; and what has to be mended, where that is the source's settings: our own words, which change
    /// only when another thing has to. A server's words may differ from answer to answer.
    fn failing(&self) -> [Option<&str>; 2] {
        let Some((_, SignalState::Error(error))) = &self.signal else { return [None, None] };
        [error.server.as_deref(), (error.kind == SourceErrorKind::Setup).then_some(&*error.message)]
    }
}

impl Decision {
    /// Whether status has anything new to tell: what is written, the count's bounds, or a condition. Values, ages and
    /// sentences change all the time and count for nothing here, so that a steady app causes no writes.
    pub fn differs_in_meaning(&self, previous: &Self) -> bool {
        fn metrics(decision: &Decision) -> Option<(bool, MetricsReason, [Option<&str>; 2])> {
            decision.metrics.as_ref().map(|metrics| (metrics.status, metrics.reason, metrics.failing()))
        }
        let same_findings = self.findings.len() == previous.findings.len()
            && self.findings.iter().zip(&previous.findings).all(|(a, b)| a.reason() == b.reason());
        let waits = |decision: &Self| {
            let of = |stage: &Stage| match &stage.why {
                Why::TierFirst { tier, .. } => Some(tier.clone()),
                _ => None,
            };
            decision.stages.iter().find_map(of)
        };
        let tier = |decision: &Self| decision.bottleneck.as_ref().map(|bottleneck| bottleneck.tier().cloned());
        self.floor != previous.floor
            || self.cap != previous.cap
            || self.write != previous.write
            || metrics(self) != metrics(previous)
            || tier(self) != tier(previous)
            || waits(self) != waits(previous)
            || !same_findings
    }

    /// Where the floor is going: what is asked for now, beside what it was, before windows and speed.
    pub fn heads(&self) -> Ordering {
        let before = self.stages.first().map_or(self.floor, |stage| stage.before);
        let raised = self.stages.iter().find(|stage| stage.name == StageName::Raise);
        raised.map_or(self.floor, |stage| stage.after).cmp(&before)
    }

    /// Why the floor is what it is, in one sentence.
    pub fn sentence(&self) -> String {
        let decisive = self.stages.iter().rev().find(|stage| stage.before != stage.after).or(self.stages.first());
        decisive.map(|stage| stage.why.to_string()).unwrap_or_default()
    }
}
