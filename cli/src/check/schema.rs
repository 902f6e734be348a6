//! Compares the schema that a cluster has with the one that this program knows. A field that the cluster's schema lacks is
//! dropped in silence by the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use std::collections::BTreeSet;

/// How two schemas differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaDifference {
    /// Fields that only this program knows.
    pub missing: Vec<String>,
    /// Fields that only the cluster knows.
    pub unknown: Vec<String>,
    /// The fields are the same, but rules, bounds or texts are not.
    pub rules: bool,
}

/// Compares the served version of two CRDs; `None` where they are equal.
pub fn compare(ours: &CustomResourceDefinition, theirs: &CustomResourceDefinition) -> Option<SchemaDifference> {
    let (ours, theirs) = (schema(ours), schema(theirs));
    if ours == theirs {
        return None;
    }
    let fields = |schema: &Value| {
        let mut found = BTreeSet::new();
        collect(schema, "", &mut found);
        found
    };
    let (known, there) = (fields(&ours), fields(&theirs));
    let missing: Vec<String> = outermost(known.difference(&there));
    let unknown: Vec<String> = outermost(there.difference(&known));
    let rules = missing.is_empty() && unknown.is_empty();
    Some(SchemaDifference { missing, unknown, rules })
}

fn schema(crd: &CustomResourceDefinition) -> Value {
    let version = crd.spec.versions.iter().find(|v| v.name == crds::VERSION);
    let schema = version.and_then(|v| v.schema.as_ref()).and_then(|s| s.open_api_v3_schema.as_ref());
    serde_json::to_value(schema).unwrap_or_default()
}

fn collect(schema: &Value, path: &str, into: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(inner, &path, into);
        into.insert(path);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], &format!("{path}[]"), into);
    }
    if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &format!("{path}{{}}"), into);
    }
}

/// Without the fields below one that is listed itself.
fn outermost<'a>(fields: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for field in fields {
        let below =
            |outer: &String| field.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with(['.', '[', '{']));
        if !out.iter().any(below) {
            out.push(field.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(change: impl FnOnce(&mut Value)) -> CustomResourceDefinition {
        let mut value = serde_json::to_value(crds::crd()).unwrap();
        change(&mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
        serde_json::from_value(value).unwrap()
    }

    fn remove(schema: &mut Value, pointer: &str, field: &str) {
        let found = schema.pointer_mut(pointer).and_then(Value::as_object_mut).and_then(|o| o.remove(field));
        assert!(found.is_some(), "{pointer}/{field}");
    }

    const APP: &str = "/properties/spec/properties/apps/items/properties";

    #[test]
    fn equal_schemas_do_not_differ() {
        assert_eq!(compare(&crds::crd(), &crds::crd()), None);
    }

    #[test]
    fn the_missing_field_is_named_without_what_is_below_it() {
        let old = without(|s| remove(s, APP, "exposure"));
        let found = compare(&crds::crd(), &old).unwrap();
        assert_eq!(found.missing, ["spec.apps[].exposure"]);
        assert!(found.unknown.is_empty() && !found.rules);
        assert_eq!(compare(&old, &crds::crd()).unwrap().unknown, ["spec.apps[].exposure"]);
    }

    #[test]
    fn a_changed_rule_is_seen() {
        let old = without(|s| remove(s, "/properties/spec/properties/apps/items", "x-kubernetes-validations"));
        assert!(compare(&crds::crd(), &old).unwrap().rules);
    }
}
