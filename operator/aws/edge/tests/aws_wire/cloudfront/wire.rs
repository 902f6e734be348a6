//! Requests as they are on the wire, to the strict fake: counted, and where there is a gate, no faster than it lets them through.

use aws::{
    Error, Rate, Service, Spot, Tags,
    cloudfront::{Call, CloudFront, Companion, CompanionKind, Distribution, Listed},
};
use aws_fake::{Clock, cloudfront::FakeCloudFront};
use learningplatform_aws_edge::{
    Limits,
    cloudfront::{Source, Summary},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often each operation was asked.
pub type Asked = Arc<Mutex<BTreeMap<&'static str, usize>>>;

/// A bucket of tokens, on the runtime's clock, which the fake's goes with.
pub struct Gate {
    limits: Limits,
    clock: Clock,
    start: Instant,
    shown: Mutex<Duration>,
    /// When each request was let through.
    pub passed: Mutex<Vec<Duration>>,
}

impl Gate {
    pub fn new(rate: Rate, clock: Clock) -> Self {
        let (shown, passed) = (Mutex::default(), Mutex::default());
        Self { limits: Limits::new(rate), clock, start: Instant::now(), shown, passed }
    }

    /// Sets the fake's clock to the runtime's.
    pub fn show(&self) -> Duration {
        let (mut shown, now) = (self.shown.lock(), self.start.elapsed());
        self.clock.advance(now - *shown);
        *shown = now;
        now
    }

    async fn pass(&self) {
        let spot = Spot { account: "own".into(), region: "us-east-1".into(), service: Service::CloudFront };
        self.limits.wait(&spot, 1).await;
        self.passed.lock().push(self.show());
    }
}

/// Most records of a page.
const PAGE: usize = 100;

/// CloudFront, as requests.
pub struct Wire {
    pub fake: Arc<FakeCloudFront>,
    /// Whether lists tell versions.
    pub versions: bool,
    pub asked: Asked,
    pub gate: Option<Arc<Gate>>,
}

impl Wire {
    async fn request(&self, operation: &'static str) {
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        *self.asked.lock().entry(operation).or_default() += 1;
    }

    /// The pages of so many records after the first.
    async fn more_pages(&self, operation: &'static str, records: usize) {
        for _ in 1..records.div_ceil(PAGE) {
            self.request(operation).await;
        }
    }
}

impl Source for Wire {
    async fn summaries(&self) -> Result<Vec<Summary>, Error> {
        self.request("ListDistributions").await;
        let listed = self.fake.distributions().await?;
        self.more_pages("ListDistributions", listed.len()).await;
        let all = listed.into_iter().filter_map(|one| self.fake.get(&one.id));
        let summary = |one: Distribution| {
            let etag = self.versions.then_some(one.etag);
            Summary { id: one.id, arn: one.arn, status: one.status, etag }
        };
        Ok(all.map(summary).collect())
    }

    async fn tags(&self, arn: &str) -> Result<Option<Tags>, Error> {
        self.request("ListTagsForResource").await;
        let id = arn.rsplit('/').next().unwrap_or_default();
        Ok(self.fake.get(id).map(|_| self.fake.tags(id)))
    }
}

impl CloudFront for Wire {
    async fn distributions(&self) -> Result<Vec<Listed>, Error> {
        panic!("its parts are asked for")
    }

    async fn distribution(&self, id: &str) -> Result<Option<Distribution>, Error> {
        self.request("GetDistribution").await;
        self.fake.distribution(id).await
    }

    async fn companions(&self) -> Result<Vec<Companion>, Error> {
        use CompanionKind::{CachePolicy, Function, OriginAccessControl, OriginRequestPolicy, ResponseHeadersPolicy};
        self.request("ListCachePolicies").await;
        let all = self.fake.companions().await?;
        let count = |kind| all.iter().filter(|one| one.kind == kind).count();
        self.more_pages("ListCachePolicies", count(CachePolicy)).await;
        for (operation, kind) in [
            ("ListOriginRequestPolicies", OriginRequestPolicy),
            ("ListResponseHeadersPolicies", ResponseHeadersPolicy),
            ("ListOriginAccessControls", OriginAccessControl),
            // In each of two stages.
            ("ListFunctions", Function),
            ("ListFunctions", Function),
        ] {
            self.request(operation).await;
            self.more_pages(operation, count(kind)).await;
        }
        Ok(all)
    }

    async fn version(&self, companion: &Companion) -> Result<Option<String>, Error> {
        self.request("Get").await;
        self.fake.version(companion).await
    }

    async fn certificate(&self, arn: &str) -> aws::acm::Answer {
        self.request("DescribeCertificate").await;
        self.fake.certificate(arn).await
    }

    async fn send(&self, call: &Call) -> Result<(), Error> {
        self.request("send").await;
        self.fake.send(call).await
    }
}
