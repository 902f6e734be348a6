//! What is asked, and what is answered.

use super::{Answer, FakeElastiCache, Shown, World, refuse};
use crate::Fault;
use aws::{
    Call as _, Error, Tags,
    elasticache::{Call, ElastiCache, Event, Group, ParameterGroup, Resource, Snapshot, Usage, User, UserGroup},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

impl ElastiCache for FakeElastiCache {
    async fn groups(&self) -> Result<Arc<[Group]>, Error> {
        let mut groups = self.list("DescribeReplicationGroups", |shown| shown.groups)?;
        for group in &mut groups {
            group.shards = self.world().record.shuffled(std::mem::take(&mut group.shards));
            // As AWS does, which tells tags of what is available only.
            group.untold = group.status != "available";
            if group.untold {
                group.tags.clear();
            }
        }
        Ok(groups.into())
    }

    async fn snapshots(&self) -> Result<Arc<[Snapshot]>, Error> {
        Ok(self.list("DescribeSnapshots", |shown| shown.snapshots)?.into())
    }

    async fn parameter_group(&self, name: &str) -> Result<Option<ParameterGroup>, Error> {
        self.answer("DescribeCacheParameterGroups", |world, fault, _| {
            let groups = if fault == Some(Fault::Stale) { &world.stale.parameters } else { &world.parameters };
            Ok(groups.get(name).cloned())
        })
    }

    async fn users(&self) -> Result<Arc<[User]>, Error> {
        Ok(self.list("DescribeUsers", |shown| shown.users)?.into())
    }

    async fn user_groups(&self) -> Result<Arc<[UserGroup]>, Error> {
        Ok(self.list("DescribeUserGroups", |shown| shown.user_groups)?.into())
    }

    async fn usage(&self, group: &Group) -> Result<BTreeMap<String, Usage>, Error> {
        self.answer("GetMetricData", |world, _, _| {
            Ok(group.shards.iter().map(|shard| (shard.id.clone(), world.usage_of(&shard.id))).collect())
        })
    }

    async fn events(&self, id: &str, since: Timestamp) -> Result<Vec<Event>, Error> {
        self.answer("DescribeEvents", |world, _, _| {
            let of = world.events.iter().filter(|(of, event)| of == id && event.at >= since);
            Ok(of.map(|(_, event)| event.clone()).collect())
        })
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        let result = self.answer(call.operation(), |world, _, now| {
            let before = world.show(false);
            let answer = world.carry_out(call, now);
            let refused = answer.as_ref().err().map(|(code, ..)| (*code).to_owned());
            if refused.is_none() {
                world.stale = before;
            }
            world.record.note(now, call, refused);
            answer
        });
        self.world().record.crash();
        result
    }
}

impl World {
    fn carry_out(&mut self, call: &Call, now: Timestamp) -> Answer<()> {
        match call {
            Call::CreateGroup { .. } => self.create(call, now),
            Call::ModifyGroup { id, change, immediately } => self.modify(id, change, *immediately, now),
            Call::SetToken { id, token, strategy } => self.set_token(id, token.reveal(), *strategy, now),
            Call::IncreaseReplicas { id, replicas, shards } => self.replicas(id, *replicas, shards, true, now),
            Call::DecreaseReplicas { id, replicas, shards } => self.replicas(id, *replicas, shards, false, now),
            Call::Reshard { id, shards, remove } => self.reshard(id, *shards, remove, now),
            Call::DeleteGroup { id, snapshot } => self.delete(id, snapshot.as_deref(), now),
            Call::Tag { resource, id, tags } => self.tag(*resource, id, tags),
            Call::CreateParameterGroup { name, family, tags } => self.create_parameters(name, family, tags),
            Call::SetParameters { name, values } => self.set_parameters(name, values),
            Call::ResetParameters { name, names } => self.reset_parameters(name, names),
            Call::DeleteParameterGroup { name } => self.delete_parameters(name),
            Call::CreateUser { .. } => self.create_user(call, now),
            Call::ModifyUser { id, access, passwords } => {
                self.modify_user(id, access.as_deref(), passwords.as_deref(), now)
            }
            Call::DeleteUser { id } => self.delete_user(id, now),
            Call::CreateUserGroup { id, engine, users, tags } => self.create_user_group(id, engine, users, tags, now),
            Call::ModifyUserGroup { id, add, remove } => self.modify_user_group(id, add, remove, now),
            Call::DeleteUserGroup { id } => self.delete_user_group(id, now),
        }
    }

    /// What a read shows: not what is too new. Each read that `counts` brings that nearer.
    pub(super) fn show(&mut self, counts: bool) -> Shown {
        let count = |hidden: &mut u32| {
            let is_hidden = *hidden > 0;
            if counts {
                *hidden = hidden.saturating_sub(1);
            }
            !is_hidden
        };
        Shown {
            groups: self
                .groups
                .values_mut()
                .filter_map(|kept| count(&mut kept.hidden).then(|| kept.seen.clone()))
                .collect(),
            snapshots: self.snapshots.values().map(|kept| kept.seen.clone()).collect(),
            parameters: self.parameters.clone(),
            users: self
                .users
                .values_mut()
                .filter_map(|kept| count(&mut kept.hidden).then(|| kept.seen.clone()))
                .collect(),
            user_groups: self
                .user_groups
                .values_mut()
                .filter_map(|kept| count(&mut kept.hidden).then(|| kept.seen.clone()))
                .collect(),
        }
    }

    fn tag(&mut self, resource: Resource, id: &str, tags: &Tags) -> Answer<()> {
        let (of, code) = match resource {
            Resource::Group => {
                (self.groups.get_mut(id).map(|kept| &mut kept.seen.tags), "ReplicationGroupNotFoundFault")
            }
            Resource::Snapshot => (self.snapshots.get_mut(id).map(|kept| &mut kept.seen.tags), "SnapshotNotFoundFault"),
            Resource::ParameterGroup => {
                (self.parameters.get_mut(id).map(|group| &mut group.tags), "CacheParameterGroupNotFound")
            }
            Resource::User => (self.users.get_mut(id).map(|kept| &mut kept.seen.tags), "UserNotFound"),
            Resource::UserGroup => (self.user_groups.get_mut(id).map(|kept| &mut kept.seen.tags), "UserGroupNotFound"),
        };
        match of {
            Some(of) => {
                of.extend(tags.clone());
                Ok(())
            }
            None => refuse(code, format!("{id} not found")),
        }
    }
}
