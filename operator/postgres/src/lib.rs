//! What is done to PostgreSQL servers: pure decisions, and the edge that speaks to them. No Kubernetes in here.
//!
//! One primary, for good, and streaming read replicas. Each round a keeper observes ([`observe`]), decides ([`decide`]) and
//! carries out the acts ([`carry_out`]), except restarts, which are deletions of pods. Progress lives in the servers alone:
//! a round can be cut off anywhere, and the next one goes on.
//!
//! A replica is cloned anew by its slot: a slot that was never used tells the replica's start script that its data cannot be
//! continued. To clone a lost replica anew is therefore to replace its slot and restart its pod; no volume is deleted.

pub mod config;
mod decide;
mod edge;
mod error;
mod lsn;
mod model;
pub mod pooler;
mod roles;
mod scripts;
mod seen;

pub use decide::{
    Act, ArchiveState, Candidate, Decision, DurabilityNow, Elected, LoginView, Managed, Promise, Reason, Record,
    ReplicaState, ReplicaView, Restart, Safe, Standing, Unelected, Verdict, View, candidates, decide, decide_managed,
    elect, view_managed,
};
pub use edge::{Access, Administrator, Ask, carry_out, observe};
pub use error::{Class, Error};
pub use lsn::Lsn;
pub use model::{
    Archive, Database, Durability, Gate, GateReason, Login, Other, Password, Pod, Role, StaleReads, Wish, is_reserved,
};
pub use roles::{Step, pair, verifier};
pub use scripts::SCRIPTS;
pub use seen::{
    Collation, ConfigSeen, Follower, FollowerSeen, LoadSeen, LoginProbe, PrimarySeen, ReplicaSeen, RoleSeen, Seen,
    Settings, Silence, Slot, WalSender, WalStatus, Write,
};
pub use tls::Trust;

/// The operator's own login. Only the primary's pod sets its password, through its own socket.
pub const OPERATOR: &str = "lp_operator";
/// The login of the replicas. Only the primary's pod sets its password: PostgreSQL 15 lets none but a superuser alter a
/// role that replicates.
pub const REPLICATION: &str = "lp_replication";
/// The login that backups are taken by. Only the primary's pod sets its password, as that of the replicas.
pub const BACKUP: &str = "lp_backup";
/// The oldest major version that can be run: 15 is the first in which `ALTER SYSTEM` can be granted.
pub const OLDEST_MAJOR: u32 = 15;
