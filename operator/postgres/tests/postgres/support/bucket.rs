//! A real server of S3, and what brings backups to it.

use super::{
    PATIENCE, certificates,
    node::{Node, give},
    put,
    source::Source,
};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};
use tls::{AUTHORITIES, CERTIFICATE, KEY as KEY_FILE};

/// Variable with the folder of rclone.
pub const PROGRAMS: &str = "LP_TEST_PROGRAMS";
pub const KEY_ID: &str = "bucket-key-id-1";
pub const KEY: &str = "bucket-secret-1";
const FOLDER: &str = "backups/learning/story-main";

/// The program that `tests/run` has built, or builds it.
fn rclone() -> &'static Path {
    static RCLONE: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let build = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rclone/build");
        let built = Command::new(build).output().unwrap();
        assert!(built.status.success(), "tests/rclone/build: {built:?}");
        PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
    };
    RCLONE.get_or_init(|| std::env::var_os("LP_RCLONE").map_or_else(build, PathBuf::from))
}

/// `rclone serve s3` with one bucket, `backups`.
pub struct Bucket {
    address: String,
    dir: PathBuf,
    programs: PathBuf,
    /// Folder with its certificates, where it speaks TLS.
    tls: Option<PathBuf>,
    child: Option<Child>,
}

impl Bucket {
    pub fn new(source: &Source) -> Self {
        let dir = source.cluster.path("s3");
        fs::create_dir_all(dir.join("backups")).unwrap();
        // Where the user of the pods finds it.
        let programs = source.cluster.path("programs");
        fs::create_dir(&programs).unwrap();
        give(&programs, 0o755);
        fs::copy(rclone(), programs.join("rclone")).unwrap();
        let address = source.cluster.free_address();
        let mut bucket = Self { address, dir, programs, tls: None, child: None };
        bucket.start();
        bucket
    }

    /// One whose certificate only its own authority has signed.
    pub fn with_tls(source: &Source) -> Self {
        let mut bucket = Self::new(source);
        bucket.stop();
        let tls = source.cluster.path("s3-tls");
        let host = bucket.address.split(':').next().unwrap().to_owned();
        let files = certificates::for_names(&[host]);
        for key in [AUTHORITIES, CERTIFICATE, KEY_FILE] {
            put(&tls.join(key), std::str::from_utf8(&files[key]).unwrap());
        }
        bucket.tls = Some(tls);
        bucket.start();
        bucket
    }

    pub fn start(&mut self) {
        let log = || fs::File::options().append(true).create(true).open(self.dir.with_extension("log")).unwrap();
        let mut server = Command::new(rclone());
        server.args(["serve", "s3", "--addr", &self.address, "--config", "/notfound"]).arg(&self.dir);
        if let Some(tls) = &self.tls {
            server.arg("--cert").arg(tls.join(CERTIFICATE)).arg("--key").arg(tls.join(KEY_FILE));
        }
        server.env("RCLONE_AUTH_KEY", format!("\"{KEY_ID},{KEY}\"")).stdin(Stdio::null()).stdout(log()).stderr(log());
        self.child = Some(server.spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(&self.address).is_err() {
            assert!(Instant::now() < end, "no server: {}", fs::read_to_string(self.dir.with_extension("log")).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A file or folder of the database's folder, as the server keeps it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.join(FOLDER).join(path)
    }

    /// The names in a folder.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The backups that are complete.
    pub fn backups(&self) -> Vec<String> {
        let complete = |name: &String| self.path(&format!("backups/{name}/backup.json")).exists();
        self.names("backups").into_iter().filter(complete).collect()
    }

    /// How the pods' scripts reach it.
    pub fn access(&self) -> BTreeMap<String, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let authority = self.tls.iter().map(|tls| ("RCLONE_CA_CERT".to_owned(), tls.join(AUTHORITIES)));
        let config = [
            ("TYPE", "s3"),
            ("PROVIDER", "Other"),
            ("ENDPOINT", &format!("{scheme}://{}", self.address)),
            ("NO_CHECK_BUCKET", "true"),
            ("ACCESS_KEY_ID", KEY_ID),
            ("SECRET_ACCESS_KEY", KEY),
        ];
        let config = config.map(|(name, value)| (format!("RCLONE_CONFIG_LP_{name}"), value.to_owned()));
        config
            .into_iter()
            .chain(authority.map(|(name, path)| (name, path.to_str().unwrap().to_owned())))
            .chain([
                ("LP_BUCKET".to_owned(), format!("lp:{FOLDER}")),
                (PROGRAMS.to_owned(), self.programs.to_str().unwrap().to_owned()),
            ])
            .collect()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The container that brings backups to a bucket.
pub struct Uploader {
    pub node: Node,
    state: PathBuf,
}

impl Uploader {
    pub fn new(source: &Source, bucket: &Bucket, keep: u32) -> Self {
        let node = Node::new("story-main-backup-0", source.cluster.path("uploader"));
        let mut uploader = Self { node, state: source.volume().join("upload") };
        uploader.start(Self::environment(source, bucket, keep));
        uploader
    }

    pub fn environment(source: &Source, bucket: &Bucket, keep: u32) -> BTreeMap<String, String> {
        let mut environment = source.environment(keep);
        environment.extend(bucket.access());
        let own = [("LP_OWNER", "learning/story-main"), ("LP_INTERVAL", "1"), ("LP_PATIENCE", "4")];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }

    pub fn start(&mut self, environment: BTreeMap<String, String>) {
        self.node.run("upload.sh", environment);
    }

    pub fn is_ready(&self) -> bool {
        self.node.probe("upload.sh", "ready")
    }

    /// Waits until the bucket has all that is on the volume now.
    pub fn done(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let end = Instant::now() + PATIENCE;
        let time = || fs::read_to_string(self.state.join("time")).ok()?.trim().parse::<u64>().ok();
        // A look that began in this second may have begun before.
        while time().is_none_or(|time| time <= now) {
            assert!(Instant::now() < end, "not uploaded: {}", self.node.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Fetches a backup to where the primary's pod `name` of a new database has its volume; says how that ended.
pub fn fetch(
    node: &mut Node,
    mut environment: BTreeMap<String, String>,
    bucket: &Bucket,
    which: [&str; 2],
) -> Option<i32> {
    environment.extend(bucket.access());
    let names = ["LP_RESTORE_BACKUP", "LP_RESTORE_TIME"];
    environment.extend(names.into_iter().zip(which).map(|(name, value)| (name.to_owned(), value.to_owned())));
    give(&node.dir, 0o755);
    node.run("download.sh", environment);
    node.wait_for_exit()
}
