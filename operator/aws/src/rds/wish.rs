//! What is wished of a database at RDS.

use super::{Field, MOST_REPLICAS, Settings};
use crate::{Allow, DeletionPolicy, Mode, Owner, Parameters, Password, Value, When, major, own_group};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The database, or its platform, is being deleted.
    pub deleted: bool,
    /// What becomes of the data then.
    pub deletion_policy: DeletionPolicy,
    /// The database.
    pub spec: Spec,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Spec {
    /// `EngineVersion`, whole (`16.4`) or its first parts (`16`).
    pub engine_version: Option<String>,
    /// `DBInstanceClass`, of the primary and of each replica.
    pub instance_class: String,
    /// GiB.
    pub storage: u32,
    /// GiB, up to which AWS grows the storage.
    pub max_storage: Option<u32>,
    /// `gp3`, `io2`, ….
    pub storage_type: Option<String>,
    /// Operations per second.
    pub iops: Option<u32>,
    /// MiB/s.
    pub storage_throughput: Option<u32>,
    /// A standby in another zone.
    pub multi_az: Option<bool>,
    /// Where the server's parameters come from.
    pub parameters: Option<Parameters>,
    /// `DBSubnetGroupName`.
    pub subnet_group: Option<String>,
    /// `VpcSecurityGroupIds`; empty leaves them to AWS.
    pub security_groups: BTreeSet<String>,
    /// Default 5432.
    pub port: Option<u32>,
    /// Days that automated backups are kept. 0 turns them off, and replicas with them.
    pub backup_retention: Option<u32>,
    /// `03:00-03:30`, UTC.
    pub backup_window: Option<String>,
    /// `sun:04:00-sun:04:30`, UTC.
    pub maintenance_window: Option<String>,
    /// `CACertificateIdentifier`.
    pub ca: Option<String>,
    /// Whether AWS takes minor versions by itself.
    pub auto_minor_upgrade: Option<bool>,
    /// Whether AWS goes on, and charges, after the end of the version's standard support.
    pub extended_support: bool,
    /// The key that the storage is encrypted with; AWS's own without one. Only set at creation.
    pub kms_key: Option<String>,
    /// When a change of a field is applied, where not by its default.
    pub apply: BTreeMap<Field, When>,
    /// Read replicas.
    pub replicas: u32,
    /// Snapshot that the database is made from, instead of an empty one.
    pub restore_from: Option<String>,
    /// The first database. Only set at creation.
    pub database: Option<String>,
    /// The administrator. Only set at creation.
    pub username: String,
    /// The administrator's password; none where the Secret is missing, and then nothing is done about it.
    pub password: Option<Password>,
}

impl Wish {
    /// What is wrong with it, in words that name the field.
    pub(super) fn problems(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut problems = Vec::new();
        if spec.replicas > 0 && spec.backup_retention == Some(0) {
            problems.push(
                "backupRetention 0 turns backups off, and AWS makes replicas from backups: set it to 1 or more, or replicas to 0"
                    .to_owned(),
            );
        }
        if spec.replicas > MOST_REPLICAS {
            problems.push(format!("replicas {}: AWS keeps at most {MOST_REPLICAS} of one source", spec.replicas));
        }
        if let Some(password) = &spec.password {
            let text = password.reveal();
            let legal = |c: char| c.is_ascii_graphic() && !"/\"@".contains(c);
            if !(20..=128).contains(&text.len()) || !text.chars().all(legal) {
                problems.push(
                    "password: use 20 to 128 printable ASCII characters, without space, '/', '\"' and '@'".to_owned(),
                );
            }
        }
        if spec.max_storage.is_some_and(|max| max <= spec.storage) {
            problems.push(format!("maxStorage must be above storage, which is {}", spec.storage));
        }
        if let (Some(Parameters::Own { family, .. }), Some(version)) = (&spec.parameters, &spec.engine_version)
            && *family != format!("{}{}", super::ENGINE, major(version))
        {
            problems.push(format!("parameters.family {family} is not that of engineVersion {version}"));
        }
        problems
    }

    /// Name of the parameter group that is used.
    pub(super) fn group(&self, id: &str) -> Option<String> {
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

    /// What the primary is to be. Only what is set is in it, and what we always set.
    pub(super) fn primary(&self, id: &str) -> Settings {
        let spec = &self.spec;
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        let number = |number: Option<u32>| number.map(Value::Number);
        let fields = [
            (Field::EngineVersion, text(&spec.engine_version)),
            (Field::Class, Some(spec.instance_class.as_str().into())),
            (Field::Storage, Some(spec.storage.into())),
            (Field::MaxStorage, number(spec.max_storage)),
            (Field::StorageType, text(&spec.storage_type)),
            (Field::Iops, number(spec.iops)),
            (Field::Throughput, number(spec.storage_throughput)),
            (Field::MultiAz, spec.multi_az.map(Value::Flag)),
            (Field::ParameterGroup, self.group(id).map(Value::Text)),
            (Field::SubnetGroup, text(&spec.subnet_group)),
            (Field::SecurityGroups, (!spec.security_groups.is_empty()).then(|| spec.security_groups.clone().into())),
            (Field::Port, number(spec.port)),
            (Field::Retention, number(spec.backup_retention)),
            (Field::BackupWindow, text(&spec.backup_window)),
            (Field::MaintenanceWindow, text(&spec.maintenance_window)),
            (Field::Ca, text(&spec.ca)),
            (Field::AutoMinorUpgrade, spec.auto_minor_upgrade.map(Value::Flag)),
            (Field::DeletionProtection, Some(true.into())),
            (Field::CopyTags, Some(true.into())),
            (Field::ExtendedSupport, Some(spec.extended_support.into())),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }

    /// What each replica is to be. It is not protected: its data are the primary's, and it comes and goes.
    pub(super) fn replica(&self, id: &str) -> Settings {
        self.primary(id).only(Field::is_of_replicas).with(Field::DeletionProtection, false)
    }
}
