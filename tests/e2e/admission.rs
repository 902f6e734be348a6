//! The real API server enforces every rule of the CRD, and accepts every example.

use crate::examples::{all_rules, bad, good, with, without_indices};
use crds::LearningPlatform;
use kube::{Api, api::PostParams};
use learningplatform_tests::harness::TestNamespace;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..Default::default() }
}

/// Creates a platform by dry run; the refusal as `(path, message)` of each cause.
async fn refusals(api: &Api<kube::core::DynamicObject>, mut platform: Value, namespace: &str) -> Vec<(String, String)> {
    platform["metadata"]["namespace"] = Value::from(namespace);
    let object = serde_json::from_value(platform).expect("an object");
    match api.create(&dry_run(), &object).await {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(status)) => {
            let causes = status.details.map(|d| d.causes).unwrap_or_default();
            // Go's word for no field: the rule stands at the root.
            causes.into_iter().map(|c| (c.field.replace("<nil>", ""), c.message)).collect()
        }
        Err(other) => panic!("the API server cannot be asked: {other}"),
    }
}

#[tokio::test]
async fn every_rule_is_enforced_by_the_api_server_and_names_field_and_remedy() {
    let namespace = TestNamespace::create("rules").await;
    let resource = kube::core::ApiResource::erase::<LearningPlatform>(&());
    let api = Api::namespaced_with(namespace.client.clone(), &namespace.name, &resource);
    assert_eq!(refusals(&api, good(), &namespace.name).await, []);
    let mut missing: BTreeSet<(String, String)> = all_rules(&serde_json::to_value(crds::crd()).expect("JSON"));
    for (changes, named) in bad() {
        let borrowed: Vec<_> = changes.iter().map(|(p, v)| (p.as_str(), v.clone())).collect();
        let refused = refusals(&api, with(&borrowed), &namespace.name).await;
        assert!(refused.iter().any(|(_, m)| m.contains(named)), "{changes:?}: no cause names {named:?}: {refused:#?}");
        missing.retain(|(path, message)| {
            !refused.iter().any(|(field, said)| without_indices(field) == *path && said.contains(message))
        });
    }
    assert!(missing.is_empty(), "no bad example hits: {missing:#?}");
    namespace.delete().await;
}

#[tokio::test]
async fn every_example_is_accepted() {
    let namespace = TestNamespace::create("examples").await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for folder in [examples.clone(), examples.join("features")] {
        for file in std::fs::read_dir(folder).expect("examples").flatten() {
            if file.path().extension().is_none_or(|e| e != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(file.path()).expect("a readable example");
            for mut platform in lpctl::manifests::platforms(&text).expect("YAML") {
                platform.metadata.namespace = Some(namespace.name.clone());
                let api = namespace.api::<LearningPlatform>();
                let answer = api.create(&dry_run(), &platform).await;
                assert!(answer.is_ok(), "{}: {answer:?}", file.path().display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "only {seen} examples were found");
    namespace.delete().await;
}
