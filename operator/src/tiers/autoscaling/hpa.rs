//! The one builder of HorizontalPodAutoscalers. Pure; always the whole object, because a partial apply by the same
//! field manager would reset what it leaves out.

use super::{behavior, policy};
use crate::naming::{self, Owner};
use crds::tiers::{
    app::App,
    autoscaling::{Autoscaling, ResourceTarget},
};
use decide::Bounds;
use k8s_openapi::{
    api::autoscaling::v2::{
        CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
        ResourceMetricSource,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::api::ObjectMeta;

/// The target of the metric that stands in where an app has none for the HPA: a mean of a thousand cores per pod,
/// which no pod can use, so that it never asks for a pod. It is a mean and not a share of the request, so that it needs
/// no request. Without any metric the API server would fill in a target of 80 % cpu.
const NEVER_REACHED: &str = "1k";

/// The bounds of an app that has never been decided on.
pub fn first_bounds(autoscaling: &Autoscaling) -> Bounds {
    let count = |replicas: i32| u32::try_from(replicas).unwrap_or(0);
    Bounds::initial(count(autoscaling.min_replicas), count(autoscaling.max_replicas), policy::pause(autoscaling.pause))
}

/// The bounds that an HPA carries; a pause is not read back, because the spec says it anew.
pub fn bounds_of(hpa: &HorizontalPodAutoscaler) -> Option<Bounds> {
    let spec = hpa.spec.as_ref()?;
    let min = u32::try_from(spec.min_replicas.unwrap_or(1)).ok()?;
    Some(Bounds { min, max: u32::try_from(spec.max_replicas).ok()?, disable_up: false, disable_down: false })
}

/// Whether the HPA has a metric of the user's to scale on.
pub fn has_metric(autoscaling: &Autoscaling) -> bool {
    autoscaling.cpu.is_some() || autoscaling.memory.is_some() || !autoscaling.metrics.is_empty()
}

/// The HPA of `app` in the platform `owner`; none where it has no autoscaling.
pub fn hpa(owner: &Owner, app: &App, bounds: Bounds) -> Option<HorizontalPodAutoscaler> {
    let autoscaling = app.autoscaling.as_ref()?;
    let name = naming::object_name(&owner.key.name, &app.name);
    let count = |replicas: u32| i32::try_from(replicas).unwrap_or(i32::MAX);
    Some(HorizontalPodAutoscaler {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(owner.key.namespace.clone()),
            labels: Some(naming::labels(&owner.key.name, &app.name)),
            owner_references: owner.reference().map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name,
            },
            min_replicas: Some(count(bounds.min)),
            max_replicas: count(bounds.max),
            metrics: Some(metrics(autoscaling)),
            behavior: Some(behavior::written(autoscaling.behavior.as_ref(), bounds.disable_up, bounds.disable_down)),
        }),
        status: None,
    })
}

fn metrics(autoscaling: &Autoscaling) -> Vec<MetricSpec> {
    if !has_metric(autoscaling) {
        let never = ResourceTarget { utilization: None, average_value: Some(Quantity(NEVER_REACHED.to_owned())) };
        return vec![resource("cpu", &never)];
    }
    let own = [("cpu", &autoscaling.cpu), ("memory", &autoscaling.memory)];
    own.into_iter()
        .filter_map(|(name, target)| Some(resource(name, target.as_ref()?)))
        .chain(autoscaling.metrics.iter().cloned())
        .collect()
}

fn resource(name: &str, target: &ResourceTarget) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: name.to_owned(),
            target: MetricTarget {
                type_: if target.utilization.is_some() { "Utilization" } else { "AverageValue" }.to_owned(),
                average_utilization: target.utilization,
                average_value: target.average_value.clone(),
                value: None,
            },
        }),
        ..MetricSpec::default()
    }
}
