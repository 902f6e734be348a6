//! A server that speaks AWS's wire protocols: ministack, as a process of its own.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// The program that `tests/run` has installed, or installs it.
fn ministack() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let build = folders.find_map(|root| Some(root.join("tests/ministack/build")).filter(|path| path.exists()));
        let built = Command::new(build.expect("it is in the tree")).output().expect("it is in the tree");
        assert!(built.status.success(), "tests/ministack/build: {built:?}");
        PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim())
    };
    PROGRAM.get_or_init(|| std::env::var_os("LP_MINISTACK").map_or_else(build, PathBuf::from))
}

/// A server. It ends with the last test that uses it.
pub struct Server {
    address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// The one that runs, or a new one.
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *running = Arc::downgrade(&server);
            server
        })
    }

    fn start() -> Self {
        let end = Instant::now() + PATIENCE;
        loop {
            let folder = tempfile::tempdir().expect("a folder");
            // Free a moment ago: who takes it meanwhile makes the server end, and another is tried.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
            let address = free.expect("a port is free");
            let log = || File::options().append(true).create(true).open(folder.path().join("log")).expect("a log");
            let child = Command::new(ministack())
                .current_dir(folder.path())
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", address.port().to_string())
                .env("HOME", folder.path())
                .env("TMPDIR", folder.path())
                .stdin(Stdio::null())
                .stdout(log())
                .stderr(log())
                .spawn()
                .expect("it runs");
            let mut server = Self { address, child, folder };
            while server.child.try_wait().expect("it is ours").is_none() {
                if server.is_healthy() {
                    return server;
                }
                assert!(Instant::now() < end, "ministack does not answer: {}", server.log());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(Instant::now() < end, "ministack ends: {}", server.log());
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn is_healthy(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().is_ok_and(|answer| answer.ends_with(b"200"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An account that no other test has: the server takes it from a key of 12 digits.
pub fn account() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(100_000_000_001);
    NEXT.fetch_add(1, Ordering::SeqCst).to_string()
}
