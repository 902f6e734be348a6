//! What a distribution names and needs beside it: policies, an origin access control, functions.
//!
//! They take no tags, so name and comment say whose they are. Each one's name has a hash of what is in it, and none is ever
//! changed: another content is another one, which is made first, then named by the distribution, and then the former one is
//! deleted. So no behaviour is served half by the old and half by the new, and two calls that race make the same.

use super::{
    behavior::{Behavior, CacheSettings, Cors, Forwarded, ForwardedHeaders, Names, Policy, ResponseHeaders},
    element::Element,
    wish::{BucketAccess, OriginKind, Spec},
};
use crate::{Identity, digest};
use std::collections::{BTreeMap, BTreeSet};

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompanionKind {
    /// What is cached under which key.
    CachePolicy,
    /// What an origin is sent.
    OriginRequestPolicy,
    /// What answers bear.
    ResponseHeadersPolicy,
    /// How a bucket knows us.
    OriginAccessControl,
    /// A function.
    Function,
}

impl CompanionKind {
    /// Its name at AWS.
    pub fn name(self) -> &'static str {
        match self {
            Self::CachePolicy => "CachePolicy",
            Self::OriginRequestPolicy => "OriginRequestPolicy",
            Self::ResponseHeadersPolicy => "ResponseHeadersPolicy",
            Self::OriginAccessControl => "OriginAccessControl",
            Self::Function => "Function",
        }
    }

    /// Where its configuration says whose it is.
    fn comment(self) -> &'static str {
        if self == Self::OriginAccessControl { "Description" } else { "Comment" }
    }
}

/// Ids of AWS's own policies, by AWS's documentation.
const MANAGED: [(CompanionKind, &str, &str); 19] = {
    use CompanionKind::{CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy};
    [
        (CachePolicy, "Amplify", "2e54312d-136d-493c-8eb9-b001f22f67d2"),
        (CachePolicy, "CachingDisabled", "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"),
        (CachePolicy, "CachingOptimized", "658327ea-f89d-4fab-a63d-7e88639e58f6"),
        (CachePolicy, "CachingOptimizedForUncompressedObjects", "b2884449-e4de-46a7-ac36-70bc7f1ddd6d"),
        (CachePolicy, "Elemental-MediaPackage", "08627262-05a9-4f76-9ded-b50ca2e3a84f"),
        (CachePolicy, "UseOriginCacheControlHeaders", "83da9c7e-98b4-4e11-a168-04f0df8e2c65"),
        (CachePolicy, "UseOriginCacheControlHeaders-QueryStrings", "4cc15a8a-d715-48a4-82b8-cc0b614638fe"),
        (OriginRequestPolicy, "AllViewer", "216adef6-5c7f-47e4-b989-5492eafa07d3"),
        (OriginRequestPolicy, "AllViewerAndCloudFrontHeaders-2022-06", "33f36d7e-f396-46d9-90e0-52428a34d9dc"),
        (OriginRequestPolicy, "AllViewerExceptHostHeader", "b689b0a8-53d0-40ab-baf2-68738e2966ac"),
        (OriginRequestPolicy, "CORS-CustomOrigin", "59781a5b-3903-41f3-afcb-af62929ccde1"),
        (OriginRequestPolicy, "CORS-S3Origin", "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf"),
        (OriginRequestPolicy, "Elemental-MediaTailor-PersonalizedManifests", "775133bc-15f2-49f9-abea-afb2e0bf67d2"),
        (OriginRequestPolicy, "UserAgentRefererHeaders", "acba4595-bd28-49b8-b9fe-13317c0390fa"),
        (ResponseHeadersPolicy, "CORS-and-SecurityHeadersPolicy", "e61eb60c-9c35-4d20-a928-2b84e02af89c"),
        (ResponseHeadersPolicy, "CORS-With-Preflight", "5cc3b908-e619-4b99-88e5-2cf7f45965bd"),
        (
            ResponseHeadersPolicy,
            "CORS-with-preflight-and-SecurityHeadersPolicy",
            "eaab4381-ed33-4a86-88ca-d9558dc6cd63",
        ),
        (ResponseHeadersPolicy, "SecurityHeadersPolicy", "67f7725c-6f97-4210-82d7-5512b31e9d03"),
        (ResponseHeadersPolicy, "SimpleCORS", "60669652-455b-4ae9-85a4-c4c02393f86c"),
    ]
};

/// Id of one of AWS's own policies.
pub(super) fn managed(kind: CompanionKind, name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("Managed-").unwrap_or(name);
    MANAGED.iter().find(|(of, one, _)| *of == kind && *one == name).map(|(.., id)| *id)
}

/// Names of AWS's own policies.
pub(super) fn managed_names(kind: CompanionKind) -> String {
    MANAGED.iter().filter(|(of, ..)| *of == kind).map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// One that is wished.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub kind: CompanionKind,
    pub name: String,
    /// Its configuration, as it is sent.
    pub config: Element,
    /// A function's code.
    pub code: Option<String>,
}

/// All that are wished, and the ids of those that are there.
pub(super) struct Companions {
    prefix: String,
    comment: String,
    functions: BTreeMap<String, String>,
    pub wanted: Vec<Wanted>,
    pub ids: BTreeMap<(CompanionKind, String), String>,
    /// Ids of all of ours that are there, wished or not.
    pub ours: BTreeSet<String>,
}

/// What is in a policy of our own.
pub(super) trait Content {
    const KIND: CompanionKind;
    fn config(&self) -> Element;
}

impl Companions {
    pub fn of(identity: &Identity, spec: &Spec) -> Self {
        let (prefix, comment) = (prefix(identity), comment(identity));
        let mut all = Self {
            prefix,
            comment,
            functions: BTreeMap::new(),
            wanted: Vec::new(),
            ids: BTreeMap::new(),
            ours: BTreeSet::new(),
        };
        if spec.origins.iter().any(|origin| origin.kind == OriginKind::S3(BucketAccess::Own)) {
            all.want(CompanionKind::OriginAccessControl, access_control(), None);
        }
        for (name, function) in &spec.functions {
            let config = Element::node("FunctionConfig", vec![Element::text("Runtime", &function.runtime)]);
            let wire = all.want(CompanionKind::Function, config, Some(function.code.clone()));
            all.functions.insert(name.clone(), wire);
        }
        for (_, _, behavior) in spec.all() {
            all.want_policy(behavior.cache_policy.as_ref());
            all.want_policy(behavior.origin_request_policy.as_ref());
            all.want_policy(response_headers(behavior).as_ref());
        }
        all
    }

    fn want_policy<T: Content>(&mut self, policy: Option<&Policy<T>>) {
        if let Some(Policy::Own(content)) = policy {
            self.want(T::KIND, content.config(), None);
        }
    }

    fn want(&mut self, kind: CompanionKind, content: Element, code: Option<String>) -> String {
        let name = self.name(&content, code.as_deref());
        if !self.wanted.iter().any(|one| (one.kind, &one.name) == (kind, &name)) {
            let mut config = content;
            let mut front = vec![Element::text(kind.comment(), &self.comment)];
            if kind != CompanionKind::Function {
                front.push(Element::text("Name", &name));
            }
            if kind == CompanionKind::OriginAccessControl {
                front.reverse();
            }
            config.children.splice(0..0, front);
            self.wanted.push(Wanted { kind, name: name.clone(), config, code });
        }
        name
    }

    fn name(&self, content: &Element, code: Option<&str>) -> String {
        let hash = digest::short(&format!("{}\n{}", content.to_xml(), code.unwrap_or_default()));
        format!("{}{hash}", self.prefix)
    }

    /// Its id; its name in words where it is not there yet.
    fn id(&self, kind: CompanionKind, name: &str) -> String {
        let id = self.ids.get(&(kind, name.to_owned()));
        id.cloned().unwrap_or_else(|| format!("({name})"))
    }

    pub fn control(&self) -> String {
        self.id(CompanionKind::OriginAccessControl, &self.name(&access_control(), None))
    }

    pub fn function(&self, name: &str) -> String {
        self.functions.get(name).map(|name| self.id(CompanionKind::Function, name)).unwrap_or_default()
    }

    pub fn policy<T: Content>(&self, kind: CompanionKind, policy: &Policy<T>) -> String {
        match policy {
            Policy::Id(id) => id.clone(),
            Policy::Managed(name) => managed(kind, name).unwrap_or_default().to_owned(),
            Policy::Own(content) => self.id(kind, &self.name(&content.config(), None)),
        }
    }
}

/// What the names of ours begin with.
pub(super) fn prefix(identity: &Identity) -> String {
    format!("{}-", identity.cdn())
}

/// What the comments of ours say: the platform's name alone could be another cluster's.
pub(super) fn comment(identity: &Identity) -> String {
    format!("learningplatform.dev/{}", identity.caller_reference(0))
}

/// The headers of answers, with what browsers are told.
pub(super) fn response_headers(behavior: &Behavior) -> Option<Policy<ResponseHeaders>> {
    let Some(ttl) = behavior.browser_ttl else { return behavior.response_headers_policy.clone() };
    let mut headers = match &behavior.response_headers_policy {
        Some(Policy::Own(headers)) => headers.clone(),
        Some(other) => return Some(other.clone()),
        None => ResponseHeaders::default(),
    };
    let control = if ttl == 0 { "no-cache".to_owned() } else { format!("public, max-age={ttl}") };
    headers.custom.insert("Cache-Control".into(), control);
    Some(Policy::Own(headers))
}

fn access_control() -> Element {
    Element::node(
        "OriginAccessControlConfig",
        vec![
            Element::text("SigningProtocol", "sigv4"),
            Element::text("SigningBehavior", "always"),
            Element::text("OriginAccessControlOriginType", "s3"),
        ],
    )
}

fn choice(name: &str, behavior: &str, list: &str, (word, names): (&str, Vec<&str>)) -> Element {
    let mut children = vec![Element::text(behavior, word)];
    if !names.is_empty() {
        children.push(Element::list(list, "Name", names));
    }
    Element::node(name, children)
}

impl Names {
    fn words(&self) -> (&str, Vec<&str>) {
        match self {
            Self::None => ("none", Vec::new()),
            Self::Only(names) => ("whitelist", names.iter().map(String::as_str).collect()),
            Self::AllBut(names) => ("allExcept", names.iter().map(String::as_str).collect()),
            Self::All => ("all", Vec::new()),
        }
    }
}

fn cookies_and_query(cookies: &Names, query: &Names) -> [Element; 2] {
    [
        choice("CookiesConfig", "CookieBehavior", "Cookies", cookies.words()),
        choice("QueryStringsConfig", "QueryStringBehavior", "QueryStrings", query.words()),
    ]
}

impl Content for CacheSettings {
    const KIND: CompanionKind = CompanionKind::CachePolicy;

    fn config(&self) -> Element {
        let headers = self.headers.iter().map(String::as_str).collect::<Vec<_>>();
        let word = if headers.is_empty() { "none" } else { "whitelist" };
        let [cookies, query] = cookies_and_query(&self.cookies, &self.query);
        let parameters = vec![
            Element::text("EnableAcceptEncodingGzip", self.compression),
            Element::text("EnableAcceptEncodingBrotli", self.compression),
            choice("HeadersConfig", "HeaderBehavior", "Headers", (word, headers)),
            cookies,
            query,
        ];
        Element::node(
            "CachePolicyConfig",
            vec![
                Element::text("DefaultTTL", self.default_ttl),
                Element::text("MaxTTL", self.max_ttl),
                Element::text("MinTTL", self.min_ttl),
                Element::node("ParametersInCacheKeyAndForwardedToOrigin", parameters),
            ],
        )
    }
}

impl Content for Forwarded {
    const KIND: CompanionKind = CompanionKind::OriginRequestPolicy;

    fn config(&self) -> Element {
        let words = match &self.headers {
            ForwardedHeaders::None => ("none", Vec::new()),
            ForwardedHeaders::Only(names) => ("whitelist", names.iter().map(String::as_str).collect()),
            ForwardedHeaders::AllViewer => ("allViewer", Vec::new()),
            ForwardedHeaders::AllBut(names) => ("allExcept", names.iter().map(String::as_str).collect()),
        };
        let headers = choice("HeadersConfig", "HeaderBehavior", "Headers", words);
        let [cookies, query] = cookies_and_query(&self.cookies, &self.query);
        Element::node("OriginRequestPolicyConfig", vec![headers, cookies, query])
    }
}

impl Content for ResponseHeaders {
    const KIND: CompanionKind = CompanionKind::ResponseHeadersPolicy;

    fn config(&self) -> Element {
        let mut children: Vec<Element> = self.cors.iter().map(cors).collect();
        let mut security = Vec::new();
        let mut replaces = |name: &str, fields: Vec<Element>| {
            let mut children = vec![Element::text("Override", true)];
            children.extend(fields);
            security.push(Element::node(name, children));
        };
        for (name, field, value) in [
            ("FrameOptions", "FrameOption", &self.frame_options),
            ("ReferrerPolicy", "ReferrerPolicy", &self.referrer_policy),
            ("ContentSecurityPolicy", "ContentSecurityPolicy", &self.content_security_policy),
        ] {
            if let Some(value) = value {
                replaces(name, vec![Element::text(field, value)]);
            }
        }
        if self.nosniff {
            replaces("ContentTypeOptions", Vec::new());
        }
        if let Some(hsts) = &self.hsts {
            let fields = vec![
                Element::text("IncludeSubdomains", hsts.include_subdomains),
                Element::text("Preload", hsts.preload),
                Element::text("AccessControlMaxAgeSec", hsts.max_age),
            ];
            replaces("StrictTransportSecurity", fields);
        }
        if !security.is_empty() {
            children.push(Element::node("SecurityHeadersConfig", security));
        }
        if !self.custom.is_empty() {
            let header = |(name, value): (&String, &String)| {
                let fields =
                    vec![Element::text("Header", name), Element::text("Value", value), Element::text("Override", true)];
                Element::node("ResponseHeadersPolicyCustomHeader", fields)
            };
            children.push(Element::items_of("CustomHeadersConfig", self.custom.iter().map(header).collect()));
        }
        if !self.remove.is_empty() {
            let header =
                |name: &String| Element::node("ResponseHeadersPolicyRemoveHeader", vec![Element::text("Header", name)]);
            children.push(Element::items_of("RemoveHeadersConfig", self.remove.iter().map(header).collect()));
        }
        Element::node("ResponseHeadersPolicyConfig", children)
    }
}

fn cors(cors: &Cors) -> Element {
    let list = |name: &str, item: &str, values: &BTreeSet<String>| {
        Element::list(name, item, values.iter().map(String::as_str))
    };
    let mut children = vec![
        list("AccessControlAllowOrigins", "Origin", &cors.origins),
        list("AccessControlAllowHeaders", "Header", &cors.headers),
        list("AccessControlAllowMethods", "Method", &cors.methods),
        Element::text("AccessControlAllowCredentials", cors.credentials),
    ];
    children.extend(cors.max_age.map(|age| Element::text("AccessControlMaxAgeSec", age)));
    children.push(Element::text("OriginOverride", true));
    Element::node("CorsConfig", children)
}
