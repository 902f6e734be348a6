//! The pooler before each primary of a database: its objects, whether apps may be led to it, and how long it stays when it is no
//! longer wished.

use super::{InCluster, POOLER_USERLIST, Server, objects::ROLE};
use crate::{
    kinds::{Kind, ObjectId},
    tiers::{
        Children,
        database::PORT,
        store::{
            SETTINGS, SHARD, auth, digest,
            pods::{self, env},
            tls, with,
        },
    },
};
use crds::tiers::pooler::{LOOKUPS, Pooler, PoolerMode};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{ResourceExt, core::DynamicObject};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

type Built = Result<DynamicObject, serde_json::Error>;

/// The image where the spec names none. Its project packs PgBouncer for CloudNativePG.
pub const DEFAULT_IMAGE: &str = "ghcr.io/cloudnative-pg/pgbouncer:1.26.0";
/// The value of [`ROLE`] of its pods.
const POOLER: &str = "pooler";
/// Annotation of its Deployment: it has been ready, so that apps are led to it, whatever becomes of its pods.
const SERVED: &str = "learningplatform.dev/served";
/// Where its settings are in the pods; the script's own default.
const CONFIG: &str = "/etc/learningplatform/pooler";
/// Where its password is in the pods.
const SECRETS: &str = "/etc/learningplatform/secrets";
/// Name of the file with the password.
const USERLIST: &str = "userlist.txt";
/// Time until no Service leads to a pod that stops (P).
const DRAIN_SECONDS: i64 = 5;
/// Beyond that, the longest transaction that is waited for (P).
const GRACE_SECONDS: i64 = 60;
/// A new version that does not get ready is told of after this time, as with apps.
const PROGRESS_DEADLINE_SECONDS: i64 = 600;

/// What a pass has seen of the poolers of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Ready pods of each, by the name of its Deployment; those that there are.
    pub ready: BTreeMap<String, u32>,
    /// Those that have been ready once.
    pub served: BTreeSet<String>,
    /// It is no longer wished, and pods of apps may still be led to it.
    pub lingers: bool,
}

/// What there is of the poolers of a database.
pub fn observe(database: &InCluster, children: &Children) -> Seen {
    let mut seen = Seen::default();
    for server in &database.servers {
        let name = server.pooler();
        let Some(live) = children.typed::<Deployment>(Kind::Deployment, &name) else { continue };
        let ready = live.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        let ready = u32::try_from(ready).unwrap_or_default();
        if ready > 0 || live.annotations().contains_key(SERVED) {
            seen.served.insert(name.clone());
        }
        seen.ready.insert(name, ready);
    }
    seen
}

impl Seen {
    /// As if all poolers had served.
    pub fn served(database: &InCluster) -> Self {
        Self { served: database.servers.iter().map(Server::pooler).collect(), ..Self::default() }
    }

    /// Whether apps can be led to every pooler that is wished.
    pub fn leads(&self, database: &InCluster) -> bool {
        database.spec.pooler.is_some() && database.servers.iter().all(|server| self.served.contains(&server.pooler()))
    }

    /// What is told of them; None where none is wished.
    pub fn told(&self, database: &InCluster) -> Option<String> {
        let wished = database.spec.pooler.as_ref()?;
        let pods = wished.pods();
        let one = |server: &Server| {
            let name = server.pooler();
            let ready = self.ready.get(&name).copied().unwrap_or_default();
            format!("{ready} of {pods} pods ready at {}", database.address(&name))
        };
        Some(database.servers.iter().map(one).collect::<Vec<_>>().join("; "))
    }

    /// Whether a pooler that is wished has no ready pod.
    pub fn is_down(&self, database: &InCluster) -> bool {
        let down = |server: &Server| self.ready.get(&server.pooler()).is_none_or(|ready| *ready == 0);
        database.spec.pooler.is_some() && database.servers.iter().any(down)
    }
}

/// What stays of poolers that are no longer wished.
pub fn lingering(database: &InCluster, children: &Children) -> BTreeSet<ObjectId> {
    let of = |server: &Server| {
        let (name, config) = (server.pooler(), config_name(server));
        let named = |kind| ObjectId { kind, name: name.clone() };
        let config = ObjectId { kind: Kind::ConfigMap, name: config };
        [named(Kind::Deployment), named(Kind::Service), named(Kind::PodDisruptionBudget), config]
    };
    database.servers.iter().flat_map(of).filter(|id| children.0.contains_key(id)).collect()
}

fn config_name(server: &Server) -> String {
    format!("{}-config", server.pooler())
}

/// The labels that select its pods.
pub fn selector(database: &InCluster, server: &Server) -> BTreeMap<String, String> {
    with(with(database.identity.selector(), SHARD, server.shard), ROLE, POOLER)
}

fn labels(database: &InCluster, server: &Server) -> BTreeMap<String, String> {
    with(with(database.identity.labels(), SHARD, server.shard), ROLE, POOLER)
}

/// Everything of the pooler before one primary, in the order of application; nothing where none is wished. Its pods carry the
/// labels of the database's own, so that the NetworkPolicy of those is theirs, too.
pub fn objects(database: &InCluster, server: &Server, seen: &Seen) -> Vec<Built> {
    let Some(spec) = &database.spec.pooler else { return Vec::new() };
    let ini = postgres::pooler::render(&settings(database, server, spec));
    vec![
        config_map(database, server, &ini),
        deployment(database, server, spec, seen, &ini),
        service(database, server),
        disruption_budget(database, server),
    ]
}

fn settings(database: &InCluster, server: &Server, spec: &Pooler) -> postgres::pooler::Pooler {
    let primary = database.address(&server.primary_service());
    postgres::pooler::Pooler {
        listen: ("*".to_owned(), PORT),
        server: (primary.host, primary.port),
        databases: vec![database.database().to_owned()],
        mode: match spec.mode.unwrap_or_default() {
            PoolerMode::Transaction => "transaction",
            PoolerMode::Session => "session",
        },
        pool_size: spec.pool_size(),
        lookups: u32::try_from(LOOKUPS).unwrap_or_default(),
        clients: spec.client_connections(),
        userlist: format!("{SECRETS}/{USERLIST}"),
        tls: super::orders::encryption(database)
            .map(|encryption| postgres::pooler::PoolerTls { directory: tls::DIRECTORY.to_owned(), encryption }),
        parameters: spec.parameters.clone(),
    }
}

fn config_map(database: &InCluster, server: &Server, ini: &str) -> Built {
    let (script, text) = postgres::pooler::SCRIPT;
    Kind::ConfigMap.object(&json!({
        "metadata": { "name": config_name(server), "labels": labels(database, server) },
        "data": { "pgbouncer.ini": ini, script: text },
    }))
}

fn deployment(database: &InCluster, server: &Server, spec: &Pooler, seen: &Seen, ini: &str) -> Built {
    let (name, selector, labels) = (server.pooler(), selector(database, server), labels(database, server));
    let mut pod = serde_json::to_value(pods::pod(&spec.pods, &selector, DRAIN_SECONDS + GRACE_SECONDS))?;
    let (script, text) = postgres::pooler::SCRIPT;
    pod["containers"] = json!([{
        "name": POOLER,
        "image": spec.image.as_deref().unwrap_or(DEFAULT_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", format!("{CONFIG}/{script}")],
        "env": [env("LP_DRAIN", DRAIN_SECONDS)],
        "ports": [{ "name": "postgres", "containerPort": PORT, "protocol": "TCP" }],
        "resources": pods::resources(&spec.pods),
        // Whether the primary answers is not its matter: clients wait at it until the primary is back.
        "readinessProbe": {
            "tcpSocket": { "port": "postgres" },
            "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3, "successThreshold": 1,
        },
        "securityContext": pods::security(),
        "volumeMounts": [{ "name": "config", "mountPath": CONFIG }, { "name": "secrets", "mountPath": SECRETS }],
    }]);
    pod["volumes"] = json!([
        { "name": "config", "configMap": { "name": config_name(server), "defaultMode": 0o444 } },
        { "name": "secrets", "secret": {
            "secretName": auth::name(&database.object_name), "defaultMode": 0o440,
            "items": [{ "key": POOLER_USERLIST, "path": USERLIST }],
        } },
    ]);
    tls::mount(&mut pod, tls::secret_name(database.spec.tls.as_ref(), &database.object_name));
    let served = seen.served.contains(&name).then(|| BTreeMap::from([(SERVED, "true")]));
    Kind::Deployment.object(&json!({
        "metadata": { "name": name, "labels": labels, "annotations": served },
        "spec": {
            "replicas": spec.pods(),
            "selector": { "matchLabels": selector },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": { "labels": labels, "annotations": { SETTINGS: digest(&format!("{ini}\n{text}")) } },
                "spec": pod,
            },
        },
    }))
}

fn service(database: &InCluster, server: &Server) -> Built {
    super::objects::service(database, server, server.pooler(), selector(database, server))
}

fn disruption_budget(database: &InCluster, server: &Server) -> Built {
    Kind::PodDisruptionBudget.object(&json!({
        "metadata": { "name": server.pooler(), "labels": labels(database, server) },
        "spec": {
            "selector": { "matchLabels": selector(database, server) },
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }))
}
