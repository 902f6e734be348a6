//! A server that somebody else keeps: what apps need is made by an administrator who is no superuser.

use crate::support::{Cluster, connect};
use learningplatform_postgres::{Administrator, Database, Login, Other, Password, Role, Step, decide_managed};
use std::net::SocketAddr;

const ADMINISTRATOR: &str = "administrator";

/// A server with an administrator as RDS has one: it may make roles and databases, and is no superuser.
async fn server() -> (Cluster, SocketAddr) {
    let mut cluster = Cluster::new(0);
    (cluster.wish.databases, cluster.wish.logins) = (Vec::new(), Vec::new());
    cluster.mount();
    cluster.settle().await;
    let make = format!("CREATE ROLE {ADMINISTRATOR} LOGIN CREATEDB CREATEROLE PASSWORD 'administrator-secret-1'");
    cluster.node(Role::Primary).superuser(&make);
    let address = SocketAddr::from(cluster.endpoint(Role::Primary));
    (cluster, address)
}

#[tokio::test]
async fn databases_logins_and_extensions_are_made_and_a_second_round_does_nothing() {
    let (mut cluster, address) = server().await;
    let password = Password::new("administrator-secret-1");
    let server = Administrator { address, user: ADMINISTRATOR, password: &password, trust: None };
    let extensions = vec!["pg_trgm".to_owned(), "no_such_extension".to_owned()];
    let databases = [Database { name: "app".into(), owner: "app".into(), extensions }];
    let login = |role: &str, password: &str, other| Login {
        role: role.into(),
        owner: "app".into(),
        password: Some(Password::new(password)),
        other,
    };
    let mut logins = [login("app_a", "first-secret-1", None)];
    let mut rounds = 0;
    let told = loop {
        let seen = server.observe(&databases, &logins).await.unwrap();
        let decision = decide_managed(&databases, &logins, &seen);
        if decision.acts.is_empty() {
            break decision;
        }
        for act in &decision.acts {
            server.carry_out(act).await.unwrap();
        }
        rounds += 1;
        assert!(rounds < 5, "{decision:?}");
    };
    assert_eq!(told.unavailable, ["no_such_extension"]);
    assert!(told.logins.iter().all(|login| login.works == Some(true)), "{told:?}");
    let (ip, port) = (address.ip(), address.port());
    let app = connect(ip, port, "app_a", "first-secret-1").await.unwrap();
    app.batch_execute("CREATE TABLE kept (word text); INSERT INTO kept SELECT show_trgm('words')::text").await.unwrap();

    // The next password works beside the present one, and a retired login no more.
    let next = (String::from("app_b"), Other::Prepared(Password::new("second-secret-1")));
    logins = [login("app_a", "first-secret-1", Some(next))];
    for _ in 0..2 {
        let seen = server.observe(&databases, &logins).await.unwrap();
        for act in decide_managed(&databases, &logins, &seen).acts {
            server.carry_out(&act).await.unwrap();
        }
    }
    let seen = server.observe(&databases, &logins).await.unwrap();
    assert_eq!(decide_managed(&databases, &logins, &seen).logins[0].step, Step::Publish);
    let other = connect(ip, port, "app_b", "second-secret-1").await.unwrap();
    let rows = other.query("SELECT FROM kept", &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "both are the same owner");
    logins = [login("app_b", "second-secret-1", Some(("app_a".into(), Other::Retired)))];
    let seen = server.observe(&databases, &logins).await.unwrap();
    for act in decide_managed(&databases, &logins, &seen).acts {
        server.carry_out(&act).await.unwrap();
    }
    assert!(connect(ip, port, "app_a", "first-secret-1").await.is_err());
    assert!(
        !cluster
            .node(Role::Primary)
            .superuser("SELECT rolsuper FROM pg_roles WHERE rolname = 'administrator'")
            .contains('t')
    );
}
