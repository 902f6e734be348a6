//! What can be said of caches and databases beyond their conditions: volumes, images, what a loss would mean, connections, and
//! what becomes of their data.

mod connections;
mod data;
mod image;
mod memory;
mod volumes;

use super::{Category, Check, Topic, Verdict};
use crate::cluster::Cluster;
use crds::{
    LearningPlatform,
    tiers::{
        cache::{Cache, CacheMode, InClusterCache},
        database::{Database, InClusterDatabase},
        in_cluster::{DeletionPolicy, StoreVolume},
    },
};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, PersistentVolume, PersistentVolumeClaim},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, ResourceExt, api::ListParams};
use operator::{naming::children_of, tiers::store::StoreTier};
use std::{collections::BTreeSet, time::Duration};

/// Longest time of a list.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was listed, or why it could not be.
type Listed<T> = Result<Vec<T>, String>;

/// What the checks look at beside the platform.
struct World {
    /// ConfigMaps of the platform; the records of its stores are among them.
    maps: Listed<ConfigMap>,
    claims: Listed<PersistentVolumeClaim>,
    volumes: Listed<PersistentVolume>,
    classes: Listed<StorageClass>,
}

/// A store in the cluster.
struct Store<'a> {
    tier: StoreTier,
    name: &'a str,
    /// What its objects are labelled with.
    id: &'a str,
    volume: StoreVolume,
    policy: DeletionPolicy,
}

impl std::fmt::Display for Store<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.tier, self.name)
    }
}

/// Where a platform is.
#[derive(Clone)]
struct Place {
    namespace: String,
    platform: String,
}

impl Place {
    fn edit(&self) -> String {
        format!("kubectl -n {} edit learningplatform {}", self.namespace, self.platform)
    }
}

/// The checks of a platform's stores; none where it has no stores, and no data of former ones.
pub async fn stores(cluster: &Cluster, platform: &LearningPlatform) -> Option<Category> {
    let namespace = platform.namespace().unwrap_or_default();
    let of_platform = ListParams::default().labels(&children_of(&platform.name_any()));
    let all = ListParams::default();
    let client = &cluster.client;
    let world = if in_cluster(platform).is_empty() {
        let maps = list(Api::namespaced(client.clone(), &namespace), &of_platform).await;
        World { maps, claims: Ok(Vec::new()), volumes: Ok(Vec::new()), classes: Ok(Vec::new()) }
    } else {
        let (maps, claims, volumes, classes) = futures::join!(
            list(Api::namespaced(client.clone(), &namespace), &of_platform),
            list(Api::namespaced(client.clone(), &namespace), &of_platform),
            list(Api::all(client.clone()), &all),
            list(Api::all(client.clone()), &all),
        );
        World { maps, claims, volumes, classes }
    };
    let checks = checks(platform, &world);
    let name = format!("stores of {namespace}/{}", platform.name_any());
    (!checks.is_empty()).then_some(Category { name, checks, essential: false })
}

async fn list<K>(api: Api<K>, which: &ListParams) -> Listed<K>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match tokio::time::timeout(PATIENCE, api.list(which)).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(error)) => Err(crate::say(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// The checks. Pure.
fn checks(platform: &LearningPlatform, world: &World) -> Vec<Check> {
    let place = Place { namespace: platform.namespace().unwrap_or_default(), platform: platform.name_any() };
    let spec = &platform.spec;
    let mut checks = Vec::new();
    for store in in_cluster(platform) {
        checks.push(volumes::made(&store, world));
        checks.push(volumes::grown(&store, world));
    }
    checks.extend(spec.databases.iter().filter_map(|database| image::suite(database, &place)));
    checks.extend(spec.caches.iter().filter_map(|cache| of_cache(cache, &place)));
    checks.extend(spec.databases.iter().filter_map(of_database));
    checks.extend(spec.databases.iter().filter_map(|database| connections::sum(platform, database, &place)));
    checks.extend(spec.databases.iter().filter_map(|database| memory::suffices(database, &place)));
    checks.extend(data::left_behind(platform, world, &place));
    for store in in_cluster(platform) {
        checks.push(data::outlives_platform(&store));
        checks.extend(data::outlives_namespace(&store, world));
    }
    checks.extend(by_cloud_native_pg(platform).iter().map(data::outlives_platform));
    checks
}

/// A check whose outcome is known.
fn known(description: impl Into<String>, topic: Topic, verdict: Verdict) -> Check {
    Check::new(description, topic, move || std::future::ready(verdict.clone()))
}

fn in_cluster(platform: &LearningPlatform) -> Vec<Store<'_>> {
    let caches = platform.spec.caches.iter().filter_map(|cache| {
        let spec = cache.in_cluster.as_ref()?;
        let volume = spec.volume.clone();
        Some(Store {
            tier: StoreTier::Cache,
            name: &cache.name,
            id: cache.renamed_from.as_ref().unwrap_or(&cache.name),
            // As the field's description has it.
            volume: volume.unwrap_or_else(|| StoreVolume { storage: Quantity("1Gi".to_owned()), storage_class: None }),
            policy: spec.deletion_policy.unwrap_or_default(),
        })
    });
    let databases = platform.spec.databases.iter().filter_map(|database| {
        let spec = database.in_cluster.as_ref()?;
        Some(Store {
            tier: StoreTier::Database,
            name: &database.name,
            id: database.renamed_from.as_ref().unwrap_or(&database.name),
            volume: spec.volume.clone(),
            policy: spec.deletion_policy.unwrap_or_default(),
        })
    });
    caches.chain(databases).collect()
}

/// The databases that CloudNativePG runs: it looks after their volumes.
fn by_cloud_native_pg(platform: &LearningPlatform) -> Vec<Store<'_>> {
    let databases = platform.spec.databases.iter().filter_map(|database| {
        let spec = database.cloud_native_pg.as_ref()?;
        Some(Store {
            tier: StoreTier::Database,
            name: &database.name,
            id: database.renamed_from.as_ref().unwrap_or(&database.name),
            volume: spec.volume.clone(),
            policy: spec.deletion_policy.unwrap_or_default(),
        })
    });
    databases.collect()
}

/// The identities of the caches at ElastiCache.
fn at_elasticache(platform: &LearningPlatform) -> BTreeSet<String> {
    let caches = platform.spec.caches.iter().filter(|cache| cache.elasti_cache.is_some());
    caches.map(|cache| cache.renamed_from.as_ref().unwrap_or(&cache.name).clone()).collect()
}

/// The identities of the databases at RDS.
fn at_rds(platform: &LearningPlatform) -> Vec<&str> {
    let databases = platform.spec.databases.iter().filter(|database| database.rds.is_some());
    databases.map(|database| database.renamed_from.as_ref().unwrap_or(&database.name).as_str()).collect()
}

/// Whether a cache goes on when one of its servers is lost.
fn of_cache(cache: &Cache, place: &Place) -> Option<Check> {
    let description = format!("cache {} goes on when a server is lost", cache.name);
    if let Some(spec) = &cache.elasti_cache {
        let takes_over = spec.automatic_failover.unwrap_or(true);
        let verdict = match spec.replicas_per_shard.unwrap_or(1) {
            0 => Verdict::Note(
                "NotHighlyAvailable: replicasPerShard is 0, so the keys of a shard are lost with its node. replicasPerShard: 1 has \
                 a replica that takes over"
                    .to_owned(),
            ),
            _ if !takes_over => Verdict::Note(
                "NotHighlyAvailable: automaticFailover is false, so writes wait until somebody promotes a replica".to_owned(),
            ),
            replicas => Verdict::Good(format!("AWS has one of {replicas} replicas of each shard take over by itself")),
        };
        return Some(known(description, Topic::NotHighlyAvailable, verdict));
    }
    let spec: &InClusterCache = cache.in_cluster.as_ref()?;
    let replicas = spec.replicas_per_shard.unwrap_or(1);
    let verdict = match (replicas, spec.mode.unwrap_or_default()) {
        (0, mode) => {
            let (keys, who) = match mode {
                CacheMode::Cluster => ("the keys of a shard", "its primary"),
                CacheMode::Single => ("all keys", "the primary"),
            };
            let what = format!(
                "NotHighlyAvailable: replicasPerShard is 0, so {keys} are out of reach while {who} restarts or moves to \
                 another node, and gone where its volume is lost"
            );
            Verdict::bad(what, format!("{}   # set replicasPerShard: 1", place.edit()))
        }
        (replicas, CacheMode::Cluster) => {
            Verdict::Good(format!("a replica takes over by itself; each primary has {replicas}"))
        }
        (replicas, CacheMode::Single) => Verdict::Good(format!(
            "{replicas} of its servers are replicas; one takes over once it is certain that the primary's pod is gone"
        )),
    };
    Some(known(description, Topic::NotHighlyAvailable, verdict).warning())
}

/// That a database does not: it is so for all of the operator's own, and a choice. CloudNativePG has a replica take over.
fn of_database(database: &Database) -> Option<Check> {
    let description = format!("database {} goes on when its primary is lost", database.name);
    if let Some(spec) = &database.cloud_native_pg {
        let verdict = match spec.read_replicas.unwrap_or(0) {
            0 => Verdict::Note(
                "NotHighlyAvailable: a single server; reads and writes wait while its pod restarts, or until its volume can be \
                 had on another node. readReplicas: 1 has one that takes over"
                    .to_owned(),
            ),
            replicas => Verdict::Good(format!("one of {replicas} replicas takes over by itself")),
        };
        return Some(known(description, Topic::NotHighlyAvailable, verdict));
    }
    if let Some(spec) = &database.rds {
        let verdict = match spec.multi_az {
            Some(true) => Verdict::Good("AWS keeps a standby in another zone, which takes over by itself".to_owned()),
            _ => Verdict::Note(
                "NotHighlyAvailable: a single primary; reads and writes wait while AWS replaces it. multiAz: true has a standby \
                 that takes over"
                    .to_owned(),
            ),
        };
        return Some(known(description, Topic::NotHighlyAvailable, verdict));
    }
    let spec: &InClusterDatabase = database.in_cluster.as_ref()?;
    let readers = match spec.read_replicas.unwrap_or(0) {
        0 => "reads wait, too",
        _ => "reads go on at the replicas",
    };
    let note = format!(
        "NotHighlyAvailable: a single primary; writes wait while its pod restarts, or until its volume can be had on another \
         node, and {readers}. Of a node that is lost for good tell the cluster: kubectl taint node NODE \
         node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    );
    Some(known(description, Topic::NotHighlyAvailable, Verdict::Note(note)))
}

#[cfg(test)]
mod tests;
