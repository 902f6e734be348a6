//! Replicas and shards that come and go.

use super::{Answer, Next, World, refuse};
use crate::clock::after;
use aws::elasticache::Field;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    pub(super) fn replicas(
        &mut self,
        id: &str,
        replicas: u32,
        shards: &BTreeSet<String>,
        more: bool,
        now: Timestamp,
    ) -> Answer<()> {
        let kept = self.open(id)?;
        let is_clustered = kept.seen.is_clustered();
        if !is_clustered && !shards.is_empty() {
            return refuse("InvalidParameterCombination", "ReplicaConfiguration is for cluster mode only");
        }
        if replicas > 5 {
            return refuse("InvalidParameterValue", "the number of replicas must be within 0 and 5");
        }
        let mut shape = kept.shape();
        if let Some(unknown) = shards.iter().find(|shard| !shape.contains_key(*shard)) {
            return refuse("NodeGroupNotFoundFault", format!("node group {unknown} not found"));
        }
        for (_, have) in shape.iter_mut().filter(|(shard, _)| shards.is_empty() || shards.contains(*shard)) {
            if *have == replicas {
                return refuse("NoOperation", "no changes were required");
            }
            if (replicas > *have) != more {
                return refuse("InvalidParameterValue", "the number of replicas is not in that direction");
            }
            *have = replicas;
        }
        let flag = |field| kept.seen.settings.flag(field) == Some(true);
        if replicas == 0 && ((!is_clustered && flag(Field::Failover)) || flag(Field::MultiAz)) {
            return refuse("InvalidParameterCombination", "automatic failover and Multi-AZ need a replica");
        }
        self.resize(id, shape, false, now)
    }

    pub(super) fn reshard(&mut self, id: &str, shards: u32, remove: &BTreeSet<String>, now: Timestamp) -> Answer<()> {
        let kept = self.open(id)?;
        if !kept.seen.is_clustered() {
            return refuse("InvalidParameterValue", "resharding is for cluster mode only");
        }
        let mut shape = kept.shape();
        let have = u32::try_from(shape.len()).unwrap_or(u32::MAX);
        if shards == have || shards == 0 {
            return refuse("InvalidParameterValue", "the number of node groups does not change");
        }
        if shards > have {
            if !remove.is_empty() {
                return refuse("InvalidParameterCombination", "NodeGroupsToRemove with more node groups");
            }
            let replicas = shape.values().next().copied().unwrap_or(0);
            for _ in have..shards {
                shape.insert(format!("{:04}", kept.next_shard), replicas);
                kept.next_shard += 1;
            }
            return self.resize(id, shape, true, now);
        }
        if remove.len() != (have - shards) as usize || remove.iter().any(|shard| !shape.contains_key(shard)) {
            return refuse("InvalidParameterCombination", "NodeGroupsToRemove must name those that are too many");
        }
        shape.retain(|shard, _| !remove.contains(shard));
        let leaves: u64 = remove.iter().map(|shard| self.usage_of(shard).used).sum();
        let free: u64 = shape.keys().map(|shard| self.usage_of(shard)).map(|usage| usage.most - usage.used).sum();
        if free * 2 < leaves * 3 {
            self.roll_back = Some("There is not enough memory in the shards that stay".to_owned());
        }
        self.resize(id, shape, true, now)
    }

    fn resize(&mut self, id: &str, shape: BTreeMap<String, u32>, resharding: bool, now: Timestamp) -> Answer<()> {
        let until = after(now, self.durations.resizing);
        let next = self.roll_back.take().map_or(Next::Resized(shape), Next::RolledBack);
        let kept = self.get(id)?;
        kept.seen.status = "modifying".into();
        kept.seen.resharding = resharding;
        kept.seen.shards.iter_mut().for_each(|shard| shard.status = "modifying".into());
        kept.until = Some((until, next));
        Ok(())
    }
}

impl super::Kept {
    fn shape(&self) -> BTreeMap<String, u32> {
        self.seen.shards.iter().map(|shard| (shard.id.clone(), shard.replicas())).collect()
    }
}
