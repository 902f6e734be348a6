//! One server with one set of credentials, as resources name it: the identity by which queries are shared, and a client
//! whose credentials follow their Secrets or files.

use super::{
    api::{PromApi, QueryError, Vector},
    client::{Client, Credentials},
};
use crate::{
    secrets::{Lack, Reader, Secrets},
    tiers::aws::account,
};
use aws_edge::{Accounts, Signer};
use crds::{
    SecretKey,
    prometheus::{Auth, Server, SigV4, Tls},
};
use decide::{SourceErrorKind, Time};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// How often credentials are read again (P); at once when the server refuses them.
pub const CREDENTIALS_EVERY: Duration = Duration::from_secs(10);

/// How a managed Prometheus is called in signatures.
const MANAGED: &str = "aps";

/// How long a server that does not tell its start is not asked again (P).
const NO_START_FOR: Duration = Duration::from_secs(300);

/// Identity of a server with credentials: who shares it may share queries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// Address, without a slash at its end.
    pub url: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Whose credentials.
    pub credentials: CredentialsKey,
}

/// Whose credentials are used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialsKey {
    /// None.
    Anonymous,
    /// Those of the operator's default server: files of a directory, where set.
    Operator(Option<PathBuf>),
    /// The operator's own identity at AWS, for its default server in this region.
    OperatorAtAws(String),
    /// What a resource names: Secrets of a namespace, and a role.
    Secrets(Box<SecretsKey>),
}

/// A role at AWS that signs requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleKey {
    /// Region of the workspace.
    pub region: String,
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
    /// Name of the session.
    pub session: String,
}

/// Which Secrets hold the credentials, and which role signs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretsKey {
    /// The namespace of the resource.
    pub namespace: String,
    /// A bearer token.
    pub token: Option<KeyOfSecret>,
    /// User name and password.
    pub basic: Option<(KeyOfSecret, KeyOfSecret)>,
    /// A certificate authority.
    pub ca: Option<KeyOfSecret>,
    /// Name of the Secret of a client certificate.
    pub identity: Option<String>,
    /// A role at AWS.
    pub role: Option<RoleKey>,
}

/// Name of a Secret, and key in it.
pub type KeyOfSecret = (String, String);

impl CredentialsKey {
    /// The credentials that a server's spec names.
    pub fn of(namespace: &str, server: &Server) -> Self {
        let pair = |key: &SecretKey| (key.name.clone(), key.key.clone());
        let (auth, tls) = (server.auth.clone().unwrap_or_default(), server.tls.clone().unwrap_or_default());
        let Auth { bearer_token, basic, sig_v4 } = auth;
        let Tls { ca, client_certificate } = tls;
        let key = SecretsKey {
            namespace: namespace.to_owned(),
            token: bearer_token.as_ref().map(pair),
            basic: basic.as_ref().map(|basic| (pair(&basic.username), pair(&basic.password))),
            ca: ca.as_ref().map(pair),
            identity: client_certificate,
            role: sig_v4.map(|SigV4 { region, role_arn, external_id }| RoleKey {
                region,
                arn: role_arn,
                external_id,
                session: account::session(&[namespace]),
            }),
        };
        let anonymous = SecretsKey { namespace: namespace.to_owned(), ..SecretsKey::default() };
        if key == anonymous { Self::Anonymous } else { Self::Secrets(Box::new(key)) }
    }
}

/// A server. Its client is made anew when its credentials change.
pub struct Source {
    key: SourceKey,
    secrets: Arc<dyn Secrets>,
    aws: Arc<Accounts>,
    signer: OnceCell<Option<Arc<Signer>>>,
    timeout: Duration,
    current: tokio::sync::Mutex<Option<Current>>,
    no_start_until: Mutex<Option<Instant>>,
}

struct Current {
    read: Instant,
    credentials: Credentials,
    client: Client,
}

impl Source {
    /// A server that gets at most `timeout` for an answer. Nothing is read or connected to yet.
    pub fn new(key: SourceKey, secrets: Arc<dyn Secrets>, aws: Arc<Accounts>, timeout: Duration) -> Self {
        Self {
            key,
            secrets,
            aws,
            signer: OnceCell::new(),
            timeout,
            current: tokio::sync::Mutex::default(),
            no_start_until: Mutex::default(),
        }
    }

    /// Who signs requests, where somebody has to.
    async fn signer(&self) -> Result<Option<Arc<Signer>>, QueryError> {
        let made = self.signer.get_or_try_init(async || {
            let settings = match &self.key.credentials {
                CredentialsKey::OperatorAtAws(region) => aws_edge::Settings::new(region),
                CredentialsKey::Secrets(key) => match &key.role {
                    None => return Ok(None),
                    Some(RoleKey { region, arn, external_id, session }) => aws_edge::Settings {
                        role: Some(aws_edge::Role {
                            arn: arn.clone(),
                            external_id: external_id.clone(),
                            session: session.clone(),
                        }),
                        ..aws_edge::Settings::new(region)
                    },
                },
                CredentialsKey::Anonymous | CredentialsKey::Operator(_) => return Ok(None),
            };
            let signer = self.aws.signer(&settings, MANAGED).await;
            let signer = signer.map_err(|error| QueryError::new(SourceErrorKind::Setup, error.to_string()))?;
            Ok(Some(Arc::new(signer)))
        });
        made.await.cloned()
    }

    /// The client, with credentials no older than `age`.
    async fn client(&self, age: Duration) -> Result<Client, QueryError> {
        let mut current = self.current.lock().await;
        if let Some(current) = &*current
            && current.read.elapsed() <= age
        {
            return Ok(current.client.clone());
        }
        let read = tokio::time::timeout(self.timeout, self.credentials()).await;
        let late = || QueryError::new(SourceErrorKind::Connect, "the credentials could not be read in time");
        let credentials = match (read.unwrap_or_else(|_| Err(late())), &mut *current) {
            (Ok(credentials), _) => credentials,
            // What cannot be read just now has not changed, as far as anybody knows.
            (Err(error), Some(current)) if error.error.kind == SourceErrorKind::Connect => {
                return Ok(current.client.clone());
            }
            (Err(error), _) => return Err(error),
        };
        if let Some(current) = &mut *current
            && current.credentials == credentials
        {
            current.read = Instant::now();
            return Ok(current.client.clone());
        }
        let client = Client::new(&self.key.url, &self.key.headers, &credentials, self.timeout)?;
        let client = client.signed_by(self.signer().await?);
        *current = Some(Current { read: Instant::now(), credentials, client: client.clone() });
        Ok(client)
    }

    async fn credentials(&self) -> Result<Credentials, QueryError> {
        match &self.key.credentials {
            CredentialsKey::Anonymous | CredentialsKey::Operator(None) | CredentialsKey::OperatorAtAws(_) => {
                Ok(Credentials::default())
            }
            CredentialsKey::Operator(Some(directory)) => from_files(directory).await,
            CredentialsKey::Secrets(key) => {
                let SecretsKey { namespace, token, basic, ca, identity, role: _ } = key.as_ref();
                let mut reader = Reader::new(self.secrets.as_ref(), namespace);
                let mut credentials = Credentials::default();
                if let Some(key) = token {
                    credentials.token = Some(reader.text(&key.0, &key.1).await?);
                }
                if let Some((user, password)) = basic {
                    credentials.basic =
                        Some((reader.text(&user.0, &user.1).await?, reader.text(&password.0, &password.1).await?));
                }
                if let Some(key) = ca {
                    credentials.ca = Some(reader.bytes(&key.0, &key.1).await?);
                }
                if let Some(name) = identity {
                    credentials.identity =
                        Some((reader.bytes(name, "tls.crt").await?, reader.bytes(name, "tls.key").await?));
                }
                Ok(credentials)
            }
        }
    }

    async fn ask(&self, expression: &str, at: Time) -> Result<Vector, QueryError> {
        let answer = self.client(CREDENTIALS_EVERY).await?.query(expression, at).await;
        match answer {
            // Rotated meanwhile, perhaps; one attempt a second is enough to find out.
            Err(error) if error.unauthorized => self.client(Duration::from_secs(1)).await?.query(expression, at).await,
            other => other,
        }
    }
}

impl PromApi for Source {
    fn query<'a>(&'a self, expression: &'a str, at: Time) -> BoxFuture<'a, Result<Vector, QueryError>> {
        Box::pin(self.ask(expression, at))
    }

    fn started(&self) -> BoxFuture<'_, Option<Time>> {
        Box::pin(async {
            if self.no_start_until.lock().is_some_and(|until| Instant::now() < until) {
                return None;
            }
            let client = self.client(CREDENTIALS_EVERY).await.ok()?;
            match client.started().await {
                Ok(Some(started)) => Some(started),
                Ok(None) => {
                    *self.no_start_until.lock() = Some(Instant::now() + NO_START_FOR);
                    None
                }
                Err(_) => None,
            }
        })
    }
}

impl From<Lack> for QueryError {
    fn from(lack: Lack) -> Self {
        let kind = if lack.is_passing() { SourceErrorKind::Connect } else { SourceErrorKind::Setup };
        Self::new(kind, lack.to_string())
    }
}

/// The operator's own credentials: files `token`, `username`, `password`, `ca.crt`, `tls.crt`, `tls.key`, all optional.
async fn from_files(directory: &std::path::Path) -> Result<Credentials, QueryError> {
    let read = async |name: &'static str| match tokio::fs::read(directory.join(name)).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("--default-prometheus-auth-dir: the file {name} cannot be read: {error}");
            Err(QueryError::new(SourceErrorKind::Setup, message))
        }
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
    Ok(Credentials {
        token: read("token").await?.map(text),
        basic: read("username").await?.map(text).zip(read("password").await?.map(text)),
        ca: read("ca.crt").await?,
        identity: read("tls.crt").await?.zip(read("tls.key").await?),
    })
}
