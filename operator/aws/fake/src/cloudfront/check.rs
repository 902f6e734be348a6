//! What CloudFront refuses of a configuration.

use super::{Answer, World, refuse};
use aws::cloudfront::{CompanionKind, Element};
use std::collections::BTreeSet;

/// Policies of AWS's own that the tests name.
const MANAGED: [&str; 6] = [
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    "658327ea-f89d-4fab-a63d-7e88639e58f6",
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
    "216adef6-5c7f-47e4-b989-5492eafa07d3",
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
    "67f7725c-6f97-4210-82d7-5512b31e9d03",
];
const ERRORS: [&str; 11] = ["400", "403", "404", "405", "414", "416", "500", "501", "502", "503", "504"];
const MOST_BEHAVIORS: usize = 75;

/// What every configuration has to have.
pub(super) fn missing(config: &Element) -> Option<&'static str> {
    let needed = ["CallerReference", "Origins", "DefaultCacheBehavior", "Comment", "Enabled"];
    needed.into_iter().find(|name| config.get(name).is_none())
}

/// Checks a configuration of a distribution; `id` is its id, where it is there already.
pub(super) fn config(world: &World, config: &Element, id: Option<&str>) -> Answer<()> {
    quantities(config)?;
    let origins = config.get("Origins").map(Element::items).unwrap_or_default();
    let ids: BTreeSet<&str> = origins.iter().filter_map(|origin| origin.value("Id")).collect();
    if origins.is_empty() || ids.len() != origins.len() {
        return refuse("InvalidArgument", "Each origin has an id of its own, and there is one at least");
    }
    origins.iter().try_for_each(|one| origin(world, one))?;
    let behaviors = config.get("CacheBehaviors").map(Element::items).unwrap_or_default();
    if behaviors.len() > MOST_BEHAVIORS {
        return refuse("TooManyCacheBehaviors", "too many cache behaviors");
    }
    let patterns: BTreeSet<&str> =
        behaviors.iter().filter_map(|one| one.value("PathPattern")).map(|one| one.trim_start_matches('/')).collect();
    if patterns.len() != behaviors.len() {
        return refuse("InvalidArgument", "The parameter PathPattern contains a pattern twice");
    }
    let all = behaviors.iter().chain(config.get("DefaultCacheBehavior"));
    all.into_iter().try_for_each(|one| behavior(world, one, &ids))?;
    aliases(world, config, id)?;
    if config.value("DefaultRootObject").is_some_and(|name| name.starts_with('/')) {
        return refuse("InvalidDefaultRootObject", "The default root object begins with a slash");
    }
    for page in config.get("CustomErrorResponses").map(Element::items).unwrap_or_default() {
        if !page.value("ErrorCode").is_some_and(|code| ERRORS.contains(&code)) {
            return refuse("InvalidErrorCode", "The error code is not one of those");
        }
        if page.value("ResponsePagePath").is_some() != page.value("ResponseCode").is_some() {
            return refuse("InvalidResponseCode", "A page and a response code belong together");
        }
    }
    let class = config.value("PriceClass").unwrap_or("PriceClass_All");
    if !["PriceClass_100", "PriceClass_200", "PriceClass_All", "None"].contains(&class) {
        return refuse("InvalidArgument", format!("{class} is no price class"));
    }
    Ok(())
}

/// Counts have to be right, everywhere.
fn quantities(element: &Element) -> Answer<()> {
    if let Some(quantity) = element.value("Quantity")
        && quantity != element.items().len().to_string()
    {
        return refuse("InconsistentQuantities", format!("The Quantity and the Items of {} differ", element.name));
    }
    if element.get("Items").is_some() && element.get("Quantity").is_none() {
        return refuse("InconsistentQuantities", format!("{} has no Quantity", element.name));
    }
    element.children.iter().try_for_each(quantities)
}

fn origin(world: &World, origin: &Element) -> Answer<()> {
    let kinds = ["S3OriginConfig", "CustomOriginConfig", "VpcOriginConfig"];
    if kinds.iter().filter(|kind| origin.get(kind).is_some()).count() != 1 || origin.value("DomainName").is_none() {
        return refuse("InvalidOrigin", "An origin is of one kind, and has a name");
    }
    let Some(control) = origin.value("OriginAccessControlId") else { return Ok(()) };
    if !is_known(world, CompanionKind::OriginAccessControl, control) {
        return refuse("NoSuchOriginAccessControl", format!("{control} does not exist"));
    }
    let s3 = origin.get("S3OriginConfig");
    if s3.is_none() || s3.is_some_and(|s3| s3.value("OriginAccessIdentity").is_some()) {
        return refuse("InvalidArgument", "An access control is for a bucket, and not beside an identity");
    }
    Ok(())
}

fn is_known(world: &World, kind: CompanionKind, id: &str) -> bool {
    MANAGED.contains(&id) || world.companions.values().any(|kept| kept.seen.kind == kind && kept.seen.id == id)
}

fn behavior(world: &World, behavior: &Element, origins: &BTreeSet<&str>) -> Answer<()> {
    let target = behavior.value("TargetOriginId").unwrap_or_default();
    if !origins.contains(target) {
        return refuse("NoSuchOrigin", format!("One or more of your origins do not exist: {target}"));
    }
    if behavior.value("ViewerProtocolPolicy").is_none() {
        return refuse("InvalidArgument", "The parameter ViewerProtocolPolicy is required");
    }
    let has_policy = behavior.value("CachePolicyId").is_some();
    let legacy = ["ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL"];
    let has_legacy = legacy.iter().any(|name| behavior.get(name).is_some());
    if has_policy == has_legacy {
        return refuse(
            "InvalidArgument",
            "The parameter ForwardedValues cannot be used when a cache policy is associated",
        );
    }
    if behavior.value("OriginRequestPolicyId").is_some() && !has_policy {
        return refuse("InvalidArgument", "An origin request policy needs a cache policy");
    }
    for (field, kind) in [
        ("CachePolicyId", CompanionKind::CachePolicy),
        ("OriginRequestPolicyId", CompanionKind::OriginRequestPolicy),
        ("ResponseHeadersPolicyId", CompanionKind::ResponseHeadersPolicy),
    ] {
        if let Some(id) = behavior.value(field).filter(|id| !is_known(world, kind, id)) {
            return refuse(format!("NoSuch{}", kind.name()), format!("{id} does not exist"));
        }
    }
    for association in behavior.get("FunctionAssociations").map(Element::items).unwrap_or_default() {
        let arn = association.value("FunctionARN").unwrap_or_default();
        let is_live = world.companions.values().any(|kept| kept.seen.id == arn && kept.seen.live);
        if !is_live {
            return refuse("InvalidFunctionAssociation", format!("{arn} is not published"));
        }
    }
    let methods = behavior.get("AllowedMethods").map(Element::items).unwrap_or_default().len();
    if ![0, 2, 3, 7].contains(&methods) {
        return refuse("InvalidArgument", "The allowed methods are not one of the sets");
    }
    Ok(())
}

fn aliases(world: &World, config: &Element, id: Option<&str>) -> Answer<()> {
    let names = |config: &Element| -> BTreeSet<String> {
        let items = config.get("Aliases").map(Element::items).unwrap_or_default();
        items.iter().map(|item| item.text.clone()).collect()
    };
    let certificate = config.get("ViewerCertificate");
    let arn = certificate.and_then(|certificate| certificate.value("ACMCertificateArn"));
    if !names(config).is_empty() && arn.is_none() {
        return refuse("InvalidViewerCertificate", "An alias needs a certificate of its own");
    }
    if arn.is_some_and(|arn| !arn.starts_with("arn:aws:acm:us-east-1:")) {
        return refuse("InvalidViewerCertificate", "The certificate has to be of us-east-1");
    }
    // Of those that nothing was said of all is well.
    if let Some(Ok(known)) = arn.and_then(|arn| world.certificates.get(arn)) {
        let is_issued = known.as_ref().is_some_and(|one| one.status == "ISSUED");
        if !is_issued || known.iter().any(|one| !names(config).iter().all(|alias| one.covers(alias))) {
            return refuse("InvalidViewerCertificate", "The certificate is not issued, or does not cover an alias");
        }
    }
    let mirror = certificate.and_then(|certificate| certificate.value("Certificate"));
    if mirror.is_some() && mirror != arn {
        return refuse("InvalidViewerCertificate", "Certificate and ACMCertificateArn differ");
    }
    for (other, kept) in &world.distributions {
        if Some(&**other) != id && !names(&kept.seen.config).is_disjoint(&names(config)) {
            return refuse("CNAMEAlreadyExists", "One or more of the CNAMEs are of another distribution");
        }
    }
    Ok(())
}
