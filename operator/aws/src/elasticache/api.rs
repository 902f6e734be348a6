//! The few calls that are made.

use super::{
    Auth, Call, Event, Group, Memory, ParameterGroup, Seen, Snapshot, Usage, User, UserGroup, Wish,
    plan::{self, identifier},
};
use crate::Error;
use jiff::Timestamp;
use std::{collections::BTreeMap, future::Future, sync::Arc};

/// ElastiCache, of one account and region. Reads may be answered from a common look that is not new, but for the usage and the
/// events; nothing is waited for.
pub trait ElastiCache: Send + Sync {
    /// All replication groups, with their members, and their tags where AWS tells them.
    fn groups(&self) -> impl Future<Output = Result<Arc<[Group]>, Error>> + Send;

    /// All snapshots, automatic ones too; those that somebody took with their tags.
    fn snapshots(&self) -> impl Future<Output = Result<Arc<[Snapshot]>, Error>> + Send;

    /// A parameter group; none where there is none of the name.
    fn parameter_group(&self, name: &str) -> impl Future<Output = Result<Option<ParameterGroup>, Error>> + Send;

    /// All users; those with names of ours with their tags.
    fn users(&self) -> impl Future<Output = Result<Arc<[User]>, Error>> + Send;

    /// All user groups; those with names of ours with their tags.
    fn user_groups(&self) -> impl Future<Output = Result<Arc<[UserGroup]>, Error>> + Send;

    /// How full the primary of each shard is, by the shard's id, as it is now. Shards of which it is not known are missing.
    fn usage(&self, group: &Group) -> impl Future<Output = Result<BTreeMap<String, Usage>, Error>> + Send;

    /// What AWS tells of a group since then, in any order.
    fn events(&self, id: &str, since: Timestamp) -> impl Future<Output = Result<Vec<Event>, Error>> + Send;

    /// Carries out a call. It returns as soon as AWS has accepted it.
    fn send(&self, call: &Call) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Looks at what the plan of this wish depends on.
///
/// # Errors
/// One of the looks failed. Then nothing is to be planned.
pub async fn observe(cache: &impl ElastiCache, wish: &Wish, memory: &Memory) -> Result<Seen, Error> {
    let mut seen = Seen { groups: cache.groups().await?, snapshots: cache.snapshots().await?, ..Seen::default() };
    for name in plan::parameter_groups(wish, memory) {
        if let Some(group) = cache.parameter_group(&name).await? {
            seen.parameter_groups.insert(name, group);
        }
    }
    if matches!(wish.spec.auth, Auth::Users(_)) || memory.users {
        seen.users = cache.users().await?;
        seen.user_groups = cache.user_groups().await?;
    }
    let id = identifier(wish, memory);
    if let Some(group) = seen.groups.iter().find(|group| group.id == id)
        && group.shard_count() > wish.spec.shards
        && group.unready().is_none()
        && !wish.deleted
    {
        seen.usage = cache.usage(group).await?;
    }
    if let Some(resize) = &memory.resize {
        seen.events = cache.events(&id, resize.at).await?;
    }
    Ok(seen)
}
