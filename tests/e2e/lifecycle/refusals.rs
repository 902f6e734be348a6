//! What the API server refuses: pods by quota or Pod Security, objects by their validation.

use super::*;

#[tokio::test]
async fn a_quota_that_refuses_pods_is_named_and_heals() {
    let (ns, _operator) = scene("quota").await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}});
    put(&ns, quota).await;
    let quotas = ns.api::<k8s_openapi::api::core::v1::ResourceQuota>();
    let counted = || async { quotas.get("small").await.expect("the quota").status.and_then(|s| s.hard).is_some() };
    eventually("the quota is counted", SOON, counted, |counted| *counted).await;
    ns.apply("school", json!({"apps": [app("web")]})).await;
    names(&ns, "school", "web", "AppReady", "PodsRefused", &["exceeded quota: small"]).await;
    let gone = Instant::now();
    remove(&ns, "v1", "ResourceQuota", "small").await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn pod_security_that_refuses_pods_is_named_and_others_are_not_held_up() {
    let (ns, _operator) = scene("security").await;
    let overlay = json!({"spec": {"containers": [{"name": "web", "securityContext": {
        "privileged": true, "allowPrivilegeEscalation": true,
    }}]}});
    ns.apply("school", json!({"apps": [with(app("web"), json!({"podTemplate": overlay})), app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "PodsRefused", &["violates PodSecurity", "privileged"]).await;
    let other = || ns.app_condition("school", "other", "AppReady");
    eventually("the other app is ready", SOON, other, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web"), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn an_object_that_the_api_server_refuses_is_named_and_others_are_not_held_up() {
    let (ns, _operator) = scene("refused").await;
    // Types alone cannot tell: a restart policy that Deployments do not have.
    let overlay = json!({"podTemplate": {"spec": {"restartPolicy": "Never"}}});
    ns.apply("school", json!({"apps": [with(app("web"), overlay), app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "Rejected", &["Deployment", "school-web", "restartPolicy"]).await;
    let other = || ns.app_condition("school", "other", "AppReady");
    eventually("the other app is ready", SOON, other, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web"), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}
