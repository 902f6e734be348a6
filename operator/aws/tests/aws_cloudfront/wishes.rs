//! Distributions as the guides of learning platforms describe them.

use learningplatform_aws::{
    Identity, Mode, Owner, Password,
    cloudfront::{
        Behavior, BucketAccess, CacheSettings, Certificate, Cors, Custom, Element, ErrorPage, Event, Function,
        FunctionRef, GeoRestriction, Hsts, Legacy, Logging, Names, Origin, OriginKind, Policy, ResponseHeaders, Scope,
        Spec, Wish,
    },
};
use std::collections::{BTreeMap, BTreeSet};

pub const SECRET: &str = "only-the-edge-knows-this";
pub const YEAR: u64 = 31_536_000;
pub const CERTIFICATE: &str = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d";

pub fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn read() -> Option<BTreeSet<String>> {
    Some(set(&["GET", "HEAD"]))
}

pub fn all() -> Option<BTreeSet<String>> {
    Some(set(&["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]))
}

/// Whose the distributions of the tests are.
pub fn owner(platform: &str, uid: &str) -> Owner {
    let identity = Identity::new("blue", "learning", platform, "edge").expect("legal");
    Owner { identity, uid: uid.to_owned() }
}

pub fn app(id: &str) -> Origin {
    Origin {
        id: id.into(),
        domain: "app.education.example.com".into(),
        path: None,
        headers: BTreeMap::from([("X-Origin-Verify".to_owned(), Some(Password::new(SECRET)))]),
        kind: OriginKind::Custom(Custom::default()),
        connection_attempts: None,
        connection_timeout: None,
        shield: None,
    }
}

pub fn bucket(id: &str) -> Origin {
    Origin {
        id: id.into(),
        domain: "education-prod-static-assets.s3.eu-central-1.amazonaws.com".into(),
        headers: BTreeMap::new(),
        kind: OriginKind::S3(BucketAccess::Own),
        ..app(id)
    }
}

/// What all behaviours have in common.
pub fn behavior(origin: &str, methods: Option<BTreeSet<String>>) -> Behavior {
    Behavior {
        origin: origin.into(),
        viewer_protocol_policy: "redirect-to-https".into(),
        allowed_methods: methods,
        cached_methods: read(),
        compress: Some(true),
        ..Behavior::default()
    }
}

pub fn legacy(min: u64, default: u64, max: u64) -> Legacy {
    Legacy { min_ttl: Some(min), default_ttl: Some(default), max_ttl: Some(max), ..Legacy::default() }
}

pub fn managed<T>(name: &str) -> Option<Policy<T>> {
    Some(Policy::Managed(name.into()))
}

/// The whole table of the 7P guide, with an origin access control in place of an identity.
pub fn seven_p() -> Spec {
    let (origin, s3) = ("education-platform-origin", "education-platform-s3-origin");
    let fixed = |origin: &str, min: u64| Behavior { legacy: Some(legacy(min, YEAR, YEAR)), ..behavior(origin, read()) };
    let api = Legacy {
        query_string: true,
        headers: set(&["Authorization", "Content-Type", "Accept"]),
        cookies: Names::All,
        ..legacy(0, 0, 86_400)
    };
    let pages = Legacy {
        query_string: true,
        headers: set(&["Authorization", "CloudFront-Forwarded-Proto", "Host"]),
        cookies: Names::Only(set(&["session", "csrf-token"])),
        ..legacy(0, 86_400, YEAR)
    };
    let error = |code: u16, page: &str, ttl: u64| ErrorPage {
        code,
        response_code: Some(code),
        page: Some(page.into()),
        ttl: Some(ttl),
    };
    Spec {
        origins: vec![app(origin), bucket(s3)],
        default_behavior: Some(Behavior { legacy: Some(pages), ..behavior(origin, all()) }),
        behaviors: vec![
            ("/static/*".into(), fixed(s3, 86_400)),
            ("/_next/static/*".into(), fixed(origin, YEAR)),
            ("/api/*".into(), Behavior { legacy: Some(api), ..behavior(origin, all()) }),
        ],
        enabled: Some(true),
        aliases: Some(set(&["Education.example.com", "www.education.example.com"])),
        certificate: Some(Certificate {
            arn: CERTIFICATE.into(),
            minimum_protocol_version: Some("TLSv1.2_2021".into()),
            ssl_support_method: None,
        }),
        comment: Some("Education Platform CDN".into()),
        default_root_object: Some("index.html".into()),
        ipv6: Some(true),
        geo_restriction: Some(GeoRestriction::None),
        errors: Some(vec![error(404, "/404.html", 300), error(500, "/500.html", 60)]),
        logging: Some(Logging {
            bucket: "education-logs.s3.amazonaws.com".into(),
            prefix: "cloudfront-logs/".into(),
            cookies: false,
        }),
        invalidate: BTreeMap::from([("web".to_owned(), set(&["/", "/index.html", "/courses/*"]))]),
        ..Spec::default()
    }
}

/// Edge and browser TTLs apart, as in the plan for ten thousand users; policies, functions and a shield of our own.
pub fn ten_k() -> Spec {
    let edge = |ttl: u64, browser: u64, origin: &str| Behavior {
        cache_policy: Some(Policy::Own(CacheSettings {
            min_ttl: ttl,
            default_ttl: ttl,
            max_ttl: ttl,
            compression: true,
            ..CacheSettings::default()
        })),
        browser_ttl: Some(browser),
        smooth_streaming: Some(false),
        ..behavior(origin, read())
    };
    let mut streaming = app("streaming");
    streaming.domain = "customer.videodelivery.net".into();
    streaming.shield = Some("eu-central-1".into());
    let headers = ResponseHeaders {
        cors: Some(Cors {
            origins: set(&["https://elearning.com"]),
            methods: set(&["GET", "HEAD"]),
            headers: set(&["*"]),
            credentials: false,
            max_age: Some(86_400),
        }),
        hsts: Some(Hsts { max_age: 63_072_000, include_subdomains: true, preload: true }),
        nosniff: true,
        referrer_policy: Some("origin-when-cross-origin".into()),
        ..ResponseHeaders::default()
    };
    let pages = Behavior {
        cache_policy: managed("CachingDisabled"),
        origin_request_policy: managed("AllViewer"),
        response_headers_policy: Some(Policy::Own(headers)),
        ..behavior("web", all())
    };
    let closed = Behavior {
        functions: Some(BTreeMap::from([(Event::ViewerRequest, FunctionRef::Own("closed".into()))])),
        cache_policy: managed("CachingDisabled"),
        ..behavior("web", read())
    };
    Spec {
        origins: vec![app("web"), streaming, bucket("images")],
        default_behavior: Some(pages),
        behaviors: vec![
            ("/api/metrics".into(), closed.clone()),
            ("/metrics".into(), closed),
            ("video/*".into(), edge(7200, 3600, "streaming")),
            ("*/manifest/*".into(), edge(7200, 3600, "streaming")),
            ("thumbnails/*".into(), edge(86_400, 86_400, "images")),
        ],
        functions: BTreeMap::from([("closed".to_owned(), Function::closed())]),
        invalidate: BTreeMap::from([("web".to_owned(), set(&["/courses/*"])), ("api".to_owned(), set(&["/api/v1/*"]))]),
        ..Spec::default()
    }
}

pub fn wish(spec: Spec) -> Wish {
    Wish {
        owner: owner("story", "uid-1"),
        generation: 1,
        mode: Mode::Apply,
        approved: None,
        allow: BTreeSet::new(),
        adopt: false,
        deleted: false,
        deletion_policy: None,
        scope: Scope::Own,
        spec,
        rollouts: BTreeMap::new(),
    }
}

/// A distribution of somebody else's, with things that we know nothing of.
pub fn theirs() -> Element {
    let xml = "<DistributionConfig><CallerReference>theirs</CallerReference><Aliases><Quantity>0</Quantity></Aliases>\
        <Origins><Quantity>2</Quantity><Items>\
        <Origin><Id>web</Id><DomainName>their.example.com</DomainName><CustomHeaders><Quantity>1</Quantity><Items><OriginCustomHeader>\
        <HeaderName>X-Theirs</HeaderName><HeaderValue>their-secret</HeaderValue></OriginCustomHeader></Items></CustomHeaders>\
        <CustomOriginConfig><HTTPPort>80</HTTPPort><HTTPSPort>443</HTTPSPort><OriginProtocolPolicy>https-only</OriginProtocolPolicy>\
        <OriginSslProtocols><Quantity>1</Quantity><Items><SslProtocol>TLSv1.2</SslProtocol></Items></OriginSslProtocols></CustomOriginConfig></Origin>\
        <Origin><Id>lp-not-ours</Id><DomainName>b.s3.amazonaws.com</DomainName><S3OriginConfig><OriginAccessIdentity/></S3OriginConfig></Origin>\
        </Items></Origins>\
        <DefaultCacheBehavior><TargetOriginId>web</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>\
        <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId></DefaultCacheBehavior>\
        <CacheBehaviors><Quantity>2</Quantity><Items>\
        <CacheBehavior><PathPattern>/shop/*</PathPattern><TargetOriginId>web</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>\
        <CachePolicyId>4135ea2d-6df8-44a3-9df3-4b5a84be39ad</CachePolicyId><Unheard><Of>it &amp; more</Of></Unheard></CacheBehavior>\
        <CacheBehavior><PathPattern>/old/*</PathPattern><TargetOriginId>lp-not-ours</TargetOriginId><ViewerProtocolPolicy>https-only</ViewerProtocolPolicy>\
        <ForwardedValues><QueryString>false</QueryString><Cookies><Forward>none</Forward></Cookies></ForwardedValues><MinTTL>0</MinTTL></CacheBehavior>\
        </Items></CacheBehaviors><Comment>theirs</Comment><Enabled>true</Enabled></DistributionConfig>";
    Element::parse(xml).expect("it is XML")
}

/// What is attached to it.
pub fn ours() -> Spec {
    let cached = Behavior {
        cache_policy: Some(Policy::Own(CacheSettings {
            min_ttl: 60,
            default_ttl: 60,
            max_ttl: 60,
            ..CacheSettings::default()
        })),
        ..behavior("images", read())
    };
    let api = Behavior {
        cache_policy: managed("CachingDisabled"),
        origin_request_policy: managed("AllViewer"),
        ..behavior("web", all())
    };
    Spec {
        origins: vec![app("web"), bucket("images")],
        behaviors: vec![("/learn/*".into(), api), ("/learn/images/*".into(), cached)],
        invalidate: [("web".to_owned(), set(&["/learn/*"]))].into(),
        ..Spec::default()
    }
}
