//! From what is wished and what was seen to what is done. Pure: no clock, no memory, no I/O.

mod durability;
mod election;
mod managed;
mod replicas;
mod restarts;
mod slots;
mod verdict;

use crate::{
    config::{Rendered, render},
    model::{Login, Password, Role, Wish},
    roles::{self, Step},
    seen::{PrimarySeen, Seen, Settings, Write},
};
pub use durability::DurabilityNow;
pub use election::{Candidate, Elected, Promise, Safe, Standing, Unelected, candidates, elect};
pub use managed::{Managed, decide_managed, view_managed};
pub use replicas::{ReplicaState, ReplicaView};
pub use restarts::Restart;
pub use slots::ArchiveState;
use std::collections::{BTreeMap, BTreeSet};
pub use verdict::{Reason, Verdict};

/// What follows from a look at the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do on the servers, in this order, with [`crate::carry_out`]. Where one fails the others may go on.
    pub acts: Vec<Act>,
    /// The pod to delete after the acts; never more than one.
    pub restart: Option<Restart>,
    /// What others may know and do.
    pub view: View,
}

/// Something to do on a server. All can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Makes a replica's slot, without keeping any log for it yet.
    CreateSlot {
        /// Its name.
        slot: String,
    },
    /// Drops a slot that nobody uses.
    DropSlot {
        /// Its name.
        slot: String,
    },
    /// `ALTER SYSTEM` on the primary, and a reload.
    SetParameters(BTreeMap<&'static str, String>),
    /// Takes the mounted files.
    Reload(Role),
    /// Makes a role that owns a database and cannot log in.
    CreateOwner {
        /// Its name.
        role: String,
    },
    /// Makes a database that is closed to other roles.
    CreateDatabase {
        /// Its name.
        name: String,
        /// Its owner.
        owner: String,
    },
    /// Makes a login where it is missing, and sets its password. Its sessions live on.
    EnableLogin {
        /// The role.
        role: String,
        /// What it becomes when it connects.
        owner: String,
        /// Its password; the server is sent a verifier of it.
        password: Password,
    },
    /// Lets a role no longer log in. Its sessions live on.
    DisableLogin {
        /// The role.
        role: String,
    },
    /// Makes an extension, on a server whose administrator the operator is. In pods their scripts do so, as superuser.
    CreateExtension {
        /// In which database.
        database: String,
        /// Its name.
        name: String,
    },
}

impl Act {
    /// What is done, in words. No password is in them.
    pub fn sentence(&self) -> String {
        match self {
            Self::CreateSlot { slot } => format!("make slot {slot}"),
            Self::DropSlot { slot } => format!("drop slot {slot}"),
            Self::SetParameters(settings) => {
                let settings: Vec<String> =
                    settings.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
                format!("set {}", settings.join(", "))
            }
            Self::Reload(Role::Primary) => "reload the primary's configuration".to_owned(),
            Self::Reload(Role::Replica(ordinal)) => format!("reload the configuration of replica {ordinal}"),
            Self::CreateOwner { role } => format!("make role {role}"),
            Self::CreateDatabase { name, .. } => format!("make database {name}"),
            Self::EnableLogin { role, .. } => format!("set the password of {role}"),
            Self::DisableLogin { role } => format!("let {role} no longer log in"),
            Self::CreateExtension { database, name } => format!("make extension {name} in {database}"),
        }
    }
}

/// Whose data it is: kept with the data, and given to each pod as `LP_RECORD_SYSTEM_IDENTIFIER` and `LP_RECORD_TIMELINE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `system_identifier`.
    pub system_identifier: String,
    /// The primary's timeline.
    pub timeline: u32,
}

/// What others may know and do.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What to record; none where the primary did not answer, and then what is recorded stays.
    pub record: Option<Record>,
    /// The primary answers, and is the one that is recorded.
    pub primary_up: bool,
    /// A write was acknowledged.
    pub accepts_writes: bool,
    /// Major version of the primary.
    pub major: Option<u32>,
    /// Client connections, and the most there may be.
    pub connections: Option<(u32, u32)>,
    /// Further receivers of the log that the primary takes.
    pub senders_left: Option<u32>,
    /// Somebody takes a base backup.
    pub copying: bool,
    /// Bytes of databases and log, where they were asked for.
    pub bytes: Option<u64>,
    /// The replicas that are wished or there.
    pub replicas: Vec<ReplicaView>,
    /// How the log is received for backups; none where it is not to be, or the primary does not answer.
    pub archive: Option<ArchiveState>,
    /// `replicas` that the read replicas' StatefulSet may have now.
    pub replicas_allowed: u32,
    /// What an acknowledged commit survives now.
    pub durability: DurabilityNow,
    /// The logins, as they are wished.
    pub logins: Vec<LoginView>,
    /// Until when the first certificate to end is valid of those that servers show, in seconds since 1970.
    pub certificate_ends: Option<i64>,
    /// What is to be said, the worst first; `Ready` alone where all is well, with notes after it.
    pub verdicts: Vec<Verdict>,
}

impl View {
    /// The replicas that may be sent readers; numbered Services of others send them to the primary.
    pub fn routable(&self) -> BTreeSet<u32> {
        self.replicas.iter().filter(|replica| replica.routable).map(|replica| replica.ordinal).collect()
    }

    /// Whether all that was wished is there.
    pub fn ready(&self) -> bool {
        !self.verdicts.iter().any(Verdict::blocks)
    }
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginView {
    /// The role that the apps' Secret names.
    pub role: String,
    /// Whether it can log in with the password that is wished; none where that was not learnt.
    pub works: Option<bool>,
    /// How far its rotation is.
    pub step: Step,
}

/// What the parts of the decision look at.
pub(crate) struct Look<'a> {
    pub(crate) wish: &'a Wish,
    pub(crate) seen: &'a Seen,
    pub(crate) rendered: Rendered,
    /// The primary's answer, where it is the primary of this database.
    pub(crate) primary: Option<&'a PrimarySeen>,
    /// How many replicas are to stay: what is wished, and while more are there no fewer than commits wait for.
    pub(crate) wanted: u32,
}

impl<'a> Look<'a> {
    fn new(wish: &'a Wish, seen: &'a Seen) -> Self {
        let primary = seen.primary.as_ref().ok().filter(|primary| is_ours(wish, primary));
        let wanted = wish.replicas.max(seen.replicas.min(wish.durability.waits_for()));
        Self { wish, seen, rendered: render(&wish.server, &wish.databases), primary, wanted }
    }
}

/// Whether the server that answered is the primary that is recorded. Another one is told of, and left alone.
fn is_ours(wish: &Wish, primary: &PrimarySeen) -> bool {
    let Settings { system_identifier, timeline, in_recovery, .. } = &primary.settings;
    let known = |record: &Record| record.system_identifier == *system_identifier && record.timeline <= *timeline;
    !in_recovery && wish.record.as_ref().is_none_or(known)
}

/// What follows from `wish` and `seen`.
pub fn decide(wish: &Wish, seen: &Seen) -> Decision {
    let look = Look::new(wish, seen);
    let replicas = replicas::view(&look);
    let durability = durability::decide(&look);
    let (replicas_allowed, held) = replicas::allowed(&look, &replicas);
    let mut acts = Vec::new();
    if let Some(primary) = look.primary {
        acts.extend(slots::decide(&look, primary, &replicas));
        acts.extend(reloads(&look, primary));
        let mut parameters = durability.parameters.clone();
        parameters.extend(restarts::primary_limits(&look, primary));
        if !parameters.is_empty() {
            acts.push(Act::SetParameters(parameters));
        }
        acts.extend(roles::databases(&wish.databases, primary));
        acts.extend(wish.logins.iter().flat_map(|login| roles::login(login, primary)));
    }
    let restarts = restarts::decide(&look, &replicas);
    let verdicts = verdict::verdicts(&look, &replicas, &durability, &restarts, held);
    let view = View {
        record: look.primary.map(|primary| Record {
            system_identifier: primary.settings.system_identifier.clone(),
            timeline: primary.settings.timeline,
        }),
        primary_up: look.primary.is_some(),
        accepts_writes: look.primary.is_some_and(|primary| matches!(primary.write, Write::Done(_))),
        major: look.primary.map(|primary| primary.settings.version / 10_000),
        connections: look.primary.map(|primary| primary.connections),
        senders_left: look.primary.map(senders_left),
        copying: look.primary.is_some_and(|primary| primary.senders.iter().any(|sender| sender.state == "backup")),
        bytes: look.primary.and_then(|primary| primary.bytes),
        replicas,
        archive: look.primary.and_then(|primary| slots::archive(&look, primary)),
        replicas_allowed,
        durability: durability.now,
        logins: look.primary.map(|primary| logins(&wish.logins, primary)).unwrap_or_default(),
        certificate_ends: settings(seen).filter_map(|settings| settings.certificate_ends).min(),
        verdicts,
    };
    Decision { acts, restart: restarts.restart, view }
}

fn senders_left(primary: &PrimarySeen) -> u32 {
    let taken = u32::try_from(primary.senders.len()).unwrap_or(u32::MAX);
    primary.settings.limits.senders().saturating_sub(taken)
}

/// What the servers say that answered.
fn settings(seen: &Seen) -> impl Iterator<Item = &Settings> {
    let replicas = seen.replica.values().filter_map(|answer| answer.as_ref().ok()).map(|replica| &replica.settings);
    seen.primary.iter().map(|primary| &primary.settings).chain(replicas)
}

fn logins(logins: &[Login], primary: &PrimarySeen) -> Vec<LoginView> {
    let view = |login: &Login| LoginView {
        role: login.role.clone(),
        works: roles::works(&login.role, &login.owner, primary),
        step: roles::step(login, primary),
    };
    logins.iter().map(view).collect()
}

/// Reloads where the mounted files are the wished ones and the server has not taken them.
fn reloads(look: &Look<'_>, primary: &PrimarySeen) -> Vec<Act> {
    let replicas = look.seen.pods.iter().filter_map(|pod| match pod.role {
        Role::Replica(ordinal) => Some((pod.role, &look.seen.answer(ordinal)?.settings.config)),
        Role::Primary => None,
    });
    let mark = Some(&look.rendered.mark);
    [(Role::Primary, &primary.settings.config)]
        .into_iter()
        .chain(replicas)
        .filter(|(_, config)| {
            config.file.as_ref() == mark && config.loaded.as_ref() != mark && config.errors.is_empty()
        })
        .map(|(role, _)| Act::Reload(role))
        .collect()
}
