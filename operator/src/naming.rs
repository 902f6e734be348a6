//! Names, identities, labels, selectors, owners and field managers: each has its one home here.

use crds::LearningPlatform;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use std::{collections::BTreeMap, fmt};

/// Label: what the object is, the app's name.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label: the platform's name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: the item (the app) that the object was made for.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: the platform's name, as the larger thing the object belongs to.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Label: who manages the object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGER: &str = "learningplatform";
/// Selects what the operator made.
pub const MANAGED: &str = "app.kubernetes.io/managed-by=learningplatform";

/// Who owns a field in server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldManager {
    /// All children but HPAs; of a Deployment everything but `replicas`.
    Main,
    /// The HPA whole, and a Deployment's `replicas`.
    Scale,
    /// The status of the platform.
    Status,
    /// What holds a platform back from being gone.
    Finalizer,
}

impl FieldManager {
    /// The name that the API server records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "learningplatform",
            Self::Scale => "learningplatform/scale",
            Self::Status => "learningplatform/status",
            Self::Finalizer => "learningplatform/finalizer",
        }
    }
}

/// Identity of a platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformKey {
    /// Namespace of the platform and of all its children.
    pub namespace: String,
    /// Name of the platform.
    pub name: String,
}

impl PlatformKey {
    /// The identity of a resource.
    pub fn of(platform: &impl ResourceExt) -> Self {
        Self { namespace: platform.namespace().unwrap_or_default(), name: platform.name_any() }
    }

    /// The platform that owns a child; where nobody owns it (a pod's owner is its ReplicaSet) the one that its labels
    /// name. Labels alone would not do: somebody may have changed them.
    pub fn of_child(child: &impl ResourceExt) -> Option<Self> {
        let kind = LearningPlatform::kind(&());
        let owner = child.owner_references().iter().find(|owner| owner.controller == Some(true) && owner.kind == kind);
        let name = owner.map(|owner| &owner.name).or_else(|| child.labels().get(INSTANCE))?.clone();
        Some(Self { namespace: child.namespace()?, name })
    }

    /// A reference for the controller's queue.
    pub fn object_ref<K>(&self) -> ObjectRef<K>
    where
        K: Resource,
        K::DynamicType: Default + Eq + std::hash::Hash + Clone,
    {
        ObjectRef::new(&self.name).within(&self.namespace)
    }

    /// The identity of one of its apps.
    pub fn app(&self, app: &str) -> AppKey {
        AppKey { namespace: self.namespace.clone(), platform: self.name.clone(), app: app.to_owned() }
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Identity of an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey {
    /// Namespace.
    pub namespace: String,
    /// Name of the platform.
    pub platform: String,
    /// Name of the app.
    pub app: String,
}

impl AppKey {
    /// The platform it belongs to.
    pub fn platform_key(&self) -> PlatformKey {
        PlatformKey { namespace: self.namespace.clone(), name: self.platform.clone() }
    }

    /// The name of its objects: `<platform>-<app>`.
    pub fn object_name(&self) -> String {
        object_name(&self.platform, &self.app)
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.platform, self.app)
    }
}

/// The name of an app's objects: `<platform>-<app>`.
pub fn object_name(platform: &str, app: &str) -> String {
    format!("{platform}-{app}")
}

/// The labels of every child.
pub fn labels(platform: &str, app: &str) -> BTreeMap<String, String> {
    [(NAME, app), (INSTANCE, platform), (COMPONENT, app), (PART_OF, platform), (MANAGED_BY, MANAGER)]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// The labels that select an app's pods. They are immutable in a Deployment, so they never change.
pub fn selector(platform: &str, app: &str) -> BTreeMap<String, String> {
    [(INSTANCE, platform), (COMPONENT, app), (MANAGED_BY, MANAGER)]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

/// A label selector for all children of a platform.
pub fn children_of(platform: &str) -> String {
    format!("{MANAGED_BY}={MANAGER},{INSTANCE}={platform}")
}

/// Who owns the children: one platform, by its UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Namespace and name.
    pub key: PlatformKey,
    /// UID; empty for a platform that no server has seen (offline rendering).
    pub uid: String,
}

impl Owner {
    /// The owner that a resource is.
    pub fn of(platform: &LearningPlatform) -> Self {
        Self { key: PlatformKey::of(platform), uid: platform.uid().unwrap_or_default() }
    }

    /// The one owner reference that every child carries; none offline, where there is no UID. Owners and children share
    /// a namespace always: a child of an owner elsewhere would be collected.
    pub fn reference(&self) -> Option<OwnerReference> {
        (!self.uid.is_empty()).then(|| OwnerReference {
            api_version: LearningPlatform::api_version(&()).into_owned(),
            kind: LearningPlatform::kind(&()).into_owned(),
            name: self.key.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    #[test]
    fn a_child_wakes_its_owner_whatever_its_labels_say() {
        let child = |owners: serde_json::Value| -> Service {
            serde_json::from_value(json!({ "metadata": {
                "name": "x", "namespace": "n", "labels": { INSTANCE: "other" }, "ownerReferences": owners,
            } }))
            .unwrap()
        };
        let reference =
            |kind: &str| json!([{ "apiVersion": "v", "kind": kind, "name": "story", "uid": "u", "controller": true }]);
        assert_eq!(PlatformKey::of_child(&child(reference("LearningPlatform"))).unwrap().name, "story");
        assert_eq!(PlatformKey::of_child(&child(reference("ReplicaSet"))).unwrap().name, "other");
        assert_eq!(PlatformKey::of_child(&child(json!([]))).unwrap().name, "other");
    }

    #[test]
    fn selectors_are_part_of_the_labels() {
        let labels = labels("story", "web");
        assert!(selector("story", "web").iter().all(|(k, v)| labels.get(k) == Some(v)));
    }
}
