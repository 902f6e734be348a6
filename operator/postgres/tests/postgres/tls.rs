//! Real servers that speak TLS: who gets in, what is verified, and renewed certificates.

use crate::support::{
    Cluster,
    certificates::{NAME, give_certificates, issue, trust},
};
use learningplatform_postgres::{Role, config::Encryption};
use std::time::Duration;
use tls::{AUTHORITIES, CERTIFICATE, Connector, Files, first};
use tokio_postgres::{Client, Config, NoTls, config::SslMode};

const FIRST: Role = Role::Replica(0);
fn config(cluster: &Cluster, role: Role) -> Config {
    let (ip, port) = cluster.endpoint(role);
    let mut config = Config::new();
    config.hostaddr(ip).port(port).user("web_a").password("web-secret-1").dbname("app");
    config.connect_timeout(Duration::from_secs(5)).ssl_mode(SslMode::Require);
    config
}

/// A connection as an app makes it, with what it says of an error.
async fn app(cluster: &Cluster, role: Role, authorities: &[u8], name: &str) -> Result<Client, String> {
    let connector = Connector::new(authorities).unwrap();
    let connected = config(cluster, role).host(name).connect(connector).await;
    let (client, connection) = connected.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(connection);
    Ok(client)
}

/// What a server says to one that does not speak TLS.
async fn plain(cluster: &Cluster, role: Role) -> Result<(), String> {
    let connected = config(cluster, role).ssl_mode(SslMode::Disable).connect(NoTls).await;
    connected.map(drop).map_err(|error| format!("{error:?}"))
}

fn started(cluster: &mut Cluster) -> [String; 2] {
    [Role::Primary, FIRST].map(|role| cluster.node(role).superuser("SELECT pg_postmaster_start_time()"))
}

#[tokio::test]
async fn nobody_gets_in_without_and_renewed_certificates_are_taken_without_a_restart() {
    let mut cluster = Cluster::new(1);
    cluster.wish.server.tls = Some(Encryption::Required);
    let files = issue(&cluster, &Files::new(), 10);
    give_certificates(&mut cluster, &files);
    cluster.mount();
    let (_, decision) = cluster.settle().await;
    assert_eq!(decision.view.certificate_ends, first(&files[CERTIFICATE]).map(|shown| shown.not_after));

    // The replica, the operator and apps are encrypted; others are not let in.
    let encrypted = "SELECT count(*), bool_and(ssl) FROM pg_stat_replication JOIN pg_stat_ssl USING (pid)";
    assert_eq!(cluster.node(Role::Primary).superuser(encrypted), "1|t");
    for role in [Role::Primary, FIRST] {
        let refused = plain(&cluster, role).await.unwrap_err();
        assert!(refused.contains("no pg_hba.conf entry") && refused.contains("no encryption"), "{refused}");
        app(&cluster, role, &files[AUTHORITIES], NAME).await.unwrap();
    }
    let other = app(&cluster, Role::Primary, &files[AUTHORITIES], "another.learning.svc").await.unwrap_err();
    assert!(other.contains("another.learning.svc"), "{other}");
    let stranger = issue(&cluster, &Files::new(), 0);
    app(&cluster, Role::Primary, &stranger[AUTHORITIES], NAME).await.unwrap_err();
    let before = cluster.wish.trust.replace(trust(&stranger, NAME));
    let seen = cluster.observe().await;
    let problem = seen.primary.unwrap_err().to_string();
    assert!(problem.contains("certificate"), "{problem}");
    cluster.wish.trust = before;

    // Renewed.
    let begun = started(&mut cluster);
    let held = app(&cluster, Role::Primary, &files[AUTHORITIES], NAME).await.unwrap();
    let mut due = files.clone();
    due.remove(CERTIFICATE);
    let fresh = issue(&cluster, &due, 0);
    assert_eq!(fresh[AUTHORITIES], files[AUTHORITIES]);
    give_certificates(&mut cluster, &fresh);
    let ends = first(&fresh[CERTIFICATE]).map(|shown| shown.not_after);
    cluster.until("the renewed one is shown", |_, decision| decision.view.certificate_ends == ends).await;
    assert_eq!(started(&mut cluster), begun);

    // A container that starts again finds what the last one left.
    cluster.node(FIRST).kill();
    cluster.settle().await;
    let (begun, reader) = (started(&mut cluster), app(&cluster, FIRST, &files[AUTHORITIES], NAME).await.unwrap());

    // By another authority: nobody can look before the servers have taken it.
    give_certificates(&mut cluster, &stranger);
    cluster.settle().await;
    app(&cluster, Role::Primary, &stranger[AUTHORITIES], NAME).await.unwrap();
    app(&cluster, FIRST, &stranger[AUTHORITIES], NAME).await.unwrap();
    app(&cluster, Role::Primary, &fresh[AUTHORITIES], NAME).await.unwrap_err();

    // Open connections live on, and no server was restarted.
    for client in [&held, &reader] {
        client.query_one("SELECT 1", &[]).await.unwrap();
    }
    assert_eq!(started(&mut cluster), begun);
    assert_eq!(cluster.node(Role::Primary).superuser(encrypted), "1|t");
    // One that connects anew follows the new authority.
    cluster.node(Role::Primary).superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    cluster.settle().await;
    assert!(!cluster.logs().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_database_with_data_gets_certificates_in_two_steps() {
    let mut cluster = Cluster::new(1);
    cluster.settle().await;
    let client = cluster.app(Role::Primary, "web_a", "web-secret-1").await.unwrap();
    client.batch_execute("CREATE TABLE story AS SELECT 7 AS id").await.unwrap();

    // The pods are made anew with certificates, and take connections of both kinds.
    let files = issue(&cluster, &Files::new(), 0);
    give_certificates(&mut cluster, &files);
    cluster.wish.server.tls = Some(Encryption::Offered);
    cluster.mount();
    for role in [Role::Primary, FIRST] {
        cluster.node(role).outdated = true;
    }
    let (_, decision) = cluster.until("a restart", |_, decision| decision.restart.is_some()).await;
    assert_eq!(decision.restart.unwrap().role, Role::Primary, "a replica with certificates would not follow it");
    cluster.settle().await;
    for role in [Role::Primary, FIRST] {
        plain(&cluster, role).await.unwrap();
        let client = app(&cluster, role, &files[AUTHORITIES], NAME).await.unwrap();
        assert_eq!(client.query_one("SELECT id FROM story", &[]).await.unwrap().get::<_, i32>(0), 7);
    }

    // The apps have followed: connections without are refused from now on, by a reload.
    let begun = started(&mut cluster);
    cluster.wish.server.tls = Some(Encryption::Required);
    cluster.mount();
    cluster.settle().await;
    for role in [Role::Primary, FIRST] {
        plain(&cluster, role).await.unwrap_err();
        app(&cluster, role, &files[AUTHORITIES], NAME).await.unwrap();
    }
    assert_eq!(started(&mut cluster), begun);
}
