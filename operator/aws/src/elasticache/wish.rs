//! What is wished of a cache at ElastiCache.

use super::{Field, MOST_NODES, MOST_REPLICAS, MOST_SHARDS, Settings};
use crate::{Allow, DeletionPolicy, Mode, Owner, Parameters, Password, Value, When, major, own_group};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Parameter that says whether keys are spread over shards.
const CLUSTER_ENABLED: &str = "cluster-enabled";
/// The user that AWS logs clients in with who name none.
pub(super) const DEFAULT_USER: &str = "default";

/// What is wished.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Whose it is.
    pub owner: Owner,
    /// Of the platform: a refused wish is tried again when it changes.
    pub generation: i64,
    /// What may be done.
    pub mode: Mode,
    /// Hash of the plan that the user approved.
    pub approved: Option<String>,
    /// Standing allowances.
    pub allow: BTreeSet<Allow>,
    /// Take over what a former platform of this name left.
    pub adopt: bool,
    /// The cache, or its platform, is being deleted.
    pub deleted: bool,
    /// What becomes of the data then.
    pub deletion_policy: DeletionPolicy,
    /// The cache.
    pub spec: Spec,
}

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// Valkey.
    #[default]
    Valkey,
    /// Redis OSS.
    Redis,
}

/// The cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// What serves.
    pub engine: Engine,
    /// `EngineVersion`, whole (`7.2`) or its first parts (`8`).
    pub engine_version: Option<String>,
    /// `CacheNodeType`.
    pub node_type: String,
    /// Keys are spread over shards. Only set at creation.
    pub cluster_mode: bool,
    /// Shards; 1 without cluster mode.
    pub shards: u32,
    /// Replicas of each shard, 0 to 5.
    pub replicas: u32,
    /// Whether a replica takes over from a lost primary; without a word, where there are replicas. Always in cluster mode.
    pub automatic_failover: Option<bool>,
    /// Replicas are in other zones than their primary.
    pub multi_az: Option<bool>,
    /// Where the server's parameters come from.
    pub parameters: Option<Parameters>,
    /// `CacheSubnetGroupName`. Only set at creation.
    pub subnet_group: Option<String>,
    /// `SecurityGroupIds`; empty leaves them to AWS.
    pub security_groups: BTreeSet<String>,
    /// Default 6379. Only set at creation.
    pub port: Option<u32>,
    /// Clients connect by TLS. Only set at creation.
    pub tls: bool,
    /// Disks and snapshots are encrypted. Only set at creation.
    pub at_rest_encryption: bool,
    /// The key that the disks are encrypted with; AWS's own without one. Only set at creation.
    pub kms_key: Option<String>,
    /// What clients show.
    pub auth: Auth,
    /// Days that automatic snapshots are kept; 0 takes none.
    pub snapshot_retention: Option<u32>,
    /// `03:00-04:00`, UTC.
    pub snapshot_window: Option<String>,
    /// `sun:04:00-sun:05:00`, UTC.
    pub maintenance_window: Option<String>,
    /// Whether AWS takes minor versions by itself.
    pub auto_minor_upgrade: Option<bool>,
    /// When a change of a field is applied, where not by its default.
    pub apply: BTreeMap<Field, When>,
    /// Snapshot that the cache is made from, instead of an empty one.
    pub restore_from: Option<String>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            engine_version: None,
            node_type: String::new(),
            cluster_mode: true,
            shards: 1,
            replicas: 0,
            automatic_failover: None,
            multi_az: None,
            parameters: None,
            subnet_group: None,
            security_groups: BTreeSet::new(),
            port: None,
            tls: true,
            at_rest_encryption: true,
            kms_key: None,
            auth: Auth::Open,
            snapshot_retention: None,
            snapshot_window: None,
            maintenance_window: None,
            auto_minor_upgrade: None,
            apply: BTreeMap::new(),
            restore_from: None,
        }
    }
}

/// What clients show. Which of the three is only set at creation.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// Nothing.
    Open,
    /// One token for all.
    Token(Credential),
    /// Name and password, each with rights of its own, by the users' names.
    Users(BTreeMap<String, Access>),
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// `AccessString`: `on ~app:* +@all`.
    pub rules: String,
    /// The password.
    pub credential: Credential,
}

/// A password or token with how far its change has come, as seen in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    /// What it is to be; none where the Secret is missing, and then nothing is done about it.
    pub wished: Option<Password>,
    /// What the clients' Secret says now; none before the first was published. It is written by others, once
    /// [`super::View::accepted`] has the wished one.
    pub published: Option<Password>,
    /// All clients use what is published.
    pub taken: bool,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valkey => "valkey",
            Self::Redis => "redis",
        })
    }
}

impl Auth {
    /// Passwords and tokens, by users' names.
    pub fn credentials(&self) -> Vec<(&str, &Credential)> {
        match self {
            Self::Open => Vec::new(),
            Self::Token(credential) => vec![(super::TOKEN, credential)],
            Self::Users(users) => users.iter().map(|(name, access)| (name.as_str(), &access.credential)).collect(),
        }
    }
}

impl Spec {
    /// Whether a replica takes over from a lost primary.
    pub(super) fn failover(&self) -> bool {
        self.automatic_failover.unwrap_or(self.cluster_mode || self.replicas > 0)
    }

    /// The parameters that are set in a group of this cache's own.
    pub(super) fn values(&self, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut values = values.clone();
        if self.cluster_mode {
            values.insert(CLUSTER_ENABLED.to_owned(), "yes".to_owned());
        }
        values
    }

    fn problems_of_shape(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wrong = |is_wrong: bool, words: String| {
            if is_wrong {
                problems.push(words);
            }
        };
        let (shards, replicas) = (self.shards, self.replicas);
        wrong(!(1..=MOST_SHARDS).contains(&shards), format!("shards {shards}: use 1 to {MOST_SHARDS}"));
        wrong(
            replicas > MOST_REPLICAS,
            format!("replicasPerShard {replicas}: AWS keeps at most {MOST_REPLICAS} of one shard"),
        );
        wrong(
            shards.saturating_mul(replicas.saturating_add(1)) > MOST_NODES,
            format!(
                "shards {shards} with replicasPerShard {replicas} are more than {MOST_NODES} nodes: lower one of them"
            ),
        );
        wrong(
            !self.cluster_mode && shards != 1,
            format!("shards {shards} without clusterMode: set clusterMode to true, or shards to 1"),
        );
        wrong(
            self.cluster_mode && self.automatic_failover == Some(false),
            "automaticFailover false: AWS keeps it on in cluster mode; leave it out, or set clusterMode to false"
                .to_owned(),
        );
        wrong(
            !self.cluster_mode && self.automatic_failover == Some(true) && replicas == 0,
            "automaticFailover needs a replica that takes over: set replicasPerShard to 1 or more".to_owned(),
        );
        wrong(
            self.multi_az == Some(true) && (replicas == 0 || !self.failover()),
            "multiAz needs replicasPerShard 1 or more, and automaticFailover".to_owned(),
        );
        wrong(
            self.snapshot_retention.is_some_and(|days| days > 35),
            "snapshotRetentionDays: AWS keeps automatic snapshots for at most 35 days".to_owned(),
        );
        for field in self.apply.keys().filter(|field| !field.can_wait()) {
            wrong(true, format!("apply.{field:?}: AWS takes no word on when it applies it; leave it out"));
        }
        problems
    }

    fn problems_of_auth(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.auth != Auth::Open && !self.tls {
            problems.push("auth needs tls: AWS takes tokens and users over TLS only. Set tls to true".to_owned());
        }
        match &self.auth {
            Auth::Open => {}
            Auth::Token(credential) => {
                let legal = |c: char| c.is_ascii_alphanumeric() || "!&#$^<>-".contains(c);
                if credential.wished.as_ref().is_some_and(|token| !is_secret(token, legal)) {
                    problems.push("authToken: use 16 to 128 letters, digits and of '! & # $ ^ < > -'".to_owned());
                }
            }
            Auth::Users(users) => {
                if users.is_empty() {
                    problems.push("auth.users: name at least one, or nobody can log in".to_owned());
                }
                for (name, access) in users {
                    let legal = |c: char| c.is_ascii_graphic();
                    if access.credential.wished.as_ref().is_some_and(|password| !is_secret(password, legal)) {
                        problems.push(format!(
                            "authToken, the password of user {name}: use 16 to 128 printable ASCII characters without space"
                        ));
                    }
                    if name == DEFAULT_USER || name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
                        problems.push(format!(
                            "user.name {name}: use another, of printable ASCII characters; '{DEFAULT_USER}' is shut"
                        ));
                    }
                    if access.rules.trim().is_empty() {
                        problems.push(format!("user.access of {name}: say what it may do, as in 'on ~* +@all'"));
                    }
                    if access.rules.split_whitespace().any(|rule| rule.starts_with(['>', '<', '#', '!'])) {
                        problems
                            .push(format!("user.access of {name}: take the password out, it is read from the Secret"));
                    }
                }
            }
        }
        problems
    }

    fn problems_of_version(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(Parameters::Own { family, values }) = &self.parameters {
            // `redis6.x` is a family, too.
            let of_engine = format!("{}{}", self.engine, self.engine_version.as_deref().map(major).unwrap_or_default());
            if !family.starts_with(&of_engine) {
                let version = self.engine_version.as_deref().unwrap_or_default();
                problems.push(format!("parameters.family {family} is not that of engine {} {version}", self.engine));
            }
            if self.cluster_mode && values.get(CLUSTER_ENABLED).is_some_and(|value| value != "yes") {
                problems.push(format!(
                    "parameters.values.{CLUSTER_ENABLED} contradicts clusterMode: leave it out, it is set by clusterMode"
                ));
            }
        }
        problems
    }
}

fn is_secret(secret: &Password, legal: impl Fn(char) -> bool) -> bool {
    (16..=128).contains(&secret.reveal().len()) && secret.reveal().chars().all(legal)
}

impl Wish {
    /// What is wrong with it, in words that name the field.
    pub(super) fn problems(&self) -> Vec<String> {
        let spec = &self.spec;
        [spec.problems_of_shape(), spec.problems_of_auth(), spec.problems_of_version()].concat()
    }

    /// Name of the parameter group that is used.
    pub(super) fn parameter_group(&self, id: &str) -> Option<String> {
        match self.spec.parameters.as_ref()? {
            Parameters::Group(name) => Some(name.clone()),
            Parameters::Own { family, .. } => Some(own_group(id, family)),
        }
    }

    /// When a change of a field is applied; none where AWS does not ask.
    pub(super) fn when(&self, field: Field) -> Option<When> {
        let default = field.default_when()?;
        Some(self.spec.apply.get(&field).copied().unwrap_or(default))
    }

    /// What the group is to be. Only what is set is in it, and what we always set.
    pub(super) fn group(&self, id: &str) -> Settings {
        let spec = &self.spec;
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        let number = |number: Option<u32>| number.map(Value::Number);
        let fields = [
            (Field::Engine, Some(spec.engine.to_string().into())),
            (Field::EngineVersion, text(&spec.engine_version)),
            (Field::NodeType, Some(spec.node_type.as_str().into())),
            (Field::ParameterGroup, self.parameter_group(id).map(Value::Text)),
            (Field::SubnetGroup, text(&spec.subnet_group)),
            (Field::SecurityGroups, (!spec.security_groups.is_empty()).then(|| spec.security_groups.clone().into())),
            (Field::Port, number(spec.port)),
            (Field::Retention, number(spec.snapshot_retention)),
            (Field::SnapshotWindow, text(&spec.snapshot_window)),
            (Field::MaintenanceWindow, text(&spec.maintenance_window)),
            (Field::Failover, Some(spec.failover().into())),
            (Field::MultiAz, spec.multi_az.map(Value::Flag)),
            (Field::AutoMinorUpgrade, spec.auto_minor_upgrade.map(Value::Flag)),
            (Field::Tls, Some(spec.tls.into())),
            (Field::AtRest, Some(spec.at_rest_encryption.into())),
            (Field::ClusterMode, Some(spec.cluster_mode.into())),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }
}
