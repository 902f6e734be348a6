//! Real servers: passwords, rotation between two logins, and what the operator may do.

use crate::support::{Cluster, said, state};
use learningplatform_postgres::{
    Act, Collation, Decision, Login, Other, Password, ReplicaState, Role, Step, decide, pair,
};
use std::fs;

const PRIMARY: Role = Role::Primary;

fn step(decision: &Decision) -> Step {
    decision.view.logins[0].step
}

/// Scenario 10, and lessons 19, 20, 21: a changed password works at once, and ends no session; a missing one changes
/// nothing; none is ever said.
#[tokio::test]
async fn a_changed_password_works_and_open_sessions_live_on() {
    let mut cluster = Cluster::new(0);
    // The server says all that it is told.
    cluster.wish.server.parameters.insert("log_statement".into(), "all".into());
    cluster.mount();
    cluster.settle().await;
    let old = cluster.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
    cluster.wish.logins[0].password = Some(Password::new("web-secret-2"));
    let (_, decision) = cluster.round().await;
    assert_eq!(decision.acts.len(), 1);
    assert!(said(&decision, "RolesPending") && !format!("{decision:?}").contains("secret"));
    cluster.settle().await;
    cluster.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    assert!(cluster.app(PRIMARY, "web_a", "web-secret-1").await.is_err());
    old.batch_execute("CREATE TABLE still (here int)").await.unwrap();

    cluster.wish.logins[0].password = None;
    let (_, decision) = cluster.round().await;
    assert_eq!(decision.acts, []);
    cluster.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();

    // Somebody's own change is undone, and a role that was dropped comes back.
    cluster.wish.logins[0].password = Some(Password::new("web-secret-2"));
    cluster.node(PRIMARY).superuser("ALTER ROLE web_a NOLOGIN PASSWORD NULL");
    cluster.settle().await;
    cluster.app(PRIMARY, "web_a", "web-secret-2").await.unwrap();
    drop(old);

    let logs = cluster.logs();
    assert!(logs.contains("SCRAM-SHA-256$") && !logs.contains("secret"), "the log holds verifiers at most");
    let verifiers =
        cluster.node(PRIMARY).superuser("SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$%'");
    // The operator, replicas, the pooler, backups, and the app.
    assert_eq!(verifiers, "5");
}

/// Rotation between two logins: nobody is refused before the old one is retired.
#[tokio::test]
async fn passwords_are_rotated_between_two_logins() {
    let mut cluster = Cluster::new(0);
    let [a, b] = pair("web");
    cluster.settle().await;
    let old = cluster.app(PRIMARY, &a, "web-secret-1").await.unwrap();
    old.batch_execute("CREATE TABLE story (id int)").await.unwrap();

    let next = Password::new("web-secret-2");
    cluster.wish.logins[0].other = Some((b.clone(), Other::Prepared(next.clone())));
    let (_, decision) = cluster.round().await;
    assert_eq!(step(&decision), Step::Preparing);
    let (_, decision) = cluster.until("it may be published", |_, decision| step(decision) == Step::Publish).await;
    assert_eq!(decision.acts, []);
    let new = cluster.app(PRIMARY, &b, "web-secret-2").await.unwrap();
    // Both are the owner: what one made is the other's.
    new.batch_execute("ALTER TABLE story ADD COLUMN title text").await.unwrap();

    let owner = cluster.wish.logins[0].owner.clone();
    cluster.wish.logins[0] =
        Login { role: b.clone(), owner, password: Some(next), other: Some((a.clone(), Other::Kept)) };
    let (_, decision) = cluster.round().await;
    assert_eq!((step(&decision), decision.acts), (Step::Draining(1), vec![]));
    cluster.app(PRIMARY, &a, "web-secret-1").await.unwrap();

    cluster.wish.logins[0].other = Some((a.clone(), Other::Retired));
    let (_, decision) = cluster.round().await;
    assert_eq!(decision.acts, [Act::DisableLogin { role: a.clone() }]);
    cluster.settle().await;
    assert!(cluster.app(PRIMARY, &a, "web-secret-1").await.is_err());
    old.batch_execute("INSERT INTO story VALUES (1, 'still here')").await.unwrap();
    cluster.app(PRIMARY, &b, "web-secret-2").await.unwrap();
    assert!(!cluster.logs().contains("secret"));
}

/// The operator's password is set by the pod: after a restart with new verifiers the new one works. And what it may not do.
#[tokio::test]
async fn the_operator_is_no_superuser_and_its_password_is_the_pods() {
    let mut cluster = Cluster::new(1);
    cluster.settle().await;
    let operator = |password: &'static str| {
        let (ip, port) = cluster.endpoint(PRIMARY);
        async move { crate::support::connect(ip, port, "lp_operator", password).await }
    };
    let client = operator("operator-secret-1").await.unwrap();
    for denied in [
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "ALTER SYSTEM SET shared_preload_libraries = 'x'",
        "ALTER ROLE lp_operator SUPERUSER",
        "CREATE EXTENSION file_fdw",
        "SELECT pg_read_file('/etc/passwd')",
    ] {
        assert!(client.batch_execute(denied).await.is_err(), "{denied}");
    }
    // The passwords are changed where they are mounted; the caller makes `credentials` follow them.
    for name in ["operator", "replication"] {
        fs::remove_file(cluster.path("secrets").join(format!("{name}.verifier"))).unwrap();
    }
    let old = std::mem::replace(&mut cluster.operator, Password::new("operator-secret-2"));
    cluster.wish.server.credentials = "2".into();
    cluster.mount();
    // Until the pod has restarted the old one is the operator's.
    let new = std::mem::replace(&mut cluster.operator, old);
    cluster
        .until("the pod restarts", |_, decision| {
            decision.restart.as_ref().is_some_and(|restart| restart.role == PRIMARY)
        })
        .await;
    cluster.operator = new;
    let (_, decision) = cluster.settle().await;
    assert_eq!(state(&decision, 0), Some(ReplicaState::Streaming));
    assert!(!cluster.logs().contains("secret"));

    // Verifiers that are missing change nothing, and the server starts.
    fs::remove_file(cluster.path("secrets/operator.verifier")).unwrap();
    crate::support::put(&cluster.path("secrets/replication.verifier"), "a password in clear");
    cluster.node(PRIMARY).stop();
    let (_, decision) = cluster.until("it is told", |_, decision| said(decision, "SetupFailed")).await;
    assert!(decision.view.accepts_writes && decision.restart.is_none(), "{decision:#?}");
    assert!(!cluster.logs().contains("in clear"));

    // A server whose C library sorts in another way is named, and its replica gets no readers.
    cluster.node(PRIMARY).superuser("UPDATE pg_database SET datcollversion = 'other' WHERE datname = 'app'");
    let mixed = |decision: &Decision| said(decision, "CollationMismatch");
    let (seen, decision) = cluster
        .until("it is told", |_, decision| mixed(decision) && state(decision, 0) == Some(ReplicaState::Mixed))
        .await;
    let collations = seen.primary.unwrap().settings.collations;
    assert!(
        matches!(&collations[..], [Collation { database, recorded, .. }] if database == "app" && recorded == "other")
    );
    assert!(decision.view.routable().is_empty());
    let seen = cluster.observe().await;
    assert!(!decide(&cluster.wish, &seen).view.ready());
}
