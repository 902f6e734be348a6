//! What is reported of CDNs.

use super::AwsStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// State of a CDN.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CdnStatus {
    /// Name of the item.
    pub name: String,
    /// Name in DNS of its distribution, which records for `aliases` lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// The zone of that name, as alias records of Route 53 ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted_zone_id: Option<String>,
    /// State of its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Whether the distribution answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether everything that AWS has accepted is at all edges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<bool>,
    /// What becomes of the distribution when the CDN or the platform is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// What is known of it at AWS, and what is to be done there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsStatus>,
    /// What the policies of its buckets need, so that it may read them, a map by `origin`. The buckets are yours, and so are their
    /// policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["origin".into()]))]
    pub bucket_policies: Vec<BucketPolicy>,
    /// What can be carried out and is probably not meant, each with what mends it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// `CdnReady` and `Synced`, and what is present only while it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What the policy of a bucket needs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketPolicy {
    /// Name of the origin whose bucket it is.
    pub origin: String,
    /// The statement, in JSON.
    pub statement: String,
}
