//! `lpctl simulate`: a recorded trace replayed through the code that the operator runs.

mod args;
mod compare;
mod csv;
mod fail_if;
mod load;
mod plot;
mod query_range;
mod report;

pub use args::{Args, Output};

use anyhow::{Context, Result, bail};
use decide::{Time, Tunables};
use fail_if::FailIf;
use load::{Found, Options, Wanted};
use replay::{
    ClosedLoop, Replay, Subject, World,
    trace::{Clock, Series, Trace},
};
use report::Heading;
use std::{
    io::{BufWriter, Read, Write},
    path::Path,
};

/// The most steps that a replay may take: two months at 5 s. Each is kept for the report.
const MOST_STEPS: u64 = 1_000_000;

/// How a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No `--fail-if` holds: exit code 0.
    Passed,
    /// One holds: exit code 1.
    Failed,
}

/// Everything that a replay needs, read and checked.
pub struct Prepared {
    trace: Trace,
    ours: Side,
    theirs: Option<Side>,
    notes: Vec<String>,
}

/// One of the policies that are compared.
struct Side {
    found: Found,
    subject: Subject,
    world: World,
}

impl Prepared {
    /// Reads what the arguments name.
    ///
    /// # Errors
    /// Bad input, and what cannot be read.
    pub fn new(args: &Args) -> Result<Self> {
        args.check()?;
        let (namespace, platform) = (args.namespace.as_deref(), args.platform.as_deref());
        let found = args.find(&args.file, Wanted { namespace, platform, like: None })?;
        let like = Wanted { like: Some(&found), ..Wanted::default() };
        let other = args.against.as_deref().map(|path| args.find(path, like)).transpose()?;
        let (trace, mut notes) = args.trace()?;
        let ours = args.side(found, &trace, &mut notes)?;
        args.check_measures(&ours, &mut notes)?;
        let theirs = other.map(|found| args.other_side(found, &trace, &ours, &mut notes)).transpose()?;
        notes.dedup();
        Ok(Self { trace, ours, theirs, notes })
    }

    /// Replays the trace on the policy of `-f`: pure, and all that a benchmark of the replay has to time.
    pub fn replay(&self) -> Replay {
        self.ours.replay(&self.trace)
    }
}

impl Side {
    fn replay(&self, trace: &Trace) -> Replay {
        replay::replay(&self.subject, trace, &self.world)
    }
}

/// Runs the command: the report goes to `out`, notes and failed conditions to `err`.
///
/// # Errors
/// Bad input, for which the exit code is 2, and what cannot be read or written.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Result<Verdict> {
    let prepared = Prepared::new(args)?;
    for note in &prepared.notes {
        writeln!(err, "note: {note}")?;
    }
    let Prepared { trace, ours: Side { found, world, .. }, .. } = &prepared;
    let replay = prepared.replay();
    let other = prepared.theirs.as_ref().map(|side| side.replay(trace));

    if let Some(path) = &args.plot {
        let title = format!("{} of {}", found.app(), found.platform());
        let svg = plot::svg(&title, trace, &replay, other.as_ref(), world.capacity).map_err(anyhow::Error::msg)?;
        std::fs::write(path, svg).with_context(|| format!("--plot {}: cannot be written", path.display()))?;
    }
    // A report is many small pieces.
    let out = &mut BufWriter::new(out);
    let heading = Heading { app: found.app(), platform: found.platform(), trace, interval: args.evaluation_interval };
    match (&other, &args.against) {
        (Some(other), Some(against)) => {
            let labels = [shown(&args.file), shown(against)];
            compare::write(out, args.output, args.all, &heading, &labels, &replay, other)?;
        }
        _ => report::write(out, args.output, args.all, &heading, &replay)?,
    }
    out.flush()?;

    let failures: Vec<String> = args.fail_if.iter().filter_map(|gate| gate.failure(&replay.summary)).collect();
    for failure in &failures {
        writeln!(err, "{failure}")?;
    }
    Ok(if failures.is_empty() { Verdict::Passed } else { Verdict::Failed })
}

impl Args {
    /// What clap cannot check.
    fn check(&self) -> Result<()> {
        let files =
            [Some(&self.file), self.trace.as_ref(), self.rate.as_ref(), self.latency.as_ref(), self.against.as_ref()];
        if files.iter().flatten().filter(|path| path.as_path() == Path::new("-")).count() > 1 {
            bail!("only one file can be standard input (-)");
        }
        Ok(())
    }

    fn find(&self, path: &Path, wanted: Wanted<'_>) -> Result<Found> {
        load::find(&shown(path), &read(path)?, wanted, &self.app)
    }

    fn trace(&self) -> Result<(Trace, Vec<String>)> {
        let mut notes = Vec::new();
        let mut range = |path: &Path| -> Result<Series> {
            let name = shown(path);
            let parsed = query_range::parse(&name, &read(path)?)?;
            notes.extend(parsed.notes);
            Ok(parsed.series)
        };
        let trace = match (&self.trace, &self.rate) {
            (Some(path), _) => csv::parse(&shown(path), &read(path)?)?,
            (None, Some(path)) => {
                let rate = range(path)?;
                let latency = self.latency.as_deref().map(&mut range).transpose()?;
                query_range::trace(&shown(path), rate, latency)?
            }
            (None, None) => bail!("give a trace: --trace FILE.csv or --rate FILE.json"),
        };
        let trace = match self.scrape_interval {
            Some(interval) => trace.scraped_every(interval),
            None => trace,
        };
        notes.extend(self.latency.as_deref().and_then(|path| query_range::misses(&shown(path), &trace)));
        let steps = replay::length(&trace, self.evaluation_interval);
        if steps > MOST_STEPS {
            bail!(
                "the trace lasts from {} to {}, which is {steps} steps of {}: check its times, replay a part of it (at most {MOST_STEPS} steps), or use a longer --evaluation-interval",
                trace.clock.show(trace.start),
                trace.clock.show(trace.end),
                self.evaluation_interval
            );
        }
        Ok((trace, notes))
    }

    fn tunables(&self) -> Result<Tunables> {
        let mut tunables = Tunables::default();
        for pair in &self.tunables {
            operator::args::set_tunable(&mut tunables, pair).map_err(anyhow::Error::msg)?;
        }
        tunables.evaluation_interval = self.evaluation_interval;
        Ok(tunables)
    }

    fn side(&self, found: Found, trace: &Trace, notes: &mut Vec<String>) -> Result<Side> {
        let world = self.world(&found, trace)?;
        let options =
            Options { tunables: self.tunables()?, shift: world.shift, latency_modelled: self.closed_loop.is_some() };
        let (subject, remarks) = found.subject(trace, &options)?;
        notes.extend(remarks);
        Ok(Side { found, subject, world })
    }

    /// What the gates and the model of cpu need of `-f`, which is what they look at.
    fn check_measures(&self, ours: &Side, notes: &mut Vec<String>) -> Result<()> {
        let file = shown(&self.file);
        if self.cpu_per_request.is_some() && ours.subject.cpu_target.is_none() {
            bail!(
                "{file}: --cpu-per-request needs a target of the HPA: set autoscaling.cpu, and resources.requests.cpu for a utilization"
            );
        }
        if ours.world.capacity.is_none() {
            let remedy = "set requestRate.perPod, or use --closed-loop";
            if self.fail_if.iter().any(FailIf::needs_capacity) {
                bail!("--fail-if underCapacitySeconds: {file}: nothing says what a pod carries: {remedy}");
            }
            notes.push(format!("{file}: nothing says what a pod carries, so underCapacitySeconds stays 0: {remedy}"));
        }
        Ok(())
    }

    /// The policy of `--against`: it need not have what is measured, and it is measured as `-f` is, so that the figures can be
    /// compared.
    fn other_side(&self, found: Found, trace: &Trace, ours: &Side, notes: &mut Vec<String>) -> Result<Side> {
        let mut side = self.side(found, trace, notes)?;
        let file = self.against.as_deref().map(shown).unwrap_or_default();
        if self.cpu_per_request.is_some() && side.subject.cpu_target.is_none() {
            notes.push(format!(
                "{file}: --cpu-per-request asks for no pods here: the app has no autoscaling.cpu, or no resources.requests.cpu for its utilization"
            ));
        }
        if let Some(capacity) = ours.world.capacity
            && side.world.capacity != ours.world.capacity
        {
            notes.push(format!(
                "{file}: under capacity is what {} makes it, {} requests/s per pod",
                shown(&self.file),
                replay::short(capacity)
            ));
        }
        side.world.capacity = ours.world.capacity;
        Ok(side)
    }

    fn world(&self, found: &Found, trace: &Trace) -> Result<World> {
        if trace.clock == Clock::Rfc3339 && self.start_at.is_some() {
            bail!("--start-at is for traces in seconds, and this one has dates already: leave it out");
        }
        let mut rollouts = Vec::new();
        for (text, (time, _)) in &self.rollout_at {
            if !(trace.start..trace.end).contains(time) {
                let (start, end) = (trace.clock.show(trace.start), trace.clock.show(trace.end));
                bail!(
                    "--rollout-at {text}: is outside of the trace, which lasts from {start} to {end}: write a time in between"
                );
            }
            rollouts.push(*time);
        }
        rollouts.sort_unstable();
        Ok(World {
            interval: self.evaluation_interval,
            hpa_sync: self.hpa_sync,
            pod_start: self.pod_start,
            start_pods: self.start_pods.unwrap_or(u32::try_from(found.autoscaling.min_replicas).unwrap_or(0)),
            rollouts,
            shift: self
                .start_at
                .map_or(0, |start| Time::from(start).as_millis().saturating_sub(trace.start.as_millis())),
            closed_loop: self.closed_loop.map(|per_pod| ClosedLoop {
                per_pod,
                budget: found.budget(),
                at_gateway: found.at_gateway(),
            }),
            cpu_per_request: self.cpu_per_request,
            capacity: self.closed_loop.or(found.per_pod()),
        })
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

fn read(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}
