//! Whether a cluster is fit for the operator: `lpctl check --pre`.

use super::{Category, Check, Topic, Verdict, unknown};
use crate::{cluster::Cluster, installed};
use k8s_openapi::{
    api::{
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::Namespace,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client, api::PostParams};

/// Oldest Kubernetes that the operator is for: the first whose preStop `sleep` is on by default.
pub const MINIMUM: (u32, u32) = (1, 30);

/// The API server and its version.
pub fn kubernetes(cluster: &Cluster) -> Category {
    let (client, url) = (cluster.client.clone(), cluster.url.clone());
    let reach = Check::new("the Kubernetes API can be asked", Topic::KubernetesApi, move || {
        let (client, url) = (client.clone(), url.clone());
        async move {
            match client.apiserver_version().await {
                Ok(_) => Verdict::Good(url),
                Err(kube::Error::Api(status)) => Verdict::bad(
                    format!("{url} refuses: {}", status.message),
                    "kubectl auth whoami   # log in again, or choose another --context",
                ),
                Err(error) => Verdict::bad(
                    format!("{url} does not answer: {}", crate::say(&error)),
                    "kubectl config view --minify   # is this the right cluster?",
                ),
            }
        }
    });
    let client = cluster.client.clone();
    let version = Check::new("Kubernetes is new enough", Topic::KubernetesVersion, move || {
        let client = client.clone();
        async move {
            match client.apiserver_version().await {
                Ok(info) => version(&info.major, &info.minor, &info.git_version),
                Err(error) => unknown(&error),
            }
        }
    });
    Category { name: "kubernetes-api".into(), checks: vec![reach.fatal().retry(), version.fatal()], essential: true }
}

fn version(major: &str, minor: &str, shown: &str) -> Verdict {
    // Providers write minors such as `30+`.
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let (least_major, least_minor) = MINIMUM;
    match (number(major), number(minor)) {
        (Some(major), Some(minor)) if (major, minor) >= MINIMUM => {
            Verdict::Good(format!("{} >= {least_major}.{least_minor}", shown.trim_start_matches('v')))
        }
        (Some(_), Some(_)) => Verdict::bad(
            format!("the cluster runs {shown}; the operator needs {least_major}.{least_minor} or newer"),
            "kubectl version   # upgrade the cluster",
        ),
        _ => Verdict::Unknown(format!("the version {shown:?} cannot be read")),
    }
}

/// What the installing account may do.
pub fn permissions(cluster: &Cluster, namespace: &str) -> Category {
    let mut checks = vec![namespace_check(cluster, namespace)];
    let wanted: [(&str, &str, Option<&str>); 6] = [
        ("apiextensions.k8s.io", "customresourcedefinitions", None),
        ("rbac.authorization.k8s.io", "clusterroles", None),
        ("rbac.authorization.k8s.io", "clusterrolebindings", None),
        ("apps", "deployments", Some(namespace)),
        ("", "serviceaccounts", Some(namespace)),
        ("", "services", Some(namespace)),
    ];
    for (group, resource, within) in wanted {
        let client = cluster.client.clone();
        let within = within.map(str::to_owned);
        let place = within.as_ref().map(|n| format!(" in namespace {n}")).unwrap_or_default();
        checks.push(Check::new(format!("you may create {resource}{place}"), Topic::Permissions, move || {
            let (client, within) = (client.clone(), within.clone());
            async move { may(&client, "create", group, resource, within.as_deref()).await }
        }));
    }
    Category { name: "permissions".into(), checks, essential: false }
}

fn namespace_check(cluster: &Cluster, namespace: &str) -> Check {
    let (client, name) = (cluster.client.clone(), namespace.to_owned());
    Check::new(format!("namespace {namespace} is there or can be made"), Topic::Permissions, move || {
        let (client, name) = (client.clone(), name.clone());
        async move {
            match Api::<Namespace>::all(client.clone()).get_opt(&name).await {
                Ok(Some(found)) if found.metadata.deletion_timestamp.is_some() => Verdict::bad(
                    format!("namespace {name} is being deleted"),
                    format!("kubectl wait --for=delete namespace/{name} --timeout=5m"),
                ),
                Ok(Some(_)) => Verdict::Good("it is there".into()),
                Ok(None) | Err(_) => may(&client, "create", "", "namespaces", None).await,
            }
        }
    })
}

async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> Verdict {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                namespace: namespace.map(Into::into),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    match Api::<SelfSubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await {
        Ok(answer) if answer.status.as_ref().is_some_and(|s| s.allowed) => Verdict::Good(String::new()),
        Ok(_) => {
            let full = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
            let place = namespace.map(|n| format!(" -n {n}")).unwrap_or_default();
            Verdict::bad(
                format!("your account may not {verb} {full}, so the installation would stop half-way"),
                format!("kubectl auth can-i {verb} {full}{place}   # install as a cluster administrator"),
            )
        }
        Err(error) => unknown(&error),
    }
}

/// APIs that the operator uses where they are.
pub fn optional_apis(cluster: &Cluster) -> Category {
    let client = cluster.client.clone();
    let metrics = Check::new(
        "cpu and memory of pods are measured (metrics.k8s.io)",
        Topic::ResourceMetrics,
        move || {
            let client = client.clone();
            async move {
                match served(&client, "metrics.k8s.io/v1beta1", "pods").await {
                    Ok(true) => Verdict::Good(String::new()),
                    Ok(false) => Verdict::bad(
                        "nobody serves metrics.k8s.io: autoscaling.cpu and .memory have no effect, request rate and latency do",
                        "kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml",
                    ),
                    Err(error) => unknown(&error),
                }
            }
        },
    );
    let presence = |description: &str, topic, version: &'static str, kind: &'static str, without: &'static str| {
        let client = cluster.client.clone();
        Check::new(description, topic, move || {
            let client = client.clone();
            async move {
                match served(&client, version, kind).await {
                    Ok(true) => Verdict::Good(version.into()),
                    Ok(false) => Verdict::Note(without.into()),
                    Err(error) => unknown(&error),
                }
            }
        })
        .warning()
    };
    let gateway = presence(
        "the Gateway API is there",
        Topic::GatewayApi,
        "gateway.networking.k8s.io/v1",
        "httproutes",
        "it is not: apps can be reached through an Ingress; a Gateway implementation brings exposure.gateway",
    );
    let monitor = presence(
        "PodMonitor is there",
        Topic::Podmonitor,
        "monitoring.coreos.com/v1",
        "podmonitors",
        "it is not: the pods carry the annotations prometheus.io/scrape, path and port instead",
    );
    let client = cluster.client.clone();
    let external = Check::new("external.metrics.k8s.io is left alone", Topic::ExternalMetrics, move || {
        let client = client.clone();
        async move { external_metrics(&client).await }
    });
    let checks = vec![metrics.warning(), gateway, monitor, external.warning()];
    Category { name: "optional-apis".into(), checks, essential: false }
}

/// The operator registers no metrics API; whoever does is named, because namespaces hang in deletion while it is down.
async fn external_metrics(client: &Client) -> Verdict {
    let name = "v1beta1.external.metrics.k8s.io";
    let service = match Api::<APIService>::all(client.clone()).get_opt(name).await {
        Ok(Some(service)) => service,
        Ok(None) => return Verdict::Note("nobody serves it, and nothing here needs it".into()),
        Err(error) => return unknown(&error),
    };
    let backend = service.spec.as_ref().and_then(|s| s.service.as_ref());
    let part = |of: Option<&String>| of.cloned().unwrap_or_default();
    let (namespace, owner) =
        backend.map_or_else(Default::default, |b| (part(b.namespace.as_ref()), part(b.name.as_ref())));
    let conditions = service.status.and_then(|s| s.conditions).unwrap_or_default();
    match conditions.iter().find(|c| c.type_ == "Available") {
        Some(c) if c.status != "True" => Verdict::bad(
            format!(
                "its server {namespace}/{owner} is down ({}): no namespace can be deleted meanwhile",
                part(c.message.as_ref())
            ),
            format!("kubectl -n {namespace} get endpointslices,pods   # mend it, or kubectl delete apiservice {name}"),
        ),
        _ => Verdict::Note(format!("served by {namespace}/{owner}")),
    }
}

/// What is there of an earlier installation.
pub fn earlier(cluster: &Cluster, namespace: &str) -> Category {
    let (client, namespace) = (cluster.client.clone(), namespace.to_owned());
    let check = Check::new("no other operator is in the way", Topic::Operator, move || {
        let (client, namespace) = (client.clone(), namespace.clone());
        async move {
            match installed::deployment(&client, &namespace).await {
                Ok(Some(found)) => {
                    let version = installed::version(&found).unwrap_or_else(|| "of unknown version".into());
                    Verdict::Note(format!("operator {version} is installed; `lpctl install` upgrades it"))
                }
                Ok(None) => Verdict::Good(String::new()),
                Err(error) => unknown(&error),
            }
        }
    });
    Category { name: "installation".into(), checks: vec![check.warning()], essential: false }
}

/// Whether a resource is served; a group that nobody serves is a `false`.
async fn served(client: &Client, version: &str, resource: &str) -> kube::Result<bool> {
    match client.list_api_group_resources(version).await {
        Ok(list) => Ok(list.resources.iter().any(|r| r.name == resource)),
        // An aggregated API whose server is down answers 503.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 503) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("1", "36", "v1.36.3"), Verdict::Good("1.36.3 >= 1.30".into()));
        assert_eq!(version("1", "30+", "v1.30.2-eks"), Verdict::Good("1.30.2-eks >= 1.30".into()));
        assert!(matches!(version("1", "29", "v1.29.0"), Verdict::Bad(_)));
        assert!(matches!(version("", "", "?"), Verdict::Unknown(_)));
    }
}
