//! Reading `managedFields`: `f:name` is a field, `k:{..}` an item of a list by its keys, `v:..` an item by its value,
//! `.` the thing itself, and a leaf without children is owned as a whole.

use serde_json::{Map, Value};

/// How an item of a list is owned.
pub(super) enum Item {
    /// By these keys.
    Keyed(Map<String, Value>),
    /// By its value.
    Value,
}

/// The name of a field in the tree.
pub(super) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// How an item is called in a path.
pub(super) fn name_of(item: &Value) -> String {
    match item {
        Value::Object(fields) => ["name", "containerPort", "port", "mountPath", "topologyKey", "uid", "type", "ip"]
            .iter()
            .find_map(|key| fields.get(*key))
            .map_or_else(String::new, plain),
        other => plain(other),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The part of the tree that owns `item`, if any does.
pub(super) fn item<'a>(tree: &'a Value, item: &Value) -> Option<(Item, &'a Value)> {
    tree.as_object()?.iter().find_map(|(name, subtree)| {
        if let Some(keys) = name.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            return matches_keys(&keys, item).then_some((Item::Keyed(keys), subtree));
        }
        let value: Value = serde_json::from_str(name.strip_prefix("v:")?).ok()?;
        (value == *item).then_some((Item::Value, subtree))
    })
}

/// Whether an item has these keys; a key it leaves out has the server's default.
pub(super) fn matches_keys(keys: &Map<String, Value>, item: &Value) -> bool {
    keys.iter().all(|(name, value)| item.get(name).is_none_or(|present| present == value))
        && keys.keys().any(|name| item.get(name).is_some())
}

/// Calls `report` with the path of everything that `tree` owns and `wanted` lacks.
pub(super) fn unwanted(tree: &Value, wanted: &Value, path: &str, report: &mut impl FnMut(String)) {
    for (name, subtree) in tree.as_object().into_iter().flatten() {
        let (inner, present) = if let Some(name) = name.strip_prefix("f:") {
            (if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }, wanted.get(name))
        } else if let Some(keys) = name.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let items = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
            (
                format!("{path}[{}]", name_of(&Value::Object(keys.clone()))),
                items.iter().find(|i| matches_keys(&keys, i)),
            )
        } else if let Some(value) = name.strip_prefix("v:") {
            let value: Value = serde_json::from_str(value).unwrap_or_default();
            let items = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
            (format!("{path}[{}]", plain(&value)), items.iter().find(|i| **i == value))
        } else {
            continue;
        };
        match present {
            None => report(inner),
            Some(present) => unwanted(subtree, present, &inner, report),
        }
    }
}
