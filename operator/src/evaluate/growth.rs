//! How many pods were added lately. Pure.

use decide::{Duration, Time};

/// How long pods that were added may take until they have served for two scrapes (P).
const LATELY: Duration = Duration::from_mins(2);

/// The count of pods as it grows. Only pods that were added to others count before their counters have rates: one that takes
/// another's place, in a rollout or on another node, takes over what the other's rate goes on to show for the length of its
/// range, and would count twice.
#[derive(Debug, Default)]
pub(super) struct Growth {
    count: Option<u32>,
    /// When it began to grow, and from what.
    from: Option<(Time, u32)>,
}

impl Growth {
    /// Takes the count that is wanted now; how many pods of it were added lately.
    pub(super) fn added(&mut self, now: Time, desired: u32, rolling: bool) -> u32 {
        let before = self.count.replace(desired);
        self.from = self.from.filter(|(at, from)| !rolling && now.since(*at) < LATELY && *from < desired);
        if let Some(before) = before.filter(|before| *before < desired && !rolling) {
            self.from.get_or_insert((now, before));
        }
        self.from.map_or(0, |(_, from)| desired - from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_lately_counts() {
        let at = |seconds: i64| Time::from_secs(seconds);
        let mut growth = Growth::default();
        assert_eq!(growth.added(at(0), 3, false), 0, "what is found was not added");
        assert_eq!(growth.added(at(5), 5, false), 2);
        assert_eq!(growth.added(at(10), 8, false), 5);
        assert_eq!(growth.added(at(15), 6, false), 3);
        assert_eq!(growth.added(at(20), 3, false), 0, "all of it is gone again");
        assert_eq!(growth.added(at(25), 4, false), 1);
        assert_eq!(growth.added(at(144), 4, false), 1);
        assert_eq!(growth.added(at(145), 4, false), 0, "two minutes later");
        assert_eq!(growth.added(at(150), 9, true), 0, "a rollout replaces pods");
        assert_eq!(growth.added(at(155), 9, false), 0);
    }
}
