//! What works, and is not what is meant.

use crate::wishes::{self, app, behavior, bucket, legacy, managed, set, seven_p, ten_k};
use learningplatform_aws::cloudfront::{
    Behavior, BucketAccess, CacheSettings, Event, Function, FunctionRef, Legacy, Names, OriginKind, Policy, Rule, Spec,
    lint,
};
use std::collections::BTreeMap;

fn told(spec: &Spec) -> Vec<(Rule, String)> {
    let warnings = lint(spec);
    for one in &warnings {
        assert!(!one.message.is_empty() && !one.remedy.is_empty(), "{one:?}");
        assert!(!format!("{one:?}").contains(wishes::SECRET));
    }
    warnings.into_iter().map(|one| (one.rule, one.field)).collect()
}

fn keeps(seconds: u64) -> CacheSettings {
    CacheSettings { min_ttl: 0, default_ttl: seconds, max_ttl: seconds.max(1), ..CacheSettings::default() }
}

/// A distribution in which nothing is wrong.
fn sound() -> Spec {
    let dynamic = Behavior {
        cache_policy: managed("CachingDisabled"),
        origin_request_policy: managed("AllViewer"),
        ..behavior("web", wishes::all())
    };
    let closed = Behavior {
        functions: Some(BTreeMap::from([(Event::ViewerRequest, FunctionRef::Own("closed".into()))])),
        ..dynamic.clone()
    };
    Spec {
        origins: vec![app("web"), bucket("assets")],
        behaviors: vec![
            ("/api/metrics".into(), closed.clone()),
            ("/metrics".into(), closed),
            (
                "/static/*".into(),
                Behavior { cache_policy: managed("CachingOptimized"), ..behavior("assets", wishes::read()) },
            ),
        ],
        default_behavior: Some(dynamic),
        functions: BTreeMap::from([("closed".to_owned(), Function::closed())]),
        ..Spec::default()
    }
}

#[test]
fn a_sound_distribution_has_no_warning() {
    assert_eq!(told(&sound()), []);
}

#[test]
fn each_mistake_of_the_guides_is_told_with_its_field_and_its_remedy_works() {
    use Rule::*;
    type Edit = fn(&mut Spec);
    let first = |field: &str| field.to_owned();
    // What is wrong, what is told, and what mends it.
    let table: &[(&str, Edit, Rule, String, Edit)] = &[
        (
            "a public API, kept for five minutes for everybody",
            |spec| {
                let cached = Behavior { cache_policy: Some(Policy::Own(keeps(300))), ..behavior("web", wishes::all()) };
                spec.behaviors.push(("/api/*".into(), cached));
            },
            PersonalPathShared,
            first("behaviors[/api/*]"),
            |spec| {
                let personal = spec.default_behavior.clone().expect("set");
                for path in
                    ["/api/me/*", "/api/progress*", "/api/vocabulary/recommendations", "/api/auth/*", "/api/account"]
                {
                    spec.behaviors.insert(0, (path.into(), personal.clone()));
                }
            },
        ),
        (
            "the same in legacy values, with the TTLs that AWS fills in",
            |spec| {
                let cached = Behavior { legacy: Some(Legacy::default()), ..behavior("web", wishes::all()) };
                spec.behaviors.push(("/api/*".into(), cached));
            },
            PersonalPathShared,
            first("behaviors[/api/*]"),
            |spec| {
                let cached = spec.behaviors[3].1.legacy.as_mut().expect("set");
                (cached.cookies, cached.headers) = (Names::All, set(&["Authorization"]));
            },
        ),
        (
            "Authorization goes to the origin, and is not in the key",
            |spec| {
                let cached = Behavior {
                    cache_policy: Some(Policy::Own(keeps(60))),
                    origin_request_policy: managed("AllViewer"),
                    ..behavior("web", wishes::all())
                };
                spec.behaviors.push(("/graphql".into(), cached));
            },
            AuthorizationOutsideKey,
            first("behaviors[/graphql]"),
            |spec| {
                let Some(Policy::Own(cache)) = &mut spec.behaviors[3].1.cache_policy else { panic!("its own") };
                cache.headers.insert("authorization".into());
            },
        ),
        (
            "everything that ends in js for a year",
            |spec| {
                let pinned = Behavior {
                    legacy: Some(legacy(0, wishes::YEAR, wishes::YEAR)),
                    ..behavior("assets", wishes::read())
                };
                spec.behaviors.push(("*.js".into(), pinned));
            },
            ServiceWorkerPinned,
            first("behaviors[*.js]"),
            |spec| {
                let fresh = Behavior { browser_ttl: Some(0), ..spec.default_behavior.clone().expect("set") };
                spec.behaviors.insert(3, ("/sw.js".into(), fresh.clone()));
                spec.behaviors.insert(3, ("/service-worker.js".into(), fresh));
            },
        ),
        (
            "browsers are told to keep everything for a year",
            |spec| spec.default_behavior.as_mut().expect("set").browser_ttl = Some(wishes::YEAR),
            ServiceWorkerPinned,
            first("behaviors[*]"),
            |spec| spec.default_behavior.as_mut().expect("set").browser_ttl = Some(0),
        ),
        (
            "metrics for everybody",
            |spec| drop(spec.behaviors.remove(0)),
            MetricsExposed,
            first("behaviors[*]"),
            |spec| {
                let closed = spec.behaviors[0].1.clone();
                spec.behaviors.insert(0, ("/api/metrics".into(), closed));
            },
        ),
        (
            "pages for a day, and nobody makes the edges forget them",
            |spec| {
                let mut key = keeps(86_400);
                (key.cookies, key.headers) = (Names::All, set(&["Authorization"]));
                spec.default_behavior.as_mut().expect("set").cache_policy = Some(Policy::Own(key));
            },
            HtmlNotInvalidated,
            first("behaviors[*]"),
            |spec| drop(spec.invalidate.insert("web".into(), set(&["/*"]))),
        ),
        (
            "a server that answers to everybody",
            |spec| spec.origins[0].headers.clear(),
            OriginReachableDirectly,
            first("origins[web]"),
            |spec| {
                spec.origins[0].kind =
                    OriginKind::Vpc { id: "vo_1".into(), read_timeout: None, keepalive_timeout: None };
            },
        ),
        (
            "a bucket that answers to everybody",
            |spec| spec.origins[1].kind = OriginKind::S3(BucketAccess::Public),
            OriginReachableDirectly,
            first("origins[assets]"),
            |spec| spec.origins[1].kind = OriginKind::S3(BucketAccess::Identity("E1".into())),
        ),
    ];
    for (what, wrong, rule, field, mend) in table {
        let mut spec = sound();
        wrong(&mut spec);
        assert_eq!(told(&spec), [(*rule, field.clone())], "{what}");
        mend(&mut spec);
        assert_eq!(told(&spec), [], "{what}");
    }
}

#[test]
fn the_table_of_the_seven_p_guide_exposes_metrics_and_keeps_pages_only_without_invalidation() {
    let mut spec = seven_p();
    let metrics =
        [(Rule::MetricsExposed, "behaviors[/api/*]".to_owned()), (Rule::MetricsExposed, "behaviors[*]".to_owned())];
    let mut expected = metrics.to_vec();
    expected.sort();
    let mut found = told(&spec);
    found.sort();
    assert_eq!(found, expected, "its API's key says whose an answer is, and its pages are invalidated");
    spec.invalidate.clear();
    spec.origins[0].headers.clear();
    let mut found = told(&spec);
    found.sort();
    expected.push((Rule::HtmlNotInvalidated, "behaviors[*]".into()));
    expected.push((Rule::OriginReachableDirectly, "origins[education-platform-origin]".into()));
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn the_paths_of_the_plan_for_ten_thousand_users_are_sound() {
    assert_eq!(told(&ten_k()), []);
}

#[test]
fn the_public_api_of_the_story_guide_shares_what_is_one_persons() {
    let mut spec = sound();
    let headers = learningplatform_aws::cloudfront::ResponseHeaders {
        custom: BTreeMap::from([("Cache-Control".to_owned(), "public, max-age=31536000, immutable".to_owned())]),
        ..Default::default()
    };
    // As Next.js is told in the guide: the origin says how long.
    let api = Behavior {
        cache_policy: Some(Policy::Own(CacheSettings { max_ttl: 300, ..CacheSettings::default() })),
        ..behavior("web", wishes::all())
    };
    let fixed = Behavior {
        cache_policy: managed("CachingOptimized"),
        response_headers_policy: Some(Policy::Own(headers)),
        ..behavior("assets", wishes::read())
    };
    spec.behaviors.extend([("/api/*".into(), api), ("/_next/static/*".into(), fixed)]);
    let warnings = lint(&spec);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].rule, Rule::PersonalPathShared);
    assert!(
        warnings[0].message.contains("/api/me/progress") && warnings[0].message.contains("up to 300 s"),
        "{warnings:?}"
    );
    assert!(warnings[0].remedy.contains("CachingDisabled"));
}
