//! Which apps are evaluated, by which task.

use super::{
    Deps,
    app::{AppEntry, Kept, Memory},
    group::Group,
    plan::{AppPlan, Part, Role},
    tiers::{Look, PlatformTiers, TierPlan},
    world,
};
use crate::{
    naming::{AppKey, PlatformKey},
    prometheus::{
        SourceKey,
        batch::{Batch, batches},
    },
    tiers::autoscaling::{Calendars, policy},
    validate::{ValidApp, ValidPlatform},
};
use decide::{Bounds, Policy, Time, Tunables};
use futures::FutureExt;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
};
use tokio_util::sync::CancellationToken;

/// What the cluster holds of what a platform's scaling refers to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The texts of calendars.
    pub calendars: Calendars,
    /// Apps whose Deployment somebody else scales too, and who.
    pub conflicts: BTreeMap<String, String>,
}

/// The apps that are evaluated. Clones share them. Until the evaluation runs, platforms are only remembered.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    platforms: HashMap<PlatformKey, Known>,
    entries: HashMap<AppKey, Arc<AppEntry>>,
    engine: Option<Engine>,
}

/// What is known of a platform.
struct Known {
    spec: ValidPlatform,
    world: Option<World>,
    tiers: Arc<PlatformTiers>,
}

struct Engine {
    deps: Arc<Deps>,
    groups: HashMap<Option<Arc<SourceKey>>, Arc<Group>>,
    stop: CancellationToken,
}

impl Registry {
    /// Takes over the spec of a platform. What changed is evaluated at once, as soon as the world is known.
    pub fn sync(&self, platform: &ValidPlatform) {
        let mut inner = self.inner.lock();
        let before = inner.platforms.remove(&platform.key);
        let tiers = PlatformTiers::new(TierPlan::of(platform), before.as_ref().map(|before| &*before.tiers));
        let known =
            Known { spec: platform.clone(), world: before.and_then(|before| before.world), tiers: Arc::new(tiers) };
        inner.platforms.insert(platform.key.clone(), known);
        inner.refresh(&platform.key);
    }

    /// Takes over what a pass found of what the spec refers to.
    pub fn learn(&self, platform: &PlatformKey, found: World) {
        let mut inner = self.inner.lock();
        if let Some(known) = inner.platforms.get_mut(platform) {
            known.world = Some(found);
            inner.refresh(platform);
        }
    }

    /// The texts of a platform's calendars, as a pass read them last.
    pub fn calendars(&self, platform: &PlatformKey) -> Calendars {
        let inner = self.inner.lock();
        let world = inner.platforms.get(platform).and_then(|known| known.world.as_ref());
        world.map(|world| world.calendars.clone()).unwrap_or_default()
    }

    /// The databases of a platform that do not even accept what their apps open at their fewest pods, each with the sum.
    pub fn exceeded(&self, platform: &PlatformKey, tunables: &Tunables, look: Look<'_>) -> BTreeMap<String, String> {
        let tiers = self.inner.lock().platforms.get(platform).map(|known| known.tiers.clone());
        tiers.map(|tiers| tiers.exceeded(Time::from(jiff::Timestamp::now()), tunables, look)).unwrap_or_default()
    }

    /// Forgets a platform that is gone.
    pub fn remove(&self, platform: &PlatformKey) {
        let mut inner = self.inner.lock();
        inner.platforms.remove(platform);
        inner.refresh(platform);
    }

    /// Begins to evaluate; ends with `stop`.
    pub fn start(&self, deps: Arc<Deps>, stop: CancellationToken) {
        let mut inner = self.inner.lock();
        inner.engine = Some(Engine { deps, groups: HashMap::new(), stop });
        let platforms: Vec<_> = inner.platforms.keys().cloned().collect();
        for platform in platforms {
            inner.refresh(&platform);
        }
    }

    /// Whether nothing may be written for an app, because somebody else scales its Deployment.
    pub fn is_blocked(&self, app: &AppKey) -> bool {
        let inner = self.inner.lock();
        let world = inner.platforms.get(&app.platform_key()).and_then(|known| known.world.as_ref());
        world.is_some_and(|world| world.conflicts.contains_key(&app.app))
    }

    /// Keeps the evaluation from writing an app's HPA while the guard lives, and tells what it wrote last.
    pub async fn hold(&self, app: &AppKey) -> Option<HpaGuard> {
        let memory = self.inner.lock().entries.get(app)?.memory.clone();
        let kept = memory.kept.clone().lock_owned().await;
        Some(HpaGuard { bounds: kept.bounds, _kept: kept })
    }
}

/// See [`Registry::hold`].
pub struct HpaGuard {
    /// What the evaluation wrote last, if it has written.
    pub bounds: Option<Bounds>,
    _kept: tokio::sync::OwnedMutexGuard<Kept>,
}

impl Inner {
    /// Brings entries and groups in line with a platform, there or gone.
    fn refresh(&mut self, platform: &PlatformKey) {
        let Some(engine) = &mut self.engine else { return };
        let wanted = match self.platforms.get(platform) {
            Some(Known { spec, world: Some(world), tiers }) => entries(spec, world, tiers, &engine.deps, &self.entries),
            Some(Known { world: None, .. }) => return,
            None => Vec::new(),
        };
        let keep: BTreeSet<AppKey> = wanted.iter().map(|entry| entry.key.clone()).collect();
        let gone: Vec<AppKey> =
            self.entries.keys().filter(|key| key.platform_key() == *platform && !keep.contains(key)).cloned().collect();
        for key in gone {
            if let Some(entry) = self.entries.remove(&key) {
                entry.memory.gone.store(true, Ordering::Release);
                engine.remove(&entry);
                engine.deps.metrics.forget(&key);
            }
        }
        engine.deps.scaling.forget(platform, |key| keep.contains(key));
        for entry in wanted {
            let before = self.entries.get(&entry.key);
            if before.is_some_and(|before| before.same_as(&entry)) {
                continue;
            }
            if let Some(before) = before {
                engine.remove(before);
            }
            let entry = Arc::new(entry);
            engine.insert(&entry);
            self.entries.insert(entry.key.clone(), entry);
        }
    }
}

impl Engine {
    fn insert(&mut self, entry: &Arc<AppEntry>) {
        for key in groups_of(entry) {
            let group = self.groups.entry(key.clone()).or_insert_with(|| {
                let api = key.as_ref().map(|key| (self.deps.sources)(key));
                let group = Arc::new(Group::new(key, api, self.stop.child_token()));
                self.deps.tasks.spawn(evaluate(group.clone(), self.deps.clone()));
                group
            });
            group.insert(entry);
        }
    }

    fn remove(&mut self, entry: &AppEntry) {
        for key in groups_of(entry) {
            if let Some(group) = self.groups.get(&key)
                && group.remove(&entry.key)
            {
                group.stop.cancel();
                self.groups.remove(&key);
            }
        }
    }
}

/// Runs a group until it is stopped; a fault of ours in it ends one tick and not the evaluation of all its apps.
async fn evaluate(group: Arc<Group>, deps: Arc<Deps>) {
    while AssertUnwindSafe(group.clone().run(deps.clone())).catch_unwind().await.is_err() {
        tracing::error!("an evaluation panicked and begins anew");
        tokio::time::sleep(deps.interval).await;
    }
}

/// The servers an app reads from, and none where it is decided without one.
fn groups_of(entry: &AppEntry) -> BTreeSet<Option<Arc<SourceKey>>> {
    let mut keys: BTreeSet<_> = entry.plan.servers().map(|key| Some(key.clone())).collect();
    keys.insert(entry.plan.owner());
    keys
}

fn entries(
    platform: &ValidPlatform,
    world: &World,
    tiers: &Arc<PlatformTiers>,
    deps: &Deps,
    before: &HashMap<AppKey, Arc<AppEntry>>,
) -> Vec<AppEntry> {
    platform.apps.iter().filter_map(|app| entry(platform, app, (world, tiers), deps, before.get(&app.key))).collect()
}

fn entry(
    platform: &ValidPlatform,
    app: &ValidApp,
    (world, tiers): (&World, &Arc<PlatformTiers>),
    deps: &Deps,
    before: Option<&Arc<AppEntry>>,
) -> Option<AppEntry> {
    let (scaling, autoscaling) = (app.scaling.as_ref()?, app.spec.autoscaling.as_ref()?);
    let mapped =
        policy::map(platform.prometheus.as_ref(), autoscaling, &scaling.tunables, &world.calendars, (deps.clock)());
    let mapped =
        mapped.inspect_err(|errors| tracing::error!(app = %app.key, ?errors, "a valid spec gives no policy")).ok()?;
    let annotation = platform.annotations.get(&format!("{}{}", crds::HOLD_ANNOTATION_PREFIX, app.key.app));
    let same_plan = before.filter(|before| before.plan == scaling.plan);
    let memory = match (before, same_plan) {
        (_, Some(same)) => same.memory.clone(),
        // Replies are filed by their place in the plan: those to another plan mean nothing.
        (Some(before), None) => Arc::new(before.memory.without_readings()),
        (None, _) => Arc::new(Memory::default()),
    };
    let remembered = platform.status.apps.iter().find(|status| status.name == app.key.app);
    Some(AppEntry {
        key: app.key.clone(),
        owner: platform.owner.clone(),
        app: app.spec.clone(),
        autoscaling: autoscaling.clone(),
        plan: scaling.plan.clone(),
        queries: queries(&scaling.plan, &mapped.policy).into(),
        policy: mapped.policy,
        hold: annotation.and_then(|value| world::hold(value).ok()),
        blocked: platform.suspended() || world.conflicts.contains_key(&app.key.app),
        remembered: remembered.and_then(|app| app.scaling.as_ref()).map(|s| s.decisions.clone()).unwrap_or_default(),
        tiers: tiers.clone(),
        memory,
    })
}

/// The expressions that are asked, by signal, as if for this app alone.
fn queries(plan: &AppPlan, policy: &Policy) -> Vec<(String, Arc<str>)> {
    let mut queries = Vec::new();
    for source in &plan.sources {
        let name = match source.role {
            Role::Demand(index) => policy.demand.get(index).map(|demand| &demand.name),
            Role::Latency => policy.latency.as_ref().map(|latency| &latency.name),
        };
        for (part, ask) in &source.always {
            let what = match part {
                Part::Long => "",
                Part::Short => ", for raising",
                Part::Freshness => ", newest sample",
                _ => continue,
            };
            let expression = batches(std::slice::from_ref(ask), 1).first().map(Batch::expression);
            let name = name.map_or("", |name| name.as_ref());
            queries.extend(expression.map(|expression| (format!("{name}{what}"), expression)));
        }
    }
    queries
}

impl AppEntry {
    /// Whether a change of the spec or the world is none for this app.
    fn same_as(&self, other: &Self) -> bool {
        self.owner == other.owner
            && self.app == other.app
            && self.plan == other.plan
            && self.policy == other.policy
            && self.hold == other.hold
            && self.blocked == other.blocked
            && self.tiers.plan == other.tiers.plan
    }
}
