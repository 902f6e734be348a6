//! The stores that the app is wired to, as a correct client uses them.

pub mod cache;
pub mod database;
pub mod retry;
pub mod settings;

use cache::Cache;
use database::Database;
use retry::{Counts, StoreError};
use settings::Settings;

/// What a store is called in metrics and ledgers: PostgreSQL.
pub const POSTGRES: &str = "postgres";

/// What a store is called in metrics and ledgers: Redis or Valkey.
pub const REDIS: &str = "redis";

/// The stores that are wired.
#[derive(Debug, Default)]
pub struct Stores {
    /// The database.
    pub database: Option<Database>,
    /// The cache.
    pub cache: Option<Cache>,
}

impl Stores {
    /// The stores of the settings; `counts` gives the counters of a store by its name. Connects to nothing yet.
    ///
    /// # Errors
    /// Where a client cannot be made of its settings.
    pub fn new(settings: &Settings, mut counts: impl FnMut(&'static str) -> Counts) -> Result<Self, StoreError> {
        let database = settings.database.as_ref().map(|s| Database::new(s, counts(POSTGRES))).transpose()?;
        let cache = settings.cache.as_ref().map(|s| Cache::new(s, counts(REDIS))).transpose()?;
        Ok(Self { database, cache })
    }

    /// The same connections, for what is not counted: probes and preparations.
    #[must_use]
    pub fn uncounted(&self) -> Self {
        let (database, cache) = (self.database.as_ref(), self.cache.as_ref());
        Self { database: database.map(Database::uncounted), cache: cache.map(Cache::uncounted) }
    }

    /// Whether none is wired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.database.is_none() && self.cache.is_none()
    }
}
