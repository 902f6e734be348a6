//! What is said: one sentence each, the worst first.

use super::{
    Look,
    durability::Durable,
    replicas::{Held, ReplicaState, ReplicaView},
    restarts::{Restarts, missing_extensions, setup_pending},
    slots,
};
use crate::{
    error::{Class, Error},
    model::{GateReason, Role},
    roles,
    seen::{PrimarySeen, Write},
};

/// Of a volume, from which share on its filling is told (design, alerts).
const FULL_PERCENT: u64 = 80;

/// A reason and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub reason: Reason,
    /// For a person.
    pub message: String,
}

/// Reasons, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The primary's volume is empty under a known identity. Nothing is created in its place.
    DataMissing,
    /// A volume or a server holds another system's data.
    WrongCluster,
    /// The primary's volume holds a replica's data, or such of a timeline that was left.
    NotPrimary,
    /// A pod's start script refuses for another reason.
    StartRefused,
    /// The server cannot be run at all.
    Unsupported,
    /// The primary starts, or does not answer.
    Starting,
    /// The primary does not acknowledge a write.
    WritesHang,
    /// The apps have taken all connections.
    ConnectionsExhausted,
    /// The volume is nearly full.
    DiskFilling,
    /// A replica needs log that is gone.
    ReplicaLost,
    /// A replica holds what the primary lacks.
    ReplicaAhead,
    /// Servers sort text in different ways.
    CollationMismatch,
    /// The server refuses the mounted configuration.
    ConfigurationRefused,
    /// An extension is not in the image, or cannot be made.
    ExtensionMissing,
    /// The durability that is wished does not hold yet.
    DurabilityPending,
    /// A role or a database is not as wished yet.
    RolesPending,
    /// Replicas are being cloned.
    Cloning,
    /// A replica does not follow.
    ReplicaNotFollowing,
    /// A replica is too far behind.
    ReplicaLag,
    /// The primary's pod could not run its setup.
    SetupFailed,
    /// The primary's pod has something to do at its next start.
    PendingMaintenance,
    /// Something takes effect with a restart.
    PendingRestart,
    /// Fewer replicas are wished, and a pod cannot go yet.
    ShrinkHeld,
    /// All is as wished.
    Ready,
    /// A note: there is one primary, and it is not replaced by itself.
    NotHighlyAvailable,
}

impl Verdict {
    /// Whether the database is not as wished because of it.
    pub fn blocks(&self) -> bool {
        !matches!(
            self.reason,
            Reason::Ready
                | Reason::NotHighlyAvailable
                | Reason::DiskFilling
                | Reason::PendingRestart
                | Reason::PendingMaintenance
                | Reason::ShrinkHeld
        )
    }
}

pub(super) fn verdicts(
    look: &Look<'_>,
    replicas: &[ReplicaView],
    durable: &Durable,
    restarts: &Restarts,
    held: Option<Held>,
) -> Vec<Verdict> {
    let mut said = Said(Vec::new());
    silent(look, &mut said);
    if let Some(primary) = look.primary {
        working(look, primary, durable, &mut said);
        objects(look, primary, &mut said);
    }
    for replica in replicas.iter().filter(|replica| replica.ordinal < look.wanted) {
        one(look, replica, &mut said);
    }
    let refused = look.seen.replica.iter().filter_map(|(ordinal, answer)| {
        let errors = &answer.as_ref().ok()?.settings.config.errors;
        (!errors.is_empty()).then(|| (look.wish.replica(*ordinal), errors.join(", ")))
    });
    for (name, errors) in refused {
        said.add(Reason::ConfigurationRefused, format!("{name} refuses its configuration: {errors}"));
    }
    for (role, why) in &restarts.pending {
        let name = name(look, *role);
        let when = restarts.waits.map_or(String::new(), |reason| format!("; it waits: {reason}"));
        said.add(Reason::PendingRestart, format!("{name} is to be restarted: {why}{when}"));
    }
    if let Some(held) = held {
        said.add(
            Reason::ShrinkHeld,
            format!("{} of {} replicas stay for now: {}", look.seen.replicas, look.wanted, held.sentence()),
        );
    }
    if !said.0.iter().any(Verdict::blocks) {
        said.add(Reason::Ready, format!("the primary accepts writes and {} replicas follow", look.wanted));
    }
    said.add(
        Reason::NotHighlyAvailable,
        "there is one primary: when its node is gone for good, its pod starts elsewhere only after the node is fenced or its pod is confirmed gone"
            .to_owned(),
    );
    said.0.sort_by_key(|verdict| verdict.reason);
    said.0
}

struct Said(Vec<Verdict>);

impl Said {
    fn add(&mut self, reason: Reason, message: String) {
        self.0.push(Verdict { reason, message });
    }
}

fn name(look: &Look<'_>, role: Role) -> String {
    match role {
        Role::Primary => "the primary".to_owned(),
        Role::Replica(ordinal) => look.wish.replica(ordinal),
    }
}

/// What a primary is that is not there, or not ours.
fn silent(look: &Look<'_>, said: &mut Said) {
    let recorded = look.wish.record.as_ref().map_or(("", 0), |record| (&record.system_identifier, record.timeline));
    match &look.seen.primary {
        Ok(primary) if primary.settings.in_recovery => {
            said.add(Reason::NotPrimary, "the server at the primary's address is a replica: nothing is done to it".to_owned());
        }
        Ok(primary) if look.primary.is_none() => said.add(
            Reason::WrongCluster,
            format!(
                "the server at the primary's address is system {} on timeline {}, the record says {} and {}: nothing is done to it",
                primary.settings.system_identifier, primary.settings.timeline, recorded.0, recorded.1
            ),
        ),
        Ok(_) => {}
        Err(error) => {
            let gate = look.seen.pod(Role::Primary).and_then(|pod| pod.gate.as_ref());
            match (gate, error) {
                (Some(gate), _) => said.add(reason(gate.reason), gate.message.clone()),
                (None, Error::Full { .. }) => said.add(Reason::ConnectionsExhausted, error.to_string()),
                (None, error) if error.class() == Class::Terminal => said.add(Reason::Unsupported, error.to_string()),
                (None, error) => said.add(Reason::Starting, format!("the primary does not answer: {error}")),
            }
        }
    }
}

fn reason(gate: GateReason) -> Reason {
    match gate {
        GateReason::DataMissing => Reason::DataMissing,
        GateReason::WrongCluster => Reason::WrongCluster,
        GateReason::NotPrimary => Reason::NotPrimary,
        GateReason::ReplicaAhead => Reason::ReplicaAhead,
        GateReason::SetupFailed | GateReason::NoSuchUser | GateReason::RestoreRefused => Reason::StartRefused,
    }
}

fn working(look: &Look<'_>, primary: &PrimarySeen, durable: &Durable, said: &mut Said) {
    match primary.write {
        Write::Done(_) => {}
        Write::Hangs(_) if durable.now.waits() => said.add(Reason::WritesHang, durable.now.sentence()),
        Write::Hangs(age) => said.add(
            Reason::WritesHang,
            format!("a small write has waited for {} s: look at the primary's volume", age.as_secs()),
        ),
        Write::Untried => said.add(Reason::Starting, "no write was tried yet".to_owned()),
    }
    if let Some((following, needed)) = durable.pending {
        said.add(
            Reason::DurabilityPending,
            format!(
                "{following} of the {needed} replicas that the durability needs follow; until then {}",
                durable.now.sentence()
            ),
        );
    }
    let volume = look.wish.server.volume;
    if let Some(bytes) = primary.bytes
        && bytes / (volume / 100).max(1) >= FULL_PERCENT
    {
        let keeper = primary.slots.iter().max_by_key(|slot| slot.kept).filter(|slot| slot.kept > volume / 10);
        let keeper =
            keeper.map_or(String::new(), |slot| format!("; slot {} keeps {} bytes of log", slot.name, slot.kept));
        said.add(Reason::DiskFilling, format!("{bytes} of {volume} bytes of the primary's volume are used{keeper}"));
    }
    for collation in &primary.settings.collations {
        said.add(
            Reason::CollationMismatch,
            format!(
                "database {} was sorted by collation version {}, the primary's image has '{}': go back to the image of the same suite, or rebuild its indexes and refresh the version",
                collation.database, collation.recorded, collation.actual
            ),
        );
    }
    let errors = &primary.settings.config.errors;
    if !errors.is_empty() {
        said.add(Reason::ConfigurationRefused, format!("the primary refuses its configuration: {}", errors.join(", ")));
    }
}

fn objects(look: &Look<'_>, primary: &PrimarySeen, said: &mut Said) {
    let tried = !look.rendered.setup.lacks_extensions(primary.settings.config.setup.as_deref());
    for (database, extension) in missing_extensions(look, primary) {
        if !primary.available.contains(extension) {
            said.add(
                Reason::ExtensionMissing,
                format!("the image has no extension {extension}, wished in database {database}"),
            );
        } else if tried {
            let text =
                format!("extension {extension} could not be made in database {database}: the primary's log says why");
            said.add(Reason::ExtensionMissing, text);
        }
    }
    if look.rendered.setup.failed(primary.settings.config.setup.as_deref()) {
        said.add(Reason::SetupFailed, "the primary's pod could not run its setup: its log says why".to_owned());
    } else if setup_pending(look, primary) {
        let text = "the primary's pod makes extensions, or takes our new passwords, at its next start".to_owned();
        said.add(Reason::PendingMaintenance, text);
    }
    for act in roles::databases(&look.wish.databases, primary) {
        said.add(Reason::RolesPending, act.sentence());
    }
    for login in &look.wish.logins {
        if login.password.is_some() && roles::works(&login.role, &login.owner, primary) == Some(false) {
            said.add(Reason::RolesPending, format!("the password of {} is not set yet", login.role));
        }
    }
}

fn one(look: &Look<'_>, replica: &ReplicaView, said: &mut Said) {
    let name = look.wish.replica(replica.ordinal);
    match replica.state {
        ReplicaState::Streaming => {}
        ReplicaState::Late => {
            let lag = replica.lag.unwrap_or_default().as_secs();
            said.add(Reason::ReplicaLag, format!("{name} is {lag} s behind: no reader is sent to it"));
        }
        ReplicaState::Cloning => said.add(Reason::Cloning, format!("{name} is being cloned")),
        ReplicaState::Lost => {
            let text = format!("{name} needs log that the primary no longer has: it is cloned anew");
            said.add(Reason::ReplicaLost, text);
        }
        ReplicaState::Ahead => {
            let text = format!(
                "{name} holds later changes than the primary, whose volume was set back: it is kept, and may not follow"
            );
            said.add(Reason::ReplicaAhead, text);
        }
        ReplicaState::Refused(gate) => {
            let gate_message = look.seen.pod(Role::Replica(replica.ordinal)).and_then(|pod| pod.gate.as_ref());
            let message = gate_message.map_or("", |gate| gate.message.as_str());
            // A replica's missing data are cloned, so what is refused is never a loss.
            let reason = if gate == GateReason::DataMissing { Reason::StartRefused } else { reason(gate) };
            said.add(reason, format!("{name}: {message}"));
        }
        ReplicaState::Mixed => said.add(
            Reason::CollationMismatch,
            format!(
                "{name} sorts text in another way than the primary: no reader is sent to it; give both the same image"
            ),
        ),
        ReplicaState::Stranger => {
            said.add(
                Reason::WrongCluster,
                format!("the server at the address of {name} is no replica of this database"),
            );
        }
        ReplicaState::Missing | ReplicaState::Leaving | ReplicaState::Starting | ReplicaState::Alone => {
            let slot = look.primary.and_then(|primary| slots::of(primary, replica.ordinal));
            let kept = slot.map_or(String::new(), |slot| format!("; {} bytes of log are kept for it", slot.kept));
            let what = match replica.state {
                ReplicaState::Missing => "has no pod",
                ReplicaState::Leaving => "is restarting",
                ReplicaState::Starting => "does not answer yet",
                _ => "answers and does not follow",
            };
            said.add(Reason::ReplicaNotFollowing, format!("{name} {what}{kept}"));
        }
    }
}
