//! The acceptance scenarios of a distribution that lives.

use crate::{
    driver::{Operator, at, has, patterns, says},
    wishes::{self, SECRET, seven_p, ten_k, wish},
};
use learningplatform_aws::{
    Call as _, Kind, Mode, Password,
    cloudfront::{Call, Element, GeoRestriction},
};
use std::time::Duration;

#[tokio::test]
async fn scenario_32_swapped_behaviours_are_one_update_and_nothing_of_one_comes_to_the_other() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    let before = operator.only().config;
    operator.edit(|wish| wish.spec.behaviors.swap(1, 2));
    operator.synced().await;
    let after = operator.only().config;
    assert_eq!(operator.cloudfront.done("UpdateDistribution").len(), 1);
    assert_eq!(patterns(&after), ["/static/*", "/api/*", "/_next/static/*"]);
    for pattern in patterns(&before) {
        let of = |config: &Element| {
            let behaviors = config.get("CacheBehaviors").expect("set").items();
            let one = behaviors.iter().find(|one| one.value("PathPattern") == Some(&pattern)).expect("set");
            crate::documents::sorted(one)
        };
        assert_eq!(of(&before), of(&after), "{pattern}");
    }
}

#[tokio::test]
async fn scenario_33_a_second_pass_updates_nothing_though_lists_are_shuffled_and_defaults_filled_in() {
    for spec in [seven_p(), ten_k()] {
        let mut operator = Operator::new(wish(spec));
        operator.cloudfront.hide_new(1);
        operator.synced().await;
        let (log, writes, etag) = (operator.cloudfront.log().len(), operator.cloudfront.writes(), operator.only().etag);
        for _ in 0..10 {
            let step = operator.synced().await;
            assert!((360..=540).contains(&step.requeue.as_secs()), "{:?}", step.requeue);
            operator.clock.advance(step.requeue);
        }
        assert_eq!((operator.cloudfront.log().len(), operator.cloudfront.writes()), (log, writes));
        assert_eq!(operator.only().etag, etag);
        assert!(operator.cloudfront.log().iter().all(|one| one.refused.is_none()), "{:?}", operator.cloudfront.log());
    }
}

#[tokio::test]
async fn at_rest_few_reads_are_made_and_most_of_them_are_common_ones() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.synced().await;
    let (start, before) = (operator.clock.now(), operator.cloudfront.requests());
    let mut rounds = 0;
    while operator.clock.now().duration_since(start).as_hours() < 10 {
        let (step, wait) = operator.round().await;
        assert!(step.is_some_and(|step| step.send.is_none()));
        operator.clock.advance(wait);
        rounds += 1;
    }
    // Per round the two lists, which all platforms share, and one distribution.
    assert_eq!(operator.cloudfront.requests() - before, 3 * rounds);
    assert!(rounds <= 110, "{rounds} in ten hours");
}

#[tokio::test]
async fn scenario_34_an_edit_of_what_we_do_not_own_survives_our_update() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    let id = operator.only().id;
    operator.cloudfront.meddle(&id, |config| {
        config.set("HttpVersion", "http3");
        config.set("WebACLId", "arn:theirs");
        let behavior = &mut config.get_mut("CacheBehaviors").expect("set").get_mut("Items").expect("set").children[2];
        behavior.set("RealtimeLogConfigArn", "arn:their-log");
    });
    assert!(has(&operator.look().await, Kind::Synced), "it is nothing to us");
    operator.edit(|wish| wish.spec.comment = Some("ours".into()));
    operator.synced().await;
    let config = operator.only().config;
    let behavior = |name: &str| at(&config, &["CacheBehaviors", "PathPattern=/api/*", name]);
    assert_eq!(behavior("RealtimeLogConfigArn"), "arn:their-log");
    assert_eq!(
        ["HttpVersion", "WebACLId", "Comment"].map(|name| at(&config, &[name])),
        ["http3", "arn:theirs", "ours"]
    );
    // Nor is anything lost that no version of ours knows.
    assert_eq!(at(&config, &["Novelty", "Profile"]), "a<b&c");
    assert_eq!(behavior("Novelty"), "");
    assert_eq!(at(&config, &["Origins", "Id=education-platform-origin", "Novelty", "Profile"]), "a<b&c");
}

#[tokio::test]
async fn scenario_34_an_edit_between_our_look_and_our_call_is_kept() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    let id = operator.only().id;
    for round in 0..3u32 {
        operator.edit(|wish| wish.spec.comment = Some(format!("ours {round}")));
        operator
            .cloudfront
            .meddle_before_write(&id, move |config| config.set("WebACLId", format!("arn:theirs-{round}")));
        operator.synced().await;
        let config = operator.only().config;
        assert_eq!(at(&config, &["WebACLId"]), format!("arn:theirs-{round}"));
        assert_eq!(at(&config, &["Comment"]), format!("ours {round}"));
    }
    let refused: Vec<_> = operator.cloudfront.log().into_iter().filter_map(|one| one.refused).collect();
    assert_eq!(refused, ["PreconditionFailed"; 3]);
    assert_eq!(operator.cloudfront.done("UpdateDistribution").len(), 3);
}

#[tokio::test]
async fn what_we_own_and_somebody_changed_is_set_again() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    let id = operator.only().id;
    operator.cloudfront.meddle(&id, |config| {
        config.set("DefaultRootObject", "home.html");
        config.get_mut("Restrictions").and_then(|one| one.get_mut("GeoRestriction")).expect("set").children =
            Element::list("", "Location", ["DE"]).children;
        let origins = config.get_mut("Origins").expect("set").get_mut("Items").expect("set");
        let header = origins.children[0].get_mut("CustomHeaders").expect("set");
        header.get_mut("Items").expect("set").children[0].set("HeaderValue", "guessed");
    });
    let step = operator.look().await;
    let sentence = step.plan.calls[0].call.sentence();
    let told: Vec<&str> = sentence.split("; ").collect();
    assert_eq!(
        told,
        [
            format!("change {id}: DefaultRootObject: home.html → index.html").as_str(),
            "Origins[education-platform-origin].CustomHeaders[X-Origin-Verify].HeaderValue: another secret",
            "Restrictions.GeoRestriction: DE → -",
        ]
    );
    operator.synced().await;
    assert_eq!(at(&operator.only().config, &["DefaultRootObject"]), "index.html");
}

#[tokio::test]
async fn every_field_of_a_distribution_can_be_changed_and_is_changed_once() {
    type Edit = fn(&mut learningplatform_aws::cloudfront::Spec);
    let edits: &[(&str, Edit)] = &[
        ("Aliases", |spec| spec.aliases = Some(wishes::set(&["education.example.com"]))),
        ("DefaultRootObject", |spec| spec.default_root_object = Some(String::new())),
        ("CustomErrorResponses", |spec| spec.errors = Some(Vec::new())),
        ("Logging", |spec| {
            spec.logging = Some(learningplatform_aws::cloudfront::Logging {
                bucket: String::new(),
                prefix: String::new(),
                cookies: false,
            });
        }),
        ("PriceClass", |spec| spec.price_class = Some("PriceClass_100".into())),
        ("Restrictions", |spec| spec.geo_restriction = Some(GeoRestriction::Allow(wishes::set(&["DE", "AT"])))),
        ("Restrictions", |spec| spec.geo_restriction = Some(GeoRestriction::Deny(wishes::set(&["XX"])))),
        ("Restrictions", |spec| spec.geo_restriction = Some(GeoRestriction::None)),
        ("WebACLId", |spec| spec.web_acl = Some("arn:acl".into())),
        ("HttpVersion", |spec| spec.http_version = Some("http2and3".into())),
        ("IsIPV6Enabled", |spec| spec.ipv6 = Some(false)),
        ("Enabled", |spec| spec.enabled = Some(false)),
        ("Enabled", |spec| spec.enabled = Some(true)),
        ("ViewerCertificate", |spec| {
            spec.certificate.as_mut().expect("set").arn = format!("{}e", wishes::CERTIFICATE);
        }),
        ("Origins", |spec| spec.origins[0].shield = Some("eu-central-1".into())),
        ("Origins", |spec| spec.origins[0].shield = Some(String::new())),
        ("Origins", |spec| spec.origins[0].connection_attempts = Some(2)),
        ("Origins", |spec| spec.origins[0].path = Some("/v2".into())),
        ("Origins", |spec| spec.origins[0].headers.clear()),
        ("CacheBehaviors", |spec| spec.behaviors[2].1.legacy.as_mut().expect("set").headers.clear()),
        ("CacheBehaviors", |spec| spec.behaviors[2].1.compress = Some(false)),
        ("CacheBehaviors", |spec| {
            let behavior = &mut spec.behaviors[2].1;
            (behavior.legacy, behavior.cache_policy) = (None, wishes::managed("CachingDisabled"));
            behavior.origin_request_policy = wishes::managed("AllViewer");
        }),
        ("CacheBehaviors", |spec| {
            let behavior = &mut spec.behaviors[2].1;
            (behavior.legacy, behavior.cache_policy) = (Some(wishes::legacy(0, 0, 10)), None);
            behavior.origin_request_policy = None;
        }),
        ("CacheBehaviors", |spec| drop(spec.behaviors.pop())),
    ];
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    for (at, (field, edit)) in edits.iter().enumerate() {
        operator.edit(|wish| edit(&mut wish.spec));
        let before = operator.cloudfront.done("UpdateDistribution").len();
        operator.synced().await;
        let updates = operator.cloudfront.done("UpdateDistribution");
        assert_eq!(updates.len(), before + 1, "{at}: {field}");
        let Some(Call::Update { changes, .. }) = updates.last() else { panic!("{updates:?}") };
        assert!(changes.iter().all(|change| change.starts_with(field)), "{at}: {field}: {changes:?}");
    }
    assert!(operator.cloudfront.log().iter().all(|one| one.refused.is_none()));
}

#[tokio::test]
async fn edits_of_a_few_seconds_are_one_update_and_the_next_does_not_wait_until_it_is_everywhere() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.synced().await;
    for edit in ["a", "b", "c"] {
        operator.edit(|wish| wish.spec.comment = Some(edit.into()));
        let (step, wait) = operator.round().await;
        assert!(step.expect("seen").send.is_none() && wait <= Duration::from_secs(5), "{wait:?}");
        operator.clock.advance(Duration::from_secs(2));
    }
    let step = operator.until(|step| step.send.is_some()).await;
    assert!(step.plan.calls[0].call.sentence().ends_with("Comment: Education Platform CDN → c"), "{:?}", step.plan);
    operator.clock.advance(Duration::from_secs(1));
    let step = operator.look().await;
    assert!(has(&step, Kind::Deploying) && has(&step, Kind::Synced), "{:?}", step.conditions);
    operator.edit(|wish| wish.spec.comment = Some("d".into()));
    let start = operator.clock.now();
    operator.until(|step| step.send.is_some()).await;
    assert!(operator.clock.now().duration_since(start).as_secs() < 30, "it does not wait for the edges");
}

#[tokio::test]
async fn a_missing_secret_changes_nothing_and_a_new_one_is_set() {
    let mut operator = Operator::new(wish(seven_p()));
    operator.edit(|wish| drop(wish.spec.origins[0].headers.insert("X-Origin-Verify".into(), None)));
    let step = operator.until(|step| step.send.is_none()).await;
    assert!(step.plan.calls.last().is_some_and(|one| one.hold.is_some()));
    operator.clock.advance(Duration::from_secs(600));
    let step = operator.until(|step| step.send.is_none()).await;
    assert!(says(&step, Kind::Synced).contains("headers[X-Origin-Verify]: the Secret is missing"), "{step:?}");
    assert!(operator.cloudfront.ids().is_empty());
    let set = |operator: &mut Operator, value: Option<&str>| {
        let value = value.map(Password::new);
        operator.edit(|wish| drop(wish.spec.origins[0].headers.insert("X-Origin-Verify".into(), value)));
    };
    set(&mut operator, Some(SECRET));
    operator.synced().await;
    let path =
        ["Origins", "Id=education-platform-origin", "CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"];
    set(&mut operator, None);
    operator.edit(|wish| wish.spec.comment = Some("held".into()));
    let log = operator.cloudfront.log().len();
    for _ in 0..20 {
        let (_, wait) = operator.round().await;
        operator.clock.advance(wait);
    }
    assert_eq!(operator.cloudfront.log().len(), log);
    assert_eq!(at(&operator.only().config, &path), SECRET);
    set(&mut operator, Some("another-value"));
    operator.synced().await;
    assert_eq!(at(&operator.only().config, &path), "another-value");
    assert_eq!(at(&operator.only().config, &["Comment"]), "held");
}

#[tokio::test]
async fn observe_shows_what_differs_and_plan_what_would_be_done() {
    let mut operator = Operator::new(wish(ten_k()));
    operator.wish.mode = Mode::Plan;
    let step = operator.look().await;
    let operations: Vec<&str> = step.plan.calls.iter().map(|planned| planned.call.operation()).collect();
    assert_eq!(
        operations,
        [
            "CreateOriginAccessControl",
            "CreateFunction",
            "CreateCachePolicy",
            "CreateResponseHeadersPolicy",
            "CreateCachePolicy",
            "CreateResponseHeadersPolicy",
            "CreateResponseHeadersPolicy",
            "CreateDistributionWithTags",
        ]
    );
    assert!(step.send.is_none() && step.plan.calls[7].hold.is_some());
    assert!(step.plan.calls[7].call.sentence().contains("CacheBehaviors[video/*].CachePolicyId=(lp-story-edge-"));
    operator.wish.mode = Mode::Observe;
    let step = operator.look().await;
    assert!(step.plan.calls.is_empty() && !has(&step, Kind::Synced));
    assert!(operator.cloudfront.log().is_empty());
}
