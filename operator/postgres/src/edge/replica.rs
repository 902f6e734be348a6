//! What is asked of a replica.

use super::{
    session::{Endpoint, Session},
    settings,
};
use crate::{
    Lsn,
    error::Error,
    model::Password,
    seen::{FollowerSeen, ReplicaSeen},
};
use std::time::Duration;

/// Asks a replica.
pub(super) async fn observe(endpoint: Endpoint<'_>, password: &Password) -> Result<ReplicaSeen, Error> {
    let session = Session::home(endpoint, password).await?;
    let settings = settings::observe(&session).await?;
    if !settings.in_recovery {
        return Ok(ReplicaSeen { settings, ..ReplicaSeen::default() });
    }
    let FollowerSeen { streaming, lag, busy } = follower(&session).await?;
    let row = session
        .row(
            "ask what it has",
            "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text, pg_last_wal_replay_lsn()::text,
               EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
                 AND wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval')),
               (SELECT max(substr(name, 1, 8)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')",
        )
        .await?;
    let lsn = |at: usize| row.get::<_, Option<String>>(at).and_then(|text| text.parse::<Lsn>().ok());
    // The control file learns of a new timeline with the next restart point only; the segments that are written say it at once.
    let written = row.get::<_, Option<&str>>(3).and_then(|name| u32::from_str_radix(name, 16).ok()).unwrap_or_default();
    let timeline = settings.timeline.max(written);
    let drained = row.get(2);
    Ok(ReplicaSeen { settings, streaming, received: lsn(0), replayed: lsn(1), lag, busy, drained, timeline })
}

/// Asks a replica, whoever keeps it, how far it is behind and how busy it is.
pub(super) async fn follower(session: &Session) -> Result<FollowerSeen, Error> {
    let row = session
        .row(
            "ask how far it is",
            "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
               CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                 ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END::float8,
               (SELECT sum(active_time) / 1000 FROM pg_stat_database WHERE datname <> current_database())::float8",
        )
        .await?;
    let time = |at: usize| {
        row.get::<_, Option<f64>>(at).and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
    };
    Ok(FollowerSeen { streaming: row.get(0), lag: time(1), busy: time(2) })
}
