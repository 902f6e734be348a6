//! A cache at ElastiCache, from the resource to an app's login and to its end: passes, the real SDK, and a server that speaks AWS's
//! protocol. What AWS itself does with a token the server does not do: that an app's is the one that AWS was given is all that is
//! shown of it here. Nor does it keep servers: those of a cache that is scaled are real, and the proxy says where they are.

use crate::{
    cache_servers::CacheServers,
    cloud::{Cloud, is_synced, is_true, item},
    proxy::{each, field},
    world::{PLATFORM, World},
};
use ::aws::elasticache::{ElastiCache as _, Field};
use aws_edge::elasticache::SdkElastiCache;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use learningplatform_operator::{
    context::{Context, Settings},
    keeper::StoreKey,
    naming::PlatformKey,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const AUTH: &str = "/api/v1/namespaces/learning/secrets/story-cache-elasticache-auth";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-cache-elasticache-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";

/// A platform with a cache at ElastiCache.
fn spec(url: &str) -> Value {
    json!({
        "aws": { "region": "eu-central-1", "endpoints": { "elasticache": url } },
        "caches": [{ "name": "cache", "elastiCache": {
            "engineVersion": "7.2", "nodeType": "cache.t4g.small", "shards": 3, "replicasPerShard": 1,
            "parameters": { "maxmemory-policy": "allkeys-lru" },
        } }],
        "apps": [{
            "name": "web", "image": "registry.example/web:1", "port": 3000, "replicas": 1,
            "uses": { "caches": [{ "name": "cache" }] },
        }],
    })
}

fn with(change: impl FnOnce(&mut Value)) -> impl FnOnce(&str) -> Value {
    move |url: &str| {
        let mut spec = spec(url);
        change(&mut spec["caches"][0]["elastiCache"]);
        spec
    }
}

/// One shard. In cluster mode the server names no endpoint of that, as AWS would.
fn single(cache: &mut Value) {
    cache["clusterMode"] = json!(false);
    cache["shards"] = json!(1);
}

async fn truth(cloud: &Cloud) -> SdkElastiCache {
    SdkElastiCache::new(cloud.clients().await.elasticache, Timestamp::now)
}

fn cache(world: &World) -> Value {
    item(world, "caches")
}

async fn until_ready(cloud: &Cloud) {
    cloud.until("ready", |world| is_true(world, "CacheReady")).await;
    cloud.until("connections", |world| world.api.get(CONNECTIONS).is_some()).await;
}

/// As if what a change of passwords waits for by the clock had been long ago.
fn age(world: &World) {
    let long_ago = (Timestamp::now() - Duration::from_secs(600)).to_string();
    world.api.edit(AUTH, |secret| {
        for key in ["begun", "changed", "replaced"] {
            if secret["data"][key].is_string() {
                secret["data"][key] = json!(ByteString(long_ago.clone().into_bytes()));
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_given_a_cache_at_elasticache_and_a_settled_platform_is_left_alone() {
    let mut cloud = Cloud::new(spec).await;
    until_ready(&cloud).await;
    let before = truth(&cloud).await.groups().await.unwrap();
    let [group] = &*before else { panic!("{before:#?}") };
    assert!(group.token && group.is_clustered() && (group.shard_count(), group.shards[0].replicas()) == (3, 1));
    assert_eq!(group.settings.flag(Field::Tls), Some(true));
    assert_eq!(group.tags["learningplatform.dev/item"], "cache");
    let endpoint = group.endpoint.clone().unwrap();
    let token = cloud.secret(AUTH, "password").unwrap();
    let of_app = |key: &str| cloud.secret(CONNECTIONS, key).unwrap_or_else(|| panic!("no {key}"));
    let at = format!("{}:{}", endpoint.address, endpoint.port);
    assert!(of_app("REDIS_URL") == format!("rediss://:{token}@{at}"), "the URL has the token and {at}");
    assert_eq!(cloud.finalizers(), json!(["learningplatform.dev/aws"]));
    let status = cache(&cloud.world);
    assert_eq!((status["aws"]["identifier"].as_str(), status["address"].as_str()), (Some(&*group.id), Some(&*at)));
    assert!(status["deletion"].as_str().unwrap().starts_with("Snapshot:"), "{status:#}");
    let ready = cloud.world.condition("CacheReady");
    assert!(ready["message"].as_str().unwrap().contains("3 shards with 1 replica each"), "{ready}");

    cloud.until("synced", |world| is_synced(world, "caches")).await;
    cloud.world.settle(&cloud.operator).await;
    let (settled, sent) = (truth(&cloud).await.groups().await.unwrap(), cloud.changes());
    // Another process goes on with what is written down, and changes nothing.
    cloud.operator = cloud.restarted().await;
    cloud.until("ready again", |world| is_true(world, "CacheReady")).await;
    cloud.until("synced again", |world| is_synced(world, "caches")).await;
    assert_eq!((truth(&cloud).await.groups().await.unwrap(), cloud.changes()), (settled, sent));
    let told = format!("{} {}", cloud.world.api.get(PLATFORM).unwrap(), cloud.world.api.get(RECORD).unwrap());
    assert!(!told.contains(&token), "no token is in the status, nor in the record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_changed_beside_the_former_one_and_the_app_is_given_it_when_aws_takes_it() {
    let mut cloud = Cloud::new(with(single)).await;
    until_ready(&cloud).await;
    let former = cloud.secret(AUTH, "password").unwrap();
    let asked = json!({ "learningplatform.dev/rotate-passwords": "monday" });
    cloud.world.api.edit(PLATFORM, |platform| platform["metadata"]["annotations"] = asked.clone());
    let given = |cloud: &Cloud| cloud.secret(CONNECTIONS, "REDIS_PASSWORD").unwrap_or_default();
    cloud.until("a next token", |_| cloud.secret(AUTH, "next").is_some_and(|next| !next.is_empty())).await;
    let next = cloud.secret(AUTH, "next").unwrap();
    assert_eq!(given(&cloud), former, "AWS does not take the next one yet");
    // Who comes next goes on with it.
    cloud.operator = cloud.restarted().await;
    cloud
        .until("published", |world| {
            age(world);
            given(&cloud) == next
        })
        .await;
    let rotated = |record: &Value| record["data"]["AWS_MEMORY"].as_str().unwrap().contains(r#""set":false"#);
    assert!(rotated(&cloud.world.api.get(RECORD).unwrap()), "AWS takes both as long as the former one may be used");
    cloud
        .until("the only one", |world| {
            age(world);
            !rotated(&world.api.get(RECORD).unwrap())
        })
        .await;
    assert_eq!(cloud.secret(AUTH, "previous").unwrap_or_default(), "");
    assert_eq!((cloud.secret(AUTH, "password"), given(&cloud)), (Some(next.clone()), next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_logs_in_by_name_and_goes_with_the_platform_which_waits_for_the_final_snapshot() {
    let user = |cache: &mut Value| {
        single(cache);
        cache["user"] = json!({ "name": "learner", "access": "on ~app:* +@all" });
    };
    let cloud = Cloud::new(with(user)).await;
    until_ready(&cloud).await;
    let password = cloud.secret(AUTH, "password").unwrap();
    let url = cloud.secret(CONNECTIONS, "REDIS_URL").unwrap();
    assert!(url.starts_with(&format!("rediss://learner:{password}@")), "it names the user");
    let aws = truth(&cloud).await;
    let users = aws.users().await.unwrap();
    assert!(users.iter().any(|user| user.name == "learner" && user.access == "on ~app:* +@all"), "{users:#?}");

    cloud.delete();
    let waits = |world: &World| {
        let ready = world.condition("Ready");
        ready["reason"] == "Deleting" && ready["message"].as_str().is_some_and(|words| words.contains("at AWS: cache"))
    };
    cloud.until("it says what it waits for", waits).await;
    cloud.until_let_go().await;
    assert!(aws.groups().await.unwrap().is_empty());
    let left: Vec<String> = aws.users().await.unwrap().iter().map(|user| user.name.clone()).collect();
    assert!(!left.contains(&"learner".to_owned()), "{left:?}");
    let snapshots = aws.snapshots().await.unwrap();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!(snapshots[0].tags["learningplatform.dev/item"], "cache");
    assert!(cloud.world.api.get(RECORD).is_none_or(|record| record["metadata"]["finalizers"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_is_renamed_or_given_to_another_provider_waits_for_a_word() {
    let cloud = Cloud::new(with(single)).await;
    until_ready(&cloud).await;
    let before = cloud.world.api.get(PLATFORM).unwrap()["spec"].clone();
    let change = |spec: &Value| cloud.world.api.edit(PLATFORM, |platform| platform["spec"] = spec.clone());
    let mut other = before.clone();
    other["caches"][0] = json!({ "name": "cache", "external": { "address": "redis.example" } });
    let mut renamed = before.clone();
    renamed["caches"][0]["name"] = json!("answers");
    renamed["apps"][0]["uses"]["caches"][0]["name"] = json!("answers");
    for changed in [&other, &renamed] {
        change(changed);
        let waits = |world: &World| world.condition("CacheReady")["reason"] == "DataWouldBeLeftBehind";
        cloud.until("it waits", waits).await;
    }
    renamed["caches"][0]["renamedFrom"] = json!("cache");
    change(&renamed);
    until_ready(&cloud).await;
    assert_eq!(truth(&cloud).await.groups().await.unwrap().len(), 1, "it goes on with its data");
    other["abandonData"] = json!(["cache"]);
    change(&other);
    cloud.until("it is abandoned", |world| is_true(world, "CacheReady")).await;
    cloud.until("its platform is held back no more", |_| cloud.finalizers().as_array().is_none_or(Vec::is_empty)).await;
    assert_eq!(truth(&cloud).await.groups().await.unwrap().len(), 1, "and stays at AWS");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_platform_left_is_retained_in_any_cluster_and_goes_on_once_adopted() {
    let retained = |cache: &mut Value| {
        single(cache);
        cache["deletionPolicy"] = json!("Retain");
    };
    let former = Cloud::new(with(retained)).await;
    until_ready(&former).await;
    former.delete();
    former.until_let_go().await;
    let before = truth(&former).await.groups().await.unwrap();
    former.again("blue", with(retained)).await.until_retained("CacheReady").await;
    let elsewhere = former.again("green", with(retained)).await;
    elsewhere.until_retained("CacheReady").await;
    assert_eq!(truth(&former).await.groups().await.unwrap(), before, "nothing is made, and nothing changed");
    elsewhere.adopt("caches", "elastiCache");
    until_ready(&elsewhere).await;
    let after = truth(&former).await.groups().await.unwrap();
    assert_eq!((after.len(), &after[0].id), (1, &before[0].id), "it goes on with the data");
    assert_eq!(after[0].tags["learningplatform.dev/owner-uid"], "uid-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_asks_nobody_whom_the_settings_do_not_allow() {
    let mut cloud = Cloud::new(with(single)).await;
    cloud.until("a group", |world| cache(world)["aws"]["identifier"].is_string()).await;
    let settings = Settings { cluster_name: "blue".into(), ..Settings::default() };
    let stricter = Context::clone(&*cloud.restarted().await);
    cloud.operator = Arc::new(Context { settings: Arc::new(settings), ..stricter });
    cloud.delete();
    let told = |world: &World| {
        world.condition("Ready")["message"].as_str().is_some_and(|words| words.contains("--allowed-aws-endpoint"))
    };
    cloud.until("a refusal", told).await;
    let platform = PlatformKey { namespace: "learning".into(), name: "story".into() };
    let store = StoreKey { platform, object_name: "story-cache-elasticache".to_owned() };
    assert!(cloud.operator.elasticache.view(&store).is_none(), "it has no keeper");
    assert_eq!(truth(&cloud).await.groups().await.unwrap().len(), 1);
    assert_eq!(cloud.finalizers(), json!(["learningplatform.dev/aws"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_not_carried_out_and_says_no_token() {
    let cloud = Cloud::new(with(|cache| cache["mode"] = json!("Plan"))).await;
    let planned = |world: &World| {
        let plan = cache(world)["aws"]["plan"].as_array().cloned().unwrap_or_default();
        plan.iter().any(|call| call["operation"] == "CreateReplicationGroup")
    };
    cloud.until("a plan", planned).await;
    for _ in 0..5 {
        cloud.world.pass(&cloud.operator).await;
    }
    assert!(truth(&cloud).await.groups().await.unwrap().is_empty());
    let told = cache(&cloud.world);
    assert!(!told.to_string().contains(&cloud.secret(AUTH, "password").unwrap()), "no token is in the plan");
    let call = told["aws"]["plan"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(call["costs"], "6 nodes of type cache.t4g.small", "{call:#}");
}

const RESHARD: &str = "ModifyReplicationGroupShardConfiguration";

/// A cache of so many shards that nobody logs in to, on these servers.
async fn served(servers: &CacheServers, shards: u32, change: impl FnOnce(&mut Value)) -> Cloud {
    let open = |cache: &mut Value| {
        cache["shards"] = json!(shards);
        cache["replicasPerShard"] = json!(0);
        cache["transitEncryption"] = json!(false);
        change(cache);
    };
    let cloud = Cloud::new(with(open)).await;
    let (port, slots) = (servers.port(), servers.slots());
    cloud.proxy.rewrite(move |operation, content| {
        if operation != "DescribeReplicationGroups" {
            return content;
        }
        let endpoint = format!("<Address>127.0.0.1</Address><Port>{port}</Port>");
        let content = each(&content, "ConfigurationEndpoint", |_| endpoint.clone());
        each(&content, "NodeGroup", |shard| {
            let id = |number: usize| format!("<NodeGroupId>{number:04}</NodeGroupId>");
            let owned = (1..).zip(&slots).find(|(number, _)| shard.contains(&id(*number)));
            let (number, owned) = owned.unwrap_or_else(|| panic!("no shard of the servers: {shard}"));
            let told = format!("{}<Slots>{owned}</Slots>", id(number));
            shard.replacen(&id(number), &told, 1)
        })
    });
    cloud
}

/// The same operator, of which sizes may change at once.
async fn impatient(cloud: &Cloud) -> Arc<Context> {
    let context = Context::clone(&*cloud.restarted().await);
    let mut settings = Settings::clone(&context.settings);
    settings.tunables.tier_spacing = decide::Duration::from_secs(1);
    Arc::new(Context { settings: Arc::new(settings), ..context })
}

fn edit(cloud: &Cloud, change: impl Fn(&mut Value)) {
    cloud.world.api.edit(PLATFORM, |platform| {
        change(&mut platform["spec"]["caches"][0]["elastiCache"]);
        platform["metadata"]["generation"] = json!(platform["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
    });
}

/// What was asked of shards: how many there shall be, as it is on the wire.
fn asked(cloud: &Cloud) -> Vec<String> {
    let log = cloud.proxy.log().into_iter().filter(|one| one.operation == RESHARD);
    log.map(|one| field(&one.form, "NodeGroupCount").unwrap_or_default()).collect()
}

fn planned(world: &World) -> bool {
    let plan = cache(world)["aws"]["plan"].as_array().cloned().unwrap_or_default();
    plan.iter().any(|call| call["operation"] == RESHARD)
}

fn needs_consent(world: &World) -> bool {
    let conditions = cache(world)["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "NeedsConsent" || condition["reason"] == "NeedsConsent")
}

#[tokio::test(flavor = "multi_thread")]
async fn full_servers_get_a_shard_which_a_plan_only_shows() {
    let servers = CacheServers::start(3);
    servers.fill(40);
    let cloud = served(&servers, 3, |cache| cache["scaling"] = json!({ "maxShards": 4 })).await;
    until_ready(&cloud).await;
    cloud.until("synced", |world| is_synced(world, "caches")).await;
    edit(&cloud, |cache| cache["mode"] = json!("Plan"));
    servers.fill(93);
    cloud.until("a plan", planned).await;
    let told = cache(&cloud.world)["scaling"].as_str().unwrap_or_default().to_owned();
    assert!(
        told.starts_with("4 shards with 0 replicas each since ") && told.contains("of the memory is used"),
        "{told}"
    );
    assert_eq!(asked(&cloud), Vec::<String>::new(), "a plan is not carried out");
    edit(&cloud, |cache| cache["mode"] = json!("Apply"));
    cloud.until("a shard more", |_| asked(&cloud).first().is_some_and(|count| count == "4")).await;
    assert_eq!(cloud.world.api.get(RECORD).unwrap()["data"]["SHARDS"], "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_goes_without_a_word_when_its_servers_say_that_the_others_have_room() {
    let servers = CacheServers::start(4);
    servers.fill(93);
    let mut cloud = served(&servers, 4, |_| {}).await;
    until_ready(&cloud).await;
    cloud.until("synced", |world| is_synced(world, "caches")).await;
    cloud.operator = impatient(&cloud).await;
    // As if it had grown by load.
    edit(&cloud, |cache| {
        cache["shards"] = json!(3);
        cache["scaling"] = json!({ "maxShards": 4 });
    });
    cloud.world.api.edit(RECORD, |record| {
        record["data"]["SHARDS"] = json!("4");
        record["data"]["REPLICAS"] = json!("0");
        record["data"]["SCALED_SINCE"] = json!("2026-01-01T00:00:00Z");
        record["data"]["SCALED_WHY"] = json!("it was full");
    });
    let told = |world: &World| cache(world)["scaling"].as_str().is_some_and(|told| told.starts_with("4 shards"));
    cloud.until("as many as were recorded", told).await;
    assert_eq!(asked(&cloud), Vec::<String>::new());
    servers.fill(20);
    cloud.until("a shard less", |_| asked(&cloud).first().is_some_and(|count| count == "3")).await;
    assert!(!needs_consent(&cloud.world), "{:#}", cache(&cloud.world));
    assert_eq!(cloud.world.api.get(RECORD).unwrap()["data"]["SHARDS"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_does_not_go_without_a_word_while_nobody_knows_how_full_it_is() {
    let servers = CacheServers::start(4);
    servers.fill(20);
    let cloud = served(&servers, 4, |_| {}).await;
    until_ready(&cloud).await;
    cloud.until("synced", |world| is_synced(world, "caches")).await;
    let platform = PlatformKey { namespace: "learning".into(), name: "story".into() };
    let store = StoreKey { platform, object_name: "story-cache-elasticache".to_owned() };
    let known = |cloud: &Cloud| cloud.operator.elasticache_servers.figures(&store).map(|it| it.usage.len());
    cloud.until("all is known", |_| known(&cloud) == Some(4)).await;
    drop(servers);
    cloud.until("nothing is known", |_| known(&cloud) == Some(0)).await;
    edit(&cloud, |cache| cache["shards"] = json!(3));
    cloud.until("a plan", planned).await;
    cloud.until("a question", needs_consent).await;
    for _ in 0..5 {
        cloud.world.pass(&cloud.operator).await;
    }
    assert_eq!(asked(&cloud), Vec::<String>::new());
    edit(&cloud, |cache| cache["allow"] = json!(["RemoveShardsUnchecked"]));
    cloud.until("a shard less", |_| asked(&cloud).first().is_some_and(|count| count == "3")).await;
}
