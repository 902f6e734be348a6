//! What of a platform is outside of the cluster, and does not go with it by itself: its items at AWS. As long as there may be some,
//! a finalizer holds the platform back; when it is deleted, each of them is seen to as its policy says.

use crate::{
    apply::FINALIZER,
    conditions::{State, Verdict, render},
    context::{Context, Settings},
    error::Result,
    keeper::{aws::AwsView, cloudfront::CloudFrontService, elasticache::ElastiCacheService, rds::RdsService},
    kinds::{Kind, ObjectId},
    metrics::Outcome,
    naming::{Owner, PlatformKey},
    reconcile,
    tiers::{
        Children, Plan,
        aws::{
            account,
            recorded::{self, Recorded},
            released::{Item, released},
            told,
        },
        cache, carry_out, database, steps,
        store::{Identity, made_for, record},
    },
    validate::{ValidPlatform, validate},
};
use crds::{
    LearningPlatform,
    status::{ConditionType, LearningPlatformStatus, Reason},
    tiers::aws::AwsDeletionPolicy,
};
use k8s_openapi::jiff::Timestamp;
use kube::{ResourceExt, core::DynamicObject};
use std::collections::BTreeMap;

/// How records say that what they tell of is at AWS.
const RUNNERS: [&str; 3] = [RdsService::RUNNER, ElastiCacheService::RUNNER, CloudFrontService::RUNNER];

/// Whether a platform is held back.
pub fn is_held_back(platform: &LearningPlatform) -> bool {
    platform.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Whose an item is at AWS.
///
/// # Errors
/// Which part of its identity cannot be one.
pub fn owner(platform: &LearningPlatform, settings: &Settings, item: &str) -> std::result::Result<aws::Owner, String> {
    owner_of(&Owner::of(platform), settings, item)
}

/// The same, of a platform that is known by its owner references.
///
/// # Errors
/// Which part of its identity cannot be one.
pub fn owner_of(platform: &Owner, settings: &Settings, item: &str) -> std::result::Result<aws::Owner, String> {
    let Owner { key, uid } = platform;
    let identity = aws::Identity::new(&settings.cluster_name, &key.namespace, &key.name, item);
    let identity = identity.map_err(|error| error.to_string())?;
    Ok(aws::Owner { identity, uid: uid.clone() })
}

fn has_items(lp: &ValidPlatform) -> bool {
    lp.databases.iter().any(|item| matches!(item.provider, database::Provider::Rds(_)))
        || lp.caches.iter().any(|item| matches!(item.provider, cache::Provider::ElastiCache(_)))
        || !lp.cdns.is_empty()
}

/// Holds a platform back that has, or has had, items at AWS, and lets one go that has none any more. It is done before anything is
/// made there; `children` are those after the pass.
///
/// # Errors
/// What the API server answers.
pub async fn hold_back(ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<()> {
    let wanted = has_items(lp) || children.0.iter().any(|(id, _)| is_record(children, id));
    if wanted == lp.held_back { Ok(()) } else { ctx.writer.finalizer(&lp.owner, wanted).await }
}

/// Whether it is the record of an item at AWS that nobody has abandoned.
fn is_record(children: &Children, id: &ObjectId) -> bool {
    let Some(object_name) = id.name.strip_suffix(record::SUFFIX).filter(|_| id.kind == Kind::ConfigMap) else {
        return false;
    };
    record::of(children, object_name).is_some_and(|record| {
        record.get(record::RUNNER).is_some_and(|runner| RUNNERS.contains(&runner.as_str()))
            && !record.contains_key(record::ABANDONED)
    })
}

/// A pass over a platform that is being deleted.
///
/// # Errors
/// What the API server answers.
pub async fn release(platform: &LearningPlatform, ctx: &Context) -> Result<Outcome> {
    let key = PlatformKey::of(platform);
    if !is_held_back(platform) {
        ctx.end_keepers_at_aws(&key);
        return Ok(Outcome::Skipped);
    }
    let children = reconcile::children(ctx, &key).await?;
    let mut seen = Seen::default();
    see_to::<RdsService>(platform, ctx, &children, &mut seen);
    see_to::<ElastiCacheService>(platform, ctx, &children, &mut seen);
    see_to::<CloudFrontService>(platform, ctx, &children, &mut seen);
    let Seen { left, plan, gone } = seen;
    if left.is_empty() {
        for gone in &gone {
            let written = write(platform, ctx, &children, &gone.record).await?;
            if !gone.stays {
                for (id, map) in &written {
                    ctx.writer.delete(id.kind, map).await?;
                }
            }
        }
        ctx.writer.finalizer(&Owner::of(platform), false).await?;
        ctx.end_keepers_at_aws(&key);
        tracing::info!(platform = %key, "nothing of it is left at AWS that its policies do not leave there");
        return Ok(Outcome::Skipped);
    }
    write(platform, ctx, &children, &plan).await?;
    ctx.writer.status(platform, &status(platform, &left, ctx)).await?;
    Ok(Outcome::Waiting)
}

/// What is seen of the items of a platform that is being deleted.
#[derive(Default)]
struct Seen {
    /// What is not seen to yet, and what it waits for.
    left: Vec<(String, String)>,
    /// What is to be written down.
    plan: Plan,
    /// What was seen to, or is about to be.
    gone: Vec<Gone>,
}

/// What is done with the record of an item that was seen to.
struct Gone {
    /// It is held back no more.
    record: Plan,
    /// It goes on to tell of what its policy leaves at AWS. Where nothing is left there nothing is left to know of it.
    stays: bool,
}

/// Has the keepers of a service see to its items.
fn see_to<S: Item>(platform: &LearningPlatform, ctx: &Context, children: &Children, seen: &mut Seen) {
    let (key, keepers) = (PlatformKey::of(platform), S::keepers(ctx));
    let mut released = released::<S>(platform, |item| owner(platform, &ctx.settings, item).ok(), children);
    // Before there is a keeper: whoever may write in the namespace may have written the record, so that it allows nothing by itself.
    for found in released.values_mut() {
        let why = found.as_ref().ok().and_then(|(_, recorded)| refusal(&key, recorded, &ctx.settings));
        if let Some(why) = why {
            *found = Err(why);
        }
    }
    let orders = released.iter().filter_map(|(key, found)| Some((key.clone(), found.as_ref().ok()?.0.clone())));
    let answered = keepers.order(ctx, &key, orders.collect());
    for (store, found) in &released {
        let (orders, recorded) = match found {
            Ok(found) => found,
            Err(problem) => {
                seen.left.push((store.object_name.clone(), problem.clone()));
                continue;
            }
        };
        let view = keepers.view(store);
        if let Some(view) = view.as_ref().filter(|view| view.memory != recorded.memory) {
            let recorded = Recorded { memory: view.memory.clone(), ..recorded.clone() };
            seen.plan.extend(remembered::<S>(&key.name, &store.object_name, children, &recorded, true));
        }
        let done = view.as_ref().is_some_and(|view| view.finished && view.memory == recorded.memory);
        if !(done && answered.contains(store)) {
            seen.left.push((orders.item.clone(), telling(view.as_deref())));
        }
        let record = remembered::<S>(&key.name, &store.object_name, children, recorded, false);
        seen.gone.push(Gone { record, stays: recorded.deletion == AwsDeletionPolicy::Retain });
    }
}

/// Why an item may not be seen to from here.
pub fn refusal<M>(key: &PlatformKey, recorded: &Recorded<M>, settings: &Settings) -> Option<String> {
    let refused = account::check(key, &recorded.account, settings).into_iter().next();
    let refused = refused.map(|problem| problem.problem);
    refused.or_else(|| recorded.elsewhere(&recorded.account, &settings.cluster_name))
}

/// Writes records.
async fn write(
    platform: &LearningPlatform,
    ctx: &Context,
    children: &Children,
    plan: &Plan,
) -> Result<BTreeMap<ObjectId, DynamicObject>> {
    // Without its spec, which may be invalid by now.
    let bare = LearningPlatform { metadata: platform.metadata.clone(), ..LearningPlatform::default() };
    let outcome = carry_out(ctx, &validate(&bare, &ctx.settings)?, children, plan).await;
    match outcome.failures.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(outcome.applied),
    }
}

/// The record with what is to be written down; `held` until what is at AWS was seen to.
pub fn remembered<S: Item>(
    platform: &str,
    object_name: &str,
    children: &Children,
    recorded: &Recorded<S::Memory>,
    held: bool,
) -> Plan {
    let id = ObjectId { kind: Kind::ConfigMap, name: record::name(object_name) };
    let (Some(map), Some(mut record)) = (children.0.get(&id), record::of(children, object_name)) else {
        return Plan::new();
    };
    let Some(item) = made_for(map) else { return Plan::new() };
    let identity = Identity { platform: platform.to_owned(), id: item.to_owned(), tier: S::TIER };
    let written = recorded.write(&mut record, S::RUNNER);
    let map = written.and_then(|()| recorded::map(&identity, object_name, &record, held));
    steps(item, [map])
}

/// What is told of an item that is not gone yet.
pub fn telling<S: Item>(view: Option<&AwsView<S>>) -> String {
    let Some(view) = view else { return "AWS has not been asked yet".to_owned() };
    let hindrance = told::hindrance(&view.conditions, false).map(|(_, _, message)| message);
    let next = view.plan.first().map(|call| {
        let waits = call.waits.as_ref().map(|waits| format!(" ({waits})")).unwrap_or_default();
        format!("next: {}{waits}", call.call)
    });
    let synced = view.conditions.iter().find(|it| it.kind == aws::Kind::Synced).map(|it| it.message.clone());
    hindrance.or(next).or(synced).unwrap_or_else(|| "it is being deleted".to_owned())
}

/// The status of a platform that waits for what is left.
fn status(platform: &LearningPlatform, left: &[(String, String)], ctx: &Context) -> LearningPlatformStatus {
    let before = ctx.writer.latest_status(platform);
    let words: Vec<String> = left.iter().map(|(item, what)| format!("{item}: {what}")).collect();
    let message = format!("waits for what it has at AWS: {}", words.join("; "));
    let generation = platform.metadata.generation.unwrap_or_default();
    let verdicts = [
        Verdict::new(ConditionType::Ready, State::False, Reason::Deleting, message.clone()),
        Verdict::new(ConditionType::Reconciling, State::True, Reason::Deleting, message),
    ];
    let conditions = render(verdicts, &before.conditions, generation, Timestamp::now());
    LearningPlatformStatus { observed_generation: Some(generation), conditions, ..before }
}
