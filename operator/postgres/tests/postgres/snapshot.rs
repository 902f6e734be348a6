//! Real servers: databases made of snapshots of the volumes of others, taken while those are written to.

use crate::support::{Cluster, PATIENCE, node::Node, said, source::PRIMARY};
use learningplatform_postgres::{Durability, Password, Role};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// Rows that were acknowledged, of a client that writes one after the other for as long as the database is there.
struct Load(Arc<AtomicI64>);

impl Load {
    async fn begin(source: &Cluster) -> Self {
        let app = source.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
        app.batch_execute("CREATE TABLE ledger (i bigint)").await.unwrap();
        let written = Arc::new(AtomicI64::new(0));
        let count = written.clone();
        tokio::spawn(async move {
            for i in 1_i64.. {
                if app.execute("INSERT INTO ledger VALUES ($1)", &[&i]).await.is_err() {
                    return;
                }
                count.store(i, Ordering::SeqCst);
            }
        });
        Self(written)
    }

    fn acknowledged(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    async fn reach(&self, rows: i64) {
        let end = Instant::now() + PATIENCE;
        while self.acknowledged() < rows {
            assert!(Instant::now() < end, "only {} rows were written", self.acknowledged());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A new database on a volume that a snapshot is copied to, whose apps have other passwords.
fn copy(replicas: u32) -> Cluster {
    let mut copy = Cluster::new(replicas);
    copy.wish.logins[0].password = Some(Password::new("web-secret-2"));
    copy.restore([("LP_RESTORE_SNAPSHOT".to_owned(), "story-main-20261102t030000z".to_owned())].into());
    copy.nodes.insert(PRIMARY, Node::new("story-main-pg-0", copy.path("story-main-pg-0")));
    copy
}

/// Copies the volume of a server, and how many rows had been acknowledged by then.
fn taken(source: &mut Cluster, role: Role, load: &Load, copy: &Cluster) -> i64 {
    let acknowledged = load.acknowledged();
    source.node(role).snapshot(&copy.path("story-main-pg-0").join("volume"));
    acknowledged
}

/// How many rows there are, none missing between them.
async fn rows(copy: &Cluster) -> i64 {
    let app = copy.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    let row = app.query_one("SELECT count(*), coalesce(max(i), 0) FROM ledger", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "none is missing between others");
    row.get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_running_server_becomes_a_database_of_its_own() {
    let mut source = Cluster::new(1);
    source.wish.durability = Durability::Required { replicas: 1 };
    source.settle().await;
    let load = Load::begin(&source).await;
    load.reach(200).await;

    let mut primary = copy(1);
    let acknowledged = taken(&mut source, PRIMARY, &load, &primary);
    load.reach(acknowledged + 50).await;
    let mut cut_off = copy(0);
    let at_cut_off = taken(&mut source, PRIMARY, &load, &cut_off);
    let replica = copy(0);
    let at_replica = taken(&mut source, Role::Replica(0), &load, &replica);
    load.reach(at_replica + 50).await;

    primary.settle().await;
    let found = rows(&primary).await;
    assert!(found >= acknowledged && found < load.acknowledged(), "{acknowledged} of {found}");
    let (record, known) = (primary.wish.record.clone().unwrap(), source.wish.record.clone().unwrap());
    assert_eq!((record.system_identifier, record.timeline), (known.system_identifier, 2));
    assert!(primary.app(PRIMARY, "web_a", "web-secret-1").await.is_err(), "the former password opens nothing");
    let node = primary.node(PRIMARY);
    let slots = "SELECT string_agg(slot_name || ' ' || active, ',' ORDER BY slot_name) FROM pg_replication_slots";
    assert_eq!(node.superuser(slots), "lp_ro_0 true");
    assert_eq!(node.superuser("SHOW synchronous_standby_names"), "", "no commit waits for the other's replica");
    assert_eq!(node.superuser("SHOW restore_command"), "");

    // The wish stays where it was, and does nothing any more.
    let app = primary.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    app.execute("INSERT INTO ledger VALUES ($1)", &[&(found + 1)]).await.unwrap();
    primary.node(PRIMARY).stop();
    primary.settle().await;
    assert_eq!(rows(&primary).await, found + 1);
    assert_eq!(primary.wish.record.as_ref().map(|record| record.timeline), Some(2));

    // One that is killed while it replays goes on; the volume of a replica is as good as that of a primary.
    cut_off.start(PRIMARY);
    let signal = cut_off.node(PRIMARY).data().join("recovery.signal");
    let end = Instant::now() + PATIENCE;
    while !signal.exists() {
        assert!(Instant::now() < end, "it does not replay: {}", cut_off.logs());
        std::thread::sleep(Duration::from_millis(1));
    }
    cut_off.node(PRIMARY).kill();
    for (mut copy, acknowledged) in [(cut_off, at_cut_off), (replica, at_replica)] {
        copy.settle().await;
        let found = rows(&copy).await;
        assert!(found >= acknowledged, "{acknowledged} of {found}");
    }

    // A volume that was not made of it never becomes an empty database.
    let mut empty = copy(0);
    empty.until("an empty volume is refused", |_, decision| said(decision, "StartRefused")).await;
    assert!(!empty.node(PRIMARY).data().exists());
}
