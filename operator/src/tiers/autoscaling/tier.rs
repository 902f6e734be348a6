//! The room in a pass: what the spec refers to is read, HPAs are kept whole, and what the evaluation decided is reported.

use super::{
    Calendars, calendar, first_bounds, hpa,
    hpa::bounds_of,
    policy::{self, FieldError},
    told,
};
use crate::{
    conditions::{State, Verdict},
    context::{Context, Settings},
    error::Result,
    evaluate::{
        ScalingView, World,
        plan::{self, AppPlan, ServerSettings},
        world::hold,
    },
    kinds::{Belongs, Kind, belongs},
    naming::{AppKey, FieldManager},
    tiers::{Children, ItemStatus, Outcome, Plan, Step, Tier, TierStatus, carry_out},
    validate::{Problem, ValidApp, ValidPlatform},
};
use crds::{
    prometheus::Prometheus,
    status::{AppStatus, ConditionType, Reason},
    tiers::{app::App, autoscaling::Autoscaling as Spec},
};
use decide::{Bounds, Time, Tunables};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};
use std::collections::BTreeMap;

/// Scaling that can be carried out.
#[derive(Clone, Debug)]
pub struct ValidScaling {
    /// What is asked of which server.
    pub plan: AppPlan,
    /// Constants of the decision core.
    pub tunables: Tunables,
}

/// Validates what admission cannot know. Pure.
///
/// # Errors
/// Every field that cannot be carried out, relative to `autoscaling`.
pub fn validate(
    key: &AppKey,
    _app: &App,
    autoscaling: &Spec,
    prometheus: Option<&Prometheus>,
    settings: &Settings,
) -> Result<ValidScaling, Vec<Problem>> {
    let problem = |FieldError { field, problem }| Problem { field, problem };
    let tunables = Tunables { evaluation_interval: settings.evaluation_interval.into(), ..settings.tunables.clone() };
    // Calendars are the world's: without them a schedule is only left out.
    policy::map(prometheus, autoscaling, &tunables, &Calendars::new(), Time::from_millis(0))
        .map_err(|errors| errors.into_iter().map(problem).collect::<Vec<_>>())?;
    let servers = ServerSettings {
        default_url: settings.default_prometheus_url.clone(),
        default_auth_dir: settings.default_prometheus_auth_dir.clone(),
        default_region: settings.default_prometheus_aws_region.clone(),
        allowed: settings.allowed_prometheus_urls.clone(),
        allowed_roles: settings.allowed_aws_roles.clone(),
    };
    let plan = plan::plan(key, autoscaling, prometheus, &servers, &tunables)?;
    Ok(ValidScaling { plan, tunables })
}

/// The room.
pub struct Autoscaling;

/// What a pass sees of scaling.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Who else scales, and calendars.
    world: World,
    /// Calendars that could not be read now.
    unread: calendar::Failures,
    /// What is wrong with what the spec refers to, by app.
    problems: BTreeMap<String, Vec<(Reason, String)>>,
    /// What the evaluation has decided, by app.
    views: BTreeMap<String, ScalingView>,
    /// Bounds of HPAs that exist, by app.
    live: BTreeMap<String, Bounds>,
    /// Replicas of Deployments that exist, by app.
    running: BTreeMap<String, u32>,
}

impl Tier for Autoscaling {
    const CONDITION: ConditionType = ConditionType::AutoscalingReady;
    type Observed = Observed;

    async fn observe(&self, ctx: &Context, lp: &ValidPlatform, children: &Children) -> Result<Observed> {
        let mut seen = Observed::default();
        let scaled: Vec<_> = lp.apps.iter().filter(|app| app.scaling.is_some()).collect();
        if !scaled.is_empty() {
            let namespace = &lp.key.namespace;
            let specs = scaled.iter().filter_map(|app| app.spec.autoscaling.as_ref());
            let known = ctx.registry.calendars(&lp.key);
            let calendars = calendar::calendars(&ctx.client, namespace, specs, &known);
            let (calendars, others) = futures::join!(calendars, others(&ctx.client, lp, namespace));
            (seen.world.calendars, seen.unread) = calendars;
            seen.world.conflicts = conflicts(&scaled, &others);
        }
        for app in scaled {
            let name = app.key.app.clone();
            seen.problems.insert(name.clone(), problems(lp, app, &seen.world, &seen.unread));
            if let Some(view) = ctx.scaling.get(&app.key) {
                seen.views.insert(name.clone(), view);
            }
            if let Some(hpa) =
                children.typed::<HorizontalPodAutoscaler>(Kind::HorizontalPodAutoscaler, &app.object_name)
            {
                seen.live.extend(bounds_of(&hpa).map(|bounds| (name.clone(), bounds)));
            }
            let deployment = children.get(Kind::Deployment, &app.object_name);
            let replicas = deployment.and_then(|d| u32::try_from(d.data["spec"]["replicas"].as_u64()?).ok());
            seen.running.extend(replicas.map(|replicas| (name, replicas)));
        }
        ctx.registry.learn(&lp.key, seen.world.clone());
        Ok(seen)
    }

    fn plan(&self, lp: &ValidPlatform, seen: &Observed, _: &Children) -> Plan {
        let steps = lp.apps.iter().filter_map(|app| {
            let autoscaling = app.spec.autoscaling.as_ref()?;
            let name = &app.key.app;
            let decided = seen.views.get(name).and_then(|view| view.bounds);
            // What the HPA says is what was decided before this process began.
            let known = decided
                .or_else(|| seen.live.get(name).copied().map(|live| live.paused_as(policy::pause(autoscaling.pause))));
            let running = seen.running.get(name).copied().unwrap_or(0);
            step(lp, app, known.unwrap_or_else(|| first_bounds(autoscaling).raised_to(running)))
        });
        steps.collect()
    }

    /// An app at a time, with the evaluation kept from writing meanwhile, so that neither undoes what the other wrote.
    async fn apply(&self, ctx: &Context, lp: &ValidPlatform, children: &Children, plan: &Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for step in plan {
            let Some(app) = lp.app(&step.item) else { continue };
            if ctx.registry.is_blocked(&app.key) {
                continue;
            }
            let guard = ctx.registry.hold(&app.key).await;
            let newest = guard.as_ref().and_then(|guard| guard.bounds).and_then(|bounds| self::step(lp, app, bounds));
            let done = carry_out(ctx, lp, children, &vec![newest.unwrap_or_else(|| step.clone())]).await;
            outcome.add(done);
        }
        outcome
    }

    fn status(&self, lp: &ValidPlatform, seen: &Observed, _children: &Children) -> TierStatus {
        let items = lp.apps.iter().filter(|app| app.scaling.is_some());
        // What was said of another spec says nothing of this one.
        let told = if lp.status.observed_generation == Some(lp.generation) { &lp.status.apps[..] } else { &[] };
        let item = |app: &ValidApp| item_status(app, seen, told.iter().find(|told| told.name == app.key.app));
        TierStatus { items: items.map(|app| (app.key.app.clone(), item(app))).collect(), waiting: None }
    }
}

fn step(lp: &ValidPlatform, app: &ValidApp, bounds: Bounds) -> Option<Step> {
    let hpa = hpa(&lp.owner, &app.spec, bounds)?;
    let mut object = Kind::HorizontalPodAutoscaler.object(&hpa).ok()?;
    // The writer adds both, and offline there is neither.
    object.metadata.namespace = None;
    object.metadata.owner_references = None;
    Some(Step { item: app.key.app.clone(), manager: FieldManager::Scale, object })
}

fn item_status(app: &ValidApp, seen: &Observed, told: Option<&AppStatus>) -> ItemStatus {
    let name = &app.key.app;
    let verdict = |state, reason, message: &str| Verdict::new(ConditionType::AutoscalingReady, state, reason, message);
    let view = seen.views.get(name);
    let mut verdicts = match view {
        Some(view) => view.verdicts(),
        None => vec![verdict(State::Unknown, Reason::Progressing, "no decision yet")],
    };
    let asks = app.scaling.as_ref().is_some_and(|scaling| !scaling.plan.sources.is_empty());
    if view.is_none() && asks {
        let message = "no answer of the metrics source yet";
        verdicts.push(Verdict::new(ConditionType::MetricsAvailable, State::Unknown, Reason::Progressing, message));
    }
    let mut scaling = view.map(ScalingView::status);
    if let Some(told) = told {
        told::keep(told, view, &mut verdicts, &mut scaling);
    }
    if let Some((reason, message)) = seen.problems.get(name).and_then(|problems| problems.first()) {
        verdicts.retain(|verdict| verdict.type_ != ConditionType::AutoscalingReady);
        verdicts.push(verdict(State::False, *reason, message));
    }
    ItemStatus { verdicts, scaling, ..ItemStatus::default() }
}

/// What keeps an app's scaling from being carried out in full, the gravest first.
fn problems(lp: &ValidPlatform, app: &ValidApp, world: &World, unread: &calendar::Failures) -> Vec<(Reason, String)> {
    let mut problems = Vec::new();
    problems.extend(world.conflicts.get(&app.key.app).map(|message| (Reason::AutoscalerConflict, message.clone())));
    let (Some(scaling), Some(autoscaling)) = (&app.scaling, &app.spec.autoscaling) else { return problems };
    let now = Time::from(jiff::Timestamp::now());
    if let Ok(mapped) = policy::map(lp.prometheus.as_ref(), autoscaling, &scaling.tunables, &world.calendars, now) {
        let path = format!("spec.apps[{}].autoscaling", app.key.app);
        let found = calendar::problems(autoscaling, unread, mapped.world);
        problems.extend(found.into_iter().map(|(reason, error)| (reason, format!("{path}.{error}"))));
    }
    let annotation = format!("{}{}", crds::HOLD_ANNOTATION_PREFIX, app.key.app);
    if let Some(Err(problem)) = lp.annotations.get(&annotation).map(|value| hold(value)) {
        problems.push((Reason::InvalidSpec, format!("the annotation {annotation} {problem}")));
    }
    problems
}

/// Autoscalers that are not this platform's, each with the Deployment it scales and in words what it is.
async fn others(client: &Client, lp: &ValidPlatform, namespace: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    match hpas.list(&ListParams::default()).await {
        Ok(list) => found.extend(list.items.iter().filter(|hpa| !is_ours(hpa, lp)).filter_map(|hpa| {
            let target = &hpa.spec.as_ref()?.scale_target_ref;
            (target.kind == "Deployment")
                .then(|| (target.name.clone(), format!("HorizontalPodAutoscaler {}", hpa.name_any())))
        })),
        Err(error) => tracing::warn!(%namespace, %error, "other HPAs cannot be listed"),
    }
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"),
        "scaledobjects",
    );
    let scaled: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    // Most clusters have no such API, or do not let us look.
    if let Ok(list) = scaled.list(&ListParams::default()).await {
        found.extend(list.items.iter().filter_map(|object| {
            let target = &object.data["spec"]["scaleTargetRef"];
            let deployment = target["kind"].as_str().is_none_or(|kind| kind == "Deployment");
            deployment
                .then(|| Some((target["name"].as_str()?.to_owned(), format!("ScaledObject {}", object.name_any()))))?
        }));
    }
    found
}

fn is_ours(hpa: &HorizontalPodAutoscaler, lp: &ValidPlatform) -> bool {
    !matches!(belongs(hpa, &lp.owner), Belongs::Foreign(_))
}

fn conflicts(apps: &[&ValidApp], others: &[(String, String)]) -> BTreeMap<String, String> {
    let of = |app: &&ValidApp| {
        let (_, who) = others.iter().find(|(target, _)| *target == app.object_name)?;
        let message = format!(
            "{who} scales the Deployment {} too, so nothing is written: remove it, or remove apps[{}].autoscaling",
            app.object_name, app.key.app
        );
        Some((app.key.app.clone(), message))
    };
    apps.iter().filter_map(of).collect()
}
