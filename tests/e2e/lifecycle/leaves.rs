//! The leaves that a field manager owns, out of `managedFields`, and how each can be changed by hand.

use serde_json::{Value, json};

/// A step from an object towards a leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Field(String),
    /// The item of a list with these keys.
    Keyed(Value),
    /// The item of a list with this value.
    Item(Value),
}

/// The path of a leaf.
pub(super) type Leaf = Vec<Step>;

/// The leaves of every entry of managers whose name begins with `learningplatform`.
pub(super) fn leaves(object: &Value) -> Vec<Leaf> {
    let mut found = Vec::new();
    for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
        let ours = entry["manager"].as_str().is_some_and(|manager| manager.starts_with("learningplatform"));
        if ours && entry.get("subresource").is_none() {
            walk(&entry["fieldsV1"], &mut Vec::new(), &mut found);
        }
    }
    found
}

fn walk(tree: &Value, path: &mut Leaf, found: &mut Vec<Leaf>) {
    let inner: Vec<_> = tree.as_object().into_iter().flatten().filter(|(key, _)| *key != ".").collect();
    if inner.is_empty() {
        found.push(path.clone());
    }
    for (key, subtree) in inner {
        let (kind, rest) = key.split_once(':').expect("a kind of step");
        let parsed = || serde_json::from_str(rest).expect("JSON");
        path.push(match kind {
            "f" => Step::Field(rest.to_owned()),
            "k" => Step::Keyed(parsed()),
            _ => Step::Item(parsed()),
        });
        walk(subtree, path, found);
        path.pop();
    }
}

/// The JSON pointer of a leaf in the live object; none where a list has no such item.
pub(super) fn pointer(object: &Value, leaf: &[Step]) -> Option<String> {
    let (mut at, mut pointer) = (object, String::new());
    for step in leaf {
        let name = match step {
            Step::Field(name) => name.replace('~', "~0").replace('/', "~1"),
            Step::Keyed(keys) => {
                let keys = keys.as_object()?;
                let same = |item: &Value| keys.iter().all(|(key, value)| item.get(key).is_none_or(|own| own == value));
                at.as_array()?.iter().position(same)?.to_string()
            }
            Step::Item(value) => at.as_array()?.iter().position(|item| item == value)?.to_string(),
        };
        pointer.push('/');
        pointer.push_str(&name);
        at = match step {
            Step::Field(name) => at.get(name).unwrap_or(&Value::Null),
            _ => at.get(name.parse::<usize>().ok()?)?,
        };
    }
    Some(pointer)
}

/// The value at a leaf; none where it is missing.
pub(super) fn value(object: &Value, leaf: &[Step]) -> Option<Value> {
    object.pointer(&pointer(object, leaf)?).cloned()
}

/// Another value that the API may take in its place.
pub(super) fn other(leaf: &[Step], value: &Value) -> Option<Value> {
    let field =
        leaf.iter().rev().find_map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None })?;
    Some(match (field, value) {
        (_, Value::Bool(value)) => json!(!value),
        (_, Value::Number(number)) => json!(number.as_i64()? + 1),
        ("protocol", _) => json!("UDP"),
        ("sessionAffinity", _) => json!("ClientIP"),
        ("imagePullPolicy", _) => json!("Always"),
        ("pathType", _) => json!("Exact"),
        ("type", Value::String(text)) => json!(match text.as_str() {
            "ClusterIP" => "NodePort",
            "RuntimeDefault" => "Unconfined",
            "PathPrefix" => "Exact",
            "Percent" => "Pods",
            _ => "Recreate",
        }),
        ("whenUnsatisfiable", _) => json!("DoNotSchedule"),
        ("selectPolicy", _) => json!("Min"),
        ("cpu" | "memory" | "sizeLimit", Value::String(_)) => json!("33Mi"),
        ("timeout" | "request" | "interval", Value::String(_)) => json!("17s"),
        (_, Value::String(text)) if text.ends_with(|c: char| c.is_ascii_alphanumeric()) => json!(format!("{text}x")),
        (_, Value::String(text)) => json!(format!("{text}x")),
        (_, Value::Array(items)) if items.len() > 1 => json!(items[1..]),
        (_, Value::Array(items)) => json!([other(leaf, items.first()?)?]),
        (_, Value::Object(fields)) => {
            let changed = fields.iter().find_map(|(name, value)| {
                let inner = [leaf, &[Step::Field(name.clone())]].concat();
                Some((name.clone(), other(&inner, value)?))
            });
            let (name, changed) = changed?;
            let mut fields = fields.clone();
            fields.insert(name, changed);
            fields.into()
        }
        (_, Value::Null) => json!(1),
    })
}

/// The leaf in words, as `spec.template.spec.containers[{"name":"web"}].image`.
pub(super) fn words(leaf: &[Step]) -> String {
    leaf.iter().fold(String::new(), |words, step| match step {
        Step::Field(name) if words.is_empty() => name.clone(),
        Step::Field(name) => format!("{words}.{name}"),
        Step::Keyed(keys) => format!("{words}[{keys}]"),
        Step::Item(value) => format!("{words}[{value}]"),
    })
}
