//! A settled platform costs the API server nothing.

use super::*;
use learningplatform_tests::harness::{AuditLog, Load, Prometheus, account};

/// The operator's writes but for its lease's.
fn writes(audit: &AuditLog, ns: &TestNamespace) -> Vec<String> {
    let user = format!("system:serviceaccount:{}:operator", ns.name);
    audit.writes_of(&user).into_iter().filter(|write| !write.contains(" leases ")).collect()
}

fn by_rate(name: &str) -> Value {
    let autoscaling = json!({
        "minReplicas": 1, "maxReplicas": 6, "requestRate": {"perPod": 100}, "latency": {"percentile": 95, "budget": "200ms"},
        "fallback": {"replicas": 2},
    });
    with(pending(name), json!({"replicas": null, "autoscaling": autoscaling}))
}

#[tokio::test]
async fn noise_around_a_constant_load_causes_no_write() {
    if learningplatform_tests::harness::Need::AuditLog.is_missing() {
        return;
    }
    let ns = TestNamespace::create("quiet").await;
    let load = Load::start_stamped().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    // With its lease, whose writes are the only ones there may be.
    let operator = Operator::start(&ns, &["--evaluation-interval=1s", "--tunable=failure_span=3s"]).await;
    load.set(&ns.name, "school-web", 250.0, 0.1);
    let mut silent = by_rate("silent");
    silent["autoscaling"] = json!({"minReplicas": 1, "maxReplicas": 6, "requestRate": {"perPod": 100, "server": "dead"}, "fallback": {"replicas": 2}});
    let dead = json!([{"name": "dead", "url": "http://127.0.0.1:1"}]);
    let spec = json!({
        "prometheus": {"url": prometheus.url, "scrapeInterval": "1s", "servers": dead},
        "apps": [by_rate("web"), silent, app("fixed")],
    });
    ns.apply("school", spec).await;
    let floors = || async { (floor(&ns, "school-web").await, floor(&ns, "school-silent").await) };
    eventually("floors by load and by fallback", SOON, floors, |floors| *floors == (Some(3), Some(2))).await;
    // The platform's condition speaks of the worst app, which at the start may be the other one.
    let web = || ns.app_condition("school", "web", "MetricsAvailable");
    eventually("the figures of web", SOON, web, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let server = ["dead (http://127.0.0.1:1)"];
    names(&ns, "school", "silent", "MetricsAvailable", "SourceUnavailable", &server).await;
    // What follows the change of a floor: HPA, Deployment, pods, status.
    let settled = || async {
        let audit = AuditLog::from_now();
        tokio::time::sleep(Duration::from_secs(15)).await;
        writes(&audit, &ns)
    };
    eventually("the writes of the start end", SOON * 2, settled, Vec::is_empty).await;

    let audit = AuditLog::from_now();
    let user = format!("system:serviceaccount:{}:operator", ns.name);
    let end = Instant::now() + if soak() { Duration::from_secs(600) } else { Duration::from_secs(120) };
    let mut step = 0_u32;
    while Instant::now() < end {
        // Between 2.3 and 2.7 pods' worth, and latencies within the budget; without a period the filters could lock to.
        let noise = f64::from((step * 7919) % 41) / 100.0 - 0.2;
        load.set(&ns.name, "school-web", 250.0 + 100.0 * noise, 0.1 + 0.05 * noise);
        step += 1;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let written = writes(&audit, &ns);
        assert!(written.is_empty(), "after {step} steps of noise: {written:#?}");
    }
    assert!(audit.writes_of(&user).iter().any(|w| w.contains(" leases ")), "the audit log shows the operator's lease");
    drop(operator);
    ns.delete().await;
}

#[tokio::test]
async fn a_second_pass_writes_nothing_and_neither_does_a_new_operator() {
    if learningplatform_tests::harness::Need::AuditLog.is_missing() {
        return;
    }
    let ns = TestNamespace::create("second").await;
    let load = Load::start().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    load.set(&ns.name, "school-web", 250.0, 0.1);
    put_gateway(&ns, "public").await;
    let kubeconfig = account(&ns).await;
    let operator = Operator::spawn(&ns, &kubeconfig, FLAGS);
    let exposure = json!({
        "gateway": {"parentRefs": [{"name": "public"}], "hosts": ["school.example"], "paths": [{"path": "/", "timeout": "30s"}]},
        "ingress": {"className": "none", "hosts": ["school.example"]},
    });
    let jobs = json!([
        {"name": "migrate", "beforeRollout": {}, "args": ["--help"]},
        {"name": "warm", "afterRollout": {}, "args": ["--help"]},
        {"name": "report", "schedule": {"cron": "@yearly", "startingDeadline": "1h"}, "activeDeadline": "1m", "args": ["--help"]},
    ]);
    let everything = with(
        app("all"),
        json!({
            "exposure": exposure, "metrics": {"path": "/metrics"}, "health": {"path": "/api/health"}, "replicas": 2,
            "jobs": jobs,
        }),
    );
    let spec = json!({
        "prometheus": {"url": prometheus.url, "scrapeInterval": "1s"}, "apps": [by_rate("web"), everything, app("fixed")],
    });
    ns.apply("school", spec).await;
    eventually("the floor by load", SOON, || floor(&ns, "school-web"), |floor| *floor == Some(3)).await;
    let settled = || async {
        let audit = AuditLog::from_now();
        tokio::time::sleep(Duration::from_secs(10)).await;
        writes(&audit, &ns)
    };
    eventually("the writes of the start end", SOON, settled, Vec::is_empty).await;

    let before = ns.platform("school").await.status;
    let (audit, passes) = (AuditLog::from_now(), passes(&operator).await);
    annotate(&ns, "school", "learningplatform.dev/reconcile-at", Some("now")).await;
    eventually("another pass", SOON, || self::passes(&operator), |now| *now > passes).await;
    assert_eq!(writes(&audit, &ns), Vec::<String>::new(), "a second pass");

    drop(operator);
    let audit = AuditLog::from_now();
    let operator = Operator::spawn(&ns, &kubeconfig, FLAGS);
    // Passes, evaluations, and a safety margin of ten seconds for what a first decision might still write.
    eventually("passes of the new operator", SOON, || self::passes(&operator), |now| *now >= 1.0).await;
    let explained = || operator.explain(&ns.name, "school", "web");
    eventually("the new operator has decided", SOON, explained, Option::is_some).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(writes(&audit, &ns), Vec::<String>::new(), "a new operator");
    assert_eq!(ns.platform("school").await.status, before, "the status is as it was");
    drop(operator);
    ns.delete().await;
}

/// Passes that have ended, of any outcome, as the operator's metrics count them.
async fn passes(operator: &Operator) -> f64 {
    let metrics = operator.get("/metrics").await.unwrap_or_default();
    let lines = metrics.lines().filter(|line| line.starts_with("learningplatform_operator_passes_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
