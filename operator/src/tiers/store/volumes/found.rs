//! Volumes that have outlived their namespace: the same platform in a namespace of the same name goes on with them. The claims
//! and the record went with the namespace; they are made anew from what the volumes carry, and then all is as if only the
//! resource had been deleted. The passwords are gone: new ones are made, and the servers take them at their start.

use super::{CLAIM, RECORD, StoreId, holder, of_claim};
use crate::{
    kinds::Kind,
    naming::{COMPONENT, PlatformKey},
    tiers::{
        Children,
        store::{
            Identity, StoreTier, auth,
            record::{self, ABANDONED, RESTORED, Record},
        },
    },
};
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume};
use kube::{ResourceExt, core::DynamicObject};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A record that is gone, or that stands beside volumes without claims, and how to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The store.
    pub identity: Identity,
    /// What the names of the record and its pods begin with.
    pub object_name: String,
    /// The record; None where it is there. It comes first: as long as it says that it is restored, the rest is gone on with.
    pub record: Option<Record>,
    /// The volumes that need a claim.
    pub unclaimed: Vec<Unclaimed>,
}

/// A volume that needs a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Unclaimed {
    /// Its name.
    pub volume: String,
    /// The change that lets the claim have it, and no other; holds only for the volume as it was seen.
    pub patch: Option<Value>,
    /// The claim. It names the volume, so that no new one is made for it whatever the scheduler knows by then.
    pub claim: DynamicObject,
}

/// What there is to go on with, by store and record; an error says in words what only a person can decide. `named` are the
/// stores that the spec names.
pub fn found(
    platform: &PlatformKey,
    named: &BTreeSet<StoreId>,
    children: &Children,
    volumes: &[PersistentVolume],
) -> Vec<(StoreId, Result<Found, String>)> {
    let mut groups: BTreeMap<(StoreId, &str), Vec<(&str, &PersistentVolume)>> = BTreeMap::new();
    for volume in volumes.iter().filter(|volume| volume.metadata.deletion_timestamp.is_none()) {
        let Some((store, claim)) = marks(volume) else { continue };
        let Some(holder) = holder(store.0, claim) else { continue };
        groups.entry((store, holder)).or_default().push((claim, volume));
    }
    let unfinished = groups.into_iter().filter_map(|((store, object_name), volumes)| {
        let live = record::of(children, object_name);
        if live.as_ref().is_some_and(|record| !record.contains_key(RESTORED)) {
            return None;
        }
        let told = told(&volumes);
        // What was left behind by an explicit word is not brought back without one.
        if told.contains_key(ABANDONED) && !named.contains(&store) {
            return None;
        }
        let identity = Identity { platform: platform.name.clone(), id: store.1.clone(), tier: store.0 };
        let found = unclaimed(platform, children, &volumes).map(|(unclaimed, none_claimed)| {
            let lost = none_claimed && auth::live(children, &identity.object_name()).is_none();
            let restored = lost.then(|| (RESTORED.to_owned(), "true".to_owned()));
            let record = live.is_none().then(|| told.into_iter().chain(restored).collect());
            Found { identity, object_name: object_name.to_owned(), record, unclaimed }
        });
        Some((store, found))
    });
    unfinished.collect()
}

/// The store and the claim that a volume is marked with.
fn marks(volume: &PersistentVolume) -> Option<(StoreId, &str)> {
    let label = |name: &str| volume.labels().get(name).map(String::as_str);
    Some(((StoreTier::of(volume)?, label(COMPONENT)?.to_owned()), label(CLAIM)?))
}

/// What the volumes say of the data. Where they differ, because the last word did not reach all of them, nothing is taken for
/// certain but that there were data.
fn told(volumes: &[(&str, &PersistentVolume)]) -> Record {
    let mut merged = Record::new();
    let mut unsure = BTreeSet::new();
    let records: Vec<Record> = volumes.iter().map(|(_, volume)| on(volume)).collect();
    for (key, value) in records.iter().flatten() {
        match merged.get(key) {
            Some(other) if other != value && [other.as_str(), value.as_str()].contains(&record::HELD) => {
                merged.insert(key.clone(), record::HELD.to_owned());
            }
            Some(other) if other != value => drop(unsure.insert(key.clone())),
            _ => drop(merged.insert(key.clone(), value.clone())),
        }
    }
    let all = |key: &str| records.iter().all(|record| record.contains_key(key));
    merged.retain(|key, _| !unsure.contains(key) && (key != ABANDONED || all(key)));
    merged
}

/// The record that a volume carries.
fn on(volume: &PersistentVolume) -> Record {
    volume.annotations().get(RECORD).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The volumes without a claim, and whether none has one.
fn unclaimed(
    platform: &PlatformKey,
    children: &Children,
    volumes: &[(&str, &PersistentVolume)],
) -> Result<(Vec<Unclaimed>, bool), String> {
    let mut by_claim: BTreeMap<&str, &PersistentVolume> = BTreeMap::new();
    for &(claim, volume) in volumes {
        if let Some(other) = by_claim.insert(claim, volume) {
            let names = [other, volume].map(ResourceExt::name_any).join(" and ");
            return Err(format!(
                "the volumes {names} both hold data of {claim}: take the label {CLAIM} off the one that is not meant"
            ));
        }
    }
    let mut found = Vec::new();
    let mut none_claimed = true;
    for (claim, volume) in by_claim {
        let Some(live) = children.get(Kind::PersistentVolumeClaim, claim) else {
            found.push(unclaimed_volume(platform, claim, volume)?);
            continue;
        };
        none_claimed = false;
        let name = volume.name_any();
        if live.data.pointer("/spec/volumeName").and_then(Value::as_str) != Some(&name) {
            return Err(format!(
                "the volume {name} holds data of {claim}, and the claim of that name has another one: delete the claim, or take \
                 the label {CLAIM} off the volume"
            ));
        }
    }
    Ok((found, none_claimed))
}

fn unclaimed_volume(platform: &PlatformKey, claim: &str, volume: &PersistentVolume) -> Result<Unclaimed, String> {
    let name = volume.name_any();
    let spec = volume.spec.clone().unwrap_or_default();
    let is_ours = |reference: &ObjectReference| {
        reference.namespace.as_ref() == Some(&platform.namespace) && reference.name.as_deref() == Some(claim)
    };
    if let Some(other) = spec.claim_ref.as_ref().filter(|reference| !is_ours(reference)) {
        let words = [&other.namespace, &other.name].map(|word| word.clone().unwrap_or_default()).join("/");
        return Err(format!(
            "the volume {name} is marked as one of {claim} and was given to {words}: take the label {CLAIM} off it if it no \
             longer holds those data, else the spec.claimRef"
        ));
    }
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if !matches!(phase, "Released" | "Available") {
        return Err(format!("the volume {name} of {claim} is {phase} although its claim is gone; it is waited for"));
    }
    let bound = |reference: &ObjectReference| reference.uid.is_some() || reference.resource_version.is_some();
    let reserved = spec.claim_ref.as_ref().is_some_and(|reference| !bound(reference));
    // With the uid of its former claim no other can have it; without the name any could.
    let patch = json!({
        "metadata": { "resourceVersion": volume.resource_version() },
        "spec": { "claimRef": {
            "apiVersion": "v1", "kind": Kind::PersistentVolumeClaim.as_str(),
            "namespace": platform.namespace, "name": claim, "uid": null, "resourceVersion": null,
        } },
    });
    let made = Kind::PersistentVolumeClaim.object(&json!({
        "metadata": { "name": claim, "namespace": platform.namespace, "labels": of_claim(volume.labels()) },
        "spec": {
            "accessModes": spec.access_modes,
            "resources": { "requests": { "storage": spec.capacity.as_ref().and_then(|capacity| capacity.get("storage")) } },
            // None would be the default class.
            "storageClassName": spec.storage_class_name.unwrap_or_default(),
            "volumeMode": spec.volume_mode,
            "volumeName": name,
        },
    }));
    let made = made.map_err(|error| format!("a defect: the claim {claim} cannot be built: {error}"))?;
    Ok(Unclaimed { volume: name, patch: (!reserved).then_some(patch), claim: made })
}
