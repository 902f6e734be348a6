//! The Kubernetes objects of a cache at ElastiCache: its password, and what is kept of it.

use super::{ENDPOINT, ElastiCache, RUNNER, Seen};
use crate::tiers::{
    aws::{
        control,
        recorded::{self, Recorded},
    },
    store::auth,
};
use kube::core::DynamicObject;

type Built = Result<DynamicObject, serde_json::Error>;

/// Everything of a cache, in the order of application.
pub fn objects(cache: &ElastiCache, seen: &Seen) -> Vec<Built> {
    if seen.held.is_some() {
        return Vec::new();
    }
    let Ok(passwords) = &seen.passwords else { return Vec::new() };
    let policy = control::of_passwords(cache.spec.deletion_policy.unwrap_or_default());
    let secret = cache.is_encrypted().then(|| auth::secret(&cache.identity, &cache.object_name, policy, passwords));
    secret.into_iter().chain(record(cache, seen)).collect()
}

/// What is kept: what was, and what its keeper has to be written down since.
fn record(cache: &ElastiCache, seen: &Seen) -> Option<Built> {
    let memory = seen.view.as_ref().map(|view| view.memory.clone());
    let memory = memory.or_else(|| seen.recorded.as_ref().map(|recorded| recorded.memory.clone()))?;
    let mut record = seen.record.clone().unwrap_or_default();
    let recorded = Recorded {
        account: cache.account.clone(),
        cluster: cache.owner.identity.cluster().to_owned(),
        mode: cache.spec.control.mode.unwrap_or_default(),
        deletion: cache.spec.deletion_policy.unwrap_or_default(),
        memory,
    };
    if let Err(error) = recorded.write(&mut record, RUNNER) {
        return Some(Err(error));
    }
    cache.written().keep(&mut record, seen.servers.as_ref().and_then(|servers| servers.scaled.as_ref()));
    if let Some(endpoint) = seen.endpoint(cache) {
        record.insert(ENDPOINT.to_owned(), endpoint.to_string());
    }
    Some(recorded::map(&cache.identity, &cache.object_name, &record, true))
}
