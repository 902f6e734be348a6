//! Apps and the stores they use: the variables reach the process, what is missing is waited for, and a new password replaces
//! the pods once.

use super::*;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

/// A platform whose app listens where the variables of its store say; by their names it would look for the store itself.
fn wired() -> Value {
    let uses = json!({"caches": [{"name": "cache", "names": {"REDIS_PORT": "PORT", "REDIS_URL": "CACHE"}}]});
    json!({
        "caches": [{"name": "cache", "external": {"address": "redis.example:3456", "secret": {"name": "redis"}}}],
        "apps": [with(app("web"), json!({"port": 3456, "health": {"path": "/api/health"}, "uses": uses}))],
    })
}

async fn put_login(ns: &TestNamespace, password: &str) {
    put_secret(ns, "redis", "password", password).await;
}

async fn variables(ns: &TestNamespace) -> std::collections::BTreeMap<String, String> {
    let secret = ns.api::<Secret>().get("wired-web-connections").await.expect("the Secret");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    secret.data.unwrap_or_default().into_iter().map(|(name, value)| (name, text(value.0))).collect()
}

#[tokio::test]
async fn an_app_reaches_its_stores_by_what_the_users_secret_says() {
    let (ns, _operator) = scene("stores").await;
    ns.apply("wired", wired()).await;
    names(&ns, "wired", "web", "AppReady", "NotFound", &["the Secret redis does not exist"]).await;
    assert!(ns.api::<Deployment>().get_opt("wired-web").await.expect("an answer").is_none(), "it has to wait");
    let come = Instant::now();
    put_login(&ns, "hunter2").await;
    heals(&ns, "wired", "web", "AppReady", come).await;
    ready(&ns, "wired").await;
    assert_eq!(variables(&ns).await["CACHE"], "redis://:hunter2@redis.example:3456");

    let template =
        || async { ns.api::<Deployment>().get("wired-web").await.expect("a Deployment").metadata.generation };
    let before = template().await;
    let changed = Instant::now();
    put_login(&ns, "correct-horse").await;
    eventually("the pods are replaced", SOON, template, |now| *now != before).await;
    println!("a new password was in the pod template after {:?}", changed.elapsed());
    assert!(changed.elapsed() < Duration::from_secs(10), "{:?}", changed.elapsed());
    ready(&ns, "wired").await;
    assert_eq!(variables(&ns).await["REDIS_PASSWORD"], "correct-horse");
    let sets = ns.api::<ReplicaSet>().list(&Default::default()).await.expect("a list");
    assert_eq!(sets.items.len(), 2, "one rollout per change");

    // What runs keeps what it has.
    let kept = (template().await, variables(&ns).await);
    remove_secret(&ns, "redis").await;
    names(&ns, "wired", "web", "AppReady", "NotFound", &["the Secret redis does not exist"]).await;
    assert_eq!((template().await, variables(&ns).await), kept);
    let come = Instant::now();
    put_login(&ns, "correct-horse").await;
    heals(&ns, "wired", "web", "AppReady", come).await;
    assert_eq!((template().await, variables(&ns).await), kept);
    ns.delete().await;
}
