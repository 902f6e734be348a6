//! What a spec refers to and is not there: each names itself, and heals within 30 s of its coming.

use super::*;

/// What each platform lacks: its name, the change of the app, the words of the condition, and what heals it.
fn cases() -> Vec<(&'static str, Value, Vec<&'static str>, Value)> {
    let config_map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"A": "1"}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}, "stringData": {"URL": "x"}});
    let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"key": "x"}});
    let pull = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "registry"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "{\"auths\":{}}"},
    });
    vec![
        (
            "secret",
            json!({"envFrom": [{"secretRef": {"name": "database"}}]}),
            vec!["Secret database", "envFrom"],
            secret,
        ),
        (
            "key",
            json!({"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}}]}),
            vec!["Secret token", "env[TOKEN]"],
            key,
        ),
        (
            "map",
            json!({"envFrom": [{"configMapRef": {"name": "settings"}}]}),
            vec!["ConfigMap settings", "envFrom"],
            config_map,
        ),
        (
            "account",
            json!({"serviceAccount": {"name": "reader"}}),
            vec!["ServiceAccount reader", "serviceAccount"],
            account,
        ),
        (
            "pull",
            json!({"imagePullSecrets": [{"name": "registry"}]}),
            vec!["Secret registry", "imagePullSecrets"],
            pull,
        ),
    ]
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals_when_it_comes() {
    let (ns, _operator) = scene("missing").await;
    let each = cases().into_iter().map(|(name, change, parts, cure)| {
        let ns = &ns;
        async move {
            // The other app of the same platform is not held up.
            ns.apply(name, json!({"apps": [with(app("web"), change), app("other")]})).await;
            names(ns, name, "web", "AppReady", "NotFound", &parts).await;
            let other = || ns.app_condition(name, "other", "AppReady");
            eventually("the other app is ready", SOON, other, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
            let gone = Instant::now();
            put(ns, cure).await;
            heals(ns, name, "web", "AppReady", gone).await;
            ready(ns, name).await;
        }
    });
    futures::future::join_all(each).await;
    ns.delete().await;
}

#[tokio::test]
async fn what_goes_while_the_platform_runs_is_named_and_heals() {
    let (ns, _operator) = scene("goes").await;
    put_secret(&ns, "database", "URL", "x").await;
    ns.apply("school", json!({"apps": [with(app("web"), json!({"envFrom": [{"secretRef": {"name": "database"}}]}))]}))
        .await;
    ready(&ns, "school").await;
    remove_secret(&ns, "database").await;
    // A settled platform is looked at on a change, or every ten minutes: the user asks for a look.
    annotate(&ns, "school", "learningplatform.dev/reconcile-at", Some("now")).await;
    names(&ns, "school", "web", "AppReady", "NotFound", &["Secret database"]).await;
    let gone = Instant::now();
    put_secret(&ns, "database", "URL", "x").await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}
