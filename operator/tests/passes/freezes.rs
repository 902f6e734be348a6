//! Freezes: what waits for their end, what does not, and how long.

use crate::world::*;
use learningplatform_operator::context::Context;
use serde_json::{Value, json};
use std::sync::Arc;

const HOLDS: (&str, &str) = ("2020-01-01T00:00", "2999-01-01T00:00");
const IS_OVER: (&str, &str) = ("2020-01-01T00:00", "2020-02-01T00:00");

fn at(version: u32, (start, end): (&str, &str)) -> Value {
    let mut spec = spec();
    spec["apps"][0]["image"] = json!(format!("registry.example/web:{version}"));
    spec["freezes"] = json!([{ "name": "exams", "start": start, "end": end, "timeZone": "Europe/Berlin" }]);
    spec
}

fn image(world: &World) -> Value {
    world.api.get(DEPLOYMENT).unwrap()["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

async fn passes(world: &World, operator: &Arc<Context>) {
    for _ in 0..3 {
        world.pass(operator).await;
        world.api.run_deployments();
    }
}

#[tokio::test]
async fn a_rollout_waits_for_the_end_and_scaling_does_not() {
    let world = World::new(at(1, HOLDS));
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(image(&world), "registry.example/web:1", "a first rollout is not held");
    assert_eq!(world.app_condition("web", "RolloutPending"), Value::Null, "nothing is pending");

    let mut changed = at(2, HOLDS);
    changed["apps"][0]["autoscaling"]["cpu"]["utilization"] = json!(55);
    changed["apps"][0]["env"][1]["value"] = json!("x");
    changed["apps"][1]["replicas"] = json!(7);
    world.ask(changed.clone(), json!({}));
    passes(&world, &operator).await;
    assert_eq!(image(&world), "registry.example/web:1");
    assert_eq!(world.api.get(HPA).unwrap()["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 55);
    assert_eq!(world.api.get(&DEPLOYMENT.replace("web", "worker")).unwrap()["spec"]["replicas"], 7);
    assert!(world.is_ready(), "what runs is well");
    let pending = world.app_condition("web", "RolloutPending");
    assert_eq!((&pending["status"], &pending["reason"]), (&json!("True"), &json!("Frozen")), "{pending}");
    let message = pending["message"].as_str().unwrap();
    for part in [
        "the freeze exams holds",
        "until 2998-12-31T23:00:00Z",
        "spec.containers[web].image",
        "spec.containers[web].env[EMPTY].value",
        "learningplatform.dev/urgent: exams",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(world.condition("RolloutPending")["status"], "True", "the platform says so, too");
    assert_eq!(world.app_condition("worker", "RolloutPending"), Value::Null);
    world.api.writes();
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.writes(), [], "a pass over what is held writes");

    changed["freezes"] = at(2, IS_OVER)["freezes"].clone();
    world.ask(changed, json!({}));
    world.settle(&operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
    assert_eq!(world.app_condition("web", "RolloutPending"), Value::Null);
    assert_eq!(world.condition("RolloutPending"), Value::Null);
}

#[tokio::test]
async fn an_urgent_change_is_let_through_by_the_name_of_the_freeze() {
    let world = World::new(at(1, HOLDS));
    let operator = world.operator().await;
    world.settle(&operator).await;
    for (urgent, version) in [("true", 1), ("holidays", 1), ("holidays, exams", 2)] {
        world.ask(at(2, HOLDS), json!({ "learningplatform.dev/urgent": urgent }));
        passes(&world, &operator).await;
        assert_eq!(image(&world), format!("registry.example/web:{version}"), "{urgent}");
    }
}

#[tokio::test]
async fn what_is_broken_may_be_mended() {
    let world = World::new(at(1, HOLDS));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut status = world.api.get(DEPLOYMENT).unwrap()["status"].clone();
    // A pod that is late is no reason yet, a rollout that is stuck is one.
    status["readyReplicas"] = json!(2);
    world.api.set_status(DEPLOYMENT, status.clone());
    world.ask(at(2, HOLDS), json!({}));
    world.pass(&operator).await;
    assert_eq!(image(&world), "registry.example/web:1");
    status["conditions"] = json!([{ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }]);
    world.api.set_status(DEPLOYMENT, status);
    world.pass(&operator).await;
    assert_eq!(image(&world), "registry.example/web:2");
    let told = world.app_condition("web", "AppReady");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("the freeze exams does not hold what mends it: it was RolloutStuck"), "{message}");
    assert_eq!(world.app_condition("web", "RolloutPending"), Value::Null);
}

#[tokio::test]
async fn a_freeze_holds_the_jobs_of_a_rollout_too() {
    let with_job = |version, window| {
        let mut spec = at(version, window);
        spec["apps"][0]["jobs"] = json!([{ "name": "migrate", "beforeRollout": {}, "args": ["migrate"] }]);
        spec
    };
    let world = World::new(at(1, HOLDS));
    let operator = world.operator().await;
    world.settle(&operator).await;
    world.ask(with_job(2, HOLDS), json!({}));
    passes(&world, &operator).await;
    assert_eq!(world.api.paths("/jobs/"), [""; 0]);
    world.ask(with_job(2, IS_OVER), json!({}));
    world.pass(&operator).await;
    assert_eq!(world.api.paths("/jobs/").len(), 1);
}

#[tokio::test]
async fn the_next_pass_comes_when_the_freeze_ends() {
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let local = |seconds: i64| {
        let time = &now + jiff::SignedDuration::from_secs(seconds);
        time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    };
    let mut spec = at(1, IS_OVER);
    spec["apps"][0].as_object_mut().unwrap().remove("autoscaling");
    spec["freezes"] = json!([{ "name": "exams", "start": local(-60), "end": local(200), "timeZone": "UTC" }]);
    let world = World::new(spec.clone());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let wait = |action: String| -> f64 {
        let (_, rest) = action.split_once("Some(").unwrap();
        rest.split_once("s)").unwrap().0.parse().unwrap()
    };
    let next = wait(world.action(&operator).await);
    assert!((150.0..=200.0).contains(&next), "{next}");
    spec["freezes"] = at(1, IS_OVER)["freezes"].clone();
    world.ask(spec, json!({}));
    let next = wait(world.action(&operator).await);
    assert!(next > 500.0, "{next}");
}
