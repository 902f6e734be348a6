//! What items at AWS have in common.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
