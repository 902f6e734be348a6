//! Events of a calendar: what they say, and when they occur.

use std::collections::BTreeSet;

use jiff::civil;
use jiff::tz::TimeZone;

use super::text::{Component, Property};
use super::zones::Zones;
use super::{CalendarError, rule, short};
use crate::time::Time;

/// A local time in its zone.
#[derive(Clone, Debug)]
pub(super) struct Local {
    time: civil::DateTime,
    pub(super) zone: TimeZone,
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

/// Occurrences of an event that do not count.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    times: BTreeSet<civil::DateTime>,
    days: BTreeSet<civil::Date>,
}

impl Exceptions {
    pub(super) fn new<'a>(these: impl IntoIterator<Item = &'a Local>, start: &Local) -> Self {
        let mut exceptions = Self::default();
        for local in these {
            exceptions.add(local, start);
        }
        exceptions
    }

    /// A time means the occurrence at that very time; where either has no time, the day is what they can have in common.
    fn add(&mut self, local: &Local, start: &Local) {
        let there = local.in_zone(&start.zone);
        if local.is_date || start.is_date {
            // Programs write an all-day event's midnight in UTC, some that of its zone and some that of UTC.
            let midnight = there.filter(|time| time.time() == civil::Time::midnight());
            self.days.insert(midnight.unwrap_or(local.time).date());
        } else {
            self.times.extend(there);
        }
    }

    pub(super) fn contain(&self, start: civil::DateTime) -> bool {
        self.times.contains(&start) || self.days.contains(&start.date())
    }
}

pub(super) struct Event {
    name: String,
    pub(super) uid: String,
    pub(super) start: Local,
    length: jiff::Span,
    rules: Vec<String>,
    /// Start and end of further occurrences.
    extra: Vec<(civil::DateTime, civil::DateTime)>,
    except: Exceptions,
    /// It stands for an occurrence of a series.
    pub(super) is_changed: bool,
    pub(super) cancelled: bool,
    /// Names of zones in whose place the default counts.
    pub(super) unknown_zones: BTreeSet<String>,
    /// What of it does not count.
    pub(super) remarks: Vec<CalendarError>,
}

impl Event {
    pub(super) fn read(component: &Component, zones: &Zones, is_changed: bool) -> Result<Self, CalendarError> {
        let name = name(component);
        let error = |problem: &str| CalendarError::Event { event: name.clone(), problem: problem.into() };
        let mut reader = Reader { zones, unknown: BTreeSet::new() };

        let start = component.property("DTSTART").ok_or_else(|| error("it has no DTSTART; give it a start"))?;
        let start = reader.time(start).map_err(|problem| error(&problem))?;
        let length = match (component.property("DTEND"), component.property("DURATION")) {
            (Some(end), _) => {
                let end = reader.time(end).map_err(|problem| error(&problem))?;
                let end = end.in_zone(&start.zone).ok_or_else(|| error("its DTEND is out of range"))?;
                if end < start.time {
                    return Err(error("its DTEND is before its DTSTART; swap them"));
                }
                end.since(start.time).map_err(|_| error("its DTEND is out of range"))?
            }
            (None, Some(duration)) => {
                length(&duration.value).ok_or_else(|| error("its DURATION cannot be read; write it like PT2H"))?
            }
            (None, None) => jiff::Span::new().days(i32::from(start.is_date)),
        };
        let mut event = Self {
            name: name.clone(),
            uid: component.text("UID"),
            length,
            rules: Vec::new(),
            extra: Vec::new(),
            except: Exceptions::default(),
            is_changed,
            cancelled: component.text("STATUS").eq_ignore_ascii_case("CANCELLED"),
            unknown_zones: BTreeSet::new(),
            remarks: Vec::new(),
            start,
        };
        for property in &component.properties {
            match property.name.as_str() {
                "RRULE" => event.rules.push(property.value.clone()),
                "RDATE" => {
                    event.extra.extend(reader.periods(property, &event).map_err(|problem| error(&problem))?);
                }
                "EXDATE" => {
                    for local in reader.times(property).map_err(|problem| error(&problem))? {
                        event.except.add(&local, &event.start);
                    }
                }
                "EXRULE" => event.remarks.push(remark(&name, "its EXRULE excludes nothing; name the days by EXDATE")),
                _ => {}
            }
        }
        event.unknown_zones = reader.unknown;
        Ok(event)
    }

    /// The local starts and ends of all occurrences that may touch `from..until`.
    pub(super) fn occurrences(
        &self,
        from: Time,
        until: Time,
        steps: &mut rule::Steps,
    ) -> Result<Vec<(civil::DateTime, civil::DateTime)>, CalendarError> {
        let mut starts = if self.rules.is_empty() { vec![self.start.time] } else { Vec::new() };
        for rule in &self.rules {
            starts.extend(
                self.expand(rule, from, until, steps)
                    .map_err(|problem| CalendarError::Event { event: self.name.clone(), problem })?,
            );
        }
        let own = starts.into_iter().filter_map(|start| Some((start, start.checked_add(self.length).ok()?)));
        let mut occurrences: Vec<_> = own.chain(self.extra.iter().copied()).collect();
        occurrences.retain(|(start, _)| !self.except.contain(*start));
        occurrences.sort_unstable();
        occurrences.dedup();
        Ok(occurrences)
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

/// The occurrence of a series that an event stands for. A remark is added where it stands for all that follow, too.
pub(super) fn changed(
    component: &Component,
    zones: &Zones,
    remarks: &mut Vec<CalendarError>,
) -> Result<Option<Local>, CalendarError> {
    let Some(property) = component.property("RECURRENCE-ID") else { return Ok(None) };
    let name = name(component);
    if property.parameter("RANGE").is_some_and(|range| range.eq_ignore_ascii_case("THISANDFUTURE")) {
        let text = "its RANGE=THISANDFUTURE changes this one occurrence only; end the series there and begin another";
        remarks.push(remark(&name, text));
    }
    let mut reader = Reader { zones, unknown: BTreeSet::new() };
    reader.time(property).map(Some).map_err(|problem| CalendarError::Event { event: name, problem })
}

/// How messages call an event.
fn name(component: &Component) -> String {
    let names = [component.text("SUMMARY"), component.text("UID"), "without a name".into()];
    names.into_iter().find(|text| !text.is_empty()).map(|name| short(&name)).unwrap_or_default()
}

fn remark(event: &str, remark: &str) -> CalendarError {
    CalendarError::InPart { event: event.into(), remark: remark.into() }
}

/// Reads the times of one event.
struct Reader<'a> {
    zones: &'a Zones,
    unknown: BTreeSet<String>,
}

impl Reader<'_> {
    fn zone(&mut self, property: &Property) -> TimeZone {
        match property.parameter("TZID") {
            Some(name) => self.zones.get(name, &mut self.unknown),
            None => self.zones.default(),
        }
    }

    /// The times of a property such as `DTSTART;TZID=Europe/Berlin:20261207T073000` or a list of them.
    fn times(&mut self, property: &Property) -> Result<Vec<Local>, String> {
        let zone = self.zone(property);
        property.value.split(',').map(|text| time(property, text, &zone)).collect()
    }

    fn time(&mut self, property: &Property) -> Result<Local, String> {
        let zone = self.zone(property);
        time(property, property.value.split(',').next().unwrap_or_default(), &zone)
    }

    /// Occurrences of an event beside its rule. A period such as `20261207T073000/PT3H` has a length of its own.
    fn periods(
        &mut self,
        property: &Property,
        event: &Event,
    ) -> Result<Vec<(civil::DateTime, civil::DateTime)>, String> {
        let zone = self.zone(property);
        let read = |text: &str| {
            let (first, rest) = text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest.trim())));
            let unreadable = || unreadable(property, text);
            let out_of_range = || format!("its {} is out of range", property.name);
            let start = time(property, first, &zone)?.in_zone(&event.start.zone).ok_or_else(out_of_range)?;
            let end = match rest {
                None => start.checked_add(event.length).ok(),
                Some(rest) => match length(rest) {
                    Some(length) => start.checked_add(length).ok(),
                    None => read_time(rest, &zone).ok_or_else(unreadable)?.in_zone(&event.start.zone),
                },
            };
            Ok((start, end.filter(|end| *end >= start).ok_or_else(out_of_range)?))
        };
        property.value.split(',').map(read).collect()
    }
}

fn time(property: &Property, text: &str, zone: &TimeZone) -> Result<Local, String> {
    read_time(text.trim(), zone).ok_or_else(|| unreadable(property, text))
}

fn unreadable(property: &Property, text: &str) -> String {
    format!("its {} {:?} is not a time; write it like 20261207T073000", property.name, short(text))
}

fn length(text: &str) -> Option<jiff::Span> {
    text.parse::<jiff::Span>().ok().filter(|length| !length.is_negative())
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
