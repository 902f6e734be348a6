//! Classify: from samples to what each signal says at this tick.

use serde::Serialize;

use crate::decision::{FailureState, SignalState};
use crate::health::SourceHealth;
use crate::input::{DemandInput, LatencyInput, SourceReading};
use crate::policy::{Demand, Name, Policy};
use crate::sample::{Doubt, Sample, Trust, Value};
use crate::tick::Tick;
use crate::time::{Duration, Time};
use crate::window::WindowMax;

/// What is remembered of one demand signal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SignalMemory {
    pub(crate) name: Name,
    sources: Vec<SourceHealth>,
    /// Pods held since all sources count as down.
    fallback: Option<u32>,
    /// Demand of the time that a rollout compares with.
    peak: WindowMax<f64>,
    /// That demand, since a rollout began.
    before_rollout: Option<f64>,
    /// Demand of the time in which a fall is a collapse.
    recent: WindowMax<f64>,
    /// The last trusted demand, while ticks without one follow it: an outage often takes the figures along, and that time
    /// does not count.
    gap_since: Option<Time>,
    last_full: Option<Time>,
    collapsed_until: Option<Time>,
}

/// What one demand signal says at this tick.
pub(crate) struct Signal<'a> {
    pub(crate) demand: &'a Demand,
    pub(crate) state: SignalState,
    /// What the first source says while the constant stands in for it.
    pub(crate) stood_in_for: Option<SignalState>,
    /// Over the long range.
    pub(crate) value: Option<f64>,
    /// The greater of both ranges.
    pub(crate) raise_value: Option<f64>,
    pub(crate) age: Option<Duration>,
    pub(crate) failure: FailureState,
    pub(crate) source: usize,
    pub(crate) fallback: Option<u32>,
    pub(crate) before_rollout: Option<f64>,
    /// Until then the signal counts as collapsed.
    pub(crate) collapsed_until: Option<Time>,
}

impl Signal<'_> {
    /// Full, and at or below activation: there is nothing to serve.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.is_full() && self.raise_value.is_some_and(|value| value <= self.demand.activation)
    }

    /// Its demand in pods' worth of the plan.
    pub(crate) fn in_pods(&self) -> f64 {
        self.raise_value.map_or(0.0, |value| value / self.demand.planned_per_pod())
    }
}

/// What the latency signal says at this tick.
pub(crate) struct LatencySignal {
    pub(crate) state: SignalState,
    pub(crate) value: Option<f64>,
    pub(crate) age: Option<Duration>,
    /// A silence of this length is no mere missed poll.
    pub(crate) stale_after: Duration,
}

/// A sample in its state, with its number if it has one.
struct Classified {
    state: SignalState,
    value: Option<f64>,
    age: Option<Duration>,
}

static NO_DATA: Sample = Sample::NoData;

impl SignalMemory {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            name,
            sources: Vec::new(),
            fallback: None,
            peak: WindowMax::new(),
            before_rollout: None,
            recent: WindowMax::new(),
            gap_since: None,
            last_full: None,
            collapsed_until: None,
        }
    }

    /// Counts the tick and says what the signal says. The second result tells whether the windows must be cleared.
    pub(crate) fn observe<'a>(
        &mut self,
        tick: &Tick<'a>,
        demand: &'a Demand,
        input: Option<&DemandInput>,
    ) -> (Signal<'a>, bool) {
        let readings = input.map_or(&[][..], |input| &input.sources);
        let mut clear = self.count(tick, readings);

        let chosen = self.choose(tick, readings);
        let constant = demand.constant.filter(|_| chosen.is_none());
        let all_down = self
            .sources
            .iter()
            .all(|source| matches!(source.state(), FailureState::Fallback | FailureState::Recovering));
        if all_down && demand.constant.is_none() {
            if self.fallback.is_none() {
                let replicas = tick.policy.fallback_replicas.unwrap_or(0);
                self.fallback = Some(tick.floor.max(tick.observed.min(tick.cap)).max(replicas));
                clear = true;
            }
        } else {
            self.fallback = None;
        }

        let source = chosen.unwrap_or(if constant.is_some() { self.sources.len() } else { 0 });
        let long = |source: usize| readings.get(source).map_or(&NO_DATA, |reading| &reading.long);
        let stood_in_for = constant.map(|_| classify(tick, long(0)).state);
        let (classified, short) = match constant {
            Some(value) => {
                let state = SignalState::RaiseOnly(Doubt::Constant);
                (Classified { state, value: Some(value), age: None }, None)
            }
            None => {
                let reading = readings.get(source);
                let long = self.classify(tick, source, long(source));
                let short =
                    reading.and_then(|reading| reading.short.as_ref()).and_then(|short| fresh_value(tick, short).ok());
                (long, short)
            }
        };
        let raise_value = classified.value.map(|long| short.map_or(long, |short| long.max(short.get())));
        if tick.fresh && classified.state.is_full() {
            self.remember(tick, demand, classified.value, raise_value);
        } else if tick.fresh {
            self.gap_since = self.gap_since.or(self.last_full);
        }
        let failure = match (self.fallback, source) {
            (None, source) => self.sources.get(source).map_or(FailureState::Fallback, SourceHealth::state),
            // A source that answers again is the better news, whichever of the chain it is.
            (Some(_), _) if self.sources.iter().any(|source| source.state() == FailureState::Recovering) => {
                FailureState::Recovering
            }
            (Some(_), _) => FailureState::Fallback,
        };
        let signal = Signal {
            demand,
            state: classified.state,
            stood_in_for,
            value: classified.value,
            raise_value,
            age: classified.age,
            failure,
            source,
            fallback: self.fallback,
            before_rollout: self.before_rollout,
            collapsed_until: self.collapsed_until.filter(|until| tick.now < *until),
        };
        (signal, clear)
    }

    fn count(&mut self, tick: &Tick<'_>, readings: &[SourceReading]) -> bool {
        self.sources.resize_with(readings.len().max(1), SourceHealth::default);
        if !tick.fresh {
            return false;
        }
        let mut grace_began = false;
        for (index, source) in self.sources.iter_mut().enumerate() {
            let reading = readings.get(index);
            let answered = reading.is_some_and(|reading| fresh_value(tick, &reading.long).is_ok());
            let started = reading.and_then(|reading| reading.started);
            grace_began |= source.observe(tick.policy, tick.now, answered, started).grace_began;
        }
        grace_began
    }

    /// The source that counts: the first that is not down, else the first that answers again.
    fn choose(&self, tick: &Tick<'_>, readings: &[SourceReading]) -> Option<usize> {
        let up = |source: &SourceHealth| matches!(source.state(), FailureState::Healthy | FailureState::Failing);
        self.sources
            .iter()
            .position(up)
            .or_else(|| readings.iter().position(|reading| fresh_value(tick, &reading.long).is_ok()))
    }

    fn classify(&self, tick: &Tick<'_>, source: usize, sample: &Sample) -> Classified {
        let mut classified = classify(tick, sample);
        if let (Some(trust), Some(health)) = (trust_of(&classified.state), self.sources.get(source)) {
            classified.state = state_of(health.trust(tick.now, trust));
        }
        classified
    }

    fn remember(&mut self, tick: &Tick<'_>, demand: &Demand, long: Option<f64>, raise: Option<f64>) {
        let tunables = &tick.policy.tunables;
        if let Some(long) = long {
            let gap_since = self.gap_since.take().filter(|since| tick.now.since(*since) < tunables.collapse_hold);
            self.recent.expire(gap_since.unwrap_or(tick.now).minus(tunables.collapse_window));
            self.last_full = Some(tick.now);
            let fell = self.recent.max().is_some_and(|most| most > demand.activation && long < most / 2.0);
            if fell {
                self.collapsed_until = Some(tick.now.plus(tunables.collapse_hold));
            }
            self.recent.push(tick.now, long);
        }
        if let Some(raise) = raise {
            self.peak.expire(tick.now.minus(tunables.rollout_window));
            self.peak.push(tick.now, raise);
        }
    }

    /// A rollout has begun: what was asked for before it is remembered for its length.
    pub(crate) fn rollout_began(&mut self, policy: &Policy, now: Time) {
        self.peak.expire(now.minus(policy.tunables.rollout_window));
        self.before_rollout = self.peak.max();
    }

    /// Ticks were missed: what was remembered of demand has holes.
    pub(crate) fn lose_history(&mut self) {
        self.peak.clear();
        self.recent.clear();
    }
}

/// Counts the tick for the latency source and says what it says.
pub(crate) fn observe_latency(
    tick: &Tick<'_>,
    health: &mut SourceHealth,
    input: Option<&LatencyInput>,
) -> LatencySignal {
    let sample = input.map_or(&NO_DATA, |input| &input.sample);
    if tick.fresh {
        let answered = fresh_value(tick, sample).is_ok();
        health.observe(tick.policy, tick.now, answered, input.and_then(|input| input.started));
    }
    let mut classified = classify(tick, sample);
    if let Some(trust) = trust_of(&classified.state) {
        classified.state = state_of(health.trust(tick.now, trust));
    }
    let stale_after = tick.policy.stale_after(sample);
    LatencySignal { state: classified.state, value: classified.value, age: classified.age, stale_after }
}

/// The value of a sample, or the age that makes it too old. `Err(None)` where there is no value at all.
fn fresh_value(tick: &Tick<'_>, sample: &Sample) -> Result<Value, Option<Duration>> {
    let Sample::Value(value) = sample else { return Err(None) };
    match value.at().map(|at| tick.now.since(at)) {
        Some(age) if age > tick.policy.stale_after(sample) => Err(Some(age)),
        _ => Ok(*value),
    }
}

fn classify(tick: &Tick<'_>, sample: &Sample) -> Classified {
    let without_value = |state| Classified { state, value: None, age: None };
    match sample {
        Sample::Error(error) => without_value(SignalState::Error(error.clone())),
        Sample::Ambiguous { series, label } => without_value(SignalState::Ambiguous(*series, label.clone())),
        Sample::NoData => without_value(SignalState::NoData),
        Sample::SeriesNeverSeen => without_value(SignalState::SeriesNeverSeen),
        Sample::TooFewSamples { range } => without_value(SignalState::TooFewSamples(*range)),
        Sample::NotANumber(what) => without_value(SignalState::NotANumber(*what)),
        Sample::Stale { age } => Classified { state: SignalState::Stale(*age), value: None, age: Some(*age) },
        Sample::Value(_) => match fresh_value(tick, sample) {
            Ok(value) => Classified {
                state: state_of(value.trust()),
                value: Some(value.get()),
                age: value.at().map(|at| tick.now.since(at)),
            },
            Err(age) => Classified { state: SignalState::Stale(age.unwrap_or_default()), value: None, age },
        },
    }
}

fn state_of(trust: Trust) -> SignalState {
    match trust {
        Trust::Full => SignalState::Full,
        Trust::RaiseOnly(doubt) => SignalState::RaiseOnly(doubt),
    }
}

fn trust_of(state: &SignalState) -> Option<Trust> {
    match state {
        SignalState::Full => Some(Trust::Full),
        SignalState::RaiseOnly(doubt) => Some(Trust::RaiseOnly(*doubt)),
        _ => None,
    }
}
