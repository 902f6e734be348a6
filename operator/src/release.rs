//! What of a platform is outside of the cluster, and does not go with it by itself: its items at AWS. As long as there may be some,
//! a finalizer holds the platform back; when it is deleted, each of them is seen to as its policy says.

use crate::{
    apply::FINALIZER,
    conditions::{State, Verdict, render},
    context::{Context, Settings},
    error::{Error, Result},
    keeper::rds::RdsView,
    kinds::{Kind, ObjectId},
    metrics::Outcome,
    naming::{Owner, PlatformKey},
    reconcile,
    tiers::{
        Children,
        aws::{account, recorded::Recorded, told},
        carry_out,
        database::{
            Provider,
            rds::{self, objects::policy},
        },
        steps,
        store::{Identity, StoreTier, made_for, record},
    },
    validate::{ValidPlatform, validate},
};
use aws::rds::Memory;
use crds::{
    LearningPlatform,
    status::{ConditionType, LearningPlatformStatus, Reason},
};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::sync::Arc;

/// Whether a platform is held back.
pub fn is_held_back(platform: &LearningPlatform) -> bool {
    platform.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Whose an item is at AWS.
///
/// # Errors
/// Which part of its identity cannot be one.
pub fn owner(platform: &LearningPlatform, settings: &Settings, item: &str) -> std::result::Result<aws::Owner, String> {
    let key = PlatformKey::of(platform);
    let identity = aws::Identity::new(&settings.cluster_name, &key.namespace, &key.name, item);
    let identity = identity.map_err(|error| error.to_string())?;
    Ok(aws::Owner { identity, uid: platform.uid().unwrap_or_default() })
}

/// Whether the operator's settings allow what a platform names at AWS.
///
/// # Errors
/// [`Error::InvalidSpec`], with the flag that would allow it.
pub fn admit(ctx: &Context, lp: &ValidPlatform) -> Result<()> {
    let Some(spec) = lp.aws.as_ref().filter(|_| has_items(lp)) else { return Ok(()) };
    match account::check(&lp.key, spec, &ctx.settings).into_iter().next() {
        Some(problem) => Err(Error::InvalidSpec { field: problem.field, problem: problem.problem }),
        None => Ok(()),
    }
}

fn has_items(lp: &ValidPlatform) -> bool {
    lp.databases.iter().any(|database| matches!(database.provider, Provider::Rds(_)))
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
        record.get(record::RUNNER).is_some_and(|runner| runner == rds::RUNNER)
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
        ctx.rds.remove(&key);
        return Ok(Outcome::Skipped);
    }
    let children = reconcile::children(ctx, &key).await?;
    let released = rds::released(platform, |item| owner(platform, &ctx.settings, item).ok(), &children);
    let orders = released.iter().filter_map(|(key, found)| Some((key.clone(), found.as_ref().ok()?.0.clone())));
    let answered = ctx.rds.order(ctx, &key, orders.collect());
    let (mut left, mut plan) = (Vec::new(), Vec::new());
    for (store, found) in &released {
        let (orders, recorded) = match found {
            Ok(found) => found,
            Err(problem) => {
                left.push((store.object_name.clone(), problem.clone()));
                continue;
            }
        };
        let view = ctx.rds.view(store);
        if let Some(view) = view.as_ref().filter(|view| view.memory != recorded.memory) {
            plan.extend(remembered(platform, &store.object_name, &children, recorded, view));
        }
        let done = view.as_ref().is_some_and(|view| view.finished && view.memory == recorded.memory);
        if !(done && answered.contains(store)) {
            left.push((orders.item.clone(), telling(view)));
        }
    }
    if left.is_empty() {
        ctx.writer.finalizer(&Owner::of(platform), false).await?;
        ctx.rds.remove(&key);
        tracing::info!(platform = %key, "nothing of it is left at AWS that its policies do not leave there");
        return Ok(Outcome::Skipped);
    }
    if !plan.is_empty() {
        let bare = bare(platform, ctx)?;
        let outcome = carry_out(ctx, &bare, &children, &plan).await;
        if let Some((_, error)) = outcome.failures.into_iter().next() {
            return Err(error);
        }
    }
    ctx.writer.status(platform, &status(platform, &left, ctx)).await?;
    Ok(Outcome::Waiting)
}

/// The platform without its spec, which may be invalid by now.
fn bare(platform: &LearningPlatform, ctx: &Context) -> Result<ValidPlatform> {
    let bare = LearningPlatform { metadata: platform.metadata.clone(), ..LearningPlatform::default() };
    validate(&bare, &ctx.settings)
}

/// The record with what its keeper wants to be written down.
fn remembered(
    platform: &LearningPlatform,
    object_name: &str,
    children: &Children,
    recorded: &Recorded<Memory>,
    view: &RdsView,
) -> Vec<crate::tiers::Step> {
    let id = ObjectId { kind: Kind::ConfigMap, name: record::name(object_name) };
    let (Some(map), Some(mut record)) = (children.0.get(&id), record::of(children, object_name)) else {
        return Vec::new();
    };
    let Some(item) = made_for(map) else { return Vec::new() };
    let recorded = Recorded { memory: view.memory.clone(), ..recorded.clone() };
    let identity = Identity { platform: platform.name_any(), id: item.to_owned(), tier: StoreTier::Database };
    let written = recorded.write(&mut record, rds::RUNNER);
    let map = written.and_then(|()| record::config_map(&identity, object_name, policy(recorded.deletion), &record));
    steps(item, [map])
}

/// What is told of an item that is not gone yet.
fn telling(view: Option<Arc<RdsView>>) -> String {
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
