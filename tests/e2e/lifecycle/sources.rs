//! The Prometheus of a platform: dead, not permitted, or with credentials that are not there.

use super::*;
use learningplatform_tests::harness::{Load, Prometheus};

fn scaled(url: &str, more: Value) -> Value {
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 3, "requestRate": {"perPod": 100}});
    let web = with(pending("web"), json!({"replicas": null, "autoscaling": autoscaling}));
    json!({"prometheus": with(json!({"url": url, "scrapeInterval": "1s"}), more), "apps": [web]})
}

#[tokio::test]
async fn a_prometheus_that_is_dead_is_named_and_heals_when_it_serves() {
    let (ns, _operator) = scene("dead").await;
    let load = Load::start().await;
    let mut prometheus = Prometheus::start(ns.dir.path(), &load).await;
    prometheus.stop();
    load.set(&ns.name, "school-web", 50.0, 0.05);
    ns.apply("school", scaled(&prometheus.url, json!({}))).await;
    names(&ns, "school", "web", "MetricsAvailable", "SourceUnavailable", &[&prometheus.url]).await;
    let gone = Instant::now();
    prometheus.restart().await;
    heals(&ns, "school", "web", "MetricsAvailable", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn an_address_that_is_not_permitted_names_the_setting_and_others_are_not_held_up() {
    let ns = TestNamespace::create("permitted").await;
    let load = Load::start().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    let allowed = format!("--allowed-prometheus-url={}", prometheus.url);
    let _operator = Operator::start(&ns, &[FLAGS, &[&allowed]].concat()).await;
    load.set(&ns.name, "school-web", 50.0, 0.05);
    load.set(&ns.name, "good-web", 50.0, 0.05);
    ns.apply("school", scaled("http://127.0.0.1:1", json!({}))).await;
    ns.apply("good", scaled(&prometheus.url, json!({}))).await;
    let good = || ns.app_condition("good", "web", "MetricsAvailable");
    eventually("the other platform has its metrics", SOON, good, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let refused = ["--allowed-prometheus-url", "http://127.0.0.1:1"];
    names(&ns, "school", "web", "MetricsAvailable", "SourceMisconfigured", &refused).await;
    let gone = Instant::now();
    ns.apply("school", scaled(&prometheus.url, json!({}))).await;
    heals(&ns, "school", "web", "MetricsAvailable", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_missing_secret_of_a_prometheus_is_named_and_heals_when_it_comes() {
    let (ns, _operator) = scene("auth").await;
    let load = Load::start().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    load.set(&ns.name, "school-web", 50.0, 0.05);
    let auth = json!({"auth": {"bearerToken": {"name": "prometheus-token", "key": "token"}}});
    ns.apply("school", scaled(&prometheus.url, auth)).await;
    let missing = ["Secret prometheus-token", &prometheus.url];
    names(&ns, "school", "web", "MetricsAvailable", "SourceMisconfigured", &missing).await;
    put_secret(&ns, "prometheus-token", "other", "x").await;
    names(&ns, "school", "web", "MetricsAvailable", "SourceMisconfigured", &["prometheus-token", "key token"]).await;
    let gone = Instant::now();
    put_secret(&ns, "prometheus-token", "token", "x").await;
    heals(&ns, "school", "web", "MetricsAvailable", gone).await;
    ns.delete().await;
}
