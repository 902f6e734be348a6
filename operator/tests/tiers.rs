//! The databases beside apps in the evaluation: connections that limit apps, and a database that is what makes them slow.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod support;

use crds::{
    LearningPlatform,
    status::{ConditionType, Reason},
};
use decide::{
    Figure, Sample, Time, Tunables,
    budget::{Consumer, Endpoint, Extra},
};
use learningplatform_operator::{
    conditions::{State, Verdict},
    context::Settings,
    evaluate::tiers::TierPlan,
    keeper::{StoreKey, beside::Moving, database::Figures},
    validate::validate,
};
use postgres::{DurabilityNow, ReplicaState, ReplicaView, View};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use support::{
    cluster::{Lab, Memory, NAMESPACE, PLATFORM, quick},
    script::{Script, Scripts, lab},
};
use tokio::time::Instant;

const START: Time = Time::from_secs(1_800_000_000);

/// What a keeper sees at `at`: connections in use, and those that there may be.
fn figures(at: Time, connections: Option<(u32, u32)>, lags: &[(ReplicaState, Option<u64>)]) -> Arc<Figures> {
    moving(at, connections, lags, None)
}

/// The same, with a replica on its way.
fn moving(
    at: Time,
    connections: Option<(u32, u32)>,
    lags: &[(ReplicaState, Option<u64>)],
    moving: Option<Moving>,
) -> Arc<Figures> {
    let replica = |(ordinal, (state, lag)): (usize, &(ReplicaState, Option<u64>))| ReplicaView {
        ordinal: u32::try_from(ordinal).unwrap(),
        state: *state,
        lag_bytes: None,
        lag: lag.map(Duration::from_secs),
        kept: None,
        routable: true,
        busy: None,
    };
    let view = View {
        record: None,
        primary_up: connections.is_some(),
        archive: None,
        accepts_writes: connections.is_some(),
        major: None,
        connections,
        senders_left: None,
        copying: false,
        bytes: None,
        replicas: lags.iter().enumerate().map(replica).collect(),
        replicas_allowed: 0,
        durability: DurabilityNow::Local { lag: None },
        logins: Vec::new(),
        certificate_ends: None,
        verdicts: Vec::new(),
    };
    Arc::new(Figures { at, view, moving, last: None })
}

fn plan(spec: Value) -> TierPlan {
    let platform: LearningPlatform =
        serde_json::from_value(json!({"metadata": {"name": PLATFORM, "namespace": NAMESPACE}, "spec": spec})).unwrap();
    TierPlan::of(&validate(&platform, &Settings::default()).unwrap())
}

fn external(changes: Value) -> Value {
    let external = json!({"address": "pg", "database": "story", "secret": {"name": "pg"}});
    let mut database = json!({"name": "main", "external": external});
    for (field, value) in changes.as_object().unwrap() {
        database[field] = value.clone();
    }
    database
}

fn in_cluster(changes: Value) -> Value {
    let mut server = json!({"volume": {"storage": "1Gi"}});
    for (field, value) in changes.as_object().unwrap() {
        server[field] = value.clone();
    }
    json!({"name": "main", "inCluster": server})
}

fn using(pool: Value, changes: Value) -> Value {
    let mut app = json!({"name": "web", "image": "x", "uses": {"databases": [{"name": "main", "pool": pool}]}});
    for (field, value) in changes.as_object().unwrap() {
        app[field] = value.clone();
    }
    app
}

fn endpoints(database: Value, app: Value) -> Vec<Endpoint> {
    plan(json!({"databases": [database], "apps": [app]})).endpoints(&|_| None, &|_| 7)
}

#[test]
fn a_consumer_is_counted_as_its_spec_says() {
    let scaled = |min: i32, max: i32| json!({"autoscaling": {"minReplicas": min, "maxReplicas": max}});
    let surge = |surge: Value| json!({"replicas": 4, "rollout": {"maxSurge": surge}});
    let ten = || json!({"max": 10});
    // Pool and app; fewest pods, most, surge, connections of each.
    let table = [
        (ten(), scaled(3, 20), (3, 20, Extra::Pods(1), 10)),
        (ten(), scaled(0, 20), (0, 20, Extra::Pods(1), 10)),
        (ten(), json!({"replicas": 4}), (4, 4, Extra::Pods(1), 10)),
        (ten(), json!({}), (1, 1, Extra::Pods(1), 10)),
        (json!({"max": 5, "poolsPerPod": 8}), json!({}), (1, 1, Extra::Pods(1), 40)),
        (ten(), surge(json!(3)), (4, 4, Extra::Pods(3), 10)),
        (ten(), surge(json!("25%")), (4, 4, Extra::Percent(25), 10)),
        (ten(), surge(json!("150%")), (4, 4, Extra::Percent(150), 10)),
    ];
    for (pool, app, expected) in table {
        let told = format!("{pool} {app}");
        let [endpoint] = &endpoints(external(json!({"connectionBudget": 99})), using(pool, app))[..] else {
            panic!("{told}")
        };
        assert_eq!((&*endpoint.name, endpoint.limit.budget, endpoint.limit.reserved), ("main", Some(99), 0), "{told}");
        assert_eq!(endpoint.limit.max_connections, None, "nobody of ours asks somebody else's server");
        let [consumer] = &endpoint.consumers[..] else { panic!("{told}") };
        assert_eq!((consumer.min, consumer.max, consumer.surge, consumer.per_pod), expected, "{told}");
        assert_eq!((&*consumer.app, consumer.now, consumer.terminating), ("web", 7, Extra::NONE), "{told}");
    }
    assert!(endpoints(external(json!({})), using(json!({}), json!({}))).is_empty(), "nobody says how many it opens");
    let jobs = json!([
        {"name": "migrate", "beforeRollout": {}, "args": ["x"]},
        {"name": "warm", "afterRollout": {}, "args": ["x"]},
    ]);
    let [endpoint] = &endpoints(external(json!({})), using(ten(), json!({ "jobs": jobs })))[..] else { panic!() };
    assert_eq!(endpoint.consumers[0].jobs, 2, "a pod of a job has the app's variables");
}

#[test]
fn every_primary_and_every_address_of_a_replica_is_an_endpoint() {
    let external_with = |replicas: Value| {
        let mut database = external(json!({}));
        database["external"]["replicas"] = replicas;
        database
    };
    // The connections kept: five, and one for each replica that starts.
    let table: [(Value, &[&str], u32); 5] = [
        (external_with(json!([])), &["main"], 0),
        (external_with(json!(["a", "b"])), &["main", "main replica 1", "main replica 2"], 0),
        (in_cluster(json!({"maxReadReplicas": 0})), &["main"], 5),
        (in_cluster(json!({"readReplicas": 1})), &["main", "main replica 1", "main replica 2", "main replica 3"], 6),
        (
            in_cluster(json!({"readReplicas": 1, "maxReadReplicas": 1, "shards": 2})),
            &["main shard 0", "main shard 0 replica 1", "main shard 1", "main shard 1 replica 1"],
            6,
        ),
    ];
    for (database, names, reserved) in table {
        let found = endpoints(database.clone(), using(json!({"max": 2}), json!({})));
        assert_eq!(found.iter().map(|endpoint| &*endpoint.name).collect::<Vec<_>>(), names, "{database}");
        assert!(found.iter().all(|endpoint| endpoint.limit.reserved == reserved), "{database}");
        let seen = database.get("inCluster").is_some().then_some(Sample::NoData);
        assert!(found.iter().all(|endpoint| endpoint.limit.max_connections == seen), "{database}");
    }
}

#[test]
fn a_pooler_is_the_consumer_of_its_primary_and_the_apps_are_those_of_the_pooler() {
    let pooler = |replicas: i32| {
        let mut database = in_cluster(
            json!({"readReplicas": replicas, "pooler": {"replicas": 3, "defaultPoolSize": 4, "maxClientConnections": 70}}),
        );
        database["connectionBudget"] = json!(60);
        database
    };
    let told = |database: Value, pool: Value| {
        let consumer = |consumer: &Consumer| {
            (consumer.app.to_string(), consumer.min, consumer.max, consumer.surge, consumer.per_pod)
        };
        let found = endpoints(database, using(pool, json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 9}})));
        let found = found.iter().map(|endpoint| {
            let limit = (endpoint.limit.budget, endpoint.limit.max_connections.is_some());
            (endpoint.name.to_string(), limit, endpoint.consumers.iter().map(consumer).collect::<Vec<_>>())
        });
        found.collect::<Vec<_>>()
    };
    let web = |each: u32| ("web".to_owned(), 1, 9, Extra::Pods(1), each);
    let pooled = || ("main pooler".to_owned(), 3, 3, Extra::Pods(1), 10);
    let primary = |consumers| ("main".to_owned(), (Some(60), true), consumers);
    let clients = || ("main pooler".to_owned(), (Some(70), false), vec![web(7)]);
    let replica = || ("main replica 1".to_owned(), (Some(60), true), vec![web(7)]);
    let pool = || json!({"max": 7});
    assert_eq!(told(pooler(0), pool()), [primary(vec![pooled()]), clients()], "idle addresses lead to the pooler");
    assert_eq!(told(pooler(1), pool()), [primary(vec![pooled()]), clients(), replica()]);
    let beside = json!({"max": 7, "maxDirect": 2});
    assert_eq!(told(pooler(0), beside), [primary(vec![pooled(), web(2)]), clients()]);
    // Of an app that does not say pool.max only the pooler is known.
    assert_eq!(told(pooler(0), json!({})), [primary(vec![pooled()])]);
}

#[test]
fn a_server_accepts_what_its_keeper_has_seen_and_symptoms_are_of_what_is_measured() {
    let database = in_cluster(json!({"readReplicas": 3}));
    let plan = plan(json!({"databases": [database], "apps": [
        using(json!({"max": 2}), json!({})), {"name": "other", "image": "x"}, {"name": "silent", "image": "x",
        "uses": {"databases": [{"name": "main"}]}}]}));
    let replicas = [(ReplicaState::Streaming, Some(2)), (ReplicaState::Late, Some(40)), (ReplicaState::Cloning, None)];
    let seen = figures(START, Some((75, 100)), &replicas);
    let look = |key: &StoreKey| (key.object_name == "story-main").then(|| seen.clone());
    for endpoint in plan.endpoints(&look, &|_| 0) {
        let Some(Sample::Value(value)) = endpoint.limit.max_connections else { panic!("{endpoint:?}") };
        assert_eq!((value.get(), value.at()), (100.0, Some(START)));
        assert_eq!(endpoint.consumers.len(), 1, "what does not say pool.max cannot be counted");
    }
    let of = |app: &str, look: &dyn Fn(&StoreKey) -> Option<Arc<Figures>>| {
        let key = learningplatform_operator::naming::AppKey {
            namespace: NAMESPACE.into(),
            platform: PLATFORM.into(),
            app: app.into(),
        };
        let symptoms = plan.symptoms(&key, &Tunables::default(), look);
        let value = |sample: &Sample| if let Sample::Value(value) = sample { Some(value.get()) } else { None };
        symptoms.iter().map(|s| (s.tier.to_string(), s.figure, value(&s.sample))).collect::<Vec<_>>()
    };
    let waits = |value| ("main".to_owned(), Figure::ConnectionWait, value);
    let lag = |number, value| (format!("main replica {number}"), Figure::ReplicaLag, Some(value));
    for app in ["web", "silent"] {
        assert_eq!(of(app, &look), [waits(Some(0.75)), lag(1, 2.0), lag(2, 40.0)], "{app}");
        assert_eq!(of(app, &|_| None), [waits(None)], "{app}: nothing seen is told as such");
        assert_eq!(of(app, &|_| Some(figures(START, None, &[]))), [waits(None)], "{app}: a silent primary");
    }
    assert_eq!(of("other", &look), [], "it uses none");
}

/// A lab with an app of `rate` requests/s, ten for each pod, and a latency.
struct Scene {
    lab: Lab,
    cluster: Arc<Memory>,
    scripts: Scripts,
    began: Instant,
}

impl Scene {
    fn start(pods: i32, rate: f64, latency: f64) -> Self {
        let cluster = Arc::new(Memory::default());
        cluster.run("story-web", pods);
        Self::on(cluster, rate, latency)
    }

    fn on(cluster: Arc<Memory>, rate: f64, latency: f64) -> Self {
        let scripts = ["http://rate", "http://latency"].map(|url| (url.to_owned(), Arc::new(Script::default())));
        let scripts = Scripts::from(scripts);
        scripts["http://rate"].rate("story-web", rate);
        scripts["http://latency"].rate("story-web", latency);
        let (began, lab) = (Instant::now(), lab(scripts.clone(), cluster.clone()));
        Self { lab, cluster, scripts, began }
    }

    fn apply(&self, database: Value, autoscaling: Value) {
        self.known(database, autoscaling, json!({}));
    }

    /// Applies a platform of which something was decided before, as its status says.
    fn known(&self, database: Value, autoscaling: Value, status: Value) {
        let prometheus = json!({"url": "http://rate", "scrapeInterval": "1s",
            "servers": [{"name": "latency", "url": "http://latency", "scrapeInterval": "1s"}]});
        let app = using(json!({"max": 5}), json!({"autoscaling": autoscaling}));
        self.lab.known(json!({"prometheus": prometheus, "databases": [database], "apps": [app]}), status);
    }

    /// What the keeper sees of the primary's connections from now on, for `seconds`.
    async fn sees(&self, connections: Option<(u32, u32)>, seconds: u64) {
        for _ in 0..seconds {
            let now = START.plus(self.began.elapsed().into());
            let seen = figures(now, connections, &[]);
            self.cluster.databases.lock().unwrap().insert("story-main".to_owned(), seen);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn cap(&self) -> u32 {
        self.lab.view("web").unwrap().live.write.cap
    }

    fn floor(&self) -> u32 {
        self.lab.view("web").unwrap().live.write.floor
    }

    fn says(&self) -> Verdict {
        let verdicts = self.lab.view("web").unwrap().verdicts();
        verdicts.into_iter().find(|verdict| verdict.type_ == ConditionType::AutoscalingReady).unwrap()
    }
}

/// At most 20 pods by the rate, which fall by a tenth a minute.
fn slowly() -> Value {
    let mut autoscaling = quick(20, json!({"requestRate": {"perPod": 10}}));
    autoscaling["behavior"]["scaleDown"]["policies"] = json!([{"type": "Percent", "value": 10, "periodSeconds": 60}]);
    autoscaling
}

fn without_repeats(counts: impl IntoIterator<Item = i32>) -> Vec<i32> {
    let mut counts: Vec<i32> = counts.into_iter().collect();
    counts.dedup();
    counts
}

#[tokio::test(start_paused = true)]
async fn a_lower_budget_lowers_the_cap_by_its_ramp_and_a_higher_one_raises_it_at_once() {
    let scene = Scene::start(20, 195.0, 0.1);
    let caps = |from: usize| {
        let writes = scene.cluster.writes.lock().unwrap()[from..].to_vec();
        without_repeats(writes.iter().map(|(_, _, max)| *max))
    };
    // (20 + 1) x 5.
    scene.apply(external(json!({"connectionBudget": 105})), slowly());
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!((scene.floor(), scene.cap(), caps(0)), (20, 20, vec![20]));

    // (10 + 1) x 5.
    scene.apply(external(json!({"connectionBudget": 59})), slowly());
    for _ in 0..600 {
        let before = scene.cluster.replicas("story-web");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(
            i32::try_from(scene.cap()).unwrap() >= before - (before / 10).max(1) - 1,
            "{} of {before}",
            scene.cap()
        );
    }
    assert_eq!(caps(0), [20, 18, 16, 14, 12, 10]);
    let told = scene.lab.view("web").unwrap().live.sentence();
    assert!(told.contains("main takes 59 connections"), "{told}");

    let before = scene.cluster.writes.lock().unwrap().len();
    scene.apply(external(json!({"connectionBudget": 105})), slowly());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((scene.cap(), caps(before)), (20, vec![20]));
}

#[tokio::test(start_paused = true)]
async fn the_cap_stays_a_step_below_pods_that_do_not_go() {
    let scene = Scene::start(20, 195.0, 0.1);
    scene.apply(external(json!({"connectionBudget": 105})), slowly());
    tokio::time::sleep(Duration::from_secs(90)).await;
    scene.apply(external(json!({"connectionBudget": 55})), slowly());
    for _ in 0..300 {
        scene.cluster.run("story-web", 20);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(scene.cap() >= 18, "{}", scene.cap());
    }
    assert_eq!(scene.cap(), 18);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lost_neither_raises_nor_lowers() {
    let database = || in_cluster(json!({"maxReadReplicas": 0}));
    let scene = Scene::start(10, 195.0, 0.1);
    // Of 60 five are kept: (10 + 1) x 5.
    scene.sees(Some((40, 60)), 1).await;
    scene.apply(database(), slowly());
    scene.sees(Some((40, 60)), 60).await;
    assert_eq!((scene.floor(), scene.cap()), (10, 10), "{}", scene.says().message);
    let writes = scene.cluster.writes.lock().unwrap().len();
    scene.sees(None, 300).await;
    assert_eq!(scene.cap(), 10);
    scene.cluster.databases.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!((scene.cap(), scene.cluster.writes.lock().unwrap().len()), (10, writes));

    // Another process of the operator, which has never seen a limit.
    scene.lab.stop();
    let scene = Scene::on(scene.cluster.clone(), 195.0, 0.1);
    let past = json!([{"at": "2026-09-01T08:00:00Z", "floor": 10, "cap": 12, "reason": "r"}]);
    let scaling = json!({"floor": 10, "cap": 12, "reason": "r", "decisions": past});
    scene.known(database(), slowly(), json!({"apps": [{"name": "web", "scaling": scaling}]}));
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!((scene.floor(), scene.cap()), (12, 12), "the cap of before");
    scene.sees(Some((40, 110)), 30).await;
    assert_eq!((scene.floor(), scene.cap()), (20, 20), "{}", scene.says().message);
    scene.sees(Some((40, 60)), 600).await;
    assert_eq!((scene.floor(), scene.cap()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn a_database_whose_connections_are_taken_stops_the_growth_of_a_latency_spike() {
    // Connections in use of 400; the floor after a spike, and what is said.
    let table = [(388, 4, Some(Reason::BottleneckElsewhere)), (100, 5, None)];
    for (used, floor, said) in table {
        let scene = Scene::start(4, 33.0, 0.1);
        let signals = json!({"requestRate": {"perPod": 10},
            "latency": {"mean": true, "budget": "200ms", "server": "latency"}});
        scene.sees(Some((100, 400)), 1).await;
        scene.apply(in_cluster(json!({})), quick(30, signals));
        scene.sees(Some((100, 400)), 30).await;
        assert_eq!((scene.floor(), scene.says().reason), (4, Reason::Succeeded));

        scene.scripts["http://latency"].rate("story-web", 0.5);
        for _ in 0..45 {
            scene.sees(Some((used, 400)), 1).await;
            // Pods help where nothing else is slow.
            scene.scripts["http://latency"].rate("story-web", if scene.floor() > 4 { 0.18 } else { 0.5 });
        }
        assert_eq!(scene.floor(), floor, "{used} of 400 are taken: {}", scene.says().message);
        let says = scene.says();
        if let Some(reason) = said {
            assert_eq!((says.state, says.reason), (State::True, reason));
            let tier =
                "between 4 and 30 pods; main is the bottleneck: the share of connections in use, 97 %, is over 90 %";
            assert!(says.message.starts_with(tier), "{}", says.message);
            // Demand is another matter.
            scene.scripts["http://rate"].rate("story-web", 85.0);
            scene.sees(Some((used, 400)), 10).await;
            assert_eq!(scene.floor(), 9);
        } else {
            assert_ne!(says.reason, Reason::BottleneckElsewhere, "{}", says.message);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn new_pods_wait_for_a_growing_replica_and_status_says_so() {
    let scene = Scene::start(4, 33.0, 0.1);
    scene.sees(Some((100, 400)), 1).await;
    scene.apply(in_cluster(json!({"readReplicas": 1})), quick(30, json!({"requestRate": {"perPod": 10}})));
    scene.sees(Some((100, 400)), 30).await;
    assert_eq!(scene.floor(), 4);

    // A spike while nothing grows waits for nothing; one ten seconds after a replica was asked for waits for the rest of its time.
    scene.scripts["http://rate"].rate("story-web", 55.0);
    scene.sees(Some((100, 400)), 10).await;
    assert_eq!(scene.floor(), 6);
    let since = START.plus(scene.began.elapsed().into());
    let sees = async |seconds: u64| {
        for _ in 0..seconds {
            let now = START.plus(scene.began.elapsed().into());
            let seen = moving(now, Some((100, 400)), &[], Some(Moving { grows: true, since }));
            scene.cluster.databases.lock().unwrap().insert("story-main".to_owned(), seen);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    sees(10).await;
    scene.scripts["http://rate"].rate("story-web", 85.0);
    sees(18).await;
    assert_eq!(scene.floor(), 6);
    let view = scene.lab.view("web").unwrap();
    let told = view.status();
    assert!(told.reason.starts_with("main gets a further read replica first: no pods are added"), "{}", told.reason);
    assert!(told.stages.iter().any(|stage| (stage.name.as_str(), stage.before, stage.after) == ("ramp", 9, 6)));
    sees(4).await;
    assert_eq!(scene.floor(), 9, "for half a minute and no longer");
}

#[test]
fn what_cloud_native_pg_takes_is_what_it_was_given() {
    let delegated = |parameters: Value, budget: Value| {
        let spec = json!({"volume": {"storage": "1Gi"}, "parameters": parameters, "readReplicas": 1});
        json!({"name": "main", "connectionBudget": budget, "cloudNativePG": spec})
    };
    for (parameters, budget, expected) in [
        (json!({}), Value::Null, 95),
        (json!({"max_connections": "200"}), Value::Null, 195),
        (json!({"max_connections": "200"}), json!(150), 150),
        (json!({}), json!(150), 95),
    ] {
        let endpoints = endpoints(delegated(parameters, budget), using(json!({"max": 10}), json!({})));
        assert_eq!(endpoints.len(), 4, "the primary and its numbered addresses");
        for endpoint in endpoints {
            assert_eq!((endpoint.limit.budget, endpoint.limit.max_connections), (Some(expected), None));
        }
    }
}
