//! A real Prometheus of the test's own, scraping a [`super::Load`] every second.

use super::{Load, operator::free_address};
use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running Prometheus on a loopback port. Killed when dropped.
pub struct Prometheus {
    child: Child,
    /// Base address.
    pub url: String,
    dir: PathBuf,
    address: String,
}

/// The Prometheus binary: `LP_PROMETHEUS`, else the one on the path.
fn binary() -> String {
    std::env::var("LP_PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned())
}

impl Prometheus {
    /// Starts one that scrapes the load every second, and waits until it answers.
    pub async fn start(dir: &std::path::Path, load: &Load) -> Self {
        let address = free_address();
        let dir = dir.join(format!("prometheus-{}", address.replace(':', "-")));
        std::fs::create_dir_all(&dir).expect("a directory");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nscrape_configs:\n\
             - {{job_name: apps, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n",
            load.address
        );
        std::fs::write(dir.join("prometheus.yml"), config).expect("a configuration");
        let child = Self::spawn(&dir, &address);
        let prometheus = Self { child, url: format!("http://{address}"), dir, address };
        prometheus.ready().await;
        prometheus
    }

    fn spawn(dir: &std::path::Path, address: &str) -> Child {
        let log = File::create(dir.join("log")).expect("a log file");
        Command::new(binary())
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus starts: LP_PROMETHEUS or the path names it")
    }

    async fn ready(&self) {
        let up = || async {
            let answer = tokio::net::TcpStream::connect(&self.address).await;
            answer.is_ok()
        };
        super::eventually("Prometheus listens", Duration::from_secs(60), up, |up| *up).await;
    }

    /// SIGKILL: queries fail from now on.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same address with the same data.
    pub async fn restart(&mut self) {
        self.stop();
        self.child = Self::spawn(&self.dir, &self.address);
        self.ready().await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.stop();
    }
}
