//! Passwords change while clients log in, and nobody is refused before the apps have the new ones.

use super::*;
use k8s_openapi::api::{apps::v1::Deployment, apps::v1::ReplicaSet, core::v1::Event};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use learningplatform_tests::harness::{account, holds_for};
use redis::AsyncCommands;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Grace and renewal of mounted files, and time for what waits for them.
const DROPPED: Duration = Duration::from_secs(420);
const ITEMS: [&str; 3] = ["cache", "logins", "main"];

/// What clients log in with.
#[derive(Clone, Debug, PartialEq)]
struct Credentials {
    cache: String,
    logins: String,
    user: String,
    password: String,
}

/// What an app's pods are given now.
async fn given(ns: &TestNamespace) -> Credentials {
    let secret = ns.api::<Secret>().get("story-web-connections").await.expect("the app's Secret");
    let mut data = secret.data.unwrap_or_default();
    let mut word = |name: &str| String::from_utf8(data.remove(name).expect("a variable").0).expect("text");
    Credentials {
        cache: word("REDIS_PASSWORD"),
        logins: word("LOGINS_REDIS_PASSWORD"),
        user: word("DB_USER"),
        password: word("DB_PASSWORD"),
    }
}

/// Where the servers are: of each item by pod.
type Servers = BTreeMap<&'static str, BTreeMap<String, String>>;

async fn servers(stores: &Stores<'_>) -> Servers {
    let mut servers = Servers::new();
    for item in ITEMS {
        servers.insert(item, stores.addresses(item).await);
    }
    servers
}

/// Logs in at every server anew, as a pod that starts does; whom it was refused by.
async fn log_in(servers: &Servers, with: &Credentials) -> Vec<String> {
    let mut refused = Vec::new();
    for (item, password) in [("cache", &with.cache), ("logins", &with.logins)] {
        for (pod, address) in &servers[item] {
            let client = redis::Client::open(format!("redis://:{password}@{address}:6379")).expect("a URL");
            let pong = async {
                let mut connection = client.get_multiplexed_async_connection().await?;
                redis::cmd("PING").query_async::<String>(&mut connection).await
            };
            refused.extend(pong.await.err().map(|error| format!("{pod}: {error}")));
        }
    }
    for (pod, address) in &servers["main"] {
        let mut config = tokio_postgres::Config::new();
        config.host(address).user(&with.user).password(&with.password).dbname("app");
        config.connect_timeout(Duration::from_secs(10));
        let answer = async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            client.query_one("select 1", &[]).await
        };
        refused.extend(answer.await.err().map(|error| format!("{pod}: {error:?}")));
    }
    refused
}

/// Rounds of logins: when each began, and whom it was refused by.
type Rounds = Arc<Mutex<Vec<(Instant, Vec<String>)>>>;

fn failed(rounds: &Rounds) -> Vec<(Instant, String)> {
    let rounds = rounds.lock().expect("a lock");
    rounds.iter().filter_map(|(at, refused)| Some((*at, refused.first()?.clone()))).collect()
}

async fn values(ns: &TestNamespace, item: &str) -> BTreeMap<String, String> {
    let secret = ns.api::<Secret>().get(&format!("story-{item}-auth")).await.expect("the Secret of the passwords");
    let data = secret.data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, String::from_utf8(value.0).expect("text"))).collect()
}

/// Which of these keys have a value, by item.
async fn set(ns: &TestNamespace, keys: &[&str]) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for item in ITEMS {
        let values = values(ns, item).await;
        if keys.iter().any(|key| values.get(*key).is_some_and(|value| !value.is_empty())) {
            found.insert(item);
        }
    }
    found
}

/// The pods of the stores, how often they were restarted, and since when they are ready.
async fn pods(ns: &TestNamespace) -> BTreeSet<String> {
    let stores = ListParams::default().labels("learningplatform.dev/tier");
    let pods = ns.api::<Pod>().list(&stores).await.expect("pods");
    let told = |pod: Pod| {
        let status = pod.status.unwrap_or_default();
        let restarts: i32 =
            status.container_statuses.into_iter().flatten().map(|container| container.restart_count).sum();
        let ready = status.conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
        let since = ready.and_then(|ready| ready.last_transition_time).map(|since| since.0);
        format!("{:?} {:?} {restarts} {since:?}", pod.metadata.name, pod.metadata.uid)
    };
    pods.items.into_iter().map(told).collect()
}

/// Whether the app's only pods are those of its newest template.
async fn rolled_out(ns: &TestNamespace, before: &str) -> bool {
    let deployment = ns.api::<Deployment>().get("story-web").await.expect("a Deployment");
    let (generation, status) = (deployment.metadata.generation, deployment.status.unwrap_or_default());
    let pods = ListParams::default().labels("app.kubernetes.io/component=web");
    let pods = ns.api::<Pod>().list(&pods).await.expect("pods").items;
    let names: Vec<_> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
    status.observed_generation == generation
        && (status.replicas, status.updated_replicas, status.available_replicas) == (Some(1), Some(1), Some(1))
        && names.len() == 1
        && names[0] != before
}

fn platform() -> Value {
    let uses = json!({
        "databases": [{"name": "main"}],
        "caches": [{"name": "cache"}, {"name": "logins", "prefix": "LOGINS_"}],
    });
    json!({
        "caches": [cache("cache", json!({})), cache("logins", json!({"mode": "Single"}))],
        "databases": [database("main", json!({"readReplicas": 1}))],
        "apps": [app(uses)],
    })
}

/// How many events with this reason there are.
async fn told(ns: &TestNamespace, reason: &str) -> usize {
    let events = ns.api::<Event>().list(&ListParams::default()).await.expect("events").items;
    events.iter().filter(|event| event.reason.as_deref() == Some(reason)).count()
}

#[tokio::test]
async fn passwords_change_under_load_and_nobody_is_refused() {
    let (ns, mut operator) = scene("rotation").await;
    ns.apply("story", platform()).await;
    ready(&ns, "story").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let (servers, old, before) = (servers(&stores).await, given(&ns).await, pods(&ns).await);
    assert_eq!(servers.values().map(BTreeMap::len).sum::<usize>(), 6 + 2 + 2);
    eventually("every server knows the first ones", MADE, || log_in(&servers, &old), Vec::is_empty).await;
    let web = ns.pods("web").await.remove(0).metadata.name.expect("a name");
    let secrets = values(&ns, "main").await;

    let stop = Arc::new(AtomicBool::new(false));
    let (of_old, of_given) = (Rounds::default(), Rounds::default());
    let (mut written, mut errors) = (0, Vec::new());
    let again = async |rounds: &Rounds, newest: bool| {
        while !stop.load(Ordering::Relaxed) {
            let (at, with) = (Instant::now(), if newest { given(&ns).await } else { old.clone() });
            let refused = log_in(&servers, &with).await;
            rounds.lock().expect("a lock").push((at, refused));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut cluster = stores.cluster("cache").await;
    let primary = stores.postgres("main", "story-main-pg-0").await;
    primary.batch_execute("create table ledger (n int primary key)").await.expect("a table");
    let write = async {
        while !stop.load(Ordering::Relaxed) {
            let key = cluster.set::<_, _, ()>(format!("ledger:{written}"), written).await;
            errors.extend(key.err().map(|error| error.to_string()));
            let row = primary.execute("insert into ledger values ($1)", &[&written]).await;
            errors.extend(row.err().map(|error| format!("{error:?}")));
            written += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let change = async {
        let begun = Instant::now();
        let asked = json!({"metadata": {"annotations": {crds::ROTATE_PASSWORDS_ANNOTATION: "monday"}}});
        let platforms = ns.api::<crds::LearningPlatform>();
        platforms.patch("story", &PatchParams::default(), &Patch::Merge(&asked)).await.expect("an annotation");
        let under_way = ["next", "nextUsername", "previous", "previousUsername"];
        eventually("a change is under way", MADE, || set(&ns, &under_way), |items| !items.is_empty()).await;
        // What is told is written down before it is told: a kill in between would make it that it is never told.
        eventually("its beginning is told", MADE, || told(&ns, "PasswordChanging"), |times| *times >= 3).await;
        operator.kill();
        println!("the operator is killed {:?} after the request", begun.elapsed());
        operator = Operator::spawn(&ns, &account(&ns).await, FLAGS);
        let new = |with: &Credentials| {
            with.cache != old.cache
                && with.logins != old.logins
                && with.user != old.user
                && with.password != old.password
        };
        eventually("the app is given new ones", MADE, || given(&ns), new).await;
        println!("published {:?} after the request", begun.elapsed());
        eventually("the app is replaced", MADE, || rolled_out(&ns, &web), |done| *done).await;
        let rolled = Instant::now();
        println!("the app is replaced {:?} after the request", begun.elapsed());
        eventually("the former ones are dropped", DROPPED, || set(&ns, &under_way), BTreeSet::is_empty).await;
        println!("the former ones are dropped {:?} after the request", begun.elapsed());
        let refused = || log_in(&servers, &old);
        eventually("every server refuses the former ones", MADE, refused, |refused| refused.len() == 10).await;
        println!("and refused everywhere {:?} after the request", begun.elapsed());
        stop.store(true, Ordering::Relaxed);
        rolled
    };
    let (rolled, (), (), ()) = tokio::join!(change, again(&of_old, false), again(&of_given, true), write);

    let rounds = |rounds: &Rounds| rounds.lock().expect("a lock").len();
    println!(
        "{} rounds with the old ones, {} with the given ones, {written} writes",
        rounds(&of_old),
        rounds(&of_given)
    );
    assert!(rounds(&of_given) > 50 && written > 500);
    assert_eq!(failed(&of_given), [], "what the app is given works at any time");
    assert_eq!(errors, [""; 0], "open connections live on");
    let first = failed(&of_old).into_iter().next().expect("the old ones are refused in the end");
    assert!(first.0 > rolled + Duration::from_secs(20), "{:?} after the rollout: {}", first.0 - rolled, first.1);
    let rows: i64 = primary.query_one("select count(*) from ledger", &[]).await.expect("a count").get(0);
    assert_eq!(rows, i64::from(written));

    ready(&ns, "story").await;
    // Three failures of a probe, and more.
    let probed = Duration::from_secs(15);
    holds_for("every server stays ready, and is not restarted", probed, || pods(&ns), |pods| *pods == before).await;
    let labels = ListParams::default().labels("app.kubernetes.io/component=web");
    let templates = ns.api::<ReplicaSet>().list(&labels).await.expect("ReplicaSets").items.len();
    assert_eq!(templates, 2, "the app is replaced once");
    let after = values(&ns, "main").await;
    for own in ["operatorPassword", "operatorVerifier", "replicationPassword", "replicationVerifier"] {
        assert_eq!(after[own], secrets[own], "{own} is not the apps'");
    }
    assert_eq!((secrets["username"].as_str(), after["username"].as_str()), ("app_a", "app_b"));
    let status = ns.platform("story").await.status.expect("a status");
    for store in status.caches.iter().chain(&status.databases) {
        assert!(store.passwords_changed.is_some() && store.rotation.is_none(), "{store:?}");
    }
    let events = ns.api::<Event>().list(&ListParams::default()).await.expect("events").items;
    eventually("its end is told", MADE, || told(&ns, "PasswordChanged"), |times| *times >= 3).await;

    let text = format!("{status:?} {events:?} {}", operator.logged());
    for secret in [&old, &given(&ns).await].into_iter().flat_map(|with| [&with.cache, &with.logins, &with.password]) {
        assert!(!text.contains(secret.as_str()), "a password is told");
    }
    drop(operator);
    ns.delete().await;
}

#[tokio::test]
async fn a_password_written_by_hand_is_taken_and_a_missing_secret_changes_nothing() {
    let (ns, _operator) = scene("handwritten").await;
    ns.apply("story", platform()).await;
    ready(&ns, "story").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let (servers, old) = (servers(&stores).await, given(&ns).await);
    let open = stores.postgres("main", "story-main-pg-0").await;
    for item in ITEMS {
        let edit = json!({"stringData": {"password": format!("handwritten-{item}")}});
        let secret = format!("story-{item}-auth");
        ns.api::<Secret>().patch(&secret, &PatchParams::default(), &Patch::Merge(&edit)).await.expect("an edit");
    }
    let mine = Credentials {
        cache: "handwritten-cache".into(),
        logins: "handwritten-logins".into(),
        user: old.user.clone(),
        password: "handwritten-main".into(),
    };
    eventually("the app is given it", MADE, || given(&ns), |with| *with == mine).await;
    eventually("it works on every server", MADE, || log_in(&servers, &mine), Vec::is_empty).await;
    open.batch_execute("select 1").await.expect("a session that was open lives on");

    for item in ITEMS {
        let secret = format!("story-{item}-auth");
        ns.api::<Secret>().delete(&secret, &DeleteParams::default()).await.expect("a deletion");
    }
    for type_ in ["CacheReady", "DatabaseReady"] {
        let missing = |condition: &Option<(String, String, String)>| {
            condition.as_ref().is_some_and(|(_, reason, message)| reason == "NotFound" && message.contains("-auth"))
        };
        eventually("it is said", MADE, || ns.condition("story", type_), missing).await;
    }
    assert_eq!(log_in(&servers, &mine).await, [""; 0]);
    assert_eq!(given(&ns).await, mine);
    ns.delete().await;
}
