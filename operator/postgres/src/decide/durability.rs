//! `synchronous_commit` and `synchronous_standby_names`. What holds is never weakened but by a wish that says so.

use super::Look;
use crate::{
    model::Durability,
    seen::{PrimarySeen, Write},
};
use std::collections::{BTreeMap, BTreeSet};

const COMMIT: &str = "synchronous_commit";
const NAMES: &str = "synchronous_standby_names";

/// What an acknowledged commit survives now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurabilityNow {
    /// The primary did not answer: what held still holds for what was acknowledged.
    Unknown,
    /// A crash of the primary.
    Local {
        /// The smallest lag of a replica in bytes: what a loss of the primary's volume would lose.
        lag: Option<u64>,
    },
    /// The loss of the primary's volume too, unless that replica's node crashes with it.
    RemoteWrite {
        /// How many replicas answer; with none commits wait.
        answering: u32,
    },
    /// The loss of the primary's volume and of those of `waits_for - 1` replicas.
    Required {
        /// How many replicas a commit waits for.
        waits_for: u32,
        /// How many answer; with fewer commits wait.
        answering: u32,
    },
}

impl DurabilityNow {
    /// One sentence.
    pub fn sentence(self) -> String {
        match self {
            Self::Unknown => "the primary does not answer; what it acknowledged is as safe as it was".to_owned(),
            Self::Local { lag: Some(lag) } => format!(
                "an acknowledged commit survives a crash of the primary; losing its volume loses what no replica has yet, {lag} bytes now"
            ),
            Self::Local { lag: None } => {
                "an acknowledged commit survives a crash of the primary; losing its volume loses everything, for no replica follows"
                    .to_owned()
            }
            Self::RemoteWrite { answering: 0 } => "commits wait: no replica answers".to_owned(),
            Self::RemoteWrite { .. } => {
                "an acknowledged commit survives the loss of the primary's volume, unless a replica's node crashes at the same time"
                    .to_owned()
            }
            Self::Required { waits_for, answering } if answering < waits_for => {
                format!("commits wait: {answering} of the {waits_for} replicas that must have them answer")
            }
            Self::Required { waits_for, .. } => format!(
                "an acknowledged commit survives the loss of the primary's volume, and is on the disks of {waits_for} replicas"
            ),
        }
    }

    /// Whether commits wait for replicas that do not answer.
    pub fn waits(self) -> bool {
        match self {
            Self::RemoteWrite { answering } => answering == 0,
            Self::Required { waits_for, answering } => answering < waits_for,
            Self::Unknown | Self::Local { .. } => false,
        }
    }
}

/// What the primary's settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    /// How many replicas a commit waits for.
    pub(crate) waits_for: u32,
    /// They have flushed it, not only received.
    pub(crate) flushed: bool,
    /// Which may be among them.
    pub(crate) names: BTreeSet<String>,
    /// Somebody else wrote it, and we cannot read it.
    pub(crate) foreign: bool,
}

/// Reads the primary's settings.
pub(crate) fn in_force(primary: &PrimarySeen) -> InForce {
    of_settings(&primary.synchronous_commit, &primary.synchronous_standby_names)
}

/// Reads the two settings.
pub(crate) fn of_settings(commit: &str, names: &str) -> InForce {
    let names = names.trim();
    if names.is_empty() || matches!(commit, "local" | "off") {
        return InForce::default();
    }
    let flushed = commit != "remote_write";
    match read(names) {
        Some((waits_for, names)) => InForce { waits_for, flushed, names, foreign: false },
        None => InForce { waits_for: 1, flushed, names: BTreeSet::new(), foreign: true },
    }
}

/// `ANY 2 ("a", "b")`, as we write it.
fn read(text: &str) -> Option<(u32, BTreeSet<String>)> {
    let (count, list) = text.strip_prefix("ANY ")?.split_once(" (")?;
    let names = list.strip_suffix(')')?.split(", ");
    let names = names.map(|name| Some(name.strip_prefix('"')?.strip_suffix('"')?.to_owned()));
    Some((count.parse().ok()?, names.collect::<Option<_>>()?))
}

fn written(waits_for: u32, names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("ANY {waits_for} ({})", names.join(", "))
}

/// What is decided about durability.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Durable {
    /// What to set.
    pub(super) parameters: BTreeMap<&'static str, String>,
    /// What holds now.
    pub(super) now: DurabilityNow,
    /// What is wished is not in force yet: so many replicas follow, and so many are needed.
    pub(super) pending: Option<(u32, u32)>,
}

pub(super) fn decide(look: &Look<'_>) -> Durable {
    let Some(primary) = look.primary else {
        return Durable { parameters: BTreeMap::new(), now: DurabilityNow::Unknown, pending: None };
    };
    let force = in_force(primary);
    let follows =
        |name: &String| primary.senders.iter().any(|sender| sender.name == *name && sender.state == "streaming");
    let stays = |name: &String| look.wish.ordinal(name).is_some_and(|ordinal| ordinal < look.wanted);
    let staying: BTreeSet<String> = (0..look.wanted).map(|ordinal| look.wish.replica(ordinal)).collect();
    let following: BTreeSet<String> = staying.into_iter().filter(follows).collect();

    let wished = look.wish.durability.waits_for();
    let flushed = matches!(look.wish.durability, Durability::Required { .. });
    let enough = following.len() >= wished as usize;
    let target = if wished == 0 {
        Some(InForce::default())
    } else if enough {
        // Those that are away for a while stay in the list: any of it will do.
        let away = force.names.iter().filter(|name| stays(name)).cloned();
        let names = following.iter().cloned().chain(away).collect();
        Some(InForce { waits_for: wished, flushed, names, foreign: false })
    } else if force.waits_for > 0 && !force.foreign {
        // Commits wait rather than be lost. Only what the wish itself lowers is lowered.
        let names = following.iter().chain(&force.names).cloned().collect();
        Some(InForce {
            waits_for: wished.min(force.waits_for),
            flushed: flushed && force.flushed,
            names,
            foreign: false,
        })
    } else {
        None
    };
    let mut parameters = BTreeMap::new();
    if let Some(target) = target {
        let commit = match target.waits_for {
            0 => "local",
            _ if target.flushed => "on",
            _ => "remote_write",
        };
        let names = if target.waits_for == 0 { String::new() } else { written(target.waits_for, &target.names) };
        if primary.synchronous_commit != commit {
            parameters.insert(COMMIT, commit.to_owned());
        }
        if primary.synchronous_standby_names != names {
            parameters.insert(NAMES, names);
        }
    }
    let holds = force.waits_for >= wished && (force.flushed || !flushed) && !force.foreign;
    let pending = (wished > 0 && !holds).then(|| (u32::try_from(following.len()).unwrap_or(u32::MAX), wished));
    Durable { parameters, now: now(look, primary, &force), pending }
}

fn now(look: &Look<'_>, primary: &PrimarySeen, force: &InForce) -> DurabilityNow {
    let streaming = primary.senders.iter().filter(|sender| sender.state == "streaming");
    let answering = streaming.clone().filter(|sender| force.names.contains(&sender.name)).count();
    let answering = u32::try_from(answering).unwrap_or(u32::MAX);
    if force.waits_for == 0 {
        let ours = streaming.filter(|sender| look.wish.ordinal(&sender.name).is_some());
        return DurabilityNow::Local { lag: ours.filter_map(|sender| sender.lag).min() };
    }
    // A write that was acknowledged shows that those who must have it do, whoever wrote the list.
    let answering = if force.foreign && matches!(primary.write, Write::Done(_)) { force.waits_for } else { answering };
    if force.flushed {
        DurabilityNow::Required { waits_for: force.waits_for, answering }
    } else {
        DurabilityNow::RemoteWrite { answering }
    }
}
