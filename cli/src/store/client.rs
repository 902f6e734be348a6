//! The clients that are run: which program, which arguments, and what it finds in its environment. A password is only ever
//! in the environment.

use crate::exit::Exit;
use anyhow::{Context, anyhow};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
    process::ExitStatus,
};
use tokio::process::Command;

/// A client of a kind of store.
#[derive(Debug)]
pub struct Program {
    /// The names it may have, the first one that is there is taken.
    names: &'static [&'static str],
    /// The package that brings it.
    debian: &'static str,
    call: fn(&Reached<'_>) -> Call,
}

/// The client of PostgreSQL.
pub static PSQL: Program = Program { names: &["psql"], debian: "postgresql-client", call: psql };
/// The client of Redis or that of Valkey: each speaks to both.
pub static REDIS_CLI: Program = Program { names: &["redis-cli", "valkey-cli"], debian: "redis-tools", call: redis_cli };

/// A server that can be reached, and what it wants to know.
pub struct Reached<'a> {
    /// Host, as the client is to call it.
    pub host: &'a str,
    /// The name that its certificate has, where it is another one.
    pub name: Option<&'a str>,
    /// Port.
    pub port: u16,
    /// User name.
    pub username: Option<&'a str>,
    /// Password.
    pub password: Option<&'a str>,
    /// Name of the database.
    pub database: Option<&'a str>,
    /// Set where the server speaks TLS: the file with its authority, none for those that the system trusts.
    pub tls: Option<Option<&'a Path>>,
}

/// What of a call depends on the server.
#[derive(Default, PartialEq, Eq)]
struct Call {
    arguments: Vec<OsString>,
    /// Variables that are set, or taken away.
    environment: Vec<(&'static str, Option<OsString>)>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("arguments", &self.arguments).finish_non_exhaustive()
    }
}

impl Program {
    /// Where the program is.
    ///
    /// # Errors
    /// When none of its names is in `path`, with the package that brings it.
    pub fn find(&self, path: Option<&OsStr>) -> anyhow::Result<PathBuf> {
        let folders: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        let files = self.names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        files.into_iter().find(|file| file.is_file()).ok_or_else(|| {
            anyhow!(
                "{} is not in PATH: install it (Debian: apt install {}), or take a client of your own with --print",
                self.names.join(" or "),
                self.debian
            )
        })
    }

    /// Runs the program at `file` until it ends.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, file: &Path, reached: &Reached<'_>, arguments: &[OsString]) -> anyhow::Result<Exit> {
        let call = (self.call)(reached);
        let mut command = Command::new(file);
        command.args(call.arguments).args(arguments);
        for (name, value) in call.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let cannot = || format!("{} cannot be run", file.display());
        let mut child = command.spawn().with_context(cannot)?;
        loop {
            tokio::select! {
                ended = child.wait() => return Ok(exit(ended.with_context(cannot)?)),
                // It is the client's to answer: psql gives a statement up by it.
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}

/// As a shell has it: a program that a signal ended has 128 more than its number.
fn exit(status: ExitStatus) -> Exit {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| signal + 128);
    #[cfg(not(unix))]
    let signal = None;
    let code = status.code().or(signal).and_then(|code| u8::try_from(code).ok());
    Exit::Program(code.unwrap_or(1))
}

fn psql(reached: &Reached<'_>) -> Call {
    let set = |name, value: &str| (name, Some(value.into()));
    // What the user's environment says of other servers would be mixed with what is set here.
    let others = [
        "PGCHANNELBINDING",
        "PGCLUSTER",
        "PGHOSTADDR",
        "PGREQUIREAUTH",
        "PGREQUIRESSL",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGSSLNEGOTIATION",
        "PGTARGETSESSIONATTRS",
    ];
    let mut environment: Vec<(&'static str, Option<OsString>)> = others.map(|name| (name, None)).into();
    environment.extend([
        set("PGHOST", reached.name.unwrap_or(reached.host)),
        ("PGPORT", Some(reached.port.to_string().into())),
        ("PGUSER", reached.username.map(Into::into)),
        ("PGPASSWORD", reached.password.map(Into::into)),
        ("PGDATABASE", reached.database.map(Into::into)),
    ]);
    environment.extend(reached.name.map(|_| set("PGHOSTADDR", reached.host)));
    environment.extend(match reached.tls {
        None => [set("PGSSLMODE", "prefer"), ("PGSSLROOTCERT", None)],
        Some(None) => [set("PGSSLMODE", "verify-full"), set("PGSSLROOTCERT", "system")],
        Some(Some(file)) => [set("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", Some(file.into()))],
    });
    Call { arguments: Vec::new(), environment }
}

fn redis_cli(reached: &Reached<'_>) -> Call {
    let mut arguments: Vec<OsString> =
        vec!["-h".into(), reached.host.into(), "-p".into(), reached.port.to_string().into()];
    arguments.extend(reached.username.into_iter().flat_map(|name| ["--user".into(), name.into()]));
    if let Some(authority) = reached.tls {
        arguments.push("--tls".into());
        arguments.extend(authority.into_iter().flat_map(|file| ["--cacert".into(), file.into()]));
    }
    let password = || reached.password.map(Into::into);
    Call { arguments, environment: vec![("REDISCLI_AUTH", password()), ("VALKEYCLI_AUTH", password())] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, os::unix::process::ExitStatusExt};

    fn reached(tls: Option<Option<&'static Path>>) -> Reached<'static> {
        Reached {
            host: "127.0.0.1",
            name: None,
            port: 4711,
            username: Some("app_a"),
            password: Some("hunter2"),
            database: Some("lessons"),
            tls,
        }
    }

    fn environment(call: Call) -> BTreeMap<&'static str, Option<String>> {
        let text = |value: OsString| value.into_string().unwrap();
        call.environment.into_iter().map(|(name, value)| (name, value.map(text))).collect()
    }

    #[test]
    fn psql_finds_everything_in_its_environment() {
        let call = psql(&reached(None));
        assert_eq!(call.arguments, Vec::<OsString>::new());
        let found = environment(call);
        for (name, value) in [
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", "4711"),
            ("PGUSER", "app_a"),
            ("PGPASSWORD", "hunter2"),
            ("PGDATABASE", "lessons"),
            ("PGSSLMODE", "prefer"),
        ] {
            assert_eq!(found[name].as_deref(), Some(value), "{name}");
        }
        for name in ["PGSERVICE", "PGHOSTADDR", "PGTARGETSESSIONATTRS", "PGSSLROOTCERT"] {
            assert_eq!(found[name], None, "{name} of another server does not reach it");
        }
        let system = environment(psql(&reached(Some(None))));
        assert_eq!(
            (system["PGSSLMODE"].as_deref(), system["PGSSLROOTCERT"].as_deref()),
            (Some("verify-full"), Some("system"))
        );
        let named = Reached { name: Some("story-main-rw.learning.svc"), ..reached(Some(Some(Path::new("/tmp/ca")))) };
        let named = environment(psql(&named));
        assert_eq!(
            (named["PGHOST"].as_deref(), named["PGHOSTADDR"].as_deref()),
            (Some("story-main-rw.learning.svc"), Some("127.0.0.1"))
        );
        let own = environment(psql(&reached(Some(Some(Path::new("/tmp/ca"))))));
        assert_eq!(
            (own["PGSSLMODE"].as_deref(), own["PGSSLROOTCERT"].as_deref()),
            (Some("verify-full"), Some("/tmp/ca"))
        );
    }

    #[test]
    fn the_password_of_a_cache_is_no_argument() {
        let call = redis_cli(&reached(Some(Some(Path::new("/tmp/ca")))));
        assert_eq!(
            call.arguments,
            ["-h", "127.0.0.1", "-p", "4711", "--user", "app_a", "--tls", "--cacert", "/tmp/ca"].map(OsString::from)
        );
        assert!(!format!("{call:?}").contains("hunter2"));
        let found = environment(call);
        assert_eq!(
            (found["REDISCLI_AUTH"].as_deref(), found["VALKEYCLI_AUTH"].as_deref()),
            (Some("hunter2"), Some("hunter2"))
        );
        // A password of the user's environment would be refused by a server that asks for none.
        let open = redis_cli(&Reached { username: None, password: None, ..reached(None) });
        assert_eq!(open.arguments.len(), 4);
        assert!(environment(open).values().all(Option::is_none));
    }

    #[test]
    fn the_first_of_the_programs_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = std::env::join_paths(["/nonexistent", dir.path().to_str().unwrap()]).unwrap();
        let none = REDIS_CLI.find(Some(&path)).unwrap_err().to_string();
        assert_eq!(
            none,
            "redis-cli or valkey-cli is not in PATH: install it (Debian: apt install redis-tools), or take a client of your own with --print"
        );
        for name in ["valkey-cli", "redis-cli"] {
            std::fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(REDIS_CLI.find(Some(&path)).unwrap(), dir.path().join(name));
        }
        assert!(PSQL.find(None).unwrap_err().to_string().contains("apt install postgresql-client"));
    }

    #[test]
    fn the_clients_own_exit_status_is_passed_on() {
        assert_eq!(exit(ExitStatus::from_raw(3 << 8)), Exit::Program(3));
        assert_eq!(exit(ExitStatus::from_raw(0)), Exit::Program(0));
        assert_eq!(exit(ExitStatus::from_raw(9)), Exit::Program(137));
    }
}
