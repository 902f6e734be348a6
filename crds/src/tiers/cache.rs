//! `spec.caches[]`: Redis and Valkey servers that apps use.

use super::endpoint::{LoginSecret, StoreTls};
use crate::schema;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// One cache. Exactly one provider says where it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.external)").message(
    "caches[]: say where the cache runs: set external"
))]
pub struct Cache {
    /// Name of the cache, unique among the platform's apps, caches and databases.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// A server that somebody else runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalCache>,
}

/// A Redis or Valkey server that somebody else runs: the operator hands its address and credentials to the apps that use
/// it, and changes nothing on it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ExternalCache {
    /// Host, or `host:port`; port 6379 by default. An IPv6 address is written in brackets.
    #[schemars(schema_with = "schema::address")]
    pub address: String,

    /// Its credentials. Without it the server asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<LoginSecret>,

    /// Set (`{}` is enough) where the server speaks TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,
}
