//! The files that the pods mount: `postgresql.conf`, `pg_hba.conf` and `setup.sql`. Pure.

mod memory;
mod parameters;

use crate::model::Database;
use memory::memory;
pub use parameters::{forbidden_parameter, invalid_parameter};
use std::{collections::BTreeMap, fmt::Write};

const SETUP: &str = include_str!("../../scripts/setup.sql");
const DUMPS: &str = include_str!("../../scripts/setup_dumps.sql");

/// The settings that are wished of the servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Server {
    /// Parameters of the user's. They win, except where [`forbidden_parameter`] has a reason.
    pub parameters: BTreeMap<String, String>,
    /// Libraries loaded at start, for extensions that ask for it.
    pub preload: Vec<String>,
    /// Memory limit of the container in bytes; without it the memory settings stay the server's own.
    pub memory: Option<u64>,
    /// Size of the volume in bytes.
    pub volume: u64,
    /// The most read replicas there may ever be: more would need a restart.
    pub most_replicas: u32,
    /// A figure that changes when the passwords of the operator or of the replicas do, so that the primary's pod sets them.
    pub credentials: String,
    /// Set where pods are made with certificates.
    pub tls: Option<Encryption>,
    /// Whether databases are dumped: then the role that backups are taken by may read every row of them.
    pub dumps: bool,
}

/// How the servers want connections over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Encrypted: others are refused.
    Required,
    /// As the client likes.
    Offered,
}

/// The limits of which a replica needs at least the primary's values.
///
/// measured: with a lower one it stops, or pauses its replay. Source: "Administrator's Overview" of PostgreSQL's chapter on hot
/// standby.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits([u32; 5]);

impl Limits {
    /// Their names.
    pub const NAMES: [&str; 5] = [
        "max_connections",
        "max_worker_processes",
        "max_wal_senders",
        "max_prepared_transactions",
        "max_locks_per_transaction",
    ];
    /// PostgreSQL's defaults.
    const DEFAULTS: Self = Self([100, 8, 10, 0, 64]);

    /// What `server` wishes. Replicas need a sender each, a clone another, and four are spare (design A17).
    pub fn of(server: &Server) -> Self {
        let mut limits = Self::DEFAULTS;
        limits.0[2] = limits.0[2].max(2 * server.most_replicas + 4);
        for (name, value) in &server.parameters {
            if let Ok(value) = value.trim().parse()
                && forbidden_parameter(name).is_none()
            {
                limits.set(&name.to_ascii_lowercase(), value);
            }
        }
        limits
    }

    /// Sets the limit of this name; nothing where there is none.
    pub fn set(&mut self, name: &str, value: u32) {
        if let Some(at) = Self::NAMES.iter().position(|known| *known == name) {
            self.0[at] = value;
        }
    }

    /// `max_wal_senders`.
    pub fn senders(self) -> u32 {
        self.0[2]
    }

    /// Names and values.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, u32)> {
        Self::NAMES.into_iter().zip(self.0)
    }

    /// Whether every limit is at least that of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| *mine >= theirs)
    }

    /// Of each limit the lower.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].min(other.0[at])))
    }
}

/// The files, with marks by which a server's answers show which of them it has taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// `postgresql.conf`.
    pub postgresql_conf: String,
    /// `pg_hba.conf`.
    pub pg_hba_conf: String,
    /// `pg_hba_tls.conf`, for pods that were made with certificates.
    pub pg_hba_tls_conf: Option<String>,
    /// `setup.sql`, which the primary's pod runs where its mark has changed.
    pub setup_sql: String,
    /// Mark of all of them.
    pub mark: String,
    /// Mark of the setup.
    pub setup: SetupMark,
    /// The limits in `postgresql.conf`.
    pub limits: Limits,
}

/// The mark of a setup: of what must be run, and of the extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupMark {
    /// Of roles, grants and passwords.
    pub base: String,
    /// Of the list of extensions.
    pub extensions: String,
}

impl SetupMark {
    /// Whether a server whose setup has the mark `applied` lacks roles, grants or passwords.
    pub fn lacks_base(&self, applied: Option<&str>) -> bool {
        applied.and_then(|mark| mark.split_once('-')).is_none_or(|(base, _)| base != self.base)
    }

    /// Whether this setup was run and failed: it is not run again by a restart of ours.
    pub fn failed(&self, applied: Option<&str>) -> bool {
        applied.is_some_and(|mark| mark == format!("failed-{}-{}", self.base, self.extensions))
    }

    /// Whether such a server has not tried these extensions yet.
    pub fn lacks_extensions(&self, applied: Option<&str>) -> bool {
        applied.and_then(|mark| mark.split_once('-')).is_none_or(|(_, extensions)| extensions != self.extensions)
    }
}

/// The files for `server` and `databases`.
pub fn render(server: &Server, databases: &[Database]) -> Rendered {
    let limits = Limits::of(server);
    let extensions = databases
        .iter()
        .flat_map(|database| database.extensions.iter().map(|extension| format!("{}\n{extension}\n", database.name)));
    let dumps = server.dumps.then_some(DUMPS);
    let base: Vec<&str> = [SETUP, &server.credentials].into_iter().chain(dumps).collect();
    let setup = SetupMark { base: mark(&base), extensions: mark(&[&extensions.collect::<String>()]) };
    let setup_sql = setup_sql(&setup, databases) + dumps.unwrap_or_default();
    let pg_hba_conf = hba("host", server.dumps);
    let pg_hba_tls_conf = server.tls.map(|tls| match tls {
        Encryption::Required => hba("hostssl", server.dumps),
        Encryption::Offered => pg_hba_conf.clone(),
    });
    let mut postgresql_conf = conf(server, limits);
    let files = [Some(&postgresql_conf), Some(&pg_hba_conf), Some(&setup_sql), pg_hba_tls_conf.as_ref()];
    let mark = mark(&files.into_iter().flatten().map(String::as_str).collect::<Vec<_>>());
    let _ = writeln!(postgresql_conf, "lp.config = '{mark}'");
    Rendered { postgresql_conf, pg_hba_conf, pg_hba_tls_conf, setup_sql, mark, setup, limits }
}

fn conf(server: &Server, limits: Limits) -> String {
    let megabytes = |bytes: u64| format!("{}MB", (bytes >> 20).max(64));
    let mut settings = BTreeMap::from([
        ("hot_standby".to_owned(), "on".to_owned()),
        // Readers that keep old rows alive would let the primary's tables grow: a long read is cancelled instead.
        ("hot_standby_feedback".to_owned(), "off".to_owned()),
        ("log_line_prefix".to_owned(), "%m [%p] %q%u@%d ".to_owned()),
        ("log_timezone".to_owned(), "UTC".to_owned()),
        ("max_replication_slots".to_owned(), (server.most_replicas + 4).max(10).to_string()),
        // What a replica that is gone may keep: a quarter of the volume (design A17).
        ("max_slot_wal_keep_size".to_owned(), megabytes(server.volume / 4)),
        // A tenth of the volume, at most PostgreSQL's default of 1 GB.
        ("max_wal_size".to_owned(), megabytes((server.volume / 10).min(1 << 30))),
        ("password_encryption".to_owned(), "scram-sha-256".to_owned()),
        ("shared_preload_libraries".to_owned(), server.preload.join(",")),
        ("timezone".to_owned(), "UTC".to_owned()),
        ("wal_level".to_owned(), "replica".to_owned()),
        // After a restart of the primary commits may wait for the replicas: they try again at once, not every five seconds.
        ("wal_retrieve_retry_interval".to_owned(), "1s".to_owned()),
    ]);
    settings.extend(limits.iter().map(|(name, value)| (name.to_owned(), value.to_string())));
    let connections = limits.iter().find(|(name, _)| *name == "max_connections").map_or(100, |(_, value)| value);
    settings.extend(server.memory.into_iter().flat_map(|bytes| memory(bytes, connections)));
    for (name, value) in &server.parameters {
        if forbidden_parameter(name).is_none() && invalid_parameter(name, value).is_none() {
            settings.insert(name.to_ascii_lowercase(), value.clone());
        }
    }
    settings.iter().fold(String::new(), |mut text, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        let _ = writeln!(text, "{name} = '{value}'");
        text
    })
}

/// The line that keeps the role of backups out of the databases, and that which lets it in.
const CLOSED: &str = "host    all          lp_backup       all      reject";
const OPEN: &str = "host    all          lp_backup       all      scram-sha-256";

/// The superuser has no way in but the pod's own socket. `host`: connections that may be let in; no line fits others. `dumps`: whether
/// backups are read from every database.
fn hba(host: &str, dumps: bool) -> String {
    let hba = "\
# type  database     user            address  method
local   all          postgres                 peer map=pod
host    all          postgres        all      reject
host    replication  lp_replication  all      scram-sha-256
host    postgres     lp_replication  all      scram-sha-256
host    all          lp_replication  all      reject
host    replication  lp_backup       all      scram-sha-256
host    postgres     lp_backup       all      scram-sha-256
host    all          lp_backup       all      reject
host    postgres     lp_monitor      samehost scram-sha-256
host    all          lp_monitor      all      reject
host    postgres     lp_pooler       all      scram-sha-256
host    all          lp_pooler       all      reject
host    all          all             all      scram-sha-256
";
    let hba = if dumps { hba.replace(CLOSED, OPEN) } else { hba.to_owned() };
    hba.replace("\nhost ", &format!("\n{host} "))
}

fn setup_sql(mark: &SetupMark, databases: &[Database]) -> String {
    let mut sql = format!("-- lp.setup = {}-{}\n{SETUP}", mark.base, mark.extensions);
    for Database { name, owner, extensions } in databases {
        let (role, as_role) = (quoted(owner), identifier(owner));
        let (text, database) = (quoted(name), identifier(name));
        let _ = write!(
            sql,
            "\nSELECT {} WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) \\gexec\n\
             GRANT {as_role} TO lp_operator WITH ADMIN OPTION;\n\
             SELECT {} WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {text}) \\gexec\n\
             REVOKE ALL ON DATABASE {database} FROM PUBLIC;\n",
            quoted(&format!("CREATE ROLE {as_role} NOLOGIN")),
            quoted(&format!("CREATE DATABASE {database} OWNER {as_role}")),
        );
        if extensions.is_empty() {
            continue;
        }
        // A missing extension is told by the operator. A database that does not start would be worse.
        let _ = write!(sql, "\\set ON_ERROR_STOP off\n\\connect {database}\n");
        for extension in extensions {
            let _ = writeln!(sql, "CREATE EXTENSION IF NOT EXISTS {} CASCADE;", identifier(extension));
        }
        sql.push_str("\\connect postgres\n\\set ON_ERROR_STOP on\n");
    }
    sql
}

/// An identifier as SQL has it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string as SQL has it.
pub(crate) fn quoted(text: &str) -> String {
    let prefix = if text.contains('\\') { " E" } else { "" };
    format!("{prefix}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// FNV-1a, 64 bits: stable between versions of the compiler, which the standard library's hasher is not.
fn mark(texts: &[&str]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server { volume: 20 << 30, most_replicas: 3, memory: Some(2 << 30), ..Server::default() }
    }

    fn database(extensions: &[&str]) -> Database {
        let extensions = extensions.iter().map(|&name| name.to_owned()).collect();
        Database { name: "app".into(), owner: "app_owner".into(), extensions }
    }

    #[test]
    fn settings_follow_volume_memory_and_replicas() {
        let conf = render(&server(), &[]).postgresql_conf;
        for line in [
            "max_slot_wal_keep_size = '5120MB'",
            "max_wal_size = '1024MB'",
            "max_wal_senders = '10'",
            "max_replication_slots = '10'",
            "shared_buffers = '512MB'",
            "wal_level = 'replica'",
            "hot_standby_feedback = 'off'",
        ] {
            assert!(conf.lines().any(|found| found == line), "{line} in\n{conf}");
        }
    }

    #[test]
    fn the_users_parameters_win_and_are_quoted_but_for_the_forbidden() {
        let parameters = [
            ("work_mem", "9MB"),
            ("Shared_Buffers", "1GB"),
            ("log_line_prefix", "it's \\ %m"),
            ("fsync", "off"),
            ("max_connections", "250"),
            ("application_name", "a\nfsync = off"),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let rendered = render(&Server { parameters, ..server() }, &[]);
        let lines: Vec<_> = rendered.postgresql_conf.lines().collect();
        for line in [
            "work_mem = '9MB'",
            "shared_buffers = '1GB'",
            "log_line_prefix = 'it''s \\\\ %m'",
            "max_connections = '250'",
        ] {
            assert_eq!(
                lines.iter().filter(|found| **found == line).count(),
                1,
                "{line} in\n{}",
                rendered.postgresql_conf
            );
        }
        assert!(!rendered.postgresql_conf.contains("fsync"), "{}", rendered.postgresql_conf);
        assert_eq!(rendered.limits.iter().next(), Some(("max_connections", 250)));
    }

    #[test]
    fn marks_change_with_what_they_mark_alone() {
        let plain = render(&server(), &[database(&[])]);
        assert_eq!(plain, render(&server(), &[database(&[])]));
        let extended = render(&server(), &[database(&["pg_trgm"])]);
        assert_eq!(plain.setup.base, extended.setup.base);
        assert_ne!(plain.setup.extensions, extended.setup.extensions);
        assert_ne!(plain.mark, extended.mark);
        let other = render(&Server { credentials: "2".into(), ..server() }, &[database(&[])]);
        assert_ne!(plain.setup.base, other.setup.base);
        let applied = format!("{}-{}", plain.setup.base, plain.setup.extensions);
        assert!(plain.setup_sql.starts_with(&format!("-- lp.setup = {applied}\n")));
        assert!(!extended.setup.lacks_base(Some(&applied)) && extended.setup.lacks_extensions(Some(&applied)));
        assert!(other.setup.lacks_base(Some(&applied)) && !other.setup.lacks_extensions(Some(&applied)));
        assert!(plain.setup.lacks_base(None) && plain.setup.lacks_extensions(Some("")));
    }

    #[test]
    fn the_role_of_backups_reads_databases_only_where_they_are_dumped() {
        let (plain, dumped) =
            (render(&server(), &[database(&[])]), render(&Server { dumps: true, ..server() }, &[database(&[])]));
        assert!(plain.pg_hba_conf.contains(CLOSED) && !plain.setup_sql.contains("pg_read_all_data"));
        assert!(!dumped.pg_hba_conf.contains(CLOSED) && dumped.pg_hba_conf.contains(OPEN));
        // After the databases that it is let into.
        assert!(dumped.setup_sql.ends_with(DUMPS), "{}", dumped.setup_sql);
        assert_ne!(plain.setup.base, dumped.setup.base);
        assert_eq!(plain.setup.extensions, dumped.setup.extensions);
        let tls = Server { dumps: true, tls: Some(Encryption::Required), ..server() };
        let hba = render(&tls, &[]).pg_hba_tls_conf.unwrap();
        assert!(hba.contains("hostssl    all          lp_backup       all      scram-sha-256"), "{hba}");
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let database =
            Database { name: "a\"b'c\\d".into(), owner: "o'\"".into(), extensions: vec!["x\"; DROP".into()] };
        let sql = render(&server(), &[database]).setup_sql;
        assert!(sql.contains(r#"REVOKE ALL ON DATABASE "a""b'c\d" FROM PUBLIC;"#), "{sql}");
        assert!(sql.contains(r#"datname =  E'a"b''c\\d')"#), "{sql}");
        assert!(sql.contains(r#"CREATE EXTENSION IF NOT EXISTS "x""; DROP" CASCADE;"#), "{sql}");
    }
}
