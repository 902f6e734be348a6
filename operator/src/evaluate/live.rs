//! The evaluation on a real cluster.

use super::{Cluster, Deps, EvaluationMetrics, world};
use crate::{
    apply::{Change, Live},
    context::Context,
    error::Error,
    keeper::{StoreKey, cache, database::Figures},
    kinds::{Belongs, Kind, belongs},
    naming::{AppKey, FieldManager, Owner, PlatformKey},
    prometheus::{PromApi, Source, SourceKey, query::Begun},
    secrets::{KubeSecrets, Secrets},
};
use decide::Time;
use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::runtime::reflector::ObjectRef;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Writes at the same time (P).
const WRITES: usize = 16;
/// How long decisions may take to be carried out after a stop (P).
const FINISH: Duration = Duration::from_secs(3);

/// Evaluates everything that is registered until `stop`; the stores must have been filled. `wake` gets every platform of
/// which status has something new to tell.
pub async fn run(ctx: Arc<Context>, wake: mpsc::Sender<PlatformKey>, stop: CancellationToken) {
    let interval = ctx.settings.evaluation_interval;
    let secrets: Arc<dyn Secrets> = Arc::new(KubeSecrets(ctx.client.clone()));
    // An answer that comes after the next tick is due helps nobody.
    let patience = interval.mul_f64(0.8);
    let aws = ctx.aws.clone();
    let open = move |key: &SourceKey| -> Arc<dyn PromApi> {
        Arc::new(Source::new(key.clone(), secrets.clone(), aws.clone(), patience))
    };
    let deps = Deps {
        sources: Arc::new(open),
        clock: Arc::new(|| Time::from(jiff::Timestamp::now())),
        interval,
        glance: ctx.settings.glance_interval,
        scaling: ctx.scaling.clone(),
        metrics: EvaluationMetrics::registered(&ctx.metrics),
        wake,
        writes: Semaphore::new(WRITES),
        tasks: TaskTracker::new(),
        lost: CancellationToken::new(),
        cluster: Arc::new(KubeCluster(ctx.clone())),
    };
    let tasks = deps.tasks.clone();
    // A lost lease drops this future: what it has started then ends at once, wherever it is.
    let groups = stop.child_token();
    let _dropped = (groups.clone().drop_guard(), deps.lost.clone().drop_guard());
    ctx.registry.start(Arc::new(deps), groups);
    stop.cancelled().await;
    tasks.close();
    // The lease is given back after this: no write may be under way then.
    let _ = tokio::time::timeout(FINISH, tasks.wait()).await;
}

/// Everything there is to tell of an app's scaling, live; none where this replica does not evaluate it.
pub fn explain(ctx: &Context, key: &AppKey) -> Option<serde_json::Value> {
    ctx.scaling.explain(key)
}

struct KubeCluster(Arc<Context>);

impl Cluster for KubeCluster {
    fn deployment(&self, owner: &Owner, key: &AppKey) -> Option<Arc<Deployment>> {
        let found = self.0.stores.deployments.get(&ObjectRef::new(&key.object_name()).within(&key.namespace));
        found.filter(|deployment| belongs(deployment.as_ref(), owner) == Belongs::Ours)
    }

    fn database(&self, key: &StoreKey) -> Option<Arc<Figures>> {
        self.0.database_figures(key)
    }

    fn cache(&self, key: &StoreKey) -> Option<Arc<cache::Figures>> {
        self.0.cache_figures(key)
    }

    fn hpa(&self, key: &AppKey) -> Option<Arc<HorizontalPodAutoscaler>> {
        self.0.stores.hpas.get(&ObjectRef::new(&key.object_name()).within(&key.namespace))
    }

    fn begun(&self, since: Time) -> BTreeMap<AppKey, Vec<Begun>> {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let pods = self.0.stores.pods.state();
        for (key, begun) in pods.iter().filter_map(|pod| world::begun(pod, since)) {
            found.entry(key).or_default().push(begun);
        }
        found
    }

    fn apply<'a>(
        &'a self,
        owner: &'a Owner,
        hpa: &'a HorizontalPodAutoscaler,
        live: Option<&'a HorizontalPodAutoscaler>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let kind = Kind::HorizontalPodAutoscaler;
            let object = |hpa| kind.object(hpa).map_err(|error| Error::Serialize("an HPA", error));
            let (wanted, live) = (object(hpa)?, live.map(object).transpose()?);
            let live = live.as_ref().map_or(Live::Unknown, Live::Known);
            let applied = self.0.writer.apply(FieldManager::Scale, owner, &wanted, live).await?;
            match applied.change {
                Change::Created => self.0.metrics.write(kind.as_str(), "create"),
                Change::Configured => self.0.metrics.write(kind.as_str(), "apply"),
                Change::Unchanged | Change::Pending => {}
            }
            Ok(applied.change != Change::Unchanged)
        }
        .boxed()
    }

    fn raise<'a>(&'a self, owner: &'a Owner, name: &'a str, floor: u32) -> BoxFuture<'a, Result<(), Error>> {
        let floor = i32::try_from(floor).unwrap_or(i32::MAX);
        async move {
            if self.0.writer.raise(owner, name, floor).await? {
                self.0.metrics.write(Kind::Deployment.as_str(), "scale");
            }
            Ok(())
        }
        .boxed()
    }

    fn scale<'a>(&'a self, owner: &'a Owner, name: &'a str, replicas: u32) -> BoxFuture<'a, Result<(), Error>> {
        let replicas = i32::try_from(replicas).unwrap_or(i32::MAX);
        async move {
            self.0.writer.scale(owner, name, replicas).await?;
            self.0.metrics.write(Kind::Deployment.as_str(), "scale");
            Ok(())
        }
        .boxed()
    }
}
