//! Stores that speak TLS: apps verify them, and renewed certificates restart nobody.

use super::*;
use crds::status::StoreStatus;
use kube::api::{ListParams, Patch, PatchParams};
use std::collections::BTreeMap;

/// Every pod with the restarts of its containers.
async fn pods(ns: &TestNamespace) -> BTreeMap<String, i32> {
    let pods = ns.api::<Pod>().list(&ListParams::default()).await.expect("the pods");
    let one = |pod: Pod| {
        let restarts = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let restarts = restarts.map(|container| container.restart_count).sum();
        (format!("{:?} {:?}", pod.metadata.name, pod.metadata.uid), restarts)
    };
    pods.items.into_iter().map(one).collect()
}

/// Until when the certificates of the stores are valid that their servers show.
async fn ends(ns: &TestNamespace) -> Vec<Option<String>> {
    let status = ns.platform("school").await.status.unwrap_or_default();
    let of = |stores: &[StoreStatus]| stores.iter().map(|store| store.certificate_expires.clone()).collect::<Vec<_>>();
    [of(&status.caches), of(&status.databases)].concat()
}

/// What the servers of a store could not follow, or the apps not know, is refused.
async fn refused(ns: &TestNamespace) {
    let platforms = ns.api::<crds::LearningPlatform>();
    let stored = platforms.get("school").await.expect("the platform");
    for (at, value, said) in [
        ("/spec/caches/0/inCluster/tls", Value::Null, "inCluster.tls cannot be added or taken away"),
        ("/spec/databases/0/inCluster/tls", Value::Null, "inCluster.tls cannot be taken away again"),
        (
            "/spec/databases/0/inCluster/tls",
            json!({"secret": {"name": "other"}}),
            "where the certificates come from cannot be changed",
        ),
    ] {
        let mut changed = serde_json::to_value(&stored).expect("JSON");
        *changed.pointer_mut(at).expect("the field") = value;
        let changed = serde_json::from_value(changed).expect("a platform");
        let dry = kube::api::PostParams { dry_run: true, ..Default::default() };
        let answer = platforms.replace("school", &dry, &changed).await.map(drop);
        assert!(
            matches!(&answer, Err(kube::Error::Api(refusal)) if refusal.message.contains(said)),
            "{at}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn apps_verify_the_servers_and_a_renewal_restarts_nobody() {
    let (ns, operator) = scene("tls").await;
    let tls = json!({"generated": {}});
    let resources = json!({"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}});
    let pooler = json!({"image": pooler::PGBOUNCER, "runAsUser": 65532, "resources": resources, "replicas": 1});
    let uses = json!({"databases": [{"name": "main"}], "caches": [{"name": "cache"}]});
    ns.apply(
        "school",
        json!({
            "caches": [cache("cache", json!({"replicasPerShard": 1, "tls": tls}))],
            "databases": [database("main", json!({"readReplicas": 1, "tls": tls, "pooler": pooler}))],
            "apps": [app(uses)],
        }),
    )
    .await;
    // Its app is ready only while it reads and writes in both.
    let took = ready(&ns, "school").await;
    println!("Ready after {took:?}");
    let connections: Secret = ns.api().get("school-web-connections").await.expect("the app's connections");
    let connections = connections.data.unwrap_or_default();
    let text = |key: &str| String::from_utf8_lossy(&connections[key].0).into_owned();
    for (key, host) in [("DATABASE_URL", "@school-main-pooler."), ("DIRECT_URL", "@school-main-rw.")] {
        let url = text(key);
        assert!(url.contains("sslmode=verify-full") && url.contains(host), "{key}");
    }
    assert!(text("REDIS_URL").starts_with("rediss://"));

    refused(&ns).await;
    let known = |ends: &Vec<Option<String>>| ends.len() == 2 && ends.iter().all(Option::is_some);
    let before = eventually("the status has the certificates' ends", MADE, || ends(&ns), known).await;
    let running = pods(&ns).await;
    for name in ["school-cache-tls", "school-main-tls"] {
        let patch = Patch::Merge(json!({"data": {"tls.crt": null}}));
        ns.api::<Secret>().patch(name, &PatchParams::default(), &patch).await.expect("a certificate that is removed");
    }
    let begun = Instant::now();
    // Each server shows the new one: the first to end is told.
    let renewed = |now: &Vec<Option<String>>| known(now) && now.iter().zip(&before).all(|(now, before)| now > before);
    eventually("all servers show renewed certificates", MADE, || ends(&ns), renewed).await;
    println!("all servers show renewed certificates after {:?}", begun.elapsed());
    ready(&ns, "school").await;
    assert_eq!(pods(&ns).await, running, "nobody was restarted");
    drop(operator);
    ns.delete().await;
}
