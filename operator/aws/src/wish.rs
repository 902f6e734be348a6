//! What wishes of several rooms have in common.

use std::collections::BTreeMap;

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
