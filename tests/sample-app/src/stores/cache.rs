//! Redis or Valkey: one connection that all requests share, or one to each node of a cluster.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, TlsCertificates,
};
use tokio::time::{Instant, timeout};

use super::retry::{Counts, Patience, StoreError, persist};
use super::settings::CacheSettings;

/// Longest time for one TCP connection and its login. (P)
const CONNECT: Duration = Duration::from_secs(1);

/// Longest wait for the answer to one command; a node that is frozen or cut off keeps its connection open. (P)
const ANSWER: Duration = Duration::from_secs(1);

/// Longest time to find a cluster's nodes and to connect to them, those that do not answer included. (P)
const FIND: Duration = Duration::from_secs(5);

/// Redirects (MOVED, ASK) that the cluster's client follows within one try. While a slot moves a command meets two. (P)
const REDIRECTS: u32 = 5;

/// A cache. Redirects of a cluster that its client follows at once are not counted as retries.
pub struct Cache {
    shared: Arc<Inner>,
    counts: Counts,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl Cache {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// Where the settings fit no client.
    pub fn new(settings: &CacheSettings, counts: Counts) -> Result<Self, StoreError> {
        let server = settings.server.clone();
        let authority = settings.authority.as_deref().map(|file| {
            let authority = std::fs::read(file);
            authority.map_err(|e| StoreError::Terminal(format!("{}: {e}", file.display())))
        });
        let certificates = authority.transpose()?;
        let certificates = certificates.map(|root| TlsCertificates { client_tls: None, root_cert: Some(root) });
        let server = if settings.cluster {
            let builder = ClusterClient::builder([server]).retries(REDIRECTS).connection_timeout(CONNECT);
            let builder = certificates.into_iter().fold(builder, redis::cluster::ClusterClientBuilder::certs);
            builder.response_timeout(ANSWER).build().map(|client| Server::Cluster(Box::new(client)))
        } else {
            match certificates {
                Some(certificates) => Client::build_with_tls(server, certificates),
                None => Client::open(server),
            }
            .map(|client| Server::Single(Box::new(client)))
        };
        let server = server.map_err(|e| StoreError::Terminal(e.to_string()))?;
        Ok(Self { shared: Arc::new(Inner { server, links: Mutex::default() }), counts })
    }

    /// The same connections, for what is not counted.
    #[must_use]
    pub fn uncounted(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), counts: Counts::default() }
    }

    /// Runs a command of one key, which must bear being run twice.
    ///
    /// # Errors
    /// What is left after the retries.
    pub async fn ask<T: FromRedisValue>(&self, patience: Patience, command: &Cmd) -> Result<T, StoreError> {
        let broken = AtomicU64::new(0);
        persist(patience, &self.counts, |limit| self.once(limit, command, &broken)).await
    }

    /// `broken` is the number of the newest link that has failed here, so that the next try takes a newer one.
    async fn once<T: FromRedisValue>(
        &self,
        limit: Duration,
        command: &Cmd,
        broken: &AtomicU64,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let link = timeout(limit, self.shared.link(broken.load(Ordering::Relaxed)));
        let (number, link) = link.await.map_err(|_| StoreError::no_answer(limit))??;
        let left = limit.saturating_sub(begun.elapsed());
        let asked = match link {
            Link::Single(mut link) => timeout(left, command.query_async(&mut link)).await,
            Link::Cluster(mut link) => timeout(left, command.query_async(&mut link)).await,
        };
        let error = match asked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(e)) => of_server(&e, matches!(self.shared.server, Server::Cluster(_))),
            Err(_) => StoreError::no_answer(limit),
        };
        if matches!(error, StoreError::Retry(_)) {
            broken.fetch_max(number, Ordering::Relaxed);
        }
        Err(error)
    }
}

enum Server {
    Single(Box<Client>),
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A link with its number; later ones have higher numbers.
type Numbered = Result<(u64, Link), StoreError>;

struct Inner {
    server: Server,
    links: Mutex<Links>,
}

#[derive(Default)]
struct Links {
    /// Who is not served by it asks for a newer one; the others go on with it meanwhile: of a cluster one node may be gone
    /// while the others answer.
    newest: Option<(u64, Link)>,
    pending: Option<Shared<BoxFuture<'static, Numbered>>>,
}

impl Inner {
    /// A link that is newer than the broken one. Whoever needs one at the same time waits for the same attempt, which goes on
    /// where the one who wanted it first has given up.
    fn link(self: &Arc<Self>, broken: u64) -> impl Future<Output = Numbered> + use<> {
        let mut links = self.links.lock();
        if let Some((number, link)) = links.newest.clone().filter(|(number, _)| *number > broken) {
            return futures::future::ready(Ok((number, link))).left_future();
        }
        let pending = links.pending.get_or_insert_with(|| {
            let made = tokio::spawn(Arc::clone(self).make());
            let made = async { made.await.unwrap_or_else(|e| Err(StoreError::Retry(e.to_string()))) };
            made.boxed().shared()
        });
        pending.clone().right_future()
    }

    async fn make(self: Arc<Self>) -> Numbered {
        let made = match timeout(FIND, self.connect()).await {
            Ok(made) => made.map_err(|e| of_connecting(&e)),
            Err(_) => Err(StoreError::no_answer(FIND)),
        };
        let mut links = self.links.lock();
        links.pending = None;
        let number = links.newest.as_ref().map_or(1, |(number, _)| number + 1);
        let numbered = (number, made?);
        links.newest = Some(numbered.clone());
        Ok(numbered)
    }

    /// The one place where connections are made.
    async fn connect(&self) -> Result<Link, RedisError> {
        match &self.server {
            Server::Single(client) => {
                let config = AsyncConnectionConfig::new();
                let config = config.set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Link::Single)
            }
            Server::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
        }
    }
}

/// Only a refused login stays; a server that starts, or that has just become another one's, answers in many ways.
fn of_connecting(error: &RedisError) -> StoreError {
    let text = error.to_string();
    if error.kind() == ErrorKind::AuthenticationFailed || text.contains("WRONGPASS") || text.contains("NOAUTH") {
        StoreError::Terminal(text)
    } else {
        StoreError::Retry(text)
    }
}

fn of_server(error: &RedisError, cluster: bool) -> StoreError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) if !cluster => {
            StoreError::Terminal(format!("{text}: the server is a cluster's, so that REDIS_CLUSTER must be true"))
        }
        // A primary that has become a replica: the service leads elsewhere now.
        ErrorKind::Server(ServerErrorKind::ReadOnly) => StoreError::Retry(text),
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading,
        ) => StoreError::Wait(text),
        // Too few replicas answer (min-replicas-to-write); a script runs.
        ErrorKind::Extension if matches!(error.code(), Some("NOREPLICAS" | "BUSY")) => StoreError::Wait(text),
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::Client | ErrorKind::ClusterConnectionNotFound => {
            StoreError::Retry(text)
        }
        _ => StoreError::Terminal(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(answer: &str, cluster: bool) -> StoreError {
        let value = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
        of_server(&value.extract_error().unwrap_err(), cluster)
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for answer in [
            "MOVED 3999 127.0.0.1:6381",
            "ASK 3999 127.0.0.1:6381",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN The cluster is down",
            "MASTERDOWN Link with MASTER is down",
            "LOADING Redis is loading the dataset in memory",
            "NOREPLICAS Not enough good replicas to write.",
        ] {
            assert!(matches!(class(answer, true), StoreError::Wait(_)), "{answer}");
        }
        assert!(matches!(class("READONLY You can't write against a read only replica.", true), StoreError::Retry(_)));
        for answer in ["WRONGTYPE Operation", "OOM command not allowed", "NOAUTH Authentication required.", "ERR no"] {
            assert!(matches!(class(answer, true), StoreError::Terminal(_)), "{answer}");
        }
    }

    #[test]
    fn a_client_that_is_not_aware_of_the_cluster_says_so() {
        let error = class("MOVED 3999 127.0.0.1:6381", false);
        assert!(matches!(&error, StoreError::Terminal(text) if text.contains("REDIS_CLUSTER")), "{error}");
    }
}
