//! Answers of `query_range` that are not whole, or that do not fit each other.

use super::*;

/// The file of an answer with one point per 15 s from `start` on.
fn answer(name: &str, warnings: &str, start: u64, values: &[&str]) -> String {
    answer_every(15, name, warnings, start, values)
}

/// The file of an answer with one point per `step` seconds from `start` on.
fn answer_every(step: u64, name: &str, warnings: &str, start: u64, values: &[&str]) -> String {
    let points: Vec<String> =
        values.iter().enumerate().map(|(row, value)| format!("[{},\"{value}\"]", start + row as u64 * step)).collect();
    let series =
        if values.is_empty() { String::new() } else { format!(r#"{{"metric":{{}},"values":[{}]}}"#, points.join(",")) };
    scratch(
        name,
        &format!(
            r#"{{"status":"success","warnings":[{warnings}],"data":{{"resultType":"matrix","result":[{series}]}}}}"#
        ),
    )
}

fn of(more: &[&str]) -> (Value, String) {
    let file = fixture(PLAIN);
    let common = ["simulate", "-f", &file, "--app", "web", "--platform", "campus", "-o", "json"];
    let ran = run_words(common.iter().copied().chain(more.iter().copied())).unwrap();
    (serde_json::from_str(&ran.out).unwrap(), ran.err)
}

/// The states of a signal, without repetition.
fn states(report: &Value, signal: usize) -> Vec<&str> {
    let mut states: Vec<&str> =
        steps(report).iter().map(|step| step["signals"][signal]["state"].as_str().unwrap()).collect();
    states.dedup();
    states
}

#[test]
fn a_partial_answer_only_raises() {
    let values = [vec!["820"; 60], vec!["500"; 120]].concat();
    let whole = answer("whole.json", "", 0, &values);
    let partial = answer("partial.json", r#""store 10.0.0.7 did not answer""#, 0, &values);
    let latency = answer("calm.json", "", 0, &["0.05"; 180]);
    let (report, err) = of(&["--rate", &partial, "--latency", &latency]);
    assert_eq!((states(&report, 0), states(&report, 1)), (vec!["RaiseOnly"], vec!["Value"]));
    assert_eq!(course(&report, "floor"), [7, 9], "as demand rose, and never down");
    assert!(err.contains("the server warned: store 10.0.0.7 did not answer: its values only raise"), "{err}");
    let (report, _) = of(&["--rate", &whole, "--latency", &latency]);
    assert!(course(&report, "floor").len() > 2, "the same values of a whole answer lower");

    let partial = answer("partial-latency.json", r#""a store did not answer""#, 0, &["0.05"; 180]);
    let (report, _) = of(&["--rate", &whole, "--latency", &partial]);
    assert_eq!((states(&report, 0), states(&report, 1)), (vec!["Value"], vec!["RaiseOnly"]));
    let (report, _) = of(&["--rate", &whole, "--latency", &partial, "--closed-loop", "200"]);
    assert_eq!(states(&report, 1), ["RaiseOnly"], "the model of overload does not make it whole");
}

#[test]
fn each_answer_is_as_fresh_as_its_own_step_allows() {
    let values = [vec!["1500"; 40], vec!["300"; 360]].concat();
    let rate = answer("fast-rate.json", "", 6000, &values);
    let calm = |step: u64, start: u64| {
        let name = format!("calm-{step}-{start}.json");
        answer_every(step, &name, "", start, &vec!["0.05"; usize::try_from(6100 / step).unwrap()])
    };
    let (expected, _) = of(&["--rate", &rate, "--latency", &calm(15, 6000)]);
    assert_eq!(course(&expected, "floor").last(), Some(&4));
    // Once a minute, scraped at other moments than the rate is, and seldom.
    for latency in [calm(60, 5943), calm(300, 5999)] {
        let (report, _) = of(&["--rate", &rate, "--latency", &latency]);
        assert_eq!((states(&report, 0), states(&report, 1)), (vec!["Value"], vec!["Value"]), "{latency}");
        assert_eq!(course(&report, "floor"), course(&expected, "floor"), "{latency}");
    }
    let file = fixture(PLAIN);
    let latency = calm(60, 5943);
    let words =
        ["simulate", "-f", &file, "--app", "web", "--platform", "campus", "--rate", &rate, "--latency", &latency];
    let told = run_words(words).unwrap().out;
    assert!(told.contains("scraped every 15s (latency every 1m)\n"), "{}", told.lines().next().unwrap());
    // Recorded once a minute, but scraped more often.
    let rate = answer_every(60, "minutes.json", "", 6000, &values[..100]);
    for interval in ["5s", "15s", "60s", "5m"] {
        let (report, _) = of(&["--rate", &rate, "--latency", &latency, "--scrape-interval", interval]);
        assert_eq!((states(&report, 0), states(&report, 1)), (vec!["Value"], vec!["Value"]), "{interval}");
    }
}

#[test]
fn a_remark_on_the_query_does_not_make_an_answer_partial() {
    let rate = answer("remark.json", r#""PromQL warning: bucket label is missing""#, 0, &["250"; 4]);
    let (report, err) = of(&["--rate", &rate]);
    assert_eq!(states(&report, 0), ["Value"]);
    assert!(err.contains("the server remarked: PromQL warning") && !err.contains("only raise"), "{err}");
}

#[test]
fn latency_of_another_time_is_said() {
    let rate = answer("time-rate.json", "", 1_764_576_000, &["250"; 8]);
    let table: [(u64, &[&str], bool); 5] = [
        (1_764_576_000, &["0.05"; 8], false),
        (1_764_575_990, &["0.05"], false),
        (1_764_576_120, &["0.05"; 8], true),
        (1_864_576_000, &["0.05"], true),
        (0, &[], true),
    ];
    for (index, (start, values, said)) in table.into_iter().enumerate() {
        let latency = answer(&format!("time-latency-{index}.json"), "", start, values);
        let (_, err) = of(&["--rate", &rate, "--latency", &latency]);
        let note = format!(
            "note: {latency}: holds no latency between 1764576000 and 1764576120, the time of the rate, so latency is missing throughout: record both with the same start and end"
        );
        assert_eq!(err.contains(&note), said, "{start} {values:?}: {err}");
    }
}
