//! A platform with items at AWS, on a real API server and a server that speaks AWS's protocols.

#[expect(dead_code, reason = "accounts are for tests that share a server")]
#[path = "../../../operator/aws/edge/tests/aws_wire/server.rs"]
mod server;

use super::*;
use crds::LearningPlatform;
use kube::{ResourceExt, api::DeleteParams};

/// A deletion is over when nothing was seen at AWS for half a minute.
const GONE: Duration = Duration::from_secs(240);

#[tokio::test]
async fn a_platform_is_held_back_until_its_stores_at_aws_are_gone() {
    let ns = TestNamespace::create("rds").await;
    let server = server::Server::shared();
    let url = format!("http://{}", server.address());
    let (allowed, cluster) = (format!("--allowed-aws-endpoint={url}"), format!("--cluster-name={}", ns.name));
    let _operator = Operator::start(&ns, &[FLAGS, &["--aws-recheck=2s", &allowed, &cluster]].concat()).await;
    let key = rcgen::KeyPair::generate().expect("a key");
    let authority = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    put_secret(&ns, "rds", "ca.crt", &authority.pem()).await;
    let spec = json!({
        "aws": {"region": "eu-central-1", "endpoints": {"rds": url, "elasticache": url}},
        // The server takes no final snapshot of a cache.
        "caches": [{"name": "cache", "elastiCache": {
            "engineVersion": "7.2", "nodeType": "cache.t4g.small", "clusterMode": false, "deletionPolicy": "Delete",
        }}],
        "databases": [{"name": "main", "rds": {
            "instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "16", "backupRetentionDays": 1,
            "authorities": {"name": "rds", "key": "ca.crt"}, "deletionPolicy": "Delete",
        }}],
    });
    ns.apply("records", spec).await;
    let made = || async {
        let status = ns.platform("records").await.status.unwrap_or_default();
        let stores = status.caches.iter().chain(&status.databases);
        stores.filter(|store| store.aws.as_ref().is_some_and(|aws| aws.identifier.is_some())).count()
    };
    eventually("group and instance are there", SOON, made, |made| *made == 2).await;
    assert_eq!(ns.platform("records").await.finalizers(), ["learningplatform.dev/aws"]);
    // Somebody else's finalizer stays when ours goes.
    let platforms = ns.api::<LearningPlatform>();
    let theirs = json!({"metadata": {"finalizers": ["learningplatform.dev/aws", "example.com/theirs"]}});
    platforms.patch("records", &PatchParams::default(), &Patch::Merge(&theirs)).await.expect("a second finalizer");

    platforms.delete("records", &DeleteParams::default()).await.expect("the deletion begins");
    let waits = || ns.condition("records", "Ready");
    let told = |ready: &Option<(String, String, String)>| {
        ready.as_ref().is_some_and(|(_, reason, message)| {
            reason == "Deleting" && message.contains("at AWS: main") && message.contains("cache: ")
        })
    };
    eventually("it says what it waits for", SOON, waits, told).await;
    let finalizers = || async { ns.platform("records").await.finalizers().to_vec() };
    eventually("ours is gone", GONE, finalizers, |left| *left == ["example.com/theirs"]).await;
    let none = json!({"metadata": {"finalizers": null}});
    platforms.patch("records", &PatchParams::default(), &Patch::Merge(&none)).await.expect("the end");
    ns.delete().await;
}

#[tokio::test]
async fn a_cdn_is_told_of_and_goes_with_its_platform() {
    let ns = TestNamespace::create("cdn").await;
    let server = server::Server::shared();
    let url = format!("http://{}", server.address());
    let (allowed, cluster) = (format!("--allowed-aws-endpoint={url}"), format!("--cluster-name={}", ns.name));
    let _operator = Operator::start(&ns, &[FLAGS, &["--aws-recheck=2s", &allowed, &cluster]].concat()).await;
    let spec = json!({
        "aws": {"region": "eu-central-1", "endpoints": {"cloudfront": url}},
        "cdns": [{"name": "edge", "cloudFront": {
            "origins": [{"name": "web", "domain": "web.example.com"}],
            "behaviors": [{"path": "*", "origin": "web", "cachePolicy": {"managed": "CachingOptimized"}}],
            "deletionPolicy": "Delete",
        }}],
    });
    ns.apply("site", spec).await;
    let ready = || ns.condition("site", "CdnReady");
    let is_true =
        |ready: &Option<(String, String, String)>| ready.as_ref().is_some_and(|(status, ..)| status == "True");
    eventually("the distribution serves", SOON, ready, is_true).await;
    let cdn = ns.platform("site").await.status.unwrap_or_default().cdns.remove(0);
    assert!(cdn.domain_name.is_some_and(|name| name.ends_with(".cloudfront.net")));
    assert_eq!((cdn.enabled, cdn.deployed), (Some(true), Some(true)));
    assert_eq!(ns.platform("site").await.finalizers(), ["learningplatform.dev/aws"]);

    let platforms = ns.api::<LearningPlatform>();
    platforms.delete("site", &DeleteParams::default()).await.expect("the deletion begins");
    let there = || async { platforms.get_opt("site").await.expect("it answers").is_some() };
    eventually("the platform is gone", GONE, there, |there| !there).await;
    ns.delete().await;
}
