//! What is left when platforms, apps or namespaces go.

use super::{ALONE, PLATFORM, SOON, Scene, app, by_rate, soak};
use crds::LearningPlatform;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Namespace, Service},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, PropagationPolicy},
};
use learningplatform_tests::harness::{DISCOVERY, TestNamespace, eventually, grant};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_full_of_platforms_are_gone_within_a_minute() {
    let _discovery = DISCOVERY.read().await;
    let (namespaces, platforms) = if soak() { (10, 5) } else { (5, 2) };
    let mut scene = Scene::start("deletion").await;
    let mut others = Vec::new();
    for i in 0..namespaces {
        let ns = TestNamespace::create(&format!("deletion-{i}")).await;
        grant(&ns, &scene.ns).await;
        others.push(ns);
    }
    let watched: Vec<String> = others.iter().map(|ns| format!("--watch-namespace={}", ns.name)).collect();
    let flags: Vec<&str> = std::iter::once(ALONE).chain(watched.iter().map(String::as_str)).collect();
    scene.operator.kill();
    scene.operator = scene.another_operator(&flags);
    for ns in &others {
        for platform in 0..platforms {
            scene.load.set(&ns.name, &format!("p{platform}-web"), 150.0, 0.05);
            let mut web = app("web", by_rate(1, 4));
            web["port"] = json!(3000);
            web["draining"] = json!({"delay": "0s"});
            ns.apply(&format!("p{platform}"), scene.spec(&[web])).await;
        }
    }
    let ready = || async {
        let mut ready = 0;
        for ns in &others {
            let deployments = ns.api::<Deployment>().list(&ListParams::default()).await.expect("Deployments").items;
            ready += deployments.iter().filter(|d| d.status.as_ref().and_then(|s| s.ready_replicas) == Some(2)).count();
        }
        ready
    };
    eventually("everything runs", SOON * 2, ready, |count| *count == namespaces * platforms).await;

    let api = Api::<Namespace>::all(scene.ns.client.clone());
    let names: Vec<String> = others.iter().map(|ns| ns.name.clone()).collect();
    for name in &names {
        api.delete(name, &DeleteParams::default()).await.expect("a deletion");
    }
    let left = || async {
        let found = api.list(&ListParams::default()).await.expect("namespaces");
        found.items.iter().map(ResourceExt::name_any).filter(|name| names.contains(name)).collect::<Vec<_>>()
    };
    eventually("all namespaces are gone", Duration::from_secs(60), left, Vec::is_empty).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_stay_or_become_what_is_set() {
    let scene = Scene::start("leftover").await;
    scene.pods_worth("web", 2.5);
    scene.apply(&[app("web", by_rate(1, 4))]).await;
    let web = scene.record("web").await;
    web.until("three pods are ready", SOON, |seen| seen.settled_at(3)).await;

    // Autoscaling goes and nothing is set in its place: one pod; with a number: that number. The HPA goes first.
    let mut fixed = app("web", Value::Null);
    fixed.as_object_mut().expect("an object").remove("autoscaling");
    fixed["replicas"] = json!(2);
    scene.apply(&[fixed]).await;
    web.until("the fixed number runs", SOON, |seen| {
        seen.bounds.is_none() && seen.replicas == Some(2) && seen.ready == 2
    })
    .await;
    // And back: scaling begins at what runs.
    scene.apply(&[app("web", by_rate(1, 4))]).await;
    web.until("scaling is back", SOON, |seen| seen.settled_at(3)).await;

    // Deleted without its children, the Deployment goes on as it was scaled.
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    scene.ns.api::<LearningPlatform>().delete(PLATFORM, &orphan).await.expect("a deletion");
    let gone = || async { scene.ns.api::<LearningPlatform>().get_opt(PLATFORM).await.expect("an answer").is_none() };
    eventually("the platform is gone", SOON, gone, |gone| *gone).await;
    tokio::time::sleep(Duration::from_secs(16)).await;
    let seen = web.now();
    assert_eq!((seen.replicas, seen.ready), (Some(3), 3));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_metrics_come_and_go_with_their_objects() {
    let scene = Scene::start("own-metrics").await;
    let ns = scene.ns.name.clone();
    scene.pods_worth("web", 1.5);
    scene.pods_worth("api", 0.5);
    let lines = |app: &str| {
        let labels = [format!("namespace=\"{ns}\""), format!("platform=\"{PLATFORM}\""), format!("app=\"{app}\"")];
        let operator = &scene.operator;
        async move {
            let text = operator.get("/metrics").await.unwrap_or_default();
            let of_app = text.lines().filter(|line| labels.iter().all(|label| line.contains(label)));
            of_app.map(str::to_owned).collect::<Vec<_>>()
        }
    };
    scene.apply(&[app("web", by_rate(1, 4)), app("api", by_rate(1, 4))]).await;
    let shows = |name: &'static str, value: &'static str| {
        move |lines: &Vec<String>| lines.iter().any(|line| line.contains(name) && line.ends_with(value))
    };
    eventually("the floor of web", SOON, || lines("web"), shows("_app_floor{", " 2")).await;
    eventually("the cap of web", SOON, || lines("web"), shows("_app_cap{", " 4")).await;
    eventually("the pods of web", SOON, || lines("web"), shows("_app_pods_ready{", " 2")).await;
    eventually("the floor of api", SOON, || lines("api"), shows("_app_floor{", " 1")).await;
    let conditions = |lines: &Vec<String>| {
        ["AppReady", "AutoscalingReady", "MetricsAvailable"].iter().all(|type_| {
            let of_type = lines.iter().filter(|line| line.contains("_app_condition{") && line.contains(type_));
            of_type.count() == 1
        })
    };
    eventually("one series per condition of web", SOON, || lines("web"), conditions).await;

    scene.apply(&[app("web", by_rate(1, 4))]).await;
    eventually("nothing of api is left", SOON, || lines("api"), Vec::is_empty).await;
    assert!(!lines("web").await.is_empty());
    scene.ns.api::<LearningPlatform>().delete(PLATFORM, &DeleteParams::default()).await.expect("a deletion");
    eventually("nothing of web is left", SOON, || lines("web"), Vec::is_empty).await;
    let platform = || async {
        let text = scene.operator.get("/metrics").await.expect("metrics");
        text.lines().filter(|line| line.contains(&format!("namespace=\"{ns}\""))).map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("nothing of the platform is left", SOON, platform, Vec::is_empty).await;
    let children = || async {
        let deployments =
            scene.ns.api::<Deployment>().list(&ListParams::default()).await.expect("an answer").items.len();
        let hpas = scene
            .ns
            .api::<HorizontalPodAutoscaler>()
            .list(&ListParams::default())
            .await
            .expect("an answer")
            .items
            .len();
        deployments
            + hpas
            + scene.ns.api::<Service>().list(&ListParams::default()).await.expect("an answer").items.len()
    };
    eventually("its children are gone", SOON, children, |count| *count == 0).await;
    scene.end().await;
}
