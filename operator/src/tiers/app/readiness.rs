//! Whether an app is ready: pure, from its Deployment and its pods' troubles.

use super::trouble::Trouble;
use crate::conditions::{State, Verdict};
use crds::status::{ConditionType::AppReady, Reason, Replicas};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

/// What readiness is judged by.
pub(super) struct Seen<'a> {
    /// The live Deployment.
    pub deployment: Option<&'a Deployment>,
    /// The troubles of its pods.
    pub troubles: &'a [Trouble],
    /// Fewest pods that the user asked for: the fixed number, or the least of autoscaling. Pods above it come and go
    /// with the load and are no matter of readiness.
    pub least: i32,
}

/// Numbers of pods.
pub(super) fn replicas(deployment: &Deployment) -> Replicas {
    let status = deployment.status.clone().unwrap_or_default();
    Replicas {
        desired: deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1),
        ready: status.ready_replicas.unwrap_or(0),
        updated: status.updated_replicas.unwrap_or(0),
    }
}

pub(super) fn verdict(seen: &Seen<'_>) -> Verdict {
    let Some(deployment) = seen.deployment else {
        return progressing("the Deployment is being made".to_owned());
    };
    let status = deployment.status.clone().unwrap_or_default();
    let pods = replicas(deployment);
    if status.observed_generation < deployment.metadata.generation {
        return progressing("the Deployment's change has not been taken up yet".to_owned());
    }
    let counts = format!("{} of {} pods ready", pods.ready, pods.desired);
    let complete = pods.desired == 0 || rollout_complete(deployment);
    if complete && pods.ready >= seen.least.min(pods.desired) && pods.updated >= seen.least.min(pods.desired) {
        let message = match seen.troubles.first().filter(|_| pods.ready < pods.desired) {
            Some(trouble) => format!("{counts}; further pods are held up: {}", trouble.message),
            None => counts,
        };
        return Verdict::new(AppReady, State::True, Reason::Succeeded, message);
    }
    if let Some(refused) = condition(deployment, "ReplicaFailure").filter(|c| c.status == "True") {
        let message = refused.message.as_deref().unwrap_or("no reason given");
        return failing(Reason::PodsRefused, format!("{counts}: pods are refused: {}", without_pod_names(message)));
    }
    let stuck = condition(deployment, "Progressing")
        .is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    if let Some(trouble) = seen.troubles.first() {
        return failing(trouble.reason, format!("{counts}: {}", trouble.message));
    }
    if stuck {
        return failing(
            Reason::RolloutStuck,
            format!(
                "{counts}: the rollout made no progress within rollout.progressDeadline: see the pods' readiness probe and logs"
            ),
        );
    }
    if !complete {
        return progressing(format!("{counts}, {} of them on the newest version", pods.updated.min(pods.desired)));
    }
    progressing(counts)
}

/// Whether the newest form of a Deployment has been rolled out.
pub(super) fn is_rolled_out(deployment: &Deployment) -> bool {
    let seen = deployment.status.as_ref().and_then(|status| status.observed_generation);
    seen >= deployment.metadata.generation && rollout_complete(deployment)
}

/// Once complete a rollout stays complete; a Deployment says so by this reason, while pods of a scale-out start too.
fn rollout_complete(deployment: &Deployment) -> bool {
    condition(deployment, "Progressing")
        .is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some("NewReplicaSetAvailable"))
}

fn condition<'a>(deployment: &'a Deployment, type_: &str) -> Option<&'a DeploymentCondition> {
    deployment.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == type_)
}

/// The API server names the pod it refused, another one at each attempt: `pods "web-5d9-x7k2p" is forbidden: …`.
fn without_pod_names(message: &str) -> String {
    match message.strip_prefix("pods \"").and_then(|rest| rest.split_once("\" ")) {
        Some((_, rest)) => format!("a pod {rest}"),
        None => message.to_owned(),
    }
}

fn progressing(message: String) -> Verdict {
    Verdict::new(AppReady, State::False, Reason::Progressing, message)
}

fn failing(reason: Reason, message: String) -> Verdict {
    Verdict::new(AppReady, State::False, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A Deployment of `desired` pods, rolled out, with `ready` of them ready.
    fn deployment(desired: i32, ready: i32, change: impl FnOnce(&mut Value)) -> Deployment {
        let mut value = json!({
            "metadata": { "name": "d", "generation": 2 },
            "spec": { "replicas": desired, "selector": {}, "template": {} },
            "status": {
                "observedGeneration": 2, "replicas": desired, "updatedReplicas": desired, "readyReplicas": ready,
                "conditions": [{ "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
            },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn judge(deployment: &Deployment, troubles: &[Trouble], least: i32) -> Verdict {
        verdict(&Seen { deployment: Some(deployment), troubles, least })
    }

    fn trouble() -> Trouble {
        Trouble { reason: Reason::Unschedulable, message: "no node".to_owned() }
    }

    #[test]
    fn ready_means_the_pods_the_user_asked_for() {
        for (desired, ready, least, state, reason) in [
            (3, 3, 3, State::True, Reason::Succeeded),
            (3, 2, 3, State::False, Reason::Progressing),
            (8, 3, 3, State::True, Reason::Succeeded),
            (8, 2, 3, State::False, Reason::Progressing),
            (0, 0, 0, State::True, Reason::Succeeded),
            (2, 2, 3, State::True, Reason::Succeeded),
        ] {
            let found = judge(&deployment(desired, ready, |_| {}), &[], least);
            assert_eq!((found.state, found.reason), (state, reason), "{desired} {ready} {least}: {}", found.message);
        }
    }

    #[test]
    fn pods_held_up_beyond_the_least_are_told_and_clear_nothing() {
        let found = judge(&deployment(8, 5, |_| {}), &[trouble()], 3);
        assert_eq!(found.state, State::True);
        assert!(found.message.contains("no node"), "{}", found.message);
    }

    #[test]
    fn a_rollout_is_progress_until_it_is_complete() {
        let rolling = deployment(3, 3, |d| d["status"]["conditions"][0]["reason"] = json!("ReplicaSetUpdated"));
        assert_eq!(judge(&rolling, &[], 3).reason, Reason::Progressing);
        let unseen = deployment(3, 3, |d| d["status"]["observedGeneration"] = json!(1));
        assert_eq!(judge(&unseen, &[], 3).reason, Reason::Progressing);
        assert_eq!(verdict(&Seen { deployment: None, troubles: &[], least: 1 }).reason, Reason::Progressing);
    }

    #[test]
    fn a_cause_comes_before_the_deadline_and_a_refusal_before_both() {
        let stuck = deployment(3, 0, |d| {
            d["status"]["conditions"][0] =
                json!({ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" });
        });
        assert_eq!(judge(&stuck, &[], 3).reason, Reason::RolloutStuck);
        assert_eq!(judge(&stuck, &[trouble()], 3).reason, Reason::Unschedulable);
        let refused = deployment(3, 0, |d| {
            d["status"]["conditions"] = json!([{
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": "pods \"d-5d9-x7k2p\" is forbidden: exceeded quota: pods=2",
            }]);
        });
        let found = judge(&refused, &[trouble()], 3);
        assert_eq!(found.reason, Reason::PodsRefused);
        assert!(found.message.contains("exceeded quota") && !found.message.contains("x7k2p"), "{}", found.message);
    }
}
