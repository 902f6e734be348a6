//! What is printed and drawn.

use super::*;

#[test]
fn json_has_the_documented_fields_and_no_others() {
    let report = json(STORY, "web", &example("traces/outage.csv"), &[]);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), ["steps", "summary"]);
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let summary =
        sorted(vec!["podHours", "peakPods", "underCapacitySeconds", "scaleUps", "scaleDowns", "blockedDowns"]);
    assert_eq!(keys(&report["summary"]), summary);
    let step = sorted(vec!["time", "rate", "latency", "signals", "floor", "cap", "pods", "ready", "stages"]);
    for found in steps(&report) {
        assert_eq!(keys(found), step);
        let mut before = None;
        for stage in found["stages"].as_array().unwrap() {
            assert_eq!(keys(stage), ["after", "before", "name", "why"]);
            assert!(before.is_none_or(|before: Value| before == stage["before"]), "stages chain: {found}");
            before = Some(stage["after"].clone());
        }
        assert_eq!(before.as_ref(), Some(&found["floor"]));
        for signal in found["signals"].as_array().unwrap() {
            assert_eq!(keys(signal), ["name", "proposal", "state", "value"]);
        }
    }
    assert_eq!(steps(&report).len(), 720, "an hour in steps of 5 s");
}

#[test]
fn the_summary_is_the_sum_of_the_steps() {
    let report = json(STORY, "web", &fixture("surge.csv"), &[]);
    let (mut pods, mut under, mut ups, mut downs, mut before) = (0, 0, 0, 0, 3);
    for step in steps(&report) {
        let count = number(step, "pods");
        pods += count * 5;
        under += if step["rate"].as_f64().unwrap() > number(step, "ready") as f64 * 100.0 { 5 } else { 0 };
        ups += u64::from(count > before);
        downs += u64::from(count < before);
        before = count;
    }
    let summary = &report["summary"];
    assert!((summary["podHours"].as_f64().unwrap() - pods as f64 / 3600.0).abs() < 1e-9);
    assert_eq!(
        (number(summary, "underCapacitySeconds"), number(summary, "scaleUps"), number(summary, "scaleDowns")),
        (under, ups, downs)
    );
    assert!(under > 0);
}

#[test]
fn yaml_says_the_same_as_json() {
    let trace = example("traces/outage.csv");
    let yaml = run(STORY, "web", &trace, &["-o", "yaml"]).out;
    let from_yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(from_yaml, json(STORY, "web", &trace, &[]));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for output in ["table", "json", "yaml"] {
        for more in [
            &["--closed-loop", "60"][..],
            &["--rollout-at", "2026-10-12T10:00:00Z"],
            &["--against", &example("story.yaml")],
        ] {
            let words = [more, &["-o", output, "--evaluation-interval", "30s"]].concat();
            let trace = example("traces/school-day.csv");
            assert_eq!(run(STORY, "web", &trace, &words), run(STORY, "web", &trace, &words), "{words:?}");
        }
    }
}

#[test]
fn the_table_shows_changes_and_fits() {
    let table = run(STORY, "web", &example("traces/outage.csv"), &[]).out;
    insta::assert_snapshot!(table);
    let all = run(STORY, "web", &example("traces/outage.csv"), &["--all"]).out;
    assert_eq!(
        all.lines().count() - table.lines().count(),
        720 - 10,
        "every step, and not only the ten that show a change"
    );
    for name in ["school-day.csv", "overload.csv", "outage.csv"] {
        for more in [&[][..], &["--against", &example("story.yaml")]] {
            let table = run(STORY, "web", &example(&format!("traces/{name}")), more).out;
            for line in table.lines() {
                assert!(line.chars().count() <= 100, "{name}: {line}");
            }
        }
    }
}

#[test]
fn two_policies_stand_side_by_side() {
    let other =
        scratch("other.yaml", &std::fs::read_to_string(fixture(STORY)).unwrap().replace("perPod: 100", "perPod: 50"));
    let trace = fixture("steps.csv");
    let report = json(STORY, "web", &trace, &["--against", &other]);
    let alone = json(STORY, "web", &trace, &[]);
    assert_eq!((&report["summary"], &report["steps"]), (&alone["summary"], &alone["steps"]));
    let against = &report["against"];
    let other_alone = json(&other, "web", &trace, &[]);
    assert_eq!(against["steps"], other_alone["steps"]);
    for figure in ["podHours", "peakPods", "scaleUps", "scaleDowns", "blockedDowns"] {
        assert_eq!(against["summary"][figure], other_alone["summary"][figure], "{figure}");
    }
    assert_eq!(course(against, "floor"), [3, 4, 7, 6, 5, 4, 3]);
    let table = run(STORY, "web", &trace, &["--against", &other]).out;
    let peak = table.lines().find(|line| line.contains("peak pods")).unwrap();
    assert_eq!(peak.split_whitespace().collect::<Vec<_>>(), ["peak", "pods", "4", "7", "+3"]);
    let yaml: Value =
        serde_saphyr::from_str(&run(STORY, "web", &trace, &["--against", &other, "-o", "yaml"]).out).unwrap();
    assert_eq!(yaml, report);
}

#[test]
fn the_plot_shows_load_capacity_and_pods() {
    let draw = |name: &str, more: &[&str]| {
        let path = scratch(name, "old");
        run(STORY, "web", &example("traces/outage.csv"), &[&["--plot", &path], more].concat());
        std::fs::read_to_string(path).unwrap()
    };
    let svg = draw("plot.svg", &[]);
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "overwritten by a drawing");
    for label in
        ["web of story", "load", "capacity of the Ready pods", "wanted", "Ready", "floor", "requests/s", "minutes"]
    {
        assert!(svg.contains(label), "{label}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "only numbers");
    assert_eq!(svg, draw("plot-again.svg", &[]));
    assert!(draw("plot-both.svg", &["--against", &example("story.yaml")]).contains("wanted by the other policy"));
    let error =
        try_run(STORY, "web", &example("traces/outage.csv"), &["--plot", "/no/such/directory/out.svg"]).unwrap_err();
    assert!(error.contains("--plot /no/such/directory/out.svg: cannot be written"), "{error}");
}

#[test]
fn a_plot_of_huge_numbers_ends() {
    let path = scratch("huge.svg", "");
    let trace = table("huge.csv", &[("1.7e308", "0.05", 2), ("-1.7e308", "0.05", 2), ("5", "0.05", 2)]);
    for more in [&[][..], &["--closed-loop", "1e308"]] {
        run(STORY, "web", &trace, &[&["--plot", &path], more].concat());
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.contains("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{more:?}");
    }
}

#[test]
fn a_plot_of_nothing_known_is_drawn() {
    let path = scratch("empty.svg", "");
    let trace = table("unknown.csv", &[("NaN", "", 1)]);
    run(PLAIN, "burn", &trace, &["--plot", &path]);
    assert!(std::fs::read_to_string(path).unwrap().contains("</svg>"));
}
