//! iCalendar text (RFC 5545) to windows.
//!
//! Recurrence rules are expanded in local time, and every local time then goes through the one rule for clock changes that
//! all schedules share ([`Window::local`]). `VTIMEZONE` definitions are not evaluated: zones are looked up by name in the
//! built-in tz database.

mod rule;
mod text;

use std::collections::BTreeSet;

use jiff::civil;
use jiff::tz::TimeZone;

use crate::schedule::{Window, time_zone};
use crate::time::Time;
use text::{Component, Property};

/// More windows of one calendar are not kept: each costs memory for as long as it lies ahead.
pub const MAX_WINDOWS: usize = 2000;

/// No zone of the tz database has a longer name.
const MAX_ZONE: usize = 100;

/// A calendar that cannot be used.
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
    /// A zone that the built-in tz database does not know.
    #[error("time zone {0:?} is not in the IANA database; use a name such as Europe/Berlin")]
    UnknownZone(String),
}

/// What a calendar gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion {
    /// The earliest [`MAX_WINDOWS`] windows, in order of their start.
    pub windows: Vec<Window>,
    /// Later windows, which are left out.
    pub left_out: usize,
    /// Events that cannot be used: without a start, with a rule that cannot be read, comes too often or takes too long to
    /// expand, in an unknown zone. The others count.
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
/// summary contains it. `zone` is the IANA zone of all-day events and of times without one. Cancelled events give none; a
/// changed occurrence replaces the one of the rule.
///
/// # Errors
/// Text that is too long or no iCalendar, and an unknown `zone`.
pub fn windows(
    text: &str,
    zone: &str,
    summary: Option<&str>,
    from: Time,
    until: Time,
) -> Result<Expansion, CalendarError> {
    let default_zone = find_zone(zone)?;
    let components = text::components(text)?;
    let zones = Zones { default: default_zone, aliases: aliases(&components) };

    let counts = |component: &&Component| {
        component.name == "VEVENT" && summary.is_none_or(|part| component.text("SUMMARY").contains(part))
    };
    let mut expansion = Expansion::default();
    let mut events = Vec::new();
    for component in components.iter().filter(counts) {
        match Event::read(component, &zones) {
            Ok(event) => events.push(event),
            Err(problem) => expansion.problems.push(problem),
        }
    }
    let mut steps = rule::Steps::new();
    for event in events.iter().filter(|event| !event.cancelled) {
        let replaced: BTreeSet<civil::DateTime> = events
            .iter()
            .filter(|other| event.replaces.is_none() && !event.uid.is_empty() && other.uid == event.uid)
            .filter_map(|other| other.replaces.as_ref().and_then(|at| at.in_zone(&event.start.zone)))
            .collect();
        let starts = event.occurrences(from, until, &mut steps).unwrap_or_else(|problem| {
            expansion.problems.push(problem);
            Vec::new()
        });
        for start in starts {
            if replaced.contains(&start) {
                continue;
            }
            let Ok(end) = start.checked_add(event.length) else { continue };
            let window = Window::local(start, end, &event.start.zone);
            if window.floor.0 < window.floor.1 && window.floor.1 > from && window.floor.0 < until {
                expansion.push(window);
            }
        }
    }
    expansion.sort();
    Ok(expansion)
}

/// A local time in its zone.
#[derive(Clone, Debug)]
struct Local {
    time: civil::DateTime,
    zone: TimeZone,
    is_date: bool,
}

impl Local {
    /// What clocks in `zone` show at this time.
    fn in_zone(&self, zone: &TimeZone) -> Option<civil::DateTime> {
        if self.zone == *zone {
            return Some(self.time);
        }
        let instant = self.zone.to_timestamp(self.time).ok()?;
        Some(zone.to_datetime(instant))
    }
}

struct Zones {
    default: TimeZone,
    /// Names of the calendar's own, with the IANA name that their definition states.
    aliases: Vec<(String, String)>,
}

impl Zones {
    fn get(&self, name: &str) -> Result<TimeZone, CalendarError> {
        let alias = self.aliases.iter().find(|(own, _)| own == name).map(|(_, iana)| iana.as_str());
        // Some programs prefix the name with a path of their own, such as /example.org/Olson_1/Europe/Berlin.
        let mut candidate = alias.unwrap_or(name).trim_matches(['"', '/']);
        loop {
            if candidate.len() > MAX_ZONE {
                return Err(CalendarError::UnknownZone(short(name)));
            }
            match (time_zone(candidate), candidate.split_once('/')) {
                (Ok(zone), _) => return Ok(zone),
                (Err(_), Some((_, rest))) => candidate = rest,
                (Err(_), None) => return Err(CalendarError::UnknownZone(short(name))),
            }
        }
    }
}

struct Event {
    name: String,
    uid: String,
    start: Local,
    length: jiff::Span,
    rules: Vec<String>,
    extra: Vec<civil::DateTime>,
    except: BTreeSet<civil::DateTime>,
    /// The occurrence of a rule that this event stands for.
    replaces: Option<Local>,
    cancelled: bool,
}

impl Event {
    fn read(component: &Component, zones: &Zones) -> Result<Self, CalendarError> {
        let uid = component.text("UID");
        let name = [component.text("SUMMARY"), uid.clone(), "without a name".into()];
        let name = name.into_iter().find(|text| !text.is_empty()).map(|name| short(&name)).unwrap_or_default();
        let error = |problem: &str| CalendarError::Event { event: name.clone(), problem: problem.into() };
        let one = |property: &Property| {
            let mut times = read_times(property, zones)?.into_iter();
            times.next().ok_or(CalendarError::Syntax(format!("{} has no time", property.name)))
        };

        let start = component.property("DTSTART").ok_or_else(|| error("it has no DTSTART; give it a start"))?;
        let start = one(start).map_err(|cause| with_name(&name, cause))?;
        let length = match (component.property("DTEND"), component.property("DURATION")) {
            (Some(end), _) => {
                let end = one(end).map_err(|cause| with_name(&name, cause))?;
                let end = end.in_zone(&start.zone).ok_or_else(|| error("its DTEND is out of range"))?;
                if end < start.time {
                    return Err(error("its DTEND is before its DTSTART; swap them"));
                }
                end.since(start.time).map_err(|_| error("its DTEND is out of range"))?
            }
            (None, Some(duration)) => {
                duration.value.parse().map_err(|_| error("its DURATION cannot be read; write it like PT2H"))?
            }
            (None, None) => jiff::Span::new().days(i32::from(start.is_date)),
        };
        let mut event = Self {
            name: name.clone(),
            uid,
            length,
            rules: Vec::new(),
            extra: Vec::new(),
            except: BTreeSet::new(),
            replaces: None,
            cancelled: component.text("STATUS").eq_ignore_ascii_case("CANCELLED"),
            start,
        };
        for property in &component.properties {
            let times = || read_times(property, zones).map_err(|cause| with_name(&name, cause));
            let local = |times: Vec<Local>| -> Vec<_> {
                times.iter().filter_map(|time| time.in_zone(&event.start.zone)).collect()
            };
            match property.name.as_str() {
                "RRULE" => event.rules.push(property.value.clone()),
                "RDATE" => event.extra.extend(local(times()?)),
                "EXDATE" => event.except.extend(local(times()?)),
                "RECURRENCE-ID" => event.replaces = times()?.into_iter().next(),
                _ => {}
            }
        }
        Ok(event)
    }

    /// The local starts of all occurrences that may touch `from..until`.
    fn occurrences(
        &self,
        from: Time,
        until: Time,
        steps: &mut rule::Steps,
    ) -> Result<Vec<civil::DateTime>, CalendarError> {
        let mut starts = if self.rules.is_empty() { vec![self.start.time] } else { Vec::new() };
        for rule in &self.rules {
            starts.extend(
                self.expand(rule, from, until, steps)
                    .map_err(|problem| CalendarError::Event { event: self.name.clone(), problem })?,
            );
        }
        starts.extend(&self.extra);
        starts.retain(|start| !self.except.contains(start));
        starts.sort_unstable();
        starts.dedup();
        Ok(starts)
    }

    fn expand(
        &self,
        rule: &str,
        from: Time,
        until: Time,
        steps: &mut rule::Steps,
    ) -> Result<Vec<civil::DateTime>, String> {
        let local = |time: Time| {
            let instant = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            Some(self.start.zone.to_datetime(instant))
        };
        // Clocks that change may be off by hours, hence the day on both sides.
        let day = jiff::Span::new().days(1);
        let after = local(from).and_then(|time| time.checked_sub(day).ok()?.checked_sub(self.length).ok());
        let before = local(until).and_then(|time| time.checked_add(day).ok());
        let (rule, last) = self.without_until(rule).ok_or("its RRULE has an UNTIL that cannot be read")?;
        let before = before.into_iter().chain(last).min().unwrap_or(civil::DateTime::MAX);
        rule::occurrences(&rule, self.start.time, (after.unwrap_or(civil::DateTime::MIN), before), steps)
    }

    /// The rule without its end, and that end in the event's zone.
    fn without_until(&self, rule: &str) -> Option<(String, Option<civil::DateTime>)> {
        let (mut parts, mut last) = (Vec::new(), None);
        for part in rule.split(';') {
            match part.split_once('=') {
                Some((key, value)) if key.eq_ignore_ascii_case("UNTIL") => {
                    let zone = &self.start.zone;
                    let until = read_time(value, zone)?;
                    // A date means the whole of that day.
                    let time = if until.is_date { until.time.date().at(23, 59, 59, 0) } else { until.in_zone(zone)? };
                    last = Some(time);
                }
                _ => parts.push(part),
            }
        }
        Some((parts.join(";"), last))
    }
}

fn with_name(event: &str, cause: CalendarError) -> CalendarError {
    match cause {
        CalendarError::Syntax(problem) => CalendarError::Event { event: event.into(), problem },
        other => other,
    }
}

/// The times of a property such as `DTSTART;TZID=Europe/Berlin:20261207T073000` or a list of them.
fn read_times(property: &Property, zones: &Zones) -> Result<Vec<Local>, CalendarError> {
    let zone = match &property.zone {
        Some(name) => zones.get(name)?,
        None => zones.default.clone(),
    };
    let read = |text: &str| {
        // RDATE may hold periods; only their starts are occurrences of the event's own length.
        let start = text.split('/').next().unwrap_or(text).trim();
        read_time(start, &zone).ok_or_else(|| {
            CalendarError::Syntax(format!(
                "its {} {:?} is not a time; write it like 20261207T073000",
                property.name,
                short(text)
            ))
        })
    };
    property.value.split(',').map(read).collect()
}

fn read_time(text: &str, zone: &TimeZone) -> Option<Local> {
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        return Some(Local { time: utc.parse().ok()?, zone: TimeZone::UTC, is_date: false });
    }
    if text.contains(['T', 't']) {
        return Some(Local { time: text.parse().ok()?, zone: zone.clone(), is_date: false });
    }
    let date: civil::Date = text.parse().ok()?;
    Some(Local { time: date.at(0, 0, 0, 0), zone: zone.clone(), is_date: true })
}

fn aliases(components: &[Component]) -> Vec<(String, String)> {
    let zones = components.iter().filter(|component| component.name == "VTIMEZONE");
    zones
        .filter_map(|zone| {
            let value = |name| zone.property(name).map(|property| property.value.clone());
            Some((value("TZID")?, value("X-LIC-LOCATION")?))
        })
        .collect()
}

fn find_zone(name: &str) -> Result<TimeZone, CalendarError> {
    time_zone(name).map_err(|_| CalendarError::UnknownZone(name.into()))
}

/// What a message repeats of a calendar; a line of it may be as long as the whole.
fn short(text: &str) -> String {
    const LENGTH: usize = 80;
    match text.char_indices().nth(LENGTH) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
