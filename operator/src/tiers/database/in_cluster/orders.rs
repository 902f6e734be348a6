//! What is wanted of the servers of a database in this cluster, and of the keeper that looks after them.

use super::{
    InCluster, MAX_LAG, Seen, Server, TIMELINE, backup, objects,
    passwords::{
        BACKUP_VERIFIER, MONITOR_VERIFIER, OPERATOR_PASSWORD, OPERATOR_VERIFIER, POOLER_VERIFIER, REPLICATION_VERIFIER,
    },
    promotion, scaling,
};
use crate::{
    keeper::database::Orders,
    kinds::Kind,
    tiers::{
        Children,
        database::login::login,
        store::{
            self,
            auth::{self, Passwords},
            digest, pods,
            record::{self, Record, SYSTEM_IDENTIFIER},
            tls,
        },
    },
};
use postgres::config::Encryption;

/// The settings of the servers.
pub(super) fn server(database: &InCluster, passwords: &Passwords) -> postgres::config::Server {
    // Verifiers are salted and no secret; a word of them is all that the configuration carries.
    let verifiers = [OPERATOR_VERIFIER, REPLICATION_VERIFIER, POOLER_VERIFIER, BACKUP_VERIFIER, MONITOR_VERIFIER];
    let verifiers = verifiers.map(|key| passwords.text(key).unwrap_or_default());
    postgres::config::Server {
        parameters: database.spec.parameters.clone(),
        preload: Vec::new(),
        memory: pods::memory_limit(&database.spec.pods),
        volume: pods::bytes(&database.spec.volume.storage).unwrap_or_default(),
        most_replicas: database.addresses,
        credentials: digest(&verifiers.concat()),
        tls: encryption(database),
        dumps: backup::is_logical(database),
    }
}

/// Whether connections must be encrypted, or may be; None where they cannot be.
pub(super) fn encryption(database: &InCluster) -> Option<Encryption> {
    database.spec.tls.as_ref().map(|tls| match tls.allow_plaintext {
        Some(true) => Encryption::Offered,
        _ => Encryption::Required,
    })
}

/// The databases of each server: one.
pub(super) fn databases(database: &InCluster) -> Vec<postgres::Database> {
    let name = database.database().to_owned();
    vec![postgres::Database { owner: name.clone(), name, extensions: database.spec.extensions.clone() }]
}

/// What is wished of one server with its replicas.
fn wish(
    database: &InCluster,
    server_: &Server,
    passwords: &Passwords,
    record: Option<&Record>,
    trust: Option<postgres::Trust>,
) -> postgres::Wish {
    postgres::Wish {
        record: record.and_then(|record| {
            let timeline = record.get(TIMELINE).and_then(|timeline| timeline.parse().ok()).unwrap_or_default();
            let system_identifier = record.get(SYSTEM_IDENTIFIER)?.clone();
            Some(postgres::Record { system_identifier, timeline })
        }),
        replica_set: server_.replica_set(),
        replicas: database.wanted(record),
        durability: promotion::durability(database),
        databases: databases(database),
        logins: vec![login(database.database(), passwords)],
        server: server(database, passwords),
        trust,
        max_lag: MAX_LAG,
        stale_reads: postgres::StaleReads::Serve,
        archive: backup::archive(database, record),
        may_restart: true,
    }
}

/// What is wanted of the keeper of a server; None while it has no passwords or may not be made.
pub fn orders(database: &InCluster, server: &Server, seen: &Seen, children: &Children, acts: bool) -> Option<Orders> {
    seen.passwords.as_ref().ok().filter(|_| seen.held.is_none())?;
    // None that is not kept in the Secret: the servers must not know what the next pass does not.
    let passwords = &auth::live(children, &database.object_name)?;
    let set = children.get(Kind::StatefulSet, &server.replica_set());
    let replicas = set.and_then(|set| set.data.pointer("/spec/replicas")?.as_u64()).unwrap_or_default();
    let record = record::of(children, &server.object_name);
    let name = database.address(&server.primary_service()).host;
    let trust = tls::trust(seen.tls.as_ref(), &database.object_name, children, name);
    Some(Orders {
        item: database.name.clone(),
        id: database.identity.id.clone(),
        shard: server.shard,
        wish: wish(database, server, passwords, record.as_ref(), trust),
        operator: postgres::Password::new(passwords.text(OPERATOR_PASSWORD)?),
        replicas: u32::try_from(replicas).unwrap_or_default(),
        routed: objects::routed(database, server, children),
        revisions: store::revisions(children, &database.identity.id),
        scaling: scaling::of(database, server, seen, record.as_ref()),
        proven: seen.servers.get(server.shard as usize).and_then(|seen| seen.promotion.proven.clone()),
        acts,
    })
}
