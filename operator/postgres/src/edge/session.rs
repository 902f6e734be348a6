//! One connection, with time limits.

use crate::{
    error::Error,
    model::{Password, Pod},
};
use std::{net::SocketAddr, time::Duration};
use tls::{Certificate, Trust};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, Connection, NoTls, Row, Socket, config::SslMode, tls::TlsStream, types::ToSql};

/// The longest that connecting, or one statement, may take.
pub(super) const LIMIT: Duration = Duration::from_secs(3);
/// The operator's own database.
pub(super) const HOME: &str = "postgres";

/// How the operator logs in.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Its password.
    pub password: &'a Password,
    /// Whom to trust where servers speak TLS.
    pub trust: Option<&'a Trust>,
}

/// Where a server listens, and whom to trust there.
#[derive(Clone, Copy)]
pub(super) struct Endpoint<'a> {
    address: SocketAddr,
    trust: Option<&'a Trust>,
}

impl<'a> Endpoint<'a> {
    /// Of a server that is no pod.
    pub(super) fn at(address: SocketAddr, trust: Option<&'a Trust>) -> Self {
        Self { address, trust }
    }

    /// Of a pod; none before it has an address.
    pub(super) fn of(pod: &Pod, trust: Option<&'a Trust>) -> Option<Self> {
        Some(Self { address: SocketAddr::new(pod.address?, pod.port), trust: trust.filter(|_| pod.tls) })
    }
}

/// A connection. It is ended politely when this is dropped, by the task that serves it.
pub(super) struct Session {
    client: Client,
    limit: Duration,
    pub(super) address: SocketAddr,
    /// Until when the server's certificate is valid, in seconds since 1970.
    pub(super) certificate_ends: Option<i64>,
}

impl Session {
    /// Logs in. `application` is what the server shows of it.
    pub(super) async fn open(
        Endpoint { address, trust }: Endpoint<'_>,
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
        let late = |_| Error::Timeout { address, limit: LIMIT };
        let failed = |error| Error::of(address, "connect", &error);
        let Some(trust) = trust else {
            let (client, connection) = timeout(LIMIT, config.connect(NoTls)).await.map_err(late)?.map_err(failed)?;
            serve(address, connection);
            return Ok(Self { client, limit: LIMIT, address, certificate_ends: None });
        };
        let connector = trust.connector().map_err(|error| Error::Untrusted { address, problem: error.to_string() })?;
        config.ssl_mode(SslMode::Require).host(&trust.name);
        let connected = timeout(LIMIT, config.connect(connector.clone())).await;
        let (client, connection) = connected.map_err(late)?.map_err(failed)?;
        serve(address, connection);
        let certificate_ends = connector.shown().and_then(Certificate::read).map(|shown| shown.not_after);
        Ok(Self { client, limit: LIMIT, address, certificate_ends })
    }

    /// The operator's connection to its own database.
    pub(super) async fn home(endpoint: Endpoint<'_>, password: &Password) -> Result<Self, Error> {
        Self::open(endpoint, crate::OPERATOR, password, HOME, crate::OPERATOR).await
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

/// Carries what is said on a connection until it ends.
fn serve<T: TlsStream + Unpin + Send + 'static>(address: SocketAddr, connection: Connection<Socket, T>) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "a connection ended");
        }
    });
}
