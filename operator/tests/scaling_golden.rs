//! Golden files: the HPA of an app, and the queries of every preset.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::{
    LearningPlatform,
    tiers::autoscaling::{Histogram, Preset, Unit},
};
use decide::{Bounds, Duration};
use learningplatform_operator::{
    naming::Owner,
    prometheus::{
        preset::Workload,
        query::{Question, Signal, Subject, Template, default_metric, latency_signal},
    },
    tiers::autoscaling::{first_bounds, hpa},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn platform(autoscaling: Value) -> LearningPlatform {
    serde_json::from_value(json!({
        "metadata": {"name": "story", "namespace": "learning", "uid": "u-1"},
        "spec": {"apps": [{"name": "web", "image": "web:1", "port": 3000, "autoscaling": autoscaling}]},
    }))
    .unwrap()
}

fn rendered(autoscaling: Value, bounds: impl Fn(Bounds) -> Bounds) -> Value {
    let platform = platform(autoscaling);
    let app = &platform.spec.apps[0];
    let initial = first_bounds(app.autoscaling.as_ref().unwrap());
    serde_json::to_value(hpa(&Owner::of(&platform), app, bounds(initial)).unwrap()).unwrap()
}

fn story() -> Value {
    json!({
        "minReplicas": 3, "maxReplicas": 20, "cpu": {"utilization": 70}, "memory": {"utilization": 80},
        "requestRate": {"perPod": 100},
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
            "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]},
        },
    })
}

#[test]
fn the_story_guides_hpa_equals_its_table() {
    let hpa = rendered(story(), |bounds| bounds);
    assert_eq!(
        hpa["spec"],
        json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "story-web"},
            "minReplicas": 3, "maxReplicas": 20,
            "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}},
            ],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max",
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"stabilizationWindowSeconds": 300, "selectPolicy": "Max",
                    "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]},
            },
        })
    );
    insta::assert_json_snapshot!("hpa_story", hpa);
}

#[test]
fn an_hpa_without_a_metric_of_its_own_never_raises_by_itself() {
    insta::assert_json_snapshot!(
        "hpa_rate_only",
        rendered(
            json!({"minReplicas": 0, "maxReplicas": 9,
        "requestRate": {"perPod": 50, "preset": "EnvoyGateway"}}),
            |bounds| bounds
        )
    );
}

#[test]
fn a_pause_disables_a_direction_and_leaves_the_rest() {
    let mut spec = story();
    let before = rendered(spec.clone(), |bounds| bounds);
    spec["pause"] = json!("ScaleIn");
    let mut paused = rendered(spec, |bounds| bounds);
    assert_eq!(paused["spec"]["behavior"]["scaleDown"]["selectPolicy"], "Disabled");
    paused["spec"]["behavior"]["scaleDown"]["selectPolicy"] = json!("Max");
    assert_eq!(paused, before);
}

#[test]
fn metrics_and_tolerance_of_the_users_own_pass_through() {
    let external = json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "30"}}});
    let hpa = rendered(
        json!({"minReplicas": 1, "maxReplicas": 4, "cpu": {"averageValue": "400m"}, "metrics": [external],
            "behavior": {"scaleUp": {"tolerance": "0.05"}}}),
        |bounds| Bounds { min: 2, max: 3, ..bounds },
    );
    assert_eq!(
        hpa["spec"]["metrics"][0]["resource"]["target"],
        json!({"type": "AverageValue", "averageValue": "400m"})
    );
    assert_eq!(hpa["spec"]["metrics"][1], external);
    assert_eq!(hpa["spec"]["behavior"]["scaleUp"]["tolerance"], "0.05");
    assert_eq!((&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]), (&json!(2), &json!(3)));
}

fn workload(namespace: &str, name: &str) -> Workload {
    Workload { namespace: namespace.into(), name: name.into() }
}

const PRESETS: [Preset; 6] =
    [Preset::App, Preset::EnvoyGateway, Preset::IngressNginx, Preset::Istio, Preset::Linkerd, Preset::Traefik];

fn template(preset: Preset, signal: Signal) -> Option<Template> {
    let metric = default_metric(preset, signal)?.to_owned();
    Some(Template { signal, preset, metric, matchers: BTreeMap::from([("cluster".into(), "eu-1".into())]) })
}

#[test]
fn queries_of_every_preset() {
    let (web, api) = (workload("learning", "story-web"), workload("labs", "story-api"));
    let (long, short) = (Duration::from_secs(60), Duration::from_secs(30));
    let questions = [
        ("value", Question::Value(long)),
        ("raise", Question::Raise { short, long }),
        ("freshness", Question::Freshness),
        ("live", Question::Live),
        ("seen", Question::Seen(Duration::from_mins(60))),
        ("bounds", Question::Bounds),
    ];
    for preset in PRESETS {
        let mut found = BTreeMap::new();
        let signals = [
            ("rate", Signal::Rate),
            ("in-flight", Signal::InFlight),
            ("errors", Signal::Errors),
            ("p95", latency_signal(preset, Some(95), None, None)),
            ("p95 native", latency_signal(preset, Some(95), Some(Histogram::Native), None)),
            ("mean", latency_signal(preset, None, None, None)),
            ("mean native ms", latency_signal(preset, None, Some(Histogram::Native), Some(Unit::Milliseconds))),
        ];
        for (name, signal) in signals {
            let Some(template) = template(preset, signal) else { continue };
            for (asked, question) in questions {
                let only_value = matches!(name, "errors" | "p95 native" | "mean native ms") && asked != "value";
                if template.answers(question) && !only_value {
                    let one = template.expression(question, Subject::Workloads(&[&web]));
                    found.insert(format!("{name}: {asked}"), one);
                }
            }
            if name == "rate" {
                found.insert(
                    format!("{name}: value of two"),
                    template.expression(questions[0].1, Subject::Workloads(&[&web, &api])),
                );
            }
        }
        insta::assert_yaml_like(preset, &found);
    }
}

mod insta {
    pub use ::insta::*;
    use std::{collections::BTreeMap, fmt::Debug};

    /// One line per expression, so that a change shows as one.
    pub fn assert_yaml_like(preset: impl Debug, found: &BTreeMap<String, String>) {
        let text: Vec<String> = found.iter().map(|(name, expression)| format!("{name}\n  {expression}")).collect();
        assert_snapshot!(format!("queries_{preset:?}"), text.join("\n"));
    }
}

#[test]
fn labels_of_the_users_replace_the_presets_and_are_quoted() {
    let template = template(Preset::App, latency_signal(Preset::App, Some(99), None, None)).unwrap();
    let labels = BTreeMap::from([("service".to_owned(), r#"a"} or vector(1) #"#.to_owned())]);
    let expression = template.expression(Question::Value(Duration::from_secs(20)), Subject::Labels(&labels));
    assert_eq!(
        expression,
        r#"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{service="a\"} or vector(1) #",status!="101",code!="101",cluster="eu-1"}[20s])))"#
    );
}

#[test]
fn pods_of_a_long_name_are_found_although_their_names_are_cut() {
    let template = template(Preset::App, Signal::Rate).unwrap();
    let long = workload("learning", &"x".repeat(52));
    let expression = template.expression(Question::Value(Duration::from_secs(20)), Subject::Workloads(&[&long]));
    assert!(expression.contains("-[4-9bcdf]{0,10}-?[b-df-hj-np-tv-xz24-9]{5}"), "{expression}");
}
