//! The life of a platform on a real API server: what is missing and heals, what is edited by hand, what fails half way,
//! what is taken away, and what is never written.

mod aws;
mod chart;
mod classes;
mod conditions;
mod deletion;
mod drift;
mod faults;
mod foreign;
mod jobs;
mod leaves;
mod orphans;
mod pods;
mod quiet;
mod references;
mod refusals;
mod secrecy;
mod slow;
mod sources;
mod stores;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::DynamicObject,
};
use learningplatform_tests::harness::{Operator, SAMPLE_APP_IMAGE, TestNamespace, eventually};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long anything may take that takes a few seconds on an idle machine.
const SOON: Duration = Duration::from_secs(90);
/// Within this time a condition must be gone once its cause is.
const HEALED: Duration = Duration::from_secs(30);
/// One operator per namespace; the times are those that users have.
const FLAGS: &[&str] = &["--leader-election=false"];

/// Whether the long forms run: `make soak`.
fn soak() -> bool {
    std::env::var_os("LP_SOAK").is_some_and(|value| !value.is_empty() && value != "0")
}

/// An app of one pod that costs next to nothing, is ready at once and stops at once.
fn app(name: &str) -> Value {
    json!({
        "name": name,
        "image": SAMPLE_APP_IMAGE,
        "port": 3000,
        "env": [{"name": "DRAIN_SECONDS", "value": "0"}],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}},
        "draining": {"delay": "0s", "gracePeriod": "1s"},
        "replicas": 1,
    })
}

/// The same with pods that no node takes.
fn pending(name: &str) -> Value {
    with(app(name), json!({"nodeSelector": {"learningplatform.dev/no-such-node": "true"}}))
}

/// `base` with some fields replaced, or removed where null.
fn with(mut base: Value, changes: Value) -> Value {
    for (field, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            base.as_object_mut().expect("an object").remove(field);
        } else {
            base[field] = value.clone();
        }
    }
    base
}

/// A namespace with an operator.
async fn scene(test: &str) -> (TestNamespace, Operator) {
    let ns = TestNamespace::create(test).await;
    let operator = Operator::start(&ns, FLAGS).await;
    (ns, operator)
}

/// Applies any object as the user does.
async fn put(ns: &TestNamespace, object: Value) {
    let types: kube::core::TypeMeta = serde_json::from_value(object.clone()).expect("types");
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    let apply = PatchParams::apply("user").force();
    dynamic(ns, &types.api_version, &types.kind).patch(&name, &apply, &Patch::Apply(&object)).await.expect("accepted");
}

/// Removes any object, as the user does.
async fn remove(ns: &TestNamespace, api_version: &str, kind: &str, name: &str) {
    dynamic(ns, api_version, kind).delete(name, &Default::default()).await.expect("removed");
}

/// Access to a kind by name.
fn dynamic(ns: &TestNamespace, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = kube::core::GroupVersionKind::gvk(group, version, kind);
    let resource = kube::core::ApiResource::from_gvk_with_plural(&gvk, &plural(kind));
    Api::namespaced_with(ns.client.clone(), &ns.name, &resource)
}

/// A kind as URLs and the audit log name it.
fn plural(kind: &str) -> String {
    // An Ingress is the one kind here whose plural is not formed with an s.
    if kind == "Ingress" { "ingresses".to_owned() } else { format!("{}s", kind.to_lowercase()) }
}

/// Sets an annotation of a platform, or takes it away.
async fn annotate(ns: &TestNamespace, platform: &str, name: &str, value: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {name: value}}}));
    ns.api::<crds::LearningPlatform>().patch(platform, &PatchParams::default(), &patch).await.expect("annotated");
}

/// A child's `resourceVersion`s by kind and name: equal ones were not written between.
async fn versions(ns: &TestNamespace) -> std::collections::BTreeMap<String, String> {
    let mut found = std::collections::BTreeMap::new();
    for object in children(ns).await {
        let (kind, meta) = (object.types.map(|t| t.kind).unwrap_or_default(), object.metadata);
        found.insert(format!("{kind} {}", meta.name.unwrap_or_default()), meta.resource_version.unwrap_or_default());
    }
    found
}

/// Every object with the operator's label in the namespace, with its type.
async fn children(ns: &TestNamespace) -> Vec<DynamicObject> {
    let ours = kube::api::ListParams::default().labels(operator::naming::MANAGED);
    let mut found = Vec::new();
    for kind in operator::kinds::Kind::ALL {
        let resource = kind.resource();
        let types = kube::core::TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        let api: Api<DynamicObject> = Api::namespaced_with(ns.client.clone(), &ns.name, &resource);
        let list = match api.list(&ours).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 && kind.optional() => continue,
            list => list.expect("a list"),
        };
        found.extend(list.items.into_iter().map(|object| DynamicObject { types: Some(types.clone()), ..object }));
    }
    found
}

/// A Gateway that nobody serves.
async fn put_gateway(ns: &TestNamespace, name: &str) {
    let listeners = json!([{"name": "http", "port": 80, "protocol": "HTTP"}]);
    put(
        ns,
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name},
            "spec": {"gatewayClassName": "none", "listeners": listeners},
        }),
    )
    .await;
}

async fn put_secret(ns: &TestNamespace, name: &str, key: &str, value: &str) {
    put(ns, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}}))
        .await;
}

async fn remove_secret(ns: &TestNamespace, name: &str) {
    ns.api::<Secret>().delete(name, &Default::default()).await.expect("removed");
}

/// Waits until the app's condition is False with the reason, its message holds every one of `parts`, and the platform's
/// own condition of that type and, for those that count, its `Ready` say so too.
async fn names(ns: &TestNamespace, platform: &str, app: &str, type_: &str, reason: &str, parts: &[&str]) {
    let what = format!("{platform}/{app}: {type_}=False {reason} naming {parts:?}");
    eventually(
        &what,
        SOON,
        || ns.app_condition(platform, app, type_),
        |seen| {
            seen.as_ref().is_some_and(|(status, why, message)| {
                status == "False" && why == reason && parts.iter().all(|part| message.contains(part))
            })
        },
    )
    .await;
    let (status, _, message) = ns.condition(platform, type_).await.expect("the platform has the condition too");
    assert!(status == "False" && parts.iter().all(|p| message.contains(p)), "{what}: the platform says {message}");
    if type_ != "MetricsAvailable" {
        let (status, _, message) = ns.condition(platform, "Ready").await.expect("Ready");
        assert!(status == "False" && parts.iter().all(|p| message.contains(p)), "{what}: Ready says {message}");
    }
}

/// Waits until the app's condition is True, and asserts that this took no longer than [`HEALED`] from the cause's end.
async fn heals(ns: &TestNamespace, platform: &str, app: &str, type_: &str, gone: Instant) {
    let what = format!("{platform}/{app}: {type_}=True again");
    let look = || ns.app_condition(platform, app, type_);
    eventually(&what, SOON, look, |seen| seen.as_ref().is_some_and(|(status, ..)| status == "True")).await;
    let took = gone.elapsed();
    println!("{what} {took:?} after the cause was gone");
    assert!(took <= HEALED, "{what} only {took:?} after the cause was gone");
}

/// The HPA's `minReplicas`.
async fn floor(ns: &TestNamespace, hpa: &str) -> Option<i32> {
    ns.bounds(hpa).await.map(|(floor, _)| floor)
}

/// Waits until the platform's `Ready` is True for its newest spec.
async fn ready(ns: &TestNamespace, platform: &str) {
    let look = || ns.platform(platform);
    eventually(&format!("{platform} is Ready"), SOON, look, |platform| {
        let status = platform.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready");
        ready.is_some_and(|c| c.status == "True" && c.observed_generation == platform.metadata.generation)
            && status.observed_generation == platform.metadata.generation
    })
    .await;
}
