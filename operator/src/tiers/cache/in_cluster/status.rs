//! What is told of a cache in this cluster.

use super::{InCluster, Seen};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{
        ItemStatus,
        store::{auth, rotation::PUBLISHED, tls, told},
    },
};
use crds::{
    status::{ConditionType, Reason, Reshaping, StoreServer, StoreStatus},
    tiers::cache::{AppendFsync, CacheMode},
};

/// The status of a cache.
pub fn status(cache: &InCluster, seen: &Seen) -> ItemStatus {
    let cache = &cache.scaled(seen.record.as_ref());
    let details = StoreStatus {
        promise: Some(promise(cache)),
        deletion: Some(told::deletion(cache.spec.deletion_policy.unwrap_or_default(), &seen.volumes)),
        reshaping: seen.view.as_ref().and_then(|view| view.reshaping).map(|(before, after)| Reshaping {
            keys_before: told::number(before),
            keys_after: after.map(told::number),
        }),
        servers: servers(cache, seen),
        passwords_changed: told::changed(&seen.passwords),
        rotation: seen.rotation.clone(),
        scaling: cache.written().told(seen.record.as_ref(), seen.view.as_ref().and_then(|view| view.waits.clone())),
        certificate_expires: tls::expires(seen.tls.as_ref(), seen.view.as_ref().and_then(|view| view.certificate_ends)),
        ..StoreStatus::default()
    };
    ItemStatus {
        verdicts: vec![verdict(cache, seen)],
        address: Some(cache.address().to_string()),
        store: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

fn verdict(cache: &InCluster, seen: &Seen) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::CacheReady, state, reason, message);
    if let Some(held) = &seen.held {
        return says(State::False, Reason::DataWouldBeLeftBehind, held.clone());
    }
    match &seen.passwords {
        Ok(_) => {}
        Err(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Err(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let Some(view) = &seen.view else {
        return says(State::Unknown, Reason::Progressing, "its servers have not been looked at yet".to_owned());
    };
    let store = &view.store.verdict;
    let reason = told::reason(store.reason());
    // New passwords are taken without a break.
    let ready = matches!(store, valkey::Verdict::Ready | valkey::Verdict::Rotating);
    if ready && !seen.answered {
        return says(State::False, Reason::Progressing, told::CHANGED.to_owned());
    }
    // Where a container beside a server does not run, that is told below.
    if ready && seen.troubles.is_empty() {
        let servers = match cache.mode {
            CacheMode::Cluster => format!("{} shards of 1 primary and {} replicas", cache.shards, cache.replicas),
            CacheMode::Single => format!("1 primary and {} replicas", cache.replicas),
        };
        return says(State::True, Reason::Succeeded, format!("{servers}; {store}"));
    }
    let mut message = store.to_string();
    if reason == Reason::CredentialsRefused {
        let secret = auth::name(&cache.object_name);
        message.push_str(&format!(": put the one that they accept under the key {PUBLISHED} of the Secret {secret}"));
    }
    told::with_troubles(says(State::False, reason, message), &seen.troubles)
}

/// What an acknowledged write survives.
fn promise(cache: &InCluster) -> String {
    let spec = &cache.spec;
    let disk = match (spec.append_only.unwrap_or(true), spec.append_fsync.unwrap_or_default()) {
        (false, _) => "a restart of its server goes back to the last snapshot",
        (true, AppendFsync::Always) => "survives a crash of its server",
        (true, AppendFsync::EverySecond) => "survives a crash of its server, but for the last second if the node fails",
        (true, AppendFsync::No) => "survives a crash of its server, but for what the node had not written if it fails",
    };
    let replicas = match (cache.replicas, spec.min_replicas_to_write.unwrap_or(0)) {
        (0, _) => "no replica has it".to_owned(),
        (_, 0) => "a failover loses what no replica had received".to_owned(),
        (_, least) => format!(
            "{least} replicas at least are connected when it is accepted, and a failover loses what they had not received"
        ),
    };
    format!("an acknowledged write {disk}; {replicas}")
}

fn servers(cache: &InCluster, seen: &Seen) -> Vec<StoreServer> {
    let Some(view) = &seen.view else { return Vec::new() };
    let sharded = cache.mode == CacheMode::Cluster;
    let shards = view.store.shards.iter().flat_map(|(number, shard)| {
        let slots = view.slots.get(number).copied().filter(|_| sharded);
        let server = move |pod: &String, role: &str, state: &str, slots: Option<u32>| StoreServer {
            pod: pod.clone(),
            role: role.to_owned(),
            shard: i32::try_from(*number).ok().filter(|_| sharded),
            slots: slots.and_then(|n| i32::try_from(n).ok()),
            state: state.to_owned(),
        };
        let primary = shard.primary.iter().map(move |pod| server(pod, "Primary", "Serving", slots));
        let replicas = shard
            .replicas
            .iter()
            .map(move |(pod, in_step)| server(pod, "Replica", if *in_step { "InStep" } else { "Behind" }, None));
        primary.chain(replicas).collect::<Vec<_>>()
    });
    shards.collect()
}
