//! What is wished of a behaviour, and what it names. `None` is not ours: it stays as it is at AWS, unless it names a policy or a
//! function that was made for this distribution.

use std::collections::{BTreeMap, BTreeSet};

/// What is done with requests.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Behavior {
    /// Id of the origin.
    pub origin: String,
    /// `allow-all`, `https-only`, `redirect-to-https`.
    pub viewer_protocol_policy: String,
    /// `GET`, ….
    pub allowed_methods: Option<BTreeSet<String>>,
    /// Of which answers are cached.
    pub cached_methods: Option<BTreeSet<String>>,
    /// Whether answers are compressed.
    pub compress: Option<bool>,
    /// Microsoft Smooth Streaming.
    pub smooth_streaming: Option<bool>,
    /// What is cached under which key. Not with `legacy`.
    pub cache_policy: Option<Policy<CacheSettings>>,
    /// What the origin is sent beside the key. Not with `legacy`.
    pub origin_request_policy: Option<Policy<Forwarded>>,
    /// What is cached under which key, as it was said before there were policies.
    pub legacy: Option<Legacy>,
    /// Headers of answers.
    pub response_headers_policy: Option<Policy<ResponseHeaders>>,
    /// Seconds that browsers keep answers, whatever the edge does: a `Cache-Control` in a policy of its own.
    pub browser_ttl: Option<u64>,
    /// Functions, by when they run; none of them are ours where this is none.
    pub functions: Option<BTreeMap<Event, FunctionRef>>,
    /// Key groups whose signatures are asked for; empty for none.
    pub key_groups: Option<BTreeSet<String>>,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy<T> {
    /// By its id.
    Id(String),
    /// One of AWS's own, by its name.
    Managed(String),
    /// One that is made for this distribution.
    Own(T),
}

/// Names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Names {
    /// None.
    #[default]
    None,
    /// Only these.
    Only(BTreeSet<String>),
    /// All but these.
    AllBut(BTreeSet<String>),
    /// All.
    All,
}

/// A cache policy: what is in the key is sent to the origin, too.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CacheSettings {
    /// Seconds, at least.
    pub min_ttl: u64,
    /// Seconds, where the origin says nothing.
    pub default_ttl: u64,
    /// Seconds, at most.
    pub max_ttl: u64,
    /// Headers of the key.
    pub headers: BTreeSet<String>,
    /// Cookies of the key.
    pub cookies: Names,
    /// Parameters of the key.
    pub query: Names,
    /// Compressed answers have keys of their own.
    pub compression: bool,
}

/// An origin request policy: what the origin is sent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Headers.
    pub headers: ForwardedHeaders,
    /// Cookies.
    pub cookies: Names,
    /// Parameters.
    pub query: Names,
}

/// Headers that the origin is sent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ForwardedHeaders {
    /// None.
    #[default]
    None,
    /// Only these.
    Only(BTreeSet<String>),
    /// All that the viewer sent.
    AllViewer,
    /// All that the viewer sent, but these.
    AllBut(BTreeSet<String>),
}

/// `ForwardedValues` and the TTLs beside them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Legacy {
    /// Whether parameters are in the key, and sent.
    pub query_string: bool,
    /// Only these parameters; empty for all.
    pub query_string_keys: BTreeSet<String>,
    /// Headers; `*` for all, and then nothing is cached.
    pub headers: BTreeSet<String>,
    /// Cookies. [`Names::AllBut`] is not to be had.
    pub cookies: Names,
    /// Seconds, at least.
    pub min_ttl: Option<u64>,
    /// Seconds, where the origin says nothing.
    pub default_ttl: Option<u64>,
    /// Seconds, at most.
    pub max_ttl: Option<u64>,
}

/// A response headers policy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResponseHeaders {
    /// Who may ask from other pages.
    pub cors: Option<Cors>,
    /// `Strict-Transport-Security`.
    pub hsts: Option<Hsts>,
    /// `X-Content-Type-Options: nosniff`.
    pub nosniff: bool,
    /// `Referrer-Policy`.
    pub referrer_policy: Option<String>,
    /// `X-Frame-Options`: `DENY` or `SAMEORIGIN`.
    pub frame_options: Option<String>,
    /// `Content-Security-Policy`.
    pub content_security_policy: Option<String>,
    /// Other headers; they replace the origin's.
    pub custom: BTreeMap<String, String>,
    /// Headers of the origin's that are left away.
    pub remove: BTreeSet<String>,
}

/// Who may ask from other pages.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cors {
    /// Of which pages.
    pub origins: BTreeSet<String>,
    /// With which methods.
    pub methods: BTreeSet<String>,
    /// With which headers.
    pub headers: BTreeSet<String>,
    /// Whether with cookies.
    pub credentials: bool,
    /// Seconds that the permission is kept.
    pub max_age: Option<u64>,
}

/// `Strict-Transport-Security`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// Seconds.
    pub max_age: u64,
    /// With the names below.
    pub include_subdomains: bool,
    /// For the browsers' lists.
    pub preload: bool,
}

/// When a function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Before the cache.
    ViewerRequest,
    /// After it.
    ViewerResponse,
}

impl Event {
    /// Its name at AWS.
    pub fn name(self) -> &'static str {
        match self {
            Self::ViewerRequest => "viewer-request",
            Self::ViewerResponse => "viewer-response",
        }
    }
}

/// A function that a behaviour names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionRef {
    /// By its ARN.
    Arn(String),
    /// One of [`Spec::functions`].
    Own(String),
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// `cloudfront-js-2.0`.
    pub runtime: String,
    /// JavaScript.
    pub code: String,
}

impl Function {
    /// Answers 403 to everything: for paths that are not for the outside, such as metrics.
    pub fn closed() -> Self {
        let code = "function handler(event) { return {statusCode: 403, statusDescription: 'Forbidden'}; }";
        Self { runtime: "cloudfront-js-2.0".into(), code: code.into() }
    }
}
