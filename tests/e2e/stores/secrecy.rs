//! No password of a store is in arguments of processes, logs, events, objects other than Secrets, or status.

use super::*;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap, events::v1::Event};
use kube::api::{ListParams, LogParams};
use learningplatform_tests::harness::kubectl;
use std::collections::BTreeSet;

/// Every password that Secrets of the namespace hold, what holds one (URLs and verifiers), and a line of every private key.
async fn passwords(ns: &TestNamespace) -> BTreeSet<String> {
    let secrets = ns.api::<Secret>().list(&ListParams::default()).await.expect("Secrets").items;
    let of_stores = secrets.into_iter().filter(|secret| {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        ["-auth", "-connections", "-tls"].iter().any(|end| name.ends_with(end))
    });
    let is_key = |name: &str| name.ends_with(".key");
    let secret = |name: &str| name.to_lowercase().contains("password") || name.ends_with("_URL") || is_key(name);
    let values = of_stores.flat_map(|secret| secret.data.unwrap_or_default());
    let values = values.filter(|(name, _)| secret(name)).map(|(name, value)| {
        let text = String::from_utf8(value.0).expect("text");
        if is_key(&name) { text.lines().nth(1).expect("a line of the key").to_owned() } else { text }
    });
    values.filter(|value| value.len() >= 16).collect()
}

#[tokio::test]
async fn no_password_of_a_store_is_shown_anywhere() {
    let ns = TestNamespace::create("store-secrecy").await;
    let operator = Operator::start(&ns, &[FLAGS, &["--log", "debug"]].concat()).await;
    let tls = json!({"generated": {}});
    let uses = json!({"databases": [{"name": "main"}], "caches": [{"name": "cache"}, {"name": "logins", "prefix": "LOGINS_"}]});
    ns.apply(
        "story",
        json!({
            "caches": [cache("cache", json!({"tls": tls})), cache("logins", json!({"mode": "Single"}))],
            "databases": [
                database("main", json!({"readReplicas": 1, "tls": tls, "parameters": {"log_statement": "all"}})),
            ],
            "apps": [app(uses)],
        }),
    )
    .await;
    ready(&ns, "story").await;
    let passwords = passwords(&ns).await;
    // Two of them are of certificates and two of their authorities.
    assert!(passwords.len() >= 10, "{}", passwords.len());
    let holds_none = |what: &str, text: &str| {
        for password in &passwords {
            assert!(!text.contains(password.as_str()), "{what} holds a password");
        }
    };
    let pods = ns.api::<Pod>().list(&ListParams::default()).await.expect("pods").items;
    let (mut looked, mut logs) = (0, 0);
    for pod in &pods {
        let name = pod.metadata.name.as_deref().expect("a name");
        holds_none(name, &serde_json::to_string(pod).expect("JSON"));
        let log = ns.api::<Pod>().logs(name, &LogParams::default()).await.expect("a log");
        logs += log.len();
        holds_none(&format!("the log of {name}"), &log);
        // The app's image has no shell.
        if pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("learningplatform.dev/tier")) {
            let arguments = [
                "exec",
                "-n",
                &ns.name,
                name,
                "-c",
                "server",
                "--",
                "sh",
                "-c",
                "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
            ];
            let arguments = kubectl(&arguments).await;
            assert!(arguments.contains("server") || arguments.contains("postgres"), "{arguments}");
            holds_none(&format!("an argument in {name}"), &arguments);
            looked += 1;
        }
    }
    assert_eq!(looked, 6 + 2 + 2);
    assert!(logs > 1000, "the servers log");
    for maps in ns.api::<ConfigMap>().list(&ListParams::default()).await.expect("ConfigMaps").items {
        holds_none("a ConfigMap", &serde_json::to_string(&maps).expect("JSON"));
    }
    for set in ns.api::<StatefulSet>().list(&ListParams::default()).await.expect("StatefulSets").items {
        holds_none("a StatefulSet", &serde_json::to_string(&set).expect("JSON"));
    }
    for event in ns.api::<Event>().list(&ListParams::default()).await.expect("events").items {
        holds_none("an event", &serde_json::to_string(&event).expect("JSON"));
    }
    holds_none("the resource", &serde_json::to_string(&ns.platform("story").await).expect("JSON"));
    let log = operator.logged();
    assert!(log.contains("DEBUG"), "the operator logs at debug level");
    holds_none("the operator's log", &log);
    holds_none("the metrics", &operator.get("/metrics").await.expect("metrics"));
    ns.delete().await;
}
