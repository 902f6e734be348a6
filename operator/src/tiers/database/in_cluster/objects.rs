//! The Kubernetes objects of a database in this cluster.

use super::{
    DEFAULT_IMAGE, InCluster, Seen, SeenServer, Server,
    backup::{
        self,
        snapshots::{self, Source},
    },
    pooler,
};
use crate::{
    capabilities::Served,
    kinds::Kind,
    tiers::{
        Children,
        app::pod::some_map,
        database::PORT,
        store::{
            self, RETAINED, SHARD,
            auth::{self, Passwords},
            exporter::{self, Exporter},
            pods::{self, claim, claim_retention, env, env_field},
            record, tls, uses_label, with,
        },
    },
};
use crds::tiers::in_cluster::DeletionPolicy;
use k8s_openapi::{api::core::v1::EnvVar, apimachinery::pkg::api::resource::Quantity};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Built = Result<DynamicObject, serde_json::Error>;

/// Label that every pod of a StatefulSet has: its own name.
pub(super) const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// Label: `primary` or `replica`. For good: a replica's pod never becomes a primary by itself.
pub const ROLE: &str = "learningplatform.dev/role";
/// Value of [`ROLE`] for a replica.
pub const REPLICA: &str = "replica";
/// Where the scripts and the configuration are in the pods; the scripts' own default.
pub(super) const CONFIG: &str = "/etc/learningplatform/postgres";
/// Where the passwords are in the pods; the scripts' own default.
pub(super) const SECRETS: &str = "/etc/learningplatform/secrets";
/// Where the volume is mounted, as in the official image from version 18.
const MOUNT: &str = "/var/lib/postgresql";
/// A second pod beside the primary would corrupt its files: not even on the same node may there be one.
const ACCESS: &str = "ReadWriteOncePod";
/// A clean stop writes everything out first; a killed server starts slowly.
const GRACE_SECONDS: i64 = 120;

/// Everything of a database, in the order of application.
pub fn objects(database: &InCluster, seen: &Seen, children: &Children, served: Served) -> Vec<Built> {
    if seen.held.is_some() {
        return Vec::new();
    }
    let names = database.names();
    let certificate =
        tls::certificate(&database.identity, &database.object_name, database.spec.tls.as_ref(), &names, served);
    let mut built: Vec<Built> = certificate.into_iter().collect();
    let Ok(passwords) = &seen.passwords else { return built };
    let policy = database.spec.deletion_policy.unwrap_or_default();
    built.extend([
        auth::secret(&database.identity, &database.object_name, policy, passwords),
        config_map(database, passwords),
        network_policy(database),
    ]);
    built.extend(tls::secret(&database.identity, &database.object_name, policy, seen.tls.as_ref()));
    let exporter = database.exporter();
    let scrape =
        exporter.map(|exporter| exporter.annotations(&database.identity, children, served)).unwrap_or_default();
    built.extend(exporter.and_then(|exporter| exporter.pod_monitor(&database.identity, served)));
    let unseen = SeenServer::default();
    let pooled = seen.pooler.leads(database);
    let poolers = &seen.pooler;
    built.extend(
        seen.source
            .iter()
            .flat_map(|source| database.servers.first().map(|server| restored_claim(database, server, source))),
    );
    let (mut of_volumes, now) = (Vec::new(), jiff::Timestamp::now());
    for server in &database.servers {
        let seen = seen.servers.get(server.shard as usize).unwrap_or(&unseen);
        let record = record(database, server, seen, children);
        let pods = replica_pods(server, seen, children);
        let primary = seen.promotion.pods.unwrap_or_else(|| live_pods(children, &server.primary_set()).unwrap_or(1));
        built.extend([
            record::config_map(&database.identity, &server.object_name, policy, &record),
            headless(database, server),
            stateful_set(database, server, Role::Primary, primary, seen.has_served(), &scrape),
            stateful_set(database, server, Role::Replica, pods, true, &scrape),
            disruption_budget(database, server, Role::Primary),
            disruption_budget(database, server, Role::Replica),
            service(database, server, server.primary_service(), role_selector(database, server, Role::Primary)),
            read_service(database, server, seen, children, server.reader_service(), || {
                reader(database, server, seen, pooled)
            }),
        ]);
        built.extend((0..database.addresses).map(|number| {
            let name = server.numbered_service(number);
            read_service(database, server, seen, children, name, || numbered(database, server, seen, number, pooled))
        }));
        built.extend(pooler::objects(database, server, poolers));
        built.extend(backup::objects::objects(database, server));
        of_volumes.extend(snapshots::objects(database, server, seen, (children, &record), served, now));
    }
    // One that is refused holds nothing else up.
    built.extend(of_volumes);
    built
}

/// The role of a pod.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    Replica,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => REPLICA,
        }
    }
}

/// What is known of the data: what was known, and what the keeper has seen since.
fn record(database: &InCluster, server: &Server, seen: &SeenServer, children: &Children) -> record::Record {
    let mut known = seen.record.clone().unwrap_or_default();
    known.remove(record::ABANDONED);
    if auth::live(children, &database.object_name).is_some() {
        known.remove(record::RESTORED);
    }
    let mut promoted = false;
    if let Some(seen) = seen.view.as_ref().and_then(|view| view.record.as_ref()) {
        let before = known.get(super::TIMELINE).and_then(|timeline| timeline.parse().ok());
        promoted = before.is_some_and(|before: u32| before < seen.timeline);
        known.entry(record::SYSTEM_IDENTIFIER.to_owned()).or_insert_with(|| seen.system_identifier.clone());
        known.insert(super::TIMELINE.to_owned(), seen.timeline.to_string());
    }
    super::promotion::keep(database, server, &mut known, seen);
    super::scaling::keep(database, &mut known, seen.view.as_deref());
    let archive = seen.view.as_ref().and_then(|view| view.archive);
    let now = jiff::Timestamp::now();
    backup::keep(database, &mut known, &seen.backup, (archive, promoted), now);
    let answered = seen.view.as_ref().filter(|view| view.record.is_some());
    match (snapshots::wished(database), answered) {
        (Some(_), Some(view)) => snapshots::keep(&mut known, &seen.backup.snapshots, view.major, now),
        // Of a server that has never answered there is nothing to be taken.
        (Some(_), None) => {}
        (None, _) => snapshots::forget(&mut known),
    }
    known
}

/// How many replicas there are to be now: as many as asked for once the primary serves; fewer than there are only when the
/// keeper has let them go.
fn replica_pods(server: &Server, seen: &SeenServer, children: &Children) -> u32 {
    let live = || live_pods(children, &server.replica_set()).unwrap_or_default();
    seen.view.as_ref().map_or_else(live, |view| view.replicas)
}

/// How many pods a StatefulSet is to have as it is.
fn live_pods(children: &Children, set: &str) -> Option<u32> {
    let live = children.get(Kind::StatefulSet, set)?.data.pointer("/spec/replicas").and_then(Value::as_u64);
    live.and_then(|n| u32::try_from(n).ok())
}

fn labels(database: &InCluster, server: &Server) -> BTreeMap<String, String> {
    with(database.identity.labels(), SHARD, server.shard)
}

fn selector(database: &InCluster, server: &Server) -> BTreeMap<String, String> {
    with(database.identity.selector(), SHARD, server.shard)
}

fn role_selector(database: &InCluster, server: &Server, role: Role) -> BTreeMap<String, String> {
    with(selector(database, server), ROLE, role.as_str())
}

fn pod_selector(database: &InCluster, server: &Server, pod: &str) -> BTreeMap<String, String> {
    with(selector(database, server), POD_NAME, pod)
}

/// The replicas that may be asked, in order.
fn routable(seen: &SeenServer) -> Vec<u32> {
    seen.view.as_ref().map(|view| view.routable.iter().copied().collect()).unwrap_or_default()
}

/// Any replica that may be asked; the primary while there is none.
fn reader(database: &InCluster, server: &Server, seen: &SeenServer, pooled: bool) -> BTreeMap<String, String> {
    match routable(seen).is_empty() {
        true => instead(database, server, pooled),
        false => role_selector(database, server, Role::Replica),
    }
}

/// The primary in a replica's place: by way of its pooler, or the connections of readers would come to those that it has.
fn instead(database: &InCluster, server: &Server, pooled: bool) -> BTreeMap<String, String> {
    if pooled { pooler::selector(database, server) } else { role_selector(database, server, Role::Primary) }
}

/// A numbered address leads to the replica of that number, or to another one in turn, or to the primary: always somewhere.
fn numbered(
    database: &InCluster,
    server: &Server,
    seen: &SeenServer,
    number: u32,
    pooled: bool,
) -> BTreeMap<String, String> {
    let routable = routable(seen);
    let own = routable.iter().find(|ordinal| **ordinal == number);
    let other = || routable.get(number as usize % routable.len().max(1));
    match own.or_else(other) {
        Some(ordinal) => pod_selector(database, server, &format!("{}-{ordinal}", server.replica_set())),
        None => instead(database, server, pooled),
    }
}

/// The replicas that numbered addresses lead to.
pub fn routed(database: &InCluster, server: &Server, children: &Children) -> BTreeSet<u32> {
    let pods = (0..database.addresses).filter_map(|number| {
        let pod = selected(children, &server.numbered_service(number))?.get(POD_NAME)?.clone();
        pod.strip_prefix(&server.replica_set())?.strip_prefix('-')?.parse().ok()
    });
    pods.collect()
}

/// What a live Service selects.
fn selected(children: &Children, service: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_value(children.get(Kind::Service, service)?.data.pointer("/spec/selector")?.clone()).ok()
}

/// A Service for reads. As long as nobody has looked at the servers it leads where it led.
fn read_service(
    database: &InCluster,
    server: &Server,
    seen: &SeenServer,
    children: &Children,
    name: String,
    selector: impl FnOnce() -> BTreeMap<String, String>,
) -> Built {
    let before = seen.view.is_none().then(|| selected(children, &name)).flatten();
    service(database, server, name, before.unwrap_or_else(selector))
}

fn ports() -> Value {
    json!([{ "name": "postgres", "port": PORT, "targetPort": "postgres", "protocol": "TCP" }])
}

pub(super) fn service(
    database: &InCluster,
    server: &Server,
    name: String,
    selector: BTreeMap<String, String>,
) -> Built {
    Kind::Service.object(&json!({
        "metadata": { "name": name, "labels": labels(database, server) },
        "spec": { "type": "ClusterIP", "selector": selector, "ports": ports(), "sessionAffinity": "None" },
    }))
}

/// The pods by their names. Replicas find the primary by its Service, once it serves.
fn headless(database: &InCluster, server: &Server) -> Built {
    Kind::Service.object(&json!({
        "metadata": { "name": server.pods_service(), "labels": labels(database, server) },
        "spec": {
            "type": "ClusterIP", "clusterIP": "None", "publishNotReadyAddresses": true,
            "selector": selector(database, server), "ports": ports(),
        },
    }))
}

fn disruption_budget(database: &InCluster, server: &Server, role: Role) -> Built {
    let name = match role {
        Role::Primary => server.primary_set(),
        Role::Replica => server.replica_set(),
    };
    Kind::PodDisruptionBudget.object(&json!({
        "metadata": { "name": name, "labels": labels(database, server) },
        "spec": {
            "selector": { "matchLabels": role_selector(database, server, role) },
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }))
}

/// Servers talk to each other, to the apps that use the database, and to the operator.
fn network_policy(database: &InCluster) -> Built {
    let own = json!({ "podSelector": { "matchLabels": database.identity.selector() } });
    // Pods that were made before the item was renamed carry its former name.
    let names = BTreeSet::from([&database.name, &database.identity.id]);
    let user = |name: &String| json!({ "podSelector": { "matchLabels": { uses_label(name): "true" } } });
    let from: Vec<Value> = [own, store::operator_peer()].into_iter().chain(names.into_iter().map(user)).collect();
    let servers = json!({ "from": from, "ports": [{ "protocol": "TCP", "port": PORT }] });
    let ingress: Vec<Value> = [servers].into_iter().chain(database.exporter().map(Exporter::ingress)).collect();
    Kind::NetworkPolicy.object(&json!({
        "metadata": { "name": database.object_name, "labels": database.identity.labels() },
        "spec": {
            "podSelector": { "matchLabels": database.identity.selector() },
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }))
}

/// The files of the servers. The keeper sees what a server has not taken yet, and restarts it where it must.
fn config_map(database: &InCluster, passwords: &Passwords) -> Built {
    let rendered =
        postgres::config::render(&super::orders::server(database, passwords), &super::orders::databases(database));
    let mut data = BTreeMap::from([
        ("postgresql.conf", rendered.postgresql_conf.as_str()),
        ("pg_hba.conf", rendered.pg_hba_conf.as_str()),
        ("setup.sql", rendered.setup_sql.as_str()),
    ]);
    data.extend(rendered.pg_hba_tls_conf.as_deref().map(|text| ("pg_hba_tls.conf", text)));
    data.extend(postgres::SCRIPTS);
    Kind::ConfigMap.object(&json!({
        "metadata": { "name": format!("{}-config", database.object_name), "labels": database.identity.labels() },
        "data": data,
    }))
}

fn stateful_set(
    database: &InCluster,
    server: &Server,
    role: Role,
    replicas: u32,
    has_data: bool,
    scrape: &BTreeMap<String, String>,
) -> Built {
    let labels = with(labels(database, server), ROLE, role.as_str());
    let policy = database.spec.deletion_policy.unwrap_or_default();
    let (name, kept, scaled) = match role {
        // It has no pod while its database goes on with a replica's data: that deletes nothing.
        Role::Primary => (server.primary_set(), policy, DeletionPolicy::Retain),
        // A replica is a copy: the volume of one that is no longer wanted is nothing but old data.
        Role::Replica => (server.replica_set(), policy, DeletionPolicy::Delete),
    };
    Kind::StatefulSet.object(&json!({
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "serviceName": server.pods_service(),
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "updateStrategy": { "type": "OnDelete" },
            "persistentVolumeClaimRetentionPolicy": claim_retention(kept, scaled),
            "selector": { "matchLabels": role_selector(database, server, role) },
            "template": template(database, server, role, has_data, &labels, scrape),
            "volumeClaimTemplates": [claim(&database.spec.volume, ACCESS, &claim_labels(database, server, role))],
        },
    }))
}

fn claim_labels(database: &InCluster, server: &Server, role: Role) -> BTreeMap<String, String> {
    let policy = database.spec.deletion_policy.unwrap_or_default();
    let labels = with(labels(database, server), ROLE, role.as_str());
    if policy == DeletionPolicy::Retain { with(labels, RETAINED, true) } else { labels }
}

/// The claim of a primary whose volume is made of a snapshot: as the StatefulSet would make it, but for where its data come from.
/// Only the first claim may have them from there, so that this is no matter of the StatefulSet's.
fn restored_claim(database: &InCluster, server: &Server, source: &Source) -> Built {
    let mut volume = database.spec.volume.clone();
    if let Some(bytes) = source.bytes.filter(|bytes| pods::bytes(&volume.storage).is_none_or(|asked| asked < *bytes)) {
        volume.storage = Quantity(bytes.to_string());
    }
    let mut claim = claim(&volume, ACCESS, &claim_labels(database, server, Role::Primary));
    claim["metadata"]["name"] = json!(server.primary_claim());
    claim["spec"]["dataSource"] = json!({
        "apiGroup": Kind::VolumeSnapshot.group(), "kind": Kind::VolumeSnapshot.as_str(), "name": source.name,
    });
    Kind::PersistentVolumeClaim.object(&claim)
}

fn template(
    database: &InCluster,
    server: &Server,
    role: Role,
    has_data: bool,
    labels: &BTreeMap<String, String>,
    scrape: &BTreeMap<String, String>,
) -> Value {
    let spread = role_selector(database, server, role);
    let data = format!("{MOUNT}/data");
    let mut pod = serde_json::to_value(pods::pod(&database.spec.pods, &spread, GRACE_SECONDS)).unwrap_or_default();
    let env = [
        env("LP_MAX_LAG", super::MAX_LAG.as_secs()),
        env("LP_PRIMARY", format!("{}.{}.svc", server.primary_service(), database.namespace)),
        // Below the mount: a filesystem's own lost+found stands there.
        env("PGDATA", &data),
        env_field("POD_NAME", "metadata.name"),
    ];
    let script = |name: &str| json!(["/bin/sh", format!("{CONFIG}/{name}")]);
    let (startup, readiness) = pods::probes(&script("ready.sh"));
    // The primary needs to know passwords only; but for that with which replicas log in, when it copies one of them.
    let monitor = database.exporter().map(|_| (super::MONITOR_VERIFIER, "monitor.verifier"));
    let files: Vec<(&str, &str)> = match role {
        Role::Primary => {
            let always = [
                (super::OPERATOR_VERIFIER, "operator.verifier"),
                (super::REPLICATION_VERIFIER, "replication.verifier"),
                (super::POOLER_VERIFIER, "pooler.verifier"),
                (super::BACKUP_VERIFIER, "backup.verifier"),
                (super::REPLICATION_PASSWORD, "replication.password"),
            ];
            always.into_iter().chain(monitor).collect()
        }
        Role::Replica => vec![(super::REPLICATION_PASSWORD, "replication.password")],
    };
    let items: Vec<Value> = files.iter().map(|(key, path)| json!({ "key": key, "path": path })).collect();
    pod["containers"] = json!([{
        "name": pods::SERVER,
        "image": database.spec.image.as_deref().unwrap_or(DEFAULT_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": script(&format!("{}.sh", role.as_str())),
        "env": env,
        "envFrom": [{ "prefix": record::PREFIX, "configMapRef": { "name": record::name(&server.object_name), "optional": true } }],
        "ports": [{ "name": "postgres", "containerPort": PORT, "protocol": "TCP" }],
        "resources": pods::resources(&database.spec.pods),
        "startupProbe": startup,
        "readinessProbe": readiness,
        "lifecycle": { "preStop": { "exec": { "command": script("stop.sh") } } },
        "securityContext": pods::security(),
        "volumeMounts": [
            { "name": pods::DATA, "mountPath": MOUNT },
            { "name": "config", "mountPath": CONFIG },
            { "name": "secrets", "mountPath": SECRETS },
            { "name": "run", "mountPath": "/var/run/postgresql" },
            { "name": "tmp", "mountPath": "/tmp" },
            { "name": "shm", "mountPath": "/dev/shm" },
        ],
    }]);
    if let (Some(containers), Some(exporter)) = (pod["containers"].as_array_mut(), database.exporter()) {
        containers.push(exporter.container(exporter_variables(database)));
    }
    pod["volumes"] = json!([
        { "name": "config", "configMap": { "name": format!("{}-config", database.object_name), "defaultMode": 0o444 } },
        { "name": "secrets", "secret": { "secretName": auth::name(&database.object_name), "defaultMode": 0o440, "items": items } },
        { "name": "run", "emptyDir": {} },
        { "name": "tmp", "emptyDir": {} },
        { "name": "shm", "emptyDir": { "medium": "Memory" } },
    ]);
    backup::objects::restore(database, server, has_data, (MOUNT, &data), &mut pod);
    tls::mount(&mut pod, tls::secret_name(database.spec.tls.as_ref(), &database.object_name));
    let labels = tls::labels(database.spec.tls.as_ref(), labels.clone());
    json!({ "metadata": { "labels": labels, "annotations": some_map(scrape.clone()) }, "spec": pod })
}

/// It asks the server beside it, in the database that every role may open.
fn exporter_variables(database: &InCluster) -> Vec<EnvVar> {
    let login = exporter::login(&database.object_name, "DATA_SOURCE_USER", "DATA_SOURCE_PASS");
    // On the way to the server of its own pod there is nobody whose name could be verified.
    let mode = if database.spec.tls.is_some() { "require" } else { "disable" };
    login.into_iter().chain([env("DATA_SOURCE_URI", format!("localhost:{PORT}/postgres?sslmode={mode}"))]).collect()
}
