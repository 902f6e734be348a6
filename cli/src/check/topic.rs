//! Where the README says more about a check.

/// A row of the README's table "What `lpctl check` checks".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The API server answers.
    KubernetesApi,
    /// Kubernetes is 1.30 or newer.
    KubernetesVersion,
    /// You may install what is needed.
    Permissions,
    /// `metrics.k8s.io` is served.
    ResourceMetrics,
    /// HTTPRoutes are served.
    GatewayApi,
    /// PodMonitors are served.
    Podmonitor,
    /// Who serves external metrics.
    ExternalMetrics,
    /// The definition is installed.
    CrdMissing,
    /// The definition is that of this version.
    CrdOutdated,
    /// The operator is installed.
    Operator,
    /// Operator and `lpctl` are of one version.
    OperatorVersion,
    /// The operator is ready.
    OperatorNotReady,
    /// One operator leads.
    Lease,
    /// The newest spec has been seen.
    NotSeenYet,
    /// The platform is Ready.
    NotReady,
    /// The app's pods are ready.
    AppNotReady,
    /// The app's jobs have not failed.
    JobFailed,
    /// The app's bounds are written.
    AutoscalingNotReady,
    /// The app's signals have values.
    MetricsMissing,
    /// The cache or the database can be used.
    StoreNotReady,
    /// Volumes can be made, and have the size that is asked for.
    StoreVolumes,
    /// The image of a database names its distribution's release.
    ImageSuite,
    /// The store goes on when a server is lost.
    NotHighlyAvailable,
    /// A database's servers take the connections of its apps.
    Connections,
    /// What CDNs do is what is meant.
    Cdn,
    /// No data of former stores are left behind.
    DataLeftBehind,
    /// What becomes of the data when platform or namespace is deleted.
    StoreDeletion,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 27] = [
        Self::KubernetesApi,
        Self::KubernetesVersion,
        Self::Permissions,
        Self::ResourceMetrics,
        Self::GatewayApi,
        Self::Podmonitor,
        Self::ExternalMetrics,
        Self::CrdMissing,
        Self::CrdOutdated,
        Self::Operator,
        Self::OperatorVersion,
        Self::OperatorNotReady,
        Self::Lease,
        Self::NotSeenYet,
        Self::NotReady,
        Self::AppNotReady,
        Self::JobFailed,
        Self::AutoscalingNotReady,
        Self::MetricsMissing,
        Self::StoreNotReady,
        Self::StoreVolumes,
        Self::ImageSuite,
        Self::NotHighlyAvailable,
        Self::Connections,
        Self::Cdn,
        Self::DataLeftBehind,
        Self::StoreDeletion,
    ];

    /// Its anchor in the README.
    pub fn anchor(self) -> &'static str {
        match self {
            Self::KubernetesApi => "kubernetes-api",
            Self::KubernetesVersion => "kubernetes-version",
            Self::Permissions => "permissions",
            Self::ResourceMetrics => "resource-metrics",
            Self::GatewayApi => "gateway-api",
            Self::Podmonitor => "podmonitor",
            Self::ExternalMetrics => "external-metrics",
            Self::CrdMissing => "crd-missing",
            Self::CrdOutdated => "crd-outdated",
            Self::Operator => "operator",
            Self::OperatorVersion => "operator-version",
            Self::OperatorNotReady => "operator-not-ready",
            Self::Lease => "lease",
            Self::NotSeenYet => "not-seen-yet",
            Self::NotReady => "not-ready",
            Self::AppNotReady => "app-not-ready",
            Self::JobFailed => "job-failed",
            Self::AutoscalingNotReady => "autoscaling-not-ready",
            Self::MetricsMissing => "metrics-missing",
            Self::StoreNotReady => "store-not-ready",
            Self::StoreVolumes => "store-volumes",
            Self::ImageSuite => "image-suite",
            Self::NotHighlyAvailable => "not-highly-available",
            Self::Connections => "connections",
            Self::Cdn => "cdn",
            Self::DataLeftBehind => "data-left-behind",
            Self::StoreDeletion => "store-deletion",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;

    #[test]
    fn the_readme_has_a_row_for_every_topic_and_no_other() {
        let readme = include_str!("../../../README.md");
        for topic in Topic::ALL {
            assert!(readme.contains(&format!("<a id=\"{}\"></a>", topic.anchor())), "{topic:?}");
        }
        assert_eq!(readme.matches("<a id=").count(), Topic::ALL.len());
    }
}
