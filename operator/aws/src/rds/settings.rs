//! What can be set on a DB instance, as plain values: what is wished, what is, what waits and what is changed are of one type.

use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Something that can be set on a DB instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Field {
    /// `EngineVersion`, whole or its first parts: `16` is any 16.
    EngineVersion,
    /// `DBInstanceClass`.
    Class,
    /// `AllocatedStorage`, GiB.
    Storage,
    /// `MaxAllocatedStorage`, GiB, up to which AWS grows it.
    MaxStorage,
    /// `StorageType`.
    StorageType,
    /// `Iops`.
    Iops,
    /// `StorageThroughput`, MiB/s.
    Throughput,
    /// `MultiAZ`.
    MultiAz,
    /// `DBParameterGroupName`.
    ParameterGroup,
    /// `DBSubnetGroupName`.
    SubnetGroup,
    /// `VpcSecurityGroupIds`.
    SecurityGroups,
    /// `Port`.
    Port,
    /// `BackupRetentionPeriod`, days.
    Retention,
    /// `PreferredBackupWindow`.
    BackupWindow,
    /// `PreferredMaintenanceWindow`.
    MaintenanceWindow,
    /// `CACertificateIdentifier`.
    Ca,
    /// `AutoMinorVersionUpgrade`.
    AutoMinorUpgrade,
    /// `DeletionProtection`.
    DeletionProtection,
    /// `CopyTagsToSnapshot`.
    CopyTags,
    /// `EngineLifecycleSupport`: whether AWS goes on, and charges, after the end of the version's standard support.
    ExtendedSupport,
}

/// When a change is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// At once.
    Immediate,
    /// In the maintenance window.
    Window,
}

impl Field {
    /// When AWS applies it: as `ApplyImmediately` says, by default as said here; none where AWS does not ask.
    pub fn default_when(self) -> Option<When> {
        match self {
            Self::EngineVersion | Self::Class | Self::StorageType | Self::MultiAz | Self::SubnetGroup | Self::Ca => {
                Some(When::Window)
            }
            Self::Storage | Self::Iops | Self::Throughput | Self::Retention => Some(When::Immediate),
            _ => None,
        }
    }

    /// Whether it holds for a replica, too. The others a replica inherits, or has for itself.
    pub fn is_of_replicas(self) -> bool {
        !matches!(self, Self::MultiAz | Self::SubnetGroup | Self::Retention | Self::BackupWindow | Self::Port)
    }

    /// Whether a change of it interrupts the connections.
    pub fn interrupts(self) -> bool {
        matches!(self, Self::EngineVersion | Self::Class | Self::SubnetGroup | Self::Port | Self::Ca)
    }

    /// AWS keeps these in lower case.
    fn is_lower_case(self) -> bool {
        matches!(self, Self::ParameterGroup | Self::SubnetGroup | Self::BackupWindow | Self::MaintenanceWindow)
    }
}

/// What a field is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A word.
    Text(String),
    /// A number.
    Number(u32),
    /// Yes or no.
    Flag(bool),
    /// Names without an order.
    Names(BTreeSet<String>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<BTreeSet<String>> for Value {
    fn from(names: BTreeSet<String>) -> Self {
        Self::Names(names)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Names(names) => f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
        }
    }
}

/// Fields with what they are set to; those that are not in it are not spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings(BTreeMap<Field, Value>);

impl Settings {
    /// Sets a field, in the form in which AWS keeps it.
    pub fn set(&mut self, field: Field, value: impl Into<Value>) {
        let value = match value.into() {
            Value::Text(text) if field.is_lower_case() => Value::Text(text.to_lowercase()),
            value => value,
        };
        self.0.insert(field, value);
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    /// What a field is set to.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.0.get(&field)
    }

    /// What a field that holds a word is set to.
    pub fn text(&self, field: Field) -> Option<&str> {
        self.get(field).and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// What a field that holds a number is set to.
    pub fn number(&self, field: Field) -> Option<u32> {
        self.get(field).and_then(|value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    /// What a field that holds yes or no is set to.
    pub fn flag(&self, field: Field) -> Option<bool> {
        self.get(field).and_then(|value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    /// The fields that are set.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &Value)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these fields.
    #[must_use]
    pub fn only(&self, which: impl Fn(Field) -> bool) -> Self {
        Self(self.0.iter().filter(|(field, _)| which(**field)).map(|(f, v)| (*f, v.clone())).collect())
    }

    /// These, and over them the others.
    #[must_use]
    pub fn overlaid(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(others.0.clone());
        all
    }

    /// What of these is to be changed where `have` is what there is, and where that is ahead of what is wished: a higher
    /// version, or more storage, neither of which can be taken back.
    pub fn against(&self, have: &Self) -> (Self, Vec<String>) {
        let (mut change, mut ahead) = (Self::default(), Vec::new());
        for (field, wish) in self.iter() {
            let order = match (field, wish, have.get(field)) {
                (Field::EngineVersion, Value::Text(wish), Some(Value::Text(have))) => version_order(wish, have),
                (Field::Storage, Value::Number(wish), Some(Value::Number(have))) => wish.cmp(have),
                // Not every answer speaks of it.
                (Field::ExtendedSupport, _, None) => Ordering::Equal,
                (_, wish, have) if have == Some(wish) => Ordering::Equal,
                _ => Ordering::Greater,
            };
            match order {
                Ordering::Greater => change.set(field, wish.clone()),
                // AWS grew it, as it was allowed to.
                Ordering::Less if field == Field::Storage && self.get(Field::MaxStorage).is_some() => {}
                Ordering::Less => {
                    let have = have.get(field).map(ToString::to_string).unwrap_or_default();
                    ahead.push(format!("{field:?} {have} is ahead of spec, which says {wish}"));
                }
                Ordering::Equal => {}
            }
        }
        (change, ahead)
    }
}

impl FromIterator<(Field, Value)> for Settings {
    fn from_iter<I: IntoIterator<Item = (Field, Value)>>(fields: I) -> Self {
        let mut settings = Self::default();
        fields.into_iter().for_each(|(field, value)| settings.set(field, value));
        settings
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.iter().map(|(field, value)| format!("{field:?}={value}")).collect();
        f.write_str(&words.join(" "))
    }
}

/// How a wished version stands to the one there is, as far as the wished one says.
fn version_order(wish: &str, have: &str) -> Ordering {
    let parts = |version: &str| version.split('.').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>();
    match (parts(wish), parts(have)) {
        (Some(wish), Some(mut have)) => {
            have.truncate(wish.len());
            wish.cmp(&have)
        }
        // Preview versions and the like have no order.
        _ if wish == have => Ordering::Equal,
        _ => Ordering::Greater,
    }
}

/// The major version of PostgreSQL.
pub fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}
