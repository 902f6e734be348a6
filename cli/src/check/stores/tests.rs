use super::*;
use crate::{
    check::{Engine, Line, Outcome},
    exit::Exit,
};
use serde_json::{Value, json};

fn platform(spec: Value) -> LearningPlatform {
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning"}, "spec": spec,
    }))
    .expect("a platform")
}

fn objects<T: serde::de::DeserializeOwned>(values: Value) -> Listed<T> {
    Ok(serde_json::from_value(values).expect("objects"))
}

fn labels(id: &str, tier: &str) -> Value {
    json!({"app.kubernetes.io/component": id, "app.kubernetes.io/instance": "story", "learningplatform.dev/tier": tier})
}

fn record(id: &str, tier: &str, data: Value) -> Value {
    json!({"metadata": {"name": format!("story-{id}-record"), "labels": labels(id, tier)}, "data": data})
}

fn claim(name: &str, id: &str, size: &str, volume: Option<&str>) -> Value {
    let phase = if volume.is_some() { "Bound" } else { "Pending" };
    json!({"metadata": {"name": name, "labels": labels(id, "database")},
        "spec": {"storageClassName": "fixed", "volumeName": volume}, "status": {"phase": phase, "capacity": {"storage": size}}})
}

fn class(name: &str, default: bool, grows: bool) -> Value {
    json!({"metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "provisioner": "p", "allowVolumeExpansion": grows})
}

fn world() -> World {
    World {
        maps: Ok(Vec::new()),
        claims: Ok(Vec::new()),
        volumes: Ok(Vec::new()),
        classes: objects(json!([class("fixed", false, false), class("standard", true, true)])),
    }
}

/// The lines of the checks, and what they come to.
async fn run(platform: &LearningPlatform, world: &World) -> (Exit, Vec<Line>) {
    let mut engine = Engine::new(Duration::ZERO, |_| {});
    engine.run(Category { name: "stores".into(), checks: checks(platform, world), essential: false }).await;
    (engine.exit(), engine.reports.remove(0).checks)
}

/// The line that begins so.
fn line<'a>(lines: &'a [Line], begins: &str) -> &'a Line {
    lines.iter().find(|line| line.description.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {lines:#?}"))
}

fn database(spec: Value) -> LearningPlatform {
    platform(json!({"databases": [{"name": "main", "inCluster": spec}]}))
}

#[tokio::test]
async fn all_that_is_told_of_a_good_platform() {
    let spec = json!({
        "caches": [{"name": "cache", "inCluster": {}}, {"name": "far", "external": {"address": "redis.example"}}],
        "databases": [{"name": "main", "inCluster": {"volume": {"storage": "10Gi"}, "readReplicas": 1}}],
        "apps": [{"name": "web", "image": "web:1", "replicas": 3, "uses": {"databases": [{"name": "main", "pool": {"max": 10}}]}}],
    });
    let (exit, lines) = run(&platform(spec), &world()).await;
    assert_eq!(exit, Exit::Good);
    let told: Vec<String> =
        lines.iter().map(|line| format!("{:?}: {} ({})", line.result, line.description, line.evidence)).collect();
    let outlives = "Note: the volumes of";
    assert_eq!(
        told,
        [
            "Good: volumes of cache cache can be made (standard)",
            "Good: volumes of cache cache have the size that is asked for (1Gi)",
            "Good: volumes of database main can be made (standard)",
            "Good: volumes of database main have the size that is asked for (10Gi)",
            "Good: the image of database main names its distribution's release (bookworm)",
            "Good: cache cache goes on when a server is lost (a replica takes over by itself; each primary has 1)",
            "Note: database main goes on when its primary is lost (NotHighlyAvailable: a single primary; writes wait while its \
             pod restarts, or until its volume can be had on another node, and reads go on at the replicas. Of a node that is \
             lost for good tell the cluster: kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute)",
            "Good: the servers of database main take the connections of its apps (web: (3 pods + 1 surge) x 10 = 40, of \
             max_connections 100 - 3 reserved - 1 for replicas - 3 for the operator - 1 for monitoring - 1 for a session by \
             hand = 91)",
            "Good: no data of former caches and databases are left behind ()",
            "Good: the data of cache cache outlive the platform (deletionPolicy Retain)",
            &format!("{outlives} cache cache outlive the namespace (there are none yet)"),
            "Good: the data of database main outlive the platform (deletionPolicy Retain)",
            &format!("{outlives} database main outlive the namespace (there are none yet)"),
        ]
    );
}

#[tokio::test]
async fn a_platform_without_stores_has_nothing_to_be_told() {
    let none = platform(json!({"apps": [{"name": "web", "image": "web:1"}]}));
    assert!(checks(&none, &world()).is_empty());
    let blind = World { maps: Err("forbidden".into()), ..world() };
    assert!(checks(&none, &blind).is_empty());
}

#[tokio::test]
async fn volumes_need_a_class_until_they_are_there() {
    let named = database(json!({"volume": {"storage": "1Gi", "storageClass": "gone"}}));
    let unnamed = database(json!({"volume": {"storage": "1Gi"}}));
    let bare = World { classes: objects(json!([class("fixed", false, false)])), ..world() };
    for (platform, world, problem) in [
        (&named, world(), "there is no storage class gone"),
        (&unnamed, bare, "names no storage class, and the cluster has no default one"),
    ] {
        let (exit, lines) = run(platform, &world).await;
        let line = line(&lines, "volumes of database main can be made");
        assert_eq!((exit, line.result), (Exit::Found, Outcome::Error));
        assert!(line.problem.contains(problem), "{line:?}");
        assert_eq!(line.see, "README.md#store-volumes");
        let there = World { claims: objects(json!([claim("data-0", "main", "1Gi", Some("pv-1"))])), ..world };
        let (exit, lines) = run(platform, &there).await;
        assert_eq!(exit, Exit::Good);
        assert_eq!(self::line(&lines, "volumes of database main can be made").result, Outcome::Warning);
    }
}

#[tokio::test]
async fn a_volume_that_cannot_grow_is_told_when_more_is_asked_for() {
    let asked = database(json!({"volume": {"storage": "20Gi"}}));
    let claims =
        || objects(json!([claim("data-0", "main", "10Gi", Some("pv-1")), claim("data-1", "other", "1Gi", None)]));
    let (exit, lines) = run(&asked, &World { claims: claims(), ..world() }).await;
    let stays = line(&lines, "volumes of database main have");
    assert_eq!((exit, stays.result), (Exit::Found, Outcome::Error));
    assert!(stays.problem.contains("data-0 has 10Gi and 20Gi is asked for"), "{stays:?}");
    assert!(stays.fix.starts_with("kubectl patch storageclass fixed"), "{stays:?}");

    let classes = objects(json!([class("fixed", true, true)]));
    let (exit, lines) = run(&asked, &World { claims: claims(), classes, ..world() }).await;
    let grows = line(&lines, "volumes of database main have");
    assert_eq!((exit, grows.result), (Exit::Good, Outcome::Note));
    let same = database(json!({"volume": {"storage": "10Gi"}}));
    let (_, lines) = run(&same, &World { claims: claims(), ..world() }).await;
    assert_eq!(line(&lines, "volumes of database main have").result, Outcome::Good);
}

#[tokio::test]
async fn what_cannot_be_listed_is_a_warning() {
    let blind = || Err("persistentvolumes is forbidden".to_owned());
    let world =
        World { classes: Err("forbidden".into()), volumes: blind(), claims: Err("no".into()), maps: Err("no".into()) };
    let (exit, lines) = run(&database(json!({"volume": {"storage": "1Gi"}})), &world).await;
    assert_eq!(exit, Exit::Good);
    assert!(lines.iter().filter(|line| line.result == Outcome::Warning).count() >= 4, "{lines:#?}");
}

#[tokio::test]
async fn a_cache_without_replicas_is_not_highly_available() {
    for (spec, says) in [
        (json!({"replicasPerShard": 0}), "so the keys of a shard are out of reach"),
        (json!({"mode": "Single", "replicasPerShard": 0}), "so all keys are out of reach"),
    ] {
        let platform = platform(json!({"caches": [{"name": "cache", "inCluster": spec}]}));
        let (exit, lines) = run(&platform, &world()).await;
        let line = line(&lines, "cache cache goes on");
        assert_eq!((exit, line.result), (Exit::Good, Outcome::Warning));
        assert!(line.problem.starts_with("NotHighlyAvailable: ") && line.problem.contains(says), "{line:?}");
    }
}

/// A database with three users: by autoscaling, by a share as surge and several pools, and with one pod.
fn used(budget: Option<i32>, parameters: Value) -> LearningPlatform {
    let uses =
        |max: i32, pools: i32| json!({"databases": [{"name": "main", "pool": {"max": max, "poolsPerPod": pools}}]});
    platform(json!({
        "databases": [{"name": "main", "connectionBudget": budget,
            "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 2, "parameters": parameters}}],
        "apps": [
            {"name": "web", "image": "w", "autoscaling": {"minReplicas": 1, "maxReplicas": 10}, "uses": uses(5, 1)},
            {"name": "api", "image": "a", "replicas": 3, "rollout": {"maxSurge": "50%"}, "uses": uses(2, 4)},
            {"name": "job", "image": "j", "rollout": {"maxSurge": 0}, "uses": uses(1, 1)},
        ],
    }))
}

#[tokio::test]
async fn connections_are_spelled_out_against_the_lower_of_both_limits() {
    let spelled = "web: (10 pods + 1 surge) x 5 = 55; api: (3 pods + 2 surge) x 4 pools x 2 = 40; job: (1 pods + 0 surge) x 1 = 1; together 96";
    let described = "the servers of database main take";
    let of = |parameters: Value| async move {
        let (_, lines) = run(&used(None, parameters), &world()).await;
        line(&lines, described).clone()
    };
    let few = of(json!({})).await;
    assert_eq!(few.result, Outcome::Error);
    let limit = "max_connections 100 - 3 reserved - 2 for replicas - 3 for the operator - 1 for monitoring - 1 for a session by hand = 90";
    assert_eq!(few.problem, format!("{spelled}, and a server takes {limit}: apps will be refused connections"));
    let enough = of(json!({"max_connections": "200"})).await;
    assert_eq!((enough.result, enough.evidence.ends_with("by hand = 190")), (Outcome::Good, true), "{enough:?}");

    // A pod of each job has the variables of its app.
    let mut working = used(None, json!({"max_connections": "200"}));
    let jobs = json!([{"name": "migrate", "beforeRollout": {}}, {"name": "warm", "afterRollout": {}}]);
    working.spec.apps[1].jobs = serde_json::from_value(jobs).unwrap();
    let (_, lines) = run(&working, &world()).await;
    let with_jobs = "api: (3 pods + 2 surge + 2 of jobs) x 4 pools x 2 = 56; ";
    assert!(line(&lines, described).evidence.contains(with_jobs), "{lines:#?}");

    let (_, lines) = run(&used(Some(100), json!({"max_connections": "200"})), &world()).await;
    assert_eq!(line(&lines, described).evidence, format!("{spelled}, of the budget of 100"));
    let (exit, lines) = run(&used(Some(150), json!({"max_connections": "120"})), &world()).await;
    assert_eq!(exit, Exit::Found);
    assert!(
        line(&lines, described)
            .problem
            .starts_with("connectionBudget is 150, and a server takes max_connections 120 - 3")
    );
}

#[tokio::test]
async fn the_memory_for_all_connections_is_asked_for() {
    let of = |memory: Option<&'static str>, parameters: Value| async move {
        let limits = memory.map(|memory| json!({"limits": {"memory": memory}}));
        let spec = json!({"volume": {"storage": "1Gi"}, "resources": limits, "parameters": parameters});
        let (exit, lines) = run(&database(spec), &world()).await;
        (exit, lines.into_iter().find(|line| line.description.contains("the memory for their connections")))
    };
    for (memory, parameters, good) in [
        ("1Gi", json!({"max_connections": "240"}), true),
        ("256Mi", json!({"max_connections": "240"}), false),
        ("256Mi", json!({}), false),
        ("267Mi", json!({}), true),
    ] {
        let (exit, line) = of(Some(memory), parameters.clone()).await;
        let line = line.unwrap();
        let expected = if good { Outcome::Good } else { Outcome::Warning };
        assert_eq!((exit, line.result), (Exit::Good, expected), "{memory} {parameters}: {line:?}");
    }
    let (_, line) = of(Some("256Mi"), json!({"max_connections": "240"})).await;
    assert_eq!(
        line.unwrap().problem,
        "max_connections 240 x 2 MiB = 480 MiB, of 192 MiB that a limit of 256 MiB leaves beside the shared buffers: the server is \
         ended when its apps open them all"
    );
    for (memory, parameters) in [(None, json!({})), (Some("64Mi"), json!({"shared_buffers": "16MB"}))] {
        assert_eq!(of(memory, parameters).await.1, None);
    }
}

#[tokio::test]
async fn a_pooler_opens_connections_in_the_place_of_the_apps() {
    let described = "the servers of database main take";
    let with = |pooler: Value, replicas: i32, parameters: Value| {
        let mut platform = used(None, parameters);
        let spec = platform.spec.databases[0].in_cluster.as_mut().unwrap();
        (spec.pooler, spec.read_replicas) = (Some(serde_json::from_value(pooler).unwrap()), Some(replicas));
        platform.spec.apps[1].uses.as_mut().unwrap().databases[0].pool.as_mut().unwrap().max_direct = Some(3);
        platform
    };
    let spelled = "pooler: (2 pods + 1 surge) x (2 logins x 10 + 2 lookups) = 66; api: (3 pods + 2 surge) x 3 direct = 15; together 81";
    let (_, lines) = run(&with(json!({}), 0, json!({})), &world()).await;
    let good = line(&lines, described);
    assert_eq!((good.result, good.evidence.starts_with(spelled)), (Outcome::Good, true), "{good:?}");
    for (pooler, replicas, says) in [
        (json!({"defaultPoolSize": 20}), 0, "pooler: (2 pods + 1 surge) x (2 logins x 20 + 2 lookups) = 126"),
        (
            json!({"maxClientConnections": 95}),
            0,
            "together 96, and a server takes maxClientConnections 95 of the pooler",
        ),
        // Replicas are asked by the apps themselves.
        (json!({}), 2, "together 96, and a server takes max_connections 100"),
    ] {
        let (_, lines) = run(&with(pooler, replicas, json!({})), &world()).await;
        let bad = line(&lines, described);
        assert!(bad.result == Outcome::Error && bad.problem.contains(says), "{bad:?}");
    }
}

#[tokio::test]
async fn connections_that_nobody_says_are_not_guessed() {
    let spec = |database: Value| {
        let uses = json!({"databases": [{"name": "main"}]});
        platform(json!({"databases": [database], "apps": [{"name": "web", "image": "w", "uses": uses}]}))
    };
    let far = json!({"address": "pg.example", "database": "d", "secret": {"name": "s"}});
    for (database, note) in [
        (
            json!({"name": "main", "inCluster": {"volume": {"storage": "1Gi"}}}),
            "cannot be told: no pool.max is set by web",
        ),
        (
            json!({"name": "main", "external": far}),
            "cannot be told of a server of somebody else's: set connectionBudget",
        ),
    ] {
        let (exit, lines) = run(&spec(database), &world()).await;
        let line = line(&lines, "the servers of database main take");
        assert_eq!((exit, line.result, line.evidence.as_str()), (Exit::Good, Outcome::Note, note));
    }
}

#[tokio::test]
async fn data_that_no_item_names_are_left_behind() {
    let maps = || {
        objects(json!([
            record("main", "database", json!({"SYSTEM_IDENTIFIER": "1"})),
            record("old", "database", json!({"SYSTEM_IDENTIFIER": "2"})),
            record("gone", "cache", json!({"FORMED": "true", "ABANDONED": "true"})),
            {"metadata": {"name": "story-main-config", "labels": labels("main", "database")}},
        ]))
    };
    let described = "no data of former caches";
    let storage = json!({"volume": {"storage": "1Gi"}});
    let (exit, lines) = run(&database(storage.clone()), &World { maps: maps(), ..world() }).await;
    let found = line(&lines, described);
    assert_eq!((exit, found.result), (Exit::Found, Outcome::Error));
    assert!(
        found.problem.starts_with("DataWouldBeLeftBehind: the data of database old would be left behind"),
        "{found:?}"
    );

    // Without any item, too; and what the user abandons is named with what finds it.
    let (exit, _) = run(&platform(json!({})), &World { maps: maps(), ..world() }).await;
    assert_eq!(exit, Exit::Found);
    let spec = json!({"abandonData": ["old"], "databases": [{"name": "main", "inCluster": storage}]});
    let (exit, lines) = run(&platform(spec), &World { maps: maps(), ..world() }).await;
    let found = line(&lines, described);
    assert_eq!((exit, found.result), (Exit::Good, Outcome::Note));
    assert!(found.evidence.starts_with("those of gone, old were abandoned and are still there"), "{found:?}");
    assert!(found.evidence.ends_with("app.kubernetes.io/component in (gone,old)'"), "{found:?}");

    let renamed = json!({"databases": [{"name": "new", "renamedFrom": "old", "inCluster": storage}, {"name": "main", "inCluster": storage}]});
    let (exit, _) = run(&platform(renamed), &World { maps: maps(), ..world() }).await;
    assert_eq!(exit, Exit::Good);
}

#[tokio::test]
async fn what_deletion_does_is_told_before() {
    let kept = database(json!({"volume": {"storage": "1Gi"}}));
    let volume = |name: &str, policy: &str| json!({"metadata": {"name": name}, "spec": {"persistentVolumeReclaimPolicy": policy}});
    let claims = || {
        objects(json!([claim("data-0", "main", "1Gi", Some("pv-1")), claim("data-1", "other", "1Gi", Some("pv-2"))]))
    };
    for (policy, result) in [("Retain", Outcome::Good), ("Delete", Outcome::Warning)] {
        let volumes = objects(json!([volume("pv-1", policy), volume("pv-2", "Delete")]));
        let (_, lines) = run(&kept, &World { claims: claims(), volumes, ..world() }).await;
        let line = line(&lines, "the volumes of database main outlive the namespace");
        assert_eq!(line.result, result, "{line:?}");
        assert!(result == Outcome::Good || line.problem.ends_with("not Retain: pv-1"), "{line:?}");
    }
    let deleted = database(json!({"volume": {"storage": "1Gi"}, "deletionPolicy": "Delete"}));
    let (exit, lines) = run(&deleted, &world()).await;
    let line = line(&lines, "the data of database main outlive the platform");
    assert_eq!((exit, line.result), (Exit::Good, Outcome::Note));
    assert!(line.evidence.contains("volumes and passwords go with it"), "{line:?}");
    assert!(!lines.iter().any(|line| line.description.contains("the namespace")));
}

#[tokio::test]
async fn what_is_told_of_a_cache_at_elasticache() {
    let cache = |fields: Value| {
        let mut spec = json!({"engineVersion": "8", "nodeType": "cache.t4g.small"});
        for (field, value) in fields.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        platform(json!({"caches": [{"name": "cache", "elastiCache": spec}]}))
    };
    for (fields, result, told) in [
        (json!({}), Outcome::Good, "AWS has one of 1 replicas"),
        (json!({"replicasPerShard": 0}), Outcome::Note, "NotHighlyAvailable: replicasPerShard is 0"),
        (
            json!({"clusterMode": false, "automaticFailover": false}),
            Outcome::Note,
            "NotHighlyAvailable: automaticFailover",
        ),
    ] {
        let (exit, lines) = run(&cache(fields), &world()).await;
        let line = line(&lines, "cache cache goes on when a server is lost");
        assert_eq!((exit, line.result), (Exit::Good, result));
        assert!(line.evidence.starts_with(told), "{line:?}");
    }
    // Its data are left behind where no item at ElastiCache has them.
    let data = json!({"RUNNER": "elasticache"});
    let maps = || {
        objects(json!([
            {"metadata": {"name": "story-cache-elasticache-record", "labels": labels("cache", "cache")}, "data": data},
        ]))
    };
    let (exit, _) = run(&cache(json!({})), &World { maps: maps(), ..world() }).await;
    assert_eq!(exit, Exit::Good);
    let own = platform(json!({"caches": [{"name": "cache", "inCluster": {}}]}));
    let (exit, _) = run(&own, &World { maps: maps(), ..world() }).await;
    assert_eq!(exit, Exit::Found);
}

#[tokio::test]
async fn what_is_told_of_a_database_that_cloud_native_pg_runs() {
    let spec = |replicas: i32| {
        platform(json!({
            "databases": [{"name": "main", "cloudNativePG": {"volume": {"storage": "10Gi"}, "readReplicas": replicas}}],
            "apps": [{"name": "web", "image": "web:1", "replicas": 3, "uses": {"databases": [{"name": "main", "pool": {"max": 10}}]}}],
        }))
    };
    let (exit, lines) = run(&spec(1), &world()).await;
    assert_eq!(exit, Exit::Good);
    let told: Vec<String> =
        lines.iter().map(|line| format!("{:?}: {} ({})", line.result, line.description, line.evidence)).collect();
    assert_eq!(
        told,
        [
            "Good: the image of database main names its distribution's release (bookworm)",
            "Good: database main goes on when its primary is lost (one of 1 replicas takes over by itself)",
            "Good: the servers of database main take the connections of its apps (web: (3 pods + 1 surge) x 10 = 40, of \
             max_connections 100 - 3 reserved - 1 for monitoring - 1 for a session by hand = 95)",
            "Good: no data of former caches and databases are left behind ()",
            "Good: the data of database main outlive the platform (deletionPolicy Retain)",
        ]
    );
    let (exit, lines) = run(&spec(0), &world()).await;
    let alone = line(&lines, "database main goes on");
    assert_eq!((exit, alone.result), (Exit::Good, Outcome::Note));
    assert!(alone.evidence.starts_with("NotHighlyAvailable: a single server"), "{alone:?}");
    // Data in CloudNativePG's hands are not those of a database of our own.
    let data = json!({"SYSTEM_IDENTIFIER": "1", "RUNNER": "cloudNativePG"});
    let maps = objects(json!([
        {"metadata": {"name": "story-main-pg-record", "labels": labels("main", "database")}, "data": data},
    ]));
    let own = database(json!({"volume": {"storage": "1Gi"}}));
    let (exit, _) = run(&own, &World { maps, ..world() }).await;
    assert_eq!(exit, Exit::Found);
}
