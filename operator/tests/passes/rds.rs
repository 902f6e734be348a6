//! A database at RDS, from the resource to an app's login and to its end: passes, the real SDK, a server that speaks AWS's protocol,
//! and a real PostgreSQL behind the endpoint that it names.

use crate::{
    cloud::{Cloud, is_synced, is_true, item},
    postgres_server::PostgresServer,
    world::{PLATFORM, World},
};
use ::aws::rds::Rds as _;
use aws_edge::rds::SdkRds;
use learningplatform_operator::{
    context::{Context, Settings},
    keeper::StoreKey,
    naming::PlatformKey,
};
use serde_json::{Value, json};
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex},
};

const AUTH: &str = "/api/v1/namespaces/learning/secrets/story-main-rds-auth";
const RECORD: &str = "/api/v1/namespaces/learning/configmaps/story-main-rds-record";
const CONNECTIONS: &str = "/api/v1/namespaces/learning/secrets/story-web-connections";

/// A platform with a database at RDS, whose server listens on `port`.
fn spec(url: &str, port: u16) -> Value {
    json!({
        "aws": { "region": "eu-central-1", "endpoints": { "rds": url } },
        "databases": [{ "name": "main", "rds": {
            "instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "16", "port": port,
            "backupRetentionDays": 1, "readReplicas": 1, "maxReadReplicas": 2,
            "authorities": { "name": "rds-authorities", "key": "global-bundle.pem" },
        } }],
        "apps": [{
            "name": "web", "image": "registry.example/web:1", "port": 3000, "replicas": 1,
            "uses": { "databases": [{ "name": "main" }] },
        }],
    })
}

/// A platform with a database, and the server behind its endpoint.
struct Bench {
    cloud: Cloud,
    postgres: PostgresServer,
}

impl Deref for Bench {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Value)) -> Self {
        let postgres = PostgresServer::new("localhost");
        let platform = |url: &str| {
            let mut spec = spec(url, postgres.port());
            change(&mut spec);
            spec
        };
        let cloud = Cloud::new(platform).await;
        trust(&cloud, &postgres);
        Self { cloud, postgres }
    }

    /// What there is at AWS.
    async fn truth(&self) -> SdkRds {
        SdkRds::new(self.clients().await.rds)
    }

    /// Until the database serves. Its server starts as soon as the administrator's password is known, as AWS would have it.
    async fn until_ready(&mut self) {
        self.until("a password", |world| world.api.get(AUTH).is_some()).await;
        let password = self.secret(AUTH, "operatorPassword").expect("it is made");
        self.postgres.start(&password);
        self.until("ready", |world| is_true(world, "DatabaseReady")).await;
    }
}

/// Gives a cluster the authority that the server is known by.
fn trust(cloud: &Cloud, postgres: &PostgresServer) {
    cloud.world.api.put(
        "/api/v1/namespaces/learning/secrets/rds-authorities",
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "rds-authorities", "namespace": "learning" },
            "data": { "global-bundle.pem": k8s_openapi::ByteString(postgres.authority()) },
        }),
    );
}

fn database(world: &World) -> Value {
    item(world, "databases")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_logs_in_to_a_database_at_rds_and_a_settled_platform_is_left_alone() {
    let mut cloud = Bench::new(|_| {}).await;
    cloud.until_ready().await;
    cloud.until("connections", |world| world.api.get(CONNECTIONS).is_some()).await;
    let url = cloud.secret(CONNECTIONS, "DATABASE_URL").expect("the app is given it");
    assert!(
        url.contains("@localhost:") && url.contains("sslmode=verify-full"),
        "{}",
        url.split('@').next_back().unwrap()
    );
    let replica = cloud.secret(CONNECTIONS, "DATABASE_REPLICA_2_URL").expect("numbered addresses are there");
    assert!(replica.contains("@story-main-rds-ro-2.learning.svc:") && replica.contains("sslmode=verify-ca"));
    let (user, password) = (cloud.secret(AUTH, "username").unwrap(), cloud.secret(AUTH, "password").unwrap());
    cloud.postgres.can_log_in(&user, &password, "app");
    assert_eq!(cloud.finalizers(), json!(["learningplatform.dev/aws"]));
    let status = database(&cloud.world);
    assert!(status["aws"]["identifier"].as_str().unwrap().starts_with("lp-story-main-"), "{status:#}");
    assert!(status["deletion"].as_str().unwrap().starts_with("Snapshot:"), "{status:#}");

    cloud.until("synced", |world| is_synced(world, "databases")).await;
    cloud.world.settle(&cloud.operator).await;
    let before = cloud.truth().await.instances().await.unwrap();
    assert_eq!(before.len(), 2, "a primary and its replica");
    let sent = cloud.changes();
    // Another process goes on with what is written down, and changes nothing.
    cloud.operator = cloud.restarted().await;
    cloud.until("ready again", |world| is_true(world, "DatabaseReady")).await;
    assert_eq!((cloud.truth().await.instances().await.unwrap(), cloud.changes()), (before, sent));
    let told = format!("{} {}", cloud.world.api.get(PLATFORM).unwrap(), cloud.world.api.get(RECORD).unwrap());
    for word in ["operatorPassword", "password"] {
        let secret = cloud.secret(AUTH, word).unwrap();
        assert!(!told.contains(&secret), "no password is in the status, nor in the record");
    }
}

/// What AWS says of the instances, with the replicas at a server of their own, and by another spelling of its name.
fn replicas_at(port: u16) -> impl Fn(&str, String) -> String {
    move |operation, body| {
        if operation != "DescribeDBInstances" {
            return body;
        }
        let instances = body.split_inclusive("</DBInstance>").map(|instance| {
            if instance.contains("<ReadReplicaSourceDBInstanceIdentifier></") {
                return instance.to_owned();
            }
            let (before, rest) = instance.split_once("<Address>localhost</Address>").unwrap_or((instance, ""));
            let (_, after) = rest.split_once("</Port>").unwrap_or_default();
            match after {
                "" => instance.to_owned(),
                after => format!("{before}<Address>Localhost</Address><Port>{port}</Port>{after}"),
            }
        });
        instances.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_replicas_follow_the_load_and_readers_leave_one_before_it_goes() {
    const SECOND: &str = "/api/v1/namespaces/learning/services/story-main-rds-ro-2";
    let mut cloud = Bench::new(|spec| {
        spec["databases"][0]["rds"]["readReplicaScaling"] = json!({ "statementsPerReplica": 1 });
    })
    .await;
    cloud.until("a password", |world| world.api.get(AUTH).is_some()).await;
    let password = cloud.secret(AUTH, "operatorPassword").expect("it is made");
    cloud.postgres.start(&password);
    let replica = cloud.postgres.replica();
    cloud.proxy.rewrite(replicas_at(replica.port()));
    cloud.until("ready", |world| is_true(world, "DatabaseReady")).await;
    let leads = |world: &World| world.api.get(SECOND).map(|service| service["spec"]["externalName"].clone());
    assert_eq!(leads(&cloud.world), Some(json!("localhost")), "there is one replica, and two addresses");

    // Of what touches no table a server counts no time.
    let statements = "SELECT pg_sleep(1) FROM pg_class LIMIT 1;\n".repeat(600);
    let busy: Vec<_> = (0..3).map(|_| replica.keep_busy("app", &statements)).collect();
    cloud.until("another replica", |world| leads(world) == Some(json!("Localhost"))).await;
    let told = database(&cloud.world)["scaling"].as_str().unwrap_or_default().to_owned();
    assert!(told.starts_with("2 read replicas since "), "{told}");
    assert_eq!(cloud.proxy.done("CreateDBInstanceReadReplica").len(), 2);
    drop(busy);

    let (api, led) = (cloud.world.api.clone(), Arc::new(Mutex::new(None)));
    let noted = led.clone();
    cloud.proxy.first("DeleteDBInstance", move || async move {
        *noted.lock().unwrap() = api.get(SECOND).map(|service| service["spec"]["externalName"].clone());
    });
    // The load is no longer what decides.
    cloud.world.api.edit(PLATFORM, |platform| {
        platform["spec"]["databases"][0]["rds"].as_object_mut().unwrap().remove("readReplicaScaling");
    });
    cloud.until("one replica less", |_| !cloud.proxy.done("DeleteDBInstance").is_empty()).await;
    let led = led.lock().unwrap().take();
    assert_eq!(led, Some(json!("localhost")), "it is there for those that it still answers");
    let gone = cloud.proxy.done("DeleteDBInstance");
    assert!(gone[0].ends_with("-r1"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_platform_waits_for_the_final_snapshot_and_the_end_of_its_instances() {
    // The server goes on to list a replica that is gone: without one.
    let mut cloud = Bench::new(|spec| spec["databases"][0]["rds"]["readReplicas"] = json!(0)).await;
    cloud.until_ready().await;
    cloud.delete();
    cloud.until_let_go().await;
    let truth = cloud.truth().await;
    assert!(truth.instances().await.unwrap().is_empty());
    let snapshots = truth.snapshots().await.unwrap();
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    assert_eq!(snapshots[0].tags["learningplatform.dev/item"], "main");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_platform_left_is_retained_in_any_cluster_and_goes_on_once_adopted() {
    let retained = |rds: &mut Value| {
        rds["readReplicas"] = json!(0);
        rds["deletionPolicy"] = json!("Retain");
    };
    let mut former = Bench::new(|spec| retained(&mut spec["databases"][0]["rds"])).await;
    former.until_ready().await;
    let (user, password) = (former.secret(AUTH, "username").unwrap(), former.secret(AUTH, "password").unwrap());
    former.postgres.can_log_in(&user, &password, "app");
    former.delete();
    former.until_let_go().await;
    let before = former.truth().await.instances().await.unwrap();
    let again = |url: &str| {
        let mut spec = spec(url, former.postgres.port());
        retained(&mut spec["databases"][0]["rds"]);
        spec
    };
    for cluster in ["blue", "green"] {
        let elsewhere = former.again(cluster, again).await;
        trust(&elsewhere, &former.postgres);
        elsewhere.until_retained("DatabaseReady").await;
        assert_eq!(former.truth().await.instances().await.unwrap(), before, "nothing is made, and nothing changed");
        if cluster == "blue" {
            continue;
        }
        elsewhere.adopt("databases", "rds");
        elsewhere.until("a password", |world| world.api.get(AUTH).is_some()).await;
        // As AWS would: the server behind its double does not hear of it.
        former.postgres.set_password(&elsewhere.secret(AUTH, "operatorPassword").expect("it is made"));
        elsewhere.until("ready", |world| is_true(world, "DatabaseReady")).await;
        let after = former.truth().await.instances().await.unwrap();
        assert_eq!((after.len(), &after[0].id), (1, &before[0].id), "it goes on with the data");
        assert_eq!(after[0].tags["learningplatform.dev/owner-uid"], "uid-2");
        elsewhere.until("connections", |world| world.api.get(CONNECTIONS).is_some()).await;
        let password = elsewhere.secret(AUTH, "password").unwrap();
        former.postgres.can_log_in(&elsewhere.secret(AUTH, "username").unwrap(), &password, "app");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_asks_nobody_whom_the_settings_do_not_allow() {
    let mut cloud = Bench::new(|spec| spec["databases"][0]["rds"]["readReplicas"] = json!(0)).await;
    cloud.until("an instance", |world| database(world)["aws"]["identifier"].is_string()).await;
    let settings = Settings { cluster_name: "blue".into(), ..Settings::default() };
    let stricter = Context::clone(&*cloud.restarted().await);
    cloud.operator = Arc::new(Context { settings: Arc::new(settings), ..stricter });
    cloud.delete();
    let told = |world: &World| {
        world.condition("Ready")["message"].as_str().is_some_and(|words| words.contains("--allowed-aws-endpoint"))
    };
    cloud.until("a refusal", told).await;
    let platform = PlatformKey { namespace: "learning".into(), name: "story".into() };
    let store = StoreKey { platform, object_name: "story-main-rds".to_owned() };
    assert!(cloud.operator.rds.view(&store).is_none(), "it has no keeper");
    assert_eq!(cloud.truth().await.instances().await.unwrap().len(), 1);
    assert_eq!(cloud.finalizers(), json!(["learningplatform.dev/aws"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_settings_allow_is_asked_and_a_plan_is_not_carried_out() {
    let cloud = Bench::new(|spec| spec["databases"][0]["rds"]["mode"] = json!("Plan")).await;
    let planned = |world: &World| {
        let plan = database(world)["aws"]["plan"].as_array().cloned().unwrap_or_default();
        plan.iter().any(|call| call["operation"] == "CreateDBInstance")
    };
    cloud.until("a plan", planned).await;
    for _ in 0..5 {
        cloud.world.pass(&cloud.operator).await;
    }
    assert!(cloud.truth().await.instances().await.unwrap().is_empty());
    let password = cloud.secret(AUTH, "operatorPassword").unwrap();
    assert!(!database(&cloud.world).to_string().contains(&password), "no password is in the plan");

    let strange = World::new(spec(&cloud.url, 5432));
    let operator = strange.operator().await;
    strange.pass(&operator).await;
    let ready = strange.condition("DatabaseReady");
    assert_eq!((ready["reason"].as_str(), ready["status"].as_str()), (Some("InvalidSpec"), Some("False")), "{ready}");
    assert!(ready["message"].as_str().unwrap().contains("--cluster-name"), "{ready}");
    assert_eq!(strange.condition("Ready")["status"], "False");
}
