//! The tags that say whose a resource is, and what is made of a resource that is found.

use crate::Identity;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// A resource's tags.
pub type Tags = BTreeMap<String, String>;

/// The tags that are managed; all others are left alone.
pub const TAGS: [&str; 5] = [
    "learningplatform.dev/cluster",
    "learningplatform.dev/namespace",
    "learningplatform.dev/name",
    "learningplatform.dev/item",
    "learningplatform.dev/owner-uid",
];

/// Whose a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Whose, also after its platform was deleted and applied again.
    pub identity: Identity,
    /// UID of the platform.
    pub uid: String,
}

/// What a found resource is to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// It is ours.
    Ours,
    /// It was a former platform's of the same name. Nothing is made beside it or changed until it is adopted.
    Retained {
        /// Name of the cluster that it was made in.
        cluster: String,
        /// UID of the former platform.
        uid: String,
    },
    /// It is somebody else's, and left alone.
    NameConflict,
}

impl Owner {
    /// The tags of what is ours.
    pub fn tags(&self) -> Tags {
        TAGS.iter().zip(self.values()).map(|(key, value)| ((*key).to_owned(), value.to_owned())).collect()
    }

    /// Their values, in the order of [`TAGS`].
    fn values(&self) -> [&str; 5] {
        [self.identity.cluster(), self.identity.namespace(), self.identity.platform(), self.identity.item(), &self.uid]
    }

    /// Whether tags say the same as ours. Every resource of an account is asked.
    fn same(&self, tags: &Tags, which: Range<usize>) -> bool {
        let values = self.values();
        which.into_iter().all(|at| tags.get(TAGS[at]).is_some_and(|value| value == values[at]))
    }

    /// What a resource is that bears our name.
    pub fn standing(&self, tags: &Tags) -> Standing {
        match (self.same(tags, 0..4), tags.get(TAGS[4])) {
            (true, Some(uid)) if *uid == self.uid => Standing::Ours,
            (true, Some(uid)) => Standing::Retained { cluster: self.identity.cluster().to_owned(), uid: uid.clone() },
            _ => Standing::NameConflict,
        }
    }

    /// What a resource is that bears our name, or one that was adopted: an adopted name is told by what is remembered of it,
    /// and its tags may be those of another cluster still.
    pub fn standing_of(&self, tags: &Tags, adopted: bool) -> Standing {
        match self.standing(tags) {
            Standing::NameConflict if adopted => self.former(tags).unwrap_or(Standing::NameConflict),
            standing => standing,
        }
    }

    /// What a resource is that has another name: one of the same namespace, platform and item, of any cluster and any UID, is
    /// retained; nothing else is anything to us.
    pub fn former(&self, tags: &Tags) -> Option<Standing> {
        match (self.same(tags, 1..4), tags.get(TAGS[0]), tags.get(TAGS[4])) {
            (true, Some(cluster), Some(uid)) => Some(Standing::Retained { cluster: cluster.clone(), uid: uid.clone() }),
            _ => None,
        }
    }
}

/// The tags in words, for sentences.
pub(crate) fn whose(tags: &Tags) -> String {
    let words: Vec<String> =
        tags.iter().map(|(key, value)| format!("{}={value}", key.rsplit('/').next().unwrap_or(key))).collect();
    format!("as {}", words.join(" "))
}
