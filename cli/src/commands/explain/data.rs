//! What there is to explain: the operator's live answer, or what status remembers.

use super::schedules::NextWindow;
use crds::{
    LearningPlatform,
    status::{Hold, PastDecision},
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;
use operator::evaluate::world;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where an explanation is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The operator, a moment ago.
    Live,
    /// The last change in meaning, from the platform's status.
    #[default]
    Status,
}

/// Why an app has as many pods as it has. The operator's read endpoint answers with the first part; what lpctl adds
/// stands below.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// Namespace.
    pub namespace: String,
    /// Platform.
    pub platform: String,
    /// App.
    pub app: String,
    /// Fewest pods now.
    pub floor: i64,
    /// Most pods now.
    pub cap: i64,
    /// Pods that are wanted now.
    pub observed: i64,
    /// Pods that are ready now.
    pub ready: i64,
    /// What was written into the HPA last.
    pub written: Option<Written>,
    /// One sentence: what decides now.
    pub sentence: String,
    /// The decision, with every stage.
    pub decision: Decision,
    /// The last changes of the bounds, newest first.
    pub decisions: Vec<PastDecision>,
    /// The manual hold in force.
    pub hold: Option<Hold>,
    /// Which writes are suppressed: `None`, `ScaleIn`, `ScaleOut`, `All`.
    pub pause: Value,
    /// Why the last write failed.
    pub failure: Option<ReasonAndMessage>,
    /// The expressions that are asked, by signal.
    pub queries: Vec<Query>,

    /// Where this is from.
    pub source: Source,
    /// The operator has not seen the newest spec yet.
    pub stale: bool,
    /// What the HPA itself says.
    pub hpa: Option<Hpa>,
    /// The schedule that opens or closes next.
    pub next_schedule: Option<NextWindow>,
    /// What could not be found out.
    pub notes: Vec<String>,
}

/// Bounds as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Written {
    /// Fewest pods.
    pub min_replicas: i64,
    /// Most pods.
    pub max_replicas: i64,
}

/// A decision, as the core serialises it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Decision {
    /// When it was made.
    pub at: Value,
    /// What it asks for, paused or not.
    pub floor: i64,
    /// What set the floor, in one word.
    pub reason: String,
    /// The demand signals.
    pub signals: Vec<Signal>,
    /// The latency, where there is a budget.
    pub latency: Option<LatencySignal>,
    /// The steps from demand to floor.
    pub stages: Vec<Stage>,
    /// Whether the signals have values.
    pub metrics: Option<ReasonAndMessage>,
    /// What else is worth knowing.
    pub findings: Vec<ReasonAndMessage>,
    /// What holds the count where it is.
    pub held_by: String,
    /// At which values the floor would move.
    pub would_scale_if: Vec<Hint>,
}

/// A demand signal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Signal {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// State of its sample, a sentence.
    pub state: String,
    /// Value.
    pub value: Option<f64>,
    /// Age of the newest raw sample in milliseconds.
    pub age: Option<f64>,
    /// Pods it asks for.
    pub proposal: Option<i64>,
    /// Share of its capacity that a pod is taken to carry.
    pub k: f64,
    /// What a pod is planned to carry.
    pub per_pod: f64,
    /// Between health and fallback.
    pub failure: String,
}

/// The latency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencySignal {
    /// Name.
    pub name: String,
    /// State of its sample, a sentence.
    pub state: String,
    /// Seconds.
    pub value: Option<f64>,
    /// Seconds.
    pub budget: f64,
    /// Whether it is over budget.
    pub over_budget: bool,
}

/// A stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// Which.
    pub name: String,
    /// Pods before it.
    pub before: i64,
    /// Pods after it.
    pub after: i64,
    /// Why.
    pub why: String,
}

/// A word and a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReasonAndMessage {
    /// The word.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// A value at which the floor would move.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hint {
    /// The signal.
    pub signal: String,
    /// Unit.
    pub unit: String,
    /// Above it the floor rises.
    pub raises_above: Option<f64>,
    /// At or below it, for long enough, the floor falls.
    pub lowers_at: Option<f64>,
}

/// An expression that is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// The signal.
    pub signal: String,
    /// PromQL.
    pub query: String,
}

/// What the HPA says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hpa {
    /// Pods it wants.
    pub desired: i64,
    /// Fewest pods it may set.
    pub min_replicas: i64,
    /// Most pods it may set.
    pub max_replicas: i64,
    /// Its metrics, the one that asks for most first.
    pub metrics: Vec<HpaMetric>,
    /// Why it cannot scale, in its own words.
    pub problem: Option<String>,
}

/// A metric of the HPA.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HpaMetric {
    /// Name.
    pub name: String,
    /// Value now.
    pub current: f64,
    /// Target.
    pub target: f64,
    /// Pods it asks for.
    pub wants: i64,
}

/// Difference from the target that the HPA takes for none; its controller's default.
const TOLERANCE: f64 = 0.1;

impl Hpa {
    /// What an HPA says of itself.
    pub fn of(hpa: &HorizontalPodAutoscaler) -> Self {
        let status = hpa.status.clone().unwrap_or_default();
        let now = f64::from(status.current_replicas.unwrap_or(0));
        let wants = |ratio: f64| {
            // A ratio near 1 changes nothing; no count of pods is beyond i64.
            #[allow(clippy::cast_possible_truncation)]
            let pods = if (ratio - 1.0).abs() <= TOLERANCE { now } else { (now * ratio).ceil() } as i64;
            pods
        };
        let mut metrics: Vec<HpaMetric> = world::hpa_metrics(hpa)
            .into_iter()
            .map(|m| HpaMetric {
                name: m.name.to_string(),
                current: m.current,
                target: m.target,
                wants: wants(m.current / m.target),
            })
            .collect();
        metrics.sort_by_key(|m| std::cmp::Reverse(m.wants));
        let wrong = ["AbleToScale", "ScalingActive"];
        let problem =
            status.conditions.iter().flatten().find(|c| wrong.contains(&c.type_.as_str()) && c.status == "False");
        Self {
            desired: status.desired_replicas.into(),
            min_replicas: hpa.spec.as_ref().and_then(|s| s.min_replicas).unwrap_or(1).into(),
            max_replicas: hpa.spec.as_ref().map_or(0, |s| s.max_replicas).into(),
            metrics,
            problem: problem.map(|c| c.message.clone().or_else(|| c.reason.clone()).unwrap_or_default()),
        }
    }

    /// What holds the count of pods, where the operator could not be asked.
    pub fn holds(&self, observed: i64, floor: i64) -> String {
        let above = self.metrics.first().filter(|m| m.wants > floor && observed > floor);
        match above {
            Some(m) => format!(
                "the HPA's {} metric holds {observed} pods: at {} of a target of {} it asks for {}, above the floor of {floor}",
                m.name, m.current, m.target, m.wants
            ),
            None if observed > floor => {
                format!("the HPA holds {observed} pods, above the floor of {floor}: by its own metrics or windows")
            }
            None => format!("the floor holds {observed} pods"),
        }
    }
}

impl Explanation {
    /// What the status of a platform knows of an app.
    pub fn from_status(platform: &LearningPlatform, app: &str) -> Self {
        let status =
            platform.status.as_ref().and_then(|s| s.apps.iter().find(|a| a.name == app)).cloned().unwrap_or_default();
        let replicas = status.replicas.unwrap_or_default();
        let condition = status.conditions.iter().find(|c| c.type_ == "MetricsAvailable");
        let metrics = condition.map(|c| ReasonAndMessage { reason: c.reason.clone(), message: c.message.clone() });
        let scaling = status.scaling.unwrap_or_default();
        Self {
            namespace: platform.namespace().unwrap_or_default(),
            platform: platform.name_any(),
            app: app.to_owned(),
            floor: scaling.floor.into(),
            cap: scaling.cap.into(),
            observed: replicas.desired.into(),
            ready: replicas.ready.into(),
            sentence: scaling.reason,
            decision: Decision {
                floor: scaling.floor.into(),
                stages: scaling
                    .stages
                    .into_iter()
                    .map(|s| Stage { name: s.name, before: s.before.into(), after: s.after.into(), why: s.why })
                    .collect(),
                metrics,
                ..Decision::default()
            },
            decisions: scaling.decisions,
            hold: scaling.hold,
            ..Self::default()
        }
    }
}
