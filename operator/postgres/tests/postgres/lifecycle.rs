//! Real servers: coming up, following, being cut off, cloned anew, scaled, and refused.

use crate::support::{Cluster, said, state};
use learningplatform_postgres::{Act, Durability, GateReason, ReplicaState, Role, StaleReads, Write, decide};
use std::{
    fs,
    time::{Duration, Instant},
};

const FIRST: Role = Role::Replica(0);

/// Scenario 1: two replicas follow, and a second round writes nothing anywhere.
#[tokio::test]
async fn replicas_follow_and_a_second_round_does_nothing() {
    let mut cluster = Cluster::new(2);
    let (seen, decision) = cluster.settle().await;
    assert_eq!([state(&decision, 0), state(&decision, 1)], [Some(ReplicaState::Streaming); 2]);
    assert_eq!(decision.view.routable(), [0, 1].into());
    assert!(matches!(seen.primary.as_ref().unwrap().write, Write::Done(_)));
    assert!(decision.view.bytes.unwrap() > 1 << 20);

    let statements = |cluster: &Cluster| cluster.logs().matches("statement: ").count();
    let before = statements(&cluster);
    assert!(before > 0, "the log shows statements");
    for _ in 0..2 {
        let (_, decision) = cluster.round().await;
        assert_eq!((decision.acts, decision.restart), (vec![], None));
    }
    assert_eq!(statements(&cluster), before);

    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE story (id int); INSERT INTO story VALUES (1)").await.unwrap();
    let owner = app.query_one("SELECT tableowner FROM pg_tables WHERE tablename = 'story'", &[]).await.unwrap();
    assert_eq!(owner.get::<_, &str>(0), "app_owner");
    for replica in [FIRST, Role::Replica(1)] {
        let reader = cluster.app(replica, "web_a", "web-secret-1").await.unwrap();
        let end = Instant::now() + crate::support::PATIENCE;
        while reader.query("SELECT FROM story", &[]).await.is_ok_and(|rows| rows.is_empty()) {
            assert!(Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(reader.batch_execute("INSERT INTO story VALUES (2)").await.is_err(), "a replica refuses writes");
    }
    // Nobody but the pod is a superuser, whatever they know.
    assert!(cluster.app(Role::Primary, "postgres", "x").await.is_err());
    // The password of the replicas stands nowhere: not in files below the volumes, not in command lines.
    for role in [Role::Primary, FIRST] {
        let node = cluster.node(role);
        let found = std::process::Command::new("grep").args(["-rlF", "secret-1"]).arg(node.dir.join("volume")).output();
        assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
        assert!(!node.command_lines().contains("secret-1"));
        assert_eq!(node.superuser("SELECT count(*) FROM pg_settings WHERE setting LIKE '%secret-1%'"), "0");
    }
    assert!(!cluster.logs().contains("secret-1"));
}

/// Scenario 4: a clone that is killed is begun again, and what it left is never started.
#[tokio::test]
async fn a_clone_that_is_killed_is_begun_again() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE big AS SELECT i, repeat('x', 500) AS text FROM generate_series(1, 100000) i")
        .await
        .unwrap();
    cluster.wish.replicas = 1;
    cluster.until("the pod is there", |seen, _| seen.replicas == 1 && !seen.replica.is_empty()).await;
    // Killed in the middle it leaves files, but no control file. One that was faster is begun again.
    let data = cluster.node(FIRST).data();
    let half = data.with_extension("new");
    let end = Instant::now() + crate::support::PATIENCE;
    loop {
        while cluster.node(FIRST).runs() && !half.join("base").exists() && !data.exists() {
            assert!(Instant::now() < end, "no clone: {}", cluster.node(FIRST).log());
            std::thread::sleep(Duration::from_millis(1));
        }
        cluster.node(FIRST).kill();
        if half.join("base").exists() && !data.exists() {
            break;
        }
        let _ = fs::remove_dir_all(&data);
        cluster.start(FIRST);
    }
    // What an older script may have left: a directory of this name without its control file.
    fs::rename(&half, &data).unwrap();
    assert!(!data.join("global/pg_control").exists(), "the control file comes last");
    let (_, decision) = cluster.settle().await;
    assert_eq!(state(&decision, 0), Some(ReplicaState::Streaming));
    assert!(cluster.node(FIRST).log().matches("cloning ").count() >= 2);
    let reader = cluster.app(FIRST, "web_a", "web-secret-1").await.unwrap();
    assert_eq!(reader.query_one("SELECT count(*) FROM big", &[]).await.unwrap().get::<_, i64>(0), 100_000);
}

/// Scenario 5: a replica that stayed away too long is named, sent no readers, and cloned anew.
#[tokio::test]
async fn a_lost_replica_is_named_and_cloned_anew() {
    let mut cluster = Cluster::new(1);
    // The least that the server takes: one segment, and two may stay beside it.
    cluster.wish.server.volume = 1 << 20;
    cluster.wish.server.parameters.insert("min_wal_size".into(), "32MB".into());
    cluster.mount();
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE fill (text text)").await.unwrap();
    // The replica's server stands still, as one on a node that is gone.
    cluster.node(FIRST).kill();
    for _ in 0..8 {
        app.batch_execute("INSERT INTO fill SELECT repeat('x', 1000) FROM generate_series(1, 20000)").await.unwrap();
        cluster.node(Role::Primary).superuser("SELECT pg_switch_wal(); CHECKPOINT");
    }
    let log = cluster.node(Role::Primary).superuser("SELECT sum(size) / 1048576 FROM pg_ls_waldir()");
    assert!(log.parse::<f64>().unwrap() < 300.0, "{log} MB of log");
    let seen = cluster.observe().await;
    let decision = decide(&cluster.wish, &seen);
    assert!(said(&decision, "ReplicaLost"), "{decision:#?}");
    let name = cluster.wish.replica(0);
    assert!(decision.view.verdicts.iter().any(|verdict| verdict.message.contains(&name)));
    assert!(decision.view.routable().is_empty() && !decision.view.ready());
    let slot = || "lp_ro_0".to_owned();
    assert_eq!(decision.acts, [Act::DropSlot { slot: slot() }, Act::CreateSlot { slot: slot() }]);
    // Left alone it does not come up with what it has, and is not ready.
    cluster.start(FIRST);
    let (_, decision) = cluster.settle().await;
    assert_eq!(state(&decision, 0), Some(ReplicaState::Streaming));
    assert!(cluster.node(FIRST).log().contains("cannot be continued"));
    let reader = cluster.app(FIRST, "web_a", "web-secret-1").await.unwrap();
    assert_eq!(reader.query_one("SELECT count(*) FROM fill", &[]).await.unwrap().get::<_, i64>(0), 160_000);
}

/// Scenario 6: the slots of replicas that leave are dropped, and nobody else's.
#[tokio::test]
async fn the_slots_of_leaving_replicas_are_dropped_and_their_log_goes() {
    let mut cluster = Cluster::new(3);
    cluster.wish.durability = Durability::Required { replicas: 1 };
    // The least log that can be: what is kept, is kept for a slot.
    cluster
        .wish
        .server
        .parameters
        .extend([("min_wal_size".into(), "32MB".into()), ("max_wal_size".into(), "32MB".into())]);
    cluster.mount();
    cluster.settle().await;
    let primary = Role::Primary;
    let slots = |cluster: &mut Cluster| {
        cluster
            .node(primary)
            .superuser("SELECT string_agg(slot_name, ',' ORDER BY slot_name) FROM pg_replication_slots")
    };
    let log = |cluster: &mut Cluster| {
        cluster
            .node(primary)
            .superuser("CHECKPOINT; SELECT sum(size) / 1048576 FROM pg_ls_waldir()")
            .parse::<f64>()
            .unwrap()
    };
    cluster.node(primary).superuser("SELECT pg_create_physical_replication_slot('somebody_elses')");
    assert_eq!(slots(&mut cluster), "lp_ro_0,lp_ro_1,lp_ro_2,somebody_elses");

    // Replica 2 stands still and has log kept for it.
    cluster.node(Role::Replica(2)).kill();
    let app = cluster.app(primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE fill AS SELECT repeat('x', 1000) FROM generate_series(1, 150000)").await.unwrap();
    let kept = log(&mut cluster);
    assert!(kept > 150.0, "{kept} MB");

    cluster.wish.replicas = 1;
    let (before, first) = cluster.round().await;
    assert_eq!(before.replicas, 3);
    assert!(first.view.routable().is_subset(&[0].into()), "leaving replicas get no readers");
    let (_, shrunk) = cluster.until("the pods may go", |seen, _| seen.replicas == 1).await;
    // The round that first sees the pods gone drops both slots.
    let mut dropped: Vec<String> = shrunk.acts.iter().map(Act::sentence).collect();
    dropped.sort();
    if dropped.len() < 2 {
        // A sender that has not noticed yet keeps its slot until the next round.
        cluster
            .until("the slots are dropped", |seen, _| {
                seen.primary.as_ref().is_ok_and(|primary| primary.slots.len() == 2)
            })
            .await;
    } else {
        assert_eq!(dropped, ["drop slot lp_ro_1", "drop slot lp_ro_2"]);
    }
    assert_eq!(slots(&mut cluster), "lp_ro_0,somebody_elses");
    let left = log(&mut cluster);
    assert!(left < kept / 2.0, "{left} of {kept} MB");
    // The promise held all the while, and holds with the one that stays.
    let names = cluster.node(primary).superuser("SHOW synchronous_standby_names");
    assert_eq!(names, r#"ANY 1 ("story-main-pg-ro-0")"#);
    cluster.settle().await;
}

/// Scenario 8, and lessons 3 and 4: an empty volume, or another's, under a known identity is refused.
#[tokio::test]
async fn an_empty_volume_under_a_known_identity_is_refused() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE kept AS SELECT 1 AS one").await.unwrap();
    let known = cluster.wish.record.clone().unwrap();
    cluster.node(Role::Primary).stop();
    let (data, aside) = (cluster.node(Role::Primary).data(), cluster.path("aside"));
    fs::rename(&data, &aside).unwrap();

    let (_, decision) = cluster.until("the gate is seen", |_, decision| said(decision, "DataMissing")).await;
    assert_eq!(cluster.node(Role::Primary).wait_for_exit(), Some(75));
    assert!(!data.exists() && !data.with_extension("new").exists(), "nothing is created");
    assert_eq!((decision.acts, decision.restart, decision.view.record), (vec![], None, None));
    assert_eq!(cluster.wish.record, Some(known.clone()));

    // A directory with files and no database is not removed either.
    fs::create_dir(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "15").unwrap();
    crate::support::node::give(&data, 0o700);
    cluster.round().await;
    cluster.until("the gate is seen", |_, decision| said(decision, "DataMissing")).await;
    assert!(data.join("PG_VERSION").exists());
    fs::remove_dir_all(&data).unwrap();

    // Back in its place all is as it was; under another record it is refused.
    fs::rename(&aside, &data).unwrap();
    let other = learningplatform_postgres::Record { system_identifier: "1".into(), ..known.clone() };
    cluster.wish.record = Some(other);
    cluster.until("the gate is seen", |_, decision| said(decision, "WrongCluster")).await;
    let later = learningplatform_postgres::Record { timeline: known.timeline + 1, ..known.clone() };
    cluster.wish.record = Some(later);
    cluster.until("the gate is seen", |_, decision| said(decision, "NotPrimary")).await;
    cluster.wish.record = Some(known);
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    assert_eq!(app.query_one("SELECT one FROM kept", &[]).await.unwrap().get::<_, i32>(0), 1);

    // An initdb that was cut off is begun anew, for nobody has ever seen its data.
    cluster.node(Role::Primary).stop();
    fs::rename(&data, data.with_extension("new")).unwrap();
    cluster.wish.record = None;
    cluster.settle().await;
}

/// A primary whose volume was set back: replicas that hold more refuse to be cloned over, unless the database went on from
/// there on a timeline of its own.
#[tokio::test]
async fn a_replica_ahead_of_its_primary_is_kept_and_a_diverged_one_is_cloned_anew() {
    let mut cluster = Cluster::new(1);
    cluster.settle().await;
    cluster.node(Role::Primary).stop();
    let data = cluster.node(Role::Primary).data();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let _ = fs::remove_dir_all(to);
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    let old = cluster.path("old");
    copy(&data, &old);
    cluster.settle().await;
    let app = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE newer AS SELECT generate_series(1, 1000) AS i").await.unwrap();
    cluster
        .until("the replica has it", |seen, _| {
            seen.answer(0).and_then(|replica| replica.replayed)
                >= seen.primary.as_ref().ok().map(|primary| primary.current)
        })
        .await;
    cluster.node(FIRST).stop();
    cluster.node(Role::Primary).stop();
    copy(&old, &data);
    // It may have started before the primary answered, and have followed it: then it is stopped.
    let refused = Some(ReplicaState::Refused(GateReason::ReplicaAhead));
    let (_, decision) = cluster.until("it is told", |_, decision| state(decision, 0) == refused).await;
    assert!(said(&decision, "ReplicaAhead"));
    assert!(decision.view.accepts_writes && cluster.node(FIRST).data().join("global/pg_control").exists());

    // As a restore to an earlier time leaves it.
    cluster.node(Role::Primary).stop();
    fs::write(data.join("standby.signal"), "").unwrap();
    let port = cluster.endpoint(Role::Primary).1.to_string();
    cluster.node(Role::Primary).offline(|run| {
        let data = data.to_str().unwrap();
        let config = format!("-c config_file={data}/../../../run/postgresql.conf -c listen_addresses=");
        run("pg_ctl", &["-D", data, "-w", "-s", "-o", &config, "start"]);
        run("pg_ctl", &["-D", data, "-w", "-s", "promote"]);
        run("psql", &["-X", "-q", "-p", &port, "-U", "postgres", "-d", "postgres", "-c", "CHECKPOINT"]);
        run("pg_ctl", &["-D", data, "-w", "-s", "-m", "fast", "stop"]);
    });
    let (_, decision) = cluster.settle().await;
    assert_eq!(decision.view.record.map(|record| record.timeline), Some(2));
    assert!(cluster.node(FIRST).log().contains("went on without them on timeline 2"));
    let reader = cluster.app(FIRST, "web_a", "web-secret-1").await.unwrap();
    assert!(reader.query("SELECT FROM newer", &[]).await.is_err(), "it has what the primary has");
}

/// What readers get while the primary is away, by the policy; and a replica that is alone beside a working primary.
#[tokio::test]
async fn stale_reads_are_served_or_refused_while_the_primary_is_away() {
    let mut cluster = Cluster::new(1);
    cluster.settle().await;
    cluster.node(Role::Primary).kill();
    let seen = cluster.observe().await;
    assert!(seen.primary.is_err());
    assert!(cluster.node(FIRST).is_ready(), "the replica goes on answering");
    assert_eq!(decide(&cluster.wish, &seen).view.routable(), [0].into());
    assert!(said(&decide(&cluster.wish, &seen), "Starting"));
    cluster.wish.stale_reads = StaleReads::Refuse;
    assert!(decide(&cluster.wish, &seen).view.routable().is_empty());

    // A replica that restarts meanwhile comes up with what it has.
    cluster.wish.stale_reads = StaleReads::Serve;
    cluster.node(FIRST).stop();
    cluster.start(FIRST);
    let end = Instant::now() + crate::support::PATIENCE;
    while !cluster.node(FIRST).is_ready() {
        assert!(Instant::now() < end, "{}", cluster.node(FIRST).log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.settle().await;

    // The primary answers, and this replica does not follow: a lost password, say.
    cluster.node(FIRST).superuser("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'");
    cluster.node(FIRST).superuser("SELECT pg_reload_conf()");
    let (_, decision) =
        cluster.until("it is alone", |_, decision| state(decision, 0) == Some(ReplicaState::Alone)).await;
    assert!(!cluster.node(FIRST).is_ready() && !decision.view.ready());
    assert!(said(&decision, "ReplicaNotFollowing"));
    cluster.until("no reader is sent to it", |_, decision| decision.view.routable().is_empty()).await;
    cluster.node(FIRST).stop();
    cluster.settle().await;
}
