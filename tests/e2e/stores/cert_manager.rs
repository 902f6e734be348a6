//! Stores whose certificates the real cert-manager issues.

use super::*;
use kube::{
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use learningplatform_tests::harness::operator_binary;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::{
    collections::BTreeSet,
    fs::File,
    process::{Child, Command, Stdio},
};

/// Its controllers, for one namespace. Killed when dropped.
struct CertManager(Child);

impl CertManager {
    fn start(ns: &TestNamespace) -> Self {
        let program = operator_binary().with_file_name("cert-manager");
        assert!(program.is_file(), "tests/run builds {} from tests/cert-manager", program.display());
        let kubeconfig = std::env::var("KUBECONFIG").expect("KUBECONFIG");
        let log = File::create(ns.dir.path().join("cert-manager.log")).expect("a log file");
        let mut command = Command::new(program);
        command.args(["--namespace", &ns.name, "--kubeconfig", &kubeconfig]).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        Self(command.spawn().expect("cert-manager starts"))
    }
}

impl Drop for CertManager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An issuer with an authority of its own.
async fn issuer(ns: &TestNamespace) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority"},
        "stringData": {"tls.crt": authority.pem(), "tls.key": key.serialize_pem()},
    });
    let apply = PatchParams::apply("test").force();
    ns.api::<Secret>().patch("authority", &apply, &Patch::Apply(&secret)).await.expect("the authority");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Issuer"));
    let issuers: kube::Api<DynamicObject> = kube::Api::namespaced_with(ns.client.clone(), &ns.name, &resource);
    let issuer = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "school"},
        "spec": {"ca": {"secretName": "authority"}},
    });
    issuers.patch("school", &apply, &Patch::Apply(&issuer)).await.expect("an issuer");
}

/// Every pod of the platform.
async fn pods(ns: &TestNamespace) -> BTreeSet<String> {
    let pods = ns.api::<Pod>().list(&ListParams::default()).await.expect("the pods").items.into_iter();
    pods.filter_map(|pod| pod.metadata.uid).collect()
}

/// Until when the certificates of cache and database are valid that their servers show.
async fn ends(ns: &TestNamespace) -> [Option<String>; 2] {
    let status = ns.platform("school").await.status.unwrap_or_default();
    let of = |stores: &[crds::status::StoreStatus]| stores.first().and_then(|store| store.certificate_expires.clone());
    [of(&status.caches), of(&status.databases)]
}

#[tokio::test]
async fn certificates_of_an_issuer_are_waited_for_used_and_renewed() {
    let (ns, _operator) = scene("issuer").await;
    let tls = json!({"certManager": {"issuerRef": {"name": "school"}}});
    let uses = json!({"databases": [{"name": "main"}], "caches": [{"name": "cache"}]});
    ns.apply(
        "school",
        json!({
            "caches": [cache("cache", json!({"replicasPerShard": 0, "tls": tls}))],
            "databases": [database("main", json!({"tls": tls}))],
            "apps": [app(uses)],
        }),
    )
    .await;
    for (condition, certificate) in [("DatabaseReady", "school-main-tls"), ("CacheReady", "school-cache-tls")] {
        let look = || ns.condition("school", condition);
        let says = |found: &Option<(String, String, String)>| {
            let words = format!("cert-manager has not issued Certificate {certificate} yet");
            found.as_ref().is_some_and(|(status, _, message)| status == "False" && message.contains(&words))
        };
        eventually("it says what it waits for", MADE, look, says).await;
    }

    let _cert_manager = CertManager::start(&ns);
    issuer(&ns).await;
    // Its app is ready only while it reads and writes in both, and verifies them.
    println!("Ready {:?} after the issuer came", ready(&ns, "school").await);
    let connections: Secret = ns.api().get("school-web-connections").await.expect("the app's connections");
    let connections = connections.data.unwrap_or_default();
    let text = |key: &str| String::from_utf8_lossy(&connections[key].0).into_owned();
    assert!(text("DATABASE_URL").contains("sslmode=verify-full"));
    assert!(text("REDIS_URL").starts_with("rediss://"));

    let shown = |ends: &[Option<String>; 2]| ends.iter().all(Option::is_some);
    let before = eventually("the status has the certificates' ends", MADE, || ends(&ns), shown).await;
    let running = pods(&ns).await;
    // What is gone cert-manager issues anew.
    for secret in ["school-main-tls", "school-cache-tls"] {
        ns.api::<Secret>().delete(secret, &DeleteParams::default()).await.expect("a deletion");
    }
    let renewed = |now: &[Option<String>; 2]| shown(now) && now.iter().zip(&before).all(|(now, before)| now > before);
    eventually("all servers show renewed certificates", MADE, || ends(&ns), renewed).await;
    ready(&ns, "school").await;
    assert_eq!(pods(&ns).await, running, "nobody was restarted");
    ns.delete().await;
}
