//! What can go wrong at AWS, told apart by the code on the wire: some codes have no type in the SDK, and the three services
//! have different codes for the same thing.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an error is, and so what is done about it. See [`Class::delay`] and [`crate::Troubles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// It is not there: a fact.
    Absent,
    /// It is there already, perhaps by a call of ours whose answer was lost: the tags tell.
    Exists,
    /// It changes, or is used: look again.
    Busy,
    /// It was changed since it was read: read again.
    Stale,
    /// Too many calls.
    Throttled,
    /// It goes away. The call may have been carried out all the same.
    Transient,
    /// What is wished is refused: nothing changes until the wish does. Even so it is tried again after a while.
    User,
    /// There is not enough of it, or no more is allowed.
    Capacity,
    /// We may not.
    Permission,
}

/// An error of AWS, or on the way to it. It holds AWS's words, which never have a password in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {}{message}", code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default())]
pub struct Error {
    /// Name of the call, as AWS calls it.
    pub operation: &'static str,
    /// The code on the wire; none where there was no answer, or none that can be read.
    pub code: Option<String>,
    /// The status of HTTP, where there was an answer.
    pub status: Option<u16>,
    /// AWS's words, or the network's.
    pub message: String,
}

impl Error {
    /// What it is.
    pub fn class(&self) -> Class {
        Class::of(self.code.as_deref(), self.status)
    }
}

impl Class {
    /// The class of a code. An unknown code is the server's fault with a status from 500, and ours otherwise.
    pub fn of(code: Option<&str>, status: Option<u16>) -> Self {
        let Some(code) = code else { return Self::Transient };
        // The same shape's code ends in `Fault` in one service and not in another.
        match code.strip_suffix("Fault").unwrap_or(code) {
            "DBInstanceNotFound"
            | "DBSnapshotNotFound"
            | "ReplicationGroupNotFound"
            | "SnapshotNotFound"
            | "UserNotFound"
            | "UserGroupNotFound"
            | "NoSuchDistribution"
            // Of ACM.
            | "ResourceNotFoundException" => Self::Absent,
            "DBInstanceAlreadyExists"
            | "DBSnapshotAlreadyExists"
            | "DBParameterGroupAlreadyExists"
            | "ReplicationGroupAlreadyExists"
            | "CacheParameterGroupAlreadyExists"
            | "SnapshotAlreadyExists"
            | "UserAlreadyExists"
            | "UserGroupAlreadyExists"
            | "DistributionAlreadyExists"
            | "OriginAccessControlAlreadyExists"
            | "CachePolicyAlreadyExists"
            | "OriginRequestPolicyAlreadyExists"
            | "ResponseHeadersPolicyAlreadyExists"
            | "FunctionAlreadyExists" => Self::Exists,
            "InvalidDBInstanceState"
            | "InvalidDBSnapshotState"
            | "InvalidDBParameterGroupState"
            | "InvalidDBSubnetGroupState"
            | "InvalidReplicationGroupState"
            | "InvalidCacheClusterState"
            | "InvalidCacheParameterGroupState"
            | "InvalidSnapshotState"
            | "InvalidUserState"
            | "InvalidUserGroupState"
            | "TooManyInvalidationsInProgress"
            | "DistributionNotDisabled"
            | "CachePolicyInUse"
            | "OriginRequestPolicyInUse"
            | "ResponseHeadersPolicyInUse"
            | "OriginAccessControlInUse"
            | "FunctionInUse"
            | "ResourceInUse" => Self::Busy,
            // Nothing had to be done: what was seen was old.
            "PreconditionFailed" | "InvalidIfMatchVersion" | "NoOperation" => Self::Stale,
            "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded" | "SlowDown" => {
                Self::Throttled
            }
            "InsufficientDBInstanceCapacity"
            | "InstanceQuotaExceeded"
            | "StorageQuotaExceeded"
            | "SnapshotQuotaExceeded"
            | "DBParameterGroupQuotaExceeded"
            | "InsufficientCacheClusterCapacity"
            | "ClusterQuotaForCustomerExceeded"
            | "NodeQuotaForClusterExceeded"
            | "NodeQuotaForCustomerExceeded"
            | "CacheParameterGroupQuotaExceeded"
            | "UserQuotaExceeded"
            | "UserGroupQuotaExceeded"
            | "NodeGroupsPerReplicationGroupQuotaExceeded"
            | "TooManyDistributions"
            | "TooManyCacheBehaviors"
            | "TooManyOrigins"
            | "TooManyDistributionCNAMEs"
            | "TooManyCachePolicies"
            | "TooManyOriginRequestPolicies"
            | "TooManyResponseHeadersPolicies"
            | "TooManyOriginAccessControls"
            | "TooManyFunctions" => Self::Capacity,
            "AccessDenied"
            | "AccessDeniedException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            // Of our own edge, where a request cannot be signed.
            | "NoCredentials"
            | "KMSKeyNotAccessible" => Self::Permission,
            // What is refused for what it says. Codes that are not known are taken to be such, too.
            _ if status.is_some_and(|status| status >= 500) => Self::Transient,
            _ => Self::User,
        }
    }

    /// How long nothing is sent after the `attempts`-th such error in a row, from 1.
    pub fn delay(self, attempts: u32) -> Duration {
        let doubled =
            |first: u64, most: u64| first.saturating_mul(1 << attempts.clamp(1, 16).saturating_sub(1)).min(most);
        Duration::from_secs(match self {
            Self::Absent | Self::Exists | Self::Stale => doubled(2, 60),
            Self::Busy => doubled(15, 60),
            Self::Throttled | Self::Transient => doubled(4, 300),
            Self::User => 30 * 60,
            Self::Capacity | Self::Permission => 10 * 60,
        })
    }

    /// After how many in a row the user is told.
    pub fn told_after(self) -> Option<u32> {
        match self {
            Self::Absent | Self::Exists | Self::Busy => None,
            Self::Throttled | Self::Transient | Self::Stale => Some(5),
            Self::User | Self::Capacity | Self::Permission => Some(1),
        }
    }

    /// Whether it says something about one call, not about the service or our right to use it.
    pub fn is_of_the_call(self) -> bool {
        !matches!(self, Self::Throttled | Self::Transient | Self::Permission)
    }
}
