//! From the spec of an app to what has to be asked of which server. Pure.

use crate::{
    naming::AppKey,
    prometheus::{
        address,
        batch::Ask,
        preset::{self, Workload},
        query::{Begun, Question, Signal, Template, default_metric, latency_signal},
        source::{CredentialsKey, SourceKey},
    },
    tiers::{
        autoscaling::policy::{scrape_interval, server_of},
        aws::account::{self, AllowedRole},
    },
    validate::Problem,
};
use crds::{
    prometheus::{Prometheus, Server},
    tiers::autoscaling::{AbsentMeans, Autoscaling, Latency, MeasuredAt, Source},
};
use decide::{Duration, Time, Tunables};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The settings of the operator that a plan depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// Address of the server of platforms that name none.
    pub default_url: Option<String>,
    /// Directory with its credentials.
    pub default_auth_dir: Option<PathBuf>,
    /// Region of that server, where it is a managed one at AWS.
    pub default_region: Option<String>,
    /// Beginnings of addresses that a resource may name; none means any.
    pub allowed: Vec<String>,
    /// Roles at AWS that a resource may name.
    pub allowed_roles: Vec<AllowedRole>,
}

/// What a signal's source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The demand signal of this index in the policy.
    Demand(usize),
    /// The latency.
    Latency,
}

/// What a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The value, over the long range.
    Long,
    /// The value over the short range, for raising.
    Short,
    /// The time of the newest raw sample.
    Freshness,
    /// Live targets.
    Live,
    /// Server errors per second.
    Errors,
    /// Whether the series was ever seen.
    Seen,
    /// Bounds of the buckets.
    Bounds,
    /// Pods that have just begun, one series each.
    Begun,
}

/// One source of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePlan {
    /// What for.
    pub role: Role,
    /// Which server; or why there is none.
    pub server: Result<Arc<SourceKey>, String>,
    /// How messages call that server.
    pub called: Arc<str>,
    /// How often that server scrapes.
    pub scrape_interval: Duration,
    /// The range over which the value is a rate, which takes two samples; none where it is no rate, or the user's own
    /// expression.
    pub rate_over: Option<Duration>,
    /// Asked at every tick.
    pub always: Vec<(Part, Ask)>,
    /// Asked while the value is missing.
    pub seen: Option<Ask>,
    /// Asked seldom.
    pub bounds: Option<Ask>,
    /// How pods that have just begun are asked for, and over which range their counters then have a rate.
    pub begun: Option<(Arc<Template>, Duration)>,
    /// An empty answer means zero while targets are live.
    pub absent_is_zero: bool,
    /// The bucket bounds are in milliseconds.
    pub milliseconds: bool,
}

/// What has to be asked for an app.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppPlan {
    /// The sources, the primary demand's first.
    pub sources: Vec<SourcePlan>,
}

/// Most pods of an app that are asked for one by one (P).
const MOST_BEGUN: usize = 50;

impl SourcePlan {
    /// Those of the pods that have `begun` whose counters may have no rate yet.
    pub fn young(&self, begun: &[Begun], now: Time) -> Vec<Begun> {
        // A target is found some time after its pod is Ready, and scraped twice after that.
        let lately = self.begun.as_ref().map_or(Duration::ZERO, |(_, short)| short.times(2));
        begun.iter().filter(|pod| now.since(pod.at) < lately).cloned().collect()
    }

    /// What the youngest of the pods that have `begun` serve; none where no pod is that young.
    pub fn ask_begun(&self, namespace: &str, begun: &[Begun], now: Time) -> Option<Ask> {
        let (template, short) = self.begun.as_ref()?;
        let mut young = self.young(begun, now);
        young.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.name.cmp(&b.name)));
        young.truncate(MOST_BEGUN);
        (!young.is_empty()).then(|| Ask::Own(template.begun(namespace, &young, *short).into()))
    }
}

impl AppPlan {
    /// The server whose task decides on the app: that of its primary demand; none where nothing is asked.
    pub fn owner(&self) -> Option<Arc<SourceKey>> {
        self.sources.iter().find_map(|source| source.server.clone().ok())
    }

    /// Every server that is asked.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<SourceKey>> {
        self.sources.iter().filter_map(|source| source.server.as_ref().ok())
    }
}

/// What has to be asked for the app `key`.
///
/// # Errors
/// Fields of the spec that cannot be carried out, relative to `autoscaling`. A server that may not be used is none: that
/// depends on the operator's settings, and the reading tells it.
pub fn plan(
    key: &AppKey,
    autoscaling: &Autoscaling,
    prometheus: Option<&Prometheus>,
    settings: &ServerSettings,
    tunables: &Tunables,
) -> Result<AppPlan, Vec<Problem>> {
    let mut planner = Planner { key, prometheus, settings, tunables, problems: Vec::new(), plan: AppPlan::default() };
    let mut index = 0;
    if let Some(rate) = &autoscaling.request_rate {
        planner.signal("requestRate", Role::Demand(index), Signal::Rate, &rate.source, &rate.alternatives);
        index += 1;
    }
    if let Some(concurrency) = &autoscaling.concurrency {
        let alternatives = &concurrency.alternatives;
        planner.signal("concurrency", Role::Demand(index), Signal::InFlight, &concurrency.source, alternatives);
    }
    if let Some(latency) = &autoscaling.latency {
        planner.latency(latency);
    }
    if planner.problems.is_empty() { Ok(planner.plan) } else { Err(planner.problems) }
}

struct Planner<'a> {
    key: &'a AppKey,
    prometheus: Option<&'a Prometheus>,
    settings: &'a ServerSettings,
    tunables: &'a Tunables,
    problems: Vec<Problem>,
    plan: AppPlan,
}

impl Planner<'_> {
    fn signal(&mut self, field: &str, role: Role, signal: Signal, primary: &Source, alternatives: &[Source]) {
        self.source(field, role, signal, primary);
        for (i, source) in alternatives.iter().enumerate() {
            self.source(&format!("{field}.alternatives[{i}]"), role, signal, source);
        }
    }

    fn latency(&mut self, latency: &Latency) {
        let preset = latency.source.preset.unwrap_or_default();
        let signal = latency_signal(preset, latency.percentile, latency.histogram, latency.unit);
        self.source("latency", Role::Latency, signal, &latency.source);
    }

    fn source(&mut self, field: &str, role: Role, signal: Signal, source: &Source) {
        let server = match server_of(self.prometheus, source.server.as_deref()) {
            Ok(server) => server,
            Err(problem) => return self.problems.push(Problem::new(format!("{field}.server"), problem)),
        };
        let interval = scrape_interval(server);
        let (long, short) =
            (interval.times(self.tunables.long_range_scrapes), interval.times(self.tunables.short_range_scrapes));
        let mut plan = SourcePlan {
            role,
            server: self.server(server, source.server.is_some()).map(Arc::new),
            called: called(source.server.as_deref(), server),
            scrape_interval: interval,
            rate_over: None,
            always: Vec::new(),
            seen: None,
            bounds: None,
            begun: None,
            absent_is_zero: source.absent_means == Some(AbsentMeans::Zero),
            milliseconds: false,
        };
        match &source.query {
            Some(query) => self.own(source, query, server, &mut plan),
            None => self.preset(field, signal, source, server, (long, short), &mut plan),
        }
        self.plan.sources.push(plan);
    }

    /// An expression of the user's own, and what goes with it.
    fn own(&self, source: &Source, query: &str, server: Option<&Server>, plan: &mut SourcePlan) {
        let own = |expression: String| Ask::Own(expression.into());
        plan.always.push((Part::Long, Ask::Own(query.into())));
        if let Some(freshness) = &source.freshness {
            plan.always.push((Part::Freshness, own(format!("max(timestamp({freshness}))"))));
            let range = self.tunables.series_never_seen;
            plan.seen = Some(own(format!("count(present_over_time({freshness}[{range}]))")));
        }
        if plan.absent_is_zero {
            match (source.measured_at, &source.freshness) {
                (Some(MeasuredAt::Gateway), Some(freshness)) => {
                    plan.always.push((Part::Live, own(format!("count({freshness})"))));
                }
                (Some(MeasuredAt::Gateway), None) => {}
                _ => plan.always.push((Part::Live, self.up(server))),
            }
        }
    }

    /// The question whether the app's own pods are scraped.
    fn up(&self, server: Option<&Server>) -> Ask {
        let template = Template {
            signal: Signal::Rate,
            preset: preset::PODS,
            metric: "up".to_owned(),
            matchers: server.map(|server| server.matchers.clone()).unwrap_or_default(),
        };
        Ask::Workload(Arc::new(template), Question::Live, self.workload())
    }

    /// A default query.
    fn preset(
        &mut self,
        field: &str,
        signal: Signal,
        source: &Source,
        server: Option<&Server>,
        (long, short): (Duration, Duration),
        plan: &mut SourcePlan,
    ) {
        let preset = source.preset.unwrap_or_default();
        let Some(metric) = source.metric.clone().or_else(|| default_metric(preset, signal).map(str::to_owned)) else {
            let problem = format!(
                "{preset:?} exports no such metric per app: set metric (with labels) or query, or another preset"
            );
            return self.problems.push(Problem::new(format!("{field}.preset"), problem));
        };
        let matchers = server.map(|server| server.matchers.clone()).unwrap_or_default();
        let template = Arc::new(Template { signal, preset, metric, matchers: matchers.clone() });
        let labels = (!source.labels.is_empty()).then(|| Arc::new(source.labels.clone()));
        let ask = |template: &Arc<Template>, question: Question| match &labels {
            Some(labels) => Ask::Labels(template.clone(), question, labels.clone()),
            None => Ask::Workload(template.clone(), question, self.workload()),
        };
        let questions = [
            (Part::Long, Question::Value(long)),
            (Part::Short, Question::Raise { short, long }),
            (Part::Freshness, Question::Freshness),
        ];
        let questions = questions.into_iter().filter(|(_, question)| template.answers(*question));
        plan.always.extend(questions.map(|(part, question)| (part, ask(&template, question))));
        plan.rate_over = (signal != Signal::InFlight).then_some(long);
        if plan.absent_is_zero {
            plan.always.push((Part::Live, ask(&template, Question::Live)));
        }
        if signal == Signal::Rate && plan.role == Role::Demand(0) {
            // With a metric of the user's own, errors are told by the preset's label on that metric.
            let metric = source.metric.clone().or_else(|| default_metric(preset, Signal::Errors).map(str::to_owned));
            let errors = Template { signal: Signal::Errors, preset, metric: metric.unwrap_or_default(), matchers };
            plan.always.push((Part::Errors, ask(&Arc::new(errors), Question::Value(long))));
        }
        let own_pods = signal == Signal::Rate && preset == preset::PODS && labels.is_none();
        plan.begun = own_pods.then(|| (template.clone(), short));
        plan.seen = Some(ask(&template, Question::Seen(self.tunables.series_never_seen)));
        plan.bounds = template.answers(Question::Bounds).then(|| ask(&template, Question::Bounds));
        plan.milliseconds = matches!(signal, Signal::Percentile { milliseconds: true, .. });
    }

    fn workload(&self) -> Workload {
        Workload { namespace: self.key.namespace.clone(), name: self.key.object_name() }
    }

    fn server(&self, server: Option<&Server>, named: bool) -> Result<SourceKey, String> {
        let credentials =
            server.map_or(CredentialsKey::Anonymous, |server| CredentialsKey::of(&self.key.namespace, server));
        if let CredentialsKey::Secrets(key) = &credentials
            && let Some(role) = &key.role
            && let Some(why) = account::refused(&self.settings.allowed_roles, &key.namespace, &role.arn)
        {
            return Err(format!("spec.prometheus: auth.sigV4.roleArn {why}"));
        }
        let Some(url) = server.and_then(|server| server.url.as_deref()) else {
            if named {
                return Err("spec.prometheus.servers[].url is missing: name the address of this server".to_owned());
            }
            let url = self.settings.default_url.as_deref().ok_or_else(|| {
                "no Prometheus is named: set spec.prometheus.url, or the operator's setting --default-prometheus-url".to_owned()
            })?;
            // Without credentials of its own the resource uses the operator's.
            let credentials = match credentials {
                CredentialsKey::Anonymous => match self.settings.default_region.clone() {
                    Some(region) => CredentialsKey::OperatorAtAws(region),
                    None => CredentialsKey::Operator(self.settings.default_auth_dir.clone()),
                },
                own => own,
            };
            let url = address::checked(url, &[])
                .map_err(|problem| format!("the operator's setting --default-prometheus-url: {problem}"))?;
            // No headers of the resource: with the operator's credentials they could choose another tenant's data.
            return Ok(SourceKey { url, headers: BTreeMap::new(), credentials });
        };
        let headers = server.map(|server| server.headers.clone()).unwrap_or_default();
        let url =
            address::checked(url, &self.settings.allowed).map_err(|problem| format!("spec.prometheus: {problem}"))?;
        Ok(SourceKey { url, headers, credentials })
    }
}

/// How messages call a server: where several have the same address, their names tell them apart.
fn called(name: Option<&str>, server: Option<&Server>) -> Arc<str> {
    let Some(url) = server.and_then(|server| server.url.as_deref()) else {
        return "the operator's default server".into();
    };
    match (name, address::told(url).unwrap_or_default()) {
        (Some(name), address) => format!("{name} ({address})").into(),
        (None, address) => address.into(),
    }
}
