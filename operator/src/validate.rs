//! Turns a resource into types that cannot be wrong, or says which field is wrong. The only step that rejects: admission
//! has done most of it, but a stored resource may be older than a rule, and references inside the spec are not the
//! schema's to check.

use crate::{
    context::Settings,
    error::{Error, Result},
    freeze::Freeze,
    naming::{AppKey, Owner, PlatformKey, object_name},
    release,
    tiers::{
        app::{self, variables::Authority},
        autoscaling, aws,
        binding::{Address, Bindings},
        cache::{self, ValidCache},
        cdn::{self, ValidCdn},
        database::{self, ValidDatabase},
    },
};
use crds::{
    LearningPlatform,
    prometheus::Prometheus,
    status::LearningPlatformStatus,
    tiers::{
        app::{App, AppPort, Protocol},
        aws::Aws,
        cache::Cache,
        cdn::Cdn,
        database::{Database, ExternalDatabase},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// A platform that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidPlatform {
    /// Namespace and name.
    pub key: PlatformKey,
    /// Owner of every child.
    pub owner: Owner,
    /// Generation of the spec.
    pub generation: i64,
    /// Annotations of the resource; holds are among them.
    pub annotations: BTreeMap<String, String>,
    /// Where scaling reads from, as written.
    pub prometheus: Option<Prometheus>,
    /// The apps, in the order of the spec.
    pub apps: Vec<ValidApp>,
    /// The caches, in the order of the spec.
    pub caches: Vec<ValidCache>,
    /// The databases, in the order of the spec.
    pub databases: Vec<ValidDatabase>,
    /// The CDNs, in the order of the spec.
    pub cdns: Vec<ValidCdn>,
    /// Whether the resource is held back from being gone before its items at AWS are seen to.
    pub held_back: bool,
    /// Account and region of its items at AWS.
    pub aws: Option<Aws>,
    /// Stores whose data may be left behind.
    pub abandon_data: BTreeSet<String>,
    /// Its freezes, but for those that somebody has lifted.
    pub freezes: Vec<Freeze>,
    /// The status that the resource carries.
    pub status: LearningPlatformStatus,
}

impl ValidPlatform {
    /// Whether the user has suspended it.
    pub fn suspended(&self) -> bool {
        self.annotations.get(crds::SUSPEND_ANNOTATION).is_some_and(|v| v == "true")
    }

    /// An app by name.
    pub fn app(&self, name: &str) -> Option<&ValidApp> {
        self.apps.iter().find(|a| a.key.app == name)
    }
}

/// An app that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidApp {
    /// Identity.
    pub key: AppKey,
    /// Name of its objects.
    pub object_name: String,
    /// The app as written.
    pub spec: App,
    /// Its ports, the first one the default of routes, probes and metrics.
    pub ports: Vec<Port>,
    /// The stores whose certificate authorities its pods need.
    pub authorities: Vec<Authority>,
    /// Its scaling, if it has any.
    pub scaling: Option<autoscaling::ValidScaling>,
}

/// A port of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name, on container and Service.
    pub name: String,
    /// Number on the container.
    pub container: i32,
    /// Number on the Service.
    pub service: i32,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// Service `appProtocol`.
    pub app_protocol: Option<String>,
}

impl ValidApp {
    /// The port of a name, or the first one that speaks TCP, as routes, probes and scrapes do; `None` where there is none.
    pub fn port(&self, name: Option<&str>) -> Option<&Port> {
        self.ports.iter().find(|p| name.map_or(p.protocol == "TCP", |name| p.name == name))
    }
}

/// Something wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub problem: String,
}

impl Problem {
    /// A problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Validates a resource. Pure.
///
/// # Errors
/// [`Error::InvalidSpec`] with the first problem, and how many more there are.
pub fn validate(platform: &LearningPlatform, settings: &Settings) -> Result<ValidPlatform> {
    let key = PlatformKey::of(platform);
    let spec = &platform.spec;
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut take = |path: &str, name: &str, problems: &mut Vec<Problem>| {
        if !names.insert(name.to_owned()) {
            problems.push(Problem::new(path, "another item has the same name: rename one of them"));
        }
    };
    let (mut caches, mut databases, mut apps) = (Vec::new(), Vec::new(), Vec::new());
    for cache in &spec.caches {
        let path = format!("spec.caches[{}]", cache.name);
        take(&path, &cache.name, &mut problems);
        for former in cache.renamed_from.iter().filter(|former| **former != cache.name) {
            take(&format!("{path}.renamedFrom"), former, &mut problems);
        }
        caches.extend(validate_cache(platform, settings, &path, cache, &mut problems));
    }
    for database in &spec.databases {
        let path = format!("spec.databases[{}]", database.name);
        take(&path, &database.name, &mut problems);
        for former in database.renamed_from.iter().filter(|former| **former != database.name) {
            take(&format!("{path}.renamedFrom"), former, &mut problems);
        }
        databases.extend(validate_database(platform, settings, &path, database, &mut problems));
    }
    check_names(&caches, &databases, &mut problems);
    if let Some(Err(wrong)) = spec.aws.as_ref().map(|account| aws::account::settings(&key, account).check()) {
        problems.push(Problem::new(format!("spec.aws.{}", wrong.field), wrong.to_string()));
    }
    let stores = Bindings::placeholders(&caches, &databases);
    for app in &spec.apps {
        let path = format!("spec.apps[{}]", app.name);
        take(&path, &app.name, &mut problems);
        apps.extend(validate_app(&key, &path, app, spec.prometheus.as_ref(), &stores, settings, &mut problems));
    }
    check_schedules(&apps, &databases, &mut problems);
    let mut cdns = Vec::new();
    for item in &spec.cdns {
        let path = format!("spec.cdns[{}]", item.name);
        take(&path, &item.name, &mut problems);
        cdns.extend(validate_cdn(platform, settings, &path, item, &mut problems));
    }
    check_records(&cdns, &names, &mut problems);
    let annotations = platform.metadata.annotations.clone().unwrap_or_default();
    let mut freezes = Vec::new();
    for freeze in &spec.freezes {
        match Freeze::new(freeze) {
            Ok(freeze) => freezes.push(freeze),
            Err(error) => problems.push(Problem::new(format!("spec.freezes[{}]", freeze.name), error.to_string())),
        }
    }
    freezes.retain(|freeze| !freeze.is_lifted(&annotations));
    let mut problems = problems.into_iter();
    if let Some(Problem { field, mut problem }) = problems.next() {
        let more = problems.count();
        if more > 0 {
            problem.push_str(&format!(" (and {more} more problems)"));
        }
        return Err(Error::InvalidSpec { field, problem });
    }
    Ok(ValidPlatform {
        owner: Owner::of(platform),
        generation: platform.metadata.generation.unwrap_or_default(),
        annotations,
        prometheus: spec.prometheus.clone(),
        apps,
        caches,
        databases,
        cdns,
        held_back: release::is_held_back(platform),
        aws: spec.aws.clone(),
        abandon_data: spec.abandon_data.iter().cloned().collect(),
        freezes,
        status: platform.status.clone().unwrap_or_default(),
        key,
    })
}

fn validate_app(
    platform: &PlatformKey,
    path: &str,
    app: &App,
    prometheus: Option<&Prometheus>,
    stores: &Bindings,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> Option<ValidApp> {
    let before = problems.len();
    if app.replicas.is_some() && app.autoscaling.is_some() {
        problems.push(Problem::new(
            format!("{path}.replicas"),
            "replicas and autoscaling exclude each other: remove one of them",
        ));
    }
    let scaling = match &app.autoscaling {
        None => None,
        Some(autoscaling) => {
            match autoscaling::validate(&platform.app(&app.name), app, autoscaling, prometheus, settings) {
                Ok(scaling) => Some(scaling),
                Err(found) => {
                    let prefix = format!("{path}.autoscaling");
                    problems.extend(found.into_iter().map(|p| Problem { field: join(&prefix, &p.field), ..p }));
                    None
                }
            }
        }
    };
    let authorities = app::variables::check(app.uses.as_ref(), stores).unwrap_or_else(|found| {
        problems.extend(found.into_iter().map(|p| Problem { field: join(path, &p.field), ..p }));
        Vec::new()
    });
    let valid = ValidApp {
        authorities,
        key: platform.app(&app.name),
        object_name: object_name(&platform.name, &app.name),
        ports: ports(app),
        spec: app.clone(),
        scaling,
    };
    check_ports(path, &valid, problems);
    let of_jobs = app::jobs::check(&valid).into_iter();
    problems.extend(of_jobs.map(|(field, problem)| Problem::new(join(path, &field), problem)));
    if let Err(problem) = app::overlay::check(&valid) {
        problems.push(Problem::new(format!("{path}.podTemplate"), problem));
    }
    (problems.len() == before).then_some(valid)
}

/// Jobs `a-b` of an app `x` and `b` of an app `x-a` would have CronJobs of one name, as would the backups of a database.
fn check_schedules(apps: &[ValidApp], databases: &[ValidDatabase], problems: &mut Vec<Problem>) {
    let with_backups = databases.iter().filter_map(|database| match &database.provider {
        database::Provider::InCluster(item) if database::in_cluster::backup::on_volume(item).is_some() => {
            Some(&item.servers)
        }
        _ => None,
    });
    let mut names: BTreeSet<String> = with_backups.flatten().map(database::in_cluster::Server::backup).collect();
    for app in apps {
        for job in app.spec.jobs.iter().filter(|job| job.schedule.is_some()) {
            let name = app::jobs::cron_job_name(app, job);
            if !names.insert(name.clone()) {
                let field = format!("spec.apps[{}].jobs[{}].name", app.key.app, job.name);
                let problem = format!("another CronJob is called {name}, too: rename one of them");
                problems.push(Problem::new(field, problem));
            }
        }
    }
}

/// The account of an item at AWS, and whose it is there.
fn at_aws<'a>(
    resource: &'a LearningPlatform,
    settings: &Settings,
    field: &str,
    id: &str,
    problems: &mut Vec<Problem>,
) -> Option<(&'a Aws, ::aws::Owner)> {
    let Some(account) = &resource.spec.aws else {
        problems.push(Problem::new(field, "set spec.aws, which says the region"));
        return None;
    };
    let owner = release::owner(resource, settings, id);
    Some((account, owner.map_err(|problem| problems.push(Problem::new(field, problem))).ok()?))
}

fn validate_cache(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    cache: &Cache,
    problems: &mut Vec<Problem>,
) -> Option<ValidCache> {
    let platform = &PlatformKey::of(resource);
    let provider = match (&cache.in_cluster, &cache.elasti_cache, &cache.external) {
        (None, Some(spec), None) => {
            let id = cache.renamed_from.as_deref().unwrap_or(&cache.name);
            let (account, owner) = at_aws(resource, settings, &format!("{path}.elastiCache"), id, problems)?;
            let of = (platform.name.as_str(), platform.namespace.as_str(), &owner);
            cache::Provider::ElastiCache(Box::new(cache::elasticache::ElastiCache::new(of, account, cache, spec)))
        }
        (Some(spec), None, None) => {
            problems.extend(forbidden(&format!("{path}.inCluster.parameters"), &spec.parameters, valkey::refused));
            let cache = cache::in_cluster::InCluster::new(&platform.name, &platform.namespace, cache, spec);
            cache::Provider::InCluster(Box::new(cache))
        }
        (None, None, Some(external)) => {
            let address = address(&format!("{path}.external.address"), &external.address, cache::PORT, problems)?;
            cache::Provider::External(address, external.clone())
        }
        _ => {
            let problem = "say where the cache runs: set exactly one of inCluster, elastiCache and external";
            problems.push(Problem::new(path, problem));
            return None;
        }
    };
    Some(ValidCache { name: cache.name.clone(), provider })
}

/// Settings of a server that would break what the operator promises of it.
fn forbidden<'a>(
    field: &'a str,
    parameters: &'a BTreeMap<String, String>,
    why: fn(&str) -> Option<&'static str>,
) -> impl Iterator<Item = Problem> + 'a {
    parameters.keys().filter_map(move |name| Some(Problem::new(format!("{field}[{name}]"), why(name)?)))
}

fn validate_database(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    database: &Database,
    problems: &mut Vec<Problem>,
) -> Option<ValidDatabase> {
    let platform = &PlatformKey::of(resource);
    let provider = match (&database.in_cluster, &database.cloud_native_pg, &database.rds, &database.external) {
        (None, None, Some(spec), None) => {
            let id = database.renamed_from.as_deref().unwrap_or(&database.name);
            let (account, owner) = at_aws(resource, settings, &format!("{path}.rds"), id, problems)?;
            let of = (platform.name.as_str(), platform.namespace.as_str(), &owner);
            database::Provider::Rds(Box::new(database::rds::Rds::new(of, account, database, spec)))
        }
        (None, Some(spec), None, None) => {
            problems.extend(forbidden(
                &format!("{path}.cloudNativePG.parameters"),
                &spec.parameters,
                postgres::config::forbidden_parameter,
            ));
            let database =
                database::cloud_native_pg::CloudNativePg::new(&platform.name, &platform.namespace, database, spec);
            problems.extend(database::cloud_native_pg::backup::check(&format!("{path}.cloudNativePG"), &database));
            database::Provider::CloudNativePg(Box::new(database))
        }
        (Some(spec), None, None, None) => {
            problems.extend(forbidden(
                &format!("{path}.inCluster.parameters"),
                &spec.parameters,
                postgres::config::forbidden_parameter,
            ));
            let database = database::in_cluster::InCluster::new(&platform.name, &platform.namespace, database, spec);
            problems.extend(database::in_cluster::backup::check(&format!("{path}.inCluster"), &database));
            database::Provider::InCluster(Box::new(database))
        }
        (None, None, None, Some(external)) => {
            database::Provider::External(Box::new(validate_external(path, external, problems)?))
        }
        _ => {
            let problem = "say where the database runs: set exactly one of inCluster, cloudNativePG, rds and external";
            problems.push(Problem::new(path, problem));
            return None;
        }
    };
    let connection_budget = database.connection_budget;
    Some(ValidDatabase { name: database.name.clone(), connection_budget, provider })
}

fn validate_cdn(
    resource: &LearningPlatform,
    settings: &Settings,
    path: &str,
    item: &Cdn,
    problems: &mut Vec<Problem>,
) -> Option<ValidCdn> {
    let Some(spec) = &item.cloud_front else {
        problems.push(Problem::new(path, "say where the CDN runs: set cloudFront"));
        return None;
    };
    let Some(account) = &resource.spec.aws else {
        let problem = "set spec.aws, which says as whom the operator goes to AWS";
        problems.push(Problem::new(format!("{path}.cloudFront"), problem));
        return None;
    };
    if let Err(cdn::wish::Unfit::Invalid(found)) = cdn::wish::offline(&item.name, spec, &resource.spec.apps) {
        problems.extend(found);
        return None;
    }
    let owner = release::owner(resource, settings, &item.name);
    let owner = owner.map_err(|problem| problems.push(Problem::new(format!("{path}.cloudFront"), problem))).ok()?;
    Some(ValidCdn::new(&PlatformKey::of(resource).name, &owner, account, &item.name, spec))
}

/// What is kept of a CDN `a` would be called as what is kept of a store `a-cloudfront`.
fn check_records(cdns: &[ValidCdn], names: &BTreeSet<String>, problems: &mut Vec<Problem>) {
    for cdn in cdns {
        let taken = format!("{}-{}", cdn.name, cdn::RUNNER);
        if names.contains(&taken) {
            let problem = format!("what is kept of it would be called like that of {taken}: rename one of them");
            problems.push(Problem::new(format!("spec.cdns[{}].name", cdn.name), problem));
        }
    }
}

/// What CloudNativePG makes for a database `a` would be called as what is made for a store `a-pg`, and what is made for one at AWS as
/// that of `a-rds` or `a-elasticache`.
fn check_names(caches: &[ValidCache], databases: &[ValidDatabase], problems: &mut Vec<Problem>) {
    let ids = databases.iter().filter_map(ValidDatabase::id).chain(caches.iter().filter_map(ValidCache::id));
    let ids: BTreeSet<&str> = ids.collect();
    let of_caches = caches.iter().filter_map(|cache| match &cache.provider {
        cache::Provider::ElastiCache(item) => {
            Some(("caches", &cache.name, &item.identity.id, cache::elasticache::RUNNER))
        }
        cache::Provider::InCluster(_) | cache::Provider::External(..) => None,
    });
    let of_databases = databases.iter().filter_map(|database| match &database.provider {
        database::Provider::CloudNativePg(item) => Some(("databases", &database.name, &item.identity.id, "pg")),
        database::Provider::Rds(item) => Some(("databases", &database.name, &item.identity.id, database::rds::RUNNER)),
        database::Provider::InCluster(_) | database::Provider::External(_) => None,
    });
    for (room, name, id, runner) in of_caches.chain(of_databases) {
        let taken = format!("{id}-{runner}");
        if ids.contains(&*taken) {
            let problem = format!("what is made for it would be called like that of {taken}: rename one of them");
            problems.push(Problem::new(format!("spec.{room}[{name}].name"), problem));
        }
    }
}

fn validate_external(path: &str, spec: &ExternalDatabase, problems: &mut Vec<Problem>) -> Option<database::External> {
    let primary = address(&format!("{path}.external.address"), &spec.address, database::PORT, problems)?;
    let field = format!("{path}.external.replicas");
    let replicas = spec.replicas.iter().map(|replica| address(&field, replica, database::PORT, problems));
    let replicas = replicas.collect::<Option<Vec<_>>>()?;
    Some(database::External { primary, replicas, spec: spec.clone() })
}

fn address(field: &str, text: &str, port: u16, problems: &mut Vec<Problem>) -> Option<Address> {
    Address::parse(text, port).map_err(|problem| problems.push(Problem::new(field, format!("{text}: {problem}")))).ok()
}

fn join(prefix: &str, field: &str) -> String {
    if field.is_empty() { prefix.to_owned() } else { format!("{prefix}.{field}") }
}

fn ports(app: &App) -> Vec<Port> {
    let of = |port: &AppPort| Port {
        name: port.name.clone(),
        container: port.port,
        service: port.service_port.unwrap_or(port.port),
        protocol: match port.protocol {
            Some(Protocol::Udp) => "UDP",
            Some(Protocol::Tcp) | None => "TCP",
        },
        app_protocol: port.app_protocol.clone(),
    };
    match app.port {
        Some(port) => vec![of(&AppPort { name: "http".into(), port, ..AppPort::default() })],
        None => app.ports.iter().map(of).collect(),
    }
}

fn check_ports(path: &str, app: &ValidApp, problems: &mut Vec<Problem>) {
    let known = || app.ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut check = |field: String, name: Option<&str>| match (app.port(name), name) {
        (Some(port), _) if port.protocol != "TCP" => problems.push(Problem::new(
            field,
            format!("port {} speaks {}, but HTTP needs TCP: name another port", port.name, port.protocol),
        )),
        (Some(_), _) => {}
        (None, None) => {
            problems.push(Problem::new(field, format!("the app has no TCP port ({}): add one", known())));
        }
        (None, Some(wanted)) => problems.push(Problem::new(
            field,
            format!("there is no port {wanted} among the app's ports ({}): name one of them, or add it", known()),
        )),
    };
    if let Some(health) = &app.spec.health
        && health.path.is_some()
    {
        check(format!("{path}.health.port"), health.port.as_deref());
    }
    if let Some(exposure) = &app.spec.exposure {
        let gateway = exposure.gateway.iter().flat_map(|g| g.paths.iter().map(|p| ("gateway", &p.path, &p.port)));
        let ingress = exposure.ingress.iter().flat_map(|i| i.paths.iter().map(|p| ("ingress", &p.path, &p.port)));
        for (way, route, port) in gateway.chain(ingress) {
            check(format!("{path}.exposure.{way}.paths[{route}].port"), port.as_deref());
        }
        check(format!("{path}.exposure"), None);
    }
    if let Some(metrics) = &app.spec.metrics
        && metrics.port.is_none()
    {
        check(format!("{path}.metrics.port"), None);
    }
    let (mut seen, mut listened) = (BTreeSet::new(), BTreeSet::new());
    for port in &app.ports {
        if !listened.insert((port.container, port.protocol)) {
            let problem = format!(
                "another port of the app is {}/{}, too, and a container has each but once: remove one of them",
                port.container, port.protocol
            );
            problems.push(Problem::new(format!("{path}.ports[{}]", port.name), problem));
        }
        if !seen.insert((port.service, port.protocol)) {
            problems.push(Problem::new(
                format!("{path}.ports[{}]", port.name),
                format!(
                    "port {}/{} is taken by another port of the app: give it a servicePort",
                    port.service, port.protocol
                ),
            ));
        }
    }
}
