//! Requests of CloudFront's by AWS's names, and what AWS does and the server does not.

use crate::proxy::{Message, element, entry, within};

/// Policies and the like by their paths: the name of one, and of several.
const COMPANIONS: [(&str, &str, &str); 5] = [
    ("cache-policy", "CachePolicy", "CachePolicies"),
    ("origin-request-policy", "OriginRequestPolicy", "OriginRequestPolicies"),
    ("response-headers-policy", "ResponseHeadersPolicy", "ResponseHeadersPolicies"),
    ("origin-access-control", "OriginAccessControl", "OriginAccessControls"),
    ("function", "Function", "Functions"),
];

/// The text of the first element of a name.
fn value<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    xml.split_once(&format!("<{name}>"))?.1.split('<').next()
}

/// Name of the call, and what it is about, by method, path and query.
pub fn named(target: &str, body: &str) -> Option<(String, String)> {
    let (method, target) = target.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path: Vec<&str> = path.strip_prefix("/2020-05-31/")?.split('/').collect();
    let reference = value(body, "CallerReference").unwrap_or_default();
    let (operation, resource) = match (method, path.as_slice()) {
        ("GET", ["distribution"]) => ("ListDistributions", ""),
        ("POST", ["distribution"]) => ("CreateDistributionWithTags", reference),
        ("GET", ["distribution", id]) => ("GetDistribution", *id),
        ("DELETE", ["distribution", id]) => ("DeleteDistribution", *id),
        ("PUT", ["distribution", id, "config"]) => ("UpdateDistribution", *id),
        ("POST", ["distribution", id, "invalidation"]) => ("CreateInvalidation", *id),
        ("GET", ["tagging"]) => ("ListTagsForResource", query),
        ("POST", ["tagging"]) => ("TagResource", query),
        ("GET", ["function", name, "describe"]) => ("DescribeFunction", *name),
        ("POST", ["function", name, "publish"]) => ("PublishFunction", *name),
        (method, [kind, rest @ ..]) => {
            let (_, one, several) = COMPANIONS.iter().find(|(path, ..)| path == kind)?;
            let name = value(body, "Name").unwrap_or_default();
            return match (method, rest) {
                ("GET", []) => Some((format!("List{several}"), String::new())),
                ("POST", []) => Some((format!("Create{one}"), name.to_owned())),
                ("GET", [id]) => Some((format!("Get{one}"), (*id).to_owned())),
                ("DELETE", [id]) => Some((format!("Delete{one}"), (*id).to_owned())),
                _ => None,
            };
        }
        _ => return None,
    };
    Some((operation.to_owned(), resource.to_owned()))
}

/// A used `CallerReference` is refused, whatever the configuration; the server answers with the distribution that has it.
pub fn as_aws(operation: &str, answer: Message) -> Message {
    match operation == "CreateDistributionWithTags" && answer.status() == "200" {
        true => Message::refusal(409, "DistributionAlreadyExists", "the caller reference is used"),
        false => answer,
    }
}

/// The distribution that a call has made.
pub fn made<'a>(operation: &str, content: &'a str) -> Option<&'a str> {
    (operation == "CreateDistributionWithTags").then(|| value(content, "Id")).flatten()
}

/// An answer in which a distribution has this status.
pub fn deploying(operation: &str, content: String, id: &str, status: &str) -> String {
    let own = element("Id", id);
    match operation {
        "GetDistribution" if content.contains(&own) => within(&content, "Status", status),
        "ListDistributions" => entry(&content, "DistributionSummary", &own, |block| within(&block, "Status", status)),
        _ => content,
    }
}
