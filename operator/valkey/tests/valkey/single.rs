//! Mode `single`, with real servers.

use crate::support::{Store, password, reveal, signal, wipe};
use learningplatform_valkey::*;
use std::time::Instant;

const FIRST: &str = "story-cache-s0-0";
const SECOND: &str = "story-cache-s0-1";

async fn ready(replicas: u32) -> Store {
    let mut store = Store::new(Mode::Single, 1, replicas);
    store.until_ready().await;
    store
}

/// Writes as a client of the Service does, which selects what the view names.
async fn write(store: &Store, view: &View, from: u64, count: u64) {
    let primary = view.primary.as_ref().expect("nobody may be selected");
    for number in from..from + count {
        let answer = store.text(primary, &["SET", &format!("k:{number}"), &number.to_string()]).await;
        assert_eq!(answer, "OK");
    }
}

async fn keys(store: &Store, pod: &str) -> u64 {
    let size = store.ask(pod, &["DBSIZE"]).await.unwrap();
    redis::from_redis_value(size).unwrap()
}

/// Whether a server takes writes.
async fn takes_writes(store: &Store, pod: &str) -> bool {
    store.ask(pod, &["SET", "probe", "1"]).await.is_ok()
}

async fn in_step(store: &Store, pod: &str) {
    store.text(pod, &["PING"]).await;
    let answer = store.ask(pod, &["WAIT", "1", "5000"]).await.unwrap();
    assert!(redis::from_redis_value::<u64>(answer).unwrap() >= 1);
}

#[tokio::test]
async fn a_store_is_made_though_its_keeper_is_killed_after_every_act() {
    let mut store = Store::new(Mode::Single, 1, 2);
    store.cut = true;
    let view = store.until_ready().await;
    assert_eq!(view.primary.as_deref(), Some(FIRST));
    assert_eq!(view.shards[&0].replicas.values().filter(|in_step| **in_step).count(), 2);
    assert_eq!(store.done("replicate"), 2, "{:?}", store.done);
    let before = store.done.len();
    for _ in 0..5 {
        assert_eq!(store.round().await.verdict, Verdict::Ready);
    }
    assert_eq!(store.done.len(), before);
}

#[tokio::test]
async fn a_partitioned_primary_is_waited_for_and_a_lost_one_replaced() {
    let mut store = ready(1).await;
    let view = store.round().await;
    write(&store, &view, 0, 200).await;
    in_step(&store, FIRST).await;

    // It hangs: unreachable, but there. It may be taking writes of others.
    let first = store.index(FIRST);
    signal(store.pods[first].process.as_ref().unwrap(), "STOP");
    for _ in 0..6 {
        let view = store.round().await;
        assert_eq!(view.verdict, Verdict::WaitingForOldPrimary { pod: FIRST.to_owned() });
        assert_eq!(view.primary, None);
        assert!(!takes_writes(&store, SECOND).await);
    }
    signal(store.pods[first].process.as_ref().unwrap(), "CONT");
    let view = store.until_ready().await;
    assert_eq!(view.primary.as_deref(), Some(FIRST));

    // Its pod is gone.
    store.pods[first].kill();
    store.pods[first].deleted = true;
    let start = Instant::now();
    let view = store.until("led by the second", |view| view.primary.as_deref() == Some(SECOND)).await;
    println!("replaced after {:?}: {:?}", start.elapsed(), store.done);
    assert_eq!(keys(&store, SECOND).await, 200);
    write(&store, &view, 200, 100).await;

    // It comes back with its data, and asks the record before it leads.
    store.new_address(first);
    store.start(first);
    store.until_ready().await;
    assert!(!takes_writes(&store, FIRST).await);
    in_step(&store, SECOND).await;
    assert_eq!((keys(&store, FIRST).await, keys(&store, SECOND).await), (300, 300));
    assert_eq!(store.done("become the primary"), 1);
}

#[tokio::test]
async fn an_old_primary_that_comes_back_without_having_asked_is_made_a_replica() {
    let mut store = ready(1).await;
    let view = store.round().await;
    write(&store, &view, 0, 50).await;
    in_step(&store, FIRST).await;
    let first = store.index(FIRST);
    store.pods[first].kill();
    store.pods[first].deleted = true;
    let view = store.until("led by the second", |view| view.primary.as_deref() == Some(SECOND)).await;
    write(&store, &view, 50, 50).await;
    // Its container was given the record before it changed.
    let record = store.record.insert("PRIMARY".to_owned(), FIRST.to_owned());
    store.start(first);
    store.record.insert("PRIMARY".to_owned(), record.unwrap());
    store.until("both seen", |view| view.shards[&0].replicas.contains_key(FIRST)).await;
    let view = store.until_ready().await;
    assert_eq!(view.primary.as_deref(), Some(SECOND));
    assert_eq!((keys(&store, FIRST).await, keys(&store, SECOND).await), (100, 100));
}

#[tokio::test]
async fn an_empty_primary_does_not_empty_its_replica() {
    let mut store = ready(1).await;
    let view = store.round().await;
    write(&store, &view, 0, 100).await;
    in_step(&store, FIRST).await;
    store.round().await;
    let first = store.index(FIRST);
    store.pods[first].kill();
    wipe(&store.pods[first].data());
    store.start(first);
    let view = store.until("led by the second", |view| view.primary.as_deref() == Some(SECOND)).await;
    assert_eq!(keys(&store, SECOND).await, 100, "{view:?}");
    store.until_ready().await;
    assert_eq!(keys(&store, FIRST).await, 100);
}

#[tokio::test]
async fn a_store_without_replicas_whose_data_are_gone_is_told_and_never_made_anew() {
    let mut store = ready(0).await;
    let view = store.round().await;
    write(&store, &view, 0, 10).await;
    store.round().await;
    store.pods[0].kill();
    wipe(&store.pods[0].data());
    store.start(0);
    store.until("told", |view| matches!(view.verdict, Verdict::DataMissing { .. })).await;
    for _ in 0..5 {
        let view = store.round().await;
        assert_eq!((view.verdict, view.primary), (Verdict::DataMissing { pods: vec![FIRST.to_owned()] }, None));
    }
    assert!(std::fs::read_dir(store.pods[0].data()).unwrap().next().is_none());
}

#[tokio::test]
async fn the_replica_restarts_first_and_the_primary_hands_over() {
    let mut store = ready(1).await;
    store.new_address_at_restart = true;
    let view = store.round().await;
    write(&store, &view, 0, 100).await;
    for one in &mut store.pods {
        one.pod.outdated = true;
    }
    // A client that follows the Service, between the rounds.
    let mut written = 100;
    let view = loop {
        let view = store.round().await;
        if let Some(primary) = &view.primary {
            // While the Service still selects the one that has handed over, a write is refused: it is not lost.
            let set = store.ask(primary, &["SET", &format!("k:{written}"), "1"]).await;
            written += u64::from(set.is_ok());
        }
        if view.verdict == Verdict::Ready {
            break view;
        }
        assert!(written < 2_000, "{view:?} {:?}", store.done);
    };
    assert_eq!(view.primary.as_deref(), Some(SECOND));
    let order: Vec<&str> = store.done.iter().filter(|done| !done.contains("replicate")).map(String::as_str).collect();
    let expected =
        [format!("{SECOND}: restart"), format!("{FIRST}: hand over to {SECOND}"), format!("{FIRST}: restart")];
    assert_eq!(order, expected);
    in_step(&store, SECOND).await;
    assert_eq!((keys(&store, FIRST).await, keys(&store, SECOND).await), (written, written));
}

#[tokio::test]
async fn a_store_whose_pods_all_get_new_addresses_finds_itself() {
    let mut store = ready(2).await;
    let view = store.round().await;
    write(&store, &view, 0, 100).await;
    in_step(&store, FIRST).await;
    for index in 0..store.pods.len() {
        store.pods[index].stop();
        store.new_address(index);
    }
    // The primary comes last: nobody takes its place.
    for index in [2, 1, 0] {
        store.start(index);
        let view = store.round().await;
        assert!(view.primary.as_deref().is_none_or(|primary| primary == FIRST), "{view:?}");
    }
    let view = store.until_ready().await;
    assert_eq!(view.primary.as_deref(), Some(FIRST));
    for pod in [FIRST, SECOND, "story-cache-s0-2"] {
        assert_eq!(keys(&store, pod).await, 100, "{pod}");
    }
    assert_eq!(store.done("become the primary"), 0);
}

#[tokio::test]
async fn passwords_change_and_old_clients_stay() {
    let mut store = ready(1).await;
    let old = store.wish.passwords.current.clone();
    store.wish.passwords = Passwords { current: Password::new(crate::support::NEW), previous: Some(old.clone()) };
    let view = store.until_ready().await;
    assert_eq!(view.rotation, Rotation::Settled);
    for one in &store.pods {
        for text in [crate::support::SECRET, crate::support::NEW] {
            crate::support::ask(one.pod.address.unwrap(), text, &["PING"]).await.unwrap();
        }
    }
    store.secret = store.wish.passwords.clone();
    store.restart(SECOND);
    store.until_ready().await;
    store.wish.passwords = password(crate::support::NEW);
    store.secret = store.wish.passwords.clone();
    store.until("settled", |view| view.verdict == Verdict::Ready).await;
    for one in &store.pods {
        assert!(
            crate::support::ask(one.pod.address.unwrap(), reveal(&old), &["PING"]).await.is_err(),
            "{}",
            one.pod.name
        );
    }
}

#[tokio::test]
async fn replicas_leave_after_the_primary_is_among_those_that_stay() {
    let mut store = ready(1).await;
    let view = store.round().await;
    write(&store, &view, 0, 20).await;
    in_step(&store, FIRST).await;
    let first = store.index(FIRST);
    store.pods[first].kill();
    store.pods[first].deleted = true;
    store.until("led by the second", |view| view.primary.as_deref() == Some(SECOND)).await;
    store.start(first);
    store.until_ready().await;
    store.wish.replicas = 0;
    let view = store.until("ready to shrink", |view| view.shards[&0].may_shrink).await;
    assert_eq!(view.primary.as_deref(), Some(FIRST));
    store.shrink(&view);
    store.until_ready().await;
    assert_eq!((store.pods.len(), keys(&store, FIRST).await), (1, 20));
}

#[tokio::test]
async fn a_primary_that_is_told_to_stop_hands_over() {
    let mut store = ready(1).await;
    let view = store.round().await;
    write(&store, &view, 0, 20).await;
    assert!(store.run(FIRST, STOP));
    let view = store.until_ready().await;
    assert_eq!(view.primary.as_deref(), Some(SECOND));
    assert_eq!((keys(&store, FIRST).await, keys(&store, SECOND).await), (20, 20));
}
