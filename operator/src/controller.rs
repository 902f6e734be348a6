//! The watches, what wakes a pass, and the passes themselves.

use crate::{
    context::Context,
    kinds::Kind,
    naming::{MANAGED, PlatformKey},
    reconcile::{after_error, reconcile},
    references::{self, Referred},
    stores::StoreWriters,
    tiers::app::trouble,
    wake::Wake,
    watch::{self, Touched, Watch},
};
use crds::LearningPlatform;
use futures::{
    Stream, StreamExt,
    stream::{self, FuturesUnordered},
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Pod, PodSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, DynamicObject, NamespaceResourceScope, PartialObjectMeta},
    runtime::{Controller, controller, reflector::store::Writer},
};
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
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
    tasks.spawn(store_secrets(ctx.clone(), wake.clone()));
    tasks.spawn(capabilities(ctx.clone(), wake.clone()));
    tasks
}

async fn platforms(ctx: Context, writer: Writer<DeserializeGuard<LearningPlatform>>, wake: Wake) {
    let seen = LastSeen::new();
    let watch = typed(&ctx, "LearningPlatform", None, wake);
    let trim = |platform: &mut DeserializeGuard<LearningPlatform>| platform.meta_mut().managed_fields = None;
    watch
        .reflect(writer, trim, move |touched| {
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
                    ctx.caches.remove(&key);
                    ctx.databases.remove(&key);
                    ctx.end_keepers_at_aws(&key);
                    ctx.backoff.clear(&uid);
                    ctx.writer.forget(&key, &uid);
                    None
                }
            }
        })
        .await;
}

async fn deployments(ctx: Context, writer: Writer<Deployment>, wake: Wake) {
    let watch = typed(&ctx, "Deployment", Some(MANAGED), wake);
    let trim = |object: &mut Deployment| keep_own_fields(&mut object.metadata);
    watch
        .reflect(writer, trim, move |touched| {
            let (Touched::Applied(object) | Touched::Deleted(object)) = touched;
            PlatformKey::of_child(&object)
        })
        .await;
}

async fn hpas(ctx: Context, writer: Writer<HorizontalPodAutoscaler>, wake: Wake) {
    let seen = LastSeen::new();
    let watch = typed(&ctx, "HorizontalPodAutoscaler", Some(MANAGED), wake);
    let trim = |object: &mut HorizontalPodAutoscaler| keep_own_fields(&mut object.metadata);
    watch
        .reflect(writer, trim, move |touched| {
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
        })
        .await;
}

async fn pods(ctx: Context, writer: Writer<Pod>, wake: Wake) {
    let seen = LastSeen::new();
    let watch = typed(&ctx, "Pod", Some(MANAGED), wake);
    let trim = |object: &mut Pod| {
        object.metadata.managed_fields = None;
        object.metadata.annotations = None;
        // Where it runs: of a lost primary that is asked.
        let node_name = object.spec.take().and_then(|spec| spec.node_name);
        object.spec = node_name.map(|node| PodSpec { node_name: Some(node), ..PodSpec::default() });
    };
    watch
        .reflect(writer, trim, move |touched| {
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

/// The watches of a kind in the namespaces that the operator serves.
fn typed<K>(ctx: &Context, kind: &'static str, labels: Option<&str>, wake: Wake) -> Watch<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let apis = watch::apis(&ctx.client, &ctx.settings.watch_namespaces);
    Watch { apis, config: watch::config(labels), kind, metrics: ctx.metrics.clone(), wake }
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
    let (config, metrics) = (watch::config(Some(MANAGED)), ctx.metrics.clone());
    Watch { apis, config, kind: kind.as_str(), metrics, wake }.notice(PlatformKey::of_child).await;
}

/// The Secrets with the credentials of stores are the users' own and carry no label of ours. Of all others nothing is kept.
async fn store_secrets(ctx: Context, wake: Wake) {
    let seen = LastSeen::new();
    let apis = watch::metadata_apis(&ctx.client, &ctx.settings.watch_namespaces, &Referred::Secret.resource());
    let (config, metrics, stores) = (watch::config(None), ctx.metrics.clone(), ctx.stores.clone());
    let touched = move |secret: &PartialObjectMeta<DynamicObject>| -> Vec<PlatformKey> {
        let users = references::users_of_secret(&stores, &secret.namespace().unwrap_or_default(), &secret.name_any());
        let what = (secret.resource_version(), secret.metadata.deletion_timestamp.is_some());
        if users.is_empty() || !seen.changed(secret, what) { Vec::new() } else { users }
    };
    Watch { apis, config, kind: "Secret of a store", metrics, wake }.notice(touched).await;
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
    let config = controller::Config::default().concurrency(ctx.settings.concurrency);
    let queue = collected(queue, ctx.settings.debounce);
    // Everything that wakes a pass comes through the queue, which cannot fail: errors of watches end where they happen.
    let passes = Controller::for_stream(stream::pending(), store)
        .with_config(config)
        .reconcile_on(queue.map(|key| key.object_ref()))
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, |object, error, ctx| after_error(&object, error, &ctx), ctx)
        .for_each(|_| std::future::ready(()));
    futures::join!(awake, passes);
}

/// Each key once, `wait` after it was first asked for. The controller's own debounce would wait for a pause, which a
/// platform whose pods come and go does not have.
fn collected(queue: mpsc::Receiver<PlatformKey>, wait: Duration) -> impl Stream<Item = PlatformKey> {
    async fn after(wait: Duration, key: PlatformKey) -> PlatformKey {
        tokio::time::sleep(wait).await;
        key
    }
    let state = (queue, FuturesUnordered::new(), HashSet::new());
    stream::unfold(state, move |(mut queue, mut due, mut waiting)| async move {
        loop {
            tokio::select! {
                key = queue.recv() => {
                    let key = key?;
                    if waiting.insert(key.clone()) {
                        due.push(after(wait, key));
                    }
                }
                Some(key) = due.next() => {
                    waiting.remove(&key);
                    return Some((key, (queue, due, waiting)));
                }
            }
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_asked_for_all_the_time_still_comes() {
        let (sender, queue) = mpsc::channel(64);
        let busy = PlatformKey { namespace: "a".into(), name: "busy".into() };
        let other = PlatformKey { namespace: "a".into(), name: "other".into() };
        let mut stream = Box::pin(collected(queue, Duration::from_millis(500)));
        let (asked, quiet) = (busy.clone(), other.clone());
        tokio::spawn(async move {
            for round in 0..20 {
                sender.send(asked.clone()).await.unwrap();
                if round == 0 {
                    sender.send(quiet.clone()).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        });
        let begin = tokio::time::Instant::now();
        let first = (stream.next().await.unwrap(), stream.next().await.unwrap());
        assert_eq!(begin.elapsed().as_millis(), 500);
        assert_eq!(first, (busy.clone(), other));
        assert_eq!(stream.next().await.unwrap(), busy, "later changes make another pass");
        assert!(begin.elapsed().as_millis() <= 1100);
    }
}
