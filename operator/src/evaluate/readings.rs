//! From the replies of servers to the samples of the decision core. Pure.

use super::plan::{AppPlan, Part, Role, SourcePlan};
use crate::prometheus::{api::differing_label, batch::Reply};
use decide::{
    DemandInput, Doubt, Duration, Latency, LatencyInput, Policy, Sample, SourceErrorKind, SourceReading, Time,
};
use std::collections::BTreeMap;

/// What one source was answered last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// When.
    pub at: Option<Time>,
    /// The replies of that tick.
    pub replies: BTreeMap<Part, Reply>,
    /// When the server started, where it says.
    pub started: Option<Time>,
    /// Whether the series has ever been seen, and when that was asked.
    pub seen: Option<(bool, Time)>,
    /// The bucket bounds in the metric's unit, and when they were asked.
    pub bounds: Option<(Vec<f64>, Time)>,
}

/// How long an answer to a seldom question holds (P).
const SELDOM: Duration = Duration::from_mins(10);
/// How long until a seldom question without an answer is asked again (P).
const AGAIN: Duration = Duration::from_mins(1);

impl Readings {
    /// Whether the bounds have to be asked for.
    pub fn wants_bounds(&self, now: Time) -> bool {
        match &self.bounds {
            None => true,
            Some((bounds, asked)) => now.since(*asked) >= if bounds.is_empty() { AGAIN } else { SELDOM },
        }
    }

    /// Whether it has to be asked if the series was ever seen: the value is missing, and that is not known yet.
    pub fn wants_seen(&self, now: Time) -> bool {
        let missing = matches!(self.replies.get(&Part::Long), Some(Ok(vector)) if vector.series.is_empty());
        let asked = self.seen.is_some_and(|(seen, at)| now.since(at) < if seen { SELDOM } else { AGAIN });
        missing && !asked
    }

    /// Takes over what a reply tells for longer than its tick: the answer to a seldom question, and that there is a series.
    pub fn learn(&mut self, part: Part, reply: &Reply, now: Time) {
        match (part, reply) {
            (Part::Long, Ok(vector)) if !vector.series.is_empty() => self.seen = Some((true, now)),
            (Part::Seen, Ok(vector)) => self.seen = Some((!vector.series.is_empty(), now)),
            // An expression that cannot be asked this way tells nothing.
            (Part::Seen, Err(_)) => self.seen = Some((true, now)),
            (Part::Bounds, Ok(vector)) => {
                let bounds = vector.series.iter().filter_map(|series| series.labels.get("le")?.parse().ok());
                self.bounds = Some((bounds.collect(), now));
            }
            (Part::Bounds, Err(_)) if self.bounds.is_none() => self.bounds = Some((Vec::new(), now)),
            _ => {}
        }
    }
}

/// The pods behind the figures.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// That are Ready.
    pub ready: u32,
    /// That were added lately.
    pub added: u32,
}

/// The demand and latency parts of the core's input. A source that has not been answered for longer than `patience`
/// counts as one that does not answer.
pub fn inputs(
    plan: &AppPlan,
    readings: &[Readings],
    policy: &Policy,
    now: Time,
    patience: Duration,
    serving: Serving,
) -> (Vec<DemandInput>, Option<LatencyInput>, Option<Sample>) {
    let none = Readings::default();
    let mut demand = vec![DemandInput::default(); policy.demand.len()];
    let (mut latency, mut error_share) = (None, None);
    for (i, source) in plan.sources.iter().enumerate() {
        let readings = readings.get(i).unwrap_or(&none);
        let sample = long(source, readings, now, patience);
        match source.role {
            Role::Demand(index) => {
                if error_share.is_none() {
                    error_share = share(readings, &sample);
                }
                if let Some(demand) = demand.get_mut(index) {
                    let short = short(readings, &sample, serving);
                    demand.sources.push(SourceReading { long: sample, short, started: readings.started });
                }
            }
            Role::Latency => {
                let resolvable = policy.latency.as_ref().is_none_or(|latency| resolves(source, readings, latency));
                latency = Some(LatencyInput { sample, resolvable, started: readings.started });
            }
        }
    }
    (demand, latency, error_share)
}

/// The sample that may lower.
fn long(source: &SourcePlan, readings: &Readings, now: Time, patience: Duration) -> Sample {
    if let Err(problem) = &source.server {
        return Sample::error(SourceErrorKind::Setup, problem.as_str());
    }
    let Some(reply) =
        readings.replies.get(&Part::Long).filter(|_| readings.at.is_some_and(|at| now.since(at) <= patience))
    else {
        return Sample::error(SourceErrorKind::Timeout, "no answer yet");
    };
    let at = match freshness(source, readings) {
        Ok(at) => at,
        Err(sample) if matches!(reply, Ok(vector) if vector.series.len() == 1) => return sample,
        Err(_) => None,
    };
    match reply {
        Err(error) => Sample::Error(error.clone()),
        Ok(vector) => match vector.series.as_slice() {
            [] if source.absent_is_zero && is_live(readings) => Sample::value(0.0, Some(now)),
            [] if readings.seen.is_some_and(|(seen, _)| !seen) => Sample::SeriesNeverSeen,
            [] => Sample::NoData,
            [one] if vector.partial => Sample::value(one.value, at).doubted(Doubt::PartialResponse),
            [one] => Sample::value(one.value, at),
            many => Sample::Ambiguous {
                series: u32::try_from(many.len()).unwrap_or(u32::MAX),
                label: differing_label(many).into(),
            },
        },
    }
}

/// The time of the newest raw sample; none where the user names no freshness selector.
fn freshness(source: &SourcePlan, readings: &Readings) -> Result<Option<Time>, Sample> {
    if !source.always.iter().any(|(part, _)| *part == Part::Freshness) {
        return Ok(None);
    }
    match readings.replies.get(&Part::Freshness) {
        None => Ok(None),
        Some(Err(error)) => Err(Sample::Error(error.clone())),
        Some(Ok(vector)) => match vector.series.first().and_then(|series| Time::from_secs_f64(series.value)) {
            Some(at) => Ok(Some(at)),
            // The series has ended, while its rate goes on for the length of its range.
            None => Err(Sample::NoData),
        },
    }
}

/// The sample that only raises; nothing else of it counts.
fn short(readings: &Readings, long: &Sample, serving: Serving) -> Option<Sample> {
    let Sample::Value(value) = long else { return None };
    match readings.replies.get(&Part::Short)? {
        Ok(vector) => match vector.series.as_slice() {
            [one] => Some(Sample::value(one.value + begun(readings, one.value, serving), value.at())),
            _ => Some(Sample::NoData),
        },
        Err(error) => Some(Sample::Error(error.clone())),
    }
}

/// What pods serve that have no rate yet. Load that has moved to them is gone from the `measured` rate of the others; without
/// this a rising load would look smaller just after pods were added for it. None counts as more than the others' mean, so
/// that requests which a pod sends to itself while it starts cannot call for more pods.
fn begun(readings: &Readings, measured: f64, serving: Serving) -> f64 {
    let Some(Ok(vector)) = readings.replies.get(&Part::Begun) else { return 0.0 };
    let others = serving.ready.saturating_sub(u32::try_from(vector.series.len()).unwrap_or(u32::MAX));
    if others == 0 {
        return 0.0;
    }
    let mean = measured / f64::from(others);
    let mut rates: Vec<f64> = vector.series.iter().map(|series| series.value).filter(|rate| *rate > 0.0).collect();
    rates.sort_by(f64::total_cmp);
    rates.into_iter().take(usize::try_from(serving.added).unwrap_or(0)).map(|rate| rate.min(mean)).sum()
}

fn is_live(readings: &Readings) -> bool {
    let live = readings.replies.get(&Part::Live).and_then(|reply| reply.as_ref().ok());
    live.is_some_and(|vector| vector.series.iter().any(|series| series.value >= 1.0))
}

/// Server errors of all answers; none without traffic.
fn share(readings: &Readings, long: &Sample) -> Option<Sample> {
    let Sample::Value(rate) = long else { return None };
    let errors = readings.replies.get(&Part::Errors)?.as_ref().ok()?;
    let errors: f64 = errors.series.iter().map(|series| series.value).sum();
    (rate.get() > 0.0).then(|| Sample::value((errors / rate.get()).min(1.0), rate.at()))
}

/// Whether the buckets can tell the budget. Bounds that are not known are not held against it.
fn resolves(source: &SourcePlan, readings: &Readings, latency: &Latency) -> bool {
    let Some((bounds, _)) = &readings.bounds else { return true };
    let unit = if source.milliseconds { 1000.0 } else { 1.0 };
    let seconds: Vec<f64> = bounds.iter().map(|bound| bound / unit).collect();
    seconds.is_empty() || latency.resolves(&seconds)
}
