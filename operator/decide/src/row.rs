//! Readings in a row.

use serde::Serialize;

use crate::time::Time;

/// How many readings in a row said the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    count: u32,
    /// The time of the last one, where it says one.
    at: Option<Time>,
}

impl Row {
    /// Takes the next reading, which is from `at`. One that is seen again counts once; one that does not hold ends the row.
    pub(crate) fn count(&mut self, holds: bool, at: Option<Time>) {
        if !holds {
            self.count = 0;
        } else if self.count == 0 || at.is_none() || at != self.at {
            self.count = self.count.saturating_add(1);
        }
        self.at = at;
    }

    /// Whether there are at least so many.
    pub(crate) fn is(&self, many: u32) -> bool {
        self.count >= many
    }
}
