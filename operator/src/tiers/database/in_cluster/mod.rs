//! PostgreSQL in this cluster: one primary, and read replicas that follow it; with shards, that many times.

pub mod objects;
pub mod pooler;
mod scaling;
pub mod status;

use super::PORT;
use crate::{
    context::Context,
    keeper::{
        StoreKey,
        database::{DatabaseView, Orders},
    },
    kinds::Kind,
    naming::object_name,
    secrets::Lack,
    tiers::{
        Children,
        app::{self, trouble::Trouble},
        binding::{Address, Bindings, Bound, DatabaseBinding, Login, Password},
        store::{
            self, Identity, StoreTier,
            auth::{self, Passwords},
            digest,
            exporter::{self, Exporter},
            left_behind::LeftBehind,
            pods,
            record::{self, Record, SYSTEM_IDENTIFIER},
            rotation::{self, NEXT_PASSWORD, NEXT_USERNAME, PREVIOUS_USERNAME, RETIRED_USERNAME, apps::Store},
            volumes::Kept,
        },
    },
    validate::ValidPlatform,
};
use crds::tiers::database::{Database, Durability, InClusterDatabase};
use decide::tier_size::Asked;
use k8s_openapi::jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The image where the spec names none. The distribution's release is part of it: another C library sorts differently.
pub const DEFAULT_IMAGE: &str = "docker.io/library/postgres:17-bookworm";
pub use rotation::{PASSWORD, USERNAME};
/// Key in the Secret: the password of the operator's own role.
pub const OPERATOR_PASSWORD: &str = "operatorPassword";
/// Key in the Secret: the password that replicas log in with.
pub const REPLICATION_PASSWORD: &str = "replicationPassword";
/// Key in the Secret: by what the servers know the operator's password.
pub const OPERATOR_VERIFIER: &str = "operatorVerifier";
/// Key in the Secret: by what the servers know the replicas' password.
pub const REPLICATION_VERIFIER: &str = "replicationVerifier";
/// Key in the Secret: the password that the pooler looks up logins with.
pub const POOLER_PASSWORD: &str = "poolerPassword";
/// Key in the Secret: by what the servers know the pooler's password.
pub const POOLER_VERIFIER: &str = "poolerVerifier";
/// Key in the Secret: the file by which the pooler knows its password.
pub const POOLER_USERLIST: &str = "poolerUserlist";
/// Key in the Secret: by what the servers know the exporter's password.
pub const MONITOR_VERIFIER: &str = "monitorVerifier";
/// The exporter's image where the spec names none.
pub const EXPORTER_IMAGE: &str = "docker.io/prometheuscommunity/postgres-exporter:v0.20.1";
/// The port that `postgres_exporter` has by custom.
pub const EXPORTER_PORT: u16 = 9187;
/// Replay lag up to which a replica is asked (P, from the requirements: 10 s).
pub const MAX_LAG: Duration = Duration::from_secs(10);
/// Key of the record: the timeline on which the database goes on.
pub const TIMELINE: &str = "TIMELINE";
/// Numbered addresses of replicas where the spec says nothing (P).
const DEFAULT_ADDRESSES: u32 = 3;

/// A database in this cluster that can be carried out.
#[derive(Clone, Debug)]
pub struct InCluster {
    /// Name of the item.
    pub name: String,
    /// Which store it is.
    pub identity: Identity,
    /// What the names of all its objects begin with.
    pub object_name: String,
    /// Namespace.
    pub namespace: String,
    /// Its primaries, each with its replicas.
    pub servers: Vec<Server>,
    /// Read replicas of each.
    pub replicas: u32,
    /// Numbered addresses of replicas.
    pub addresses: u32,
    /// The rest, as written.
    pub spec: InClusterDatabase,
}

/// One primary with its replicas.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// Its number; 0 without shards.
    pub shard: u32,
    /// What its objects' names begin with.
    pub object_name: String,
}

impl InCluster {
    /// A database of the spec.
    pub fn new(platform: &str, namespace: &str, database: &Database, spec: &InClusterDatabase) -> Self {
        let id = database.renamed_from.clone().unwrap_or_else(|| database.name.clone());
        let object_name = object_name(platform, &id);
        let server = |shard: Option<u32>| Server {
            shard: shard.unwrap_or_default(),
            object_name: shard.map_or_else(|| object_name.clone(), |shard| format!("{object_name}-{shard}")),
        };
        let shards = spec.shards.and_then(|n| u32::try_from(n).ok());
        let replicas = count(spec.read_replicas);
        Self {
            name: database.name.clone(),
            servers: shards.map_or_else(|| vec![server(None)], |n| (0..n).map(|shard| server(Some(shard))).collect()),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Database },
            namespace: namespace.to_owned(),
            replicas,
            addresses: spec.max_read_replicas.map_or(DEFAULT_ADDRESSES, |n| count(Some(n))).max(replicas),
            object_name,
            spec: spec.clone(),
        }
    }

    /// Read replicas that are wanted of a server, by what is recorded of it.
    pub fn wanted(&self, record: Option<&Record>) -> u32 {
        let scaled = record
            .filter(|_| self.spec.read_replica_scaling.is_some())
            .and_then(|record| record.get(scaling::REPLICAS));
        let scaled = scaled.and_then(|replicas| replicas.parse().ok());
        scaled.map_or(self.replicas, |replicas: u32| replicas.clamp(self.replicas, self.addresses))
    }

    /// The most read replicas that there may be.
    pub fn most(&self) -> u32 {
        if self.spec.read_replica_scaling.is_some() { self.addresses } else { self.replicas }
    }

    /// What exports its figures; None unless it was asked for.
    pub fn exporter(&self) -> Option<Exporter<'_>> {
        self.spec.exporter.as_ref().map(|spec| Exporter { spec, image: EXPORTER_IMAGE, port: EXPORTER_PORT })
    }

    /// Name of the database on the server, and of the role that owns it.
    pub fn database(&self) -> &str {
        self.spec.database.as_deref().unwrap_or("app")
    }

    /// As explanations call one of its primaries.
    pub fn server_name(&self, server: &Server) -> String {
        if self.servers.len() > 1 { format!("{} shard {}", self.name, server.shard) } else { self.name.clone() }
    }

    fn address(&self, service: &str) -> Address {
        Address { host: format!("{service}.{}.svc", self.namespace), port: PORT }
    }

    /// Where the primary of the first shard is reached.
    pub fn primary(&self) -> Address {
        let first = self.servers.first().map_or(self.object_name.as_str(), |server| &server.object_name);
        self.address(&format!("{first}-rw"))
    }

    /// How apps reach it: the primaries by way of their poolers, where it has them.
    pub fn binding(&self, username: &str, password: &str) -> DatabaseBinding {
        let first = self.servers.first().map_or(self.object_name.as_str(), |server| &server.object_name);
        let direct: Vec<_> = self.servers.iter().map(|server| self.address(&server.primary_service())).collect();
        let poolers: Vec<_> = self.servers.iter().map(|server| self.address(&server.pooler())).collect();
        let pooled = self.spec.pooler.is_some();
        let primaries = if pooled { poolers } else { direct.clone() };
        DatabaseBinding {
            primary: primaries.first().cloned().unwrap_or_else(|| self.primary()),
            direct: if pooled { direct } else { Vec::new() },
            reader: self.address(&format!("{first}-ro")),
            replicas: (1..=self.addresses).map(|number| self.address(&format!("{first}-ro-{number}"))).collect(),
            shards: if self.servers.len() > 1 { primaries } else { Vec::new() },
            database: self.database().to_owned(),
            login: Login { username: Some(username.to_owned()), password: Password(password.to_owned()) },
            tls: None,
        }
    }
}

impl Server {
    /// Name of the primary's StatefulSet.
    pub fn primary_set(&self) -> String {
        format!("{}-pg", self.object_name)
    }

    /// Name of the replicas' StatefulSet.
    pub fn replica_set(&self) -> String {
        format!("{}-pg-ro", self.object_name)
    }

    /// Name of the Service of all replicas.
    pub fn reader_service(&self) -> String {
        format!("{}-ro", self.object_name)
    }

    /// Name of the Service of a numbered address, from 0 here and from 1 in its name.
    pub fn numbered_service(&self, number: u32) -> String {
        format!("{}-ro-{}", self.object_name, number + 1)
    }

    /// Name of the primary's Service.
    pub fn primary_service(&self) -> String {
        format!("{}-rw", self.object_name)
    }

    /// Name of the Deployment and of the Service of the primary's pooler.
    pub fn pooler(&self) -> String {
        format!("{}-pooler", self.object_name)
    }
}

/// The settings of the servers.
fn server(database: &InCluster, passwords: &Passwords) -> postgres::config::Server {
    // Verifiers are salted and no secret; a word of them is all that the configuration carries.
    let verifiers = [OPERATOR_VERIFIER, REPLICATION_VERIFIER, POOLER_VERIFIER, MONITOR_VERIFIER];
    let verifiers = verifiers.map(|key| passwords.text(key).unwrap_or_default());
    postgres::config::Server {
        parameters: database.spec.parameters.clone(),
        preload: Vec::new(),
        memory: pods::memory_limit(&database.spec.pods),
        volume: pods::bytes(&database.spec.volume.storage).unwrap_or_default(),
        most_replicas: database.addresses,
        credentials: digest(&verifiers.concat()),
    }
}

/// The databases of each server: one.
fn databases(database: &InCluster) -> Vec<postgres::Database> {
    let name = database.database().to_owned();
    vec![postgres::Database { owner: name.clone(), name, extensions: database.spec.extensions.clone() }]
}

/// The login of the apps, and the one that takes turns with it.
fn login(database: &InCluster, passwords: &Passwords) -> postgres::Login {
    let owner = database.database().to_owned();
    let role = |key: &str| passwords.text(key).map(str::to_owned);
    let next = role(NEXT_USERNAME).zip(passwords.text(NEXT_PASSWORD));
    let next = next.map(|(role, password)| (role, postgres::Other::Prepared(postgres::Password::new(password))));
    let previous = role(PREVIOUS_USERNAME).map(|role| (role, postgres::Other::Kept));
    let retired = role(RETIRED_USERNAME).map(|role| (role, postgres::Other::Retired));
    postgres::Login {
        role: role(USERNAME).unwrap_or_else(|| postgres::pair(&owner)[0].clone()),
        password: passwords.text(PASSWORD).map(postgres::Password::new),
        other: previous.or(next).or(retired),
        owner,
    }
}

/// What is wished of one server with its replicas.
fn wish(database: &InCluster, server_: &Server, passwords: &Passwords, record: Option<&Record>) -> postgres::Wish {
    let least = || u32::try_from(database.spec.sync_replicas.unwrap_or(1)).unwrap_or(1);
    postgres::Wish {
        record: record.and_then(|record| {
            let timeline = record.get(TIMELINE).and_then(|timeline| timeline.parse().ok()).unwrap_or_default();
            let system_identifier = record.get(SYSTEM_IDENTIFIER)?.clone();
            Some(postgres::Record { system_identifier, timeline })
        }),
        replica_set: server_.replica_set(),
        replicas: database.wanted(record),
        durability: match database.spec.durability.unwrap_or_default() {
            Durability::Local => postgres::Durability::Local,
            Durability::RemoteWrite => postgres::Durability::RemoteWrite,
            Durability::Required => postgres::Durability::Required { replicas: least() },
        },
        databases: databases(database),
        logins: vec![login(database, passwords)],
        server: server(database, passwords),
        max_lag: MAX_LAG,
        stale_reads: postgres::StaleReads::Serve,
        may_restart: true,
    }
}

fn count(number: Option<i32>) -> u32 {
    number.and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}

/// What a pass finds out about a database.
pub fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    left: &LeftBehind,
) -> Seen {
    let servers: Vec<SeenServer> = database
        .servers
        .iter()
        .map(|server| SeenServer {
            record: record::of(children, &server.object_name),
            view: ctx.databases.view(&key(lp, server)),
            asked: store::asked(ctx, lp, &database.server_name(server)),
        })
        .collect();
    let has_data = servers.iter().any(|server| record::has_passwords(server.record.as_ref()));
    let keys = [PASSWORD, OPERATOR_PASSWORD, REPLICATION_PASSWORD, POOLER_PASSWORD];
    let passwords = auth::passwords(children, &database.object_name, &keys, has_data, |_| auth::random().ok());
    let held = left.holds(&database.identity.id).then(|| left.remedy(StoreTier::Database));
    let troubles = app::pod_troubles(ctx, lp).0.remove(&database.identity.id).unwrap_or_default();
    let mut rotation = None;
    let restored = servers.iter().flat_map(|server| &server.record).any(|record| record.contains_key(record::RESTORED));
    let passwords = passwords.map(|passwords| {
        let mut completed = monitored(database, completed(database, passwords));
        if restored && auth::live(children, &database.object_name).is_none() {
            // Whichever role the apps had: the first gets the new password, and the old one of the other opens nothing.
            let [_, other] = postgres::pair(database.database());
            completed.set(RETIRED_USERNAME, &other);
        }
        if held.is_some() {
            return completed;
        }
        let has_served = servers.iter().all(SeenServer::has_served);
        let (after, told) = rotate(ctx, lp, children, database, &completed, has_served);
        rotation = told;
        after
    });
    let mut pooler = pooler::observe(database, children);
    pooler.lingers = lingers(ctx, lp, children, database, &passwords, &pooler);
    Seen { passwords, held, servers, pooler, troubles, answered: false, fits: true, rotation, volumes: Kept::default() }
}

/// Whether a pooler that is no longer wished must stay: pods of apps may still be led to it.
fn lingers(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    passwords: &Result<Passwords, Lack>,
    pooler: &pooler::Seen,
) -> bool {
    if database.spec.pooler.is_some() || pooler.ready.is_empty() {
        return false;
    }
    let Ok(passwords) = passwords else { return true };
    let pods = ctx.stores.pods.state();
    // The pod of a Job counts for as long as it runs: which address it was given cannot be told.
    !rotation::apps::waiting(lp, children, &pods, &database.name, &bindings(database, passwords), Timestamp::now())
        .is_empty()
}

/// How it is reached now, and nothing of other items.
fn bindings(database: &InCluster, passwords: &Passwords) -> Bindings {
    let [username, password] = [USERNAME, PASSWORD].map(|key| passwords.text(key).unwrap_or_default());
    Bindings {
        databases: BTreeMap::from([(database.name.clone(), Ok(database.binding(username, password)))]),
        ..Bindings::default()
    }
}

/// The passwords after the next step of their change, and what is told of it.
fn rotate(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    passwords: &Passwords,
    has_served: bool,
) -> (Passwords, Option<String>) {
    let wished = [login(database, passwords)];
    let works = database.servers.iter().all(|server| {
        let answer = ctx.databases.answer(&key(lp, server));
        answer.is_some_and(|(view, orders)| orders.wish.logins == wished && view.next_works)
    });
    let store = Store {
        name: &database.name,
        logins: rotation::Logins::Roles(&postgres::pair(database.database())),
        every: database.spec.password_rotation.as_ref().map(|rotation| rotation.every.into()),
        given: None,
        has_served,
        works,
        binding: bindings(database, passwords),
    };
    rotation::apps::advance(ctx, lp, children, &store, passwords)
}

/// With the name of the apps' role, and with what the servers know passwords by: those of a Secret that has them stay.
fn completed(database: &InCluster, mut passwords: Passwords) -> Passwords {
    let [first, _] = postgres::pair(database.database());
    if passwords.text(USERNAME).is_none() {
        passwords.set(USERNAME, &first);
    }
    if let Some(password) = passwords.text(POOLER_PASSWORD).map(postgres::Password::new) {
        passwords.set(POOLER_USERLIST, &postgres::pooler::userlist(&password));
    }
    for (password, verifier) in [
        (OPERATOR_PASSWORD, OPERATOR_VERIFIER),
        (REPLICATION_PASSWORD, REPLICATION_VERIFIER),
        (POOLER_PASSWORD, POOLER_VERIFIER),
    ] {
        let made = passwords.text(password).map(|word| postgres::verifier(&postgres::Password::new(word)));
        if let Some(made) = made.filter(|_| passwords.text(verifier).is_none()) {
            passwords.set(verifier, &made);
        }
    }
    passwords
}

/// With the password of the exporter's role, and with what the servers know it by.
fn monitored(database: &InCluster, mut passwords: Passwords) -> Passwords {
    let before = passwords.text(exporter::PASSWORD).map(str::to_owned);
    exporter::password(&mut passwords, database.spec.exporter.is_some());
    match passwords.text(exporter::PASSWORD).map(str::to_owned) {
        None => passwords.clear(MONITOR_VERIFIER),
        Some(word) if before.as_ref() != Some(&word) || passwords.text(MONITOR_VERIFIER).is_none() => {
            let verifier = postgres::verifier(&postgres::Password::new(word));
            passwords.set(MONITOR_VERIFIER, &verifier);
        }
        Some(_) => {}
    }
    passwords
}

/// What is wanted of the keeper of a server; None while it has no passwords or may not be made.
pub fn orders(database: &InCluster, server: &Server, seen: &Seen, children: &Children, acts: bool) -> Option<Orders> {
    seen.passwords.as_ref().ok().filter(|_| seen.held.is_none())?;
    // None that is not kept in the Secret: the servers must not know what the next pass does not.
    let passwords = &auth::live(children, &database.object_name)?;
    let set = children.get(Kind::StatefulSet, &server.replica_set());
    let replicas = set.and_then(|set| set.data.pointer("/spec/replicas")?.as_u64()).unwrap_or_default();
    let record = record::of(children, &server.object_name);
    Some(Orders {
        item: database.name.clone(),
        id: database.identity.id.clone(),
        shard: server.shard,
        wish: wish(database, server, passwords, record.as_ref()),
        operator: postgres::Password::new(passwords.text(OPERATOR_PASSWORD)?),
        replicas: u32::try_from(replicas).unwrap_or_default(),
        routed: objects::routed(database, server, children),
        revisions: store::revisions(children, &database.identity.id),
        scaling: scaling::of(database, server, seen, record.as_ref()),
        acts,
    })
}

/// What is known of a database without a cluster: as if it had served already.
pub fn offline(database: &InCluster) -> Seen {
    let name = auth::name(&database.object_name);
    let words = [
        USERNAME,
        PASSWORD,
        OPERATOR_PASSWORD,
        OPERATOR_VERIFIER,
        REPLICATION_PASSWORD,
        REPLICATION_VERIFIER,
        POOLER_PASSWORD,
        POOLER_VERIFIER,
        POOLER_USERLIST,
    ];
    let monitor = database.spec.exporter.iter().flat_map(|_| [exporter::PASSWORD, MONITOR_VERIFIER]);
    let words =
        words.into_iter().chain(monitor).map(|key| (key.to_owned(), format!("SECRET-{name}-{key}").into_bytes()));
    let record = Record::from([(SYSTEM_IDENTIFIER.to_owned(), String::new())]);
    let server = SeenServer { record: Some(record), ..SeenServer::default() };
    Seen {
        passwords: Ok(Passwords::from_iter(words)),
        held: None,
        servers: vec![server; database.servers.len()],
        pooler: pooler::Seen::served(database),
        troubles: Vec::new(),
        answered: false,
        fits: true,
        rotation: None,
        volumes: Kept::default(),
    }
}

/// Which keeper keeps it.
pub fn key(lp: &ValidPlatform, server: &Server) -> StoreKey {
    StoreKey { platform: lp.key.clone(), object_name: server.object_name.clone() }
}

/// What a pass has observed of one primary with its replicas.
#[derive(Clone, Debug, Default)]
pub struct SeenServer {
    /// What is known of its data; None while there are none.
    pub record: Option<Record>,
    /// What its keeper has seen.
    pub view: Option<Arc<DatabaseView>>,
    /// An app that its primary makes slow.
    pub asked: Option<Asked>,
}

impl SeenServer {
    fn has_served(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.contains_key(SYSTEM_IDENTIFIER))
    }
}

/// What a pass has observed of a database in this cluster.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its passwords, or what is lacking for them.
    pub passwords: Result<Passwords, Lack>,
    /// Why nothing may be made for it yet.
    pub held: Option<String>,
    /// Its servers, by shard.
    pub servers: Vec<SeenServer>,
    /// Its poolers.
    pub pooler: pooler::Seen,
    /// What keeps its pods from running.
    pub troubles: Vec<Trouble>,
    /// Whether its keeper has seen the servers as they are wanted now.
    pub answered: bool,
    /// Whether its servers take the connections of the apps at their fewest pods.
    pub fits: bool,
    /// What is told of a change of its password that is under way, or waits.
    pub rotation: Option<String>,
    /// What becomes of its volumes when the namespace is deleted.
    pub volumes: Kept,
}

impl Seen {
    /// How apps reach it. Before every primary has served once, and the pooler before it has been ready, they wait.
    pub fn bind(&self, database: &InCluster) -> Bound<DatabaseBinding> {
        if let Some(held) = &self.held {
            return Err(Lack::NotYet(held.clone()));
        }
        let passwords = self.passwords.as_ref().map_err(Clone::clone)?;
        match (passwords.text(USERNAME), passwords.text(PASSWORD)) {
            (Some(username), Some(password)) if self.servers.iter().all(SeenServer::has_served) => {
                if database.spec.pooler.is_some() && !self.pooler.leads(database) {
                    return Err(Lack::NotYet("its pooler is being made".to_owned()));
                }
                Ok(database.binding(username, password))
            }
            _ => Err(Lack::NotYet("it is being made".to_owned())),
        }
    }
}
