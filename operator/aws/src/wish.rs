//! What wishes of several rooms have in common.

use crate::{Mode, cloudfront, elasticache, rds};
use std::{collections::BTreeMap, fmt::Debug};

/// What the wishes of all rooms say.
pub trait Wished: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// Of the platform.
    fn generation(&self) -> i64;

    /// What may be done.
    fn mode(&self) -> Mode;

    /// The same, where this may be done.
    #[must_use]
    fn in_mode(&self, mode: Mode) -> Self;

    /// Whether the item, or its platform, is being deleted.
    fn is_deleted(&self) -> bool;
}

macro_rules! wished {
    ($($wish:ty),+) => {
        $(impl Wished for $wish {
            fn generation(&self) -> i64 {
                self.generation
            }

            fn mode(&self) -> Mode {
                self.mode
            }

            fn in_mode(&self, mode: Mode) -> Self {
                Self { mode, ..self.clone() }
            }

            fn is_deleted(&self) -> bool {
                self.deleted
            }
        })+
    };
}

wished!(rds::Wish, elasticache::Wish, cloudfront::Wish);

/// What becomes of the data when its resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// Everything stays as it is.
    Retain,
    /// A final snapshot stays, and automated backups as long as they are kept.
    #[default]
    Snapshot,
    /// Nothing stays. The word itself allows it.
    Delete,
}

/// Where the server's parameters come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameters {
    /// A group that somebody else keeps.
    Group(String),
    /// A group of this resource's own.
    Own {
        /// `postgres16`, `valkey8`.
        family: String,
        /// Name and value.
        values: BTreeMap<String, String>,
    },
}

/// Name of a resource's own parameter group: each family has another, because an upgrade changes from one to the next.
pub(crate) fn own_group(id: &str, family: &str) -> String {
    let family: String =
        family.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{id}-{}", family.trim_matches('-'))
}
