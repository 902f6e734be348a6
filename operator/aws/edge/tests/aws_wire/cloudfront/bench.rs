//! What a test of a distribution stands on: an operator, the SDK, the proxy, the server.

use super::{
    driver::{Double, Operator},
    wishes::seven_p,
};
use crate::{
    bench::{Calls, key, limits, settings},
    proxy::{Lasting, Proxy},
    server::{Server, account},
};
use aws::{
    Tags,
    cloudfront::{Call, CloudFront, Distribution, Element, Wish},
};
use aws_fake::Clock;
use aws_sdk_cloudfront::Client;
use learningplatform_aws_edge::{
    Clients, Settings,
    cloudfront::{SdkCloudFront, Seat, Shared, Source, Windows},
};
use std::sync::Arc;

impl Double for Seat<SdkCloudFront> {}

/// What changes takes its time, as it does at AWS.
pub const DEPLOYING: [Lasting; 2] = [
    Lasting { operation: "CreateDistributionWithTags", status: "InProgress", looks: 3 },
    Lasting { operation: "UpdateDistribution", status: "InProgress", looks: 3 },
];

/// One account, with the proxy before it.
pub struct Bench {
    pub proxy: Proxy,
    pub clock: Clock,
    pub calls: Calls,
    pub shared: Arc<Shared<SdkCloudFront>>,
    /// What there is, past the proxy.
    pub truth: Arc<SdkCloudFront>,
    /// The same, by the SDK's own types.
    pub client: Client,
    /// ARN of a certificate for all aliases that are wished. The server issues what is requested at once.
    pub certificate: String,
    _server: Arc<Server>,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let server = Server::shared();
        let proxy = Proxy::start(server.address()).await;
        let (account, clock, calls) = (account(), Clock::default(), Calls::default());
        let config = change(settings(&proxy.url()));
        let clients = Clients::new(&config, &limits(), Some(key(&account))).await.expect("legal");
        let noted = clients.cloudfront.config().to_builder().interceptor(calls.clone()).build();
        let acm = clients.acm.config().to_builder().interceptor(calls.clone()).build();
        let now = clock.clone();
        let cloudfront = SdkCloudFront::new(Client::from_conf(noted), aws_sdk_acm::Client::from_conf(acm));
        let shared = Shared::new(cloudfront, Windows::default(), move || now.now());
        let direct = settings(&format!("http://{}", server.address()));
        let direct = Clients::new(&direct, &limits(), Some(key(&account))).await.expect("legal");
        let truth = Arc::new(SdkCloudFront::new(direct.cloudfront.clone(), direct.acm.clone()));
        let names: Vec<String> = seven_p().aliases.into_iter().flatten().collect();
        let request = direct.acm.request_certificate().domain_name(&names[0]);
        let request = request.set_subject_alternative_names(Some(names)).send().await.expect("it is requested");
        let certificate = request.certificate_arn.expect("set");
        Self { proxy, clock, calls, shared, truth, client: direct.cloudfront, certificate, _server: server }
    }

    /// An operator that has just begun. Where it wishes a certificate, it is the one that is there.
    pub fn operator(&self, mut wish: Wish) -> Operator<Seat<SdkCloudFront>> {
        if let Some(named) = &mut wish.spec.certificate {
            named.arn.clone_from(&self.certificate);
        }
        Operator::at(Arc::new(self.shared.seat()), self.clock.clone(), wish)
    }

    pub async fn ids(&self) -> Vec<String> {
        let all = self.truth.summaries().await.expect("nothing goes wrong past the proxy");
        all.into_iter().map(|one| one.id).collect()
    }

    /// The only distribution.
    pub async fn only(&self) -> Distribution {
        let ids = self.ids().await;
        assert_eq!(ids.len(), 1, "{ids:?}");
        self.truth.distribution(&ids[0]).await.expect("it answers").expect("it is listed")
    }

    /// Its tags.
    pub async fn tags(&self) -> Tags {
        let arn = self.only().await.arn;
        self.truth.tags(&arn).await.expect("it answers").expect("it is there")
    }

    /// How many policies, access controls and functions there are.
    pub async fn companions(&self) -> usize {
        self.truth.companions().await.expect("it answers").len()
    }

    /// Somebody else changes the only distribution, past the proxy.
    pub async fn meddle(&self, change: impl FnOnce(&mut Element)) {
        meddle(&self.truth, change).await;
    }

    /// A distribution of somebody else's. What it answers is its id.
    pub async fn put(&self, config: Element, tags: Tags) -> String {
        let reference = config.value("CallerReference").expect("set").to_owned();
        self.truth.send(&Call::Create { reference, config, tags }).await.expect("it is made");
        self.only().await.id
    }

    /// The paths of all invalidations of the only distribution, each sorted.
    pub async fn invalidations(&self) -> Vec<Vec<String>> {
        let id = self.only().await.id;
        let listed = self.client.list_invalidations().distribution_id(&id).send().await.expect("it answers");
        let mut all = Vec::new();
        for one in listed.invalidation_list.expect("set").items.unwrap_or_default() {
            let got = self.client.get_invalidation().distribution_id(&id).id(one.id).send().await.expect("it answers");
            let batch = got.invalidation.and_then(|one| one.invalidation_batch).expect("set");
            let mut paths = batch.paths.and_then(|paths| paths.items).unwrap_or_default();
            paths.sort();
            all.push(paths);
        }
        all
    }

    /// Calls that change something, after so many, with whether they were carried out.
    pub fn writes_after(&self, skipped: usize) -> Vec<(String, bool)> {
        let log = self.proxy.log().into_iter();
        let writes = log.filter(|one| !["Describe", "Get", "List"].iter().any(|it| one.operation.starts_with(it)));
        writes.map(|one| (one.operation, one.done)).skip(skipped).collect()
    }
}

/// Somebody else changes the only distribution.
pub async fn meddle(truth: &SdkCloudFront, change: impl FnOnce(&mut Element)) {
    let ids = truth.summaries().await.expect("it answers");
    let Distribution { id, etag, mut config, .. } =
        truth.distribution(&ids[0].id).await.expect("it answers").expect("it is listed");
    change(&mut config);
    truth.send(&Call::Update { id, etag, config, changes: Vec::new() }).await.expect("it is changed");
}
