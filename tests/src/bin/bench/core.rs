//! The decision core: decisions per second, memory per app, and the replay of a day.

use anyhow::{Context, Result};
use clap::Parser;
use decide::{
    Adopted, Behavior, Demand, DemandInput, Duration, Input, Latency, LatencyInput, Policy, Sample, State, Time,
};
use lpctl::simulate::{Args, Prepared};
use std::{fmt::Write, fs, hint::black_box, time::Instant};

const DECISIONS: u32 = 200_000;
const APPS: usize = 10_000;
const RUNS: usize = 5;
const DAY_STEPS: u32 = 24 * 3600 / 5;

pub(crate) fn run() -> Result<()> {
    // First, while nothing that others have freed can be used again.
    let memory = memory_per_app()?;
    println!("Decision core (median of {RUNS} runs)");
    let seconds = median(|| decisions(DECISIONS));
    println!("  decisions per second                {:>12.0}", f64::from(DECISIONS) / seconds);
    let day = recorded_day()?;
    let seconds = median(|| timed(|| black_box(day.replay())));
    println!("  replay of a day, {DAY_STEPS} steps of 5 s     {:>9.1} ms   (goal: under 50)", seconds * 1000.0);
    println!("  memory per app, one hour remembered {:>9.1} KiB", memory / 1024.0);
    Ok(())
}

fn median(mut once: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..RUNS).map(|_| once()).collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn timed<T>(once: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    once();
    start.elapsed().as_secs_f64()
}

/// The arguments of `lpctl simulate`.
#[derive(Parser)]
struct Simulate {
    #[command(flatten)]
    args: Args,
}

/// What `lpctl simulate` replays: a day of the story platform, read and checked as the command does.
fn recorded_day() -> Result<Prepared> {
    let directory = tempfile::tempdir()?;
    let trace = directory.path().join("day.csv");
    let mut rows = String::from("time,rate,latency\n");
    for step in 0..DAY_STEPS {
        let (rate, latency) = load(step);
        writeln!(rows, "{},{rate:.3},{latency:.4}", 5 * step)?;
    }
    fs::write(&trace, rows)?;
    let story = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/story.yaml");
    let arguments = ["simulate", "-f", story, "--app", "web", "--evaluation-interval", "5s", "--trace"];
    let arguments = arguments.into_iter().map(Into::into).chain([trace.into_os_string()]);
    Prepared::new(&Simulate::try_parse_from(arguments)?.args)
}

fn policy() -> Policy {
    let mut policy = Policy::new(3, 20);
    policy.demand = vec![Demand::request_rate(100.0)];
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy.behavior = Behavior::effective(None, None);
    policy.fallback_replicas = Some(6);
    policy
}

/// Requests per second and seconds of latency at a step of a day's shape, with noise that does not repeat soon.
fn load(step: u32) -> (f64, f64) {
    let hour = f64::from(step % DAY_STEPS) / f64::from(DAY_STEPS) * std::f64::consts::TAU;
    let noise = f64::from(step.wrapping_mul(2_654_435_761) >> 20) / 4096.0;
    (600.0 - 500.0 * hour.cos() + 60.0 * noise, 0.08 + 0.05 * noise)
}

fn input(policy: &Policy, state_floor: u32, step: u32) -> Input {
    let now = Time::from_secs(1_767_225_600 + 5 * i64::from(step));
    let (rate, latency) = load(step);
    let mut input = Input { now, ..Input::default() };
    input.demand =
        vec![DemandInput::single(Sample::value(rate, Some(now)), Some(Sample::value(rate * 1.01, Some(now))))];
    input.latency = Some(LatencyInput { sample: Sample::value(latency, Some(now)), resolvable: true, started: None });
    input.replicas.desired = state_floor;
    input.replicas.ready = state_floor.min(policy.max_replicas);
    input
}

fn adopt(policy: &Policy) -> State {
    State::adopt(policy, Time::from_secs(1_767_225_600), Adopted { floor: Some(3), cap: Some(20), observed: 3 })
}

/// Seconds for so many decisions of one app.
fn decisions(count: u32) -> f64 {
    let policy = policy();
    let mut state = adopt(&policy);
    let mut floor = 3;
    let start = Instant::now();
    for step in 1..=count {
        let decision = decide::advance(&policy, &mut state, &input(&policy, floor, step));
        floor = black_box(decision).floor;
    }
    start.elapsed().as_secs_f64()
}

/// Resident bytes per app after an hour of ticks.
fn memory_per_app() -> Result<f64> {
    let policy = policy();
    let before = resident()?;
    let mut states: Vec<State> = (0..APPS).map(|_| adopt(&policy)).collect();
    let hour = Duration::from_secs(3600).as_millis() / 5000;
    for state in &mut states {
        let mut floor = 3;
        // Every tick: a silence of more than three would lose what is to be measured.
        for step in 1..=u32::try_from(hour)? {
            floor = decide::advance(&policy, state, &input(&policy, floor, step)).floor;
        }
    }
    let after = resident()?;
    black_box(&states);
    Ok((after - before) / APPS as f64)
}

fn resident() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024.0)
}
