//! Differences as a unified diff.

use super::Style;
use similar::{ChangeTag, TextDiff};

/// A unified diff of two texts with three lines of context, empty where they are equal.
pub fn unified(title: &str, before: &str, after: &str, style: &Style) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before, after);
    let mut out = style.bold(&format!("--- {title} (in the cluster)\n+++ {title} (wanted)\n"));
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let line = change.value().trim_end_matches('\n');
            let text = match change.tag() {
                ChangeTag::Delete => style.paint(super::Mark::Bad, &format!("-{line}")),
                ChangeTag::Insert => style.paint(super::Mark::Good, &format!("+{line}")),
                ChangeTag::Equal => format!(" {line}"),
            };
            out.push_str(&text);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_diff() {
        assert_eq!(unified("x", "a\n", "a\n", &Style::PLAIN), "");
    }

    #[test]
    fn a_change_shows_its_surroundings() {
        let diff = unified("Service story-web", "a: 1\nb: 2\n", "a: 1\nb: 3\n", &Style::PLAIN);
        assert_eq!(
            diff,
            "--- Service story-web (in the cluster)\n+++ Service story-web (wanted)\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n+b: 3\n"
        );
    }
}
