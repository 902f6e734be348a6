//! Real servers: PgBouncer before a primary, with the files and the script of its pods.

use crate::support::{
    Cluster, PATIENCE, POOLER,
    certificates::{NAME, give_certificates, issue},
    connect,
    node::give,
    put,
};
use futures::StreamExt;
use learningplatform_postgres::{
    Other, Password, Role,
    config::Encryption,
    pooler::{self, Pooler, PoolerTls},
};
use std::{
    fs,
    net::{IpAddr, TcpListener},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tls::{AUTHORITIES, CERTIFICATE, Connector, Files, KEY, first};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, config::SslMode, error::SqlState};

const PRIMARY: Role = Role::Primary;
/// A user that every Debian has, and that owns nothing.
const NOBODY: u32 = 65534;
const SIZE: u32 = 2;

/// The pod of a pooler.
struct Pod {
    child: Child,
    ip: IpAddr,
    port: u16,
    log: PathBuf,
}

/// The folder of PgBouncer's program.
fn bin() -> PathBuf {
    let program = std::env::var_os("LP_PGBOUNCER").map(PathBuf::from);
    let program = program.expect("set LP_PGBOUNCER to what `tests/cluster/cluster tools pgbouncer` prints");
    program.parent().unwrap().to_owned()
}

impl Pod {
    fn start(cluster: &Cluster) -> Self {
        let (ip, server_port) = cluster.endpoint(PRIMARY);
        let port = TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port();
        let dir = cluster.path("pooler");
        let userlist = dir.join("userlist.txt");
        let certificates = dir.join("tls").to_str().unwrap().to_owned();
        let ini = pooler::render(&Pooler {
            listen: (ip.to_string(), port),
            server: (ip.to_string(), server_port),
            databases: vec!["app".into()],
            mode: "transaction",
            pool_size: SIZE,
            lookups: 2,
            clients: 50,
            userlist: userlist.to_str().unwrap().to_owned(),
            tls: cluster.wish.server.tls.map(|encryption| PoolerTls { directory: certificates.clone(), encryption }),
            parameters: [("query_wait_timeout".to_owned(), "60".to_owned())].into(),
        });
        assert!(!ini.contains("secret"));
        put(&dir.join("pgbouncer.ini"), &ini);
        put(&dir.join(pooler::SCRIPT.0), pooler::SCRIPT.1);
        put(&userlist, &pooler::userlist(&Password::new(POOLER)));
        let log = dir.join("log");
        let file = fs::File::create(&log).unwrap();
        give(&log, 0o644);
        let mut command = Command::new("sh");
        command.arg(dir.join(pooler::SCRIPT.0)).env_clear().current_dir("/").stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", bin().display()));
        command.env("LP_POOLER_DIR", &dir).env("LP_DRAIN", "1");
        if cluster.wish.server.tls.is_some() {
            command.env("LP_TLS_DIR", certificates).env("LP_LOOK", "0.2");
        }
        // PgBouncer refuses to run as root.
        if fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let pod = Self { child, ip, port, log };
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect((ip, port)).is_err() {
            assert!(Instant::now() < end, "PgBouncer does not listen: {}", pod.logged());
            std::thread::sleep(Duration::from_millis(20));
        }
        pod
    }

    fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    async fn client(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        connect(self.ip, self.port, user, password).await
    }

    /// SIGTERM to the script, as the kubelet does.
    fn terminate(&self) {
        Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
    }

    async fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end: {}", self.logged());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            let pgbouncer =
                fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id())).unwrap_or_default();
            let _ = Command::new("kill").arg("-KILL").args(pgbouncer.split_whitespace()).status();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

async fn number(client: &Client, sql: &str) -> i32 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Connections of a login to the primary.
fn sessions(cluster: &mut Cluster, login: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{login}'");
    cluster.node(PRIMARY).superuser(&sql).parse().unwrap()
}

/// Makes the other login of the pair, as a rotation does.
async fn second_login(cluster: &mut Cluster) {
    cluster.wish.logins[0].other = Some(("web_b".into(), Other::Prepared(Password::new("web-secret-2"))));
    cluster.until("the next password works", |_, decision| decision.view.ready() && decision.acts.is_empty()).await;
}

#[tokio::test]
async fn both_logins_come_through_and_nobody_else() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let pod = Pod::start(&cluster);
    let first = pod.client("web_a", "web-secret-1").await.unwrap();
    assert_eq!(number(&first, "SELECT 1").await, 1);
    assert!(pod.client("web_b", "web-secret-2").await.is_err(), "there is no such login yet");

    // The next one works at once, while the former does.
    second_login(&mut cluster).await;
    let second = pod.client("web_b", "web-secret-2").await.unwrap();
    assert_eq!(number(&second, "SELECT 2").await, 2);
    assert_eq!(number(&first, "SELECT 3").await, 3);
    let name: String = second.query_one("SELECT session_user::text", &[]).await.unwrap().get(0);
    assert_eq!(name, "web_b");
    assert!(pod.client("web_b", "web-secret-1").await.is_err());

    for (user, password) in [
        ("lp_operator", "operator-secret-1"),
        ("lp_replication", "replica:tion\\secret-1"),
        ("lp_monitor", "x"),
        ("postgres", "x"),
        ("nobody", "x"),
    ] {
        assert!(pod.client(user, password).await.is_err(), "{user}");
    }
    // With its own password the pooler's role gets no further than the pooler, which opens no connection of it.
    let refused = match pod.client("lp_pooler", POOLER).await {
        Ok(client) => client.query_one("SELECT 1", &[]).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);

    let (ip, port) = cluster.endpoint(PRIMARY);
    assert!(connect(ip, port, "lp_pooler", POOLER).await.is_err(), "the apps' database is closed to it");
    let mut own = Config::new();
    own.hostaddr(ip).port(port).user("lp_pooler").password(POOLER).dbname("postgres");
    let (own, connection) = own.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let found = own.query("SELECT login::text, verifier FROM lp_pooler.lookup('web_a')", &[]).await.unwrap();
    assert!(found.len() == 1 && found[0].get::<_, String>(1).starts_with("SCRAM-SHA-256$"));
    for role in ["postgres", "lp_operator", "lp_replication", "lp_monitor", "lp_pooler", "app_owner"] {
        assert!(own.query("SELECT login FROM lp_pooler.lookup($1)", &[&role]).await.unwrap().is_empty(), "{role}");
    }
    for sql in ["SELECT rolpassword FROM pg_authid", "CREATE TABLE lp_pooler.t ()", "CREATE ROLE x"] {
        let error = own.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}");
    }
    // Who plants names before those of pg_catalog gets nothing by it.
    own.batch_execute("CREATE TEMP TABLE pg_authid (rolname name, rolpassword text, rolcanlogin bool)").await.unwrap();
    assert_eq!(own.query("SELECT login FROM lp_pooler.lookup('web_a')", &[]).await.unwrap().len(), 1);
    let app = connect(ip, port, "web_a", "web-secret-1").await.unwrap();
    assert!(app.batch_execute("SELECT lp_pooler.lookup('web_a')").await.is_err());

    let lines = fs::read_to_string(format!("/proc/{}/cmdline", pod.child.id())).unwrap();
    assert!(!format!("{lines}{}{}", pod.logged(), cluster.logs()).contains("secret"), "a password is told");
}

#[tokio::test]
async fn statements_that_are_prepared_once_work_on_every_connection() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let pod = Pod::start(&cluster);
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(pod.client("web_a", "web-secret-1").await.unwrap());
    }
    clients[0].batch_execute("CREATE TABLE t (n int)").await.unwrap();
    let mut prepared = Vec::new();
    for client in &clients {
        prepared.push(client.prepare("INSERT INTO t VALUES ($1) RETURNING n + 1").await.unwrap());
    }
    for round in 0..20 {
        let all =
            clients.iter().zip(&prepared).map(async |(client, statement)| client.query_one(statement, &[&round]).await);
        for row in futures::future::join_all(all).await {
            assert_eq!(row.unwrap().get::<_, i32>(0), round + 1);
        }
    }
    let rows: i64 = clients[0].query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 160);
    assert!((1..=SIZE).contains(&sessions(&mut cluster, "web_a")), "eight clients share {SIZE} connections");
    assert!(sessions(&mut cluster, "lp_pooler") <= 2);
}

#[tokio::test]
async fn what_outlives_a_transaction_goes_beside_it() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let pod = Pod::start(&cluster);
    let (ip, port) = cluster.endpoint(PRIMARY);
    let mut config = Config::new();
    config.hostaddr(ip).port(port).user("web_a").password("web-secret-1").dbname("app");
    let (direct, mut connection) = config.connect(NoTls).await.unwrap();
    let (send, mut heard) = futures::channel::mpsc::unbounded();
    tokio::spawn(async move {
        while let Some(message) = futures::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let Ok(AsyncMessage::Notification(told)) = message {
                let _ = send.unbounded_send(told.payload().to_owned());
            }
        }
    });
    direct.batch_execute("LISTEN news").await.unwrap();
    let pooled = pod.client("web_a", "web-secret-1").await.unwrap();
    pooled.batch_execute("NOTIFY news, 'hello'").await.unwrap();
    let told = tokio::time::timeout(PATIENCE, heard.next()).await.unwrap();
    assert_eq!(told.as_deref(), Some("hello"));
    assert!(direct.query_one("SELECT pg_try_advisory_lock(7)", &[]).await.unwrap().get::<_, bool>(0));
    assert!(!pooled.query_one("SELECT pg_try_advisory_lock(7)", &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn a_client_outlives_a_restart_of_the_primary() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let mut pod = Pod::start(&cluster);
    let client = pod.client("web_a", "web-secret-1").await.unwrap();
    assert_eq!(number(&client, "SELECT 1").await, 1);
    cluster.node(PRIMARY).stop();
    // Who asks meanwhile waits.
    let asks = tokio::spawn(async move { (number(&client, "SELECT 2").await, client) });
    cluster.settle().await;
    let (answer, client) = tokio::time::timeout(PATIENCE, asks).await.unwrap().unwrap();
    assert_eq!(answer, 2);
    assert_eq!(number(&client, "SELECT 3").await, 3);
    let end = Instant::now() + PATIENCE;
    while pod.client("web_a", "web-secret-1").await.is_err() {
        assert!(Instant::now() < end, "no new client: {}", pod.logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(pod.child.try_wait().unwrap().is_none(), "it was not restarted");
}

#[tokio::test]
async fn told_to_stop_it_ends_no_transaction() {
    let mut cluster = Cluster::new(0);
    cluster.settle().await;
    let mut pod = Pod::start(&cluster);
    let mut busy = pod.client("web_a", "web-secret-1").await.unwrap();
    let idle = pod.client("web_a", "web-secret-1").await.unwrap();
    busy.batch_execute("CREATE TABLE t (n int)").await.unwrap();
    let transaction = busy.transaction().await.unwrap();
    transaction.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    pod.terminate();
    // For a moment Services still lead here.
    assert_eq!(number(&pod.client("web_a", "web-secret-1").await.unwrap(), "SELECT 1").await, 1);
    let end = Instant::now() + PATIENCE;
    while pod.client("web_a", "web-secret-1").await.is_ok() {
        assert!(Instant::now() < end, "it takes new clients: {}", pod.logged());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    transaction.batch_execute("INSERT INTO t VALUES (2)").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(pod.end().await, Some(0), "{}", pod.logged());
    let closed = async {
        while !idle.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(cluster.node(PRIMARY).superuser("SELECT 1"), "1");
    let direct = cluster.app(PRIMARY, "web_a", "web-secret-1").await.unwrap();
    assert_eq!(direct.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get::<_, i64>(0), 2);
}

/// The certificates where its pod mounts them.
fn mount(cluster: &Cluster, files: &Files) {
    for key in [AUTHORITIES, KEY, CERTIFICATE] {
        put(&cluster.path("pooler/tls").join(key), std::str::from_utf8(&files[key]).unwrap());
    }
}

/// Until when the certificate is valid that it shows to a client that trusts the authority.
async fn shown(pod: &Pod, files: &Files) -> Option<i64> {
    let connector = Connector::new(&files[AUTHORITIES]).unwrap();
    let mut config = Config::new();
    config.host(NAME).hostaddr(pod.ip).port(pod.port).ssl_mode(SslMode::Require);
    config.user("web_a").password("web-secret-1").dbname("app").connect_timeout(Duration::from_secs(5));
    let (client, connection) = config.connect(connector.clone()).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(number(&client, "SELECT 1").await, 1);
    connector.shown().and_then(tls::Certificate::read).map(|shown| shown.not_after)
}

#[tokio::test]
async fn both_sides_are_encrypted_and_renewed_certificates_are_shown_without_a_restart() {
    let mut cluster = Cluster::new(0);
    cluster.wish.server.tls = Some(Encryption::Required);
    let files = issue(&cluster, &Files::new(), 10);
    give_certificates(&mut cluster, &files);
    cluster.mount();
    cluster.settle().await;
    mount(&cluster, &files);
    let pod = Pod::start(&cluster);
    let ends = |files: &Files| first(&files[CERTIFICATE]).map(|shown| shown.not_after);
    assert_eq!(shown(&pod, &files).await, ends(&files));
    let sessions = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) \
                    WHERE usename IN ('web_a', 'lp_pooler')";
    assert_eq!(cluster.node(PRIMARY).superuser(sessions), "t");
    let plain = pod.client("web_a", "web-secret-1").await.map(drop).unwrap_err();
    assert!(format!("{plain:?}").contains("SSL required"), "{plain:?}");

    let mut due = files.clone();
    due.remove(CERTIFICATE);
    let fresh = issue(&cluster, &due, 0);
    assert_ne!(ends(&fresh), ends(&files));
    mount(&cluster, &fresh);
    let end = Instant::now() + PATIENCE;
    while shown(&pod, &files).await != ends(&fresh) {
        assert!(Instant::now() < end, "the renewed one is not shown: {}", pod.logged());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
