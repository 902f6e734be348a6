//! A server that somebody else keeps, and whose administrator the operator is.

use super::{
    act, primary, replica,
    session::{Endpoint, HOME, Session},
};
use crate::{
    OPERATOR,
    decide::Act,
    error::Error,
    model::{Database, Login, Password},
    seen::{FollowerSeen, LoadSeen, PrimarySeen},
};
use std::net::SocketAddr;
use tls::Trust;

/// The administrator's way to a server.
#[derive(Clone, Copy, Debug)]
pub struct Administrator<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// As whom.
    pub user: &'a str,
    /// The password.
    pub password: &'a Password,
    /// Whom to trust; without it the connection is not encrypted.
    pub trust: Option<&'a Trust>,
}

impl Administrator<'_> {
    async fn open(&self, database: &str) -> Result<Session, Error> {
        let endpoint = Endpoint::at(self.address, self.trust);
        Session::open(endpoint, self.user, self.password, database, OPERATOR).await
    }

    /// Looks at what is wished of databases and logins. Takes up to about ten seconds where the server hangs.
    ///
    /// # Errors
    /// What the server said, or that it could not be reached.
    pub async fn observe(&self, databases: &[Database], logins: &[Login]) -> Result<PrimarySeen, Error> {
        let session = self.open(HOME).await?;
        let endpoint = Endpoint::at(self.address, self.trust);
        let mut seen = PrimarySeen::default();
        seen.settings.certificate_ends = session.certificate_ends;
        primary::objects(&session, databases, logins, &mut seen).await?;
        primary::extensions((endpoint, self.user, self.password), databases, &mut seen, &session).await?;
        seen.logins = primary::logins(endpoint, databases, logins).await;
        Ok(seen)
    }

    /// How much the primary has to do.
    ///
    /// # Errors
    /// As of [`Self::observe`].
    pub async fn load(&self) -> Result<LoadSeen, Error> {
        let session = self.open(HOME).await?;
        let row = session
            .row(
                "read connections and receivers",
                "SELECT NOT pg_is_in_recovery(), current_setting('server_version_num')::int8,
                   (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
                   (SELECT sum(CASE name WHEN 'max_connections' THEN setting::int8 ELSE -setting::int8 END)::int8 FROM pg_settings
                    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections',
                      'rds.rds_superuser_reserved_connections')),
                   greatest(current_setting('max_wal_senders')::int8 - (SELECT count(*) FROM pg_stat_replication), 0)",
            )
            .await?;
        let count = |at: usize| u32::try_from(row.get::<_, Option<i64>>(at).unwrap_or_default()).unwrap_or_default();
        Ok(LoadSeen {
            accepts_writes: row.get(0),
            major: count(1) / 10_000,
            connections: (count(2), count(3)),
            senders_left: count(4),
            certificate_ends: session.certificate_ends,
        })
    }

    /// How far a replica is, and how busy.
    ///
    /// # Errors
    /// As of [`Self::observe`].
    pub async fn follower(&self) -> Result<FollowerSeen, Error> {
        replica::follower(&self.open(HOME).await?).await
    }

    /// Carries out one act.
    ///
    /// # Errors
    /// As of [`crate::carry_out`].
    pub async fn carry_out(&self, act: &Act) -> Result<(), Error> {
        let database = match act {
            Act::CreateExtension { database, .. } => database,
            _ => HOME,
        };
        act::on(self.open(database).await?, act).await
    }
}
