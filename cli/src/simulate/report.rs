//! Reports of one replay: a summary with a table, JSON, and YAML.

use super::args::Output;
use anyhow::Result;
use decide::{Duration, SignalState, StageName, Time, Why};
use replay::{
    Plain, Replay, Step, Summary, short,
    trace::{Clock, Series, Trace},
};
use serde::Serialize;
use std::io::Write;

/// The width that tables keep to, in characters.
pub const WIDTH: usize = 100;

/// What a report is about.
pub struct Heading<'a> {
    /// Name of the app.
    pub app: &'a str,
    /// Name of its platform.
    pub platform: &'a str,
    /// The trace.
    pub trace: &'a Trace,
    /// Time between two steps.
    pub interval: Duration,
}

/// A step as it is printed.
#[derive(Serialize)]
pub struct StepView<'a> {
    time: Plain,
    rate: Option<Plain>,
    latency: Option<Plain>,
    signals: Vec<SignalView<'a>>,
    floor: u32,
    cap: u32,
    pods: u32,
    ready: u32,
    stages: Vec<StageView<'a>>,
}

#[derive(Serialize)]
struct SignalView<'a> {
    name: &'a str,
    state: &'static str,
    value: Option<Plain>,
    proposal: Option<u32>,
}

#[derive(Serialize)]
struct StageView<'a> {
    name: StageName,
    before: u32,
    after: u32,
    why: &'a Why,
}

impl<'a> StepView<'a> {
    /// The printed form of a step.
    pub fn of(step: &'a Step) -> Self {
        let decision = &step.decision;
        let demand = decision.signals.iter().map(|signal| SignalView {
            name: &signal.name,
            state: word(&signal.state),
            value: signal.value.map(Plain),
            proposal: signal.proposal,
        });
        let latency = decision.latency.iter().map(|latency| SignalView {
            name: &latency.name,
            state: word(&latency.state),
            value: latency.value.map(Plain),
            proposal: None,
        });
        let stages = decision.stages.iter();
        Self {
            time: Plain(step.time.as_millis() as f64 / 1000.0),
            rate: step.rate.map(Plain),
            latency: step.latency.map(Plain),
            signals: demand.chain(latency).collect(),
            floor: decision.floor,
            cap: decision.cap,
            pods: step.pods,
            ready: step.ready,
            stages: stages
                .map(|stage| StageView { name: stage.name, before: stage.before, after: stage.after, why: &stage.why })
                .collect(),
        }
    }
}

/// The state of a sample as one word.
pub fn word(state: &SignalState) -> &'static str {
    match state {
        SignalState::Full => "Value",
        SignalState::RaiseOnly(_) => "RaiseOnly",
        SignalState::NoData => "NoData",
        SignalState::SeriesNeverSeen => "SeriesNeverSeen",
        SignalState::TooFewSamples(_) => "TooFewSamples",
        SignalState::NotANumber(_) => "NotANumber",
        SignalState::Stale(_) => "Stale",
        SignalState::Ambiguous(..) => "Ambiguous",
        SignalState::Error(..) => "SourceError",
    }
}

/// A replay as it is printed.
#[derive(Serialize)]
pub struct ReplayView<'a> {
    summary: &'a Summary,
    steps: Vec<StepView<'a>>,
}

impl<'a> ReplayView<'a> {
    /// The printed form of a replay.
    pub fn of(replay: &'a Replay) -> Self {
        Self { summary: &replay.summary, steps: replay.steps.iter().map(StepView::of).collect() }
    }
}

/// Writes the report of one replay.
///
/// # Errors
/// What `out` cannot take.
pub fn write(out: &mut dyn Write, output: Output, all: bool, heading: &Heading<'_>, replay: &Replay) -> Result<()> {
    match output {
        Output::Table => {
            write_heading(out, heading, replay.steps.len())?;
            for (label, value) in summary_lines(&replay.summary) {
                writeln!(out, "  {label:<22}{value:>12}")?;
            }
            writeln!(out)?;
            write_table(out, all, heading.trace, replay)
        }
        Output::Json => {
            write!(out, "{{")?;
            write_json(out, "", replay)?;
            writeln!(out, "\n}}")?;
            Ok(())
        }
        Output::Yaml => {
            out.write_all(serde_saphyr::to_string(&ReplayView::of(replay))?.as_bytes())?;
            Ok(())
        }
    }
}

/// Summary and steps as members of an open JSON object, one step per line.
///
/// # Errors
/// What `out` cannot take.
pub fn write_json(out: &mut dyn Write, indent: &str, replay: &Replay) -> Result<()> {
    write!(out, "\n{indent}  \"summary\": ")?;
    serde_json::to_writer(&mut *out, &replay.summary)?;
    write!(out, ",\n{indent}  \"steps\": [")?;
    for (index, step) in replay.steps.iter().enumerate() {
        write!(out, "{}\n{indent}    ", if index == 0 { "" } else { "," })?;
        serde_json::to_writer(&mut *out, &StepView::of(step))?;
    }
    write!(out, "\n{indent}  ]")?;
    Ok(())
}

/// The first lines of a table.
///
/// # Errors
/// What `out` cannot take.
pub fn write_heading(out: &mut dyn Write, heading: &Heading<'_>, steps: usize) -> Result<()> {
    let Heading { app, platform, trace, interval } = heading;
    let (from, to) = (trace.clock.show(trace.start), trace.clock.show(trace.end));
    let unit = if trace.clock == Clock::Seconds { " s" } else { "" };
    let every = trace.rate.scrape_interval();
    let latency = trace.latency.as_ref().map(Series::scrape_interval).filter(|latency| *latency != every);
    let latency = latency.map(|latency| format!(" (latency every {latency})")).unwrap_or_default();
    writeln!(
        out,
        "{app} of {platform}, {from} to {to}{unit}: {steps} steps of {interval}, scraped every {every}{latency}\n"
    )?;
    Ok(())
}

/// Labels and values of a summary.
pub fn summary_lines(summary: &Summary) -> [(&'static str, String); 6] {
    let values = summary.values().map(short);
    let labels = ["pod hours", "peak pods", "under capacity, s", "scale ups", "scale downs", "blocked downs"];
    let mut lines = labels.map(|label| (label, String::new()));
    lines.iter_mut().zip(values).for_each(|(line, value)| line.1 = value);
    lines
}

fn write_table(out: &mut dyn Write, all: bool, trace: &Trace, replay: &Replay) -> Result<()> {
    let times = Times::of(trace);
    let mut table = Table::new(&["TIME", "RATE", "LATENCY", "FLOOR", "CAP", "PODS", "READY", "WHY"]);
    let mut shown: Option<&Step> = None;
    for step in &replay.steps {
        if all || shown.is_none_or(|before| differs(before, step)) {
            let decision = &step.decision;
            table.row(vec![
                times.show(step.time),
                signal(step.rate, decision.signals.first().map(|signal| &signal.state)),
                signal(step.latency, decision.latency.as_ref().map(|latency| &latency.state)),
                decision.floor.to_string(),
                decision.cap.to_string(),
                step.pods.to_string(),
                step.ready.to_string(),
                decision.sentence(),
            ]);
            shown = Some(step);
        }
    }
    table.write(out)
}

/// Whether a step shows anything that the one shown before did not: counts, or the state of a signal.
pub fn differs(before: &Step, step: &Step) -> bool {
    let counts = |step: &Step| (step.decision.floor, step.decision.cap, step.pods, step.ready);
    counts(before) != counts(step) || !states(before).eq(states(step))
}

fn states(step: &Step) -> impl Iterator<Item = &'static str> {
    let latency = step.decision.latency.iter().map(|latency| word(&latency.state));
    step.decision.signals.iter().map(|signal| word(&signal.state)).chain(latency)
}

/// A signal's number, or why there is none.
pub fn signal(value: Option<f64>, state: Option<&SignalState>) -> String {
    match (value, state) {
        (Some(value), _) => short(value),
        (None, Some(SignalState::NoData)) => "none".into(),
        (None, Some(SignalState::NotANumber(what))) => what.to_string(),
        (None, Some(SignalState::Error(..))) => "error".into(),
        (None, _) => "-".into(),
    }
}

/// Times as the table writes them: without the year, and without the date where the trace lies within one day.
pub struct Times {
    clock: Clock,
    one_day: bool,
}

impl Times {
    /// For a trace.
    pub fn of(trace: &Trace) -> Self {
        let day = |time: Time| time.as_millis().div_euclid(86_400_000);
        Self {
            clock: trace.clock,
            one_day: day(trace.start) == day(Time::from_millis(trace.end.as_millis().saturating_sub(1))),
        }
    }

    /// One time.
    pub fn show(&self, time: Time) -> String {
        let text = self.clock.show(time);
        match text.split_once('T') {
            Some((_, of_day)) if self.one_day => of_day.to_owned(),
            Some((date, of_day)) => format!("{} {of_day}", date.split_once('-').map_or(date, |(_, day)| day)),
            None => text,
        }
    }
}

/// A table whose last column takes what width is left, cut off with an ellipsis; the columns before it are to the right, the
/// first to the left.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header.
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row of as many cells as the header.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes it.
    ///
    /// # Errors
    /// What `out` cannot take.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let columns = self.rows[0].len();
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &self.rows {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).take(columns - 1).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            line.push_str("  ");
            let room = WIDTH.saturating_sub(line.chars().count());
            let last = &row[columns - 1];
            if last.chars().count() > room {
                line.extend(last.chars().take(room.saturating_sub(1)));
                line.push('…');
            } else {
                line.push_str(last);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
