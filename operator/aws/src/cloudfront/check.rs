//! What is wrong with a wish, before AWS is asked: in words that name the field as the user wrote it.

use super::{
    behavior::{Behavior, CacheSettings, FunctionRef, Names, Policy},
    companion::{CompanionKind, managed, managed_names},
    wish::{BucketAccess, Origin, OriginKind, Scope, Spec, Wish},
};
use std::collections::BTreeSet;

/// Statuses that there can be a page for, by AWS's documentation.
const ERROR_CODES: [u16; 11] = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504];
/// The sets of methods that can be allowed, by AWS's documentation.
const METHODS: [&[&str]; 3] =
    [&["GET", "HEAD"], &["GET", "HEAD", "OPTIONS"], &["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]];
/// Longest `/`-path and pattern, by AWS's documentation.
const LONGEST_PATTERN: usize = 255;
/// Longest id of an origin of the user's, before which our prefix may stand: AWS takes 128 characters.
const LONGEST_ORIGIN: usize = 80;

/// What is wrong, one sentence each.
pub(super) fn problems(wish: &Wish) -> Vec<String> {
    let mut problems = Problems(Vec::new());
    let spec = &wish.spec;
    match &wish.scope {
        Scope::Own => {
            let missing = "behaviors[*] is missing: it says what is done with paths that no pattern matches";
            problems.when(spec.default_behavior.is_none(), || missing.into());
        }
        Scope::Attach { .. } => problems.attach(spec),
    }
    problems.origins(spec);
    let mut patterns = BTreeSet::new();
    for (path, _) in &spec.behaviors {
        problems.when(!patterns.insert(path.trim_start_matches('/')), || {
            format!("behaviors[{path}]: there are two for this path: the second would never be asked. Remove one")
        });
        let legal = |c: char| c.is_ascii_alphanumeric() || "_-.*$/~\"'@:+&?".contains(c);
        problems.when(path.is_empty() || path.len() > LONGEST_PATTERN || !path.chars().all(legal), || {
            format!("behaviors[{path}]: use 1 to {LONGEST_PATTERN} letters, digits and _ - . * $ / ~ \" ' @ : + & ?")
        });
        problems.when(path == "*", || format!("behaviors[{path}]: that is the default one, of which there is one"));
    }
    for (field, _, behavior) in spec.all() {
        problems.behavior(&field, behavior, spec);
    }
    problems.distribution(spec);
    problems.invalidations(wish);
    problems.0
}

struct Problems(Vec<String>);

impl Problems {
    fn when(&mut self, wrong: bool, words: impl FnOnce() -> String) {
        if wrong {
            self.0.push(words());
        }
    }

    fn one_of(&mut self, field: &str, value: &str, values: &[&str]) {
        self.when(!values.contains(&value), || format!("{field} {value:?}: use one of {}", values.join(", ")));
    }

    /// Of somebody else's distribution only behaviours and origins can be ours.
    fn attach(&mut self, spec: &Spec) {
        let fields = [
            ("behaviors[*]", spec.default_behavior.is_some()),
            ("enabled", spec.enabled.is_some()),
            ("aliases", spec.aliases.is_some()),
            ("certificate", spec.certificate.is_some()),
            ("comment", spec.comment.is_some()),
            ("defaultRootObject", spec.default_root_object.is_some()),
            ("priceClass", spec.price_class.is_some()),
            ("httpVersion", spec.http_version.is_some()),
            ("ipv6", spec.ipv6.is_some()),
            ("webACL", spec.web_acl.is_some()),
            ("geoRestriction", spec.geo_restriction.is_some()),
            ("errors", spec.errors.is_some()),
            ("logging", spec.logging.is_some()),
        ];
        for (field, _) in fields.iter().filter(|(_, is_set)| *is_set) {
            self.0.push(format!(
                "{field} is of the whole distribution, which is somebody else's beside distributionId: remove one of them"
            ));
        }
        self.when(spec.behaviors.is_empty(), || {
            "behaviors is empty: nothing else is put into the distribution of distributionId. Add some".into()
        });
    }

    fn origins(&mut self, spec: &Spec) {
        self.when(spec.origins.is_empty(), || "origins is empty: name where answers come from".into());
        let mut ids = BTreeSet::new();
        for Origin { id, domain, path, headers, kind, connection_attempts, connection_timeout, .. } in &spec.origins {
            let field = format!("origins[{id}]");
            self.when(!ids.insert(id), || format!("{field}: there are two of this id. Give each its own"));
            self.when(id.is_empty() || id.len() > LONGEST_ORIGIN, || {
                format!("{field}: use 1 to {LONGEST_ORIGIN} characters")
            });
            let name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
            self.when(domain.is_empty() || !domain.chars().all(name), || {
                format!("{field}.domain {domain:?}: use a name of DNS, without scheme, port and path")
            });
            self.when(
                path.as_ref().is_some_and(|path| !path.is_empty() && (!path.starts_with('/') || path.ends_with('/'))),
                || format!("{field}.path: begin it with a slash, and end it without one"),
            );
            self.when(connection_attempts.is_some_and(|number| !(1..=3).contains(&number)), || {
                format!("{field}.connectionAttempts: use 1 to 3")
            });
            self.when(connection_timeout.is_some_and(|seconds| !(1..=10).contains(&seconds)), || {
                format!("{field}.connectionTimeout: use 1 to 10 seconds")
            });
            let mut names = BTreeSet::new();
            for (name, value) in headers {
                self.when(!names.insert(name.to_ascii_lowercase()), || {
                    format!("{field}.headers[{name}]: there are two that differ by case only. Remove one")
                });
                let text = value.as_ref().map(|value| value.reveal());
                self.when(
                    text.is_some_and(|text| text.is_empty() || !text.chars().all(|c| c == ' ' || c.is_ascii_graphic())),
                    || {
                        format!(
                            "{field}.headers[{name}]: the Secret's value has to be printable ASCII, without line ends"
                        )
                    },
                );
            }
            match kind {
                OriginKind::Custom(custom) => {
                    self.one_of(
                        &format!("{field}.protocol"),
                        &custom.protocol,
                        &["http-only", "https-only", "match-viewer"],
                    );
                    let versions = ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2"];
                    custom.tls.iter().for_each(|tls| self.one_of(&format!("{field}.tls"), tls, &versions));
                    self.when(custom.tls.is_empty(), || format!("{field}.tls is empty: use TLSv1.2"));
                }
                OriginKind::S3(access) => {
                    self.when(*access == BucketAccess::Own && !domain.contains(".s3"), || {
                        format!("{field}.domain {domain:?}: an origin access control needs a bucket's own name, as in BUCKET.s3.REGION.amazonaws.com")
                    });
                }
                OriginKind::Vpc { id, .. } => {
                    self.when(id.is_empty(), || format!("{field}.vpcOrigin is empty: name its id"))
                }
            }
        }
    }

    fn behavior(&mut self, field: &str, behavior: &Behavior, spec: &Spec) {
        let origin = &behavior.origin;
        self.when(!spec.origins.iter().any(|one| one.id == *origin), || {
            let ids: Vec<&str> = spec.origins.iter().map(|one| one.id.as_str()).collect();
            format!("{field}.origin {origin:?}: origins has {}", ids.join(", "))
        });
        let policies = ["allow-all", "https-only", "redirect-to-https"];
        self.one_of(&format!("{field}.viewerProtocolPolicy"), &behavior.viewer_protocol_policy, &policies);
        if let Some(methods) = &behavior.allowed_methods {
            let set: Vec<&str> = methods.iter().map(String::as_str).collect();
            self.when(!METHODS.contains(&set.as_slice()), || {
                let sets = METHODS.map(|set| set.join(", ")).join("; or ");
                format!("{field}.allowedMethods: CloudFront has {sets}")
            });
        }
        if let Some(methods) = &behavior.cached_methods {
            let set: Vec<&str> = methods.iter().map(String::as_str).collect();
            self.when(!METHODS[..2].contains(&set.as_slice()), || {
                format!("{field}.cachedMethods: CloudFront has GET, HEAD; or GET, HEAD, OPTIONS")
            });
            let allowed = behavior.allowed_methods.as_ref();
            self.when(allowed.is_some_and(|allowed| !methods.is_subset(allowed)), || {
                format!("{field}.cachedMethods: only what is in allowedMethods can be cached")
            });
        }
        if let Some(legacy) = &behavior.legacy {
            self.when(behavior.cache_policy.is_some() || behavior.origin_request_policy.is_some(), || {
                format!("{field}: forwardedValues and TTLs cannot stand beside a policy: remove one of them")
            });
            self.ttls(field, legacy.min_ttl.unwrap_or(0), legacy.default_ttl, legacy.max_ttl);
            self.when(matches!(legacy.cookies, Names::AllBut(_)), || {
                format!("{field}.cookies: all but some is only to be had in a cachePolicy")
            });
            self.when(!legacy.query_string && !legacy.query_string_keys.is_empty(), || {
                format!("{field}.queryStringKeys: set queryString, too")
            });
        } else {
            self.when(behavior.cache_policy.is_none(), || {
                format!(
                    "{field}.cachePolicy is missing: name one of AWS's ({}), or say what is cached",
                    managed_names(CompanionKind::CachePolicy)
                )
            });
        }
        self.policy(&format!("{field}.cachePolicy"), CompanionKind::CachePolicy, behavior.cache_policy.as_ref());
        let requests = behavior.origin_request_policy.as_ref();
        self.policy(&format!("{field}.originRequestPolicy"), CompanionKind::OriginRequestPolicy, requests);
        let headers = behavior.response_headers_policy.as_ref();
        self.policy(&format!("{field}.responseHeadersPolicy"), CompanionKind::ResponseHeadersPolicy, headers);
        self.when(behavior.browser_ttl.is_some() && matches!(headers, Some(Policy::Id(_) | Policy::Managed(_))), || {
            format!("{field}.browserTTL is a header of its own policy: say in responseHeadersPolicy what it is to bear, instead of naming one")
        });
        if let Some(Policy::Own(settings)) = &behavior.cache_policy {
            self.cache_settings(field, settings);
        }
        for of in behavior.functions.iter().flat_map(|functions| functions.values()) {
            if let FunctionRef::Own(name) = of {
                self.when(!spec.functions.contains_key(name), || {
                    format!("{field}.functions {name:?}: functions has none of this name")
                });
            }
        }
    }

    fn cache_settings(&mut self, field: &str, settings: &CacheSettings) {
        self.ttls(
            &format!("{field}.cachePolicy"),
            settings.min_ttl,
            Some(settings.default_ttl),
            Some(settings.max_ttl),
        );
        let has_key = !settings.headers.is_empty()
            || settings.cookies != Names::None
            || settings.query != Names::None
            || settings.compression;
        self.when(settings.max_ttl == 0 && has_key, || {
            format!("{field}.cachePolicy: with maxTTL 0 nothing is cached, and AWS takes no key: say in originRequestPolicy what the origin is sent")
        });
        self.when(settings.headers.contains("*"), || {
            format!("{field}.cachePolicy.headers: '*' is only to be had in forwardedValues")
        });
    }

    fn ttls(&mut self, field: &str, min: u64, default: Option<u64>, max: Option<u64>) {
        let (default, max) = (default.unwrap_or(min.max(86_400)), max.unwrap_or(min.max(31_536_000)));
        self.when(!(min <= default && default <= max), || {
            format!("{field}: minTTL {min}, defaultTTL {default} and maxTTL {max} have to stand in this order")
        });
    }

    fn policy<T>(&mut self, field: &str, kind: CompanionKind, policy: Option<&Policy<T>>) {
        if let Some(Policy::Managed(name)) = policy {
            self.when(managed(kind, name).is_none(), || {
                format!("{field} {name:?}: AWS has {}; others are named by their id", managed_names(kind))
            });
        }
    }

    fn distribution(&mut self, spec: &Spec) {
        let has_aliases = spec.aliases.as_ref().is_some_and(|aliases| !aliases.is_empty());
        self.when(has_aliases && spec.certificate.is_none(), || {
            "aliases: CloudFront's own certificate is not for them: name one of ACM's in certificate".into()
        });
        if let Some(certificate) = &spec.certificate {
            let parts: Vec<&str> = certificate.arn.split(':').collect();
            let is_acm = parts.len() == 6 && parts[2] == "acm";
            self.when(!is_acm, || {
                format!("certificate.arn {:?}: use the ARN of a certificate of ACM", certificate.arn)
            });
            self.when(is_acm && parts[3] != "us-east-1", || {
                format!("certificate.arn is of {}: CloudFront takes certificates of us-east-1 only", parts[3])
            });
        }
        self.when(spec.default_root_object.as_ref().is_some_and(|name| name.starts_with('/')), || {
            "defaultRootObject begins with a slash: write index.html, not /index.html".into()
        });
        if let Some(class) = &spec.price_class {
            self.one_of("priceClass", class, &["PriceClass_100", "PriceClass_200", "PriceClass_All", "None"]);
        }
        if let Some(version) = &spec.http_version {
            self.one_of("httpVersion", version, &["http1.1", "http2", "http3", "http2and3"]);
        }
        let mut codes = BTreeSet::new();
        for page in spec.errors.iter().flatten() {
            let field = format!("errors[{}]", page.code);
            self.when(!codes.insert(page.code), || format!("{field}: there are two for this status. Remove one"));
            self.when(!ERROR_CODES.contains(&page.code), || {
                format!("{field}: CloudFront has pages for {}", ERROR_CODES.map(|code| code.to_string()).join(", "))
            });
            self.when(page.page.is_some() != page.response_code.is_some(), || {
                format!("{field}: page and responseCode belong together")
            });
            self.when(page.page.as_ref().is_some_and(|path| !path.starts_with('/')), || {
                format!("{field}.page: begin it with a slash")
            });
        }
    }

    fn invalidations(&mut self, wish: &Wish) {
        for (app, paths) in &wish.spec.invalidate {
            for path in paths {
                let field = format!("invalidateAfter[{app}] {path:?}");
                self.when(!path.starts_with('/'), || format!("{field}: begin it with a slash"));
                self.when(path.find('*').is_some_and(|at| at + 1 < path.len()), || {
                    format!("{field}: a star can only stand at the end")
                });
                let is_ours =
                    |(pattern, _): &(String, Behavior)| super::lint::matches(pattern, path.trim_end_matches('*'));
                self.when(wish.scope != Scope::Own && !wish.spec.behaviors.iter().any(is_ours), || {
                    format!("{field}: beside distributionId only paths of behaviors are invalidated. Add one for it, or remove it")
                });
            }
        }
    }
}
