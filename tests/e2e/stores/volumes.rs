//! Volumes grow while the servers run, and a class that cannot grow is told.

use super::*;
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::PersistentVolumeClaim};

async fn size(ns: &TestNamespace, claim: &str) -> String {
    let claim = ns.api::<PersistentVolumeClaim>().get(claim).await.expect("a claim");
    claim
        .spec
        .and_then(|s| s.resources)
        .and_then(|r| r.requests)
        .and_then(|mut r| r.remove("storage"))
        .expect("a size")
        .0
}

async fn template(ns: &TestNamespace, set: &str) -> Option<Value> {
    let set = ns.api::<StatefulSet>().get_opt(set).await.expect("an answer")?;
    let set = serde_json::to_value(set).expect("JSON");
    set.pointer("/spec/volumeClaimTemplates/0/spec/resources/requests/storage").cloned()
}

#[tokio::test]
async fn volumes_grow_around_running_servers() {
    if learningplatform_tests::harness::Need::VolumesThatGrow.is_missing() {
        return;
    }
    let (ns, _operator) = scene("volumes").await;
    let spec = |size: &str, class: &str| {
        let fixed =
            json!({"mode": "Single", "replicasPerShard": 0, "volume": {"storage": size, "storageClass": "fixed"}});
        let volume = json!({"readReplicas": 1, "volume": {"storage": size, "storageClass": class}});
        json!({"databases": [database("main", volume)], "caches": [cache("cache", fixed)]})
    };
    ns.apply("story", spec("128Mi", "standard")).await;
    ready(&ns, "story").await;
    let pod = || async { ns.api::<Pod>().get("story-main-pg-0").await.expect("a pod").metadata.uid };
    let before = pod().await;
    ns.apply("story", spec("256Mi", "standard")).await;
    for claim in ["data-story-main-pg-0", "data-story-main-pg-ro-0"] {
        eventually("the claim has grown", MADE, || size(&ns, claim), |size| size == "256Mi").await;
    }
    for set in ["story-main-pg", "story-main-pg-ro"] {
        eventually("the set has it, too", MADE, || template(&ns, set), |size| *size == Some(json!("256Mi"))).await;
    }
    let told = || ns.condition("story", "CacheReady");
    eventually("a class that cannot grow is told", MADE, told, |condition| {
        condition.as_ref().is_some_and(|(status, _, message)| status == "False" && message.contains("resize"))
    })
    .await;
    assert_eq!(size(&ns, "data-story-cache-s0-0").await, "128Mi");
    ns.apply("story", {
        let mut spec = spec("256Mi", "standard");
        spec["caches"] = json!([]);
        spec["abandonData"] = json!(["cache"]);
        spec
    })
    .await;
    ready(&ns, "story").await;
    assert_eq!(pod().await, before, "the pods are not touched");
    ns.delete().await;
}
