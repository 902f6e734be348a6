//! A recorded trace: what a metrics source said over time.

use std::fmt;

use decide::{Duration, Time};

/// The step of a trace with a single point: Prometheus' usual scrape interval, the default of `scrapeInterval`.
const LONE_STEP: Duration = Duration::from_secs(15);

/// The last instant that RFC 3339 can write, in seconds since 1970.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// What the source said at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// The query succeeded and matched no series.
    Missing,
    /// A number as recorded: NaN, the infinities and negative ones included. The decision core judges it.
    Number(f64),
    /// The query failed.
    Failed,
}

impl Reading {
    /// The number, if it is finite.
    pub fn finite(self) -> Option<f64> {
        match self {
            Self::Number(number) if number.is_finite() => Some(number),
            _ => None,
        }
    }
}

/// How the trace writes its times, so that reports write them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Seconds, relative or since 1970.
    Seconds,
    /// RFC 3339.
    Rfc3339,
}

/// How long a point speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until the next point: a table that lists changes.
    UntilNext,
    /// For one step: a longer gap means that the series was missing there.
    OneStep,
}

/// The readings of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Strictly in order of time, never empty unless the signal was missing throughout.
    points: Vec<(Time, Reading)>,
    hold: Hold,
    step: Duration,
    scrape_interval: Duration,
    partial: bool,
}

/// What a series says at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The reading.
    pub reading: Reading,
    /// When it was scraped, as if the source had gone on scraping while the point held.
    pub scraped: Time,
    /// How often the source scrapes.
    pub scrape_interval: Duration,
    /// Whether the source answered in part only, so that the reading may be too low.
    pub partial: bool,
}

impl Seen {
    /// A query at `now` that matched nothing, of a source that scrapes at this interval.
    pub fn missing(now: Time, scrape_interval: Duration) -> Self {
        Self { reading: Reading::Missing, scraped: now, scrape_interval, partial: false }
    }
}

/// A place in a series, for readers that go forward in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor(usize);

impl Series {
    /// A series of points. Times must rise strictly; whoever reads a file reports a violation with its place.
    pub fn new(points: Vec<(Time, Reading)>, hold: Hold) -> Self {
        let gaps = points.windows(2).map(|pair| pair[1].0.since(pair[0].0));
        let step = match hold {
            // Points of a range query lie on a grid, and a missing one only makes a gap longer.
            Hold::OneStep => gaps.min(),
            Hold::UntilNext => most_common(gaps.collect()),
        };
        let step = step.unwrap_or(LONE_STEP);
        Self { points, hold, step, scrape_interval: step, partial: false }
    }

    /// The same series as recorded from a source that scrapes at this interval, and not once per step.
    #[must_use]
    pub fn scraped_every(self, interval: Duration) -> Self {
        Self { scrape_interval: interval, ..self }
    }

    /// The same series as recorded from a source that answered in part only.
    #[must_use]
    pub fn in_part(self) -> Self {
        Self { partial: true, ..self }
    }

    /// The time from one point to the next: the most common one of a table (the shorter of equals), the least one of
    /// a range query. 15 s where there is only one point.
    pub fn step(&self) -> Duration {
        self.step
    }

    /// How often the source scrapes: once per step, unless it was told otherwise.
    pub fn scrape_interval(&self) -> Duration {
        self.scrape_interval
    }

    /// The first point and the end of the last one's step.
    pub fn span(&self) -> Option<(Time, Time)> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        Some((first.0, last.0.plus(self.step)))
    }

    /// Whether the series says anything from `start` up to `end`.
    pub fn speaks(&self, start: Time, end: Time) -> bool {
        let lasts = |time: Time| self.hold == Hold::UntilNext || time.plus(self.step) > start;
        self.points.iter().any(|(time, _)| *time < end && lasts(*time))
    }

    /// What the series says at `now`, which must not go back between calls with one cursor.
    pub fn at(&self, cursor: &mut Cursor, now: Time) -> Seen {
        while self.points.get(cursor.0 + 1).is_some_and(|(time, _)| *time <= now) {
            cursor.0 += 1;
        }
        let Some((time, reading)) = self.points.get(cursor.0).copied().filter(|(time, _)| *time <= now) else {
            return Seen::missing(now, self.scrape_interval);
        };
        let age = now.since(time);
        if self.hold == Hold::OneStep && age >= self.step {
            return Seen::missing(now, self.scrape_interval);
        }
        let since_scrape = age.as_millis() % self.scrape_interval.as_millis().max(1);
        let scraped = now.minus(Duration::from_millis(since_scrape));
        Seen { reading, scraped, scrape_interval: self.scrape_interval, partial: self.partial }
    }
}

fn most_common(mut gaps: Vec<Duration>) -> Option<Duration> {
    gaps.sort_unstable();
    let runs = gaps.chunk_by(|a, b| a == b);
    // Of equally long runs the later wins in `max_by_key`, so the shorter gap has to come last.
    let runs: Vec<_> = runs.collect();
    runs.into_iter().rev().max_by_key(|run| run.len()).and_then(|run| run.first().copied())
}

/// A trace to replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Requests per second.
    pub rate: Series,
    /// Seconds; `None` where the trace does not record latency at all.
    pub latency: Option<Series>,
    /// The first moment.
    pub start: Time,
    /// The first moment after it.
    pub end: Time,
    /// How it writes times.
    pub clock: Clock,
}

impl Trace {
    /// The trace of a rate and, where recorded, a latency; it lasts as long as the rate. `None` for a rate without points.
    pub fn new(rate: Series, latency: Option<Series>, clock: Clock) -> Option<Self> {
        let (start, end) = rate.span()?;
        Some(Self { rate, latency, start, end, clock })
    }

    /// The same trace as recorded from sources that scrape at this interval.
    #[must_use]
    pub fn scraped_every(self, interval: Duration) -> Self {
        Self {
            rate: self.rate.scraped_every(interval),
            latency: self.latency.map(|latency| latency.scraped_every(interval)),
            ..self
        }
    }
}

impl Clock {
    /// `time` as the trace would write it.
    pub fn show(self, time: Time) -> String {
        match self {
            Self::Seconds => Seconds(time).to_string(),
            Self::Rfc3339 => time.to_string(),
        }
    }
}

/// A time in seconds with as many digits after the point as it needs.
pub struct Seconds(pub Time);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis % 1000 == 0 { write!(f, "{}", millis / 1000) } else { write!(f, "{}", millis as f64 / 1000.0) }
    }
}

/// A time as seconds or RFC 3339.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub fn time(text: &str) -> Result<(Time, Clock), String> {
    if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() || seconds.abs() > LAST_SECOND {
            return Err(format!(
                "{text:?} is out of range: write seconds (a time in milliseconds has to be divided by 1000) or RFC 3339"
            ));
        }
        return Ok((Time::from_secs_f64(seconds).unwrap_or_default(), Clock::Seconds));
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => Ok((timestamp.into(), Clock::Rfc3339)),
        Err(_) if text.parse::<jiff::civil::DateTime>().is_ok() => {
            Err(format!("{text:?} has no zone: append Z for UTC or an offset such as +01:00"))
        }
        Err(_) => {
            Err(format!("{text:?} is no time: write seconds such as 1800 or RFC 3339 such as 2026-12-07T07:30:00Z"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_secs(seconds)
    }

    fn series(times: &[i64], hold: Hold) -> Series {
        Series::new(times.iter().map(|t| (at(*t), Reading::Number(*t as f64))).collect(), hold)
    }

    #[test]
    fn the_step_is_the_usual_gap() {
        let table: [(&[i64], u64, u64); 6] = [
            (&[7], 15, 15),
            (&[0, 5, 10, 15], 5, 5),
            (&[0, 15, 30, 90, 105], 15, 15),
            (&[0, 60, 90, 150, 210], 60, 30),
            (&[0, 300, 900], 300, 300),
            (&[-10, -5, 0], 5, 5),
        ];
        for (times, table, grid) in table {
            assert_eq!(series(times, Hold::UntilNext).step(), Duration::from_secs(table), "{times:?} as a table");
            assert_eq!(series(times, Hold::OneStep).step(), Duration::from_secs(grid), "{times:?} as a range");
        }
    }

    #[test]
    fn a_row_holds_until_the_next_and_is_scraped_every_step() {
        let rows = series(&[10, 20, 60, 70], Hold::UntilNext);
        let mut cursor = Cursor::default();
        let table = [
            (5, None, 5),
            (10, Some(10.0), 10),
            (19, Some(10.0), 10),
            (20, Some(20.0), 20),
            (59, Some(20.0), 50),
            (75, Some(70.0), 70),
        ];
        for (now, value, scraped) in table {
            let seen = rows.at(&mut cursor, at(now));
            assert_eq!((seen.reading.finite(), seen.scraped), (value, at(scraped)), "at {now} s");
        }
        assert_eq!(rows.span(), Some((at(10), at(80))));
    }

    #[test]
    fn a_point_is_scraped_as_often_as_its_source_scrapes() {
        let points = [0, 60, 120];
        for hold in [Hold::UntilNext, Hold::OneStep] {
            for (interval, scraped) in [(None, 60), (Some(15), 105), (Some(60), 60), (Some(300), 60)] {
                let steps = series(&points, hold);
                let steps = interval.map_or(steps.clone(), |every| steps.scraped_every(Duration::from_secs(every)));
                let seen = steps.at(&mut Cursor::default(), at(119));
                assert_eq!((seen.reading.finite(), seen.scraped), (Some(60.0), at(scraped)), "{interval:?} {hold:?}");
                assert_eq!(seen.scrape_interval, Duration::from_secs(interval.unwrap_or(60)));
            }
        }
    }

    #[test]
    fn a_gap_in_a_range_is_missing() {
        let points = series(&[0, 15, 60], Hold::OneStep);
        let mut cursor = Cursor::default();
        for (now, value) in [
            (0, Some(0.0)),
            (14, Some(0.0)),
            (15, Some(15.0)),
            (29, Some(15.0)),
            (30, None),
            (59, None),
            (60, Some(60.0)),
            (75, None),
        ] {
            assert_eq!(points.at(&mut cursor, at(now)).reading.finite(), value, "at {now} s");
        }
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        let good = [
            ("0", 0, Clock::Seconds),
            ("1800.25", 1_800_250, Clock::Seconds),
            ("-5", -5000, Clock::Seconds),
            ("1970-01-01T01:00:00+01:00", 0, Clock::Rfc3339),
            ("1970-01-01T00:00:00.5Z", 500, Clock::Rfc3339),
        ];
        for (text, millis, clock) in good {
            assert_eq!(time(text), Ok((Time::from_millis(millis), clock)), "{text}");
        }
        let bad = [
            ("", "no time"),
            ("noon", "no time"),
            ("NaN", "out of range"),
            ("inf", "out of range"),
            ("1764576000000", "divided by 1000"),
            ("2026-12-07T07:30:00", "append Z"),
        ];
        for (text, part) in bad {
            let error = time(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(Seconds(Time::from_millis(1500)).to_string(), "1.5");
        assert_eq!(Clock::Rfc3339.show(at(0)), "1970-01-01T00:00:00Z");
    }
}
