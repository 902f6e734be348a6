//! Mode `cluster`, with real servers.

use crate::support::{
    NODE_TIMEOUT, Store,
    load::{self, Load, fill, filled},
    password, signal, wipe,
};
use learningplatform_valkey::*;
use std::time::{Duration, Instant};

const KEYS: u64 = 6_000;

async fn ready(shards: u32, replicas: u32) -> Store {
    let mut store = Store::new(Mode::Cluster, shards, replicas);
    store.until_ready().await;
    store
}

fn slots(store: &Store) -> Vec<u32> {
    store.figures().shards.values().map(|shard| shard.slots).collect()
}

#[tokio::test]
async fn a_cluster_is_made_though_its_keeper_is_killed_after_every_act() {
    let mut store = Store::new(Mode::Cluster, 3, 1);
    store.cut = true;
    let view = store.until_ready().await;
    assert!(view.agreed && view.formed, "{view:?}");
    assert_eq!(slots(&store), [5461, 5461, 5462]);
    for pod in store.pods.iter().map(|one| one.pod.name.clone()) {
        let info = store.text(&pod, &["CLUSTER", "INFO"]).await;
        assert!(info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384"), "{pod}: {info}");
        assert_eq!(store.listed_by(&pod).await.len(), 6, "{pod}");
    }
    // All is done, so nothing is done, and meeting again does no harm.
    let before = store.done.len();
    let first = store.pods[0].pod.address.unwrap();
    let (ip, port) = (first.ip().to_string(), first.port().to_string());
    store.text("story-cache-s2-1", &["CLUSTER", "MEET", &ip, &port]).await;
    for _ in 0..5 {
        assert_eq!(store.round().await.verdict, Verdict::Ready);
    }
    assert_eq!(store.done.len(), before, "{:?}", store.done.last());
}

#[tokio::test]
async fn a_changed_number_of_shards_loses_nothing_and_leaves_no_trace() {
    let mut store = ready(3, 1).await;
    fill(&store, KEYS).await;
    let load = Load::start(&store, 4, 500).await;
    load.more(500).await;

    store.wish.shards = 4;
    store.provide();
    let start = Instant::now();
    store.until("moving", |view| matches!(view.verdict, Verdict::Moving { .. })).await;
    store.until_ready().await;
    println!("3 to 4 shards: {:?}, {} acts", start.elapsed(), store.done.len());
    assert_eq!(slots(&store), [4096, 4096, 4096, 4096]);
    load.more(500).await;

    store.wish.shards = 3;
    let start = Instant::now();
    let gone: Vec<String> =
        store.pods.iter().filter(|one| one.pod.shard == 3).map(|one| one.pod.name.clone()).collect();
    let mut ids = Vec::new();
    for pod in &gone {
        ids.push(store.text(pod, &["CLUSTER", "MYID"]).await);
    }
    let view = store.until("removable", |view| view.removable.contains(&3)).await;
    println!("4 to 3 shards: {:?}", start.elapsed());
    let forgotten = Instant::now();
    store.shrink(&view);
    store.until_ready().await;
    assert_eq!(slots(&store).iter().sum::<u32>(), 16384);
    load.more(500).await;

    let ledger = load.stop().await;
    println!("{} keys acknowledged, longest pause {:?}", ledger.acknowledged.len(), ledger.pause);
    assert_eq!(ledger.errors, Vec::<String>::new());
    assert_eq!(ledger.lost(&store).await, Vec::<String>::new());
    assert_eq!(filled(&store, KEYS).await, KEYS);
    assert_eq!(store.figures().keys(), KEYS + ledger.acknowledged.len() as u64);

    // For a minute nodes refuse to learn of one that they were told to forget; after it, one that still knew would bring it back.
    while forgotten.elapsed() < Duration::from_secs(66) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        store.round().await;
    }
    for pod in store.pods.iter().map(|one| one.pod.name.clone()) {
        let listed = store.listed_by(&pod).await;
        assert!(ids.iter().all(|id| !listed.contains(id)) && listed.len() == 6, "{pod}: {listed:?}");
    }
}

/// Where a move of a slot may be cut: after so many of its commands.
async fn begin_move(store: &Store, slot: u16, from: &str, to: &str, steps: usize) {
    let (source, target) = (store.text(from, &["CLUSTER", "MYID"]).await, store.text(to, &["CLUSTER", "MYID"]).await);
    let slot = slot.to_string();
    let listed = store.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "1"]).await.unwrap();
    let keys: Vec<String> = redis::from_redis_value(listed).unwrap();
    let address = store.pods[store.index(to)].pod.address.unwrap();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut migrate = vec!["MIGRATE", &ip, &port, "", "0", "1000", "AUTH2", "default", crate::support::SECRET, "KEYS"];
    migrate.extend(keys.iter().map(String::as_str));
    // The keys that are left, for a cut after all of them.
    let commands: [(&str, &[&str]); 4] = [
        (to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]),
        (from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]),
        (from, &migrate),
        (to, &["CLUSTER", "SETSLOT", &slot, "NODE", &target]),
    ];
    for (step, (pod, words)) in commands.iter().enumerate().take(steps) {
        if step == 3 {
            loop {
                let listed = store.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).await.unwrap();
                let keys: Vec<String> = redis::from_redis_value(listed).unwrap();
                if keys.is_empty() {
                    break;
                }
                let mut all = migrate[..10].to_vec();
                all.extend(keys.iter().map(String::as_str));
                store.text(from, &all).await;
            }
        }
        store.text(pod, words).await;
    }
}

#[tokio::test]
async fn a_move_that_was_cut_is_gone_on_with() {
    let mut store = ready(3, 0).await;
    fill(&store, 60_000).await;
    let (from, to) = ("story-cache-s0-0", "story-cache-s1-0");
    // One slot for each cut, and one whose transfer left a copy behind.
    for steps in 1..=4 {
        begin_move(&store, 100 + u16::try_from(steps).unwrap(), from, to, steps).await;
    }
    begin_move(&store, 110, from, to, 2).await;
    let listed = store.ask(from, &["CLUSTER", "GETKEYSINSLOT", "110", "1"]).await.unwrap();
    let keys: Vec<String> = redis::from_redis_value(listed).unwrap();
    let key = keys.first().expect("a key in the slot").clone();
    let address = store.pods[store.index(to)].pod.address.unwrap();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    store
        .text(from, &["MIGRATE", &ip, &port, &key, "0", "1000", "COPY", "AUTH2", "default", crate::support::SECRET])
        .await;
    // The owner went on writing to its own.
    let number: u64 = key.trim_start_matches("k:").parse().unwrap();
    assert_eq!(store.text(from, &["SET", &key, &number.to_string()]).await, "OK");

    let view = store.until_ready().await;
    assert!(view.agreed);
    let mut slots = slots(&store);
    slots.sort_unstable();
    assert_eq!(slots, [5461, 5461, 5462], "and as many slots as went came back");
    for pod in ["story-cache-s0-0", "story-cache-s1-0", "story-cache-s2-0"] {
        let nodes = store.text(pod, &["CLUSTER", "NODES"]).await;
        assert!(!nodes.contains("->-") && !nodes.contains("-<-"), "{pod}: {nodes}");
    }
    assert_eq!((filled(&store, 60_000).await, store.figures().keys()), (60_000, 60_000));
}

#[tokio::test]
async fn a_shard_that_does_not_drain_keeps_its_pods_and_the_others_go() {
    let mut store = ready(6, 0).await;
    fill(&store, KEYS).await;
    let stubborn = "story-cache-s4-0";
    let forbid = ["ACL", "SETUSER", "default", "-migrate", "-cluster|migrateslots"];
    let known = store.ask(stubborn, &forbid).await;
    if known.is_err() {
        store.text(stubborn, &forbid[..4]).await;
    }
    store.wish.shards = 3;
    let view = store.until("down to the stubborn one", |view| view.removable.len() == 2).await;
    assert_eq!(view.removable, [3, 5].into());
    let Verdict::ScaleInBlocked { shards, why } = &view.verdict else { panic!("{}", view.verdict) };
    assert_eq!(shards, &[4], "{why}");
    assert!(why.contains("NOPERM"), "{why}");
    assert!(store.figures().shards[&4].slots > 0 && view.agreed, "{:?}", store.figures());
    store.shrink(&view);
    for _ in 0..5 {
        assert!(store.round().await.removable.is_empty());
    }
    assert_eq!(filled(&store, KEYS).await, KEYS);

    store.text(stubborn, &["ACL", "SETUSER", "default", "+@all"]).await;
    let view = store.until("removable", |view| view.removable.contains(&4)).await;
    store.shrink(&view);
    store.until_ready().await;
    assert_eq!((filled(&store, KEYS).await, store.pods.len()), (KEYS, 3));
}

#[tokio::test]
async fn a_cluster_whose_pods_all_get_new_addresses_finds_itself() {
    let mut store = ready(3, 1).await;
    fill(&store, KEYS).await;
    for index in 0..store.pods.len() {
        store.pods[index].stop();
    }
    for index in 0..store.pods.len() {
        store.new_address(index);
        store.start(index);
    }
    let start = Instant::now();
    let view = store.until_ready().await;
    println!("healed after {:?}:\n{}", start.elapsed(), store.done.join("\n"));
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(view.shards.values().all(|shard| shard.replicas.values().all(|in_step| *in_step)), "{view:?}");
    assert_eq!(filled(&store, KEYS).await, KEYS);
    assert_eq!(store.figures().keys(), KEYS);
    let reset = store.done("leave the cluster") + store.done("take slots");
    assert_eq!(reset, 3, "the three shares of the beginning and nothing else");
}

#[tokio::test]
async fn an_empty_primary_does_not_empty_its_shard() {
    let mut store = ready(3, 1).await;
    fill(&store, KEYS).await;
    store.round().await;
    let keys = store.figures().shards[&0].keys;
    let lost = store.index("story-cache-s0-0");
    // The container is made anew at the same address, without its data.
    store.pods[lost].kill();
    wipe(&store.pods[lost].data());
    store.start(lost);
    let view = store.until("gated", |view| !view.held.contains("story-cache-s0-0")).await;
    assert!(!view.rejoin.contains("story-cache-s0-0"), "nobody has its data yet: {view:?}");
    let view = store.until_ready().await;
    assert_eq!(view.shards[&0].primary.as_deref(), Some("story-cache-s0-1"));
    assert_eq!((store.figures().shards[&0].keys, filled(&store, KEYS).await), (keys, KEYS));
    assert!(view.held.contains("story-cache-s0-0"));
    // Gossip may bring it back for a moment: then it is forgotten again.
    let start = Instant::now();
    while store.listed_by("story-cache-s2-1").await.len() != 6 {
        assert!(start.elapsed() < Duration::from_secs(90), "its former self is forgotten");
        store.round().await;
    }
}

#[tokio::test]
async fn a_shard_without_replicas_whose_data_are_gone_is_told_and_never_made_anew() {
    let mut store = ready(3, 0).await;
    fill(&store, 100).await;
    store.round().await;
    let lost = store.index("story-cache-s1-0");
    store.pods[lost].kill();
    wipe(&store.pods[lost].data());
    store.start(lost);
    store.until("told", |view| matches!(view.verdict, Verdict::DataMissing { .. })).await;
    let before = store.done.len();
    for _ in 0..20 {
        let view = store.round().await;
        assert!(
            matches!(&view.verdict, Verdict::DataMissing { pods } if pods == &["story-cache-s1-0"]),
            "{}",
            view.verdict
        );
        tokio::time::sleep(NODE_TIMEOUT / 10).await;
    }
    assert_eq!(store.done.len(), before, "{:?}", &store.done[before..]);
    assert!(std::fs::read_dir(store.pods[lost].data()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_replica_takes_over_where_too_few_are_left_to_elect_it() {
    let mut store = ready(2, 1).await;
    fill(&store, KEYS).await;
    store.round().await;
    let lost = store.index("story-cache-s0-0");
    store.pods[lost].kill();
    wipe(&store.pods[lost].data());
    store.start(lost);
    let view = store.until("led by its replica", |v| v.shards[&0].primary.as_deref() == Some("story-cache-s0-1")).await;
    assert_eq!(store.done("take over"), 1, "{view:?}");
    store.until_ready().await;
    assert_eq!(filled(&store, KEYS).await, KEYS);
}

#[tokio::test]
async fn pods_restart_one_after_the_other_and_primaries_hand_over_first() {
    let mut store = ready(3, 1).await;
    store.new_address_at_restart = true;
    fill(&store, KEYS).await;
    let load = Load::start(&store, 4, 500).await;
    load.more(300).await;
    for one in &mut store.pods {
        one.pod.outdated = true;
    }
    let start = Instant::now();
    store.until_ready().await;
    load.more(300).await;
    let ledger = load.stop().await;
    println!("restarted in {:?}, longest pause {:?}", start.elapsed(), ledger.pause);
    let order: Vec<&String> =
        store.done.iter().filter(|done| done.contains("restart") || done.contains("fail over")).collect();
    let replicas: Vec<&str> = order.iter().take(3).map(|done| done.as_str()).collect();
    assert_eq!(replicas, ["story-cache-s0-1: restart", "story-cache-s1-1: restart", "story-cache-s2-1: restart"]);
    assert_eq!((store.done(": restart"), store.done("fail over")), (6, 3), "{order:?}");
    assert!(store.pods.iter().all(|one| !one.pod.outdated));
    assert_eq!(ledger.errors, Vec::<String>::new());
    assert_eq!(ledger.lost(&store).await, Vec::<String>::new());
    assert_eq!(filled(&store, KEYS).await, KEYS);
    assert!(ledger.pause < Duration::from_secs(1), "{:?}", ledger.pause);
}

#[tokio::test]
async fn passwords_change_under_load_and_no_login_fails() {
    let mut store = ready(3, 1).await;
    let old = Load::start(&store, 2, 200).await;
    old.more(100).await;
    let previous = store.wish.passwords.current.clone();
    store.wish.passwords = Passwords { current: Password::new(crate::support::NEW), previous: Some(previous) };
    let view = store.until_ready().await;
    assert_eq!(view.rotation, Rotation::Settled);
    // New clients with either, and a server that starts with the file as it was.
    store.restart("story-cache-s1-1");
    store.until_ready().await;
    let new = Load::start(&store, 2, 200).await;
    new.more(100).await;
    let late = load::with_password(&store, crate::support::SECRET).await;
    drop(late);
    old.more(100).await;
    let errors: Vec<String> = old.stop().await.errors;
    assert_eq!(errors, Vec::<String>::new());

    store.secret = store.wish.passwords.clone();
    store.wish.passwords = password(crate::support::NEW);
    store.until("settled", |view| view.verdict == Verdict::Ready && view.rotation == Rotation::Settled).await;
    new.more(100).await;
    assert_eq!(new.stop().await.errors, Vec::<String>::new());
    for one in &store.pods {
        let address = one.pod.address.unwrap();
        let refused = crate::support::ask(address, crate::support::SECRET, &["PING"]).await;
        assert!(refused.is_err(), "{}: the old password is still accepted", one.pod.name);
        let log = one.log();
        assert!(!log.contains(crate::support::SECRET) && !log.contains(crate::support::NEW), "{}", one.pod.name);
    }
    let told = store.done.join("\n");
    assert!(!told.contains(crate::support::SECRET) && !told.contains(crate::support::NEW));
}

#[tokio::test]
async fn replicas_leave_after_the_primary_is_among_those_that_stay() {
    let mut store = ready(1, 2).await;
    fill(&store, 500).await;
    store.text("story-cache-s0-2", &["CLUSTER", "FAILOVER"]).await;
    store.until("led by the last", |view| view.shards[&0].primary.as_deref() == Some("story-cache-s0-2")).await;
    store.wish.replicas = 1;
    let view = store.until("ready to shrink", |view| view.shards[&0].may_shrink).await;
    assert_ne!(view.shards[&0].primary.as_deref(), Some("story-cache-s0-2"));
    store.shrink(&view);
    store.until_ready().await;
    assert_eq!(store.listed_by("story-cache-s0-0").await.len(), 2);
    assert_eq!(filled(&store, 500).await, 500);
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_nobody() {
    let mut store = ready(3, 1).await;
    let hung = store.index("story-cache-s0-1");
    signal(store.pods[hung].process.as_ref().unwrap(), "STOP");
    let start = Instant::now();
    let view = store.round().await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(
        matches!(&view.verdict, Verdict::Unreachable { pods } if pods == &["story-cache-s0-1"]),
        "{}",
        view.verdict
    );
    signal(store.pods[hung].process.as_ref().unwrap(), "CONT");
    store.until_ready().await;
}

#[tokio::test]
async fn a_primary_that_is_told_to_stop_hands_over_and_says_when_it_is_not_ready() {
    let mut store = ready(3, 1).await;
    assert!(store.run("story-cache-s0-0", READY));
    let start = Instant::now();
    assert!(store.run("story-cache-s0-0", STOP));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(store.text("story-cache-s0-0", &["INFO", "replication"]).await.contains("role:slave"));
    let view = store.until_ready().await;
    assert_eq!(view.shards[&0].primary.as_deref(), Some("story-cache-s0-1"));
    let index = store.index("story-cache-s0-0");
    store.pods[index].kill();
    assert!(!store.run("story-cache-s0-0", READY));
    assert!(store.run("story-cache-s0-0", STOP), "a stop goes on anyhow");
}
