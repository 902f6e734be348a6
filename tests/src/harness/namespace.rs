//! A namespace per test, and the common looks into it.

use crds::LearningPlatform;
use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

/// How long a namespace may take to go: pods end first, and servers write out what they have.
const GONE: Duration = Duration::from_secs(240);

/// A namespace that belongs to one test and goes when the test has passed. After a failure it stays, to look into.
pub struct TestNamespace {
    /// A client with all rights.
    pub client: Client,
    /// The namespace's name.
    pub name: String,
    /// Scratch directory of the test.
    pub dir: tempfile::TempDir,
    pub(crate) admin: Kubeconfig,
}

impl TestNamespace {
    /// Creates the namespace `t-<test>-<random>` on the cluster that `KUBECONFIG` names.
    ///
    /// # Panics
    /// When there is no cluster: a test of the cluster without one has failed, it is not skipped.
    pub async fn create(test: &str) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let path = std::env::var("KUBECONFIG").expect("KUBECONFIG names the test cluster: run `make test`");
        let admin = Kubeconfig::read_from(PathBuf::from(&path)).expect("a readable KUBECONFIG");
        let config = Config::from_custom_kubeconfig(admin.clone(), &KubeConfigOptions::default())
            .await
            .expect("a usable KUBECONFIG");
        let client = Client::try_from(config).expect("a client");
        let suffix = format!("{:08x}", rand_suffix());
        let name = format!("t-{test}-{suffix}");
        make(&client, &name).await;
        Self { client, name, dir: tempfile::tempdir().expect("a directory"), admin }
    }

    /// Removes the namespace with all in it, waits until it is gone, and makes an empty one of the same name.
    ///
    /// # Panics
    /// When it does not go.
    pub async fn renew(&self) {
        let _discovery = super::DISCOVERY.read().await;
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.delete(&self.name, &DeleteParams::background()).await.expect("a deletion");
        let look = || async {
            let found = namespaces.get_opt(&self.name).await.expect("an answer");
            found.and_then(|namespace| namespace.status).map(|status| status.conditions)
        };
        super::eventually("the namespace is gone", GONE, look, Option::is_none).await;
        make(&self.client, &self.name).await;
    }

    /// Access to one kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Applies a platform as a GitOps tool does, by server-side apply under the manager `test`.
    pub async fn apply(&self, name: &str, spec: Value) -> LearningPlatform {
        self.try_apply(name, spec).await.expect("the platform is accepted")
    }

    /// As [`Self::apply`], with the server's refusal as the error.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn try_apply(&self, name: &str, spec: Value) -> kube::Result<LearningPlatform> {
        let platform = json!({
            "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
            "metadata": {"name": name}, "spec": spec,
        });
        self.api::<LearningPlatform>().patch(name, &PatchParams::apply("test").force(), &Patch::Apply(&platform)).await
    }

    /// The platform as it is now.
    pub async fn platform(&self, name: &str) -> LearningPlatform {
        self.api::<LearningPlatform>().get(name).await.expect("the platform exists")
    }

    /// Status, reason and message of a platform's condition, if it is there.
    pub async fn condition(&self, name: &str, type_: &str) -> Option<(String, String, String)> {
        let status = self.platform(name).await.status?;
        let condition = status.conditions.into_iter().find(|c| c.type_ == type_)?;
        Some((condition.status, condition.reason, condition.message))
    }

    /// Status, reason and message of an app's condition, if it is there.
    pub async fn app_condition(&self, name: &str, app: &str, type_: &str) -> Option<(String, String, String)> {
        let status = self.platform(name).await.status?;
        let app = status.apps.into_iter().find(|a| a.name == app)?;
        let condition = app.conditions.into_iter().find(|c| c.type_ == type_)?;
        Some((condition.status, condition.reason, condition.message))
    }

    /// The HPA's bounds, `(minReplicas, maxReplicas)`, if the HPA is there.
    pub async fn bounds(&self, hpa: &str) -> Option<(i32, i32)> {
        let hpa = self.api::<HorizontalPodAutoscaler>().get_opt(hpa).await.expect("a readable HPA")?;
        let spec = hpa.spec?;
        Some((spec.min_replicas.unwrap_or(1), spec.max_replicas))
    }

    /// The Deployment's `(spec.replicas, status.readyReplicas)`, if it is there.
    pub async fn replicas(&self, deployment: &str) -> Option<(i32, i32)> {
        let deployment = self.api::<Deployment>().get_opt(deployment).await.expect("a readable Deployment")?;
        let ready = deployment.status.and_then(|s| s.ready_replicas).unwrap_or(0);
        Some((deployment.spec?.replicas.unwrap_or(1), ready))
    }

    /// Pods of an app that are not going away.
    pub async fn pods(&self, app: &str) -> Vec<Pod> {
        let selector = ListParams::default().labels(&format!("app.kubernetes.io/component={app}"));
        let pods = self.api::<Pod>().list(&selector).await.expect("readable pods");
        pods.items.into_iter().filter(|p| p.metadata.deletion_timestamp.is_none()).collect()
    }

    /// Asks for the removal of the namespace without waiting for it.
    pub async fn delete(self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let _ = namespaces.delete(&self.name, &DeleteParams::background()).await;
    }
}

async fn make(client: &Client, name: &str) {
    let namespace: Namespace = serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {
            "learningplatform.dev/test": "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        }},
    }))
    .expect("a namespace");
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .expect("the cluster accepts a namespace");
}

/// A number that differs between runs and tests; names need no more randomness than that.
fn rand_suffix() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    (RandomState::new().build_hasher().finish() & 0xffff_ffff) as u32
}
