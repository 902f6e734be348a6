//! Connections to a PostgreSQL server that apps do not have, and pods that have them beside the app's own. Admission, the
//! operator and `lpctl check` take them from here, so that all three come to the same sum.

use super::{app::App, cloud_native_pg::CloudNativePgDatabase, database::InClusterDatabase, rds::RdsDatabase};
use std::{collections::BTreeMap, fmt};

/// PostgreSQL's `max_connections` where nobody sets it.
pub const MAX_CONNECTIONS: u32 = 100;
/// PostgreSQL's `superuser_reserved_connections` where nobody sets it.
const SUPERUSERS: u32 = 3;
/// Connections of the operator to one server at the same time: its own, a write that it tries, and a login that it tries.
const OPERATOR: u32 = 3;
/// Connections kept for monitoring (P): those of the exporter, or of another one.
const MONITORING: u32 = 1;
/// Connections kept for a session by hand (P): `lpctl psql`, or a migration that is no job of an app.
const SESSIONS: u32 = 1;
/// Numbered addresses of replicas where the spec says nothing (P).
const ADDRESSES: u32 = 3;

/// The connections that a server accepts, and those of them that are not the apps'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// All that it accepts.
    pub max_connections: u32,
    /// Those that it accepts from superusers and their like alone.
    pub reserved: u32,
    /// Of replicas: one that starts asks its primary whom it follows.
    pub replicas: u32,
    /// Of the operator.
    pub operator: u32,
    /// Of whoever monitors it.
    pub monitoring: u32,
    /// By hand.
    pub sessions: u32,
}

impl Accepted {
    fn of(parameters: &BTreeMap<String, String>, replicas: u32, operator: u32) -> Self {
        let parameter = |wanted: &str, default: u32| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(default)
        };
        Self {
            max_connections: parameter("max_connections", MAX_CONNECTIONS),
            reserved: parameter("superuser_reserved_connections", SUPERUSERS)
                .saturating_add(parameter("reserved_connections", 0)),
            replicas,
            operator,
            monitoring: MONITORING,
            sessions: SESSIONS,
        }
    }

    /// Those that others than apps may have, beside the reserved ones.
    pub fn kept(&self) -> u32 {
        self.replicas + self.operator + self.monitoring + self.sessions
    }

    /// Those that apps may have.
    pub fn of_apps(&self) -> u32 {
        self.max_connections.saturating_sub(self.reserved).saturating_sub(self.kept())
    }
}

impl fmt::Display for Accepted {
    /// The sum, spelt out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max_connections {}", self.max_connections)?;
        let parts = [
            (self.reserved, "reserved"),
            (self.replicas, "for replicas"),
            (self.operator, "for the operator"),
            (self.monitoring, "for monitoring"),
            (self.sessions, "for a session by hand"),
        ];
        for (connections, whose) in parts.into_iter().filter(|(connections, _)| *connections > 0) {
            write!(f, " - {connections} {whose}")?;
        }
        write!(f, " = {}", self.of_apps())
    }
}

impl App {
    /// Pods that may run beside the app's own with its connections: one of each of its jobs.
    pub fn job_pods(&self) -> u32 {
        u32::try_from(self.jobs.len()).unwrap_or(u32::MAX)
    }
}

impl CloudNativePgDatabase {
    /// What one of its servers accepts: CloudNativePG looks after them by superusers' connections.
    pub fn accepted(&self) -> Accepted {
        Accepted::of(&self.parameters, 0, 0)
    }
}

impl RdsDatabase {
    /// Connections of those that one of its servers accepts from clients that are not the apps'. How many it accepts the server says:
    /// AWS computes it from the class.
    pub fn kept(&self) -> u32 {
        OPERATOR + MONITORING + SESSIONS
    }
}

impl InClusterDatabase {
    /// What one of its servers accepts.
    pub fn accepted(&self) -> Accepted {
        Accepted::of(&self.parameters, self.most_replicas(), OPERATOR)
    }

    /// Numbered addresses of replicas of each primary.
    pub fn addresses(&self) -> u32 {
        self.max_read_replicas.map_or(ADDRESSES, count).max(self.replicas())
    }

    /// Read replicas of each primary, as written.
    pub fn replicas(&self) -> u32 {
        self.read_replicas.map_or(0, count)
    }

    /// The most read replicas of each primary that there may be.
    pub fn most_replicas(&self) -> u32 {
        if self.read_replica_scaling.is_some() { self.addresses() } else { self.replicas() }
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

/// CEL: the pods that [`App::job_pods`] counts, of the app `a`.
pub(crate) const JOB_PODS: &str = "(has(a.jobs) ? a.jobs.size() : 0)";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_apps_may_have_is_spelt_out() {
        let parameters =
            json!({"Max_Connections": " 200 ", "superuser_reserved_connections": "5", "reserved_connections": "4"});
        let scaled =
            json!({"readReplicas": 1, "maxReadReplicas": 4, "readReplicaScaling": {"statementsPerReplica": 8}});
        let plain =
            "max_connections 100 - 3 reserved - 3 for the operator - 1 for monitoring - 1 for a session by hand = 92";
        let table: [(Value, &str); 4] = [
            (json!({}), plain),
            (json!({"maxReadReplicas": 4, "exporter": {}}), plain),
            (
                scaled,
                "max_connections 100 - 3 reserved - 4 for replicas - 3 for the operator - 1 for monitoring - 1 for a session by hand = 88",
            ),
            (
                json!({"readReplicas": 2, "parameters": parameters}),
                "max_connections 200 - 9 reserved - 2 for replicas - 3 for the operator - 1 for monitoring - 1 for a session by hand = 184",
            ),
        ];
        for (mut spec, expected) in table {
            spec["volume"] = json!({"storage": "1Gi"});
            let database: InClusterDatabase = serde_json::from_value(spec).expect("a database");
            assert_eq!(database.accepted().to_string(), expected);
        }
        let delegated: CloudNativePgDatabase =
            serde_json::from_value(json!({"volume": {"storage": "1Gi"}, "readReplicas": 2})).expect("a database");
        let sum = "max_connections 100 - 3 reserved - 1 for monitoring - 1 for a session by hand = 95";
        assert_eq!(delegated.accepted().to_string(), sum);
        let few = Accepted { max_connections: 4, ..delegated.accepted() };
        assert_eq!(few.of_apps(), 0);
    }
}
