//! What a round found, for status and for those who write Kubernetes objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A store as a round found it. It changes when something happened, not with every figure ([`Figures`]), so that its change may wake a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How it is, in one word and one sentence.
    pub verdict: Verdict,
    /// It is, or was by its record, a complete store. To be recorded: from then on nothing is made anew.
    pub formed: bool,
    /// Every server tells the same of all slots and of all others, and serves.
    pub agreed: bool,
    /// Its shards, by number: those wished, and those that leave.
    pub shards: BTreeMap<u32, Shard>,
    /// Single mode: the pod that is to lead. To be recorded; it is promoted only when [`Wish::primary`](crate::Wish::primary) names it.
    pub lead: Option<String>,
    /// Single mode: the pod that leads by record and takes writes: the only one that a Service may select for them.
    pub primary: Option<String>,
    /// Pods whose volumes hold data, to be recorded as `held`. One that is missing here keeps what its record says; the record of a
    /// pod goes when its StatefulSet shrinks below it.
    pub held: BTreeSet<String>,
    /// Pods whose start script refused and whose data others have: to be recorded as `rejoin`, so that they start empty and are
    /// made replicas.
    pub rejoin: BTreeSet<String>,
    /// Shards whose StatefulSet may go: their pods own no slot, hold no key, and nobody lists them.
    pub removable: BTreeSet<u32>,
    /// How far the servers are with the wished passwords.
    pub rotation: Rotation,
}

/// A shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// The pod that takes its writes.
    pub primary: Option<String>,
    /// Pods that follow it, and whether each is in step.
    pub replicas: BTreeMap<String, bool>,
    /// Its StatefulSet may shrink to the wished number of pods: the primary is among those that stay, and they are in step.
    pub may_shrink: bool,
}

/// Figures of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Of each shard, by number.
    pub shards: BTreeMap<u32, ShardFigures>,
    /// Slots that are not yet where they shall be.
    pub to_move: u32,
}

/// Figures of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardFigures {
    /// Slots that its primary owns.
    pub slots: u32,
    /// Keys on its primary.
    pub keys: u64,
    /// Memory in use by its primary, in bytes.
    pub memory: u64,
    /// What its primary may use, in bytes; 0 is without bound.
    pub memory_max: u64,
    /// How many bytes of writes the last of its replicas is behind; none without replicas.
    pub lag: Option<u64>,
}

impl Figures {
    /// Keys on all primaries: what a reshaping must not change.
    pub fn keys(&self) -> u64 {
        self.shards.values().map(|shard| shard.keys).sum()
    }
}

/// How far the servers are with the wished passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rotation {
    /// Not every server accepts the wished passwords and uses the current one yet: no client is to change over to it.
    Spreading,
    /// Every server does, so that clients may change over; some accept others beside.
    Spread,
    /// Every server does, and accepts nothing else.
    Settled,
}

/// How a store is. The first that applies, in this order, is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pods refuse to start, for their data is missing and nobody else has it.
    DataMissing {
        /// The pods.
        pods: Vec<String>,
    },
    /// Slots belong to nodes that are no pods of this store.
    SlotsLost {
        /// How many.
        slots: u32,
    },
    /// A pod holds data that do not belong to this store, or does not know that they do. It is left alone.
    Stranger {
        /// The pod.
        pod: String,
    },
    /// Several servers hold data and nothing tells which of them leads.
    Ambiguous {
        /// The pods.
        pods: Vec<String>,
    },
    /// Single mode: the primary does not answer, which does not prove that it takes no writes.
    WaitingForOldPrimary {
        /// Its pod.
        pod: String,
    },
    /// Servers accept none of the passwords.
    Refused {
        /// The pods.
        pods: Vec<String>,
    },
    /// It is being made for the first time.
    Forming,
    /// Pods do not answer, or do not exist.
    Unreachable {
        /// The pods, or how many are missing.
        pods: Vec<String>,
    },
    /// Servers are reading their data.
    Loading {
        /// The pods.
        pods: Vec<String>,
    },
    /// A pod is to become the primary, or has just become it.
    FailingOver {
        /// The pod, or the shard where it is not yet known which.
        to: String,
    },
    /// Servers disagree on who owns what, or do not serve yet.
    NotAgreed,
    /// Replicas are not in step with their primaries.
    LinkDown {
        /// The pods.
        pods: Vec<String>,
    },
    /// Pods are being restarted, one after the other.
    Restarting {
        /// The pods that are still to come.
        pods: Vec<String>,
        /// Why it does not go on.
        waits: Option<String>,
    },
    /// Shards that shall go still own slots or hold keys, and it does not go on.
    ScaleInBlocked {
        /// The shards.
        shards: Vec<u32>,
        /// Why.
        why: String,
    },
    /// Slots shall move, and it does not go on.
    MoveBlocked {
        /// Why.
        why: String,
    },
    /// Slots are moving.
    Moving {
        /// How many are not yet where they shall be.
        left: u32,
    },
    /// Pods or shards are leaving.
    Leaving,
    /// The servers do not all have the wished passwords yet.
    Rotating,
    /// It is as wished.
    Ready,
}

impl Verdict {
    /// A name for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::DataMissing { .. } => "DataMissing",
            Self::SlotsLost { .. } => "SlotsLost",
            Self::Stranger { .. } => "Stranger",
            Self::Ambiguous { .. } => "Ambiguous",
            Self::WaitingForOldPrimary { .. } => "WaitingForOldPrimary",
            Self::Refused { .. } => "Refused",
            Self::Forming => "Forming",
            Self::Unreachable { .. } => "Unreachable",
            Self::Loading { .. } => "Loading",
            Self::FailingOver { .. } => "FailingOver",
            Self::NotAgreed => "NotAgreed",
            Self::LinkDown { .. } => "LinkDown",
            Self::Restarting { .. } => "Restarting",
            Self::ScaleInBlocked { .. } => "ScaleInBlocked",
            Self::MoveBlocked { .. } => "MoveBlocked",
            Self::Moving { .. } => "Moving",
            Self::Leaving => "Leaving",
            Self::Rotating => "Rotating",
            Self::Ready => "Ready",
        }
    }

    /// Whether the store serves all its data while this holds, as far as can be told.
    pub fn serves(&self) -> bool {
        match self {
            Self::LinkDown { .. }
            | Self::Restarting { .. }
            | Self::ScaleInBlocked { .. }
            | Self::MoveBlocked { .. }
            | Self::Moving { .. }
            | Self::Leaving
            | Self::Rotating
            | Self::Ready => true,
            Self::DataMissing { .. }
            | Self::SlotsLost { .. }
            | Self::Stranger { .. }
            | Self::Ambiguous { .. }
            | Self::WaitingForOldPrimary { .. }
            | Self::Refused { .. }
            | Self::Forming
            | Self::Unreachable { .. }
            | Self::Loading { .. }
            | Self::FailingOver { .. }
            | Self::NotAgreed => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataMissing { pods } => {
                write!(
                    f,
                    "the data of {} are missing and no other pod has them: bring the volume back",
                    pods.join(", ")
                )
            }
            Self::SlotsLost { slots } => {
                write!(f, "{slots} slots belong to nodes that are no pods any more: bring their volumes back")
            }
            Self::Stranger { pod } => {
                write!(
                    f,
                    "{pod} holds data that this store does not know as its own: look into its volume, or remove it"
                )
            }
            Self::Ambiguous { pods } => {
                write!(f, "{} each hold data of their own and nothing tells which of them leads", pods.join(", "))
            }
            Self::WaitingForOldPrimary { pod } => {
                write!(f, "the primary {pod} does not answer, which is no proof that it is gone: waiting for it")
            }
            Self::Refused { pods } => write!(f, "{} accept none of the passwords", pods.join(", ")),
            Self::Forming => write!(f, "the store is being made"),
            Self::Unreachable { pods } => write!(f, "{} do not answer", pods.join(", ")),
            Self::Loading { pods } => write!(f, "{} are loading their data", pods.join(", ")),
            Self::FailingOver { to } => write!(f, "{to} is becoming the primary"),
            Self::NotAgreed => write!(f, "the servers do not agree yet on who owns which slots"),
            Self::LinkDown { pods } => write!(f, "{} are not in step with their primaries", pods.join(", ")),
            Self::Restarting { pods, waits: None } => write!(f, "still to be restarted: {}", pods.join(", ")),
            Self::Restarting { pods, waits: Some(why) } => {
                write!(f, "still to be restarted: {}; waiting: {why}", pods.join(", "))
            }
            Self::ScaleInBlocked { shards, why } => {
                let shards: Vec<String> = shards.iter().map(|shard| format!("s{shard}")).collect();
                write!(f, "{} cannot go yet: {why}", shards.join(", "))
            }
            Self::MoveBlocked { why } => write!(f, "slots cannot move yet: {why}"),
            Self::Moving { left } => write!(f, "{left} slots are still to move"),
            Self::Leaving => write!(f, "pods that are not wished any more are leaving"),
            Self::Rotating => write!(f, "the servers are taking the wished passwords"),
            Self::Ready => write!(f, "all servers agree and all replicas are in step"),
        }
    }
}
