//! Crash anywhere: whichever write fails, and however it does, starting again ends in the same state.

use super::*;
use learningplatform_tests::harness::{Fault, FaultProxy, Rules, account};

const FAST: &[&str] =
    &["--leader-election=false", "--debounce=20ms", "--waiting-requeue=1s", "--evaluation-interval=300ms"];

/// Everything that a platform has: an app with a route, an HPA and a disruption budget.
fn before() -> Value {
    let exposure = json!({"gateway": {"parentRefs": [{"name": "public"}], "hosts": ["school.example"]}});
    let autoscaling = json!({"minReplicas": 2, "maxReplicas": 4, "cpu": {"averageValue": "1"}});
    let web = json!({"replicas": null, "autoscaling": autoscaling, "exposure": exposure});
    json!({"apps": [with(pending("web"), web)]})
}

/// Afterwards it has another name, so that every object is pruned, and no room but the first.
fn after() -> Value {
    json!({"apps": [with(pending("site"), json!({"replicas": 2}))]})
}

/// All that matters of the platform and of its children, without what differs from one to the next.
async fn state(ns: &TestNamespace) -> Value {
    let platform = ns.platform("school").await;
    let mut status = serde_json::to_value(&platform.status).expect("JSON");
    strip(&mut status);
    let mut objects: Vec<Value> = Vec::new();
    for child in children(ns).await {
        let mut object = serde_json::to_value(child).expect("JSON");
        object.as_object_mut().expect("an object").remove("status");
        let ours = |entry: &&Value| entry["manager"].as_str().is_some_and(|m| m.starts_with("learningplatform"));
        let managed: Vec<Value> =
            object["metadata"]["managedFields"].as_array().into_iter().flatten().filter(ours).cloned().collect();
        object["metadata"]["managedFields"] = managed.into();
        strip(&mut object);
        objects.push(object);
    }
    let current = platform.status.and_then(|s| s.observed_generation) == platform.metadata.generation;
    json!({"status": status, "children": objects, "current": current})
}

/// Takes away identities, times and what the server chooses.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "generation",
                "time",
                "lastTransitionTime",
                "clusterIP",
                "clusterIPs",
                "observedGeneration",
                "namespace",
                "id",
            ] {
                fields.remove(field);
            }
            // `k:{"uid":"…"}` of an owner reference.
            let keys: Vec<String> = fields.keys().filter(|key| key.starts_with("k:{\"uid\"")).cloned().collect();
            for key in keys {
                let inner = fields.remove(&key).expect("a key");
                fields.insert("k:uid".to_owned(), inner);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Whether the platform has reached what [`before`] asks for.
fn begun(state: &Value) -> bool {
    let apps = &state["status"]["apps"];
    state["current"] == true
        && state["children"].as_array().is_some_and(|children| children.len() == 5)
        && apps[0]["conditions"].to_string().contains("no node takes the pod")
        && apps[0]["scaling"]["floor"] == 2
}

/// Whether it has reached what [`after`] asks for.
fn finished(state: &Value) -> bool {
    state["current"] == true
        && state["children"].as_array().is_some_and(|children| children.len() == 3)
        && state["status"]["apps"][0]["conditions"].to_string().contains("no node takes the pod")
        && state["status"]["summary"]["pods"] == "0/2"
}

/// Takes the platform through both specs with an operator behind `proxy`, which another replaces once it has failed.
async fn life(
    ns: &TestNamespace,
    kubeconfig: &std::path::Path,
    proxy: &FaultProxy,
    good: impl Fn(&Value) -> bool,
) -> bool {
    let mut operator = Operator::spawn(ns, &proxy.kubeconfig(ns.dir.path()), FAST);
    let mut crashed = false;
    for (spec, stage) in [(before(), 0), (after(), 1)] {
        ns.apply("school", spec).await;
        let reached = |state: &Value| if stage == 0 { begun(state) } else { good(state) };
        let what = format!("stage {stage} is reached, writes {:?}", proxy.writes());
        if !crashed {
            tokio::select! {
                _ = eventually(&what, SOON, || state(ns), reached) => continue,
                () = proxy.failed() => {}
            }
            crashed = true;
            operator.kill();
            operator = Operator::spawn(ns, kubeconfig, FAST);
        }
        eventually(&what, SOON, || state(ns), reached).await;
    }
    crashed
}

async fn clear(ns: &TestNamespace) {
    remove(ns, "learningplatform.dev/v1alpha1", "LearningPlatform", "school").await;
    eventually("the garbage collector has removed the children", SOON, || children(ns), Vec::is_empty).await;
}

/// The end of a life without faults, and how many writes it took.
async fn reference(ns: &TestNamespace, kubeconfig: &std::path::Path) -> (Value, usize) {
    let proxy = FaultProxy::start(kubeconfig, Rules::default()).await;
    life(ns, kubeconfig, &proxy, finished).await;
    let end = state(ns).await;
    clear(ns).await;
    (end, proxy.writes().len())
}

async fn every_write_fails(fault: Fault, name: &str) {
    let ns = TestNamespace::create(name).await;
    let kubeconfig = account(&ns).await;
    put_gateway(&ns, "public").await;
    let (end, writes) = reference(&ns, &kubeconfig).await;
    assert!(writes > 15, "only {writes} writes: the test does not see them");
    let mut number = 1;
    loop {
        let proxy = FaultProxy::start(&kubeconfig, Rules { fail: Some((number, fault)), ..Rules::default() }).await;
        let crashed = life(&ns, &kubeconfig, &proxy, |state| *state == end).await;
        clear(&ns).await;
        if !crashed {
            break;
        }
        number += 1;
    }
    println!("{fault:?}: {} crash points", number - 1);
    assert!(number + 5 > writes, "{number} of {writes} writes");
    ns.delete().await;
}

#[tokio::test]
async fn a_write_that_never_arrives_is_made_up_for() {
    every_write_fails(Fault::BeforeEffect, "before").await;
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_made_up_for() {
    every_write_fails(Fault::AfterEffect, "after").await;
}

#[tokio::test]
async fn a_write_that_loses_a_race_is_made_up_for() {
    every_write_fails(Fault::Conflict, "conflict").await;
}

#[tokio::test]
async fn a_write_that_is_forbidden_is_made_up_for() {
    every_write_fails(Fault::Forbidden, "forbidden").await;
}

#[tokio::test]
async fn an_operator_that_goes_on_makes_up_for_every_failure_itself() {
    let ns = TestNamespace::create("goes-on").await;
    let kubeconfig = account(&ns).await;
    put_gateway(&ns, "public").await;
    let (end, _) = reference(&ns, &kubeconfig).await;
    for fault in [Fault::Conflict, Fault::Forbidden] {
        let proxy = FaultProxy::start(&kubeconfig, Rules { fail_each: Some(fault), ..Rules::default() }).await;
        let operator = Operator::spawn(&ns, &proxy.kubeconfig(ns.dir.path()), FAST);
        ns.apply("school", before()).await;
        eventually(&format!("{fault:?}: it begins"), SOON, || state(&ns), begun).await;
        ns.apply("school", after()).await;
        eventually(&format!("{fault:?}: it ends in the same state"), SOON, || state(&ns), |state| *state == end).await;
        drop(operator);
        clear(&ns).await;
    }
    ns.delete().await;
}
