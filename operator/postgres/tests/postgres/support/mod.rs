//! Real servers as plain processes, started by the pods' own scripts, and a small stand-in for Kubernetes and the keeper.
#![allow(dead_code, clippy::unwrap_used)]

pub mod bucket;
pub mod certificates;
pub mod node;
pub mod source;

use learningplatform_postgres::{
    Access, Archive, Ask, Database, Decision, Durability, Gate, Login, Password, Pod, ReplicaState, Role, SCRIPTS,
    Seen, StaleReads, Wish, carry_out,
    config::{Server, render},
    decide, observe, verifier,
};
use node::{Node, give};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);
pub const SET: &str = "story-main-pg-ro";
/// The password of the pooler's role.
pub const POOLER: &str = "pooler-secret-1";
/// The password of the role that backups are taken by.
pub const BACKUP: &str = "back:up\\secret-1";

/// One database: its wish, its pods, and what Kubernetes would hold.
pub struct Cluster {
    pub wish: Wish,
    pub nodes: BTreeMap<Role, Node>,
    pub routed: BTreeSet<u32>,
    pub operator: Password,
    pub replication: Password,
    /// What the record says of a promotion, as the environment of the primary's pod.
    pub promotion: BTreeMap<String, String>,
    /// What each round did, for a test that fails.
    pub history: Vec<String>,
    restore: BTreeMap<String, String>,
    /// Where the programs of its image are; none for those of the other tests.
    pub programs: Option<PathBuf>,
    replicas: u32,
    net: u8,
    port: u16,
    dir: TempDir,
}

impl Cluster {
    /// The wish of most tests: database `app`, login `web_a`, statements that change something in the log.
    pub fn new(replicas: u32) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let dir = TempDir::new().unwrap();
        give(dir.path(), 0o755);
        let net = NEXT.fetch_add(1, Ordering::Relaxed);
        let primary = address(net, Role::Primary);
        let port = TcpListener::bind((primary, 0)).unwrap().local_addr().unwrap().port();
        // A server that is killed leaves what it shares through memory; through files it goes with its folder.
        let shared = ("dynamic_shared_memory_type", "mmap");
        let parameters = [("log_statement", "mod"), ("shared_buffers", "16MB"), shared];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let server = Server { parameters: parameters.into(), volume: 4 << 30, most_replicas: 3, ..Server::default() };
        let database = Database { name: "app".into(), owner: "app_owner".into(), extensions: vec![] };
        let login = Login {
            role: "web_a".into(),
            owner: "app_owner".into(),
            password: Some(Password::new("web-secret-1")),
            other: None,
        };
        let wish = Wish {
            record: None,
            replica_set: SET.into(),
            replicas,
            durability: Durability::Local,
            databases: vec![database],
            logins: vec![login],
            server,
            trust: None,
            max_lag: Duration::from_secs(10),
            stale_reads: StaleReads::Serve,
            archive: Archive::Off,
            may_restart: true,
        };
        let (operator, replication) = (Password::new("operator-secret-1"), Password::new("replica:tion\\secret-1"));
        let nodes = BTreeMap::new();
        let (history, promotion, restore) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let routed = BTreeSet::new();
        let cluster = Self {
            wish,
            nodes,
            routed,
            operator,
            replication,
            promotion,
            history,
            restore,
            programs: None,
            replicas: 0,
            net,
            port,
            dir,
        };
        cluster.mount();
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes what the pods mount, as the kubelet does some time after the operator.
    pub fn mount(&self) {
        let rendered = render(&self.wish.server, &self.wish.databases);
        let conf = [
            ("postgresql.conf", rendered.postgresql_conf.as_str()),
            ("pg_hba.conf", &rendered.pg_hba_conf),
            ("setup.sql", &rendered.setup_sql),
        ];
        let conf = conf.into_iter().chain(rendered.pg_hba_tls_conf.as_deref().map(|text| ("pg_hba_tls.conf", text)));
        for (name, text) in conf.chain(SCRIPTS) {
            put(&self.path("conf").join(name), text);
        }
        let pooler = Password::new(POOLER);
        let backup = Password::new(BACKUP);
        let passwords = [
            ("operator", &self.operator),
            ("replication", &self.replication),
            ("pooler", &pooler),
            ("backup", &backup),
        ];
        for (name, password) in passwords {
            let path = self.path("secrets").join(format!("{name}.verifier"));
            if !path.exists() {
                put(&path, &verifier(password));
            }
        }
        put(&self.path("secrets").join("replication.password"), "replica:tion\\secret-1");
        put(&self.path("secrets").join("backup.password"), BACKUP);
    }

    /// An address beside those of the pods, with a port that nobody uses.
    pub fn free_address(&self) -> String {
        let listener = TcpListener::bind((address(self.net, Role::Replica(200)), 0)).unwrap();
        listener.local_addr().unwrap().to_string()
    }

    /// The environment that a pod would have.
    pub fn environment(&self, role: Role) -> BTreeMap<String, String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut environment = BTreeMap::from([
            ("LP_CONF_DIR".to_owned(), text(self.path("conf"))),
            ("LP_SECRET_DIR".to_owned(), text(self.path("secrets"))),
            ("LP_LISTEN".to_owned(), address(self.net, role).to_string()),
            ("LP_PORT".to_owned(), self.port.to_string()),
            ("LP_PRIMARY".to_owned(), address(self.net, Role::Primary).to_string()),
            ("LP_MAX_LAG".to_owned(), self.wish.max_lag.as_secs().to_string()),
        ]);
        if let Some(programs) = &self.programs {
            environment.insert(node::PROGRAMS.into(), text(programs.clone()));
        }
        if self.wish.server.tls.is_some() {
            environment.insert("LP_TLS_DIR".into(), text(self.path("tls")));
        }
        if let Some(record) = &self.wish.record {
            environment.insert("LP_RECORD_SYSTEM_IDENTIFIER".into(), record.system_identifier.clone());
            environment.insert("LP_RECORD_TIMELINE".into(), record.timeline.to_string());
            environment.extend(self.promotion.iter().map(|(key, value)| (format!("LP_RECORD_{key}"), value.clone())));
        }
        environment
    }

    /// Lets the primary's first start restore.
    pub fn restore(&mut self, from: BTreeMap<String, String>) {
        self.restore = from;
    }

    pub fn start(&mut self, role: Role) {
        let name = match role {
            Role::Primary => "story-main-pg-0".to_owned(),
            Role::Replica(ordinal) => self.wish.replica(ordinal),
        };
        let mut environment = self.environment(role);
        environment.extend(self.restore.clone());
        let dir = self.path(&name);
        let node = self.nodes.entry(role).or_insert_with(|| Node::new(&name, dir));
        node.start(role == Role::Primary, environment);
    }

    pub fn node(&mut self, role: Role) -> &mut Node {
        self.nodes.get_mut(&role).unwrap()
    }

    fn pods(&mut self) -> Vec<Pod> {
        let (net, port) = (self.net, self.port);
        let pod = |(role, node): (&Role, &mut Node)| Pod {
            role: *role,
            name: node.name.clone(),
            address: Some(address(net, *role)),
            port,
            tls: node.has_tls(),
            ready: node.is_ready(),
            outdated: node.outdated,
            terminating: false,
            stuck: false,
            gate: node.termination().as_deref().and_then(Gate::parse),
        };
        self.nodes.iter_mut().map(pod).collect()
    }

    pub async fn observe(&mut self) -> Seen {
        let pods = self.pods();
        let (replicas, routed) = (self.replicas, self.routed.clone());
        observe(Ask { wish: &self.wish, pods, replicas, routed, password: &self.operator, logins: true, sizes: true })
            .await
    }

    /// One round of a keeper, and what Kubernetes does upon it.
    pub async fn round(&mut self) -> (Seen, Decision) {
        let mut missing: Vec<Role> = (0..self.replicas).map(Role::Replica).chain([Role::Primary]).collect();
        missing.retain(|role| self.nodes.get_mut(role).is_none_or(|node| !node.runs()));
        for role in missing {
            self.start(role);
        }
        let seen = self.observe().await;
        let decision = decide(&self.wish, &seen);
        self.history.push(format!("{decision:#?}\n{:?}", seen.primary));
        let access = Access { password: &self.operator, trust: self.wish.trust.as_ref() };
        for act in &decision.acts {
            if let Err(error) = carry_out(act, &seen.pods, access).await {
                self.history.push(format!("{}: {error}", act.sentence()));
            }
        }
        if let Some(restart) = &decision.restart {
            self.node(restart.role).stop();
            self.node(restart.role).outdated = false;
        }
        self.routed = decision.view.routable();
        if let Some(record) = &decision.view.record {
            self.wish.record = Some(record.clone());
        }
        self.replicas = decision.view.replicas_allowed;
        let gone: Vec<Role> = self.nodes.keys().copied().filter(|role| *role >= Role::Replica(self.replicas)).collect();
        for role in gone {
            // The volumes of replicas that are scaled away go too.
            let mut node = self.nodes.remove(&role).unwrap();
            node.stop();
            fs::remove_dir_all(&node.dir).unwrap();
        }
        (seen, decision)
    }

    /// Rounds until `done`.
    pub async fn until(&mut self, what: &str, mut done: impl FnMut(&Seen, &Decision) -> bool) -> (Seen, Decision) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (seen, decision) = self.round().await;
            if done(&seen, &decision) {
                return (seen, decision);
            }
            if Instant::now() > end {
                self.fail(what);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn fail(&self, what: &str) -> ! {
        for node in self.nodes.values() {
            eprintln!("--- log of {}\n{}", node.name, node.log());
        }
        for round in self.history.iter().rev().take(3).rev() {
            eprintln!("--- round\n{round}");
        }
        panic!("{what}: not within {PATIENCE:?}");
    }

    /// Rounds until all is as wished, and nothing is left to do.
    pub async fn settle(&mut self) -> (Seen, Decision) {
        let replicas = self.wish.replicas as usize;
        self.until("all is as wished", |_, decision| {
            let quiet =
                decision.acts.is_empty() && decision.restart.is_none() && decision.view.routable().len() == replicas;
            decision.view.ready() && quiet && !said(decision, "PendingRestart")
        })
        .await
    }

    /// A connection as an app makes it.
    pub async fn app(&self, role: Role, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        connect(address(self.net, role), self.port, user, password).await
    }

    pub fn endpoint(&self, role: Role) -> (IpAddr, u16) {
        (address(self.net, role), self.port)
    }

    /// All that servers and scripts have said, those of pods that went away excepted.
    pub fn logs(&self) -> String {
        self.logs_by_server().concat()
    }

    /// The same, server by server.
    pub fn logs_by_server(&self) -> Vec<String> {
        self.nodes.values().map(Node::log).collect()
    }
}

pub async fn connect(ip: IpAddr, port: u16, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.hostaddr(ip).port(port).user(user).password(password).dbname("app").connect_timeout(Duration::from_secs(5));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Whether a verdict of this reason was given.
pub fn said(decision: &Decision, reason: &str) -> bool {
    decision.view.verdicts.iter().any(|verdict| format!("{:?}", verdict.reason) == reason)
}

pub fn state(decision: &Decision, ordinal: u32) -> Option<ReplicaState> {
    decision.view.replicas.iter().find(|replica| replica.ordinal == ordinal).map(|replica| replica.state)
}

fn address(net: u8, role: Role) -> IpAddr {
    // Test binaries run one after the other, tests of one beside each other.
    let last = match role {
        Role::Primary => 1,
        Role::Replica(ordinal) => 10 + u8::try_from(ordinal).unwrap(),
    };
    let binary = u8::try_from(100 + std::process::id() % 100).unwrap();
    Ipv4Addr::new(127, binary, net, last).into()
}

/// Replaces a file at once.
pub fn put(path: &Path, text: &str) {
    let dir = path.parent().unwrap();
    fs::create_dir_all(dir).unwrap();
    give(dir, 0o755);
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    give(&new, 0o444);
    fs::rename(new, path).unwrap();
}
