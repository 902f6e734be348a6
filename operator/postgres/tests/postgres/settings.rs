//! Real servers: durability, limits and other settings, extensions.

use crate::support::{Cluster, connect, said};
use learningplatform_postgres::{
    Durability, DurabilityNow, Role, Seen, Write,
    config::{Limits, Server},
    decide,
};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const PRIMARY: Role = Role::Primary;
const FIRST: Role = Role::Replica(0);
const SECOND: Role = Role::Replica(1);

/// Writes numbers, and keeps those that were acknowledged.
struct Writer {
    ledger: Arc<Mutex<Vec<i64>>>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    fn start((ip, port): (IpAddr, u16)) -> Self {
        let (ledger, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, ends) = (ledger.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut number = 0;
            while !ends.load(Ordering::Relaxed) {
                let Ok(client) = connect(ip, port, "web_a", "web-secret-1").await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                while !ends.load(Ordering::Relaxed) {
                    number += 1;
                    match client.execute("INSERT INTO ledger VALUES ($1)", &[&number]).await {
                        Ok(_) => kept.lock().unwrap().push(number),
                        Err(_) => break,
                    }
                }
            }
        });
        Self { ledger, stop, task }
    }

    fn count(&self) -> usize {
        self.ledger.lock().unwrap().len()
    }

    async fn reaches(&self, count: usize) {
        let end = Instant::now() + crate::support::PATIENCE;
        while self.count() < count {
            assert!(Instant::now() < end, "{} of {count} writes", self.count());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.ledger.lock().unwrap().iter().copied().collect()
    }
}

/// Scenario 2: with `required`, every acknowledged commit is on the primary after a crash, and on a replica's disk.
#[tokio::test]
async fn required_commits_survive_a_crash_and_wait_for_replicas() {
    let mut cluster = Cluster::new(1);
    cluster.wish.durability = Durability::Required { replicas: 1 };
    let (_, decision) = cluster.settle().await;
    assert_eq!(decision.view.durability, DurabilityNow::Required { waits_for: 1, answering: 1 });
    let app = cluster.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE ledger (number bigint)").await.unwrap();
    let writer = Writer::start(cluster.endpoint(PRIMARY));
    writer.reaches(200).await;
    cluster.node(PRIMARY).kill();
    cluster.settle().await;
    let after = writer.count();
    writer.reaches(after + 100).await;

    // Without its replica commits wait, it is said, and what holds is not weakened.
    cluster.node(FIRST).kill();
    let hangs = |seen: &Seen| seen.primary.as_ref().is_ok_and(|primary| matches!(primary.write, Write::Hangs(_)));
    let end = Instant::now() + crate::support::PATIENCE;
    let decision = loop {
        let seen = cluster.observe().await;
        let decision = decide(&cluster.wish, &seen);
        assert!(!decision.acts.iter().any(|act| act.sentence().contains("synchronous")), "{decision:#?}");
        if hangs(&seen) && decision.view.durability.waits() {
            break decision;
        }
        assert!(Instant::now() < end, "{decision:#?}");
    };
    assert!(said(&decision, "WritesHang") && !decision.view.ready() && !decision.view.accepts_writes);
    assert_eq!(decision.view.durability, DurabilityNow::Required { waits_for: 1, answering: 0 });
    // Looking again starts no second write that hangs.
    cluster.observe().await;
    let hanging = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lp_write'";
    assert_eq!(cluster.node(PRIMARY).superuser(hanging), "1");

    cluster.settle().await;
    let more = writer.count();
    writer.reaches(more + 100).await;
    let ledger = writer.end().await;
    // Both lose power at once: what was acknowledged is on both disks.
    cluster.node(PRIMARY).kill();
    cluster.node(FIRST).kill();
    cluster.start(FIRST);
    for role in [FIRST, PRIMARY] {
        if role == PRIMARY {
            cluster.settle().await;
        }
        let client = loop {
            match cluster.app(role, "web_a", "web-secret-1").await {
                Ok(client) => break client,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let rows = client.query("SELECT number FROM ledger", &[]).await.unwrap();
        let there: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let lost: Vec<_> = ledger.difference(&there).collect();
        assert!(lost.is_empty(), "{role:?} lost {lost:?} of {}", ledger.len());
    }
    // Less is promised only when it is wished, and then at once.
    for (durability, commit, names) in
        [(Durability::RemoteWrite, "remote_write", r#"ANY 1 ("story-main-pg-ro-0")"#), (Durability::Local, "local", "")]
    {
        cluster.wish.durability = durability;
        cluster.settle().await;
        assert_eq!(cluster.node(PRIMARY).superuser("SHOW synchronous_commit"), commit);
        assert_eq!(cluster.node(PRIMARY).superuser("SHOW synchronous_standby_names"), names);
    }
}

/// Scenario 7: replicas go first when a limit is raised, the primary when it is lowered, one at a time.
#[tokio::test]
async fn limits_are_raised_on_replicas_first_and_lowered_on_the_primary_first() {
    let mut cluster = Cluster::new(2);
    cluster.settle().await;
    let limit = |cluster: &mut Cluster, role| cluster.node(role).superuser("SHOW max_connections");
    for (value, order) in [("140", [FIRST, SECOND, PRIMARY]), ("120", [PRIMARY, FIRST, SECOND])] {
        cluster.wish.server.parameters.insert("max_connections".into(), value.into());
        cluster.mount();
        let mut restarts = Vec::new();
        cluster
            .until("all have the new limit", |seen, decision| {
                restarts.extend(decision.restart.as_ref().map(|restart| restart.role));
                let limits = |role| match role {
                    Role::Primary => seen.primary.as_ref().ok().map(|primary| primary.settings.limits),
                    Role::Replica(ordinal) => seen.answer(ordinal).map(|replica| replica.settings.limits),
                };
                let wished = Limits::of(&server(value));
                [PRIMARY, FIRST, SECOND].into_iter().all(|role| limits(role) == Some(wished))
                    && decision.restart.is_none()
            })
            .await;
        assert_eq!(restarts, order, "to {value}");
        for role in order {
            assert_eq!(limit(&mut cluster, role), value);
        }
    }
    // A replica that crashes in the middle of lowering starts with what its log asks for.
    cluster.wish.server.parameters.insert("max_connections".into(), "60".into());
    cluster.mount();
    cluster.node(FIRST).kill();
    cluster.start(FIRST);
    cluster.until("the replica is back", |seen, _| seen.answer(0).is_some_and(|replica| replica.streaming)).await;
    cluster.settle().await;
    for role in [PRIMARY, FIRST, SECOND] {
        assert_eq!(limit(&mut cluster, role), "60");
    }
    let logs = cluster.logs();
    assert!(!logs.contains("insufficient parameter settings"), "{logs}");

    // A setting that needs no restart is taken by a reload alone.
    cluster.wish.server.parameters.insert("work_mem".into(), "7MB".into());
    cluster.mount();
    let (_, decision) = cluster.round().await;
    assert_eq!((decision.acts.len(), decision.restart), (3, None));
    cluster.settle().await;
    assert_eq!(cluster.node(SECOND).superuser("SHOW work_mem"), "7MB");

    // With a file that the servers refuse nothing is restarted.
    cluster.wish.server.parameters.insert("shared_buffers".into(), "many".into());
    cluster.mount();
    cluster.node(PRIMARY).outdated = true;
    for _ in 0..3 {
        let (_, decision) = cluster.round().await;
        assert_eq!((decision.acts, decision.restart), (vec![], None));
        assert!(
            decision.view.verdicts.iter().any(|verdict| verdict.message.contains("shared_buffers")),
            "{:#?}",
            decision.view
        );
    }
    cluster.wish.server.parameters.insert("shared_buffers".into(), "16MB".into());
    cluster.mount();
    cluster.settle().await;
    assert!(!cluster.node(PRIMARY).outdated);
}

fn server(max_connections: &str) -> Server {
    let parameters = [("max_connections".to_owned(), max_connections.to_owned())].into();
    Server { parameters, most_replicas: 3, ..Default::default() }
}

/// When the apps have taken all connections it is said; where the server can, it keeps some for the operator.
#[tokio::test]
async fn exhausted_connections_are_said() {
    let mut cluster = Cluster::new(0);
    cluster.wish.server.parameters.insert("max_connections".into(), "20".into());
    cluster.mount();
    let (_, decision) = cluster.settle().await;
    let (_, most) = decision.view.connections.unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = cluster.app(PRIMARY, "web_a", "web-secret-1").await {
        clients.push(client);
        assert!(clients.len() <= most as usize);
    }
    assert!(cluster.node(PRIMARY).is_ready(), "the probe has connections of its own");
    let seen = cluster.observe().await;
    let decision = decide(&cluster.wish, &seen);
    if decision.view.major.is_some_and(|major| major >= 16) {
        assert!(decision.view.accepts_writes && decision.view.connections.unwrap().0 >= most);
    } else {
        assert!(said(&decision, "ConnectionsExhausted") && decision.acts.is_empty());
    }
    drop(clients);
    cluster.settle().await;
}

/// Extensions are made by the pod: at first, and later at the next start. One that the image lacks is told of.
#[tokio::test]
async fn extensions_are_made_by_the_pod_at_its_next_start() {
    let mut cluster = Cluster::new(0);
    cluster.wish.databases[0].extensions = vec!["plpgsql".into()];
    cluster.mount();
    cluster.settle().await;
    let pid = cluster.node(PRIMARY).superuser("SELECT pg_postmaster_start_time()");
    let extra = cluster.node(PRIMARY).superuser(
        "SELECT name FROM pg_available_extensions WHERE installed_version IS NULL AND name IN ('pg_trgm', 'citext', 'pgcrypto') LIMIT 1",
    );
    cluster.wish.databases[0].extensions = vec!["plpgsql".into(), "no_such".into()];
    cluster.mount();
    let (_, decision) = cluster.until("it is told", |_, decision| said(decision, "ExtensionMissing")).await;
    assert_eq!(decision.restart, None, "a restart would not help");
    assert!(!extra.is_empty(), "this PostgreSQL comes without any of the usual extensions");

    cluster.wish.databases[0].extensions = vec!["plpgsql".into(), extra.clone()];
    cluster.wish.may_restart = false;
    cluster.mount();
    let (_, decision) = cluster.until("it is told", |_, decision| said(decision, "PendingMaintenance")).await;
    assert_eq!(decision.restart, None);
    assert_eq!(cluster.node(PRIMARY).superuser("SELECT pg_postmaster_start_time()"), pid);
    cluster.wish.may_restart = true;
    cluster.settle().await;
    let app = cluster.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
    let rows = app.query("SELECT FROM pg_extension WHERE extname = $1", &[&extra]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_ne!(cluster.node(PRIMARY).superuser("SELECT pg_postmaster_start_time()"), pid);
}
