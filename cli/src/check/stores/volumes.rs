//! Whether volumes can be made, and made larger.

use super::{Listed, Store, World, known};
use crate::check::{Check, Topic, Verdict};
use k8s_openapi::api::{core::v1::PersistentVolumeClaim, storage::v1::StorageClass};
use kube::ResourceExt;
use operator::tiers::store::{made_for, pods::bytes};

/// Annotations of the default class, the newer one first.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// Whether there is a class that makes the volumes. It is a warning alone where all volumes are there.
pub(super) fn made(store: &Store<'_>, world: &World) -> Check {
    let description = format!("volumes of {store} can be made");
    let verdict = match &world.classes {
        Ok(classes) => match class(store, classes) {
            Ok(class) => Verdict::Good(class.to_owned()),
            Err(what) => {
                Verdict::bad(what, "kubectl get storageclass   # make it, or name another in volume.storageClass")
            }
        },
        Err(why) => Verdict::Unknown(why.clone()),
    };
    let bound =
        |claim: &&PersistentVolumeClaim| claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
    let claims = claims(store, world);
    let there = !claims.is_empty() && claims.iter().all(bound);
    let check = known(description, Topic::StoreVolumes, verdict.clone());
    if there || matches!(verdict, Verdict::Unknown(_)) { check.warning() } else { check }
}

/// The class that makes a store's volumes.
fn class<'a>(store: &'a Store<'_>, classes: &'a [StorageClass]) -> Result<&'a str, String> {
    let is_default = |class: &&StorageClass| {
        DEFAULT.iter().any(|name| class.annotations().get(*name).is_some_and(|value| value == "true"))
    };
    match &store.volume.storage_class {
        Some(name) if classes.iter().any(|class| class.name_any() == *name) => Ok(name),
        Some(name) => Err(format!(
            "there is no storage class {name}: pods without a volume stay Pending unless somebody makes volumes of that class \
             by hand"
        )),
        // Of several the newest is taken.
        None => match classes.iter().filter(is_default).max_by_key(|class| class.creation_timestamp().map(|t| t.0)) {
            Some(class) => class.metadata.name.as_deref().ok_or_else(|| "the default class has no name".to_owned()),
            None => Err(format!(
                "{store} names no storage class, and the cluster has no default one: pods without a volume stay Pending"
            )),
        },
    }
}

/// Whether the volumes have the size that the spec asks for, or can get it.
pub(super) fn grown(store: &Store<'_>, world: &World) -> Check {
    let description = format!("volumes of {store} have the size that is asked for");
    let (classes, found) = match (&world.classes, &world.claims) {
        (Ok(classes), Ok(_)) => (classes, claims(store, world)),
        (Err(why), _) | (_, Err(why)) => {
            return known(description, Topic::StoreVolumes, Verdict::Unknown(why.clone())).warning();
        }
    };
    let wanted = bytes(&store.volume.storage).unwrap_or_default();
    let small: Vec<(String, &str, String)> = found
        .into_iter()
        .filter_map(|claim| {
            let size = claim.status.as_ref()?.capacity.as_ref()?.get("storage")?;
            let class = claim.spec.as_ref()?.storage_class_name.as_deref().unwrap_or_default();
            (bytes(size)? < wanted).then(|| (claim.name_any(), class, size.0.clone()))
        })
        .collect();
    let grows =
        |name: &str| classes.iter().any(|class| class.name_any() == name && class.allow_volume_expansion == Some(true));
    let asked = &store.volume.storage.0;
    let verdict = match small.iter().find(|(_, class, _)| !grows(class)) {
        Some((claim, class, size)) => Verdict::bad(
            format!(
                "{claim} has {size} and {asked} is asked for, but storage class {class} does not let volumes grow \
                 (allowVolumeExpansion): it stays as it is"
            ),
            format!(
                "kubectl patch storageclass {class} -p '{{\"allowVolumeExpansion\":true}}'   # where its driver can; else go \
                 back to {size}"
            ),
        ),
        None if small.is_empty() => Verdict::Good(asked.clone()),
        None => {
            let growing: Vec<_> = small.iter().map(|(claim, _, size)| format!("{claim} has {size}")).collect();
            Verdict::Note(format!("they are growing to {asked}: {}", growing.join(", ")))
        }
    };
    known(description, Topic::StoreVolumes, verdict)
}

/// The claims of a store; none where they cannot be listed.
pub(super) fn claims<'a>(store: &Store<'_>, world: &'a World) -> Vec<&'a PersistentVolumeClaim> {
    let all: &Listed<PersistentVolumeClaim> = &world.claims;
    all.iter().flatten().filter(|claim| made_for(*claim) == Some(store.id)).collect()
}
