//! Looks that many platforms share, against the strict fake, on its clock: what they cost, and what they do not hide.

use super::{
    wire::{Asked, Wire},
    wishes::{self, CERTIFICATE, seven_p, wish},
};
use aws::{
    Class, Error, Tags,
    acm::Certificate,
    cloudfront::{Call, CloudFront, CompanionKind, Element, Memory, Wish, observe, plan},
};
use aws_fake::{Clock, Fault, cloudfront::FakeCloudFront};
use learningplatform_aws_edge::cloudfront::{Shared, Windows};
use std::{sync::Arc, time::Duration};

const PLATFORMS: usize = 200;
struct Account {
    fake: Arc<FakeCloudFront>,
    clock: Clock,
    shared: Arc<Shared<Wire>>,
    asked: Asked,
}

impl Account {
    fn new(versions: bool) -> Self {
        let (clock, asked) = (Clock::default(), Asked::default());
        let fake = Arc::new(FakeCloudFront::new(clock.clone()));
        let wire = Wire { fake: fake.clone(), versions, asked: asked.clone(), gate: None };
        let now = clock.clone();
        let shared = Shared::new(wire, Windows::default(), move || now.now());
        Self { fake, clock, shared, asked }
    }

    /// How often an operation was asked since it was last counted.
    fn asked(&self, operation: &str) -> usize {
        self.asked.lock().remove(operation).unwrap_or_default()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A distribution of a platform's.
    fn put(&self, platform: &str) -> String {
        let config = vec![Element::text("CallerReference", platform), Element::text("Enabled", true)];
        let tags = wishes::owner(platform, "uid-1").tags();
        self.fake.put(Element::node("DistributionConfig", config), tags)
    }
}

fn of(platform: &str) -> Wish {
    let mut wish = wish(seven_p());
    wish.owner = wishes::owner(platform, "uid-1");
    wish.spec.certificate.as_mut().expect("set").arn = arn(platform);
    wish
}

fn arn(platform: &str) -> String {
    format!("{CERTIFICATE}-{platform}")
}

fn certificate(status: &str) -> Certificate {
    Certificate { status: status.into(), ..Certificate::default() }
}

/// Requests of each platform in an hour, once all are at rest.
async fn at_rest(versions: bool) -> f64 {
    let account = Account::new(versions);
    let mut seats = Vec::new();
    for number in 0..PLATFORMS {
        let platform = format!("p{number}");
        let id = account.put(&platform);
        account.fake.set_certificate(&arn(&platform), Ok(Some(certificate("ISSUED"))));
        for (kind, count) in [
            (CompanionKind::CachePolicy, 2),
            (CompanionKind::ResponseHeadersPolicy, 3),
            (CompanionKind::OriginAccessControl, 1),
            (CompanionKind::Function, 1),
        ] {
            (0..count).for_each(|at| account.fake.put_companion(kind, &format!("{platform}-{at}"), "theirs"));
        }
        let memory = Memory { id: Some(id), seen: true, ..Memory::default() };
        // They look in turns, each at its own interval around the steady one.
        let every = 360 + 180 * (number as u64 * 37 % PLATFORMS as u64) / PLATFORMS as u64;
        seats.push((account.shared.seat(), of(&platform), memory, number as u64 * 2, every));
    }
    let (warm, hours) = (600, 2);
    for second in 0..warm + hours * 3600 {
        if second == warm {
            account.asked.lock().clear();
        }
        for (seat, wish, memory, first, every) in &seats {
            if second % every == first % every {
                let seen = observe(seat, wish, memory).await.expect("nothing goes wrong");
                assert_eq!((seen.listed.len(), seen.read.len()), (PLATFORMS, 1));
                assert_eq!(seen.read[0].reference(), wish.owner.identity.platform());
            }
        }
        account.pass(1);
    }
    let sent = account.asked.lock().clone();
    let each = sent.values().sum::<usize>() as f64 / hours as f64 / PLATFORMS as f64;
    println!("versions in lists: {versions}: {each:.2} requests per platform and hour: {sent:?}");
    each
}

#[tokio::test]
async fn two_hundred_distributions_at_rest_cost_few_reads_whether_lists_tell_versions_or_not() {
    for (versions, most) in [(true, 5.0), (false, 12.0)] {
        let each = at_rest(versions).await;
        assert!(each <= most, "{each} requests per platform and hour");
        assert!(each > 1.0, "{each}: they look");
    }
}

#[tokio::test]
async fn a_certificate_that_is_waited_for_is_asked_for_often_and_what_lasts_seldom() {
    let account = Account::new(true);
    let (one, other) = (account.shared.seat(), account.shared.seat());
    let code = Some("AccessDeniedException".to_owned());
    let denied = Error { operation: "DescribeCertificate", code, status: Some(400), message: "no".to_owned() };
    for (answer, window) in [
        (Ok(Some(certificate("PENDING_VALIDATION"))), 300),
        (Ok(None), 300),
        (Ok(Some(certificate("ISSUED"))), 3 * 3600),
        (Err(denied), 3 * 3600),
    ] {
        account.fake.set_certificate("arn", answer.clone());
        assert_eq!((one.certificate("arn").await, account.asked("DescribeCertificate")), (answer.clone(), 1));
        account.fake.set_certificate("arn", Ok(Some(certificate("EXPIRED"))));
        account.pass(window);
        assert_eq!((other.certificate("arn").await, account.asked("DescribeCertificate")), (answer, 0));
        account.pass(1);
        assert_eq!(one.certificate("arn").await, Ok(Some(certificate("EXPIRED"))));
        assert_eq!((other.certificate("another").await.is_err(), account.asked("DescribeCertificate")), (true, 2));
        account.pass(3 * 3600 + 1);
    }
}

#[tokio::test]
async fn what_somebody_else_changes_is_read_again_within_the_window_and_what_nobody_does_is_not() {
    let account = Account::new(true);
    let (id, other) = (account.put("p1"), account.put("p2"));
    let seat = account.shared.seat();
    let look = async || {
        let listed = seat.distributions().await.expect("it answers");
        let one = seat.distribution(&id).await.expect("it answers").expect("it is there");
        (listed, one)
    };
    look().await;
    assert_eq!((account.asked("ListTagsForResource"), account.asked("GetDistribution")), (2, 1));
    for _ in 0..10 {
        account.pass(60);
        look().await;
    }
    assert_eq!((account.asked("ListTagsForResource"), account.asked("GetDistribution")), (0, 0));
    assert_eq!(account.asked("ListDistributions"), 11);

    // The version tells, within the window of the list.
    account.fake.meddle(&id, |config| config.set("Comment", "theirs"));
    account.fake.tag(&id, |tags| drop(tags.insert("team".into(), "shop".into())));
    assert_eq!(look().await.1.config.value("Comment"), None);
    account.pass(26);
    let (listed, one) = look().await;
    assert_eq!(one.config.value("Comment"), Some("theirs"));
    assert!(listed.iter().any(|one| one.id == id && one.tags.contains_key("team")));
    assert_eq!((account.asked("ListTagsForResource"), account.asked("GetDistribution")), (1, 1));

    // Tags alone have no version: they are seen within the hour.
    account.fake.tag(&other, Tags::clear);
    account.pass(60);
    assert!(look().await.0.iter().all(|one| !one.tags.is_empty()));
    account.pass(3600);
    assert!(look().await.0.iter().any(|one| one.tags.is_empty()));
    // What is gone is not kept, and is asked for whenever it is.
    account.fake.vanish(&id);
    account.pass(26);
    assert_eq!(seat.distributions().await.map(|all| all.len()), Ok(1));
    assert_eq!(seat.distribution(&id).await, Ok(None));
    assert_eq!(seat.distribution(&id).await, Ok(None));
}

#[tokio::test]
async fn what_one_changes_it_sees_at_once_also_where_the_answer_is_lost() {
    let account = Account::new(true);
    let id = account.put("p1");
    let (seat, bystander) = (account.shared.seat(), account.shared.seat());
    for lost in [false, true] {
        for seat in [&seat, &bystander] {
            seat.distributions().await.expect("it answers");
            seat.companions().await.expect("it answers");
        }
        let tags = Tags::from([("lost".to_owned(), lost.to_string())]);
        let arn = seat.distribution(&id).await.expect("it answers").expect("it is there").arn;
        if lost {
            account.fake.faults(|faults| faults.fail_at(faults.requests(), Fault::Lost));
        }
        let sent = seat.send(&Call::Tag { id: id.clone(), arn, tags }).await;
        assert_eq!(sent.is_err(), lost);
        account.asked.lock().clear();
        let listed = seat.distributions().await.expect("it answers");
        assert_eq!(listed[0].tags["lost"], lost.to_string());
        seat.distribution(&id).await.expect("it answers");
        seat.companions().await.expect("it answers");
        let asked = ["ListDistributions", "ListTagsForResource", "GetDistribution", "ListCachePolicies"];
        assert_eq!(asked.map(|operation| account.asked(operation)), [1; 4]);
        // A newer look serves all.
        bystander.distributions().await.expect("it answers");
        bystander.companions().await.expect("it answers");
        assert_eq!(asked.map(|operation| account.asked(operation)), [0; 4]);
    }
}

#[tokio::test]
async fn who_changed_something_lately_looks_at_policies_as_often_as_at_the_list() {
    let account = Account::new(true);
    let seat = account.shared.seat();
    let looks = async |times: u64| {
        for _ in 0..times {
            account.pass(30);
            seat.companions().await.expect("it answers");
        }
        account.asked("ListCachePolicies")
    };
    assert_eq!(looks(10).await, 10, "it has just begun");
    assert_eq!(looks(60).await, 2, "each ten minutes");
    let config = vec![Element::text("Name", "a"), Element::text("Description", "ours")];
    let config = Element::node("OriginAccessControlConfig", config);
    let kind = CompanionKind::OriginAccessControl;
    seat.send(&Call::CreateCompanion { kind, name: "a".into(), config, code: None }).await.expect("it is made");
    assert_eq!(looks(10).await, 10);
}

#[tokio::test]
async fn nothing_is_changed_by_tags_of_an_old_look() {
    let account = Account::new(true);
    let id = account.put("p1");
    let (seat, wish) = (account.shared.seat(), of("p1"));
    let look = async || {
        let memory = Memory { id: Some(id.clone()), ..Memory::default() };
        let seen = observe(&seat, &wish, &memory).await.expect("it answers");
        plan(&wish, &seen, &memory, account.clock.now())
    };
    look().await;
    account.pass(600);
    look().await;
    let one = seat.distribution(&id).await.expect("it answers").expect("it is there");
    let mut config = one.config.clone();
    config.set("Enabled", false);
    let call = Call::Update { id: id.clone(), etag: one.etag, config, changes: Vec::new() };
    // Another cluster's operator has adopted it meanwhile.
    account.fake.tag(&id, |tags| drop(tags.insert("learningplatform.dev/cluster".into(), "green".into())));
    let error = seat.send(&call).await.expect_err("it is not ours any more");
    assert_eq!(error.class(), Class::Stale, "{error}");
    assert!(account.fake.log().is_empty());
    let told = look().await.conditions;
    assert!(
        told.iter().any(|one| one.kind == aws::Kind::Retained && one.message.contains("cluster green")),
        "{told:?}"
    );

    // Where they are what they were, the call is sent; and one look is enough for a while.
    account.asked.lock().clear();
    account.pass(600);
    let _ = seat.send(&call).await;
    let _ = seat.send(&call).await;
    assert_eq!((account.fake.log().len(), account.asked("ListTagsForResource")), (2, 2));
}

#[tokio::test]
async fn a_look_that_fails_is_nobodys_and_goes_on_where_it_failed() {
    let account = Account::new(true);
    account.put("p1");
    let seat = account.shared.seat();
    account.fake.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
    seat.distributions().await.expect_err("throttled");
    assert_eq!(seat.distributions().await.map(|all| all.len()), Ok(1));
    account.fake.faults(|faults| faults.fail_at(faults.requests(), Fault::Throttled));
    seat.companions().await.expect_err("throttled");
    assert_eq!(seat.companions().await, Ok(vec![]));
}

#[tokio::test]
async fn who_comes_while_it_is_looked_takes_what_that_look_sees() {
    let account = Account::new(true);
    let id = account.put("p1");
    let (one, other) = (account.shared.seat(), account.shared.seat());
    let (seen, same) = tokio::join!(one.distributions(), other.distributions());
    assert_eq!((seen.map(|all| all.len()), same.map(|all| all.len())), (Ok(1), Ok(1)));
    assert_eq!((account.asked("ListDistributions"), account.asked("ListTagsForResource")), (1, 1));
    assert!(one.distribution(&id).await.is_ok() && other.distribution(&id).await.is_ok());
    assert_eq!(account.asked("GetDistribution"), 1);
}
