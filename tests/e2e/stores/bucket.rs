//! Backups in a bucket: what is there outlives their volume. The database speaks TLS alone to those that take them.

use super::{
    backups::{backups, received, told},
    *,
};
use crate::lpctl::{code, lpctl, out};
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Service},
    },
    jiff::Timestamp,
};
use kube::api::{DeleteParams, ListParams, PostParams};
use learningplatform_tests::harness::kubectl;

/// rclone, with a shell.
const RCLONE: &str = "docker.io/learningplatform/rclone:dev";
const KEY: &str = "bucket-secret-1";

/// A server of S3 with one bucket, and the Secret by which it is reached.
async fn bucket(ns: &TestNamespace) -> Value {
    let security = json!({
        "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 101, "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    });
    let serve = "mkdir -p /data/school-backups && exec rclone serve s3 --addr :9000 --config /notfound /data";
    let pod = json!({
        "metadata": {"name": "s3", "labels": {"app": "s3"}},
        "spec": {
            "containers": [{
                "name": "s3", "image": RCLONE, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", serve],
                "env": [{"name": "RCLONE_AUTH_KEY", "value": format!("\"school,{KEY}\"")}, {"name": "HOME", "value": "/data"}],
                "resources": resources(), "securityContext": security,
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    });
    let service = json!({
        "metadata": {"name": "s3"}, "spec": {"selector": {"app": "s3"}, "ports": [{"port": 9000}]},
    });
    let secret = json!({
        "metadata": {"name": "bucket"}, "stringData": {"AWS_ACCESS_KEY_ID": "school", "AWS_SECRET_ACCESS_KEY": KEY},
    });
    let made = PostParams::default();
    ns.api::<Pod>().create(&made, &serde_json::from_value(pod).expect("a pod")).await.expect("the server");
    ns.api::<Service>().create(&made, &serde_json::from_value(service).expect("a Service")).await.expect("its Service");
    ns.api::<Secret>().create(&made, &serde_json::from_value(secret).expect("a Secret")).await.expect("its Secret");
    json!({
        "bucket": "school-backups", "endpoint": format!("http://s3.{}.svc:9000", ns.name), "image": RCLONE,
        "credentialsSecret": {"name": "bucket"},
    })
}

/// Waits until the bucket has all that is on the volume now.
async fn uploaded(ns: &TestNamespace) {
    let now = Timestamp::now().as_second();
    let file = "/var/lib/learningplatform/backup/upload/time";
    let arguments = ["-n", &ns.name, "exec", "school-main-backup-0", "-c", "uploader", "--", "cat", file];
    let time = || async { kubectl(&arguments).await.trim().parse::<i64>().expect("a time") };
    eventually("the bucket has everything", MADE, time, |time| *time > now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_outlives_the_volume_of_the_backups() {
    let (ns, operator) = scene("bucket").await;
    let bucket = bucket(&ns).await;
    let backup = json!({
        "backup": {"schedule": {"cron": "0 0 1 1 *"}, "keep": 2, "volume": {"storage": "256Mi"}, "resources": resources(), "s3": bucket},
        "tls": {"generated": {}, "allowPlaintext": true},
    });
    ns.apply("school", json!({"databases": [database("main", backup)]})).await;
    ready(&ns, "school").await;
    let receives = |seen: &(String, String, usize, bool)| seen.3;
    eventually("the log is received", MADE, || backups(&ns, "main"), receives).await;
    let stores = Stores { ns: &ns, platform: "school" };
    let primary = stores.postgres("main", "school-main-pg-0").await;
    primary
        .batch_execute("create table pupils (name text); insert into pupils values ('alice')")
        .await
        .expect("writes");
    let taken = lpctl(&ns, &["backup", "main"]).await;
    assert!(code(&taken) == 0 && out(&taken).contains(", and in the bucket"), "{}", out(&taken));
    let off_cluster =
        |seen: &(String, String, usize, bool)| seen.0 == "True" && seen.1 == "Succeeded" && seen.2 == 1 && seen.3;
    eventually("the backup is told", MADE, || backups(&ns, "main"), off_cluster).await;
    let folder = format!("s3://school-backups/{}/school-main", ns.name);
    let backup = told(&ns, "main").await.backup.expect("backups");
    assert_eq!((backup.bucket.as_deref(), backup.uploaded), (Some(folder.as_str()), Some(true)));
    let status = lpctl(&ns, &["status"]).await;
    assert!(out(&status).contains(&format!("here and in {folder}")), "{}", out(&status));

    primary
        .batch_execute("insert into pupils select 'pupil ' || i from generate_series(1, 1000) i")
        .await
        .expect("writes");
    received(&stores).await;
    uploaded(&ns).await;

    // The pod of a backup holds the claim as long as it is there, also when it has ended.
    let gone = DeleteParams::background();
    ns.api::<Job>().delete_collection(&gone, &ListParams::default()).await.expect("the backup's Job is deleted");
    let claims = ns.api::<PersistentVolumeClaim>();
    let before = claims.get("data-school-main-backup-0").await.expect("the claim").metadata.uid;
    claims.delete("data-school-main-backup-0", &DeleteParams::default()).await.expect("deleted");
    ns.api::<Pod>().delete("school-main-backup-0", &DeleteParams::default()).await.expect("deleted");
    let other = || async {
        let claim = claims.get_opt("data-school-main-backup-0").await.expect("an answer");
        let pod = ns.api::<Pod>().get_opt("school-main-backup-0").await.expect("an answer");
        let bound = claim.as_ref().and_then(|claim| claim.status.as_ref()?.phase.clone());
        (claim.and_then(|claim| claim.metadata.uid) != before && bound.as_deref() == Some("Bound"), pod.is_some())
    };
    eventually("the volume is another one", MADE, other, |seen| *seen == (true, true)).await;
    eventually("backups go on, on an empty volume", MADE, || backups(&ns, "main"), off_cluster).await;

    let begun = Instant::now();
    let restored = lpctl(&ns, &["restore", "main", "--as", "copy", "--from-s3", "--apply"]).await;
    assert_eq!(code(&restored), 0, "{}", out(&restored));
    let let_go = || async {
        let pod = ns.api::<Pod>().get_opt("school-copy-pg-0").await.expect("an answer").unwrap_or_default();
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        ready && pod.spec.is_some_and(|spec| spec.init_containers.unwrap_or_default().is_empty())
    };
    eventually("the bucket is let go", MADE, let_go, |done| *done).await;
    ready(&ns, "school").await;
    println!("restored from the bucket and ready after {:?}", begun.elapsed());
    let copy = stores.postgres("copy", "school-copy-pg-0").await;
    let count: i64 = copy.query_one("select count(*) from pupils", &[]).await.expect("rows").get(0);
    assert_eq!(count, 1001);
    let left = kubectl(&["-n", &ns.name, "exec", "school-copy-pg-0", "--", "ls", "/var/lib/postgresql"]).await;
    assert_eq!(left.split_whitespace().filter(|name| *name != "lost+found").collect::<Vec<_>>(), ["data"]);

    let status = serde_json::to_string(&ns.platform("school").await).expect("JSON");
    assert!(!status.contains(KEY) && !operator.logged().contains(KEY));
    ns.delete().await;
}
