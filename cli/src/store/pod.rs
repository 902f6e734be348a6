//! Whether a pod can be connected to.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use operator::tiers::store::pods::SERVER;

/// Whether a pod can be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    /// It says that it is ready.
    Ready,
    /// It runs and is not ready: a server that starts, or a replica that lags. Somebody may want to see why.
    NotReady,
    /// Its server does not run, and why.
    Down(String),
}

/// Whether the server of a pod can be connected to.
pub(super) fn fitness(pod: &Pod) -> Fitness {
    let status = pod.status.clone().unwrap_or_default();
    if pod.metadata.deletion_timestamp.is_some() {
        return Fitness::Down("it is being deleted".to_owned());
    }
    // Others beside it keep nobody from it.
    let server = status.container_statuses.iter().flatten().find(|container| container.name == SERVER);
    if let Some(why) = server.and_then(down) {
        return Fitness::Down(why);
    }
    let Some(server) = server.filter(|_| status.phase.as_deref() == Some("Running")) else {
        let conditions = status.conditions.unwrap_or_default();
        let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled" && c.status == "False");
        let why = scheduled.and_then(|c| c.message.clone());
        return Fitness::Down(why.unwrap_or_else(|| status.phase.unwrap_or_else(|| "it has not been seen".to_owned())));
    };
    if server.ready { Fitness::Ready } else { Fitness::NotReady }
}

/// Why a container does not run; the last words of the one before it say most.
fn down(container: &ContainerStatus) -> Option<String> {
    let state = container.state.clone().unwrap_or_default();
    if state.running.is_some() {
        return None;
    }
    let last_words = |state: &ContainerState| state.terminated.clone().and_then(|ended| ended.message);
    let said = last_words(&state).or_else(|| container.last_state.as_ref().and_then(last_words));
    let waits = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    let ended = state.terminated.as_ref().and_then(|ended| ended.reason.clone());
    let word = waits.or(ended).unwrap_or_else(|| "it has not started".to_owned());
    Some(match said {
        Some(said) => format!("{word}: {}", said.trim()),
        None => word,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(status: Value) -> Fitness {
        fitness(&serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap())
    }

    fn with(ready: bool, state: Value, last: Value) -> Value {
        json!({"phase": "Running", "containerStatuses": [{"name": "server", "image": "", "imageID": "", "restartCount": 0,
            "ready": ready, "state": state, "lastState": last}]})
    }

    /// With an exporter whose image cannot be pulled.
    fn beside(mut status: Value) -> Value {
        let mut exporter = status["containerStatuses"][0].clone();
        exporter["name"] = json!("exporter");
        exporter["state"] = json!({"waiting": {"reason": "ImagePullBackOff"}});
        status["containerStatuses"].as_array_mut().unwrap().insert(0, exporter);
        status
    }

    #[test]
    fn a_server_that_does_not_run_says_why() {
        let running = json!({"running": {}});
        let refused =
            json!({"terminated": {"exitCode": 75, "reason": "Error", "message": "DataMissing: it is empty\n"}});
        let down = |why: &str| Fitness::Down(why.to_owned());
        for (status, expected) in [
            (with(true, running.clone(), json!({})), Fitness::Ready),
            (with(false, running.clone(), json!({})), Fitness::NotReady),
            (beside(with(true, running, json!({}))), Fitness::Ready),
            (
                with(false, json!({"waiting": {"reason": "CrashLoopBackOff"}}), refused.clone()),
                down("CrashLoopBackOff: DataMissing: it is empty"),
            ),
            (with(false, refused, json!({})), down("Error: DataMissing: it is empty")),
            (with(false, json!({"waiting": {"reason": "ImagePullBackOff"}}), json!({})), down("ImagePullBackOff")),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node fits"}]}),
                down("no node fits"),
            ),
            (json!({"phase": "Pending"}), down("Pending")),
            (json!({}), down("it has not been seen")),
        ] {
            assert_eq!(of(status.clone()), expected, "{status}");
        }
    }
}
