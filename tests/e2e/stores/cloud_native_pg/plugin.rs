//! The real Barman Cloud plugin beside CloudNativePG in the namespace of a test, and a server of S3 for it.

use super::{operator::*, *};
use k8s_openapi::api::core::v1::Service;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

/// The plugin's program, and Barman's beside it for its containers in the pods of servers.
const PULLED: &str = "docker.io/learningplatform/barman-cloud:dev";
const RCLONE: &str = "docker.io/learningplatform/rclone:dev";
const NAME: &str = "barman-cloud";
/// Access key of the server of S3, and its id.
pub const KEY: (&str, &str) = ("school", "a-key-of-a-test");
pub const BUCKET: &str = "school";

/// Brings the definition of its API alone.
pub async fn define(ns: &TestNamespace) {
    for mut definition in documents("barman-cloud") {
        definition["metadata"]["labels"][BROUGHT] = json!("true");
        apply(ns, &definition, false).await;
    }
}

/// Brings the plugin itself, as its manifests do, and waits until it runs.
pub async fn install(ns: &TestNamespace) {
    for mut role in documents("barman-cloud-operator") {
        let name = format!("{}-{NAME}", ns.name);
        role["metadata"]["name"] = json!(name);
        role["metadata"]["labels"][BROUGHT] = json!("true");
        apply(ns, &role, false).await;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "labels": {BROUGHT: "true"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": ns.name}],
        });
        apply(ns, &binding, false).await;
    }
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        apply(ns, &certificate(&format!("{NAME}-{name}"), usage), true).await;
    }
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}});
    apply(ns, &account, true).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": NAME,
            "labels": {"app": NAME, "cnpg.io/pluginName": "barman-cloud.cloudnative-pg.io"},
            "annotations": {
                "cnpg.io/pluginPort": "9090",
                "cnpg.io/pluginServerSecret": format!("{NAME}-server"), "cnpg.io/pluginClientSecret": format!("{NAME}-client"),
            },
        },
        "spec": {"selector": {"app": NAME}, "ports": [{"port": 9090}]},
    });
    apply(ns, &service, true).await;
    let container = json!({
        "name": NAME, "image": PULLED, "imagePullPolicy": "IfNotPresent",
        "args": [
            "operator", "--server-cert=/server/tls.crt", "--server-key=/server/tls.key", "--client-cert=/client/tls.crt",
            "--server-address=:9090",
        ],
        "env": [{"name": "SIDECAR_IMAGE", "value": PULLED}],
        "readinessProbe": {"tcpSocket": {"port": 9090}, "periodSeconds": 1},
        "volumeMounts": [{"name": "server", "mountPath": "/server"}, {"name": "client", "mountPath": "/client"}],
    });
    let volumes = json!([
        {"name": "server", "secret": {"secretName": format!("{NAME}-server")}},
        {"name": "client", "secret": {"secretName": format!("{NAME}-client")}},
    ]);
    deploy(ns, NAME, NAME, container, volumes).await;
}

/// Takes the plugin's Service away while CloudNativePG runs, which alone can let go of it: it keeps a finalizer there.
pub async fn remove(ns: &TestNamespace) {
    let services = ns.api::<Service>();
    services.delete(NAME, &DeleteParams::default()).await.expect("removed");
    let left = || async { services.get_opt(NAME).await.expect("an answer").is_some() };
    eventually("CloudNativePG lets the plugin go", MADE, left, |left| !left).await;
}

/// Runs a server of S3 with one bucket, and gives its address; the key is in the Secret `s3`.
pub async fn s3(ns: &TestNamespace) -> String {
    let (id, key) = KEY;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"},
        "stringData": {"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": key},
    });
    apply(ns, &secret, true).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s3"},
        "spec": {"selector": {"app": "s3"}, "ports": [{"port": 9000}]},
    });
    apply(ns, &service, true).await;
    let container = json!({
        "name": "s3", "image": RCLONE, "imagePullPolicy": "IfNotPresent",
        "args": ["serve", "s3", "/data", "--addr", ":9000", "--auth-key", format!("{id},{key}"), "--cache-dir", "/tmp"],
        "readinessProbe": {"tcpSocket": {"port": 9000}, "periodSeconds": 1},
        // A bucket is a folder.
        "volumeMounts": [{"name": "bucket", "mountPath": format!("/data/{BUCKET}")}, {"name": "tmp", "mountPath": "/tmp"}],
    });
    deploy(
        ns,
        "s3",
        "default",
        container,
        json!([{"name": "bucket", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]),
    )
    .await;
    format!("http://s3.{}.svc:9000", ns.name)
}

/// One pod under the rules of the namespace, as soon as it is ready.
async fn deploy(ns: &TestNamespace, name: &str, account: &str, mut container: Value, volumes: Value) {
    container["securityContext"] = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    container["resources"] = json!({"requests": {"cpu": "5m", "memory": "32Mi"}});
    let user = json!({
        "runAsNonRoot": true, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"},
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "serviceAccountName": account, "securityContext": user, "containers": [container], "volumes": volumes,
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    });
    apply(ns, &deployment, true).await;
    runs(ns, name).await;
}

/// A certificate that is its own authority, as the plugin's manifests have cert-manager make them.
fn certificate(name: &str, usage: ExtendedKeyUsagePurpose) -> Value {
    let mut params = CertificateParams::new([NAME.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().expect("a key");
    let signed = params.self_signed(&key).expect("a certificate");
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name},
        "stringData": {"tls.crt": signed.pem(), "tls.key": key.serialize_pem()},
    })
}
