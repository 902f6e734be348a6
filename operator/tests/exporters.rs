//! Exporters beside the servers of stores: off by default, with a login of their own, and found by Prometheus in one way.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use learningplatform_operator::{
    capabilities::Served,
    context::Settings,
    kinds::{Kind, ObjectId},
    reconcile,
    tiers::{
        Children, Tier,
        cache::{self, Caches},
        database::{self, Databases},
    },
    validate::{ValidPlatform, validate},
};
use serde_json::{Value, json};

const NO_MONITORS: Served = Served { pod_monitor: false, ..Served::ALL };

fn platform(cache: &Value, database: &Value) -> ValidPlatform {
    let mut spec = json!({
        "caches": [{"name": "cache", "inCluster": {"shards": 3}}],
        "databases": [{"name": "main", "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 1}}],
    });
    spec["caches"][0]["inCluster"]["exporter"] = cache.clone();
    spec["databases"][0]["inCluster"]["exporter"] = database.clone();
    let resource: LearningPlatform = serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "school"}, "spec": spec,
    }))
    .unwrap();
    validate(&resource, &Settings::default()).unwrap()
}

/// The objects as JSON, by kind and name.
fn objects(lp: &ValidPlatform, served: Served) -> Vec<(ObjectId, Value)> {
    let steps = reconcile::render(lp, served).into_iter();
    steps.map(|step| (ObjectId::of(&step.object).unwrap(), serde_json::to_value(step.object).unwrap())).collect()
}

fn find<'a>(objects: &'a [(ObjectId, Value)], kind: Kind, name: &str) -> &'a Value {
    let found = objects.iter().find(|(id, _)| id.kind == kind && id.name == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name}")).1
}

fn templates(objects: &[(ObjectId, Value)]) -> Vec<&Value> {
    objects.iter().filter(|(id, _)| id.kind == Kind::StatefulSet).map(|(_, set)| &set["spec"]["template"]).collect()
}

fn exporter(template: &Value) -> Option<&Value> {
    template["spec"]["containers"].as_array()?.iter().find(|container| container["name"] == "exporter")
}

fn variable<'a>(container: &'a Value, name: &str) -> &'a Value {
    let found = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {container}"))
}

#[test]
fn without_a_word_there_is_none() {
    let objects = objects(&platform(&Value::Null, &Value::Null), Served::ALL);
    let text = serde_json::to_string(&objects.iter().map(|(_, object)| object).collect::<Vec<_>>()).unwrap();
    for trace in ["\"exporter\"", "monitorPassword", "monitorVerifier", "monitor.verifier\",", "9121", "9187"] {
        assert!(!text.contains(trace), "{trace}");
    }
    assert!(!objects.iter().any(|(id, _)| id.kind == Kind::PodMonitor));
}

#[test]
fn each_server_has_one_that_logs_in_with_a_password_of_its_own() {
    let spec = json!({"resources": {"limits": {"memory": "64Mi"}}});
    let found = objects(&platform(&spec, &spec), Served::ALL);
    let all = templates(&found);
    assert_eq!(all.len(), 5, "three shards, a primary and replicas");
    for template in &all {
        let container = exporter(template).expect("an exporter");
        assert_eq!(template["spec"]["containers"][0]["name"], "server", "the server stays the first");
        assert_eq!(container["resources"]["limits"]["memory"], "64Mi");
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert!(container["args"].is_null() && container["command"].is_null(), "nothing in argv");
        assert!(container["volumeMounts"].is_null(), "neither data nor sockets nor other passwords");
    }

    let cache = exporter(&find(&found, Kind::StatefulSet, "story-cache-s0")["spec"]["template"]).unwrap();
    assert_eq!(variable(cache, "REDIS_USER")["value"], "lp_monitor");
    assert_eq!(variable(cache, "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT")["value"], "true");
    let secret = json!({"name": "story-cache-auth", "key": "monitorPassword"});
    assert_eq!(variable(cache, "REDIS_PASSWORD")["valueFrom"]["secretKeyRef"], secret);
    assert_eq!(cache["ports"], json!([{"name": "metrics", "containerPort": 9121, "protocol": "TCP"}]));

    for set in ["story-main-pg", "story-main-pg-ro"] {
        let database = exporter(&find(&found, Kind::StatefulSet, set)["spec"]["template"]).unwrap();
        assert_eq!(variable(database, "DATA_SOURCE_USER")["value"], "lp_monitor");
        assert_eq!(variable(database, "DATA_SOURCE_URI")["value"], "localhost:5432/postgres?sslmode=disable");
        let secret = json!({"name": "story-main-auth", "key": "monitorPassword"});
        assert_eq!(variable(database, "DATA_SOURCE_PASS")["valueFrom"]["secretKeyRef"], secret);
        assert_eq!(database["ports"][0]["containerPort"], 9187);
    }
    // The primary's pod makes the role; a replica has it with the rest.
    let files = |set: &str| find(&found, Kind::StatefulSet, set)["spec"]["template"]["spec"]["volumes"].to_string();
    assert!(files("story-main-pg").contains("monitor.verifier"));
    assert!(!files("story-main-pg-ro").contains("monitor"));

    for (policy, port) in [("story-cache", 9121), ("story-main", 9187)] {
        let ingress = find(&found, Kind::NetworkPolicy, policy)["spec"]["ingress"].as_array().unwrap().clone();
        let rule = json!({"ports": [{"protocol": "TCP", "port": port}]});
        assert!(ingress.contains(&rule), "{ingress:?}");
        assert!(ingress.iter().filter(|rule| rule["from"].is_null()).count() == 1, "nothing else is open to all");
    }
}

#[test]
fn prometheus_is_told_in_one_way() {
    let annotated =
        |template: &Value| template["metadata"]["annotations"]["prometheus.io/port"].as_str().map(str::to_owned);
    for (discovery, served, wanted) in [
        (None, Served::ALL, "monitors"),
        (None, NO_MONITORS, "annotations"),
        (Some("PodMonitor"), Served::ALL, "monitors"),
        (Some("PodMonitor"), NO_MONITORS, "neither"),
        (Some("Annotations"), Served::ALL, "annotations"),
    ] {
        let spec = json!({"discovery": discovery, "monitorLabels": {"release": "kps"}});
        let found = objects(&platform(&spec, &spec), served);
        let monitors: Vec<&Value> =
            found.iter().filter(|(id, _)| id.kind == Kind::PodMonitor).map(|(_, object)| object).collect();
        assert_eq!(monitors.len(), if wanted == "monitors" { 2 } else { 0 }, "{discovery:?} {served:?}");
        for monitor in monitors {
            assert_eq!(monitor["metadata"]["labels"]["release"], "kps");
            let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
            let name = monitor["metadata"]["name"].as_str().unwrap();
            let sets = found.iter().filter(|(id, _)| id.kind == Kind::StatefulSet && id.name.starts_with(name));
            for (_, set) in sets {
                let labels = set["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
                assert!(selector.iter().all(|(label, value)| labels.get(label) == Some(value)), "{name}");
            }
        }
        let ports: Vec<_> = templates(&found).into_iter().filter_map(annotated).collect();
        let all = ["9121", "9121", "9121", "9187", "9187"];
        assert_eq!(ports, if wanted == "annotations" { all.to_vec() } else { vec![] }, "{discovery:?} {served:?}");
    }
}

#[test]
fn an_api_that_appears_restarts_no_server() {
    let lp = platform(&json!({}), &json!({}));
    let live = |served: Served| {
        let steps = reconcile::render(&lp, served).into_iter();
        Children(steps.map(|step| (ObjectId::of(&step.object).unwrap(), step.object)).collect())
    };
    for (before, after) in [(NO_MONITORS, Served::ALL), (Served::ALL, NO_MONITORS)] {
        let children = live(before);
        let caches = cache::Observed { served: after, ..cache::offline(&lp) };
        let databases = database::Observed { served: after, ..database::offline(&lp) };
        let mut plan = Caches.plan(&lp, &caches, &children);
        plan.extend(Databases.plan(&lp, &databases, &children));
        let sets: Vec<_> = plan.into_iter().filter(|step| Kind::of(&step.object) == Some(Kind::StatefulSet)).collect();
        assert_eq!(sets.len(), 5);
        for step in sets {
            let id = ObjectId::of(&step.object).unwrap();
            assert_eq!(step.object.data["spec"]["template"], children.0[&id].data["spec"]["template"], "{id}");
        }
    }
}
