//! Stores at AWS, by the addresses that the operator has seen.

use super::{LoginKeys, Place, Target, Tls, address, said};
use anyhow::{anyhow, bail};
use crds::{
    LearningPlatform,
    status::StoreStatus,
    tiers::{cache::Cache, database::Database, elasticache::ElastiCacheCache, rds::RdsDatabase},
};
use kube::ResourceExt;
use operator::{
    naming::object_name,
    tiers::{
        binding::Address,
        cache::{self, elasticache},
        database::{self, rds},
        store::{
            auth,
            rotation::{PASSWORD, USERNAME},
        },
    },
};

/// The primary of a database at RDS, or the read replica of a number from 1.
pub(super) fn database(
    platform: &LearningPlatform,
    (database, spec): (&Database, &RdsDatabase),
    status: Option<&StoreStatus>,
    number: Option<u32>,
) -> anyhow::Result<Target> {
    let name = &database.name;
    let primary = seen(&format!("database {name}"), database::PORT, status)?;
    let (role, at) = match number {
        None => ("the primary".to_owned(), primary),
        Some(number) => (format!("read replica {number}"), replica(name, &primary, status, number)?),
    };
    Ok(Target {
        what: format!("{role} of database {name}"),
        place: Place::Address(at),
        login: Some(LoginKeys {
            secret: secret(platform, database.renamed_from.as_ref().unwrap_or(name), rds::RUNNER),
            username: Some(USERNAME.to_owned()),
            must_name: true,
            password: PASSWORD.to_owned(),
        }),
        tls: Some(Tls { ca: Some(spec.authorities.clone()), name: None }),
        database: Some(spec.database.clone().unwrap_or_else(|| "app".to_owned())),
        note: Some("RDS answers where its security groups let it, which is mostly inside of its VPC".to_owned()),
    })
}

/// Where a replica answers. All instances of an account and region have names that differ in the first label alone, which is the
/// instance's identifier.
fn replica(name: &str, primary: &Address, status: Option<&StoreStatus>, number: u32) -> anyhow::Result<Address> {
    let servers = status.map(|status| status.servers.as_slice()).unwrap_or_default();
    let replicas: Vec<_> = servers.iter().filter(|server| server.role == "Replica").collect();
    let found = number.checked_sub(1).and_then(|at| replicas.get(at as usize));
    let found = found.ok_or_else(|| match replicas.len() {
        0 => anyhow!("database {name} has no read replicas{}", said(status)),
        count => anyhow!("database {name} has read replicas 1 to {count}"),
    })?;
    let identifier = status.and_then(|status| status.aws.as_ref()?.identifier.as_ref());
    let domain = identifier.and_then(|identifier| primary.host.strip_prefix(identifier.as_str())?.strip_prefix('.'));
    let domain = domain.ok_or_else(|| {
        anyhow!(
            "the primary of database {name} answers at {primary}, which tells no replica's address: leave --replica out"
        )
    })?;
    Ok(Address { host: format!("{}.{domain}", found.pod), port: primary.port })
}

/// A cache at ElastiCache.
pub(super) fn cache(
    platform: &LearningPlatform,
    (cache, spec): (&Cache, &ElastiCacheCache),
    status: Option<&StoreStatus>,
) -> anyhow::Result<Target> {
    let name = &cache.name;
    let place = Place::Address(seen(&format!("cache {name}"), cache::PORT, status)?);
    let is_encrypted = spec.transit_encryption.unwrap_or(true);
    Ok(Target {
        what: format!("cache {name}"),
        place,
        login: is_encrypted.then(|| LoginKeys {
            secret: secret(platform, cache.renamed_from.as_ref().unwrap_or(name), elasticache::RUNNER),
            username: spec.user.as_ref().map(|_| USERNAME.to_owned()),
            must_name: spec.user.is_some(),
            password: PASSWORD.to_owned(),
        }),
        tls: is_encrypted.then(|| Tls { ca: spec.authorities.clone(), name: None }),
        database: None,
        note: Some("ElastiCache answers inside of its VPC alone".to_owned()),
    })
}

/// Name of the Secret with the passwords of a store.
fn secret(platform: &LearningPlatform, id: &str, runner: &str) -> String {
    auth::name(&format!("{}-{runner}", object_name(&platform.name_any(), id)))
}

/// Where a store listens.
fn seen(what: &str, port: u16, status: Option<&StoreStatus>) -> anyhow::Result<Address> {
    match status.and_then(|status| status.address.as_ref()) {
        Some(at) => address(at, port),
        None => bail!("the operator knows no address of {what} yet{}", said(status)),
    }
}
