//! Valkey and Redis at Amazon ElastiCache: AWS keeps the servers. Apps cannot tell it from a cache in the cluster: the same variables
//! and the same change of passwords. The password is AWS's token, or that of one user.

pub mod objects;
mod orders;
pub mod status;
mod wish;

use super::{PORT, count, scaling::Written};
use crate::{
    context::Context,
    keeper::{StoreKey, elasticache::ElastiCacheView, elasticache_servers::ServersView},
    naming::object_name,
    secrets::{Lack, Reader},
    tiers::{
        Children,
        aws::recorded::{Held, Kept, Recorded},
        binding::{self, Address, Bindings, Bound, CacheBinding, Login, Password, Tls},
        store::{
            self, Identity, StoreTier,
            auth::{self, Passwords},
            left_behind::LeftBehind,
            record::Record,
            rotation::{self, NEXT, PASSWORD, PREVIOUS, PUBLISHED, USERNAME, apps::Store},
        },
    },
    validate::ValidPlatform,
};
use aws::elasticache::{Memory, TOKEN};
use crds::tiers::{aws::Aws, cache::Cache, elasticache::ElastiCacheCache, endpoint::StoreTls};
use decide::tier_size::Asked;
pub use orders::{orders, servers};
use std::{collections::BTreeMap, sync::Arc};

/// How the record says who runs the servers.
pub const RUNNER: &str = "elasticache";
/// Key of the record: where the cache answers, once AWS took the apps' password.
const ENDPOINT: &str = "ENDPOINT";

/// A cache at ElastiCache that can be carried out.
#[derive(Clone, Debug)]
pub struct ElastiCache {
    /// Name of the item.
    pub name: String,
    /// Which store it is.
    pub identity: Identity,
    /// What the names of all its objects begin with.
    pub object_name: String,
    /// Namespace.
    pub namespace: String,
    /// Whose it is at AWS.
    pub owner: aws::Owner,
    /// Account and region, as written.
    pub account: Aws,
    /// Shards.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
    /// The rest, as written.
    pub spec: ElastiCacheCache,
}

impl ElastiCache {
    /// A cache of the spec.
    pub fn new(lp: (&str, &str, &aws::Owner), account: &Aws, cache: &Cache, spec: &ElastiCacheCache) -> Self {
        let (platform, namespace, owner) = lp;
        let id = cache.renamed_from.clone().unwrap_or_else(|| cache.name.clone());
        Self {
            name: cache.name.clone(),
            object_name: format!("{}-{RUNNER}", object_name(platform, &id)),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Cache },
            namespace: namespace.to_owned(),
            owner: owner.clone(),
            account: account.clone(),
            shards: count(spec.shards, 1),
            replicas: count(spec.replicas_per_shard, 1),
            spec: spec.clone(),
        }
    }

    /// The size as written.
    fn written(&self) -> Written<'_> {
        Written {
            name: &self.name,
            shards: count(self.spec.shards, 1),
            replicas: count(self.spec.replicas_per_shard, 1),
            scaling: self.spec.scaling.as_ref(),
        }
    }

    /// With the shards and replicas that are wanted, by what is recorded.
    pub fn scaled(&self, record: Option<&Record>) -> Self {
        let (shards, replicas) = self.written().scaled(record);
        Self { shards, replicas, ..self.clone() }
    }

    /// Whether clients connect by TLS, and show a password.
    pub fn is_encrypted(&self) -> bool {
        self.spec.transit_encryption.unwrap_or(true)
    }

    /// Whether keys are spread over shards.
    pub fn is_clustered(&self) -> bool {
        self.spec.cluster_mode.unwrap_or(true)
    }

    /// Under which name its plan speaks of the password.
    fn credential(&self) -> &str {
        self.spec.user.as_ref().map_or(TOKEN, |user| &user.name)
    }

    /// How apps reach it.
    fn binding(&self, address: Address, password: &str, tls: Option<Tls>) -> CacheBinding {
        let username = self.spec.user.as_ref().map(|user| user.name.clone());
        let login = self.is_encrypted().then(|| Login { username, password: Password(password.to_owned()) });
        CacheBinding { address, login, tls, cluster: Some(self.is_clustered()) }
    }
}

/// What a pass has observed of a cache at ElastiCache.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Why nothing may be made or changed for it.
    pub held: Option<Held>,
    /// What is kept of it; None where nothing was done yet.
    pub record: Option<Record>,
    /// What is in the record for AWS.
    pub recorded: Option<Recorded<Memory>>,
    /// What its keeper has seen.
    pub view: Option<Arc<ElastiCacheView>>,
    /// The keeper has looked at it as it is wanted now.
    pub answered: bool,
    /// The passwords, none where clients show none; or what is lacking.
    pub passwords: Result<Passwords, Lack>,
    /// By whom the servers are known; None where they do not speak TLS.
    pub tls: Bound<Option<Tls>>,
    /// How far a change of the password is.
    pub rotation: Option<String>,
    /// What was seen of its servers.
    pub servers: Option<Arc<ServersView>>,
    /// An app that it makes slow.
    pub asked: Option<Asked>,
}

/// Which keeper keeps it.
pub fn key(lp: &ValidPlatform, cache: &ElastiCache) -> StoreKey {
    StoreKey { platform: lp.key.clone(), object_name: cache.object_name.clone() }
}

/// What a pass finds out about a cache.
pub async fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    cache: &ElastiCache,
    left: &LeftBehind,
    reader: &mut Reader<'_>,
) -> Seen {
    let kept = Kept::<Memory>::of(children, &cache.object_name, (&lp.key, &cache.account), &ctx.settings);
    let left = left.holds(&cache.identity.id).then(|| left.remedy(StoreTier::Cache));
    let given = match &cache.spec.auth_token {
        Some(key) => reader.text(&key.name, &key.key).await.map(Some),
        None => Ok(None),
    };
    let has_data = kept.recorded.as_ref().is_some_and(|recorded| recorded.memory.seen);
    let passwords = given.clone().and_then(|given| {
        if !cache.is_encrypted() {
            return Ok(Passwords::default());
        }
        let make = |_: &str| given.clone().or_else(|| auth::random().ok());
        let mut found = auth::passwords(children, &cache.object_name, &[PASSWORD], has_data && given.is_none(), make)?;
        if let Some(user) = &cache.spec.user {
            found.set(USERNAME, &user.name);
        }
        Ok(found)
    });
    let tls = cache.is_encrypted().then(|| StoreTls { ca: cache.spec.authorities.clone() });
    let mut seen = Seen {
        held: kept.held.or(left.map(Held::by_data)),
        record: kept.record,
        recorded: kept.recorded,
        view: ctx.elasticache.view(&key(lp, cache)),
        answered: false,
        passwords,
        tls: binding::tls(reader, tls.as_ref()).await,
        rotation: None,
        servers: ctx.elasticache_servers.view(&key(lp, cache)),
        asked: store::asked(ctx, lp, &cache.name),
    };
    if let (Ok(passwords), Ok(given), None, true) = (&seen.passwords, &given, &seen.held, cache.is_encrypted()) {
        let (passwords, told) = rotate(ctx, lp, children, cache, &seen, passwords, given.as_deref());
        (seen.passwords, seen.rotation) = (Ok(passwords), told);
    }
    seen
}

/// The password that clients are given.
fn present(passwords: &Passwords) -> Option<&str> {
    passwords.text(PUBLISHED).or(passwords.text(PASSWORD))
}

/// The password that AWS is to take, beside the present one where it is another; and whether all clients use the present one.
fn wished(passwords: &Passwords) -> (Option<&str>, bool) {
    let (next, changes) = (passwords.text(NEXT), passwords.text(PREVIOUS).is_some());
    (next.filter(|_| !changes).or(present(passwords)), !changes)
}

/// The passwords after the next step of their change, and what is told of it.
fn rotate(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    cache: &ElastiCache,
    seen: &Seen,
    passwords: &Passwords,
    given: Option<&str>,
) -> (Passwords, Option<String>) {
    let mut binding = Bindings::default();
    if let Ok(bound) = seen.bind_with(cache, passwords) {
        binding.caches = BTreeMap::from([(cache.name.clone(), Ok(bound))]);
    }
    let store = Store {
        name: &cache.name,
        logins: rotation::Logins::Passwords,
        every: cache.spec.password_rotation.as_ref().map(|rotation| rotation.every.into()),
        given,
        has_served: seen.endpoint(cache).is_some(),
        works: passwords.text(NEXT).is_some_and(|next| seen.is_taken(cache, next)),
        binding,
    };
    rotation::apps::advance(ctx, lp, children, &store, passwords)
}

impl Seen {
    /// Whether AWS takes a password now, as far as its keeper knows.
    fn is_taken(&self, cache: &ElastiCache, password: &str) -> bool {
        let taken = self.view.as_ref().and_then(|view| view.at.accepted.get(cache.credential()).cloned());
        taken.is_some_and(|taken| taken == aws::Password::new(password).fingerprint())
    }

    /// Where it answers, once AWS took the apps' password: what was recorded, or what its keeper sees now.
    pub fn endpoint(&self, cache: &ElastiCache) -> Option<Address> {
        let password = self.passwords.as_ref().ok().and_then(present);
        let opens = !cache.is_encrypted() || password.is_some_and(|password| self.is_taken(cache, password));
        let now = self.view.as_ref().filter(|view| opens && view.at.serves).and_then(|view| view.at.endpoint.clone());
        let now = now.and_then(|at| Some(Address { host: at.address, port: u16::try_from(at.port).ok()? }));
        now.or_else(|| Address::parse(self.record.as_ref()?.get(ENDPOINT)?, PORT).ok())
    }

    /// How apps reach it. Before AWS took their password they wait.
    pub fn bind(&self, cache: &ElastiCache) -> Bound<CacheBinding> {
        if let Some(held) = &self.held {
            return Err(Lack::NotYet(held.why.clone()));
        }
        self.bind_with(cache, self.passwords.as_ref().map_err(Clone::clone)?)
    }

    fn bind_with(&self, cache: &ElastiCache, passwords: &Passwords) -> Bound<CacheBinding> {
        let tls = self.tls.clone()?;
        let address = self.endpoint(cache).ok_or_else(|| Lack::NotYet("it is being made at AWS".to_owned()))?;
        Ok(cache.binding(address, present(passwords).unwrap_or_default(), tls))
    }
}

/// How apps reach it, without a look at any Secret.
pub fn placeholder(cache: &ElastiCache) -> CacheBinding {
    let ca = cache.spec.authorities.as_ref().map(|key| format!("SECRET-{}-{}", key.name, key.key).into_bytes());
    let port = cache.spec.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
    let address = Address { host: format!("ENDPOINT-{}", cache.owner.identity.replication_group()), port };
    let password = format!("SECRET-{}-{PASSWORD}", auth::name(&cache.object_name));
    cache.binding(address, &password, cache.is_encrypted().then_some(Tls { ca }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_is_asked_to_take_the_next_password_until_it_is_published_and_drops_none_before() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()));
            pairs.collect::<Passwords>()
        };
        let settled = of(&[(PASSWORD, "a"), (PUBLISHED, "a"), (PREVIOUS, "")]);
        let spreading = of(&[(PASSWORD, "a"), (PUBLISHED, "a"), (NEXT, "b")]);
        let published = of(&[(PASSWORD, "b"), (PUBLISHED, "b"), (PREVIOUS, "a"), (NEXT, "c")]);
        for (passwords, wish, given) in
            [(settled, ("a", true), "a"), (spreading, ("b", true), "a"), (published, ("b", false), "b")]
        {
            assert_eq!((wished(&passwords), present(&passwords)), ((Some(wish.0), wish.1), Some(given)));
        }
        assert_eq!(wished(&of(&[])), (None, true));
    }
}
