//! What is wished of a database, and the pods there are.

use crate::{config::Server, decide::Record};
use std::{fmt, net::IpAddr, time::Duration};
use tls::Trust;

/// What is wished.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Whose data it is, as far as that was ever seen.
    pub record: Option<Record>,
    /// Name of the read replicas' StatefulSet; its pods are called `<name>-<ordinal>`.
    pub replica_set: String,
    /// How many read replicas.
    pub replicas: u32,
    /// What an acknowledged commit survives.
    pub durability: Durability,
    /// The databases, each with its owner.
    pub databases: Vec<Database>,
    /// The logins of apps.
    pub logins: Vec<Login>,
    /// The servers' settings.
    pub server: Server,
    /// Whom to trust where servers speak TLS.
    pub trust: Option<Trust>,
    /// The most replay lag with which a replica gets readers.
    pub max_lag: Duration,
    /// What readers get while the primary does not answer.
    pub stale_reads: StaleReads,
    /// Whether the log is received for backups.
    pub archive: Archive,
    /// Whether servers that work may be restarted now. What is broken is replaced whatever this says.
    pub may_restart: bool,
}

impl Wish {
    /// Name of a read replica's pod, which is also its `application_name` on the primary.
    pub fn replica(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.replica_set)
    }

    /// The ordinal in a read replica's name.
    pub fn ordinal(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&self.replica_set)?.strip_prefix('-')?.parse().ok()
    }
}

/// What an acknowledged commit survives. The last two need replicas, and commits wait while too few of them answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the primary. Losing its volume loses what no replica had yet.
    Local,
    /// Losing the primary's volume too, unless the node of the replica that had it crashes at the same time.
    RemoteWrite,
    /// Losing the primary's volume, and those of `replicas - 1` replicas.
    Required {
        /// How many replicas have flushed a commit before it is acknowledged; at least 1.
        replicas: u32,
    },
}

impl Durability {
    /// How many replicas a commit waits for.
    pub fn waits_for(self) -> u32 {
        match self {
            Self::Local => 0,
            Self::RemoteWrite => 1,
            Self::Required { replicas } => replicas.max(1),
        }
    }
}

/// Whether the log is received for backups, over a slot of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Archive {
    /// It is not: the slot goes.
    #[default]
    Off,
    /// It is. A slot that is lost stays until its loss is recorded: backups made before cannot be followed beyond it.
    On,
    /// It is, and the loss is recorded: a lost slot goes, and the receiver makes a new one.
    Renewed,
}

/// What readers get while the primary does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReads {
    /// The replicas go on answering with what they have.
    Serve,
    /// No replica gets readers.
    Refuse,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The role that owns it and all that apps make in it. It cannot log in.
    pub owner: String,
    /// Extensions, made by the primary's pod.
    pub extensions: Vec<String>,
}

/// A login of apps: a role that becomes the owner when it connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The role whose name and password the apps' Secret holds.
    pub role: String,
    /// The owner role it is a member of.
    pub owner: String,
    /// Its password; none where the Secret is missing, and then nothing is done to it.
    pub password: Option<Password>,
    /// The other of two roles between which passwords are rotated (see [`crate::pair`]).
    pub other: Option<(String, Other)>,
}

/// What is wished of the role that the apps' Secret does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// It shall be able to log in with this password: the next one.
    Prepared(Password),
    /// It is left as it is: apps may still use it.
    Kept,
    /// It shall not be able to log in.
    Retired,
}

/// A password. It prints as nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Whether a role's name is not for apps and owners: the superuser, our own roles and the server's predefined ones.
pub fn is_reserved(role: &str) -> bool {
    role == "postgres" || role.starts_with("lp_") || role.starts_with("pg_") || role == "public" || role == "none"
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The primary.
    Primary,
    /// The read replica of this ordinal.
    Replica(u32),
}

/// A pod, as Kubernetes tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Which server it is.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// Its address, once it has one.
    pub address: Option<IpAddr>,
    /// Where its server listens.
    pub port: u16,
    /// It was made with certificates, so that its server speaks TLS.
    pub tls: bool,
    /// Its readiness probe passes.
    pub ready: bool,
    /// It was made from an older template than the wanted one.
    pub outdated: bool,
    /// It has been told to go.
    pub terminating: bool,
    /// Its container cannot run: it crashes again and again, or has no image or configuration. A pod that starts, recovers or
    /// clones is not stuck.
    pub stuck: bool,
    /// Why its start script refused to start the server the last time.
    pub gate: Option<Gate>,
}

/// A refusal of a start script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Which.
    pub reason: GateReason,
    /// The script's sentence.
    pub message: String,
}

/// Why a start script refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateReason {
    /// The volume is empty, or unreadable, under a known identity.
    DataMissing,
    /// The volume, or the primary, is that of another system.
    WrongCluster,
    /// The primary's volume holds a replica's data, or data of a timeline that was left.
    NotPrimary,
    /// The replica holds what the primary lacks.
    ReplicaAhead,
    /// The first setup failed.
    SetupFailed,
    /// The container's user is not in the image.
    NoSuchUser,
    /// The backup that it was to be made from cannot be restored.
    RestoreRefused,
}

impl Gate {
    /// Reads the termination message of a container; none of one that is not a refusal.
    pub fn parse(termination: &str) -> Option<Self> {
        let (reason, message) = termination.trim().split_once(": ")?;
        let reason = match reason {
            "DataMissing" => GateReason::DataMissing,
            "WrongCluster" => GateReason::WrongCluster,
            "NotPrimary" => GateReason::NotPrimary,
            "ReplicaAhead" => GateReason::ReplicaAhead,
            "SetupFailed" => GateReason::SetupFailed,
            "NoSuchUser" => GateReason::NoSuchUser,
            "RestoreRefused" => GateReason::RestoreRefused,
            _ => return None,
        };
        Some(Self { reason, message: message.to_owned() })
    }
}
