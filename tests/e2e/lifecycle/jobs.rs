//! Jobs around rollouts and freezes, with the Jobs' own controller: what comes first, what a failure holds, what is let end.

use super::*;
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    batch::v1::Job,
    core::v1::Pod,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use learningplatform_tests::harness::{account, holds_for};
use operator::tiers::app::jobs::{JOB, JOB_NAME};

/// The sample app says how it is used, and ends.
const ENDS: [&str; 1] = ["--help"];
/// The sample app refuses to start.
const FAILS: [&str; 1] = ["--no-such-flag"];
/// The sample app serves, until somebody stops it.
const GOES_ON: [&str; 2] = ["--warmup-seconds", "0"];

fn migration(args: &[&str]) -> Value {
    json!({"name": "migrate", "beforeRollout": {}, "args": args, "backoffLimit": 0})
}

/// A platform with one app of that version, and its jobs.
fn school(version: &str, jobs: Value) -> Value {
    let env = json!([{"name": "DRAIN_SECONDS", "value": "0"}, {"name": "VERSION", "value": version}]);
    json!({"apps": [with(app("web"), json!({"env": env, "jobs": jobs, "replicas": 2}))]})
}

/// The version that the pods are of, or on their way to.
async fn version(ns: &TestNamespace) -> Option<String> {
    let deployment = ns.api::<Deployment>().get_opt("school-web").await.expect("readable")?;
    let env = deployment.spec?.template.spec?.containers.into_iter().next()?.env?;
    env.into_iter().find(|variable| variable.name == "VERSION")?.value
}

async fn rolled_out(ns: &TestNamespace, wanted: &str) {
    eventually(&format!("version {wanted}"), SOON, || version(ns), |now| now.as_deref() == Some(wanted)).await;
    ready(ns, "school").await;
}

/// The Jobs of a job, the oldest first.
async fn jobs(ns: &TestNamespace, job: &str) -> Vec<Job> {
    let of = ListParams::default().labels(&format!("{JOB}={job}"));
    let mut found = ns.api::<Job>().list(&of).await.expect("a list").items;
    found.sort_by_key(|job| job.metadata.creation_timestamp.as_ref().map(|time| time.0));
    found
}

fn ended(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let end = conditions.iter().find(|c| c.status == "True" && matches!(c.type_.as_str(), "Complete" | "Failed"))?;
    Some(format!("{} {}", end.type_, end.reason.as_deref().unwrap_or_default()))
}

fn name(job: &Job) -> &str {
    job.metadata.name.as_deref().expect("a name")
}

async fn state(ns: &TestNamespace, job: &str) -> Option<String> {
    let status = ns.platform("school").await.status?;
    let app = status.apps.into_iter().find(|app| app.name == "web")?;
    app.jobs.into_iter().find(|found| found.name == job).map(|found| found.state.to_string())
}

#[tokio::test]
async fn a_migration_comes_before_the_pods_and_the_warming_after_them() {
    let (ns, _operator) = scene("jobs").await;
    let all = json!([migration(&ENDS), {"name": "warm", "afterRollout": {}, "args": ENDS}]);
    for (round, tag) in ["1", "2", "1"].into_iter().enumerate() {
        ns.apply("school", school(tag, all.clone())).await;
        rolled_out(&ns, tag).await;
        let done = || async { jobs(&ns, "warm").await.iter().filter_map(ended).count() };
        eventually("the cache is warmed", SOON, done, |count| *count == round + 1).await;
        let migrations = jobs(&ns, "migrate").await;
        assert_eq!(migrations.len(), round + 1, "one for each rollout");
        let migrated = migrations.last().and_then(|job| job.status.as_ref()?.completion_time.clone()).expect("an end");
        let warming = jobs(&ns, "warm").await.last().and_then(|job| job.metadata.creation_timestamp.clone());
        assert!(warming.expect("a time") >= migrated);
        if round < 2 {
            let sets = ns.api::<ReplicaSet>().list(&Default::default()).await.expect("a list").items;
            let newest = sets.iter().filter_map(|set| set.metadata.creation_timestamp.clone()).max();
            assert!(newest.expect("a time") >= migrated, "the pods of a version come after its migration");
        }
    }
    eventually("the status knows", SOON, || state(&ns, "warm"), |now| now.as_deref() == Some("Succeeded")).await;

    // What the app's Service, Deployment and budget select are its own pods.
    let selected = operator::naming::selector("school", "web");
    let selected: Vec<String> = selected.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pods = ns.api::<Pod>().list(&ListParams::default().labels(&selected.join(","))).await.expect("a list");
    assert!(!pods.items.is_empty());
    for pod in pods.items {
        assert!(!pod.metadata.labels.unwrap_or_default().contains_key(JOB_NAME), "{:?}", pod.metadata.name);
    }
    let of_jobs = ns.api::<Pod>().list(&ListParams::default().labels(JOB_NAME)).await.expect("a list");
    assert!(!of_jobs.items.is_empty(), "Kubernetes labels them so");

    // What changes no pod runs nothing.
    let before = (jobs(&ns, "migrate").await.len(), jobs(&ns, "warm").await.len());
    let mut scaled = school("1", all);
    scaled["apps"][0]["replicas"] = json!(3);
    ns.apply("school", scaled).await;
    eventually("three pods", SOON, || ns.replicas("school-web"), |now| *now == Some((3, 3))).await;
    ready(&ns, "school").await;
    assert_eq!((jobs(&ns, "migrate").await.len(), jobs(&ns, "warm").await.len()), before);
    ns.delete().await;
}

#[tokio::test]
async fn a_migration_that_fails_stops_the_rollout_and_the_old_pods_serve_on() {
    let (ns, _operator) = scene("jobs-fail").await;
    ns.apply("school", school("1", json!([migration(&ENDS)]))).await;
    rolled_out(&ns, "1").await;
    ns.apply("school", school("2", json!([migration(&FAILS)]))).await;
    let parts = ["the job migrate failed", "BackoffLimitExceeded", "2 of 2 pods ready"];
    names(&ns, "school", "web", "AppReady", "JobFailed", &parts).await;
    let stays = || async { (version(&ns).await, jobs(&ns, "migrate").await.len(), ns.replicas("school-web").await) };
    let held = (Some("1".to_owned()), 2, Some((2, 2)));
    holds_for("nothing is tried again", Duration::from_secs(15), stays, |now| *now == held).await;

    // The removal of the Job asks for another try, which fails as well; another job heals it.
    let failed = name(jobs(&ns, "migrate").await.last().expect("a Job")).to_owned();
    let uid = || async { ns.api::<Job>().get_opt(&failed).await.expect("readable").and_then(|job| job.metadata.uid) };
    let was = uid().await;
    remove(&ns, "batch/v1", "Job", &failed).await;
    eventually("it is tried again", SOON, uid, |now| now.is_some() && *now != was).await;
    ns.apply("school", school("2", json!([migration(&ENDS)]))).await;
    rolled_out(&ns, "2").await;
    // A job and a rollout lie between.
    ready(&ns, "school").await;
    ns.delete().await;
}

#[tokio::test]
async fn a_migration_that_runs_is_never_stopped_not_even_by_the_end_of_the_operator() {
    let (ns, mut operator) = scene("jobs-run").await;
    let kubeconfig = account(&ns).await;
    ns.apply("school", school("1", json!([]))).await;
    rolled_out(&ns, "1").await;
    let mut slow = migration(&GOES_ON);
    slow["activeDeadline"] = json!("25s");
    ns.apply("school", school("2", json!([slow]))).await;
    let running = || async { jobs(&ns, "migrate").await.first().and_then(|job| job.status.as_ref()?.ready) };
    eventually("the migration runs", SOON, running, |ready| *ready == Some(1)).await;
    let first = jobs(&ns, "migrate").await.remove(0);

    operator.kill();
    ns.apply("school", school("3", json!([migration(&ENDS)]))).await;
    let _operator = Operator::spawn(&ns, &kubeconfig, FLAGS);
    names(&ns, "school", "web", "AppReady", "Progressing", &["of an earlier change is let end", name(&first)]).await;
    let state = || async {
        let job = ns.api::<Job>().get_opt(name(&first)).await.expect("readable").expect("it is not taken away");
        assert_eq!(job.metadata.uid, first.metadata.uid);
        (ended(&job), version(&ns).await, jobs(&ns, "migrate").await.len())
    };
    let end = eventually("it ends by its own deadline", SOON, state, |(end, version, count)| {
        assert!(end.is_some() || (version.as_deref() == Some("1") && *count == 1), "{version:?}, {count} Jobs");
        end.is_some()
    })
    .await;
    assert_eq!(end.0.as_deref(), Some("Failed DeadlineExceeded"));
    rolled_out(&ns, "3").await;
    assert_eq!(jobs(&ns, "migrate").await.len(), 2, "the version between is never rolled out");
    ns.delete().await;
}

#[tokio::test]
async fn a_migration_that_cannot_start_is_named_and_gives_way() {
    let (ns, _operator) = scene("jobs-pull").await;
    let mut lost = migration(&ENDS);
    lost["image"] = json!("localhost/no-such-app:1");
    ns.apply("school", school("1", json!([lost]))).await;
    let parts = ["the job migrate cannot run before the rollout", "localhost/no-such-app:1"];
    names(&ns, "school", "web", "AppReady", "ImagePull", &parts).await;
    assert_eq!(version(&ns).await, None, "the first rollout waits, too");
    ns.apply("school", school("1", json!([migration(&ENDS)]))).await;
    // A job and a rollout lie between.
    ready(&ns, "school").await;
    let left = || async { jobs(&ns, "migrate").await.len() };
    eventually("the other one is gone", SOON, left, |count| *count == 1).await;
    ns.delete().await;
}

#[tokio::test]
async fn what_runs_by_the_clock_runs_and_is_told() {
    let (ns, _operator) = scene("jobs-clock").await;
    let every_minute = json!([{"name": "tick", "schedule": {"cron": "* * * * *"}, "args": ENDS}]);
    ns.apply("school", school("1", every_minute)).await;
    rolled_out(&ns, "1").await;
    eventually("a run", SOON * 2, || state(&ns, "tick"), |now| now.as_deref() == Some("Succeeded")).await;
    ns.apply("school", school("1", json!([]))).await;
    let left = || async { jobs(&ns, "tick").await.len() };
    eventually("runs go with their schedule", SOON, left, |count| *count == 0).await;
    ns.delete().await;
}

/// A spec with a freeze that holds for so long from now.
fn frozen(version: &str, seconds: i64) -> Value {
    let end = Timestamp::now() + SignedDuration::from_secs(seconds);
    let end = end.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let mut spec = school(version, json!([]));
    spec["freezes"] = json!([{"name": "exams", "start": "2020-01-01T00:00", "end": end, "timeZone": "UTC"}]);
    spec
}

#[tokio::test]
async fn a_rollout_waits_for_the_end_of_a_freeze_and_comes_by_itself() {
    let (ns, _operator) = scene("freeze").await;
    ns.apply("school", frozen("1", 3600)).await;
    rolled_out(&ns, "1").await;
    let end = Instant::now() + Duration::from_secs(30);
    let mut changed = frozen("2", 30);
    changed["apps"][0]["replicas"] = json!(3);
    ns.apply("school", changed).await;
    let pending = || ns.app_condition("school", "web", "RolloutPending");
    let told = eventually("the change is held", SOON, pending, Option::is_some).await.expect("a condition");
    assert_eq!((told.0.as_str(), told.1.as_str()), ("True", "Frozen"));
    assert!(told.2.contains("the freeze exams holds") && told.2.contains("env[VERSION].value"), "{}", told.2);
    eventually("three pods", SOON, || ns.replicas("school-web"), |now| *now == Some((3, 3))).await;
    ready(&ns, "school").await;
    while Instant::now() + Duration::from_secs(2) < end {
        assert_eq!(version(&ns).await.as_deref(), Some("1"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    rolled_out(&ns, "2").await;
    // The resync, which would come by itself, is minutes away.
    assert!(end.elapsed() < HEALED, "only {:?} after the end", end.elapsed());
    eventually("nothing is held any more", SOON, pending, Option::is_none).await;
    ns.delete().await;
}

#[tokio::test]
async fn an_urgent_rollout_goes_through_a_freeze() {
    let (ns, _operator) = scene("urgent").await;
    ns.apply("school", frozen("1", 3600)).await;
    rolled_out(&ns, "1").await;
    ns.apply("school", frozen("2", 3600)).await;
    let pending = || ns.app_condition("school", "web", "RolloutPending");
    eventually("the change is held", SOON, pending, Option::is_some).await;
    annotate(&ns, "school", crds::URGENT_ANNOTATION, Some("exams")).await;
    rolled_out(&ns, "2").await;
    eventually("nothing is held any more", SOON, pending, Option::is_none).await;
    ns.delete().await;
}
