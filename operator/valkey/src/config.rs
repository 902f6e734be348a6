//! The servers' configuration, and the scripts of their containers.

use crate::model::Mode;
use std::{collections::BTreeMap, fmt::Write, time::Duration};

/// Starts a server, or refuses to where its data are missing. What it wants of its environment stands at its top.
pub const START: &str = include_str!("../scripts/start.sh");

/// Hands over to a replica before a server stops (`preStop`).
pub const STOP: &str = include_str!("../scripts/stop.sh");

/// Says whether a server answers (readiness).
pub const READY: &str = include_str!("../scripts/ready.sh");

/// What all servers of a store have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How the store is laid out.
    pub mode: Mode,
    /// Where servers listen; the bus of a cluster listens 10000 above.
    pub port: u16,
    /// After which silence the nodes of a cluster take one to be down.
    pub node_timeout: Duration,
    /// Every write goes to a file.
    pub append_only: bool,
    /// Bytes of data; 0 is without bound.
    pub max_memory: u64,
    /// What is done when that is reached.
    pub policy: String,
    /// A primary takes writes only while so many replicas are in step.
    pub min_replicas_to_write: u32,
    /// Directory with `tls.crt`, `tls.key` and `ca.crt`, where the servers speak TLS: then with everybody.
    pub tls: Option<String>,
    /// The user's own, by name.
    pub parameters: BTreeMap<String, String>,
}

/// Why a user's parameter is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is not the user's to set.
    #[error("{name} cannot be set: {why}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// It would be more than a line of the configuration.
    #[error("{name} has a name or a value that is not one line")]
    NotALine {
        /// Its name.
        name: String,
    },
}

/// Why a user may not set a parameter; none where they may.
pub fn refused(name: &str) -> Option<&'static str> {
    const OPERATED: &str = "the operator sets it";
    const FIELD: &str = "the resource has a field for it";
    const ACCESS: &str = "passwords and users come from a Secret";
    const SAFETY: &str = "it would break what is promised for the data";
    const HARM: &str = "it gives commands that reach beyond the store";
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "appendonly" | "maxmemory" | "maxmemory-policy" | "cluster-node-timeout" => FIELD,
        "min-replicas-to-write" | "min-slaves-to-write" => FIELD,
        "requirepass" | "masterauth" | "primaryauth" | "masteruser" | "primaryuser" | "user" | "aclfile" => ACCESS,
        "replica-read-only" | "slave-read-only" | "replicaof" | "slaveof" | "rename-command" | "databases" => SAFETY,
        "loadmodule" | "include" | "enable-debug-command" | "enable-module-command" | "enable-protected-configs" => {
            HARM
        }
        "dir" | "dbfilename" | "appendfilename" | "appenddirname" | "port" | "bind" | "bind-source-addr" => OPERATED,
        "daemonize" | "supervised" | "pidfile" | "logfile" | "protected-mode" | "unixsocket" | "unixsocketperm" => {
            OPERATED
        }
        "shutdown-on-sigterm" | "always-show-logo" | "set-proc-title" | "proc-title-template" => OPERATED,
        "cluster-require-full-coverage" | "cluster-allow-reads-when-down" | "cluster-replica-validity-factor" => {
            return None;
        }
        name if name.starts_with("cluster-") || name.starts_with("tls-") => OPERATED,
        name if name.starts_with("replica-announce") || name.starts_with("slave-announce") => OPERATED,
        _ => return None,
    })
}

/// The files of certificates, by the names of their settings. The readiness probe has them read anew.
const FILES: [(&str, &str); 3] =
    [("tls-cert-file", "tls.crt"), ("tls-key-file", "tls.key"), ("tls-ca-cert-file", "ca.crt")];

/// The configuration that all servers of a store share. What differs from pod to pod, and the passwords, the start script adds.
///
/// # Errors
/// A parameter that the user may not set.
pub fn config(settings: &Settings) -> Result<String, ParameterError> {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name} {value}");
    };
    let port = settings.port.to_string();
    match &settings.tls {
        None => line("port", &port),
        Some(directory) => {
            line("port", "0");
            line("tls-port", &port);
            for (name, file) in FILES {
                line(name, &format!("{directory}/{file}"));
            }
            // Passwords say who a client is.
            line("tls-auth-clients", "no");
            line("tls-replication", "yes");
            if settings.mode == Mode::Cluster {
                line("tls-cluster", "yes");
                // Clients verify names: of addresses a certificate knows nothing.
                line("cluster-preferred-endpoint-type", "hostname");
            }
        }
    }
    // Passwords protect it; by this one it would refuse other pods where none is set.
    line("protected-mode", "no");
    line("appendonly", if settings.append_only { "yes" } else { "no" });
    // The append-only file has all that a snapshot would have; without it these are the servers' own defaults.
    line("save", if settings.append_only { "\"\"" } else { "3600 1 300 100 60 10000" });
    line("maxmemory", &settings.max_memory.to_string());
    line("maxmemory-policy", &settings.policy);
    line("min-replicas-to-write", &settings.min_replicas_to_write.to_string());
    // Replicas start one by one and need not wait for each other.
    line("repl-diskless-sync-delay", "0");
    // So that a replica that was away for a restart need not fetch everything.
    line("repl-backlog-size", &backlog(settings.max_memory).to_string());
    if settings.mode == Mode::Cluster {
        line("cluster-enabled", "yes");
        line("cluster-config-file", "nodes.conf");
        line("cluster-node-timeout", &settings.node_timeout.as_millis().to_string());
        // A primary that is emptied must stay one, and replicas stay with their shard.
        line("cluster-allow-replica-migration", "no");
        line("cluster-require-full-coverage", "yes");
    }
    for (name, value) in &settings.parameters {
        if let Some(why) = refused(name) {
            return Err(ParameterError::Refused { name: name.clone(), why });
        }
        let word = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !word || value.contains(['\n', '\r', '\0']) {
            return Err(ParameterError::NotALine { name: name.escape_debug().to_string() });
        }
        line(name, value);
    }
    Ok(text)
}

/// Bytes of writes that are kept for replicas that come back (P). The servers count them as used, so they are a small part of a
/// small memory.
fn backlog(max_memory: u64) -> u64 {
    const MOST: u64 = 32 << 20;
    if max_memory == 0 { MOST } else { (max_memory / 16).clamp(1 << 20, MOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(parameters: &[(&str, &str)]) -> Settings {
        Settings {
            mode: Mode::Cluster,
            port: 6379,
            node_timeout: Duration::from_secs(15),
            append_only: true,
            max_memory: 1 << 30,
            policy: "noeviction".to_owned(),
            min_replicas_to_write: 0,
            tls: None,
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn the_promises_stand_in_the_configuration() {
        let text = config(&settings(&[("appendfsync", "always")])).unwrap();
        for line in [
            "appendonly yes",
            "cluster-enabled yes",
            "cluster-node-timeout 15000",
            "cluster-allow-replica-migration no",
            "cluster-require-full-coverage yes",
            "maxmemory 1073741824",
            "appendfsync always",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn what_is_kept_for_replicas_is_a_small_part_of_the_memory() {
        for (max, expected) in [(0, 32 << 20), (1 << 20, 1 << 20), (160 << 20, 10 << 20), (8 << 30, 32 << 20)] {
            assert_eq!(backlog(max), expected, "{max}");
        }
    }

    #[test]
    fn without_an_append_only_file_there_are_snapshots() {
        let saves = |append_only| config(&Settings { append_only, ..settings(&[]) }).unwrap();
        assert!(saves(true).contains("\nsave \"\"\n"));
        assert!(saves(false).contains("\nappendonly no\nsave 3600 1 300 100 60 10000\n"));
    }

    #[test]
    fn with_certificates_there_is_no_way_without() {
        let encrypted = |mode| config(&Settings { mode, tls: Some("/tls".to_owned()), ..settings(&[]) }).unwrap();
        let (cluster, single) = (encrypted(Mode::Cluster), encrypted(Mode::Single));
        for line in ["port 0", "tls-port 6379", "tls-key-file /tls/tls.key", "tls-replication yes"] {
            assert!([&cluster, &single].iter().all(|text| text.lines().any(|found| found == line)), "no {line}");
        }
        for line in ["tls-cluster yes", "cluster-preferred-endpoint-type hostname"] {
            assert!(cluster.lines().any(|found| found == line) && !single.contains(line), "{line}");
        }
        let plain = config(&settings(&[])).unwrap();
        assert!(plain.lines().any(|found| found == "port 6379") && !plain.contains("tls"), "{plain}");
        for (name, _) in FILES {
            assert!(READY.contains(name), "{name} is not read anew");
        }
    }

    #[test]
    fn a_user_cannot_break_the_promises() {
        for name in
            ["appendonly", "RequirePass", "cluster-enabled", "dir", "include", "tls-port", "replicaof", "masterauth"]
        {
            let refused = config(&settings(&[(name, "x")]));
            assert!(matches!(refused, Err(ParameterError::Refused { .. })), "{name}: {refused:?}");
        }
        for (name, value) in [("timeout", "0\nrequirepass x"), ("a b", "c"), ("", "x")] {
            assert!(matches!(config(&settings(&[(name, value)])), Err(ParameterError::NotALine { .. })), "{name}");
        }
        assert_eq!(refused("cluster-require-full-coverage"), None);
    }
}
