//! Reports as text.

use super::{CategoryReport, Outcome};
use crate::output::{Mark, Style};

/// Everything, as `linkerd check` does.
pub fn table(reports: &[CategoryReport], style: &Style) -> String {
    let mut out = String::new();
    for report in reports {
        let rule = if style.unicode { "─" } else { "-" };
        out.push_str(&format!("{}\n{}\n", style.bold(&report.category), rule.repeat(report.category.chars().count())));
        for line in &report.checks {
            out.push_str(&written(line, style));
        }
        out.push('\n');
    }
    out + &summary(reports, style)
}

/// Only what is not good.
pub fn short(reports: &[CategoryReport], style: &Style) -> String {
    let bad = |result| matches!(result, Outcome::Warning | Outcome::Error | Outcome::Unknown);
    let mut out = String::new();
    for report in reports {
        let lines: String = report.checks.iter().filter(|l| bad(l.result)).map(|l| written(l, style)).collect();
        if !lines.is_empty() {
            out.push_str(&format!("{}\n{lines}", style.bold(&report.category)));
        }
    }
    out + &summary(reports, style)
}

fn written(line: &super::Line, style: &Style) -> String {
    let mark = style.mark(line.result.mark());
    let mut text = line.description.clone();
    if !line.evidence.is_empty() {
        text.push_str(&format!(" ({})", line.evidence));
    }
    let mut out = style.hang(&format!("{mark} "), &text);
    if !line.problem.is_empty() {
        out.push_str(&style.hang("    ", &line.problem));
    }
    // Not wrapped: they are there to be copied.
    for (label, text) in [("fix", &line.fix), ("see", &line.see)] {
        if !text.is_empty() {
            out.push_str(&format!("    {label}: {text}\n"));
        }
    }
    out
}

fn summary(reports: &[CategoryReport], style: &Style) -> String {
    let count = |of: Outcome| reports.iter().flat_map(|r| &r.checks).filter(|l| l.result == of).count();
    let parts: Vec<String> = [
        (count(Outcome::Error), "failed"),
        (count(Outcome::Unknown), "could not be told"),
        (count(Outcome::Warning), "warned"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{number} {word}"))
    .collect();
    let (mark, text) = if parts.is_empty() {
        (Mark::Good, "all is well".to_owned())
    } else if count(Outcome::Error) + count(Outcome::Unknown) == 0 {
        (Mark::Good, format!("all is well, {}", parts.join(", ")))
    } else {
        (Mark::Bad, parts.join(", "))
    };
    format!("Status: {}\n", style.paint(mark, &text))
}
