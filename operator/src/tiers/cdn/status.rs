//! What is told of a CDN.

use super::{Seen, ValidCdn, wish::Unfit};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{ItemStatus, aws::told},
};
use aws::cloudfront::lint;
use crds::status::{AwsStatus, BucketPolicy, CdnStatus, ConditionType, Reason};

/// Where distributions are.
const GLOBAL: &str = "global";

/// The status of a CDN.
pub fn status(cdn: &ValidCdn, seen: &Seen) -> ItemStatus {
    let view = seen.view.as_deref();
    let conditions = view.map(|view| view.conditions.as_slice()).unwrap_or_default();
    // Before the distribution is found, and while nobody looks, there is nothing to say of its state.
    let found = view.filter(|view| view.at.id.is_some());
    let policies = view.map(|view| view.at.bucket_policies.clone()).unwrap_or_default();
    let details = CdnStatus {
        domain_name: seen.domain().map(str::to_owned),
        hosted_zone_id: seen.domain().map(|_| aws::cloudfront::HOSTED_ZONE.to_owned()),
        enabled: found.map(|view| view.at.enabled),
        deployed: found.map(|view| view.at.deployed),
        deletion: told::deletion(conditions),
        aws: Some(AwsStatus {
            identifier: id(seen).map(str::to_owned),
            region: GLOBAL.to_owned(),
            plan: view.map(|view| view.plan.clone()).unwrap_or_default(),
            plan_hash: view.and_then(|view| view.plan_hash.clone()),
        }),
        bucket_policies: policies.into_iter().map(|(origin, statement)| BucketPolicy { origin, statement }).collect(),
        warnings: seen.spec.as_ref().map(warnings).unwrap_or_default(),
        ..CdnStatus::default()
    };
    ItemStatus {
        verdicts: std::iter::once(verdict(cdn, seen)).chain(told::notes(conditions)).collect(),
        cdn: Some(Box::new(details)),
        ..ItemStatus::default()
    }
}

/// Id of the distribution, as far as it is known.
fn id(seen: &Seen) -> Option<&str> {
    let now = seen.view.as_ref().and_then(|view| view.at.id.as_deref());
    now.or_else(|| seen.recorded.as_ref()?.memory.id.as_deref())
}

/// What is probably not meant, each with what mends it.
fn warnings(spec: &aws::cloudfront::Spec) -> Vec<String> {
    let words = |one: aws::cloudfront::Warning| format!("{}: {}: {}", one.field, one.message, one.remedy);
    lint(spec).into_iter().map(words).collect()
}

fn verdict(cdn: &ValidCdn, seen: &Seen) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::CdnReady, state, reason, message);
    if let Some(why) = &seen.held {
        return says(State::False, Reason::DependencyNotReady, why.clone());
    }
    match &seen.spec {
        Ok(_) => {}
        Err(unfit @ Unfit::Invalid(_)) => return says(State::False, Reason::InvalidSpec, unfit.to_string()),
        Err(unfit @ Unfit::Waiting { .. }) => {
            return says(State::False, Reason::DependencyNotReady, unfit.to_string());
        }
    }
    match seen.lacking.first() {
        None => {}
        Some(lack @ Lack::Unreadable { .. }) => return says(State::Unknown, Reason::ProviderError, lack.to_string()),
        Some(lack) => return says(State::False, Reason::NotFound, lack.to_string()),
    }
    let Some(view) = &seen.view else {
        return says(State::Unknown, Reason::Progressing, "AWS has not been asked yet".to_owned());
    };
    let serves = seen.has_served() && view.at.enabled;
    if let Some((state, reason, message)) = told::hindrance(&view.conditions, serves) {
        // A distribution holds no data.
        let reason = if reason == Reason::DataMissing { Reason::NotFound } else { reason };
        return says(state, reason, message);
    }
    let next = view.plan.first().map(|call| format!("next: {}", call.call));
    let (Some(id), Some(domain)) = (&view.at.id, &view.at.domain_name) else {
        let what = next.unwrap_or_else(|| "it is being made".to_owned());
        return says(State::False, Reason::Progressing, format!("at AWS: {what}"));
    };
    if !seen.has_served() {
        return says(State::False, Reason::Progressing, format!("{id} is on its way to the edges, as {domain}"));
    }
    if !seen.answered {
        let what = "what is wished has changed, and AWS has not been asked since";
        return says(State::False, Reason::Progressing, format!("{id} at {domain}: {what}"));
    }
    if !view.at.enabled && cdn.spec.enabled != Some(false) {
        let what = "is disabled, and whether it answers is not ours to say: set enabled: true";
        return says(State::False, Reason::DependencyNotReady, format!("{id} {what}"));
    }
    let serves = if view.at.enabled { "serves" } else { "is disabled, as asked for," };
    let next = next.map(|next| format!("; {next}")).unwrap_or_default();
    says(State::True, Reason::Succeeded, format!("{id} {serves} at {domain}{next}"))
}
