//! What is told of a cache at ElastiCache.

use super::{ElastiCache, Seen};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{ItemStatus, aws::told, store::rotation, store::told::CHANGED},
};
use crds::status::{AwsStatus, ConditionType, Reason, StoreStatus};

/// The status of a cache.
pub fn status(cache: &ElastiCache, seen: &Seen) -> ItemStatus {
    let cache = &cache.scaled(seen.record.as_ref());
    let conditions = seen.view.as_ref().map(|view| view.conditions.as_slice()).unwrap_or_default();
    let passwords = seen.passwords.as_ref().ok();
    let details = StoreStatus {
        promise: Some(promise(cache).to_owned()),
        deletion: told::deletion(conditions),
        passwords_changed: passwords.and_then(rotation::changed).map(rotation::rfc3339),
        rotation: seen.rotation.clone(),
        scaling: cache.written().told(seen.record.as_ref(), waits(seen)),
        aws: Some(AwsStatus {
            identifier: seen.view.as_ref().and_then(|view| view.at.identifier.clone()),
            region: cache.account.region.clone(),
            plan: seen.view.as_ref().map(|view| view.plan.clone()).unwrap_or_default(),
            plan_hash: seen.view.as_ref().and_then(|view| view.plan_hash.clone()),
        }),
        ..StoreStatus::default()
    };
    ItemStatus {
        verdicts: std::iter::once(verdict(cache, seen)).chain(told::notes(conditions)).collect(),
        address: seen.endpoint(cache).map(|address| address.to_string()),
        store: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

/// What another size waits for.
fn waits(seen: &Seen) -> Option<String> {
    let servers = seen.servers.as_ref()?;
    let problem = || Some(format!("its servers cannot be looked at: {}", servers.problem.as_ref()?));
    servers.waits.clone().or_else(problem)
}

/// What an acknowledged write survives.
fn promise(cache: &ElastiCache) -> &'static str {
    match cache.replicas {
        0 => "an acknowledged write is lost with its node; what AWS's snapshots have is restored",
        _ => {
            "an acknowledged write survives the loss of a primary as soon as a replica has it: replication is asynchronous"
        }
    }
}

fn verdict(cache: &ElastiCache, seen: &Seen) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::CacheReady, state, reason, message);
    if let Some(held) = &seen.held {
        return says(State::False, held.reason, held.why.clone());
    }
    match seen.passwords.as_ref().err().or(seen.tls.as_ref().err()) {
        None => {}
        Some(lack @ Lack::NotYet(_)) => return says(State::False, Reason::Progressing, lack.to_string()),
        Some(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Some(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let Some(view) = &seen.view else {
        return says(State::Unknown, Reason::Progressing, "AWS has not been asked yet".to_owned());
    };
    let serves = view.at.serves && seen.endpoint(cache).is_some();
    if let Some((state, reason, message)) = told::hindrance(&view.conditions, serves) {
        return says(state, reason, message);
    }
    if !serves {
        let next = view.plan.first().map(|call| format!("next: {}", call.call));
        let why = next.unwrap_or_else(|| match view.at.serves {
            true => "its password is not taken yet".to_owned(),
            false => "it is being made, and has no address yet".to_owned(),
        });
        return says(State::False, Reason::Progressing, format!("at AWS: {why}"));
    }
    if !seen.answered {
        return says(State::False, Reason::Progressing, CHANGED.to_owned());
    }
    let (shards, replicas) = view.at.shape;
    let shards = if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
    let replicas = if replicas == 1 { "1 replica".to_owned() } else { format!("{replicas} replicas") };
    says(State::True, Reason::Succeeded, format!("{shards} with {replicas} each at AWS"))
}
