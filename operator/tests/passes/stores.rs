//! Apps and the stores they use: the Secret between them, what waits for it, and what a change of credentials does.

use crate::world::*;
use learningplatform_operator::tiers::app::connections::REVISION;
use serde_json::{Value, json};

const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";
const LOGIN: &str = "/api/v1/namespaces/learning/secrets/pg";

fn wired() -> Value {
    let mut spec = spec();
    spec["databases"] = json!([{ "name": "main", "external": {
        "address": "pg.example", "database": "story", "secret": { "name": "pg" },
    } }]);
    spec["apps"][0]["uses"] = json!({ "databases": [{ "name": "main" }] });
    spec
}

/// Base64 of `app` and of a password.
fn login(password: &str) -> Value {
    let encoded = serde_json::to_value(k8s_openapi::ByteString(password.as_bytes().to_vec())).unwrap();
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "pg", "namespace": "learning" },
        "data": { "username": "YXBw", "password": encoded },
    })
}

fn variable(world: &World, name: &str) -> String {
    let secret = world.api.get(CONNECTIONS).unwrap();
    let bytes: k8s_openapi::ByteString = serde_json::from_value(secret["data"][name].clone()).unwrap();
    String::from_utf8(bytes.0).unwrap()
}

fn revision(world: &World) -> Value {
    world.api.get(DEPLOYMENT).unwrap()["spec"]["template"]["metadata"]["annotations"][REVISION].clone()
}

#[tokio::test]
async fn an_app_gets_the_connections_of_its_stores_and_then_no_pass_writes() {
    let world = World::new(wired());
    world.api.put(LOGIN, login("hunter2"));
    let operator = world.operator().await;
    world.settle(&operator).await;
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
    assert_eq!(world.condition("DatabaseReady")["status"], "True");
    assert_eq!(variable(&world, "DATABASE_URL"), "postgresql://app:hunter2@pg.example:5432/story");
    assert!(revision(&world).is_string());
    let container = &world.api.get(DEPLOYMENT).unwrap()["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"], json!([{ "secretRef": { "name": "story-web-connections" } }]));

    world.api.writes();
    world.pass(&world.operator().await).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");
}

#[tokio::test]
async fn a_database_that_accepts_less_than_the_fewest_pods_open_says_so_with_the_sum() {
    let mut spec = wired();
    spec["apps"][0]["uses"]["databases"][0]["pool"] = json!({ "max": 10, "poolsPerPod": 2 });
    spec["apps"][0]["autoscaling"] = json!({ "minReplicas": 3, "maxReplicas": 3 });
    spec["databases"][0]["connectionBudget"] = json!(79);
    let world = World::new(spec.clone());
    world.api.put(LOGIN, login("hunter2"));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let condition = world.condition("DatabaseReady");
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("BudgetExceededByMinimums")));
    let sum = "main: web (3 + 1) x 20 = 80; together 80 of 79, and the minimums alone are 80";
    assert!(condition["message"].as_str().unwrap().contains(sum), "{condition}");
    world.api.writes();
    world.pass(&operator).await;
    assert_eq!(world.api.writes(), [], "a second pass writes");

    spec["databases"][0]["connectionBudget"] = json!(80);
    let enough = World::new(spec);
    enough.api.put(LOGIN, login("hunter2"));
    enough.settle(&enough.operator().await).await;
    assert_eq!(enough.condition("DatabaseReady")["reason"], "Succeeded");
}

#[tokio::test]
async fn an_app_whose_credentials_are_missing_waits_and_holds_nobody_up() {
    let world = World::new(wired());
    let operator = world.operator().await;
    assert_eq!(world.pass(&operator).await, Next::Soon);
    world.api.run_deployments();
    world.pass(&operator).await;
    assert!(world.api.get(DEPLOYMENT).is_none(), "its pods could not start");
    assert!(world.api.get(HPA).is_none());
    assert!(world.api.get(&DEPLOYMENT.replace("web", "worker")).is_some());
    for condition in [world.app_condition("web", "AppReady"), world.condition("DatabaseReady")] {
        assert_eq!(condition["reason"], "NotFound", "{condition}");
        assert!(condition["message"].as_str().unwrap().contains("the Secret pg does not exist"), "{condition}");
    }

    let mut poor = login("x");
    poor["data"].as_object_mut().unwrap().remove("password");
    world.api.put(LOGIN, poor);
    world.pass(&operator).await;
    let message = world.condition("DatabaseReady")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("has no key password"), "{message}");

    world.api.put(LOGIN, login("hunter2"));
    world.settle(&operator).await;
    assert!(world.is_ready(), "{}", world.condition("AppReady"));
}

#[tokio::test]
async fn a_new_password_replaces_the_pods_once_and_is_nowhere_but_in_the_secret() {
    let world = World::new(wired());
    world.api.put(LOGIN, login("hunter2"));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let before = revision(&world);

    world.api.put(LOGIN, login("correct-horse"));
    world.settle(&operator).await;
    assert_eq!(variable(&world, "DB_PASSWORD"), "correct-horse");
    let after = revision(&world);
    assert_ne!(before, after);
    world.settle(&operator).await;
    assert_eq!(revision(&world), after);
    for (path, object) in world.api.dump() {
        let text = object.to_string();
        let secret = path.contains("/secrets/");
        assert!(secret || !(text.contains("correct-horse") || text.contains("Y29ycmVjdC1ob3JzZ")), "{path}: {text}");
    }
}

#[tokio::test]
async fn what_an_app_has_stays_while_its_credentials_cannot_be_read() {
    let world = World::new(wired());
    world.api.put(LOGIN, login("hunter2"));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let (secret, template) =
        (world.api.get(CONNECTIONS), world.api.get(DEPLOYMENT).unwrap()["spec"]["template"].clone());

    world.api.remove(LOGIN);
    let restarted = world.operator().await;
    world.pass(&restarted).await;
    assert_eq!(world.app_condition("web", "AppReady")["reason"], "NotFound");
    assert_eq!(world.api.get(CONNECTIONS), secret);
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["template"], template);
    assert!(world.api.get(HPA).is_some());
}

#[tokio::test]
async fn an_app_that_begins_to_use_a_store_runs_on_as_it_is_until_the_store_is_known() {
    let world = World::new(spec());
    let operator = world.operator().await;
    world.settle(&operator).await;
    let before = world.api.get(DEPLOYMENT).unwrap()["spec"].clone();
    world.ask(wired(), json!({}));
    world.pass(&operator).await;
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"], before);
    assert!(world.api.get(HPA).is_some() && world.api.get(SERVICE).is_some());

    world.api.put(LOGIN, login("hunter2"));
    world.settle(&operator).await;
    assert!(revision(&world).is_string());

    world.ask(spec(), json!({}));
    world.settle(&operator).await;
    assert!(world.api.get(CONNECTIONS).is_none(), "nobody uses it any more");
    assert_eq!(world.api.get(DEPLOYMENT).unwrap()["spec"]["template"], before["template"]);
}

#[tokio::test]
async fn a_hand_that_changes_the_secret_is_undone() {
    let world = World::new(wired());
    world.api.put(LOGIN, login("hunter2"));
    let operator = world.operator().await;
    world.settle(&operator).await;
    let before = revision(&world);
    world.api.edit(CONNECTIONS, |secret| secret["data"]["DB_HOST"] = json!("ZXZpbA=="));
    world.settle(&operator).await;
    assert_eq!(variable(&world, "DB_HOST"), "pg.example");
    assert_eq!(revision(&world), before, "the pods have what they need");
}
