//! `spec.cdns[]`: what stands between browsers and the platform's apps.

mod behavior;
mod origin;
mod policy;
mod site;

pub use behavior::{
    Behavior, ForwardedValues, FunctionAssociations, FunctionRef, Method, PolicyRef, ViewerProtocolPolicy,
};
pub use origin::{AppOrigin, AppRoute, Origin, OriginHeader, OriginProtocol, S3Origin, TlsVersion};
pub use policy::{
    CachePolicy, Cors, CorsMethod, EdgeFunction, FrameOptions, FunctionRuntime, HeaderChoice, HeaderNames, Hsts,
    NameChoice, Names, OriginRequestPolicy, ReferrerPolicy, ResponseHeader, ResponseHeadersPolicy,
};
pub use site::{
    Certificate, ErrorPage, GeoRestriction, HttpVersion, InvalidateAfter, Logging, MinimumProtocolVersion, PriceClass,
    RestrictionType, SslSupportMethod,
};

use super::aws::AwsControl;
use crate::schema;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One CDN. Exactly one provider says where it runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cloudFront)").message("cdns[]: say where the CDN runs: set cloudFront"))]
pub struct Cdn {
    /// Name of the CDN, unique among the platform's apps, caches, databases and CDNs. What is made for it at AWS is known by it:
    /// under another name another distribution is made, and the former one becomes what `deletionPolicy` says.
    #[schemars(length(min = 1, max = 40), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// A distribution of Amazon CloudFront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_front: Option<CloudFront>,
}

/// A distribution of Amazon CloudFront: one of its own, or with `distributionId` some behaviors and origins in somebody else's.
/// What is not set is not compared: it stays as it is at AWS, and where the distribution is made AWS's defaults hold. A change is
/// at the edges after some minutes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.distributionId) != self.behaviors.exists(b, b.path == '*')").message(
    "cloudFront.behaviors: add one of path '*', which says what is done with all other paths; beside distributionId remove it, because there it is somebody else's"
))]
#[x_kube(validation = Rule::new(only_of_own()).message(
    "cloudFront.distributionId: beside it only origins, behaviors, policies, functions and invalidateAfter can be set, because all else is of the whole distribution, which is somebody else's: remove the rest, or distributionId"
))]
#[x_kube(validation = Rule::new("(has(self.distributionId) ? self.distributionId : '') == (has(oldSelf.distributionId) ? oldSelf.distributionId : '')").message(
    "cloudFront.distributionId cannot be changed, because what was put into the former distribution would stay there: remove the CDN, and add one of another name"
))]
#[x_kube(validation = Rule::new("self.behaviors.all(b, self.origins.exists(o, o.name == b.origin))").message(
    "cloudFront.behaviors[].origin is none of cloudFront.origins: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new("self.behaviors.all(a, self.behaviors.exists_one(b, a.path == b.path))").message(
    "cloudFront.behaviors[].path: two behaviors have the same pattern, and the second would never be asked: remove one of them"
))]
#[x_kube(validation = Rule::new(known("cachePolicy", "cachePolicies")).message(
    "cloudFront.cachePolicies has none of the name that a behavior's cachePolicy gives: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new(known("originRequestPolicy", "originRequestPolicies")).message(
    "cloudFront.originRequestPolicies has none of the name that a behavior's originRequestPolicy gives: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new(known("responseHeadersPolicy", "responseHeadersPolicies")).message(
    "cloudFront.responseHeadersPolicies has none of the name that a behavior's responseHeadersPolicy gives: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new(known_functions()).message(
    "cloudFront.functions has none of the name that a behavior's functions give: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new("!has(self.aliases) || size(self.aliases) == 0 || has(self.certificate)").message(
    "cloudFront.certificate is missing: set it to a certificate for aliases, because CloudFront's own is not for them"
))]
pub struct CloudFront {
    /// Attaches to somebody else's distribution, by its id: `origins` and `behaviors` are put into it, the behaviors after those
    /// that are there, and nothing else of it is touched. Default: a distribution of its own. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 32), regex(pattern = "^E[A-Z0-9]+$"))]
    pub distribution_id: Option<String>,

    /// How far the operator goes.
    #[serde(flatten)]
    pub control: AwsControl,

    /// What becomes of it when the CDN or the platform is deleted: `Retain` leaves everything as it is, still serving; `Delete`
    /// takes away what was made. Default `Retain`; with `distributionId` `Delete`, which takes origins and behaviors out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Where answers come from, a map by `name`.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub origins: Vec<Origin>,

    /// What is done with requests, by path. The order counts: the first pattern that matches is taken, and `*` after all others.
    #[schemars(length(min = 1, max = 40))]
    pub behaviors: Vec<Behavior>,

    /// Cache policies that are made for the behaviors, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub cache_policies: Vec<CachePolicy>,

    /// Origin request policies that are made for the behaviors, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub origin_request_policies: Vec<OriginRequestPolicy>,

    /// Response headers policies that are made for the behaviors, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub response_headers_policies: Vec<ResponseHeadersPolicy>,

    /// Functions that are made for the behaviors, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub functions: Vec<EdgeFunction>,

    /// Paths that the edges forget once a rollout of an app is complete, a map by `app`. AWS charges for more than 1000 paths a
    /// month.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["app".into()]))]
    pub invalidate_after: Vec<InvalidateAfter>,

    /// Whether it answers. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// A comment, as the console shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub comment: Option<String>,

    /// Names that it serves; `[]` for none. Their records of DNS are yours to make: the status names where they lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::hosts")]
    pub aliases: Option<Vec<String>>,

    /// The certificate for `aliases`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,

    /// The object that `/` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[^/\\s]\\S*$"))]
    pub default_root_object: Option<String>,

    /// Pages in place of errors, a map by `code`; `[]` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 11))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["code".into()]))]
    pub errors: Option<Vec<ErrorPage>>,

    /// Access logs in a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,

    /// Which countries are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo_restriction: Option<GeoRestriction>,

    /// ARN of a web ACL of AWS WAF, of us-east-1 and for CloudFront; empty for none.
    #[serde(default, rename = "webACL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^(arn:aws:wafv2:us-east-1:[0-9]{12}:global/webacl/\\S+)?$"))]
    pub web_acl: Option<String>,

    /// How many of the edges serve it. Fewer cost less, and are farther from some users. AWS's default is `PriceClass_All`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_class: Option<PriceClass>,

    /// Newest version of HTTP that viewers are offered. AWS's default is `http2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_version: Option<HttpVersion>,

    /// Whether it answers by IPv6, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
}

/// What becomes of it when the CDN or the platform is deleted: `Retain` leaves everything as it is, still serving; `Delete` takes away
/// what was made. Default `Retain`; with `distributionId` `Delete`, which takes origins and behaviors out again.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// Everything stays as it is.
    Retain,
    /// What was made goes.
    Delete,
}

/// What somebody else's distribution keeps for itself.
fn only_of_own() -> String {
    let fields = [
        "enabled",
        "comment",
        "aliases",
        "certificate",
        "defaultRootObject",
        "errors",
        "logging",
        "geoRestriction",
        "webACL",
        "priceClass",
        "httpVersion",
        "ipv6",
    ];
    let set: Vec<String> = fields.iter().map(|field| format!("has(self.{field})")).collect();
    format!("!has(self.distributionId) || !({})", set.join(" || "))
}

/// What holds for each behavior `b`.
fn each_behavior(rule: &str) -> String {
    format!("self.behaviors.all(b, {rule})")
}

/// The rule that every policy which a behavior names is among those that are made.
fn known(field: &str, list: &str) -> String {
    each_behavior(&format!(
        "!has(b.{field}) || !has(b.{field}.name) || (has(self.{list}) && self.{list}.exists(p, p.name == b.{field}.name))"
    ))
}

fn known_functions() -> String {
    let known = |event: &str| {
        format!(
            "(!has(b.functions.{event}) || !has(b.functions.{event}.name) || (has(self.functions) && self.functions.exists(f, f.name \
             == b.functions.{event}.name)))"
        )
    };
    each_behavior(&format!("!has(b.functions) || {} && {}", known("viewerRequest"), known("viewerResponse")))
}
