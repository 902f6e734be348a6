//! What can be set on a DB instance.

use crate::{Setting, Value, When, settings::version_order};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What is set on a DB instance.
pub type Settings = crate::Settings<Field>;

/// Something that can be set on a DB instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Field {
    /// `EngineVersion`, whole or its first parts: `16` is any 16.
    EngineVersion,
    /// `DBInstanceClass`.
    Class,
    /// `AllocatedStorage`, GiB.
    Storage,
    /// `MaxAllocatedStorage`, GiB, up to which AWS grows it.
    MaxStorage,
    /// `StorageType`.
    StorageType,
    /// `Iops`.
    Iops,
    /// `StorageThroughput`, MiB/s.
    Throughput,
    /// `MultiAZ`.
    MultiAz,
    /// `DBParameterGroupName`.
    ParameterGroup,
    /// `DBSubnetGroupName`.
    SubnetGroup,
    /// `VpcSecurityGroupIds`.
    SecurityGroups,
    /// `Port`.
    Port,
    /// `BackupRetentionPeriod`, days.
    Retention,
    /// `PreferredBackupWindow`.
    BackupWindow,
    /// `PreferredMaintenanceWindow`.
    MaintenanceWindow,
    /// `CACertificateIdentifier`.
    Ca,
    /// `AutoMinorVersionUpgrade`.
    AutoMinorUpgrade,
    /// `DeletionProtection`.
    DeletionProtection,
    /// `CopyTagsToSnapshot`.
    CopyTags,
    /// `EngineLifecycleSupport`: whether AWS goes on, and charges, after the end of the version's standard support.
    ExtendedSupport,
}

impl Field {
    /// When AWS applies it: as `ApplyImmediately` says, by default as said here; none where AWS does not ask.
    pub fn default_when(self) -> Option<When> {
        match self {
            Self::EngineVersion | Self::Class | Self::StorageType | Self::MultiAz | Self::SubnetGroup | Self::Ca => {
                Some(When::Window)
            }
            Self::Storage | Self::Iops | Self::Throughput | Self::Retention => Some(When::Immediate),
            _ => None,
        }
    }

    /// Whether it holds for a replica, too. The others a replica inherits, or has for itself.
    pub fn is_of_replicas(self) -> bool {
        !matches!(self, Self::MultiAz | Self::SubnetGroup | Self::Retention | Self::BackupWindow | Self::Port)
    }

    /// Whether a change of it interrupts the connections.
    pub fn interrupts(self) -> bool {
        matches!(self, Self::EngineVersion | Self::Class | Self::SubnetGroup | Self::Port | Self::Ca)
    }
}

impl Setting for Field {
    fn is_lower_case(self) -> bool {
        matches!(self, Self::ParameterGroup | Self::SubnetGroup | Self::BackupWindow | Self::MaintenanceWindow)
    }

    fn order(self, wish: &Value, have: Option<&Value>) -> Ordering {
        match (self, wish, have) {
            (Self::EngineVersion, Value::Text(wish), Some(Value::Text(have))) => version_order(wish, have),
            (Self::Storage, Value::Number(wish), Some(Value::Number(have))) => wish.cmp(have),
            // Not every answer speaks of it.
            (Self::ExtendedSupport, _, None) => Ordering::Equal,
            (_, wish, have) if have == Some(wish) => Ordering::Equal,
            _ => Ordering::Greater,
        }
    }

    // AWS grew it, as it was allowed to.
    fn may_be_ahead(self, wished: &Settings) -> bool {
        self == Self::Storage && wished.get(Self::MaxStorage).is_some()
    }
}
