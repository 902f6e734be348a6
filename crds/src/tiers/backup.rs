//! `databases[].inCluster.backup` and `restoreFrom`: base backups with the log that follows them, dumps, snapshots of volumes, and
//! databases made of them.

use super::{bucket::Bucket, in_cluster::StoreVolume, jobs::cron, pod::Resources};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Backups that are kept where the spec says nothing (P): a week of nights.
pub const KEEP: i32 = 7;

/// Backups by the clock. Base backups, with the log of the primary as it is written, and dumps are on a volume in this cluster; what
/// destroys the cluster's storage destroys them, too, unless `s3` brings them elsewhere. Volume snapshots are where the storage's
/// driver keeps them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.volume) || (has(self.method) && self.method == 'VolumeSnapshot')").message(
    "backup.volume is missing: base backups and dumps are kept on a volume of their own; set volume.storage, or method: VolumeSnapshot"
))]
#[x_kube(validation = Rule::new("!has(self.method) || self.method != 'VolumeSnapshot' || (!has(self.volume) && !has(self.s3) && !has(self.resources))").message(
    "backup: a volume snapshot is where the storage's driver keeps it: remove volume, s3 and resources, or set method: BaseBackup"
))]
#[x_kube(validation = Rule::new("!has(self.volumeSnapshotClass) || (has(self.method) && self.method == 'VolumeSnapshot')").message(
    "backup.volumeSnapshotClass says how volume snapshots are taken: set method: VolumeSnapshot, or remove it"
))]
pub struct Backup {
    /// How they are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<BackupMethod>,

    /// When a backup is taken. `lpctl backup` takes one at once.
    pub schedule: BackupSchedule,

    /// Backups to keep. An older one goes when a new one is complete, with the log that no other needs. Default 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 365))]
    pub keep: Option<i32>,

    /// The volume of base backups and dumps, of each shard one. It needs room for `keep` + 1 packed copies of the data, and for the packed
    /// log since the oldest. Its claim is `data-<platform>-<name>-backup-0`, and becomes what `deletionPolicy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<StoreVolume>,

    /// The VolumeSnapshotClass of volume snapshots, whose driver must be that of the volume's storage class. Default: the default
    /// class of that driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub volume_snapshot_class: Option<String>,

    /// A bucket that they are brought to as well: backups as they become complete, and the log some seconds after it was written.
    /// The bucket keeps the newest `keep` backups, with the log that they need. What is on the volume is never restored from the
    /// bucket, and an empty volume removes nothing from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<Bucket>,

    /// What the receiver of the log, a backup, and what brings them to a bucket each ask for and may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// How backups are taken. `BaseBackup`, the default: a packed copy of the server's files, and the log that follows it as it is
/// written; restored as of any time since, by the same major version of PostgreSQL. `Logical`: the roles, and each database as of when
/// its dump began, by `pg_dump`; restored as it is, by the same major version or a newer one. `VolumeSnapshot`: a snapshot of the
/// primary's volume by the driver of its storage, which is what a crash at that moment would leave; restored as it is. Of base backups
/// and dumps those of the other method stay, and count in `keep`, until newer ones push them out; volume snapshots stay as they are.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum BackupMethod {
    /// The server's files and the log that follows them, on a volume of their own.
    #[default]
    BaseBackup,
    /// Dumps, on a volume of their own. No log is received and none is kept for them. Passwords, subscriptions and tablespaces are left
    /// out. The role `lp_backup` may read all rows then, which a primary that was made without takes by a restart.
    Logical,
    /// Snapshots of the volume. The cluster needs the API `snapshot.storage.k8s.io/v1`. Data and log are on the one volume, so that
    /// every commit that was acknowledged by then is in it.
    VolumeSnapshot,
}

/// When a backup is taken.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct BackupSchedule {
    /// Minute, hour, day of the month, month and day of the week (0 is Sunday), as cron writes them: `0 3 * * *`; or one of
    /// `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`.
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(validation = Rule::new(format!("self.matches('{}')", cron())).message(
        "backup.schedule.cron is no cron expression of five fields: write it as 0 3 * * *"
    ))]
    pub cron: String,

    /// IANA name of the zone that the times are of: `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)?$"))]
    #[x_kube(validation = Rule::new("self != '' && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0").message(
        "backup.schedule.timeZone is not in the IANA database: write it as Europe/Berlin or UTC"
    ))]
    pub time_zone: Option<String>,
}

/// A backup that a database is made of. It counts only as long as the database has never had data: later it may stay or go, and
/// nothing is ever restored over data. It gets passwords of its own; those of roles that were made by hand come along with a base
/// backup, and are to be set anew after a logical one. A logical backup may be of an older major version of PostgreSQL than `image`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.claim) ? 1 : 0) + (has(self.s3) ? 1 : 0) + (has(self.volumeSnapshot) ? 1 : 0) == 1").message(
    "restoreFrom: say where the backups are: set exactly one of claim, s3 and volumeSnapshot"
))]
#[x_kube(validation = Rule::new("!has(self.volumeSnapshot) || (!has(self.backup) && !has(self.targetTime))").message(
    "restoreFrom.volumeSnapshot is one moment: remove backup and targetTime, and name the snapshot of the time that is wanted"
))]
#[x_kube(validation = Rule::new("!has(self.s3) || has(self.s3.prefix)").message(
    "restoreFrom.s3.prefix is missing: name the folder of the database's backups, by default <namespace>/<platform>-<database>"
))]
pub struct RestoreFrom {
    /// Claim of the volume with the backups, in this namespace: `data-<platform>-<database>-backup-0`. It is only read. The pod
    /// needs it on its node, until the database is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub claim: Option<String>,

    /// The bucket with the backups. It is only read. The backup and the log that follows it are first brought to the volume of the
    /// database, packed as they are, which needs room for them beside its data until it is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<Bucket>,

    /// A VolumeSnapshot in this namespace, of the volume of a primary or of a read replica. The volume of the new primary is made of
    /// it, and is at least as large. Its storage class must be of the driver that took the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub volume_snapshot: Option<String>,

    /// Name of the backup. Default `latest`: the newest one, or the newest that was complete by `targetTime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub backup: Option<String>,

    /// As of when, such as `2026-11-02T08:00:00Z`: all that was committed by then, and nothing that was committed later. It takes a
    /// base backup: a logical one is refused. Default: all that was received, or all of a logical backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 40))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$') && timestamp(self) > timestamp('2000-01-01T00:00:00Z')").message(
        "restoreFrom.targetTime is no time with a zone: write it as 2026-11-02T08:00:00Z"
    ))]
    pub target_time: Option<String>,
}

impl Backup {
    /// How they are taken.
    pub fn method(&self) -> BackupMethod {
        self.method.unwrap_or_default()
    }
}
