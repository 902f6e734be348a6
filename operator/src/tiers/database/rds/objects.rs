//! The Kubernetes objects of a database at RDS: its passwords, what is kept of it, and the stable names of its replicas.

use super::{super::scaling, ENDPOINT, RUNNER, Rds, Seen};
use crate::{
    kinds::Kind,
    tiers::{
        aws::{
            control,
            recorded::{self, Recorded},
        },
        store::auth,
    },
};
use kube::core::DynamicObject;
use serde_json::json;

type Built = Result<DynamicObject, serde_json::Error>;

/// Everything of a database, in the order of application.
pub fn objects(database: &Rds, seen: &Seen) -> Vec<Built> {
    if seen.held.is_some() {
        return Vec::new();
    }
    let Ok(passwords) = &seen.passwords else { return Vec::new() };
    let policy = control::of_passwords(database.spec.deletion_policy.unwrap_or_default());
    let mut objects = vec![auth::secret(&database.identity, &database.object_name, policy, passwords)];
    objects.extend(record(database, seen));
    objects.extend(services(database, seen));
    objects
}

/// What is kept: what was, and what its keeper has to be written down since.
fn record(database: &Rds, seen: &Seen) -> Option<Built> {
    let memory = seen.view.as_ref().map(|view| view.memory.clone());
    let memory = memory.or_else(|| seen.recorded.as_ref().map(|recorded| recorded.memory.clone()))?;
    let mut record = seen.record.clone().unwrap_or_default();
    let recorded = Recorded {
        account: database.account.clone(),
        cluster: database.owner.identity.cluster().to_owned(),
        mode: database.spec.control.mode.unwrap_or_default(),
        deletion: database.spec.deletion_policy.unwrap_or_default(),
        memory,
    };
    if let Err(error) = recorded.write(&mut record, RUNNER) {
        return Some(Err(error));
    }
    if let Some(endpoint) = seen.endpoint() {
        record.insert(ENDPOINT.to_owned(), endpoint.to_string());
    }
    let scaled = seen.servers.as_ref().and_then(|servers| servers.scaled.as_ref());
    scaling::keep(&mut record, database.spec.read_replica_scaling.is_some(), scaled);
    Some(recorded::map(&database.identity, &database.object_name, &record, true))
}

/// A name for each numbered address, whether it has a replica of its own or leads to the primary.
fn services(database: &Rds, seen: &Seen) -> Vec<Built> {
    let (Some(primary), Some(view)) = (seen.endpoint(), seen.view.as_ref().filter(|_| seen.is_found())) else {
        return Vec::new();
    };
    // Readers leave a replica before it goes.
    let wanted = database.wanted(seen.record.as_ref());
    let replicas: Vec<_> = view.at.replicas.iter().filter(|(number, _)| *number < wanted).collect();
    let target = |number: u32| {
        let of_replica = replicas.iter().find(|(index, _)| *index == number).and_then(|(_, at)| at.as_ref());
        of_replica.map_or_else(|| primary.host.clone(), |at| at.address.clone())
    };
    let first = replicas.iter().find_map(|(_, at)| at.as_ref()).map_or(&primary.host, |at| &at.address);
    let service = |name: String, target: &str| {
        Kind::Service.object(&json!({
            "metadata": { "name": name, "labels": database.identity.labels() },
            "spec": { "type": "ExternalName", "externalName": target },
        }))
    };
    let numbered = (0..database.addresses).map(|number| service(database.numbered_service(number), &target(number)));
    std::iter::once(service(database.reader_service(), first)).chain(numbered).collect()
}
