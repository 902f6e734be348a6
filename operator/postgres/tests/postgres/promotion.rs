//! Real servers: a primary is lost under a writer that counts what was acknowledged, and its database goes on with the data of
//! the replica that is ahead.

use crate::support::{Cluster, said, state};
use learningplatform_postgres::{
    Durability, Elected, Promise, ReplicaState, Role, Safe, Unelected, candidates, decide, elect,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

const FIRST: Role = Role::Replica(0);
const SECOND: Role = Role::Replica(1);

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A writer that counts the commits that were acknowledged, until its connection ends.
async fn writer(cluster: &Cluster) -> (Arc<AtomicI64>, tokio::task::JoinHandle<()>) {
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE ledger (id bigint PRIMARY KEY)").await.unwrap();
    let acknowledged = Arc::new(AtomicI64::new(0));
    let count = acknowledged.clone();
    let task = tokio::spawn(async move {
        for id in 1_i64.. {
            if app.execute("INSERT INTO ledger VALUES ($1)", &[&id]).await.is_err() {
                return;
            }
            count.store(id, Ordering::Relaxed);
        }
    });
    (acknowledged, task)
}

async fn rows(cluster: &Cluster, role: Role) -> i64 {
    let app = cluster.app(role, "web_a", "web-secret-1").await.unwrap();
    app.query_one("SELECT count(*) FROM ledger", &[]).await.unwrap().get(0)
}

/// Asks the replicas, as the keeper does once the old primary is proven to be gone, until one is elected.
async fn elected(cluster: &mut Cluster, promise: &Promise) -> Elected {
    let end = Instant::now() + crate::support::PATIENCE;
    loop {
        let seen = cluster.observe().await;
        match elect(&candidates(&cluster.wish, &seen), &BTreeSet::new(), promise) {
            Ok(elected) => return elected,
            // A receiver may not have noticed yet, and what is there is replayed first.
            Err(Unelected::Streaming(_) | Unelected::Replaying(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert!(Instant::now() < end, "{:?}", candidates(&cluster.wish, &seen));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the record says from now on.
fn record(cluster: &mut Cluster, word: &str, elected: &Elected, synchronous: &(String, String)) {
    let host = cluster.endpoint(Role::Replica(elected.ordinal)).0.to_string();
    cluster.promotion = BTreeMap::from([
        ("PROMOTION".to_owned(), word.to_owned()),
        ("PROMOTION_FROM".to_owned(), host),
        ("PROMOTION_LSN".to_owned(), elected.at.to_string()),
        ("PROMOTION_REPLICAS".to_owned(), "0 1".to_owned()),
        ("SYNCHRONOUS_COMMIT".to_owned(), synchronous.0.clone()),
        ("SYNCHRONOUS_STANDBY_NAMES".to_owned(), synchronous.1.clone()),
    ]);
}

fn clones(cluster: &mut Cluster) -> [usize; 2] {
    [FIRST, SECOND].map(|role| cluster.node(role).log().matches("cloning ").count())
}

/// Scenarios 2 and 3: what was acknowledged is there, the replicas follow without being cloned, and what comes back of the former
/// primary takes no write: in the primary's place it is refused, in a replica's it is cloned anew.
#[tokio::test]
async fn what_was_acknowledged_outlives_the_primary_which_never_writes_again() {
    let mut cluster = Cluster::new(2);
    cluster.wish.durability = Durability::Required { replicas: 1 };
    cluster.settle().await;
    let (count, task) = writer(&cluster).await;
    let end = Instant::now() + crate::support::PATIENCE;
    while count.load(Ordering::Relaxed) < 500 {
        assert!(Instant::now() < end && !task.is_finished());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = cluster.observe().await;
    let primary = before.primary.as_ref().unwrap();
    let synchronous = (primary.synchronous_commit.clone(), primary.synchronous_standby_names.clone());
    assert!(matches!(
        elect(&candidates(&cluster.wish, &before), &BTreeSet::new(), &Promise::default()),
        Err(Unelected::Streaming(_))
    ));
    cluster.node(Role::Primary).kill();
    task.await.unwrap();
    let acknowledged = count.load(Ordering::Relaxed);

    let promise = Promise::read(&synchronous.0, &synchronous.1, cluster.wish.durability);
    let lost = Instant::now();
    let elected = elected(&mut cluster, &promise).await;
    assert_eq!(elected.safe, Safe::All);
    // The volume is lost to the cluster; its data are kept, and a write that nobody was told of is on them.
    let (data, former) = (cluster.node(Role::Primary).data(), cluster.path("former"));
    fs::rename(&data, &former).unwrap();
    record(&mut cluster, "friday", &elected, &synchronous);
    let cloned = clones(&mut cluster);

    cluster.start(Role::Primary);
    let (seen, decision) = cluster.until("it writes", |_, decision| decision.view.accepts_writes).await;
    println!("accepts writes {:?} after its loss was known; {acknowledged} commits were acknowledged", lost.elapsed());
    assert_eq!(decision.view.record.as_ref().map(|record| record.timeline), Some(2));
    let primary = seen.primary.as_ref().unwrap();
    assert_eq!((&primary.synchronous_commit, &primary.synchronous_standby_names), (&synchronous.0, &synchronous.1));
    let found = rows(&cluster, Role::Primary).await;
    assert!(found >= acknowledged, "{found} of {acknowledged}");
    cluster.promotion.clear();
    let (_, decision) = cluster.settle().await;
    assert_eq!([state(&decision, 0), state(&decision, 1)], [Some(ReplicaState::Streaming); 2]);
    assert_eq!(clones(&mut cluster), cloned, "they follow with what they have");
    for role in [FIRST, SECOND] {
        assert_eq!(rows(&cluster, role).await, found);
    }

    // The former volume comes back in its place: during the promotion and after it.
    cluster.node(Role::Primary).stop();
    let new = cluster.path("new");
    fs::rename(&data, &new).unwrap();
    copy(&former, &data);
    for promotion in [true, false] {
        if promotion {
            record(&mut cluster, "friday", &elected, &synchronous);
        } else {
            cluster.promotion.clear();
        }
        cluster.start(Role::Primary);
        let (_, decision) = cluster.until("it is refused", |_, decision| said(decision, "NotPrimary")).await;
        assert!(!decision.view.accepts_writes);
        assert_eq!(cluster.node(Role::Primary).wait_for_exit(), Some(75), "{promotion}");
        assert!(data.join("global/pg_control").exists(), "it is kept");
    }
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&new, &data).unwrap();
    cluster.settle().await;

    // It comes back in a replica's place, with commits that nobody else has.
    cluster.node(FIRST).stop();
    let replica = cluster.node(FIRST).data();
    copy(&former, &replica);
    let port = cluster.endpoint(FIRST).1.to_string();
    cluster.node(FIRST).offline(|run| {
        let data = replica.to_str().unwrap();
        let config = format!(
            "-c config_file={data}/../../../run/postgresql.conf -c listen_addresses= -c synchronous_standby_names="
        );
        run("pg_ctl", &["-D", data, "-w", "-s", "-o", &config, "start"]);
        let write = "CREATE TABLE of_the_past AS SELECT generate_series(1, 100000)";
        run("psql", &["-X", "-q", "-p", &port, "-U", "postgres", "-d", "app", "-c", write]);
        run("pg_ctl", &["-D", data, "-w", "-s", "-m", "fast", "stop"]);
    });
    cluster.start(FIRST);
    cluster.settle().await;
    assert!(cluster.node(FIRST).log().contains("went on without them on timeline 2"));
    assert_eq!(clones(&mut cluster), [cloned[0] + 1, cloned[1]]);
    let reader = cluster.app(FIRST, "web_a", "web-secret-1").await.unwrap();
    assert!(reader.query("SELECT FROM of_the_past", &[]).await.is_err());
    assert_eq!(rows(&cluster, FIRST).await, found);
}

/// A promotion that is killed again and again comes to the same end, and nobody takes a write before it.
#[tokio::test]
async fn a_promotion_that_is_killed_at_any_point_goes_on() {
    let mut cluster = Cluster::new(2);
    cluster.wish.durability = Durability::Required { replicas: 2 };
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute(
        "CREATE TABLE ledger (id bigint PRIMARY KEY, text text);
         INSERT INTO ledger SELECT i, repeat('x', 500) FROM generate_series(1, 100000) i",
    )
    .await
    .unwrap();
    let seen = cluster.observe().await;
    let primary = seen.primary.as_ref().unwrap();
    let synchronous = (primary.synchronous_commit.clone(), primary.synchronous_standby_names.clone());
    cluster.node(Role::Primary).kill();
    // A replica that was restarted meanwhile is elected with what it has, too.
    cluster.node(FIRST).stop();
    cluster.start(FIRST);
    let promise = Promise::read(&synchronous.0, &synchronous.1, cluster.wish.durability);
    let end = Instant::now() + crate::support::PATIENCE;
    while cluster.observe().await.answer(0).is_none() {
        assert!(Instant::now() < end, "{}", cluster.node(FIRST).log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let elected = elected(&mut cluster, &promise).await;
    let data = cluster.node(Role::Primary).data();
    fs::rename(&data, cluster.path("former")).unwrap();
    record(&mut cluster, "friday", &elected, &synchronous);

    let mut kills = 0;
    for wait in [0, 100, 200, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000, 2500, 3000] {
        cluster.start(Role::Primary);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let seen = cluster.observe().await;
        if decide(&cluster.wish, &seen).view.accepts_writes {
            break;
        }
        if let Ok(primary) = &seen.primary {
            assert!(!primary.settings.in_recovery, "nobody reaches it before it is promoted");
        }
        cluster.node(Role::Primary).kill();
        kills += 1;
    }
    println!("killed {kills} times");
    assert!(kills > 2);
    cluster.until("it writes", |_, decision| decision.view.accepts_writes).await;
    cluster.promotion.clear();
    let (_, decision) = cluster.settle().await;
    assert!(decision.view.record.as_ref().is_some_and(|record| record.timeline >= 2));
    for role in [Role::Primary, FIRST, SECOND] {
        assert_eq!(rows(&cluster, role).await, 100_000);
    }
    assert!(!cluster.logs().contains("secret-1"));
}
