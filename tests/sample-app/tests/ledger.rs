//! The ledger program against real servers.

#![allow(clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod servers;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use servers::{DEADLINE, PASSWORD, Postgres, Redis, Service, until};
use tokio::process::{Child, Command};
use tokio::time::timeout;

struct Stores {
    database: Postgres,
    cache: Redis,
    folder: tempfile::TempDir,
}

struct Output {
    status: ExitStatus,
    result: Value,
    error: String,
}

impl Stores {
    async fn new() -> Self {
        let cache = Redis::cluster().await;
        Self { database: Postgres::new(), cache, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("ledger")
    }

    fn start(&self, arguments: &[&str]) -> Child {
        start(&self.file(), &[self.database.variables(), self.cache.variables()].concat(), arguments)
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        end(self.start(arguments)).await
    }

    /// Waits until the file has so many records of a store.
    async fn records(&self, store: &str, least: usize) {
        until("the ledger has records", async || self.count(store) >= least).await;
    }

    fn count(&self, store: &str) -> usize {
        let text = std::fs::read_to_string(self.file()).unwrap_or_default();
        text.lines().filter(|line| line.starts_with(store)).count()
    }
}

fn start(file: &Path, variables: &[(String, String)], arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ledger"))
        .args(arguments)
        .args(["-o", "json", "--file"])
        .arg(file)
        .env_clear()
        .envs(variables.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn terminate(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

async fn end(child: Child) -> Output {
    let output = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    let (text, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(!text.contains(PASSWORD) && !error.contains(PASSWORD), "{text}{error}");
    Output { status: output.status, result: serde_json::from_str(&text).unwrap_or_default(), error }
}

/// The figures of a store in a result.
fn of<'a>(output: &'a Output, store: &str) -> &'a Value {
    let stores = output.result["stores"].as_array();
    let stores = stores.unwrap_or_else(|| panic!("{}{}", output.result, output.error));
    stores.iter().find(|found| found["store"] == store).unwrap_or_else(|| panic!("{}", output.result))
}

#[tokio::test]
async fn what_is_there_is_complete_and_a_loss_made_on_purpose_is_found() {
    let stores = Stores::new().await;
    let written = stores.run(&["write", "--for", "3s", "--rate", "100"]).await;
    assert_eq!(written.status.code(), Some(0), "{}", written.error);
    let writer = written.result["writer"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(stores.file()).unwrap();
    assert!(!text.contains(PASSWORD));
    for store in ["postgres", "redis"] {
        let figures = of(&written, store);
        let acknowledged = figures["acknowledged"].as_u64().unwrap();
        assert!(acknowledged >= 30, "{figures}");
        assert_eq!(text.lines().filter(|line| line.starts_with(store)).count() as u64, acknowledged);
        assert_eq!((&figures["unknown"], &figures["reads"]["errors"]), (&0.into(), &0.into()), "{figures}");
        for operations in [&figures["writes"], &figures["reads"]] {
            assert!(operations["done"].as_u64().unwrap() > 0, "{figures}");
            assert!(operations["longestPauseMs"].as_f64().unwrap() > 0.0, "{figures}");
        }
    }
    let rows = stores.database.sql("postgres", "select count(*) from ledger").await;
    assert_eq!(rows, [of(&written, "postgres")["acknowledged"].to_string()]);
    for node in &stores.cache.nodes {
        let keys: u64 = servers::ask(node.address, &["dbsize"]).await.unwrap();
        assert!(keys > 0, "a node has no record");
    }

    let checked = stores.run(&["check"]).await;
    assert_eq!((checked.status.code(), &checked.result["passed"]), (Some(0), &true.into()), "{}", checked.error);
    assert_eq!(of(&checked, "redis")["acknowledged"], of(&written, "redis")["acknowledged"]);

    stores.database.sql("postgres", "delete from ledger where n = 7").await;
    for number in [3, 4] {
        stores.cache.on_key::<()>(&["del", &format!("ledger:{writer}:{number}")]).await;
    }
    let checked = stores.run(&["check"]).await;
    assert_eq!((checked.status.code(), &checked.result["passed"]), (Some(1), &false.into()));
    let names = |store| {
        let report = of(&checked, store);
        assert_eq!(report["lost"], report["firstLost"].as_array().unwrap().len());
        report["firstLost"].clone()
    };
    assert_eq!(names("postgres"), serde_json::json!([format!("ledger:{writer}:7")]));
    let lost = [format!("ledger:{writer}:3"), format!("ledger:{writer}:4")];
    assert_eq!(names("redis"), serde_json::json!(lost));
    for (arguments, code) in [
        (&["check", "--allow-lost", "1"][..], 1),
        (&["check", "--allow-lost", "2"], 0),
        (&["check", "--allow-lost", "1", "--store", "postgres"], 0),
    ] {
        assert_eq!(stores.run(arguments).await.status.code(), Some(code), "{arguments:?}");
    }
    // A key of the right name with something else in it is a loss as well.
    stores.cache.on_key::<()>(&["set", &format!("ledger:{writer}:5"), "five"]).await;
    assert_eq!(of(&stores.run(&["check"]).await, "redis")["lost"], 3);
}

#[tokio::test]
async fn servers_killed_meanwhile_lose_no_acknowledged_record_and_a_correct_client_sees_no_error() {
    let mut stores = Stores::new().await;
    let writing = stores.start(&["write", "--for", "1h", "--rate", "100"]);
    stores.records("postgres", 50).await;
    stores.records("redis", 50).await;
    for _ in 0..2 {
        let before = (stores.count("postgres"), stores.count("redis"));
        // 57P01, as at a restart in an orderly way.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sample-app'";
        assert!(!stores.database.sql("postgres", end).await.is_empty());
        stores.records("postgres", before.0 + 20).await;
        stores.database.server.kill();
        stores.cache.nodes[1].kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        stores.database.server.start();
        stores.cache.nodes[1].start();
        for (store, before) in [("postgres", before.0), ("redis", before.1)] {
            stores.records(store, before + 50).await;
        }
    }
    terminate(&writing);
    let written = end(writing).await;
    assert_eq!(written.status.code(), Some(0), "{}", written.error);
    for store in ["postgres", "redis"] {
        let figures = of(&written, store);
        assert_eq!((&figures["writes"]["errors"], &figures["reads"]["errors"]), (&0.into(), &0.into()), "{figures}");
        assert!(figures["retries"].as_u64().unwrap() > 0, "{figures}");
        // It was gone for half a second.
        for operations in ["writes", "reads"] {
            assert!(figures[operations]["longestPauseMs"].as_f64().unwrap() >= 400.0, "{figures}");
        }
    }
    stores.cache.agreed().await;
    let checked = stores.run(&["check"]).await;
    assert_eq!(checked.status.code(), Some(0), "{} {}", checked.result, checked.error);
}

#[tokio::test]
async fn a_primary_that_hangs_is_left_for_the_replica_that_takes_over() {
    let mut stores = Stores::new().await;
    stores.cache.add_replica(1).await;
    let replica = stores.cache.nodes[3].address;
    let writing = stores.start(&["write", "--for", "1h", "--store", "redis"]);
    stores.records("redis", 50).await;
    stores.cache.nodes[1].freeze();
    until("the replica takes over", async || {
        servers::ask::<String>(replica, &["info", "replication"]).await.unwrap().contains("role:master")
    })
    .await;
    // The old primary still holds its connections open, and never answers.
    let before: u64 = servers::ask(replica, &["dbsize"]).await.unwrap();
    until("the new primary is written to", async || {
        servers::ask::<u64>(replica, &["dbsize"]).await.unwrap() > before + 20
    })
    .await;
    terminate(&writing);
    let figures = of(&end(writing).await, "redis").clone();
    assert_eq!((&figures["writes"]["errors"], &figures["reads"]["errors"]), (&0.into(), &0.into()), "{figures}");
}

#[tokio::test]
async fn a_planned_switch_of_a_single_cache_loses_nothing() {
    let (old, new) = (Redis::single(), Redis::single());
    let (from, to) = (old.nodes[0].address, new.nodes[0].address);
    let (host, port) = (from.ip().to_string(), from.port().to_string());
    servers::ask::<()>(to, &["replicaof", &host, &port]).await.unwrap();
    let says = async |address, what: &str| {
        servers::ask::<String>(address, &["info", "replication"]).await.unwrap().contains(what)
    };
    until("the replica has its link", async || says(to, "master_link_status:up").await).await;

    let service = Service::new(from).await;
    let variables = [("REDIS_URL".to_owned(), format!("redis://:{PASSWORD}@{}", service.address))];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let lines = || std::fs::read_to_string(&file).unwrap_or_default().lines().count();
    let writing = start(&file, &variables, &["write", "--for", "1h", "--rate", "200"]);
    until("there are records", async || lines() > 50).await;
    servers::ask::<()>(from, &["failover", "to", &to.ip().to_string(), &to.port().to_string()]).await.unwrap();
    until("the replica has taken over", async || says(to, "role:master").await).await;
    // Open connections still lead to the old primary, which takes no writes any more.
    service.lead_to(to);
    let before = lines();
    until("the new primary is written to", async || lines() > before + 50).await;
    terminate(&writing);
    let written = end(writing).await;
    let figures = of(&written, "redis");
    assert_eq!((&figures["writes"]["errors"], &figures["reads"]["errors"]), (&0.into(), &0.into()), "{figures}");
    let checked = end(start(&file, &variables, &["check"])).await;
    assert_eq!(checked.status.code(), Some(0), "{} {}", checked.result, checked.error);
}

#[tokio::test]
async fn records_without_an_acknowledgement_are_unknown_and_not_lost() {
    let mut stores = Stores::new().await;
    let writing = stores.start(&["write", "--for", "6s", "--patience", "1s", "--store", "postgres"]);
    stores.records("postgres", 20).await;
    stores.database.server.kill();
    let written = end(writing).await;
    let figures = of(&written, "postgres");
    let unknown = figures["unknown"].as_u64().unwrap();
    assert!(unknown >= 4, "{figures}");
    assert_eq!(figures["writes"]["errors"], unknown);
    assert!(figures["writes"]["lastError"].is_string(), "{figures}");

    // Not being able to look is no loss.
    let checked = stores.run(&["check", "--patience", "1s"]).await;
    assert_eq!(checked.status.code(), Some(2), "{}", checked.result);
    assert!(checked.error.contains("asking postgres"), "{}", checked.error);
    stores.database.server.start();
    let checked = stores.run(&["check"]).await;
    assert_eq!(checked.status.code(), Some(0), "{} {}", checked.result, checked.error);
    assert_eq!(of(&checked, "postgres")["acknowledged"], figures["acknowledged"]);
}

#[tokio::test]
async fn a_signal_ends_the_writing_early_with_its_summary() {
    let cache = Redis::single();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let writing = start(&file, &cache.variables(), &["write", "--for", "1h"]);
    until("there are records", async || std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 10))
        .await;
    terminate(&writing);
    let written = end(writing).await;
    assert_eq!((written.status.code(), &written.result["interrupted"]), (Some(0), &true.into()), "{}", written.error);
    assert_eq!(written.result["stores"].as_array().unwrap().len(), 1);
    let checked = end(start(&file, &cache.variables(), &["check"])).await;
    assert_eq!(checked.status.code(), Some(0), "{}", checked.error);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger");
    let nobody = vec![("REDIS_URL".to_owned(), format!("redis://:{PASSWORD}@{}", servers::nobody()))];
    for (variables, arguments, remedy) in [
        (&vec![], &["write", "--for", "1s"][..], "set DATABASE_URL or REDIS_URL"),
        (&nobody, &["write", "--for", "1s", "--patience", "1s"], "asking redis"),
        (&nobody, &["check"], "no record to check"),
    ] {
        let output = end(start(&file, variables, arguments)).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.error.contains(remedy), "{}", output.error);
    }
    std::fs::write(&file, "postgres a 1 2026-05-01T00:00:00Z 1.0\n").unwrap();
    let output = end(start(&file, &nobody, &["check"])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(output.error.contains("records of postgres, which is not wired"), "{}", output.error);
}
