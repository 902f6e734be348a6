//! How Prometheus finds the pods: by a PodMonitor where the cluster knows that API, else by annotations.

use crate::{
    capabilities::Served,
    kinds::Kind,
    naming::{COMPONENT, INSTANCE, labels, selector},
    validate::{Port, ValidApp},
};
use crds::tiers::pod::Discovery;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where the app's metrics are: one of its ports, or a port of its own on the container.
pub(super) fn port(app: &ValidApp) -> Option<Port> {
    let metrics = app.spec.metrics.as_ref()?;
    let Some(number) = metrics.port else { return app.port(None).cloned() };
    if let Some(port) = app.ports.iter().find(|p| p.container == number && p.protocol == "TCP") {
        return Some(port.clone());
    }
    let free = |name: &&str| app.ports.iter().all(|p| p.name != **name);
    let name = ["metrics", "lp-metrics"].into_iter().find(free).unwrap_or("prometheus");
    Some(Port { name: name.to_owned(), container: number, service: number, protocol: "TCP", app_protocol: None })
}

/// Whether the pods carry the scrape annotations; those of the live Deployment, if there is one, carry annotations of the
/// names `carried`. Where the resource names no way, pods that carry them keep them when the API of PodMonitors appears:
/// taking them away would restart every pod.
pub(super) fn annotated(app: &ValidApp, carried: Option<&BTreeSet<String>>, served: Served) -> bool {
    let Some(metrics) = &app.spec.metrics else { return false };
    match (metrics.discovery, carried) {
        (Some(Discovery::PodMonitor), _) => false,
        (Some(Discovery::Annotations), _) => true,
        (None, None) => !served.pod_monitor,
        (None, Some(carried)) => {
            let overlay = app.spec.pod_template.as_ref().and_then(|o| o.get("metadata")?.get("annotations"));
            let users = |name: &String| {
                app.spec.pod_annotations.contains_key(name) || overlay.is_some_and(|o| o.get(name).is_some())
            };
            let keeps = annotations(app).keys().any(|name| carried.contains(name) && !users(name));
            keeps || (served.pod_monitor_known && !served.pod_monitor)
        }
    }
}

/// The usual scrape annotations.
pub(super) fn annotations(app: &ValidApp) -> BTreeMap<String, String> {
    let (Some(metrics), Some(port)) = (&app.spec.metrics, port(app)) else { return BTreeMap::new() };
    let path = metrics.path.clone().unwrap_or_else(|| "/metrics".to_owned());
    [("scrape", "true".to_owned()), ("path", path), ("port", port.container.to_string())]
        .into_iter()
        .map(|(name, value)| (format!("prometheus.io/{name}"), value))
        .collect()
}

/// The monitor. Prometheus' operator gives every series `namespace` and `pod`, which the default queries read; platform
/// and app are stamped beside them for people's own dashboards.
pub(super) fn pod_monitor(app: &ValidApp) -> Option<Result<DynamicObject, serde_json::Error>> {
    let metrics = app.spec.metrics.as_ref().filter(|metrics| metrics.discovery != Some(Discovery::Annotations))?;
    let port = port(app)?;
    let mut all_labels = metrics.monitor_labels.clone();
    all_labels.extend(labels(&app.key.platform, &app.key.app));
    Some(Kind::PodMonitor.object(&json!({
        "metadata": { "name": app.object_name, "labels": all_labels },
        "spec": {
            "selector": { "matchLabels": selector(&app.key.platform, &app.key.app) },
            "podMetricsEndpoints": [{
                "port": port.name,
                "path": metrics.path.as_deref().unwrap_or("/metrics"),
                "interval": metrics.interval.map(|i| prometheus_duration(i.into())),
                "relabelings": [
                    stamp(INSTANCE, "learningplatform"),
                    stamp(COMPONENT, "learningplatform_app"),
                ],
            }],
        },
    })))
}

/// Copies a pod's label to the series.
pub(crate) fn stamp(label: &str, target: &str) -> Value {
    let source: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    json!({ "action": "replace", "sourceLabels": [format!("__meta_kubernetes_pod_label_{source}")], "targetLabel": target })
}

/// A duration as Prometheus writes it: whole units, no fractions.
fn prometheus_duration(duration: std::time::Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
