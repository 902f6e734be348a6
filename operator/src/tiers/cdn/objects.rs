//! The Kubernetes object of a CDN: what is kept of it.

use super::{DISTRIBUTION, DOMAIN, RUNNER, Seen, ValidCdn, deletion};
use crate::tiers::aws::recorded::{self, Recorded};
use kube::core::DynamicObject;

/// Everything of a CDN, in the order of application: the record with what its keeper has to be written down since.
pub fn objects(cdn: &ValidCdn, seen: &Seen) -> Option<Result<DynamicObject, serde_json::Error>> {
    if seen.held.is_some() {
        return None;
    }
    let memory = seen.view.as_ref().map(|view| view.memory.clone());
    let memory = memory.or_else(|| seen.recorded.as_ref().map(|recorded| recorded.memory.clone()))?;
    let mut record = seen.record.clone().unwrap_or_default();
    let recorded = Recorded {
        account: cdn.account.clone(),
        cluster: cdn.owner.identity.cluster().to_owned(),
        mode: cdn.spec.control.mode.unwrap_or_default(),
        deletion: deletion(&cdn.spec),
        memory,
    };
    if let Err(error) = recorded.write(&mut record, RUNNER) {
        return Some(Err(error));
    }
    if let Some(id) = &cdn.spec.distribution_id {
        record.insert(DISTRIBUTION.to_owned(), id.clone());
    }
    if let Some(domain) = seen.domain().filter(|_| seen.has_served()) {
        record.insert(DOMAIN.to_owned(), domain.to_owned());
    }
    Some(recorded::map(&cdn.identity, &cdn.object_name, &record, true))
}
