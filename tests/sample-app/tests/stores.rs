//! The app wired to real servers: PostgreSQL, and Redis alone and as a cluster.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod servers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sample_app::app::App;
use sample_app::config::Config;
use sample_app::server::run;
use sample_app::stores::settings::Settings;
use serde_json::{Value, json};
use servers::{PASSWORD, Postgres, Redis, ask, until};
use tokio::net::{TcpListener, TcpStream};

/// After this time the operator's probes give up (`timeoutSeconds`).
const PROBE: Duration = Duration::from_secs(3);

struct Wired(SocketAddr);

impl Wired {
    async fn new(variables: &[Vec<(String, String)>]) -> Self {
        let variables = variables.concat();
        let settings = Settings::read(|name| variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()));
        let flags =
            ["sample-app", "--warmup-seconds=0", "--drain-seconds=0", "--latency-ms=0", "--latency-jitter-ms=0"];
        let app = App::new(Config::parse_from(flags)).with_stores(&settings.unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(run(Arc::new(app), listener, None, std::future::pending()));
        Self(address)
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Response<String> {
        let stream = TcpStream::connect(self.0).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("host", "test");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(!body.contains(PASSWORD), "{body}");
        Response::from_parts(parts, body)
    }

    async fn get(&self, path: &str) -> Response<String> {
        self.send("GET", path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) {
        let answer = self.send("POST", path, &body).await;
        assert_eq!((answer.status().as_u16(), answer.body().as_str()), (200, r#"{"saved":true}"#));
    }

    /// Status and services of the health.
    async fn health(&self) -> (u16, Value) {
        let begun = Instant::now();
        let answer = self.get("/api/health").await;
        assert!(begun.elapsed() < PROBE, "the answer took {:?}", begun.elapsed());
        let body: Value = serde_json::from_str(answer.body()).unwrap();
        let healthy = answer.status() == 200;
        assert_eq!(body["status"], if healthy { "healthy" } else { "unhealthy" });
        for (name, word) in body["services"].as_object().unwrap() {
            assert!(body["responseTimes"][name].is_number(), "{body}");
            assert_eq!(body["errors"].get(name).is_some(), word == "down", "{body}");
        }
        (answer.status().as_u16(), body["services"].clone())
    }

    async fn becomes(&self, status: u16, services: Value) {
        let what = format!("health is {status} {services}");
        until(&what, async || self.health().await == (status, services.clone())).await;
    }

    /// A story's title, and whether the cache had it.
    async fn story(&self, id: &str) -> (String, bool) {
        let answer = self.get(&format!("/api/stories/{id}")).await;
        assert_eq!(answer.status(), 200, "{}", answer.body());
        let story: Value = serde_json::from_str(answer.body()).unwrap();
        assert_eq!(story["id"], id);
        (story["title"].as_str().unwrap().to_owned(), answer.headers()["x-cache"] == "hit")
    }

    async fn metric(&self, series: &str) -> f64 {
        let metrics = self.get("/api/metrics").await.into_body();
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{metrics}"));
        line.trim().parse().unwrap()
    }
}

fn all_up() -> Value {
    json!({"app": "up", "database": "up", "redis": "up"})
}

#[tokio::test]
async fn health_follows_each_store_down_and_up_again() {
    let (mut database, mut cache) = (Postgres::new(), Redis::single());
    let app = Wired::new(&[database.variables(), cache.variables()]).await;
    app.becomes(200, all_up()).await;
    let kept: (String, i64) =
        (cache.on_key(&["get", "health-check"]).await, cache.on_key(&["ttl", "health-check"]).await);
    assert!(!kept.0.is_empty() && (0..=10).contains(&kept.1), "{kept:?}");
    let rows = "select count(*) from health where at > now() - interval '1 minute'";
    assert_eq!(database.sql("postgres", rows).await, ["1"]);

    cache.nodes[0].kill();
    app.becomes(503, json!({"app": "up", "database": "up", "redis": "down"})).await;
    cache.nodes[0].start();
    app.becomes(200, all_up()).await;

    database.server.kill();
    app.becomes(503, json!({"app": "up", "database": "down", "redis": "up"})).await;
    database.server.start();
    app.becomes(200, all_up()).await;

    // A store that takes connections and never answers: `health` fails where an answer takes too long.
    cache.nodes[0].freeze();
    database.server.freeze();
    app.becomes(503, json!({"app": "up", "database": "down", "redis": "down"})).await;
    cache.nodes[0].thaw();
    database.server.thaw();
    app.becomes(200, all_up()).await;
}

#[tokio::test]
async fn stories_are_read_through_the_cache_and_writes_invalidate() {
    let (database, cache) = (Postgres::new(), Redis::single());
    let app = Wired::new(&[database.variables(), cache.variables()]).await;
    app.becomes(200, all_up()).await;

    assert_eq!(app.story("7").await, ("Story 7".to_owned(), false));
    let left: i64 = cache.on_key(&["ttl", "story:7"]).await;
    assert!((7000..=7200).contains(&left), "{left}");
    database.sql("postgres", "update stories set title = 'Another' where id = '7'").await;
    assert_eq!(app.story("7").await, ("Story 7".to_owned(), true));

    app.post("/api/progress/update", json!({"learner": "ann", "story": 7, "page": 3})).await;
    assert_eq!(app.story("7").await, ("Another".to_owned(), false));
    let row = "select learner || ' ' || story || ' ' || page from progress";
    assert_eq!(database.sql("postgres", row).await, ["ann 7 3"]);

    cache.on_key::<()>(&["set", "vocab:river", "known"]).await;
    app.post("/api/vocabulary/progress", json!({"word": "river", "known": true})).await;
    assert_eq!(cache.on_key::<i64>(&["exists", "vocab:river"]).await, 0);
    let row = "select learner || ' ' || word || ' ' || known from vocabulary";
    assert_eq!(database.sql("postgres", row).await, ["somebody river true"]);

    assert_eq!(app.get("/api/stories/none").await.status(), 404);
    // What is in the cache and makes no sense is a miss.
    cache.on_key::<()>(&["set", "story:8", "{"]).await;
    assert_eq!(app.story("8").await, ("Story 8".to_owned(), false));
    assert_eq!(app.story("8").await, ("Story 8".to_owned(), true));
}

#[tokio::test]
async fn without_its_cache_the_app_goes_on_without_its_database_it_says_so() {
    let (mut database, mut cache) = (Postgres::new(), Redis::single());
    let app = Wired::new(&[database.variables(), cache.variables()]).await;
    app.becomes(200, all_up()).await;
    let (errors, retries) = ("store_errors_total{store=\"redis\"}", "store_retries_total{store=\"postgres\"}");
    assert_eq!(app.metric(errors).await, 0.0);

    for frozen in [false, true] {
        cache.nodes[0].kill();
        if frozen {
            cache.nodes[0].start();
            cache.nodes[0].freeze();
        }
        let before = app.metric(errors).await;
        assert_eq!(app.story("7").await, ("Story 7".to_owned(), false));
        app.post("/api/progress/update", json!({"story": 7})).await;
        app.post("/api/vocabulary/progress", json!({})).await;
        assert_eq!(app.metric(errors).await, before + 3.0, "frozen: {frozen}");
    }
    assert_eq!(database.sql("postgres", "select count(*) from progress").await, ["2"]);

    cache.nodes[0].thaw();
    until("the cache is used again", async || app.story("7").await.1).await;
    let before = app.metric(retries).await;
    database.server.kill();
    assert_eq!(app.story("7").await, ("Story 7".to_owned(), true));
    let answer = app.get("/api/stories/8").await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(app.metric(retries).await > before);
    assert!(app.metric("store_errors_total{store=\"postgres\"}").await >= 1.0);

    // A request that meets the start of the database waits for it.
    let (answer, ()) = tokio::join!(app.get("/api/stories/9"), async { database.server.start() });
    assert!(matches!(answer.status().as_u16(), 200 | 503), "{}", answer.body());
    until("the database answers again", async || app.get("/api/stories/9").await.status() == 200).await;
}

#[tokio::test]
async fn reads_go_to_a_replica_and_fall_back_to_the_primary() {
    let database = Postgres::new();
    // Another database takes the replica's place: what is read tells where it came from.
    database.sql("postgres", "create database replica").await;
    let stories = "create table stories (id text primary key, title text, body text);
                   insert into stories values ('1', 'Of the replica', '')";
    database.sql("replica", stories).await;
    let replicas = vec![
        ("DATABASE_REPLICA_1_URL".to_owned(), database.url("replica")),
        ("DATABASE_REPLICA_2_URL".to_owned(), format!("postgresql://app:{PASSWORD}@{}/postgres", servers::nobody())),
    ];
    let app = Wired::new(&[database.variables(), replicas]).await;
    app.becomes(200, json!({"app": "up", "database": "up"})).await;

    let mut titles = Vec::new();
    for _ in 0..4 {
        titles.push(app.story("1").await.0);
    }
    assert_eq!(titles, ["Of the replica", "Story 1", "Of the replica", "Story 1"]);
    assert_eq!(app.metric("store_errors_total{store=\"postgres\"}").await, 0.0);
    // One for each time that the second replica refused.
    assert_eq!(app.metric("store_retries_total{store=\"postgres\"}").await, 2.0);
    // What the replica does not have yet, the primary has.
    assert_eq!(app.story("2").await.0, "Story 2");
    app.post("/api/progress/update", json!({"story": 1})).await;
    assert_eq!(database.sql("postgres", "select count(*) from progress").await, ["1"]);
}

#[tokio::test]
async fn the_pool_keeps_to_its_size_and_closes_what_is_idle() {
    let database = Postgres::new();
    let limits = [("DB_MAX_CONNECTIONS", "2"), ("DB_IDLE_TIMEOUT", "1")];
    let limits = limits.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let app = Wired::new(&[database.variables(), limits]).await;
    app.becomes(200, json!({"app": "up", "database": "up"})).await;
    let count = "select count(*) from pg_stat_activity where application_name = 'sample-app'";
    let all = (0..40).map(|story| app.post("/api/progress/update", json!({"story": story})));
    futures::future::join_all(all).await;
    assert_eq!(database.sql("postgres", "select count(*) from progress").await, ["40"]);
    assert_eq!(database.sql("postgres", count).await, ["2"]);
    until("idle connections are closed", async || database.sql("postgres", count).await == ["0"]).await;
}

#[tokio::test]
async fn a_cluster_is_used_while_its_slots_move() {
    let cache = Redis::cluster().await;
    let app = Wired::new(&[cache.variables()]).await;
    app.becomes(200, json!({"app": "up", "redis": "up"})).await;
    for id in 0..30 {
        assert!(!app.story(&id.to_string()).await.1);
        assert!(app.story(&id.to_string()).await.1, "story {id}");
    }
    for node in &cache.nodes {
        let keys: usize = ask(node.address, &["dbsize"]).await.unwrap();
        assert!(keys > 0, "a node has no key");
    }

    // The slot of a key goes to the next node; the app still knows the old one.
    let key = "story:7";
    let slot: String = cache.on_key::<i64>(&["cluster", "keyslot", key]).await.to_string();
    let mut from = None;
    for (index, node) in cache.nodes.iter().enumerate() {
        if ask::<Option<String>>(node.address, &["get", key]).await.is_ok() {
            from = Some(index);
        }
    }
    let (from, to) = (from.unwrap(), (from.unwrap() + 1) % 3);
    let mut ids = Vec::new();
    for node in &cache.nodes {
        ids.push(ask::<String>(node.address, &["cluster", "myid"]).await.unwrap());
    }
    let (source, destination) = (cache.nodes[from].address, cache.nodes[to].address);
    ask::<()>(destination, &["cluster", "setslot", &slot, "importing", &ids[from]]).await.unwrap();
    ask::<()>(source, &["cluster", "setslot", &slot, "migrating", &ids[to]]).await.unwrap();
    let (host, port) = (destination.ip().to_string(), destination.port().to_string());
    let migrate = ["migrate", &host, &port, "", "0", "5000", "auth", PASSWORD, "keys", key];
    ask::<()>(source, &migrate).await.unwrap();
    // ASK: the source still owns the slot, the key is at the destination.
    assert!(app.story("7").await.1, "the key was not found while its slot moved");
    for node in [to, from] {
        ask::<()>(cache.nodes[node].address, &["cluster", "setslot", &slot, "node", &ids[to]]).await.unwrap();
    }
    // MOVED.
    assert!(app.story("7").await.1, "the key was not found after its slot had moved");
    assert_eq!(app.metric("store_errors_total{store=\"redis\"}").await, 0.0);
}

#[tokio::test]
async fn an_app_that_starts_before_its_database_waits_for_it() {
    let mut database = Postgres::stopped();
    let app = Wired::new(&[database.variables()]).await;
    assert_eq!(app.health().await, (503, json!({"app": "warming", "database": "down"})));
    database.server.start();
    app.becomes(200, json!({"app": "up", "database": "up"})).await;
    // What probes and preparations met is no error of users.
    assert_eq!(app.metric("store_errors_total{store=\"postgres\"}").await, 0.0);
    assert_eq!(app.metric("store_retries_total{store=\"postgres\"}").await, 0.0);
    assert_eq!(app.story("1000").await.0, "Story 1000");
}
