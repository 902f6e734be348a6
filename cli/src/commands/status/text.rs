//! The view as text.

use super::view::PlatformView;
use crate::output::{Mark, Style, age, ago, pad};
use jiff::Timestamp;

/// Platforms one below the other.
pub fn table(views: &[PlatformView], style: &Style, now: Timestamp) -> String {
    views.iter().map(|view| platform(view, style, now)).collect::<Vec<_>>().join("\n")
}

fn platform(view: &PlatformView, style: &Style, now: Timestamp) -> String {
    let since = view.since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
    let head = format!(
        "{}  {}{since}  ",
        style.bold(&format!("{}/{}", view.namespace, view.name)),
        style.paint(view.mark, &view.state)
    );
    let mut out = style.hang(&head, &view.message);
    if let Some(stale) = &view.stale {
        let when = stale.changed.map(|changed| format!(" {}", ago(changed, now))).unwrap_or_default();
        let text = match stale.observed {
            Some(observed) => format!(
                "spec changed{when}, not seen yet: what follows is of generation {observed}, the spec is at {}",
                stale.generation
            ),
            None => format!("spec written{when}, not seen yet"),
        };
        out.push_str(&style.hang(&format!("  {} ", style.mark(Mark::Progress)), &text));
    }
    if view.suspended {
        let text = format!("suspended: nothing is written until annotation {} goes", crds::SUSPEND_ANNOTATION);
        out.push_str(&style.hang(&format!("  {} ", style.mark(Mark::Warning)), &text));
    }
    let label = |item: &super::Item| format!("{} {}", item.tier, item.name);
    // One very long name does not push every text out of a narrow window.
    let widest = view.items.iter().map(|i| label(i).len()).max().unwrap_or(0).min(style.width / 2);
    for item in &view.items {
        let prefix = format!("  {}  {} ", pad(&label(item), widest), style.mark(item.mark));
        let since = item.since.map(|since| format!(" for {}", age(since, now))).unwrap_or_default();
        let text = match item.mark {
            Mark::Good | Mark::Off => item.message.clone(),
            mark => format!("{}{since}: {}", style.paint(mark, &item.reason), item.message),
        };
        out.push_str(&style.hang(&prefix, &text));
    }
    out
}
