//! How a store is reached from the user's machine: where it listens, and which Secret has its password.

mod at_aws;
mod client;
mod forward;
mod open;
mod pod;

pub use client::{PSQL, Program, REDIS_CLI};
pub use open::open;

use anyhow::{anyhow, bail};
use crds::{
    LearningPlatform, SecretKey,
    status::{StoreServer, StoreStatus},
    tiers::{
        cache::{CacheMode, InClusterCache},
        database::{ExternalDatabase, InClusterDatabase},
        endpoint::{LoginSecret, StoreTls},
        server_tls::ServerTls,
    },
};
use kube::ResourceExt;
use operator::tiers::{
    binding::Address,
    cache::{self, in_cluster as cache_in_cluster},
    database::{self, cloud_native_pg::CloudNativePg, in_cluster as database_in_cluster},
    store::{auth, tls},
};

/// How a store is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What is reached, in words: `the primary of database main`.
    pub what: String,
    /// Where it listens.
    pub place: Place,
    /// Which Secret has its credentials; none of a server that asks for none.
    pub login: Option<LoginKeys>,
    /// Set where it speaks TLS.
    pub tls: Option<Tls>,
    /// Name of the database on a server of PostgreSQL.
    pub database: Option<String>,
    /// What the user may have overlooked.
    pub note: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In a pod of this cluster.
    Pod {
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Somewhere else, reached without us.
    Address(Address),
}

/// The keys of a Secret under which credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginKeys {
    /// Name of the Secret, in the platform's namespace.
    pub secret: String,
    /// Key of the user name; none where there is never one.
    pub username: Option<String>,
    /// Whether the Secret must have a user name.
    pub must_name: bool,
    /// Key of the password.
    pub password: String,
}

/// Encryption with verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate authority; none means those that the system trusts.
    pub ca: Option<SecretKey>,
    /// The name that the certificate has, of a server that is reached by another way.
    pub name: Option<String>,
}

impl Tls {
    fn of(spec: &StoreTls) -> Self {
        Self { ca: spec.ca.clone(), name: None }
    }

    /// Of a store in the cluster, whose servers' certificate has this name.
    fn in_cluster(spec: Option<&ServerTls>, object_name: &str, name: String) -> Option<Self> {
        let secret = tls::secret_name(spec, object_name)?;
        Some(Self { ca: Some(SecretKey { name: secret, key: "ca.crt".to_owned() }), name: Some(name) })
    }
}

impl LoginKeys {
    fn of(secret: &LoginSecret, must_name: bool) -> Self {
        let key = |key: &Option<String>, default: &str| key.clone().unwrap_or_else(|| default.to_owned());
        Self {
            secret: secret.name.clone(),
            username: Some(key(&secret.username_key, "username")),
            // A key that the user names is there to be used.
            must_name: must_name || secret.username_key.is_some(),
            password: key(&secret.password_key, "password"),
        }
    }
}

/// How a database is reached: the primary, or the read replica of a number from 1, of a shard from 0.
///
/// # Errors
/// When there is no such database, shard or replica, with those there are.
pub fn database(
    platform: &LearningPlatform,
    name: &str,
    shard: Option<u32>,
    replica: Option<u32>,
) -> anyhow::Result<Target> {
    let found = platform.spec.databases.iter().find(|database| database.name == name);
    let found = found.ok_or_else(|| anyhow!("no database {name} in {}", platform.name_any()))?;
    if let Some(spec) = &found.cloud_native_pg {
        let namespace = platform.namespace().unwrap_or_default();
        let item = CloudNativePg::new(&platform.name_any(), &namespace, found, spec);
        let status = platform.status.as_ref();
        let status = status.and_then(|status| status.databases.iter().find(|store| store.name == name));
        return database_by_cloud_native_pg(&item, status, shard, replica);
    }
    match (&found.in_cluster, &found.rds, &found.external) {
        (Some(spec), ..) => {
            let namespace = platform.namespace().unwrap_or_default();
            let item = database_in_cluster::InCluster::new(&platform.name_any(), &namespace, found, spec);
            database_in_cluster(&item, spec, shard, replica)
        }
        (None, Some(spec), _) => {
            no_shard(&format!("database {name}"), "is at AWS", shard)?;
            let status = platform.status.as_ref();
            let status = status.and_then(|status| status.databases.iter().find(|store| store.name == name));
            at_aws::database(platform, (found, spec), status, replica)
        }
        (None, None, Some(spec)) => database_external(name, spec, shard, replica),
        (None, None, None) => {
            bail!("database {name} is none of inCluster, cloudNativePG, rds and external: see `lpctl status`")
        }
    }
}

fn database_in_cluster(
    item: &database_in_cluster::InCluster,
    spec: &InClusterDatabase,
    shard: Option<u32>,
    replica: Option<u32>,
) -> anyhow::Result<Target> {
    let name = &item.name;
    let server = item.servers.get(shard.unwrap_or_default() as usize).ok_or_else(|| match item.servers.len() {
        1 => anyhow!("database {name} has no shards: leave --shard out"),
        shards => anyhow!("database {name} has shards 0 to {}", shards - 1),
    })?;
    let of_shard = spec.shards.map(|_| format!(" shard {}", server.shard)).unwrap_or_default();
    // They are numbered from 1, as in the apps' variables; pods from 0.
    let (role, pod) = match replica.map(|number| (number, number.checked_sub(1))) {
        None => ("the primary".to_owned(), format!("{}-0", server.primary_set())),
        Some((number, Some(ordinal))) if number <= item.replicas => {
            (format!("read replica {number}"), format!("{}-{ordinal}", server.replica_set()))
        }
        Some(_) if item.replicas == 0 => bail!("database {name} has no read replicas"),
        Some(_) => bail!("database {name} has read replicas 1 to {}", item.replicas),
    };
    Ok(Target {
        what: format!("{role} of database {name}{of_shard}"),
        place: Place::Pod { name: pod, port: database::PORT },
        login: Some(LoginKeys {
            secret: auth::name(&item.object_name),
            username: Some(database_in_cluster::USERNAME.to_owned()),
            must_name: true,
            password: database_in_cluster::PASSWORD.to_owned(),
        }),
        tls: Tls::in_cluster(spec.tls.as_ref(), &item.object_name, item.primary().host),
        database: Some(item.database().to_owned()),
        note: first_of(shard, item.servers.len()),
    })
}

/// Which of the pods is the primary CloudNativePG decides.
fn database_by_cloud_native_pg(
    item: &CloudNativePg,
    status: Option<&StoreStatus>,
    shard: Option<u32>,
    replica: Option<u32>,
) -> anyhow::Result<Target> {
    let name = &item.name;
    if shard.is_some_and(|shard| shard > 0) {
        bail!("database {name} has no shards: leave --shard out");
    }
    let servers: &[StoreServer] = status.map_or(&[], |status| &status.servers);
    let of_role = |role: &'static str| servers.iter().filter(move |server| server.role == role);
    let (role, server) = match replica {
        None => ("the primary".to_owned(), of_role("Primary").next()),
        Some(number) => {
            let count = of_role("Replica").count();
            let replica = number.checked_sub(1).and_then(|at| of_role("Replica").nth(at as usize));
            if replica.is_none() && count > 0 {
                bail!("database {name} has read replicas 1 to {count}");
            }
            (format!("read replica {number}"), replica)
        }
    };
    let Some(server) = server else {
        bail!("CloudNativePG tells of no such server of database {name} now{}", said(status));
    };
    Ok(Target {
        what: format!("{role} of database {name}"),
        place: Place::Pod { name: server.pod.clone(), port: database::PORT },
        login: Some(LoginKeys {
            secret: item.login_secret(),
            username: Some("username".to_owned()),
            must_name: true,
            password: "password".to_owned(),
        }),
        // The way to the pod is the API server's, and the names in the certificate are not that of this machine.
        tls: None,
        database: Some(item.database().to_owned()),
        note: None,
    })
}

fn database_external(
    name: &str,
    spec: &ExternalDatabase,
    shard: Option<u32>,
    replica: Option<u32>,
) -> anyhow::Result<Target> {
    no_shard(&format!("database {name}"), "is external", shard)?;
    let (role, text) = match replica {
        None => ("the primary".to_owned(), &spec.address),
        Some(number) => {
            let replica = number.checked_sub(1).and_then(|at| spec.replicas.get(at as usize));
            let replica = replica.ok_or_else(|| match spec.replicas.len() {
                0 => anyhow!("database {name} has no read replicas"),
                replicas => anyhow!("database {name} has read replicas 1 to {replicas}"),
            })?;
            (format!("read replica {number}"), replica)
        }
    };
    Ok(Target {
        what: format!("{role} of database {name}"),
        place: Place::Address(address(text, database::PORT)?),
        login: Some(LoginKeys::of(&spec.secret, true)),
        tls: spec.tls.as_ref().map(Tls::of),
        database: Some(spec.database.clone()),
        note: None,
    })
}

/// How a cache is reached: the primary of a shard, from 0.
///
/// # Errors
/// When there is no such cache or shard, or no primary that the operator knows of.
pub fn cache(platform: &LearningPlatform, name: &str, shard: Option<u32>) -> anyhow::Result<Target> {
    let found = platform.spec.caches.iter().find(|cache| cache.name == name);
    let found = found.ok_or_else(|| anyhow!("no cache {name} in {}", platform.name_any()))?;
    match (&found.in_cluster, &found.elasti_cache, &found.external) {
        (Some(spec), ..) => {
            let namespace = platform.namespace().unwrap_or_default();
            let item = cache_in_cluster::InCluster::new(&platform.name_any(), &namespace, found, spec);
            let status = platform.status.as_ref();
            let status = status.and_then(|status| status.caches.iter().find(|store| store.name == name));
            cache_in_cluster(&item, spec, status, shard)
        }
        (None, Some(spec), _) => {
            if shard.is_some() {
                bail!("cache {name} is at AWS, where one address leads to all shards: leave --shard out");
            }
            let status = platform.status.as_ref();
            let status = status.and_then(|status| status.caches.iter().find(|store| store.name == name));
            at_aws::cache(platform, (found, spec), status)
        }
        (None, None, Some(spec)) => {
            no_shard(&format!("cache {name}"), "is external", shard)?;
            Ok(Target {
                what: format!("cache {name}"),
                place: Place::Address(address(&spec.address, cache::PORT)?),
                login: spec.secret.as_ref().map(|secret| LoginKeys::of(secret, false)),
                tls: spec.tls.as_ref().map(Tls::of),
                database: None,
                note: None,
            })
        }
        (None, None, None) => bail!("cache {name} is none of inCluster, elastiCache and external: see `lpctl status`"),
    }
}

fn cache_in_cluster(
    item: &cache_in_cluster::InCluster,
    spec: &InClusterCache,
    status: Option<&StoreStatus>,
    shard: Option<u32>,
) -> anyhow::Result<Target> {
    let name = &item.name;
    let sharded = spec.mode.unwrap_or_default() == CacheMode::Cluster;
    if !sharded && shard.is_some_and(|shard| shard > 0) {
        bail!("cache {name} has no shards: leave --shard out");
    }
    let servers: &[StoreServer] = status.map_or(&[], |status| &status.servers);
    let wanted = i32::try_from(shard.unwrap_or_default()).unwrap_or(i32::MAX);
    let of_shard = |server: &&StoreServer| server.shard.unwrap_or_default() == wanted;
    let primary = servers.iter().filter(of_shard).find(|server| server.role == "Primary");
    let Some(primary) = primary else {
        let said = said(status);
        if servers.is_empty() {
            bail!("the operator knows of no server of cache {name} yet{said}");
        }
        if servers.iter().any(|server| of_shard(&server)) {
            let of = if sharded { format!("shard {wanted} of cache {name}") } else { format!("cache {name}") };
            bail!("{of} has no primary now{said}");
        }
        let last = servers.iter().filter_map(|server| server.shard).max().unwrap_or_default();
        bail!("cache {name} has shards 0 to {last}");
    };
    let of = if sharded { format!("shard {wanted} of ") } else { String::new() };
    let shards = servers.iter().filter(|server| server.role == "Primary").count();
    Ok(Target {
        what: format!("the primary of {of}cache {name}"),
        place: Place::Pod { name: primary.pod.clone(), port: cache::PORT },
        login: Some(LoginKeys {
            secret: auth::name(&item.object_name),
            username: None,
            must_name: false,
            password: cache_in_cluster::PASSWORD.to_owned(),
        }),
        tls: Tls::in_cluster(spec.tls.as_ref(), &item.object_name, item.address().host),
        database: None,
        note: first_of(shard, if sharded { shards } else { 1 }),
    })
}

/// What the operator says first of a store, after what is said of it here.
fn said(status: Option<&StoreStatus>) -> String {
    let said = status.and_then(|status| status.conditions.first());
    said.map_or_else(String::new, |condition| format!(": {}: {}", condition.reason, condition.message))
}

/// That only one shard of several is reached.
fn first_of(shard: Option<u32>, shards: usize) -> Option<String> {
    (shard.is_none() && shards > 1).then(|| format!("this is shard 0 of {shards}: --shard chooses another"))
}

fn no_shard(what: &str, why: &str, shard: Option<u32>) -> anyhow::Result<()> {
    match shard {
        Some(_) => bail!("{what} {why}: its shards are not known here, leave --shard out"),
        None => Ok(()),
    }
}

fn address(text: &str, port: u16) -> anyhow::Result<Address> {
    Address::parse(text, port).map_err(|problem| anyhow!("the address {text}: {problem}"))
}

#[cfg(test)]
mod tests;
