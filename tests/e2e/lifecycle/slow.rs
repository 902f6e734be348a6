//! Slow and hanging servers: nothing is lost, and others are not held up.

use super::*;
use learningplatform_tests::harness::{FaultProxy, Load, Prometheus, Rules, account};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_slow_api_server_delays_and_loses_nothing() {
    let ns = TestNamespace::create("slow").await;
    let kubeconfig = account(&ns).await;
    let delay = Duration::from_secs(if soak() { 5 } else { 2 });
    let proxy = FaultProxy::start(&kubeconfig, Rules { delay, ..Rules::default() }).await;
    // A pass is cut off before it has written everything: the next goes on where it ended.
    let deadline = format!("--pass-timeout={}s", delay.as_secs() * 8);
    let _operator = Operator::spawn(&ns, &proxy.kubeconfig(ns.dir.path()), &[FLAGS, &[&deadline]].concat());
    ns.apply("school", json!({"apps": [app("web"), app("api")]})).await;
    let look = || ns.condition("school", "Ready");
    eventually("Ready in the end", SOON * 3, look, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_platform_whose_writes_hang_holds_no_other_up() {
    let ns = TestNamespace::create("hang").await;
    let kubeconfig = account(&ns).await;
    let hang = Rules { hang: Some("/deployments/stuck-".to_owned()), ..Rules::default() };
    let proxy = FaultProxy::start(&kubeconfig, hang).await;
    let flags = [FLAGS, &["--pass-timeout=5s", "--concurrency=2"]].concat();
    let _operator = Operator::spawn(&ns, &proxy.kubeconfig(ns.dir.path()), &flags);
    ns.apply("stuck", json!({"apps": [app("web")]})).await;
    let stuck = || ns.condition("stuck", "Ready");
    eventually("its first pass is under way", SOON, stuck, Option::is_some).await;
    let begin = Instant::now();
    ns.apply("good", json!({"apps": [app("web")]})).await;
    ready(&ns, "good").await;
    println!("Ready after {:?} beside a platform that hangs", begin.elapsed());
    assert_eq!(ns.replicas("stuck-web").await, None);
    proxy.set(|rules| rules.hang = None);
    let gone = Instant::now();
    ready(&ns, "stuck").await;
    assert!(gone.elapsed() <= HEALED, "{:?}", gone.elapsed());
    ns.delete().await;
}

#[tokio::test]
async fn a_prometheus_that_hangs_holds_no_other_platform_up() {
    let ns = TestNamespace::create("hanging").await;
    let _operator = Operator::start(&ns, &[FLAGS, &["--tunable=failure_span=10s"]].concat()).await;
    let load = Load::start_stamped().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    // Accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hanging = format!("http://{}", silent.local_addr().expect("an address"));
    let held = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            streams.push(stream);
        }
    });
    let autoscaling =
        json!({"minReplicas": 1, "maxReplicas": 6, "requestRate": {"perPod": 100}, "fallback": {"replicas": 2}});
    let web = with(pending("web"), json!({"replicas": null, "autoscaling": autoscaling}));
    let spec = |url: &str| json!({"prometheus": {"url": url, "scrapeInterval": "1s"}, "apps": [web]});
    load.set(&ns.name, "good-web", 50.0, 0.05);
    ns.apply("stuck", spec(&hanging)).await;
    names(&ns, "stuck", "web", "MetricsAvailable", "SourceUnavailable", &[&hanging]).await;
    ns.apply("good", spec(&prometheus.url)).await;
    eventually("its own floor", SOON, || floor(&ns, "good-web"), |floor| *floor == Some(1)).await;
    let good = || ns.app_condition("good", "web", "MetricsAvailable");
    eventually("its metrics", SOON, good, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let begin = Instant::now();
    load.set(&ns.name, "good-web", 450.0, 0.05);
    eventually("the floor follows the load", SOON, || floor(&ns, "good-web"), |floor| *floor == Some(5)).await;
    let took = begin.elapsed();
    println!("the floor followed after {took:?} beside a Prometheus that hangs");
    assert!(took < HEALED, "{took:?}");
    eventually("the other platform falls back", SOON, || floor(&ns, "stuck-web"), |floor| *floor == Some(2)).await;
    held.abort();
    ns.delete().await;
}
