//! Objects of our names that are somebody else's: named, never touched, and no longer in the way once they are gone.

use super::*;
use learningplatform_tests::harness::{AuditLog, Need};

/// A foreign object per platform: the app it stands in the way of, the condition, and the object.
fn cases() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let object = |api: &str, kind: &str, platform: &str, rest: Value| {
        let meta = json!({"name": format!("{platform}-web"), "labels": {"team": "others"}});
        with(json!({"apiVersion": api, "kind": kind, "metadata": meta}), rest)
    };
    let pod = json!({
        "metadata": {"labels": {"app": "legacy"}},
        "spec": {"containers": [{"name": "web", "image": "legacy.example/web:1"}]},
    });
    let deployment = json!({"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "legacy"}}, "template": pod}});
    let service = json!({"spec": {"selector": {"app": "legacy"}, "ports": [{"port": 81}]}});
    let hpa = json!({"spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "legacy"}, "minReplicas": 1, "maxReplicas": 2,
    }});
    let budget = json!({"spec": {"selector": {"matchLabels": {"app": "legacy"}}, "maxUnavailable": 1}});
    let route = json!({"spec": {"hostnames": ["legacy.example"]}});
    let ingress = json!({"spec": {"defaultBackend": {"service": {"name": "legacy", "port": {"number": 80}}}}});
    let monitor = json!({"spec": {
        "selector": {"matchLabels": {"app": "legacy"}}, "podMetricsEndpoints": [{"port": "http"}],
    }});
    // A label that looks like ours is no ownership: another Deployment of a platform that is not this one.
    let impostor = json!({"metadata": {"name": "impostor-web", "labels": {
        "app.kubernetes.io/managed-by": "learningplatform", "app.kubernetes.io/instance": "other",
    }}, "spec": {"selector": {"app": "legacy"}, "ports": [{"port": 81}]}});
    vec![
        ("deployment", "AppReady", "Deployment", object("apps/v1", "Deployment", "deployment", deployment)),
        ("service", "AppReady", "Service", object("v1", "Service", "service", service)),
        ("impostor", "AppReady", "Service", object("v1", "Service", "impostor", impostor)),
        ("budget", "AppReady", "PodDisruptionBudget", object("policy/v1", "PodDisruptionBudget", "budget", budget)),
        (
            "hpa",
            "AutoscalingReady",
            "HorizontalPodAutoscaler",
            object("autoscaling/v2", "HorizontalPodAutoscaler", "hpa", hpa),
        ),
        ("route", "AppReady", "HTTPRoute", object("gateway.networking.k8s.io/v1", "HTTPRoute", "route", route)),
        ("ingress", "AppReady", "Ingress", object("networking.k8s.io/v1", "Ingress", "ingress", ingress)),
        ("monitor", "AppReady", "PodMonitor", object("monitoring.coreos.com/v1", "PodMonitor", "monitor", monitor)),
    ]
}

/// An app for which the operator makes an object of the kind.
fn with_a(kind: &str) -> Value {
    let hosts = json!(["school.example"]);
    let change = match kind {
        "HorizontalPodAutoscaler" => json!({"replicas": null, "autoscaling": {
            "minReplicas": 1, "maxReplicas": 2, "cpu": {"averageValue": "1"},
        }}),
        "HTTPRoute" => json!({"exposure": {"gateway": {"parentRefs": [{"name": "public"}], "hosts": hosts}}}),
        "Ingress" => json!({"exposure": {"ingress": {"hosts": hosts}}}),
        "PodMonitor" => json!({"metrics": {"path": "/metrics"}}),
        _ => json!({}),
    };
    with(app("web"), change)
}

/// What must not change of a foreign object: all but its status, which its own controller writes.
async fn as_it_is(ns: &TestNamespace, object: &Value) -> Value {
    let text = |field: &Value| field.as_str().expect("a string").to_owned();
    let api = dynamic(ns, &text(&object["apiVersion"]), &text(&object["kind"]));
    let live = api.get(&text(&object["metadata"]["name"])).await.expect("the foreign object is there");
    let mut live = serde_json::to_value(live).expect("JSON");
    live.as_object_mut().expect("an object").remove("status");
    let meta = live["metadata"].as_object_mut().expect("metadata");
    meta.remove("resourceVersion");
    meta.remove("managedFields");
    // The number of the newest rollout, by the Deployment's controller.
    meta.remove("annotations");
    live
}

#[tokio::test]
async fn foreign_objects_are_named_and_never_taken_over() {
    if Need::AuditLog.is_missing() {
        return;
    }
    let (ns, operator) = scene("foreign").await;
    let audit = AuditLog::from_now();
    put_gateway(&ns, "public").await;
    let each = cases().into_iter().map(|(name, condition, kind, object)| {
        let (ns, audit) = (&ns, &audit);
        async move {
            put(ns, object.clone()).await;
            let before = as_it_is(ns, &object).await;
            ns.apply(name, json!({"apps": [with_a(kind), app("other")]})).await;
            let object_name = format!("{name}-web");
            names(ns, name, "web", condition, "NameConflict", &[kind, &object_name]).await;
            let other = || ns.app_condition(name, "other", "AppReady");
            eventually("the other app is ready", SOON, other, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
            assert_eq!(as_it_is(ns, &object).await, before, "the foreign {kind} is as it was");
            let user = format!("system:serviceaccount:{}:operator", ns.name);
            let resource = format!(" {} {}/{object_name} ", plural(kind), ns.name);
            let touched: Vec<_> =
                audit.writes_of(&user).into_iter().filter(|write| write.contains(&resource)).collect();
            assert!(touched.is_empty(), "no write to the foreign {kind} was even tried: {touched:?}");

            let gone = Instant::now();
            remove(ns, object["apiVersion"].as_str().expect("text"), kind, &object_name).await;
            heals(ns, name, "web", condition, gone).await;
            ready(ns, name).await;
        }
    });
    futures::future::join_all(each).await;
    drop(operator);
    ns.delete().await;
}
