//! The states.

use crate::pass::{BOUNDS, Pass, metrics, named, now, object, pods};
use crds::status::{
    ConditionType::{self, AppReady, AutoscalingReady, CacheReady, CdnReady, DatabaseReady},
    Reason,
};
use decide::{Bottleneck, Doubt, Figure, Finding, NotANumber, Shown, SignalState, SourceError, SourceErrorKind, Time};
use operator::{
    conditions::{State as Truth, Verdict},
    error::Error,
    freeze::Freeze,
    references::{Missing, Reference, Referred},
    status,
    tiers::app::rollout::Gate,
};
use serde_json::{Value, json};

/// What kstatus says, and what Argo CD does.
pub type Read = (&'static str, &'static str);
const GOOD: Read = ("Current", "Healthy");
const UNDER_WAY: Read = ("InProgress", "Progressing");
const FOR_A_PERSON: Read = ("InProgress", "Degraded");

/// A state of a platform, and what others are to make of it.
pub struct State {
    pub name: &'static str,
    pub says: &'static str,
    pub read: Read,
    /// A part of what Argo CD shows.
    pub message: &'static str,
    pub object: Value,
}

/// What the app's scaling is said to be while it scales.
fn scales(reason: Reason, more: &str) -> Verdict {
    Verdict::new(AutoscalingReady, Truth::True, reason, format!("{BOUNDS}; {more}"))
}

fn found(finding: &Finding) -> Verdict {
    scales(named(finding.reason()), &finding.to_string())
}

/// What keeps the app's scaling from being carried out.
fn does_not_scale(reason: Reason, message: &str) -> Verdict {
    Verdict::new(AutoscalingReady, Truth::False, reason, message)
}

/// An answer of the API server to the write of an object.
fn refusal(kind: &str, code: u16, message: &str) -> Error {
    let status = kube::core::Status::failure(message, "").with_code(code);
    Error::api("patch", kind, "story-web", kube::Error::Api(Box::new(status)))
}

fn invalid() -> Error {
    Error::InvalidSpec {
        field: "spec.apps[web].podTemplate".to_owned(),
        problem: "metadata must be an object".to_owned(),
    }
}

fn from_the_beginning_to_the_end() -> Vec<State> {
    let crd = serde_json::to_value(crds::crd()).expect("JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let unseen = serde_json::from_value(schema["properties"]["status"]["default"].clone()).expect("a status");
    let ready = || Pass { generation: 2, ..Pass::default() }.status();
    let deletion = json!({"deletionTimestamp": "2026-09-01T08:00:00Z", "finalizers": ["foregroundDeletion"]});
    let suspend = json!({crds::SUSPEND_ANNOTATION: "true"});
    let suspended = || Pass { annotations: suspend.clone(), ..Pass::default() };
    let state = |name, read, says, message, object| State { name, says, read, message, object };
    vec![
        state(
            "created",
            UNDER_WAY,
            "Created; the operator has not seen it.",
            "not seen this version",
            object(1, &json!({}), &unseen),
        ),
        state(
            "first-pass",
            UNDER_WAY,
            "The first pass has begun and knows nothing yet.",
            "under way",
            object(1, &json!({}), &status::first(1, now())),
        ),
        Pass::default().state("ready", GOOD, "All is as asked for.", "ready"),
        Pass { deployment: pods(3, 1, "ReplicaSetUpdated"), ..Pass::default() }.state(
            "progressing",
            UNDER_WAY,
            "Pods are starting.",
            "1 of 3 pods",
        ),
        Pass { deployment: pods(8, 3, "NewReplicaSetAvailable"), ..Pass::default() }.state(
            "scaling-out",
            GOOD,
            "Ready while a scale-out starts more pods.",
            "ready",
        ),
        state("deleting", ("Terminating", "Progressing"), "Being deleted.", "deleted", object(2, &deletion, &ready())),
        state(
            "spec-changed",
            UNDER_WAY,
            "The spec has changed since the last pass, which was good.",
            "not seen this version",
            object(3, &json!({}), &ready()),
        ),
        state(
            "stalled",
            ("Failed", "Degraded"),
            "The spec cannot be carried out; nothing is retried. The one before runs on.",
            "spec.apps[web].podTemplate",
            object(3, &json!({}), &status::failed(&ready(), 3, &invalid(), now())),
        ),
        state(
            "spec-mended",
            UNDER_WAY,
            "The spec has changed since it stalled.",
            "not seen this version",
            object(4, &json!({}), &status::failed(&ready(), 3, &invalid(), now())),
        ),
        state(
            "provider-error",
            UNDER_WAY,
            "The API server failed before anything was known; it is tried again.",
            "503",
            object(
                1,
                &json!({}),
                &status::failed(&status::first(1, now()), 1, &refusal("Deployment", 503, "etcd is away"), now()),
            ),
        ),
        suspended().state("suspended", ("Current", "Suspended"), "Suspended, and all is as asked for.", "uspended"),
        Pass { pending: true, ..suspended() }.state(
            "suspended-with-changes",
            ("InProgress", "Suspended"),
            "Suspended, with changes that wait.",
            "uspended",
        ),
        state(
            "suspended-and-changed",
            ("InProgress", "Suspended"),
            "Suspended, and the spec has changed since the last pass.",
            "uspended",
            object(3, &json!({"annotations": suspend}), &ready()),
        ),
    ]
}

fn of_pods() -> Vec<State> {
    let stopped = |container: Value| Pass {
        deployment: pods(3, 1, "ReplicaSetUpdated"),
        pod: json!({"containerStatuses": [container]}),
        ..Pass::default()
    };
    let waiting = |reason: &str, message: &str| {
        stopped(json!({
            "name": "web", "image": "registry.example/web:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason, "message": message}},
        }))
    };
    let mut unschedulable = stopped(json!({}));
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"});
    unschedulable.pod = json!({"conditions": [condition]});
    let job = |reason, words: &str| Gate::Waits(reason, format!("the job migrate {words}"));
    let until = Time::from(now()).plus(decide::Duration::from_mins(60));
    let exams = Freeze { name: "exams".to_owned(), from: Time::from(now()), until };
    let mut refused = pods(3, 1, "ReplicaSetUpdated");
    refused["conditions"] = json!([{
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "pods \"story-web-5d9-x7k2p\" is forbidden: exceeded quota: pods=2",
    }]);
    vec![
        waiting("CrashLoopBackOff", "").state(
            "crash-loop",
            UNDER_WAY,
            "Containers stop again; the rollout may still make it.",
            "see its logs",
        ),
        waiting("ImagePullBackOff", "").state(
            "image-pull",
            UNDER_WAY,
            "The image cannot be pulled.",
            "imagePullSecrets",
        ),
        waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root").state(
            "container-config",
            UNDER_WAY,
            "The node cannot carry the container's configuration out.",
            "security.runAsUser",
        ),
        unschedulable.state("unschedulable", UNDER_WAY, "Pods find no node.", "no node"),
        Pass { deployment: refused, ..Pass::default() }.state(
            "pods-refused",
            UNDER_WAY,
            "A quota keeps pods from being made.",
            "quota",
        ),
        Pass {
            gate: job(Reason::Progressing, "runs before the rollout: Job story-web-migrate-0123456789"),
            ..Pass::default()
        }
        .state(
            "job-before-the-rollout",
            UNDER_WAY,
            "A migration runs, and the old pods serve.",
            "job migrate runs",
        ),
        Pass { gate: job(Reason::JobFailed, "failed and stops the rollout (BackoffLimitExceeded)"), ..Pass::default() }
            .state("job-failed", FOR_A_PERSON, "A migration failed, and the old pods serve on.", "stops the rollout"),
        Pass { gate: Gate::Frozen(exams, vec!["spec.containers[web].image".to_owned()]), ..Pass::default() }.state(
            "frozen",
            GOOD,
            "Ready, and a freeze holds a rollout.",
            "exams holds a rollout",
        ),
        Pass { deployment: pods(3, 1, "ProgressDeadlineExceeded"), ..Pass::default() }.state(
            "rollout-stuck",
            FOR_A_PERSON,
            "The rollout made no progress within its deadline.",
            "progressDeadline",
        ),
    ]
}

fn of_objects() -> Vec<State> {
    let failed = |error: Error| Pass { failure: Some((AppReady, error)), ..Pass::default() };
    let secret = Missing {
        reference: Reference { kind: Referred::Secret, namespace: "school".to_owned(), name: "web-env".to_owned() },
        field: "envFrom".to_owned(),
    };
    let cannot = "services \"story-web\" is forbidden: User \"operator\" cannot patch resource \"services\"";
    let conflict =
        Error::NameConflict { kind: "Deployment".to_owned(), name: "story-web".to_owned(), holder: "Helm".to_owned() };
    let route = Error::ApiMissing {
        kind: "HTTPRoute".to_owned(),
        name: "story-web".to_owned(),
        api: "gateway.networking.k8s.io/v1".to_owned(),
    };
    vec![
        Pass { missing: vec![secret], ..Pass::default() }.state(
            "waiting-for-secret",
            UNDER_WAY,
            "A Secret that the spec names is missing; it heals when the Secret comes.",
            "Secret web-env",
        ),
        failed(route).state("api-missing", UNDER_WAY, "An optional API is not installed.", "install it"),
        failed(conflict).state("name-conflict", FOR_A_PERSON, "A foreign object has the name of a child.", "belongs"),
        failed(refusal("Deployment", 422, "spec.template.spec.volumes[0].name: Required value")).state(
            "rejected",
            FOR_A_PERSON,
            "The API server refuses an object.",
            "Required value",
        ),
        failed(refusal("Deployment", 422, "spec.selector: field is immutable")).state(
            "immutable-field",
            FOR_A_PERSON,
            "A field cannot be changed in place.",
            "immutable",
        ),
        failed(refusal("Service", 403, cannot)).state(
            "permission-denied",
            FOR_A_PERSON,
            "The operator may not do what is needed.",
            "cannot patch",
        ),
        Pass { error: Some(refusal("Service", 403, cannot)), ..Pass::default() }.state(
            "orphan-stays",
            FOR_A_PERSON,
            "All apps are ready, and what is left over cannot be removed.",
            "cannot patch",
        ),
    ]
}

fn of_scaling() -> Vec<State> {
    let until = Time::from(now());
    let with = |scaling: Verdict| Pass { scaling, ..Pass::default() };
    let shown = Shown { tier: "main".into(), figure: Figure::ConnectionWait, value: 0.97, threshold: 0.9 };
    let bottleneck = Bottleneck { shown: Some(shown), until, stops_demand_until: None };
    let conflict = Finding::ScheduleConflict { floor_by: "exam".into(), floor: 12, cap_by: "night".into(), cap: 5 };
    vec![
        with(Verdict::new(AutoscalingReady, Truth::Unknown, Reason::Progressing, "no decision yet")).state(
            "no-decision-yet",
            UNDER_WAY,
            "The apps are ready, and nothing has been decided on them yet.",
            "no decision",
        ),
        with(does_not_scale(
            Reason::AutoscalerConflict,
            "ScaledObject web scales the Deployment story-web too: remove it",
        ))
        .state(
            "autoscaler-conflict",
            FOR_A_PERSON,
            "Another autoscaler scales the Deployment.",
            "ScaledObject",
        ),
        with(does_not_scale(Reason::InvalidSpec, "the annotation learningplatform.dev/hold.web is no JSON")).state(
            "invalid-hold",
            FOR_A_PERSON,
            "A part of what is asked for cannot be carried out, and the rest is.",
            "annotation",
        ),
        with(scales(Reason::Held, "at least 8 by hand until 2026-09-01T09:00:00Z")).state(
            "held",
            GOOD,
            "Ready, and somebody holds the floor up.",
            "ready",
        ),
        with(scales(Reason::Paused, "All is paused")).state(
            "scaling-paused",
            GOOD,
            "Ready, and scaling is paused.",
            "ready",
        ),
        with(found(&Finding::LatencyNotHelpedByPods { until })).state(
            "latency-not-helped",
            GOOD,
            "Ready, and the latency has another cause than too few pods.",
            "ready",
        ),
        with(scales(named(bottleneck.reason()), &bottleneck.to_string())).state(
            "bottleneck-elsewhere",
            GOOD,
            "Ready, and a database is what makes requests slow.",
            "ready",
        ),
        with(found(&Finding::RolloutStuck)).state(
            "rollout-stuck-above-the-least",
            GOOD,
            "Ready, and a rollout holds scaling back no more.",
            "ready",
        ),
        with(found(&conflict)).state(
            "schedule-conflict",
            GOOD,
            "Ready, and a schedule's floor is above another's cap.",
            "ready",
        ),
        with(found(&Finding::DemandCollapsed { signal: "request rate".into(), until })).state(
            "demand-collapsed",
            GOOD,
            "Ready, and the floor is held in spite of vanished demand.",
            "ready",
        ),
    ]
}

/// Figures that are missing make no platform unready.
fn of_metrics() -> Vec<State> {
    let with = |metrics: Verdict| Pass { metrics, ..Pass::default() };
    let failed = |kind, message: &str| SignalState::Error(SourceError::new(kind, message));
    let unreachable = || metrics(&failed(SourceErrorKind::Connect, "connection refused"));
    let unresolvable = Finding::BudgetNotResolvable { budget: 0.2 };
    let unresolvable = Verdict::new(
        ConditionType::MetricsAvailable,
        Truth::False,
        named(unresolvable.reason()),
        unresolvable.to_string(),
    );
    let unanswered = "no answer of the metrics source yet";
    let unanswered = Verdict::new(ConditionType::MetricsAvailable, Truth::Unknown, Reason::Progressing, unanswered);
    let starting = pods(3, 1, "ReplicaSetUpdated");
    let mut states = vec![
        with(unanswered).state("no-answer-yet", GOOD, "Ready, and the source has not answered yet.", "ready"),
        with(unresolvable).state(
            "budget-not-resolvable",
            GOOD,
            "Ready, and the histogram is too coarse.",
            "no figures",
        ),
        Pass { deployment: starting, metrics: unreachable(), ..Pass::default() }.state(
            "not-ready-and-no-metrics",
            UNDER_WAY,
            "Not ready, and no figures: the pods come first.",
            "1 of 3",
        ),
        with(metrics(&SignalState::RaiseOnly(Doubt::SourceRestarted))).state(
            "settling",
            GOOD,
            "Ready, and the figures may only raise for now.",
            "ready",
        ),
        with(unreachable()).state("source-unavailable", GOOD, "Ready, and the source does not answer.", "refused"),
    ];
    let misconfigured = failed(SourceErrorKind::Query, "1:5: parse error");
    for (name, signal, says, message) in [
        ("metrics-missing", SignalState::NoData, "Ready, but scaling has no figures.", "no series"),
        ("series-never-seen", SignalState::SeriesNeverSeen, "Ready, and the selector has never matched.", "check"),
        ("not-a-number", SignalState::NotANumber(NotANumber::Nan), "Ready, and the figure is no number.", "answer is"),
        ("stale-sample", SignalState::Stale(decide::Duration::from_mins(2)), "Ready, and the figure is old.", "old"),
        ("ambiguous-result", SignalState::Ambiguous(2, "zone".into()), "Ready, and there are two figures.", "zone"),
        ("source-misconfigured", misconfigured, "Ready, and the source refuses the query.", "parse error"),
    ] {
        states.push(with(metrics(&signal)).state(name, GOOD, says, message));
    }
    states
}

/// What the rooms of stores say. A store that is not ready makes the platform unready, whatever its apps are.
fn of_stores() -> Vec<State> {
    let rows = [
        (
            "cache-forming",
            CacheReady,
            Reason::Progressing,
            UNDER_WAY,
            "A cache is being made.",
            "the store is being made",
        ),
        (
            "data-would-be-left-behind",
            DatabaseReady,
            Reason::DataWouldBeLeftBehind,
            FOR_A_PERSON,
            "A database was renamed, and nobody has said what is to become of its data.",
            "the data of database main would be left behind: set renamedFrom",
        ),
        (
            "data-missing",
            DatabaseReady,
            Reason::DataMissing,
            FOR_A_PERSON,
            "A volume is empty where there were data.",
            "story-main-pg-0: nothing is created in its place",
        ),
        (
            "wrong-cluster",
            DatabaseReady,
            Reason::WrongCluster,
            FOR_A_PERSON,
            "A volume holds the data of another database.",
            "the volume holds the data of another system",
        ),
        (
            "not-primary",
            DatabaseReady,
            Reason::NotPrimary,
            FOR_A_PERSON,
            "The primary's volume holds a replica's data.",
            "the volume holds a replica's data",
        ),
        (
            "start-refused",
            DatabaseReady,
            Reason::StartRefused,
            FOR_A_PERSON,
            "The start script of a server refuses.",
            "the first setup of the database failed",
        ),
        (
            "unsupported",
            DatabaseReady,
            Reason::Unsupported,
            FOR_A_PERSON,
            "The server is too old.",
            "PostgreSQL 14 is too old",
        ),
        (
            "slots-lost",
            CacheReady,
            Reason::SlotsLost,
            FOR_A_PERSON,
            "Slots belong to servers that are gone.",
            "4096 slots belong to nodes that are no pods any more",
        ),
        (
            "stranger",
            CacheReady,
            Reason::Stranger,
            FOR_A_PERSON,
            "A server holds data that do not belong to the store.",
            "story-cache-s0-0 holds data that this store does not know",
        ),
        (
            "ambiguous",
            CacheReady,
            Reason::Ambiguous,
            FOR_A_PERSON,
            "Nothing tells which server leads.",
            "each hold data of their own",
        ),
        (
            "waiting-for-old-primary",
            CacheReady,
            Reason::WaitingForOldPrimary,
            UNDER_WAY,
            "The primary does not answer, which proves nothing.",
            "the primary story-cache-s0-0 does not answer",
        ),
        (
            "promotion-waits",
            DatabaseReady,
            Reason::PromotionWaits,
            FOR_A_PERSON,
            "A promotion needs a person.",
            "there is no proof that the former primary takes no writes",
        ),
        (
            "credentials-refused",
            CacheReady,
            Reason::CredentialsRefused,
            FOR_A_PERSON,
            "The servers accept none of the passwords.",
            "accept none of the passwords",
        ),
        (
            "scale-in-blocked",
            CacheReady,
            Reason::ScaleInBlocked,
            UNDER_WAY,
            "Shards that shall go still hold keys.",
            "s3 cannot go yet",
        ),
        ("move-blocked", CacheReady, Reason::MoveBlocked, UNDER_WAY, "Slots cannot move yet.", "slots cannot move yet"),
        (
            "writes-hang",
            DatabaseReady,
            Reason::WritesHang,
            UNDER_WAY,
            "No write is acknowledged.",
            "a write has waited",
        ),
        (
            "connections-exhausted",
            DatabaseReady,
            Reason::ConnectionsExhausted,
            UNDER_WAY,
            "All connections are taken.",
            "all connections are taken",
        ),
        (
            "disk-filling",
            DatabaseReady,
            Reason::DiskFilling,
            FOR_A_PERSON,
            "A volume is nearly full.",
            "the volume is full to 85 %",
        ),
        (
            "replica-lost",
            DatabaseReady,
            Reason::ReplicaLost,
            UNDER_WAY,
            "What a replica needs of the log is gone; it is cloned anew.",
            "story-main-pg-ro-0 is cloned anew",
        ),
        (
            "replica-ahead",
            DatabaseReady,
            Reason::ReplicaAhead,
            FOR_A_PERSON,
            "A replica holds what the primary lacks.",
            "holds later changes",
        ),
        ("replica-lag", DatabaseReady, Reason::ReplicaLag, UNDER_WAY, "A replica is too far behind.", "behind"),
        (
            "collation-mismatch",
            DatabaseReady,
            Reason::CollationMismatch,
            FOR_A_PERSON,
            "Servers sort texts in different ways.",
            "sorts text in another way",
        ),
        (
            "configuration-refused",
            DatabaseReady,
            Reason::ConfigurationRefused,
            FOR_A_PERSON,
            "The server refuses its configuration.",
            "work_mem",
        ),
        (
            "extension-missing",
            DatabaseReady,
            Reason::ExtensionMissing,
            FOR_A_PERSON,
            "An extension is not in the image.",
            "pg_cron is not in the image",
        ),
        (
            "retained",
            DatabaseReady,
            Reason::Retained,
            FOR_A_PERSON,
            "A former platform's data are at AWS.",
            "set adopt: true to go on with its data",
        ),
        (
            "needs-consent",
            DatabaseReady,
            Reason::NeedsConsent,
            FOR_A_PERSON,
            "A call at AWS waits for the user's word.",
            "approve the plan",
        ),
        (
            "no-capacity",
            DatabaseReady,
            Reason::NoCapacity,
            UNDER_WAY,
            "AWS has not enough.",
            "not enough of db.r8g.48xlarge",
        ),
        (
            "cdn-deploying",
            CdnReady,
            Reason::Progressing,
            UNDER_WAY,
            "A new distribution is on its way to the edges.",
            "is on its way to the edges",
        ),
        (
            "cdn-retained",
            CdnReady,
            Reason::Retained,
            FOR_A_PERSON,
            "A former platform's distribution is at AWS.",
            "set adopt: true to go on with it",
        ),
    ];
    let state = |(name, condition, reason, read, says, message): (_, _, _, _, _, &'static str)| {
        let stores = Some(Verdict::new(condition, Truth::False, reason, message));
        Pass { stores, ..Pass::default() }.state(name, read, says, message)
    };
    let sum = "connections of its apps: main: web (3 + 1) x 20 = 80; together 80 of 79, and the minimums alone are 80";
    let exceeded = Verdict::new(DatabaseReady, Truth::True, Reason::BudgetExceededByMinimums, sum);
    let exceeded = Pass { stores: Some(exceeded), ..Pass::default() }.state(
        "budget-exceeded-by-minimums",
        GOOD,
        "Ready, and the apps could open more connections than the database accepts.",
        "ready",
    );
    rows.into_iter().map(state).chain([exceeded]).collect()
}

/// All of them.
pub fn states() -> Vec<State> {
    [from_the_beginning_to_the_end(), of_pods(), of_objects(), of_scaling(), of_metrics(), of_stores()]
        .into_iter()
        .flatten()
        .collect()
}
