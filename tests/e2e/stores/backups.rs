//! Backups in real pods, taken and restored by the command line.

use super::*;
use crate::lpctl::{code, lpctl, out};
use crds::status::StoreStatus;
use k8s_openapi::{
    api::{apps::v1::StatefulSet, core::v1::ConfigMap},
    jiff::Timestamp,
};

pub(super) async fn told(ns: &TestNamespace, name: &str) -> StoreStatus {
    let status = ns.platform("school").await.status.unwrap_or_default();
    status.databases.into_iter().find(|store| store.name == name).unwrap_or_default()
}

pub(super) async fn backups(ns: &TestNamespace, name: &str) -> (String, String, usize, bool) {
    let store = told(ns, name).await;
    let condition = store.conditions.iter().find(|condition| condition.type_ == "BackupReady");
    let (status, reason) = condition.map(|c| (c.status.clone(), c.reason.clone())).unwrap_or_default();
    let backup = store.backup.unwrap_or_default();
    (status, reason, backup.backups.len(), backup.streaming == Some(true))
}

/// Waits until all that was written is on the backup volume.
pub(super) async fn received(stores: &Stores<'_>) {
    let address = stores.addresses("main").await.remove("school-main-pg-0").expect("the primary's address");
    let mut config = tokio_postgres::Config::new();
    let password = stores.secret("main", "operatorPassword").await;
    config.host(&address).user("lp_operator").password(&password).dbname("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("a session");
    tokio::spawn(connection);
    let wanted: String =
        client.query_one("select pg_current_wal_flush_lsn()::text", &[]).await.expect("a position").get(0);
    let sql = format!(
        "select coalesce(bool_or(write_lsn >= '{wanted}'), false) from pg_stat_replication where application_name like '%backup%'"
    );
    let look = || async { client.query_one(&sql, &[]).await.expect("an answer").get::<_, bool>(0) };
    eventually("the log is received", MADE, look, |received| *received).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_dumped_and_a_second_one_is_made_of_that() {
    let (ns, operator) = scene("dumps").await;
    let backup = json!({"backup": {
        "method": "Logical", "schedule": {"cron": "0 0 1 1 *"}, "keep": 2, "volume": {"storage": "256Mi"}, "resources": resources(),
    }});
    ns.apply("school", json!({"databases": [database("main", backup)]})).await;
    ready(&ns, "school").await;
    let stores = Stores { ns: &ns, platform: "school" };
    let primary = stores.postgres("main", "school-main-pg-0").await;
    primary
        .batch_execute("create table pupils (id serial, name text); insert into pupils (name) select 'pupil ' || i from generate_series(1, 1000) i")
        .await
        .expect("writes");
    let taken = lpctl(&ns, &["backup", "main"]).await;
    assert_eq!(code(&taken), 0, "{}", out(&taken));
    let one = |seen: &(String, String, usize, bool)| *seen == ("True".into(), "BackupsNotOffCluster".into(), 1, false);
    eventually("the backup is told", MADE, || backups(&ns, "main"), one).await;
    let list = lpctl(&ns, &["backup", "main", "--list"]).await;
    assert!(out(&list).contains("Logical") && !out(&list).contains("the log"), "{}", out(&list));
    let set = ns.api::<StatefulSet>().get("school-main-backup").await.expect("the volume's set");
    let containers = set.spec.and_then(|spec| spec.template.spec).map(|spec| spec.containers).unwrap_or_default();
    assert_eq!(containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>(), ["hold"]);

    let late = lpctl(&ns, &["restore", "main", "--as", "copy", "--at", &Timestamp::now().to_string()]).await;
    assert!(code(&late) != 0, "{}", out(&late));
    let restored = lpctl(&ns, &["restore", "main", "--as", "copy", "--apply"]).await;
    assert_eq!(code(&restored), 0, "{}", out(&restored));
    let let_go = || async {
        let pod = ns.api::<Pod>().get_opt("school-copy-pg-0").await.expect("an answer").unwrap_or_default();
        let volumes = pod.spec.and_then(|spec| spec.volumes).unwrap_or_default();
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        ready && volumes.iter().all(|volume| volume.name != "restore")
    };
    eventually("the copy is made, and the volume is let go", MADE, let_go, |done| *done).await;
    ready(&ns, "school").await;
    let copy = stores.postgres("copy", "school-copy-pg-0").await;
    let (rows, next): (i64, i64) = {
        let row = copy.query_one("select count(*), nextval('pupils_id_seq') from pupils", &[]).await.expect("rows");
        (row.get(0), row.get(1))
    };
    assert_eq!(rows, 1000);
    assert!(next > 1000, "{next}");
    for secret in ["password", "backupPassword"] {
        let (of_main, of_copy) = (stores.secret("main", secret).await, stores.secret("copy", secret).await);
        assert_ne!(of_main, of_copy);
        assert!(!operator.logged().contains(&of_main), "{secret}");
    }
    ns.delete().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_backed_up_and_restored_beside_itself() {
    let (ns, _operator) = scene("backups").await;
    let backup = json!({"backup": {
        "schedule": {"cron": "0 0 1 1 *", "timeZone": "Europe/Berlin"}, "keep": 2, "volume": {"storage": "256Mi"}, "resources": resources(),
    }});
    ns.apply("school", json!({"databases": [database("main", backup)]})).await;
    ready(&ns, "school").await;
    let none = |seen: &(String, String, usize, bool)| seen.0 == "Unknown" && seen.1 == "Progressing" && seen.3;
    eventually("the log is received, and there is no backup yet", MADE, || backups(&ns, "main"), none).await;

    let stores = Stores { ns: &ns, platform: "school" };
    let primary = stores.postgres("main", "school-main-pg-0").await;
    primary
        .batch_execute("create table pupils (name text); insert into pupils values ('alice')")
        .await
        .expect("writes");
    let taken = lpctl(&ns, &["backup", "main"]).await;
    assert_eq!(code(&taken), 0, "{}", out(&taken));
    assert!(out(&taken).contains("is complete, "), "{}", out(&taken));
    let one =
        |seen: &(String, String, usize, bool)| seen.0 == "True" && seen.1 == "BackupsNotOffCluster" && seen.2 == 1;
    eventually("the backup is told", MADE, || backups(&ns, "main"), one).await;
    let list = lpctl(&ns, &["backup", "main", "--list"]).await;
    let name = told(&ns, "main").await.backup.expect("backups").backups[0].name.clone();
    assert!(out(&list).contains(&name) && out(&list).contains("the next one is due at"), "{}", out(&list));
    let status = lpctl(&ns, &["status"]).await;
    assert!(out(&status).contains("in this cluster alone") && code(&status) == 0, "{}", out(&status));

    primary
        .batch_execute("insert into pupils select 'pupil ' || i from generate_series(1, 1000) i")
        .await
        .expect("writes");
    received(&stores).await;
    let printed = lpctl(&ns, &["restore", "main", "--as", "copy"]).await;
    assert!(out(&printed).contains("claim: data-school-main-backup-0"), "{}", out(&printed));
    assert_eq!(ns.platform("school").await.spec.databases.len(), 1, "it is only printed");
    let begun = Instant::now();
    let restored = lpctl(&ns, &["restore", "main", "--as", "copy", "--apply"]).await;
    assert_eq!(code(&restored), 0, "{}", out(&restored));
    let record = || async {
        ns.api::<ConfigMap>().get_opt("school-copy-record").await.expect("an answer").and_then(|map| map.data)
    };
    eventually("the copy is known, on a timeline of its own", MADE, record, |data| {
        data.as_ref().is_some_and(|data| data.get("TIMELINE").is_some_and(|timeline| timeline == "2"))
    })
    .await;
    // It was restarted once, without the volume of the other's backups.
    let let_go = || async {
        let pod = ns.api::<Pod>().get_opt("school-copy-pg-0").await.expect("an answer").unwrap_or_default();
        let volumes = pod.spec.and_then(|spec| spec.volumes).unwrap_or_default();
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        ready && volumes.iter().all(|volume| volume.name != "restore")
    };
    eventually("the volume is let go", MADE, let_go, |done| *done).await;
    ready(&ns, "school").await;
    println!("restored and ready after {:?}", begun.elapsed());
    let copy = stores.postgres("copy", "school-copy-pg-0").await;
    let count: i64 = copy.query_one("select count(*) from pupils", &[]).await.expect("rows").get(0);
    assert_eq!(count, 1001);
    copy.batch_execute("insert into pupils values ('bob')").await.expect("writes");
    assert_ne!(stores.secret("main", "password").await, stores.secret("copy", "password").await);
    let seen = backups(&ns, "copy").await;
    assert_eq!(seen.2, 0, "its own backups begin with itself: {seen:?}");
    ns.delete().await;
}
