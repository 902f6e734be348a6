//! What an app needs to reach a store: addresses, credentials, certificate authorities. Rooms of stores find it out, the app
//! room hands it on.

use super::{
    cache::{self, ValidCache},
    database::{self, ValidDatabase},
    store::{auth, tls as certificates},
};
use crate::{
    conditions::{State, Verdict},
    secrets::{Lack, Reader},
};
use crds::{
    status::{ConditionType, Reason},
    tiers::endpoint::{LoginSecret, StoreTls},
};
use std::{collections::BTreeMap, fmt};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// From `host` or `host:port`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// What is wrong with it, and how to mend it.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("the bracket is not closed: write [address]:port")?;
                let v6 = host.parse::<std::net::Ipv6Addr>();
                v6.map_err(|_| format!("{host} is no IPv6 address: write a host name without brackets"))?;
                match (after.is_empty(), after.strip_prefix(':')) {
                    (false, None) => return Err("write [address]:port".to_owned()),
                    (_, port) => (host, port),
                }
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                if host.is_empty() || host.contains(['/', '@', ' ']) {
                    return Err("write host or host:port, an IPv6 address in brackets".to_owned());
                }
                (host, port)
            }
        };
        let port = match port {
            None => default_port,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| format!("{port} is no port: write a number from 1 to 65535"))?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A word that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a password)")
    }
}

/// Credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// User name; a cache may do without.
    pub username: Option<String>,
    /// Password.
    pub password: Password,
}

/// Encryption with verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate authority, PEM; none means those that the client trusts anyway.
    pub ca: Option<Vec<u8>>,
}

/// How a cache is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheBinding {
    /// Where it listens.
    pub address: Address,
    /// Credentials, if it wants any.
    pub login: Option<Login>,
    /// Whether it speaks TLS.
    pub tls: Option<Tls>,
    /// Whether it has shards, so that clients must know of them; None where that is not known.
    pub cluster: Option<bool>,
}

/// How a database is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseBinding {
    /// Where the primary listens, or its pooler.
    pub primary: Address,
    /// Where the primaries themselves listen, by shard, if `primary` is a pooler.
    pub direct: Vec<Address>,
    /// Where reads go that need not be of the newest state.
    pub reader: Address,
    /// Where the read replicas listen, in the order of the numbered variables.
    pub replicas: Vec<Address>,
    /// Where the primaries of all shards listen, or their poolers, if there are several; the first is `primary`.
    pub shards: Vec<Address>,
    /// Whether replicas are reached by names that are not in their certificates.
    pub aliased: bool,
    /// Name of the database.
    pub database: String,
    /// Credentials.
    pub login: Login,
    /// Whether it speaks TLS.
    pub tls: Option<Tls>,
}

/// A binding, or why there is none just now.
pub type Bound<T> = Result<T, Lack>;

/// How the platform's stores are reached, by item name.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// The caches.
    pub caches: BTreeMap<String, Bound<CacheBinding>>,
    /// The databases.
    pub databases: BTreeMap<String, Bound<DatabaseBinding>>,
}

impl Bindings {
    /// What is known without a look at any Secret: for what only the shape of the bindings decides.
    pub fn placeholders(caches: &[ValidCache], databases: &[ValidDatabase]) -> Self {
        let word = |secret: &LoginSecret, key: Option<&String>, default: &str| {
            format!("SECRET-{}-{}", secret.name, key.map_or(default, String::as_str))
        };
        let login = |secret: &LoginSecret| Login {
            username: Some(word(secret, secret.username_key.as_ref(), "username")),
            password: Password(word(secret, secret.password_key.as_ref(), "password")),
        };
        let tls = |tls: &StoreTls| Tls {
            ca: tls.ca.as_ref().map(|key| format!("SECRET-{}-{}", key.name, key.key).into_bytes()),
        };
        let word_of = |object_name: &str, key: &str| format!("SECRET-{}-{key}", auth::name(object_name));
        let cache = |cache: &ValidCache| match &cache.provider {
            cache::Provider::External(address, spec) => {
                let (login, tls) = (spec.secret.as_ref().map(login), spec.tls.as_ref().map(tls));
                CacheBinding { address: address.clone(), login, tls, cluster: None }
            }
            cache::Provider::ElastiCache(cache) => cache::elasticache::placeholder(cache),
            cache::Provider::InCluster(cache) => {
                let tls = certificates::offline(cache.spec.tls.as_ref(), &cache.object_name);
                cache.binding(&word_of(&cache.object_name, "password"), tls.map(|tls| tls.binding()))
            }
        };
        let database = |database: &ValidDatabase| match &database.provider {
            database::Provider::External(external) => {
                let database::External { primary, replicas, spec } = external.as_ref();
                DatabaseBinding {
                    primary: primary.clone(),
                    direct: Vec::new(),
                    reader: replicas.first().unwrap_or(primary).clone(),
                    replicas: replicas.clone(),
                    shards: Vec::new(),
                    aliased: false,
                    database: spec.database.clone(),
                    login: login(&spec.secret),
                    tls: spec.tls.as_ref().map(tls),
                }
            }
            database::Provider::Rds(database) => database::rds::placeholder(database),
            database::Provider::CloudNativePg(database) => database::cloud_native_pg::placeholder(database),
            database::Provider::InCluster(database) => {
                let [username, password] = ["username", "password"].map(|key| word_of(&database.object_name, key));
                let tls = certificates::offline(database.spec.tls.as_ref(), &database.object_name);
                database.binding(&username, &password, tls.map(|tls| tls.binding()))
            }
        };
        Self {
            caches: caches.iter().map(|item| (item.name.clone(), Ok(cache(item)))).collect(),
            databases: databases.iter().map(|item| (item.name.clone(), Ok(database(item)))).collect(),
        }
    }
}

/// Reads the credentials of a store. Without a user name only where `must_name` is false and the spec names no key for it.
pub(super) async fn login(reader: &mut Reader<'_>, secret: &LoginSecret, must_name: bool) -> Bound<Login> {
    let key = secret.username_key.as_deref().unwrap_or("username");
    let username = match reader.text(&secret.name, key).await {
        Ok(username) => Some(username),
        Err(Lack::NoKey { .. }) if !must_name && secret.username_key.is_none() => None,
        Err(lack) => return Err(lack),
    };
    let key = secret.password_key.as_deref().unwrap_or("password");
    let password = reader.text(&secret.name, key).await?;
    if password.is_empty() {
        let (name, key) = (secret.name.clone(), key.to_owned());
        return Err(Lack::Unfit { name, key, problem: "is empty: store the password under it" });
    }
    let username = username.filter(|name| !name.is_empty());
    if must_name && username.is_none() {
        let (name, key) = (secret.name.clone(), secret.username_key.clone().unwrap_or_else(|| "username".to_owned()));
        return Err(Lack::Unfit { name, key, problem: "is empty: store the user name under it" });
    }
    Ok(Login { username, password: Password(password) })
}

/// Reads the certificate authority of a store.
pub(super) async fn tls(reader: &mut Reader<'_>, tls: Option<&StoreTls>) -> Bound<Option<Tls>> {
    let Some(tls) = tls else { return Ok(None) };
    let Some(key) = &tls.ca else { return Ok(Some(Tls::default())) };
    let pem = reader.bytes(&key.name, &key.key).await?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        let (name, key) = (key.name.clone(), key.key.clone());
        return Err(Lack::Unfit { name, key, problem: "is no certificate: store the authority's in PEM form" });
    }
    Ok(Some(Tls { ca: Some(pem) }))
}

/// What a condition says of a store that somebody else runs.
pub(super) fn external<T>(type_: ConditionType, bound: &Bound<T>, address: &Address) -> Verdict {
    match bound {
        Ok(_) => {
            let message = format!("{address} is somebody else's: its address and credentials are known");
            Verdict::new(type_, State::True, Reason::Succeeded, message)
        }
        Err(lack @ Lack::NotYet(_)) => {
            Verdict::new(type_, State::False, Reason::DataWouldBeLeftBehind, format!("{address}: {lack}"))
        }
        Err(lack @ Lack::Unreadable { .. }) => {
            Verdict::new(type_, State::Unknown, Reason::ProviderError, format!("{address}: {lack}"))
        }
        Err(lack) => Verdict::new(type_, State::False, Reason::NotFound, format!("{address}: {lack}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for (text, host, port, shown) in [
            ("db.example", "db.example", 5432, "db.example:5432"),
            ("db:6432", "db", 6432, "db:6432"),
            ("10.0.0.7:1", "10.0.0.7", 1, "10.0.0.7:1"),
            ("[fd00::7]", "fd00::7", 5432, "[fd00::7]:5432"),
            ("[fd00::7]:6432", "fd00::7", 6432, "[fd00::7]:6432"),
        ] {
            let address = Address::parse(text, 5432).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        for (text, named) in [
            ("db:0", "1 to 65535"),
            ("db:65536", "1 to 65535"),
            ("db:", "1 to 65535"),
            (":5432", "host:port"),
            ("fd00::7", "1 to 65535"),
            ("[db]:1", "no IPv6 address"),
            ("[fd00::7", "bracket"),
            ("[fd00::7]x", "[address]:port"),
            ("user@db", "host:port"),
        ] {
            let problem = Address::parse(text, 5432).unwrap_err();
            assert!(problem.contains(named), "{text}: {problem}");
        }
    }

    #[test]
    fn no_password_is_printed() {
        let login = Login { username: Some("app".into()), password: Password("hunter2".into()) };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
