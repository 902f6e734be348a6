//! What CloudFront refuses, what the edge makes of it, and what of a document is the SDK's and what ours.

use super::{
    bench::Bench,
    driver::has,
    wishes::{SECRET, seven_p, theirs, wish},
};
use crate::{
    bench::{key, limits, settings},
    proxy::Fault,
    server::account,
};
use aws::{
    Class, Kind, Password, Tags,
    cloudfront::{Call, CloudFront, Companion, CompanionKind, Distribution, Element},
};
use aws_sdk_cloudfront::{Client, types};
use learningplatform_aws_edge::{
    Clients,
    cloudfront::{SdkCloudFront, Source},
};
use std::time::Duration;

/// Through the proxy, and asked anew for every look.
async fn through(bench: &Bench, account: &str) -> (SdkCloudFront, Client) {
    let clients = Clients::new(&settings(&bench.proxy.url()), &limits(), Some(key(account))).await.expect("legal");
    (SdkCloudFront::new(clients.cloudfront.clone(), clients.acm.clone()), clients.cloudfront)
}

fn update(one: &Distribution, etag: &str) -> Call {
    let (id, etag, config) = (one.id.clone(), etag.to_owned(), one.config.clone());
    Call::Update { id, etag, config, changes: Vec::new() }
}

#[tokio::test]
async fn a_version_that_is_old_or_missing_is_stale_and_an_enabled_distribution_is_busy() {
    let bench = Bench::new().await;
    bench.put(theirs(), Tags::new()).await;
    let before = bench.only().await;
    bench.meddle(|config| config.set("Comment", "newer")).await;
    let now = bench.only().await;
    assert_ne!(before.etag, now.etag);
    for (call, status, code, class) in [
        (update(&before, &before.etag), 412, "PreconditionFailed", Class::Stale),
        (update(&before, ""), 400, "InvalidIfMatchVersion", Class::Stale),
        (Call::Delete { id: now.id.clone(), etag: before.etag.clone() }, 412, "PreconditionFailed", Class::Stale),
        (Call::Delete { id: now.id.clone(), etag: now.etag.clone() }, 409, "DistributionNotDisabled", Class::Busy),
    ] {
        let error = bench.truth.send(&call).await.expect_err("it is refused");
        assert_eq!((error.status, error.code.as_deref(), error.class()), (Some(status), Some(code), class), "{error}");
    }
    assert_eq!(bench.only().await, now);
    // Another version also where what it says is what it said.
    bench.truth.send(&update(&now, &now.etag)).await.expect("it is of this version");
    assert_ne!(bench.only().await.etag, now.etag);
}

#[tokio::test]
async fn what_exists_is_told_and_what_is_gone_is_no_error() {
    let bench = Bench::new().await;
    let named = |name: &str| {
        let texts = [("Name", name), ("SigningProtocol", "sigv4"), ("SigningBehavior", "always")];
        let mut children: Vec<Element> = texts.map(|(name, text)| Element::text(name, text)).into();
        children.push(Element::text("OriginAccessControlOriginType", "s3"));
        let config = Element::node("OriginAccessControlConfig", children);
        Call::CreateCompanion { kind: CompanionKind::OriginAccessControl, name: name.into(), config, code: None }
    };
    bench.truth.send(&named("lp-a")).await.expect("it is made");
    let error = bench.truth.send(&named("lp-a")).await.expect_err("it is there");
    assert_eq!((error.code.as_deref(), error.class()), (Some("OriginAccessControlAlreadyExists"), Class::Exists));

    assert_eq!(bench.truth.distribution("ENOBODY").await, Ok(None));
    let arn = format!("arn:aws:cloudfront::{}:distribution/ENOBODY", account());
    assert!(bench.truth.tags(&arn).await.is_err(), "the account is another one");
    for kind in [
        CompanionKind::CachePolicy,
        CompanionKind::OriginRequestPolicy,
        CompanionKind::ResponseHeadersPolicy,
        CompanionKind::OriginAccessControl,
        CompanionKind::Function,
    ] {
        let (name, id, comment) = ("nobody".to_owned(), "nobody".to_owned(), String::new());
        let one = Companion { kind, name, id, comment, etag: None, live: true };
        assert_eq!(bench.truth.version(&one).await, Ok(None), "{kind:?}");
    }
}

#[tokio::test]
async fn a_distribution_that_goes_between_its_listing_and_its_tags_is_not_listed() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    operator.synced().await;
    bench.proxy.fail("ListTagsForResource", 1, Fault::Code(404, "NoSuchResource"));
    assert_eq!(bench.shared.seat().distributions().await.map(|all| all.len()), Ok(1), "its tags are known");
    operator.clock.advance(Duration::from_secs(3700));
    assert_eq!(bench.shared.seat().distributions().await, Ok(vec![]));
}

#[tokio::test]
async fn a_header_that_only_the_origin_may_know_is_in_no_error_whatever_aws_says() {
    let bench = Bench::new().await;
    let mut operator = bench.operator(wish(seven_p()));
    // One value is the beginning of another, and somebody else's are kept to ourselves, too.
    let longer = format!("{SECRET}-and-more");
    operator.edit(|wish| {
        wish.spec.origins[0].headers.insert("X-Longer".into(), Some(Password::new(longer.clone())));
    });
    let words = "The values only-the-edge-knows-this-and-more and only-the-edge-knows-this are too short";
    bench.proxy.fail("CreateDistributionWithTags", 1, Fault::Says(words));
    let step = operator.until(|step| has(step, Kind::Refused)).await;
    let told = step.conditions.iter().find(|one| one.kind == Kind::Refused).expect("it is told");
    assert!(told.message.ends_with("The values … and … are too short"), "{told:?}");

    bench.put(theirs(), Tags::new()).await;
    let (edge, _) = through(&bench, "1").await;
    bench.proxy.fail("UpdateDistribution", 1, Fault::Says("X-Theirs: their-secret is too short"));
    let error = edge.send(&update(&bench.only().await, "1")).await.expect_err("it is refused");
    assert_eq!(error.message, "X-Theirs: … is too short");
    // Nor is it where there is no answer.
    for fault in [Fault::Closed, Fault::Html(502), Fault::Code(400, "InvalidArgument")] {
        bench.proxy.fail("UpdateDistribution", 1, fault);
        let error = edge.send(&update(&bench.only().await, "1")).await.expect_err("it fails");
        assert!(!format!("{error:?}").contains("their-secret"), "{error:?}");
    }
    assert!(!format!("{edge:?}").contains("secret-of-nobody"));
}

#[tokio::test]
async fn an_answer_without_a_version_or_without_a_configuration_is_none() {
    let bench = Bench::new().await;
    let (edge, _) = through(&bench, &account()).await;
    bench.proxy.pages("GetDistribution", |_| "<Distribution><Id>E1</Id></Distribution>".to_owned());
    let error = edge.distribution("E1").await.expect_err("it has no ETag");
    assert_eq!((error.message.as_str(), error.class()), ("the answer has no ETag", Class::Transient));

    let bench = Bench::new().await;
    bench.put(theirs(), Tags::new()).await;
    let id = bench.only().await.id;
    bench.proxy.rewrite(|_, content| content.replace("DistributionConfig", "Else"));
    let error = bench.shared.seat().distribution(&id).await.expect_err("it has no configuration");
    assert_eq!(error.message, "the answer has no DistributionConfig");
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_their_end() {
    let bench = Bench::new().await;
    let (edge, _) = through(&bench, &account()).await;
    bench.proxy.pages("ListDistributions", |marker| {
        let (id, next) = match marker {
            None => ("E1", "<NextMarker>second</NextMarker><IsTruncated>true</IsTruncated>"),
            Some("second") => ("E2", "<NextMarker>third</NextMarker><IsTruncated>true</IsTruncated>"),
            Some(_) => ("E3", "<IsTruncated>false</IsTruncated>"),
        };
        let summary = format!(
            "<Id>{id}</Id><ARN>arn:{id}</ARN><ETag>V{id}</ETag><Status>Deployed</Status>\
             <LastModifiedTime>2026-01-02T03:04:05.678Z</LastModifiedTime><DomainName>d.example</DomainName>\
             <Comment/><PriceClass>PriceClass_All</PriceClass><Enabled>true</Enabled><WebACLId/>\
             <HttpVersion>http2</HttpVersion><IsIPV6Enabled>true</IsIPV6Enabled><Staging>false</Staging>"
        );
        format!(
            "<DistributionList><Marker/>{next}<MaxItems>1</MaxItems><Quantity>1</Quantity>\
             <Items><DistributionSummary>{summary}</DistributionSummary></Items></DistributionList>"
        )
    });
    let all = edge.summaries().await.expect("three pages");
    let told: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.arn.as_str(), one.etag.as_deref())).collect();
    assert_eq!(told, [("E1", "arn:E1", Some("VE1")), ("E2", "arn:E2", Some("VE2")), ("E3", "arn:E3", Some("VE3"))]);

    bench.proxy.pages("ListCachePolicies", |marker| {
        let (id, next) = match marker {
            None => ("a", "<NextMarker>second</NextMarker>"),
            // Some end a list with a marker that is empty.
            Some(_) => ("b", "<NextMarker></NextMarker>"),
        };
        let config = format!("<Comment>of {id}</Comment><Name>lp-{id}</Name><MinTTL>0</MinTTL>");
        let policy = format!(
            "<Id>{id}</Id><LastModifiedTime>2026-01-02T03:04:05.678Z</LastModifiedTime>\
             <CachePolicyConfig>{config}</CachePolicyConfig>"
        );
        format!(
            "<CachePolicyList>{next}<MaxItems>1</MaxItems><Quantity>1</Quantity><Items><CachePolicySummary>\
             <Type>custom</Type><CachePolicy>{policy}</CachePolicy></CachePolicySummary></Items></CachePolicyList>"
        )
    });
    let all = edge.companions().await.expect("two pages of one kind");
    let told: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.id.as_str(), one.comment.as_str())).collect();
    assert_eq!(told, [("lp-a", "a", "of a"), ("lp-b", "b", "of b")]);
    // Half a list is none.
    bench.proxy.fail("ListResponseHeadersPolicies", 1, Fault::Code(500, "InternalFailure"));
    edge.companions().await.expect_err("a list fails");
}

/// The document is set before the request is signed: the SDK signs the same for the same document, whoever has written it.
#[tokio::test]
async fn what_we_write_is_signed_as_what_the_sdk_writes() {
    let bench = Bench::new().await;
    let (edge, client) = through(&bench, &account()).await;
    let tag = |value: &str| types::Tag::builder().key("team").value(value).build().expect("whole");
    let typed = |value: &str| types::Tags::builder().items(tag(value)).build();
    let arn = "arn:aws:cloudfront::1:distribution/E1";
    let ours = |value: &str| {
        let tags = Tags::from([("team".to_owned(), value.to_owned())]);
        Call::Tag { id: "E1".into(), arn: arn.into(), tags }
    };
    for _ in 0..50 {
        let before = bench.proxy.sent("TagResource").len();
        // Nobody has such a distribution: what is asked is what counts.
        client.tag_resource().resource(arn).tags(typed("shop")).send().await.expect_err("it is not there");
        edge.send(&ours("shop")).await.expect_err("it is not there");
        edge.send(&ours("other")).await.expect_err("it is not there");
        let sent = bench.proxy.sent("TagResource").split_off(before);
        let [theirs, same, other] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(theirs.body, same.body);
        assert_eq!(theirs.header("content-type"), same.header("content-type"));
        let dates: Vec<_> = sent.iter().map(|one| one.header("x-amz-date")).collect();
        // A signature is of a second.
        if dates[0] == dates[1] && dates[0] == dates[2] {
            assert!(theirs.header("authorization").is_some());
            assert_eq!(theirs.header("authorization"), same.header("authorization"));
            assert_ne!(theirs.header("authorization"), other.header("authorization"));
            return;
        }
    }
    panic!("no two requests were of the same second");
}
