//! iCalendar files of schedules: which events count, and for how far ahead.

use decide::{Duration, Time, Window, calendar::CalendarError};
use std::borrow::Cow;

/// Events are expanded from one day back (a window may be open) to this far ahead; policies are mapped anew daily.
pub const HORIZON: Duration = Duration::from_mins(35 * 24 * 60);

const BACK: Duration = Duration::from_mins(24 * 60);

/// The windows of an iCalendar text around `now`, of the events whose summary contains `summary`.
///
/// # Errors
/// A text that cannot be used; the message names the event and the remedy.
pub fn windows(text: &str, zone: &str, summary: Option<&str>, now: Time) -> Result<Vec<Window>, CalendarError> {
    let text = summary.map_or(Cow::Borrowed(text), |summary| Cow::Owned(filtered(text, summary)));
    decide::calendar::windows(&text, zone, now.minus(BACK), now.plus(HORIZON))
}

/// `text` without the events whose summary lacks `needle`.
fn filtered(text: &str, needle: &str) -> String {
    let (mut kept, mut event, mut inside, mut matches) = (String::new(), String::new(), false, false);
    for line in unfolded(text) {
        if line.eq_ignore_ascii_case("BEGIN:VEVENT") {
            (inside, matches) = (true, false);
            event.clear();
        }
        let target = if inside { &mut event } else { &mut kept };
        target.push_str(&line);
        target.push_str("\r\n");
        matches |= inside && summary_of(&line).is_some_and(|summary| summary.contains(needle));
        if line.eq_ignore_ascii_case("END:VEVENT") {
            if matches {
                kept.push_str(&event);
            }
            inside = false;
        }
    }
    kept
}

/// The text of a summary line with its escapes undone (RFC 5545, 3.3.11).
fn summary_of(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    if !name.split(';').next()?.eq_ignore_ascii_case("SUMMARY") {
        return None;
    }
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next().map(|next| if matches!(next, 'n' | 'N') { '\n' } else { next })),
            other => text.push(other),
        }
    }
    Some(text)
}

/// Logical lines: a line that begins with a space or tab goes on where the one before ended (RFC 5545, 3.1).
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_with_the_text_are_kept() {
        let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY;LANGUAGE=en:Final ex\r\n am\\, part 1\r\n\
                    END:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\nSUMMARY:Holiday\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let kept = filtered(text, "exam, part");
        assert!(kept.contains("UID:1"), "{kept}");
        assert!(!kept.contains("UID:2"), "{kept}");
        assert!(kept.starts_with("BEGIN:VCALENDAR") && kept.ends_with("END:VCALENDAR\r\n"), "{kept}");
    }
}
