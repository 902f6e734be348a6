//! A pass over a healthy platform: what it writes first, and that it then writes nothing.

use crate::world::*;
use learningplatform_operator::rbac;
use serde_json::{Value, json};

#[tokio::test]
async fn a_platform_becomes_ready_and_then_no_pass_writes() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
    let wrote = world.api.writes();
    assert!(wrote.len() >= 10, "{wrote:?}");

    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
    let restarted = world.operator().await;
    world.pass(&restarted).await;
    assert_eq!(world.api.writes(), [], "a pass of a new process writes");
}

#[tokio::test]
async fn a_platform_without_scaling_is_ready_as_a_whole() {
    let mut fixed = spec();
    fixed["apps"][0].as_object_mut().unwrap().remove("autoscaling");
    let world = World::new(fixed);
    world.settle(&world.operator().await).await;
    assert_eq!(world.condition("Ready")["status"], "True", "{}", world.condition("Ready"));
    assert_eq!(world.condition("Reconciling"), Value::Null);
}

#[tokio::test]
async fn the_first_status_comes_before_the_first_child() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.pass(&operator).await;
    let writes = world.api.writes();
    assert!(writes[0].path.ends_with("/status"), "{writes:?}");
}

#[tokio::test]
async fn replicas_are_set_once_under_autoscaling_and_kept_without_it() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 3, "autoscaling begins at its least");
    world.api.edit(DEPLOYMENT, |d| d["spec"]["replicas"] = json!(11));
    world.settle(&operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["replicas"], 11, "the count is the HPA's");
    let worker = DEPLOYMENT.replace("web", "worker");
    world.api.edit(&worker, |d| d["spec"]["replicas"] = json!(9));
    world.settle(&operator).await;
    assert_eq!(world.api.get(&worker).unwrap()["spec"]["replicas"], 2, "a fixed count comes back");
}

#[tokio::test]
async fn the_rbac_table_covers_every_request() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    world.ask(json!({}), json!({}));
    world.settle(&operator).await;
    let rules = [rbac::rules(), rbac::cluster_rules(), rbac::leader_rules()].concat();
    for (verb, resource) in world.api.requests() {
        let allowed = rules
            .iter()
            .any(|r| r.verbs.contains(&verb) && r.resources.as_ref().is_some_and(|known| known.contains(&resource)));
        assert!(allowed || resource.is_empty(), "{verb} {resource} is in no rule");
    }
}
