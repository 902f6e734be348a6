//! What was seen of the servers.

use crate::{
    Lsn,
    config::Limits,
    error::Error,
    model::{Pod, Role},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The world of one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The pods that Kubernetes has.
    pub pods: Vec<Pod>,
    /// `replicas` of the read replicas' StatefulSet now; 0 where there is none.
    pub replicas: u32,
    /// The replicas that a Service sends readers to now.
    pub routed: BTreeSet<u32>,
    /// The primary's answer.
    pub primary: Result<PrimarySeen, Silence>,
    /// The replicas' answers, those that have a pod.
    pub replica: BTreeMap<u32, Result<ReplicaSeen, Silence>>,
}

impl Seen {
    /// The pod of a server.
    pub fn pod(&self, role: Role) -> Option<&Pod> {
        self.pods.iter().find(|pod| pod.role == role)
    }

    /// What a replica answered.
    pub fn answer(&self, ordinal: u32) -> Option<&ReplicaSeen> {
        self.replica.get(&ordinal).and_then(|answer| answer.as_ref().ok())
    }
}

/// Why there is no answer.
pub type Silence = Error;

/// What both kinds of servers say of themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `system_identifier` of the control file.
    pub system_identifier: String,
    /// Timeline of the last checkpoint.
    pub timeline: u32,
    /// `server_version_num`, as 150018.
    pub version: u32,
    /// Whether it only replays.
    pub in_recovery: bool,
    /// The limits it runs with.
    pub limits: Limits,
    /// Settings, without the limits, that take effect with a restart.
    pub pending_restart: BTreeSet<String>,
    /// Its configuration file.
    pub config: ConfigSeen,
    /// Databases whose collations were made with another version of the C library or ICU than this server has.
    pub collations: Vec<Collation>,
    /// Until when the certificate that it shows is valid, in seconds since 1970; none where it does not speak TLS.
    pub certificate_ends: Option<i64>,
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSeen {
    /// The mark of the file that was loaded last (see [`crate::config::Rendered::mark`]).
    pub loaded: Option<String>,
    /// The mark that is in the file now.
    pub file: Option<String>,
    /// The mark of the setup that was run last.
    pub setup: Option<String>,
    /// The limits that the next start takes from the files.
    pub limits: Limits,
    /// What the server will not take, with names but without values: with such a file it does not start.
    pub errors: Vec<String>,
}

/// A database whose indexes may be wrong on the server that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collation {
    /// Its name.
    pub database: String,
    /// The version it was made with.
    pub recorded: String,
    /// The version that the server has; empty where it has none.
    pub actual: String,
}

/// A primary's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrimarySeen {
    /// What it says of itself.
    pub settings: Settings,
    /// `synchronous_commit` of new sessions.
    pub synchronous_commit: String,
    /// `synchronous_standby_names` of new sessions.
    pub synchronous_standby_names: String,
    /// The write of this round.
    pub write: Write,
    /// Where the log ends on the disk, read after the replicas were asked where one of them seemed to have more.
    pub current: Lsn,
    /// Where the oldest segment on the disk begins.
    pub oldest: Option<Lsn>,
    /// Who receives the log.
    pub senders: Vec<WalSender>,
    /// Replication slots that outlive a session.
    pub slots: Vec<Slot>,
    /// Client connections, and the most that clients without a reserved one may have.
    pub connections: (u32, u32),
    /// Databases that are closed to roles of others.
    pub databases: BTreeSet<String>,
    /// The roles that were asked for and exist.
    pub roles: BTreeMap<String, RoleSeen>,
    /// Extensions of the databases that were asked for.
    pub extensions: BTreeMap<String, BTreeSet<String>>,
    /// Extensions that the image has.
    pub available: BTreeSet<String>,
    /// What was found by logging in as apps do.
    pub logins: BTreeMap<String, LoginProbe>,
    /// Bytes of databases and log, where they were asked for.
    pub bytes: Option<u64>,
}

/// A small write that waits for what `synchronous_commit` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Write {
    /// It was not tried.
    #[default]
    Untried,
    /// It was acknowledged; where the log ended with it.
    Done(Lsn),
    /// It waits, for so long by now.
    Hangs(Duration),
}

/// One that receives the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalSender {
    /// `application_name`: of a replica its pod's name.
    pub name: String,
    /// `startup`, `catchup`, `streaming`, `backup` or `stopping`.
    pub state: String,
    /// Where it has flushed to.
    pub flushed: Option<Lsn>,
    /// Bytes that it has not replayed yet.
    pub lag: Option<u64>,
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whether somebody uses it now.
    pub active: bool,
    /// What the primary keeps for it.
    pub status: WalStatus,
    /// Bytes of log kept for it.
    pub kept: u64,
}

/// What a primary keeps for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalStatus {
    /// Nothing yet: the slot was never used.
    Unused,
    /// All that its user needs.
    Kept,
    /// Not all any more: its user cannot go on.
    Lost,
}

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSeen {
    /// It may log in.
    pub login: bool,
    /// The roles it is a direct member of.
    pub member_of: BTreeSet<String>,
    /// The role it becomes when it connects.
    pub becomes: Option<String>,
    /// Its sessions now.
    pub sessions: u32,
}

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginProbe {
    /// It works.
    Works,
    /// The server refuses role or password.
    Refused,
    /// Nothing was learnt.
    Unknown,
}

/// How much a primary that somebody else keeps has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadSeen {
    /// It is no replica.
    pub accepts_writes: bool,
    /// Its major version.
    pub major: u32,
    /// Client connections, and the most that clients may have.
    pub connections: (u32, u32),
    /// Further receivers of the log that it takes.
    pub senders_left: u32,
    /// Until when its certificate is valid, in seconds since 1970.
    pub certificate_ends: Option<i64>,
}

/// A replica of such a primary.
#[derive(Clone, Debug, PartialEq)]
pub enum Follower {
    /// It is being made.
    Making,
    /// It does not answer.
    Silent,
    /// It answers.
    Answers(FollowerSeen),
}

/// How a replica follows, and how busy it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FollowerSeen {
    /// Its WAL receiver is streaming.
    pub streaming: bool,
    /// As [`ReplicaSeen::lag`].
    pub lag: Option<Duration>,
    /// As [`ReplicaSeen::busy`].
    pub busy: Option<Duration>,
}

/// A replica's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaSeen {
    /// What it says of itself.
    pub settings: Settings,
    /// Its WAL receiver is streaming.
    pub streaming: bool,
    /// Where it has received or replayed to, whichever is more.
    pub received: Option<Lsn>,
    /// Where it has replayed to.
    pub replayed: Option<Lsn>,
    /// Age of the newest commit it has replayed, nothing where it has replayed all that it received. None where it cannot be
    /// said.
    pub lag: Option<Duration>,
    /// Time that its sessions have spent on statements of clients, since it began to count. None where it was not asked.
    pub busy: Option<Duration>,
    /// It has replayed all that it has, and waits for more.
    pub drained: bool,
    /// The newest timeline that it has log of.
    pub timeline: u32,
}
