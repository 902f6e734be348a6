//! The servers of a cache at ElastiCache, as one of their clients sees them. AWS is looked at seldom and tells nothing of their memory
//! and work; they are asked themselves, with a clock of their own.

use super::{
    Keep, Round, StoreKey,
    cache::{self, Scaled},
    cache_size::{self, Rates, Scaling, Servers, Size},
};
use crate::{
    context::Context,
    tiers::{
        binding::{Address, Login, Tls},
        store::StoreTier,
    },
};
use aws::elasticache::{Group, Usage};
use decide::{Duration as Span, Time};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use valkey::{Connector, Guest, Managed, ManagedShard, Mode, Password, Role, Slots};

/// How long a server may take for an answer (P).
const PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks (P).
const LOOKS: Duration = Duration::from_secs(5);
/// How long what was seen of the memory counts where shards are to go (P).
const FRESH: Span = Span::from_secs(30);

/// Looks at the servers of caches at ElastiCache.
pub struct ElastiCacheServers;

/// What a pass wants to know of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Orders {
    /// Name of the item.
    pub item: String,
    /// Where it answers; the certificates of its servers bear this name.
    pub endpoint: Address,
    /// Where each server answers; empty where the endpoint leads to one that names all others.
    pub nodes: Vec<Address>,
    /// As whom; None where clients show nothing.
    pub login: Option<Login>,
    /// By whom the servers are known; None where they do not speak TLS.
    pub tls: Option<Tls>,
    /// The size that it is wanted to have.
    pub wanted: Size,
    /// How it is scaled; None where its size is fixed.
    pub scaling: Option<Scaling>,
    /// Whether anything may be done: not to a suspended platform.
    pub acts: bool,
}

/// What passes are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServersView {
    /// Another size that is wanted from now on.
    pub scaled: Option<Scaled>,
    /// Another size that would be right, and what it waits for: a sentence.
    pub waits: Option<String>,
    /// Why the servers cannot be looked at.
    pub problem: Option<String>,
}

/// What was seen in figures.
#[derive(Clone, Debug)]
pub struct ServersFigures {
    /// As of any cache.
    pub cache: Arc<cache::Figures>,
    /// How full each shard's primary is, by the slots that it owns; none of one that may use what it likes.
    pub usage: Vec<(Slots, Usage)>,
    /// Whether keys are evicted at the memory limit: then it is normal that it is reached. None where no primary answers.
    pub evicts: Option<bool>,
}

impl Keep for ElastiCacheServers {
    const TIER: StoreTier = StoreTier::Cache;
    type Orders = Orders;
    type View = ServersView;
    type Figures = ServersFigures;
    type Memory = cache_size::Memory;

    async fn round(
        ctx: &Context,
        key: &StoreKey,
        orders: &Orders,
        before: Option<&ServersView>,
        memory: &mut cache_size::Memory,
    ) -> Round<ServersView, ServersFigures> {
        let at = Time::from(jiff::Timestamp::now());
        let (seen, problem) = match look(orders).await {
            Ok(seen) => (seen, None),
            Err(problem) => {
                if before.is_none_or(|before| before.problem.as_ref() != Some(&problem)) {
                    tracing::info!(store = %key, problem, "its servers cannot be looked at");
                }
                (Managed::default(), Some(problem))
            }
        };
        let rates = match problem {
            // What was counted before goes on to count.
            Some(_) => Rates::default(),
            None => memory.rates(at, &cache_size::managed_workers(&seen)),
        };
        let scaling = orders.scaling.as_ref().filter(|_| orders.acts);
        let told = scaling.and_then(|scaling| scaling.last_move);
        let servers = Servers::of_managed(&seen, &orders.wanted, told, at);
        let (scaled, waits) = scaling.filter(|_| problem.is_none()).map_or((None, None), |scaling| {
            let input = cache_size::input(ctx, scaling, at, &orders.wanted, (&servers, rates));
            memory.decide(&ctx.settings.tunables, scaling, &input)
        });
        let moving = scaling.and_then(|it| cache_size::moving(it, &orders.wanted, &servers, scaled.as_ref()));
        let shown = cache::Figures { at, shown: servers.figures, rates, moving };
        let primaries = seen.shards.iter().filter_map(|shard| shard.primary.said.as_ref().ok());
        let figures = ServersFigures {
            cache: Arc::new(shown),
            usage: seen.shards.iter().filter_map(usage_of).collect(),
            evicts: primaries.map(|said| said.store.memory.evicts).reduce(|all, evicts| all && evicts),
        };
        Round { view: ServersView { scaled, waits, problem }, figures, next: LOOKS }
    }
}

/// Asks the servers; or why that cannot be.
async fn look(orders: &Orders) -> Result<Managed, String> {
    let hosts = match orders.wanted.mode {
        Mode::Single if !orders.nodes.is_empty() => orders.nodes.as_slice(),
        Mode::Single | Mode::Cluster => std::slice::from_ref(&orders.endpoint),
    };
    let tls = orders.tls.as_ref().map(|tls| connector(tls, &orders.endpoint.host)).transpose()?;
    let guest = Guest {
        mode: orders.wanted.mode,
        addresses: resolved(hosts, orders.wanted.mode).await?,
        user: orders.login.as_ref().and_then(|login| login.username.clone()),
        password: orders.login.as_ref().map(|login| Password::new(&login.password.0)),
        tls,
        patience: PATIENCE,
    };
    guest.observe().await.map_err(|error| error.to_string())
}

fn connector(tls: &Tls, name: &str) -> Result<Connector, String> {
    let connector = match &tls.ca {
        Some(authorities) => valkey::Trust { authorities: authorities.clone(), name: name.to_owned() }.connector(),
        None => Connector::public(name),
    };
    connector.map_err(|error| error.to_string())
}

/// Addresses of all hosts: in mode `Single` one of each, for each is a server. One that is being made has none yet.
async fn resolved(hosts: &[Address], mode: Mode) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    let mut unknown = None;
    for Address { host, port } in hosts {
        let found = tokio::net::lookup_host((host.as_str(), *port)).await;
        match found {
            Ok(found) => addresses.extend(found.take(if mode == Mode::Single { 1 } else { usize::MAX })),
            Err(error) => unknown = Some(format!("{host} has no address that this cluster knows: {error}")),
        }
    }
    unknown.filter(|_| addresses.is_empty()).map_or(Ok(addresses), Err)
}

/// How full a shard's primary is.
fn usage_of(shard: &ManagedShard) -> Option<(Slots, Usage)> {
    let said = shard.primary.said.as_ref().ok().filter(|said| said.role == Role::Primary)?;
    let memory = &said.store.memory;
    (memory.max > 0).then(|| (shard.slots.clone(), Usage { used: memory.used, most: memory.max }))
}

impl ServersFigures {
    /// How full the primary of each shard is, by the shard's id at AWS. Those are missing of which it was not seen a moment ago, or
    /// whose slots AWS tells otherwise.
    pub fn usage(&self, group: &Group, now: Time) -> BTreeMap<String, Usage> {
        if now.since(self.cache.at) > FRESH {
            return BTreeMap::new();
        }
        let of = |shard: &aws::elasticache::Shard| {
            let slots = slots(shard.slots.as_deref()?)?;
            let (_, usage) = self.usage.iter().find(|(of, _)| *of == slots)?;
            Some((shard.id.clone(), *usage))
        };
        group.shards.iter().filter_map(of).collect()
    }
}

/// Slots in AWS's words, as `0-5460` or `0-99,200-5460`; None where they are none.
fn slots(words: &str) -> Option<Slots> {
    words.split(',').try_fold(Slots::none(), |all, range| {
        let (first, last) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
        Some(all.or(&Slots::range(first.parse().ok()?, last.parse().ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::{
        Tags,
        elasticache::{Settings, Shard},
    };

    fn figures(at: i64, usage: &[(u16, u16, u64)]) -> ServersFigures {
        let cache = cache::Figures {
            at: Time::from_secs(at),
            shown: valkey::Figures::default(),
            rates: Rates::default(),
            moving: None,
        };
        let usage = usage.iter().map(|(first, last, used)| {
            let (first, last) = (Slots::range(*first, *last), Slots::range(16000, 16000));
            (first.or(&last), Usage { used: *used, most: 100 })
        });
        ServersFigures { cache: Arc::new(cache), usage: usage.collect(), evicts: None }
    }

    fn group(shards: &[(&str, Option<&str>)]) -> Group {
        let shard = |(id, slots): &(&str, Option<&str>)| Shard {
            id: (*id).to_owned(),
            status: "available".to_owned(),
            slots: slots.map(str::to_owned),
            members: Default::default(),
        };
        Group {
            id: "a".to_owned(),
            status: "available".to_owned(),
            tags: Tags::new(),
            untold: false,
            settings: Settings::default(),
            pending: Settings::default(),
            pending_token: None,
            resharding: false,
            pending_reboot: false,
            shards: shards.iter().map(shard).collect(),
            members: BTreeMap::new(),
            endpoint: None,
            reader: None,
            nodes: Vec::new(),
            token: false,
            user_groups: Default::default(),
        }
    }

    #[test]
    fn memory_counts_for_the_shard_that_owns_these_very_slots_and_for_a_moment() {
        let of = |slots: &str| group(&[("0001", Some(slots)), ("0002", None)]);
        let seen = figures(1_800_000_000, &[(0, 99, 40)]);
        let table = [
            ("0-99,16000", 30, Some(40)),
            ("0-98,99-99, 16000-16000", 30, Some(40)),
            ("0-99,16000", 31, None),
            ("0-100,16000", 5, None),
            ("0-99", 5, None),
            ("", 5, None),
            ("0-x", 5, None),
        ];
        for (slots, age, used) in table {
            let found = seen.usage(&of(slots), Time::from_secs(1_800_000_000 + age));
            let expected = used.map(|used| ("0001".to_owned(), Usage { used, most: 100 }));
            assert_eq!(found, expected.into_iter().collect(), "{slots:?} {age}");
        }
    }

    #[test]
    fn a_primary_without_a_bound_is_as_full_as_nobody_knows() {
        let node = |max| {
            let mut store = valkey::Store::default();
            (store.memory.used, store.memory.max) = (7, max);
            let said = valkey::Said { role: Role::Primary, store, work: None, offset: 0 };
            valkey::ManagedNode { name: "a".to_owned(), said: Ok(said) }
        };
        let shard = |max| ManagedShard { slots: Slots::all(), primary: node(max), replicas: Vec::new() };
        assert_eq!(usage_of(&shard(9)), Some((Slots::all(), Usage { used: 7, most: 9 })));
        assert_eq!(usage_of(&shard(0)), None);
    }
}
