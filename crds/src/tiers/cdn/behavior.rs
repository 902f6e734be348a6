//! What a CDN does with requests.

use super::policy::Names;
use crate::schema;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with requests. What is cached is said by a `cachePolicy`, or the former way by `forwardedValues`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cachePolicy) || has(self.forwardedValues) || has(self.closed) && self.closed").message(
    "cachePolicy is missing: set it, such as {managed: CachingDisabled}, or set forwardedValues"
))]
#[x_kube(validation = Rule::new("!has(self.forwardedValues) || !(has(self.cachePolicy) || has(self.originRequestPolicy))").message(
    "forwardedValues cannot stand beside cachePolicy and originRequestPolicy: remove it, or them"
))]
#[x_kube(validation = Rule::new("!has(self.allowedMethods) || size(self.allowedMethods) == 7 || 'GET' in self.allowedMethods && 'HEAD' in self.allowedMethods && (size(self.allowedMethods) == 2 || size(self.allowedMethods) == 3 && 'OPTIONS' in self.allowedMethods)").message(
    "allowedMethods: CloudFront has three sets: use [GET, HEAD], [GET, HEAD, OPTIONS], or all seven"
))]
#[x_kube(validation = Rule::new("!has(self.cachedMethods) || 'GET' in self.cachedMethods && 'HEAD' in self.cachedMethods && (size(self.cachedMethods) == 2 || size(self.cachedMethods) == 3 && 'OPTIONS' in self.cachedMethods && (!has(self.allowedMethods) || 'OPTIONS' in self.allowedMethods))").message(
    "cachedMethods: use [GET, HEAD], or [GET, HEAD, OPTIONS] where allowedMethods has OPTIONS"
))]
#[x_kube(validation = Rule::new("!has(self.browserTTL) || !has(self.responseHeadersPolicy) || has(self.responseHeadersPolicy.name)").message(
    "browserTTL is a header of a policy of its own: name one of responseHeadersPolicies in responseHeadersPolicy, or remove one of them"
))]
#[x_kube(validation = Rule::new("!has(self.closed) || !self.closed || !has(self.functions) || !has(self.functions.viewerRequest)").message(
    "closed answers in place of functions.viewerRequest: remove one of them"
))]
pub struct Behavior {
    /// Pattern of the paths: `*` is any number of characters, `?` is one. Upper and lower case differ. `*` alone stands for all
    /// paths that no other pattern matches.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_.*$/~\"'@:+&?-]+$"))]
    #[x_kube(validation = Rule::new("self != '/*'").message("behaviors[].path '/*' matches every path: use '*' for that"))]
    pub path: String,

    /// Name of an item of `origins`.
    #[schemars(length(min = 1, max = 80))]
    pub origin: String,

    /// What becomes of requests by HTTP. Default `redirect-to-https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_protocol_policy: Option<ViewerProtocolPolicy>,

    /// Methods that are let through: GET and HEAD, these with OPTIONS, or all seven. AWS's default is GET and HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_methods: Option<Vec<Method>>,

    /// Methods whose answers are cached: GET and HEAD, or these with OPTIONS. AWS's default is GET and HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub cached_methods: Option<Vec<Method>>,

    /// Whether the edges compress answers for viewers who take that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<bool>,

    /// Microsoft Smooth Streaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smooth_streaming: Option<bool>,

    /// What is cached, for how long and under which key. Not with `forwardedValues`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_policy: Option<PolicyRef>,

    /// What the origin is sent beside what is in the key. Not with `forwardedValues`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_request_policy: Option<PolicyRef>,

    /// What is cached and sent, as it was said before there were policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_values: Option<ForwardedValues>,

    /// Headers of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers_policy: Option<PolicyRef>,

    /// How long browsers keep answers, however long the edges do: `Cache-Control: public, max-age=` in place of the origin's; with
    /// `0s` they ask each time. Default: as the origin says.
    #[serde(default, rename = "browserTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub browser_ttl: Option<Duration>,

    /// Functions that run at the edges; `{}` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<FunctionAssociations>,

    /// Nobody gets through: every request is answered with 403. For what is not for the outside, such as metrics. Needs no
    /// `cachePolicy`. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,

    /// Ids of key groups, one of which must have signed the request; `[]` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ids")]
    pub key_groups: Option<Vec<String>>,
}

/// A policy: exactly one of `managed`, `id` and `name`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.managed) ? 1 : 0) + (has(self.id) ? 1 : 0) + (has(self.name) ? 1 : 0) == 1").message(
    "managed or id or name: set exactly one of them"
))]
pub struct PolicyRef {
    /// One of AWS's own, by its name, such as `CachingDisabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub managed: Option<String>,

    /// One that somebody else keeps, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub id: Option<String>,

    /// One that is made for this distribution, by its name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub name: Option<String>,
}

/// `ForwardedValues`, and the times beside them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(super::policy::ttls_in_order()).message(
    "minTTL must not be above defaultTTL, nor that above maxTTL: lower the first, or raise the last"
))]
#[x_kube(validation = Rule::new("!has(self.queryStringKeys) || has(self.queryString) && self.queryString").message(
    "queryStringKeys are forwarded with queryString alone: set queryString: true, or remove them"
))]
#[x_kube(validation = Rule::new("!has(self.cookies) || self.cookies.behavior != 'allExcept'").message(
    "cookies.behavior allExcept is only to be had in cachePolicies: use whitelist, all or none"
))]
pub struct ForwardedValues {
    /// Whether parameters are in the key, and sent. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_string: Option<bool>,

    /// Only these parameters are in the key. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub query_string_keys: Vec<String>,

    /// Headers that are in the key, and sent; `*` for all, and then nothing is cached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    pub headers: Vec<String>,

    /// Cookies that are in the key, and sent. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookies: Option<Names>,

    /// How long an answer is kept at least. AWS's default is 0s.
    #[serde(default, rename = "minTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub min_ttl: Option<Duration>,

    /// How long where the origin says nothing. AWS's default is 24h.
    #[serde(default, rename = "defaultTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub default_ttl: Option<Duration>,

    /// How long at most. AWS's default is 8760h, a year.
    #[serde(default, rename = "maxTTL", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::seconds")]
    pub max_ttl: Option<Duration>,
}

/// The functions of a behavior.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct FunctionAssociations {
    /// Sees each request before the cache does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_request: Option<FunctionRef>,

    /// Sees each answer before the viewer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer_response: Option<FunctionRef>,
}

/// A function: `name` or `arn`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.arn)").message("name or arn: set exactly one of them"))]
pub struct FunctionRef {
    /// Name of an item of `functions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40))]
    pub name: Option<String>,

    /// ARN of one that somebody else keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = "^arn:aws:cloudfront::[0-9]{12}:function/[A-Za-z0-9_-]+$"))]
    pub arn: Option<String>,
}

/// What becomes of requests by HTTP. Default `redirect-to-https`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ViewerProtocolPolicy {
    /// They are answered.
    AllowAll,
    /// They are refused.
    HttpsOnly,
    /// They are sent on.
    #[default]
    RedirectToHttps,
}

/// A method of HTTP.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
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
}
