//! A CDN of the resource as a wish of [`aws::cloudfront`].

use super::{behavior, origin};
use crate::{tiers::aws::control, validate::Problem};
use aws::{
    Identity, Kind, Owner, Password,
    cloudfront::{self, Certificate, ErrorPage, GeoRestriction, Logging, Memory, Scope, Seen, Spec, Wish},
};
use crds::{
    SecretKey,
    tiers::{
        app::App,
        cdn::{CloudFront, DeletionPolicy, RestrictionType},
    },
};
use jiff::Timestamp;
use kube::core::Duration;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a CDN depends on that its item does not say.
pub struct Around<'a> {
    /// The platform's apps.
    pub apps: &'a [App],
    /// Names in DNS of the load balancers in front of apps, by app: for routes without a host that can be asked for.
    pub addresses: &'a BTreeMap<String, String>,
    /// The value of a Secret's key; none where it is missing.
    pub secret: &'a dyn Fn(&SecretKey) -> Option<Password>,
}

/// Why there is no wish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The item cannot be carried out as it is written, until it is written otherwise.
    #[error("{}", .0.iter().map(|one| format!("{}: {}", one.field, one.problem)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// It waits for something in the cluster.
    #[error("{field}: {what}")]
    Waiting {
        /// The field that needs it.
        field: String,
        /// What is waited for.
        what: String,
    },
}

/// Where a CDN stands in the resource, for errors.
pub fn path(name: &str) -> String {
    format!("spec.cdns[{name}].cloudFront")
}

/// What is wished of the distribution of the CDN `name`.
///
/// # Errors
/// A field that cannot be carried out, or an app that has no address yet.
pub fn spec(name: &str, cdn: &CloudFront, around: &Around<'_>) -> Result<Spec, Unfit> {
    let mut found = Found { path: path(name), problems: Vec::new(), waiting: None };
    let mut spec = Spec {
        origins: cdn.origins.iter().filter_map(|one| origin::origin(one, cdn, around, &mut found)).collect(),
        default_behavior: None,
        behaviors: Vec::new(),
        functions: behavior::functions(cdn),
        invalidate: cdn
            .invalidate_after
            .iter()
            .map(|one| (one.app.clone(), one.paths.iter().cloned().collect()))
            .collect(),
        enabled: cdn.enabled,
        aliases: cdn.aliases.as_ref().map(|names| names.iter().cloned().collect()),
        certificate: cdn.certificate.as_ref().map(|one| Certificate {
            arn: one.arn.clone(),
            minimum_protocol_version: one.minimum_protocol_version.map(word),
            ssl_support_method: one.ssl_support_method.map(word),
        }),
        comment: cdn.comment.clone(),
        default_root_object: cdn.default_root_object.clone(),
        price_class: cdn.price_class.map(word),
        http_version: cdn.http_version.map(word),
        ipv6: cdn.ipv6,
        web_acl: cdn.web_acl.clone(),
        geo_restriction: cdn.geo_restriction.as_ref().map(|one| {
            let countries = one.locations.iter().cloned().collect();
            match one.restriction_type {
                RestrictionType::None => GeoRestriction::None,
                RestrictionType::Whitelist => GeoRestriction::Allow(countries),
                RestrictionType::Blacklist => GeoRestriction::Deny(countries),
            }
        }),
        errors: None,
        logging: cdn.logging.as_ref().map(|one| Logging {
            bucket: one.bucket.clone(),
            prefix: one.prefix.clone().unwrap_or_default(),
            cookies: one.include_cookies.unwrap_or(false),
        }),
    };
    spec.errors = cdn.errors.as_ref().map(|pages| pages.iter().map(|page| error_page(page, &mut found)).collect());
    for one in &cdn.behaviors {
        let field = format!("behaviors[{}]", one.path);
        let behavior = behavior::behavior(&field, one, cdn, &mut found);
        if one.path != "*" {
            spec.behaviors.push((one.path.clone(), behavior));
        } else if spec.default_behavior.replace(behavior).is_some() {
            found.problem(
                &field,
                "there are two for this path, and the second would never be asked: remove one of them",
            );
        }
    }
    for one in &cdn.invalidate_after {
        if !around.apps.iter().any(|app| app.name == one.app) {
            let problem = "there is no such app in spec.apps: add it there, or correct the name";
            found.problem(&format!("invalidateAfter[{}].app", one.app), problem);
        }
    }
    match (found.problems, found.waiting) {
        (problems, _) if !problems.is_empty() => Err(Unfit::Invalid(problems)),
        (_, Some((field, what))) => Err(Unfit::Waiting { field, what }),
        _ => Ok(spec),
    }
}

/// The wish of a CDN.
pub fn wish(
    cdn: &CloudFront,
    spec: Spec,
    owner: Owner,
    generation: i64,
    deleted: bool,
    rollouts: BTreeMap<String, String>,
) -> Wish {
    let words = &cdn.control;
    Wish {
        owner,
        generation,
        mode: control::mode(words.mode),
        approved: words.approve.clone(),
        allow: control::allow(words),
        adopt: words.adopt == Some(true),
        deleted,
        deletion_policy: cdn.deletion_policy.map(|policy| match policy {
            DeletionPolicy::Retain => cloudfront::DeletionPolicy::Retain,
            DeletionPolicy::Delete => cloudfront::DeletionPolicy::Delete,
        }),
        scope: match &cdn.distribution_id {
            None => Scope::Own,
            Some(id) => Scope::Attach { distribution: id.clone() },
        },
        spec,
        rollouts,
    }
}

/// What is wished as far as it can be said without a cluster: apps have addresses, and Secrets are missing.
///
/// # Errors
/// A field that cannot be carried out, also one that AWS would refuse.
pub fn offline(name: &str, cdn: &CloudFront, apps: &[App]) -> Result<Spec, Unfit> {
    let addresses = apps.iter().map(|app| (app.name.clone(), format!("{}.load-balancer.invalid", app.name))).collect();
    let spec = spec(name, cdn, &Around { apps, addresses: &addresses, secret: &|_| None })?;
    // Whose it is does not matter to what is wrong with it.
    let identity = Identity::new("cluster", "namespace", "platform", name)
        .map_err(|error| Unfit::Invalid(vec![Problem::new(path(name), error.to_string())]))?;
    let owner = Owner { identity, uid: String::new() };
    let refused = refused(&wish(cdn, spec.clone(), owner, 0, false, BTreeMap::new()));
    if refused.is_empty() {
        return Ok(spec);
    }
    Err(Unfit::Invalid(refused.into_iter().map(|words| Problem::new(path(name), words)).collect()))
}

/// What is wrong with a wish by AWS's rules, in words that begin with the field. AWS is not asked.
fn refused(wish: &Wish) -> Vec<String> {
    let step = cloudfront::plan(wish, &Seen::default(), &Memory::default(), Timestamp::UNIX_EPOCH);
    let invalid = step.conditions.into_iter().filter(|condition| condition.kind == Kind::Invalid);
    invalid.map(|condition| condition.message).collect()
}

/// What a conversion comes upon.
pub(super) struct Found {
    path: String,
    problems: Vec<Problem>,
    waiting: Option<(String, String)>,
}

impl Found {
    /// A field below the item is wrong.
    pub fn problem(&mut self, field: &str, problem: impl Into<String>) {
        self.problems.push(Problem::new(format!("{}.{field}", self.path), problem));
    }

    /// A field below the item needs something that is not there yet.
    pub fn waits(&mut self, field: &str, what: impl Into<String>) {
        self.waiting.get_or_insert_with(|| (format!("{}.{field}", self.path), what.into()));
    }

    /// Whole seconds.
    pub fn seconds(&mut self, field: &str, duration: Option<Duration>) -> Option<u64> {
        let duration = duration?;
        let is_negative = duration.is_negative();
        let exact: std::time::Duration = duration.into();
        if is_negative || exact.subsec_nanos() != 0 {
            self.problem(field, "AWS counts in whole seconds, from 0: write it as 90s or 24h");
            return None;
        }
        Some(exact.as_secs())
    }

    /// The same, of a field that AWS keeps in 32 bits.
    pub fn timeout(&mut self, field: &str, duration: Option<Duration>) -> Option<u32> {
        let seconds = u32::try_from(self.seconds(field, duration)?);
        seconds.map_err(|_| self.problem(field, "is longer than AWS can count: lower it")).ok()
    }
}

/// A word of CloudFront's, as the resource spells it, too.
pub(super) fn word(word: impl Serialize) -> String {
    let word = serde_json::to_value(word).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

pub(super) fn words<T: Serialize>(words: &[T]) -> BTreeSet<String> {
    words.iter().map(word).collect()
}

fn error_page(page: &crds::tiers::cdn::ErrorPage, found: &mut Found) -> ErrorPage {
    let field = format!("errors[{}]", page.code);
    let status = |code: i32| u16::try_from(code).unwrap_or_default();
    ErrorPage {
        code: status(page.code),
        response_code: page.response_code.map(status),
        page: page.page.clone(),
        ttl: found.seconds(&format!("{field}.ttl"), page.ttl),
    }
}
