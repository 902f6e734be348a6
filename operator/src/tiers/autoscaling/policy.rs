//! From the spec of an app to the policy of the decision core. Pure.

use super::{behavior, calendar, quantity};
use crds::{
    LearningPlatformSpec,
    prometheus::{Prometheus, Server},
    tiers::{
        app::App,
        autoscaling::{Autoscaling, Concurrency, Latency, Pause, RequestRate, Schedule, Source, Weekday, Weekly},
    },
};
use decide::{Bound, Demand, Duration, Policy, Time, Tunables, When};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::{collections::BTreeMap, fmt};

/// How often a server scrapes where `scrapeInterval` is silent.
pub const DEFAULT_SCRAPE_INTERVAL: Duration = Duration::from_secs(15);

/// Texts of the iCalendar files that schedules refer to, by name and key of their ConfigMap.
pub type Calendars = BTreeMap<(String, String), String>;

/// A field of the spec that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its path, as `spec.apps[web].autoscaling.requestRate.perPod`.
    pub field: String,
    /// What is wrong with it, and how to mend it.
    pub problem: String,
}

impl FieldError {
    /// The same error, its field below `path`.
    fn below(self, path: &str) -> Self {
        Self { field: format!("{path}.{}", self.field), ..self }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for FieldError {}

/// What a spec gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The policy; without the schedules that `world` is about.
    pub policy: Policy,
    /// What the spec refers to and the world does not hold, or holds in a form that cannot be used: calendars.
    pub world: Vec<FieldError>,
}

/// The policy of `app`, complete with defaults, as of `now` (calendars are expanded around it, see
/// [`calendar::HORIZON`], so map again at least daily).
///
/// # Errors
/// Every field that cannot be carried out, a calendar missing in `calendars` included.
pub fn policy(
    spec: &LearningPlatformSpec,
    app: &App,
    tunables: &Tunables,
    calendars: &Calendars,
    now: Time,
) -> Result<Policy, Vec<FieldError>> {
    let path = format!("spec.apps[{}].autoscaling", app.name);
    let absolute = |errors: Vec<FieldError>| errors.into_iter().map(|error| error.below(&path)).collect::<Vec<_>>();
    let Some(autoscaling) = &app.autoscaling else {
        let problem = "is missing: this app has a fixed number of pods".to_owned();
        return Err(vec![FieldError { field: path, problem }]);
    };
    let mapped = map(spec.prometheus.as_ref(), autoscaling, tunables, calendars, now).map_err(absolute)?;
    if mapped.world.is_empty() { Ok(mapped.policy) } else { Err(absolute(mapped.world)) }
}

/// As [`policy`], but a calendar that is missing or broken costs only its own schedule, and fields are named relative to
/// `autoscaling`.
///
/// # Errors
/// Every field of the spec itself that cannot be carried out.
pub fn map(
    prometheus: Option<&Prometheus>,
    autoscaling: &Autoscaling,
    tunables: &Tunables,
    calendars: &Calendars,
    now: Time,
) -> Result<Mapped, Vec<FieldError>> {
    let mut reader = Reader { errors: Vec::new() };
    let mut policy = Policy::new(count(autoscaling.min_replicas), count(autoscaling.max_replicas));
    policy.tunables = tunables.clone();
    if let Some(hold) = autoscaling.collapse_hold {
        policy.tunables.collapse_hold = std::time::Duration::from(hold).into();
    }
    policy.behavior = behavior::effective(autoscaling.behavior.as_ref());
    policy.fallback_replicas = autoscaling.fallback.as_ref().map(|fallback| count(fallback.replicas));
    policy.pause = pause(autoscaling.pause);

    let slowest = reader.intervals(prometheus, autoscaling).into_iter().max();
    policy.scrape_interval = slowest.unwrap_or(DEFAULT_SCRAPE_INTERVAL);
    policy.longest_range = policy.scrape_interval.times(tunables.long_range_scrapes);

    if let Some(rate) = &autoscaling.request_rate {
        let demand = reader.request_rate(rate);
        policy.demand.push(demand);
    }
    if let Some(concurrency) = &autoscaling.concurrency {
        let demand = reader.concurrency(concurrency);
        policy.demand.push(demand);
    }
    policy.latency = autoscaling.latency.as_ref().map(latency);

    let mut world = Vec::new();
    for schedule in &autoscaling.schedules {
        match reader.when(schedule, calendars, now) {
            Ok((when, limit)) => {
                reader.schedules(schedule, &when, &mut policy.schedules);
                world.extend(limit);
            }
            Err(Missing::World(error)) => world.push(error),
            Err(Missing::Spec(error)) => reader.errors.push(error),
        }
    }
    if reader.errors.is_empty()
        && let Err(error) = policy.validate()
    {
        let error = reader.error(&error.field, &format!("{}; {}", error.problem, error.remedy));
        reader.errors.push(error);
    }
    if reader.errors.is_empty() { Ok(Mapped { policy, world }) } else { Err(reader.errors) }
}

/// The server that a signal names; none where the resource says nothing about it.
///
/// # Errors
/// The name of a server that `spec.prometheus.servers` does not have.
pub fn server_of<'a>(prometheus: Option<&'a Prometheus>, name: Option<&str>) -> Result<Option<&'a Server>, String> {
    let Some(name) = name else { return Ok(prometheus.map(|prometheus| &prometheus.server)) };
    let servers = prometheus.map(|prometheus| prometheus.servers.as_slice()).unwrap_or_default();
    match servers.iter().find(|server| server.name == name) {
        Some(named) => Ok(Some(&named.server)),
        None => Err(format!("{name:?} is not in spec.prometheus.servers: add it there, or correct the name")),
    }
}

/// How often a server scrapes.
pub fn scrape_interval(server: Option<&Server>) -> Duration {
    server
        .and_then(|server| server.scrape_interval)
        .map_or(DEFAULT_SCRAPE_INTERVAL, |d| std::time::Duration::from(d).into())
}

/// Every source that an app's signals read, with the path of its field below `autoscaling`; demand first.
pub fn sources(autoscaling: &Autoscaling) -> Vec<(String, &Source)> {
    let mut all = Vec::new();
    let rate = autoscaling.request_rate.as_ref().map(|rate| ("requestRate", &rate.source, &rate.alternatives));
    let concurrency =
        autoscaling.concurrency.as_ref().map(|signal| ("concurrency", &signal.source, &signal.alternatives));
    for (name, primary, alternatives) in [rate, concurrency].into_iter().flatten() {
        all.push((name.to_owned(), primary));
        all.extend(alternatives.iter().enumerate().map(|(i, source)| (format!("{name}.alternatives[{i}]"), source)));
    }
    all.extend(autoscaling.latency.as_ref().map(|latency| ("latency".to_owned(), &latency.source)));
    all
}

/// What keeps a schedule from being used.
enum Missing {
    Spec(FieldError),
    World(FieldError),
}

/// Collects errors.
struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn error(&self, field: &str, problem: &str) -> FieldError {
        FieldError { field: field.to_owned(), problem: problem.to_owned() }
    }

    /// Scrape intervals of the servers in use.
    fn intervals(&mut self, prometheus: Option<&Prometheus>, autoscaling: &Autoscaling) -> Vec<Duration> {
        let mut intervals = Vec::new();
        for (field, source) in sources(autoscaling) {
            match server_of(prometheus, source.server.as_deref()) {
                Ok(server) => intervals.push(scrape_interval(server)),
                Err(problem) => {
                    let error = self.error(&format!("{field}.server"), &problem);
                    self.errors.push(error);
                }
            }
        }
        intervals
    }

    fn number(&mut self, field: &str, quantity: &Quantity) -> f64 {
        quantity::number(quantity).filter(|value| *value >= 0.0).unwrap_or_else(|| {
            let problem = format!("{:?} is not a quantity of at least 0: write it as 100, 0.5 or 500m", quantity.0);
            let error = self.error(field, &problem);
            self.errors.push(error);
            1.0
        })
    }

    fn positive(&mut self, field: &str, quantity: &Quantity) -> f64 {
        let number = self.number(field, quantity);
        if number > 0.0 {
            return number;
        }
        let error = self.error(field, "must be above 0: write a quantity such as 100 or 500m");
        self.errors.push(error);
        1.0
    }

    fn request_rate(&mut self, rate: &RequestRate) -> Demand {
        let mut demand = Demand::request_rate(self.positive("requestRate.perPod", &rate.per_pod));
        demand.constant = self.constant("requestRate", rate.constant.as_ref());
        self.demand(demand, "requestRate", rate.utilization, rate.activation.as_ref())
    }

    fn concurrency(&mut self, signal: &Concurrency) -> Demand {
        let mut demand = Demand::concurrency(self.positive("concurrency.perPod", &signal.per_pod));
        demand.constant = self.constant("concurrency", signal.constant.as_ref());
        self.demand(demand, "concurrency", signal.utilization, signal.activation.as_ref())
    }

    fn constant(&mut self, name: &str, constant: Option<&Quantity>) -> Option<f64> {
        constant.map(|constant| self.number(&format!("{name}.constant"), constant))
    }

    fn demand(
        &mut self,
        mut demand: Demand,
        name: &str,
        utilization: Option<i32>,
        activation: Option<&Quantity>,
    ) -> Demand {
        demand.utilization_percent = utilization.map_or(100, count);
        demand.activation = activation.map_or(0.0, |activation| self.number(&format!("{name}.activation"), activation));
        demand
    }

    /// When a schedule holds, and what of its calendar is left out.
    fn when(
        &self,
        schedule: &Schedule,
        calendars: &Calendars,
        now: Time,
    ) -> Result<(When, Option<FieldError>), Missing> {
        let field = format!("schedules[{}]", schedule.name);
        let zone = schedule.time_zone.as_deref();
        let spec = |problem: &str| Missing::Spec(self.error(&field, problem));
        if let Some(calendar) = &schedule.calendar {
            let reference = &calendar.config_map;
            let field = calendar::field(&schedule.name);
            let key = (reference.name.clone(), reference.key.clone());
            let text = calendars.get(&key).ok_or_else(|| {
                let problem = format!("the ConfigMap {} with the key {} does not exist: create it", key.0, key.1);
                Missing::World(self.error(&field, &problem))
            })?;
            let error = |problem: &str| self.error(&field, &format!("{} of {}: {problem}", key.1, key.0));
            let found = calendar::windows(text, zone, calendar.summary_contains.as_deref(), now)
                .map_err(|problem| Missing::World(error(&problem.to_string())))?;
            let too_many = (found.left_out > 0).then(|| {
                format!(
                    "{} windows lie ahead, and only the first {} count: set summaryContains, or remove events",
                    found.windows.len() + found.left_out,
                    found.windows.len()
                )
            });
            let unusable = found.problems.first().map(|problem| {
                let more = match found.problems.len() {
                    1 => String::new(),
                    many => format!(" (and {} more)", many - 1),
                };
                format!("{problem}{more}{}", if problem.leaves_out() { "; the other events count" } else { "" })
            });
            let told = unusable.or(too_many).map(|problem| error(&problem));
            return Ok((When::windows(found.windows), told));
        }
        let zone = zone.unwrap_or("UTC");
        if let Some(weekly) = &schedule.weekly {
            return weekly_window(weekly, zone).map(|when| (when, None)).map_err(|error| spec(&error.to_string()));
        }
        match (&schedule.start, &schedule.end) {
            (Some(start), Some(end)) => {
                When::once(start, end, zone).map(|when| (when, None)).map_err(|error| spec(&error.to_string()))
            }
            _ => Err(spec("set exactly one of start and end (once), weekly, and calendar")),
        }
    }

    /// One schedule of the spec; two of the core where it names both pods and a demand, of which the greater counts.
    fn schedules(&mut self, schedule: &Schedule, when: &When, into: &mut Vec<decide::Schedule>) {
        let ramp = schedule.ramp.map(|ramp| std::time::Duration::from(ramp).into());
        let pods = schedule.min_replicas.map(|pods| Bound::Replicas(count(pods)));
        let demand = self.expected(schedule).map(Bound::Demand);
        let made =
            |floor, cap| decide::Schedule { name: schedule.name.as_str().into(), when: when.clone(), floor, cap, ramp };
        into.push(made(pods.or(demand), schedule.max_replicas.map(|pods| Bound::Replicas(count(pods)))));
        if pods.is_some() && demand.is_some() {
            into.push(made(demand, None));
        }
    }

    fn expected(&mut self, schedule: &Schedule) -> Option<f64> {
        let expected = schedule.expected.as_ref()?;
        let field = |name: &str| format!("schedules[{}].expected.{name}", schedule.name);
        if let Some(rate) = &expected.requests_per_second {
            return Some(self.positive(&field("requestsPerSecond"), rate));
        }
        let (students, each) = (expected.students?, expected.requests_per_student.as_ref()?);
        Some(students as f64 * self.positive(&field("requestsPerStudent"), each))
    }
}

fn latency(latency: &Latency) -> decide::Latency {
    let name =
        latency.percentile.map_or_else(|| "latency mean".to_owned(), |percentile| format!("latency p{percentile}"));
    decide::Latency::new(&name, std::time::Duration::from(latency.budget).as_secs_f64())
}

fn weekly_window(weekly: &Weekly, zone: &str) -> Result<When, decide::ScheduleError> {
    let days: Vec<_> = weekly.days.iter().map(|day| weekday(*day)).collect();
    // Midnight at the end of a day is midnight at the beginning of the next.
    let end = if weekly.end == "24:00" { "00:00" } else { &weekly.end };
    When::weekly(&days, &weekly.start, end, zone, weekly.from.as_deref(), weekly.until.as_deref())
}

fn weekday(day: Weekday) -> decide::Weekday {
    match day {
        Weekday::Mon => decide::Weekday::Monday,
        Weekday::Tue => decide::Weekday::Tuesday,
        Weekday::Wed => decide::Weekday::Wednesday,
        Weekday::Thu => decide::Weekday::Thursday,
        Weekday::Fri => decide::Weekday::Friday,
        Weekday::Sat => decide::Weekday::Saturday,
        Weekday::Sun => decide::Weekday::Sunday,
    }
}

/// The spec's pause in the core's words.
pub(super) fn pause(pause: Option<Pause>) -> decide::Pause {
    match pause {
        None => decide::Pause::None,
        Some(Pause::ScaleIn) => decide::Pause::ScaleIn,
        Some(Pause::ScaleOut) => decide::Pause::ScaleOut,
        Some(Pause::All) => decide::Pause::All,
    }
}

fn count(replicas: i32) -> u32 {
    u32::try_from(replicas).unwrap_or(0)
}
