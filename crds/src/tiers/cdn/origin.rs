//! Where a CDN's answers come from.

use crate::{SecretKey, schema};
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where answers come from: exactly one of `app`, `s3` and `domain`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.app) ? 1 : 0) + (has(self.s3) ? 1 : 0) + (has(self.domain) ? 1 : 0) == 1").message(
    "origins[]: say where answers come from: set exactly one of app, s3 and domain"
))]
#[x_kube(validation = Rule::new("!(has(self.s3) || has(self.vpcOrigin)) || !(has(self.protocol) || has(self.httpPort) || has(self.httpsPort) || has(self.tls))").message(
    "origins[].protocol (as httpPort, httpsPort and tls) is of servers that are reached over the internet: remove it beside s3 and vpcOrigin"
))]
#[x_kube(validation = Rule::new("!has(self.s3) || !(has(self.vpcOrigin) || has(self.readTimeout) || has(self.keepaliveTimeout))").message(
    "origins[].s3 has no vpcOrigin, readTimeout and keepaliveTimeout: remove them"
))]
#[x_kube(validation = Rule::new("!has(self.connectionTimeout) || duration(self.connectionTimeout) >= duration('1s') && duration(self.connectionTimeout) <= duration('10s')").message(
    "origins[].connectionTimeout must be between 1s and 10s"
))]
pub struct Origin {
    /// Its name, by which behaviors name it; its id at CloudFront.
    #[schemars(length(min = 1, max = 80), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,

    /// An app of this platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppOrigin>,

    /// A bucket of S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Origin>,

    /// Another server, by its name in DNS, without scheme, port and path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub domain: Option<String>,

    /// Id of a VPC origin, through which `app` or `domain` is reached: the server needs no address on the internet. It says
    /// itself by which protocol and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 64), regex(pattern = "^vo_[A-Za-z0-9]+$"))]
    pub vpc_origin: Option<String>,

    /// Put before the path of each request; empty for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = "^(/\\S*[^/\\s])?$"))]
    pub path: Option<String>,

    /// Headers that every request to the origin bears, a map by `name`: a gateway that refuses requests without them is
    /// reachable through this distribution alone. Others are removed from the origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<OriginHeader>,

    /// How the server is spoken to. Default `https-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<OriginProtocol>,

    /// Its port for HTTP. Default 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 80, max = 65535))]
    pub http_port: Option<i32>,

    /// Its port for HTTPS. Default 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 80, max = 65535))]
    pub https_port: Option<i32>,

    /// Versions of TLS that it is spoken to with. Default `[TLSv1.2]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub tls: Vec<TlsVersion>,

    /// How long an answer may take. AWS's default is 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub read_timeout: Option<Duration>,

    /// How long an idle connection is kept: let the server keep it longer. AWS's default is 5s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub keepalive_timeout: Option<Duration>,

    /// How often a connection is tried. AWS's default is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3))]
    pub connection_attempts: Option<i32>,

    /// How long each of them may take, 1s to 10s. AWS's default is 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub connection_timeout: Option<Duration>,

    /// Region of the Origin Shield, a cache between all edges and the origin, which costs by request; the one next to the origin.
    /// Empty turns it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^([a-z]{2}(-[a-z]+)+-[0-9])?$"))]
    pub origin_shield: Option<String>,
}

/// An app of this platform, found by its routes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppOrigin {
    /// Name of an item of `spec.apps`. It needs `exposure`.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,

    /// Which of the app's routes leads to it. Default: `Gateway` where the app has it, else `Ingress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<AppRoute>,

    /// The host of the route that CloudFront asks for, which must lead to the cluster and not to CloudFront. Default: the first
    /// host of the route that is neither a wildcard nor among `aliases`; where there is none, the name of the load balancer in
    /// front of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: Option<String>,
}

/// Which of the app's routes leads to it. Default: `Gateway` where the app has it, else `Ingress`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum AppRoute {
    /// `exposure.gateway`.
    Gateway,
    /// `exposure.ingress`.
    Ingress,
}

/// A bucket of S3. It is yours: the statement that its policy needs is shown in the status, and never applied.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.originAccessControl) ? 1 : 0) + (has(self.originAccessIdentity) ? 1 : 0) + (has(self.public) && self.public ? 1 : 0) <= 1").message(
    "s3.originAccessControl and originAccessIdentity and public exclude each other: remove all but one of them"
))]
pub struct S3Origin {
    /// Name of the bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,

    /// Its region.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: String,

    /// Id of an origin access control that somebody else keeps. Default: one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 32), regex(pattern = "^E[A-Z0-9]+$"))]
    pub origin_access_control: Option<String>,

    /// Id of an origin access identity, the former way of access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 32), regex(pattern = "^E[A-Z0-9]+$"))]
    pub origin_access_identity: Option<String>,

    /// The bucket is read as anybody can read it, past the edges, too. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
}

/// A header of requests to an origin.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OriginHeader {
    /// Its name. CloudFront keeps some for itself, such as Host, and those that begin with X-Amz- and X-Edge-.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,

    /// Its value. While the Secret is missing nothing is changed.
    pub secret: SecretKey,
}

/// How the server is spoken to. Default `https-only`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginProtocol {
    /// By HTTP.
    HttpOnly,
    /// By HTTPS.
    #[default]
    HttpsOnly,
    /// As the viewer asks.
    MatchViewer,
}

/// A version of TLS.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub enum TlsVersion {
    /// Of old servers.
    #[serde(rename = "TLSv1")]
    Tls10,
    /// Of old servers.
    #[serde(rename = "TLSv1.1")]
    Tls11,
    /// The newest that CloudFront speaks to origins.
    #[serde(rename = "TLSv1.2")]
    Tls12,
}
