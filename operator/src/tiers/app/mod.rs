//! The app room: what runs, and how it is reached.

pub mod connections;
mod deployment;
mod disruption_budget;
mod http_route;
mod ingress;
pub(crate) mod overlay;
mod pod;
mod pod_monitor;
mod probes;
mod readiness;
mod service;
pub mod trouble;
pub mod variables;

use super::{Children, ItemStatus, Plan, Step, Tier, TierStatus, binding::Bindings};
use crate::{
    capabilities::Served,
    conditions::{State, Verdict},
    context::Context,
    error::Result,
    kinds::{Belongs, Kind, ObjectId, belongs},
    naming::{COMPONENT, FieldManager, INSTANCE},
    references::{self, Missing},
    validate::{ValidApp, ValidPlatform},
};
use connections::Connections;
use crds::status::{ConditionType, Reason};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{ResourceExt, core::DynamicObject};
use pod::Given;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use trouble::Trouble;

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
}

impl Tier for Apps {
    const CONDITION: ConditionType = ConditionType::AppReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let mut troubles = pod_troubles(ctx, lp);
        let mut missing = references::missing(ctx, lp).await;
        let apps = lp.apps.iter().map(|app| {
            let name = &app.key.app;
            let live = children.get(Kind::Deployment, &app.object_name);
            let secret = connections::secret_name(app);
            let ours = children.get(Kind::Secret, &secret).filter(|found| belongs(*found, &lp.owner) == Belongs::Ours);
            let secret = ours.and_then(|_| children.typed::<Secret>(Kind::Secret, &secret));
            let (connections, lacking) = connections::connections(app, &self.bindings, secret.as_ref());
            let seen = SeenApp {
                replicas_owned: live.is_some_and(deployment::replicas_are_owned),
                floor: ctx.scaling.get(&app.key).map(|view| view.floor),
                missing: missing.remove(name).unwrap_or_default(),
                connections,
                lacking,
                objects: children.of(name),
                troubles: troubles.remove(name).unwrap_or_default(),
                annotations: live.map(annotations),
            };
            (name.clone(), seen)
        });
        Ok(Observed { served: ctx.capabilities.now(), apps: apps.collect() })
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed) -> Plan {
        let unseen = SeenApp::default();
        lp.apps
            .iter()
            .flat_map(|app| desired(app, seen.apps.get(&app.key.app).unwrap_or(&unseen), seen.served))
            .collect()
    }

    fn kept(&self, lp: &ValidPlatform, seen: &Observed) -> BTreeSet<ObjectId> {
        let apps = lp.apps.iter().filter_map(|app| Some((app, seen.apps.get(&app.key.app)?)));
        let kept = apps.flat_map(|(app, seen)| {
            let secret = ObjectId { kind: Kind::Secret, name: connections::secret_name(app) };
            let all = !may_run(&seen.connections);
            let stays = matches!(seen.connections, Connections::Kept { .. });
            seen.objects.iter().filter(move |id| all || (stays && **id == secret)).cloned()
        });
        kept.collect()
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, children: &Children) -> TierStatus {
        let unseen = SeenApp::default();
        let items = lp.apps.iter().map(|app| {
            let name = app.key.app.clone();
            let live = children.typed::<Deployment>(Kind::Deployment, &app.object_name);
            let status = status(app, seen.apps.get(&name).unwrap_or(&unseen), live.as_ref(), seen.served);
            (name, status)
        });
        TierStatus { items: items.collect() }
    }
}

/// Whether the app's pods would find what they need to start: its Secret, and in the template the word that replaces them
/// when it changes.
fn may_run(connections: &Connections) -> bool {
    matches!(connections, Connections::Unused) || connections.revision().is_some()
}

/// The objects of one app, in the order of application.
pub fn desired(app: &ValidApp, seen: &SeenApp, served: Served) -> Plan {
    let secret = match &seen.connections {
        Connections::Known { variables, .. } => Some((FieldManager::Main, connections::secret(app, variables))),
        _ => None,
    };
    let running = may_run(&seen.connections).then(|| running(app, seen, served));
    let steps = secret.into_iter().chain(running.into_iter().flatten()).filter_map(|(manager, object)| {
        object
            .inspect_err(|error| tracing::error!(%error, app = %app.key, "a defect: an object cannot be built"))
            .ok()
            .map(|object| Step { item: app.key.app.clone(), manager, object })
    });
    steps.collect()
}

type Built = (FieldManager, std::result::Result<DynamicObject, serde_json::Error>);

/// What runs, and what leads to it.
fn running(app: &ValidApp, seen: &SeenApp, served: Served) -> impl Iterator<Item = Built> {
    let annotated = pod_monitor::annotated(app, seen.annotations.as_ref(), served);
    let given = Given { annotated, revision: seen.connections.revision() };
    let built = [
        Some((FieldManager::Main, deployment::deployment(app, given))),
        pods_wanted(app, seen).map(|n| (FieldManager::Scale, deployment::replicas(app, n))),
        service::service(app).map(|o| (FieldManager::Main, o)),
        disruption_budget::disruption_budget(app).map(|o| (FieldManager::Main, o)),
        http_route::http_route(app, served).map(|o| (FieldManager::Main, o)),
        ingress::ingress(app).map(|o| (FieldManager::Main, o)),
        // Without the API there are the annotations on the pods.
        pod_monitor::pod_monitor(app).filter(|_| served.pod_monitor).map(|o| (FieldManager::Main, o)),
    ];
    built.into_iter().flatten()
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

/// The number of pods to set: always without autoscaling; with it once, while nobody has set any.
fn pods_wanted(app: &ValidApp, seen: &SeenApp) -> Option<i32> {
    match &app.spec.autoscaling {
        None => Some(app.spec.replicas.unwrap_or(1)),
        Some(_) if seen.replicas_owned => None,
        Some(autoscaling) => Some(seen.floor.unwrap_or(autoscaling.min_replicas)),
    }
}

fn status(app: &ValidApp, seen: &SeenApp, live: Option<&Deployment>, served: Served) -> ItemStatus {
    let least = match &app.spec.autoscaling {
        Some(autoscaling) => autoscaling.min_replicas,
        None => app.spec.replicas.unwrap_or(1),
    };
    let mut verdict = readiness::verdict(&readiness::Seen { deployment: live, troubles: &seen.troubles, least });
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
    ItemStatus {
        verdicts: vec![verdict],
        address: None,
        image: live.and_then(|d| image(d, &app.key.app)),
        replicas: live.map(readiness::replicas),
        scaling: None,
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

/// The troubles of the platform's pods by app, each cause once, in a fixed order.
fn pod_troubles(ctx: &Context, lp: &ValidPlatform) -> BTreeMap<String, Vec<Trouble>> {
    let mut found: BTreeMap<String, Vec<Trouble>> = BTreeMap::new();
    for pod in ctx.stores.pods.state() {
        let ours =
            pod.namespace().as_deref() == Some(&lp.key.namespace) && pod.labels().get(INSTANCE) == Some(&lp.key.name);
        if let (true, Some(app), Some(trouble)) = (ours, pod.labels().get(COMPONENT), trouble::of(&pod)) {
            found.entry(app.clone()).or_default().push(trouble);
        }
    }
    for troubles in found.values_mut() {
        troubles.sort_by(|a, b| (a.reason, &a.message).cmp(&(b.reason, &b.message)));
        troubles.dedup();
    }
    found
}
