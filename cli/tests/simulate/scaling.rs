//! What the replayed pods do.

use super::*;

#[test]
fn load_for_three_pods_and_a_bit_asks_for_four() {
    let report = json(STORY, "web", &fixture("steps.csv"), &[]);
    assert_eq!(course(&report, "floor"), [3, 4, 3]);
    assert_eq!(course(&report, "pods"), [3, 4, 3]);
    let at = |time: u64| steps(&report).iter().find(|step| number(step, "time") == time).unwrap();
    assert_eq!(at(300)["signals"][0]["proposal"], 2, "160 requests/s");
    assert_eq!(at(900)["signals"][0]["proposal"], 4, "320 requests/s");
}

#[test]
fn floors_follow_the_behavior_of_the_story() {
    let report = json(STORY, "web", &fixture("surge.csv"), &[]);
    let course_of_floors = [3, 6, 12, 20, 18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3];
    assert_eq!(course(&report, "floor"), course_of_floors);
    assert_eq!(course(&report, "pods"), course_of_floors);
    let summary = &report["summary"];
    assert_eq!(
        (&summary["scaleUps"], &summary["scaleDowns"], &summary["peakPods"]),
        (&3.into(), &12.into(), &20.into())
    );
}

#[test]
fn nothing_but_a_trusted_value_lowers() {
    let table_of_kinds = [
        ("", "NoData"),
        ("NaN", "NotANumber"),
        ("+Inf", "NotANumber"),
        ("-Inf", "NotANumber"),
        ("-20", "NotANumber"),
        ("error", "SourceError"),
    ];
    for (cell, state) in table_of_kinds {
        let trace = table(
            &format!("kind-{state}-{}.csv", cell.len()),
            &[("820", "0.05", 60), (cell, "0.05", 120), ("820", "0.05", 20)],
        );
        let report = json(PLAIN, "web", &trace, &["--platform", "campus"]);
        assert_eq!(course(&report, "floor"), [7, 9], "{cell}: up from 3 in one step, then held");
        let bad: Vec<&Value> =
            steps(&report).iter().filter(|step| (900..2700).contains(&number(step, "time"))).collect();
        for step in bad {
            let signal = &step["signals"][0];
            assert_eq!(
                (signal["name"].as_str(), signal["state"].as_str()),
                (Some("requestRate"), Some(state)),
                "{step}"
            );
            assert_eq!((&signal["value"], &signal["proposal"]), (&Value::Null, &Value::Null));
            assert!(step["rate"].is_null() || cell == "-20", "{step}");
        }
    }
}

#[test]
fn latency_without_a_value_blocks_lowering_too() {
    for (cell, state) in [("", "NoData"), ("NaN", "NotANumber"), ("error", "SourceError")] {
        let trace = table(&format!("latency-{state}.csv"), &[("820", "0.05", 60), ("500", cell, 120)]);
        let report = json(PLAIN, "web", &trace, &["--platform", "campus"]);
        assert_eq!(course(&report, "floor"), [7, 9], "{cell}");
        assert!(number(&report["summary"], "blockedDowns") > 300, "{cell}: {}", report["summary"]);
        let last = steps(&report).last().unwrap();
        assert_eq!((last["latency"].clone(), last["signals"][1]["state"].as_str()), (Value::Null, Some(state)));
    }
    let recorded = table("recorded.csv", &[("820", "0.05", 60), ("500", "0.05", 120)]);
    let report = json(PLAIN, "web", &recorded, &["--platform", "campus"]);
    assert_eq!(course(&report, "floor"), [7, 9, 8, 7, 6], "the same load with latency is followed");
}

#[test]
fn a_source_that_never_answers_leads_to_the_fallback() {
    for cell in ["error", "", "NaN"] {
        let report = json(
            PLAIN,
            "web",
            &table(&format!("never-{}.csv", cell.len()), &[(cell, "", 40)]),
            &["--platform", "campus"],
        );
        assert_eq!(course(&report, "floor"), [3, 6], "{cell}");
        let first = steps(&report).iter().find(|step| number(step, "floor") == 6).unwrap();
        assert_eq!(number(first, "time"), 60, "{cell}: three failures that span a minute");
        let stages = first["stages"].as_array().unwrap();
        assert!(stages.iter().any(|stage| stage["why"].as_str().unwrap().contains("fallback")), "{first}");
    }
}

#[test]
fn after_an_outage_values_only_raise_until_they_have_settled() {
    let report = json(STORY, "web", &example("traces/outage.csv"), &[]);
    let states: Vec<&str> = steps(&report).iter().map(|step| step["signals"][0]["state"].as_str().unwrap()).collect();
    let mut states_in_turn = states.clone();
    states_in_turn.dedup();
    assert_eq!(states_in_turn, ["Value", "SourceError", "NotANumber", "NoData", "RaiseOnly", "Value"]);
    assert_eq!(course(&report, "floor"), [3, 6, 7], "and never down");
}

#[test]
fn overload_that_hides_demand_still_raises() {
    let policies = [(PLAIN, ["--platform", "campus"]), (STORY, ["--platform", "story"])];
    let trace = table("overload.csv", &[("400", "", 40)]);
    let rate_only = scratch(
        "overload-rate.csv",
        &std::fs::read_to_string(&trace).unwrap().replace(",latency", "").replace("400,", "400"),
    );
    for (policy, platform) in policies {
        let report = json(policy, "web", &rate_only, &[&platform[..], &["--closed-loop", "60"]].concat());
        let all = steps(&report);
        let over = |step: &Value| step["latency"].as_f64().unwrap() > 0.2;
        assert!(over(&all[0]));
        let mut floor = 0;
        for step in all.iter().filter(|step| over(step)) {
            assert!(number(step, "floor") >= floor, "lowered while over budget: {step}");
            floor = number(step, "floor");
            assert_eq!(step["rate"], 400);
            let measured = step["signals"][0]["value"].as_u64().unwrap();
            assert!(measured < 400, "completed, not offered: {step}");
        }
        assert!(!over(all.last().unwrap()), "{policy}: {}", all.last().unwrap());
        assert!(number(all.last().unwrap(), "floor") >= 7);
        assert!(number(&report["summary"], "underCapacitySeconds") > 60);
        if policy == PLAIN {
            let reached = all.iter().find(|step| number(step, "floor") >= 7).unwrap();
            assert!(number(reached, "time") <= 240, "{reached}");
        }
    }
    let open = json(PLAIN, "web", &rate_only, &["--platform", "campus"]);
    assert_eq!(course(&open, "floor"), [4], "without the loop the trace's rate is all there is");
}

#[test]
fn overload_without_a_latency_value_holds() {
    let trace = table("blind.csv", &[("400", "error", 40)]);
    let report = json(PLAIN, "web", &trace, &["--platform", "campus", "--closed-loop", "60"]);
    assert_eq!(course(&report, "floor"), [3], "180 of 400 seen, and no latency: nothing is known that would raise");
}

#[test]
fn pods_take_their_time_and_the_hpa_takes_its() {
    let trace = table("start.csv", &[("250", "0.05", 4), ("600", "0.05", 20)]);
    let report = json(
        PLAIN,
        "web",
        &trace,
        &["--platform", "campus", "--pod-start", "40s", "--hpa-sync", "30s", "--start-pods", "4"],
    );
    let when = |key: &str, count: u64| {
        let step = steps(&report).iter().find(|step| number(step, key) >= count).unwrap();
        number(step, "time")
    };
    assert_eq!((when("floor", 6), when("pods", 6), when("ready", 6)), (60, 60, 100));
    assert_eq!(report["summary"]["underCapacitySeconds"], 40);
    assert_eq!(course(&report, "pods"), [4, 6]);
}

#[test]
fn a_rollout_replaces_pods_without_losing_any_or_lowering() {
    let trace = table("rollout.csv", &[("480", "0.05", 60), ("310", "0.05", 60)]);
    let more = ["--platform", "campus", "--rollout-at", "1200", "--pod-start", "30s"];
    let report = json(PLAIN, "web", &trace, &more);
    let plain = json(PLAIN, "web", &trace, &more[..2]);
    for step in steps(&report).iter().filter(|step| number(step, "time") > 120) {
        assert!(number(step, "ready") >= number(step, "pods"), "maxUnavailable 0: {step}");
    }
    let rolling: Vec<u64> = steps(&report)
        .iter()
        .filter(|step| step["stages"][2]["why"] != "no rollout")
        .map(|step| number(step, "time"))
        .collect();
    assert_eq!((rolling.first(), rolling.last()), (Some(&1200), Some(&1345)), "five pods, one at a time, 30 s each");
    let lowered = |report: &Value| {
        steps(report)
            .iter()
            .find(|step| number(step, "time") > 900 && number(step, "floor") < 5)
            .map(|step| number(step, "time"))
    };
    let (with, without) = (lowered(&report), lowered(&plain));
    assert!(without.is_some_and(|time| (1200..1300).contains(&time)), "{without:?}");
    assert!(with.is_none_or(|time| time > 1300), "nothing is lowered during the rollout: {with:?}");
}

#[test]
fn cpu_asks_for_pods_where_it_is_modelled() {
    let trace = table("cpu.csv", &[("400", "0.05", 40)]);
    // 400 requests/s of 2 millicores each are 16 pods of 50 millicores.
    let report = json(PLAIN, "web", &trace, &["--platform", "campus", "--cpu-per-request", "2"]);
    let last = steps(&report).last().unwrap();
    assert_eq!((number(last, "floor"), number(last, "pods")), (4, 16));
    let burn = json(PLAIN, "burn", &trace, &["--cpu-per-request", "2"]);
    assert_eq!(number(steps(&burn).last().unwrap(), "pods"), 16, "cpu alone");
    let error = try_run(PLAIN, "slow", &trace, &["--cpu-per-request", "2"]).unwrap_err();
    assert!(error.contains("set autoscaling.cpu"), "{error}");
}

#[test]
fn calendars_and_holds_see_real_time() {
    let trace = table("calendar.csv", &[("100", "0.05", 120)]);
    let report = json(PLAIN, "exams", &trace, &["--start-at", "2026-12-07T07:45:00Z"]);
    let at = |time: u64| number(steps(&report).iter().find(|step| number(step, "time") == time).unwrap(), "floor");
    assert_eq!((at(0), at(900), at(1795)), (2, 15, 15), "the exam begins at 08:00 and is ramped for");
    let ran = run(PLAIN, "exams", &trace, &[]);
    assert!(ran.err.contains("--start-at"), "{}", ran.err);

    let held = json(PLAIN, "held", &trace, &["--start-at", "2026-12-07T10:00:00Z"]);
    assert_eq!(course(&held, "floor")[..2], [6, 9], "by the speed of the behavior");
    let last = steps(&held).last().unwrap();
    assert!(number(last, "floor") < 9, "the hold has ended: {last}");
    let relative = run(PLAIN, "held", &trace, &["-o", "json"]);
    let said = "the hold until 2026-12-07T10:10:00Z would never end: replayed without it; give the real beginning with --start-at";
    assert!(relative.err.contains(said), "{}", relative.err);
    let report: Value = serde_json::from_str(&relative.out).unwrap();
    assert_eq!(report["summary"]["peakPods"], 2, "100 requests/s need no more");
}

#[test]
fn a_trace_of_days_reads_the_calendar_anew() {
    let mut text = "time,rate\n".to_owned();
    for hour in 0..60 * 24 {
        writeln!(text, "{},100", hour * 3600).unwrap();
    }
    let trace = scratch("months.csv", &text);
    let more = ["--start-at", "2026-10-20T00:00:00Z", "--evaluation-interval", "60s"];
    assert_eq!(json(PLAIN, "exams", &trace, &more)["summary"]["peakPods"], 15, "seven weeks ahead");
}

#[test]
fn a_query_range_answer_replays_as_its_table() {
    let rows = [(0, "250"), (15, "250"), (30, "820"), (45, "820"), (60, "820")];
    let values =
        |rows: &[(i32, &str)]| rows.iter().map(|(t, v)| format!("[{t},\"{v}\"]")).collect::<Vec<_>>().join(",");
    let answer = |values: &str| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{values}]}}]}}}}"#
        )
    };
    let rate = scratch("rate.json", &answer(&values(&rows)));
    let latency = scratch("latency.json", &answer(&values(&rows.map(|(t, _)| (t, "0.05")))));
    let csv = rows.iter().map(|(t, v)| format!("{t},{v},0.05\n")).collect::<String>();
    let csv = scratch("same.csv", &format!("time,rate,latency\n{csv}"));
    let file = fixture(PLAIN);
    let common = ["simulate", "-f", &file, "--app", "web", "--platform", "campus", "-o", "json"];
    let of = |more: &[&str]| run_words(common.iter().copied().chain(more.iter().copied())).unwrap();
    let ranges = of(&["--rate", &rate, "--latency", &latency]);
    assert_eq!(ranges, of(&["--trace", &csv]));

    let gap = [rows[0], rows[1], rows[4]];
    let gap = of(&["--rate", &scratch("gap.json", &answer(&values(&gap))), "--latency", &latency]);
    let report: Value = serde_json::from_str(&gap.out).unwrap();
    let states: Vec<&str> = steps(&report).iter().map(|step| step["signals"][0]["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "NoData").count(), 6, "30 s without the series: {states:?}");
    assert!(steps(&report)[7]["rate"].is_null());
}
