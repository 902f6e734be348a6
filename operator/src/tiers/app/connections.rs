//! How an app reaches its stores: the variables, and the Secret that carries them into the pods.

use super::pod::some_list;
use crate::{
    kinds::Kind,
    naming::labels,
    secrets::Lack,
    tiers::binding::{Address, Bindings, CacheBinding, DatabaseBinding, Login, Tls},
    validate::{Problem, ValidApp},
};
use crds::tiers::uses::{Pool, Style, UsedCache, UsedDatabase, Uses};
use k8s_openapi::{
    ByteString,
    api::core::v1::{EnvFromSource, KeyToPath, Secret, SecretEnvSource, SecretVolumeSource, Volume, VolumeMount},
};
use kube::core::DynamicObject;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

/// Annotation of the pod template: changes with the connections, so that the pods are replaced when they do.
pub const REVISION: &str = "learningplatform.dev/connections";
/// Where certificate authorities are in the pods.
const AUTHORITIES: &str = "/etc/learningplatform/authorities";
const VOLUME: &str = "learningplatform-authorities";

/// What may stand in a URL as it is (RFC 3986, 2.3).
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Variables by name. What they hold is not printed.
pub type Variables = BTreeMap<String, Vec<u8>>;

/// What is known of an app's connections.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Connections {
    /// It uses no store.
    #[default]
    Unused,
    /// All of them.
    Known {
        /// What its Secret is to hold.
        variables: Variables,
        /// What the pod template is to carry; none before the Secret is there.
        revision: Option<String>,
    },
    /// Not all, just now: what its Secret holds stays.
    Kept {
        /// What the pod template carries.
        revision: String,
    },
    /// Not all, and there is no Secret from before: the app stays as it is.
    Unknown,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unused => "Unused",
            Self::Known { .. } => "Known",
            Self::Kept { .. } => "Kept",
            Self::Unknown => "Unknown",
        })
    }
}

impl Connections {
    /// What the pod template carries.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Self::Known { revision, .. } => revision.as_deref(),
            Self::Kept { revision } => Some(revision),
            Self::Unused | Self::Unknown => None,
        }
    }
}

/// Name of the Secret.
pub fn secret_name(app: &ValidApp) -> String {
    format!("{}-connections", app.object_name)
}

/// The connections of an app, and what is lacking for them: `live` is its Secret as it is.
pub fn connections(app: &ValidApp, bindings: &Bindings, live: Option<&Secret>) -> (Connections, Vec<String>) {
    if app.spec.uses.as_ref().is_none_or(|uses| uses.databases.is_empty() && uses.caches.is_empty()) {
        return (Connections::Unused, Vec::new());
    }
    match variables(app, bindings) {
        Ok(variables) => {
            let revision = live.and_then(|live| revision(live.metadata.uid.as_deref()?, &variables));
            (Connections::Known { variables, revision }, Vec::new())
        }
        Err(lacking) => {
            let revision = live.and_then(|live| {
                let data = live.data.clone().unwrap_or_default();
                revision(live.metadata.uid.as_deref()?, &data.into_iter().map(|(k, v)| (k, v.0)).collect())
            });
            (revision.map_or(Connections::Unknown, |revision| Connections::Kept { revision }), lacking)
        }
    }
}

/// The connections without a cluster: `bindings` are placeholders, and so is the revision.
pub fn offline(app: &ValidApp, bindings: &Bindings) -> Connections {
    match connections(app, bindings, None).0 {
        Connections::Known { variables, .. } => Connections::Known { variables, revision: Some(String::new()) },
        other => other,
    }
}

/// A word that changes with the variables and tells nothing of them: keyed by the Secret's UID, which is random and known
/// only to who may read the Secret, because a plain hash of a poor password could be guessed from the pod template.
fn revision(uid: &str, variables: &Variables) -> Option<String> {
    use aws_lc_rs::hmac;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, uid.as_bytes()));
    for (name, value) in variables {
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name.as_bytes());
        context.update(&(value.len() as u64).to_be_bytes());
        context.update(value);
    }
    let tag = context.sign();
    Some(tag.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// The Secret that carries the variables.
pub(super) fn secret(app: &ValidApp, variables: &Variables) -> Result<DynamicObject, serde_json::Error> {
    let data: BTreeMap<_, _> = variables.iter().map(|(name, value)| (name, ByteString(value.clone()))).collect();
    Kind::Secret.object(&json!({
        "metadata": { "name": secret_name(app), "labels": labels(&app.key.platform, &app.key.app) },
        "type": "Opaque",
        "data": data,
    }))
}

/// How the variables get into the container: before the user's own, which win.
pub(super) fn env_from(app: &ValidApp) -> Option<EnvFromSource> {
    let uses = app.spec.uses.as_ref()?;
    (!uses.databases.is_empty() || !uses.caches.is_empty()).then(|| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: secret_name(app), optional: None }),
        ..EnvFromSource::default()
    })
}

/// The volume with the certificate authorities, and where it is mounted.
pub(super) fn authorities(app: &ValidApp) -> Option<(Volume, VolumeMount)> {
    let file = |at: &Authority| KeyToPath { key: at.variable.clone(), path: format!("{}.crt", at.item), mode: None };
    let items = some_list(app.authorities.iter().map(file).collect::<Vec<_>>())?;
    let secret_name = Some(secret_name(app));
    let source = SecretVolumeSource { secret_name, items: Some(items), ..SecretVolumeSource::default() };
    let volume = Volume { name: VOLUME.to_owned(), secret: Some(source), ..Volume::default() };
    let mount = VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: AUTHORITIES.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    Some((volume, mount))
}

/// A store whose certificate authority is mounted into an app's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The store.
    pub item: String,
    /// The variable that holds it.
    pub variable: String,
}

fn variables(app: &ValidApp, bindings: &Bindings) -> Result<Variables, Vec<String>> {
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

    fn names(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Database(used) => &used.names,
            Self::Cache(used) => &used.names,
        }
    }

    /// What a variable is called in the app.
    fn called(&self, standard: &str) -> String {
        let prefix = match self {
            Self::Database(used) => used.prefix.as_deref(),
            Self::Cache(used) => used.prefix.as_deref(),
        };
        let named = self.names().get(standard).cloned();
        named.unwrap_or_else(|| format!("{}{standard}", prefix.unwrap_or_default()))
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
    let DatabaseBinding { primary, replicas, database, login, tls } = binding;
    let file = authority_file(&used.name, tls.as_ref());
    let url = |address: &Address| {
        let mut url = format!("postgresql://{}{address}/{}", userinfo(login), encoded(database));
        if tls.is_some() {
            url.push_str("?sslmode=verify-full");
        }
        if let Some(file) = &file {
            url.push_str(&format!("&sslrootcert={}", encoded(file)));
        }
        url
    };
    let mut set = Setter { style: used.style, found: Standard::new() };
    set.url("DATABASE_URL", url(primary));
    set.url("DATABASE_PRIMARY_URL", url(primary));
    set.url("READ_REPLICA_URL", url(replicas.first().unwrap_or(primary)));
    for (number, replica) in (1..).zip(replicas) {
        set.url(&format!("DATABASE_REPLICA_{number}_URL"), url(replica));
    }
    set.part("DB_HOST", primary.host.clone());
    set.part("DB_PORT", primary.port.to_string());
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
    let CacheBinding { address, login, tls } = binding;
    let scheme = if tls.is_some() { "rediss" } else { "redis" };
    let user = login.as_ref().map(userinfo).unwrap_or_default();
    let mut set = Setter { style: used.style, found: Standard::new() };
    set.url("REDIS_URL", format!("{scheme}://{user}{address}"));
    set.part("REDIS_HOST", address.host.clone());
    set.part("REDIS_PORT", address.port.to_string());
    set.part("REDIS_TLS", tls.is_some().to_string());
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
        for name in use_.names().keys().filter(|name| !standard.contains_key(*name)) {
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
    use serde_json::Value;

    fn binding(tls: Option<Tls>) -> DatabaseBinding {
        let address = |text| Address::parse(text, 5432).unwrap();
        DatabaseBinding {
            primary: address("pg.example"),
            replicas: vec![address("pg-1.example:6432"), address("[fd00::7]")],
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
        let alone = DatabaseBinding { replicas: Vec::new(), ..binding(None) };
        let found = of_database(&used(json!({"name": "main"})), &alone);
        assert_eq!(found["READ_REPLICA_URL"], found["DATABASE_URL"]);
        assert!(!found.keys().any(|name| name.starts_with("DATABASE_REPLICA_")));
    }

    #[test]
    fn a_cache_with_and_without_credentials() {
        let cache = |login, tls| CacheBinding { address: Address::parse("redis", 6379).unwrap(), login, tls };
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
    fn the_revision_changes_with_each_part_and_with_the_secret() {
        let variables = |pairs: &[(&str, &str)]| -> Variables {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
        };
        let all = [
            revision("u", &variables(&[("A", "1"), ("B", "2")])),
            revision("u", &variables(&[("A", "1"), ("B", "3")])),
            revision("u", &variables(&[("A", "1B"), ("", "2")])),
            revision("u", &variables(&[("A", "1")])),
            revision("v", &variables(&[("A", "1"), ("B", "2")])),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert_eq!(all[0], revision("u", &variables(&[("B", "2"), ("A", "1")])));
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
