//! What is asked of the primary.

use super::{
    Ask,
    session::{Endpoint, HOME, Session},
    settings,
};
use crate::{
    Lsn,
    error::Error,
    model::{Database, Login, Other, Password},
    seen::{LoginProbe, PrimarySeen, RoleSeen, Slot, WalSender, WalStatus, Write},
};
use futures::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::timeout;

/// The `application_name` under which a hanging write is found again.
const WRITER: &str = "lp_write";
/// How long a write may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the primary, and writes.
pub(super) async fn observe(endpoint: Endpoint<'_>, ask: &Ask<'_>) -> Result<PrimarySeen, Error> {
    let session = Session::home(endpoint, ask.password).await?;
    let settings = settings::observe(&session).await?;
    if settings.in_recovery {
        return Ok(PrimarySeen { settings, ..PrimarySeen::default() });
    }
    let mut seen = PrimarySeen { settings, ..PrimarySeen::default() };
    // The settings first, the write then, the receivers last: so the write proves what the settings promise, and the
    // receivers are compared with it.
    synchronous(&session, &mut seen).await?;
    seen.write = write(&session, endpoint, ask.password).await?;
    receivers(&session, &mut seen).await?;
    objects(&session, &ask.wish.databases, &ask.wish.logins, &mut seen).await?;
    extensions((endpoint, crate::OPERATOR, ask.password), &ask.wish.databases, &mut seen, &session).await?;
    if ask.logins {
        seen.logins = logins(endpoint, &ask.wish.databases, &ask.wish.logins).await;
    }
    if ask.sizes {
        let sizes = "SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database)::int8
               + (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir())::int8";
        seen.bytes = Some(unsigned(session.row("add up the sizes", sizes).await?.get(0)));
    }
    Ok(seen)
}

/// Where the log ends by now.
pub(super) async fn current(endpoint: Endpoint<'_>, password: &Password) -> Result<Lsn, Error> {
    let session = Session::home(endpoint, password).await?;
    let row = session.row("read the end of the log", "SELECT pg_current_wal_flush_lsn()::text").await?;
    Ok(lsn(row.get(0)).unwrap_or_default())
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn lsn(text: Option<String>) -> Option<Lsn> {
    text.and_then(|text| text.parse().ok())
}

async fn synchronous(session: &Session, seen: &mut PrimarySeen) -> Result<(), Error> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names')";
    let row = session.row("read the durability", sql).await?;
    (seen.synchronous_commit, seen.synchronous_standby_names) = (row.get(0), row.get(1));
    Ok(())
}

/// A small write that changes nothing, acknowledged as an app's would be.
///
/// One that hangs is left hanging, for it cannot be taken back: cancelled, it would count as committed. The next round
/// finds it and does not start another.
async fn write(session: &Session, endpoint: Endpoint<'_>, password: &Password) -> Result<Write, Error> {
    let sql = "SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float8 FROM pg_stat_activity
               WHERE usename = current_user AND application_name = $1 AND state = 'active'";
    let waiting = session.rows("look for a write that hangs", sql, &[&WRITER]).await?;
    let waiting: Option<f64> = waiting.first().and_then(|row| row.get(0));
    if let Some(seconds) = waiting {
        return Ok(Write::Hangs(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()));
    }
    let writer = Session::open(endpoint, crate::OPERATOR, password, HOME, WRITER).await?;
    let written = writer.row("write", "SELECT pg_logical_emit_message(true, 'lp', '')::text");
    match timeout(PATIENCE, written).await {
        Ok(row) => Ok(lsn(row?.get(0)).map_or(Write::Untried, Write::Done)),
        Err(_) => Ok(Write::Hangs(PATIENCE)),
    }
}

async fn receivers(session: &Session, seen: &mut PrimarySeen) -> Result<(), Error> {
    let row = session
        .row(
            "read log and connections",
            "SELECT pg_current_wal_flush_lsn()::text, (SELECT min(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'),
               (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size'),
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
               (SELECT sum(CASE name WHEN 'max_connections' THEN setting::int8 ELSE -setting::int8 END)::int8 FROM pg_settings
                WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections'))",
        )
        .await?;
    seen.current = lsn(row.get(0)).unwrap_or_default();
    let segment: Option<String> = row.get(1);
    seen.oldest = segment.and_then(|name| Lsn::of_segment(&name, unsigned(row.get(2))));
    let count = |at| u32::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    seen.connections = (count(3), count(4));
    let senders = session
        .rows(
            "read the receivers",
            "SELECT application_name, state, flush_lsn::text, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::int8
             FROM pg_stat_replication",
            &[],
        )
        .await?;
    seen.senders = senders
        .iter()
        .map(|row| WalSender {
            name: row.get(0),
            state: row.get::<_, Option<String>>(1).unwrap_or_default(),
            flushed: lsn(row.get(2)),
            lag: row.get::<_, Option<i64>>(3).map(unsigned),
        })
        .collect();
    let slots = session
        .rows(
            "read the slots",
            "SELECT slot_name::text, active, wal_status, restart_lsn IS NULL,
               coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8
             FROM pg_replication_slots WHERE NOT temporary",
            &[],
        )
        .await?;
    seen.slots = slots
        .iter()
        .map(|row| {
            let status = match row.get::<_, Option<&str>>(2) {
                Some("lost") => WalStatus::Lost,
                _ if row.get(3) => WalStatus::Unused,
                _ => WalStatus::Kept,
            };
            Slot { name: row.get(0), active: row.get(1), status, kept: unsigned(row.get(4)) }
        })
        .collect();
    Ok(())
}

/// Databases and roles, of those that are wished.
pub(super) async fn objects(
    session: &Session,
    wished: &[Database],
    logins: &[Login],
    seen: &mut PrimarySeen,
) -> Result<(), Error> {
    // One whose making was cut off is still open to everybody, as new ones are.
    let sql = "SELECT datname::text FROM pg_database WHERE datacl IS NOT NULL";
    let databases = session.rows("list the databases", sql, &[]).await?;
    seen.databases = databases.iter().map(|row| row.get(0)).collect();
    let logins = logins.iter().flat_map(|login| [Some(&login.role), login.other.as_ref().map(|(role, _)| role)]);
    let owners = wished.iter().map(|database| Some(&database.owner));
    let names: Vec<&str> = logins.chain(owners).flatten().map(String::as_str).collect();
    let roles = session
        .rows(
            "list the roles",
            "SELECT rolname::text, rolcanlogin,
               ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
               (SELECT substr(c, 6) FROM unnest(rolconfig) c WHERE c LIKE 'role=%'),
               (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)
             FROM pg_roles r WHERE rolname = ANY($1)",
            &[&names],
        )
        .await?;
    for row in &roles {
        let role = RoleSeen {
            login: row.get(1),
            member_of: row.get::<_, Vec<String>>(2).into_iter().collect(),
            becomes: row.get::<_, Option<String>>(3),
            sessions: u32::try_from(row.get::<_, i64>(4)).unwrap_or_default(),
        };
        seen.roles.insert(row.get(0), role);
    }
    Ok(())
}

/// Extensions that there could be, and those that there are.
pub(super) async fn extensions(
    (endpoint, user, password): (Endpoint<'_>, &str, &Password),
    databases: &[Database],
    seen: &mut PrimarySeen,
    session: &Session,
) -> Result<(), Error> {
    let wished: Vec<&str> = databases.iter().flat_map(|database| &database.extensions).map(String::as_str).collect();
    if wished.is_empty() {
        return Ok(());
    }
    let sql = "SELECT name::text FROM pg_available_extensions WHERE name = ANY($1)";
    let available = session.rows("list the image's extensions", sql, &[&wished]).await?;
    seen.available = available.iter().map(|row| row.get(0)).collect();
    for database in databases.iter().filter(|database| !database.extensions.is_empty()) {
        if !seen.databases.contains(&database.name) {
            continue;
        }
        let there = Session::open(endpoint, user, password, &database.name, crate::OPERATOR).await?;
        let rows = there.rows("list the extensions", "SELECT extname::text FROM pg_extension", &[]).await?;
        seen.extensions.insert(database.name.clone(), rows.iter().map(|row| row.get(0)).collect::<BTreeSet<_>>());
    }
    Ok(())
}

/// Logs in with each password that is wished, and does nothing else.
pub(super) async fn logins(
    endpoint: Endpoint<'_>,
    databases: &[Database],
    logins: &[Login],
) -> BTreeMap<String, LoginProbe> {
    let passwords = logins.iter().flat_map(|login: &Login| {
        let other = match &login.other {
            Some((role, Other::Prepared(password))) => Some((role, password, &login.owner)),
            _ => None,
        };
        [login.password.as_ref().map(|password| (&login.role, password, &login.owner)), other]
    });
    let probes = passwords.flatten().map(|(role, password, owner)| async move {
        let database = databases.iter().find(|database| database.owner == *owner);
        let database = database.map_or(HOME, |database| &database.name);
        let probe = match Session::open(endpoint, role, password, database, "lp_login").await {
            Ok(_) => LoginProbe::Works,
            Err(Error::Login { .. }) => LoginProbe::Refused,
            _ => LoginProbe::Unknown,
        };
        (role.clone(), probe)
    });
    join_all(probes).await.into_iter().collect()
}
