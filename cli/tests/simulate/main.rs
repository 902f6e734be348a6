//! `lpctl simulate` as a user calls it: arguments and files in, bytes and a verdict out.

// Clippy's exception for tests does not reach their helpers.
#![allow(clippy::unwrap_used)]

mod answers;
mod gates;
mod input;
mod reports;
mod scaling;

use clap::Parser;
use lpctl::simulate::{self, Args, Verdict};
use serde_json::Value;
use std::{fmt::Write, path::PathBuf};

const STORY: &str = "story.yaml";
const PLAIN: &str = "plain.yaml";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// What a run gave.
#[derive(Debug, PartialEq)]
struct Ran {
    verdict: Verdict,
    out: String,
    err: String,
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> String {
    format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A file of this test process, removed with the directory of the build.
fn scratch(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Runs `-f policy --app app --trace trace` and more.
fn try_run(policy: &str, app: &str, trace: &str, more: &[&str]) -> Result<Ran, String> {
    let file = if policy.starts_with('/') { policy.to_owned() } else { fixture(policy) };
    let words = ["simulate", "-f", &file, "--app", app, "--trace", trace].into_iter().chain(more.iter().copied());
    run_words(words)
}

fn run_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Ran, String> {
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let verdict = simulate::run(&cli.args, &mut out, &mut err).map_err(|error| format!("{error:#}"))?;
    Ok(Ran { verdict, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() })
}

fn run(policy: &str, app: &str, trace: &str, more: &[&str]) -> Ran {
    try_run(policy, app, trace, more).unwrap_or_else(|error| panic!("{error}"))
}

fn json(policy: &str, app: &str, trace: &str, more: &[&str]) -> Value {
    let more: Vec<&str> = more.iter().copied().chain(["-o", "json"]).collect();
    serde_json::from_str(&run(policy, app, trace, &more).out).unwrap()
}

fn steps(report: &Value) -> &[Value] {
    report["steps"].as_array().unwrap()
}

fn number(step: &Value, key: &str) -> u64 {
    step[key].as_u64().unwrap_or_else(|| panic!("{key} of {step}"))
}

/// The values that a field takes one after the other.
fn course(report: &Value, key: &str) -> Vec<u64> {
    let mut course: Vec<u64> = steps(report).iter().map(|step| number(step, key)).collect();
    course.dedup();
    course
}

/// A table of one row per 15 s: each part is a rate and a latency with a number of rows.
fn table(name: &str, parts: &[(&str, &str, usize)]) -> String {
    let mut text = "time,rate,latency\n".to_owned();
    let mut row = 0;
    for (rate, latency, count) in parts {
        for _ in 0..*count {
            writeln!(text, "{},{rate},{latency}", row * 15).unwrap();
            row += 1;
        }
    }
    scratch(name, &text)
}
