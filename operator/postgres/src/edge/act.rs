//! Carrying out what was decided. Every act can be repeated.

use super::session::{Access, Endpoint, Session};
use crate::{
    config::{identifier, quoted},
    decide::Act,
    error::Error,
    model::{Password, Pod, Role},
    roles::verifier,
};
use std::time::Duration;

/// Carries out one act on the server that it is about.
///
/// # Errors
/// What the server said, or that it could not be reached. The act may have been done all the same.
pub async fn carry_out(act: &Act, pods: &[Pod], access: Access<'_>) -> Result<(), Error> {
    let role = match act {
        Act::Reload(role) => *role,
        _ => Role::Primary,
    };
    let pod = pods.iter().find(|pod| pod.role == role);
    let endpoint = pod.and_then(|pod| Endpoint::of(pod, access.trust));
    let endpoint = endpoint.ok_or_else(|| Error::NoPod(pod.map_or_else(String::new, |pod| pod.name.clone())))?;
    on(Session::home(endpoint, access.password).await?, act).await
}

/// Carries out one act over a connection to the operator's own database, or to the one that the act names.
pub(super) async fn on(session: Session, act: &Act) -> Result<(), Error> {
    match act {
        Act::CreateSlot { slot } => {
            let sql = "SELECT pg_create_physical_replication_slot($1)
                       WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)";
            session.rows("make a slot", sql, &[slot]).await?;
        }
        Act::DropSlot { slot } => {
            let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active";
            session.rows("drop a slot", sql, &[slot]).await?;
        }
        Act::SetParameters(settings) => {
            for (name, value) in settings {
                let sql = format!("ALTER SYSTEM SET {} = {}", identifier(name), quoted(value));
                session.run("alter the system", &sql).await?;
            }
            session.run("reload", "SELECT pg_reload_conf()").await?;
        }
        Act::Reload(_) => {
            session.run("reload", "SELECT pg_reload_conf()").await?;
        }
        Act::CreateOwner { role } => {
            // The server lets none but members give a database to a role.
            let role = identifier(role);
            let sql = format!("CREATE ROLE {role} NOLOGIN; GRANT {role} TO CURRENT_USER");
            session.run("make an owner", &sql).await?;
        }
        Act::CreateDatabase { name, owner } => {
            // All files of the template are copied.
            let session = session.patient(Duration::from_secs(120)).await?;
            let sql = "SELECT FROM pg_database WHERE datname = $1";
            let known = session.rows("look for a database", sql, &[name]).await?;
            let (name, owner) = (identifier(name), identifier(owner));
            if known.is_empty() {
                session.run("make a database", &format!("CREATE DATABASE {name} OWNER {owner}")).await?;
            }
            session.run("close a database", &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")).await?;
        }
        Act::EnableLogin { role, owner, password } => enable(&session, role, owner, password).await?,
        Act::DisableLogin { role } => {
            let sql = format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", identifier(role));
            session.run("disable a login", &sql).await?;
        }
        Act::CreateExtension { name, .. } => {
            session.run("make an extension", &format!("CREATE EXTENSION IF NOT EXISTS {}", identifier(name))).await?;
        }
    }
    Ok(())
}

/// Role, verifier, membership and what it becomes, all at once. The statement holds a verifier, never the password.
async fn enable(session: &Session, role: &str, owner: &str, password: &Password) -> Result<(), Error> {
    let known = session.rows("look for a role", "SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?;
    let verb = if known.is_empty() { "CREATE" } else { "ALTER" };
    let (role, owner, verifier) = (identifier(role), identifier(owner), quoted(&verifier(password)));
    let sql = format!(
        "{verb} ROLE {role} LOGIN PASSWORD {verifier}; GRANT {owner} TO {role}; ALTER ROLE {role} SET role = {owner}"
    );
    session.run("enable a login", &sql).await?;
    Ok(())
}
