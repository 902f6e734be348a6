//! The spine: one pass over one platform, the same steps every time.

use crate::{
    context::Context,
    error::{Class, Error, Result},
    freeze::{self, Freeze},
    kinds::{Belongs, Kind, ObjectId, belongs},
    metrics::Outcome,
    naming::{PlatformKey, children_of},
    release,
    status::{self, Findings},
    tiers::{
        self, Children, Plan, Tier,
        app::{Apps, connections},
        autoscaling::Autoscaling,
        binding::Bindings,
        cache::{self, Caches},
        cdn::{self, Cdns},
        database::{self, Databases},
        store::growth::{Growth, growth},
    },
    transitions,
    validate::{ValidPlatform, validate},
    volumes::Volumes,
};
use crds::{LearningPlatform, status::ConditionType};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, ListParams},
    core::{DeserializeGuard, DynamicObject, error_boundary::InvalidObject},
    runtime::controller::Action,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

/// How long it may take to tell in the status what ended a pass.
const TELL_TIMEOUT: Duration = Duration::from_secs(5);

/// After a snapshot is due, so that it is for sure.
const DUE: Duration = Duration::from_millis(100);

/// A lost race is run again at once.
const CONFLICT: Duration = Duration::from_millis(250);

/// One pass over a platform, within its deadline.
///
/// # Errors
/// What stopped the pass, or failed in it so that it must be tried again.
pub async fn reconcile(object: Arc<DeserializeGuard<LearningPlatform>>, ctx: Arc<Context>) -> Result<Action> {
    let guard = ctx.metrics.pass();
    let pass = async {
        match &object.0 {
            Ok(platform) => pass(platform, &ctx).await,
            Err(invalid) => reject(&known(&object), invalid, &ctx).await,
        }
    };
    let deadline = ctx.settings.pass_timeout;
    let outcome = match caught(tokio::time::timeout(deadline, pass)).await {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Error::Deadline(deadline)),
        None => Err(Error::Panicked),
    };
    let uid = object.uid().unwrap_or_default();
    match outcome {
        Ok(outcome) => {
            guard.ended(outcome);
            if outcome != Outcome::Failed {
                ctx.backoff.clear(&uid);
            }
            let planned = match outcome {
                Outcome::Invalid => return Ok(Action::await_change()),
                Outcome::Waiting => ctx.settings.waiting_requeue,
                Outcome::Failed | Outcome::Abandoned => ctx.backoff.fail(&uid, random()),
                // Spread, so that all platforms of an operator's start do not come back at the same time.
                Outcome::Settled | Outcome::Skipped => ctx.settings.resync.mul_f64(1.0 - random() / 10.0),
            };
            let (platform, now) = (known(&object), Timestamp::now());
            let freezes: Vec<_> = platform.spec.freezes.iter().filter_map(|freeze| Freeze::new(freeze).ok()).collect();
            let snapshot =
                database::next_snapshot(&platform, now).and_then(|due| now.duration_until(due).try_into().ok());
            let planned = snapshot.map_or(planned, |snapshot: Duration| planned.min(snapshot + DUE));
            Ok(Action::requeue(freeze::next_pass(&freezes, planned, now.into())))
        }
        Err(error) => {
            // The pass has ended before it could say so itself.
            if matches!(error, Error::Deadline(_) | Error::Panicked) {
                let told = caught(tokio::time::timeout(TELL_TIMEOUT, tell(&known(&object), &error, &ctx))).await;
                if !matches!(told, Some(Ok(Ok(())))) {
                    tracing::warn!(platform = %PlatformKey::of(object.as_ref()), %error, "cannot be told in the status");
                }
            }
            ctx.metrics.error(&error);
            guard.ended(if error.class() == Class::Wait { Outcome::Waiting } else { Outcome::Failed });
            Err(error)
        }
    }
}

/// The outcome of a future; None if it panicked: the controller would end the whole process for one platform.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(future).catch_unwind().await.ok()
}

/// When a pass that failed as a whole is run again.
pub fn after_error(object: &Arc<DeserializeGuard<LearningPlatform>>, error: &Error, ctx: &Context) -> Action {
    let key = PlatformKey::of(object.as_ref());
    if error.is_conflict() {
        tracing::info!(platform = %key, %error, "lost a race, again");
        return Action::requeue(CONFLICT);
    }
    match error.class() {
        Class::Retry => {
            let delay = ctx.backoff.fail(&object.uid().unwrap_or_default(), random());
            tracing::warn!(platform = %key, %error, ?delay, "the pass failed");
            Action::requeue(delay)
        }
        Class::Wait => {
            tracing::info!(platform = %key, %error, "the pass waits");
            Action::requeue(ctx.settings.waiting_requeue)
        }
        Class::Terminal => Action::await_change(),
    }
}

/// In [0, 1); differs between calls and processes.
#[allow(clippy::cast_precision_loss)]
fn random() -> f64 {
    RandomState::new().hash_one(0_u8) as f64 / (u64::MAX as f64 + 1.0)
}

#[tracing::instrument(name = "pass", skip_all, fields(platform = %PlatformKey::of(platform)))]
async fn pass(platform: &LearningPlatform, ctx: &Context) -> Result<Outcome> {
    let key = PlatformKey::of(platform);
    if platform.metadata.deletion_timestamp.is_some() {
        // Its children go with it, by their owner references; what is at AWS has to be seen to before.
        ctx.registry.remove(&key);
        ctx.caches.remove(&key);
        ctx.rds_servers.remove(&key);
        ctx.elasticache_servers.remove(&key);
        ctx.databases.remove(&key);
        return release::release(platform, ctx).await;
    }
    let generation = platform.metadata.generation.unwrap_or_default();
    let before = ctx.writer.latest_status(platform);
    if before.conditions.iter().all(|c| c.type_ != ConditionType::Ready.as_str()) {
        ctx.writer.status(platform, &status::first(generation, Timestamp::now())).await?;
    }
    let before = ctx.writer.latest_status(platform);
    let finished = match validate(platform, &ctx.settings) {
        Ok(valid) => {
            let valid = ValidPlatform { status: before.clone(), ..valid };
            carry_out(&valid, ctx).await
        }
        Err(error) => Err(error),
    };
    let (status, outcome) = match finished {
        Ok(done) => done,
        Err(error) if error.is_conflict() => return Err(error),
        Err(error) => {
            ctx.metrics.error(&error);
            let status = status::failed(&before, generation, &error, Timestamp::now());
            let outcome = match error.class() {
                Class::Terminal => Outcome::Invalid,
                Class::Wait => Outcome::Waiting,
                Class::Retry => Outcome::Failed,
            };
            (status, outcome)
        }
    };
    let _step = ctx.metrics.step("status");
    if ctx.writer.status(platform, &status).await? {
        transitions::publish(ctx, platform, &before, &status).await;
    }
    Ok(outcome)
}

/// Observe, plan, apply and prune, room by room, and the status that comes of it.
async fn carry_out(lp: &ValidPlatform, ctx: &Context) -> Result<(crds::status::LearningPlatformStatus, Outcome)> {
    let ctx = &suspended(ctx, lp);
    ctx.registry.sync(lp);
    let step = ctx.metrics.step("observe");
    let (mut children, volumes) = futures::try_join!(children(ctx, &lp.key), Volumes::look(ctx, lp))?;
    let held = volumes.restore(ctx, lp, &mut children).await;
    let (mut caches, mut databases) =
        futures::try_join!(Caches.observe(ctx, lp, &children), Databases.observe(ctx, lp, &children))?;
    caches.hold(lp, &held);
    databases.hold(lp, &held);
    let app_room =
        Apps { bindings: Bindings { caches: caches.bindings.clone(), databases: databases.bindings.clone() } };
    let (apps, scaling, cdns) = futures::try_join!(
        app_room.observe(ctx, lp, &children),
        Autoscaling.observe(ctx, lp, &children),
        Cdns.observe(ctx, lp, &children)
    )?;
    drop(step);

    let store_plan: Plan =
        Caches.plan(lp, &caches, &children).into_iter().chain(Databases.plan(lp, &databases, &children)).collect();
    let Growth { plan: store_plan, recreated } = growth(&children, store_plan);
    let app_plan = app_room.plan(lp, &apps, &children);
    let planned = |item: &str| app_plan.iter().any(|step| step.item == item && is_deployment(&step.object));
    let runs = |item: &str| planned(item) || apps.is_held(item);
    let scaling_plan: Plan =
        Autoscaling.plan(lp, &scaling, &children).into_iter().filter(|step| runs(&step.item)).collect();
    let cdn_plan = Cdns.plan(lp, &cdns, &children);
    let planned = store_plan.iter().chain(&app_plan).chain(&scaling_plan).chain(&cdn_plan);
    let wanted: BTreeSet<ObjectId> = planned
        .filter_map(|step| ObjectId::of(&step.object))
        .chain(recreated.iter().cloned())
        .chain(app_room.kept(lp, &apps, &children))
        .chain(Caches.kept(lp, &caches, &children))
        .chain(Databases.kept(lp, &databases, &children))
        .chain(Cdns.kept(lp, &cdns, &children))
        .collect();
    let orphans: Vec<_> = children
        .0
        .iter()
        .filter(|(id, object)| !wanted.contains(id) && belongs(*object, &lp.owner) == Belongs::Ours)
        .collect();

    let step = ctx.metrics.step("apply");
    // An HPA that is no longer wanted goes first: it would set the fixed number of pods back.
    let (hpas, others): (Vec<_>, Vec<_>) =
        orphans.into_iter().partition(|(id, _)| id.kind == Kind::HorizontalPodAutoscaler);
    let mut errors = prune(ctx, &hpas).await;
    let recreated = recreate(ctx, &children, recreated).await;
    let (cache_steps, database_steps): (Plan, Plan) =
        store_plan.into_iter().partition(|step| caches.bindings.contains_key(&step.item));
    let (cache_outcome, database_outcome, cdn_outcome) = futures::join!(
        Caches.apply(ctx, lp, &children, &cache_steps),
        Databases.apply(ctx, lp, &children, &database_steps),
        Cdns.apply(ctx, lp, &children, &cdn_plan)
    );
    let app_outcome = app_room.apply(ctx, lp, &children, &app_plan).await;
    // Under the name of a Deployment that is somebody else's nothing of ours may scale.
    let (taken, scaling_plan): (Vec<_>, Vec<_>) =
        scaling_plan.into_iter().partition(|step| app_outcome.failures.get(&step.item).is_some_and(is_taken));
    let taken = taken.iter().filter_map(|step| children.0.get_key_value(&ObjectId::of(&step.object)?));
    let taken: Vec<_> = taken.filter(|(_, object)| belongs(*object, &lp.owner) == Belongs::Ours).collect();
    errors.extend(prune(ctx, &taken).await);
    errors.extend(recreated);
    let scaling_outcome = Autoscaling.apply(ctx, lp, &children, &scaling_plan).await;
    errors.extend(prune(ctx, &others).await);
    let surplus = database::surplus(lp, &children);
    let surplus: Vec<_> =
        surplus.into_iter().filter_map(|object| children.0.get_key_value(&ObjectId::of(object)?)).collect();
    errors.extend(prune(ctx, &surplus).await);
    errors.extend(prune(ctx, &cdn::left(&cdns, &children)).await);
    drop(step);

    let mut after = children;
    let mut failures = BTreeMap::new();
    let mut pending = BTreeSet::new();
    for (condition, outcome) in [
        (Autoscaling::CONDITION, scaling_outcome),
        (Apps::CONDITION, app_outcome),
        (Caches::CONDITION, cache_outcome),
        (Databases::CONDITION, database_outcome),
        (Cdns::CONDITION, cdn_outcome),
    ] {
        after.0.extend(outcome.applied);
        pending.extend(outcome.pending);
        let condition = |error: &Error| if is_of_backup(error) { ConditionType::BackupReady } else { condition };
        failures.extend(outcome.failures.into_iter().map(|(item, error)| (item, (condition(&error), error))));
    }
    // A lost race says nothing about the platform: the pass is run again, and its status waits for that.
    if let Some(item) = failures.iter().find_map(|(item, (_, e))| e.is_conflict().then(|| item.clone()))
        && let Some((_, conflict)) = failures.remove(&item)
    {
        return Err(conflict);
    }
    let (kept, failed) = volumes.keep(ctx, lp, &after).await;
    caches.note(lp, &kept);
    databases.note(lp, &kept);
    errors.extend(failed);
    for error in failures.values().map(|(_, e)| e).chain(&errors) {
        ctx.metrics.error(error);
        tracing::info!(%error, "a step failed");
    }
    release::hold_back(ctx, lp, &after).await?;
    order(ctx, lp, &mut caches, &mut databases, &after);
    // Nothing is made at AWS that a deletion of the platform would pass over.
    let acts = !lp.suspended() && lp.held_back;
    ctx.cloudfront.order(ctx, &lp.key, cdn::all_orders(lp, &cdns, &after, acts));
    let rooms = vec![
        app_room.status(lp, &apps, &after),
        Autoscaling.status(lp, &scaling, &after),
        Caches.status(lp, &caches, &after),
        Databases.status(lp, &databases, &after),
        Cdns.status(lp, &cdns, &after),
    ];
    let findings = Findings { rooms, failures, pending, errors, children: &after, wanted };
    Ok(status::status(lp, findings, Timestamp::now()))
}

/// Tells the keepers of the stores what is wanted of them.
fn order(
    ctx: &Context,
    lp: &ValidPlatform,
    caches: &mut cache::Observed,
    databases: &mut database::Observed,
    after: &Children,
) {
    let acts = !lp.suspended();
    let answered = ctx.caches.order(ctx, &lp.key, cache::orders(lp, caches, after, acts));
    cache::answered(lp, caches, after, &answered);
    ctx.elasticache_servers.order(ctx, &lp.key, cache::elasticache_servers(lp, caches, after, acts));
    let answered = ctx.databases.order(ctx, &lp.key, database::orders(lp, databases, after, acts));
    database::answered(lp, databases, after, &answered);
    // Nothing is made at AWS that a deletion of the platform would pass over.
    let acts = acts && lp.held_back;
    let answered = ctx.rds.order(ctx, &lp.key, database::rds_orders(lp, databases, after, acts));
    let orders = database::rds_servers_orders(lp, databases, after, acts);
    let servers = ctx.rds_servers.order(ctx, &lp.key, orders);
    database::rds_answered(lp, databases, &answered, &servers);
    let answered = ctx.elasticache.order(ctx, &lp.key, cache::elasticache_orders(lp, caches, after, acts));
    cache::elasticache_answered(lp, caches, &answered);
}

fn is_deployment(object: &DynamicObject) -> bool {
    Kind::of(object) == Some(Kind::Deployment)
}

/// Whether the error is that the app's Deployment belongs to somebody else.
fn is_taken(error: &Error) -> bool {
    matches!(error, Error::NameConflict { kind, .. } if kind == Kind::Deployment.as_str())
}

/// Whether a backup could not be written, which says nothing of the database.
fn is_of_backup(error: &Error) -> bool {
    error.kind() == Some(Kind::VolumeSnapshot.as_str())
}

/// A suspended platform is compared, not written.
fn suspended(ctx: &Context, lp: &ValidPlatform) -> Context {
    let mut ctx = ctx.clone();
    if lp.suspended() {
        ctx.writer = ctx.writer.with_mode(crate::apply::Mode::Observe);
    }
    ctx
}

/// Every child of the platform, listed by its labels. An optional API that is missing has none, and neither has one that
/// the operator may not list.
pub(crate) async fn children(ctx: &Context, key: &PlatformKey) -> Result<Children> {
    let served = ctx.capabilities.now();
    let params = ListParams::default().labels(&children_of(&key.name));
    let lists = stream::iter(Kind::ALL.into_iter().filter(|kind| served.serves(*kind)))
        .map(|kind| {
            let params = &params;
            async move {
                let api: Api<DynamicObject> =
                    Api::namespaced_with(ctx.client.clone(), &key.namespace, &kind.resource());
                match api.list(params).await {
                    Ok(list) => Ok(list.items.into_iter().map(|o| (kind, o)).collect::<Vec<_>>()),
                    Err(kube::Error::Api(answer)) if kind.optional() && matches!(answer.code, 403 | 404) => {
                        if answer.code == 404 {
                            ctx.capabilities.lost(kind);
                        }
                        Ok(Vec::new())
                    }
                    Err(error) => Err(Error::api("list", kind.as_str(), "", error)),
                }
            }
        })
        .buffer_unordered(Kind::ALL.len())
        .try_collect::<Vec<_>>()
        .await?;
    let found = lists.into_iter().flatten().map(|(kind, mut object)| {
        // Items of a list come without their type.
        let resource = kind.resource();
        object.types = Some(kube::core::TypeMeta { api_version: resource.api_version, kind: resource.kind });
        (ObjectId { kind, name: object.name_any() }, object)
    });
    Ok(Children(found.collect()))
}

/// Removes StatefulSets without their pods, so that they are made anew around them.
async fn recreate(ctx: &Context, children: &Children, sets: BTreeSet<ObjectId>) -> Vec<Error> {
    let mut errors = Vec::new();
    for id in sets {
        let Some(set) = children.0.get(&id) else { continue };
        match ctx.writer.delete_alone(id.kind, set).await {
            Ok(true) => ctx.metrics.write(id.kind.as_str(), "delete"),
            Ok(false) => {}
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// Removes orphans; their errors stop nothing else.
async fn prune(ctx: &Context, orphans: &[(&ObjectId, &DynamicObject)]) -> Vec<Error> {
    let mut errors = Vec::new();
    for (id, object) in orphans {
        match ctx.writer.delete(id.kind, object).await {
            Ok(sent) => {
                if sent {
                    ctx.metrics.write(id.kind.as_str(), "delete");
                }
            }
            // 404 and 409: gone, or another object by now.
            Err(error) if error.is_conflict() => {}
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// A resource that does not even have the form of one: its status says which field.
async fn reject(platform: &LearningPlatform, invalid: &InvalidObject, ctx: &Context) -> Result<Outcome> {
    if platform.metadata.deletion_timestamp.is_some() {
        return release::release(platform, ctx).await;
    }
    let (field, problem) = culprit(platform, ctx).await.unwrap_or_else(|| ("spec".to_owned(), invalid.error.clone()));
    let error = Error::InvalidSpec { field, problem };
    ctx.metrics.error(&error);
    tell(platform, &error, ctx).await?;
    Ok(Outcome::Invalid)
}

/// The field that does not have its form, and what is wrong with it. The resource is read again: what did not parse was not
/// kept, and its error has no path.
async fn culprit(platform: &LearningPlatform, ctx: &Context) -> Option<(String, String)> {
    let resource = ApiResource::erase::<LearningPlatform>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(ctx.client.clone(), &platform.namespace().unwrap_or_default(), &resource);
    let found = serde_json::to_value(api.get(&platform.name_any()).await.ok()?).ok()?;
    let error = serde_path_to_error::deserialize::<_, LearningPlatform>(found).err()?;
    Some((error.path().to_string(), error.into_inner().to_string()))
}

/// What is known of a resource: of one without the form of one its metadata.
fn known(object: &DeserializeGuard<LearningPlatform>) -> LearningPlatform {
    let metadata = || LearningPlatform { metadata: object.meta().clone(), ..LearningPlatform::default() };
    object.0.as_ref().map_or_else(|_| metadata(), Clone::clone)
}

/// Says in the status why a pass came to nothing.
async fn tell(platform: &LearningPlatform, error: &Error, ctx: &Context) -> Result<()> {
    let before = ctx.writer.latest_status(platform);
    let generation = platform.metadata.generation.unwrap_or_default();
    let status = status::failed(&before, generation, error, Timestamp::now());
    if ctx.writer.status(platform, &status).await? {
        transitions::publish(ctx, platform, &before, &status).await;
    }
    Ok(())
}

/// What a pass would apply, without a cluster: every object of a platform, in order, as it would be sent, owner aside. What
/// Secrets hold is not known then: `SECRET-<name>-<key>` stands for it.
pub fn render(lp: &ValidPlatform, served: crate::capabilities::Served) -> Vec<tiers::Step> {
    let none = Children::default();
    let mut plan = Caches.plan(lp, &cache::Observed { served, ..cache::offline(lp) }, &none);
    plan.extend(Databases.plan(lp, &database::Observed { served, ..database::offline(lp) }, &none));
    let room = Apps { bindings: Bindings::placeholders(&lp.caches, &lp.databases) };
    let apps = lp.apps.iter().map(|app| {
        let connections = connections::offline(app, &room.bindings);
        (app.key.app.clone(), tiers::app::SeenApp::first(app, connections, served))
    });
    let seen = tiers::app::Observed { served, apps: apps.collect(), ..Default::default() };
    plan.extend(room.plan(lp, &seen, &none));
    plan.extend(Autoscaling.plan(lp, &Default::default(), &none));
    plan
}
