//! What is remembered from round to round. Without it the same comes out, with a repeated call at worst.

use crate::{Approved, Call as _, Class, Error, Fingerprint, Troubles};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::Call;

/// What is remembered. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Identifier of the primary, where it is not the one that the identity yields: that of an adopted one.
    pub identifier: Option<String>,
    /// The primary was seen: where it is gone, its data are, and an empty one must not take its place unasked.
    pub seen: bool,
    /// When each was told to be created: reads may not show it for a while.
    pub created: BTreeMap<String, Timestamp>,
    /// The password that the primary has.
    pub password: Option<Fingerprint>,
    /// Names that a final snapshot may have: written down before it is taken.
    pub final_snapshots: Vec<String>,
    /// Since when nothing of ours is seen any more while it is deleted.
    pub absent_since: Option<Timestamp>,
    /// Our own parameter groups.
    pub groups: BTreeSet<String>,
    /// Since when the primary has a status that is not known.
    pub unclear: Option<(String, Timestamp)>,
    /// What the user's word covers.
    pub approved: Approved,
    /// What was refused.
    pub troubles: Troubles,
}

impl Memory {
    /// Notes what became of a call. `after` is the [`crate::Step::after`] that it was sent with.
    pub fn sent(&mut self, call: &Call, after: Self, result: &Result<(), Error>, generation: i64, now: Timestamp) {
        match result {
            Ok(()) => {
                *self = after;
                self.troubles.clear(&call.key());
            }
            Err(error) => {
                // What was surely not created is not waited for.
                if !matches!(error.class(), Class::Transient | Class::Exists) {
                    self.created.remove(call.resource());
                }
                self.troubles.note(&call.key(), error, generation, now);
            }
        }
    }
}
