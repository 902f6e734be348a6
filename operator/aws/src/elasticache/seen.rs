//! What was seen: answers of describe calls, as plain values.

use super::{Field, Settings, Strategy};
use crate::{Endpoint, Tags};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What was seen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// All replication groups of account and region: others of our tags are looked for among them.
    pub groups: Arc<[Group]>,
    /// All snapshots, automatic ones too.
    pub snapshots: Arc<[Snapshot]>,
    /// The parameter groups that were asked for and are there.
    pub parameter_groups: BTreeMap<String, ParameterGroup>,
    /// All users, where users are asked for.
    pub users: Arc<[User]>,
    /// All user groups, where users are asked for.
    pub user_groups: Arc<[UserGroup]>,
    /// How full each shard's primary is, by the shard's id: read now, where shards are to be removed.
    pub usage: BTreeMap<String, Usage>,
    /// What AWS tells of the group, since its size was last changed.
    pub events: Vec<Event>,
}

/// A replication group with its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// `ReplicationGroupId`.
    pub id: String,
    /// `Status`.
    pub status: String,
    /// Its tags. AWS tells them of a group that is available only.
    pub tags: Tags,
    /// They are not known, because it was not available when they were asked for.
    pub untold: bool,
    /// What it, and its members, are set to.
    pub settings: Settings,
    /// `PendingModifiedValues` of the group and of its members.
    pub pending: Settings,
    /// `AuthTokenStatus` of the pending values: a change of the token is under way.
    pub pending_token: Option<Strategy>,
    /// Shards come or go: `Resharding` of the pending values.
    pub resharding: bool,
    /// Its parameters wait for a reboot.
    pub pending_reboot: bool,
    /// `NodeGroups`.
    pub shards: Vec<Shard>,
    /// `MemberClusters`, each with its `CacheClusterStatus`.
    pub members: BTreeMap<String, String>,
    /// `ConfigurationEndpoint` in cluster mode, the primary's without; none while it is created.
    pub endpoint: Option<Endpoint>,
    /// Where the replicas answer; none in cluster mode.
    pub reader: Option<Endpoint>,
    /// Where each member answers, without cluster mode: `ReadEndpoint`.
    pub nodes: Vec<Endpoint>,
    /// `AuthTokenEnabled`.
    pub token: bool,
    /// `UserGroupIds`.
    pub user_groups: BTreeSet<String>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// `NodeGroupId`.
    pub id: String,
    /// `Status`.
    pub status: String,
    /// `Slots`; none without cluster mode.
    pub slots: Option<String>,
    /// Members, the primary among them.
    pub members: BTreeSet<String>,
}

/// Memory of a shard's primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that its data take.
    pub used: u64,
    /// Bytes that they may take.
    pub most: u64,
}

/// What AWS tells of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// AWS's words.
    pub message: String,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// `SnapshotName`.
    pub name: String,
    /// `ReplicationGroupId`: of what.
    pub group: String,
    /// `SnapshotStatus`.
    pub status: String,
    /// Its tags; none of an automatic one.
    pub tags: Tags,
    /// When it was taken; none while it is.
    pub created: Option<Timestamp>,
}

/// A parameter group.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ParameterGroup {
    /// `CacheParameterGroupFamily`.
    pub family: String,
    /// Its tags.
    pub tags: Tags,
    /// What was set in it, without the engine's own values.
    pub values: BTreeMap<String, String>,
}

/// A user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// `UserId`.
    pub id: String,
    /// `UserName`, with which clients log in.
    pub name: String,
    /// `Engine`.
    pub engine: String,
    /// `Status`.
    pub status: String,
    /// Its tags.
    pub tags: Tags,
    /// `AccessString`.
    pub access: String,
    /// How many passwords it has.
    pub passwords: u32,
    /// `UserGroupIds`.
    pub groups: BTreeSet<String>,
}

/// A user group.
#[derive(Clone, Debug, PartialEq)]
pub struct UserGroup {
    /// `UserGroupId`.
    pub id: String,
    /// `Engine`: that of its users, which is not always the cache's.
    pub engine: String,
    /// `Status`.
    pub status: String,
    /// Its tags.
    pub tags: Tags,
    /// `UserIds`.
    pub users: BTreeSet<String>,
    /// `ReplicationGroups` that it is used by.
    pub used_by: BTreeSet<String>,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works, and can be changed.
    Available,
    /// It changes.
    Changing,
    /// It goes.
    Deleting,
    /// It never came to be.
    Failed,
    /// A status that is not known: taken for a change, for a while.
    Unknown,
}

impl Group {
    /// What its status means.
    pub fn state(&self) -> State {
        match self.status.as_str() {
            "available" => State::Available,
            "creating" | "modifying" | "snapshotting" => State::Changing,
            "deleting" => State::Deleting,
            "create-failed" => State::Failed,
            _ => State::Unknown,
        }
    }

    /// What keeps it from being changed: the group, each shard and each member has to be available, and all members have to
    /// be there.
    pub fn unready(&self) -> Option<String> {
        if self.state() != State::Available {
            return Some(format!("{} is {}", self.id, self.status));
        }
        let busy = self.shards.iter().filter(|shard| shard.status != "available");
        if let Some(shard) = busy.min_by_key(|shard| &shard.id) {
            return Some(format!("shard {} of {} is {}", shard.id, self.id, shard.status));
        }
        let of_shards: usize = self.shards.iter().map(|shard| shard.members.len()).sum();
        if of_shards != self.members.len() {
            return Some(format!("{} has {} members, its shards have {of_shards}", self.id, self.members.len()));
        }
        if let Some((id, status)) = self.members.iter().find(|(_, status)| *status != "available") {
            return Some(format!("{id} is {status}"));
        }
        if self.resharding {
            return Some(format!("shards of {} come or go", self.id));
        }
        self.pending_token.is_some().then(|| format!("the token of {} changes", self.id))
    }

    /// Whether it answers its clients, as far as its status tells.
    pub fn serves(&self) -> bool {
        self.endpoint.is_some() && ["available", "modifying", "snapshotting"].contains(&self.status.as_str())
    }

    /// What it will be when all that waits is applied.
    pub fn effective(&self) -> Settings {
        self.settings.overlaid(&self.pending)
    }

    /// Whether keys are spread over shards.
    pub fn is_clustered(&self) -> bool {
        self.settings.flag(Field::ClusterMode) == Some(true)
    }

    /// How many shards there are.
    pub fn shard_count(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }
}

impl Shard {
    /// How many replicas it has.
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.members.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}
