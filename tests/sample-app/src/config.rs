//! Settings, read once at the start from flags or environment variables of the same name.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Whether `/api/health` tells the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HealthMode {
    /// Ready after the warm-up and until the drain.
    Ok,
    /// Always 503.
    Fail,
}

/// What `/api/metrics` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsMode {
    /// The true values.
    Ok,
    /// Every sample's value is NaN.
    Nan,
    /// A valid exposition without any sample.
    Absent,
    /// Status 500, so that the scrape fails.
    Error,
}

/// The app's settings; every flag has an environment variable of the same name in capitals.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "sample-app",
    version,
    about = "A small learning app: requests queue above a pod's capacity, cpu follows the load, a stop loses no request."
)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "HOST", default_value = "0.0.0.0")]
    pub host: IpAddr,

    /// Port of the app, its health and its metrics; 0 takes a free one.
    #[arg(long, env = "PORT", default_value = "3000")]
    pub port: u16,

    /// Port of the admin endpoint, which has no authentication: for tests only. Unset: no such endpoint.
    #[arg(long, env = "ADMIN_PORT")]
    pub admin_port: Option<u16>,

    /// Requests per second that this pod completes at most.
    #[arg(long, env = "CAPACITY_RPS", default_value = "100", value_parser = rate)]
    pub capacity_rps: f64,

    /// Requests that may wait for capacity; more get 503 with Retry-After.
    #[arg(long, env = "QUEUE_LIMIT", default_value = "200")]
    pub queue_limit: u32,

    /// Least time that one request takes, in milliseconds.
    #[arg(long, env = "LATENCY_MS", default_value = "20", value_parser = millis)]
    pub latency_ms: Duration,

    /// Evenly spread addition to LATENCY_MS, in milliseconds.
    #[arg(long, env = "LATENCY_JITTER_MS", default_value = "20", value_parser = millis)]
    pub latency_jitter_ms: Duration,

    /// Latency added to every request, in milliseconds, as by a slow dependency.
    #[arg(long, env = "EXTRA_LATENCY_MS", default_value = "0", value_parser = millis)]
    pub extra_latency_ms: Duration,

    /// Processor time burnt per request, in milliseconds (at most 1000).
    #[arg(long, env = "CPU_MS_PER_REQUEST", default_value = "0.1", value_parser = cpu_millis)]
    pub cpu_ms_per_request: Duration,

    /// Seconds after the start until the app says that it is ready.
    #[arg(long, env = "WARMUP_SECONDS", default_value = "1", value_parser = seconds)]
    pub warmup_seconds: Duration,

    /// Seconds after SIGTERM in which the app still accepts requests while it says that it is not ready.
    #[arg(long, env = "DRAIN_SECONDS", default_value = "5", value_parser = seconds)]
    pub drain_seconds: Duration,

    /// Seconds that requests in flight get after the drain.
    #[arg(long, env = "STOP_SECONDS", default_value = "20", value_parser = seconds)]
    pub stop_seconds: Duration,

    /// What /api/health answers.
    #[arg(long, env = "HEALTH", value_enum, default_value = "ok")]
    pub health: HealthMode,

    /// What /api/metrics answers.
    #[arg(long, env = "METRICS", value_enum, default_value = "ok")]
    pub metrics: MetricsMode,

    /// Memory that is held from the start, in MiB (at most 4096).
    #[arg(long, env = "HEAP_MIB", default_value = "0", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_HEAP_MIB)))]
    pub heap_mib: u32,
}

/// Most memory that a test may make the app hold, in MiB.
pub const MAX_HEAP_MIB: u32 = 4096;

// A longer time is a typing error; it also keeps every sum of durations far from overflow.
const MAX_SECONDS: f64 = 3600.0;

fn number(text: &str, max: f64) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|v| v.is_finite() && (0.0..=max).contains(v))
        .ok_or_else(|| format!("must be a number from 0 to {max}"))
}

/// Parses requests per second.
///
/// # Errors
/// Where the text is not a number from 0.001 to 1000000.
pub fn rate(text: &str) -> Result<f64, String> {
    let value = number(text, 1e6).unwrap_or_default();
    if value < 1e-3 {
        return Err("must be a number from 0.001 to 1000000, in requests per second".to_owned());
    }
    Ok(value)
}

/// Parses seconds.
///
/// # Errors
/// Where the text is not a number from 0 to 3600.
pub fn seconds(text: &str) -> Result<Duration, String> {
    number(text, MAX_SECONDS).map(Duration::from_secs_f64).map_err(|e| format!("{e}, in seconds"))
}

/// Parses milliseconds.
///
/// # Errors
/// Where the text is not a number from 0 to 3600000.
pub fn millis(text: &str) -> Result<Duration, String> {
    number(text, MAX_SECONDS * 1e3)
        .map(|v| Duration::from_secs_f64(v / 1e3))
        .map_err(|e| format!("{e}, in milliseconds"))
}

/// Parses milliseconds of processor time.
///
/// # Errors
/// Where the text is not a number from 0 to 1000.
pub fn cpu_millis(text: &str) -> Result<Duration, String> {
    number(text, 1e3)
        .map(|v| Duration::from_secs_f64(v / 1e3))
        .map_err(|e| format!("{e}, in milliseconds of processor time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_name_the_setting_and_the_remedy() {
        for (flag, value, remedy) in [
            ("--capacity-rps", "0", "0.001 to 1000000"),
            ("--capacity-rps", "NaN", "0.001 to 1000000"),
            ("--latency-ms", "-1", "0 to 3600000"),
            ("--cpu-ms-per-request", "1001", "0 to 1000"),
            ("--drain-seconds", "soon", "0 to 3600"),
            ("--health", "maybe", "ok, fail"),
            ("--heap-mib", "4097", "0..=4096"),
        ] {
            let argument = format!("{flag}={value}");
            let error = Config::try_parse_from(["sample-app", &argument]).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
            assert!(error.contains(remedy), "{error}");
        }
    }
}
