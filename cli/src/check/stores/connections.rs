//! The connections that a database's apps may open, spelled out, against what its servers accept.

use super::{Place, known};
use crate::check::{Check, Topic, Verdict};
use crds::{
    LearningPlatform,
    tiers::{
        app::App,
        connections,
        database::Database,
        pooler::{LOGINS, LOOKUPS, Pooler},
        uses::UsedDatabase,
    },
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What the apps may open together.
pub(super) fn sum(platform: &LearningPlatform, database: &Database, place: &Place) -> Option<Check> {
    let users: Vec<(&App, &UsedDatabase)> = platform
        .spec
        .apps
        .iter()
        .flat_map(|app| app.uses.iter().flat_map(|uses| &uses.databases).map(move |used| (app, used)))
        .filter(|(_, used)| used.name == database.name)
        .collect();
    if users.is_empty() {
        return None;
    }
    let description = format!("the servers of database {} take the connections of its apps", database.name);
    let delegated = || database.cloud_native_pg.as_ref().map(|spec| spec.accepted());
    let accepted = database.in_cluster.as_ref().map(|spec| spec.accepted()).or_else(delegated).map(Accepted::from);
    if accepted.is_none() && database.connection_budget.is_none() {
        let note = "cannot be told of a server of somebody else's: set connectionBudget".to_owned();
        return Some(known(description, Topic::Connections, Verdict::Note(note)));
    }
    let pooler = database.in_cluster.as_ref().and_then(|spec| spec.pooler.as_ref());
    let verdict = match pooler {
        None => verdict(&users, None, database.connection_budget, accepted, place),
        Some(pooler) => pooled(&users, pooler, database, accepted, place),
    };
    Some(known(description, Topic::Connections, verdict))
}

/// Of a database with a pooler: the first that does not fit, of what the primary, the pooler and the replicas are asked.
fn pooled(
    users: &[(&App, &UsedDatabase)],
    pooler: &Pooler,
    database: &Database,
    accepted: Option<Accepted>,
    place: &Place,
) -> Verdict {
    let budget = database.connection_budget;
    let primary = verdict(users, Some(pooler), budget, accepted.clone(), place);
    if !matches!(primary, Verdict::Good(_)) {
        return primary;
    }
    let clients = i64::from(pooler.client_connections());
    let limit = Accepted { connections: clients, sum: format!("maxClientConnections {clients} of the pooler") };
    let through = verdict(users, None, None, Some(limit), place);
    if !matches!(through, Verdict::Good(_)) {
        return through;
    }
    let replicas = database.in_cluster.as_ref().and_then(|spec| spec.read_replicas).unwrap_or(0);
    match verdict(users, None, budget, accepted, place) {
        Verdict::Good(_) => primary,
        _ if replicas == 0 => primary,
        of_replicas => of_replicas,
    }
}

/// What a server accepts from apps, and how that comes about.
#[derive(Clone)]
struct Accepted {
    connections: i64,
    sum: String,
}

/// `pooler` stands for the apps' pools, where they ask it and not the server.
fn verdict(
    users: &[(&App, &UsedDatabase)],
    pooler: Option<&Pooler>,
    budget: Option<i32>,
    accepted: Option<Accepted>,
    place: &Place,
) -> Verdict {
    let edit = |what: &str| format!("{}   # {what}", place.edit());
    let silent: Vec<&str> =
        users.iter().filter(|(_, used)| per_pool(used).is_none()).map(|(app, _)| app.name.as_str()).collect();
    if !silent.is_empty() {
        return Verdict::Note(format!("cannot be told: no pool.max is set by {}", silent.join(", ")));
    }
    let parts: Vec<(i64, String)> = match pooler {
        None => users.iter().map(|(app, used)| part(app, used)).collect(),
        Some(pooler) => {
            let direct = users.iter().map(|(app, used)| direct(app, used)).filter(|(connections, _)| *connections > 0);
            [of_pooler(pooler)].into_iter().chain(direct).collect()
        }
    };
    let opened: i64 = parts.iter().map(|(connections, _)| connections).sum();
    let several = parts.len() > 1;
    let mut told = parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ");
    if several {
        told.push_str(&format!("; together {opened}"));
    }
    let budget = budget.map(i64::from);
    if let (Some(budget), Some(Accepted { connections, sum })) = (budget, &accepted)
        && budget > *connections
    {
        return Verdict::bad(
            format!("connectionBudget is {budget}, and a server takes {sum}; {told}"),
            edit("raise parameters.max_connections, or lower connectionBudget"),
        );
    }
    let limits = budget.map(|budget| (budget, format!("the budget of {budget}")));
    let limits = limits.into_iter().chain(accepted.map(|a| (a.connections, a.sum)));
    let Some((limit, limited)) = limits.min_by_key(|(limit, _)| *limit) else { return Verdict::Note(told) };
    if opened > limit {
        Verdict::bad(
            format!("{told}, and a server takes {limited}: apps will be refused connections"),
            edit("lower pool.max or maxReplicas, or raise what the servers take"),
        )
    } else {
        Verdict::Good(format!("{told}, of {limited}"))
    }
}

impl From<connections::Accepted> for Accepted {
    fn from(accepted: connections::Accepted) -> Self {
        Self { connections: accepted.of_apps().into(), sum: accepted.to_string() }
    }
}

/// Connections of one pool; unknown where the app does not say.
fn per_pool(used: &UsedDatabase) -> Option<i64> {
    used.pool.as_ref()?.max.map(i64::from)
}

/// What the pooler may open: the sum that admission makes, too.
fn of_pooler(pooler: &Pooler) -> (i64, String) {
    let (pods, size) = (i64::from(pooler.pods()), i64::from(pooler.pool_size()));
    let connections = (pods + 1) * i64::from(pooler.server_connections());
    let text =
        format!("pooler: ({pods} pods + 1 surge) x ({LOGINS} logins x {size} + {LOOKUPS} lookups) = {connections}");
    (connections, text)
}

/// What one app may open beside the pooler.
fn direct(app: &App, used: &UsedDatabase) -> (i64, String) {
    let (pods, told) = pods(app);
    let each = used.pool.as_ref().and_then(|pool| pool.max_direct).map_or(0, i64::from);
    let connections = pods * each;
    (connections, format!("{}: ({told}) x {each} direct = {connections}", app.name))
}

/// What one app may open: the sum that admission makes, too.
fn part(app: &App, used: &UsedDatabase) -> (i64, String) {
    let (pods, told) = pods(app);
    let pools = used.pool.as_ref().and_then(|pool| pool.pools_per_pod).map_or(1, i64::from);
    let each = per_pool(used).unwrap_or_default();
    let connections = pods * pools * each;
    let pools_text = if pools == 1 { String::new() } else { format!(" x {pools} pools") };
    (connections, format!("{}: ({told}){pools_text} x {each} = {connections}", app.name))
}

/// The most pods of an app, those beside them in a rollout, and those of its jobs.
fn pods(app: &App) -> (i64, String) {
    let pods = match &app.autoscaling {
        Some(autoscaling) => i64::from(autoscaling.max_replicas),
        None => i64::from(app.replicas.unwrap_or(1)),
    };
    let surge = match app.rollout.as_ref().and_then(|rollout| rollout.max_surge.as_ref()) {
        None => 1,
        Some(IntOrString::Int(surge)) => i64::from(*surge),
        Some(IntOrString::String(share)) => {
            share.trim_end_matches('%').parse::<i64>().map_or(1, |percent| (pods * percent + 99) / 100)
        }
    };
    let jobs = i64::from(app.job_pods());
    let of_jobs = if jobs == 0 { String::new() } else { format!(" + {jobs} of jobs") };
    (pods + surge + jobs, format!("{pods} pods + {surge} surge{of_jobs}"))
}
