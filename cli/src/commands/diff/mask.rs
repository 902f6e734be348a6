//! Values that look like secrets are not shown; that they differ is.

use serde_json::Value;

/// Parts of names of environment variables whose literal values are taken for secrets.
const SECRET_WORDS: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "KEY"];

/// Masks secrets on both sides: literal values of environment variables that are named like one, and the data of Secrets.
pub(super) fn mask(before: &mut Value, after: &mut Value) {
    let of_kind = |object: &Value| object["kind"] == "Secret";
    if of_kind(before) || of_kind(after) {
        for field in ["data", "stringData"] {
            hide(before.get_mut(field), after.get_mut(field));
        }
    }
    walk(before, after);
}

fn walk(before: &mut Value, after: &mut Value) {
    if is_secret(before) || is_secret(after) {
        // Two list items at the same place may be different variables; hidden they are both.
        hide(before.get_mut("value"), after.get_mut("value"));
        return;
    }
    let mut none = Value::Null;
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: std::collections::BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
            for key in keys {
                let (mut left, mut right) = (Value::Null, Value::Null);
                walk(before.get_mut(&key).unwrap_or(&mut left), after.get_mut(&key).unwrap_or(&mut right));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for index in 0..before.len().max(after.len()) {
                let (mut left, mut right) = (Value::Null, Value::Null);
                walk(before.get_mut(index).unwrap_or(&mut left), after.get_mut(index).unwrap_or(&mut right));
            }
        }
        (one @ (Value::Object(_) | Value::Array(_)), _) | (_, one @ (Value::Object(_) | Value::Array(_))) => {
            let entries: Vec<&mut Value> = match one {
                Value::Object(fields) => fields.values_mut().collect(),
                Value::Array(items) => items.iter_mut().collect(),
                _ => Vec::new(),
            };
            for entry in entries {
                walk(entry, &mut none);
            }
        }
        _ => {}
    }
}

/// Whether it is an environment variable with a literal value that is named like a secret.
fn is_secret(value: &Value) -> bool {
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_uppercase();
    value.get("value").is_some_and(Value::is_string) && SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn hide(before: Option<&mut Value>, after: Option<&mut Value>) {
    match (before, after) {
        (Some(before), Some(after)) => {
            let same = before == after;
            *before = Value::from(if same { "<masked>" } else { "<masked, before>" });
            *after = Value::from(if same { "<masked>" } else { "<masked, after>" });
        }
        (Some(one), None) | (None, Some(one)) => *one = Value::from("<masked>"),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_not_shown_but_their_change_is() {
        let env = |password: &str, level: &str| {
            json!({"spec": {"env": [
                {"name": "DB_PASSWORD", "value": password}, {"name": "LEVEL", "value": level},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}})
        };
        let (mut before, mut after) = (env("hunter2", "a"), env("hunter3", "b"));
        mask(&mut before, &mut after);
        assert_eq!(before["spec"]["env"][0]["value"], "<masked, before>");
        assert_eq!(after["spec"]["env"][0]["value"], "<masked, after>");
        assert_eq!(after["spec"]["env"][1]["value"], "b");
        assert_eq!(after["spec"]["env"][2], env("", "")["spec"]["env"][2], "a reference is no secret");

        let (mut same, mut too) = (env("x", "a"), env("x", "a"));
        mask(&mut same, &mut too);
        assert_eq!((&same["spec"]["env"][0]["value"], same == too), (&json!("<masked>"), true));

        let (mut none, mut new) = (Value::Null, env("hunter2", "a"));
        mask(&mut none, &mut new);
        assert!(!new.to_string().contains("hunter2"));

        let (mut old, mut moved) = (
            env("hunter2", "a"),
            json!({"spec": {"env": [{"name": "LEVEL", "value": "a"}, {"name": "DB_PASSWORD", "value": "hunter2"}]}}),
        );
        mask(&mut old, &mut moved);
        assert!(!old.to_string().contains("hunter2") && !moved.to_string().contains("hunter2"));

        let (mut secret, mut gone) = (json!({"kind": "Secret", "data": {"a": "aHVudGVyMg=="}}), Value::Null);
        mask(&mut secret, &mut gone);
        assert_eq!(secret["data"], "<masked>");
    }
}
