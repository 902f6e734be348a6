//! A PostgreSQL that speaks TLS by the name of `localhost`, with an administrator who is no superuser, as RDS has it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tls::{AUTHORITIES, CERTIFICATE, Files, KEY};

/// A user that every Debian has, and that owns nothing: the server does not run as root.
const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(240);

pub struct PostgresServer {
    directory: TempDir,
    port: u16,
    files: Files,
    child: Option<Child>,
}

impl PostgresServer {
    /// One that does not run yet, with a port that nobody uses and a certificate for this name.
    pub fn new(name: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let now = jiff::Timestamp::now().as_second();
        let names = BTreeSet::from([name.to_owned()]);
        let made = tls::renewed(&Files::new(), "server", &names, now, tls::make_key).unwrap();
        Self { directory: tempfile::tempdir().unwrap(), port, files: made.files, child: None }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed its certificate, PEM.
    pub fn authority(&self) -> Vec<u8> {
        self.files[AUTHORITIES].clone()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        // The user's own folder has settings of the user's own.
        command.current_dir("/").env("HOME", "/nonexistent").stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = self.command(program).args(arguments).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts it with the operator's login.
    pub fn start(&mut self, password: &str) {
        give(self.directory.path(), 0o755);
        let data = self.path("data");
        fs::create_dir(&data).unwrap();
        give(&data, 0o700);
        let data = data.to_str().unwrap().to_owned();
        self.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync"]);
        for (name, key) in [("server.crt", CERTIFICATE), ("server.key", KEY)] {
            let path = Path::new(&data).join(name);
            fs::write(&path, &self.files[key]).unwrap();
            give(&path, 0o600);
        }
        let hba = "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(Path::new(&data).join("pg_hba.conf"), hba).unwrap();
        self.run_server(&data);
        self.sql(&format!("CREATE ROLE lp_operator LOGIN CREATEDB CREATEROLE PASSWORD '{password}'"));
        // As the administrator at RDS, who is no superuser.
        self.sql("GRANT pg_monitor TO lp_operator");
    }

    /// A read replica of it, with the same certificate and a port of its own.
    pub fn replica(&self) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut replica =
            Self { directory: tempfile::tempdir().unwrap(), port, files: self.files.clone(), child: None };
        give(replica.directory.path(), 0o755);
        let (from, data) = (self.path("data"), replica.path("data"));
        let (from, data) = (from.to_str().unwrap(), data.to_str().unwrap().to_owned());
        fs::create_dir(&data).unwrap();
        give(Path::new(&data), 0o700);
        let primary = ["-h", from, "-p", &self.port.to_string(), "-U", "postgres"].map(str::to_owned);
        let primary: Vec<&str> = primary.iter().map(String::as_str).collect();
        self.run(
            "pg_basebackup",
            &[&primary[..], &["-D", &data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]].concat(),
        );
        replica.run_server(&data);
        replica
    }

    /// Runs statements on a connection of its own, until it is ended.
    pub fn keep_busy(&self, database: &str, statements: &str) -> Busy {
        let (data, port) = (self.path("data"), self.port.to_string());
        let mut psql = self.command("psql");
        psql.args(["-h", data.to_str().unwrap(), "-p", &port, "-U", "postgres", "-d", database, "-qAt"]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(statements.as_bytes()).unwrap();
        Busy(child)
    }

    fn run_server(&mut self, data: &str) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut server = self.command("postgres");
        server.args(["-D", data, "-p", &self.port.to_string(), "-k", data, "-c", "ssl=on", "-c", "fsync=off"]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"]);
        // One that is killed leaves what it shares through memory; through files it goes with its folder.
        server.args(["-c", "dynamic_shared_memory_type=mmap"]);
        self.child = Some(server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < end, "{}", fs::read_to_string(self.path("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sets the password of the operator's login.
    pub fn set_password(&self, password: &str) {
        self.sql(&format!("ALTER ROLE lp_operator PASSWORD '{password}'"));
    }

    fn sql(&self, statement: &str) {
        let (data, port) = (self.path("data"), self.port.to_string());
        let data = data.to_str().unwrap();
        self.run("psql", &["-h", data, "-p", &port, "-U", "postgres", "-qc", statement]);
    }

    /// Asserts that a login works as an app would use it.
    pub fn can_log_in(&self, user: &str, password: &str, database: &str) {
        let authority = self.path("authority.crt");
        fs::write(&authority, self.authority()).unwrap();
        give(&authority, 0o644);
        let mut psql = self.command("psql");
        psql.env("PGPASSWORD", password).env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", &authority);
        psql.args(["-h", "localhost", "-p", &self.port.to_string(), "-U", user, "-d", database]);
        let done = psql.args(["-qc", "CREATE TABLE IF NOT EXISTS kept (id int)"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// A client that runs statements.
pub struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where the servers' programs are.
fn programs() -> PathBuf {
    let installed =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|dir| dir.path().join("bin"));
    let named = std::env::var_os("LP_POSTGRES_BIN").map(PathBuf::from);
    let found = named.into_iter().chain(installed).find(|dir| dir.join("initdb").exists());
    found.expect("PostgreSQL's programs are needed: run `tests/cluster/cluster tools postgres` and set LP_POSTGRES_BIN to the folder it prints, or install postgresql")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// Gives a file or folder to the server's user.
fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
