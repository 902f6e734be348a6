//! What the cluster shows of an app, as the decision core takes it. Pure.

use crds::status::Hold;
use decide::{Duration, HpaMetric, ManualHold, Replicas, Rollout, Time};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus},
    core::v1::Pod,
};
use kube::ResourceExt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::{
    naming::{AppKey, COMPONENT, INSTANCE},
    prometheus::query::Begun,
    tiers::autoscaling::quantity,
};

/// The counts of pods.
pub fn replicas(deployment: &Deployment, hpa: Option<&HorizontalPodAutoscaler>) -> Replicas {
    let count = |number: Option<i32>| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let desired = count(deployment.spec.as_ref().map(|spec| spec.replicas.unwrap_or(1)));
    let ready = count(deployment.status.as_ref().and_then(|status| status.ready_replicas));
    Replicas { desired, ready, pending: desired.saturating_sub(ready), hpa_desired: hpa.and_then(wanted_by) }
}

/// What the HPA wants; none while it is off (at zero pods) or has not looked yet.
fn wanted_by(hpa: &HorizontalPodAutoscaler) -> Option<u32> {
    let status = hpa.status.as_ref()?;
    let off =
        status.conditions.iter().flatten().any(|condition| {
            condition.type_ == "ScalingActive" && condition.reason.as_deref() == Some("ScalingDisabled")
        });
    u32::try_from(status.desired_replicas).ok().filter(|desired| !off && *desired > 0)
}

/// The app of a pod that became Ready after `since`, and when.
pub fn begun(pod: &Pod, since: Time) -> Option<(AppKey, Begun)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    let at = Time::from(ready.last_transition_time.as_ref()?.0);
    if at <= since {
        return None;
    }
    let label = |name: &str| pod.labels().get(name).cloned();
    let key = AppKey { namespace: pod.namespace()?, platform: label(INSTANCE)?, app: label(COMPONENT)? };
    Some((key, Begun { name: pod.name_any(), at }))
}

/// A hash of the pod template, to tell a change of it from a change of the count.
pub fn template_hash(deployment: &Deployment) -> u64 {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&template).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

/// Whether the Deployment's controller has seen the latest spec.
pub fn is_observed(deployment: &Deployment) -> bool {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    observed >= deployment.metadata.generation
}

/// The state of a rolling update. `observed_template` is the hash of the template that the Deployment's controller has
/// seen last, where known.
pub fn rollout(deployment: &Deployment, observed_template: Option<u64>) -> Rollout {
    let Some(status) = &deployment.status else { return Rollout::default() };
    let (replicas, updated) = (status.replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0));
    let unobserved =
        !is_observed(deployment) && observed_template.is_some_and(|seen| seen != template_hash(deployment));
    let stuck = status.conditions.iter().flatten().any(|condition| {
        condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    });
    let deadline = deployment.spec.as_ref().and_then(|spec| u64::try_from(spec.progress_deadline_seconds?).ok());
    Rollout {
        active: updated < replicas,
        unobserved,
        stuck,
        updated: u32::try_from(updated).unwrap_or(0),
        deadline: deadline.map(Duration::from_secs),
    }
}

/// What the HPA's own metrics read beside their targets.
pub fn hpa_metrics(hpa: &HorizontalPodAutoscaler) -> Vec<HpaMetric> {
    let specs = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    let current: Vec<_> = hpa.status.iter().flat_map(|status| status.current_metrics.iter().flatten()).collect();
    specs
        .filter_map(|spec| {
            let (name, target) = spec_of(spec)?;
            let current = current.iter().find_map(|status| status_of(status).filter(|(n, _)| *n == name))?.1;
            let (current, target) = if let Some(target) = target.average_utilization {
                (f64::from(current.average_utilization?), f64::from(target))
            } else if let Some(target) = &target.average_value {
                (quantity::number(current.average_value.as_ref()?)?, quantity::number(target)?)
            } else {
                (quantity::number(current.value.as_ref()?)?, quantity::number(target.value.as_ref()?)?)
            };
            Some(HpaMetric { name: name.into(), current, target })
        })
        .collect()
}

fn spec_of(spec: &MetricSpec) -> Option<(&str, &MetricTarget)> {
    None.or_else(|| spec.resource.as_ref().map(|m| (m.name.as_str(), &m.target)))
        .or_else(|| spec.container_resource.as_ref().map(|m| (m.name.as_str(), &m.target)))
        .or_else(|| spec.pods.as_ref().map(|m| (m.metric.name.as_str(), &m.target)))
        .or_else(|| spec.object.as_ref().map(|m| (m.metric.name.as_str(), &m.target)))
        .or_else(|| spec.external.as_ref().map(|m| (m.metric.name.as_str(), &m.target)))
}

fn status_of(status: &MetricStatus) -> Option<(&str, &MetricValueStatus)> {
    None.or_else(|| status.resource.as_ref().map(|m| (m.name.as_str(), &m.current)))
        .or_else(|| status.container_resource.as_ref().map(|m| (m.name.as_str(), &m.current)))
        .or_else(|| status.pods.as_ref().map(|m| (m.metric.name.as_str(), &m.current)))
        .or_else(|| status.object.as_ref().map(|m| (m.metric.name.as_str(), &m.current)))
        .or_else(|| status.external.as_ref().map(|m| (m.metric.name.as_str(), &m.current)))
}

/// The manual hold that an annotation asks for.
///
/// # Errors
/// What is wrong with the annotation's value.
pub fn hold(value: &str) -> Result<(Hold, ManualHold), String> {
    let hold: Hold = serde_json::from_str(value).map_err(|error| {
        format!("is not a hold ({error}); write {{\"floor\": 30, \"until\": \"2026-12-01T10:00:00Z\", \"reason\": \"exam\"}}")
    })?;
    let until: jiff::Timestamp =
        hold.until.parse().map_err(|_| "until is no RFC 3339 time such as 2026-12-01T10:00:00Z".to_owned())?;
    let floor = u32::try_from(hold.floor).map_err(|_| "floor must be at least 0".to_owned())?;
    let by = (!hold.by.is_empty()).then(|| hold.by.as_str().into());
    let manual = ManualHold { floor, until: Time::from(until), reason: hold.reason.as_str().into(), by };
    Ok((hold, manual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn deployment(value: Value) -> Deployment {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_plain_scale_out_is_no_rollout() {
        let before = deployment(
            json!({"metadata": {"generation": 1}, "spec": {"replicas": 3, "selector": {}, "template": {"spec": {"containers": []}}},
            "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}}),
        );
        let seen = Some(template_hash(&before));
        let scaled = deployment(
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 9, "selector": {}, "template": {"spec": {"containers": []}}},
            "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}}),
        );
        assert!(!rollout(&scaled, seen).under_way());
        let changed = deployment(json!({"metadata": {"generation": 2},
            "spec": {"replicas": 3, "selector": {}, "template": {"metadata": {"labels": {"v": "2"}}, "spec": {"containers": []}}},
            "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}}));
        assert!(rollout(&changed, seen).unobserved);
        let rolling = deployment(json!({"metadata": {"generation": 2}, "spec": {"selector": {}, "template": {}},
            "status": {"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1}}));
        assert!(rollout(&rolling, None).active);
    }

    #[test]
    fn a_pod_has_begun_when_it_became_ready() {
        let pod = |status: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "story-web-1", "namespace": "school", "labels": {INSTANCE: "story", COMPONENT: "web"}},
                "status": {"conditions": [
                    {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-12-01T10:00:00Z"},
                    {"type": "Ready", "status": status, "lastTransitionTime": "2026-12-01T10:00:07Z"}]}}))
            .unwrap()
        };
        let (key, found) = begun(&pod("True"), Time::from_secs(0)).unwrap();
        assert_eq!((key.to_string().as_str(), found.name.as_str()), ("school/story/web", "story-web-1"));
        assert_eq!(found.at.to_string(), "2026-12-01T10:00:07Z");
        assert_eq!(begun(&pod("True"), found.at), None);
        assert_eq!(begun(&pod("False"), Time::from_secs(0)), None);
    }

    #[test]
    fn counts_of_pods() {
        let running = deployment(
            json!({"spec": {"replicas": 5, "selector": {}, "template": {}}, "status": {"readyReplicas": 3}}),
        );
        let hpa: HorizontalPodAutoscaler = serde_json::from_value(
            json!({"spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
            "status": {"desiredReplicas": 7, "conditions": []}}),
        )
        .unwrap();
        assert_eq!(replicas(&running, Some(&hpa)), Replicas { desired: 5, ready: 3, pending: 2, hpa_desired: Some(7) });
        let off: HorizontalPodAutoscaler = serde_json::from_value(json!({"spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
            "status": {"desiredReplicas": 7, "conditions": [{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}]}})).unwrap();
        assert_eq!(replicas(&running, Some(&off)).hpa_desired, None);
    }

    #[test]
    fn metrics_of_the_hpa_stand_beside_their_targets() {
        let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
            "spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "x"}, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}]},
            "status": {"desiredReplicas": 7, "currentMetrics": [
                {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "512Mi"}}},
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 35, "averageValue": "10m"}}}]}})).unwrap();
        let found: Vec<_> = hpa_metrics(&hpa).into_iter().map(|m| (m.name.to_string(), m.current / m.target)).collect();
        assert_eq!(found, vec![("cpu".to_owned(), 0.5), ("memory".to_owned(), 0.5)]);
    }

    #[test]
    fn a_hold_is_read_or_refused_with_a_reason() {
        let (_, manual) = hold(r#"{"floor":30,"until":"2026-12-01T10:00:00Z","reason":"exam","by":"ana"}"#).unwrap();
        assert_eq!((manual.floor, manual.until.to_string().as_str()), (30, "2026-12-01T10:00:00Z"));
        for bad in [
            "x",
            r#"{"floor":1}"#,
            r#"{"floor":1,"until":"tomorrow"}"#,
            r#"{"floor":-1,"until":"2026-12-01T10:00:00Z"}"#,
        ] {
            assert!(hold(bad).is_err(), "{bad}");
        }
    }
}
