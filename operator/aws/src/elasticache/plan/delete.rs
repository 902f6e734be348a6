//! A cache that is to go: the group with a final snapshot, then its users and its parameters. What is missing is not taken for
//! gone before it was missing for a while.

use super::{
    super::{Call, Group, Resource, State},
    Found, GRACE, Round,
    found::{final_name, is_final},
    parameters, users,
};
use crate::{Allow, DeletionPolicy, Kind, Mode, Planned, Standing};

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    let wish = round.wish;
    if wish.mode == Mode::Observe || wish.deletion_policy == DeletionPolicy::Retain {
        round.tell(Kind::Deletion, "everything at AWS is left as it is");
        round.finished = true;
        return;
    }
    if let Some(group) = found.untold() {
        return round.wait_for_tags(group);
    }
    if !matches!(found.standing, Standing::Ours | Standing::Absent) {
        round.tell(Kind::Deletion, format!("{} is not ours, and left as it is", found.id));
        round.finished = true;
        return;
    }
    if let Some(group) = found.ours() {
        round.memory.seen = true;
        self::group(round, group);
    }
    if !is_gone(round, found) {
        let hold = "the replication group goes first".to_owned();
        users::clean(round, &found.id, Some(&hold));
        parameters::clean(round, &found.id, Some(&hold));
        if found.ours().is_none_or(|group| !matches!(group.state(), State::Available | State::Failed)) {
            round.wait("the replication group is not gone yet");
        }
        return;
    }
    let is_kept = final_snapshot(round, &found.id);
    users::clean(round, &found.id, None);
    parameters::clean(round, &found.id, None);
    round.finished = is_kept && round.plan.calls.is_empty() && round.unsettled.is_empty();
}

/// Nothing of ours was seen for a while, and nothing was made a moment ago.
fn is_gone(round: &mut Round<'_>, found: &Found<'_>) -> bool {
    let is_there = found.ours().is_some() || !round.memory.created.is_empty();
    round.memory.absent_since = if is_there { None } else { round.memory.absent_since.or(Some(round.now)) };
    round.memory.absent_since.is_some_and(|since| round.now.duration_since(since) >= GRACE)
}

fn group(round: &mut Round<'_>, group: &Group) {
    let id = group.id.clone();
    let hold = match group.state() {
        State::Deleting => return,
        State::Failed => None,
        _ => group.unready(),
    };
    round.add(match (round.wish.deletion_policy, group.state()) {
        (DeletionPolicy::Delete, _) => Planned::new(Call::DeleteGroup { id, snapshot: None })
            .costs("ALL DATA, as deletionPolicy Delete says")
            .hold(hold),
        (_, State::Failed) => {
            let why = format!("AWS takes no snapshot of a group that is {}", group.status);
            Planned::new(Call::DeleteGroup { id, snapshot: None }).consent(Allow::DeleteWithoutSnapshot, why)
        }
        _ => {
            let snapshot = Some(name(round, &id));
            Planned::new(Call::DeleteGroup { id, snapshot }).costs("a snapshot's storage").hold(hold)
        }
    });
}

/// The name that was written down, or the next that is free.
fn name(round: &Round<'_>, id: &str) -> String {
    let is_free = |name: &String| round.seen.snapshots.iter().all(|snapshot| snapshot.name != *name);
    let noted = round.memory.final_snapshots.last().filter(|name| is_free(name)).cloned();
    noted.unwrap_or_else(|| {
        let taken = &round.memory.final_snapshots;
        let mut names = (1..).map(|counter: u32| final_name(id, counter));
        names.find(|name| is_free(name) && !taken.contains(name)).unwrap_or_default()
    })
}

/// Whether the final snapshot is there, and says whose it is.
fn final_snapshot(round: &mut Round<'_>, id: &str) -> bool {
    let (wish, seen) = (round.wish, round.seen);
    if wish.deletion_policy == DeletionPolicy::Delete {
        return true;
    }
    let names = round.memory.final_snapshots.clone();
    // The newest name that was written down: an earlier one is of a group that had been deleted before. What says not whose it is
    // was left by a deletion that was stopped, and whose memory was lost.
    let of = |name: &String| seen.snapshots.iter().find(|snapshot| snapshot.name == *name);
    let mut stray: Vec<_> = seen.snapshots.iter().filter(|snapshot| is_final(snapshot, id)).collect();
    stray.sort_by_key(|snapshot| &snapshot.name);
    let noted = names.iter().rev().find_map(of);
    if noted.is_none() && !names.is_empty() {
        let words = format!(
            "the replication group is gone, and of its final snapshot {} nothing is seen: look for it, and set deletionPolicy to Retain \
             to let this go",
            names.join(" or ")
        );
        round.tell(Kind::Missing, words);
        return false;
    }
    let mut is_kept = true;
    let all = noted.into_iter().chain(stray.into_iter().filter(|one| noted.is_none_or(|noted| noted.name != one.name)));
    for snapshot in all {
        if wish.owner.standing(&snapshot.tags) != Standing::Ours {
            let tags = wish.owner.tags();
            round.add(Planned::new(Call::Tag { resource: Resource::Snapshot, id: snapshot.name.clone(), tags }));
        }
        match snapshot.status.as_str() {
            "available" => {}
            "failed" => {
                round.tell(Kind::Broken, format!("the final snapshot {} has failed", snapshot.name));
                is_kept = false;
            }
            status => {
                round.wait(format!("snapshot {} is {status}", snapshot.name));
                is_kept = false;
            }
        }
    }
    is_kept
}
