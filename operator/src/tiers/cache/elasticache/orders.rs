//! What is wanted of the keepers of a cache at ElastiCache: of that at AWS, and of the one that looks at its servers.

use super::{ENDPOINT, ElastiCache, RUNNER, Seen, wish};
use crate::{
    context::Context,
    keeper::{
        Keepers,
        aws::AwsKeeper,
        cache::Size,
        elasticache::{ElastiCacheOrders, ElastiCacheService},
        elasticache_servers,
    },
    naming::PlatformKey,
    tiers::{
        Children,
        aws::{
            account, control, recorded,
            released::{Item, Words},
        },
        binding::{Address, CacheBinding},
        store::{auth, record},
    },
    validate::ValidPlatform,
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
    let cache = &cache.scaled(record.as_ref());
    let has_served = record.as_ref().is_some_and(|record| record.contains_key(ENDPOINT));
    let key = PlatformKey { namespace: cache.namespace.clone(), name: cache.identity.platform.clone() };
    Some(ElastiCacheOrders {
        item: cache.name.clone(),
        wish: wish::wish(cache, generation, passwords.as_ref(), has_served),
        account: account::settings(&key, &cache.account),
        stored: recorded::stored(children, &cache.object_name),
        acts,
    })
}

/// What is wanted to be known of its servers; None before it serves.
pub fn servers(
    lp: &ValidPlatform,
    cache: &ElastiCache,
    seen: &Seen,
    children: &Children,
    acts: bool,
) -> Option<elasticache_servers::Orders> {
    if seen.held.is_some() {
        return None;
    }
    let CacheBinding { address, login, tls, cluster: _ } = seen.bind(cache).ok()?;
    let record = record::of(children, &cache.object_name);
    let scaled = cache.scaled(record.as_ref());
    let nodes = seen.view.iter().flat_map(|view| &view.at.nodes);
    let node = |at: &aws::Endpoint| Some(Address { host: at.address.clone(), port: u16::try_from(at.port).ok()? });
    Some(elasticache_servers::Orders {
        item: cache.name.clone(),
        endpoint: address,
        nodes: nodes.filter_map(node).collect(),
        login,
        tls,
        wanted: Size {
            mode: if cache.is_clustered() { valkey::Mode::Cluster } else { valkey::Mode::Single },
            shards: scaled.shards,
            replicas: scaled.replicas,
        },
        scaling: cache.written().scaling(lp, record.as_ref(), seen.asked.as_ref()),
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
