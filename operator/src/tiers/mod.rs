//! The rooms: all items of a kind in a platform, each room of the same shape.

pub mod app;
pub mod autoscaling;
pub mod aws;
pub mod binding;
pub mod cache;
pub mod cdn;
pub mod database;
pub mod store;

use crate::{
    apply::{Applied, Change, Live, Mode},
    conditions::{State, Verdict},
    context::Context,
    error::{Error, Result},
    kinds::{Kind, ObjectId},
    naming::{COMPONENT, FieldManager},
    validate::ValidPlatform,
};
use crds::status::{CdnStatus, ConditionType, JobStatus, Reason, Replicas, Scaling, StoreStatus};
use futures::{FutureExt, StreamExt, stream};
use kube::{ResourceExt, core::DynamicObject};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{StoreTier, left_behind::LeftBehind};

/// A room: all items of its kind in a platform. `observe` only reads, `apply` only writes, what is between is pure.
pub trait Tier {
    /// The worst of its items' conditions, as `AppReady`.
    const CONDITION: ConditionType;
    /// What exists now, per item.
    type Observed: Send + Sync;

    /// Reads what the plan and the status depend on, beyond the platform's children.
    fn observe(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &Children,
    ) -> impl Future<Output = Result<Self::Observed>> + Send;

    /// What should be there, in the order of application. Everything of these kinds that no plan names is pruned.
    fn plan(&self, lp: &ValidPlatform, seen: &Self::Observed, children: &Children) -> Plan;

    /// What stays as it is, though the plan does not name it: its items wait for something.
    fn kept(&self, _: &ValidPlatform, _: &Self::Observed, _: &Children) -> BTreeSet<ObjectId> {
        BTreeSet::new()
    }

    /// Makes it so. An item's error stops only the rest of that item.
    fn apply(
        &self,
        ctx: &Context,
        lp: &ValidPlatform,
        children: &Children,
        plan: &Plan,
    ) -> impl Future<Output = Outcome> + Send {
        carry_out(ctx, lp, children, plan)
    }

    /// What the items are like, from what was observed, and the children as the apply left them: what it changed counts
    /// as under way, and its own event wakes the next pass.
    fn status(&self, lp: &ValidPlatform, seen: &Self::Observed, children: &Children) -> TierStatus;
}

/// The platform's existing children, listed once per pass, with `managedFields`.
#[derive(Clone, Debug, Default)]
pub struct Children(pub BTreeMap<ObjectId, DynamicObject>);

impl Children {
    /// A child by kind and name.
    pub fn get(&self, kind: Kind, name: &str) -> Option<&DynamicObject> {
        self.0.get(&ObjectId { kind, name: name.to_owned() })
    }

    /// The children that were made for an item.
    pub fn of(&self, item: &str) -> BTreeSet<ObjectId> {
        let made_for = |object: &DynamicObject| object.labels().get(COMPONENT).is_some_and(|label| label == item);
        self.0.iter().filter(|(_, object)| made_for(object)).map(|(id, _)| id.clone()).collect()
    }

    /// A child in its typed form; None if it is missing or does not have that form.
    pub fn typed<K: serde::de::DeserializeOwned>(&self, kind: Kind, name: &str) -> Option<K> {
        let value = serde_json::to_value(self.get(kind, name)?).ok()?;
        serde_json::from_value(value).ok()
    }
}

/// One object to apply.
#[derive(Clone, Debug)]
pub struct Step {
    /// The item (the app, the cache, the database) it belongs to; names are unique among all of them.
    pub item: String,
    /// Who owns its fields.
    pub manager: FieldManager,
    /// The object as wanted: types and name set, no namespace, no owner.
    pub object: DynamicObject,
}

/// What to apply, in order.
pub type Plan = Vec<Step>;

/// What an apply came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Items with an object that was changed.
    pub changed: BTreeSet<String>,
    /// Items that differ from what is wanted, but may not be written (suspended).
    pub pending: BTreeSet<String>,
    /// The first error of an item.
    pub failures: BTreeMap<String, Error>,
    /// Everything that is there.
    pub applied: BTreeMap<ObjectId, DynamicObject>,
}

impl Outcome {
    /// What `other` came to, too.
    pub fn add(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.pending.extend(other.pending);
        self.failures.extend(other.failures);
        self.applied.extend(other.applied);
    }
}

/// What a room says about its items, by item name.
#[derive(Clone, Debug, Default)]
pub struct TierStatus {
    /// Per item.
    pub items: BTreeMap<String, ItemStatus>,
    /// What it says of no item: of data that no item names.
    pub waiting: Option<Verdict>,
}

/// What a room says about an item; rooms fill different parts of it.
#[derive(Clone, Debug, Default)]
pub struct ItemStatus {
    /// Conditions of the item; the platform's are the worst of each type.
    pub verdicts: Vec<Verdict>,
    /// Where it is reached; of stores.
    pub address: Option<String>,
    /// Image that runs.
    pub image: Option<String>,
    /// Pods.
    pub replicas: Option<Replicas>,
    /// Why there are as many pods as there are.
    pub scaling: Option<Scaling>,
    /// Jobs.
    pub jobs: Vec<JobStatus>,
    /// What is known of a store in the cluster.
    pub store: Option<Box<StoreStatus>>,
    /// What is known of a CDN.
    pub cdn: Option<Box<CdnStatus>>,
}

/// The steps of an item.
pub fn steps(
    item: &str,
    objects: impl IntoIterator<Item = std::result::Result<DynamicObject, serde_json::Error>>,
) -> Vec<Step> {
    let step = |object: std::result::Result<DynamicObject, serde_json::Error>| {
        let object =
            object.inspect_err(|error| tracing::error!(%error, item, "a defect: an object cannot be built")).ok()?;
        Some(Step { item: item.to_owned(), manager: FieldManager::Main, object })
    };
    objects.into_iter().filter_map(step).collect()
}

/// What a room of stores says of data that no item names.
fn waiting(condition: ConditionType, tier: StoreTier, left: &LeftBehind) -> Option<Verdict> {
    let reason = Reason::DataWouldBeLeftBehind;
    (!left.waiting.is_empty()).then(|| Verdict::new(condition, State::False, reason, left.remedy(tier)))
}

/// Items that are applied at the same time (P): one whose writes are slow, an Ingress behind a webhook say, holds no other up.
const AT_ONCE: usize = 8;

/// The longest time of one write (P), which may take three requests. The API server gives a webhook at most 30 s, and a pass
/// has 60 s for all.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Applies a plan of Kubernetes objects through the one writer: items side by side, the steps of an item in order.
pub async fn carry_out(ctx: &Context, lp: &ValidPlatform, children: &Children, plan: &Plan) -> Outcome {
    let items = plan.chunk_by(|a, b| a.item == b.item);
    let items: Vec<_> = items.map(|steps| carry_out_item(ctx, lp, children, steps).boxed()).collect();
    let mut done = stream::iter(items).buffered(AT_ONCE);
    let mut outcome = Outcome::default();
    while let Some(item) = done.next().await {
        outcome.add(item);
    }
    outcome
}

/// A claim that is not there is made once, and never written over: one of its name that nobody listed holds others' data.
async fn write(ctx: &Context, lp: &ValidPlatform, step: &Step, id: &ObjectId, live: Live<'_>) -> Result<Applied> {
    if id.kind != Kind::PersistentVolumeClaim || matches!(live, Live::Known(_)) {
        return ctx.writer.apply(step.manager, &lp.owner, &step.object, live).await;
    }
    let mut claim = step.object.clone();
    claim.metadata.namespace = Some(lp.key.namespace.clone());
    let change = if ctx.writer.mode() == Mode::Observe { Change::Pending } else { Change::Created };
    match ctx.writer.claim(&claim).await {
        Ok(object) => Ok(Applied { change, object }),
        Err(error) if error.code() == Some(409) => {
            let (kind, holder) = (id.kind.to_string(), "somebody else".to_owned());
            Err(Error::NameConflict { kind, name: id.name.clone(), holder })
        }
        Err(error) => Err(error),
    }
}

async fn carry_out_item(ctx: &Context, lp: &ValidPlatform, children: &Children, steps: &[Step]) -> Outcome {
    let mut outcome = Outcome::default();
    for step in steps {
        let Some(id) = ObjectId::of(&step.object) else { continue };
        if !ctx.capabilities.now().serves(id.kind) {
            let (kind, api) = (id.kind.to_string(), id.kind.resource().api_version);
            outcome.failures.insert(step.item.clone(), Error::ApiMissing { kind, name: id.name, api });
            break;
        }
        let live = outcome.applied.get(&id).or_else(|| children.0.get(&id)).map_or(Live::Unknown, Live::Known);
        let write = write(ctx, lp, step, &id, live);
        let written = tokio::time::timeout(WRITE_TIMEOUT, write).await;
        match written.unwrap_or(Err(Error::Deadline(WRITE_TIMEOUT))) {
            Ok(Applied { change, object }) => {
                match change {
                    Change::Unchanged => {}
                    Change::Pending => drop(outcome.pending.insert(step.item.clone())),
                    Change::Created => {
                        ctx.metrics.write(id.kind.as_str(), "create");
                        outcome.changed.insert(step.item.clone());
                    }
                    Change::Configured => {
                        ctx.metrics.write(id.kind.as_str(), "apply");
                        outcome.changed.insert(step.item.clone());
                    }
                }
                if change != Change::Pending {
                    outcome.applied.insert(id, object);
                }
            }
            Err(error) => {
                if matches!(error, Error::ApiMissing { .. }) {
                    ctx.capabilities.lost(id.kind);
                }
                outcome.failures.insert(step.item.clone(), error);
                break;
            }
        }
    }
    outcome
}
