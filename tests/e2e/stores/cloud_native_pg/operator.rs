//! The real CloudNativePG in the namespace of a test, from the manifests that its module publishes.

use super::*;
use k8s_openapi::{
    api::{
        admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
        apps::v1::Deployment,
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{DynamicObject, GroupVersionKind},
};
use std::{path::Path, process::Command};

/// Names that CloudNativePG looks for.
const WEBHOOKS: &str = "cnpg-webhook-service";
const MUTATING: &str = "cnpg-mutating-webhook-configuration";
const VALIDATING: &str = "cnpg-validating-webhook-configuration";
/// Label of what a test has brought into the cluster.
pub const BROUGHT: &str = "learningplatform.dev/cloud-native-pg-test";
const PULLED: &str = "docker.io/learningplatform/cloudnative-pg:dev";

/// The documents of a set, from the module.
pub fn documents(set: &str) -> Vec<Value> {
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/cluster");
    let output = Command::new(cluster).args(["crds", set]).output().expect("tests/cluster/cluster runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let documents = text.split("\n---").filter(|document| document.contains("kind:"));
    documents.map(|document| serde_saphyr::from_str(document).expect("YAML")).collect()
}

fn definitions(ns: &TestNamespace) -> Api<CustomResourceDefinition> {
    Api::all(ns.client.clone())
}

/// Whether somebody else has CloudNativePG in this cluster.
pub async fn is_somebody_elses(ns: &TestNamespace) -> bool {
    let found = definitions(ns).get_opt("clusters.postgresql.cnpg.io").await.expect("an answer");
    found.is_some_and(|found| !found.metadata.labels.unwrap_or_default().contains_key(BROUGHT))
}

/// Removes what an earlier run has left in the cluster, and waits until it is gone.
pub async fn remove(ns: &TestNamespace) {
    let (brought, background) = (ListParams::default().labels(BROUGHT), DeleteParams::background());
    let mutating = Api::<MutatingWebhookConfiguration>::all(ns.client.clone());
    mutating.delete_collection(&background, &brought).await.expect("removed");
    let validating = Api::<ValidatingWebhookConfiguration>::all(ns.client.clone());
    validating.delete_collection(&background, &brought).await.expect("removed");
    let bindings = Api::<ClusterRoleBinding>::all(ns.client.clone());
    bindings.delete_collection(&background, &brought).await.expect("removed");
    let roles = Api::<ClusterRole>::all(ns.client.clone());
    roles.delete_collection(&background, &brought).await.expect("removed");
    definitions(ns).delete_collection(&background, &brought).await.expect("removed");
    let left = || async { definitions(ns).list(&brought).await.expect("definitions").items.len() };
    eventually("its definitions are gone", MADE, left, |left| *left == 0).await;
}

pub async fn apply(ns: &TestNamespace, object: &Value, is_namespaced: bool) {
    let types: kube::core::TypeMeta = serde_json::from_value(object.clone()).expect("types");
    let gvk = GroupVersionKind::try_from(types).expect("a kind");
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = if is_namespaced {
        Api::namespaced_with(ns.client.clone(), &ns.name, &resource)
    } else {
        Api::all_with(ns.client.clone(), &resource)
    };
    let name = object["metadata"]["name"].as_str().expect("a name");
    let params = PatchParams::apply("test").force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .unwrap_or_else(|error| panic!("{} {name}: {error}", gvk.kind));
}

/// Brings the definitions, and the operator for the one namespace; waits until it runs.
pub async fn install(ns: &TestNamespace) {
    for mut definition in documents("cloudnative-pg") {
        definition["metadata"]["labels"][BROUGHT] = json!("true");
        apply(ns, &definition, false).await;
    }
    for mut object in documents("cloudnative-pg-operator") {
        object["metadata"]["labels"][BROUGHT] = json!("true");
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "ClusterRole" => {
                object["metadata"]["name"] = json!(ns.name);
                apply(ns, &object, false).await;
            }
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
                let name = if kind.starts_with('M') { MUTATING } else { VALIDATING };
                object["metadata"]["name"] = json!(name);
                for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
                    webhook["clientConfig"]["service"]["name"] = json!(WEBHOOKS);
                    webhook["clientConfig"]["service"]["namespace"] = json!(ns.name);
                    webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": ns.name}});
                }
                apply(ns, &object, false).await;
            }
            "Deployment" => {
                adapt(&mut object, &ns.name);
                apply(ns, &object, true).await;
            }
            "ServiceAccount" => {
                object["metadata"].as_object_mut().expect("metadata").remove("namespace");
                apply(ns, &object, true).await;
            }
            _ => {}
        }
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": ns.name, "labels": {BROUGHT: "true"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ns.name},
        "subjects": [{"kind": "ServiceAccount", "name": "manager", "namespace": ns.name}],
    });
    apply(ns, &binding, false).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": WEBHOOKS},
        "spec": {"selector": {"app.kubernetes.io/name": "cloudnative-pg"}, "ports": [{"port": 443, "targetPort": 9443}]},
    });
    apply(ns, &service, true).await;
    runs(ns, "controller-manager").await;
}

/// Waits for the pod of a Deployment.
pub async fn runs(ns: &TestNamespace, name: &str) {
    let ready = || async {
        let deployment = ns.api::<Deployment>().get(name).await.expect("a Deployment");
        deployment.status.and_then(|status| status.available_replicas).unwrap_or_default()
    };
    eventually(&format!("{name} runs"), MADE, ready, |ready| *ready == 1).await;
}

/// The image that was packed, one namespace, and next to no resources.
fn adapt(deployment: &mut Value, namespace: &str) {
    deployment["metadata"].as_object_mut().expect("metadata").remove("namespace");
    let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
    container["image"] = json!(PULLED);
    container["imagePullPolicy"] = json!("IfNotPresent");
    container["args"] = json!(["controller", "--max-concurrent-reconciles=10", "--webhook-port=9443"]);
    let field = json!({"fieldRef": {"fieldPath": "metadata.namespace"}});
    container["env"] = json!([
        {"name": "OPERATOR_IMAGE_NAME", "value": PULLED},
        {"name": "OPERATOR_NAMESPACE", "valueFrom": field},
        {"name": "WATCH_NAMESPACE", "value": namespace},
    ]);
    container["resources"] = json!({"requests": {"cpu": "5m", "memory": "64Mi"}});
}
