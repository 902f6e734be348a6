//! A cache that is to be there.

use super::{
    super::{Auth, Call, Group, Resource, State},
    Found, Round, UNCLEAR, modify, parameters, size, tokens, users,
};
use crate::{Allow, DeletionPolicy, Kind, Planned, Standing};

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    round.memory.absent_since = None;
    let policy = match round.wish.deletion_policy {
        DeletionPolicy::Retain => {
            "Retain: deleting it leaves everything at AWS as it is, and AWS goes on charging for it"
        }
        DeletionPolicy::Snapshot => "Snapshot: deleting it takes a final snapshot, which stays, and deletes the group",
        DeletionPolicy::Delete => "Delete: deleting it DESTROYS ALL DATA, without a snapshot",
    };
    round.tell(Kind::Deletion, policy);
    let problems = round.wish.problems();
    if !problems.is_empty() {
        return problems.into_iter().for_each(|problem| round.tell(Kind::Invalid, problem));
    }
    if let Some(group) = found.untold() {
        return round.wait_for_tags(group);
    }
    match (&found.standing, found.group) {
        (Standing::Ours, Some(group)) => ours(round, found, group),
        (Standing::Retained { .. }, Some(group)) if round.wish.adopt => {
            let tags = round.wish.owner.tags();
            round.add(Planned::new(Call::Tag { resource: Resource::Group, id: group.id.clone(), tags }));
        }
        (Standing::Retained { cluster, uid }, Some(group)) => {
            let words = format!(
                "replication group {} is there, and of a former platform of this name (cluster {cluster}, UID {uid}): set adopt: \
                 true to go on with its data",
                group.id
            );
            round.tell(Kind::Retained, words);
        }
        (Standing::NameConflict, _) => {
            let words = "a replication group of this name bears other tags than ours: it is left alone";
            round.tell(Kind::NameConflict, format!("{}: {words}", found.id));
        }
        _ => absent(round, found),
    }
}

/// There is no group.
fn absent(round: &mut Round<'_>, found: &Found<'_>) {
    let wish = round.wish;
    if round.in_grace(&found.id) {
        return round.wait(format!("{} is being created", found.id));
    }
    round.memory.made = false;
    if let Some(group) = perhaps_former(round, found) {
        return round.wait_for_tags(group);
    }
    if round.memory.seen {
        round.tell(Kind::Missing, format!("replication group {} was there, and is gone", found.id));
    }
    let restores = wish.spec.restore_from.is_some();
    if !found.others.is_empty() || (!found.snapshots.is_empty() && !restores) {
        let groups = found.others.iter().map(|group| format!("replication group {}", group.id));
        let snapshots = found.snapshots.iter().map(|snapshot| format!("snapshot {}", snapshot.name));
        let names = groups.chain(snapshots).collect::<Vec<_>>().join(", ");
        let words = format!("of a former platform of this name there is {names}");
        if !wish.adopt {
            return round.tell(Kind::Retained, format!("{words}: set adopt: true to go on with its data"));
        }
        match found.others.as_slice() {
            [] => {}
            [one] => {
                // Written down before its tags are: with a name of another cluster only this tells that it is ours.
                round.memory.identifier = Some(one.id.clone());
                let tags = wish.owner.tags();
                return round.add(Planned::new(Call::Tag { resource: Resource::Group, id: one.id.clone(), tags }));
            }
            _ => {
                let words = format!("{words}: which is meant cannot be told. Delete what is not meant, or its tags");
                return round.tell(Kind::Retained, words);
            }
        }
    }
    if let Some(name) = &wish.spec.restore_from
        && round.seen.snapshots.iter().all(|snapshot| snapshot.name != *name)
    {
        return round.tell(Kind::Invalid, format!("restoreFrom: there is no snapshot {name}"));
    }
    let hold = parameters::plan(round, &found.id);
    let hold = hold.or(users::plan(round, found));
    create(round, found, hold);
}

/// A group whose tags are not told, and that may be a former platform's of this name: made by another cluster, its name differs
/// in its hash.
fn perhaps_former<'a>(round: &Round<'a>, found: &Found<'_>) -> Option<&'a Group> {
    let name = round.wish.owner.identity.replication_group();
    let stem = name.rsplit_once('-').map_or(name.as_str(), |(stem, _)| stem);
    let is_like = |group: &&Group| group.untold && group.id != found.id && group.id.starts_with(stem);
    round.seen.groups.iter().filter(is_like).min_by_key(|group| &group.id)
}

fn create(round: &mut Round<'_>, found: &Found<'_>, hold: Option<String>) {
    let wish = round.wish;
    let spec = &wish.spec;
    let newest = found.snapshots.first();
    let snapshot = spec.restore_from.clone().or(newest.map(|snapshot| snapshot.name.clone()));
    let hold = hold.or_else(|| {
        let from = round.seen.snapshots.iter().find(|one| Some(&one.name) == snapshot.as_ref())?;
        (from.status != "available").then(|| format!("snapshot {} is {}", from.name, from.status))
    });
    let token = match &spec.auth {
        Auth::Token(credential) if credential.wished.is_none() => {
            return round.wait("the Secret with the token is missing");
        }
        Auth::Token(credential) => credential.wished.clone(),
        Auth::Open | Auth::Users(_) => None,
    };
    let nodes = spec.shards * (spec.replicas + 1);
    let is_empty = snapshot.is_none();
    let call = Call::CreateGroup {
        id: found.id.clone(),
        settings: wish.group(&found.id),
        shards: spec.shards,
        replicas: spec.replicas,
        token,
        user_group: matches!(spec.auth, Auth::Users(_)).then(|| found.id.clone()),
        snapshot,
        kms_key: spec.kms_key.clone(),
        tags: wish.owner.tags(),
    };
    let planned = Planned::new(call).costs(format!("{nodes} nodes of type {}", spec.node_type)).hold(hold);
    round.add(match round.memory.seen && is_empty {
        true => planned.consent(Allow::StartEmpty, "there was one with data, and this one is empty"),
        false => planned,
    });
}

/// The group is there, and ours.
fn ours(round: &mut Round<'_>, found: &Found<'_>, group: &Group) {
    round.memory.seen = true;
    if !found.others.is_empty() {
        let names: Vec<&str> = found.others.iter().map(|group| group.id.as_str()).collect();
        round.tell(Kind::LeftAlone, format!("these bear our tags, but not our name: {}", names.join(", ")));
    }
    state(round, group);
    unclear(round, group);
    let parameters = parameters::plan(round, &found.id);
    users::plan(round, found);
    if matches!(group.state(), State::Deleting | State::Failed) {
        return;
    }
    // One after the other, and the next only when all of the group is available again.
    let gate = size::last(round, group).or_else(|| group.unready());
    modify::off(round, group, gate.as_ref());
    size::replicas(round, group, gate.as_ref());
    size::node_type(round, group, gate.as_ref(), true);
    size::shards(round, group, gate.as_ref());
    size::node_type(round, group, gate.as_ref(), false);
    modify::rest(round, group, gate.as_ref(), parameters.as_ref());
    tokens::plan(round, group, gate.as_ref());
    if let Some(why) = gate {
        round.wait(why);
    }
    if round.memory.sent_at.is_some() {
        round.wait("what was sent a moment ago may not be shown yet");
    }
    parameters::clean(round, &found.id, None);
}

/// What the state of the group tells.
fn state(round: &mut Round<'_>, group: &Group) {
    let words = format!("{} is {}", group.id, group.status);
    match group.state() {
        State::Available => {}
        State::Changing | State::Deleting | State::Unknown => round.wait(words),
        State::Failed => round.tell(Kind::Broken, format!("{words}: delete it at AWS, and it is made again")),
    }
    // What is being applied is among the pending values, too.
    if !group.pending.is_empty() && group.state() != State::Changing {
        let words = format!("{}: waits for the maintenance window: {}", group.id, group.pending);
        round.tell(Kind::PendingMaintenance, words);
    }
    if group.pending_reboot {
        round.tell(Kind::PendingReboot, format!("{}: its parameters take effect with its next reboot", group.id));
    }
    let have = match (group.token, group.user_groups.iter().next()) {
        (true, _) => "a token",
        (false, Some(_)) => "users",
        (false, None) => "nothing",
    };
    let wished = match &round.wish.spec.auth {
        Auth::Open => "nothing",
        Auth::Token(_) => "a token",
        Auth::Users(_) => "users",
    };
    if have != wished && group.state() != State::Changing {
        round.tell(Kind::Drift, format!("{}: clients show {have}, not {wished}: it is set at creation only", group.id));
    }
}

/// A status that is not known has a deadline.
fn unclear(round: &mut Round<'_>, group: &Group) {
    if group.state() != State::Unknown {
        round.memory.unclear = None;
        return;
    }
    let since = match &round.memory.unclear {
        Some((status, since)) if *status == group.status => *since,
        _ => round.now,
    };
    round.memory.unclear = Some((group.status.clone(), since));
    if round.now.duration_since(since) >= UNCLEAR {
        let words = format!("{} is {:?} since {since}, a status that is not known here", group.id, group.status);
        round.tell(Kind::Broken, words);
    }
}
