//! The exporter beside each server of a store, and how Prometheus finds it. It logs in as a role of its own, whose password is
//! made once: whoever has it reads figures and no data, so it is not rotated, and a change of other passwords does not touch it.

use super::{
    Identity, SHARD,
    auth::{self, Passwords},
    pods::{self, env, env_secret},
};
use crate::{
    capabilities::Served,
    kinds::Kind,
    naming::{COMPONENT, INSTANCE},
    tiers::{Children, app::pod_monitor::stamp},
};
use crds::tiers::{in_cluster::StoreExporter, pod::Discovery};
use k8s_openapi::api::core::v1::EnvVar;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Key in the Secret: the password that the exporter logs in with.
pub const PASSWORD: &str = "monitorPassword";
/// The role that it logs in as.
pub const ROLE: &str = "lp_monitor";
/// Name of its container.
const CONTAINER: &str = "exporter";
/// Name of its port.
const PORT: &str = "metrics";
/// Beginning of the names of the usual scrape annotations.
const SCRAPE: &str = "prometheus.io";

/// The exporter of a store.
#[derive(Clone, Copy, Debug)]
pub struct Exporter<'a> {
    /// What is asked for.
    pub spec: &'a StoreExporter,
    /// The image where the spec names none.
    pub image: &'a str,
    /// Where it listens.
    pub port: u16,
}

impl Exporter<'_> {
    /// Its container.
    pub fn container(self, variables: Vec<EnvVar>) -> Value {
        json!({
            "name": CONTAINER,
            "image": self.spec.image.as_deref().unwrap_or(self.image),
            "imagePullPolicy": "IfNotPresent",
            "env": variables,
            "ports": [{ "name": PORT, "containerPort": self.port, "protocol": "TCP" }],
            "resources": self.spec.resources.as_ref().map(pods::requirements),
            "securityContext": pods::security(),
        })
    }

    /// The scrape annotations of the pods; none where a PodMonitor says the same. Where the resource names no way, pods that
    /// run with an exporter stay as they are when the API of PodMonitors appears or goes.
    pub fn annotations(self, identity: &Identity, children: &Children, served: Served) -> BTreeMap<String, String> {
        let annotated = match self.spec.discovery {
            Some(Discovery::PodMonitor) => false,
            Some(Discovery::Annotations) => true,
            None => carried(identity, children).unwrap_or(!served.pod_monitor),
        };
        let all = [("scrape", "true".to_owned()), ("path", "/metrics".to_owned()), ("port", self.port.to_string())];
        let all = all.into_iter().filter(|_| annotated);
        all.map(|(name, value)| (format!("{SCRAPE}/{name}"), value)).collect()
    }

    /// The monitor; platform, store and shard are stamped on the series.
    pub fn pod_monitor(self, identity: &Identity, served: Served) -> Option<Result<DynamicObject, serde_json::Error>> {
        if self.spec.discovery == Some(Discovery::Annotations) || !served.pod_monitor {
            return None;
        }
        let mut labels = self.spec.monitor_labels.clone();
        labels.extend(identity.labels());
        Some(Kind::PodMonitor.object(&json!({
            "metadata": { "name": identity.object_name(), "labels": labels },
            "spec": {
                "selector": { "matchLabels": identity.selector() },
                "podMetricsEndpoints": [{
                    "port": PORT,
                    "path": "/metrics",
                    "relabelings": [
                        stamp(INSTANCE, "learningplatform"),
                        stamp(COMPONENT, "learningplatform_store"),
                        stamp(SHARD, "learningplatform_shard"),
                    ],
                }],
            },
        })))
    }

    /// Lets Prometheus in, wherever it runs.
    pub fn ingress(self) -> Value {
        json!({ "ports": [{ "protocol": "TCP", "port": self.port }] })
    }
}

/// Makes its password where it has none; without an exporter it has none.
pub fn password(passwords: &mut Passwords, wanted: bool) {
    if !wanted {
        passwords.clear(PASSWORD);
    } else if passwords.text(PASSWORD).is_none()
        && let Ok(made) = auth::random()
    {
        passwords.set(PASSWORD, &made);
    }
}

/// The variables with its role and its password, by their names.
pub fn login(object_name: &str, user: &str, password: &str) -> [EnvVar; 2] {
    [env(user, ROLE), env_secret(password, &auth::name(object_name), PASSWORD)]
}

/// Whether the pods of a store that run with an exporter carry the annotations; None where none does.
fn carried(identity: &Identity, children: &Children) -> Option<bool> {
    let sets = children.of(&identity.id).into_iter().filter(|id| id.kind == Kind::StatefulSet);
    let templates = sets.filter_map(|id| children.get(Kind::StatefulSet, &id.name)?.data.pointer("/spec/template"));
    let exports = |template: &&Value| {
        let containers = template.pointer("/spec/containers").and_then(Value::as_array);
        containers.into_iter().flatten().any(|container| container["name"] == CONTAINER)
    };
    let annotated = |template: &Value| !template["metadata"]["annotations"][format!("{SCRAPE}/scrape")].is_null();
    templates.filter(exports).map(annotated).reduce(|a, b| a || b)
}
