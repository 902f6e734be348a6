//! Items that hold data or lead to it: caches, databases and CDNs, wherever they run.

use super::Problem;
use crate::{
    context::Settings,
    naming::PlatformKey,
    release,
    tiers::{
        binding::Address,
        cache::{self, ValidCache},
        cdn::{self, ValidCdn},
        database::{self, ValidDatabase},
    },
};
use crds::{
    LearningPlatform,
    tiers::{
        aws::Aws,
        cache::Cache,
        cdn::Cdn,
        database::{Database, ExternalDatabase},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// The account of an item at AWS, and whose it is there.
fn at_aws<'a>(
    resource: &'a LearningPlatform,
    settings: &Settings,
    field: &str,
    id: &str,
    problems: &mut Vec<Problem>,
) -> Option<(&'a Aws, ::aws::Owner)> {
    let Some(account) = &resource.spec.aws else {
        problems.push(Problem::new(field, "set spec.aws, which says the region"));
        return None;
    };
    let owner = release::owner(resource, settings, id);
    Some((account, owner.map_err(|problem| problems.push(Problem::new(field, problem))).ok()?))
}

pub(super) fn cache(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    cache: &Cache,
    problems: &mut Vec<Problem>,
) -> Option<ValidCache> {
    let platform = &PlatformKey::of(resource);
    let provider = match (&cache.in_cluster, &cache.elasti_cache, &cache.external) {
        (None, Some(spec), None) => {
            let id = cache.renamed_from.as_deref().unwrap_or(&cache.name);
            let (account, owner) = at_aws(resource, settings, &format!("{path}.elastiCache"), id, problems)?;
            let of = (platform.name.as_str(), platform.namespace.as_str(), &owner);
            cache::Provider::ElastiCache(Box::new(cache::elasticache::ElastiCache::new(of, account, cache, spec)))
        }
        (Some(spec), None, None) => {
            problems.extend(forbidden(&format!("{path}.inCluster.parameters"), &spec.parameters, valkey::refused));
            let cache = cache::in_cluster::InCluster::new(&platform.name, &platform.namespace, cache, spec);
            cache::Provider::InCluster(Box::new(cache))
        }
        (None, None, Some(external)) => {
            let address = address(&format!("{path}.external.address"), &external.address, cache::PORT, problems)?;
            cache::Provider::External(address, external.clone())
        }
        _ => {
            let problem = "say where the cache runs: set exactly one of inCluster, elastiCache and external";
            problems.push(Problem::new(path, problem));
            return None;
        }
    };
    Some(ValidCache { name: cache.name.clone(), provider })
}

/// Settings of a server that would break what the operator promises of it.
fn forbidden<'a>(
    field: &'a str,
    parameters: &'a BTreeMap<String, String>,
    why: fn(&str) -> Option<&'static str>,
) -> impl Iterator<Item = Problem> + 'a {
    parameters.keys().filter_map(move |name| Some(Problem::new(format!("{field}[{name}]"), why(name)?)))
}

pub(super) fn database(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    database: &Database,
    problems: &mut Vec<Problem>,
) -> Option<ValidDatabase> {
    let platform = &PlatformKey::of(resource);
    let provider = match (&database.in_cluster, &database.cloud_native_pg, &database.rds, &database.external) {
        (None, None, Some(spec), None) => {
            let id = database.renamed_from.as_deref().unwrap_or(&database.name);
            let (account, owner) = at_aws(resource, settings, &format!("{path}.rds"), id, problems)?;
            let of = (platform.name.as_str(), platform.namespace.as_str(), &owner);
            database::Provider::Rds(Box::new(database::rds::Rds::new(of, account, database, spec)))
        }
        (None, Some(spec), None, None) => {
            problems.extend(forbidden(
                &format!("{path}.cloudNativePG.parameters"),
                &spec.parameters,
                postgres::config::forbidden_parameter,
            ));
            let database =
                database::cloud_native_pg::CloudNativePg::new(&platform.name, &platform.namespace, database, spec);
            problems.extend(database::cloud_native_pg::backup::check(&format!("{path}.cloudNativePG"), &database));
            database::Provider::CloudNativePg(Box::new(database))
        }
        (Some(spec), None, None, None) => {
            problems.extend(forbidden(
                &format!("{path}.inCluster.parameters"),
                &spec.parameters,
                postgres::config::forbidden_parameter,
            ));
            let database = database::in_cluster::InCluster::new(&platform.name, &platform.namespace, database, spec);
            problems.extend(database::in_cluster::backup::check(&format!("{path}.inCluster"), &database));
            database::Provider::InCluster(Box::new(database))
        }
        (None, None, None, Some(external)) => {
            database::Provider::External(Box::new(validate_external(path, external, problems)?))
        }
        _ => {
            let problem = "say where the database runs: set exactly one of inCluster, cloudNativePG, rds and external";
            problems.push(Problem::new(path, problem));
            return None;
        }
    };
    let connection_budget = database.connection_budget;
    Some(ValidDatabase { name: database.name.clone(), connection_budget, provider })
}

pub(super) fn cdn(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    item: &Cdn,
    problems: &mut Vec<Problem>,
) -> Option<ValidCdn> {
    let Some(spec) = &item.cloud_front else {
        problems.push(Problem::new(path, "say where the CDN runs: set cloudFront"));
        return None;
    };
    let Some(account) = &resource.spec.aws else {
        let problem = "set spec.aws, which says as whom the operator goes to AWS";
        problems.push(Problem::new(format!("{path}.cloudFront"), problem));
        return None;
    };
    if let Err(cdn::wish::Unfit::Invalid(found)) = cdn::wish::offline(&item.name, spec, &resource.spec.apps) {
        problems.extend(found);
        return None;
    }
    let owner = release::owner(resource, settings, &item.name);
    let owner = owner.map_err(|problem| problems.push(Problem::new(format!("{path}.cloudFront"), problem))).ok()?;
    Some(ValidCdn::new(&PlatformKey::of(resource).name, &owner, account, &item.name, spec))
}

/// What is kept of a CDN `a` would be called as what is kept of a store `a-cloudfront`.
pub(super) fn check_records(cdns: &[ValidCdn], names: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    for cdn in cdns {
        let taken = format!("{}-{}", cdn.name, cdn::RUNNER);
        if names.contains(&taken) {
            let problem = format!("what is kept of it would be called like that of {taken}: rename one of them");
            problems.push(Problem::new(format!("spec.cdns[{}].name", cdn.name), problem));
        }
    }
}

/// What CloudNativePG makes for a database `a` would be called as what is made for a store `a-pg`, and what is made for one at AWS as
/// that of `a-rds` or `a-elasticache`.
pub(super) fn check_names(caches: &[ValidCache], databases: &[ValidDatabase], problems: &mut Vec<Problem>) {
    let ids = databases.iter().filter_map(ValidDatabase::id).chain(caches.iter().filter_map(ValidCache::id));
    let ids: BTreeSet<&str> = ids.collect();
    let of_caches = caches.iter().filter_map(|cache| match &cache.provider {
        cache::Provider::ElastiCache(item) => {
            Some(("caches", &cache.name, &item.identity.id, cache::elasticache::RUNNER))
        }
        cache::Provider::InCluster(_) | cache::Provider::External(..) => None,
    });
    let of_databases = databases.iter().filter_map(|database| match &database.provider {
        database::Provider::CloudNativePg(item) => Some(("databases", &database.name, &item.identity.id, "pg")),
        database::Provider::Rds(item) => Some(("databases", &database.name, &item.identity.id, database::rds::RUNNER)),
        database::Provider::InCluster(_) | database::Provider::External(_) => None,
    });
    for (room, name, id, runner) in of_caches.chain(of_databases) {
        let taken = format!("{id}-{runner}");
        if ids.contains(&*taken) {
            let problem = format!("what is made for it would be called like that of {taken}: rename one of them");
            problems.push(Problem::new(format!("spec.{room}[{name}].name"), problem));
        }
    }
}

fn validate_external(path: &str, spec: &ExternalDatabase, problems: &mut Vec<Problem>) -> Option<database::External> {
    let primary = address(&format!("{path}.external.address"), &spec.address, database::PORT, problems)?;
    let field = format!("{path}.external.replicas");
    let replicas = spec.replicas.iter().map(|replica| address(&field, replica, database::PORT, problems));
    let replicas = replicas.collect::<Option<Vec<_>>>()?;
    Some(database::External { primary, replicas, spec: spec.clone() })
}

fn address(field: &str, text: &str, port: u16, problems: &mut Vec<Problem>) -> Option<Address> {
    Address::parse(text, port).map_err(|problem| problems.push(Problem::new(field, format!("{text}: {problem}")))).ok()
}
