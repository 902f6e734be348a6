//! The tables of the guides, as they come to AWS.

use crate::{
    driver::{Operator, at, patterns},
    wishes::{self, SECRET, seven_p, ten_k, wish},
};
use learningplatform_aws::cloudfront::HOSTED_ZONE;

#[tokio::test]
async fn the_table_of_the_seven_p_guide_is_made_field_by_field() {
    let mut operator = Operator::new(wish(seven_p()));
    let step = operator.synced().await;
    let one = operator.only();
    let control = operator.cloudfront.kept_companions()[0].0.id.clone();
    let (app, s3) = ("education-platform-origin", "education-platform-s3-origin");
    let origin = |id: &str, path: &[&str]| {
        let id = format!("Id={id}");
        at(&one.config, &[&["Origins", &id], path].concat())
    };
    for (path, value) in [
        (vec!["CustomOriginConfig", "HTTPPort"], "80"),
        (vec!["CustomOriginConfig", "HTTPSPort"], "443"),
        (vec!["CustomOriginConfig", "OriginProtocolPolicy"], "https-only"),
        (vec!["CustomOriginConfig", "OriginSslProtocols"], "TLSv1.2"),
        (vec!["CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"], SECRET),
    ] {
        assert_eq!(origin(app, &path), value, "{path:?}");
    }
    assert_eq!(origin(s3, &["OriginAccessControlId"]), control);
    assert_eq!(origin(s3, &["S3OriginConfig", "OriginAccessIdentity"]), "");
    let all = "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT";
    // Path, origin, methods, query, headers, cookies, names of cookies, TTLs.
    let table = [
        (Some("/static/*"), s3, "GET,HEAD", "false", "", "none", "-", ["86400", "31536000", "31536000"]),
        (Some("/_next/static/*"), app, "GET,HEAD", "false", "", "none", "-", ["31536000"; 3]),
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
            Some(pattern) => at(&one.config, &[&["CacheBehaviors", pattern], path].concat()),
            None => at(&one.config, &[&["DefaultCacheBehavior"], path].concat()),
        };
        assert_eq!(field(&["TargetOriginId"]), target, "{path:?}");
        assert_eq!(field(&["AllowedMethods"]), methods, "{path:?}");
        assert_eq!(field(&["AllowedMethods", "CachedMethods"]), "GET,HEAD");
        assert_eq!(field(&["ViewerProtocolPolicy"]), "redirect-to-https");
        assert_eq!(field(&["Compress"]), "true");
        assert_eq!(field(&["ForwardedValues", "QueryString"]), query, "{path:?}");
        assert_eq!(field(&["ForwardedValues", "Headers"]), headers, "{path:?}");
        assert_eq!(field(&["ForwardedValues", "Cookies", "Forward"]), cookies, "{path:?}");
        assert_eq!(field(&["ForwardedValues", "Cookies", "WhitelistedNames"]), names, "{path:?}");
        assert_eq!(["MinTTL", "DefaultTTL", "MaxTTL"].map(|ttl| field(&[ttl])), ttls, "{path:?}");
    }
    assert_eq!(patterns(&one.config), ["/static/*", "/_next/static/*", "/api/*"]);
    for (path, value) in [
        (vec!["Enabled"], "true"),
        (vec!["IsIPV6Enabled"], "true"),
        (vec!["DefaultRootObject"], "index.html"),
        (vec!["Restrictions", "GeoRestriction", "RestrictionType"], "none"),
        (vec!["Aliases"], "education.example.com,www.education.example.com"),
        (vec!["ViewerCertificate", "ACMCertificateArn"], wishes::CERTIFICATE),
        (vec!["ViewerCertificate", "SSLSupportMethod"], "sni-only"),
        (vec!["ViewerCertificate", "MinimumProtocolVersion"], "TLSv1.2_2021"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ResponsePagePath"], "/404.html"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ResponseCode"], "404"),
        (vec!["CustomErrorResponses", "ErrorCode=404", "ErrorCachingMinTTL"], "300"),
        (vec!["CustomErrorResponses", "ErrorCode=500", "ResponsePagePath"], "/500.html"),
        (vec!["CustomErrorResponses", "ErrorCode=500", "ErrorCachingMinTTL"], "60"),
        (vec!["Logging", "Bucket"], "education-logs.s3.amazonaws.com"),
        (vec!["Logging", "Prefix"], "cloudfront-logs/"),
        (vec!["Logging", "IncludeCookies"], "false"),
        (vec!["Comment"], "Education Platform CDN"),
    ] {
        assert_eq!(at(&one.config, &path), value, "{path:?}");
    }
    assert_eq!(operator.cloudfront.tags(&one.id), operator.wish.owner.tags());
    // What others need to know.
    assert_eq!(step.view.domain_name.as_ref(), Some(&one.domain_name));
    assert_eq!((step.view.hosted_zone, step.view.enabled, step.view.deployed), (Some(HOSTED_ZONE), true, true));
    let (origin, policy) = &step.view.bucket_policies[0];
    let policy: serde_json::Value = serde_json::from_str(policy).expect("it is JSON");
    assert_eq!(origin, s3);
    assert_eq!(policy["Resource"], "arn:aws:s3:::education-prod-static-assets/*");
    assert_eq!(policy["Condition"]["StringEquals"]["AWS:SourceArn"], one.arn);
}

#[tokio::test]
async fn edge_and_browser_are_told_apart() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let one = operator.only();
    let companions = operator.cloudfront.kept_companions();
    for (pattern, edge, browser) in
        [("video/*", "7200", 3600), ("*/manifest/*", "7200", 3600), ("thumbnails/*", "86400", 86_400)]
    {
        let field = |name: &str| at(&one.config, &["CacheBehaviors", &format!("PathPattern={pattern}"), name]);
        let policy = |id: String| companions.iter().find(|(seen, _)| seen.id == id).expect("it is there").1.clone();
        let cache = policy(field("CachePolicyId"));
        for name in ["MinTTL", "DefaultTTL", "MaxTTL"] {
            assert_eq!(cache.value(name), Some(edge), "{pattern}");
        }
        let headers = policy(field("ResponseHeadersPolicyId"));
        let header = &headers.get("CustomHeadersConfig").expect("set").items()[0];
        assert_eq!(header.value("Header"), Some("Cache-Control"));
        assert_eq!(header.value("Value"), Some(&*format!("public, max-age={browser}")), "{pattern}");
        assert_eq!(header.value("Override"), Some("true"));
        assert_eq!(field("SmoothStreaming"), "false");
    }
    assert_eq!(at(&one.config, &["Origins", "Id=streaming", "OriginShield", "OriginShieldRegion"]), "eu-central-1");
    // Two behaviours of one setting share one policy.
    assert_eq!(operator.cloudfront.done("CreateCachePolicy").len(), 2);
}
