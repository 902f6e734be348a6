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
    let lines = reports.iter().flat_map(|r| &r.checks).filter(|line| bad(line.result));
    lines.map(|line| written(line, style)).collect::<String>() + &summary(reports, style)
}

fn written(line: &super::Line, style: &Style) -> String {
    let mark = style.mark(line.result.mark());
    let mut text = line.description.clone();
    if !line.evidence.is_empty() {
        text.push_str(&format!(" ({})", line.evidence));
    }
    let mut out = style.hang(&format!("{mark} "), &text);
    for (label, text) in [("", &line.problem), ("fix: ", &line.fix), ("see: ", &line.see)] {
        if !text.is_empty() {
            out.push_str(&style.hang(&format!("    {label}"), text));
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
