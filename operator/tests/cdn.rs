//! From the resource to the configuration that CloudFront is sent: the tables of the guides, as the examples have them, and what
//! cannot be carried out.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

#[path = "support/seven_p.rs"]
mod seven_p;

use aws::{
    Identity, Owner, Password,
    cloudfront::{
        self, Call, Companion, CompanionKind, DeletionPolicy, Element, Memory, OriginKind, Policy, Rule, Scope, Seen,
        Spec, Wish,
    },
};
use crds::{LearningPlatform, SecretKey, tiers::cdn::CloudFront};
use jiff::Timestamp;
use learningplatform_operator::{
    context::Settings,
    tiers::cdn::wish::{self, Around, Unfit},
    validate::validate,
};
use serde_json::{Value, json};
use seven_p::{SECRET, at};
use std::{collections::BTreeMap, path::Path};

fn example(name: &str) -> LearningPlatform {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The first CDN of a platform.
fn cdn(platform: &LearningPlatform) -> (&str, &CloudFront) {
    let cdn = &platform.spec.cdns[0];
    (&cdn.name, cdn.cloud_front.as_ref().unwrap())
}

fn spec_with(platform: &LearningPlatform, addresses: &BTreeMap<String, String>) -> Result<Spec, Unfit> {
    let (name, cloud_front) = cdn(platform);
    let secret = |key: &SecretKey| (key.key == "verify").then(|| Password::new(SECRET));
    wish::spec(name, cloud_front, &Around { apps: &platform.spec.apps, addresses, secret: &secret })
}

fn wished(platform: &LearningPlatform) -> Wish {
    let spec = spec_with(platform, &BTreeMap::new()).unwrap();
    let (name, cloud_front) = cdn(platform);
    let identity = Identity::new("blue", "learning", platform.metadata.name.as_ref().unwrap(), name).unwrap();
    wish::wish(cloud_front, spec, Owner { identity, uid: "uid".into() }, 3, false, BTreeMap::new())
}

/// The configuration with which the distribution is made, and the policies, functions and access controls beside it, by the ids
/// that they get.
fn made(wish: &Wish) -> (Element, BTreeMap<String, Element>) {
    let mut seen = Seen::default();
    let mut companions = BTreeMap::new();
    let plan = |seen: &Seen| cloudfront::plan(wish, seen, &Memory::default(), Timestamp::UNIX_EPOCH);
    for planned in plan(&seen).plan.calls {
        if let Call::CreateCompanion { kind, name, config, .. } = planned.call {
            let comment = if kind == CompanionKind::OriginAccessControl { "Description" } else { "Comment" };
            let comment = config.value(comment).unwrap().to_owned();
            let id = format!("id-{}", companions.len());
            companions.insert(id.clone(), config);
            seen.companions.push(Companion { kind, name, id, comment, etag: Some("1".into()), live: true });
        }
    }
    let step = plan(&seen);
    let create = step.plan.calls.into_iter().find_map(|planned| match planned.call {
        Call::Create { config, .. } => Some((config, planned.hold)),
        _ => None,
    });
    let (config, hold) = create.unwrap_or_else(|| panic!("it is not created: {:?}", step.conditions));
    assert_eq!(hold, None);
    (config, companions)
}

#[test]
fn the_seven_p_example_is_the_guides_table_field_by_field() {
    let (config, companions) = made(&wished(&example("seven-p.yaml")));
    let certificate = "arn:aws:acm:us-east-1:123456789012:certificate/7e1f2a30-5b6c-4d7e-8f90-a1b2c3d4e5f6";
    seven_p::is_the_table(&config, certificate);
    // An access control in place of the guide's identity.
    let control = at(&config, &["Origins", "Id=education-platform-s3-origin", "OriginAccessControlId"]);
    assert_eq!(companions[&control].name, "OriginAccessControlConfig");
    // What all answers bear.
    for (pattern, control) in [("/static/*", Some("public, max-age=31536000, immutable")), ("/api/*", None)] {
        let id = at(&config, &["CacheBehaviors", &format!("PathPattern={pattern}"), "ResponseHeadersPolicyId"]);
        let headers = &companions[&id];
        let security = |path: &[&str]| at(headers, &[&["SecurityHeadersConfig"], path].concat());
        assert_eq!(security(&["StrictTransportSecurity", "AccessControlMaxAgeSec"]), "63072000");
        assert_eq!(security(&["StrictTransportSecurity", "IncludeSubdomains"]), "true");
        assert_eq!(security(&["StrictTransportSecurity", "Preload"]), "true");
        assert_eq!(security(&["ContentTypeOptions", "Override"]), "true");
        assert_eq!(security(&["ReferrerPolicy", "ReferrerPolicy"]), "origin-when-cross-origin");
        let custom = |name: &str| at(headers, &["CustomHeadersConfig", &format!("Header={name}"), "Value"]);
        assert_eq!(custom("X-DNS-Prefetch-Control"), "on");
        assert_eq!(custom("Cache-Control"), control.unwrap_or("-"));
    }
    // Metrics are for nobody.
    let gate = [
        "CacheBehaviors",
        "PathPattern=/api/metrics",
        "FunctionAssociations",
        "EventType=viewer-request",
        "FunctionARN",
    ];
    assert_eq!(companions[&at(&config, &gate)].name, "FunctionConfig");
}

#[test]
fn the_ten_k_examples_edges_and_browsers_keep_as_long_as_the_plan_says() {
    let (config, companions) = made(&wished(&example("ten-k.yaml")));
    for (pattern, origin, edge, browser) in [
        ("video/*", "streaming", "7200", 3600),
        ("*/manifest/*", "streaming", "7200", 3600),
        ("thumbnails/*", "images", "86400", 86_400),
        ("*/thumbnails/*", "streaming", "86400", 86_400),
        ("images/*", "images", "31536000", 31_536_000),
    ] {
        let field = |name: &str| at(&config, &["CacheBehaviors", &format!("PathPattern={pattern}"), name]);
        assert_eq!(field("TargetOriginId"), origin);
        let cache = &companions[&field("CachePolicyId")];
        for ttl in ["MinTTL", "DefaultTTL", "MaxTTL"] {
            assert_eq!(cache.value(ttl), Some(edge), "{pattern}");
        }
        let headers = &companions[&field("ResponseHeadersPolicyId")];
        let header = ["CustomHeadersConfig", "Header=Cache-Control"];
        assert_eq!(at(headers, &[&header[..], &["Value"]].concat()), format!("public, max-age={browser}"), "{pattern}");
        assert_eq!(at(headers, &[&header[..], &["Override"]].concat()), "true");
    }
    let key = |name: &str| {
        at(
            &companions[&at(&config, &["CacheBehaviors", "PathPattern=images/*", "CachePolicyId"])],
            &["ParametersInCacheKeyAndForwardedToOrigin", "QueryStringsConfig", name],
        )
    };
    assert_eq!((key("QueryStringBehavior"), key("QueryStrings")), ("whitelist".into(), "blur,q,w".into()));
    assert_eq!(at(&config, &["Origins", "Id=streaming", "OriginShield", "OriginShieldRegion"]), "eu-west-2");
    assert_eq!(at(&config, &["Origins", "Id=web", "DomainName"]), "origin.elearning.com");
    assert_eq!(at(&config, &["Origins", "Id=api", "DomainName"]), "api.elearning.com");
}

#[test]
fn every_example_can_be_carried_out_and_does_what_is_meant() {
    for (file, warned) in [
        ("story.yaml", vec![]),
        ("ai-skills.yaml", vec![]),
        ("seven-p.yaml", vec![]),
        ("solidity.yaml", vec![]),
        // Somebody else's service, which is for everybody.
        ("ten-k.yaml", vec![(Rule::OriginReachableDirectly, "origins[streaming]")]),
        ("features/cdn-attach.yaml", vec![]),
    ] {
        let platform = example(file);
        validate(&platform, &Settings::default()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let wish = wished(&platform);
        if wish.scope == Scope::Own {
            made(&wish);
        }
        let warnings = cloudfront::lint(&wish.spec);
        let found: Vec<_> = warnings.iter().map(|one| (one.rule, one.field.as_str())).collect();
        assert_eq!(found, warned, "{file}");
    }
}

#[test]
fn an_app_is_asked_for_by_a_host_that_does_not_lead_back() {
    let balancer = || BTreeMap::from([("web".to_owned(), "k8s-1.elb.eu-central-1.amazonaws.com".to_owned())]);
    let both = || {
        json!({
            "gateway": {"parentRefs": [{"name": "public"}], "hosts": ["*.learn.example", "learn.example", "origin.learn.example"]},
            "ingress": {"hosts": ["old.learn.example"]},
        })
    };
    let (addresses, none) = (balancer(), BTreeMap::new());
    // Exposure, origin, aliases, addresses, and what comes of it.
    for (exposure, origin, aliases, addresses, expected) in [
        (both(), json!({"app": {"name": "web"}}), json!(["learn.example"]), &none, Ok("origin.learn.example")),
        (both(), json!({"app": {"name": "web"}}), json!([]), &none, Ok("learn.example")),
        (both(), json!({"app": {"name": "web", "route": "Ingress"}}), json!([]), &none, Ok("old.learn.example")),
        (both(), json!({"app": {"name": "web", "host": "a.learn.example"}}), json!([]), &none, Ok("a.learn.example")),
        (both(), json!({"app": {"name": "web", "host": "other.example"}}), json!([]), &none, Err("use one of these")),
        (
            both(),
            json!({"app": {"name": "web", "host": "learn.example"}}),
            json!(["Learn.example"]),
            &none,
            Err("would go in a circle"),
        ),
        // By a VPC origin there is no circle.
        (
            both(),
            json!({"app": {"name": "web"}, "vpcOrigin": "vo_1"}),
            json!(["learn.example"]),
            &none,
            Ok("learn.example"),
        ),
        (
            json!({"gateway": {"parentRefs": [{"name": "public"}], "hosts": ["learn.example"]}}),
            json!({"app": {"name": "web"}}),
            json!(["learn.example"]),
            &addresses,
            Ok("k8s-1.elb.eu-central-1.amazonaws.com"),
        ),
        (
            json!({"gateway": {"parentRefs": [{"name": "public"}], "hosts": ["learn.example"]}}),
            json!({"app": {"name": "web"}}),
            json!(["learn.example"]),
            &none,
            Err("has no name yet"),
        ),
        (
            json!({"ingress": {}}),
            json!({"app": {"name": "web", "route": "Gateway"}}),
            json!([]),
            &none,
            Err("no exposure.gateway"),
        ),
        (Value::Null, json!({"app": {"name": "web"}}), json!([]), &none, Err("set its exposure")),
        (json!({"ingress": {}}), json!({"app": {"name": "api"}}), json!([]), &none, Err("there is no app api")),
    ] {
        let mut platform = example("features/cdn-attach.yaml");
        platform.spec.apps[0].exposure = serde_json::from_value(exposure.clone()).unwrap();
        let mut origin = origin;
        origin["name"] = json!("web");
        let cloud_front = platform.spec.cdns[0].cloud_front.as_mut().unwrap();
        cloud_front.origins = vec![serde_json::from_value(origin.clone()).unwrap()];
        cloud_front.aliases = serde_json::from_value(aliases).unwrap();
        let found = spec_with(&platform, addresses);
        match expected {
            Ok(domain) => assert_eq!(found.unwrap().origins[0].domain, domain, "{exposure} {origin}"),
            Err(words) => {
                let said = found.unwrap_err().to_string();
                assert!(said.starts_with("spec.cdns[site].cloudFront.origins[web].app"), "{said}");
                assert!(said.contains(words), "{exposure} {origin}: {said}");
            }
        }
    }
    // Only what is waited for is no fault of the spec's.
    let mut platform = example("features/cdn-attach.yaml");
    platform.spec.apps[0].exposure.as_mut().unwrap().ingress.as_mut().unwrap().hosts.clear();
    assert!(matches!(spec_with(&platform, &none), Err(Unfit::Waiting { .. })));
    validate(&platform, &Settings::default()).unwrap();
    let numbers = BTreeMap::from([("web".to_owned(), "203.0.113.7".to_owned())]);
    let said = spec_with(&platform, &numbers).unwrap_err().to_string();
    assert!(said.contains("CloudFront asks for names"), "{said}");
}

#[test]
fn what_cannot_be_carried_out_names_the_field_and_the_remedy() {
    let at = "/cdns/0/cloudFront";
    for (pointer, value, field, remedy) in [
        (
            "/behaviors/0/cachePolicy",
            json!({"name": "other"}),
            "behaviors[/static/*].cachePolicy.name",
            "correct the name",
        ),
        (
            "/behaviors/5/cachePolicy",
            json!({"managed": "Nothing"}),
            ": behaviors[/404.html].cachePolicy",
            "CachingDisabled",
        ),
        (
            "/behaviors/0/forwardedValues/minTTL",
            json!("1500ms"),
            "behaviors[/static/*].forwardedValues.minTTL",
            "whole seconds",
        ),
        ("/behaviors/0/browserTTL", json!("1h"), "", ""),
        ("/behaviors/0/origin", json!("other"), ": behaviors[/static/*].origin", "origins has"),
        (
            "/behaviors/7/responseHeadersPolicy/name",
            json!("other"),
            "behaviors[*].responseHeadersPolicy.name",
            "add it",
        ),
        (
            "/origins/0/headers/0/name",
            json!("X-Amz-Key"),
            "origins[education-platform-origin].headers[X-Amz-Key]",
            "another name",
        ),
        ("/origins/0/headers/0/name", json!("Host"), "headers[Host]", "another name"),
        ("/origins/1/s3/public", json!(true), "", ""),
        ("/origins/0/domain", json!("x.example"), "origins[education-platform-origin]", "exactly one of"),
        ("/origins/0/readTimeout", json!("5000000000s"), "origins[education-platform-origin].readTimeout", "lower it"),
        ("/invalidateAfter/0/app", json!("other"), "invalidateAfter[other].app", "correct the name"),
        ("/certificate/arn", json!("arn:aws:acm:eu-west-1:1:certificate/1"), ": certificate.arn", "us-east-1"),
    ] {
        let platform = example("seven-p.yaml");
        let mut spec = serde_json::to_value(&platform.spec).unwrap();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(&format!("{at}{parent}")).unwrap()[name] = value.clone();
        let platform = LearningPlatform { spec: serde_json::from_value(spec).unwrap(), ..platform };
        let said =
            validate(&platform, &Settings::default()).map(|_| String::new()).unwrap_or_else(|error| error.to_string());
        assert_eq!(said.is_empty(), field.is_empty(), "{pointer}: {said}");
        if !field.is_empty() {
            assert!(said.starts_with("spec.cdns[edge].cloudFront"), "{said}");
            assert!(said.contains(field) && said.contains(remedy), "{pointer}: {said}");
        }
    }
}

#[test]
fn a_missing_secret_changes_nothing_and_none_is_shown() {
    let platform = example("seven-p.yaml");
    let (name, cloud_front) = cdn(&platform);
    let none = BTreeMap::new();
    let spec =
        wish::spec(name, cloud_front, &Around { apps: &platform.spec.apps, addresses: &none, secret: &|_| None })
            .unwrap();
    let wish = Wish { spec, ..wished(&platform) };
    let step = cloudfront::plan(&wish, &Seen::default(), &Memory::default(), Timestamp::UNIX_EPOCH);
    let create = step.plan.calls.iter().find(|planned| matches!(planned.call, Call::Create { .. })).unwrap();
    assert!(create.hold.is_some());
    let shown = format!("{:?}", wished(&platform));
    assert!(!shown.contains(SECRET));
}

#[test]
fn how_far_the_operator_goes_is_taken_over() {
    let mut platform = example("features/cdn-attach.yaml");
    let wish = wished(&platform);
    assert_eq!(wish.scope, Scope::Attach { distribution: "E2QWRUHAPOMQZL".into() });
    assert_eq!((wish.mode, wish.policy(), wish.adopt), (aws::Mode::Plan, DeletionPolicy::Delete, false));
    assert!(
        matches!(&wish.spec.origins[0].kind, OriginKind::Vpc { id, read_timeout: Some(60), .. } if id == "vo_0a1b2c3d4e5f")
    );
    let Some(Policy::Own(cache)) = &wish.spec.behaviors[0].1.cache_policy else { panic!("it is made") };
    assert_eq!((cache.min_ttl, cache.default_ttl, cache.max_ttl), (31_536_000, 31_536_000, 31_536_000));
    assert!(cache.compression);
    let cloud_front = platform.spec.cdns[0].cloud_front.as_mut().unwrap();
    cloud_front.control = serde_json::from_value(json!({
        "mode": "Observe", "approve": "0123456789abcdef", "allow": ["StartEmpty"], "adopt": true,
    }))
    .unwrap();
    cloud_front.deletion_policy = Some(crds::tiers::cdn::DeletionPolicy::Retain);
    let wish = wished(&platform);
    assert_eq!((wish.mode, wish.policy(), wish.adopt), (aws::Mode::Observe, DeletionPolicy::Retain, true));
    assert_eq!((wish.approved.as_deref(), wish.allow.len(), wish.generation), (Some("0123456789abcdef"), 1, 3));
}
