//! What can be set on a replication group. Shards and replicas are not among it: they have calls of their own.

use crate::{Setting, Value, When, settings::version_order};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What is set on a replication group.
pub type Settings = crate::Settings<Field>;

/// Something that can be set on a replication group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Field {
    /// `Engine`: `redis` becomes `valkey` by a change, and never the other way.
    Engine,
    /// `EngineVersion`, whole or its first parts: `8` is any 8.
    EngineVersion,
    /// `CacheNodeType`.
    NodeType,
    /// `CacheParameterGroupName`.
    ParameterGroup,
    /// `CacheSubnetGroupName`. Taken at creation only.
    SubnetGroup,
    /// `SecurityGroupIds`.
    SecurityGroups,
    /// `Port`. Taken at creation only.
    Port,
    /// `SnapshotRetentionLimit`, days.
    Retention,
    /// `SnapshotWindow`.
    SnapshotWindow,
    /// `PreferredMaintenanceWindow`.
    MaintenanceWindow,
    /// `AutomaticFailoverEnabled`.
    Failover,
    /// `MultiAZEnabled`.
    MultiAz,
    /// `AutoMinorVersionUpgrade`.
    AutoMinorUpgrade,
    /// `TransitEncryptionEnabled`. Taken at creation only here: a change would break every client that is not ready for it.
    Tls,
    /// `AtRestEncryptionEnabled`. Taken at creation only.
    AtRest,
    /// `ClusterMode`: keys are spread over shards. Taken at creation only here.
    ClusterMode,
}

impl Field {
    /// When AWS applies it: as `ApplyImmediately` says, by default as said here; none where AWS does not ask.
    pub fn default_when(self) -> Option<When> {
        match self {
            Self::Engine | Self::EngineVersion | Self::NodeType => Some(When::Window),
            Self::Failover | Self::MultiAz => Some(When::Immediate),
            _ => None,
        }
    }

    /// Whether the user may say when it is applied: of failover the order of the plan depends.
    pub fn can_wait(self) -> bool {
        self.default_when() == Some(When::Window)
    }

    /// Whether AWS, or we, take it at creation only.
    pub fn is_fixed(self) -> bool {
        matches!(self, Self::SubnetGroup | Self::Port | Self::Tls | Self::AtRest | Self::ClusterMode)
    }

    /// Whether a change of it interrupts the connections.
    pub fn interrupts(self) -> bool {
        matches!(self, Self::Engine | Self::EngineVersion | Self::NodeType)
    }

    /// Whether it says which engine it is.
    pub fn is_of_version(self) -> bool {
        matches!(self, Self::Engine | Self::EngineVersion)
    }
}

impl Setting for Field {
    fn is_lower_case(self) -> bool {
        matches!(
            self,
            Self::Engine | Self::ParameterGroup | Self::SubnetGroup | Self::SnapshotWindow | Self::MaintenanceWindow
        )
    }

    fn order(self, wish: &Value, have: Option<&Value>) -> Ordering {
        match (self, wish, have) {
            (Self::EngineVersion, Value::Text(wish), Some(Value::Text(have))) => version_order(wish, have),
            // `redis` is before `valkey`, as it is by the alphabet.
            (Self::Engine, Value::Text(wish), Some(Value::Text(have))) => wish.cmp(have),
            (_, wish, have) if have == Some(wish) => Ordering::Equal,
            _ => Ordering::Greater,
        }
    }
}

/// How the size of a node type stands to another's; none where one has no size that is known. A change of the family alone is
/// none.
pub(super) fn size_order(one: &str, other: &str) -> Option<Ordering> {
    let size = |node_type: &str| {
        let size = node_type.rsplit('.').next()?;
        let known = ["nano", "micro", "small", "medium", "large"];
        match (known.iter().position(|known| *known == size), size.strip_suffix("xlarge")) {
            (Some(at), _) => u32::try_from(at).ok(),
            (None, Some("")) => Some(10),
            (None, Some(times)) => times.parse::<u32>().ok().map(|times| 10 * times),
            (None, None) => None,
        }
    };
    Some(size(one)?.cmp(&size(other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_an_order() {
        for (one, other, order) in [
            ("cache.t4g.small", "cache.t4g.medium", Some(Ordering::Less)),
            ("cache.r7g.xlarge", "cache.r7g.large", Some(Ordering::Greater)),
            ("cache.r7g.12xlarge", "cache.r7g.2xlarge", Some(Ordering::Greater)),
            ("cache.r7g.large", "cache.m7g.large", Some(Ordering::Equal)),
            ("cache.r7g.large", "cache.r7g.metal", None),
        ] {
            assert_eq!(size_order(one, other), order, "{one} {other}");
        }
    }
}
