//! The pod template: nothing in it depends on time or on the operator's version, because a changed template restarts
//! every pod; and on the cluster nothing but what [`Given`] names.

use super::{connections, overlay, probes::probes};
use crate::{
    naming::{labels, selector},
    tiers::store::uses_label,
    validate::ValidApp,
};
use crds::tiers::{app::ImagePullPolicy, pod::Scratch, uses::Uses};
use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, Lifecycle, LifecycleHandler,
        PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, ResourceRequirements,
        SeccompProfile, SecurityContext, SleepAction, TopologySpreadConstraint, Volume, VolumeMount,
        WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a pod keeps serving after it was told to stop: endpoints and proxies need about that long to hear of it.
const DRAIN_DELAY: Duration = Duration::from_secs(5);
/// Kubernetes' own default.
const GRACE_PERIOD: Duration = Duration::from_secs(30);
const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What a pod template takes from the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Given<'a> {
    /// Whether annotations tell Prometheus where the metrics are.
    pub annotated: bool,
    /// A word that changes with the connections to the stores.
    pub revision: Option<&'a str>,
    /// Labels of the live pods by which stores let them in, where the connections stay as they are for now.
    pub uses: Option<&'a BTreeSet<String>>,
}

/// The pod template with its overlay, as JSON: an overlay may carry fields that this build's types do not know.
pub(super) fn template(app: &ValidApp, given: Given<'_>) -> Value {
    let generated = serde_json::to_value(generated(app, given)).unwrap_or_default();
    overlay::apply(app, generated)
}

/// The pod template before the overlay.
pub(super) fn generated(app: &ValidApp, given: Given<'_>) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels(app, given)),
            annotations: some_map(annotations(app, given)),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(app)),
    }
}

/// The user's labels, overruled by the operator's.
fn pod_labels(app: &ValidApp, given: Given<'_>) -> BTreeMap<String, String> {
    let mut all = app.spec.pod_labels.clone();
    let wanted = || app.spec.uses.iter().flat_map(Uses::items).map(uses_label).collect();
    let uses: BTreeSet<String> = given.uses.cloned().unwrap_or_else(wanted);
    all.extend(uses.into_iter().map(|label| (label, "true".to_owned())));
    all.extend(labels(&app.key.platform, &app.key.app));
    all
}

fn annotations(app: &ValidApp, given: Given<'_>) -> BTreeMap<String, String> {
    let mut all = if given.annotated { super::pod_monitor::annotations(app) } else { BTreeMap::new() };
    all.extend(app.spec.pod_annotations.clone());
    if let Some(revision) = given.revision {
        all.insert(connections::REVISION.to_owned(), revision.to_owned());
    }
    all
}

fn spec(app: &ValidApp) -> PodSpec {
    let account = app.spec.service_account.as_ref();
    let draining = app.spec.draining.as_ref();
    let grace = draining.and_then(|d| d.grace_period).map_or(GRACE_PERIOD, Duration::from);
    let authorities = connections::authorities(app);
    PodSpec {
        service_account_name: account.map(|a| a.name.clone()),
        automount_service_account_token: Some(account.and_then(|a| a.mount_token).unwrap_or(false)),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(seconds(grace)),
        security_context: Some(pod_security(app)),
        image_pull_secrets: some_list(app.spec.image_pull_secrets.clone()),
        node_selector: some_map(app.spec.node_selector.clone()),
        tolerations: some_list(app.spec.tolerations.clone()),
        topology_spread_constraints: some_list(spread(app)),
        affinity: affinity(app),
        volumes: some_list(app.spec.scratch.iter().map(volume).chain(authorities.map(|(volume, _)| volume)).collect()),
        containers: vec![container(app)],
        ..PodSpec::default()
    }
}

fn container(app: &ValidApp) -> Container {
    let probes = probes(app);
    let mut ports = app.ports.clone();
    if let Some(port) = super::pod_monitor::port(app)
        && !ports.iter().any(|p| p.container == port.container && p.protocol == port.protocol)
    {
        ports.push(port);
    }
    Container {
        name: app.key.app.clone(),
        image: Some(app.spec.image.clone()),
        image_pull_policy: Some(pull_policy(app, &app.spec.image).to_owned()),
        command: some_list(app.spec.command.clone()),
        args: some_list(app.spec.args.clone()),
        ports: some_list(
            ports
                .into_iter()
                .map(|p| ContainerPort {
                    name: Some(p.name),
                    container_port: p.container,
                    protocol: Some(p.protocol.to_owned()),
                    ..ContainerPort::default()
                })
                .collect(),
        ),
        env: some_list(app.spec.env.clone()),
        env_from: some_list(connections::env_from(app).into_iter().chain(app.spec.env_from.clone()).collect()),
        resources: app.spec.resources.as_ref().map(|r| ResourceRequirements {
            requests: some_map(r.requests.clone()),
            limits: some_map(r.limits.clone()),
            claims: None,
        }),
        readiness_probe: probes.readiness,
        liveness_probe: probes.liveness,
        startup_probe: probes.startup,
        lifecycle: lifecycle(app),
        security_context: Some(container_security(app)),
        volume_mounts: some_list(
            app.spec
                .scratch
                .iter()
                .map(|s| VolumeMount {
                    name: s.name.clone(),
                    mount_path: s.mount_path.clone(),
                    ..VolumeMount::default()
                })
                .chain(connections::authorities(app).map(|(_, mount)| mount))
                .collect(),
        ),
        ..Container::default()
    }
}

/// Kubernetes' own default, written out: left to the server, it would stay as it was when the image's tag changes.
pub(super) fn pull_policy(app: &ValidApp, image: &str) -> &'static str {
    match app.spec.image_pull_policy {
        Some(ImagePullPolicy::Always) => "Always",
        Some(ImagePullPolicy::Never) => "Never",
        Some(ImagePullPolicy::IfNotPresent) => "IfNotPresent",
        None => {
            let last = image.rsplit('/').next().unwrap_or(image);
            match last.split_once(':') {
                _ if image.contains('@') => "IfNotPresent",
                Some((_, tag)) if tag != "latest" => "IfNotPresent",
                _ => "Always",
            }
        }
    }
}

fn pod_security(app: &ValidApp) -> PodSecurityContext {
    let security = app.spec.security.clone().unwrap_or_default();
    PodSecurityContext {
        run_as_non_root: Some(security.run_as_user != Some(0)),
        run_as_user: security.run_as_user,
        run_as_group: security.run_as_group,
        fs_group: security.fs_group,
        seccomp_profile: Some(
            security
                .seccomp_profile
                .unwrap_or_else(|| SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ),
        ..PodSecurityContext::default()
    }
}

fn container_security(app: &ValidApp) -> SecurityContext {
    let security = app.spec.security.clone().unwrap_or_default();
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(security.read_only_root_filesystem.unwrap_or(true)),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: some_list(security.add_capabilities),
        }),
        ..SecurityContext::default()
    }
}

fn lifecycle(app: &ValidApp) -> Option<Lifecycle> {
    let draining = app.spec.draining.as_ref();
    let mut lifecycle = draining.and_then(|d| d.lifecycle.clone()).unwrap_or_default();
    if lifecycle.pre_stop.is_none() {
        let default = if app.ports.is_empty() { Duration::ZERO } else { DRAIN_DELAY };
        let delay = draining.and_then(|d| d.delay).map_or(default, Duration::from);
        // A default delay must not eat a short grace period.
        let grace = draining.and_then(|d| d.grace_period).map_or(GRACE_PERIOD, Duration::from);
        if !delay.is_zero() && delay < grace {
            lifecycle.pre_stop = Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: seconds(delay) }),
                ..LifecycleHandler::default()
            });
        }
    }
    (lifecycle != Lifecycle::default()).then_some(lifecycle)
}

fn own_pods(app: &ValidApp) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(&app.key.platform, &app.key.app)), match_expressions: None }
}

fn spread(app: &ValidApp) -> Vec<TopologySpreadConstraint> {
    let chosen = app.spec.spread.clone().unwrap_or_default();
    if chosen.disabled == Some(true) {
        return Vec::new();
    }
    if chosen.constraints.is_empty() {
        return [HOSTNAME, ZONE]
            .into_iter()
            .map(|topology| TopologySpreadConstraint {
                max_skew: 1,
                topology_key: topology.to_owned(),
                when_unsatisfiable: "ScheduleAnyway".to_owned(),
                label_selector: Some(own_pods(app)),
                ..TopologySpreadConstraint::default()
            })
            .collect();
    }
    chosen
        .constraints
        .into_iter()
        .map(|mut constraint| {
            constraint.label_selector.get_or_insert_with(|| own_pods(app));
            constraint
        })
        .collect()
}

/// Spreading by skew alone still puts two pods of three on one of many nodes; the preference does not.
fn affinity(app: &ValidApp) -> Option<Affinity> {
    let chosen = app.spec.spread.clone().unwrap_or_default();
    if chosen.disabled == Some(true) || !chosen.constraints.is_empty() {
        return None;
    }
    Some(Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: PodAffinityTerm {
                    topology_key: HOSTNAME.to_owned(),
                    label_selector: Some(own_pods(app)),
                    ..PodAffinityTerm::default()
                },
            }]),
            required_during_scheduling_ignored_during_execution: None,
        }),
        ..Affinity::default()
    })
}

fn volume(scratch: &Scratch) -> Volume {
    Volume {
        name: scratch.name.clone(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: scratch.size_limit.clone(),
            medium: (scratch.in_memory == Some(true)).then(|| "Memory".to_owned()),
        }),
        ..Volume::default()
    }
}

/// Whole seconds, rounded up: Kubernetes knows no finer ones here.
pub(super) fn seconds(duration: Duration) -> i64 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

pub(super) fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(crate) fn some_map<K: Ord, V>(map: BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
    (!map.is_empty()).then_some(map)
}
