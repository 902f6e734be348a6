//! Schema fragments that the derives cannot express, the finished CRD, and its rules evaluated without a server.

use crate::LearningPlatform;
use k8s_openapi::{
    api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// What Kubernetes takes for a quantity that is not negative.
const QUANTITY: &str = r"^(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$";

/// A percentage as Kubernetes takes it. Numbers are written as numbers: a quoted one is refused where it is used.
const PERCENT: &str = "^([1-9]?[0-9]|100)%$";

/// The name of a port: it holds a letter, and neither begins nor ends with a dash, nor has two in a row.
const PORT_NAME: &str = "^([0-9]+-)*[0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$";

/// A Go duration without a sign, as `200ms` or `1h30m`.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$";

pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 32, "pattern": DURATION })
}

pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true, "minimum": 0, "pattern": QUANTITY, "maxLength": 32 })
}

pub(crate) fn quantities(generate: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "maxProperties": 16, "additionalProperties": quantity(generate) })
}

pub(crate) fn int_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 10000, "maxLength": 4, "pattern": PERCENT,
    })
}

pub(crate) fn short_strings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 1024 },
    })
}

pub(crate) fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "items": {
            "type": "string", "minLength": 1, "maxLength": 253,
            "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        },
    })
}

/// `host` or `host:port`; an IPv6 address in brackets.
const ADDRESS: &str = r"^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:[0-9]{1,5})?$";

pub(crate) fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 259, "pattern": ADDRESS })
}

pub(crate) fn addresses(generate: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": 16, "items": address(generate) })
}

/// A URL of a service.
pub(crate) fn endpoint_url(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 8, "maxLength": 1024, "pattern": r"^https?://[^\s/?#@]+(/[^\s?#]*)?$" })
}

/// The name of an environment variable that every shell can read.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

pub(crate) fn variable_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 64,
        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": VARIABLE },
    })
}

/// A Go duration of whole seconds, as `90s` or `24h`: what AWS takes. `0ns` is how Kubernetes' own type writes none.
pub(crate) fn seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 16, "pattern": "^(0ns|([0-9]+[hms])+)$" })
}

fn set_of_texts(least: u32, most: u32, longest: u32, pattern: &str) -> Schema {
    json_schema!({
        "type": "array", "minItems": least, "maxItems": most, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern },
    })
}

/// Names of headers, cookies and parameters.
pub(crate) fn header_names(_: &mut SchemaGenerator) -> Schema {
    set_of_texts(0, 16, 128, "^[!-~]+$")
}

pub(crate) fn ids(_: &mut SchemaGenerator) -> Schema {
    set_of_texts(0, 8, 64, "^[A-Za-z0-9_-]+$")
}

pub(crate) fn countries(_: &mut SchemaGenerator) -> Schema {
    set_of_texts(0, 250, 2, "^[A-Z]{2}$")
}

pub(crate) fn cors_origins(_: &mut SchemaGenerator) -> Schema {
    set_of_texts(1, 32, 256, r"^(\*|https?://[^\s/]+)$")
}

pub(crate) fn invalidated_paths(_: &mut SchemaGenerator) -> Schema {
    set_of_texts(1, 32, 512, r"^/[^\s*]*\*?$")
}

/// Settings of a server by their names in its configuration file: no value can begin another line.
pub(crate) fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 64,
        "additionalProperties": { "type": "string", "maxLength": 1024, "pattern": r"^[^\r\n\x00]*$" },
    })
}

pub(crate) fn item_names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 40, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" },
    })
}

pub(crate) fn extensions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "set",
        "items": { "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z_][a-z0-9_-]*$" },
    })
}

pub(crate) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

pub(crate) fn metric_specs(generate: &mut SchemaGenerator) -> Schema {
    let mut schema: Value = generate.subschema_for::<Vec<MetricSpec>>().into();
    schema["maxItems"] = json!(10);
    schema.try_into().unwrap_or_default()
}

/// The HPA's behavior with the bounds that the HPA's own admission checks, so that a bad value is refused here too.
pub(crate) fn behavior(generate: &mut SchemaGenerator) -> Schema {
    generate.subschema_for::<HorizontalPodAutoscalerBehavior>()
}

/// The CustomResourceDefinition of `LearningPlatform`, as it is installed.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = LearningPlatform::crd();
    for version in &mut crd.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            let Ok(mut value) = serde_json::to_value(&*root) else { continue };
            finish(&mut value, &mut Vec::new());
            // kstatus takes an object without any status for finished: until the first pass it must not be.
            value["properties"]["status"]["default"] = json!({ "observedGeneration": -1 });
            if let Ok(finished) = serde_json::from_value(value) {
                *root = finished;
            }
        }
    }
    crd
}

/// Fields whose types are Kubernetes' own. What is inside of them is described in its reference: here it would take the room that
/// a client has for the definition.
const FOREIGN: [&str; 12] = [
    "readiness",
    "liveness",
    "startup",
    "lifecycle",
    "constraints",
    "tolerations",
    "env",
    "envFrom",
    "imagePullSecrets",
    "seccompProfile",
    "behavior",
    "conditions",
];

/// Completes what Kubernetes' own generated types leave out: quantities may be written as numbers, ports by number or name
/// are bounded, and so is the HPA's behavior, as the HPA bounds it.
fn finish(schema: &mut Value, path: &mut Vec<String>) {
    let parent =
        |path: &[String], back: usize| path.len().checked_sub(back).map(|i| path[i].clone()).unwrap_or_default();
    let (key, owner) = (parent(path, 1), parent(path, 2));
    let in_behavior = path.iter().any(|p| p == "behavior");
    let is_quantity = matches!(key.as_str(), "averageValue" | "sizeLimit" | "divisor" | "tolerance")
        || (key == "value" && owner == "target");
    let inside = path.split_last().map_or(&[][..], |(_, outer)| outer);
    let of_hpa = inside.windows(2).any(|pair| pair == ["autoscaling", "metrics"]);
    let foreign = of_hpa || inside.iter().any(|field| FOREIGN.contains(&field.as_str()));
    let Some(object) = schema.as_object_mut() else { return };
    // What a cache says in its status has the same fields as what a database says, and is described there.
    let told_again = path.len() > 2 && path[..2] == ["status", "caches"];
    if foreign || told_again {
        object.remove("description");
    }
    if is_quantity {
        object.remove("type");
        object.insert("x-kubernetes-int-or-string".into(), json!(true));
        object.insert("minimum".into(), json!(0));
        object.insert("pattern".into(), json!(QUANTITY));
        object.insert("maxLength".into(), json!(32));
    }
    let is_port = key == "port" && object.get("x-kubernetes-int-or-string") == Some(&json!(true));
    let bounds: &[(&str, Value)] = match key.as_str() {
        "port" if is_port => {
            &[("minimum", json!(1)), ("maximum", json!(65535)), ("maxLength", json!(15)), ("pattern", json!(PORT_NAME))]
        }
        "stabilizationWindowSeconds" if in_behavior => &[("minimum", json!(0)), ("maximum", json!(3600))],
        "periodSeconds" if in_behavior => &[("minimum", json!(1)), ("maximum", json!(1800))],
        "value" if in_behavior => &[("minimum", json!(1))],
        "selectPolicy" if in_behavior => &[("enum", json!(["Max", "Min", "Disabled"]))],
        "type" if in_behavior => &[("enum", json!(["Pods", "Percent"]))],
        "policies" if in_behavior => &[("minItems", json!(1)), ("maxItems", json!(10))],
        _ => &[],
    };
    for (name, value) in bounds {
        object.insert((*name).into(), value.clone());
    }
    for holder in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(holder) {
            finish(inner, path);
        }
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, inner) in properties {
            path.push(name.clone());
            finish(inner, path);
            path.pop();
        }
    }
}

/// The schema of the served version as JSON.
pub(crate) static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    crd()
        .spec
        .versions
        .into_iter()
        .next()
        .and_then(|v| v.schema)
        .and_then(|s| s.open_api_v3_schema)
        .and_then(|s| serde_json::to_value(s).ok())
        .unwrap_or_default()
});

/// Its rules.
static COMPILED: LazyLock<kube_cel::CompiledSchema> = LazyLock::new(|| kube_cel::compile_schema(&SCHEMA));

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, such as `spec.apps[0].autoscaling`.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Violation {}

/// Evaluates every CEL rule of the CRD on a resource, without a server. Types, patterns and the zone names of schedules
/// are left to the server, or to whoever parses the value.
///
/// # Errors
/// One entry per broken rule.
pub fn validate(platform: &Value) -> Result<(), Vec<Violation>> {
    let errors = match kube_cel::Validator::new().validate_compiled(&COMPILED, platform, None) {
        Ok(()) => return Ok(()),
        Err(errors) => errors.into_vec(),
    };
    Err(errors
        .into_iter()
        .map(|error| {
            // A rule that cannot be evaluated (no such date) counts as broken, as in the API server; the evaluator
            // then reports its own words, so the rule's message is looked up.
            let message = message_of(&SCHEMA, &error.field_path, &error.rule).unwrap_or(error.message);
            Violation { path: error.field_path, message }
        })
        .collect())
}

/// The message of a rule at a path such as `spec.apps[0].port`.
fn message_of(schema: &Value, path: &str, rule: &str) -> Option<String> {
    let mut at = schema;
    for step in path.split('.').filter(|s| !s.is_empty()) {
        let (name, index) = step.split_once('[').map_or((step, false), |(name, _)| (name, true));
        at = &at["properties"][name];
        if index {
            at = if at["items"].is_object() { &at["items"] } else { &at["additionalProperties"] };
        }
    }
    let rules = at["x-kubernetes-validations"].as_array()?;
    rules.iter().find(|r| r["rule"] == rule)?["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

    /// Every schema of a field called so, with its path.
    fn fields<'a>(schema: &'a Value, name: &str, path: &str, found: &mut Vec<(String, &'a Value)>) {
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{field}");
            if field == name {
                found.push((path.clone(), inner));
            }
            fields(inner, name, &path, found);
        }
        for holder in ["items", "additionalProperties"] {
            if schema[holder].is_object() {
                fields(&schema[holder], name, &format!("{path}[]"), found);
            }
        }
    }

    fn all(name: &str) -> Vec<(String, &'static Value)> {
        let mut found = Vec::new();
        fields(&SCHEMA, name, "", &mut found);
        found
    }

    #[test]
    fn every_number_or_name_is_bounded() {
        for name in ["port", "maxSurge", "maxUnavailable", "minAvailable"] {
            let found: Vec<_> =
                all(name).into_iter().filter(|(_, s)| s["x-kubernetes-int-or-string"] == json!(true)).collect();
            assert!(!found.is_empty(), "{name}");
            for (path, schema) in found {
                let schema: JSONSchemaProps = serde_json::from_value(schema.clone()).expect("a schema");
                let most = if name == "port" { 65535.0 } else { 10000.0 };
                assert_eq!(schema.maximum, Some(most), "{path}");
                assert_eq!(schema.minimum, Some(f64::from(u8::from(name == "port"))), "{path}");
                assert!(schema.pattern.is_some() && schema.max_length.is_some(), "{path}");
            }
        }
    }

    #[test]
    fn what_may_be_a_number_or_a_text_is_bounded_as_both() {
        fn walk(schema: &Value, path: &str, found: &mut usize) {
            if schema["x-kubernetes-int-or-string"] == json!(true) {
                *found += 1;
                for bound in ["minimum", "pattern", "maxLength"] {
                    assert!(!schema[bound].is_null(), "{path} has no {bound}");
                }
            }
            for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
                walk(inner, &format!("{path}.{field}"), found);
            }
            for holder in ["items", "additionalProperties"] {
                if schema[holder].is_object() {
                    walk(&schema[holder], &format!("{path}[]"), found);
                }
            }
        }
        let mut found = 0;
        walk(&SCHEMA["properties"]["spec"], "spec", &mut found);
        assert!(found > 30, "the walk found only {found}");
    }

    #[test]
    fn patterns_take_what_kubernetes_takes() {
        for (pattern, good, bad) in [
            (PERCENT, &["0%", "7%", "25%", "100%"][..], &["3", "00%", "05%", "101%", "-1%", "%", "1.5%"][..]),
            (
                PORT_NAME,
                &["http", "8-http", "80a", "1-2-a", "a-1", "h2c"],
                &["8080", "1-2", "a--b", "-a", "a-", "A", ""],
            ),
        ] {
            let pattern = regex::Regex::new(pattern).expect("a pattern");
            for text in good {
                assert!(pattern.is_match(text), "{pattern}: {text}");
            }
            for text in bad {
                assert!(!pattern.is_match(text), "{pattern}: {text}");
            }
        }
    }
}
