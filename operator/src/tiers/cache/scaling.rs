//! What the keepers of caches are told of their scaling, and what is kept and told of its decisions: the same wherever a cache runs.

use crate::{
    keeper::{
        beside::Beside,
        cache::{Scaled, Scaling},
    },
    tiers::store::{record::Record, told},
    validate::ValidPlatform,
};
use crds::tiers::cache::CacheScaling;
use decide::{Time, cache_size::Policy, tier_size::Asked};
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

/// The size of a cache as written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Name of the item.
    pub name: &'a str,
    /// Shards.
    pub shards: u32,
    /// Replicas of each.
    pub replicas: u32,
    /// How far it may grow; None where its size is fixed.
    pub scaling: Option<&'a CacheScaling>,
}

impl Written<'_> {
    /// The bounds; None where its size is fixed.
    fn policy(&self) -> Option<Policy> {
        let spec = self.scaling?;
        let most = |number: Option<i32>, least: u32| super::count(number, least).max(least);
        Some(Policy {
            shards: (self.shards, most(spec.max_shards, self.shards)),
            replicas: (self.replicas, most(spec.max_replicas_per_shard, self.replicas)),
            per_node: Some(f64::from(spec.cpu_percent.unwrap_or(CPU_PERCENT)) / 100.0),
        })
    }

    /// The shards and replicas that are wanted, by what is recorded.
    pub fn scaled(&self, record: Option<&Record>) -> (u32, u32) {
        let Some(policy) = self.policy() else { return (self.shards, self.replicas) };
        let recorded = |key: &str| record.and_then(|record| record.get(key)?.parse::<u32>().ok());
        let shards = recorded(SHARDS).unwrap_or(self.shards).clamp(policy.shards.0, policy.shards.1);
        let replicas = recorded(REPLICAS).unwrap_or(self.replicas).clamp(policy.replicas.0, policy.replicas.1);
        (shards, replicas)
    }

    /// How it is scaled; None where its size is fixed.
    pub fn scaling(&self, lp: &ValidPlatform, record: Option<&Record>, asked: Option<&Asked>) -> Option<Scaling> {
        let since = record.and_then(|record| record.get(SINCE)?.parse::<Timestamp>().ok());
        Some(Scaling {
            policy: self.policy()?,
            last_move: since.map(Time::from),
            asked: asked.cloned(),
            beside: Beside::of(lp, self.name),
        })
    }

    /// Keeps the last decision on the size with the data, so that it outlives the operator.
    pub fn keep(&self, record: &mut Record, scaled: Option<&Scaled>) {
        if self.scaling.is_none() {
            record.retain(|key, _| ![SHARDS, REPLICAS, SINCE, WHY].contains(&key.as_str()));
            return;
        }
        if let Some(scaled) = scaled {
            record.insert(SHARDS.to_owned(), scaled.shards.to_string());
            record.insert(REPLICAS.to_owned(), scaled.replicas.to_string());
            record.insert(SINCE.to_owned(), scaled.at.to_string());
            record.insert(WHY.to_owned(), scaled.why.clone());
        }
    }

    /// How many shards and replicas are wanted by memory and load, since when and why, and what another size waits for; None before
    /// there is anything of it.
    pub fn told(&self, record: Option<&Record>, waits: Option<String>) -> Option<String> {
        self.scaling?;
        let changed = record.and_then(|record| {
            let (since, why) = (record.get(SINCE)?, record.get(WHY)?);
            let (shards, replicas) = self.scaled(Some(record));
            Some(format!("{shards} shards with {replicas} replicas each since {since}: {why}"))
        });
        told::scaling(changed, waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_size_counts_within_the_bounds_and_goes_with_the_scaling() {
        let scaling = |shards, replicas| CacheScaling {
            max_shards: shards,
            max_replicas_per_shard: replicas,
            ..CacheScaling::default()
        };
        let scaled = Scaled { shards: 4, replicas: 2, at: Time::from_secs(1_800_000_000), why: "full".to_owned() };
        let table = [
            (None, (3, 1)),
            (Some(scaling(Some(6), Some(2))), (4, 2)),
            (Some(scaling(Some(6), None)), (4, 1)),
            (Some(scaling(None, Some(3))), (3, 2)),
            (Some(scaling(Some(2), None)), (3, 1)),
        ];
        for (scaling, expected) in table {
            let written = Written { name: "cache", shards: 3, replicas: 1, scaling: scaling.as_ref() };
            let mut record = Record::from([("OTHER".to_owned(), "1".to_owned())]);
            written.keep(&mut record, Some(&scaled));
            assert_eq!(written.scaled(Some(&record)), expected, "{scaling:?}");
            assert_eq!(written.scaled(None), (3, 1));
            let told = written.told(Some(&record), Some("waits".to_owned()));
            let (shards, replicas) = expected;
            let words = format!("{shards} shards with {replicas} replicas each since {}: full; waits", scaled.at);
            assert_eq!(told, scaling.as_ref().map(|_| words));
            let fixed = Written { scaling: None, ..written };
            fixed.keep(&mut record, None);
            assert_eq!(record.keys().collect::<Vec<_>>(), ["OTHER"]);
        }
    }
}
