//! When a cron expression is due: what Kubernetes' own controller reckons, for the status. Pure.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::collections::BTreeSet;

/// Every expression of five fields is due within this time: from one 29th of February to the next, over a year without one.
const DAYS: i32 = 8 * 366 + 7;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression of five fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: Field,
    months: BTreeSet<i8>,
    weekdays: Field,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    values: BTreeSet<i8>,
    any: bool,
}

impl Cron {
    /// Reads one; None of what admission refuses.
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.to_ascii_lowercase().as_str() {
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@hourly" => "0 * * * *".to_owned(),
            _ => text.to_owned(),
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        Some(Self {
            minutes: field(minutes, 0, 59, &[])?.values,
            hours: field(hours, 0, 23, &[])?.values,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?.values,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
        })
    }

    /// The first time after `after`.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let first = after.to_zoned(zone.clone()).date();
        let days = (0..DAYS).map_while(|day| first.checked_add(day.days()).ok()).filter(|date| self.is_on(*date));
        let times = days.flat_map(|date| {
            let hours = self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
            hours.filter_map(move |(hour, minute)| {
                Some(date.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?.timestamp())
            })
        });
        times.into_iter().find(|time| *time > after)
    }

    /// Where both kinds of days are restricted, either is enough.
    fn is_on(&self, date: Date) -> bool {
        let day = self.days.values.contains(&date.day());
        let weekday = self.weekdays.values.contains(&date.weekday().to_sunday_zero_offset());
        let both = if self.days.any || self.weekdays.any { day && weekday } else { day || weekday };
        both && self.months.contains(&date.month())
    }
}

fn field(text: &str, least: i8, most: i8, names: &[&str]) -> Option<Field> {
    let value = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|at| i8::try_from(at).ok());
        named.map(|at| at + least).or_else(|| text.parse().ok())
    };
    let (mut values, mut any) = (BTreeSet::new(), false);
    for entry in text.split(',') {
        let (range, step) = entry.split_once('/').map_or((entry, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range {
            "*" | "?" => {
                any = true;
                (least, most)
            }
            _ => match range.split_once('-') {
                Some((from, to)) => (value(from)?, value(to)?),
                None if step.is_some() => (value(range)?, most),
                None => (value(range)?, value(range)?),
            },
        };
        let step: usize = step.map_or(Some(1), |step| step.parse().ok())?;
        if from < least || to > most || from > to || step == 0 {
            return None;
        }
        values.extend((from..=to).step_by(step));
    }
    Some(Field { values, any })
}

/// The last time at which a backup was `due` after `from`, up to now.
pub fn last_due(from: Timestamp, now: Timestamp, due: impl Fn(Timestamp) -> Option<Timestamp>) -> Option<Timestamp> {
    let due = |after: Timestamp| due(after).filter(|time| *time <= now);
    let mut minutes = 1_i64;
    // Twice as far back each time, so that few times lie between the first that is found and now.
    loop {
        let start = now.checked_sub(minutes.minutes()).map_or(from, |start| start.max(from));
        if let Some(first) = due(start) {
            return std::iter::successors(Some(first), |time| due(*time)).last();
        }
        if start == from {
            return None;
        }
        minutes *= 2;
    }
}

/// How late a backup may be beyond two intervals (P): one of a large database takes its time.
const MARGIN_HOURS: i64 = 1;

/// Whether two times at which a backup was `due` have passed since the last one.
pub fn is_overdue(last: Timestamp, now: Timestamp, due: impl Fn(Timestamp) -> Option<Timestamp>) -> bool {
    let late = due(last).and_then(&due).and_then(|time| time.checked_add(MARGIN_HOURS.hours()).ok());
    late.is_some_and(|late| late < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, zone: &str, after: &str) -> String {
        let zone = TimeZone::get(zone).expect("a zone");
        let found = Cron::parse(cron).expect(cron).next(after.parse().expect("a time"), &zone);
        found.map(|time| time.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_next_time_is_the_one_that_kubernetes_takes() {
        // 2026-11-02 is a Monday.
        for (cron, zone, after, expected) in [
            ("0 3 * * *", "UTC", "2026-11-02T02:59:59Z", "2026-11-02T03:00:00Z"),
            ("0 3 * * *", "UTC", "2026-11-02T03:00:00Z", "2026-11-03T03:00:00Z"),
            ("0 3 * * *", "Europe/Berlin", "2026-11-02T03:00:00Z", "2026-11-03T02:00:00Z"),
            ("*/15 8-17 * * MON-FRI", "UTC", "2026-11-06T17:45:00Z", "2026-11-09T08:00:00Z"),
            ("5/20 * * * 0", "UTC", "2026-11-02T00:00:00Z", "2026-11-08T00:05:00Z"),
            ("0 0 1,15 jan ?", "UTC", "2026-11-02T00:00:00Z", "2027-01-01T00:00:00Z"),
            // The 13th, or a Friday.
            ("0 0 13 * FRI", "UTC", "2026-11-07T00:00:00Z", "2026-11-13T00:00:00Z"),
            ("0 0 20 * FRI", "UTC", "2026-11-07T00:00:00Z", "2026-11-13T00:00:00Z"),
            ("0 0 29 2 *", "UTC", "2026-11-02T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@weekly", "UTC", "2026-11-02T00:00:00Z", "2026-11-08T00:00:00Z"),
            ("@hourly", "UTC", "2026-11-02T00:30:00Z", "2026-11-02T01:00:00Z"),
            ("0 0 31 2 *", "UTC", "2026-11-02T00:00:00Z", ""),
        ] {
            assert_eq!(next(cron, zone, after), expected, "{cron}");
        }
    }

    #[test]
    fn the_last_time_is_the_newest_that_has_passed() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        for (cron, from, now, expected) in [
            ("0 3 * * *", "2026-11-02T00:00:00Z", "2026-11-02T02:59:59Z", None),
            ("0 3 * * *", "2026-11-02T00:00:00Z", "2026-11-02T03:00:00Z", Some("2026-11-02T03:00:00Z")),
            ("0 3 * * *", "2026-11-02T03:00:00Z", "2026-11-03T02:00:00Z", None),
            // What was missed before it is not made up for.
            ("0 3 * * *", "2026-10-01T00:00:00Z", "2026-11-02T12:00:00Z", Some("2026-11-02T03:00:00Z")),
            ("*/7 2 * * *", "2026-10-01T00:00:00Z", "2026-11-02T12:00:00Z", Some("2026-11-02T02:56:00Z")),
            ("@yearly", "2020-05-01T00:00:00Z", "2026-11-02T12:00:00Z", Some("2026-01-01T00:00:00Z")),
            ("0 0 31 2 *", "2020-05-01T00:00:00Z", "2026-11-02T12:00:00Z", None),
            ("@hourly", "2026-11-02T12:00:00Z", "2026-11-02T10:00:00Z", None),
        ] {
            let parsed = Cron::parse(cron).expect(cron);
            let found = last_due(at(from), at(now), |after| parsed.next(after, &TimeZone::UTC));
            assert_eq!(found, expected.map(at), "{cron} from {from} at {now}");
        }
    }

    #[test]
    fn what_is_no_expression_is_none() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "* * * * 7",
            "*/0 * * * *",
            "0 17-8 * * *",
            "@reboot",
            "0 0 * * MONDAY",
        ] {
            assert_eq!(Cron::parse(bad), None, "{bad}");
        }
    }
}
