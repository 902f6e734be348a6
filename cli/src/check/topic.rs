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
    /// The app's bounds are written.
    AutoscalingNotReady,
    /// The app's signals have values.
    MetricsMissing,
    /// The cache or the database can be used.
    StoreNotReady,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 19] = [
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
        Self::AutoscalingNotReady,
        Self::MetricsMissing,
        Self::StoreNotReady,
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
            Self::AutoscalingNotReady => "autoscaling-not-ready",
            Self::MetricsMissing => "metrics-missing",
            Self::StoreNotReady => "store-not-ready",
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
