//! What is done inside a server that somebody else keeps, as RDS does: databases, their owners, extensions and the logins of apps.
//! Its settings, replicas and restarts are its keeper's.

use super::{Act, DurabilityNow, LoginView, ReplicaState, ReplicaView, View, logins};
use crate::{
    model::{Database, Login},
    roles,
    seen::{Follower, LoadSeen, PrimarySeen},
};
use std::collections::BTreeMap;

/// What follows from a look at such a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Managed {
    /// What to do, in this order.
    pub acts: Vec<Act>,
    /// The logins, as they are wished.
    pub logins: Vec<LoginView>,
    /// Extensions that the server cannot make, by name.
    pub unavailable: Vec<String>,
}

/// What follows from `databases` and `wished` and what was seen.
pub fn decide_managed(databases: &[Database], wished: &[Login], seen: &PrimarySeen) -> Managed {
    let mut acts = roles::databases(databases, seen);
    acts.extend(wished.iter().flat_map(|login| roles::login(login, seen)));
    let mut unavailable = Vec::new();
    for database in databases.iter().filter(|database| seen.databases.contains(&database.name)) {
        let there = seen.extensions.get(&database.name);
        let lacks = |name: &&String| there.is_none_or(|there| !there.contains(*name));
        for name in database.extensions.iter().filter(lacks) {
            match seen.available.contains(name) {
                true => acts.push(Act::CreateExtension { database: database.name.clone(), name: name.clone() }),
                false => unavailable.push(name.clone()),
            }
        }
    }
    Managed { acts, logins: logins(wished, seen), unavailable }
}

/// What is to be known of such a server and its replicas, by number, where their number follows the load. `primary` is None where
/// it did not answer.
pub fn view_managed(primary: Option<&LoadSeen>, replicas: &BTreeMap<u32, Follower>) -> View {
    let replica = |(ordinal, follower): (&u32, &Follower)| {
        let (state, seen) = match follower {
            Follower::Making => (ReplicaState::Cloning, None),
            Follower::Silent => (ReplicaState::Starting, None),
            Follower::Answers(seen) if seen.streaming => (ReplicaState::Streaming, Some(seen)),
            Follower::Answers(seen) => (ReplicaState::Alone, Some(seen)),
        };
        ReplicaView {
            ordinal: *ordinal,
            state,
            lag_bytes: None,
            lag: seen.filter(|seen| seen.streaming).and_then(|seen| seen.lag),
            kept: None,
            routable: state == ReplicaState::Streaming,
            busy: seen.and_then(|seen| seen.busy),
        }
    };
    View {
        record: None,
        primary_up: primary.is_some(),
        accepts_writes: primary.is_some_and(|primary| primary.accepts_writes),
        major: primary.map(|primary| primary.major),
        connections: primary.map(|primary| primary.connections),
        senders_left: primary.map(|primary| primary.senders_left),
        copying: false,
        bytes: None,
        replicas: replicas.iter().map(replica).collect(),
        archive: None,
        replicas_allowed: u32::try_from(replicas.len()).unwrap_or(u32::MAX),
        durability: DurabilityNow::Local { lag: None },
        logins: Vec::new(),
        certificate_ends: primary.and_then(|primary| primary.certificate_ends),
        verdicts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::FollowerSeen;
    use std::time::Duration;

    #[test]
    fn a_replica_that_is_made_is_cloning_and_one_that_is_silent_serves_nobody() {
        let answers = |streaming| {
            let (lag, busy) = (Some(Duration::from_secs(2)), Some(Duration::from_secs(9)));
            Follower::Answers(FollowerSeen { streaming, lag, busy })
        };
        let table = [
            (answers(true), ReplicaState::Streaming, true, Some(2)),
            (answers(false), ReplicaState::Alone, false, None),
            (Follower::Silent, ReplicaState::Starting, false, None),
            (Follower::Making, ReplicaState::Cloning, false, None),
        ];
        let primary =
            LoadSeen { accepts_writes: true, major: 16, connections: (7, 90), senders_left: 3, ..LoadSeen::default() };
        let replicas = (0..).zip(table.iter().map(|(seen, ..)| seen.clone())).collect();
        let view = view_managed(Some(&primary), &replicas);
        for ((_, state, routable, lag), found) in table.into_iter().zip(&view.replicas) {
            let expected = (state, routable, lag.map(Duration::from_secs));
            assert_eq!((found.state, found.routable, found.lag), expected);
        }
        assert_eq!((view.connections, view.senders_left, view.accepts_writes), (Some((7, 90)), Some(3), true));
        let silent = view_managed(None, &BTreeMap::new());
        assert_eq!((silent.connections, silent.senders_left, silent.primary_up), (None, None, false));
    }
}
