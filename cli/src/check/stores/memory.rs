//! The memory that the connections of a database take, against the limit of its servers.

use super::{Place, known};
use crate::check::{Check, Topic, Verdict};
use crds::tiers::database::Database;
use operator::tiers::store::pods::memory_limit;

/// What a connection takes at least, beside the shared buffers. Measured with PostgreSQL 15 and `pgbench`'s statements: 1.4 MiB
/// of its own, and the kernel's tables of its pages; sorts and larger statements take more.
const OF_A_CONNECTION: u64 = 2 << 20;

/// Whether the server outlives that all its connections are open. Unknown, and not asked, without a limit of memory, or with shared
/// buffers of the user's own.
pub(super) fn suffices(database: &Database, place: &Place) -> Option<Check> {
    let spec = database.in_cluster.as_ref()?;
    let limit = memory_limit(&spec.pods)?;
    if spec.parameters.keys().any(|name| name.eq_ignore_ascii_case("shared_buffers")) {
        return None;
    }
    let connections = u64::from(spec.accepted().max_connections);
    let (wanted, there) = (connections * OF_A_CONNECTION, limit - limit / 4);
    let told = format!(
        "max_connections {connections} x 2 MiB = {} MiB, of {} MiB that a limit of {} MiB leaves beside the shared buffers",
        wanted >> 20,
        there >> 20,
        limit >> 20
    );
    let verdict = if wanted <= there {
        Verdict::Good(told)
    } else {
        Verdict::bad(
            format!("{told}: the server is ended when its apps open them all"),
            format!("{}   # raise resources.limits.memory, or lower parameters.max_connections", place.edit()),
        )
    };
    let description = format!("the servers of database {} have the memory for their connections", database.name);
    Some(known(description, Topic::Connections, verdict).warning())
}
