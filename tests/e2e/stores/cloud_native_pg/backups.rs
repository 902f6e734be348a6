//! Backups by the real Barman Cloud plugin, to a server of S3, and a database made of them.

use super::*;
use crate::lpctl::{code, lpctl, out};
use crds::status::StoreStatus;

fn backup(endpoint: &str) -> Value {
    json!({
        "schedule": {"cron": "0 0 1 1 *"}, "retention": "7d",
        "s3": {
            "bucket": plugin::BUCKET, "prefix": "databases", "endpoint": endpoint, "region": "us-east-1",
            "credentialsSecret": {"name": "s3"},
        },
        "resources": {"requests": {"cpu": "5m", "memory": "64Mi"}},
    })
}

async fn told(ns: &TestNamespace, name: &str) -> StoreStatus {
    let status = ns.platform("school").await.status.unwrap_or_default();
    status.databases.into_iter().find(|store| store.name == name).unwrap_or_default()
}

/// Status, reason and message of a condition of a database.
async fn condition(ns: &TestNamespace, name: &str, type_: &str) -> (String, String, String) {
    let store = told(ns, name).await;
    let found = store.conditions.into_iter().find(|condition| condition.type_ == type_);
    found.map(|c| (c.status, c.reason, c.message)).unwrap_or_default()
}

/// Waits until the log of a database is archived.
async fn archives(ns: &TestNamespace, name: &str) {
    let archiving = || async { told(ns, name).await.backup_window.unwrap_or_default().archiving };
    eventually("the log is archived", MADE, archiving, |archiving| *archiving == Some(true)).await;
}

/// What the superuser sees in a pod of a database.
async fn inside(ns: &TestNamespace, pod: &str, sql: &str) -> String {
    let said = kubectl(&[
        "-n", &ns.name, "exec", pod, "-c", "postgres", "--", "psql", "-U", "postgres", "-d", "app", "-qtAc", sql,
    ])
    .await;
    said.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_native_pg_backs_a_database_up_by_its_plugin_and_restores_it() {
    let _alone = ALONE.lock().await;
    let (ns, _operator) = scene("cnpg-backup").await;
    let is_ours = !operator::is_somebody_elses(&ns).await;
    assert!(is_ours, "the cluster has a CloudNativePG of its own: its definitions are not the test's to remove");
    operator::remove(&ns).await;
    operator::install(&ns).await;
    let endpoint = plugin::s3(&ns).await;

    // Without the plugin the database serves, and the condition says what is missing.
    let wish = json!({"readReplicas": 0, "backup": backup(&endpoint)});
    ns.apply("school", json!({"databases": [database(wish)]})).await;
    ready(&ns, "school").await;
    let backups = || condition(&ns, "main", "BackupReady");
    let says = |found: &(String, String, String), reason: &str, part: &str| found.1 == reason && found.2.contains(part);
    eventually("the missing API is told", MADE, backups, |c| {
        says(c, "NotFound", "does not serve barmancloud.cnpg.io/v1")
    })
    .await;
    let refused = lpctl(&ns, &["backup", "main"]).await;
    assert!(
        code(&refused) != 0 && out(&refused).contains("install CloudNativePG's Barman Cloud plugin"),
        "{}",
        out(&refused)
    );

    // Its API without it: CloudNativePG refuses to go on, which is told, too.
    plugin::define(&ns).await;
    eventually("the missing plugin is told", MADE, backups, |c| says(c, "NotFound", "knows no plugin barman-cloud"))
        .await;

    let begun = Instant::now();
    plugin::install(&ns).await;
    eventually("the plugin is found", MADE, backups, |c| says(c, "Progressing", "no backup has been taken yet")).await;
    ready(&ns, "school").await;
    archives(&ns, "main").await;
    println!("the log is archived {:?} after the plugin came", begun.elapsed());

    inside(&ns, "school-main-pg-1", "create table pupils as select 'alice' as name").await;
    let begun = Instant::now();
    let taken = lpctl(&ns, &["backup", "main"]).await;
    assert!(code(&taken) == 0 && out(&taken).contains("is complete"), "{}", out(&taken));
    println!("lpctl backup: {:?}", begun.elapsed());
    eventually("the backup is told", MADE, backups, |c| says(c, "Succeeded", "databases/school-main-pg")).await;
    let window = told(&ns, "main").await.backup_window.expect("a window");
    assert!(window.archiving == Some(true) && window.last.is_some(), "{window:?}");
    let listed = out(&lpctl(&ns, &["backup", "main", "--list"]).await);
    assert_eq!(listed.matches("completed").count(), 1, "{listed}");

    // What is written after the backup is in the log alone; what comes after `at` is not to be seen again.
    inside(&ns, "school-main-pg-1", "insert into pupils values ('bob')").await;
    let at = inside(
        &ns,
        "school-main-pg-1",
        "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    )
    .await;
    inside(&ns, "school-main-pg-1", "insert into pupils values ('carol')").await;
    let log = inside(&ns, "school-main-pg-1", "select pg_walfile_name(pg_switch_wal())").await;
    let archived = || inside(&ns, "school-main-pg-1", "select last_archived_wal from pg_stat_archiver");
    eventually("the log is archived", MADE, archived, |last| *last >= log).await;
    let begun = Instant::now();
    let restored = lpctl(&ns, &["restore", "main", "--as", "copy", "--at", &at, "--apply"]).await;
    assert_eq!(code(&restored), 0, "{}", out(&restored));
    ready(&ns, "school").await;
    println!("restored after {:?}", begun.elapsed());
    let names = || inside(&ns, "school-copy-pg-1", "select string_agg(name, ' ' order by name) from pupils");
    assert_eq!(names().await, "alice bob");
    assert_eq!(inside(&ns, "school-main-pg-1", "select count(*) from pupils").await, "3", "the other goes on");
    // Its own backups go beside those that it was made of.
    let own = || condition(&ns, "copy", "BackupReady");
    archives(&ns, "copy").await;
    let taken = lpctl(&ns, &["backup", "copy"]).await;
    assert_eq!(code(&taken), 0, "{}", out(&taken));
    eventually("the copy is backed up, too", MADE, own, |c| says(c, "Succeeded", "databases/school-copy-pg")).await;

    // Backups are no longer wished: the Cluster forgets the plugin, what is in the bucket stays.
    let mut spec = serde_json::to_value(ns.platform("school").await.spec).expect("a spec");
    for database in spec["databases"].as_array_mut().into_iter().flatten() {
        database["cloudNativePG"].as_object_mut().expect("fields").remove("backup");
    }
    ns.apply("school", spec).await;
    let plugins =
        || async { clusters(&ns).get("school-main-pg").await.expect("a Cluster").data["spec"]["plugins"].clone() };
    eventually("the Cluster names no plugin", MADE, plugins, Value::is_null).await;
    let window = || async { told(&ns, "main").await.backup_window };
    eventually("no backups are told of", MADE, window, Option::is_none).await;

    plugin::remove(&ns).await;
    operator::remove(&ns).await;
    ns.delete().await;
}
