//! What is wanted of the keeper of a cache at ElastiCache.

use super::{ENDPOINT, ElastiCache, RUNNER, Seen, wish};
use crate::{
    context::Context,
    keeper::{
        Keepers,
        aws::AwsKeeper,
        elasticache::{ElastiCacheOrders, ElastiCacheService},
    },
    naming::PlatformKey,
    tiers::{
        Children,
        aws::{
            account, control, recorded,
            released::{Item, Words},
        },
        store::{auth, record},
    },
};
use aws::elasticache::{Spec, Wish};
use crds::{
    LearningPlatform,
    tiers::{
        aws::{AwsControl, AwsDeletionPolicy},
        cache::Cache,
    },
};

/// What is wanted; None while nothing may be done for it.
pub fn orders(
    cache: &ElastiCache,
    generation: i64,
    seen: &Seen,
    children: &Children,
    acts: bool,
) -> Option<ElastiCacheOrders> {
    if seen.held.is_some() {
        return None;
    }
    // None that is not kept in the Secret: AWS must not know what the next pass does not.
    let passwords = auth::live(children, &cache.object_name).filter(|_| seen.passwords.is_ok());
    let record = record::of(children, &cache.object_name);
    let has_served = record.is_some_and(|record| record.contains_key(ENDPOINT));
    let key = PlatformKey { namespace: cache.namespace.clone(), name: cache.identity.platform.clone() };
    Some(ElastiCacheOrders {
        item: cache.name.clone(),
        wish: wish::wish(cache, generation, passwords.as_ref(), has_served),
        account: account::settings(&key, &cache.account),
        stored: recorded::stored(children, &cache.object_name),
        acts,
    })
}

impl Item for ElastiCacheService {
    const RUNNER: &'static str = RUNNER;

    fn keepers(ctx: &Context) -> &Keepers<AwsKeeper<Self>> {
        &ctx.elasticache
    }

    fn spoken<'a>(platform: &'a LearningPlatform, id: &str) -> Option<(&'a AwsControl, AwsDeletionPolicy)> {
        let is_it =
            |cache: &&Cache| cache.renamed_from.as_ref().unwrap_or(&cache.name) == id && cache.elasti_cache.is_some();
        let spec = platform.spec.caches.iter().find(is_it)?.elasti_cache.as_ref()?;
        Some((&spec.control, spec.deletion_policy.unwrap_or_default()))
    }

    fn deleted(words: Words<'_>) -> Result<Wish, String> {
        let Words { owner, generation, mode, approved, allow, deletion, record: _ } = words;
        Ok(Wish {
            owner,
            generation,
            mode,
            approved,
            allow,
            adopt: false,
            deleted: true,
            deletion_policy: control::deletion(deletion),
            spec: Spec::default(),
        })
    }
}
