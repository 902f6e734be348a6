//! One pod: a container's life, its volume and its log.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Variable with the folder of the servers' programs, where they are not those of [`bin`].
pub const PROGRAMS: &str = "LP_TEST_POSTGRES";

/// A user that every Debian has, and that owns nothing.
const NOBODY: u32 = 65534;

/// Where the servers' programs are.
pub fn bin() -> &'static Path {
    static BIN: OnceLock<PathBuf> = OnceLock::new();
    BIN.get_or_init(|| {
        let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|dir| dir.path().join("bin"));
        std::env::var_os("LP_POSTGRES_BIN")
            .map(PathBuf::from)
            .into_iter()
            .chain(installed)
            .find(|dir| dir.join("initdb").exists())
            .expect("PostgreSQL's programs are needed: run `tests/cluster/cluster tools postgres` and set LP_POSTGRES_BIN to the folder it prints, or install postgresql")
    })
}

/// Programs of a newer major version, which `tests/run` names, or which are brought here.
pub fn newer() -> &'static Path {
    static NEWER: OnceLock<PathBuf> = OnceLock::new();
    let bring = || {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cluster/cluster");
        let brought = Command::new(tool).args(["tools", "postgres-17"]).output().unwrap();
        assert!(brought.status.success(), "tests/cluster/cluster tools postgres-17: {brought:?}");
        let told = String::from_utf8(brought.stdout).unwrap();
        PathBuf::from(told.trim().rsplit('\t').next().unwrap()).parent().unwrap().to_owned()
    };
    NEWER.get_or_init(|| std::env::var_os("LP_POSTGRES_NEWER_BIN").map_or_else(bring, PathBuf::from))
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| Command::new("id").arg("-u").output().unwrap().stdout == b"0\n")
}

/// Gives a file or folder to the servers' user.
pub fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

pub struct Node {
    pub name: String,
    pub dir: PathBuf,
    pub outdated: bool,
    environment: BTreeMap<String, String>,
    child: Option<Child>,
}

impl Node {
    pub fn new(name: &str, dir: PathBuf) -> Self {
        for dir in [dir.clone(), dir.join("volume"), dir.join("run")] {
            fs::create_dir_all(&dir).unwrap();
            give(&dir, 0o755);
        }
        fs::write(dir.join("log"), "").unwrap();
        Self { name: name.to_owned(), dir, outdated: false, environment: BTreeMap::new(), child: None }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.join("volume/major/docker")
    }

    /// Where the programs of its image are.
    fn bin(&self) -> &Path {
        self.environment.get(PROGRAMS).map_or(bin(), Path::new)
    }

    /// A command in the container.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").envs(&self.environment);
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", path);
        }
        let beside = self.environment.get(super::bucket::PROGRAMS).map(|dir| format!(":{dir}")).unwrap_or_default();
        command.env("PATH", format!("{}:/usr/bin:/bin{beside}", self.bin().display()));
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn script(&self, name: &str) -> Command {
        let mut command = self.command("sh");
        command.arg(format!("{}/{name}", self.environment["LP_CONF_DIR"]));
        command
    }

    pub fn start(&mut self, primary: bool, environment: BTreeMap<String, String>) {
        self.run(if primary { "primary.sh" } else { "replica.sh" }, environment);
    }

    /// Starts a container that runs a script.
    pub fn run(&mut self, script: &str, mut environment: BTreeMap<String, String>) {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        environment.insert("PGDATA".into(), text(self.data()));
        environment.insert("POD_NAME".into(), self.name.clone());
        environment.insert("LP_RUN_DIR".into(), text(self.dir.join("run")));
        environment.insert("LP_TERMINATION_LOG".into(), text(self.dir.join("run/termination")));
        self.environment = environment;
        // Kubernetes keeps what the last container said.
        if self.exit_code() != Some(75) {
            let _ = fs::remove_file(self.dir.join("run/termination"));
        }
        let log = || fs::File::options().append(true).open(self.dir.join("log")).unwrap();
        let mut command = self.script(script);
        let child = command.stdin(Stdio::null()).stdout(log()).stderr(log()).spawn().unwrap();
        self.child = Some(child);
    }

    /// Whether it was started with certificates.
    pub fn has_tls(&self) -> bool {
        self.environment.contains_key("LP_TLS_DIR")
    }

    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// What the last container left as its termination message, once it has ended.
    pub fn termination(&mut self) -> Option<String> {
        fs::read_to_string(self.dir.join("run/termination")).ok()
    }

    /// How the last container ended by itself.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.as_mut()?.try_wait().unwrap()?.code()
    }

    /// Waits for a container that ends by itself, and says how.
    pub fn wait_for_exit(&mut self) -> Option<i32> {
        self.child.as_mut()?.wait().unwrap().code()
    }

    pub fn is_ready(&mut self) -> bool {
        let mut probe = self.script("ready.sh");
        self.runs() && probe.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    /// Whether a script says yes.
    pub fn probe(&self, script: &str, argument: &str) -> bool {
        self.script(script).arg(argument).stdin(Stdio::null()).status().unwrap().success()
    }

    /// Sends SIGTERM and waits for the end of a container without a preStop hook.
    pub fn terminate(&mut self) {
        if let Some(child) = &self.child {
            signal("TERM", &[child.id()]);
        }
        self.wait();
    }

    /// Ends the container as the kubelet does: preStop, then SIGTERM.
    pub fn stop(&mut self) {
        if self.runs() {
            let output = self.script("stop.sh").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            if let Some(child) = &mut self.child {
                signal("TERM", &[child.id()]);
            }
        }
        self.wait();
    }

    /// Ends all processes of the container at once, as a crash of its node does.
    pub fn kill(&mut self) {
        if let Some(child) = &self.child {
            let own = child.id();
            let family = self.freeze();
            signal("KILL", &family);
            let end = Instant::now() + Duration::from_secs(30);
            // A server that is still there, if only as a name that nobody has taken note of, keeps the next one from starting.
            let is_there = |pid: &u32| *pid != own && Path::new(&format!("/proc/{pid}")).exists();
            while family.iter().any(is_there) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.wait();
    }

    /// Stops all processes of the container where they stand, and names them.
    fn freeze(&self) -> Vec<u32> {
        let end = Instant::now() + Duration::from_secs(30);
        // Again, because of those that were born meanwhile: their parents stand by now.
        let mut all = Vec::new();
        while (all.is_empty() || !all_stopped(&family(self.roots()))) && Instant::now() < end {
            all = family(self.roots());
            signal("STOP", &all);
        }
        all
    }

    /// Copies the volume as it is at one moment, as the driver of a storage does: none of the container's processes runs meanwhile.
    pub fn snapshot(&self, into: &Path) {
        let all = self.freeze();
        assert!(all_stopped(&all), "they do not stop: {}", self.log());
        let _ = fs::remove_dir(into);
        let copied = Command::new("cp").arg("-a").arg(self.dir.join("volume")).arg(into).status().unwrap();
        signal("CONT", &all);
        assert!(copied.success());
    }

    /// The script, and a server that it started beside itself for the setup.
    fn roots(&self) -> Vec<u32> {
        let dir = self.data();
        let dirs = [dir.with_extension("new"), dir];
        let beside = dirs.iter().filter_map(|dir| {
            let pid: u32 = fs::read_to_string(dir.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()?;
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            line.contains(self.dir.to_str()?).then_some(pid)
        });
        self.child.iter().map(Child::id).chain(beside).collect()
    }

    fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Runs SQL as the superuser, over the pod's own socket.
    pub fn superuser(&self, sql: &str) -> String {
        self.superuser_in("postgres", sql)
    }

    /// The same in another database.
    pub fn superuser_in(&self, database: &str, sql: &str) -> String {
        let program = ["psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"];
        self.program(&[program.as_slice(), &["-d", database, "-c", sql]].concat()).trim().to_owned()
    }

    /// Runs a client program as the superuser, and says what it printed.
    pub fn program(&self, words: &[&str]) -> String {
        let mut command = self.command(self.bin().join(words[0]).to_str().unwrap());
        command
            .env("PGHOST", self.dir.join("run"))
            .env("PGPORT", &self.environment["LP_PORT"])
            .env("PGUSER", "postgres");
        let output = command.args(&words[1..]).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Does something to the data of a container that has ended, without anybody else reaching it.
    pub fn offline(&self, work: impl FnOnce(&dyn Fn(&str, &[&str]))) {
        let run = |program: &str, arguments: &[&str]| {
            let mut command = self.command(self.bin().join(program).to_str().unwrap());
            let log = fs::File::options().append(true).open(self.dir.join("log")).unwrap();
            command.env("PGHOST", self.dir.join("run")).args(arguments).stdin(Stdio::null());
            assert!(
                command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap().success(),
                "{program}: {}",
                self.log()
            );
        };
        work(&run);
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// The whole command lines of the container's processes.
    pub fn command_lines(&self) -> String {
        family(self.roots()).iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    // One that has just ended is no error.
    let _ = Command::new("kill").arg(format!("-{name}")).args(pids).stderr(Stdio::null()).status();
}

fn all_stopped(pids: &[u32]) -> bool {
    let is_stopped = |stat: String| stat.contains(") T ") || stat.contains(") Z ");
    pids.iter().all(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, is_stopped))
}

/// Processes and their descendants.
fn family(mut family: Vec<u32>) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(&pid)?))).collect();
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}
