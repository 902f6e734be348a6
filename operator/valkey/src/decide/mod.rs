//! What to do next: a pure function of what is wished and what was seen.
//!
//! The rules behind all others: nothing that holds keys is ever reset, flushed or made the replica of something empty; nothing is
//! made anew where a record or a server knows of data; only one disruptive thing is done at a time.

mod lead;
mod members;
mod passwords;
mod plan;
mod restart;
mod roles;
mod sharded;
mod single;
mod verdict;
mod world;

use crate::{
    model::{Mode, Wish},
    seen::{NodeId, Seen},
    slots::Slots,
    view::{Figures, View},
};
use std::fmt;

/// What a round comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is to be done at the servers, in this order. An act that fails does not keep the next ones from being done.
    pub acts: Vec<Act>,
    /// A pod that may be deleted now, to come back with its newest template.
    pub restart: Option<String>,
    /// How the store is.
    pub view: View,
    /// Its figures.
    pub figures: Figures,
}

/// Something that is done at the servers. Each may be repeated. Pods are named.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// `CLUSTER SET-CONFIG-EPOCH`, so that new primaries need not fight over one.
    SetConfigEpoch {
        /// A node that knows nobody.
        pod: String,
        /// Its epoch.
        epoch: u64,
    },
    /// `CLUSTER MEET`: makes a node known, or known at its new address.
    Meet {
        /// Who is told.
        via: String,
        /// Of whom.
        pod: String,
    },
    /// `CLUSTER ADDSLOTSRANGE`, of slots that nobody ever had.
    AddSlots {
        /// Their owner.
        pod: String,
        /// The slots.
        slots: Slots,
    },
    /// `CLUSTER REPLICATE`, also where it does so already but holds to an old address.
    Replicate {
        /// The replica.
        pod: String,
        /// Its primary.
        primary: String,
    },
    /// `CLUSTER FAILOVER` at a replica.
    Failover {
        /// The replica.
        pod: String,
        /// Without the primary and without the others' votes, for both are lost.
        takeover: bool,
    },
    /// Moves slots with their keys. Acts of this kind that follow each other are carried out at once.
    Move(Move),
    /// `CLUSTER SETSLOT STABLE` at a node that still holds open a slot that it owns, or of which it holds no key.
    Close {
        /// The node.
        pod: String,
        /// The slot.
        slot: u16,
    },
    /// `CLUSTER RESET HARD` of a node that owns no slot and holds no key.
    Reset {
        /// The node.
        pod: String,
    },
    /// `CLUSTER FORGET` on every node that lists it, all within the time for which they then refuse to learn of it anew.
    Forget {
        /// The identity that is no pod's any more.
        id: NodeId,
        /// Where.
        on: Vec<String>,
    },
    /// `REPLICAOF`, in single mode.
    Follow {
        /// The replica.
        pod: String,
        /// Its primary.
        primary: String,
    },
    /// `FAILOVER TO`, in single mode: no write is lost.
    HandOver {
        /// The primary.
        from: String,
        /// A replica in step.
        to: String,
    },
    /// `REPLICAOF NO ONE`, in single mode, of the pod that the record names.
    Promote {
        /// The pod.
        pod: String,
    },
    /// `ACL SETUSER`: accepts the wished passwords beside what it accepts.
    AcceptPasswords {
        /// The server.
        pod: String,
    },
    /// `CONFIG SET masterauth`: logs in at its primary with the current password.
    UsePassword {
        /// The server.
        pod: String,
    },
    /// `ACL SETUSER`: accepts nothing but the wished passwords.
    DropPasswords {
        /// The server.
        pod: String,
    },
}

/// Slots that move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Who owns them.
    pub from: String,
    /// Who shall.
    pub to: String,
    /// The slots.
    pub slots: Slots,
    /// How.
    pub way: Way,
}

/// How slots move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Key by key: `MIGRATE`, on every server. Goes on where it was cut.
    Keys,
    /// By the servers themselves and as a whole: `CLUSTER MIGRATESLOTS`, Valkey from 9.0.
    Whole,
}

/// What to do next.
pub fn decide(wish: &Wish, seen: &Seen) -> Decision {
    match wish.mode {
        Mode::Cluster => sharded::decide(wish, seen),
        Mode::Single => single::decide(wish, seen),
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetConfigEpoch { pod, epoch } => write!(f, "{pod}: epoch {epoch}"),
            Self::Meet { via, pod } => write!(f, "{via}: meet {pod}"),
            Self::AddSlots { pod, slots } => write!(f, "{pod}: take slots {slots}"),
            Self::Replicate { pod, primary } | Self::Follow { pod, primary } => write!(f, "{pod}: replicate {primary}"),
            Self::Failover { pod, takeover } => {
                write!(f, "{pod}: {}", if *takeover { "take over" } else { "fail over" })
            }
            Self::Move(Move { from, to, slots, way }) => {
                let whole = if *way == Way::Whole { ", as a whole" } else { "" };
                write!(f, "move slots {slots} from {from} to {to}{whole}")
            }
            Self::Close { pod, slot } => write!(f, "{pod}: close slot {slot}"),
            Self::Reset { pod } => write!(f, "{pod}: leave the cluster"),
            Self::Forget { id, on } => write!(f, "{}: forget {id}", on.join(", ")),
            Self::HandOver { from, to } => write!(f, "{from}: hand over to {to}"),
            Self::Promote { pod } => write!(f, "{pod}: become the primary"),
            Self::AcceptPasswords { pod } => write!(f, "{pod}: accept the wished passwords"),
            Self::UsePassword { pod } => write!(f, "{pod}: replicate with the current password"),
            Self::DropPasswords { pod } => write!(f, "{pod}: accept no other passwords"),
        }
    }
}
