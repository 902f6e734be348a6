//! Real servers as plain processes on loopback addresses of their own, never as root.

#![allow(clippy::unwrap_used, dead_code)] // Helpers of tests fail as tests do; no test uses all of them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

/// For whatever is waited for: the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What the servers want to hear; no test may find it where it does not belong.
pub const PASSWORD: &str = "s3cret-w0rd";

/// Who the servers run as where the tests run as root: PostgreSQL refuses it.
const NOBODY: u32 = 65534;

/// Waits for a condition, which is asked again and again.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first of these files that there is.
fn program(name: &str, variable: &str, places: impl IntoIterator<Item = PathBuf>) -> PathBuf {
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{name} is missing: set {variable} to what `tests/cluster/cluster tools {}` prints",
            if name == "redis-server" { name } else { "postgres" }
        )
    })
}

fn redis_server() -> PathBuf {
    let given = std::env::var_os("LP_REDIS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = std::env::split_paths(&path).map(|folder| folder.join("redis-server")).collect();
    program("redis-server", "LP_REDIS_SERVER", given.into_iter().chain(path))
}

/// `LP_POSTGRES_BIN` is the folder of the programs, or one of them.
fn postgres_bin(name: &str) -> PathBuf {
    let given = std::env::var_os("LP_POSTGRES_BIN").map(PathBuf::from);
    let given = given.map(|path| if path.is_dir() { path.join(name) } else { path.with_file_name(name) });
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let installed = versions.map(|version| version.unwrap().path().join("bin").join(name));
    program(name, "LP_POSTGRES_BIN", given.into_iter().chain(installed))
}

/// Free ports on a loopback address that no other server of the tests has.
fn free<const N: usize>() -> (Ipv4Addr, [u16; N]) {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 1 + (a ^ b) % 250, c, NEXT.fetch_add(1, Ordering::Relaxed));
    let held = [(); N].map(|()| TcpListener::bind((host, 0)).unwrap());
    (host, held.map(|listener| listener.local_addr().unwrap().port()))
}

/// An address where nobody listens.
pub fn nobody() -> SocketAddr {
    let (host, [port]) = free();
    (host, port).into()
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    give(folder.path());
    folder
}

fn give(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// A command in the folder, as somebody who is not root, telling its log.
fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    let log = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    if getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A server that runs, or was stopped and can be started again where it was.
pub struct Server {
    program: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    pub address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn new(program: PathBuf, arguments: Vec<String>, address: SocketAddr, folder: TempDir) -> Self {
        Self { program, arguments, child: None, address, folder }
    }

    /// Starts it and waits until it takes connections; what is left of a killed one may keep it from it for a moment.
    pub fn start(&mut self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let spawn = || command(&self.program, self.folder.path()).args(&self.arguments).spawn().unwrap();
            let child = self.child.get_or_insert_with(spawn);
            if child.try_wait().unwrap().is_some() {
                self.child = None;
            } else if TcpStream::connect(self.address).is_ok() {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(Instant::now() < end, "{} does not start: {}", self.program.display(), log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it with all that it has started, as a node does that has had enough of a pod.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// It keeps its connections and answers nothing, until it is thawed.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
        let all = std::iter::once(child.id()).chain(children.split_whitespace().map(|id| id.parse().unwrap()));
        for id in all {
            let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            // A child may have ended by itself.
            let sent = kill_process(pid, signal);
            assert!(sent.is_ok() || id != child.id(), "{sent:?}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Redis that flushes each write to its disk.
fn redis(cluster: bool) -> Server {
    let ((host, [port, bus]), folder) = (free(), folder());
    let mut settings = format!(
        "bind {host}\nport {port}\nprotected-mode no\nsave \"\"\nappendonly yes\nappendfsync always\n\
         requirepass {PASSWORD}\nmasterauth {PASSWORD}\nreplica-announce-ip {host}\nrepl-diskless-sync-delay 0\n"
    );
    if cluster {
        // A node that does not know its own address tells the others none.
        settings.push_str(&format!(
            "cluster-enabled yes\ncluster-port {bus}\ncluster-announce-ip {host}\ncluster-node-timeout 3000\n"
        ));
    }
    std::fs::write(folder.path().join("redis.conf"), settings).unwrap();
    let mut server = Server::new(redis_server(), vec!["redis.conf".to_owned()], (host, port).into(), folder);
    server.start();
    server
}

/// A connection that no test shares with what it tests.
pub async fn redis_client(address: SocketAddr) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(format!("redis://:{PASSWORD}@{address}")).unwrap();
    let end = Instant::now() + DEADLINE;
    loop {
        match client.get_multiplexed_async_connection().await {
            Ok(connection) => return connection,
            Err(e) => assert!(Instant::now() < end, "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs a command at a server.
pub async fn ask<T: redis::FromRedisValue>(address: SocketAddr, words: &[&str]) -> redis::RedisResult<T> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command.query_async(&mut redis_client(address).await).await
}

/// Redis or Valkey, alone or as three primaries.
pub struct Redis {
    pub nodes: Vec<Server>,
}

impl Redis {
    pub fn single() -> Self {
        Self { nodes: vec![redis(false)] }
    }

    /// Three primaries.
    pub async fn cluster() -> Self {
        let cluster = Self { nodes: (0..3).map(|_| redis(true)).collect() };
        for (node, slots) in cluster.nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
            ask::<()>(node.address, &["cluster", "addslotsrange", slots.0, slots.1]).await.unwrap();
            cluster.meet(node).await;
        }
        cluster.agreed().await;
        cluster
    }

    /// Adds a replica of a node, and waits until it has all of it.
    pub async fn add_replica(&mut self, of: usize) {
        let node = redis(true);
        self.meet(&node).await;
        let replica = node.address;
        self.nodes.push(node);
        self.agreed().await;
        let id: String = ask(self.nodes[of].address, &["cluster", "myid"]).await.unwrap();
        ask::<()>(replica, &["cluster", "replicate", &id]).await.unwrap();
        until("the replica has its link", async || {
            ask::<String>(replica, &["info", "replication"]).await.unwrap().contains("master_link_status:up")
        })
        .await;
        self.agreed().await;
    }

    async fn meet(&self, node: &Server) {
        let at = node.address;
        let bus: Vec<String> = ask(at, &["config", "get", "cluster-port"]).await.unwrap();
        let meet = ["cluster", "meet", &at.ip().to_string(), &at.port().to_string(), &bus[1]];
        ask::<()>(self.nodes[0].address, &meet).await.unwrap();
    }

    /// Waits until every node says that the whole cluster is well.
    pub async fn agreed(&self) {
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        for node in &self.nodes {
            until("all nodes agree", async || {
                let info: String = ask(node.address, &["cluster", "info"]).await.unwrap();
                info.contains("cluster_state:ok") && info.contains(&known)
            })
            .await;
        }
    }

    /// The variables of an app that is wired to it.
    pub fn variables(&self) -> Vec<(String, String)> {
        let url = format!("redis://:{PASSWORD}@{}", self.nodes[0].address);
        vec![("REDIS_URL".into(), url), ("REDIS_CLUSTER".into(), (self.nodes.len() > 1).to_string())]
    }

    /// Runs a command of one key at the node that has it.
    pub async fn on_key<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        for node in &self.nodes {
            match ask(node.address, words).await {
                Ok(answer) => return answer,
                Err(e) => assert!(e.to_string().to_lowercase().contains("moved"), "{e}"),
            }
        }
        panic!("no node has {words:?}");
    }
}

/// A service's address: new connections go to the server that it leads to now, open ones stay where they are.
pub struct Service {
    pub address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
}

impl Service {
    pub async fn new(target: SocketAddr) -> Self {
        let (target, listener) =
            (Arc::new(Mutex::new(target)), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let leads = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = *leads.lock().unwrap();
                tokio::spawn(async move {
                    if let Ok(mut server) = tokio::net::TcpStream::connect(target).await {
                        drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        });
        Self { address, target }
    }

    pub fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }
}

/// PostgreSQL with what it promises by default: an acknowledged commit is on the disk.
pub struct Postgres {
    pub server: Server,
}

impl Postgres {
    pub fn new() -> Self {
        let mut postgres = Self::stopped();
        postgres.server.start();
        postgres
    }

    /// Made, but not started.
    pub fn stopped() -> Self {
        let ((host, [port]), folder) = (free(), folder());
        let word = folder.path().join("word");
        std::fs::write(&word, PASSWORD).unwrap();
        give(&word);
        let made = command(&postgres_bin("initdb"), folder.path())
            .args([
                "-D",
                "data",
                "-U",
                "app",
                "-A",
                "scram-sha-256",
                "--pwfile=word",
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            ])
            .status()
            .unwrap();
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(made.success(), "{}", log());
        let settings = [
            format!("listen_addresses={host}"),
            format!("port={port}"),
            format!("unix_socket_directories={}", folder.path().display()),
            // One that is killed leaves what it shares through memory; through files it goes with its folder.
            "dynamic_shared_memory_type=mmap".to_owned(),
        ];
        let arguments = ["-D".to_owned(), "data".to_owned()].into_iter();
        let arguments = arguments.chain(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        Self { server: Server::new(postgres_bin("postgres"), arguments.collect(), (host, port).into(), folder) }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://app:{PASSWORD}@{}/{database}", self.server.address)
    }

    pub fn variables(&self) -> Vec<(String, String)> {
        vec![("DATABASE_URL".into(), self.url("postgres"))]
    }

    /// Runs statements; gives the first column of the rows of the last one.
    pub async fn sql(&self, database: &str, statements: &str) -> Vec<String> {
        let end = Instant::now() + DEADLINE;
        let (client, connection) = loop {
            match tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await {
                Ok(connected) => break connected,
                Err(e) => assert!(Instant::now() < end, "{e:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::spawn(connection);
        let mut rows = Vec::new();
        for message in client.simple_query(statements).await.unwrap() {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                rows.push(row.get(0).unwrap_or_default().to_owned());
            }
        }
        rows
    }
}
