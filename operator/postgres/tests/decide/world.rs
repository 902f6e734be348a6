//! Worlds to decide about.

use learningplatform_postgres::{
    Act, Archive, ConfigSeen, Database, Decision, Durability, Error, Lsn, Pod, PrimarySeen, Reason, Record,
    ReplicaSeen, Restart, Role, RoleSeen, Seen, Settings, Slot, StaleReads, WalSender, WalStatus, Wish, Write,
    config::{Rendered, Server, render},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

pub const ID: &str = "7710725995640121879";

pub fn wish(replicas: u32) -> Wish {
    Wish {
        record: Some(Record { system_identifier: ID.into(), timeline: 1 }),
        replica_set: "pg-ro".into(),
        replicas,
        durability: Durability::Local,
        databases: vec![Database { name: "app".into(), owner: "owner".into(), extensions: vec![] }],
        logins: vec![],
        server: Server { volume: 10 << 30, most_replicas: 3, ..Server::default() },
        max_lag: Duration::from_secs(10),
        trust: None,
        stale_reads: StaleReads::Serve,
        archive: Archive::Off,
        may_restart: true,
    }
}

pub fn files(wish: &Wish) -> Rendered {
    render(&wish.server, &wish.databases)
}

pub fn settings(wish: &Wish, in_recovery: bool) -> Settings {
    let files = files(wish);
    let mark = Some(files.mark);
    let setup = Some(format!("{}-{}", files.setup.base, files.setup.extensions));
    let config = ConfigSeen { loaded: mark.clone(), file: mark, setup, limits: files.limits, errors: vec![] };
    Settings {
        system_identifier: ID.into(),
        timeline: 1,
        version: 150_018,
        in_recovery,
        limits: files.limits,
        config,
        ..Settings::default()
    }
}

pub fn pod(wish: &Wish, role: Role) -> Pod {
    let name = match role {
        Role::Primary => "pg-0".into(),
        Role::Replica(ordinal) => wish.replica(ordinal),
    };
    let (ready, address) = (true, Some(Ipv4Addr::LOCALHOST.into()));
    Pod {
        role,
        name,
        address,
        port: 5432,
        tls: false,
        ready,
        outdated: false,
        terminating: false,
        stuck: false,
        gate: None,
    }
}

/// The world in which all is as wished, but for the settings of durability.
pub fn world(wish: &Wish) -> Seen {
    let primary = PrimarySeen {
        settings: settings(wish, false),
        synchronous_commit: "local".into(),
        write: Write::Done(Lsn(1000)),
        current: Lsn(1000),
        oldest: Some(Lsn(500)),
        databases: ["app".into()].into(),
        roles: [("owner".to_owned(), RoleSeen::default())].into(),
        ..PrimarySeen::default()
    };
    let pods = vec![pod(wish, Role::Primary)];
    let mut seen = Seen { pods, replicas: 0, routed: BTreeSet::new(), primary: Ok(primary), replica: BTreeMap::new() };
    for ordinal in 0..wish.replicas {
        join(wish, &mut seen, ordinal);
    }
    seen
}

/// Adds a replica that follows.
pub fn join(wish: &Wish, seen: &mut Seen, ordinal: u32) {
    seen.replicas = seen.replicas.max(ordinal + 1);
    seen.pods.push(pod(wish, Role::Replica(ordinal)));
    let at = Some(Lsn(1000));
    let lag = Some(Duration::ZERO);
    let replica = ReplicaSeen {
        settings: settings(wish, true),
        streaming: true,
        received: at,
        replayed: at,
        lag,
        ..ReplicaSeen::default()
    };
    seen.replica.insert(ordinal, Ok(replica));
    let primary = seen.primary.as_mut().unwrap();
    let state = "streaming".to_owned();
    primary.senders.push(WalSender { name: wish.replica(ordinal), state, flushed: at, lag: Some(0) });
    primary.slots.push(Slot { name: format!("lp_ro_{ordinal}"), active: true, status: WalStatus::Kept, kept: 100 });
}

/// Stops a replica from following; its server still answers.
pub fn part(wish: &Wish, seen: &mut Seen, ordinal: u32) {
    if let Some(Ok(replica)) = seen.replica.get_mut(&ordinal) {
        replica.streaming = false;
    }
    let Ok(primary) = &mut seen.primary else { return };
    primary.senders.retain(|sender| sender.name != wish.replica(ordinal));
    for slot in primary.slots.iter_mut().filter(|slot| slot.name == format!("lp_ro_{ordinal}")) {
        slot.active = false;
    }
}

pub fn primary(seen: &mut Seen) -> &mut PrimarySeen {
    seen.primary.as_mut().unwrap()
}

pub fn replica(seen: &mut Seen, ordinal: u32) -> &mut ReplicaSeen {
    seen.replica.get_mut(&ordinal).unwrap().as_mut().unwrap()
}

pub fn reasons(decision: &Decision) -> Vec<Reason> {
    decision.view.verdicts.iter().map(|verdict| verdict.reason).collect()
}

pub fn set(decision: &Decision) -> BTreeMap<&'static str, String> {
    let parameters = decision.acts.iter().filter_map(|act| match act {
        Act::SetParameters(parameters) => Some(parameters.clone()),
        _ => None,
    });
    parameters.flatten().collect()
}

pub fn restarted(decision: &Decision) -> Option<Role> {
    decision.restart.as_ref().map(|Restart { role, .. }| *role)
}

pub fn silence() -> Error {
    Error::NoPod("pg-0".into())
}
