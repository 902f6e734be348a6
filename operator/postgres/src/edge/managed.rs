//! A server that somebody else keeps, and whose administrator the operator is.

use super::{
    act, primary,
    session::{Endpoint, HOME, Session},
};
use crate::{
    OPERATOR,
    decide::Act,
    error::Error,
    model::{Database, Login, Password},
    seen::PrimarySeen,
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
