//! The kinds of objects the operator makes: the one table that watches, pruning, inventory and RBAC read.

use crate::naming::Owner;
use kube::{
    ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde::Serialize;
use std::fmt;

/// A kind of child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1; those that the operator writes
    Secret,
    /// cert-manager.io/v1, optional; what writes the Secret with the certificates of a store
    CertManagerCertificate,
    /// v1
    ConfigMap,
    /// v1; made by StatefulSets, or for volumes that are there, and only ever enlarged
    PersistentVolumeClaim,
    /// apps/v1
    StatefulSet,
    /// barmancloud.cnpg.io/v1, optional; where CloudNativePG's plugin keeps the backups of a database
    BarmanObjectStore,
    /// postgresql.cnpg.io/v1, optional; PostgreSQL as CloudNativePG runs it
    CloudNativePgCluster,
    /// postgresql.cnpg.io/v1, optional; when CloudNativePG backs a database up
    CloudNativePgScheduledBackup,
    /// batch/v1
    Job,
    /// apps/v1
    Deployment,
    /// v1
    Service,
    /// networking.k8s.io/v1
    NetworkPolicy,
    /// policy/v1
    PodDisruptionBudget,
    /// gateway.networking.k8s.io/v1, optional
    HttpRoute,
    /// networking.k8s.io/v1
    Ingress,
    /// monitoring.coreos.com/v1, optional
    PodMonitor,
    /// batch/v1
    CronJob,
    /// snapshot.storage.k8s.io/v1, optional; a backup of a database's volume
    VolumeSnapshot,
    /// autoscaling/v2
    HorizontalPodAutoscaler,
}

impl Kind {
    /// Every kind, in the order of application: what pods need before them, what sends requests to them after.
    pub const ALL: [Self; 19] = [
        Self::Secret,
        Self::CertManagerCertificate,
        Self::ConfigMap,
        Self::PersistentVolumeClaim,
        Self::StatefulSet,
        Self::BarmanObjectStore,
        Self::CloudNativePgCluster,
        Self::CloudNativePgScheduledBackup,
        Self::Job,
        Self::Deployment,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::HttpRoute,
        Self::Ingress,
        Self::PodMonitor,
        Self::CronJob,
        Self::VolumeSnapshot,
        Self::HorizontalPodAutoscaler,
    ];

    /// Group, version, kind, plural.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Secret => ("", "v1", "Secret", "secrets"),
            Self::CertManagerCertificate => ("cert-manager.io", "v1", "Certificate", "certificates"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::PersistentVolumeClaim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
            Self::BarmanObjectStore => ("barmancloud.cnpg.io", "v1", "ObjectStore", "objectstores"),
            Self::CloudNativePgCluster => ("postgresql.cnpg.io", "v1", "Cluster", "clusters"),
            Self::CloudNativePgScheduledBackup => ("postgresql.cnpg.io", "v1", "ScheduledBackup", "scheduledbackups"),
            Self::Job => ("batch", "v1", "Job", "jobs"),
            Self::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Self::Service => ("", "v1", "Service", "services"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
            Self::PodDisruptionBudget => ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
            Self::Ingress => ("networking.k8s.io", "v1", "Ingress", "ingresses"),
            Self::PodMonitor => ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
            Self::CronJob => ("batch", "v1", "CronJob", "cronjobs"),
            Self::VolumeSnapshot => ("snapshot.storage.k8s.io", "v1", "VolumeSnapshot", "volumesnapshots"),
            Self::HorizontalPodAutoscaler => {
                ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
            }
        }
    }

    /// The API group, empty for the core one.
    pub fn group(self) -> &'static str {
        self.names().0
    }

    /// The API version without the group.
    pub fn version(self) -> &'static str {
        self.names().1
    }

    /// The name in URLs and RBAC rules.
    pub fn plural(self) -> &'static str {
        self.names().3
    }

    /// The name in objects.
    pub fn as_str(self) -> &'static str {
        self.names().2
    }

    /// Where the API server serves it.
    pub fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.names();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// Whether a cluster may lack it.
    pub fn optional(self) -> bool {
        matches!(
            self,
            Self::BarmanObjectStore
                | Self::CertManagerCertificate
                | Self::CloudNativePgCluster
                | Self::CloudNativePgScheduledBackup
                | Self::HttpRoute
                | Self::PodMonitor
                | Self::VolumeSnapshot
        )
    }

    /// The kind of an object, if it is one of ours.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let types = object.types.as_ref()?;
        Self::ALL.into_iter().find(|kind| {
            let resource = kind.resource();
            resource.kind == types.kind && resource.api_version == types.api_version
        })
    }

    /// An object of this kind from anything that serialises as one: `apiVersion` and `kind` set, nulls dropped.
    ///
    /// # Errors
    /// If it does not serialise as an object with metadata; a defect.
    pub fn object(self, value: &impl Serialize) -> Result<DynamicObject, serde_json::Error> {
        let mut value = serde_json::to_value(value)?;
        drop_nulls(&mut value);
        let resource = self.resource();
        value["apiVersion"] = resource.api_version.into();
        value["kind"] = resource.kind.into();
        serde_json::from_value(value)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Removes every field that is null: server-side apply would take it for a wish.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|_, v| !v.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A child's identity inside a platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Kind.
    pub kind: Kind,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// The identity of an object, if its kind is one of ours.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        Some(Self { kind: Kind::of(object)?, name: object.name_any() })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// To whom an existing object belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// To this platform: it is the object's controller.
    Ours,
    /// To nobody, and it carries this platform's labels: an object that was left behind, to be adopted.
    Orphan,
    /// To somebody else, in words.
    Foreign(String),
}

/// To whom an existing object belongs, seen from `owner`.
pub fn belongs(object: &impl ResourceExt, owner: &Owner) -> Belongs {
    use crate::naming::{INSTANCE, MANAGED_BY, MANAGER};
    if let Some(controller) = object.owner_references().iter().find(|r| r.controller == Some(true)) {
        if controller.uid == owner.uid {
            return Belongs::Ours;
        }
        return Belongs::Foreign(format!("{} {}", controller.kind, controller.name));
    }
    let label = |name: &str| object.labels().get(name).map(String::as_str);
    match (label(MANAGED_BY), label(INSTANCE)) {
        (Some(MANAGER), Some(instance)) if instance == owner.key.name => Belongs::Orphan,
        (Some(manager), _) if manager != MANAGER => Belongs::Foreign(manager.to_owned()),
        _ => Belongs::Foreign("somebody else".to_owned()),
    }
}
