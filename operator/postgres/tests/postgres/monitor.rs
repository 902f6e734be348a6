//! Real servers: the exporter's role, which is there while there is an exporter.

use crate::support::{Cluster, put};
use learningplatform_postgres::{Password, Role, verifier};
use std::fs;
use tokio_postgres::{Config, NoTls};

/// Whether the exporter's role may log in to a database.
async fn logs_in(cluster: &Cluster, database: &str, password: &str) -> bool {
    let (ip, port) = cluster.endpoint(Role::Primary);
    let mut config = Config::new();
    config.hostaddr(ip).port(port).user("lp_monitor").password(password).dbname(database);
    let Ok((client, connection)) = config.connect(NoTls).await else { return false };
    tokio::spawn(connection);
    // What exporters ask for, and an app's own may not be asked for by it.
    client.query("SELECT pg_database_size('app'), count(*) FROM pg_stat_replication", &[]).await.is_ok()
}

/// Gives or takes the verifier, as a new pod template does.
async fn restart(cluster: &mut Cluster, password: Option<&str>) {
    let path = cluster.path("secrets").join("monitor.verifier");
    match password {
        Some(password) => put(&path, &verifier(&Password::new(password))),
        None => fs::remove_file(path).unwrap(),
    }
    cluster.wish.server.credentials = password.unwrap_or_default().to_owned();
    cluster.mount();
    cluster.node(Role::Primary).outdated = true;
    cluster.settle().await;
}

#[tokio::test]
async fn the_exporters_role_comes_and_goes_with_its_verifier() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let role = "SELECT rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication, pg_has_role(oid, 'pg_monitor', 'member')
                FROM pg_roles WHERE rolname = 'lp_monitor'";
    assert_eq!(cluster.node(Role::Primary).superuser(role), "");

    restart(&mut cluster, Some("monitor-secret-1")).await;
    assert_eq!(cluster.node(Role::Primary).superuser(role), "t|f|t");
    assert!(logs_in(&cluster, "postgres", "monitor-secret-1").await);
    assert!(!logs_in(&cluster, "postgres", "monitor-secret-2").await);
    assert!(!logs_in(&cluster, "app", "monitor-secret-1").await, "the apps' database is closed to it");

    restart(&mut cluster, Some("monitor-secret-2")).await;
    assert!(logs_in(&cluster, "postgres", "monitor-secret-2").await);
    assert!(!cluster.logs().contains("monitor-secret"));

    restart(&mut cluster, None).await;
    assert_eq!(cluster.node(Role::Primary).superuser(role), "f|f|t");
    assert!(!logs_in(&cluster, "postgres", "monitor-secret-2").await);
}
