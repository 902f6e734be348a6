//! What is refused before AWS is asked, in words that name the field. None of it relies on the fake to refuse.

use crate::{
    driver::Operator,
    wishes::{self, bucket, legacy, managed, set, seven_p, ten_k, wish},
};
use learningplatform_aws::{
    Kind, Password,
    cloudfront::{
        BucketAccess, CacheSettings, ErrorPage, Event, FunctionRef, Names, OriginKind, Policy, Scope, Spec, Wish,
    },
};

async fn problems(wish: Wish) -> Vec<String> {
    let operator = Operator::new(wish);
    let step = operator.look().await;
    assert!(operator.cloudfront.log().is_empty());
    let told = step.conditions.iter().filter(|told| told.kind == Kind::Invalid);
    let told: Vec<String> = told.map(|told| told.message.clone()).collect();
    assert!(told.is_empty() || (step.send.is_none() && step.plan.calls.is_empty()));
    told
}

#[tokio::test]
async fn each_mistake_is_told_once_and_by_its_field() {
    type Edit = fn(&mut Spec);
    let table: &[(&str, Edit)] = &[
        ("behaviors[*] is missing", |spec| spec.default_behavior = None),
        ("origins[education-platform-s3-origin]: there are two of this id", |spec| {
            spec.origins.push(bucket("education-platform-s3-origin"));
        }),
        ("origins[education-platform-origin].domain \"https://x\"", |spec| spec.origins[0].domain = "https://x".into()),
        ("origins[education-platform-origin].path: begin", |spec| spec.origins[0].path = Some("v2/".into())),
        ("origins[education-platform-origin].connectionAttempts", |spec| {
            spec.origins[0].connection_attempts = Some(4);
        }),
        (
            "origins[education-platform-origin].protocol \"ftp\": use one of http-only, https-only, match-viewer",
            |spec| {
                let OriginKind::Custom(custom) = &mut spec.origins[0].kind else { panic!("a server") };
                custom.protocol = "ftp".into();
            },
        ),
        ("origins[education-platform-origin].headers[X-Bad]: the Secret's value", |spec| {
            spec.origins[0].headers.insert("X-Bad".into(), Some(Password::new("two\nlines")));
        }),
        ("behaviors[static/*]: there are two for this path", |spec| {
            let one = spec.behaviors[0].1.clone();
            spec.behaviors.push(("static/*".into(), one));
        }),
        ("behaviors[*]: that is the default one, of which there is one", |spec| spec.behaviors[0].0 = "*".into()),
        (
            "behaviors[/api/*].origin \"web\": origins has education-platform-origin, education-platform-s3-origin",
            |spec| spec.behaviors[2].1.origin = "web".into(),
        ),
        ("behaviors[/api/*].viewerProtocolPolicy \"none\"", |spec| {
            spec.behaviors[2].1.viewer_protocol_policy = "none".into();
        }),
        ("behaviors[/api/*].allowedMethods: CloudFront has GET, HEAD; or", |spec| {
            spec.behaviors[2].1.allowed_methods = Some(set(&["GET", "HEAD", "POST"]));
        }),
        ("behaviors[/static/*].cachedMethods: only what is in allowedMethods", |spec| {
            spec.behaviors[0].1.cached_methods = Some(set(&["GET", "HEAD", "OPTIONS"]));
        }),
        ("behaviors[/api/*]: forwardedValues and TTLs cannot stand beside a policy", |spec| {
            spec.behaviors[2].1.cache_policy = managed("CachingDisabled");
        }),
        ("behaviors[/api/*]: forwardedValues and TTLs cannot stand beside a policy", |spec| {
            spec.behaviors[2].1.origin_request_policy = managed("AllViewer");
        }),
        ("behaviors[/api/*]: minTTL 9, defaultTTL 0 and maxTTL 86400", |spec| {
            spec.behaviors[2].1.legacy.as_mut().expect("set").min_ttl = Some(9);
        }),
        ("behaviors[/api/*].cookies: all but some", |spec| {
            spec.behaviors[2].1.legacy.as_mut().expect("set").cookies = Names::AllBut(set(&["a"]));
        }),
        ("behaviors[*].cachePolicy is missing: name one of AWS's (Amplify, CachingDisabled, ", |spec| {
            spec.default_behavior.as_mut().expect("set").legacy = None;
        }),
        ("behaviors[*].responseHeadersPolicy \"Secure\": AWS has CORS-and-SecurityHeadersPolicy", |spec| {
            spec.default_behavior.as_mut().expect("set").response_headers_policy = managed("Secure");
        }),
        ("behaviors[*].browserTTL is a header of its own policy", |spec| {
            let behavior = spec.default_behavior.as_mut().expect("set");
            (behavior.response_headers_policy, behavior.browser_ttl) = (managed("SecurityHeadersPolicy"), Some(60));
        }),
        ("behaviors[/static/*].cachePolicy: with maxTTL 0 nothing is cached", |spec| {
            let behavior = &mut spec.behaviors[0].1;
            behavior.legacy = None;
            behavior.cache_policy = Some(Policy::Own(CacheSettings { compression: true, ..CacheSettings::default() }));
        }),
        ("behaviors[/static/*].functions \"gone\": functions has none", |spec| {
            let functions = [(Event::ViewerRequest, FunctionRef::Own("gone".into()))];
            spec.behaviors[0].1.functions = Some(functions.into());
        }),
        ("aliases: CloudFront's own certificate is not for them", |spec| spec.certificate = None),
        ("certificate.arn is of eu-central-1: CloudFront takes certificates of us-east-1 only", |spec| {
            spec.certificate.as_mut().expect("set").arn = "arn:aws:acm:eu-central-1:1:certificate/x".into();
        }),
        ("certificate.arn \"x\": use the ARN", |spec| spec.certificate.as_mut().expect("set").arn = "x".into()),
        ("defaultRootObject begins with a slash", |spec| spec.default_root_object = Some("/index.html".into())),
        ("priceClass \"cheap\"", |spec| spec.price_class = Some("cheap".into())),
        ("httpVersion \"2\"", |spec| spec.http_version = Some("2".into())),
        ("errors[418]: CloudFront has pages for 400, 403", |spec| {
            let page = ErrorPage { code: 418, response_code: None, page: None, ttl: None };
            spec.errors.as_mut().expect("set").push(page);
        }),
        ("errors[403]: page and responseCode belong together", |spec| {
            let page = ErrorPage { code: 403, response_code: None, page: Some("/403.html".into()), ttl: None };
            spec.errors.as_mut().expect("set").push(page);
        }),
        ("invalidateAfter[web] \"courses\": begin it with a slash", |spec| {
            spec.invalidate.insert("web".into(), set(&["courses"]));
        }),
        ("invalidateAfter[web] \"/a*b\": a star can only stand at the end", |spec| {
            spec.invalidate.insert("web".into(), set(&["/a*b"]));
        }),
    ];
    for (words, edit) in table {
        let mut spec = seven_p();
        edit(&mut spec);
        let told = problems(wish(spec)).await;
        assert!(told.len() == 1 && told[0].starts_with(words), "{words}: {told:#?}");
    }
}

#[tokio::test]
async fn the_distributions_of_the_guides_have_no_mistakes() {
    for spec in [seven_p(), ten_k()] {
        assert!(problems(wish(spec)).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_of_the_whole_distribution_is_refused_in_somebody_elses() {
    let attach = |spec: Spec| Wish { scope: Scope::Attach { distribution: "E1".into() }, ..wish(spec) };
    let told = problems(attach(seven_p())).await;
    let fields = [
        "behaviors[*]",
        "enabled",
        "aliases",
        "certificate",
        "comment",
        "defaultRootObject",
        "ipv6",
        "geoRestriction",
        "errors",
        "logging",
    ];
    for field in fields {
        let words = format!("{field} is of the whole distribution, which is somebody else's beside distributionId");
        assert!(told.iter().any(|told| told.starts_with(&words)), "{field}: {told:#?}");
    }
    assert!(told.iter().any(|told| {
        told.starts_with("invalidateAfter[web] \"/courses/*\": beside distributionId only paths of behaviors")
    }));
    let told = problems(attach(Spec { origins: vec![bucket("b")], ..Spec::default() })).await;
    assert_eq!(told, ["behaviors is empty: nothing else is put into the distribution of distributionId. Add some"]);
}

#[tokio::test]
async fn no_value_of_a_secret_is_in_what_is_told() {
    let mut spec = seven_p();
    spec.origins[0].headers.insert("X-Other".into(), Some(Password::new("só-secret")));
    spec.behaviors[0].1.legacy = Some(legacy(5, 1, 0));
    spec.origins[1].kind = OriginKind::S3(BucketAccess::Public);
    let told = problems(wish(spec)).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(!told.concat().contains("só-secret") && !told.concat().contains(wishes::SECRET));
}
