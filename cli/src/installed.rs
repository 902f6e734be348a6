//! The operator as it is installed: its Deployment, its lease, its pods and their read endpoint.

use crate::install::{NAME, NAMESPACE};
use anyhow::{Context, anyhow};
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde_json::Value;
use std::time::Duration;

/// Label by which operators are found.
const LABEL: &str = "app.kubernetes.io/name=learningplatform-operator";

/// The operator's Deployment in a namespace.
///
/// # Errors
/// What the API server says.
pub async fn deployment(client: &Client, namespace: &str) -> kube::Result<Option<Deployment>> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default().labels(LABEL)).await?.items.into_iter().next())
}

/// The version that a Deployment says it is.
pub fn version(deployment: &Deployment) -> Option<String> {
    deployment.labels().get("app.kubernetes.io/version").cloned()
}

/// The Lease by which the operator's replicas elect the one that acts; `None` where they do not.
///
/// # Errors
/// What the API server says.
pub async fn lease(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<Lease>> {
    Api::<Lease>::namespaced(client.clone(), namespace).get_opt(name).await
}

/// The value of a flag in the operator's arguments.
pub fn flag(deployment: &Deployment, flag: &str) -> Option<String> {
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    let prefix = format!("--{flag}=");
    containers.iter().flat_map(|c| c.args.iter().flatten()).find_map(|arg| arg.strip_prefix(&prefix).map(str::to_owned))
}

/// What an operator's HTTP server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Where an operator's read endpoint is.
#[derive(Clone)]
pub enum Endpoint {
    /// At an address.
    Url(String),
    /// At pods, through the API server; the leader first.
    Pods {
        /// The API server.
        client: Client,
        /// Namespace of the pods.
        namespace: String,
        /// Their names.
        pods: Vec<String>,
    },
}

impl Endpoint {
    /// The endpoint: the address if there is one, else the operator's pods in its namespace.
    ///
    /// # Errors
    /// When the pods cannot be read, or there is none that runs.
    pub async fn find(client: &Client, url: Option<&str>, namespace: Option<&str>) -> anyhow::Result<Self> {
        if let Some(url) = url {
            return Ok(Self::Url(url.trim_end_matches('/').to_owned()));
        }
        let namespace = namespace.unwrap_or(NAMESPACE);
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let list = api.list(&ListParams::default().labels(LABEL)).await;
        let list = list.with_context(|| format!("the operator's pods in {namespace} cannot be listed"))?;
        let running = |p: &Pod| p.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running");
        let mut pods: Vec<String> = list.iter().filter(|p| running(p)).map(ResourceExt::name_any).collect();
        if pods.is_empty() {
            return Err(anyhow!("no operator runs in namespace {namespace}: see `lpctl check`"));
        }
        let holder = lease(client, namespace, NAME).await.ok().flatten().and_then(|l| l.spec?.holder_identity);
        // Only the leader decides; the others know nothing of the apps.
        pods.sort_by_key(|pod| !holder.as_deref().is_some_and(|h| h.starts_with(pod.as_str())));
        Ok(Self::Pods { client: client.clone(), namespace: namespace.to_owned(), pods })
    }

    /// Asks for a path, such as `/readyz`. Of several pods the first one that knows answers.
    ///
    /// # Errors
    /// When nothing answers.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        match self {
            Self::Url(url) => {
                let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
                let response = client.get(format!("{url}{path}")).send().await;
                let response = response.with_context(|| format!("the operator at {url} does not answer"))?;
                Ok(Answer { status: response.status().as_u16(), body: response.text().await.unwrap_or_default() })
            }
            Self::Pods { client, namespace, pods } => {
                let mut last = Err(anyhow!("no pod of the operator runs in {namespace}"));
                for pod in pods {
                    let url = format!("/api/v1/namespaces/{namespace}/pods/{pod}:8080/proxy{path}");
                    last = ask(client, &url).await.with_context(|| {
                        format!("pod {pod} of the operator cannot be asked (that needs `get` on pods/proxy)")
                    });
                    if last.as_ref().is_ok_and(|answer| answer.status != 404) {
                        break;
                    }
                }
                last
            }
        }
    }

    /// The live explanation of an app; `None` where the operator knows no such app.
    ///
    /// # Errors
    /// When nothing answers, or not as expected.
    pub async fn explain(&self, namespace: &str, platform: &str, app: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.get(&format!("/v1/explain/{namespace}/{platform}/{app}")).await?;
        match answer.status {
            200 => Ok(Some(serde_json::from_str(&answer.body).context("the operator's answer is no JSON")?)),
            404 => Ok(None),
            status => Err(anyhow!("the operator answered {status}: {}", answer.body.trim())),
        }
    }
}

async fn ask(client: &Client, url: &str) -> anyhow::Result<Answer> {
    let request = http::Request::get(url).body(Vec::new())?;
    match client.request_text(request).await {
        Ok(body) => Ok(Answer { status: 200, body }),
        // The proxied server's own refusals arrive as errors of the API.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code >= 500 => {
            Ok(Answer { status: status.code, body: status.message.clone() })
        }
        Err(error) => Err(error.into()),
    }
}
