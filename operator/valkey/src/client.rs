//! Connections to servers.

use crate::{
    error::{Error, Result},
    model::{Password, Passwords, Pod},
    seen::Seen,
};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, Value,
    aio::MultiplexedConnection,
};
use std::{fmt, net::SocketAddr, time::Duration};
use tls::{Certificate, Connector, Trust};
use tokio::{net::TcpStream, time::timeout};

/// Speaks to the servers of one store.
#[derive(Clone, Debug)]
pub struct Edge {
    pub(crate) passwords: Passwords,
    pub(crate) patience: Duration,
    pub(crate) trust: Option<Trust>,
}

impl Edge {
    /// An edge that logs in with these passwords, and waits for `patience` for each answer.
    pub fn new(passwords: Passwords, patience: Duration) -> Self {
        Self { passwords, patience, trust: None }
    }

    /// The same for servers that speak TLS.
    #[must_use]
    pub fn trusting(self, trust: Option<Trust>) -> Self {
        Self { trust, ..self }
    }

    /// Connects and logs in, with the current password or else the previous one.
    pub(crate) async fn connect(&self, pod: &Pod) -> Result<Link> {
        self.connect_for(pod, self.patience).await
    }

    /// The same, where a single answer may take longer.
    pub(crate) async fn connect_for(&self, pod: &Pod, patience: Duration) -> Result<Link> {
        let unreachable = |problem: String| Error::Unreachable { pod: pod.name.clone(), problem };
        let Some(address) = pod.address else { return Err(unreachable("it has no address yet".to_owned())) };
        let tls = self.trust.as_ref().map(Trust::connector).transpose();
        let tls = tls.map_err(|error| unreachable(error.to_string()))?;
        let mut link = open(&pod.name, address, tls.as_ref(), (self.patience, patience)).await?;
        for password in [Some(&self.passwords.current), self.passwords.previous.as_ref()].into_iter().flatten() {
            if link.log_in(password).await? {
                link.password = password.clone();
                return Ok(link);
            }
        }
        Err(Error::Refused { pod: pod.name.clone() })
    }

    /// Connects to a pod that was seen, by name.
    pub(crate) async fn link(&self, seen: &Seen, pod: &str) -> Result<Link> {
        self.connect(find(seen, pod)?).await
    }
}

/// Connects to a server of this name, and does not log in. It waits so long for the connection, and for each answer.
pub(crate) async fn open(
    name: &str,
    address: SocketAddr,
    tls: Option<&Connector>,
    (to_connect, to_answer): (Duration, Duration),
) -> Result<Link> {
    let unreachable = |problem: String| Error::Unreachable { pod: name.to_owned(), problem };
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(to_connect)).set_response_timeout(Some(to_answer));
    let (connection, certificate_ends) = match tls {
        Some(connector) => {
            let connected = timeout(to_connect, encrypted(address, connector, &settings, config)).await;
            connected.unwrap_or_else(|_| Err("no connection in time".to_owned())).map_err(unreachable)?
        }
        None => {
            let server = ConnectionAddr::Tcp(address.ip().to_string(), address.port());
            let failed = |error: redis::RedisError| unreachable(error.to_string());
            let info = server.into_connection_info().map_err(failed)?.set_redis_settings(settings);
            let client = redis::Client::open(info).map_err(failed)?;
            (client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?, None)
        }
    };
    Ok(Link { pod: name.to_owned(), connection, password: Password::new(""), certificate_ends })
}

/// Connects to a server that speaks TLS. It is reached by its address, which its certificate does not know.
async fn encrypted(
    address: SocketAddr,
    connector: &Connector,
    settings: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> std::result::Result<(MultiplexedConnection, Option<i64>), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    // Commands are small and wait for their answers.
    let _ = stream.set_nodelay(true);
    let stream = connector.connect(stream).await.map_err(|error| error.to_string())?;
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, stream, config).await.map_err(|error| error.to_string())?;
    tokio::spawn(driver);
    Ok((connection, connector.shown().and_then(Certificate::read).map(|shown| shown.not_after)))
}

/// A pod that was seen, by name.
pub(crate) fn find<'a>(seen: &'a Seen, pod: &str) -> Result<&'a Pod> {
    let found = seen.sightings.iter().find(|sighting| sighting.pod.name == pod);
    found.map(|sighting| &sighting.pod).ok_or_else(|| Error::Changed(format!("{pod} does not exist any more")))
}

/// A connection to one server.
#[derive(Clone)]
pub(crate) struct Link {
    pub pod: String,
    pub connection: MultiplexedConnection,
    /// The one that it accepted; empty before it did.
    pub password: Password,
    /// Until when its certificate is valid, in seconds since 1970.
    pub certificate_ends: Option<i64>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("pod", &self.pod).finish_non_exhaustive()
    }
}

impl Link {
    /// Whether the server accepts a password. One without a password accepts any.
    pub async fn log_in(&mut self, password: &Password) -> Result<bool> {
        self.log_in_as(None, password).await
    }

    /// The same for a user with a name.
    pub async fn log_in_as(&mut self, user: Option<&str>, password: &Password) -> Result<bool> {
        let mut auth = redis::cmd("AUTH");
        auth.arg(user).arg(password.reveal());
        match auth.query_async::<Value>(&mut self.connection).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("WRONGPASS") => Ok(false),
            // Redis and Valkey say so where the default user needs none.
            Err(error) if error.to_string().contains("without any password configured") => Ok(true),
            Err(error) if error.kind() == redis::ErrorKind::AuthenticationFailed => Ok(false),
            Err(error) => Err(self.error("AUTH", &error)),
        }
    }

    /// One command.
    pub async fn ask(&mut self, name: &'static str, command: &Cmd) -> Result<Value> {
        command.query_async(&mut self.connection).await.map_err(|error| self.error(name, &error))
    }

    /// One command, whose answer is text.
    pub async fn text(&mut self, name: &'static str, command: &Cmd) -> Result<String> {
        self.ask(name, command).await.map(|value| crate::parse::text(&value))
    }

    /// Many commands in one go; each has its own answer.
    pub async fn ask_all(&mut self, name: &'static str, commands: Vec<Cmd>) -> Result<Vec<Result<Value>>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        let answers: redis::RedisResult<Vec<redis::RedisResult<Value>>> =
            pipeline.query_async(&mut self.connection).await;
        let answers = answers.map_err(|error| self.error(name, &error))?;
        Ok(answers.into_iter().map(|answer| answer.map_err(|error| self.error(name, &error))).collect())
    }

    /// The server's own words; they quote no argument but keys and numbers.
    pub fn error(&self, command: &'static str, error: &redis::RedisError) -> Error {
        let pod = self.pod.clone();
        match error.code() {
            Some("LOADING") => Error::Loading { pod },
            Some("NOAUTH" | "WRONGPASS") => Error::Refused { pod },
            Some(code) => {
                let answer = format!("{code} {}", error.detail().unwrap_or_default());
                Error::Answer { pod, command, answer: answer.trim_end().to_owned() }
            }
            None => Error::Unreachable { pod, problem: error.to_string() },
        }
    }
}

/// A command of several words.
pub(crate) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    command.arg(words);
    command
}
