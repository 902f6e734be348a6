//! What is done to Redis and Valkey servers: pure decisions, and the edge that speaks to them. No Kubernetes in here.
//!
//! A round is [`Edge::observe`], [`decide`], [`Edge::carry_out`] for each act, and again. Nothing is remembered between rounds but the
//! failures of the last one: progress lives in the servers, so that a round can be cut anywhere and the next one goes on. What only
//! Kubernetes can do (a pod's restart, the Service's choice, the record) stands in the [`Decision`] for those who speak to it.
//!
//! Servers that somebody else keeps are only looked at: [`Guest`].

mod act;
mod client;
mod config;
mod decide;
mod error;
mod managed;
mod migrate;
mod model;
mod observe;
mod parse;
mod seen;
mod slots;
mod view;

pub use client::Edge;
pub use config::{ParameterError, READY, START, STOP, Settings, config, refused};
pub use decide::{Act, Decision, Move, Way, decide};
pub use error::{Class, Error, Result};
pub use managed::{Guest, Managed, ManagedNode, ManagedShard, Said};
pub use model::{Gate, Mode, Password, Passwords, Pod, Wish};
pub use seen::{
    Answer, Attached, Cluster, Failure, Job, Login, Memory, Node, NodeId, Peer, Role, Seen, Sighting, Store, Work,
};
pub use slots::{SLOTS, Slots};
pub use tls::{Connector, Trust};
pub use view::{Figures, Rotation, Shard, ShardFigures, Verdict, View};
