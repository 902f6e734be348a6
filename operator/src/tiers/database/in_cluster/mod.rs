//! PostgreSQL in this cluster: one primary, and read replicas that follow it; with shards, that many times.

pub mod backup;
pub mod objects;
mod orders;
mod passwords;
pub mod pooler;
pub mod promotion;
mod scaling;
pub mod status;

use super::{PORT, login::login};
use crate::{
    context::Context,
    keeper::{StoreKey, beside::Beside, database::DatabaseView},
    naming::object_name,
    secrets::{Lack, Reader},
    tiers::{
        Children,
        app::{self, trouble::Trouble},
        binding::{Address, Bindings, Bound, DatabaseBinding, Login, Password, Tls},
        store::{
            self, Identity, StoreTier,
            auth::{self, Passwords},
            exporter::{self, Exporter},
            left_behind::LeftBehind,
            record::{self, Record, SYSTEM_IDENTIFIER},
            rotation::{self, RETIRED_USERNAME, apps::Store},
            tls::{self, Certificates},
            volumes::Kept,
        },
    },
    validate::ValidPlatform,
};
use backup::snapshots::Source;
use crds::tiers::database::{Database, InClusterDatabase};
use decide::tier_size::Asked;
use k8s_openapi::jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The image where the spec names none. The distribution's release is part of it: another C library sorts differently.
pub const DEFAULT_IMAGE: &str = "docker.io/library/postgres:17-bookworm";
pub use orders::orders;
pub use passwords::{
    BACKUP_PASSWORD, BACKUP_VERIFIER, MONITOR_VERIFIER, OPERATOR_PASSWORD, OPERATOR_VERIFIER, POOLER_PASSWORD,
    POOLER_USERLIST, POOLER_VERIFIER, REPLICATION_PASSWORD, REPLICATION_VERIFIER,
};
pub use rotation::{PASSWORD, USERNAME};
/// The exporter's image where the spec names none.
pub const EXPORTER_IMAGE: &str = "docker.io/prometheuscommunity/postgres-exporter:v0.20.1";
/// The port that `postgres_exporter` has by custom.
pub const EXPORTER_PORT: u16 = 9187;
/// Replay lag up to which a replica is asked (P, from the requirements: 10 s).
pub const MAX_LAG: Duration = Duration::from_secs(10);
/// Key of the record: the timeline on which the database goes on.
pub const TIMELINE: &str = "TIMELINE";

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
        Self {
            name: database.name.clone(),
            servers: shards.map_or_else(|| vec![server(None)], |n| (0..n).map(|shard| server(Some(shard))).collect()),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Database },
            namespace: namespace.to_owned(),
            replicas: spec.replicas(),
            addresses: spec.addresses(),
            object_name,
            spec: spec.clone(),
        }
    }

    /// Read replicas that are wanted of a server, by what is recorded of it.
    pub fn wanted(&self, record: Option<&Record>) -> u32 {
        let record = record.filter(|_| self.spec.read_replica_scaling.is_some());
        super::scaling::wanted(record, (self.replicas, self.addresses))
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
    pub fn binding(&self, username: &str, password: &str, tls: Option<Tls>) -> DatabaseBinding {
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
            aliased: false,
            database: self.database().to_owned(),
            login: Login { username: Some(username.to_owned()), password: Password(password.to_owned()) },
            tls,
        }
    }
}

impl InCluster {
    /// The names by which its servers are called.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let of = |server: &Server| {
            let numbered = (0..self.addresses).map(|number| server.numbered_service(number));
            let pods = format!("*.{}", server.pods_service());
            let services = [server.primary_service(), server.reader_service(), server.pooler(), pods];
            services.into_iter().chain(numbered).collect::<Vec<_>>()
        };
        self.servers.iter().flat_map(of).map(|name| self.address(&name).host).collect()
    }
}

impl Server {
    /// Name of the primary's StatefulSet.
    pub fn primary_set(&self) -> String {
        format!("{}-pg", self.object_name)
    }

    /// Claim of the primary's volume.
    pub fn primary_claim(&self) -> String {
        format!("data-{}-0", self.primary_set())
    }

    /// Name of the replicas' StatefulSet.
    pub fn replica_set(&self) -> String {
        format!("{}-pg-ro", self.object_name)
    }

    /// Name of the Service of all pods.
    pub fn pods_service(&self) -> String {
        format!("{}-pods", self.object_name)
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

    /// Name of the StatefulSet that receives the log for backups, and of the CronJob that takes them.
    pub fn backup(&self) -> String {
        format!("{}-backup", self.object_name)
    }

    /// Claim of the volume of the backups.
    pub fn backup_claim(&self) -> String {
        format!("data-{}-0", self.backup())
    }

    /// Name of the Deployment and of the Service of the primary's pooler.
    pub fn pooler(&self) -> String {
        format!("{}-pooler", self.object_name)
    }
}

/// What a pass finds out about a database.
pub async fn observe(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    left: &LeftBehind,
    reader: &mut Reader<'_>,
) -> Seen {
    let (mut all_troubles, _) = app::pod_troubles(ctx, lp);
    let of_archives = all_troubles.remove(&archives(&database.identity.id)).unwrap_or_default();
    let servers: Vec<SeenServer> = database
        .servers
        .iter()
        .map(|server| SeenServer {
            record: record::of(children, &server.object_name),
            view: ctx.databases.view(&key(lp, server)),
            asked: store::asked(ctx, lp, &database.server_name(server)),
            backup: backup::observe(ctx, lp, children, database, server, of_archives.first().cloned()),
            claim: promotion::claim(children, server),
            promotion: promotion::Promotion::default(),
        })
        .collect();
    let has_data = servers.iter().any(|server| record::has_passwords(server.record.as_ref()));
    let keys = [PASSWORD, OPERATOR_PASSWORD, REPLICATION_PASSWORD, POOLER_PASSWORD, BACKUP_PASSWORD];
    let passwords = auth::passwords(children, &database.object_name, &keys, has_data, |_| auth::random().ok());
    let held = left.holds(&database.identity.id).then(|| left.remedy(StoreTier::Database));
    let place = (children, ctx.capabilities.now());
    let troubles = all_troubles.remove(&database.identity.id).unwrap_or_default();
    let (spec, now) = (database.spec.tls.as_ref(), Timestamp::now().as_second());
    let certificates = tls::certificates(spec, &database.object_name, &database.names(), place, reader, now).await;
    let (tls, passwords) = match certificates {
        Ok(tls) => (tls, passwords),
        // Without them a store is as little to be had as without its passwords.
        Err(lack) => (None, Err(lack)),
    };
    // A database without the volume that it is to be made of would begin empty.
    let source = backup::source::of(ctx, children, database).await;
    let passwords = source.as_ref().map_err(Clone::clone).and(passwords);
    let mut rotation = None;
    let restored = servers.iter().flat_map(|server| &server.record).any(|record| record.contains_key(record::RESTORED));
    let passwords = passwords.map(|passwords| {
        let mut completed = passwords::monitored(database, passwords::completed(database, passwords));
        let restores = database.spec.restore_from.is_some() && !has_data;
        if (restored || restores) && auth::live(children, &database.object_name).is_none() {
            // Whichever role the apps had: the first gets the new password, and the old one of the other opens nothing.
            let [_, other] = postgres::pair(database.database());
            completed.set(RETIRED_USERNAME, &other);
        }
        if held.is_some() {
            return completed;
        }
        let has_served = servers.iter().all(SeenServer::has_served);
        let (after, told) = rotate(ctx, lp, children, database, &completed, has_served, tls.as_ref());
        rotation = told;
        after
    });
    let mut pooler = pooler::observe(database, children);
    pooler.lingers = lingers(ctx, lp, children, database, &passwords, tls.as_ref(), &pooler);
    Seen {
        passwords,
        tls,
        held,
        servers,
        pooler,
        troubles,
        answered: false,
        fits: true,
        beside: Beside::of(lp, &database.name),
        rotation,
        volumes: Kept::default(),
        source: source.unwrap_or_default(),
    }
}

/// Whether a pooler that is no longer wished must stay: pods of apps may still be led to it.
fn lingers(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    passwords: &Result<Passwords, Lack>,
    tls: Option<&Certificates>,
    pooler: &pooler::Seen,
) -> bool {
    if database.spec.pooler.is_some() || pooler.ready.is_empty() {
        return false;
    }
    let Ok(passwords) = passwords else { return true };
    let pods = ctx.stores.pods.state();
    // The pod of a Job counts for as long as it runs: which address it was given cannot be told.
    !rotation::apps::waiting(lp, children, &pods, &database.name, &bindings(database, passwords, tls), Timestamp::now())
        .is_empty()
}

/// How it is reached now, and nothing of other items.
fn bindings(database: &InCluster, passwords: &Passwords, tls: Option<&Certificates>) -> Bindings {
    let [username, password] = [USERNAME, PASSWORD].map(|key| passwords.text(key).unwrap_or_default());
    let binding = database.binding(username, password, tls.map(Certificates::binding));
    Bindings { databases: BTreeMap::from([(database.name.clone(), Ok(binding))]), ..Bindings::default() }
}

/// The passwords after the next step of their change, and what is told of it.
fn rotate(
    ctx: &Context,
    lp: &ValidPlatform,
    children: &Children,
    database: &InCluster,
    passwords: &Passwords,
    has_served: bool,
    tls: Option<&Certificates>,
) -> (Passwords, Option<String>) {
    let wished = [login(database.database(), passwords)];
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
        binding: bindings(database, passwords, tls),
    };
    rotation::apps::advance(ctx, lp, children, &store, passwords)
}

/// By what the troubles of pods are known that receive the log: they are no matter of the servers. No item can be called so.
pub fn archives(id: &str) -> String {
    format!("{id}.{}", backup::objects::ARCHIVE)
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
        BACKUP_PASSWORD,
        BACKUP_VERIFIER,
    ];
    let monitor = database.spec.exporter.iter().flat_map(|_| [exporter::PASSWORD, MONITOR_VERIFIER]);
    let words =
        words.into_iter().chain(monitor).map(|key| (key.to_owned(), format!("SECRET-{name}-{key}").into_bytes()));
    let record = Record::from([(SYSTEM_IDENTIFIER.to_owned(), String::new())]);
    let server = SeenServer { record: Some(record), ..SeenServer::default() };
    Seen {
        passwords: Ok(Passwords::from_iter(words)),
        tls: tls::offline(database.spec.tls.as_ref(), &database.object_name),
        held: None,
        servers: vec![server; database.servers.len()],
        pooler: pooler::Seen::served(database),
        troubles: Vec::new(),
        answered: false,
        fits: true,
        beside: Beside::default(),
        rotation: None,
        volumes: Kept::default(),
        source: None,
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
    /// Its backups.
    pub backup: backup::Seen,
    /// The volume of the primary's claim, empty while it has none; None without a claim.
    pub claim: Option<String>,
    /// Whether another server's data are to go on in the primary's place.
    pub promotion: promotion::Promotion,
}

impl SeenServer {
    fn has_served(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.contains_key(SYSTEM_IDENTIFIER))
    }
}

/// What a pass has observed of a database in this cluster.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its passwords, or what is lacking for them or its certificates.
    pub passwords: Result<Passwords, Lack>,
    /// Its certificates, where it speaks TLS.
    pub tls: Option<Certificates>,
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
    /// What it shares requests with.
    pub beside: Beside,
    /// What is told of a change of its password that is under way, or waits.
    pub rotation: Option<String>,
    /// What becomes of its volumes when the namespace is deleted.
    pub volumes: Kept,
    /// The snapshot that its volume is to be made of now.
    pub source: Option<Source>,
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
                Ok(database.binding(username, password, self.tls.as_ref().map(Certificates::binding)))
            }
            _ => Err(Lack::NotYet("it is being made".to_owned())),
        }
    }
}
