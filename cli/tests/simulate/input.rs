//! Input that cannot be used: what is said about it.

use super::*;

#[test]
fn what_is_not_in_the_file_is_named_with_what_is() {
    let trace = fixture("steps.csv");
    let table = [
        (
            PLAIN,
            "nobody",
            vec![],
            "has no app \"nobody\": use --app with one of web, slow, exams, held, burn, fixed, web",
        ),
        (PLAIN, "web", vec![], "2 platforms have an app \"web\": use --platform with one of campus, annex"),
        (PLAIN, "slow", vec!["--platform", "annex"], "has no app \"slow\": use --app with one of web"),
        (
            PLAIN,
            "web",
            vec!["--platform", "moon"],
            "has no platform \"moon\": use --platform with one of campus, annex",
        ),
        (PLAIN, "fixed", vec![], "app \"fixed\" has no autoscaling"),
        ("/no/such/file.yaml", "web", vec![], "/no/such/file.yaml: cannot be read"),
    ];
    for (file, app, more, expected) in table {
        let error = try_run(file, app, &trace, &more).unwrap_err();
        assert!(error.contains(expected), "{file} {app} {more:?}\n  gave     {error}\n  expected {expected}");
    }
    let nothing = scratch("nothing.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n");
    assert!(try_run(&nothing, "web", &trace, &[]).unwrap_err().contains("holds no LearningPlatform"));
    let broken = scratch(
        "broken.yaml",
        &std::fs::read_to_string(fixture(STORY)).unwrap().replace("minReplicas: 3", "minReplicas: 30"),
    );
    assert!(try_run(&broken, "web", &trace, &[]).unwrap_err().contains("minReplicas must not be above maxReplicas"));
}

#[test]
fn platforms_of_one_name_are_told_apart_by_their_namespace() {
    let trace = fixture("steps.csv");
    let story = std::fs::read_to_string(fixture(STORY)).unwrap();
    let least = |namespace: &str, least: u32| {
        story
            .replace("namespace: learning", &format!("namespace: {namespace}"))
            .replace("minReplicas: 3", &format!("minReplicas: {least}"))
    };
    let two = scratch("two.yaml", &format!("{}---\n{}", least("learning", 5), least("staging", 7)));
    let error = try_run(&two, "web", &trace, &[]).unwrap_err();
    let expected =
        "2 platforms have an app \"web\": use --namespace and --platform with one of learning/story, staging/story";
    assert!(error.contains(expected), "{error}");
    let error = try_run(&two, "web", &trace, &["--namespace", "moon"]).unwrap_err();
    assert!(
        error.contains("no platform in namespace \"moon\": use --namespace with one of learning, staging"),
        "{error}"
    );
    let floor = |file: &str, more: &[&str]| course(&json(file, "web", &trace, more), "floor");
    assert_eq!(floor(&two, &["--namespace", "learning"]), [5]);
    assert_eq!(floor(&two, &["-n", "staging", "--platform", "story"]), [7]);
    // A file that names no namespace is for any.
    let open = scratch("open.yaml", &story.replace(", namespace: learning", ""));
    assert_eq!(floor(&open, &["-n", "staging"]), [3, 4, 3]);
    // The other side is the one in the same namespace, if there is one.
    let against = json(&two, "web", &trace, &["-n", "staging", "--against", &two]);
    assert_eq!(against["against"], json(&two, "web", &trace, &["-n", "staging"]));
    let against = json(&open, "web", &trace, &["--against", &scratch("later.yaml", &least("later", 6))]);
    assert_eq!(course(&against["against"], "floor"), [6]);
}

#[test]
fn what_the_operator_would_refuse_is_not_replayed() {
    let trace = fixture("steps.csv");
    let story = std::fs::read_to_string(fixture(STORY)).unwrap();
    let broken = "podTemplate: {spec: {containers: {name: web}}}";
    let schedule = "{name: a, minReplicas: 4, start: 2026-12-07T07:30, end: 2026-12-07T09:30, timeZone: Mars/Base}";
    let table = [
        ("port: 3000", format!("port: 3000\n      {broken}"), "spec.apps[web].podTemplate: spec.containers"),
        // It is the whole platform that is refused.
        ("replicas: 2", format!("replicas: 2\n      {broken}"), "spec.apps[jobs].podTemplate: spec.containers"),
        (
            "fallback:",
            format!("schedules: [{schedule}]\n        fallback:"),
            "spec.apps[web].autoscaling.schedules[a]: timeZone \"Mars/Base\"",
        ),
    ];
    for (index, (plain, refused, expected)) in table.into_iter().enumerate() {
        let file = scratch(&format!("refused-{index}.yaml"), &story.replace(plain, &refused));
        let error = try_run(&file, "web", &trace, &[]).unwrap_err();
        assert!(error.contains(&format!("{file}: the operator would refuse it: {expected}")), "{refused}: {error}");
    }
}

#[test]
fn a_bad_trace_names_its_file() {
    let table = [
        ("time,rate,latency\n0,320\n", ":2: 2 fields where the header has 3"),
        ("time,rate,latency\n0,x,0.1\n", ":2: column 2 (rate): \"x\" is no number"),
        ("", ": is empty"),
        ("time,rate\n0,1\n1790000000,1\n", "check its times"),
    ];
    for (index, (text, expected)) in table.into_iter().enumerate() {
        let trace = scratch(&format!("bad-{index}.csv"), text);
        let error = try_run(STORY, "web", &trace, &[]).unwrap_err();
        assert!(error.contains(expected), "{text:?} gave {error}");
    }
    let bytes = scratch("latin.csv", "");
    std::fs::write(&bytes, b"time,rate\n0,\xff\n").unwrap();
    assert!(try_run(STORY, "web", &bytes, &[]).unwrap_err().contains("latin.csv: cannot be read"));
}

#[test]
fn bad_options_are_refused_with_their_remedy() {
    let trace = fixture("steps.csv");
    let table: [(&[&str], &str); 13] = [
        (&["--rate", "x.json"], "cannot be used with"),
        (&["--latency", "x.json"], "cannot be used with"),
        (&["--closed-loop", "0"], "is no number above 0"),
        (&["--closed-loop", "NaN"], "is no number above 0"),
        (&["--pod-start", "10"], "write it as 500ms, 10s or 1h30m"),
        (&["--pod-start=-3s"], "is negative"),
        (&["--hpa-sync", "0s"], "must be at least 1ms"),
        (&["--fail-if", "pods>1"], "use one of podHours"),
        (&["--rollout-at", "99999"], "--rollout-at 99999: is outside of the trace, which lasts from 0 to 3600"),
        (&["--rollout-at", "soon"], "is no time"),
        (&["--start-at", "noon"], "invalid value"),
        (&["--tunable", "nothing=1"], "nothing"),
        (&["--against", "/no/such/file"], "/no/such/file: cannot be read"),
    ];
    for (more, expected) in table {
        let error = try_run(STORY, "web", &trace, more).unwrap_err();
        assert!(error.contains(expected), "{more:?} gave {error}");
    }
    let dated =
        try_run(STORY, "web", &example("traces/school-day.csv"), &["--start-at", "2026-12-07T00:00:00Z"]).unwrap_err();
    assert!(dated.contains("has dates already"), "{dated}");
    let unknown = try_run(PLAIN, "burn", &trace, &["--fail-if", "underCapacitySeconds>0"]).unwrap_err();
    assert!(unknown.contains("nothing says what a pod carries"), "{unknown}");
    let file = fixture(STORY);
    assert!(run_words(["simulate", "-f", &file, "--app", "web"]).unwrap_err().contains("--trace"), "a trace is needed");
}

#[test]
fn what_the_trace_does_not_hold_is_said() {
    let trace = scratch("no-latency.csv", "time,rate\n0,320\n15,320\n");
    let ran = run(STORY, "web", &trace, &[]);
    assert!(ran.err.contains("replayed without autoscaling.latency"), "{}", ran.err);
    assert_eq!(run(STORY, "web", &trace, &["--closed-loop", "200"]).err, "", "there it is modelled");
    let ran = run(PLAIN, "burn", &trace, &[]);
    assert!(ran.err.contains("has no requestRate") && ran.err.contains("underCapacitySeconds stays 0"), "{}", ran.err);
    let lost = scratch(
        "lost.yaml",
        &std::fs::read_to_string(fixture(PLAIN))
            .unwrap()
            .replace("name: timetable, namespace", "name: lost, namespace"),
    );
    let ran = run(&lost, "exams", &trace, &[]);
    assert!(ran.err.contains("timetable") && ran.err.contains("replayed without this schedule"), "{}", ran.err);
}
