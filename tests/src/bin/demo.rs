//! The live part of `make demo`: applies the story platform with the sample app, drives load, and shows how it scales.

use anyhow::{Context, Result, bail};
use crds::{LearningPlatform, tiers::pod::Discovery};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use learningplatform_tests::descent::Descent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NAMESPACE: &str = "learning";
const WORKLOAD: &str = "story-web";
const STEP: Duration = Duration::from_secs(5);
/// Pods that the peak of 780 requests/s asks for at 100 each.
const PEAK_PODS: i32 = 8;
/// Downward steps of the floor that end the demo.
const STEPS_DOWN: usize = 2;
const READY_DEADLINE: Duration = Duration::from_secs(180);
/// All of it, with what comes before this program where that had nothing to build.
const DEADLINE: Duration = Duration::from_secs(720);
/// Preparations that took longer have built something.
const WARM: Duration = Duration::from_secs(180);

#[tokio::main]
async fn main() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let deadline = Instant::now() + DEADLINE.saturating_sub(prepared());
    let client = Client::try_default().await.context("KUBECONFIG names no usable cluster")?;
    title("Applying examples/story.yaml: the sample app, a cache of three shards, a database with two read replicas");
    apply_platform(&client).await?;
    wait_ready(&client).await?;
    title("Load: 300 → 780 → 300 requests/s from k6 (tests/load/demo.js). One line every 5 s");
    start_load(&client).await?;
    watch(&client, deadline).await?;
    title("The cluster stays up. Look around:");
    println!(
        "  export KUBECONFIG={}\n  kubectl get lp,deploy,hpa,pods -n {NAMESPACE}\n  target/debug/lpctl status -n {NAMESPACE}\n  \
         target/debug/lpctl explain web -n {NAMESPACE}\n  make demo-down",
        std::env::var("KUBECONFIG").unwrap_or_default()
    );
    Ok(())
}

/// How long the preparations of a warm run took, as `tests/demo/run` tells; nothing of a cold one.
fn prepared() -> Duration {
    let seconds = std::env::var("LP_DEMO_PREPARED").ok().and_then(|seconds| seconds.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(0))).filter(|took| *took <= WARM).unwrap_or_default()
}

fn title(text: &str) {
    println!("\n\x1b[1m{text}\x1b[0m");
}

/// The servers of Debian's packages, and the users that they have there.
const STORES: &str = "learningplatform/data:dev";
const CACHE_USER: i64 = 100;
const DATABASE_USER: i64 = 101;

/// The example as it stands, but for what this cluster has: the images of the app and of its stores, their size, no Gateway.
fn platform() -> Result<LearningPlatform> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/story.yaml");
    let text = std::fs::read_to_string(path).context(path)?;
    let mut platform = lpctl::manifests::platforms(&text)?.into_iter().next().context("no platform in the example")?;
    let app = platform.spec.apps.first_mut().context("no app in the example")?;
    app.image = "learningplatform/sample-app:dev".into();
    app.exposure = None;
    platform.spec.cdns.clear();
    // The cluster's Prometheus follows annotations alone, whoever else may have brought the API of PodMonitors.
    app.metrics.get_or_insert_default().discovery = Some(Discovery::Annotations);
    app.resources = serde_json::from_value(json!({
        "requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "64Mi"},
    }))?;
    // A pod can do well more than it is asked for, else the counter would show what it completes and not what is wanted.
    app.env = serde_json::from_value(json!([{"name": "CAPACITY_RPS", "value": "300"}]))?;
    let pods = |user: i64, memory: &str| {
        let resources = json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": memory}});
        serde_json::from_value(json!({"runAsUser": user, "resources": resources}))
    };
    for cache in platform.spec.caches.iter_mut().filter_map(|cache| cache.in_cluster.as_mut()) {
        cache.image = Some(STORES.into());
        cache.pods = pods(CACHE_USER, "256Mi")?;
    }
    for database in platform.spec.databases.iter_mut().filter_map(|database| database.in_cluster.as_mut()) {
        database.image = Some(STORES.into());
        // As in the example: each of the apps' connections is a process, with memory of its own.
        database.pods = pods(DATABASE_USER, "1Gi")?;
    }
    Ok(platform)
}

async fn apply_platform(client: &Client) -> Result<()> {
    let apply = PatchParams::apply("demo").force();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &apply, &Patch::Apply(&namespace)).await?;
    let mut platform = serde_json::to_value(platform()?)?;
    platform["apiVersion"] = json!("learningplatform.dev/v1alpha1");
    platform["kind"] = json!("LearningPlatform");
    let platforms = Api::<LearningPlatform>::namespaced(client.clone(), NAMESPACE);
    platforms.patch("story", &apply, &Patch::Apply(&platform)).await.context("the platform is refused")?;
    Ok(())
}

async fn wait_ready(client: &Client) -> Result<()> {
    let platforms = Api::<LearningPlatform>::namespaced(client.clone(), NAMESPACE);
    let start = Instant::now();
    let mut last = String::new();
    loop {
        let platform = platforms.get("story").await?;
        let status = platform.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        let line = ready.map_or_else(
            || "not seen by the operator yet".to_owned(),
            |c| format!("Ready={} {}: {}", c.status, c.reason, c.message),
        );
        if line != last {
            println!("  {:>4} s  {line}", start.elapsed().as_secs());
            last = line;
        }
        if ready.is_some_and(|c| c.status == "True") && status.observed_generation == platform.metadata.generation {
            return Ok(());
        }
        if start.elapsed() > READY_DEADLINE {
            bail!("the platform is not Ready within {} s: {last}", READY_DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// k6 as a Job. Every request opens its own connection, so that the Service spreads them over all pods; the load falls by
/// less than half in two minutes, because a sudden fall is held as a suspected outage.
async fn start_load(client: &Client) -> Result<()> {
    let jobs = Api::<Job>::namespaced(client.clone(), NAMESPACE);
    let _ = jobs.delete("load", &DeleteParams::background()).await;
    let gone = Instant::now();
    while jobs.get_opt("load").await?.is_some() {
        if gone.elapsed() > Duration::from_secs(60) {
            bail!("the load of an earlier demo does not go away: kubectl delete job load -n {NAMESPACE}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let env: Vec<Value> = [
        ("BASE_URL", "http://story-web:3000"),
        ("QUIET_SECONDS", "10"),
        ("UP_SECONDS", "20"),
        ("HOLD_SECONDS", "90"),
        ("DOWN_SECONDS", "240"),
        ("AFTER_SECONDS", "420"),
        ("LOW_RATE", "300"),
        ("PEAK_RATE", "780"),
    ]
    .iter()
    .map(|(name, value)| json!({"name": name, "value": value}))
    .collect();
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "load"},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "k6", "image": "learningplatform/k6:dev", "imagePullPolicy": "IfNotPresent", "env": env,
                "args": ["run", "--quiet", "--no-usage-report", "/load/demo.js"],
            }],
        }}},
    }))?;
    jobs.create(&Default::default(), &job).await?;
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Row {
    rate: Option<f64>,
    floor: i32,
    cap: i32,
    wanted: i32,
    ready: i32,
}

async fn look(client: &Client) -> Result<Row> {
    let hpa = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), NAMESPACE).get(WORKLOAD).await?;
    let deployment = Api::<Deployment>::namespaced(client.clone(), NAMESPACE).get(WORKLOAD).await?;
    let bounds = hpa.spec.context("an HPA without spec")?;
    Ok(Row {
        rate: rate(client).await,
        floor: bounds.min_replicas.unwrap_or(1),
        cap: bounds.max_replicas,
        wanted: deployment.spec.and_then(|s| s.replicas).unwrap_or(0),
        ready: deployment.status.and_then(|s| s.ready_replicas).unwrap_or(0),
    })
}

/// Requests per second as Prometheus sees them, asked through the API server.
async fn rate(client: &Client) -> Option<f64> {
    let query = "sum(rate(http_requests_total%7Bnamespace%3D%22learning%22%7D%5B20s%5D))";
    let path = format!("/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={query}");
    let request = http::Request::get(path).body(Vec::new()).ok()?;
    let answer: Value = client.request(request).await.ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

async fn watch(client: &Client, deadline: Instant) -> Result<()> {
    println!("\n   time   requests/s   floor  cap  wanted  ready");
    let start = Instant::now();
    let mut descent = Descent::after(PEAK_PODS);
    let mut tick = tokio::time::interval(STEP);
    loop {
        tick.tick().await;
        if Instant::now() > deadline {
            load_failure(client).await;
            bail!(
                "not seen within {} minutes of the demo: {PEAK_PODS} pods ready at the peak (seen {}), then {STEPS_DOWN} steps down (seen {})",
                DEADLINE.as_secs() / 60,
                descent.reached(),
                list(descent.steps())
            );
        }
        let row = match look(client).await {
            Ok(row) => row,
            Err(error) => {
                println!("  {:>4} s   {error:#}", start.elapsed().as_secs());
                continue;
            }
        };
        let rate = row.rate.map_or_else(|| "–".to_owned(), |r| format!("{r:.0}"));
        let ready = usize::try_from(row.ready).unwrap_or(0);
        let waiting = usize::try_from(row.wanted - row.ready).unwrap_or(0);
        println!(
            "  {:>4} s {rate:>10} {:>8} {:>4} {:>7} {:>6}  {}{}",
            start.elapsed().as_secs(),
            row.floor,
            row.cap,
            row.wanted,
            row.ready,
            "█".repeat(ready),
            "░".repeat(waiting),
        );
        if let Err(broken) = descent.see(start.elapsed(), row.floor, row.ready) {
            bail!("not the behaviour of the story guide: {broken}");
        }
        if descent.steps().len() >= STEPS_DOWN {
            let (peak, down) = (descent.reached(), list(descent.steps()));
            println!("\n  {peak} pods ready at the peak; the floor went down to {down}");
            return Ok(());
        }
    }
}

fn list(floors: &[i32]) -> String {
    floors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", then ")
}

/// What became of the load generator, for the error's reader.
async fn load_failure(client: &Client) {
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    let Ok(list) = pods.list(&ListParams::default().labels("job-name=load")).await else { return };
    for pod in list {
        eprintln!("load pod {:?}: {:?}", pod.metadata.name, pod.status.and_then(|s| s.phase));
    }
}
