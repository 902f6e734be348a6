//! The tests' time.

use jiff::Timestamp;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};

/// A clock that only moves when it is told to. Its clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Timestamp>>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Timestamp::from_second(1_790_000_000).unwrap_or(Timestamp::UNIX_EPOCH))))
    }
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Timestamp {
        *self.0.lock()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = after(*now, by);
    }
}

/// A time from then on.
pub(crate) fn after(then: Timestamp, by: Duration) -> Timestamp {
    then.checked_add(by).unwrap_or(Timestamp::MAX)
}
