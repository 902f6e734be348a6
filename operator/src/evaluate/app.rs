//! One app: what is asked for it, what is remembered of it, and the step from a decision to the cluster.

use super::{
    Deps,
    growth::Growth,
    plan::AppPlan,
    readings::{self, Readings, Serving},
    scaling::ScalingView,
    tiers::PlatformTiers,
    world,
};
use crate::{
    naming::{AppKey, Owner},
    tiers::autoscaling::{has_metric, hpa, hpa::bounds_of},
};
use crds::{
    status::{Hold, PastDecision, Reason},
    tiers::{app::App, autoscaling::Autoscaling},
};
use decide::{Adopted, Bounds, Decision, Input, ManualHold, Policy, Replicas, Rollout, Running, State, Time};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::ResourceExt;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long a write may take before it counts as failed (P).
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Intervals that a reply from another task's server may be old.
const PATIENCE: u32 = 3;

/// What is decided on, as of the last change of its spec or of what the spec refers to.
pub struct AppEntry {
    /// Identity.
    pub key: AppKey,
    /// Owner of the HPA.
    pub owner: Owner,
    /// The app as written.
    pub app: App,
    /// Its scaling as written.
    pub autoscaling: Autoscaling,
    /// What is asked.
    pub plan: AppPlan,
    /// What is decided by.
    pub policy: Policy,
    /// The hold annotation.
    pub hold: Option<(Hold, ManualHold)>,
    /// Nothing may be written, so nothing is decided: suspended, or somebody else scales the Deployment.
    pub blocked: bool,
    /// The changes of the bounds that status remembers, for a first decision.
    pub remembered: Vec<PastDecision>,
    /// The expressions that are asked, by signal.
    pub queries: Arc<[(String, Arc<str>)]>,
    /// The databases of its platform.
    pub tiers: Arc<PlatformTiers>,
    /// What earlier ticks left behind; kept when the spec changes.
    pub memory: Arc<Memory>,
}

/// What earlier ticks of an app left behind.
#[derive(Default)]
pub struct Memory {
    /// Held while a decision is carried out, by a tick or by a pass.
    pub(super) kept: Arc<tokio::sync::Mutex<Kept>>,
    /// Per source of the plan.
    pub(super) readings: parking_lot::Mutex<Vec<Readings>>,
    /// The demand that called for a tick out of turn last.
    pub(super) glanced: parking_lot::Mutex<Option<f64>>,
    /// The app is no longer evaluated: what is still under way writes nothing more.
    pub(super) gone: Arc<AtomicBool>,
}

/// What earlier decisions of an app left behind.
#[derive(Default)]
pub struct Kept {
    state: Option<State>,
    /// Generation and hash of the template that the Deployment's controller has seen.
    template: Option<(Option<i64>, u64)>,
    /// The HPA that was found as wanted: its version, and what was wanted.
    settled: Option<(String, HorizontalPodAutoscaler)>,
    growth: Growth,
    /// What was written last.
    pub(super) bounds: Option<Bounds>,
}

impl Memory {
    /// The same memory of decisions, with nothing of what servers said.
    pub(super) fn without_readings(&self) -> Self {
        Self { kept: self.kept.clone(), gone: self.gone.clone(), ..Self::default() }
    }
}

impl AppEntry {
    /// Decides and carries it out. Does nothing while an earlier decision is still being carried out.
    pub(super) async fn step(self: Arc<Self>, deps: Arc<Deps>, now: Time) {
        // A pass holds the lock for moments, a slow write for longer than the next tick is away.
        let Ok(mut kept) = tokio::time::timeout(deps.interval / 2, self.memory.kept.lock()).await else { return };
        if self.blocked {
            *kept = Kept::default();
            deps.metrics.forget(&self.key);
            return;
        }
        let Some(deployment) = deps.cluster.deployment(&self.owner, &self.key) else {
            // Nothing is decided, so the metrics must not go on to say when it was last.
            deps.metrics.forget(&self.key);
            return;
        };
        let live = deps.cluster.hpa(&self.key);
        let replicas = world::replicas(&deployment, live.as_deref());
        let rollout = world::rollout(&deployment, kept.template(&deployment));
        let added = kept.growth.added(now, replicas.desired, rollout.under_way());
        let state =
            kept.state.get_or_insert_with(|| self.adopt(live.as_deref(), replicas.desired, replicas.observed(), now));
        let floor_before = state.floor();
        let mut next = state.clone();
        let input = self.input(&deps, now, replicas, added, rollout, live.as_deref());
        let tiers = self.tiers.at(now, &self.key, &self.owner, &self.policy.tunables, &*deps.cluster);
        let decision = decide::advance_with(&self.policy, &mut next, &input, &tiers);

        let observed = replicas.observed();
        let running = Running { own_metric: has_metric(&self.autoscaling), floor: floor_before, pods: observed };
        let before = kept.bounds.or_else(|| bounds_of(live.as_deref()?));
        let bounds = Bounds::after(before, &decision.write, running);
        let desired = replicas.desired;
        let failure =
            match self.carry_out(&deps, &mut kept, live.as_deref(), bounds, desired, decision.write.scale).await {
                Ok(()) => {
                    // What was not written has not been decided: the state moves on only with the cluster.
                    kept.state = Some(next);
                    kept.bounds = Some(bounds);
                    None
                }
                Err(error) => {
                    tracing::warn!(app = %self.key, %error, "bounds could not be written");
                    Some((error.reason(), error.to_string()))
                }
            };
        let written = kept.bounds;
        drop(kept);
        if !self.memory.gone.load(Ordering::Acquire) {
            self.publish(&deps, Arc::new(decision), written, failure, observed, replicas.ready).await;
        }
    }

    /// The state of an app that this process has not decided on yet.
    fn adopt(&self, live: Option<&HorizontalPodAutoscaler>, desired: u32, observed: u32, now: Time) -> State {
        let spec = live.and_then(|hpa| hpa.spec.as_ref());
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        // A first HPA begins at the spec's minimum: a Deployment that was just made still has the server's one replica.
        let first = self.policy.min_replicas.max(observed.min(self.policy.max_replicas));
        let mut floor = Some(spec.map_or(first, |spec| count(spec.min_replicas.unwrap_or(1))));
        // An HPA cannot say zero.
        if desired == 0 && self.policy.min_replicas == 0 && floor == Some(1) {
            floor = Some(0);
        }
        // Without a metric of its own an HPA carries the floor as its maximum: what the cap was, status remembers.
        let decided = self.remembered.first().map(|past| count(past.cap));
        let cap = if has_metric(&self.autoscaling) { spec.map(|spec| count(spec.max_replicas)) } else { decided };
        State::adopt(&self.policy, now, Adopted { floor, cap, observed })
    }

    fn input(
        &self,
        deps: &Deps,
        now: Time,
        replicas: Replicas,
        added: u32,
        rollout: Rollout,
        hpa: Option<&HorizontalPodAutoscaler>,
    ) -> Input {
        let patience = decide::Duration::from(deps.interval).times(PATIENCE);
        let serving = Serving { ready: replicas.ready, added };
        let readings = self.memory.readings.lock();
        let (demand, latency, error_share) =
            readings::inputs(&self.plan, &readings, &self.policy, now, patience, serving);
        Input {
            now,
            demand,
            latency,
            error_share,
            replicas,
            hpa_metrics: hpa.map(world::hpa_metrics).unwrap_or_default(),
            rollout,
            holds: self.hold.iter().map(|(_, manual)| manual.clone()).collect(),
        }
    }

    /// Writes what differs: the HPA; the count itself where the HPA is off (to and from zero), or where it would reach the
    /// floor only at its next sync.
    async fn carry_out(
        &self,
        deps: &Deps,
        kept: &mut Kept,
        live: Option<&HorizontalPodAutoscaler>,
        bounds: Bounds,
        desired: u32,
        scale: Option<u32>,
    ) -> Result<(), crate::error::Error> {
        let Some(wanted) = hpa(&self.owner, &self.app, bounds) else { return Ok(()) };
        let version = live.and_then(ResourceExt::resource_version).unwrap_or_default();
        let settled = kept.settled.as_ref().is_some_and(|(seen, was)| *seen == version && *was == wanted);
        let below = desired > 0 && desired < bounds.min && scale.is_none();
        if settled && scale.is_none() && !below {
            return Ok(());
        }
        let _permit = deps.writes.acquire().await;
        if self.memory.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let late = || crate::error::Error::Deadline(WRITE_TIMEOUT);
        if !settled {
            let applied = tokio::time::timeout(WRITE_TIMEOUT, deps.cluster.apply(&self.owner, &wanted, live)).await;
            if !applied.map_err(|_| late())?? {
                kept.settled = Some((version, wanted));
            }
        }
        let name = self.key.object_name();
        if below {
            let raised = tokio::time::timeout(WRITE_TIMEOUT, deps.cluster.raise(&self.owner, &name, bounds.min)).await;
            // The bounds are written: whatever kept this from being written, the HPA makes good.
            if let Err(error) = raised.map_err(|_| late()).and_then(|done| done) {
                tracing::info!(app = %self.key, %error, "left to the HPA");
            }
        }
        if let Some(replicas) = scale {
            tokio::time::timeout(WRITE_TIMEOUT, deps.cluster.scale(&self.owner, &name, replicas))
                .await
                .map_err(|_| late())??;
        }
        Ok(())
    }

    async fn publish(
        &self,
        deps: &Deps,
        decision: Arc<Decision>,
        bounds: Option<Bounds>,
        failure: Option<(Reason, String)>,
        observed: u32,
        ready: u32,
    ) {
        let before = deps.scaling.get(&self.key);
        let hold = self.hold.as_ref().filter(|(_, manual)| manual.until > decision.at).map(|(hold, _)| hold.clone());
        let count = |replicas: u32| i32::try_from(replicas).unwrap_or(i32::MAX);
        let fresh = ScalingView {
            floor: count(decision.write.floor),
            cap: count(decision.write.cap),
            bounds,
            live: decision.clone(),
            published: decision.clone(),
            first: true,
            decisions: Vec::new(),
            hold,
            observed,
            ready,
            pause: self.policy.pause,
            failure,
            queries: self.queries.clone(),
        };
        let (view, changed) = ScalingView::after(before.as_ref(), &self.remembered, &decision, fresh);
        deps.metrics.decided(&self.key, &decision, observed, ready);
        deps.scaling.put(&self.key, view);
        if changed {
            // A closed channel means that nobody reports any more: shutdown.
            let _ = deps.wake.send(self.key.platform_key()).await;
        }
    }
}

impl Kept {
    /// The hash of the template that the Deployment's controller has seen last; computed only when the spec changes.
    fn template(&mut self, deployment: &Deployment) -> Option<u64> {
        let generation = deployment.metadata.generation;
        let known = self.template.is_some_and(|(seen, _)| seen == generation);
        if !known && world::is_observed(deployment) {
            self.template = Some((generation, world::template_hash(deployment)));
        }
        self.template.map(|(_, hash)| hash)
    }
}
