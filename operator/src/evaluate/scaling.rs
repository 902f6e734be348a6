//! What the evaluation tasks have decided, for status, the read endpoint and the first replica count.

use crate::{
    conditions::{State, Verdict},
    naming::{AppKey, PlatformKey},
};
use crds::status::{ConditionType, Hold, PastDecision, Reason, Scaling, Stage};
use decide::{Bounds, Decision, Finding, MetricsReason, Pause};
use parking_lot::RwLock;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};

/// How many changes of the bounds are remembered (P).
const REMEMBERED: usize = 10;

/// What is known of an app's scaling.
#[derive(Clone, Debug)]
pub struct ScalingView {
    /// Fewest pods, as written.
    pub floor: i32,
    /// Most pods, as written.
    pub cap: i32,
    /// What was written into the HPA last; none before the first write.
    pub bounds: Option<Bounds>,
    /// The decision of the last tick.
    pub live: Arc<Decision>,
    /// The decision of the last change in meaning: what status tells.
    pub published: Arc<Decision>,
    /// Nothing has changed in meaning since this process began to decide.
    pub first: bool,
    /// The last changes of the bounds, newest first.
    pub decisions: Vec<PastDecision>,
    /// The manual hold in force.
    pub hold: Option<Hold>,
    /// Pods that are wanted now.
    pub observed: u32,
    /// Pods that are ready now.
    pub ready: u32,
    /// Which writes are suppressed.
    pub pause: Pause,
    /// Why the last write failed.
    pub failure: Option<(Reason, String)>,
    /// The expressions that are asked, by signal.
    pub queries: Arc<[(String, Arc<str>)]>,
}

/// The views of all apps.
#[derive(Debug, Default)]
pub struct ScalingStore {
    views: RwLock<HashMap<AppKey, Arc<ScalingView>>>,
}

impl ScalingStore {
    /// What is known of an app.
    pub fn get(&self, key: &AppKey) -> Option<ScalingView> {
        self.views.read().get(key).map(|view| (**view).clone())
    }

    /// Everything there is to tell of an app, live: the body of the read endpoint.
    pub fn explain(&self, key: &AppKey) -> Option<serde_json::Value> {
        let view = self.views.read().get(key).cloned()?;
        Some(view.explain(key))
    }

    pub(super) fn put(&self, key: &AppKey, view: ScalingView) {
        self.views.write().insert(key.clone(), Arc::new(view));
    }

    pub(super) fn forget(&self, platform: &PlatformKey, keep: impl Fn(&AppKey) -> bool) {
        self.views.write().retain(|key, _| key.platform_key() != *platform || keep(key));
    }
}

impl ScalingView {
    /// The view after a tick, and whether status has something new to tell: `before` is the one of the tick before, `remembered` what status knew before there was any.
    pub(super) fn after(
        before: Option<&Self>,
        remembered: &[PastDecision],
        decision: &Arc<Decision>,
        mut fresh: Self,
    ) -> (Self, bool) {
        let changed = before.is_none_or(|before| {
            before.published.differs_in_meaning(decision)
                || before.hold != fresh.hold
                || before.failure != fresh.failure
        });
        fresh.first = before.is_none_or(|before| before.first && !changed);
        fresh.published = if changed { decision.clone() } else { before.map_or(decision, |b| &b.published).clone() };
        fresh.decisions = before.map_or(remembered, |before| &before.decisions).to_vec();
        let (floor, cap) = (count(decision.write.floor), count(decision.write.cap));
        let newest = fresh.decisions.first().map(|past| (past.floor, past.cap));
        if newest != Some((floor, cap)) {
            let past = PastDecision { at: decision.at.to_string(), floor, cap, reason: decision.sentence() };
            fresh.decisions.insert(0, past);
            fresh.decisions.truncate(REMEMBERED);
        }
        (fresh, changed)
    }

    /// The part of the status that explains the count of pods.
    pub fn status(&self) -> Scaling {
        let stage = |stage: &decide::Stage| Stage {
            name: serde_json::to_value(stage.name)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default(),
            before: count(stage.before),
            after: count(stage.after),
            why: stage.why.to_string(),
        };
        Scaling {
            floor: count(self.published.write.floor),
            cap: count(self.published.write.cap),
            reason: self.published.sentence(),
            stages: self.published.stages.iter().map(stage).collect(),
            decisions: self.decisions.clone(),
            hold: self.hold.clone(),
        }
    }

    /// `AutoscalingReady`, and `MetricsAvailable` where there are signals.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = vec![self.ready_verdict()];
        verdicts.extend(self.metrics_verdict());
        verdicts
    }

    fn ready_verdict(&self) -> Verdict {
        let verdict =
            |state, reason, message: String| Verdict::new(ConditionType::AutoscalingReady, state, reason, message);
        if let Some((reason, message)) = &self.failure {
            return verdict(State::False, *reason, message.clone());
        }
        let bounds = format!("between {} and {} pods", self.published.write.floor, self.published.write.cap);
        if let Some(hold) = &self.hold {
            let reason = if hold.reason.is_empty() { String::new() } else { format!(" ({})", hold.reason) };
            let message = format!("{bounds}; at least {} by hand until {}{reason}", hold.floor, hold.until);
            return verdict(State::True, Reason::Held, message);
        }
        if self.pause != Pause::None {
            return verdict(State::True, Reason::Paused, format!("{bounds}; {:?} is paused", self.pause));
        }
        if let Some(bottleneck) = &self.published.bottleneck {
            return verdict(State::True, Reason::BottleneckElsewhere, format!("{bounds}; {bottleneck}"));
        }
        let told = self.published.findings.iter().find_map(|finding| Some((finding_reason(finding)?, finding)));
        match told {
            Some((reason, finding)) => verdict(State::True, reason, format!("{bounds}; {finding}")),
            None => verdict(State::True, Reason::Succeeded, bounds),
        }
    }

    fn metrics_verdict(&self) -> Option<Verdict> {
        let metrics = self.published.metrics.as_ref()?;
        let verdict =
            |state, reason, message: String| Verdict::new(ConditionType::MetricsAvailable, state, reason, message);
        if metrics.status
            && let Some(finding) =
                self.published.findings.iter().find(|f| matches!(f, Finding::BudgetNotResolvable { .. }))
        {
            return Some(verdict(State::False, Reason::BudgetNotResolvable, finding.to_string()));
        }
        let state = if metrics.status { State::True } else { State::False };
        Some(verdict(state, metrics_reason(metrics.reason), metrics.to_string()))
    }

    fn explain(&self, key: &AppKey) -> serde_json::Value {
        let queries: Vec<_> =
            self.queries.iter().map(|(signal, expression)| json!({"signal": signal, "query": expression})).collect();
        json!({
            "namespace": key.namespace, "platform": key.platform, "app": key.app,
            "floor": self.floor, "cap": self.cap, "observed": self.observed, "ready": self.ready,
            "written": self.bounds.map(|bounds| json!({"minReplicas": bounds.min, "maxReplicas": bounds.max})),
            "sentence": self.live.sentence(),
            "decision": &*self.live,
            "decisions": self.decisions,
            "hold": self.hold,
            "pause": self.pause,
            "failure": self.failure.as_ref().map(|(reason, message)| json!({"reason": reason.as_str(), "message": message})),
            "queries": queries,
        })
    }
}

fn finding_reason(finding: &Finding) -> Option<Reason> {
    Some(match finding {
        Finding::LatencyNotHelpedByPods { .. } => Reason::LatencyNotHelpedByPods,
        Finding::RolloutStuck => Reason::RolloutStuck,
        Finding::ScheduleConflict { .. } => Reason::ScheduleConflict,
        Finding::DemandCollapsed { .. } => Reason::DemandCollapsed,
        // Told by MetricsAvailable.
        Finding::BudgetNotResolvable { .. } => return None,
    })
}

fn metrics_reason(reason: MetricsReason) -> Reason {
    match reason {
        MetricsReason::Available => Reason::Succeeded,
        MetricsReason::Settling => Reason::Settling,
        MetricsReason::NoSeries => Reason::NoSeries,
        MetricsReason::SeriesNeverSeen => Reason::SeriesNeverSeen,
        MetricsReason::NotANumber => Reason::NotANumber,
        MetricsReason::StaleSample => Reason::StaleSample,
        MetricsReason::AmbiguousResult => Reason::AmbiguousResult,
        MetricsReason::SourceUnavailable => Reason::SourceUnavailable,
        MetricsReason::SourceMisconfigured => Reason::SourceMisconfigured,
    }
}

fn count(replicas: u32) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}
