//! Traces as answers of Prometheus' `query_range`.

use anyhow::{Context, Result, anyhow, bail};
use decide::Time;
use operator::prometheus::decode::is_about_missing_data;
use replay::trace::{Clock, Hold, Reading, Series, Trace};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The answer's envelope, see the HTTP API of Prometheus.
#[derive(Deserialize)]
struct Answer {
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
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, Number)>,
    #[serde(default)]
    histograms: Vec<serde_json::Value>,
}

/// Prometheus writes values as strings, because JSON has no NaN.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(f64),
}

/// The series of one answer, and what the user should know about it.
#[derive(Debug, PartialEq)]
pub struct Parsed {
    /// The series; without points where the query matched nothing.
    pub series: Series,
    /// What the server warned of, and what follows.
    pub notes: Vec<String>,
}

/// A trace from the answers for the rate and, where recorded, the latency.
///
/// # Errors
/// A rate without a single point.
pub fn trace(name: &str, rate: Series, latency: Option<Series>) -> Result<Trace> {
    Trace::new(rate, latency, Clock::Seconds).ok_or_else(|| {
        anyhow!(
            "{name}: data.result is empty: the query matched no series in that time; check its labels and its range"
        )
    })
}

/// What to say where the latency of an answer called `name` is of another time than the rate.
pub fn misses(name: &str, trace: &Trace) -> Option<String> {
    let latency = trace.latency.as_ref().filter(|latency| !latency.speaks(trace.start, trace.end));
    latency.map(|_| {
        let (start, end) = (trace.clock.show(trace.start), trace.clock.show(trace.end));
        format!(
            "{name}: holds no latency between {start} and {end}, the time of the rate, so latency is missing throughout: record both with the same start and end"
        )
    })
}

/// The one series in the text of an answer called `name`. A gap longer than the step is a time without the series, and of
/// a partial answer it is known that its values may be too low.
///
/// # Errors
/// A failed query, an answer to something else than a range query, more than one series, and whatever cannot be read,
/// with its place and how to mend it.
pub fn parse(name: &str, text: &str) -> Result<Parsed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let answer: Answer = serde_json::from_str(text).with_context(|| {
        format!("{name}: is no answer of Prometheus' query_range: save the body of /api/v1/query_range")
    })?;
    if answer.status != "success" {
        let (kind, message) = (answer.error_type.unwrap_or_default(), answer.error.unwrap_or_default());
        bail!(
            "{name}: the query failed with status {:?} ({kind}: {message}): mend the query and record it again",
            answer.status
        );
    }
    let Some(data) = answer.data else { bail!("{name}: data is missing: save the whole body of /api/v1/query_range") };
    if data.result_type != "matrix" {
        bail!(
            "{name}: data.resultType is {:?}, not \"matrix\": ask /api/v1/query_range (start, end, step) instead of query",
            data.result_type
        );
    }
    let mut result: Vec<Range> = serde_json::from_value(data.result)
        .with_context(|| format!("{name}: data.result: expected a list of series with metric and values"))?;
    if result.len() > 1 {
        let (count, a, b) = (result.len(), &result[0].metric, &result[1].metric);
        match a.keys().chain(b.keys()).filter(|key| a.get(*key) != b.get(*key)).min() {
            Some(label) => bail!(
                "{name}: data.result holds {count} series, which differ in the label {label:?}: sum them in the query, as in sum(rate(...)), or select one"
            ),
            None => bail!(
                "{name}: data.result holds {count} series, and two of them have the same labels: keep one of the two"
            ),
        }
    }
    let points = match result.pop() {
        None => Vec::new(),
        Some(range) if !range.histograms.is_empty() => {
            bail!(
                "{name}: data.result[0].histograms: expected numbers in values: apply histogram_quantile or histogram_avg in the query"
            )
        }
        Some(range) => points(name, range.values)?,
    };
    let (mut series, mut notes) = (Series::new(points, Hold::OneStep), Vec::new());
    if answer.is_partial == Some(true) {
        series = series.in_part();
        notes.push(format!("{name}: the server says that it answered in part (isPartial): its values only raise"));
    }
    for warning in answer.warnings.into_iter().flatten() {
        if is_about_missing_data(&warning) {
            series = series.in_part();
            notes.push(format!("{name}: the server warned: {warning}: its values only raise"));
        } else {
            notes.push(format!("{name}: the server remarked: {warning}"));
        }
    }
    Ok(Parsed { series, notes })
}

fn points(name: &str, values: Vec<(f64, Number)>) -> Result<Vec<(Time, Reading)>> {
    let mut points: Vec<(Time, Reading)> = Vec::with_capacity(values.len());
    for (index, (seconds, number)) in values.into_iter().enumerate() {
        let place = format!("{name}: data.result[0].values[{index}]");
        let (time, _) =
            replay::trace::time(&seconds.to_string()).map_err(|problem| anyhow!("{place}: time {problem}"))?;
        if points.last().is_some_and(|(before, _)| time <= *before) {
            bail!("{place}: time {seconds} is not after the one before: sort the values by time and keep one per time");
        }
        let number = match number {
            Number::Number(number) => number,
            Number::Text(text) => text.parse().map_err(|_| {
                anyhow!("{place}: {text:?} is no number: Prometheus writes \"120\", \"NaN\", \"+Inf\" or \"-Inf\"")
            })?,
        };
        points.push((time, Reading::Number(number)));
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use decide::Duration;
    use replay::trace::Cursor;

    fn matrix(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{result}}}}}"#)
    }

    #[test]
    fn values_are_read_as_prometheus_writes_them() {
        let text = matrix(r#"[{"metric":{},"values":[[10,"1"],[25,"NaN"],[40.0,"+Inf"],[55,"-Inf"],[100,"2.5"]]}]"#);
        let series = parse("r.json", &text).unwrap().series;
        assert_eq!(series.step(), Duration::from_secs(15));
        let mut cursor = Cursor::default();
        let seen: Vec<String> = [10, 25, 40, 55, 70, 100]
            .iter()
            .map(|t| format!("{:?}", series.at(&mut cursor, Time::from_secs(*t)).reading))
            .collect();
        assert_eq!(seen, ["Number(1.0)", "Number(NaN)", "Number(inf)", "Number(-inf)", "Missing", "Number(2.5)"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_an_answer() {
        let text = matrix(r#"[{"metric":{},"values":[[10,"1"]]}]"#);
        assert_eq!(parse("r.json", &format!("\u{feff}{text}")).unwrap(), parse("r.json", &text).unwrap());
    }

    #[test]
    fn warnings_and_an_empty_answer_are_passed_on() {
        let text = r#"{"status":"success","warnings":["partial"],"data":{"resultType":"matrix","result":[]}}"#;
        let parsed = parse("r.json", text).unwrap();
        let note = "r.json: the server warned: partial: its values only raise".to_owned();
        assert_eq!((parsed.series.span(), parsed.notes), (None, vec![note]));
        let error = trace("r.json", parsed.series, None).unwrap_err().to_string();
        assert!(error.contains("matched no series"), "{error}");
    }

    #[test]
    fn an_answer_that_says_it_is_partial_only_raises() {
        let with = |more: &str| {
            let result = r#"[{"metric":{},"values":[[10,"1"]]}]"#;
            parse("r.json", &matrix(result).replacen('{', &format!("{{{more},"), 1)).unwrap()
        };
        let parsed = with(r#""isPartial":true"#);
        let note = "r.json: the server says that it answered in part (isPartial): its values only raise".to_owned();
        assert_eq!((&parsed.series, parsed.notes), (&with(r#""warnings":["a store is down"]"#).series, vec![note]));
        let whole = with(r#""isPartial":false"#);
        assert_ne!(parsed.series, whole.series);
        assert_eq!(with(r#""warnings":null,"isPartial":null,"error":null"#), whole);
    }

    #[test]
    fn bad_answers_are_refused_with_their_place_and_remedy() {
        let table = [
            ("".to_owned(), "r.json: is no answer"),
            ("time,rate\n0,1\n".to_owned(), "r.json: is no answer"),
            ("{}".to_owned(), "r.json: is no answer"),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error at char 5"}"#.to_owned(),
                "r.json: the query failed with status \"error\" (bad_data: parse error at char 5)",
            ),
            (r#"{"status":"success"}"#.to_owned(), "r.json: data is missing"),
            (
                r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned(),
                "r.json: data.resultType is \"vector\"",
            ),
            (
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#.to_owned(),
                "r.json: data.resultType is \"scalar\"",
            ),
            (matrix("5"), "r.json: data.result: expected a list"),
            (
                matrix(r#"[{"metric":{"pod":"a"},"values":[[0,"1"]]},{"metric":{"pod":"b"},"values":[[0,"1"]]}]"#),
                "r.json: data.result holds 2 series, which differ in the label \"pod\"",
            ),
            (
                matrix(r#"[{"metric":{"pod":"a"},"values":[[0,"1"]]},{"metric":{"pod":"a"},"values":[[0,"1"]]}]"#),
                "r.json: data.result holds 2 series, and two of them have the same labels: keep one of the two",
            ),
            (
                matrix(r#"[{"metric":{},"values":[[0,"1"],[0,"2"]]}]"#),
                "r.json: data.result[0].values[1]: time 0 is not after",
            ),
            (
                matrix(r#"[{"metric":{},"values":[[5,"1"],[0,"2"]]}]"#),
                "r.json: data.result[0].values[1]: time 0 is not after",
            ),
            (
                matrix(r#"[{"metric":{},"values":[[0,"many"]]}]"#),
                "r.json: data.result[0].values[0]: \"many\" is no number",
            ),
            (
                matrix(r#"[{"metric":{},"values":[[1764576000000,"1"]]}]"#),
                "r.json: data.result[0].values[0]: time \"1764576000000\" is out of range",
            ),
            (matrix(r#"[{"metric":{},"histograms":[[0,{}]]}]"#), "r.json: data.result[0].histograms"),
        ];
        for (text, expected) in table {
            let error = parse("r.json", &text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}\n  gave     {error}\n  expected {expected}");
        }
    }
}
