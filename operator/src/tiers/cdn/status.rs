//! What is told of a CDN.

use super::{Seen, ValidCdn, wish::Unfit};
use crate::{
    conditions::{State, Verdict},
    secrets::Lack,
    tiers::{
        ItemStatus,
        aws::{recorded::Held, told},
    },
};
use aws::{acm, cloudfront::lint};
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
    let certificate = view.and_then(|view| view.at.certificate.as_ref());
    let mut warnings = seen.spec.as_ref().map(warnings).unwrap_or_default();
    warnings.extend(certificate.and_then(warning));
    let details = CdnStatus {
        domain_name: seen.domain().map(str::to_owned),
        hosted_zone_id: seen.domain().map(|_| aws::cloudfront::HOSTED_ZONE.to_owned()),
        certificate: certificate.map(|state| state.words().to_owned()),
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
        warnings,
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

/// What is to be mended of its certificate.
fn warning(state: &acm::State) -> Option<String> {
    match state {
        acm::State::Good(_) => None,
        acm::State::Doubtful(words) | acm::State::NotIssued(words) => Some(format!("certificate: {words}")),
    }
}

/// A distribution holds no data.
fn without_data(reason: Reason) -> Reason {
    match reason {
        Reason::DataMissing => Reason::NotFound,
        Reason::DataWouldBeLeftBehind => Reason::DependencyNotReady,
        other => other,
    }
}

fn verdict(cdn: &ValidCdn, seen: &Seen) -> Verdict {
    let says = |state, reason, message: String| Verdict::new(ConditionType::CdnReady, state, reason, message);
    if let Some(Held { reason, why }) = &seen.held {
        return says(State::False, without_data(*reason), why.clone());
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
        return says(state, without_data(reason), message);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keeper::cloudfront::CloudFrontView, tiers::cdn::DOMAIN, validate::Problem};
    use aws::{
        Condition, Identity, Kind, Owner,
        cloudfront::{Spec, View},
    };
    use crds::tiers::{aws::Aws, cdn::CloudFront};
    use std::sync::Arc;

    fn cdn(enabled: Option<bool>) -> ValidCdn {
        let identity = Identity::new("blue", "learning", "story", "edge").unwrap();
        let owner = Owner { identity, uid: "u".into() };
        ValidCdn::new("story", &owner, &Aws::default(), "edge", &CloudFront { enabled, ..CloudFront::default() })
    }

    /// A distribution that serves, and nothing is to be done.
    fn seen(change: impl FnOnce(&mut Seen, &mut CloudFrontView)) -> Seen {
        let (id, domain_name) = (Some("E1".to_owned()), Some("d1.cloudfront.net".to_owned()));
        let at = View { id, domain_name, enabled: true, deployed: true, ..View::default() };
        let mut view = CloudFrontView { at, ..CloudFrontView::default() };
        let mut seen = Seen {
            held: None,
            record: None,
            recorded: None,
            view: None,
            answered: true,
            spec: Ok(Spec::default()),
            lacking: Vec::new(),
        };
        change(&mut seen, &mut view);
        Seen { view: Some(Arc::new(view)), ..seen }
    }

    fn has_served_as(domain: &str, seen: &mut Seen) {
        seen.record = Some([(DOMAIN.to_owned(), domain.to_owned())].into());
    }

    #[test]
    fn a_cdn_is_ready_once_it_serves_as_wished_and_says_what_is_lacking_before() {
        let (yes, no, unknown) = (State::True, State::False, State::Unknown);
        let lack = |problem| Lack::Unfit { name: "edge".into(), key: "verify".into(), problem };
        let waiting = || Unfit::Waiting { field: "spec.cdns[edge]".into(), what: "no name yet".into() };
        let retained = Condition::is(Kind::Retained, "set adopt: true");
        let missing = Condition::is(Kind::Missing, "is gone");
        for (enabled, seen, state, reason, words) in [
            (None, seen(|_, _| {}), yes, Reason::Succeeded, "E1 serves at d1.cloudfront.net"),
            (
                None,
                seen(|seen, _| seen.held = Some(Held::by_data("elsewhere".into()))),
                no,
                Reason::DependencyNotReady,
                "elsewhere",
            ),
            (
                None,
                seen(|seen, _| seen.spec = Err(Unfit::Invalid(vec![Problem::new("origins", "wrong")]))),
                no,
                Reason::InvalidSpec,
                "origins: wrong",
            ),
            (None, seen(|seen, _| seen.spec = Err(waiting())), no, Reason::DependencyNotReady, "no name yet"),
            (None, seen(|seen, _| seen.lacking = vec![lack("is empty")]), no, Reason::NotFound, "is empty"),
            (
                None,
                seen(|seen, _| seen.lacking = vec![Lack::Unreadable { name: "edge".into(), error: "503".into() }]),
                unknown,
                Reason::ProviderError,
                "503",
            ),
            (None, seen(|_, view| view.conditions = vec![retained.clone()]), no, Reason::Retained, "adopt"),
            // A distribution holds no data.
            (None, seen(|_, view| view.conditions = vec![missing.clone()]), no, Reason::NotFound, "is gone"),
            (None, seen(|_, view| view.at = View::default()), no, Reason::Progressing, "it is being made"),
            (None, seen(|_, view| view.at.deployed = false), no, Reason::Progressing, "on its way to the edges"),
            // What there was serves while a change is on its way; of another distribution nothing is known.
            (
                None,
                seen(|seen, view| {
                    has_served_as("d1.cloudfront.net", seen);
                    view.at.deployed = false;
                }),
                yes,
                Reason::Succeeded,
                "serves",
            ),
            (
                None,
                seen(|seen, view| {
                    has_served_as("d0.cloudfront.net", seen);
                    view.at.deployed = false;
                }),
                no,
                Reason::Progressing,
                "on its way to the edges",
            ),
            (None, seen(|seen, _| seen.answered = false), no, Reason::Progressing, "has changed"),
            (None, seen(|_, view| view.at.enabled = false), no, Reason::DependencyNotReady, "set enabled: true"),
            (Some(false), seen(|_, view| view.at.enabled = false), yes, Reason::Succeeded, "as asked for"),
        ] {
            let found = verdict(&cdn(enabled), &seen);
            assert_eq!((found.state, found.reason), (state, reason), "{}", found.message);
            assert!(found.message.contains(words), "{}", found.message);
        }
        let unasked = Seen { view: None, ..seen(|_, _| {}) };
        assert_eq!(verdict(&cdn(None), &unasked).state, unknown);
    }

    #[test]
    fn what_was_known_is_told_while_nobody_looks() {
        let mut before = seen(|seen, _| has_served_as("d1.cloudfront.net", seen));
        before.view = None;
        let told = status(&cdn(None), &before).cdn.unwrap();
        assert_eq!((told.domain_name.as_deref(), told.deployed), (Some("d1.cloudfront.net"), None));
    }
}
