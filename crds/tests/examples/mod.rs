//! The good platform, the bad ones made from it, and the rules of the CRD: shared by the local test and the one against a
//! real API server.

#![allow(dead_code, reason = "each of the two tests uses its part")]

mod cdn;

use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What only a real API server evaluates: the local evaluator ignores the zone of `getHours`.
pub const SERVER_ONLY: &str = "not in the IANA database";

/// A platform that uses every part that has a rule, and breaks none.
pub fn good() -> Value {
    let source = json!({"server": "central", "metric": "requests_total", "labels": {"service": "story-web"}});
    json!({
        "apiVersion": "learningplatform.dev/v1alpha1",
        "kind": "LearningPlatform",
        "metadata": {"name": "story", "namespace": "learning"},
        "spec": {
            "prometheus": {
                "url": "http://prometheus.monitoring:9090",
                "scrapeInterval": "15s",
                "matchers": {"cluster": "eu"},
                "headers": {"X-Scope-OrgID": "school"},
                "auth": {"bearerToken": {"name": "prom", "key": "token"}},
                "servers": [{
                    "name": "central", "url": "https://thanos.example", "scrapeInterval": "30s",
                    "matchers": {"cluster": "eu"}, "headers": {"X-Scope-OrgID": "school"},
                    "auth": {"basic": {"username": {"name": "a", "key": "u"}, "password": {"name": "a", "key": "p"}}},
                }],
            },
            "caches": [
                {"name": "cache", "external": {"address": "redis.example:6379", "secret": {"name": "redis"}, "tls": {}}},
                {"name": "limits", "external": {"address": "[fd00::7]:6380"}},
                {"name": "logins", "renamedFrom": "sessions", "inCluster": {
                    "mode": "Single", "replicasPerShard": 1, "minReplicasToWrite": 1, "maxMemory": "100Mi",
                    "maxMemoryPolicy": "noeviction", "passwordRotation": {"every": "720h"}, "parameters": {"hz": "20"}, "deletionPolicy": "Delete",
                    "scaling": {"maxReplicasPerShard": 2, "cpuPercent": 50},
                    "resources": {"limits": {"memory": "256Mi"}}, "volume": {"storage": "2Gi", "storageClass": "fast"},
                    "tls": {"generated": {}},
                    "exporter": {"image": "exporter:1", "discovery": "PodMonitor", "monitorLabels": {"release": "kps"}},
                }},
                {"name": "answers", "renamedFrom": "results", "elastiCache": {
                    "engine": "redis", "engineVersion": "7.1", "nodeType": "cache.r7g.large", "clusterMode": false, "shards": 1,
                    "replicasPerShard": 1, "scaling": {"maxReplicasPerShard": 3, "cpuPercent": 70},
                    "automaticFailover": true, "multiAz": true, "parameters": {"maxmemory-policy": "allkeys-lru"},
                    "subnetGroup": "school", "securityGroups": ["sg-0a1b2c3d"], "port": 6380, "transitEncryption": true,
                    "atRestEncryption": true, "kmsKey": "alias/school", "authorities": {"name": "answers", "key": "ca.crt"},
                    "authToken": {"name": "answers", "key": "token"}, "user": {"name": "app", "access": "on ~app:* +@all"},
                    "passwordRotation": {"every": "720h"}, "snapshotRetentionDays": 7, "snapshotWindow": "03:00-04:00",
                    "maintenanceWindow": "sun:04:00-sun:05:00", "autoMinorVersionUpgrade": false,
                    "applyImmediately": ["nodeType", "engineVersion", "engine"], "restoreFrom": {"snapshot": "last-year"},
                    "deletionPolicy": "Retain", "mode": "Plan", "approve": "0123456789abcdef", "allow": ["RemoveShardsUnchecked"],
                    "adopt": true,
                }},
            ],
            "aws": {
                "region": "eu-central-1", "roleArn": "arn:aws:iam::123456789012:role/school", "externalId": "school",
                "endpoints": {"rds": "https://vpce-1.rds.eu-central-1.vpce.amazonaws.com"},
            },
            "abandonData": ["old"],
            "databases": [
                {"name": "main", "connectionBudget": 560, "external": {
                    "address": "pg.example", "replicas": ["pg-1.example:5433"], "database": "story",
                    "secret": {"name": "pg", "usernameKey": "user"}, "tls": {"ca": {"name": "pg", "key": "ca.crt"}},
                }},
                {"name": "reports", "external": {"address": "pg.example", "database": "reports", "secret": {"name": "pg"}}},
                {"name": "grades", "renamedFrom": "marks", "cloudNativePG": {
                    "volume": {"storage": "20Gi"}, "readReplicas": 1, "maxReadReplicas": 2, "durability": "Required", "syncReplicas": 1,
                    "parameters": {"max_connections": "200"}, "resources": {"limits": {"memory": "1Gi"}},
                    "backup": {
                        "schedule": {"cron": "0 3 * * *", "timeZone": "UTC"}, "retention": "30d",
                        "s3": {"bucket": "school", "prefix": "databases/new", "region": "eu-central-1"},
                    },
                    "restoreFrom": {
                        "s3": {
                            "bucket": "school", "endpoint": "https://s3.example:9000",
                            "credentialsSecret": {"name": "s3", "accessKeyIdKey": "id", "secretAccessKeyKey": "key"},
                        },
                        "cluster": "story-marks-pg", "targetTime": "2026-11-02T08:00:00Z",
                    },
                }},
                {"name": "tenants", "renamedFrom": "customers", "connectionBudget": 94, "inCluster": {
                    "volume": {"storage": "20Gi"}, "readReplicas": 2, "maxReadReplicas": 4, "shards": 4,
                    "durability": "Required", "syncReplicas": 1, "parameters": {"work_mem": "16MB"}, "extensions": ["pg_trgm"],
                    "exporter": {"resources": {"limits": {"memory": "64Mi"}}},
                    "readReplicaScaling": {"statementsPerReplica": 8},
                    "backup": {
                        "method": "Logical", "schedule": {"cron": "0 3 * * MON-FRI", "timeZone": "Europe/Berlin"}, "keep": 14,
                        "volume": {"storage": "60Gi"}, "resources": {"limits": {"memory": "256Mi"}},
                        "s3": {
                            "bucket": "backups.school", "prefix": "eu-1/tenants", "endpoint": "https://minio.storage:9000",
                            "region": "eu-central-1", "serviceAccountName": "backups", "image": "rclone:1",
                            "credentialsSecret": {"name": "s3", "accessKeyIdKey": "id", "secretAccessKeyKey": "key"},
                            "ca": {"name": "s3", "key": "ca.crt"},
                        },
                    },
                    "pooler": {
                        "mode": "Session", "maxClientConnections": 56, "parameters": {"query_wait_timeout": "5"},
                        "resources": {"limits": {"memory": "64Mi"}},
                    },
                    "tls": {"secret": {"name": "tenants-tls"}, "allowPlaintext": true},
                }},
                {"name": "records", "renamedFrom": "files", "rds": {
                    "instanceClass": "db.m7g.large", "allocatedStorage": 100, "maxAllocatedStorage": 400, "storageType": "gp3",
                    "iops": 3000, "storageThroughput": 125, "engineVersion": "17.4", "multiAz": true, "readReplicas": 1,
                    "maxReadReplicas": 2, "parameters": {"log_min_duration_statement": "250"}, "subnetGroup": "school",
                    "securityGroups": ["sg-0a1b2c3d"], "port": 5433, "backupRetentionDays": 7, "backupWindow": "03:00-03:30",
                    "maintenanceWindow": "sun:04:00-sun:04:30", "caCertificateIdentifier": "rds-ca-rsa2048-g1",
                    "authorities": {"name": "rds-authorities", "key": "global-bundle.pem"}, "autoMinorVersionUpgrade": false,
                    "kmsKey": "alias/school", "applyImmediately": ["instanceClass"], "applyInWindow": ["iops"],
                    "extensions": ["pg_trgm"], "passwordRotation": {"every": "720h"}, "restoreFrom": {"snapshot": "last-year"},
                    "deletionPolicy": "Retain", "mode": "Plan", "approve": "0123456789abcdef", "allow": ["MajorUpgrade"],
                    "adopt": true,
                }},
            ],
            "cdns": cdn::good(),
            "freezes": [
                {"name": "exams", "start": "2026-12-07T07:30", "end": "2026-12-11T18:00:00", "timeZone": "Europe/Berlin"},
            ],
            "apps": [{
                "name": "web", "image": "web:1", "port": 3000,
                "jobs": [
                    {"name": "migrate", "beforeRollout": {}, "command": ["migrate"], "activeDeadline": "15m",
                     "resources": {"requests": {"cpu": 1}, "limits": {"cpu": "1500m"}}},
                    {"name": "refresh", "image": "tools:1", "schedule": {
                        "cron": "0 */6 * * MON-FRI", "timeZone": "Europe/Berlin", "startingDeadline": "10s",
                    }},
                    {"name": "warm", "afterRollout": {}, "args": ["warm"], "env": [{"name": "A", "value": "b"}]},
                ],
                "uses": {
                    "databases": [
                        {"name": "main", "pool": {"min": 5, "max": 10, "poolsPerPod": 2, "queryTimeout": "30s"}},
                        {"name": "reports", "prefix": "REPORTS_", "style": "Url", "names": {"DATABASE_URL": "REPORTS_DSN"}},
                        {"name": "tenants", "prefix": "TENANTS_", "pool": {"max": 2, "maxDirect": 1}},
                    ],
                    "caches": [{"name": "cache"}, {"name": "limits", "prefix": "LIMITS_"}],
                },
                "resources": {"requests": {"cpu": 1, "memory": "512Mi"}, "limits": {"cpu": "2000m", "memory": "0.5Gi"}},
                "health": {"path": "/api/health", "startupTimeout": "2m"},
                "metrics": {"path": "/api/metrics", "interval": "5s"},
                "exposure": {"gateway": {
                    "parentRefs": [{"name": "public"}], "hosts": ["story.example"],
                    "paths": [{"path": "/", "timeout": "30s"}],
                }},
                "rollout": {"maxUnavailable": 0, "maxSurge": "25%", "progressDeadline": "5m", "minReady": "5s"},
                "draining": {"delay": "5s", "gracePeriod": "40s"},
                "disruptionBudget": {"maxUnavailable": 1},
                "spread": {"disabled": true},
                "autoscaling": {
                    "minReplicas": 3, "maxReplicas": 20,
                    "cpu": {"utilization": 70}, "memory": {"utilization": 80},
                    "requestRate": {"perPod": 100, "activation": "500m", "alternatives": [source.clone()]},
                    "concurrency": {"perPod": "10", "alternatives": [source]},
                    "latency": {"percentile": 95, "budget": "200ms", "labels": {"service": "story-web"}},
                    "collapseHold": "10m",
                    "fallback": {"replicas": 6},
                    "schedules": [
                        {"name": "exams", "start": "2026-12-07T07:30", "end": "2026-12-11T18:00:00",
                         "timeZone": "Europe/Berlin", "minReplicas": 12, "ramp": "10m"},
                        {"name": "lessons", "timeZone": "America/Argentina/Buenos_Aires", "expected": {"students": 900, "requestsPerStudent": "50m"},
                         "weekly": {"days": ["Mon"], "start": "07:30", "end": "24:00", "from": "2026-09-01", "until": "2026-12-18"}},
                        {"name": "term", "timeZone": "EST5EDT", "calendar": {"configMap": {"name": "term", "key": "term.ics"}},
                         "expected": {"requestsPerSecond": 400}, "maxReplicas": 20},
                    ],
                },
            }],
        },
    })
}

/// The good platform with one value set (or, with `null`, removed) at each pointer.
pub fn with(changes: &[(&str, Value)]) -> Value {
    let mut platform = good();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = platform.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        match (parent, value) {
            (Value::Object(object), Value::Null) => drop(object.remove(key)),
            (Value::Object(object), value) => drop(object.insert(key.into(), value.clone())),
            (other, _) => panic!("{pointer} points into {other}"),
        }
    }
    platform
}

/// Bad examples: what is changed in the good platform, and what the message must name.
pub fn bad() -> Vec<(Vec<(String, Value)>, &'static str)> {
    let mut cases = Vec::new();
    let mut case = |changes: &[(&str, Value)], named: &'static str| {
        cases.push((changes.iter().map(|(p, v)| ((*p).to_owned(), v.clone())).collect(), named));
    };
    let app = |path: &str| format!("/spec/apps/0{path}");
    let scaling = |path: &str| app(&format!("/autoscaling{path}"));
    let none = Value::Null;

    case(&[("/metadata/name", json!("story.example"))], "metadata.name");
    case(&[("/metadata/name", json!("s".repeat(50)))], "51 characters");
    case(&[("/spec/prometheus/servers/0/name", json!("default"))], "servers[].name");
    case(&[("/spec/prometheus/servers/0/url", none.clone())], "servers[].url");
    case(
        &[("/spec/prometheus/url", none.clone()), ("/spec/prometheus/headers", json!({ "X-Scope-OrgID": "other" }))],
        "spec.prometheus.headers",
    );
    for server in ["/spec/prometheus", "/spec/prometheus/servers/0"] {
        let at = |path: &str| format!("{server}{path}");
        case(&[(&at("/scrapeInterval"), json!("100ms"))], "scrapeInterval");
        case(&[(&at("/matchers"), json!({"not a label": "x"}))], "matchers");
        case(&[(&at("/headers"), json!({"Authorization": "Bearer x"}))], "headers");
        case(&[(&at("/auth"), json!({}))], "auth");
        let role = json!({"region": "eu-central-1", "roleArn": "arn:aws:iam::123456789012:role/metrics"});
        case(&[(&at("/auth/sigV4"), role)], "exactly one of bearerToken, basic and sigV4");
    }
    let cache = |path: &str| format!("/spec/caches/0{path}");
    let database = |path: &str| format!("/spec/databases/0{path}");
    let uses = |path: &str| app(&format!("/uses{path}"));
    case(&[(&cache("/external"), none.clone())], "set exactly one of inCluster, elastiCache and external");
    case(&[(&database("/external"), none.clone())], "set exactly one of inCluster, cloudNativePG, rds and external");
    case(
        &[(&database("/cloudNativePG"), json!({"volume": {"storage": "1Gi"}}))],
        "set exactly one of inCluster, cloudNativePG",
    );
    case(&[(&cache("/inCluster"), json!({}))], "set exactly one of inCluster, elastiCache and external");
    case(&[(&cache("/renamedFrom"), json!("x"))], "caches[].renamedFrom");
    let records = |path: &str| format!("/spec/databases/4/rds{path}");
    case(&[(&records("/backupRetentionDays"), json!(0))], "rds.backupRetentionDays");
    case(&[(&records("/passwordRotation/every"), json!("30m"))], "passwordRotation.every");
    case(&[(&records("/readReplicas"), json!(3))], "rds.readReplicas must not be above");
    let statements = json!({ "statementsPerReplica": 4 });
    case(
        &[(&records("/maxReadReplicas"), none.clone()), (&records("/readReplicaScaling"), statements.clone())],
        "rds.readReplicaScaling scales between",
    );
    case(
        &[
            (&records("/readReplicas"), none.clone()),
            (&records("/readReplicaScaling"), statements),
            (&records("/backupRetentionDays"), json!(0)),
        ],
        "rds.backupRetentionDays",
    );
    case(&[(&records("/maxAllocatedStorage"), json!(100))], "rds.maxAllocatedStorage");
    case(&[(&records("/parameterGroup"), json!("theirs"))], "rds.parameters");
    case(
        &[(&records("/applyInWindow"), json!(["instanceClass"]))],
        "a field is in applyImmediately and in applyInWindow",
    );
    let answers = |path: &str| format!("/spec/caches/3/elastiCache{path}");
    case(&[(&answers("/shards"), json!(3))], "without clusterMode there is one");
    case(
        &[(&answers("/clusterMode"), none.clone()), (&answers("/automaticFailover"), json!(false))],
        "AWS keeps it on in cluster mode",
    );
    case(&[(&answers("/replicasPerShard"), json!(0))], "need a replica that takes over");
    case(&[(&answers("/automaticFailover"), json!(false))], "elastiCache.multiAz needs automaticFailover");
    case(&[(&answers("/parameterGroup"), json!("theirs"))], "elastiCache.parameters");
    case(&[(&answers("/scaling"), json!({}))], "elastiCache.scaling: set maxShards above shards");
    case(&[(&answers("/scaling"), json!({"maxShards": 5}))], "elastiCache.scaling: set maxShards above shards");
    case(&[(&answers("/scaling"), json!({"maxReplicasPerShard": 1}))], "elastiCache.scaling.maxReplicasPerShard must");
    case(&[(&answers("/transitEncryption"), json!(false))], "AWS takes tokens and users over TLS alone");
    case(&[(&answers("/passwordRotation/every"), json!("30m"))], "passwordRotation.every");
    case(&[("/spec/aws", none.clone())], "spec.caches[].elastiCache");
    case(&[("/spec/aws/roleArn", none.clone())], "aws.externalId");
    case(&[("/spec/aws", none.clone())], "spec.databases[].rds");
    case(&[(&database("/renamedFrom"), json!("x"))], "databases[].renamedFrom");
    let single = |path: &str| format!("/spec/caches/2/inCluster{path}");
    let tenants = |path: &str| format!("/spec/databases/3/inCluster{path}");
    let grades = |path: &str| format!("/spec/databases/2/cloudNativePG{path}");
    case(&[(&grades("/syncReplicas"), json!(2))], "cloudNativePG.durability");
    case(&[(&grades("/readReplicas"), json!(3))], "cloudNativePG.readReplicas must not be above");
    case(&[(&grades("/backup/schedule/timeZone"), json!("Europe/Berlin"))], "CloudNativePG knows no time zones");
    case(
        &[(&grades("/backup/schedule/timeZone"), json!("Local"))],
        "backup.schedule.timeZone is not in the IANA database",
    );
    case(
        &[(&grades("/backup/resources"), json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}))],
        "a request must not be above its limit",
    );
    case(&[(&grades("/backup/schedule/cron"), json!("0 0 3 * * *"))], "backup.schedule.cron");
    case(&[(&grades("/restoreFrom/targetTime"), json!("2026-11-02T08:00:00"))], "restoreFrom.targetTime is no time");
    let long = "a".repeat(40);
    case(&[("/metadata/name", json!("story")), ("/spec/databases/3/renamedFrom", json!(long))], "at most 42");
    case(
        &[
            ("/metadata/name", json!("storystory")),
            ("/spec/apps", none.clone()),
            ("/spec/caches/2/renamedFrom", json!(long)),
        ],
        "at most 47",
    );
    case(&[(&single("/shards"), json!(3))], "a single endpoint has no shards");
    case(&[(&single("/minReplicasToWrite"), json!(2))], "minReplicasToWrite must not be above");
    case(&[(&single("/scaling"), json!({}))], "set maxShards or maxReplicasPerShard");
    case(&[(&single("/scaling"), json!({"maxShards": 5}))], "maxShards must be above shards, in mode Cluster");
    case(&[(&single("/scaling"), json!({"maxReplicasPerShard": 1}))], "maxReplicasPerShard must be above");
    for rotation in [single("/passwordRotation"), tenants("/passwordRotation")] {
        case(&[(&rotation, json!({"every": "59m"}))], "passwordRotation.every must be at least 1h");
    }
    case(&[(&tenants("/syncReplicas"), json!(3))], "inCluster.durability");
    case(&[(&tenants("/tls/generated"), json!({}))], "exactly one of generated, secret and certManager");
    case(&[(&single("/tls/generated"), none.clone())], "exactly one of generated, secret and certManager");
    case(&[(&tenants("/backup/schedule/cron"), json!("@reboot"))], "backup.schedule.cron");
    case(
        &[(&tenants("/backup/schedule/timeZone"), json!("Local"))],
        "backup.schedule.timeZone is not in the IANA database: write",
    );
    case(&[(&tenants("/backup/schedule/timeZone"), json!("Europe/Atlantis"))], "not in the IANA database");
    case(
        &[(&tenants("/restoreFrom"), json!({"claim": "data-old-main-backup-0"}))],
        "inCluster.restoreFrom restores one primary",
    );
    case(
        &[
            (&tenants("/shards"), none.clone()),
            (
                &tenants("/restoreFrom"),
                json!({"claim": "data-old-main-backup-0", "targetTime": "2026-11-02 08:00:00Z"}),
            ),
        ],
        "restoreFrom.targetTime",
    );
    let restore = |from: Value| [(tenants("/shards"), none.clone()), (tenants("/restoreFrom"), from)];
    for from in [
        json!({}),
        json!({"claim": "c", "s3": {"bucket": "backups", "prefix": "a/b"}}),
        json!({"claim": "c", "volumeSnapshot": "s"}),
    ] {
        let changes = restore(from);
        case(
            &changes.each_ref().map(|(at, to)| (at.as_str(), to.clone())),
            "set exactly one of claim, s3 and volumeSnapshot",
        );
    }
    for (field, value) in [("backup", "b"), ("targetTime", "2026-11-02T08:00:00Z")] {
        let from = json!({"volumeSnapshot": "story-main-20261102t030000z", field: value});
        let changes = restore(from);
        case(&changes.each_ref().map(|(at, to)| (at.as_str(), to.clone())), "restoreFrom.volumeSnapshot is one moment");
    }
    case(&[(&tenants("/backup/method"), json!("VolumeSnapshot"))], "remove volume, s3 and resources");
    for field in ["volume", "s3", "resources"] {
        let kept = json!({"storage": "60Gi"});
        let kept = match field {
            "volume" => kept,
            "s3" => json!({"bucket": "backups"}),
            _ => json!({"limits": {"memory": "256Mi"}}),
        };
        let backup = json!({"method": "VolumeSnapshot", "schedule": {"cron": "@daily"}, field: kept});
        case(&[(&tenants("/backup"), backup)], "remove volume, s3 and resources");
    }
    case(&[(&tenants("/backup/volume"), none.clone())], "backup.volume is missing");
    case(&[(&tenants("/backup/volumeSnapshotClass"), json!("fast"))], "set method: VolumeSnapshot, or remove it");
    let changes = restore(json!({"s3": {"bucket": "backups"}}));
    case(&changes.each_ref().map(|(at, to)| (at.as_str(), to.clone())), "restoreFrom.s3.prefix is missing");
    case(&[(&single("/tls/allowPlaintext"), json!(true))], "tls.allowPlaintext is for databases");
    case(&[(&tenants("/readReplicas"), json!(5))], "readReplicas must not be above");
    case(&[(&tenants("/readReplicas"), json!(4))], "set maxReadReplicas above readReplicas");
    case(&[(&tenants("/maxReadReplicas"), none.clone())], "set maxReadReplicas above readReplicas");
    case(
        &[(&single("/resources"), json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}))],
        "a request must not be above its limit",
    );
    case(
        &[(&tenants("/resources"), json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}))],
        "a request must not be above its limit",
    );
    case(&[(&grades("/resources/requests"), json!({"memory": "2Gi"}))], "a request must not be above its limit");
    for exporter in [single("/exporter/resources"), tenants("/exporter/resources"), tenants("/backup/resources")] {
        let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
        case(&[(&exporter, resources)], "a request must not be above its limit");
    }
    case(&[(&cache("/name"), json!("web"))], "spec.caches[].name");
    case(&[(&cache("/name"), json!("main"))], "spec.caches[].name");
    case(&[(&database("/name"), json!("web"))], "spec.databases[].name");
    case(&[(&cache("/name"), json!("other"))], "uses.caches[].name");
    case(&[(&database("/name"), json!("other"))], "uses.databases[].name");
    case(&[("/spec/databases", none.clone())], "uses.databases[].name");
    case(&[(&uses("/databases/1/prefix"), none.clone())], "uses.databases: two of them");
    case(&[(&uses("/caches/1/prefix"), none.clone())], "uses.caches: two of them");
    case(&[(&uses("/databases/0/pool/min"), json!(11))], "pool.min must not be above pool.max");
    case(&[(&uses("/databases/0/pool"), none.clone())], "pool.max is missing");
    // 20 pods of 20 connections, a quarter more while a rollout is under way, and those of three jobs.
    case(&[(&app("/rollout/maxSurge"), json!("26%"))], "connectionBudget: the apps");
    case(&[(&app("/rollout/maxSurge"), json!(6))], "connectionBudget: the apps");
    case(&[(&database("/connectionBudget"), json!(559))], "connectionBudget: the apps");
    let job = |name: &str| json!({"name": name, "afterRollout": {}, "args": ["x"]});
    case(&[(&app("/jobs"), json!([job("a"), job("b"), job("c"), job("d")]))], "connectionBudget: the apps");
    // 28 pods with one connection beside the pooler, and (2 + 1) x (2 x 10 + 2) of the pooler; 28 of two at the pooler.
    for (field, value, named) in [
        ("/spec/databases/3/connectionBudget", json!(93), "connectionBudget: the pooler"),
        (&tenants("/pooler/replicas"), json!(3), "connectionBudget: the pooler"),
        (&tenants("/pooler/defaultPoolSize"), json!(11), "connectionBudget: the pooler"),
        (&uses("/databases/2/pool/maxDirect"), json!(2), "connectionBudget: the pooler"),
        (&tenants("/pooler/maxClientConnections"), json!(55), "pooler.maxClientConnections: the apps"),
        // Replicas are asked by the apps themselves.
        (&uses("/databases/2/pool/poolsPerPod"), json!(2), "connectionBudget: the apps"),
        (&tenants("/pooler/parameters"), json!({"listen_port": "1"}), "pooler.parameters: one of them"),
        (&tenants("/pooler/parameters"), json!({"max_client_conn": "9"}), "pooler.parameters: one of them"),
    ] {
        case(&[(field, value)], named);
    }
    for (changes, named) in cdn::bad() {
        let borrowed: Vec<_> = changes.iter().map(|(at, to)| (at.as_str(), to.clone())).collect();
        case(&borrowed, named);
    }
    let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    case(&[(&tenants("/pooler/resources"), resources)], "a request must not be above its limit");
    case(&[(&app("/replicas"), json!(3))], "replicas and autoscaling");
    case(&[(&app("/ports"), json!([{"name": "http", "port": 80}]))], "set port");
    for name in ["8080", "a--b"] {
        let ports = json!([{"name": name, "port": 80}]);
        case(&[(&app("/port"), none.clone()), (&app("/ports"), ports)], "ports[].name must hold a letter");
    }
    // The same number under two names, on the container and on the Service alone.
    for (second, named) in [
        (json!({"name": "b", "port": 80, "protocol": "TCP", "servicePort": 81}), "ports[].port: two ports"),
        (json!({"name": "b", "port": 81, "servicePort": 80}), "ports[].servicePort (default: port): two ports"),
    ] {
        let ports = json!([{"name": "a", "port": 80}, second, {"name": "c", "port": 80, "protocol": "UDP"}]);
        case(&[(&app("/port"), none.clone()), (&app("/ports"), ports)], named);
    }
    for (at, value, named) in [
        ("/health/port", json!("admin"), "health.port is none"),
        ("/exposure/gateway/paths/0/port", json!("admin"), "exposure.gateway.paths[].port is none"),
        (
            "/exposure/ingress",
            json!({"paths": [{"path": "/", "port": "admin"}]}),
            "exposure.ingress.paths[].port is none",
        ),
    ] {
        case(&[(&app(at), value)], named);
    }
    let ports = json!([{"name": "web", "port": 80}]);
    case(
        &[(&app("/port"), none.clone()), (&app("/ports"), ports), (&app("/health/port"), json!("http"))],
        "health.port is none",
    );
    case(&[(&app("/port"), none.clone())], "exposure needs a port");
    case(&[(&app("/port"), none.clone())], "metrics needs a port");
    case(&[(&app("/port"), none.clone())], "health.path needs a port");
    case(&[(&app("/resources/requests/cpu"), none.clone())], "requests.cpu");
    case(&[(&app("/resources/requests/memory"), none.clone())], "requests.memory");
    case(&[(&app("/resources/limits/cpu"), json!("900m"))], "request must not be above its limit");
    case(&[(&app("/health"), json!({}))], "health");
    case(&[(&app("/health"), json!({"port": "http", "liveness": {}}))], "health.port");
    case(&[(&app("/health/startupTimeout"), json!("3h"))], "startupTimeout");
    case(&[(&app("/metrics/interval"), json!("10ms"))], "metrics.interval");
    case(&[(&app("/exposure"), json!({}))], "gateway (Gateway API) or ingress");
    case(&[(&app("/exposure/gateway/paths/0/webSocket"), json!(true))], "WebSocket");
    case(&[(&app("/exposure/gateway/paths/0/timeout"), json!("25h"))], "timeout");
    case(&[(&app("/rollout"), json!({"maxUnavailable": "0%", "maxSurge": 0}))], "cannot both be 0");
    case(&[(&app("/rollout"), json!({"maxSurge": 0}))], "rollout.maxSurge 0");
    case(&[(&app("/rollout"), json!({"minReady": "11m"}))], "rollout.minReady must be shorter");
    case(&[(&app("/rollout"), json!({"progressDeadline": "25h"}))], "rollout.progressDeadline");
    case(
        &[(&app("/rollout"), json!({"minReady": "2h", "progressDeadline": "3h"}))],
        "rollout.minReady must be at most",
    );
    case(&[(&app("/draining"), json!({"delay": "5s", "lifecycle": {"preStop": {}}}))], "delay or lifecycle.preStop");
    case(&[(&app("/draining"), json!({"delay": "50s", "gracePeriod": "40s"}))], "make gracePeriod longer");
    case(&[(&app("/draining"), json!({"delay": "50s"}))], "whose default is 30s");
    case(&[(&app("/draining"), json!({"delay": "2h", "gracePeriod": "3h"}))], "draining.delay must be at most");
    case(&[(&app("/draining"), json!({"gracePeriod": "25h"}))], "draining.gracePeriod must be between");
    case(&[(&app("/disruptionBudget"), json!({"maxUnavailable": 1, "minAvailable": 1}))], "disruptionBudget");
    case(&[(&app("/spread"), json!({"disabled": true, "constraints": []}))], "spread");

    let job = |index: u32, path: &str| app(&format!("/jobs/{index}{path}"));
    // 10 + 3 + 40 characters.
    case(&[("/metadata/name", json!("storystory")), (&job(0, "/name"), json!("m".repeat(40)))], "50 characters");
    case(&[(&job(0, "/afterRollout"), json!({}))], "exactly one of beforeRollout");
    case(&[(&job(0, "/beforeRollout"), none.clone())], "exactly one of beforeRollout");
    case(&[(&job(0, "/command"), none.clone())], "set command, args or image");
    case(&[(&job(0, "/resources/limits/cpu"), json!("900m"))], "request must not be above its limit");
    for deadline in ["0s", "169h"] {
        case(&[(&job(0, "/activeDeadline"), json!(deadline))], "activeDeadline must be between");
    }
    for cron in ["60 * * * *", "0 0 * *"] {
        case(&[(&job(1, "/schedule/cron"), json!(cron))], "cron is no cron expression");
    }
    for deadline in ["9s", "169h"] {
        case(&[(&job(1, "/schedule/startingDeadline"), json!(deadline))], "startingDeadline must be between");
    }
    case(&[(&job(1, "/schedule/timeZone"), json!("Europe/Atlantis"))], "not in the IANA database");
    case(&[(&job(1, "/schedule/timeZone"), json!("Local"))], "timeZone is not in the IANA database: write");
    let freeze = |path: &str| format!("/spec/freezes/0{path}");
    for end in ["2026-12-01T00:00", "2026-12-07T07:30:00"] {
        case(&[(&freeze("/end"), json!(end))], "freezes[].end must be after start");
    }
    case(&[(&freeze("/start"), json!("2026-02-30T00:00"))], "freezes[].start is no date");
    case(&[(&freeze("/end"), json!("2027-13-01T00:00"))], "freezes[].end is no date");
    case(&[(&freeze("/timeZone"), json!("Europe/Atlantis"))], "not in the IANA database");
    case(&[(&freeze("/timeZone"), json!("Local"))], "timeZone is not in the IANA database: write");

    case(&[(&scaling("/minReplicas"), json!(21))], "minReplicas must not be above maxReplicas");
    case(&[(&app("/autoscaling"), json!({"minReplicas": 1, "maxReplicas": 2}))], "nothing to scale on");
    case(&[(&scaling("/minReplicas"), json!(0))], "minReplicas: 0");
    case(&[(&scaling("/requestRate"), none.clone())], "autoscaling.latency");
    case(&[(&scaling("/requestRate"), none.clone())], "schedules[].expected is turned into pods");
    case(&[(&scaling("/fallback/replicas"), json!(21))], "fallback.replicas");
    case(
        &[(
            &app("/autoscaling"),
            json!({"minReplicas": 1, "maxReplicas": 2, "cpu": {"utilization": 70}, "fallback": {"replicas": 1}}),
        )],
        "autoscaling.fallback acts",
    );
    case(&[(&scaling("/schedules/0/minReplicas"), json!(21))], "schedules[].minReplicas");
    case(&[(&scaling("/collapseHold"), json!("25h"))], "collapseHold");
    for resource in ["/cpu", "/memory"] {
        case(&[(&scaling(&format!("{resource}/averageValue")), json!("1"))], "exactly one of utilization");
        case(&[(&scaling(resource), json!({"averageValue": 0}))], "averageValue must be above 0");
    }
    for signal in ["/requestRate", "/concurrency"] {
        case(&[(&scaling(&format!("{signal}/perPod")), json!("0"))], "perPod must be above 0");
    }
    case(&[(&scaling("/latency/mean"), json!(true))], "exactly one of percentile");
    case(&[(&scaling("/latency/budget"), json!("2h"))], "latency.budget");
    let latency = json!({"mean": true, "budget": "1s", "query": "x", "unit": "Seconds"});
    case(&[(&scaling("/latency"), latency)], "gives seconds");
    for source in
        ["/requestRate", "/concurrency", "/latency", "/requestRate/alternatives/0", "/concurrency/alternatives/0"]
    {
        let at = |path: &str| scaling(&format!("{source}{path}"));
        case(&[(&at("/query"), json!("x")), (&at("/preset"), json!("App"))], "query is a whole expression");
        case(&[(&at("/freshness"), json!("x"))], "freshness names");
        case(&[(&at("/labels"), json!({"not a label": "x"}))], "labels: a name");
        case(&[(&at("/server"), json!("gone"))], "is not in spec.prometheus.servers");
    }
    case(&[("/spec/prometheus", none.clone())], "is not in spec.prometheus.servers");
    for preset in ["IngressNginx", "Istio", "Linkerd", "Traefik"] {
        case(&[(&scaling("/concurrency/preset"), json!(preset))], "concurrency.preset: only App");
        let alternatives = json!([{}, {"preset": preset}]);
        case(&[(&scaling("/concurrency/alternatives"), alternatives)], "concurrency.alternatives[].preset: only App");
    }
    let schedule = |path: &str| scaling(&format!("/schedules/0{path}"));
    case(
        &[(&schedule("/weekly"), json!({"days": ["Mon"], "start": "07:30", "end": "08:30"}))],
        "exactly one of start and end",
    );
    case(&[(&schedule("/end"), none.clone())], "needs both start and end");
    for end in ["2026-12-01T00:00", "2026-12-07T07:30:00"] {
        case(&[(&schedule("/end"), json!(end))], "end must be after start");
    }
    case(&[(&schedule("/minReplicas"), none.clone())], "changes nothing");
    case(&[(&schedule("/timeZone"), none.clone())], "timeZone is missing");
    case(&[(&schedule("/timeZone"), json!("Europe/Atlantis"))], "not in the IANA database");
    // These mean a zone to the server, but none that is named.
    case(&[(&schedule("/timeZone"), json!(""))], "timeZone is not in the IANA database: write");
    case(&[(&schedule("/timeZone"), json!("Local"))], "timeZone is not in the IANA database: write");
    case(&[(&schedule("/start"), json!("2026-02-30T00:00"))], "start is no date");
    case(&[(&schedule("/end"), json!("2027-13-01T00:00"))], "end is no date");
    case(&[(&schedule("/ramp"), json!("25h"))], "ramp");
    let weekly = |path: &str| scaling(&format!("/schedules/1/weekly{path}"));
    case(&[(&weekly("/end"), json!("07:30"))], "start and end are equal");
    case(&[(&weekly("/until"), json!("2026-08-01"))], "until must not be before from");
    case(&[(&weekly("/from"), json!("2026-00-01"))], "weekly.from is no date");
    case(&[(&weekly("/until"), json!("2026-12-32"))], "weekly.until is no date");
    let expected = |path: &str| scaling(&format!("/schedules/1/expected{path}"));
    case(&[(&expected("/requestsPerSecond"), json!(5))], "exactly one of requestsPerSecond");
    case(&[(&expected("/requestsPerStudent"), none)], "belong together");
    case(&[(&expected("/requestsPerStudent"), json!(0))], "requestsPerStudent must be above 0");
    case(&[(&scaling("/schedules/2/expected/requestsPerSecond"), json!(0))], "requestsPerSecond must be above 0");
    cases
}

/// Every rule of a schema on one state of a resource, as `path: message`; list items and map values are `[]`. Rules on
/// changes have a test of their own.
fn rules(schema: &Value, path: &str, found: &mut BTreeSet<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_else(|| panic!("{path}: a rule without a message: {rule}"));
        if rule["rule"].as_str().is_some_and(|text| text.contains("oldSelf")) {
            continue;
        }
        assert!(found.insert((path.to_owned(), message.to_owned())), "{path}: twice the same rule: {message}");
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        rules(property, format!("{path}.{name}").trim_start_matches('.'), found);
    }
    for holder in ["items", "additionalProperties"] {
        if schema[holder].is_object() {
            rules(&schema[holder], &format!("{path}[]"), found);
        }
    }
}

/// Every rule of the CRD, as path and message.
pub fn all_rules(crd: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    rules(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
    found
}

/// `spec.apps[0].x` as `spec.apps[].x`.
pub fn without_indices(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                out.push_str("[]");
            }
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}
