//! The PodDisruptionBudget.

use crate::{
    kinds::Kind,
    naming::{labels, selector},
    validate::ValidApp,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::DynamicObject;
use serde_json::json;

/// The budget; none where it is disabled. The default never blocks a drain, not even of a single pod, and pods that are
/// broken anyway may always be evicted.
pub(super) fn disruption_budget(app: &ValidApp) -> Option<Result<DynamicObject, serde_json::Error>> {
    let chosen = app.spec.disruption_budget.clone().unwrap_or_default();
    if chosen.disabled == Some(true) {
        return None;
    }
    let most = match (chosen.max_unavailable, &chosen.min_available) {
        (None, None) => Some(IntOrString::Int(1)),
        (most, _) => most,
    };
    Some(Kind::PodDisruptionBudget.object(&json!({
        "metadata": { "name": app.object_name, "labels": labels(&app.key.platform, &app.key.app) },
        "spec": {
            "selector": { "matchLabels": selector(&app.key.platform, &app.key.app) },
            "maxUnavailable": most,
            "minAvailable": chosen.min_available,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    })))
}
