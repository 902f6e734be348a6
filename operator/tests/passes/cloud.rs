//! AWS as passes meet it: the real SDK, and a server that speaks AWS's protocols, behind a proxy that does what the server does not.

use crate::{
    proxy::Proxy,
    server::{self, Server},
    world::{PLATFORM, World},
};
use ::aws::Rate;
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_edge::{Accounts, Endpoints, Limits, Settings as Account, Windows};
use k8s_openapi::ByteString;
use learningplatform_operator::context::{Context, Settings};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(240);

/// An account at AWS, and the operator of a platform that has items there.
pub struct Cloud {
    /// Where AWS is asked.
    pub url: String,
    pub world: World,
    pub operator: Arc<Context>,
    account: String,
    /// What is between the operator and AWS.
    pub proxy: Proxy,
    _server: Arc<Server>,
}

impl Cloud {
    /// With a platform whose services are asked at the URL.
    pub async fn new(spec: impl FnOnce(&str) -> Value) -> Self {
        let (server, account) = (Server::shared(), server::account());
        let proxy = Proxy::start(server.address()).await;
        let url = proxy.url();
        let world = World::new(spec(&url));
        let operator = world.operator().await;
        let cloud = Self { url, world, operator, account, proxy, _server: server };
        let operator = cloud.restarted().await;
        Self { operator, ..cloud }
    }

    /// The operator as a new process.
    pub async fn restarted(&self) -> Arc<Context> {
        let settings = Settings {
            cluster_name: "blue".into(),
            allowed_aws_endpoints: vec![self.url.clone()],
            ..Settings::default()
        };
        let accounts = Accounts::new(fast(), Windows::default(), Some(self.credentials()));
        let context = Context::clone(&*self.world.operator().await);
        Arc::new(Context { settings: Arc::new(settings), aws: Arc::new(accounts), ..context })
    }

    fn credentials(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(&self.account, "secret-of-nobody", None, None, "tests"))
    }

    /// For what there is at AWS.
    pub async fn clients(&self) -> aws_edge::Clients {
        let url = Some(self.url.clone());
        let endpoints = Endpoints { rds: url.clone(), elasticache: url.clone(), cloudfront: url, sts: None };
        let account = Account { endpoints, ..Account::new("eu-central-1") };
        aws_edge::Clients::new(&account, &fast(), Some(self.credentials())).await.unwrap()
    }

    /// Passes until it is so.
    pub async fn until(&self, what: &str, mut done: impl FnMut(&World) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.world.pass(&self.operator).await;
            self.world.api.run_deployments();
            if done(&self.world) {
                return;
            }
            let platform = self.world.api.get(PLATFORM).map(|it| it["status"].clone());
            assert!(Instant::now() < end, "{what}: {platform:#?} {:#?}", self.records());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many calls were sent that change something.
    pub fn changes(&self) -> usize {
        self.proxy.writes()
    }

    fn records(&self) -> Vec<Value> {
        let all = self.world.api.dump().into_iter();
        all.filter(|(path, _)| path.ends_with("-record")).map(|(_, object)| object).collect()
    }

    /// The value of a Secret's key.
    pub fn secret(&self, path: &str, key: &str) -> Option<String> {
        let value = self.world.api.get(path)?["data"][key].clone();
        let bytes: ByteString = serde_json::from_value(value).ok()?;
        String::from_utf8(bytes.0).ok()
    }

    /// The platform's deletion begins.
    pub fn delete(&self) {
        let mut platform = self.world.api.get(PLATFORM).unwrap();
        platform["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.world.api.put(PLATFORM, platform);
    }

    /// Until nothing of ours holds the platform back.
    pub async fn until_let_go(&self) {
        let finalizers = |platform: Value| platform["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        self.until("let go", |world| world.api.get(PLATFORM).is_none_or(|it| finalizers(it).is_empty())).await;
    }

    /// What holds the platform back.
    pub fn finalizers(&self) -> Value {
        self.world.api.get(PLATFORM).unwrap()["metadata"]["finalizers"].clone()
    }
}

fn fast() -> Arc<Limits> {
    Arc::new(Limits::new(Rate { per_second: 1000.0, burst: 1000.0 }))
}

/// Whether a condition of the platform holds.
pub fn is_true(world: &World, type_: &str) -> bool {
    world.condition(type_)["status"] == "True"
}

/// The status of the first item of a room, `caches` say.
pub fn item(world: &World, room: &str) -> Value {
    world.api.get(PLATFORM).unwrap()["status"][room][0].clone()
}

/// Whether every field of it was compared, and nothing is left to do.
pub fn is_synced(world: &World, room: &str) -> bool {
    let conditions = item(world, room)["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Synced" && condition["status"] == "True")
}
