//! A pooler before a database: it comes, its pods go one by one or at once, the password changes through it, and it goes again.

use super::*;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, ListParams};
use learningplatform_tests::harness::get;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

pub(super) const PGBOUNCER: &str = "docker.io/learningplatform/pgbouncer:dev";
/// A change of the password with its grace.
const CHANGED: Duration = Duration::from_secs(420);

fn pooler(parameters: Value) -> Value {
    let resources = json!({"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}});
    json!({"image": PGBOUNCER, "runAsUser": 65532, "resources": resources, "defaultPoolSize": 3, "parameters": parameters})
}

fn platform(pooler: Value, replicas: i32) -> Value {
    let mut database = database("main", json!({"readReplicas": 1}));
    // Applied as null, a field that was set becomes empty instead of going.
    if !pooler.is_null() {
        database["inCluster"]["pooler"] = pooler;
    }
    database["connectionBudget"] = json!(90);
    let uses = json!({"databases": [{"name": "main", "pool": {"max": 10}}], "caches": [{"name": "cache"}]});
    let mut app = app(uses);
    app["replicas"] = json!(replicas);
    json!({
        "caches": [cache("cache", json!({"mode": "Single", "replicasPerShard": 0}))], "databases": [database], "apps": [app],
    })
}

/// Variables that the app's pods are given now.
async fn all_given<const N: usize>(ns: &TestNamespace, names: [&str; N]) -> [String; N] {
    let secret = ns.api::<Secret>().get("story-web-connections").await.expect("the app's Secret");
    let mut data = secret.data.unwrap_or_default();
    names.map(|name| String::from_utf8(data.remove(name).expect("a variable").0).expect("text"))
}

async fn given(ns: &TestNamespace, name: &str) -> String {
    let [value] = all_given(ns, [name]).await;
    value
}

/// Where a variable leads.
async fn leads(ns: &TestNamespace, name: &str) -> String {
    let url = given(ns, name).await;
    url.split_once('@').and_then(|(_, at)| at.split('.').next()).expect("a URL").to_owned()
}

/// Addresses of the pooler's pods that Services lead to, by name.
async fn poolers(ns: &TestNamespace) -> BTreeMap<String, String> {
    let labels = ListParams::default().labels("learningplatform.dev/role=pooler");
    let pods = ns.api::<Pod>().list(&labels).await.expect("pods").items.into_iter();
    let address = |pod: Pod| {
        let status = pod.status?;
        let ready = status.conditions?.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        (ready && pod.metadata.deletion_timestamp.is_none()).then_some((pod.metadata.name?, status.pod_ip?))
    };
    pods.filter_map(address).collect()
}

/// One row more, on a connection of its own: a client that starts anew each time.
async fn write(address: &str, user: &str, password: &str, number: i32) -> Result<(), tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(address).user(user).password(password).dbname("app").connect_timeout(Duration::from_secs(5));
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client.execute("INSERT INTO numbers VALUES ($1)", &[&number]).await.map(|_| ())
}

/// What was written through the pooler, and what was refused.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<i32>,
    refused: Vec<(Instant, String)>,
}

/// Writes rows through the pooler's pods in turn, with what the app is given, until it is told to stop.
async fn client(ns: &TestNamespace, stop: Arc<AtomicBool>, ledger: Arc<Mutex<Ledger>>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let [user, password] = all_given(ns, ["DB_USER", "DB_PASSWORD"]).await;
        for address in poolers(ns).await.values() {
            number += 1;
            let begun = Instant::now();
            let done = write(address, &user, &password, number).await;
            let mut ledger = ledger.lock().expect("a lock");
            match done {
                Ok(()) => drop(ledger.acknowledged.insert(number)),
                Err(error) => ledger.refused.push((begun, format!("{address}: {error:?}"))),
            }
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// How the app's pods answer.
async fn health(ns: &TestNamespace) -> Vec<u16> {
    let mut answers = Vec::new();
    for pod in ns.pods("web").await {
        let Some(address) = pod.status.and_then(|status| status.pod_ip) else { continue };
        answers.extend(get(&format!("{address}:3000"), "/api/health").await.map(|(status, _)| status));
    }
    answers
}

async fn healthy(ns: &TestNamespace, what: &str) -> Duration {
    let begun = Instant::now();
    eventually(what, MADE, || health(ns), |answers| !answers.is_empty() && answers.iter().all(|a| *a == 200)).await;
    begun.elapsed()
}

/// Where the sessions of the apps' logins on the primary come from, this one excepted.
async fn origins(session: &tokio_postgres::Client) -> BTreeSet<String> {
    // A login sees where its own sessions come from, and the role that it becomes does not.
    session.batch_execute("SET ROLE none").await.expect("the login");
    let rows = session
        .query(
            "SELECT DISTINCT host(client_addr) FROM pg_stat_activity
             WHERE usename IN ('app_a', 'app_b') AND pid <> pg_backend_pid()",
            &[],
        )
        .await
        .expect("sessions");
    session.batch_execute("RESET ROLE").await.expect("the owner");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn rolled(ns: &TestNamespace, name: &str) -> bool {
    let deployment = ns.api::<Deployment>().get(name).await.expect("a Deployment");
    let (generation, status) = (deployment.metadata.generation, deployment.status.unwrap_or_default());
    let wanted = deployment.spec.and_then(|spec| spec.replicas);
    status.observed_generation == generation
        && [status.replicas, status.updated_replicas, status.available_replicas].iter().all(|count| *count == wanted)
}

#[tokio::test]
async fn a_pooler_comes_is_lost_rotates_and_goes_without_an_error_of_its_own() {
    let (ns, operator) = scene("pooler").await;
    ns.apply("story", platform(pooler(json!({})), 2)).await;
    let made = ready(&ns, "story").await;
    assert_eq!(leads(&ns, "DATABASE_URL").await, "story-main-pooler");
    assert_eq!(leads(&ns, "DIRECT_URL").await, "story-main-rw");
    let first_revisions = ns.api::<Deployment>().get("story-web").await.expect("the app");
    let revision =
        first_revisions.metadata.annotations.unwrap_or_default()["deployment.kubernetes.io/revision"].clone();
    assert_eq!(revision, "1", "a new app is rolled out once");
    healthy(&ns, "it reads and writes through the pooler").await;
    let stores = Stores { ns: &ns, platform: "story" };
    let direct = stores.postgres("main", "story-main-pg-0").await;
    direct.batch_execute("CREATE TABLE numbers (n int PRIMARY KEY)").await.expect("a table");
    let from = origins(&direct).await;
    let own: BTreeSet<String> = poolers(&ns).await.into_values().collect();
    assert!(!from.is_empty() && from.is_subset(&own), "{from:?} are not the pooler's pods {own:?}");

    let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Ledger::default())));
    let refused = || {
        let ledger = ledger.lock().expect("a lock");
        ledger.refused.clone()
    };
    let story = async {
        // Other settings: one pod after the other, and nobody who is served is cut off.
        ns.apply("story", platform(pooler(json!({"query_wait_timeout": "30"})), 2)).await;
        let before = poolers(&ns).await;
        let look = || async { (rolled(&ns, "story-main-pooler").await, poolers(&ns).await) };
        let anew = |(rolled, pods): &(bool, BTreeMap<String, String>)| {
            *rolled && pods.len() == 2 && pods.keys().all(|pod| !before.contains_key(pod))
        };
        eventually("the pooler's pods are new", MADE, look, anew).await;
        assert_eq!(refused(), [], "of the changed settings");

        let begun = Instant::now();
        let user = given(&ns, "DB_USER").await;
        let ask = json!({"metadata": {"annotations": {"learningplatform.dev/rotate-passwords": "main=now"}}});
        let patch = kube::api::Patch::Merge(&ask);
        ns.api::<crds::LearningPlatform>().patch("story", &Default::default(), &patch).await.expect("an annotation");
        eventually("the app is given the other login", MADE, || given(&ns, "DB_USER"), |now| *now != user).await;
        eventually("the app is rolled out", MADE, || rolled(&ns, "story-web"), |rolled| *rolled).await;
        let settled = || async { ns.platform("story").await.status.and_then(|s| s.databases[0].rotation.clone()) };
        eventually("the former login is gone", CHANGED, settled, Option::is_none).await;
        healthy(&ns, "the app has the new password").await;
        assert_eq!(refused(), [], "while the password changed");
        let rotation = begun.elapsed();

        let victim = poolers(&ns).await.into_keys().next().expect("a pod");
        let killed = Instant::now();
        let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        ns.api::<Pod>().delete(&victim, &at_once).await.expect("a deletion");
        healthy(&ns, "the app goes on").await;
        eventually("the pooler is whole again", MADE, || rolled(&ns, "story-main-pooler"), |rolled| *rolled).await;
        healthy(&ns, "the app goes on").await;
        ready(&ns, "story").await;
        let after: Vec<_> = refused();
        let pause = after.last().map_or(Duration::ZERO, |(at, _)| at.duration_since(killed));
        (rotation, after.len(), pause)
    };
    let client = client(&ns, stop.clone(), ledger.clone());
    let ((rotation, lost, pause), ()) = tokio::join!(
        async {
            let found = story.await;
            stop.store(true, Ordering::Relaxed);
            found
        },
        client
    );

    let rows = direct.query("SELECT n FROM numbers", &[]).await.expect("rows");
    let found: BTreeSet<i32> = rows.iter().map(|row| row.get(0)).collect();
    let acknowledged = ledger.lock().expect("a lock").acknowledged.clone();
    assert!(acknowledged.is_subset(&found), "lost: {:?}", acknowledged.difference(&found).collect::<Vec<_>>());

    ns.apply("story", platform(Value::Null, 2)).await;
    eventually("the app asks the primary itself", MADE, || leads(&ns, "DATABASE_URL"), |at| at == "story-main-rw")
        .await;
    let gone = || async { ns.api::<Deployment>().get_opt("story-main-pooler").await.expect("an answer").is_none() };
    eventually("the pooler is gone", MADE, gone, |gone| *gone).await;
    assert!(rolled(&ns, "story-web").await, "it stays until the app has changed over");
    healthy(&ns, "without a pooler").await;
    let primary = ns.api::<Pod>().get("story-main-pg-0").await.expect("the primary");
    let restarts = primary.status.and_then(|s| s.container_statuses).unwrap_or_default();
    assert!(restarts.iter().all(|container| container.restart_count == 0) && !direct.is_closed(), "no server restarts");

    let secrets = [stores.secret("main", "poolerPassword").await, stores.secret("main", "password").await];
    let text = format!("{:?} {}", ns.platform("story").await.status, operator.logged());
    assert!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "a password is told");
    println!(
        "ready in {made:?}; {} writes, the rotation took {rotation:?}; a lost pod refused {lost} writes, the last {pause:?} after",
        acknowledged.len()
    );
    drop(operator);
    ns.delete().await;
}
