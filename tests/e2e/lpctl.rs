//! The command line on a real cluster: what it says is so, and what it does is undone by itself or on request.

use crds::status::Hold;
use learningplatform_tests::harness::{Operator, TestNamespace, eventually};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Output, time::Duration};

/// Generous: the machine may be busy with other tests.
const SOON: Duration = Duration::from_secs(120);

/// The program beside the running test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a path of this test");
    let target = test.ancestors().find(|p| p.join("lpctl").is_file());
    target.expect("lpctl is built: run `cargo build --workspace`").join("lpctl")
}

/// Runs lpctl in the test's namespace.
pub(crate) async fn lpctl(namespace: &TestNamespace, args: &[&str]) -> Output {
    let mut command = std::process::Command::new(binary());
    command.args(args).args(["-n", &namespace.name]).env_remove("COLUMNS");
    tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("lpctl runs")
}

pub(crate) fn out(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn spec(image: &str) -> Value {
    json!({"apps": [
        {"name": "web", "image": image, "port": 8080, "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
         "autoscaling": {"minReplicas": 1, "maxReplicas": 4, "cpu": {"utilization": 100},
            "schedules": [{"name": "exam", "start": "2090-01-01T08:00", "end": "2090-01-01T10:00", "timeZone": "UTC", "minReplicas": 4}]}},
    ]})
}

fn file(namespace: &TestNamespace, image: &str) -> String {
    let platform = json!({"apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story"}, "spec": spec(image)});
    let path = namespace.dir.path().join("platform.json");
    std::fs::write(&path, platform.to_string()).expect("a file");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_explain_diff_and_hold() {
    let image = learningplatform_tests::harness::SAMPLE_APP_IMAGE;
    let namespace = TestNamespace::create("lpctl").await;
    let file = file(&namespace, image);

    let before = lpctl(&namespace, &["diff", "-f", &file]).await;
    assert_eq!(code(&before), 1, "{}", out(&before));
    assert!(out(&before).contains("LearningPlatform story created"), "{}", out(&before));

    namespace.apply("story", spec(image)).await;
    let unseen = lpctl(&namespace, &["status"]).await;
    assert!(out(&unseen).contains("not seen yet"), "nobody acts yet: {}", out(&unseen));

    let operator = Operator::start(&namespace, &[]).await;
    let url = format!("http://{}", operator.address);
    let status = || lpctl(&namespace, &["status", "story"]);
    eventually("status says Ready", SOON, status, |said| code(said) == 0 && out(said).contains("Ready for")).await;

    let after = lpctl(&namespace, &["diff", "-f", &file]).await;
    assert_eq!(code(&after), 0, "{}", out(&after));
    let changed = lpctl(&namespace, &["diff", "-f", &self::file(&namespace, "learningplatform/other:1")]).await;
    assert_eq!(code(&changed), 1);
    assert!(out(&changed).contains("+      - image: learningplatform/other:1"), "{}", out(&changed));
    assert_eq!(namespace.platform("story").await.spec.apps[0].image, image, "a diff writes nothing");

    let live = lpctl(&namespace, &["explain", "web", "--operator-url", &url, "-o", "json"]).await;
    let live: Value = serde_json::from_slice(&live.stdout).expect("JSON");
    assert_eq!(
        (&live["source"], &live["floor"], &live["nextSchedule"]["name"]),
        (&json!("live"), &json!(1), &json!("exam"))
    );
    assert!(live["decision"]["stages"].as_array().is_some_and(|s| s.len() == 8), "{live}");
    let remembered = lpctl(&namespace, &["explain", "web", "--operator-namespace", &namespace.name]).await;
    assert!(out(&remembered).contains("so this is from status"), "{}", out(&remembered));

    hold(&namespace).await;
    namespace.delete().await;
}

/// A hold raises the floor, outlives a GitOps tool's apply, is said with reason and end, and goes on request.
async fn hold(namespace: &TestNamespace) {
    let arguments = ["hold", "web", "--floor", "3", "--until", "2090-01-01T00:00:00Z", "--reason", "final exam"];
    let held = lpctl(namespace, &arguments).await;
    assert!(out(&held).contains("app web held: at least 3 pods"), "{}", out(&held));
    let again = lpctl(namespace, &arguments).await;
    assert!(out(&again).contains("app web unchanged"), "{}", out(&again));
    namespace.apply("story", spec(learningplatform_tests::harness::SAMPLE_APP_IMAGE)).await;
    eventually("the floor is 3", SOON, || namespace.bounds("story-web"), |bounds| *bounds == Some((3, 4))).await;
    let status = || lpctl(namespace, &["status"]);
    eventually("status shows the hold", SOON, status, |said| out(said).contains("final exam")).await;
    let annotation = format!("{}web", crds::HOLD_ANNOTATION_PREFIX);
    let annotations = namespace.platform("story").await.metadata.annotations.unwrap_or_default();
    let stored: Hold = serde_json::from_str(&annotations[&annotation]).expect("a hold");
    assert_eq!((stored.floor, stored.reason.as_str(), stored.by.is_empty()), (3, "final exam", false));

    let released = lpctl(namespace, &["hold", "web", "--release"]).await;
    assert!(out(&released).contains("app web released"), "{}", out(&released));
    let annotations = namespace.platform("story").await.metadata.annotations.unwrap_or_default();
    assert!(!annotations.contains_key(&annotation));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_what_is_wrong_and_what_mends_it() {
    let namespace = TestNamespace::create("lpctl-check").await;
    let pre = lpctl(&namespace, &["check", "--pre", "-o", "json"]).await;
    assert_eq!(code(&pre), 0, "{}", out(&pre));

    let operator = Operator::start(&namespace, &[]).await;
    let url = format!("http://{}", operator.address);
    namespace.apply("story", spec(learningplatform_tests::harness::SAMPLE_APP_IMAGE)).await;
    let good = lpctl(&namespace, &["check", "--operator-url", &url, "--wait", "120s"]).await;
    assert_eq!(code(&good), 0, "{}", out(&good));

    namespace.apply("story", spec("learningplatform/none:1")).await;
    let arguments = ["check", "--operator-url", &url];
    let check = || lpctl(&namespace, &arguments);
    eventually("check finds the image", SOON, check, |bad| {
        code(bad) == 1 && out(bad).contains("ImagePull") && out(bad).contains("fix: kubectl -n ")
    })
    .await;
    namespace.delete().await;
}

/// The objects that `lpctl uninstall` would remove.
async fn would_go(namespace: &TestNamespace, more: &[&str]) -> Vec<String> {
    let said = lpctl(namespace, &[&["uninstall", "--dry-run"], more].concat()).await;
    assert_eq!(code(&said), 0, "{}", out(&said));
    let lines = String::from_utf8(said.stdout).expect("UTF-8");
    assert!(lines.lines().all(|line| line.ends_with("(dry run)")), "{lines}");
    lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn uninstall_names_the_crds_only_where_they_are_meant() {
    let namespace = TestNamespace::create("lpctl-uninstall").await;
    namespace.apply("story", spec(learningplatform_tests::harness::SAMPLE_APP_IMAGE)).await;
    let operator = would_go(&namespace, &[]).await;
    let deployment = format!("Deployment {}/learningplatform-operator", namespace.name);
    assert!(operator.contains(&deployment), "{operator:?}");
    let with_crds = would_go(&namespace, &["--crds"]).await;
    let crds = crds::all_crds().into_iter().filter_map(|crd| crd.metadata.name);
    let crds = crds.map(|name| format!("CustomResourceDefinition {name}")).collect::<Vec<_>>();
    assert_eq!(with_crds, [operator, crds].concat());
    let platform = namespace.platform("story").await;
    assert_eq!(platform.metadata.deletion_timestamp, None, "a dry run removes nothing");
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn install_asks_the_server_and_says_what_it_would_do() {
    let namespace = TestNamespace::create("lpctl-install").await;
    let first = lpctl(&namespace, &["install", "--dry-run"]).await;
    assert_eq!(code(&first), 0, "{}", out(&first));
    let deployment = format!("Deployment {}/learningplatform-operator created (dry run)", namespace.name);
    assert!(out(&first).contains(&deployment), "{}", out(&first));
    assert_eq!(namespace.replicas("learningplatform-operator").await, None, "a dry run makes nothing");
    namespace.delete().await;
}
