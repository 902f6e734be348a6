//! The real API server enforces every rule of the CRD, those of changes included, and accepts every example.

use crate::examples::{all_rules, bad, good, with, without_indices};
use crds::LearningPlatform;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use learningplatform_tests::harness::TestNamespace;
use serde_json::{Value, json};
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

/// The rules that compare with what was there before, by their messages.
fn transitions(schema: &Value, found: &mut BTreeSet<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if rule["rule"].as_str().is_some_and(|text| text.contains("oldSelf")) {
            found.insert(rule["message"].as_str().expect("a message").to_owned());
        }
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|inner| transitions(inner, found)),
        Value::Array(items) => items.iter().for_each(|inner| transitions(inner, found)),
        _ => {}
    }
}

#[tokio::test]
async fn changes_that_would_cost_data_are_refused_and_their_neighbours_are_not() {
    let cache = |fields: Value| json!({"caches": [{"name": "cache", "inCluster": fields}]});
    let server = |provider: &str, fields: Value| {
        let mut spec = json!({"volume": {"storage": "2Gi"}});
        for (field, value) in fields.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        json!({"databases": [{"name": "main", provider: spec}]})
    };
    let database = |fields: Value| server("inCluster", fields);
    let delegated = |fields: Value| server("cloudNativePG", fields);
    let at_aws = |region: &str, fields: Value| {
        let mut rds = json!({
            "instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "17",
            "authorities": {"name": "rds", "key": "ca.crt"},
        });
        for (field, value) in fields.as_object().expect("an object") {
            rds[field] = value.clone();
        }
        json!({"aws": {"region": region}, "databases": [{"name": "main", "rds": rds}]})
    };
    let at_rds = |fields: Value| at_aws("eu-central-1", fields);
    let at_elasticache = |fields: Value| {
        let mut cache = json!({"engineVersion": "8.0", "nodeType": "cache.t4g.small"});
        for (field, value) in fields.as_object().expect("an object") {
            cache[field] = value.clone();
        }
        json!({"aws": {"region": "eu-central-1"}, "caches": [{"name": "cache", "elastiCache": cache}]})
    };
    let volume = |storage: &str| json!({"volume": {"storage": storage}});
    let class = |name: &str| json!({"volume": {"storage": "2Gi", "storageClass": name}});
    let secret = |name: &str| json!({"tls": {"secret": {"name": name}}});
    let external = json!({"databases": [{"name": "main", "external": {
        "address": "pg", "database": "main", "secret": {"name": "pg"},
    }}]});
    let attached = |id: &str| {
        json!({"aws": {"region": "eu-central-1"}, "cdns": [{"name": "edge", "cloudFront": {
            "distributionId": id, "origins": [{"name": "web", "domain": "web.example"}],
            "behaviors": [{"path": "/a", "origin": "web", "cachePolicy": {"managed": "CachingDisabled"}}],
        }}]})
    };
    let none = json!({});
    let generated = json!({"tls": {"generated": {}}});
    let open = json!({"tls": {"generated": {}, "allowPlaintext": true}});
    // Before, after, and what the refusal says; None where the change is accepted.
    let table: Vec<(Value, Value, Option<&str>)> = vec![
        (cache(none.clone()), cache(json!({"mode": "Cluster"})), None),
        (cache(none.clone()), cache(json!({"mode": "Single"})), Some("inCluster.mode cannot be changed")),
        (cache(json!({"mode": "Single"})), cache(none.clone()), Some("inCluster.mode cannot be changed")),
        (cache(none.clone()), cache(json!({"shards": 5, "replicasPerShard": 2})), None),
        (cache(none.clone()), cache(generated.clone()), Some("inCluster.tls cannot be added or taken away")),
        (cache(generated.clone()), cache(none.clone()), Some("inCluster.tls cannot be added or taken away")),
        (cache(generated.clone()), cache(secret("mine")), Some("where the certificates come from cannot be changed")),
        (cache(volume("2Gi")), cache(volume("1Gi")), Some("volume.storage must not be lowered")),
        (cache(volume("2Gi")), cache(volume("2048Mi")), None),
        (cache(volume("2Gi")), cache(volume("2047Mi")), Some("volume.storage must not be lowered")),
        (cache(volume("2Gi")), cache(volume("3Gi")), None),
        (database(none.clone()), database(volume("1Gi")), Some("volume.storage must not be lowered")),
        (database(none.clone()), database(volume("20Gi")), None),
        (database(none.clone()), database(class("fast")), Some("volume.storageClass cannot be changed")),
        (database(class("fast")), database(class("slow")), Some("volume.storageClass cannot be changed")),
        (database(class("fast")), database(none.clone()), Some("volume.storageClass cannot be changed")),
        (database(none.clone()), database(json!({"shards": 2})), Some("inCluster.shards cannot be changed")),
        (database(json!({"shards": 2})), database(json!({"shards": 3})), Some("inCluster.shards cannot be changed")),
        (database(json!({"shards": 2})), database(none.clone()), Some("inCluster.shards cannot be changed")),
        (database(none.clone()), database(json!({"readReplicas": 2, "durability": "Required"})), None),
        (database(none.clone()), database(generated.clone()), None),
        (database(generated.clone()), database(open.clone()), None),
        (database(open), database(none.clone()), Some("inCluster.tls cannot be taken away again")),
        (
            database(secret("mine")),
            database(secret("other")),
            Some("where the certificates come from cannot be changed"),
        ),
        (delegated(none.clone()), delegated(json!({"database": "app"})), None),
        (
            delegated(none.clone()),
            delegated(json!({"database": "school"})),
            Some("cloudNativePG.database cannot be changed"),
        ),
        (delegated(none.clone()), delegated(volume("1Gi")), Some("volume.storage must not be lowered")),
        (
            at_rds(none.clone()),
            at_rds(json!({"allocatedStorage": 19})),
            Some("rds.allocatedStorage must not be lowered"),
        ),
        (at_rds(none.clone()), at_rds(json!({"allocatedStorage": 21, "engineVersion": "18"})), None),
        (at_rds(none.clone()), at_rds(json!({"database": "school"})), Some("rds.database cannot be changed")),
        (at_rds(none.clone()), at_aws("eu-west-1", none.clone()), Some("aws.region cannot be changed")),
        (at_elasticache(none.clone()), at_elasticache(json!({"clusterMode": true, "shards": 3})), None),
        (
            at_elasticache(none.clone()),
            at_elasticache(json!({"clusterMode": false})),
            Some("elastiCache.clusterMode cannot be changed"),
        ),
        (
            at_elasticache(none.clone()),
            at_elasticache(json!({"transitEncryption": false})),
            Some("elastiCache.transitEncryption cannot be changed"),
        ),
        (
            at_elasticache(none.clone()),
            at_elasticache(json!({"user": {"name": "app"}})),
            Some("elastiCache.user cannot be added or taken away"),
        ),
        (at_elasticache(json!({"engine": "redis"})), at_elasticache(none.clone()), None),
        (
            at_elasticache(none.clone()),
            at_elasticache(json!({"engine": "redis"})),
            Some("redis can become valkey, and AWS never takes that back"),
        ),
        (attached("E2QWRUHAPOMQZL"), attached("E2QWRUHAPOMQZM"), Some("cloudFront.distributionId cannot be changed")),
        // Another provider, or none: no rule's matter. What becomes of the data is told by DataWouldBeLeftBehind.
        (database(none.clone()), delegated(volume("1Gi")), None),
        (database(none.clone()), external, None),
        (database(none.clone()), json!({"abandonData": ["main"]}), None),
    ];
    let ns = TestNamespace::create("transitions").await;
    let platforms = ns.api::<LearningPlatform>();
    let mut unused = BTreeSet::new();
    transitions(&serde_json::to_value(crds::crd()).expect("JSON"), &mut unused);
    assert!(unused.len() >= 8, "{unused:#?}");
    for (index, (before, after, expected)) in table.into_iter().enumerate() {
        let name = format!("p{index}");
        // Nothing acts on it: no operator watches this namespace.
        ns.apply(&name, before.clone()).await;
        let wanted = json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": name}, "spec": after,
        });
        let dry = PatchParams { dry_run: true, ..PatchParams::apply("test").force() };
        let said = match platforms.patch(&name, &dry, &Patch::Apply(&wanted)).await {
            Ok(_) => Vec::new(),
            Err(kube::Error::Api(status)) => {
                status.details.map(|d| d.causes).unwrap_or_default().into_iter().map(|c| c.message).collect::<Vec<_>>()
            }
            Err(other) => panic!("the API server cannot be asked: {other}"),
        };
        match expected {
            None => assert_eq!(said, [""; 0], "{before} to {after}"),
            Some(part) => {
                assert!(said.iter().any(|message| message.contains(part)), "{before} to {after}: {said:#?}");
                assert_eq!(said.len(), 1, "{before} to {after}: {said:#?}");
            }
        }
        unused.retain(|rule| !said.iter().any(|message| message.contains(rule.as_str())));
    }
    assert!(unused.is_empty(), "no change hits: {unused:#?}");
    ns.delete().await;
}
