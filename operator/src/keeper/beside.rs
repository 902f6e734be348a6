//! Tiers that share requests: the apps that use a store, and the stores that they use beside it. They grow and shrink in an order.

use super::StoreKey;
use crate::{
    context::Context,
    naming::AppKey,
    tiers::{
        cache::{self as caches, in_cluster as in_cluster_caches},
        database::{self as databases, in_cluster as in_cluster_databases},
    },
    validate::ValidPlatform,
};
use decide::{TierKind, Time, Tunables, tier_size::Proposal};
use std::cmp::Ordering;

/// A size that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// More, or less.
    pub grows: bool,
    /// Since when.
    pub since: Time,
}

/// What a store shares requests with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The apps that use it.
    pub apps: Vec<AppKey>,
    /// The databases that they use beside it and that a keeper of ours looks at, by their names.
    pub databases: Vec<(String, StoreKey)>,
    /// The caches that they use beside it and whose servers are looked at.
    pub caches: Vec<(String, StoreKey)>,
}

impl Beside {
    /// Of the store of this name.
    pub fn of(lp: &ValidPlatform, item: &str) -> Self {
        let uses = |app: &&crate::validate::ValidApp, item: &str| {
            app.spec.uses.as_ref().is_some_and(|uses| uses.items().any(|used| used == item))
        };
        let apps: Vec<_> = lp.apps.iter().filter(|app| uses(app, item)).collect();
        let shared = |other: &str| other != item && apps.iter().any(|app| uses(app, other));
        let databases = lp.databases.iter().filter(|database| shared(&database.name));
        let servers = databases.flat_map(|database| match &database.provider {
            databases::Provider::InCluster(item) => item
                .servers
                .iter()
                .map(|server| (item.server_name(server), in_cluster_databases::key(lp, server)))
                .collect(),
            databases::Provider::Rds(item) => vec![(item.name.clone(), databases::rds::key(lp, item))],
            databases::Provider::External(..) | databases::Provider::CloudNativePg(_) => Vec::new(),
        });
        let caches = lp.caches.iter().filter(|cache| shared(&cache.name)).filter_map(|cache| match &cache.provider {
            caches::Provider::InCluster(item) => Some((item.name.clone(), in_cluster_caches::key(lp, item))),
            caches::Provider::ElastiCache(item) => Some((item.name.clone(), caches::elasticache::key(lp, item))),
            caches::Provider::External(..) => None,
        });
        Self {
            databases: servers.collect(),
            caches: caches.collect(),
            apps: apps.iter().map(|app| app.key.clone()).collect(),
        }
    }

    /// Those of them that grow or shrink now, or are about to.
    pub fn moving(&self, ctx: &Context, now: Time) -> Vec<Proposal> {
        let store = |name: &str, kind, moving: Option<Moving>| {
            moving.map(|Moving { grows, since }| Proposal { tier: name.into(), kind, grows, since })
        };
        let databases = self.databases.iter().filter_map(|(name, key)| {
            store(name, TierKind::ReadReplicas, ctx.database_figures(key).and_then(|figures| figures.moving))
        });
        let caches = self.caches.iter().filter_map(|(name, key)| {
            store(name, TierKind::Cache, ctx.cache_figures(key).and_then(|figures| figures.moving))
        });
        let apps = self.apps.iter().filter_map(|key| {
            let view = ctx.scaling.get(key)?;
            let moving =
                heads(&ctx.settings.tunables, now, (view.live.at, view.live.heads()), (view.ready, view.observed));
            store(&key.app, TierKind::App, moving)
        });
        databases.chain(caches).chain(apps).collect()
    }
}

/// What an app is about to do: where its last decision heads, and whether all of its pods are ready.
fn heads(tunables: &Tunables, now: Time, (at, heads): (Time, Ordering), (ready, wanted): (u32, u32)) -> Option<Moving> {
    // One that is decided on no more moves nothing.
    if now.since(at) > tunables.tier_stale {
        return None;
    }
    let grows = match heads {
        Ordering::Greater => true,
        Ordering::Equal if ready < wanted => true,
        Ordering::Equal => return None,
        Ordering::Less => false,
    };
    Some(Moving { grows, since: at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_steady_once_its_floor_stays_and_its_pods_are_ready() {
        let tunables = Tunables::default();
        let now = Time::from_secs(1_800_000_000);
        let of = |age, ordering, pods| {
            let at = now.minus(decide::Duration::from_secs(age));
            heads(&tunables, now, (at, ordering), pods).map(|moving| moving.grows)
        };
        let table = [
            (5, Ordering::Equal, (3, 3), None),
            (5, Ordering::Equal, (2, 3), Some(true)),
            (5, Ordering::Greater, (3, 3), Some(true)),
            (5, Ordering::Less, (3, 3), Some(false)),
            (5, Ordering::Less, (2, 3), Some(false)),
            (31, Ordering::Greater, (3, 3), None),
        ];
        for (age, ordering, pods, expected) in table {
            assert_eq!(of(age, ordering, pods), expected, "{age} s ago: {ordering:?}, {pods:?}");
        }
    }
}
