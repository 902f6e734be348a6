//! The Service in front of the pods.

use crate::{
    kinds::Kind,
    naming::{labels, selector},
    validate::ValidApp,
};
use crds::tiers::exposure::ServiceType;
use kube::core::DynamicObject;
use serde_json::json;

/// The Service; none for an app without ports.
pub(super) fn service(app: &ValidApp) -> Option<Result<DynamicObject, serde_json::Error>> {
    if app.ports.is_empty() {
        return None;
    }
    let chosen = app.spec.service.clone().unwrap_or_default();
    let ports: Vec<_> = app
        .ports
        .iter()
        .map(|port| {
            json!({
                "name": port.name, "port": port.service, "targetPort": port.name, "protocol": port.protocol,
                "appProtocol": port.app_protocol,
            })
        })
        .collect();
    Some(Kind::Service.object(&json!({
        "metadata": {
            "name": app.object_name,
            "labels": labels(&app.key.platform, &app.key.app),
            "annotations": super::pod::some_map(chosen.annotations),
        },
        "spec": {
            "type": match chosen.type_ {
                Some(ServiceType::NodePort) => "NodePort",
                Some(ServiceType::LoadBalancer) => "LoadBalancer",
                Some(ServiceType::ClusterIp) | None => "ClusterIP",
            },
            "selector": selector(&app.key.platform, &app.key.app),
            "ports": ports,
            "sessionAffinity": if chosen.client_affinity == Some(true) { "ClientIP" } else { "None" },
            "trafficDistribution": chosen.traffic_distribution,
        },
    })))
}
