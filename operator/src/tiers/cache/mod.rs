//! The cache room: Redis and Valkey servers.

pub mod elasticache;
mod external;
pub mod in_cluster;
mod scaling;

use super::{
    Children, ItemStatus, Plan, Tier, TierStatus,
    binding::{self, Address, Bound, CacheBinding},
    store::{
        self, StoreTier,
        left_behind::{self, LeftBehind},
        volumes::{Kept, StoreId},
    },
};
use crate::{
    capabilities::Served,
    context::Context,
    error::Result,
    keeper::{StoreKey, cache::Orders, elasticache::ElastiCacheOrders, elasticache_servers},
    kinds::ObjectId,
    secrets::{KubeSecrets, Lack, Reader},
    validate::ValidPlatform,
};
use crds::{status::ConditionType, tiers::cache::ExternalCache};
use elasticache::ElastiCache;
use in_cluster::InCluster;
use std::collections::{BTreeMap, BTreeSet};

/// The port of Redis and Valkey.
pub const PORT: u16 = 6379;

/// The cache room.
pub struct Caches;

/// A cache that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidCache {
    /// Name of the item.
    pub name: String,
    /// Where it runs.
    pub provider: Provider,
}

impl ValidCache {
    /// Which store it is; none of somebody else's.
    pub fn id(&self) -> Option<&str> {
        match &self.provider {
            Provider::External(..) => None,
            Provider::InCluster(item) => Some(&item.identity.id),
            Provider::ElastiCache(item) => Some(&item.identity.id),
        }
    }
}

/// Where a cache runs.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Somewhere else: the address, and the rest as written.
    External(Address, ExternalCache),
    /// In this cluster.
    InCluster(Box<InCluster>),
    /// At Amazon ElastiCache.
    ElastiCache(Box<ElastiCache>),
}

/// What the cache room has observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How the caches are reached, by name.
    pub bindings: BTreeMap<String, Bound<CacheBinding>>,
    /// Those in this cluster, by name.
    pub in_cluster: BTreeMap<String, in_cluster::Seen>,
    /// Those at ElastiCache, by name.
    pub elasticache: BTreeMap<String, elasticache::Seen>,
    /// Data that no item names.
    pub left: LeftBehind,
    /// Which optional APIs the cluster serves.
    pub served: Served,
}

impl Observed {
    /// Holds what must not be made: stores whose volumes are there and cannot be gone on with, for the reasons given, and what
    /// may be one of them under another name.
    pub fn hold(&mut self, lp: &ValidPlatform, reasons: &BTreeMap<StoreId, String>) {
        for ((_, id), why) in reasons.iter().filter(|((tier, _), _)| *tier == StoreTier::Cache) {
            let item = in_cluster_items(lp).find(|item| item.identity.id == *id);
            match item.and_then(|item| self.in_cluster.get_mut(&item.name)) {
                Some(seen) => seen.held = Some(why.clone()),
                None => drop(self.left.waiting.insert(id.clone())),
            }
        }
        for item in in_cluster_items(lp).filter(|_| !reasons.is_empty()) {
            let Some(seen) = self.in_cluster.get_mut(&item.name) else { continue };
            if seen.held.is_none() && self.left.holds(&item.identity.id) {
                seen.held = Some(self.left.remedy(StoreTier::Cache));
            }
            self.bindings.insert(item.name.clone(), seen.bind(item));
        }
    }

    /// Takes note of what becomes of the volumes of its stores when their namespace is deleted.
    pub fn note(&mut self, lp: &ValidPlatform, kept: &BTreeMap<StoreId, Kept>) {
        for item in in_cluster_items(lp) {
            let store = (StoreTier::Cache, item.identity.id.clone());
            if let (Some(seen), Some(kept)) = (self.in_cluster.get_mut(&item.name), kept.get(&store)) {
                seen.volumes = kept.clone();
            }
        }
    }
}

impl Tier for Caches {
    const CONDITION: ConditionType = ConditionType::CacheReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let secrets = KubeSecrets(ctx.client.clone());
        let mut reader = Reader::new(&secrets, &lp.key.namespace);
        let left = left_behind(lp, children);
        let mut found = Observed { left, served: ctx.capabilities.now(), ..Observed::default() };
        for cache in &lp.caches {
            let bound = match &cache.provider {
                Provider::External(..) if found.left.waiting.contains(&cache.name) => {
                    Err(Lack::NotYet(found.left.remedy(StoreTier::Cache)))
                }
                Provider::External(address, spec) => external::bind(&mut reader, address, spec).await,
                Provider::InCluster(cache) => {
                    let seen = in_cluster::observe(ctx, lp, children, cache, &found.left, &mut reader).await;
                    let bound = seen.bind(cache);
                    found.in_cluster.insert(cache.name.clone(), seen);
                    bound
                }
                Provider::ElastiCache(item) => {
                    let seen = elasticache::observe(ctx, lp, children, item, &found.left, &mut reader).await;
                    let bound = seen.bind(item);
                    found.elasticache.insert(cache.name.clone(), seen);
                    bound
                }
            };
            found.bindings.insert(cache.name.clone(), bound);
        }
        Ok(found)
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> Plan {
        let in_cluster = in_cluster_items(lp).filter_map(|cache| Some((cache, seen.in_cluster.get(&cache.name)?)));
        let mut plan: Plan = in_cluster
            .flat_map(|(cache, found)| {
                super::steps(&cache.name, in_cluster::objects::objects(cache, found, children, seen.served))
            })
            .collect();
        let at_aws = elasticache_items(lp).filter_map(|cache| Some((cache, seen.elasticache.get(&cache.name)?)));
        plan.extend(
            at_aws.flat_map(|(item, found)| super::steps(&item.name, elasticache::objects::objects(item, found))),
        );
        plan.extend(left_behind::marked(children, &lp.key.name, &seen.left, StoreTier::Cache));
        plan
    }

    fn kept(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> BTreeSet<ObjectId> {
        let unplanned = in_cluster_items(lp).filter(|cache| {
            seen.in_cluster.get(&cache.name).is_none_or(|seen| seen.held.is_some() || seen.passwords.is_err())
        });
        let unplanned = unplanned.flat_map(|cache| children.of(&cache.identity.id));
        let held = elasticache_items(lp).filter(|cache| {
            seen.elasticache.get(&cache.name).is_none_or(|seen| seen.held.is_some() || seen.passwords.is_err())
        });
        let held = held.flat_map(|cache| children.of(&cache.identity.id));
        seen.left.kept(children).chain(unplanned).chain(held).collect()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> TierStatus {
        let items = lp.caches.iter().filter_map(|cache| {
            let status = match &cache.provider {
                Provider::External(address, _) => ItemStatus {
                    verdicts: vec![binding::external(Self::CONDITION, seen.bindings.get(&cache.name)?, address)],
                    address: Some(address.to_string()),
                    ..ItemStatus::default()
                },
                Provider::InCluster(cache) => in_cluster::status::status(cache, seen.in_cluster.get(&cache.name)?),
                Provider::ElastiCache(cache) => elasticache::status::status(cache, seen.elasticache.get(&cache.name)?),
            };
            Some((cache.name.clone(), status))
        });
        TierStatus { items: items.collect(), waiting: super::waiting(Self::CONDITION, StoreTier::Cache, &seen.left) }
    }
}

/// A number of the spec, or what it is where the spec says nothing.
fn count(number: Option<i32>, default: u32) -> u32 {
    number.and_then(|n| u32::try_from(n).ok()).unwrap_or(default)
}

/// The caches in this cluster.
fn in_cluster_items(lp: &ValidPlatform) -> impl Iterator<Item = &InCluster> {
    lp.caches.iter().filter_map(|cache| match &cache.provider {
        Provider::InCluster(cache) => Some(cache.as_ref()),
        Provider::ElastiCache(_) | Provider::External(..) => None,
    })
}

/// The caches at ElastiCache.
fn elasticache_items(lp: &ValidPlatform) -> impl Iterator<Item = &ElastiCache> {
    lp.caches.iter().filter_map(|cache| match &cache.provider {
        Provider::ElastiCache(cache) => Some(cache.as_ref()),
        Provider::InCluster(_) | Provider::External(..) => None,
    })
}

/// Data that no cache of the spec names, whoever keeps them.
pub fn left_behind(lp: &ValidPlatform, children: &Children) -> LeftBehind {
    let mut left = left_behind::left_behind(children, StoreTier::Cache, &identities(lp), &lp.abandon_data);
    let at_aws = elasticache_items(lp).map(|cache| cache.identity.id.clone()).collect();
    left.add(children, (elasticache::RUNNER, None), &at_aws, &lp.abandon_data);
    left
}

fn identities(lp: &ValidPlatform) -> BTreeSet<String> {
    in_cluster_items(lp).map(|cache| cache.identity.id.clone()).collect()
}

/// What is known without a cluster.
pub fn offline(lp: &ValidPlatform) -> Observed {
    let caches = in_cluster_items(lp).map(|cache| (cache.name.clone(), in_cluster::offline(cache)));
    Observed { in_cluster: caches.collect(), served: Served::ALL, ..Observed::default() }
}

/// What is wanted of the keepers of the caches in this cluster; `children` are those after the pass.
pub fn orders(lp: &ValidPlatform, seen: &Observed, children: &Children, acts: bool) -> Vec<(StoreKey, Orders)> {
    let orders = in_cluster_items(lp).filter_map(|cache| {
        let orders = in_cluster::orders(lp, cache, seen.in_cluster.get(&cache.name)?, children, acts)?;
        Some((in_cluster::key(lp, cache), orders))
    });
    orders.collect()
}

/// What is wanted of the keepers of the caches at ElastiCache; `children` are those after the pass.
pub fn elasticache_orders(
    lp: &ValidPlatform,
    seen: &Observed,
    children: &Children,
    acts: bool,
) -> Vec<(StoreKey, ElastiCacheOrders)> {
    let orders = elasticache_items(lp).filter_map(|cache| {
        let orders = elasticache::orders(cache, lp.generation, seen.elasticache.get(&cache.name)?, children, acts)?;
        Some((elasticache::key(lp, cache), orders))
    });
    orders.collect()
}

/// What is wanted of those who look at the servers of the caches at ElastiCache; `children` are those after the pass.
pub fn elasticache_servers(
    lp: &ValidPlatform,
    seen: &Observed,
    children: &Children,
    acts: bool,
) -> Vec<(StoreKey, elasticache_servers::Orders)> {
    let orders = elasticache_items(lp).filter_map(|cache| {
        let orders = elasticache::servers(lp, cache, seen.elasticache.get(&cache.name)?, children, acts)?;
        Some((elasticache::key(lp, cache), orders))
    });
    orders.collect()
}

/// Notes whose keepers have looked at AWS as they are wanted now.
pub fn elasticache_answered(lp: &ValidPlatform, seen: &mut Observed, answered: &BTreeSet<StoreKey>) {
    for cache in elasticache_items(lp) {
        if let Some(seen) = seen.elasticache.get_mut(&cache.name) {
            seen.answered = answered.contains(&elasticache::key(lp, cache));
        }
    }
}

/// Notes whose keeper has looked at the servers as they are wanted now: what it has seen counts.
pub fn answered(lp: &ValidPlatform, seen: &mut Observed, children: &Children, answered: &BTreeSet<StoreKey>) {
    for cache in in_cluster_items(lp) {
        if let Some(seen) = seen.in_cluster.get_mut(&cache.name) {
            seen.answered =
                answered.contains(&in_cluster::key(lp, cache)) && store::rolled(children, &cache.identity.id);
        }
    }
}
