//! The root of the resource and the rules that need more than one item.

use crate::{
    freeze::Freeze,
    prometheus::Prometheus,
    schema,
    status::LearningPlatformStatus,
    tiers::{app::App, aws::Aws, cache::Cache, cdn::Cdn, connections::JOB_PODS, database::Database, pooler},
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A learning platform: its apps and how they scale. Apply one, and the operator makes it so and keeps it so.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[kube(
    group = "learningplatform.dev",
    version = "v1alpha1",
    kind = "LearningPlatform",
    plural = "learningplatforms",
    singular = "learningplatform",
    shortname = "lp",
    category = "learning",
    namespaced,
    status = "LearningPlatformStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A learning platform: its apps, their scaling, and what they need.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Apps", type_ = "string", json_path = ".status.summary.apps", description = "Ready apps of all apps"),
    printcolumn(name = "Pods", type_ = "string", json_path = ".status.summary.pods", description = "Ready pods of wanted pods"),
    printcolumn(
        name = "Metrics",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"MetricsAvailable\")].status",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message(
        "metadata.name: children are named after it, so use lower-case letters, digits and '-', starting with a letter"
    ),
    validation = Rule::new("!has(self.spec.apps) || self.spec.apps.all(a, size(self.metadata.name) + size(a.name) <= 51)").message(
        "metadata.name and spec.apps[].name together may have at most 51 characters, because children are called <platform>-<app>: shorten one of them"
    ),
    validation = Rule::new("!has(self.spec.apps) || self.spec.apps.all(a, !has(a.jobs) || a.jobs.all(j, size(self.metadata.name) + size(a.name) + size(j.name) <= 50))").message(
        "spec.apps[].jobs[].name may have at most 50 characters together with metadata.name and spec.apps[].name, because Jobs are called <platform>-<app>-<job>-<hash>: shorten one of them"
    ),
    validation = Rule::new("!has(self.spec.caches) || self.spec.caches.all(c, (!has(self.spec.apps) || !self.spec.apps.exists(a, a.name == c.name)) && (!has(self.spec.databases) || !self.spec.databases.exists(d, d.name == c.name)))").message(
        "spec.caches[].name: an app or a database has the same name, and what is made for them would be called alike: rename one of them"
    ),
    validation = Rule::new("!has(self.spec.caches) || self.spec.caches.all(c, size(self.metadata.name) + size(has(c.renamedFrom) ? c.renamedFrom : c.name) <= 47)").message(
        "metadata.name and spec.caches[].name (renamedFrom, where it is set) together may have at most 47 characters, because its pods are called <platform>-<cache>-s0-0: shorten one of them"
    ),
    validation = Rule::new("!has(self.spec.databases) || self.spec.databases.all(d, size(self.metadata.name) + size(has(d.renamedFrom) ? d.renamedFrom : d.name) <= 42)").message(
        "metadata.name and spec.databases[].name (renamedFrom, where it is set) together may have at most 42 characters, because its pods are called <platform>-<database>-0-pg-ro-0: shorten one of them"
    ),
    validation = Rule::new("has(self.spec.aws) || !has(self.spec.databases) || self.spec.databases.all(d, !has(d.rds))").message(
        "spec.databases[].rds: set spec.aws, which says the region"
    ),
    validation = Rule::new("has(self.spec.aws) || !has(self.spec.caches) || self.spec.caches.all(c, !has(c.elastiCache))").message(
        "spec.caches[].elastiCache: set spec.aws, which says the region"
    ),
    validation = Rule::new("has(self.spec.aws) || !has(self.spec.cdns) || self.spec.cdns.all(c, !has(c.cloudFront))").message(
        "spec.cdns[].cloudFront: set spec.aws, which says as whom the operator goes to AWS"
    ),
    validation = Rule::new("!has(self.spec.databases) || !has(self.spec.apps) || self.spec.databases.all(d, !self.spec.apps.exists(a, a.name == d.name))").message(
        "spec.databases[].name: an app has the same name, and what is made for them would be called alike: rename one of them"
    ),
    validation = Rule::new("!has(self.spec.cdns) || self.spec.cdns.all(c, (!has(self.spec.apps) || !self.spec.apps.exists(a, a.name == c.name)) && (!has(self.spec.caches) || !self.spec.caches.exists(o, o.name == c.name)) && (!has(self.spec.databases) || !self.spec.databases.exists(d, d.name == c.name)))").message(
        "spec.cdns[].name: an app, a cache or a database has the same name, and what is made for them would be called alike: rename one of them"
    ),
    validation = Rule::new("!has(self.spec.cdns) || self.spec.cdns.all(c, !has(c.cloudFront) || c.cloudFront.origins.all(o, !has(o.app) || has(self.spec.apps) && self.spec.apps.exists(a, a.name == o.app.name && has(a.exposure))))").message(
        "spec.cdns[].cloudFront.origins[].app.name: there is no such item in spec.apps, or it has no exposure by which it could be reached: add it there, correct the name, or set its exposure"
    ),
    validation = Rule::new("!has(self.spec.cdns) || self.spec.cdns.all(c, !has(c.cloudFront) || !has(c.cloudFront.invalidateAfter) || c.cloudFront.invalidateAfter.all(i, has(self.spec.apps) && self.spec.apps.exists(a, a.name == i.app)))").message(
        "spec.cdns[].cloudFront.invalidateAfter[].app: there is no such item in spec.apps: add it there, or correct the name"
    ),
    validation = Rule::new("!has(self.spec.apps) || self.spec.apps.all(a, !has(a.uses) || !has(a.uses.databases) || a.uses.databases.all(u, has(self.spec.databases) && self.spec.databases.exists(d, d.name == u.name)))").message(
        "spec.apps[].uses.databases[].name: there is no such item in spec.databases: add it there, or correct the name"
    ),
    validation = Rule::new("!has(self.spec.apps) || self.spec.apps.all(a, !has(a.uses) || !has(a.uses.caches) || a.uses.caches.all(u, has(self.spec.caches) && self.spec.caches.exists(c, c.name == u.name)))").message(
        "spec.apps[].uses.caches[].name: there is no such item in spec.caches: add it there, or correct the name"
    ),
    validation = Rule::new("!has(self.spec.databases) || !has(self.spec.apps) || self.spec.databases.all(d, !has(d.connectionBudget) || self.spec.apps.all(a, !has(a.uses) || !has(a.uses.databases) || a.uses.databases.all(u, u.name != d.name || (has(u.pool) && has(u.pool.max)))))").message(
        "spec.apps[].uses.databases[].pool.max is missing, and the database has a connectionBudget: set pool.max to the connections that each pool may open"
    ),
    validation = Rule::new(budget_of_apps()).message(
        "spec.databases[].connectionBudget: the apps that use the database could open more connections, each (most pods + maxSurge + jobs) x pool.poolsPerPod x pool.max: lower one of them, or raise the budget if the server takes more"
    ),
    validation = Rule::new(budget_of_pooler()).message(
        "spec.databases[].connectionBudget: the pooler could open more connections to the primary, (pooler.replicas + 1) x (2 x pooler.defaultPoolSize + 2), beside the apps' pool.maxDirect for each pod, those of maxSurge and one of each job: lower one of them, or raise the budget if the server takes more"
    ),
    validation = Rule::new(clients_of_pooler()).message(
        "spec.databases[].inCluster.pooler.maxClientConnections: the apps that use the database could open more connections, each (most pods + maxSurge + jobs) x pool.poolsPerPod x pool.max: raise it, or lower one of them"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(known_servers("requestRate", true)).message(
    "spec.apps[].autoscaling.requestRate.server (or that of an alternative) is not in spec.prometheus.servers: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new(known_servers("concurrency", true)).message(
    "spec.apps[].autoscaling.concurrency.server (or that of an alternative) is not in spec.prometheus.servers: add it there, or correct the name"
))]
#[x_kube(validation = Rule::new(known_servers("latency", false)).message(
    "spec.apps[].autoscaling.latency.server is not in spec.prometheus.servers: add it there, or correct the name"
))]
pub struct LearningPlatformSpec {
    /// The Prometheus (or a server that speaks its query API) that scaling reads from. Without it the operator's
    /// own default server is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,

    /// The apps of the platform, a map by `name`. Removing an app removes what was made for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub apps: Vec<App>,

    /// Redis and Valkey servers for the apps, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub caches: Vec<Cache>,

    /// Names of caches and databases whose data in the cluster may be left behind: they are no longer run, and their volumes
    /// and passwords stay, whatever their `deletionPolicy`. Without this word a cache or database that is removed, renamed
    /// or given to another provider stays as it is, and so do the apps that use it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::item_names")]
    pub abandon_data: Vec<String>,

    /// PostgreSQL servers for the apps, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub databases: Vec<Database>,

    /// What stands between browsers and the apps, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub cdns: Vec<Cdn>,

    /// Where at AWS the platform's databases and caches are, and as whom the operator goes there, also for CDNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,

    /// Times in which nothing is changed that can wait, a map by `name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub freezes: Vec<Freeze>,
}

/// What holds for each database of a platform with apps.
fn each_database(rule: &str) -> String {
    format!("!has(self.spec.databases) || !has(self.spec.apps) || self.spec.databases.all(d, {rule})")
}

/// The connections that all apps could open to the database `d`: `each` is that of one pod and use `u`. A pod of a job has the
/// variables of its app.
fn connections(each: &str) -> String {
    let most = "(has(a.autoscaling) ? a.autoscaling.maxReplicas : (has(a.replicas) ? a.replicas : 1))";
    let surge = "string(a.rollout.maxSurge)";
    format!(
        "self.spec.apps.map(a, (!has(a.uses) || !has(a.uses.databases)) ? 0 : a.uses.databases.filter(u, u.name == d.name && \
         has(u.pool)).map(u, {each}).sum() * ({most} + ((!has(a.rollout) || !has(a.rollout.maxSurge)) ? 1 : \
         ({surge}.endsWith('%') ? ({most} * int({surge}.replace('%', '')) + 99) / 100 : int({surge}))) + {JOB_PODS})).sum()"
    )
}

/// The connections of the pools of one pod.
const POOLS: &str = "(has(u.pool.max) ? u.pool.max : 0) * (has(u.pool.poolsPerPod) ? u.pool.poolsPerPod : 1)";

/// Whether the database has a pooler.
const POOLER: &str = "(has(d.inCluster) && has(d.inCluster.pooler))";

/// Apps ask the primary by way of a pooler, and the replicas themselves.
fn budget_of_apps() -> String {
    let alone = format!("{POOLER} && (!has(d.inCluster.readReplicas) || d.inCluster.readReplicas == 0)");
    each_database(&format!("!has(d.connectionBudget) || ({alone}) || {} <= d.connectionBudget", connections(POOLS)))
}

fn budget_of_pooler() -> String {
    let field =
        |name: &str, default: i32| format!("(has(d.inCluster.pooler.{name}) ? d.inCluster.pooler.{name} : {default})");
    let (pods, size) = (field("replicas", pooler::REPLICAS), field("defaultPoolSize", pooler::POOL_SIZE));
    let opened = format!("({pods} + 1) * ({} * {size} + {})", pooler::LOGINS, pooler::LOOKUPS);
    let direct = connections("has(u.pool.maxDirect) ? u.pool.maxDirect : 0");
    each_database(&format!("!has(d.connectionBudget) || !{POOLER} || {opened} + {direct} <= d.connectionBudget"))
}

fn clients_of_pooler() -> String {
    let most = pooler::CLIENT_CONNECTIONS;
    let most =
        format!("(has(d.inCluster.pooler.maxClientConnections) ? d.inCluster.pooler.maxClientConnections : {most})");
    each_database(&format!("!{POOLER} || {} <= {most}", connections(POOLS)))
}

/// The rule that every server which a signal names, or one of its `alternatives`, is in `spec.prometheus.servers`.
fn known_servers(signal: &str, alternatives: bool) -> String {
    let known = |source: &str| {
        let servers = "has(self.prometheus) && has(self.prometheus.servers) && self.prometheus.servers";
        format!("(!has({source}.server) || ({servers}.exists(s, s.name == {source}.server)))")
    };
    let signal = format!("a.autoscaling.{signal}");
    let mut named = known(&signal);
    if alternatives {
        let each = known("other");
        named.push_str(&format!(" && (!has({signal}.alternatives) || {signal}.alternatives.all(other, {each}))"));
    }
    format!("!has(self.apps) || self.apps.all(a, !has(a.autoscaling) || !has({signal}) || ({named}))")
}

/// A reference to one key of a Secret in the resource's own namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// Name of the Secret, in the namespace of the resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key inside the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A reference to one key of a ConfigMap in the resource's own namespace.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKey {
    /// Name of the ConfigMap, in the namespace of the resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key inside the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
