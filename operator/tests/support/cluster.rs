//! A cluster in memory, with an HPA that only honours its bounds, and the evaluation running on it.

use super::until;
use crds::LearningPlatform;
use decide::{Decision, Time, Tunables};
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use learningplatform_operator::{
    context::Settings,
    error::Error,
    evaluate::{Cluster, Deps, EvaluationMetrics, Registry, ScalingStore, ScalingView, Sources, World},
    keeper::{StoreKey, cache, database::Figures},
    metrics::Metrics,
    naming::{AppKey, Owner, PlatformKey},
    prometheus::{PromApi, Source, SourceKey, query::Begun},
    secrets::{SecretContents, Secrets},
    validate::validate,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub const NAMESPACE: &str = "lab";
pub const PLATFORM: &str = "story";

/// Deployments and HPAs by name.
#[derive(Default)]
pub struct Memory {
    deployments: Mutex<HashMap<String, Arc<Deployment>>>,
    hpas: Mutex<HashMap<String, Arc<HorizontalPodAutoscaler>>>,
    /// Every write: name, minReplicas, maxReplicas.
    pub writes: Mutex<Vec<(String, i32, i32)>>,
    /// Writes fail while this is set.
    pub broken: Mutex<bool>,
    /// Writes hang while this is set.
    pub hangs: Mutex<bool>,
    /// Pods that have just begun.
    pub begun: Mutex<BTreeMap<AppKey, Vec<Begun>>>,
    /// What keepers of databases have seen, by the names of the servers.
    pub databases: Mutex<BTreeMap<String, Arc<Figures>>>,
    version: Mutex<u64>,
}

impl Memory {
    /// Sets the count of a Deployment; all its pods are ready.
    pub fn run(&self, name: &str, replicas: i32) {
        let deployment = json!({
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas},
        });
        let deployment = Arc::new(serde_json::from_value(deployment).unwrap());
        self.deployments.lock().unwrap().insert(name.to_owned(), deployment);
    }

    /// Deletes a Deployment.
    pub fn delete(&self, name: &str) {
        self.deployments.lock().unwrap().remove(name);
    }

    pub fn replicas(&self, name: &str) -> i32 {
        self.deployments.lock().unwrap().get(name).and_then(|d| d.spec.as_ref()?.replicas).unwrap_or(0)
    }

    pub fn bounds(&self, name: &str) -> Option<(i32, i32)> {
        let hpas = self.hpas.lock().unwrap();
        let spec = hpas.get(name)?.spec.as_ref()?;
        Some((spec.min_replicas?, spec.max_replicas))
    }
}

impl Cluster for Memory {
    fn deployment(&self, _: &Owner, key: &AppKey) -> Option<Arc<Deployment>> {
        self.deployments.lock().unwrap().get(&key.object_name()).cloned()
    }

    fn database(&self, key: &StoreKey) -> Option<Arc<Figures>> {
        self.databases.lock().unwrap().get(&key.object_name).cloned()
    }

    fn cache(&self, _: &StoreKey) -> Option<Arc<cache::Figures>> {
        None
    }

    fn hpa(&self, key: &AppKey) -> Option<Arc<HorizontalPodAutoscaler>> {
        self.hpas.lock().unwrap().get(&key.object_name()).cloned()
    }

    fn begun(&self, since: Time) -> BTreeMap<AppKey, Vec<Begun>> {
        let mut begun = self.begun.lock().unwrap().clone();
        begun.values_mut().for_each(|pods| pods.retain(|pod| pod.at > since));
        begun
    }

    fn apply<'a>(
        &'a self,
        _: &'a Owner,
        hpa: &'a HorizontalPodAutoscaler,
        live: Option<&'a HorizontalPodAutoscaler>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let hangs = *self.hangs.lock().unwrap();
            if hangs {
                std::future::pending::<()>().await;
            }
            if *self.broken.lock().unwrap() {
                return Err(Error::Deadline(Duration::ZERO));
            }
            if live.is_some_and(|live| live.spec == hpa.spec) {
                return Ok(false);
            }
            let name = hpa.metadata.name.clone().unwrap();
            let spec = hpa.spec.as_ref().unwrap();
            let (min, max) = (spec.min_replicas.unwrap(), spec.max_replicas);
            self.writes.lock().unwrap().push((name.clone(), min, max));
            let mut stored = hpa.clone();
            let mut version = self.version.lock().unwrap();
            *version += 1;
            stored.metadata.resource_version = Some(version.to_string());
            self.hpas.lock().unwrap().insert(name.clone(), Arc::new(stored));
            let replicas = self.replicas(&name);
            if replicas > 0 {
                self.run(&name, replicas.clamp(min, max));
            }
            Ok(true)
        }
        .boxed()
    }

    fn raise<'a>(&'a self, _: &'a Owner, name: &'a str, floor: u32) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            if self.replicas(name) > 0 {
                self.run(name, self.replicas(name).max(i32::try_from(floor).unwrap()));
            }
            Ok(())
        }
        .boxed()
    }

    fn scale<'a>(&'a self, _: &'a Owner, name: &'a str, replicas: u32) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.run(name, i32::try_from(replicas).unwrap());
            Ok(())
        }
        .boxed()
    }
}

/// Secrets in memory, by name.
#[derive(Default)]
pub struct Vault(Mutex<BTreeMap<String, SecretContents>>);

impl Vault {
    pub fn put(&self, name: &str, contents: &[(&str, &[u8])]) {
        let contents = contents.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        self.0.lock().unwrap().insert(name.to_owned(), contents);
    }
}

impl Secrets for Vault {
    fn read<'a>(&'a self, _: &'a str, name: &'a str) -> BoxFuture<'a, Result<Option<SecretContents>, String>> {
        async move { Ok(self.0.lock().unwrap().get(name).cloned()) }.boxed()
    }
}

/// The evaluation, running on a cluster in memory.
pub struct Lab {
    pub cluster: Arc<Memory>,
    pub vault: Arc<Vault>,
    pub scaling: Arc<ScalingStore>,
    pub metrics: Metrics,
    registry: Registry,
    settings: Settings,
    wakes: Mutex<mpsc::Receiver<PlatformKey>>,
    stop: CancellationToken,
    pub tasks: TaskTracker,
    pub lost: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The key of [`accounts`].
pub const SIGNING_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// AWS, which nobody asks but those who sign.
pub fn accounts() -> Arc<aws_edge::Accounts> {
    let rate = aws::Rate { per_second: 1.0, burst: 1.0 };
    let nobody = aws_credential_types::Credentials::new("AKIDEXAMPLE", SIGNING_KEY, None, None, "tests");
    let nobody = aws_credential_types::provider::SharedCredentialsProvider::new(nobody);
    let limits = Arc::new(aws_edge::Limits::new(rate));
    Arc::new(aws_edge::Accounts::new(limits, aws_edge::Windows::default(), Some(nobody)))
}

/// Times of the core, shortened.
pub fn tunables() -> Tunables {
    Tunables {
        evaluation_interval: decide::Duration::from_millis(500),
        failure_span: decide::Duration::from_secs(3),
        collapse_hold: decide::Duration::ZERO,
        ..Tunables::default()
    }
}

impl Lab {
    /// With real servers and the real clock.
    pub fn start() -> Self {
        Self::ticking(Duration::from_millis(500))
    }

    /// The same with this interval between two ticks.
    pub fn ticking(interval: Duration) -> Self {
        let vault = Arc::new(Vault::default());
        let secrets: Arc<dyn Secrets> = vault.clone();
        let tunables = Tunables { evaluation_interval: interval.into(), ..tunables() };
        let settings = Settings { evaluation_interval: interval, tunables, ..Settings::default() };
        let patience = settings.evaluation_interval.mul_f64(0.8);
        let open = move |key: &SourceKey| -> Arc<dyn PromApi> {
            Arc::new(Source::new(key.clone(), secrets.clone(), accounts(), patience))
        };
        Self::with(settings, vault, Arc::default(), Arc::new(open), Arc::new(|| Time::from(jiff::Timestamp::now())))
    }

    /// With these servers, this clock and this cluster.
    pub fn with(
        settings: Settings,
        vault: Arc<Vault>,
        cluster: Arc<Memory>,
        sources: Sources,
        clock: Arc<dyn Fn() -> Time + Send + Sync>,
    ) -> Self {
        let scaling = Arc::<ScalingStore>::default();
        let (wake, wakes) = mpsc::channel(10_000);
        let metrics = Metrics::default();
        let deps = Deps {
            cluster: cluster.clone(),
            sources,
            clock,
            interval: settings.evaluation_interval,
            glance: settings.glance_interval,
            scaling: scaling.clone(),
            metrics: EvaluationMetrics::registered(&metrics),
            wake,
            writes: Semaphore::new(4),
            tasks: TaskTracker::new(),
            lost: CancellationToken::new(),
        };
        let registry = Registry::default();
        let (tasks, lost) = (deps.tasks.clone(), deps.lost.clone());
        let stop = CancellationToken::new();
        registry.start(Arc::new(deps), stop.clone());
        Self { cluster, vault, scaling, metrics, registry, settings, wakes: Mutex::new(wakes), stop, tasks, lost }
    }

    /// Stops the evaluation; the cluster stays.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Applies a platform, as a pass would.
    pub fn apply(&self, prometheus: Value, apps: &[(&str, Value)]) {
        let apps: Vec<Value> = apps
            .iter()
            .map(|(name, autoscaling)| json!({"name": name, "image": "x", "autoscaling": autoscaling}))
            .collect();
        self.platform(json!({"prometheus": prometheus, "apps": apps}));
    }

    /// The same with all of the spec.
    pub fn platform(&self, spec: Value) {
        self.known(spec, json!({}));
    }

    /// The same of a resource that carries a status.
    pub fn known(&self, spec: Value, status: Value) {
        let platform: LearningPlatform = serde_json::from_value(json!({
            "metadata": {"name": PLATFORM, "namespace": NAMESPACE, "uid": "u"}, "spec": spec, "status": status,
        }))
        .unwrap();
        let valid = validate(&platform, &self.settings).unwrap();
        self.registry.sync(&valid);
        self.registry.learn(&valid.key, World::default());
    }

    /// A pass finds that somebody else scales an app, or that nobody does any more.
    pub fn conflict(&self, app: Option<&str>) {
        let conflicts = app.map(|app| (app.to_owned(), "somebody else".to_owned())).into_iter().collect();
        let key = PlatformKey { namespace: NAMESPACE.into(), name: PLATFORM.into() };
        self.registry.learn(&key, World { conflicts, ..World::default() });
    }

    pub fn view(&self, app: &str) -> Option<ScalingView> {
        self.scaling.get(&AppKey { namespace: NAMESPACE.into(), platform: PLATFORM.into(), app: app.into() })
    }

    /// The reason of MetricsAvailable now.
    pub fn reason(&self, app: &str) -> String {
        self.view(app)
            .and_then(|view| view.live.metrics.as_ref().map(|m| m.reason.as_str().to_owned()))
            .unwrap_or_default()
    }

    /// Waits for that reason and returns the decision that has it.
    pub async fn settles(&self, app: &str, reason: &str) -> Arc<Decision> {
        let found = || async { self.view(app).filter(|_| self.reason(app) == reason).map(|view| view.live) };
        let waited = tokio::time::timeout(Duration::from_secs(60), until(reason, Duration::from_secs(90), found)).await;
        waited
            .unwrap_or_else(|_| panic!("{app} never became {reason}, it is {:?}", self.view(app).map(|view| view.live)))
    }

    /// Waits until the floor is `floor`.
    pub async fn floor(&self, app: &str, floor: u32) {
        let found = || async { self.view(app).filter(|view| view.live.write.floor == floor) };
        let waited =
            tokio::time::timeout(Duration::from_secs(60), until("the floor", Duration::from_secs(90), found)).await;
        assert!(waited.is_ok(), "the floor of {app} never became {floor}: {:?}", self.view(app).map(|view| view.live));
    }

    /// Sees to it for `time` that the floor never is below `floor`.
    pub async fn never_below(&self, app: &str, floor: u32, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end {
            let view = self.view(app).unwrap();
            assert!(view.live.write.floor >= floor, "fell below {floor}: {:?}", view.live);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How often a pass was woken so far.
    pub fn wakes(&self) -> usize {
        let mut wakes = self.wakes.lock().unwrap();
        std::iter::from_fn(|| wakes.try_recv().ok()).count()
    }
}

/// Autoscaling that could lower at once, were it allowed to.
pub fn quick(max: i32, signals: Value) -> Value {
    let mut autoscaling = json!({
        "minReplicas": 1, "maxReplicas": max,
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 1000, "periodSeconds": 1}]},
            "scaleDown": {"stabilizationWindowSeconds": 2, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}]},
        },
    });
    for (name, value) in signals.as_object().unwrap() {
        autoscaling[name] = value.clone();
    }
    autoscaling
}
