//! Real servers: backups are brought to a bucket, and databases are made of what is there.

use crate::support::{
    Cluster,
    bucket::{Bucket, KEY, KEY_ID, Uploader, fetch},
    node::Node,
    said,
    source::{PRIMARY, Source, counts, rows},
};
use learningplatform_postgres::Password;
use std::{fs, process::Command};

/// A new database that is made of what is in the bucket.
async fn restored(bucket: &Bucket, which: [&str; 2]) -> Cluster {
    let mut copy = Cluster::new(0);
    copy.wish.logins[0].password = Some(Password::new("web-secret-2"));
    let mut downloader = Node::new("story-main-pg-0", copy.path("story-main-pg-0"));
    let environment = copy.environment(PRIMARY);
    assert_eq!(fetch(&mut downloader, environment, bucket, which), Some(0), "{}", downloader.log());
    // Whatever cut it off, a second start goes on.
    assert_eq!(fetch(&mut downloader, copy.environment(PRIMARY), bucket, which), Some(0), "{}", downloader.log());
    assert!(!downloader.log().contains(KEY), "{}", downloader.log());
    let fetched = downloader.data().with_extension("fetched");
    // Its end would be that of the server in the same folder.
    drop(downloader);
    let place = fetched.to_str().unwrap();
    let from = [("LP_RESTORE_DIR", place), ("LP_RESTORE_BACKUP", which[0]), ("LP_RESTORE_TIME", which[1])];
    copy.restore(from.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    copy.settle().await;
    assert!(!fetched.exists(), "what was fetched has gone");
    copy
}

fn backup(source: &mut Source, bucket: &Bucket, keep: u32) -> (String, String) {
    let mut environment = source.environment(keep);
    environment.extend(bucket.access());
    source.job.run("backup.sh", environment);
    assert_eq!(source.job.wait_for_exit(), Some(0), "{}", source.job.log());
    let report = source.job.termination().unwrap();
    let name = report.split("\"name\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    (name, report)
}

#[tokio::test]
async fn a_lost_volume_costs_no_row_that_was_in_the_bucket() {
    let mut source = Source::new(|_| {}).await;
    let bucket = Bucket::with_tls(&source);
    let mut uploader = Uploader::new(&source, &bucket, 7);
    source.write("1 before", 1000).await;
    let (name, report) = backup(&mut source, &bucket, 7);
    assert!(report.contains("\"uploaded\": true"), "{report}");
    assert_eq!(bucket.backups(), std::slice::from_ref(&name), "the backup ends when the bucket has it");
    source.write("2 after", 500).await;
    // A segment that is complete, and one that is not.
    source.sql("SELECT pg_switch_wal()");
    source.write("3 on time", 50).await;
    let time = source.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    source.write("4 late", 7).await;
    source.received().await;
    uploader.done();
    assert!(uploader.is_ready());
    assert_eq!(bucket.names("receiving").len(), 1, "the end of the log: {:?}", bucket.names("receiving"));

    assert!(!uploader.node.command_lines().contains(KEY) && !uploader.node.log().contains(KEY));
    let found = Command::new("grep").args(["-rlF", "-e", KEY, "-e", "secret-1"]).arg(source.volume()).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");

    // The volume goes with its node.
    uploader.node.kill();
    source.archive.kill();
    fs::remove_dir_all(source.volume()).unwrap();
    source.cluster.node(PRIMARY).kill();

    let mut latest = restored(&bucket, ["latest", ""]).await;
    assert_eq!(rows(&latest).await, counts(&[("1 before", 1000), ("2 after", 500), ("3 on time", 50), ("4 late", 7)]));
    assert_eq!(latest.wish.record.as_ref().map(|record| record.timeline), Some(2));
    latest.node(PRIMARY).stop();
    // Nothing is fetched again for a database that has data.
    let mut again = Node::new("again", latest.path("again"));
    let environment = latest.environment(PRIMARY);
    assert_eq!(fetch(&mut again, environment, &bucket, ["latest", ""]), Some(0));
    assert!(!again.data().with_extension("fetched").exists());

    let earlier = restored(&bucket, [&name, &time]).await;
    assert_eq!(rows(&earlier).await, counts(&[("1 before", 1000), ("2 after", 500), ("3 on time", 50)]));

    let mut downloader = Node::new("none", source.cluster.path("none"));
    let bare = Cluster::new(0);
    assert_eq!(fetch(&mut downloader, bare.environment(PRIMARY), &bucket, ["20200101t000000z", ""]), Some(75));
    assert!(downloader.termination().unwrap().starts_with("RestoreRefused: there is no backup 20200101t000000z"));
}

#[tokio::test]
async fn an_empty_volume_removes_nothing_and_newer_backups_push_out_older_ones() {
    let mut source = Source::new(|_| {}).await;
    let bucket = Bucket::new(&source);
    let mut uploader = Uploader::new(&source, &bucket, 2);
    source.write("1 first", 10).await;
    let (first, _) = backup(&mut source, &bucket, 2);
    source.sql("SELECT pg_switch_wal()");
    source.write("2 second", 10).await;
    let (second, _) = backup(&mut source, &bucket, 2);
    source.sql("SELECT pg_switch_wal()");
    source.received().await;
    uploader.done();
    let log = bucket.names("wal");
    assert_eq!((bucket.backups(), log.is_empty()), (vec![first.clone(), second.clone()], false));

    // The volume is empty, at first without anything, then with what is received anew.
    uploader.node.kill();
    source.archive.kill();
    fs::remove_dir_all(source.volume()).unwrap();
    fs::create_dir(source.volume()).unwrap();
    crate::support::node::give(&source.volume(), 0o755);
    uploader.start(Uploader::environment(&source, &bucket, 2));
    let end = std::time::Instant::now() + crate::support::PATIENCE;
    while !uploader.node.log().contains("waiting: nothing has been received yet") {
        assert!(std::time::Instant::now() < end, "{}", uploader.node.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(!uploader.is_ready(), "nobody can say that the bucket has everything");
    assert_eq!((bucket.backups(), bucket.names("wal")), (vec![first.clone(), second.clone()], log.clone()));
    source.receive().await;
    source.write("3 third", 10).await;
    source.received().await;
    uploader.done();
    assert_eq!(bucket.backups(), [first.clone(), second.clone()]);
    assert!(log.iter().all(|name| bucket.names("wal").contains(name)), "{:?}", bucket.names("wal"));
    let copy = restored(&bucket, ["latest", ""]).await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10), ("2 second", 10), ("3 third", 10)]));

    let (third, _) = backup(&mut source, &bucket, 2);
    uploader.done();
    assert_eq!(bucket.names("backups"), [second.clone(), third]);
    let json = fs::read_to_string(bucket.path(&format!("backups/{second}/backup.json"))).unwrap();
    let segment = json.split("\"segment\": \"").nth(1).unwrap()[..24].to_owned();
    let left = bucket.names("wal");
    assert!(left.len() < log.len() + 3 && left.iter().all(|name| name[..24] >= *segment), "{left:?} from {segment} on");

    // A folder is of one database: neither another system nor a copy of this one adds to it.
    uploader.node.kill();
    let mut environment = Uploader::environment(&source, &bucket, 2);
    environment.insert("LP_OWNER".into(), "learning/story-copy".into());
    uploader.start(environment);
    assert_eq!(uploader.node.wait_for_exit(), Some(75), "{}", uploader.node.log());
    assert!(uploader.node.termination().unwrap().starts_with("WrongCluster: "), "{:?}", uploader.node.termination());
    fs::write(source.repository("system"), "7777777777777777777\n").unwrap();
    uploader.start(Uploader::environment(&source, &bucket, 2));
    assert_eq!(uploader.node.wait_for_exit(), Some(75), "{}", uploader.node.log());
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told_and_mended() {
    let mut source = Source::new(|_| {}).await;
    let mut bucket = Bucket::new(&source);
    let mut uploader = Uploader::new(&source, &bucket, 2);
    source.write("1 first", 10).await;
    uploader.done();
    assert!(uploader.is_ready());

    bucket.stop();
    assert_eq!(uploader.node.wait_for_exit(), Some(1), "{}", uploader.node.log());
    let words = uploader.node.termination().unwrap();
    let (last, error) = words.split_once('\n').unwrap();
    assert!(last.starts_with("20") && last.ends_with('Z'), "when it last had everything: {words}");
    assert!(error.contains("connection refused"), "{words}");
    assert!(!uploader.is_ready());
    // A backup is complete without the bucket, and says so.
    let mut environment = source.environment(2);
    environment.extend(bucket.access());
    environment.insert("LP_PATIENCE".into(), "2".into());
    source.job.run("backup.sh", environment);
    assert_eq!(source.job.wait_for_exit(), Some(0), "{}", source.job.log());
    assert!(source.job.termination().unwrap().contains("\"uploaded\": false"), "{:?}", source.job.termination());

    bucket.start();
    uploader.start(Uploader::environment(&source, &bucket, 2));
    uploader.done();
    assert!(uploader.is_ready());
    assert_eq!(bucket.backups(), source.names(), "what was missed has come");

    // A key that is not taken is told, and not shown.
    uploader.node.kill();
    let mut environment = Uploader::environment(&source, &bucket, 2);
    let wrong = "another-secret-key";
    environment.insert("RCLONE_CONFIG_LP_SECRET_ACCESS_KEY".into(), wrong.into());
    uploader.start(environment);
    assert_eq!(uploader.node.wait_for_exit(), Some(1), "{}", uploader.node.log());
    let words = uploader.node.termination().unwrap();
    assert!(words.contains("SignatureDoesNotMatch") && !words.contains("RequestID"), "{words}");
    for secret in [wrong, KEY, KEY_ID] {
        assert!(!words.contains(secret) && !uploader.node.log().contains(secret), "{words}");
    }

    // So is one that a restore has.
    let mut copy = Cluster::new(0);
    bucket.stop();
    let mut downloader = Node::new("story-main-pg-0", copy.path("story-main-pg-0"));
    let environment = copy.environment(PRIMARY);
    assert_eq!(fetch(&mut downloader, environment, &bucket, ["latest", ""]), Some(75));
    assert!(
        downloader.termination().unwrap().starts_with("RestoreRefused: backups/learning/story-main cannot be read: ")
    );
    let place = downloader.data().with_extension("fetched");
    drop(downloader);
    copy.restore([("LP_RESTORE_DIR".to_owned(), place.to_str().unwrap().to_owned())].into());
    copy.until("nothing is made of nothing", |_, decision| said(decision, "StartRefused")).await;
    assert!(!copy.node(PRIMARY).data().exists());
}
