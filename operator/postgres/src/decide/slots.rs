//! Slots: one per wanted replica, none that nobody wants.

use super::{Act, Look, replicas::ReplicaView};
use crate::{
    Lsn,
    model::Archive,
    seen::{PrimarySeen, Slot, WalStatus},
};

/// Our slots begin with this. Others' are left alone, whatever they keep.
const PREFIX: &str = "lp_ro_";

/// The slot of the receiver for backups, as `archive.sh` names it.
const ARCHIVE: &str = "lp_backup";

/// The slot of a replica, as its start script names it.
pub(crate) fn name(ordinal: u32) -> String {
    format!("{PREFIX}{ordinal}")
}

/// The replica whose slot this is; none of one that is not ours.
pub(crate) fn owner(slot: &str) -> Option<u32> {
    let ordinal = slot.strip_prefix(PREFIX)?.parse().ok()?;
    (name(ordinal) == slot).then_some(ordinal)
}

pub(crate) fn of(primary: &PrimarySeen, ordinal: u32) -> Option<&Slot> {
    primary.slots.iter().find(|slot| slot.name == name(ordinal))
}

/// Whether a replica can never go on with its data: the log that it needs is gone.
pub(crate) fn is_lost(look: &Look<'_>, primary: &PrimarySeen, ordinal: u32) -> bool {
    let slot_lost = of(primary, ordinal).is_some_and(|slot| slot.status == WalStatus::Lost);
    let behind =
        |received: Option<Lsn>| received.zip(primary.oldest).is_some_and(|(received, oldest)| received < oldest);
    let left_behind = look.seen.answer(ordinal).is_some_and(|replica| !replica.streaming && behind(replica.received));
    slot_lost || (left_behind && !is_connected(look, primary, ordinal))
}

/// Whether the primary sends to a replica now, a clone included.
pub(crate) fn is_connected(look: &Look<'_>, primary: &PrimarySeen, ordinal: u32) -> bool {
    let name = look.wish.replica(ordinal);
    primary.senders.iter().any(|sender| sender.name == name)
}

/// How the log is received for backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveState {
    /// As it is written.
    Streaming,
    /// Not now; the primary keeps it meanwhile, up to its bound.
    Waiting,
    /// The primary has removed log that was not received.
    Lost,
}

/// How the log is received; none where it is not to be.
pub(super) fn archive(look: &Look<'_>, primary: &PrimarySeen) -> Option<ArchiveState> {
    let slot = primary.slots.iter().find(|slot| slot.name == ARCHIVE);
    (look.wish.archive != Archive::Off).then_some(match slot {
        Some(slot) if slot.status == WalStatus::Lost => ArchiveState::Lost,
        Some(slot) if slot.active => ArchiveState::Streaming,
        Some(_) | None => ArchiveState::Waiting,
    })
}

/// Whether the receiver's slot is to go. The receiver makes it.
fn archive_goes(look: &Look<'_>, slot: &Slot) -> bool {
    let unwanted = match look.wish.archive {
        Archive::Off => true,
        Archive::On => false,
        Archive::Renewed => slot.status == WalStatus::Lost,
    };
    slot.name == ARCHIVE && !slot.active && unwanted
}

/// Slots of replicas that are wanted are made, and replaced where their replica is lost; those of replicas that have gone,
/// or are going, are dropped.
pub(super) fn decide(look: &Look<'_>, primary: &PrimarySeen, replicas: &[ReplicaView]) -> Vec<Act> {
    let mut acts = Vec::new();
    let staying = look.wanted.max(look.seen.replicas);
    for slot in &primary.slots {
        if archive_goes(look, slot) {
            acts.push(Act::DropSlot { slot: slot.name.clone() });
        }
        let Some(ordinal) = owner(&slot.name) else { continue };
        let unwanted = ordinal >= staying;
        // A slot that was never used keeps nothing, and is the new one already.
        let replaced = ordinal < look.wanted && slot.status != WalStatus::Unused && is_lost(look, primary, ordinal);
        if !slot.active && (unwanted || replaced) {
            acts.push(Act::DropSlot { slot: slot.name.clone() });
            if replaced {
                acts.push(Act::CreateSlot { slot: slot.name.clone() });
            }
        }
    }
    for replica in replicas.iter().filter(|replica| replica.ordinal < look.wanted) {
        if of(primary, replica.ordinal).is_none() {
            acts.push(Act::CreateSlot { slot: name(replica.ordinal) });
        }
    }
    acts
}
