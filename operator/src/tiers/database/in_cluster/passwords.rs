//! The passwords of a database in this cluster, and by what its servers know them.

use super::{InCluster, USERNAME};
use crate::tiers::store::{auth::Passwords, exporter};

/// Key in the Secret: the password of the operator's own role.
pub const OPERATOR_PASSWORD: &str = "operatorPassword";
/// Key in the Secret: the password that replicas log in with.
pub const REPLICATION_PASSWORD: &str = "replicationPassword";
/// Key in the Secret: by what the servers know the operator's password.
pub const OPERATOR_VERIFIER: &str = "operatorVerifier";
/// Key in the Secret: by what the servers know the replicas' password.
pub const REPLICATION_VERIFIER: &str = "replicationVerifier";
/// Key in the Secret: the password that the pooler looks up logins with.
pub const POOLER_PASSWORD: &str = "poolerPassword";
/// Key in the Secret: by what the servers know the pooler's password.
pub const POOLER_VERIFIER: &str = "poolerVerifier";
/// Key in the Secret: the file by which the pooler knows its password.
pub const POOLER_USERLIST: &str = "poolerUserlist";
/// Key in the Secret: the password that backups are taken with.
pub const BACKUP_PASSWORD: &str = "backupPassword";
/// Key in the Secret: by what the servers know the password of backups.
pub const BACKUP_VERIFIER: &str = "backupVerifier";
/// Key in the Secret: by what the servers know the exporter's password.
pub const MONITOR_VERIFIER: &str = "monitorVerifier";

/// With the name of the apps' role, and with what the servers know passwords by: those of a Secret that has them stay.
pub(super) fn completed(database: &InCluster, mut passwords: Passwords) -> Passwords {
    let [first, _] = postgres::pair(database.database());
    if passwords.text(USERNAME).is_none() {
        passwords.set(USERNAME, &first);
    }
    if let Some(password) = passwords.text(POOLER_PASSWORD).map(postgres::Password::new) {
        passwords.set(POOLER_USERLIST, &postgres::pooler::userlist(&password));
    }
    for (password, verifier) in [
        (OPERATOR_PASSWORD, OPERATOR_VERIFIER),
        (REPLICATION_PASSWORD, REPLICATION_VERIFIER),
        (POOLER_PASSWORD, POOLER_VERIFIER),
        (BACKUP_PASSWORD, BACKUP_VERIFIER),
    ] {
        let made = passwords.text(password).map(|word| postgres::verifier(&postgres::Password::new(word)));
        if let Some(made) = made.filter(|_| passwords.text(verifier).is_none()) {
            passwords.set(verifier, &made);
        }
    }
    passwords
}

/// With the password of the exporter's role, and with what the servers know it by.
pub(super) fn monitored(database: &InCluster, mut passwords: Passwords) -> Passwords {
    let before = passwords.text(exporter::PASSWORD).map(str::to_owned);
    exporter::password(&mut passwords, database.spec.exporter.is_some());
    match passwords.text(exporter::PASSWORD).map(str::to_owned) {
        None => passwords.clear(MONITOR_VERIFIER),
        Some(word) if before.as_ref() != Some(&word) || passwords.text(MONITOR_VERIFIER).is_none() => {
            let verifier = postgres::verifier(&postgres::Password::new(word));
            passwords.set(MONITOR_VERIFIER, &verifier);
        }
        Some(_) => {}
    }
    passwords
}
