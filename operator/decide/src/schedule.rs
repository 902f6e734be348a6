//! Planned floors and caps: one-time, weekly and calendar windows in IANA zones.

use std::fmt;
use std::sync::Arc;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Serialize;

use crate::policy::Name;
use crate::time::{Duration, Time};

/// A named plan. Where several overlap, the greatest floor and the least cap count.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// How explanations call it.
    pub name: Name,
    /// When it holds.
    pub when: When,
    /// At least this much while it holds, ramped before and after.
    pub floor: Option<Bound>,
    /// At most this much while it holds.
    pub cap: Option<Bound>,
    /// Length of the floor's ramps; the default is [`Tunables::schedule_ramp`](crate::Tunables::schedule_ramp).
    pub ramp: Option<Duration>,
}

/// A size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// So many pods.
    Replicas(u32),
    /// The pods for this much of the first demand signal (such as requests per second).
    Demand(f64),
}

/// When a schedule holds. Built by [`When::once`], [`When::weekly`] and [`When::windows`].
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// Fixed windows, in order of their start: a one-time window, or those of a calendar within its horizon.
    Windows(Arc<[Window]>),
    /// Every week on these days.
    Weekly {
        /// Days on which the window starts.
        days: Vec<Weekday>,
        /// Local time of its start.
        start: civil::Time,
        /// Local time of its end; not after `start` means on the next day.
        end: civil::Time,
        /// First local day, if bounded.
        from: Option<civil::Date>,
        /// Last local day on which a window starts, if bounded.
        until: Option<civil::Date>,
        /// The zone of the local times.
        zone: TimeZone,
    },
}

/// A half-open window, once as a floor uses it and once as a cap does: where a clock shows the same time twice, a floor
/// lasts longest and a cap shortest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Start (inclusive) and end (exclusive) for a floor.
    pub floor: (Time, Time),
    /// Start (inclusive) and end (exclusive) for a cap.
    pub cap: (Time, Time),
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A schedule that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// A zone that the built-in tz database does not know.
    #[error("timeZone {0:?} is not in the IANA database; use a name such as Europe/Berlin")]
    UnknownZone(String),
    /// A local time that cannot be read.
    #[error("{field} {text:?} is not a local time; write it as {example}")]
    BadTime {
        /// Which field.
        field: &'static str,
        /// What it said.
        text: String,
        /// How to write it.
        example: &'static str,
    },
    /// An end that is not after its start.
    #[error("end {end} is not after start {start}")]
    Backwards {
        /// The start as given.
        start: String,
        /// The end as given.
        end: String,
    },
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicas(count) => write!(f, "{count} pods"),
            Self::Demand(demand) => write!(f, "the pods for {demand}"),
        }
    }
}

impl When {
    /// A one-time window of local times such as `2026-12-07T07:30` in an IANA zone.
    ///
    /// # Errors
    /// An unknown zone, a time that cannot be read, an end that is not after its start.
    pub fn once(start: &str, end: &str, zone: &str) -> Result<Self, ScheduleError> {
        let zone = time_zone(zone)?;
        let (from, to) = (local_datetime("start", start)?, local_datetime("end", end)?);
        if to <= from {
            return Err(ScheduleError::Backwards { start: start.into(), end: end.into() });
        }
        Ok(Self::windows(vec![Window::local(from, to, &zone)]))
    }

    /// A weekly window of local times such as `07:30`, starting on `days`; an end not after its start is on the next day.
    /// `from` and `until` bound the days, such as `2026-12-01`, both inclusive.
    ///
    /// # Errors
    /// An unknown zone, or a time or date that cannot be read.
    pub fn weekly(
        days: &[Weekday],
        start: &str,
        end: &str,
        zone: &str,
        from: Option<&str>,
        until: Option<&str>,
    ) -> Result<Self, ScheduleError> {
        Ok(Self::Weekly {
            days: days.to_vec(),
            start: local_time("start", start)?,
            end: local_time("end", end)?,
            from: from.map(|text| local_date("from", text)).transpose()?,
            until: until.map(|text| local_date("until", text)).transpose()?,
            zone: time_zone(zone)?,
        })
    }

    /// Fixed windows, such as those of a calendar; any order.
    pub fn windows(mut windows: Vec<Window>) -> Self {
        windows.sort_by_key(|window| (window.floor, window.cap));
        Self::Windows(windows.into())
    }
}

impl Window {
    /// The window from one local time to another. A time that a clock skips moves to the first instant after the gap; of a
    /// time that a clock shows twice, a floor takes what makes it longest and a cap what makes it shortest.
    pub fn local(start: civil::DateTime, end: civil::DateTime, zone: &TimeZone) -> Self {
        let (start, end) = (instants(start, zone), instants(end, zone));
        Self { floor: (start.0, end.1), cap: (start.1, end.0) }
    }

    /// A window of exact instants.
    pub fn exact(start: Time, end: Time) -> Self {
        Self { floor: (start, end), cap: (start, end) }
    }
}

/// The zone of an IANA name from the built-in database. Names that mean this machine, or bare offsets, are refused.
///
/// # Errors
/// A name that the database does not know.
pub fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    TimeZone::get(name)
        .ok()
        .filter(|zone| zone.iana_name().is_some())
        .ok_or_else(|| ScheduleError::UnknownZone(name.into()))
}

/// The earliest and the latest instant at which clocks in `zone` show `local`.
fn instants(local: civil::DateTime, zone: &TimeZone) -> (Time, Time) {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let at =
        |offset: jiff::tz::Offset| offset.to_timestamp(local).map(Time::from).unwrap_or(Time::from_millis(i64::MAX));
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => (at(offset), at(offset)),
        AmbiguousOffset::Fold { before, after } => (at(before), at(after)),
        AmbiguousOffset::Gap { before, .. } => {
            // With the offset from before the gap the instant lies after the transition, by as much as the local time
            // lies inside the gap.
            let inside = at(before);
            let first = before
                .to_timestamp(local)
                .ok()
                .and_then(|instant| {
                    zone.preceding(instant.saturating_add(jiff::SignedDuration::from_nanos(1)).ok()?).next()
                })
                .map_or(inside, |transition| Time::from(transition.timestamp()));
            (first, first)
        }
    }
}

fn local_datetime(field: &'static str, text: &str) -> Result<civil::DateTime, ScheduleError> {
    text.parse().map_err(|_| ScheduleError::BadTime { field, text: text.into(), example: "2026-12-07T07:30" })
}

fn local_time(field: &'static str, text: &str) -> Result<civil::Time, ScheduleError> {
    text.parse().map_err(|_| ScheduleError::BadTime { field, text: text.into(), example: "07:30" })
}

fn local_date(field: &'static str, text: &str) -> Result<civil::Date, ScheduleError> {
    text.parse().map_err(|_| ScheduleError::BadTime { field, text: text.into(), example: "2026-12-07" })
}
