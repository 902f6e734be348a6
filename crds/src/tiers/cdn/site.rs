//! What a CDN's distribution is as a whole.

use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A certificate of AWS Certificate Manager.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.arn.startsWith('arn:aws:acm:us-east-1:')").message(
    "certificate.arn is of another region, and CloudFront takes certificates of us-east-1 alone: request or import it there, and name that one"
))]
pub struct Certificate {
    /// Its ARN, of us-east-1, wherever the cluster is.
    #[schemars(length(max = 256), regex(pattern = "^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$"))]
    pub arn: String,

    /// Oldest version of TLS that viewers may speak, with its ciphers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_protocol_version: Option<MinimumProtocolVersion>,

    /// How viewers say which name they want. `vip` and `static-ip` are for those who cannot, and cost by the month. Default
    /// `sni-only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_support_method: Option<SslSupportMethod>,
}

/// Oldest version of TLS that viewers may speak, with its ciphers, in CloudFront's words.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum MinimumProtocolVersion {
    /// TLS 1.0.
    #[serde(rename = "TLSv1")]
    Tls10,
    /// TLS 1.0, ciphers of 2016.
    #[serde(rename = "TLSv1_2016")]
    Tls10Of2016,
    /// TLS 1.1, ciphers of 2016.
    #[serde(rename = "TLSv1.1_2016")]
    Tls11Of2016,
    /// TLS 1.2, ciphers of 2018.
    #[serde(rename = "TLSv1.2_2018")]
    Tls12Of2018,
    /// TLS 1.2, ciphers of 2019.
    #[serde(rename = "TLSv1.2_2019")]
    Tls12Of2019,
    /// TLS 1.2, ciphers of 2021.
    #[serde(rename = "TLSv1.2_2021")]
    Tls12Of2021,
    /// TLS 1.3, ciphers of 2025.
    #[serde(rename = "TLSv1.3_2025")]
    Tls13Of2025,
}

/// How viewers say which name they want. `vip` and `static-ip` are for those who cannot, and cost by the month. Default `sni-only`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslSupportMethod {
    /// As they begin to speak.
    #[default]
    SniOnly,
    /// By the address.
    Vip,
    /// By an address of one's own.
    StaticIp,
}

/// A page in place of an error.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.code in [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]").message(
    "errors[].code: CloudFront knows no page for it: use 400, 403, 404, 405, 414, 416, or 500 to 504"
))]
#[x_kube(validation = Rule::new("has(self.page) == has(self.responseCode)").message(
    "errors[].page and responseCode belong together: add the other, or remove both"
))]
pub struct ErrorPage {
    /// Status of the origin's answer.
    #[schemars(range(min = 400, max = 599))]
    pub code: i32,

    /// Path of the page, from any origin that a behavior leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/\\S*$"))]
    pub page: Option<String>,

    /// Status of the answer with the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599))]
    pub response_code: Option<i32>,

    /// How long the edges keep the error. AWS's default is 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub ttl: Option<Duration>,
}

/// Access logs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// The bucket by its name in DNS, such as `logs.s3.amazonaws.com`. It must have access control lists enabled. Empty turns
    /// logging off.
    #[schemars(length(max = 255), regex(pattern = "^([a-z0-9][a-z0-9.-]*\\.s3[a-z0-9.-]*\\.amazonaws\\.com)?$"))]
    pub bucket: String,

    /// What the names of the logs begin with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = "^[^\\r\\n\\x00]*$"))]
    pub prefix: Option<String>,

    /// Whether cookies are logged, too. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_cookies: Option<bool>,
}

/// Which countries are served.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.restrictionType == 'none') != (has(self.locations) && size(self.locations) > 0)").message(
    "geoRestriction.locations belongs to whitelist and blacklist: add countries there, and remove it beside none"
))]
pub struct GeoRestriction {
    /// `none`: all. `whitelist`: only `locations`. `blacklist`: all but `locations`.
    pub restriction_type: RestrictionType,

    /// Countries, by their codes of two letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::countries")]
    pub locations: Vec<String>,
}

/// `none`: all. `whitelist`: only `locations`. `blacklist`: all but `locations`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RestrictionType {
    /// All.
    #[default]
    None,
    /// Only some.
    Whitelist,
    /// All but some.
    Blacklist,
}

/// How many of the edges serve it. Fewer cost less, and are farther from some users. AWS's default is `PriceClass_All`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum PriceClass {
    /// Those of North America, Europe and Israel.
    #[serde(rename = "PriceClass_100")]
    Of100,
    /// All but those of South America and Oceania.
    #[serde(rename = "PriceClass_200")]
    Of200,
    /// All.
    #[serde(rename = "PriceClass_All")]
    All,
}

/// Newest version of HTTP that viewers are offered. AWS's default is `http2`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[serde(rename = "http1.1")]
    Http11,
    /// HTTP/2.
    #[serde(rename = "http2")]
    Http2,
    /// HTTP/3.
    #[serde(rename = "http3")]
    Http3,
    /// HTTP/2 and HTTP/3.
    #[serde(rename = "http2and3")]
    Http2And3,
}

/// Paths that the edges forget once a rollout of an app is complete.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvalidateAfter {
    /// Name of an item of `spec.apps`.
    #[schemars(length(min = 1, max = 40))]
    pub app: String,

    /// The paths; a `*` at the end is any number of characters. With `distributionId` they are paths of its `behaviors`.
    #[schemars(schema_with = "schema::invalidated_paths")]
    pub paths: Vec<String>,
}
