//! Real servers looked at as a guest, who may ask for nothing but figures.

use crate::support::{DEADLINE, NAME, SECRET, Store, authority, load::fill};
use learningplatform_valkey::*;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tls::{AUTHORITIES, Files};

const USER: &str = "guest";
const GUEST: &str = "the password of a guest";
const KEYS: u64 = 600;

/// As a service gives it to its clients: without what changes or tells settings.
async fn admit(store: &Store) {
    for one in &store.pods {
        let name = &one.pod.name;
        let password = format!(">{GUEST}");
        let rules = ["ACL", "SETUSER", USER, "on", &password, "-@all", "+info", "+cluster|nodes"];
        assert_eq!(store.text(name, &rules).await, "OK");
        for refused in [["CONFIG", "GET", "maxmemory"], ["ACL", "GETUSER", "default"]] {
            let answer = store.text(name, &[&["ACL", "DRYRUN", USER][..], &refused[..]].concat()).await;
            assert!(answer.contains("no permissions"), "{refused:?}: {answer}");
        }
    }
}

fn guest(mode: Mode, addresses: Vec<SocketAddr>) -> Guest {
    Guest {
        mode,
        addresses,
        user: Some(USER.to_owned()),
        password: Some(Password::new(GUEST)),
        tls: None,
        patience: Duration::from_secs(2),
    }
}

fn of_default(guest: Guest, password: &str) -> Guest {
    Guest { user: None, password: Some(Password::new(password)), ..guest }
}

fn connector(authority: &Files, name: &str) -> Connector {
    Trust { authorities: authority[AUTHORITIES].clone(), name: name.to_owned() }.connector().unwrap()
}

#[tokio::test]
async fn a_guest_sees_all_servers_of_a_cluster_by_one_of_them_and_what_each_holds_and_does() {
    let mut store = Store::new(Mode::Cluster, 3, 1);
    store.until_ready().await;
    admit(&store).await;
    fill(&store, KEYS).await;
    // Nobody listens at the first one.
    let mut nobody = store.pods[0].pod.address.unwrap();
    nobody.set_port(1);
    let replica = store.pods.iter().find(|one| one.pod.ordinal == 1).unwrap().pod.address.unwrap();
    let guest = guest(Mode::Cluster, vec![nobody, replica]);
    let mut seen = guest.observe().await.unwrap();
    let end = Instant::now() + DEADLINE;
    // What a server knows of the others' parts it hears from them.
    while !seen.linked().into_values().eq([1, 1, 1]) {
        assert!(Instant::now() < end, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = guest.observe().await.unwrap();
    }
    store.round().await;
    let expected: Vec<u32> = store.figures().shards.values().map(|shard| shard.slots).collect();
    let mut slots: Vec<u32> = seen.shards.iter().map(|shard| shard.slots.len()).collect();
    slots.sort_unstable();
    assert_eq!(slots, expected);
    assert!(seen.shards[0].slots.contains(0) && seen.shards[2].slots.contains(SLOTS - 1), "by their slots");
    assert_eq!(seen.linked().into_iter().collect::<Vec<_>>(), [(0, 1), (1, 1), (2, 1)]);
    let figures = seen.figures();
    assert_eq!(figures.keys(), KEYS);
    assert!(figures.shards.values().all(|shard| shard.memory > 0 && shard.memory_max == 256 << 20), "{figures:?}");
    let works = |node: &ManagedNode| node.said.as_ref().unwrap().work.is_some_and(|work| work.cpu > Duration::ZERO);
    assert_eq!(seen.nodes().filter(|node| works(node)).count(), 6);

    // One that is stopped is known to be there until the others take it to be down; then it is no replica any more.
    let stopped = store.pods.iter().position(|one| one.pod.ordinal == 1 && one.pod.address != Some(replica)).unwrap();
    store.pods[stopped].kill();
    let seen = guest.observe().await.unwrap();
    assert_eq!(seen.linked().values().sum::<usize>(), 2);
    assert_eq!(seen.figures().shards.len(), 3, "what primaries hold is known");
    let wrong = of_default(guest.clone(), "another password");
    assert!(matches!(wrong.observe().await, Err(Error::Refused { .. })));
    let nowhere = Guest { addresses: vec![nobody], ..guest };
    assert!(matches!(nowhere.observe().await, Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_guest_finds_the_primary_among_servers_without_slots() {
    let mut store = Store::new(Mode::Single, 1, 1);
    let view = store.until_ready().await;
    admit(&store).await;
    let primary = view.primary.unwrap();
    store.text(&primary, &["SET", "k", "1"]).await;
    let guest = guest(Mode::Single, store.addresses());
    let seen = guest.observe().await.unwrap();
    assert_eq!(seen.shards[0].primary.name, store.pods[store.index(&primary)].pod.address.unwrap().to_string());
    assert_eq!((seen.linked()[&0], seen.figures().keys()), (1, 1));
    store.pod(&primary).kill();
    assert!(matches!(guest.observe().await, Err(Error::Unreachable { .. })), "a replica alone says nothing of writes");
}

#[tokio::test]
async fn a_guest_trusts_those_alone_who_show_a_certificate_for_the_endpoints_name() {
    let ours = authority(0);
    let mut store = Store::with(Mode::Cluster, 3, 0, Some(ours.clone()));
    store.until_ready().await;
    let guest = of_default(guest(Mode::Cluster, store.addresses()), SECRET);
    let seen = Guest { tls: Some(connector(&ours, NAME)), ..guest.clone() }.observe().await.unwrap();
    assert_eq!((seen.shards.len(), seen.nodes().filter(|node| node.said.is_ok()).count()), (3, 3));
    let strange = [connector(&ours, "elsewhere.example"), connector(&authority(0), NAME)];
    // The system trusts nobody who makes certificates for tests.
    for tls in strange.into_iter().chain(Connector::public(NAME)) {
        let refused = Guest { tls: Some(tls), ..guest.clone() }.observe().await;
        let by_certificate =
            |error: &Error| matches!(error, Error::Unreachable { problem, .. } if problem.contains("certificate"));
        assert!(refused.as_ref().is_err_and(by_certificate), "{refused:?}");
    }
    assert!(guest.observe().await.is_err(), "not in plain text");
}
