//! The command line of the ledger.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use serde::Serialize;

use super::check::{self, Report};
use super::figures::Summary as Figures;
use super::write::{self, Summary};
use super::{Store, check::check, write::write};
use crate::stores::settings::Settings;

/// The flags. How the stores are reached is told by the app's environment variables.
#[derive(Debug, Parser)]
#[command(
    name = "ledger",
    version,
    about = "Writes numbered records to the wired stores and finds out which acknowledged ones are lost",
    after_help = "The stores are wired by the app's variables: DATABASE_URL and its kin, REDIS_URL, REDIS_CLUSTER.\n\
                  Exit status: 0 all is there, 1 more is lost than allowed, 2 it could not be found out."
)]
pub struct Ledger {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write records and keep the acknowledged ones in a file; read meanwhile, and measure pauses. SIGTERM ends it early.
    Write {
        /// How long, such as 90s or 10m.
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        length: Duration,
        /// Records per second and store.
        #[arg(long, default_value = "50", value_parser = rate)]
        rate: f64,
        /// Connections per store that write, and as many that read.
        #[arg(long, default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
        connections: u16,
        #[command(flatten)]
        common: Common,
    },
    /// Read every acknowledged record back.
    Check {
        /// Lost records of each store that are no failure.
        #[arg(long, value_name = "N", default_value = "0")]
        allow_lost: usize,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// The file of acknowledged records.
    #[arg(long)]
    file: PathBuf,
    /// How long a client tries again before an operation is an error.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    patience: Duration,
    /// Only this store.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// How the result is written.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

impl Common {
    fn stores(&self) -> Vec<Store> {
        self.store.map_or_else(|| Store::ALL.to_vec(), |store| vec![store])
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| "must be a time such as 90s or 10m".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.1..=10_000.0).contains(rate));
    rate.ok_or_else(|| "must be a number from 0.1 to 10000, in records per second".to_owned())
}

impl Ledger {
    /// Does what the flags say until `stop` is done; gives what to print and whether nothing was lost that must not be.
    ///
    /// # Errors
    /// Where it could not be done.
    pub async fn run(self, settings: &Settings, stop: impl Future<Output = ()>) -> anyhow::Result<(String, bool)> {
        match self.verb {
            Verb::Write { length, rate, connections, common } => {
                let stores = common.stores();
                let Common { file, patience, output, .. } = common;
                let options = write::Options { length, file, rate, connections: connections.into(), patience, stores };
                let summary = write(settings, &options, stop).await?;
                Ok((output.of(&summary, written)?, true))
            }
            Verb::Check { allow_lost, common } => {
                let stores = common.stores();
                let Common { file, patience, output, .. } = common;
                let options = check::Options { file, allow_lost, patience, stores };
                let report = tokio::select! {
                    report = check(settings, &options) => report?,
                    () = stop => bail!("a signal ended the check early"),
                };
                Ok((output.of(&report, checked)?, report.passed))
            }
        }
    }
}

impl Output {
    fn of<T: Serialize>(self, value: &T, text: fn(&T) -> String) -> anyhow::Result<String> {
        Ok(match self {
            Self::Text => text(value),
            Self::Json => serde_json::to_string(value)? + "\n",
        })
    }
}

fn written(summary: &Summary) -> String {
    let Summary { writer, seconds, interrupted, stores } = summary;
    let early = if *interrupted { ", ended early" } else { "" };
    let mut text = format!("writer {writer}, {seconds:.1} s{early}\n");
    for store in stores {
        let (name, done, unknown, retries) = (store.store, store.acknowledged, store.unknown, store.retries);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}: {done} acknowledged, {unknown} unknown, {retries} retries");
        for (what, figures) in [("writes", &store.writes), ("reads", &store.reads)] {
            let Figures { errors, longest_pause_ms: pause, p50_ms, p99_ms, last_error, .. } = figures;
            let ended = figures.longest_pause_ended.map(|at| format!(" until {at}")).unwrap_or_default();
            let error = last_error.as_ref().map(|e| format!(", the last: {e}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {what}: longest pause {pause:.0} ms{ended}, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, {errors} errors{error}"
            );
        }
    }
    text
}

fn checked(report: &Report) -> String {
    let mut text = String::new();
    for store in &report.stores {
        let word = if store.lost == 0 { "complete" } else { "LOST" };
        let _ = writeln!(text, "{}: {word}: {} of {} lost", store.store, store.lost, store.acknowledged);
        for record in &store.first_lost {
            let _ = writeln!(text, "  {record}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_they_take() {
        let parse = |arguments: &[&str]| {
            let all = ["ledger"].iter().chain(arguments).copied();
            Ledger::try_parse_from(all).map_err(|e| e.to_string())
        };
        parse(&["write", "--for", "1m30s", "--file", "f", "--rate", "0.5", "--store", "redis", "-o", "json"]).unwrap();
        parse(&["check", "--file", "f", "--allow-lost", "3"]).unwrap();
        for (arguments, remedy) in [
            (&["write", "--for", "0s", "--file", "f"][..], "such as 90s"),
            (&["write", "--for=-5s", "--file", "f"], "such as 90s"),
            (&["write", "--file", "f"], "--for"),
            (&["write", "--for", "5s", "--file", "f", "--rate", "0"], "0.1 to 10000"),
            (&["check"], "--file"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(remedy), "{error}");
        }
    }
}
