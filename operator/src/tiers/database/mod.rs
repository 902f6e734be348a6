//! The database room: PostgreSQL servers.

pub mod cloud_native_pg;
mod external;
pub mod in_cluster;
mod login;
pub mod rds;
pub mod scaling;

use super::{
    Children, ItemStatus, Plan, Tier, TierStatus,
    binding::{self, Address, Bound, DatabaseBinding},
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
    keeper::{StoreKey, database::Orders, rds::RdsOrders, rds_servers},
    kinds::{Belongs, Kind, ObjectId, belongs},
    secrets::{KubeSecrets, Lack, Reader},
    validate::ValidPlatform,
};
use cloud_native_pg::CloudNativePg;
use crds::{
    LearningPlatform,
    status::{ConditionType, Reason},
    tiers::database::ExternalDatabase,
};
use in_cluster::InCluster;
use jiff::Timestamp;
use kube::core::DynamicObject;
use rds::Rds;
use std::collections::{BTreeMap, BTreeSet};

/// The port of PostgreSQL.
pub const PORT: u16 = 5432;

/// The database room.
pub struct Databases;

/// A database that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidDatabase {
    /// Name of the item.
    pub name: String,
    /// Most connections that the apps may open to each of its servers.
    pub connection_budget: Option<i32>,
    /// Where it runs.
    pub provider: Provider,
}

impl ValidDatabase {
    /// Which store it is; none of somebody else's.
    pub fn id(&self) -> Option<&str> {
        match &self.provider {
            Provider::External(_) => None,
            Provider::InCluster(item) => Some(&item.identity.id),
            Provider::CloudNativePg(item) => Some(&item.identity.id),
            Provider::Rds(item) => Some(&item.identity.id),
        }
    }
}

/// Where a database runs.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Somewhere else.
    External(Box<External>),
    /// In this cluster.
    InCluster(Box<InCluster>),
    /// In this cluster, run by CloudNativePG.
    CloudNativePg(Box<CloudNativePg>),
    /// At Amazon RDS.
    Rds(Box<Rds>),
}

/// A database that somebody else runs.
#[derive(Clone, Debug)]
pub struct External {
    /// Address of the primary.
    pub primary: Address,
    /// Addresses of the read replicas.
    pub replicas: Vec<Address>,
    /// The rest, as written.
    pub spec: ExternalDatabase,
}

/// What the database room has observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How the databases are reached, by name.
    pub bindings: BTreeMap<String, Bound<DatabaseBinding>>,
    /// Those in this cluster, by name.
    pub in_cluster: BTreeMap<String, in_cluster::Seen>,
    /// Those that CloudNativePG runs, by name.
    pub cloud_native_pg: BTreeMap<String, cloud_native_pg::Seen>,
    /// Those at RDS, by name.
    pub rds: BTreeMap<String, rds::Seen>,
    /// Data that no item names.
    pub left: LeftBehind,
    /// Those that accept less than their apps open at their fewest pods, each with the sum.
    pub exceeded: BTreeMap<String, String>,
    /// Which optional APIs the cluster serves.
    pub served: Served,
}

impl Observed {
    /// Holds what must not be made: stores whose volumes are there and cannot be gone on with, for the reasons given, and what
    /// may be one of them under another name.
    pub fn hold(&mut self, lp: &ValidPlatform, reasons: &BTreeMap<StoreId, String>) {
        for ((_, id), why) in reasons.iter().filter(|((tier, _), _)| *tier == StoreTier::Database) {
            let item = in_cluster_items(lp).find(|item| item.identity.id == *id);
            match item.and_then(|item| self.in_cluster.get_mut(&item.name)) {
                Some(seen) => seen.held = Some(why.clone()),
                None => drop(self.left.waiting.insert(id.clone())),
            }
        }
        for item in in_cluster_items(lp).filter(|_| !reasons.is_empty()) {
            let Some(seen) = self.in_cluster.get_mut(&item.name) else { continue };
            if seen.held.is_none() && self.left.holds(&item.identity.id) {
                seen.held = Some(self.left.remedy(StoreTier::Database));
            }
            self.bindings.insert(item.name.clone(), seen.bind(item));
        }
    }

    /// Takes note of what becomes of the volumes of its stores when their namespace is deleted.
    pub fn note(&mut self, lp: &ValidPlatform, kept: &BTreeMap<StoreId, Kept>) {
        for item in in_cluster_items(lp) {
            let store = (StoreTier::Database, item.identity.id.clone());
            if let (Some(seen), Some(kept)) = (self.in_cluster.get_mut(&item.name), kept.get(&store)) {
                seen.volumes = kept.clone();
            }
        }
    }
}

impl Tier for Databases {
    const CONDITION: ConditionType = ConditionType::DatabaseReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let secrets = KubeSecrets(ctx.client.clone());
        let mut reader = Reader::new(&secrets, &lp.key.namespace);
        let left = left_behind(lp, children);
        let mut found = Observed { left, served: ctx.capabilities.now(), ..Observed::default() };
        found.exceeded = ctx.registry.exceeded(&lp.key, &ctx.settings.tunables, &|key| ctx.database_figures(key));
        for database in &lp.databases {
            let bound = match &database.provider {
                Provider::External(_) if found.left.waiting.contains(&database.name) => {
                    Err(Lack::NotYet(found.left.remedy(StoreTier::Database)))
                }
                Provider::External(external) => external::bind(&mut reader, external).await,
                Provider::InCluster(database) => {
                    let mut seen = in_cluster::observe(ctx, lp, children, database, &found.left, &mut reader).await;
                    seen.fits = !found.exceeded.contains_key(&database.name);
                    for (server, seen) in database.servers.iter().zip(&mut seen.servers) {
                        seen.promotion = in_cluster::promotion::look(ctx, lp, children, database, server, seen).await;
                    }
                    let bound = seen.bind(database);
                    found.in_cluster.insert(database.name.clone(), seen);
                    bound
                }
                Provider::CloudNativePg(item) => {
                    let seen = cloud_native_pg::look(children, item, &found.left, found.served);
                    let bound = cloud_native_pg::bind(&mut reader, item, &seen).await;
                    found.cloud_native_pg.insert(database.name.clone(), seen);
                    bound
                }
                Provider::Rds(item) => {
                    let mut seen = rds::observe(ctx, lp, children, item, &found.left, &mut reader).await;
                    if found.exceeded.contains_key(&database.name) {
                        seen.note_exceeded();
                    }
                    let bound = seen.bind(item);
                    found.rds.insert(database.name.clone(), seen);
                    bound
                }
            };
            found.bindings.insert(database.name.clone(), bound);
        }
        Ok(found)
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> Plan {
        let in_cluster = in_cluster_items(lp).filter_map(|item| Some((item, seen.in_cluster.get(&item.name)?)));
        let mut plan: Plan = in_cluster
            .flat_map(|(item, found)| {
                super::steps(&item.name, in_cluster::objects::objects(item, found, children, seen.served))
            })
            .collect();
        let delegated =
            cloud_native_pg_items(lp).filter_map(|item| Some((item, seen.cloud_native_pg.get(&item.name)?)));
        plan.extend(
            delegated
                .flat_map(|(item, found)| super::steps(&item.name, cloud_native_pg::objects::objects(item, found))),
        );
        let at_rds = rds_items(lp).filter_map(|item| Some((item, seen.rds.get(&item.name)?)));
        plan.extend(at_rds.flat_map(|(item, found)| super::steps(&item.name, rds::objects::objects(item, found))));
        plan.extend(left_behind::marked(children, &lp.key.name, &seen.left, StoreTier::Database));
        plan
    }

    fn kept(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> BTreeSet<ObjectId> {
        let unplanned = in_cluster_items(lp).filter(|item| {
            seen.in_cluster.get(&item.name).is_none_or(|seen| seen.held.is_some() || seen.passwords.is_err())
        });
        let unplanned = unplanned.flat_map(|item| children.of(&item.identity.id));
        let held = cloud_native_pg_items(lp)
            .filter(|item| seen.cloud_native_pg.get(&item.name).is_none_or(|seen| seen.held.is_some()))
            .flat_map(|item| children.of(&item.identity.id));
        // The names of replicas are known when AWS has been asked again.
        let unseen = rds_items(lp).filter(|item| {
            let seen = seen.rds.get(&item.name);
            seen.is_none_or(|seen| seen.held.is_some() || seen.passwords.is_err() || !seen.is_found())
        });
        let held = held.chain(unseen.flat_map(|item| children.of(&item.identity.id)));
        // CloudNativePG deletes the volumes with a Cluster, so none is ever removed by a pass.
        let clusters = children.0.keys().filter(|id| id.kind == Kind::CloudNativePgCluster).cloned();
        // What such a Cluster refers to goes only where its item says so.
        let items: BTreeSet<&str> = cloud_native_pg_items(lp).map(|item| item.identity.id.as_str()).collect();
        let is_referred = |kind| matches!(kind, Kind::BarmanObjectStore | Kind::CloudNativePgScheduledBackup);
        let referred = children.0.iter().filter(|(id, object)| {
            is_referred(id.kind) && store::made_for(*object).is_none_or(|made_for| !items.contains(made_for))
        });
        let clusters = clusters.chain(referred.map(|(id, _)| id.clone()));
        // Only more of them than are to be kept ever go, by name: see [`surplus`].
        let snapshots = children.0.keys().filter(|id| id.kind == Kind::VolumeSnapshot).cloned();
        let lingers = |item: &&InCluster| seen.in_cluster.get(&item.name).is_some_and(|seen| seen.pooler.lingers);
        let poolers = in_cluster_items(lp).filter(lingers);
        let poolers = poolers.flat_map(|item| in_cluster::pooler::lingering(item, children));
        let kept = seen.left.kept(children).chain(unplanned).chain(poolers).chain(held).chain(clusters);
        kept.chain(snapshots).collect()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> TierStatus {
        let items = lp.databases.iter().filter_map(|database| {
            let status = match &database.provider {
                Provider::External(external) => ItemStatus {
                    verdicts: vec![binding::external(
                        Self::CONDITION,
                        seen.bindings.get(&database.name)?,
                        &external.primary,
                    )],
                    address: Some(external.primary.to_string()),
                    ..ItemStatus::default()
                },
                Provider::InCluster(item) => in_cluster::status::status(item, seen.in_cluster.get(&item.name)?),
                Provider::CloudNativePg(item) => {
                    let bound = seen.bindings.get(&database.name)?;
                    cloud_native_pg::status::status(item, seen.cloud_native_pg.get(&item.name)?, bound)
                }
                Provider::Rds(item) => rds::status::status(item, seen.rds.get(&item.name)?),
            };
            Some((database.name.clone(), with_sum(status, seen.exceeded.get(&database.name))))
        });
        TierStatus { items: items.collect(), waiting: super::waiting(Self::CONDITION, StoreTier::Database, &seen.left) }
    }
}

/// Connections of which there are too few make a database that serves no unready one.
fn with_sum(mut status: ItemStatus, sum: Option<&String>) -> ItemStatus {
    let good = status.verdicts.iter_mut().filter(|verdict| verdict.reason == Reason::Succeeded);
    for (verdict, sum) in good.zip(sum) {
        verdict.reason = Reason::BudgetExceededByMinimums;
        verdict.message =
            format!("connections of its apps: {sum}; lower pool.max or minReplicas, or raise what it takes");
    }
    status
}

/// The databases in this cluster.
fn in_cluster_items(lp: &ValidPlatform) -> impl Iterator<Item = &InCluster> {
    lp.databases.iter().filter_map(|database| match &database.provider {
        Provider::InCluster(database) => Some(database.as_ref()),
        Provider::CloudNativePg(_) | Provider::Rds(_) | Provider::External(_) => None,
    })
}

/// The snapshots of databases that are more than are to be kept, the oldest first. One that a database is still to be made of stays.
pub fn surplus<'a>(lp: &'a ValidPlatform, children: &'a Children) -> Vec<&'a DynamicObject> {
    let sources = in_cluster_items(lp).filter_map(|item| in_cluster::backup::source::awaited(item, children));
    let sources: BTreeSet<&str> = sources.collect();
    let of_item = |item: &'a InCluster| {
        item.servers.iter().flat_map(move |server| in_cluster::backup::snapshots::surplus(children, item, server))
    };
    let all = in_cluster_items(lp).flat_map(of_item).filter(|snapshot| {
        let is_source = snapshot.metadata.name.as_ref().is_some_and(|name| sources.contains(name.as_str()));
        !is_source && !matches!(belongs(*snapshot, &lp.owner), Belongs::Foreign(_))
    });
    all.collect()
}

/// When the next snapshot of a database is due: no event tells.
pub fn next_snapshot(platform: &LearningPlatform, now: Timestamp) -> Option<Timestamp> {
    let backups = platform.spec.databases.iter().filter_map(|item| item.in_cluster.as_ref()?.backup.as_ref());
    backups.filter_map(|backup| in_cluster::backup::snapshots::next(backup, now)).min()
}

/// The databases that CloudNativePG runs.
fn cloud_native_pg_items(lp: &ValidPlatform) -> impl Iterator<Item = &CloudNativePg> {
    lp.databases.iter().filter_map(|database| match &database.provider {
        Provider::CloudNativePg(database) => Some(database.as_ref()),
        Provider::InCluster(_) | Provider::Rds(_) | Provider::External(_) => None,
    })
}

/// The databases at RDS.
fn rds_items(lp: &ValidPlatform) -> impl Iterator<Item = &Rds> {
    lp.databases.iter().filter_map(|database| match &database.provider {
        Provider::Rds(database) => Some(database.as_ref()),
        Provider::InCluster(_) | Provider::CloudNativePg(_) | Provider::External(_) => None,
    })
}

/// Data that no database of the spec names, whoever keeps them.
pub fn left_behind(lp: &ValidPlatform, children: &Children) -> LeftBehind {
    let mut left = left_behind::left_behind(children, StoreTier::Database, &identities(lp), &lp.abandon_data);
    let clusters = cloud_native_pg_items(lp).map(|item| item.identity.id.clone()).collect();
    left.add(
        children,
        (cloud_native_pg::objects::RUNNER, Some(Kind::CloudNativePgCluster)),
        &clusters,
        &lp.abandon_data,
    );
    let at_rds = rds_items(lp).map(|item| item.identity.id.clone()).collect();
    left.add(children, (rds::RUNNER, None), &at_rds, &lp.abandon_data);
    left
}

fn identities(lp: &ValidPlatform) -> BTreeSet<String> {
    in_cluster_items(lp).map(|item| item.identity.id.clone()).collect()
}

/// What is known without a cluster.
pub fn offline(lp: &ValidPlatform) -> Observed {
    let databases = in_cluster_items(lp).map(|item| (item.name.clone(), in_cluster::offline(item)));
    let none = Children::default();
    let delegated = cloud_native_pg_items(lp)
        .map(|item| (item.name.clone(), cloud_native_pg::look(&none, item, &LeftBehind::default(), Served::ALL)));
    let (in_cluster, cloud_native_pg) = (databases.collect(), delegated.collect());
    Observed { in_cluster, cloud_native_pg, served: Served::ALL, ..Observed::default() }
}

/// What is wanted of the keepers of the databases in this cluster; `children` are those after the pass.
pub fn orders(lp: &ValidPlatform, seen: &Observed, children: &Children, acts: bool) -> Vec<(StoreKey, Orders)> {
    let orders = in_cluster_items(lp).filter_map(|item| {
        let seen = seen.in_cluster.get(&item.name)?;
        let server =
            |server| Some((in_cluster::key(lp, server), in_cluster::orders(item, server, seen, children, acts)?));
        Some(item.servers.iter().filter_map(server).collect::<Vec<_>>())
    });
    orders.flatten().collect()
}

/// What is wanted of the keepers of the databases at RDS; `children` are those after the pass.
pub fn rds_orders(lp: &ValidPlatform, seen: &Observed, children: &Children, acts: bool) -> Vec<(StoreKey, RdsOrders)> {
    let orders = rds_items(lp).filter_map(|item| {
        let orders = rds::orders(item, lp.generation, seen.rds.get(&item.name)?, children, acts)?;
        Some((rds::key(lp, item), orders))
    });
    orders.collect()
}

/// What is wanted of the keepers of the servers at RDS.
pub fn rds_servers_orders(
    lp: &ValidPlatform,
    seen: &Observed,
    children: &Children,
    acts: bool,
) -> Vec<(StoreKey, rds_servers::Orders)> {
    let orders = rds_items(lp).filter_map(|item| {
        let orders = rds::servers_orders(item, seen.rds.get(&item.name)?, children, acts)?;
        Some((rds::key(lp, item), orders))
    });
    orders.collect()
}

/// Notes whose keepers have looked at AWS and at the servers as they are wanted now.
pub fn rds_answered(lp: &ValidPlatform, seen: &mut Observed, aws: &BTreeSet<StoreKey>, servers: &BTreeSet<StoreKey>) {
    for item in rds_items(lp) {
        if let Some(seen) = seen.rds.get_mut(&item.name) {
            let key = rds::key(lp, item);
            seen.answered = aws.contains(&key) && servers.contains(&key);
        }
    }
}

/// Notes whose keepers have looked at the servers as they are wanted now: what they have seen counts.
pub fn answered(lp: &ValidPlatform, seen: &mut Observed, children: &Children, answered: &BTreeSet<StoreKey>) {
    for item in in_cluster_items(lp) {
        if let Some(seen) = seen.in_cluster.get_mut(&item.name) {
            let all = item.servers.iter().all(|server| answered.contains(&in_cluster::key(lp, server)));
            seen.answered = all && store::rolled(children, &item.identity.id);
        }
    }
}
