//! Certificates of ACM, through the real SDK.

use super::{
    bench::Bench,
    driver::{has, says},
    wishes::{seven_p, wish},
};
use aws::{
    Kind,
    acm::{Record, State},
    cloudfront::{Call, CloudFront},
    iam,
};
use std::{collections::BTreeSet, time::Duration};

/// An answer to `DescribeCertificate` before DNS shows its records.
fn pending(content: &str) -> String {
    let unissued = content.replace(r#""Status": "ISSUED""#, r#""Status": "PENDING_VALIDATION""#);
    let pending = unissued.replace(r#""ValidationStatus": "SUCCESS""#, r#""ValidationStatus": "PENDING_VALIDATION""#);
    assert_ne!(pending, content, "the answer is changed");
    pending
}

#[tokio::test]
async fn a_distribution_is_made_once_acm_has_issued_its_certificate() {
    let bench = Bench::new().await;
    bench.proxy.rewrite(|operation, content| match operation {
        "DescribeCertificate" => pending(&content),
        _ => content,
    });
    let mut operator = bench.operator(wish(seven_p()));
    let step = operator.until(|step| has(step, Kind::NotUsable)).await;
    // Both names are validated, each by its own record.
    for name in ["Education.example.com", "www.education.example.com"] {
        let record = format!("_acme-challenge.{name}. CNAME ");
        assert!(says(&step, Kind::NotUsable).contains(&record), "{:?}", step.conditions);
    }
    for _ in 0..20 {
        let (step, wait) = operator.round().await;
        let sent = step.and_then(|step| step.send);
        assert!(!matches!(sent, Some(Call::Create { .. })), "CloudFront would refuse it");
        operator.clock.advance(wait);
    }
    assert!(bench.ids().await.is_empty());

    bench.proxy.rewrite(|_, content| content);
    let step = operator.synced().await;
    let Some(State::Good(words)) = &step.view.certificate else { panic!("{:?}", step.view.certificate) };
    assert!(words.starts_with("issued, valid until 20"), "{words}");
    assert_eq!(bench.calls.of("ACM"), iam::CLOUDFRONT_CERTIFICATES.iter().map(|it| it.call.to_owned()).collect());
    let asked = bench.proxy.sent("DescribeCertificate");
    assert!(asked.iter().all(|sent| sent.header("authorization").is_some_and(|it| it.contains("/us-east-1/acm/"))));
    // Left alone, it is asked for each third hour.
    for _ in 0..40 {
        let wait = operator.synced().await.requeue;
        operator.clock.advance(wait);
    }
    let more = bench.proxy.sent("DescribeCertificate").len() - asked.len();
    assert!((1..=3).contains(&more), "{more} times in five hours");
}

#[tokio::test]
async fn what_acm_says_of_a_certificate_is_read_field_by_field() {
    let bench = Bench::new().await;
    bench.proxy.rewrite(|operation, content| match operation {
        "DescribeCertificate" => pending(&content).replace(
            r#""Status": "PENDING_VALIDATION", "Type""#,
            r#""Status": "FAILED", "FailureReason": "CAA_ERROR", "RenewalEligibility": "ELIGIBLE", "Type""#,
        ),
        _ => content,
    });
    let arn = bench.certificate.clone();
    let source = bench.shared.seat();
    let seen = source.certificate(&arn).await.expect("it answers").expect("it is there");
    assert_eq!((seen.status.as_str(), seen.why.as_deref(), seen.renewed), ("FAILED", Some("CAA_ERROR"), true));
    let names: BTreeSet<&str> = seen.names.iter().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["Education.example.com", "www.education.example.com"]));
    assert!(seen.not_after.is_some_and(|end| end > jiff::Timestamp::now()), "{seen:?}");
    let Record { name, kind, value } = &seen.records[1];
    assert_eq!((name.as_str(), kind.as_str()), ("_acme-challenge.www.education.example.com.", "CNAME"));
    assert!(value.ends_with(".acm.amazonaws.com."), "{value}");
    bench.clock.advance(Duration::from_secs(301));
    assert_eq!(source.certificate(&format!("{arn}0")).await, Ok(None), "another that is not there");

    // One that is renewed: what was validated once says nothing of now.
    bench.proxy.rewrite(|operation, content| match operation {
        "DescribeCertificate" => content.replace(
            r#""Type": "AMAZON_ISSUED""#,
            r#""Type": "AMAZON_ISSUED", "RenewalSummary": {"RenewalStatus": "PENDING_VALIDATION", "UpdatedAt": 1.0,
            "DomainValidationOptions": [{"DomainName": "a.example.com", "ValidationStatus": "PENDING_VALIDATION",
            "ResourceRecord": {"Name": "_a.example.com.", "Type": "CNAME", "Value": "_b.acm.aws."}}]}"#,
        ),
        _ => content,
    });
    let seen = source.certificate(&arn).await.expect("it answers").expect("it is there");
    let record = Record { name: "_a.example.com.".into(), kind: "CNAME".into(), value: "_b.acm.aws.".into() };
    assert_eq!((seen.status.as_str(), seen.renewal.as_deref()), ("ISSUED", Some("PENDING_VALIDATION")));
    assert_eq!(seen.records, [record]);
}
