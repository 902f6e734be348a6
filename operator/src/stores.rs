//! What the watches have seen, for readers that must not ask the API server each time.

use crds::LearningPlatform;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::{
    core::DeserializeGuard,
    runtime::reflector::{Store, store, store::Writer},
};

/// The readers. Of `managedFields` the objects keep only our own managers' entries; pods keep metadata and status.
#[derive(Clone)]
pub struct Stores {
    /// Platforms, the invalid ones too.
    pub platforms: Store<DeserializeGuard<LearningPlatform>>,
    /// Deployments we manage.
    pub deployments: Store<Deployment>,
    /// HPAs we manage.
    pub hpas: Store<HorizontalPodAutoscaler>,
    /// Pods we manage.
    pub pods: Store<Pod>,
}

/// The writing ends, for the watches.
pub struct StoreWriters {
    /// Platforms.
    pub platforms: Writer<DeserializeGuard<LearningPlatform>>,
    /// Deployments.
    pub deployments: Writer<Deployment>,
    /// HPAs.
    pub hpas: Writer<HorizontalPodAutoscaler>,
    /// Pods.
    pub pods: Writer<Pod>,
}

impl Stores {
    /// Empty stores and their writing ends.
    pub fn new() -> (Self, StoreWriters) {
        let (platforms, platforms_writer) = store();
        let (deployments, deployments_writer) = store();
        let (hpas, hpas_writer) = store();
        let (pods, pods_writer) = store();
        let writers = StoreWriters {
            platforms: platforms_writer,
            deployments: deployments_writer,
            hpas: hpas_writer,
            pods: pods_writer,
        };
        (Self { platforms, deployments, hpas, pods }, writers)
    }
}
