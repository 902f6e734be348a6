//! Every flag, each also an environment variable `LP_<NAME>`. Nothing else reads the environment, but the Kubernetes
//! client's own configuration.

use crate::{
    context::{AWS_RATE, Settings},
    tiers::aws::account::AllowedRole,
};
use clap::Parser;
use decide::Tunables;
use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// Makes LearningPlatforms so, and keeps them so.
#[derive(Clone, Debug, Parser)]
#[command(name = "learningplatform-operator", version)]
pub struct Args {
    /// Name of this cluster; it must outlive the cluster's own parts.
    #[arg(long, env = "LP_CLUSTER_NAME", default_value = "default")]
    pub cluster_name: String,

    /// Namespace to watch; repeat it for several. None means all namespaces.
    #[arg(long = "watch-namespace", env = "LP_WATCH_NAMESPACE", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Prometheus of platforms that name none.
    #[arg(long, env = "LP_DEFAULT_PROMETHEUS_URL")]
    pub default_prometheus_url: Option<String>,

    /// Directory with credentials for it: files token, username, password, ca.crt, tls.crt, tls.key; read again when they
    /// change.
    #[arg(long, env = "LP_DEFAULT_PROMETHEUS_AUTH_DIR")]
    pub default_prometheus_auth_dir: Option<PathBuf>,

    /// Region of the default Prometheus where it is Amazon's managed one: queries are signed by the operator's own identity at AWS.
    #[arg(long, env = "LP_DEFAULT_PROMETHEUS_AWS_REGION", conflicts_with = "default_prometheus_auth_dir")]
    pub default_prometheus_aws_region: Option<String>,

    /// Beginning of addresses that a platform may name as its Prometheus; repeat it for several. None allows every http and
    /// https address.
    #[arg(long = "allowed-prometheus-url", env = "LP_ALLOWED_PROMETHEUS_URL", value_delimiter = ',')]
    pub allowed_prometheus_urls: Vec<String>,

    /// Role at AWS that platforms of a namespace may name, NAMESPACE=ARN; repeat it for several. `*` means all namespaces, and an ARN
    /// that ends in `*` all that begin so. None allows none: the operator's own identity is used.
    #[arg(long = "allowed-aws-role", env = "LP_ALLOWED_AWS_ROLE", value_delimiter = ',', value_name = "NAMESPACE=ARN")]
    pub allowed_aws_roles: Vec<String>,

    /// Beginning of URLs that a platform may name instead of AWS's; repeat it for several. None allows none.
    #[arg(long = "allowed-aws-endpoint", env = "LP_ALLOWED_AWS_ENDPOINT", value_delimiter = ',')]
    pub allowed_aws_endpoints: Vec<String>,

    /// Requests per second to each service of AWS, account and region.
    #[arg(long, env = "LP_AWS_REQUESTS_PER_SECOND", default_value_t = AWS_RATE.per_second)]
    pub aws_requests_per_second: f64,

    /// Time between two looks at AWS while something changes there.
    #[arg(long, env = "LP_AWS_RECHECK", default_value = "15s", value_parser = duration)]
    pub aws_recheck: Duration,

    /// Where /healthz, /readyz, /metrics and the read endpoint listen.
    #[arg(long, env = "LP_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,

    /// Whether replicas elect one that acts.
    #[arg(long, env = "LP_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,

    /// Name of the Lease they elect it by.
    #[arg(long, env = "LP_LEASE_NAME", default_value = "learningplatform-operator")]
    pub lease_name: String,

    /// Namespace of the Lease. Default: that of the client's configuration.
    #[arg(long, env = "LP_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// How long an unrenewed Lease keeps others from acting.
    #[arg(long, env = "LP_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,

    /// How long the leader tries to renew before it gives up; shorter than the lease.
    #[arg(long, env = "LP_RENEW_DEADLINE", default_value = "10s", value_parser = duration)]
    pub renew_deadline: Duration,

    /// Time between two attempts; shorter than the renew deadline.
    #[arg(long, env = "LP_RETRY_PERIOD", default_value = "2s", value_parser = duration)]
    pub retry_period: Duration,

    /// Name of this replica, unique among them. Default: the host name, which is the pod's.
    #[arg(long, env = "LP_IDENTITY")]
    pub identity: Option<String>,

    /// Time between two decisions on an app.
    #[arg(long, env = "LP_EVALUATION_INTERVAL", default_value = "5s", value_parser = duration)]
    pub evaluation_interval: Duration,

    /// Time between two glances at the apps' demand, for raising without waiting for the next decision: one small query for
    /// up to 200 apps. 0s leaves them out, and so does a time that is not below the evaluation interval.
    #[arg(long, env = "LP_GLANCE_INTERVAL", default_value = "1s", value_parser = duration)]
    pub glance_interval: Duration,

    /// Passes at the same time.
    #[arg(long, env = "LP_CONCURRENCY", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// How long changes are collected before a pass.
    #[arg(long, env = "LP_DEBOUNCE", default_value = "500ms", value_parser = duration)]
    pub debounce: Duration,

    /// Time to the next pass over a settled platform.
    #[arg(long, env = "LP_RESYNC", default_value = "10m", value_parser = duration)]
    pub resync: Duration,

    /// Time to the next pass over a platform that waits for something.
    #[arg(long, env = "LP_WAITING_REQUEUE", default_value = "10s", value_parser = duration)]
    pub waiting_requeue: Duration,

    /// Longest time of a pass.
    #[arg(long, env = "LP_PASS_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub pass_timeout: Duration,

    /// What is logged: a level, or directives as `info,kube=debug`. Changed at run time with PUT /v1/log from inside of the pod, which is where a port-forward ends.
    #[arg(long, env = "LP_LOG", default_value = "info")]
    pub log: String,

    /// How it is written.
    #[arg(long, env = "LP_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// A constant of the decision core, KEY=VALUE; repeat it for several.
    #[arg(long = "tunable", env = "LP_TUNABLE", value_delimiter = ',', value_name = "KEY=VALUE")]
    pub tunables: Vec<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Args {
    /// The plain settings of passes and evaluation.
    ///
    /// # Errors
    /// A sentence that names the flag and the remedy.
    pub fn settings(&self) -> Result<Settings, String> {
        if self.leader_election {
            self.check_lease()?;
        }
        for (flag, value) in [
            ("evaluation-interval", self.evaluation_interval),
            ("resync", self.resync),
            ("waiting-requeue", self.waiting_requeue),
            ("pass-timeout", self.pass_timeout),
            ("aws-recheck", self.aws_recheck),
        ] {
            if value.is_zero() {
                return Err(format!("--{flag} must be above 0"));
            }
        }
        let rate = self.aws_requests_per_second;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(format!("--aws-requests-per-second {rate} must be above 0"));
        }
        let roles = self.allowed_aws_roles.iter().filter(|role| !role.is_empty()).map(|role| AllowedRole::parse(role));
        let roles = roles.collect::<Result<Vec<_>, _>>()?;
        let mut tunables = Tunables { evaluation_interval: self.evaluation_interval.into(), ..Tunables::default() };
        for pair in &self.tunables {
            set_tunable(&mut tunables, pair)?;
        }
        Ok(Settings {
            cluster_name: self.cluster_name.clone(),
            watch_namespaces: self.watch_namespaces.iter().filter(|n| !n.is_empty()).cloned().collect(),
            default_prometheus_url: self.default_prometheus_url.clone().filter(|u| !u.is_empty()),
            default_prometheus_auth_dir: self.default_prometheus_auth_dir.clone(),
            default_prometheus_aws_region: self
                .default_prometheus_aws_region
                .clone()
                .filter(|region| !region.is_empty()),
            allowed_prometheus_urls: self.allowed_prometheus_urls.iter().filter(|u| !u.is_empty()).cloned().collect(),
            allowed_aws_roles: roles,
            allowed_aws_endpoints: self.allowed_aws_endpoints.iter().filter(|url| !url.is_empty()).cloned().collect(),
            aws_recheck: self.aws_recheck,
            aws_rate: aws::Rate { per_second: self.aws_requests_per_second, ..AWS_RATE },
            evaluation_interval: self.evaluation_interval,
            glance_interval: self.glance_interval,
            concurrency: self.concurrency,
            debounce: self.debounce,
            resync: self.resync,
            waiting_requeue: self.waiting_requeue,
            pass_timeout: self.pass_timeout,
            tunables,
        })
    }

    fn check_lease(&self) -> Result<(), String> {
        if self.lease_duration.as_secs() < 1 || self.lease_duration.subsec_nanos() != 0 {
            return Err("--lease-duration must be whole seconds, at least 1s".into());
        }
        if self.renew_deadline >= self.lease_duration {
            return Err(
                "--renew-deadline must be shorter than --lease-duration, or two replicas could act at once".into()
            );
        }
        if self.retry_period >= self.renew_deadline || self.retry_period.is_zero() {
            return Err("--retry-period must be above 0 and shorter than --renew-deadline".into());
        }
        Ok(())
    }
}

/// A Go duration without a sign, as everywhere in Kubernetes.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = kube::core::Duration::from_str(text).map_err(|e| format!("{e}: write it as 500ms, 10s or 1h30m"))?;
    if parsed.is_negative() {
        return Err("must not be negative".into());
    }
    Ok(parsed.into())
}

/// Sets one constant of the decision core from `KEY=VALUE`; keys are the names of its fields in snake or kebab case.
///
/// # Errors
/// A sentence that names the key and what it takes.
pub fn set_tunable(tunables: &mut Tunables, pair: &str) -> Result<(), String> {
    let (key, value) = pair.split_once('=').ok_or_else(|| format!("--tunable {pair}: write it as KEY=VALUE"))?;
    let key = key.trim().replace('-', "_");
    let value = value.trim();
    macro_rules! table {
        ($($read:path: $($name:ident)*;)*) => {
            match key.as_str() {
                "evaluation_interval" => {
                    return Err(format!("--tunable {key}: has a flag of its own: set --evaluation-interval"));
                }
                $($(stringify!($name) => {
                    tunables.$name = $read(value).map_err(|e| format!("--tunable {key}: {e}"))?;
                })*)*
                _ => {
                    let known = [$($(stringify!($name),)*)*].join(", ");
                    return Err(format!("--tunable {key}: there is no such constant; there are {known}"));
                }
            }
        };
    }
    table! {
        time: series_never_seen failure_span breach settle no_new_step collapse_hold rollout_deadline schedule_ramp
            schedule_lead_max guard_retest guard_pool_wait replica_lag tier_spacing tier_wait;
        window: tier_stale k_period collapse_window error_memory rollout_window;
        whole::<0>: dead_band_percent replica_wal_senders;
        whole::<1>: guard_readings gap_intervals stale_scrapes failure_threshold recovery_values schedule_steps;
        // A rate is the difference of two scrapes.
        whole::<2>: long_range_scrapes short_range_scrapes;
        factor: guard_evictions error_factor error_slack rollout_margin;
        share: helped_latency helped_goodput ready_share full_share;
        share_above_0: guard_cpu guard_lock_wait guard_connection_wait cache_full cache_full_after k_min k_step k_margin k_relax_below;
    }
    Ok(())
}

fn time(text: &str) -> Result<decide::Duration, String> {
    duration(text).map(Into::into)
}

/// A time in which something has to fit.
fn window(text: &str) -> Result<decide::Duration, String> {
    let window = time(text)?;
    if window == decide::Duration::ZERO { Err("must be above 0".into()) } else { Ok(window) }
}

fn whole<const LEAST: u32>(text: &str) -> Result<u32, String> {
    let number = text.parse().map_err(|_| format!("{text} is no whole number"))?;
    if number < LEAST { Err(format!("{number} is below {LEAST}, the least that makes sense")) } else { Ok(number) }
}

fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| format!("{text} is no number from 0 up"))
}

fn share(text: &str) -> Result<f64, String> {
    factor(text).ok().filter(|n| *n <= 1.0).ok_or_else(|| format!("{text} is no number from 0 to 1"))
}

fn share_above_0(text: &str) -> Result<f64, String> {
    share(text).ok().filter(|n| *n > 0.0).ok_or_else(|| format!("{text} is no number above 0 and up to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Settings, String> {
        let args = Args::try_parse_from(std::iter::once(&"operator").chain(args)).map_err(|e| e.to_string())?;
        args.settings()
    }

    #[test]
    fn every_tunable_can_be_set() {
        let fields = serde_json::to_value(Tunables::default()).unwrap();
        // It has a flag of its own.
        for key in fields.as_object().unwrap().keys().filter(|key| *key != "evaluation_interval") {
            let snake: String = key
                .chars()
                .flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
                .collect();
            let set = |value: &str| {
                let mut tunables = Tunables::default();
                set_tunable(&mut tunables, &format!("{snake}={value}")).map(|()| tunables != Tunables::default())
            };
            let tried = ["7s", "7", "0.7", "0.6"].map(set);
            assert!(tried.contains(&Ok(true)), "{snake} cannot be set, or has no effect: {tried:?}");
        }
    }

    #[test]
    fn bad_flags_name_flag_and_remedy() {
        for (args, part) in [
            (&["--tunable", "breach"][..], "KEY=VALUE"),
            (&["--tunable", "nonsense=1"], "there are "),
            (&["--tunable", "k_min=much"], "k_min"),
            (&["--tunable", "breach=soon"], "10s"),
            (&["--tunable", "evaluation_interval=0s"], "set --evaluation-interval"),
            (&["--tunable", "gap_intervals=0"], "gap_intervals: 0 is below 1"),
            (&["--tunable", "long_range_scrapes=1"], "long_range_scrapes: 1 is below 2"),
            (&["--tunable", "failure_threshold=-1"], "no whole number"),
            (&["--tunable", "k_period=0s"], "k_period: must be above 0"),
            (&["--tunable", "k_min=0"], "k_min: 0 is no number above 0 and up to 1"),
            (&["--tunable", "k-margin=1.5"], "k_margin: 1.5 is no number above 0 and up to 1"),
            (&["--tunable", "ready_share=90"], "ready_share: 90 is no number from 0 to 1"),
            (&["--tunable", "error_factor=-1"], "error_factor: -1 is no number from 0 up"),
            (&["--tunable", "error_slack=NaN"], "error_slack: NaN is no number from 0 up"),
            (&["--renew-deadline", "15s"], "--lease-duration"),
            (&["--retry-period", "10s"], "--renew-deadline"),
            (&["--lease-duration", "1500ms"], "whole seconds"),
            (&["--resync", "0s"], "--resync"),
            (&["--resync=-1s"], "negative"),
            (&["--concurrency", "0"], "concurrency"),
            (&["--allowed-aws-role", "arn:aws:iam::1:role/a"], "NAMESPACE=ARN"),
            (&["--aws-requests-per-second", "0"], "above 0"),
            (&["--aws-recheck", "0s"], "--aws-recheck"),
        ] {
            let error = parse(args).expect_err(part);
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }

    #[test]
    fn defaults_and_overrides() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.evaluation_interval, Duration::from_secs(5));
        assert_eq!(settings.resync, Duration::from_secs(600));
        let settings = parse(&[
            "--evaluation-interval=1s",
            "--tunable",
            "breach=3s",
            "--tunable",
            "k-min=0.25",
            "--leader-election=false",
            "--renew-deadline=20s",
            "--watch-namespace=a",
            "--watch-namespace=b",
        ])
        .unwrap();
        assert_eq!(settings.tunables.evaluation_interval, decide::Duration::from_secs(1));
        assert_eq!(settings.tunables.breach, decide::Duration::from_secs(3));
        assert_eq!(settings.tunables.k_min, 0.25);
        assert_eq!(settings.watch_namespaces, ["a", "b"]);
    }
}
