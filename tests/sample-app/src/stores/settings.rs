//! How the stores are reached: environment variables as the operator writes them. They are no flags, so that no password
//! stands in the list of processes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis::{ConnectionInfo, IntoConnectionInfo};
use tokio_postgres::config::SslMode;

/// Most replicas that are looked for; their numbers have no gap.
const MOST_REPLICAS: usize = 64;

/// The stores that are wired.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where `DATABASE_PRIMARY_URL` or `DATABASE_URL` is set.
    pub database: Option<DatabaseSettings>,
    /// Where `REDIS_URL` is set.
    pub cache: Option<CacheSettings>,
}

/// How the database is reached.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_PRIMARY_URL`, or `DATABASE_URL`.
    pub primary: tokio_postgres::Config,
    /// `DATABASE_REPLICA_1_URL` and so on, or `READ_REPLICA_URL`; none that is the primary.
    pub replicas: Vec<tokio_postgres::Config>,
    /// `sslrootcert` of the first URL: the file with the authority, where the servers speak TLS.
    pub authority: Option<PathBuf>,
    /// `DB_MAX_CONNECTIONS`: connections to each server. 20 as in the guides.
    pub max_connections: usize,
    /// `DB_CONNECTION_TIMEOUT`, milliseconds. 10 s as in the guides.
    pub connection_timeout: Duration,
    /// `DB_QUERY_TIMEOUT`, milliseconds. 30 s as in the guides.
    pub query_timeout: Duration,
    /// `DB_IDLE_TIMEOUT`, milliseconds. 300 s as in the guides.
    pub idle_timeout: Duration,
}

/// How the cache is reached.
#[derive(Clone)]
pub struct CacheSettings {
    /// `REDIS_URL`.
    pub server: ConnectionInfo,
    /// `REDIS_CA_FILE`: the file with the authority, where `REDIS_URL` begins with `rediss://`.
    pub authority: Option<PathBuf>,
    /// `REDIS_CLUSTER`: whether the keys are spread over the nodes of a cluster. Default false.
    pub cluster: bool,
}

impl fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSettings").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Settings {
    /// From the environment of the process.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_environment() -> Result<Self, String> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// From variables; an empty one counts as unset.
    ///
    /// # Errors
    /// The name of the variable that is wrong and the remedy, without what it holds.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        Ok(Self { database: database(&variable)?, cache: cache(&variable)? })
    }
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn database(variable: Lookup<'_>) -> Result<Option<DatabaseSettings>, String> {
    let name = if variable("DATABASE_PRIMARY_URL").is_some() { "DATABASE_PRIMARY_URL" } else { "DATABASE_URL" };
    let Some(url) = variable(name) else { return Ok(None) };
    let (primary, authority) = postgres(name, &url)?;
    let numbered = (1..=MOST_REPLICAS).map(|number| format!("DATABASE_REPLICA_{number}_URL"));
    let mut replicas: Vec<_> = numbered.map_while(|name| variable(&name).map(|url| (name, url))).collect();
    if replicas.is_empty() {
        replicas.extend(variable("READ_REPLICA_URL").map(|url| ("READ_REPLICA_URL".to_owned(), url)));
    }
    let replicas = replicas.iter().filter(|(_, replica)| *replica != url);
    let replicas = replicas.map(|(name, url)| postgres(name, url).map(|(replica, _)| replica));
    let replicas = replicas.collect::<Result<_, _>>()?;
    let max_connections = number(variable, "DB_MAX_CONNECTIONS", 20)?;
    if max_connections == 0 {
        return Err("DB_MAX_CONNECTIONS must be above 0".to_owned());
    }
    let time = |name, default| number(variable, name, default).map(Duration::from_millis);
    Ok(Some(DatabaseSettings {
        primary,
        replicas,
        authority,
        max_connections,
        connection_timeout: time("DB_CONNECTION_TIMEOUT", 10_000)?,
        query_timeout: time("DB_QUERY_TIMEOUT", 30_000)?,
        idle_timeout: time("DB_IDLE_TIMEOUT", 300_000)?,
    }))
}

fn cache(variable: Lookup<'_>) -> Result<Option<CacheSettings>, String> {
    let Some(url) = variable("REDIS_URL") else { return Ok(None) };
    let authority = url.starts_with("rediss://").then(|| variable("REDIS_CA_FILE").map(PathBuf::from));
    if authority == Some(None) {
        return Err(no_authority("REDIS_URL", "REDIS_CA_FILE"));
    }
    let server = url.into_connection_info();
    let server =
        server.map_err(|_| "REDIS_URL is no URL of Redis: write redis://user:password@host:6379".to_owned())?;
    let cluster = variable("REDIS_CLUSTER").map(|text| text.parse()).transpose();
    let cluster = cluster.map_err(|_| "REDIS_CLUSTER must be true or false".to_owned())?.unwrap_or(false);
    Ok(Some(CacheSettings { server, authority: authority.flatten(), cluster }))
}

/// The client's settings, and the file with the authority where the URL asks for TLS. The client library knows no file.
fn postgres(name: &str, url: &str) -> Result<(tokio_postgres::Config, Option<PathBuf>), String> {
    let (server, options) = url.split_once('?').unwrap_or((url, ""));
    let (tls, others): (Vec<&str>, Vec<&str>) = options
        .split('&')
        .filter(|option| !option.is_empty())
        .partition(|option| option.starts_with("sslmode=verify-full") || option.starts_with("sslrootcert="));
    let config = format!("{server}?{}", others.join("&")).parse();
    let mut config: tokio_postgres::Config = config.map_err(|_| {
        format!(
            "{name} is no URL of PostgreSQL: write postgresql://user:password@host:5432/database, its parts encoded"
        )
    })?;
    if !tls.contains(&"sslmode=verify-full") {
        return Ok((config, None));
    }
    config.ssl_mode(SslMode::Require);
    let file = tls.iter().find_map(|option| option.strip_prefix("sslrootcert="));
    let file = file.and_then(|file| percent_decode_str(file).decode_utf8().ok());
    let file = file.ok_or_else(|| no_authority(name, "sslrootcert"))?;
    Ok((config, Some(PathBuf::from(file.as_ref()))))
}

fn no_authority(name: &str, missing: &str) -> String {
    format!("{name} asks for TLS without {missing}: this app trusts no authority but one that it is given")
}

fn number<T: FromStr>(variable: Lookup<'_>, name: &str, default: T) -> Result<T, String> {
    variable(name).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{name} must be a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    fn hosts(settings: &DatabaseSettings) -> Vec<String> {
        let all = std::iter::once(&settings.primary).chain(&settings.replicas);
        all.flat_map(tokio_postgres::Config::get_hosts)
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect()
    }

    #[test]
    fn unset_and_empty_variables_wire_nothing() {
        let settings = read(&[("DATABASE_URL", ""), ("REDIS_URL", ""), ("REDIS_CLUSTER", "true")]).unwrap();
        assert!(settings.database.is_none() && settings.cache.is_none());
    }

    #[test]
    fn the_variables_of_the_operator_are_understood() {
        let url = |host: &str| format!("postgresql://app%40school:p%3Aw%2Fd%3F%23%25@{host}:5432/story%20db");
        let (primary, first, second) = (url("pg"), url("pg-1"), url("[fd00::7]"));
        let settings = read(&[
            ("DATABASE_URL", &primary),
            ("DATABASE_REPLICA_1_URL", &first),
            ("DATABASE_REPLICA_2_URL", &second),
            ("DATABASE_REPLICA_4_URL", "never read"),
            ("READ_REPLICA_URL", &first),
            ("DB_MAX_CONNECTIONS", "7"),
            ("DB_QUERY_TIMEOUT", "1500"),
            ("REDIS_URL", "redis://:s3%20cret@redis:6379"),
            ("REDIS_CLUSTER", "true"),
        ])
        .unwrap();
        let database = settings.database.unwrap();
        assert_eq!(hosts(&database), ["pg", "pg-1", "fd00::7"]);
        assert_eq!(database.primary.get_user(), Some("app@school"));
        assert_eq!(database.primary.get_password(), Some(&b"p:w/d?#%"[..]));
        assert_eq!(database.primary.get_dbname(), Some("story db"));
        assert_eq!((database.max_connections, database.query_timeout), (7, Duration::from_millis(1500)));
        assert_eq!((database.connection_timeout, database.idle_timeout).0, Duration::from_secs(10));
        assert!(settings.cache.unwrap().cluster);
    }

    #[test]
    fn with_tls_the_authority_is_a_file() {
        let url = "postgresql://app:s3cret@pg/app?sslmode=verify-full&sslrootcert=%2Fetc%2Fmain.crt&connect_timeout=3";
        let settings = read(&[
            ("DATABASE_URL", url),
            ("READ_REPLICA_URL", &url.replace("@pg", "@pg-ro")),
            ("REDIS_URL", "rediss://:s3cret@redis:6379"),
            ("REDIS_CA_FILE", "/etc/cache.crt"),
        ]);
        let settings = settings.unwrap();
        let (database, cache) = (settings.database.unwrap(), settings.cache.unwrap());
        assert_eq!(hosts(&database), ["pg", "pg-ro"]);
        for server in [&database.primary, &database.replicas[0]] {
            assert_eq!(server.get_ssl_mode(), SslMode::Require);
            assert_eq!(server.get_connect_timeout(), Some(&Duration::from_secs(3)));
        }
        assert_eq!(database.authority, Some("/etc/main.crt".into()));
        assert_eq!(cache.authority, Some("/etc/cache.crt".into()));
        let open = read(&[("DATABASE_URL", "postgresql://app@pg/app"), ("REDIS_URL", "redis://redis")]).unwrap();
        assert_eq!((open.database.unwrap().authority, open.cache.unwrap().authority), (None, None));
    }

    #[test]
    fn the_primary_is_not_its_own_replica() {
        let url = "postgresql://app@pg/app";
        let settings = read(&[("DATABASE_PRIMARY_URL", url), ("READ_REPLICA_URL", url)]).unwrap();
        assert_eq!(hosts(&settings.database.unwrap()), ["pg"]);
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (name, value, remedy) in [
            ("DATABASE_URL", "postgresql://app:s3cret@pg:many/app", "write postgresql://"),
            ("DATABASE_URL", "postgresql://app:s3cret@pg/app?sslmode=verify-full", "TLS without sslrootcert"),
            ("REDIS_URL", "rediss://:s3cret@redis:6379", "TLS without REDIS_CA_FILE"),
            ("REDIS_URL", "redis://:s3cret@redis:many", "write redis://"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.contains(name) && error.contains(remedy) && !error.contains("s3cret"), "{error}");
        }
        let database = ("DATABASE_URL", "postgresql://app:s3cret@pg/app");
        let cache = ("REDIS_URL", "redis://:s3cret@redis");
        for (with, name, value) in [
            (database, "DB_MAX_CONNECTIONS", "0"),
            (database, "DB_IDLE_TIMEOUT", "5m"),
            (cache, "REDIS_CLUSTER", "yes"),
        ] {
            let error = read(&[with, (name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        assert!(!format!("{:?}", read(&[database, cache]).unwrap()).contains("s3cret"));
    }
}
