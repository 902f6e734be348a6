//! Slots moved by this crate and by `redis-cli --cluster reshard` in turns, on the same data and under the same load: keys per second,
//! and what a client sees meanwhile. Wants `redis-cli` beside the server, or on PATH.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

#[path = "../tests/valkey/support/mod.rs"]
mod support;

use learningplatform_valkey::*;
use redis::AsyncCommands;
use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use support::{PORT, SECRET, Store, load};

const KEYS: u64 = 150_000;
const SLOTS_MOVED: u32 = 2_000;
const TURNS: usize = 5;
const SPAN: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --all-targets` starts it, too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut store = Store::new(Mode::Cluster, 3, 0);
    store.until_ready().await;
    load::fill(&store, KEYS).await;
    let ways: &[&str] = &["ours, key by key", "redis-cli", "ours, as a whole"];
    let mut results: Vec<(&str, Vec<f64>, Vec<f64>)> = ways.iter().map(|way| (*way, Vec::new(), Vec::new())).collect();
    let mut there = true;
    for _ in 0..TURNS {
        for (way, rates, tails) in &mut results {
            let (from, to) =
                if there { ("story-cache-s0-0", "story-cache-s1-0") } else { ("story-cache-s1-0", "story-cache-s0-0") };
            let Some((rate, tail)) = turn(&store, way, from, to).await else { continue };
            there = !there;
            rates.push(rate);
            tails.push(tail);
        }
    }
    let mut medians = Vec::new();
    for (way, mut rates, mut tails) in results {
        rates.sort_by(f64::total_cmp);
        tails.sort_by(f64::total_cmp);
        let (Some(rate), Some(tail)) = (rates.get(rates.len() / 2), tails.get(tails.len() / 2)) else { continue };
        println!("{way:18} {rate:9.0} keys/s   client p99 {tail:6.2} ms   medians of {}", rates.len());
        medians.push((rate.to_owned(), tail.to_owned()));
    }
    if let [ours, theirs, ..] = medians.as_slice() {
        println!("ours / redis-cli: keys per second {:.2}, client p99 {:.2}", ours.0 / theirs.0, ours.1 / theirs.1);
    }
}

async fn turn(store: &Store, way: &str, from: &str, to: &str) -> Option<(f64, f64)> {
    let pods: Vec<Pod> = store.pods.iter().map(|one| one.pod.clone()).collect();
    let seen = loop {
        let seen = Seen { sightings: store.edge().observe(&pods).await, failures: Vec::new() };
        if decide(&store.wish, &seen).view.agreed {
            break seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let owner = seen.sightings.iter().find(|sighting| sighting.pod.name == from)?;
    let Answer::Node(node) = &owner.answer else { return None };
    let cluster = node.cluster.as_ref()?;
    let slots = cluster.myself()?.slots.lowest(SLOTS_MOVED);
    let keys = node.store.keys as f64 * f64::from(SLOTS_MOVED) / f64::from(cluster.myself()?.slots.len());
    if way.ends_with("whole") && !cluster.moves_slots {
        return None;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4).map(|_| tokio::spawn(client(stop.clone(), store_connection(store)))).collect();
    let mut connections = Vec::new();
    for client in clients {
        connections.push(client);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    if way == "redis-cli" {
        reshard(store, &id(store, from).await, &id(store, to).await);
    } else {
        let way = if way.ends_with("whole") { Way::Whole } else { Way::Keys };
        let act = Act::Move(Move { from: from.to_owned(), to: to.to_owned(), slots, way });
        // A worker's task, as in the operator.
        let edge = store.edge();
        let carried = tokio::spawn(async move { edge.carry_out(&[act], &seen, Duration::from_secs(120)).await });
        let failures = carried.await.expect("an end");
        assert!(failures.is_empty(), "{failures:?}");
    }
    let took = start.elapsed().as_secs_f64();
    // A client meets each moved slot once however long the move takes: its percentile is of one span of time for all.
    tokio::time::sleep(SPAN.saturating_sub(start.elapsed())).await;
    stop.store(true, Ordering::Relaxed);
    let mut times: Vec<f64> = Vec::new();
    for client in connections {
        times.extend(client.await.ok()?);
    }
    times.sort_by(f64::total_cmp);
    let tail = times.get(times.len() * 99 / 100)? * 1000.0;
    println!("{way:18} {:9.0} keys/s in {took:.2} s   client p99 {tail:6.2} ms of {}", keys / took, times.len());
    Some((keys / took, tail))
}

fn store_connection(store: &Store) -> impl Future<Output = redis::cluster_async::ClusterConnection> + Send + use<> {
    let addresses = store.addresses();
    async move { load::connect(&addresses, SECRET).await }
}

/// Reads and writes at a steady pace; how long each took, in seconds.
async fn client(
    stop: Arc<AtomicBool>,
    connection: impl Future<Output = redis::cluster_async::ClusterConnection>,
) -> Vec<f64> {
    let mut connection = connection.await;
    let mut times = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number = (number + 7919) % KEYS;
        let start = Instant::now();
        connection.set::<_, _, ()>(format!("k:{number}"), number).await.expect("a write");
        times.push(start.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times
}

async fn id(store: &Store, pod: &str) -> String {
    store.text(pod, &["CLUSTER", "MYID"]).await
}

fn reshard(store: &Store, from: &str, to: &str) {
    let beside = support::server().with_file_name("redis-cli");
    let cli = std::env::var_os("LP_REDIS_CLI").map(PathBuf::from).unwrap_or(beside);
    let cli = if cli.is_file() { cli } else { "redis-cli".into() };
    let seed = format!("{}:{PORT}", store.addresses()[0].ip());
    let slots = SLOTS_MOVED.to_string();
    let done = Command::new(cli)
        .args(["--cluster", "reshard", &seed, "--cluster-from", from, "--cluster-to", to])
        .args(["--cluster-slots", &slots, "--cluster-yes"])
        .env("REDISCLI_AUTH", SECRET)
        .output()
        .expect("redis-cli");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout).lines().last().unwrap_or_default());
}
