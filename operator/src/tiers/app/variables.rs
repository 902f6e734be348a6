//! The variables by which an app reaches its stores.

use crate::{
    secrets::Lack,
    tiers::binding::{Address, Bindings, CacheBinding, DatabaseBinding, Login, Tls},
    validate::{Problem, ValidApp},
};
use crds::tiers::uses::{Pool, Style, UsedCache, UsedDatabase, Uses, Variables as Naming};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{collections::BTreeMap, time::Duration};

/// Where certificate authorities are in the pods.
pub(super) const AUTHORITIES: &str = "/etc/learningplatform/authorities";

/// What may stand in a URL as it is (RFC 3986, 2.3).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Variables by name. What they hold is not printed.
pub type Variables = BTreeMap<String, Vec<u8>>;

/// A store whose certificate authority is mounted into an app's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The store.
    pub item: String,
    /// The variable that holds it.
    pub variable: String,
}

/// The variables of an app's stores, by the names they have in the app; or what is lacking for them, in words.
pub(super) fn variables(app: &ValidApp, bindings: &Bindings) -> Result<Variables, Vec<String>> {
    let (mut found, mut lacking) = (Variables::new(), Vec::new());
    for use_ in uses(app.spec.uses.as_ref()) {
        match use_.variables(bindings) {
            Ok(variables) => found.extend(variables.into_iter().map(|(name, value)| (use_.called(&name), value))),
            Err(Some(lack)) => lacking.push(format!("{} {}: {lack}", use_.kind(), use_.item())),
            Err(None) => lacking.push(format!("{} {} is not known yet", use_.kind(), use_.item())),
        }
    }
    if lacking.is_empty() { Ok(found) } else { Err(lacking) }
}

/// The variables of those of an app's stores that `bindings` know, by the names they have in the app.
pub(super) fn known(app: &ValidApp, bindings: &Bindings) -> Variables {
    let of = |use_: Use<'_>| {
        let variables = use_.variables(bindings).unwrap_or_default().into_iter();
        variables.map(|(name, value)| (use_.called(&name), value)).collect::<Vec<_>>()
    };
    uses(app.spec.uses.as_ref()).flat_map(of).collect()
}

/// A use of a store, of either kind.
#[derive(Clone, Copy)]
enum Use<'a> {
    Database(&'a UsedDatabase),
    Cache(&'a UsedCache),
}

fn uses(uses: Option<&Uses>) -> impl Iterator<Item = Use<'_>> {
    let databases = uses.into_iter().flat_map(|uses| &uses.databases).map(Use::Database);
    databases.chain(uses.into_iter().flat_map(|uses| &uses.caches).map(Use::Cache))
}

impl Use<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Cache(_) => "cache",
        }
    }

    fn item(&self) -> &str {
        match self {
            Self::Database(used) => &used.name,
            Self::Cache(used) => &used.name,
        }
    }

    fn naming(&self) -> &Naming {
        match self {
            Self::Database(used) => &used.variables,
            Self::Cache(used) => &used.variables,
        }
    }

    /// What a variable is called in the app.
    fn called(&self, standard: &str) -> String {
        let Naming { prefix, names, .. } = self.naming();
        let named = names.get(standard).cloned();
        named.unwrap_or_else(|| format!("{}{standard}", prefix.as_deref().unwrap_or_default()))
    }

    /// Its variables by their standard names; the lack that hides them, if it is known.
    fn variables<'b>(&self, bindings: &'b Bindings) -> Result<Standard, Option<&'b Lack>> {
        match self {
            Self::Database(used) => {
                let bound = bindings.databases.get(&used.name).ok_or(None)?;
                Ok(of_database(used, bound.as_ref().map_err(Some)?))
            }
            Self::Cache(used) => {
                let bound = bindings.caches.get(&used.name).ok_or(None)?;
                Ok(of_cache(used, bound.as_ref().map_err(Some)?))
            }
        }
    }
}

/// Variables by the names they have without prefix.
type Standard = BTreeMap<String, Vec<u8>>;

const DATABASE_CA: &str = "DB_CA_CERTIFICATE";
const CACHE_CA: &str = "REDIS_CA_CERTIFICATE";

fn of_database(used: &UsedDatabase, binding: &DatabaseBinding) -> Standard {
    let DatabaseBinding { primary, direct, reader, replicas, shards, aliased, database, login, tls } = binding;
    let file = authority_file(&used.name, tls.as_ref());
    let url_of = |address: &Address, sslmode: &str| {
        let mut url = format!("postgresql://{}{address}/{}", userinfo(login), encoded(database));
        if tls.is_some() {
            url.push_str(&format!("?sslmode={sslmode}"));
        }
        if let Some(file) = &file {
            url.push_str(&format!("&sslrootcert={}", encoded(file)));
        }
        url
    };
    let url = |address: &Address| url_of(address, "verify-full");
    // A name of ours that leads to a replica is not in its certificate: who signed that is all that can be verified.
    let of_replica = |address: &Address| url_of(address, if *aliased { "verify-ca" } else { "verify-full" });
    let mut set = Setter { style: used.variables.style, found: Standard::new() };
    set.url("DATABASE_URL", url(primary));
    set.url("DATABASE_PRIMARY_URL", url(primary));
    // There without a pooler, too: what migrates or listens need not know.
    set.url("DIRECT_URL", url(direct.first().unwrap_or(primary)));
    set.url("READ_REPLICA_URL", of_replica(reader));
    for (number, replica) in (1..).zip(replicas) {
        set.url(&format!("DATABASE_REPLICA_{number}_URL"), of_replica(replica));
    }
    if !shards.is_empty() {
        set.url("DATABASE_SHARD_COUNT", shards.len().to_string());
    }
    for (number, shard) in shards.iter().enumerate() {
        set.url(&format!("DATABASE_SHARD_{number}_URL"), url(shard));
    }
    for (number, shard) in direct.iter().enumerate().filter(|_| !shards.is_empty()) {
        set.url(&format!("DIRECT_SHARD_{number}_URL"), url(shard));
    }
    set.part("DB_HOST", primary.host.clone());
    set.part("DB_PORT", primary.port.to_string());
    if let Some(direct) = direct.first() {
        set.part("DB_DIRECT_HOST", direct.host.clone());
        set.part("DB_DIRECT_PORT", direct.port.to_string());
    }
    set.part("DB_NAME", database.clone());
    set.part("DB_USER", login.username.clone().unwrap_or_default());
    set.part("DB_PASSWORD", login.password.0.clone());
    if tls.is_some() {
        set.part("DB_SSLMODE", "verify-full".to_owned());
    }
    if let Some(file) = file {
        set.part("DB_SSLROOTCERT", file);
    }
    let mut found = set.found;
    found.extend(of_pool(used.pool.as_ref()));
    found.extend(authority(DATABASE_CA, tls.as_ref()));
    found
}

fn of_pool(pool: Option<&Pool>) -> Standard {
    let pool = pool.cloned().unwrap_or_default();
    let numbers = [("DB_MIN_CONNECTIONS", pool.min), ("DB_MAX_CONNECTIONS", pool.max)];
    let times = [
        ("DB_CONNECTION_TIMEOUT", pool.connection_timeout),
        ("DB_QUERY_TIMEOUT", pool.query_timeout),
        ("DB_IDLE_TIMEOUT", pool.idle_timeout),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string())));
    // Whole milliseconds, as the guides' clients read them; a time that is not zero stays above it.
    let times = times.into_iter().filter_map(|(name, time)| {
        let millis = Duration::from(time?).as_nanos().div_ceil(1_000_000);
        Some((name, millis.to_string()))
    });
    numbers.chain(times).map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}

fn of_cache(used: &UsedCache, binding: &CacheBinding) -> Standard {
    let CacheBinding { address, login, tls, cluster } = binding;
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    let user = login.as_ref().map(userinfo).unwrap_or_default();
    let mut set = Setter { style: used.variables.style, found: Standard::new() };
    set.url("REDIS_URL", format!("{scheme}://{user}{address}"));
    set.part("REDIS_HOST", address.host.clone());
    set.part("REDIS_PORT", address.port.to_string());
    set.part("REDIS_TLS", tls.is_some().to_string());
    // Told in both styles: no URL says it, and a client that does not know it fails at the first key of another shard.
    set.found.extend(cluster.map(|cluster| ("REDIS_CLUSTER".to_owned(), cluster.to_string().into_bytes())));
    if let Some(Login { username, password }) = login {
        if let Some(username) = username {
            set.part("REDIS_USERNAME", username.clone());
        }
        set.part("REDIS_PASSWORD", password.0.clone());
    }
    // No URL of Redis can name it.
    let file = authority_file(&used.name, tls.as_ref()).map(|file| ("REDIS_CA_FILE".to_owned(), file.into_bytes()));
    let mut found = set.found;
    found.extend(file);
    found.extend(authority(CACHE_CA, tls.as_ref()));
    found
}

/// Sets the variables of a style.
struct Setter {
    style: Option<Style>,
    found: Standard,
}

impl Setter {
    fn url(&mut self, name: &str, value: String) {
        if self.style != Some(Style::Parts) {
            self.found.insert(name.to_owned(), value.into_bytes());
        }
    }

    fn part(&mut self, name: &str, value: String) {
        if self.style != Some(Style::Url) {
            self.found.insert(name.to_owned(), value.into_bytes());
        }
    }
}

fn authority(name: &str, tls: Option<&Tls>) -> Option<(String, Vec<u8>)> {
    Some((name.to_owned(), tls?.ca.clone()?))
}

fn authority_file(item: &str, tls: Option<&Tls>) -> Option<String> {
    tls?.ca.as_ref().map(|_| format!("{AUTHORITIES}/{item}.crt"))
}

fn userinfo(login: &Login) -> String {
    let user = login.username.as_deref().map(encoded).unwrap_or_default();
    format!("{user}:{}@", encoded(&login.password.0))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// What is wrong with the variables of an app, and the authorities that its pods need; `bindings` may be placeholders.
///
/// # Errors
/// A name that no variable has, two variables of one name, a store that does not exist.
pub(crate) fn check(uses_: Option<&Uses>, bindings: &Bindings) -> Result<Vec<Authority>, Vec<Problem>> {
    let (mut problems, mut authorities) = (Vec::new(), Vec::new());
    let mut by: BTreeMap<String, String> = BTreeMap::new();
    for use_ in uses(uses_) {
        let field = format!("uses.{}s[{}]", use_.kind(), use_.item());
        let Ok(standard) = use_.variables(bindings) else {
            let remedy = format!("add it to spec.{}s, or correct the name", use_.kind());
            problems.push(Problem::new(field, format!("there is no such {}: {remedy}", use_.kind())));
            continue;
        };
        for name in use_.naming().names.keys().filter(|name| !standard.contains_key(*name)) {
            let known = standard.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let problem = format!("no such variable is set here: take one of {known}");
            problems.push(Problem::new(format!("{field}.names.{name}"), problem));
        }
        for name in standard.keys() {
            let called = use_.called(name);
            if let Some(other) = by.insert(called.clone(), field.clone()) {
                let problem = format!("{called} is set by {other}, too: give one of them a prefix or another name");
                problems.push(Problem::new(field.clone(), problem));
            }
        }
        for name in [DATABASE_CA, CACHE_CA].into_iter().filter(|name| standard.contains_key(*name)) {
            authorities.push(Authority { item: use_.item().to_owned(), variable: use_.called(name) });
        }
    }
    if problems.is_empty() { Ok(authorities) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiers::binding::Password;
    use serde_json::{Value, json};

    fn binding(tls: Option<Tls>) -> DatabaseBinding {
        let address = |text| Address::parse(text, 5432).unwrap();
        DatabaseBinding {
            primary: address("pg.example"),
            direct: Vec::new(),
            reader: address("pg-1.example:6432"),
            replicas: vec![address("pg-1.example:6432"), address("[fd00::7]")],
            shards: Vec::new(),
            aliased: false,
            database: "story db".into(),
            login: Login { username: Some("app@school".into()), password: Password("p:w/d?#%".into()) },
            tls,
        }
    }

    fn used(value: Value) -> UsedDatabase {
        serde_json::from_value(value).unwrap()
    }

    fn text(found: &Standard) -> BTreeMap<&str, &str> {
        found.iter().map(|(k, v)| (k.as_str(), std::str::from_utf8(v).unwrap())).collect()
    }

    #[test]
    fn a_database_in_both_styles() {
        let pool =
            json!({"min": 5, "max": 20, "connectionTimeout": "10s", "queryTimeout": "1500us", "idleTimeout": "5m"});
        let found = of_database(&used(json!({"name": "main", "pool": pool})), &binding(None));
        let user = "app%40school:p%3Aw%2Fd%3F%23%25";
        assert_eq!(
            text(&found),
            BTreeMap::from([
                ("DATABASE_URL", format!("postgresql://{user}@pg.example:5432/story%20db").as_str()),
                ("DATABASE_PRIMARY_URL", &format!("postgresql://{user}@pg.example:5432/story%20db")),
                ("DIRECT_URL", &format!("postgresql://{user}@pg.example:5432/story%20db")),
                ("DATABASE_REPLICA_1_URL", &format!("postgresql://{user}@pg-1.example:6432/story%20db")),
                ("DATABASE_REPLICA_2_URL", &format!("postgresql://{user}@[fd00::7]:5432/story%20db")),
                ("READ_REPLICA_URL", &format!("postgresql://{user}@pg-1.example:6432/story%20db")),
                ("DB_HOST", "pg.example"),
                ("DB_PORT", "5432"),
                ("DB_NAME", "story db"),
                ("DB_USER", "app@school"),
                ("DB_PASSWORD", "p:w/d?#%"),
                ("DB_MIN_CONNECTIONS", "5"),
                ("DB_MAX_CONNECTIONS", "20"),
                ("DB_CONNECTION_TIMEOUT", "10000"),
                ("DB_QUERY_TIMEOUT", "2"),
                ("DB_IDLE_TIMEOUT", "300000"),
            ])
        );
        for url in text(&found).into_iter().filter(|(name, _)| name.ends_with("_URL")) {
            let parsed = reqwest::Url::parse(url.1).unwrap();
            assert_eq!((parsed.username(), parsed.path()), ("app%40school", "/story%20db"), "{url:?}");
        }
    }

    #[test]
    fn tls_is_verified_against_the_given_authority() {
        let tls = Some(Tls { ca: Some(b"PEM".to_vec()) });
        let found = of_database(&used(json!({"name": "main", "style": "Url"})), &binding(tls));
        let found = text(&found);
        let query = "?sslmode=verify-full&sslrootcert=%2Fetc%2Flearningplatform%2Fauthorities%2Fmain.crt";
        assert!(
            found.iter().filter(|(name, _)| name.ends_with("URL")).all(|(_, url)| url.ends_with(query)),
            "{found:?}"
        );
        assert_eq!(found["DB_CA_CERTIFICATE"], "PEM");
        assert!(!found.contains_key("DB_HOST"), "{found:?}");

        let found = of_database(&used(json!({"name": "main", "style": "Parts"})), &binding(Some(Tls::default())));
        let found = text(&found);
        assert_eq!(found["DB_SSLMODE"], "verify-full");
        assert!(!found.keys().any(|name| name.contains("URL") || name.contains("CERT")), "{found:?}");
    }

    #[test]
    fn without_replicas_reads_go_to_the_primary() {
        let alone = binding(None);
        let alone = DatabaseBinding { reader: alone.primary.clone(), replicas: Vec::new(), ..alone };
        let found = of_database(&used(json!({"name": "main"})), &alone);
        assert_eq!(found["READ_REPLICA_URL"], found["DATABASE_URL"]);
        assert!(!found.keys().any(|name| name.starts_with("DATABASE_REPLICA_")));
    }

    #[test]
    fn shards_are_numbered_from_zero_and_counted() {
        let shards = ["a", "b"].map(|host| Address::parse(host, 5432).unwrap());
        let found = of_database(
            &used(json!({"name": "main", "style": "Url"})),
            &DatabaseBinding { shards: shards.to_vec(), ..binding(None) },
        );
        let found = text(&found);
        assert_eq!(found["DATABASE_SHARD_COUNT"], "2");
        assert!(found["DATABASE_SHARD_0_URL"].contains("@a:5432/"), "{found:?}");
        assert!(found["DATABASE_SHARD_1_URL"].contains("@b:5432/"), "{found:?}");
        assert!(!found.contains_key("DATABASE_SHARD_2_URL"));
    }

    #[test]
    fn behind_a_pooler_the_primary_itself_has_names_of_its_own() {
        let [pooler, primary, second] = ["pooler", "pg", "pg-1"].map(|host| Address::parse(host, 5432).unwrap());
        let binding = DatabaseBinding { primary: pooler.clone(), direct: vec![primary, second], ..binding(None) };
        let found = of_database(&used(json!({"name": "main"})), &binding);
        let found = text(&found);
        for (name, host) in [("DATABASE_URL", "pooler"), ("DATABASE_PRIMARY_URL", "pooler"), ("DIRECT_URL", "pg")] {
            assert!(found[name].contains(&format!("@{host}:5432/")), "{name}");
        }
        assert_eq!((found["DB_HOST"], found["DB_DIRECT_HOST"], found["DB_DIRECT_PORT"]), ("pooler", "pg", "5432"));
        assert!(!found.contains_key("DIRECT_SHARD_0_URL"));

        let sharded = DatabaseBinding { shards: vec![pooler.clone(), pooler], ..binding };
        let found = of_database(&used(json!({"name": "main", "names": {"DIRECT_URL": "MIGRATIONS"}})), &sharded);
        let found = text(&found);
        assert!(found["DATABASE_SHARD_1_URL"].contains("@pooler:") && found["DIRECT_SHARD_1_URL"].contains("@pg-1:"));
    }

    #[test]
    fn a_client_is_told_whether_the_cache_is_a_cluster() {
        let used: UsedCache = serde_json::from_value(json!({"name": "cache", "style": "Url"})).unwrap();
        let address = Address::parse("redis", 6379).unwrap();
        let found = of_cache(&used, &CacheBinding { address, login: None, tls: None, cluster: Some(true) });
        assert_eq!(text(&found)["REDIS_CLUSTER"], "true");
    }

    #[test]
    fn a_cache_with_and_without_credentials() {
        let cache =
            |login, tls| CacheBinding { address: Address::parse("redis", 6379).unwrap(), login, tls, cluster: None };
        let used: UsedCache = serde_json::from_value(json!({"name": "cache"})).unwrap();
        let found = of_cache(&used, &cache(None, None));
        assert_eq!(
            text(&found),
            BTreeMap::from([
                ("REDIS_URL", "redis://redis:6379"),
                ("REDIS_HOST", "redis"),
                ("REDIS_PORT", "6379"),
                ("REDIS_TLS", "false"),
            ])
        );
        let login = Login { username: None, password: Password("s3 cret".into()) };
        let found = of_cache(&used, &cache(Some(login), Some(Tls { ca: Some(b"PEM".to_vec()) })));
        let found = text(&found);
        assert_eq!(found["REDIS_URL"], "rediss://:s3%20cret@redis:6379");
        assert_eq!(found["REDIS_PASSWORD"], "s3 cret");
        assert_eq!(found["REDIS_CA_FILE"], "/etc/learningplatform/authorities/cache.crt");
        assert!(!found.contains_key("REDIS_USERNAME"));
    }

    #[test]
    fn names_that_meet_or_mean_nothing_are_refused() {
        let bindings = Bindings {
            databases: [("main".to_owned(), Ok(binding(None))), ("old".to_owned(), Ok(binding(None)))].into(),
            ..Bindings::default()
        };
        for (uses, field, named) in [
            (json!({"databases": [{"name": "gone"}]}), "uses.databases[gone]", "add it to spec.databases"),
            (
                json!({"databases": [{"name": "main"}, {"name": "old"}]}),
                "uses.databases[old]",
                "is set by uses.databases[main]",
            ),
            (
                json!({"databases": [{"name": "main", "names": {"DATABSE_URL": "X"}}]}),
                "uses.databases[main].names.DATABSE_URL",
                "take one of DATABASE_PRIMARY_URL",
            ),
            (
                json!({"databases": [{"name": "main", "names": {"DATABASE_URL": "DB_HOST"}}]}),
                "uses.databases[main]",
                "DB_HOST is set by",
            ),
        ] {
            let uses: Uses = serde_json::from_value(uses).unwrap();
            let problems = check(Some(&uses), &bindings).unwrap_err();
            assert!(problems.iter().any(|p| p.field == field && p.problem.contains(named)), "{problems:?}");
        }
        let uses = json!({"databases": [{"name": "main"}, {"name": "old", "prefix": "OLD_"}]});
        assert_eq!(check(serde_json::from_value::<Option<Uses>>(uses).unwrap().as_ref(), &bindings), Ok(Vec::new()));
    }
}
