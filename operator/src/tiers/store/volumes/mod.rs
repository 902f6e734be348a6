//! The volumes of stores whose data shall stay. A namespace that is deleted takes its claims along, and they the volumes, whose
//! reclaim policy is mostly `Delete`. So each volume gets the policy `Retain`, and carries what finds it again and what the
//! store's record says of its data. Pure; the requests are in [`crate::volumes`].
//!
//! Volumes of a database's replicas are left as they are: they hold copies, are cloned anew, and go with their claims when
//! there are fewer replicas. A cache's pods have no fixed roles, so that each of its volumes may hold the only copy.

pub mod found;

use super::{RETAINED, SHARD, StoreTier, TIER, made_for, record};
use crate::{
    kinds::Kind,
    naming::{COMPONENT, INSTANCE, MANAGED_BY, NAME, PART_OF, PlatformKey, children_of},
    tiers::{Children, cache, database, database::in_cluster::objects::ROLE},
    validate::ValidPlatform,
};
use crds::tiers::in_cluster::DeletionPolicy;
use k8s_openapi::api::core::v1::PersistentVolume;
use kube::{ResourceExt, core::DynamicObject};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The kind in errors and metrics.
pub const KIND: &str = "PersistentVolume";
/// Label of a volume: the namespace of its claim.
pub const NAMESPACE: &str = "learningplatform.dev/namespace";
/// Label of a volume: the name of its claim.
pub const CLAIM: &str = "learningplatform.dev/claim";
/// Annotation of a volume: the record of its store, as JSON. The one in the namespace goes with the namespace.
pub const RECORD: &str = "learningplatform.dev/record";
/// Annotation of a volume: the reclaim policy that it had before it got `Retain`.
pub const RECLAIM_POLICY: &str = "learningplatform.dev/reclaim-policy";

/// The reclaim policy of volumes that outlive their claims.
const RETAIN: &str = "Retain";
/// Labels of a claim that its volume carries, too.
const OF_CLAIM: [&str; 8] = [NAME, INSTANCE, COMPONENT, PART_OF, MANAGED_BY, TIER, SHARD, ROLE];

/// A store of a platform: its room, and its name when its data were made.
pub type StoreId = (StoreTier, String);

/// What becomes of a store's volumes when their namespace is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// There are none yet, or it has not been looked.
    #[default]
    Unknown,
    /// They stay.
    Yes,
    /// They go with it, and why.
    No(String),
}

/// Selects the volumes that hold data of a platform.
pub fn selector(platform: &PlatformKey) -> String {
    format!("{},{NAMESPACE}={}", children_of(&platform.name), platform.namespace)
}

/// The stores in the cluster that the spec names, with what is to become of their data.
pub fn named(lp: &ValidPlatform) -> BTreeMap<StoreId, DeletionPolicy> {
    let caches = lp.caches.iter().filter_map(|item| match &item.provider {
        cache::Provider::InCluster(item) => Some((&item.identity, item.spec.deletion_policy)),
        cache::Provider::External(..) | cache::Provider::ElastiCache(_) => None,
    });
    let databases = lp.databases.iter().filter_map(|item| match &item.provider {
        database::Provider::InCluster(item) => Some((&item.identity, item.spec.deletion_policy)),
        // CloudNativePG's volumes are its own, and carry no label of ours.
        database::Provider::External(_) | database::Provider::CloudNativePg(_) | database::Provider::Rds(_) => None,
    });
    let of = |(identity, policy): (&super::Identity, Option<DeletionPolicy>)| {
        ((identity.tier, identity.id.clone()), policy.unwrap_or_default())
    };
    caches.chain(databases).map(of).collect()
}

/// A bound claim of a store, but for those of copies.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The room of the store.
    pub tier: StoreTier,
    /// The store.
    pub id: &'a str,
    /// Name of its volume.
    pub volume: &'a str,
    object: &'a DynamicObject,
}

impl Claim<'_> {
    /// Its store.
    pub fn store(&self) -> StoreId {
        (self.tier, self.id.to_owned())
    }

    /// What is to become of its volume: what the spec says of the store; of one that the spec does not name, what was said of
    /// it when its claims were made.
    pub fn policy(&self, named: &BTreeMap<StoreId, DeletionPolicy>) -> Option<DeletionPolicy> {
        let retained = || super::is_retained(self.object).then_some(DeletionPolicy::Retain);
        named.get(&self.store()).copied().or_else(retained)
    }

    /// Whether a volume is bound to this very claim.
    fn has(&self, volume: &PersistentVolume) -> bool {
        let reference = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        reference.is_some_and(|reference| reference.uid.is_some() && reference.uid == self.object.uid())
    }
}

/// The bound claims of stores.
pub fn claims(children: &Children) -> impl Iterator<Item = Claim<'_>> {
    children.0.iter().filter(|(id, _)| id.kind == Kind::PersistentVolumeClaim).filter_map(|(_, object)| {
        let text = |at: &str| object.data.pointer(at).and_then(Value::as_str);
        let copy = object.labels().get(ROLE).is_some_and(|role| role == database::in_cluster::objects::REPLICA);
        if copy || text("/status/phase") != Some("Bound") {
            return None;
        }
        let tier = StoreTier::of(object)?;
        Some(Claim { tier, id: made_for(object)?, volume: text("/spec/volumeName")?, object })
    })
}

/// The change, as a merge patch, that makes a volume outlive its claim and be found again; None where it is so, or where the
/// volume is no longer that claim's.
pub fn kept(
    platform: &PlatformKey,
    children: &Children,
    claim: &Claim<'_>,
    volume: &PersistentVolume,
) -> Option<Value> {
    if !claim.has(volume) {
        return None;
    }
    let name = claim.object.name_any();
    // A namespace that goes loses its records before its claims: what the volume says of its data stays then.
    let record = holder(claim.tier, &name).and_then(|holder| record::of(children, holder)).map(|mut record| {
        record.remove(record::RESTORED);
        (RECORD.to_owned(), json!(record).to_string())
    });
    let mut labels = of_claim(claim.object.labels());
    labels.extend([(NAMESPACE.to_owned(), platform.namespace.clone()), (CLAIM.to_owned(), name)]);
    let mut annotations: BTreeMap<_, _> = record.into_iter().collect();
    let policy = policy(volume);
    if policy != RETAIN {
        annotations.insert(RECLAIM_POLICY.to_owned(), policy.to_owned());
    }
    let differing = |wanted: BTreeMap<String, String>, present: &BTreeMap<String, String>| {
        let differs = |(key, value): &(String, String)| present.get(key) != Some(value);
        wanted.into_iter().filter(differs).map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>()
    };
    let labels = differing(labels, volume.labels());
    let annotations = differing(annotations, volume.annotations());
    patch(labels, annotations, (policy != RETAIN).then_some(RETAIN))
}

/// The change that lets a volume go with its claim again, as its class has it; None where nothing of ours is on it.
pub fn let_go(claim: &Claim<'_>, volume: &PersistentVolume) -> Option<Value> {
    if !claim.has(volume) || !volume.labels().contains_key(CLAIM) {
        return None;
    }
    let removed = |ours: &[&str], present: &BTreeMap<String, String>| {
        let there = ours.iter().filter(|key| present.contains_key(**key));
        there.map(|key| ((*key).to_owned(), Value::Null)).collect::<Map<_, _>>()
    };
    let ours = [&OF_CLAIM[..], &[RETAINED, NAMESPACE, CLAIM]].concat();
    let former = volume.annotations().get(RECLAIM_POLICY).filter(|_| policy(volume) == RETAIN);
    patch(
        removed(&ours, volume.labels()),
        removed(&[RECORD, RECLAIM_POLICY], volume.annotations()),
        former.map(String::as_str),
    )
}

fn patch(labels: Map<String, Value>, annotations: Map<String, Value>, policy: Option<&str>) -> Option<Value> {
    let mut patch = json!({});
    for (field, changes) in [("labels", labels), ("annotations", annotations)] {
        if !changes.is_empty() {
            patch["metadata"][field] = Value::Object(changes);
        }
    }
    if let Some(policy) = policy {
        patch["spec"]["persistentVolumeReclaimPolicy"] = policy.into();
    }
    patch.as_object().is_some_and(|fields| !fields.is_empty()).then_some(patch)
}

/// The labels that a claim and its volume share.
fn of_claim(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shared = labels.iter().filter(|(key, _)| OF_CLAIM.contains(&key.as_str()));
    let retained = (RETAINED.to_owned(), "true".to_owned());
    shared.map(|(key, value)| (key.clone(), value.clone())).chain([retained]).collect()
}

/// The API server's default is that of volumes made by hand.
fn policy(volume: &PersistentVolume) -> &str {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    policy.unwrap_or(RETAIN)
}

/// What the names of the objects begin with that share a record with a claim: `data-<holder>-s0-1`, `data-<holder>-pg-0`.
fn holder(tier: StoreTier, claim: &str) -> Option<&str> {
    let pod = claim.strip_prefix("data-")?;
    let (set, ordinal) = pod.rsplit_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match tier {
        StoreTier::Cache => set.rsplit_once("-s").filter(|(_, shard)| is_number(shard)).map(|(holder, _)| holder),
        StoreTier::Database => set.strip_suffix("-pg"),
        StoreTier::Cdn => None,
    }
    .filter(|_| is_number(ordinal))
}

#[cfg(test)]
mod tests;
