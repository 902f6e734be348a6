//! What a platform's databases and caches mean for the scaling of its apps: how many connections each app may open, and whether
//! one of them is what makes an app slow. All but [`PlatformTiers`] is pure.

use super::Cluster;
use crate::{
    keeper::{StoreKey, beside::Moving, cache, database::Figures},
    naming::{AppKey, Owner},
    tiers::{
        autoscaling::hpa::bounds_of,
        cache::{self as caches, ValidCache},
        database::{Provider, ValidDatabase, in_cluster, rds},
    },
    validate::{ValidApp, ValidPlatform},
};
use crds::tiers::{pooler::Pooler, uses::UsedDatabase};
use decide::{
    Duration, Figure, Name, Sample, Symptom, TierKind, Tiers, Time, Tunables,
    budget::{Account, Consumer, Endpoint, Extra, Fit, Known, Limit, Shares, share},
    tier_size::Proposal,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use parking_lot::Mutex;
use postgres::ReplicaState;
use std::{collections::BTreeMap, sync::Arc};

/// How often a keeper looks, at most: what makes its figures stale after three times as long (P).
const LOOKS: Duration = Duration::from_secs(10);

/// The figures of a database, by whoever keeps it; none before its first look.
pub type Look<'a> = &'a dyn Fn(&StoreKey) -> Option<Arc<Figures>>;

/// The figures of a cache, by whoever keeps it; none before its first look.
pub type CacheLook<'a> = &'a dyn Fn(&StoreKey) -> Option<Arc<cache::Figures>>;

/// The servers of a platform's databases and caches, and who uses them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierPlan {
    servers: Vec<Server>,
    caches: Vec<UsedCache>,
}

/// A cache that a keeper of ours looks at.
#[derive(Clone, Debug, PartialEq)]
struct UsedCache {
    name: String,
    keeper: StoreKey,
    users: Vec<AppKey>,
}

/// A primary with its replicas.
#[derive(Clone, Debug, PartialEq)]
struct Server {
    /// The database item.
    item: String,
    /// As explanations call the primary.
    name: String,
    /// Who looks at it; none where nobody of ours does.
    keeper: Option<StoreKey>,
    budget: Option<u32>,
    reserved: u32,
    /// Addresses of replicas, also of those that have none of their own yet.
    replicas: u32,
    /// What stands between the apps and the primary.
    pooler: Option<Pooler>,
    users: Vec<User>,
}

/// An app that uses a server.
#[derive(Clone, Debug, PartialEq)]
struct User {
    key: AppKey,
    min: u32,
    max: u32,
    surge: Extra,
    /// Pods of its jobs.
    jobs: u32,
    /// None where the spec does not say `pool.max`: it cannot be counted then, and is not limited.
    per_pod: Option<u32>,
    /// Connections of a pod beside the pooler.
    direct: u32,
}

impl TierPlan {
    /// The databases of a platform, and the apps that use them.
    pub fn of(platform: &ValidPlatform) -> Self {
        Self {
            servers: platform.databases.iter().flat_map(|database| servers(platform, database)).collect(),
            caches: platform.caches.iter().filter_map(|cache| used_cache(platform, cache)).collect(),
        }
    }

    /// One endpoint per primary, per pooler and per replica. `pods` tells how many pods an app may have now.
    pub fn endpoints(&self, look: Look<'_>, pods: &dyn Fn(&AppKey) -> u32) -> Vec<Endpoint> {
        self.servers.iter().flat_map(|server| server.endpoints(look, pods)).collect()
    }

    /// What would show that a database, and not the app, makes requests slow: of each that the app uses and a keeper measures.
    pub fn symptoms(&self, app: &AppKey, tunables: &Tunables, look: Look<'_>) -> Vec<Symptom> {
        let used = self.servers.iter().filter(|server| server.users.iter().any(|user| user.key == *app));
        used.flat_map(|server| server.symptoms(tunables, look)).collect()
    }

    /// What would show that a cache makes requests slow.
    pub fn cache_symptoms(&self, app: &AppKey, tunables: &Tunables, look: CacheLook<'_>) -> Vec<Symptom> {
        let used = self.caches.iter().filter(|cache| cache.users.contains(app));
        let symptoms = used.flat_map(|cache| {
            let figures = look(&cache.keeper);
            let seen = |of: fn(&cache::Rates) -> Option<f64>| {
                let value =
                    figures.as_ref().and_then(|figures| Some(Sample::value(of(&figures.rates)?, Some(figures.at))));
                value.unwrap_or(Sample::NoData).scraped_every(LOOKS)
            };
            let cpu = (Figure::CacheCpu, seen(|rates| rates.busiest));
            let evictions = (Figure::Evictions, seen(|rates| rates.evictions));
            [cpu, evictions].map(|(figure, sample)| Symptom::new(cache.name.as_str(), figure, sample, tunables))
        });
        symptoms.collect()
    }

    /// The databases and caches that the app uses and that grow because of the load on them.
    pub fn growing(&self, app: &AppKey, look: Look<'_>, cache_look: CacheLook<'_>) -> Vec<Proposal> {
        let proposal = |tier: &str, kind, moving: Moving| {
            moving.grows.then(|| Proposal { tier: tier.into(), kind, grows: true, since: moving.since })
        };
        let servers = self.servers.iter().filter(|server| server.users.iter().any(|user| user.key == *app));
        let replicas = servers.filter_map(|server| {
            proposal(&server.name, TierKind::ReadReplicas, look(server.keeper.as_ref()?)?.moving?)
        });
        let caches = self.caches.iter().filter(|cache| cache.users.contains(app));
        let caches =
            caches.filter_map(|cache| proposal(&cache.name, TierKind::Cache, cache_look(&cache.keeper)?.moving?));
        replicas.chain(caches).collect()
    }
}

fn used_cache(platform: &ValidPlatform, cache: &ValidCache) -> Option<UsedCache> {
    let keeper = match &cache.provider {
        caches::Provider::InCluster(item) => caches::in_cluster::key(platform, item),
        caches::Provider::ElastiCache(item) => caches::elasticache::key(platform, item),
        caches::Provider::External(..) => return None,
    };
    let uses = |app: &&ValidApp| {
        app.spec.uses.as_ref().is_some_and(|uses| uses.caches.iter().any(|used| used.name == cache.name))
    };
    Some(UsedCache {
        name: cache.name.clone(),
        keeper,
        users: platform.apps.iter().filter(uses).map(|app| app.key.clone()).collect(),
    })
}

fn servers(platform: &ValidPlatform, database: &ValidDatabase) -> Vec<Server> {
    let users: Vec<User> = platform.apps.iter().filter_map(|app| user(app, &database.name)).collect();
    let server = |name: String, keeper, reserved, replicas| Server {
        item: database.name.clone(),
        name,
        keeper,
        budget: database.connection_budget.map(count),
        reserved,
        replicas,
        pooler: match &database.provider {
            Provider::External(_) | Provider::CloudNativePg(_) | Provider::Rds(_) => None,
            Provider::InCluster(item) => item.spec.pooler.clone(),
        },
        users: users.clone(),
    };
    match &database.provider {
        Provider::External(external) => {
            vec![server(database.name.clone(), None, 0, u32::try_from(external.replicas.len()).unwrap_or(u32::MAX))]
        }
        Provider::CloudNativePg(item) => {
            // Nobody of ours asks it: what it accepts is what it was given.
            let accepts = item.spec.accepted().of_apps();
            let budget = Some(database.connection_budget.map_or(accepts, |budget| count(budget).min(accepts)));
            vec![Server { budget, ..server(database.name.clone(), None, 0, item.addresses) }]
        }
        Provider::Rds(item) => {
            vec![server(database.name.clone(), Some(rds::key(platform, item)), item.spec.kept(), item.addresses)]
        }
        Provider::InCluster(item) => {
            // What the server reserves its keeper does not count.
            let reserved = item.spec.accepted().kept();
            // An address without a replica of its own leads to the pooler where there is one, and is counted there.
            let replicas = if item.spec.pooler.is_some() { item.spec.most_replicas() } else { item.addresses };
            let one = |at: &in_cluster::Server| {
                server(item.server_name(at), Some(in_cluster::key(platform, at)), reserved, replicas)
            };
            item.servers.iter().map(one).collect()
        }
    }
}

fn user(app: &ValidApp, database: &str) -> Option<User> {
    let used = app.spec.uses.as_ref()?.databases.iter().find(|used| used.name == database)?;
    let fixed = count(app.spec.replicas.unwrap_or(1));
    let (min, max) = match &app.spec.autoscaling {
        Some(scaling) => (count(scaling.min_replicas), count(scaling.max_replicas)),
        None => (fixed, fixed),
    };
    let surge = app.spec.rollout.as_ref().and_then(|rollout| rollout.max_surge.as_ref());
    let direct = used.pool.as_ref().and_then(|pool| pool.max_direct).map_or(0, count);
    Some(User {
        key: app.key.clone(),
        min,
        max,
        surge: surge_of(surge),
        jobs: app.spec.job_pods(),
        per_pod: per_pod(used),
        direct,
    })
}

/// What the Deployment is given: one pod where the spec says nothing.
fn surge_of(surge: Option<&IntOrString>) -> Extra {
    match surge {
        None => Extra::Pods(1),
        Some(IntOrString::Int(pods)) => Extra::Pods(count(*pods)),
        Some(IntOrString::String(share)) => share.trim_end_matches('%').parse().map_or(Extra::Pods(1), Extra::Percent),
    }
}

/// Connections of all pools of a pod to one server.
fn per_pod(used: &UsedDatabase) -> Option<u32> {
    let pool = used.pool.as_ref()?;
    Some(count(pool.max?).saturating_mul(count(pool.pools_per_pod.unwrap_or(1))))
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

impl Server {
    /// As explanations call a replica, by the number of its address.
    fn replica(&self, number: u32) -> Name {
        format!("{} replica {number}", self.name).into()
    }

    /// As explanations call the pooler.
    fn pooler_name(&self) -> Name {
        format!("{} pooler", self.name).into()
    }

    fn endpoints(&self, look: Look<'_>, pods: &dyn Fn(&AppKey) -> u32) -> impl Iterator<Item = Endpoint> {
        // A replica accepts what its primary does, or for a while more: limits are raised on replicas first, and lowered on
        // the primary first.
        let max_connections = self.keeper.as_ref().map(|keeper| accepted(look(keeper).as_deref()));
        let limit = Limit { budget: self.budget, max_connections, reserved: self.reserved };
        let pools = self.consumers(pods, |user| user.per_pod);
        let at_primary = match &self.pooler {
            None => pools.clone(),
            // Its pods are the consumer, and the apps those of it.
            Some(_) if self.users.is_empty() => Vec::new(),
            Some(pooler) => [self.pooled(pooler)]
                .into_iter()
                .chain(self.consumers(pods, |user| (user.direct > 0).then_some(user.direct)))
                .collect(),
        };
        let of_pooler = self.pooler.iter().map(|pooler| {
            let limit = Limit { budget: Some(pooler.client_connections()), max_connections: None, reserved: 0 };
            (self.pooler_name(), limit, pools.clone())
        });
        let replicas = (1..=self.replicas).map(|number| (self.replica(number), limit.clone(), pools.clone()));
        let all: Vec<_> = std::iter::once((self.name.as_str().into(), limit.clone(), at_primary))
            .chain(of_pooler)
            .chain(replicas)
            .filter(|(_, _, consumers)| !consumers.is_empty())
            .collect();
        all.into_iter().map(|(name, limit, consumers)| Endpoint { name, limit, consumers })
    }

    /// The apps with as many connections of each pod as `per_pod` says; those of which it says none are left out.
    fn consumers(&self, pods: &dyn Fn(&AppKey) -> u32, per_pod: impl Fn(&User) -> Option<u32>) -> Vec<Consumer> {
        let consumer = |user: &User| {
            Some(Consumer {
                app: user.key.app.as_str().into(),
                min: user.min,
                max: user.max,
                surge: user.surge,
                // Admission counts the surge and no more. Were pods that still drain counted here, a spec that was just
                // admitted would be capped below its own maxReplicas.
                terminating: Extra::NONE,
                jobs: user.jobs,
                per_pod: per_pod(user)?,
                weight: 1,
                now: pods(&user.key),
            })
        };
        self.users.iter().filter_map(consumer).collect()
    }

    /// The pooler as a consumer of its primary: as many pods as there are, and one more in a rollout.
    fn pooled(&self, pooler: &Pooler) -> Consumer {
        Consumer {
            app: self.pooler_name(),
            min: pooler.pods(),
            max: pooler.pods(),
            surge: Extra::Pods(1),
            terminating: Extra::NONE,
            jobs: 0,
            per_pod: pooler.server_connections(),
            weight: 1,
            now: pooler.pods(),
        }
    }

    fn symptoms(&self, tunables: &Tunables, look: Look<'_>) -> Vec<Symptom> {
        let Some(keeper) = &self.keeper else { return Vec::new() };
        let figures = look(keeper);
        let primary = in_use(figures.as_deref()).scraped_every(LOOKS);
        let mut symptoms = vec![Symptom::new(self.name.as_str(), Figure::ConnectionWait, primary, tunables)];
        let Some(figures) = figures else { return symptoms };
        // One that does not follow answers no reader: it can be slow for nobody.
        let follows = |state| matches!(state, ReplicaState::Streaming | ReplicaState::Late);
        symptoms.extend(figures.view.replicas.iter().filter(|replica| follows(replica.state)).map(|replica| {
            let lag = replica.lag.map(|lag| Sample::value(lag.as_secs_f64(), Some(figures.at)));
            let lag = lag.unwrap_or(Sample::NoData).scraped_every(LOOKS);
            Symptom::new(self.replica(replica.ordinal + 1), Figure::ReplicaLag, lag, tunables)
        }));
        symptoms
    }
}

/// The connections that a server accepts from clients without a reserved one.
fn accepted(figures: Option<&Figures>) -> Sample {
    let seen = figures.and_then(|figures| Some((figures.view.connections?, figures.at)));
    seen.map_or(Sample::NoData, |((_, most), at)| Sample::value(f64::from(most), Some(at)).scraped_every(LOOKS))
}

/// The share of those that are taken.
pub(crate) fn in_use(figures: Option<&Figures>) -> Sample {
    let Some(Figures { at, view, .. }) = figures else { return Sample::NoData };
    match view.connections {
        Some((used, most)) => Sample::value(f64::from(used) / f64::from(most.max(1)), Some(*at)),
        // Nor does the operator get one then.
        None if view.verdicts.iter().any(|verdict| verdict.reason == postgres::Reason::ConnectionsExhausted) => {
            Sample::value(1.0, Some(*at))
        }
        None => Sample::NoData,
    }
}

/// A platform's databases, with what was seen of them earlier.
#[derive(Debug, Default)]
pub struct PlatformTiers {
    pub(super) plan: TierPlan,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    known: Known,
    /// Of one tick: its apps are limited by the same sharing.
    shares: Option<(Time, Shares)>,
}

impl PlatformTiers {
    /// With the memory of `before`.
    pub(super) fn new(plan: TierPlan, before: Option<&Self>) -> Self {
        let memory = before.map(|before| before.memory.clone()).unwrap_or_default();
        memory.lock().shares = None;
        Self { plan, memory }
    }

    /// What the databases show and allow an app at one tick.
    pub(super) fn at(
        &self,
        now: Time,
        app: &AppKey,
        owner: &Owner,
        tunables: &Tunables,
        cluster: &dyn Cluster,
    ) -> Tiers {
        let look = |key: &StoreKey| cluster.database(key);
        let mut memory = self.memory.lock();
        if memory.shares.as_ref().is_none_or(|(at, _)| *at != now) {
            let endpoints = self.plan.endpoints(&look, &|app| pods(cluster, owner, app));
            let shares = share(tunables, now, &mut memory.known, &endpoints);
            memory.shares = Some((now, shares));
        }
        let cap_limit = memory.shares.as_ref().and_then(|(_, shares)| shares.caps.get(app.app.as_str()).cloned());
        let mut symptoms = self.plan.symptoms(app, tunables, &look);
        symptoms.extend(self.plan.cache_symptoms(app, tunables, &|key| cluster.cache(key)));
        let growing = self.plan.growing(app, &look, &|key| cluster.cache(key));
        Tiers { cap_limit, symptoms, growing }
    }

    /// Databases that do not even accept what their apps open at their fewest pods, each with the sum.
    pub(super) fn exceeded(&self, now: Time, tunables: &Tunables, look: Look<'_>) -> BTreeMap<String, String> {
        let endpoints = self.plan.endpoints(look, &|_| 0);
        let accounts = share(tunables, now, &mut self.memory.lock().known, &endpoints).accounts;
        let exceeded = |server: &Server, account: &Account| {
            let named = *account.name == *server.name || account.name == server.pooler_name();
            named && account.fit() == Fit::BudgetExceededByMinimums
        };
        let found = self.plan.servers.iter().filter_map(|server| {
            let account = accounts.iter().find(|account| exceeded(server, account))?;
            Some((server.item.clone(), account.to_string()))
        });
        // The first shard speaks for all.
        found.collect::<Vec<_>>().into_iter().rev().collect()
    }
}

/// Pods that an app may have now: those that are wanted, or as many as its HPA may want.
fn pods(cluster: &dyn Cluster, owner: &Owner, app: &AppKey) -> u32 {
    let wanted = cluster.deployment(owner, app).and_then(|deployment| deployment.spec.as_ref()?.replicas);
    let most = cluster.hpa(app).and_then(|hpa| bounds_of(&hpa)).map_or(0, |bounds| bounds.max);
    wanted.map_or(0, count).max(most)
}
