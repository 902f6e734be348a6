//! CDNs, from the resource to a distribution and to its end: passes, the real SDK, and a server that speaks AWS's protocol.

use crate::{
    edge::{Edge, asked_at, cdn, example, put_secret, small},
    proxy::Lasting,
    seven_p::{self, SECRET},
    world::{PLATFORM, World, find},
};
use ::aws::{
    Tags,
    cloudfront::{Call, CloudFront as _, Element},
};
use aws_edge::cloudfront::Source as _;
use learningplatform_operator::{
    context::{Context, Settings},
    keeper::StoreKey,
    naming::PlatformKey,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Arc, Mutex},
};

const HELD: &str = "learningplatform.dev/aws";

/// Where the record of a CDN is.
fn record(cdn: &str) -> String {
    format!("/api/v1/namespaces/learning/configmaps/story-{cdn}-cloudfront-record")
}

/// The patterns of a distribution's behaviours, in their order.
fn patterns(config: &Element) -> Vec<String> {
    let items = config.get("CacheBehaviors").map(Element::items).unwrap_or_default();
    items.iter().filter_map(|one| one.value("PathPattern")).map(str::to_owned).collect()
}

/// The ids of its origins.
fn origins(config: &Element) -> BTreeSet<String> {
    let items = config.get("Origins").map(Element::items).unwrap_or_default();
    items.iter().filter_map(|one| one.value("Id")).map(str::to_owned).collect()
}

/// A platform of the examples is applied, deployed, and left alone from then on, also by another process.
async fn is_applied_and_left_alone(file: &str) -> Edge {
    let spec = example(file);
    let wished = spec["cdns"][0]["cloudFront"].clone();
    let mut edge = Edge::new(spec).await;
    edge.until_synced().await;
    let texts = |list: &Value, key: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
    };
    let made = edge.only().await;
    let mut expected = texts(&wished["behaviors"], "path");
    expected.retain(|path| path != "*");
    assert_eq!(patterns(&made.config), expected, "{file}");
    assert_eq!(origins(&made.config), texts(&wished["origins"], "name").into_iter().collect(), "{file}");
    let status = cdn(&edge.cloud.world);
    assert_eq!(status["aws"]["identifier"], made.id, "{status:#}");
    assert_eq!((&status["domainName"], &status["enabled"]), (&json!(made.domain_name), &json!(true)), "{status:#}");
    assert_eq!(status["hostedZoneId"], "Z2FDTNDATAQYW2");
    assert_eq!(status["aws"]["plan"], Value::Null, "{status:#}");
    let buckets: BTreeSet<&str> = wished["origins"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|origin| !origin["s3"].is_null())
        .filter_map(|origin| origin["name"].as_str())
        .collect();
    let told = status["bucketPolicies"].as_array().cloned().unwrap_or_default();
    let told: BTreeSet<&str> = told.iter().filter_map(|policy| policy["origin"].as_str()).collect();
    assert_eq!(told, buckets, "{status:#}");
    assert_eq!(edge.cloud.finalizers(), json!([HELD]));

    edge.cloud.world.settle(&edge.cloud.operator).await;
    let (before, sent) = (edge.all().await, edge.cloud.proxy.writes());
    edge.cloud.operator = edge.cloud.restarted().await;
    // A new process knows nothing before it has asked.
    let key = StoreKey {
        platform: PlatformKey { namespace: "learning".into(), name: "story".into() },
        object_name: format!("story-{}-cloudfront", cdn(&edge.cloud.world)["name"].as_str().unwrap()),
    };
    let operator = edge.cloud.operator.clone();
    edge.cloud.until("asked again", move |_| operator.cloudfront.view(&key).is_some()).await;
    edge.until_synced().await;
    edge.cloud.world.settle(&edge.cloud.operator).await;
    assert_eq!((edge.all().await, edge.cloud.proxy.writes()), (before, sent), "{file}");
    edge
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_platforms_distribution_is_made_and_left_alone() {
    is_applied_and_left_alone("story.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seven_p_platforms_distribution_is_its_guides_table_at_aws() {
    let edge = is_applied_and_left_alone("seven-p.yaml").await;
    let config = edge.only().await.config;
    seven_p::is_the_table(&config, &edge.certificate());
    // What all answers bear is in a policy beside it.
    let id = seven_p::at(&config, &["CacheBehaviors", "PathPattern=/static/*", "ResponseHeadersPolicyId"]);
    let policy = edge.clients.cloudfront.get_response_headers_policy().id(id).send().await.unwrap();
    let policy = policy.response_headers_policy.unwrap().response_headers_policy_config.unwrap();
    let transport = policy.security_headers_config.unwrap().strict_transport_security.unwrap();
    assert_eq!((transport.access_control_max_age_sec, transport.preload), (63_072_000, Some(true)));
    let custom = policy.custom_headers_config.unwrap().items.unwrap_or_default();
    let found: BTreeSet<_> = custom.iter().map(|header| (header.header.as_str(), header.value.as_str())).collect();
    let immutable = ("Cache-Control", "public, max-age=31536000, immutable");
    assert_eq!(found, BTreeSet::from([immutable, ("X-DNS-Prefetch-Control", "on")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_solidity_platforms_distribution_is_made_and_left_alone() {
    is_applied_and_left_alone("solidity.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ten_k_platforms_distribution_is_made_and_left_alone() {
    let edge = is_applied_and_left_alone("ten-k.yaml").await;
    let warnings = cdn(&edge.cloud.world)["warnings"].clone();
    let [warning] = &warnings.as_array().unwrap()[..] else { panic!("{warnings}") };
    assert!(warning.as_str().unwrap().starts_with("origins[streaming]: "), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ai_skills_platforms_distribution_is_made_and_left_alone() {
    is_applied_and_left_alone("ai-skills.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_is_ready_once_it_is_at_all_edges_and_serves_on_while_a_change_is_on_its_way() {
    let edge = Edge::new(small()).await;
    let lasting = |operation| Lasting { operation, status: "InProgress", looks: 3 };
    edge.cloud.proxy.lasting(&["CreateDistributionWithTags", "UpdateDistribution"].map(lasting));
    let is_on_its_way = |world: &World, ready: &str| {
        let cdn = cdn(world);
        let condition = |type_: &str| find(&cdn["conditions"], type_);
        cdn["deployed"] == false
            && condition("Deploying")["status"] == "True"
            && condition("CdnReady")["status"] == ready
    };
    edge.cloud.until("a new one is on its way", |world| is_on_its_way(world, "False")).await;
    assert_eq!(edge.cloud.world.condition("Ready")["status"], "False");
    edge.cloud.until("no app waits for it", World::is_ready).await;
    edge.until_synced().await;
    edge.edit(|spec| spec["cdns"][0]["cloudFront"]["comment"] = json!("academy"));
    edge.cloud.until("a change is on its way", |world| is_on_its_way(world, "True")).await;
    edge.until_synced().await;
    assert_eq!(edge.only().await.config.value("Comment"), Some("academy"));
    assert_eq!(edge.cloud.proxy.sent("UpdateDistribution").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_platform_leaves_its_distribution_serving_and_is_let_go() {
    let edge = Edge::new(small()).await;
    edge.until_synced().await;
    let deletion = cdn(&edge.cloud.world)["deletion"].clone();
    assert!(deletion.as_str().unwrap().starts_with("Retain:"), "{deletion}");
    let before = edge.all().await;
    edge.cloud.delete();
    edge.cloud.until_let_go().await;
    assert_eq!(edge.all().await, before);
    assert!(before.0[0].is_enabled());
    let kept = edge.cloud.world.api.get(&record("edge")).expect("what is left is known");
    assert!(kept["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_platform_left_is_retained_in_any_cluster_and_goes_on_once_adopted() {
    let former = Edge::new(small()).await;
    former.until_synced().await;
    former.cloud.delete();
    former.cloud.until_let_go().await;
    let before = former.all().await;
    let edge = Edge::of(former.cloud.again("green", |url| asked_at(small(), url)).await, &small()).await;
    edge.cloud.until("retained", |world| world.condition("CdnReady")["reason"] == "Retained").await;
    edge.cloud.until("no app waits for it", World::is_ready).await;
    for _ in 0..5 {
        edge.cloud.world.pass(&edge.cloud.operator).await;
    }
    assert_eq!(edge.all().await, before, "nothing is made, and nothing changed");
    edge.cloud.adopt("cdns", "cloudFront");
    edge.until_synced().await;
    let after = edge.only().await;
    assert_eq!(after.id, before.0[0].id);
    let tags = edge.truth.tags(&after.arn).await.unwrap().unwrap();
    assert_eq!(tags["learningplatform.dev/owner-uid"], "uid-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_whose_policy_is_delete_waits_until_its_distribution_is_gone() {
    let mut spec = small();
    spec["cdns"][0]["cloudFront"]["deletionPolicy"] = json!("Delete");
    let edge = Edge::new(spec).await;
    edge.until_synced().await;
    edge.cloud.delete();
    let waits = |world: &World| {
        let ready = world.condition("Ready");
        ready["reason"] == "Deleting" && ready["message"].as_str().is_some_and(|words| words.contains("at AWS: edge"))
    };
    edge.cloud.until("it says what it waits for", waits).await;
    edge.cloud.until_let_go().await;
    assert_eq!(edge.all().await, (Vec::new(), Vec::new()));
    assert!(edge.cloud.world.api.get(&record("edge")).is_none(), "nothing is left to know");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_removed_is_seen_to_and_holds_nothing_back() {
    let mut spec = small();
    let mut second = spec["cdns"][0].clone();
    second["name"] = json!("beside");
    second["cloudFront"]["comment"] = json!("beside");
    second["cloudFront"]["deletionPolicy"] = json!("Delete");
    spec["cdns"].as_array_mut().unwrap().push(second);
    let edge = Edge::new(spec).await;
    let both = |world: &World| {
        let cdns = world.api.get(PLATFORM).unwrap()["status"]["cdns"].as_array().cloned().unwrap_or_default();
        cdns.len() == 2 && cdns.iter().all(|cdn| find(&cdn["conditions"], "Synced")["status"] == "True")
    };
    edge.cloud.until("both", both).await;
    assert_eq!(edge.distributions().await.len(), 2);
    edge.edit(|spec| spec["cdns"] = json!([]));
    let told = |world: &World| {
        let ready = world.condition("CdnReady");
        ready["status"] == "False" && ready["message"].as_str().is_some_and(|words| words.contains("beside is no item"))
    };
    edge.cloud.until("it says what it waits for", told).await;
    let gone = |world: &World| ["edge", "beside"].iter().all(|cdn| world.api.get(&record(cdn)).is_none());
    edge.cloud.until("their records are gone", gone).await;
    edge.cloud.until_let_go().await;
    let left = edge.only().await;
    assert_eq!((left.config.value("Comment"), left.is_enabled()), (Some("school"), true));
    assert_eq!(edge.cloud.world.condition("CdnReady"), Value::Null);
    // Put back, it is found again by its tags, and goes on.
    edge.edit(|spec| spec["cdns"] = small()["cdns"].clone());
    edge.until_synced().await;
    assert_eq!(edge.only().await.id, left.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_settings_allow_is_asked_and_a_plan_is_not_carried_out() {
    let mut spec = small();
    spec["cdns"][0]["cloudFront"]["mode"] = json!("Plan");
    let mut edge = Edge::new(spec).await;
    let planned = |world: &World| {
        let plan = cdn(world)["aws"]["plan"].as_array().cloned().unwrap_or_default();
        plan.iter().any(|call| call["operation"] == "CreateDistributionWithTags")
    };
    edge.cloud.until("a plan", planned).await;
    for _ in 0..5 {
        edge.cloud.world.pass(&edge.cloud.operator).await;
    }
    assert_eq!(edge.all().await, (Vec::new(), Vec::new()));

    let settings = Settings { cluster_name: "blue".into(), ..Settings::default() };
    let stricter = Context::clone(&*edge.cloud.restarted().await);
    edge.cloud.operator = Arc::new(Context { settings: Arc::new(settings), ..stricter });
    edge.edit(|spec| spec["cdns"][0]["cloudFront"]["mode"] = json!("Apply"));
    let refused = |world: &World| {
        let ready = world.condition("CdnReady");
        let words = ready["message"].as_str().unwrap_or_default();
        ready["reason"] == "InvalidSpec" && words.contains("aws.endpoints.cloudfront")
    };
    edge.cloud.until("a refusal", refused).await;
    let web = "/apis/apps/v1/namespaces/learning/deployments/story-web";
    assert!(edge.cloud.world.api.get(web).is_some(), "nothing else is held up");
    for _ in 0..5 {
        edge.cloud.world.pass(&edge.cloud.operator).await;
    }
    assert_eq!(edge.all().await, (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_acm_has_not_issued_holds_its_distribution_back_and_says_what_dns_lacks() {
    let mut spec = small();
    let item = &mut spec["cdns"][0]["cloudFront"];
    item["aliases"] = json!(["learn.school.example"]);
    item["certificate"] = json!({ "arn": "arn:aws:acm:us-east-1:123456789012:certificate/of-the-example" });
    let edge = Edge::new(spec).await;
    edge.cloud.proxy.rewrite(|operation, content| match operation {
        "DescribeCertificate" => {
            content.replace("\"ISSUED\"", "\"PENDING_VALIDATION\"").replace("\"SUCCESS\"", "\"PENDING_VALIDATION\"")
        }
        _ => content,
    });
    let told = |world: &World| {
        let cdn = cdn(world);
        let lacks =
            |text: &Value| text.as_str().is_some_and(|words| words.contains("_acme-challenge.learn.school.example."));
        let (ready, synced) = (find(&cdn["conditions"], "CdnReady"), find(&cdn["conditions"], "Synced"));
        ready["reason"] == "DependencyNotReady"
            && lacks(&ready["message"])
            && (&synced["status"], &synced["reason"]) == (&json!("False"), &json!("DependencyNotReady"))
            && lacks(&cdn["certificate"])
    };
    edge.cloud.until("it says what DNS lacks", told).await;
    edge.cloud.until("no app waits for it", World::is_ready).await;
    assert!(edge.distributions().await.is_empty());
    edge.cloud.proxy.rewrite(|_, content| content);
    edge.until_synced().await;
    let issued = cdn(&edge.cloud.world);
    assert!(
        issued["certificate"].as_str().is_some_and(|words| words.starts_with("issued, valid until ")),
        "{issued:#}"
    );
    let named = seven_p::at(&edge.only().await.config, &["ViewerCertificate", "ACMCertificateArn"]);
    assert_eq!(named, edge.certificate());
}

/// What is written, for many writers.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// On one thread, so that all of the log is seen.
#[tokio::test]
async fn what_the_edges_send_along_is_told_nowhere_and_without_it_nothing_is_made() {
    let page = Page::default();
    let writer = page.clone();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    // While there is but one, the thread that comes by a line first decides whether it is wanted.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _log = tracing::subscriber::set_default(log.with_writer(move || writer.clone()).finish());
    let edge = Edge::new(small()).await;
    edge.cloud.world.api.remove("/api/v1/namespaces/learning/secrets/edge");
    let lacks = |world: &World| {
        let ready = find(&cdn(world)["conditions"], "CdnReady");
        ready["reason"] == "NotFound" && ready["message"].as_str().is_some_and(|words| words.contains("Secret edge"))
    };
    edge.cloud.until("the Secret is missing", lacks).await;
    edge.cloud.until("no app waits for it", World::is_ready).await;
    assert!(edge.distributions().await.is_empty());
    put_secret(&edge.cloud.world, "edge", "verify", &format!("{SECRET}\n"));
    edge.until_synced().await;
    let sent = seven_p::at(
        &edge.only().await.config,
        &["Origins", "Id=web", "CustomHeaders", "HeaderName=X-Origin-Verify", "HeaderValue"],
    );
    assert_eq!(sent, SECRET);
    // Another one is another configuration, of which the plan tells.
    put_secret(&edge.cloud.world, "edge", "verify", "the-next-secret");
    let before = edge.only().await.etag;
    let planned = |world: &World| cdn(world)["aws"]["plan"].as_array().is_some_and(|plan| !plan.is_empty());
    edge.cloud.until("a change", planned).await;
    let plan = cdn(&edge.cloud.world).to_string();
    edge.until_synced().await;
    assert_ne!(edge.only().await.etag, before);
    let log = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("to AWS"), "the log is seen");
    let told = format!("{plan} {:?} {log} {}", edge.cloud.world.api.dump(), edge.cloud.world.api.events().join(" "));
    // What the Secret itself has is in base64.
    for secret in [SECRET, "the-next-secret"] {
        assert!(!told.contains(secret), "{:?}", told.find(secret).map(|at| &told[at.saturating_sub(200)..at]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_somebody_elses_distribution_comes_and_goes_and_the_rest_stays() {
    let mut spec = small();
    let item = &mut spec["cdns"][0]["cloudFront"];
    item["behaviors"][0]["path"] = json!("/learn/*");
    item["invalidateAfter"] = json!([{ "app": "web", "paths": ["/learn/*"] }]);
    item.as_object_mut().unwrap().remove("comment");
    let edge = Edge::new(spec).await;
    let behavior = "<TargetOriginId>shop</TargetOriginId><ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy>\
                    <CachePolicyId>658327ea-f89d-4fab-a63d-7e88639e58f6</CachePolicyId>";
    let theirs = format!(
        "<DistributionConfig><CallerReference>theirs</CallerReference><Aliases><Quantity>0</Quantity></Aliases><Origins>\
         <Quantity>1</Quantity><Items><Origin><Id>shop</Id><DomainName>shop.example.com</DomainName><CustomOriginConfig>\
         <HTTPPort>80</HTTPPort><HTTPSPort>443</HTTPSPort><OriginProtocolPolicy>https-only</OriginProtocolPolicy>\
         </CustomOriginConfig></Origin></Items></Origins><DefaultCacheBehavior>{behavior}</DefaultCacheBehavior><CacheBehaviors>\
         <Quantity>1</Quantity><Items><CacheBehavior><PathPattern>/shop/*</PathPattern>{behavior}</CacheBehavior></Items>\
         </CacheBehaviors><Comment>theirs</Comment><Enabled>true</Enabled></DistributionConfig>"
    );
    let theirs = Element::parse(&theirs).unwrap();
    let call = Call::Create { reference: "theirs".into(), config: theirs, tags: Tags::new() };
    edge.truth.send(&call).await.unwrap();
    let before = edge.only().await;
    edge.edit(|spec| spec["cdns"][0]["cloudFront"]["distributionId"] = json!(before.id));
    edge.until_synced().await;
    let with = edge.only().await;
    assert_eq!(patterns(&with.config), ["/shop/*", "/learn/*"], "ours come after theirs");
    assert_eq!(origins(&with.config).len(), 2);
    assert_eq!(
        (with.config.value("Comment"), cdn(&edge.cloud.world)["aws"]["identifier"].as_str()),
        (Some("theirs"), Some(&*before.id))
    );
    edge.cloud.delete();
    edge.cloud.until_let_go().await;
    let after = edge.only().await;
    assert_eq!(after.config.to_xml(), before.config.to_xml(), "nothing else was touched");
    assert_eq!(edge.truth.companions().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edges_forget_pages_once_after_each_rollout() {
    let edge = Edge::new(small()).await;
    edge.until_synced().await;
    edge.cloud.world.settle(&edge.cloud.operator).await;
    // Where the app was rolled out after the distribution was made, that is the first.
    let first = edge.invalidations().await.len();
    edge.edit(|spec| spec["apps"][0]["image"] = json!("registry.example/web:2"));
    let is_written_down = |world: &World| {
        let record = world.api.get(&record("edge")).unwrap();
        let memory: Value = serde_json::from_str(record["data"]["AWS_MEMORY"].as_str().unwrap()).unwrap();
        memory["invalidated"]["web"].as_str().is_some_and(|revision| revision.ends_with("/2"))
    };
    edge.cloud.until("an invalidation", is_written_down).await;
    edge.cloud.world.settle(&edge.cloud.operator).await;
    let all = edge.invalidations().await;
    assert_eq!(all.len(), first + 1, "{all:?}");
    assert!(
        all.contains(&vec!["/".to_owned(), "/courses/*".to_owned()]),
        "what another path covers is not paid for: {all:?}"
    );
}
