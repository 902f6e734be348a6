//! iCalendar text (RFC 5545) to windows.
//!
//! Recurrence rules are expanded in local time, and every local time then goes through the one rule for clock changes that
//! all schedules share ([`Window::local`]). `VTIMEZONE` definitions are not evaluated: zones are looked up by name in the
//! built-in tz database, by Windows' names, too. The text is read by a reader of our own, because the parsers of crates
//! recurse, and a file can be made to overflow the stack of one that does; recurrence rules are read by the crate `rrule`.

mod event;
mod rule;
mod text;
mod windows_zones;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use crate::schedule::Window;
use crate::time::Time;
use event::{Event, Exceptions};
use text::Component;
use zones::Zones;

/// More windows of one calendar are not kept: each costs memory for as long as it lies ahead.
pub const MAX_WINDOWS: usize = 2000;

/// A calendar that cannot be used, or a part of one that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The text is longer than any plan.
    #[error(
        "the calendar has {0} KiB, and at most {most} are read: remove events that are over, or split it by schedule",
        most = text::MAX_TEXT / 1024
    )]
    TooLong(usize),
    /// The text is no iCalendar.
    #[error("the calendar cannot be read: {0}; export it as iCalendar (.ics) and store the whole text")]
    Syntax(String),
    /// An event cannot be used.
    #[error("event {event:?}: {problem}")]
    Event {
        /// Its summary, else its UID.
        event: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// An event counts, but not all that it says.
    #[error("event {event:?}: {remark}")]
    InPart {
        /// Its summary, else its UID.
        event: String,
        /// What does not count and how to write it instead.
        remark: String,
    },
    /// A zone that the built-in tz database does not know.
    #[error("time zone {0:?} is not in the IANA database; use a name such as Europe/Berlin")]
    UnknownZone(String),
    /// A zone of the calendar that nobody knows, in whose place another counts.
    #[error(
        "time zone {name:?} is neither of the IANA database nor of Windows, so {taken} counts in its place; use a name such as Europe/Berlin in the calendar"
    )]
    OtherZone {
        /// What the calendar calls it.
        name: String,
        /// The zone that counts.
        taken: String,
    },
}

impl CalendarError {
    /// Whether an event is left out, so that only the others count.
    pub fn leaves_out(&self) -> bool {
        matches!(self, Self::Event { .. })
    }
}

/// What a calendar gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion {
    /// The earliest [`MAX_WINDOWS`] windows, in order of their start.
    pub windows: Vec<Window>,
    /// Later windows, which are left out.
    pub left_out: usize,
    /// Events that cannot be used: without a start, with a rule that cannot be read, comes too often or takes too long to
    /// expand. The others count. After them, what counts otherwise than it says.
    pub problems: Vec<CalendarError>,
}

impl Expansion {
    fn push(&mut self, window: Window) {
        self.windows.push(window);
        if self.windows.len() >= 2 * MAX_WINDOWS {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.windows.sort_by_key(|window| (window.floor, window.cap));
        self.left_out += self.windows.len().saturating_sub(MAX_WINDOWS);
        self.windows.truncate(MAX_WINDOWS);
    }
}

/// The windows of the events of an iCalendar text that touch `from..until`; with `summary`, of those events only whose
/// summary contains it. `zone` is the IANA zone of all-day events and of times without one, the calendar's `X-WR-TIMEZONE`
/// or else UTC where it is `None`. Cancelled events give none; a changed occurrence replaces the one of the rule.
///
/// # Errors
/// Text that is too long or no iCalendar, and an unknown `zone`.
pub fn windows(
    text: &str,
    zone: Option<&str>,
    summary: Option<&str>,
    from: Time,
    until: Time,
) -> Result<Expansion, CalendarError> {
    let zone = zone.map(zones::find).transpose()?;
    let components = text::components(text)?;
    let (zones, mut unknown) = Zones::new(zone, &components);

    let events = || components.iter().filter(|component| component.name == "VEVENT");
    let counts = |event: &Component| summary.is_none_or(|part| event.text("SUMMARY").contains(part));
    // A changed occurrence may have another summary than its series: it counts no longer, but neither does what it replaces.
    let series: BTreeSet<String> = events().filter(|event| counts(event)).map(|event| event.text("UID")).collect();
    let (mut expansion, mut remarks) = (Expansion::default(), Vec::new());
    let (mut found, mut changed) = (Vec::new(), BTreeMap::<String, Vec<_>>::new());
    for component in events() {
        let uid = component.text("UID");
        if !series.contains(&uid) {
            continue;
        }
        let event = event::changed(component, &zones, &mut remarks).and_then(|occurrence| {
            let is_changed = occurrence.is_some();
            changed.entry(uid).or_default().extend(occurrence);
            counts(component).then(|| Event::read(component, &zones, is_changed)).transpose()
        });
        match event {
            Ok(event) => found.extend(event),
            Err(problem) => expansion.problems.push(problem),
        }
    }
    let mut steps = rule::Steps::new();
    for event in found.into_iter().filter(|event| !event.cancelled) {
        let changed = changed.get(&event.uid).filter(|_| !event.is_changed && !event.uid.is_empty());
        let replaced = Exceptions::new(changed.into_iter().flatten(), &event.start);
        let occurrences = event.occurrences(from, until, &mut steps).unwrap_or_else(|problem| {
            expansion.problems.push(problem);
            Vec::new()
        });
        let mut counted = false;
        for (start, end) in occurrences.into_iter().filter(|(start, _)| !replaced.contain(*start)) {
            let window = Window::local(start, end, &event.start.zone);
            if window.floor.0 < window.floor.1 && window.floor.1 > from && window.floor.0 < until {
                expansion.push(window);
                counted = true;
            }
        }
        if counted {
            unknown.extend(event.unknown_zones);
            remarks.extend(event.remarks);
        }
    }
    expansion.sort();
    expansion.problems.extend(remarks);
    let taken = zones.default_name();
    expansion.problems.extend(unknown.into_iter().map(|name| CalendarError::OtherZone { name, taken: taken.clone() }));
    Ok(expansion)
}

/// What a message repeats of a calendar; a line of it may be as long as the whole.
fn short(text: &str) -> String {
    const LENGTH: usize = 80;
    match text.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
