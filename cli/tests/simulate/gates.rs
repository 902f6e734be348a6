//! Verdicts and exit codes.

use super::*;
use std::{
    io::Write,
    process::{Command, Stdio},
};

#[test]
fn a_condition_that_holds_fails_the_run_and_is_named() {
    let trace = fixture("steps.csv");
    let good = run(STORY, "web", &trace, &["--fail-if", "underCapacitySeconds>600", "--fail-if", "peakPods>=5"]);
    assert_eq!((good.verdict, good.err.as_str()), (Verdict::Passed, ""));
    let bad = run(
        STORY,
        "web",
        &trace,
        &["--fail-if", "underCapacitySeconds>60", "--fail-if", "peakPods<5", "--fail-if", "scaleUps>9"],
    );
    let lines =
        ["--fail-if underCapacitySeconds>60: underCapacitySeconds is 70", "--fail-if peakPods<5: peakPods is 4"];
    assert_eq!((bad.verdict, bad.err.lines().collect::<Vec<_>>()), (Verdict::Failed, lines.to_vec()));
    assert_eq!(bad.out, good.out, "the report stays whole");
}

#[test]
fn the_gate_looks_at_the_first_policy() {
    let ran =
        run(STORY, "web", &fixture("steps.csv"), &["--against", &example("story.yaml"), "--fail-if", "peakPods>3"]);
    assert_eq!(
        (ran.verdict, ran.err.lines().count()),
        (Verdict::Failed, 2),
        "a note on schedules, and one failure: {}",
        ran.err
    );
}

#[test]
fn a_policy_beside_it_does_not_need_what_the_gate_looks_at() {
    let read = std::fs::read_to_string(fixture(STORY)).unwrap();
    let without = |name: &str, fields: &[&str]| {
        let kept = read.lines().filter(|line| !fields.iter().any(|field| line.trim().starts_with(field)));
        scratch(name, &kept.collect::<Vec<_>>().join("\n"))
    };
    let cpu_alone = without("cpu-alone.yaml", &["requestRate:", "latency:", "fallback:"]);
    let rate_alone = without("rate-alone.yaml", &["cpu:"]);
    let half = scratch("half.yaml", &read.replace("perPod: 100", "perPod: 50"));
    let (story, trace) = (fixture(STORY), fixture("surge.csv"));
    let gate = ["--fail-if", "underCapacitySeconds>99999"];

    let against = |other: &str, more: &[&str]| run(STORY, "web", &trace, &[&["--against", other], more].concat());
    let ran = against(&cpu_alone, &gate);
    assert_eq!(ran.verdict, Verdict::Passed);
    let note = format!("note: {cpu_alone}: under capacity is what {story} makes it, 100 requests/s per pod");
    assert!(ran.err.contains(&note), "{}", ran.err);
    let ran = against(&rate_alone, &["--cpu-per-request", "2"]);
    let note = format!("note: {rate_alone}: --cpu-per-request asks for no pods here");
    assert!(ran.err.contains(&note), "{}", ran.err);

    let error = try_run(&cpu_alone, "web", &trace, &[&["--against", &story], &gate[..]].concat()).unwrap_err();
    assert!(error.contains(&format!("{cpu_alone}: nothing says what a pod carries")), "{error}");
    let error = try_run(&rate_alone, "web", &trace, &["--against", &story, "--cpu-per-request", "2"]).unwrap_err();
    assert!(error.contains(&format!("{rate_alone}: --cpu-per-request needs a target")), "{error}");

    // One measure for both: half of perPod gives more pods, so less time under capacity, not more.
    let report = json(STORY, "web", &trace, &["--against", &half]);
    let under = |side: &Value| number(&side["summary"], "underCapacitySeconds");
    assert!(under(&report["against"]) < under(&report), "{} {}", report["against"]["summary"], report["summary"]);
    assert!(against(&half, &[]).err.contains("100 requests/s per pod"));
    assert_eq!(against(&half, &["--closed-loop", "80"]).err, "", "which is one measure already");
}

/// Feeds the policy only when nobody reads any more, so that the report never finds a reader.
#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (story, trace) = (std::fs::read(fixture(STORY)).unwrap(), fixture("surge.csv"));
    for output in ["table", "json", "yaml"] {
        for (gate, code) in [("peakPods>99", 0), ("peakPods>3", 1)] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_lpctl"))
                .args(["simulate", "-f", "-", "--app", "web", "--trace", &trace, "-o", output, "--fail-if", gate])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            drop(child.stdout.take());
            child.stdin.take().unwrap().write_all(&story).unwrap();
            let ended = child.wait_with_output().unwrap();
            let err = String::from_utf8(ended.stderr).unwrap();
            assert_eq!((ended.status.code(), err.contains("error")), (Some(code), false), "{output} {gate}: {err}");
        }
    }
}

#[test]
fn the_binary_tells_by_its_exit_code() {
    let lpctl = |words: &[&str], stdin: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lpctl"))
            .arg("simulate")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (story, trace) = (fixture(STORY), fixture("steps.csv"));
    let common = ["-f", &story, "--app", "web", "--trace", &trace];
    assert_eq!(lpctl(&common, "").0, Some(0));
    let (code, _, err) = lpctl(&[&common[..], &["--fail-if", "peakPods>3"]].concat(), "");
    assert_eq!((code, err.trim()), (Some(1), "--fail-if peakPods>3: peakPods is 4"));
    for words in
        [["--fail-if", "pods>3"], ["--app", "nobody"], ["--evaluation-interval", "0s"], ["--trace", "/no/such/file"]]
    {
        let from: Vec<&str> = if common.contains(&words[0]) {
            let at = common.iter().position(|word| *word == words[0]).unwrap();
            [&common[..at], &words, &common[at + 2..]].concat()
        } else {
            [&common[..], &words].concat()
        };
        let (code, out, err) = lpctl(&from, "");
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}: {err}");
        assert!(!err.is_empty(), "{words:?}");
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let expected = lpctl(&common, "").1;
    assert_eq!(lpctl(&["-f", "-", "--app", "web", "--trace", &trace], &read(&story)).1, expected);
    assert_eq!(lpctl(&["-f", &story, "--app", "web", "--trace", "-"], &read(&trace)).1, expected);
    let (code, _, err) = lpctl(&["-f", "-", "--app", "web", "--trace", "-"], "");
    assert_eq!(code, Some(2));
    assert!(err.contains("only one file can be standard input"), "{err}");
}
