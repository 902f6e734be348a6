//! The calls that change something.

use super::{Field, Settings};
use crate::{Password, Tags, owner::whose};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What tags are set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A replication group.
    Group,
    /// A snapshot.
    Snapshot,
    /// A parameter group.
    ParameterGroup,
    /// A user.
    User,
    /// A user group.
    UserGroup,
}

/// `AuthTokenUpdateStrategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The new token is taken beside the last one; the one before is not any more.
    Rotate,
    /// Only the new token is taken. Legal after a `Rotate` only.
    Set,
}

/// A call that changes something. Each can be repeated: the second is refused, or changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Makes a group, empty or from a snapshot.
    CreateGroup {
        /// Id.
        id: String,
        /// What it is set to.
        settings: Settings,
        /// `NumNodeGroups`.
        shards: u32,
        /// `ReplicasPerNodeGroup`.
        replicas: u32,
        /// `AuthToken`.
        token: Option<Password>,
        /// `UserGroupIds`.
        user_group: Option<String>,
        /// `SnapshotName`.
        snapshot: Option<String>,
        /// Key of the storage.
        kms_key: Option<String>,
        /// Whose it is.
        tags: Tags,
    },
    /// Changes settings.
    ModifyGroup {
        /// Id.
        id: String,
        /// To what.
        change: Settings,
        /// `ApplyImmediately`; it applies all that waits, too.
        immediately: bool,
    },
    /// Changes the token. AWS does so at once, and applies all that waits, too.
    SetToken {
        /// Id.
        id: String,
        /// The token.
        token: Password,
        /// How.
        strategy: Strategy,
    },
    /// Adds replicas, at once.
    IncreaseReplicas {
        /// Id.
        id: String,
        /// How many each shard has then.
        replicas: u32,
        /// `ReplicaConfiguration`: to these shards only; empty is to all.
        shards: BTreeSet<String>,
    },
    /// Removes replicas, at once.
    DecreaseReplicas {
        /// Id.
        id: String,
        /// How many each shard has then.
        replicas: u32,
        /// `ReplicaConfiguration`: from these shards only; empty is from all.
        shards: BTreeSet<String>,
    },
    /// Adds or removes shards, at once; AWS moves the keys.
    Reshard {
        /// Id.
        id: String,
        /// `NodeGroupCount`.
        shards: u32,
        /// `NodeGroupsToRemove`.
        remove: BTreeSet<String>,
    },
    /// Deletes a group.
    DeleteGroup {
        /// Id.
        id: String,
        /// `FinalSnapshotIdentifier`; without it none is taken.
        snapshot: Option<String>,
    },
    /// Says whose something is.
    Tag {
        /// What it is.
        resource: Resource,
        /// Its name.
        id: String,
        /// Whose.
        tags: Tags,
    },
    /// Makes a parameter group.
    CreateParameterGroup {
        /// Name.
        name: String,
        /// Family.
        family: String,
        /// Whose it is.
        tags: Tags,
    },
    /// Sets parameters, 20 at most.
    SetParameters {
        /// Of which group.
        name: String,
        /// Value by name.
        values: BTreeMap<String, String>,
    },
    /// Gives parameters back to the engine, 20 at most.
    ResetParameters {
        /// Of which group.
        name: String,
        /// Which.
        names: BTreeSet<String>,
    },
    /// Deletes a parameter group that nobody uses.
    DeleteParameterGroup {
        /// Name.
        name: String,
    },
    /// Makes a user.
    CreateUser {
        /// Id.
        id: String,
        /// With which clients log in.
        name: String,
        /// `valkey` or `redis`.
        engine: String,
        /// `AccessString`.
        access: String,
        /// One or two; none is `NoPasswordRequired`, for a user that may do nothing.
        passwords: Vec<Password>,
        /// Whose it is.
        tags: Tags,
    },
    /// Changes a user.
    ModifyUser {
        /// Id.
        id: String,
        /// `AccessString`.
        access: Option<String>,
        /// Instead of those that it has: one or two.
        passwords: Option<Vec<Password>>,
    },
    /// Deletes a user.
    DeleteUser {
        /// Id.
        id: String,
    },
    /// Makes a user group.
    CreateUserGroup {
        /// Id.
        id: String,
        /// `valkey` or `redis`.
        engine: String,
        /// Ids of its users.
        users: BTreeSet<String>,
        /// Whose it is.
        tags: Tags,
    },
    /// Changes who is in a user group.
    ModifyUserGroup {
        /// Id.
        id: String,
        /// Who comes.
        add: BTreeSet<String>,
        /// Who goes.
        remove: BTreeSet<String>,
    },
    /// Deletes a user group that nobody uses.
    DeleteUserGroup {
        /// Id.
        id: String,
    },
}

impl Call {
    /// Whether AWS carries it out over minutes, and may take it back.
    pub(super) fn is_resize(&self) -> bool {
        match self {
            Self::IncreaseReplicas { .. } | Self::DecreaseReplicas { .. } | Self::Reshard { .. } => true,
            Self::ModifyGroup { change, immediately, .. } => *immediately && change.get(Field::NodeType).is_some(),
            _ => false,
        }
    }
}

impl crate::Call for Call {
    fn operation(&self) -> &'static str {
        match self {
            Self::CreateGroup { .. } => "CreateReplicationGroup",
            Self::ModifyGroup { .. } | Self::SetToken { .. } => "ModifyReplicationGroup",
            Self::IncreaseReplicas { .. } => "IncreaseReplicaCount",
            Self::DecreaseReplicas { .. } => "DecreaseReplicaCount",
            Self::Reshard { .. } => "ModifyReplicationGroupShardConfiguration",
            Self::DeleteGroup { .. } => "DeleteReplicationGroup",
            Self::Tag { .. } => "AddTagsToResource",
            Self::CreateParameterGroup { .. } => "CreateCacheParameterGroup",
            Self::SetParameters { .. } => "ModifyCacheParameterGroup",
            Self::ResetParameters { .. } => "ResetCacheParameterGroup",
            Self::DeleteParameterGroup { .. } => "DeleteCacheParameterGroup",
            Self::CreateUser { .. } => "CreateUser",
            Self::ModifyUser { .. } => "ModifyUser",
            Self::DeleteUser { .. } => "DeleteUser",
            Self::CreateUserGroup { .. } => "CreateUserGroup",
            Self::ModifyUserGroup { .. } => "ModifyUserGroup",
            Self::DeleteUserGroup { .. } => "DeleteUserGroup",
        }
    }

    fn resource(&self) -> &str {
        match self {
            Self::CreateGroup { id, .. }
            | Self::ModifyGroup { id, .. }
            | Self::SetToken { id, .. }
            | Self::IncreaseReplicas { id, .. }
            | Self::DecreaseReplicas { id, .. }
            | Self::Reshard { id, .. }
            | Self::DeleteGroup { id, .. }
            | Self::Tag { id, .. }
            | Self::CreateUser { id, .. }
            | Self::ModifyUser { id, .. }
            | Self::DeleteUser { id }
            | Self::CreateUserGroup { id, .. }
            | Self::ModifyUserGroup { id, .. }
            | Self::DeleteUserGroup { id } => id,
            Self::CreateParameterGroup { name, .. }
            | Self::SetParameters { name, .. }
            | Self::ResetParameters { name, .. }
            | Self::DeleteParameterGroup { name } => name,
        }
    }

    // A change that is refused keeps back neither a token nor a change of something else.
    fn key(&self) -> String {
        let what: Vec<String> = match self {
            Self::ModifyGroup { change, .. } => change.iter().map(|(field, _)| format!("{field:?}")).collect(),
            Self::SetToken { .. } => vec!["token".to_owned()],
            _ => Vec::new(),
        };
        format!("{} {} {}", self.operation(), self.resource(), what.join(" "))
    }

    fn sentence(&self) -> String {
        match self {
            Self::CreateGroup { id, settings, shards, replicas, token, user_group, snapshot, kms_key, tags } => {
                let from = snapshot.as_ref().map_or("empty".to_owned(), |name| format!("from snapshot {name}"));
                let auth = match (token, user_group) {
                    (Some(_), _) => "token".to_owned(),
                    (None, Some(group)) => format!("user group {group}"),
                    (None, None) => "nothing".to_owned(),
                };
                let key = kms_key.as_deref().unwrap_or("of AWS");
                format!(
                    "create replication group {id}, {from}: {shards} shards with {replicas} replicas each, guarded by {auth}: \
                     {settings} key={key} {}",
                    whose(tags)
                )
            }
            Self::ModifyGroup { id, change, immediately } => {
                let when = if *immediately {
                    "at once, with all that waits"
                } else {
                    "when AWS does so by itself, or in the window"
                };
                format!("change {id} {when}: {change}")
            }
            Self::SetToken { id, strategy: Strategy::Rotate, .. } => format!("let {id} take another token, too"),
            Self::SetToken { id, strategy: Strategy::Set, .. } => format!("let {id} take the newest token only"),
            Self::IncreaseReplicas { id, replicas, shards } => {
                format!("raise replicas of {id} to {replicas} in {}", which(shards))
            }
            Self::DecreaseReplicas { id, replicas, shards } => {
                format!("lower replicas of {id} to {replicas} in {}", which(shards))
            }
            Self::Reshard { id, shards, remove } => {
                let remove = if remove.is_empty() { String::new() } else { format!(", without {}", which(remove)) };
                format!("bring {id} to {shards} shards{remove}")
            }
            Self::DeleteGroup { id, snapshot: Some(name) } => format!("delete {id} with final snapshot {name}"),
            Self::DeleteGroup { id, snapshot: None } => format!("delete {id} without a snapshot"),
            Self::Tag { resource, id, tags } => format!("tag {resource:?} {id} {}", whose(tags)),
            Self::CreateParameterGroup { name, family, tags } => {
                format!("create parameter group {name} of family {family} {}", whose(tags))
            }
            Self::SetParameters { name, values } => {
                let words: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("set in parameter group {name}: {}", words.join(", "))
            }
            Self::ResetParameters { name, names } => format!("reset in parameter group {name}: {}", listed(names)),
            Self::DeleteParameterGroup { name } => format!("delete parameter group {name}"),
            Self::CreateUser { id, name, engine, access, passwords, tags } => {
                let count = passwords.len();
                format!("create user {id} of {engine}, {name} with {count} passwords: {access} {}", whose(tags))
            }
            Self::ModifyUser { id, access, passwords } => {
                let access = access.as_ref().map(|access| format!(" access {access}")).unwrap_or_default();
                let passwords = passwords.as_ref().map(|all| format!(" {} passwords", all.len())).unwrap_or_default();
                format!("change user {id}:{access}{passwords}")
            }
            Self::DeleteUser { id } => format!("delete user {id}"),
            Self::CreateUserGroup { id, engine, users, tags } => {
                format!("create user group {id} of {engine} with {} {}", listed(users), whose(tags))
            }
            Self::ModifyUserGroup { id, add, remove } => {
                format!("change user group {id}: add {}, remove {}", listed(add), listed(remove))
            }
            Self::DeleteUserGroup { id } => format!("delete user group {id}"),
        }
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

fn which(shards: &BTreeSet<String>) -> String {
    if shards.is_empty() { "all shards".to_owned() } else { format!("shards {}", listed(shards)) }
}
