//! What the keeper of a server is told of the scaling of its read replicas, and what is kept and told of its decisions.

use super::{InCluster, Seen, Server};
use crate::{
    keeper::{database::DatabaseView, read_replicas::Scaling},
    tiers::{database::scaling, store::record::Record},
};
use crds::tiers::database::Durability;
use decide::{budget::Fit, read_replicas::Policy};

/// How the replicas of a server are scaled; None where their number is fixed.
pub fn of(database: &InCluster, server: &Server, seen: &Seen, record: Option<&Record>) -> Option<Scaling> {
    let spec = database.spec.read_replica_scaling.as_ref()?;
    let sync = match database.spec.durability.unwrap_or_default() {
        Durability::Local => 0,
        Durability::RemoteWrite => 1,
        Durability::Required => u32::try_from(database.spec.sync_replicas.unwrap_or(1)).unwrap_or(1),
    };
    Some(Scaling {
        policy: Policy {
            min: database.replicas,
            max: database.addresses,
            per_replica: Some(f64::from(spec.statements_per_replica)),
            sync,
        },
        last_move: scaling::last_move(record),
        connections: if seen.fits { Fit::Fits } else { Fit::BudgetExceededByMinimums },
        asked: seen.servers.get(server.shard as usize).and_then(|seen| seen.asked.clone()),
        beside: seen.beside.clone(),
    })
}

/// Keeps the last decision on the number of replicas with the data.
pub fn keep(database: &InCluster, record: &mut Record, view: Option<&DatabaseView>) {
    let scaled = view.and_then(|view| view.scaled.as_ref());
    scaling::keep(record, database.spec.read_replica_scaling.is_some(), scaled);
}

/// What is told of the first server of which there is anything to tell.
pub fn told(database: &InCluster, seen: &Seen) -> Option<String> {
    database.spec.read_replica_scaling.as_ref()?;
    let one = |(server, seen): (&Server, &super::SeenServer)| {
        let (record, waits) = (seen.record.as_ref(), seen.view.as_ref().and_then(|view| view.waits.clone()));
        let told = scaling::told(record, database.wanted(record), waits)?;
        Some(if database.servers.len() > 1 { format!("shard {}: {told}", server.shard) } else { told })
    };
    database.servers.iter().zip(&seen.servers).find_map(one)
}
