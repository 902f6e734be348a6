//! From the replies of servers to the samples of the decision core. Pure.

use super::plan::{AppPlan, Part, Role, SourcePlan};
use crate::prometheus::{api::differing_label, batch::Reply};
use decide::{
    DemandInput, Doubt, Duration, Latency, LatencyInput, Policy, Sample, SourceError, SourceErrorKind, SourceReading,
    Time,
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
        let sample = long(source, readings, now, patience).scraped_every(source.scrape_interval);
        match source.role {
            Role::Demand(index) => {
                if error_share.is_none() {
                    error_share = share(readings, &sample);
                }
                if let Some(demand) = demand.get_mut(index) {
                    let short = short(readings, &sample, serving).map(|s| s.scraped_every(source.scrape_interval));
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
        return failed(source, SourceError::new(SourceErrorKind::Timeout, "no answer yet"));
    };
    let at = match freshness(source, readings) {
        Ok(at) => at,
        Err(sample) if matches!(reply, Ok(vector) if vector.series.len() == 1) => return sample,
        Err(_) => None,
    };
    match reply {
        Err(error) => failed(source, error.clone()),
        Ok(vector) => match vector.series.as_slice() {
            // Before zero: what is there is not absent.
            [] if at.is_some()
                && let Some(range) = rate_over(source, readings) =>
            {
                Sample::TooFewSamples { range }
            }
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

/// The range over which the value is a rate of series that are there; buckets are not there of every histogram.
fn rate_over(source: &SourcePlan, readings: &Readings) -> Option<Duration> {
    let has_buckets = readings.bounds.as_ref().is_some_and(|(bounds, _)| !bounds.is_empty());
    source.rate_over.filter(|_| source.bounds.is_none() || has_buckets)
}

/// A failure, with the server that it is of.
fn failed(source: &SourcePlan, error: SourceError) -> Sample {
    Sample::Error(error.of(source.called.clone()))
}

/// The time of the newest raw sample; none where the user names no freshness selector.
fn freshness(source: &SourcePlan, readings: &Readings) -> Result<Option<Time>, Sample> {
    if !source.always.iter().any(|(part, _)| *part == Part::Freshness) {
        return Ok(None);
    }
    match readings.replies.get(&Part::Freshness) {
        None => Ok(None),
        Some(Err(error)) => Err(failed(source, error.clone())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evaluate::plan::{ServerSettings, plan},
        naming::AppKey,
        prometheus::{Series, Vector},
    };
    use decide::Tunables;
    use serde_json::{Value, json};

    const NOW: Time = Time::from_secs(1_800_000_000);

    /// The plan of an app with these signals, where the server `slow` scrapes once a minute.
    fn planned(autoscaling: Value) -> AppPlan {
        let slow = json!([{"name": "slow", "url": "http://slow", "scrapeInterval": "1m"}]);
        let prometheus = serde_json::from_value(json!({"url": "http://fast", "servers": slow})).unwrap();
        let mut spec = json!({"minReplicas": 1, "maxReplicas": 9});
        spec.as_object_mut().unwrap().extend(autoscaling.as_object().unwrap().clone());
        let spec = serde_json::from_value(spec).unwrap();
        let key = AppKey { namespace: "learning".into(), platform: "story".into(), app: "web".into() };
        plan(&key, &spec, Some(&prometheus), &ServerSettings::default(), &Tunables::default()).unwrap()
    }

    fn answered(parts: &[(Part, Option<f64>)]) -> Readings {
        let reply = |value: Option<f64>| {
            Ok(Vector::from(value.map(|value| Series::new([], value)).into_iter().collect::<Vec<_>>()))
        };
        let replies = parts.iter().map(|(part, value)| (*part, reply(*value))).collect();
        Readings { at: Some(NOW), replies, ..Readings::default() }
    }

    fn interval(sample: &Sample) -> u64 {
        let Sample::Value(value) = sample else { panic!("{sample:?}") };
        value.scrape_interval().unwrap().as_millis() / 1000
    }

    #[test]
    fn every_value_carries_the_interval_of_its_own_server() {
        let plan = planned(json!({
            "requestRate": {"perPod": 10, "alternatives": [{"server": "slow"}]},
            "latency": {"percentile": 95, "budget": "200ms", "server": "slow"},
        }));
        let now = NOW.as_millis() as f64 / 1000.0;
        let readings =
            vec![answered(&[(Part::Long, Some(5.0)), (Part::Short, Some(6.0)), (Part::Freshness, Some(now))]); 3];
        let mut policy = Policy::new(1, 9);
        policy.demand = vec![decide::Demand::request_rate(10.0)];
        let serving = Serving { ready: 1, added: 0 };
        let (demand, latency, _) = inputs(&plan, &readings, &policy, NOW, Duration::ZERO, serving);
        let of_demand: Vec<_> = demand[0]
            .sources
            .iter()
            .map(|reading| (interval(&reading.long), reading.short.as_ref().map(interval)))
            .collect();
        assert_eq!(of_demand, [(15, Some(15)), (60, Some(60))]);
        assert_eq!(interval(&latency.unwrap().sample), 60);
    }

    #[test]
    fn a_series_with_too_few_samples_for_a_rate_is_told_from_none() {
        let now = Some(NOW.as_millis() as f64 / 1000.0);
        let rate = |source: Value| json!({"requestRate": source});
        let latency =
            |how: &str| json!({"latency": {how: if how == "mean" { json!(true) } else { json!(95) }, "budget": "1s"}});
        let too_few = |seconds| Sample::TooFewSamples { range: Duration::from_secs(seconds) };
        let buckets = Some((vec![0.1], NOW));
        let table = [
            (rate(json!({"perPod": 1})), now, None, too_few(60)),
            (rate(json!({"perPod": 1, "server": "slow"})), now, None, too_few(240)),
            (rate(json!({"perPod": 1})), None, None, Sample::NoData),
            // What is there is not absent, so it is not zero either.
            (rate(json!({"perPod": 1, "absentMeans": "Zero"})), now, None, too_few(60)),
            (rate(json!({"perPod": 1, "absentMeans": "Zero"})), None, None, Sample::value(0.0, Some(NOW))),
            // What an expression of the user's own takes is not known.
            (rate(json!({"perPod": 1, "query": "sum(x)", "freshness": "x"})), now, None, Sample::NoData),
            (json!({"concurrency": {"perPod": 1}}), now, None, Sample::NoData),
            (latency("percentile"), now, buckets, too_few(60)),
            (latency("percentile"), now, None, Sample::NoData),
            (latency("mean"), now, None, too_few(60)),
        ];
        for (spec, newest, bounds, expected) in table {
            let mut readings = answered(&[(Part::Long, None), (Part::Freshness, newest), (Part::Live, Some(1.0))]);
            readings.bounds = bounds;
            let sample = long(&planned(spec.clone()).sources[0], &readings, NOW, Duration::ZERO);
            assert_eq!(sample, expected, "{spec}, newest sample {newest:?}");
        }
        // That nothing had ever been seen was true a minute ago.
        let mut readings = answered(&[(Part::Long, None), (Part::Freshness, now)]);
        readings.seen = Some((false, NOW));
        let plan = planned(rate(json!({"perPod": 1})));
        assert_eq!(long(&plan.sources[0], &readings, NOW, Duration::ZERO), too_few(60));
    }
}
