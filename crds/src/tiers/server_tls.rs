//! Certificates of the stores that run in the cluster.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Encryption on the way to the servers and between them. Apps that use the store are given its authority, and verify it and
/// the servers' names. Exactly one field says where the certificates come from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.generated), has(self.secret), has(self.certManager)].exists_one(is, is)").message(
    "inCluster.tls: say where the certificates come from: set exactly one of generated, secret and certManager"
))]
#[x_kube(validation = Rule::new("has(self.generated) == has(oldSelf.generated) && (has(self.secret) ? self.secret.name : '') == (has(oldSelf.secret) ? oldSelf.secret.name : '') && has(self.certManager) == has(oldSelf.certManager) && (!has(self.certManager) || self.certManager == oldSelf.certManager)").message(
    "inCluster.tls: where the certificates come from cannot be changed, because servers on either side of the change would not trust each other: change what the Secret holds, or add a second store"
))]
pub struct ServerTls {
    /// An authority and certificates that the operator makes (`{}`), kept in the Secret `<platform>-<store>-tls`. A
    /// certificate is valid for 90 days and renewed after 60 of them, without a restart; the authority is valid for 10 years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<GeneratedTls>,

    /// Certificates of yours. What the Secret holds may be changed at any time: the
    /// servers take it without a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<TlsSecret>,

    /// Certificates of an issuer of cert-manager: the operator makes the Certificate `<platform>-<store>-tls`, which writes the
    /// Secret of the same name and renews it; the servers take what is renewed without a restart. The issuer must give the
    /// authority with the certificate (`ca.crt`), as those of the kinds CA, Vault and self-signed CA do, and ACME does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManagerTls>,

    /// Whether a database takes connections without encryption, too: while apps change over. Default false. Not for a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_plaintext: Option<bool>,
}

/// Certificates that the operator makes.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
pub struct GeneratedTls {}

/// Certificates of an issuer of cert-manager.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertManagerTls {
    /// The issuer.
    pub issuer_ref: IssuerRef,
}

/// An issuer of cert-manager.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
pub struct IssuerRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// `Issuer`, of the namespace of the resource, `ClusterIssuer`, or a kind of another group. Default `Issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// Its group. Default `cert-manager.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub group: Option<String>,
}

/// A Secret of the type `kubernetes.io/tls` in the namespace of the resource: `tls.crt`, `tls.key`, and `ca.crt` with the
/// authority that signed it.
///
/// Of a database the certificate must have the names `<name>-rw.<namespace>.svc`, `<name>-ro.<namespace>.svc` and
/// `<name>-ro-<number>.<namespace>.svc`, and `<name>-pooler.<namespace>.svc` where it has a pooler, where `<name>` is
/// `<platform>-<database>`, with `-<shard>` after it where there are shards. Of a cache it must have `<name>.<namespace>.svc` and `*.<name>-nodes.<namespace>.svc`, and where it says what it is for
/// both server and client authentication.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
pub struct TlsSecret {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
