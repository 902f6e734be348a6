//! What both kinds of servers say of themselves.

use super::session::Session;
use crate::{
    OLDEST_MAJOR,
    config::Limits,
    error::Error,
    seen::{Collation, ConfigSeen, Settings},
};
use std::collections::BTreeSet;

/// Asks a server.
pub(super) async fn observe(session: &Session) -> Result<Settings, Error> {
    let row = session
        .row(
            "ask who it is",
            "SELECT s.system_identifier::text, c.timeline_id::int8, current_setting('server_version_num')::int8,
               pg_is_in_recovery(), nullif(current_setting('lp.config', true), ''), nullif(current_setting('lp.setup', true), '')
             FROM pg_control_system() s, pg_control_checkpoint() c",
        )
        .await?;
    let version = u32::try_from(row.get::<_, i64>(2)).unwrap_or_default();
    if version / 10_000 < OLDEST_MAJOR {
        return Err(Error::TooOld { address: session.address, major: version / 10_000 });
    }
    // Reading the files marks what in them needs a restart in this session, which the settings then show: in this order.
    let files = session
        .rows(
            "read the configuration files",
            "SELECT name, setting, error IS NOT NULL FROM pg_file_settings ORDER BY seqno",
            &[],
        )
        .await?;
    let settings = session
        .rows(
            "read the settings",
            "SELECT name, setting, pending_restart FROM pg_settings WHERE pending_restart OR name = ANY($1)",
            &[&Limits::NAMES.as_slice()],
        )
        .await?;
    let mut limits = Limits::default();
    let mut pending = BTreeSet::new();
    for setting in &settings {
        let name: String = setting.get(0);
        limits.set(&name, setting.get::<_, Option<String>>(1).and_then(|value| value.parse().ok()).unwrap_or_default());
        if setting.get(2) {
            pending.insert(name);
        }
    }
    let mut config = ConfigSeen { loaded: row.get(4), setup: row.get(5), limits, ..ConfigSeen::default() };
    for line in &files {
        let (name, value): (Option<String>, Option<String>) = (line.get(0), line.get(1));
        match (name, value) {
            (None, _) => config.errors.push("a line that cannot be read".to_owned()),
            // What only needs a restart is told as an error too.
            (Some(name), _) if line.get(2) && !pending.contains(&name) => config.errors.push(name),
            (Some(name), value) if name == "lp.config" => config.file = value,
            // The last line of a name counts.
            (Some(name), Some(value)) => {
                if let Ok(value) = value.parse() {
                    config.limits.set(&name, value);
                }
            }
            _ => {}
        }
    }
    let collations = session
        .rows(
            "compare the versions of collations",
            "SELECT datname::text, datcollversion, coalesce(pg_database_collation_actual_version(oid), '') FROM pg_database
             WHERE datallowconn AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)
               AND datcollversion IS NOT NULL",
            &[],
        )
        .await?;
    let collation =
        |row: &tokio_postgres::Row| Collation { database: row.get(0), recorded: row.get(1), actual: row.get(2) };
    pending.retain(|name| !Limits::NAMES.contains(&name.as_str()));
    Ok(Settings {
        system_identifier: row.get(0),
        timeline: u32::try_from(row.get::<_, i64>(1)).unwrap_or_default(),
        version,
        in_recovery: row.get(3),
        limits,
        pending_restart: pending,
        config,
        collations: collations.iter().map(collation).collect(),
        certificate_ends: session.certificate_ends,
    })
}
