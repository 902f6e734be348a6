//! What there is of ours, and of a former platform of the same name.

use super::{
    super::{Group, Memory, Seen, Snapshot, Wish},
    identifier,
};
use crate::{Standing, TAGS};

/// What was found.
pub(super) struct Found<'a> {
    /// The group's id.
    pub id: String,
    pub group: Option<&'a Group>,
    /// What the group is to us.
    pub standing: Standing,
    /// Groups under other names that bear this item's tags: a former platform's, or copies that somebody made.
    pub others: Vec<&'a Group>,
    /// Snapshots that bear this item's tags, or were left by its deletion, the newest first.
    pub snapshots: Vec<&'a Snapshot>,
}

impl<'a> Found<'a> {
    pub fn of(wish: &Wish, seen: &'a Seen, memory: &Memory) -> Self {
        let owner = &wish.owner;
        let id = identifier(wish, memory);
        let group = seen.groups.iter().find(|group| group.id == id);
        let mut others: Vec<_> =
            seen.groups.iter().filter(|group| group.id != id && owner.former(&group.tags).is_some()).collect();
        others.sort_by_key(|group| &group.id);
        let is_of_item = |snapshot: &&Snapshot| owner.former(&snapshot.tags).is_some() || is_final(snapshot, &id);
        let mut snapshots: Vec<_> = seen.snapshots.iter().filter(is_of_item).collect();
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.created, &snapshot.name)));
        let standing = match group {
            None => Standing::Absent,
            // What was ours when AWS told its tags, or was made by us, is so while it does not.
            Some(group) if group.untold && (memory.seen || memory.made) => Standing::Ours,
            Some(group) => owner.standing_of(&group.tags, memory.identifier.is_some()),
        };
        Self { id, group, standing, others, snapshots }
    }

    /// Whose the group is cannot be told.
    pub fn untold(&self) -> Option<&'a Group> {
        self.group.filter(|group| group.untold && self.standing != Standing::Ours)
    }

    /// The group, where it is ours.
    pub fn ours(&self) -> Option<&'a Group> {
        self.group.filter(|_| self.standing == Standing::Ours)
    }
}

/// Name of a final snapshot of a group.
pub(super) fn final_name(id: &str, counter: u32) -> String {
    format!("{id}-final-{counter}")
}

/// A final snapshot that says not whose it is: AWS takes it without tags, and who was to tag it may have been stopped and have
/// lost its memory. Its name has the identity's hash in it.
pub(super) fn is_final(snapshot: &Snapshot, id: &str) -> bool {
    let counter = snapshot.name.strip_prefix(id).and_then(|rest| rest.strip_prefix("-final-"));
    let is_counted = counter.is_some_and(|counter| counter.parse::<u32>().is_ok());
    snapshot.group == id && is_counted && TAGS.iter().all(|key| !snapshot.tags.contains_key(*key))
}
