//! How a store outside the platform is reached: the parts that caches and databases share.

use crate::SecretKey;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Secret with the credentials of a store, in the namespace of the resource. Its keys are those of the type
/// `kubernetes.io/basic-auth` unless named otherwise.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoginSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key of the user name. Default `username`; a cache may do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub username_key: Option<String>,
    /// Key of the password. Default `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub password_key: Option<String>,
}

/// Encryption on the way to a store. The certificate and its names are verified.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct StoreTls {
    /// The certificate authority (PEM) that signed the store's certificate. It is mounted into the pods of the apps that
    /// use the store. Default: the authorities that the app's image trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKey>,
}
