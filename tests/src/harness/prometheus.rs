//! A real Prometheus of the test's own, scraping a [`super::Load`] every second.

use super::{Load, TestNamespace, operator::free_address};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::task::JoinSet;

/// A running Prometheus on a loopback port. Killed when dropped.
pub struct Prometheus {
    child: Child,
    /// Base address.
    pub url: String,
    dir: PathBuf,
    address: String,
    _targets: Option<JoinSet<()>>,
}

/// Pods that a Prometheus scrapes beside the load.
pub struct Pods<'a> {
    /// Where they run.
    pub namespace: &'a TestNamespace,
    /// Port of the exposition.
    pub port: u16,
    /// Path of the exposition.
    pub path: &'a str,
}

impl Pods<'_> {
    fn job(&self, targets: &Path) -> String {
        let targets = targets.display();
        format!(
            "- {{job_name: pods, metrics_path: {}, file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]}}\n",
            self.path
        )
    }

    /// Keeps the file of targets up to date, with the labels that the usual annotation scrape gives.
    fn keep(&self, targets: &Path) -> JoinSet<()> {
        let (api, port, targets) = (self.namespace.api::<Pod>(), self.port, targets.to_owned());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut written = String::new();
            loop {
                if let Ok(pods) = api.list(&ListParams::default()).await {
                    let of = |pod: Pod| {
                        let ip = pod.status.filter(|s| s.phase.as_deref() == Some("Running"))?.pod_ip?;
                        let labels = json!({"namespace": pod.metadata.namespace, "pod": pod.metadata.name});
                        Some(json!({"targets": [format!("{ip}:{port}")], "labels": labels}))
                    };
                    let found = Value::from_iter(pods.items.into_iter().filter_map(of)).to_string();
                    if found != written {
                        let draft = targets.with_extension("draft");
                        std::fs::write(&draft, &found).expect("a file of targets");
                        std::fs::rename(&draft, &targets).expect("a file of targets");
                        written = found;
                    }
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        tasks
    }
}

/// The Prometheus binary: `LP_PROMETHEUS`, else the one on the path.
fn binary() -> String {
    std::env::var("LP_PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned())
}

impl Prometheus {
    /// Starts one that scrapes the load every second, and waits until it answers.
    pub async fn start(dir: &Path, load: &Load) -> Self {
        Self::start_with(dir, load, None).await
    }

    /// As [`Self::start`]; it also scrapes real pods.
    pub async fn start_with(dir: &Path, load: &Load, pods: Option<Pods<'_>>) -> Self {
        let address = free_address();
        let dir = dir.join(format!("prometheus-{}", address.replace(':', "-")));
        std::fs::create_dir_all(&dir).expect("a directory");
        let targets = dir.join("pods.json");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nscrape_configs:\n\
             - {{job_name: apps, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n{}",
            load.address,
            pods.as_ref().map(|pods| pods.job(&targets)).unwrap_or_default()
        );
        std::fs::write(dir.join("prometheus.yml"), config).expect("a configuration");
        let child = Self::spawn(&dir, &address);
        let prometheus = Self {
            child,
            url: format!("http://{address}"),
            dir,
            address,
            _targets: pods.map(|pods| pods.keep(&targets)),
        };
        prometheus.ready().await;
        prometheus
    }

    fn spawn(dir: &Path, address: &str) -> Child {
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

    /// The one value that an expression has now; none where it has none, or several.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let path = format!("/api/v1/query?query={}", super::http::escaped(expression));
        let (_, body) = super::get(&self.address, &path).await?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        let result = answer["data"]["result"].as_array()?;
        let [one] = result.as_slice() else { return None };
        one["value"][1].as_str()?.parse().ok()
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
