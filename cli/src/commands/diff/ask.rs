//! The questions to the API server.

use super::{
    Change,
    stores::{self, Stores},
};
use crate::{cluster::Cluster, manifests::Manifest};
use anyhow::{Context, anyhow};
use crds::LearningPlatform;
use futures::future::join_all;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use operator::{
    apply::{Live, Mode, Writer},
    capabilities::{Capabilities, Served},
    context::Settings,
    error::Error,
    kinds::{Kind, ObjectId},
    naming::{FieldManager, Owner, children_of},
    reconcile,
    tiers::{
        Children, Step,
        app::{connections::REVISION, keep_annotations, rollout_jobs},
    },
    validate::{self, ValidPlatform},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Asks what would become of one platform. What cannot be told of single objects goes into `errors`.
pub(super) async fn platform(
    cluster: &Cluster,
    manifest: &Manifest,
    namespace: Option<&str>,
    changes: &mut Vec<Change>,
    errors: &mut Vec<String>,
) -> anyhow::Result<()> {
    let name = manifest.platform.name_any();
    let namespace = namespace
        .map(str::to_owned)
        .or_else(|| manifest.platform.namespace())
        .unwrap_or_else(|| cluster.namespace.clone());
    let api: Api<LearningPlatform> = Api::namespaced(cluster.client.clone(), &namespace);
    let live = api.get_opt(&name).await.map_err(|e| cluster.explain("the platform cannot be read", e))?;
    let mut json = manifest.json.clone();
    json["metadata"]["namespace"] = namespace.clone().into();
    if let Some(fields) = json.as_object_mut() {
        fields.remove("status");
    }
    let after = dry_run(&api, live.as_ref(), &json)
        .await
        .map_err(|e| cluster.explain(&format!("platform {namespace}/{name} would be refused"), e))?;
    let before = live.as_ref().map(serde_json::to_value).transpose()?;
    changes.push(Change::new(
        format!("LearningPlatform {name}"),
        &namespace,
        before,
        Some(serde_json::to_value(&after)?),
    ));
    children(cluster, &after, changes, errors).await
}

/// The platform as it would be. Fields that left the file go with whoever applied them; where nobody owns the spec by
/// server-side apply, the spec of the file is taken whole.
async fn dry_run(
    api: &Api<LearningPlatform>,
    live: Option<&LearningPlatform>,
    json: &Value,
) -> kube::Result<LearningPlatform> {
    let name = json["metadata"]["name"].as_str().unwrap_or_default();
    let applied_by = live.and_then(|live| {
        let own = |m: &&str| !m.starts_with("learningplatform");
        let mut managers = live.managed_fields().iter().filter(|f| {
            f.operation.as_deref() == Some("Apply") && f.subresource.as_deref().unwrap_or_default().is_empty()
        });
        let first = managers.next()?.manager.as_deref().filter(own)?;
        managers.next().is_none().then(|| first.to_owned())
    });
    match (live, applied_by) {
        (Some(live), None) => {
            let mut whole = serde_json::to_value(live).map_err(kube::Error::SerdeError)?;
            whole["spec"] = json["spec"].clone();
            for field in ["labels", "annotations"] {
                for (key, value) in json["metadata"][field].as_object().into_iter().flatten() {
                    whole["metadata"][field][key] = value.clone();
                }
            }
            let whole = serde_json::from_value(whole).map_err(kube::Error::SerdeError)?;
            api.replace(name, &PostParams { dry_run: true, ..PostParams::default() }, &whole).await
        }
        (_, manager) => {
            let manager = manager.unwrap_or_else(|| "lpctl".to_owned());
            api.patch(name, &PatchParams { dry_run: true, ..PatchParams::apply(&manager).force() }, &Patch::Apply(json))
                .await
        }
    }
}

async fn children(
    cluster: &Cluster,
    platform: &LearningPlatform,
    changes: &mut Vec<Change>,
    errors: &mut Vec<String>,
) -> anyhow::Result<()> {
    let capabilities = Capabilities::new(Served::default());
    capabilities.discover(&cluster.client).await;
    let served = capabilities.now();
    let valid = validate::validate(platform, &Settings::default()).map_err(|e| anyhow!("{e}"))?;
    let namespace = &valid.key.namespace;
    let live = Children(live(cluster, namespace, &valid.key.name, served, errors).await);
    let stores = Stores::of(&valid, served, &live);
    for note in stores.notes() {
        crate::output::tell(&format!("note: {note}"));
    }
    let writer = Writer::new(cluster.client.clone(), Mode::DryRun);
    let mut planned = Vec::new();
    for step in with_jobs(steps(rendered(&valid, served, &stores, &live), &live.0), &valid, &live.0) {
        let Some(id) = ObjectId::of(&step.object) else { continue };
        let before = live.0.get(&id);
        match after(&writer, &valid.owner, &step, before).await {
            Ok(object) => {
                let values = (before.map(serde_json::to_value).transpose()?, serde_json::to_value(&object)?);
                changes.push(Change::new(id.to_string(), namespace, values.0, Some(values.1)));
            }
            Err(error) => errors.push(format!("{namespace}/{id}: {error}")),
        }
        planned.push(id);
    }
    for id in stores.would_go(&valid, &live, &planned) {
        let object = live.0.get(id).map(serde_json::to_value).transpose()?;
        changes.push(Change::new(id.to_string(), namespace, object, None));
    }
    Ok(())
}

/// The plan of a pass over these objects: the stores as they are found, the apps as without a cluster.
fn rendered(lp: &ValidPlatform, served: Served, stores: &Stores, live: &Children) -> Vec<Step> {
    let mut rendered = stores.plan(lp, live);
    rendered.extend(reconcile::render(lp, served).into_iter().filter(|step| lp.app(&step.item).is_some()));
    for step in &mut rendered {
        let live = ObjectId::of(&step.object).filter(|id| id.kind == Kind::Deployment).and_then(|id| live.0.get(&id));
        if let (Some(live), Some(app), FieldManager::Main) = (live, lp.app(&step.item), step.manager) {
            keep_annotations(app, &mut step.object, live);
        }
    }
    rendered
}

/// The object as it would be. A namespace that is not there yet can hold nothing, so nothing in it is asked for.
async fn after(
    writer: &Writer,
    owner: &Owner,
    step: &Step,
    before: Option<&DynamicObject>,
) -> anyhow::Result<DynamicObject> {
    let live = before.map_or(Live::Unknown, Live::Known);
    let mut wanted = step.object.clone();
    let claims = before.and_then(|before| stores::with_live_claims(&mut wanted, before));
    match writer.apply(step.manager, owner, &wanted, live).await {
        Ok(mut applied) => {
            stores::ask_for_sizes(&mut applied.object, claims.as_ref());
            Ok(applied.object)
        }
        Err(error) if is_missing_namespace(&error) => Ok(step.object.clone()),
        Err(error) => Err(anyhow::Error::new(error)).context("the API server would refuse it"),
    }
}

fn is_missing_namespace(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = cause {
        if let Some(kube::Error::Api(status)) = one.downcast_ref::<kube::Error>() {
            return status.code == 404 && status.message.starts_with("namespaces ");
        }
        cause = one.source();
    }
    false
}

/// What is there of the platform.
async fn live(
    cluster: &Cluster,
    namespace: &str,
    platform: &str,
    served: Served,
    errors: &mut Vec<String>,
) -> BTreeMap<ObjectId, DynamicObject> {
    let selector = ListParams::default().labels(&children_of(platform));
    let lists = Kind::ALL.into_iter().filter(|kind| served.serves(*kind)).map(|kind| {
        let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, &kind.resource());
        let selector = selector.clone();
        async move { (kind, api.list(&selector).await) }
    });
    let mut found = BTreeMap::new();
    for (kind, list) in join_all(lists).await {
        match list {
            Ok(list) => {
                for mut object in list.items {
                    let resource = kind.resource();
                    object.types =
                        Some(kube::core::TypeMeta { api_version: resource.api_version, kind: resource.kind });
                    found.insert(ObjectId { kind, name: object.name_any() }, object);
                }
            }
            Err(error) => {
                errors.push(format!("{kind}s of namespace {namespace} cannot be listed: {}", crate::say(&error)))
            }
        }
    }
    found
}

/// The steps as a pass over these objects would take them: what scaling has decided stays, and a Deployment that is not
/// there yet is one object.
fn steps(rendered: Vec<Step>, live: &BTreeMap<ObjectId, DynamicObject>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for mut step in rendered {
        let Some(id) = ObjectId::of(&step.object) else { continue };
        let before = live.get(&id);
        match (id.kind, step.manager) {
            (Kind::Deployment, FieldManager::Scale) => {
                let scaled =
                    live.contains_key(&ObjectId { kind: Kind::HorizontalPodAutoscaler, name: id.name.clone() });
                let replicas = step.object.data["spec"]["replicas"].clone();
                let main = steps.iter_mut().find(|s| ObjectId::of(&s.object).as_ref() == Some(&id));
                match (main, before) {
                    (Some(main), None) => main.object.data["spec"]["replicas"] = replicas,
                    (Some(main), Some(_)) if !scaled => main.object.data["spec"]["replicas"] = replicas,
                    _ => {}
                }
                continue;
            }
            (Kind::HorizontalPodAutoscaler, _) => {
                if let Some(before) = before {
                    keep_bounds(&mut step.object.data["spec"], &before.data["spec"]);
                }
            }
            (Kind::Secret, _) => {
                if let Some(before) = before {
                    keep_values(&mut step.object.data["data"], &before.data["data"]);
                }
            }
            (Kind::Deployment, _) => {
                if let Some(before) = before {
                    keep_revision(&mut step.object.data, &before.data);
                }
            }
            _ => {}
        }
        steps.push(step);
    }
    steps
}

/// The steps with the Jobs of the rollouts that they make, in place of those of platforms that are new.
fn with_jobs(steps: Vec<Step>, platform: &ValidPlatform, live: &BTreeMap<ObjectId, DynamicObject>) -> Vec<Step> {
    let mut all = Vec::new();
    for step in steps {
        let id = ObjectId::of(&step.object).filter(|id| id.kind != Kind::Job);
        let Some(id) = id else { continue };
        if let (Kind::Deployment, Some(app)) = (id.kind, platform.app(&step.item)) {
            let (item, manager) = (step.item.clone(), step.manager);
            let jobs = rollout_jobs(app, &step.object, live.get(&id)).into_iter();
            all.extend(jobs.map(|object| Step { item: item.clone(), manager, object }));
        }
        all.push(step);
    }
    all
}

/// What Secrets hold is not known here: of variables that are there it is taken to be right.
fn keep_values(wanted: &mut Value, live: &Value) {
    for (name, value) in wanted.as_object_mut().into_iter().flatten() {
        if let Some(live) = live.get(name) {
            *value = live.clone();
        }
    }
}

/// And so is the word in the pod template that changes with them.
fn keep_revision(wanted: &mut Value, live: &Value) {
    let annotations = "/spec/template/metadata/annotations";
    let (wanted, live) = (wanted.pointer_mut(annotations), live.pointer(annotations));
    if let (Some(wanted), Some(live)) = (wanted, live)
        && let Some(revision) = live.get(REVISION)
        && wanted.get(REVISION).is_some()
    {
        wanted[REVISION] = revision.clone();
    }
}

/// Bounds that scaling has written stay while they are within the new ones.
fn keep_bounds(wanted: &mut Value, live: &Value) {
    let (Some(min), Some(max)) = (wanted["minReplicas"].as_i64(), wanted["maxReplicas"].as_i64()) else { return };
    let bound = |field: &str| live[field].as_i64().filter(|n| (min..=max).contains(n));
    if let Some(floor) = bound("minReplicas") {
        wanted["minReplicas"] = floor.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_floor_that_scaling_has_decided_is_no_difference() {
        let mut wanted = json!({"minReplicas": 3, "maxReplicas": 20});
        keep_bounds(&mut wanted, &json!({"minReplicas": 12, "maxReplicas": 20}));
        assert_eq!(wanted, json!({"minReplicas": 12, "maxReplicas": 20}));
        let mut lowered = json!({"minReplicas": 3, "maxReplicas": 10});
        keep_bounds(&mut lowered, &json!({"minReplicas": 12, "maxReplicas": 20}));
        assert_eq!(lowered, json!({"minReplicas": 3, "maxReplicas": 10}));
    }
}
