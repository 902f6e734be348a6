//! What becomes of data: those that no item names, and those of stores whose platform or namespace is deleted.

use super::{Place, Store, World, at_elasticache, at_rds, by_cloud_native_pg, in_cluster, known, volumes::claims};
use crate::check::{Check, Topic, Verdict};
use crds::{LearningPlatform, tiers::in_cluster::DeletionPolicy};
use kube::{ResourceExt, core::DynamicObject};
use operator::{
    kinds::{Kind, ObjectId},
    tiers::{
        Children,
        store::{
            StoreTier,
            left_behind::{LeftBehind, left_behind as held_against},
            made_for, record,
        },
    },
};
use std::collections::BTreeSet;

/// Whether there are data of stores that the spec does not name; nothing where there never were any.
pub(super) fn left_behind(platform: &LearningPlatform, world: &World, place: &Place) -> Vec<Check> {
    let description = "no data of former caches and databases are left behind";
    let has_stores = !in_cluster(platform).is_empty() || !by_cloud_native_pg(platform).is_empty();
    let maps = match &world.maps {
        Ok(maps) => maps,
        // Whoever has no stores may well have no right to see ConfigMaps, and misses nothing.
        Err(_) if !has_stores => return Vec::new(),
        Err(why) => return vec![known(description, Topic::DataLeftBehind, Verdict::Unknown(why.clone())).warning()],
    };
    let objects: Vec<(ObjectId, DynamicObject)> = maps
        .iter()
        .filter_map(|map| Kind::ConfigMap.object(map).ok())
        .filter_map(|object| Some((ObjectId::of(&object)?, object)))
        .collect();
    let children = Children(objects.into_iter().collect());
    let abandon: BTreeSet<String> = platform.spec.abandon_data.iter().cloned().collect();
    let found = [StoreTier::Cache, StoreTier::Database].map(|tier| {
        let stores = in_cluster(platform).into_iter().filter(|store| store.tier == tier);
        let named: BTreeSet<String> = stores.map(|store| store.id.to_owned()).collect();
        let mut left = held_against(&children, tier, &named, &abandon);
        if tier == StoreTier::Cache {
            left.add(
                &children,
                (operator::tiers::cache::elasticache::RUNNER, None),
                &at_elasticache(platform),
                &abandon,
            );
        }
        if tier == StoreTier::Database {
            let clusters = by_cloud_native_pg(platform).into_iter().map(|store| store.id.to_owned()).collect();
            let by = (operator::tiers::database::cloud_native_pg::objects::RUNNER, Some(Kind::CloudNativePgCluster));
            left.add(&children, by, &clusters, &abandon);
            let at_rds = at_rds(platform).into_iter().map(str::to_owned).collect();
            left.add(&children, (operator::tiers::database::rds::RUNNER, None), &at_rds, &abandon);
        }
        (tier, left)
    });
    let waiting: Vec<String> =
        found.iter().filter(|(_, left)| !left.waiting.is_empty()).map(|(tier, left)| left.remedy(*tier)).collect();
    let forgone = abandoned(&children, &found);
    if !waiting.is_empty() {
        let verdict = Verdict::bad(format!("DataWouldBeLeftBehind: {}", waiting.join("; ")), place.edit());
        return vec![known(description, Topic::DataLeftBehind, verdict)];
    }
    if !forgone.is_empty() {
        let names = forgone.into_iter().collect::<Vec<_>>();
        let note = format!(
            "those of {} were abandoned and are still there: kubectl -n {} get persistentvolumeclaims,secrets,configmaps -l \
             'app.kubernetes.io/instance={},app.kubernetes.io/component in ({})'",
            names.join(", "),
            place.namespace,
            place.platform,
            names.join(","),
        );
        return vec![known(description, Topic::DataLeftBehind, Verdict::Note(note))];
    }
    if !has_stores {
        return Vec::new();
    }
    vec![known(description, Topic::DataLeftBehind, Verdict::Good(String::new()))]
}

/// Stores whose data were abandoned, and are there.
fn abandoned(children: &Children, found: &[(StoreTier, LeftBehind); 2]) -> BTreeSet<String> {
    let marked = children.0.iter().filter_map(|(id, map)| {
        let object_name = id.name.strip_suffix(record::SUFFIX)?;
        let record = record::of(children, object_name)?;
        record.contains_key(record::ABANDONED).then(|| made_for(map).map(str::to_owned))?
    });
    let named = |id: &String| found.iter().any(|(_, left)| left.known.contains(id));
    let now = found
        .iter()
        .flat_map(|(_, left)| left.abandoned.iter().chain(left.abandoned_elsewhere.iter().map(|(_, id)| id)).cloned());
    marked.chain(now).filter(|id| !named(id)).collect()
}

/// Whether the data stay when the platform is deleted.
pub(super) fn outlives_platform(store: &Store<'_>) -> Check {
    let verdict = match store.policy {
        DeletionPolicy::Retain => Verdict::Good("deletionPolicy Retain".to_owned()),
        DeletionPolicy::Delete => {
            Verdict::Note("they do not, deletionPolicy is Delete: volumes and passwords go with it".to_owned())
        }
    };
    known(format!("the data of {store} outlive the platform"), Topic::StoreDeletion, verdict)
}

/// Whether the volumes stay when the namespace is deleted: its claims go then.
pub(super) fn outlives_namespace(store: &Store<'_>, world: &World) -> Option<Check> {
    if store.policy == DeletionPolicy::Delete {
        return None;
    }
    let bound: BTreeSet<&str> =
        claims(store, world).into_iter().filter_map(|claim| claim.spec.as_ref()?.volume_name.as_deref()).collect();
    let verdict = match (&world.claims, &world.volumes) {
        (Err(why), _) | (_, Err(why)) => Verdict::Unknown(why.clone()),
        _ if bound.is_empty() => Verdict::Note("there are none yet".to_owned()),
        (_, Ok(volumes)) => {
            let policy = |volume: &k8s_openapi::api::core::v1::PersistentVolume| {
                volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.clone()).unwrap_or_default()
            };
            let gone: Vec<String> = volumes
                .iter()
                .filter(|volume| bound.contains(volume.name_any().as_str()) && policy(volume) != "Retain")
                .map(ResourceExt::name_any)
                .collect();
            if gone.is_empty() {
                Verdict::Good("their reclaim policy is Retain".to_owned())
            } else {
                Verdict::bad(
                    format!(
                        "deleting the namespace deletes them, because their reclaim policy is not Retain: {}",
                        gone.join(", ")
                    ),
                    format!(
                        "kubectl patch persistentvolume {} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'",
                        gone.join(" ")
                    ),
                )
            }
        }
    };
    let description = format!("the volumes of {store} outlive the namespace");
    Some(known(description, Topic::StoreDeletion, verdict).warning())
}
