//! Passwords: first every server accepts the new one beside the old one, then every server uses it, then the old one goes.

use super::Act;
use crate::{
    model::Wish,
    seen::{Answer, Login, Seen},
    view::Rotation,
};

fn logins(seen: &Seen) -> impl Iterator<Item = (&String, &Login)> + Clone {
    seen.sightings.iter().filter_map(|sighting| match &sighting.answer {
        Answer::Node(node) => Some((&sighting.pod.name, &node.login)),
        _ => None,
    })
}

fn accepts(wish: &Wish, login: &Login) -> bool {
    login.current && (login.previous || wish.passwords.previous.is_none())
}

/// Whether some server did not say what it accepts.
fn silent(seen: &Seen) -> bool {
    let heard = |answer: &Answer| matches!(answer, Answer::Node(_));
    seen.sightings.iter().any(|sighting| !heard(&sighting.answer) && sighting.pod.gate.is_none())
}

/// The next step of the servers that are behind.
pub fn acts(wish: &Wish, seen: &Seen) -> Vec<Act> {
    let behind = logins(seen).filter(|(_, login)| !accepts(wish, login));
    let accept: Vec<Act> = behind.map(|(pod, _)| Act::AcceptPasswords { pod: pod.clone() }).collect();
    if !accept.is_empty() || silent(seen) {
        return accept;
    }
    let behind = logins(seen).filter(|(_, login)| !login.replicates_by_current);
    let change: Vec<Act> = behind.map(|(pod, _)| Act::UsePassword { pod: pod.clone() }).collect();
    if !change.is_empty() {
        return change;
    }
    let more = logins(seen).filter(|(_, login)| login.others);
    more.map(|(pod, _)| Act::DropPasswords { pod: pod.clone() }).collect()
}

/// How far they are. A server that does not answer holds nothing up, but for the step after which clients change over.
pub fn rotation(wish: &Wish, seen: &Seen) -> Rotation {
    let uses = |login: &Login| accepts(wish, login) && login.replicates_by_current;
    if !logins(seen).all(|(_, login)| uses(login)) || (wish.passwords.previous.is_some() && silent(seen)) {
        return Rotation::Spreading;
    }
    if logins(seen).any(|(_, login)| login.others) { Rotation::Spread } else { Rotation::Settled }
}
