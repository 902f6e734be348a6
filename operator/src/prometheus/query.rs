//! The default queries: what is asked of a server for a signal, for one app or for many in one expression. Pure.

use super::{
    preset::{self, Measure, Shape, Workload},
    promql::{equalities, matcher, quoted, selector},
};
use crds::tiers::autoscaling::{Histogram, Preset, Unit};
use decide::{Duration, Time};
use std::collections::BTreeMap;

/// Everything of a default query but whose series and over which range: apps with the same template share queries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template {
    /// What is measured.
    pub signal: Signal,
    /// Whose labels are used.
    pub preset: Preset,
    /// Name of the metric, of a histogram without `_bucket`.
    pub metric: String,
    /// The server's further matchers.
    pub matchers: BTreeMap<String, String>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Requests per second.
    Rate,
    /// Requests in flight.
    InFlight,
    /// A percentile of a histogram of durations.
    Percentile {
        /// 1 to 99.
        percentile: u8,
        /// A native histogram.
        native: bool,
        /// The metric is in milliseconds.
        milliseconds: bool,
    },
    /// The mean of a histogram of durations.
    Mean {
        /// A native histogram.
        native: bool,
        /// The metric is in milliseconds.
        milliseconds: bool,
    },
    /// Server errors per second.
    Errors,
}

/// What is asked about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Its value; of counters and histograms over this range.
    Value(Duration),
    /// Its value over a short range, for raising. A counter that stood still and then moved once within the long range is
    /// left out: an exporter that refreshes seldom would show many times its rate in the moment it does. A counter of a
    /// pod that has just begun counts from its second sample on; until then [`Template::begun`] tells of it.
    Raise {
        /// The range.
        short: Duration,
        /// Where a counter must have moved more than once, if it has been there.
        long: Duration,
    },
    /// The time of its newest raw sample, in seconds since 1970.
    Freshness,
    /// How many of its targets are up.
    Live,
    /// Whether it had samples within this time.
    Seen(Duration),
    /// The bounds of its buckets, one series each, in the label `le`.
    Bounds,
}

/// Which series.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Those of workloads, told apart by identity labels.
    Workloads(&'a [&'a Workload]),
    /// Those that the user's labels select, as one.
    Labels(&'a BTreeMap<String, String>),
}

impl Template {
    /// Whether this question makes sense for the signal.
    pub fn answers(&self, question: Question) -> bool {
        match question {
            Question::Raise { .. } => self.signal == Signal::Rate,
            Question::Bounds => matches!(self.signal, Signal::Percentile { native: false, .. }),
            _ => true,
        }
    }

    /// The expression.
    pub fn expression(&self, question: Question, subject: Subject<'_>) -> String {
        let preset = self.preset;
        if question == Question::Live && !preset::in_pods(preset) {
            // What speaks for the app is not the app: any series of the exporter shows that it is up.
            let metric = format!("{}{}", self.metric, self.counter());
            return format!("count({})", selector(&metric, &equalities(&self.matchers)));
        }
        let shapes = match subject {
            Subject::Workloads(workloads) => preset::shapes(preset, workloads),
            Subject::Labels(labels) => vec![Shape { select: equalities(labels), relabel: Vec::new(), identity: &[] }],
        };
        let parts: Vec<String> = shapes.iter().map(|shape| self.of_shape(question, shape)).collect();
        parts.join(" or ")
    }

    fn of_shape(&self, question: Question, shape: &Shape) -> String {
        match question {
            Question::Value(range) => self.value(shape, range),
            Question::Raise { short, long } => self.aggregate("sum", shape, false, |more| {
                let raw = self.raw(shape, "", more);
                format!(
                    "rate({raw}[{short}]) unless (changes({raw}[{long}]) == 1 and count_over_time({raw}[{long}]) > 2)"
                )
            }),
            Question::Freshness => self
                .aggregate("max", shape, false, |more| format!("timestamp({})", self.raw(shape, self.counter(), more))),
            Question::Live => {
                let up = selector("up", &[shape.select.clone(), equalities(&self.matchers)].concat());
                aggregated("count", shape, false, &format!("{up} == 1"))
            }
            Question::Seen(range) => self.aggregate("count", shape, false, |more| {
                format!("present_over_time({}[{range}])", self.raw(shape, self.counter(), more))
            }),
            Question::Bounds => self.aggregate("group", shape, true, |more| self.raw(shape, "_bucket", more)),
        }
    }

    fn value(&self, shape: &Shape, range: Duration) -> String {
        let rate = |suffix: &str, buckets: bool| {
            self.aggregate("sum", shape, buckets, |more| format!("rate({}[{range}])", self.raw(shape, suffix, more)))
        };
        match self.signal {
            Signal::Rate => rate("", false),
            Signal::Errors => {
                let each = preset::server_errors(self.preset).iter();
                let each = each.map(|error| format!("rate({}[{range}])", self.raw(shape, "", &[error])));
                aggregated("sum", shape, false, &each.collect::<Vec<_>>().join(" or "))
            }
            Signal::InFlight => self.aggregate("sum", shape, false, |more| self.raw(shape, "", more)),
            Signal::Percentile { percentile, native, milliseconds } => {
                let buckets = if native { rate("", false) } else { rate("_bucket", true) };
                let quantile = f64::from(percentile) / 100.0;
                format!("histogram_quantile({quantile}, {buckets}){}", in_seconds(milliseconds))
            }
            Signal::Mean { native: true, milliseconds } => {
                let rates = rate("", false);
                format!("histogram_sum({rates}) / histogram_count({rates}){}", in_seconds(milliseconds))
            }
            Signal::Mean { native: false, milliseconds } => {
                format!("{} / {}{}", rate("_sum", false), rate("_count", false), in_seconds(milliseconds))
            }
        }
    }

    /// `inner` with the signal's own matchers, aggregated by identity.
    fn aggregate(&self, by: &str, shape: &Shape, buckets: bool, inner: impl Fn(&[&str]) -> String) -> String {
        let durations = matches!(self.signal, Signal::Percentile { .. } | Signal::Mean { .. });
        let more: &[&str] = if durations { preset::no_long_lived(self.preset) } else { &[] };
        aggregated(by, shape, buckets, &inner(more))
    }

    /// The raw selector.
    fn raw(&self, shape: &Shape, suffix: &str, more: &[&str]) -> String {
        let mut matchers = shape.select.clone();
        matchers.extend(more.iter().map(|matcher| (*matcher).to_owned()));
        matchers.extend(equalities(&self.matchers));
        selector(&format!("{}{suffix}", self.metric), &matchers)
    }

    /// The series of a classic histogram that has a sample for each scrape.
    fn counter(&self) -> &'static str {
        match self.signal {
            Signal::Percentile { native: false, .. } | Signal::Mean { native: false, .. } => "_count",
            _ => "",
        }
    }
}

/// A pod that has just begun to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its name.
    pub name: String,
    /// Since when it is Ready.
    pub at: Time,
}

impl Template {
    /// Requests per second of each of these pods of the app itself since it is Ready, as long as its counter has no second
    /// sample within `short`: what a counter shows that began with its pod is what the pod has served. Over less than the
    /// time between two scrapes (half of `short`) it is spread, as the rates of the other pods are: those still hold the time
    /// before this pod took its share, and together they would be more than was ever asked for.
    pub fn begun(&self, namespace: &str, pods: &[Begun], short: Duration) -> String {
        let raw = |matcher: String| {
            let own = vec![format!("namespace={}", quoted(namespace)), matcher];
            selector(&self.metric, &[own, equalities(&self.matchers)].concat())
        };
        let least = short.as_secs_f64() / 2.0;
        let since = |pod: &Begun| {
            let raw = raw(format!("pod={}", quoted(&pod.name)));
            format!("{raw} / clamp_min(timestamp({raw}) - {}, {least})", pod.at.as_millis() / 1000)
        };
        let all = raw(matcher("pod", pods.iter().map(|pod| pod.name.as_str())));
        let each: Vec<String> = pods.iter().map(since).collect();
        format!("sum by (pod) (({}) unless rate({all}[{short}]))", each.join(" or "))
    }
}

/// The signal of a latency.
pub fn latency_signal(
    preset: Preset,
    percentile: Option<i32>,
    histogram: Option<Histogram>,
    unit: Option<Unit>,
) -> Signal {
    let native = histogram == Some(Histogram::Native);
    let milliseconds = unit.map_or(preset::in_milliseconds(preset), |unit| unit == Unit::Milliseconds);
    match percentile.and_then(|percentile| u8::try_from(percentile).ok()) {
        Some(percentile) => Signal::Percentile { percentile, native, milliseconds },
        None => Signal::Mean { native, milliseconds },
    }
}

/// What a signal measures, by preset.
pub fn default_metric(preset: Preset, signal: Signal) -> Option<&'static str> {
    let measure = match signal {
        Signal::Rate => Measure::Requests,
        Signal::InFlight => Measure::InFlight,
        Signal::Percentile { .. } | Signal::Mean { .. } => Measure::Duration,
        Signal::Errors => Measure::Answers,
    };
    preset::metric(preset, measure)
}

fn in_seconds(milliseconds: bool) -> &'static str {
    if milliseconds { " / 1000" } else { "" }
}

fn aggregated(by: &str, shape: &Shape, buckets: bool, inner: &str) -> String {
    let relabelled = shape.relabel.iter().fold(inner.to_owned(), |inner, (target, replacement, source, expression)| {
        let expression = quoted(expression);
        format!(r#"label_replace({inner}, "{target}", "{replacement}", "{source}", {expression})"#)
    });
    let mut labels: Vec<&str> = shape.identity.to_vec();
    labels.extend(buckets.then_some("le"));
    if labels.is_empty() {
        format!("{by}({relabelled})")
    } else {
        format!("{by} by ({}) ({relabelled})", labels.join(", "))
    }
}
