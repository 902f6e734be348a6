//! The Secret with the passwords of a store: made once, kept with the data. How they change: [`super::rotation`].

use super::Identity;
use crate::{kinds::Kind, secrets::Lack, tiers::Children};
use crds::tiers::in_cluster::DeletionPolicy;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::core::DynamicObject;
use serde_json::json;
use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    ops::{Deref, DerefMut},
};

/// Bytes of a password that is made: 192 bits.
const RANDOM_BYTES: usize = 24;

/// What is under the keys of the Secret. Only the keys are printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Passwords(BTreeMap<String, Vec<u8>>);

impl Passwords {
    /// A value; None where it is missing, empty or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        let value = std::str::from_utf8(self.0.get(key)?).ok()?;
        (!value.is_empty()).then_some(value)
    }

    /// Sets a value.
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.as_bytes().to_vec());
    }

    /// Empties a value. The key stays: one that somebody else has written, too, could not be removed.
    pub fn clear(&mut self, key: &str) {
        if let Some(value) = self.0.get_mut(key) {
            value.clear();
        }
    }

    /// Moves a value to another key.
    pub fn shift(&mut self, from: &str, to: &str) {
        let value = self.text(from).unwrap_or_default().to_owned();
        self.set(to, &value);
        self.clear(from);
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Deref for Passwords {
    type Target = BTreeMap<String, Vec<u8>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Passwords {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl FromIterator<(String, Vec<u8>)> for Passwords {
    fn from_iter<T: IntoIterator<Item = (String, Vec<u8>)>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl IntoIterator for Passwords {
    type Item = (String, Vec<u8>);
    type IntoIter = btree_map::IntoIter<String, Vec<u8>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Name of the Secret.
pub fn name(object_name: &str) -> String {
    format!("{object_name}-auth")
}

/// A new password: letters and digits, so that it needs quotes nowhere.
///
/// # Errors
/// When the system has no randomness to give.
pub fn random() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the live Secret of a store holds; None where there is none.
pub fn live(children: &Children, object_name: &str) -> Option<Passwords> {
    let secret: Secret = children.typed(Kind::Secret, &name(object_name))?;
    Some(secret.data.unwrap_or_default().into_iter().map(|(key, ByteString(value))| (key, value)).collect())
}

/// The passwords of a store that has `keys`: those of the live Secret, and new ones from `make` for what it lacks. Without a
/// Secret new ones are made only where there are no data yet: the servers know the old ones.
///
/// # Errors
/// What is lacking, and how to mend it.
pub fn passwords(
    children: &Children,
    object_name: &str,
    keys: &[&str],
    has_data: bool,
    mut make: impl FnMut(&str) -> Option<String>,
) -> Result<Passwords, Lack> {
    let name = name(object_name);
    let live = live(children, object_name);
    if live.is_none() && has_data {
        return Err(Lack::Missing(name));
    }
    let mut found = live.unwrap_or_default();
    for key in keys {
        if found.get(*key).is_none_or(Vec::is_empty) {
            let Some(made) = make(key) else {
                let problem = "cannot be made, because the system has no randomness to give: try again";
                return Err(Lack::Unfit { name, key: (*key).to_owned(), problem });
            };
            found.set(key, &made);
        }
    }
    Ok(found)
}

/// The Secret.
pub fn secret(
    identity: &Identity,
    object_name: &str,
    policy: DeletionPolicy,
    passwords: &Passwords,
) -> Result<DynamicObject, serde_json::Error> {
    let data: BTreeMap<&String, ByteString> =
        passwords.iter().map(|(key, value)| (key, ByteString(value.clone()))).collect();
    Kind::Secret.object(&json!({
        "metadata": { "name": name(object_name), "labels": identity.data_labels(policy) },
        "type": "Opaque",
        "data": data,
    }))
}
