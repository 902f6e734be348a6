//! Reading Secrets of a resource's own namespace, by name. What they hold is never printed, and no error carries it.

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use std::collections::BTreeMap;

/// What a Secret holds.
pub type SecretContents = BTreeMap<String, Vec<u8>>;

/// Reads Secrets, by name.
pub trait Secrets: Send + Sync {
    /// The contents of a Secret; none where it does not exist.
    ///
    /// # Errors
    /// What kept it from being read.
    fn read<'a>(&'a self, namespace: &'a str, name: &'a str) -> BoxFuture<'a, Result<Option<SecretContents>, String>>;
}

/// Reads them from the API server.
pub struct KubeSecrets(pub Client);

impl Secrets for KubeSecrets {
    fn read<'a>(&'a self, namespace: &'a str, name: &'a str) -> BoxFuture<'a, Result<Option<SecretContents>, String>> {
        async move {
            let api: Api<Secret> = Api::namespaced(self.0.clone(), namespace);
            let secret = api.get_opt(name).await.map_err(|error| match error {
                kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
                other => other.to_string(),
            })?;
            let contents =
                |secret: Secret| secret.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0)).collect();
            Ok(secret.map(contents))
        }
        .boxed()
    }
}

/// Why a value of a Secret is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Lack {
    /// Nobody has made it.
    #[error("the Secret {0} does not exist in this namespace: create it")]
    Missing(String),
    /// It holds other things.
    #[error("the Secret {name} has no key {key}: add it, or correct the name of the key")]
    NoKey {
        /// Of the Secret.
        name: String,
        /// That it lacks.
        key: String,
    },
    /// It holds something under the key that cannot be used.
    #[error("the key {key} of the Secret {name} {problem}")]
    Unfit {
        /// Of the Secret.
        name: String,
        /// The key.
        key: String,
        /// What is wrong with the value, and how to mend it.
        problem: &'static str,
    },
    /// It will be there, or be known, when something else has happened.
    #[error("{0}")]
    NotYet(String),
    /// It may be there.
    #[error("the Secret {name} cannot be read: {error}")]
    Unreadable {
        /// Of the Secret.
        name: String,
        /// In the API server's words.
        error: String,
    },
}

impl Lack {
    /// Whether it says nothing of the Secret: it may be as good as ever.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }
}

/// Reads each Secret of a namespace once.
pub struct Reader<'a> {
    secrets: &'a dyn Secrets,
    namespace: &'a str,
    read: BTreeMap<String, Result<SecretContents, Lack>>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    pub fn new(secrets: &'a dyn Secrets, namespace: &'a str) -> Self {
        Self { secrets, namespace, read: BTreeMap::new() }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn bytes(&mut self, name: &str, key: &str) -> Result<Vec<u8>, Lack> {
        if !self.read.contains_key(name) {
            let contents = match self.secrets.read(self.namespace, name).await {
                Ok(found) => found.ok_or_else(|| Lack::Missing(name.to_owned())),
                Err(error) => Err(Lack::Unreadable { name: name.to_owned(), error }),
            };
            self.read.insert(name.to_owned(), contents);
        }
        let no_key = || Lack::NoKey { name: name.to_owned(), key: key.to_owned() };
        match self.read.get(name) {
            Some(Ok(contents)) => contents.get(key).cloned().ok_or_else(no_key),
            Some(Err(lack)) => Err(lack.clone()),
            None => Err(no_key()),
        }
    }

    /// The value of a key as text, without line ends at its end: editors and `echo` leave one.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn text(&mut self, name: &str, key: &str) -> Result<String, Lack> {
        let text = String::from_utf8(self.bytes(name, key).await?).map_err(|_| Lack::Unfit {
            name: name.to_owned(),
            key: key.to_owned(),
            problem: "is not text: store it as UTF-8",
        })?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}
