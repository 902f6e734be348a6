//! Jobs around rollouts: which comes first, what a failure holds, what is let end, and what is run but once.

use crate::{api::Fault, world::*};
use k8s_openapi::api::core::v1::Pod;
use kube::{core::DynamicObject, runtime::watcher};
use learningplatform_operator::{
    context::Context,
    kinds::Kind,
    tiers::app::jobs::{JOB, JOB_NAME},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

const CRON_JOB: &str = "/apis/batch/v1/namespaces/learning/cronjobs/story-web-refresh";
const JOBS: &str = "/apis/batch/v1/namespaces/learning/jobs/";

/// A platform whose one app has a job of each kind.
fn with_jobs() -> Value {
    let mut spec = spec();
    spec["apps"][0]["jobs"] = json!([
        { "name": "migrate", "beforeRollout": {}, "args": ["migrate"], "env": [{ "name": "STEP", "value": "1" }] },
        { "name": "seed", "beforeRollout": {}, "args": ["seed"] },
        { "name": "refresh", "schedule": { "cron": "0 */6 * * *" }, "args": ["refresh"] },
        { "name": "warm", "afterRollout": {}, "args": ["warm"] },
    ]);
    spec
}

fn at(image: &str) -> Value {
    let mut spec = with_jobs();
    spec["apps"][0]["image"] = json!(image);
    spec
}

fn image(world: &World) -> Value {
    world.api.get(DEPLOYMENT).map_or(Value::Null, |d| d["spec"]["template"]["spec"]["containers"][0]["image"].clone())
}

/// The Jobs of a job, by path.
fn jobs(world: &World, job: &str) -> Vec<String> {
    let of = |path: &String| world.api.get(path).unwrap()["metadata"]["labels"][JOB] == job;
    world.api.paths(JOBS).into_iter().filter(of).collect()
}

fn only(world: &World, job: &str) -> String {
    let jobs = jobs(world, job);
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs[0].clone()
}

/// Passes and controllers until nothing changes, all Jobs ending well.
async fn settle(world: &World, operator: &Arc<Context>) {
    for _ in 0..30 {
        let before = world.api.dump();
        world.pass(operator).await;
        world.api.run_deployments();
        world.api.run_jobs(|_| true);
        world.pass(operator).await;
        if world.api.dump() == before {
            return;
        }
    }
    panic!("did not settle: {}", world.condition("Ready"));
}

/// A pass, after which the Deployments' controller has done its work.
async fn pass(world: &World, operator: &Arc<Context>) {
    world.pass(operator).await;
    world.api.run_deployments();
}

#[tokio::test]
async fn jobs_run_one_after_another_and_then_the_pods_and_then_the_rest() {
    let world = World::new(with_jobs());
    let operator = world.operator().await;
    pass(&world, &operator).await;
    let migrate = only(&world, "migrate");
    assert!(jobs(&world, "seed").is_empty() && image(&world).is_null(), "the first rollout waits, too");
    assert!(world.api.get(SERVICE).is_none() && world.api.get(HPA).is_none() && world.api.get(CRON_JOB).is_none());
    let told = world.app_condition("web", "AppReady");
    assert_eq!((&told["status"], &told["reason"]), (&json!("False"), &json!("Progressing")), "{told}");
    assert!(
        told["message"].as_str().unwrap().contains("the job migrate runs before the rollout: Job story-web-migrate-")
    );
    assert_eq!(world.app_condition("worker", "AppReady")["status"], "False", "its pods have just begun");

    let live = world.api.get(&migrate).unwrap();
    let pod = &live["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(pod["containers"][0]["image"], "registry.example/web:1");
    let names: Vec<_> = pod["containers"][0]["env"].as_array().unwrap().iter().map(|v| v["name"].clone()).collect();
    assert_eq!(names, ["URL", "EMPTY", "STEP"]);

    world.api.run_jobs(|_| true);
    pass(&world, &operator).await;
    only(&world, "seed");
    assert!(image(&world).is_null());
    world.api.run_jobs(|_| true);
    pass(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:1");
    assert!(world.api.get(CRON_JOB).is_some());
    assert!(jobs(&world, "warm").is_empty(), "not before the pods are ready");
    pass(&world, &operator).await;
    only(&world, "warm");
    assert_eq!(world.app_condition("web", "AppReady")["status"], "True", "nothing waits for it");

    settle(&world, &operator).await;
    world.api.writes();
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.writes(), [], "a pass of a new process writes");
    let status = world.api.get(PLATFORM).unwrap()["status"]["apps"][0]["jobs"].clone();
    let states: Vec<_> = status.as_array().unwrap().iter().map(|job| (&job["name"], &job["state"])).collect();
    let expected = [("migrate", "Succeeded"), ("seed", "Succeeded"), ("refresh", "Waiting"), ("warm", "Succeeded")];
    assert_eq!(states, expected.map(|(n, s)| (json!(n), json!(s))).iter().map(|(n, s)| (n, s)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failure_stops_the_rollout_until_something_is_changed() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let before = world.api.get(DEPLOYMENT).unwrap();
    world.api.events();

    world.ask(at("registry.example/web:2"), json!({}));
    for _ in 0..3 {
        pass(&world, &operator).await;
        world.api.run_jobs(|name| !name.contains("migrate"));
    }
    pass(&world, &operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"], before["spec"]);
    assert_eq!(jobs(&world, "migrate").len(), 2, "one attempt");
    assert_eq!(jobs(&world, "seed").len(), 1, "the next one is not even begun");
    let told = world.app_condition("web", "AppReady");
    assert_eq!((&told["status"], &told["reason"]), (&json!("False"), &json!("JobFailed")), "{told}");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("job migrate failed") && message.contains("meanwhile 3 of 3 pods ready"), "{message}");
    assert_eq!(world.condition("Ready")["reason"], "DependencyNotReady");
    let events = world.api.events();
    assert_eq!(events.iter().filter(|event| event.contains("JobFailed")).count(), 1, "{events:?}");
    world.api.writes();
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.writes(), [], "a pass over a failure writes");

    // Another job of the same name is another try.
    let mut mended = at("registry.example/web:2");
    mended["apps"][0]["jobs"][0]["args"] = json!(["migrate", "--again"]);
    world.ask(mended, json!({}));
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_failed_job_that_somebody_removes_is_tried_again() {
    let world = World::new(with_jobs());
    let operator = world.operator().await;
    pass(&world, &operator).await;
    world.api.run_jobs(|_| false);
    let failed = only(&world, "migrate");
    pass(&world, &operator).await;
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "JobFailed");
    world.api.remove(&failed);
    pass(&world, &operator).await;
    assert_eq!(only(&world, "migrate"), failed, "the same rollout has the same name");
    settle(&world, &operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn a_spec_that_goes_back_needs_no_job_and_forgets_the_failure() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    world.ask(at("registry.example/web:2"), json!({}));
    pass(&world, &operator).await;
    world.api.run_jobs(|_| false);
    pass(&world, &operator).await;
    world.ask(at("registry.example/web:1"), json!({}));
    let known: BTreeSet<_> = world.api.paths(JOBS).into_iter().collect();
    settle(&world, &operator).await;
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
    let now: BTreeSet<_> = world.api.paths(JOBS).into_iter().collect();
    assert!(now.is_subset(&known), "{now:?}");
}

#[tokio::test]
async fn each_rollout_runs_its_jobs_once_even_one_back_to_a_version_that_was() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (round, version) in [1, 2, 1, 2].into_iter().enumerate() {
        world.ask(at(&format!("registry.example/web:{version}")), json!({}));
        settle(&world, &operator).await;
        assert_eq!(image(&world), format!("registry.example/web:{version}"));
        seen.extend(world.api.paths(JOBS));
        for job in ["migrate", "seed", "warm"] {
            let of_job = seen.iter().filter(|path| path.contains(job)).count();
            assert_eq!(of_job, round + 1, "{job} in round {round}");
            assert!(jobs(&world, job).len() <= 3, "only the newest are kept");
        }
    }
    // What changes no pod runs nothing.
    let mut other = at("registry.example/web:2");
    other["apps"][0]["exposure"]["gateway"]["hosts"] = json!(["other.example"]);
    other["apps"][0]["autoscaling"]["maxReplicas"] = json!(30);
    world.ask(other, json!({}));
    settle(&world, &operator).await;
    assert!(world.api.paths(JOBS).iter().all(|path| seen.contains(path)));

    // And neither does a finished rollout whose Jobs before it were removed.
    for path in [jobs(&world, "migrate"), jobs(&world, "seed")].concat() {
        world.api.remove(&path);
    }
    settle(&world, &operator).await;
    assert!(jobs(&world, "migrate").is_empty() && jobs(&world, "seed").is_empty());
}

#[tokio::test]
async fn a_rollout_that_has_not_been_taken_up_yet_is_waited_for() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    world.ask(at("registry.example/web:2"), json!({}));
    while image(&world) != "registry.example/web:2" {
        world.pass(&operator).await;
        world.api.run_jobs(|_| true);
    }
    // The revision, by which the next rollout's Jobs are called, is still the old one.
    world.ask(at("registry.example/web:3"), json!({}));
    world.pass(&operator).await;
    assert_eq!(jobs(&world, "migrate").len(), 2);
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "Progressing");
    settle(&world, &operator).await;
    assert_eq!((image(&world), jobs(&world, "migrate").len()), (json!("registry.example/web:3"), 3));
}

#[tokio::test]
async fn a_job_that_runs_is_let_end_before_a_newer_one_begins() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let old: BTreeSet<String> = jobs(&world, "migrate").into_iter().collect();
    let running =
        |world: &World| -> Vec<String> { jobs(world, "migrate").into_iter().filter(|j| !old.contains(j)).collect() };
    world.ask(at("registry.example/web:2"), json!({}));
    pass(&world, &operator).await;
    let second = running(&world)[0].clone();
    world.api.set_status(&second, json!({ "active": 1, "ready": 1 }));

    let mut without = at("registry.example/web:3");
    without["apps"][0].as_object_mut().unwrap().remove("jobs");
    for spec in [at("registry.example/web:3"), without] {
        world.ask(spec, json!({}));
        pass(&world, &operator).await;
        pass(&world, &operator).await;
        assert_eq!(running(&world), std::slice::from_ref(&second));
        assert_eq!(image(&world), "registry.example/web:1", "nothing of a newer version runs beside it");
        let told = world.app_condition("web", "AppReady");
        let message = told["message"].as_str().unwrap();
        assert!(message.contains("job migrate of an earlier change is let end before the rollout"), "{message}");
    }

    world.ask(at("registry.example/web:3"), json!({}));
    world.api.set_status(&second, json!({ "conditions": [{ "type": "Complete", "status": "True" }] }));
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:3");
}

#[tokio::test]
async fn a_job_that_cannot_start_holds_no_newer_one_up() {
    let world = World::new(at("registry.example/web:1"));
    let (operator, mut writers) = world.operator_and_stores().await;
    settle(&world, &operator).await;
    let old: BTreeSet<String> = jobs(&world, "migrate").into_iter().collect();
    world.ask(at("registry.example/wbe:2"), json!({}));
    pass(&world, &operator).await;
    let typo = jobs(&world, "migrate").into_iter().find(|path| !old.contains(path)).unwrap();
    world.api.set_status(&typo, json!({ "active": 1, "ready": 0 }));
    let name = typo.rsplit('/').next().unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": format!("{name}-x"), "namespace": "learning", "labels": {
            "app.kubernetes.io/instance": "story", "app.kubernetes.io/component": "web.migrate", JOB_NAME: name,
        } },
        "status": { "containerStatuses": [{
            "name": "web", "image": "registry.example/wbe:2", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff" } },
        }] },
    }))
    .unwrap();
    writers.pods.apply_watcher_event(&watcher::Event::Apply(pod));
    pass(&world, &operator).await;
    let told = world.app_condition("web", "AppReady");
    assert_eq!(told["reason"], "ImagePull", "{told}");
    assert!(told["message"].as_str().unwrap().contains("the job migrate cannot run before the rollout"), "{told}");

    world.ask(at("registry.example/web:2"), json!({}));
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
    assert!(!jobs(&world, "migrate").contains(&typo), "it is taken away");
}

#[tokio::test]
async fn a_job_of_an_app_that_goes_is_let_end() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    pass(&world, &operator).await;
    let migrate = only(&world, "migrate");
    world.api.set_status(&migrate, json!({ "active": 1, "ready": 1 }));
    let mut gone = spec();
    gone["apps"].as_array_mut().unwrap().remove(0);
    world.ask(gone, json!({}));
    pass(&world, &operator).await;
    assert_eq!(world.api.paths(JOBS), std::slice::from_ref(&migrate));
    world.api.set_status(&migrate, json!({ "conditions": [{ "type": "Complete", "status": "True" }] }));
    pass(&world, &operator).await;
    assert!(world.api.paths(JOBS).is_empty(), "then it goes");
}

#[tokio::test]
async fn a_job_that_has_begun_since_it_was_seen_is_not_taken_away() {
    let world = World::new(with_jobs());
    let operator = world.operator().await;
    pass(&world, &operator).await;
    let migrate = only(&world, "migrate");
    let seen: DynamicObject = serde_json::from_value(world.api.get(&migrate).unwrap()).unwrap();
    world.api.set_status(&migrate, json!({ "active": 1 }));
    assert!(operator.writer.delete(Kind::Job, &seen).await.unwrap_err().is_conflict());
    assert!(world.api.get(&migrate).is_some());
    let newest: DynamicObject = serde_json::from_value(world.api.get(&migrate).unwrap()).unwrap();
    assert!(operator.writer.delete(Kind::Job, &newest).await.unwrap());
    assert!(world.api.get(&migrate).is_none());
}

#[tokio::test]
async fn a_failure_after_the_rollout_is_told_and_stops_nothing() {
    let world = World::new(with_jobs());
    let operator = world.operator().await;
    for _ in 0..8 {
        pass(&world, &operator).await;
        world.api.run_jobs(|name| !name.contains("warm"));
    }
    pass(&world, &operator).await;
    let told = world.app_condition("web", "AppReady");
    assert_eq!(told["status"], "True", "{told}");
    assert!(told["message"].as_str().unwrap().contains("the job warm failed last (BackoffLimitExceeded)"), "{told}");
    assert_eq!(jobs(&world, "warm").len(), 1, "once per rollout");
    let events = world.api.events();
    assert_eq!(events.iter().filter(|event| **event == "Job JobFailed Warning").count(), 1, "{events:?}");
    world.ask(at("registry.example/web:2"), json!({}));
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
    assert_eq!(jobs(&world, "warm").len(), 2);
}

#[tokio::test]
async fn what_runs_by_the_clock_changes_with_the_pods_and_comes_back() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let image = |world: &World| {
        let job = world.api.get(CRON_JOB).unwrap();
        job.pointer("/spec/jobTemplate/spec/template/spec/containers/0/image").unwrap().clone()
    };
    world.api.edit(CRON_JOB, |job| job["spec"]["schedule"] = json!("* * * * *"));
    pass(&world, &operator).await;
    assert_eq!(world.api.get(CRON_JOB).unwrap()["spec"]["schedule"], "0 */6 * * *");
    world.ask(at("registry.example/web:2"), json!({}));
    pass(&world, &operator).await;
    pass(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:1", "the migration comes first");
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:2");

    // Runs are the CronJob's own: never taken away here, and told.
    let owner = world.api.get(CRON_JOB).unwrap();
    let run = format!("{JOBS}story-web-refresh-29000000");
    world.api.put(
        &run,
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "story-web-refresh-29000000", "namespace": "learning", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": owner["spec"]["jobTemplate"]["metadata"]["labels"],
                "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "CronJob", "name": "story-web-refresh",
                    "uid": owner["metadata"]["uid"], "controller": true }],
            },
            "status": { "conditions": [{ "type": "Failed", "status": "True", "reason": "DeadlineExceeded" }] },
        }),
    );
    world.pass(&operator).await;
    assert!(world.api.get(&run).is_some());
    let told = world.app_condition("web", "AppReady");
    assert!(told["message"].as_str().unwrap().contains("the job refresh failed last (DeadlineExceeded)"), "{told}");

    let mut without = at("registry.example/web:2");
    without["apps"][0]["jobs"].as_array_mut().unwrap().remove(2);
    world.ask(without, json!({}));
    settle(&world, &operator).await;
    assert!(world.api.get(CRON_JOB).is_none());
}

#[tokio::test]
async fn a_suspended_platform_runs_nothing() {
    let world = World::new(at("registry.example/web:1"));
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let before = world.api.paths(JOBS);
    let suspend = json!({ "learningplatform.dev/suspend": "true" });
    world.ask(at("registry.example/web:2"), suspend);
    for _ in 0..3 {
        pass(&world, &operator).await;
    }
    assert_eq!(world.api.paths(JOBS), before);
    assert_eq!(image(&world), "registry.example/web:1");
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "Suspended");
    world.ask(at("registry.example/web:2"), json!({}));
    settle(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
}

#[tokio::test]
async fn scaling_goes_on_while_a_rollout_waits() {
    let mut spec = at("registry.example/web:1");
    spec["apps"][1]["jobs"] = json!([{ "name": "migrate", "beforeRollout": {}, "args": ["migrate"] }]);
    let world = World::new(spec.clone());
    let operator = world.operator().await;
    settle(&world, &operator).await;
    let worker = DEPLOYMENT.replace("web", "worker");

    for app in [0, 1] {
        spec["apps"][app]["image"] = json!("registry.example/new:2");
    }
    spec["apps"][0]["autoscaling"]["cpu"]["utilization"] = json!(55);
    spec["apps"][1]["replicas"] = json!(5);
    world.ask(spec.clone(), json!({}));
    pass(&world, &operator).await;
    assert_eq!(world.api.get(HPA).unwrap()["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 55);
    let live = world.api.get(&worker).unwrap();
    assert_eq!(live["spec"]["replicas"], 5);
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/worker:1");

    // Even its end does, and nothing fights over the number then.
    let web = spec["apps"][0].as_object_mut().unwrap();
    web.remove("autoscaling");
    web.insert("replicas".to_owned(), json!(4));
    world.ask(spec, json!({}));
    pass(&world, &operator).await;
    assert!(world.api.get(HPA).is_none());
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 4);
    assert_eq!(image(&world), "registry.example/web:1");
}

#[tokio::test]
async fn a_crash_at_any_write_runs_each_job_once() {
    /// Which Jobs there ever were, and what is there in the end.
    async fn end(world: &World, fault: Option<(usize, Fault)>) -> (BTreeSet<String>, usize) {
        let mut seen = BTreeSet::new();
        if let Some((nth, fault)) = fault {
            world.api.fail(nth, fault);
        }
        let mut writes = 0;
        for _ in 0..14 {
            // Each pass is a new process.
            pass(world, &world.operator().await).await;
            writes += world.api.writes().len();
            seen.extend(world.api.paths(JOBS));
            world.api.run_jobs(|_| true);
        }
        (seen, writes)
    }
    let perfect = World::new(with_jobs());
    let (wanted, count) = end(&perfect, None).await;
    assert_eq!(wanted.len(), 3, "{wanted:?}");
    for fault in [Fault::Before, Fault::AnswerLost, Fault::Conflict, Fault::Forbidden] {
        for nth in 0..count {
            let world = World::new(with_jobs());
            let (seen, _) = end(&world, Some((nth, fault))).await;
            assert_eq!(seen, wanted, "{fault:?} at write {nth}");
            assert!(world.is_ready(), "{fault:?} at write {nth}: {}", world.condition("AppReady"));
            let deployment = |world: &World| world.api.get(DEPLOYMENT).unwrap()["spec"].clone();
            assert_eq!(deployment(&world), deployment(&perfect), "{fault:?} at write {nth}");
        }
    }
}
