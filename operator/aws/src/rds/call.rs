//! The calls that change something.

use super::Settings;
use crate::{Password, Tags, owner::whose};
use std::collections::{BTreeMap, BTreeSet};

/// What tags are set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A DB instance.
    Instance,
    /// A snapshot.
    Snapshot,
    /// A parameter group.
    ParameterGroup,
}

/// A call that changes something. Each can be repeated: the second is refused, or changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Makes an empty primary, encrypted.
    CreateInstance {
        /// Identifier.
        id: String,
        /// What it is set to.
        settings: Settings,
        /// The first database.
        database: Option<String>,
        /// The administrator.
        username: String,
        /// Its password.
        password: Password,
        /// Key of the storage.
        kms_key: Option<String>,
        /// Whose it is.
        tags: Tags,
    },
    /// Makes a primary from a snapshot.
    RestoreInstance {
        /// Identifier.
        id: String,
        /// Of what.
        snapshot: String,
        /// What it is set to. Version, storage and maintenance window come from the snapshot, or AWS, and are
        /// changed afterwards.
        settings: Settings,
        /// Whose it is.
        tags: Tags,
    },
    /// Makes a read replica.
    CreateReplica {
        /// Identifier.
        id: String,
        /// Of what.
        source: String,
        /// What it is set to.
        settings: Settings,
        /// Whose it is.
        tags: Tags,
    },
    /// Changes settings.
    ModifyInstance {
        /// Identifier.
        id: String,
        /// To what.
        change: Settings,
        /// `ApplyImmediately`; it applies all that waits, too.
        immediately: bool,
        /// `AllowMajorVersionUpgrade`.
        major: bool,
    },
    /// Sets the administrator's password. AWS does so as soon as it can, whatever `ApplyImmediately` says.
    SetPassword {
        /// Identifier.
        id: String,
        /// To what.
        password: Password,
    },
    /// Deletes an instance.
    DeleteInstance {
        /// Identifier.
        id: String,
        /// Name of the final snapshot; without it none is taken.
        snapshot: Option<String>,
        /// `DeleteAutomatedBackups`.
        delete_backups: bool,
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
        /// Value, and whether it has to wait for a reboot, by name.
        values: BTreeMap<String, (String, bool)>,
    },
    /// Gives parameters back to the engine, 20 at most. Whether each has to wait for a reboot, by name.
    ResetParameters {
        /// Of which group.
        name: String,
        /// Which.
        names: BTreeMap<String, bool>,
    },
    /// Deletes a parameter group that nobody uses.
    DeleteParameterGroup {
        /// Name.
        name: String,
    },
}

impl crate::Call for Call {
    fn operation(&self) -> &'static str {
        match self {
            Self::CreateInstance { .. } => "CreateDBInstance",
            Self::RestoreInstance { .. } => "RestoreDBInstanceFromDBSnapshot",
            Self::CreateReplica { .. } => "CreateDBInstanceReadReplica",
            Self::ModifyInstance { .. } | Self::SetPassword { .. } => "ModifyDBInstance",
            Self::DeleteInstance { .. } => "DeleteDBInstance",
            Self::Tag { .. } => "AddTagsToResource",
            Self::CreateParameterGroup { .. } => "CreateDBParameterGroup",
            Self::SetParameters { .. } => "ModifyDBParameterGroup",
            Self::ResetParameters { .. } => "ResetDBParameterGroup",
            Self::DeleteParameterGroup { .. } => "DeleteDBParameterGroup",
        }
    }

    fn resource(&self) -> &str {
        match self {
            Self::CreateInstance { id, .. }
            | Self::RestoreInstance { id, .. }
            | Self::CreateReplica { id, .. }
            | Self::ModifyInstance { id, .. }
            | Self::SetPassword { id, .. }
            | Self::DeleteInstance { id, .. }
            | Self::Tag { id, .. } => id,
            Self::CreateParameterGroup { name, .. }
            | Self::SetParameters { name, .. }
            | Self::ResetParameters { name, .. }
            | Self::DeleteParameterGroup { name } => name,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::CreateInstance { id, settings, database, username, password: _, kms_key, tags } => {
                let database = database.as_deref().unwrap_or("-");
                let key = kms_key.as_deref().unwrap_or("of AWS");
                format!(
                    "create instance {id}, empty: {settings} database={database} username={username} \
                     key={key} {}",
                    whose(tags)
                )
            }
            Self::RestoreInstance { id, snapshot, settings, tags } => {
                format!("create instance {id} from snapshot {snapshot}: {settings} {}", whose(tags))
            }
            Self::CreateReplica { id, source, settings, tags } => {
                format!("create replica {id} of {source}: {settings} {}", whose(tags))
            }
            Self::ModifyInstance { id, change, immediately, major } => {
                let when = if *immediately {
                    "at once, with all that waits"
                } else {
                    "when AWS does so by itself, or in the window"
                };
                let major = if *major { ", to another major version" } else { "" };
                format!("change {id} {when}{major}: {change}")
            }
            Self::SetPassword { id, .. } => format!("set the administrator's password of {id}"),
            Self::DeleteInstance { id, snapshot, delete_backups } => {
                let backups = if *delete_backups { "deleted" } else { "kept as long as they are" };
                match snapshot {
                    Some(name) => format!("delete {id} with final snapshot {name}; automated backups are {backups}"),
                    None => format!("delete {id} without a snapshot; automated backups are {backups}"),
                }
            }
            Self::Tag { resource, id, tags } => format!("tag {resource:?} {id} {}", whose(tags)),
            Self::CreateParameterGroup { name, family, tags } => {
                format!("create parameter group {name} of family {family} {}", whose(tags))
            }
            Self::SetParameters { name, values } => {
                let words: Vec<String> = values
                    .iter()
                    .map(|(name, (value, at_reboot))| {
                        format!("{name}={value}{}", if *at_reboot { " at the next reboot" } else { "" })
                    })
                    .collect();
                format!("set in parameter group {name}: {}", words.join(", "))
            }
            Self::ResetParameters { name, names } => {
                let names: BTreeSet<&str> = names.keys().map(String::as_str).collect();
                format!("reset in parameter group {name}: {}", names.into_iter().collect::<Vec<_>>().join(", "))
            }
            Self::DeleteParameterGroup { name } => format!("delete parameter group {name}"),
        }
    }
}
