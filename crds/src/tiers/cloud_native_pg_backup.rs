//! `databases[].cloudNativePG.backup` and `restoreFrom`: backups in an object store by CloudNativePG's Barman Cloud plugin, and
//! databases made of them.

use super::{backup::BackupSchedule, bucket::BucketSecret, pod::Resources};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Base backups by the clock, and the log as each of its files is full, in a bucket: the database can be restored as of any time
/// since the oldest backup. CloudNativePG's Barman Cloud plugin takes them, which has to be installed beside CloudNativePG.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.schedule.timeZone) || self.schedule.timeZone in ['UTC', 'Etc/UTC']").message(
    "cloudNativePG.backup.schedule.timeZone: CloudNativePG knows no time zones: write the hour in UTC, and leave timeZone out"
))]
pub struct CloudNativePgBackup {
    /// When a base backup is taken, in UTC. `lpctl backup` takes one at once.
    pub schedule: BackupSchedule,

    /// How far back the database can be restored: days, weeks or months, as `30d`, `4w`, `6m`. Older backups are deleted, with
    /// the log that no other needs. Default: nothing is ever deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]*[dwm]$"))]
    pub retention: Option<String>,

    /// Where they are kept.
    pub s3: BackupBucket,

    /// What the plugin's container beside each server asks for and may use. A change replaces the pods one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A bucket of S3, or of a server that speaks its protocol.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupBucket {
    /// Name of the bucket. It has to be there.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,

    /// Folder in it. The backups are in a folder of it that is called as the `Cluster`. Default: the namespace of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 256),
        regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    )]
    pub prefix: Option<String>,

    /// Address of a server other than Amazon's, such as `https://minio.storage:9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$"))]
    pub endpoint: Option<String>,

    /// Region of the bucket, such as `eu-central-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: Option<String>,

    /// The access key. Default: what the service account `<platform>-<name>-pg` may do, by the identities of Amazon's clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<BucketSecret>,
}

/// Backups that a database is made of. It counts only while there is no `Cluster` yet: later it may stay or go, and nothing is
/// ever restored over data. The roles and their passwords come along, but for those of the apps, which are new.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CloudNativePgRestore {
    /// Where the backups are. It is only read.
    pub s3: BackupBucket,

    /// Name of the `Cluster` whose backups they are: `<platform>-<database>-pg`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub cluster: String,

    /// As of when, such as `2026-11-02T08:00:00Z`: all that was committed by then, and nothing that was committed later. Default:
    /// all that was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 40))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$') && timestamp(self) > timestamp('2000-01-01T00:00:00Z')").message(
        "restoreFrom.targetTime is no time with a zone: write it as 2026-11-02T08:00:00Z"
    ))]
    pub target_time: Option<String>,
}

impl BackupBucket {
    /// Bucket and folder, as `s3://bucket/folder`; `namespace` is that of the resource.
    pub fn url(&self, namespace: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix.as_deref().unwrap_or(namespace))
    }

    /// Whether two of a resource in `namespace` are the same folder, whoever reads it.
    pub fn is_same_folder(&self, other: &Self, namespace: &str) -> bool {
        let endpoint = |bucket: &Self| bucket.endpoint.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        self.url(namespace) == other.url(namespace) && endpoint(self) == endpoint(other)
    }
}
