//! What is wished, in CloudFront's words. Fields stand in the order of AWS's model.

use super::{
    behavior::{Behavior, FunctionRef, Legacy, Names},
    companion::{CompanionKind, Companions},
    element::Element,
    overlay::{Others, Patch},
    wish::{BucketAccess, Certificate, Custom, ErrorPage, GeoRestriction, Logging, Origin, OriginKind, Spec},
};
use std::collections::BTreeSet;

type Fields = Vec<(&'static str, Patch)>;

fn optional(fields: &mut Fields, name: &'static str, value: Option<impl ToString>) {
    if let Some(value) = value {
        fields.push((name, Patch::text(value)));
    }
}

/// All of a distribution but its `CallerReference`.
pub(super) fn distribution(spec: &Spec, companions: &Companions) -> Patch {
    let mut fields: Fields = Vec::new();
    if let Some(aliases) = &spec.aliases {
        let aliases = aliases.iter().map(|alias| alias.to_lowercase()).collect();
        fields.push(("Aliases", Patch::names("CNAME", &aliases)));
    }
    optional(&mut fields, "DefaultRootObject", spec.default_root_object.as_ref());
    fields.push(("Origins", origins(spec, companions, "", Others::Remove)));
    if let Some(behavior) = &spec.default_behavior {
        fields.push(("DefaultCacheBehavior", self::behavior(behavior, companions, "")));
    }
    fields.push(("CacheBehaviors", behaviors(spec, companions, "", Others::Remove)));
    if let Some(errors) = &spec.errors {
        fields.push(("CustomErrorResponses", error_pages(errors)));
    }
    optional(&mut fields, "Comment", spec.comment.as_ref());
    if let Some(logging) = &spec.logging {
        fields.push(("Logging", self::logging(logging)));
    }
    optional(&mut fields, "PriceClass", spec.price_class.as_ref());
    optional(&mut fields, "Enabled", spec.enabled);
    if let Some(certificate) = &spec.certificate {
        fields.push(("ViewerCertificate", self::certificate(certificate)));
    }
    if let Some(restriction) = &spec.geo_restriction {
        fields.push(("Restrictions", Patch::Fields(vec![("GeoRestriction", geo(restriction))])));
    }
    optional(&mut fields, "WebACLId", spec.web_acl.as_ref());
    optional(&mut fields, "HttpVersion", spec.http_version.as_ref());
    optional(&mut fields, "IsIPV6Enabled", spec.ipv6);
    Patch::Fields(fields)
}

/// A new distribution: what has to be said of one, and then what is wished.
pub(super) fn new_distribution(spec: &Spec, companions: &Companions, reference: &str) -> Element {
    let children =
        vec![Element::text("CallerReference", reference), Element::text("Comment", ""), Element::text("Enabled", true)];
    let mut config = Element::node("DistributionConfig", children);
    distribution(spec, companions).lay_over(&mut config);
    // Patches do not know where these three stand.
    let place = |name: &str| ORDER.iter().position(|one| *one == name).unwrap_or(ORDER.len());
    config.children.sort_by_key(|child| place(&child.name));
    config
}

const ORDER: [&str; 17] = [
    "CallerReference",
    "Aliases",
    "DefaultRootObject",
    "Origins",
    "OriginGroups",
    "DefaultCacheBehavior",
    "CacheBehaviors",
    "CustomErrorResponses",
    "Comment",
    "Logging",
    "PriceClass",
    "Enabled",
    "ViewerCertificate",
    "Restrictions",
    "WebACLId",
    "HttpVersion",
    "IsIPV6Enabled",
];

/// Origins, with a prefix before their ids.
pub(super) fn origins(spec: &Spec, companions: &Companions, prefix: &str, others: Others) -> Patch {
    let entry = |one: &Origin| (format!("{prefix}{}", one.id), origin(one, companions));
    let entries = spec.origins.iter().map(entry).collect();
    Patch::Entries { item: "Origin", key: "Id", entries, others, ordered: false }
}

/// Behaviours for paths.
pub(super) fn behaviors(spec: &Spec, companions: &Companions, prefix: &str, others: Others) -> Patch {
    let entries = spec.behaviors.iter().map(|(path, one)| (path.clone(), behavior(one, companions, prefix))).collect();
    Patch::Entries { item: "CacheBehavior", key: "PathPattern", entries, others, ordered: true }
}

fn origin(origin: &Origin, companions: &Companions) -> Patch {
    let mut fields: Fields = vec![("DomainName", Patch::text(&origin.domain))];
    optional(&mut fields, "OriginPath", origin.path.as_ref());
    let header = |(name, value): (&String, &Option<crate::Password>)| {
        let value = value.as_ref().map_or("", |value| value.reveal());
        (name.clone(), Patch::Fields(vec![("HeaderValue", Patch::text(value))]))
    };
    // Ours also where there are none: a header that was dropped must go.
    let entries = origin.headers.iter().map(header).collect();
    let headers = Patch::Entries {
        item: "OriginCustomHeader",
        key: "HeaderName",
        entries,
        others: Others::Remove,
        ordered: false,
    };
    fields.push(("CustomHeaders", headers));
    let (mut s3, mut custom, mut vpc, mut control) = (Patch::Absent, Patch::Absent, Patch::Absent, String::new());
    let timeouts = |fields: &mut Fields, read: Option<u32>, keepalive: Option<u32>| {
        optional(fields, "OriginReadTimeout", read);
        optional(fields, "OriginKeepaliveTimeout", keepalive);
    };
    match &origin.kind {
        OriginKind::S3(access) => {
            let mut identity = String::new();
            match access {
                BucketAccess::Own => control = companions.control(),
                BucketAccess::Control(id) => control.clone_from(id),
                BucketAccess::Identity(id) => identity = format!("origin-access-identity/cloudfront/{id}"),
                BucketAccess::Public => {}
            }
            s3 = Patch::Fields(vec![("OriginAccessIdentity", Patch::Text(identity))]);
        }
        OriginKind::Custom(Custom { http_port, https_port, protocol, tls, read_timeout, keepalive_timeout }) => {
            let mut fields: Fields = vec![
                ("HTTPPort", Patch::text(http_port)),
                ("HTTPSPort", Patch::text(https_port)),
                ("OriginProtocolPolicy", Patch::text(protocol)),
                ("OriginSslProtocols", Patch::names("SslProtocol", tls)),
            ];
            timeouts(&mut fields, *read_timeout, *keepalive_timeout);
            custom = Patch::Fields(fields);
        }
        OriginKind::Vpc { id, read_timeout, keepalive_timeout } => {
            let mut fields: Fields = vec![("VpcOriginId", Patch::text(id))];
            timeouts(&mut fields, *read_timeout, *keepalive_timeout);
            vpc = Patch::Fields(fields);
        }
    }
    fields.extend([("S3OriginConfig", s3), ("CustomOriginConfig", custom), ("VpcOriginConfig", vpc)]);
    optional(&mut fields, "ConnectionAttempts", origin.connection_attempts);
    optional(&mut fields, "ConnectionTimeout", origin.connection_timeout);
    if let Some(region) = &origin.shield {
        let region_or_none = if region.is_empty() { Patch::Absent } else { Patch::text(region) };
        let shield = vec![("Enabled", Patch::text(!region.is_empty())), ("OriginShieldRegion", region_or_none)];
        fields.push(("OriginShield", Patch::Fields(shield)));
    }
    fields.push(("OriginAccessControlId", Patch::Text(control)));
    Patch::Fields(fields)
}

fn behavior(behavior: &Behavior, companions: &Companions, prefix: &str) -> Patch {
    let mut fields: Fields = vec![("TargetOriginId", Patch::text(format!("{prefix}{}", behavior.origin)))];
    if let Some(groups) = &behavior.key_groups {
        let also = vec![("Enabled", Patch::text(!groups.is_empty()))];
        fields.push(("TrustedKeyGroups", Patch::Names { item: "KeyGroup", values: groups.clone(), also }));
    }
    fields.push(("ViewerProtocolPolicy", Patch::text(&behavior.viewer_protocol_policy)));
    let cached = behavior.cached_methods.as_ref().map(|methods| ("CachedMethods", Patch::names("Method", methods)));
    match (&behavior.allowed_methods, cached) {
        (Some(methods), cached) => {
            let also = cached.into_iter().collect();
            fields.push(("AllowedMethods", Patch::Names { item: "Method", values: methods.clone(), also }));
        }
        (None, Some(cached)) => fields.push(("AllowedMethods", Patch::Fields(vec![cached]))),
        (None, None) => {}
    }
    optional(&mut fields, "SmoothStreaming", behavior.smooth_streaming);
    optional(&mut fields, "Compress", behavior.compress);
    if let Some(functions) = &behavior.functions {
        let arn = |of: &FunctionRef| match of {
            FunctionRef::Arn(arn) => arn.clone(),
            FunctionRef::Own(name) => companions.function(name),
        };
        let entry = |(event, of): (&super::behavior::Event, &FunctionRef)| {
            (event.name().to_owned(), Patch::Fields(vec![("FunctionARN", Patch::Text(arn(of)))]))
        };
        let entries = functions.iter().map(entry).collect();
        let (item, key) = ("FunctionAssociation", "EventType");
        fields.push((
            "FunctionAssociations",
            Patch::Entries { item, key, entries, others: Others::Remove, ordered: false },
        ));
    } else {
        fields.push(("FunctionAssociations", Patch::Without(companions.ours.clone())));
    }
    if let Some(legacy) = &behavior.legacy {
        fields.extend([("CachePolicyId", Patch::Absent), ("OriginRequestPolicyId", Patch::Absent)]);
        response_headers(&mut fields, behavior, companions);
        self::legacy(&mut fields, legacy);
    } else {
        if let Some(policy) = &behavior.cache_policy {
            fields.push(("CachePolicyId", Patch::Text(companions.policy(CompanionKind::CachePolicy, policy))));
        }
        let requests = behavior.origin_request_policy.as_ref();
        let requests = requests.map(|policy| companions.policy(CompanionKind::OriginRequestPolicy, policy));
        fields.push(("OriginRequestPolicyId", named(requests, companions)));
        response_headers(&mut fields, behavior, companions);
        if behavior.cache_policy.is_some() {
            let gone = ["ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL"];
            fields.extend(gone.map(|name| (name, Patch::Absent)));
        }
    }
    Patch::Fields(fields)
}

fn response_headers(fields: &mut Fields, behavior: &Behavior, companions: &Companions) {
    let policy = super::companion::response_headers(behavior);
    let id = policy.map(|policy| companions.policy(CompanionKind::ResponseHeadersPolicy, &policy));
    fields.push(("ResponseHeadersPolicyId", named(id, companions)));
}

/// What names a policy. Where none is wished it is not ours, unless it names one that we have made.
fn named(id: Option<String>, companions: &Companions) -> Patch {
    id.map_or_else(|| Patch::Without(companions.ours.clone()), Patch::Text)
}

fn legacy(fields: &mut Fields, legacy: &Legacy) {
    let (forward, only) = match &legacy.cookies {
        Names::None => ("none", None),
        Names::Only(names) => ("whitelist", Some(names)),
        // Not to be had, and refused beforehand.
        Names::All | Names::AllBut(_) => ("all", None),
    };
    let names = only.map_or(Patch::Absent, |names| Patch::names("Name", names));
    let cookies = Patch::Fields(vec![("Forward", Patch::text(forward)), ("WhitelistedNames", names)]);
    let values = vec![
        ("QueryString", Patch::text(legacy.query_string)),
        ("Cookies", cookies),
        ("Headers", Patch::names("Name", &legacy.headers)),
        ("QueryStringCacheKeys", Patch::names("Name", &legacy.query_string_keys)),
    ];
    fields.push(("ForwardedValues", Patch::Fields(values)));
    optional(fields, "MinTTL", legacy.min_ttl);
    optional(fields, "DefaultTTL", legacy.default_ttl);
    optional(fields, "MaxTTL", legacy.max_ttl);
}

fn error_pages(pages: &[ErrorPage]) -> Patch {
    let entry = |page: &ErrorPage| {
        let code = page.response_code.map(|code| code.to_string()).unwrap_or_default();
        let mut fields = vec![
            ("ResponsePagePath", Patch::Text(page.page.clone().unwrap_or_default())),
            ("ResponseCode", Patch::Text(code)),
        ];
        optional(&mut fields, "ErrorCachingMinTTL", page.ttl);
        (page.code.to_string(), Patch::Fields(fields))
    };
    let entries = pages.iter().map(entry).collect();
    Patch::Entries { item: "CustomErrorResponse", key: "ErrorCode", entries, others: Others::Remove, ordered: false }
}

fn logging(logging: &Logging) -> Patch {
    let is_on = !logging.bucket.is_empty();
    Patch::Fields(vec![
        ("Enabled", Patch::text(is_on)),
        ("IncludeCookies", Patch::text(logging.cookies && is_on)),
        ("Bucket", Patch::text(&logging.bucket)),
        ("Prefix", Patch::Text(if is_on { logging.prefix.clone() } else { String::new() })),
    ])
}

fn certificate(certificate: &Certificate) -> Patch {
    let mut fields = vec![
        ("CloudFrontDefaultCertificate", Patch::text(false)),
        ("IAMCertificateId", Patch::Absent),
        ("ACMCertificateArn", Patch::text(&certificate.arn)),
        ("SSLSupportMethod", Patch::text(certificate.ssl_support_method.as_deref().unwrap_or("sni-only"))),
    ];
    optional(&mut fields, "MinimumProtocolVersion", certificate.minimum_protocol_version.as_ref());
    // AWS repeats the ARN in these, and refuses two that differ.
    fields.extend([("Certificate", Patch::Absent), ("CertificateSource", Patch::Absent)]);
    Patch::Fields(fields)
}

fn geo(restriction: &GeoRestriction) -> Patch {
    let none = BTreeSet::new();
    let (kind, countries) = match restriction {
        GeoRestriction::None => ("none", &none),
        GeoRestriction::Allow(countries) => ("whitelist", countries),
        GeoRestriction::Deny(countries) => ("blacklist", countries),
    };
    let also = vec![("RestrictionType", Patch::text(kind))];
    Patch::Names { item: "Location", values: countries.clone(), also }
}
