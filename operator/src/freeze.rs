//! Freezes: times in which nothing is changed that can wait. Pure; the time is an argument.

use decide::{ScheduleError, Time, When};
use std::{collections::BTreeMap, time::Duration};

/// A freeze with the instants of its local times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// Name.
    pub name: String,
    /// The first moment inside it.
    pub from: Time,
    /// The first moment after it.
    pub until: Time,
}

impl Freeze {
    /// A freeze from its spec; where a clock shows the same time twice, it lasts longest.
    ///
    /// # Errors
    /// An unknown zone, a time that cannot be read, an end that is not after its start.
    pub fn new(spec: &crds::freeze::Freeze) -> Result<Self, ScheduleError> {
        let window = match When::once(&spec.start, &spec.end, &spec.time_zone)? {
            When::Windows(windows) => windows.first().map(|window| window.floor),
            When::Weekly { .. } => None,
        };
        let (from, until) = window.unwrap_or_default();
        Ok(Self { name: spec.name.clone(), from, until })
    }

    /// Whether somebody has said, by the annotation [`crds::URGENT_ANNOTATION`] among these, that it does not hold.
    pub fn is_lifted(&self, annotations: &BTreeMap<String, String>) -> bool {
        let urgent = annotations.get(crds::URGENT_ANNOTATION).map(String::as_str).unwrap_or_default();
        urgent.split(',').any(|name| name.trim() == self.name)
    }
}

/// The freeze that holds now; of several the one that ends last.
pub fn in_force(freezes: &[Freeze], now: Time) -> Option<&Freeze> {
    holding(freezes, now).max_by_key(|freeze| freeze.until)
}

/// How long it is to the next pass: `planned`, or less where a freeze that holds ends earlier.
pub fn next_pass(freezes: &[Freeze], planned: Duration, now: Time) -> Duration {
    let left = holding(freezes, now).map(|freeze| Duration::from_millis(freeze.until.since(now).as_millis()));
    left.fold(planned, Duration::min)
}

fn holding(freezes: &[Freeze], now: Time) -> impl Iterator<Item = &Freeze> {
    freezes.iter().filter(move |freeze| freeze.from <= now && now < freeze.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(name: &str, start: &str, end: &str, zone: &str) -> Result<Freeze, ScheduleError> {
        let text = str::to_owned;
        Freeze::new(&crds::freeze::Freeze {
            name: text(name),
            start: text(start),
            end: text(end),
            time_zone: text(zone),
        })
    }

    fn at(time: &str) -> Time {
        Time::from(time.parse::<jiff::Timestamp>().unwrap())
    }

    fn two() -> Vec<Freeze> {
        vec![
            freeze("exams", "2026-12-07T07:30", "2026-12-11T18:00", "Europe/Berlin").unwrap(),
            freeze("results", "2026-12-11T12:00:00", "2026-12-12T00:00", "Europe/Berlin").unwrap(),
        ]
    }

    #[test]
    fn a_freeze_holds_from_its_start_to_just_before_its_end() {
        let freezes = two();
        for (time, holds) in [
            ("2026-12-07T06:29:59Z", None),
            ("2026-12-07T06:30:00Z", Some("exams")),
            ("2026-12-11T10:59:59Z", Some("exams")),
            ("2026-12-11T11:00:00Z", Some("results")),
            ("2026-12-11T17:00:00Z", Some("results")),
            ("2026-12-11T22:59:59Z", Some("results")),
            ("2026-12-11T23:00:00Z", None),
        ] {
            assert_eq!(in_force(&freezes, at(time)).map(|freeze| freeze.name.as_str()), holds, "{time}");
        }
        assert_eq!(in_force(&freezes, at("2026-12-11T11:00:00Z")).unwrap().until, at("2026-12-11T23:00:00Z"));
    }

    #[test]
    fn a_clock_change_makes_a_freeze_longer_never_shorter() {
        let back = freeze("a", "2026-10-25T02:30", "2026-10-25T02:45", "Europe/Berlin").unwrap();
        assert_eq!((back.from, back.until), (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:45:00Z")));
        let forth = freeze("a", "2026-03-29T02:30", "2026-03-29T04:00", "Europe/Berlin").unwrap();
        assert_eq!(forth.from, at("2026-03-29T01:00:00Z"), "the first moment after the gap");
    }

    #[test]
    fn the_next_pass_is_not_after_the_end_of_a_freeze_that_holds() {
        let (freezes, resync) = (two(), Duration::from_secs(600));
        for (time, wait) in [
            ("2026-12-07T06:00:00Z", 600),
            ("2026-12-07T07:00:00Z", 600),
            ("2026-12-11T16:59:30Z", 30),
            ("2026-12-11T22:55:00Z", 300),
            ("2026-12-13T00:00:00Z", 600),
        ] {
            assert_eq!(next_pass(&freezes, resync, at(time)), Duration::from_secs(wait), "{time}");
        }
    }

    #[test]
    fn only_the_freezes_that_are_named_are_lifted() {
        let freezes = two();
        let lifted = |value: &str| -> Vec<bool> {
            let annotations = BTreeMap::from([(crds::URGENT_ANNOTATION.to_owned(), value.to_owned())]);
            freezes.iter().map(|freeze| freeze.is_lifted(&annotations)).collect()
        };
        for (value, expected) in [
            ("", [false, false]),
            ("true", [false, false]),
            ("exams", [true, false]),
            ("exam", [false, false]),
            ("results, exams", [true, true]),
        ] {
            assert_eq!(lifted(value), expected, "{value:?}");
        }
        assert!(!freezes[0].is_lifted(&BTreeMap::new()));
    }

    #[test]
    fn what_is_no_time_or_zone_is_refused() {
        for (start, end, zone) in [
            ("2026-02-30T00:00", "2026-03-01T00:00", "UTC"),
            ("2026-03-01T00:00", "2026-03-01T00:00", "UTC"),
            ("2026-03-01T00:00", "2026-03-02T00:00", "Europe/Atlantis"),
        ] {
            assert!(freeze("x", start, end, zone).is_err(), "{start} {end} {zone}");
        }
    }
}
