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

/// AWS takes its time, and the server in its place does not.
const RECHECK: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(240);

/// An account at AWS, and the operator of a platform that has items there.
pub struct Cloud {
    /// Where AWS is asked.
    pub url: String,
    pub world: World,
    pub operator: Arc<Context>,
    account: String,
    cluster: String,
    /// What is between the operator and AWS.
    pub proxy: Proxy,
    server: Arc<Server>,
}

impl Cloud {
    /// With a platform whose services are asked at the URL.
    pub async fn new(spec: impl FnOnce(&str) -> Value) -> Self {
        Self::of(Server::shared(), server::account(), "blue", spec).await
    }

    async fn of(server: Arc<Server>, account: String, cluster: &str, spec: impl FnOnce(&str) -> Value) -> Self {
        let proxy = Proxy::start(server.address()).await;
        let url = proxy.url();
        let world = World::new(spec(&url));
        let operator = world.operator().await;
        let cluster = cluster.to_owned();
        let cloud = Self { url, world, operator, account, cluster, proxy, server };
        let operator = cloud.restarted().await;
        Self { operator, ..cloud }
    }

    /// The same platform applied again, in a cluster of this name that has nothing of it: all there is of it is at AWS.
    pub async fn again(&self, cluster: &str, spec: impl FnOnce(&str) -> Value) -> Self {
        let again = Self::of(Arc::clone(&self.server), self.account.clone(), cluster, spec).await;
        again.world.api.edit(PLATFORM, |platform| platform["metadata"]["uid"] = json!("uid-2"));
        again
    }

    /// Until it says that a former platform left it, and for some passes more: nothing is made for it.
    pub async fn until_retained(&self, type_: &str) {
        self.until("retained", |world| world.condition(type_)["reason"] == "Retained").await;
        for _ in 0..5 {
            self.world.pass(&self.operator).await;
        }
        let made = |path: &str| path.ends_with("/deployments/story-web") || path.ends_with("/story-web-connections");
        let made: Vec<String> = self.world.api.dump().into_keys().filter(|path| made(path)).collect();
        assert!(made.is_empty(), "no app starts on an empty store: {made:?}");
    }

    /// The user's word for it.
    pub fn adopt(&self, room: &str, provider: &str) {
        self.world.api.edit(PLATFORM, |platform| platform["spec"][room][0][provider]["adopt"] = json!(true));
    }

    /// The operator as a new process.
    pub async fn restarted(&self) -> Arc<Context> {
        let settings = Settings {
            cluster_name: self.cluster.clone(),
            allowed_aws_endpoints: vec![self.url.clone()],
            aws_recheck: RECHECK,
            ..Settings::default()
        };
        let accounts = Accounts::new(fast(), Windows::looking_every(RECHECK), Some(self.credentials()));
        let context = Context::clone(&*self.world.operator().await);
        Arc::new(Context { settings: Arc::new(settings), aws: Arc::new(accounts), ..context })
    }

    fn credentials(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(&self.account, "secret-of-nobody", None, None, "tests"))
    }

    /// For what there is at AWS.
    pub async fn clients(&self) -> aws_edge::Clients {
        let url = Some(self.url.clone());
        let endpoints =
            Endpoints { rds: url.clone(), elasticache: url.clone(), cloudfront: url.clone(), acm: url, sts: None };
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
