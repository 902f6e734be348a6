//! What is remembered from round to round. Without it the same comes out, with a repeated call at worst.

use super::Call;
use crate::{Approved, Call as _, Class, Error, Troubles};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Id of the distribution.
    pub id: Option<String>,
    /// It was seen, and was ours.
    pub seen: bool,
    /// How often the `CallerReference` was one that AWS keeps blocked after a deletion.
    pub counter: u32,
    /// Since when AWS says that our `CallerReference` is used, though no distribution of it is seen.
    pub taken: Option<Timestamp>,
    /// When each was told to be created: reads may not show it for a while.
    pub created: BTreeMap<String, Timestamp>,
    /// A hash of what is to be changed, and since when: edits that follow one another are sent together.
    pub edit: Option<(String, Timestamp)>,
    /// The revision that was invalidated last, by app.
    pub invalidated: BTreeMap<String, String>,
    /// The invalidation that was sent last, and is not known to be accepted.
    pub batch: Option<Batch>,
    /// Since when nothing of ours is seen any more while it is deleted.
    pub absent_since: Option<Timestamp>,
    /// What the user's word covers.
    pub approved: Approved,
    /// What was refused.
    pub troubles: Troubles,
}

/// An invalidation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its `CallerReference`: the same one twice is one invalidation.
    pub reference: String,
    /// Its paths.
    pub paths: BTreeSet<String>,
    /// The rollouts that it is for.
    pub rollouts: BTreeMap<String, String>,
}

impl Memory {
    /// Notes what became of a call. `after` is the [`crate::Step::after`] that it was sent with.
    pub fn sent(&mut self, call: &Call, after: Self, result: &Result<(), Error>, generation: i64, now: Timestamp) {
        let Err(error) = result else {
            *self = after;
            self.troubles.clear(&call.key());
            return;
        };
        match (error.class(), call) {
            (Class::Transient, _) => {}
            (Class::Exists, Call::Create { .. }) => self.taken = self.taken.or(Some(now)),
            // What was surely not created is not waited for.
            _ => drop(self.created.remove(&call.key())),
        }
        self.troubles.note(&call.key(), error, generation, now);
    }
}
