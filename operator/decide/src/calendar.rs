//! iCalendar text (RFC 5545) to windows.
//!
//! Recurrence rules are expanded in local time, and every local time then goes through the one rule for clock changes that
//! all schedules share ([`Window::local`]). `VTIMEZONE` definitions are not evaluated: zones are looked up by name in the
//! built-in tz database.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use icalendar::parser::{Component, Property, read_calendar, unfold};
use jiff::civil;
use jiff::tz::TimeZone;
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use crate::schedule::{Window, time_zone};
use crate::time::Time;

/// More occurrences of one event within a horizon than any plan has; a bound on work and memory.
const MAX_OCCURRENCES: u16 = 5000;

/// A calendar that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
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

/// The windows of all events of an iCalendar text that touch `from..until`, in order of their start.
/// `zone` is the IANA zone of all-day events and of times without one. Cancelled events give none; a changed occurrence
/// replaces the one of the rule.
///
/// # Errors
/// Text that is no iCalendar, an event without a start, a recurrence rule that cannot be read or has too many
/// occurrences, an unknown zone.
pub fn windows(text: &str, zone: &str, from: Time, until: Time) -> Result<Vec<Window>, CalendarError> {
    let default_zone = find_zone(zone)?;
    // The parser wants the line ends of the standard; editors and YAML leave bare line feeds.
    let text = unfold(&text.replace("\r\n", "\n").replace('\n', "\r\n"));
    let calendar = read_calendar(&text).map_err(|error| CalendarError::Syntax(first_line(&error)))?;
    let zones = Zones { default: default_zone, aliases: aliases(&calendar.components) };

    let mut events = Vec::new();
    for component in calendar.components.iter().filter(|component| component.name == "VEVENT") {
        events.push(Event::read(component, &zones)?);
    }
    let mut windows = Vec::new();
    for event in events.iter().filter(|event| !event.cancelled) {
        let replaced: Vec<civil::DateTime> = events
            .iter()
            .filter(|other| event.replaces.is_none() && !event.uid.is_empty() && other.uid == event.uid)
            .filter_map(|other| other.replaces.as_ref().and_then(|at| at.in_zone(&event.start.zone)))
            .collect();
        for start in event.occurrences(from, until)? {
            if replaced.contains(&start) {
                continue;
            }
            let Ok(end) = start.checked_add(event.length) else { continue };
            let window = Window::local(start, end, &event.start.zone);
            if window.floor.0 < window.floor.1 && window.floor.1 > from && window.floor.0 < until {
                windows.push(window);
            }
        }
    }
    windows.sort_by_key(|window| (window.floor, window.cap));
    Ok(windows)
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
            match (time_zone(candidate), candidate.split_once('/')) {
                (Ok(zone), _) => return Ok(zone),
                (Err(_), Some((_, rest))) => candidate = rest,
                (Err(_), None) => return Err(CalendarError::UnknownZone(name.into())),
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
    except: Vec<civil::DateTime>,
    /// The occurrence of a rule that this event stands for.
    replaces: Option<Local>,
    cancelled: bool,
}

impl Event {
    fn read(component: &Component<'_>, zones: &Zones) -> Result<Self, CalendarError> {
        let text = |name: &str| component.find_prop(name).map(|property| property.val.to_string()).unwrap_or_default();
        let uid = text("UID");
        let name = [text("SUMMARY"), uid.clone(), "without a name".into()].into_iter().find(|text| !text.is_empty());
        let name = name.unwrap_or_default();
        let error = |problem: &str| CalendarError::Event { event: name.clone(), problem: problem.into() };
        let one = |property: &Property<'_>| {
            let mut times = read_times(property, zones)?.into_iter();
            times.next().ok_or(CalendarError::Syntax(format!("{} has no time", property.name)))
        };

        let start = component.find_prop("DTSTART").ok_or_else(|| error("it has no DTSTART; give it a start"))?;
        let start = one(start).map_err(|cause| with_name(&name, cause))?;
        let length = match (component.find_prop("DTEND"), component.find_prop("DURATION")) {
            (Some(end), _) => {
                let end = one(end).map_err(|cause| with_name(&name, cause))?;
                let end = end.in_zone(&start.zone).ok_or_else(|| error("its DTEND is out of range"))?;
                end.since(start.time).map_err(|_| error("its DTEND is out of range"))?
            }
            (None, Some(duration)) => {
                duration.val.as_str().parse().map_err(|_| error("its DURATION cannot be read; write it like PT2H"))?
            }
            (None, None) => jiff::Span::new().days(i32::from(start.is_date)),
        };
        let mut event = Self {
            name: name.clone(),
            uid,
            length,
            rules: Vec::new(),
            extra: Vec::new(),
            except: Vec::new(),
            replaces: None,
            cancelled: text("STATUS").eq_ignore_ascii_case("CANCELLED"),
            start,
        };
        for property in &component.properties {
            let times = || read_times(property, zones).map_err(|cause| with_name(&name, cause));
            let local = |times: Vec<Local>| -> Vec<_> {
                times.iter().filter_map(|time| time.in_zone(&event.start.zone)).collect()
            };
            match property.name.as_str() {
                "RRULE" => event.rules.push(property.val.to_string()),
                "RDATE" => event.extra.extend(local(times()?)),
                "EXDATE" => event.except.extend(local(times()?)),
                "RECURRENCE-ID" => event.replaces = times()?.into_iter().next(),
                _ => {}
            }
        }
        Ok(event)
    }

    /// The local starts of all occurrences that may touch `from..until`.
    fn occurrences(&self, from: Time, until: Time) -> Result<Vec<civil::DateTime>, CalendarError> {
        let mut starts = vec![self.start.time];
        if !self.rules.is_empty() {
            starts = self.expand(from, until)?;
        }
        starts.extend(&self.extra);
        starts.retain(|start| !self.except.contains(start));
        starts.sort_unstable();
        starts.dedup();
        Ok(starts)
    }

    fn expand(&self, from: Time, until: Time) -> Result<Vec<civil::DateTime>, CalendarError> {
        let error = |problem: String| CalendarError::Event { event: self.name.clone(), problem };
        let unreadable = |cause: rrule::RRuleError| error(format!("its RRULE cannot be used: {cause}"));
        let start = as_utc(self.start.time).ok_or_else(|| error("its DTSTART is out of range".into()))?;
        // Local times shown as if in UTC may be off by a zone's offset, hence the day on both sides.
        let around = |time: Time, span: jiff::Span| {
            let instant = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
            as_utc(TimeZone::UTC.to_datetime(instant).checked_add(span).ok()?)
        };
        let length_before =
            jiff::Span::new().days(-1).checked_sub(jiff::SpanArithmetic::from((self.length, self.start.time)));
        let mut set = RRuleSet::new(start).limit();
        if let Some(after) = length_before.ok().and_then(|span| around(from, span)) {
            set = set.after(after);
        }
        if let Some(before) = around(until, jiff::Span::new().days(1)) {
            set = set.before(before);
        }
        for rule in &self.rules {
            let (rule, last) =
                self.without_until(rule).ok_or_else(|| error("its RRULE has an UNTIL that cannot be read".into()))?;
            let mut rule: RRule<Unvalidated> = rule.parse().map_err(unreadable)?;
            if let Some(last) = last {
                rule = rule.until(as_utc(last).ok_or_else(|| error("its UNTIL is out of range".into()))?);
            }
            set = set.rrule(rule.validate(start).map_err(unreadable)?);
        }
        let result = set.all(MAX_OCCURRENCES);
        if result.limited {
            return Err(error(format!(
                "its RRULE has more than {MAX_OCCURRENCES} occurrences or never ends; give it fewer"
            )));
        }
        Ok(result.dates.iter().filter_map(|date| from_chrono(date.naive_utc())).collect())
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
fn read_times(property: &Property<'_>, zones: &Zones) -> Result<Vec<Local>, CalendarError> {
    let named =
        property.params.iter().find(|parameter| parameter.key == "TZID").and_then(|parameter| parameter.val.as_ref());
    let zone = match named {
        Some(name) => zones.get(name.as_str())?,
        None => zones.default.clone(),
    };
    let read = |text: &str| {
        // RDATE may hold periods; only their starts are occurrences of the event's own length.
        let start = text.split('/').next().unwrap_or(text).trim();
        read_time(start, &zone).ok_or_else(|| {
            CalendarError::Syntax(format!(
                "its {} {text:?} is not a time; write it like 20261207T073000",
                property.name
            ))
        })
    };
    property.val.as_str().split(',').map(read).collect()
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

fn aliases(components: &[Component<'_>]) -> Vec<(String, String)> {
    let zones = components.iter().filter(|component| component.name == "VTIMEZONE");
    zones
        .filter_map(|zone| {
            let value = |name| zone.find_prop(name).map(|property| property.val.to_string());
            Some((value("TZID")?, value("X-LIC-LOCATION")?))
        })
        .collect()
}

fn find_zone(name: &str) -> Result<TimeZone, CalendarError> {
    time_zone(name).map_err(|_| CalendarError::UnknownZone(name.into()))
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it is empty").to_owned()
}

fn as_utc(local: civil::DateTime) -> Option<chrono::DateTime<Tz>> {
    let number = |value: i8| u32::try_from(value).ok();
    let date = NaiveDate::from_ymd_opt(local.year().into(), number(local.month())?, number(local.day())?)?;
    let time = date.and_hms_opt(number(local.hour())?, number(local.minute())?, number(local.second())?)?;
    Some(time.and_utc().with_timezone(&Tz::UTC))
}

fn from_chrono(time: NaiveDateTime) -> Option<civil::DateTime> {
    let number = |value: u32| i8::try_from(value).ok();
    let date = civil::Date::new(i16::try_from(time.year()).ok()?, number(time.month())?, number(time.day())?).ok()?;
    Some(date.at(number(time.hour())?, number(time.minute())?, number(time.second())?, 0))
}
