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

/// Pods that a Prometheus scrapes beside the load.
pub struct Pods<'a> {
    /// Their namespace.
    pub namespace: &'a str,
    /// Port of the exposition.
    pub port: u16,
    /// Path of the exposition.
    pub path: &'a str,
}

impl Pods<'_> {
    /// Discovery by the API server, with the labels that the usual annotation scrape gives.
    fn job(&self) -> String {
        let Self { namespace, port, path } = self;
        let kubeconfig = std::env::var("KUBECONFIG").expect("KUBECONFIG names the test cluster");
        format!(
            "- job_name: pods\n  metrics_path: {path}\n  \
             kubernetes_sd_configs: [{{role: pod, kubeconfig_file: '{kubeconfig}', namespaces: {{names: [{namespace}]}}}}]\n  \
             relabel_configs:\n  \
             - {{source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}}\n  \
             - {{source_labels: [__meta_kubernetes_pod_ip], target_label: __address__, replacement: '$1:{port}'}}\n  \
             - {{source_labels: [__meta_kubernetes_namespace], target_label: namespace}}\n  \
             - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}\n"
        )
    }
}

/// The Prometheus binary: `LP_PROMETHEUS`, else the one on the path.
fn binary() -> String {
    std::env::var("LP_PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned())
}

impl Prometheus {
    /// Starts one that scrapes the load every second, and waits until it answers.
    pub async fn start(dir: &std::path::Path, load: &Load) -> Self {
        Self::start_with(dir, load, None).await
    }

    /// As [`Self::start`]; it also scrapes real pods.
    pub async fn start_with(dir: &std::path::Path, load: &Load, pods: Option<Pods<'_>>) -> Self {
        let address = free_address();
        let dir = dir.join(format!("prometheus-{}", address.replace(':', "-")));
        std::fs::create_dir_all(&dir).expect("a directory");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nscrape_configs:\n\
             - {{job_name: apps, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n{}",
            load.address,
            pods.map(|pods| pods.job()).unwrap_or_default()
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

    /// The one value that an expression has now; none where it has none, or several.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let path = format!("/api/v1/query?query={}", super::http::escaped(expression));
        let (_, body) = super::get(&self.address, &path).await?;
        let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
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
