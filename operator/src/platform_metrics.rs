//! What the platforms say of themselves, as metrics: read from the stores at each scrape, so that nothing has to be kept in
//! step and a platform that is gone leaves nothing behind. Every replica exports it.

use crate::{
    naming::{COMPONENT, INSTANCE},
    stores::Stores,
};
use crds::{
    LearningPlatform,
    status::{ConditionType, Reason, StoreStatus},
};
use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{ResourceExt, core::error_boundary::InvalidObject};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::{collections::BTreeMap, fmt};

/// The conditions of platforms and apps, and the pods that find no node.
pub struct PlatformMetrics {
    stores: Stores,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlatformCondition {
    namespace: String,
    platform: String,
    r#type: String,
    status: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AppCondition {
    namespace: String,
    platform: String,
    app: String,
    r#type: String,
    status: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreCondition {
    namespace: String,
    platform: String,
    tier: &'static str,
    store: String,
    r#type: String,
    status: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreBackup {
    namespace: String,
    platform: String,
    tier: &'static str,
    store: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct App {
    namespace: String,
    platform: String,
    app: String,
}

impl PlatformMetrics {
    /// Reads from these stores.
    pub fn new(stores: Stores) -> Self {
        Self { stores }
    }
}

impl fmt::Debug for PlatformMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformMetrics")
    }
}

impl Collector for PlatformMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.stores.platforms.state();
        let platforms: Vec<&LearningPlatform> = all.iter().filter_map(|guarded| guarded.0.as_ref().ok()).collect();
        let invalid = all.iter().filter_map(|guarded| Some(of_invalid(guarded.0.as_ref().err()?)));
        let read = platforms.iter().flat_map(|platform| of_platform(platform));
        let conditions = read.chain(invalid).map(|labels| (labels, 1));
        family(&mut encoder, "platform_condition", "1 for each condition of a platform as it is now", conditions)?;
        let conditions = platforms.iter().flat_map(|platform| of_apps(platform)).map(|labels| (labels, 1));
        family(&mut encoder, "app_condition", "1 for each condition of an app as it is now", conditions)?;
        let conditions = platforms.iter().flat_map(|platform| of_stores(platform)).map(|labels| (labels, 1));
        family(
            &mut encoder,
            "store_condition",
            "1 for each condition of a cache, database or CDN as it is now",
            conditions,
        )?;
        family(
            &mut encoder,
            "store_backup_timestamp_seconds",
            "When the last backup of a database was complete",
            platforms.iter().flat_map(|platform| of_backups(platform)),
        )?;
        let pods = self.stores.pods.state();
        let counts = unschedulable(pods.iter().map(AsRef::as_ref));
        family(&mut encoder, "app_pods_unschedulable", "Pods for which the scheduler finds no node", counts)
    }
}

/// A gauge with its series; none where there are no series.
fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = (L, i64)>,
) -> fmt::Result {
    let mut series = series.into_iter().peekable();
    if series.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn of_platform(platform: &LearningPlatform) -> Vec<PlatformCondition> {
    let conditions = platform.status.iter().flat_map(|status| &status.conditions);
    let labels = |condition: &Condition| PlatformCondition {
        namespace: platform.namespace().unwrap_or_default(),
        platform: platform.name_any(),
        r#type: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
    };
    conditions.map(labels).collect()
}

/// A platform that cannot be read says nothing of itself: what a pass tells in its status.
fn of_invalid(platform: &InvalidObject) -> PlatformCondition {
    PlatformCondition {
        namespace: platform.metadata.namespace.clone().unwrap_or_default(),
        platform: platform.metadata.name.clone().unwrap_or_default(),
        r#type: ConditionType::Ready.as_str().to_owned(),
        status: "False".to_owned(),
        reason: Reason::InvalidSpec.as_str().to_owned(),
    }
}

fn of_apps(platform: &LearningPlatform) -> Vec<AppCondition> {
    let apps = platform.status.iter().flat_map(|status| &status.apps);
    let conditions = apps.flat_map(|app| app.conditions.iter().map(move |condition| (app, condition)));
    let labels = |(app, condition): (&crds::status::AppStatus, &Condition)| AppCondition {
        namespace: platform.namespace().unwrap_or_default(),
        platform: platform.name_any(),
        app: app.name.clone(),
        r#type: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
    };
    conditions.map(labels).collect()
}

fn of_stores(platform: &LearningPlatform) -> Vec<StoreCondition> {
    let status = platform.status.iter();
    let stores = status.flat_map(|status| {
        let of =
            |tier: &'static str| move |store: &'_ StoreStatus| (tier, store.name.clone(), store.conditions.clone());
        let cdns = status.cdns.iter().map(|cdn| ("cdn", cdn.name.clone(), cdn.conditions.clone()));
        status.caches.iter().map(of("cache")).chain(status.databases.iter().map(of("database"))).chain(cdns)
    });
    let conditions = stores.flat_map(|(tier, store, all)| all.into_iter().map(move |c| (tier, store.clone(), c)));
    let labels = |(tier, store, condition): (&'static str, String, Condition)| StoreCondition {
        namespace: platform.namespace().unwrap_or_default(),
        platform: platform.name_any(),
        tier,
        store,
        r#type: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
    };
    conditions.map(labels).collect()
}

/// The end of the newest backup of each database that has one.
fn of_backups(platform: &LearningPlatform) -> Vec<(StoreBackup, i64)> {
    let stores = platform.status.iter().flat_map(|status| &status.databases);
    let ended = stores.filter_map(|store| {
        let own = store.backup.as_ref().and_then(|backup| Some(&backup.backups.first()?.ended));
        let delegated = || store.backup_window.as_ref()?.last.as_ref();
        let ended: Timestamp = own.or_else(delegated)?.parse().ok()?;
        let labels = StoreBackup {
            namespace: platform.namespace().unwrap_or_default(),
            platform: platform.name_any(),
            tier: "database",
            store: store.name.clone(),
        };
        Some((labels, ended.as_second()))
    });
    ended.collect()
}

/// Pods without a node, by app; apps whose pods all have one are counted as 0.
fn unschedulable<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<App, i64> {
    let mut counts = BTreeMap::new();
    for pod in pods {
        let label = |name: &str| pod.labels().get(name).cloned().unwrap_or_default();
        let app =
            App { namespace: pod.namespace().unwrap_or_default(), platform: label(INSTANCE), app: label(COMPONENT) };
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let waits = conditions.into_iter().any(|condition| {
            condition.type_ == "PodScheduled"
                && condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
        });
        *counts.entry(app).or_default() += i64::from(waits);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use kube::{core::DeserializeGuard, runtime::watcher::Event};
    use serde_json::{Value, json};

    fn condition(type_: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": type_, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-09-01T08:00:00Z",
        })
    }

    fn pod(name: &str, reason: Option<&str>) -> Value {
        let status = if reason.is_some() { "False" } else { "True" };
        json!({
            "metadata": {"name": name, "namespace": "school", "labels": {INSTANCE: "story", COMPONENT: "web"}},
            "status": {"conditions": [{"type": "PodScheduled", "status": status, "reason": reason}]},
        })
    }

    #[test]
    fn conditions_and_waiting_pods_are_exposed_and_go_with_the_platform() {
        let (stores, mut writers) = Stores::new();
        let metrics = Metrics::default();
        metrics.register(|r| r.register_collector(Box::new(PlatformMetrics::new(stores))));
        let platform: DeserializeGuard<LearningPlatform> = serde_json::from_value(json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": "story", "namespace": "school"},
            "spec": {"apps": [{"name": "web", "image": "web"}]},
            "status": {
                "conditions": [condition("Ready", "False", "DependencyNotReady")],
                "apps": [{"name": "web", "conditions": [condition("MetricsAvailable", "False", "NoSeries")]}],
                "databases": [{"name": "main", "backup": {"claim": "c", "backups": [
                    {"name": "b", "ended": "2026-11-02T03:00:09Z", "bytes": 7}, {"name": "a", "ended": "2026-11-01T03:00:09Z", "bytes": 7},
                ]}, "conditions": [condition("DatabaseReady", "False", "NotFound")]}],
                "cdns": [{"name": "edge", "conditions": [condition("CdnReady", "True", "Succeeded")]}],
            },
        }))
        .unwrap();
        writers.platforms.apply_watcher_event(&Event::Apply(platform.clone()));
        for (name, reason) in [("a", None), ("b", Some("Unschedulable")), ("c", Some("SchedulingGated"))] {
            let pod: Pod = serde_json::from_value(pod(name, reason)).unwrap();
            writers.pods.apply_watcher_event(&Event::Apply(pod));
        }
        let text = metrics.render().unwrap();
        for line in [
            r#"learningplatform_operator_platform_condition{namespace="school",platform="story",type="Ready",status="False",reason="DependencyNotReady"} 1"#,
            r#"learningplatform_operator_app_condition{namespace="school",platform="story",app="web",type="MetricsAvailable",status="False",reason="NoSeries"} 1"#,
            r#"learningplatform_operator_store_condition{namespace="school",platform="story",tier="database",store="main",type="DatabaseReady",status="False",reason="NotFound"} 1"#,
            r#"learningplatform_operator_store_condition{namespace="school",platform="story",tier="cdn",store="edge",type="CdnReady",status="True",reason="Succeeded"} 1"#,
            r#"learningplatform_operator_store_backup_timestamp_seconds{namespace="school",platform="story",tier="database",store="main"} 1793588409"#,
            r#"learningplatform_operator_app_pods_unschedulable{namespace="school",platform="story",app="web"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }

        let mut broken = serde_json::to_value(platform.0.as_ref().unwrap()).unwrap();
        broken["spec"]["apps"] = json!("none");
        broken["metadata"]["name"] = json!("broken");
        let broken: DeserializeGuard<LearningPlatform> = serde_json::from_value(broken).unwrap();
        writers.platforms.apply_watcher_event(&Event::Apply(broken));
        let text = metrics.render().unwrap();
        let line = r#"learningplatform_operator_platform_condition{namespace="school",platform="broken",type="Ready",status="False",reason="InvalidSpec"} 1"#;
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");

        writers.platforms.apply_watcher_event(&Event::Delete(platform));
        assert!(!metrics.render().unwrap().contains("DependencyNotReady"));
    }
}
