//! Deletion needs no operator, and applying again changes nothing.

use super::*;
use k8s_openapi::api::core::v1::Namespace;
use learningplatform_tests::harness::{DISCOVERY, Load, Prometheus, Recorder, kubectl};

#[tokio::test]
async fn deleting_the_resource_ends_while_the_operator_is_down() {
    let (ns, mut operator) = scene("delete").await;
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 2, "cpu": {"averageValue": "1"}});
    ns.apply(
        "school",
        json!({"apps": [app("web"), with(app("api"), json!({"replicas": null, "autoscaling": autoscaling}))]}),
    )
    .await;
    ready(&ns, "school").await;
    operator.kill();
    remove(&ns, "learningplatform.dev/v1alpha1", "LearningPlatform", "school").await;
    let left = || async {
        let platform = ns.api::<crds::LearningPlatform>().get_opt("school").await.expect("readable").is_some();
        (platform, children(&ns).await.len(), ns.pods("web").await.len() + ns.pods("api").await.len())
    };
    eventually("everything is gone", SOON, left, |left| *left == (false, 0, 0)).await;
    ns.delete().await;
}

#[tokio::test]
async fn deleting_the_namespace_ends_while_the_operator_is_down() {
    let (ns, mut operator) = scene("namespace").await;
    ns.apply("school", json!({"apps": [app("web"), app("api")]})).await;
    ready(&ns, "school").await;
    operator.kill();
    let _discovery = DISCOVERY.read().await;
    let namespaces = Api::<Namespace>::all(ns.client.clone());
    namespaces.delete(&ns.name, &Default::default()).await.expect("deletion begins");
    let there = || async { namespaces.get_opt(&ns.name).await.expect("readable").is_some() };
    eventually("the namespace is gone", SOON * 2, there, |there| !there).await;
}

#[tokio::test]
async fn client_side_apply_never_moves_the_replicas() {
    let (ns, _operator) = scene("clientside").await;
    let load = Load::start_stamped().await;
    let prometheus = Prometheus::start(ns.dir.path(), &load).await;
    load.set(&ns.name, "school-web", 250.0, 0.05);
    let autoscaling = json!({"minReplicas": 1, "maxReplicas": 6, "requestRate": {"perPod": 100}});
    let platform = json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "school", "namespace": ns.name},
        "spec": {
            "prometheus": {"url": prometheus.url, "scrapeInterval": "1s"},
            "apps": [with(pending("web"), json!({"replicas": null, "autoscaling": autoscaling}))],
        },
    });
    let file = ns.dir.path().join("platform.json");
    std::fs::write(&file, platform.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    let kubeconfig = std::env::var("KUBECONFIG").expect("KUBECONFIG");
    let apply = ["--kubeconfig", &kubeconfig, "apply", "-f", file];
    kubectl(&apply).await;
    let recorder = Recorder::start(&ns, "school-web").await;
    recorder.until("three pods by load", SOON * 2, |seen| seen.floor() == Some(3) && seen.replicas == Some(3)).await;

    let begin = Instant::now();
    let (every, rounds) = if soak() { (30, 20) } else { (2, 10) };
    for round in 0..rounds {
        // Every other time something of the resource changes, as it does when a pipeline stamps its commit.
        let mut platform = platform.clone();
        platform["metadata"]["annotations"] = json!({"example.com/commit": (round / 2).to_string()});
        std::fs::write(file, platform.to_string()).expect("a file");
        kubectl(&apply).await;
        tokio::time::sleep(Duration::from_secs(every)).await;
    }
    assert_eq!(recorder.replicas(begin), [3], "the replicas since the first of {rounds} applies");
    let floors: Vec<i32> = recorder.floors(begin).into_iter().map(|(_, floor)| floor).collect();
    assert_eq!(floors, [3], "the floors");
    ns.delete().await;
}
