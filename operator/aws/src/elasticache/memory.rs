//! What is remembered from round to round. Without it the same comes out, with a repeated call at worst.

use super::{Call, Strategy};
use crate::{Approved, Call as _, Class, Error, Fingerprint, Troubles};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Id of the group, where it is not the one that the identity yields: that of an adopted one.
    pub identifier: Option<String>,
    /// The group was seen: where it is gone, its data are, and an empty one must not take its place unasked.
    pub seen: bool,
    /// AWS accepted its creation: it is ours, though AWS does not tell its tags before it is available.
    pub made: bool,
    /// When each was told to be created: reads may not show it for a while.
    pub created: BTreeMap<String, Timestamp>,
    /// When something was sent last: reads may not show what it does for a while.
    pub sent_at: Option<Timestamp>,
    /// The tokens that the group takes; none where that is not known.
    pub tokens: Option<Tokens>,
    /// A change of the token of which it is not known whether AWS got it: what it would make of the tokens.
    pub token_sent: Option<(Strategy, Tokens)>,
    /// Passwords that each user has; missing where that is not known.
    pub passwords: BTreeMap<String, BTreeSet<Fingerprint>>,
    /// Users were made: they are looked for until they are gone.
    pub users: bool,
    /// The last change of size, until its end is seen.
    pub resize: Option<Resize>,
    /// Changes of size that AWS took back, by the calls' sentences: what is told, and the generation in which it is not tried
    /// again.
    pub rolled_back: BTreeMap<String, (String, i64)>,
    /// Names that a final snapshot may have: written down before it is taken.
    pub final_snapshots: Vec<String>,
    /// Since when nothing of ours is seen any more while it is deleted.
    pub absent_since: Option<Timestamp>,
    /// Our own parameter groups.
    pub parameter_groups: BTreeSet<String>,
    /// Since when the group has a status that is not known.
    pub unclear: Option<(String, Timestamp)>,
    /// What the user's word covers.
    pub approved: Approved,
    /// What was refused.
    pub troubles: Troubles,
}

/// The tokens that a group takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The one that was set last.
    pub last: Fingerprint,
    /// The one before it, while both are taken; none where it is not known, or is the same.
    pub former: Option<Fingerprint>,
    /// `last` is the only one.
    pub set: bool,
}

/// A change of size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The call's sentence.
    pub what: String,
    /// The shape before, in words.
    pub from: String,
    /// When it was sent.
    pub at: Timestamp,
    /// AWS accepted it, or was seen to carry it out.
    pub accepted: bool,
    /// Since when the group has the shape before, and does not change.
    pub back_since: Option<Timestamp>,
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
                let class = error.class();
                // What was surely not created is not waited for.
                if !matches!(class, Class::Transient | Class::Exists) {
                    self.created.remove(call.resource());
                }
                // What was surely not begun is not awaited.
                if class != Class::Transient {
                    if call.is_resize() {
                        self.resize = None;
                    }
                    if matches!(call, Call::SetToken { .. }) {
                        self.token_sent = None;
                    }
                }
                self.troubles.note(&call.key(), error, generation, now);
            }
        }
    }
}
