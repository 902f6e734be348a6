//! What the spec no longer asks for goes; what only looks like ours stays.

use super::*;
use operator::naming::{COMPONENT, INSTANCE, MANAGED_BY, MANAGER};
use std::collections::BTreeSet;

/// The objects of the operator's labels that there are, as `Service school-web`.
async fn names_of(ns: &TestNamespace) -> BTreeSet<String> {
    versions(ns).await.into_keys().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn exposed(name: &str) -> Value {
    let exposure = json!({
        "gateway": {"parentRefs": [{"name": "public"}], "hosts": ["school.example"]},
        "ingress": {"hosts": ["school.example"]},
    });
    with(pending(name), json!({"exposure": exposure, "replicas": 2, "metrics": {"path": "/metrics"}}))
}

#[tokio::test]
async fn a_renamed_app_leaves_nothing_behind_and_others_objects_stay() {
    let (ns, _operator) = scene("renamed").await;
    ns.apply("school", json!({"apps": [exposed("web"), pending("other")]})).await;
    let all = |app: &str| {
        ["Deployment", "Service", "PodDisruptionBudget", "HTTPRoute", "Ingress", "PodMonitor"]
            .map(|kind| format!("{kind} school-{app}"))
            .into_iter()
            .collect::<BTreeSet<_>>()
    };
    let has = |names: &BTreeSet<String>, app: &str| all(app).is_subset(names);
    eventually("all objects are there", SOON, || names_of(&ns), |names| has(names, "web")).await;
    let other = dynamic(&ns, "apps/v1", "Deployment").get("school-other").await.expect("a Deployment");

    // One with all our labels and no owner, and one with our labels and another owner: neither was made by this platform.
    let labels = json!({MANAGED_BY: MANAGER, INSTANCE: "school", COMPONENT: "left"});
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": {"ports": [{"port": 80}]},
        })
    };
    put(&ns, service("left-behind")).await;
    let mut owned = service("owned-by-other");
    owned["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "school-other", "uid": other.metadata.uid, "controller": true,
    }]);
    put(&ns, owned).await;

    ns.apply("school", json!({"apps": [exposed("site"), pending("other")]})).await;
    eventually(
        "the new name is all there, the old is all gone",
        SOON,
        || names_of(&ns),
        |names| has(names, "site") && all("web").is_disjoint(names),
    )
    .await;
    let names = names_of(&ns).await;
    assert!(set(&["Service left-behind", "Service owned-by-other"]).is_subset(&names), "{names:#?}");
    let same = dynamic(&ns, "apps/v1", "Deployment").get("school-other").await.expect("a Deployment");
    assert_eq!(same.metadata.uid, other.metadata.uid, "an app that is still asked for is not made anew");
    let inventory = ns.platform("school").await.status.and_then(|s| s.inventory).expect("an inventory");
    assert!(inventory.entries.iter().all(|entry| !entry.id.contains("_school-web_")), "{inventory:#?}");
    ns.delete().await;
}

#[tokio::test]
async fn a_room_that_is_turned_off_is_emptied() {
    let (ns, _operator) = scene("rooms").await;
    let autoscaling = json!({"minReplicas": 3, "maxReplicas": 5, "cpu": {"averageValue": "1"}});
    let on = with(exposed("web"), json!({"replicas": null, "autoscaling": autoscaling}));
    ns.apply("school", json!({"apps": [on.clone()]})).await;
    eventually(
        "the floor is the Deployment's count",
        SOON,
        || ns.replicas("school-web"),
        |r| r.is_some_and(|(wanted, _)| wanted == 3),
    )
    .await;
    let gone = ["Ingress school-web", "HTTPRoute school-web", "PodMonitor school-web"];
    eventually(
        "all objects are there",
        SOON,
        || names_of(&ns),
        |names| set(&gone).is_subset(names) && names.contains("HorizontalPodAutoscaler school-web"),
    )
    .await;

    // Exposure and metrics off: routes go, the rest stays.
    let off = with(on, json!({"exposure": null, "metrics": null}));
    ns.apply("school", json!({"apps": [off.clone()]})).await;
    eventually("the routes are gone", SOON, || names_of(&ns), |names| set(&gone).is_disjoint(names)).await;
    assert_eq!(ns.bounds("school-web").await, Some((3, 5)));

    // Autoscaling off, with a number: that number, and no HPA that could set it back.
    let fixed = with(off.clone(), json!({"autoscaling": null, "replicas": 4}));
    ns.apply("school", json!({"apps": [fixed]})).await;
    eventually("the HPA is gone", SOON, || ns.bounds("school-web"), Option::is_none).await;
    let wanted = || async { ns.replicas("school-web").await.map(|(wanted, _)| wanted) };
    eventually("the fixed number", SOON, wanted, |n| *n == Some(4)).await;
    let status = ns.platform("school").await.status.expect("a status");
    assert!(status.apps.iter().all(|app| app.scaling.is_none()), "{:#?}", status.apps);

    // And on again: the pods that run are kept, though the minimum is lower.
    ns.apply("school", json!({"apps": [off]})).await;
    eventually("an HPA again", SOON, || ns.bounds("school-web"), Option::is_some).await;
    let wanted = || async { ns.replicas("school-web").await.map(|(wanted, _)| wanted) };
    learningplatform_tests::harness::holds_for("pods are kept", Duration::from_secs(5), wanted, |n| {
        n.is_some_and(|n| n >= 3)
    })
    .await;
    ns.delete().await;
}
