//! The one builder of HorizontalPodAutoscalers. Pure; always the whole object, because a partial apply by the same
//! field manager would reset what it leaves out.

use super::behavior;
use crate::naming::{self, Owner};
use crds::tiers::{
    app::App,
    autoscaling::{Autoscaling, ResourceTarget},
};
use decide::Write;
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

/// What a decision writes into an HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `minReplicas`, at least 1: zero goes through the scale subresource.
    pub min: u32,
    /// `maxReplicas`, at least `min`.
    pub max: u32,
    /// Scaling up is paused.
    pub disable_up: bool,
    /// Scaling down is paused.
    pub disable_down: bool,
}

impl Bounds {
    /// Those of an app that has never been decided on: its spec's.
    pub fn initial(autoscaling: &Autoscaling) -> Self {
        use crds::tiers::autoscaling::Pause;
        let min = u32::try_from(autoscaling.min_replicas).unwrap_or(0).max(1);
        Self {
            min,
            max: u32::try_from(autoscaling.max_replicas).unwrap_or(0).max(min),
            disable_up: matches!(autoscaling.pause, Some(Pause::ScaleOut | Pause::All)),
            disable_down: matches!(autoscaling.pause, Some(Pause::ScaleIn | Pause::All)),
        }
    }

    /// The same with a floor of at least the pods that `running`, so that taking over a Deployment moves nothing.
    pub fn raised_to(self, running: u32) -> Self {
        Self { min: self.min.max(running.min(self.max)), ..self }
    }

    /// The same, paused as the spec says.
    pub fn paused_as(self, autoscaling: &Autoscaling) -> Self {
        let Self { disable_up, disable_down, .. } = Self::initial(autoscaling);
        Self { disable_up, disable_down, ..self }
    }

    /// Those of a decision. `floor_before` is the floor written before it, `observed` the count of pods wanted now.
    ///
    /// An app without a metric of its own for the HPA follows its floor by bounds alone: `max` is the floor too, because
    /// between its bounds an HPA without a working metrics API never lowers. The floor obeys `behavior` already, so no
    /// step is too large; only where more pods run than the floor asked for (the spec had a cpu target until now, say)
    /// `max` stays at the cap until the HPA has lowered them by `behavior`.
    pub fn of(autoscaling: &Autoscaling, write: &Write, floor_before: u32, observed: u32) -> Self {
        let min = write.floor.max(1);
        let by_bounds_alone = !has_metric(autoscaling) && observed <= floor_before.max(min);
        Self {
            min,
            max: if by_bounds_alone { min } else { write.cap.max(min) },
            disable_up: write.disable_scale_up,
            disable_down: write.disable_scale_down,
        }
    }
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
