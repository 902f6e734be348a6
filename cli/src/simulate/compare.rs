//! Two policies on the same trace, side by side.

use super::{
    args::Output,
    report::{self, Heading, ReplayView, Table, Times},
};
use anyhow::Result;
use replay::{Replay, short};
use serde::Serialize;
use std::io::Write;

/// The longest label of a column of the summary.
const LABEL: usize = 24;

/// As the report of one, with the other below.
#[derive(Serialize)]
struct Comparison<'a> {
    #[serde(flatten)]
    replay: ReplayView<'a>,
    against: ReplayView<'a>,
}

/// Writes the report of `replay` beside `other`; both have the same steps.
///
/// # Errors
/// What `out` cannot take.
pub fn write(
    out: &mut dyn Write,
    output: Output,
    all: bool,
    heading: &Heading<'_>,
    labels: &[String; 2],
    replay: &Replay,
    other: &Replay,
) -> Result<()> {
    match output {
        Output::Table => {
            report::write_heading(out, heading, replay.steps.len())?;
            write_summary(out, labels, replay, other)?;
            write_table(out, all, heading, replay, other)
        }
        Output::Json => {
            write!(out, "{{")?;
            report::write_json(out, "", replay)?;
            write!(out, ",\n  \"against\": {{")?;
            report::write_json(out, "  ", other)?;
            writeln!(out, "\n  }}\n}}")?;
            Ok(())
        }
        Output::Yaml => {
            let comparison = Comparison { replay: ReplayView::of(replay), against: ReplayView::of(other) };
            out.write_all(serde_saphyr::to_string(&comparison)?.as_bytes())?;
            Ok(())
        }
    }
}

fn write_summary(out: &mut dyn Write, labels: &[String; 2], replay: &Replay, other: &Replay) -> Result<()> {
    let labels = labels.each_ref().map(|label| tail(label));
    let [wide, wider] = labels.each_ref().map(|label| label.chars().count().max(12));
    let [label, other_label] = &labels;
    writeln!(out, "  {:<20}  {label:>wide$}  {other_label:>wider$}  {:>12}", "", "difference")?;
    let changes = replay.summary.values().into_iter().zip(other.summary.values()).map(|(ours, theirs)| theirs - ours);
    let lines =
        report::summary_lines(&replay.summary).into_iter().zip(report::summary_lines(&other.summary)).zip(changes);
    for (((label, ours), (_, theirs)), change) in lines {
        let sign = if change > 0.0 { "+" } else { "" };
        let change = format!("{sign}{}", short(change));
        writeln!(out, "  {label:<20}  {ours:>wide$}  {theirs:>wider$}  {change:>12}")?;
    }
    writeln!(out)?;
    Ok(())
}

/// The end of a path that is too long: its beginning says least.
fn tail(label: &str) -> String {
    let length = label.chars().count();
    if length <= LABEL {
        label.to_owned()
    } else {
        format!("…{}", label.chars().skip(length - LABEL + 1).collect::<String>())
    }
}

fn write_table(out: &mut dyn Write, all: bool, heading: &Heading<'_>, replay: &Replay, other: &Replay) -> Result<()> {
    let times = Times::of(heading.trace);
    let mut table = Table::new(&[
        "TIME",
        "RATE",
        "LATENCY",
        "FLOOR",
        "PODS",
        "READY",
        "| FLOOR",
        "PODS",
        "READY",
        "WHY (of both, where they differ)",
    ]);
    let mut shown = None;
    for (ours, theirs) in replay.steps.iter().zip(&other.steps) {
        let changed = shown.is_none_or(|(a, b)| report::differs(a, ours) || report::differs(b, theirs));
        if !all && !changed {
            continue;
        }
        shown = Some((ours, theirs));
        let (a, b) = (&ours.decision, &theirs.decision);
        let why = if a.floor == b.floor { a.sentence() } else { format!("{} | {}", a.reason, b.reason) };
        table.row(vec![
            times.show(ours.time),
            report::signal(ours.rate, a.signals.first().map(|signal| &signal.state)),
            report::signal(ours.latency, a.latency.as_ref().map(|latency| &latency.state)),
            a.floor.to_string(),
            ours.pods.to_string(),
            ours.ready.to_string(),
            format!("| {}", b.floor),
            theirs.pods.to_string(),
            theirs.ready.to_string(),
            why,
        ]);
    }
    table.write(out)
}
