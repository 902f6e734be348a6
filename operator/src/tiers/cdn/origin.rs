//! Where answers come from.

use super::wish::{Around, Found, word, words};
use aws::cloudfront::{BucketAccess, Custom, Origin, OriginKind};
use crds::tiers::{
    app::App,
    cdn::{self, AppOrigin, AppRoute, CloudFront},
};
use std::net::IpAddr;

/// Headers that CloudFront keeps for itself, in lower case, by AWS's documentation.
const RESERVED: [&str; 22] = [
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "request-range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
/// What the names of others begin with, by the same.
const RESERVED_PREFIXES: [&str; 3] = ["x-amz-", "x-edge-", "x-real-ip"];

/// An origin; none where something is wrong or missing, which is noted.
pub(super) fn origin(of: &cdn::Origin, cdn: &CloudFront, around: &Around<'_>, found: &mut Found) -> Option<Origin> {
    let field = format!("origins[{}]", of.name);
    for header in &of.headers {
        let name = header.name.to_ascii_lowercase();
        if RESERVED.contains(&&*name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            let problem = "CloudFront keeps this header for itself: use another name, such as X-Origin-Verify";
            found.problem(&format!("{field}.headers[{}]", header.name), problem);
        }
    }
    let headers = of.headers.iter().map(|header| (header.name.clone(), (around.secret)(&header.secret))).collect();
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    let connection_timeout = found.timeout(&format!("{field}.connectionTimeout"), of.connection_timeout);
    let read_timeout = found.timeout(&format!("{field}.readTimeout"), of.read_timeout);
    let keepalive_timeout = found.timeout(&format!("{field}.keepaliveTimeout"), of.keepalive_timeout);
    let domain = match (&of.app, &of.s3, &of.domain) {
        (Some(app), None, None) => domain_of(&field, app, of, cdn, around, found)?,
        (None, Some(bucket), None) => format!("{}.s3.{}.amazonaws.com", bucket.bucket, bucket.region),
        (None, None, Some(domain)) => domain.clone(),
        _ => {
            found.problem(&field, "say where answers come from: set exactly one of app, s3 and domain");
            return None;
        }
    };
    let kind = match (&of.s3, &of.vpc_origin) {
        (Some(bucket), None) => OriginKind::S3(access(&field, bucket, found)?),
        (None, Some(id)) => OriginKind::Vpc { id: id.clone(), read_timeout, keepalive_timeout },
        (None, None) => {
            let default = Custom::default();
            let port = |port: Option<i32>, default| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(default);
            OriginKind::Custom(Custom {
                http_port: port(of.http_port, default.http_port),
                https_port: port(of.https_port, default.https_port),
                protocol: of.protocol.map_or(default.protocol, word),
                tls: if of.tls.is_empty() { default.tls } else { words(&of.tls) },
                read_timeout,
                keepalive_timeout,
            })
        }
        (Some(_), Some(_)) => {
            found.problem(&format!("{field}.vpcOrigin"), "a bucket is not reached through a VPC origin: remove it");
            return None;
        }
    };
    Some(Origin {
        id: of.name.clone(),
        domain,
        path: of.path.clone(),
        headers,
        kind,
        connection_attempts: of.connection_attempts.map(number),
        connection_timeout,
        shield: of.origin_shield.clone(),
    })
}

fn access(field: &str, bucket: &cdn::S3Origin, found: &mut Found) -> Option<BucketAccess> {
    let is_public = bucket.public.unwrap_or(false);
    match (&bucket.origin_access_control, &bucket.origin_access_identity, is_public) {
        (None, None, false) => Some(BucketAccess::Own),
        (Some(id), None, false) => Some(BucketAccess::Control(id.clone())),
        (None, Some(id), false) => Some(BucketAccess::Identity(id.clone())),
        (None, None, true) => Some(BucketAccess::Public),
        _ => {
            let problem =
                "originAccessControl, originAccessIdentity and public exclude each other: remove all but one of them";
            found.problem(&format!("{field}.s3"), problem);
            None
        }
    }
}

/// The name under which CloudFront reaches an app.
fn domain_of(
    field: &str,
    of: &AppOrigin,
    origin: &cdn::Origin,
    cdn: &CloudFront,
    around: &Around<'_>,
    found: &mut Found,
) -> Option<String> {
    let Some(app) = around.apps.iter().find(|app| app.name == of.name) else {
        let problem = format!("there is no app {} in spec.apps: add it there, or correct the name", of.name);
        found.problem(&format!("{field}.app.name"), problem);
        return None;
    };
    let hosts = match routed(app, of.route) {
        Ok(hosts) => hosts,
        Err(problem) => {
            found.problem(&format!("{field}.app"), problem);
            return None;
        }
    };
    // Names that lead to CloudFront lead the request in a circle, but by a VPC origin, which has its own way to the server.
    let circles = |host: &str| {
        let is_host = |alias: &String| alias.eq_ignore_ascii_case(host);
        origin.vpc_origin.is_none() && cdn.aliases.iter().flatten().any(is_host)
    };
    if let Some(host) = &of.host {
        let field = format!("{field}.app.host");
        if !hosts.is_empty() && !hosts.iter().any(|served| serves(served, host)) {
            let problem = format!("the app's route serves {}: use one of these, or add it there", hosts.join(", "));
            found.problem(&field, problem);
        }
        if circles(host) {
            let problem = format!(
                "{host} is one of aliases, which lead to CloudFront, so that requests would go in a circle: add another host to the \
                 app's route, and name that"
            );
            found.problem(&field, problem);
        }
        return Some(host.clone());
    }
    if let Some(host) = hosts.iter().find(|host| !host.contains('*') && !circles(host)) {
        return Some(host.clone());
    }
    match around.addresses.get(&of.name) {
        Some(address) if address.parse::<IpAddr>().is_ok() => {
            let problem = format!(
                "the app's load balancer has no name but {address}, and CloudFront asks for names: add a host to the app's route \
                 that leads there and is not among aliases"
            );
            found.problem(&format!("{field}.app"), problem);
            None
        }
        Some(address) => Some(address.clone()),
        None => {
            let what = "the load balancer in front of the app has no name yet, and the app's route has no host that is not among \
                        aliases";
            found.waits(&format!("{field}.app"), what);
            None
        }
    }
}

/// The hosts of an app's route; none where it serves every host.
fn routed(app: &App, route: Option<AppRoute>) -> Result<&[String], &'static str> {
    let exposure = app.exposure.as_ref();
    let gateway = exposure.and_then(|exposure| exposure.gateway.as_ref()).map(|gateway| gateway.hosts.as_slice());
    let ingress = exposure.and_then(|exposure| exposure.ingress.as_ref()).map(|ingress| ingress.hosts.as_slice());
    match route {
        None => gateway.or(ingress).ok_or("the app has no route by which CloudFront could reach it: set its exposure"),
        Some(AppRoute::Gateway) => gateway.ok_or("the app has no exposure.gateway: set it, or remove route"),
        Some(AppRoute::Ingress) => ingress.ok_or("the app has no exposure.ingress: set it, or remove route"),
    }
}

/// Whether a host of a route, perhaps a wildcard, is one for `host`.
fn serves(served: &str, host: &str) -> bool {
    match served.strip_prefix('*') {
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => served == host,
    }
}
