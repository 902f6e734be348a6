//! What demand signals say, worked out from the words of the design and not by the core: a source is down after three
//! failures in a row that span a minute, and up again after three values in a row once the grace is over.

use learningplatform_decide::*;

use super::{script::Seen, secs};

/// What a signal says at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// Which source counts; the number of sources stands for the constant.
    pub source: usize,
    /// The value over the long range, and the greater of both ranges.
    pub value: Option<(f64, f64)>,
    /// The value may lower.
    pub full: bool,
    /// Every source is down.
    pub down: bool,
}

/// The sources of all signals of a life.
#[derive(Default)]
pub struct Chains(Vec<Vec<Watch>>);

#[derive(Clone, Default)]
struct Watch {
    /// The ticks without a value since the last one with.
    failures: Vec<Time>,
    /// Values in a row.
    values: u32,
    grace_until: Option<Time>,
    started: Option<Time>,
    down: bool,
}

impl Chains {
    /// Takes the next tick; what each signal says at it.
    pub fn see(&mut self, seen: &Seen<'_>) -> Vec<Said> {
        let (now, input) = (seen.input.now, &seen.input.demand);
        self.0.resize_with(input.len(), Vec::new);
        let signals = self.0.iter_mut().zip(input).zip(&seen.policy.demand);
        signals
            .map(|((watches, input), demand)| {
                watches.resize_with(input.sources.len(), Watch::default);
                watches.iter_mut().zip(&input.sources).for_each(|(watch, reading)| watch.see(now, reading));
                said(watches, &input.sources, demand.constant, now)
            })
            .collect()
    }
}

fn said(watches: &[Watch], readings: &[SourceReading], constant: Option<f64>, now: Time) -> Said {
    let down = watches.iter().all(|watch| watch.down);
    let up = watches.iter().position(|watch| !watch.down);
    let answering = || readings.iter().position(|reading| fresh(&reading.long, now).is_some());
    let Some(source) = up.or_else(answering) else {
        let source = if constant.is_some() { readings.len() } else { 0 };
        return Said { source, value: constant.map(|constant| (constant, constant)), full: false, down };
    };
    let (watch, reading) = (&watches[source], &readings[source]);
    let Some(long) = fresh(&reading.long, now) else { return Said { source, value: None, full: false, down } };
    let short = reading.short.as_ref().and_then(|short| fresh(short, now));
    let raise = short.map_or(long.get(), |short| long.get().max(short.get()));
    let full = long.trust() == Trust::Full && !watch.down && !watch.in_grace(now);
    Said { source, value: Some((long.get(), raise)), full, down }
}

impl Watch {
    fn see(&mut self, now: Time, reading: &SourceReading) {
        let answered = fresh(&reading.long, now).is_some();
        let restarted = self.started.zip(reading.started).is_some_and(|(known, started)| started > known);
        self.started = self.started.max(reading.started);
        if restarted || (answered && self.failures.len() >= 3) {
            self.grace_until = Some(now.plus(secs(60)));
        }
        if answered {
            self.failures.clear();
            self.values += 1;
        } else {
            self.failures.push(now);
            self.values = 0;
        }
        if self.failures.len() >= 3 && now.since(self.failures[0]) >= secs(60) {
            self.down = true;
        }
        if self.values >= 3 && !self.in_grace(now) {
            self.down = false;
        }
    }

    fn in_grace(&self, now: Time) -> bool {
        self.grace_until.is_some_and(|until| now < until)
    }
}

/// A value that is no older than three scrapes.
fn fresh(sample: &Sample, now: Time) -> Option<Value> {
    match sample {
        Sample::Value(value) if value.at().is_none_or(|at| now.since(at) <= secs(45)) => Some(*value),
        _ => None,
    }
}
