use super::*;
use serde_json::{Value, json};

fn platform(spec: Value, status: Value) -> LearningPlatform {
    serde_json::from_value(json!({
        "apiVersion": "learningplatform.dev/v1alpha1", "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning"}, "spec": spec, "status": status,
    }))
    .expect("a platform")
}

fn databases() -> LearningPlatform {
    let spec = json!({"databases": [
        {"name": "main", "renamedFrom": "old", "inCluster": {"volume": {"storage": "1Gi"}, "readReplicas": 2, "database": "lessons"}},
        {"name": "tenants", "inCluster": {"volume": {"storage": "1Gi"}, "shards": 3, "readReplicas": 1, "tls": {"generated": {}}}},
        {"name": "grades", "cloudNativePG": {"volume": {"storage": "1Gi"}, "readReplicas": 2}},
        {"name": "far", "external": {"address": "pg.example", "replicas": ["pg-1.example:6432"], "database": "far",
            "secret": {"name": "far-pg", "passwordKey": "pw"}, "tls": {"ca": {"name": "far-pg", "key": "ca.crt"}}}},
        {"name": "managed", "rds": {"instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "17",
            "authorities": {"name": "ca", "key": "rds.pem"}}},
        {"name": "made", "rds": {"instanceClass": "db.t4g.medium", "allocatedStorage": 20, "engineVersion": "17",
            "authorities": {"name": "ca", "key": "rds.pem"}}},
    ]});
    let of_cluster =
        |number: u32, role: &str| json!({"pod": format!("story-grades-pg-{number}"), "role": role, "state": "Healthy"});
    let servers = json!([of_cluster(1, "Replica"), of_cluster(2, "Primary"), of_cluster(3, "Replica")]);
    let at_aws = |pod: &str, role: &str| json!({"pod": pod, "role": role, "state": "Serving"});
    let managed = json!({"name": "managed", "address": "lp-1.rds.amazonaws.com:5433",
        "aws": {"identifier": "lp-1", "region": "eu-central-1"},
        "servers": [at_aws("lp-1", "Primary"), at_aws("lp-1-r0", "Replica"), at_aws("lp-1-r1", "Replica")]});
    platform(spec, json!({"databases": [{"name": "grades", "servers": servers}, managed]}))
}

fn server(pod: &str, role: &str, shard: u32) -> Value {
    json!({"pod": pod, "role": role, "shard": shard, "state": "Serving"})
}

fn caches(servers: Value) -> LearningPlatform {
    let spec = json!({"caches": [
        {"name": "cache", "inCluster": {}},
        {"name": "logins", "inCluster": {"mode": "Single", "tls": {"secret": {"name": "given"}}}},
        {"name": "far", "external": {"address": "redis.example:6380", "secret": {"name": "far-redis"}, "tls": {}}},
        {"name": "open", "external": {"address": "[fd00::7]"}},
        {"name": "answers", "renamedFrom": "results", "elastiCache": {
            "engineVersion": "8", "nodeType": "cache.t4g.small", "user": {"name": "app"}, "authorities": {"name": "ca", "key": "ca.crt"}}},
        {"name": "new", "elastiCache": {"engineVersion": "8", "nodeType": "cache.t4g.small"}},
    ]});
    let condition = json!([{"type": "CacheReady", "status": "False", "reason": "Progressing", "message": "a failover is under way",
        "lastTransitionTime": "2026-12-01T09:00:00Z"}]);
    let logins = json!([server("story-logins-s0-0", "Replica", 0), server("story-logins-s0-1", "Primary", 0)]);
    platform(
        spec,
        json!({"caches": [
            {"name": "cache", "servers": servers, "conditions": condition.clone()},
            {"name": "logins", "servers": logins},
            {"name": "answers", "address": "answers.cache.amazonaws.com:6380"},
            {"name": "new", "conditions": condition},
        ]}),
    )
}

fn cluster() -> Value {
    json!([
        server("story-cache-s0-1", "Primary", 0),
        server("story-cache-s0-0", "Replica", 0),
        server("story-cache-s1-0", "Primary", 1),
        server("story-cache-s2-0", "Unknown", 2),
    ])
}

fn pod(target: &Target) -> &str {
    match &target.place {
        Place::Pod { name, .. } => name,
        Place::Address(address) => panic!("{address}"),
    }
}

#[test]
fn the_pods_of_databases() {
    let databases = databases();
    for (name, shard, replica, expected, what) in [
        ("main", None, None, "story-old-pg-0", "the primary of database main"),
        ("main", Some(0), Some(2), "story-old-pg-ro-1", "read replica 2 of database main"),
        ("grades", None, None, "story-grades-pg-2", "the primary of database grades"),
        ("grades", Some(0), Some(2), "story-grades-pg-3", "read replica 2 of database grades"),
        ("tenants", None, None, "story-tenants-0-pg-0", "the primary of database tenants shard 0"),
        ("tenants", Some(2), Some(1), "story-tenants-2-pg-ro-0", "read replica 1 of database tenants shard 2"),
    ] {
        let target = database(&databases, name, shard, replica).unwrap();
        assert_eq!((pod(&target), target.what.as_str()), (expected, what));
    }
    let main = database(&databases, "main", None, None).unwrap();
    let login = main.login.unwrap();
    assert_eq!(
        (login.secret.as_str(), login.username.as_deref(), login.password.as_str()),
        ("story-old-auth", Some("username"), "password")
    );
    assert_eq!((main.database.as_deref(), main.note), (Some("lessons"), None));
    let grades = database(&databases, "grades", None, None).unwrap().login.unwrap();
    assert_eq!((grades.secret.as_str(), grades.password.as_str()), ("story-grades-pg-app", "password"));
    let note = |shard| database(&databases, "tenants", shard, None).unwrap().note;
    assert_eq!(note(None).as_deref(), Some("this is shard 0 of 3: --shard chooses another"));
    assert_eq!(note(Some(0)), None);
}

#[test]
fn what_a_database_does_not_have_is_said_with_what_it_has() {
    let databases = databases();
    for (name, shard, replica, problem) in [
        ("main", Some(1), None, "database main has no shards: leave --shard out"),
        ("main", None, Some(3), "database main has read replicas 1 to 2"),
        ("main", None, Some(0), "database main has read replicas 1 to 2"),
        ("grades", Some(1), None, "database grades has no shards: leave --shard out"),
        ("grades", None, Some(3), "database grades has read replicas 1 to 2"),
        ("tenants", Some(3), None, "database tenants has shards 0 to 2"),
        ("managed", Some(0), None, "database managed is at AWS: its shards are not known here, leave --shard out"),
        ("managed", None, Some(3), "database managed has read replicas 1 to 2"),
        ("made", None, None, "the operator knows no address of database made yet"),
        ("far", Some(0), None, "database far is external: its shards are not known here, leave --shard out"),
        ("far", None, Some(2), "database far has read replicas 1 to 1"),
    ] {
        let said = database(&databases, name, shard, replica).unwrap_err().to_string();
        assert_eq!(said, problem);
    }
}

#[test]
fn a_store_of_somebody_else_is_reached_at_its_own_address_with_the_users_secret() {
    let far = database(&databases(), "far", None, Some(1)).unwrap();
    assert_eq!(far.place, Place::Address(Address { host: "pg-1.example".into(), port: 6432 }));
    let login = far.login.unwrap();
    assert_eq!((login.secret.as_str(), login.password.as_str(), login.must_name), ("far-pg", "pw", true));
    assert_eq!(far.tls.unwrap().ca.unwrap().key, "ca.crt");

    let caches = caches(cluster());
    let far = cache(&caches, "far", None).unwrap();
    assert_eq!(far.place, Place::Address(Address { host: "redis.example".into(), port: 6380 }));
    assert!(far.login.is_some_and(|login| !login.must_name));
    assert_eq!(far.tls, Some(Tls { ca: None, name: None }));
    let open = cache(&caches, "open", None).unwrap();
    assert_eq!((open.login, open.tls), (None, None));
}

#[test]
fn a_database_at_aws_is_reached_at_the_address_that_the_operator_has_seen() {
    let managed = database(&databases(), "managed", None, None).unwrap();
    assert_eq!(managed.place, Place::Address(Address { host: "lp-1.rds.amazonaws.com".into(), port: 5433 }));
    assert_eq!(managed.database.as_deref(), Some("app"));
    let login = managed.login.unwrap();
    assert_eq!((login.secret.as_str(), login.username.as_deref()), ("story-managed-rds-auth", Some("username")));
    let authorities = SecretKey { name: "ca".into(), key: "rds.pem".into() };
    assert_eq!(managed.tls, Some(Tls { ca: Some(authorities), name: None }));
    let second = database(&databases(), "managed", None, Some(2)).unwrap();
    assert_eq!(second.what, "read replica 2 of database managed");
    assert_eq!(second.place, Place::Address(Address { host: "lp-1-r1.rds.amazonaws.com".into(), port: 5433 }));
}

#[test]
fn a_cache_at_aws_is_reached_at_the_address_that_the_operator_has_seen() {
    let answers = cache(&caches(cluster()), "answers", None).unwrap();
    assert_eq!(answers.place, Place::Address(Address { host: "answers.cache.amazonaws.com".into(), port: 6380 }));
    let login = answers.login.unwrap();
    assert_eq!((login.secret.as_str(), login.password.as_str()), ("story-results-elasticache-auth", "password"));
    assert_eq!((login.username.as_deref(), login.must_name), (Some("username"), true));
    let authorities = SecretKey { name: "ca".into(), key: "ca.crt".into() };
    assert_eq!(answers.tls, Some(Tls { ca: Some(authorities), name: None }));
}

#[test]
fn servers_that_speak_tls_are_verified_by_their_own_name() {
    let tls = |secret: &str, name: &str| {
        let ca = SecretKey { name: secret.into(), key: "ca.crt".into() };
        Some(Tls { ca: Some(ca), name: Some(name.into()) })
    };
    let tenants = database(&databases(), "tenants", Some(2), Some(1)).unwrap();
    assert_eq!(tenants.tls, tls("story-tenants-tls", "story-tenants-0-rw.learning.svc"));
    assert_eq!(database(&databases(), "main", None, None).unwrap().tls, None);
    let logins = cache(&caches(cluster()), "logins", None).unwrap();
    assert_eq!(logins.tls, tls("given", "story-logins.learning.svc"));
}

#[test]
fn the_pod_of_a_cache_is_the_one_that_leads_now() {
    let caches = caches(cluster());
    for (name, shard, expected) in [
        ("cache", None, "story-cache-s0-1"),
        ("cache", Some(1), "story-cache-s1-0"),
        ("logins", None, "story-logins-s0-1"),
        ("logins", Some(0), "story-logins-s0-1"),
    ] {
        assert_eq!(pod(&cache(&caches, name, shard).unwrap()), expected);
    }
    let login = cache(&caches, "cache", None).unwrap().login.unwrap();
    assert_eq!((login.secret.as_str(), login.username), ("story-cache-auth", None));
}

#[test]
fn without_a_primary_the_condition_is_said() {
    let known = caches(cluster());
    for (platform, name, shard, problem) in [
        (&known, "cache", Some(2), "shard 2 of cache cache has no primary now: Progressing: a failover is under way"),
        (&known, "cache", Some(7), "cache cache has shards 0 to 2"),
        (&known, "logins", Some(1), "cache logins has no shards: leave --shard out"),
        (&known, "new", None, "the operator knows no address of cache new yet: Progressing: a failover is under way"),
        (
            &known,
            "answers",
            Some(1),
            "cache answers is at AWS, where one address leads to all shards: leave --shard out",
        ),
        (
            &caches(json!([])),
            "cache",
            None,
            "the operator knows of no server of cache cache yet: Progressing: a failover is under way",
        ),
    ] {
        assert_eq!(cache(platform, name, shard).unwrap_err().to_string(), problem);
    }
}
