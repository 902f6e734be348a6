//! What the keeper of a cache is told of its scaling, and what is kept and told of its decisions.

use super::{InCluster, Seen, count};
use crate::{
    keeper::{
        beside::Beside,
        cache::{CacheView, Scaling},
    },
    tiers::store::{record::Record, told},
    validate::ValidPlatform,
};
use decide::{Time, cache_size::Policy};
use jiff::Timestamp;

/// Key of the record: shards that are wanted by memory and load.
const SHARDS: &str = "SHARDS";
/// Key of the record: replicas of each that are wanted.
const REPLICAS: &str = "REPLICAS";
/// Key of the record: since when.
const SINCE: &str = "SCALED_SINCE";
/// Key of the record: why.
const WHY: &str = "SCALED_WHY";
/// What a server is planned to use of the core on which its commands run, in percent, where the spec names nothing (P): what is
/// left takes the load of a primary that fails.
const CPU_PERCENT: i32 = 60;

impl InCluster {
    /// With the shards and replicas that are wanted, by what is recorded.
    pub fn scaled(&self, record: Option<&Record>) -> Self {
        let mut scaled = self.clone();
        let Some(policy) = policy(self) else { return scaled };
        let recorded = |key: &str| record.and_then(|record| record.get(key)?.parse::<u32>().ok());
        scaled.shards = recorded(SHARDS).unwrap_or(self.shards).clamp(policy.shards.0, policy.shards.1);
        scaled.replicas = recorded(REPLICAS).unwrap_or(self.replicas).clamp(policy.replicas.0, policy.replicas.1);
        scaled
    }
}

/// The bounds, of a cache as written; None where its size is fixed.
fn policy(cache: &InCluster) -> Option<Policy> {
    let spec = cache.spec.scaling.as_ref()?;
    let written = |number: Option<i32>, least: u32| number.map_or(least, |most| count(Some(most), least).max(least));
    let (shards, replicas) = (cache.written_shards(), count(cache.spec.replicas_per_shard, 1));
    Some(Policy {
        shards: (shards, written(spec.max_shards, shards)),
        replicas: (replicas, written(spec.max_replicas_per_shard, replicas)),
        per_node: Some(f64::from(spec.cpu_percent.unwrap_or(CPU_PERCENT)) / 100.0),
    })
}

/// How a cache is scaled; None where its size is fixed.
pub fn of(lp: &ValidPlatform, cache: &InCluster, seen: &Seen) -> Option<Scaling> {
    let since = seen.record.as_ref().and_then(|record| record.get(SINCE)?.parse::<Timestamp>().ok());
    Some(Scaling {
        policy: policy(cache)?,
        last_move: since.map(Time::from),
        asked: seen.asked.clone(),
        beside: Beside::of(lp, &cache.name),
    })
}

/// Keeps the last decision on the size with the data, so that it outlives the operator.
pub fn keep(cache: &InCluster, record: &mut Record, view: Option<&CacheView>) {
    if cache.spec.scaling.is_none() {
        record.retain(|key, _| ![SHARDS, REPLICAS, SINCE, WHY].contains(&key.as_str()));
        return;
    }
    if let Some(scaled) = view.and_then(|view| view.scaled.as_ref()) {
        record.insert(SHARDS.to_owned(), scaled.shards.to_string());
        record.insert(REPLICAS.to_owned(), scaled.replicas.to_string());
        record.insert(SINCE.to_owned(), scaled.at.to_string());
        record.insert(WHY.to_owned(), scaled.why.clone());
    }
}

/// How many shards and replicas are wanted by memory and load, since when and why, and what another size waits for; None before
/// there is anything of it.
pub fn told(cache: &InCluster, seen: &Seen) -> Option<String> {
    cache.spec.scaling.as_ref()?;
    let changed = || {
        let record = seen.record.as_ref()?;
        let (since, why) = (record.get(SINCE)?, record.get(WHY)?);
        Some(format!("{} shards with {} replicas each since {since}: {why}", cache.shards, cache.replicas))
    };
    told::scaling(changed(), seen.view.as_ref().and_then(|view| view.waits.clone()))
}
