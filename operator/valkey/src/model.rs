//! What is wished, and what Kubernetes says of the pods.

use std::{fmt, net::SocketAddr, sync::Arc};

/// How a store is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Hash slots over shards; clients know of the cluster.
    Cluster,
    /// One primary that a Service selects; clients know one endpoint.
    Single,
}

/// What a store shall be, and what its record says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How it is laid out.
    pub mode: Mode,
    /// How many shards; 1 where it is single.
    pub shards: u32,
    /// Replicas of each shard.
    pub replicas: u32,
    /// What the servers are to accept.
    pub passwords: Passwords,
    /// The record says that this store was complete before ([`View::formed`](crate::View)): whatever is missing now is lost, not yet to be made.
    pub formed: bool,
    /// Single mode: the pod that leads by the record. Nothing is promoted that the record does not name, so that a server that starts can ask it.
    pub primary: Option<String>,
}

/// A pod of a store, as Kubernetes knows it. A pod that is not listed does not exist: for a store of mode `single` that is proof
/// that no process of it runs, so one that may come back by itself is to be listed for as long as it shall be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name; unique.
    pub name: String,
    /// Its StatefulSet's number.
    pub shard: u32,
    /// Its number in the StatefulSet: says nothing of its role.
    pub ordinal: u32,
    /// Where its server listens, and what it announces; none before it has an address.
    pub address: Option<SocketAddr>,
    /// By its readiness probe, and all containers beside the server run: Services lead to it.
    pub ready: bool,
    /// Its template is not the newest: it wants a restart.
    pub outdated: bool,
    /// It has been told to stop.
    pub terminating: bool,
    /// Proof that no process of it runs, nor will: it was never started on a node, say, or its node is fenced.
    pub gone: bool,
    /// Why its start script refused to start the server, the last time that it ended. It counts while no server answers.
    pub gate: Option<Gate>,
}

/// Why a start script refuses to start a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// The record says that its volume held data, and there is none.
    DataMissing,
}

impl Gate {
    /// From a container's termination message.
    pub fn parse(message: &str) -> Option<Self> {
        message.trim_start().starts_with("DataMissing").then_some(Self::DataMissing)
    }
}

/// What servers accept: two passwords at once while one is being replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passwords {
    /// The one to use.
    pub current: Password,
    /// The one before it, as long as it shall go on being accepted.
    pub previous: Option<Password>,
}

/// A password. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Arc<str>);

impl Password {
    /// Wraps it.
    pub fn new(password: impl AsRef<str>) -> Self {
        Self(password.as_ref().into())
    }

    /// For a command's argument on the wire or a file of mode 0600, never for anything else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let wish = Wish {
            mode: Mode::Single,
            shards: 1,
            replicas: 0,
            passwords: Passwords { current: Password::new("s3cret"), previous: Some(Password::new("0ld")) },
            formed: false,
            primary: None,
        };
        let text = format!("{wish:?}");
        assert!(!text.contains("s3cret") && !text.contains("0ld"), "{text}");
    }

    #[test]
    fn a_gate_is_read_from_the_message() {
        assert_eq!(Gate::parse("DataMissing: /data is empty\n"), Some(Gate::DataMissing));
        assert_eq!(Gate::parse("exit 1"), None);
    }
}
