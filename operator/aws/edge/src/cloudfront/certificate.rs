//! Certificates of ACM, as plain values.

use super::{SdkCloudFront, found};
use crate::told;
use aws::acm::{Answer, Certificate, Record};
use aws_sdk_acm::types::{CertificateDetail, DomainStatus, RenewalEligibility};
use jiff::Timestamp;

impl SdkCloudFront {
    pub(super) async fn described(&self, arn: &str) -> Answer {
        let answer = self.acm.describe_certificate().certificate_arn(arn).send().await;
        let answer = found(answer.map_err(|error| told("DescribeCertificate", &error)))?;
        Ok(answer.and_then(|answer| answer.certificate).map(certificate))
    }
}

fn certificate(seen: CertificateDetail) -> Certificate {
    let failed = seen.failure_reason.map(|why| why.as_str().to_owned());
    let revoked = seen.revocation_reason.map(|why| why.as_str().to_owned());
    let (mut options, mut renewal, mut unrenewed) = (seen.domain_validation_options, None, None);
    if let Some(summary) = seen.renewal_summary {
        // What was validated once says nothing of now.
        options = Some(summary.domain_validation_options);
        renewal = Some(summary.renewal_status.as_str().to_owned());
        unrenewed = summary.renewal_status_reason.map(|why| why.as_str().to_owned());
    }
    let missing = options.into_iter().flatten().filter(|one| one.validation_status != Some(DomainStatus::Success));
    let mut records: Vec<Record> = Vec::new();
    for one in missing.filter_map(|one| one.resource_record) {
        let record = Record { name: one.name, kind: one.r#type.as_str().to_owned(), value: one.value };
        // A name and its wildcard share theirs.
        if !records.contains(&record) {
            records.push(record);
        }
    }
    Certificate {
        status: seen.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
        not_after: seen.not_after.and_then(|end| Timestamp::from_second(end.secs()).ok()),
        names: seen.subject_alternative_names.unwrap_or_default(),
        why: failed.or(revoked).or(unrenewed),
        // That of an imported one is never eligible.
        renewed: seen.renewal_eligibility == Some(RenewalEligibility::Eligible),
        renewal,
        records,
    }
}
