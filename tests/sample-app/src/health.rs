//! Whether the stores do their work: a real write and a real read in each (the Phase 2 guide's health check).

use std::time::Duration;

use redis::Cmd;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;

use crate::stores::Stores;
use crate::stores::cache::Cache;
use crate::stores::database::Database;
use crate::stores::retry::{Patience, StoreError};

/// What a store may take: below the 3 s after which the operator's probes give up. (P)
const LIMIT: Duration = Duration::from_secs(2);

/// One try takes at most half, so that a connection that has gone stale since the last probe is no outage. (P)
const PATIENCE: Patience = Patience { within: LIMIT, each: Duration::from_secs(1) };

/// The key that is written, and the seconds it stays, as in the guide.
const KEY: (&str, u64) = ("health-check", 10);

/// How a store did.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was wrong with it, if anything.
    pub result: Result<(), StoreError>,
    /// What it took.
    pub took: Duration,
}

/// Checks the wired stores, both at once.
pub async fn check(stores: &Stores, instance: i64) -> (Option<Check>, Option<Check>) {
    let database = async {
        match &stores.database {
            Some(database) => Some(timed(postgres(database, instance)).await),
            None => None,
        }
    };
    let cache = async {
        match &stores.cache {
            Some(cache) => Some(timed(redis(cache)).await),
            None => None,
        }
    };
    tokio::join!(database, cache)
}

async fn timed(work: impl Future<Output = Result<(), StoreError>>) -> Check {
    let begun = Instant::now();
    let result = timeout(LIMIT, work).await.unwrap_or_else(|_| Err(StoreError::no_answer(LIMIT)));
    Check { result, took: begun.elapsed() }
}

async fn postgres(database: &Database, instance: i64) -> Result<(), StoreError> {
    database.primary(PATIENCE, "select 1", &[]).await?;
    // Rows of instances that are gone go as well.
    let write = "with gone as (delete from health where at < now() - interval '1 hour' and instance <> $1)
         insert into health values ($1, now()) on conflict (instance) do update set at = excluded.at";
    database.primary(PATIENCE, write, &[(&instance, Type::INT8)]).await?;
    let read = "select at from health where instance = $1";
    let rows = database.primary(PATIENCE, read, &[(&instance, Type::INT8)]).await?;
    if rows.is_empty() { Err(StoreError::Terminal("a row is gone that was just written".to_owned())) } else { Ok(()) }
}

async fn redis(cache: &Cache) -> Result<(), StoreError> {
    let (key, seconds) = KEY;
    cache.ask::<()>(PATIENCE, &Cmd::set_ex(key, jiff::Timestamp::now().to_string(), seconds)).await?;
    match cache.ask::<Option<String>>(PATIENCE, &Cmd::get(key)).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::Terminal(format!("{key} is gone, which was just written"))),
    }
}
