//! Server-side apply on JSON: enough of it for the objects the operator makes, with `managedFields`.

use serde_json::{Map, Value, json};

/// What keys the items of a list; None for a list that is one value.
fn keys(kind: &str, path: &[String]) -> Option<&'static [&'static str]> {
    let last = path.last().map(String::as_str).unwrap_or_default();
    match (kind, last) {
        (_, "ownerReferences") => Some(&["uid"]),
        (_, "conditions") => Some(&["type"]),
        ("LearningPlatform", "apps") => Some(&["name"]),
        ("Service", "ports") => Some(&["port", "protocol"]),
        ("Deployment" | "Job" | "CronJob", last) => match last {
            "ports" => Some(&["containerPort", "protocol"]),
            "containers" | "env" | "volumes" | "imagePullSecrets" => Some(&["name"]),
            "volumeMounts" => Some(&["mountPath"]),
            "topologySpreadConstraints" => Some(&["topologyKey", "whenUnsatisfiable"]),
            _ => None,
        },
        _ => None,
    }
}

/// Maps that the API's types declare to be one value.
fn is_atomic(path: &[String]) -> bool {
    matches!(path.last().map(String::as_str), Some("selector" | "labelSelector" | "nodeSelector" | "secretKeyRef"))
}

fn key_of(keys: &[&str], item: &Value) -> String {
    let fields: Map<String, Value> = keys.iter().map(|k| ((*k).to_owned(), item[*k].clone())).collect();
    format!("k:{}", Value::Object(fields))
}

/// The set of fields that an applied configuration owns.
pub fn field_set(kind: &str, applied: &Value) -> Value {
    let mut body = applied.clone();
    if let Some(root) = body.as_object_mut() {
        root.remove("apiVersion");
        root.remove("kind");
    }
    if let Some(meta) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        for bookkeeping in ["name", "namespace", "uid"] {
            meta.remove(bookkeeping);
        }
        if meta.is_empty() {
            body.as_object_mut().unwrap().remove("metadata");
        }
    }
    set_of(kind, &body, &mut Vec::new())
}

fn set_of(kind: &str, value: &Value, path: &mut Vec<String>) -> Value {
    let mut set = Map::new();
    match value {
        Value::Object(fields) if !is_atomic(path) => {
            for (name, inner) in fields {
                path.push(name.clone());
                set.insert(format!("f:{name}"), set_of(kind, inner, path));
                path.pop();
            }
        }
        Value::Array(items) => {
            if let Some(keys) = keys(kind, path) {
                for item in items {
                    let mut inner = match keys {
                        ["uid"] => Map::new(),
                        _ => {
                            path.push(String::new());
                            let set = set_of(kind, item, path);
                            path.pop();
                            set.as_object().cloned().unwrap_or_default()
                        }
                    };
                    if !inner.is_empty() {
                        inner.insert(".".to_owned(), json!({}));
                    }
                    set.insert(key_of(keys, item), Value::Object(inner));
                }
            }
        }
        _ => {}
    }
    Value::Object(set)
}

/// Forced apply of `applied` by `manager` onto `live`; the version and the generation are the caller's.
pub fn apply(kind: &str, live: &Value, applied: &Value, manager: &str, subresource: &str) -> Value {
    let mut object = live.clone();
    let mut entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mine = |e: &Value| e["manager"] == manager && e["operation"] == "Apply";
    let before = entries.iter().find(|e| mine(e)).map(|e| e["fieldsV1"].clone()).unwrap_or_else(|| json!({}));
    entries.retain(|e| !mine(e));
    let after = field_set(kind, applied);
    let others: Vec<&Value> = entries.iter().map(|e| &e["fieldsV1"]).collect();
    drop_unwanted(kind, &mut object, &before, &after, &others, &mut Vec::new());
    merge(kind, &mut object, applied, &mut Vec::new());
    // A forced apply takes fields whose value it changed from their owners; one that agrees shares them.
    for entry in &mut entries {
        let fields = entry["fieldsV1"].clone();
        entry["fieldsV1"] = without_changed(kind, &fields, live, &object, &mut Vec::new());
    }
    entries.retain(|e| e["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    entries.push(json!({
        "manager": manager, "operation": "Apply", "apiVersion": applied["apiVersion"], "fieldsType": "FieldsV1",
        "fieldsV1": after, "subresource": subresource,
    }));
    object["metadata"]["managedFields"] = json!(entries);
    object
}

/// An update of single fields by somebody else: they become theirs.
pub fn update(kind: &str, live: &Value, updated: &Value, manager: &str) -> Value {
    let mut object = updated.clone();
    let mut entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut taken = json!({});
    collect_changed(live, updated, &mut taken, &mut Vec::new());
    for entry in &mut entries {
        let fields = entry["fieldsV1"].clone();
        entry["fieldsV1"] = without_changed(kind, &fields, live, updated, &mut Vec::new());
    }
    entries.retain(|e| e["fieldsV1"].as_object().is_some_and(|f| !f.is_empty()));
    entries.push(json!({
        "manager": manager, "operation": "Update", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": taken,
    }));
    object["metadata"]["managedFields"] = json!(entries);
    object
}

/// Removes what `before` owned, `after` no longer does, and nobody else owns either.
fn drop_unwanted(
    kind: &str,
    object: &mut Value,
    before: &Value,
    after: &Value,
    others: &[&Value],
    path: &mut Vec<String>,
) {
    for (name, inner) in before.as_object().into_iter().flatten() {
        let kept = after.get(name);
        let theirs: Vec<&Value> = others.iter().filter_map(|o| o.get(name)).collect();
        let leaf = inner.as_object().is_none_or(Map::is_empty);
        if let Some(field) = name.strip_prefix("f:") {
            if kept.is_none() && (leaf || theirs.is_empty()) {
                if theirs.is_empty()
                    && let Some(fields) = object.as_object_mut()
                {
                    fields.remove(field);
                }
            } else if let Some(value) = object.get_mut(field) {
                path.push(field.to_owned());
                drop_unwanted(kind, value, inner, kept.unwrap_or(&Value::Null), &theirs, path);
                path.pop();
            }
        } else if name.starts_with("k:")
            && let (Some(keys), Some(items)) = (keys(kind, path), object.as_array_mut())
        {
            if kept.is_none() && theirs.is_empty() {
                items.retain(|item| key_of(keys, item) != *name);
            } else if let Some(item) = items.iter_mut().find(|item| key_of(keys, item) == *name) {
                path.push(String::new());
                drop_unwanted(kind, item, inner, kept.unwrap_or(&Value::Null), &theirs, path);
                path.pop();
            }
        }
    }
}

fn merge(kind: &str, object: &mut Value, applied: &Value, path: &mut Vec<String>) {
    match (object, applied) {
        (Value::Object(object), Value::Object(applied)) if !is_atomic(path) => {
            for (name, value) in applied {
                path.push(name.clone());
                merge(kind, object.entry(name.clone()).or_insert(Value::Null), value, path);
                path.pop();
            }
        }
        (Value::Array(object), Value::Array(applied)) if keys(kind, path).is_some() => {
            let keys = keys(kind, path).unwrap();
            for item in applied {
                let key = key_of(keys, item);
                path.push(String::new());
                match object.iter_mut().find(|o| key_of(keys, o) == key) {
                    Some(present) => merge(kind, present, item, path),
                    None => object.push(item.clone()),
                }
                path.pop();
            }
        }
        (object, applied) => *object = applied.clone(),
    }
}

/// A field set without the fields whose value differs between two objects.
fn without_changed(kind: &str, set: &Value, before: &Value, after: &Value, path: &mut Vec<String>) -> Value {
    let mut kept = Map::new();
    for (name, inner) in set.as_object().into_iter().flatten() {
        let leaf = inner.as_object().is_none_or(Map::is_empty);
        let (old, new, step) = if let Some(field) = name.strip_prefix("f:") {
            (before.get(field), after.get(field), field.to_owned())
        } else if name.starts_with("k:")
            && let Some(keys) = keys(kind, path)
        {
            let find = |v: &Value| v.as_array().and_then(|i| i.iter().position(|i| key_of(keys, i) == *name));
            let old = find(before).and_then(|i| before.get(i));
            (old, find(after).and_then(|i| after.get(i)), String::new())
        } else {
            kept.insert(name.clone(), inner.clone());
            continue;
        };
        if leaf {
            if old == new {
                kept.insert(name.clone(), inner.clone());
            }
        } else if let Some(new) = new {
            path.push(step);
            let rest = without_changed(kind, inner, old.unwrap_or(&Value::Null), new, path);
            path.pop();
            if rest.as_object().is_some_and(|r| !r.is_empty()) {
                kept.insert(name.clone(), rest);
            }
        }
    }
    Value::Object(kept)
}

/// The set of the leaves that are new or changed.
fn collect_changed(before: &Value, after: &Value, set: &mut Value, path: &mut Vec<String>) {
    for (name, value) in after.as_object().into_iter().flatten() {
        if path.is_empty() && name == "metadata" || before.get(name) == Some(value) {
            continue;
        }
        let mut inner = json!({});
        if value.is_object() && !is_atomic(path) {
            path.push(name.clone());
            collect_changed(before.get(name).unwrap_or(&Value::Null), value, &mut inner, path);
            path.pop();
        }
        set[format!("f:{name}")] = inner;
    }
}
