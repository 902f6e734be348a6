//! Why pods are not ready, in words that name the cause and the remedy. Pure, on the pods the watch has seen.

use crds::status::Reason;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

/// A pod's cause for not being ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trouble {
    /// One word.
    pub reason: Reason,
    /// Words.
    pub message: String,
}

/// What keeps a pod from being ready; None for one that is ready, just starting, or leaving.
pub fn of(pod: &Pod) -> Option<Trouble> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers.into_iter().find_map(of_container).or_else(|| unschedulable(pod))
}

fn of_container(container: &ContainerStatus) -> Option<Trouble> {
    let name = &container.name;
    let state = container.state.as_ref()?;
    // Between two waits of a crash loop the container runs, and then stands as ended, for a while each.
    let failed = |state: &ContainerState| state.terminated.as_ref().is_some_and(|end| end.exit_code != 0);
    let runs_again = state.running.is_some() && !container.ready && container.last_state.as_ref().is_some_and(failed);
    if container.restart_count > 0 && (failed(state) || runs_again) {
        return Some(Trouble { reason: Reason::CrashLoop, message: crash(container) });
    }
    let waiting = state.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref().unwrap_or_default() {
        // The node alternates between these words; the condition must not.
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable"
        | "ImageInspectError"
        | "SignatureValidationFailed" => Some(Trouble {
            reason: Reason::ImagePull,
            message: format!(
                "container {name}: image {} cannot be pulled: check image and imagePullSecrets",
                container.image
            ),
        }),
        "CrashLoopBackOff" => Some(Trouble { reason: Reason::CrashLoop, message: crash(container) }),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "PreCreateHookError"
        | "PreStartHookError"
        | "PostStartHookError" => {
            Some(Trouble { reason: Reason::ContainerConfig, message: configuration(name, message) })
        }
        _ => None,
    }
}

fn crash(container: &ContainerStatus) -> String {
    let name = &container.name;
    let ended = |state: &Option<ContainerState>| state.as_ref().and_then(|s| s.terminated.clone());
    match ended(&container.state).or_else(|| ended(&container.last_state)) {
        Some(end) if end.reason.as_deref() == Some("OOMKilled") => {
            format!("container {name} was killed because it used more memory than resources.limits.memory: raise it")
        }
        Some(end) => {
            format!("container {name} stops again after its start with exit code {}: see its logs", end.exit_code)
        }
        None => format!("container {name} stops again after its start: see its logs"),
    }
}

fn configuration(name: &str, message: &str) -> String {
    let message = without_ids(message);
    if message.contains("runAsNonRoot") {
        return format!(
            "container {name}: {message}: the image names no numeric user other than root, set security.runAsUser to the number of its user"
        );
    }
    format!("container {name}: {message}")
}

/// Parts of a message that differ from pod to pod would make the status change for ever.
fn without_ids(message: &str) -> String {
    match message.find(" (pod: ") {
        Some(at) => message[..at].to_owned(),
        None => message.to_owned(),
    }
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|c| c.type_ == "PodScheduled")?;
    (scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable")).then(|| Trouble {
        reason: Reason::Unschedulable,
        message: format!("no node takes the pod: {}", scheduled.message.as_deref().unwrap_or("no reason given")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "status": status })).unwrap()
    }

    fn waiting(reason: &str, message: &str) -> Pod {
        pod(json!({ "containerStatuses": [{
            "name": "web", "image": "i:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": message } },
        }] }))
    }

    #[test]
    fn every_cause_has_its_reason() {
        for (reason, message, expected, part) in [
            ("ErrImagePull", "x", Reason::ImagePull, "image i:1"),
            ("ImagePullBackOff", "x", Reason::ImagePull, "imagePullSecrets"),
            ("CrashLoopBackOff", "x", Reason::CrashLoop, "logs"),
            ("CreateContainerConfigError", "secret \"db\" not found", Reason::ContainerConfig, "secret \"db\""),
            (
                "CreateContainerConfigError",
                "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: \"a_b(1)\", container: web)",
                Reason::ContainerConfig,
                "security.runAsUser",
            ),
        ] {
            let found = of(&waiting(reason, message)).unwrap();
            assert_eq!(found.reason, expected, "{reason}");
            assert!(found.message.contains(part), "{}", found.message);
            assert!(!found.message.contains("(pod:"), "{}", found.message);
        }
        assert_eq!(of(&waiting("ContainerCreating", "")), None);
    }

    #[test]
    fn out_of_memory_names_the_limit() {
        let killed = pod(json!({ "containerStatuses": [{
            "name": "web", "image": "i:1", "imageID": "", "ready": false, "restartCount": 3,
            "state": { "waiting": { "reason": "CrashLoopBackOff" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
        }] }));
        assert!(of(&killed).unwrap().message.contains("resources.limits.memory"));
    }

    #[test]
    fn in_each_turn_a_crash_loop_is_the_same_trouble() {
        let turn = |ready: bool, state: Value, last: i32| {
            pod(json!({ "containerStatuses": [{
                "name": "web", "image": "i:1", "imageID": "", "ready": ready, "restartCount": 2,
                "state": state, "lastState": { "terminated": { "exitCode": last } },
            }] }))
        };
        let waits = of(&turn(false, json!({ "waiting": { "reason": "CrashLoopBackOff" } }), 2));
        assert!(waits.is_some());
        assert_eq!(of(&turn(false, json!({ "running": {} }), 2)), waits, "it runs for seconds");
        assert_eq!(of(&turn(false, json!({ "terminated": { "exitCode": 2 } }), 2)), waits);
        assert_eq!(of(&turn(true, json!({ "running": {} }), 2)), None, "ready is well");
        assert_eq!(of(&turn(false, json!({ "running": {} }), 0)), None, "it ended by itself");
    }

    #[test]
    fn between_two_starts_a_crash_loop_is_still_one() {
        let ended = |restarts: i32| {
            pod(json!({ "containerStatuses": [{
                "name": "web", "image": "i:1", "imageID": "", "ready": false, "restartCount": restarts,
                "state": { "terminated": { "exitCode": 2 } },
            }] }))
        };
        assert!(of(&ended(1)).unwrap().message.contains("exit code 2"));
        assert_eq!(of(&ended(0)), None, "once is no loop");
    }

    #[test]
    fn an_unschedulable_pod_repeats_the_schedulers_words() {
        let stuck = pod(json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
        }] }));
        let found = of(&stuck).unwrap();
        assert_eq!(found.reason, Reason::Unschedulable);
        assert!(found.message.contains("0/1 nodes"));
    }

    #[test]
    fn a_pod_that_leaves_has_no_trouble() {
        let mut leaving = waiting("CrashLoopBackOff", "");
        leaving.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(of(&leaving), None);
    }
}
