//! Users and their group. A user has two passwords while one is changed: the published one and the wished one.

use super::{
    super::{Access, Auth, Call, Credential, Engine, Memory, Resource, User, UserGroup, Wish, wish::DEFAULT_USER},
    Found, Round, identifier,
};
use crate::{Fingerprint, Identity, Kind, Password, Planned, Standing, Tags};
use std::collections::{BTreeMap, BTreeSet};

/// What the user may do that clients are who name none.
const SHUT: &str = "off -@all";

/// Under which a user group is kept among what was created: it has the replication group's id.
pub(super) fn group_key(id: &str) -> String {
    format!("user group {id}")
}

/// Writes down which passwords a user has; none where it is not known.
pub(super) fn note(memory: &mut Memory, wish: &Wish, id: &str, passwords: Option<&Vec<Password>>) {
    let group = identifier(wish, memory);
    let Auth::Users(users) = &wish.spec.auth else { return };
    let Some(name) = users.keys().find(|name| Identity::user(&group, name) == id) else { return };
    match passwords {
        Some(passwords) => {
            let all = passwords.iter().map(Password::fingerprint).collect();
            memory.passwords.insert(name.clone(), all);
        }
        None => drop(memory.passwords.remove(name)),
    }
}

/// Plans users and group. What it answers keeps back the creation of the replication group.
pub(super) fn plan(round: &mut Round<'_>, found: &Found<'_>) -> Option<String> {
    let Auth::Users(users) = &round.wish.spec.auth else { return None };
    round.memory.users = true;
    let mut hold = None;
    let mut ids = BTreeSet::new();
    // A cache that became one of Valkey goes on with the users of Redis that it had.
    let group_there = round.seen.user_groups.iter().find(|group| group.id == found.id);
    let engine = group_there.map_or_else(|| round.wish.spec.engine.to_string(), |group| group.engine.clone());
    // Redis wants a user of this name in every group; with Valkey there need be none, and nobody can log in as it.
    if engine == Engine::Redis.to_string() {
        let id = Identity::user(&found.id, DEFAULT_USER);
        hold = hold.or(one(round, &id, &engine, (DEFAULT_USER, SHUT), None));
        ids.insert(id);
    }
    for (name, Access { rules, credential }) in users {
        let id = Identity::user(&found.id, name);
        hold = hold.or(one(round, &id, &engine, (name, rules), Some(credential)));
        ids.insert(id);
    }
    let of_group = group(round, &found.id, &ids, hold.clone());
    hold = hold.or(of_group);
    // Those that are wished no more: out of the group first.
    for user in ours(round, &found.id).filter(|user| !ids.contains(&user.id)) {
        if user.status == "deleting" {
            round.wait(format!("user {} is deleting", user.id));
            continue;
        }
        let is_in = user.groups.iter().next().map(|group| format!("it is in user group {group} still"));
        let busy = busy("user", &user.id, &user.status);
        round.add(Planned::new(Call::DeleteUser { id: user.id.clone() }).hold(is_in).hold(busy));
    }
    let names: BTreeSet<&String> = users.keys().collect();
    round.memory.passwords.retain(|name, _| names.contains(name));
    hold
}

/// Our users, by tags and by name.
fn ours<'a>(round: &Round<'a>, id: &str) -> impl Iterator<Item = &'a User> + use<'a> {
    let (owner, id) = (&round.wish.owner, id.to_owned());
    let mut users: Vec<&User> = round.seen.users.iter().collect();
    users.sort_by_key(|user| &user.id);
    users
        .into_iter()
        .filter(move |user| owner.standing(&user.tags) == Standing::Ours && Identity::user(&id, &user.name) == user.id)
}

fn busy(what: &str, id: &str, status: &str) -> Option<String> {
    (status != "active").then(|| format!("{what} {id} is {status}"))
}

/// Tells what something is that bears our name; what it answers keeps back its use.
fn standing(round: &mut Round<'_>, resource: Resource, id: &str, tags: &Tags) -> Option<String> {
    let what = if resource == Resource::User { "user" } else { "user group" };
    match round.wish.owner.standing_of(tags, round.memory.identifier.is_some()) {
        Standing::Ours => return None,
        Standing::Retained { .. } if round.wish.adopt => {
            let tags = round.wish.owner.tags();
            round.add(Planned::new(Call::Tag { resource, id: id.to_owned(), tags }));
        }
        Standing::Retained { .. } => {
            let words = format!("{what} {id} was a former platform's: set adopt: true to take it over");
            round.tell(Kind::Retained, words);
        }
        _ => {
            let words = format!("{id}: a {what} of this name bears other tags than ours: it is left alone");
            round.tell(Kind::NameConflict, words);
        }
    }
    Some(format!("{what} {id} is not ours"))
}

/// Plans one user, with its name and its rules.
fn one(
    round: &mut Round<'_>,
    id: &str,
    engine: &str,
    (name, rules): (&str, &str),
    credential: Option<&Credential>,
) -> Option<String> {
    let target = credential.map(target);
    let Some(user) = round.seen.users.iter().find(|user| user.id == id) else {
        let hold = Some(format!("user {id} is not there yet"));
        if round.in_grace(id) {
            round.wait(format!("user {id} is being created"));
            return hold;
        }
        let passwords = match target {
            Some(None) => {
                round.wait(format!("the Secret with the password of {name} is missing"));
                return hold;
            }
            target => target.flatten().unwrap_or_default(),
        };
        let (id, name, engine) = (id.to_owned(), name.to_owned(), engine.to_owned());
        let (access, tags) = (rules.to_owned(), round.wish.owner.tags());
        round.add(Planned::new(Call::CreateUser { id, name, engine, access, passwords, tags }));
        return hold;
    };
    if let Some(hold) = standing(round, Resource::User, id, &user.tags) {
        return Some(hold);
    }
    let busy = busy("user", id, &user.status);
    if let Some(words) = &busy {
        round.wait(words.clone());
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let access = (words(&user.access) != words(rules)).then(|| rules.to_owned());
    let mut passwords = None;
    match (credential, target) {
        (None, _) => {}
        (Some(_), None | Some(None)) => round.wait(format!("the Secret with the password of {name} is missing")),
        (Some(credential), Some(Some(target))) => {
            let known = round.memory.passwords.get(name);
            if let (Some(wished), None) = (credential.wished.as_ref().map(Password::fingerprint), &busy)
                && known.is_some_and(|known| known.contains(&wished))
            {
                round.view.accepted.insert(name.to_owned(), wished);
            }
            match next(credential, &target, known) {
                Next::Done => {}
                Next::Wait => round.wait(format!("the clients do not use the published password of {name} yet")),
                Next::Send => passwords = Some(target),
            }
        }
    }
    if access.is_some() || passwords.is_some() {
        round.add(Planned::new(Call::ModifyUser { id: id.to_owned(), access, passwords }).hold(busy.clone()));
    }
    busy
}

/// The passwords that a user is to have now.
fn target(credential: &Credential) -> Option<Vec<Password>> {
    let wished = credential.wished.clone()?;
    let published = credential.published.clone().filter(|published| *published != wished);
    Some(published.into_iter().chain([wished]).collect())
}

enum Next {
    Done,
    Wait,
    Send,
}

fn next(credential: &Credential, target: &[Password], known: Option<&BTreeSet<Fingerprint>>) -> Next {
    let target: BTreeSet<Fingerprint> = target.iter().map(Password::fingerprint).collect();
    let is_published = credential.published == credential.wished;
    match known {
        Some(known) if *known == target => Next::Done,
        // The published one is not taken: nobody can log in.
        Some(known) if is_published && !target.is_subset(known) => Next::Send,
        // Others may be in use while a client has not taken the published one.
        _ if credential.published.is_some() && !credential.taken => Next::Wait,
        _ => Next::Send,
    }
}

fn group(round: &mut Round<'_>, id: &str, users: &BTreeSet<String>, hold: Option<String>) -> Option<String> {
    let Some(group) = round.seen.user_groups.iter().find(|group| group.id == id) else {
        let words = Some(format!("user group {id} is not there yet"));
        if round.in_grace(&group_key(id)) {
            round.wait(format!("user group {id} is being created"));
            return words;
        }
        let engine = round.wish.spec.engine.to_string();
        let (id, users, tags) = (id.to_owned(), users.clone(), round.wish.owner.tags());
        round.add(Planned::new(Call::CreateUserGroup { id, engine, users, tags }).hold(hold));
        return words;
    };
    if let Some(hold) = standing(round, Resource::UserGroup, id, &group.tags) {
        return Some(hold);
    }
    let busy = busy("user group", id, &group.status);
    if let Some(words) = &busy {
        round.wait(words.clone());
    }
    let there = |user: &&String| round.seen.users.iter().any(|seen| seen.id == **user);
    let add: BTreeSet<String> = users.difference(&group.users).filter(there).cloned().collect();
    // Of those that are not ours none is taken out: somebody put it in.
    let id_of_ours: BTreeSet<&String> = ours(round, id).map(|user| &user.id).collect();
    let remove: BTreeSet<String> =
        group.users.difference(users).filter(|user| id_of_ours.contains(user)).cloned().collect();
    if !add.is_empty() || !remove.is_empty() {
        let call = Call::ModifyUserGroup { id: id.to_owned(), add, remove };
        round.add(Planned::new(call).hold(hold).hold(busy.clone()));
    }
    busy
}

/// Plans the end of group and users, the group first.
pub(super) fn clean(round: &mut Round<'_>, id: &str, hold: Option<&String>) {
    if !round.memory.users && !matches!(round.wish.spec.auth, Auth::Users(_)) {
        return;
    }
    let is_ours = |group: &&UserGroup| group.id == id && round.wish.owner.standing(&group.tags) == Standing::Ours;
    let group = round.seen.user_groups.iter().find(is_ours);
    let mut hold = hold.cloned();
    if let Some(group) = group {
        let busy = busy("user group", id, &group.status);
        match group.status.as_str() {
            "deleting" => round.wait(format!("user group {id} is deleting")),
            _ => round.add(Planned::new(Call::DeleteUserGroup { id: id.to_owned() }).hold(hold.clone()).hold(busy)),
        }
        hold = hold.or(Some(format!("user group {id} goes first")));
    }
    let users: BTreeMap<&String, &String> = ours(round, id).map(|user| (&user.id, &user.status)).collect();
    for (user, status) in &users {
        let busy = busy("user", user, status);
        match status.as_str() {
            "deleting" => round.wait(format!("user {user} is deleting")),
            _ => round.add(Planned::new(Call::DeleteUser { id: (*user).clone() }).hold(hold.clone()).hold(busy)),
        }
    }
    if hold.is_none() && users.is_empty() {
        round.memory.users = false;
    }
}
