//! What a resource is called. The names are there before the resource is, and are the same after a crash, after a platform was
//! deleted and applied again, and in a cluster that was restored.

use crate::digest;
use serde::{Deserialize, Serialize};

/// Room for `-r14`, the suffix of the last replica.
const REPLICA_SUFFIX: usize = 4;
/// Most characters of a DB instance's identifier, by AWS's service model.
const RDS_LIMIT: usize = 63;
/// Most characters of a replication group's id, by AWS's service model.
const ELASTICACHE_LIMIT: usize = 40;
/// Leaves room for a hyphen and a hash of 16 characters in a function's name, which has 64 at most, by AWS's service model.
const CLOUDFRONT_PREFIX: usize = 46;
/// Parts are values of tags, which may have 256 characters.
const PART_LIMIT: usize = 253;

/// Whose resource it is: not the UID, because that of a cluster, and that of a platform, die with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    cluster: String,
    namespace: String,
    platform: String,
    item: String,
}

/// A part of an identity that no name can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} {value:?}: use 1 to 253 letters, digits, '.', '_' and '-'")]
pub struct InvalidIdentity {
    /// Which part.
    pub part: &'static str,
    /// What it is.
    pub value: String,
}

impl Identity {
    /// Checks each part.
    ///
    /// # Errors
    /// A part is empty, too long, or has characters that tags or our `/` between parts do not allow.
    pub fn new(cluster: &str, namespace: &str, platform: &str, item: &str) -> Result<Self, InvalidIdentity> {
        let part = |part: &'static str, value: &str| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            match !value.is_empty() && value.len() <= PART_LIMIT && value.chars().all(legal) {
                true => Ok(value.to_owned()),
                false => Err(InvalidIdentity { part, value: value.to_owned() }),
            }
        };
        Ok(Self {
            cluster: part("cluster name", cluster)?,
            namespace: part("namespace", namespace)?,
            platform: part("name of the platform", platform)?,
            item: part("name of the item", item)?,
        })
    }

    /// The cluster's name, a setting of the operator.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The platform's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The platform's name.
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The name of the database, cache or CDN.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// Identifier of the primary DB instance; [`Self::replica`] and final snapshots append to it.
    pub fn instance(&self) -> String {
        self.name(RDS_LIMIT - REPLICA_SUFFIX)
    }

    /// Identifier of a read replica of the instance.
    pub fn replica(instance: &str, index: u32) -> String {
        format!("{instance}-r{index}")
    }

    /// Id of the replication group.
    pub fn replication_group(&self) -> String {
        self.name(ELASTICACHE_LIMIT)
    }

    /// Id of a user of a replication group. Users are known by their id in the whole account.
    pub fn user(group: &str, name: &str) -> String {
        let hash = digest::short(&format!("{group}/{name}"));
        let stem: String = group.chars().take(ELASTICACHE_LIMIT - hash.len() - 1).collect();
        format!("{}-{hash}", stem.trim_end_matches('-'))
    }

    /// What the names of a distribution's policies, access controls and functions begin with, and in somebody else's distribution
    /// the ids of our origins.
    pub fn cdn(&self) -> String {
        self.name(CLOUDFRONT_PREFIX)
    }

    /// The distribution's `CallerReference`. The counter is raised where AWS keeps that of a deleted distribution blocked.
    pub fn caller_reference(&self, counter: u32) -> String {
        let reference = digest::hex(&self.joined());
        if counter == 0 { reference } else { format!("{reference}-{counter}") }
    }

    fn joined(&self) -> String {
        [&*self.cluster, &*self.namespace, &*self.platform, &*self.item].join("/")
    }

    /// `lp-`, as much of platform and item as there is room for, and the hash: letters, digits and single hyphens, in lower
    /// case, first a letter and last no hyphen.
    fn name(&self, limit: usize) -> String {
        let hash = digest::short(&self.joined());
        let mut name = "lp".to_owned();
        for c in format!("-{}-{}", self.platform, self.item).chars() {
            let c = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
            if !(c == '-' && name.ends_with('-')) {
                name.push(c);
            }
        }
        name.truncate(limit - hash.len() - 1);
        format!("{}-{hash}", name.trim_end_matches('-'))
    }
}
