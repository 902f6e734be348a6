//! PostgreSQL in this cluster that CloudNativePG runs: the operator makes one `Cluster` and never speaks to the servers. What
//! it knows of them is what the `Cluster`'s status says, held against what was asked for and against the record.
//!
//! CloudNativePG deletes the volumes with the `Cluster`. So no pass ever removes one: it goes with the platform where its
//! `deletionPolicy` says so, and by hand.

pub mod backup;
pub mod objects;
pub mod reported;
pub mod status;

use super::PORT;
use crate::{
    capabilities::Served,
    kinds::Kind,
    naming::object_name,
    secrets::{Lack, Reader},
    tiers::{
        Children,
        binding::{Address, Bound, DatabaseBinding, Login, Password, Tls},
        store::{
            Identity, StoreTier,
            left_behind::LeftBehind,
            record::{self, Record, SYSTEM_IDENTIFIER},
        },
    },
};
use crds::{
    status::Reason,
    tiers::{cloud_native_pg::CloudNativePgDatabase, database::Database},
};
use kube::core::DynamicObject;
use reported::Reported;
use serde_json::Value;

/// The image where the spec names none: its own default would change with CloudNativePG, and the C library with it.
pub const DEFAULT_IMAGE: &str = "ghcr.io/cloudnative-pg/postgresql:17-standard-bookworm";
/// Numbered addresses of replicas where the spec says nothing (P).
const DEFAULT_ADDRESSES: u32 = 3;
/// The key of CloudNativePG's Secret `<cluster>-ca`: the authority that signed the servers' certificates.
pub const CA: &str = "ca.crt";

/// A database that CloudNativePG runs and that can be carried out.
#[derive(Clone, Debug)]
pub struct CloudNativePg {
    /// Name of the item.
    pub name: String,
    /// Which store it is.
    pub identity: Identity,
    /// What the names of the objects beside the `Cluster` begin with.
    pub object_name: String,
    /// Name of the `Cluster`.
    pub cluster: String,
    /// Namespace.
    pub namespace: String,
    /// Read replicas.
    pub replicas: u32,
    /// Numbered addresses of replicas.
    pub addresses: u32,
    /// The rest, as written.
    pub spec: CloudNativePgDatabase,
}

impl CloudNativePg {
    /// A database of the spec.
    pub fn new(platform: &str, namespace: &str, database: &Database, spec: &CloudNativePgDatabase) -> Self {
        let id = database.renamed_from.clone().unwrap_or_else(|| database.name.clone());
        let object_name = object_name(platform, &id);
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        let replicas = spec.read_replicas.map(count).unwrap_or_default();
        Self {
            name: database.name.clone(),
            identity: Identity { platform: platform.to_owned(), id, tier: StoreTier::Database },
            cluster: format!("{object_name}-pg"),
            object_name,
            namespace: namespace.to_owned(),
            replicas,
            addresses: spec.max_read_replicas.map_or(DEFAULT_ADDRESSES, count).max(replicas),
            spec: spec.clone(),
        }
    }

    /// Name of the database on the server, and of the role that owns it.
    pub fn database(&self) -> &str {
        self.spec.database.as_deref().unwrap_or("app")
    }

    /// Name of the Secret with the login of the apps, which CloudNativePG makes.
    pub fn login_secret(&self) -> String {
        format!("{}-app", self.cluster)
    }

    /// Name of the Secret with the certificate authority, which CloudNativePG makes.
    pub fn authority_secret(&self) -> String {
        format!("{}-ca", self.cluster)
    }

    fn address(&self, service: &str) -> Address {
        // One of the names in the servers' certificates.
        Address { host: format!("{}-{service}.{}.svc", self.cluster, self.namespace), port: PORT }
    }

    /// Where the primary is reached.
    pub fn primary(&self) -> Address {
        self.address("rw")
    }

    /// How apps reach it. Without replicas the Service of the replicas leads nowhere.
    pub fn binding(&self, username: &str, password: &str, database: &str, ca: Vec<u8>) -> DatabaseBinding {
        let reader = self.address(if self.replicas > 0 { "ro" } else { "rw" });
        DatabaseBinding {
            primary: self.primary(),
            direct: Vec::new(),
            replicas: vec![reader.clone(); self.addresses as usize],
            reader,
            shards: Vec::new(),
            aliased: false,
            database: database.to_owned(),
            login: Login { username: Some(username.to_owned()), password: Password(password.to_owned()) },
            tls: Some(Tls { ca: Some(ca) }),
        }
    }
}

/// What a pass has observed of a database that CloudNativePG runs.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Why nothing may be made or changed for it.
    pub held: Option<(Reason, String)>,
    /// What is known of its data; None while there are none.
    pub record: Option<Record>,
    /// What the `Cluster` says; None while there is none.
    pub reported: Option<Reported>,
    /// How many instances somebody else has set by `scale`, an autoscaler say: then that number is not ours.
    pub scaled: Option<u32>,
    /// Its backups.
    pub backup: backup::Seen,
}

impl Seen {
    /// Whether its data have been made.
    fn has_served(&self) -> bool {
        let known = self.record.as_ref().is_some_and(|record| record.contains_key(SYSTEM_IDENTIFIER));
        known || self.reported.as_ref().is_some_and(|reported| reported.system_identifier.is_some())
    }
}

/// What a pass finds out about a database from the platform's objects. Pure.
pub fn look(children: &Children, database: &CloudNativePg, left: &LeftBehind, served: Served) -> Seen {
    let record = record::of(children, &database.cluster);
    let live = children.get(Kind::CloudNativePgCluster, &database.cluster);
    let reported = live.map(Reported::of);
    // Whoever abandoned the data and deleted the Cluster begins anew.
    let record = record.filter(|record| live.is_some() || !record.contains_key(record::ABANDONED));
    let backup = backup::look(children, database, served);
    let held = if left.holds(&database.identity.id) {
        Some((Reason::DataWouldBeLeftBehind, left.remedy(StoreTier::Database)))
    } else if served.cloud_native_pg {
        contradiction(database, record.as_ref(), live, reported.as_ref()).or_else(|| backup::hindrance(&backup))
    } else {
        None
    };
    Seen { held, record, reported, scaled: live.and_then(scaled), backup }
}

/// What speaks against going on: the record says one thing, the `Cluster` another. A new one would be empty.
fn contradiction(
    database: &CloudNativePg,
    record: Option<&Record>,
    live: Option<&DynamicObject>,
    reported: Option<&Reported>,
) -> Option<(Reason, String)> {
    let (cluster, record_name) = (&database.cluster, record::name(&database.cluster));
    let known = record.and_then(|record| record.get(SYSTEM_IDENTIFIER));
    let found = reported.and_then(|reported| reported.system_identifier.as_ref());
    match (known, found) {
        (Some(known), _) if live.is_none() => Some((
            Reason::DataMissing,
            format!(
                "Cluster {cluster} is gone, and its data, with the system identifier {known}, with it: restore it from a \
                 backup, or delete ConfigMap {record_name} to begin with an empty database"
            ),
        )),
        (Some(known), Some(found)) if known != found => Some((
            Reason::WrongCluster,
            format!(
                "Cluster {cluster} holds the data of another database: its system identifier is {found}, that of ConfigMap \
                 {record_name} is {known}: restore the data, or delete the ConfigMap if these are the right ones"
            ),
        )),
        _ if live.is_some_and(|live| live.metadata.deletion_timestamp.is_some()) => {
            Some((Reason::Deleting, format!("Cluster {cluster} is being deleted, and its data with it")))
        }
        _ => None,
    }
}

/// The instances, where somebody has set their number by `scale`.
fn scaled(live: &DynamicObject) -> Option<u32> {
    let mut entries = live.metadata.managed_fields.iter().flatten();
    let by_scale = entries.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.subresource.as_deref() == Some("scale")
            && fields.is_some_and(|fields| fields.pointer("/f:spec/f:instances").is_some())
    });
    let instances = live.data.pointer("/spec/instances").and_then(Value::as_u64);
    instances.and_then(|instances| u32::try_from(instances).ok()).filter(|_| by_scale)
}

/// How apps reach it. Before the primary has served once they wait.
pub(super) async fn bind(reader: &mut Reader<'_>, database: &CloudNativePg, seen: &Seen) -> Bound<DatabaseBinding> {
    if let Some((_, why)) = &seen.held {
        return Err(Lack::NotYet(why.clone()));
    }
    if !seen.has_served() {
        return Err(Lack::NotYet("it is being made".to_owned()));
    }
    let (login, authority) = (database.login_secret(), database.authority_secret());
    let waits = |lack: Lack| match lack {
        Lack::Missing(name) => Lack::NotYet(format!("CloudNativePG has not made the Secret {name} yet")),
        other => other,
    };
    let username = reader.text(&login, "username").await.map_err(waits)?;
    let password = reader.text(&login, "password").await.map_err(waits)?;
    let name = reader.text(&login, "dbname").await.map_err(waits)?;
    let ca = reader.bytes(&authority, CA).await.map_err(waits)?;
    Ok(database.binding(&username, &password, &name, ca))
}

/// How apps reach it, without a look at any Secret.
pub fn placeholder(database: &CloudNativePg) -> DatabaseBinding {
    let word = |secret: String, key: &str| format!("SECRET-{secret}-{key}");
    let login = |key: &str| word(database.login_secret(), key);
    let ca = word(database.authority_secret(), CA).into_bytes();
    database.binding(&login("username"), &login("password"), database.database(), ca)
}

#[cfg(test)]
mod tests;
