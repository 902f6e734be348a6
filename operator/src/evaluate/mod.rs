//! The evaluation: beside the passes, one task per Prometheus server and credentials decides on its apps every few seconds
//! and writes their HPAs. It never waits for a pass, another server or another platform.

mod app;
mod glance;
mod group;
mod growth;
mod live;
mod metrics;
pub mod plan;
pub mod readings;
mod registry;
mod scaling;
pub mod tiers;
pub mod world;

pub use live::{explain, run};
pub use metrics::EvaluationMetrics;
pub use registry::{HpaGuard, Registry, World};
pub use scaling::{ScalingStore, ScalingView};

use crate::{
    error::Error,
    keeper::{StoreKey, cache, database::Figures},
    naming::{AppKey, Owner, PlatformKey},
    prometheus::{PromApi, SourceKey, query::Begun},
};
use decide::Time;
use futures::future::BoxFuture;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the evaluation sees and does of the cluster.
pub trait Cluster: Send + Sync {
    /// The Deployment of an app of this owner, as last seen; none where somebody else has that name.
    fn deployment(&self, owner: &Owner, key: &AppKey) -> Option<Arc<Deployment>>;

    /// What the keeper of a database has seen last; none before its first look.
    fn database(&self, key: &StoreKey) -> Option<Arc<Figures>>;

    /// What the keeper of a cache has seen last; none before its first look.
    fn cache(&self, key: &StoreKey) -> Option<Arc<cache::Figures>>;

    /// The HPA of an app, as last seen.
    fn hpa(&self, key: &AppKey) -> Option<Arc<HorizontalPodAutoscaler>>;

    /// The pods that became Ready after `since`, by app.
    fn begun(&self, since: Time) -> BTreeMap<AppKey, Vec<Begun>>;

    /// Makes the HPA so, if it is not; whether anything was written. `live` is the HPA as last seen.
    fn apply<'a>(
        &'a self,
        owner: &'a Owner,
        hpa: &'a HorizontalPodAutoscaler,
        live: Option<&'a HorizontalPodAutoscaler>,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Raises the count of a Deployment that runs to at least `floor`, at once.
    fn raise<'a>(&'a self, owner: &'a Owner, name: &'a str, floor: u32) -> BoxFuture<'a, Result<(), Error>>;

    /// Sets the count of a Deployment through its scale subresource.
    fn scale<'a>(&'a self, owner: &'a Owner, name: &'a str, replicas: u32) -> BoxFuture<'a, Result<(), Error>>;
}

/// Opens a server.
pub type Sources = Arc<dyn Fn(&SourceKey) -> Arc<dyn PromApi> + Send + Sync>;

/// Everything that ticks work with.
pub struct Deps {
    /// The cluster.
    pub cluster: Arc<dyn Cluster>,
    /// The servers.
    pub sources: Sources,
    /// The time.
    pub clock: Arc<dyn Fn() -> Time + Send + Sync>,
    /// Time between two ticks.
    pub interval: Duration,
    /// Time between two glances at demand; none where it is not below `interval`.
    pub glance: Duration,
    /// Where decisions are told.
    pub scaling: Arc<ScalingStore>,
    /// The evaluation's metrics.
    pub metrics: EvaluationMetrics,
    /// Wakes a pass, for status.
    pub wake: mpsc::Sender<PlatformKey>,
    /// Bounds the writes at the same time.
    pub writes: Semaphore,
    /// Decisions that are being carried out.
    pub tasks: TaskTracker,
    /// This replica leads no more: nothing may be written.
    pub lost: CancellationToken,
}

impl Deps {
    fn now(&self) -> Time {
        (self.clock)()
    }
}
