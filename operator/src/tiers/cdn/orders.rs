//! What is wanted of the keeper of a CDN.

use super::{DISTRIBUTION, RUNNER, Seen, ValidCdn, deletion, wish};
use crate::{
    context::Context,
    keeper::{
        Keepers,
        aws::AwsKeeper,
        cloudfront::{CloudFrontOrders, CloudFrontService},
    },
    tiers::{
        Children,
        app::rolled_out,
        aws::{
            account, recorded,
            released::{Item, Words},
        },
    },
    validate::ValidPlatform,
};
use aws::cloudfront::{DeletionPolicy, Scope, Spec, Wish};
use crds::{
    LearningPlatform,
    tiers::aws::{AwsControl, AwsDeletionPolicy},
};
use std::collections::BTreeMap;

/// What is wanted; None while nothing may be done about it, or cannot be said.
pub fn orders(
    lp: &ValidPlatform,
    cdn: &ValidCdn,
    seen: &Seen,
    children: &Children,
    acts: bool,
) -> Option<CloudFrontOrders> {
    if seen.held.is_some() {
        return None;
    }
    let spec = seen.spec.as_ref().ok()?.clone();
    let rollouts = rollouts(lp, cdn, children);
    Some(CloudFrontOrders {
        item: cdn.name.clone(),
        wish: wish::wish(&cdn.spec, spec, cdn.owner.clone(), lp.generation, false, rollouts),
        account: account::settings(&lp.key, &cdn.account),
        stored: recorded::stored(children, &cdn.object_name),
        acts,
    })
}

/// The apps after whose rollouts the edges forget something, as far as those are complete, each with the word for its rollout.
fn rollouts(lp: &ValidPlatform, cdn: &ValidCdn, children: &Children) -> BTreeMap<String, String> {
    let apps = cdn.spec.invalidate_after.iter().filter_map(|after| lp.app(&after.app));
    apps.filter_map(|app| Some((app.spec.name.clone(), rolled_out(app, children)?))).collect()
}

impl Item for CloudFrontService {
    const RUNNER: &'static str = RUNNER;

    fn keepers(ctx: &Context) -> &Keepers<AwsKeeper<Self>> {
        &ctx.cloudfront
    }

    fn spoken<'a>(platform: &'a LearningPlatform, id: &str) -> Option<(&'a AwsControl, AwsDeletionPolicy)> {
        let spec = platform.spec.cdns.iter().find(|cdn| cdn.name == id)?.cloud_front.as_ref()?;
        Some((&spec.control, deletion(spec)))
    }

    fn deleted(words: Words<'_>) -> Result<Wish, String> {
        let Words { owner, generation, mode, approved, allow, deletion, record } = words;
        let scope = match record.get(DISTRIBUTION) {
            Some(id) => Scope::Attach { distribution: id.clone() },
            None => Scope::Own,
        };
        let policy = match deletion {
            AwsDeletionPolicy::Delete => DeletionPolicy::Delete,
            // A distribution has no data that a snapshot could be of.
            AwsDeletionPolicy::Retain | AwsDeletionPolicy::Snapshot => DeletionPolicy::Retain,
        };
        Ok(Wish {
            owner,
            generation,
            mode,
            approved,
            allow,
            adopt: false,
            deleted: true,
            deletion_policy: Some(policy),
            scope,
            spec: Spec::default(),
            rollouts: BTreeMap::new(),
        })
    }
}
