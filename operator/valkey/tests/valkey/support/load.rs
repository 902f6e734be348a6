//! A client under load that keeps a ledger of every acknowledged write.

use super::{Store, reveal};
use redis::{AsyncCommands, cluster::ClusterClientBuilder};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Ledger>>,
}

#[derive(Default, Debug)]
pub struct Ledger {
    /// The last acknowledged value of each key.
    pub acknowledged: BTreeMap<String, u64>,
    pub errors: Vec<String>,
    /// The longest time that a write took, or failed for.
    pub pause: Duration,
}

pub async fn cluster(store: &Store) -> redis::cluster_async::ClusterConnection {
    with_password(store, reveal(&store.wish.passwords.current)).await
}

pub async fn with_password(store: &Store, password: &str) -> redis::cluster_async::ClusterConnection {
    connect(&store.addresses(), password).await
}

pub async fn connect(addresses: &[SocketAddr], password: &str) -> redis::cluster_async::ClusterConnection {
    let urls: Vec<redis::ConnectionInfo> = addresses
        .iter()
        .map(|address| {
            let address = redis::ConnectionAddr::Tcp(address.ip().to_string(), address.port());
            redis::IntoConnectionInfo::into_connection_info(address).unwrap()
        })
        .collect();
    let client = ClusterClientBuilder::new(urls)
        .password(password)
        .retries(16)
        .min_retry_wait(10)
        .max_retry_wait(100)
        .connection_timeout(Duration::from_secs(2))
        .response_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    client.get_async_connection().await.unwrap()
}

impl Load {
    /// Writers, each with keys of its own, each key written again and again with a growing number.
    pub async fn start(store: &Store, writers: u64, keys: u64) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for writer in 0..writers {
            let (stop, written) = (stop.clone(), written.clone());
            let mut connection = cluster(store).await;
            tasks.push(tokio::spawn(async move {
                let mut ledger = Ledger::default();
                let mut number = 0;
                let mut since = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let key = format!("w{writer}:{}", number % keys);
                    match connection.set::<_, _, ()>(&key, number).await {
                        Ok(()) => {
                            ledger.acknowledged.insert(key, number);
                            written.fetch_add(1, Ordering::Relaxed);
                            ledger.pause = ledger.pause.max(since.elapsed());
                            since = Instant::now();
                        }
                        Err(error) => ledger.errors.push(error.to_string()),
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                ledger
            }));
        }
        Self { stop, written, tasks }
    }

    /// Waits for so many more acknowledged writes.
    pub async fn more(&self, writes: u64) {
        let goal = self.written.load(Ordering::Relaxed) + writes;
        let until = Instant::now() + Duration::from_secs(60);
        while self.written.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < until, "no writes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for task in self.tasks {
            let one = task.await.unwrap();
            all.acknowledged.extend(one.acknowledged);
            all.errors.extend(one.errors);
            all.pause = all.pause.max(one.pause);
        }
        all
    }
}

impl Ledger {
    /// Acknowledged writes that are not there: the key is missing, or its number is an older one.
    pub async fn lost(&self, store: &Store) -> Vec<String> {
        let mut connection = cluster(store).await;
        let mut lost = Vec::new();
        for (key, number) in &self.acknowledged {
            let found: Option<u64> = connection.get(key).await.unwrap();
            if found.is_none_or(|found| found < *number) {
                lost.push(format!("{key}: {number} acknowledged, {found:?} found"));
            }
        }
        lost
    }
}

/// Keys that nobody writes any more: `k:0` to `k:<count - 1>`, with their numbers.
pub async fn fill(store: &Store, count: u64) {
    let connection = cluster(store).await;
    let writers = (0..16).map(|writer| {
        let mut connection = connection.clone();
        async move {
            for number in (writer..count).step_by(16) {
                connection.set::<_, _, ()>(format!("k:{number}"), number).await.unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
}

/// How many of them are there.
pub async fn filled(store: &Store, count: u64) -> u64 {
    let connection = cluster(store).await;
    let readers = (0..16).map(|reader| {
        let mut connection = connection.clone();
        async move {
            let mut found = 0;
            for number in (reader..count).step_by(16) {
                let value: Option<u64> = connection.get(format!("k:{number}")).await.unwrap();
                found += u64::from(value == Some(number));
            }
            found
        }
    });
    futures::future::join_all(readers).await.into_iter().sum()
}
