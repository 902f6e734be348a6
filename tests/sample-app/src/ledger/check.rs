//! Reading back every acknowledged record.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use redis::Cmd;
use serde::Serialize;
use tokio_postgres::types::Type;

use super::{Client, Store, file, key};
use crate::stores::cache::Cache;
use crate::stores::database::Database;
use crate::stores::retry::{Counts, Patience, StoreError};
use crate::stores::settings::Settings;

/// Longest time of one try: a query asks for many records. (P)
const EACH: Duration = Duration::from_secs(10);

/// Records that one query asks for. (P)
const AT_ONCE: usize = 1000;

/// Keys that are asked for at the same time. (P)
const IN_FLIGHT: usize = 64;

/// How many of the lost records a report names.
const NAMED: usize = 20;

/// How to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file of acknowledged records.
    pub file: PathBuf,
    /// Lost records of each store that are no failure.
    pub allow_lost: usize,
    /// How long a client tries before the check has failed.
    pub patience: Duration,
    /// The stores; those of them that the file has records of.
    pub stores: Vec<Store>,
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether no store lost more than it was allowed to.
    pub passed: bool,
    /// By store.
    pub stores: Vec<StoreReport>,
}

/// What was found in a store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreReport {
    /// The store.
    pub store: Store,
    /// Records in the file.
    pub acknowledged: usize,
    /// Those of them that the store does not have.
    pub lost: usize,
    /// The first of these.
    pub first_lost: Vec<String>,
}

/// Reads every acknowledged record back, in the database from the primary.
///
/// # Errors
/// Where the file has no record, or a store cannot be asked: that says nothing about losses.
pub async fn check(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let patience = Patience { within: options.patience, each: EACH };
    let mut stores = Vec::new();
    for (store, writers) in file::read(&options.file)? {
        if !options.stores.contains(&store) {
            continue;
        }
        let client = Client::new(store, settings, Counts::default())?;
        let client = client.with_context(|| format!("the file has records of {store}, which is not wired"))?;
        let mut report = StoreReport { store, acknowledged: 0, lost: 0, first_lost: Vec::new() };
        for (writer, numbers) in writers {
            let lost = match &client {
                Client::Postgres(database) => lost_rows(database, patience, &writer, &numbers).await,
                Client::Redis(cache) => lost_keys(cache, patience, &writer, &numbers).await,
            };
            let lost = lost.with_context(|| format!("asking {store}"))?;
            report.acknowledged += numbers.len();
            report.lost += lost.len();
            let room = NAMED.saturating_sub(report.first_lost.len());
            report.first_lost.extend(lost.iter().take(room).map(|number| key(&writer, *number)));
        }
        stores.push(report);
    }
    if stores.is_empty() {
        bail!("{} has no record to check", options.file.display());
    }
    Ok(Report { passed: stores.iter().all(|store| store.lost <= options.allow_lost), stores })
}

async fn lost_rows(
    database: &Database,
    patience: Patience,
    writer: &str,
    numbers: &BTreeSet<u64>,
) -> Result<Vec<u64>, StoreError> {
    let query = "select n from ledger where writer = $1 and n = any($2)";
    let numbers: Vec<_> = numbers.iter().copied().collect();
    let mut lost = Vec::new();
    for some in numbers.chunks(AT_ONCE) {
        let wanted: Vec<i64> = some.iter().map(|number| number.cast_signed()).collect();
        let rows = database.primary(patience, query, &[(&writer, Type::TEXT), (&wanted, Type::INT8_ARRAY)]).await?;
        let found: BTreeSet<u64> = rows.iter().map(|row| row.get::<_, i64>(0).cast_unsigned()).collect();
        lost.extend(some.iter().filter(|number| !found.contains(number)));
    }
    Ok(lost)
}

async fn lost_keys(
    cache: &Cache,
    patience: Patience,
    writer: &str,
    numbers: &BTreeSet<u64>,
) -> Result<Vec<u64>, StoreError> {
    let asked = numbers.iter().map(async |number| {
        let found = cache.ask::<Option<String>>(patience, &Cmd::get(key(writer, *number))).await?;
        Ok((*number, found == Some(number.to_string())))
    });
    let answers: Vec<_> = stream::iter(asked).buffered(IN_FLIGHT).try_collect().await?;
    Ok(answers.into_iter().filter(|(_, found)| !found).map(|(number, _)| number).collect())
}
