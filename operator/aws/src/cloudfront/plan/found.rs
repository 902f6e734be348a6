//! Which distribution is ours, and what else bears our tags.

use super::super::{Distribution, Memory, Seen, Wish};
use crate::Standing;

/// How many counters beyond the remembered one are looked for: the memory may be lost.
const COUNTERS: u32 = 5;

/// What was found.
pub(super) struct Found<'a> {
    /// The one that counts.
    pub distribution: Option<&'a Distribution>,
    /// What it is to us. Absent where lists do not show the one that is remembered: then its tags are not known.
    pub standing: Standing,
    /// Ids of others that bear this item's tags.
    pub others: Vec<String>,
}

impl<'a> Found<'a> {
    pub fn of(wish: &Wish, seen: &'a Seen, memory: &Memory) -> Self {
        let owner = &wish.owner;
        let references: Vec<String> =
            (0..=memory.counter + COUNTERS).map(|counter| owner.identity.caller_reference(counter)).collect();
        let mut tagged: Vec<(&Distribution, Standing)> = seen
            .listed
            .iter()
            .filter_map(|one| {
                let former = owner.former(&one.tags)?;
                // Adopted from another cluster, and not tagged anew yet, it is a former platform's like any other.
                let standing = match owner.standing(&one.tags) {
                    Standing::NameConflict => former,
                    standing => standing,
                };
                Some((seen.distribution(&one.id)?, standing))
            })
            .collect();
        // Copies bear the same tags. The remembered one counts, then the one that we have made, then what is ours before what is
        // retained.
        tagged.sort_by_key(|(one, standing)| {
            let is_made = references.iter().any(|reference| reference == one.reference());
            let remembered = memory.id.as_ref() == Some(&one.id);
            (!remembered, *standing != Standing::Ours, !is_made, one.id.clone())
        });
        let mut tagged = tagged.into_iter();
        let by_reference = || {
            let reference = owner.identity.caller_reference(memory.counter);
            let made = |one: &&Distribution| one.reference() == reference && seen.tags(&one.id).is_some();
            seen.read.iter().filter(made).min_by_key(|one| &one.id)
        };
        let remembered = memory.id.as_ref().and_then(|id| seen.distribution(id));
        let (distribution, standing) = match tagged.next() {
            Some((one, standing)) => (Some(one), standing),
            None => match (remembered, by_reference()) {
                // Its tags were taken off.
                (Some(one), _) if seen.tags(&one.id).is_some() => (Some(one), Standing::NameConflict),
                (None, Some(one)) => (Some(one), Standing::NameConflict),
                (one, _) => (one, Standing::Absent),
            },
        };
        Self { distribution, standing, others: tagged.map(|(one, _)| one.id.clone()).collect() }
    }

    /// The distribution, where it is ours.
    pub fn ours(&self) -> Option<&'a Distribution> {
        self.distribution.filter(|_| self.standing == Standing::Ours)
    }
}
