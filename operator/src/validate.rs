//! Turns a resource into types that cannot be wrong, or says which field is wrong. The only step that rejects: admission
//! has done most of it, but a stored resource may be older than a rule, and references inside the spec are not the
//! schema's to check.

mod items;

use crate::{
    context::Settings,
    error::{Error, Result},
    freeze::Freeze,
    naming::{AppKey, Owner, PlatformKey, object_name},
    release,
    tiers::{
        app::{self, variables::Authority},
        autoscaling, aws,
        binding::Bindings,
        cache::ValidCache,
        cdn::ValidCdn,
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
        caches.extend(items::cache(platform, settings, &path, cache, &mut problems));
    }
    for database in &spec.databases {
        let path = format!("spec.databases[{}]", database.name);
        take(&path, &database.name, &mut problems);
        for former in database.renamed_from.iter().filter(|former| **former != database.name) {
            take(&format!("{path}.renamedFrom"), former, &mut problems);
        }
        databases.extend(items::database(platform, settings, &path, database, &mut problems));
    }
    items::check_names(&caches, &databases, &mut problems);
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
        cdns.extend(items::cdn(platform, settings, &path, item, &mut problems));
    }
    items::check_records(&cdns, &names, &mut problems);
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
