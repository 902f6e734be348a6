//! A replica that joins with an empty volume, beside plain `pg_basebackup` of the same primary, in turns: seconds per GiB. Ours are
//! counted until the replica streams and Services may lead to it, those of `pg_basebackup` until the copy is there.
#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

#[path = "../tests/postgres/support/mod.rs"]
mod support;

use learningplatform_postgres::Role;
use std::{fs, time::Instant};
use support::Cluster;

const TURNS: usize = 5;
const REPLICA: Role = Role::Replica(0);
const GIB: f64 = (1_u64 << 30) as f64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --all-targets` starts it, too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut cluster = Cluster::new(1);
    cluster.settle().await;
    let size = fill(&mut cluster);
    println!("data of {size:.2} GiB");
    let mut results = [("ours", Vec::new()), ("pg_basebackup", Vec::new())];
    for _ in 0..TURNS {
        cluster.settle().await;
        let node = cluster.node(REPLICA);
        node.stop();
        fs::remove_dir_all(node.dir.join("volume")).unwrap();
        let plain = plain(&mut cluster);
        let begun = Instant::now();
        cluster.start(REPLICA);
        cluster.settle().await;
        for ((way, times), seconds) in results.iter_mut().zip([begun.elapsed().as_secs_f64(), plain]) {
            println!("{way:14} {:6.2} s/GiB", seconds / size);
            times.push(seconds / size);
        }
    }
    let medians = results.map(|(way, mut times)| {
        times.sort_by(f64::total_cmp);
        println!("{way:14} {:6.2} s/GiB   median of {TURNS}", times[TURNS / 2]);
        times[TURNS / 2]
    });
    println!("ratio {:.2}", medians[0] / medians[1]);
}

/// Writes some data, and says how much there is, GiB.
fn fill(cluster: &mut Cluster) -> f64 {
    let primary = cluster.node(Role::Primary);
    primary.superuser(
        "CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 24) AS filling FROM generate_series(1, 1200000) AS i",
    );
    primary.superuser("CHECKPOINT");
    let size = primary.superuser("SELECT sum(pg_database_size(oid)) FROM pg_database");
    size.parse::<f64>().unwrap() / GIB
}

/// Seconds that a plain copy takes, by the login of replicas and onto the same disk.
fn plain(cluster: &mut Cluster) -> f64 {
    let (host, port) = cluster.endpoint(Role::Primary);
    let node = cluster.node(REPLICA);
    let to = node.dir.join("run/plain");
    let passfile = node.dir.join("run/pgpass");
    let from = format!("host={host} port={port} user=lp_replication passfile={}", passfile.display());
    let begun = Instant::now();
    node.offline(|run| run("pg_basebackup", &["-d", &from, "-D", to.to_str().unwrap(), "-X", "stream", "-c", "fast"]));
    let took = begun.elapsed().as_secs_f64();
    fs::remove_dir_all(to).unwrap();
    took
}
