//! `apps[].uses`: which caches and databases an app is wired to, and by which environment variables.

use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an app uses. The connection variables come from one Secret, `<platform>-<app>-connections`, which the operator
/// writes; when they change, the app's pods are replaced once, by a rollout. Variables of `env` and `envFrom` win over
/// them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.databases) || self.databases.all(a, self.databases.exists_one(b, (has(a.prefix) ? a.prefix : '') == (has(b.prefix) ? b.prefix : '')))").message(
    "uses.databases: two of them would set the same variables: give each but one a prefix of its own, such as REPORTS_"
))]
#[x_kube(validation = Rule::new("!has(self.caches) || self.caches.all(a, self.caches.exists_one(b, (has(a.prefix) ? a.prefix : '') == (has(b.prefix) ? b.prefix : '')))").message(
    "uses.caches: two of them would set the same variables: give each but one a prefix of its own, such as LIMITS_"
))]
pub struct Uses {
    /// Databases, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub databases: Vec<UsedDatabase>,

    /// Caches, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub caches: Vec<UsedCache>,
}

impl Uses {
    /// Names of the items that are used.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().map(|used| used.name.as_str()).chain(self.caches.iter().map(|used| used.name.as_str()))
    }
}

/// A database that an app uses. The variables: `DATABASE_URL` and `DATABASE_PRIMARY_URL` (the primary, by way of its pooler
/// where it has one), `DIRECT_URL` (always the primary itself, for migrations, `LISTEN` and advisory locks), `DATABASE_REPLICA_1_URL` and so on, `READ_REPLICA_URL` (any replica of a database in the cluster, the first one of
/// another; the primary where there is none), `DATABASE_SHARD_0_URL` and so on with `DATABASE_SHARD_COUNT` where there are
/// shards, and `DIRECT_SHARD_0_URL` and so on beside a pooler (the other variables speak of the first one), in the style `Parts` also `DB_HOST`, `DB_PORT`, beside a pooler `DB_DIRECT_HOST` and `DB_DIRECT_PORT`, `DB_NAME`, `DB_USER`, `DB_PASSWORD`, `DB_SSLMODE`, `DB_SSLROOTCERT`; of the
/// pool `DB_MIN_CONNECTIONS`, `DB_MAX_CONNECTIONS`, and in milliseconds `DB_CONNECTION_TIMEOUT`, `DB_QUERY_TIMEOUT`,
/// `DB_IDLE_TIMEOUT`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct UsedDatabase {
    /// Name of an item of `spec.databases`.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,

    /// The connections that each pod keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,

    /// What its variables are called.
    #[serde(flatten)]
    pub variables: Variables,
}

/// A cache that an app uses. The variables: `REDIS_URL`, `REDIS_CLUSTER` (`true` where the keys are spread over shards, so
/// that the client must be cluster-aware), and in the style `Parts` `REDIS_HOST`, `REDIS_PORT`,
/// `REDIS_USERNAME`, `REDIS_PASSWORD`, `REDIS_TLS` (`true` or `false`), `REDIS_CA_FILE`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct UsedCache {
    /// Name of an item of `spec.caches`.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,

    /// What its variables are called.
    #[serde(flatten)]
    pub variables: Variables,
}

/// Which variables of a store an app reads, and what they are called.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Variables {
    /// Which variables the app reads. Default `All`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,

    /// Put before each variable's name: `REPORTS_` makes `REPORTS_DATABASE_URL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub prefix: Option<String>,

    /// Other names for single variables, by their name without prefix: `{DATABASE_URL: POSTGRES_DSN}`. The other name is
    /// used as written, without the prefix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::variable_names")]
    pub names: BTreeMap<String, String>,
}

/// Which connection variables an app reads.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Style {
    /// Both.
    All,
    /// URLs only.
    Url,
    /// Host, port and the rest, one variable each.
    Parts,
}

/// The connections that each pod keeps to a database.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max").message(
    "pool.min must not be above pool.max: lower min or raise max"
))]
pub struct Pool {
    /// Connections that one pool keeps open when idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub min: Option<i32>,

    /// Most connections that one pool opens to a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub max: Option<i32>,

    /// Most connections that each pod opens beside the pooler, by `DIRECT_URL`: `LISTEN`, say. They count against the database's
    /// `connectionBudget` where it has a pooler, of a job's pod as of the app's. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10000))]
    pub max_direct: Option<i32>,

    /// Pools in each pod: its worker processes, times the pools that each of them makes. They count against the
    /// database's `connectionBudget`. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub pools_per_pod: Option<i32>,

    /// How long to wait for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub connection_timeout: Option<Duration>,

    /// How long a query may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub query_timeout: Option<Duration>,

    /// After how long an idle connection is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub idle_timeout: Option<Duration>,
}
