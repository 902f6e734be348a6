//! A pod's server as a process.

use super::DEADLINE;
use learningplatform_valkey::Pod;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::{Child, Command},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The server to test with: Redis, or Valkey.
pub fn server() -> PathBuf {
    let named = std::env::var_os("LP_REDIS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|dir| dir.join("redis-server")).find(|file| file.is_file());
    named.filter(|file| file.is_file()).or_else(found).expect(
        "no redis-server: set LP_REDIS_SERVER to one (tests/cluster/cluster tools redis-server prints where the project's is), \
         or apt-get install redis-server",
    )
}

/// The client that the containers' scripts use.
pub fn client() -> PathBuf {
    let named = std::env::var_os("LP_REDIS_CLI").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = server().with_file_name("redis-cli");
    let found =
        || std::env::split_paths(&path).map(|dir| dir.join("redis-cli")).chain([beside]).find(|file| file.is_file());
    named
        .filter(|file| file.is_file())
        .or_else(found)
        .expect("no redis-cli: set LP_REDIS_CLI, or apt-get install redis-tools")
}

/// An address of 127/8 that no other test has.
pub fn address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id() as u16;
    let [high, low] = process.to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 250, low, u8::try_from(number % 250 + 1).unwrap()).into()
}

/// A pod, its volume, and its server's process.
pub struct Server {
    pub pod: Pod,
    pub volume: TempDir,
    pub process: Option<Child>,
    /// The pod's object is gone.
    pub deleted: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// As the kubelet does, with its time to save.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(&process, "TERM");
            let until = Instant::now() + DEADLINE;
            while process.try_wait().unwrap().is_none() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub fn data(&self) -> PathBuf {
        self.volume.path().join("data")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.volume.path().join("log")).unwrap_or_default()
    }
}

pub fn signal(process: &Child, name: &str) {
    let pid = process.id().to_string();
    assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
}
