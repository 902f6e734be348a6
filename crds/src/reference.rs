//! The reference of the spec in Markdown, from the same schema that the API server enforces.

use crate::schema::SCHEMA;
use serde_json::Value;
use std::fmt::Write as _;

/// Kubernetes' own types, whose fields are theirs to document.
const FOREIGN: [(&str, &str); 12] = [
    ("spec.apps[].env[]", "EnvVar"),
    ("spec.apps[].envFrom[]", "EnvFromSource"),
    ("spec.apps[].imagePullSecrets[]", "LocalObjectReference"),
    ("spec.apps[].tolerations[]", "Toleration"),
    ("spec.apps[].spread.constraints[]", "TopologySpreadConstraint"),
    ("spec.apps[].draining.lifecycle", "Lifecycle"),
    ("spec.apps[].health.readiness", "Probe"),
    ("spec.apps[].health.liveness", "Probe"),
    ("spec.apps[].health.startup", "Probe"),
    ("spec.apps[].security.seccompProfile", "SeccompProfile"),
    ("spec.apps[].autoscaling.metrics[]", "autoscaling/v2 MetricSpec"),
    ("spec.apps[].autoscaling.behavior", "autoscaling/v2 HorizontalPodAutoscalerBehavior"),
];

/// Every field of `spec` with its type, bounds and meaning, and every rule.
pub fn reference() -> String {
    let mut out = String::from(
        "# LearningPlatform `learningplatform.dev/v1alpha1`\n\n\
         Generated from the resource's schema by `make generate`. Durations are Go durations (`200ms`, `1h30m`), quantities \
         are Kubernetes quantities (`100`, `500m`, `1Gi`); lists marked *map by* are merged by that key.\n",
    );
    section(&SCHEMA["properties"]["spec"], "spec", &mut out);
    out.push_str("\n## Rules across fields\n\nRefused at admission, with these words:\n\n");
    let mut rules = Vec::new();
    collect_rules(&SCHEMA, "", &mut rules);
    rules.sort();
    rules.dedup();
    for rule in rules {
        let _ = writeln!(out, "- {rule}");
    }
    out
}

fn section(schema: &Value, path: &str, out: &mut String) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = write!(out, "\n## `{path}`\n\n{}\n\n| field | type | meaning |\n|---|---|---|\n", text(schema));
    for (name, property) in properties {
        let needed = if required.contains(&name.as_str()) { " **required**" } else { "" };
        let _ =
            writeln!(out, "| `{name}` | {}{needed} | {} |", kind(property, &format!("{path}.{name}")), text(property));
    }
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        let (inner, path) =
            if property["items"].is_object() { (&property["items"], format!("{path}[]")) } else { (property, path) };
        if foreign(&path).is_none() {
            section(inner, &path, out);
        }
    }
}

fn foreign(path: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(at, _)| *at == path).map(|(_, name)| *name)
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn kind(schema: &Value, path: &str) -> String {
    if let Some(name) = foreign(path).or_else(|| foreign(&format!("{path}[]"))) {
        return if schema["items"].is_object() { format!("list of {name}") } else { name.to_owned() };
    }
    if let Some(values) = schema["enum"].as_array() {
        let words: Vec<_> = values.iter().filter_map(Value::as_str).map(|v| format!("`{v}`")).collect();
        return words.join(" ");
    }
    if schema["x-kubernetes-int-or-string"] == true {
        let percent = schema["pattern"].as_str().is_some_and(|pattern| pattern.contains('%'));
        return if percent { "number or percentage".into() } else { "quantity".into() };
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
        return format!("list, map by `{}`", keys.join("`, `"));
    }
    let name = match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"], "")),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"], ""))
        }
        Some("string") if schema["pattern"].as_str().is_some_and(|p| p.contains("ns|us|ms")) => "duration".into(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    };
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        (Some(low), Some(high)) => format!("{name} {low}–{high}"),
        _ => name,
    }
}

fn collect_rules(schema: &Value, path: &str, found: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        found.extend(rule["message"].as_str().map(str::to_owned));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect_rules(property, &format!("{path}.{name}"), found);
    }
    for holder in ["items", "additionalProperties"] {
        if schema[holder].is_object() {
            collect_rules(&schema[holder], path, found);
        }
    }
}
