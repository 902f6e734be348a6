//! Which optional APIs the cluster serves: found at the start, and looked for again, often while any is missing.

use crate::kinds::Kind;
use kube::{Client, api::ApiResource};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// What the cluster serves of the optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// HTTPRoute of the Gateway API.
    pub http_route: bool,
    /// HTTPRoute knows `sessionPersistence`, a field of the API's experimental channel.
    pub session_persistence: bool,
    /// PodMonitor of the Prometheus operator.
    pub pod_monitor: bool,
    /// Whether the API server has said so of PodMonitors: pods that run are not replaced on a guess.
    pub pod_monitor_known: bool,
    /// Cluster of CloudNativePG.
    pub cloud_native_pg: bool,
    /// ObjectStore of CloudNativePG's Barman Cloud plugin.
    pub barman_cloud: bool,
    /// Certificate of cert-manager.
    pub cert_manager: bool,
    /// VolumeSnapshot of the CSI snapshotter.
    pub volume_snapshot: bool,
}

impl Served {
    /// Everything, for rendering without a cluster.
    pub const ALL: Self = Self {
        http_route: true,
        session_persistence: true,
        pod_monitor: true,
        pod_monitor_known: true,
        cloud_native_pg: true,
        barman_cloud: true,
        cert_manager: true,
        volume_snapshot: true,
    };

    /// Whether a kind can be asked for.
    pub fn serves(self, kind: Kind) -> bool {
        match kind {
            Kind::HttpRoute => self.http_route,
            Kind::PodMonitor => self.pod_monitor,
            Kind::CloudNativePgCluster | Kind::CloudNativePgScheduledBackup => self.cloud_native_pg,
            Kind::BarmanObjectStore => self.barman_cloud,
            Kind::CertManagerCertificate => self.cert_manager,
            Kind::VolumeSnapshot => self.volume_snapshot,
            _ => true,
        }
    }

    /// Whether to look again, that long after the last time.
    fn is_due(self, since: Duration) -> bool {
        let of_databases = self.cloud_native_pg && self.barman_cloud && self.volume_snapshot;
        let complete = self.http_route && self.pod_monitor && self.cert_manager && of_databases;
        since >= if complete { LOOK_OVER } else { LOOK_AGAIN }
    }
}

/// How often a missing API is looked for; the objects that wait for it are to be there within 30 s.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How often the others are looked at: another channel or version may be installed over them.
const LOOK_OVER: Duration = Duration::from_mins(10);

/// What the cluster serves now; clones share it.
#[derive(Clone, Debug)]
pub struct Capabilities {
    served: Arc<watch::Sender<Served>>,
}

impl Capabilities {
    /// Fixed knowledge, for tests and rendering; a running operator begins with [`Served::default`].
    pub fn new(served: Served) -> Self {
        Self { served: Arc::new(watch::Sender::new(served)) }
    }

    /// What is served now.
    pub fn now(&self) -> Served {
        *self.served.borrow()
    }

    /// Wakes whenever that changes.
    pub fn changes(&self) -> watch::Receiver<Served> {
        self.served.subscribe()
    }

    /// An API turned out to be gone.
    pub fn lost(&self, kind: Kind) {
        self.served.send_if_modified(|served| {
            let before = *served;
            match kind {
                Kind::HttpRoute => served.http_route = false,
                Kind::PodMonitor => served.pod_monitor = false,
                Kind::CloudNativePgCluster | Kind::CloudNativePgScheduledBackup => served.cloud_native_pg = false,
                Kind::BarmanObjectStore => served.barman_cloud = false,
                Kind::CertManagerCertificate => served.cert_manager = false,
                Kind::VolumeSnapshot => served.volume_snapshot = false,
                _ => {}
            }
            *served != before
        });
    }

    /// Asks the API server now. What it does not answer stays as it was.
    pub async fn discover(&self, client: &Client) {
        let before = self.now();
        let mut served = before;
        if let Some(found) = serves(client, Kind::HttpRoute).await {
            served.http_route = found;
            let knows = if found { knows_session_persistence(client).await } else { Some(false) };
            served.session_persistence = knows.unwrap_or(served.session_persistence);
        }
        if let Some(found) = serves(client, Kind::PodMonitor).await {
            (served.pod_monitor, served.pod_monitor_known) = (found, true);
        }
        if let Some(found) = serves(client, Kind::CloudNativePgCluster).await {
            served.cloud_native_pg = found;
        }
        if let Some(found) = serves(client, Kind::BarmanObjectStore).await {
            served.barman_cloud = found;
        }
        if let Some(found) = serves(client, Kind::CertManagerCertificate).await {
            served.cert_manager = found;
        }
        if let Some(found) = serves(client, Kind::VolumeSnapshot).await {
            served.volume_snapshot = found;
        }
        self.served.send_if_modified(|current| {
            let changed = *current != served;
            *current = served;
            changed
        });
        if served != before {
            tracing::info!(?served, "optional APIs of the cluster");
        }
    }

    /// Looks for what is missing, and seldom at what is there, until the future is dropped.
    pub async fn keep_looking(&self, client: &Client) {
        let mut tick = tokio::time::interval(LOOK_AGAIN);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked = tick.tick().await;
        loop {
            let now = tick.tick().await;
            if self.now().is_due(now.duration_since(looked)) {
                self.discover(client).await;
                looked = now;
            }
        }
    }
}

/// Whether the API server serves a kind; None where it did not say.
async fn serves(client: &Client, kind: Kind) -> Option<bool> {
    let ApiResource { api_version, plural, .. } = kind.resource();
    match client.list_api_group_resources(&api_version).await {
        Ok(list) => Some(list.resources.iter().any(|r| r.name == plural)),
        Err(kube::Error::Api(status)) if status.code == 404 => Some(false),
        Err(error) => {
            tracing::warn!(%kind, %error, "cannot tell whether the cluster serves this API");
            None
        }
    }
}

/// The channel stands on the CRD; where the operator may not read it, the standard channel is assumed. None where the API
/// server did not say.
async fn knows_session_persistence(client: &Client) -> Option<bool> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let crds: kube::Api<kube::core::PartialObjectMeta<CustomResourceDefinition>> = kube::Api::all(client.clone());
    match crds.get_opt("httproutes.gateway.networking.k8s.io").await {
        Ok(crd) => {
            let annotations = crd.and_then(|crd| crd.metadata.annotations).unwrap_or_default();
            Some(annotations.get("gateway.networking.k8s.io/channel").is_some_and(|channel| channel == "experimental"))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_looked_at_seldom_and_what_is_missing_often() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        for (served, since, due) in [
            (Served::default(), 9 * second, false),
            (Served::default(), 10 * second, true),
            (Served { pod_monitor: false, ..Served::ALL }, minute, true),
            (Served { http_route: false, ..Served::ALL }, minute, true),
            (Served { cloud_native_pg: false, ..Served::ALL }, minute, true),
            (Served { barman_cloud: false, ..Served::ALL }, minute, true),
            (Served { volume_snapshot: false, ..Served::ALL }, minute, true),
            (Served { session_persistence: false, ..Served::ALL }, 9 * minute, false),
            (Served { session_persistence: false, ..Served::ALL }, 10 * minute, true),
            (Served::ALL, 10 * minute, true),
        ] {
            assert_eq!(served.is_due(since), due, "{served:?} after {since:?}");
        }
    }
}
