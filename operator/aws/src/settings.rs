//! What can be set on a resource, as plain values: what is wished, what is, what waits and what is changed are of one type.

use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Something that can be set on a resource of a room.
pub trait Setting: Copy + Ord + fmt::Debug {
    /// Whether AWS keeps it in lower case.
    fn is_lower_case(self) -> bool {
        false
    }

    /// How what is wished stands to what there is: `Greater` is to be changed, `Less` cannot be taken back.
    fn order(self, wish: &Value, have: Option<&Value>) -> Ordering {
        if have == Some(wish) { Ordering::Equal } else { Ordering::Greater }
    }

    /// Whether AWS may be ahead of what is wished, by what is wished.
    fn may_be_ahead(self, _wished: &Settings<Self>) -> bool {
        false
    }
}

/// When a change is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// At once.
    Immediate,
    /// In the maintenance window.
    Window,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "F: Serialize", deserialize = "F: Ord + Deserialize<'de>"))]
pub struct Settings<F>(BTreeMap<F, Value>);

impl<F> Default for Settings<F> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<F: Setting> Settings<F> {
    /// Sets a field, in the form in which AWS keeps it.
    pub fn set(&mut self, field: F, value: impl Into<Value>) {
        let value = match value.into() {
            Value::Text(text) if field.is_lower_case() => Value::Text(text.to_lowercase()),
            value => value,
        };
        self.0.insert(field, value);
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: F, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    /// What a field is set to.
    pub fn get(&self, field: F) -> Option<&Value> {
        self.0.get(&field)
    }

    /// What a field that holds a word is set to.
    pub fn text(&self, field: F) -> Option<&str> {
        self.get(field).and_then(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
    }

    /// What a field that holds a number is set to.
    pub fn number(&self, field: F) -> Option<u32> {
        self.get(field).and_then(|value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    /// What a field that holds yes or no is set to.
    pub fn flag(&self, field: F) -> Option<bool> {
        self.get(field).and_then(|value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    /// The fields that are set.
    pub fn iter(&self) -> impl Iterator<Item = (F, &Value)> {
        self.0.iter().map(|(field, value)| (*field, value))
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these fields.
    #[must_use]
    pub fn only(&self, which: impl Fn(F) -> bool) -> Self {
        Self(self.0.iter().filter(|(field, _)| which(**field)).map(|(f, v)| (*f, v.clone())).collect())
    }

    /// These, and over them the others.
    #[must_use]
    pub fn overlaid(&self, others: &Self) -> Self {
        let mut all = self.clone();
        all.0.extend(others.0.clone());
        all
    }

    /// What of these is to be changed where `have` is what there is, and where that is ahead of what is wished and
    /// cannot be taken back: a higher version, more storage.
    pub fn against(&self, have: &Self) -> (Self, Vec<String>) {
        let (mut change, mut ahead) = (Self::default(), Vec::new());
        for (field, wish) in self.iter() {
            match field.order(wish, have.get(field)) {
                Ordering::Greater => change.set(field, wish.clone()),
                Ordering::Less if field.may_be_ahead(self) => {}
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

impl<F: Setting> FromIterator<(F, Value)> for Settings<F> {
    fn from_iter<I: IntoIterator<Item = (F, Value)>>(fields: I) -> Self {
        let mut settings = Self::default();
        fields.into_iter().for_each(|(field, value)| settings.set(field, value));
        settings
    }
}

impl<F: Setting> fmt::Display for Settings<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.iter().map(|(field, value)| format!("{field:?}={value}")).collect();
        f.write_str(&words.join(" "))
    }
}

/// How a wished version stands to the one there is, as far as the wished one says.
pub(crate) fn version_order(wish: &str, have: &str) -> Ordering {
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

/// The major version.
pub fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}
