//! A database that is to go: the replicas first, because AWS promotes those whose source goes; then the protection, then the
//! primary with a final snapshot. What is missing is not taken for gone before it was missing for a while.

use super::{
    super::{Call, DeletionPolicy, Field, Instance, Resource, State},
    Found, GRACE, Round, groups,
    replicas::{self, unprotect},
};
use crate::{Allow, Kind, Mode, Planned, Standing};

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    let wish = round.wish;
    if wish.mode == Mode::Observe || wish.deletion_policy == DeletionPolicy::Retain {
        round.tell(Kind::Deletion, "everything at AWS is left as it is");
        round.finished = true;
        return;
    }
    if !matches!(found.standing, Standing::Ours | Standing::Absent) {
        round.tell(Kind::Deletion, format!("{} is not ours, and left as it is", found.id));
        round.finished = true;
        return;
    }
    replicas::remove(round, found);
    let listed = found.ours().and_then(|primary| primary.replicas.iter().next());
    let first = found.our_replicas().next().map(|(_, one)| &one.id).or(listed);
    let hold = first.map(|id| format!("{id} goes first: AWS would promote it"));
    if let Some(primary) = found.ours() {
        round.memory.seen = true;
        self::primary(round, primary, hold);
    }
    if found.ours().is_some() || first.is_some() || !is_gone(round, found) {
        let hold = "the instances go first".to_owned();
        groups::clean(round, &found.id, Some(&hold));
        let ours = || found.ours().into_iter().chain(found.our_replicas().map(|(_, one)| one));
        if ours().all(|one| matches!(one.state(), State::Changing | State::Deleting | State::Unknown)) {
            round.wait("the instances are not gone yet");
        }
        return;
    }
    let is_kept = final_snapshot(round);
    groups::clean(round, &found.id, None);
    round.finished = is_kept && round.plan.calls.is_empty();
}

/// Nothing of ours was seen for a while, and nothing was made a moment ago.
fn is_gone(round: &mut Round<'_>, found: &Found<'_>) -> bool {
    let is_there = found.ours().is_some() || found.our_replicas().next().is_some() || !round.memory.created.is_empty();
    round.memory.absent_since = if is_there { None } else { round.memory.absent_since.or(Some(round.now)) };
    round.memory.absent_since.is_some_and(|since| round.now.duration_since(since) >= GRACE)
}

fn primary(round: &mut Round<'_>, primary: &Instance, hold: Option<String>) {
    round.memory.absent_since = None;
    let state = primary.state();
    if state == State::Deleting {
        return;
    }
    let changes = matches!(state, State::Changing | State::Unknown);
    let hold = hold.or_else(|| changes.then(|| format!("{} is {}", primary.id, primary.status)));
    let is_protected = primary.settings.flag(Field::DeletionProtection) != Some(false);
    if is_protected {
        round.add(unprotect(primary).hold(hold.clone()));
    }
    let hold = hold.or_else(|| is_protected.then(|| "its protection is lifted first".to_owned()));
    let id = primary.id.clone();
    round.add(match (round.wish.deletion_policy, state) {
        (DeletionPolicy::Delete, _) => {
            let call = Call::DeleteInstance { id, snapshot: None, delete_backups: true };
            Planned::new(call).costs("ALL DATA, as deletionPolicy Delete says").hold(hold)
        }
        (_, State::Unsnapshotable) => {
            let why = format!("AWS takes no snapshot of an instance that is {}: its data are lost", primary.status);
            let call = Call::DeleteInstance { id, snapshot: None, delete_backups: false };
            Planned::new(call).consent(Allow::DeleteWithoutSnapshot, why).hold(hold)
        }
        _ => {
            let snapshot = Some(name(round, &id));
            Planned::new(Call::DeleteInstance { id, snapshot, delete_backups: false })
                .costs("a snapshot's storage")
                .hold(hold)
        }
    });
}

/// The name that was written down, or the next that is free.
fn name(round: &Round<'_>, id: &str) -> String {
    let is_free = |name: &String| round.seen.snapshots.iter().all(|snapshot| snapshot.id != *name);
    let noted = round.memory.final_snapshots.last().filter(|name| is_free(name)).cloned();
    noted.unwrap_or_else(|| {
        let taken = &round.memory.final_snapshots;
        let mut names = (1..).map(|counter: u32| format!("{id}-final-{counter}"));
        names.find(|name| is_free(name) && !taken.contains(name)).unwrap_or_default()
    })
}

/// Whether the final snapshot is there, and says whose it is.
fn final_snapshot(round: &mut Round<'_>) -> bool {
    let (wish, seen) = (round.wish, round.seen);
    let names = round.memory.final_snapshots.clone();
    if names.is_empty() || wish.deletion_policy == DeletionPolicy::Delete {
        return true;
    }
    // The newest name that was written down: an earlier one is of an instance that had been deleted before.
    let of = |name: &String| seen.snapshots.iter().find(|snapshot| snapshot.id == *name);
    let Some(snapshot) = names.iter().rev().find_map(of) else {
        let words = format!(
            "the instance is gone, and of its final snapshot {} nothing is seen: look for it, and set deletionPolicy to Retain to let \
             this go",
            names.join(" or ")
        );
        round.tell(Kind::Missing, words);
        return false;
    };
    if wish.owner.standing(&snapshot.tags) != Standing::Ours {
        let tags = wish.owner.tags();
        round.add(Planned::new(Call::Tag { resource: Resource::Snapshot, id: snapshot.id.clone(), tags }));
    }
    match snapshot.status.as_str() {
        "available" => true,
        "failed" => {
            round.tell(Kind::Broken, format!("the final snapshot {} has failed", snapshot.id));
            false
        }
        status => {
            round.wait(format!("snapshot {} is {status}", snapshot.id));
            false
        }
    }
}
