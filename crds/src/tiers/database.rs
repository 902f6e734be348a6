//! `spec.databases[]`: PostgreSQL servers that apps use.

use super::endpoint::{LoginSecret, StoreTls};
use crate::schema;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One database. Exactly one provider says where it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.external)").message(
    "databases[]: say where the database runs: set external"
))]
pub struct Database {
    /// Name of the database item, unique among the platform's apps, caches and databases.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Most connections that the platform's apps may open to each server of it, together: the server's
    /// `max_connections` without what it keeps for itself. Each app that uses the database must then say its `pool.max`,
    /// and a platform whose apps could open more is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connection_budget: Option<i32>,

    /// A server that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

/// A PostgreSQL server that somebody else runs: the operator hands its addresses and credentials to the apps that use it,
/// and changes nothing on it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Host, or `host:port`, of the primary; port 5432 by default. An IPv6 address is written in brackets.
    #[schemars(schema_with = "schema::address")]
    pub address: String,

    /// Addresses of read replicas, in the order of the numbered variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::addresses")]
    pub replicas: Vec<String>,

    /// Name of the database on the server.
    #[schemars(length(min = 1, max = 63))]
    pub database: String,

    /// User name and password.
    pub secret: LoginSecret,

    /// Set (`{}` is enough) where the server speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}
