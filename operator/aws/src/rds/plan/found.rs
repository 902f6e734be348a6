//! What there is of ours, and of a former platform of the same name.

use super::super::{Instance, MOST_REPLICAS, Memory, Seen, Snapshot, State, Wish};
use crate::{Identity, Standing};
use std::collections::BTreeMap;

/// What was found.
pub(super) struct Found<'a> {
    /// The primary's identifier.
    pub id: String,
    pub primary: Option<&'a Instance>,
    /// What the primary is to us.
    pub standing: Standing,
    /// What bears a replica's name, by index.
    pub replicas: BTreeMap<u32, (&'a Instance, Standing)>,
    /// Instances under other names that bear this item's tags: a former platform's, or copies that AWS or somebody made.
    pub others: Vec<&'a Instance>,
    /// Snapshots that bear this item's tags, the newest first.
    pub snapshots: Vec<&'a Snapshot>,
}

impl<'a> Found<'a> {
    pub fn of(wish: &Wish, seen: &'a Seen, memory: &Memory) -> Self {
        let owner = &wish.owner;
        let id = memory.identifier.clone().unwrap_or_else(|| owner.identity.instance());
        let by_id = |id: &str| seen.instances.iter().find(|instance| instance.id == id);
        let standing = |instance: &Instance| owner.standing_of(&instance.tags, memory.identifier.is_some());
        let replicas: BTreeMap<_, _> = (0..MOST_REPLICAS)
            .filter_map(|index| Some((index, by_id(&Identity::replica(&id, index))?)))
            .map(|(index, instance)| (index, (instance, standing(instance))))
            .collect();
        let primary = by_id(&id);
        let is_known =
            |instance: &Instance| instance.id == id || replicas.values().any(|(one, _)| one.id == instance.id);
        // A replica of another one goes with its source; a promoted one of our own names stands alone, and holds data.
        let stands_alone = |instance: &&Instance| instance.source.is_none();
        let is_other = |instance: &&Instance| primary.is_none() || !is_known(instance);
        let of_item = |instance: &&Instance| owner.former(&instance.tags).is_some();
        let others = seen.instances.iter().filter(of_item).filter(stands_alone).filter(is_other).collect();
        let mut snapshots: Vec<_> =
            seen.snapshots.iter().filter(|snapshot| owner.former(&snapshot.tags).is_some()).collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.created, snapshot.id.clone())));
        let standing = primary.map_or(Standing::Absent, standing);
        Self { id, primary, standing, replicas, others, snapshots }
    }

    /// The primary, where it is ours.
    pub fn ours(&self) -> Option<&'a Instance> {
        self.primary.filter(|_| self.standing == Standing::Ours)
    }

    /// Whether it bears the name of one of our replicas.
    pub fn is_replica(&self, instance: &Instance) -> bool {
        self.replicas.values().any(|(one, _)| one.id == instance.id)
    }

    /// The replicas that are ours.
    pub fn our_replicas(&self) -> impl DoubleEndedIterator<Item = (u32, &'a Instance)> {
        self.replicas
            .iter()
            .filter(|(_, (_, standing))| *standing == Standing::Ours)
            .map(|(index, (instance, _))| (*index, *instance))
    }

    /// Whether any of ours but this one changes.
    pub fn others_change(&self, id: &str) -> Option<String> {
        let all = self.ours().into_iter().chain(self.our_replicas().map(|(_, one)| one));
        all.filter(|one| one.id != id)
            .find(|one| matches!(one.state(), State::Changing | State::Unknown))
            .map(|one| format!("{} is {}: one after the other", one.id, one.status))
    }
}
