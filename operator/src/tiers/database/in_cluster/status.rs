//! What is told of a database in this cluster.

use super::{InCluster, Seen, SeenServer, Server};
use crate::{
    conditions::{State, Verdict},
    keeper::database::DatabaseView,
    secrets::Lack,
    tiers::{
        ItemStatus,
        store::{tls, told},
    },
};
use crds::status::{ConditionType, Promotion, PromotionState, Reason, StoreServer, StoreStatus};

/// The status of a database.
pub fn status(database: &InCluster, seen: &Seen) -> ItemStatus {
    let views: Vec<Option<&DatabaseView>> = seen.servers.iter().map(|server| server.view.as_deref()).collect();
    let servers = database.servers.iter().zip(&views).flat_map(|(server, view)| servers(database, server, *view));
    let now = jiff::Timestamp::now();
    let backups = database.servers.iter().zip(&seen.servers);
    let backups = backups.filter_map(|(server, seen)| super::backup::told(database, server, seen, now));
    // Of several shards the one that is worst off.
    let (backup, of_backup) = backups.max_by_key(|(_, verdict)| verdict.state).unzip();
    let details = StoreStatus {
        backup,
        promise: views.first().copied().flatten().map(|view| view.durability.clone()),
        deletion: Some(deletion(database, seen)),
        servers: servers.collect(),
        passwords_changed: told::changed(&seen.passwords),
        rotation: seen.rotation.clone(),
        scaling: super::scaling::told(database, seen),
        pooler: seen.pooler.told(database),
        certificate_expires: tls::expires(
            seen.tls.as_ref(),
            views.iter().flatten().filter_map(|view| view.certificate_ends).min(),
        ),
        promotions: database
            .servers
            .iter()
            .zip(&seen.servers)
            .filter_map(|(server, seen)| promotion(database, server, seen))
            .collect(),
        ..StoreStatus::default()
    };
    ItemStatus {
        verdicts: [verdict(database, seen, &views)].into_iter().chain(of_backup).collect(),
        address: Some(database.primary().to_string()),
        store: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

/// What becomes of the data, and of snapshots of them.
fn deletion(database: &InCluster, seen: &Seen) -> String {
    let told = told::deletion(database.spec.deletion_policy.unwrap_or_default(), &seen.volumes);
    match super::backup::snapshots::deletion(database, &seen.servers) {
        Some(of_snapshots) => format!("{told}; {of_snapshots}"),
        None => told,
    }
}

/// What is told of the promotion of a server.
fn promotion(database: &InCluster, server: &Server, seen: &SeenServer) -> Option<Promotion> {
    let super::promotion::Promotion { word, state, message, .. } = &seen.promotion;
    let shard = (database.servers.len() > 1).then(|| i32::try_from(server.shard).ok()).flatten();
    Some(Promotion { shard, word: word.clone(), state: (*state)?, message: message.clone() })
}

fn verdict(database: &InCluster, seen: &Seen, views: &[Option<&DatabaseView>]) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::DatabaseReady, state, reason, message);
    if let Some(held) = &seen.held {
        return says(State::False, Reason::DataWouldBeLeftBehind, held.clone());
    }
    match &seen.passwords {
        Ok(_) => {}
        Err(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Err(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let Some(views) = views.iter().copied().collect::<Option<Vec<_>>>() else {
        return says(State::Unknown, Reason::Progressing, "its servers have not been looked at yet".to_owned());
    };
    let promotions = seen.servers.iter().map(|server| &server.promotion);
    if let Some((shard, promotion)) = promotions.enumerate().find(|(_, promotion)| promotion.is_under_way()) {
        let waits = [PromotionState::Refused, PromotionState::NeedsProof, PromotionState::ClaimInTheWay];
        let waits = promotion.state.is_some_and(|state| waits.contains(&state));
        let reason = if waits { Reason::PromotionWaits } else { Reason::Progressing };
        let of = if database.servers.len() > 1 { format!("shard {shard}: ") } else { String::new() };
        return says(State::False, reason, format!("{of}{}", promotion.message));
    }
    let sentences =
        |view: &DatabaseView| view.verdicts.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>().join("; ");
    if let Some((shard, view)) = views.iter().enumerate().find(|(_, view)| !view.ready) {
        let reason = view.verdicts.first().map_or(Reason::Progressing, |(reason, _)| told::reason(reason));
        let of = if views.len() > 1 { format!("shard {shard}: ") } else { String::new() };
        let verdict = says(State::False, reason, format!("{of}{}", sentences(view)));
        return if view.accepts_writes { verdict } else { told::with_troubles(verdict, &seen.troubles) };
    }
    if !seen.answered {
        return says(State::False, Reason::Progressing, told::CHANGED.to_owned());
    }
    // The servers work, and a container beside one of them does not.
    if let Some(trouble) = seen.troubles.first() {
        return says(State::False, trouble.reason, trouble.message.clone());
    }
    if let Some(told) = seen.pooler.told(database).filter(|_| seen.pooler.is_down(database)) {
        return says(State::False, Reason::Progressing, format!("its pooler is not ready: {told}"));
    }
    let shards = if views.len() > 1 { format!("{} shards, each ", views.len()) } else { String::new() };
    let notes = views.first().map(|view| sentences(view)).unwrap_or_default();
    let replicas = database.wanted(seen.servers.first().and_then(|server| server.record.as_ref()));
    says(State::True, Reason::Succeeded, format!("{shards}1 primary and {replicas} replicas; {notes}"))
}

fn servers(database: &InCluster, server: &Server, view: Option<&DatabaseView>) -> Vec<StoreServer> {
    let Some(view) = view else { return Vec::new() };
    let shard = (database.servers.len() > 1).then(|| i32::try_from(server.shard).ok()).flatten();
    let one =
        |pod: String, role: &str, state: String| StoreServer { pod, role: role.to_owned(), shard, slots: None, state };
    let primary = if view.accepts_writes { "Serving" } else { "NotWriting" };
    let replicas = view
        .states
        .iter()
        .map(|(ordinal, state)| one(format!("{}-{ordinal}", server.replica_set()), "Replica", format!("{state:?}")));
    std::iter::once(one(format!("{}-0", server.primary_set()), "Primary", primary.to_owned())).chain(replicas).collect()
}
