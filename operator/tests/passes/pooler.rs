//! A pooler that comes and goes before a database: apps change over once, and only to what is there.

use crate::world::*;
use k8s_openapi::ByteString;
use learningplatform_operator::tiers::app::connections::REVISION;
use serde_json::{Value, json};

const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";
const POOLER: [&str; 4] = [
    "/apis/apps/v1/namespaces/learning/deployments/story-main-pooler",
    "/api/v1/namespaces/learning/services/story-main-pooler",
    "/api/v1/namespaces/learning/configmaps/story-main-pooler-config",
    "/apis/policy/v1/namespaces/learning/poddisruptionbudgets/story-main-pooler",
];
const READER: &str = "/api/v1/namespaces/learning/services/story-main-ro";
const ROLE: &str = "learningplatform.dev/role";

fn with(pooler: Value) -> Value {
    let mut spec = spec();
    spec["databases"] = json!([{ "name": "main", "inCluster": { "volume": { "storage": "1Gi" }, "pooler": pooler } }]);
    spec["apps"][0]["uses"] = json!({ "databases": [{ "name": "main" }] });
    spec
}

/// A platform whose database has served.
async fn served(pooler: Value) -> World {
    let world = World::new(with(pooler));
    let operator = world.operator().await;
    world.pass(&operator).await;
    world.api.edit(RECORD, |record| record["data"]["SYSTEM_IDENTIFIER"] = json!("7"));
    world
}

/// Where a variable of the app leads.
fn leads(world: &World, name: &str) -> String {
    let Some(secret) = world.api.get(CONNECTIONS) else { return String::new() };
    let value: Option<ByteString> = serde_json::from_value(secret["data"][name].clone()).unwrap();
    let text = String::from_utf8(value.unwrap_or_default().0).unwrap();
    text.split_once('@').map_or(text.clone(), |(_, rest)| rest.split(['.', ':']).next().unwrap().to_owned())
}

fn revision(world: &World) -> Value {
    let app = world.api.get(DEPLOYMENT).unwrap_or_default();
    app["spec"]["template"]["metadata"]["annotations"][REVISION].clone()
}

fn there(world: &World) -> usize {
    POOLER.iter().filter(|path| world.api.get(path).is_some()).count()
}

fn told(world: &World) -> Value {
    world.api.get(PLATFORM).unwrap()["status"]["databases"][0]["pooler"].clone()
}

#[tokio::test]
async fn an_app_that_is_new_waits_for_the_pooler_and_is_rolled_out_once() {
    let world = served(json!({})).await;
    let operator = world.operator().await;
    for _ in 0..2 {
        world.pass(&operator).await;
        assert_eq!((there(&world), leads(&world, "DATABASE_URL").as_str()), (4, ""));
        let message = world.app_condition("web", "AppReady")["message"].clone();
        assert!(message.as_str().unwrap().contains("database main: its pooler is being made"), "{message}");
    }
    world.settle(&operator).await;
    assert_eq!(["DATABASE_URL", "DIRECT_URL"].map(|name| leads(&world, name)), ["story-main-pooler", "story-main-rw"]);
    assert_eq!(told(&world), "2 of 2 pods ready at story-main-pooler.learning.svc:5432");
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
}

#[tokio::test]
async fn apps_change_over_once_it_is_ready_and_it_goes_after_they_have_changed_back() {
    let world = served(Value::Null).await;
    let operator = world.operator().await;
    world.settle(&operator).await;
    let direct = ("story-main-rw".to_owned(), "story-main-rw".to_owned());
    let now = || (leads(&world, "DATABASE_URL"), leads(&world, "DIRECT_URL"));
    assert_eq!((there(&world), now()), (0, direct.clone()));
    let (before, primary) =
        (revision(&world), world.api.get("/apis/apps/v1/namespaces/learning/statefulsets/story-main-pg"));
    let reader = || world.api.get(READER).unwrap()["spec"]["selector"][ROLE].clone();

    world.ask(with(json!({})), json!({}));
    world.pass(&operator).await;
    assert_eq!((there(&world), now(), revision(&world)), (4, direct.clone(), before.clone()), "it is not ready yet");
    world.settle(&operator).await;
    let pooled = ("story-main-pooler".to_owned(), "story-main-rw".to_owned());
    assert_eq!(now(), pooled);
    let changed = revision(&world);
    assert_ne!(changed, before);
    let after = world.api.get("/apis/apps/v1/namespaces/learning/statefulsets/story-main-pg");
    assert_eq!(after.unwrap()["spec"], primary.unwrap()["spec"], "no server is restarted for it");
    assert_eq!(reader(), "pooler", "no replica may be asked, and the primary has no connections for readers");

    // Down later, even before an operator that remembers nothing, it keeps its place.
    let mut down = world.api.get(POOLER[0]).unwrap();
    down["status"]["readyReplicas"] = json!(0);
    world.api.put(POOLER[0], down);
    world.pass(&world.operator().await).await;
    assert_eq!((now(), revision(&world)), (pooled.clone(), changed.clone()));
    assert_eq!(told(&world), "0 of 2 pods ready at story-main-pooler.learning.svc:5432");

    world.ask(with(Value::Null), json!({}));
    for _ in 0..2 {
        world.pass(&operator).await;
        assert_eq!((there(&world), now()), (4, direct.clone()), "pods of the app are still led to it");
        assert_ne!(revision(&world), changed);
    }
    world.settle(&operator).await;
    assert_eq!((there(&world), now(), told(&world)), (0, direct, Value::Null));
    assert_eq!((revision(&world), reader()), (before, json!("primary")), "as it was");
}
