//! The Kubernetes objects of a cache in this cluster.

use super::{DEFAULT_IMAGE, InCluster, Seen};
use crate::{
    capabilities::Served,
    kinds::Kind,
    tiers::{
        Children,
        cache::PORT,
        store::{
            self, RETAINED, SETTINGS, SHARD, auth, digest,
            exporter::{self, Exporter},
            pods::{self, claim, claim_retention, env, env_field},
            record, tls, uses_label, with,
        },
    },
};
use crds::tiers::{
    cache::CacheMode,
    in_cluster::{DeletionPolicy, StoreVolume},
};
use k8s_openapi::{api::core::v1::EnvVar, apimachinery::pkg::api::resource::Quantity};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The highest number of shards that the resource allows.
const MAX_SHARDS: u32 = 64;

type Built = Result<DynamicObject, serde_json::Error>;

/// Port over node port, of the cluster's own conversation.
const BUS: u16 = PORT + 10_000;
/// Where the scripts and the configuration are in the pods.
const CONFIG: &str = "/etc/learningplatform/config";
/// Where the passwords are in the pods.
const AUTH: &str = "/etc/learningplatform/auth";
/// Where a start writes its own files.
const RUN: &str = "/run/learningplatform";

/// Everything of a cache, in the order of application.
pub fn objects(cache: &InCluster, seen: &Seen, children: &Children, served: Served) -> Vec<Built> {
    let cache = &cache.scaled(seen.record.as_ref());
    if seen.held.is_some() {
        return Vec::new();
    }
    let names = cache.names();
    let certificate = tls::certificate(&cache.identity, &cache.object_name, cache.spec.tls.as_ref(), &names, served);
    let mut built: Vec<Built> = certificate.into_iter().collect();
    let Ok(passwords) = &seen.passwords else { return built };
    let policy = cache.spec.deletion_policy.unwrap_or_default();
    built.extend([
        record::config_map(&cache.identity, &cache.object_name, policy, &record(cache, seen, children)),
        auth::secret(&cache.identity, &cache.object_name, policy, passwords),
        config_map(cache),
        nodes(cache),
    ]);
    built.extend(tls::secret(&cache.identity, &cache.object_name, policy, seen.tls.as_ref()));
    let exporter = cache.exporter();
    let scrape = exporter.map(|exporter| exporter.annotations(&cache.identity, children, served)).unwrap_or_default();
    built.extend(shards(cache, seen, children).flat_map(|shard| {
        [stateful_set(cache, shard, pods(cache, shard, seen, children), &scrape), disruption_budget(cache, shard)]
    }));
    built.push(service(cache, seen, children));
    built.push(network_policy(cache));
    built.extend(exporter.and_then(|exporter| exporter.pod_monitor(&cache.identity, served)));
    built
}

/// The shards that there must be: those asked for, and those that still hold something.
fn shards<'a>(cache: &'a InCluster, seen: &'a Seen, children: &'a Children) -> impl Iterator<Item = u32> + 'a {
    let leaving = (cache.shards..MAX_SHARDS).filter(move |shard| {
        let there = children.get(Kind::StatefulSet, &cache.shard_name(*shard)).is_some();
        there && !seen.view.as_ref().is_some_and(|view| view.store.removable.contains(shard))
    });
    (0..cache.shards).chain(leaving)
}

/// What is known of the data: what was known, and what the keeper has seen since.
fn record(cache: &InCluster, seen: &Seen, children: &Children) -> record::Record {
    let mut known = seen.record.clone().unwrap_or_default();
    known.remove(record::ABANDONED);
    if auth::live(children, &cache.object_name).is_some() {
        known.remove(record::RESTORED);
    }
    if let Some(view) = &seen.view {
        let view = &view.store;
        if view.formed {
            known.insert(super::FORMED.to_owned(), "true".to_owned());
        }
        if let Some(lead) = &view.lead {
            known.insert(super::LEAD.to_owned(), lead.clone());
        }
        // Without files and replicas a restart loses the keys, and there is nobody to protect from the empty server.
        let keeps = cache.spec.append_only != Some(false) || cache.replicas > 0;
        let held = view.held.iter().filter(|_| keeps);
        let words = held.map(|pod| (pod, record::HELD)).chain(view.rejoin.iter().map(|pod| (pod, "rejoin")));
        known.extend(words.filter_map(|(pod, word)| Some((super::pod_key(pod)?, word.to_owned()))));
    }
    cache.written().keep(&mut known, seen.view.as_ref().and_then(|view| view.scaled.as_ref()));
    // What is known of a pod goes with its place in the StatefulSet.
    let shards: BTreeSet<u32> = shards(cache, seen, children).collect();
    known.retain(|key, _| {
        super::place(key)
            .is_none_or(|(shard, ordinal)| shards.contains(&shard) && ordinal < pods(cache, shard, seen, children))
    });
    known
}

/// Pods of a shard: those asked for, and those that still have to let go.
fn pods(cache: &InCluster, shard: u32, seen: &Seen, children: &Children) -> u32 {
    let wanted = 1 + cache.replicas;
    let live = children.get(Kind::StatefulSet, &cache.shard_name(shard));
    let live = live.and_then(|set| set.data.pointer("/spec/replicas")).and_then(Value::as_u64);
    let live = live.and_then(|n| u32::try_from(n).ok()).unwrap_or(wanted);
    let may_shrink =
        seen.view.as_ref().and_then(|view| view.store.shards.get(&shard)).is_some_and(|shard| shard.may_shrink);
    if live > wanted && !may_shrink { live } else { wanted }
}

/// The configuration of the servers. What could not stand in it was refused before.
fn settings(cache: &InCluster) -> String {
    let logged = |error: &valkey::ParameterError| tracing::error!(%error, "a defect: a setting was not refused");
    valkey::config(&super::settings(cache)).inspect_err(logged).unwrap_or_default()
}

fn config_map(cache: &InCluster) -> Built {
    Kind::ConfigMap.object(&json!({
        "metadata": { "name": format!("{}-config", cache.object_name), "labels": cache.identity.labels() },
        "data": {
            "server.conf": settings(cache),
            "start.sh": valkey::START,
            "ready.sh": valkey::READY,
            "stop.sh": valkey::STOP,
        },
    }))
}

fn ports() -> Value {
    json!([{ "name": "redis", "port": PORT, "targetPort": "redis", "protocol": "TCP" }])
}

/// Every server by its name, also while it is not ready: that is when the others must find it.
fn nodes(cache: &InCluster) -> Built {
    Kind::Service.object(&json!({
        "metadata": { "name": cache.nodes_service(), "labels": cache.identity.labels() },
        "spec": {
            "type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true,
            "selector": cache.identity.selector(), "ports": ports(),
        },
    }))
}

/// What clients connect to: any server of a cluster, the primary alone otherwise. Which one that is the servers say; until they
/// have, it stays as it is.
fn service(cache: &InCluster, seen: &Seen, children: &Children) -> Built {
    let mut selector = cache.identity.selector();
    if cache.mode == CacheMode::Single {
        let primary = seen.view.as_ref().and_then(|view| view.store.primary.clone());
        let before = || {
            let live = children.get(Kind::Service, &cache.object_name)?;
            live.data.pointer("/spec/selector/statefulset.kubernetes.io~1pod-name")?.as_str().map(str::to_owned)
        };
        let primary = primary.or_else(before).unwrap_or_else(|| format!("{}-0", cache.shard_name(0)));
        selector.insert("statefulset.kubernetes.io/pod-name".to_owned(), primary);
    }
    Kind::Service.object(&json!({
        "metadata": { "name": cache.object_name, "labels": cache.identity.labels() },
        "spec": { "type": "ClusterIP", "selector": selector, "ports": ports(), "sessionAffinity": "None" },
    }))
}

fn disruption_budget(cache: &InCluster, shard: u32) -> Built {
    Kind::PodDisruptionBudget.object(&json!({
        "metadata": { "name": cache.shard_name(shard), "labels": with(cache.identity.labels(), SHARD, shard) },
        "spec": {
            "selector": { "matchLabels": with(cache.identity.selector(), SHARD, shard) },
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }))
}

/// Servers talk to each other; the apps that use the cache carry a label; the operator comes from its own namespace.
fn network_policy(cache: &InCluster) -> Built {
    let own = json!({ "podSelector": { "matchLabels": cache.identity.selector() } });
    // Pods that were made before the item was renamed carry its former name.
    let names = BTreeSet::from([&cache.name, &cache.identity.id]);
    let user = |name: &String| json!({ "podSelector": { "matchLabels": { uses_label(name): "true" } } });
    let from: Vec<Value> = names.into_iter().map(user).chain([store::operator_peer()]).collect();
    let port = |number: u16| json!({ "protocol": "TCP", "port": number });
    let servers =
        [json!({ "from": [own], "ports": [port(PORT), port(BUS)] }), json!({ "from": from, "ports": [port(PORT)] })];
    let ingress: Vec<Value> = servers.into_iter().chain(cache.exporter().map(Exporter::ingress)).collect();
    Kind::NetworkPolicy.object(&json!({
        "metadata": { "name": cache.object_name, "labels": cache.identity.labels() },
        "spec": {
            "podSelector": { "matchLabels": cache.identity.selector() },
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }))
}

fn volume(cache: &InCluster) -> StoreVolume {
    let default = || StoreVolume { storage: Quantity("1Gi".to_owned()), storage_class: None };
    cache.spec.volume.clone().unwrap_or_else(default)
}

/// One shard. Its pods are replaced by the keeper, a primary after a replica has taken over.
fn stateful_set(cache: &InCluster, shard: u32, pods: u32, scrape: &BTreeMap<String, String>) -> Built {
    let labels = with(cache.identity.labels(), SHARD, shard);
    let selector = with(cache.identity.selector(), SHARD, shard);
    let policy = cache.spec.deletion_policy.unwrap_or_default();
    let mut kept = labels.clone();
    if policy == DeletionPolicy::Retain {
        kept.insert(RETAINED.to_owned(), "true".to_owned());
    }
    Kind::StatefulSet.object(&json!({
        "metadata": { "name": cache.shard_name(shard), "labels": labels },
        "spec": {
            "serviceName": cache.nodes_service(),
            "replicas": pods,
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "persistentVolumeClaimRetentionPolicy": claim_retention(policy, policy),
            "selector": { "matchLabels": selector },
            "template": template(cache, shard, &labels, &selector, scrape),
            "volumeClaimTemplates": [claim(&volume(cache), "ReadWriteOnce", &kept)],
        },
    }))
}

fn template(
    cache: &InCluster,
    shard: u32,
    labels: &BTreeMap<String, String>,
    selector: &BTreeMap<String, String>,
    scrape: &BTreeMap<String, String>,
) -> Value {
    let mut pod = serde_json::to_value(pods::pod(&cache.spec.pods, selector, 60)).unwrap_or_default();
    let mode = match cache.mode {
        CacheMode::Cluster => "cluster",
        CacheMode::Single => "single",
    };
    let env = [
        env("LP_AUTH", AUTH),
        env("LP_CONFIG", format!("{CONFIG}/server.conf")),
        env("LP_DOMAIN", format!("{}.{}.svc", cache.nodes_service(), cache.namespace)),
        env("LP_MODE", mode),
        env_field("LP_ORDINAL", "metadata.labels['apps.kubernetes.io/pod-index']"),
        env("LP_RUN", RUN),
        env("LP_SHARD", shard),
        env_field("POD_IP", "status.podIP"),
        env_field("POD_NAME", "metadata.name"),
    ];
    let script = |name: &str| json!(["/bin/sh", format!("{CONFIG}/{name}")]);
    let (startup, readiness) = pods::probes(&script("ready.sh"));
    pod["containers"] = json!([{
        "name": pods::SERVER,
        "image": cache.spec.image.as_deref().unwrap_or(DEFAULT_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": script("start.sh"),
        "env": env,
        "envFrom": [{ "prefix": record::PREFIX, "configMapRef": { "name": record::name(&cache.object_name), "optional": true } }],
        "ports": [
            { "name": "redis", "containerPort": PORT, "protocol": "TCP" },
            { "name": "bus", "containerPort": BUS, "protocol": "TCP" },
        ],
        "resources": pods::resources(&cache.spec.pods),
        "startupProbe": startup,
        "readinessProbe": readiness,
        "lifecycle": { "preStop": { "exec": { "command": script("stop.sh") } } },
        "securityContext": pods::security(),
        "volumeMounts": [
            { "name": pods::DATA, "mountPath": "/data" },
            { "name": "config", "mountPath": CONFIG },
            { "name": "auth", "mountPath": AUTH },
            { "name": "run", "mountPath": RUN },
        ],
    }]);
    if let (Some(containers), Some(exporter)) = (pod["containers"].as_array_mut(), cache.exporter()) {
        containers.push(exporter.container(exporter_variables(cache)));
    }
    pod["volumes"] = json!([
        { "name": "config", "configMap": { "name": format!("{}-config", cache.object_name), "defaultMode": 0o444 } },
        { "name": "auth", "secret": { "secretName": auth::name(&cache.object_name), "defaultMode": 0o440 } },
        { "name": "run", "emptyDir": { "medium": "Memory", "sizeLimit": "16Mi" } },
    ]);
    tls::mount(&mut pod, tls::secret_name(cache.spec.tls.as_ref(), &cache.object_name));
    let mut annotations = scrape.clone();
    annotations.insert(SETTINGS.to_owned(), digest(&settings(cache)));
    let labels = tls::labels(cache.spec.tls.as_ref(), labels.clone());
    json!({ "metadata": { "labels": labels, "annotations": annotations }, "spec": pod })
}

fn exporter_variables(cache: &InCluster) -> Vec<EnvVar> {
    let login = exporter::login(&cache.object_name, "REDIS_USER", "REDIS_PASSWORD");
    let scheme = if cache.spec.tls.is_some() { "rediss" } else { "redis" };
    // On the way to the server of its own pod there is nobody whose name could be verified.
    let tls = cache.spec.tls.as_ref().map(|_| env("REDIS_EXPORTER_SKIP_TLS_VERIFICATION", "true"));
    let others = [
        env("REDIS_ADDR", format!("{scheme}://localhost:{PORT}")),
        // Its user may not read the configuration, which holds the password of the replicas.
        env("REDIS_EXPORTER_CONFIG_COMMAND", "-"),
        // Whoever reaches its port could make it ask other servers, with its password.
        env("REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "true"),
    ];
    login.into_iter().chain(others).chain(tls).collect()
}
