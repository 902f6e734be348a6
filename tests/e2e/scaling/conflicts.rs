//! Somebody else's objects in the way: refused or told, never fought, and healed when they go.

use super::{PLATFORM, SOON, Scene, app, by_rate, object, pending, with};
use crds::LearningPlatform;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    ResourceExt,
    api::{DeleteParams, PostParams},
};
use learningplatform_tests::harness::{TestNamespace, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// A cause that is gone must be healed within this time.
const HEALED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_can_never_work_is_refused_with_a_remedy() {
    let ns = TestNamespace::create("refused").await;
    let long = "a-name-that-is-much-too-long-for-an-app";
    let no_request = {
        let mut app = app("web", with(by_rate(1, 4), json!({"cpu": {"utilization": 70}})));
        app["resources"] = Value::Null;
        app
    };
    for (name, app, named, remedy) in [
        (PLATFORM, app("web", by_rate(5, 4)), "minReplicas", "lower minReplicas or raise maxReplicas"),
        (PLATFORM, no_request, "cpu.utilization", "set apps[].resources.requests.cpu"),
        (
            PLATFORM,
            app("web", json!({"minReplicas": 1, "maxReplicas": 4})),
            "nothing to scale on",
            "set at least one of",
        ),
        ("a-school-of-many", app(long, by_rate(1, 4)), "at most 51 characters", "shorten one of them"),
    ] {
        let refusal = ns.try_apply(name, json!({"apps": [app]})).await.expect_err(named).to_string();
        assert!(refusal.contains(named) && refusal.contains(remedy), "{named}: {refusal}");
    }
    ns.delete().await;
}

/// The message of any condition of the platform or its apps with this reason.
async fn complaint(ns: &TestNamespace, platform: &str, reason: &str) -> Option<String> {
    let status = ns.platform(platform).await.status?;
    let of_apps = status.apps.into_iter().flat_map(|app| app.conditions);
    let mut conditions = of_apps.chain(status.conditions);
    conditions.find(|c| c.status == "False" && c.reason == reason).map(|c| c.message)
}

async fn complains(ns: &TestNamespace, platform: &str, reason: &str, name: &str) {
    let look = || complaint(ns, platform, reason);
    eventually(reason, SOON, look, |message| message.as_ref().is_some_and(|m| m.contains(name))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_platforms_that_want_one_name_do_not_fight() {
    let scene = Scene::start("second-owner").await;
    let apps = |name: &str| scene.spec(&[app(name, by_rate(1, 4))]);
    scene.load.set(&scene.ns.name, "a-b-c", 50.0, 0.05);
    // Both come to the name a-b-c.
    scene.ns.apply("a-b", apps("c")).await;
    let record = learningplatform_tests::harness::Recorder::start(&scene.ns, "a-b-c").await;
    record.until("the first has it", SOON, |seen| seen.settled_at(1)).await;
    let deployments = scene.ns.api::<Deployment>();
    let first = deployments.get("a-b-c").await.expect("a Deployment");

    scene.ns.apply("a", apps("b-c")).await;
    complains(&scene.ns, "a", "NameConflict", "a-b-c").await;
    let now = deployments.get("a-b-c").await.expect("a Deployment");
    assert_eq!(
        (now.uid(), now.labels(), now.metadata.generation),
        (first.uid(), first.labels(), first.metadata.generation)
    );
    let ready = || async { scene.ns.condition("a-b", "Ready").await.map(|c| c.0) };
    eventually("the first is Ready", SOON, ready, |state| state.as_deref() == Some("True")).await;

    // Handing over: the first goes, the second takes its place.
    scene.ns.api::<LearningPlatform>().delete("a-b", &DeleteParams::foreground()).await.expect("a deletion");
    let owner = || async {
        let deployment = scene.ns.api::<Deployment>().get_opt("a-b-c").await.expect("an answer");
        deployment.and_then(|d| d.labels().get("app.kubernetes.io/instance").cloned())
    };
    eventually("the second has the Deployment", HEALED + SOON, owner, |owner| owner.as_deref() == Some("a")).await;
    record.until("it runs", SOON, |seen| seen.settled_at(1)).await;
    let healed = || complaint(&scene.ns, "a", "NameConflict");
    eventually("nothing is complained of any more", HEALED, healed, Option::is_none).await;
    scene.end().await;
}

fn foreign_hpa(name: &str) -> HorizontalPodAutoscaler {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object("web")},
            "minReplicas": 2, "maxReplicas": 3,
        },
    }))
    .expect("an HPA")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_autoscaler_is_told_and_left_alone() {
    // One under a name of its own, one under the name that ours would have.
    let scene = Scene::start("foreign-hpa").await;
    let hpas = scene.ns.api::<HorizontalPodAutoscaler>();
    scene.pods_worth("web", 0.5);
    for (name, reasons) in
        [("by-hand".to_owned(), ["AutoscalerConflict"; 2]), (object("web"), ["AutoscalerConflict", "NameConflict"])]
    {
        let made = hpas.create(&PostParams::default(), &foreign_hpa(&name)).await.expect("an HPA");
        scene.apply(&[pending("web", by_rate(1, 4))]).await;
        let look = || async {
            let mut found = None;
            for reason in reasons {
                found = found.or(complaint(&scene.ns, PLATFORM, reason).await);
            }
            found
        };
        eventually("it is told", SOON, look, |message| message.as_ref().is_some_and(|m| m.contains(&name))).await;
        // Passes go on meanwhile; they neither change it nor add one of ours.
        scene.apply(&[pending("web", by_rate(1, 5))]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let found = hpas.list(&Default::default()).await.expect("HPAs").items;
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((found[0].uid(), &found[0].spec), (made.uid(), &made.spec));

        hpas.delete(&name, &DeleteParams::default()).await.expect("a deletion");
        let ours = || async { scene.ns.bounds(&object("web")).await };
        eventually("ours takes its place", HEALED, ours, |bounds| bounds.is_some_and(|(floor, _)| floor >= 1)).await;
        eventually("nothing is complained of any more", HEALED, look, Option::is_none).await;

        scene.ns.api::<LearningPlatform>().delete(PLATFORM, &DeleteParams::foreground()).await.expect("a deletion");
        let gone =
            || async { scene.ns.api::<LearningPlatform>().get_opt(PLATFORM).await.expect("an answer").is_none() };
        eventually("the platform is gone", SOON, gone, |gone| *gone).await;
        let ours_gone = || async { hpas.list(&Default::default()).await.expect("HPAs").items.is_empty() };
        eventually("its HPA is gone", SOON, ours_gone, |gone| *gone).await;
    }
    scene.end().await;
}
