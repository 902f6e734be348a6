//! PostgreSQL: a pool for each server, writes on the primary, reads on the replicas in turn.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use tls::Connector;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, NoTls, Row};

use super::retry::{Counts, Patience, StoreError, persist};
use super::settings::DatabaseSettings;

/// A replica that has not answered by then is passed over: the primary has the row as well. (P)
const REPLICA_LIMIT: Duration = Duration::from_secs(1);

/// A connection without traffic is probed after this time, so that a server that is gone without a word is noticed. (P)
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The parameters of a statement with their types: with these a statement is one round trip and needs nothing prepared, so
/// that it passes a pooler, too.
pub type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// A database, through one pool for each of its servers.
#[derive(Debug)]
pub struct Database {
    primary: Pool,
    replicas: Vec<Pool>,
    turn: AtomicUsize,
    connection_timeout: Duration,
    query_timeout: Duration,
    idle_timeout: Duration,
    counts: Counts,
}

impl Database {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Where no pool can be made.
    pub fn new(settings: &DatabaseSettings, counts: Counts) -> Result<Self, StoreError> {
        let connector = settings.authority.as_deref().map(connector).transpose()?;
        let pool = |config: &Config| pool(config, connector.clone(), settings.max_connections);
        Ok(Self {
            primary: pool(&settings.primary)?,
            replicas: settings.replicas.iter().map(pool).collect::<Result<_, _>>()?,
            turn: AtomicUsize::new(0),
            connection_timeout: settings.connection_timeout,
            query_timeout: settings.query_timeout,
            idle_timeout: settings.idle_timeout,
            counts,
        })
    }

    /// The same pools, for what is not counted.
    #[must_use]
    pub fn uncounted(&self) -> Self {
        Self {
            primary: self.primary.clone(),
            replicas: self.replicas.clone(),
            turn: AtomicUsize::new(0),
            counts: Counts::default(),
            ..*self
        }
    }

    /// Runs a statement on the primary; it must bear being run twice.
    ///
    /// # Errors
    /// What is left after the retries.
    pub async fn primary(
        &self,
        patience: Patience,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        persist(patience, &self.counts, |limit| self.once(&self.primary, limit, statement, parameters)).await
    }

    /// Runs a query on the next replica; on the primary where that one fails or has no such row yet.
    ///
    /// # Errors
    /// What is left after the retries on the primary.
    pub async fn read(
        &self,
        patience: Patience,
        query: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if let Some(replica) = self.replicas.get(turn % self.replicas.len().max(1)) {
            match self.once(replica, REPLICA_LIMIT.min(patience.each), query, parameters).await {
                Ok(rows) if !rows.is_empty() => return Ok(rows),
                Ok(_) => {}
                Err(_) => {
                    self.counts.retries.inc();
                }
            }
        }
        self.primary(patience, query, parameters).await
    }

    /// Closes connections that nobody has used for the idle time.
    pub fn close_idle(&self) {
        for pool in std::iter::once(&self.primary).chain(&self.replicas) {
            pool.retain(|_, metrics| metrics.last_used() < self.idle_timeout);
        }
    }

    async fn once(
        &self,
        pool: &Pool,
        limit: Duration,
        statement: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let begun = Instant::now();
        let for_connection = limit.min(self.connection_timeout);
        let client = match timeout(for_connection, pool.get()).await {
            Ok(client) => client.map_err(of_pool)?,
            Err(_) => return Err(StoreError::no_answer(for_connection)),
        };
        let for_answer = limit.saturating_sub(begun.elapsed()).min(self.query_timeout);
        let error = match timeout(for_answer, client.query_typed(statement, parameters)).await {
            Ok(Ok(rows)) => return Ok(rows),
            Ok(Err(e)) => of_server(&e),
            Err(_) => StoreError::no_answer(limit),
        };
        if matches!(error, StoreError::Retry(_)) {
            // Dropped outside of the pool: nobody gets this connection again.
            drop(Object::take(client));
        }
        Err(error)
    }
}

/// What trusts the authority in a file.
fn connector(authority: &Path) -> Result<Connector, StoreError> {
    let unfit = |e: &dyn fmt::Display| StoreError::Terminal(format!("{}: {e}", authority.display()));
    Connector::new(&std::fs::read(authority).map_err(|e| unfit(&e))?).map_err(|e| unfit(&e))
}

/// The one place where connections are made.
fn pool(config: &Config, connector: Option<Connector>, size: usize) -> Result<Pool, StoreError> {
    let mut config = config.clone();
    config.keepalives_idle(KEEPALIVE);
    if config.get_application_name().is_none() {
        config.application_name(env!("CARGO_PKG_NAME"));
    }
    // What broke while idle is noticed without a round trip before each statement; the rest is what retries are for.
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match connector {
        Some(connector) => Manager::from_config(config, connector, manager),
        None => Manager::from_config(config, NoTls, manager),
    };
    Pool::builder(manager).max_size(size).build().map_err(|e| StoreError::Terminal(e.to_string()))
}

fn of_pool(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(e) => of_server(&e),
        other => StoreError::Terminal(other.to_string()),
    }
}

fn of_server(error: &tokio_postgres::Error) -> StoreError {
    if let Some(e) = error.as_db_error() {
        // Without detail and hint, which may hold values of rows.
        return of_code(e.code().code(), format!("{} ({})", e.message(), e.code().code()));
    }
    let cause = error.source().map(ToString::to_string);
    let text = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    let io = error.source().is_some_and(|cause| cause.is::<std::io::Error>());
    if error.is_closed() || io { StoreError::Retry(text) } else { StoreError::Terminal(text) }
}

/// What an SQLSTATE means for a client (PostgreSQL's appendix A).
fn of_code(code: &str, text: String) -> StoreError {
    match code {
        // The server shuts down or has crashed; a primary that is none any more.
        "57P01" | "57P02" | "25006" => StoreError::Retry(text),
        _ if code.starts_with("08") => StoreError::Retry(text),
        // It starts or has no connection left; the transaction met another one.
        "57P03" | "53300" | "40001" | "40P01" => StoreError::Wait(text),
        _ => StoreError::Terminal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let class = |code| of_code(code, String::new());
        for code in ["57P01", "57P02", "25006", "08006", "08001"] {
            assert!(matches!(class(code), StoreError::Retry(_)), "{code}");
        }
        for code in ["57P03", "53300", "40001", "40P01"] {
            assert!(matches!(class(code), StoreError::Wait(_)), "{code}");
        }
        for code in ["28P01", "3D000", "42P01", "23505", "42501", "57014"] {
            assert!(matches!(class(code), StoreError::Terminal(_)), "{code}");
        }
    }
}
