//! The narrow door to a server that answers PromQL: instant queries, and when the server started.

use decide::{SourceError, SourceErrorKind, Time};
use futures::future::BoxFuture;
use std::collections::BTreeMap;

/// One server with one set of credentials.
pub trait PromApi: Send + Sync {
    /// The answer to `expression` as of `at`.
    fn query<'a>(&'a self, expression: &'a str, at: Time) -> BoxFuture<'a, Result<Vector, QueryError>>;

    /// When the server's process started; none where it does not say.
    fn started(&self) -> BoxFuture<'_, Option<Time>>;
}

/// An answer: any number of series, each with one number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vector {
    /// The series.
    pub series: Vec<Series>,
    /// The server said that parts of the data may be missing.
    pub partial: bool,
}

/// One series at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; anything an f64 can be.
    pub value: f64,
}

/// A query without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What went wrong.
    pub error: SourceError,
    /// The query asked for more than the server (or we) will handle at once: asking for less may work.
    pub too_large: bool,
    /// The server refused the credentials: newer ones may work.
    pub unauthorized: bool,
}

impl QueryError {
    /// An error that is neither about size nor about credentials.
    pub fn new(kind: SourceErrorKind, message: impl Into<String>) -> Self {
        let error = SourceError::new(kind, message.into());
        Self { error, too_large: false, unauthorized: matches!(kind, SourceErrorKind::Http(401 | 403)) }
    }

    /// The same error, about size.
    #[must_use]
    pub fn too_large(mut self) -> Self {
        self.too_large = true;
        self
    }
}

impl From<Vec<Series>> for Vector {
    fn from(series: Vec<Series>) -> Self {
        Self { series, partial: false }
    }
}

impl Series {
    /// A series.
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) -> Self {
        let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Self { labels, value }
    }
}

/// A label in which `series` differ, the first by name; empty if they are alike.
pub fn differing_label(series: &[Series]) -> String {
    let names = series.iter().flat_map(|series| series.labels.keys()).collect::<std::collections::BTreeSet<_>>();
    let differs = |name: &&&String| {
        let mut values = series.iter().map(|series| series.labels.get(**name));
        let first = values.next().flatten();
        values.any(|value| value != first)
    };
    names.iter().find(differs).map(|name| (**name).clone()).unwrap_or_default()
}
