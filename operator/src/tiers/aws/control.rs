//! The words of the user for an item at AWS, as the plans take them.

use aws::{Allow, DeletionPolicy, Mode};
use crds::tiers::{
    aws::{AwsAllow, AwsControl, AwsDeletionPolicy, AwsMode},
    in_cluster,
};
use std::collections::BTreeSet;

/// How far the operator goes.
pub fn mode(mode: Option<AwsMode>) -> Mode {
    match mode.unwrap_or_default() {
        AwsMode::Observe => Mode::Observe,
        AwsMode::Plan => Mode::Plan,
        AwsMode::Apply => Mode::Apply,
    }
}

/// What is allowed without a word for each plan.
pub fn allow(control: &AwsControl) -> BTreeSet<Allow> {
    let one = |allow: &AwsAllow| match allow {
        AwsAllow::DeleteWithoutSnapshot => Allow::DeleteWithoutSnapshot,
        AwsAllow::MajorUpgrade => Allow::MajorUpgrade,
        AwsAllow::ApplyPending => Allow::ApplyPending,
        AwsAllow::StartEmpty => Allow::StartEmpty,
        AwsAllow::DeletePromoted => Allow::DeletePromoted,
        AwsAllow::RemoveShardsUnchecked => Allow::RemoveShardsUnchecked,
    };
    control.allow.iter().map(one).collect()
}

/// What becomes of the data.
pub fn deletion(policy: AwsDeletionPolicy) -> DeletionPolicy {
    match policy {
        AwsDeletionPolicy::Retain => DeletionPolicy::Retain,
        AwsDeletionPolicy::Snapshot => DeletionPolicy::Snapshot,
        AwsDeletionPolicy::Delete => DeletionPolicy::Delete,
    }
}

/// What becomes of the passwords when the platform is deleted: they stay where the data do, and can be gone on with.
pub fn of_passwords(policy: AwsDeletionPolicy) -> in_cluster::DeletionPolicy {
    match policy {
        AwsDeletionPolicy::Retain => in_cluster::DeletionPolicy::Retain,
        AwsDeletionPolicy::Snapshot | AwsDeletionPolicy::Delete => in_cluster::DeletionPolicy::Delete,
    }
}
