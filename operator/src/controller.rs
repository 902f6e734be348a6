//! The watches, what wakes a pass, and the passes themselves.

use crate::{
    context::Context,
    kinds::Kind,
    naming::{MANAGED, PlatformKey},
    reconcile::{after_error, reconcile},
    stores::StoreWriters,
    tiers::app::trouble,
    wake::Wake,
    watch::{self, Touched},
};
use crds::LearningPlatform;
use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{Controller, controller, reflector::store::Writer},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What was last seen of an object, to tell a change that matters from one that does not.
struct LastSeen(Mutex<HashMap<(Option<String>, String), u64>>);

impl LastSeen {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn changed(&self, object: &impl ResourceExt, what: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        (object.uid(), what).hash(&mut hasher);
        let hash = hasher.finish();
        self.0.lock().insert((object.namespace(), object.name_any()), hash) != Some(hash)
    }

    fn forget(&self, object: &impl ResourceExt) {
        self.0.lock().remove(&(object.namespace(), object.name_any()));
    }
}

/// Starts every watch, each in a task of its own; they end with the set.
pub fn watch_all(ctx: &Context, writers: StoreWriters, wake: &Wake) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(platforms(ctx.clone(), writers.platforms, wake.clone()));
    tasks.spawn(deployments(ctx.clone(), writers.deployments, wake.clone()));
    tasks.spawn(hpas(ctx.clone(), writers.hpas, wake.clone()));
    tasks.spawn(pods(ctx.clone(), writers.pods, wake.clone()));
    for kind in Kind::ALL {
        if !matches!(kind, Kind::Deployment | Kind::HorizontalPodAutoscaler) {
            tasks.spawn(others(ctx.clone(), kind, wake.clone()));
        }
    }
    tasks.spawn(capabilities(ctx.clone(), wake.clone()));
    tasks
}

async fn platforms(ctx: Context, writer: Writer<DeserializeGuard<LearningPlatform>>, wake: Wake) {
    let seen = LastSeen::new();
    let apis = watch::apis(&ctx.client, &ctx.settings.watch_namespaces);
    let trim = |platform: &mut DeserializeGuard<LearningPlatform>| platform.meta_mut().managed_fields = None;
    let metrics = ctx.metrics.clone();
    watch::reflect(apis, watch::config(None), "LearningPlatform", metrics, writer, trim, wake, move |touched| {
        match touched {
            Touched::Applied(platform) => {
                // Not the status: its writes would wake the next pass for ever. One that somebody else wrote does.
                let key = PlatformKey::of(&platform);
                let meta = platform.meta();
                let what = (meta.generation, format!("{:?}", meta.annotations), meta.deletion_timestamp.is_some());
                let foreign = platform.0.as_ref().is_ok_and(|p| ctx.writer.status_was_changed(p));
                (seen.changed(&platform, what) || foreign).then_some(key)
            }
            Touched::Deleted(platform) => {
                seen.forget(&platform);
                let key = PlatformKey::of(&platform);
                let uid = platform.uid().unwrap_or_default();
                ctx.registry.remove(&key);
                ctx.backoff.clear(&uid);
                ctx.writer.forget(&uid);
                None
            }
        }
    })
    .await;
}

async fn deployments(ctx: Context, writer: Writer<Deployment>, wake: Wake) {
    let apis = watch::apis(&ctx.client, &ctx.settings.watch_namespaces);
    let metrics = ctx.metrics.clone();
    let trim = |object: &mut Deployment| keep_own_fields(&mut object.metadata);
    watch::reflect(apis, watch::config(Some(MANAGED)), "Deployment", metrics, writer, trim, wake, move |touched| {
        let (Touched::Applied(object) | Touched::Deleted(object)) = touched;
        PlatformKey::of_child(&object)
    })
    .await;
}

async fn hpas(ctx: Context, writer: Writer<HorizontalPodAutoscaler>, wake: Wake) {
    let seen = LastSeen::new();
    let apis = watch::apis(&ctx.client, &ctx.settings.watch_namespaces);
    let metrics = ctx.metrics.clone();
    let trim = |object: &mut HorizontalPodAutoscaler| keep_own_fields(&mut object.metadata);
    watch::reflect(
        apis,
        watch::config(Some(MANAGED)),
        "HorizontalPodAutoscaler",
        metrics,
        writer,
        trim,
        wake,
        move |touched| {
            match touched {
                // Its status carries the current figures, new ones every fifteen seconds.
                Touched::Applied(object) => {
                    let conditions = object.status.as_ref().and_then(|s| s.conditions.as_ref());
                    let states: Vec<_> =
                        conditions.into_iter().flatten().map(|c| (c.type_.clone(), c.status.clone())).collect();
                    let what = (json(&object.spec), identity(&object.metadata), states);
                    PlatformKey::of_child(&object).filter(|_| seen.changed(&object, what))
                }
                Touched::Deleted(object) => {
                    seen.forget(&object);
                    PlatformKey::of_child(&object)
                }
            }
        },
    )
    .await;
}

async fn pods(ctx: Context, writer: Writer<Pod>, wake: Wake) {
    let seen = LastSeen::new();
    let apis = watch::apis(&ctx.client, &ctx.settings.watch_namespaces);
    let metrics = ctx.metrics.clone();
    let trim = |object: &mut Pod| {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        object.spec = None;
    };
    watch::reflect(apis, watch::config(Some(MANAGED)), "Pod", metrics, writer, trim, wake, move |touched| {
        match touched {
            // How many are ready is the Deployment's to say; a pod's own words matter when they change.
            Touched::Applied(pod) => {
                let trouble = trouble::of(&pod);
                PlatformKey::of_child(&pod).filter(|_| seen.changed(&pod, &trouble))
            }
            Touched::Deleted(pod) => {
                seen.forget(&pod);
                PlatformKey::of_child(&pod)
            }
        }
    })
    .await;
}

/// Kinds of which no more is needed than that something happened.
async fn others(ctx: Context, kind: Kind, wake: Wake) {
    if kind.optional() {
        let mut changes = ctx.capabilities.changes();
        if changes.wait_for(|served| served.serves(kind)).await.is_err() {
            return;
        }
    }
    let apis = watch::metadata_apis(&ctx.client, &ctx.settings.watch_namespaces, &kind.resource());
    let metrics = ctx.metrics.clone();
    watch::notice(apis, watch::config(Some(MANAGED)), kind.as_str(), metrics, wake).await;
}

/// An API that appears can heal any platform.
async fn capabilities(ctx: Context, wake: Wake) {
    let mut changes = ctx.capabilities.changes();
    let look = ctx.capabilities.keep_looking(&ctx.client);
    let tell = async {
        while changes.changed().await.is_ok() {
            wake.wake_all(&ctx.stores).await;
        }
    };
    futures::join!(look, tell);
}

/// Runs passes until `stop`, then lets the running ones end. The caller leads.
pub async fn run(ctx: Arc<Context>, wake: Wake, queue: mpsc::Receiver<PlatformKey>, stop: CancellationToken) {
    wake.lead();
    let store = ctx.stores.platforms.clone();
    let awake = {
        let (ctx, wake) = (ctx.clone(), wake.clone());
        async move {
            if ctx.stores.platforms.wait_until_ready().await.is_ok() {
                wake.wake_all(&ctx.stores).await;
            }
        }
    };
    let queue = stream::unfold(queue, |mut queue| async move { queue.recv().await.map(|key| (key, queue)) });
    let config = controller::Config::default().debounce(ctx.settings.debounce).concurrency(ctx.settings.concurrency);
    // Everything that wakes a pass comes through the queue, which cannot fail: errors of watches end where they happen.
    let passes = Controller::for_stream(stream::pending(), store)
        .with_config(config)
        .reconcile_on(queue.map(|key| key.object_ref()))
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, |object, error, ctx| after_error(&object, error, &ctx), ctx)
        .for_each(|_| std::future::ready(()));
    futures::join!(awake, passes);
}

/// About half of an object is bookkeeping of others' fields.
fn keep_own_fields(meta: &mut ObjectMeta) {
    if let Some(entries) = &mut meta.managed_fields {
        entries.retain(|entry| entry.manager.as_deref().is_some_and(|m| m.starts_with(crate::naming::MANAGER)));
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn identity(meta: &ObjectMeta) -> String {
    json(&(&meta.labels, &meta.annotations, &meta.owner_references, &meta.deletion_timestamp))
}
