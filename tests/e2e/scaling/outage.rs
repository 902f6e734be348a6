//! What fails elsewhere: the source itself, a neighbour's source, another owner's metrics API.

use super::{ALONE, PLATFORM, SOON, Scene, app, by_rate, never_falls, numbers, with};
use k8s_openapi::{
    api::{core::v1::Service, discovery::v1::EndpointSlice},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use learningplatform_tests::harness::{DISCOVERY, MetricsApi, Need, Seen, Traffic, eventually};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn cpu_above_the_fallback_wins_in_an_outage() {
    if Need::PodRoute.is_missing() {
        return;
    }
    let mut scene = Scene::with("cpu-fallback", None, &[ALONE, "--tunable=failure_span=15s"]).await;
    // Cpu in small: 5m per pod is the target, and all pods together burn more than 20m, whichever of them answers.
    let scaling = with(by_rate(1, 4), json!({"cpu": {"averageValue": "5m"}, "fallback": {"replicas": 2}}));
    let mut web = app("web", scaling);
    web["port"] = json!(3000);
    web["draining"] = json!({"delay": "0s"});
    web["env"] = json!([{"name": "DRAIN_SECONDS", "value": "0"}, {"name": "CPU_MS_PER_REQUEST", "value": "5"}]);
    scene.pods_worth("web", 0.5);
    scene.apply(&[web]).await;
    let _traffic = Traffic::start(&scene.ns, "web", 3000, "/api/stories", 10, Duration::from_secs(1));
    let web = scene.record("web").await;
    let four = |seen: &Seen| seen.replicas == Some(4) && seen.ready == 4;
    // A new pod's cpu counts after the first whole window of the metrics API.
    web.until("cpu asks for 4 pods", SOON * 2, four).await;
    assert!(web.now().floor() < Some(4), "the floor is not what asks for them");

    let outage = Instant::now();
    scene.prometheus.stop();
    let metrics = || scene.ns.app_condition(PLATFORM, "web", "MetricsAvailable");
    let reason =
        |c: &Option<(String, String, String)>| c.as_ref().is_some_and(|c| c.0 == "False" && c.1 == "SourceUnavailable");
    eventually("the outage is told", SOON, metrics, reason).await;
    web.until("the fallback is written", SOON, |seen| seen.floor().is_some_and(|floor| floor >= 2)).await;
    // Longer than a sync of the HPA.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(web.replicas(outage).iter().all(|count| *count == 4), "{:?}", web.replicas(outage));
    assert!(never_falls(&numbers(&web.floors(outage))));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_neighbour_changes_nothing_for_others() {
    let scene = Scene::start("neighbour").await;
    scene.pods_worth("web", 0.5);
    scene.apply(&[app("web", by_rate(1, 8))]).await;
    let web = scene.record("web").await;
    web.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;
    let step = async |pods: f64, floor: i32| {
        let start = Instant::now();
        scene.pods_worth("web", pods);
        web.until("the floor follows", Duration::from_secs(20), |seen| seen.floor() == Some(floor)).await - start
    };
    let alone = step(1.5, 2).await;

    // One server that accepts and never answers, one port that nobody listens on, and nonsense on the common server.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent_url = format!("http://{}", silent.local_addr().expect("an address"));
    let hang = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    let broken = |url: &str, rate: serde_json::Value| {
        let scaling = with(by_rate(1, 4), json!({"requestRate": rate}));
        let apps: Vec<_> = (0..3).map(|i| app(&format!("b{i}"), scaling.clone())).collect();
        json!({"prometheus": {"url": url, "scrapeInterval": "1s"}, "apps": apps})
    };
    let good = json!({"perPod": 100});
    let nonsense = json!({"perPod": 100, "query": "sum(rate(http_requests_total[4s])"});
    let neighbours = [
        ("silent", broken(&silent_url, good.clone()), "SourceUnavailable"),
        ("nobody", broken("http://127.0.0.1:9", good), "SourceUnavailable"),
        ("nonsense", broken(&scene.prometheus.url, nonsense), "SourceMisconfigured"),
    ];
    for (name, spec, _) in &neighbours {
        scene.ns.apply(name, spec.clone()).await;
    }
    for (name, _, reason) in &neighbours {
        let metrics = || scene.ns.app_condition(name, "b0", "MetricsAvailable");
        eventually(name, SOON, metrics, |c| c.as_ref().is_some_and(|c| c.0 == "False" && c.1 == *reason)).await;
    }
    let metrics = scene.ns.app_condition(PLATFORM, "web", "MetricsAvailable").await;
    assert_eq!(metrics.map(|c| c.0).as_deref(), Some("True"));
    let beside = step(3.5, 4).await;
    assert!(beside <= alone + Duration::from_secs(8), "{beside:?} beside broken neighbours, {alone:?} alone");
    hang.abort();
    scene.end().await;
}

/// The API `external.metrics.k8s.io`, registered by somebody else. Removed when dropped.
struct ForeignMetricsApi {
    api: Api<APIService>,
    ours: bool,
}

const FOREIGN: &str = "v1beta1.external.metrics.k8s.io";

impl ForeignMetricsApi {
    async fn register(client: Client, namespace: &str, server: &MetricsApi) -> Self {
        // A Service in front of a server outside of the cluster.
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "metrics"},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": server.port}]},
        }))
        .expect("a Service");
        let endpoints: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "metrics", "labels": {"kubernetes.io/service-name": "metrics"}},
            "addressType": "IPv4", "ports": [{"name": "https", "port": server.port}],
            "endpoints": [{"addresses": [server.host], "conditions": {"ready": true}}],
        }))
        .expect("an EndpointSlice");
        let (services, slices) =
            (Api::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace));
        services.create(&PostParams::default(), &service).await.expect("a Service");
        slices.create(&PostParams::default(), &endpoints).await.expect("an EndpointSlice");
        let api: Api<APIService> = Api::all(client);
        let service: APIService = serde_json::from_value(json!({
            "metadata": {"name": FOREIGN, "labels": {"learningplatform.dev/test": "true"}},
            "spec": {
                "group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"namespace": namespace, "name": "metrics"},
            },
        }))
        .expect("an APIService");
        // On a cluster of the user's, the API may have an owner already: then it is the foreign one.
        let ours = match api.create(&PostParams::default(), &service).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 409 => false,
            Err(error) => panic!("no APIService: {error}"),
        };
        Self { api, ours }
    }

    /// Whether the API server can reach it.
    async fn is_available(&self) -> bool {
        let service = self.api.get(FOREIGN).await.expect("the APIService");
        let conditions = service.status.and_then(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Available" && condition.status == "True")
    }
}

impl Drop for ForeignMetricsApi {
    fn drop(&mut self) {
        if self.ours {
            let remove = async { self.api.delete(FOREIGN, &DeleteParams::default()).await };
            let removed = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(remove));
            if let Err(error) = removed {
                eprintln!("the APIService {FOREIGN} stays behind: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_metrics_api_stops_nothing_up_or_down() {
    let _alone = DISCOVERY.write().await;
    let mut scene = Scene::start("foreign-api").await;
    // One app that asks the foreign API too, as a user of KEDA's would, and one that does not.
    let external = json!([{"type": "External", "external": {
        "metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "5"},
    }}]);
    let apps = [app("plain", by_rate(1, 6)), app("queue", with(by_rate(1, 6), json!({"metrics": external})))];
    scene.pods_worth("plain", 0.5);
    scene.pods_worth("queue", 0.5);
    scene.apply(&apps).await;
    let (plain, queue) = (scene.record("plain").await, scene.record("queue").await);
    plain.until("one pod is ready", SOON, |seen| seen.settled_at(1)).await;

    let server = MetricsApi::serve("queue", 1).await;
    let foreign = ForeignMetricsApi::register(scene.ns.client.clone(), &scene.ns.name, &server).await;
    eventually("the foreign API is up", SOON, || foreign.is_available(), |up| *up).await;
    scene.pods_worth("plain", 1.5);
    scene.pods_worth("queue", 1.5);
    plain.until("it scales out while the API is up", SOON, |seen| seen.settled_at(2)).await;
    queue.until("it scales out while the API is up", SOON, |seen| seen.settled_at(2)).await;
    eventually("the HPA reads its metric there", SOON, || async { server.asked() }, |asked| *asked > 0).await;

    drop(server);
    eventually("the foreign API is down", SOON, || foreign.is_available(), |up| !*up).await;
    // A start is when discovery matters most.
    scene.restart_operator();
    scene.pods_worth("plain", 2.5);
    scene.pods_worth("queue", 2.5);
    plain.until("it scales out", SOON, |seen| seen.settled_at(3)).await;
    queue.until("it scales out", SOON, |seen| seen.floor() == Some(3) && seen.ready == 3).await;
    scene.pods_worth("plain", 0.5);
    plain.until("it scales in", SOON, |seen| seen.settled_at(1)).await;
    // And what else the operator does goes on.
    scene.apply(&[app("plain", by_rate(2, 6)), apps[1].clone()]).await;
    plain.until("an edit is carried out", SOON, |seen| seen.settled_at(2)).await;
    let ready = || async { scene.ns.condition(PLATFORM, "Ready").await.map(|c| c.0) };
    eventually("the platform is Ready", SOON, ready, |state| state.as_deref() == Some("True")).await;
    scene.end().await;
}
