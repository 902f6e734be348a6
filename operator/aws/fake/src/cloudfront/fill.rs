//! What AWS fills in, and in which order it shows lists.

use aws::cloudfront::Element;

fn empty(name: &str) -> Element {
    Element::items_of(name, Vec::new())
}

fn default(element: &mut Element, child: Element) {
    if element.get(&child.name).is_none() {
        element.children.push(child);
    }
}

/// Fills in what was left away.
pub fn fill(config: &mut Element) {
    for child in [
        empty("Aliases"),
        Element::text("DefaultRootObject", ""),
        empty("OriginGroups"),
        empty("CacheBehaviors"),
        empty("CustomErrorResponses"),
        Element::node(
            "Logging",
            vec![
                Element::text("Enabled", false),
                Element::text("IncludeCookies", false),
                Element::text("Bucket", ""),
                Element::text("Prefix", ""),
            ],
        ),
        Element::text("PriceClass", "PriceClass_All"),
        Element::node(
            "ViewerCertificate",
            vec![
                Element::text("CloudFrontDefaultCertificate", true),
                Element::text("SSLSupportMethod", "vip"),
                Element::text("MinimumProtocolVersion", "TLSv1"),
                Element::text("CertificateSource", "cloudfront"),
            ],
        ),
        Element::node(
            "Restrictions",
            vec![Element::node(
                "GeoRestriction",
                vec![Element::text("RestrictionType", "none"), Element::text("Quantity", 0)],
            )],
        ),
        Element::text("WebACLId", ""),
        Element::text("HttpVersion", "http2"),
        Element::text("IsIPV6Enabled", true),
        Element::text("ContinuousDeploymentPolicyId", ""),
        Element::text("Staging", false),
    ] {
        default(config, child);
    }
    if let Some(certificate) = config.get_mut("ViewerCertificate")
        && let Some(arn) = certificate.value("ACMCertificateArn").map(str::to_owned)
    {
        certificate.set("Certificate", arn);
        certificate.set("CertificateSource", "acm");
    }
    each(config, "Origins", origin);
    each(config, "CacheBehaviors", behavior);
    if let Some(one) = config.get_mut("DefaultCacheBehavior") {
        behavior(one);
    }
}

fn each(config: &mut Element, list: &str, fill: impl Fn(&mut Element)) {
    if let Some(items) = config.get_mut(list).and_then(|list| list.get_mut("Items")) {
        items.children.iter_mut().for_each(fill);
    }
}

fn origin(origin: &mut Element) {
    for child in [
        Element::text("OriginPath", ""),
        empty("CustomHeaders"),
        Element::text("ConnectionAttempts", 3),
        Element::text("ConnectionTimeout", 10),
        Element::node("OriginShield", vec![Element::text("Enabled", false)]),
        Element::text("OriginAccessControlId", ""),
    ] {
        default(origin, child);
    }
    if let Some(custom) = origin.get_mut("CustomOriginConfig") {
        default(custom, Element::text("OriginReadTimeout", 30));
        default(custom, Element::text("OriginKeepaliveTimeout", 5));
    }
}

fn behavior(behavior: &mut Element) {
    let no_signers =
        |name: &str| Element::node(name, vec![Element::text("Enabled", false), Element::text("Quantity", 0)]);
    let methods = |name: &str| Element::list(name, "Method", ["HEAD", "GET"]);
    for child in [
        no_signers("TrustedSigners"),
        no_signers("TrustedKeyGroups"),
        methods("AllowedMethods"),
        Element::text("SmoothStreaming", false),
        Element::text("Compress", false),
        empty("LambdaFunctionAssociations"),
        empty("FunctionAssociations"),
        Element::text("FieldLevelEncryptionId", ""),
        Element::node("GrpcConfig", vec![Element::text("Enabled", false)]),
    ] {
        default(behavior, child);
    }
    if let Some(allowed) = behavior.get_mut("AllowedMethods") {
        default(allowed, methods("CachedMethods"));
    }
    if let Some(values) = behavior.get_mut("ForwardedValues") {
        default(values, empty("Headers"));
        default(values, empty("QueryStringCacheKeys"));
        for (name, ttl) in [("MinTTL", 0), ("DefaultTTL", 86_400), ("MaxTTL", 31_536_000)] {
            default(behavior, Element::text(name, ttl));
        }
    }
}

/// Fields that no version of ours knows: set once, and gone if somebody sends a configuration without them.
pub(super) fn extra(config: &mut Element) {
    let novelty = || Element::node("Novelty", vec![Element::text("Enabled", true), Element::text("Profile", "a<b&c")]);
    default(config, novelty());
    each(config, "Origins", |one| default(one, novelty()));
    each(config, "CacheBehaviors", |one| default(one, novelty()));
    if let Some(one) = config.get_mut("DefaultCacheBehavior") {
        default(one, novelty());
    }
}

/// Shows lists whose order means nothing in another order each time.
pub fn shuffle(element: &mut Element, by: usize) {
    let is_ordered = ["CacheBehaviors", "Members"].contains(&&*element.name);
    for child in &mut element.children {
        if child.name == "Items" && !is_ordered && !child.children.is_empty() {
            let by = by % child.children.len();
            child.children.rotate_left(by);
        }
        shuffle(child, by);
    }
}
