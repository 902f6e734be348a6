//! Spikes on the real cluster: from the first request to the first raise, to the wanted number and to the pods Ready; ours
//! and a plain HPA on cpu take turns.

use anyhow::{Context, Result, bail};
use crds::LearningPlatform;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{Namespace, Pod, Service},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use std::{
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const NAMESPACE: &str = "bench";
const FROM_RATE: u32 = 40;
const TO_RATE: u32 = 780;
const FROM_SECONDS: u32 = 20;
const TO_SECONDS: u32 = 90;
const WANTED: i32 = 8;
const DEADLINE: Duration = Duration::from_secs(240);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ours,
    PlainHpa,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "spike-web",
            Self::PlainHpa => "plain",
        }
    }
}

/// Seconds from the spike's first request; none where it did not happen while the spike lasted.
#[derive(Clone, Copy, Debug, Default)]
struct Reaction {
    first_raise: Option<f64>,
    wanted: Option<f64>,
    ready: Option<f64>,
}

pub(crate) async fn run() -> Result<()> {
    let count: usize = std::env::var("BENCH_SPIKES").ok().and_then(|v| v.parse().ok()).unwrap_or(10);
    let client = Client::try_default().await.context("KUBECONFIG names no usable cluster")?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let apply = PatchParams::apply("bench").force();
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &apply, &Patch::Apply(&namespace)).await?;
    println!(
        "\nSpikes from {FROM_RATE} to {TO_RATE} requests/s on one pod, {WANTED} wanted; scrape interval 5 s; {count} of each, in turn"
    );
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for number in 1..=count {
        for (kind, reactions) in [(Kind::Ours, &mut ours), (Kind::PlainHpa, &mut plain)] {
            let reaction = spike(&client, kind, number).await?;
            println!("  {number:>2} {:<12} {}", kind.name(), line(&reaction));
            reactions.push(reaction);
        }
    }
    println!("\n  seconds, p50 / max     first raise      {WANTED} wanted       {WANTED} Ready");
    summary("LearningPlatform", &ours);
    summary("plain HPA on cpu", &plain);
    Ok(())
}

fn line(reaction: &Reaction) -> String {
    let show = |at: Option<f64>| at.map_or_else(|| "never".to_owned(), |s| format!("{s:.1} s"));
    format!(
        "first raise {}, wanted {}, Ready {}",
        show(reaction.first_raise),
        show(reaction.wanted),
        show(reaction.ready)
    )
}

fn summary(name: &str, reactions: &[Reaction]) {
    let column = |pick: fn(&Reaction) -> Option<f64>| {
        let mut times: Vec<f64> = reactions.iter().map(|r| pick(r).unwrap_or(f64::INFINITY)).collect();
        times.sort_by(f64::total_cmp);
        let show = |s: f64| if s.is_finite() { format!("{s:.1}") } else { format!(">{TO_SECONDS}") };
        let (p50, max) = (times.get(times.len() / 2), times.last());
        format!("{:>6} / {:<6}", p50.map_or_else(String::new, |s| show(*s)), max.map_or_else(String::new, |s| show(*s)))
    };
    println!("  {name:<18} {} {} {}", column(|r| r.first_raise), column(|r| r.wanted), column(|r| r.ready));
}

/// One spike on a fresh deployment of one pod.
async fn spike(client: &Client, kind: Kind, number: usize) -> Result<Reaction> {
    clear(client, kind).await?;
    match kind {
        Kind::Ours => apply_ours(client).await?,
        Kind::PlainHpa => apply_plain(client).await?,
    }
    let deployments = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
    wait("one pod is Ready", || async {
        Ok(deployments.get_opt(kind.name()).await?.and_then(|d| d.status).and_then(|s| s.ready_replicas) == Some(1))
    })
    .await?;
    // The scrape targets are found anew, and the HPA has metrics of the pod, before the load begins; at another moment
    // between two scrapes each time.
    let moment = u64::try_from(number)? * 1700 % 5000;
    tokio::time::sleep(Duration::from_secs(20) + Duration::from_millis(moment)).await;
    start_load(client, kind).await?;
    let times = record(client, kind).await?;
    let first = first_request(client).await?;
    clear(client, kind).await?;
    let since = |at: Option<f64>| at.map(|at| (at - first).max(0.0));
    Ok(Reaction { first_raise: since(times.first_raise), wanted: since(times.wanted), ready: since(times.ready) })
}

/// Watches until the pods are Ready or the load has ended, and notes the times of the clock.
async fn record(client: &Client, kind: Kind) -> Result<Reaction> {
    let only = watcher::Config::default().fields(&format!("metadata.name={}", kind.name()));
    let hpas = watcher(Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), NAMESPACE), only.clone());
    let deployments = watcher(Api::<Deployment>::namespaced(client.clone(), NAMESPACE), only);
    // What each says: the number that it asks for, and the pods Ready.
    let asked = hpas.applied_objects().map_ok(move |hpa| {
        let floor = hpa.spec.and_then(|s| s.min_replicas).unwrap_or(1);
        let desired = hpa.status.map_or(0, |s| s.desired_replicas);
        (if kind == Kind::Ours { floor } else { desired }, 0)
    });
    let ready = deployments
        .applied_objects()
        .map_ok(|deployment| (0, deployment.status.and_then(|s| s.ready_replicas).unwrap_or(0)));
    let mut both = pin!(futures::stream::select(asked.boxed(), ready.boxed()));
    let mut times = Reaction::default();
    let end = tokio::time::Instant::now() + Duration::from_secs(u64::from(FROM_SECONDS + TO_SECONDS + 20));
    while times.ready.is_none() {
        let Ok(event) = tokio::time::timeout_at(end, both.next()).await else { break };
        let (asked, ready) = event.context("the watch ended")??;
        let now = Some(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64());
        times.first_raise = times.first_raise.or(if asked > 1 { now } else { None });
        times.wanted = times.wanted.or(if asked >= WANTED { now } else { None });
        times.ready = times.ready.or(if ready >= WANTED { now } else { None });
    }
    Ok(times)
}

/// When the load generator sent the spike's first request, in seconds since 1970.
async fn first_request(client: &Client) -> Result<f64> {
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    let list = pods.list(&ListParams::default().labels("job-name=load")).await?;
    let name = list.items.first().and_then(|p| p.metadata.name.clone()).context("no pod of the load")?;
    let log = pods.logs(&name, &LogParams::default()).await?;
    let at = log.lines().find_map(|line| {
        let (_, rest) = line.split_once("\"at\\\":").or_else(|| line.split_once("\"at\":"))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<f64>().ok()
    });
    Ok(at.with_context(|| format!("the load logged no first request: {log}"))? / 1000.0)
}

async fn start_load(client: &Client, kind: Kind) -> Result<()> {
    let env: Vec<Value> = [
        ("BASE_URL", format!("http://{}:3000", kind.name())),
        ("FROM_RATE", FROM_RATE.to_string()),
        ("FROM_SECONDS", FROM_SECONDS.to_string()),
        ("TO_RATE", TO_RATE.to_string()),
        ("TO_SECONDS", TO_SECONDS.to_string()),
    ]
    .iter()
    .map(|(name, value)| json!({"name": name, "value": value}))
    .collect();
    let job: Job = serde_json::from_value(json!({
        "metadata": {"name": "load"},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{
            "name": "k6", "image": "learningplatform/k6:dev", "imagePullPolicy": "IfNotPresent", "env": env,
            "args": ["run", "--quiet", "--no-usage-report", "/load/step.js"],
        }]}}},
    }))?;
    Api::<Job>::namespaced(client.clone(), NAMESPACE).create(&Default::default(), &job).await?;
    Ok(())
}

/// The sample app, whose capacity is no limit here: a counter of completed requests would hide the spike. It takes about 45
/// millicores at 100 requests/s, so that 70 % of its request are less than that: the plain HPA is rather eager than late.
fn container() -> Value {
    json!({
        "env": [{"name": "CAPACITY_RPS", "value": "2000"}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "96Mi"}},
    })
}

async fn apply_ours(client: &Client) -> Result<()> {
    let container = container();
    let platform = json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform", "metadata": {"name": "spike"},
        "spec": {
            "prometheus": {"url": "http://prometheus.monitoring:9090", "scrapeInterval": "5s"},
            "apps": [{
                "name": "web", "image": "learningplatform/sample-app:dev", "port": 3000,
                "env": container["env"], "resources": container["resources"],
                "health": {"path": "/api/health"}, "metrics": {"path": "/api/metrics", "discovery": "Annotations"},
                "autoscaling": {
                    "minReplicas": 1, "maxReplicas": 20, "cpu": {"utilization": 1000}, "requestRate": {"perPod": 100},
                    "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 20, "periodSeconds": 15}]}},
                },
            }],
        },
    });
    let api = Api::<LearningPlatform>::namespaced(client.clone(), NAMESPACE);
    api.patch("spike", &PatchParams::apply("bench").force(), &Patch::Apply(&platform)).await?;
    Ok(())
}

async fn apply_plain(client: &Client) -> Result<()> {
    let (name, apply) = (Kind::PlainHpa.name(), PatchParams::apply("bench").force());
    let container = container();
    let labels = json!({"app.kubernetes.io/name": name});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
            "name": "web", "image": "learningplatform/sample-app:dev", "imagePullPolicy": "IfNotPresent",
            "env": container["env"], "resources": container["resources"],
            "readinessProbe": {"httpGet": {"path": "/api/health", "port": 3000}, "periodSeconds": 5},
        }]}}},
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 3000}]},
    });
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "minReplicas": 1, "maxReplicas": 20,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}],
            "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 20, "periodSeconds": 15}]}},
        },
    });
    Api::<Deployment>::namespaced(client.clone(), NAMESPACE).patch(name, &apply, &Patch::Apply(&deployment)).await?;
    Api::<Service>::namespaced(client.clone(), NAMESPACE).patch(name, &apply, &Patch::Apply(&service)).await?;
    let hpas = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), NAMESPACE);
    hpas.patch(name, &apply, &Patch::Apply(&hpa)).await?;
    Ok(())
}

/// Removes what a spike used, and waits until its pods are gone.
async fn clear(client: &Client, kind: Kind) -> Result<()> {
    let gone = DeleteParams::background();
    let name = kind.name();
    let _ = Api::<Job>::namespaced(client.clone(), NAMESPACE).delete("load", &gone).await;
    let _ = Api::<LearningPlatform>::namespaced(client.clone(), NAMESPACE).delete("spike", &gone).await;
    let _ = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), NAMESPACE).delete(name, &gone).await;
    let _ = Api::<Deployment>::namespaced(client.clone(), NAMESPACE).delete(name, &gone).await;
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    wait("the pods of the last spike are gone", || async {
        Ok(pods.list(&ListParams::default()).await?.items.is_empty())
    })
    .await
}

async fn wait<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let start = std::time::Instant::now();
    while !holds().await? {
        if start.elapsed() > DEADLINE {
            bail!("not within {} s: {what}", DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
