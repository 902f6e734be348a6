//! Backoff per platform: the controller's error policy keeps no state of its own.

use parking_lot::Mutex;
use std::{collections::HashMap, time::Duration};

/// The longest delay is 2^8 s.
const MOST: u32 = 8;

/// Failures in a row, by UID.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts a failure and says how long to wait: 1 s, doubling up to 256 s, of which `jitter` in [0, 1) takes up to
    /// half.
    pub fn fail(&self, uid: &str, jitter: f64) -> Duration {
        let mut failures = self.failures.lock();
        let count = failures.entry(uid.to_owned()).or_default();
        let delay = Duration::from_secs(1 << (*count).min(MOST));
        *count = count.saturating_add(1);
        delay.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }

    /// Forgets the failures of a platform, after a success or its end.
    pub fn clear(&self, uid: &str) {
        self.failures.lock().remove(uid);
    }

    /// Forgets every platform that `keep` does not know.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.failures.lock().retain(|uid, _| keep(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_cap_and_starts_over_after_success() {
        let backoff = Backoff::default();
        let delays: Vec<u64> = (0..11).map(|_| backoff.fail("a", 0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]);
        assert_eq!(backoff.fail("b", 0.0).as_secs(), 1, "each platform has its own");
        backoff.clear("a");
        assert_eq!(backoff.fail("a", 0.0).as_secs(), 1);
    }

    #[test]
    fn jitter_takes_up_to_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.fail("a", 1.0), Duration::from_millis(500));
        assert_eq!(backoff.fail("a", 0.5), Duration::from_millis(1500));
    }
}
