//! Real servers: databases are dumped, and others, of newer versions too, are made of that.

use crate::support::{
    Cluster, PATIENCE,
    bucket::{Bucket, Uploader, fetch},
    node::{Node, newer},
    said,
    source::{PRIMARY, Source, counts, rows},
};
use learningplatform_postgres::{Decision, Login, Other, Password};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// Passwords that must stand nowhere.
const SECRETS: [&str; 3] = ["secret-1", "SCRAM-SHA-256$", "hidden-word"];
const ODD: &str = r#"it's a \ "school""#;

/// Databases with a bit of everything that a dump can miss.
fn furnish(node: &Node) {
    for sql in [
        "CREATE ROLE staff NOLOGIN NOINHERIT",
        "CREATE ROLE teacher LOGIN PASSWORD 'teacher-secret-1' CONNECTION LIMIT 7 VALID UNTIL '2030-01-01'",
        "ALTER ROLE teacher SET work_mem = '8MB'",
        "GRANT staff TO teacher WITH ADMIN OPTION",
        "GRANT app_owner TO staff",
        r#"CREATE DATABASE "it's a \ ""school""" OWNER teacher CONNECTION LIMIT 33"#,
        r#"ALTER DATABASE "it's a \ ""school""" SET statement_timeout = '17s'"#,
        r#"COMMENT ON DATABASE "it's a \ ""school""" IS 'not the first'"#,
        "ALTER ROLE teacher IN DATABASE app SET search_path = classes, public",
        "CREATE DATABASE closed",
        "ALTER DATABASE closed ALLOW_CONNECTIONS false",
        "CREATE TABLE in_postgres (word text)",
        "INSERT INTO in_postgres VALUES ('kept')",
    ] {
        node.superuser(sql);
    }
    node.superuser_in("template1", "CREATE TABLE in_every_new_one (i int)");
    node.superuser_in(ODD, "CREATE TABLE \"select\" AS SELECT i, md5(i::text) FROM generate_series(1, 100) i");
    node.superuser_in(
        "app",
        "CREATE EXTENSION pg_trgm; CREATE EXTENSION postgres_fdw; CREATE SCHEMA classes AUTHORIZATION app_owner;
         CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere');
         CREATE USER MAPPING FOR app_owner SERVER elsewhere OPTIONS (user 'x', password 'hidden-word');
         CREATE SUBSCRIPTION away CONNECTION 'host=nowhere password=hidden-word' PUBLICATION p WITH (connect = false);
         CREATE PUBLICATION ours FOR ALL TABLES;
         SET ROLE app_owner; SET search_path = classes, public;
         CREATE TABLE pupils (id serial PRIMARY KEY, name text COLLATE \"C\" NOT NULL, class bigint, notes jsonb,
           length int GENERATED ALWAYS AS (char_length(name)) STORED);
         CREATE TABLE classes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, head int REFERENCES pupils);
         ALTER TABLE pupils ADD FOREIGN KEY (class) REFERENCES classes;
         CREATE INDEX ON pupils USING gin (name public.gin_trgm_ops);
         INSERT INTO pupils (name, notes) SELECT 'pupil ' || i, '{\"a\": [1, null]}' FROM generate_series(1, 500) i;
         INSERT INTO classes (head) VALUES (3); UPDATE pupils SET class = 1 WHERE id < 100;
         ALTER SEQUENCE pupils_id_seq INCREMENT 5; SELECT nextval('pupils_id_seq'), nextval('classes_id_seq');
         CREATE VIEW seen WITH (security_barrier) AS SELECT name FROM pupils;
         CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM pupils;
         CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT upper($1)';
         REVOKE ALL ON FUNCTION shout(text) FROM PUBLIC; GRANT EXECUTE ON FUNCTION shout(text) TO staff;
         GRANT SELECT (name) ON pupils TO teacher; GRANT ALL ON SEQUENCE pupils_id_seq TO staff WITH GRANT OPTION;
         ALTER DEFAULT PRIVILEGES IN SCHEMA classes GRANT SELECT ON TABLES TO staff;
         ALTER TABLE pupils ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY nobody ON pupils USING (false);
         SELECT lo_from_bytea(4711, decode(repeat('00ff5c27', 100000), 'hex'));
         COMMENT ON LARGE OBJECT 4711 IS 'a picture'; GRANT SELECT ON LARGE OBJECT 4711 TO staff",
    );
}

/// All that a cluster has, as its superuser sees it; passwords apart, and what a dump has not.
fn all(node: &Node) -> String {
    let text = node.program(&["pg_dumpall", "--no-role-passwords", "--no-subscriptions", "--quote-all-identifiers"]);
    let tells = |line: &&str| !line.starts_with('\\') || line.starts_with("\\connect") || *line == "\\.";
    // Whoever granted it.
    let granted = |line: &str| line.split(" GRANTED BY ").next().unwrap_or_default().trim_end_matches(';').to_owned();
    text.lines().filter(tells).map(granted).collect::<Vec<_>>().join("\n")
}

/// Text in which a difference is found.
fn assert_same(found: &str, expected: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {number}");
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

fn json(source: &Source, name: &str) -> String {
    fs::read_to_string(source.repository(&format!("backups/{name}/backup.json"))).unwrap()
}

/// Whether a file or folder holds a text.
fn holds(path: &std::path::Path, text: &str) -> bool {
    !Command::new("grep").args(["-rlF", "-e", text]).arg(path).output().unwrap().stdout.is_empty()
}

#[tokio::test]
async fn a_database_of_dumps_has_all_that_the_other_had_but_its_passwords() {
    let mut source = Source::logical(|_| {}).await;
    furnish(source.cluster.node(PRIMARY));
    source.write("1 first", 1000).await;
    let name = source.backup(7);
    let report = source.job.termination().unwrap();
    assert!(report.contains("\"method\": \"Logical\"") && report.len() < 4096, "{report}");
    let told = json(&source, &name);
    for part in [
        "\"method\": \"logical\"".to_owned(),
        r#""name": "it's a \\ \"school\""}"#.to_owned(),
        "\"name\": \"app\"}".to_owned(),
        format!("\"server\": \"{}\"", source.sql("SHOW server_version")),
    ] {
        assert!(told.contains(&part), "{part} in {told}");
    }
    assert_eq!(told.matches("\"sha256\": \"").count(), 5, "roles, postgres, template1, app and the odd one: {told}");
    assert_eq!(source.sql("SELECT count(*) FROM pg_replication_slots"), "0", "nothing holds log");

    // Neither packed nor unpacked is there a password, nor in what was said.
    let mut texts = source.job.log() + &report;
    for entry in fs::read_dir(source.repository(&format!("backups/{name}"))).unwrap().flatten() {
        let path = entry.path();
        texts += &match path.extension().and_then(|end| end.to_str()) {
            Some("dump") => source.cluster.node(PRIMARY).program(&["pg_restore", "-f", "-", path.to_str().unwrap()]),
            _ => fs::read_to_string(&path).unwrap(),
        };
    }
    for secret in SECRETS {
        assert_eq!(texts.lines().find(|line| line.contains(secret)), None, "{secret}");
    }

    let mut copy = source.restored("latest", "").await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 1000)]));
    // These only their owner sees.
    let hidden = "ALTER USER MAPPING FOR app_owner SERVER elsewhere OPTIONS (DROP \"user\", DROP password)";
    source.cluster.node(PRIMARY).superuser_in("app", hidden);
    assert_same(&all(copy.node(PRIMARY)), &all(source.cluster.node(PRIMARY)));
    // What the keeper says to the server, which logs what changes something, apart.
    let logs = copy.logs();
    let line = |secret: &&str| logs.lines().find(|line| line.contains(*secret) && !line.contains("lp_operator@"));
    assert_eq!(SECRETS.iter().find_map(line), None);
    let passwords =
        "SELECT string_agg(rolname, ' ') FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname !~ '^lp_'";
    assert_eq!(copy.node(PRIMARY).superuser(passwords), "web_a", "by its new password");
    assert!(copy.app(PRIMARY, "web_a", "web-secret-1").await.is_err());
    let figures = "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'pupils'";
    assert_eq!(copy.node(PRIMARY).superuser_in("app", figures), "t", "plans have figures at once");
    assert_eq!(copy.node(PRIMARY).superuser("SHOW fsync"), "on");
    let systems = [&copy, &source.cluster].map(|cluster| cluster.wish.record.clone().unwrap().system_identifier);
    assert_ne!(systems[0], systems[1], "it is a database of its own");

    // The wish to restore stays where it was, and does nothing any more.
    let app = copy.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    app.batch_execute("INSERT INTO ledger VALUES ('2 new', 1)").await.unwrap();
    copy.node(PRIMARY).stop();
    copy.settle().await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 1000), ("2 new", 1)]));
    copy.node(PRIMARY).stop();
    let data = copy.node(PRIMARY).data();
    fs::rename(&data, copy.path("aside")).unwrap();
    copy.until("nothing is made over known data", |_, decision| said(decision, "DataMissing")).await;
    assert!(!data.exists() && !data.with_extension("new").exists());

    // No log leads from it to a time.
    for which in ["latest", &name] {
        refused(&mut source.copy(which, "2026-11-02T08:00:00Z"), "leave targetTime out").await;
    }
    // Nor is anything damaged made a database.
    let dump = fs::read_dir(source.repository(&format!("backups/{name}"))).unwrap().flatten();
    let dump = dump.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "dump")).unwrap();
    let mut bytes = fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&dump, bytes).unwrap();
    refused(&mut source.copy("latest", ""), "is damaged").await;
}

/// Waits until a restore is refused for a reason.
async fn refused(copy: &mut Cluster, why: &str) {
    let refused = |decision: &Decision| {
        let verdict = decision.view.verdicts.iter().find(|verdict| format!("{:?}", verdict.reason) == "StartRefused");
        verdict.is_some_and(|verdict| verdict.message.contains(why))
    };
    copy.until(why, |_, decision| refused(decision)).await;
    assert!(!copy.node(PRIMARY).data().exists());
}

#[tokio::test]
async fn a_newer_version_goes_on_with_the_dumps_of_an_older_one_and_not_the_other_way_round() {
    let mut source = Source::logical(|_| {}).await;
    let major = |text: String| text.split('.').next().unwrap().parse::<u32>().unwrap();
    let from = major(source.sql("SHOW server_version"));
    furnish(source.cluster.node(PRIMARY));
    source.write("1 first", 1000).await;
    source.backup(7);

    let mut copy = source.copy("latest", "");
    copy.programs = Some(newer().to_owned());
    // The login is there by the dump, and gets its password by a role that in older versions could give any.
    copy.settle().await;
    let to = major(copy.node(PRIMARY).superuser("SHOW server_version"));
    assert!(to > from, "{to} after {from}");
    assert_eq!(rows(&copy).await, counts(&[("1 first", 1000)]));
    for (database, sql, expected) in [
        ("app", "SELECT count(*) || ' ' || sum(length) FROM classes.pupils", "500 4392"),
        ("app", "SELECT nextval('classes.pupils_id_seq')", "510"),
        (
            "app",
            "SELECT md5(lo_get(4711))",
            &source.cluster.node(PRIMARY).superuser_in("app", "SELECT md5(lo_get(4711))"),
        ),
        ("app", "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension", "pg_trgm plpgsql postgres_fdw"),
        ("app", "SELECT has_column_privilege('teacher', 'classes.pupils', 'name', 'SELECT')", "t"),
        ("app", "SELECT relforcerowsecurity FROM pg_class WHERE oid = 'classes.pupils'::regclass", "t"),
        (ODD, "SELECT count(*) FROM \"select\"", "100"),
        (
            "postgres",
            "SELECT pg_has_role('teacher', 'staff', 'member') AND pg_has_role('staff', 'app_owner', 'member')",
            "t",
        ),
    ] {
        assert_eq!(copy.node(PRIMARY).superuser_in(database, sql), expected, "{sql}");
    }
    // Logins change as ever.
    copy.wish.logins[0] = Login {
        role: "web_b".into(),
        password: Some(Password::new("web-secret-3")),
        other: Some(("web_a".into(), Other::Retired)),
        ..copy.wish.logins[0].clone()
    };
    copy.settle().await;
    assert!(copy.app(PRIMARY, "web_b", "web-secret-3").await.is_ok());
    assert!(copy.app(PRIMARY, "web_a", "web-secret-2").await.is_err());

    let mut source = Source::logical(|cluster| cluster.programs = Some(newer().to_owned())).await;
    source.write("1 first", 10).await;
    source.backup(7);
    refused(&mut source.copy("latest", ""), &format!("was dumped by PostgreSQL {to}, and the image has {from}")).await;
    let mut copy = source.copy("latest", "");
    copy.programs = Some(newer().to_owned());
    copy.settle().await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10)]));
    assert_same(&all(copy.node(PRIMARY)), &all(source.cluster.node(PRIMARY)));
}

/// Waits for something that a process does.
fn await_that(what: &str, mut done: impl FnMut() -> bool, log: impl Fn() -> String) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}: {}", log());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn what_was_cut_off_is_no_backup_and_no_database() {
    let mut source = Source::logical(|_| {}).await;
    source.write("1 first", 10).await;
    let first = source.backup(7);
    source.cluster.node(PRIMARY).superuser_in(
        "app",
        "CREATE TABLE big AS SELECT i, md5(i::text) || repeat('x', 500) AS text FROM generate_series(1, 200000) i; CREATE INDEX ON big (text)",
    );
    let environment = source.environment(7);
    source.job.run("backup.sh", environment);
    let aside = |source: &Source| source.names().into_iter().find(|name| name.starts_with('.'));
    let of_big = |source: &Source| {
        let files = aside(source).map(|name| fs::read_dir(source.repository(&format!("backups/{name}"))));
        let files = files.into_iter().flatten().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|meta| meta.len() > 200_000)
    };
    await_that("it is being dumped", || of_big(&source), || source.job.log());
    let lines = source.job.command_lines();
    assert!(lines.contains("pg_dump") && !lines.contains("secret-1"), "{lines}");
    source.job.kill();
    let cut = aside(&source).unwrap();
    assert_eq!(source.names(), [cut.clone(), first.clone()]);
    refused(&mut source.copy(&cut, ""), "or it is not complete").await;
    assert_eq!(rows(&source.restored("latest", "").await).await, counts(&[("1 first", 10)]));
    let second = source.backup(7);
    assert_eq!(source.names(), [first, second.clone()], "what was cut off is removed");

    // A restore that is cut off is begun afresh, whenever that is.
    let mut copy = source.copy(&second, "");
    for stage in ["loading ", "INDEX"] {
        copy.start(PRIMARY);
        let works = |copy: &mut Cluster| match stage {
            "INDEX" => copy.node(PRIMARY).command_lines().contains(stage),
            _ => copy.node(PRIMARY).log().contains(stage),
        };
        let end = Instant::now() + PATIENCE;
        while !works(&mut copy) {
            assert!(copy.node(PRIMARY).runs() && Instant::now() < end, "{stage}: {}", copy.node(PRIMARY).log());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!copy.node(PRIMARY).command_lines().contains("secret-"));
        assert!(copy.app(PRIMARY, "web_a", "web-secret-1").await.is_err(), "nobody gets in");
        copy.node(PRIMARY).kill();
        assert!(!copy.node(PRIMARY).data().exists() && copy.node(PRIMARY).data().with_extension("new").exists());
    }
    copy.settle().await;
    assert_eq!(copy.node(PRIMARY).superuser_in("app", "SELECT count(*) FROM big"), "200000");
    assert!(!copy.node(PRIMARY).data().with_extension("new").exists());

    // A dump that cannot be read ends the restore: of several databases none is left out.
    source.sql("CREATE DATABASE shut");
    source.sql("REVOKE ALL ON DATABASE shut FROM PUBLIC");
    let environment = source.environment(7);
    source.job.run("backup.sh", environment);
    assert_eq!(source.job.wait_for_exit(), Some(1), "{}", source.job.log());
    let words = source.job.termination().unwrap();
    assert!(
        words.starts_with("BackupFailed: ") && words.contains("GRANT CONNECT ON DATABASE shut TO lp_backup"),
        "{words}"
    );
}

#[tokio::test]
async fn one_method_follows_the_other_and_the_log_goes_with_the_last_base_backup() {
    let mut source = Source::new(|_| {}).await;
    source.write("1 first", 10).await;
    // Before its next start the primary does not let backups read everything.
    source.logical = true;
    let environment = source.environment(7);
    source.job.run("backup.sh", environment);
    assert_eq!(source.job.wait_for_exit(), Some(1));
    assert!(source.job.termination().unwrap().contains("from its next start on"), "{:?}", source.job.termination());
    source.logical = false;
    let bucket = Bucket::new(&source);
    let mut uploader = Uploader::new(&source, &bucket, 2);
    let base = source.backup(2);
    source.sql("SELECT pg_switch_wal()");
    source.write("2 second", 20).await;
    source.received().await;
    uploader.done();
    assert!(!bucket.names("wal").is_empty() && !bucket.names("receiving").is_empty());
    uploader.node.kill();

    source.archive.terminate();
    source.cluster.wish.archive = learningplatform_postgres::Archive::Off;
    source.cluster.wish.server.dumps = true;
    source.cluster.mount();
    let dropped =
        |seen: &learningplatform_postgres::Seen| seen.primary.as_ref().is_ok_and(|primary| primary.slots.is_empty());
    source.cluster.until("the slot goes", |seen, _| dropped(seen)).await;
    source.cluster.settle().await;
    source.logical = true;
    uploader.start(Uploader::environment(&source, &bucket, 2));
    source.write("3 third", 30).await;
    let first = source.backup(2);
    assert_eq!(source.names(), [base.clone(), first.clone()]);
    let log = |source: &Source| ["wal", "receiving"].map(|of| fs::read_dir(source.repository(of)).unwrap().count());
    assert_ne!(log(&source), [0, 0], "the base backup still has the log that follows it");
    uploader.done();
    assert_eq!((bucket.backups(), bucket.names("wal").is_empty()), (source.names(), false));
    let copy = source.restored("latest", "").await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10), ("2 second", 20), ("3 third", 30)]));
    let time = "2030-01-01T00:00:00Z";
    let copy = source.restored(&base, "").await;
    assert_eq!(rows(&copy).await, counts(&[("1 first", 10), ("2 second", 20)]));
    refused(&mut source.copy(&first, time), "is logical, and no log leads from it to a time").await;
    let second = source.backup(2);
    assert_eq!((source.names(), log(&source)), (vec![first, second], [0, 0]));
    uploader.done();
    let log = [bucket.names("wal"), bucket.names("receiving")].concat();
    assert_eq!((bucket.backups(), log), (source.names(), vec![]));
}

#[tokio::test]
async fn a_bucket_has_the_dumps_and_keeps_the_newest() {
    let mut source = Source::logical(|_| {}).await;
    let bucket = Bucket::new(&source);
    let mut uploader = Uploader::new(&source, &bucket, 2);
    furnish(source.cluster.node(PRIMARY));
    let mut names = Vec::new();
    for kind in ["1 first", "2 second", "3 third"] {
        source.write(kind, 10).await;
        let mut environment = source.environment(2);
        environment.extend(bucket.access());
        source.job.run("backup.sh", environment);
        assert_eq!(source.job.wait_for_exit(), Some(0), "{}", source.job.log());
        let report = source.job.termination().unwrap();
        assert!(report.contains("\"uploaded\": true"), "{report}");
        names.push(report.split("\"name\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned());
    }
    uploader.done();
    assert_eq!((source.names(), bucket.names("backups")), (names[1..].to_vec(), names[1..].to_vec()));
    assert_eq!((bucket.names("wal"), bucket.names("receiving")), (vec![], vec![]));
    assert!(!SECRETS.iter().any(|secret| holds(&bucket.path("backups"), secret)));

    // The volume goes with its node.
    uploader.node.kill();
    fs::remove_dir_all(source.volume()).unwrap();
    for (name, expected) in [("latest", 3), (&names[1], 2)] {
        let mut copy = Cluster::new(0);
        copy.wish.logins[0].password = Some(Password::new("web-secret-2"));
        let mut downloader = Node::new("story-main-pg-0", copy.path("story-main-pg-0"));
        let environment = copy.environment(PRIMARY);
        assert_eq!(fetch(&mut downloader, environment.clone(), &bucket, [name, "2026-11-02T08:00:00Z"]), Some(75));
        assert!(downloader.termination().unwrap().contains("leave targetTime out"), "{:?}", downloader.termination());
        assert_eq!(fetch(&mut downloader, environment, &bucket, [name, ""]), Some(0), "{}", downloader.log());
        let fetched = downloader.data().with_extension("fetched");
        drop(downloader);
        let from =
            [("LP_RESTORE_DIR", fetched.to_str().unwrap()), ("LP_RESTORE_BACKUP", name), ("LP_RESTORE_TIME", "")];
        copy.restore(from.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        copy.settle().await;
        assert!(!fetched.exists(), "what was fetched has gone");
        assert_eq!(rows(&copy).await.len(), expected);
    }
}
