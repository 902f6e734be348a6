//! The database room: PostgreSQL servers.

mod external;

use super::{
    Children, ItemStatus, Plan, Tier, TierStatus,
    binding::{self, Address, Bound, DatabaseBinding},
};
use crate::{
    context::Context,
    error::Result,
    secrets::{KubeSecrets, Reader},
    validate::ValidPlatform,
};
use crds::{status::ConditionType, tiers::database::ExternalDatabase};
use std::collections::BTreeMap;

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

/// Where a database runs.
#[derive(Clone, Debug)]
pub enum Provider {
    /// Somewhere else.
    External(External),
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

/// How the databases are reached, by name.
pub type Observed = BTreeMap<String, Bound<DatabaseBinding>>;

impl Tier for Databases {
    const CONDITION: ConditionType = ConditionType::DatabaseReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, _: &Children) -> Result<Observed> {
        let secrets = KubeSecrets(ctx.client.clone());
        let mut reader = Reader::new(&secrets, &lp.key.namespace);
        let mut found = Observed::new();
        for database in &lp.databases {
            let bound = match &database.provider {
                Provider::External(external) => external::bind(&mut reader, external).await,
            };
            found.insert(database.name.clone(), bound);
        }
        Ok(found)
    }

    fn plan(&self, _: &ValidPlatform, _: &Observed) -> Plan {
        Plan::new()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> TierStatus {
        let items = lp.databases.iter().filter_map(|database| {
            let Provider::External(external) = &database.provider;
            let verdict = binding::external(Self::CONDITION, seen.get(&database.name)?, &external.primary);
            let status = ItemStatus {
                verdicts: vec![verdict],
                address: Some(external.primary.to_string()),
                ..ItemStatus::default()
            };
            Some((database.name.clone(), status))
        });
        TierStatus { items: items.collect() }
    }
}
