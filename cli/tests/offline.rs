//! The program as a process, for what needs no cluster: exit codes, streams, files.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn lpctl(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lpctl"))
        .args(args)
        .current_dir(dir)
        // No configuration of the developer's machine: these commands need none.
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env("HOME", dir)
        .env_remove("COLUMNS")
        .output()
        .expect("lpctl runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn example(name: &str) -> String {
    examples().join(name).display().to_string()
}

#[test]
fn init_writes_once_and_what_it_writes_renders() {
    let dir = tempfile::tempdir().unwrap();
    let first = lpctl(&["init", "story", "--image", "web:1", "-n", "learning"], dir.path());
    assert_eq!((code(&first), out(&first).as_str()), (0, "platform.yaml written\n"), "{}", err(&first));
    let written = std::fs::read_to_string(dir.path().join("platform.yaml")).unwrap();
    let again = lpctl(&["init", "other"], dir.path());
    assert_eq!(code(&again), 1);
    assert!(err(&again).contains("platform.yaml exists and stays as it is"), "{}", err(&again));
    assert_eq!(std::fs::read_to_string(dir.path().join("platform.yaml")).unwrap(), written);
    let rendered = lpctl(&["render", "-f", "platform.yaml"], dir.path());
    assert_eq!(code(&rendered), 0, "{}", err(&rendered));
    assert!(out(&rendered).contains("kind: HorizontalPodAutoscaler"));
    let printed = lpctl(&["init", "story", "--file", "-"], dir.path());
    assert!(out(&printed).starts_with("# A learning platform."));
}

#[test]
fn init_takes_a_long_image_and_refuses_what_is_no_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let image = format!("registry.example/{}/web@sha256:{}", "team/".repeat(8), "0123456789abcdef".repeat(4));
    let long = lpctl(&["init", "story", "--image", &image, "-n", "learning"], dir.path());
    assert_eq!(code(&long), 0, "{}", err(&long));
    let rendered = lpctl(&["render", "-f", "platform.yaml"], dir.path());
    assert!(out(&rendered).contains(&image), "{}{}", out(&rendered), err(&rendered));
    for namespace in ["Bad_NS", "a.b", "-a", "", &"n".repeat(64)] {
        let bad = lpctl(&["init", &format!("--namespace={namespace}"), "--file", "-"], dir.path());
        assert_eq!((code(&bad), out(&bad).as_str()), (1, ""), "{namespace:?}");
        assert!(err(&bad).contains("metadata.namespace: ") && err(&bad).contains("lower-case"), "{}", err(&bad));
    }
}

#[test]
fn every_example_renders() {
    let mut seen = 0;
    for dir in [examples(), examples().join("features")] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let rendered = lpctl(&["render", "-f", &path.display().to_string()], Path::new("/"));
                assert_eq!(code(&rendered), 0, "{}: {}", path.display(), err(&rendered));
                let runs = ["kind: Deployment\n", "kind: StatefulSet\n", "kind: Cluster\n"]
                    .iter()
                    .any(|kind| out(&rendered).contains(kind));
                assert!(runs, "{}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 5);
}

#[test]
fn render_takes_one_app_and_gives_json() {
    let both = lpctl(&["render", "-f", &example("ten-k.yaml"), "-o", "json"], Path::new("/"));
    let list: serde_json::Value = serde_json::from_str(&out(&both)).expect("JSON");
    let count = |list: &serde_json::Value| list["items"].as_array().map_or(0, Vec::len);
    let one = lpctl(&["render", "-f", &example("ten-k.yaml"), "--app", "api", "-o", "json"], Path::new("/"));
    let api: serde_json::Value = serde_json::from_str(&out(&one)).expect("JSON");
    assert!(count(&api) > 0 && count(&api) < count(&list));
    assert!(api["items"].as_array().unwrap().iter().all(|o| o["metadata"]["name"] == "ten-k-api"));
    let none = lpctl(&["render", "-f", &example("ten-k.yaml"), "--app", "nope"], Path::new("/"));
    assert_eq!(code(&none), 2);
    assert!(err(&none).contains("there is web, api"), "{}", err(&none));
}

#[test]
fn a_bad_file_is_found_with_line_field_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example("story.yaml")).unwrap();
    std::fs::write(dir.path().join("bad.yaml"), text.replace("minReplicas: 3", "minReplica: 3")).unwrap();
    let rendered = lpctl(&["render", "-f", "bad.yaml"], dir.path());
    assert_eq!(code(&rendered), 1);
    let said = err(&rendered);
    assert!(said.contains("spec.apps[0].autoscaling.minReplica: unknown field; did you mean minReplicas?"), "{said}");
    assert!(said.contains("line "), "{said}");
    assert!(out(&rendered).is_empty(), "results only on success");
    let missing = lpctl(&["render", "-f", "none.yaml"], dir.path());
    assert_eq!(code(&missing), 2);
    assert!(err(&missing).starts_with("error: none.yaml cannot be read\n  No such file"), "{}", err(&missing));
}

#[test]
fn a_null_in_an_overlay_takes_a_field_away() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"
apiVersion: learningplatform.dev/v1alpha1
kind: LearningPlatform
metadata: {name: story}
spec:
  apps:
    - name: web
      image: web:1
      scratch: [{name: tmp, mountPath: /tmp}]
      podTemplate:
        spec:
          enableServiceLinks: null
          volumes: [{name: tmp, emptyDir: null, persistentVolumeClaim: {claimName: shared}}]
"#;
    std::fs::write(dir.path().join("overlay.yaml"), text).unwrap();
    let rendered = lpctl(&["render", "-f", "overlay.yaml", "-o", "json"], dir.path());
    assert_eq!(code(&rendered), 0, "{}", err(&rendered));
    let list: serde_json::Value = serde_json::from_str(&out(&rendered)).expect("JSON");
    let pod = &list["items"][0]["spec"]["template"]["spec"];
    assert_eq!(pod.get("enableServiceLinks"), None, "{pod}");
    let claim = serde_json::json!([{"name": "tmp", "persistentVolumeClaim": {"claimName": "shared"}}]);
    assert_eq!(pod["volumes"], claim);
}

#[test]
fn simulate_takes_the_namespace_wherever_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let story = std::fs::read_to_string(example("story.yaml")).unwrap();
    let two = format!("{story}---\n{}", story.replace("namespace: learning", "namespace: staging"));
    std::fs::write(dir.path().join("two.yaml"), two).unwrap();
    std::fs::write(dir.path().join("trace.csv"), "time,rate\n0,320\n15,320\n").unwrap();
    let simulate = ["simulate", "-f", "two.yaml", "--app", "web", "--trace", "trace.csv"];
    for (words, expected) in [
        (simulate.to_vec(), 2),
        ([&simulate[..], &["-n", "staging"]].concat(), 0),
        ([&["--namespace", "staging"], &simulate[..]].concat(), 0),
        ([&simulate[..], &["--namespace", "elsewhere"]].concat(), 2),
    ] {
        let output = lpctl(&words, dir.path());
        assert_eq!(code(&output), expected, "{words:?}: {}", err(&output));
    }
}

#[test]
fn without_a_cluster_it_could_not_be_told() {
    let dir = tempfile::tempdir().unwrap();
    for args in [
        &["status"][..],
        &["check"],
        &["explain", "web"],
        &["psql", "main"],
        &["redis-cli", "story", "cache"],
        &["install"],
        &["uninstall"],
        &["diff", "-f", &example("story.yaml")],
    ] {
        let output = lpctl(args, dir.path());
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(err(&output).starts_with("error: no cluster is configured"), "{args:?}: {}", err(&output));
    }
}

#[test]
fn install_prints_what_it_would_apply() {
    let printed = lpctl(&["install", "-o", "yaml", "-n", "ops", "--image", "op:dev"], Path::new("/"));
    assert_eq!(code(&printed), 0);
    let text = out(&printed);
    assert!(text.contains("kind: CustomResourceDefinition") && text.contains("image: op:dev"), "{text}");
    assert!(!text.contains("learningplatform-system"));
}

#[test]
fn completion_and_version() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = lpctl(&["completion", shell], Path::new("/"));
        assert_eq!(code(&script), 0);
        assert!(out(&script).contains("lpctl"), "{shell}");
    }
    let version = lpctl(&["version", "--client"], Path::new("/"));
    assert_eq!(out(&version), format!("lpctl      {}\n", env!("CARGO_PKG_VERSION")));
    let completed = Command::new(env!("CARGO_BIN_EXE_lpctl"))
        .env("COMPLETE", "fish")
        .args(["--", "lpctl", "expl"])
        .output()
        .unwrap();
    assert!(out(&completed).starts_with("explain"), "{}", out(&completed));
}

#[cfg(unix)]
#[test]
fn it_is_a_kubectl_plugin() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["kubectl-lp", "kubectl_complete-lp"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lpctl"), dir.path().join(name)).unwrap();
    }
    let help = Command::new(dir.path().join("kubectl-lp")).args(["status", "--help"]).output().unwrap();
    assert!(out(&help).contains("Usage: kubectl lp status"), "{}", out(&help));
    assert!(out(&help).contains("  kubectl lp status --all-namespaces"), "{}", out(&help));
    let completed = Command::new(dir.path().join("kubectl_complete-lp")).args(["ex"]).output().unwrap();
    assert!(out(&completed).starts_with("explain\t"), "{}", out(&completed));
}

#[test]
fn mistakes_in_arguments_exit_with_2() {
    for args in [
        &["hold", "web"][..],
        &["hold", "web", "--floor", "3", "--for", "0s", "--reason", "x"],
        &["nope"],
        &["status", "-A", "story"],
        &["psql"],
        &["psql", "a", "b", "c"],
        &["psql", "main", "--replica", "0"],
        &["redis-cli", "cache", "--print", "--", "ping"],
    ] {
        let output = lpctl(args, Path::new("/"));
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(err(&output).contains("error:"), "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_file_is_checked_without_a_cluster_and_its_cdns_by_the_linter() {
    let dir = tempfile::tempdir().unwrap();
    let good = lpctl(&["check", "-f", &example("seven-p.yaml")], dir.path());
    assert_eq!(code(&good), 0, "{}{}", out(&good), err(&good));
    for line in ["the operator can carry it out", "CDN edge serves no metrics", "CDN edge shows pages of a new rollout"]
    {
        assert!(out(&good).contains(line), "{}", out(&good));
    }
    let story = std::fs::read_to_string(example("story.yaml")).unwrap();
    let checked = |before: &str, after: &str, output: &str| {
        assert!(story.contains(before), "{before}");
        std::fs::write(dir.path().join("platform.yaml"), story.replace(before, after)).unwrap();
        lpctl(&["check", "-f", "platform.yaml", "-o", output], dir.path())
    };
    // A warning changes no exit status.
    let warned =
        checked("path: /metrics, origin: web, closed: true", "path: /measures, origin: web, closed: true", "json");
    assert_eq!(code(&warned), 0, "{}", err(&warned));
    let reports: serde_json::Value = serde_json::from_str(&out(&warned)).expect("JSON");
    assert_eq!(reports[1]["category"], "CDNs of learning/story");
    let lines = reports[1]["checks"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["result"] == "warning").expect("a warning");
    assert_eq!(line["see"], "README.md#cdn");
    assert!(line["problem"].as_str().unwrap().contains("spec.cdns[edge].cloudFront.behaviors[*]: /metrics"), "{line}");
    assert!(line["fix"].as_str().unwrap().contains("closed: true"), "{line}");
    let refused = checked("managed: CachingDisabled", "managed: CachingForbidden", "short");
    assert_eq!(code(&refused), 1, "{}", out(&refused));
    assert!(out(&refused).contains("CachingForbidden"), "{}", out(&refused));
    let unread = checked("aliases: [story.example]", "alias: [story.example]", "short");
    assert_eq!(code(&unread), 1, "{}", out(&unread));
    assert!(err(&unread).contains("unknown field; did you mean aliases?"), "{}", err(&unread));
}
