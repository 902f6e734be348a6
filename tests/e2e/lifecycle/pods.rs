//! Pods that do not get to work: the cause stands in the condition, in words that name the remedy.

use super::*;

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_named_and_heals() {
    let (ns, _operator) = scene("pull").await;
    ns.apply("school", json!({"apps": [with(app("web"), json!({"image": "localhost/no-such-app:1"})), app("other")]}))
        .await;
    names(&ns, "school", "web", "AppReady", "ImagePull", &["localhost/no-such-app:1", "imagePullSecrets"]).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web"), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_container_that_stops_again_is_named_and_heals() {
    let (ns, _operator) = scene("crash").await;
    let crashing = with(app("web"), json!({"args": ["--no-such-flag"]}));
    ns.apply("school", json!({"apps": [crashing, app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "CrashLoop", &["container web", "exit code", "logs"]).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web"), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn an_image_whose_user_is_refused_names_the_field_that_mends_it() {
    let (ns, _operator) = scene("user").await;
    let root = with(app("web"), json!({"image": "learningplatform/sample-app:root"}));
    ns.apply("school", json!({"apps": [root.clone(), app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "ContainerConfig", &["security.runAsUser"]).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [with(root, json!({"security": {"runAsUser": 65532}})), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_pod_that_no_node_takes_is_named_and_heals() {
    let (ns, _operator) = scene("nodes").await;
    ns.apply("school", json!({"apps": [pending("web"), app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "Unschedulable", &["no node takes the pod"]).await;
    let gone = Instant::now();
    ns.apply("school", json!({"apps": [app("web"), app("other")]})).await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}
