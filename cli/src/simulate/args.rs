//! The options of `lpctl simulate`.

use super::fail_if::FailIf;
use clap::ValueHint;
use decide::{Duration, Time};
use replay::trace;
use std::{path::PathBuf, str::FromStr};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Replays a recorded trace through the code that the operator runs, and shows how many pods there would have been
///
/// One step per evaluation: the operator decides floor and cap from the trace's rate and latency, a model of the HPA follows
/// within its bounds and behavior, and a model of the Deployment starts and replaces pods. The same trace and policy
/// always give the same bytes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = MODEL)]
pub struct Args {
    /// File with the platform, or - for standard input; of several documents the platform that has the app is taken
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Name of the platform, where several in the file have the app
    #[arg(long, value_name = "NAME")]
    pub platform: Option<String>,

    /// Namespace of the platform, where several in the file have its name
    // The command line's own --namespace, which is about a cluster, is this one here.
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Name of the app
    #[arg(long, value_name = "NAME")]
    pub app: String,

    /// Trace as a table with the header time,rate,latency (seconds or RFC 3339; requests per second; seconds)
    ///
    /// A row holds until the next, and the usual time between rows is the scrape interval. An empty field is a missing series,
    /// NaN is NaN, error is a failed query. The header may be time,rate where latency was not recorded.
    #[arg(long, value_name = "FILE.csv", value_hint = ValueHint::FilePath, required_unless_present = "rate", conflicts_with_all = ["rate", "latency"])]
    pub trace: Option<PathBuf>,

    /// Answer of Prometheus' query_range for the requests per second; a gap longer than its step is a missing series
    #[arg(long, value_name = "FILE.json", value_hint = ValueHint::FilePath)]
    pub rate: Option<PathBuf>,

    /// Answer of Prometheus' query_range for the latency in seconds
    #[arg(long, value_name = "FILE.json", value_hint = ValueHint::FilePath, requires = "rate")]
    pub latency: Option<PathBuf>,

    /// Form of the report
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,

    /// Show every step in the table, not only those at which something changes
    #[arg(long)]
    pub all: bool,

    /// Draw load, capacity and pods into this file; one that exists is overwritten
    #[arg(long, value_name = "OUT.svg", value_hint = ValueHint::FilePath)]
    pub plot: Option<PathBuf>,

    /// Pods complete no more than this many requests per second each; the trace's rate is then what is offered
    #[arg(long, value_name = "REQUESTS_PER_POD", value_parser = positive)]
    pub closed_loop: Option<f64>,

    /// A file with another policy for the app, shown side by side
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub against: Option<PathBuf>,

    /// Exit with 1 if this holds for the summary of -f, as in 'underCapacitySeconds>60' (> >= < <= ==); may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<FailIf>,

    /// Time between two decisions of the operator
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = long)]
    pub evaluation_interval: Duration,

    /// How often the sources scrape, in place of the steps of the trace
    #[arg(long, value_name = "DURATION", value_parser = long)]
    pub scrape_interval: Option<Duration>,

    /// Time from a pod's creation until it is Ready
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub pod_start: Duration,

    /// Pods at the beginning, all of them Ready [default: minReplicas]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub start_pods: Option<u32>,

    /// Time between two synchronisations of the HPA
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = long)]
    pub hpa_sync: Duration,

    /// The pods' template changes at this time of the trace and is rolled out as spec.apps[].rollout says; may be repeated
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub rollout_at: Vec<(String, (Time, trace::Clock))>,

    /// Real time of the trace's beginning, RFC 3339, for schedules and holds, where its times are relative
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<jiff::Timestamp>,

    /// Millicores that one request per second takes, so that the HPA's cpu metric asks for pods too
    #[arg(long, value_name = "MILLICORES", value_parser = positive)]
    pub cpu_per_request: Option<f64>,

    /// A constant of the decision core, as the operator's flag of this name; may be repeated
    #[arg(long = "tunable", value_name = "KEY=VALUE")]
    pub tunables: Vec<String>,
}

const MODEL: &str = "\
The model:
  Operator   The trace's rate is what its query would have answered, for raising and for lowering. It starts as after a
             restart: nothing is lowered for one down window.
  HPA        Synchronises every --hpa-sync and obeys its bounds at once, else its behavior. Its own metrics ask for the
             least there is, so pods follow the floor; with --cpu-per-request cpu asks for its share too.
  Pods       Become Ready --pod-start after their creation and leave at once. A rollout obeys maxSurge, maxUnavailable
             and minReady.
  Overload   Only with --closed-loop: completed requests are min(offered, Ready pods x REQUESTS_PER_POD). Up to that
             latency is the trace's, or 40 % of the budget where the trace has none; beyond it, at least 2 x budget x
             offered / completed.

The summary:
  podHours               wanted pods times hours
  peakPods               the most pods wanted
  underCapacitySeconds   time in which the trace's rate was above Ready pods x perPod (with --closed-loop: x
                         REQUESTS_PER_POD); time without a known rate does not count. perPod is that of -f, for
                         --against too
  scaleUps, scaleDowns   steps at which the wanted count rose, fell
  blockedDowns           steps at which less than the floor was asked for and doubt about the data kept it: no trusted
                         value, latency over budget, a rollout, a collapse, too short a history

The steps (-o json, -o yaml):
  time, rate             of the trace; rate is null where it has no finite one, and the signal's state says why
  latency                as measured: the trace's, or the model's with --closed-loop
  signals                what the operator made of each signal: name, state, value, and the pods it proposes
  floor, cap             decided at this step
  pods, ready            wanted and Ready after this step
  stages                 how the floor came about: name, before, after, why

Exit codes: 0, 1 where a --fail-if holds, 2 for bad input.";

fn duration(text: &str) -> Result<Duration, String> {
    let parsed =
        kube::core::Duration::from_str(text).map_err(|error| format!("{error}: write it as 500ms, 10s or 1h30m"))?;
    if parsed.is_negative() {
        return Err("is negative: write a duration such as 10s".into());
    }
    Ok(std::time::Duration::from(parsed).into())
}

/// A duration above zero.
fn long(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    if parsed == Duration::ZERO { Err("must be at least 1ms: write a duration such as 5s".into()) } else { Ok(parsed) }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "is no number above 0: write one such as 60".into())
}

fn moment(text: &str) -> Result<(String, (Time, trace::Clock)), String> {
    Ok((text.to_owned(), trace::time(text)?))
}
