//! `databases[].inCluster.pooler`: PgBouncer between the apps and a primary.

use super::in_cluster::StorePods;
use crate::schema;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Logins of a database's apps that have connections of their own: two while the password changes.
pub const LOGINS: i32 = 2;
/// Connections by which one pod of the pooler looks up verifiers.
pub const LOOKUPS: i32 = 2;
/// Pods where the spec says nothing (P).
pub const REPLICAS: i32 = 2;
/// Connections of one pod and login where the spec says nothing (P): with the other defaults they fit into PostgreSQL's
/// `max_connections` of 100.
pub const POOL_SIZE: i32 = 10;
/// Connections of clients to one pod where the spec says nothing (P).
pub const CLIENT_CONNECTIONS: i32 = 1000;

/// PgBouncer (1.23 or newer) between the apps and the primary: many connections of clients share few of the server. `DATABASE_URL` and the
/// other variables of the primary lead to it; `DIRECT_URL` leads to the primary itself, for migrations, `LISTEN`, advisory
/// locks and whatever else outlives a transaction. Read replicas are asked directly. Where there is none to be asked, what leads to
/// replicas leads to the pooler. To add it or to take it away replaces the apps' pods once, and restarts no server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(allowed_parameters()).message(
    "pooler.parameters: one of them is the operator's own, or not known to be harmless: take those that REFERENCE.md lists, and set mode, defaultPoolSize and maxClientConnections by their fields"
))]
pub struct Pooler {
    /// Pods for each primary. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 16))]
    pub replicas: Option<i32>,

    /// When a connection of the server goes on to the next client. Default `Transaction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PoolerMode>,

    /// Connections that each pod opens to the primary for one login, at most. While the password changes there are two logins, and
    /// during a rollout there is one pod more: together they open at most (`replicas` + 1) x (2 x `defaultPoolSize` + 2). Default 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub default_pool_size: Option<i32>,

    /// Most connections of clients to each pod. One pod must be able to take them all: a platform whose apps could open more
    /// is refused. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_client_connections: Option<i32>,

    /// Image of PgBouncer. Default `ghcr.io/cloudnative-pg/pgbouncer:1.26.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,

    /// The pods.
    #[serde(flatten)]
    pub pods: StorePods,

    /// Further settings by their names in `pgbouncer.ini`: `application_name_add_host`, `client_idle_timeout`,
    /// `client_login_timeout`, `idle_transaction_timeout`, `ignore_startup_parameters` (JDBC needs `extra_float_digits`),
    /// `log_connections`, `log_disconnections`, `log_pooler_errors`, `log_stats`, `max_packet_size`,
    /// `max_prepared_statements`, `min_pool_size`, `pkt_buf`, `query_timeout`, `query_wait_notify`, `query_wait_timeout`,
    /// `server_check_delay`, `server_check_query`, `server_connect_timeout`, `server_idle_timeout`, `server_lifetime`,
    /// `server_login_retry`, `server_reset_query`, `server_round_robin`, `stats_period`, `tcp_keepalive`, `tcp_keepcnt`,
    /// `tcp_keepidle`, `tcp_keepintvl`, `tcp_user_timeout`, `track_extra_parameters`, `transaction_timeout`, `verbose`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,
}

/// When a connection of the server goes on to the next client.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum PoolerMode {
    /// After each transaction. Prepared statements of the protocol work; what else belongs to a session (`SET`, `LISTEN`,
    /// advisory locks, temporary tables, SQL's `PREPARE`) needs `DIRECT_URL`.
    #[default]
    Transaction,
    /// When the client leaves: everything works, and each client holds a connection as long as it is there.
    Session,
}

/// The settings that the user may make. None of them moves an address, a limit that is counted, or who may log in.
pub const PARAMETERS: [&str; 33] = [
    "application_name_add_host",
    "client_idle_timeout",
    "client_login_timeout",
    "idle_transaction_timeout",
    "ignore_startup_parameters",
    "log_connections",
    "log_disconnections",
    "log_pooler_errors",
    "log_stats",
    "max_packet_size",
    "max_prepared_statements",
    "min_pool_size",
    "pkt_buf",
    "query_timeout",
    "query_wait_notify",
    "query_wait_timeout",
    "server_check_delay",
    "server_check_query",
    "server_connect_timeout",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_round_robin",
    "stats_period",
    "tcp_keepalive",
    "tcp_keepcnt",
    "tcp_keepidle",
    "tcp_keepintvl",
    "tcp_user_timeout",
    "track_extra_parameters",
    "transaction_timeout",
    "verbose",
];

fn allowed_parameters() -> String {
    format!("!has(self.parameters) || self.parameters.all(name, name in ['{}'])", PARAMETERS.join("', '"))
}

impl Pooler {
    /// Pods for each primary.
    pub fn pods(&self) -> u32 {
        count(self.replicas.unwrap_or(REPLICAS))
    }

    /// Connections of each pod and login to the primary, at most.
    pub fn pool_size(&self) -> u32 {
        count(self.default_pool_size.unwrap_or(POOL_SIZE))
    }

    /// Connections of clients that each pod takes.
    pub fn client_connections(&self) -> u32 {
        count(self.max_client_connections.unwrap_or(CLIENT_CONNECTIONS))
    }

    /// Connections of each pod to the primary, at most: of all logins, and to look them up.
    pub fn server_connections(&self) -> u32 {
        count(LOGINS) * self.pool_size() + count(LOOKUPS)
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}
