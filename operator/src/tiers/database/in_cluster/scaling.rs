//! What the keeper of a server is told of the scaling of its read replicas, and what is kept and told of its decisions.

use super::{InCluster, Seen, Server};
use crate::{
    keeper::database::{DatabaseView, Scaling},
    tiers::store::{record::Record, told},
};
use crds::tiers::database::Durability;
use decide::{Time, budget::Fit, read_replicas::Policy};
use jiff::Timestamp;

/// Key of the record: read replicas that are wanted by the load on them.
pub const REPLICAS: &str = "REPLICAS";
/// Key of the record: since when.
const SINCE: &str = "REPLICAS_SINCE";
/// Key of the record: why.
const WHY: &str = "REPLICAS_WHY";

/// How the replicas of a server are scaled; None where their number is fixed.
pub fn of(database: &InCluster, server: &Server, seen: &Seen, record: Option<&Record>) -> Option<Scaling> {
    let spec = database.spec.read_replica_scaling.as_ref()?;
    let sync = match database.spec.durability.unwrap_or_default() {
        Durability::Local => 0,
        Durability::RemoteWrite => 1,
        Durability::Required => u32::try_from(database.spec.sync_replicas.unwrap_or(1)).unwrap_or(1),
    };
    let since = record.and_then(|record| record.get(SINCE)?.parse::<Timestamp>().ok());
    Some(Scaling {
        policy: Policy {
            min: database.replicas,
            max: database.addresses,
            per_replica: Some(f64::from(spec.statements_per_replica)),
            sync,
        },
        last_move: since.map(Time::from),
        connections: if seen.fits { Fit::Fits } else { Fit::BudgetExceededByMinimums },
        asked: seen.servers.get(server.shard as usize).and_then(|seen| seen.asked.clone()),
        beside: seen.beside.clone(),
    })
}

/// Keeps the last decision on the number of replicas with the data, so that it outlives the operator.
pub fn keep(database: &InCluster, record: &mut Record, view: Option<&DatabaseView>) {
    if database.spec.read_replica_scaling.is_none() {
        record.retain(|key, _| ![REPLICAS, SINCE, WHY].contains(&key.as_str()));
        return;
    }
    if let Some(scaled) = view.and_then(|view| view.scaled.as_ref()) {
        record.insert(REPLICAS.to_owned(), scaled.replicas.to_string());
        record.insert(SINCE.to_owned(), scaled.at.to_string());
        record.insert(WHY.to_owned(), scaled.why.clone());
    }
}

/// How many replicas the load asks for, since when and why, and what another number waits for; of the first server of which there
/// is anything to tell.
pub fn told(database: &InCluster, seen: &Seen) -> Option<String> {
    database.spec.read_replica_scaling.as_ref()?;
    let one = |(server, seen): (&Server, &super::SeenServer)| {
        let changed = || {
            let record = seen.record.as_ref()?;
            let (since, why) = (record.get(SINCE)?, record.get(WHY)?);
            Some(format!("{} read replicas since {since}: {why}", database.wanted(Some(record))))
        };
        let told = told::scaling(changed(), seen.view.as_ref().and_then(|view| view.waits.clone()))?;
        Some(if database.servers.len() > 1 { format!("shard {}: {told}", server.shard) } else { told })
    };
    database.servers.iter().zip(&seen.servers).find_map(one)
}
