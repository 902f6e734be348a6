//! What follows from a look at the world, in every room alike.

use crate::{Allow, Approved, Call, Mode, Plan, Troubles, digest};
use jiff::Timestamp;
use std::{collections::BTreeSet, time::Duration};

/// When to look again while something changes (P).
pub const CHANGING: Duration = Duration::from_secs(15);
/// When nothing does; spread by a fifth to both sides.
pub(crate) const STEADY: Duration = Duration::from_secs(450);

/// What follows from a look at the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<C, M, V> {
    /// All that is to be done, as far as can be seen now. Empty in [`Mode::Observe`].
    pub plan: Plan<C>,
    /// What to write down before anything is sent.
    pub remember: M,
    /// What to send: one call at most.
    pub send: Option<C>,
    /// What to write down once it was carried out.
    pub after: M,
    /// What the user is told.
    pub conditions: Vec<Condition>,
    /// What others may know.
    pub view: V,
    /// When to look again.
    pub requeue: Duration,
    /// The resource is deleted, or left behind as its policy says: the finalizer can go.
    pub finished: bool,
}

/// Something the user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub kind: Kind,
    /// Whether it is so.
    pub holds: bool,
    /// In words.
    pub message: String,
}

impl Condition {
    /// It is so.
    pub fn is(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, holds: true, message: message.into() }
    }

    /// It is not.
    pub fn is_not(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, holds: false, message: message.into() }
    }
}

/// What a condition is about. All but `Synced` are there only while they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Every owned field was compared, and nothing is left to do.
    Synced,
    /// What its deletion does.
    Deletion,
    /// What is wished cannot be, and AWS is not asked.
    Invalid,
    /// A change waits for the maintenance window.
    PendingMaintenance,
    /// A parameter takes effect with the next reboot.
    PendingReboot,
    /// AWS has something that is not wished, and that cannot or must not be taken back.
    Drift,
    /// A former platform's data are there: adopt them.
    Retained,
    /// The name is somebody else's.
    NameConflict,
    /// It was there, and is gone.
    Missing,
    /// A call needs the user's word.
    NeedsConsent,
    /// It works no more by itself.
    Broken,
    /// What it needs elsewhere at AWS cannot be used yet.
    NotUsable,
    /// AWS refuses what is wished.
    Refused,
    /// AWS has not enough, or allows no more.
    NoCapacity,
    /// We may not.
    PermissionDenied,
    /// AWS answers with errors.
    Unavailable,
    /// What was accepted is not everywhere yet.
    Deploying,
    /// Copies that bear our tags, and are left alone.
    LeftAlone,
    /// AWS took a change of size back: it is not tried again before the spec changes.
    ResizeRolledBack,
}

/// Whether every field was compared, and nothing is left to do. `unsettled` is what is not done yet, though nothing is left to
/// send for it.
pub(crate) fn synced<C: Call>(plan: &Plan<C>, conditions: &[Condition], unsettled: &[String]) -> Condition {
    let left = plan.calls.iter().map(|planned| {
        let hold = planned.hold.as_ref().map(|hold| format!(" ({hold})")).unwrap_or_default();
        format!("to do: {}{hold}", planned.call.sentence())
    });
    let blocked = conditions.iter().any(|condition| {
        use Kind::*;
        let kinds = [Invalid, NameConflict, Retained, Missing, Broken, Refused, ResizeRolledBack];
        kinds.contains(&condition.kind)
    });
    match unsettled.iter().cloned().chain(left).next() {
        Some(first) => Condition::is_not(Kind::Synced, first),
        None if blocked => Condition::is_not(Kind::Synced, "see the other conditions"),
        None => Condition::is(Kind::Synced, "every field that is set was compared"),
    }
}

/// What a plan is let through by.
pub(crate) struct Gate<'a> {
    pub mode: Mode,
    pub allow: &'a BTreeSet<Allow>,
    /// The hash that the user gave.
    pub word: Option<&'a str>,
    pub generation: i64,
    pub now: Timestamp,
    /// Spreads the looks of many.
    pub seed: &'a str,
}

/// What a gate lets through.
pub(crate) struct Through {
    /// Index of the call to send.
    pub send: Option<usize>,
    pub conditions: Vec<Condition>,
    pub requeue: Duration,
}

impl Gate<'_> {
    /// The first call that waits for nothing, needs no word or has it, and was not refused lately.
    pub fn pass<C: Call>(&self, plan: &Plan<C>, approved: &mut Approved, troubles: &mut Troubles) -> Through {
        approved.take(self.word, plan);
        // Errors of calls that are not wished any more say nothing any more.
        let keys: Vec<String> = plan.calls.iter().map(|planned| planned.call.key()).collect();
        troubles.retain(&keys, self.now);
        let mut conditions: Vec<Condition> = troubles.conditions().collect();
        let mut requeue = self.spread(STEADY);
        let (mut send, mut asked) = (None, false);
        for (at, planned) in plan.calls.iter().enumerate() {
            let hold = troubles.holds(&planned.call.key(), self.generation, self.now);
            if let Some(hold) = hold {
                requeue = requeue.min(hold);
            } else if planned.hold.is_some() {
                // What waits behind the user's word waits for long; a resource that changes is told by its own state.
                requeue = if asked { requeue } else { requeue.min(CHANGING) };
            } else if let Some(consent) = planned.consent.as_ref()
                && !self.allow.contains(&consent.allow)
                && !approved.covers(planned)
            {
                asked = true;
                let hash = plan.hash().unwrap_or_default();
                let words = format!(
                    "{}: {}. Approve the plan {hash}, or allow {:?}",
                    planned.call.sentence(),
                    consent.why,
                    consent.allow
                );
                conditions.push(Condition::is(Kind::NeedsConsent, words));
            } else if self.mode == Mode::Apply && send.is_none() {
                send = Some(at);
            }
        }
        if send.is_some() {
            requeue = CHANGING;
        }
        Through { send, conditions, requeue }
    }

    /// A fifth to both sides, the same for the same seed within a minute.
    pub fn spread(&self, wait: Duration) -> Duration {
        let fraction = digest::fraction(&format!("{}/{}", self.seed, self.now.as_second() / 60));
        wait.mul_f64(0.8 + 0.4 * fraction)
    }
}
