//! What the servers say of themselves: every one of them is asked, for one that says all is well proves nothing of the others.

use crate::{error::Error, model::Pod, slots::Slots};
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

/// All that was seen in a round.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Every pod that exists, and what its server said.
    pub sightings: Vec<Sighting>,
    /// Which acts of the round before failed. They are told of, and tried after the others.
    pub failures: Vec<Failure>,
}

/// A pod and its server's answer.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The pod.
    pub pod: Pod,
    /// What its server said.
    pub answer: Answer,
}

/// An act that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The act.
    pub act: crate::Act,
    /// Why.
    pub error: Error,
}

/// What a server said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing.
    Unreachable(String),
    /// That it knows none of our passwords.
    Refused,
    /// That it is reading its data.
    Loading,
    /// All that was asked.
    Node(Box<Node>),
}

/// The identity of a node of a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// From its text of 40 hexadecimal digits.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..8).unwrap_or(&self.0))
    }
}

/// A server that answered.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is and which version, as `valkey 9.1.2`.
    pub server: String,
    /// It is a primary or a replica.
    pub role: Role,
    /// Which history of writes it holds; a replica that was in step with a primary has its primary's.
    pub history: String,
    /// The one that it continued, where it was a replica before.
    pub history_before: Option<String>,
    /// How far it is in it, in bytes.
    pub offset: u64,
    /// The replicas that are connected to it.
    pub attached: Vec<Attached>,
    /// What it holds.
    pub store: Store,
    /// It is writing its file of appended writes anew. One that has just fetched all data has none of them on disk before that
    /// ends, and refuses to stop.
    pub rewriting: bool,
    /// What it has done.
    pub work: Work,
    /// What it accepts.
    pub login: Login,
    /// Until when the certificate that it shows is valid, in seconds since 1970; none where it does not speak TLS.
    pub certificate_ends: Option<i64>,
    /// Where it is a node of a cluster.
    pub cluster: Option<Cluster>,
}

/// The part of a server in replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows another.
    Replica {
        /// Where it believes its primary to be, as `host:port`.
        of: String,
        /// It is connected to it, and in step.
        link_up: bool,
        /// It is fetching all data, or loading what it fetched.
        syncing: bool,
    },
}

/// A replica, as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Where it says it is, as `host:port`.
    pub address: String,
    /// It gets every write.
    pub online: bool,
    /// How far it is.
    pub offset: u64,
}

/// What a server holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// Keys in all its databases.
    pub keys: u64,
    /// Its memory.
    pub memory: Memory,
}

/// Memory of a server, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use.
    pub used: u64,
    /// Of that, data.
    pub data: u64,
    /// What it may use; 0 is without bound.
    pub max: u64,
    /// It makes room by removing keys when it is full.
    pub evicts: bool,
}

/// What a server has done since it began to count, which is at its start or when its figures are reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Time of the processor for its main thread, on which all commands run.
    pub cpu: Duration,
    /// Keys that it removed to make room.
    pub evicted: u64,
}

/// What a server accepts, and with what it logs in at others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The current password.
    pub current: bool,
    /// The previous one, where there is one.
    pub previous: bool,
    /// It accepts others beside these, or any.
    pub others: bool,
    /// It logs in at its primary with the current one.
    pub replicates_by_current: bool,
}

/// A cluster as one node sees it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its own identity.
    pub id: NodeId,
    /// It serves every slot.
    pub ok: bool,
    /// The newest epoch that it has heard of.
    pub epoch: u64,
    /// Every node that it knows, itself included.
    pub peers: Vec<Peer>,
    /// Slots that it is handing to another.
    pub migrating: Vec<(u16, NodeId)>,
    /// Slots that it is taking from another.
    pub importing: Vec<(u16, NodeId)>,
    /// It can move slots as a whole by itself (Valkey from 9.0).
    pub moves_slots: bool,
    /// Moves of that kind that are under way.
    pub jobs: Vec<Job>,
}

/// A move of slots that a server carries out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// It hands them away; otherwise it takes them.
    pub export: bool,
    /// `success`, `failed`, `canceled`, or what it is doing.
    pub state: String,
    /// What it says of it.
    pub message: String,
}

impl Job {
    /// Whether it goes on.
    pub fn running(&self) -> bool {
        !matches!(self.state.as_str(), "success" | "failed" | "canceled" | "cancelled")
    }
}

/// A node as another sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its identity.
    pub id: NodeId,
    /// Where it is; none while that is not known.
    pub address: Option<SocketAddr>,
    /// It is the node that says this.
    pub myself: bool,
    /// Its primary, where it is a replica.
    pub replica_of: Option<NodeId>,
    /// It is taken to be down.
    pub failed: bool,
    /// It is not yet known whether it is a node at all; its identity is made up.
    pub handshake: bool,
    /// The epoch of its slots.
    pub epoch: u64,
    /// Its slots.
    pub slots: Slots,
}

impl Cluster {
    /// The node itself, as it sees itself.
    pub fn myself(&self) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.myself)
    }

    /// A node that it knows.
    pub fn peer(&self, id: &NodeId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == *id && !peer.handshake)
    }

    /// Whether it knows nobody but itself.
    pub fn alone(&self) -> bool {
        self.peers.iter().all(|peer| peer.myself || peer.handshake)
    }
}
