//! A real Prometheus: the one that `LP_PROMETHEUS` names, else Debian's package, unpacked into the cache.

use super::{until, web::Target};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A running server; killed when dropped.
pub struct Prometheus {
    pub port: u16,
    directory: TempDir,
    child: Child,
    tls: bool,
}

/// How a target is labelled: its port and its labels.
pub type Labelled<'a> = (&'a Target, &'a [(&'a str, &'a str)]);

impl Prometheus {
    /// A server that scrapes `targets` every second. `web` is its web configuration (TLS, users), if any.
    pub async fn start(targets: &[Labelled<'_>], web: Option<&str>) -> Self {
        let directory = TempDir::new().unwrap();
        let jobs: String = targets.iter().map(job).collect();
        let config =
            format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: pods\n  static_configs:\n{jobs}");
        std::fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        if let Some(web) = web {
            std::fs::write(directory.path().join("web.yml"), web).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(directory.path(), port, web.is_some());
        let server = Self { port, directory, child, tls: web.is_some() };
        server.ready().await;
        server
    }

    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.tls { "https" } else { "http" }, self.port)
    }

    /// A file of its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Stops it and starts it again at the same address; what it has stored is lost.
    pub async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_dir_all(self.file("data")).unwrap();
        self.child = spawn(self.directory.path(), self.port, self.tls);
        self.ready().await;
    }

    /// Waits until it answers queries; with TLS until it listens, because only those who have the certificates can ask.
    async fn ready(&self) {
        let (port, tls) = (self.port, self.tls);
        until("Prometheus is ready", Duration::from_secs(60), || async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            if tls {
                return Some(());
            }
            stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            answer.lines().next()?.contains(" 200 ").then_some(())
        })
        .await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn job((target, labels): &Labelled<'_>) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}: '{value}'")).collect();
    format!("  - targets: ['127.0.0.1:{}']\n    labels: {{{}}}\n", target.port, labels.join(", "))
}

fn spawn(directory: &Path, port: u16, web: bool) -> Child {
    let file = |name: &str| directory.join(name).display().to_string();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut command = Command::new(binary());
    command
        .arg(format!("--config.file={}", file("prometheus.yml")))
        .arg(format!("--storage.tsdb.path={}", file("data")))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--storage.tsdb.retention.time=1h")
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(log);
    if web {
        command.arg(format!("--web.config.file={}", file("web.yml")));
    }
    command.spawn().unwrap()
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("LP_PROMETHEUS") {
        Some(path) => path.into(),
        None => unpacked(),
    })
}

/// Debian's package, fetched with apt and unpacked, once. Tests of several processes may do so at the same time.
fn unpacked() -> PathBuf {
    let cache = std::env::var_os("LP_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/learningplatform"),
        PathBuf::from,
    );
    let home = cache.join("operator-tests/prometheus");
    let binary = home.join("usr/bin/prometheus");
    if binary.exists() {
        return binary;
    }
    std::fs::create_dir_all(home.parent().unwrap()).unwrap();
    let work = TempDir::new_in(home.parent().unwrap()).unwrap();
    let run = |command: &mut Command| {
        let status = command.current_dir(work.path()).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "{command:?} failed");
    };
    run(Command::new("apt-get").args(["download", "prometheus"]));
    let package = std::fs::read_dir(work.path()).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension().is_some_and(|extension| extension == "deb").then_some(path)
    });
    run(Command::new("dpkg-deb").arg("-x").arg(package.expect("apt-get leaves a package")).arg("out"));
    // Whoever is second finds the first one's.
    if std::fs::rename(work.path().join("out"), &home).is_err() {
        assert!(binary.exists(), "{} is missing", binary.display());
    }
    binary
}
