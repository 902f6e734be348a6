//! What a source answered, with its quality as a type: a number can only be had from a value that is one.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::time::{Duration, Time};

/// One answer of a metrics source, in the order in which its faults are looked for: a failed query, more than one
/// series, none, something that is no number, one that is too old, and only then a value.
///
/// Build a value with [`Sample::value`], which refuses everything that is not finite and at least zero.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Sample {
    /// The query failed.
    Error(SourceError),
    /// More than one series came back where one was expected.
    Ambiguous {
        /// How many series.
        series: u32,
        /// A label in which they differ, so that the user can aggregate it away.
        label: Arc<str>,
    },
    /// The query succeeded and matched nothing.
    NoData,
    /// As `NoData`, and the selector matched nothing for [`series_never_seen`](crate::Tunables::series_never_seen)
    /// either: most likely a misspelt name.
    SeriesNeverSeen,
    /// The series exists, but holds fewer than two samples in the range of the query, so that it has no rate.
    TooFewSamples {
        /// The range.
        range: Duration,
    },
    /// The answer is not a number that can be sized on.
    NotANumber(NotANumber),
    /// The newest raw sample behind the answer is too old. [`decide`](crate::decide) finds this by itself from
    /// [`Value::at`]; a caller that knows it otherwise may say so.
    Stale {
        /// Age of the newest raw sample.
        age: Duration,
    },
    /// A finite number of at least zero.
    Value(Value),
}

/// A finite number of at least zero, with the time of the newest raw sample behind it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Value {
    v: f64,
    at: Option<Time>,
    scrape_interval: Option<Duration>,
    trust: Trust,
}

/// What a value may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Trust {
    /// It may raise and lower.
    Full,
    /// It may raise but not lower.
    RaiseOnly(Doubt),
}

/// Why a value may not lower anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Doubt {
    /// The source failed before and has not yet answered often enough.
    Recovering,
    /// The source has restarted or come back: its rates may still be filling up.
    SourceRestarted,
    /// The source answered in part only (warnings of Thanos-like backends).
    PartialResponse,
    /// The value is a constant of the policy, not a measurement.
    Constant,
}

/// What an answer was instead of a number that can be sized on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NotANumber {
    /// NaN, such as the quantile of an empty histogram.
    Nan,
    /// Positive infinity.
    PositiveInfinity,
    /// Negative infinity.
    NegativeInfinity,
    /// Finite but below zero.
    OutOfDomain,
}

/// A failed query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceError {
    /// What kind of failure.
    pub kind: SourceErrorKind,
    /// The server that failed, as a person knows it; none where none could be asked. Never a credential.
    pub server: Option<Arc<str>>,
    /// What a person needs to mend it, such as the position of a syntax error. Never a credential.
    pub message: Arc<str>,
}

/// Kinds of failed queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SourceErrorKind {
    /// The query could not be made: a missing Secret, a refused URL, an unreadable certificate.
    Setup,
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// An HTTP status that is not a success.
    Http(u16),
    /// HTTP 429.
    RateLimited,
    /// An answer that is not Prometheus' JSON.
    Parse,
    /// The source refused the expression.
    Query,
}

impl SourceError {
    /// A failure of no server in particular.
    pub fn new(kind: SourceErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, server: None, message: message.into() }
    }

    /// The same failure, of `server`.
    #[must_use]
    pub fn of(self, server: Arc<str>) -> Self {
        Self { server: Some(server), ..self }
    }
}

impl SourceErrorKind {
    /// Whether a person has to change something; otherwise waiting may help.
    pub fn is_misconfiguration(self) -> bool {
        match self {
            Self::Setup | Self::Query => true,
            Self::Http(code) => (400..500).contains(&code) && code != 408 && code != 429,
            Self::Connect | Self::Timeout | Self::RateLimited | Self::Parse => false,
        }
    }
}

impl Sample {
    /// A value `v` whose newest raw sample is from `at` (`None` where the source names no freshness: no stale test then).
    /// Anything that is not finite and at least zero becomes [`Sample::NotANumber`].
    pub fn value(v: f64, at: Option<Time>) -> Self {
        match NotANumber::of(v) {
            Some(not) => Self::NotANumber(not),
            // Adding zero turns -0.0 into 0.0, so that equal values print alike.
            None => Self::Value(Value { v: v + 0.0, at, scrape_interval: None, trust: Trust::Full }),
        }
    }

    /// A failed query.
    pub fn error(kind: SourceErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self::Error(SourceError::new(kind, message))
    }

    /// The same sample; if a value, then one whose source scrapes at this interval, which is what makes it stale. Of other
    /// values the policy's counts.
    #[must_use]
    pub fn scraped_every(mut self, interval: Duration) -> Self {
        if let Self::Value(value) = &mut self {
            value.scrape_interval = Some(interval);
        }
        self
    }

    /// The value, unless it is older than `stale_after`.
    pub(crate) fn fresh(&self, now: Time, stale_after: Duration) -> Option<Value> {
        let Self::Value(value) = self else { return None };
        Some(*value).filter(|value| value.at.is_none_or(|at| now.since(at) <= stale_after))
    }

    /// The number of a fresh value that is trusted in full: the only one that may lower or stop anything.
    pub(crate) fn trusted(&self, now: Time, stale_after: Duration) -> Option<f64> {
        self.fresh(now, stale_after).filter(|value| value.trust == Trust::Full).map(|value| value.v)
    }

    /// How often its source scrapes, where known.
    pub(crate) fn scrape_interval(&self) -> Option<Duration> {
        let Self::Value(value) = self else { return None };
        value.scrape_interval
    }

    /// The time of the newest raw sample behind it, where known.
    pub(crate) fn at(&self) -> Option<Time> {
        let Self::Value(value) = self else { return None };
        value.at
    }

    /// The same sample; if a value, then one that may only raise, because of `doubt`.
    #[must_use]
    pub fn doubted(mut self, doubt: Doubt) -> Self {
        if let Self::Value(value) = &mut self {
            value.trust = Trust::RaiseOnly(doubt);
        }
        self
    }
}

impl Value {
    /// The number: finite and at least zero.
    pub fn get(&self) -> f64 {
        self.v
    }

    /// The time of the newest raw sample behind it, where known.
    pub fn at(&self) -> Option<Time> {
        self.at
    }

    /// How often its source scrapes, where known.
    pub fn scrape_interval(&self) -> Option<Duration> {
        self.scrape_interval
    }

    /// What it may be used for.
    pub fn trust(&self) -> Trust {
        self.trust
    }
}

impl NotANumber {
    /// What is wrong with `v`; `None` if it is finite and at least zero.
    pub fn of(v: f64) -> Option<Self> {
        if v.is_nan() {
            Some(Self::Nan)
        } else if v == f64::INFINITY {
            Some(Self::PositiveInfinity)
        } else if v == f64::NEG_INFINITY {
            Some(Self::NegativeInfinity)
        } else if v < 0.0 {
            Some(Self::OutOfDomain)
        } else {
            None
        }
    }
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nan => "NaN",
            Self::PositiveInfinity => "+Inf",
            Self::NegativeInfinity => "-Inf",
            Self::OutOfDomain => "below zero",
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recovering => "its source is recovering",
            Self::SourceRestarted => "its source has restarted and its rates are filling up",
            Self::PartialResponse => "its source answered in part only",
            Self::Constant => "it is a constant, not a measurement",
        })
    }
}
