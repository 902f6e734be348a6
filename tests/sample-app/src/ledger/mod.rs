//! The ledger: writes numbered records to both stores, keeps a file of every acknowledged one, and reads them back later.
//!
//! A record is *acknowledged* once the store has said that it has it; only then it is in the file. A record without an
//! acknowledgement after all retries is unknown: the store may have it or not, and neither is a loss.

pub mod check;
pub mod command;
pub mod figures;
pub mod file;
pub mod write;

use std::fmt;

use clap::ValueEnum;
use redis::Cmd;
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::stores::cache::Cache;
use crate::stores::database::Database;
use crate::stores::retry::{Counts, Patience, StoreError};
use crate::stores::settings::Settings;
use crate::stores::{POSTGRES, REDIS};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// The database.
    Postgres,
    /// The cache.
    Redis,
}

impl Store {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => POSTGRES,
            Self::Redis => REDIS,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A client of one store that keeps records.
#[derive(Debug)]
enum Client {
    Postgres(Database),
    Redis(Cache),
}

/// The key of a record in Redis: the numbers spread over all slots.
fn key(writer: &str, number: u64) -> String {
    format!("ledger:{writer}:{number}")
}

impl Client {
    /// A client of the store, where the settings wire it. The settings' pool is for all that use this client.
    fn new(store: Store, settings: &Settings, counts: Counts) -> Result<Option<Self>, StoreError> {
        let client = match store {
            Store::Postgres => {
                settings.database.as_ref().map(|s| Database::new(s, counts)).transpose()?.map(Self::Postgres)
            }
            Store::Redis => settings.cache.as_ref().map(|s| Cache::new(s, counts)).transpose()?.map(Self::Redis),
        };
        Ok(client)
    }

    /// Makes ready for records.
    async fn prepare(&self, patience: Patience) -> Result<(), StoreError> {
        match self {
            Self::Postgres(database) => {
                let table = "create table if not exists ledger (writer text, n bigint, at timestamptz not null,
                     primary key (writer, n))";
                database.primary(patience, table, &[]).await.map(drop)
            }
            Self::Redis(cache) => cache.ask::<Option<String>>(patience, &Cmd::get(key("none", 0))).await.map(drop),
        }
    }

    /// Writes a record; an answer is the acknowledgement.
    async fn write(&self, patience: Patience, writer: &str, number: u64) -> Result<(), StoreError> {
        match self {
            Self::Postgres(database) => {
                // A second try writes even where the first one has: a statement that changes nothing is acknowledged
                // without waiting for any replica.
                let insert = "insert into ledger (writer, n, at) values ($1, $2, now())
                     on conflict (writer, n) do update set at = excluded.at";
                let number = number.cast_signed();
                database.primary(patience, insert, &[(&writer, Type::TEXT), (&number, Type::INT8)]).await.map(drop)
            }
            Self::Redis(cache) => cache.ask::<()>(patience, &Cmd::set(key(writer, number), number)).await,
        }
    }

    /// Reads a record as the app reads: in the database from a replica, if there is one.
    async fn read(&self, patience: Patience, writer: &str, number: u64) -> Result<(), StoreError> {
        match self {
            Self::Postgres(database) => {
                let query = "select at from ledger where writer = $1 and n = $2";
                let number = number.cast_signed();
                database.read(patience, query, &[(&writer, Type::TEXT), (&number, Type::INT8)]).await.map(drop)
            }
            Self::Redis(cache) => cache.ask::<Option<String>>(patience, &Cmd::get(key(writer, number))).await.map(drop),
        }
    }
}
