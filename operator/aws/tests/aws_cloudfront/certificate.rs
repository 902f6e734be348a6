//! A certificate that is not issued holds back the call that would name it, and nothing else.

use crate::{
    driver::{Operator, has, says},
    wishes::{CERTIFICATE, seven_p, wish},
};
use aws_fake::cloudfront::FakeCloudFront;
use learningplatform_aws::{
    Kind,
    acm::{Certificate, Record, State},
    cloudfront::{Call, Step},
};

/// ACM says this of a certificate, which covers all aliases.
fn say(fake: &FakeCloudFront, arn: &str, status: &str) {
    let record = Record { name: "_a.example.com.".into(), kind: "CNAME".into(), value: "_b.acm.aws.".into() };
    let names = wish(seven_p()).spec.aliases.into_iter().flatten().collect();
    let one = Certificate { status: status.into(), names, records: vec![record], ..Certificate::default() };
    fake.set_certificate(arn, Ok(Some(one)));
}

fn holds(step: &Step) -> bool {
    step.plan.calls.iter().any(|planned| planned.hold.as_ref().is_some_and(|hold| hold.starts_with("certificate: ")))
}

#[tokio::test]
async fn a_distribution_is_made_once_its_certificate_is_issued() {
    let mut operator = Operator::new(wish(seven_p()));
    say(&operator.cloudfront, CERTIFICATE, "PENDING_VALIDATION");
    for _ in 0..10 {
        let (step, wait) = operator.round().await;
        let sent = step.and_then(|step| step.send);
        assert!(!matches!(sent, Some(Call::Create { .. })), "CloudFront would refuse it");
        operator.clock.advance(wait);
    }
    let step = operator.look().await;
    assert!(holds(&step), "{:?}", step.plan);
    assert!(says(&step, Kind::NotUsable).contains("_a.example.com. CNAME _b.acm.aws."));
    assert!(step.plan.calls.len() == 1, "what it needs beside it is there: {:?}", step.plan);
    say(&operator.cloudfront, CERTIFICATE, "ISSUED");
    let step = operator.synced().await;
    assert_eq!(step.view.certificate, Some(State::Good("issued".into())));
    assert!(!has(&step, Kind::NotUsable));
}

#[tokio::test]
async fn one_that_the_distribution_has_already_holds_nothing_back_and_another_does() {
    let mut operator = Operator::new(wish(seven_p()));
    say(&operator.cloudfront, CERTIFICATE, "ISSUED");
    operator.synced().await;
    // The fake would refuse an update that names it, as AWS may: what it says then is told, and tried again.
    say(&operator.cloudfront, CERTIFICATE, "EXPIRED");
    operator.edit(|wish| wish.spec.comment = Some("another".into()));
    let step = operator.look().await;
    assert!(!holds(&step) && !has(&step, Kind::NotUsable) && step.plan.calls.len() == 1, "{:?}", step.plan);
    assert!(matches!(step.view.certificate, Some(State::NotIssued(_))));

    let next = format!("{CERTIFICATE}e");
    operator.edit(|wish| wish.spec.certificate.as_mut().expect("set").arn.clone_from(&next));
    say(&operator.cloudfront, &next, "FAILED");
    assert!(holds(&operator.look().await));
    say(&operator.cloudfront, &next, "ISSUED");
    let step = operator.synced().await;
    assert_eq!(step.view.certificate, Some(State::Good("issued".into())));
}

#[tokio::test]
async fn who_may_not_ask_for_it_is_told_so_and_goes_on() {
    let mut operator = Operator::new(wish(seven_p()));
    let step = operator.synced().await;
    let words = step.view.certificate.expect("it is told").words().to_owned();
    assert!(words.contains("allow the operator acm:DescribeCertificate"), "{words}");
}
