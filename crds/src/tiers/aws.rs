//! `spec.aws`, and what items at AWS have in common.

use crate::schema;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The account and the region of a platform's resources at AWS. Credentials are the operator's own, found as the SDK of AWS does by
/// default, or those of a role that its settings allow for the namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.externalId) || has(self.roleArn)").message(
    "aws.externalId is for a role: set roleArn, or remove externalId"
))]
pub struct Aws {
    /// Region of databases and caches, as `eu-central-1`. It cannot be changed: their data would be left behind.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z0-9-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "aws.region cannot be changed, because databases and caches stay in theirs: make another platform and move the data"
    ))]
    pub region: String,

    /// Role that the operator assumes for this platform, as `arn:aws:iam::123456789012:role/name`. Its settings
    /// (`--allowed-aws-role`) must allow it for the namespace. Default: none, the operator's own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: Option<String>,

    /// What the role's trust policy asks for as `sts:ExternalId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    pub external_id: Option<String>,

    /// URLs to ask instead of AWS's, for private endpoints and doubles. The operator's settings (`--allowed-aws-endpoint`) must
    /// allow them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<AwsEndpoints>,
}

/// URLs to ask instead of AWS's.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsEndpoints {
    /// Of RDS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub rds: Option<String>,
    /// Of ElastiCache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub elasticache: Option<String>,
    /// Of CloudFront.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub cloudfront: Option<String>,
    /// Of ACM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub acm: Option<String>,
    /// Of STS, for the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::endpoint_url")]
    pub sts: Option<String>,
}

/// How far the operator goes with an item at AWS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct AwsControl {
    /// `Observe` looks and says what differs, `Plan` also puts the calls that would be made into the status, `Apply` also makes
    /// them. Default `Apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AwsMode>,

    /// Hash of the plan that you approve: its calls that destroy something, or cannot be taken back, are made once. It stands in
    /// the status beside the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    pub approve: Option<String>,

    /// What is allowed without a word for each plan. Nothing by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub allow: Vec<AwsAllow>,

    /// Goes on with what a former platform of this name left at AWS. Without it such is left alone, and nothing is made beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<bool>,
}

/// How far the operator goes.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum AwsMode {
    /// Look.
    Observe,
    /// Publish the plan.
    Plan,
    /// Carry it out.
    #[default]
    Apply,
}

/// A standing allowance.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub enum AwsAllow {
    /// Data may be deleted without a snapshot.
    DeleteWithoutSnapshot,
    /// The major version may be raised; there is no way back.
    MajorUpgrade,
    /// What waits for the maintenance window may be applied at once.
    ApplyPending,
    /// An empty store may be made where there was one with data.
    StartEmpty,
    /// A replica that was promoted, and may have been written to, may be deleted.
    DeletePromoted,
    /// Shards of a cache may go though it is not shown that the others have room for what they hold.
    RemoveShardsUnchecked,
}

/// What becomes of a database or a cache at AWS when it is deleted.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default, JsonSchema)]
pub enum AwsDeletionPolicy {
    /// Everything stays as it is, and AWS goes on charging for it.
    Retain,
    /// A final snapshot stays.
    #[default]
    Snapshot,
    /// Nothing stays.
    Delete,
}
