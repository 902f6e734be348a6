//! A platform on an API server in memory, and the operator that passes over it.

use crate::api::Api;
use crds::LearningPlatform;
use kube::{core::DeserializeGuard, runtime::controller::Action};
use learningplatform_operator::{
    apply::{Mode, Writer},
    capabilities::{Capabilities, Served},
    context::{AWS_RATE, Context, Settings},
    evaluate,
    events::Events,
    metrics::Metrics,
    reconcile, shallow,
    stores::{StoreWriters, Stores},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub const PLATFORM: &str = "/apis/learningplatform.dev/v1alpha1/namespaces/learning/learningplatforms/story";
pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/learning/deployments/story-web";
pub const SERVICE: &str = "/api/v1/namespaces/learning/services/story-web";
pub const HPA: &str = "/apis/autoscaling/v2/namespaces/learning/horizontalpodautoscalers/story-web";
pub const SECRET: &str = "/api/v1/namespaces/learning/secrets/db";
pub const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/learning/httproutes/story-web";
pub const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/edge/gateways/public";

/// A platform with most of what an app can have.
pub fn spec() -> Value {
    json!({
        "prometheus": { "url": "http://prometheus.monitoring:9090" },
        "apps": [
            {
                "name": "web", "image": "registry.example/web:1", "port": 3000,
                "resources": { "requests": { "cpu": "250m", "memory": "512Mi" }, "limits": { "memory": "512Mi" } },
                "health": { "path": "/api/health" },
                "env": [
                    { "name": "URL", "valueFrom": { "secretKeyRef": { "name": "db", "key": "url" } } },
                    { "name": "EMPTY", "value": "" },
                ],
                "scratch": [{ "name": "tmp", "mountPath": "/tmp" }],
                "metrics": {},
                "exposure": {
                    "gateway": { "parentRefs": [{ "name": "public", "namespace": "edge" }], "hosts": ["story.example"] },
                    "ingress": { "hosts": ["story.example"] },
                },
                "autoscaling": {
                    "minReplicas": 3, "maxReplicas": 20, "cpu": { "utilization": 70 },
                    "requestRate": { "perPod": "100" },
                },
            },
            { "name": "worker", "image": "registry.example/worker:1", "replicas": 2 },
        ],
    })
}

/// When the next pass is due.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Only when the resource changes.
    OnChange,
    /// Within seconds: something is waited for.
    Soon,
    /// After the resync, or a backoff.
    Later,
}

pub struct World {
    pub api: Api,
}

impl World {
    pub fn new(spec: Value) -> Self {
        let api = Api::default();
        api.put(
            SECRET,
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db", "namespace": "learning" } }),
        );
        api.put(GATEWAY, json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": { "name": "public", "namespace": "edge" } }));
        let world = Self { api };
        world.ask(spec, json!({}));
        world
    }

    pub fn ask(&self, spec: Value, annotations: Value) {
        self.api.put(
            PLATFORM,
            json!({
                "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
                "metadata": { "name": "story", "namespace": "learning", "uid": "uid-1", "annotations": annotations },
                "spec": spec,
            }),
        );
    }

    /// A new process: nothing remembered.
    pub async fn operator(&self) -> Arc<Context> {
        self.operator_and_stores().await.0
    }

    /// The same, with the writing ends of what its watches have seen.
    pub async fn operator_and_stores(&self) -> (Arc<Context>, StoreWriters) {
        let client = shallow::client(self.api.client("learning"));
        let (stores, writers) = Stores::new();
        let capabilities = Capabilities::new(Served::default());
        capabilities.discover(&client).await;
        let context = Context {
            settings: Arc::new(Settings::default()),
            writer: Writer::new(client.clone(), Mode::Write),
            events: Events::new(client.clone(), None),
            metrics: Arc::new(Metrics::default()),
            stores,
            capabilities,
            scaling: Arc::default(),
            registry: evaluate::Registry::default(),
            caches: Arc::default(),
            databases: Arc::default(),
            rds: Arc::default(),
            rds_servers: Arc::default(),
            elasticache: Arc::default(),
            elasticache_servers: Arc::default(),
            cloudfront: Arc::default(),
            aws: Arc::new(aws_edge::Accounts::new(
                Arc::new(aws_edge::Limits::new(AWS_RATE)),
                aws_edge::Windows::default(),
                None,
            )),
            backoff: Arc::default(),
            client,
        };
        (Arc::new(context), writers)
    }

    /// One pass, and what is to come of it.
    pub async fn action(&self, operator: &Arc<Context>) -> String {
        let guard = serde_json::from_value(self.api.get(PLATFORM).unwrap()).unwrap();
        format!("{:?}", reconcile::reconcile(Arc::new(guard), operator.clone()).await.unwrap())
    }

    /// One pass, and when the next one is due.
    pub async fn pass(&self, operator: &Arc<Context>) -> Next {
        let Some(platform) = self.api.get(PLATFORM) else { return Next::OnChange };
        self.pass_over(operator, platform).await
    }

    /// One pass over a platform as its watch has seen it, which may be a while ago.
    pub async fn pass_over(&self, operator: &Arc<Context>, platform: Value) -> Next {
        let guard: DeserializeGuard<LearningPlatform> = serde_json::from_value(platform).unwrap();
        match reconcile::reconcile(Arc::new(guard), operator.clone()).await {
            Ok(action) if action == Action::await_change() => Next::OnChange,
            Ok(action) if action == Action::requeue(operator.settings.waiting_requeue) => Next::Soon,
            Ok(_) => Next::Later,
            Err(_) => Next::Soon,
        }
    }

    /// Passes and the cluster's own controllers, until a pass changes nothing.
    pub async fn settle(&self, operator: &Arc<Context>) {
        for _ in 0..12 {
            self.pass(operator).await;
            self.api.run_deployments();
            let before = self.api.dump();
            self.pass(operator).await;
            if self.api.dump() == before {
                return;
            }
        }
        panic!("did not settle: {}", self.condition("Ready"));
    }

    /// Whether all apps are ready. Without an evaluation beside the passes, scaling itself waits for a decision.
    pub fn is_ready(&self) -> bool {
        self.condition("AppReady")["status"] == "True"
    }

    pub fn condition(&self, type_: &str) -> Value {
        let platform = self.api.get(PLATFORM).unwrap();
        find(&platform["status"]["conditions"], type_)
    }

    pub fn app_condition(&self, app: &str, type_: &str) -> Value {
        let platform = self.api.get(PLATFORM).unwrap();
        let apps = platform["status"]["apps"].as_array().cloned().unwrap_or_default();
        apps.iter().find(|a| a["name"] == app).map_or(Value::Null, |a| find(&a["conditions"], type_))
    }
}

pub fn find(conditions: &Value, type_: &str) -> Value {
    let all = conditions.as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["type"] == type_).unwrap_or(Value::Null)
}
