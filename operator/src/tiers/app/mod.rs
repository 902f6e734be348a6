//! The app room: what runs, and how it is reached.

pub mod connections;
mod deployment;
mod disruption_budget;
mod http_route;
mod ingress;
pub mod jobs;
pub(crate) mod overlay;
pub(crate) mod pod;
pub(crate) mod pod_monitor;
mod probes;
mod readiness;
pub mod rollout;
pub mod runs;
mod service;
pub mod trouble;
pub mod variables;

use super::{Children, ItemStatus, Plan, Step, Tier, TierStatus, binding::Bindings};
use crate::{
    capabilities::Served,
    conditions::{State, Verdict},
    context::Context,
    error::Result,
    freeze::{self, Freeze},
    kinds::{Belongs, Kind, ObjectId, belongs},
    naming::{COMPONENT, FieldManager, INSTANCE},
    references::{self, Missing},
    tiers::{
        database::in_cluster::{self, backup, objects},
        store::is_uses_label,
    },
    validate::{ValidApp, ValidPlatform},
};
use connections::Connections;
use crds::status::{ConditionType, Reason};
use decide::Time;
use jobs::Phase;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{ResourceExt, core::DynamicObject};
use pod::Given;
use rollout::Rollout;
use runs::Run;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use trouble::Trouble;
use variables::Authority;

/// The app room.
#[derive(Default)]
pub struct Apps {
    /// How the stores are reached that the apps use.
    pub bindings: Bindings,
}

/// What the app room has observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Which optional APIs the cluster serves.
    pub served: Served,
    /// Per app.
    pub apps: BTreeMap<String, SeenApp>,
    /// Jobs of apps that are no longer there, which are let end.
    pub leaving: BTreeSet<ObjectId>,
    /// What keeps pods of Jobs from running, by the Job's name.
    pub job_troubles: BTreeMap<String, Vec<Trouble>>,
}

impl Observed {
    /// Whether the app's Deployment is there and stays as it is, while its scaling goes on.
    pub fn is_held(&self, app: &str) -> bool {
        let held =
            |seen: &SeenApp| seen.annotations.is_some() && may_run(&seen.connections) && seen.rollout.gate.holds();
        self.apps.get(app).is_some_and(held)
    }
}

/// What was observed of one app.
#[derive(Clone, Debug, Default)]
pub struct SeenApp {
    /// Whether somebody has set the number of its pods.
    pub replicas_owned: bool,
    /// The floor that scaling has decided on.
    pub floor: Option<i32>,
    /// What it refers to and is not there.
    pub missing: Vec<Missing>,
    /// How it reaches its stores.
    pub connections: Connections,
    /// What is lacking for that, in words.
    pub lacking: Vec<String>,
    /// What there is of it.
    pub objects: BTreeSet<ObjectId>,
    /// What keeps its pods from being ready, each cause once.
    pub troubles: Vec<Trouble>,
    /// Names of the annotations that its live pod template carries; none while there is no Deployment.
    pub annotations: Option<BTreeSet<String>>,
    /// Labels of its live pod template by which stores let its pods in.
    pub uses: BTreeSet<String>,
    /// The certificate authorities that its live pod template mounts; none while there is no Deployment.
    pub authorities: Option<Vec<Authority>>,
    /// What is to happen to its pods.
    pub rollout: Rollout,
}

impl SeenApp {
    /// An app that is new to the cluster, every Job of its first rollout included.
    pub fn first(app: &ValidApp, connections: Connections, served: Served) -> Self {
        let mut seen = Self { connections, ..Self::default() };
        if let Ok(wanted) = wanted(app, &seen, served) {
            seen.rollout = rollout::all(app, &wanted, None);
        }
        seen
    }
}

impl Tier for Apps {
    const CONDITION: ConditionType = ConditionType::AppReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let (mut troubles, job_troubles) = pod_troubles(ctx, lp);
        let runs = runs::all(children, &lp.owner, &job_troubles);
        let freeze = freeze::in_force(&lp.freezes, Time::from(jiff::Timestamp::now()));
        let served = ctx.capabilities.now();
        let mut missing = references::missing(ctx, lp).await;
        let apps = lp.apps.iter().map(|app| {
            let name = &app.key.app;
            let live = children.get(Kind::Deployment, &app.object_name);
            let secret = connections::secret_name(app);
            let ours = children.get(Kind::Secret, &secret).filter(|found| belongs(*found, &lp.owner) == Belongs::Ours);
            let secret = ours.and_then(|_| children.typed::<Secret>(Kind::Secret, &secret));
            let (connections, lacking) = connections::connections(app, &self.bindings, secret.as_ref());
            let mut seen = SeenApp {
                replicas_owned: live.is_some_and(deployment::replicas_are_owned),
                floor: ctx.scaling.get(&app.key).map(|view| view.floor),
                missing: missing.remove(name).unwrap_or_default(),
                connections,
                lacking,
                objects: children.of(name),
                troubles: troubles.remove(name).unwrap_or_default(),
                annotations: live.map(annotations),
                uses: live.map(uses_labels).unwrap_or_default(),
                authorities: live.map(connections::mounted),
                rollout: Rollout::default(),
            };
            if may_run(&seen.connections) {
                seen.rollout = rollout(app, &seen, served, children, &runs, freeze);
            }
            (name.clone(), seen)
        });
        let apps = apps.collect();
        let leaving = runs.iter().filter(|run| lp.app(&run.app).is_none());
        let leaving = leaving.filter(|run| run.is_under_way(Phase::Before) && !run.idle);
        let leaving = leaving.map(|run| ObjectId { kind: Kind::Job, name: run.name.clone() }).collect();
        Ok(Observed { served, apps, leaving, job_troubles })
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> Plan {
        let unseen = SeenApp::default();
        lp.apps
            .iter()
            .flat_map(|app| desired(app, seen.apps.get(&app.key.app).unwrap_or(&unseen), seen.served))
            .collect()
    }

    fn kept(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> BTreeSet<ObjectId> {
        let apps = lp.apps.iter().filter_map(|app| Some((app, seen.apps.get(&app.key.app)?)));
        let kept = apps.flat_map(|(app, seen)| {
            let secret = ObjectId { kind: Kind::Secret, name: connections::secret_name(app) };
            let all = !may_run(&seen.connections);
            let held = seen.rollout.gate.holds();
            let stays = matches!(seen.connections, Connections::Kept { .. });
            let kept = seen.objects.iter().filter(move |id| match id.kind {
                _ if all => true,
                Kind::Job => seen.rollout.keep.contains(&id.name),
                // Scaling goes on, or ends.
                Kind::HorizontalPodAutoscaler => false,
                _ => held || (stays && **id == secret),
            });
            kept.cloned()
        });
        kept.chain(seen.leaving.iter().cloned()).collect()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> TierStatus {
        let unseen = SeenApp::default();
        let runs = runs::all(children, &lp.owner, &seen.job_troubles);
        let items = lp.apps.iter().map(|app| {
            let name = app.key.app.clone();
            let live = children.typed::<Deployment>(Kind::Deployment, &app.object_name);
            let status = status(app, seen.apps.get(&name).unwrap_or(&unseen), live.as_ref(), seen.served, &runs);
            (name, status)
        });
        TierStatus { items: items.collect(), waiting: None }
    }
}

/// Whether the app's pods would find what they need to start: its Secret, and in the template the word that replaces them
/// when it changes.
fn may_run(connections: &Connections) -> bool {
    matches!(connections, Connections::Unused) || connections.revision().is_some()
}

/// The word for the newest rollout of an app, once all of its pods are of it; none before.
pub fn rolled_out(app: &ValidApp, children: &Children) -> Option<String> {
    let live = children.get(Kind::Deployment, &app.object_name)?;
    let deployment = children.typed::<Deployment>(Kind::Deployment, &app.object_name)?;
    let revision = jobs::revision(Some(live));
    // Another Deployment counts anew.
    let uid = live.metadata.uid.as_deref().unwrap_or_default();
    (readiness::is_rolled_out(&deployment) && !revision.is_empty()).then(|| format!("{uid}/{revision}"))
}

/// The objects of one app, in the order of application.
pub fn desired(app: &ValidApp, seen: &SeenApp, served: Served) -> Plan {
    let secret = match &seen.connections {
        Connections::Known { variables, .. } => Some((FieldManager::Main, connections::secret(app, variables))),
        _ => None,
    };
    let Rollout { gate, before, after, .. } = &seen.rollout;
    let running: Vec<Built> = match may_run(&seen.connections) {
        false => Vec::new(),
        true if gate.holds() => scale(app, seen).filter(|_| seen.annotations.is_some()).into_iter().collect(),
        true => running(app, seen, served),
    };
    let made =
        |jobs: &[DynamicObject]| jobs.iter().map(|job| (FieldManager::Main, Ok(job.clone()))).collect::<Vec<_>>();
    let all = secret.into_iter().chain(made(before)).chain(running).chain(made(after));
    let steps = all.filter_map(|(manager, object)| {
        object
            .inspect_err(|error| tracing::error!(%error, app = %app.key, "a defect: an object cannot be built"))
            .ok()
            .map(|object| Step { item: app.key.app.clone(), manager, object })
    });
    steps.collect()
}

type Built = (FieldManager, std::result::Result<DynamicObject, serde_json::Error>);

/// What runs, what leads to it, and what runs beside it by the clock.
fn running(app: &ValidApp, seen: &SeenApp, served: Served) -> Vec<Built> {
    let deployment = wanted(app, seen, served);
    let template = deployment.as_ref().map(|deployment| jobs::template(deployment).clone()).unwrap_or_default();
    let built = [
        Some((FieldManager::Main, deployment)),
        scale(app, seen),
        service::service(app).map(|o| (FieldManager::Main, o)),
        disruption_budget::disruption_budget(app).map(|o| (FieldManager::Main, o)),
        http_route::http_route(app, served).map(|o| (FieldManager::Main, o)),
        ingress::ingress(app).map(|o| (FieldManager::Main, o)),
        // Without the API there are the annotations on the pods.
        pod_monitor::pod_monitor(app).filter(|_| served.pod_monitor).map(|o| (FieldManager::Main, o)),
    ];
    let cron_jobs = jobs::cron_jobs(app, &template).map(|object| (FieldManager::Main, object));
    built.into_iter().flatten().chain(cron_jobs).collect()
}

/// The Deployment as it should be.
fn wanted(app: &ValidApp, seen: &SeenApp, served: Served) -> std::result::Result<DynamicObject, serde_json::Error> {
    let annotated = pod_monitor::annotated(app, seen.annotations.as_ref(), served);
    let kept = matches!(seen.connections, Connections::Kept { .. });
    let given = Given { annotated, revision: seen.connections.revision(), uses: kept.then_some(&seen.uses) };
    // The files belong to the addresses in the Secret, and stay with it.
    let mounted = seen.authorities.clone().filter(|_| kept);
    let carried = mounted.map(|authorities| ValidApp { authorities, ..app.clone() });
    deployment::deployment(carried.as_ref().unwrap_or(app), given)
}

fn scale(app: &ValidApp, seen: &SeenApp) -> Option<Built> {
    pods_wanted(app, seen).map(|n| (FieldManager::Scale, deployment::replicas(app, n)))
}

/// What is to happen to an app's pods.
fn rollout(
    app: &ValidApp,
    seen: &SeenApp,
    served: Served,
    children: &Children,
    runs: &[Run],
    freeze: Option<&Freeze>,
) -> Rollout {
    // One that cannot be built is told where it is to be applied.
    let Ok(wanted) = wanted(app, seen, served) else { return Rollout::default() };
    let live = children.get(Kind::Deployment, &app.object_name);
    let typed = children.typed::<Deployment>(Kind::Deployment, &app.object_name);
    let pods = pods(app, &seen.troubles, typed.as_ref());
    rollout::decide(app, &rollout::Seen { wanted: &wanted, live, pods: &pods, runs, freeze })
}

/// The Jobs of the rollout by which a Deployment becomes as rendered, those after it included; none where its pods stay as
/// they are.
pub fn rollout_jobs(app: &ValidApp, rendered: &DynamicObject, live: Option<&DynamicObject>) -> Vec<DynamicObject> {
    if live.is_some_and(|live| rollout::changes(rendered, live).is_empty()) {
        return Vec::new();
    }
    let Rollout { before, after, .. } = rollout::all(app, rendered, live);
    before.into_iter().chain(after).collect()
}

/// Lets a Deployment that was rendered without a cluster keep the scrape annotations of the live one, as a pass would.
pub fn keep_annotations(app: &ValidApp, rendered: &mut DynamicObject, live: &DynamicObject) {
    let template = &mut rendered.data["spec"]["template"];
    if pod_monitor::annotated(app, Some(&annotations(live)), Served::ALL) {
        for (name, value) in pod_monitor::annotations(app) {
            if template["metadata"]["annotations"].get(&name).is_none() {
                template["metadata"]["annotations"][name] = value.into();
            }
        }
    }
}

/// Names of the annotations that the pod template of a Deployment carries.
fn annotations(deployment: &DynamicObject) -> BTreeSet<String> {
    let all = deployment.data.pointer("/spec/template/metadata/annotations").and_then(Value::as_object);
    all.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Labels of the pod template of a Deployment by which stores let its pods in.
fn uses_labels(deployment: &DynamicObject) -> BTreeSet<String> {
    let all = deployment.data.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    all.into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| is_uses_label(name)).collect()
}

/// The number of pods to set: always without autoscaling; with it once, while nobody has set any.
fn pods_wanted(app: &ValidApp, seen: &SeenApp) -> Option<i32> {
    match &app.spec.autoscaling {
        None => Some(app.spec.replicas.unwrap_or(1)),
        Some(_) if seen.replicas_owned => None,
        Some(autoscaling) => Some(seen.floor.unwrap_or(autoscaling.min_replicas)),
    }
}

/// How the pods of a Deployment are.
fn pods(app: &ValidApp, troubles: &[Trouble], live: Option<&Deployment>) -> Verdict {
    let least = match &app.spec.autoscaling {
        Some(autoscaling) => autoscaling.min_replicas,
        None => app.spec.replicas.unwrap_or(1),
    };
    readiness::verdict(&readiness::Seen { deployment: live, troubles, least })
}

fn status(app: &ValidApp, seen: &SeenApp, live: Option<&Deployment>, served: Served, runs: &[Run]) -> ItemStatus {
    let gate = &seen.rollout.gate;
    let mut verdict = gate.tell(pods(app, &seen.troubles, live), live.is_some());
    if !seen.missing.is_empty() || !seen.lacking.is_empty() {
        let missing = seen.missing.iter().map(ToString::to_string);
        let lacking = seen.lacking.iter().cloned();
        let all: Vec<_> = missing.chain(lacking).collect();
        verdict = Verdict::new(ConditionType::AppReady, State::False, Reason::NotFound, all.join("; "));
    } else if verdict.state == State::True && wants_affinity(app) && !served.session_persistence && served.http_route {
        verdict.message.push_str(
            "; affinityCookie has no effect: this cluster's Gateway API is without sessionPersistence (experimental channel)",
        );
    }
    let failures = runs::failures(app, runs);
    if verdict.state == State::True && !failures.is_empty() {
        verdict.message = format!("{}; {}", verdict.message, failures.join("; "));
    }
    ItemStatus {
        verdicts: [verdict].into_iter().chain(gate.pending()).collect(),
        address: None,
        image: live.and_then(|d| image(d, &app.key.app)),
        replicas: live.map(readiness::replicas),
        scaling: None,
        store: None,
        cdn: None,
        jobs: runs::statuses(app, runs),
    }
}

fn wants_affinity(app: &ValidApp) -> bool {
    let gateway = app.spec.exposure.as_ref().and_then(|e| e.gateway.as_ref());
    gateway.is_some_and(|g| g.paths.iter().any(|p| p.affinity_cookie.is_some()))
}

fn image(deployment: &Deployment, container: &str) -> Option<String> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers.iter().find(|c| c.name == container)?.image.clone()
}

type Troubles = BTreeMap<String, Vec<Trouble>>;

/// The troubles of the platform's pods by item, and those of Jobs' pods by Job, each cause once, in a fixed order.
pub(crate) fn pod_troubles(ctx: &Context, lp: &ValidPlatform) -> (Troubles, Troubles) {
    let (mut found, mut of_jobs) = (Troubles::new(), Troubles::new());
    for pod in ctx.stores.pods.state() {
        let ours =
            pod.namespace().as_deref() == Some(&lp.key.namespace) && pod.labels().get(INSTANCE) == Some(&lp.key.name);
        let Some(trouble) = trouble::of(&pod).filter(|_| ours) else { continue };
        if let Some(job) = pod.labels().get(jobs::JOB_NAME) {
            of_jobs.entry(job.clone()).or_default().push(trouble);
        } else if let Some(app) = pod.labels().get(COMPONENT) {
            let archives = pod.labels().get(objects::ROLE).is_some_and(|role| role == backup::objects::ARCHIVE);
            let app = if archives { in_cluster::archives(app) } else { app.clone() };
            found.entry(app).or_default().push(trouble);
        }
    }
    for troubles in found.values_mut().chain(of_jobs.values_mut()) {
        troubles.sort_by(|a, b| (a.reason, &a.message).cmp(&(b.reason, &b.message)));
        troubles.dedup();
    }
    (found, of_jobs)
}
