//! The few calls that are made.

use super::{Call, Instance, Memory, ParameterGroup, Seen, Snapshot, Wish, plan};
use crate::Error;
use std::{future::Future, sync::Arc};

/// RDS, of one account and region. Reads may be answered from a common look that is a few seconds old; nothing is waited for.
pub trait Rds: Send + Sync {
    /// All DB instances, with their tags.
    fn instances(&self) -> impl Future<Output = Result<Arc<[Instance]>, Error>> + Send;

    /// All manual snapshots, with their tags.
    fn snapshots(&self) -> impl Future<Output = Result<Arc<[Snapshot]>, Error>> + Send;

    /// A parameter group; none where there is none of the name.
    fn parameter_group(&self, name: &str) -> impl Future<Output = Result<Option<ParameterGroup>, Error>> + Send;

    /// Carries out a call. It returns as soon as AWS has accepted it.
    fn send(&self, call: &Call) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Looks at what the plan of this wish depends on.
///
/// # Errors
/// One of the looks failed. Then nothing is to be planned.
pub async fn observe(rds: &impl Rds, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
    let mut seen = Seen { instances: rds.instances().await?, snapshots: rds.snapshots().await?, ..Seen::default() };
    for name in plan::groups(wish, memory) {
        if let Some(group) = rds.parameter_group(&name).await? {
            seen.groups.insert(name, group);
        }
    }
    Ok(seen)
}
