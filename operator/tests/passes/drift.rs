//! What is changed by hand comes back, what is no longer wanted goes, what belongs to somebody else stays.

use crate::world::*;
use learningplatform_operator::naming::FieldManager;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every leaf of an object that one manager owns, as JSON pointers.
fn leaves(set: &Value, object: &Value, pointer: &str, found: &mut Vec<String>) {
    for (name, inner) in set.as_object().into_iter().flatten() {
        let step = if let Some(field) = name.strip_prefix("f:") {
            field.to_owned()
        } else if let Some(keys) = name.strip_prefix("k:") {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap();
            let items = object.as_array().unwrap();
            items.iter().position(|i| keys.iter().all(|(k, v)| i[k] == *v)).unwrap().to_string()
        } else {
            continue;
        };
        let escaped = step.replace('~', "~0").replace('/', "~1");
        let inside = format!("{pointer}/{escaped}");
        let value = if object.is_array() { &object[step.parse::<usize>().unwrap()] } else { &object[&step] };
        if inner.as_object().is_none_or(|i| i.keys().all(|k| k == ".")) {
            found.push(inside);
        } else {
            leaves(inner, value, &inside, found);
        }
    }
}

#[tokio::test]
async fn every_owned_leaf_changed_or_removed_by_hand_comes_back() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let settled = world.api.dump();
    let children: Vec<String> = settled.keys().filter(|p| p.contains("story-")).cloned().collect();
    assert!(children.len() >= 8, "{children:?}");
    let mut checked = 0;
    for path in children {
        let object = world.api.get(&path).unwrap();
        for entry in object["metadata"]["managedFields"].as_array().unwrap().clone() {
            // The number of pods is the HPA's once it has one.
            if entry["manager"] == FieldManager::Scale.as_str() && path == DEPLOYMENT {
                continue;
            }
            let mut pointers = Vec::new();
            leaves(&entry["fieldsV1"], &object, "", &mut pointers);
            for pointer in pointers {
                // Keys identify an item; ownership and selection of children are not a user's to edit.
                if [
                    "/ownerReferences",
                    "/name",
                    "/mountPath",
                    "/containerPort",
                    "/protocol",
                    "/topologyKey",
                    "/whenUnsatisfiable",
                    "/port",
                    "/managed-by",
                    "/instance",
                ]
                .iter()
                .any(|k| pointer.ends_with(k) || pointer.contains("/ownerReferences/"))
                {
                    continue;
                }
                // The bounds are the evaluation's, which is not running here.
                if path == HPA && pointer.ends_with("Replicas") {
                    continue;
                }
                // What was asked for as empty may be filled by others.
                if object.pointer(&pointer).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                    continue;
                }
                for remove in [false, true] {
                    world.api.edit(&path, |live| {
                        if remove {
                            let (parent, field) = pointer.rsplit_once('/').unwrap();
                            let field = field.replace("~1", "/");
                            if let Some(fields) = live.pointer_mut(parent).and_then(Value::as_object_mut) {
                                fields.remove(&field);
                            }
                        } else if let Some(leaf) = live.pointer_mut(&pointer) {
                            *leaf = match leaf {
                                Value::Bool(b) => json!(!*b),
                                Value::Number(n) => json!(n.as_i64().unwrap_or(0) + 7),
                                Value::String(s) => json!(format!("{s}x")),
                                _ => json!({ "changed": "x" }),
                            };
                        }
                    });
                    world.pass(&operator).await;
                    let live = world.api.get(&path).unwrap();
                    assert_eq!(live.pointer(&pointer), object.pointer(&pointer), "{path} {pointer} removed={remove}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked}");
    world.settle(&operator).await;
}

#[tokio::test]
async fn fields_that_a_new_spec_leaves_out_go() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut smaller = spec();
    let web = smaller["apps"][0].as_object_mut().unwrap();
    for field in ["env", "scratch", "health", "resources", "autoscaling"] {
        web.remove(field);
    }
    web.insert("replicas".to_owned(), json!(4));
    world.ask(smaller, json!({}));
    world.settle(&operator).await;
    let live = world.api.get(DEPLOYMENT).unwrap();
    let container = &live["spec"]["template"]["spec"]["containers"][0];
    for field in ["env", "volumeMounts", "readinessProbe", "resources"] {
        assert!(
            container[field].is_null() || container[field].as_array().is_some_and(Vec::is_empty),
            "{field}: {container}"
        );
    }
    assert_eq!(live["spec"]["replicas"], 4);
    assert_eq!(world.api.get(HPA), None, "the HPA goes with autoscaling");
}

#[tokio::test]
async fn a_renamed_app_takes_its_objects_along() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let mut renamed = spec();
    renamed["apps"][0]["name"] = json!("shop");
    world.ask(renamed, json!({}));
    world.settle(&operator).await;
    let left: Vec<String> = world.api.dump().into_keys().filter(|p| p.contains("story-web")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(world.api.get(&DEPLOYMENT.replace("web", "shop")).is_some());
}

#[tokio::test]
async fn an_object_of_somebody_else_is_never_taken_over() {
    let foreign = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "story-web", "namespace": "learning" },
        "spec": { "selector": { "app": "other" } },
    });
    let world = World::new(spec());
    world.api.put(SERVICE, foreign);
    let before = world.api.get(SERVICE);
    let operator = world.operator().await;
    assert_eq!(world.pass(&operator).await, Next::Soon, "it looks again soon");
    world.api.run_deployments();
    world.pass(&operator).await;
    assert_eq!(world.api.get(SERVICE), before);
    let condition = world.app_condition("web", "AppReady");
    assert_eq!(condition["reason"], "NameConflict", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("Service story-web"), "{condition}");
    assert_eq!(world.app_condition("worker", "AppReady")["status"], "True", "other apps are not held up");
    world.api.remove(SERVICE);
    world.settle(&operator).await;
    assert!(world.is_ready());
}

#[tokio::test]
async fn nothing_of_ours_scales_a_deployment_of_somebody_else() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert!(world.api.get(HPA).is_some());
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "story-web", "namespace": "learning", "labels": {}, "managedFields": [] },
        "spec": { "replicas": 7, "selector": { "matchLabels": { "app": "other" } } },
    });
    world.api.remove(DEPLOYMENT);
    world.api.put(DEPLOYMENT, foreign);
    let before = world.api.get(DEPLOYMENT);
    for _ in 0..3 {
        assert_eq!(world.pass(&operator).await, Next::Soon);
    }
    assert_eq!(world.api.get(DEPLOYMENT), before);
    assert_eq!(world.api.get(HPA), None, "ours goes, and none is made");
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "NameConflict");
    world.api.remove(DEPLOYMENT);
    world.settle(&operator).await;
    assert!(world.is_ready() && world.api.get(HPA).is_some());
}
