//! A ledger of every acknowledged write is held against what the README promises, while pods and operators are killed. The
//! short form kills everything once; the long one (`make chaos`) goes through restarts, reshaping and new passwords, too. Both end
//! with a table of the longest pauses.

use super::*;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use learningplatform_tests::harness::account;
use std::{fmt::Write as _, io::Write as _};

/// Redis: what a killed primary had acknowledged and no replica had received, at the ledger's rate, is less than this.
const MOST_LOST: u64 = 50;
/// How long new passwords may take: two times of grace, and a rollout of the app.
const ROTATED: Duration = Duration::from_secs(600);
/// Records each second and store.
const RATE: u32 = 50;

/// Whether the long form runs.
fn long() -> bool {
    std::env::var_os("LP_CHAOS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A pod that writes for a time, and then checks what became of every acknowledged record.
async fn start(ns: &TestNamespace, name: &str, time: Duration) {
    let container = |name: &str, args: Value| {
        json!({
            "name": name, "image": SAMPLE_APP_IMAGE, "command": ["/ledger"], "args": args,
            "envFrom": [{"secretRef": {"name": "story-web-connections"}}],
            "volumeMounts": [{"name": "ledger", "mountPath": "/ledger-files"}],
            "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        })
    };
    let file = "/ledger-files/records";
    let seconds = format!("{}s", time.as_secs());
    let write = json!(["write", "--for", seconds, "--file", file, "--rate", RATE.to_string(), "-o", "json"]);
    let check = json!(["check", "--file", file, "--allow-lost", "1000000", "-o", "json"]);
    let pod = json!({
        "metadata": {"name": name, "labels": {
            "learningplatform.dev/uses-main": "true", "learningplatform.dev/uses-cache": "true",
        }},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "initContainers": [container("write", write)],
            "containers": [container("check", check)],
            "volumes": [{"name": "ledger", "emptyDir": {}}],
        },
    });
    let pod = serde_json::from_value(pod).expect("a pod");
    ns.api::<Pod>().create(&PostParams::default(), &pod).await.expect("the ledger's pod");
}

/// What the ledger says at its end: of the writing, and of the check.
async fn end(ns: &TestNamespace, name: &str, time: Duration) -> (Value, Value) {
    let phase = || async { ns.api::<Pod>().get(name).await.expect("the ledger's pod").status.and_then(|s| s.phase) };
    eventually("the ledger ends", time + MADE, phase, |phase| {
        phase.as_deref().is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
    })
    .await;
    let said = |container: &'static str| async move {
        let params = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        let log = ns.api::<Pod>().logs(name, &params).await.expect("a log");
        let json = log.find('{').map(|at| &log[at..]).unwrap_or_else(|| panic!("{container}: {log}"));
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {log}"))
    };
    (said("write").await, said("check").await)
}

/// What each step came to, by store. It is printed at the end, however that comes, and past the runner, which shows nothing of a
/// test that passes.
#[derive(Default)]
struct Report(Vec<[String; 7]>);

const COLUMNS: [&str; 7] =
    ["step", "store", "writes paused", "reads paused", "retries", "acknowledged", "of which lost"];

impl Drop for Report {
    fn drop(&mut self) {
        let head = COLUMNS.map(str::to_owned);
        let rows: Vec<&[String; 7]> = std::iter::once(&head).chain(&self.0).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        let mut text = String::from("\nLongest pauses of a ledger's clients\n");
        for row in &rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                let _ = if column < 2 { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
            }
            text = text.trim_end().to_owned() + "\n";
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

impl Report {
    /// Holds the ledger against the promises of `durability: Local` with the volumes kept, and of `appendFsync: EverySecond`.
    fn judge(&mut self, what: &str, (write, check): &(Value, Value)) {
        println!("{what}: {write}\n{check}");
        let stores = |of: &Value| of["stores"].as_array().expect("stores").clone();
        let both: Vec<(Value, Value)> = stores(write).into_iter().zip(stores(check)).collect();
        assert_eq!(both.len(), 2, "{what}: {write}");
        for (written, checked) in &both {
            let pause = |of: &str| format!("{:.0} ms", written[of]["longestPauseMs"].as_f64().expect("a pause"));
            let store = written["store"].as_str().expect("a name").to_owned();
            let [retries, acknowledged, lost] =
                [&written["retries"], &written["acknowledged"], &checked["lost"]].map(Value::to_string);
            self.0.push([what.to_owned(), store, pause("writes"), pause("reads"), retries, acknowledged, lost]);
        }
        for (written, checked) in &both {
            let store = written["store"].as_str().expect("a name");
            assert_eq!(store, checked["store"].as_str().expect("a name"));
            assert!(written["acknowledged"].as_u64().expect("a count") > 100, "{what}, {store}: {written}");
            let lost = checked["lost"].as_u64().expect("a count");
            let bound = if store == "redis" { MOST_LOST } else { 0 };
            assert!(lost <= bound, "{what}, {store}: {lost} acknowledged records are lost: {checked}");
            assert_eq!(written["writes"]["errors"], 0, "{what}, {store}: errors that retries do not mend: {written}");
            assert_eq!(written["reads"]["errors"], 0, "{what}, {store}: {written}");
        }
    }
}

/// Applies a changed spec, and waits until all of it is there.
async fn change(ns: &TestNamespace, spec: Value) {
    ns.apply("story", spec).await;
    ready(ns, "story").await;
}

/// The apps' password of every store, and what else there is of one while it changes.
async fn passwords(ns: &TestNamespace) -> Vec<String> {
    let mut found = Vec::new();
    for item in ["cache", "main"] {
        let secret = ns.api::<Secret>().get(&format!("story-{item}-auth")).await.expect("a Secret");
        let data = secret.data.unwrap_or_default();
        let word = |key: &str| data.get(key).map(|value| String::from_utf8_lossy(&value.0).into_owned());
        found.push(word("password").unwrap_or_default());
        // While a change is under way there is another one.
        let under_way = ["next", "nextUsername", "previous", "previousUsername"].into_iter().filter_map(word);
        found.extend(under_way.filter(|word| !word.is_empty()));
    }
    found
}

/// Asks for new passwords of all stores, and waits until the old ones are dropped.
async fn rotate(ns: &TestNamespace) {
    let before = passwords(ns).await;
    let asked = json!({"metadata": {"annotations": {crds::ROTATE_PASSWORDS_ANNOTATION: "chaos"}}});
    let platforms = ns.api::<crds::LearningPlatform>();
    platforms.patch("story", &PatchParams::default(), &Patch::Merge(&asked)).await.expect("an annotation");
    let changed = |now: &Vec<String>| now.len() == 2 && now.iter().zip(&before).all(|(now, before)| now != before);
    eventually("every password is another one", ROTATED, || passwords(ns), changed).await;
    ready(ns, "story").await;
}

async fn servers(ns: &TestNamespace) -> Vec<String> {
    let pods = ns.api::<Pod>().list(&ListParams::default().labels("learningplatform.dev/tier")).await.expect("pods");
    pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect()
}

/// Kills every server once, in an order that no test could count on, each when the one before is ready again.
async fn kill_every_server(ns: &TestNamespace) {
    let mut names = servers(ns).await;
    names.sort_by_key(|name| {
        use std::hash::{BuildHasher, RandomState};
        (RandomState::new().hash_one(name), name.clone())
    });
    println!("killed in this order: {names:?}");
    for name in names {
        let uid = ns.api::<Pod>().get(&name).await.expect("a pod").metadata.uid;
        // Not by force: the API server would forget the pod before its process has ended.
        let at_once = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
        ns.api::<Pod>().delete(&name, &at_once).await.expect("a deletion");
        let back = || async {
            let pod = ns.api::<Pod>().get_opt(&name).await.expect("an answer")?;
            let ready = pod.status?.conditions?.iter().any(|c| c.type_ == "Ready" && c.status == "True");
            Some((pod.metadata.uid, ready))
        };
        eventually("it is back", MADE, back, |pod| pod.as_ref().is_some_and(|(new, ready)| *new != uid && *ready))
            .await;
    }
}

fn spec(shards: i32, replicas: i32, memory: &str) -> Value {
    let resources = json!({"resources": {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": memory}}});
    let uses = json!({"databases": [{"name": "main", "pool": {"max": 5}}], "caches": [{"name": "cache"}]});
    json!({
        "caches": [cache("cache", merged(json!({"shards": shards, "replicasPerShard": 1}), resources.clone()))],
        "databases": [database("main", merged(json!({"readReplicas": replicas, "maxReadReplicas": 3}), resources))],
        "apps": [app(uses)],
    })
}

/// Kills the operator every so often until it is told to stop.
async fn killed_again_and_again(ns: &TestNamespace, every: Duration, stop: &std::sync::atomic::AtomicBool) {
    let kubeconfig = account(ns).await;
    let mut operator = Operator::spawn(ns, &kubeconfig, FLAGS);
    let mut last = Instant::now();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if last.elapsed() > every {
            operator.kill();
            operator = Operator::spawn(ns, &kubeconfig, FLAGS);
            last = Instant::now();
        }
    }
    operator.kill();
}

#[tokio::test]
async fn killed_servers_and_operators_lose_no_acknowledged_write() {
    let ns = TestNamespace::create("chaos").await;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let operators = killed_again_and_again(&ns, Duration::from_secs(20), &stop);
    let scenes = async {
        let mut report = Report::default();
        change(&ns, spec(3, 2, "256Mi")).await;
        let time = Duration::from_secs(if long() { 240 } else { 75 });
        start(&ns, "ledger-a", time).await;
        kill_every_server(&ns).await;
        report.judge("every server killed once", &end(&ns, "ledger-a", time).await);
        ready(&ns, "story").await;
        if long() {
            start(&ns, "ledger-b", time).await;
            change(&ns, spec(3, 2, "320Mi")).await;
            report.judge("every server restarted", &end(&ns, "ledger-b", time).await);
            start(&ns, "ledger-c", time).await;
            change(&ns, spec(4, 3, "320Mi")).await;
            change(&ns, spec(3, 1, "320Mi")).await;
            report.judge("shards 3-4-3, replicas 2-3-1", &end(&ns, "ledger-c", time).await);
            // Longer than the old ones stay.
            let time = Duration::from_secs(360);
            start(&ns, "ledger-d", time).await;
            rotate(&ns).await;
            report.judge("every password changed", &end(&ns, "ledger-d", time).await);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    futures::future::join(scenes, operators).await;
    ns.delete().await;
}
