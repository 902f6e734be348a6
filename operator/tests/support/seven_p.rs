//! The table of the guide for video courses, as its distribution has it.

use aws::cloudfront::Element;

/// What the edges send along to the origin.
pub const SECRET: &str = "only-the-edge-knows-this";

/// A text below an element, or the sorted texts of a list; items are chosen by `Key=value`.
pub fn at(config: &Element, path: &[&str]) -> String {
    let found = path.iter().try_fold(config, |element, name| match name.split_once('=') {
        Some((key, value)) => element.items().iter().find(|one| one.value(key) == Some(value)),
        None => element.get(name),
    });
    let Some(element) = found else { return "-".into() };
    if element.get("Quantity").is_some() {
        let mut names: Vec<&str> = element.items().iter().map(|one| one.text.as_str()).collect();
        names.sort_unstable();
        return names.join(",");
    }
    element.text.clone()
}

fn patterns(config: &Element) -> Vec<&str> {
    config.get("CacheBehaviors").unwrap().items().iter().filter_map(|one| one.value("PathPattern")).collect()
}

/// Compares a distribution with the table, field by field; policies and functions beside it aside. The ARN is its certificate's.
pub fn is_the_table(config: &Element, certificate: &str) {
    let (app, s3) = ("education-platform-origin", "education-platform-s3-origin");
    let origin = |id: &str, path: &[&str]| at(config, &[&["Origins", &format!("Id={id}")], path].concat());
    for (path, value) in [
        (vec!["DomainName"], "origin.education.example.com"),
        (vec!["CustomOriginConfig", "HTTPPort"], "80"),
        (vec!["CustomOriginConfig", "HTTPSPort"], "443"),
        (vec!["CustomOriginConfig", "OriginProtocolPolicy"], "https-only"),
        (vec!["CustomOriginConfig", "OriginSslProtocols"], "TLSv1.2"),
        (vec!["CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"], SECRET),
    ] {
        assert_eq!(origin(app, &path), value, "{path:?}");
    }
    assert_eq!(
        origin(s3, &["DomainName"]),
        "education-platform-production-static-assets.s3.eu-central-1.amazonaws.com"
    );
    assert_eq!(origin(s3, &["S3OriginConfig", "OriginAccessIdentity"]), "");
    let all = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT";
    // Path, origin, methods, query, headers, cookies, names of cookies, TTLs.
    let table = [
        (Some("/static/*"), s3, "GET,HEAD", "false", "-", "none", "-", ["86400", "31536000", "31536000"]),
        (Some("/_next/static/*"), app, "GET,HEAD", "false", "-", "none", "-", ["31536000"; 3]),
        (Some("/api/*"), app, all, "true", "Accept,Authorization,Content-Type", "all", "-", ["0", "0", "86400"]),
        (
            None,
            app,
            all,
            "true",
            "Authorization,CloudFront-Forwarded-Proto,Host",
            "whitelist",
            "csrf-token,session",
            ["0", "86400", "31536000"],
        ),
    ];
    for (path, target, methods, query, headers, cookies, names, ttls) in table {
        let pattern = path.map(|path| format!("PathPattern={path}"));
        let field = |path: &[&str]| match &pattern {
            Some(pattern) => at(config, &[&["CacheBehaviors", pattern], path].concat()),
            None => at(config, &[&["DefaultCacheBehavior"], path].concat()),
        };
        for (field, value) in [
            (field(&["TargetOriginId"]), target),
            (field(&["AllowedMethods"]), methods),
            (field(&["AllowedMethods", "CachedMethods"]), "GET,HEAD"),
            (field(&["ViewerProtocolPolicy"]), "redirect-to-https"),
            (field(&["Compress"]), "true"),
            (field(&["ForwardedValues", "QueryString"]), query),
            (field(&["ForwardedValues", "Headers"]), headers),
            (field(&["ForwardedValues", "Cookies", "Forward"]), cookies),
            (field(&["ForwardedValues", "Cookies", "WhitelistedNames"]), names),
            (field(&["CachePolicyId"]), "-"),
        ] {
            assert_eq!(field, value, "{path:?}");
        }
        assert_eq!(["MinTTL", "DefaultTTL", "MaxTTL"].map(|ttl| field(&[ttl])), ttls, "{path:?}");
    }
    // The guide's order, with what it leaves in the open before it.
    let expected = ["/static/*", "/_next/static/*", "/api/metrics", "/metrics", "/api/*", "/404.html", "/500.html"];
    assert_eq!(patterns(config), expected);
    for (path, value) in [
        (vec!["Comment"], "Education Platform CDN"),
        (vec!["Enabled"], "true"),
        (vec!["IsIPV6Enabled"], "true"),
        (vec!["DefaultRootObject"], "index.html"),
        (vec!["Restrictions", "GeoRestriction", "RestrictionType"], "none"),
        (vec!["Aliases"], "education.example.com,www.education.example.com"),
        (vec!["ViewerCertificate", "ACMCertificateArn"], certificate),
        (vec!["ViewerCertificate", "SSLSupportMethod"], "sni-only"),
        (vec!["ViewerCertificate", "MinimumProtocolVersion"], "TLSv1.2_2021"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ResponsePagePath"], "/404.html"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ResponseCode"], "404"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ErrorCachingMinTTL"], "300"),
        (vec!["CustomErrorResponses", "ErrorCode=500", "ResponsePagePath"], "/500.html"),
        (vec!["CustomErrorResponses", "ErrorCode=500", "ResponseCode"], "500"),
        (vec!["CustomErrorResponses", "ErrorCode=500", "ErrorCachingMinTTL"], "60"),
        (vec!["Logging", "Enabled"], "true"),
        (vec!["Logging", "Bucket"], "education-platform-production-logs.s3.amazonaws.com"),
        (vec!["Logging", "Prefix"], "cloudfront-logs/"),
        (vec!["Logging", "IncludeCookies"], "false"),
    ] {
        assert_eq!(at(config, &path), value, "{path:?}");
    }
}
