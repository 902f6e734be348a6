//! Sliding windows over time that need little memory: what can no longer matter is dropped at once.

use std::collections::VecDeque;

use serde::Serialize;

use crate::time::Time;

/// The greatest value of a sliding window. For the least, store [`std::cmp::Reverse`].
///
/// Only values that are still the greatest of what follows them are kept, so a steady signal keeps one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct WindowMax<T> {
    entries: VecDeque<(Time, T)>,
}

impl<T: Copy + PartialOrd> WindowMax<T> {
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::new() }
    }

    /// Adds a value. Times must not decrease.
    pub(crate) fn push(&mut self, now: Time, value: T) {
        while self.entries.back().is_some_and(|(_, last)| *last <= value) {
            self.entries.pop_back();
        }
        self.entries.push_back((now, value));
    }

    /// Forgets values from before `cutoff`; one from exactly then stays, as in the HPA.
    pub(crate) fn expire(&mut self, cutoff: Time) {
        while self.entries.front().is_some_and(|(time, _)| *time < cutoff) {
            self.entries.pop_front();
        }
    }

    pub(crate) fn max(&self) -> Option<T> {
        self.entries.front().map(|(_, value)| *value)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

/// A count over time, as the instants at which it changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Steps {
    entries: VecDeque<(Time, u32)>,
}

impl Steps {
    /// A count that has always been `count`.
    pub(crate) fn new(now: Time, count: u32) -> Self {
        Self { entries: VecDeque::from([(now, count)]) }
    }

    /// The count from `now` on. Times must not decrease.
    pub(crate) fn set(&mut self, now: Time, count: u32) {
        let several = self.entries.len() > 1;
        match self.entries.back_mut() {
            Some((_, last)) if *last == count => {}
            // The very first entry stands for all time before it and stays.
            Some((time, last)) if *time == now && several => *last = count,
            _ => self.entries.push_back((now, count)),
        }
    }

    /// The count at `time`; the oldest known one where that is before all knowledge.
    pub(crate) fn at(&self, time: Time) -> u32 {
        let known = self.entries.iter().rev().find(|(from, _)| *from <= time).or(self.entries.front());
        known.map_or(0, |(_, count)| *count)
    }

    /// The same, but never above `count`.
    pub(crate) fn at_most(&self, count: u32) -> Self {
        Self { entries: self.entries.iter().map(|(from, known)| (*from, *known.min(&count))).collect() }
    }

    /// When the count first changes after `time`.
    pub(crate) fn next_change(&self, time: Time) -> Option<Time> {
        // The very first entry stands for all time before it and is no change.
        let next = self.entries.partition_point(|(from, _)| *from <= time).max(1);
        self.entries.get(next).map(|(from, _)| *from)
    }

    /// Forgets what no question about `cutoff` or later needs.
    pub(crate) fn expire(&mut self, cutoff: Time) {
        while self.entries.get(1).is_some_and(|(from, _)| *from <= cutoff) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_secs(seconds)
    }

    #[test]
    fn the_greatest_of_the_window_counts_and_its_edge_belongs_to_it() {
        let mut window = WindowMax::new();
        for (second, value) in [(0, 9), (5, 4), (10, 7), (15, 7), (20, 3)] {
            window.push(at(second), value);
        }
        assert_eq!(window.entries.len(), 3, "9, the later 7 and 3 are all that can matter");
        for (cutoff, max) in [(0, Some(9)), (1, Some(7)), (15, Some(7)), (16, Some(3)), (21, None)] {
            window.expire(at(cutoff));
            assert_eq!(window.max(), max, "from {cutoff} s on");
        }
    }

    #[test]
    fn a_cleared_window_has_no_greatest() {
        let mut window = WindowMax::new();
        window.push(at(0), 1.0);
        window.clear();
        assert_eq!(window.max(), None);
    }

    #[test]
    fn steps_answer_for_any_time_and_forget_only_the_unneeded() {
        let mut steps = Steps::new(at(0), 3);
        steps.set(at(5), 3);
        assert_eq!(steps.entries.len(), 1, "no change, no entry");
        steps.set(at(10), 6);
        steps.set(at(20), 9);
        steps.set(at(20), 8);
        for (time, count) in [(-5, 3), (0, 3), (9, 3), (10, 6), (19, 6), (20, 8), (99, 8)] {
            assert_eq!(steps.at(at(time)), count, "at {time} s");
        }
        for (time, change) in [(-5, Some(10)), (0, Some(10)), (10, Some(20)), (19, Some(20)), (20, None)] {
            assert_eq!(steps.next_change(at(time)), change.map(at), "after {time} s");
        }
        steps.expire(at(19));
        assert_eq!((steps.entries.len(), steps.at(at(19))), (2, 6));
        steps.expire(at(20));
        assert_eq!((steps.entries.len(), steps.at(at(19))), (1, 8));
        steps.expire(at(99));
        assert_eq!(steps.at(at(99)), 8, "the last is never forgotten");
    }

    #[test]
    fn a_change_at_the_first_instant_keeps_what_was_before_it() {
        let mut steps = Steps::new(at(0), 3);
        steps.set(at(0), 6);
        assert_eq!(steps.at(at(-1)), 3, "the count before");
        assert_eq!(steps.at(at(0)), 6);
    }
}
