//! From a file with platforms to the app that is replayed.

use crate::manifests;
use anyhow::{Context, Result, anyhow, bail};
use crds::{
    HOLD_ANNOTATION_PREFIX, LearningPlatform,
    status::Hold,
    tiers::{
        app::App,
        autoscaling::{Autoscaling, MeasuredAt, Preset, ResourceTarget},
    },
};
use decide::{Duration, ManualHold, Policy, Time, Tunables};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use operator::{
    context::Settings,
    tiers::autoscaling::{Calendars, FieldError, has_metric, policy, quantity},
    validate,
};
use replay::{
    RollingUpdate, Subject,
    trace::{Clock, Series, Trace},
};
use serde_json::Value;
use std::collections::BTreeSet;

const DAY: Duration = Duration::from_mins(24 * 60);

/// Before this many seconds after 1970 (2001-09-09) a time is taken for a relative one.
const RELATIVE_BEFORE: Time = Time::from_secs(1_000_000_000);

/// An app in a file.
#[derive(Debug)]
pub struct Found {
    platform: LearningPlatform,
    app: App,
    /// How it scales.
    pub autoscaling: Autoscaling,
    calendars: Calendars,
    file: String,
}

/// What is asked of the replay of an app.
#[derive(Clone, Debug)]
pub struct Options {
    /// The constants of the decision core.
    pub tunables: Tunables,
    /// Milliseconds from the trace's time to wall-clock time.
    pub shift: i64,
    /// Whether latency is modelled, so that the trace need not record it.
    pub latency_modelled: bool,
}

impl Options {
    /// A time of the trace as wall-clock time.
    fn clock(&self, time: Time) -> Time {
        Time::from_millis(time.as_millis().saturating_add(self.shift))
    }
}

/// Whether the times of a trace, which begins at `start`, are no real ones.
fn is_relative(trace: &Trace, start: Time) -> bool {
    trace.clock == Clock::Seconds && start < RELATIVE_BEFORE
}

/// Which platform of a file is meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The one in this namespace; one that names none may be in any.
    pub namespace: Option<&'a str>,
    /// The one of this name.
    pub platform: Option<&'a str>,
    /// Rather the one that is called as this is.
    pub like: Option<&'a Found>,
}

/// The app called `app` in the text of the file called `file`, of the platform that is wanted, which is the only one that has
/// the app where nothing else is said.
///
/// # Errors
/// Everything that is wrong with the file, what it has instead of what was looked for, and what the operator would refuse.
pub fn find(file: &str, text: &str, wanted: Wanted<'_>, app: &str) -> Result<Found> {
    let all = manifests::platforms(text).with_context(|| format!("{file} is not as it should be"))?;
    if all.is_empty() {
        bail!("{file}: holds no LearningPlatform: write one with `lpctl init`");
    }
    let is_there =
        |it: &&LearningPlatform| wanted.namespace.is_none_or(|ours| namespace_of(it).is_none_or(|its| its == ours));
    let mut chosen: Vec<&LearningPlatform> = all.iter().filter(is_there).collect();
    if chosen.is_empty() {
        let namespaces: BTreeSet<&str> = all.iter().filter_map(namespace_of).collect();
        bail!(
            "{file}: has no platform in namespace {:?}: use --namespace with one of {}",
            wanted.namespace.unwrap_or_default(),
            Vec::from_iter(namespaces).join(", ")
        );
    }
    let there = names(&chosen);
    chosen.retain(|it| wanted.platform.is_none_or(|name| name_of(it) == name));
    if chosen.is_empty() {
        bail!("{file}: has no platform {:?}: use --platform with one of {there}", wanted.platform.unwrap_or_default());
    }
    let apps: Vec<&str> = chosen.iter().flat_map(|it| &it.spec.apps).map(|app| app.name.as_str()).collect();
    chosen.retain(|it| it.spec.apps.iter().any(|it| it.name == app));
    if let Some(like) = wanted.like.map(|found| &found.platform) {
        prefer(&mut chosen, |it| name_of(it) == name_of(like));
        prefer(&mut chosen, |it| namespace_of(it) == namespace_of(like));
    }
    let [platform] = chosen[..] else {
        if chosen.is_empty() {
            let hint = if apps.is_empty() {
                "it has none".into()
            } else {
                format!("use --app with one of {}", apps.join(", "))
            };
            bail!("{file}: has no app {app:?}: {hint}");
        }
        let flags = if share_names(&chosen) { "--namespace and --platform" } else { "--platform" };
        let (count, names) = (chosen.len(), names(&chosen));
        bail!("{file}: {count} platforms have an app {app:?}: use {flags} with one of {names}");
    };
    check(platform).with_context(|| format!("{file}: the operator would refuse it"))?;
    let found = platform.spec.apps.iter().find(|it| it.name == app).cloned().unwrap_or_default();
    let Some(autoscaling) = found.autoscaling.clone() else {
        bail!(
            "{file}: app {app:?} has no autoscaling, so its number of pods is fixed: add spec.apps[].autoscaling, or use --app with another"
        );
    };
    let calendars = calendars(text, namespace_of(platform));
    Ok(Found { platform: platform.clone(), app: found, autoscaling, calendars, file: file.to_owned() })
}

fn name_of(platform: &LearningPlatform) -> &str {
    platform.metadata.name.as_deref().unwrap_or_default()
}

fn namespace_of(platform: &LearningPlatform) -> Option<&str> {
    platform.metadata.namespace.as_deref()
}

/// The names of platforms, with their namespaces where several share a name.
fn names(platforms: &[&LearningPlatform]) -> String {
    let qualified = |it: &&LearningPlatform| match namespace_of(it) {
        Some(namespace) if share_names(platforms) => format!("{namespace}/{}", name_of(it)),
        _ => name_of(it).to_owned(),
    };
    platforms.iter().map(qualified).collect::<Vec<_>>().join(", ")
}

fn share_names(platforms: &[&LearningPlatform]) -> bool {
    platforms.iter().map(|it| name_of(it)).collect::<BTreeSet<_>>().len() < platforms.len()
}

/// Leaves those for which `is_like` holds, if there are any.
fn prefer(platforms: &mut Vec<&LearningPlatform>, is_like: impl Fn(&LearningPlatform) -> bool) {
    if platforms.iter().any(|it| is_like(it)) {
        platforms.retain(|it| is_like(it));
    }
}

/// What the operator checks before it carries out anything.
fn check(platform: &LearningPlatform) -> Result<()> {
    let mut platform = platform.clone();
    platform.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    validate::validate(&platform, &Settings::default()).map(drop).map_err(|error| anyhow!("{error}"))
}

/// The texts of all ConfigMaps in the file that the platform's namespace could hold.
fn calendars(text: &str, namespace: Option<&str>) -> Calendars {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let items = documents.iter().flat_map(|document| match document["items"].as_array() {
        Some(items) => items.iter().collect(),
        None => vec![document],
    });
    let mut calendars = Calendars::new();
    for item in items.filter(|item| item["kind"] == "ConfigMap" && item["apiVersion"] == "v1") {
        let elsewhere = item["metadata"]["namespace"].as_str().zip(namespace).is_some_and(|(its, ours)| its != ours);
        let (Some(name), Some(data), false) = (item["metadata"]["name"].as_str(), item["data"].as_object(), elsewhere)
        else {
            continue;
        };
        for (key, text) in data {
            calendars.insert((name.to_owned(), key.clone()), text.as_str().unwrap_or_default().to_owned());
        }
    }
    calendars
}

impl Found {
    /// Name of the platform.
    pub fn platform(&self) -> &str {
        name_of(&self.platform)
    }

    /// Name of the app.
    pub fn app(&self) -> &str {
        &self.app.name
    }

    /// Requests per second that a pod is to carry, if the spec says so.
    pub fn per_pod(&self) -> Option<f64> {
        quantity::number(&self.autoscaling.request_rate.as_ref()?.per_pod)
    }

    /// The latency budget in seconds.
    pub fn budget(&self) -> Option<f64> {
        self.autoscaling.latency.as_ref().map(|latency| std::time::Duration::from(latency.budget).as_secs_f64())
    }

    /// Whether the rate is measured in front of the pods.
    pub fn at_gateway(&self) -> bool {
        let source = self.autoscaling.request_rate.as_ref().map(|rate| &rate.source);
        source.is_some_and(|source| match source.measured_at {
            Some(at) => at == MeasuredAt::Gateway,
            None => matches!(source.preset, Some(Preset::EnvoyGateway | Preset::IngressNginx | Preset::Traefik)),
        })
    }

    /// What is replayed, and what the user should know about it.
    ///
    /// # Errors
    /// Fields that cannot be carried out.
    pub fn subject(&self, trace: &Trace, options: &Options) -> Result<(Subject, Vec<String>)> {
        let mut notes = Vec::new();
        let policies = self.policies(trace, options, &mut notes)?;
        let rollout = self.app.rollout.clone().unwrap_or_default();
        let subject = Subject {
            policies,
            own_metric: has_metric(&self.autoscaling),
            update: RollingUpdate {
                max_surge: rollout.max_surge.unwrap_or(IntOrString::Int(1)),
                max_unavailable: rollout.max_unavailable.unwrap_or(IntOrString::Int(0)),
                min_ready: rollout.min_ready.map_or(Duration::ZERO, |time| std::time::Duration::from(time).into()),
            },
            holds: self.holds(trace, options, &mut notes)?,
            cpu_target: self.cpu_target(),
        };
        Ok((subject, notes))
    }

    fn policies(&self, trace: &Trace, options: &Options, notes: &mut Vec<String>) -> Result<Vec<(Time, Policy)>> {
        let (start, end) = (options.clock(trace.start), options.clock(trace.end));
        let has_calendars = self.autoscaling.schedules.iter().any(|schedule| schedule.calendar.is_some());
        let mut policies = Vec::new();
        let mut from = start;
        loop {
            let prometheus = self.platform.spec.prometheus.as_ref();
            let place = format!("{}: spec.apps[{}].autoscaling", self.file, self.app.name);
            let mapped = policy::map(prometheus, &self.autoscaling, &options.tunables, &self.calendars, from).map_err(
                |errors| anyhow!(errors.iter().map(|error| format!("{place}.{error}")).collect::<Vec<_>>().join("\n")),
            )?;
            if policies.is_empty() {
                let left_out = |error: &FieldError| match error.problem.contains("does not exist") {
                    true => format!("{place}.{error} in the same file; replayed without this schedule"),
                    false => format!("{place}.{error}"),
                };
                notes.extend(mapped.world.iter().map(left_out));
            }
            let mut policy = mapped.policy;
            self.adapt(&mut policy, trace, options);
            policies.push((from, policy));
            from = from.plus(DAY);
            if !has_calendars || from >= end {
                break;
            }
        }
        self.remarks(trace, options, start, notes);
        Ok(policies)
    }

    /// What a trace does not hold cannot be replayed; what it does not say is as if it were not in the spec.
    fn adapt(&self, policy: &mut Policy, trace: &Trace, options: &Options) {
        policy.demand.truncate(usize::from(self.autoscaling.request_rate.is_some()));
        if trace.latency.is_none() && !options.latency_modelled {
            policy.latency = None;
        }
        let latency = trace.latency.as_ref().filter(|_| policy.latency.is_some());
        let read = std::iter::once(&trace.rate).chain(latency);
        policy.scrape_interval = read.map(Series::scrape_interval).max().unwrap_or(policy.scrape_interval);
        policy.longest_range = policy.scrape_interval.times(policy.tunables.long_range_scrapes);
    }

    fn remarks(&self, trace: &Trace, options: &Options, start: Time, notes: &mut Vec<String>) {
        let mut note = |text: &str| notes.push(format!("{}: {text}", self.file));
        if self.autoscaling.request_rate.is_none() {
            note("the app has no requestRate, so the trace's rate scales nothing here");
        }
        if self.autoscaling.concurrency.is_some() {
            note("a trace holds no concurrency: replayed without autoscaling.concurrency");
        }
        if self.autoscaling.latency.is_some() && trace.latency.is_none() && !options.latency_modelled {
            note("the trace holds no latency: replayed without autoscaling.latency");
        }
        if !self.autoscaling.schedules.is_empty() && is_relative(trace, start) {
            note(
                "the trace's times count from 1970, which is when schedules see them: give the real beginning with --start-at",
            );
        }
    }

    fn holds(&self, trace: &Trace, options: &Options, notes: &mut Vec<String>) -> Result<Vec<ManualHold>> {
        let key = format!("{HOLD_ANNOTATION_PREFIX}{}", self.app.name);
        let Some(text) = self.platform.metadata.annotations.as_ref().and_then(|all| all.get(&key)) else {
            return Ok(Vec::new());
        };
        let wrong = || {
            format!(
                "{}: metadata.annotations[{key}]: expected JSON such as {{\"floor\":30,\"until\":\"2026-12-01T10:00:00Z\"}}",
                self.file
            )
        };
        let hold: Hold = serde_json::from_str(text).with_context(wrong)?;
        let until: jiff::Timestamp = hold.until.parse().with_context(wrong)?;
        if is_relative(trace, options.clock(trace.start)) {
            notes.push(format!(
                "{}: the trace's times count from 1970, so the hold until {} would never end: replayed without it; give the real beginning with --start-at",
                self.file, hold.until
            ));
            return Ok(Vec::new());
        }
        Ok(vec![ManualHold {
            floor: u32::try_from(hold.floor).unwrap_or(0),
            until: until.into(),
            reason: hold.reason.as_str().into(),
            by: (!hold.by.is_empty()).then(|| hold.by.as_str().into()),
        }])
    }

    /// Millicores per pod that the HPA's cpu metric aims at.
    fn cpu_target(&self) -> Option<f64> {
        let ResourceTarget { utilization, average_value } = self.autoscaling.cpu.as_ref()?;
        let cores = match (utilization, average_value) {
            (_, Some(value)) => quantity::number(value)?,
            (Some(percent), None) => {
                quantity::number(self.app.resources.as_ref()?.requests.get("cpu")?)? * f64::from(*percent) / 100.0
            }
            (None, None) => return None,
        };
        (cores > 0.0).then_some(cores * 1000.0)
    }
}
