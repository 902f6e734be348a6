//! What is to be done: calls in order, each with what it costs and what it needs the user's word for.

use crate::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Look, and say what differs.
    Observe,
    /// Also publish the plan.
    Plan,
    /// Also carry it out.
    #[default]
    Apply,
}

/// A call that changes something.
pub trait Call: Clone + PartialEq {
    /// Its name at AWS, as in a policy of IAM.
    fn operation(&self) -> &'static str;

    /// What it is done to.
    fn resource(&self) -> &str;

    /// All that it says, in words. No password is in them. Two calls that do not do the same have different ones.
    fn sentence(&self) -> String;

    /// Under which its errors are kept.
    fn key(&self) -> String {
        format!("{} {}", self.operation(), self.resource())
    }
}

/// What needs a word of the user: the hash of the plan that has it, or a standing allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// What is destroyed, or cannot be taken back.
    pub why: String,
    /// What allows all of its kind.
    pub allow: Allow,
}

/// A standing allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Allow {
    /// Deletes data without a snapshot.
    DeleteWithoutSnapshot,
    /// Upgrades to another major version; there is no way back.
    MajorUpgrade,
    /// Applies at once what waits for the maintenance window.
    ApplyPending,
    /// Makes an empty store where there was one with data.
    StartEmpty,
    /// Deletes a replica that was promoted, and may have been written to.
    DeletePromoted,
    /// Removes shards of a cache though it is not shown that the others have room for what they hold.
    RemoveShardsUnchecked,
}

/// A call of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned<C> {
    /// The call.
    pub call: C,
    /// What it costs: money, an interruption.
    pub costs: Option<String>,
    /// What it needs a word for.
    pub consent: Option<Consent>,
    /// What it waits for.
    pub hold: Option<String>,
}

impl<C: Call> Planned<C> {
    /// A call that can be sent now, and costs and destroys nothing.
    pub fn new(call: C) -> Self {
        Self { call, costs: None, consent: None, hold: None }
    }

    /// With what it costs.
    pub fn costs(self, costs: impl Into<String>) -> Self {
        Self { costs: Some(costs.into()), ..self }
    }

    /// With what it needs a word for.
    pub fn consent(self, allow: Allow, why: impl Into<String>) -> Self {
        Self { consent: Some(Consent { why: why.into(), allow }), ..self }
    }

    /// With what it waits for, unless it waits for something already.
    pub fn hold(self, hold: Option<String>) -> Self {
        Self { hold: self.hold.or(hold), ..self }
    }

    fn digest(&self) -> String {
        digest::hex(&format!("{}/{}", self.call.operation(), self.call.sentence()))
    }
}

/// Calls, in the order in which they are sent; one that waits does not keep back those after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<C> {
    /// The calls.
    pub calls: Vec<Planned<C>>,
}

impl<C> Default for Plan<C> {
    fn default() -> Self {
        Self { calls: Vec::new() }
    }
}

impl<C: Call> Plan<C> {
    /// What the user's word names: 16 hexadecimal digits of the calls that need one; none where no call does.
    pub fn hash(&self) -> Option<String> {
        let digests = self.digests();
        (!digests.is_empty()).then(|| digest::hex(&digests.join("\n"))[..16].to_owned())
    }

    fn digests(&self) -> Vec<String> {
        self.calls.iter().filter(|planned| planned.consent.is_some()).map(Planned::digest).collect()
    }
}

/// What the user's word covers. It covers the calls of the plan that it named, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    hash: String,
    left: BTreeSet<String>,
}

impl Approved {
    /// Takes the word: `hash` is the one that the user gave.
    pub(crate) fn take<C: Call>(&mut self, hash: Option<&str>, plan: &Plan<C>) {
        let hash = hash.unwrap_or_default();
        if hash != self.hash {
            *self = Self::default();
            if plan.hash().is_some_and(|of_plan| of_plan == hash) {
                *self = Self { hash: hash.to_owned(), left: plan.digests().into_iter().collect() };
            }
        }
    }

    pub(crate) fn covers<C: Call>(&self, planned: &Planned<C>) -> bool {
        self.left.contains(&planned.digest())
    }

    pub(crate) fn used<C: Call>(&mut self, planned: &Planned<C>) {
        self.left.remove(&planned.digest());
    }
}
