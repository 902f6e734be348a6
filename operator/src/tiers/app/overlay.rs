//! The user's overlay on the pod template, merged as server-side apply merges: maps field by field, lists of named items
//! by their key, other lists as a whole; null takes a field away.

use super::pod;
use crate::{naming::labels, validate::ValidApp};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::{Map, Value, json};

/// Levels that an overlay may have: the Pod API has about half of them. Far below [`crate::shallow`], which cuts.
const LEVELS: usize = 32;

/// What keys the items of a list, by the list's field name, as the API's types declare it.
fn keys(field: &str) -> &'static [(&'static str, Option<&'static str>)] {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "claims" => &[("name", None)],
        "volumeMounts" => &[("mountPath", None)],
        "volumeDevices" => &[("devicePath", None)],
        "ports" => &[("containerPort", None), ("protocol", Some("TCP"))],
        "hostAliases" => &[("ip", None)],
        "topologySpreadConstraints" => &[("topologyKey", None), ("whenUnsatisfiable", None)],
        _ => &[],
    }
}

/// The template with the app's overlay. The operator's own labels stay: Services and the HPA select by them.
pub(super) fn apply(app: &ValidApp, mut template: Value) -> Value {
    if let Some(overlay) = &app.spec.pod_template {
        merge(&mut template, &Value::Object(overlay.clone()), "");
        merge(&mut template, &json!({ "metadata": { "labels": labels(&app.key.platform, &app.key.app) } }), "");
    }
    template
}

/// Whether the overlay gives a pod template.
///
/// # Errors
/// A sentence that says what is wrong and how to mend it.
pub(crate) fn check(app: &ValidApp) -> Result<(), String> {
    let Some(overlay) = &app.spec.pod_template else { return Ok(()) };
    if overlay.values().any(|value| levels(value) >= LEVELS) {
        return Err(format!(
            "it is nested more than {LEVELS} levels deep, which no field of a pod template is: flatten it"
        ));
    }
    if let Some(other) = overlay.keys().find(|k| !matches!(k.as_str(), "metadata" | "spec")) {
        return Err(format!("a pod template has metadata and spec, not {other}: move it under one of them"));
    }
    if let Some(part) = overlay.iter().find_map(|(k, v)| (!v.is_object()).then_some(k)) {
        return Err(format!("{part} must be an object"));
    }
    let metadata = overlay.get("metadata").and_then(Value::as_object);
    if let Some(field) =
        metadata.into_iter().flat_map(Map::keys).find(|k| !matches!(k.as_str(), "labels" | "annotations"))
    {
        return Err(format!("metadata.{field} cannot be set on pods of a Deployment: only labels and annotations can"));
    }
    if let Some(field) = metadata.into_iter().flatten().find_map(|(k, v)| (!v.is_object() && !v.is_null()).then_some(k))
    {
        return Err(format!("metadata.{field} must be an object of names and values"));
    }
    unkeyed(&Value::Object(overlay.clone()), "", "")?;
    let merged = apply(app, serde_json::to_value(pod::generated(app, pod::Given::default())).unwrap_or_default());
    let typed: PodTemplateSpec = serde_path_to_error::deserialize(merged).map_err(|e| {
        format!("{} does not have its form: {}; see the Pod API for the field's type", e.path(), e.inner())
    })?;
    let containers = typed.spec.map(|s| s.containers).unwrap_or_default();
    if containers.iter().any(|c| c.image.as_deref().unwrap_or_default().is_empty()) {
        return Err(format!(
            "spec.containers has an item without image: the app's own container is called {}, others need an image",
            app.key.app
        ));
    }
    Ok(())
}

/// How deep a value is nested.
fn levels(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(levels).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

/// Finds items of keyed lists that lack a key.
fn unkeyed(value: &Value, field: &str, path: &str) -> Result<(), String> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, inner)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            unkeyed(inner, name, &path)
        }),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
            for (key, default) in keys(field) {
                if default.is_none() && item.get(key).is_none() {
                    return Err(format!("{path}[{at}] has no {key}, which items of this list are merged by: add it"));
                }
            }
            unkeyed(item, "", &format!("{path}[{at}]"))
        }),
        _ => Ok(()),
    }
}

fn merge(base: &mut Value, overlay: &Value, field: &str) {
    match (base, overlay) {
        (Value::Object(base), Value::Object(overlay)) => {
            for (name, value) in overlay {
                if value.is_null() {
                    base.remove(name);
                } else {
                    merge(base.entry(name.clone()).or_insert(Value::Null), value, name);
                }
            }
        }
        (Value::Array(base), Value::Array(overlay)) if !keys(field).is_empty() => {
            for item in overlay {
                match base.iter_mut().find(|present| alike(field, present, item)) {
                    Some(present) => merge(present, item, ""),
                    None => base.push(without_nulls(item)),
                }
            }
        }
        (base, overlay) => *base = without_nulls(overlay),
    }
}

fn alike(field: &str, a: &Value, b: &Value) -> bool {
    keys(field).iter().all(|(key, default)| {
        let of = |v: &Value| v.get(key).cloned().or_else(|| default.map(|d| json!(d)));
        of(a) == of(b)
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), without_nulls(v)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
