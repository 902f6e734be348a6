//! The good platform's CDNs, and bad examples made from them.

use serde_json::{Value, json};

/// A distribution of its own, and one that is somebody else's.
pub fn good() -> Value {
    json!([
        {"name": "edge", "cloudFront": {
            "mode": "Plan", "approve": "0123456789abcdef", "adopt": true, "deletionPolicy": "Delete",
            "comment": "courses", "enabled": true, "ipv6": true, "priceClass": "PriceClass_100", "httpVersion": "http2and3",
            "aliases": ["learn.example"], "defaultRootObject": "index.html",
            "certificate": {
                "arn": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b", "minimumProtocolVersion": "TLSv1.2_2021",
                "sslSupportMethod": "sni-only",
            },
            "errors": [{"code": 404, "page": "/404.html", "responseCode": 404, "ttl": "5m"}, {"code": 503, "ttl": "0s"}],
            "logging": {"bucket": "logs.s3.amazonaws.com", "prefix": "edge/", "includeCookies": false},
            "geoRestriction": {"restrictionType": "blacklist", "locations": ["AQ"]},
            "webACL": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/school/0a1b",
            "origins": [
                {
                    "name": "web", "app": {"name": "web", "route": "Gateway", "host": "story.example"}, "protocol": "https-only",
                    "httpPort": 80, "httpsPort": 443, "tls": ["TLSv1.2"], "readTimeout": "30s", "keepaliveTimeout": "5s",
                    "connectionAttempts": 3, "connectionTimeout": "10s", "originShield": "eu-central-1", "path": "/v1",
                    "headers": [{"name": "X-Origin-Verify", "secret": {"name": "edge", "key": "verify"}}],
                },
                {"name": "media", "s3": {"bucket": "media", "region": "eu-central-1", "originAccessControl": "E2QWRUHAPOMQZL"}},
                {"name": "resize", "domain": "resize.example", "vpcOrigin": "vo_0a1b"},
            ],
            "cachePolicies": [{
                "name": "assets", "minTTL": "1h", "defaultTTL": "24h", "maxTTL": "8760h", "headers": ["Accept"],
                "cookies": {"behavior": "allExcept", "names": ["consent"]}, "queryStrings": {"behavior": "all"},
                "compression": true,
            }],
            "originRequestPolicies": [{
                "name": "viewer", "headers": {"behavior": "whitelist", "names": ["Accept"]}, "cookies": {"behavior": "all"},
                "queryStrings": {"behavior": "none"},
            }],
            "responseHeadersPolicies": [{
                "name": "security", "strictTransportSecurity": {"maxAge": "17520h", "includeSubdomains": true, "preload": true},
                "cors": {"origins": ["https://learn.example"], "methods": ["ALL"], "headers": ["*"], "maxAge": "24h"},
                "contentTypeOptions": true, "referrerPolicy": "origin-when-cross-origin", "frameOptions": "SAMEORIGIN",
                "contentSecurityPolicy": "default-src 'self'", "customHeaders": [{"name": "X-DNS-Prefetch-Control", "value": "on"}],
                "removeHeaders": ["Server"],
            }],
            "functions": [{"name": "rewrite", "runtime": "cloudfront-js-2.0", "code": "function handler(e) { return e.request; }"}],
            "behaviors": [
                {
                    "path": "/static/*", "origin": "media", "viewerProtocolPolicy": "https-only", "allowedMethods": ["GET", "HEAD"],
                    "cachedMethods": ["HEAD", "GET"], "compress": true, "smoothStreaming": false,
                    "cachePolicy": {"name": "assets"}, "originRequestPolicy": {"name": "viewer"},
                    "responseHeadersPolicy": {"name": "security"}, "browserTTL": "1h", "keyGroups": [],
                    "functions": {
                        "viewerRequest": {"name": "rewrite"},
                        "viewerResponse": {"arn": "arn:aws:cloudfront::123456789012:function/add"},
                    },
                },
                {"path": "/metrics", "origin": "web", "closed": true},
                {
                    "path": "*",
                "origin": "web", "allowedMethods": ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"],
                "cachedMethods": ["GET", "HEAD", "OPTIONS"],
                "forwardedValues": {
                    "queryString": true, "queryStringKeys": ["page"], "headers": ["Host"],
                    "cookies": {"behavior": "whitelist", "names": ["session"]},
                    "minTTL": "0s", "defaultTTL": "1m30s", "maxTTL": "24h",
                },
                "responseHeadersPolicy": {"managed": "SecurityHeadersPolicy"},
            },
            ],
            "invalidateAfter": [{"app": "web", "paths": ["/", "/courses/*"]}],
        }},
        {"name": "site", "cloudFront": {
            "distributionId": "E2QWRUHAPOMQZL",
            "origins": [{"name": "web", "app": {"name": "web"}}],
            "behaviors": [{"path": "/learn/*", "origin": "web", "cachePolicy": {"managed": "CachingDisabled"}}],
        }},
    ])
}

/// What is changed in the good platform, and what the message must name.
pub fn bad() -> Vec<(Vec<(String, Value)>, &'static str)> {
    let none = Value::Null;
    let edge = |path: &str| format!("/spec/cdns/0/cloudFront{path}");
    let mut cases: Vec<(Vec<(String, Value)>, &'static str)> = Vec::new();
    let mut case = |at: String, to: Value, named: &'static str| cases.push((vec![(at, to)], named));

    case("/spec/cdns/0/cloudFront".into(), none.clone(), "set cloudFront");
    case("/spec/aws".into(), none.clone(), "spec.cdns[].cloudFront");
    for name in ["web", "cache", "main"] {
        case("/spec/cdns/0/name".into(), json!(name), "spec.cdns[].name");
    }
    case(edge("/origins/0/app/name"), json!("other"), "origins[].app.name");
    case("/spec/apps/0/exposure".into(), none.clone(), "origins[].app.name");
    case(edge("/invalidateAfter/0/app"), json!("other"), "invalidateAfter[].app");
    case(edge("/behaviors/2/path"), json!("/all"), "add one of path '*'");
    case("/spec/cdns/1/cloudFront/behaviors/0/path".into(), json!("*"), "beside distributionId remove it");
    case(edge("/distributionId"), json!("E2QWRUHAPOMQZL"), "beside it only origins");
    for (field, value) in [("ipv6", json!(true)), ("aliases", json!([])), ("webACL", json!(""))] {
        case(format!("/spec/cdns/1/cloudFront/{field}"), value, "beside it only origins");
    }
    case(edge("/behaviors/0/origin"), json!("other"), "cloudFront.behaviors[].origin is none");
    case(edge("/behaviors/1/path"), json!("/static/*"), "two behaviors have the same pattern");
    case(edge("/certificate"), none.clone(), "certificate is missing");
    case(edge("/certificate/arn"), json!("arn:aws:acm:eu-west-1:123456789012:certificate/0a1b"), "us-east-1 alone");
    case(edge("/errors/0/code"), json!(418), "errors[].code");
    case(edge("/errors/0/page"), none.clone(), "errors[].page and responseCode");
    case(edge("/errors/1/responseCode"), json!(200), "errors[].page and responseCode");
    case(edge("/geoRestriction/locations"), none.clone(), "geoRestriction.locations");
    case(edge("/geoRestriction/restrictionType"), json!("none"), "geoRestriction.locations");

    case(edge("/origins/0/domain"), json!("web.example"), "exactly one of app, s3 and domain");
    case(edge("/origins/0/app"), none.clone(), "exactly one of app, s3 and domain");
    for (origin, field, value) in
        [(1, "protocol", json!("http-only")), (2, "tls", json!(["TLSv1.2"])), (2, "httpPort", json!(80))]
    {
        case(edge(&format!("/origins/{origin}/{field}")), value, "servers that are reached over the internet");
    }
    for (field, value) in [("readTimeout", "30s"), ("vpcOrigin", "vo_0a")] {
        case(edge(&format!("/origins/1/{field}")), json!(value), "origins[].s3 has no vpcOrigin");
    }
    for timeout in ["0s", "11s"] {
        case(edge("/origins/0/connectionTimeout"), json!(timeout), "connectionTimeout must be between");
    }
    case(edge("/origins/1/s3/public"), json!(true), "s3.originAccessControl and");
    case(edge("/origins/1/s3/originAccessIdentity"), json!("E2QWRUHAPOMQZM"), "s3.originAccessControl and");

    let policy = |path: &str| edge(&format!("/cachePolicies/0{path}"));
    for (field, value) in [("minTTL", "25h"), ("defaultTTL", "8761h"), ("maxTTL", "23h")] {
        case(policy(&format!("/{field}")), json!(value), "minTTL must not be above");
    }
    let nothing = json!({"name": "assets", "maxTTL": "0s", "cookies": {"behavior": "all"}});
    case(edge("/cachePolicies"), json!([nothing]), "maxTTL 0s caches nothing");
    case(policy("/headers"), json!(["*"]), "'*' is only to be had in forwardedValues");
    let choice = |behavior: &str, names: Value| json!({"behavior": behavior, "names": names});
    let choices = [choice("whitelist", json!([])), choice("all", json!(["a"])), json!({"behavior": "allExcept"})];
    for wrong in choices.clone() {
        for field in ["cookies", "queryStrings"] {
            case(policy(&format!("/{field}")), wrong.clone(), "names belongs to behavior");
            case(edge(&format!("/originRequestPolicies/0/{field}")), wrong.clone(), "names belongs to behavior");
        }
    }
    for wrong in [choice("allViewer", json!(["a"])), choice("allExcept", json!([]))] {
        case(edge("/originRequestPolicies/0/headers"), wrong, "names belongs to behavior");
    }
    case(edge("/responseHeadersPolicies"), json!([{"name": "security"}]), "responseHeadersPolicies[] says nothing");
    case(edge("/behaviors/0/path"), json!("/*"), "behaviors[].path '/*' matches every path");

    for at in ["/behaviors/0", "/behaviors/2"] {
        let at = |path: &str| edge(&format!("{at}{path}"));
        let all =
            |changes: &[(&str, Value)]| changes.iter().map(|(path, to)| (at(path), to.clone())).collect::<Vec<_>>();
        let legacy = |values: Value| {
            all(&[("/cachePolicy", none.clone()), ("/originRequestPolicy", none.clone()), ("/forwardedValues", values)])
        };
        for field in ["cachePolicy", "originRequestPolicy", "responseHeadersPolicy"] {
            let named = match field {
                "cachePolicy" => "cachePolicies has none",
                "originRequestPolicy" => "originRequestPolicies has none",
                _ => "responseHeadersPolicies has none",
            };
            cases.push((all(&[(&format!("/{field}"), json!({"name": "other"}))]), named));
            for wrong in [json!({}), json!({"id": "a", "name": "assets"})] {
                cases.push((all(&[(&format!("/{field}"), wrong)]), "managed or id or name"));
            }
        }
        for event in ["viewerRequest", "viewerResponse"] {
            cases.push((all(&[("/functions", json!({event: {"name": "other"}}))]), "functions has none"));
            cases.push((all(&[("/functions", json!({event: {}}))]), "name or arn"));
        }
        cases.push((
            all(&[("/cachePolicy", none.clone()), ("/forwardedValues", none.clone())]),
            "cachePolicy is missing",
        ));
        cases.push((
            all(&[("/cachePolicy", json!({"managed": "CachingDisabled"})), ("/forwardedValues", json!({}))]),
            "forwardedValues cannot stand beside",
        ));
        for methods in [json!(["GET"]), json!(["GET", "HEAD", "POST"]), json!(["GET", "HEAD", "OPTIONS", "PUT"])] {
            cases.push((all(&[("/allowedMethods", methods)]), "allowedMethods: CloudFront has three sets"));
        }
        for (allowed, cached) in [
            (json!(["GET", "HEAD"]), json!(["GET"])),
            (json!(["GET", "HEAD"]), json!(["GET", "HEAD", "OPTIONS"])),
            (json!(["GET", "HEAD", "OPTIONS"]), json!(["GET", "HEAD", "POST"])),
        ] {
            cases.push((all(&[("/allowedMethods", allowed), ("/cachedMethods", cached)]), "cachedMethods: use"));
        }
        let managed = json!({"managed": "SimpleCORS"});
        cases.push((
            all(&[("/browserTTL", json!("1h")), ("/responseHeadersPolicy", managed)]),
            "browserTTL is a header of a policy of its own",
        ));
        let gate = json!({"viewerRequest": {"name": "rewrite"}});
        cases.push((all(&[("/closed", json!(true)), ("/functions", gate)]), "closed answers in place of"));
        cases.push((legacy(json!({"minTTL": "2h", "defaultTTL": "1h"})), "minTTL must not be above"));
        cases.push((legacy(json!({"queryStringKeys": ["a"]})), "queryStringKeys are forwarded"));
        let but = choice("allExcept", json!(["a"]));
        cases.push((legacy(json!({"cookies": but})), "cookies.behavior allExcept"));
        for wrong in &choices {
            cases.push((legacy(json!({"cookies": wrong})), "names belongs to behavior"));
        }
    }
    cases
}
