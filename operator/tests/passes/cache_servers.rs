//! Servers of a cache as plain processes: a cluster without replicas that asks for no password, and whose members somebody else put
//! together, as AWS does.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const SLOTS: u16 = 16384;
const PATIENCE: Duration = Duration::from_secs(240);

/// A cluster whose shards are one server each.
pub struct CacheServers(Vec<CacheServer>);

struct CacheServer {
    port: u16,
    slots: (u16, u16),
    child: Child,
    _directory: TempDir,
}

impl CacheServers {
    /// So many shards, with all slots in equal shares.
    pub fn start(shards: u16) -> Self {
        let share = |shard: u16| (u32::from(shard) * u32::from(SLOTS) / u32::from(shards)) as u16;
        let servers: Vec<_> =
            (0..shards).map(|shard| CacheServer::start((share(shard), share(shard + 1) - 1))).collect();
        for server in &servers {
            let (first, last) = server.slots;
            assert_eq!(server.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")), "OK");
        }
        for (server, bus) in servers.iter().skip(1).map(|server| (server, server.port + 1)) {
            assert_eq!(servers[0].ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port)), "OK");
        }
        let known = format!("cluster_known_nodes:{shards}");
        let agrees = |server: &CacheServer| {
            let info = server.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains(&known)
        };
        let end = Instant::now() + PATIENCE;
        while !servers.iter().all(agrees) {
            assert!(Instant::now() < end, "{}", servers[0].ask("CLUSTER NODES"));
            std::thread::sleep(Duration::from_millis(50));
        }
        Self(servers)
    }

    /// Where one of them listens, who names all others.
    pub fn port(&self) -> u16 {
        self.0[0].port
    }

    /// The slots of each shard, in AWS's words.
    pub fn slots(&self) -> Vec<String> {
        self.0.iter().map(|server| format!("{}-{}", server.slots.0, server.slots.1)).collect()
    }

    /// As if what each of them holds were such a share of its memory.
    pub fn fill(&self, percent: u64) {
        for server in &self.0 {
            let info = server.ask("INFO memory");
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is told");
            let used: u64 = used.trim().parse().unwrap();
            assert_eq!(server.ask(&format!("CONFIG SET maxmemory {}", used * 100 / percent)), "OK");
        }
    }
}

impl CacheServer {
    fn start(slots: (u16, u16)) -> Self {
        let port = free();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(server());
        command.current_dir(directory.path()).args(["--bind", "127.0.0.1", "--save", "", "--cluster-enabled", "yes"]);
        command.args(["--cluster-announce-ip", "127.0.0.1"]);
        command.args(["--port", &port.to_string(), "--cluster-port", &(port + 1).to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Self { port, slots, child, _directory: directory };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "no server on port {port}");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    /// One command, as a person would type it, and the words of its answer.
    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line).unwrap();
        match line.trim_end().split_at(1) {
            ("$", length) => {
                let mut text = vec![0; length.parse().unwrap()];
                answer.read_exact(&mut text).unwrap();
                String::from_utf8(text).unwrap()
            }
            (_, words) => words.to_owned(),
        }
    }
}

impl Drop for CacheServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports side by side that nobody uses, for clients and for the other servers.
fn free() -> u16 {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let beside = port.checked_add(1).map(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next)));
        if beside.is_some_and(|bound| bound.is_ok()) {
            return port;
        }
    }
}

/// The server to test with: Redis, or Valkey.
fn server() -> PathBuf {
    let named = std::env::var_os("LP_REDIS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|dir| dir.join("redis-server")).find(|file| file.is_file());
    named.filter(|file| file.is_file()).or_else(found).expect(
        "no redis-server: set LP_REDIS_SERVER to one (tests/cluster/cluster tools redis-server prints where the project's is), \
         or apt-get install redis-server",
    )
}
