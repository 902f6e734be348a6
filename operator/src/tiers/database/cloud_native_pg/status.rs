//! What is told of a database that CloudNativePG runs. Its word is held against what was asked for: it calls a `Cluster` ready
//! whose replicas do not follow.

use super::{
    CloudNativePg, Seen, backup,
    reported::{HEALTHY, Reported},
};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{
        ItemStatus,
        binding::{Bound, DatabaseBinding},
    },
};
use crds::{
    status::{ConditionType, Reason, StoreServer, StoreStatus},
    tiers::{cloud_native_pg::FailoverDurability, in_cluster::DeletionPolicy},
};

/// The status of a database.
pub fn status(database: &CloudNativePg, seen: &Seen, bound: &Bound<DatabaseBinding>) -> ItemStatus {
    let (window, of_backup) = backup::told(database, &seen.backup, jiff::Timestamp::now()).unzip();
    let details = StoreStatus {
        promise: Some(promise(database)),
        deletion: Some(deletion(database)),
        servers: seen.reported.as_ref().map(servers).unwrap_or_default(),
        backup_window: window,
        ..StoreStatus::default()
    };
    ItemStatus {
        verdicts: [verdict(database, seen, bound)].into_iter().chain(of_backup).collect(),
        address: Some(database.primary().to_string()),
        store: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

/// What an acknowledged commit survives.
fn promise(database: &CloudNativePg) -> String {
    match (database.replicas, database.spec.durability.unwrap_or_default()) {
        (0, _) => "an acknowledged commit survives a crash of the primary, and not the loss of its volume".to_owned(),
        (_, FailoverDurability::Local) => {
            "an acknowledged commit survives a crash of the primary that restarts; what no replica has yet is lost when one \
             of them takes over"
                .to_owned()
        }
        (_, FailoverDurability::Required) => {
            let number = database.spec.sync_replicas.unwrap_or(1);
            format!(
                "an acknowledged commit survives the loss of the primary, because {number} of the replicas have it; commits \
                 wait while fewer answer"
            )
        }
    }
}

/// What becomes of the data when the resource is deleted.
fn deletion(database: &CloudNativePg) -> String {
    let cluster = &database.cluster;
    match database.spec.deletion_policy.unwrap_or_default() {
        DeletionPolicy::Retain => format!(
            "Cluster {cluster}, its volumes and its passwords stay when the resource is deleted, and are found again when it \
             is applied again; CloudNativePG deletes the volumes with the Cluster"
        ),
        DeletionPolicy::Delete => {
            format!("Cluster {cluster}, its volumes and its passwords are deleted with the resource")
        }
    }
}

fn verdict(database: &CloudNativePg, seen: &Seen, bound: &Bound<DatabaseBinding>) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::DatabaseReady, state, reason, message);
    if let Some((reason, why)) = &seen.held {
        return says(State::False, *reason, why.clone());
    }
    let cluster = &database.cluster;
    let Some(reported) = seen.reported.as_ref() else {
        return says(State::False, Reason::Progressing, format!("Cluster {cluster} is being made"));
    };
    if let Some((reason, why)) = unready(database, seen, reported) {
        return says(State::False, reason, format!("Cluster {cluster}: {why}"));
    }
    match bound {
        Ok(_) => {}
        Err(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Err(lack @ Lack::NotYet(_)) => return says(State::False, Reason::Progressing, lack.to_string()),
        Err(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let replicas = reported.instances.saturating_sub(1);
    let scaled = match seen.scaled {
        Some(_) => "; their number is somebody else's, who scales the Cluster, and readReplicas counts for nothing",
        None => "",
    };
    let message =
        format!("1 primary and {replicas} replicas, as CloudNativePG says: the servers are not asked{scaled}");
    says(State::True, Reason::Succeeded, message)
}

/// Why it is not as asked for; None where it is.
fn unready(database: &CloudNativePg, seen: &Seen, reported: &Reported) -> Option<(Reason, String)> {
    let progress = |why: String| Some((Reason::Progressing, why));
    if let Some(why) = &reported.mixed {
        return Some((Reason::WrongCluster, format!("its servers hold data of different databases: {why}")));
    }
    let wanted = u64::from(seen.scaled.unwrap_or(database.replicas + 1));
    let Reported { phase, why, instances, ready, primary, target, .. } = reported;
    let counted = format!("{ready} of {wanted} servers are ready");
    if phase.is_empty() {
        return progress("CloudNativePG has not taken it up yet: see that its operator runs".to_owned());
    }
    if phase != HEALTHY {
        let because = if why.is_empty() { String::new() } else { format!(" ({why})") };
        let reason = match phase.as_str() {
            backup::UNKNOWN_PLUGIN => Reason::NotFound,
            full if full.contains("disk space") => Reason::DiskFilling,
            _ => Reason::Progressing,
        };
        return Some((reason, format!("CloudNativePG says: {phase}{because}; {counted}")));
    }
    if *ready < wanted || *instances != wanted {
        return progress(format!("{counted}, although CloudNativePG calls it healthy"));
    }
    match (primary, target) {
        (Some(primary), Some(target)) if primary != target => {
            return progress(format!("{target} is taking over from {primary}"));
        }
        (None, _) => return progress("it has no primary".to_owned()),
        _ => {}
    }
    let astray = reported.astray();
    if !astray.is_empty() {
        let pods = astray.join(", ");
        return Some((Reason::ReplicaLag, format!("{pods} does not follow the primary: it is on another timeline")));
    }
    None
}

fn servers(reported: &Reported) -> Vec<StoreServer> {
    let role = |pod: &String| if reported.primary.as_ref() == Some(pod) { "Primary" } else { "Replica" };
    let servers = reported.servers.iter().map(|(pod, (word, _))| StoreServer {
        pod: pod.clone(),
        role: role(pod).to_owned(),
        shard: None,
        slots: None,
        state: capitalised(word),
    });
    servers.collect()
}

/// `healthy` as the other states are written.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
