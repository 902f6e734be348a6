//! What works, and is not what is meant: settings that guides for learning platforms recommend, and that leak, expose or pin.

use super::behavior::{Behavior, CacheSettings, Event, ForwardedHeaders, Names, Policy, ResponseHeaders};

use super::wish::{BucketAccess, OriginKind, Spec};

/// Something that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub rule: Rule,
    /// The field, as the user wrote it.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

/// What is probably not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// One person's answer is served to another.
    PersonalPathShared,
    /// The origin sees who asks, and the cache does not.
    AuthorizationOutsideKey,
    /// A service worker is kept for longer than a day: a broken one cannot be replaced.
    ServiceWorkerPinned,
    /// Metrics are served to everybody.
    MetricsExposed,
    /// Pages are kept for a day, and nothing makes the edges forget them after a rollout.
    HtmlNotInvalidated,
    /// The origin answers to everybody, past the edge and what it does.
    OriginReachableDirectly,
}

/// Paths whose answers are one person's, in learning platforms as the guides describe them.
const PERSONAL: [&str; 7] = [
    "/api/me/progress",
    "/api/me/analytics",
    "/api/progress",
    "/api/progress/update",
    "/api/vocabulary/recommendations",
    "/api/auth/session",
    "/api/account",
];
/// Where service workers are.
const SERVICE_WORKERS: [&str; 2] = ["/sw.js", "/service-worker.js"];
/// Where metrics are.
const METRICS: [&str; 2] = ["/metrics", "/api/metrics"];
/// Where pages are.
const PAGES: [&str; 2] = ["/", "/index.html"];
const DAY: u64 = 86_400;

/// What is probably not meant.
pub fn lint(spec: &Spec) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |rule, field: &str, message: String, remedy: &str| {
        let is_told = |one: &Warning| one.rule == rule && one.field == field;
        if !warnings.iter().any(is_told) {
            warnings.push(Warning { rule, field: field.to_owned(), message, remedy: remedy.to_owned() });
        }
    };
    for path in PERSONAL {
        let Some((field, _, behavior)) = serving(spec, path) else { continue };
        let cache = Cache::of(behavior);
        if cache.may_keep() && !cache.knows_who {
            let keeps = cache.words();
            warn(
                Rule::PersonalPathShared,
                &field,
                format!(
                    "{path} is one person's, and {field} keeps answers {keeps} under a key that does not say whose"
                ),
                "put a behavior for the path before it with cachePolicy CachingDisabled and originRequestPolicy AllViewer",
            );
        }
    }
    for (field, _, behavior) in spec.all() {
        let cache = Cache::of(behavior);
        if cache.may_keep() && cache.forwards_authorization && !cache.knows_authorization {
            warn(
                Rule::AuthorizationOutsideKey,
                &field,
                format!(
                    "the origin is sent Authorization, and answers are kept {} under a key without it",
                    cache.words()
                ),
                "put Authorization into the headers of the cachePolicy, or use CachingDisabled",
            );
        }
    }
    for path in SERVICE_WORKERS {
        let Some((field, pattern, behavior)) = serving(spec, path) else { continue };
        let cache = Cache::of(behavior);
        // Whether an origin that says nothing has one at all below the default behaviour is not known.
        let edge = if pattern.is_some() { cache.default_ttl } else { cache.min_ttl };
        let longest = edge.max(browser(behavior).unwrap_or(0));
        if longest > DAY {
            warn(
                Rule::ServiceWorkerPinned,
                &field,
                format!("{path} is kept for {longest} s: a service worker that is broken stays with its users as long"),
                "put a behavior for the path before it with cachePolicy CachingDisabled and browserTTL 0",
            );
        }
    }
    for path in METRICS {
        let Some((field, _, behavior)) = serving(spec, path) else { continue };
        let kind = spec.origins.iter().find(|origin| origin.id == behavior.origin).map(|origin| &origin.kind);
        let is_app = !matches!(kind, Some(OriginKind::S3(_)));
        let exact =
            spec.behaviors.iter().any(|(pattern, _)| pattern.trim_start_matches('/') == path.trim_start_matches('/'));
        let has_gate = behavior.functions.as_ref().is_some_and(|all| all.contains_key(&Event::ViewerRequest));
        let is_signed = behavior.key_groups.as_ref().is_some_and(|groups| !groups.is_empty());
        if is_app && !(exact && has_gate) && !is_signed {
            warn(
                Rule::MetricsExposed,
                &field,
                format!("{path} leads to an app: everybody can read its metrics there, if it has any"),
                "put a behavior for the path before it with closed: true; Prometheus scrapes in the cluster",
            );
        }
    }
    for path in PAGES {
        let Some((field, _, behavior)) = serving(spec, path) else { continue };
        let cache = Cache::of(behavior);
        let is_invalidated = spec.invalidate.values().flatten().any(|one| matches(one, path));
        if cache.default_ttl.min(cache.max_ttl) >= DAY && !is_invalidated {
            warn(
                Rule::HtmlNotInvalidated,
                &field,
                format!(
                    "pages ({path}) are kept for {} s where the origin says nothing: a rollout is not seen as long",
                    cache.default_ttl
                ),
                "name the pages in invalidateAfter of the app that makes them, or lower defaultTTL",
            );
        }
    }
    for origin in &spec.origins {
        let field = format!("origins[{}]", origin.id);
        match &origin.kind {
            OriginKind::Custom(_) if origin.headers.is_empty() => warn(
                Rule::OriginReachableDirectly,
                &field,
                format!("{} answers to everybody, not to CloudFront alone", origin.domain),
                "set headers with a value from a Secret, and let the gateway refuse requests without it; or use a VPC origin",
            ),
            OriginKind::S3(BucketAccess::Public) => warn(
                Rule::OriginReachableDirectly,
                &field,
                format!("the bucket {} is read as anybody can read it", origin.domain),
                "use an origin access control, and let the bucket's policy allow it alone",
            ),
            _ => {}
        }
    }
    warnings
}

/// The behaviour that serves a path: the first whose pattern matches.
fn serving<'a>(spec: &'a Spec, path: &str) -> Option<(String, Option<&'a str>, &'a Behavior)> {
    spec.all().find(|(_, pattern, _)| pattern.is_none_or(|pattern| matches(pattern, path)))
}

/// Whether a pattern of CloudFront's matches a path: `*` is any number of characters, `?` is one. A leading slash says nothing.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    fn glob(pattern: &[u8], path: &[u8]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=path.len()).any(|skip| glob(rest, &path[skip..])),
            (Some((b'?', rest)), Some((_, after))) => glob(rest, after),
            (Some((one, rest)), Some((other, after))) => one == other && glob(rest, after),
            _ => false,
        }
    }
    glob(pattern.trim_start_matches('/').as_bytes(), path.trim_start_matches('/').as_bytes())
}

/// What a behaviour keeps, and what it knows of who asks.
struct Cache {
    min_ttl: u64,
    default_ttl: u64,
    max_ttl: u64,
    /// Cookies or Authorization are in the key.
    knows_who: bool,
    knows_authorization: bool,
    forwards_authorization: bool,
}

impl Cache {
    fn of(behavior: &Behavior) -> Self {
        let is_authorization = |name: &String| name.eq_ignore_ascii_case("Authorization") || name == "*";
        let forwarded = match &behavior.origin_request_policy {
            Some(Policy::Managed(name)) => name.contains("AllViewer"),
            Some(Policy::Own(forwarded)) => match &forwarded.headers {
                ForwardedHeaders::AllViewer => true,
                ForwardedHeaders::AllBut(names) => !names.iter().any(is_authorization),
                ForwardedHeaders::Only(names) => names.iter().any(is_authorization),
                ForwardedHeaders::None => false,
            },
            Some(Policy::Id(_)) | None => false,
        };
        let keyed = |settings: &CacheSettings| {
            let knows = settings.headers.iter().any(is_authorization);
            Self {
                min_ttl: settings.min_ttl,
                default_ttl: settings.default_ttl,
                max_ttl: settings.max_ttl,
                knows_who: knows || settings.cookies != Names::None,
                knows_authorization: knows,
                forwards_authorization: forwarded || knows,
            }
        };
        if let Some(legacy) = &behavior.legacy {
            let (min_ttl, knows) = (legacy.min_ttl.unwrap_or(0), legacy.headers.iter().any(is_authorization));
            // With all headers nothing is kept.
            let is_off = legacy.headers.contains("*");
            return Self {
                min_ttl,
                default_ttl: legacy.default_ttl.unwrap_or(DAY),
                max_ttl: if is_off { 0 } else { legacy.max_ttl.unwrap_or(365 * DAY) },
                knows_who: knows || legacy.cookies != Names::None,
                knows_authorization: knows,
                forwards_authorization: knows,
            };
        }
        match &behavior.cache_policy {
            Some(Policy::Own(settings)) => keyed(settings),
            Some(Policy::Managed(name)) => {
                let ttls = match name.strip_prefix("Managed-").unwrap_or(name) {
                    "CachingOptimized" | "CachingOptimizedForUncompressedObjects" => (1, DAY, 365 * DAY),
                    "UseOriginCacheControlHeaders" | "UseOriginCacheControlHeaders-QueryStrings" => (0, 0, 365 * DAY),
                    "Amplify" => (2, 2, 600),
                    "Elemental-MediaPackage" => (0, DAY, 365 * DAY),
                    _ => (0, 0, 0),
                };
                let (min_ttl, default_ttl, max_ttl) = ttls;
                // These two have all cookies in their key, and the first has Authorization.
                let cookies =
                    if name.contains("UseOrigin") || name.contains("Amplify") { Names::All } else { Names::None };
                let settings = CacheSettings { min_ttl, default_ttl, max_ttl, cookies, ..CacheSettings::default() };
                let cache = keyed(&settings);
                Self { knows_authorization: name.contains("Amplify"), ..cache }
            }
            // What is in a policy of somebody else's is not known here.
            Some(Policy::Id(_)) | None => keyed(&CacheSettings::default()),
        }
    }

    /// Whether an answer can be kept at all: as it is wished, or as the origin says.
    fn may_keep(&self) -> bool {
        self.max_ttl > 0
    }

    fn words(&self) -> String {
        match self.default_ttl {
            0 => format!("for up to {} s if the origin says so", self.max_ttl),
            seconds => format!("for {seconds} s where the origin says nothing"),
        }
    }
}

/// Seconds that browsers are told to keep answers.
fn browser(behavior: &Behavior) -> Option<u64> {
    let of_header = |headers: &ResponseHeaders| {
        let (_, value) = headers.custom.iter().find(|(name, _)| name.eq_ignore_ascii_case("Cache-Control"))?;
        value.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
    };
    behavior.browser_ttl.or_else(|| match &behavior.response_headers_policy {
        Some(Policy::Own(headers)) => of_header(headers),
        _ => None,
    })
}
