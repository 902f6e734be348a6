//! The parts that the pods of all stores share.

use crate::tiers::app::pod::some_map;
use crds::tiers::{
    in_cluster::{DeletionPolicy, StorePods, StoreVolume},
    pod::Resources,
};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, EnvVar, EnvVarSource, ExecAction, ObjectFieldSelector, PodAffinityTerm,
        PodAntiAffinity, PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecretKeySelector,
        SecurityContext, TopologySpreadConstraint, WeightedPodAffinityTerm,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The user of the official images of PostgreSQL and Valkey.
const DEFAULT_USER: i64 = 999;
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
/// Name of the volume with the data.
pub const DATA: &str = "data";
/// Name of the container of the server.
pub const SERVER: &str = "server";

/// What a pod of a store is but for its containers and volumes.
pub fn pod(pods: &StorePods, selector: &BTreeMap<String, String>, grace_seconds: i64) -> PodSpec {
    let list = |list: Vec<_>| (!list.is_empty()).then_some(list);
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(grace_seconds),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(user(pods)),
            run_as_group: Some(user(pods)),
            fs_group: Some(user(pods)),
            // The volume may hold a great many files: their owner is looked at only where it is wrong.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: list(pods.image_pull_secrets.clone()),
        node_selector: some_map(pods.node_selector.clone()),
        tolerations: (!pods.tolerations.is_empty()).then(|| pods.tolerations.clone()),
        topology_spread_constraints: Some([HOSTNAME, ZONE].map(|key| spread(selector, key)).to_vec()),
        affinity: Some(affinity(selector)),
        ..PodSpec::default()
    }
}

/// The numeric user of the server.
pub fn user(pods: &StorePods) -> i64 {
    pods.run_as_user.unwrap_or(DEFAULT_USER)
}

fn own(selector: &BTreeMap<String, String>) -> Option<LabelSelector> {
    Some(LabelSelector { match_labels: Some(selector.clone()), match_expressions: None })
}

fn spread(selector: &BTreeMap<String, String>, topology: &str) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: own(selector),
        ..TopologySpreadConstraint::default()
    }
}

fn affinity(selector: &BTreeMap<String, String>) -> Affinity {
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: PodAffinityTerm {
                    topology_key: HOSTNAME.to_owned(),
                    label_selector: own(selector),
                    ..PodAffinityTerm::default()
                },
            }]),
            required_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    }
}

/// No privileges, and nothing of the image can be written.
pub fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

/// The probes of a server, by a script of its container. A script is a process, and costs the node more than what it asks: often
/// is it asked only until the server has begun to serve (P), for which a recovery or a clone may take as long as it needs.
pub fn probes(script: &Value) -> (Probe, Probe) {
    let probe = |period, failures| Probe {
        exec: Some(ExecAction { command: serde_json::from_value(script.clone()).ok() }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(failures),
        success_threshold: Some(1),
        ..Probe::default()
    };
    (probe(1, i32::MAX), probe(5, 2))
}

/// What the server asks for and may use.
pub fn resources(pods: &StorePods) -> Option<ResourceRequirements> {
    pods.resources.as_ref().map(requirements)
}

/// What a container asks for and may use, as Kubernetes has it.
pub fn requirements(resources: &Resources) -> ResourceRequirements {
    ResourceRequirements {
        requests: some_map(resources.requests.clone()),
        limits: some_map(resources.limits.clone()),
        claims: None,
    }
}

/// The memory limit of the server in bytes, if it has one.
pub fn memory_limit(pods: &StorePods) -> Option<u64> {
    bytes(pods.resources.as_ref()?.limits.get("memory")?)
}

/// Bytes of a quantity, rounded down.
pub fn bytes(quantity: &Quantity) -> Option<u64> {
    let nanos = crate::apply::quantity_nanos(&Value::String(quantity.0.clone()))?;
    u64::try_from(nanos / 1_000_000_000).ok()
}

/// An environment variable.
pub fn env(name: &str, value: impl ToString) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_string()), value_from: None }
}

/// An environment variable from a field of the pod.
pub fn env_field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { api_version: Some("v1".to_owned()), field_path: path.to_owned() };
    let source = EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

/// An environment variable from a key of a Secret.
pub fn env_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let selector = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

/// The claim of each pod, with what the API server fills in, so that it compares as the same.
pub fn claim(volume: &StoreVolume, access: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": { "name": DATA, "labels": labels },
        "spec": {
            "accessModes": [access],
            "resources": { "requests": { "storage": volume.storage } },
            "storageClassName": volume.storage_class,
            "volumeMode": "Filesystem",
        },
    })
}

/// What becomes of the claims when a StatefulSet goes, or has fewer pods.
pub fn claim_retention(policy: DeletionPolicy, scaled: DeletionPolicy) -> Value {
    let word = |policy| match policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    json!({ "whenDeleted": word(policy), "whenScaled": word(scaled) })
}
