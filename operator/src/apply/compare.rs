//! Whether applying an object would change it: pure, on JSON.

use super::{fields, quantity::nanos};
use crate::naming::FieldManager;
use serde_json::{Map, Value};

/// A place where an object is not as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path, as `spec.template.spec.containers[web].image`.
    pub path: String,
    /// What it is like.
    pub what: What,
}

/// How a place is not as wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is missing, or has another value.
    Differs,
    /// It has the value, but the manager does not own it.
    NotOwned,
    /// The manager owns it and no longer wants it.
    NoLongerWanted,
}

/// Where applying `wanted` as `manager` would change `live`: values that differ, fields the manager would come to own,
/// and fields it owns that are no longer wanted. Fields that only the live object has (defaults, others' fields) count
/// for nothing.
pub fn differences(wanted: &Value, live: &Value, manager: FieldManager) -> Vec<Difference> {
    let mut found = Vec::new();
    let owned = owned_fields(wanted, live, manager);
    let empty = Value::Object(Map::new());
    let tree = owned.unwrap_or(&empty);
    let Some(root) = wanted.as_object() else { return found };
    for (field, value) in root {
        match field.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => compare_metadata(value, &live["metadata"], &tree["f:metadata"], &mut found),
            _ => {
                let place = Place::ROOT.inner(field);
                compare(field, place, value, live.get(field), tree.get(fields::field(field)), &mut found);
            }
        }
    }
    if let Some(tree) = owned {
        fields::unwanted(tree, wanted, "", &mut |path| {
            found.push(Difference { path, what: What::NoLongerWanted });
        });
    }
    found
}

/// The `fieldsV1` of the manager's apply at the version of `wanted`.
fn owned_fields<'a>(wanted: &Value, live: &'a Value, manager: FieldManager) -> Option<&'a Value> {
    live["metadata"]["managedFields"]
        .as_array()?
        .iter()
        .find(|entry| {
            entry["manager"] == manager.as_str()
                && entry["operation"] == "Apply"
                && entry["apiVersion"] == wanted["apiVersion"]
                && entry.get("subresource").is_none_or(|s| s == "")
        })
        .map(|entry| &entry["fieldsV1"])
}

fn compare_metadata(wanted: &Value, live: &Value, tree: &Value, found: &mut Vec<Difference>) {
    for (field, value) in wanted.as_object().into_iter().flatten() {
        // The server tracks no ownership of what identifies the object.
        if !matches!(field.as_str(), "name" | "namespace") {
            let path = format!("metadata.{field}");
            let place = Place { parent: "metadata", name: field };
            compare(&path, place, value, live.get(field), tree.get(fields::field(field)), found);
        }
    }
}

/// Where a value stands: in which field of which field. Items of a list stand where the list does.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    const ROOT: Self = Self { parent: "", name: "" };

    fn inner(self, name: &'a str) -> Self {
        Self { parent: self.name, name }
    }

    /// Whether quantities stand there. By both names: an environment variable has a `value`, too, and a label any name.
    fn is_quantity(self) -> bool {
        matches!(
            (self.parent, self.name),
            ("requests" | "limits" | "overhead", _)
                | ("target", "value" | "averageValue")
                | ("scaleUp" | "scaleDown", "tolerance")
                | ("emptyDir", "sizeLimit")
                | ("resourceFieldRef", "divisor")
        )
    }
}

fn compare(
    path: &str,
    place: Place<'_>,
    wanted: &Value,
    live: Option<&Value>,
    tree: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let Some(live) = live else {
        // The server does not store the zero of a field whose default is zero, but it keeps the ownership; a field that
        // somebody took away loses it.
        if !(is_zero(wanted) && tree.is_some()) {
            found.push(Difference { path: path.to_owned(), what: What::Differs });
        }
        return;
    };
    let Some(tree) = tree else {
        let what = if same(place, wanted, live) { What::NotOwned } else { What::Differs };
        found.push(Difference { path: path.to_owned(), what });
        return;
    };
    let atomic = tree.as_object().is_none_or(Map::is_empty);
    match (wanted, live) {
        (Value::Object(fields), Value::Object(present)) => {
            for (name, value) in fields {
                let inner = format!("{path}.{name}");
                let subtree = if atomic { Some(tree) } else { tree.get(fields::field(name)) };
                compare(&inner, place.inner(name), value, present.get(name), subtree, found);
            }
        }
        (Value::Array(items), Value::Array(present)) if !atomic => {
            compare_list(path, place, items, present, tree, found);
        }
        _ if same(place, wanted, live) => {}
        _ => found.push(Difference { path: path.to_owned(), what: What::Differs }),
    }
}

/// A list whose items are owned one by one: by key (`k:`) or as a set of values (`v:`).
fn compare_list(
    path: &str,
    place: Place<'_>,
    wanted: &[Value],
    live: &[Value],
    tree: &Value,
    found: &mut Vec<Difference>,
) {
    let mut last = None;
    for item in wanted {
        let owned = fields::item(tree, item);
        let position = match &owned {
            Some((fields::Item::Keyed(keys), _)) => live.iter().position(|l| fields::matches_keys(keys, l)),
            _ => live.iter().position(|l| same(place, item, l)),
        };
        let inner = format!("{path}[{}]", fields::name_of(item));
        match (position, owned) {
            (None, _) => found.push(Difference { path: inner, what: What::Differs }),
            (Some(_), None) => found.push(Difference { path: inner, what: What::NotOwned }),
            (Some(at), Some((_, subtree))) => {
                if last.is_some_and(|last| at < last) {
                    found.push(Difference { path: inner.clone(), what: What::Differs });
                }
                last = Some(at);
                if item.is_object() {
                    compare(&inner, place, item, live.get(at), Some(subtree), found);
                }
            }
        }
    }
}

/// Whether `live` is what the server makes of `wanted`: the same, but for defaults and the spelling of quantities.
fn same(place: Place<'_>, wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(fields), Value::Object(present)) => fields.iter().all(|(name, value)| {
            present.get(name).map_or_else(|| is_zero(value), |live| same(place.inner(name), value, live))
        }),
        (Value::Array(items), Value::Array(present)) => {
            items.len() == present.len() && items.iter().zip(present).all(|(a, b)| same(place, a, b))
        }
        _ if wanted == live => true,
        _ => place.is_quantity() && nanos(wanted).is_some_and(|w| nanos(live) == Some(w)),
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The differences between a Deployment as wanted and as it is, with everything owned that `owned` says.
    fn found(wanted: Value, live: Value, owned: Value) -> Vec<(String, What)> {
        let wanted =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d" }, "spec": wanted });
        let live = json!({
            "metadata": { "name": "d", "managedFields": [{
                "manager": "learningplatform", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": { "f:spec": owned },
            }] },
            "spec": live,
        });
        differences(&wanted, &live, FieldManager::Main).into_iter().map(|d| (d.path, d.what)).collect()
    }

    fn one(path: &str, what: What) -> Vec<(String, What)> {
        vec![(path.to_owned(), what)]
    }

    #[test]
    fn defaults_of_the_server_and_fields_of_others_are_no_difference() {
        assert_eq!(found(json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), json!({ "f:a": {} })), []);
    }

    #[test]
    fn values_that_differ_are_missing_or_not_owned() {
        assert_eq!(found(json!({ "a": 1 }), json!({ "a": 2 }), json!({ "f:a": {} })), one("spec.a", What::Differs));
        assert_eq!(found(json!({ "a": 1 }), json!({}), json!({ "f:a": {} })), one("spec.a", What::Differs));
        assert_eq!(found(json!({ "a": 1 }), json!({ "a": 1 }), json!({ ".": {} })), one("spec.a", What::NotOwned));
        assert_eq!(found(json!({ "a": 1 }), json!({ "a": 2 }), json!({ ".": {} })), one("spec.a", What::Differs));
    }

    #[test]
    fn what_is_owned_and_no_longer_wanted_is_told() {
        let owned = json!({ "f:a": {}, "f:b": { "f:c": {} } });
        assert_eq!(
            found(json!({ "a": 1, "b": {} }), json!({ "a": 1, "b": { "c": 1 } }), owned),
            one("spec.b.c", What::NoLongerWanted)
        );
    }

    #[test]
    fn an_absent_zero_is_settled_only_while_it_is_owned() {
        for zero in [json!(0), json!(false), json!(""), json!({}), json!([])] {
            assert_eq!(found(json!({ "a": zero }), json!({}), json!({ "f:a": {} })), [], "{zero}");
            assert_eq!(
                found(json!({ "a": zero }), json!({}), json!({ ".": {} })),
                one("spec.a", What::Differs),
                "{zero}"
            );
        }
    }

    #[test]
    fn quantities_are_compared_by_value_where_quantities_stand() {
        let owned = json!({ "f:limits": { "f:memory": {} } });
        assert_eq!(
            found(json!({ "limits": { "memory": "2048Mi" } }), json!({ "limits": { "memory": "2Gi" } }), owned.clone()),
            []
        );
        assert_eq!(found(json!({ "limits": { "memory": 1 } }), json!({ "limits": { "memory": "1000m" } }), owned), []);
        let owned = json!({ "f:metrics": {} });
        let metrics = |target: Value| json!({ "metrics": [{ "type": "External", "external": { "target": target } }] });
        for field in ["value", "averageValue"] {
            let (wanted, live) = (metrics(json!({ field: "0.5" })), metrics(json!({ field: "500m" })));
            assert_eq!(found(wanted, live, owned.clone()), [], "{field}");
        }
    }

    #[test]
    fn what_only_looks_like_a_quantity_is_compared_as_it_is_written() {
        let env = json!({ "f:env": { "k:{\"name\":\"VERSION\"}": { ".": {}, "f:name": {}, "f:value": {} } } });
        for (wanted, live) in [("1.1", "1.10"), ("1.0", "1"), ("1024Mi", "1Gi")] {
            let of = |value: &str| json!({ "env": [{ "name": "VERSION", "value": value }] });
            assert_eq!(found(of(wanted), of(live), env.clone()), one("spec.env[VERSION].value", What::Differs));
            let of = |value: &str| json!({ "tolerations": [{ "key": "size", "value": value }] });
            let owned = json!({ "f:tolerations": {} });
            assert_eq!(found(of(wanted), of(live), owned), one("spec.tolerations", What::Differs));
            for name in ["v", "value", "storage", "limits", "tolerance"] {
                let of = |value: &str| json!({ "labels": { name: value } });
                let owned = json!({ "f:labels": { format!("f:{name}"): {} } });
                assert_eq!(found(of(wanted), of(live), owned), one(&format!("spec.labels.{name}"), What::Differs));
            }
        }
    }

    #[test]
    fn keyed_lists_are_compared_item_by_item_in_their_order() {
        let owned = json!({ "f:env": {
            "k:{\"name\":\"A\"}": { ".": {}, "f:name": {}, "f:value": {} },
            "k:{\"name\":\"B\"}": { ".": {}, "f:name": {}, "f:value": {} },
        } });
        let a = json!({ "name": "A", "value": "1" });
        let b = json!({ "name": "B", "value": "$(A)" });
        let foreign = json!({ "name": "C", "value": "3" });
        let wanted = json!({ "env": [a, b] });
        assert_eq!(found(wanted.clone(), json!({ "env": [foreign, a, b] }), owned.clone()), []);
        assert_eq!(found(wanted.clone(), json!({ "env": [b, a] }), owned.clone()), one("spec.env[B]", What::Differs));
        assert_eq!(found(wanted.clone(), json!({ "env": [a] }), owned.clone()), one("spec.env[B]", What::Differs));
        assert_eq!(
            found(json!({ "env": [a] }), json!({ "env": [a, b] }), owned),
            one("spec.env[B]", What::NoLongerWanted)
        );
    }

    #[test]
    fn an_item_may_leave_a_key_to_its_default() {
        let owned = json!({ "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } });
        let live = json!({ "ports": [{ "containerPort": 80, "protocol": "TCP" }] });
        assert_eq!(found(json!({ "ports": [{ "containerPort": 80 }] }), live, owned), []);
    }

    #[test]
    fn sets_of_values_are_compared_by_value() {
        let owned = json!({ "f:finalizers": { "v:\"a\"": {} } });
        assert_eq!(found(json!({ "finalizers": ["a"] }), json!({ "finalizers": ["b", "a"] }), owned.clone()), []);
        assert_eq!(
            found(json!({ "finalizers": ["c"] }), json!({ "finalizers": ["a"] }), owned),
            [("spec.finalizers[c]".to_owned(), What::Differs), ("spec.finalizers[a]".to_owned(), What::NoLongerWanted)]
        );
    }

    #[test]
    fn whole_lists_are_one_value_with_defaults_inside() {
        let owned = json!({ "f:rules": {} });
        let wanted = json!({ "rules": [{ "path": "/" }] });
        assert_eq!(found(wanted.clone(), json!({ "rules": [{ "path": "/", "weight": 1 }] }), owned.clone()), []);
        assert_eq!(
            found(wanted, json!({ "rules": [{ "path": "/" }, { "path": "/b" }] }), owned),
            one("spec.rules", What::Differs)
        );
    }

    #[test]
    fn an_apply_at_another_version_counts_for_nothing() {
        let wanted = json!({ "apiVersion": "autoscaling/v2", "kind": "H", "metadata": {}, "spec": { "a": 1 } });
        let live = json!({ "metadata": { "managedFields": [{
            "manager": "learningplatform", "operation": "Apply", "apiVersion": "autoscaling/v1", "fieldsV1": { "f:spec": { "f:a": {} } },
        }] }, "spec": { "a": 1 } });
        assert_eq!(differences(&wanted, &live, FieldManager::Main).len(), 1);
    }
}
