//! Real servers as plain processes on addresses of 127/8, and a loop that does what the operator's keeper and passes do.

#![allow(dead_code, reason = "each test binary uses a part")]

use learningplatform_valkey::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;
use tls::{AUTHORITIES, CERTIFICATE, Files, KEY, make_key, renewed};

pub mod load;
mod server;

#[allow(unused_imports)] // Each binary uses its part.
pub use server::{Server, server, signal};
use server::{address, client};

/// Below the range from which the system takes ports for connections; the bus listens 10000 above.
pub const PORT: u16 = 17001;
pub const NODE_TIMEOUT: Duration = Duration::from_millis(2500);
pub const DEADLINE: Duration = Duration::from_secs(240);

/// A store, and the loop over it.
pub struct Store {
    pub wish: Wish,
    pub settings: Settings,
    pub pods: Vec<Server>,
    /// The record, as pods get it in their environment.
    pub record: BTreeMap<String, String>,
    pub failures: Vec<Failure>,
    pub last: Option<Decision>,
    /// What was ever done, in words.
    pub done: Vec<String>,
    /// A round does only its first act, and the next one knows nothing of it.
    pub cut: bool,
    /// The secret as new pods find it.
    pub secret: Passwords,
    /// What signs the servers' certificates, where they speak TLS.
    pub authority: Option<Files>,
    pub new_address_at_restart: bool,
    pub budget: Duration,
}

/// The name by which the operator calls the servers.
pub const NAME: &str = "story-cache.learning.svc";

/// An authority as it was made `days` ago.
pub fn authority(days: i64) -> Files {
    issue(&Files::new(), &[], days)
}

fn issue(held: &Files, names: &[&str], days: i64) -> Files {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    renewed(held, "story-cache", &names, i64::try_from(now).unwrap() - days * 86_400, make_key).unwrap().files
}

/// Mounts certificates for a server; where.
pub fn certify(authority: &Files, one: &Server) -> String {
    let mut held = authority.clone();
    held.remove(CERTIFICATE);
    let files = issue(&held, &[NAME, &one.pod.address.unwrap().ip().to_string()], 0);
    let directory = one.volume.path().join("tls");
    fs::create_dir_all(&directory).unwrap();
    for key in [CERTIFICATE, KEY, AUTHORITIES] {
        fs::write(directory.join(key), &files[key]).unwrap();
    }
    directory.to_str().unwrap().to_owned()
}

pub fn password(text: &str) -> Passwords {
    Passwords { current: Password::new(text), previous: None }
}

pub const SECRET: &str = "p\"a's $s \\w0rd#é";

impl Store {
    pub fn new(mode: Mode, shards: u32, replicas: u32) -> Self {
        Self::with(mode, shards, replicas, None)
    }

    /// Whose servers speak TLS where there is an authority.
    pub fn with(mode: Mode, shards: u32, replicas: u32, authority: Option<Files>) -> Self {
        let wish = Wish { mode, shards, replicas, passwords: password(SECRET), formed: false, primary: None };
        let settings = Settings {
            mode,
            port: PORT,
            node_timeout: NODE_TIMEOUT,
            append_only: true,
            max_memory: 256 << 20,
            policy: "noeviction".to_owned(),
            min_replicas_to_write: 0,
            tls: None,
            // The tests ask for what was acknowledged, not for what a disk does.
            parameters: BTreeMap::from([("appendfsync".to_owned(), "no".to_owned())]),
        };
        let mut store = Self {
            authority,
            secret: wish.passwords.clone(),
            wish,
            settings,
            pods: Vec::new(),
            record: BTreeMap::new(),
            failures: Vec::new(),
            last: None,
            done: Vec::new(),
            cut: false,
            new_address_at_restart: false,
            budget: Duration::from_secs(2),
        };
        store.provide();
        store
    }

    /// Pods for all that is wished, as StatefulSets make them.
    pub fn provide(&mut self) {
        for shard in 0..self.wish.shards {
            for ordinal in 0..=self.wish.replicas {
                let here = self.pods.iter().any(|one| one.pod.shard == shard && one.pod.ordinal == ordinal);
                if !here {
                    let pod = Pod {
                        name: format!("story-cache-s{shard}-{ordinal}"),
                        shard,
                        ordinal,
                        address: Some(SocketAddr::new(address(), PORT)),
                        ready: true,
                        outdated: false,
                        terminating: false,
                        gone: false,
                        gate: None,
                    };
                    let volume = TempDir::new().unwrap();
                    fs::create_dir(volume.path().join("data")).unwrap();
                    self.pods.push(Server { pod, volume, process: None, deleted: false });
                    let last = self.pods.len() - 1;
                    self.start(last);
                }
            }
        }
    }

    pub fn index(&self, name: &str) -> usize {
        self.pods.iter().position(|one| one.pod.name == name).unwrap_or_else(|| panic!("no pod {name}"))
    }

    pub fn pod(&mut self, name: &str) -> &mut Server {
        let index = self.index(name);
        &mut self.pods[index]
    }

    /// Starts a pod's container, with its start script. Whether it refused is seen when it has ended.
    pub fn start(&mut self, index: usize) {
        let (record, mode) = (self.record.clone(), self.wish.mode);
        let one = &mut self.pods[index];
        let root = one.volume.path();
        let auth = root.join("auth");
        let run = root.join("run");
        fs::create_dir_all(&auth).unwrap();
        fs::create_dir_all(&run).unwrap();
        let _ = fs::remove_file(auth.join("previous"));
        fs::write(auth.join("password"), format!("{}\n", reveal(&self.secret.current))).unwrap();
        if let Some(previous) = &self.secret.previous {
            fs::write(auth.join("previous"), reveal(previous)).unwrap();
        }
        let ip = one.pod.address.unwrap().ip().to_string();
        let tls = self.authority.as_ref().map(|authority| certify(authority, one));
        let settings = Settings { tls: tls.clone(), ..self.settings.clone() };
        // No name leads to an address of a test.
        let endpoints =
            if mode == Mode::Cluster && tls.is_some() { "cluster-preferred-endpoint-type ip\n" } else { "" };
        let config = config(&settings).unwrap();
        let config = format!("{config}bind {ip}\nlogfile {}\n{endpoints}", root.join("log").display());
        fs::write(root.join("server.conf"), config).unwrap();
        fs::write(root.join("start.sh"), START).unwrap();
        let _ = fs::remove_file(root.join("termination-log"));
        let mut command = Command::new("sh");
        command
            .arg(root.join("start.sh"))
            .env("LP_MODE", if mode == Mode::Cluster { "cluster" } else { "single" })
            .env("LP_SHARD", one.pod.shard.to_string())
            .env("LP_ORDINAL", one.pod.ordinal.to_string())
            .env("POD_NAME", &one.pod.name)
            .env("POD_IP", &ip)
            .env("LP_DOMAIN", "nowhere.invalid")
            .env("LP_SERVER", server())
            .env("LP_CONFIG", root.join("server.conf"))
            .env("LP_AUTH", &auth)
            .env("LP_DATA", one.data())
            .env("LP_RUN", &run)
            .envs(tls.map(|tls| ("LP_TLS_DIR", tls)))
            .env("LP_TERMINATION_LOG", root.join("termination-log"))
            .envs(record.iter().map(|(name, value)| (format!("LP_RECORD_{name}"), value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        one.deleted = false;
        one.process = Some(command.spawn().unwrap());
    }

    /// A pod's restart by the operator: deleted, and made anew by its StatefulSet, on its volume.
    pub fn restart(&mut self, name: &str) {
        let index = self.index(name);
        self.pods[index].stop();
        if self.new_address_at_restart {
            self.pods[index].pod.address = Some(SocketAddr::new(address(), PORT));
        }
        self.pods[index].pod.outdated = false;
        self.start(index);
    }

    pub fn new_address(&mut self, index: usize) {
        self.pods[index].pod.address = Some(SocketAddr::new(address(), PORT));
    }

    /// Runs a script in a pod; whether it ended well.
    pub fn run(&self, pod: &str, script: &str) -> bool {
        let one = &self.pods[self.index(pod)];
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .env("LP_MODE", if self.wish.mode == Mode::Cluster { "cluster" } else { "single" })
            .env("LP_PORT", PORT.to_string())
            .env("LP_CLI", client())
            .env("LP_AUTH", one.volume.path().join("auth"))
            .env("LP_RUN", one.volume.path().join("run"))
            .envs(self.authority.as_ref().map(|_| ("LP_TLS_DIR", one.volume.path().join("tls"))))
            .env("POD_IP", one.pod.address.unwrap().ip().to_string());
        command.status().unwrap().success()
    }

    /// What Kubernetes says of the pods now.
    pub fn listed(&mut self) -> Vec<Pod> {
        for one in &mut self.pods {
            if let Some(process) = &mut one.process
                && process.try_wait().unwrap().is_some()
            {
                one.process = None;
                let message = fs::read_to_string(one.volume.path().join("termination-log")).unwrap_or_default();
                one.pod.gate = Gate::parse(&message);
            }
            one.pod.ready = one.process.is_some();
        }
        self.pods.iter().filter(|one| !one.deleted).map(|one| one.pod.clone()).collect()
    }

    pub fn edge(&self) -> Edge {
        let trust = self
            .authority
            .as_ref()
            .map(|files| Trust { authorities: files[AUTHORITIES].clone(), name: NAME.to_owned() });
        Edge::new(self.wish.passwords.clone(), Duration::from_secs(1)).trusting(trust)
    }

    /// One round of the keeper, and what a pass does with its view.
    pub async fn round(&mut self) -> View {
        let pods = self.listed();
        let edge = self.edge();
        let failures = std::mem::take(&mut self.failures);
        let seen = Seen { sightings: edge.observe(&pods).await, failures };
        let decision = decide(&self.wish, &seen);
        let mut acts = decision.acts.as_slice();
        if self.cut {
            acts = acts.get(..1).unwrap_or_default();
        }
        self.done.extend(acts.iter().map(|act| act.to_string().chars().take(160).collect()));
        let failures = edge.carry_out(acts, &seen, self.budget).await;
        self.done.extend(failures.iter().map(|failure| format!("  failed: {}", failure.error)));
        if !self.cut {
            self.failures = failures;
        }
        if let Some(pod) = &decision.restart {
            self.done.push(format!("{pod}: restart"));
            self.restart(pod);
        }
        self.write_record(&decision.view);
        let view = decision.view.clone();
        self.last = Some(decision);
        view
    }

    fn write_record(&mut self, view: &View) {
        let entry = |pod: &Pod| format!("POD_{}_{}", pod.shard, pod.ordinal);
        for one in &self.pods {
            if view.rejoin.contains(&one.pod.name) {
                self.record.insert(entry(&one.pod), "rejoin".to_owned());
            }
            if view.held.contains(&one.pod.name) {
                self.record.insert(entry(&one.pod), "held".to_owned());
            }
        }
        if let Some(lead) = &view.lead {
            self.record.insert("PRIMARY".to_owned(), lead.clone());
        }
        self.wish.primary = self.record.get("PRIMARY").cloned();
        self.wish.formed = view.formed;
        // The kubelet starts a container that ended again.
        for index in 0..self.pods.len() {
            let ended = self.pods[index].process.is_none() && self.pods[index].pod.gate.is_some();
            if ended && !self.pods[index].deleted {
                self.start(index);
            }
        }
    }

    /// Rounds until a view is as awaited.
    pub async fn until(&mut self, what: &str, mut fits: impl FnMut(&View) -> bool) -> View {
        let until = Instant::now() + DEADLINE;
        loop {
            let view = self.round().await;
            if fits(&view) {
                return view;
            }
            if Instant::now() >= until && self.wish.mode == Mode::Cluster {
                for one in self.pods.iter().filter(|one| one.process.is_some()) {
                    println!("{}:\n{}", one.pod.name, self.text(&one.pod.name, &["CLUSTER", "NODES"]).await);
                }
            }
            assert!(
                Instant::now() < until,
                "not {what}: {:?} {}\nlast: {:?}\ndone:\n{}",
                view,
                view.verdict,
                self.last.as_ref().map(|decision| &decision.acts),
                self.done[self.done.len().saturating_sub(30)..].join("\n")
            );
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    pub async fn until_ready(&mut self) -> View {
        self.until("ready", |view| view.verdict == Verdict::Ready).await
    }

    /// Removes the pods of shards that may go, and those beyond the wished number where the shard may shrink.
    pub fn shrink(&mut self, view: &View) {
        let (shards, replicas) = (self.wish.shards, self.wish.replicas);
        let may_go = |pod: &Pod| {
            let shrinks = || view.shards.get(&pod.shard).is_some_and(|shard| shard.may_shrink);
            view.removable.contains(&pod.shard) || (pod.shard < shards && pod.ordinal > replicas && shrinks())
        };
        let record = &mut self.record;
        self.pods.retain(|one| {
            let goes = may_go(&one.pod);
            if goes {
                record.remove(&format!("POD_{}_{}", one.pod.shard, one.pod.ordinal));
            }
            !goes
        });
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.pods.iter().filter(|one| one.process.is_some()).filter_map(|one| one.pod.address).collect()
    }

    /// One command at one server, as a person would.
    pub async fn ask(&self, pod: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let address = self.pods[self.index(pod)].pod.address.unwrap();
        ask(address, reveal(&self.secret.current), words).await
    }

    pub async fn text(&self, pod: &str, words: &[&str]) -> String {
        let value = self.ask(pod, words).await.unwrap_or_else(|error| panic!("{pod} {words:?}: {error}"));
        redis::from_redis_value(value).unwrap()
    }

    /// Node identities that a server lists.
    pub async fn listed_by(&self, pod: &str) -> BTreeSet<String> {
        let nodes = self.text(pod, &["CLUSTER", "NODES"]).await;
        nodes.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
    }

    pub fn figures(&self) -> &Figures {
        &self.last.as_ref().expect("no round yet").figures
    }

    pub fn done(&self, part: &str) -> usize {
        self.done.iter().filter(|done| done.contains(part)).count()
    }
}

/// The tests' own passwords, by their only way out.
pub fn reveal(password: &Password) -> &'static str {
    [SECRET, NEW].into_iter().find(|text| Password::new(text) == *password).expect("a password of the tests")
}

pub const NEW: &str = "the new one";

pub async fn ask(address: SocketAddr, password: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let url = redis::ConnectionAddr::Tcp(address.ip().to_string(), address.port());
    let info = redis::IntoConnectionInfo::into_connection_info(url)?
        .set_redis_settings(redis::RedisConnectionInfo::default().set_password(password));
    let patience = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(15)));
    let mut connection = redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&patience).await?;
    let mut command = redis::Cmd::new();
    command.arg(words);
    command.query_async(&mut connection).await
}

pub fn wipe(directory: &Path) {
    fs::remove_dir_all(directory).unwrap();
    fs::create_dir(directory).unwrap();
}
