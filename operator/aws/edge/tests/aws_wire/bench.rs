//! What a test stands on: an operator, the SDK, the proxy, the server.

use crate::{
    driver::{Double, Operator, wish},
    proxy::Proxy,
    server::{Server, account},
};
use aws::{
    Rate, Tags,
    rds::{Instance, Rds, Snapshot, Wish},
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_fake::Clock;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef};
use aws_smithy_runtime_api::{box_error::BoxError, client::orchestrator::Metadata};
use jiff::Timestamp;
use learningplatform_aws_edge::{
    Clients, Endpoints, Limits, Settings, Windows,
    rds::{SdkRds, Seat, Shared},
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, ops::Deref, sync::Arc};

impl Double for Seat {}

/// Notes which operations of which service are called.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeSet<(String, String)>>>);

impl Calls {
    /// Those of a service.
    pub fn of(&self, service: &str) -> BTreeSet<String> {
        self.0.lock().iter().filter(|(of, _)| of == service).map(|(_, operation)| operation.clone()).collect()
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            self.0.lock().insert((metadata.service().to_owned(), metadata.name().to_owned()));
        }
        Ok(())
    }
}

pub fn settings(url: &str) -> Settings {
    let url = Some(url.to_owned());
    let endpoints =
        Endpoints { rds: url.clone(), elasticache: url.clone(), cloudfront: url.clone(), acm: url.clone(), sts: url };
    // The operator repeats what fails; that the SDK does so, too, is for the tests that say so.
    Settings { endpoints, attempts: 1, ..Settings::new("eu-central-1") }
}

pub fn key(account: &str) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(account, "secret-of-nobody", None, None, "tests"))
}

/// Fast enough for no test to wait.
pub fn limits() -> Arc<Limits> {
    Arc::new(Limits::new(Rate { per_second: 10_000.0, burst: 10_000.0 }))
}

/// One account, with the proxy before it.
pub struct Account {
    pub proxy: Proxy,
    pub clock: Clock,
    pub calls: Calls,
    /// Through the proxy.
    pub clients: Clients,
    /// Past it.
    pub direct: Clients,
    // Nothing goes wrong behind it. What the server does not do by itself is done in it, too.
    _behind: Proxy,
    _server: Arc<Server>,
}

impl Account {
    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let server = Server::shared();
        let proxy = Proxy::start(server.address()).await;
        let behind = Proxy::start(server.address()).await;
        let (account, calls) = (account(), Calls::default());
        let config = change(settings(&proxy.url()));
        let mut clients = Clients::new(&config, &limits(), Some(key(&account))).await.expect("legal");
        let noted = clients.rds.config().to_builder().interceptor(calls.clone()).build();
        clients.rds = aws_sdk_rds::Client::from_conf(noted);
        let noted = clients.elasticache.config().to_builder().interceptor(calls.clone()).build();
        clients.elasticache = aws_sdk_elasticache::Client::from_conf(noted);
        let direct = Clients::new(&settings(&behind.url()), &limits(), Some(key(&account))).await.expect("legal");
        Self { proxy, clock: Clock::default(), calls, clients, direct, _behind: behind, _server: server }
    }

    /// The clock, for what shares looks.
    pub fn now(&self) -> impl Fn() -> Timestamp + Send + Sync + use<> {
        let clock = self.clock.clone();
        move || clock.now()
    }
}

/// Databases of one account.
pub struct Bench {
    account: Account,
    pub shared: Arc<Shared>,
    /// What there is, past the proxy.
    pub truth: SdkRds,
}

impl Deref for Bench {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let account = Account::with(change).await;
        let rds = SdkRds::new(account.clients.rds.clone());
        let shared = Shared::new(rds, Windows::default(), account.now());
        let truth = SdkRds::new(account.direct.rds.clone());
        Self { account, shared, truth }
    }

    /// An operator that has just begun.
    pub fn operator(&self, wish: Wish) -> Operator<Seat> {
        Operator::at(Arc::new(self.shared.seat()), self.clock.clone(), wish)
    }

    /// What there is, in order of names.
    pub async fn instances(&self) -> Vec<Instance> {
        let mut all = self.truth.instances().await.expect("nothing goes wrong past the proxy").to_vec();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    pub async fn ids(&self) -> Vec<String> {
        self.instances().await.into_iter().map(|one| one.id).collect()
    }

    pub async fn instance(&self, id: &str) -> Instance {
        self.instances().await.into_iter().find(|one| one.id == id).expect("it is there")
    }

    pub async fn snapshots(&self) -> Arc<[Snapshot]> {
        self.truth.snapshots().await.expect("nothing goes wrong past the proxy")
    }
}

/// What the server can serve: it keeps backup windows and subnet groups of its own.
pub fn served() -> Wish {
    let mut wish = wish();
    (wish.spec.subnet_group, wish.spec.replicas) = (None, 1);
    wish
}

/// The tags of an operator's resources.
pub fn tags<R: Double>(operator: &Operator<R>) -> Tags {
    operator.wish.owner.tags()
}
