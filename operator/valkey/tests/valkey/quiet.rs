//! Real servers: rounds over a settled store change nothing in it, by the servers' own count of commands.

use crate::support::Store;
use learningplatform_valkey::*;
use std::collections::{BTreeMap, BTreeSet};

/// Commands that only look, and those of a client that says who it is.
const LOOKS: [&str; 11] = [
    "info",
    "auth",
    "hello",
    "client|setinfo",
    "acl|getuser",
    "config|get",
    "command|info",
    "cluster|info",
    "cluster|nodes",
    "cluster|slots",
    "cluster|shards",
];
/// What the servers send each other: replicas are asked whether they are there, and say how far they are.
const BETWEEN_SERVERS: [&str; 2] = ["ping", "replconf"];

/// How often each command was called, by pod.
async fn calls(store: &Store) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for pod in store.pods.iter().map(|one| one.pod.name.clone()) {
        let said = store.text(&pod, &["INFO", "commandstats"]).await;
        let one = |line: &str| {
            let (command, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((command.to_owned(), figures.split(',').next()?.parse().ok()?))
        };
        all.insert(pod, said.lines().filter_map(one).collect());
    }
    all
}

#[tokio::test]
async fn rounds_over_a_settled_store_only_look() {
    for (mode, shards) in [(Mode::Cluster, 3), (Mode::Single, 1)] {
        let mut store = Store::new(mode, shards, 1);
        store.until_ready().await;
        for _ in 0..3 {
            store.round().await;
        }
        let (acts, before) = (store.done.len(), calls(&store).await);
        let rounds = 20;
        for _ in 0..rounds {
            assert_eq!(store.round().await.verdict, Verdict::Ready);
        }
        assert_eq!(store.done.len(), acts, "{:?}", store.done.last());
        let after = calls(&store).await;
        let mut called = BTreeSet::new();
        for (pod, now) in &after {
            let grown = now.iter().filter(|(command, calls)| before[pod].get(*command).unwrap_or(&0) < calls);
            called.extend(grown.map(|(command, _)| command.as_str()));
            let info = now["info"] - before[pod].get("info").unwrap_or(&0);
            assert!(info >= rounds, "{pod} was looked at in each round: {info}");
        }
        called.retain(|command| !LOOKS.contains(command) && !BETWEEN_SERVERS.contains(command));
        assert_eq!(called, BTreeSet::new(), "{mode:?}");
    }
}
