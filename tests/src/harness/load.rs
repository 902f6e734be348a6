//! A load that obeys to the request: an exposition whose counters rise at the set rate.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Bounds of the histogram, in seconds.
const BUCKETS: [f64; 9] = [0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5];

#[derive(Default)]
struct Series {
    rate: f64,
    latency: f64,
    total: f64,
    buckets: [f64; BUCKETS.len()],
    sum: f64,
    since: Option<Instant>,
}

impl Series {
    fn advance(&mut self, now: Instant) {
        let seconds = self.since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        self.since = Some(now);
        let requests = self.rate * seconds;
        self.total += requests;
        self.sum += requests * self.latency;
        for (count, bound) in self.buckets.iter_mut().zip(BUCKETS) {
            if self.latency <= bound {
                *count += requests;
            }
        }
    }
}

/// Serves `/metrics` with the usual names, for any number of apps, as if one pod of each received everything.
#[derive(Clone)]
pub struct Load {
    apps: Arc<Mutex<BTreeMap<(String, String), Series>>>,
    raw: Arc<Mutex<Option<String>>>,
    stamped: bool,
    /// Where it listens.
    pub address: String,
}

impl Load {
    /// Starts serving on a loopback port.
    pub async fn start() -> Self {
        Self::serve(false).await
    }

    /// As [`Self::start`], with the time of each sample in the exposition: rates are then exact, however late a busy
    /// machine scrapes. Series that end are found stale instead of gone.
    pub async fn start_stamped() -> Self {
        Self::serve(true).await
    }

    async fn serve(stamped: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let load = Self { apps: Arc::default(), raw: Arc::default(), stamped, address };
        let served = load.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = served.exposition();
                tokio::spawn(async move {
                    let mut request = [0_u8; 4096];
                    let _ = stream.read(&mut request).await;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(body.as_bytes()).await;
                });
            }
        });
        load
    }

    /// Sets what the app `<platform>-<app>` of a namespace receives, in requests per second of `latency` seconds each.
    pub fn set(&self, namespace: &str, workload: &str, rate: f64, latency: f64) {
        let mut apps = self.apps.lock().expect("no poisoned lock");
        let series = apps.entry((namespace.to_owned(), workload.to_owned())).or_default();
        series.advance(Instant::now());
        series.rate = rate;
        series.latency = latency;
    }

    /// Removes the app's series.
    pub fn remove(&self, namespace: &str, workload: &str) {
        self.apps.lock().expect("no poisoned lock").remove(&(namespace.to_owned(), workload.to_owned()));
    }

    /// Further lines of the exposition, as they are; `None` for none.
    pub fn set_raw(&self, lines: Option<&str>) {
        *self.raw.lock().expect("no poisoned lock") = lines.map(str::to_owned);
    }

    fn exposition(&self) -> String {
        let now = Instant::now();
        let stamp = if self.stamped { format!(" {}", milliseconds()) } else { String::new() };
        let mut out = String::new();
        let mut apps = self.apps.lock().expect("no poisoned lock");
        for ((namespace, workload), series) in apps.iter_mut() {
            series.advance(now);
            // A pod of the Deployment: its name with a ReplicaSet's hash and a suffix.
            let labels = format!("namespace=\"{namespace}\",pod=\"{workload}-5d4f8c7b9d-x2x2x\"");
            let _ = writeln!(out, "http_requests_total{{{labels},status=\"200\"}} {}{stamp}", series.total);
            for (count, bound) in series.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(out, "http_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {count}{stamp}");
            }
            let total = series.total;
            let _ = writeln!(out, "http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {total}{stamp}");
            let _ = writeln!(out, "http_request_duration_seconds_sum{{{labels}}} {}{stamp}", series.sum);
            let _ = writeln!(out, "http_request_duration_seconds_count{{{labels}}} {total}{stamp}");
            let in_flight = series.rate * series.latency;
            let _ = writeln!(out, "http_requests_in_flight{{{labels}}} {in_flight}{stamp}");
        }
        if let Some(raw) = &*self.raw.lock().expect("no poisoned lock") {
            out.push_str(raw);
            out.push('\n');
        }
        out
    }
}

/// Milliseconds since 1970.
fn milliseconds() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis())
}
