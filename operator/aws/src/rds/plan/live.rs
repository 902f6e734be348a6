//! A database that is to be there.

use super::{
    super::{Call, DeletionPolicy, Field, Instance, Resource, State},
    Found, Round, UNCLEAR, groups, modify, replicas,
};
use crate::{Allow, Kind, Planned, Standing};

/// Longest identifier that a replica's suffix can be appended to.
const LONGEST: usize = 59;

pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) {
    round.memory.absent_since = None;
    let policy = match round.wish.deletion_policy {
        DeletionPolicy::Retain => {
            "Retain: deleting it leaves everything at AWS as it is, and AWS goes on charging for it"
        }
        DeletionPolicy::Snapshot => {
            "Snapshot: deleting it takes a final snapshot, which stays, and deletes the instances"
        }
        DeletionPolicy::Delete => "Delete: deleting it DESTROYS ALL DATA, without a snapshot",
    };
    round.tell(Kind::Deletion, policy);
    let problems = round.wish.problems();
    if !problems.is_empty() {
        return problems.into_iter().for_each(|problem| round.tell(Kind::Invalid, problem));
    }
    match (&found.standing, found.primary) {
        (Standing::Ours, Some(primary)) => ours(round, found, primary),
        (Standing::Retained { cluster, uid }, Some(primary)) => {
            let whose = format!("it is of a former platform of this name (cluster {cluster}, UID {uid})");
            adopt(round, found, primary, &whose);
        }
        (Standing::NameConflict, _) => {
            let words = "a DB instance of this name bears other tags than ours: it is left alone";
            round.tell(Kind::NameConflict, format!("{}: {words}", found.id));
        }
        _ => absent(round, found),
    }
}

/// A former platform's primary is there.
fn adopt(round: &mut Round<'_>, found: &Found<'_>, primary: &Instance, whose: &str) {
    if !round.wish.adopt {
        let words = format!("DB instance {} is there, and {whose}: set adopt: true to go on with its data", primary.id);
        return round.tell(Kind::Retained, words);
    }
    let tags = round.wish.owner.tags();
    let tag =
        |id: &str| Planned::new(Call::Tag { resource: Resource::Instance, id: id.to_owned(), tags: tags.clone() });
    round.add(tag(&primary.id));
    for (instance, standing) in found.replicas.values() {
        if matches!(standing, Standing::Retained { .. }) && instance.source.as_ref() == Some(&primary.id) {
            round.add(tag(&instance.id));
        }
    }
}

/// There is no primary.
fn absent(round: &mut Round<'_>, found: &Found<'_>) {
    let wish = round.wish;
    if round.in_grace(&found.id) {
        return round.wait(format!("{} is being created", found.id));
    }
    if round.memory.seen {
        round.tell(Kind::Missing, format!("DB instance {} was there, and is gone", found.id));
    }
    let snapshot = if let Some(snapshot) = &wish.spec.restore_from {
        Some(snapshot.clone()).filter(|_| found.others.is_empty())
    } else {
        found.snapshots.first().map(|snapshot| snapshot.id.clone())
    };
    let restores = wish.spec.restore_from.is_some() && found.others.is_empty();
    if !found.others.is_empty() || (snapshot.is_some() && !restores) {
        let mut names: Vec<String> =
            found.others.iter().map(|instance| format!("DB instance {}", instance.id)).collect();
        names.extend(found.snapshots.iter().map(|snapshot| format!("snapshot {}", snapshot.id)));
        let names = names.join(", ");
        if !wish.adopt {
            let words =
                format!("of a former platform of this name there is {names}: set adopt: true to go on with its data");
            return round.tell(Kind::Retained, words);
        }
        match found.others.as_slice() {
            [] => {}
            // A replica that was promoted because its source went may lack what the source had last: that is for the user to see.
            [one] if one.id.len() <= LONGEST && !found.is_replica(one) => {
                // Written down before its tags are: with a name of another cluster only this tells that it is ours.
                round.memory.identifier = Some(one.id.clone());
                let tags = wish.owner.tags();
                return round.add(Planned::new(Call::Tag { resource: Resource::Instance, id: one.id.clone(), tags }));
            }
            _ => {
                let words = format!(
                    "of a former platform of this name there is {names}: which is meant cannot be told, or it is a promoted replica, \
                     or its name is longer than {LONGEST}. Rename or delete what is not meant"
                );
                return round.tell(Kind::Retained, words);
            }
        }
    }
    let hold = groups::plan(round, &found.id);
    create(round, found, snapshot, hold.clone());
    replicas::create(round, found, None, hold.as_ref());
}

fn create(round: &mut Round<'_>, found: &Found<'_>, snapshot: Option<String>, hold: Option<String>) {
    let wish = round.wish;
    let (id, tags) = (found.id.clone(), wish.owner.tags());
    let settings = wish.primary(&id);
    let price = format!("an instance of class {} with {} GiB", wish.spec.instance_class, wish.spec.storage);
    if let Some(snapshot) = snapshot {
        // All that a restore takes. The rest is changed when it is there.
        let settings = settings.only(|field| {
            use Field::*;
            !matches!(field, EngineVersion | Storage | MaxStorage | MaintenanceWindow)
        });
        let call = Call::RestoreInstance { id, snapshot, settings, tags };
        return round.add(Planned::new(call).costs(price).hold(hold));
    }
    let Some(password) = wish.spec.password.clone() else {
        return round.wait("the Secret with the administrator's password is missing");
    };
    let call = Call::CreateInstance {
        id,
        settings,
        database: wish.spec.database.clone(),
        username: wish.spec.username.clone(),
        password,
        kms_key: wish.spec.kms_key.clone(),
        tags,
    };
    let planned = Planned::new(call).costs(price).hold(hold);
    round.add(match round.memory.seen {
        true => planned.consent(Allow::StartEmpty, "there was one with data, and this one is empty"),
        false => planned,
    });
}

/// The primary is there, and ours.
fn ours(round: &mut Round<'_>, found: &Found<'_>, primary: &Instance) {
    let wish = round.wish;
    round.memory.seen = true;
    let group = groups::plan(round, &found.id);
    if !found.others.is_empty() {
        let names: Vec<&str> = found.others.iter().map(|instance| instance.id.as_str()).collect();
        round.tell(Kind::LeftAlone, format!("these bear our tags, but not our name: {}", names.join(", ")));
    }
    replicas::standing(round, found);
    replicas::remove(round, found);
    for (index, instance) in found.our_replicas().filter(|(index, _)| *index < wish.spec.replicas) {
        if instance.source.as_ref() == Some(&found.id) {
            state(round, instance);
            modify::replica(round, found, instance, group.as_ref());
        } else {
            let words = format!("{} (replica {index}) follows {} no more: it was promoted", instance.id, found.id);
            round.tell(Kind::Broken, words);
        }
    }
    state(round, primary);
    unclear(round, primary);
    modify::primary(round, found, primary, group.as_ref());
    password(round, primary);
    replicas::create(round, found, Some(primary), group.as_ref());
    groups::clean(round, &found.id, None);
    if wish.spec.username != primary.username {
        let words =
            format!("username is {}, not {}: AWS takes it at creation only", primary.username, wish.spec.username);
        round.tell(Kind::Drift, words);
    }
}

/// What the state of one of ours tells.
fn state(round: &mut Round<'_>, instance: &Instance) {
    let words = format!("{} is {}", instance.id, instance.status);
    match instance.state() {
        State::Available => {}
        State::Changing | State::Deleting | State::Unknown => round.wait(words),
        State::Stopped => round.tell(Kind::Broken, format!("{words}: start it")),
        State::StorageFull => round.tell(Kind::Broken, format!("{words}: raise storage")),
        State::Broken | State::Unsnapshotable => round.tell(Kind::Broken, words),
    }
    // What is being applied is among the pending values, too.
    if !instance.pending.is_empty() && instance.state() != State::Changing {
        let words = format!("{}: waits for the maintenance window: {}", instance.id, instance.pending);
        round.tell(Kind::PendingMaintenance, words);
    }
    if instance.pending_reboot {
        round.tell(Kind::PendingReboot, format!("{}: its parameters take effect with its next reboot", instance.id));
    }
}

/// A status that is not known has a deadline.
fn unclear(round: &mut Round<'_>, primary: &Instance) {
    if primary.state() != State::Unknown {
        round.memory.unclear = None;
        return;
    }
    let since = match &round.memory.unclear {
        Some((status, since)) if *status == primary.status => *since,
        _ => round.now,
    };
    round.memory.unclear = Some((primary.status.clone(), since));
    if round.now.duration_since(since) >= UNCLEAR {
        let words = format!("{} is {:?} since {since}, a status that is not known here", primary.id, primary.status);
        round.tell(Kind::Broken, words);
    }
}

fn password(round: &mut Round<'_>, primary: &Instance) {
    let Some(password) = round.wish.spec.password.clone() else {
        return round.wait("the Secret with the administrator's password is missing");
    };
    if round.memory.password.as_ref() != Some(&password.fingerprint()) {
        let call = Call::SetPassword { id: primary.id.clone(), password };
        round.add(Planned::new(call).hold(super::unchangeable(primary)));
    }
}
