//! PostgreSQL at Amazon RDS: AWS keeps primary and replicas, the operator makes in them what apps need. Apps cannot tell it from a
//! database in the cluster: the same variables, the same numbered addresses, the same change of passwords.

pub mod objects;
mod orders;
pub mod status;
mod wish;

use super::{PORT, login::login, scaling};
use crate::{
    context::Context,
    keeper::{StoreKey, beside::Beside, rds::RdsView, rds_servers::ServersView, read_replicas::Scaling},
    naming::object_name,
    secrets::{Lack, Reader},
    tiers::{
        Children,
        aws::recorded::{Held, Kept, Recorded},
        binding::{Address, Bindings, Bound, DatabaseBinding, Login, Password, Tls},
        store::{
            self, Identity, StoreTier,
            auth::{self, Passwords},
            left_behind::LeftBehind,
            record::Record,
            rotation::{self, PASSWORD, USERNAME, apps::Store},
        },
    },
    validate::ValidPlatform,
};
use aws::rds::Memory;
use crds::tiers::{aws::Aws, database::Database, rds::RdsDatabase};
use decide::{budget::Fit, read_replicas::Policy};
pub use orders::{orders, servers_orders};
use std::sync::Arc;

/// How the record says who runs the servers.
pub const RUNNER: &str = "rds";
/// Key in the Secret: the password of the administrator.
pub const OPERATOR_PASSWORD: &str = "operatorPassword";
/// Key of the record: where the primary answers, once the apps can log in there.
const ENDPOINT: &str = "ENDPOINT";
/// Numbered addresses of replicas where the spec says nothing (P).
const DEFAULT_ADDRESSES: u32 = 3;

/// A database at RDS that can be carried out.
#[derive(Clone, Debug)]
pub struct Rds {
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
    /// Read replicas; with scaling the fewest.
    pub replicas: u32,
    /// Numbered addresses of replicas.
    pub addresses: u32,
    /// The rest, as written.
    pub spec: RdsDatabase,
}

impl Rds {
    /// A database of the spec.
    pub fn new(lp: (&str, &str, &aws::Owner), account: &Aws, database: &Database, spec: &RdsDatabase) -> Self {
        let (platform, namespace, owner) = lp;
        let id = database.renamed_from.clone().unwrap_or_else(|| database.name.clone());
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        let replicas = spec.read_replicas.map(count).unwrap_or_default();
        Self {
            name: database.name.clone(),
            object_name: format!("{}-{RUNNER}", object_name(platform, &id)),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Database },
            namespace: namespace.to_owned(),
            owner: owner.clone(),
            account: account.clone(),
            replicas,
            addresses: spec.max_read_replicas.map_or(DEFAULT_ADDRESSES, count).max(replicas),
            spec: spec.clone(),
        }
    }

    /// Name of the database on the server, and of the role that owns it.
    pub fn database(&self) -> &str {
        self.spec.database.as_deref().unwrap_or("app")
    }

    /// Read replicas that are wanted, by what is recorded.
    pub fn wanted(&self, record: Option<&Record>) -> u32 {
        let record = record.filter(|_| self.spec.read_replica_scaling.is_some());
        scaling::wanted(record, (self.replicas, self.addresses))
    }

    /// Name of the Service of all replicas.
    pub fn reader_service(&self) -> String {
        format!("{}-ro", self.object_name)
    }

    /// Name of the Service of a numbered address, from 0 here and from 1 in its name.
    pub fn numbered_service(&self, number: u32) -> String {
        format!("{}-ro-{}", self.object_name, number + 1)
    }

    /// How apps reach it. AWS's names of replicas come and go with them, so that apps are given Services that lead to those.
    fn binding(&self, primary: Address, login: Login, authorities: Vec<u8>) -> DatabaseBinding {
        let port = primary.port;
        let service = |name: String| Address { host: format!("{name}.{}.svc", self.namespace), port };
        DatabaseBinding {
            reader: service(self.reader_service()),
            replicas: (0..self.addresses).map(|number| service(self.numbered_service(number))).collect(),
            primary,
            direct: Vec::new(),
            shards: Vec::new(),
            aliased: true,
            database: self.database().to_owned(),
            login,
            tls: Some(Tls { ca: Some(authorities) }),
        }
    }
}

/// What a pass has observed of a database at RDS.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Why nothing may be made or changed for it.
    pub held: Option<Held>,
    /// What is kept of it; None where nothing was done yet.
    pub record: Option<Record>,
    /// What is in the record for AWS.
    pub recorded: Option<Recorded<Memory>>,
    /// What its keeper has seen at AWS.
    pub view: Option<Arc<RdsView>>,
    /// What was seen of its servers.
    pub servers: Option<Arc<ServersView>>,
    /// AWS and the servers were looked at as they are wanted now.
    pub answered: bool,
    /// The passwords, or what is lacking.
    pub passwords: Result<Passwords, Lack>,
    /// By whom the servers are known.
    pub authorities: Result<Vec<u8>, Lack>,
    /// How far a change of the password is.
    pub rotation: Option<String>,
    /// How its replicas are scaled; None where their number is fixed.
    pub scaling: Option<Scaling>,
}

/// Which keeper keeps it.
pub fn key(lp: &ValidPlatform, database: &Rds) -> StoreKey {
    StoreKey { platform: lp.key.clone(), object_name: database.object_name.clone() }
}

/// What a pass finds out about a database.
pub async fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &Rds,
    left: &LeftBehind,
    reader: &mut Reader<'_>,
) -> Seen {
    let kept = Kept::<Memory>::of(children, &database.object_name, (&lp.key, &database.account), &ctx.settings);
    let left = left.holds(&database.identity.id).then(|| left.remedy(StoreTier::Database));
    let has_data = kept.recorded.as_ref().is_some_and(|recorded| recorded.memory.seen);
    let keys = [PASSWORD, OPERATOR_PASSWORD];
    let passwords = auth::passwords(children, &database.object_name, &keys, has_data, |_| auth::random().ok());
    let mut seen = Seen {
        held: kept.held.or(left.map(Held::by_data)),
        record: kept.record,
        recorded: kept.recorded,
        view: ctx.rds.view(&key(lp, database)),
        servers: ctx.rds_servers.view(&key(lp, database)),
        answered: false,
        passwords,
        authorities: authorities(reader, database).await,
        rotation: None,
        scaling: None,
    };
    seen.scaling = scaling_of(ctx, lp, database, seen.record.as_ref());
    if let (Ok(passwords), None) = (&seen.passwords, &seen.held) {
        let (passwords, told) = rotate(ctx, lp, children, database, &seen, completed(database, passwords.clone()));
        (seen.passwords, seen.rotation) = (Ok(passwords), told);
    }
    seen
}

/// How its replicas are scaled; None where their number is fixed.
fn scaling_of(ctx: &Context, lp: &ValidPlatform, database: &Rds, record: Option<&Record>) -> Option<Scaling> {
    let spec = database.spec.read_replica_scaling.as_ref()?;
    Some(Scaling {
        policy: Policy {
            min: database.replicas,
            max: database.addresses,
            per_replica: Some(f64::from(spec.statements_per_replica)),
            sync: 0,
        },
        last_move: scaling::last_move(record),
        connections: Fit::Fits,
        asked: store::asked(ctx, lp, &database.name),
        beside: Beside::of(lp, &database.name),
    })
}

async fn authorities(reader: &mut Reader<'_>, database: &Rds) -> Result<Vec<u8>, Lack> {
    let crds::SecretKey { name, key } = &database.spec.authorities;
    let pem = reader.bytes(name, key).await?;
    if tls::first(&pem).is_none() {
        let problem = "is no certificate: store the authorities of RDS in PEM form, as AWS publishes them";
        return Err(Lack::Unfit { name: name.clone(), key: key.clone(), problem });
    }
    Ok(pem)
}

/// With the name of the apps' role.
fn completed(database: &Rds, mut passwords: Passwords) -> Passwords {
    if passwords.text(USERNAME).is_none() {
        passwords.set(USERNAME, &postgres::pair(database.database())[0]);
    }
    passwords
}

/// The passwords after the next step of their change, and what is told of it.
fn rotate(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &Rds,
    seen: &Seen,
    passwords: Passwords,
) -> (Passwords, Option<String>) {
    let wished = login(database.database(), &passwords);
    let works = ctx
        .rds_servers
        .answer(&key(lp, database))
        .is_some_and(|(view, orders)| orders.login == wished && view.next_works);
    let mut binding = Bindings::default();
    if let Ok(bound) = seen.bind_with(database, &passwords) {
        binding.databases.insert(database.name.clone(), Ok(bound));
    }
    let store = Store {
        name: &database.name,
        logins: rotation::Logins::Roles(&postgres::pair(database.database())),
        every: database.spec.password_rotation.as_ref().map(|rotation| rotation.every.into()),
        given: None,
        has_served: seen.endpoint().is_some(),
        works,
        binding,
    };
    rotation::apps::advance(ctx, lp, children, &store, &passwords)
}

impl Seen {
    /// Takes note that the servers accept fewer connections than the apps open at their fewest pods.
    pub fn note_exceeded(&mut self) {
        if let Some(scaling) = &mut self.scaling {
            scaling.connections = Fit::BudgetExceededByMinimums;
        }
    }

    /// Where the primary answers, once the apps could log in there: what was recorded, or what its keeper sees now.
    pub fn endpoint(&self) -> Option<Address> {
        let works = self.servers.as_ref().is_some_and(|servers| servers.login_works);
        let now = self.view.as_ref().filter(|_| works).and_then(|view| view.at.endpoint.clone());
        let now = now.and_then(|at| Some(Address { host: at.address, port: u16::try_from(at.port).ok()? }));
        now.or_else(|| Address::parse(self.record.as_ref()?.get(ENDPOINT)?, PORT).ok())
    }

    /// Whether AWS was asked, and has it. Until then the names of its replicas stay as they are.
    pub fn is_found(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.at.identifier.is_some())
    }

    /// How apps reach it. Before the apps can log in they wait.
    pub fn bind(&self, database: &Rds) -> Bound<DatabaseBinding> {
        if let Some(held) = &self.held {
            return Err(Lack::NotYet(held.why.clone()));
        }
        self.bind_with(database, self.passwords.as_ref().map_err(Clone::clone)?)
    }

    fn bind_with(&self, database: &Rds, passwords: &Passwords) -> Bound<DatabaseBinding> {
        let authorities = self.authorities.clone()?;
        let primary = self.endpoint().ok_or_else(|| Lack::NotYet("it is being made at AWS".to_owned()))?;
        let [username, password] = [USERNAME, PASSWORD].map(|key| passwords.text(key).unwrap_or_default().to_owned());
        let login = Login { username: Some(username), password: Password(password) };
        Ok(database.binding(primary, login, authorities))
    }
}

/// How apps reach it, without a look at any Secret.
pub fn placeholder(database: &Rds) -> DatabaseBinding {
    let name = auth::name(&database.object_name);
    let word = |key: &str| format!("SECRET-{name}-{key}");
    let login = Login { username: Some(word(USERNAME)), password: Password(word(PASSWORD)) };
    let crds::SecretKey { name, key } = &database.spec.authorities;
    let port = database.spec.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
    let primary = Address { host: format!("ENDPOINT-{}", database.owner.identity.instance()), port };
    database.binding(primary, login, format!("SECRET-{name}-{key}").into_bytes())
}
