//! What the status of CloudNativePG's `Cluster` says, as far as it is read. Pure.

use kube::core::DynamicObject;
use serde_json::Value;
use std::collections::BTreeMap;

/// The phase of a `Cluster` that is as asked for (`PhaseHealthy` in CloudNativePG's `api/v1`).
pub const HEALTHY: &str = "Cluster in healthy state";

/// What a `Cluster` reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// What CloudNativePG is doing; empty before its first word.
    pub phase: String,
    /// Why, where it says so.
    pub why: String,
    /// Servers that there are.
    pub instances: u64,
    /// Of them ready.
    pub ready: u64,
    /// The pod of the primary.
    pub primary: Option<String>,
    /// The pod that is to be the primary.
    pub target: Option<String>,
    /// Whose data it holds; none before they are made.
    pub system_identifier: Option<String>,
    /// Set where its servers hold data of different origins.
    pub mixed: Option<String>,
    /// How each server is: a word of CloudNativePG's, such as `healthy`, and the timeline that it is on.
    pub servers: BTreeMap<String, (String, Option<i64>)>,
}

impl Reported {
    /// What a `Cluster` reports.
    pub fn of(cluster: &DynamicObject) -> Self {
        let status = &cluster.data["status"];
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let name = |field: &str| Some(text(field)).filter(|name| !name.is_empty());
        let count = |field: &str| status[field].as_u64().unwrap_or_default();
        Self {
            phase: text("phase"),
            why: text("phaseReason"),
            instances: count("instances"),
            ready: count("readyInstances"),
            primary: name("currentPrimary"),
            target: name("targetPrimary"),
            system_identifier: name("systemID"),
            mixed: mixed(&status["conditions"]),
            servers: servers(status),
        }
    }

    /// Replicas that are on another timeline than the primary: they do not follow it.
    pub fn astray(&self) -> Vec<&str> {
        let timeline = |pod: &str| self.servers.get(pod).and_then(|(_, timeline)| *timeline);
        let Some(leads) = self.primary.as_deref().and_then(timeline) else { return Vec::new() };
        let is_other = |timeline: Option<i64>| timeline.is_some_and(|timeline| timeline != leads);
        let astray = self.servers.iter().filter(|(_, (_, timeline))| is_other(*timeline));
        astray.map(|(pod, _)| pod.as_str()).collect()
    }
}

/// What the condition `ConsistentSystemID` says where it does not hold.
fn mixed(conditions: &Value) -> Option<String> {
    let mut conditions = conditions.as_array()?.iter();
    let found = conditions.find(|condition| condition["type"] == "ConsistentSystemID")?;
    (found["status"] == "False").then(|| found["message"].as_str().unwrap_or_default().to_owned())
}

fn servers(status: &Value) -> BTreeMap<String, (String, Option<i64>)> {
    let mut servers = BTreeMap::new();
    for (word, pods) in status["instancesStatus"].as_object().into_iter().flatten() {
        for pod in pods.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let timeline = status["instancesReportedState"][pod]["timeLineID"].as_i64();
            servers.insert(pod.to_owned(), (word.clone(), timeline.filter(|timeline| *timeline > 0)));
        }
    }
    servers
}
