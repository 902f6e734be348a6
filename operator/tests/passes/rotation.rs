//! The change of a store's password, as passes see it: from the resource's annotation to the last pod with the former one.

use crate::world::*;
use k8s_openapi::{ByteString, jiff::Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

const AUTH: &str = "/api/v1/namespaces/learning/secrets/story-cache-auth";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-cache-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";

fn with_cache() -> Value {
    let mut spec = spec();
    spec["caches"] = json!([{ "name": "cache", "inCluster": { "mode": "Single", "replicasPerShard": 0 } }]);
    spec["apps"][0]["uses"] = json!({ "caches": [{ "name": "cache" }] });
    spec
}

fn value(world: &World, path: &str, key: &str) -> String {
    let secret = world.api.get(path).unwrap();
    let bytes: Option<ByteString> = serde_json::from_value(secret["data"][key].clone()).unwrap();
    String::from_utf8(bytes.unwrap_or_default().0).unwrap()
}

fn write(world: &World, values: &[(&str, &str)]) {
    world.api.edit(AUTH, |secret| {
        for (key, value) in values {
            secret["data"][*key] = json!(ByteString(value.as_bytes().to_vec()));
        }
    });
}

/// A platform whose cache has served and whose app has its password.
async fn served() -> World {
    let world = World::new(with_cache());
    let operator = world.operator().await;
    world.pass(&operator).await;
    world.api.edit(RECORD, |record| record["data"]["FORMED"] = json!("true"));
    world.settle(&operator).await;
    assert_eq!(value(&world, CONNECTIONS, "REDIS_PASSWORD"), value(&world, AUTH, "password"));
    world
}

fn told(world: &World) -> Value {
    world.api.get(PLATFORM).unwrap()["status"]["caches"][0]["rotation"].clone()
}

#[tokio::test]
async fn a_change_is_asked_for_once_by_each_word_and_nobody_is_given_what_does_not_work() {
    let world = served().await;
    let operator = world.operator().await;
    let first = value(&world, AUTH, "password");
    let ask = |word: &str| world.ask(with_cache(), json!({ "learningplatform.dev/rotate-passwords": word }));
    ask("main=monday");
    world.pass(&operator).await;
    assert_eq!((value(&world, AUTH, "next"), told(&world)), (String::new(), Value::Null), "it is another item's");
    ask("monday");
    assert_eq!(world.pass(&operator).await, Next::Soon);
    let next = value(&world, AUTH, "next");
    assert!(!next.is_empty() && next != first);
    assert_eq!(value(&world, AUTH, "request"), "monday");
    assert_eq!(told(&world), "the servers are taught the next password");
    // Its servers do not answer here, so it goes no further, whoever looks.
    let restarted = world.operator().await;
    for word in ["monday", "tuesday"] {
        ask(word);
        world.pass(&restarted).await;
        assert_eq!((value(&world, AUTH, "next"), value(&world, AUTH, "password")), (next.clone(), first.clone()));
        assert_eq!(value(&world, CONNECTIONS, "REDIS_PASSWORD"), first);
    }
    for (path, object) in world.api.dump() {
        let text = object.to_string();
        assert!(path.contains("/secrets/") || !(text.contains(&next) || text.contains(&first)), "{path}: {text}");
    }
}

#[tokio::test]
async fn no_change_begins_on_a_suspended_platform_or_in_a_freeze() {
    let mut frozen = with_cache();
    frozen["freezes"] = json!([{ "name": "exams", "start": "2020-01-01T00:00", "end": "2099-01-01T00:00", "timeZone": "Europe/Berlin" }]);
    let asked = json!({ "learningplatform.dev/rotate-passwords": "monday" });
    let mut suspended = asked.clone();
    suspended["learningplatform.dev/suspend"] = json!("true");
    let world = served().await;
    let operator = world.operator().await;
    let before = world.api.get(AUTH).unwrap()["data"].clone();
    for (spec, annotations) in [(with_cache(), suspended), (frozen, asked.clone())] {
        world.ask(spec, annotations);
        world.pass(&operator).await;
        assert_eq!(world.api.get(AUTH).unwrap()["data"], before);
        assert!(told(&world).as_str().unwrap().contains("waits"), "{}", told(&world));
    }
    world.ask(with_cache(), asked);
    world.pass(&operator).await;
    assert!(!value(&world, AUTH, "next").is_empty());
}

#[tokio::test]
async fn the_former_password_stays_until_the_rollout_of_every_app_is_done() {
    let world = served().await;
    let operator = world.operator().await;
    // In whole seconds, as passes write it.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let former = value(&world, AUTH, "password");
    let template = || world.api.get(DEPLOYMENT).unwrap()["spec"]["template"]["metadata"]["annotations"].clone();
    let before = template();
    let changed = now.to_string();
    // As a pass leaves it that has seen the next one work.
    write(&world, &[("password", "new"), ("published", "new"), ("previous", &former), ("changed", &changed)]);

    world.pass(&operator).await;
    assert_eq!(value(&world, CONNECTIONS, "REDIS_PASSWORD"), "new");
    assert_ne!(template(), before);
    for _ in 0..2 {
        assert_eq!(world.pass(&operator).await, Next::Soon);
        assert_eq!(told(&world), "the apps change over to the new password: waiting for the rollout of web");
        assert_eq!((value(&world, AUTH, "previous"), value(&world, AUTH, "replaced")), (former.clone(), String::new()));
    }

    world.api.run_deployments();
    world.pass(&operator).await;
    let replaced = value(&world, AUTH, "replaced");
    assert!(replaced.parse::<Timestamp>().is_ok(), "{replaced}");
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "it is only waited for the time");
    assert_eq!(value(&world, AUTH, "previous"), former);

    let long_ago = |seconds| (now - Duration::from_secs(seconds)).to_string();
    write(&world, &[("changed", &long_ago(400)), ("replaced", &long_ago(300))]);
    world.pass(&operator).await;
    assert_eq!((value(&world, AUTH, "previous"), told(&world)), (String::new(), Value::Null));
    assert_eq!(value(&world, AUTH, "password"), "new");
    assert_eq!(world.api.get(PLATFORM).unwrap()["status"]["caches"][0]["passwordsChanged"], json!(long_ago(400)));
    world.settle(&operator).await;
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), []);
}

#[tokio::test]
async fn a_secret_that_is_gone_is_not_made_anew() {
    let world = served().await;
    let operator = world.operator().await;
    let connections = world.api.get(CONNECTIONS).unwrap();
    world.api.remove(AUTH);
    for _ in 0..2 {
        world.pass(&operator).await;
        assert!(world.api.get(AUTH).is_none());
        assert_eq!(world.condition("CacheReady")["reason"], "NotFound");
        assert_eq!(world.api.get(CONNECTIONS).unwrap()["data"], connections["data"]);
    }
}
