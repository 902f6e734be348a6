//! What is wished of a distribution. `None` is not ours: it stays as it is at AWS.

use super::behavior::{Behavior, Function};
use crate::{Allow, Mode, Owner, Password};
use std::collections::{BTreeMap, BTreeSet};

/// What is wished.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Whose it is.
    pub owner: Owner,
    /// Of the platform: a refused wish is tried again when it changes.
    pub generation: i64,
    /// What may be done.
    pub mode: Mode,
    /// Hash of the plan that the user approved.
    pub approved: Option<String>,
    /// Standing allowances.
    pub allow: BTreeSet<Allow>,
    /// Take over what a former platform of this name left.
    pub adopt: bool,
    /// The CDN, or its platform, is being deleted.
    pub deleted: bool,
    /// What becomes of it then; by default, see [`Wish::policy`].
    pub deletion_policy: Option<DeletionPolicy>,
    /// How much of the distribution is ours.
    pub scope: Scope,
    /// What is ours.
    pub spec: Spec,
    /// The apps whose newest rollout is complete, with its revision. Each revision is invalidated once.
    pub rollouts: BTreeMap<String, String>,
}

/// How much of a distribution is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Own,
    /// Behaviours and origins in somebody else's.
    Attach {
        /// The distribution's id.
        distribution: String,
    },
}

/// What becomes of a distribution when its item is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Everything stays as it is.
    Retain,
    /// What is ours goes: the distribution, or our behaviours and origins in somebody else's.
    Delete,
}

/// What is ours of a distribution.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Spec {
    /// Where answers come from.
    pub origins: Vec<Origin>,
    /// For paths that no pattern matches. Needed in [`Scope::Own`], and only there.
    pub default_behavior: Option<Behavior>,
    /// By path pattern, in order: the first that matches counts.
    pub behaviors: Vec<(String, Behavior)>,
    /// Functions that behaviours name, by name.
    pub functions: BTreeMap<String, Function>,
    /// Paths that are invalidated after an app's rollout, by app.
    pub invalidate: BTreeMap<String, BTreeSet<String>>,
    /// Whether it serves; it does where it is created and nothing is said.
    pub enabled: Option<bool>,
    /// Names that it serves.
    pub aliases: Option<BTreeSet<String>>,
    /// Its certificate.
    pub certificate: Option<Certificate>,
    /// A comment.
    pub comment: Option<String>,
    /// What `/` is, without a slash.
    pub default_root_object: Option<String>,
    /// `PriceClass_100`, `PriceClass_200`, `PriceClass_All`.
    pub price_class: Option<String>,
    /// `http1.1`, `http2`, `http3`, `http2and3`.
    pub http_version: Option<String>,
    /// Whether it serves IPv6.
    pub ipv6: Option<bool>,
    /// ARN of a web ACL; empty for none.
    pub web_acl: Option<String>,
    /// Who is served.
    pub geo_restriction: Option<GeoRestriction>,
    /// Pages in place of errors.
    pub errors: Option<Vec<ErrorPage>>,
    /// Where access is logged.
    pub logging: Option<Logging>,
}

/// A certificate of ACM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its ARN, of us-east-1.
    pub arn: String,
    /// `TLSv1.2_2021`.
    pub minimum_protocol_version: Option<String>,
    /// `sni-only`, which is the default.
    pub ssl_support_method: Option<String>,
}

/// Who is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GeoRestriction {
    /// Everybody.
    None,
    /// Only these countries.
    Allow(BTreeSet<String>),
    /// All but these countries.
    Deny(BTreeSet<String>),
}

/// A page in place of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// The status of the origin's answer.
    pub code: u16,
    /// The status of the answer; given with the page.
    pub response_code: Option<u16>,
    /// Path of the page.
    pub page: Option<String>,
    /// Seconds that the error is kept.
    pub ttl: Option<u64>,
}

/// Where access is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// `logs.s3.amazonaws.com`; empty turns logging off.
    pub bucket: String,
    /// Of the logs' names.
    pub prefix: String,
    /// Whether cookies are logged, too.
    pub cookies: bool,
}

/// Where answers come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Told apart by it.
    pub id: String,
    /// Its name in DNS.
    pub domain: String,
    /// Prefix of the paths there; with a leading slash, without one at the end.
    pub path: Option<String>,
    /// Headers that every request bears. None where the Secret is missing: then nothing is changed.
    pub headers: BTreeMap<String, Option<Password>>,
    /// Of what kind it is.
    pub kind: OriginKind,
    /// How often a connection is tried, 1 to 3.
    pub connection_attempts: Option<u32>,
    /// Seconds for each, 1 to 10.
    pub connection_timeout: Option<u32>,
    /// Region of the Origin Shield; empty turns it off.
    pub shield: Option<String>,
}

/// Of what kind an origin is.
#[derive(Clone, Debug, PartialEq)]
pub enum OriginKind {
    /// A server that speaks HTTP.
    Custom(Custom),
    /// A bucket.
    S3(BucketAccess),
    /// A server in a VPC, which is not reachable otherwise.
    Vpc {
        /// Id of the VPC origin.
        id: String,
        /// Seconds that an answer may take.
        read_timeout: Option<u32>,
        /// Seconds that an idle connection is kept.
        keepalive_timeout: Option<u32>,
    },
}

/// How a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// Port of HTTP.
    pub http_port: u16,
    /// Port of HTTPS.
    pub https_port: u16,
    /// `http-only`, `https-only`, `match-viewer`.
    pub protocol: String,
    /// `TLSv1.2`.
    pub tls: BTreeSet<String>,
    /// Seconds that an answer may take.
    pub read_timeout: Option<u32>,
    /// Seconds that an idle connection is kept.
    pub keepalive_timeout: Option<u32>,
}

impl Default for Custom {
    fn default() -> Self {
        Self {
            http_port: 80,
            https_port: 443,
            protocol: "https-only".into(),
            tls: BTreeSet::from(["TLSv1.2".to_owned()]),
            read_timeout: None,
            keepalive_timeout: None,
        }
    }
}

/// How a bucket is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketAccess {
    /// By an origin access control of our own.
    Own,
    /// By one that somebody else keeps, by its id.
    Control(String),
    /// By an origin access identity, by its id: the former way.
    Identity(String),
    /// As anybody can.
    Public,
}

impl Wish {
    /// What becomes of it when it is deleted: a distribution of our own stays by default, and what was put into somebody else's is
    /// taken out, because its origins go with the platform.
    pub fn policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or(match self.scope {
            Scope::Own => DeletionPolicy::Retain,
            Scope::Attach { .. } => DeletionPolicy::Delete,
        })
    }
}

impl Spec {
    /// All behaviours, in the order in which they are asked, with the fields' names; the default one last.
    pub fn all(&self) -> impl Iterator<Item = (String, Option<&str>, &Behavior)> {
        let ordered = self.behaviors.iter().map(|(path, one)| (format!("behaviors[{path}]"), Some(path.as_str()), one));
        ordered.chain(self.default_behavior.iter().map(|one| ("behaviors[*]".to_owned(), None, one)))
    }

    /// Headers whose Secret is missing.
    pub(super) fn missing_secrets(&self) -> Vec<String> {
        let headers = |origin: &Origin| {
            let missing = origin.headers.iter().filter(|(_, value)| value.is_none());
            missing.map(|(name, _)| format!("origins[{}].headers[{name}]", origin.id)).collect::<Vec<_>>()
        };
        self.origins.iter().flat_map(headers).collect()
    }
}
