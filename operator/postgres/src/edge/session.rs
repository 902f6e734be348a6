//! One connection, with time limits.

use crate::{error::Error, model::Password};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Row, types::ToSql};

/// The longest that connecting, or one statement, may take.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// The operator's own database.
pub(super) const HOME: &str = "postgres";

/// A connection. It is ended politely when this is dropped, by the task that serves it.
pub(super) struct Session {
    client: Client,
    limit: Duration,
    pub(super) address: SocketAddr,
}

impl Session {
    /// Logs in. `application` is what the server shows of it.
    pub(super) async fn open(
        address: SocketAddr,
        user: &str,
        password: &Password,
        database: &str,
        application: &str,
    ) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .hostaddr(address.ip())
            .port(address.port())
            .user(user)
            .password(password.reveal())
            .dbname(database)
            .application_name(application)
            .connect_timeout(LIMIT)
            .tcp_user_timeout(LIMIT * 3)
            // Nothing of another schema is ever run in place of the server's own.
            .options(format!("-c search_path=pg_catalog -c statement_timeout={}", LIMIT.as_millis()));
        let connected = timeout(LIMIT, config.connect(NoTls)).await;
        let (client, connection) = connected
            .map_err(|_| Error::Timeout { address, limit: LIMIT })?
            .map_err(|error| Error::of(address, "connect", &error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection ended");
            }
        });
        Ok(Self { client, limit: LIMIT, address })
    }

    /// The operator's connection to its own database.
    pub(super) async fn home(address: SocketAddr, password: &Password) -> Result<Self, Error> {
        Self::open(address, crate::OPERATOR, password, HOME, crate::OPERATOR).await
    }

    /// The same connection, for statements that take up to `limit`.
    pub(super) async fn patient(mut self, limit: Duration) -> Result<Self, Error> {
        self.run("set a time limit", &format!("SET statement_timeout = {}", limit.as_millis())).await?;
        self.limit = limit;
        Ok(self)
    }

    /// Rows of a statement.
    pub(super) async fn rows(
        &self,
        what: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.limited(what, self.client.query(sql, parameters)).await
    }

    /// The one row of a statement.
    pub(super) async fn row(&self, what: &'static str, sql: &str) -> Result<Row, Error> {
        self.limited(what, self.client.query_one(sql, &[])).await
    }

    /// Statements without parameters, in one transaction where there are several.
    pub(super) async fn run(&self, what: &'static str, sql: &str) -> Result<(), Error> {
        self.limited(what, self.client.batch_execute(sql)).await
    }

    async fn limited<T>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        timeout(self.limit + Duration::from_secs(1), answer)
            .await
            .map_err(|_| Error::Timeout { address: self.address, limit: self.limit })?
            .map_err(|error| Error::of(self.address, what, &error))
    }
}
