//! `spec.databases[].rds`: PostgreSQL at Amazon RDS.

use super::{
    aws::{AwsControl, AwsDeletionPolicy},
    database::ReadReplicaScaling,
    in_cluster::PasswordRotation,
};
use crate::{SecretKey, schema};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// PostgreSQL at Amazon RDS: a primary, and read replicas that AWS keeps. Only what is set here is compared and changed; all else
/// stays as AWS, or somebody else, has it. Storage is encrypted, deletion is protected, and connections are encrypted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.backupRetentionDays) || self.backupRetentionDays > 0 || (!has(self.readReplicas) || self.readReplicas == 0) && !has(self.readReplicaScaling)").message(
    "rds.backupRetentionDays: 0 turns backups off, and AWS makes replicas from backups: set it to 1 or more, or remove readReplicas and readReplicaScaling"
))]
#[x_kube(validation = Rule::new("!has(self.maxReadReplicas) || !has(self.readReplicas) || self.readReplicas <= self.maxReadReplicas").message(
    "rds.readReplicas must not be above maxReadReplicas: raise maxReadReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.readReplicaScaling) || (has(self.maxReadReplicas) && self.maxReadReplicas > (has(self.readReplicas) ? self.readReplicas : 0))").message(
    "rds.readReplicaScaling scales between readReplicas and maxReadReplicas: set maxReadReplicas above readReplicas"
))]
#[x_kube(validation = Rule::new("!has(self.maxAllocatedStorage) || self.maxAllocatedStorage > self.allocatedStorage").message(
    "rds.maxAllocatedStorage must be above allocatedStorage: raise it, or remove it"
))]
#[x_kube(validation = Rule::new("!has(self.parameters) || !has(self.parameterGroup)").message(
    "rds.parameters go into a parameter group of the platform's own: remove parameterGroup, or parameters"
))]
#[x_kube(validation = Rule::new("(has(self.database) ? self.database : 'app') == (has(oldSelf.database) ? oldSelf.database : 'app')").message(
    "rds.database cannot be changed, because its rows would stay where they are: add a second database and move them"
))]
#[x_kube(validation = Rule::new("!has(self.applyImmediately) || !has(self.applyInWindow) || !self.applyImmediately.exists(f, f in self.applyInWindow)").message(
    "rds.applyImmediately: a field is in applyImmediately and in applyInWindow, too: remove it from one of them"
))]
pub struct RdsDatabase {
    /// Class of the primary and of each replica, as `db.t4g.medium`. A change interrupts the connections.
    #[schemars(length(min = 4, max = 60), regex(pattern = "^db\\.[a-z0-9.-]+$"))]
    pub instance_class: String,

    /// Size of the volume in GiB. It can be raised, and never lowered.
    #[schemars(range(min = 5, max = 65536))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message("rds.allocatedStorage must not be lowered: AWS shrinks no volume"))]
    pub allocated_storage: i32,

    /// Size in GiB up to which AWS grows the volume by itself. Default: it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6, max = 65536))]
    pub max_allocated_storage: Option<i32>,

    /// Kind of the volume, as `gp3` or `io2`. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^[a-z0-9]+$"))]
    pub storage_type: Option<String>,

    /// Operations of the volume per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1000, max = 256_000))]
    pub iops: Option<i32>,

    /// Throughput of the volume in MiB per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 125, max = 16_000))]
    pub storage_throughput: Option<i32>,

    /// Major version, as `17`, or a whole one, as `17.4`. A higher major version needs a word: `approve`, or `allow: [MajorUpgrade]`.
    #[schemars(length(min = 2, max = 16), regex(pattern = "^[0-9]{2}(\\.[0-9]+)?$"))]
    pub engine_version: String,

    /// A standby in another zone that takes over by itself. Default: as AWS has it, which is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_az: Option<bool>,

    /// Read replicas; with `readReplicaScaling` the fewest. Default 0. May be changed at any time without a change of any
    /// app's pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub read_replicas: Option<i32>,

    /// Most read replicas that there may ever be: the apps get that many numbered addresses, and those without a replica of
    /// their own lead to the primary. A change replaces the apps' pods. Default: 3, or `readReplicas` where that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 15))]
    pub max_read_replicas: Option<i32>,

    /// Scales the read replicas between `readReplicas` and `maxReadReplicas`, as in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_replica_scaling: Option<ReadReplicaScaling>,

    /// Settings of the server, by their names at AWS, in a parameter group of the platform's own. Static ones take effect with the
    /// next reboot, which the status says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::parameters")]
    pub parameters: BTreeMap<String, String>,

    /// Name of a parameter group that somebody else keeps. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub parameter_group: Option<String>,

    /// Name of the DB subnet group. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub subnet_group: Option<String>,

    /// Ids of the VPC's security groups; they decide who can connect. Default: AWS's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 4, max = 32), regex(pattern = "^sg-[0-9a-z]+$")))]
    pub security_groups: Vec<String>,

    /// Port. Default 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1150, max = 65535))]
    pub port: Option<i32>,

    /// Days that AWS keeps its automated backups; 0 turns them off. Default: AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 35))]
    pub backup_retention_days: Option<i32>,

    /// When AWS takes its backups, UTC, as `03:00-03:30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"))]
    pub backup_window: Option<String>,

    /// When AWS may interrupt the servers, UTC, as `sun:04:00-sun:04:30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(
        pattern = "^(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):[0-2][0-9]:[0-5][0-9]$"
    ))]
    pub maintenance_window: Option<String>,

    /// Which authority signs the servers' certificate, by AWS's name, as `rds-ca-rsa2048-g1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub ca_certificate_identifier: Option<String>,

    /// The certificate authorities of RDS, PEM, by which apps and operator know the servers. AWS publishes them as
    /// `global-bundle.pem`.
    pub authorities: SecretKey,

    /// Whether AWS takes minor versions by itself. Default: as AWS has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,

    /// Whether AWS goes on, and charges for it, when the version's standard support has ended. Default false: then AWS upgrades.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_support: Option<bool>,

    /// Key that the storage is encrypted with, as ARN or id. Default: AWS's own. Taken at creation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub kms_key: Option<String>,

    /// Fields whose changes are applied at once, though by default they wait for the maintenance window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub apply_immediately: Vec<RdsField>,

    /// Fields whose changes wait for the maintenance window, though by default they are applied at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub apply_in_window: Vec<RdsField>,

    /// Name of the database, and of the role that owns it. Default `app`. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 48), regex(pattern = "^[a-z_][a-z0-9_]*$"))]
    pub database: Option<String>,

    /// Extensions of the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::extensions")]
    pub extensions: Vec<String>,

    /// Changes the password of the apps by itself, from time to time. By hand it is changed by the annotation
    /// `learningplatform.dev/rotate-passwords` of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_rotation: Option<PasswordRotation>,

    /// Makes the database of a snapshot, as long as it has never had data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RdsRestore>,

    /// What becomes of the rows when the resource is deleted. Default `Snapshot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<AwsDeletionPolicy>,

    /// How far the operator goes.
    #[serde(flatten)]
    pub control: AwsControl,
}

/// What a database is made of.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RdsRestore {
    /// Name or ARN of a DB snapshot.
    #[schemars(length(min = 1, max = 255))]
    pub snapshot: String,
}

/// A field of which one can say when its changes are applied.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RdsField {
    /// By default in the window.
    EngineVersion,
    /// By default in the window.
    InstanceClass,
    /// By default in the window.
    StorageType,
    /// By default in the window.
    MultiAz,
    /// By default in the window.
    SubnetGroup,
    /// By default in the window.
    CaCertificateIdentifier,
    /// By default at once.
    AllocatedStorage,
    /// By default at once.
    Iops,
    /// By default at once.
    StorageThroughput,
    /// By default at once.
    BackupRetentionDays,
}
