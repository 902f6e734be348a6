//! What a CDN caches, what it sends to origins, what it adds to answers, and what it runs.

use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is cached, for how long and under which key. What is in the key is sent to the origin, too.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ttls_in_order()).message(
    "minTTL must not be above defaultTTL, nor that above maxTTL: lower the first, or raise the last"
))]
#[x_kube(validation = Rule::new("!has(self.maxTTL) || duration(self.maxTTL) > duration('0s') || !(has(self.headers) || has(self.cookies) || has(self.queryStrings) || has(self.compression))").message(
    "maxTTL 0s caches nothing, and AWS takes no key then: remove headers, cookies, queryStrings and compression, and name what the origin is sent in originRequestPolicies"
))]
#[x_kube(validation = Rule::new("!has(self.headers) || !self.headers.exists(h, h == '*')").message(
    "headers: '*' is only to be had in forwardedValues: name the headers of the key"
))]
pub struct CachePolicy {
    /// Its name, by which behaviors name it.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// How long an answer is kept at least, whatever the origin says. Default 0s.
    #[serde(default, rename = "minTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub min_ttl: Option<Duration>,

    /// How long where the origin says nothing. Default 24h, within `minTTL` and `maxTTL`.
    #[serde(default, rename = "defaultTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub default_ttl: Option<Duration>,

    /// How long at most. Default 8760h, a year.
    #[serde(default, rename = "maxTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub max_ttl: Option<Duration>,

    /// Headers of the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub headers: Vec<String>,

    /// Cookies of the key. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<Names>,

    /// Parameters of the key. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_strings: Option<Names>,

    /// Whether answers that are compressed by gzip or brotli are kept beside the others. Default: true, unless `maxTTL` is 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<bool>,
}

/// What the origin is sent beside what is in the key.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct OriginRequestPolicy {
    /// Its name, by which behaviors name it.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Headers. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<HeaderNames>,

    /// Cookies. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<Names>,

    /// Parameters. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_strings: Option<Names>,
}

/// Some of the names that a request has.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(named_where_they_count()).message(
    "names belongs to behavior whitelist and allExcept: add some there, and remove it elsewhere"
))]
pub struct Names {
    /// Which.
    pub behavior: NameChoice,

    /// The names of `whitelist` and `allExcept`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub names: Vec<String>,
}

/// Which names, in CloudFront's words.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NameChoice {
    /// None.
    #[default]
    None,
    /// Only `names`.
    Whitelist,
    /// All but `names`.
    AllExcept,
    /// All.
    All,
}

/// Some of the headers that a request has.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(named_where_they_count()).message(
    "names belongs to behavior whitelist and allExcept: add some there, and remove it elsewhere"
))]
pub struct HeaderNames {
    /// Which.
    pub behavior: HeaderChoice,

    /// The names of `whitelist` and `allExcept`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub names: Vec<String>,
}

/// Which headers, in CloudFront's words.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HeaderChoice {
    /// None.
    #[default]
    None,
    /// Only `names`.
    Whitelist,
    /// All that the viewer sent.
    AllViewer,
    /// All that the viewer sent, but `names`.
    AllExcept,
}

/// Headers of answers. They replace those of the origin.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cors) || has(self.strictTransportSecurity) || has(self.contentTypeOptions) || has(self.referrerPolicy) || has(self.frameOptions) || has(self.contentSecurityPolicy) || has(self.customHeaders) || has(self.removeHeaders)").message(
    "responseHeadersPolicies[] says nothing: set a header, or remove it"
))]
pub struct ResponseHeadersPolicy {
    /// Its name, by which behaviors name it.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Which pages of other sites may use answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,

    /// `Strict-Transport-Security`: browsers come by HTTPS alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_transport_security: Option<Hsts>,

    /// `X-Content-Type-Options: nosniff`. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type_options: Option<bool>,

    /// `Referrer-Policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_policy: Option<ReferrerPolicy>,

    /// `X-Frame-Options`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_options: Option<FrameOptions>,

    /// `Content-Security-Policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub content_security_policy: Option<String>,

    /// Other headers, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub custom_headers: Vec<ResponseHeader>,

    /// Headers of the origin's that are left away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub remove_headers: Vec<String>,
}

/// Which pages of other sites may use answers.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Their origins, such as `https://learn.example`; `*` for all.
    #[schemars(schema_with = "schema::cors_origins")]
    pub origins: Vec<String>,

    /// With which methods. Default `[GET, HEAD]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub methods: Vec<CorsMethod>,

    /// With which headers. Default `["*"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub headers: Vec<String>,

    /// Whether with cookies. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<bool>,

    /// How long browsers remember the permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub max_age: Option<Duration>,
}

/// A method of HTTP, or all of them.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CorsMethod {
    /// Removes.
    Delete,
    /// Reads.
    Get,
    /// Reads the headers.
    Head,
    /// Asks what is allowed.
    Options,
    /// Changes in part.
    Patch,
    /// Sends.
    Post,
    /// Replaces.
    Put,
    /// All of them.
    All,
}

/// `Strict-Transport-Security`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hsts {
    /// How long browsers remember it. It cannot be taken back from those that do.
    #[schemars(schema_with = "schema::seconds")]
    pub max_age: Duration,

    /// Also for all names below. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_subdomains: Option<bool>,

    /// For the lists that browsers come with. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
}

/// `Referrer-Policy`: what a browser tells of the page that a request comes from.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReferrerPolicy {
    /// Nothing.
    NoReferrer,
    /// All, but to servers without HTTPS nothing.
    NoReferrerWhenDowngrade,
    /// Its origin.
    Origin,
    /// All to the same origin, to others its origin.
    OriginWhenCrossOrigin,
    /// All to the same origin, to others nothing.
    SameOrigin,
    /// Its origin, but to servers without HTTPS nothing.
    StrictOrigin,
    /// All to the same origin, to others its origin, but to servers without HTTPS nothing.
    StrictOriginWhenCrossOrigin,
    /// All.
    UnsafeUrl,
}

/// `X-Frame-Options`: who may show a page in a frame.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FrameOptions {
    /// Nobody.
    Deny,
    /// Pages of the same origin.
    SameOrigin,
}

/// A header of answers.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResponseHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,

    /// Its value.
    #[schemars(length(min = 1, max = 1783), regex(pattern = "^[^\\r\\n\\x00]*$"))]
    pub value: String,
}

/// A function of CloudFront's.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeFunction {
    /// Its name, by which behaviors name it.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// What runs it. Default `cloudfront-js-2.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<FunctionRuntime>,

    /// Its code, in JavaScript. It is no place for secrets: everybody who may read the resource reads it.
    #[schemars(length(min = 1, max = 10240))]
    pub code: String,
}

/// What runs it. Default `cloudfront-js-2.0`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum FunctionRuntime {
    /// The first one.
    #[serde(rename = "cloudfront-js-1.0")]
    Js1,
    /// The second one.
    #[default]
    #[serde(rename = "cloudfront-js-2.0")]
    Js2,
}

/// The rule that of three times none is above one after it.
pub(super) fn ttls_in_order() -> String {
    let pair = |low: &str, high: &str| {
        format!("(!has(self.{low}) || !has(self.{high}) || duration(self.{low}) <= duration(self.{high}))")
    };
    [pair("minTTL", "defaultTTL"), pair("defaultTTL", "maxTTL"), pair("minTTL", "maxTTL")].join(" && ")
}

fn named_where_they_count() -> &'static str {
    "(self.behavior in ['whitelist', 'allExcept']) == (has(self.names) && size(self.names) > 0)"
}
