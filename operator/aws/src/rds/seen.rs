//! What was seen: answers of describe calls, as plain values.

use super::Settings;
use crate::{Endpoint, Tags};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What was seen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// All DB instances of account and region: others of our tags are looked for among them.
    pub instances: Arc<[Instance]>,
    /// All manual snapshots.
    pub snapshots: Arc<[Snapshot]>,
    /// The parameter groups that were asked for and are there.
    pub groups: BTreeMap<String, ParameterGroup>,
}

/// A DB instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// `DBInstanceStatus`.
    pub status: String,
    /// `TagList`.
    pub tags: Tags,
    /// What it is set to.
    pub settings: Settings,
    /// `PendingModifiedValues`.
    pub pending: Settings,
    /// A new password is among the pending values.
    pub password_pending: bool,
    /// Its parameters wait for a reboot.
    pub pending_reboot: bool,
    /// None while it is created.
    pub endpoint: Option<Endpoint>,
    /// `ReadReplicaSourceDBInstanceIdentifier`.
    pub source: Option<String>,
    /// `ReadReplicaDBInstanceIdentifiers`.
    pub replicas: BTreeSet<String>,
    /// `MasterUsername`.
    pub username: String,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// `DBSnapshotIdentifier`.
    pub id: String,
    /// The instance that it was taken of.
    pub instance: String,
    /// `Status`.
    pub status: String,
    /// `TagList`.
    pub tags: Tags,
    /// When it was taken; none while it is.
    pub created: Option<Timestamp>,
}

/// A parameter group.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ParameterGroup {
    /// `DBParameterGroupFamily`.
    pub family: String,
    /// Its tags.
    pub tags: Tags,
    /// What was set in it, without the engine's own values.
    pub values: BTreeMap<String, String>,
    /// Parameters of its family that only take effect with a reboot.
    pub at_reboot: BTreeSet<String>,
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
    /// Somebody stopped it.
    Stopped,
    /// There is no room; more can be given.
    StorageFull,
    /// It works no more by itself, and has data that a snapshot can be taken of.
    Broken,
    /// It works no more, and AWS deletes it without a final snapshot only.
    Unsnapshotable,
    /// A status that is not known: taken for a change, for a while.
    Unknown,
}

impl Instance {
    /// What its status means.
    pub fn state(&self) -> State {
        match self.status.as_str() {
            "available" => State::Available,
            "creating"
            | "modifying"
            | "backing-up"
            | "rebooting"
            | "starting"
            | "stopping"
            | "upgrading"
            | "storage-optimization"
            | "configuring-enhanced-monitoring"
            | "configuring-iam-database-auth"
            | "configuring-log-exports"
            | "maintenance"
            | "moving-to-vpc"
            | "renaming"
            | "resetting-master-credentials"
            | "storage-config-upgrade"
            | "storage-initialization" => State::Changing,
            "deleting" => State::Deleting,
            "stopped" => State::Stopped,
            "storage-full" => State::StorageFull,
            "incompatible-parameters"
            | "incompatible-option-group"
            | "inaccessible-encryption-credentials"
            | "insufficient-capacity"
            | "restore-error" => State::Broken,
            "failed" | "incompatible-restore" | "incompatible-network" => State::Unsnapshotable,
            _ => State::Unknown,
        }
    }

    /// Whether it answers its clients, as far as its status tells.
    pub fn serves(&self) -> bool {
        let busy = ["available", "modifying", "backing-up", "storage-optimization"].contains(&self.status.as_str());
        self.endpoint.is_some() && busy
    }

    /// What it will be when all that waits is applied.
    pub fn effective(&self) -> Settings {
        self.settings.overlaid(&self.pending)
    }
}
