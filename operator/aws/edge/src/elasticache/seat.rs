//! Caches of many platforms, with common looks.

use super::SdkElastiCache;
use crate::shared::{self, List, Named};
use aws::{
    Call as _, Error,
    elasticache::{Call, ElastiCache, Event, Group, ParameterGroup, Snapshot, Usage, User, UserGroup},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// The last looks at caches.
#[derive(Default)]
pub struct Looks {
    groups: List<Group>,
    snapshots: List<Snapshot>,
    users: List<User>,
    user_groups: List<UserGroup>,
    parameter_groups: Named<Option<ParameterGroup>>,
}

/// ElastiCache of one account and region, for many platforms.
pub type Shared<C = SdkElastiCache> = shared::Shared<C, Looks>;
/// What one cache is looked at and changed through.
pub type Seat<C = SdkElastiCache> = shared::Seat<C, Looks>;

impl<C: ElastiCache> ElastiCache for Seat<C> {
    async fn groups(&self) -> Result<Arc<[Group]>, Error> {
        self.listed(&self.shared.looks.groups, self.shared.service.groups()).await
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        self.listed(&self.shared.looks.snapshots, self.shared.service.snapshots()).await
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.named(&self.shared.looks.parameter_groups, name, self.shared.service.parameter_group(name)).await
    }

    async fn users(&self) -> Result<Arc<[User]>, Error> {
        self.listed(&self.shared.looks.users, self.shared.service.users()).await
    }

    async fn user_groups(&self) -> Result<Arc<[UserGroup]>, Error> {
        self.listed(&self.shared.looks.user_groups, self.shared.service.user_groups()).await
    }

    // What is asked for while one cache changes is that one's alone.
    async fn usage(&self, group: &Group) -> Result<BTreeMap<String, Usage>, Error> {
        self.shared.service.usage(group).await
    }

    async fn events(&self, id: &str, since: Timestamp) -> Result<Vec<Event>, Error> {
        self.shared.service.events(id, since).await
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.sent(call.operation(), self.shared.service.send(call)).await
    }
}
