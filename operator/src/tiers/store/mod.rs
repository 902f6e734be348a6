//! What the stores that run in the cluster have in common: identity, pods, the Secret of their passwords, the record of their
//! data, and what becomes of data that nobody names any more.

pub mod auth;
pub mod exporter;
pub mod growth;
pub mod left_behind;
pub mod pods;
pub mod record;
pub mod rotation;
pub mod tls;
pub mod told;
pub mod volumes;

use crate::{
    context::Context,
    kinds::Kind,
    naming::{self, COMPONENT, object_name},
    tiers::Children,
    validate::ValidPlatform,
};
use crds::tiers::in_cluster::DeletionPolicy;
use decide::tier_size::Asked;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use std::{collections::BTreeMap, fmt};

/// Label: to which room the objects of a store belong, `cache` or `database`.
pub const TIER: &str = "learningplatform.dev/tier";
/// Label: the shard of a store, from 0.
pub const SHARD: &str = "learningplatform.dev/shard";
/// Label: the object stays when the platform is deleted.
pub const RETAINED: &str = "learningplatform.dev/retained";
/// Annotation of a pod template: changes with the settings of the server, so that its pods are replaced when they do.
pub const SETTINGS: &str = "learningplatform.dev/settings";

/// The room of a store, or of what is kept in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreTier {
    /// Redis and Valkey.
    Cache,
    /// PostgreSQL.
    Database,
    /// Distributions, which hold no data.
    Cdn,
}

impl StoreTier {
    /// The value of [`TIER`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Database => "database",
            Self::Cdn => "cdn",
        }
    }

    /// The room that an object was made in, by its labels.
    pub fn of(object: &impl ResourceExt) -> Option<Self> {
        let label = object.labels().get(TIER)?;
        [Self::Cache, Self::Database, Self::Cdn].into_iter().find(|tier| tier.as_str() == label)
    }
}

impl fmt::Display for StoreTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which store it is, for good: its data are found again by it, whatever becomes of the resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Name of the platform.
    pub platform: String,
    /// Name of the item when its data were made.
    pub id: String,
    /// Its room.
    pub tier: StoreTier,
}

impl Identity {
    /// What its objects' names begin with: `<platform>-<id>`.
    pub fn object_name(&self) -> String {
        object_name(&self.platform, &self.id)
    }

    /// The labels of everything that is made for it.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = naming::labels(&self.platform, &self.id);
        labels.insert(TIER.to_owned(), self.tier.as_str().to_owned());
        labels
    }

    /// The labels that select its pods.
    pub fn selector(&self) -> BTreeMap<String, String> {
        naming::selector(&self.platform, &self.id)
    }

    /// The labels of what holds data, or what is needed to read them.
    pub fn data_labels(&self, policy: DeletionPolicy) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        if policy == DeletionPolicy::Retain {
            labels.insert(RETAINED.to_owned(), "true".to_owned());
        }
        labels
    }
}

/// Label of the pods that use an item: its servers let them in.
pub fn uses_label(item: &str) -> String {
    format!("{USES}{item}")
}

/// Whether a label is one of those.
pub fn is_uses_label(label: &str) -> bool {
    label.starts_with(USES)
}

const USES: &str = "learningplatform.dev/uses-";

/// The operator, wherever it runs, as a peer in a NetworkPolicy.
pub(super) fn operator_peer() -> serde_json::Value {
    serde_json::json!({
        "namespaceSelector": {},
        "podSelector": { "matchLabels": { "app.kubernetes.io/name": "learningplatform-operator" } },
    })
}

/// Whether an object stays when the platform is deleted.
pub fn is_retained(object: &impl ResourceExt) -> bool {
    object.labels().contains_key(RETAINED)
}

/// The store that an object was made for, by its labels.
pub fn made_for(object: &impl ResourceExt) -> Option<&str> {
    object.labels().get(TIER)?;
    object.labels().get(COMPONENT).map(String::as_str)
}

/// The newest revision of each StatefulSet of a store; none of any as long as the controller has not seen the newest form of one: a
/// primary whose replicas do not look outdated yet would be restarted before them.
pub fn revisions(children: &Children, id: &str) -> BTreeMap<String, String> {
    let sets = children.of(id).into_iter().filter(|object| object.kind == Kind::StatefulSet);
    let revision = |name: &str| {
        let set: StatefulSet = children.typed(Kind::StatefulSet, name)?;
        let status = set.status?;
        let current = status.observed_generation == set.metadata.generation;
        status.update_revision.filter(|_| current)
    };
    let all: Option<BTreeMap<_, _>> = sets.map(|set| Some((set.name.clone(), revision(&set.name)?))).collect();
    all.unwrap_or_default()
}

/// Whether the controller of each StatefulSet of a store has seen its newest form.
pub fn rolled(children: &Children, id: &str) -> bool {
    let sets = children.of(id).into_iter().filter(|object| object.kind == Kind::StatefulSet).count();
    revisions(children, id).len() == sets
}

/// With one label more.
pub(super) fn with(mut labels: BTreeMap<String, String>, name: &str, value: impl ToString) -> BTreeMap<String, String> {
    labels.insert(name.to_owned(), value.to_string());
    labels
}

/// A word that changes with a text, for pod templates. Not for secrets.
pub(super) fn digest(text: &str) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// An app of the platform that is slow because of the server of this name, as the evaluation calls it.
pub fn asked(ctx: &Context, lp: &ValidPlatform, server: &str) -> Option<Asked> {
    lp.apps.iter().find_map(|app| {
        let shown = ctx.scaling.get(&app.key)?.published.bottleneck.as_ref()?.shown.clone()?;
        (*shown.tier == *server).then(|| Asked { app: app.key.app.as_str().into(), figure: shown.figure })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ObjectId;
    use kube::core::DynamicObject;
    use serde_json::json;

    /// A StatefulSet of the store `main` in its second form, of which its controller has seen the `observed` one.
    fn set(name: &str, observed: i64) -> (ObjectId, DynamicObject) {
        let object = Kind::StatefulSet
            .object(&json!({
                "metadata": {"name": name, "generation": 2, "labels": {(COMPONENT): "main"}},
                "spec": {"serviceName": name, "selector": {}, "template": {}},
                "status": {"replicas": 1, "observedGeneration": observed, "updateRevision": format!("{name}-{observed}")},
            }))
            .expect("an object");
        (ObjectId { kind: Kind::StatefulSet, name: name.to_owned() }, object)
    }

    #[test]
    fn revisions_are_known_of_all_sets_or_of_none() {
        let found = |sets: [(ObjectId, DynamicObject); 2]| {
            let children = Children(sets.into());
            (revisions(&children, "main"), rolled(&children, "main"))
        };
        let all = BTreeMap::from([("pg".to_owned(), "pg-2".to_owned()), ("ro".to_owned(), "ro-2".to_owned())]);
        assert_eq!(found([set("pg", 2), set("ro", 2)]), (all, true));
        // The replicas' pods would not look outdated, and the primary be restarted before them.
        assert_eq!(found([set("pg", 2), set("ro", 1)]), (BTreeMap::new(), false));
    }
}
