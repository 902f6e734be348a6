//! Credentials of a real Prometheus: from Secrets, and rotated without a restart.

use crate::support::{
    cluster::{Lab, SIGNING_KEY, Vault, accounts, quick},
    server::Prometheus,
    web::{Mode, Proxy, Target},
};
use learningplatform_operator::prometheus::{PromApi, Source, SourceKey, source::CredentialsKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const POD: &[(&str, &str)] = &[("namespace", "lab"), ("pod", "story-web-7c855ffc44-56nft")];
const COUNTER: &str = "http_requests_total {count}\n";

/// bcrypt of `first-password` and `second-password`, of the least cost.
const FIRST: &str = "$2b$04$4F6n7piKeOHnmrqFt2SdwO.LbPqkZaRtigDEXMb5JUzljzkfuiAJm";
const SECOND: &str = "$2b$04$yMpE4Tesg1h5ukQG372X5Ot.XR5NvTgqzjf8HiSlrqrctXUdeQKtK";

/// A certificate authority with a server's and a client's certificate, all PEM.
struct Pki {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn pki() -> Pki {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |usage: ExtendedKeyUsagePurpose| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    Pki {
        ca: ca.pem(),
        server: issue(ExtendedKeyUsagePurpose::ServerAuth),
        client: issue(ExtendedKeyUsagePurpose::ClientAuth),
    }
}

fn install(directory: &dyn Fn(&str) -> std::path::PathBuf, pki: &Pki, password: &str) {
    std::fs::write(directory("ca.crt"), &pki.ca).unwrap();
    std::fs::write(directory("tls.crt"), &pki.server.0).unwrap();
    std::fs::write(directory("tls.key"), &pki.server.1).unwrap();
    std::fs::write(directory("web.yml"), web(directory, password)).unwrap();
}

fn web(directory: &dyn Fn(&str) -> std::path::PathBuf, password: &str) -> String {
    let file = |name: &str| directory(name).display().to_string();
    format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  client_auth_type: RequireAndVerifyClientCert\n\
         basic_auth_users:\n  ana: {password}\n",
        file("tls.crt"),
        file("tls.key"),
        file("ca.crt")
    )
}

fn keep(vault: &Vault, pki: &Pki, password: &str) {
    vault.put("user", &[("name", b"ana"), ("password", password.as_bytes())]);
    vault.put("ca", &[("ca.crt", pki.ca.as_bytes())]);
    vault.put("client", &[("tls.crt", pki.client.0.as_bytes()), ("tls.key", pki.client.1.as_bytes())]);
}

#[tokio::test]
async fn authority_certificate_and_password_are_rotated_without_a_restart() {
    let (first, second) = (pki(), pki());
    let directory = tempfile::TempDir::new().unwrap();
    let file = |name: &str| directory.path().join(name);
    install(&file, &first, FIRST);
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], Some(&web(&file, FIRST))).await;
    let lab = Lab::start();
    keep(&lab.vault, &first, "first-password");
    lab.cluster.run("story-web", 3);
    let server = json!({
        "url": prometheus.url(), "scrapeInterval": "1s",
        "auth": {"basic": {"username": {"name": "user", "key": "name"}, "password": {"name": "user", "key": "password"}}},
        "tls": {"ca": {"name": "ca", "key": "ca.crt"}, "clientCertificate": "client"},
    });
    lab.apply(server, &[("web", quick(20, json!({"requestRate": {"perPod": 10}})))]);
    lab.floor("web", 8).await;

    install(&file, &second, SECOND);
    std::fs::write(prometheus.file("web.yml"), web(&file, SECOND)).unwrap();
    keep(&lab.vault, &second, "second-password");
    target.count_at(115.0);
    lab.floor("web", 12).await;
    lab.settles("web", "Available").await;
}

#[tokio::test]
async fn a_refused_token_is_read_again_at_once() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    proxy.answer(Mode::Pass("Bearer one".into()));
    let lab = Lab::start();
    lab.vault.put("token", &[("token", b"one\n")]);
    lab.cluster.run("story-web", 3);
    let server =
        json!({"url": proxy.url(), "scrapeInterval": "1s", "auth": {"bearerToken": {"name": "token", "key": "token"}}});
    lab.apply(server, &[("web", quick(20, json!({"requestRate": {"perPod": 10}})))]);
    lab.floor("web", 8).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    proxy.answer(Mode::Pass("Bearer two".into()));
    lab.vault.put("token", &[("token", b"two")]);
    let before = std::time::Instant::now();
    lab.settles("web", "Available").await;
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let lab = Lab::start();
    lab.cluster.run("story-web", 3);
    let server = json!({"url": prometheus.url(), "scrapeInterval": "1s", "auth": {"bearerToken": {"name": "token", "key": "value"}}});
    lab.apply(server, &[("web", quick(20, json!({"requestRate": {"perPod": 10}})))]);
    let message = async || lab.settles("web", "SourceMisconfigured").await.metrics.as_ref().unwrap().to_string();
    let missing = message().await;
    assert!(missing.contains("the Secret token does not exist") && missing.contains(&prometheus.url()), "{missing}");
    lab.vault.put("token", &[("other", b"s3cret")]);
    let keyless = crate::support::until("the key is named", Duration::from_secs(20), || async {
        let message = lab.view("web")?.live.metrics.as_ref()?.to_string();
        message.contains("no key value").then_some(message)
    })
    .await;
    assert!(!keyless.contains("s3cret"), "{keyless}");
    lab.vault.put("token", &[("value", b"s3cret")]);
    lab.floor("web", 8).await;
}

#[tokio::test]
async fn the_operators_own_credentials_are_files() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    proxy.answer(Mode::Pass("Basic YW5hOnB3".into()));
    let directory = tempfile::TempDir::new().unwrap();
    let key = SourceKey {
        url: proxy.url(),
        headers: BTreeMap::new(),
        credentials: CredentialsKey::Operator(Some(directory.path().to_owned())),
    };
    let source = Source::new(key, Arc::new(Vault::default()), accounts(), Duration::from_secs(5));
    let now = || decide::Time::from(jiff::Timestamp::now());
    assert!(source.query("up", now()).await.unwrap_err().unauthorized);
    std::fs::write(directory.path().join("username"), "ana\n").unwrap();
    std::fs::write(directory.path().join("password"), "pw\n").unwrap();
    crate::support::until("the files are read again", Duration::from_secs(20), || async {
        source.query("up", now()).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_managed_prometheus_gets_signed_queries_and_refuses_others() {
    let target = Target::start(COUNTER, 75.0).await;
    let prometheus = Prometheus::start(&[(&target, POD)], None).await;
    let proxy = Proxy::start(prometheus.port).await;
    let source = |credentials: CredentialsKey| {
        let key = SourceKey { url: format!("{}/", proxy.url()), headers: BTreeMap::new(), credentials };
        Source::new(key, Arc::new(Vault::default()), accounts(), Duration::from_secs(5))
    };
    let now = || decide::Time::from(jiff::Timestamp::now());
    let signed = source(CredentialsKey::OperatorAtAws("eu-central-1".into()));
    let expression = r#"sum by (pod) (rate(http_requests_total{pod=~"story-.*",path!="/a b+ä"}[1m]))"#;
    proxy.answer(Mode::Signed { key: SIGNING_KEY.into(), scope: "eu-central-1/aps".into() });
    signed.query(expression, now()).await.expect("the signature is of what arrives");
    assert_eq!(signed.started().await, None, "a managed one does not say");
    assert_eq!(
        proxy.seen.lock().unwrap().last().and_then(crate::support::web::Request::query).as_deref(),
        Some(expression)
    );
    assert!(source(CredentialsKey::Anonymous).query("up", now()).await.unwrap_err().unauthorized);
    for (key, scope) in [("another key", "eu-central-1/aps"), (SIGNING_KEY, "eu-west-1/aps")] {
        proxy.answer(Mode::Signed { key: key.into(), scope: scope.into() });
        let refused = signed.query("up", now()).await.unwrap_err();
        assert!(refused.unauthorized && !format!("{refused:?}").contains(SIGNING_KEY), "{refused:?}");
    }
}
