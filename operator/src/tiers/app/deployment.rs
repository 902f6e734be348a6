//! The Deployment, and apart from it the number of its pods.

use super::pod::{Given, seconds};
use crate::{
    kinds::Kind,
    naming::{labels, selector},
    validate::ValidApp,
};
use crds::tiers::app::Rollout;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;

/// Kubernetes' own default.
pub const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

/// The Deployment without `replicas`: the main manager never sends them, so that no autoscaler is ever fought.
pub(super) fn deployment(app: &ValidApp, given: Given<'_>) -> Result<DynamicObject, serde_json::Error> {
    let rollout = app.spec.rollout.clone().unwrap_or_default();
    let Rollout { max_unavailable, max_surge, progress_deadline, min_ready, revision_history_limit } = rollout;
    let deadline = progress_deadline.map_or(PROGRESS_DEADLINE, Duration::from);
    Kind::Deployment.object(&json!({
        "metadata": { "name": app.object_name, "labels": labels(&app.key.platform, &app.key.app) },
        "spec": {
            "selector": { "matchLabels": selector(&app.key.platform, &app.key.app) },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "maxUnavailable": max_unavailable.unwrap_or(IntOrString::Int(0)),
                    "maxSurge": max_surge.unwrap_or(IntOrString::Int(1)),
                },
            },
            "minReadySeconds": seconds(min_ready.map_or(Duration::ZERO, Duration::from)),
            "progressDeadlineSeconds": seconds(deadline),
            "revisionHistoryLimit": revision_history_limit.unwrap_or(10),
            "template": super::pod::template(app, given),
        },
    }))
}

/// Only the number of pods, for the scale manager.
pub fn replicas(app: &ValidApp, replicas: i32) -> Result<DynamicObject, serde_json::Error> {
    Kind::Deployment.object(&json!({
        "metadata": { "name": app.object_name },
        "spec": { "replicas": replicas },
    }))
}

/// Whether anybody has ever set the number of pods of a live Deployment: what nobody owns is the server's default.
pub fn replicas_are_owned(deployment: &DynamicObject) -> bool {
    deployment.metadata.managed_fields.iter().flatten().any(|entry| {
        entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some_and(|f| !Value::is_null(f)))
    })
}
