//! From the bytes of an answer to series or a classified error. Pure.

use super::api::{QueryError, Series, Vector};
use decide::SourceErrorKind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest part of a server's message that is passed on.
const MESSAGE: usize = 300;

#[derive(Deserialize)]
struct Body {
    status: String,
    data: Option<Data>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics warns by this alone.
    #[serde(rename = "isPartial")]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((serde_json::Value, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<(serde_json::Value, String)>,
}

/// The answer to an instant query: status and body as received.
///
/// # Errors
/// Everything that is no vector or scalar of numbers, classified.
pub fn instant(code: u16, body: &[u8]) -> Result<Vector, QueryError> {
    let parsed = serde_json::from_slice::<Body>(body);
    let success = (200..300).contains(&code);
    match parsed {
        Ok(Body { status, data: Some(data), warnings, is_partial, .. }) if success && status == "success" => {
            let warned = warnings.iter().flatten().any(|warning| is_about_missing_data(warning));
            Ok(Vector { series: series(data)?, partial: warned || is_partial == Some(true) })
        }
        Ok(body) if body.status == "error" => {
            Err(reported(code, &body.error_type.unwrap_or_default(), &body.error.unwrap_or_default()))
        }
        Ok(_) | Err(_) if success => Err(QueryError::new(
            SourceErrorKind::Parse,
            "the answer is not of Prometheus' query API; check the address and its path",
        )),
        _ => Err(refused(code)),
    }
}

fn series(data: Data) -> Result<Vec<Series>, QueryError> {
    let not_numbers = |what: &str| {
        let message = format!("the expression gives {what}, not one number per series");
        QueryError::new(SourceErrorKind::Query, message)
    };
    let number = |text: &str| {
        let value = match text {
            "+Inf" => Ok(f64::INFINITY),
            "-Inf" => Ok(f64::NEG_INFINITY),
            other => other.parse::<f64>(),
        };
        value.map_err(|_| QueryError::new(SourceErrorKind::Parse, "a value in the answer is not a number"))
    };
    match data {
        Data::Vector(samples) => samples
            .into_iter()
            .map(|sample| {
                let (_, text) = sample.value.ok_or_else(|| not_numbers("a histogram"))?;
                Ok(Series { labels: sample.metric, value: number(&text)? })
            })
            .collect(),
        Data::Scalar((_, text)) => Ok(vec![Series { labels: BTreeMap::new(), value: number(&text)? }]),
        Data::Matrix(_) => Err(not_numbers("a range")),
        Data::String(_) => Err(not_numbers("a text")),
    }
}

/// Remarks on the expression (`PromQL info: ...`, `PromQL warning: ...`) say nothing about missing data; what else a
/// backend warns of (a store that did not answer) does.
pub fn is_about_missing_data(warning: &str) -> bool {
    !warning.starts_with("PromQL ")
}

/// An error in Prometheus' own words.
fn reported(code: u16, kind: &str, message: &str) -> QueryError {
    let message = first_line(message);
    let kind = match (code, kind) {
        (401 | 403, _) => return refused(code),
        (429, _) => SourceErrorKind::RateLimited,
        (_, "timeout" | "canceled") => SourceErrorKind::Timeout,
        (_, "bad_data" | "execution") => SourceErrorKind::Query,
        (200..300, _) => SourceErrorKind::Query,
        (code, _) => SourceErrorKind::Http(code),
    };
    let error = QueryError::new(kind, message.as_str());
    if is_about_size(&message) { error.too_large() } else { error }
}

/// An HTTP status without an explanation of Prometheus'.
fn refused(code: u16) -> QueryError {
    match code {
        300..=399 => {
            let message =
                format!("HTTP {code}: the server redirects, which is not followed; set url to the final address");
            QueryError::new(SourceErrorKind::Setup, message)
        }
        401 | 403 => {
            let message = format!("HTTP {code}: the server refuses the credentials; check auth and tls");
            QueryError::new(SourceErrorKind::Http(code), message)
        }
        404 => QueryError::new(
            SourceErrorKind::Http(code),
            "HTTP 404: no query API at this address; check the path of url",
        ),
        413 | 414 => {
            QueryError::new(SourceErrorKind::Http(code), format!("HTTP {code}: the query is too large")).too_large()
        }
        429 => QueryError::new(SourceErrorKind::RateLimited, "HTTP 429: the server limits the rate of queries"),
        504 => QueryError::new(SourceErrorKind::Timeout, "HTTP 504: the server did not answer its proxy in time"),
        _ => QueryError::new(SourceErrorKind::Http(code), format!("HTTP {code}")),
    }
}

/// Limits of Prometheus (samples), Thanos and Mimir (series, chunks, bytes, length of the expression).
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "too many samples",
        "too many series",
        "too many chunks",
        "too large",
        "exceeded",
        "exceeds the limit",
        "limit reached",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The first line, cut, without what stands between `://` and `@` in an address.
pub fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut out = String::new();
    for word in line.split_inclusive(char::is_whitespace) {
        match (word.find("://"), word.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                out.push_str(&word[..scheme + 3]);
                out.push_str(&word[at + 1..]);
            }
            _ => out.push_str(word),
        }
    }
    crate::conditions::truncate(&out, MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::api::differing_label;

    fn vector(result: &str) -> Result<Vector, QueryError> {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#);
        instant(200, body.as_bytes())
    }

    fn error(code: u16, body: &str) -> QueryError {
        instant(code, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn numbers_of_every_kind_are_kept() {
        for (text, value) in [("1.5", 1.5), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY), ("1e3", 1000.0)] {
            let answer = vector(&format!(r#"[{{"metric":{{"a":"b"}},"value":[1.1,"{text}"]}}]"#)).unwrap();
            assert_eq!(answer.series, vec![Series::new([("a", "b")], value)], "{text}");
        }
        assert!(vector(r#"[{"metric":{},"value":[1,"NaN"]}]"#).unwrap().series[0].value.is_nan());
        assert!(vector("[]").unwrap().series.is_empty());
        let scalar = instant(200, br#"{"status":"success","data":{"resultType":"scalar","result":[1,"5"]}}"#).unwrap();
        assert_eq!(scalar.series, vec![Series::new([], 5.0)]);
    }

    #[test]
    fn only_what_is_about_data_makes_an_answer_partial() {
        let table = [
            (r#""warnings":["fetch series for store 10.0.0.7: connection refused"]"#, true),
            (r#""warnings":["PromQL info: metric might not be a counter, name does not end in _total"]"#, false),
            (r#""warnings":["PromQL warning: bucket label is missing"]"#, false),
            (r#""warnings":null,"errorType":null,"error":null,"isPartial":null"#, false),
            // As VictoriaMetrics' vmselect writes it.
            (r#""isPartial":true,"stats":{"seriesFetched":"1"}"#, true),
            (r#""isPartial":false"#, false),
        ];
        for (more, partial) in table {
            let body = format!(r#"{{"status":"success",{more},"data":{{"resultType":"vector","result":[]}}}}"#);
            assert_eq!(instant(200, body.as_bytes()).unwrap().partial, partial, "{more}");
        }
    }

    #[test]
    fn errors_are_classified() {
        let prometheus =
            |kind: &str, text: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#);
        let table = [
            (400, prometheus("bad_data", "1:5: parse error: unexpected <by>"), SourceErrorKind::Query, false),
            (422, prometheus("execution", "multiple matches for labels"), SourceErrorKind::Query, false),
            (
                422,
                prometheus("execution", "query processing would load too many samples into memory"),
                SourceErrorKind::Query,
                true,
            ),
            (503, prometheus("timeout", "query timed out in expression evaluation"), SourceErrorKind::Timeout, false),
            (500, prometheus("internal", "tsdb is closed"), SourceErrorKind::Http(500), false),
            (503, "upstream connect error".to_owned(), SourceErrorKind::Http(503), false),
            (429, String::new(), SourceErrorKind::RateLimited, false),
            (401, String::new(), SourceErrorKind::Http(401), false),
            (403, prometheus("forbidden", "no"), SourceErrorKind::Http(403), false),
            (404, "404 page not found".to_owned(), SourceErrorKind::Http(404), false),
            (413, String::new(), SourceErrorKind::Http(413), true),
            (302, String::new(), SourceErrorKind::Setup, false),
            (504, String::new(), SourceErrorKind::Timeout, false),
            (200, "<html>login</html>".to_owned(), SourceErrorKind::Parse, false),
            (200, r#"{"status":"success"}"#.to_owned(), SourceErrorKind::Parse, false),
            (
                200,
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#.to_owned(),
                SourceErrorKind::Query,
                false,
            ),
        ];
        for (code, body, kind, too_large) in table {
            let found = error(code, &body);
            assert_eq!((found.error.kind, found.too_large), (kind, too_large), "{code} {body}");
            assert_eq!(found.unauthorized, matches!(code, 401 | 403), "{code}");
        }
        let histogram = vector(r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#).unwrap_err();
        assert_eq!(histogram.error.kind, SourceErrorKind::Query);
    }

    #[test]
    fn a_message_is_one_line_without_user_information() {
        let line = first_line("Post http://alice:s3cret@thanos:9090/api: refused\nsecond line");
        assert_eq!(line, "Post http://thanos:9090/api: refused");
        assert!(first_line(&"x".repeat(1000)).len() <= MESSAGE);
    }

    #[test]
    fn the_label_that_differs_is_named() {
        let series = [Series::new([("job", "a"), ("pod", "1")], 1.0), Series::new([("job", "a"), ("pod", "2")], 1.0)];
        assert_eq!(differing_label(&series), "pod");
        let missing = [Series::new([("job", "a")], 1.0), Series::new([("job", "a"), ("zone", "2")], 1.0)];
        assert_eq!(differing_label(&missing), "zone");
    }
}
