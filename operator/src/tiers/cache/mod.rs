//! The cache room: Redis and Valkey servers.

mod external;

use super::{
    Children, ItemStatus, Plan, Tier, TierStatus,
    binding::{self, Address, Bound, CacheBinding},
};
use crate::{
    context::Context,
    error::Result,
    secrets::{KubeSecrets, Reader},
    validate::ValidPlatform,
};
use crds::{status::ConditionType, tiers::cache::ExternalCache};
use std::collections::BTreeMap;

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

/// Where a cache runs.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Somewhere else: the address, and the rest as written.
    External(Address, ExternalCache),
}

/// How the caches are reached, by name.
pub type Observed = BTreeMap<String, Bound<CacheBinding>>;

impl Tier for Caches {
    const CONDITION: ConditionType = ConditionType::CacheReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, _: &Children) -> Result<Observed> {
        let secrets = KubeSecrets(ctx.client.clone());
        let mut reader = Reader::new(&secrets, &lp.key.namespace);
        let mut found = Observed::new();
        for cache in &lp.caches {
            let bound = match &cache.provider {
                Provider::External(address, spec) => external::bind(&mut reader, address, spec).await,
            };
            found.insert(cache.name.clone(), bound);
        }
        Ok(found)
    }

    fn plan(&self, _: &ValidPlatform, _: &Observed) -> Plan {
        Plan::new()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> TierStatus {
        let items = lp.caches.iter().filter_map(|cache| {
            let Provider::External(address, _) = &cache.provider;
            let verdict = binding::external(Self::CONDITION, seen.get(&cache.name)?, address);
            let status =
                ItemStatus { verdicts: vec![verdict], address: Some(address.to_string()), ..ItemStatus::default() };
            Some((cache.name.clone(), status))
        });
        TierStatus { items: items.collect() }
    }
}
