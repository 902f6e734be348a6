//! Ports that somebody has renumbered by hand. Ports are keyed by number and named once: server-side apply would add ours
//! beside the renumbered one, and the API server refuses two of a name. So the item is first put back where it is.

use super::Writer;
use crate::{
    error::{Error, Result},
    kinds::Kind,
};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::{Value, json};

/// Recorded only between the two patches below.
const REPAIR: &str = "learningplatform/repair";

impl Writer {
    /// Puts ports back that carry the name of a wanted one and another number. Whether there were any.
    pub(super) async fn put_back(
        &self,
        kind: Kind,
        namespace: &str,
        live: &DynamicObject,
        wanted: &Value,
    ) -> Result<bool> {
        let name = live.name_any();
        let serialize = |error| Error::Serialize("a patch", error);
        let present = serde_json::to_value(live).map_err(serialize)?;
        let mut operations = Vec::new();
        moved(wanted, &present, "", &mut operations);
        if operations.is_empty() {
            return Ok(false);
        }
        let api = self.api(kind, namespace);
        let params = PatchParams { field_manager: Some(REPAIR.to_owned()), ..PatchParams::default() };
        let guarded = |version: Option<String>, operations: Vec<Value>| {
            let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": version});
            serde_json::from_value(std::iter::once(test).chain(operations).collect()).map(Patch::<()>::Json)
        };
        let patch = guarded(live.resource_version(), operations).map_err(serialize)?;
        let error = |error| Error::api("patch", kind.as_str(), name.as_str(), error);
        let object = api.patch(&name, &params, &patch).await.map_err(error)?;
        // Left there, the entry would keep the port when the spec no longer wants it.
        let mut entries = object.metadata.managed_fields.iter().flatten();
        if let Some(at) = entries.position(|entry| entry.manager.as_deref() == Some(REPAIR)) {
            let remove = json!({"op": "remove", "path": format!("/metadata/managedFields/{at}")});
            let patch = guarded(object.resource_version(), vec![remove]).map_err(serialize)?;
            api.patch(&name, &params, &patch).await.map_err(error)?;
        }
        Ok(true)
    }
}

/// The operations that put renumbered ports back.
fn moved(wanted: &Value, live: &Value, path: &str, operations: &mut Vec<Value>) {
    match (wanted, live) {
        (Value::Object(fields), Value::Object(present)) => {
            for (field, value) in fields {
                let inner = format!("{path}/{}", field.replace('~', "~0").replace('/', "~1"));
                match present.get(field) {
                    Some(Value::Array(items)) if field == "ports" => ports(value, items, &inner, operations),
                    Some(live) => moved(value, live, &inner, operations),
                    None => {}
                }
            }
        }
        (Value::Array(items), Value::Array(present)) => {
            for item in items.iter().filter(|item| item.get("name").is_some()) {
                if let Some(at) = present.iter().position(|live| live.get("name") == item.get("name")) {
                    moved(item, &present[at], &format!("{path}/{at}"), operations);
                }
            }
        }
        _ => {}
    }
}

fn ports(wanted: &Value, live: &[Value], path: &str, operations: &mut Vec<Value>) {
    let key = |port: &Value| {
        let number = port.get("containerPort").or_else(|| port.get("port")).cloned();
        (number, port["protocol"].as_str().unwrap_or("TCP").to_owned())
    };
    for port in wanted.as_array().into_iter().flatten().filter(|port| port.get("name").is_some()) {
        let there = live.iter().any(|live| key(live) == key(port));
        let other = live.iter().position(|live| live.get("name") == port.get("name"));
        if let (false, Some(at)) = (there, other) {
            operations.push(json!({"op": "replace", "path": format!("{path}/{at}"), "value": port}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_port_of_our_name_and_another_number_is_put_back() {
        let service = |ports: Value| json!({"metadata": {"name": "web"}, "spec": {"ports": ports}});
        let wanted = service(json!([{"name": "http", "port": 80, "protocol": "TCP"}]));
        for (live, expected) in [
            (json!([{"name": "http", "port": 80, "protocol": "TCP"}]), None),
            (json!([{"name": "http", "port": 81, "protocol": "TCP"}]), Some("/spec/ports/0")),
            (
                json!([{"name": "other", "port": 81}, {"name": "http", "port": 80, "protocol": "UDP"}]),
                Some("/spec/ports/1"),
            ),
            (json!([{"name": "other", "port": 81}]), None),
        ] {
            let mut operations = Vec::new();
            moved(&wanted, &service(live), "", &mut operations);
            assert_eq!(operations.first().and_then(|op| op["path"].as_str()), expected);
        }
    }

    #[test]
    fn ports_of_containers_are_found_by_the_containers_name() {
        let pod = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let wanted = pod(json!([{"name": "web", "ports": [{"name": "http", "containerPort": 3000}]}]));
        let live = pod(json!([{"name": "injected"}, {"name": "web", "ports": [{"name": "http", "containerPort": 1}]}]));
        let mut operations = Vec::new();
        moved(&wanted, &live, "", &mut operations);
        assert_eq!(operations.len(), 1);
        assert_eq!(operations[0]["path"], "/spec/template/spec/containers/1/ports/0");
    }
}
