//! Words that the rooms of stores share.

use super::{auth::Passwords, rotation, volumes::Kept};
use crate::{conditions::Verdict, secrets::Lack, tiers::app::trouble::Trouble};
use crds::{status::Reason, tiers::in_cluster::DeletionPolicy};

/// Of a store whose servers were as wished before that changed.
pub const CHANGED: &str = "what is wished has changed, and its servers have not been looked at since";

/// What becomes of the data when the resource, or its namespace, is deleted.
pub fn deletion(policy: DeletionPolicy, volumes: &Kept) -> String {
    if policy == DeletionPolicy::Delete {
        return "volumes and passwords are deleted with the resource".to_owned();
    }
    let stay = "volumes and passwords stay when the resource is deleted, and are found again when it is applied again";
    match volumes {
        Kept::Unknown => stay.to_owned(),
        Kept::Yes => format!(
            "{stay}; the volumes stay when the namespace is deleted, too, and are found again from one of the same name, with new \
             passwords"
        ),
        Kept::No(why) => format!("{stay}; deleting the namespace deletes the data, because {why}"),
    }
}

/// Since when the apps are given the present password.
pub fn changed(passwords: &Result<Passwords, Lack>) -> Option<String> {
    passwords.as_ref().ok()?.text(rotation::CHANGED).map(str::to_owned)
}

/// What load made of the size of a store, and what another size waits for.
pub fn scaling(changed: Option<String>, waits: Option<String>) -> Option<String> {
    match (changed, waits) {
        (Some(changed), Some(waits)) => Some(format!("{changed}; {waits}")),
        (changed, waits) => changed.or(waits),
    }
}

/// The reason of a condition by its name; one that conditions do not have means that work is under way.
pub fn reason(name: &str) -> Reason {
    if name == "Refused" {
        return Reason::CredentialsRefused;
    }
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == name).unwrap_or(Reason::Progressing)
}

/// A count as the resource has it.
pub fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A verdict on servers that do not answer, with what keeps their pods from running.
pub fn with_troubles(mut verdict: Verdict, troubles: &[Trouble]) -> Verdict {
    if let Some(trouble) = troubles.first() {
        // What the servers' own words say is the cause of what Kubernetes sees.
        if verdict.reason == Reason::Progressing {
            verdict.reason = trouble.reason;
        }
        verdict.message = format!("{}; {}", verdict.message, trouble.message);
    }
    verdict
}
