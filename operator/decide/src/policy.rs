//! What the user asked for.

use std::sync::Arc;

use serde::Serialize;

use crate::behavior::{Behavior, SelectPolicy};
use crate::sample::Sample;
use crate::schedule::{Bound, Schedule};
use crate::time::Duration;
use crate::tunables::Tunables;

/// A name: cheap to copy into every decision.
pub type Name = Arc<str>;

/// The scaling policy of one app, complete: defaults are filled in.
///
/// [`Policy::validate`] names what cannot work; [`decide`](crate::decide) is total for a policy that fails it, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Least pods; 0 allows scaling to zero.
    pub min_replicas: u32,
    /// Most pods.
    pub max_replicas: u32,
    /// Signals that size the app; the greatest wins. Empty where only cpu, memory or schedules scale.
    pub demand: Vec<Demand>,
    /// The latency budget, if any.
    pub latency: Option<Latency>,
    /// How fast floor and cap may move.
    pub behavior: Behavior,
    /// Planned floors and caps.
    pub schedules: Vec<Schedule>,
    /// At least this many pods while a demand signal is in fallback.
    pub fallback_replicas: Option<u32>,
    /// Which writes are suppressed.
    pub pause: Pause,
    /// How often the slowest of the sources scrapes. Default 15 s. Samples may tell that theirs scrapes more often, see
    /// [`Sample::scraped_every`](crate::Sample::scraped_every).
    pub scrape_interval: Duration,
    /// The longest range of any query, which is how long a source needs to fill its rates again. Default four scrapes.
    pub longest_range: Duration,
    /// The project's constants.
    pub tunables: Tunables,
}

/// A demand signal: something that grows with load and is shared by the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// How explanations call it, such as `requestRate`.
    pub name: Name,
    /// Its unit in explanations, such as `requests/s`.
    pub unit: &'static str,
    /// Target per pod, as the HPA's `AverageValue`. Finite and above zero.
    pub per_pod: f64,
    /// Share of `per_pod` to plan with, in percent, 1 to 100. Default 100.
    pub utilization_percent: u32,
    /// At or below this the app is idle. Default 0.
    pub activation: f64,
    /// It counts what is being served, which grows with latency by itself, and not what was completed.
    pub in_flight: bool,
    /// The last source of the chain: a demand to assume when no source answers. It may raise but not lower.
    pub constant: Option<f64>,
}

/// A latency budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// How explanations call it, such as `latency p95`.
    pub name: Name,
    /// The budget in seconds. Finite and above zero.
    pub budget: f64,
}

/// Which writes are suppressed. Sampling, deciding and explaining go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Pause {
    /// None.
    #[default]
    None,
    /// Nothing is scaled in.
    ScaleIn,
    /// Nothing is scaled out.
    ScaleOut,
    /// Neither.
    All,
}

/// A field of a [`Policy`] that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {remedy}")]
pub struct PolicyError {
    /// The field in the resource's words, such as `requestRate.perPod`.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// How to mend it.
    pub remedy: &'static str,
}

impl Policy {
    /// A policy of `min` to `max` pods with every other field at its default and no signal.
    pub fn new(min: u32, max: u32) -> Self {
        let tunables = Tunables::default();
        let scrape_interval = Duration::from_secs(15);
        Self {
            min_replicas: min,
            max_replicas: max,
            demand: Vec::new(),
            latency: None,
            behavior: Behavior::default(),
            schedules: Vec::new(),
            fallback_replicas: None,
            pause: Pause::None,
            scrape_interval,
            longest_range: scrape_interval.times(tunables.long_range_scrapes),
            tunables,
        }
    }

    /// Checks what a caller may have got wrong.
    ///
    /// # Errors
    /// The first field that cannot work, with its remedy.
    pub fn validate(&self) -> Result<(), PolicyError> {
        if self.max_replicas == 0 || self.min_replicas > self.max_replicas {
            return Err(PolicyError {
                field: "maxReplicas".into(),
                problem: format!("{} is below minReplicas {} or zero", self.max_replicas, self.min_replicas),
                remedy: "set maxReplicas to at least minReplicas and at least 1",
            });
        }
        for demand in &self.demand {
            demand.validate()?;
        }
        if let Some(latency) = &self.latency
            && !is_positive(latency.budget)
        {
            return Err(PolicyError {
                field: "latency.budget".into(),
                problem: format!("{} s is not a positive time", latency.budget),
                remedy: "give a budget such as 200ms",
            });
        }
        for (direction, rules) in [("scaleUp", &self.behavior.up), ("scaleDown", &self.behavior.down)] {
            let empty = rules.policies.is_empty() && rules.select != SelectPolicy::Disabled;
            if empty || rules.policies.iter().any(|policy| policy.value == 0 || policy.period == Duration::ZERO) {
                return Err(PolicyError {
                    field: format!("behavior.{direction}.policies"),
                    problem: "no policy, or one whose value or period is zero".into(),
                    remedy: "give every policy a value and a period above zero, or use selectPolicy: Disabled",
                });
            }
        }
        for schedule in &self.schedules {
            let bounds = [schedule.floor, schedule.cap];
            if self.demand.is_empty() && bounds.iter().flatten().any(|bound| matches!(bound, Bound::Demand(_))) {
                return Err(PolicyError {
                    field: format!("schedules[{}]", schedule.name),
                    problem: "an expected demand needs a demand signal to convert it into pods".into(),
                    remedy: "add requestRate.perPod, or give the schedule replicas instead",
                });
            }
        }
        Ok(())
    }

    /// The age at which a sample is too old.
    pub(crate) fn stale_after(&self, sample: &Sample) -> Duration {
        sample.scrape_interval().unwrap_or(self.scrape_interval).times(self.tunables.stale_scrapes)
    }

    /// How long values only raise after their source restarted.
    pub(crate) fn source_grace(&self) -> Duration {
        self.longest_range.max(self.scrape_interval.times(2))
    }
}

impl Demand {
    /// Requests per second, `per_pod` of them per pod.
    pub fn request_rate(per_pod: f64) -> Self {
        Self::new("requestRate", "requests/s", per_pod)
    }

    /// Requests in flight, `per_pod` of them per pod.
    pub fn concurrency(per_pod: f64) -> Self {
        Self { in_flight: true, ..Self::new("concurrency", "requests in flight", per_pod) }
    }

    fn new(name: &str, unit: &'static str, per_pod: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            per_pod,
            utilization_percent: 100,
            activation: 0.0,
            in_flight: false,
            constant: None,
        }
    }

    /// What a pod is planned to carry: `per_pod` lowered by `utilization_percent`.
    pub fn planned_per_pod(&self) -> f64 {
        self.per_pod * f64::from(self.utilization_percent) / 100.0
    }

    fn validate(&self) -> Result<(), PolicyError> {
        let error = |field: &str, value: String, remedy| {
            Err(PolicyError { field: format!("{}.{field}", self.name), problem: value, remedy })
        };
        if !is_positive(self.per_pod) {
            return error(
                "perPod",
                format!("{} is not above zero", self.per_pod),
                "say how much one pod carries, such as 100",
            );
        }
        if !(1..=100).contains(&self.utilization_percent) {
            return error("utilization", format!("{} %", self.utilization_percent), "give a percentage from 1 to 100");
        }
        for (field, value) in [("activation", Some(self.activation)), ("constant", self.constant)] {
            if value.is_some_and(|value| !value.is_finite() || value < 0.0) {
                return error(
                    field,
                    format!("{value:?} is not a number of at least zero"),
                    "give a number of at least zero",
                );
            }
        }
        Ok(())
    }
}

impl Latency {
    /// A budget in seconds for `name`.
    pub fn new(name: &str, budget: f64) -> Self {
        Self { name: name.into(), budget }
    }

    /// Whether a classic histogram with these bucket bounds (seconds, as its `le` labels) can tell this budget from its
    /// neighbours: some finite bound lies within a factor of two of it. A unit other than seconds fails this too.
    pub fn resolves(&self, bounds: &[f64]) -> bool {
        bounds.iter().any(|&bound| bound >= self.budget / 2.0 && bound <= self.budget * 2.0)
    }
}

impl Pause {
    /// Both one-way pauses together are [`Pause::All`].
    pub fn of(scale_in: bool, scale_out: bool) -> Self {
        match (scale_in, scale_out) {
            (true, true) => Self::All,
            (true, false) => Self::ScaleIn,
            (false, true) => Self::ScaleOut,
            (false, false) => Self::None,
        }
    }

    /// Whether scaling in is suppressed.
    pub fn stops_in(self) -> bool {
        matches!(self, Self::ScaleIn | Self::All)
    }

    /// Whether scaling out is suppressed.
    pub fn stops_out(self) -> bool {
        matches!(self, Self::ScaleOut | Self::All)
    }
}

fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}
