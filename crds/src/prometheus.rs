//! Where scaling reads its figures from.

use crate::{SecretKey, schema};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The servers that answer PromQL for this platform.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) || !has(self.headers)").message(
    "spec.prometheus.headers go to a server that the resource names: set url beside them, because the operator's default server is asked with the operator's own credentials"
))]
#[x_kube(validation = Rule::new("!has(self.servers) || self.servers.all(s, s.name != 'default')").message(
    "spec.prometheus.servers[].name: 'default' means the server of spec.prometheus itself: choose another name"
))]
pub struct Prometheus {
    /// The default server.
    #[serde(flatten)]
    pub server: Server,

    /// Further servers that an app's signal may name, a map by `name`; a central Thanos or Mimir beside the local
    /// Prometheus, for instance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub servers: Vec<NamedServer>,
}

/// A further server under a name.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url)").message(
    "spec.prometheus.servers[].url is missing: name the address of this server, such as http://thanos-query.monitoring:9090"
))]
pub struct NamedServer {
    /// The name that `server` fields of signals refer to.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Its address and how to talk to it.
    #[serde(flatten)]
    pub server: Server,
}

/// One server, and how to talk to it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Base address, `http` or `https`, with a path prefix where the server has one:
    /// `http://prometheus.monitoring:9090`. Without it the operator's default server is used, with the operator's
    /// credentials. The operator's settings say which addresses a resource may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$"))]
    pub url: Option<String>,

    /// How often this server scrapes the apps, a Go duration. Query ranges (four times it for lowering, twice for
    /// raising) and the age at which a sample is stale (three times it) derive from it. Default `15s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('10m')").message(
        "scrapeInterval must be between 1s and 10m: write the scrape_interval of the Prometheus job"
    ))]
    pub scrape_interval: Option<Duration>,

    /// Label matchers added to every default query, such as `{cluster: eu-1}` where one server holds many clusters
    /// or replicas double each series. A user's own full expressions are not touched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))").message(
        "matchers: label names are letters, digits and '_', not starting with a digit: correct the name"
    ))]
    #[schemars(schema_with = "schema::short_strings")]
    pub matchers: BTreeMap<String, String>,

    /// HTTP headers sent with every query to `url`, such as `{X-Scope-OrgID: school-7}` for a tenant. Not for
    /// credentials: use `auth`. The operator's default server takes none, because it is asked with the operator's
    /// credentials, and a header could choose another tenant's data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::short_strings")]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-zA-Z0-9-]+$') && !(k.lowerAscii() in ['authorization', 'cookie', 'host', 'proxy-authorization']))").message(
        "headers: names are letters, digits and '-'; Authorization, Cookie and Host are not set here: use auth for credentials"
    ))]
    pub headers: BTreeMap<String, String>,

    /// Credentials. They are read at each use, so a rotated Secret takes effect without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,

    /// TLS for an `https` address, beyond the system's certificate authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Exactly one way to authenticate.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.bearerToken), has(self.basic), has(self.sigV4)].filter(x, x).size() == 1").message(
    "auth: set exactly one of bearerToken, basic and sigV4"
))]
pub struct Auth {
    /// A bearer token from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretKey>,
    /// User name and password from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// A role at AWS that queries are signed by (Signature Version 4), as Amazon Managed Service for Prometheus asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig_v4: Option<SigV4>,
}

/// A role at AWS that queries are signed by. The operator's own identity signs only what goes to its default server.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigV4 {
    /// Region of the workspace, as `eu-central-1`.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: String,
    /// The role that the operator assumes, as `arn:aws:iam::123456789012:role/name`. Its settings (`--allowed-aws-role`) must
    /// allow it for the namespace.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: String,
    /// What the role's trust policy asks for as `sts:ExternalId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    pub external_id: Option<String>,
}

/// HTTP basic authentication.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Where the user name stands.
    pub username: SecretKey,
    /// Where the password stands.
    pub password: SecretKey,
}

/// TLS settings of a server.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// A certificate authority in PEM that signs the server's certificate, in a Secret; added to the system's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
    /// Name of a Secret of type `kubernetes.io/tls` (keys `tls.crt`, `tls.key`) presented as client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub client_certificate: Option<String>,
}
