//! Golden files: every object of every example. A change of a pod template here restarts the pods of every platform at an
//! upgrade of the operator, so it is never made in passing.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

use crds::LearningPlatform;
use learningplatform_operator::{capabilities::Served, context::Settings, reconcile, validate::validate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

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
            let templates = |served| -> Vec<Value> {
                let objects = rendered(&platform, served).into_iter();
                objects.map(|o| o["object"]["spec"]["template"].clone()).filter(|t| !t.is_null()).collect()
            };
            assert_eq!(templates(Served::ALL), templates(Served::default()), "{}", file.display());
        }
    }
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
