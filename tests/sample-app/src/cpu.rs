//! Burning processor time.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::pacer::mix;

/// Spins until this thread has used `amount` of processor time, preemption not counted.
pub fn burn(amount: Duration) {
    if amount.is_zero() {
        return;
    }
    let end = thread_time().saturating_add(amount);
    let mut state = 1;
    while thread_time() < end {
        // Reading the clock is a system call: some real work between two readings.
        for _ in 0..256 {
            state = black_box(mix(state));
        }
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_at_least_what_was_asked() {
        let before = thread_time();
        burn(Duration::from_millis(5));
        assert!(thread_time() - before >= Duration::from_millis(5));
    }
}
