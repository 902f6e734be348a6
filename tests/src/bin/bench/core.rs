//! The decision core: decisions per second, memory per app, and the replay of a day.

use anyhow::{Context, Result};
use decide::{
    Adopted, Behavior, Demand, DemandInput, Duration, Input, Latency, LatencyInput, Policy, Sample, State, Time,
};
use std::{fs, hint::black_box, time::Instant};

const DECISIONS: u32 = 200_000;
const APPS: usize = 10_000;
const RUNS: usize = 5;
const DAY_STEPS: u32 = 24 * 3600 / 5;

pub(crate) fn run() -> Result<()> {
    println!("Decision core (median of {RUNS} runs)");
    let seconds = median(|| decisions(DECISIONS));
    println!("  decisions per second                {:>12.0}", f64::from(DECISIONS) / seconds);
    let seconds = median(|| decisions(DAY_STEPS));
    println!("  a day at 5 s steps ({DAY_STEPS})          {:>9.1} ms   (goal: under 50)", seconds * 1000.0);
    println!("  memory per app, one hour remembered {:>9.1} KiB", memory_per_app()? / 1024.0);
    Ok(())
}

fn median(mut once: impl FnMut() -> f64) -> f64 {
    let mut times: Vec<f64> = (0..RUNS).map(|_| once()).collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn policy() -> Policy {
    let mut policy = Policy::new(3, 20);
    policy.demand = vec![Demand::request_rate(100.0)];
    policy.latency = Some(Latency::new("latency p95", 0.2));
    policy.behavior = Behavior::effective(None, None);
    policy.fallback_replicas = Some(6);
    policy
}

/// A day's shape, with noise that does not repeat soon.
fn input(policy: &Policy, state_floor: u32, step: u32) -> Input {
    let now = Time::from_secs(1_767_225_600 + 5 * i64::from(step));
    let hour = f64::from(step % DAY_STEPS) / f64::from(DAY_STEPS) * std::f64::consts::TAU;
    let noise = f64::from(step.wrapping_mul(2_654_435_761) >> 20) / 4096.0;
    let rate = 600.0 - 500.0 * hour.cos() + 60.0 * noise;
    let mut input = Input { now, ..Input::default() };
    input.demand =
        vec![DemandInput::single(Sample::value(rate, Some(now)), Some(Sample::value(rate * 1.01, Some(now))))];
    input.latency =
        Some(LatencyInput { sample: Sample::value(0.08 + 0.05 * noise, Some(now)), resolvable: true, started: None });
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
        // Every tenth tick, so that ten thousand apps take seconds; windows hold what changes, not every tick.
        for step in (1..=u32::try_from(hour)?).step_by(10) {
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
