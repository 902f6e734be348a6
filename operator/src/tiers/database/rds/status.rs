//! What is told of a database at RDS.

use super::{super::scaling, Rds, Seen};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{ItemStatus, aws::told, store::rotation, store::told::CHANGED},
};
use aws::Identity;
use crds::status::{AwsStatus, ConditionType, Reason, StoreServer, StoreStatus};

/// The status of a database.
pub fn status(database: &Rds, seen: &Seen) -> ItemStatus {
    let conditions = seen.view.as_ref().map(|view| view.conditions.as_slice()).unwrap_or_default();
    let passwords = seen.passwords.as_ref().ok();
    let details = StoreStatus {
        promise: Some(promise(database)),
        deletion: told::deletion(conditions),
        passwords_changed: passwords.and_then(rotation::changed).map(rotation::rfc3339),
        rotation: seen.rotation.clone(),
        scaling: told_scaling(database, seen),
        servers: servers(seen),
        aws: Some(AwsStatus {
            identifier: seen.view.as_ref().and_then(|view| view.at.identifier.clone()),
            region: database.account.region.clone(),
            plan: seen.view.as_ref().map(|view| view.plan.clone()).unwrap_or_default(),
            plan_hash: seen.view.as_ref().and_then(|view| view.plan_hash.clone()),
        }),
        ..StoreStatus::default()
    };
    ItemStatus {
        verdicts: std::iter::once(verdict(database, seen)).chain(told::notes(conditions)).collect(),
        address: seen.endpoint().map(|address| address.to_string()),
        store: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

fn told_scaling(database: &Rds, seen: &Seen) -> Option<String> {
    database.spec.read_replica_scaling.as_ref()?;
    let (record, waits) = (seen.record.as_ref(), seen.servers.as_ref().and_then(|servers| servers.waits.clone()));
    scaling::told(record, database.wanted(record), waits)
}

/// What an acknowledged commit survives.
fn promise(database: &Rds) -> String {
    match database.spec.multi_az {
        Some(true) => "an acknowledged commit survives the loss of the primary's zone: the standby has it".to_owned(),
        _ => "an acknowledged commit survives a crash of the primary; after the loss of its volume what AWS's backups have is restored"
            .to_owned(),
    }
}

fn verdict(database: &Rds, seen: &Seen) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::DatabaseReady, state, reason, message);
    if let Some(held) = &seen.held {
        return says(State::False, held.reason, held.why.clone());
    }
    let lacks = seen.passwords.as_ref().err().or(seen.authorities.as_ref().err());
    match lacks {
        None => {}
        Some(lack @ Lack::NotYet(_)) => return says(State::False, Reason::Progressing, lack.to_string()),
        Some(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Some(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let Some(view) = &seen.view else {
        return says(State::Unknown, Reason::Progressing, "AWS has not been asked yet".to_owned());
    };
    let inside = seen.servers.as_deref();
    let login_works = inside.is_some_and(|servers| servers.login_works);
    let serves = view.at.serves && login_works;
    if let Some((state, reason, message)) = told::hindrance(&view.conditions, serves) {
        return says(state, reason, message);
    }
    if !view.at.serves {
        let why =
            view.plan.first().map_or_else(|| "it is being made".to_owned(), |call| format!("next: {}", call.call));
        return says(State::False, Reason::Progressing, format!("at AWS: {why}"));
    }
    if !view.at.password_set {
        let why = "AWS is setting the administrator's password".to_owned();
        return says(State::False, Reason::DependencyNotReady, why);
    }
    if let Some(problem) = inside.and_then(|servers| servers.problem.clone()) {
        return says(State::False, Reason::DependencyNotReady, problem);
    }
    if !login_works || !seen.answered {
        return says(State::False, Reason::Progressing, CHANGED.to_owned());
    }
    let serving = view.at.replicas.iter().filter(|(_, at)| at.is_some()).count();
    let wanted = database.wanted(seen.record.as_ref()) as usize;
    if serving < wanted {
        return says(State::False, Reason::Progressing, format!("{serving} of {wanted} replicas serve"));
    }
    says(State::True, Reason::Succeeded, format!("1 primary and {serving} replicas at AWS"))
}

fn servers(seen: &Seen) -> Vec<StoreServer> {
    let Some(view) = &seen.view else { return Vec::new() };
    let Some(id) = &view.at.identifier else { return Vec::new() };
    let one = |pod: String, role: &str, serves: bool| StoreServer {
        pod,
        role: role.to_owned(),
        shard: None,
        slots: None,
        state: if serves { "Serving" } else { "NotServing" }.to_owned(),
    };
    let replicas = view.at.replicas.iter();
    let replicas = replicas.map(|(index, at)| one(Identity::replica(id, *index), "Replica", at.is_some()));
    std::iter::once(one(id.clone(), "Primary", view.at.serves)).chain(replicas).collect()
}
