//! Golden files: every object of every example. A change of a pod template here restarts the pods of every platform at an
//! upgrade of the operator, so it is never made in passing.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use learningplatform_operator::{
    capabilities::Served,
    context::Settings,
    reconcile,
    tiers::app::{SeenApp, desired},
    validate::validate,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<PathBuf> = [root.clone(), root.join("features")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

/// The platforms of a file; an example may bring other objects along.
fn platforms(file: &Path) -> Vec<LearningPlatform> {
    let text = std::fs::read_to_string(file).unwrap();
    let documents = text.split("\n---").filter(|d| d.contains("kind: LearningPlatform"));
    documents.map(|d| serde_saphyr::from_str(d).unwrap_or_else(|e| panic!("{}: {e}", file.display()))).collect()
}

fn rendered(platform: &LearningPlatform, served: Served) -> Vec<Value> {
    let valid = validate(platform, &Settings::default()).unwrap();
    let steps = reconcile::render(&valid, served);
    steps.into_iter().map(|s| json!({ "manager": s.manager.as_str(), "object": s.object })).collect()
}

#[test]
fn every_object_of_every_example() {
    let files = examples();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let objects: Vec<Value> = platforms(&file).iter().flat_map(|p| rendered(p, Served::ALL)).collect();
        assert!(!objects.is_empty(), "{name}");
        insta::assert_json_snapshot!(format!("example_{name}"), objects);
    }
}

#[test]
fn an_api_that_appears_restarts_no_pod() {
    for file in examples() {
        for platform in platforms(&file) {
            for app in validate(&platform, &Settings::default()).unwrap().apps {
                let template = |annotations, served| -> Value {
                    let seen = SeenApp { annotations, ..SeenApp::default() };
                    desired(&app, &seen, served).into_iter().next().unwrap().object.data["spec"]["template"].clone()
                };
                let before = template(None, Served::default());
                let carried = before["metadata"]["annotations"].as_object().into_iter().flatten();
                let carried = carried.map(|(name, _)| name.clone()).collect();
                assert_eq!(template(Some(carried), Served::ALL), before, "{}", file.display());
            }
        }
    }
}

/// Fields of Kubernetes' own types: what stands below them is not ours to show.
const KUBERNETES_OWN: [&str; 12] = [
    "behavior",
    "constraints[]",
    "env[]",
    "envFrom[]",
    "imagePullSecrets[]",
    "lifecycle",
    "liveness",
    "metrics[]",
    "readiness",
    "seccompProfile",
    "startup",
    "tolerations[]",
];

/// Fields of a source, which are the same in every signal.
const SOURCE: [&str; 10] =
    ["absentMeans", "freshness", "histogram", "labels", "measuredAt", "metric", "preset", "query", "server", "unit"];

/// A field of an app as it is counted.
fn counted(path: &str, name: &str) -> String {
    let path = if path.contains(".autoscaling.") && SOURCE.contains(&name) { "source" } else { path };
    format!("{path}.{name}")
}

/// The fields of a schema.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(counted(path, name));
        let (inner, name) =
            if inner["items"].is_object() { (&inner["items"], &format!("{name}[]")) } else { (inner, name) };
        if !KUBERNETES_OWN.contains(&name.as_str()) {
            fields(inner, &format!("{path}.{name}"), found);
        }
    }
}

/// The fields that a value sets.
fn set(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        found.insert(counted(path, name));
        match inner {
            Value::Array(items) => items.iter().for_each(|item| set(item, &format!("{path}.{name}[]"), found)),
            inner => set(inner, &format!("{path}.{name}"), found),
        }
    }
}

#[test]
fn the_example_of_everything_sets_every_field_of_an_app() {
    let crd = serde_json::to_value(crds::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/apps/items";
    let mut missing = BTreeSet::new();
    fields(crd.pointer(schema).unwrap(), "app", &mut missing);
    assert!(missing.len() > 130, "the walk found only {} fields", missing.len());
    let mut shown = BTreeSet::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/features/everything.yaml");
    for app in platforms(&file).into_iter().flat_map(|platform| platform.spec.apps) {
        set(&serde_json::to_value(app).unwrap(), "app", &mut shown);
    }
    missing.retain(|field| !shown.contains(field));
    assert!(missing.is_empty(), "{} does not set {missing:#?}", file.display());
}

#[test]
fn selectors_are_among_the_labels_of_the_pods_always() {
    for file in examples() {
        for platform in platforms(&file) {
            for object in rendered(&platform, Served::ALL) {
                let spec = &object["object"]["spec"];
                let Some(selector) =
                    spec["selector"]["matchLabels"].as_object().filter(|_| !spec["template"].is_null())
                else {
                    continue;
                };
                for (name, value) in selector {
                    assert_eq!(spec["template"]["metadata"]["labels"][name], *value, "{}", file.display());
                }
            }
        }
    }
}
