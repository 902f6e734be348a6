//! Real servers: the log is received, base backups are taken and let go of, and databases are made of them.

use crate::support::{
    Cluster, PATIENCE, said,
    source::{PRIMARY, Source, counts, rows},
};
use learningplatform_postgres::{Act, Archive, ArchiveState};
use std::{
    fs,
    time::{Duration, Instant},
};

#[tokio::test]
async fn a_restore_has_every_row_that_was_received_and_one_to_a_time_exactly_those_before() {
    let mut source = Source::new(|_| {}).await;
    source.write("1 before", 1000).await;
    source.backup(7);
    source.write("2 after", 500).await;
    // A segment that is complete, and one that is not.
    source.sql("SELECT pg_switch_wal()");
    source.write("3 on time", 50).await;
    let time = source.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    source.write("4 late", 7).await;
    source.received().await;

    let mut latest = source.restored("latest", "").await;
    assert_eq!(rows(&latest).await, counts(&[("1 before", 1000), ("2 after", 500), ("3 on time", 50), ("4 late", 7)]));
    assert_eq!(latest.wish.record.as_ref().map(|record| record.timeline), Some(2));
    let known = source.cluster.wish.record.clone().unwrap();
    assert_eq!(latest.wish.record.as_ref().map(|record| &record.system_identifier), Some(&known.system_identifier));
    let settings = "SELECT string_agg(name, ',') FROM pg_settings WHERE name ~ '^(restore_command|recovery_target_time)$' AND setting <> ''";
    assert_eq!(latest.node(PRIMARY).superuser(settings), "");
    // The former password opens nothing, and the copy takes writes of its own.
    assert!(latest.app(PRIMARY, "web_a", "web-secret-1").await.is_err());
    let app = latest.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    app.batch_execute("INSERT INTO ledger VALUES ('5 new', 1)").await.unwrap();

    let earlier = source.restored("latest", &time).await;
    assert_eq!(rows(&earlier).await, counts(&[("1 before", 1000), ("2 after", 500), ("3 on time", 50)]));
    assert_eq!(earlier.wish.record.as_ref().map(|record| record.timeline), Some(2));

    // The wish to restore stays where it was, and does nothing any more.
    latest.node(PRIMARY).stop();
    latest.settle().await;
    assert_eq!(rows(&latest).await.last(), Some(&("5 new".to_owned(), 1)));
    latest.node(PRIMARY).stop();
    let data = latest.node(PRIMARY).data();
    fs::rename(&data, latest.path("aside")).unwrap();
    latest.until("nothing is made over known data", |_, decision| said(decision, "DataMissing")).await;
    assert!(!data.exists() && !data.with_extension("new").exists());

    // The password of the role stands nowhere, and what another system wrote is not added to.
    assert!(!source.archive.command_lines().contains("secret-1") && !source.archive.log().contains("secret-1"));
    let found = std::process::Command::new("grep").args(["-rlF", "secret-1"]).arg(source.volume()).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
    let mut stranger = Cluster::new(0);
    stranger.settle().await;
    let mut environment = stranger.environment(PRIMARY);
    environment.insert("LP_BACKUP_DIR".into(), source.volume().to_str().unwrap().into());
    environment.insert("LP_KEEP".into(), "1".into());
    source.job.run("backup.sh", environment);
    assert_eq!(source.job.wait_for_exit(), Some(75));
    assert!(source.job.termination().unwrap().starts_with("WrongCluster: "), "{:?}", source.job.termination());
}

#[tokio::test]
async fn what_a_kept_backup_needs_stays_and_one_that_was_cut_off_is_none() {
    let mut source = Source::new(|_| {}).await;
    source.write("1 first", 10).await;
    let first = source.backup(2);
    let mut names = vec![first.clone()];
    for kind in ["2 second", "3 third"] {
        source.write(kind, 10).await;
        source.sql("SELECT pg_switch_wal()");
        source.received().await;
        names.push(source.backup(2));
    }
    assert_eq!(source.names(), names[1..], "the two newest stay");
    // Of the log nothing that the older of the two needs is gone, and of what came before nothing stays.
    let json = fs::read_to_string(source.repository(&format!("backups/{}/backup.json", names[1]))).unwrap();
    let segment = json.split("\"segment\": \"").nth(1).unwrap()[..24].to_owned();
    let log = || {
        let entries = fs::read_dir(source.repository("wal")).unwrap().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    assert!(log().iter().all(|name| name[..24] >= *segment), "{:?} from {segment} on", log());
    source.write("4 fourth", 10).await;
    source.received().await;
    let copy = source.restored(&names[1], "").await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10), ("2 second", 10), ("3 third", 10), ("4 fourth", 10)]));

    // Killed in the middle it leaves a directory that is no backup.
    source.sql("CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 500) FROM generate_series(1, 100000) i");
    let end = Instant::now() + PATIENCE;
    loop {
        source.job.run("backup.sh", source.environment(3));
        let begun = |source: &Source| source.names().iter().find(|name| name.starts_with('.')).cloned();
        while source.job.runs()
            && begun(&source).is_none_or(|name| !source.repository(&format!("backups/{name}/base.tar.gz")).exists())
        {
            assert!(Instant::now() < end, "no backup: {}", source.job.log());
            std::thread::sleep(Duration::from_millis(1));
        }
        source.job.kill();
        if begun(&source).is_some() {
            break;
        }
    }
    let complete =
        |source: &Source| source.names().into_iter().filter(|name| !name.starts_with('.')).collect::<Vec<_>>();
    let before = complete(&source);
    assert_eq!(source.names().len(), before.len() + 1, "{:?}", source.names());
    let copy = source.restored("latest", "").await;
    assert_eq!(rows(&copy).await.len(), 4);
    let cut = source.names()[0].clone();
    let mut refused = source.copy(&cut, "");
    refused.until("a backup that was cut off is refused", |_, decision| said(decision, "StartRefused")).await;
    let last = source.backup(1);
    assert_eq!(source.names(), std::slice::from_ref(&last), "what was cut off is removed");

    // A backup that was damaged does not become a database.
    let base = source.repository(&format!("backups/{last}/backup_manifest"));
    let text = fs::read_to_string(&base).unwrap();
    let at = text.rfind("\"Checksum\": \"").unwrap() + 13;
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    fs::write(&base, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let mut refused = source.copy("latest", "");
    refused.until("a damaged backup is refused", |_, decision| said(decision, "StartRefused")).await;
}

#[tokio::test]
async fn a_lost_slot_is_told_and_mended_by_a_new_backup_and_goes_when_nothing_is_received_any_more() {
    let mut source = Source::new(|cluster| {
        cluster.wish.server.volume = 1 << 20;
        cluster.wish.server.parameters.insert("min_wal_size".into(), "32MB".into());
        cluster.wish.server.parameters.insert("max_wal_size".into(), "32MB".into());
    })
    .await;
    source.write("1 first", 10).await;
    source.backup(7);
    source.archive.terminate();
    for _ in 0..8 {
        source.sql("CREATE TABLE fill AS SELECT repeat('x', 1000) FROM generate_series(1, 20000); DROP TABLE fill; SELECT pg_switch_wal()");
        source.sql("CHECKPOINT");
    }
    let lost = |decision: &learningplatform_postgres::Decision| decision.view.archive == Some(ArchiveState::Lost);
    let (_, decision) = source.cluster.until("the loss is seen", |_, decision| lost(decision)).await;
    assert!(decision.acts.is_empty() && decision.view.ready(), "it stays until it is recorded: {decision:#?}");
    source.cluster.wish.archive = Archive::Renewed;
    let (_, decision) = source.cluster.round().await;
    assert_eq!(decision.acts, [Act::DropSlot { slot: "lp_backup".into() }]);
    source.receive().await;
    source.cluster.wish.archive = Archive::On;
    source.write("2 second", 20).await;
    source.backup(7);
    source.write("3 third", 30).await;
    source.received().await;
    let copy = source.restored("latest", "").await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10), ("2 second", 20), ("3 third", 30)]));

    source.archive.terminate();
    source.cluster.wish.archive = Archive::Off;
    source
        .cluster
        .until("the slot goes", |seen, _| seen.primary.as_ref().is_ok_and(|primary| primary.slots.is_empty()))
        .await;
}
