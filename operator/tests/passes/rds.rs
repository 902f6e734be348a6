//! A database at RDS, from the resource to an app's login and to its end: passes, the real SDK, a server that speaks AWS's protocol,
//! and a real PostgreSQL behind the endpoint that it names.

#[path = "../../aws/edge/tests/aws_wire/server.rs"]
mod server;

use crate::{
    postgres_server::PostgresServer,
    world::{PLATFORM, World},
};
use ::aws::{Rate, rds::Rds as _};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_edge::{Accounts, Limits, Settings as Account, Windows, rds::SdkRds};
use learningplatform_operator::context::{Context, Settings};
use serde_json::{Value, json};
use server::Server;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(240);
const AUTH: &str = "/api/v1/namespaces/learning/secrets/story-main-rds-auth";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-rds-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";

/// A platform with a database at RDS, whose server listens on `port`.
fn spec(server: &Server, port: u16) -> Value {
    let url = format!("http://{}", server.address());
    json!({
        "aws": { "region": "eu-central-1", "endpoints": { "rds": url } },
        "databases": [{ "name": "main", "rds": {
            "instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "16", "port": port,
            "backupRetentionDays": 1, "readReplicas": 1, "maxReadReplicas": 2,
            "authorities": { "name": "rds-authorities", "key": "global-bundle.pem" },
        } }],
        "apps": [{
            "name": "web", "image": "registry.example/web:1", "port": 3000, "replicas": 1,
            "uses": { "databases": [{ "name": "main" }] },
        }],
    })
}

struct Cloud {
    server: Arc<Server>,
    account: String,
    world: World,
    operator: Arc<Context>,
    postgres: PostgresServer,
}

impl Cloud {
    async fn new(change: impl FnOnce(&mut Value)) -> Self {
        let (server, account, postgres) = (Server::shared(), server::account(), PostgresServer::new("localhost"));
        let mut spec = spec(&server, postgres.port());
        change(&mut spec);
        let world = World::new(spec);
        world.api.put(
            "/api/v1/namespaces/learning/secrets/rds-authorities",
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": "rds-authorities", "namespace": "learning" },
                "data": { "global-bundle.pem": k8s_openapi::ByteString(postgres.authority()) },
            }),
        );
        let cloud = Self { operator: world.operator().await, server, account, world, postgres };
        let operator = cloud.restarted().await;
        Self { operator, ..cloud }
    }

    /// The operator as a new process.
    async fn restarted(&self) -> Arc<Context> {
        let fast = Rate { per_second: 1000.0, burst: 1000.0 };
        let settings = Settings {
            cluster_name: "blue".into(),
            allowed_aws_endpoints: vec![format!("http://{}", self.server.address())],
            ..Settings::default()
        };
        let accounts = Accounts::new(Arc::new(Limits::new(fast)), Windows::default(), Some(self.credentials()));
        let context = Context::clone(&*self.world.operator().await);
        Arc::new(Context { settings: Arc::new(settings), aws: Arc::new(accounts), ..context })
    }

    fn credentials(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(&self.account, "secret-of-nobody", None, None, "tests"))
    }

    /// What there is at AWS.
    async fn truth(&self) -> SdkRds {
        let url = Some(format!("http://{}", self.server.address()));
        let endpoints = aws_edge::Endpoints { rds: url, ..aws_edge::Endpoints::default() };
        let account = Account { endpoints, ..Account::new("eu-central-1") };
        let fast = Arc::new(Limits::new(Rate { per_second: 1000.0, burst: 1000.0 }));
        let clients = aws_edge::Clients::new(&account, &fast, Some(self.credentials())).await.unwrap();
        SdkRds::new(clients.rds)
    }

    /// Passes until it is so.
    async fn until(&self, what: &str, mut done: impl FnMut(&World) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.world.pass(&self.operator).await;
            self.world.api.run_deployments();
            if done(&self.world) {
                return;
            }
            let platform = self.world.api.get(PLATFORM).map(|it| it["status"].clone());
            assert!(Instant::now() < end, "{what}: {platform:#?} {:#?}", self.world.api.get(RECORD));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn secret(&self, path: &str, key: &str) -> Option<String> {
        let value = self.world.api.get(path)?["data"][key].clone();
        let bytes: k8s_openapi::ByteString = serde_json::from_value(value).ok()?;
        String::from_utf8(bytes.0).ok()
    }

    /// Until the database serves. Its server starts as soon as the administrator's password is known, as AWS would have it.
    async fn until_ready(&mut self) {
        self.until("a password", |world| world.api.get(AUTH).is_some()).await;
        let password = self.secret(AUTH, "operatorPassword").expect("it is made");
        self.postgres.start(&password);
        self.until("ready", |world| is_true(world, "DatabaseReady")).await;
    }
}

fn is_true(world: &World, type_: &str) -> bool {
    world.condition(type_)["status"] == "True"
}

fn database(world: &World) -> Value {
    world.api.get(PLATFORM).unwrap()["status"]["databases"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_logs_in_to_a_database_at_rds_and_a_settled_platform_is_left_alone() {
    let mut cloud = Cloud::new(|_| {}).await;
    cloud.until_ready().await;
    cloud.until("connections", |world| world.api.get(CONNECTIONS).is_some()).await;
    let url = cloud.secret(CONNECTIONS, "DATABASE_URL").expect("the app is given it");
    assert!(
        url.contains("@localhost:") && url.contains("sslmode=verify-full"),
        "{}",
        url.split('@').next_back().unwrap()
    );
    let replica = cloud.secret(CONNECTIONS, "DATABASE_REPLICA_2_URL").expect("numbered addresses are there");
    assert!(replica.contains("@story-main-rds-ro-2.learning.svc:") && replica.contains("sslmode=verify-ca"));
    let (user, password) = (cloud.secret(AUTH, "username").unwrap(), cloud.secret(AUTH, "password").unwrap());
    cloud.postgres.can_log_in(&user, &password, "app");
    let held = cloud.world.api.get(PLATFORM).unwrap()["metadata"]["finalizers"].clone();
    assert_eq!(held, json!(["learningplatform.dev/aws"]));
    let status = database(&cloud.world);
    assert!(status["aws"]["identifier"].as_str().unwrap().starts_with("lp-story-main-"), "{status:#}");
    assert!(status["deletion"].as_str().unwrap().starts_with("Snapshot:"), "{status:#}");

    cloud
        .until("synced", |world| {
            let conditions = database(world)["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Synced" && condition["status"] == "True")
        })
        .await;
    cloud.world.settle(&cloud.operator).await;
    let before = cloud.truth().await.instances().await.unwrap();
    assert_eq!(before.len(), 2, "a primary and its replica");
    // Another process goes on with what is written down, and changes nothing.
    cloud.operator = cloud.restarted().await;
    cloud.until("ready again", |world| is_true(world, "DatabaseReady")).await;
    assert_eq!(cloud.truth().await.instances().await.unwrap(), before);
    let told = format!("{} {}", cloud.world.api.get(PLATFORM).unwrap(), cloud.world.api.get(RECORD).unwrap());
    for word in ["operatorPassword", "password"] {
        let secret = cloud.secret(AUTH, word).unwrap();
        assert!(!told.contains(&secret), "no password is in the status, nor in the record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_platform_waits_for_the_final_snapshot_and_the_end_of_its_instances() {
    // The server goes on to list a replica that is gone: without one.
    let mut cloud = Cloud::new(|spec| spec["databases"][0]["rds"]["readReplicas"] = json!(0)).await;
    cloud.until_ready().await;
    let mut platform = cloud.world.api.get(PLATFORM).unwrap();
    platform["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    cloud.world.api.put(PLATFORM, platform);
    cloud
        .until("let go", |world| {
            world
                .api
                .get(PLATFORM)
                .is_none_or(|platform| platform["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty))
        })
        .await;
    let truth = cloud.truth().await;
    assert!(truth.instances().await.unwrap().is_empty());
    let snapshots = truth.snapshots().await.unwrap();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!(snapshots[0].tags["learningplatform.dev/item"], "main");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_settings_allow_is_asked_and_a_plan_is_not_carried_out() {
    let cloud = Cloud::new(|spec| spec["databases"][0]["rds"]["mode"] = json!("Plan")).await;
    let planned = |world: &World| {
        let plan = database(world)["aws"]["plan"].as_array().cloned().unwrap_or_default();
        plan.iter().any(|call| call["operation"] == "CreateDBInstance")
    };
    cloud.until("a plan", planned).await;
    for _ in 0..5 {
        cloud.world.pass(&cloud.operator).await;
    }
    assert!(cloud.truth().await.instances().await.unwrap().is_empty());
    let password = cloud.secret(AUTH, "operatorPassword").unwrap();
    assert!(!database(&cloud.world).to_string().contains(&password), "no password is in the plan");

    let strange = World::new(spec(&cloud.server, 5432));
    let operator = strange.operator().await;
    strange.pass(&operator).await;
    let ready = strange.condition("Ready");
    assert_eq!((ready["reason"].as_str(), ready["status"].as_str()), (Some("InvalidSpec"), Some("False")), "{ready}");
    assert!(ready["message"].as_str().unwrap().contains("--cluster-name"), "{ready}");
}
