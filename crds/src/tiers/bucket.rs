//! A folder in an S3-compatible bucket.

use crate::SecretKey;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A folder in a bucket of S3, or of a server that speaks its protocol. It is read and written by rclone.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// Name of the bucket, which must be there.
    #[schemars(length(min = 3, max = 63), regex(pattern = "^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,

    /// Folder of the database's backups in it, which belongs to this database alone. Default: `<namespace>/<platform>-<database>`.
    /// With shards each has a folder of its own: `<prefix>/<shard>`, or by default `<namespace>/<platform>-<database>-<shard>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    )]
    pub prefix: Option<String>,

    /// Address of a server other than Amazon's, such as `https://minio.storage:9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$"))]
    pub endpoint: Option<String>,

    /// The certificate authority (PEM) that signed the certificate of `endpoint`. Default: the authorities that the image trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,

    /// Region of the bucket. Default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9-]+$"))]
    pub region: Option<String>,

    /// The access key. Default: what the pod's service account or its node may do, by the identities of Amazon's clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<BucketSecret>,

    /// Service account of the pods that speak to the bucket, in the namespace of the resource, where that gives them an identity.
    /// Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,

    /// Image of rclone, from version 1.60, with a shell. Default `docker.io/rclone/rclone:1.76.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^\\S+$"))]
    pub image: Option<String>,
}

/// The Secret with an access key, in the namespace of the resource. rclone takes a change of the key at the next start of its pod.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketSecret {
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,

    /// Key of the access key's id. Default `AWS_ACCESS_KEY_ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub access_key_id_key: Option<String>,

    /// Key of the secret access key. Default `AWS_SECRET_ACCESS_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_access_key_key: Option<String>,
}

impl BucketSecret {
    /// Key of the access key's id.
    pub fn access_key_id(&self) -> &str {
        self.access_key_id_key.as_deref().unwrap_or("AWS_ACCESS_KEY_ID")
    }

    /// Key of the secret access key.
    pub fn secret_access_key(&self) -> &str {
        self.secret_access_key_key.as_deref().unwrap_or("AWS_SECRET_ACCESS_KEY")
    }
}
