//! Classes, Gateways and optional APIs that a route needs and the cluster lacks.

use super::*;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use learningplatform_tests::harness::{FaultProxy, Rules, account};

fn through(gateway: &str) -> Value {
    json!({"exposure": {"gateway": {"parentRefs": [{"name": gateway}], "hosts": ["school.example"]}}})
}

#[tokio::test]
async fn a_gateway_that_is_missing_is_named_and_heals() {
    let (ns, _operator) = scene("gateway").await;
    ns.apply("school", json!({"apps": [with(app("web"), through("public"))]})).await;
    names(&ns, "school", "web", "AppReady", "NotFound", &["Gateway public", "exposure.gateway.parentRefs"]).await;
    let gone = Instant::now();
    put_gateway(&ns, "public").await;
    heals(&ns, "school", "web", "AppReady", gone).await;
    ns.delete().await;
}

#[tokio::test]
async fn an_ingress_class_that_is_missing_is_named_and_heals() {
    let ns = TestNamespace::create("class").await;
    let kubeconfig = account(&ns).await;
    // Classes are not namespaced: the rights to them are the cluster-wide ones.
    let name = ns.name.clone();
    let apply = PatchParams::apply("test").force();
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": operator::rbac::cluster_rules(),
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": name}],
    });
    let roles = Api::<ClusterRole>::all(ns.client.clone());
    let bindings = Api::<ClusterRoleBinding>::all(ns.client.clone());
    let classes = Api::<k8s_openapi::api::networking::v1::IngressClass>::all(ns.client.clone());
    roles.patch(&name, &apply, &Patch::Apply(&role)).await.expect("a role");
    bindings.patch(&name, &apply, &Patch::Apply(&binding)).await.expect("a binding");
    let operator = Operator::spawn(&ns, &kubeconfig, FLAGS);

    let exposure =
        json!({"exposure": {"ingress": {"className": name, "hosts": ["school.example"], "tlsSecret": "tls"}}});
    ns.apply("school", json!({"apps": [with(app("web"), exposure)]})).await;
    names(&ns, "school", "web", "AppReady", "NotFound", &[]).await;
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
        "spec": {"controller": "learningplatform.dev/none"},
    });
    put_secret(&ns, "tls", "tls.crt", "x").await;
    names(&ns, "school", "web", "AppReady", "NotFound", &["IngressClass", &name, "exposure.ingress.className"]).await;
    let gone = Instant::now();
    classes.patch(&name, &apply, &Patch::Apply(&class)).await.expect("a class");
    heals(&ns, "school", "web", "AppReady", gone).await;
    drop(operator);
    let _ = classes.delete(&name, &Default::default()).await;
    let _ = bindings.delete(&name, &Default::default()).await;
    let _ = roles.delete(&name, &Default::default()).await;
    ns.delete().await;
}

#[tokio::test]
async fn a_missing_api_is_named_and_heals_when_it_is_installed() {
    let ns = TestNamespace::create("api").await;
    let kubeconfig = account(&ns).await;
    // The API is the cluster's, which other tests share: it is missing for this operator alone.
    let hidden = Rules { hidden: Some("/apis/gateway.networking.k8s.io".to_owned()), ..Rules::default() };
    let proxy = FaultProxy::start(&kubeconfig, hidden).await;
    let _operator = Operator::spawn(&ns, &proxy.kubeconfig(ns.dir.path()), FLAGS);
    put_gateway(&ns, "public").await;
    ns.apply("school", json!({"apps": [with(app("web"), through("public")), app("other")]})).await;
    names(&ns, "school", "web", "AppReady", "NotFound", &["HTTPRoute", "gateway.networking.k8s.io"]).await;
    let other = || ns.app_condition("school", "other", "AppReady");
    eventually("the other app is ready", SOON, other, |c| c.as_ref().is_some_and(|c| c.0 == "True")).await;
    let gone = Instant::now();
    proxy.set(|rules| rules.hidden = None);
    heals(&ns, "school", "web", "AppReady", gone).await;
    dynamic(&ns, "gateway.networking.k8s.io/v1", "HTTPRoute").get("school-web").await.expect("the route is there");
    ns.delete().await;
}
