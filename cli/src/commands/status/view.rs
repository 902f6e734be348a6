//! What is to be said of a platform, read from its resource alone.

use crate::output::Mark;
use crds::{
    LearningPlatform,
    status::{
        AppStatus, BackupStatus, BackupWindow, BucketPolicy, CdnStatus, ConditionType, JobState, Promotion, Reason,
        Reshaping, StoreServer, StoreStatus,
    },
    tiers::app::App,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use serde::Serialize;

/// A platform, its sentence and its tiers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformView {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// How it is, in one character.
    #[serde(skip)]
    pub mark: Mark,
    /// `Ready`, or the reason why it is not.
    pub state: String,
    /// Since when, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// One sentence.
    pub message: String,
    /// That the operator has not seen the newest spec yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// Whether the user has suspended it.
    pub suspended: bool,
    /// The tiers' items, tier by tier, worst first.
    pub items: Vec<Item>,
}

/// That the operator has not seen the newest spec yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stale {
    /// Generation of the spec.
    pub generation: i64,
    /// Generation that the status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<i64>,
    /// When the spec was changed, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
}

/// One item of a tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The tier: `app`, `job`, `autoscaling`, `metrics`, `cache`, `database`, `cdn`.
    pub tier: &'static str,
    /// Name of the item.
    pub name: String,
    /// How it is, in one character.
    #[serde(skip)]
    pub mark: Mark,
    /// The reason, one word.
    pub reason: String,
    /// Since when it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What there is to say.
    pub message: String,
    /// What is known of a cache or a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreView>,
    /// What is known of a CDN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdn: Option<CdnView>,
}

/// What is known of a CDN.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CdnView {
    /// Name of its distribution in DNS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<String>,
    /// What becomes of it when the resource is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// State of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// That what AWS has accepted is not at all edges yet.
    pub deploying: bool,
    /// What the policies of its buckets need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bucket_policies: Vec<BucketPolicy>,
    /// What is probably not meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl CdnView {
    fn of(cdn: &CdnStatus) -> Self {
        let CdnStatus { domain_name, deletion, certificate, deployed, bucket_policies, warnings, .. } = cdn.clone();
        Self { domain_name, deletion, certificate, deploying: deployed == Some(false), bucket_policies, warnings }
    }
}

/// What is known of a cache or a database.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreView {
    /// Where it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What an acknowledged write survives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// What becomes of the data when the resource is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion: Option<String>,
    /// Since when the apps are given the present password, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passwords_changed: Option<String>,
    /// How far a change of the password is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<String>,
    /// Primaries that are lost, or were asked to be replaced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<Promotion>,
    /// How many pods of a database's pooler are ready, and where it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooler: Option<String>,
    /// Until when the certificate is valid that the servers show, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<String>,
    /// The backups of a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    /// Those that CloudNativePG takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_window: Option<BackupWindow>,
    /// Why they are not taken as asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_trouble: Option<String>,
    /// Keys before and after the last reshaping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reshaping: Option<Reshaping>,
    /// The servers in the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<StoreServer>,
}

impl StoreView {
    fn of(store: &StoreStatus) -> Option<Self> {
        let StoreStatus {
            address,
            promise,
            deletion,
            passwords_changed,
            rotation,
            promotions,
            pooler,
            certificate_expires,
            backup,
            backup_window,
            reshaping,
            servers,
            ..
        } = store.clone();
        let of_backup = find(&store.conditions, ConditionType::BackupReady).filter(|c| c.status == "False");
        let backup_trouble = of_backup.map(|c| format!("{}: {}", c.reason, c.message));
        let known = address.is_some() || promise.is_some() || deletion.is_some();
        known.then_some(Self {
            address,
            promise,
            deletion,
            passwords_changed,
            rotation,
            promotions,
            pooler,
            certificate_expires,
            backup,
            backup_window,
            backup_trouble,
            reshaping,
            servers,
        })
    }
}

/// The view of a platform.
pub fn view(platform: &LearningPlatform, now: Timestamp) -> PlatformView {
    let status = platform.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, ConditionType::Ready);
    let stalled = find(&status.conditions, ConditionType::Stalled).is_some_and(|c| c.status == "True");
    let suspended = platform.annotations().get(crds::SUSPEND_ANNOTATION).is_some_and(|v| v == "true");
    let stale = stale(platform);
    let (mut mark, mut state, mut message) = match ready {
        Some(c) if c.status == "True" => (Mark::Good, "Ready".to_owned(), c.message.clone()),
        Some(c) => (mark_of(c, stalled), c.reason.clone(), c.message.clone()),
        None => (Mark::Unknown, "Unknown".to_owned(), "no operator has seen it yet: see `lpctl check`".to_owned()),
    };
    let mut since = ready.map(|c| c.last_transition_time.0);
    if let Some(deleted) = &platform.metadata.deletion_timestamp {
        (mark, state, since) = (Mark::Progress, Reason::Deleting.to_string(), Some(deleted.0));
    } else if stale.is_some() && mark == Mark::Good {
        // What is Ready is the platform as it was.
        mark = Mark::Progress;
    }
    if state == "Ready"
        && let Some(summary) = &status.summary
    {
        message = format!("{} apps, {} pods", of(&summary.apps), of(&summary.pods));
    }
    let spec = &platform.spec;
    let each = |tier: fn(&App, Option<&AppStatus>, Timestamp) -> Item| -> Vec<Item> {
        let status = |app: &App| status.apps.iter().find(|status| status.name == app.name);
        spec.apps.iter().map(|app| tier(app, status(app), now)).collect()
    };
    let jobs = spec.apps.iter().flat_map(|app| job_items(app, &status.apps, now));
    let caches = spec.caches.iter().map(|c| store_item("cache", &c.name, &status.caches, ConditionType::CacheReady));
    let databases =
        spec.databases.iter().map(|d| store_item("database", &d.name, &status.databases, ConditionType::DatabaseReady));
    let cdns = spec.cdns.iter().map(|cdn| cdn_item(&cdn.name, &status.cdns));
    let mut items: Vec<Item> = Vec::new();
    for mut tier in [
        each(app_item),
        jobs.collect(),
        each(autoscaling_item),
        each(metrics_item),
        caches.collect(),
        databases.collect(),
        cdns.collect(),
    ] {
        tier.sort_by_key(|item| item.mark);
        items.append(&mut tier);
    }
    PlatformView {
        namespace: platform.namespace().unwrap_or_default(),
        name: platform.name_any(),
        mark,
        state,
        since,
        message,
        stale,
        suspended,
        items,
    }
}

fn find(conditions: &[Condition], of: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == of.as_str())
}

/// `2/3` as `2 of 3`.
fn of(count: &str) -> String {
    count.replace('/', " of ")
}

/// What a condition that is not True means: work under way, or trouble.
fn mark_of(condition: &Condition, stalled: bool) -> Mark {
    let under_way = [Reason::Progressing, Reason::Suspended, Reason::Deleting, Reason::Settling];
    if condition.status == "Unknown" {
        Mark::Unknown
    } else if !stalled && under_way.iter().any(|reason| reason.as_str() == condition.reason) {
        Mark::Progress
    } else {
        Mark::Bad
    }
}

fn stale(platform: &LearningPlatform) -> Option<Stale> {
    let generation = platform.metadata.generation?;
    let observed = platform.status.as_ref().and_then(|s| s.observed_generation);
    if observed == Some(generation) {
        return None;
    }
    let changed = platform
        .managed_fields()
        .iter()
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter_map(|entry| entry.time.as_ref().map(|t| t.0))
        .max();
    Some(Stale { generation, observed, changed })
}

fn item(tier: &'static str, name: &str, mark: Mark, reason: &str, message: String) -> Item {
    Item { tier, name: name.to_owned(), mark, reason: reason.to_owned(), since: None, message, store: None, cdn: None }
}

fn store_item(tier: &'static str, name: &str, stores: &[StoreStatus], condition: ConditionType) -> Item {
    let store = stores.iter().find(|store| store.name == name);
    let condition = store.and_then(|store| find(&store.conditions, condition));
    let item = by_condition(tier, name, condition, condition.map(|c| c.message.clone()).unwrap_or_default());
    Item { store: store.and_then(StoreView::of), ..item }
}

fn cdn_item(name: &str, cdns: &[CdnStatus]) -> Item {
    let cdn = cdns.iter().find(|cdn| cdn.name == name);
    let condition = cdn.and_then(|cdn| find(&cdn.conditions, ConditionType::CdnReady));
    let item = by_condition("cdn", name, condition, condition.map(|c| c.message.clone()).unwrap_or_default());
    Item { cdn: cdn.map(CdnView::of), ..item }
}

/// An item from its condition; `well` says what is good about it when it is True.
fn by_condition(tier: &'static str, name: &str, condition: Option<&Condition>, well: String) -> Item {
    match condition {
        Some(c) if c.status == "True" => item(tier, name, Mark::Good, &c.reason, well),
        Some(c) => Item {
            since: Some(c.last_transition_time.0),
            ..item(tier, name, mark_of(c, false), &c.reason, c.message.clone())
        },
        None => item(tier, name, Mark::Unknown, "Unknown", "not seen by the operator yet".to_owned()),
    }
}

fn app_item(app: &App, status: Option<&AppStatus>, _: Timestamp) -> Item {
    let condition = status.and_then(|s| find(&s.conditions, ConditionType::AppReady));
    let pods = status.and_then(|s| s.replicas).map(|r| format!("{} of {} pods", r.ready, r.desired));
    let image = status.and_then(|s| s.image.as_deref()).unwrap_or(&app.image);
    let image = image.rsplit('/').next().unwrap_or(image);
    let well = [pods.clone(), Some(image.to_owned())].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let mut item = by_condition("app", &app.name, condition, well);
    if item.mark != Mark::Good
        && let Some(pods) = pods.filter(|pods| !item.message.starts_with(pods.as_str()))
    {
        item.message = format!("{pods}; {}", item.message);
    }
    if let Some(pending) = status.and_then(|s| find(&s.conditions, ConditionType::RolloutPending)) {
        item.message = format!("{}; {}", item.message, pending.message);
    }
    item
}

fn job_items(app: &App, apps: &[AppStatus], now: Timestamp) -> Vec<Item> {
    let status = apps.iter().find(|status| status.name == app.name);
    let items = app.jobs.iter().map(|job| {
        let seen = status.and_then(|status| status.jobs.iter().find(|seen| seen.name == job.name));
        let state = seen.map(|seen| seen.state).unwrap_or_default();
        let run = seen.and_then(|seen| seen.run.as_deref()).unwrap_or_default();
        let at: Option<Timestamp> = seen.and_then(|seen| seen.at.as_ref()).and_then(|at| at.parse().ok());
        let (mark, message) = match state {
            JobState::Waiting => (Mark::Off, "has not run yet".to_owned()),
            JobState::Running => (Mark::Progress, format!("Job {run}")),
            JobState::Succeeded => {
                let when = at.map(|at| format!(" {}", crate::output::ago(at, now))).unwrap_or_default();
                (Mark::Good, format!("succeeded{when}: Job {run}"))
            }
            // What it stops is the app's to say.
            JobState::Failed => (Mark::Warning, format!("see the logs of Job {run}")),
        };
        let since = at.filter(|_| matches!(state, JobState::Running | JobState::Failed));
        Item { since, ..item("job", &format!("{}/{}", app.name, job.name), mark, &state.to_string(), message) }
    });
    items.collect()
}

fn autoscaling_item(app: &App, status: Option<&AppStatus>, now: Timestamp) -> Item {
    let tier = "autoscaling";
    if app.autoscaling.is_none() {
        let pods = app.replicas.unwrap_or(1);
        return item(
            tier,
            &app.name,
            Mark::Off,
            Reason::NotConfigured.as_str(),
            format!("not configured, a fixed number of {pods}"),
        );
    }
    let scaling = status.and_then(|s| s.scaling.as_ref());
    let well =
        scaling.map_or_else(String::new, |s| format!("between {} and {} pods now: {}", s.floor, s.cap, s.reason));
    let condition = status.and_then(|s| find(&s.conditions, ConditionType::AutoscalingReady));
    let mut item = by_condition(tier, &app.name, condition, well);
    // Where the hold is what decides, the reason has said so.
    if let Some(hold) = scaling.and_then(|s| s.hold.as_ref()).filter(|hold| !item.message.contains(&hold.until)) {
        let left = hold.until.parse().map(|until| crate::output::age(now, until));
        let left = left.map(|left| format!(" (for {left})")).unwrap_or_default();
        let by = if hold.by.is_empty() { String::new() } else { format!(" by {}", hold.by) };
        item.message = format!(
            "{}; held at {} until {}{left}{by}: {}",
            item.message,
            crate::output::pods(hold.floor),
            hold.until,
            hold.reason
        );
    }
    item
}

fn metrics_item(app: &App, status: Option<&AppStatus>, _: Timestamp) -> Item {
    let tier = "metrics";
    let reads = app
        .autoscaling
        .as_ref()
        .is_some_and(|a| a.request_rate.is_some() || a.concurrency.is_some() || a.latency.is_some());
    if !reads {
        let message = "not configured, nothing is read from Prometheus".to_owned();
        return item(tier, &app.name, Mark::Off, Reason::NotConfigured.as_str(), message);
    }
    let condition = status.and_then(|s| find(&s.conditions, ConditionType::MetricsAvailable));
    let mut item = by_condition(tier, &app.name, condition, condition.map(|c| c.message.clone()).unwrap_or_default());
    // Missing metrics hold the floor; the platform stays Ready.
    if item.mark == Mark::Bad {
        item.mark = Mark::Warning;
    }
    item
}
